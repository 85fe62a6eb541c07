/*
 * An agent for tests: the real native_connection on a loop of its own, and a handler that counts. It runs on
 * one thread; the test asks it through atomics and letters.
 */
#ifndef WEFT_TESTS_FAKE_AGENT_H
#define WEFT_TESTS_FAKE_AGENT_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "core/budget.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "listen/native_connection.h"
#include "weft/v1/stream.pb-c.h"

enum { FAKE_CONNECTIONS_MAX = 64 };

struct fake_agent;

struct fake_connection {
    struct fake_agent *agent;
    struct native_connection *native;
    uint32_t string_count;
    uint32_t series_count;
};

struct fake_agent {
    char path[100];
    struct limits limits;
    struct budget assembly;
    struct metric_cells cells;
    struct instances *instances;
    struct native_shard *shard;
    /* the thread */
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t command;
    uv_poll_t listener;
    int listen_fd;
    struct fake_connection *connections[FAKE_CONNECTIONS_MAX];
    _Atomic bool stopping;
    _Atomic bool dropping; /* end all connections now */
    /* how to behave */
    _Atomic int unavailable_count;            /* refuse so many batches as UNAVAILABLE */
    _Atomic int dictionary_unavailable_count; /* refuse so many dictionaries as UNAVAILABLE */
    _Atomic int forget_count;    /* drop the connection before acknowledging so many admitted batches */
    _Atomic int malformed_count; /* call so many batches MALFORMED, with their sequence */
    /* what was seen */
    _Atomic uint64_t hellos, spans, duplicate_spans, points, strings, series, histogram_count, gaps;
    _Atomic uint64_t told_dropped_spans, told_dropped_points, rejected_spans, closed, duration_ns_sum;
    _Atomic uint64_t counter_value; /* the last one, whole */
    _Atomic uint64_t logs;
    _Atomic uint64_t log_bytes; /* lengths of all texts, and severities */
    char last_string[64];
    char workload[64];
    char close_reason[128];
};

static void fake_hello(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;
    Weft__V1__Hello *hello = weft__v1__hello__unpack(NULL, payload.length, payload.ptr);

    (void)native;
    (void)reply;
    snprintf(connection->agent->workload, sizeof connection->agent->workload, "%s", hello->workload);
    atomic_fetch_add(&connection->agent->hellos, 1);
    weft__v1__hello__free_unpacked(hello, NULL);
}

static void fake_dictionary(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;
    Weft__V1__Dictionary *dictionary = weft__v1__dictionary__unpack(NULL, payload.length, payload.ptr);

    (void)native;
    if (atomic_load(&connection->agent->dictionary_unavailable_count) > 0) {
        atomic_fetch_sub(&connection->agent->dictionary_unavailable_count, 1);
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "no memory for strings");
        reply->retry_after_ms = 20;
    } else if (dictionary == NULL || dictionary->first_id != connection->string_count + 1) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "bad dictionary");
    } else {
        connection->string_count += (uint32_t)dictionary->n_entries;
        atomic_fetch_add(&connection->agent->strings, dictionary->n_entries);
    }
    if (dictionary != NULL) {
        weft__v1__dictionary__free_unpacked(dictionary, NULL);
    }
}

/* True when the batch is refused for one of the reasons that the test asked for. */
static bool fake_refuses(struct fake_agent *agent, uint64_t sequence, struct native_reply *reply)
{
    reply->sequence = sequence;
    if (atomic_load(&agent->unavailable_count) > 0) {
        atomic_fetch_sub(&agent->unavailable_count, 1);
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "no memory for state");
        reply->retry_after_ms = 20;
        return true;
    }
    if (atomic_load(&agent->malformed_count) > 0) {
        atomic_fetch_sub(&agent->malformed_count, 1);
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "columns differ in length");
        return true;
    }
    return false;
}

static void fake_apply_spans(
    struct fake_connection *connection, const Weft__V1__SpanBatch *batch, struct native_reply *reply)
{
    struct fake_agent *agent = connection->agent;

    for (uint32_t i = 0; i < batch->span_count; i++) {
        if (i < batch->n_destination && batch->destination[i] > connection->string_count) {
            reply->rejected_spans++;
            native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_DICTIONARY, "unknown id");
            atomic_fetch_add(&agent->rejected_spans, 1);
            continue;
        }
        atomic_fetch_add(&agent->duration_ns_sum, batch->duration_ns[i]);
        atomic_fetch_add(&agent->spans, 1);
    }
}

static void fake_spans(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;
    struct fake_agent *agent = connection->agent;
    Weft__V1__SpanBatch *batch = weft__v1__span_batch__unpack(NULL, payload.length, payload.ptr);

    if (batch == NULL || batch->sequence == 0 || batch->trace_ids.len != 16 * (size_t)batch->span_count ||
        batch->n_duration_ns != batch->span_count) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "not a span batch");
    } else if (!fake_refuses(agent, batch->sequence, reply)) {
        enum native_claim claim = native_connection_claim(native, batch->sequence, reply);
        atomic_fetch_add(&agent->gaps, reply->error_code == WEFT__V1__ERROR_CODE__ERROR_CODE_SEQUENCE);
        if (claim == NATIVE_CLAIM_NEW) {
            fake_apply_spans(connection, batch, reply);
        } else if (claim == NATIVE_CLAIM_DUPLICATE) {
            atomic_fetch_add(&agent->duplicate_spans, batch->span_count);
        }
    }
    if (batch != NULL) {
        weft__v1__span_batch__free_unpacked(batch, NULL);
    }
}

static void fake_logs(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;
    struct fake_agent *agent = connection->agent;
    Weft__V1__LogBatch *batch = weft__v1__log_batch__unpack(NULL, payload.length, payload.ptr);

    if (batch == NULL || batch->n_bodies != batch->log_count ||
        batch->n_attribute_keys != batch->n_attribute_values) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "not a log batch");
    } else if (!fake_refuses(agent, batch->sequence, reply) &&
               native_connection_claim(native, batch->sequence, reply) == NATIVE_CLAIM_NEW) {
        atomic_fetch_add(&agent->logs, batch->log_count);
        for (size_t i = 0; i < batch->log_count; i++) {
            atomic_fetch_add(&agent->log_bytes, batch->bodies[i].len);
            atomic_fetch_add(&agent->log_bytes, batch->severity[i]);
        }
        for (size_t i = 0; i < batch->n_attribute_keys; i++) {
            atomic_fetch_add(
                &agent->log_bytes, batch->attribute_keys[i].len + batch->attribute_values[i].len);
        }
    }
    if (batch != NULL) {
        weft__v1__log_batch__free_unpacked(batch, NULL);
    }
}

static void fake_apply_points(struct fake_agent *agent, const Weft__V1__MetricBatch *batch)
{
    atomic_fetch_add(&agent->points, batch->n_counter_series + batch->n_gauge_series + batch->n_histograms);
    for (size_t i = 0; i < batch->n_counter_series; i++) {
        atomic_store(&agent->counter_value, (uint64_t)batch->counter_values[i]);
    }
    for (size_t i = 0; i < batch->n_histograms; i++) {
        uint64_t count = batch->histograms[i]->zero_count;
        for (size_t j = 0; j < batch->histograms[i]->n_buckets; j++) {
            count += batch->histograms[i]->buckets[j];
        }
        atomic_fetch_add(&agent->histogram_count, count);
    }
}

static void fake_metrics(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;
    struct fake_agent *agent = connection->agent;
    Weft__V1__MetricBatch *batch = weft__v1__metric_batch__unpack(NULL, payload.length, payload.ptr);

    if (batch == NULL) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "not a metric batch");
        return;
    }
    connection->series_count += (uint32_t)batch->n_series;
    atomic_fetch_add(&agent->series, batch->n_series);
    if (batch->sequence > 0 && !fake_refuses(agent, batch->sequence, reply) &&
        native_connection_claim(native, batch->sequence, reply) == NATIVE_CLAIM_NEW) {
        fake_apply_points(agent, batch);
    }
    weft__v1__metric_batch__free_unpacked(batch, NULL);
}

static void fake_stats(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;
    Weft__V1__ClientStats *stats = weft__v1__client_stats__unpack(NULL, payload.length, payload.ptr);

    (void)native;
    if (stats == NULL) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "not client stats");
        return;
    }
    atomic_store(&connection->agent->told_dropped_spans, stats->dropped_spans);
    atomic_store(&connection->agent->told_dropped_points, stats->dropped_points);
    weft__v1__client_stats__free_unpacked(stats, NULL);
}

static void fake_closed(void *user, struct native_connection *native, const char *reason)
{
    struct fake_connection *connection = user;
    struct fake_agent *agent = connection->agent;

    (void)native;
    for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        if (agent->connections[i] == connection) {
            agent->connections[i] = NULL;
        }
    }
    snprintf(agent->close_reason, sizeof agent->close_reason, "%s", reason);
    free(connection);
    atomic_fetch_add(&agent->closed, 1);
}

/* As fake_spans, but the connection ends between counting and acknowledging. */
static void fake_spans_forgetful(
    void *user, struct native_connection *native, struct slice payload, struct native_reply *reply)
{
    struct fake_connection *connection = user;

    fake_spans(user, native, payload, reply);
    if (atomic_load(&connection->agent->forget_count) > 0) {
        atomic_fetch_sub(&connection->agent->forget_count, 1);
        reply->sequence = 0; /* so no Ack is due */
        native_connection_close(native, "forgetful");
    }
}

static const struct native_handler fake_handler = {
    .hello = fake_hello,
    .dictionary = fake_dictionary,
    .spans = fake_spans_forgetful,
    .metrics = fake_metrics,
    .logs = fake_logs,
    .stats = fake_stats,
    .closed = fake_closed,
};

static struct fake_connection *fake_connect(struct fake_agent *agent, int fd)
{
    struct fake_connection *connection = calloc(1, sizeof *connection);

    connection->agent = agent;
    for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        if (agent->connections[i] == NULL) {
            agent->connections[i] = connection;
            if (native_connection_new(agent->shard, fd, &fake_handler, connection, &connection->native) ==
                0) {
                return connection;
            }
            break;
        }
    }
    abort();
}

static void fake_on_listener(uv_poll_t *poll, int status, int events)
{
    struct fake_agent *agent = poll->data;
    int fd = accept4(agent->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)status;
    (void)events;
    if (fd >= 0) {
        fake_connect(agent, fd);
    }
}

static void fake_on_command(uv_async_t *command)
{
    struct fake_agent *agent = command->data;

    if (atomic_exchange(&agent->dropping, false) || atomic_load(&agent->stopping)) {
        for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
            if (agent->connections[i] != NULL) {
                native_connection_close(agent->connections[i]->native, "dropped by the test");
            }
        }
    }
    if (atomic_load(&agent->stopping) && !uv_is_closing((uv_handle_t *)command)) {
        uv_close((uv_handle_t *)command, NULL);
        uv_close((uv_handle_t *)&agent->listener, NULL);
    }
}

static void fake_thread(void *user)
{
    struct fake_agent *agent = user;

    uv_run(&agent->loop, UV_RUN_DEFAULT);
}

/* Everything but socket and thread; for tests that drive the loop themselves. */
static inline void fake_agent_init(struct fake_agent *agent)
{
    *agent = (struct fake_agent){.listen_fd = -1};
    limits_init(&agent->limits);
    agent->assembly.cap_bytes = agent->limits.assembly_bytes_max;
    struct native_config config = {
        .limits = &agent->limits, .assembly = &agent->assembly, .cells = &agent->cells};
    if (instances_new(1024, &agent->instances) != 0 || uv_loop_init(&agent->loop) != 0) {
        abort();
    }
    config.instances = agent->instances;
    if (native_shard_new(&config, &agent->loop, &agent->shard) != 0) {
        abort();
    }
}

static inline void fake_agent_deinit(struct fake_agent *agent)
{
    uv_run(&agent->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(&agent->loop) != 0) {
        abort();
    }
    native_shard_free(agent->shard);
    instances_free(agent->instances);
}

/* Listens on a socket of its own under /tmp. May follow fake_agent_stop: an agent that knows its instances
 * still. */
static inline void fake_agent_listen(struct fake_agent *agent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, "%s", agent->path);
    unlink(agent->path);
    agent->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(agent->listen_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(agent->listen_fd, 16) != 0) {
        abort();
    }
    atomic_store(&agent->stopping, false);
    uv_async_init(&agent->loop, &agent->command, fake_on_command);
    agent->command.data = agent;
    uv_poll_init(&agent->loop, &agent->listener, agent->listen_fd);
    agent->listener.data = agent;
    uv_poll_start(&agent->listener, UV_READABLE, fake_on_listener);
    if (uv_thread_create(&agent->thread, fake_thread, agent) != 0) {
        abort();
    }
}

static inline void fake_agent_name(struct fake_agent *agent)
{
    static _Atomic unsigned next;
    snprintf(agent->path, sizeof agent->path, "/tmp/weft-test-%d-%u.sock", (int)getpid(),
        atomic_fetch_add(&next, 1));
}

static inline void fake_agent_start(struct fake_agent *agent)
{
    fake_agent_init(agent);
    fake_agent_name(agent);
    fake_agent_listen(agent);
}

/* The thread ends, the socket's file goes; fake_agent_listen may follow, or deinit. */
static inline void fake_agent_stop(struct fake_agent *agent)
{
    atomic_store(&agent->stopping, true);
    uv_async_send(&agent->command);
    uv_thread_join(&agent->thread);
    close(agent->listen_fd);
    unlink(agent->path);
}

static inline void fake_agent_drop_connections(struct fake_agent *agent)
{
    atomic_store(&agent->dropping, true);
    uv_async_send(&agent->command);
}

static inline void fake_sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Waits until *value is at least `wanted`, at most a minute. */
static inline bool fake_wait(const _Atomic uint64_t *value, uint64_t wanted)
{
    for (int i = 0; i < 30000; i++) {
        if (atomic_load(value) >= wanted) {
            return true;
        }
        fake_sleep_ms(2);
    }
    return false;
}

#endif
