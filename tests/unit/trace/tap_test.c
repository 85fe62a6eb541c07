/* Live requests: filters, the rate, and records that wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "trace/tap.h"

#define SECOND_NS 1000000000ull

struct fixture {
    struct budget budget;
    struct interner *interner;
    struct request request;
    struct tap_filter filter;
};

static uint32_t intern(struct fixture *fixture, const char *text)
{
    return interner_intern(fixture->interner, slice_of_string(text));
}

/* shop.front calls cart.shop-ns: 250 ms, 503 UO, by the source's words. */
static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->budget.cap_bytes = 1 << 20;
    fixture->interner = interner_new(64, &fixture->budget);
    assert_non_null(fixture->interner);
    fixture->request = (struct request){
        .reporter = REPORTER_SOURCE,
        .source = intern(fixture, "shop.front"),
        .source_namespace = intern(fixture, "web"),
        .destination = intern(fixture, "cart"),
        .destination_namespace = intern(fixture, "shop-ns"),
        .route = intern(fixture, "/items/{id}"),
        .response_code = 503,
        .grpc_status = GRPC_STATUS_NONE,
        .outcome = OUTCOME_SERVER_ERROR,
        .response_flags = RESPONSE_FLAG(UO),
        .duration_ns = 250000000,
        .start_unix_ns = 17,
        .attempts = 3,
        .trace_id = {0xab, [15] = 0xcd},
    };
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    interner_free(fixture->interner);
    free(fixture);
    return 0;
}

static bool passes(const struct fixture *fixture)
{
    return tap_filter_passes(&fixture->filter, &fixture->request, fixture->interner);
}

/* Whether it passes with one name, and with nothing else, set. */
static bool passes_name(struct fixture *fixture, struct tap_name *name, const char *text)
{
    assert_true(tap_name_set(name, slice_of_string(text)));
    bool is_let_through = passes(fixture);
    *name = (struct tap_name){.length = 0};
    return is_let_through;
}

static void names_let_through_what_they_name(void **state)
{
    struct fixture *fixture = *state;
    struct tap_filter *filter = &fixture->filter;

    assert_true(passes(fixture));
    assert_true(passes_name(fixture, &filter->service, "cart"));
    assert_true(passes_name(fixture, &filter->service, "shop.front"));
    assert_true(passes_name(fixture, &filter->service, "shop.front.web"));
    assert_true(passes_name(fixture, &filter->service, "cart.shop-ns"));
    assert_false(passes_name(fixture, &filter->service, "cart.web"));
    assert_false(passes_name(fixture, &filter->service, "cart.shop-n"));
    assert_false(passes_name(fixture, &filter->service, "cart.shop-nss"));
    assert_false(passes_name(fixture, &filter->service, "car"));
    assert_false(passes_name(fixture, &filter->service, "shop"));
    assert_false(passes_name(fixture, &filter->service, "cartXshop-ns"));
    assert_true(passes_name(fixture, &filter->source, "shop.front"));
    assert_false(passes_name(fixture, &filter->source, "cart"));
    assert_true(passes_name(fixture, &filter->destination, "cart"));
    assert_false(passes_name(fixture, &filter->destination, "shop.front"));
    assert_true(passes_name(fixture, &filter->route, "/items/{id}"));
    assert_false(passes_name(fixture, &filter->route, "/items"));
}

static void numbers_and_words(void **state)
{
    struct fixture *fixture = *state;
    struct tap_filter *filter = &fixture->filter;

    filter->duration_min_ns = fixture->request.duration_ns;
    filter->duration_max_ns = fixture->request.duration_ns;
    assert_true(passes(fixture));
    filter->duration_min_ns++;
    assert_false(passes(fixture));
    filter->duration_min_ns = 0;
    filter->duration_max_ns--;
    assert_false(passes(fixture));
    filter->duration_max_ns = 0;
    filter->reporters = 1u << REPORTER_SOURCE;
    assert_true(passes(fixture));
    filter->reporters = 1u << REPORTER_DESTINATION;
    assert_false(passes(fixture));
    filter->reporters = 0;
    filter->response_flags = RESPONSE_FLAG(UO) | RESPONSE_FLAG(UT);
    assert_true(passes(fixture));
    filter->response_flags = RESPONSE_FLAG(UT);
    assert_false(passes(fixture));
    filter->response_flags = 0;
    filter->only_errors = true;
    assert_true(passes(fixture));
    fixture->request.outcome = OUTCOME_NO_RESPONSE;
    assert_true(passes(fixture));
    fixture->request.outcome = OUTCOME_CLIENT_ERROR;
    assert_false(passes(fixture));
}

static void a_name_that_is_too_long_is_none(void **state)
{
    char text[TAP_NAME_BYTES_MAX + 1];
    struct tap_name name = {.length = 0};

    (void)state;
    memset(text, 'x', sizeof text);
    assert_false(tap_name_set(&name, slice_of(text, sizeof text)));
    assert_int_equal(name.length, 0);
    assert_true(tap_name_set(&name, slice_of(text, sizeof text - 1)));
}

static void a_gate_lets_its_rate_through(void **state)
{
    struct tap_gate gate;
    uint32_t count = 0;

    (void)state;
    tap_gate_init(&gate, 10, SECOND_NS);
    for (uint64_t ms = 0; ms < 10000; ms++) {
        count += tap_gate_pass(&gate, SECOND_NS + ms * 1000000);
    }
    assert_in_range(count, 100, 110); /* ten at once, then ten a second */
    assert_true(tap_gate_pass(&gate, 1000 * SECOND_NS));
    for (count = 1; tap_gate_pass(&gate, 1000 * SECOND_NS); count++) {
    }
    assert_int_equal(count, 10);                   /* whatever passed before */
    assert_false(tap_gate_pass(&gate, SECOND_NS)); /* clocks never run back, but if they did */
    tap_gate_init(&gate, 0, 0);
    for (count = 0; count < 1000; count++) {
        assert_true(tap_gate_pass(&gate, 0));
    }
}

static void records_come_out_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct tap_feed feed;

    assert_int_equal(tap_feed_init(&feed, &fixture->filter, 0, 0, 0), WERR_INVALID);
    assert_int_equal(tap_feed_init(&feed, &fixture->filter, 0, 3, 0), 0);
    assert_null(tap_feed_first(&feed));
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 5; i++) {
            fixture->request.attempts = round * 5 + i;
            tap_feeds_offer(&feed, &fixture->request, fixture->interner, 0);
        }
        assert_int_equal(feed.dropped_count, 2 * (round + 1)); /* the newest: what waits is told */
        for (uint32_t i = 0; i < 3; i++) {
            const struct tap_record *record = tap_feed_first(&feed);
            assert_non_null(record);
            assert_int_equal(record->attempts, round * 5 + i);
            assert_int_equal(record->route, fixture->request.route);
            assert_int_equal(record->response_code, 503);
            assert_memory_equal(record->trace_id, fixture->request.trace_id, 16);
            tap_feed_pop(&feed);
        }
        assert_null(tap_feed_first(&feed));
    }
    tap_feed_deinit(&feed);
}

static void each_feed_has_its_own_filter_and_rate(void **state)
{
    struct fixture *fixture = *state;
    struct tap_filter db = fixture->filter;
    struct tap_feed feeds[3];

    assert_true(tap_name_set(&db.destination, SLICE_LITERAL("db")));
    assert_int_equal(tap_feed_init(&feeds[0], &fixture->filter, 0, 100, 0), 0);
    assert_int_equal(tap_feed_init(&feeds[1], &db, 0, 100, 0), 0);
    assert_int_equal(tap_feed_init(&feeds[2], &fixture->filter, 4, 100, 0), 0);
    feeds[0].next = &feeds[1];
    feeds[1].next = &feeds[2];
    for (int i = 0; i < 50; i++) {
        tap_feeds_offer(feeds, &fixture->request, fixture->interner, 0);
    }
    assert_int_equal(feeds[0].count, 50);
    assert_int_equal(feeds[1].count, 0);
    assert_int_equal(feeds[1].left_out_count, 0);
    assert_int_equal(feeds[2].count, 4);
    assert_int_equal(feeds[2].left_out_count, 46);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feeds[i].dropped_count, 0);
        tap_feed_deinit(&feeds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_let_through_what_they_name, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_and_words, setup, teardown),
        cmocka_unit_test(a_name_that_is_too_long_is_none),
        cmocka_unit_test(a_gate_lets_its_rate_through),
        cmocka_unit_test_setup_teardown(records_come_out_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(each_feed_has_its_own_filter_and_rate, setup, teardown),
    };
    return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
