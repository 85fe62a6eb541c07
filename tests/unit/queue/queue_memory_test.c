/* The queue in memory: order, limits, who is dropped, what holding protects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "exporters/queue/queue.h"

enum { BYTES_MAX = 100, DROPS_MAX = 64 };

struct fixture {
    struct queue *queue;
    uint64_t dropped[DROPS_MAX]; /* item counts, which the tests use as names */
    size_t dropped_count;
};

static void on_dropped(void *user, const struct queue_item *item)
{
    struct fixture *fixture = user;

    assert_non_null(item->bytes);
    assert_in_range(fixture->dropped_count, 0, DROPS_MAX - 1);
    fixture->dropped[fixture->dropped_count++] = item->item_count;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->queue = queue_memory_new(BYTES_MAX, on_dropped, fixture);
    assert_non_null(fixture->queue);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    queue_free(fixture->queue);
    free(fixture);
    return 0;
}

/* An item of `length` bytes whose item count is its name. */
static void push(struct fixture *fixture, uint32_t signal, uint64_t name, size_t length)
{
    uint8_t filler[BYTES_MAX * 2];

    memset(filler, (int)name, sizeof filler);
    struct shared_bytes *bytes = shared_bytes_copy(slice_of(filler, length));
    assert_non_null(bytes);
    assert_int_equal(queue_push(fixture->queue,
                         &(struct queue_item){.bytes = bytes, .item_count = name, .signal = signal}),
        0);
    shared_bytes_unref(bytes);
}

static void expect_names(const struct fixture *fixture, uint32_t signal, const uint64_t *names, size_t count)
{
    struct queue_item items[16];

    assert_int_equal(queue_peek(fixture->queue, signal, items, 16), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].item_count, names[i]);
        assert_int_equal(items[i].bytes->data[0], (uint8_t)names[i]);
    }
}

#define EXPECT(fixture, signal, ...)                                                                         \
    expect_names(                                                                                            \
        fixture, signal, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void items_leave_in_order_by_signal(void **state)
{
    struct fixture *fixture = *state;

    push(fixture, 0, 1, 10);
    push(fixture, 1, 2, 10);
    push(fixture, 0, 3, 10);
    EXPECT(fixture, 0, 1, 3);
    EXPECT(fixture, 1, 2);
    struct queue_totals totals = queue_totals(fixture->queue, 0);
    assert_int_equal(totals.bytes, 20);
    assert_int_equal(totals.item_count, 4);
    assert_int_equal(totals.entry_count, 2);
    queue_pop(fixture->queue, 0, 1);
    EXPECT(fixture, 0, 3);
    queue_pop(fixture->queue, 0, 99);
    assert_int_equal(queue_totals(fixture->queue, 0).entry_count, 0);
    assert_int_equal(queue_totals(fixture->queue, 0).bytes, 0);
    push(fixture, 0, 4, 10);
    EXPECT(fixture, 0, 4);
    assert_int_equal(fixture->dropped_count, 0);
}

static void peek_gives_at_most_what_was_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct queue_item item;

    assert_int_equal(queue_peek(fixture->queue, 0, &item, 1), 0);
    push(fixture, 0, 1, 10);
    push(fixture, 0, 2, 10);
    assert_int_equal(queue_peek(fixture->queue, 0, &item, 1), 1);
    assert_int_equal(item.item_count, 1);
}

static void a_full_queue_drops_the_oldest_of_all_signals(void **state)
{
    struct fixture *fixture = *state;

    push(fixture, 1, 1, 40);
    push(fixture, 0, 2, 40);
    push(fixture, 0, 3, 20);
    push(fixture, 0, 4, 50);
    assert_int_equal(fixture->dropped_count, 2);
    assert_int_equal(fixture->dropped[0], 1);
    assert_int_equal(fixture->dropped[1], 2);
    EXPECT(fixture, 0, 3, 4);
    assert_int_equal(queue_totals(fixture->queue, 1).entry_count, 0);
}

static void held_items_are_passed_over(void **state)
{
    struct fixture *fixture = *state;

    push(fixture, 0, 1, 40);
    push(fixture, 0, 2, 30);
    push(fixture, 0, 3, 30);
    queue_hold(fixture->queue, 0, 1);
    push(fixture, 0, 4, 30);
    assert_int_equal(fixture->dropped_count, 1);
    assert_int_equal(fixture->dropped[0], 2);
    EXPECT(fixture, 0, 1, 3, 4);
    push(fixture, 0, 5, 60);
    EXPECT(fixture, 0, 1, 5);
    queue_hold(fixture->queue, 0, 0);
    push(fixture, 0, 6, 40);
    EXPECT(fixture, 0, 5, 6);
}

static void what_cannot_fit_is_dropped_itself_and_alone(void **state)
{
    struct fixture *fixture = *state;

    push(fixture, 0, 1, 40);
    push(fixture, 0, 2, 40);
    push(fixture, 0, 3, BYTES_MAX + 1);
    assert_int_equal(fixture->dropped_count, 1);
    assert_int_equal(fixture->dropped[0], 3);
    EXPECT(fixture, 0, 1, 2);
    queue_hold(fixture->queue, 0, 2);
    push(fixture, 1, 4, 30);
    assert_int_equal(fixture->dropped_count, 2);
    assert_int_equal(fixture->dropped[1], 4);
    EXPECT(fixture, 0, 1, 2);
    push(fixture, 1, 5, 20);
    EXPECT(fixture, 1, 5);
}

static void popping_held_items_lets_go_of_them(void **state)
{
    struct fixture *fixture = *state;

    push(fixture, 0, 1, 10);
    push(fixture, 0, 2, 10);
    push(fixture, 0, 3, 10);
    queue_hold(fixture->queue, 0, 2);
    queue_pop(fixture->queue, 0, 2);
    push(fixture, 0, 4, BYTES_MAX);
    assert_int_equal(fixture->dropped_count, 1);
    assert_int_equal(fixture->dropped[0], 3);
    queue_hold(fixture->queue, 0, 99);
    push(fixture, 0, 5, 1);
    assert_int_equal(fixture->dropped[1], 5);
    EXPECT(fixture, 0, 4);
}

static void entries_are_bounded_too(void **state)
{
    struct fixture *fixture = *state;
    struct shared_bytes *empty = shared_bytes_copy(slice_of(NULL, 0));

    assert_non_null(empty);
    for (uint64_t i = 1; i <= QUEUE_ITEMS_COUNT_MAX + 2; i++) {
        assert_int_equal(
            queue_push(fixture->queue, &(struct queue_item){.bytes = empty, .item_count = i, .signal = 0}),
            0);
    }
    shared_bytes_unref(empty);
    assert_int_equal(fixture->dropped_count, 2);
    assert_int_equal(fixture->dropped[1], 2);
    assert_int_equal(queue_totals(fixture->queue, 0).entry_count, QUEUE_ITEMS_COUNT_MAX);
}

static void signals_out_of_range_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct queue_item item = {.signal = QUEUE_SIGNALS_COUNT_MAX};
    struct queue_item found;

    assert_int_equal(queue_push(fixture->queue, &item), WERR_INVALID);
    assert_int_equal(queue_peek(fixture->queue, QUEUE_SIGNALS_COUNT_MAX, &found, 1), 0);
    queue_hold(fixture->queue, QUEUE_SIGNALS_COUNT_MAX, 1);
    queue_pop(fixture->queue, QUEUE_SIGNALS_COUNT_MAX, 1);
    assert_int_equal(queue_totals(fixture->queue, QUEUE_SIGNALS_COUNT_MAX).entry_count, 0);
}

/* Random pushes, holds and pops: totals always equal what peek shows, and nothing vanishes untold. */
static void totals_agree_with_contents_whatever_happens(void **state)
{
    struct fixture *fixture = *state;
    uint64_t pushed = 0;
    uint64_t popped = 0;
    uint64_t random = 88172645463325252u;

    for (int round = 0; round < 20000; round++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t signal = (uint32_t)(random >> 8) % 2;
        struct queue_item items[BYTES_MAX + 1];
        if (random % 4 < 2) {
            push(fixture, signal, 1 + (random >> 16) % 9, 1 + (random >> 24) % 30);
            pushed += 1 + (random >> 16) % 9;
        } else if (random % 4 == 2) {
            queue_hold(fixture->queue, signal, (random >> 16) % 4);
        } else {
            size_t count = queue_peek(fixture->queue, signal, items, (random >> 16) % 4);
            for (size_t i = 0; i < count; i++) {
                popped += items[i].item_count;
            }
            queue_pop(fixture->queue, signal, count);
        }
        uint64_t inside = 0;
        for (uint32_t s = 0; s < 2; s++) {
            struct queue_totals totals = queue_totals(fixture->queue, s);
            size_t count = queue_peek(fixture->queue, s, items, BYTES_MAX + 1);
            uint64_t bytes = 0;
            uint64_t item_count = 0;
            for (size_t i = 0; i < count; i++) {
                bytes += items[i].bytes->length;
                item_count += items[i].item_count;
            }
            assert_int_equal(totals.entry_count, count);
            assert_int_equal(totals.bytes, bytes);
            assert_int_equal(totals.item_count, item_count);
            inside += item_count;
        }
        for (size_t i = 0; i < fixture->dropped_count; i++) {
            popped += fixture->dropped[i];
        }
        fixture->dropped_count = 0;
        assert_int_equal(pushed, popped + inside);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_leave_in_order_by_signal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peek_gives_at_most_what_was_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_drops_the_oldest_of_all_signals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_items_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_fit_is_dropped_itself_and_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(popping_held_items_lets_go_of_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(entries_are_bounded_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_out_of_range_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(totals_agree_with_contents_whatever_happens, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
