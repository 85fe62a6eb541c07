/*
 * Expositions in Prometheus text (0.0.4) and OpenMetrics (1.0), as scraped: bytes in, points out. The formats
 * are those of prometheus.io ("Exposition formats") and of the OpenMetrics specification. No I/O; memory is
 * the caller's arena alone.
 *
 *   lines ──► families (HELP, TYPE, UNIT) and series ──► a point for each series, when all was read
 *
 * A series' lines need not be neighbours, nor a family's; a line that cannot be read is dropped and counted,
 * the rest is kept. Buckets, sum and count of a histogram become one point, as do a summary's quantiles. A
 * sample without TYPE is PROM_UNTYPED. `_created` samples and exemplars are read past.
 */
#ifndef WEFT_DECODE_PROM_TEXT_H
#define WEFT_DECODE_PROM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/slice.h"
#include "decode/prom_line.h"

enum prom_type { PROM_UNTYPED, PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM, PROM_SUMMARY };

enum {
    PROM_BUCKET_COUNT_MAX = 256,  /* finite bounds of one histogram; one with more is bad */
    PROM_QUANTILE_COUNT_MAX = 32, /* of one summary; likewise */
};

struct prom_quantile {
    double quantile; /* 0 … 1 */
    double value;    /* may be NaN: nothing was observed lately */
};

struct prom_point {
    enum prom_type type;
    struct slice name; /* histogram, summary: the family's; else the sample's as written, with any _total */
    struct slice unit; /* as UNIT says; empty when it does not, or the name does not end with it */
    struct slice help;
    const struct prom_label *labels; /* sorted by name, none twice, no le or quantile */
    size_t label_count;
    uint64_t time_unix_ns;        /* 0: not told */
    double value;                 /* histogram, summary: the sum, NaN when not told */
    uint64_t count;               /* histogram, summary */
    const double *bounds;         /* histogram: finite, rising */
    const uint64_t *bound_counts; /* cumulative, bound_count of them; +Inf's is count */
    size_t bound_count;
    const struct prom_quantile *quantiles; /* summary: in the order of the lines */
    size_t quantile_count;
};

struct prom_result {
    uint64_t sample_count;     /* lines that were samples, bad ones included */
    uint64_t sample_bad_count; /* of these: not to be read, there before, or in no place of their family's */
    uint64_t line_bad_count;   /* the same and comments that make no sense */
    uint64_t point_count;      /* told to the sink */
    uint64_t point_bad_count;  /* histograms and summaries whose lines contradict each other */
    uint64_t point_over_count; /* series past series_count_max */
    uint64_t first_bad_line;   /* its number from 1; 0: none */
    bool has_ended;            /* OpenMetrics: `# EOF` was there */
};

struct prom_sink {
    void (*on_point)(void *user, const struct prom_point *point); /* borrowed during the call */
    void *user;
};

/*
 * Reads a whole body; *ret_result is always filled. The last line must have its end, else it counts as bad:
 * it may have been cut within a number. WERR_NOMEM: the arena was full, the sink was told nothing.
 */
int prom_text_read(struct slice body, enum prom_format format, uint64_t series_count_max, struct arena *arena,
    const struct prom_sink *sink, struct prom_result *ret_result);

#endif
