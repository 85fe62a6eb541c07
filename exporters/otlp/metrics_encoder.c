/*
 * The encoder of OTLP metrics: a snapshot becomes ExportMetricsServiceRequest bytes, slice by slice. Each
 * step appends whole ResourceMetrics messages (a family that a step cuts is begun anew by the next), so what
 * `out` holds after a step is a request by itself, and requests concatenate. Runs on the aggregator's thread.
 *
 * Names: the family's, with its unit suffix and without _total (an info family with _info); units in UCUM,
 * "s" and "By". A Prometheus that receives OTLP adds unit and _total where they lack, and so arrives at the
 * names of /metrics.
 */
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/points.h"
#include "opentelemetry/collector.pb-c.h"
#include "weft/exporter.h"

enum {
    ARENA_CHUNK_BYTES = 262144,
    ARENA_BYTES_MAX = 134217728, /* of one step */
    LIST_ITEMS_FIRST = 16,
};

/* A growing array of pointers in the arena. */
struct list {
    void **items;
    size_t count;
    size_t capacity;
};

struct metrics_encoder {
    const struct encoder_options *options;
    struct buffer *out;
    struct arena arena;
    struct snapshot_cursor cursor;
    bool begun;
    uint64_t point_count;
    uint64_t step_points;
    struct point_context context;
    const struct snapshot_family *family; /* of the points below; NULL at the start of a step */
    char *name;
    char *help;
    const char *unit;
    enum snapshot_type type;
    struct list numbers;
    struct list exponentials;
    struct list explicits;
    struct list metrics; /* finished ones of this step */
};

static int list_add(struct arena *arena, struct list *list, void *item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : LIST_ITEMS_FIRST;
        void **items = arena_alloc(arena, capacity * sizeof(void *));
        if (items == NULL) {
            return WERR_NOMEM;
        }
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof(void *));
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return 0;
}

/* ---- from points to metrics ---- */

static Otlp__AggregationTemporality temporality(const struct metrics_encoder *self)
{
    return self->context.memory != NULL ? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA
                                        : OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
}

static Otlp__Metric *new_metric(struct metrics_encoder *self)
{
    Otlp__Metric *metric = arena_alloc(&self->arena, sizeof *metric);

    if (metric == NULL || list_add(&self->arena, &self->metrics, metric) < 0) {
        return NULL;
    }
    otlp__metric__init(metric);
    metric->name = self->name;
    metric->description = self->help;
    metric->unit = (char *)(uintptr_t)self->unit;
    return metric;
}

static int finish_gauge(struct metrics_encoder *self, Otlp__Metric *metric)
{
    Otlp__Gauge *gauge = arena_alloc(&self->arena, sizeof *gauge);

    if (gauge == NULL) {
        return WERR_NOMEM;
    }
    otlp__gauge__init(gauge);
    gauge->n_data_points = self->numbers.count;
    gauge->data_points = (Otlp__NumberDataPoint **)self->numbers.items;
    metric->data_case = OTLP__METRIC__DATA_GAUGE;
    metric->gauge = gauge;
    return 0;
}

static int finish_numbers(struct metrics_encoder *self)
{
    Otlp__Metric *metric = new_metric(self);

    if (metric == NULL) {
        return WERR_NOMEM;
    }
    if (self->type != SNAPSHOT_COUNTER && self->type != SNAPSHOT_BARE_COUNTER) {
        return finish_gauge(self, metric);
    }
    Otlp__Sum *sum = arena_alloc(&self->arena, sizeof *sum);
    if (sum == NULL) {
        return WERR_NOMEM;
    }
    otlp__sum__init(sum);
    sum->n_data_points = self->numbers.count;
    sum->data_points = (Otlp__NumberDataPoint **)self->numbers.items;
    sum->aggregation_temporality = temporality(self);
    sum->is_monotonic = 1;
    metric->data_case = OTLP__METRIC__DATA_SUM;
    metric->sum = sum;
    return 0;
}

static int finish_exponentials(struct metrics_encoder *self)
{
    Otlp__Metric *metric = new_metric(self);
    Otlp__ExponentialHistogram *histogram = arena_alloc(&self->arena, sizeof *histogram);

    if (metric == NULL || histogram == NULL) {
        return WERR_NOMEM;
    }
    otlp__exponential_histogram__init(histogram);
    histogram->n_data_points = self->exponentials.count;
    histogram->data_points = (Otlp__ExponentialHistogramDataPoint **)self->exponentials.items;
    histogram->aggregation_temporality = temporality(self);
    metric->data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
    metric->exponential_histogram = histogram;
    return 0;
}

static int finish_explicits(struct metrics_encoder *self)
{
    Otlp__Metric *metric = new_metric(self);
    Otlp__Histogram *histogram = arena_alloc(&self->arena, sizeof *histogram);

    if (metric == NULL || histogram == NULL) {
        return WERR_NOMEM;
    }
    otlp__histogram__init(histogram);
    histogram->n_data_points = self->explicits.count;
    histogram->data_points = (Otlp__HistogramDataPoint **)self->explicits.items;
    histogram->aggregation_temporality = temporality(self);
    metric->data_case = OTLP__METRIC__DATA_HISTOGRAM;
    metric->histogram = histogram;
    return 0;
}

/* The family's points so far become metrics. */
static int finish_family(struct metrics_encoder *self)
{
    int error = self->numbers.count > 0 ? finish_numbers(self) : 0;

    if (error == 0 && self->exponentials.count > 0) {
        error = finish_exponentials(self);
    }
    if (error == 0 && self->explicits.count > 0) {
        error = finish_explicits(self);
    }
    self->numbers = self->exponentials = self->explicits = (struct list){0};
    self->family = NULL;
    return error;
}

static const char *unit_of(const struct snapshot_family *family)
{
    if (strcmp(family->unit, "seconds") == 0) {
        return "s";
    }
    return strcmp(family->unit, "bytes") == 0 ? "By" : family->unit;
}

static int begin_family(struct metrics_encoder *self, const struct snapshot_family *family)
{
    static const char info_suffix[] = "_info";
    size_t name_length = strlen(family->name);
    char *name = arena_alloc(&self->arena, name_length + sizeof info_suffix);

    self->help = point_text(&self->arena, family->help);
    char *unit = point_text(&self->arena, unit_of(family));
    if (name == NULL || self->help == NULL || unit == NULL) {
        return WERR_NOMEM;
    }
    memcpy(name, family->name, name_length + 1);
    if (family->type == SNAPSHOT_INFO) {
        memcpy(name + name_length, info_suffix, sizeof info_suffix);
    }
    self->name = name;
    self->unit = unit;
    self->type = family->type;
    self->family = family;
    return 0;
}

/* ---- series ---- */

/* Where the point starts and what was sent of it before. */
static struct point_base base_of(
    const struct metrics_encoder *self, const struct snapshot_series *series, const struct series_last *last)
{
    const struct point_context *context = &self->context;
    struct point_base base = {
        .start_unix_ns = series->created_unix_ns > 0 ? series->created_unix_ns : context->start_unix_ns};

    if (last != NULL && !last->is_new && last->created_unix_ns == series->created_unix_ns) {
        const struct snapshot_histogram *now = series->histogram;
        bool has_grown =
            now == NULL || (now->count >= last->histogram.count &&
                               (now->is_classic || now->bound_count == last->histogram.bound_count));
        base.start_unix_ns = last->time_unix_ns;
        base.exemplars_after_unix_ns = last->time_unix_ns;
        base.last = has_grown ? last : NULL;
    }
    if (base.start_unix_ns > context->time_unix_ns) {
        base.start_unix_ns = context->time_unix_ns;
    }
    return base;
}

static int add_histogram(
    struct metrics_encoder *self, const struct snapshot_series *series, const struct point_base *base)
{
    Otlp__ExponentialHistogramDataPoint *exponential;
    Otlp__HistogramDataPoint *explicit;
    int error;

    if (point_is_exponential(&self->context, series->histogram)) {
        error = point_exponential(&self->context, series, base, &exponential);
        return error == 0 ? list_add(&self->arena, &self->exponentials, exponential) : error;
    }
    error = point_explicit(&self->context, series, base, &explicit);
    return error == 0 ? list_add(&self->arena, &self->explicits, explicit) : error;
}

static int add_point(struct metrics_encoder *self, const struct snapshot_series *series,
    const struct snapshot_family *family, const struct point_base *base)
{
    Otlp__NumberDataPoint *number;

    if (family->type == SNAPSHOT_HISTOGRAM) {
        return add_histogram(self, series, base);
    }
    int error = point_number(&self->context, family, series, base, &number);
    return error == 0 ? list_add(&self->arena, &self->numbers, number) : error;
}

static int add_series(
    struct metrics_encoder *self, const struct snapshot_family *family, const struct snapshot_series *series)
{
    struct series_memory *memory = self->context.memory;
    bool is_delta = memory != NULL && family->type != SNAPSHOT_GAUGE && family->type != SNAPSHOT_INFO;
    struct series_last *last = NULL;

    if (family->type == SNAPSHOT_HISTOGRAM && series->histogram == NULL) {
        return 0;
    }
    if (is_delta) {
        last = series_memory_find(
            memory, family->name, series->labels_text, series->labels_text_length, series->histogram);
        if (last == NULL) {
            return 0; /* counted there; without a memory of it no delta can be told */
        }
    }
    struct point_base base = base_of(self, series, last);
    int error = add_point(self, series, family, &base);
    if (error == 0) {
        self->step_points++;
    }
    if (error == 0 && is_delta) {
        series_memory_store(last, series, self->context.time_unix_ns);
    }
    return error;
}

/* ---- a step ---- */

static int fill_resource(struct metrics_encoder *self, Otlp__Resource *resource)
{
    const char *const *pairs = self->options->resource_attributes;
    struct snapshot_label *labels;
    size_t count = 0;

    otlp__resource__init(resource);
    while (pairs != NULL && pairs[count * 2] != NULL && pairs[count * 2 + 1] != NULL) {
        count++;
    }
    labels = arena_alloc(&self->arena, (count + 1) * sizeof *labels);
    if (labels == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        labels[i] = (struct snapshot_label){.name = pairs[i * 2], .value = pairs[i * 2 + 1]};
    }
    resource->n_attributes = count;
    return point_attributes(&self->arena, labels, count, &resource->attributes);
}

/* The step's metrics as one ResourceMetrics message at the end of `out`. */
static int write_out(struct metrics_encoder *self)
{
    char scope_name[] = "weft";
    char scope_version[] = WEFT_VERSION;
    Otlp__Resource resource;
    Otlp__InstrumentationScope scope = OTLP__INSTRUMENTATION_SCOPE__INIT;
    Otlp__ScopeMetrics scope_metrics = OTLP__SCOPE_METRICS__INIT;
    Otlp__ResourceMetrics resource_metrics = OTLP__RESOURCE_METRICS__INIT;
    Otlp__ExportMetricsServiceRequest request = OTLP__EXPORT_METRICS_SERVICE_REQUEST__INIT;
    Otlp__ScopeMetrics *scope_metrics_list[] = {&scope_metrics};
    Otlp__ResourceMetrics *resource_metrics_list[] = {&resource_metrics};
    int error = fill_resource(self, &resource);

    if (error < 0) {
        return error;
    }
    scope.name = scope_name;
    scope.version = scope_version;
    scope_metrics.scope = &scope;
    scope_metrics.metrics = (Otlp__Metric **)self->metrics.items;
    scope_metrics.n_metrics = self->metrics.count;
    resource_metrics.resource = &resource;
    resource_metrics.scope_metrics = scope_metrics_list;
    resource_metrics.n_scope_metrics = 1;
    request.resource_metrics = resource_metrics_list;
    request.n_resource_metrics = 1;
    size_t size = otlp__export_metrics_service_request__get_packed_size(&request);
    uint8_t *room = buffer_reserve(self->out, size);
    if (room == NULL) {
        return self->out->error;
    }
    self->out->length += otlp__export_metrics_service_request__pack(&request, room);
    return 0;
}

static void begin_encoding(struct metrics_encoder *self, const struct snapshot *snapshot)
{
    self->begun = true;
    self->context = (struct point_context){
        .arena = &self->arena,
        .memory = self->options->delta ? self->options->memory : NULL,
        .time_unix_ns = snapshot->time_unix_ns,
        .start_unix_ns = snapshot->start_unix_ns,
        .scale_max = snapshot->native_scale,
        .buckets_max = snapshot->native_buckets_max,
        .exemplars = self->options->exemplars,
        .exponential = self->options->exponential,
    };
}

/* 1 when there is more, 0 at the end of the snapshot, or an error. */
static int take_series(struct metrics_encoder *self, struct snapshot *snapshot, size_t series_count)
{
    for (size_t i = 0; i < series_count || i == 0; i++) {
        const struct snapshot_family *family;
        struct snapshot_series series;
        int more = snapshot_next(snapshot, &self->cursor, &family, &series);
        if (more <= 0) {
            return more;
        }
        int error = self->family != NULL && self->family != family ? finish_family(self) : 0;
        if (error == 0 && self->family == NULL) {
            error = begin_family(self, family);
        }
        if (error == 0) {
            error = add_series(self, family, &series);
        }
        if (error < 0) {
            return error;
        }
    }
    return 1;
}

static int encoder_step(void *state, struct snapshot *snapshot, size_t series_count)
{
    struct metrics_encoder *self = state;

    if (!self->begun) {
        begin_encoding(self, snapshot);
    }
    self->step_points = 0;
    int more = take_series(self, snapshot, series_count);
    int error = more < 0 ? more : finish_family(self);
    if (error == 0 && self->step_points > 0) {
        error = write_out(self);
    }
    if (error == 0) {
        self->point_count += self->step_points;
        if (more == 0 && self->context.memory != NULL) {
            series_memory_sweep(self->context.memory);
        }
    }
    self->numbers = self->exponentials = self->explicits = self->metrics = (struct list){0};
    self->family = NULL;
    arena_reset(&self->arena);
    return error < 0 ? error : more;
}

/* ---- the encoder's type ---- */

static void *memory_new(void)
{
    return series_memory_new();
}

static void memory_free(void *memory)
{
    series_memory_free(memory);
}

static int encoder_open(const struct encoder_options *options, struct buffer *out, void **ret_state)
{
    if (options->delta && options->memory == NULL) {
        return WERR_NOMEM; /* whoever made the memory found none */
    }
    struct metrics_encoder *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->options = options;
    self->out = out;
    arena_init(&self->arena, ARENA_CHUNK_BYTES, ARENA_BYTES_MAX);
    *ret_state = self;
    return 0;
}

static uint64_t encoder_point_count(const void *state)
{
    return ((const struct metrics_encoder *)state)->point_count;
}

static void encoder_close(void *state)
{
    struct metrics_encoder *self = state;

    if (self != NULL) {
        arena_deinit(&self->arena);
        free(self);
    }
}

static const struct encoder_type metrics_encoder = {
    .name = "otlp",
    .content_type = "application/x-protobuf",
    .memory_new = memory_new,
    .memory_free = memory_free,
    .open = encoder_open,
    .step = encoder_step,
    .point_count = encoder_point_count,
    .close = encoder_close,
};

static const struct encoder_type *const encoders[] = {&metrics_encoder, NULL};

const struct exporter_type exporter_otlp = {
    .name = "otlp",
    .encoders = encoders,
};
