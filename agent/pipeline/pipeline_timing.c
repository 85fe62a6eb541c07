/* See pipeline_timing.h. */
#include "pipeline/pipeline_timing.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static bool is_wanted(const struct pipeline_timing *timing)
{
    return timing->config.post != NULL;
}

/* Counted: a node that is too busy for all of its traces shall be seen. */
static bool is_joined(struct pipeline_timing *timing, const uint8_t *trace_id)
{
    if (!is_wanted(timing)) {
        return false;
    }
    if (timing->config.thinning == NULL || thinning_keeps(timing->config.thinning, trace_id)) {
        return true;
    }
    metric_add(timing->cells, METRIC_TRACE_TIMINGS_THINNED, 1);
    return false;
}

/* ---- batches ---- */

static void post(struct pipeline_timing *timing, struct timing_batch *batch)
{
    uint32_t count = batch->timing_count;

    batch->shard = timing->shard;
    batch->under_way = &timing->under_way;
    if (atomic_load_explicit(&timing->under_way, memory_order_relaxed) < PIPELINE_TIMING_BATCHES_MAX) {
        atomic_fetch_add_explicit(&timing->under_way, 1, memory_order_relaxed);
        if (timing->config.post(timing->config.user, batch)) {
            return;
        }
        atomic_fetch_sub_explicit(&timing->under_way, 1, memory_order_relaxed);
    }
    metric_add(timing->cells, METRIC_TRACE_TIMINGS_BEHIND, count);
    timing_writer_lost(&timing->writer, batch);
}

void pipeline_timing_flush(struct pipeline_timing *timing)
{
    struct timing_batch *batch = is_wanted(timing) ? timing_writer_take(&timing->writer) : NULL;

    if (batch != NULL) {
        post(timing, batch);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pipeline_timing *timing = timer->data;

    timing->timer_armed = false;
    pipeline_timing_flush(timing);
}

static void add(struct pipeline_timing *timing, const struct timing *record)
{
    int error = timing_writer_add(&timing->writer, record);

    if (error == WERR_FULL) {
        pipeline_timing_flush(timing);
        error = timing_writer_add(&timing->writer, record);
    }
    if (error < 0) {
        metric_add(timing->cells, METRIC_TRACE_TIMINGS_BEHIND, 1);
    } else if (!timing->timer_armed && !timing->is_closing) {
        timing->timer_armed = true;
        (void)uv_timer_start(&timing->timer, on_timer, PIPELINE_TIMING_DELAY_MS, 0);
    }
}

/* ---- names ---- */

static uint32_t name_of(struct pipeline_timing *timing, struct timing_memo *memo, struct slice text)
{
    uint32_t sweep = interner_sweep_count(timing->context->interner);

    if (text.length == 0) {
        return INTERNED_NONE;
    }
    if (memo->length == text.length && memo->sweep == sweep &&
        memcmp(memo->text, text.ptr, text.length) == 0) {
        return memo->id;
    }
    uint32_t id = context_intern(timing->context, text);

    memo->length = 0;
    if (text.length <= sizeof memo->text) {
        memo->id = id;
        memo->sweep = sweep;
        memo->length = text.length;
        memcpy(memo->text, text.ptr, text.length);
    }
    return id;
}

struct slice timing_pod_of_node(struct slice node_id)
{
    size_t address = slice_find(node_id, '~');
    struct slice rest = slice_sub(node_id, address + 1, node_id.length);
    struct slice pod = slice_sub(rest, slice_find(rest, '~') + 1, rest.length);
    size_t end = slice_find(pod, '~');

    return end > 0 && end < pod.length ? slice_sub(pod, 0, end) : node_id;
}

/* Which of a service's instances, as far as the span tells; else who sent it. */
static uint32_t pod_of(struct pipeline_timing *timing, const struct span *span, uint32_t sender)
{
    struct slice pod = span->resource->pod;

    if (pod.length == 0) {
        pod = timing_pod_of_node(span_text(span, SPAN_ATTRIBUTE_ENVOY_NODE_ID));
    }
    return pod.length > 0 ? name_of(timing, &timing->pod, pod) : sender;
}

/* ---- spans ---- */

static uint8_t side_of(uint8_t reporter)
{
    return reporter == REPORTER_DESTINATION ? TIMING_SERVER
           : reporter == REPORTER_SOURCE    ? TIMING_CLIENT
                                            : TIMING_OTHER;
}

static struct timing timing_of_request(const struct request *request)
{
    struct timing record = {
        .start_unix_ns = request->start_unix_ns,
        .duration_ns = request->duration_ns,
        .source = request->source,
        .source_namespace = request->source_namespace,
        .destination = request->destination,
        .destination_namespace = request->destination_namespace,
        .route = request->route,
        .sender = request->sender,
        .response_flags = (uint32_t)request->response_flags,
        .response_code = request->response_code,
        .attempts = (uint8_t)(request->attempts < UINT8_MAX ? request->attempts : UINT8_MAX),
        .side = side_of(request->reporter),
        .outcome = request->outcome,
        .mesh = request->mesh,
        .protocol = request->protocol,
    };

    memcpy(record.trace_id, request->trace_id, sizeof record.trace_id);
    memcpy(record.span_id, request->span_id, sizeof record.span_id);
    return record;
}

static struct timing timing_of_span(const struct span *span)
{
    struct timing record = {
        .start_unix_ns = span->start_unix_ns,
        .duration_ns = span->end_unix_ns - span->start_unix_ns,
        .side = TIMING_OTHER,
    };

    memcpy(record.trace_id, span->trace_id, sizeof record.trace_id);
    memcpy(record.span_id, span->span_id, sizeof record.span_id);
    memcpy(record.parent_id, span->parent_id, sizeof record.parent_id);
    return record;
}

void pipeline_time_request(
    struct pipeline_timing *timing, const struct span *span, const struct request *request)
{
    if (!is_joined(timing, span->trace_id)) {
        return;
    }
    struct timing record = timing_of_request(request);

    memcpy(record.parent_id, span->parent_id, sizeof record.parent_id);
    record.sender = pod_of(timing, span, request->sender);
    record.version = name_of(timing, &timing->version, span->resource->version);
    add(timing, &record);
}

void pipeline_time_attempt(
    struct pipeline_timing *timing, const struct span *span, const struct attempt *attempt)
{
    if (!is_joined(timing, span->trace_id)) {
        return;
    }
    struct timing record = timing_of_span(span);

    if (attempt->reporter == REPORTER_SOURCE) {
        record.side = TIMING_ATTEMPT;
    }
    record.source = attempt->source;
    record.source_namespace = attempt->source_namespace;
    record.destination = attempt->destination;
    record.destination_namespace = attempt->destination_namespace;
    record.mesh = attempt->mesh;
    add(timing, &record);
}

void pipeline_time_other(struct pipeline_timing *timing, const struct span *span)
{
    if (is_joined(timing, span->trace_id)) {
        struct timing record = timing_of_span(span);
        add(timing, &record);
    }
}

void pipeline_time_native(struct pipeline_timing *timing, const struct request *request,
    const uint8_t *parent_id, uint32_t instance)
{
    if (!is_joined(timing, request->trace_id)) {
        return;
    }
    struct timing record = timing_of_request(request);

    if (parent_id != NULL) {
        memcpy(record.parent_id, parent_id, sizeof record.parent_id);
    }
    if (instance != INTERNED_NONE) {
        record.sender = instance;
    }
    add(timing, &record);
}

/* ---- start and stop ---- */

int pipeline_timing_init(struct pipeline_timing *timing, const struct pipeline_timing_config *config,
    struct context *context, uint32_t shard, uint32_t strings_count_max, struct metric_cells *cells)
{
    *timing = (struct pipeline_timing){.config = *config, .context = context, .cells = cells, .shard = shard};
    return is_wanted(timing) ? timing_writer_init(&timing->writer, context->interner, strings_count_max) : 0;
}

void pipeline_timing_start(struct pipeline_timing *timing, uv_loop_t *loop)
{
    if (is_wanted(timing)) {
        (void)uv_timer_init(loop, &timing->timer);
        timing->timer.data = timing;
    }
}

void pipeline_timing_close(struct pipeline_timing *timing)
{
    if (is_wanted(timing) && !timing->is_closing) {
        pipeline_timing_flush(timing);
        timing->is_closing = true;
        uv_close((uv_handle_t *)&timing->timer, NULL);
    }
}

void pipeline_timing_deinit(struct pipeline_timing *timing)
{
    timing_writer_deinit(&timing->writer);
}
