/*
 * OpenMetrics text 1.0.0 (the OpenMetrics specification): exemplars on counters and buckets, `_created`,
 * UNIT, canonical `le`, `# EOF`. Served as 0.0.1 too, to scrapers that ask for nothing newer: its readers
 * take the same body. Runs where the encoding runs.
 */
#include "exporters/prometheus/prometheus_exporter.h"
#include "exporters/prometheus/text_lines.h"

static const char *const types[] = {
    [SNAPSHOT_COUNTER] = "counter",
    [SNAPSHOT_GAUGE] = "gauge",
    [SNAPSHOT_INFO] = "info",
    [SNAPSHOT_HISTOGRAM] = "histogram",
    [SNAPSHOT_BARE_COUNTER] = "unknown", /* a counter would have to end in _total here */
};

static int init(struct exposition *exposition)
{
    struct text_exposition *text = (struct text_exposition *)exposition;

    text->bound_number = number_bound_canonical;
    text->exemplars = exposition->options->exemplars;
    text->created = exposition->options->created;
    return 0;
}

static int family_begin(struct exposition *exposition, const struct snapshot_family *family)
{
    struct buffer *out = exposition->out;

    text_metadata(out, "TYPE", family->name, "");
    buffer_append_text(out, types[family->type]);
    buffer_append_byte(out, '\n');
    if (exposition_has_unit(family)) {
        text_metadata(out, "UNIT", family->name, "");
        buffer_append_text(out, family->unit);
        buffer_append_byte(out, '\n');
    }
    text_metadata(out, "HELP", family->name, "");
    return text_help(out, family->help != NULL ? family->help : "", true);
}

static int put_counter(
    struct text_exposition *text, const struct snapshot_family *family, const struct snapshot_series *series)
{
    struct buffer *out = text->base.out;

    text_sample(out, family->name, "_total", series);
    text_counter_value(out, series);
    if (text->exemplars && series->exemplar != NULL) {
        text_exemplar(out, series->exemplar);
    }
    buffer_append_byte(out, '\n');
    return text_created(text, family->name, series);
}

static int put_series(struct exposition *exposition, const struct snapshot_family *family,
    const struct snapshot *snapshot, const struct snapshot_series *series)
{
    struct text_exposition *text = (struct text_exposition *)exposition;
    struct buffer *out = exposition->out;

    (void)snapshot;
    switch (family->type) {
    case SNAPSHOT_COUNTER:
        return put_counter(text, family, series);
    case SNAPSHOT_GAUGE:
    case SNAPSHOT_BARE_COUNTER:
        text_sample(out, family->name, "", series);
        return text_value_double(out, series->value);
    case SNAPSHOT_INFO:
        text_sample(out, family->name, "_info", series);
        return text_value_u64(out, 1);
    case SNAPSHOT_HISTOGRAM:
        break;
    }
    return text_histogram(text, family->name, series);
}

static int end(struct exposition *exposition)
{
    return buffer_append_text(exposition->out, "# EOF\n");
}

static const struct exposition_format format = {
    .state_bytes = sizeof(struct text_exposition),
    .init = init,
    .deinit = text_deinit,
    .family = family_begin,
    .series = put_series,
    .end = end,
};

static int openmetrics_open(const struct encoder_options *options, struct buffer *out, void **ret_state)
{
    return exposition_open(&format, options, out, ret_state);
}

const struct encoder_type prometheus_openmetrics = EXPOSITION_ENCODER(
    "openmetrics", "application/openmetrics-text; version=1.0.0; charset=utf-8", openmetrics_open);

const struct encoder_type prometheus_openmetrics_0_0_1 = EXPOSITION_ENCODER(
    "openmetrics_0_0_1", "application/openmetrics-text; version=0.0.1; charset=utf-8", openmetrics_open);
