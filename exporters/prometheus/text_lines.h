/*
 * The lines that text 0.0.4 and OpenMetrics have in common: metadata, samples, and histograms with their
 * buckets. What differs between the two (exemplars, _created, how `le` is written) is said when a
 * text_exposition is made. Runs where the encoding runs.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_TEXT_LINES_H
#define WEFT_EXPORTERS_PROMETHEUS_TEXT_LINES_H

#include "exporters/prometheus/exposition.h"
#include "exporters/prometheus/number.h"

enum { BOUND_TEXT_BYTES_MAX = NUMBER_BYTES_MAX + 8 };

/* `le="0.005"} ` */
struct bound_text {
    char bytes[BOUND_TEXT_BYTES_MAX];
    size_t length;
};

enum { BOUND_SETS_COUNT = 4 };

/* The texts of one set of bounds; of the last few sets that histograms had, so that they may take turns. */
struct bound_texts {
    double *bounds;
    struct bound_text *texts;
    size_t count;
    size_t capacity_count;
};

struct text_exposition {
    struct exposition base;
    struct bound_texts bound_sets[BOUND_SETS_COUNT];
    size_t bound_sets_next; /* whose place the next new one takes */
    struct buffer head;     /* of one series' bucket lines: `name_bucket{a="b",` */
    size_t (*bound_number)(char *at, double value);
    bool exemplars;
    bool created;
};

void text_deinit(struct exposition *exposition);

/* `# WHAT name` + suffix and a space; the text follows. Errors of `out`. */
int text_metadata(struct buffer *out, const char *what, const char *name, const char *suffix);

/* Appends HELP's text with \ and newline escaped, and quotes too where the format wants it. Errors of `out`.
 */
int text_help(struct buffer *out, const char *help, bool quotes);

/* name + suffix{labels} and a space; the value follows. Errors of `out`. */
int text_sample(
    struct buffer *out, const char *name, const char *suffix, const struct snapshot_series *series);

/* The value and the end of the line. Errors of `out`. */
int text_value_u64(struct buffer *out, uint64_t value);
int text_value_double(struct buffer *out, double value);
/* The value alone: counters may be exact integers. */
int text_counter_value(struct buffer *out, const struct snapshot_series *series);

/* ` # {trace_id="…",span_id="…"} value time`, without the end of the line. Errors of `out`. */
int text_exemplar(struct buffer *out, const struct snapshot_exemplar *exemplar);

/* A `_created` line, where they are wanted and the time is known. Errors of `out`. */
int text_created(struct text_exposition *text, const char *name, const struct snapshot_series *series);

/* All lines of a histogram. Errors of `out`, WERR_NOMEM, WERR_INVALID for a series without one. */
int text_histogram(struct text_exposition *text, const char *name, const struct snapshot_series *series);

#endif
