/* The ring of observations: what it keeps, what it tells when it drops, what becomes of results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/interner.h"
#include "trace/observations.h"

struct dropped {
    uint64_t durations_ns[16];
    size_t count;
};

static void on_dropped(void *user, const struct observation *observation)
{
    struct dropped *dropped = user;

    assert_true(dropped->count < 16);
    dropped->durations_ns[dropped->count++] = observation->duration_ns;
}

static void the_oldest_go_first(void **state)
{
    struct dropped dropped = {.count = 0};
    struct observations_settings settings = {.count_max = 3, .dropped = on_dropped, .user = &dropped};
    struct observations *ring = observations_new(&settings);

    (void)state;
    assert_non_null(ring);
    assert_int_equal(observations_count(ring), 0);
    for (uint64_t i = 1; i <= 5; i++) {
        observations_add(ring, &(struct observation){.duration_ns = i});
    }
    assert_int_equal(observations_count(ring), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(observations_at(ring, i)->duration_ns, 3 + i);
    }
    assert_int_equal(dropped.count, 2);
    observations_free(ring);
    assert_int_equal(dropped.count, 5);
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(dropped.durations_ns[i], i + 1);
    }
}

static void no_room_at_all(void **state)
{
    struct observations_settings settings = {.count_max = 0};

    (void)state;
    assert_null(observations_new(&settings));
    observations_free(NULL);
}

static struct timing some_timing(int side)
{
    return (struct timing){
        .trace_id = {[3] = 9},
        .start_unix_ns = 1000,
        .duration_ns = 5000000,
        .source = 11,
        .destination = 12,
        .destination_namespace = 13,
        .route = 14,
        .sender = 15,
        .version = 16,
        .response_flags = 4,
        .response_code = 503,
        .outcome = 2,
        .side = (uint8_t)side,
        .attempts = 1,
    };
}

static void a_request_becomes_an_observation(void **state)
{
    struct timing timing = some_timing(TIMING_SERVER);
    struct attributed_request request = {
        .timing = &timing,
        .has_self = true,
        .self_ns = 1499,
        .callees = {{.service = 21, .own_ns = 1500, .network_ns = UINT64_MAX, .retry_ns = 2000}},
        .callee_count = 1,
        .call_attempts = 3,
        .call_flags = 128,
        .has_network = true,
        .network_ns = 7000,
    };
    struct observation o;
    uint32_t ids[OBSERVATION_ID_COUNT];

    (void)state;
    observation_of_request(&request, &o);
    assert_memory_equal(o.trace_id, timing.trace_id, 16);
    assert_int_equal(o.end_unix_ns, 5001000);
    assert_int_equal(o.duration_ns, 5000000);
    assert_int_equal(o.self_us, 1);
    assert_int_equal(o.callees[0].own_us, 2);
    assert_int_equal(o.callees[0].network_us, UINT32_MAX);
    assert_int_equal(o.callees[0].retry_us, 2);
    assert_int_equal(o.network_us, 7);
    assert_true(o.has_self && o.has_network);
    assert_int_equal(o.call_attempts, 3);
    assert_int_equal(o.attempts, 1);
    assert_int_equal(o.flags, 4);
    assert_int_equal(o.call_flags, 128);
    assert_int_equal(o.response_code, 503);
    assert_int_equal(o.outcome, 2);
    observation_ids(&o, ids);
    const uint32_t expected[OBSERVATION_ID_COUNT] = {12, 13, 11, 14, 15, 16, 21};
    assert_memory_equal(ids, expected, sizeof ids);
}

static void a_caller_that_only_its_own_span_names(void **state)
{
    struct timing client = some_timing(TIMING_CLIENT);
    struct timing timing = some_timing(TIMING_SERVER);
    struct attributed_request request = {.timing = &timing, .caller = &client};
    struct observation o;

    (void)state;
    client.source = 55;
    observation_of_request(&request, &o);
    assert_int_equal(o.caller, 11);
    timing.source = INTERNED_UNKNOWN;
    observation_of_request(&request, &o);
    assert_int_equal(o.caller, 55);
    request.caller = NULL;
    observation_of_request(&request, &o);
    assert_int_equal(o.caller, INTERNED_UNKNOWN);
}

static void a_call_becomes_an_observation(void **state)
{
    struct timing timing = some_timing(TIMING_CLIENT);
    struct attributed_call call = {.timing = &timing,
        .has_retry = true,
        .retry_ns = 2000000,
        .attempt_count = 300,
        .has_network = true,
        .network_ns = 9000000};
    struct observation o;

    (void)state;
    observation_of_call(&call, &o);
    assert_int_equal(o.side, TIMING_CLIENT);
    assert_int_equal(o.service, 12);
    assert_int_equal(o.caller, 11);
    assert_int_equal(o.attempts, 255);
    assert_int_equal(o.callees[0].service, 12);
    assert_int_equal(o.callees[0].retry_us, 2000);
    assert_int_equal(o.callees[0].network_us, 3000); /* no part is longer than the whole */
    assert_int_equal(o.callees[0].own_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(no_room_at_all),
        cmocka_unit_test(a_request_becomes_an_observation),
        cmocka_unit_test(a_caller_that_only_its_own_span_names),
        cmocka_unit_test(a_call_becomes_an_observation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
