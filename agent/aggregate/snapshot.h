/*
 * The aggregator's values as exporters see them: include/weft/snapshot.h over the live tables. The
 * aggregator's thread, which may merge between two steps: a series that comes or goes is then seen or not,
 * the others exactly once, since the cursor counts places, and places do not move.
 *
 *   family   0 … 7       mesh_*, weft_build
 *            then        weft_*, in the order of core/metrics_table.h
 *            then        metrics of proxies
 *   series   overflow first, then the family's table
 */
#ifndef WEFT_AGGREGATE_SNAPSHOT_H
#define WEFT_AGGREGATE_SNAPSHOT_H

#include "aggregate/aggregator.h"
#include "core/metric_filter.h"
#include "core/metrics.h"
#include "weft/snapshot.h"

struct snapshot_settings {
    int32_t native_scale;        /* -4 … 5 */
    uint32_t native_buckets_max; /* at least 3 */
    struct metric_filter filter; /* its patterns are borrowed */
    uint32_t dropped_labels;     /* bits 1 << enum droppable_label: as the directories' */
    struct snapshot_label labels[METRIC_LABELS_COUNT_MAX]; /* static ones; texts are borrowed */
    size_t label_count;
};

/* 0 with *ret_snapshot, for aggregator_snapshot_free, or WERR_NOMEM. Everything is borrowed. `registry` may
 * be NULL. */
int aggregator_snapshot_new(struct aggregator *aggregator, const struct metric_registry *registry,
    const struct snapshot_settings *settings, struct snapshot **ret_snapshot);

/*
 * The families of one naming profile alone, which is enabled: snapshot_profile.c. One profile's names never
 * stand beside another's in an exposition. As aggregator_snapshot_new otherwise.
 */
int aggregator_profile_snapshot_new(struct aggregator *aggregator, enum profile profile,
    const struct snapshot_settings *settings, struct snapshot **ret_snapshot);

/* Other settings from now on, with the same dropped_labels; an encoding that is under way goes on with them.
 */
void aggregator_snapshot_set(struct snapshot *snapshot, const struct snapshot_settings *settings);

void aggregator_snapshot_free(struct snapshot *snapshot); /* NULL is fine */

#endif
