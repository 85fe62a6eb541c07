/* A turn of the loop, a slice of compressing; see trace_cooling.h. */
#include "tracing/trace_cooling.h"

static void on_idle(uv_idle_t *idle)
{
    struct trace_cooling *self = idle->data;

    ring_freeze(self->ring);
    if (!ring_freeze_is_due(self->ring)) {
        (void)uv_idle_stop(idle);
    }
}

static void on_check(uv_check_t *check)
{
    struct trace_cooling *self = check->data;

    if (ring_freeze_is_due(self->ring)) {
        (void)uv_idle_start(&self->idle, on_idle);
    }
}

void trace_cooling_init(struct trace_cooling *self, uv_loop_t *loop, struct ring *ring, bool compresses)
{
    *self = (struct trace_cooling){.ring = ring, .is_open = ring != NULL && compresses};
    if (!self->is_open) {
        return;
    }
    (void)uv_idle_init(loop, &self->idle);
    (void)uv_check_init(loop, &self->check);
    self->idle.data = self;
    self->check.data = self;
    (void)uv_check_start(&self->check, on_check);
}

void trace_cooling_close(struct trace_cooling *self)
{
    if (!self->is_open) {
        return;
    }
    self->is_open = false;
    uv_close((uv_handle_t *)&self->idle, NULL);
    uv_close((uv_handle_t *)&self->check, NULL);
}
