/*
 * Prometheus text format 0.0.4 (prometheus.io, "Exposition formats"). Knows no exemplars, no units, no
 * creation times; a counter's or info's family is called as its sample. Runs where the encoding runs.
 */
#include "exporters/prometheus/prometheus_exporter.h"
#include "exporters/prometheus/text_lines.h"

static const struct {
    const char *suffix;
    const char *type;
} types[] = {
    [SNAPSHOT_COUNTER] = {.suffix = "_total", .type = "counter"},
    [SNAPSHOT_GAUGE] = {.suffix = "", .type = "gauge"},
    [SNAPSHOT_INFO] = {.suffix = "_info", .type = "gauge"},
    [SNAPSHOT_HISTOGRAM] = {.suffix = "", .type = "histogram"},
    [SNAPSHOT_BARE_COUNTER] = {.suffix = "", .type = "counter"},
};

static int init(struct exposition *exposition)
{
    struct text_exposition *text = (struct text_exposition *)exposition;

    text->bound_number = number_bound;
    return 0;
}

static int family_begin(struct exposition *exposition, const struct snapshot_family *family)
{
    struct buffer *out = exposition->out;
    const char *suffix = types[family->type].suffix;

    text_metadata(out, "HELP", family->name, suffix);
    text_help(out, family->help != NULL ? family->help : "", false);
    text_metadata(out, "TYPE", family->name, suffix);
    buffer_append_text(out, types[family->type].type);
    return buffer_append_byte(out, '\n');
}

static int put_series(struct exposition *exposition, const struct snapshot_family *family,
    const struct snapshot *snapshot, const struct snapshot_series *series)
{
    struct buffer *out = exposition->out;

    (void)snapshot;
    if (family->type == SNAPSHOT_HISTOGRAM) {
        return text_histogram((struct text_exposition *)exposition, family->name, series);
    }
    text_sample(out, family->name, types[family->type].suffix, series);
    if (family->type == SNAPSHOT_COUNTER) {
        text_counter_value(out, series);
        return buffer_append_byte(out, '\n');
    }
    return text_value_double(out, family->type == SNAPSHOT_INFO ? 1 : series->value);
}

static int end(struct exposition *exposition)
{
    return exposition->out->error;
}

static const struct exposition_format format = {
    .state_bytes = sizeof(struct text_exposition),
    .init = init,
    .deinit = text_deinit,
    .family = family_begin,
    .series = put_series,
    .end = end,
};

static int text_open(const struct encoder_options *options, struct buffer *out, void **ret_state)
{
    return exposition_open(&format, options, out, ret_state);
}

const struct encoder_type prometheus_text =
    EXPOSITION_ENCODER("text", "text/plain; version=0.0.4; charset=utf-8", text_open);
