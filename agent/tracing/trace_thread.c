/* The trace thread; see trace_thread.h. Work comes as letters. */
#include "tracing/trace_thread.h"

#include <stdlib.h>

#include "core/error.h"

struct trace_thread {
    struct loop_thread thread;
    struct trace_thread_config config;
    struct limits limits; /* of the configuration in force */
    struct trace_desk desk;
    struct trace_peers *peers;
    struct trace_join *join; /* NULL: spans are not joined */
    struct trace_why *why;
    struct trace_pins *pins; /* NULL: nothing is pinned */
    struct mail finish_mail;
    struct mailbox *finish_to;
    struct mail *finish_done;
};

static void on_ask(struct mail *mail, void *receiver)
{
    struct trace_thread *self = receiver;
    struct trace_ask *ask = (struct trace_ask *)mail;

    if (trace_join_knows(ask->path)) {
        trace_why_take(self->why, ask);
    } else {
        trace_desk_take(&self->desk, ask);
    }
}

bool trace_thread_ask(struct trace_thread *self, struct trace_ask *ask)
{
    ask->mail = (struct mail){.deliver = on_ask};
    return mailbox_post(&self->thread.mailbox, &ask->mail);
}

static void on_exemplars(struct mail *mail, void *receiver)
{
    trace_pins_take(((struct trace_thread *)receiver)->pins, (struct exemplar_letter *)mail);
}

bool trace_thread_offer_exemplars(struct trace_thread *self, struct exemplar_letter *letter)
{
    letter->mail = (struct mail){.deliver = on_exemplars};
    return mailbox_post(&self->thread.mailbox, &letter->mail);
}

/* Traces that a shard keeps, or an operator: peers keep their part, too. */
static void on_kept(struct mail *mail, void *receiver)
{
    struct trace_thread *self = receiver;
    struct kept_letter *letter = (struct kept_letter *)mail;

    for (uint32_t i = 0; i < letter->count; i++) {
        trace_peers_notify(self->peers, letter->notices[i].trace_id);
    }
    free(letter);
}

const struct mailbox *trace_thread_mailbox(const struct trace_thread *self)
{
    return &self->thread.mailbox;
}

/* Joining spans is one more shard to the aggregator, so it needs one. */
static int make_join(struct trace_thread *self)
{
    const struct trace_thread_config *config = &self->config;
    const struct trace_join_config join = {
        .config = config->config,
        .limits = &self->limits,
        .clock = config->clock,
        .bounds = config->bounds,
        .series = config->series,
        .cells = config->cells,
        .loop = &self->thread.loop,
        .mailbox = &self->thread.mailbox,
        .aggregator = config->aggregator,
        .shard_count = (uint32_t)config->shard_count,
        .shows_exemplars = config->pins_exemplars,
    };

    return config->aggregator != NULL ? trace_join_new(&join, &self->join) : 0;
}

void trace_thread_enter_aggregator(struct trace_thread *self)
{
    if (self->join != NULL) {
        trace_join_enter(self->join);
    }
}

const struct thinning *trace_thread_thinning(const struct trace_thread *self)
{
    return self->join != NULL ? trace_join_thinning(self->join) : NULL;
}

bool trace_thread_post_timings(struct trace_thread *self, struct timing_batch *batch)
{
    return trace_join_post(self->join, batch);
}

int trace_thread_new(const struct trace_thread_config *config, struct trace_thread **ret_self)
{
    struct trace_thread *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->config = *config;
    self->limits = config->config->limits;
    int error = loop_thread_init(&self->thread, self);
    if (error < 0) {
        free(self);
        return error;
    }
    const struct trace_peers_config peers = {
        .trace = &config->config->trace,
        .timeout_ms = self->limits.trace_answer_ms,
        .loop = &self->thread.loop,
        .cells = config->cells,
    };
    self->desk = (struct trace_desk){
        .loop = &self->thread.loop,
        .mailbox = &self->thread.mailbox,
        .limits = &self->limits,
        .clock = config->clock,
        .cells = config->cells,
    };
    trace_desk_init(&self->desk);
    error = trace_peers_new(&peers, &self->peers);
    self->desk.peers = self->peers;
    if (error == 0 && trace_peers_count(self->peers) > 0 &&
        !kept_hub_enter(config->hub, &self->thread.mailbox, on_kept)) {
        error = WERR_FULL;
    }
    if (error == 0) {
        error = make_join(self);
    }
    if (error == 0) {
        error = trace_why_new(&self->desk, self->join, &self->why);
    }
    if (error == 0 && config->pins_exemplars) {
        error = trace_pins_new(&config->config->trace, &self->desk, &self->pins);
    }
    if (error < 0) {
        trace_thread_stop(self);
        trace_thread_free(self);
        return error;
    }
    *ret_self = self;
    return 0;
}

void trace_thread_add_shard(struct trace_thread *self, void *shard, const struct trace_shard_ops *ops)
{
    self->desk.shards[self->desk.shard_count++] = (struct trace_desk_shard){.shard = shard, .ops = ops};
}

int trace_thread_start(struct trace_thread *self)
{
    return loop_thread_start(&self->thread, "weft-trace");
}

struct loop_thread *trace_thread_loop(struct trace_thread *self)
{
    return &self->thread;
}

static void on_config(struct mail *mail, void *receiver)
{
    struct trace_thread *self = receiver;
    struct config_letter *letter = (struct config_letter *)mail;

    self->limits = letter->config->limits;
    trace_peers_set_timeout(self->peers, self->limits.trace_answer_ms);
    if (self->join != NULL) {
        trace_join_reconfigure(self->join);
    }
    if (self->pins != NULL) {
        trace_pins_reconfigure(self->pins, &letter->config->trace);
    }
    config_letter_acknowledge(letter);
}

void trace_thread_post_config(struct trace_thread *self, struct config_letter *letter)
{
    config_letter_post(letter, &self->thread.mailbox, on_config);
}

static void close_handles(struct trace_thread *self)
{
    loop_thread_finish(&self->thread); /* delivers what is there, so it comes before what letters use */
    trace_desk_close(&self->desk);
    trace_peers_close(self->peers);
    trace_why_close(self->why);
    trace_join_close(self->join);
    trace_pins_close(self->pins);
}

static void on_finish(struct mail *mail, void *receiver)
{
    struct trace_thread *self = receiver;

    (void)mail; /* the thread's own */
    trace_join_finish(self->join);
    (void)mailbox_post(self->finish_to, self->finish_done);
}

void trace_thread_finish(struct trace_thread *self, struct mailbox *reply_to, struct mail *done)
{
    self->finish_to = reply_to;
    self->finish_done = done;
    self->finish_mail = (struct mail){.deliver = on_finish};
    (void)mailbox_post(&self->thread.mailbox, &self->finish_mail);
}

static void on_stop(struct mail *mail, void *receiver)
{
    (void)mail; /* belongs to trace_thread_stop's frame */
    close_handles(receiver);
}

void trace_thread_stop(struct trace_thread *self)
{
    struct mail stop = {.deliver = on_stop};

    if (self == NULL) {
        return;
    }
    if (self->thread.started) {
        (void)mailbox_post(&self->thread.mailbox, &stop);
        loop_thread_join(&self->thread);
    } else {
        close_handles(self);
    }
}

void trace_thread_free(struct trace_thread *self)
{
    if (self == NULL) {
        return;
    }
    loop_thread_deinit(&self->thread);
    trace_desk_deinit(&self->desk);
    trace_pins_free(self->pins);
    trace_peers_free(self->peers);
    trace_why_free(self->why);
    trace_join_free(self->join);
    free(self);
}
