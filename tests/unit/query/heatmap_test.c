/* /api/v1/heatmap: its columns are the whole window without gaps, and each has what was recorded then. */
#include "../aggregate/fixture.h"

#include <jansson.h>
#include <math.h>

#include "aggregate/windows.h"
#include "core/buffer.h"
#include "query/query.h"

enum { SLOTS = 1000 };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    fixture_start(f, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static json_t *ask(struct fixture *f, const char *const (*pairs)[2], size_t count, unsigned expected)
{
    struct query_sources sources = {
        .aggregator = f->aggregator, .registry = &f->registry, .clock = &f->clock.clock};
    struct query_argument arguments[4];
    struct buffer out;
    json_error_t error;

    for (size_t i = 0; i < count; i++) {
        arguments[i] = (struct query_argument){.name = pairs[i][0], .value = pairs[i][1]};
    }
    buffer_init(&out, 1 << 24);
    assert_true(query_knows("/api/v1/heatmap"));
    assert_int_equal(query_run(&sources, "/api/v1/heatmap", arguments, count, &out), expected);
    json_t *answer = json_loadb((const char *)out.data, out.length, 0, &error);
    assert_non_null(answer);
    buffer_deinit(&out);
    return answer;
}

static double real_at(const json_t *object, const char *key)
{
    assert_true(json_is_number(json_object_get(object, key)));
    return json_number_value(json_object_get(object, key));
}

/* Requests in the last `count` slots, up to and with slot `last`. */
static uint64_t sum_of(const uint64_t *counts, unsigned last, unsigned count)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < count && i <= last; i++) {
        sum += counts[last - i];
    }
    return sum;
}

/* Column by column from the newest: each starts where the one before it ended, and has what its slots had. */
static void check_columns(const json_t *answer, const uint64_t *counts, unsigned slot, double window_s)
{
    const json_t *columns = json_object_get(answer, "columns");
    unsigned slots_seen = 0;
    double covered_s = 0;

    for (size_t i = json_array_size(columns); i-- > 0;) {
        const json_t *column = json_array_get(columns, i);
        double seconds = real_at(column, "seconds");
        bool is_open = i + 1 == json_array_size(columns);
        unsigned slot_count = is_open ? 1 : (unsigned)lround(seconds / WINDOW_SLOT_S);
        const json_t *buckets = json_object_get(column, "buckets");
        uint64_t in_buckets = 0;

        covered_s += seconds;
        assert_true(fabs(real_at(column, "seconds_ago") - covered_s) < 1e-6);
        uint64_t expected = sum_of(counts, slot, slots_seen + slot_count) - sum_of(counts, slot, slots_seen);
        assert_int_equal(real_at(column, "requests"), expected);
        for (size_t j = 0; j < json_array_size(buckets); j++) {
            in_buckets += (uint64_t)json_integer_value(json_array_get(json_array_get(buckets, j), 1));
        }
        assert_int_equal(in_buckets + (uint64_t)real_at(column, "zero_count"), expected);
        slots_seen += slot_count;
    }
    assert_true(covered_s >= window_s || slots_seen >= slot + 1);
    assert_true(covered_s <= window_s * 1.34 + WINDOW_SLOT_S);
}

static void columns_are_the_window_without_gaps(void **state)
{
    static const char *const windows[] = {"10s", "1m", "5m", "15m", "1h"};
    static const double lengths_s[] = {10, 60, 300, 900, 3600};
    static uint64_t counts[SLOTS];
    struct fixture *f = *state;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        counts[slot] = slot % 17 == 5 ? 0 : 1 + slot * 7 % 13;
        for (uint64_t i = 0; i < counts[slot]; i++) {
            struct request request = fixture_request(f, 0, "web", "web", "api", "/orders");
            request.duration_ns = i == 0 ? 0 : i * 3 * MS_NS;
            directory_record(f->directories[0], &request);
        }
        fixture_flip_all(f);
        for (int w = 0; (slot % 37 == 0 || slot < 10) && w < 5; w++) {
            const char *pairs[][2] = {{"destination", "api"}, {"window", windows[w]}};
            json_t *answer = ask(f, pairs, 2, 200);
            check_columns(answer, counts, slot, lengths_s[w]);
            json_decref(answer);
        }
        fixture_advance(f, WINDOW_SLOT_S * SECOND_NS);
    }
}

static void buckets_are_those_of_scale_2(void **state)
{
    struct fixture *f = *state;
    static const char *const pairs[][2] = {{"destination", "api"}, {"reporter", "source"}};
    /* (2^-1, 2^-0.75] has index -2; 0.5 s is the upper bound of index -5 … -4: (2^-1.25, 2^-1] is -5 */
    static const uint64_t durations_ns[] = {500000000, 500000001, 1000000000, 1000000001, 953};

    for (size_t i = 0; i < sizeof durations_ns / sizeof durations_ns[0]; i++) {
        struct request request = fixture_request(f, 0, "web", "web", "api", "/orders");
        request.duration_ns = durations_ns[i];
        directory_record(f->directories[0], &request);
    }
    fixture_flip_all(f);
    json_t *answer = ask(f, pairs, 2, 200);
    const json_t *column = json_array_get(json_object_get(answer, "columns"), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "scale")), 2);
    assert_int_equal(json_array_size(json_object_get(answer, "columns")), 1);
    json_t *expected = json_pack("[[i,i],[i,i],[i,i],[i,i]]", -5, 1, -4, 1, -1, 1, 0, 1);
    assert_true(json_equal(json_object_get(column, "buckets"), expected));
    assert_int_equal(real_at(column, "zero_count"), 1);
    json_decref(expected);
    json_decref(answer);
}

static void bad_questions(void **state)
{
    static const char *const bad[][2][2] = {
        {{"window", "1m"}, {"mesh", "x"}},
        {{"destination", "api"}, {"window", "2m"}},
        {{"destination", "api"}, {"q", "0.5"}},
        {{"source", "web"}, {"route", "/"}},
        {{"destination", "api"}, {"reporter", "nobody"}},
    };
    static const char *const unknown[][2] = {{"destination", "nobody"}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_decref(ask(f, bad[i], 2, 400));
    }
    json_t *answer = ask(f, unknown, 1, 200);
    assert_int_equal(real_at(json_array_get(json_object_get(answer, "columns"), 0), "requests"), 0);
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(columns_are_the_window_without_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(buckets_are_those_of_scale_2, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_questions, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
