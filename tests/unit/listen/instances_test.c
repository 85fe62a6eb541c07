/* The table of senders: new, duplicate, gap, and forgetting the one that was quiet longest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "listen/instances.h"

static const uint8_t *id_of(uint32_t number)
{
    static uint8_t id[INSTANCE_ID_BYTES];

    memset(id, 0, sizeof id);
    memcpy(id, &number, sizeof number);
    return id;
}

static void test_new_duplicate_gap(void **state)
{
    struct instances *instances;
    struct metric_cells cells = {.value = {0}};
    uint64_t last;
    (void)state;

    assert_int_equal(instances_new(16, &instances), 0);
    assert_int_equal(instances_open(instances, &cells, id_of(1), 1), 0);
    assert_int_equal(instances_claim(instances, &cells, id_of(1), 1, &last), INSTANCES_NEW);
    assert_int_equal(instances_claim(instances, &cells, id_of(1), 1, &last), INSTANCES_DUPLICATE);
    assert_int_equal(last, 1);
    assert_int_equal(instances_claim(instances, &cells, id_of(1), 5, &last), INSTANCES_GAP);
    assert_int_equal(last, 5);
    assert_int_equal(instances_claim(instances, &cells, id_of(1), 3, &last), INSTANCES_DUPLICATE);
    /* a new connection is told what is known, whatever it says itself */
    assert_int_equal(instances_open(instances, &cells, id_of(1), 2), 5);
    assert_int_equal(instances_open(instances, &cells, id_of(2), 8), 7);
    assert_int_equal(instances_claim(instances, &cells, id_of(2), 8, &last), INSTANCES_NEW);
    instances_free(instances);
    instances_free(NULL);
}

static void test_forgets_the_quiet(void **state)
{
    struct instances *instances;
    struct metric_cells cells = {.value = {0}};
    uint64_t last;
    (void)state;

    assert_int_equal(instances_new(64, &instances), 0);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(instances_claim(instances, &cells, id_of(i), 10, &last), INSTANCES_NEW);
    }
    for (uint32_t i = 0; i < 64; i += 2) {
        assert_int_equal(instances_claim(instances, &cells, id_of(i), 11, &last), INSTANCES_NEW);
    }
    for (uint32_t i = 1000; i < 1032; i++) {
        assert_int_equal(instances_open(instances, &cells, id_of(i), 1), 0);
    }
    assert_int_equal(instances_count(instances), 64);
    assert_int_equal(metric_get(&cells, METRIC_NATIVE_INSTANCES_FORGOTTEN), 32);
    for (uint32_t i = 0; i < 64; i += 2) {
        assert_int_equal(instances_claim(instances, &cells, id_of(i), 11, &last), INSTANCES_DUPLICATE);
    }
    assert_int_equal(instances_claim(instances, &cells, id_of(1), 10, &last), INSTANCES_NEW);
    instances_free(instances);
}

/* Against a plain array as long as nothing is forgotten: a million random claims. */
static void test_many_claims(void **state)
{
    static uint64_t model[4096];
    struct instances *instances;
    struct metric_cells cells = {.value = {0}};
    uint64_t last;
    uint32_t random = 12345;
    (void)state;

    assert_int_equal(instances_new(4096, &instances), 0);
    for (uint32_t i = 0; i < 4096; i++) {
        assert_int_equal(instances_open(instances, &cells, id_of(i), 1), 0);
    }
    for (int i = 0; i < 1000000; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t who = random >> 20;
        uint64_t sequence = model[who] + (random >> 8) % 3;
        sequence = sequence == 0 ? 1 : sequence;
        enum instances_verdict expected = sequence <= model[who]       ? INSTANCES_DUPLICATE
                                          : sequence == model[who] + 1 ? INSTANCES_NEW
                                                                       : INSTANCES_GAP;
        assert_int_equal(instances_claim(instances, &cells, id_of(who), sequence, &last), expected);
        model[who] = sequence > model[who] ? sequence : model[who];
        assert_int_equal(last, model[who]);
    }
    assert_int_equal(metric_get(&cells, METRIC_NATIVE_INSTANCES_FORGOTTEN), 0);
    instances_free(instances);
}

/* A client says the same sum again on each new connection: only what is new counts. */
static void test_dropped_counts_what_is_new(void **state)
{
    struct instances *instances;
    struct metric_cells cells = {.value = {0}};
    uint64_t spans;
    uint64_t points;
    (void)state;

    assert_int_equal(instances_new(16, &instances), 0);
    (void)instances_open(instances, &cells, id_of(1), 1);
    (void)instances_open(instances, &cells, id_of(2), 1);
    instances_dropped(instances, id_of(1), 10, 3, &spans, &points);
    assert_int_equal(spans, 10);
    assert_int_equal(points, 3);
    (void)instances_open(instances, &cells, id_of(1), 1); /* a new connection */
    instances_dropped(instances, id_of(1), 10, 4, &spans, &points);
    assert_int_equal(spans, 0);
    assert_int_equal(points, 1);
    instances_dropped(instances, id_of(1), 7, 4, &spans, &points); /* overtaken */
    assert_int_equal(spans, 0);
    instances_dropped(instances, id_of(1), 12, 4, &spans, &points);
    assert_int_equal(spans, 2);
    instances_dropped(instances, id_of(2), 5, 0, &spans, &points); /* another client */
    assert_int_equal(spans, 5);
    instances_dropped(instances, id_of(3), 5, 5, &spans, &points); /* forgotten */
    assert_int_equal(spans, 0);
    assert_int_equal(points, 0);
    instances_free(instances);
}

static void test_bad_sizes(void **state)
{
    struct instances *instances = NULL;
    (void)state;

    assert_int_equal(instances_new(0, &instances), WERR_INVALID);
    assert_int_equal(instances_new(UINT64_MAX, &instances), WERR_INVALID);
    assert_null(instances);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_duplicate_gap),
        cmocka_unit_test(test_forgets_the_quiet),
        cmocka_unit_test(test_many_claims),
        cmocka_unit_test(test_dropped_counts_what_is_new),
        cmocka_unit_test(test_bad_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
