/*
 * What is slow for a route: what its rule says (core/bounds_rules.h), and the p90 of the last five minutes of
 * (reporter, destination, route), told to the shards with the deltas that they get back. The 90th percentile,
 * because the 99th follows the slow ones once a hundredth is slow. The aggregator's thread.
 *
 * A window is read once in each of its slots of ten seconds, when the first delta comes that touches it, and
 * what it came to is told until the next: flips for a scrape every second so cost no more than the periodic
 * ones. In one merge at most THRESHOLDS_PER_MERGE_MAX windows are read; the next goes on where it ended.
 */
#include "aggregate/aggregator_internal.h"
#include "histogram/quantile.h"

enum {
    THRESHOLD_SAMPLES_MIN = 100, /* the rank of p90 is then uncertain by 3 of 100: p87 to p93 */
    THRESHOLDS_PER_MERGE_MAX = 512,
};

/* The duration series of a slot; NULL when it is of another kind, or there is none. */
static const struct series *series_of(
    const struct aggregator *aggregator, const struct delta *delta, uint32_t id)
{
    const struct mapping *mapping = &aggregator->shards[delta->shard].mappings[id];

    if (mapping->state == MAPPING_REFUSED || mapping->family != FAMILY_DURATION) {
        return NULL;
    }
    return (const struct series *)mapping->series;
}

static uint32_t slow_ms_of(const struct aggregator *aggregator, const struct series *series)
{
    uint8_t rule = series->base.bounds_rule;

    return rule != BOUNDS_RULE_NONE ? (uint32_t)aggregator->settings.bounds_rules.items[rule].slow_ms : 0;
}

static uint64_t read_p90_ns(struct aggregator *aggregator, const struct window *window)
{
    struct histogram_flat *flat = aggregator->windows.flat;
    struct window_values values = {.covered_ns = 0};
    double seconds = 0;

    histogram_flat_reset(flat);
    windows_read(&aggregator->windows, window, WINDOW_5M, clock_monotonic_ns(aggregator->settings.clock),
        flat, &values);
    if (flat->count < THRESHOLD_SAMPLES_MIN || quantile_seconds(flat, 0.9, &seconds) < 0) {
        return 0;
    }
    return (uint64_t)(seconds * 1e9);
}

void thresholds_tell(struct aggregator *aggregator, struct delta *delta)
{
    struct shard_state *shard = &aggregator->shards[delta->shard];
    uint32_t count = delta->durations.count;
    uint32_t number = shard->threshold_at < count ? shard->threshold_at : 0;
    uint32_t left = THRESHOLDS_PER_MERGE_MAX;

    for (uint32_t i = 0; i < count; i++) {
        struct duration_slot *slot = slot_array_at(&delta->durations, number);
        const struct series *series = series_of(aggregator, delta, slot->id);
        struct window *window = series != NULL ? series->duration.windows[1] : NULL;

        number = number + 1 < count ? number + 1 : 0;
        if (window != NULL && window->p90_slot != aggregator->windows.slot && left > 0) {
            window->p90_ns = read_p90_ns(aggregator, window);
            window->p90_slot = aggregator->windows.slot;
            shard->threshold_at = number;
            left--;
        }
        slot->p90_ns = window != NULL ? window->p90_ns : 0;
        slot->slow_ms = series != NULL ? slow_ms_of(aggregator, series) : 0;
    }
}
