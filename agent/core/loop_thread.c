/* The loop thread of loop_thread.h. */
#include "core/loop_thread.h"

#include <pthread.h>

#include "core/error.h"

static void on_tick(uv_timer_t *timer)
{
    struct loop_thread *self = timer->data;

    atomic_fetch_add_explicit(&self->tick_count, 1, memory_order_relaxed);
}

int loop_thread_init(struct loop_thread *self, void *owner)
{
    *self = (struct loop_thread){.owner = owner};
    if (uv_loop_init(&self->loop) != 0) {
        return WERR_IO;
    }
    int error = mailbox_init(&self->mailbox, &self->loop, owner);
    if (error < 0) {
        (void)uv_loop_close(&self->loop);
        return error;
    }
    (void)uv_timer_init(&self->loop, &self->tick);
    self->tick.data = self;
    (void)uv_timer_start(&self->tick, on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
    return 0;
}

static void run(void *argument)
{
    struct loop_thread *self = argument;

    (void)uv_run(&self->loop, UV_RUN_DEFAULT);
}

int loop_thread_start(struct loop_thread *self, const char *name)
{
    if (uv_thread_create(&self->thread, run, self) != 0) {
        return WERR_IO;
    }
    self->started = true;
    (void)pthread_setname_np(self->thread, name);
    return 0;
}

void loop_thread_finish(struct loop_thread *self)
{
    mailbox_close(&self->mailbox);
    if (!uv_is_closing((uv_handle_t *)&self->tick)) {
        uv_close((uv_handle_t *)&self->tick, NULL);
    }
}

void loop_thread_join(struct loop_thread *self)
{
    if (self->started) {
        (void)uv_thread_join(&self->thread);
        self->started = false;
    }
}

void loop_thread_deinit(struct loop_thread *self)
{
    if (!uv_is_closing((uv_handle_t *)&self->tick)) {
        loop_thread_finish(self);
    }
    (void)uv_run(&self->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&self->loop);
    mailbox_deinit(&self->mailbox);
}
