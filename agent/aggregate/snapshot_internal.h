/* The snapshot's inside, for snapshot*.c only. */
#ifndef WEFT_AGGREGATE_SNAPSHOT_INTERNAL_H
#define WEFT_AGGREGATE_SNAPSHOT_INTERNAL_H

#include "aggregate/aggregator_internal.h"
#include "aggregate/snapshot.h"
#include "histogram/downscale.h"

enum {
    VIEW_LABEL_COUNT_MAX = 16,
    VIEW_NUMBER_BYTES = 12,
    VIEW_EXEMPLAR_COUNT_MAX = BOUNDS_COUNT_MAX + 1,
    VIEW_SELF_LABEL_BYTES = 256,
};

/* One family of the agent's own metrics: rows first_row … first_row + row_count - 1 of the table. */
struct self_family {
    struct snapshot_family family;
    size_t first_row;
    size_t row_count;
};

struct view {
    struct snapshot snapshot; /* first member */
    struct aggregator *aggregator;
    const struct metric_registry *registry;
    struct self_family self[METRIC_COUNT];
    size_t self_count;
    /* scratch of one step */
    struct buffer text;
    size_t label_count;
    struct snapshot_label labels[VIEW_LABEL_COUNT_MAX];
    char numbers[2][VIEW_NUMBER_BYTES];
    char self_labels[VIEW_SELF_LABEL_BYTES];
    struct snapshot_histogram histogram;
    struct dense_buckets *dense;
    struct exp_histogram exponential;
    uint64_t bound_counts[BOUNDS_COUNT_MAX];
    struct snapshot_exemplar exemplars[VIEW_EXEMPLAR_COUNT_MAX];
};

void view_begin_labels(struct view *view);
void view_add_label(struct view *view, const char *name, const char *value); /* borrows; "" is left out */
void view_end_labels(struct view *view, struct snapshot_series *series);
void view_set_counter(struct snapshot_series *series, uint64_t value, uint64_t created_unix_ns);

/* Each: false past the family's last place; else *ret_filled says whether the place holds a series. */
bool view_self(struct view *view, size_t number, size_t place, const struct snapshot_family **ret_family,
    struct snapshot_series *series, bool *ret_filled);
bool view_points(struct view *view, size_t number, size_t place, const struct snapshot_family **ret_family,
    struct snapshot_series *series, bool *ret_filled);

void view_self_init(struct view *view);

#endif
