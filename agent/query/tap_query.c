/* See tap_query.h. */
#include "query/tap_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "query/json_text.h"
#include "query/trace_query.h"

/* ---- arguments ---- */

static int refuse(struct tap_query *query, const char *message)
{
    (void)snprintf(query->message, sizeof query->message, "%s", message);
    return WERR_INVALID;
}

static int take_name(struct tap_query *query, const char *value, struct tap_name *name)
{
    if (value[0] == '\0' || !tap_name_set(name, slice_of_string(value))) {
        return refuse(query, "expected a name of 1 to 256 bytes");
    }
    return 0;
}

static int take_service(struct tap_query *query, const char *value)
{
    return take_name(query, value, &query->filter.service);
}

static int take_source(struct tap_query *query, const char *value)
{
    return take_name(query, value, &query->filter.source);
}

static int take_destination(struct tap_query *query, const char *value)
{
    return take_name(query, value, &query->filter.destination);
}

static int take_route(struct tap_query *query, const char *value)
{
    return take_name(query, value, &query->filter.route);
}

static int take_reporter(struct tap_query *query, const char *value)
{
    for (unsigned i = 0; i < REPORTER_COUNT; i++) {
        if (strcmp(value, reporter_name((enum reporter)i)) == 0) {
            query->filter.reporters = (uint8_t)(1u << i);
            return 0;
        }
    }
    return refuse(query, "expected source, destination or waypoint");
}

static int take_flags(struct tap_query *query, const char *value)
{
    query->filter.response_flags = response_flags_parse(slice_of_string(value));
    return query->filter.response_flags != 0 ? 0 : refuse(query, "expected response flags such as UF,URX");
}

static int take_error(struct tap_query *query, const char *value)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
        return refuse(query, "expected true or false");
    }
    query->filter.only_errors = value[0] == 't';
    return 0;
}

static int take_min_duration(struct tap_query *query, const char *value)
{
    return trace_parse_duration(
        slice_of_string(value), &query->filter.duration_min_ns, query->message, sizeof query->message);
}

static int take_max_duration(struct tap_query *query, const char *value)
{
    return trace_parse_duration(
        slice_of_string(value), &query->filter.duration_max_ns, query->message, sizeof query->message);
}

static int take_rate(struct tap_query *query, const char *value)
{
    char *end;
    unsigned long rate = strtoul(value, &end, 10);

    if (strcmp(value, "all") == 0) {
        query->rate_per_s = 0;
        return 0;
    }
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || rate < 1 || rate > TAP_RATE_MAX) {
        return refuse(query, "expected lines a second, 1 to 100000, or all");
    }
    query->rate_per_s = (uint32_t)rate;
    return 0;
}

static const struct argument_row {
    const char *name;
    int (*take)(struct tap_query *query, const char *value);
} argument_rows[] = {
    {"service", take_service},
    {"source", take_source},
    {"destination", take_destination},
    {"route", take_route},
    {"reporter", take_reporter},
    {"flags", take_flags},
    {"error", take_error},
    {"min_duration", take_min_duration},
    {"max_duration", take_max_duration},
    {"rate", take_rate},
};

enum { ARGUMENT_ROW_COUNT = sizeof argument_rows / sizeof argument_rows[0] };

static int take_argument(struct tap_query *query, const struct query_argument *argument, uint32_t *seen)
{
    for (size_t i = 0; i < ARGUMENT_ROW_COUNT; i++) {
        if (strcmp(argument->name, argument_rows[i].name) == 0) {
            bool is_repeated = (*seen >> i & 1) != 0;
            *seen |= 1u << i;
            return is_repeated ? refuse(query, "given twice") : argument_rows[i].take(query, argument->value);
        }
    }
    return refuse(query, "unknown argument");
}

int tap_query_parse(
    struct tap_query *ret_query, const struct query_argument *arguments, size_t argument_count)
{
    uint32_t seen = 0;
    int error = 0;

    *ret_query = (struct tap_query){.rate_per_s = TAP_RATE};
    for (size_t i = 0; i < argument_count && error == 0; i++) {
        error = take_argument(ret_query, &arguments[i], &seen);
        ret_query->bad_argument = error < 0 ? arguments[i].name : NULL;
    }
    const struct tap_filter *filter = &ret_query->filter;
    if (error == 0 && filter->duration_max_ns > 0 && filter->duration_max_ns < filter->duration_min_ns) {
        ret_query->bad_argument = "max_duration";
        error = refuse(ret_query, "expected no less than min_duration");
    }
    return error;
}

void tap_error(struct buffer *out, const char *argument, const char *message)
{
    (void)buffer_append_text(out, "{\"error\":{\"message\":");
    json_put_text(out, slice_of_string(message));
    if (argument != NULL) {
        (void)buffer_append_text(out, ",\"argument\":");
        json_put_text(out, slice_of_string(argument));
    }
    (void)buffer_append_text(out, "}}\n");
}

/* ---- lines ---- */

static void put_text(struct json_list *list, const char *key, struct slice text)
{
    if (text.length > 0) {
        json_list_key(list, key);
        json_put_text(list->out, text);
    }
}

static void put_name(struct json_list *list, const char *key, const struct interner *interner, uint32_t id)
{
    put_text(list, key, interner_text(interner, id));
}

/* That a namespace is not known says nothing. */
static void put_namespace(
    struct json_list *list, const char *key, const struct interner *interner, uint32_t id)
{
    if (id >= INTERNED_FIXED_COUNT) {
        put_name(list, key, interner, id);
    }
}

static void put_flags(struct json_list *list, uint64_t flags)
{
    const char *before = "\"";

    if ((flags & RESPONSE_FLAGS_ALL) == 0) {
        return;
    }
    json_list_key(list, "response_flags");
    for (unsigned i = 0; i < RESPONSE_FLAG_COUNT; i++) {
        if ((flags >> i & 1) != 0) {
            (void)buffer_append_format(list->out, "%s%s", before, response_flag_name(i));
            before = ",";
        }
    }
    (void)buffer_append_byte(list->out, '"');
}

static void put_number(struct json_list *list, const char *key, int64_t number)
{
    json_list_key(list, key);
    (void)buffer_append_format(list->out, "%" PRId64, number);
}

/* Exact, and cheaper than a double: nine digits behind the point. */
static void put_seconds(struct json_list *list, const char *key, uint64_t ns)
{
    json_list_key(list, key);
    (void)buffer_append_format(list->out, "%" PRIu64 ".%09" PRIu64, ns / 1000000000u, ns % 1000000000u);
}

static void put_trace_id(struct json_list *list, const uint8_t trace_id[16])
{
    static const uint8_t none[16];

    if (memcmp(trace_id, none, sizeof none) != 0) {
        json_list_key(list, "trace_id");
        json_put_hex(list->out, slice_of(trace_id, sizeof none));
    }
}

void tap_line(struct buffer *out, const struct tap_record *record, const struct interner *interner)
{
    struct json_list list = json_list_begin(out, '{');

    json_list_key(&list, "time_unix_ns");
    (void)buffer_append_format(out, "\"%" PRIu64 "\"", record->start_unix_ns);
    put_text(&list, "reporter", slice_of_string(reporter_name((enum reporter)record->reporter)));
    put_name(&list, "source", interner, record->source);
    put_namespace(&list, "source_namespace", interner, record->source_namespace);
    put_name(&list, "destination", interner, record->destination);
    put_namespace(&list, "destination_namespace", interner, record->destination_namespace);
    put_name(&list, "route", interner, record->route);
    put_text(&list, "method", slice_of_string(method_name((enum method)record->method)));
    if (record->protocol != PROTOCOL_UNKNOWN) {
        put_text(&list, "protocol", slice_of_string(protocol_name((enum protocol)record->protocol)));
    }
    if (record->response_code > 0) {
        put_number(&list, "response_code", record->response_code);
    }
    if (record->grpc_status != GRPC_STATUS_NONE) {
        put_number(&list, "grpc_status", record->grpc_status);
    }
    put_text(&list, "outcome", slice_of_string(outcome_name((enum outcome)record->outcome)));
    put_flags(&list, record->response_flags);
    put_seconds(&list, "duration_seconds", record->duration_ns);
    if (record->attempts > 0) {
        put_number(&list, "attempts", record->attempts);
    }
    put_trace_id(&list, record->trace_id);
    json_list_end(&list, '}');
    (void)buffer_append_byte(out, '\n');
}

void tap_line_dropped(struct buffer *out, uint64_t count)
{
    (void)buffer_append_format(out, "{\"dropped\":%" PRIu64 "}\n", count);
}

void tap_line_left_out(struct buffer *out, uint64_t count)
{
    (void)buffer_append_format(out, "{\"left_out\":%" PRIu64 "}\n", count);
}
