/* The table of kept traces: found while they linger, gone after, bounded, told to others in batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "trace/kept.h"

#define S 1000000000ull
#define LINGER_NS (30 * S)

enum { COUNT_MAX = 1000, ERROR_BIT = 1, SLOW_BIT = 16 };

struct rig {
    struct metric_cells cells;
    struct kept kept;
};

static struct rig *rig_new(uint32_t count_max)
{
    struct rig *rig = NULL;

    assert_int_equal(posix_memalign((void **)&rig, 64, sizeof *rig), 0);
    memset(rig, 0, sizeof *rig);
    assert_int_equal(
        kept_init(&rig->kept,
            &(struct kept_settings){
                .count_max = count_max, .linger_ns = LINGER_NS, .seed = 12345, .cells = &rig->cells}),
        0);
    return rig;
}

static void rig_free(struct rig *rig)
{
    kept_deinit(&rig->kept);
    free(rig);
}

/* Trace ids that differ in few bits, as counters make them. */
static const uint8_t *id_of(uint64_t number)
{
    static uint8_t id[2][KEPT_TRACE_ID_BYTES];
    static int turn;

    turn = !turn;
    memset(id[turn], 0, sizeof id[turn]);
    id[turn][0] = 1;
    memcpy(id[turn] + 8, &number, sizeof number);
    return id[turn];
}

static void test_found_while_it_lingers(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX);

    (void)state;
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), S), 0);
    assert_int_equal(kept_add(&rig->kept, id_of(1), ERROR_BIT, S), KEPT_NEW);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), S), ERROR_BIT);
    assert_int_equal(kept_reasons(&rig->kept, id_of(2), S), 0);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), S + LINGER_NS - 1), ERROR_BIT);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), S + LINGER_NS), 0);
    rig_free(rig);
}

/* A notice that goes round must not keep a trace for ever. */
static void test_again_adds_reasons_but_no_time(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX);

    (void)state;
    assert_int_equal(kept_add(&rig->kept, id_of(1), ERROR_BIT, S), KEPT_NEW);
    assert_int_equal(kept_add(&rig->kept, id_of(1), SLOW_BIT, 20 * S), KEPT_KNOWN);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), 21 * S), ERROR_BIT | SLOW_BIT);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), S + LINGER_NS), 0);
    /* After its time it is kept anew, and without what it was kept for before. */
    assert_int_equal(kept_add(&rig->kept, id_of(1), SLOW_BIT, S + LINGER_NS), KEPT_NEW);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), 40 * S), SLOW_BIT);
    assert_int_equal(rig->kept.count, 1);
    rig_free(rig);
}

static void test_full_lets_the_oldest_go(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX);

    (void)state;
    for (uint64_t i = 0; i < COUNT_MAX + 100; i++) {
        assert_int_equal(kept_add(&rig->kept, id_of(i), ERROR_BIT, S + i), KEPT_NEW);
    }
    assert_int_equal(rig->kept.count, COUNT_MAX);
    assert_int_equal(metric_get(&rig->cells, METRIC_TRACE_KEPT_EVICTED), 100);
    for (uint64_t i = 0; i < COUNT_MAX + 100; i++) {
        assert_int_equal(kept_reasons(&rig->kept, id_of(i), 2 * S), i < 100 ? 0 : ERROR_BIT);
    }
    rig_free(rig);
}

/* Against a plain list, for hours of simulated time, the table now empty, now full. */
static void test_long_run_against_a_list(void **state)
{
    enum { SMALL = 61, IDS = 4096 };
    static uint64_t until_ns[IDS];
    struct rig *rig = rig_new(SMALL);
    uint64_t random = 88172645463325252ull;
    uint64_t now_ns = S;
    uint64_t order[SMALL]; /* ids, oldest first */
    uint32_t count = 0;

    (void)state;
    memset(until_ns, 0, sizeof until_ns);
    for (int i = 0; i < 200000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t id = random % IDS;

        now_ns += (random >> 20) % (i % 20000 < 10000 ? S / 10 : 3 * S);
        while (count > 0 && until_ns[order[0]] <= now_ns) {
            until_ns[order[0]] = 0;
            memmove(order, order + 1, --count * sizeof order[0]);
        }
        assert_int_equal(kept_reasons(&rig->kept, id_of(id), now_ns) != 0, until_ns[id] != 0);
        enum kept_verdict verdict = kept_add(&rig->kept, id_of(id), ERROR_BIT, now_ns);

        assert_int_equal(verdict, until_ns[id] != 0 ? KEPT_KNOWN : KEPT_NEW);
        if (verdict == KEPT_NEW) {
            if (count == SMALL) {
                until_ns[order[0]] = 0;
                memmove(order, order + 1, --count * sizeof order[0]);
            }
            order[count++] = id;
            until_ns[id] = now_ns + LINGER_NS;
        }
        assert_int_equal(rig->kept.count, count);
    }
    rig_free(rig);
}

/* The table uses more of its memory when it must, the oldest entry in the middle of it or not. */
static void test_grows_to_the_limit_and_no_further(void **state)
{
    const uint32_t limit = 5000;
    struct rig *rig = rig_new(limit);
    uint32_t first_capacity = rig->kept.capacity;
    uint64_t number = 0;

    (void)state;
    assert_true(first_capacity < limit / 4);
    for (; number < 100ull * first_capacity; number++) { /* never more at once than half of it */
        uint64_t now_ns = S + number * (2 * LINGER_NS / first_capacity);
        assert_int_equal(kept_add(&rig->kept, id_of(number), ERROR_BIT, now_ns), KEPT_NEW);
    }
    assert_int_equal(rig->kept.capacity, first_capacity);
    uint64_t now_ns = S + number * (2 * LINGER_NS / first_capacity);
    kept_expire(&rig->kept, now_ns);
    uint64_t oldest = number - rig->kept.count;
    assert_true(rig->kept.first != 0 && rig->kept.count > 0);
    for (; number < oldest + limit; number++) {
        assert_int_equal(kept_add(&rig->kept, id_of(number), ERROR_BIT, now_ns), KEPT_NEW);
    }
    assert_int_equal(rig->kept.capacity, limit);
    assert_int_equal(metric_get(&rig->cells, METRIC_TRACE_KEPT_EVICTED), 0);
    for (uint64_t i = oldest; i < number; i++) {
        assert_int_equal(kept_reasons(&rig->kept, id_of(i), now_ns), ERROR_BIT);
    }
    assert_int_equal(kept_add(&rig->kept, id_of(number), ERROR_BIT, now_ns), KEPT_NEW);
    assert_int_equal(rig->kept.count, limit);
    assert_int_equal(metric_get(&rig->cells, METRIC_TRACE_KEPT_EVICTED), 1);
    assert_int_equal(kept_reasons(&rig->kept, id_of(oldest), now_ns), 0);
    assert_int_equal(kept_reasons(&rig->kept, id_of(oldest + 1), now_ns), ERROR_BIT);
    rig_free(rig);
}

static void test_expiry_empties_the_table(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX);

    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        (void)kept_add(&rig->kept, id_of(i), ERROR_BIT, S + i * S / 100);
    }
    kept_expire(&rig->kept, LINGER_NS + 2 * S);
    assert_int_equal(rig->kept.count, 500 - 101);
    kept_expire(&rig->kept, UINT64_MAX);
    assert_int_equal(rig->kept.count, 0);
    for (uint32_t at = 0; at <= rig->kept.index_mask; at++) {
        assert_int_equal(rig->kept.index[at], 0);
    }
    rig_free(rig);
}

static void test_bad_input(void **state)
{
    static const uint8_t none[KEPT_TRACE_ID_BYTES];
    struct rig *rig = rig_new(1);
    struct kept never = {.count = 0};

    (void)state;
    assert_int_equal(kept_add(&rig->kept, none, ERROR_BIT, S), KEPT_REFUSED);
    assert_int_equal(kept_add(&rig->kept, id_of(1), 0, S), KEPT_REFUSED);
    assert_int_equal(kept_add(&rig->kept, id_of(1), 1u << 31, S), KEPT_REFUSED); /* no reason that there is */
    assert_int_equal(kept_reasons(&rig->kept, none, S), 0);
    assert_int_equal(kept_add(&rig->kept, id_of(1), ERROR_BIT, S), KEPT_NEW);
    assert_int_equal(kept_reasons(&rig->kept, none, S), 0);
    assert_int_equal(kept_add(&rig->kept, id_of(2), ERROR_BIT, S), KEPT_NEW);
    assert_int_equal(rig->kept.count, 1);
    assert_int_equal(kept_init(&never, &(struct kept_settings){.count_max = 0}), WERR_INVALID);
    kept_deinit(&never);
    kept_deinit(NULL);
    rig_free(rig);
}

static void test_batches(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX);

    (void)state;
    assert_null(kept_letter_new(&rig->kept));
    for (uint64_t i = 0; i < KEPT_LETTER_COUNT_MAX; i++) {
        assert_true(kept_announce(&rig->kept, id_of(i), SLOW_BIT));
    }
    assert_false(kept_announce(&rig->kept, id_of(99999), SLOW_BIT));
    struct kept_letter *first = kept_letter_new(&rig->kept);
    struct kept_letter *second = kept_letter_new(&rig->kept);

    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(first->count, KEPT_LETTER_COUNT_MAX);
    assert_memory_equal(first->notices, second->notices, sizeof first->notices);
    assert_memory_equal(first->notices[200].trace_id, id_of(200), KEPT_TRACE_ID_BYTES);
    assert_int_equal(first->notices[200].reasons, SLOW_BIT);
    kept_batch_clear(&rig->kept);
    assert_null(kept_letter_new(&rig->kept));
    assert_true(kept_announce(&rig->kept, id_of(7), ERROR_BIT));
    free(first);
    free(second);
    rig_free(rig);
}

/* Of a trace that has new spans it is noted once until they have left, also when its time is over by then. */
static void test_waiting(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX * 2);

    (void)state;
    for (uint64_t i = 0; i < KEPT_WAITING_COUNT_MAX + 1; i++) {
        (void)kept_add(&rig->kept, id_of(i), SLOW_BIT, S);
    }
    for (int again = 0; again < 2; again++) {
        for (uint64_t i = 0; i < KEPT_WAITING_COUNT_MAX; i++) {
            assert_true(kept_wait(&rig->kept, kept_find(&rig->kept, id_of(i), S)));
        }
    }
    assert_false(kept_wait(&rig->kept, kept_find(&rig->kept, id_of(KEPT_WAITING_COUNT_MAX), S)));
    kept_left(&rig->kept, 1000, S);
    assert_int_equal(rig->kept.waiting_count, KEPT_WAITING_COUNT_MAX - 1000);
    assert_memory_equal(rig->kept.waiting[0].trace_id, id_of(1000), KEPT_TRACE_ID_BYTES);
    assert_int_equal(rig->kept.waiting[0].reasons, SLOW_BIT);
    assert_true(kept_wait(&rig->kept, kept_find(&rig->kept, id_of(3), S)));
    assert_true(kept_wait(&rig->kept, kept_find(&rig->kept, id_of(1001), S))); /* still waits */
    assert_int_equal(rig->kept.waiting_count, KEPT_WAITING_COUNT_MAX - 1000 + 1);
    kept_expire(&rig->kept, UINT64_MAX);
    kept_left(&rig->kept, rig->kept.waiting_count, UINT64_MAX);
    assert_int_equal(rig->kept.waiting_count, 0);
    rig_free(rig);
}

/* A reload changes how long traces are kept; entries still end in their order. */
static void test_another_linger_time(void **state)
{
    struct rig *rig = rig_new(COUNT_MAX);

    (void)state;
    (void)kept_add(&rig->kept, id_of(1), ERROR_BIT, S);
    kept_set_linger(&rig->kept, 5 * S, 2 * S);
    (void)kept_add(&rig->kept, id_of(2), ERROR_BIT, 3 * S);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), 7 * S - 1), ERROR_BIT);
    assert_int_equal(kept_reasons(&rig->kept, id_of(1), 7 * S), 0);
    assert_int_equal(kept_reasons(&rig->kept, id_of(2), 8 * S - 1), ERROR_BIT);
    kept_expire(&rig->kept, 8 * S);
    assert_int_equal(rig->kept.count, 0);
    (void)kept_add(&rig->kept, id_of(3), ERROR_BIT, 9 * S);
    kept_set_linger(&rig->kept, 100 * S, 9 * S);
    for (uint64_t i = 10; i < 100; i++) { /* turns of the filter lose nobody */
        (void)kept_add(&rig->kept, id_of(i), ERROR_BIT, i * S);
        assert_int_equal(kept_reasons(&rig->kept, id_of(10), i * S), ERROR_BIT);
        assert_int_equal(kept_reasons(&rig->kept, id_of(3), i * S), i < 14 ? ERROR_BIT : 0);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_while_it_lingers),
        cmocka_unit_test(test_again_adds_reasons_but_no_time),
        cmocka_unit_test(test_full_lets_the_oldest_go),
        cmocka_unit_test(test_long_run_against_a_list),
        cmocka_unit_test(test_grows_to_the_limit_and_no_further),
        cmocka_unit_test(test_expiry_empties_the_table),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_another_linger_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
