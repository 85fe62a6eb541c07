/* Pinned traces: shares, the budget, R, and who goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "trace/pins.h"
#include "trace/span_ids.h"

#define S 1000000000ull

enum { TRACES = 20, EXEMPLARS = 40, R_S = 10, BYTES = 1 << 20 };

struct store {
    struct pins *pins;
    struct metric_registry registry;
    struct metric_cells *cells;
};

static void open_store(struct store *store, uint32_t traces, uint64_t bytes_max)
{
    struct pins_settings settings = {
        .traces_count_max = traces,
        .exemplars_count_max = EXEMPLARS,
        .bytes_max = bytes_max,
        .retention_ns = R_S * S,
        .late_ns = {6 * S, 30 * S},
    };

    memset(store, 0, sizeof *store);
    store->cells = metric_registry_add(&store->registry, METRIC_SCOPE_PROCESS, "");
    settings.cells = store->cells;
    assert_int_equal(pins_new(&settings, &store->pins), 0);
}

static void close_store(struct store *store)
{
    pins_free(store->pins);
    metric_registry_deinit(&store->registry);
}

static uint64_t count_of(struct store *store, enum metric_id id)
{
    return metric_registry_sum(&store->registry, id);
}

static const uint8_t *trace_of(uint32_t number)
{
    static uint8_t id[16];

    memset(id, 0x5a, sizeof id);
    memcpy(id, &number, sizeof number);
    return id;
}

static const uint8_t *span_of(uint32_t number)
{
    static uint8_t id[8];

    memset(id, 0xa5, sizeof id);
    memcpy(id, &number, sizeof number);
    return id;
}

/* TracesData{ResourceSpans{ScopeSpans{Span{span_id, name of `pad` bytes}}}} of `count` spans from `first`. */
static struct slice message(struct buffer *out, uint32_t first, uint32_t count, uint32_t pad)
{
    size_t span_bytes = 2 + 8 + 3 + pad;
    size_t scope_bytes = count * (3 + span_bytes);

    assert_true(pad >= 128 && scope_bytes + 8 < 2097152 && span_bytes < 16384);
    buffer_init(out, SIZE_MAX);
#define LENGTH3(n) (uint8_t)((n) | 0x80), (uint8_t)((n) >> 7 | 0x80), (uint8_t)((n) >> 14)
    (void)buffer_append(out, (uint8_t[]){0x0a, LENGTH3(scope_bytes + 4), 0x12, LENGTH3(scope_bytes)}, 8);
    for (uint32_t i = 0; i < count; i++) {
        (void)buffer_append(
            out, (uint8_t[]){0x12, (uint8_t)(span_bytes | 0x80), (uint8_t)(span_bytes >> 7)}, 3);
        (void)buffer_append(out, (uint8_t[]){0x12, 8}, 2);
        (void)buffer_append(out, span_of(first + i), 8);
        (void)buffer_append(out, (uint8_t[]){0x2a, (uint8_t)(pad | 0x80), (uint8_t)(pad >> 7)}, 3);
        memset(buffer_reserve(out, pad), 'x', pad);
        out->length += pad;
    }
    assert_int_equal(out->error, 0);
    return slice_of(out->data, out->length);
}

static void hold(struct store *store, uint32_t trace, uint32_t first, uint32_t count, uint64_t now_ns)
{
    struct buffer out;
    struct slice part = message(&out, first, count, 128);

    pins_hold(store->pins, trace_of(trace), &part, 1, now_ns);
    buffer_deinit(&out);
}

static enum pins_verdict want(struct store *store, uint32_t number, uint32_t destination, uint32_t trace,
    uint32_t span, uint64_t now_ns)
{
    const struct pins_exemplar exemplar = {
        .number = number, .destination = destination, .trace_id = trace_of(trace), .span_id = span_of(span)};

    return pins_want(store->pins, &exemplar, now_ns);
}

/* An exemplar of a trace of its own, through all steps. */
static enum pins_verdict pin(struct store *store, uint32_t number, uint32_t destination, uint64_t now_ns)
{
    enum pins_verdict verdict = want(store, number, destination, number, number, now_ns);

    if (verdict == PINS_FETCH) {
        hold(store, number, number, 1, now_ns);
        verdict = pins_settle(store->pins, number, now_ns);
    }
    return verdict;
}

static bool is_held(struct store *store, uint32_t trace, uint32_t span)
{
    struct shared_bytes *bytes = pins_find(store->pins, trace_of(trace));
    bool has = bytes != NULL && span_ids_have(slice_of(bytes->data, bytes->length), span_of(span));

    shared_bytes_unref(bytes);
    return has;
}

static void granted_only_with_its_span(void **state)
{
    struct store store;

    (void)state;
    open_store(&store, TRACES, BYTES);
    assert_int_equal(want(&store, 0, 1, 7, 71, S), PINS_FETCH);
    assert_false(is_held(&store, 7, 71));
    hold(&store, 7, 70, 3, S);
    assert_int_equal(pins_settle(store.pins, 0, S), PINS_GRANTED);
    assert_true(is_held(&store, 7, 71));
    /* of the same trace: at once, or after another look into the rings */
    assert_int_equal(want(&store, 1, 1, 7, 72, S), PINS_GRANTED);
    assert_int_equal(want(&store, 2, 1, 7, 79, S), PINS_FETCH);
    hold(&store, 7, 70, 3, S);
    assert_int_equal(pins_settle(store.pins, 2, S), PINS_REFUSED_GONE);
    assert_true(is_held(&store, 7, 70));
    /* nothing was found, or other spans: the trace takes no place */
    assert_int_equal(want(&store, 3, 1, 8, 80, S), PINS_FETCH);
    assert_int_equal(pins_settle(store.pins, 3, S), PINS_REFUSED_GONE);
    assert_int_equal(want(&store, 3, 1, 8, 80, S), PINS_FETCH);
    hold(&store, 8, 81, 3, S);
    assert_int_equal(pins_settle(store.pins, 3, S), PINS_REFUSED_GONE);
    assert_int_equal(pins_traces_count(store.pins), 1);
    assert_int_equal(count_of(&store, METRIC_EXEMPLARS_GRANTED), 2);
    assert_int_equal(count_of(&store, METRIC_EXEMPLARS_REFUSED_GONE), 3);
    close_store(&store);
}

static void dropped_only_r_after_the_last_was_shown(void **state)
{
    struct store store;

    (void)state;
    open_store(&store, TRACES, BYTES);
    assert_int_equal(pin(&store, 0, 1, S), PINS_GRANTED);
    assert_int_equal(want(&store, 1, 1, 0, 0, S), PINS_GRANTED);
    pins_tick(store.pins, 1000 * S); /* shown: for ever */
    assert_true(is_held(&store, 0, 0));
    pins_withdrawn(store.pins, 0, 1000 * S);
    pins_tick(store.pins, 2000 * S);
    assert_true(is_held(&store, 0, 0));
    pins_withdrawn(store.pins, 1, 2000 * S);
    pins_tick(store.pins, (2000 + R_S) * S - 1);
    assert_true(is_held(&store, 0, 0));
    /* shown again meanwhile, and a longer R */
    assert_int_equal(want(&store, 1, 1, 0, 0, (2000 + R_S) * S - 1), PINS_GRANTED);
    pins_tick(store.pins, 3000 * S);
    assert_true(is_held(&store, 0, 0));
    pins_withdrawn(store.pins, 1, 3000 * S);
    pins_set_retention(store.pins, 2 * R_S * S);
    pins_tick(store.pins, (3000 + 2 * R_S) * S - 1);
    assert_true(is_held(&store, 0, 0));
    pins_tick(store.pins, (3000 + 2 * R_S) * S);
    assert_false(is_held(&store, 0, 0));
    assert_int_equal(pins_traces_count(store.pins), 0);
    assert_int_equal(pins_bytes(store.pins), 0);
    close_store(&store);
}

static void a_newcomer_finds_a_place(void **state)
{
    struct store store;
    uint32_t loud = 0;
    uint32_t quiet = 0;

    (void)state;
    open_store(&store, TRACES, BYTES);
    for (uint32_t i = 0; i < TRACES; i++) {
        loud += pin(&store, i, 1, S) == PINS_GRANTED;
    }
    assert_int_equal(loud, TRACES / 2);
    for (uint32_t i = TRACES; i < 2 * TRACES; i++) {
        quiet += pin(&store, i, 2, S) == PINS_GRANTED;
    }
    assert_int_equal(quiet, TRACES / 4);
    assert_int_equal(count_of(&store, METRIC_EXEMPLARS_REFUSED_FULL), 2 * TRACES - loud - quiet);
    close_store(&store);
}

static void a_refresh_gets_less(void **state)
{
    struct store store;
    uint32_t granted = 0;

    (void)state;
    open_store(&store, TRACES + 1, BYTES);
    for (uint32_t i = 0; i < TRACES; i++) {
        const struct pins_exemplar exemplar = {.number = i,
            .destination = 1,
            .trace_id = trace_of(i),
            .span_id = span_of(i),
            .is_refresh = true};
        if (pins_want(store.pins, &exemplar, S) == PINS_FETCH) {
            hold(&store, i, i, 1, S);
            granted += pins_settle(store.pins, i, S) == PINS_GRANTED;
        }
    }
    assert_int_equal(granted, (TRACES + 1) / 3);
    close_store(&store);
}

static void room_is_made_by_the_one_with_most(void **state)
{
    struct store store;
    uint32_t numbers[PINS_CHOICE_COUNT_MAX];

    (void)state;
    open_store(&store, TRACES, BYTES);
    for (uint32_t i = 0; i < TRACES / 2; i++) {
        assert_int_equal(pin(&store, i, 1, (i + 1) * S / 100), PINS_GRANTED);
    }
    assert_int_equal(want(&store, 30, 1, 0, 0, S), PINS_GRANTED); /* the oldest trace has two */
    for (uint32_t i = 20; i < 25; i++) {
        assert_int_equal(pin(&store, i, 2, S), PINS_GRANTED);
    }
    assert_int_equal(pin(&store, 25, 2, S), PINS_REFUSED_FULL);
    assert_int_equal(pins_choose(store.pins, 1, S, numbers), 0); /* it has most itself, and nothing is old */
    assert_int_equal(pins_choose(store.pins, 2, S, numbers), 2);
    assert_int_equal(numbers[0], 0);
    assert_int_equal(numbers[1], 30);
    assert_int_equal(pins_choose(store.pins, 2, S, numbers), 1); /* the next */
    assert_int_equal(numbers[0], 1);
    /* nothing was dropped for it: the exemplar goes first, its trace R later */
    pins_withdrawn(store.pins, 0, 2 * S);
    pins_withdrawn(store.pins, 30, 2 * S);
    pins_withdrawn(store.pins, 1, 2 * S);
    pins_tick(store.pins, (2 + R_S) * S - 1);
    assert_int_equal(pin(&store, 25, 2, 3 * S), PINS_REFUSED_FULL);
    assert_true(is_held(&store, 0, 0) && is_held(&store, 1, 1));
    pins_tick(store.pins, (2 + R_S) * S);
    assert_false(is_held(&store, 0, 0) || is_held(&store, 1, 1));
    assert_int_equal(pin(&store, 25, 2, 20 * S), PINS_GRANTED);
    assert_int_equal(count_of(&store, METRIC_EXEMPLARS_WITHDRAWN), 3);
    close_store(&store);
}

static void room_is_made_of_what_is_old(void **state)
{
    struct store store;
    uint32_t numbers[PINS_CHOICE_COUNT_MAX];
    uint32_t chosen = 0;

    (void)state;
    open_store(&store, TRACES, BYTES);
    for (uint32_t i = 0; i < TRACES / 2; i++) {
        assert_int_equal(pin(&store, i, 1, S), PINS_GRANTED);
    }
    assert_int_equal(pins_choose(store.pins, 1, (1 + R_S) * S - 1, numbers), 0);
    while (pins_choose(store.pins, 1, (1 + R_S) * S, numbers) > 0) {
        pins_withdrawn(store.pins, numbers[0], (1 + R_S) * S);
        chosen++;
    }
    assert_int_equal(chosen, TRACES / PINS_RETIRED_SHARE); /* not all at once */
    close_store(&store);
}

static void bytes_have_a_limit(void **state)
{
    struct store store;
    struct buffer out;
    struct slice part = message(&out, 0, 1, 1024);
    uint64_t bytes_max = PINS_TRACE_SHARE * part.length;
    uint32_t granted = 0;

    (void)state;
    open_store(&store, TRACES, bytes_max);
    for (uint32_t i = 0; i < TRACES; i++) { /* one each: as many bytes as there are */
        struct buffer own;
        part = message(&own, i, 1, 1024);
        assert_int_equal(want(&store, i, i, i, i, S), PINS_FETCH);
        pins_hold(store.pins, trace_of(i), &part, 1, S);
        buffer_deinit(&own);
        granted += pins_settle(store.pins, i, S) == PINS_GRANTED;
        assert_true(pins_bytes(store.pins) <= bytes_max);
    }
    assert_int_equal(granted, PINS_TRACE_SHARE);
    assert_int_equal(pins_traces_count(store.pins), granted);
    buffer_deinit(&out);
    part = message(&out, 0, 1, 1025); /* one byte more than one may have */
    assert_int_equal(want(&store, 30, 0, 99, 0, S), PINS_FETCH);
    pins_hold(store.pins, trace_of(99), &part, 1, S);
    assert_int_equal(pins_settle(store.pins, 30, S), PINS_REFUSED_OVERSIZED);
    buffer_deinit(&out);
    close_store(&store);
}

static void late_spans_are_added_and_none_is_lost(void **state)
{
    struct store store;
    uint8_t ids[4][16];

    (void)state;
    open_store(&store, TRACES, BYTES);
    assert_int_equal(want(&store, 0, 1, 5, 50, S), PINS_FETCH);
    hold(&store, 5, 50, 2, S);
    assert_int_equal(pins_settle(store.pins, 0, S), PINS_GRANTED);
    uint64_t before = pins_bytes(store.pins);
    assert_int_equal(pins_late(store.pins, 7 * S - 1, ids, 4), 0);
    assert_int_equal(pins_late(store.pins, 7 * S, ids, 4), 1);
    assert_memory_equal(ids[0], trace_of(5), 16);
    assert_int_equal(pins_late(store.pins, 7 * S, ids, 4), 0);
    hold(&store, 5, 50, 4, 7 * S); /* all there was, and more: takes its place */
    assert_true(is_held(&store, 5, 50) && is_held(&store, 5, 53));
    assert_true(pins_bytes(store.pins) < 3 * before);
    assert_int_equal(pins_late(store.pins, 31 * S, ids, 4), 1);
    hold(&store, 5, 55, 1, 31 * S); /* the rings have forgotten the others */
    assert_true(is_held(&store, 5, 50) && is_held(&store, 5, 55));
    hold(&store, 5, 0, 0, 32 * S); /* all of them */
    assert_true(is_held(&store, 5, 50) && is_held(&store, 5, 55));
    assert_int_equal(pins_late(store.pins, 900 * S, ids, 4), 0);
    close_store(&store);
}

/* Another request under the same trace id: both are found. */
static void a_trace_id_used_again(void **state)
{
    struct store store;

    (void)state;
    open_store(&store, TRACES, BYTES);
    assert_int_equal(pin(&store, 3, 1, S), PINS_GRANTED);
    pins_withdrawn(store.pins, 3, 2 * S);
    assert_int_equal(want(&store, 4, 2, 3, 44, 3 * S), PINS_FETCH);
    pins_tick(store.pins, 100 * S); /* wanted: it stays, though R is over */
    hold(&store, 3, 44, 1, 100 * S);
    assert_int_equal(pins_settle(store.pins, 4, 100 * S), PINS_GRANTED);
    assert_true(is_held(&store, 3, 3) && is_held(&store, 3, 44));
    assert_int_equal(pins_traces_count(store.pins), 1);
    /* the number is free again, and not before */
    assert_int_equal(want(&store, 4, 2, 9, 9, 101 * S), PINS_REFUSED_FULL);
    assert_int_equal(pin(&store, 3, 1, 101 * S), PINS_GRANTED);
    close_store(&store);
}

static void nonsense_does_no_harm(void **state)
{
    struct store store;
    uint32_t numbers[PINS_CHOICE_COUNT_MAX];
    uint8_t ids[4][16];
    const uint8_t garbage[] = {0x0a, 0x05, 0x12, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct slice part = slice_of(garbage, sizeof garbage);

    (void)state;
    open_store(&store, TRACES, BYTES);
    assert_int_equal(want(&store, EXEMPLARS, 1, 1, 1, S), PINS_REFUSED_FULL);
    assert_int_equal(pins_settle(store.pins, EXEMPLARS, S), PINS_REFUSED_GONE);
    assert_int_equal(pins_settle(store.pins, 0, S), PINS_REFUSED_GONE);
    pins_withdrawn(store.pins, EXEMPLARS, S);
    pins_withdrawn(store.pins, 0, S);
    pins_hold(store.pins, trace_of(1), &part, 1, S);
    assert_int_equal(pins_traces_count(store.pins), 0);
    assert_int_equal(want(&store, 0, 1, 1, 1, S), PINS_FETCH);
    pins_withdrawn(store.pins, 0, S); /* it is not shown yet */
    pins_hold(store.pins, trace_of(1), &part, 1, S);
    assert_int_equal(pins_settle(store.pins, 0, S), PINS_REFUSED_GONE);
    assert_int_equal(pins_choose(store.pins, 1, S, numbers), 0);
    assert_int_equal(pins_late(store.pins, 100 * S, ids, 4), 0);
    close_store(&store);
    open_store(&store, 0, BYTES); /* none at all */
    assert_int_equal(pin(&store, 0, 1, S), PINS_REFUSED_FULL);
    assert_int_equal(pins_choose(store.pins, 1, S, numbers), 0);
    pins_tick(store.pins, S);
    close_store(&store);
    pins_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(granted_only_with_its_span),
        cmocka_unit_test(dropped_only_r_after_the_last_was_shown),
        cmocka_unit_test(a_newcomer_finds_a_place),
        cmocka_unit_test(a_refresh_gets_less),
        cmocka_unit_test(room_is_made_by_the_one_with_most),
        cmocka_unit_test(room_is_made_of_what_is_old),
        cmocka_unit_test(bytes_have_a_limit),
        cmocka_unit_test(late_spans_are_added_and_none_is_lost),
        cmocka_unit_test(a_trace_id_used_again),
        cmocka_unit_test(nonsense_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
