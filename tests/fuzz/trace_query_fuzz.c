/*
 * Questions about traces, and traces as peers send them.
 *
 *   first byte % 3 = 0: a path and pairs of an argument's name and value, with NULs in between
 *   first byte % 3 = 1: parts of a trace, each with its length (u16, little endian) in front; then a question
 *   first byte % 3 = 2: what a peer answered: matches of a search, or names
 *
 * A trace that was put together is written in every form. Each must be JSON; what is written as OTLP must
 * read back as the same spans; parents must lead to a root.
 */
#include "fuzz.h"

#include <string.h>

#include "core/error.h"
#include "decode/json.h"
#include "decode/otlp_json.h"
#include "query/tap_query.h"
#include "query/trace_answer.h"
#include "query/trace_split.h"

enum { TEXT_BYTES_MAX = 1 << 22, JSON_DEPTH_MAX = 1000, NOW_S = 1700000000 };

static const uint8_t trace_id[TRACE_MODEL_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* Up to the next NUL, as a string of its own. */
static char *next_text(const uint8_t **at, const uint8_t *end)
{
    size_t length = 0;

    while (*at + length < end && (*at)[length] != '\0') {
        length++;
    }
    char *text = malloc(length + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, *at, length);
    text[length] = '\0';
    *at += *at + length < end ? length + 1 : length;
    return text;
}

static void check_json(const struct buffer *text)
{
    struct json_reader reader = json_reader_of(slice_of(text->data, text->length), JSON_DEPTH_MAX);
    struct json_value root;

    FUZZ_CHECK(text->error == 0);
    FUZZ_CHECK(json_read(&reader, &root) == 1);
    FUZZ_CHECK(json_skip(&reader, &root) == 0);
    FUZZ_CHECK(json_end(&reader) == 0);
}

static void check_error(const struct trace_query *query)
{
    struct buffer out;

    buffer_init(&out, TEXT_BYTES_MAX);
    FUZZ_CHECK(strlen(query->message) > 0);
    trace_error(&out, query, 400, query->message);
    check_json(&out);
    buffer_deinit(&out);
}

static void check_query(const struct trace_query *query)
{
    FUZZ_CHECK(query->endpoint != TRACE_ENDPOINT_NONE);
    FUZZ_CHECK(query->limit >= 1 && query->limit <= TRACE_QUERY_LIMIT_MAX);
    FUZZ_CHECK(query->start_max_unix_ns == 0 || query->start_min_unix_ns <= query->start_max_unix_ns);
    FUZZ_CHECK(query->duration_max_ns == 0 || query->duration_min_ns <= query->duration_max_ns);
    FUZZ_CHECK(query->tag_count <= TRACE_QUERY_TAGS_COUNT_MAX);
    FUZZ_CHECK(query->trace_id_count <= TRACE_QUERY_IDS_COUNT_MAX);
    FUZZ_CHECK(query->text_bytes <= sizeof query->text);
}

/* The same arguments, asked of /api/v1/tap. */
static void fuzz_tap(const struct query_argument *arguments, size_t count)
{
    struct tap_query query;
    struct buffer out;

    if (tap_query_parse(&query, arguments, count) < 0) {
        buffer_init(&out, TEXT_BYTES_MAX);
        FUZZ_CHECK(query.bad_argument != NULL && strlen(query.message) > 0);
        tap_error(&out, query.bad_argument, query.message);
        check_json(&out);
        buffer_deinit(&out);
        return;
    }
    FUZZ_CHECK(query.rate_per_s <= TAP_RATE_MAX);
    FUZZ_CHECK(
        query.filter.duration_max_ns == 0 || query.filter.duration_min_ns <= query.filter.duration_max_ns);
    FUZZ_CHECK(query.filter.service.length <= TAP_NAME_BYTES_MAX);
}

/* The query that the bytes say; false when it is refused. */
static bool fuzz_query(struct trace_query *query, const uint8_t *at, const uint8_t *end)
{
    struct query_argument arguments[QUERY_ARGUMENT_COUNT_MAX];
    char *path = next_text(&at, end);
    size_t count = 0;

    for (; at < end && count < QUERY_ARGUMENT_COUNT_MAX; count++) {
        arguments[count].name = next_text(&at, end);
        arguments[count].value = next_text(&at, end);
    }
    fuzz_tap(arguments, count);
    int error = trace_query_parse(query, path, arguments, count, (uint64_t)NOW_S * 1000000000u);
    FUZZ_CHECK((error == WERR_NOT_FOUND) == (trace_endpoint_of(path) == TRACE_ENDPOINT_NONE));
    if (error < 0) {
        check_error(query);
    } else {
        check_query(query);
    }
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)arguments[i].name);
        free((char *)(uintptr_t)arguments[i].value);
    }
    free(path);
    return error == 0;
}

/* ---- traces ---- */

static void check_parents(const struct trace_model *model)
{
    for (size_t i = 0; i < model->span_count; i++) {
        size_t steps = 0;
        for (int32_t at = (int32_t)i; at >= 0; at = model->spans[at].parent) {
            FUZZ_CHECK((size_t)at < model->span_count);
            FUZZ_CHECK(steps++ < model->span_count);
        }
        FUZZ_CHECK(model->spans[i].group < model->group_count);
        FUZZ_CHECK(model->spans[i].start_unix_ns <= model->spans[i].end_unix_ns);
        FUZZ_CHECK(i == 0 || model->spans[i - 1].start_unix_ns <= model->spans[i].start_unix_ns);
    }
}

/* What was written as OTLP is read by the project's own reader, and gives the same spans. */
static void check_round_trip(const struct trace_model *model, const struct buffer *text)
{
    struct trace_model again;
    struct decode_error where;
    struct buffer message;

    buffer_init(&message, TEXT_BYTES_MAX);
    FUZZ_CHECK(otlp_json_to_protobuf(slice_of(text->data, text->length), OTLP_JSON_TRACES, TRACE_DEPTH_MAX,
                   &message, &where) == 0);
    struct shared_bytes *part = shared_bytes_copy(slice_of(message.data, message.length));
    FUZZ_CHECK(part != NULL);
    trace_model_init(&again, trace_id);
    FUZZ_CHECK(trace_model_add(&again, part) == 0);
    shared_bytes_unref(part);
    FUZZ_CHECK(trace_model_finish(&again) == 0);
    FUZZ_CHECK(again.span_count == model->span_count);
    FUZZ_CHECK(again.refused_count == 0 && again.foreign_count == 0);
    trace_model_deinit(&again);
    buffer_deinit(&message);
}

static void write_answer(struct buffer *out, const char *path, const struct trace_model *model)
{
    struct trace_answer answer;
    struct trace_query query;

    out->length = 0;
    FUZZ_CHECK(trace_query_parse(&query, path, NULL, 0, 1) == 0);
    trace_answer_begin(&answer, &query, out, NULL, 0);
    trace_answer_add(&answer, model);
    trace_answer_warn(&answer, "a warning");
    trace_answer_end(&answer, &trace_id, 1);
    check_json(out);
}

static void write_all(const struct trace_model *model)
{
    struct buffer out;

    buffer_init(&out, TEXT_BYTES_MAX);
    write_answer(&out, "/api/v1/traces/1", model);
    check_round_trip(model, &out);
    write_answer(&out, "/api/traces/1", model);
    write_answer(&out, "/api/v3/traces/1", model);
    buffer_deinit(&out);
}

/* The names of all services and spans, as lists. */
static void write_names(const struct trace_model *model)
{
    struct trace_names names;
    struct buffer out;

    trace_names_init(&names);
    buffer_init(&out, TEXT_BYTES_MAX);
    for (size_t i = 0; i < model->span_count; i++) {
        trace_names_add(&names, model->spans[i].name, (uint8_t)model->spans[i].kind);
        trace_service_name(&out, &model->groups[model->spans[i].group]);
        trace_names_add(&names, slice_of(out.data, out.length), 0);
        out.length = 0;
    }
    for (int e = TRACE_ENDPOINT_JAEGER_SERVICES; e <= TRACE_ENDPOINT_V3_OPERATIONS; e++) {
        trace_jaeger_names(&out, (enum trace_endpoint)e, &names);
        check_json(&out);
        out.length = 0;
    }
    trace_names_deinit(&names);
    buffer_deinit(&out);
}

/* The part of one trace holds the same spans of it as the whole. */
static void check_split(struct shared_bytes *whole)
{
    const uint8_t ids[2][TRACE_MODEL_ID_BYTES] = {
        {0xff}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct buffer parts[2];
    struct trace_model models[2];

    buffer_init(&parts[0], TEXT_BYTES_MAX);
    buffer_init(&parts[1], TEXT_BYTES_MAX);
    int error = trace_split(slice_of(whole->data, whole->length), ids, 2, parts);
    struct shared_bytes *part = shared_bytes_copy(slice_of(parts[1].data, parts[1].length));
    FUZZ_CHECK(part != NULL);
    trace_model_init(&models[0], trace_id);
    trace_model_init(&models[1], trace_id);
    int whole_error = trace_model_add(&models[0], whole);
    FUZZ_CHECK(trace_model_add(&models[1], part) == 0 || whole_error < 0);
    shared_bytes_unref(part);
    if (error == 0 && whole_error == 0) {
        FUZZ_CHECK(models[0].span_count + models[0].left_out_count >= models[1].span_count);
        FUZZ_CHECK(models[1].foreign_count == 0);
    }
    trace_model_deinit(&models[0]);
    trace_model_deinit(&models[1]);
    buffer_deinit(&parts[0]);
    buffer_deinit(&parts[1]);
}

static void fuzz_model(const uint8_t *at, const uint8_t *end)
{
    struct trace_query query;
    struct trace_model model;

    trace_model_init(&model, trace_id);
    while (end - at >= 2) {
        size_t length = (size_t)at[0] | (size_t)at[1] << 8;
        at += 2;
        if (length == 0) {
            break;
        }
        length = length < (size_t)(end - at) ? length : (size_t)(end - at);
        struct shared_bytes *part = shared_bytes_copy(slice_of(at, length));
        FUZZ_CHECK(part != NULL);
        check_split(part);
        (void)trace_model_add(&model, part);
        shared_bytes_unref(part);
        at += length;
    }
    FUZZ_CHECK(trace_model_finish(&model) == 0);
    check_parents(&model);
    write_all(&model);
    write_names(&model);
    if (fuzz_query(&query, at, end)) {
        (void)trace_model_matches(&query, &model);
    }
    trace_model_deinit(&model);
}

/* ---- peers ---- */

static void on_match(void *user, const struct trace_match *match)
{
    struct trace_query query;
    struct trace_answer answer;
    struct buffer out;

    (void)user;
    FUZZ_CHECK(match->service_length <= TRACE_MATCH_TEXT_BYTES);
    FUZZ_CHECK(match->route_length <= TRACE_MATCH_TEXT_BYTES);
    buffer_init(&out, TEXT_BYTES_MAX);
    FUZZ_CHECK(trace_query_parse(&query, "/api/v1/traces", NULL, 0, 1) == 0);
    trace_answer_begin(&answer, &query, &out, match, 1);
    trace_answer_end(&answer, NULL, 0);
    check_json(&out);
    buffer_deinit(&out);
}

static void on_warning(void *user, struct slice text)
{
    (void)user;
    FUZZ_CHECK(text.length > 0 && text.length <= TRACE_WARNING_BYTES);
}

static void fuzz_peer(struct slice json)
{
    const struct trace_matches_sink sink = {.on_match = on_match, .on_warning = on_warning};
    struct trace_names names;
    struct trace_names copy;

    trace_names_init(&names);
    (void)trace_matches_read(json, &sink);
    (void)trace_names_read(json, &names);
    trace_names_init(&copy);
    trace_names_merge(&copy, &names);
    FUZZ_CHECK(copy.count == names.count);
    trace_names_deinit(&copy);
    trace_names_deinit(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_query query;

    if (size == 0) {
        return 0;
    }
    if (data[0] % 3 == 0) {
        (void)fuzz_query(&query, data + 1, data + size);
    } else if (data[0] % 3 == 2) {
        fuzz_peer(slice_of(data + 1, size - 1));
    } else {
        fuzz_model(data + 1, data + size);
    }
    return 0;
}
