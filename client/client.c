/* The calls of weft.h: opening, recording, flushing, closing, counting; and what a fork leaves to the child.
 * Any thread. */
#include "client/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* 0 with the text copied ("" for NULL), or INVALID when it is too long. */
static int copy_text(char *to, size_t to_bytes, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;

    if (length >= to_bytes) {
        return WEFT_ERROR_INVALID;
    }
    memcpy(to, text != NULL ? text : "", length + 1);
    return 0;
}

static int take_options(struct weft_client *client, const struct weft_options *options)
{
    struct paths_source source;

    weft_options_init(&client->options);
    if (options != NULL) {
        if (options->struct_bytes != sizeof *options || options->compression_level < 0 ||
            options->compression_level > ZSTD_maxCLevel()) {
            return WEFT_ERROR_INVALID;
        }
        client->options = *options;
    }
    int error = copy_text(client->node, sizeof client->node, client->options.node);
    error =
        error != 0 ? error : copy_text(client->workload, sizeof client->workload, client->options.workload);
    error = error != 0 ? error
                       : copy_text(client->workload_namespace, sizeof client->workload_namespace,
                             client->options.workload_namespace);
    if (error == 0 && client->options.socket_path != NULL) {
        return copy_text(client->socket_path, sizeof client->socket_path, client->options.socket_path);
    }
    paths_source_init(&source, PATHS_SOCKET_RECORDS);
    if (error == 0 && !paths_find(&source, PATHS_SOCKET_RECORDS, client->socket_path)) {
        return WEFT_ERROR_INVALID;
    }
    return error;
}

/* A new sender, as far as the agent can tell: its own id and sequence. */
void client_new_instance(struct weft_client *client)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    client->start_time_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (getrandom(client->instance, sizeof client->instance, 0) != (ssize_t)sizeof client->instance) {
        uint64_t weak[2] = {client->start_time_unix_ns, (uint64_t)getpid() << 32 ^ client_now_ns()};
        memcpy(client->instance, weak, sizeof weak);
    }
    memcpy(&client->random, client->instance, sizeof client->random);
    client->random |= 1;
    client->next_sequence = 1;
}

/* 0 or -1. Waits are measured by the monotonic clock. */
static int init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0) {
        return -1;
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed != 0 ? -1 : 0;
}

/* The big pieces of memory; what is made before a failure is freed by free_client. */
static int allocate(struct weft_client *client)
{
    client->columns = malloc(sizeof *client->columns);
    if (client->columns == NULL || backlog_init(&client->backlog, client->options.backlog_bytes_max) < 0) {
        return WEFT_ERROR_NOMEM;
    }
    span_columns_reset(client->columns);
    if (client->options.compression_level > 0 && (client->zstd = ZSTD_createCCtx()) == NULL) {
        return WEFT_ERROR_NOMEM;
    }
    if (init_condition(&client->flushed) < 0 || pthread_mutex_init(&client->lock, NULL) != 0) {
        return WEFT_ERROR_NOMEM;
    }
    return 0;
}

static void free_client(struct weft_client *client)
{
    while (client->rings != NULL) {
        struct ring *ring = client->rings;
        client->rings = ring->next;
        ring_unref(ring);
    }
    if (client->link.fd >= 0) {
        close(client->link.fd);
    }
    if (client->wake_fd >= 0) {
        close(client->wake_fd);
    }
    buffer_deinit(&client->link.output);
    backlog_deinit(&client->backlog);
    strings_deinit(&client->strings);
    metrics_deinit(&client->metrics);
    logs_deinit(&client->logs);
    ZSTD_freeCCtx(client->zstd);
    free(client->columns);
    free(client->points);
    free(client);
}

int weft_open(const struct weft_options *options, struct weft_client **ret_client)
{
    struct weft_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return WEFT_ERROR_NOMEM;
    }
    client->link = (struct link){.fd = -1, .backoff_ms = CLIENT_BACKOFF_MS_MIN};
    client->wake_fd = -1;
    buffer_init(&client->link.output, CLIENT_OUTPUT_BYTES_MAX);
    strings_init(&client->strings, WEFT_STRINGS_COUNT_MAX);
    if (logs_init(&client->logs) < 0) {
        free(client);
        return WEFT_ERROR_NOMEM;
    }
    int error = take_options(client, options);
    error = error != 0 ? error : allocate(client);
    if (error != 0) {
        free_client(client);
        return error;
    }
    client_new_instance(client);
    error = client_enter_process(client);
    if (error == 0) {
        pthread_mutex_lock(&client->lock);
        error = client_start(client);
        pthread_mutex_unlock(&client->lock);
        if (error != 0) {
            client_leave_process(client);
        }
    }
    if (error != 0) {
        free_client(client);
        return error;
    }
    *ret_client = client;
    return 0;
}

int client_start(struct weft_client *client)
{
    sigset_t all;
    sigset_t before;

    if (atomic_load(&client->thread_running)) {
        return 0;
    }
    if (client->wake_fd < 0) {
        client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (client->wake_fd < 0) {
        return WEFT_ERROR_IO;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&client->thread, NULL, client_sender, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        return WEFT_ERROR_IO;
    }
    atomic_store(&client->thread_running, true);
    return 0;
}

void client_revive(struct weft_client *client)
{
    pthread_mutex_lock(&client->lock);
    client_start(client);
    pthread_mutex_unlock(&client->lock);
}

void client_wake(struct weft_client *client)
{
    uint64_t one = 1;

    if (client->wake_fd >= 0) {
        (void)!write(client->wake_fd, &one, sizeof one);
    }
}

/* The parent goes on with its own; all that was waiting or under way is its affair. */
void client_after_fork(struct weft_client *client, const struct ring *own)
{
    atomic_store(&client->thread_running, false);
    init_condition(&client->flushed); /* its waiters stayed behind */
    close(client->wake_fd);
    client->wake_fd = -1;
    if (client->link.fd >= 0) {
        close(client->link.fd);
    }
    buffer_deinit(&client->link.output);
    client->link = (struct link){.fd = -1, .backoff_ms = CLIENT_BACKOFF_MS_MIN};
    buffer_init(&client->link.output, CLIENT_OUTPUT_BYTES_MAX);
    while (client->rings != NULL) {
        struct ring *ring = client->rings;
        client->rings = ring->next;
        if (ring != own) {
            atomic_store(&ring->references, 1); /* its thread does not exist here */
        }
        ring_unref(ring);
    }
    span_columns_reset(client->columns);
    backlog_clear(&client->backlog);
    metrics_reset(&client->metrics);
    logs_reset(&client->logs);
    if (client->points != NULL) {
        client->points->next = 0;
    }
    client->flush = (struct flush){0};
    client->stats = (struct weft_stats){0};
    atomic_store(&client->homeless_spans, 0);
    client_new_instance(client);
}

int weft_record_span(struct weft_client *client, const struct weft_span *span)
{
    struct ring *ring = client_ring(client);

    if (__builtin_expect(ring == NULL, 0)) {
        atomic_fetch_add_explicit(&client->homeless_spans, 1, memory_order_relaxed);
        return WEFT_ERROR_FULL;
    }
    return ring_push(ring, span) ? 0 : WEFT_ERROR_FULL;
}

int weft_log(struct weft_client *client, const struct weft_log_record *record)
{
    if (!atomic_load_explicit(&client->thread_running, memory_order_relaxed)) {
        client_revive(client); /* in a forked child */
    }
    return logs_add(&client->logs, record);
}

uint32_t weft_intern(struct weft_client *client, const char *text, size_t length)
{
    if (length == 0 || length > WEFT_STRING_BYTES_MAX) {
        return 0;
    }
    pthread_mutex_lock(&client->lock);
    uint32_t id = strings_intern(&client->strings, slice_of(text, length));
    pthread_mutex_unlock(&client->lock);
    return id;
}

static int register_metric(struct weft_client *client, const struct weft_metric *identity,
    Weft__V1__MetricType type, size_t bytes, struct metric **ret_metric)
{
    pthread_mutex_lock(&client->lock);
    if (client->points == NULL) {
        client->points = calloc(1, sizeof *client->points);
    }
    int error = client->points != NULL
                    ? metrics_add(&client->metrics, &client->strings, identity, type, bytes, ret_metric)
                    : WEFT_ERROR_NOMEM;
    if (error == 0) {
        (*ret_metric)->client = client;
        (*ret_metric)->sender_running = &client->thread_running;
        if (type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_HISTOGRAM) {
            ((struct weft_histogram *)*ret_metric)->dropped_points = &client->metrics.dropped_points;
        }
    }
    pthread_mutex_unlock(&client->lock);
    return error;
}

int weft_counter_new(
    struct weft_client *client, const struct weft_metric *metric, struct weft_counter **ret_counter)
{
    return register_metric(client, metric, WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER, sizeof **ret_counter,
        (struct metric **)ret_counter);
}

int weft_gauge_new(
    struct weft_client *client, const struct weft_metric *metric, struct weft_gauge **ret_gauge)
{
    return register_metric(client, metric, WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE, sizeof **ret_gauge,
        (struct metric **)ret_gauge);
}

int weft_histogram_new(
    struct weft_client *client, const struct weft_metric *metric, struct weft_histogram **ret_histogram)
{
    return register_metric(client, metric, WEFT__V1__METRIC_TYPE__METRIC_TYPE_HISTOGRAM,
        sizeof **ret_histogram, (struct metric **)ret_histogram);
}

static struct timespec deadline_after(uint32_t timeout_ms)
{
    uint64_t at_ns = client_now_ns() + timeout_ms * UINT64_C(1000000);

    return (struct timespec){.tv_sec = (time_t)(at_ns / 1000000000), .tv_nsec = (long)(at_ns % 1000000000)};
}

int weft_flush(struct weft_client *client, uint32_t timeout_ms)
{
    struct timespec deadline = deadline_after(timeout_ms);
    int failed = 0;

    pthread_mutex_lock(&client->lock);
    int error = client_start(client);
    uint64_t ticket = ++client->flush.requested;
    client_wake(client);
    while (error == 0 && client->flush.done < ticket && failed == 0) {
        failed = pthread_cond_timedwait(&client->flushed, &client->lock, &deadline);
    }
    bool done = client->flush.done >= ticket;
    pthread_mutex_unlock(&client->lock);
    return error != 0 ? error : done ? 0 : WEFT_ERROR_TIMEOUT;
}

int weft_close(struct weft_client *client)
{
    int error = 0;

    if (client == NULL) {
        return 0;
    }
    if (atomic_load(&client->thread_running)) {
        error = weft_flush(client, client->options.close_timeout_ms);
        pthread_mutex_lock(&client->lock);
        client->stopping = true;
        client_wake(client);
        pthread_mutex_unlock(&client->lock);
        pthread_join(client->thread, NULL);
    }
    client_leave_process(client);
    pthread_mutex_destroy(&client->lock);
    pthread_cond_destroy(&client->flushed);
    free_client(client);
    return error;
}

void client_dropped(const struct weft_client *client, uint64_t *ret_spans, uint64_t *ret_points)
{
    uint64_t spans =
        client->stats.dropped_spans + atomic_load_explicit(&client->homeless_spans, memory_order_relaxed);

    for (const struct ring *ring = client->rings; ring != NULL; ring = ring->next) {
        spans += atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    }
    *ret_spans = spans;
    *ret_points = atomic_load_explicit(&client->metrics.dropped_points, memory_order_relaxed);
}

void weft_stats(struct weft_client *client, struct weft_stats *ret_stats)
{
    pthread_mutex_lock(&client->lock);
    *ret_stats = client->stats;
    client_dropped(client, &ret_stats->dropped_spans, &ret_stats->dropped_points);
    for (const struct ring *ring = client->rings; ring != NULL; ring = ring->next) {
        ret_stats->recorded_spans += atomic_load_explicit(&ring->head, memory_order_relaxed);
    }
    logs_counts(&client->logs, &ret_stats->recorded_logs, &ret_stats->dropped_logs);
    ret_stats->backlog_bytes = client->backlog.bytes;
    ret_stats->connected = client->link.state == LINK_READY ? 1 : 0;
    pthread_mutex_unlock(&client->lock);
}

const char *weft_version(void)
{
    return WEFT_VERSION;
}
