/* Paths and arguments to a struct trace_query; see trace_query.h. A table of arguments for each path. */
#include "query/trace_query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "decode/json.h"

enum { NS_PER_US = 1000, NS_PER_MS = 1000000, JSON_DEPTH = 4 };

static const uint64_t NS_PER_S = 1000000000;

/* ---- what is wrong ---- */

static int refuse(struct trace_query *query, const char *message)
{
    (void)snprintf(query->message, sizeof query->message, "%s", message);
    return WERR_INVALID;
}

/* Jaeger's form: which parameter, and why. */
static int refuse_parameter(struct trace_query *query, const char *name, const char *why)
{
    if (trace_endpoint_is_v3(query->endpoint)) {
        (void)snprintf(query->message, sizeof query->message, "malformed parameter %s: %s", name, why);
    } else if (trace_endpoint_is_jaeger(query->endpoint)) {
        (void)snprintf(query->message, sizeof query->message, "unable to parse param '%s': %s", name, why);
    } else {
        (void)snprintf(query->message, sizeof query->message, "%s", why);
    }
    return WERR_INVALID;
}

/* ---- texts ---- */

/* Room for that many bytes in the query; NULL when there is none. */
static char *reserve(struct trace_query *query, size_t bytes)
{
    if (bytes > sizeof query->text - query->text_bytes) {
        return NULL;
    }
    char *room = query->text + query->text_bytes;
    query->text_bytes += bytes;
    return room;
}

static bool keep_text(struct trace_query *query, const char *from, size_t length, struct slice *ret_text)
{
    char *room = reserve(query, length);

    if (room == NULL) {
        return false;
    }
    memcpy(room, from, length);
    *ret_text = slice_of(room, length);
    return true;
}

static int take_text(struct trace_query *query, const char *value, struct slice *to)
{
    return keep_text(query, value, strlen(value), to) ? 0 : refuse(query, "the query is too long");
}

static int take_service(struct trace_query *query, const char *name, const char *value)
{
    (void)name;
    return take_text(query, value, &query->service);
}

static int take_operation(struct trace_query *query, const char *name, const char *value)
{
    (void)name;
    return take_text(query, value, &query->operation);
}

static int take_span_kind(struct trace_query *query, const char *name, const char *value)
{
    (void)name;
    return take_text(query, value, &query->span_kind);
}

/* ---- numbers ---- */

/* A whole number as Go's strconv reads it, or its words for what is wrong. */
static int parse_integer(
    struct trace_query *query, const char *name, const char *value, int64_t largest, int64_t *ret_number)
{
    char why[128];
    char *end;

    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool is_number = end != value && *end == '\0' &&
                     (value[0] == '-' || value[0] == '+' || (value[0] >= '0' && value[0] <= '9'));
    if (!is_number || errno == ERANGE || number > largest || number < -largest - 1) {
        (void)snprintf(why, sizeof why, "strconv.ParseInt: parsing \"%.64s\": %s", value,
            is_number ? "value out of range" : "invalid syntax");
        return refuse_parameter(query, name, why);
    }
    *ret_number = number;
    return 0;
}

static int take_limit(struct trace_query *query, const char *name, const char *value)
{
    int64_t limit = 0;
    int error = parse_integer(query, name, value, INT32_MAX, &limit);

    if (error == 0 && (limit < 1 || limit > TRACE_QUERY_LIMIT_MAX)) {
        error = refuse_parameter(query, name, "expected a number from 1 to 1500");
    }
    query->limit = error == 0 ? (uint32_t)limit : query->limit;
    return error;
}

/* Units since 1970; what was before counts as 1970. */
static int parse_time(
    struct trace_query *query, const char *name, const char *value, int64_t unit_ns, uint64_t *ret_unix_ns)
{
    int64_t number = 0;
    int error = parse_integer(query, name, value, INT64_MAX / unit_ns, &number);

    if (error == 0) {
        *ret_unix_ns = number > 0 ? (uint64_t)(number * unit_ns) : 0;
    }
    return error;
}

static int take_start_us(struct trace_query *query, const char *name, const char *value)
{
    return parse_time(query, name, value, NS_PER_US, &query->start_min_unix_ns);
}

static int take_end_us(struct trace_query *query, const char *name, const char *value)
{
    return parse_time(query, name, value, NS_PER_US, &query->start_max_unix_ns);
}

static int take_end_ms(struct trace_query *query, const char *name, const char *value)
{
    return parse_time(query, name, value, NS_PER_MS, &query->start_max_unix_ns);
}

/* Of dependencies: kept as a length until the end is known. */
static int take_lookback_ms(struct trace_query *query, const char *name, const char *value)
{
    return parse_time(query, name, value, NS_PER_MS, &query->start_min_unix_ns);
}

static int take_rfc3339(struct trace_query *query, const char *name, const char *value, uint64_t *to)
{
    char why[192];

    if (trace_parse_rfc3339(slice_of_string(value), to) == 0) {
        return 0;
    }
    (void)snprintf(why, sizeof why,
        "parsing time \"%.64s\" as \"2006-01-02T15:04:05.999999999Z07:00\": cannot parse", value);
    return refuse_parameter(query, name, why);
}

static int take_start_rfc3339(struct trace_query *query, const char *name, const char *value)
{
    return take_rfc3339(query, name, value, &query->start_min_unix_ns);
}

static int take_end_rfc3339(struct trace_query *query, const char *name, const char *value)
{
    return take_rfc3339(query, name, value, &query->start_max_unix_ns);
}

static int take_duration(struct trace_query *query, const char *name, const char *value, uint64_t *to)
{
    char why[TRACE_QUERY_MESSAGE_BYTES - 64];

    return trace_parse_duration(slice_of_string(value), to, why, sizeof why) == 0
               ? 0
               : refuse_parameter(query, name, why);
}

static int take_duration_min(struct trace_query *query, const char *name, const char *value)
{
    return take_duration(query, name, value, &query->duration_min_ns);
}

static int take_duration_max(struct trace_query *query, const char *name, const char *value)
{
    return take_duration(query, name, value, &query->duration_max_ns);
}

/* How long ago at most. */
static int take_since(struct trace_query *query, const char *name, const char *value)
{
    uint64_t since_ns;
    int error = take_duration(query, name, value, &since_ns);

    if (error == 0) {
        query->start_min_unix_ns = query->now_unix_ns > since_ns ? query->now_unix_ns - since_ns : 0;
    }
    return error;
}

/* ---- words ---- */

static int parse_word(struct trace_query *query, const char *name, const char *value, const char *yes,
    const char *no, bool *ret_yes)
{
    char why[64];

    if (strcmp(value, yes) != 0 && strcmp(value, no) != 0) {
        (void)snprintf(why, sizeof why, "expected %s or %s", yes, no);
        return refuse_parameter(query, name, why);
    }
    *ret_yes = strcmp(value, yes) == 0;
    return 0;
}

static int take_error(struct trace_query *query, const char *name, const char *value)
{
    return parse_word(query, name, value, "true", "false", &query->only_errors);
}

static int take_peers(struct trace_query *query, const char *name, const char *value)
{
    return parse_word(query, name, value, "no", "yes", &query->without_peers);
}

static int take_spans(struct trace_query *query, const char *name, const char *value)
{
    return parse_word(query, name, value, "no", "yes", &query->without_spans);
}

static int take_flags(struct trace_query *query, const char *name, const char *value)
{
    query->response_flags = response_flags_parse(slice_of_string(value));
    return query->response_flags != 0
               ? 0
               : refuse_parameter(query, name, "expected response flags such as UF,URX");
}

/* ---- ids ---- */

static int add_id(struct trace_query *query, const char *name, struct slice text)
{
    if (query->trace_id_count == TRACE_QUERY_IDS_COUNT_MAX) {
        return refuse_parameter(query, name, "more than 100 trace ids");
    }
    if (trace_parse_id(text, query->trace_ids[query->trace_id_count]) < 0) {
        return refuse_parameter(query, name, "expected a trace id of 1 to 32 hex digits");
    }
    query->trace_id_count++;
    return 0;
}

static int take_id(struct trace_query *query, const char *name, const char *value)
{
    return add_id(query, name, slice_of_string(value));
}

static int take_ids(struct trace_query *query, const char *name, const char *value)
{
    struct slice rest = slice_of_string(value);
    int error = 0;

    while (error == 0 && rest.length > 0) {
        size_t comma = slice_find(rest, ',');
        error = add_id(query, name, slice_sub(rest, 0, comma));
        rest = slice_sub(rest, comma + 1, rest.length);
    }
    return error;
}

/* ---- tags ---- */

static int add_tag(struct trace_query *query, struct trace_tag tag)
{
    if (query->tag_count == TRACE_QUERY_TAGS_COUNT_MAX) {
        return refuse(query, "more than 16 tags");
    }
    query->tags[query->tag_count++] = tag;
    return 0;
}

static int take_tag(struct trace_query *query, const char *name, const char *value)
{
    struct trace_tag tag;
    const char *colon = strchr(value, ':');

    (void)name;
    if (colon == NULL) {
        (void)snprintf(query->message, sizeof query->message,
            "malformed 'tag' parameter, expecting key:value, received: %.128s", value);
        return WERR_INVALID;
    }
    if (!keep_text(query, value, (size_t)(colon - value), &tag.key) ||
        !keep_text(query, colon + 1, strlen(colon + 1), &tag.value)) {
        return refuse(query, "the query is too long");
    }
    return add_tag(query, tag);
}

/* A JSON string without its escapes. */
static bool keep_string(struct trace_query *query, const struct json_value *string, struct slice *ret_text)
{
    char *room = reserve(query, string->text.length);

    if (room == NULL) {
        return false;
    }
    if (string->escaped) {
        *ret_text = slice_of(room, json_unescape(string->text, (uint8_t *)room));
    } else {
        memcpy(room, string->text.ptr, string->text.length);
        *ret_text = slice_of(room, string->text.length);
    }
    return true;
}

static int refuse_tags(struct trace_query *query, const char *why)
{
    (void)snprintf(
        query->message, sizeof query->message, "malformed 'tags' parameter, cannot unmarshal JSON: %s", why);
    return WERR_INVALID;
}

/* A JSON object of strings. */
static int take_tags(struct trace_query *query, const char *name, const char *value)
{
    struct json_reader reader = json_reader_of(slice_of_string(value), JSON_DEPTH);
    struct json_value root;
    struct json_value key;
    struct json_value string;
    int status = json_read(&reader, &root);

    (void)name;
    if (status < 0 || root.type != JSON_OBJECT) {
        return refuse_tags(query, "expected an object of strings");
    }
    while ((status = json_member(&reader, &key, &string)) > 0) {
        struct trace_tag tag;
        if (string.type != JSON_STRING) {
            return refuse_tags(query, "expected strings as values");
        }
        if (!keep_string(query, &key, &tag.key) || !keep_string(query, &string, &tag.value)) {
            return refuse(query, "the query is too long");
        }
        int error = add_tag(query, tag);
        if (error < 0) {
            return error;
        }
    }
    return status < 0 || json_end(&reader) < 0 ? refuse_tags(query, "broken text") : 0;
}

/* ---- arguments ---- */

struct argument_row {
    const char *name;
    int (*take)(struct trace_query *query, const char *name, const char *value);
    bool may_repeat;
};

static const struct argument_row search_arguments[] = {
    {"service", take_service, false},
    {"route", take_operation, false},
    {"min_duration", take_duration_min, false},
    {"max_duration", take_duration_max, false},
    {"error", take_error, false},
    {"flags", take_flags, false},
    {"since", take_since, false},
    {"start", take_start_us, false},
    {"end", take_end_us, false},
    {"limit", take_limit, false},
    {"tag", take_tag, true},
    {"tags", take_tags, true},
    {"ids", take_ids, false},
    {"spans", take_spans, false},
    {"peers", take_peers, false},
    {NULL, NULL, false},
};

static const struct argument_row trace_arguments[] = {
    {"peers", take_peers, false},
    {NULL, NULL, false},
};

static const struct argument_row operations_arguments[] = {
    {"service", take_service, false},
    {"spanKind", take_span_kind, false},
    {"span_kind", take_span_kind, false},
    {"peers", take_peers, false},
    {NULL, NULL, false},
};

static const struct argument_row jaeger_search_arguments[] = {
    {"service", take_service, false},
    {"operation", take_operation, false},
    {"tag", take_tag, true},
    {"tags", take_tags, true},
    {"minDuration", take_duration_min, false},
    {"maxDuration", take_duration_max, false},
    {"limit", take_limit, false},
    {"start", take_start_us, false},
    {"end", take_end_us, false},
    {"traceID", take_id, true},
    {NULL, NULL, false},
};

static const struct argument_row jaeger_trace_arguments[] = {
    {"start", take_start_us, false},
    {"end", take_end_us, false},
    {NULL, NULL, false},
};

static const struct argument_row dependencies_arguments[] = {
    {"endTs", take_end_ms, false},
    {"lookback", take_lookback_ms, false},
    {"service", take_service, false},
    {NULL, NULL, false},
};

/* Each has two names: what Jaeger 2 calls it now, and what it called it before. */
static const struct argument_row v3_search_arguments[] = {
    {"query.service_name", take_service, false},
    {"query.serviceName", take_service, false},
    {"query.operation_name", take_operation, false},
    {"query.operationName", take_operation, false},
    {"query.start_time_min", take_start_rfc3339, false},
    {"query.startTimeMin", take_start_rfc3339, false},
    {"query.start_time_max", take_end_rfc3339, false},
    {"query.startTimeMax", take_end_rfc3339, false},
    {"query.duration_min", take_duration_min, false},
    {"query.durationMin", take_duration_min, false},
    {"query.duration_max", take_duration_max, false},
    {"query.durationMax", take_duration_max, false},
    {"query.num_traces", take_limit, false},
    {"query.search_depth", take_limit, false},
    {"query.searchDepth", take_limit, false},
    {NULL, NULL, false},
};

static const struct argument_row v3_trace_arguments[] = {
    {"start_time", take_start_rfc3339, false},
    {"startTime", take_start_rfc3339, false},
    {"end_time", take_end_rfc3339, false},
    {"endTime", take_end_rfc3339, false},
    {NULL, NULL, false},
};

static const struct argument_row services_arguments[] = {
    {"peers", take_peers, false},
    {NULL, NULL, false},
};

/* A path is `before`, or `before` and a name and `behind`. */
struct endpoint_row {
    const char *before;
    const char *behind; /* NULL: no name */
    enum trace_endpoint endpoint;
    const struct argument_row *arguments;
};

static const struct endpoint_row endpoints[] = {
    {"/api/v1/traces", NULL, TRACE_ENDPOINT_SEARCH, search_arguments},
    {"/api/v1/traces/", "", TRACE_ENDPOINT_TRACE, trace_arguments},
    {"/api/services", NULL, TRACE_ENDPOINT_JAEGER_SERVICES, services_arguments},
    {"/api/services/", "/operations", TRACE_ENDPOINT_JAEGER_OPERATION_NAMES, services_arguments},
    {"/api/operations", NULL, TRACE_ENDPOINT_JAEGER_OPERATIONS, operations_arguments},
    {"/api/traces", NULL, TRACE_ENDPOINT_JAEGER_SEARCH, jaeger_search_arguments},
    {"/api/traces/", "", TRACE_ENDPOINT_JAEGER_TRACE, jaeger_trace_arguments},
    {"/api/dependencies", NULL, TRACE_ENDPOINT_JAEGER_DEPENDENCIES, dependencies_arguments},
    {"/api/v3/services", NULL, TRACE_ENDPOINT_V3_SERVICES, services_arguments},
    {"/api/v3/operations", NULL, TRACE_ENDPOINT_V3_OPERATIONS, operations_arguments},
    {"/api/v3/traces", NULL, TRACE_ENDPOINT_V3_SEARCH, v3_search_arguments},
    {"/api/v3/traces/", "", TRACE_ENDPOINT_V3_TRACE, v3_trace_arguments},
};

/* `*ret_name`: what the path says between `before` and `behind`. */
static const struct endpoint_row *find_endpoint(const char *path, struct slice *ret_name)
{
    struct slice text = slice_of_string(path);

    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct endpoint_row *row = &endpoints[i];
        struct slice before = slice_of_string(row->before);
        struct slice behind = slice_of_string(row->behind != NULL ? row->behind : "");

        if (row->behind == NULL ? slice_equal(text, before)
                                : text.length > before.length + behind.length &&
                                      slice_has_prefix(text, before) && slice_has_suffix(text, behind)) {
            *ret_name = slice_sub(text, before.length, text.length - behind.length);
            return row;
        }
    }
    return NULL;
}

enum trace_endpoint trace_endpoint_of(const char *path)
{
    struct slice name;
    const struct endpoint_row *row = find_endpoint(path, &name);

    return row != NULL ? row->endpoint : TRACE_ENDPOINT_NONE;
}

bool trace_endpoint_is_jaeger(enum trace_endpoint endpoint)
{
    return endpoint >= TRACE_ENDPOINT_JAEGER_SERVICES;
}

bool trace_endpoint_is_v3(enum trace_endpoint endpoint)
{
    return endpoint >= TRACE_ENDPOINT_V3_SERVICES;
}

static int refuse_argument(struct trace_query *query, const char *name, const char *why)
{
    (void)keep_text(query, name, strnlen(name, TRACE_QUERY_MESSAGE_BYTES), &query->argument);
    return refuse(query, why);
}

static int take_argument(
    struct trace_query *query, const struct argument_row *rows, const struct query_argument *argument)
{
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, argument->name) != 0) {
            continue;
        }
        if (argument->value[0] == '\0' && trace_endpoint_is_jaeger(query->endpoint)) {
            return 0; /* as if it were not there */
        }
        if (argument->value[0] == '\0') {
            return refuse_argument(query, argument->name, "expected a value");
        }
        int error = rows->take(query, argument->name, argument->value);
        if (error < 0) {
            query->argument = slice_of_string(rows->name);
        }
        return error;
    }
    return trace_endpoint_is_jaeger(query->endpoint)
               ? 0
               : refuse_argument(query, argument->name, "unknown argument");
}

static bool is_repeated(const struct argument_row *rows, const struct query_argument *arguments, size_t i)
{
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, arguments[i].name) == 0 && rows->may_repeat) {
            return false;
        }
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(arguments[j].name, arguments[i].name) == 0) {
            return true;
        }
    }
    return false;
}

/* Where several of one name are given the first one counts, in Jaeger's API. */
static int take_arguments(struct trace_query *query, const struct argument_row *rows,
    const struct query_argument *arguments, size_t argument_count)
{
    for (size_t i = 0; i < argument_count; i++) {
        if (is_repeated(rows, arguments, i)) {
            if (trace_endpoint_is_jaeger(query->endpoint)) {
                continue;
            }
            return refuse_argument(query, arguments[i].name, "given twice");
        }
        int error = take_argument(query, rows, &arguments[i]);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

/* ---- the whole ---- */

static int take_name(struct trace_query *query, struct slice name)
{
    switch (query->endpoint) {
    case TRACE_ENDPOINT_TRACE:
    case TRACE_ENDPOINT_JAEGER_TRACE:
    case TRACE_ENDPOINT_V3_TRACE:
        return add_id(query, "trace_id", name);
    case TRACE_ENDPOINT_JAEGER_OPERATION_NAMES:
        return keep_text(query, (const char *)name.ptr, name.length, &query->service)
                   ? 0
                   : refuse(query, "the query is too long");
    default:
        return 0;
    }
}

static void set_defaults(struct trace_query *query, uint64_t now_unix_ns)
{
    uint64_t lookback_ns = TRACE_QUERY_LOOKBACK_S * NS_PER_S;

    query->limit = trace_endpoint_is_jaeger(query->endpoint) ? TRACE_QUERY_JAEGER_LIMIT : TRACE_QUERY_LIMIT;
    query->now_unix_ns = now_unix_ns;
    query->start_max_unix_ns = trace_endpoint_is_jaeger(query->endpoint) ? now_unix_ns : 0;
    if (query->endpoint == TRACE_ENDPOINT_JAEGER_SEARCH) {
        query->start_min_unix_ns = now_unix_ns > lookback_ns ? now_unix_ns - lookback_ns : 0;
    } else if (query->endpoint == TRACE_ENDPOINT_JAEGER_DEPENDENCIES) {
        query->start_min_unix_ns = TRACE_QUERY_DEPENDENCIES_LOOKBACK_S * NS_PER_S;
    }
}

static bool is_given(const struct query_argument *arguments, size_t count, const char *name, const char *also)
{
    for (size_t i = 0; i < count; i++) {
        if ((strcmp(arguments[i].name, name) == 0 || strcmp(arguments[i].name, also) == 0) &&
            arguments[i].value[0] != '\0') {
            return true;
        }
    }
    return false;
}

/* What must be there, and what must fit together. */
static int check(struct trace_query *query, const struct query_argument *arguments, size_t count)
{
    bool is_search = query->endpoint == TRACE_ENDPOINT_JAEGER_SEARCH;

    if ((is_search || query->endpoint == TRACE_ENDPOINT_JAEGER_OPERATIONS) && query->service.length == 0 &&
        query->trace_id_count == 0) {
        return refuse(query, "parameter 'service' is required");
    }
    if (query->endpoint == TRACE_ENDPOINT_V3_SEARCH &&
        (!is_given(arguments, count, "query.start_time_min", "query.startTimeMin") ||
            !is_given(arguments, count, "query.start_time_max", "query.startTimeMax"))) {
        return refuse(query, "query.start_time_min and query.start_time_max are required");
    }
    if (query->duration_min_ns != 0 && query->duration_max_ns != 0 &&
        query->duration_max_ns < query->duration_min_ns) {
        return refuse(query, "'maxDuration' should be greater than 'minDuration'");
    }
    if (query->endpoint == TRACE_ENDPOINT_JAEGER_DEPENDENCIES) {
        uint64_t end_ns = query->start_max_unix_ns;
        uint64_t lookback_ns = query->start_min_unix_ns;
        query->start_min_unix_ns = end_ns > lookback_ns ? end_ns - lookback_ns : 0;
    }
    if (query->start_max_unix_ns != 0 && query->start_min_unix_ns > query->start_max_unix_ns) {
        return refuse(query, "min start time is above max");
    }
    return 0;
}

int trace_query_parse(struct trace_query *query, const char *path, const struct query_argument *arguments,
    size_t argument_count, uint64_t now_unix_ns)
{
    struct slice name;
    const struct endpoint_row *row = find_endpoint(path, &name);

    memset(query, 0, sizeof *query);
    if (row == NULL) {
        (void)refuse(query, "no such path");
        return WERR_NOT_FOUND;
    }
    query->endpoint = row->endpoint;
    set_defaults(query, now_unix_ns);
    int error = take_name(query, name);
    if (error == 0) {
        error = take_arguments(query, row->arguments, arguments, argument_count);
    }
    if (error == 0) {
        error = check(query, arguments, argument_count);
    }
    return error;
}
