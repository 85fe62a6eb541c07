/* Series of an exposition: found by family and labels, put together from their lines, told as points. */
#include "decode/prom_series.h"

#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

#include "core/error.h"

enum { PART_COUNT_FIRST = 16, PART_COUNT_MAX = PROM_BUCKET_COUNT_MAX + 1 /* +Inf's */ };

#define EXACT_COUNT_MAX 9007199254740992.0 /* 2^53: counts above it are not exact in the text either */

static struct prom_family **family_chain(const struct prom_reader *reader, struct slice name)
{
    uint64_t hash = XXH3_64bits(name.ptr, name.length);

    return (struct prom_family **)&reader->families[hash % PROM_CHAIN_COUNT];
}

struct prom_family *prom_family_find(const struct prom_reader *reader, struct slice name)
{
    struct prom_family *family = name.length > 0 ? *family_chain(reader, name) : NULL;

    while (family != NULL && !slice_equal(family->name, name)) {
        family = family->next;
    }
    return family;
}

int prom_family_obtain(struct prom_reader *reader, struct slice name, struct prom_family **ret_family)
{
    struct prom_family *family = prom_family_find(reader, name);

    if (family == NULL) {
        struct prom_family **chain = family_chain(reader, name);

        if (reader->family_count >= reader->series_count_max) {
            return WERR_FULL; /* chains would grow long: TYPE lines alone cost their sender nothing */
        }
        family = arena_zalloc(reader->arena, sizeof *family);
        if (family == NULL) {
            return WERR_NOMEM;
        }
        family->name = name;
        family->next = *chain;
        *chain = family;
        reader->family_count++;
    }
    *ret_family = family;
    return 0;
}

/* ---- finding ---- */

static uint64_t hash_of(struct slice name, const struct prom_label *labels, size_t count)
{
    uint64_t hash = XXH3_64bits(name.ptr, name.length);

    for (size_t i = 0; i < count; i++) {
        hash = XXH3_64bits_withSeed(labels[i].name.ptr, labels[i].name.length, hash);
        hash = XXH3_64bits_withSeed(labels[i].value.ptr, labels[i].value.length, hash);
    }
    return hash;
}

static bool same_labels(const struct prom_series *series, const struct prom_label *labels, size_t count)
{
    if (series->label_count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal(series->labels[i].name, labels[i].name) ||
            !slice_equal(series->labels[i].value, labels[i].value)) {
            return false;
        }
    }
    return true;
}

static struct prom_series *add_series(
    struct prom_reader *reader, struct prom_family *family, struct slice name, uint64_t hash)
{
    const struct prom_sample *sample = &reader->sample;
    size_t bytes = sample->label_count * sizeof sample->labels[0];
    struct prom_series *series = arena_zalloc(reader->arena, sizeof *series);
    struct prom_label *labels = arena_alloc(reader->arena, bytes + 1);

    if (series == NULL || labels == NULL) {
        return NULL;
    }
    memcpy(labels, sample->labels, bytes);
    *series = (struct prom_series){.family = family,
        .name = name,
        .labels = labels,
        .label_count = sample->label_count,
        .hash = hash,
        .value = NAN,
        .next = reader->series[hash % PROM_CHAIN_COUNT]};
    reader->series[hash % PROM_CHAIN_COUNT] = series;
    if (reader->last != NULL) {
        reader->last->next_in_file = series;
    } else {
        reader->first = series;
    }
    reader->last = series;
    reader->series_count++;
    return series;
}

/* The series of the sample, made when it is new. WERR_FULL when there may be no more. */
static int obtain(struct prom_reader *reader, struct prom_family *family, struct slice name,
    struct prom_series **ret_series)
{
    const struct prom_sample *sample = &reader->sample;
    uint64_t hash = hash_of(name, sample->labels, sample->label_count);
    struct prom_series *series = reader->series[hash % PROM_CHAIN_COUNT];

    while (series != NULL &&
           (series->hash != hash || series->family != family || !slice_equal(series->name, name) ||
               !same_labels(series, sample->labels, sample->label_count))) {
        series = series->next;
    }
    if (series == NULL && reader->series_count >= reader->series_count_max) {
        return WERR_FULL;
    }
    if (series == NULL) {
        series = add_series(reader, family, name, hash);
    }
    *ret_series = series;
    return series != NULL ? 0 : WERR_NOMEM;
}

/* ---- putting together ---- */

/* Takes the label away and reads its value. */
static int take_key(struct prom_sample *sample, struct slice name, double *ret_key)
{
    for (size_t i = 0; i < sample->label_count; i++) {
        if (slice_equal(sample->labels[i].name, name)) {
            int error = prom_number(sample->labels[i].value, ret_key);

            sample->label_count--;
            memmove(&sample->labels[i], &sample->labels[i + 1],
                (sample->label_count - i) * sizeof sample->labels[0]);
            return error;
        }
    }
    return WERR_INVALID;
}

static int add_part(struct prom_reader *reader, struct prom_series *series, double key)
{
    if (series->part_count == series->part_capacity) {
        size_t capacity = series->part_capacity > 0 ? series->part_capacity * 2 : PART_COUNT_FIRST;
        struct prom_part *parts = arena_alloc(reader->arena, capacity * sizeof *parts);

        if (parts == NULL) {
            return WERR_NOMEM;
        }
        if (series->part_count > 0) {
            memcpy(parts, series->parts, series->part_count * sizeof *parts);
        }
        series->parts = parts;
        series->part_capacity = capacity;
    }
    series->parts[series->part_count++] = (struct prom_part){.key = key, .value = reader->sample.value};
    return 0;
}

static int set_once(double *to, bool *has, double value)
{
    if (*has) {
        return WERR_EXISTS;
    }
    *to = value;
    *has = true;
    return 0;
}

static int take_sample(
    struct prom_reader *reader, struct prom_series *series, enum prom_role role, double key)
{
    const struct prom_sample *sample = &reader->sample;

    if (sample->time_unix_ns > 0) {
        series->time_unix_ns = sample->time_unix_ns;
    }
    switch (role) {
    case PROM_ROLE_VALUE:
    case PROM_ROLE_SUM:
        return set_once(&series->value, &series->has_value, sample->value);
    case PROM_ROLE_COUNT:
        return set_once(&series->count, &series->has_count, sample->value);
    default:
        return series->part_count < PART_COUNT_MAX ? add_part(reader, series, key) : WERR_OVERSIZED;
    }
}

int prom_series_add(struct prom_reader *reader, struct prom_family *family, enum prom_role role)
{
    struct prom_series *series = NULL;
    double key = 0;
    int error = role == PROM_ROLE_WRONG      ? WERR_INVALID
                : role == PROM_ROLE_BUCKET   ? take_key(&reader->sample, SLICE_LITERAL("le"), &key)
                : role == PROM_ROLE_QUANTILE ? take_key(&reader->sample, SLICE_LITERAL("quantile"), &key)
                                             : 0;

    if (error == 0) {
        error = obtain(reader, family, role == PROM_ROLE_VALUE ? reader->sample.name : family->name, &series);
    }
    if (error == WERR_FULL) {
        /* Lines of one histogram past the limit count one by one: which belong together is not kept. */
        reader->result->point_over_count++;
        return 0;
    }
    return error < 0 || series == NULL ? error : take_sample(reader, series, role, key);
}

/* ---- telling ---- */

static int compare_parts(const void *left, const void *right)
{
    double a = ((const struct prom_part *)left)->key;
    double b = ((const struct prom_part *)right)->key;

    return (a > b) - (a < b);
}

static bool is_count(double value)
{
    return value >= 0 && value <= EXACT_COUNT_MAX;
}

/* Bounds rise, none twice; counts never fall. Fills all but the count; *ret_last is the highest count. */
static bool fill_bounds(const struct prom_series *series, struct prom_scratch *scratch,
    struct prom_point *point, double *ret_last)
{
    double before = 0;

    for (size_t i = 0; i < series->part_count; i++) {
        const struct prom_part *part = &series->parts[i];

        if (!is_count(part->value) || part->value < before || part->key == -INFINITY ||
            (i > 0 && part->key == series->parts[i - 1].key)) {
            return false;
        }
        before = part->value;
        if (part->key == INFINITY) {
            break; /* the last, as they are sorted and none is there twice */
        }
        if (i == PROM_BUCKET_COUNT_MAX) {
            return false;
        }
        scratch->bounds[i] = part->key;
        scratch->counts[i] = (uint64_t)part->value;
        point->bound_count = i + 1;
    }
    *ret_last = before;
    return true;
}

static bool fill_histogram(struct prom_series *series, struct prom_scratch *scratch, struct prom_point *point)
{
    double last = 0;

    for (size_t i = 0; i < series->part_count; i++) {
        if (isnan(series->parts[i].key)) {
            return false; /* it would spoil the order of the others */
        }
    }
    if (series->part_count > 0) {
        qsort(series->parts, series->part_count, sizeof *series->parts, compare_parts);
    }
    point->bounds = scratch->bounds;
    point->bound_counts = scratch->counts;
    if (!fill_bounds(series, scratch, point, &last)) {
        return false;
    }
    /* +Inf's bucket is the count; without one the count has to be there. */
    bool has_last = point->bound_count < series->part_count;
    double count = series->has_count ? series->count : last;
    if (!is_count(count) || (has_last ? count != last : !series->has_count || count < last)) {
        return false;
    }
    point->count = (uint64_t)count;
    return true;
}

static bool fill_summary(
    const struct prom_series *series, struct prom_scratch *scratch, struct prom_point *point)
{
    if (series->part_count > PROM_QUANTILE_COUNT_MAX || (series->has_count && !is_count(series->count))) {
        return false;
    }
    for (size_t i = 0; i < series->part_count; i++) {
        const struct prom_part *part = &series->parts[i];

        if (!(part->key >= 0 && part->key <= 1)) {
            return false;
        }
        scratch->quantiles[i] = (struct prom_quantile){.quantile = part->key, .value = part->value};
    }
    point->quantiles = scratch->quantiles;
    point->quantile_count = series->part_count;
    point->count = series->has_count ? (uint64_t)series->count : 0;
    return true;
}

static bool fill_point(struct prom_series *series, struct prom_scratch *scratch, struct prom_point *point)
{
    switch (series->family->kind) {
    case PROM_KIND_HISTOGRAM:
        point->type = PROM_HISTOGRAM;
        return fill_histogram(series, scratch, point);
    case PROM_KIND_SUMMARY:
        point->type = PROM_SUMMARY;
        return fill_summary(series, scratch, point);
    case PROM_KIND_COUNTER:
        point->type = PROM_COUNTER;
        return isfinite(series->value) && series->value >= 0;
    case PROM_KIND_GAUGE:
    case PROM_KIND_INFO:
        point->type = PROM_GAUGE;
        return true;
    case PROM_KIND_UNTYPED:
        break;
    }
    point->type = PROM_UNTYPED;
    return true;
}

int prom_series_tell(struct prom_reader *reader, const struct prom_sink *sink)
{
    struct prom_scratch *scratch = arena_alloc(reader->arena, sizeof *scratch);

    if (scratch == NULL) {
        return WERR_NOMEM;
    }
    for (struct prom_series *series = reader->first; series != NULL; series = series->next_in_file) {
        struct prom_point point = {
            .name = series->name,
            .unit = series->family->unit,
            .help = series->family->help,
            .labels = series->labels,
            .label_count = series->label_count,
            .time_unix_ns = series->time_unix_ns,
            .value = series->value,
        };

        if (!fill_point(series, scratch, &point)) {
            reader->result->point_bad_count++;
            continue;
        }
        reader->result->point_count++;
        sink->on_point(sink->user, &point);
    }
    return 0;
}
