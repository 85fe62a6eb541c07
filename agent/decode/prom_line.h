/*
 * One sample line of Prometheus text (0.0.4) or OpenMetrics (1.0): name, labels, value, time. What the two
 * have in common is read the same way; of an exemplar nothing is kept. Pure; any thread.
 */
#ifndef WEFT_DECODE_PROM_LINE_H
#define WEFT_DECODE_PROM_LINE_H

#include <stdint.h>

#include "core/arena.h"
#include "core/slice.h"

enum prom_format { PROM_FORMAT_TEXT, PROM_FORMAT_OPENMETRICS };

enum {
    PROM_LABEL_COUNT_MAX = 33,    /* 32 labels of a point, and le or quantile; a line with more is bad */
    PROM_NAME_BYTES_MAX = 256,    /* of a metric or label; a line with a longer one is bad */
    PROM_VALUE_BYTES_MAX = 65536, /* of a label's value, as written; likewise */
    PROM_NUMBER_BYTES_MAX = 64,   /* of a value or time; likewise */
};

struct prom_label {
    struct slice name;
    struct slice value; /* escapes undone; never empty: an empty label is none */
};

struct prom_sample {
    struct slice name;
    struct prom_label labels[PROM_LABEL_COUNT_MAX]; /* by name, rising; no name twice */
    size_t label_count;
    double value;
    uint64_t time_unix_ns; /* 0: the line has none */
};

/*
 * Reads a line without its end. Texts borrow from the line, but values with escapes, which are in the arena.
 * WERR_INVALID, WERR_TRUNCATED, WERR_OVERSIZED, WERR_UTF8: the line is bad; WERR_NOMEM: the arena is full.
 */
int prom_line_read(
    struct slice line, enum prom_format format, struct arena *arena, struct prom_sample *ret_sample);

/* How many bytes of the text's beginning are a metric's name. */
size_t prom_name_length(struct slice text);

/* A float as both formats write it, Inf and NaN in any case; no hexadecimal. WERR_INVALID. */
int prom_number(struct slice text, double *ret_value);

/* HELP's and label values' escapes undone: \\ \n \" ; another escaped character stays as written. In the
 * arena, or the text itself when it has none. False when the arena is full. */
bool prom_unescape(struct slice text, struct arena *arena, struct slice *ret_text);

#endif
