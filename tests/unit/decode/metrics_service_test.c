/* Envoy's metrics service: the identifier, each type of family, what is refused and how much goes with it;
 * recorded streams recounted. */
#include "decode/metrics_service.h"

#include <math.h>

#include "testing.h"
#include "unit/wire_parts.h"

enum { SEEN_MAX = 16 };

struct seen {
    struct sent_point points[SEEN_MAX];
    uint64_t buckets[SEEN_MAX][4];
    double bounds[SEEN_MAX][4];
    struct sent_label labels[SEEN_MAX][2];
    struct sent_quantile quantiles[SEEN_MAX][2];
    char names[SEEN_MAX][64];
    uint32_t point_count;
    struct decode_error refused[SEEN_MAX];
    uint32_t refused_count;
    struct decode_error error;
    int status;
};

static struct sent_point_scratch scratch;
static struct seen seen;

static void on_point(void *user, const struct sent_point *point, uint32_t record)
{
    struct seen *all = user;
    uint32_t i = all->point_count++;

    assert_int_equal(record, i + all->refused_count);
    if (i >= SEEN_MAX) {
        return;
    }
    all->points[i] = *point;
    (void)snprintf(
        all->names[i], sizeof all->names[i], "%.*s", (int)point->name.length, (const char *)point->name.ptr);
    for (size_t j = 0; j < 4; j++) {
        all->buckets[i][j] = j < point->bucket_count ? point->buckets[j] : 0;
        all->bounds[i][j] = j < point->bound_count ? point->bounds[j] : 0;
    }
    memcpy(all->labels[i], point->labels,
        (point->label_count < 2 ? point->label_count : 2) * sizeof(struct sent_label));
    memcpy(all->quantiles[i], point->quantiles,
        (point->quantile_count < 2 ? point->quantile_count : 2) * sizeof(struct sent_quantile));
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *all = user;
    uint32_t i = all->refused_count++;

    assert_int_equal(where->record, i + all->point_count);
    assert_true(where->code < 0 && where->reason != RECORD_ERROR_NONE);
    if (i < SEEN_MAX) {
        all->refused[i] = *where;
    }
}

static void scan(struct slice message)
{
    struct metrics_service_sink sink = {.user = &seen, .on_point = on_point, .on_refused = on_refused};

    seen = (struct seen){.point_count = 0};
    seen.status = metrics_service_scan(&scratch, message, &sink, &seen.error);
}

static void check_refused(uint32_t i, enum record_error reason, const char *field)
{
    assert_true(i < seen.refused_count);
    assert_string_equal(record_error_name(seen.refused[i].reason), record_error_name(reason));
    assert_string_equal(seen.refused[i].field, field);
}

/* ---- messages ---- */

static void family_begin(struct parts *parts, const char *name, uint64_t type)
{
    begin(parts, 2);
    wire_write_bytes(&parts->out, 1, slice_of_string(name));
    wire_write_bytes(&parts->out, 2, SLICE_LITERAL("Help."));
    wire_write_varint(&parts->out, 3, type);
}

static void put_number(struct parts *parts, uint32_t number, double value)
{
    begin(parts, 4);
    begin(parts, 1);
    wire_write_bytes(&parts->out, 1, SLICE_LITERAL("envoy.cluster_name"));
    wire_write_bytes(&parts->out, 2, SLICE_LITERAL("reviews"));
    end(parts);
    begin(parts, number);
    put_double(parts, 1, value);
    end(parts);
    wire_write_varint(&parts->out, 6, TEST_NOW_UNIX_NS / 1000000);
    end(parts);
}

static void message_end(struct parts *parts)
{
    scan(parts_end(parts));
}

static void numbers_are_read_as_their_family_says(void **state)
{
    static const struct {
        uint64_t type;
        uint32_t number;
        enum sent_point_type read_as;
    } cases[] = {{0, 3, SENT_COUNTER}, {1, 2, SENT_GAUGE}, {3, 5, SENT_GAUGE}};
    struct parts parts;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        parts_begin(&parts);
        family_begin(&parts, "cluster.upstream_rq", cases[i].type);
        put_number(&parts, cases[i].number, 17);
        message_end(&parts);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.point_count, 1);
        assert_int_equal(seen.points[0].type, cases[i].read_as);
        assert_int_equal(seen.points[0].is_bare, cases[i].type == 0);
        assert_true(seen.points[0].value == 17);
        assert_string_equal(seen.names[0], "cluster.upstream_rq");
        assert_true(slice_equal(seen.points[0].help, SLICE_LITERAL("Help.")));
        assert_true(seen.points[0].time_unix_ns == TEST_NOW_UNIX_NS);
        assert_int_equal(seen.points[0].label_count, 1);
        assert_true(slice_equal(seen.labels[0][0].name, SLICE_LITERAL("envoy.cluster_name")));
        assert_true(slice_equal(seen.labels[0][0].value, SLICE_LITERAL("reviews")));
        buffer_deinit(&parts.out);
    }
}

static void what_contradicts_its_family_is_refused(void **state)
{
    struct parts parts;

    (void)state;
    parts_begin(&parts);
    family_begin(&parts, "a", 0);
    put_number(&parts, 2, 1); /* a gauge among counters */
    put_number(&parts, 3, -1);
    put_number(&parts, 3, NAN);
    put_number(&parts, 3, 1);
    end(&parts);
    family_begin(&parts, "", 0);
    put_number(&parts, 3, 1);
    end(&parts);
    family_begin(&parts, "b", 9); /* a type that is not known */
    put_number(&parts, 3, 1);
    end(&parts);
    family_begin(&parts, "c", 1); /* any value is a gauge's */
    put_number(&parts, 2, NAN);
    message_end(&parts);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.point_count, 2);
    check_refused(0, RECORD_ERROR_MALFORMED, "type");
    check_refused(1, RECORD_ERROR_MALFORMED, "value");
    check_refused(2, RECORD_ERROR_MALFORMED, "value");
    check_refused(3, RECORD_ERROR_MALFORMED, "name");
    check_refused(4, RECORD_ERROR_MALFORMED, "type");
    assert_int_equal(seen.refused_count, 5);
    buffer_deinit(&parts.out);
}

static void put_histogram(
    struct parts *parts, uint64_t count, const double *bounds, const uint64_t *upto, size_t bucket_count)
{
    begin(parts, 4);
    begin(parts, 7);
    wire_write_varint(&parts->out, 1, count);
    put_double(parts, 2, 12.5);
    for (size_t i = 0; i < bucket_count; i++) {
        begin(parts, 3);
        wire_write_varint(&parts->out, 1, upto[i]);
        put_double(parts, 2, bounds[i]);
        end(parts);
    }
    end(parts);
    end(parts);
}

static void histograms_add_what_their_interval_held(void **state)
{
    static const double bounds[] = {0.5, 1, INFINITY};
    static const double falling[] = {1, 0.5};
    static const double no_number[] = {NAN};
    static const uint64_t upto[] = {1, 4, 9};
    static const uint64_t back[] = {4, 1};
    static double many[SENT_BOUND_COUNT_MAX + 1];
    static uint64_t none[SENT_BOUND_COUNT_MAX + 1];
    struct parts parts;

    (void)state;
    for (size_t i = 0; i < SENT_BOUND_COUNT_MAX + 1; i++) {
        many[i] = (double)i;
    }
    parts_begin(&parts);
    family_begin(&parts, "http.rq_time", 4);
    put_histogram(&parts, 9, bounds, upto, 3);
    put_histogram(&parts, 6, bounds, upto, 2);
    put_histogram(&parts, 0, bounds, upto, 0);
    put_histogram(&parts, 3, bounds, upto, 2); /* less than its buckets */
    put_histogram(&parts, 9, bounds, back, 2);
    put_histogram(&parts, 9, falling, upto, 2);
    put_histogram(&parts, 9, no_number, upto, 1);
    put_histogram(&parts, 0, many, none, SENT_BOUND_COUNT_MAX + 1);
    message_end(&parts);
    assert_int_equal(seen.point_count, 3);
    assert_int_equal(seen.points[0].type, SENT_EXPLICIT);
    assert_true(seen.points[0].is_delta);
    assert_int_equal(seen.points[0].bound_count, 2);
    assert_int_equal(seen.points[0].bucket_count, 3);
    assert_int_equal(seen.buckets[0][0], 1);
    assert_int_equal(seen.buckets[0][1], 3);
    assert_int_equal(seen.buckets[0][2], 5);
    assert_true(seen.bounds[0][1] == 1);
    assert_true(seen.points[0].value == 12.5);
    assert_int_equal(seen.buckets[1][2], 2);
    assert_int_equal(seen.points[2].bucket_count, 1);
    for (uint32_t i = 0; i < 4; i++) {
        check_refused(i, RECORD_ERROR_BUCKETS, "bucket");
    }
    check_refused(4, RECORD_ERROR_MALFORMED, "bucket");
    buffer_deinit(&parts.out);
}

/* No encoder writes a second one; of several the last counts. */
static void a_metric_holds_one_histogram(void **state)
{
    struct parts parts;

    (void)state;
    parts_begin(&parts);
    family_begin(&parts, "http.rq_time", 4);
    begin(&parts, 4);
    for (size_t i = 0; i < 2 * SENT_BUCKET_COUNT_MAX; i++) {
        begin(&parts, 7);
        wire_write_varint(&parts.out, 1, i);
        begin(&parts, 3);
        wire_write_varint(&parts.out, 1, i);
        put_double(&parts, 2, 1);
        end(&parts);
        end(&parts);
    }
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_int_equal(seen.points[0].bound_count, 1);
    assert_int_equal(seen.points[0].bucket_count, 2);
    assert_int_equal(seen.buckets[0][0], 2 * SENT_BUCKET_COUNT_MAX - 1);
    assert_int_equal(seen.buckets[0][1], 0);
    buffer_deinit(&parts.out);
}

static void summaries_get_a_name_of_their_own(void **state)
{
    struct parts parts;

    (void)state;
    parts_begin(&parts);
    family_begin(&parts, "http.rq_time", 2);
    for (int i = 0; i < 2; i++) {
        begin(&parts, 4);
        begin(&parts, 4);
        wire_write_varint(&parts.out, 1, 3);
        put_double(&parts, 2, 4.5);
        begin(&parts, 3);
        put_double(&parts, 1, i == 0 ? 0.5 : -1);
        put_double(&parts, 2, NAN);
        end(&parts);
        end(&parts);
        end(&parts);
    }
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_int_equal(seen.points[0].type, SENT_SUMMARY);
    assert_true(seen.points[0].is_delta);
    assert_string_equal(seen.names[0], "http.rq_time_interval");
    assert_int_equal(seen.points[0].count, 3);
    assert_true(seen.points[0].value == 4.5);
    assert_true(seen.quantiles[0][0].quantile == 0.5 && isnan(seen.quantiles[0][0].value));
    check_refused(0, RECORD_ERROR_MALFORMED, "quantile");
    buffer_deinit(&parts.out);
}

static void limits_hold(void **state)
{
    static const char long_name[SENT_TEXT_BYTES_MAX + 1] = {'a'};
    struct parts parts;

    (void)state;
    parts_begin(&parts);
    family_begin(&parts, "labels", 0);
    for (size_t more = 0; more < 2; more++) {
        begin(&parts, 4);
        for (size_t i = 0; i < SENT_LABEL_COUNT_MAX + more; i++) {
            begin(&parts, 1);
            wire_write_bytes(&parts.out, 1, SLICE_LITERAL("k"));
            end(&parts);
        }
        begin(&parts, 3);
        end(&parts);
        end(&parts);
    }
    begin(&parts, 4); /* a time that no nanoseconds can tell */
    begin(&parts, 3);
    end(&parts);
    wire_write_varint(&parts.out, 6, UINT64_MAX / 1000);
    end(&parts);
    end(&parts);
    family_begin(&parts, "summary", 2);
    begin(&parts, 4);
    begin(&parts, 4);
    for (size_t i = 0; i < SENT_QUANTILE_COUNT_MAX + 1; i++) {
        begin(&parts, 3);
        end(&parts);
    }
    end(&parts);
    end(&parts);
    end(&parts);
    begin(&parts, 2);
    wire_write_bytes(&parts.out, 1, slice_of(long_name, sizeof long_name));
    wire_write_varint(&parts.out, 3, 2);
    begin(&parts, 4);
    begin(&parts, 4);
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_int_equal(seen.points[0].label_count, SENT_LABEL_COUNT_MAX);
    check_refused(0, RECORD_ERROR_MALFORMED, "label");
    check_refused(1, RECORD_ERROR_MALFORMED, "timestamp_ms");
    check_refused(2, RECORD_ERROR_MALFORMED, "quantile");
    assert_int_equal(seen.refused[3].code, WERR_OVERSIZED);
    buffer_deinit(&parts.out);
}

static void the_identifier_is_found(void **state)
{
    struct metrics_service_identifier identifier = {.is_there = true};
    struct parts parts;

    (void)state;
    assert_int_equal(metrics_service_identify(slice_of(NULL, 0), &identifier), 0);
    assert_false(identifier.is_there);
    parts_begin(&parts);
    begin(&parts, 1); /* an identifier without a node names nobody */
    end(&parts);
    assert_int_equal(metrics_service_identify(test_slice(&parts.out), &identifier), 0);
    assert_false(identifier.is_there);
    begin(&parts, 1);
    begin(&parts, 1);
    wire_write_bytes(&parts.out, 1, SLICE_LITERAL("sidecar~1"));
    wire_write_bytes(&parts.out, 2, SLICE_LITERAL("shop"));
    wire_write_bytes(&parts.out, 8, SLICE_LITERAL("extensions"));
    end(&parts);
    end(&parts);
    assert_int_equal(metrics_service_identify(test_slice(&parts.out), &identifier), 0);
    assert_true(identifier.is_there);
    assert_true(slice_equal(identifier.node_id, SLICE_LITERAL("sidecar~1")));
    assert_true(slice_equal(identifier.cluster, SLICE_LITERAL("shop")));
    identifier.is_there = false;
    assert_int_equal(metrics_service_identify(slice_of(parts.out.data, parts.out.length - 1), &identifier),
        WERR_TRUNCATED);
    assert_false(identifier.is_there);
    buffer_deinit(&parts.out);
    for (int depth = 0; depth < 3; depth++) { /* a number where a message is to be */
        parts_begin(&parts);
        for (int i = 0; i < depth; i++) {
            begin(&parts, 1);
        }
        wire_write_varint(&parts.out, 1, 7);
        while (parts.depth > 0) {
            end(&parts);
        }
        assert_int_equal(metrics_service_identify(test_slice(&parts.out), &identifier), WERR_WIRE_TYPE);
        buffer_deinit(&parts.out);
    }
}

static void damage_around_metrics_ends_the_scan(void **state)
{
    struct parts parts;
    struct slice whole;

    (void)state;
    parts_begin(&parts);
    family_begin(&parts, "a", 0);
    put_number(&parts, 3, 1);
    message_end(&parts);
    whole = test_slice(&parts.out);
    for (size_t length = 1; length < whole.length; length++) {
        scan(slice_of(whole.ptr, length));
        assert_true(seen.status < 0);
        assert_int_equal(seen.point_count, 0);
        assert_int_equal(seen.error.code, seen.status);
    }
    buffer_deinit(&parts.out);
    for (uint32_t number = 1; number <= 5; number++) { /* a field of a family that is of another wire type */
        parts_begin(&parts);
        begin(&parts, 2);
        wire_write_fixed64(&parts.out, number, 1);
        message_end(&parts);
        assert_int_equal(seen.status, WERR_WIRE_TYPE);
        buffer_deinit(&parts.out);
    }
    parts_begin(&parts);
    wire_write_varint(&parts.out, 2, 1);
    message_end(&parts);
    assert_int_equal(seen.status, WERR_WIRE_TYPE);
    buffer_deinit(&parts.out);
}

/* Damage within a metric's own length: that one alone. */
static void damaged_metrics_are_refused_alone(void **state)
{
    static const uint32_t numbers[] = {1, 3, 4, 7};
    static const uint64_t types[] = {0, 0, 2, 4};
    struct parts parts;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (uint32_t field = 1; field <= 3; field++) {
            parts_begin(&parts);
            family_begin(&parts, "a", types[i]);
            begin(&parts, 4);
            begin(&parts, numbers[i]);
            wire_write_fixed64(&parts.out, 9, 1);
            wire_write_bytes(&parts.out, 10, SLICE_LITERAL("unknown"));
            buffer_append_byte(&parts.out, (uint8_t)(field << 3 | WIRE_FIXED32));
            buffer_append(&parts.out, "abcd", 4);
            end(&parts);
            end(&parts);
            put_number(&parts, 3, 1);
            message_end(&parts);
            assert_int_equal(seen.status, 0);
            assert_int_equal(seen.point_count + seen.refused_count, 2);
            buffer_deinit(&parts.out);
        }
    }
}

struct recount {
    uint64_t counters;
    uint64_t observations;
    uint64_t summaries;
    bool has_nan;
};

static void on_recorded(void *user, const struct sent_point *point, uint32_t record)
{
    struct recount *recount = user;

    (void)record;
    if (point->type == SENT_COUNTER) {
        recount->counters += (uint64_t)point->value;
    }
    for (size_t i = 0; point->type == SENT_EXPLICIT && i < point->bucket_count; i++) {
        recount->observations += point->buckets[i];
    }
    if (point->type == SENT_SUMMARY) {
        recount->summaries += point->count;
        for (size_t i = 0; i < point->quantile_count; i++) {
            recount->has_nan |= isnan(point->quantiles[i].value);
        }
    }
}

static void check_recording(const char *name, bool are_deltas)
{
    static uint8_t bytes[1 << 18];
    char path[256];
    uint32_t length;
    uint32_t number = 0;
    struct recount recount = {.counters = 0};
    uint64_t first = 0;

    (void)snprintf(path, sizeof path, "%s/tests/corpus/%s", WEFT_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    while (fread(&length, 1, sizeof length, file) == sizeof length) {
        struct metrics_service_sink sink = {
            .user = &recount, .on_point = on_recorded, .on_refused = on_refused};
        struct metrics_service_identifier identifier;
        struct decode_error error;

        assert_true(length <= sizeof bytes && fread(bytes, 1, length, file) == length);
        assert_int_equal(metrics_service_identify(slice_of(bytes, length), &identifier), 0);
        assert_int_equal(identifier.is_there, number == 0);
        assert_int_equal(metrics_service_scan(&scratch, slice_of(bytes, length), &sink, &error), 0);
        first = number++ == 0 ? recount.counters : first;
    }
    (void)fclose(file);
    assert_true(number > 1 && first > 0);
    /* after the load nothing is added: totals are told again, deltas are zeros */
    assert_true(are_deltas ? recount.counters < first + first / 4 : recount.counters > 2 * first - first / 4);
    assert_true(recount.observations > 0 && recount.observations == recount.summaries);
    assert_true(recount.has_nan);
}

static void recorded_streams_recount(void **state)
{
    (void)state;
    seen = (struct seen){.point_count = 0};
    check_recording("envoy.metrics_service", false);
    check_recording("envoy_delta.metrics_service", true);
    assert_int_equal(seen.refused_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_as_their_family_says),
        cmocka_unit_test(what_contradicts_its_family_is_refused),
        cmocka_unit_test(histograms_add_what_their_interval_held),
        cmocka_unit_test(a_metric_holds_one_histogram),
        cmocka_unit_test(summaries_get_a_name_of_their_own),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(the_identifier_is_found),
        cmocka_unit_test(damage_around_metrics_ends_the_scan),
        cmocka_unit_test(damaged_metrics_are_refused_alone),
        cmocka_unit_test(recorded_streams_recount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
