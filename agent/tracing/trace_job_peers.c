/*
 * What a job asks peers, as one of our own questions without further peers, and what it takes from their
 * answers. See trace_job.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "decode/json_otlp.h"
#include "decode/otlp_json.h"
#include "query/trace_split.h"
#include "tracing/trace_job_internal.h"

enum { PEER_PROTOBUF_BYTES_MAX = 64 << 20, PEER_LIST_DEPTH_MAX = 100, NS_PER_US = 1000 };

/* ---- questions ---- */

static void put_percent(struct buffer *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.ptr[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                        byte == '~';
        if (is_plain) {
            (void)buffer_append_byte(out, byte);
        } else {
            (void)buffer_append(out, (char[]){'%', digits[byte >> 4], digits[byte & 15]}, 3);
        }
    }
}

static void put_argument(struct buffer *out, const char *name, struct slice value)
{
    if (value.length > 0) {
        (void)buffer_append_format(out, "&%s=", name);
        put_percent(out, value);
    }
}

static void put_tags(struct buffer *out, const struct trace_query *query)
{
    struct buffer json;

    if (query->tag_count == 0) {
        return;
    }
    buffer_init(&json, TRACE_PEER_PATH_BYTES);
    struct json_list object = json_list_begin(&json, '{');
    for (size_t i = 0; i < query->tag_count; i++) {
        json_list_next(&object);
        json_put_text(&json, query->tags[i].key);
        (void)buffer_append_byte(&json, ':');
        json_put_text(&json, query->tags[i].value);
    }
    json_list_end(&object, '}');
    out->error = out->error < 0 ? out->error : json.error;
    put_argument(out, "tags", slice_of(json.data, json.length));
    buffer_deinit(&json);
}

static void put_flags(struct buffer *out, uint64_t flags)
{
    const char *before = "&flags=";

    for (unsigned i = 0; i < RESPONSE_FLAG_COUNT; i++) {
        if ((flags >> i & 1) != 0) {
            (void)buffer_append_format(out, "%s%s", before, response_flag_name(i));
            before = ",";
        }
    }
}

static void put_search(struct buffer *out, const struct trace_query *query)
{
    (void)buffer_append_format(out, "/api/v1/traces?peers=no&spans=no&limit=%" PRIu32, query->limit);
    put_argument(out, "service", query->service);
    put_argument(out, "route", query->operation);
    if (query->start_min_unix_ns > 0) {
        (void)buffer_append_format(out, "&start=%" PRIu64, query->start_min_unix_ns / NS_PER_US);
    }
    if (query->start_max_unix_ns > 0) {
        (void)buffer_append_format(out, "&end=%" PRIu64, query->start_max_unix_ns / NS_PER_US);
    }
    if (query->duration_min_ns > 0) {
        (void)buffer_append_format(out, "&min_duration=%" PRIu64 "ns", query->duration_min_ns);
    }
    if (query->duration_max_ns > 0) {
        (void)buffer_append_format(out, "&max_duration=%" PRIu64 "ns", query->duration_max_ns);
    }
    if (query->only_errors) {
        (void)buffer_append_text(out, "&error=true");
    }
    put_flags(out, query->response_flags);
    put_tags(out, query);
}

static void put_names(struct buffer *out, const struct trace_query *query)
{
    bool are_services =
        query->endpoint == TRACE_ENDPOINT_JAEGER_SERVICES || query->endpoint == TRACE_ENDPOINT_V3_SERVICES;

    (void)buffer_append_text(out, are_services ? "/api/services?peers=no" : "/api/operations?peers=no");
    put_argument(out, "service", query->service);
}

static void put_ids(struct buffer *out, const struct trace_job *job, size_t from, size_t to)
{
    char text[TRACE_ID_TEXT_BYTES];

    (void)buffer_append_text(out, "/api/v1/traces?peers=no&ids=");
    for (size_t i = from; i < to; i++) {
        trace_id_text(job->ids[i], sizeof job->ids[i], text);
        (void)buffer_append_format(out, "%s%s", i > from ? "," : "", text);
    }
}

/* ---- answers ---- */

static void on_match(void *user, const struct trace_match *match)
{
    trace_job_add_match(user, match);
}

struct peer_warnings {
    struct trace_job *job;
    const char *peer;
};

static void on_match_of_peer(void *user, const struct trace_match *match)
{
    on_match(((struct peer_warnings *)user)->job, match);
}

static void on_warning(void *user, struct slice text)
{
    const struct peer_warnings *warnings = user;

    trace_job_warn(warnings->job, "%s: %.*s", warnings->peer, (int)text.length, (const char *)text.ptr);
}

static void pass_match(void *user, const struct trace_match *match)
{
    (void)user;
    (void)match;
}

static int take_spans(struct trace_job *job, struct slice body)
{
    struct buffer *parts = calloc(job->id_count, sizeof *parts);
    struct decode_error where;
    struct buffer message;

    if (parts == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < job->id_count; i++) {
        buffer_init(&parts[i], TRACE_TASK_BYTES_MAX);
    }
    buffer_init(&message, PEER_PROTOBUF_BYTES_MAX);
    int error = otlp_json_to_protobuf(body, OTLP_JSON_TRACES, PEER_LIST_DEPTH_MAX, &message, &where);
    if (error == 0) {
        error = trace_split(slice_of(message.data, message.length),
            (const uint8_t(*)[TRACE_MODEL_ID_BYTES])job->ids, job->id_count, parts);
    }
    for (size_t i = 0; i < job->id_count; i++) {
        struct shared_bytes *bytes =
            parts[i].length > 0 && parts[i].error == 0 ? shared_bytes_take(&parts[i]) : NULL;
        if (bytes != NULL) {
            trace_job_add_part(job, i, bytes);
        }
        buffer_deinit(&parts[i]);
    }
    buffer_deinit(&message);
    free(parts);
    return error;
}

static int take_answer(struct trace_job *job, struct peer_warnings *warnings, struct slice body)
{
    const struct trace_matches_sink sink = {.user = warnings,
        .on_match = job->step == JOB_SEARCHING ? on_match_of_peer : pass_match,
        .on_warning = on_warning};

    if (job->step == JOB_NAMING) {
        return trace_names_read(body, &job->names);
    }
    int error = trace_matches_read(body, &sink);
    return error == 0 && job->step == JOB_FETCHING ? take_spans(job, body) : error;
}

static void on_answer(void *user, size_t index, int error, struct slice body)
{
    struct trace_job *job = user;
    struct peer_warnings warnings = {.job = job, .peer = trace_peers_name(job->desk->peers, index)};

    if (error == 0) {
        error = take_answer(job, &warnings, body);
    }
    if (error < 0) {
        trace_job_warn(job, "peer %.100s: %s", warnings.peer, werr_text(error));
    }
    job->peers_awaited--;
    job->peer_waits[index]--;
    trace_job_check(job);
}

static void ask_all(struct trace_job *job, struct buffer *path)
{
    size_t count = trace_peers_count(job->desk->peers);

    if (buffer_append_byte(path, '\0') < 0) {
        trace_job_warn(job, "peers were not asked: the question is too long");
        return;
    }
    job->peers_awaited += count;
    for (size_t i = 0; i < count; i++) {
        job->peer_waits[i]++;
    }
    trace_peers_ask(job->desk->peers, (const char *)path->data, on_answer, job);
}

void trace_job_ask_peers(struct trace_job *job)
{
    struct buffer path;

    memset(job->peer_waits, 0, sizeof job->peer_waits);
    if (job->query.without_peers || trace_peers_count(job->desk->peers) == 0) {
        return;
    }
    buffer_init(&path, TRACE_PEER_PATH_BYTES);
    if (job->step == JOB_SEARCHING) {
        put_search(&path, &job->query);
        ask_all(job, &path);
    } else if (job->step == JOB_NAMING) {
        put_names(&path, &job->query);
        ask_all(job, &path);
    } else {
        for (size_t from = 0; from < job->id_count; from += TRACE_JOB_IDS_PER_QUESTION) {
            size_t to = from + TRACE_JOB_IDS_PER_QUESTION;
            path.length = 0;
            put_ids(&path, job, from, to < job->id_count ? to : job->id_count);
            ask_all(job, &path);
        }
    }
    buffer_deinit(&path);
}

void trace_job_give_up_peers(struct trace_job *job, unsigned long long limit_ms)
{
    trace_peers_forget(job->desk->peers, job);
    for (size_t i = 0; i < trace_peers_count(job->desk->peers); i++) {
        if (job->peer_waits[i] > 0) {
            trace_job_warn(job, "peer %.100s did not answer within %llu ms",
                trace_peers_name(job->desk->peers, i), limit_ms);
        }
        job->peer_waits[i] = 0;
    }
}
