/* Data points to points in normal form: sent_metric.h. */
#include "context/sent_metric.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"

_Static_assert((int)SENT_LABEL_COUNT_MAX <= (int)METRIC_LABEL_COUNT_MAX, "what is read can be kept");
_Static_assert((int)SENT_BUCKET_COUNT_MAX <= (int)METRIC_BUCKET_COUNT_MAX, "likewise");
_Static_assert((int)SENT_BOUND_COUNT_MAX <= (int)METRIC_BOUND_COUNT_MAX, "likewise");

enum { NAME_BYTES_MAX = 512, SUMMARY_NAME = 0, SUMMARY_SUM = 1, SUMMARY_COUNT = 2 };

static int compare_text(struct slice a, struct slice b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length > 0 ? memcmp(a.ptr, b.ptr, length) : 0;

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* An id, or WERR_FULL when the text is new and there is no room; 0 with INTERNED_NONE for an empty one. */
static int intern(struct context *context, struct slice text, uint32_t *ret_id)
{
    *ret_id = text.length > 0 ? context_intern(context, text) : (uint32_t)INTERNED_NONE;
    return *ret_id == INTERNED_OVERFLOW ? WERR_FULL : 0;
}

/* Inserts in the order of the names' texts. Of two labels of one name the first stays. */
static int insert_label(
    const struct context *context, struct metric_label *labels, size_t *count, struct metric_label label)
{
    struct slice key = interner_text(context->interner, label.key);
    size_t at = *count;

    while (at > 0) {
        int order = compare_text(interner_text(context->interner, labels[at - 1].key), key);

        if (order == 0) {
            return 0;
        }
        if (order < 0) {
            break;
        }
        at--;
    }
    if (*count == METRIC_LABEL_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    memmove(&labels[at + 1], &labels[at], (*count - at) * sizeof *labels);
    labels[at] = label;
    (*count)++;
    return 0;
}

/* Labels without a name or a value are none, as in Prometheus. */
static int add_label(struct context *context, struct metric_label *labels, size_t *count, struct slice name,
    struct slice value)
{
    struct metric_label label;

    if (name.length == 0 || value.length == 0) {
        return 0;
    }
    int error = intern(context, name, &label.key);
    if (error == 0) {
        error = intern(context, value, &label.value);
    }
    return error == 0 ? insert_label(context, labels, count, label) : error;
}

static enum metric_point_type type_of(const struct sent_point *sent)
{
    switch (sent->type) {
    case SENT_COUNTER:
        return sent->is_bare ? METRIC_POINT_BARE_COUNTER : METRIC_POINT_COUNTER;
    case SENT_EXPLICIT:
        return METRIC_POINT_EXPLICIT;
    case SENT_EXPONENTIAL:
        return METRIC_POINT_HISTOGRAM;
    case SENT_GAUGE:
    case SENT_SUMMARY:
    default:
        return METRIC_POINT_GAUGE;
    }
}

static void fill_point(
    const struct sent_point *sent, uint32_t sender, uint64_t time_unix_ns, struct metric_point *point)
{
    bool is_histogram = sent->type == SENT_EXPLICIT || sent->type == SENT_EXPONENTIAL;

    *point = (struct metric_point){
        .type = type_of(sent),
        .sender = sender,
        .time_unix_ns = sent->time_unix_ns > 0 ? sent->time_unix_ns : time_unix_ns,
        .start_unix_ns = sent->is_delta || sent->type == SENT_GAUGE ? 0 : sent->start_unix_ns,
        .value = sent->value,
        .is_delta = !is_histogram && sent->is_delta,
        .is_cumulative = is_histogram && !sent->is_delta,
    };
    if (is_histogram) {
        point->buckets = sent->buckets;
        point->bucket_count = sent->bucket_count;
        point->scale = sent->scale;
        point->offset = sent->offset;
        point->zero_count = sent->zero_count;
        point->bounds = sent->bounds;
        point->bound_count = sent->bound_count;
    }
}

/* The names of a summary's parts. */
static int intern_parts(struct context *context, struct slice name, uint32_t part_names[3])
{
    static const char *const suffixes[] = {"", "_sum", "_count"};
    char text[NAME_BYTES_MAX];
    int length =
        (int)(name.length < sizeof text - sizeof "_count" ? name.length : sizeof text - sizeof "_count");

    for (size_t i = 0; i < 3; i++) {
        int total = snprintf(text, sizeof text, "%.*s%s", length, (const char *)name.ptr, suffixes[i]);
        int error = intern(context, slice_of(text, (size_t)total), &part_names[i]);

        if (error < 0) {
            return error;
        }
    }
    return 0;
}

size_t sent_metric_part_count(const struct sent_point *sent)
{
    return sent->type == SENT_SUMMARY ? sent->quantile_count + 2 : 1;
}

int sent_metric_read(struct context *context, const struct sent_point *sent, uint32_t sender,
    uint64_t time_unix_ns, struct sent_metric *ret_metric)
{
    struct sent_metric *metric = ret_metric;
    int error = 0;

    metric->label_count = 0;
    metric->part_count = sent_metric_part_count(sent);
    metric->sent = sent;
    fill_point(sent, sender, time_unix_ns, &metric->point);
    for (size_t i = 0; i < sent->label_count && error == 0; i++) {
        error = add_label(
            context, metric->labels, &metric->label_count, sent->labels[i].name, sent->labels[i].value);
    }
    if (error == 0) {
        error = intern(context, sent->name, &metric->point.name);
    }
    if (error == 0 && sent->type != SENT_SUMMARY) { /* else it would be in the gauges' name alone */
        error = intern(context, sent->unit, &metric->point.unit);
    }
    if (error == 0) {
        error = intern(context, sent->help, &metric->point.help);
    }
    if (error == 0 && sent->type == SENT_SUMMARY) {
        error = intern_parts(context, sent->name, metric->part_names);
    }
    metric->point.labels = metric->labels;
    metric->point.label_count = metric->label_count;
    return error;
}

static int quantile_part(
    struct context *context, struct sent_metric *metric, size_t i, struct metric_point *point)
{
    const struct sent_quantile *quantile = &metric->sent->quantiles[i];
    char text[32];
    int length = snprintf(text, sizeof text, "%g", quantile->quantile);

    memcpy(metric->quantile_labels, metric->labels, metric->label_count * sizeof metric->labels[0]);
    point->labels = metric->quantile_labels;
    point->type = METRIC_POINT_GAUGE;
    point->is_delta = false;
    point->value = quantile->value;
    return add_label(context, metric->quantile_labels, &point->label_count, SLICE_LITERAL("quantile"),
        slice_of(text, (size_t)length));
}

int sent_metric_part(
    struct context *context, struct sent_metric *metric, size_t i, struct metric_point *ret_point)
{
    *ret_point = metric->point;
    if (metric->sent->type != SENT_SUMMARY) {
        return 0;
    }
    size_t quantile_count = metric->sent->quantile_count;
    size_t which = i < quantile_count ? SUMMARY_NAME : i == quantile_count ? SUMMARY_SUM : SUMMARY_COUNT;

    ret_point->name = metric->part_names[which];
    if (which == SUMMARY_NAME) {
        ret_point->start_unix_ns = 0;
        return quantile_part(context, metric, i, ret_point);
    }
    ret_point->type = METRIC_POINT_BARE_COUNTER;
    ret_point->value = which == SUMMARY_SUM ? metric->sent->value : (double)metric->sent->count;
    return 0;
}
