/* Histograms in pages: recording against a plain array, merging shards, counts past 2^32, a full slab, the
 * hand-over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>

#include "core/error.h"
#include "histogram/flat.h"
#include "histogram/histogram.h"
#include "random.h"

struct fixture {
    struct budget budget;
    struct split_bounds bounds;
    struct le_plan plan;
    struct page_slab slabs[2]; /* of a shard and of the aggregator */
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->budget.cap_bytes = 64 << 20;
    assert_int_equal(split_bounds_init(&fixture->bounds, bounds_default_ns, bounds_default_count), 0);
    assert_int_equal(le_plan_init(&fixture->plan, &fixture->bounds, fixture->bounds.bounds_ns,
                         fixture->bounds.bound_count),
        0);
    page_slab_init(&fixture->slabs[0], &fixture->budget);
    page_slab_init(&fixture->slabs[1], &fixture->budget);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    page_slab_deinit(&fixture->slabs[0]);
    page_slab_deinit(&fixture->slabs[1]);
    assert_int_equal(fixture->budget.used_bytes, 0);
    free(fixture);
    return 0;
}

static void assert_same(struct fixture *fixture, const struct histogram *a, const struct page_slab *a_slab,
    const struct histogram *b, const struct page_slab *b_slab)
{
    uint64_t a_le[BOUNDS_COUNT_MAX];
    uint64_t b_le[BOUNDS_COUNT_MAX];

    for (int cell = LATTICE_CELL_ZERO; cell < LATTICE_CELL_COUNT; cell++) {
        assert_int_equal(histogram_cell_count(a, a_slab, cell), histogram_cell_count(b, b_slab, cell));
    }
    histogram_le_counts(a, a_slab, &fixture->plan, a_le);
    histogram_le_counts(b, b_slab, &fixture->plan, b_le);
    assert_memory_equal(a_le, b_le, fixture->plan.count * sizeof(a_le[0]));
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->sum_ns_low, b->sum_ns_low);
    assert_int_equal(a->sum_ns_high, b->sum_ns_high);
}

static void records_land_in_their_cells(void **state)
{
    struct fixture *fixture = *state;
    struct page_slab *slab = &fixture->slabs[0];
    struct histogram histogram = {.count = 0};
    uint64_t expected[1 + LATTICE_CELL_COUNT] = {0};
    uint64_t random = 5;
    uint64_t sum_ns = 0;
    uint64_t total = 0;
    int cell = LATTICE_CELL_ZERO;
    int previous = LATTICE_CELL_ZERO;
    uint64_t count;

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t value_ns = random_near_bound_ns(&random, &fixture->bounds);
        uint64_t weight = random_u64(&random) % 5; /* 0 too, which counts nothing */

        assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, value_ns, weight), 0);
        expected[lattice_cell(value_ns) + 1] += weight;
        sum_ns += value_ns * weight;
        total += weight;
    }
    for (int i = LATTICE_CELL_ZERO; i < LATTICE_CELL_COUNT; i++) {
        assert_int_equal(histogram_cell_count(&histogram, slab, i), expected[i + 1]);
    }
    assert_int_equal(histogram.count, total);
    assert_int_equal(histogram.sum_ns_low, sum_ns);
    assert_int_equal(histogram.sum_ns_high, 0);

    uint64_t stepped = histogram.zero_count;
    while (histogram_next(&histogram, slab, &cell, &count)) {
        assert_true(cell > previous);
        assert_int_equal(count, expected[cell + 1]);
        assert_int_not_equal(count, 0);
        stepped += count;
        previous = cell;
    }
    assert_int_equal(stepped, total);
    histogram_release(&histogram, slab);
    assert_int_equal(slab->used_count, 0);
}

static void pages_only_where_touched(void **state)
{
    struct fixture *fixture = *state;
    struct page_slab *slab = &fixture->slabs[0];
    struct histogram histogram = {.count = 0};

    assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, 0, 1), 0);
    assert_int_equal(slab->used_count, 0); /* the zero bucket needs none */
    assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, 3000000, 0), 0);
    assert_int_equal(slab->used_count, 0);
    assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, 3000000, 1), 0);
    assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, 3000001, 1), 0);
    assert_int_equal(slab->used_count, 1);
    assert_int_equal(
        histogram_record(&histogram, slab, &fixture->bounds, 5000000, 1), 0); /* on a bound: a slot */
    assert_int_equal(slab->used_count, 3);
    assert_int_equal(
        histogram_record(&histogram, slab, &fixture->bounds, 10000000, 1), 0); /* the same page of slots */
    assert_int_equal(slab->used_count, 4);
    assert_int_equal(histogram.count, 5);
    histogram_release(&histogram, slab);
}

static void merging_shards_equals_one_pass(void **state)
{
    enum { SHARD_COUNT = 5 };
    struct fixture *fixture = *state;
    struct page_slab *shard_slab = &fixture->slabs[0];
    struct page_slab *slab = &fixture->slabs[1];
    struct histogram shards[SHARD_COUNT] = {{.count = 0}};
    struct histogram merged = {.count = 0};
    struct histogram one = {.count = 0};
    struct page_chain chain = {.head = PAGE_NONE};
    uint64_t random = 6;

    for (unsigned i = 0; i < 50000; i++) {
        uint64_t value_ns = random_near_bound_ns(&random, &fixture->bounds);
        struct histogram *shard = &shards[random_u64(&random) % SHARD_COUNT];
        uint64_t weight = 1 + (random_u64(&random) & 0xffffff); /* cells pass 2^32 */

        assert_int_equal(histogram_record(shard, shard_slab, &fixture->bounds, value_ns, weight), 0);
        assert_int_equal(histogram_record(&one, slab, &fixture->bounds, value_ns, weight), 0);
    }
    assert_true(histogram_cell_count(&one, slab, LATTICE_CELL_LAST) > UINT32_MAX);
    for (unsigned i = 0; i < SHARD_COUNT; i++) {
        assert_int_equal(histogram_merge(&merged, slab, &shards[i], shard_slab), 0);
        histogram_drain(&shards[i], shard_slab, &chain);
        assert_int_equal(shards[i].count, 0);
    }
    assert_same(fixture, &merged, slab, &one, slab);
    assert_int_equal(chain.count, shard_slab->used_count);
    page_slab_take_back(shard_slab, &chain);
    assert_int_equal(shard_slab->used_count, 0);
    histogram_release(&merged, slab);
    histogram_release(&one, slab);
    assert_int_equal(slab->used_count, 0);
}

static void merging_without_slots(void **state)
{
    struct fixture *fixture = *state;
    struct histogram from = {.count = 0};
    struct histogram window = {.count = 0};
    struct histogram_flat flat = {.count = 0};
    uint64_t random = 7;

    for (unsigned i = 0; i < 10000; i++) {
        uint64_t value_ns = random_near_bound_ns(&random, &fixture->bounds);
        assert_int_equal(histogram_record(&from, &fixture->slabs[0], &fixture->bounds, value_ns, 1), 0);
    }
    assert_int_equal(histogram_merge_lattice(&window, &fixture->slabs[1], &from, &fixture->slabs[0]), 0);
    assert_int_equal(
        fixture->slabs[1].used_count, fixture->slabs[0].used_count - 1); /* one page of slots less */
    histogram_flat_merge(&flat, &from, &fixture->slabs[0]);
    for (int cell = LATTICE_CELL_ZERO; cell < LATTICE_CELL_COUNT; cell++) {
        uint64_t count = histogram_cell_count(&from, &fixture->slabs[0], cell);

        assert_int_equal(histogram_cell_count(&window, &fixture->slabs[1], cell), count);
        assert_int_equal(cell < 0 ? flat.zero_count : flat.cells[cell], count);
    }
    assert_int_equal(flat.count, 10000);
    assert_int_equal(flat.sum_ns_low, from.sum_ns_low);
    histogram_flat_merge(&flat, &from, &fixture->slabs[0]);
    assert_int_equal(flat.count, 20000);
    histogram_flat_reset(&flat);
    const struct histogram_flat empty = {.count = 0};
    assert_memory_equal(&flat, &empty, sizeof(flat));
    histogram_release(&from, &fixture->slabs[0]);
    histogram_release(&window, &fixture->slabs[1]);
}

/* Weights that carry into the upper half of a cell and of a slot, one by one and through merges. */
static void counts_past_32_bits(void **state)
{
    struct fixture *fixture = *state;
    struct page_slab *slab = &fixture->slabs[0];
    struct histogram histogram = {.count = 0};
    struct histogram twice = {.count = 0};
    uint64_t counts[BOUNDS_COUNT_MAX];
    int cell = lattice_cell(5000000);

    assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, 5000000, UINT32_MAX), 0);
    assert_int_equal(histogram_cell_count(&histogram, slab, cell), UINT32_MAX);
    assert_int_equal(slab->used_count, 2);
    assert_int_equal(histogram_merge(&twice, slab, &histogram, slab), 0);
    assert_int_equal(slab->used_count, 4);
    assert_int_equal(histogram_merge(&twice, slab, &histogram, slab), 0); /* carries by merging */
    assert_int_equal(histogram_cell_count(&twice, slab, cell), 2 * (uint64_t)UINT32_MAX);
    assert_int_equal(
        histogram_record(&histogram, slab, &fixture->bounds, 5000000, 1), 0); /* carries by recording */
    assert_int_equal(histogram_cell_count(&histogram, slab, cell), 1ull + UINT32_MAX);
    assert_int_equal(histogram_record(&histogram, slab, &fixture->bounds, 5000000, 1ull << 62), 0);
    assert_int_equal(histogram_merge(&twice, slab, &histogram, slab), 0);

    uint64_t expected = 2 * (uint64_t)UINT32_MAX + (1ull << 62) + (1ull << 32);
    assert_int_equal(histogram_cell_count(&twice, slab, cell), expected);
    histogram_le_counts(&twice, slab, &fixture->plan, counts);
    assert_int_equal(counts[2], 0);        /* le 2.5 ms */
    assert_int_equal(counts[3], expected); /* le 5 ms */
    unsigned __int128 sum_ns = (unsigned __int128)expected * 5000000;
    assert_int_equal(twice.sum_ns_low, (uint64_t)sum_ns);
    assert_int_equal(twice.sum_ns_high, (uint64_t)(sum_ns >> 64));
    assert_true(fabs(histogram_sum_seconds(&twice) / ((double)expected * 0.005) - 1) < 1e-15);

    struct histogram_flat both = {.count = 0};
    histogram_flat_merge(&both, &twice, slab);
    histogram_flat_merge(&both, &twice, slab);
    sum_ns *= 2;
    assert_int_equal(both.cells[cell], 2 * expected);
    assert_int_equal(both.sum_ns_low, (uint64_t)sum_ns);
    assert_int_equal(both.sum_ns_high, (uint64_t)(sum_ns >> 64));
    histogram_release(&twice, slab);
    histogram_release(&histogram, slab);
    assert_int_equal(slab->used_count, 0);
}

static void sum_in_seconds(void **state)
{
    (void)state;
    assert_true(sum_ns_seconds(0, 0) == 0);
    assert_true(sum_ns_seconds(500000000, 0) == 0.5);
    assert_true(sum_ns_seconds(3000000000, 0) == 3);
    assert_true(fabs(sum_ns_seconds(0, 1) - 18446744073.709551616) < 1e-5);
}

/* Takes what is left of the slab's one chunk but `spare` pages; they stay taken until the slab is gone. */
static void use_up(struct page_slab *slab, unsigned spare)
{
    while (slab->used_count < SLAB_CHUNK_PAGE_COUNT - 1 - spare) {
        assert_int_not_equal(page_slab_alloc(slab), PAGE_NONE);
    }
}

/* With 0, 1, 2 ... pages left a record or merge either fails and changes no count, or does all of it. */
static void full_slab_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct histogram from = {.count = 0};
    const uint64_t values_ns[] = {2000, 500000, 5000000, 30000000000};

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            histogram_record(&from, &fixture->slabs[1], &fixture->bounds, values_ns[i], 5ull << 30), 0);
    }
    /* needs: 4 pages, 1 of slots, and for the upper halves as many again and 2 directories */
    for (unsigned spare = 0; spare <= 12; spare++) {
        struct budget budget = {.cap_bytes = SLAB_CHUNK_BYTES};
        struct page_slab *slab = malloc(sizeof(*slab));
        struct histogram to = {.count = 0};

        assert_non_null(slab);
        page_slab_init(slab, &budget);
        use_up(slab, spare);
        int rc = histogram_merge(&to, slab, &from, &fixture->slabs[1]);
        assert_int_equal(rc, spare < 12 ? WERR_NOMEM : 0);
        assert_int_equal(to.count, rc == 0 ? from.count : 0);
        for (int cell = LATTICE_CELL_ZERO; cell < LATTICE_CELL_COUNT; cell++) {
            uint64_t count = rc == 0 ? histogram_cell_count(&from, &fixture->slabs[1], cell) : 0;
            assert_int_equal(histogram_cell_count(&to, slab, cell), count);
        }
        histogram_release(&to, slab);
        assert_int_equal(slab->used_count, SLAB_CHUNK_PAGE_COUNT - 1 - spare);

        /* a record on a bound: page, slots, directory, carry, directory, carry */
        rc = histogram_record(&to, slab, &fixture->bounds, 5000000, 5ull << 30);
        assert_int_equal(rc, spare < 6 ? WERR_NOMEM : 0);
        assert_int_equal(to.count, rc == 0 ? 5ull << 30 : 0);
        assert_int_equal(histogram_cell_count(&to, slab, lattice_cell(5000000)), to.count);
        assert_int_equal(to.sum_ns_low, to.count * 5000000);
        uint64_t counts[BOUNDS_COUNT_MAX];
        histogram_le_counts(&to, slab, &fixture->plan, counts);
        assert_int_equal(counts[3], to.count);
        page_slab_deinit(slab);
        free(slab);
    }
    histogram_release(&from, &fixture->slabs[1]);
}

/* The flip: a shard records and grows its slab while another thread merges and drains what it was handed. */
enum { SERIES_COUNT = 300, FLIP_COUNT = 30, RECORDS_A_FLIP = 20000 };

struct set {
    struct histogram histograms[SERIES_COUNT];
    struct page_chain chain;
};

struct exchange {
    struct fixture *fixture;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct set *full;  /* shard -> aggregator */
    struct set *spare; /* aggregator -> shard */
    bool ended;
    struct histogram totals[SERIES_COUNT];
    int failed;
};

static void *aggregate(void *argument)
{
    struct exchange *exchange = argument;
    struct fixture *fixture = exchange->fixture;

    for (;;) {
        pthread_mutex_lock(&exchange->lock);
        while (exchange->full == NULL && !exchange->ended) {
            pthread_cond_wait(&exchange->changed, &exchange->lock);
        }
        struct set *set = exchange->full;
        exchange->full = NULL;
        pthread_mutex_unlock(&exchange->lock);
        if (set == NULL) {
            return NULL;
        }
        for (unsigned i = 0; i < SERIES_COUNT; i++) {
            exchange->failed |= histogram_merge(
                &exchange->totals[i], &fixture->slabs[1], &set->histograms[i], &fixture->slabs[0]);
            histogram_drain(&set->histograms[i], &fixture->slabs[0], &set->chain);
        }
        pthread_mutex_lock(&exchange->lock);
        exchange->spare = set;
        pthread_cond_signal(&exchange->changed);
        pthread_mutex_unlock(&exchange->lock);
    }
}

/* Hands the set over when a spare has come back; goes on with the old one otherwise, as a shard does. */
static struct set *flip(struct exchange *exchange, struct set *set, bool wait)
{
    pthread_mutex_lock(&exchange->lock);
    while (exchange->spare == NULL && wait) {
        pthread_cond_wait(&exchange->changed, &exchange->lock);
    }
    struct set *spare = exchange->spare;
    if (spare != NULL) {
        exchange->spare = NULL;
        exchange->full = set;
        pthread_cond_signal(&exchange->changed);
    }
    pthread_mutex_unlock(&exchange->lock);
    if (spare == NULL) {
        return set;
    }
    page_slab_take_back(&exchange->fixture->slabs[0], &spare->chain);
    return spare;
}

static void flip_while_recording(void **state)
{
    struct fixture *fixture = *state;
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    struct set *sets = calloc(2, sizeof(*sets));
    struct histogram *expected = calloc(SERIES_COUNT, sizeof(*expected));
    struct page_slab *expected_slab = malloc(sizeof(*expected_slab));
    struct set *set = &sets[0];
    uint64_t random = 8;
    pthread_t thread;

    assert_true(exchange != NULL && sets != NULL && expected != NULL && expected_slab != NULL);
    page_slab_init(expected_slab, &fixture->budget);
    exchange->fixture = fixture;
    exchange->spare = &sets[1];
    pthread_mutex_init(&exchange->lock, NULL);
    pthread_cond_init(&exchange->changed, NULL);
    assert_int_equal(pthread_create(&thread, NULL, aggregate, exchange), 0);
    for (unsigned i = 0; i < FLIP_COUNT * RECORDS_A_FLIP; i++) {
        unsigned series = (unsigned)(random_u64(&random) % SERIES_COUNT);
        uint64_t value_ns = random_near_bound_ns(&random, &fixture->bounds);

        assert_int_equal(
            histogram_record(&set->histograms[series], &fixture->slabs[0], &fixture->bounds, value_ns, 1), 0);
        assert_int_equal(
            histogram_record(&expected[series], expected_slab, &fixture->bounds, value_ns, 1), 0);
        if (i % RECORDS_A_FLIP == RECORDS_A_FLIP - 1) {
            set = flip(exchange, set, i + 1 == FLIP_COUNT * RECORDS_A_FLIP);
        }
    }
    set = flip(exchange, set, true); /* waits for the last full set to come back */
    pthread_mutex_lock(&exchange->lock);
    exchange->ended = true;
    pthread_cond_signal(&exchange->changed);
    pthread_mutex_unlock(&exchange->lock);
    pthread_join(thread, NULL);
    assert_int_equal(exchange->failed, 0);
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        assert_same(fixture, &exchange->totals[i], &fixture->slabs[1], &expected[i], expected_slab);
    }
    if (exchange->spare != NULL) {
        page_slab_take_back(&fixture->slabs[0], &exchange->spare->chain);
    }
    assert_int_equal(fixture->slabs[0].used_count, 0);
    page_slab_deinit(expected_slab);
    pthread_cond_destroy(&exchange->changed);
    pthread_mutex_destroy(&exchange->lock);
    free(expected_slab);
    free(expected);
    free(sets);
    free(exchange);
}

/* What ten thousand delta and cumulative histograms of eight octaves cost, from the budget's view. */
static void ten_thousand_histograms_fit(void **state)
{
    enum { COUNT = 10000 };
    struct fixture *fixture = *state;
    struct histogram *histograms = calloc(2 * COUNT, sizeof(*histograms));

    assert_non_null(histograms);
    for (unsigned i = 0; i < COUNT; i++) {
        struct histogram *delta = &histograms[i];
        struct histogram *total = &histograms[COUNT + i];

        for (unsigned octave = 0; octave < 8; octave++) {
            assert_int_equal(
                histogram_record(delta, &fixture->slabs[0], &fixture->bounds, UINT64_C(500000) << octave, 1),
                0);
        }
        assert_int_equal(histogram_merge(total, &fixture->slabs[1], delta, &fixture->slabs[0]), 0);
    }
    assert_int_equal(fixture->slabs[0].used_count, 9 * COUNT);
    assert_true(fixture->budget.used_bytes + 2 * COUNT * sizeof(*histograms) < UINT64_C(27) << 20);
    free(histograms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_land_in_their_cells, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_only_where_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(merging_shards_equals_one_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(merging_without_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_past_32_bits, setup, teardown),
        cmocka_unit_test(sum_in_seconds),
        cmocka_unit_test_setup_teardown(full_slab_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(flip_while_recording, setup, teardown),
        cmocka_unit_test_setup_teardown(ten_thousand_histograms_fit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
