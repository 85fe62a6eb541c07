/*
 * Scans an OTLP ExportTraceServiceRequest (or TracesData, the same on the wire) in one pass and without
 * allocation, and hands over each span with what the agent needs of it.
 *
 *   request ─► resource_spans ─► resource, read once ─► scope_spans ─► scope, read once ─► span ─► on_span |
 * on_refused
 *
 * Only attributes of the table are read, but all texts are checked. A span that is damaged within its own
 * length, or whose ids, times or texts are not valid, is refused alone. A scope's or schema's bad text is
 * left out of the copy. When the structure around spans is damaged the scan ends with an error; the spans
 * handed over before stay good. A scanner is built once and only read: every shard may use the same one.
 */
#ifndef WEFT_DECODE_OTLP_TRACE_H
#define WEFT_DECODE_OTLP_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"
#include "core/slice.h"
#include "decode/attribute.h"
#include "decode/decode_error.h"
#include "decode/redaction.h"
#include "decode/span.h"

struct otlp_trace_scanner {
    uint64_t time_skew_ns;
    uint64_t attribute_bytes_max;
    uint32_t attributes_count_max; /* of one span */
    struct attribute_table attributes;
};

/* Borrows nothing. About 20 KiB: put it where it lives as long as the configuration does. */
void otlp_trace_scanner_init(
    struct otlp_trace_scanner *scanner, const struct limits *limits, const struct redaction *redaction);

struct otlp_trace_sink {
    void *user;
    /* record: index of the span in the message. The span and what it borrows are valid during the call. */
    void (*on_span)(void *user, const struct span *span, uint32_t record);
    /* where->reason says why, where->record which. */
    void (*on_refused)(void *user, const struct decode_error *where);
};

struct otlp_trace_result {
    uint32_t spans_count;              /* handed over */
    uint32_t refused_count;            /* refused one by one */
    uint64_t attributes_skipped_count; /* not looked at because of a limit */
    bool needs_rewrite; /* the message may not be stored as it is: something to redact, or a refused span, is
                           in it */
};

/*
 * Returns 0, or the WERR_ code of the broken structure with *ret_error filled. The result is written in both
 * cases: what was handed over before the damage counts. memory: of the thread that scans, otlp_memory.h; with
 * NULL, spans are read one by one, with the same result.
 */
struct otlp_memory;

int otlp_trace_scan(const struct otlp_trace_scanner *scanner, struct otlp_memory *memory,
    struct slice message, uint64_t now_unix_ns, const struct otlp_trace_sink *sink,
    struct otlp_trace_result *ret_result, struct decode_error *ret_error);

/*
 * Reads one encoded Span; span->resource, span->scope_name and span->around are left alone, all else is
 * filled.
 * RECORD_ERROR_NONE, or the reason with where->code, where->reason and where->field.
 */
enum record_error otlp_trace_read_span(const struct otlp_trace_scanner *scanner, struct slice encoded,
    uint64_t now_unix_ns, struct span *span, uint64_t *attributes_skipped_count, struct decode_error *where);

/* Whether ids and times are such that the span need not be refused for them. */
bool otlp_span_is_sound(
    const struct otlp_trace_scanner *scanner, const struct span *span, uint64_t now_unix_ns);

/* What the Resource of a ResourceSpans says. */
struct otlp_resource {
    struct span_resource names;
    uint32_t seen;        /* bit i: enum resource_attribute_id i is filled */
    bool is_dirty;        /* something of it must be redacted */
    bool texts_are_valid; /* false: one is not UTF-8, and all its spans are refused for it */
};

/* Whether all texts of an encoded Resource, of whatever signal, are UTF-8; damage is not looked into. */
bool otlp_resource_texts_are_valid(struct slice encoded, uint32_t depth_max);

/* Adds what an encoded Resource says; *resource begins with texts_are_valid and all else 0. Negative on
 * damage. */
int otlp_resource_read(
    const struct otlp_trace_scanner *scanner, struct slice encoded, struct otlp_resource *resource);

/* Reads it wherever it stands in the encoded ResourceSpans. Negative when the Resource itself is damaged. */
int otlp_trace_read_resource(const struct otlp_trace_scanner *scanner, struct slice resource_spans,
    struct otlp_resource *ret_resource);

/*
 * How many spans a request holds, from its structure alone. *ret_error and a negative code when that is
 * broken: so the caller may refuse a message before anything of it is applied.
 */
int otlp_trace_count_spans(struct slice message, uint32_t *ret_count, struct decode_error *ret_error);

#endif
