/*
 * One trace, put together from what several shards and several agents hold of it: each part is an OTLP
 * message (TracesData, or ExportTraceServiceRequest, which is the same on the wire).
 *
 *   add(part) … add(part) ─► finish ─► spans in order of their start, each with its parent ─► OTLP JSON,
 *                                                                                             Jaeger's model
 *
 * Parts may come from other agents, so nothing in them is believed: a span is checked down to the last
 * attribute before it is taken, and what a trace may hold is limited. What is left out is counted and said in
 * `warnings`. The same span from two nodes, or a span and the access-log entry of the same request, becomes
 * one. Parents that are not there and circles of parents are found: each span has a parent that can be
 * followed up to a root, or none.
 *
 * Slices point into the parts, which the model holds. Runs on one thread.
 */
#ifndef WEFT_QUERY_TRACE_MODEL_H
#define WEFT_QUERY_TRACE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/slice.h"
#include "decode/span.h"
#include "decode/wire.h"

enum {
    TRACE_MODEL_ID_BYTES = 16,
    TRACE_SPAN_ID_BYTES = 8,
    TRACE_ID_TEXT_BYTES = 33,           /* hex, with its NUL */
    TRACE_SPANS_COUNT_MAX = 10000,      /* that are shown of a trace */
    TRACE_READ_SPANS_COUNT_MAX = 40000, /* that are read of all parts, the same ones several times included */
    TRACE_GROUPS_COUNT_MAX = 1024,      /* pairs of resource and scope */
    TRACE_GROUP_BYTES_MAX = 65536,      /* of a resource, of a scope; with a larger one spans are left out */
    TRACE_PARTS_COUNT_MAX = 64,         /* shards and peers */
    TRACE_PART_BYTES_MAX = 64 << 20,    /* of all parts */
    TRACE_DEPTH_MAX = 256,              /* messages within each other */
    TRACE_WARNINGS_COUNT_MAX = 16,
    TRACE_WARNING_BYTES = 200,
};

/* Says of a span that it was made from an access-log entry: the span itself, from anywhere, replaces it. */
#define TRACE_RECORD_KEY "weft.signal"
#define TRACE_RECORD_ACCESS_LOG "access_log"

/* Spans of one resource and scope. */
struct trace_group {
    uint64_t hash;
    uint64_t resource_hash;
    struct slice resource; /* encoded Resource; empty: none */
    struct slice resource_schema_url;
    struct slice scope; /* encoded InstrumentationScope; empty: none */
    struct slice scope_schema_url;
    struct slice scope_name;
    struct slice scope_version;
    struct slice service_name; /* empty: not told */
    struct slice service_namespace;
    uint32_t process; /* groups of one resource have one number; 0, 1, … */
};

struct trace_span {
    uint8_t span_id[TRACE_SPAN_ID_BYTES];
    uint8_t parent_id[TRACE_SPAN_ID_BYTES]; /* all zero: none */
    /* The id itself, except where two spans have one id (the server's side of a call that took over the
     * client's): then the further ones get one of their own, always the same. */
    uint8_t shown_id[TRACE_SPAN_ID_BYTES];
    uint64_t start_unix_ns;
    uint64_t end_unix_ns; /* not before start */
    struct slice raw;     /* the encoded Span, sound in all its parts */
    struct slice name;
    struct slice tracestate;
    struct slice status_message;
    uint32_t group;
    int32_t parent; /* index of a span, or below 0 */
    enum span_kind kind;
    enum span_status status;
    bool is_access_log;
    bool parent_is_missing; /* it names one that is not in the trace */
    bool is_cut_loose;      /* its parent was taken away, because it is also its descendant */
};

struct trace_model {
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];
    struct trace_span *spans;
    size_t span_count;
    size_t span_capacity;
    struct trace_group *groups;
    size_t group_count;
    size_t process_count;
    uint32_t *by_id; /* indices of spans in order of span id */
    struct shared_bytes *parts[TRACE_PARTS_COUNT_MAX];
    size_t part_count;
    size_t part_bytes;
    char warnings[TRACE_WARNINGS_COUNT_MAX][TRACE_WARNING_BYTES];
    size_t warning_count;
    size_t refused_count;   /* spans that cannot be read */
    size_t foreign_count;   /* of other traces */
    size_t left_out_count;  /* beyond a limit */
    size_t duplicate_count; /* that were there already */
    size_t missing_parent_count;
    size_t loose_count; /* is_cut_loose */
    bool is_part;       /* set by the caller: others have more of it, so a missing parent is no news */
};

void trace_model_init(struct trace_model *model, const uint8_t trace_id[static TRACE_MODEL_ID_BYTES]);
void trace_model_deinit(struct trace_model *model); /* NULL is fine */

/*
 * Takes a part; the reference stays the caller's. 0; WERR_NOMEM; WERR_FULL beyond TRACE_PARTS_COUNT_MAX or
 * TRACE_PART_BYTES_MAX; or the code of broken structure around spans: those before it stay. In each case a
 * warning may be added.
 */
int trace_model_add(struct trace_model *model, struct shared_bytes *part);

/* Once, after the last part. 0 or WERR_NOMEM. */
int trace_model_finish(struct trace_model *model);

/* Adds a text to the warnings; beyond TRACE_WARNINGS_COUNT_MAX nothing happens. */
void trace_model_warn(struct trace_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * One encoded Span by itself. False when it cannot be read in all its parts, or has no ids.
 */
bool trace_read_span(
    struct slice raw, struct trace_span *ret_span, uint8_t ret_trace_id[static TRACE_MODEL_ID_BYTES]);

/* Fields of a ResourceSpans and of a ScopeSpans, spans left out or not. False when they cannot be read. */
bool trace_read_group(struct slice resource_fields, struct slice scope_fields, struct trace_group *ret_group);

/* An attribute's value. */
enum trace_value_type {
    TRACE_VALUE_NONE,
    TRACE_VALUE_TEXT,
    TRACE_VALUE_BOOLEAN,
    TRACE_VALUE_INTEGER,
    TRACE_VALUE_REAL,
    TRACE_VALUE_ARRAY,
    TRACE_VALUE_MAP,
    TRACE_VALUE_BYTES,
};

struct trace_value {
    enum trace_value_type type;
    bool boolean;
    int64_t integer;
    double real;
    struct slice bytes; /* text, bytes; of arrays and maps the encoded ArrayValue, KeyValueList */
};

struct trace_attribute {
    struct slice key;
    struct trace_value value;
};

/* Field numbers of lists of attributes (KeyValue). */
enum {
    TRACE_FIELD_RESOURCE_ATTRIBUTES = 1,
    TRACE_FIELD_SCOPE_ATTRIBUTES = 3,
    TRACE_FIELD_EVENT_ATTRIBUTES = 3,
    TRACE_FIELD_LINK_ATTRIBUTES = 4,
    TRACE_FIELD_SPAN_ATTRIBUTES = 9,
    TRACE_FIELD_SPAN_EVENTS = 11,
    TRACE_FIELD_SPAN_LINKS = 13,
    TRACE_FIELD_MAP_VALUES = 1,
    TRACE_FIELD_ARRAY_VALUES = 1,
};

/* The next of the attributes in field `number`: false at the end. */
bool trace_next_attribute(struct wire_reader *reader, uint32_t number, struct trace_attribute *ret_attribute);

/* The next nested message in field `number`: false at the end. */
bool trace_next_message(struct wire_reader *reader, uint32_t number, struct slice *ret_message);

struct trace_value trace_value_of(struct slice any_value);

/* An event's or a link's head. */
struct trace_event {
    uint64_t unix_ns;
    struct slice name;
};
struct trace_event trace_event_of(struct slice message);

struct trace_link {
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];
    uint8_t span_id[TRACE_SPAN_ID_BYTES];
};
struct trace_link trace_link_of(struct slice message);

/* Hex digits, lower case; `text` has room for 2 * bytes + 1. */
void trace_id_text(const uint8_t *id, size_t id_bytes, char *text);

#endif
