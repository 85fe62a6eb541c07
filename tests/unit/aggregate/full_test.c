/* Memory of values is full: known series say so until the next flip, and nothing is lost meanwhile. */
#include "fixture.h"

enum { SERIES_COUNT = 1000, OCTAVES = 31, BUDGET_BYTES = 4 << 20 };

static void record(struct fixture *f, unsigned number, uint64_t duration_ns)
{
    char route[32];

    (void)snprintf(route, sizeof(route), "/r/%u", number);
    struct request request = fixture_request(f, 0, "unit/a", "cart", "stock", route);
    request.duration_ns = duration_ns;
    directory_record(f->directories[0], &request);
}

/* Of all series, overflow's too. */
static uint64_t total_requests(struct fixture *f)
{
    struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family;
    struct snapshot_series series;
    struct snapshot *snapshot;
    uint64_t total = 0;

    assert_int_equal(aggregator_snapshot_new(f->aggregator, NULL, &settings, &snapshot), 0);
    while (snapshot_next(snapshot, &cursor, &family, &series) > 0) {
        total += strcmp(family->name, "mesh_requests") == 0 ? series.integer : 0;
    }
    aggregator_snapshot_free(snapshot);
    return total;
}

static void known_series_without_memory_say_so(void **state)
{
    struct fixture *f = *state;
    uint64_t sent = 0;

    limits_init(&f->limits);
    f->limits.series_bytes_max = BUDGET_BYTES;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 1);
    for (unsigned i = 0; i < SERIES_COUNT; i++, sent++) {
        record(f, i, MS_NS);
    }
    assert_false(directory_is_full(f->directories[0])); /* series that found no room are another matter */
    fixture_advance(f, SECOND_NS);
    for (unsigned octave = 0; octave < OCTAVES && !directory_is_full(f->directories[0]); octave++) {
        for (unsigned i = 0; i < SERIES_COUNT; i++, sent++) {
            record(f, i, 1000ull << octave);
        }
    }
    assert_true(directory_is_full(f->directories[0]));
    assert_true(f->budget.used_bytes <= BUDGET_BYTES);
    fixture_advance(f, SECOND_NS);
    assert_false(directory_is_full(f->directories[0]));
    assert_int_equal(total_requests(f), sent);
    fixture_stop(f);
}

int main(void)
{
    static struct fixture fixture;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(known_series_without_memory_say_so, &fixture),
    };

    return cmocka_run_group_tests_name("full", tests, NULL, NULL);
}
