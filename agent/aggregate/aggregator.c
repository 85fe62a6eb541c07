/* Making and ending the aggregator, its budgets, and the expiry of idle series. The aggregator's thread. */
#include "aggregate/aggregator.h"

#include <stdlib.h>

#include "aggregate/aggregator_internal.h"
#include "core/error.h"

enum {
    OVERFLOW_PAGE_COUNT = OVERFLOW_SET_COUNT * (2 * HISTOGRAM_PAGES + HISTOGRAM_CARRY_DIRECTORIES),
    OVERFLOW_CHUNK_COUNT = OVERFLOW_PAGE_COUNT / SLAB_CHUNK_PAGE_COUNT + 1,
    RETIRE_SLICE_COUNT = 65536, /* series of one shard that a tick looks at */
    SENDER_SERIES_MIN = 16,
    PRESSURE_IDLE_S_MIN = 60, /* even under pressure a series may rest this long */
    SCRATCH_BYTES_MAX = 1048576,
};

static int fill_overflow_slab(struct aggregator *aggregator)
{
    struct page_chain chain = {0};
    uint32_t count = 0;

    aggregator->overflow_budget =
        (struct budget){.cap_bytes = (uint64_t)OVERFLOW_CHUNK_COUNT * SLAB_CHUNK_BYTES};
    page_slab_init(aggregator->overflow_slab, &aggregator->overflow_budget);
    for (; count < OVERFLOW_PAGE_COUNT; count++) {
        uint32_t handle = page_slab_alloc(aggregator->overflow_slab);

        if (handle == PAGE_NONE) {
            break;
        }
        page_chain_add(&chain, aggregator->overflow_slab, handle);
    }
    page_slab_take_back(aggregator->overflow_slab, &chain);
    return count == OVERFLOW_PAGE_COUNT ? 0 : WERR_NOMEM;
}

static uint32_t at_most_u32(uint64_t value, uint32_t largest)
{
    return value < largest ? (uint32_t)value : largest;
}

static void read_limits(struct aggregator *aggregator)
{
    const struct limits *limits = aggregator->settings.limits;
    uint64_t share = limits->series_count_max * limits->sender_series_percent / 100;

    aggregator->series_count_max = at_most_u32(limits->series_count_max, SLOT_NONE - 1);
    aggregator->sender_series_max =
        at_most_u32(share > SENDER_SERIES_MIN ? share : SENDER_SERIES_MIN, SLOT_NONE - 1);
    aggregator->mapping_count_max = aggregator->series_count_max + 1;
    aggregator->strings_count_max = at_most_u32(limits->strings_count_max, (1u << 24) - 1);
}

/* The maps cost memory only where they are used: calloc's pages come when they are touched. */
static int init_shards(struct aggregator *aggregator)
{
    aggregator->shards = calloc(aggregator->settings.shard_count, sizeof(*aggregator->shards));
    if (aggregator->shards == NULL) {
        return WERR_NOMEM;
    }
    for (uint32_t i = 0; i < aggregator->settings.shard_count; i++) {
        struct shard_state *shard = &aggregator->shards[i];

        shard->mappings = calloc(aggregator->mapping_count_max, sizeof(*shard->mappings));
        shard->strings = calloc(aggregator->strings_count_max, sizeof(*shard->strings));
        if (shard->mappings == NULL || shard->strings == NULL ||
            !id_list_init(&shard->refused, aggregator->settings.budget) ||
            !id_list_init(&shard->retired, aggregator->settings.budget)) {
            return WERR_NOMEM;
        }
    }
    return 0;
}

static int init_values(struct aggregator *aggregator)
{
    struct budget *budget = aggregator->settings.budget;

    aggregator->slab = calloc(1, sizeof(*aggregator->slab));
    aggregator->overflow_slab = calloc(1, sizeof(*aggregator->overflow_slab));
    aggregator->overflow = calloc(1, sizeof(*aggregator->overflow));
    if (aggregator->slab == NULL || aggregator->overflow_slab == NULL || aggregator->overflow == NULL ||
        fill_overflow_slab(aggregator) < 0) {
        return WERR_NOMEM;
    }
    page_slab_init(aggregator->slab, budget);
    for (uint32_t i = 0; i < KEYED_FAMILY_COUNT; i++) {
        table_init(&aggregator->families[i].series, budget);
        if (hash_index_init(&aggregator->families[i].index, budget) < 0) {
            return WERR_NOMEM;
        }
    }
    table_init(&aggregator->point_families, budget);
    table_init(&aggregator->point_series, budget);
    return hash_index_init(&aggregator->point_index, budget);
}

static int init_names(struct aggregator *aggregator)
{
    struct budget *budget = aggregator->settings.budget;

    aggregator->interner = interner_new(aggregator->strings_count_max, budget);
    if (aggregator->interner == NULL || edges_init(&aggregator->edges, aggregator->interner, budget) < 0) {
        return WERR_NOMEM;
    }
    aggregator->edges.meshes = aggregator->settings.meshes;
    if (senders_init(&aggregator->senders, aggregator->interner, budget) < 0) {
        return WERR_NOMEM;
    }
    aggregator->scraped = calloc(1, sizeof(*aggregator->scraped));
    uint64_t now_ns = clock_monotonic_ns(aggregator->settings.clock);
    if (aggregator->scraped == NULL ||
        scraped_edges_init(aggregator->scraped, aggregator->interner, aggregator->slab, budget, now_ns) < 0) {
        return WERR_NOMEM;
    }
    return windows_init(&aggregator->windows, &aggregator->edges, aggregator->slab, budget, now_ns);
}

void aggregator_reconfigure(struct aggregator *aggregator, const char *cluster)
{
    aggregator->settings.cluster = cluster;
    read_limits(aggregator);
}

int aggregator_new(const struct aggregator_settings *settings, struct aggregator **ret_aggregator)
{
    struct aggregator *aggregator = calloc(1, sizeof(*aggregator));

    if (aggregator == NULL) {
        return WERR_NOMEM;
    }
    aggregator->settings = *settings;
    buffer_init(&aggregator->scratch, SCRATCH_BYTES_MAX);
    read_limits(aggregator);
    aggregator->now_s = (uint32_t)(clock_monotonic_ns(settings->clock) / 1000000000u);
    aggregator->start_unix_ns = clock_unix_ns(settings->clock);
    if (init_shards(aggregator) < 0 || shown_bounds_init(aggregator) < 0 || init_values(aggregator) < 0 ||
        init_names(aggregator) < 0 || exemplars_init(aggregator) < 0) {
        aggregator_free(aggregator);
        return WERR_NOMEM;
    }
    *ret_aggregator = aggregator;
    return 0;
}

static void free_duration(struct aggregator *aggregator, struct series *series)
{
    struct budget *budget = aggregator->settings.budget;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        struct duration_value *value = series->duration.values[i];

        if (value != NULL) {
            histogram_release(&value->histogram, aggregator->slab);
            exemplars_release(aggregator, value);
            aggregator_refund(aggregator, value->creator);
            memory_free(budget, value, sizeof(*value));
        }
    }
    windows_release(&aggregator->windows, series->duration.windows[0]);
    windows_release(&aggregator->windows, series->duration.windows[1]);
}

static void unref_strings(struct aggregator *aggregator, const struct series_key *key)
{
    interner_unref(aggregator->interner, key->source);
    interner_unref(aggregator->interner, key->source_namespace);
    interner_unref(aggregator->interner, key->destination);
    interner_unref(aggregator->interner, key->destination_namespace);
    interner_unref(aggregator->interner, key->route);
}

static void free_keyed(struct aggregator *aggregator, struct series *series)
{
    struct family_table *family = &aggregator->families[series->base.family];

    if (series->base.family == FAMILY_DURATION || series->base.family == FAMILY_TIMES ||
        series->base.family == FAMILY_PROFILE_HISTOGRAMS) {
        free_duration(aggregator, series);
    } else {
        aggregator_refund(aggregator, series->base.creator);
    }
    hash_index_remove(&family->index, series->base.hash, series->base.number);
    table_remove(&family->series, series->base.number);
    edges_release(&aggregator->edges, series->edge);
    if (is_profile_family(series->base.family)) {
        unref_strings(aggregator, &series->key);
    }
    memory_free(aggregator->settings.budget, series, sizeof(*series));
}

void aggregator_free_series(struct aggregator *aggregator, struct series_base *base)
{
    if (base->created_unix_ns > aggregator->expired_created_unix_ns) {
        aggregator->expired_created_unix_ns = base->created_unix_ns;
    }
    if (base->family == FAMILY_POINTS) {
        points_free(aggregator, (struct point_series *)base);
    } else {
        free_keyed(aggregator, (struct series *)base);
    }
}

static void free_families(struct aggregator *aggregator)
{
    for (uint32_t i = 0; i < KEYED_FAMILY_COUNT; i++) {
        struct family_table *family = &aggregator->families[i];

        for (uint32_t number = 0; number < family->series.used; number++) {
            struct series *series = table_at(&family->series, number);

            if (series != NULL) {
                free_keyed(aggregator, series);
            }
        }
        if (family->series.budget != NULL) {
            table_deinit(&family->series);
        }
        hash_index_deinit(&family->index);
    }
    points_deinit(aggregator);
}

static void free_shards(struct aggregator *aggregator)
{
    for (uint32_t i = 0; aggregator->shards != NULL && i < aggregator->settings.shard_count; i++) {
        free(aggregator->shards[i].mappings);
        free(aggregator->shards[i].strings);
        id_list_deinit(&aggregator->shards[i].refused, aggregator->settings.budget);
        id_list_deinit(&aggregator->shards[i].retired, aggregator->settings.budget);
    }
    free(aggregator->shards);
}

void aggregator_free(struct aggregator *aggregator)
{
    if (aggregator == NULL) {
        return;
    }
    free_families(aggregator);
    exemplars_deinit(aggregator);
    if (aggregator->scraped != NULL) {
        scraped_edges_deinit(aggregator->scraped);
        free(aggregator->scraped);
    }
    windows_deinit(&aggregator->windows);
    edges_deinit(&aggregator->edges);
    senders_deinit(&aggregator->senders);
    interner_free(aggregator->interner);
    free_shards(aggregator);
    page_slab_deinit(aggregator->slab);
    page_slab_deinit(aggregator->overflow_slab);
    free(aggregator->slab);
    free(aggregator->overflow_slab);
    free(aggregator->overflow);
    shown_bounds_deinit(aggregator);
    buffer_deinit(&aggregator->scratch);
    free(aggregator);
}

uint64_t aggregator_spare_bytes(const struct aggregator *aggregator)
{
    uint64_t spare_bytes = memory_spare_bytes(aggregator->slab);

    for (uint32_t i = 0; i < aggregator->settings.shard_count; i++) {
        spare_bytes += aggregator->shards[i].spare_bytes;
    }
    return spare_bytes;
}

bool aggregator_pay(struct aggregator *aggregator, uint32_t creator)
{
    if (aggregator->series_count >= aggregator->series_count_max ||
        memory_is_tight(aggregator->settings.budget, aggregator_spare_bytes(aggregator)) ||
        senders_series_count(&aggregator->senders, creator) >= aggregator->sender_series_max ||
        senders_add(&aggregator->senders, creator) < 0) {
        metric_add(aggregator->settings.cells, METRIC_SERIES_REFUSED, 1);
        return false;
    }
    aggregator->series_count++;
    return true;
}

void aggregator_refund(struct aggregator *aggregator, uint32_t creator)
{
    senders_remove(&aggregator->senders, creator);
    aggregator->series_count--;
}

uint64_t aggregator_created(const struct aggregator *aggregator, const struct delta *delta)
{
    return delta->start_unix_ns > aggregator->expired_created_unix_ns
               ? delta->start_unix_ns
               : aggregator->expired_created_unix_ns + 1;
}

uint32_t aggregator_series_count(const struct aggregator *aggregator)
{
    return aggregator->series_count;
}

/* How long a series may be idle: shorter when its place is wanted. */
static uint64_t idle_allowed_s(const struct aggregator *aggregator)
{
    uint64_t idle_s = aggregator->settings.limits->series_idle_s;
    uint64_t percent = (uint64_t)aggregator->series_count * 100 / aggregator->series_count_max;
    uint64_t pressed_s = idle_s;

    if (percent >= 90 || memory_is_tight(aggregator->settings.budget, aggregator_spare_bytes(aggregator))) {
        pressed_s = idle_s / 16;
    } else if (percent >= 75) {
        pressed_s = idle_s / 4;
    }
    if (pressed_s < PRESSURE_IDLE_S_MIN) {
        pressed_s = PRESSURE_IDLE_S_MIN;
    }
    return pressed_s < idle_s ? pressed_s : idle_s;
}

static void retire_idle(struct aggregator *aggregator, struct shard_state *shard)
{
    uint64_t idle_s = idle_allowed_s(aggregator);
    uint32_t count =
        shard->mapping_end < RETIRE_SLICE_COUNT ? shard->mapping_end : (uint32_t)RETIRE_SLICE_COUNT;

    for (; count > 0; count--) {
        uint32_t id = shard->retire_at < shard->mapping_end ? shard->retire_at : 0;
        struct mapping *mapping = &shard->mappings[id];

        shard->retire_at = id + 1;
        if (mapping->state == MAPPING_LIVE && aggregator->now_s - mapping->series->touched_s >= idle_s) {
            if (!id_list_push(&shard->retired, aggregator->settings.budget, id)) {
                return;
            }
            mapping->state = MAPPING_RETIRING;
        } else if (mapping->state == MAPPING_REFUSED && !mapping->told) {
            mapping->told = id_list_push(&shard->refused, aggregator->settings.budget, id);
        }
    }
}

void aggregator_tick(struct aggregator *aggregator)
{
    uint64_t now_ns = clock_monotonic_ns(aggregator->settings.clock);

    aggregator->now_s = (uint32_t)(now_ns / 1000000000u);
    windows_tick(&aggregator->windows, now_ns);
    windows_tick(&aggregator->scraped->windows, now_ns);
    for (uint32_t i = 0; i < aggregator->settings.shard_count; i++) {
        retire_idle(aggregator, &aggregator->shards[i]);
    }
    points_tick(aggregator);
}
