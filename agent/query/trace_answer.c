/* Answers in all three forms; see trace_answer.h. */
#include "query/trace_answer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "context/request.h"
#include "context/response_flags.h"
#include "core/error.h"
#include "decode/json.h"
#include "query/trace_otlp_json.h"

enum { WARNINGS_BYTES_MAX = 1 << 20, JSON_DEPTH = 16 };

uint16_t trace_match_text(char to[static TRACE_MATCH_TEXT_BYTES], struct slice from)
{
    size_t length = from.length < TRACE_MATCH_TEXT_BYTES ? from.length : TRACE_MATCH_TEXT_BYTES;

    if (length > 0) {
        memcpy(to, from.ptr, length);
    }
    return (uint16_t)length;
}

/* ---- matches ---- */

static void put_text(struct json_list *object, const char *key, struct slice text)
{
    if (text.length > 0) {
        json_list_key(object, key);
        json_put_text(object->out, text);
    }
}

static void put_number(struct json_list *object, const char *key, uint64_t number)
{
    json_list_key(object, key);
    (void)buffer_append_format(object->out, "\"%" PRIu64 "\"", number);
}

static void put_flags(struct json_list *object, uint64_t flags)
{
    if (flags == 0) {
        return;
    }
    json_list_key(object, "responseFlags");
    struct json_list list = json_list_begin(object->out, '[');
    for (unsigned i = 0; i < RESPONSE_FLAG_COUNT; i++) {
        if ((flags >> i & 1) != 0) {
            json_list_next(&list);
            json_put_text(object->out, slice_of_string(response_flag_name(i)));
        }
    }
    json_list_end(&list, ']');
}

static void put_match(struct json_list *matches, const struct trace_match *match)
{
    json_list_next(matches);
    struct json_list object = json_list_begin(matches->out, '{');
    json_list_key(&object, "traceId");
    json_put_hex(matches->out, slice_of(match->trace_id, sizeof match->trace_id));
    json_list_key(&object, "spanId");
    json_put_hex(matches->out, slice_of(match->span_id, sizeof match->span_id));
    put_number(&object, "startTimeUnixNano", match->start_unix_ns);
    put_number(&object, "durationNano", match->duration_ns);
    put_text(&object, "service", slice_of(match->service, match->service_length));
    put_text(&object, "route", slice_of(match->route, match->route_length));
    if (match->outcome < OUTCOME_COUNT) {
        put_text(&object, "outcome", slice_of_string(outcome_name((enum outcome)match->outcome)));
    }
    if (match->response_code != 0) {
        json_list_key(&object, "responseCode");
        (void)buffer_append_format(matches->out, "%u", (unsigned)match->response_code);
    }
    put_flags(&object, match->response_flags);
    json_list_key(&object, "error");
    (void)buffer_append_text(matches->out, match->is_error ? "true" : "false");
    json_list_end(&object, '}');
}

/* ---- answers ---- */

void trace_answer_begin(struct trace_answer *answer, const struct trace_query *query, struct buffer *out,
    const struct trace_match *matches, size_t match_count)
{
    *answer = (struct trace_answer){.endpoint = query->endpoint, .out = out};
    buffer_init(&answer->warnings, WARNINGS_BYTES_MAX);
    answer->warning_list = (struct json_list){.out = &answer->warnings};
    answer->object = json_list_begin(out, '{');
    if (trace_endpoint_is_v3(answer->endpoint)) {
        (void)buffer_append_text(out, "\"result\":{\"resourceSpans\":");
    } else if (trace_endpoint_is_jaeger(answer->endpoint)) {
        json_list_key(&answer->object, "data");
    } else {
        if (matches != NULL) {
            json_list_key(&answer->object, "matches");
            struct json_list list = json_list_begin(out, '[');
            for (size_t i = 0; i < match_count; i++) {
                put_match(&list, &matches[i]);
            }
            json_list_end(&list, ']');
        }
        json_list_key(&answer->object, "resourceSpans");
    }
    answer->traces = json_list_begin(out, '[');
}

void trace_answer_add(struct trace_answer *answer, const struct trace_model *model)
{
    if (trace_endpoint_is_jaeger(answer->endpoint) && !trace_endpoint_is_v3(answer->endpoint)) {
        trace_jaeger_put(&answer->traces, model);
        return;
    }
    trace_otlp_json_spans(&answer->traces, model);
    trace_json_warnings(&answer->warning_list, model);
}

void trace_answer_warn(struct trace_answer *answer, const char *text)
{
    json_list_next(&answer->warning_list);
    json_put_text(&answer->warnings, slice_of_string(text));
}

void trace_answer_end(
    struct trace_answer *answer, const uint8_t (*missing)[TRACE_MODEL_ID_BYTES], size_t missing_count)
{
    struct buffer *out = answer->out;

    json_list_end(&answer->traces, ']');
    if (trace_endpoint_is_v3(answer->endpoint)) {
        (void)buffer_append_byte(out, '}');
    } else if (trace_endpoint_is_jaeger(answer->endpoint)) {
        (void)buffer_append_text(out, ",\"total\":0,\"limit\":0,\"offset\":0,\"errors\":");
        trace_jaeger_put_missing(out, missing, missing_count);
    } else if (answer->warnings.length > 0 && answer->warnings.error == 0) {
        json_list_key(&answer->object, "warnings");
        (void)buffer_append_byte(out, '[');
        (void)buffer_append(out, answer->warnings.data, answer->warnings.length);
        (void)buffer_append_byte(out, ']');
    }
    json_list_end(&answer->object, '}');
    (void)buffer_append_byte(out, '\n');
    trace_answer_deinit(answer);
}

void trace_answer_deinit(struct trace_answer *answer)
{
    buffer_deinit(&answer->warnings);
}

/* ---- what peers answer ---- */

/* A string without its escapes, cut to `bytes_max`, to the end of `room`. */
static struct slice plain_text(const struct json_value *value, uint8_t *room, size_t bytes_max)
{
    if (value->type != JSON_STRING || value->text.length > bytes_max) {
        return slice_of(NULL, 0);
    }
    return value->escaped ? slice_of(room, json_unescape(value->text, room)) : value->text;
}

static void read_hex(const struct json_value *value, uint8_t *id, size_t id_bytes)
{
    uint8_t wide[TRACE_MODEL_ID_BYTES];

    if (value->type == JSON_STRING && value->text.length == 2 * id_bytes &&
        trace_parse_id(value->text, wide) == 0) {
        memcpy(id, wide + sizeof wide - id_bytes, id_bytes);
    }
}

static uint64_t read_number(const struct json_value *value)
{
    uint64_t number = 0;

    (void)json_uint64(value->text, &number);
    return number;
}

static uint8_t read_outcome(const struct json_value *value)
{
    uint8_t outcome = 0;

    while (outcome < OUTCOME_COUNT &&
           !slice_equal(value->text, slice_of_string(outcome_name((enum outcome)outcome)))) {
        outcome++;
    }
    return outcome;
}

static int read_flags(struct json_reader *reader, uint64_t *flags)
{
    struct json_value name;
    int status;

    while ((status = json_element(reader, &name)) > 0) {
        if (name.type == JSON_STRING) {
            *flags |= response_flags_parse(name.text);
        }
        int error = json_skip(reader, &name);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static bool is_key(const struct json_value *key, const char *text)
{
    return slice_equal(key->text, slice_of_string(text));
}

/* A member of a match; arrays and objects that are none of ours are passed over. */
static int read_member(struct json_reader *reader, const struct json_value *key, struct json_value *value,
    struct trace_match *match)
{
    uint8_t room[2 * TRACE_MATCH_TEXT_BYTES];

    if (is_key(key, "responseFlags") && value->type == JSON_ARRAY) {
        return read_flags(reader, &match->response_flags);
    }
    if (is_key(key, "traceId")) {
        read_hex(value, match->trace_id, sizeof match->trace_id);
    } else if (is_key(key, "spanId")) {
        read_hex(value, match->span_id, sizeof match->span_id);
    } else if (is_key(key, "startTimeUnixNano")) {
        match->start_unix_ns = read_number(value);
    } else if (is_key(key, "durationNano")) {
        match->duration_ns = read_number(value);
    } else if (is_key(key, "service")) {
        match->service_length = trace_match_text(match->service, plain_text(value, room, sizeof room));
    } else if (is_key(key, "route")) {
        match->route_length = trace_match_text(match->route, plain_text(value, room, sizeof room));
    } else if (is_key(key, "outcome")) {
        match->outcome = read_outcome(value);
    } else if (is_key(key, "responseCode")) {
        uint64_t code = read_number(value);
        match->response_code = (uint16_t)(code <= UINT16_MAX ? code : 0);
    } else if (is_key(key, "error")) {
        match->is_error = value->type == JSON_BOOLEAN && value->boolean;
    }
    return json_skip(reader, value);
}

static int read_match(struct json_reader *reader, const struct trace_matches_sink *sink)
{
    static const uint8_t none[TRACE_MODEL_ID_BYTES];
    struct trace_match match = {.outcome = OUTCOME_COUNT};
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(reader, &key, &value)) > 0) {
        int error = read_member(reader, &key, &value, &match);
        if (error < 0) {
            return error;
        }
    }
    if (status == 0 && memcmp(match.trace_id, none, sizeof none) != 0) {
        sink->on_match(sink->user, &match);
    }
    return status;
}

/* The elements of `matches` or `warnings`. */
static int read_list(struct json_reader *reader, const struct trace_matches_sink *sink, bool are_matches)
{
    uint8_t room[TRACE_WARNING_BYTES];
    struct json_value value;
    int status;

    while ((status = json_element(reader, &value)) > 0) {
        int error = 0;
        if (are_matches && value.type == JSON_OBJECT) {
            error = read_match(reader, sink);
        } else {
            error = json_skip(reader, &value);
            struct slice text = plain_text(&value, room, sizeof room);
            if (error == 0 && !are_matches && text.length > 0) {
                sink->on_warning(sink->user, text);
            }
        }
        if (error < 0) {
            return error;
        }
    }
    return status;
}

int trace_matches_read(struct slice json, const struct trace_matches_sink *sink)
{
    struct json_reader reader = json_reader_of(json, JSON_DEPTH * JSON_DEPTH);
    struct json_value key;
    struct json_value value;
    int status = json_read(&reader, &value);

    if (status < 0 || value.type != JSON_OBJECT) {
        return status < 0 ? status : WERR_INVALID;
    }
    while ((status = json_member(&reader, &key, &value)) > 0) {
        bool are_matches = is_key(&key, "matches");
        int error = value.type == JSON_ARRAY && (are_matches || is_key(&key, "warnings"))
                        ? read_list(&reader, sink, are_matches)
                        : json_skip(&reader, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static uint8_t kind_of(struct slice text)
{
    for (int kind = SPAN_KIND_INTERNAL; kind <= SPAN_KIND_CONSUMER; kind++) {
        if (slice_equal(trace_kind_name((enum span_kind)kind), text)) {
            return (uint8_t)kind;
        }
    }
    return SPAN_KIND_UNSPECIFIED;
}

/* `{"name":…,"spanKind":…}` */
static int read_operation(struct json_reader *reader, struct trace_names *names)
{
    uint8_t room[2 * TRACE_NAME_BYTES_MAX];
    struct slice name = {0};
    struct json_value key;
    struct json_value value;
    uint8_t kind = SPAN_KIND_UNSPECIFIED;
    int status;

    while ((status = json_member(reader, &key, &value)) > 0) {
        if (is_key(&key, "name")) {
            name = plain_text(&value, room, sizeof room);
        } else if (is_key(&key, "spanKind") && value.type == JSON_STRING) {
            kind = kind_of(value.text);
        }
        int error = json_skip(reader, &value);
        if (error < 0) {
            return error;
        }
    }
    if (status == 0) {
        trace_names_add(names, name, kind);
    }
    return status;
}

static int read_names(struct json_reader *reader, struct trace_names *names)
{
    uint8_t room[2 * TRACE_NAME_BYTES_MAX];
    struct json_value value;
    int status;

    while ((status = json_element(reader, &value)) > 0) {
        if (value.type == JSON_STRING) {
            trace_names_add(names, plain_text(&value, room, sizeof room), SPAN_KIND_UNSPECIFIED);
        }
        int error = value.type == JSON_OBJECT ? read_operation(reader, names) : json_skip(reader, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

int trace_names_read(struct slice json, struct trace_names *names)
{
    struct json_reader reader = json_reader_of(json, JSON_DEPTH);
    struct json_value key;
    struct json_value value;
    int status = json_read(&reader, &value);

    if (status < 0 || value.type != JSON_OBJECT) {
        return status < 0 ? status : WERR_INVALID;
    }
    while ((status = json_member(&reader, &key, &value)) > 0) {
        int error = value.type == JSON_ARRAY && is_key(&key, "data") ? read_names(&reader, names)
                                                                     : json_skip(&reader, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}
