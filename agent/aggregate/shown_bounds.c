/*
 * Which classic bounds a histogram is shown with: the configured ones, a profile's own, or those of the
 * configuration's rule for its route. Every one of them is in force (histogram/bounds.h), so counts are exact
 * with all of them. The aggregator's thread.
 */
#include <stdlib.h>

#include "aggregate/aggregator_internal.h"
#include "aggregate/profile_measures.h"
#include "core/error.h"

_Static_assert(BOUNDS_COUNT_MAX < UINT8_MAX, "the number of a bucket fits");

/* A value of one bucket of the union lies in the first of these whose bound is not below the bucket's. */
static void map_buckets(
    struct shown_bounds *shown, const struct split_bounds *all, const uint64_t *bounds_ns, size_t count)
{
    uint8_t bucket = 0;

    for (uint32_t i = 0; i < all->bound_count; i++) {
        while (bucket < count && bounds_ns[bucket] < all->bounds_ns[i]) {
            bucket++;
        }
        shown->buckets[i] = bucket;
    }
    shown->buckets[all->bound_count] = (uint8_t)count;
}

static int init_shown(const struct aggregator *aggregator, const uint64_t *bounds_ns, size_t bound_count,
    double per_second, struct shown_bounds *shown)
{
    int error = le_plan_init(&shown->plan, aggregator->settings.bounds, bounds_ns, bound_count);

    if (error < 0) {
        return error;
    }
    shown->per_second = per_second;
    shown->bounds = calloc(bound_count + 1, sizeof(double));
    if (shown->bounds == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < bound_count; i++) {
        shown->bounds[i] = (double)bounds_ns[i] / (1e9 / per_second);
    }
    map_buckets(shown, aggregator->settings.bounds, bounds_ns, bound_count);
    return 0;
}

static int init_rules(struct aggregator *aggregator)
{
    const struct bounds_rules *rules = &aggregator->settings.bounds_rules;
    int error = 0;

    if (rules->count == 0) {
        return 0;
    }
    aggregator->rules = calloc(rules->count, sizeof(*aggregator->rules));
    if (aggregator->rules == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; error == 0 && i < rules->count; i++) {
        const struct bounds_list *list = &rules->items[i].bounds_ns;

        if (list->count > 0) {
            error = init_shown(aggregator, list->items, list->count, 1, &aggregator->rules[i]);
        }
    }
    return error;
}

int shown_bounds_init(struct aggregator *aggregator)
{
    const struct split_bounds *all = aggregator->settings.bounds;
    bool has_own = aggregator->settings.le_ns != NULL;
    int error = init_shown(aggregator, has_own ? aggregator->settings.le_ns : all->bounds_ns,
        has_own ? aggregator->settings.le_count : all->bound_count, 1, &aggregator->shown);

    for (int p = 0; error == 0 && p < PROFILE_COUNT; p++) {
        const struct profile_row *row = &profile_rows[p];

        if ((aggregator->settings.profiles >> p & 1) != 0) {
            error = init_shown(aggregator, row->bounds_ns, row->bound_count, row->is_milliseconds ? 1e3 : 1,
                &aggregator->profiles[p]);
        }
    }
    return error == 0 ? init_rules(aggregator) : error;
}

void shown_bounds_deinit(struct aggregator *aggregator)
{
    free(aggregator->shown.bounds);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        free(aggregator->profiles[p].bounds);
    }
    for (size_t i = 0; aggregator->rules != NULL && i < aggregator->settings.bounds_rules.count; i++) {
        free(aggregator->rules[i].bounds);
    }
    free(aggregator->rules);
}

uint8_t shown_bounds_rule(const struct aggregator *aggregator, const struct series_key *key)
{
    const struct bounds_rules *rules = &aggregator->settings.bounds_rules;
    const struct interner *interner = aggregator->interner;

    if (rules->count == 0) {
        return BOUNDS_RULE_NONE;
    }
    return bounds_rules_find(rules, interner_text(interner, key->destination),
        interner_text(interner, key->destination_namespace), interner_text(interner, key->route));
}

const struct shown_bounds *shown_bounds_of(const struct aggregator *aggregator, const struct series *series)
{
    if (series->key.family == FAMILY_PROFILE_HISTOGRAMS) {
        return &aggregator->profiles[measure_rows[series->key.measure].profile];
    }
    if (series->key.family == FAMILY_DURATION && series->base.bounds_rule != BOUNDS_RULE_NONE &&
        aggregator->rules[series->base.bounds_rule].bounds != NULL) {
        return &aggregator->rules[series->base.bounds_rule];
    }
    return &aggregator->shown;
}
