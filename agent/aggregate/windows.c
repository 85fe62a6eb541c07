/* Rolling windows: windows.h. Slots are numbered from the monotonic clock, so that all windows close
 * together. */
#include "aggregate/windows.h"

#include <stdlib.h>

#include "core/error.h"
#include "histogram/sealed.h"

#define SLOT_NS (WINDOW_SLOT_S * 1000000000ull)

/* The numbers begin high, at a multiple of every level's length, so that "the slot before" always exists. */
enum { SLOT_NUMBER_FIRST = 3600 };

struct closed_slot {
    uint32_t length;
    uint64_t outcomes[OUTCOME_COUNT];
    uint8_t sealed[];
};

/* How many slots of a level are kept, where they begin in `closed`, and how many open-slot lengths one lasts.
 */
static const struct level {
    uint32_t count;
    uint32_t begin;
    uint32_t length;
} levels[WINDOW_LEVEL_COUNT] = {
    {.count = 6, .begin = 0, .length = 1},
    {.count = 5, .begin = 6, .length = 6},
    {.count = 3, .begin = 11, .length = 30},
    {.count = 4, .begin = 14, .length = 90},
};

/* A window reads `count` whole slots of one level, and of each finer level those after the last whole slot of
 * it. */
static const struct reach {
    uint32_t level;
    uint32_t count;
} reaches[WINDOW_SPAN_COUNT] = {
    [WINDOW_10S] = {.level = 0, .count = 1},
    [WINDOW_1M] = {.level = 0, .count = 6},
    [WINDOW_5M] = {.level = 1, .count = 5},
    [WINDOW_15M] = {.level = 2, .count = 3},
    [WINDOW_1H] = {.level = 3, .count = 4},
};

static const char *const span_names[WINDOW_SPAN_COUNT] = {
    [WINDOW_10S] = "10s", [WINDOW_1M] = "1m", [WINDOW_5M] = "5m", [WINDOW_15M] = "15m", [WINDOW_1H] = "1h"};

int window_span_of(struct slice text, enum window_span *ret_span)
{
    for (int i = 0; i < WINDOW_SPAN_COUNT; i++) {
        if (slice_equal(text, slice_of_string(span_names[i]))) {
            *ret_span = (enum window_span)i;
            return 0;
        }
    }
    return WERR_NOT_FOUND;
}

static uint64_t slot_of(uint64_t monotonic_ns)
{
    return monotonic_ns / SLOT_NS + SLOT_NUMBER_FIRST;
}

int windows_init(struct windows *windows, struct edges *edges, struct page_slab *slab, struct budget *budget,
    uint64_t monotonic_ns)
{
    *windows = (struct windows){
        .budget = budget,
        .edges = edges,
        .slab = slab,
        .slot = slot_of(monotonic_ns),
        .start_slot = slot_of(monotonic_ns),
    };
    table_init(&windows->windows, budget);
    windows->flat = calloc(1, sizeof(*windows->flat));
    windows->sealed = malloc(SEALED_BYTES_MAX);
    return windows->flat != NULL && windows->sealed != NULL ? 0 : WERR_NOMEM;
}

static void free_closed(struct windows *windows, struct window *window, uint32_t at)
{
    struct closed_slot *slot = window->closed[at];

    if (slot != NULL) {
        memory_free(windows->budget, slot, sizeof(*slot) + slot->length);
        window->closed[at] = NULL;
        window->closed_count--;
    }
}

static void empty_window(struct windows *windows, struct window *window)
{
    for (uint32_t i = 0; i < WINDOW_CLOSED_COUNT; i++) {
        free_closed(windows, window, i);
    }
    histogram_release(&window->open, windows->slab);
    memset(window->open_outcomes, 0, sizeof(window->open_outcomes));
}

void windows_deinit(struct windows *windows)
{
    if (windows->budget == NULL) {
        return;
    }
    for (uint32_t i = 0; i < windows->windows.used; i++) {
        struct window *window = table_at(&windows->windows, i);

        if (window != NULL) {
            empty_window(windows, window);
            memory_free(windows->budget, window, sizeof(*window));
        }
    }
    table_deinit(&windows->windows);
    free(windows->flat);
    free(windows->sealed);
    windows->flat = NULL;
    windows->sealed = NULL;
}

struct window *windows_obtain(struct windows *windows, const struct edge_key *key)
{
    struct edge *edge = edges_obtain(windows->edges, key);

    if (edge == NULL) {
        return NULL;
    }
    if (edge->window != NULL) {
        edge->window->reference_count++;
        edges_release(windows->edges, edge); /* the window holds one already */
        return edge->window;
    }
    struct window *window = memory_calloc(windows->budget, sizeof(*window));
    uint32_t number = window != NULL ? table_add(&windows->windows, window) : SLOT_NONE;

    if (number == SLOT_NONE) {
        memory_free(windows->budget, window, sizeof(*window));
        edges_release(windows->edges, edge);
        return NULL;
    }
    window->edge = edge;
    window->number = number;
    window->reference_count = 1;
    edge->window = window;
    return window;
}

void windows_release(struct windows *windows, struct window *window)
{
    if (window == NULL || --window->reference_count > 0) {
        return;
    }
    empty_window(windows, window);
    table_remove(&windows->windows, window->number);
    window->edge->window = NULL;
    edges_release(windows->edges, window->edge);
    memory_free(windows->budget, window, sizeof(*window));
}

void windows_add(struct windows *windows, struct window *window, enum outcome outcome,
    const struct histogram *from, const struct page_slab *from_slab)
{
    window->open_outcomes[outcome] += from->count;
    (void)histogram_merge_lattice(&window->open, windows->slab, from, from_slab);
}

static void put_closed(struct windows *windows, struct window *window, uint32_t at, int length,
    const uint64_t outcomes[OUTCOME_COUNT])
{
    free_closed(windows, window, at);
    if (length < 0) {
        return;
    }
    struct closed_slot *slot = memory_calloc(windows->budget, sizeof(*slot) + (size_t)length);

    if (slot == NULL) {
        return;
    }
    slot->length = (uint32_t)length;
    memcpy(slot->outcomes, outcomes, sizeof(slot->outcomes));
    memcpy(slot->sealed, windows->sealed, (size_t)length);
    window->closed[at] = slot;
    window->closed_count++;
}

static uint64_t sum_of(const uint64_t outcomes[OUTCOME_COUNT])
{
    uint64_t sum = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        sum += outcomes[i];
    }
    return sum;
}

static void close_open(struct windows *windows, struct window *window, uint32_t at)
{
    if (sum_of(window->open_outcomes) == 0) {
        free_closed(windows, window, at);
        return;
    }
    int length = sealed_write_histogram(&window->open, windows->slab, windows->sealed, SEALED_BYTES_MAX);

    put_closed(windows, window, at, length, window->open_outcomes);
    histogram_release(&window->open, windows->slab);
    memset(window->open_outcomes, 0, sizeof(window->open_outcomes));
}

static void read_closed(
    const struct window *window, uint32_t at, struct histogram_flat *flat, uint64_t outcomes[OUTCOME_COUNT])
{
    const struct closed_slot *slot = window->closed[at];

    if (slot == NULL) {
        return;
    }
    if (flat != NULL) {
        (void)sealed_merge(flat, slice_of(slot->sealed, slot->length)); /* our own bytes */
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        outcomes[i] += slot->outcomes[i];
    }
}

/* All of `level`'s slots become one of the next level. */
static void close_coarser(struct windows *windows, struct window *window, uint32_t level, uint32_t at)
{
    uint64_t outcomes[OUTCOME_COUNT] = {0};

    histogram_flat_reset(windows->flat);
    for (uint32_t i = 0; i < levels[level].count; i++) {
        read_closed(window, levels[level].begin + i, windows->flat, outcomes);
    }
    if (sum_of(outcomes) == 0) {
        free_closed(windows, window, at);
        return;
    }
    put_closed(windows, window, at, sealed_write(windows->flat, windows->sealed, SEALED_BYTES_MAX), outcomes);
}

static uint32_t place_of(uint32_t level, uint64_t number)
{
    return levels[level].begin + (uint32_t)(number % levels[level].count);
}

static void close_slot(struct windows *windows, struct window *window, uint64_t slot)
{
    close_open(windows, window, place_of(0, slot));
    for (uint32_t level = 1; level < WINDOW_LEVEL_COUNT && (slot + 1) % levels[level].length == 0; level++) {
        close_coarser(windows, window, level - 1, place_of(level, slot / levels[level].length));
    }
}

static bool is_empty(const struct window *window)
{
    return window->closed_count == 0 && sum_of(window->open_outcomes) == 0;
}

void windows_tick(struct windows *windows, uint64_t monotonic_ns)
{
    uint64_t now = slot_of(monotonic_ns);
    bool all_old = now > windows->slot + 2ull * levels[3].length * levels[3].count;

    if (now <= windows->slot) {
        return;
    }
    for (uint32_t i = 0; i < windows->windows.used; i++) {
        struct window *window = table_at(&windows->windows, i);

        if (window == NULL || is_empty(window)) {
            continue;
        }
        if (all_old) {
            empty_window(windows, window);
            continue;
        }
        for (uint64_t slot = windows->slot; slot < now && !is_empty(window); slot++) {
            close_slot(windows, window, slot);
        }
    }
    windows->slot = now;
}

/*
 * Level by level: from the finest, the slots since the last whole slot of the next coarser one; at the
 * window's own level, its count of whole slots. *ret_first is the number of the first open-slot length that
 * was read.
 */
static void read_levels(const struct windows *windows, const struct window *window, enum window_span span,
    struct histogram_flat *flat, uint64_t outcomes[OUTCOME_COUNT], uint64_t *ret_first)
{
    const struct reach *reach = &reaches[span];

    for (uint32_t level = 0; level <= reach->level; level++) {
        uint64_t end = windows->slot / levels[level].length;
        uint64_t begin = level < reach->level ? windows->slot / levels[level + 1].length *
                                                    (levels[level + 1].length / levels[level].length)
                                              : end - reach->count;

        for (uint64_t number = begin; number < end; number++) {
            read_closed(window, place_of(level, number), flat, outcomes);
        }
        *ret_first = begin * levels[level].length;
    }
}

void windows_read(const struct windows *windows, const struct window *window, enum window_span span,
    uint64_t monotonic_ns, struct histogram_flat *flat, struct window_values *values)
{
    uint64_t first = windows->slot;

    if (flat != NULL) {
        histogram_flat_merge(flat, &window->open, windows->slab);
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        values->outcomes[i] += window->open_outcomes[i];
    }
    read_levels(windows, window, span, flat, values->outcomes, &first);
    if (first < windows->start_slot) {
        first = windows->start_slot;
    }
    uint64_t start_ns = (first - SLOT_NUMBER_FIRST) * SLOT_NS;

    values->covered_ns = monotonic_ns > start_ns ? monotonic_ns - start_ns : 0;
}

uint64_t windows_start_ns(const struct windows *windows)
{
    return (windows->start_slot - SLOT_NUMBER_FIRST) * SLOT_NS;
}

/* Slots `begin` to `end` of a level, newest first. */
static uint32_t add_slots(const struct windows *windows, uint32_t level, uint64_t begin, uint64_t end,
    struct window_slot *slots, uint32_t count)
{
    uint64_t length = levels[level].length;

    while (end > begin && end * length > windows->start_slot && count < WINDOW_SLOT_COUNT_MAX) {
        end--;
        slots[count++] = (struct window_slot){.level = (uint8_t)level,
            .number = end,
            .start_monotonic_ns = (end * length - SLOT_NUMBER_FIRST) * SLOT_NS,
            .length_ns = length * SLOT_NS};
    }
    return count;
}

/* A level's part ends where the finer one's begins; it begins at a bound of the next coarser level. */
uint32_t windows_slots(const struct windows *windows, enum window_span span, uint64_t monotonic_ns,
    struct window_slot ret_slots[WINDOW_SLOT_COUNT_MAX])
{
    const struct reach *reach = &reaches[span];
    uint64_t open_start_ns = (windows->slot - SLOT_NUMBER_FIRST) * SLOT_NS;
    uint64_t covered_from = windows->slot; /* in lengths of the open slot */
    uint32_t count = 0;

    ret_slots[count++] = (struct window_slot){.level = WINDOW_LEVEL_COUNT,
        .number = windows->slot,
        .start_monotonic_ns = open_start_ns,
        .length_ns = monotonic_ns > open_start_ns ? monotonic_ns - open_start_ns : 0};
    for (uint32_t level = 0; level <= reach->level; level++) {
        uint64_t length = levels[level].length;
        uint64_t kept = level < reach->level ? levels[level].count : reach->count;
        uint64_t begin = windows->slot / length - kept;
        if (level < reach->level) {
            uint64_t ratio = levels[level + 1].length / length;
            begin = (begin + ratio - 1) / ratio * ratio;
        }
        count = add_slots(windows, level, begin, covered_from / length, ret_slots, count);
        covered_from = begin * length < covered_from ? begin * length : covered_from;
    }
    return count;
}

void windows_read_slot(const struct windows *windows, const struct window *window,
    const struct window_slot *slot, struct histogram_flat *flat, struct window_values *values)
{
    values->covered_ns = slot->length_ns;
    if (slot->level < WINDOW_LEVEL_COUNT) {
        read_closed(window, place_of(slot->level, slot->number), flat, values->outcomes);
        return;
    }
    histogram_flat_merge(flat, &window->open, windows->slab);
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        values->outcomes[i] += window->open_outcomes[i];
    }
}
