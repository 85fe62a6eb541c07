/*
 * Each request once: between context and aggregate, what a proxy tells by spans and by an access log is
 * counted from one of them. Runs on the shard's loop.
 */
#include "core/error.h"
#include "pipeline.h"

static void supersede_span(struct pipeline *pipeline)
{
    LEDGER_ADD(pipeline->cells, METRIC_SPANS_SUPERSEDED, 1);
}

static void show_held(struct pipeline *pipeline)
{
    metric_set(pipeline->cells, METRIC_SPANS_HELD, pipeline->held.count);
}

void pipeline_count_span(struct pipeline *pipeline, const struct request *request)
{
    uint64_t now_ns = pipeline->context.now_monotonic_ns;

    switch (count_source_of_span(pipeline->counts, request->voice, now_ns, pipeline->cells)) {
    case COUNT_SUPERSEDED:
        supersede_span(pipeline);
        return;
    case COUNT_HOLD:
        if (held_requests_add(&pipeline->held, request) == 0) {
            show_held(pipeline);
            return;
        }
        count_source_end_wait(pipeline->counts, request->voice, now_ns, pipeline->cells);
        break;
    case COUNT_NOW:
    default:
        break;
    }
    directory_record(pipeline->directory, request);
}

bool pipeline_log_counts(struct pipeline *pipeline, struct count_voice voice)
{
    return count_source_of_log(
               pipeline->counts, voice, pipeline->context.now_monotonic_ns, pipeline->cells) == COUNT_NOW;
}

void pipeline_take_workloads(struct pipeline *pipeline)
{
    struct context *context = &pipeline->context;

    for (uint32_t i = 0; i < context->workload_note_count; i++) {
        directory_note_workload(pipeline->directory, &context->workload_notes[i]);
    }
    context->workload_note_count = 0;
}

void pipeline_count_log(struct pipeline *pipeline, const struct request *request)
{
    if (pipeline_log_counts(pipeline, request->voice)) {
        directory_record(pipeline->directory, request);
    } else {
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_SUPERSEDED, 1);
    }
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
    enum count_verdict verdict =
        count_source_of_span(pipeline->counts, request->voice, settling->now_monotonic_ns, pipeline->cells);

    if (verdict == COUNT_HOLD && !settling->all) {
        return false;
    }
    if (verdict == COUNT_SUPERSEDED) {
        supersede_span(pipeline);
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
    show_held(pipeline);
}
