/* Native frames through a real connection and a shard's record path: spans and points, each reason to drop
 * them, duplicates, what clients say of their own losses; after each the whole ledger. */
#include <errno.h>
#include <math.h>

#include "aggregate/directory_internal.h"
#include "proto/weft/v1/frame.h"
#include "native_client.h"

/* Adds `count` strings "PREFIX0" …; the first one's id. */
static uint32_t tell_strings(struct client *client, const char *prefix, size_t count)
{
    static char texts[SERIES_MAX][40];
    static ProtobufCBinaryData entries[SERIES_MAX];
    Weft__V1__Dictionary dictionary = WEFT__V1__DICTIONARY__INIT;
    uint32_t first = (uint32_t)client->base_count + 1;

    assert_true(count <= SERIES_MAX);
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(texts[i], sizeof texts[i], "%s%zu", prefix, i);
        entries[i] = (ProtobufCBinaryData){.len = (size_t)length, .data = (uint8_t *)texts[i]};
    }
    dictionary.first_id = first;
    dictionary.n_entries = count;
    dictionary.entries = entries;
    send_message(client, NATIVE_TYPE_DICTIONARY, &dictionary.base, false);
    client->base_count += count;
    return first;
}

/* ---- spans ---- */

/* A batch of good spans, in columns that a test changes before it is sent. */
struct span_columns {
    uint8_t trace_ids[16 * BATCH_COUNT_MAX];
    uint8_t span_ids[8 * BATCH_COUNT_MAX];
    int64_t offsets[BATCH_COUNT_MAX];
    uint64_t durations[BATCH_COUNT_MAX];
    uint32_t reporters[BATCH_COUNT_MAX];
    uint32_t destinations[BATCH_COUNT_MAX];
    uint32_t codes[BATCH_COUNT_MAX];
    uint32_t attempts[BATCH_COUNT_MAX];
};

static void fill_spans(struct span_columns *columns, uint32_t destination)
{
    memset(columns, 0, sizeof *columns);
    for (size_t i = 0; i < BATCH_COUNT_MAX; i++) {
        columns->trace_ids[16 * i] = columns->span_ids[8 * i] = 1;
        columns->durations[i] = 3000000;
        columns->reporters[i] = WEFT__V1__REPORTER__REPORTER_SOURCE;
        columns->destinations[i] = destination;
        columns->codes[i] = 200;
        columns->attempts[i] = 1;
    }
}

static void send_spans(struct client *client, struct span_columns *columns, uint64_t sequence, uint32_t count)
{
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;

    batch.sequence = sequence;
    batch.span_count = count;
    batch.base_time_unix_ns = RIG_NOW_UNIX_NS;
    batch.trace_ids = (ProtobufCBinaryData){.len = 16 * (size_t)count, .data = columns->trace_ids};
    batch.span_ids = (ProtobufCBinaryData){.len = 8 * (size_t)count, .data = columns->span_ids};
    batch.n_start_offset_ns = batch.n_duration_ns = batch.n_reporter = batch.n_destination =
        batch.n_response_code = batch.n_attempts = count;
    batch.start_offset_ns = columns->offsets;
    batch.duration_ns = columns->durations;
    batch.reporter = columns->reporters;
    batch.destination = columns->destinations;
    batch.response_code = columns->codes;
    batch.attempts = columns->attempts;
    send_message(client, NATIVE_TYPE_SPANS, &batch.base, sequence > 0);
}

static void spans_are_counted_and_exported(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    native_begin(&n, &client, rig_exporting);
    fill_spans(&columns, tell_strings(&client, "service", 1));
    columns.trace_ids[16 * 4] = 0; /* of no trace: counted, not exported */
    send_spans(&client, &columns, 1, 5);
    send_spans(&client, &columns, 2, 0);
    send_spans(&client, &columns, 3, 300);
    assert_int_equal(client.last_error, 0);
    assert_int_equal(client.rejected_spans, 0);
    /* Two segments: the second batch did not fit beside the first, which was handed over. */
    rig_expect(&n.rig, METRIC_SPANS_EXPORT_OFFERED, 4);
    rig_expect(&n.rig, METRIC_EXPORT_SPANS_HANDED, 4);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 305);
    rig_expect_spans(&n.rig, 305);
    rig_expect_exported(&n.rig, 299);
    native_end(&n, &client);
}

static void spans_in_anothers_name_are_refused(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    rig_init(&n.rig);
    native_rig_start(&n, rig_exporting);
    client_open(&n, &client, 1, "pod/bank/web/web-0");
    fill_spans(&columns, tell_strings(&client, "service", 1));
    client.peer.dictionary.is_conflict = true; /* what its hello said is not what the kernel says */
    send_spans(&client, &columns, 1, 2);
    assert_int_equal(client.rejected_spans, 0); /* it is only counted */
    n.rig.pipeline.context.refuse_conflicts = true;
    send_spans(&client, &columns, 2, 3);
    assert_int_equal(client.rejected_spans, 3);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 5);
    rig_expect(&n.rig, METRIC_SPANS_DROPPED_IDENTITY, 3);
    rig_expect_spans(&n.rig, 2);
    rig_expect_exported(&n.rig, 2);
    native_end(&n, &client);
}

static void each_reason_drops_a_span(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    native_begin(&n, &client, rig_exporting);
    uint32_t known = tell_strings(&client, "service", 3);
    fill_spans(&columns, known);
    columns.span_ids[8 * 1] = 0;
    columns.offsets[2] = INT64_MIN;
    columns.offsets[3] = 40 * 86400 * (int64_t)RIG_SECOND_NS;
    columns.destinations[4] = known + 3;
    columns.destinations[5] = UINT32_MAX;
    columns.reporters[6] = 0;
    columns.reporters[7] = 4;
    columns.attempts[8] = 1u << 20;
    columns.durations[9] = UINT64_MAX;
    send_spans(&client, &columns, 1, 12);
    assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_RECORD);
    assert_int_equal(client.last_record, 2); /* index + 1 of the first */
    assert_int_equal(client.rejected_spans, 9);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 12);
    rig_expect(&n.rig, METRIC_SPANS_DROPPED_SPAN_ID, 1);
    rig_expect(&n.rig, METRIC_SPANS_DROPPED_TIME, 3);
    rig_expect(&n.rig, METRIC_SPANS_DROPPED_DICTIONARY, 2);
    rig_expect(&n.rig, METRIC_SPANS_DROPPED_MALFORMED, 3);
    rig_expect_spans(&n.rig, 3);
    rig_expect_exported(&n.rig, 3);
    native_end(&n, &client);
}

static void resent_spans_are_duplicates(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    native_begin(&n, &client, rig_exporting);
    fill_spans(&columns, tell_strings(&client, "service", 1));
    send_spans(&client, &columns, 1, 4);
    send_spans(&client, &columns, 1, 4);
    client_close(&client);
    /* The same instance, connected anew, sends its last batch again before the next one. */
    client_open(&n, &client, 1, "process/a:1");
    fill_spans(&columns, tell_strings(&client, "service", 1));
    send_spans(&client, &columns, 1, 4);
    send_spans(&client, &columns, 2, 3);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 15);
    rig_expect(&n.rig, METRIC_SPANS_DROPPED_DUPLICATE, 8);
    rig_expect_spans(&n.rig, 7);
    rig_expect_exported(&n.rig, 7);
    native_end(&n, &client);
}

/* While memory of values is full a batch is refused whole, and taken when it comes again after a flip. */
static void batches_wait_while_memory_is_full(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    native_begin(&n, &client, rig_exporting);
    fill_spans(&columns, tell_strings(&client, "service", 1));
    n.rig.pipeline.directory->is_full = true;
    send_spans(&client, &columns, 1, 4);
    assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE);
    n.rig.expected[METRIC_MESSAGES_ACCEPTED_NATIVE]--; /* send_spans expects what is sent to be taken */
    rig_expect(&n.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&n.rig);
    rig_flip(&n.rig);
    send_spans(&client, &columns, 1, 4);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 4);
    rig_expect_spans(&n.rig, 4);
    rig_expect_exported(&n.rig, 4);
    native_end(&n, &client);
}

static void a_refused_payload_counts_no_record(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    native_begin(&n, &client, rig_exporting);
    fill_spans(&columns, tell_strings(&client, "service", 1));
    send_spans(&client, &columns, 0, 2); /* without a sequence */
    assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED);
    send_frame(&client, NATIVE_TYPE_SPANS, "\x0a\x7f", 2);
    send_frame(&client, NATIVE_TYPE_METRICS, "\x0a\x7f", 2);
    send_frame(&client, NATIVE_TYPE_CLIENT_STATS, "\x0a\x7f", 2);
    send_frame(&client, NATIVE_TYPE_DICTIONARY, "\x0a\x7f", 2);
    rig_expect(&n.rig, METRIC_MESSAGES_REFUSED_MALFORMED, 5);
    rig_check(&n.rig);
    /* The connection goes on. */
    send_spans(&client, &columns, 1, 2);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect_spans(&n.rig, 2);
    rig_expect_exported(&n.rig, 2);
    native_end(&n, &client);
}

static void a_client_killed_in_a_frame_leaves_the_ledger_even(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;
    uint8_t header[NATIVE_HEADER_BYTES];

    (void)state;
    native_begin(&n, &client, rig_exporting);
    fill_spans(&columns, tell_strings(&client, "service", 1));
    send_spans(&client, &columns, 1, 5);
    native_header_write(header, (struct native_header){.payload_bytes = 1000, .type = NATIVE_TYPE_SPANS});
    send_bytes(&client, header, sizeof header);
    send_bytes(&client, "\x08\x02\x10\x05", 4);
    client_close(&client);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 5);
    rig_expect(&n.rig, METRIC_MESSAGES_CUT, 1);
    rig_expect_spans(&n.rig, 5);
    rig_expect_exported(&n.rig, 5);
    native_rig_stop(&n);
}

static void an_exporter_that_ended_loses_spans(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct span_columns columns;

    (void)state;
    native_begin(&n, &client, rig_exporting);
    fill_spans(&columns, tell_strings(&client, "service", 1));
    rig_end_exporter(&n.rig);
    send_spans(&client, &columns, 1, 6);
    span_segment_flush(&n.rig.pipeline.segment);
    rig_expect(&n.rig, METRIC_SPANS_EXPORT_LOST, 6);
    n.rig.pipeline.segment.bytes.cap_bytes = SEGMENT_BYTES - 1; /* no room for the second at all */
    send_spans(&client, &columns, 2, 3);
    rig_expect(&n.rig, METRIC_SPANS_EXPORT_LOST, 3);
    client_close(&client);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 9);
    rig_expect_spans(&n.rig, 9);
    native_rig_stop(&n);
}

/* ---- points ---- */

struct points {
    Weft__V1__MetricBatch batch;
    Weft__V1__Series series[SERIES_MAX];
    Weft__V1__Series *series_list[SERIES_MAX];
    uint32_t counter_series[BATCH_COUNT_MAX];
    double counter_values[BATCH_COUNT_MAX];
    uint32_t gauge_series[BATCH_COUNT_MAX];
    double gauge_values[BATCH_COUNT_MAX];
    Weft__V1__HistogramPoint histograms[BATCH_COUNT_MAX];
    Weft__V1__HistogramPoint *histogram_list[BATCH_COUNT_MAX];
    uint64_t buckets[4];
    uint32_t series_count; /* told so far on the connection */
};

static void points_begin(struct points *points)
{
    weft__v1__metric_batch__init(&points->batch);
    points->batch.time_unix_ns = RIG_NOW_UNIX_NS;
    points->batch.series = points->series_list;
    points->batch.counter_series = points->counter_series;
    points->batch.counter_values = points->counter_values;
    points->batch.gauge_series = points->gauge_series;
    points->batch.gauge_values = points->gauge_values;
    points->batch.histograms = points->histogram_list;
    memcpy(points->buckets, (const uint64_t[]){1, 0, 2, 3}, sizeof points->buckets);
}

static uint32_t add_series(struct points *points, Weft__V1__MetricType type, uint32_t name)
{
    Weft__V1__Series *series = &points->series[points->batch.n_series];

    weft__v1__series__init(series);
    series->id = ++points->series_count;
    series->type = type;
    series->name = name;
    points->series_list[points->batch.n_series++] = series;
    return series->id;
}

static void add_counter(struct points *points, uint32_t series, double value)
{
    points->counter_series[points->batch.n_counter_series++] = series;
    points->counter_values[points->batch.n_counter_values++] = value;
}

static void add_gauge(struct points *points, uint32_t series, double value)
{
    points->gauge_series[points->batch.n_gauge_series++] = series;
    points->gauge_values[points->batch.n_gauge_values++] = value;
}

static Weft__V1__HistogramPoint *add_histogram(struct points *points, uint32_t series)
{
    Weft__V1__HistogramPoint *point = &points->histograms[points->batch.n_histograms];

    weft__v1__histogram_point__init(point);
    point->series = series;
    point->scale = 3;
    point->sum = 1.5;
    point->n_buckets = 4;
    point->buckets = points->buckets;
    points->histogram_list[points->batch.n_histograms++] = point;
    return point;
}

static void send_points(struct client *client, struct points *points, uint64_t sequence)
{
    points->batch.sequence = sequence;
    send_message(client, NATIVE_TYPE_METRICS, &points->batch.base, true);
}

static void expect_points(struct rig *rig, uint64_t count)
{
    rig_expect_merged(rig, METRIC_POINTS_RECORDED, METRIC_POINTS_AGGREGATED, count);
}

static void points_of_each_type_are_counted(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct points points;

    (void)state;
    native_begin(&n, &client, NULL);
    uint32_t name = tell_strings(&client, "metric", 3);
    memset(&points, 0, sizeof points);
    points_begin(&points);
    uint32_t counter = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, name);
    uint32_t gauge = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE, name + 1);
    uint32_t histogram = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_HISTOGRAM, name + 2);
    send_points(&client, &points, 0); /* a declaration outside of the sequence counts nothing */
    rig_check(&n.rig);
    points_begin(&points);
    add_counter(&points, counter, 5);
    add_counter(&points, counter, 7);
    add_gauge(&points, gauge, NAN);
    (void)add_histogram(&points, histogram);
    (void)add_histogram(&points, histogram);
    send_points(&client, &points, 1);
    send_points(&client, &points, 1);
    assert_int_equal(client.last_error, 0);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, 10);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_DUPLICATE, 5);
    expect_points(&n.rig, 5);
    native_end(&n, &client);
}

static void each_reason_drops_a_point(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct points points;

    (void)state;
    native_begin(&n, &client, NULL);
    uint32_t name = tell_strings(&client, "metric", 3);
    memset(&points, 0, sizeof points);
    points_begin(&points);
    uint32_t counter = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, name);
    uint32_t histogram = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_HISTOGRAM, name + 1);
    uint32_t untyped = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_UNSPECIFIED, name + 2);
    add_counter(&points, counter, -1);
    add_counter(&points, counter, INFINITY);
    add_counter(&points, counter, 1);
    add_counter(&points, histogram, 1); /* not of its type */
    add_counter(&points, untyped, 1);
    add_counter(&points, untyped + 1, 1); /* unknown */
    add_counter(&points, 0, 1);
    add_histogram(&points, histogram)->scale = 99;
    add_histogram(&points, histogram)->sum = NAN;
    (void)add_histogram(&points, histogram);
    send_points(&client, &points, 1);
    assert_int_equal(client.rejected_points, 8);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, 10);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_MALFORMED, 6);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_DICTIONARY, 2);
    expect_points(&n.rig, 2);

    points_begin(&points);
    add_counter(&points, counter, 2);
    add_counter(&points, counter, 3);
    points.batch.time_unix_ns = RIG_NOW_UNIX_NS - 40 * 86400 * RIG_SECOND_NS;
    send_points(&client, &points, 2);
    points.batch.time_unix_ns = RIG_NOW_UNIX_NS + 40 * 86400 * RIG_SECOND_NS;
    send_points(&client, &points, 3);
    assert_int_equal(client.rejected_points, 12);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, 4);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_TIME, 4);
    rig_check(&n.rig);
    native_end(&n, &client);
}

static void points_past_the_series_limit_are_dropped(void **state)
{
    enum { COUNT = 200, LIMIT = 256, SHARE = LIMIT / 2 };
    struct native_rig n = {0};
    struct client client;
    static struct points points;

    (void)state;
    rig_init(&n.rig);
    n.rig.limits.series_count_max = LIMIT;
    native_rig_start(&n, NULL);
    client_open(&n, &client, 1, "process/a:1");
    uint32_t name = tell_strings(&client, "metric", COUNT);
    memset(&points, 0, sizeof points);
    points_begin(&points);
    for (uint32_t i = 0; i < COUNT; i++) {
        add_counter(&points, add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, name + i), 1);
    }
    send_points(&client, &points, 1);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, COUNT);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_SERIES, COUNT - SHARE);
    expect_points(&n.rig, SHARE);
    native_end(&n, &client);
}

/* Names that found no room: their series cannot be told from others, so that their points are refused. */
static void points_without_room_for_their_names_are_dropped(void **state)
{
    enum { COUNT = 400 };
    struct native_rig n = {0};
    struct client client;
    static struct points points;

    (void)state;
    rig_init(&n.rig);
    n.rig.limits.strings_count_max = 256;
    native_rig_start(&n, NULL);
    client_open(&n, &client, 1, "process/a:1");
    uint32_t name = tell_strings(&client, "metric", COUNT);
    memset(&points, 0, sizeof points);
    points_begin(&points);
    add_counter(&points, add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, name), 1);
    add_counter(
        &points, add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, name + COUNT - 1), 1);
    send_points(&client, &points, 1);
    assert_int_equal(client.rejected_points, 1);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, 2);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_SERIES, 1);
    expect_points(&n.rig, 1);
    native_end(&n, &client);
}

/* The aggregator finds that one name has two types: what was recorded is withdrawn. */
static void points_of_a_second_type_are_withdrawn(void **state)
{
    struct native_rig n = {0};
    struct client client;
    static struct points points;

    (void)state;
    native_begin(&n, &client, NULL);
    uint32_t name = tell_strings(&client, "metric", 1);
    memset(&points, 0, sizeof points);
    points_begin(&points);
    uint32_t counter = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, name);
    uint32_t gauge = add_series(&points, WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE, name);
    add_counter(&points, counter, 1);
    add_gauge(&points, gauge, 1);
    add_gauge(&points, gauge, 2);
    send_points(&client, &points, 1);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, 3);
    rig_expect(&n.rig, METRIC_POINTS_RECORDED, 3);
    rig_check(&n.rig);
    rig_flip(&n.rig);
    rig_expect(&n.rig, METRIC_POINTS_AGGREGATED, 1);
    rig_expect(&n.rig, METRIC_POINTS_WITHDRAWN, 2);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_CONFLICT, 2);
    rig_check(&n.rig);

    /* From then on the shard itself refuses. */
    points_begin(&points);
    add_gauge(&points, gauge, 3);
    send_points(&client, &points, 2);
    rig_expect(&n.rig, METRIC_POINTS_RECEIVED, 1);
    rig_expect(&n.rig, METRIC_POINTS_DROPPED_SERIES, 1);
    rig_check(&n.rig);
    native_end(&n, &client);
}

/* ---- what clients say ---- */

static void clients_losses_are_cumulative(void **state)
{
    struct native_rig n = {0};
    struct client client;
    Weft__V1__ClientStats stats = WEFT__V1__CLIENT_STATS__INIT;

    (void)state;
    native_begin(&n, &client, NULL);
    stats.dropped_spans = 10;
    stats.dropped_points = 3;
    send_message(&client, NATIVE_TYPE_CLIENT_STATS, &stats.base, false);
    stats.dropped_spans = 25;
    send_message(&client, NATIVE_TYPE_CLIENT_STATS, &stats.base, false);
    send_message(&client, NATIVE_TYPE_CLIENT_STATS, &stats.base, false);
    stats.dropped_spans = 4; /* overtaken: an instance's sum never falls */
    stats.dropped_points = 9;
    send_message(&client, NATIVE_TYPE_CLIENT_STATS, &stats.base, false);
    rig_expect(&n.rig, METRIC_CLIENT_DROPPED_SPANS, 25);
    rig_expect(&n.rig, METRIC_CLIENT_DROPPED_POINTS, 9);
    rig_check(&n.rig);
    client_close(&client);

    /* The same instance on a new connection says the same sum again, another its own. */
    client_open(&n, &client, 1, "process/a:1");
    stats.dropped_spans = 26;
    send_message(&client, NATIVE_TYPE_CLIENT_STATS, &stats.base, false);
    client_close(&client);
    client_open(&n, &client, 2, "process/a:1");
    send_message(&client, NATIVE_TYPE_CLIENT_STATS, &stats.base, false);
    rig_expect(&n.rig, METRIC_CLIENT_DROPPED_SPANS, 1 + 26);
    rig_expect(&n.rig, METRIC_CLIENT_DROPPED_POINTS, 9);
    rig_check(&n.rig);
    native_end(&n, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_counted_and_exported),
        cmocka_unit_test(each_reason_drops_a_span),
        cmocka_unit_test(spans_in_anothers_name_are_refused),
        cmocka_unit_test(resent_spans_are_duplicates),
        cmocka_unit_test(batches_wait_while_memory_is_full),
        cmocka_unit_test(a_refused_payload_counts_no_record),
        cmocka_unit_test(a_client_killed_in_a_frame_leaves_the_ledger_even),
        cmocka_unit_test(an_exporter_that_ended_loses_spans),
        cmocka_unit_test(points_of_each_type_are_counted),
        cmocka_unit_test(each_reason_drops_a_point),
        cmocka_unit_test(points_past_the_series_limit_are_dropped),
        cmocka_unit_test(points_without_room_for_their_names_are_dropped),
        cmocka_unit_test(points_of_a_second_type_are_withdrawn),
        cmocka_unit_test(clients_losses_are_cumulative),
    };

    return cmocka_run_group_tests_name("pipeline_native", tests, NULL, NULL);
}
