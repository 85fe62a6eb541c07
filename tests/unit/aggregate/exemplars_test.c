/* Exemplars are shown when their traces are pinned, and told of before the traces may go. */
#include "fixture.h"

#include "aggregate/exemplars.h"

enum { OFFERS_MAX = 512 };

#define R_NS (600 * SECOND_NS)
#define REFRESH_NS (R_NS / EXEMPLAR_REFRESH_PART)

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    f->limits.exemplar_traces_max = 100;
    f->exemplars_are_pinned = true;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void start(struct fixture *f)
{
    fixture_start(f, 1);
    aggregator_set_exemplar_retention(f->aggregator, R_NS);
}

static void record(struct fixture *f, const char *destination, uint64_t duration_ns, uint8_t id)
{
    struct request request = fixture_request(f, 0, "web", "web", destination, "/");

    request.duration_ns = duration_ns;
    request.start_unix_ns = clock_unix_ns(&f->clock.clock);
    request.stored = true;
    request.trace_id[0] = id;
    request.span_id[0] = id;
    directory_record(f->directories[0], &request);
}

/* Bits of the ids of the exemplars that are shown. */
static uint64_t shown(struct fixture *f)
{
    struct snapshot *snapshot = fixture_snapshot(f);
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    uint64_t ids = 0;

    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        for (size_t i = 0; series.histogram != NULL && i < series.histogram->exemplar_count; i++) {
            assert_int_equal(
                series.histogram->exemplars[i].trace_id[0], series.histogram->exemplars[i].span_id[0]);
            ids |= 1ull << series.histogram->exemplars[i].trace_id[0];
        }
    }
    aggregator_snapshot_free(snapshot);
    return ids;
}

static struct exemplar_offer take_one(struct fixture *f)
{
    struct exemplar_offer offers[2];

    assert_int_equal(aggregator_take_offers(f->aggregator, offers, 2), 1);
    return offers[0];
}

static void assert_nothing_to_take(struct fixture *f)
{
    struct exemplar_offer offer;
    uint32_t number;

    assert_int_equal(aggregator_take_offers(f->aggregator, &offer, 1), 0);
    assert_int_equal(aggregator_take_withdrawn(f->aggregator, &number, 1), 0);
}

static void shown_when_granted(void **state)
{
    struct fixture *f = *state;

    start(f);
    record(f, "api", MS_NS, 1);
    fixture_flip_all(f);
    assert_int_equal(shown(f), 0);
    struct exemplar_offer offer = take_one(f);
    assert_int_equal(offer.trace_id[0], 1);
    assert_int_equal(offer.span_id[0], 1);
    assert_false(offer.is_refresh);
    assert_nothing_to_take(f);
    aggregator_exemplar_granted(f->aggregator, offer.number);
    assert_int_equal(shown(f), 1u << 1);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_EXEMPLARS_SHOWN), 1);
    aggregator_exemplar_granted(f->aggregator, offer.number); /* once is enough */
    aggregator_exemplar_refused(f->aggregator, offer.number);
    assert_int_equal(shown(f), 1u << 1);
    fixture_stop(f);
}

static void a_newer_one_takes_its_place_after_a_while(void **state)
{
    struct fixture *f = *state;
    uint32_t numbers[2];

    start(f);
    record(f, "api", MS_NS, 1);
    fixture_flip_all(f);
    struct exemplar_offer first = take_one(f);
    aggregator_exemplar_granted(f->aggregator, first.number);
    record(f, "api", MS_NS, 2);
    fixture_flip_all(f); /* too soon */
    assert_nothing_to_take(f);
    clock_manual_advance(&f->clock, REFRESH_NS);
    record(f, "api", MS_NS, 3);
    fixture_flip_all(f);
    struct exemplar_offer second = take_one(f);
    assert_int_equal(second.trace_id[0], 3);
    assert_true(second.is_refresh);
    assert_int_equal(shown(f), 1u << 1); /* until then the old one */
    clock_manual_advance(&f->clock, REFRESH_NS);
    record(f, "api", MS_NS, 4);
    fixture_flip_all(f); /* one at a time */
    assert_nothing_to_take(f);
    aggregator_exemplar_granted(f->aggregator, second.number);
    assert_int_equal(shown(f), 1u << 3);
    assert_int_equal(aggregator_take_withdrawn(f->aggregator, numbers, 2), 1);
    assert_int_equal(numbers[0], first.number);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_EXEMPLARS_SHOWN), 1);
    fixture_stop(f);
}

static void refused_ones_come_again_later(void **state)
{
    struct fixture *f = *state;

    start(f);
    record(f, "api", MS_NS, 1);
    fixture_flip_all(f);
    aggregator_exemplar_refused(f->aggregator, take_one(f).number);
    assert_int_equal(shown(f), 0);
    record(f, "api", MS_NS, 2);
    fixture_flip_all(f);
    assert_nothing_to_take(f);
    clock_manual_advance(&f->clock, REFRESH_NS);
    record(f, "api", MS_NS, 3);
    fixture_flip_all(f);
    aggregator_exemplar_granted(f->aggregator, take_one(f).number);
    assert_int_equal(shown(f), 1u << 3);
    fixture_stop(f);
}

static void withdrawn_ones_are_told_of(void **state)
{
    struct fixture *f = *state;
    uint32_t numbers[4];

    start(f);
    for (uint8_t i = 0; i < 3; i++) { /* three buckets of one series */
        record(f, "api", (i == 0 ? 1 : i == 1 ? 40 : 90000) * MS_NS, (uint8_t)(i + 1));
    }
    fixture_flip_all(f);
    struct exemplar_offer offers[4];
    assert_int_equal(aggregator_take_offers(f->aggregator, offers, 4), 3);
    for (int i = 0; i < 3; i++) {
        aggregator_exemplar_granted(f->aggregator, offers[i].number);
    }
    assert_int_equal(shown(f), 0xe);
    aggregator_withdraw_exemplar(f->aggregator, offers[1].number);
    aggregator_withdraw_exemplar(f->aggregator, offers[1].number);
    assert_int_equal(shown(f), 0xe & ~(1u << offers[1].trace_id[0]));
    assert_int_equal(aggregator_take_withdrawn(f->aggregator, numbers, 4), 1);
    assert_int_equal(numbers[0], offers[1].number);
    aggregator_withdraw_exemplar(f->aggregator, offers[1].number); /* too late: nobody's */
    aggregator_withdraw_exemplar(f->aggregator, 1u << 30);
    aggregator_exemplar_granted(f->aggregator, 1u << 30);
    assert_nothing_to_take(f);
    fixture_stop(f);
}

/* The series goes: what it shows, what it asked for, and what it was about to ask for. */
static void the_end_of_a_series(void **state)
{
    struct fixture *f = *state;
    struct exemplar_offer offers[4];
    uint32_t numbers[4];

    f->limits.series_idle_s = 5; /* sooner than a bucket offers again */
    start(f);
    record(f, "api", MS_NS, 1);
    fixture_flip_all(f);
    struct exemplar_offer granted = take_one(f);
    aggregator_exemplar_granted(f->aggregator, granted.number);
    record(f, "api", 40 * MS_NS, 2);
    fixture_flip_all(f);
    struct exemplar_offer asked = take_one(f);
    record(f, "api", 90000 * MS_NS, 3);
    fixture_flip_all(f);
    for (int i = 0; i < 100; i++) {
        fixture_advance(f, 60 * SECOND_NS);
    }
    assert_int_equal(shown(f), 0);
    assert_int_equal(aggregator_take_offers(f->aggregator, offers, 4), 0);
    assert_int_equal(aggregator_take_withdrawn(f->aggregator, numbers, 4), 1);
    assert_int_equal(numbers[0], granted.number);
    aggregator_exemplar_granted(f->aggregator, asked.number); /* whoever pins must hear that it is in vain */
    assert_int_equal(aggregator_take_withdrawn(f->aggregator, numbers, 4), 1);
    assert_int_equal(numbers[0], asked.number);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_EXEMPLARS_SHOWN), 0);
    /* all places are free again */
    for (uint8_t i = 0; i < 60; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "s%u", i);
        record(f, name, MS_NS, i);
    }
    fixture_flip_all(f);
    struct exemplar_offer all[OFFERS_MAX];
    assert_int_equal(aggregator_take_offers(f->aggregator, all, OFFERS_MAX), 60);
    fixture_stop(f);
}

static void only_so_many_at_once(void **state)
{
    struct fixture *f = *state;
    struct exemplar_offer offers[OFFERS_MAX];

    start(f);
    for (int i = 0; i < 300; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "s%d", i);
        record(f, name, MS_NS, 1);
    }
    fixture_flip_all(f);
    size_t count = aggregator_take_offers(f->aggregator, offers, OFFERS_MAX);
    assert_int_equal(count, 200); /* EXEMPLARS_PER_TRACE of 100 traces: less than EXEMPLARS_ASKED_MAX */
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_EXEMPLARS_REFUSED_BUSY), 100);
    for (size_t i = 0; i < count; i++) {
        aggregator_exemplar_refused(f->aggregator, offers[i].number);
    }
    for (int i = 0; i < 300; i++) { /* those that had no turn come before those that were refused */
        char name[16];
        (void)snprintf(name, sizeof(name), "s%d", i);
        record(f, name, MS_NS, 2);
    }
    fixture_flip_all(f);
    assert_int_equal(aggregator_take_offers(f->aggregator, offers, OFFERS_MAX), 100);
    fixture_stop(f);
}

static void none_when_none_may_be_pinned(void **state)
{
    struct fixture *f = *state;

    f->limits.exemplar_traces_max = 0;
    start(f);
    record(f, "api", MS_NS, 1);
    fixture_flip_all(f);
    assert_nothing_to_take(f);
    assert_int_equal(shown(f), 0);
    fixture_stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shown_when_granted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_one_takes_its_place_after_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_ones_come_again_later, setup, teardown),
        cmocka_unit_test_setup_teardown(withdrawn_ones_are_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_series, setup, teardown),
        cmocka_unit_test_setup_teardown(only_so_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(none_when_none_may_be_pinned, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
