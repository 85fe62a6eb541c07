/*
 * An answer about traces, written trace by trace, so that whoever writes it can do other things in between
 * and never holds more than one put together: OTLP JSON, Jaeger's, or Jaeger's third API's.
 *
 *   begin ─► add(model) ─► add ─► … ─► end
 *
 * And what a search found, which agents tell each other: `{"matches":[…]}`, written and read back. Pure; runs
 * on the thread that owns the buffer.
 */
#ifndef WEFT_QUERY_TRACE_ANSWER_H
#define WEFT_QUERY_TRACE_ANSWER_H

#include "query/json_text.h"
#include "query/trace_jaeger.h"

enum { TRACE_MATCH_TEXT_BYTES = 128 };

/* A trace that a search found: the newest of its spans that the query lets through. */
struct trace_match {
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];
    uint8_t span_id[TRACE_SPAN_ID_BYTES];
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t response_flags;
    uint16_t response_code; /* 0: none */
    uint8_t outcome;        /* enum outcome; OUTCOME_COUNT: none */
    bool is_error;
    uint16_t service_length;
    uint16_t route_length;
    char service[TRACE_MATCH_TEXT_BYTES]; /* cut */
    char route[TRACE_MATCH_TEXT_BYTES];
};

struct trace_answer {
    enum trace_endpoint endpoint;
    struct buffer *out; /* borrowed */
    struct buffer warnings;
    struct json_list object;
    struct json_list traces;
    struct json_list warning_list;
};

/* matches: of our own search; else NULL. Where the query is without spans there is nothing more to add. */
void trace_answer_begin(struct trace_answer *answer, const struct trace_query *query, struct buffer *out,
    const struct trace_match *matches, size_t match_count);
void trace_answer_add(struct trace_answer *answer, const struct trace_model *model);

/* Said at the end, where the form has a place for it: Jaeger's has none but in each trace. */
void trace_answer_warn(struct trace_answer *answer, const char *text);

/* missing: ids that were asked for and not found. */
void trace_answer_end(
    struct trace_answer *answer, const uint8_t (*missing)[TRACE_MODEL_ID_BYTES], size_t missing_count);

/* Frees what a begun answer holds; an ended or zeroed one too. */
void trace_answer_deinit(struct trace_answer *answer);

/* Copies a text into a match, cut to TRACE_MATCH_TEXT_BYTES; its length. */
uint16_t trace_match_text(char to[static TRACE_MATCH_TEXT_BYTES], struct slice from);

/*
 * What a peer found: calls `on_match` and `on_warning` for each. 0, or the code of a broken document: what
 * came before it was told.
 */
struct trace_matches_sink {
    void *user;
    void (*on_match)(void *user, const struct trace_match *match);
    void (*on_warning)(void *user, struct slice text);
};
int trace_matches_read(struct slice json, const struct trace_matches_sink *sink);

/* Jaeger's list of names, or of operations with their kinds, as a peer answered it. As above. */
int trace_names_read(struct slice json, struct trace_names *names);

#endif
