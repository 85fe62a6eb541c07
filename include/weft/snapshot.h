/*
 * What exporters see of the agent: families of series with their values, read-only, one moment's view. The
 * aggregator provides it; tests provide their own. Everything handed out is borrowed and valid until the next
 * call on the same cursor.
 */
#ifndef WEFT_SNAPSHOT_H
#define WEFT_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

enum snapshot_type {
    SNAPSHOT_COUNTER,
    SNAPSHOT_GAUGE,
    SNAPSHOT_INFO,
    SNAPSHOT_HISTOGRAM,
    SNAPSHOT_BARE_COUNTER /* its sample is called as the family, without _total: foreign counters */
};

struct snapshot_family {
    const char *name; /* as OpenMetrics has it: without _total, with the unit as suffix */
    enum snapshot_type type;
    const char *unit; /* "seconds", "bytes" or "" */
    const char *help; /* unescaped */
};

struct snapshot_label {
    const char *name;
    const char *value; /* UTF-8, unescaped, NUL-terminated */
};

struct snapshot_exemplar {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    double value;
    uint64_t time_unix_ns;
};

/*
 * Two views of one histogram, which agree: exponential buckets (OpenTelemetry indexes: bucket i holds
 * (2^(i/2^scale), 2^((i+1)/2^scale)], dense from offset), and exact cumulative counts for the classic bounds
 * in force.
 */
struct snapshot_histogram {
    uint64_t count;
    uint64_t zero_count;
    double zero_threshold;
    double sum;
    int32_t scale;
    int32_t offset;
    size_t bucket_count; /* 0: nothing but zeros, or nothing at all */
    const uint64_t *buckets;
    int is_classic; /* there is no exponential view: only bounds, and none but +Inf when bound_count is 0 */
    size_t bound_count;           /* 0: no classic view (metrics of proxies may lack it) */
    const double *bounds;         /* ascending, without +Inf */
    const uint64_t *bound_counts; /* cumulative, bound_count of them; +Inf's is count */
    size_t exemplar_count;        /* in ascending order of value, at most one a classic bucket */
    const struct snapshot_exemplar *exemplars;
};

struct snapshot_series {
    const char
        *labels_text; /* prerendered for the text formats: a="b",c="d" with \\ \n \" escaped; "" when none */
    size_t labels_text_length;
    const struct snapshot_label *labels; /* the same, apart */
    size_t label_count;
    uint64_t created_unix_ns; /* when the value was 0; 0: not known (gauges) */
    double value;             /* counter, gauge; 1 for info */
    uint64_t integer;         /* counter: the exact value when is_integer */
    int is_integer;
    const struct snapshot_exemplar *exemplar; /* of a counter, or NULL */
    const struct snapshot_histogram *histogram;
};

struct snapshot;

/* Where an iteration stands. Start with a zeroed one; it may be kept between calls and resumed. */
struct snapshot_cursor {
    size_t family;
    size_t series;
    size_t inner;
};

struct snapshot_ops {
    /*
     * The next series in family order: 1 with *ret_family and *ret_series filled (a new family has begun when
     * *ret_family is another pointer than before), 0 at the end, negative on error. Families do not
     * interleave; families without series are skipped. `ret_series` refers to memory of the snapshot, valid
     * until the next call.
     */
    int (*next)(struct snapshot *snapshot, struct snapshot_cursor *cursor,
        const struct snapshot_family **ret_family, struct snapshot_series *ret_series);
};

struct snapshot {
    const struct snapshot_ops *ops;
    uint64_t time_unix_ns;       /* of this view */
    uint64_t start_unix_ns;      /* of the agent */
    int32_t native_scale;        /* the scale at which native histograms should leave, at most 5 */
    uint32_t native_buckets_max; /* more are merged by lowering the scale */
};

static inline int snapshot_next(struct snapshot *snapshot, struct snapshot_cursor *cursor,
    const struct snapshot_family **ret_family, struct snapshot_series *ret_series)
{
    return snapshot->ops->next(snapshot, cursor, ret_family, ret_series);
}

#endif
