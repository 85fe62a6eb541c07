/* Which traces leave the node; see pipeline_keep.h. */
#include "pipeline/pipeline_keep.h"

#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "config/config.h"
#include "core/error.h"
#include "exporter_thread.h"
#include "pipeline/pipeline.h"

_Static_assert((int)CONFIG_RING_SHARE_BYTES_MIN == (int)RING_SHARE_BYTES_MIN,
    "the configuration asks for what makes a ring");

/* Where a rule of bounds says what is slow, that may be less than what is slow for its series. */
static uint64_t note_min_ms(const struct config *config)
{
    uint64_t rule_ms = bounds_rules_slow_ms_min(&config->metrics.bounds_per_route);
    uint64_t series_ms = config->trace.slow_for_series_min_ms;

    return rule_ms > 0 && rule_ms < series_ms ? rule_ms : series_ms;
}

struct pipeline_keep_config pipeline_keep_config_of(const struct config *config, size_t shard_count)
{
    const struct config_trace *trace = &config->trace;

    return (struct pipeline_keep_config){
        .is_on = true,
        .kept_only = trace->export == CONFIG_TRACE_EXPORT_KEPT,
        .rare_count = (uint8_t)trace->rare_count,
        .linger_ns = trace->linger_ms * 1000000u,
        .triggers =
            {
                .slow_ns = trace->slow_ms * 1000000u,
                .slow_factor = trace->slow_factor,
                .slow_for_series_min_ns = trace->slow_for_series_min_ms * 1000000u,
                .note_min_ns = note_min_ms(config) * 1000000u,
                .baseline_threshold = baseline_threshold(trace->baseline_parts),
                .rate_per_s = (uint32_t)((trace->rate_per_s + shard_count - 1) / shard_count),
            },
    };
}

static void on_timer(uv_timer_t *timer)
{
    struct pipeline *pipeline = timer->data;

    pipeline->keep.timer_armed = false;
    pipeline_keep_flush(pipeline);
}

int pipeline_keep_init(
    struct pipeline *pipeline, const struct pipeline_keep_config *config, bool exports, uv_loop_t *loop)
{
    struct pipeline_keep *keep = &pipeline->keep;
    struct kept_settings settings = {
        .count_max = (uint32_t)pipeline->limits->kept_traces_count_max,
        .linger_ns = config->linger_ns,
        .cells = pipeline->cells,
    };
    uint64_t now_ns = clock_monotonic_ns(pipeline->clock);

    *keep = (struct pipeline_keep){.tell = config->tell, .user = config->user, .is_first = config->is_first};
    if (!config->is_on || pipeline->ring == NULL) {
        return 0;
    }
    if (getrandom(&settings.seed, sizeof settings.seed, GRND_NONBLOCK) < 0) {
        settings.seed = now_ns ^ (uint64_t)(uintptr_t)pipeline;
    }
    int error = kept_init(&keep->kept, &settings);
    if (error < 0) {
        return error;
    }
    triggers_init(&keep->triggers, &config->triggers, pipeline->cells, now_ns);
    buffer_init(&keep->scratch, KEEP_MESSAGE_BYTES_MAX);
    (void)uv_timer_init(loop, &keep->timer);
    keep->timer.data = pipeline;
    keep->has_timer = true;
    keep->is_on = true;
    keep->kept_only = config->kept_only && exports;
    return 0;
}

void pipeline_keep_reconfigure(struct pipeline *pipeline, const struct config *config, size_t shard_count)
{
    struct pipeline_keep_config wanted = pipeline_keep_config_of(config, shard_count);
    uint64_t now_ns = clock_monotonic_ns(pipeline->clock);

    if (pipeline->keep.is_on) {
        triggers_reconfigure(&pipeline->keep.triggers, &wanted.triggers, now_ns);
        kept_set_linger(&pipeline->keep.kept, wanted.linger_ns, now_ns);
    }
}

void pipeline_keep_deinit(struct pipeline *pipeline)
{
    kept_deinit(&pipeline->keep.kept);
    buffer_deinit(&pipeline->keep.scratch);
}

static void arm(struct pipeline_keep *keep, uint64_t delay_ms)
{
    if (!keep->timer_armed && keep->has_timer) {
        keep->timer_armed = true;
        (void)uv_timer_start(&keep->timer, on_timer, delay_ms, 0);
    }
}

/* ---- out ---- */

/* What has not left yet of a trace, to the segment; *bytes_left is what it may still take. 0, or to be tried
 * again: WERR_NOMEM, WERR_FULL when bytes_left is used up. */
static int export_trace(
    struct pipeline *pipeline, const struct kept_notice *notice, uint64_t now_ns, size_t *bytes_left)
{
    struct pipeline_keep *keep = &pipeline->keep;
    uint32_t reasons = kept_reasons(&keep->kept, notice->trace_id, now_ns) | notice->reasons;
    uint8_t attribute[TRIGGER_ATTRIBUTE_BYTES_MAX];
    struct ring_write how = {
        .attribute = slice_of(attribute, trigger_attribute(reasons, attribute)),
        .only_not_kept = true,
        .marks_kept = true,
        .without_access_logs = true,
        .tells_weight = true,
        .baseline_threshold = keep->triggers.settings.baseline_threshold,
    };
    struct ring_written written;

    for (int i = 0; i < KEEP_MESSAGES_COUNT_MAX; i++) {
        if (*bytes_left == 0) {
            return WERR_FULL;
        }
        keep->scratch.length = 0;
        int code = ring_write_trace(pipeline->ring, notice->trace_id, &how, &keep->scratch, &written);
        if (code < 0) {
            keep->scratch.error = 0;
            return code == WERR_NOMEM ? code : 0; /* what is not there any more has expired */
        }
        if (written.spans_count == 0) {
            return 0;
        }
        span_segment_append(
            &pipeline->segment, slice_of(keep->scratch.data, keep->scratch.length), written.spans_count);
        *bytes_left -= keep->scratch.length < *bytes_left ? keep->scratch.length : *bytes_left;
        if (written.left_out_count == 0) {
            return 0;
        }
    }
    return 0;
}

static void tell(struct pipeline_keep *keep)
{
    if (keep->kept.batch_count > 0 && keep->tell != NULL) {
        keep->tell(keep->user, &keep->kept);
    }
    kept_batch_clear(&keep->kept);
}

/* Whether the exporter's thread has so much to do that a copy would only lie about longer than in the ring.
 */
static bool is_exporter_behind(const struct pipeline *pipeline)
{
    return pipeline->segment.exporter != NULL &&
           exporter_thread_behind_bytes(pipeline->segment.exporter) > KEEP_BEHIND_BYTES_MAX;
}

static void flush(struct pipeline *pipeline, size_t bytes_left)
{
    struct pipeline_keep *keep = &pipeline->keep;
    uint64_t now_ns = clock_monotonic_ns(pipeline->clock);
    uint32_t done = 0;

    if (!keep->is_on) {
        return;
    }
    tell(keep);
    while (done < keep->kept.waiting_count &&
           export_trace(pipeline, &keep->kept.waiting[done], now_ns, &bytes_left) == 0) {
        done++;
    }
    kept_left(&keep->kept, done, now_ns);
    kept_expire(&keep->kept, now_ns);
    if (keep->scratch.capacity_bytes > KEEP_SCRATCH_BYTES_KEPT) {
        buffer_deinit(&keep->scratch);
        buffer_init(&keep->scratch, KEEP_MESSAGE_BYTES_MAX);
    }
    if (keep->kept.waiting_count > 0) {
        arm(keep, bytes_left == 0 ? KEEP_REST_DELAY_MS : KEEP_DELAY_MS); /* else memory was short */
    }
}

void pipeline_keep_flush(struct pipeline *pipeline)
{
    flush(pipeline, is_exporter_behind(pipeline) ? 0 : KEEP_FLUSH_BYTES_MAX);
}

void pipeline_keep_close(struct pipeline *pipeline)
{
    if (!pipeline->keep.has_timer) {
        return;
    }
    flush(pipeline, SIZE_MAX);
    uv_close((uv_handle_t *)&pipeline->keep.timer, NULL);
    pipeline->keep.has_timer = false;
}

/* Something of a kept trace has come, or is there. */
static void let_leave(struct pipeline *pipeline, struct kept_entry *entry)
{
    struct pipeline_keep *keep = &pipeline->keep;

    if (!keep->kept_only) {
        return;
    }
    if (!kept_wait(&keep->kept, entry)) {
        struct kept_notice notice = {.reasons = entry->reasons};

        /* Flushing lets go of what is over, and with it perhaps of this entry. */
        memcpy(notice.trace_id, entry->trace_id, sizeof notice.trace_id);
        size_t bytes_left = SIZE_MAX; /* it has no place to wait for more */
        pipeline_keep_flush(pipeline);
        (void)export_trace(pipeline, &notice, clock_monotonic_ns(pipeline->clock), &bytes_left);
    }
    arm(keep, KEEP_DELAY_MS);
}

/* ---- in ---- */

static uint32_t service_hash(struct slice service, struct slice service_namespace)
{
    return (uint32_t)XXH3_64bits_withSeed(service.ptr != NULL ? service.ptr : (const void *)"",
        service.length,
        XXH3_64bits(service_namespace.ptr != NULL ? service_namespace.ptr : (const void *)"",
            service_namespace.length));
}

static uint32_t service_of_request(const struct pipeline *pipeline, const struct request *request)
{
    return service_hash(interner_text(pipeline->interner, request->destination),
        interner_text(pipeline->interner, request->destination_namespace));
}

/* Its trace is not kept, and there are reasons to keep it. */
static void keep_trace(struct pipeline *pipeline, const uint8_t *trace_id, uint32_t reasons, uint32_t service)
{
    struct pipeline_keep *keep = &pipeline->keep;
    uint64_t now_ns = pipeline->context.now_monotonic_ns;
    enum trace_trigger first;

    if (!trigger_allow(&keep->triggers, reasons, service, now_ns, &first) ||
        kept_add(&keep->kept, trace_id, reasons, now_ns) != KEPT_NEW) {
        return;
    }
    LEDGER_ADD(pipeline->cells, (enum metric_id)(METRIC_TRACES_KEPT_ERROR + (unsigned)first), 1);
    if (!kept_announce(&keep->kept, trace_id, reasons)) {
        tell(keep);
        (void)kept_announce(&keep->kept, trace_id, reasons);
    }
    let_leave(pipeline, kept_find(&keep->kept, trace_id, now_ns));
    arm(keep, KEEP_DELAY_MS);
}

static bool is_true(const struct span_value *value)
{
    return value != NULL && (value->is_integer ? value->integer != 0
                                               : slice_equal(value->text, SLICE_LITERAL("true")) ||
                                                     slice_equal(value->text, SLICE_LITERAL("1")));
}

void pipeline_keep_span(struct pipeline *pipeline, const struct span *span, const struct request *request,
    struct record_note note)
{
    struct pipeline_keep *keep = &pipeline->keep;

    if (!keep->is_on) {
        return;
    }
    struct kept_entry *entry = kept_find(&keep->kept, span->trace_id, pipeline->context.now_monotonic_ns);
    if (entry != NULL) {
        let_leave(pipeline, entry);
        return;
    }
    struct trigger_facts facts = {
        .trace_id = span->trace_id,
        .request = request,
        .tracestate = span->tracestate,
        .note = note,
        .is_error = span->status == SPAN_STATUS_ERROR,
        .is_marked = is_true(span_attribute(span, SPAN_ATTRIBUTE_WEFT_KEEP)) ||
                     trigger_baggage_marks(span_text(span, SPAN_ATTRIBUTE_BAGGAGE)),
    };
    uint32_t reasons = trigger_fired(&keep->triggers.settings, &facts);
    if (reasons != 0) {
        keep_trace(pipeline, span->trace_id, reasons,
            request != NULL ? service_of_request(pipeline, request)
                            : service_hash(span->resource->service_name, span->resource->service_namespace));
    }
}

void pipeline_keep_request(struct pipeline *pipeline, const struct request *request, struct record_note note)
{
    struct pipeline_keep *keep = &pipeline->keep;

    if (!keep->is_on) {
        return;
    }
    struct kept_entry *entry = kept_find(&keep->kept, request->trace_id, pipeline->context.now_monotonic_ns);
    if (entry != NULL) {
        let_leave(pipeline, entry);
        return;
    }
    struct trigger_facts facts = {.trace_id = request->trace_id, .request = request, .note = note};
    uint32_t reasons = trigger_fired(&keep->triggers.settings, &facts);
    if (reasons != 0) {
        keep_trace(pipeline, request->trace_id, reasons, service_of_request(pipeline, request));
    }
}

/* What nobody in the process decided is counted once, not by each shard. */
static void count_outside(const struct pipeline *pipeline, uint32_t reasons)
{
    if (!pipeline->keep.is_first) {
        return;
    }
    if ((reasons & TRIGGER_BIT(PEER)) != 0) {
        LEDGER_ADD(pipeline->cells, METRIC_TRACES_KEPT_PEER, 1);
    } else if ((reasons & TRIGGER_BIT(OPERATOR)) != 0) {
        LEDGER_ADD(pipeline->cells, METRIC_TRACES_KEPT_OPERATOR, 1);
    }
}

void pipeline_keep_notices(struct pipeline *pipeline, const struct kept_notice *notices, uint32_t count)
{
    struct pipeline_keep *keep = &pipeline->keep;
    uint64_t now_ns = clock_monotonic_ns(pipeline->clock);

    for (uint32_t i = 0; keep->is_on && i < count; i++) {
        if (kept_add(&keep->kept, notices[i].trace_id, notices[i].reasons, now_ns) != KEPT_NEW) {
            continue;
        }
        count_outside(pipeline, notices[i].reasons);
        if (ring_find_trace(pipeline->ring, notices[i].trace_id, NULL) == 0) {
            let_leave(pipeline, kept_find(&keep->kept, notices[i].trace_id, now_ns));
        }
    }
}
