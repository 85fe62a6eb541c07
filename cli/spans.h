/*
 * Spans of an answer in OTLP JSON, one trace's or several, in the order of their starts and each with its
 * parent. Nothing in them is believed: parents may be missing or go in circles. One thread.
 */
#ifndef WEFT_CLI_SPANS_H
#define WEFT_CLI_SPANS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPANS_COUNT_MAX = 200000,
    SPAN_KIND_SERVER_NUMBER = 2, /* enum SpanKind of OTLP */
    SPAN_KIND_CLIENT_NUMBER = 3,
};

/* Texts are borrowed from the answer; "" where it has none. */
struct shown_span {
    const char *trace_id;
    const char *id;
    const char *parent_id;
    const char *service;
    const char *name;
    const char *status_message;
    const json_t *attributes;
    uint64_t start_unix_ns;
    uint64_t end_unix_ns; /* not before start */
    size_t order;         /* in the answer */
    int parent;           /* index, or -1; a parent is in the same trace and never beneath the span */
    int kind;
    bool is_error;
    bool is_attempt; /* a proxy's span for one try: it says which host it went to */
};

struct shown_spans {
    struct shown_span *items;
    size_t count;
    bool is_cut; /* beyond SPANS_COUNT_MAX */
};

/* False without memory. */
bool spans_read(const json_t *answer, struct shown_spans *ret_spans);
void spans_free(struct shown_spans *spans);

/* A text attribute, or NULL. */
const char *span_attribute(const struct shown_span *span, const char *key);

/* A whole number, as text or number; -1 when there is none. */
long span_attribute_number(const struct shown_span *span, const char *key);

/* Lines "warning: …" for each of the answer's warnings, inert. */
void spans_print_warnings(const json_t *answer);

#endif
