/*
 * One shard's record path, an aggregator and an exporter, all on the test's thread, with a clock that is
 * moved by hand. A test says what each ledger row should have grown by; rig_check compares every one of them,
 * so that an increment too many or too few anywhere is seen.
 */
#ifndef WEFT_TESTS_AGENT_RIG_H
#define WEFT_TESTS_AGENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "aggregate/aggregator.h"
#include "config/config.h"
#include "core/error.h"
#include "core/log.h"
#include "exporter_thread.h"
#include "pipeline/pipeline.h"

#define RIG_NOW_UNIX_NS 1700000000000000000ull
#define RIG_SECOND_NS 1000000000ull

struct rig {
    struct clock_manual clock;
    struct limits limits; /* a test changes them between rig_init and rig_start */
    struct budget series;
    struct split_bounds bounds;
    struct redaction redaction;
    struct metric_registry registry;
    struct metric_cells *shard_cells;
    struct metric_cells *aggregator_cells;
    uv_loop_t loop;
    struct log log;
    struct config *config;
    struct exporter_thread exporter;
    bool exporting;
    enum count_from count_from;       /* as limits */
    uint64_t ring_bytes;              /* likewise; 0: no ring */
    struct pipeline_keep_config keep; /* likewise; zeroes: every span is exported as it comes */
    struct count_sources *counts;
    struct pipeline pipeline;
    struct aggregator *aggregator;
    struct sender sender;
    uint64_t expected[METRIC_COUNT];
};

static const char rig_exporting[] = "exporters:\n"
                                    "  otlp:\n"
                                    "    - name: backend\n"
                                    "      protocol: grpc\n"
                                    "      endpoint: http://127.0.0.1:1\n"
                                    "      signals: [traces]\n"
                                    "      batch:\n"
                                    "        delay_ms: 60000\n";

static inline struct config *rig_config(const char *text)
{
    static const char *const environment[] = {NULL};
    struct config_source source = {.path = "test.yaml", .environment = environment, .is_root = true};
    struct config_error error;
    struct config *config = NULL;
    int status = config_load_text(&source, text, strlen(text), &config, &error);

    if (status < 0) {
        print_error("%s\n", error.text);
    }
    assert_int_equal(status, 0);
    return config;
}

static inline void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    limits_init(&rig->limits);
    redaction_init_default(&rig->redaction);
}

/* config: of the exporters, or NULL for none. */
static inline void rig_start(struct rig *rig, const char *config)
{
    const char *what = NULL;

    clock_manual_init(&rig->clock, 1000 * RIG_SECOND_NS, RIG_NOW_UNIX_NS);
    rig->series.cap_bytes = rig->limits.series_bytes_max;
    assert_int_equal(split_bounds_init(&rig->bounds, bounds_default_ns, bounds_default_count), 0);
    rig->shard_cells = metric_registry_add(&rig->registry, METRIC_SCOPE_SHARD, "0");
    rig->aggregator_cells = metric_registry_add(&rig->registry, METRIC_SCOPE_PROCESS, "");
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    log_init(&rig->log, STDERR_FILENO, LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, &rig->clock.clock);
    if (config != NULL) {
        rig->config = rig_config(config);
        assert_int_equal(exporter_thread_init(&rig->exporter, rig->config, &rig->registry, &rig->clock.clock,
                             &rig->log, &what),
            0);
        rig->exporting = true;
    }
    rig->counts = count_sources_new(rig->count_from, &rig->limits);
    assert_non_null(rig->counts);
    struct pipeline_config pipeline = {
        .limits = &rig->limits,
        .counts = rig->counts,
        .clock = &rig->clock.clock,
        .bounds = &rig->bounds,
        .redaction = &rig->redaction,
        .series = &rig->series,
        .cells = rig->shard_cells,
        .loop = &rig->loop,
        .ring_bytes = rig->ring_bytes,
        .keep = rig->keep,
        .exporter = rig->exporting ? &rig->exporter : NULL,
        .log_exporter =
            rig->exporting && exporter_thread_takes(&rig->exporter, OTLP_SIGNAL_LOGS) ? &rig->exporter : NULL,
    };
    assert_int_equal(pipeline_init(&rig->pipeline, &pipeline), 0);
    struct aggregator_settings settings = {
        .shard_count = 1,
        .bounds = &rig->bounds,
        .limits = &rig->limits,
        .budget = &rig->series,
        .cells = rig->aggregator_cells,
        .clock = &rig->clock.clock,
    };
    assert_int_equal(aggregator_new(&settings, &rig->aggregator), 0);
    sender_id_format(&rig->sender);
    context_sender_bind(&rig->pipeline.context, &rig->sender);
}

/* With the default limits. */
static inline void rig_begin(struct rig *rig, const char *config)
{
    rig_init(rig);
    rig_start(rig, config);
}

/* Segments go when a test flushes them, and not by their timers: those run by the clock of the machine, on
 * which a test may take long. */
static inline void rig_turn(struct rig *rig)
{
    for (int i = 0; i < 4; i++) {
        (void)uv_timer_stop(&rig->pipeline.segment.timer);
        (void)uv_timer_stop(&rig->pipeline.log_segment.timer);
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        if (rig->exporting) {
            (void)uv_run(&rig->exporter.thread.loop, UV_RUN_NOWAIT);
        }
    }
}

/* Everything is given back, to the byte. */
static inline void rig_stop(struct rig *rig)
{
    context_sender_release(&rig->pipeline.context, &rig->sender);
    pipeline_close(&rig->pipeline);
    (void)uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    pipeline_deinit(&rig->pipeline);
    count_sources_free(rig->counts);
    aggregator_free(rig->aggregator);
    assert_int_equal(rig->series.used_bytes, 0);
    if (rig->exporting) {
        exporter_thread_stop(&rig->exporter);
    }
    config_free(rig->config);
    log_deinit(&rig->log);
    metric_registry_deinit(&rig->registry);
}

/* ---- the ledger ---- */

static inline void rig_expect(struct rig *rig, enum metric_id id, uint64_t by)
{
    rig->expected[id] += by;
}

static inline bool rig_is_ledger_row(const struct metric_row *row)
{
    static const char *const families[] = {"weft_records_", "weft_client_dropped_records", "weft_messages_",
        "weft_export_offered", "weft_export_lost", "weft_export_handed_over", "weft_export_sent",
        "weft_export_dropped"};

    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strncmp(row->family, families[i], strlen(families[i])) == 0) {
            return true;
        }
    }
    return false;
}

static inline uint64_t rig_get(const struct rig *rig, enum metric_id id)
{
    return metric_registry_sum(&rig->registry, id);
}

/* received = aggregated + attempts + not a request + superseded + dropped + in flight, which is returned. */
static inline uint64_t rig_balance(const struct rig *rig, const char *signal)
{
    static const struct {
        const char *family;
        int sign;
    } terms[] = {{"weft_records_received", 1}, {"weft_records_aggregated", -1}, {"weft_records_attempts", -1},
        {"weft_records_not_a_request", -1}, {"weft_records_superseded", -1}, {"weft_records_dropped", -1},
        {"weft_records_recorded", -1}, {"weft_records_aggregated", 1}, {"weft_records_withdrawn", 1},
        {"weft_records_held", -1}};
    char label[32];
    int64_t rest = 0;
    int64_t in_flight = 0;

    (void)snprintf(label, sizeof label, "signal=\"%s\"", signal);
    for (int id = 0; id < METRIC_COUNT; id++) {
        if (strstr(metric_rows[id].labels, label) == NULL) {
            continue;
        }
        for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
            if (strcmp(terms[i].family, metric_rows[id].family) == 0) {
                int64_t value = (int64_t)rig_get(rig, (enum metric_id)id);
                rest += terms[i].sign * value;
                in_flight -= i >= 6 ? terms[i].sign * value : 0;
            }
        }
    }
    assert_int_equal(rest, 0);
    assert_true(in_flight >= 0);
    return (uint64_t)in_flight;
}

/*
 * Of spans: received = stored + not stored + dropped; stored = in the ring + kept + expired. What a broken
 * dictionary, a duplicate or another fault drops is never stored.
 */
static inline void rig_check_stored(const struct rig *rig)
{
    uint64_t accounted = rig_get(rig, METRIC_TRACE_STORED_SPANS);

    for (int id = 0; id < METRIC_COUNT; id++) {
        const struct metric_row *row = &metric_rows[id];
        if (strcmp(row->family, "weft_trace_spans_not_stored") == 0 ||
            (strcmp(row->family, "weft_records_dropped") == 0 &&
                strstr(row->labels, "signal=\"spans\"") != NULL)) {
            accounted += rig_get(rig, (enum metric_id)id);
        }
    }
    assert_int_equal(accounted, rig_get(rig, METRIC_SPANS_RECEIVED));
    assert_int_equal(rig_get(rig, METRIC_TRACE_STORED_SPANS), rig_get(rig, METRIC_TRACE_RING_SPANS) +
                                                                  rig_get(rig, METRIC_TRACE_KEPT_SPANS) +
                                                                  rig_get(rig, METRIC_TRACE_EXPIRED_SPANS));
    assert_int_equal(rig_get(rig, METRIC_TRACE_STORED_LOGS),
        rig_get(rig, METRIC_TRACE_RING_LOGS) + rig_get(rig, METRIC_TRACE_EXPIRED_LOGS));
}

/* Every row of the ledger is what was expected of it, and the sides are equal. */
static inline void rig_check(const struct rig *rig)
{
    for (int id = 0; id < METRIC_COUNT; id++) {
        uint64_t value = rig_get(rig, (enum metric_id)id);
        if (rig_is_ledger_row(&metric_rows[id]) && value != rig->expected[id]) {
            print_error("%s{%s} is %llu, expected %llu\n", metric_rows[id].family, metric_rows[id].labels,
                (unsigned long long)value, (unsigned long long)rig->expected[id]);
            fail();
        }
    }
    (void)rig_balance(rig, "spans");
    (void)rig_balance(rig, "metrics");
    (void)rig_balance(rig, "logs");
    rig_check_stored(rig);
}

/* A flip: what was recorded is aggregated, nothing is in flight. */
static inline void rig_flip(struct rig *rig)
{
    struct delta *delta = directory_flip(rig->pipeline.directory);

    assert_non_null(delta);
    aggregator_merge(rig->aggregator, delta);
    directory_give_back(rig->pipeline.directory, delta);
    assert_int_equal(rig_balance(rig, "spans"), 0);
    assert_int_equal(rig_balance(rig, "metrics"), 0);
    assert_int_equal(rig_balance(rig, "logs"), 0);
}

/* Recorded and then aggregated. */
static inline void rig_expect_merged(
    struct rig *rig, enum metric_id recorded, enum metric_id aggregated, uint64_t count)
{
    rig_expect(rig, recorded, count);
    rig_check(rig);
    rig_flip(rig);
    rig_expect(rig, aggregated, count);
    rig_check(rig);
}

static inline void rig_expect_spans(struct rig *rig, uint64_t count)
{
    rig_expect_merged(rig, METRIC_SPANS_RECORDED, METRIC_SPANS_AGGREGATED, count);
}

/* The segment is handed over and taken by the one destination. */
static inline void rig_expect_exported(struct rig *rig, uint64_t count)
{
    span_segment_flush(&rig->pipeline.segment);
    rig_turn(rig);
    rig_expect(rig, METRIC_SPANS_EXPORT_OFFERED, count);
    rig_expect(rig, METRIC_EXPORT_SPANS_HANDED, count);
    rig_check(rig);
    assert_int_equal(rig_get(rig, METRIC_EXPORT_SPANS_QUEUED), rig_get(rig, METRIC_EXPORT_SPANS_HANDED));
}

/* The exporter takes nothing any more: its mailbox is closed. */
static inline void rig_end_exporter(struct rig *rig)
{
    loop_thread_finish(&rig->exporter.thread);
}

#endif
