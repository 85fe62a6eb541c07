/* See why_json.h. */
#include "query/why_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "query/json_text.h"
#include "query/trace_query.h"

enum { WINDOW_DEFAULT_S = 300, NS_PER_S = 1000000000, PERCENT = 100 };

/* ---- arguments ---- */

static int refuse(struct why_query *query, const char *argument, const char *message)
{
    query->bad_argument = argument;
    (void)snprintf(query->message, sizeof query->message, "%s", message);
    return WERR_INVALID;
}

static int take_duration(
    struct why_query *query, const struct query_argument *argument, uint64_t ns_max, uint64_t *ret_ns)
{
    char message[WHY_QUERY_MESSAGE_BYTES];
    int error = trace_parse_duration(slice_of_string(argument->value), ret_ns, message, sizeof message);

    if (error < 0) {
        return refuse(query, argument->name, message);
    }
    if (*ret_ns == 0 || *ret_ns > ns_max) {
        return refuse(query, argument->name, "expected a duration above 0, and of a window at most 1h");
    }
    return 0;
}

static int take_argument(struct why_query *query, const struct query_argument *argument)
{
    if (strcmp(argument->name, "service") == 0) {
        query->service = slice_of_string(argument->value);
        return 0;
    }
    if (strcmp(argument->name, "namespace") == 0) {
        query->service_namespace = slice_of_string(argument->value);
        query->any_namespace = false;
        return 0;
    }
    if (strcmp(argument->name, "window") == 0) {
        return take_duration(query, argument, (uint64_t)WHY_QUERY_WINDOW_S_MAX * NS_PER_S, &query->window_ns);
    }
    if (strcmp(argument->name, "slow") == 0) {
        return take_duration(query, argument, INT64_MAX, &query->slow_ns);
    }
    return refuse(query, argument->name, "unknown argument");
}

int why_query_parse(
    struct why_query *ret_query, const struct query_argument *arguments, size_t argument_count)
{
    int error = 0;

    *ret_query = (struct why_query){.any_namespace = true, .window_ns = WINDOW_DEFAULT_S * 1000000000ull};
    for (size_t i = 0; i < argument_count && error == 0; i++) {
        for (size_t j = 0; j < i && error == 0; j++) {
            if (strcmp(arguments[i].name, arguments[j].name) == 0) {
                error = refuse(ret_query, arguments[i].name, "given twice");
            }
        }
        if (error == 0) {
            error = take_argument(ret_query, &arguments[i]);
        }
    }
    if (error == 0 && ret_query->service.length == 0) {
        error = refuse(ret_query, "service", "expected the name of a service");
    }
    return error;
}

void why_query_error(struct buffer *out, const struct why_query *query)
{
    (void)buffer_append_text(out, "{\"error\":{\"message\":");
    json_put_text(out, slice_of_string(query->message));
    (void)buffer_append_text(out, ",\"argument\":");
    json_put_text(out, slice_of_string(query->bad_argument));
    (void)buffer_append_text(out, "}}\n");
}

/* ---- the answer ---- */

static struct slice name_of(const struct why_names *names, uint32_t id)
{
    struct slice text = names->text(names->user, id);

    return text.length > 0 ? text : SLICE_LITERAL("unknown");
}

static void put_flag(struct buffer *out, unsigned index)
{
    const char *meaning = response_flag_meaning(index);
    const char *name = response_flag_name(index);

    (void)buffer_append_format(
        out, "%s (%s)", meaning != NULL ? meaning : "response flag", name != NULL ? name : "?");
}

void why_cause_text(struct buffer *out, const struct why_result *result, const struct why_cause *cause,
    const struct why_names *names)
{
    static const char *const before[WHY_KIND_COUNT] = {
        [WHY_RETRIES] = "retries of calls to ",
        [WHY_NETWORK_OUT] = "the network to ",
        [WHY_NETWORK_IN] = "the network from ",
        [WHY_CALLEE] = "calls to ",
        [WHY_SENDER] = "pod ",
        [WHY_VERSION] = "version ",
        [WHY_ROUTE] = "route ",
        [WHY_CALLER] = "caller ",
    };

    if (cause->kind == WHY_FLAG) {
        put_flag(out, cause->value);
    } else if (cause->kind == WHY_ATTRIBUTE) {
        (void)buffer_append_slice(out, cause->key);
        (void)buffer_append_text(out, " = ");
        (void)buffer_append_slice(out, cause->text);
    } else if (cause->kind == WHY_CROWD) {
        (void)buffer_append_format(out, "queueing: more than %u requests at once", result->crowd_count);
    } else if (cause->kind == WHY_SELF) {
        (void)buffer_append_text(out, "the service's own time");
    } else if (cause->kind == WHY_RETRIES && cause->value == 0) {
        (void)buffer_append_text(out, "retries");
    } else {
        (void)buffer_append_text(out, before[cause->kind]);
        (void)buffer_append_slice(out, name_of(names, cause->value));
    }
}

static const char *group_name(uint8_t group)
{
    return group == WHY_GROUP_SLOW ? "slow" : "failing";
}

/* One sentence for a person. It may hold names, so it is escaped like any text. */
static void put_summary(struct buffer *out, const struct why_result *result, const struct why_names *names)
{
    const struct why_cause *first = &result->causes[0];
    struct buffer text;

    buffer_init(&text, 4096);
    if (result->verdict == WHY_NO_REQUESTS) {
        (void)buffer_append_format(&text, "%u requests: too few to tell", result->request_count);
    } else if (result->verdict == WHY_NO_SINGLE_CAUSE) {
        (void)buffer_append_format(&text, "no single cause%s",
            result->is_even ? ": the slowest requests take hardly longer than the usual ones" : "");
    } else {
        why_cause_text(&text, result, first, names);
        (void)buffer_append_format(&text, ": %.0f%% of the %s requests, %.0f%% of the others",
            first->share_slow * PERCENT, group_name(first->group), first->share_rest * PERCENT);
    }
    json_put_text(out, slice_of(text.data, text.length));
    buffer_deinit(&text);
}

static void put_real(struct json_list *list, const char *key, double value)
{
    json_list_key(list, key);
    if (isfinite(value)) {
        json_put_real(list->out, value);
    } else {
        (void)buffer_append_text(list->out, "null");
    }
}

static void put_count(struct json_list *list, const char *key, uint64_t value)
{
    json_list_key(list, key);
    (void)buffer_append_format(list->out, "%llu", (unsigned long long)value);
}

static void put_word(struct json_list *list, const char *key, const char *word)
{
    json_list_key(list, key);
    json_put_text(list->out, slice_of_string(word));
}

static void put_parts(struct json_list *list, const char *key, double seconds, const struct why_parts *parts)
{
    json_list_key(list, key);
    struct json_list inner = json_list_begin(list->out, '{');
    put_real(&inner, "seconds", seconds);
    put_real(&inner, "self_seconds", parts->self_seconds);
    put_real(&inner, "callees_seconds", parts->callees_seconds);
    put_real(&inner, "network_seconds", parts->network_seconds);
    put_real(&inner, "retries_seconds", parts->retries_seconds);
    json_list_end(&inner, '}');
}

/* The thing itself, beside its kind: a name, a flag, an attribute's value. */
static void put_value(struct json_list *list, const struct why_cause *cause, const struct why_names *names)
{
    const char *flag = cause->kind == WHY_FLAG ? response_flag_name(cause->value) : NULL;

    if (cause->kind == WHY_ATTRIBUTE) {
        json_list_key(list, "key");
        json_put_text(list->out, cause->key);
    }
    json_list_key(list, "value");
    if (cause->kind == WHY_ATTRIBUTE) {
        json_put_text(list->out, cause->text);
    } else if (flag != NULL) {
        json_put_text(list->out, slice_of_string(flag));
    } else if (cause->kind == WHY_CROWD || cause->kind == WHY_SELF || cause->value == 0) {
        (void)buffer_append_text(list->out, "null");
    } else {
        json_put_text(list->out, name_of(names, cause->value));
    }
}

static void put_cause(struct buffer *out, const struct why_result *result, const struct why_cause *cause,
    const struct why_names *names)
{
    struct json_list list = json_list_begin(out, '{');
    struct buffer text;

    put_word(&list, "kind", why_kind_name((enum why_kind)cause->kind));
    put_value(&list, cause, names);
    buffer_init(&text, 4096);
    why_cause_text(&text, result, cause, names);
    json_list_key(&list, "text");
    json_put_text(out, slice_of(text.data, text.length));
    buffer_deinit(&text);
    put_word(&list, "group", group_name(cause->group));
    put_word(&list, "seen_by", cause->group == WHY_GROUP_FAILING_CALLS ? "callers" : "service");
    json_list_key(&list, "strong");
    (void)buffer_append_text(out, cause->is_strong ? "true" : "false");
    put_real(&list, "score", cause->score);
    put_real(&list, "share", cause->share_slow);
    put_real(&list, "share_of_others", cause->share_rest);
    put_real(&list, "lift", cause->lift);
    put_real(&list, "chance", cause->chance);
    put_real(&list, "excess_seconds", cause->excess_seconds);
    put_count(&list, "requests", cause->slow_count);
    json_list_key(&list, "companion_of");
    if (cause->companion_of >= 0) {
        (void)buffer_append_format(out, "%d", cause->companion_of);
    } else {
        (void)buffer_append_text(out, "null");
    }
    json_list_key(&list, "example");
    struct json_list example = json_list_begin(out, '{');
    json_list_key(&example, "trace_id");
    json_put_hex(out, slice_of(cause->example_trace_id, sizeof cause->example_trace_id));
    put_real(&example, "seconds", (double)cause->example_duration_ns / 1e9);
    json_list_end(&example, '}');
    json_list_end(&list, '}');
}

void why_json(struct buffer *out, const struct why_query *query, const struct why_result *result,
    const struct why_names *names)
{
    static const char *const verdicts[] = {
        [WHY_NO_REQUESTS] = "too_few_requests",
        [WHY_NO_SINGLE_CAUSE] = "no_single_cause",
        [WHY_CAUSE_FOUND] = "cause",
    };
    static const char *const seen_by[] = {
        [WHY_SEEN_BY_SERVICE] = "service",
        [WHY_SEEN_BY_CALLERS] = "callers",
        [WHY_SEEN_AS_CALLER] = "calls",
    };
    struct json_list list = json_list_begin(out, '{');

    json_list_key(&list, "service");
    json_put_text(out, query->service);
    if (!query->any_namespace) {
        json_list_key(&list, "namespace");
        json_put_text(out, query->service_namespace);
    }
    put_real(&list, "window_seconds", (double)query->window_ns / 1e9);
    put_word(&list, "verdict", verdicts[result->verdict]);
    json_list_key(&list, "summary");
    put_summary(out, result, names);
    put_word(&list, "seen_by", seen_by[result->seen_by]);
    put_count(&list, "requests", result->request_count);
    put_count(&list, "slow_requests", result->slow_count);
    put_count(&list, "failing_requests", result->failing_count);
    json_list_key(&list, "attributes_of");
    struct json_list samples = json_list_begin(out, '{');
    put_count(&samples, "slow", result->sample_counts[true]);
    put_count(&samples, "others", result->sample_counts[false]);
    json_list_end(&samples, '}');
    put_real(&list, "slow_above_seconds", result->threshold_seconds);
    put_parts(&list, "usual", result->usual_seconds, &result->usual);
    put_parts(&list, "slow", result->slow_seconds, &result->slow);
    json_list_key(&list, "causes");
    struct json_list causes = json_list_begin(out, '[');
    for (uint32_t i = 0; i < result->cause_count; i++) {
        json_list_next(&causes);
        put_cause(out, result, &result->causes[i], names);
    }
    json_list_end(&causes, ']');
    put_count(&list, "features_left_out", result->features_cut);
    json_list_end(&list, '}');
    (void)buffer_append_text(out, "\n");
}
