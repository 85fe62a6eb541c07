/*
 * The process's values: what all shards counted, added up. One thread (the aggregator's) owns it, its
 * interner, its windows.
 *
 *   delta ──► strings, series: shard ids to global ones ──► values: cumulative, and rolling windows
 *         ◄── verdict: refused series, retired series
 *
 * Read through aggregate/snapshot.h (exporters) and aggregate/view.h (queries).
 */
#ifndef WEFT_AGGREGATE_AGGREGATOR_H
#define WEFT_AGGREGATE_AGGREGATOR_H

#include <stdint.h>

#include "aggregate/delta.h"
#include "core/bounds_rules.h"
#include "core/budget.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/mesh_names.h"
#include "core/metrics.h"
#include "core/profiles.h"
#include "histogram/bounds.h"

struct aggregator;

enum { SENDER_LABEL_COUNT_MAX = 8 };

/* What a sender is, as labels of the metrics it sent. Names are static and begin with sender_; values borrow
 * from the text. */
struct sender_description {
    size_t count;
    struct {
        const char *name;
        struct slice value;
    } labels[SENDER_LABEL_COUNT_MAX];
};

struct aggregator_settings {
    uint32_t shard_count;
    const struct split_bounds *bounds; /* the same as the directories' */
    const struct limits *limits;
    struct budget *budget; /* shared with the directories */
    struct metric_cells *cells;
    const struct clock *clock;
    const uint64_t *le_ns; /* those of the bounds that our own families show, ascending; NULL: all of them */
    size_t le_count;
    struct bounds_rules bounds_rules; /* those that some duration series show instead; borrowed to the end */
    uint32_t profiles;                /* bits 1 << enum profile: the ones that are enabled */
    const char *cluster;              /* label of mesh_service_info; NULL or "" when not known */
    struct mesh_names meshes;         /* values of the label `mesh`; series of mesh 0 have none */
    bool exemplars_are_pinned; /* one is shown when somebody has pinned its trace (exemplars.h); else at once
                                */
    /* The labels of a sender's text. NULL: one label, sender_workload, with the text as it is. */
    void (*describe_sender)(struct slice sender, struct sender_description *ret_labels);
};

/* 0 with *ret_aggregator, or WERR_NOMEM. About 1 MiB, outside the budget, is set aside for overflow and
 * scratch. */
int aggregator_new(const struct aggregator_settings *settings, struct aggregator **ret_aggregator);
void aggregator_free(struct aggregator *aggregator); /* NULL is fine */

/* The owner of the limits has changed what a reload may change. `cluster`: as in the settings. */
void aggregator_reconfigure(struct aggregator *aggregator, const char *cluster);

/*
 * Adds a shard's interval to everything, empties its pages and writes the verdict into it. Never fails: what
 * no series can be had for goes to overflow. The delta is then ready for directory_give_back. Counts
 * *_AGGREGATED.
 */
void aggregator_merge(struct aggregator *aggregator, struct delta *delta);

/* Every second or so: closes window slots that are over, and looks for idle series, a slice at a time. */
void aggregator_tick(struct aggregator *aggregator);

/* Series that have been touched and are held now, all families. */
uint32_t aggregator_series_count(const struct aggregator *aggregator);

#endif
