/*
 * What makes a trace worth keeping: looked at for each span, in a fixed order, each reason with a rate of its
 * own that services share fairly (rate_share.h). One thread owns it, the shard's.
 *
 *   span ─► its trace is kept already (kept.h)? ─no─► trigger_fired: reasons ─► trigger_allow: the first with
 *           a share left pays
 */
#ifndef WEFT_TRACE_TRIGGER_H
#define WEFT_TRACE_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/record_note.h"
#include "context/request.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "trace/baseline.h"
#include "trace/rate_share.h"

/*
 * X(ID, name, why). In the order in which they are tried; names are those of the attribute `weft.kept` and of
 * the metrics' label `reason`. What tells the caller about its own request (HTTP 4xx, gRPC NOT_FOUND) is no
 * error, unless the span's own status says so.
 */
/* clang-format off */
#define WEFT_TRACE_TRIGGERS(X)                                                                              \
    X(ERROR,             "error",             "the span's status is error, the server failed or did not answer")  \
    X(GRPC_ERROR,        "grpc_error",        "a gRPC status that means a failed server")                   \
    X(RESPONSE_FLAGS,    "response_flags",    "the proxy decided how it ended")                             \
    X(RETRIES_EXHAUSTED, "retries_exhausted", "the proxy's limit of retries was reached")                   \
    X(SLOW,              "slow",              "longer than trace.slow_ms, or than its rule of bounds says")  \
    X(SLOW_FOR_SERIES,   "slow_for_series",   "longer than trace.slow_factor times the rolling p90 of its route") \
    X(RARE,              "rare",              "among the first requests of its series")                     \
    X(MARK,              "mark",              "tracestate weft=keep, the attribute weft.keep, or baggage that an attribute tells")           \
    X(BASELINE,          "baseline",          "of the share that is kept whatever happens")                 \
    X(OPERATOR,          "operator",          "somebody asked for it")                                      \
    X(PEER,              "peer",              "another node keeps it")
/* clang-format on */

enum trace_trigger {
#define WEFT_TRACE_TRIGGER_ENUM(id, name, why) TRIGGER_##id,
    WEFT_TRACE_TRIGGERS(WEFT_TRACE_TRIGGER_ENUM)
#undef WEFT_TRACE_TRIGGER_ENUM
        TRIGGER_COUNT
};

#define TRIGGER_BIT(id) (1u << TRIGGER_##id)
#define TRIGGER_BITS_ALL ((1u << TRIGGER_COUNT) - 1)

_Static_assert(TRIGGER_COUNT <= 16, "reasons are bits; struct kept_entry has room for 16");
_Static_assert(METRIC_TRACES_KEPT_PEER - METRIC_TRACES_KEPT_ERROR == TRIGGER_PEER &&
                   METRIC_TRACES_LIMITED_PEER - METRIC_TRACES_LIMITED_ERROR == TRIGGER_PEER,
    "the metrics' rows have the order of the triggers");

/* As the configuration says it. */
struct trigger_settings {
    uint64_t slow_ns;                /* longer is slow, where the note says no other time; 0: nothing is */
    uint64_t slow_factor;            /* longer than so many times the p90 is; 0: nothing is */
    uint64_t slow_for_series_min_ns; /* and longer than this */
    uint64_t note_min_ns;            /* no note makes a request slow that is no longer than this */
    uint64_t baseline_threshold;     /* baseline_threshold() */
    uint32_t rate_per_s;             /* of each trigger, of this shard */
};

struct triggers {
    struct trigger_settings settings;
    struct metric_cells *cells; /* borrowed */
    struct rate_share shares[TRIGGER_COUNT];
};

/* What is known of a span. */
struct trigger_facts {
    const uint8_t *trace_id;       /* 16 bytes */
    const struct request *request; /* NULL: it stands for none */
    struct slice tracestate;       /* borrowed; may be empty */
    struct record_note note;       /* of the request's series; zeroes when not known */
    uint32_t service;              /* whose share pays */
    bool is_error;                 /* the span's own status */
    bool is_marked;                /* the attribute weft.keep is true, or its baggage says so */
};

void triggers_init(struct triggers *triggers, const struct trigger_settings *settings,
    struct metric_cells *cells, uint64_t now_monotonic_ns);

/* Other settings from now on; the rates begin anew, with a whole burst, where they have changed. */
void triggers_reconfigure(
    struct triggers *triggers, const struct trigger_settings *settings, uint64_t now_monotonic_ns);

/* All reasons to keep the span's trace, bits 1 << enum trace_trigger; none for a trace id of zeroes. Pure. */
uint32_t trigger_fired(const struct trigger_settings *settings, const struct trigger_facts *facts);

/*
 * Whether there is a share left for one of these reasons, which are not none: *ret_first is the one that
 * paid. Counts TRACES_LIMITED_* of those that could not.
 */
bool trigger_allow(struct triggers *triggers, uint32_t reasons, uint32_t service, uint64_t now_monotonic_ns,
    enum trace_trigger *ret_first);

/* Whether baggage (W3C: KEY=VALUE;PROPERTY,…) marks its trace: weft=keep, or weft.keep=true. */
bool trigger_baggage_marks(struct slice baggage);

/* "error"; NULL for a number outside. */
const char *trigger_name(enum trace_trigger trigger);

enum { TRIGGER_ATTRIBUTE_BYTES_MAX = 160 };

/*
 * The attribute that a kept span leaves with, as an encoded OTLP KeyValue: `weft.kept` = the names of all
 * reasons, in their order, with commas between. Its length; 0 for no reasons.
 */
size_t trigger_attribute(uint32_t reasons, uint8_t out[TRIGGER_ATTRIBUTE_BYTES_MAX]);

#endif
