/*
 * Each request once: between context and aggregate, what a proxy tells by spans and by access logs is counted
 * from one of them. Runs on the shard's loop.
 */
#include "core/error.h"
#include "pipeline/pipeline.h"

static void supersede(struct pipeline *pipeline, const struct request *request)
{
    if (request->signal == REQUEST_FROM_SPAN) {
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_SUPERSEDED, 1);
    } else {
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_SUPERSEDED, 1);
    }
}

/* By how many more, or fewer, are held. */
static void show_held(struct pipeline *pipeline, const struct request *request, int64_t by)
{
    metric_add(pipeline->cells, request->signal == REQUEST_FROM_SPAN ? METRIC_SPANS_HELD : METRIC_LOGS_HELD,
        (uint64_t)by);
}

static enum count_verdict verdict_on(
    struct pipeline *pipeline, const struct request *request, uint64_t now_monotonic_ns)
{
    return count_source_verdict(pipeline->counts, (enum request_signal)request->signal, request->voice,
        now_monotonic_ns, pipeline->cells);
}

/* A look-up more, where it may matter. */
static struct record_note note_of_uncounted(const struct pipeline *pipeline, const struct request *request)
{
    return pipeline->keep.is_on && request->duration_ns > pipeline->keep.triggers.settings.note_min_ns
               ? directory_note(pipeline->directory, request)
               : (struct record_note){.p90_ns = 0};
}

struct record_note pipeline_count_request(struct pipeline *pipeline, const struct request *request)
{
    uint64_t now_ns = pipeline->context.now_monotonic_ns;

    switch (verdict_on(pipeline, request, now_ns)) {
    case COUNT_SUPERSEDED:
        supersede(pipeline, request);
        return note_of_uncounted(pipeline, request);
    case COUNT_HOLD:
        pipeline_tap(pipeline, request); /* now, not when it is decided: who watches waits for it */
        if (held_requests_add(&pipeline->held, request) == 0) {
            show_held(pipeline, request, 1);
            return note_of_uncounted(pipeline, request);
        }
        count_source_end_wait(pipeline->counts, request->voice, now_ns, pipeline->cells);
        break;
    case COUNT_NOW:
    default:
        pipeline_tap(pipeline, request);
        break;
    }
    return directory_record(pipeline->directory, request);
}

void pipeline_take_workloads(struct pipeline *pipeline)
{
    struct context *context = &pipeline->context;

    for (uint32_t i = 0; i < context->workload_note_count; i++) {
        directory_note_workload(pipeline->directory, &context->workload_notes[i]);
    }
    context->workload_note_count = 0;
}

struct settling {
    struct pipeline *pipeline;
    uint64_t now_monotonic_ns;
    bool all;
};

static bool settle(void *user, const struct request *request)
{
    const struct settling *settling = user;
    struct pipeline *pipeline = settling->pipeline;
    enum count_verdict verdict = verdict_on(pipeline, request, settling->now_monotonic_ns);

    if (verdict == COUNT_HOLD && !settling->all) {
        return false;
    }
    show_held(pipeline, request, -1);
    if (verdict == COUNT_SUPERSEDED) {
        supersede(pipeline, request);
    } else {
        directory_record(pipeline->directory, request);
    }
    return true;
}

void pipeline_settle_held(struct pipeline *pipeline, bool all)
{
    struct settling settling = {
        .pipeline = pipeline, .now_monotonic_ns = clock_monotonic_ns(pipeline->clock), .all = all};

    if (pipeline->held.count == 0) {
        return;
    }
    held_requests_settle(&pipeline->held, settle, &settling);
}
