/* The interner: ids and generations, references, sweeps, limits, and a random run against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "context/interner.h"

#define BUDGET_BYTES (64u << 20)

static struct interner *make(struct budget *budget, uint32_t count_max)
{
    *budget = (struct budget){.cap_bytes = BUDGET_BYTES};
    struct interner *interner = interner_new(count_max, budget);

    assert_non_null(interner);
    return interner;
}

static void finish(struct interner *interner, struct budget *budget)
{
    interner_free(interner);
    assert_int_equal(budget->used_bytes, 0);
}

static void sweep_away(struct interner *interner)
{
    for (int i = 0; i < 4; i++) {
        interner_sweep(interner);
    }
}

static uint32_t intern_number(struct interner *interner, unsigned number)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "text-%u", number);

    return interner_intern(interner, slice_of(text, (size_t)length));
}

static void fixed_ids_are_there(void **state)
{
    struct budget budget;
    struct interner *interner = make(&budget, 100);
    size_t count = 1;

    (void)state;
    assert_int_equal(interner_intern(interner, SLICE_LITERAL("")), INTERNED_NONE);
    assert_int_equal(interner_intern(interner, slice_of(NULL, 0)), INTERNED_NONE);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("unknown")), INTERNED_UNKNOWN);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("external")), INTERNED_EXTERNAL);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("_overflow")), INTERNED_OVERFLOW);
    (void)interner_changes(interner, &count);
    assert_int_equal(count, 0);
    sweep_away(interner);
    assert_int_equal(interner_count(interner), INTERNED_FIXED_COUNT);
    assert_true(slice_equal(interner_text(interner, INTERNED_UNKNOWN), SLICE_LITERAL("unknown")));
    finish(interner, &budget);
}

static void same_text_same_id(void **state)
{
    struct budget budget;
    struct interner *interner = make(&budget, 100);
    uint32_t id = interner_intern(interner, SLICE_LITERAL("reviews"));

    (void)state;
    assert_true(id >= INTERNED_FIXED_COUNT && id != INTERNED_FULL);
    assert_int_equal(interner_intern(interner, SLICE_LITERAL("reviews")), id);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("reviews")), id);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("ratings")), INTERNED_FULL);
    assert_int_equal(interner_count(interner), INTERNED_FIXED_COUNT + 1);
    assert_string_equal((const char *)interner_text(interner, id).ptr, "reviews");
    finish(interner, &budget);
}

static void unreferenced_is_swept_and_its_id_goes_stale(void **state)
{
    struct budget budget;
    struct interner *interner = make(&budget, 5);
    uint32_t held = interner_intern(interner, SLICE_LITERAL("held"));
    size_t count = 0;

    (void)state;
    interner_ref(interner, held);
    sweep_away(interner);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("held")), held);
    assert_int_equal(interner_intern(interner, SLICE_LITERAL("more")), INTERNED_FULL);
    interner_unref(interner, held);
    interner_sweep(interner);
    assert_int_equal(
        interner_text(interner, held).length, 4); /* a sweep that saw it used, and the next one, spare it */
    sweep_away(interner);
    assert_int_equal(interner_text(interner, held).length, 0);
    uint32_t next = interner_intern(interner, SLICE_LITERAL("next"));

    assert_int_not_equal(next, INTERNED_FULL);
    assert_int_not_equal(next, held);
    assert_int_equal(next & 0xffffff, held & 0xffffff); /* the index again, of another generation */
    interner_ref(interner, held);                       /* stale: no effect on `next` */
    sweep_away(interner);
    assert_int_equal(interner_text(interner, next).length, 0);
    const struct interner_change *changes = interner_changes(interner, &count);

    assert_int_equal(count, 4);
    assert_true(changes[0].id == held && changes[0].added);
    assert_true(changes[1].id == held && !changes[1].added);
    assert_true(changes[2].id == next && changes[2].added);
    assert_true(changes[3].id == next && !changes[3].added);
    interner_changes_clear(interner);
    (void)interner_changes(interner, &count);
    assert_int_equal(count, 0);
    finish(interner, &budget);
}

static void a_hit_keeps_a_string(void **state)
{
    struct budget budget;
    struct interner *interner = make(&budget, 100);
    uint32_t id = intern_number(interner, 1);

    (void)state;
    for (int i = 0; i < 20; i++) {
        interner_sweep(interner);
        assert_int_equal(intern_number(interner, 1), id);
    }
    finish(interner, &budget);
}

static void bad_ids_are_left_alone(void **state)
{
    struct budget budget;
    struct interner *interner = make(&budget, 100);

    (void)state;
    interner_ref(interner, INTERNED_FULL);
    interner_unref(interner, INTERNED_FULL);
    interner_unref(interner, 77);
    interner_unref(interner, INTERNED_UNKNOWN);
    assert_int_equal(interner_text(interner, INTERNED_FULL).length, 0);
    assert_int_equal(interner_text(interner, 50).length, 0);
    finish(interner, &budget);
}

static void the_budget_is_a_limit(void **state)
{
    struct budget budget = {.cap_bytes = 256 * 1024};
    struct interner *interner = interner_new(1000000, &budget);
    unsigned added = 0;

    (void)state;
    if (interner == NULL) {
        fail_msg("a small budget must hold an empty table");
    }
    while (intern_number(interner, added) != INTERNED_FULL) {
        added++;
    }
    assert_true(added > 100);
    assert_true(budget.used_bytes <= budget.cap_bytes);
    assert_int_equal(interner_find(interner, SLICE_LITERAL("text-0")), intern_number(interner, 0));
    finish(interner, &budget);
    budget = (struct budget){.cap_bytes = 16};
    assert_null(interner_new(1000, &budget));
    assert_int_equal(budget.used_bytes, 0);
}

/* Ids, texts and references of a random run, checked against an array by number. */
static void random_run(void **state)
{
    enum { NUMBERS = 3000, STEPS = 200000 };
    static uint32_t references[NUMBERS];
    static uint32_t ids[NUMBERS];
    struct budget budget;
    struct interner *interner = make(&budget, 1 << 20);
    uint32_t seed = 1;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned number = (seed >> 8) % NUMBERS;
        uint32_t id = intern_number(interner, number);
        char text[32];

        (void)snprintf(text, sizeof(text), "text-%u", number);
        assert_string_equal((const char *)interner_text(interner, id).ptr, text);
        if (references[number] > 0) {
            assert_int_equal(ids[number], id);
        }
        ids[number] = id;
        if ((seed & 1) != 0) {
            references[number]++;
            interner_ref(interner, id);
        } else if (references[number] > 0) {
            references[number]--;
            interner_unref(interner, id);
        }
        if (step % 100 == 0) {
            interner_sweep(interner);
            interner_changes_clear(interner);
        }
    }
    sweep_away(interner);
    uint32_t live = INTERNED_FIXED_COUNT;

    for (unsigned number = 0; number < NUMBERS; number++) {
        live += references[number] > 0;
        assert_int_equal(interner_text(interner, ids[number]).length > 0, references[number] > 0);
    }
    assert_int_equal(interner_count(interner), live);
    finish(interner, &budget);
}

static void a_million_short_lives_fit_a_small_table(void **state)
{
    struct budget budget;
    struct interner *interner = make(&budget, 20000);

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        assert_int_not_equal(intern_number(interner, i), INTERNED_FULL);
        if (i % 1000 == 0) {
            interner_sweep(interner);
            interner_changes_clear(interner);
        }
    }
    assert_true(interner_count(interner) <= 5000);
    finish(interner, &budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_ids_are_there),
        cmocka_unit_test(same_text_same_id),
        cmocka_unit_test(unreferenced_is_swept_and_its_id_goes_stale),
        cmocka_unit_test(a_hit_keeps_a_string),
        cmocka_unit_test(bad_ids_are_left_alone),
        cmocka_unit_test(the_budget_is_a_limit),
        cmocka_unit_test(random_run),
        cmocka_unit_test(a_million_short_lives_fit_a_small_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
