/*
 * Points of metrics that proxies sent: found by sender, name, type and labels, folded into one slot an
 * interval. The shard's loop. Whether a counter was reset between two intervals is for the aggregator, which
 * sees all shards; within one it is seen here.
 */
#include "aggregate/directory.h"

#include <math.h>

#include "aggregate/directory_internal.h"
#include "aggregate/point_names.h"

enum { POINT_OWNED = SLOT_NONE - 1 }; /* no id of a series: they are fewer */

static uint32_t point_hash(const struct metric_point *point)
{
    uint64_t seed = ((uint64_t)point->name << 32 | point->sender) * 0x9e3779b97f4a7c15ull + point->type;

    return (uint32_t)XXH3_64bits_withSeed(point->label_count > 0 ? (const void *)point->labels : "",
        point->label_count * sizeof(*point->labels), seed);
}

static bool same_point(const struct shard_series *series, const struct metric_point *point)
{
    return series->point.family == FAMILY_POINTS && series->sender == point->sender &&
           series->point.name == point->name && series->point.type == point->type &&
           series->point.label_count == point->label_count &&
           (point->label_count == 0 ||
               memcmp(series->point.labels, point->labels, point->label_count * sizeof(*point->labels)) == 0);
}

static bool is_nameless(const struct metric_point *point)
{
    if (point->name == INTERNED_FULL || point->name == INTERNED_NONE || point->sender == INTERNED_FULL) {
        return true;
    }
    for (size_t i = 0; i < point->label_count; i++) {
        if (point->labels[i].key == INTERNED_FULL || point->labels[i].value == INTERNED_FULL) {
            return true;
        }
    }
    return false;
}

static uint32_t known_or_none(uint32_t id)
{
    return id == INTERNED_FULL ? (uint32_t)INTERNED_NONE : id;
}

static void ref_strings(struct directory *directory, const struct shard_series *series)
{
    struct interner *interner = directory->settings.interner;

    interner_ref(interner, series->point.name);
    interner_ref(interner, series->point.unit);
    interner_ref(interner, series->point.help);
    for (uint32_t i = 0; i < series->point.label_count; i++) {
        interner_ref(interner, series->point.labels[i].key);
        interner_ref(interner, series->point.labels[i].value);
    }
}

static uint32_t add_point_series(struct directory *directory, const struct metric_point *point, uint32_t hash)
{
    struct budget *budget = directory->settings.budget;
    size_t bytes = point->label_count * sizeof(*point->labels);
    struct shard_series made = {
        .point = {.name = point->name,
            .unit = known_or_none(point->unit),
            .help = known_or_none(point->help),
            .label_count = (uint32_t)point->label_count,
            .family = FAMILY_POINTS,
            .type = (uint8_t)point->type,
            .stale_after_s = point->stale_after_s},
        .hash = hash,
        .sender = point->sender,
    };

    if (bytes > 0) {
        made.point.labels = memory_calloc(budget, bytes);
        if (made.point.labels == NULL) {
            return SLOT_NONE;
        }
        memcpy(made.point.labels, point->labels, bytes);
    }
    uint32_t id = directory_add_series(directory, &made);

    if (id == SLOT_NONE) {
        memory_free(budget, made.point.labels, bytes);
        return SLOT_NONE;
    }
    ref_strings(directory, &made);
    return id;
}

/* A family has one owner: a profile that is enabled has made its own of these names. */
static bool is_owned(const struct directory *directory, const struct metric_point *point)
{
    const struct interner *interner = directory->settings.interner;
    char name[POINT_NAME_BYTES_MAX];
    const char *unit;

    if (directory->settings.profiles.profiles == 0) {
        return false;
    }
    point_family_name(
        interner_text(interner, point->name), interner_text(interner, point->unit), point->type, name, &unit);
    return point_name_is_of_profile(name, point->type, directory->settings.profiles.profiles);
}

/* Or POINT_OWNED, SLOT_NONE. */
static uint32_t obtain_point_series(struct directory *directory, const struct metric_point *point)
{
    uint32_t hash = point_hash(point);
    uint32_t at = hash_index_first(&directory->index, hash);

    for (uint32_t id; hash_index_next(&directory->index, hash, &at, &id);) {
        if (same_point(series_at(directory, id), point)) {
            return id;
        }
    }
    if (is_owned(directory, point)) {
        return POINT_OWNED;
    }
    if (is_nameless(point) || !directory_has_room(directory, point->sender)) {
        return SLOT_NONE;
    }
    return add_point_series(directory, point, hash);
}

static void *touch_point(struct directory *directory, uint32_t id, struct slot_array *slots)
{
    struct shard_series *series = series_at(directory, id);

    if (series->state == SHARD_SERIES_REFUSED) {
        series->fraction = directory->now_s;
        return NULL;
    }
    if (series->epoch != directory->active->epoch) {
        uint32_t slot = slot_array_push(slots, &directory->pool);

        if (slot == SLOT_NONE) {
            return NULL;
        }
        series->epoch = directory->active->epoch;
        series->slot = slot;
        *(uint32_t *)slot_array_at(slots, slot) = id;
    }
    return slot_array_at(slots, series->slot);
}

static void begin_scalar(struct scalar_slot *slot, const struct metric_point *point)
{
    slot->first_time_unix_ns = slot->last_time_unix_ns = point->time_unix_ns;
    slot->first_value = slot->last_value = point->value;
}

/* The slot of the series for this start; NULL without memory, or when there are too many. */
static struct scalar_slot *touch_scalar(struct directory *directory, uint32_t id, uint64_t start_unix_ns)
{
    struct slot_array *slots = &directory->active->scalars;
    struct scalar_slot *slot = touch_point(directory, id, slots);

    for (uint32_t count = 1; slot != NULL; count++) {
        if (slot->point_count == 0) {
            slot->start_unix_ns = start_unix_ns;
        }
        if (slot->start_unix_ns == start_unix_ns) {
            return slot;
        }
        if (slot->next == 0) {
            uint32_t added =
                count < POINT_STREAM_COUNT_MAX ? slot_array_push(slots, &directory->pool) : SLOT_NONE;

            if (added == SLOT_NONE) {
                return NULL;
            }
            slot->next = added + 1;
            slot = slot_array_at(slots, added);
            *slot = (struct scalar_slot){.id = id};
            continue;
        }
        slot = slot_array_at(slots, slot->next - 1);
    }
    return NULL;
}

static void add_held(struct directory *directory, double *sum, double value)
{
    if (metric_add_to(sum, value)) {
        metric_add(directory->settings.cells, METRIC_POINT_SUMS_HELD, 1);
    }
}

/* What is added has no order. */
static void fold_scalar_delta(
    struct directory *directory, struct scalar_slot *slot, const struct metric_point *point)
{
    bool is_counter = metric_point_is_counter(point->type);

    slot->is_relative = slot->is_relative || (!is_counter && slot->point_count == 0);
    add_held(directory, is_counter ? &slot->rise : &slot->last_value, point->value);
    slot->point_count++;
}

/* The start by which a counter's slot is found. */
static uint64_t start_of(const struct metric_point *point)
{
    if (!metric_point_is_counter(point->type)) {
        return 0;
    }
    if (point->is_delta) {
        return POINT_START_DELTA;
    }
    return point->start_unix_ns < POINT_START_DELTA ? point->start_unix_ns : POINT_START_DELTA - 1;
}

/* A point older than the last one says nothing new: it is counted as recorded and changes no value. */
static void fold_scalar(
    struct directory *directory, struct scalar_slot *slot, const struct metric_point *point)
{
    if (point->is_delta) {
        fold_scalar_delta(directory, slot, point);
        return;
    }
    slot->is_relative = false;
    if (slot->point_count++ == 0) {
        begin_scalar(slot, point);
        return;
    }
    if (point->time_unix_ns < slot->last_time_unix_ns) {
        return;
    }
    if (metric_point_is_counter(point->type)) {
        add_held(directory, &slot->rise,
            point->value < slot->last_value ? point->value : point->value - slot->last_value);
    }
    slot->last_time_unix_ns = point->time_unix_ns;
    slot->last_value = point->value;
}

static bool has_ascending_bounds(const struct metric_point *point)
{
    if (point->bound_count > METRIC_BOUND_COUNT_MAX || point->bucket_count != point->bound_count + 1) {
        return false;
    }
    for (size_t i = 0; i < point->bound_count; i++) {
        if (!isfinite(point->bounds[i]) || (i > 0 && point->bounds[i] <= point->bounds[i - 1])) {
            return false;
        }
    }
    return true;
}

static bool is_well_formed(const struct metric_point *point)
{
    if (point->label_count > METRIC_LABEL_COUNT_MAX) {
        return false;
    }
    switch (point->type) {
    case METRIC_POINT_COUNTER:
    case METRIC_POINT_BARE_COUNTER:
        return isfinite(point->value) && point->value >= 0;
    case METRIC_POINT_GAUGE:
        return true;
    case METRIC_POINT_HISTOGRAM:
        return isfinite(point->value) && point->bucket_count <= METRIC_BUCKET_COUNT_MAX;
    case METRIC_POINT_EXPLICIT:
        return isfinite(point->value) && has_ascending_bounds(point);
    default:
        return false;
    }
}

static bool is_distribution(const struct metric_point *point)
{
    return point->type == METRIC_POINT_HISTOGRAM || point->type == METRIC_POINT_EXPLICIT;
}

/* Whether the point belongs to what the slot has; a cumulative one that fell is over. */
static bool takes(struct distribution_slot *slot, const struct metric_point *point)
{
    if (slot->is_over || slot->is_cumulative != point->is_cumulative) {
        return false;
    }
    if (!point->is_cumulative) {
        return true;
    }
    if (slot->start_unix_ns != point->start_unix_ns) {
        return false;
    }
    slot->is_over = point->time_unix_ns >= slot->last_time_unix_ns &&
                    metric_point_count(point) < point_distribution_count(&slot->values);
    return !slot->is_over;
}

static void begin_distribution(struct distribution_slot *slot, uint32_t id, const struct metric_point *point)
{
    *slot = (struct distribution_slot){.id = id,
        .is_cumulative = point->is_cumulative,
        .start_unix_ns = point->is_cumulative ? point->start_unix_ns : 0,
        .values = {.is_explicit = point->type == METRIC_POINT_EXPLICIT}};
}

/* The slot of the series for this point; NULL without memory, or when there are too many. */
static struct distribution_slot *touch_distribution(
    struct directory *directory, uint32_t id, const struct metric_point *point)
{
    struct slot_array *slots = &directory->active->distributions;
    struct distribution_slot *slot = touch_point(directory, id, slots);

    if (slot != NULL && slot->point_count == 0) {
        begin_distribution(slot, id, point);
    }
    for (uint32_t count = 1; slot != NULL; count++) {
        if (takes(slot, point)) {
            return slot;
        }
        if (slot->next == 0) {
            uint32_t added =
                count < POINT_STREAM_COUNT_MAX ? slot_array_push(slots, &directory->pool) : SLOT_NONE;

            if (added == SLOT_NONE) {
                return NULL;
            }
            slot->next = added + 1;
            slot = slot_array_at(slots, added);
            begin_distribution(slot, id, point);
            return slot;
        }
        slot = slot_array_at(slots, slot->next - 1);
    }
    return NULL;
}

static void fold_distribution(struct distribution_slot *slot, const struct metric_point *point)
{
    bool is_late = slot->point_count++ > 0 && point->time_unix_ns < slot->last_time_unix_ns;

    if (slot->is_cumulative && is_late) {
        return;
    }
    if (slot->is_cumulative) {
        slot->values = (struct point_distribution){.is_explicit = slot->values.is_explicit};
    }
    point_distribution_add(&slot->values, point);
    slot->last_time_unix_ns = point->time_unix_ns;
}

static bool fold_point(struct directory *directory, uint32_t id, const struct metric_point *point)
{
    if (!is_distribution(point)) {
        struct scalar_slot *slot = touch_scalar(directory, id, start_of(point));

        if (slot != NULL) {
            fold_scalar(directory, slot, point);
        }
        return slot != NULL;
    }
    struct distribution_slot *slot = touch_distribution(directory, id, point);

    if (slot != NULL) {
        fold_distribution(slot, point);
    }
    return slot != NULL;
}

void directory_record_point(struct directory *directory, const struct metric_point *point)
{
    struct metric_cells *cells = directory->settings.cells;

    if (!is_well_formed(point)) {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_MALFORMED, 1);
        return;
    }
    uint32_t id = obtain_point_series(directory, point);

    if (id == POINT_OWNED) {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_OWNED, 1);
        return;
    }
    if (id == SLOT_NONE || !fold_point(directory, id, point)) {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_SERIES, 1);
        return;
    }
    directory->active->point_count++;
    LEDGER_ADD(cells, METRIC_POINTS_RECORDED, 1);
}
