/*
 * What a shard counted in one interval: the letter between its directory and the aggregator. The shard's
 * thread fills the active one; directory_flip hands it over; from then on it belongs to the aggregator's
 * thread until directory_give_back.
 *
 *   directory ── flip: values, new strings and series, dropped ones ──► aggregator_merge
 *             ◄── give back: emptied pages, refused and retired series ──
 *
 * A directory has two and cannot flip while one is under way, so that texts and keys are lent, not copied:
 * the shard frees or changes none of them before its next flip.
 */
#ifndef WEFT_AGGREGATE_DELTA_H
#define WEFT_AGGREGATE_DELTA_H

#include <stdbool.h>

#include "aggregate/point_distribution.h"
#include "aggregate/id_list.h"
#include "aggregate/series_key.h"
#include "aggregate/slot_array.h"
#include "context/interner.h"
#include "context/metric_point.h"
#include "histogram/histogram.h"

/* A series as its shard knows it. The id is its number in the directory; what the aggregator reads of it
 * never changes. */
struct shard_series {
    union {
        struct series_key key;
        struct {
            uint32_t name;
            uint32_t unit;
            uint32_t help;
            uint32_t label_count;
            struct metric_label *labels; /* owned */
            uint8_t family;              /* where series_key has it: FAMILY_POINTS */
            uint8_t type;                /* enum metric_point_type */
            uint16_t stale_after_s;      /* as its first point said */
        } point;
    };
    uint32_t hash;
    uint32_t epoch; /* of the delta that `slot` belongs to */
    uint32_t slot;
    uint32_t sender; /* who created it, and pays */
    union {
        uint32_t duration;        /* requests: the series beside it, or SLOT_NONE; held by a reference */
        uint32_t reference_count; /* duration, traffic: requests series that point to it */
    };
    uint32_t traffic;  /* requests: as duration */
    uint32_t fraction; /* requests, traffic: weight below one, carried. Refused: the second when it was last
                          used */
    uint8_t state;     /* enum shard_series_state */
    bool retire_asked;
};

_Static_assert(sizeof(struct shard_series) == 64, "a series of a shard is one cache line");
_Static_assert(offsetof(struct shard_series, key.family) == offsetof(struct shard_series, point.family),
    "the family is at one place");

enum shard_series_state {
    SHARD_SERIES_FREE,
    SHARD_SERIES_LIVE,
    SHARD_SERIES_REFUSED, /* the aggregator had no room: its records go to overflow until it has been idle */
};

struct requests_slot {
    uint32_t id;
    uint64_t count;
};

struct duration_slot {
    uint32_t id;
    uint32_t exemplar_head;   /* number + 1 in delta.exemplars; 0: none */
    uint64_t exemplar_set[2]; /* bit i: there is a candidate for classic bucket i */
    uint64_t p90_ns;          /* on the way back: struct record_note */
    uint32_t slow_ms;         /* likewise */
    struct histogram histogram;
};

struct traffic_slot {
    uint32_t id;
    bool attempts_known;
    bool bytes_known;
    uint64_t attempts;
    uint64_t request_bytes;
    uint64_t response_bytes;
};

struct flags_slot {
    uint32_t id;
    uint64_t count;
};

struct tcp_slot {
    uint32_t id;
    uint64_t connections;
    uint64_t sent_bytes;
    uint64_t received_bytes;
};

/*
 * A cumulative counter's or a gauge's points of one interval, folded. Several processes may share a sender
 * and with it a series; each counts since a start of its own, so a counter has a slot for each start.
 */
struct scalar_slot {
    uint32_t id;
    uint32_t next; /* number + 1 of the series' slot for another start */
    uint32_t point_count;
    bool is_relative;            /* gauge: last_value is to be added to what it was before the interval */
    uint64_t start_unix_ns;      /* counter: since when it counts; 0: not told. Gauge: 0 */
    uint64_t first_time_unix_ns; /* the first point, for the rise since the interval before */
    double first_value;
    uint64_t last_time_unix_ns;
    double last_value;
    double rise; /* from the first to the last, resets taken out */
};

/* In place of a start: the slot of a counter's deltas, of which only `rise` counts. */
#define POINT_START_DELTA UINT64_MAX

/* Starts of one counter that are told apart, in an interval of a shard and in the aggregator. */
enum { POINT_STREAM_COUNT_MAX = 256 };

/* A start before it (in 1973) tells processes apart, but is no time: theirs is not known. */
#define POINT_START_UNIX_NS_MIN 100000000000000000ull

/*
 * A histogram's points of one interval. Those that tell what they add are summed. Of cumulative ones the last
 * counts, and as with counters there is a slot for each start, and one more when they begin anew without.
 */
struct distribution_slot {
    uint32_t id;
    uint32_t next; /* number + 1 of the series' next slot */
    uint32_t point_count;
    bool is_cumulative;
    bool is_over;           /* it began anew: the next slot of this start goes on */
    uint64_t start_unix_ns; /* cumulative: since when it counts; 0: not told */
    uint64_t last_time_unix_ns;
    struct point_distribution values;
};

struct exemplar_candidate {
    uint32_t next;   /* number + 1 */
    uint32_t bucket; /* classic bucket */
    uint64_t duration_ns;
    uint64_t time_unix_ns;
    uint8_t trace_id[16];
    uint8_t span_id[8];
};

/*
 * Where records go that no series could be had for. Fixed in size and made at start, so that it cannot be
 * refused: codes outside 100 ... 599 count as 0, none.
 */
enum { OVERFLOW_CODE_COUNT = 501, OVERFLOW_SET_COUNT = REPORTER_COUNT * OUTCOME_COUNT };

struct overflow_values {
    uint32_t set;         /* bit reporter * OUTCOME_COUNT + outcome: something in requests or durations */
    uint32_t traffic_set; /* bit reporter */
    uint32_t flag_set;    /* bit reporter */
    uint32_t tcp_set;     /* bit reporter */
    uint64_t requests[OVERFLOW_SET_COUNT][OVERFLOW_CODE_COUNT];
    struct histogram durations[OVERFLOW_SET_COUNT];
    struct traffic_slot traffic[REPORTER_COUNT];
    uint64_t flags[REPORTER_COUNT][FLAG_COUNT];
    struct tcp_slot tcp[REPORTER_COUNT];
};

static inline uint32_t overflow_set(uint8_t reporter, uint8_t outcome)
{
    return (uint32_t)reporter * OUTCOME_COUNT + outcome;
}

/* 0: none, else code - 99. */
static inline uint32_t overflow_code(uint16_t response_code)
{
    return response_code >= 100 && response_code < 100 + OVERFLOW_CODE_COUNT - 1 ? response_code - 99u : 0;
}

struct created_slot {
    uint32_t id;
    const struct shard_series *series;
};

struct string_change {
    uint32_t id;
    bool added;
    struct slice text; /* of an added one; the shard's */
};

struct delta {
    uint32_t shard;
    uint32_t epoch;
    uint64_t start_unix_ns; /* of the interval */
    uint64_t end_unix_ns;
    uint64_t span_count; /* requests written into it, unweighted: those that came as spans */
    uint64_t log_count;  /* requests and connections that came as log entries */
    uint64_t point_count;
    uint64_t spare_bytes;           /* memory of the budget that the shard holds for reuse */
    uint64_t spare_elsewhere_bytes; /* on the way back: the same of all others */
    /* values */
    struct slot_array requests;
    struct slot_array durations;
    struct slot_array traffic;
    struct slot_array flags;
    struct slot_array tcp;
    struct slot_array scalars;
    struct slot_array distributions;
    struct slot_array exemplars;
    struct overflow_values *overflow;
    const struct page_slab *slab;          /* of `durations` */
    const struct page_slab *overflow_slab; /* of overflow->durations */
    struct page_chain pages;               /* emptied by the aggregator, for each slab */
    struct page_chain overflow_pages;
    /* what changed in the directory, in the order in which the aggregator applies it */
    struct string_change *strings;
    size_t string_count;
    size_t string_capacity;
    struct slot_array created; /* struct created_slot */
    struct id_list dropped;
    struct id_list kept; /* asked to retire, but in use */
    /* the aggregator's verdict, on the way back */
    struct id_list refused;
    struct id_list retired;
    bool merged;        /* its pages are in the chains */
    struct delta *next; /* for whoever holds it */
};

#endif
