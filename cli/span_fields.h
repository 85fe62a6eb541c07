/*
 * The fields of a span by name, as `weft emit` takes them from options, CSV columns and JSON members. One
 * table, so that all three know the same names and texts.
 */
#ifndef WEFT_CLI_SPAN_FIELDS_H
#define WEFT_CLI_SPAN_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/weft.h"

enum { SPAN_COLUMNS_MAX = 32, SPAN_LINE_BYTES_MAX = 65536 };

/* What a line or the command line tells of a span; ids not told are made at random when it is sent. */
struct span_draft {
    struct weft_span span;
    bool has_trace_id;
    bool has_span_id;
};

/*
 * Sets the field `name` from text: 0, WEFT_ERROR_INVALID when the text does not fit the field, or
 * WEFT_ERROR_FULL when there is no such field. Strings are interned in `client`.
 *
 *   reporter source|destination|waypoint   source, source_namespace, destination, destination_namespace,
 * route, method protocol http1|http2|http3|grpc|tcp    code 0…65535   grpc_status 0…16   attempts
 * request_bytes, response_bytes duration 12.5ms (ns, us, ms, s; none: s)   start_unix_ns   flags (bits,
 * decimal or 0x…) trace_id, span_id, parent_id in hex
 */
int span_field_set(struct weft_client *client, struct span_draft *draft, const char *name, const char *text);

/* Is there such a field? */
bool span_field_exists(const char *name);

/* Seconds, or a number with ns, us, ms or s, to nanoseconds. False when it is no such text. */
bool parse_duration(const char *text, uint64_t *ret_ns);

/*
 * One line of CSV cut into its fields, in place: commas, fields in double quotes with "" for a quote. Returns
 * how many, or WEFT_ERROR_INVALID (an open quote, or more than SPAN_COLUMNS_MAX).
 */
int csv_cut(char *line, char *fields[static SPAN_COLUMNS_MAX]);

/* A JSON object's members into the draft: 0 or WEFT_ERROR_INVALID with a text of at most why_bytes in `why`.
 */
int span_from_json(
    struct weft_client *client, struct span_draft *draft, const char *line, char *why, size_t why_bytes);

#endif
