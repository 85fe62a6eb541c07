/* Points of a scrape into the shard's values: pipeline_scrape.h. */
#include "pipeline/pipeline_scrape.h"

#include <math.h>
#include <stdio.h>

#include "core/error.h"

enum { QUANTILE_TEXT_BYTES = 32 };

struct scrape_pass {
    struct pipeline *pipeline;
    const struct scrape_source *source;
    uint64_t now_unix_ns;
};

static bool is_far_away(const struct scrape_pass *pass, uint64_t time_unix_ns)
{
    uint64_t distance_ns = time_unix_ns > pass->now_unix_ns ? time_unix_ns - pass->now_unix_ns
                                                            : pass->now_unix_ns - time_unix_ns;

    return distance_ns > pass->pipeline->limits->time_skew_s * 1000000000u;
}

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.length < b.length ? a.length : b.length);

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* The labels of both, in order; of two with one name the sample's own. WERR_OVERSIZED. */
static int merge_labels(const struct prom_point *from, const struct scrape_source *source,
    struct prom_label out[static METRIC_LABEL_COUNT_MAX], size_t *ret_count)
{
    size_t i = 0;
    size_t j = 0;
    size_t count = 0;

    while (i < from->label_count || j < source->label_count) {
        int order = i == from->label_count     ? 1
                    : j == source->label_count ? -1
                                               : compare(from->labels[i].name, source->labels[j].name);

        if (count == METRIC_LABEL_COUNT_MAX) {
            return WERR_OVERSIZED;
        }
        out[count++] = order <= 0 ? from->labels[i] : source->labels[j];
        i += order <= 0;
        j += order >= 0;
    }
    *ret_count = count;
    return 0;
}

/* Puts the label in its place in the order. */
static int insert_label(
    struct prom_label out[static METRIC_LABEL_COUNT_MAX], size_t *count, struct prom_label label)
{
    size_t at = *count;

    if (at == METRIC_LABEL_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    while (at > 0 && compare(out[at - 1].name, label.name) > 0) {
        out[at] = out[at - 1];
        at--;
    }
    out[at] = label;
    (*count)++;
    return 0;
}

/* WERR_FULL when a text has no room. */
static int intern_labels(struct scrape_pass *pass, const struct prom_label *labels, size_t count,
    struct metric_label out[static METRIC_LABEL_COUNT_MAX])
{
    struct context *context = &pass->pipeline->context;

    for (size_t i = 0; i < count; i++) {
        out[i] = (struct metric_label){.key = context_intern(context, labels[i].name),
            .value = context_intern(context, labels[i].value)};
        if (out[i].key == INTERNED_OVERFLOW || out[i].value == INTERNED_OVERFLOW) {
            return WERR_FULL;
        }
    }
    return 0;
}

static void drop(struct scrape_pass *pass, int error)
{
    struct metric_cells *cells = pass->pipeline->cells;

    if (error == WERR_FULL) {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_SERIES, 1);
    } else {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_MALFORMED, 1);
    }
}

/* Texts of a point that is otherwise complete, and so into the values. */
static void record(struct scrape_pass *pass, struct metric_point *point, const struct prom_point *from,
    struct slice name, const struct prom_label *labels, size_t label_count)
{
    struct context *context = &pass->pipeline->context;
    struct metric_label interned[METRIC_LABEL_COUNT_MAX];
    int error = intern_labels(pass, labels, label_count, interned);

    point->name = context_intern(context, name);
    if (error < 0 || point->name == INTERNED_OVERFLOW) {
        drop(pass, WERR_FULL);
        return;
    }
    uint32_t unit = context_intern(context, from->unit);
    uint32_t help = context_intern(context, from->help);
    point->unit = unit >= INTERNED_FIXED_COUNT ? unit : INTERNED_NONE;
    point->help = help >= INTERNED_FIXED_COUNT ? help : INTERNED_NONE;
    point->labels = interned;
    point->label_count = label_count;
    point->sender = pass->source->sender.interned;
    point->stale_after_s = pass->source->stale_after_s;
    point->time_unix_ns = from->time_unix_ns > 0 ? from->time_unix_ns : pass->now_unix_ns;
    directory_record_point(pass->pipeline->directory, point);
    point->labels = NULL; /* they end here */
    point->label_count = 0;
}

static void take_histogram(struct scrape_pass *pass, const struct prom_point *from,
    const struct prom_label *labels, size_t label_count)
{
    uint64_t buckets[METRIC_BOUND_COUNT_MAX + 1];
    struct metric_point point = {.type = METRIC_POINT_EXPLICIT,
        .is_cumulative = true,
        .value = isfinite(from->value) ? from->value : 0,
        .bounds = from->bounds,
        .bound_count = from->bound_count,
        .buckets = buckets,
        .bucket_count = from->bound_count + 1};
    uint64_t below = 0;

    if (from->bound_count > METRIC_BOUND_COUNT_MAX) {
        drop(pass, WERR_OVERSIZED);
        return;
    }
    for (size_t i = 0; i < from->bound_count; i++) {
        buckets[i] = from->bound_counts[i] - below;
        below = from->bound_counts[i];
    }
    buckets[from->bound_count] = from->count - below;
    record(pass, &point, from, from->name, labels, label_count);
}

static void take_quantile(struct scrape_pass *pass, const struct prom_point *from,
    const struct prom_quantile *quantile, const struct prom_label *labels, size_t label_count)
{
    struct metric_point point = {.type = METRIC_POINT_GAUGE, .value = quantile->value};
    struct prom_label with[METRIC_LABEL_COUNT_MAX];
    char text[QUANTILE_TEXT_BYTES];
    size_t count = label_count;

    (void)snprintf(text, sizeof text, "%.15g", quantile->quantile);
    memcpy(with, labels, label_count * sizeof *labels);
    struct prom_label label = {.name = SLICE_LITERAL("quantile"), .value = slice_of_string(text)};
    if (insert_label(with, &count, label) < 0) {
        drop(pass, WERR_OVERSIZED);
        return;
    }
    record(pass, &point, from, from->name, with, count);
}

static void take_suffixed(struct scrape_pass *pass, const struct prom_point *from, const char *suffix,
    double value, const struct prom_label *labels, size_t label_count)
{
    struct metric_point point = {.type = METRIC_POINT_BARE_COUNTER, .value = value};
    char name[PROM_NAME_BYTES_MAX + 8];
    int length =
        snprintf(name, sizeof name, "%.*s%s", (int)from->name.length, (const char *)from->name.ptr, suffix);

    record(pass, &point, from, slice_of(name, (size_t)length), labels, label_count);
}

static void take_summary(struct scrape_pass *pass, const struct prom_point *from,
    const struct prom_label *labels, size_t label_count)
{
    LEDGER_ADD(pass->pipeline->cells, METRIC_POINTS_RECEIVED, from->quantile_count + 2);
    for (size_t i = 0; i < from->quantile_count; i++) {
        take_quantile(pass, from, &from->quantiles[i], labels, label_count);
    }
    take_suffixed(pass, from, "_sum", from->value, labels, label_count);
    take_suffixed(pass, from, "_count", (double)from->count, labels, label_count);
}

static void take_labelled(struct scrape_pass *pass, const struct prom_point *from,
    const struct prom_label *labels, size_t label_count)
{
    struct metric_cells *cells = pass->pipeline->cells;

    if (from->type == PROM_SUMMARY) {
        take_summary(pass, from, labels, label_count);
        return;
    }
    LEDGER_ADD(cells, METRIC_POINTS_RECEIVED, 1);
    if (from->type == PROM_HISTOGRAM) {
        take_histogram(pass, from, labels, label_count);
        return;
    }
    struct metric_point point = {
        .type = from->type == PROM_COUNTER ? METRIC_POINT_BARE_COUNTER : METRIC_POINT_GAUGE,
        .value = from->value};
    record(pass, &point, from, from->name, labels, label_count);
}

static void on_point(void *user, const struct prom_point *point)
{
    struct scrape_pass *pass = user;
    struct metric_cells *cells = pass->pipeline->cells;
    struct prom_label labels[METRIC_LABEL_COUNT_MAX];
    size_t label_count = 0;

    if (point->time_unix_ns > 0 && is_far_away(pass, point->time_unix_ns)) {
        LEDGER_ADD(cells, METRIC_POINTS_RECEIVED, 1);
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_TIME, 1);
    } else if (merge_labels(point, pass->source, labels, &label_count) < 0) {
        LEDGER_ADD(cells, METRIC_POINTS_RECEIVED, 1);
        drop(pass, WERR_OVERSIZED);
    } else {
        take_labelled(pass, point, labels, label_count);
    }
}

int pipeline_scrape(struct pipeline *pipeline, const struct scrape_source *source, struct slice body,
    enum prom_format format, struct arena *arena, struct prom_result *ret_result)
{
    struct scrape_pass pass = {
        .pipeline = pipeline, .source = source, .now_unix_ns = clock_unix_ns(pipeline->clock)};
    struct prom_sink sink = {.on_point = on_point, .user = &pass};

    if (directory_is_full(pipeline->directory)) {
        *ret_result = (struct prom_result){.sample_count = 0};
        return WERR_NOMEM;
    }
    arena_reset(arena);
    pipeline_batch_begin(pipeline, &source->sender);
    int error =
        prom_text_read(body, format, pipeline->limits->scrape_series_count_max, arena, &sink, ret_result);
    uint64_t bad_count = error == 0 ? ret_result->sample_bad_count + ret_result->point_bad_count : 0;
    uint64_t over_count = error == 0 ? ret_result->point_over_count : 0;

    LEDGER_ADD(pipeline->cells, METRIC_POINTS_RECEIVED, bad_count + over_count);
    LEDGER_ADD(pipeline->cells, METRIC_POINTS_DROPPED_MALFORMED, bad_count);
    LEDGER_ADD(pipeline->cells, METRIC_POINTS_DROPPED_SERIES, over_count);
    return error;
}
