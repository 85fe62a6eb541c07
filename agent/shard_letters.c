/*
 * The letters between a shard and the other threads: values for the aggregator, traces to keep, questions
 * about traces. What comes is delivered on the shard's loop; how it is posted is said at each.
 */
#include <stdlib.h>

#include "config_letter.h"
#include "shard_internal.h"

/* ---- flips ---- */

/* Answers the aggregator's question for values: NULL when none can be handed over now, because the delta
 * before is still away. */
static void on_flip(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;

    (void)mail; /* the shard's own */
    shard->flip_letter.shard_index = shard->index;
    shard->flip_letter.answers = true;
    shard->flip_letter.delta = directory_flip(shard->pipeline.directory);
    aggregator_thread_post_delta(shard->common->aggregator, &shard->flip_letter);
}

/* From the aggregator's thread, which does not ask again before it was answered: one letter is enough. */
static void post_flip(void *user)
{
    struct shard *shard = user;

    shard->flip_mail = (struct mail){.deliver = on_flip};
    (void)mailbox_post(&shard->thread.mailbox, &shard->flip_mail);
}

static void on_give_back(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;

    (void)mail; /* the shard's own */
    directory_give_back(shard->pipeline.directory, shard->returned_delta);
}

/* From the aggregator's thread; of a shard's two deltas only one is ever away. */
static void post_give_back(void *user, struct delta *delta)
{
    struct shard *shard = user;

    shard->returned_delta = delta;
    shard->give_back_mail = (struct mail){.deliver = on_give_back};
    (void)mailbox_post(&shard->thread.mailbox, &shard->give_back_mail);
}

static const struct aggregator_shard_ops aggregator_ops = {.flip = post_flip, .give_back = post_give_back};

/* ---- traces ---- */

static void on_kept(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;
    struct kept_letter *letter = (struct kept_letter *)mail;

    pipeline_keep_notices(&shard->pipeline, letter->notices, letter->count);
    free(letter);
}

static void on_trace_task(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;

    trace_shard_take(&shard->trace_shard, (struct trace_task *)mail);
}

/* From the trace thread. To a shard that has ended no task goes: it comes back at once, with nothing. */
static void post_trace_task(void *user, struct trace_task *task)
{
    struct shard *shard = user;

    task->mail = (struct mail){.deliver = on_trace_task};
    if (!mailbox_post(&shard->thread.mailbox, &task->mail)) {
        task->is_cut = true;
        trace_task_return(task);
    }
}

static const struct trace_shard_ops trace_ops = {.task = post_trace_task};

static void on_tap(struct mail *mail, void *receiver)
{
    tap_shard_take(&((struct shard *)receiver)->tap_shard, mail);
}

void shard_tell_kept(void *user, const struct kept *kept)
{
    const struct shard *shard = user;

    kept_hub_send(shard->common->kept_hub, &shard->thread.mailbox, kept, shard->cells);
}

bool shard_post_timings(void *user, struct timing_batch *batch)
{
    const struct shard *shard = user;

    return trace_thread_post_timings(shard->common->traces, batch);
}

/* ---- configuration ---- */

static void on_config(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;
    struct config_letter *letter = (struct config_letter *)mail;
    const struct config *config = letter->config;

    shard->limits = config->limits; /* first: the parts read them where they lie */
    pipeline_reconfigure(&shard->pipeline, config, shard->common->shard_count);
    tcp_guard_set_allow(&shard->guard, &config->receivers.otlp.allow);
    shard->senders = shard_sender_rules(config);
    shard_receivers_reconfigure(&shard->receivers, config);
    http_server_set_hosts(shard->http, config->http.hosts.items, config->http.hosts.count);
    shard->routes.classic_histograms = config->metrics.classic;
    shared_bytes_unref(shard->routes.config_text);
    shard->routes.config_text = shared_bytes_ref(letter->text);
    config_letter_acknowledge(letter);
}

void shard_post_config(struct shard *shard, struct config_letter *letter)
{
    config_letter_post(letter, &shard->thread.mailbox, on_config);
}

void shard_letters_enter(struct shard *shard)
{
    const struct shard_common *common = shard->common;

    aggregator_thread_add_shard(common->aggregator, shard, &aggregator_ops);
    (void)kept_hub_enter(common->kept_hub, &shard->thread.mailbox, on_kept);
    tap_hub_enter(common->tap_hub, &shard->thread.mailbox, on_tap);
    if (common->traces != NULL) {
        trace_thread_add_shard(common->traces, shard, &trace_ops);
    }
}
