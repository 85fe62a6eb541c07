/* Making and ending a shard's record path, and what every message begins with; see pipeline.h. */
#include <stdlib.h>

#include "config/config.h"
#include "core/error.h"
#include "pipeline/pipeline.h"

/* A share that is too small for a ring is none: whoever sets limits.trace_ring_bytes to 0 wants it so. */
static int make_ring(struct pipeline *pipeline, const struct pipeline_config *config)
{
    struct ring_settings settings = {
        .share_bytes = config->ring_bytes,
        .span_bytes_max = config->limits->trace_span_bytes_max,
        .spans_count_max = (uint32_t)config->limits->trace_spans_count_max,
        .interner = pipeline->interner,
        .cells = config->cells,
        .clock = config->clock,
        .scanner = &pipeline->scanner,
        .compresses = config->ring_compresses,
    };

    return config->ring_bytes >= RING_SHARE_BYTES_MIN ? ring_new(&settings, &pipeline->ring) : 0;
}

int pipeline_init(struct pipeline *pipeline, const struct pipeline_config *config)
{
    const struct limits *limits = config->limits;

    *pipeline =
        (struct pipeline){.limits = limits, .clock = clock_coarse(config->clock), .cells = config->cells};
    arena_init(&pipeline->arena, PIPELINE_ARENA_FIRST_BYTES,
        (size_t)limits->native_frame_bytes_max * PIPELINE_ARENA_FACTOR);
    otlp_trace_scanner_init(&pipeline->scanner, limits, config->redaction);
    otlp_logs_scanner_init(&pipeline->logs_scanner, &pipeline->scanner);
    pipeline->interner = interner_new((uint32_t)limits->strings_count_max, config->series);
    struct directory_settings settings = {
        .shard = config->shard,
        .interner = pipeline->interner,
        .bounds = config->bounds,
        .limits = limits,
        .budget = config->series,
        .cells = config->cells,
        .clock = config->clock,
        .profiles = config->profiles,
        .rare_count = config->keep.rare_count,
        .dropped_labels = config->dropped_labels,
    };
    pipeline->counts = config->counts;
    held_requests_init(&pipeline->held, pipeline->interner, (size_t)limits->held_requests_count_max);
    pipeline->pending = calloc(1, sizeof *pipeline->pending);
    pipeline->memory = otlp_memory_new();
    pipeline->als_memory = als_memory_new();
    pipeline->log_memos = calloc(1, sizeof *pipeline->log_memos);
    pipeline->metrics = pipeline_metrics_new();
    pipeline->counters_are_deltas = config->counters_are_deltas;
    int error = pipeline->interner != NULL && pipeline->pending != NULL && pipeline->memory != NULL &&
                        pipeline->als_memory != NULL && pipeline->log_memos != NULL &&
                        pipeline->metrics != NULL
                    ? directory_new(&settings, &pipeline->directory)
                    : WERR_NOMEM;
    if (error == 0) {
        error = context_init(&pipeline->context, pipeline->interner, limits, config->cells);
    }
    if (error == 0) {
        error = make_ring(pipeline, config);
    }
    if (error == 0) {
        error = pipeline_timing_init(&pipeline->timing, &config->timing, &pipeline->context, config->shard,
            (uint32_t)limits->strings_count_max, config->cells);
    }
    if (error == 0) {
        error = pipeline_keep_init(pipeline, &config->keep, config->exporter != NULL, config->loop);
    }
    if (error < 0) {
        pipeline_deinit(pipeline);
        return error;
    }
    pipeline->context.counts = config->counts;
    pipeline->context.pods = config->pods;
    pipeline->context.refuse_conflicts = config->refuse_conflicts;
    pipeline->context.meshes = config->meshes;
    pipeline->context.route_rules = config->route_rules;
    pipeline->context.profiles = config->profiles.profiles;
    pipeline->context.cluster = slice_of_string(config->cluster != NULL ? config->cluster : "");
    pipeline_timing_start(&pipeline->timing, config->loop);
    access_log_memos_init(pipeline->log_memos);
    span_segment_init(&pipeline->segment, OTLP_SIGNAL_TRACES, config->loop, config->exporter, config->cells);
    span_segment_init(
        &pipeline->log_segment, OTLP_SIGNAL_LOGS, config->loop, config->log_exporter, config->cells);
    return 0;
}

/* The configuration was checked: whatever does not fit, config/check.c has refused. */
static void read_redaction(struct redaction *redaction, const struct config_redact *config)
{
    _Static_assert((int)CONFIG_REDACT_COUNT_MAX == (int)REDACTION_NAMES_MAX &&
                       (int)CONFIG_REDACT_BYTES_MAX <= (int)REDACTION_NAME_BYTES_MAX,
        "what the configuration takes is what fits");

    redaction_init(redaction);
    for (size_t i = 0; i < config->attributes.count; i++) {
        (void)redaction_add(redaction, config->attributes.items[i]);
    }
}

void pipeline_reconfigure(struct pipeline *pipeline, const struct config *config, size_t shard_count)
{
    struct redaction redaction;

    read_redaction(&redaction, &config->redact);
    otlp_trace_scanner_init(&pipeline->scanner, pipeline->limits, &redaction);
    otlp_memory_clear(pipeline->memory); /* what it knows was read by the rules of before */
    directory_reconfigure(pipeline->directory, (uint8_t)config->trace.rare_count);
    pipeline->context.refuse_conflicts = config->identity.refuse_conflicts;
    pipeline->context.cluster = slice_of_string(config->cluster);
    pipeline_keep_reconfigure(pipeline, config, shard_count);
}

int pipeline_admits(const struct pipeline *pipeline)
{
    if (pipeline->draining) {
        return WERR_CLOSED;
    }
    return directory_is_full(pipeline->directory) ? WERR_NOMEM : 0;
}

void pipeline_batch_begin(struct pipeline *pipeline, const struct sender *sender)
{
    context_batch_begin(&pipeline->context, directory_may_intern(pipeline->directory, sender->interned),
        clock_monotonic_ns(pipeline->clock));
}

void pipeline_close(struct pipeline *pipeline)
{
    pipeline_keep_close(pipeline);
    pipeline_timing_close(&pipeline->timing);
    span_segment_close(&pipeline->segment);
    span_segment_close(&pipeline->log_segment);
}

void pipeline_deinit(struct pipeline *pipeline)
{
    pipeline_keep_deinit(pipeline);
    pipeline_timing_deinit(&pipeline->timing);
    ring_free(pipeline->ring);
    directory_free(pipeline->directory);
    context_deinit(&pipeline->context);
    held_requests_deinit(&pipeline->held);
    interner_free(pipeline->interner);
    free(pipeline->pending);
    free(pipeline->log_memos);
    pipeline_metrics_free(pipeline->metrics);
    als_memory_free(pipeline->als_memory);
    otlp_memory_free(pipeline->memory);
    arena_deinit(&pipeline->arena);
}
