/*
 * The directory's life between intervals: making it, handing a full delta over, taking an empty one back, and
 * dropping series that the aggregator retired. The shard's loop, a few times a minute.
 */
#include "aggregate/directory.h"

#include <stdlib.h>

#include "aggregate/directory_internal.h"
#include "core/error.h"

enum {
    /* every page that overflow's histograms of two deltas can need: octaves, split slots and carries */
    OVERFLOW_PAGE_COUNT = 2 * OVERFLOW_SET_COUNT * (2 * HISTOGRAM_PAGES + HISTOGRAM_CARRY_DIRECTORIES),
    OVERFLOW_CHUNK_COUNT = OVERFLOW_PAGE_COUNT / SLAB_CHUNK_PAGE_COUNT + 1,
    REFUSED_SLICE_COUNT = 16384, /* refused series that one flip looks at */
    SENDER_SERIES_MIN = 16,      /* whatever the percentage comes to */
};

static void init_slots(struct delta *delta)
{
    slot_array_init(&delta->requests, sizeof(struct requests_slot));
    slot_array_init(&delta->durations, sizeof(struct duration_slot));
    slot_array_init(&delta->traffic, sizeof(struct traffic_slot));
    slot_array_init(&delta->flags, sizeof(struct flags_slot));
    slot_array_init(&delta->tcp, sizeof(struct tcp_slot));
    slot_array_init(&delta->scalars, sizeof(struct scalar_slot));
    slot_array_init(&delta->distributions, sizeof(struct distribution_slot));
    slot_array_init(&delta->exemplars, sizeof(struct exemplar_candidate));
    slot_array_init(&delta->created, sizeof(struct created_slot));
}

static int init_delta(struct delta *delta, struct directory *directory)
{
    delta->shard = directory->settings.shard;
    delta->slab = directory->slab;
    delta->overflow_slab = directory->overflow_slab;
    struct budget *budget = directory->settings.budget;

    init_slots(delta);
    if (!id_list_init(&delta->dropped, budget) || !id_list_init(&delta->kept, budget) ||
        !id_list_init(&delta->refused, budget) || !id_list_init(&delta->retired, budget)) {
        return WERR_NOMEM;
    }
    delta->overflow = calloc(1, sizeof(*delta->overflow));
    return delta->overflow != NULL ? 0 : WERR_NOMEM;
}

/* Takes all pages that overflow can need from the machine once, so that it never has to ask later. */
static int fill_overflow_slab(struct directory *directory)
{
    struct page_chain chain = {0};
    uint32_t count = 0;

    directory->overflow_budget =
        (struct budget){.cap_bytes = (uint64_t)OVERFLOW_CHUNK_COUNT * SLAB_CHUNK_BYTES};
    page_slab_init(directory->overflow_slab, &directory->overflow_budget);
    for (; count < OVERFLOW_PAGE_COUNT; count++) {
        uint32_t handle = page_slab_alloc(directory->overflow_slab);

        if (handle == PAGE_NONE) {
            break;
        }
        page_chain_add(&chain, directory->overflow_slab, handle);
    }
    page_slab_take_back(directory->overflow_slab, &chain);
    return count == OVERFLOW_PAGE_COUNT ? 0 : WERR_NOMEM;
}

static int init_memory(struct directory *directory)
{
    struct budget *budget = directory->settings.budget;

    directory->slab = calloc(1, sizeof(*directory->slab));
    directory->overflow_slab = calloc(1, sizeof(*directory->overflow_slab));
    if (directory->slab == NULL || directory->overflow_slab == NULL || fill_overflow_slab(directory) < 0) {
        return WERR_NOMEM;
    }
    page_slab_init(directory->slab, budget);
    if (hash_index_init(&directory->index, budget) < 0 ||
        senders_init(&directory->senders, directory->settings.interner, budget) < 0 ||
        !id_list_init(&directory->retire_asked, budget) || !id_list_init(&directory->refused, budget) ||
        init_delta(&directory->deltas[0], directory) < 0 ||
        init_delta(&directory->deltas[1], directory) < 0) {
        return WERR_NOMEM;
    }
    return 0;
}

static uint32_t at_most_u32(uint64_t value)
{
    return value < SLOT_NONE - 1 ? (uint32_t)value : SLOT_NONE - 1;
}

static void read_limits(struct directory *directory)
{
    const struct limits *limits = directory->settings.limits;
    uint64_t share = limits->series_count_max * limits->sender_series_percent / 100;

    directory->series_count_max = at_most_u32(limits->series_count_max);
    directory->sender_series_max = at_most_u32(share > SENDER_SERIES_MIN ? share : SENDER_SERIES_MIN);
    directory->weight_max = limits->sampling_weight_max << WEIGHT_FRACTION_BITS;
}

void directory_reconfigure(struct directory *directory, uint8_t rare_count)
{
    directory->settings.rare_count = rare_count;
    read_limits(directory);
}

int directory_new(const struct directory_settings *settings, struct directory **ret_directory)
{
    struct directory *directory = calloc(1, sizeof(*directory));

    if (directory == NULL) {
        return WERR_NOMEM;
    }
    directory->settings = *settings;
    chunk_pool_init(&directory->pool, settings->budget);
    slot_array_init(&directory->series, sizeof(struct shard_series));
    slot_array_init(&directory->notes, sizeof(struct series_note));
    read_limits(directory);
    directory_init_measures(directory);
    if (init_memory(directory) < 0) {
        directory_free(directory);
        return WERR_NOMEM;
    }
    directory->active = &directory->deltas[0];
    directory->spare = &directory->deltas[1];
    directory->active->epoch = 1;
    directory->generation = 1;
    directory->active->start_unix_ns = clock_unix_ns(settings->clock);
    directory->now_s = (uint32_t)(clock_monotonic_ns(settings->clock) / 1000000000u);
    *ret_directory = directory;
    return 0;
}

static void deinit_delta(struct delta *delta, struct directory *directory)
{
    struct budget *budget = directory->settings.budget;
    struct slot_array *arrays[] = {&delta->requests, &delta->durations, &delta->traffic, &delta->flags,
        &delta->tcp, &delta->scalars, &delta->distributions, &delta->exemplars, &delta->created};

    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        slot_array_deinit(arrays[i], &directory->pool);
    }
    memory_free(budget, delta->strings, delta->string_capacity * sizeof(*delta->strings));
    id_list_deinit(&delta->dropped, budget);
    id_list_deinit(&delta->kept, budget);
    id_list_deinit(&delta->refused, budget);
    id_list_deinit(&delta->retired, budget);
    free(delta->overflow);
}

static void free_labels(struct directory *directory, struct shard_series *series)
{
    if (series->state != SHARD_SERIES_FREE && series->point.family == FAMILY_POINTS) {
        memory_free(directory->settings.budget, series->point.labels,
            series->point.label_count * sizeof(*series->point.labels));
        series->point.labels = NULL;
    }
}

void directory_free(struct directory *directory)
{
    if (directory == NULL) {
        return;
    }
    for (uint32_t id = 0; id < directory->series.count; id++) {
        free_labels(directory, series_at(directory, id));
    }
    deinit_delta(&directory->deltas[0], directory);
    deinit_delta(&directory->deltas[1], directory);
    slot_array_deinit(&directory->series, &directory->pool);
    slot_array_deinit(&directory->notes, &directory->pool);
    chunk_pool_deinit(&directory->pool);
    senders_deinit(&directory->senders);
    hash_index_deinit(&directory->index);
    id_list_deinit(&directory->retire_asked, directory->settings.budget);
    id_list_deinit(&directory->refused, directory->settings.budget);
    page_slab_deinit(directory->slab);
    page_slab_deinit(directory->overflow_slab);
    free(directory->slab);
    free(directory->overflow_slab);
    free(directory);
}

static void unref_strings(struct directory *directory, const struct shard_series *series)
{
    struct interner *interner = directory->settings.interner;

    if (series->point.family != FAMILY_POINTS) {
        interner_unref(interner, series->key.source);
        interner_unref(interner, series->key.source_namespace);
        interner_unref(interner, series->key.destination);
        interner_unref(interner, series->key.destination_namespace);
        interner_unref(interner, series->key.route);
        return;
    }
    interner_unref(interner, series->point.name);
    interner_unref(interner, series->point.unit);
    interner_unref(interner, series->point.help);
    for (uint32_t i = 0; i < series->point.label_count; i++) {
        interner_unref(interner, series->point.labels[i].key);
        interner_unref(interner, series->point.labels[i].value);
    }
}

static void release_companion(struct directory *directory, uint32_t id)
{
    if (id != SLOT_NONE) {
        series_at(directory, id)->reference_count--;
    }
}

void directory_remove_series(struct directory *directory, uint32_t id)
{
    struct shard_series *series = series_at(directory, id);

    if (series->key.family == FAMILY_REQUESTS) {
        release_companion(directory, series->duration);
        release_companion(directory, series->traffic);
    }
    hash_index_remove(&directory->index, series->hash, id);
    senders_remove(&directory->senders, series->sender);
    unref_strings(directory, series);
    free_labels(directory, series);
    *series = (struct shard_series){.slot = directory->free_head, .state = SHARD_SERIES_FREE};
    directory->free_head = id + 1;
    directory->series_count--;
}

static bool copy_strings(struct directory *directory, struct delta *delta)
{
    struct interner *interner = directory->settings.interner;
    size_t count = 0;
    const struct interner_change *changes = interner_changes(interner, &count);

    if (count > delta->string_capacity) {
        struct string_change *strings = memory_calloc(directory->settings.budget, count * sizeof(*strings));

        if (strings == NULL) {
            return false;
        }
        memory_free(
            directory->settings.budget, delta->strings, delta->string_capacity * sizeof(*delta->strings));
        delta->strings = strings;
        delta->string_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        delta->strings[i] = (struct string_change){.id = changes[i].id,
            .added = changes[i].added,
            .text = changes[i].added ? interner_text(interner, changes[i].id) : slice_of(NULL, 0)};
    }
    delta->string_count = count;
    return true;
}

static bool is_in_use(const struct directory *directory, const struct shard_series *series)
{
    bool is_companion = series->key.family == FAMILY_DURATION || series->key.family == FAMILY_TRAFFIC;

    return series->epoch == directory->active->epoch || (is_companion && series->reference_count > 0);
}

/* How many more ids may be told, with or without memory for longer lists. */
static uint32_t room_for(struct id_list *list, struct budget *budget, uint32_t count)
{
    uint32_t room = list->capacity - list->count;

    return room >= count || id_list_reserve(list, budget, count) ? count : room;
}

/* Of the first `count`: drops what was asked to retire and is not in use; `requests` first, since they hold
 * the others. */
static void retire_pass(struct directory *directory, bool requests, uint32_t count)
{
    struct delta *delta = directory->active;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = directory->retire_asked.ids[i];
        struct shard_series *series = series_at(directory, id);

        if ((series->key.family == FAMILY_REQUESTS) != requests || !series->retire_asked) {
            continue;
        }
        series->retire_asked = false;
        if (is_in_use(directory, series)) {
            delta->kept.ids[delta->kept.count++] = id;
        } else {
            delta->dropped.ids[delta->dropped.count++] = id;
            directory_remove_series(directory, id);
        }
    }
}

/* What finds no room now is looked at by the next flip. */
static void retire(struct directory *directory)
{
    struct budget *budget = directory->settings.budget;
    struct delta *delta = directory->active;
    struct id_list *asked = &directory->retire_asked;
    uint32_t count = room_for(&delta->kept, budget, asked->count);

    count = room_for(&delta->dropped, budget, count);
    retire_pass(directory, true, count);
    retire_pass(directory, false, count);
    if (count < asked->count) {
        memmove(asked->ids, asked->ids + count, (asked->count - count) * sizeof(*asked->ids));
        asked->count -= count;
        return;
    }
    id_list_clear(asked, budget);
}

/* A refused series that nobody used for the idle time is forgotten; its label set may then ask anew. */
static void expire_refused(struct directory *directory)
{
    struct id_list *refused = &directory->refused;
    struct delta *delta = directory->active;
    uint64_t idle_s = directory->settings.limits->series_idle_s;

    for (uint32_t left = REFUSED_SLICE_COUNT; left > 0 && refused->count > 0; left--) {
        uint32_t at = directory->refused_at < refused->count ? directory->refused_at : 0;
        uint32_t id = refused->ids[at];
        const struct shard_series *series = series_at(directory, id);

        directory->refused_at = at + 1;
        if (directory->now_s - series->fraction >= idle_s && !is_in_use(directory, series)) {
            if (!id_list_push(&delta->dropped, directory->settings.budget, id)) {
                return;
            }
            directory_remove_series(directory, id);
            refused->ids[at] = refused->ids[--refused->count];
            directory->refused_at = at;
        } else if (directory->refused_at == refused->count) {
            return; /* once round */
        }
    }
}

struct delta *directory_flip(struct directory *directory)
{
    struct delta *full = directory->active;
    struct interner *interner = directory->settings.interner;

    directory->is_full = false; /* also when it is skipped: whatever is short, one message tries again */
    if (directory->spare == NULL || !copy_strings(directory, full)) {
        metric_add(directory->settings.cells, METRIC_FLIPS_SKIPPED, 1);
        return NULL;
    }
    directory->now_s = (uint32_t)(clock_monotonic_ns(directory->settings.clock) / 1000000000u);
    retire(directory);
    expire_refused(directory);
    interner_changes_clear(interner);
    interner_sweep(interner);
    full->spare_bytes = directory_spare_bytes(directory);
    full->end_unix_ns = clock_unix_ns(directory->settings.clock);
    directory->active = directory->spare;
    directory->spare = NULL;
    directory->active->epoch = full->epoch + 1 != 0 ? full->epoch + 1 : 1;
    directory->active->start_unix_ns = full->end_unix_ns;
    directory_forget_recent(directory);
    metric_add(directory->settings.cells, METRIC_FLIPS, 1);
    return full;
}

static void clear_overflow(struct overflow_values *overflow)
{
    for (uint32_t set = 0; set < OVERFLOW_SET_COUNT; set++) {
        if ((overflow->set >> set & 1) != 0) {
            memset(overflow->requests[set], 0, sizeof(overflow->requests[set]));
        }
    }
    memset(overflow->traffic, 0, sizeof(overflow->traffic));
    if (overflow->flag_set != 0) {
        memset(overflow->flags, 0, sizeof(overflow->flags));
    }
    memset(overflow->tcp, 0, sizeof(overflow->tcp));
    overflow->set = overflow->traffic_set = overflow->flag_set = overflow->tcp_set = 0;
}

/* A delta that the aggregator did not merge, at the end: its pages are still in the histograms. */
static void release_pages(struct directory *directory, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->durations.count; i++) {
        struct duration_slot *slot = slot_array_at(&delta->durations, i);

        histogram_release(&slot->histogram, directory->slab);
    }
    for (uint32_t set = 0; set < OVERFLOW_SET_COUNT; set++) {
        histogram_release(&delta->overflow->durations[set], directory->overflow_slab);
    }
}

static void clear_delta(struct directory *directory, struct delta *delta)
{
    struct budget *budget = directory->settings.budget;
    struct slot_array *arrays[] = {&delta->requests, &delta->durations, &delta->traffic, &delta->flags,
        &delta->tcp, &delta->scalars, &delta->distributions, &delta->exemplars, &delta->created};

    if (!delta->merged) {
        release_pages(directory, delta);
    }
    page_slab_take_back(directory->slab, &delta->pages);
    page_slab_take_back(directory->overflow_slab, &delta->overflow_pages);
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        slot_array_clear(arrays[i], &directory->pool);
    }
    clear_overflow(delta->overflow);
    id_list_clear(&delta->dropped, budget);
    id_list_clear(&delta->kept, budget);
    memory_free(budget, delta->strings, delta->string_capacity * sizeof(*delta->strings));
    delta->strings = NULL;
    delta->string_count = delta->string_capacity = 0;
    delta->span_count = delta->log_count = delta->point_count = 0;
    delta->merged = false;
}

/* False without memory: to be said again. */
static bool refuse_series(struct directory *directory, uint32_t id)
{
    struct shard_series *series = series_at(directory, id);

    if (series->state != SHARD_SERIES_LIVE) {
        return true;
    }
    if (!id_list_push(&directory->refused, directory->settings.budget, id)) {
        return false;
    }
    series->state = SHARD_SERIES_REFUSED;
    series->fraction = directory->now_s;
    return true;
}

/* Likewise. */
static bool ask_to_retire(struct directory *directory, uint32_t id)
{
    struct shard_series *series = series_at(directory, id);

    if (series->state != SHARD_SERIES_LIVE || series->retire_asked) {
        return true;
    }
    series->retire_asked = id_list_push(&directory->retire_asked, directory->settings.budget, id);
    return series->retire_asked;
}

/* Carries out a verdict. What finds no memory stays in the list, goes back with it and comes again. */
static void take_verdict(
    struct directory *directory, struct id_list *ids, bool (*take)(struct directory *directory, uint32_t id))
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < ids->count; i++) {
        if (!take(directory, ids->ids[i])) {
            ids->ids[left++] = ids->ids[i];
        }
    }
    ids->count = left;
    if (left == 0) {
        id_list_clear(ids, directory->settings.budget);
    }
}

/* Ids are those of the flip: none was given up or reused since. */
static void take_thresholds(struct directory *directory, const struct delta *delta)
{
    for (uint32_t i = 0; delta->merged && i < delta->durations.count; i++) {
        const struct duration_slot *slot = slot_array_at(&delta->durations, i);
        struct series_note *note = note_at(directory, slot->id);
        uint64_t p90 = (slot->p90_ns + (1u << SERIES_NOTE_SHIFT) - 1) >> SERIES_NOTE_SHIFT;

        note->p90 = p90 < UINT32_MAX ? (uint32_t)p90 : UINT32_MAX;
        note->slow_ms = slot->slow_ms & SLOW_MS_MASK;
    }
}

void directory_give_back(struct directory *directory, struct delta *delta)
{
    take_thresholds(directory, delta);
    take_verdict(directory, &delta->refused, refuse_series);
    take_verdict(directory, &delta->retired, ask_to_retire);
    directory_forget_recent(directory);
    directory->spare_elsewhere_bytes = delta->spare_elsewhere_bytes;
    clear_delta(directory, delta);
    directory->spare = delta;
}
