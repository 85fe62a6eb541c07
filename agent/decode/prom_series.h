/* Private to the reader of expositions (prom_text.c): families and series while they are read. */
#ifndef WEFT_DECODE_PROM_SERIES_H
#define WEFT_DECODE_PROM_SERIES_H

#include "decode/prom_text.h"

enum { PROM_CHAIN_COUNT = 4096 }; /* of each hash table; a power of two */

enum prom_kind {
    PROM_KIND_UNTYPED,
    PROM_KIND_COUNTER,
    PROM_KIND_GAUGE,
    PROM_KIND_HISTOGRAM,
    PROM_KIND_SUMMARY,
    PROM_KIND_INFO,
};

enum prom_role {
    PROM_ROLE_NONE, /* read past */
    PROM_ROLE_WRONG,
    PROM_ROLE_VALUE,
    PROM_ROLE_BUCKET,
    PROM_ROLE_SUM,
    PROM_ROLE_COUNT,
    PROM_ROLE_QUANTILE,
};

struct prom_family {
    struct slice name;
    struct slice help;
    struct slice unit;
    enum prom_kind kind;
    bool has_type;
    bool has_samples;
    struct prom_family *next; /* of its chain */
};

/* A bucket (le, cumulative count) or a quantile and its value. */
struct prom_part {
    double key;
    double value;
};

struct prom_series {
    struct prom_family *family;
    struct slice
        name; /* of the samples: the family's, but for values, which are called as they are written */
    const struct prom_label *labels;
    size_t label_count;
    uint64_t hash;
    uint64_t time_unix_ns;
    double value; /* or the sum */
    double count;
    bool has_value;
    bool has_count;
    struct prom_part *parts;
    size_t part_count;
    size_t part_capacity;
    struct prom_series *next;         /* of its chain */
    struct prom_series *next_in_file; /* in the order in which they began */
};

/* Of the point being told. */
struct prom_scratch {
    double bounds[PROM_BUCKET_COUNT_MAX];
    uint64_t counts[PROM_BUCKET_COUNT_MAX];
    struct prom_quantile quantiles[PROM_QUANTILE_COUNT_MAX];
};

struct prom_reader {
    enum prom_format format;
    struct arena *arena;
    struct prom_result *result;
    uint64_t series_count_max;
    uint64_t series_count;
    uint64_t family_count;     /* likewise at most series_count_max */
    struct prom_sample sample; /* the line being read */
    struct prom_series *first;
    struct prom_series *last;
    struct prom_family *families[PROM_CHAIN_COUNT];
    struct prom_series *series[PROM_CHAIN_COUNT];
};

/* NULL when there is none. */
struct prom_family *prom_family_find(const struct prom_reader *reader, struct slice name);

/* Made when it is new; WERR_NOMEM when the arena is full, WERR_FULL when there may be no more. The name is
 * borrowed. */
int prom_family_obtain(struct prom_reader *reader, struct slice name, struct prom_family **ret_family);

/* Enters the reader's sample. WERR_INVALID: it has no place in its family, or was there before. WERR_NOMEM.
 */
int prom_series_add(struct prom_reader *reader, struct prom_family *family, enum prom_role role);

/* Tells the sink of all series. WERR_NOMEM before the first. */
int prom_series_tell(struct prom_reader *reader, const struct prom_sink *sink);

#endif
