/* The aggregator's inside, for the files of this folder that run on its thread. */
#ifndef WEFT_AGGREGATE_AGGREGATOR_INTERNAL_H
#define WEFT_AGGREGATE_AGGREGATOR_INTERNAL_H

#include "aggregate/aggregator.h"
#include "aggregate/edges.h"
#include "aggregate/scraped_edges.h"
#include "aggregate/senders.h"
#include "aggregate/windows.h"
#include "weft/snapshot.h"

enum { KEYED_FAMILY_COUNT = FAMILY_POINTS, POINT_FAMILY_COUNT_MAX = 2048 };

/* What every global series begins with. */
struct series_base {
    uint64_t created_unix_ns;
    uint32_t hash;
    uint32_t number; /* in its family's table */
    uint32_t touched_s;
    uint32_t creator;       /* id of the sender who pays */
    uint32_t mapping_count; /* series of shards that stand for it */
    uint8_t family;
    uint8_t bounds_rule; /* of a duration series: whose bounds it shows; BOUNDS_RULE_NONE: those of all */
};

#define EXEMPLAR_NONE UINT32_MAX

/* Of one bucket: what is shown, and what is to take its place. */
struct exemplar {
    uint32_t bucket; /* classic bucket of those that its series shows */
    uint32_t shown;  /* number of the one that is shown (exemplars.h); EXEMPLAR_NONE: none, or it has none */
    uint32_t wanted; /* of the one that was offered; EXEMPLAR_NONE: none */
    uint32_t offered_s; /* when one last was; 0: never */
    bool is_visible;    /* what follows is shown */
    uint64_t duration_ns;
    uint64_t time_unix_ns;
    uint8_t trace_id[16];
    uint8_t span_id[8];
};

/* One outcome of a duration series that has been touched; the others read as zero. */
struct duration_value {
    struct histogram histogram;
    uint32_t creator;
    uint32_t exemplar_count;
    uint32_t exemplar_capacity;
    struct exemplar *exemplars; /* by bucket, ascending, not all of them visible; NULL until there is one */
};

/* A requests, duration (all outcomes: key.outcome is 0), traffic, flags or TCP series. */
struct series {
    struct series_base base;
    struct series_key key; /* global ids */
    struct edge *edge;
    union {
        uint64_t count;
        struct {
            uint64_t attempts;
            uint64_t request_bytes;
            uint64_t response_bytes;
            bool attempts_known;
            bool bytes_known;
        } traffic;
        struct {
            uint64_t connections;
            uint64_t sent_bytes;
            uint64_t received_bytes;
        } tcp;
        struct {
            struct duration_value *values[OUTCOME_COUNT];
            struct window *windows[2]; /* of the edge, of the route */
        } duration;
    };
};

/* One name that proxies gave to metrics: sanitised, with one type. */
struct point_family {
    struct snapshot_family shown;
    uint32_t number;
    uint32_t emptied_s; /* since when it has no series */
    uint8_t type;       /* enum metric_point_type */
    char *texts;        /* owns shown.name and shown.help */
    size_t texts_bytes;
    struct table series; /* struct point_series, by family_number */
};

/* A counter as one process tells it: what it said last. */
struct point_stream {
    uint64_t start_unix_ns;
    uint64_t last_time_unix_ns;
    double last_value;
};

/* A cumulative histogram, likewise. */
struct distribution_stream {
    uint64_t start_unix_ns;
    uint64_t last_time_unix_ns;
    struct point_distribution last;
};

struct point_series {
    struct series_base base;
    struct point_family *family;
    uint32_t family_number;  /* in family->series */
    uint8_t type;            /* enum metric_point_type */
    uint64_t identity;       /* hash of the labels before they were sanitised */
    bool seen;               /* a value has been merged */
    uint16_t stale_after_s;  /* hidden when it was not told of for so long; 0: never */
    uint16_t scraped_target; /* with a window: which target's */
    uint8_t scraped_outcome;
    struct window *scraped_window; /* of the edge that a scraped series is about; NULL: of none */
    uint32_t text_length;
    uint32_t label_count;
    size_t texts_bytes;
    char *text; /* labels text, then each label's name and value, NUL-terminated; one allocation with `labels`
                 */
    struct snapshot_label *labels;
    uint64_t last_time_unix_ns;   /* gauge */
    struct point_stream *streams; /* counter: stream_count of stream_capacity, in no order */
    uint32_t stream_count;
    uint32_t stream_capacity;
    uint64_t forgotten_start_unix_ns;          /* the latest start of a stream that had to be forgotten */
    double total;                              /* counter: never falls; gauge: the last value */
    struct point_distribution *distribution;   /* of a histogram: what all points added */
    struct distribution_stream *distributions; /* likewise, of those that are cumulative */
};

enum mapping_state { MAPPING_NONE, MAPPING_LIVE, MAPPING_RETIRING, MAPPING_REFUSED };

/* What a shard's series stands for. Of a refused one, where its values belong in overflow. */
struct mapping {
    struct series_base *series; /* live, retiring */
    uint16_t code;              /* overflow_code */
    uint8_t state;
    uint8_t family;
    uint8_t reporter;
    uint8_t outcome;
    uint8_t flag;
    bool told; /* of a refused one: the shard knows, or will by the next delta */
};

struct string_mapping {
    uint32_t id; /* the shard's */
    uint32_t global;
};

struct shard_state {
    struct mapping *mappings;       /* by series id, one for each that the shard can have */
    struct string_mapping *strings; /* by index, likewise; id 0: none */
    uint32_t mapping_end;           /* ids below it have been used */
    uint32_t retire_at;
    uint32_t threshold_at; /* where in a delta the next thresholds are due */
    uint64_t spare_bytes;  /* of the budget, that the shard held for reuse at its last flip */
    struct id_list refused;
    struct id_list retired;
};

struct family_table {
    struct table series;
    struct hash_index index;
};

/* The classic bounds of histograms, in the unit that they are shown in. */
struct shown_bounds {
    struct le_plan plan;
    double *bounds;                        /* NULL: there is no such set */
    double per_second;                     /* 1, or 1000 where the unit is the millisecond */
    uint8_t buckets[BOUNDS_COUNT_MAX + 1]; /* by bucket of all bounds in force: the one of these it lies in */
};

struct exemplar_table;

struct aggregator {
    struct aggregator_settings settings;
    struct interner *interner;
    struct edges edges;
    struct windows windows;
    struct scraped_edges *scraped; /* apart from those of records */
    struct senders senders;
    struct page_slab *slab;
    struct page_slab *overflow_slab;
    struct budget overflow_budget;
    struct overflow_values *overflow;
    struct family_table families[KEYED_FAMILY_COUNT];
    struct table point_families;
    struct table point_series;     /* of all families */
    struct hash_index point_index; /* numbers of point_series */
    struct shard_state *shards;
    uint32_t series_count;
    uint32_t series_count_max;
    uint32_t sender_series_max;
    uint32_t mapping_count_max; /* a shard's */
    uint32_t strings_count_max;
    uint32_t now_s;
    uint64_t start_unix_ns;
    uint64_t expired_created_unix_ns;            /* the latest _created of a series that is gone */
    struct shown_bounds shown;                   /* of our own histograms */
    struct shown_bounds profiles[PROFILE_COUNT]; /* of the enabled ones */
    struct shown_bounds *rules;                  /* of settings.bounds_rules, those that have bounds */
    struct exemplar_table *exemplars;            /* NULL: they are shown at once */
    struct buffer scratch;
};

/* What all shards and the aggregator hold of the budget without need. */
uint64_t aggregator_spare_bytes(const struct aggregator *aggregator);

/* Room for one more series of `creator`, counted; false, with SERIES_REFUSED counted, when a budget is full.
 */
bool aggregator_pay(struct aggregator *aggregator, uint32_t creator);
void aggregator_refund(struct aggregator *aggregator, uint32_t creator);

/* The _created of a series that begins with this delta: later than that of any series which is gone. */
uint64_t aggregator_created(const struct aggregator *aggregator, const struct delta *delta);

/* The global id of a shard's string; INTERNED_FULL when there was no room for it. */
uint32_t aggregator_string(const struct aggregator *aggregator, uint32_t shard, uint32_t id);

/* aggregator.c */
void aggregator_free_series(struct aggregator *aggregator, struct series_base *base);

/* shown_bounds.c: 0, WERR_NOMEM, or that bounds are not in force; what was made is for shown_bounds_deinit.
 */
int shown_bounds_init(struct aggregator *aggregator);
void shown_bounds_deinit(struct aggregator *aggregator);

/* Which rule is for a duration series, by its key of global ids: once, when it is made. */
uint8_t shown_bounds_rule(const struct aggregator *aggregator, const struct series_key *key);

/* What a series with a histogram is shown with. */
const struct shown_bounds *shown_bounds_of(const struct aggregator *aggregator, const struct series *series);

/* exemplars.c: the candidates of one interval of a shard; the end of a value, whose list is freed. */
int exemplars_init(struct aggregator *aggregator);
void exemplars_deinit(struct aggregator *aggregator);
void exemplars_merge(struct aggregator *aggregator, const struct delta *delta,
    const struct duration_slot *slot, const struct series *series, struct duration_value *value);
void exemplars_release(struct aggregator *aggregator, struct duration_value *value);

/* thresholds.c: the p90 of each duration slot's route, for the way back. After the values are merged. */
void thresholds_tell(struct aggregator *aggregator, struct delta *delta);

/* points.c: the series of a shard's point series, made when it is new; NULL with *ret_conflict when there is
 * none. */
struct point_series *points_obtain(struct aggregator *aggregator, const struct delta *delta,
    const struct shard_series *from, bool *ret_conflict);
void points_free(struct aggregator *aggregator, struct point_series *series);
void points_tick(struct aggregator *aggregator);
void points_deinit(struct aggregator *aggregator);

/* point_streams.c: a counter's or gauge's points of one interval of a shard. */
void points_merge_scalar(
    const struct aggregator *aggregator, struct point_series *series, const struct scalar_slot *slot);

/* The first point of a series: what it counts began when the first of its processes did. */
void points_begin(const struct aggregator *aggregator, struct point_series *series, uint64_t start_unix_ns);

/* point_distributions.c: a histogram's points of one interval of a shard. */
void points_merge_distribution(
    const struct aggregator *aggregator, struct point_series *series, const struct distribution_slot *slot);
void points_free_distribution(const struct aggregator *aggregator, struct point_series *series);

/* view.c: the next window of requests, of records and then of what scraped proxies count, which *ret_windows
 * tells apart; NULL at the end. A cursor starts at 0. */
const struct window *aggregator_request_window(
    const struct aggregator *aggregator, uint32_t *cursor, const struct windows **ret_windows);

#endif
