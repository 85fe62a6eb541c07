/* The snapshot's inside, for snapshot*.c only. */
#ifndef WEFT_AGGREGATE_SNAPSHOT_INTERNAL_H
#define WEFT_AGGREGATE_SNAPSHOT_INTERNAL_H

#include "aggregate/aggregator_internal.h"
#include "aggregate/snapshot.h"
#include "histogram/downscale.h"

enum {
    VIEW_LABEL_COUNT_MAX = 32,
    VIEW_NUMBER_BYTES = 12,
    VIEW_EXEMPLAR_COUNT_MAX = BOUNDS_COUNT_MAX + 1,
    VIEW_SELF_LABEL_BYTES = 256,
    VIEW_VALUES_BYTES = 8192,
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
    struct snapshot_settings settings;
    enum profile profile; /* of a profile's view: snapshot_profile.c */
    const struct metric_registry *registry;
    struct self_family self[METRIC_COUNT];
    size_t self_count;
    /* scratch of one step */
    struct buffer text;
    size_t label_count;
    struct snapshot_label labels[VIEW_LABEL_COUNT_MAX];
    char numbers[2][VIEW_NUMBER_BYTES];
    char self_labels[VIEW_SELF_LABEL_BYTES];
    char values[VIEW_VALUES_BYTES]; /* of labels that are made up for the series */
    size_t values_length;
    struct snapshot_histogram histogram;
    struct dense_buckets *dense;
    struct exp_histogram exponential;
    uint64_t bound_counts[BOUNDS_COUNT_MAX];
    struct snapshot_exemplar exemplars[VIEW_EXEMPLAR_COUNT_MAX];
};

/* snapshot_filter.c: what the configuration leaves out and adds. */
bool view_shows(const struct view *view, const struct snapshot_family *family);
void view_add_static_labels(struct view *view);
void view_extend_labels(struct view *view, struct snapshot_series *series); /* that are ready-made */

void view_begin_labels(struct view *view);
void view_add_label(struct view *view, const char *name, const char *value); /* borrows; "" is left out */
void view_end_labels(struct view *view, struct snapshot_series *series);
void view_set_counter(struct snapshot_series *series, uint64_t value, uint64_t created_unix_ns);

/* snapshot_histogram.c: a histogram with these bounds, and no exemplars. */
void view_set_histogram(struct view *view, struct snapshot_series *series, const struct shown_bounds *shown,
    const struct histogram *from, const struct page_slab *slab);

/* What a series has of one outcome, or the zeros of one that was never seen: with its own bounds, its
 * exemplars and its start. `place` is of series.duration.values. */
void view_set_duration(
    struct view *view, struct snapshot_series *series, const struct series *from, size_t place);

/* Each: false past the family's last place; else *ret_filled says whether the place holds a series. */
bool view_self(struct view *view, size_t number, size_t place, const struct snapshot_family **ret_family,
    struct snapshot_series *series, bool *ret_filled);
bool view_points(struct view *view, size_t number, size_t place, const struct snapshot_family **ret_family,
    struct snapshot_series *series, bool *ret_filled);

void view_self_init(struct view *view);

/* Makes the scratch of a view over `aggregator`: 0 or WERR_NOMEM; aggregator_snapshot_free frees it either
 * way. */
int view_init(struct view *view, struct aggregator *aggregator, const struct snapshot_settings *settings);

/* profile_labels.c: the labels of a series of a profile's measure, begun and not ended. */
void view_add_profile_labels(struct view *view, const struct series_key *key);

/* The text of an interned string of the aggregator's. */
static inline const char *view_text(const struct view *view, uint32_t id)
{
    struct slice text = interner_text(view->aggregator->interner, id);

    return text.length > 0 ? (const char *)text.ptr : "";
}

#endif
