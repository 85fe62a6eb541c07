/* A shard's thread: its connections, its record path, and the letters it exchanges with aggregator and
 * exporter. */
#include "shard.h"

#include <stdlib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"
#include "context/pods.h"
#include "receivers/tcp_guard.h"
#include "shard_internal.h"

enum { SHARD_TICK_MS = 1000, LOAD_QUARTERS = 4, DRAIN_GRACE_MS = 300, DRAIN_AGAIN_MS = 10 };

/* A native connection of this shard. */
struct native_peer {
    struct peer peer; /* first member: the handlers' user */
    struct shard *shard;
    enum listener_kind kind;
    struct native_connection *connection;
    struct native_peer *next;
    struct native_peer *previous;
};

/* ---- connections ---- */

static void connection_ended(struct shard *shard, enum listener_kind kind)
{
    shard_inlet_release(shard->inlet, kind);
}

static void identify(const struct shard *shard, int fd, struct sender *ret_sender)
{
    if (!tcp_sender(shard->tls, fd, ret_sender)) {
        (void)sender_of_socket(fd, "/proc", ret_sender); /* what cannot be told leaves it unknown */
    }
    (void)pods_describe(shard->common->pods, ret_sender);
}

/* Whoever may not send is told by the end of its connection. */
static bool is_welcome(const struct shard *shard, int fd)
{
    struct sender sender = {.pid = 0};

    if (sender_rules_are_none(&shard->senders)) {
        return true;
    }
    identify(shard, fd, &sender);
    return sender_rules_allow(&shard->senders, sender.id);
}

static void turn_away(struct shard *shard, int fd, enum listener_kind kind)
{
    metric_add(shard->cells, METRIC_CONNECTIONS_DENIED, 1);
    (void)close(fd);
    connection_ended(shard, kind);
}

static void init_peer(struct shard *shard, struct peer *peer, int fd)
{
    *peer = (struct peer){.pipeline = &shard->pipeline, .next = shard->peers};
    if (peer->next != NULL) {
        peer->next->previous = peer;
    }
    shard->peers = peer;
    identify(shard, fd, &peer->sender);
    context_sender_bind(&shard->pipeline.context, &peer->sender);
}

/* What was connected before its pod was known learns who it is. */
static void describe_peers(struct shard *shard)
{
    uint32_t generation = shard->common->pods != NULL ? pods_generation(shard->common->pods) : 0;

    if (generation == shard->pods_generation) {
        return;
    }
    shard->pods_generation = generation;
    for (struct peer *peer = shard->peers; peer != NULL; peer = peer->next) {
        struct sender known = peer->sender;

        if (known.pod[0] == '\0' && pods_describe(shard->common->pods, &known)) {
            context_sender_release(&shard->pipeline.context, &peer->sender);
            peer->sender = known;
            context_sender_bind(&shard->pipeline.context, &peer->sender);
        }
    }
}

static void deinit_peer(struct shard *shard, struct peer *peer)
{
    if (peer->previous != NULL) {
        peer->previous->next = peer->next;
    } else {
        shard->peers = peer->next;
    }
    if (peer->next != NULL) {
        peer->next->previous = peer->previous;
    }
    context_sender_release(&peer->pipeline->context, &peer->sender);
}

static void *on_http_opened(void *user, int fd, enum listener_kind kind)
{
    struct shard *shard = user;

    if (!listener_takes_records(kind)) {
        return (void *)(uintptr_t)http_origin(fd, http_inlets_peer(&shard->inlets, fd));
    }
    struct peer *peer = malloc(sizeof *peer);
    if (peer != NULL) {
        init_peer(shard, peer, fd);
    }
    return peer;
}

static void on_http_closed(void *user, void *connection_user, enum listener_kind kind)
{
    struct peer *peer = http_is_origin(connection_user) ? NULL : connection_user;

    if (peer != NULL) {
        deinit_peer(user, peer);
        free(peer);
    }
    connection_ended(user, kind);
}

static void on_http_request(void *user, struct http_exchange *exchange)
{
    struct shard *shard = user;

    http_routes_handle(&shard->routes, exchange);
}

static bool on_http_body(void *user, struct http_exchange *exchange)
{
    struct shard *shard = user;

    return http_traces_takes_body(&shard->routes, exchange);
}

/* What an HTTP/2 connection hangs on. */
struct h2_peer {
    struct peer peer; /* first member: grpc_call.connection_user */
    struct shard *shard;
    enum listener_kind kind; /* where it came from: LISTENER_INGEST or LISTENER_OTLP, as below */
};

static void on_h2_closed(void *user, enum h2_close_reason reason)
{
    struct h2_peer *peer = user;

    (void)reason; /* counted where it was found */
    deinit_peer(peer->shard, &peer->peer);
    connection_ended(peer->shard, peer->kind);
    free(peer);
}

static int add_h2(struct shard *shard, int fd, enum listener_kind kind)
{
    struct h2_peer *peer = malloc(sizeof *peer);
    struct h2_connection *connection;

    if (peer == NULL) {
        return WERR_NOMEM;
    }
    peer->shard = shard;
    peer->kind = kind;
    init_peer(shard, &peer->peer, fd);
    int error = h2_connection_new(&shard->h2, fd, slice_of(NULL, 0), peer, on_h2_closed, &connection);
    if (error < 0) {
        deinit_peer(shard, &peer->peer);
        free(peer);
    }
    return error;
}

static void on_native_closed(void *user, struct native_connection *connection, const char *reason)
{
    struct native_peer *peer = user;
    struct shard *shard = peer->shard;

    (void)connection;
    (void)reason;
    if (peer->previous != NULL) {
        peer->previous->next = peer->next;
    } else {
        shard->native_peers = peer->next;
    }
    if (peer->next != NULL) {
        peer->next->previous = peer->previous;
    }
    native_dictionary_deinit(&peer->peer.dictionary);
    deinit_peer(shard, &peer->peer);
    connection_ended(shard, peer->kind);
    free(peer);
}

static const struct native_handler native_handler = {
    .hello = pipeline_native_hello,
    .dictionary = pipeline_native_dictionary,
    .spans = pipeline_native_spans,
    .metrics = pipeline_native_metrics,
    .logs = pipeline_native_logs,
    .stats = pipeline_native_stats,
    .closed = on_native_closed,
};

static int add_native(struct shard *shard, int fd, enum listener_kind kind)
{
    struct native_peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL) {
        return WERR_NOMEM;
    }
    peer->shard = shard;
    peer->kind = kind;
    init_peer(shard, &peer->peer, fd);
    native_dictionary_init(&peer->peer.dictionary, &shard->pipeline.context, shard->common->series);
    int error = native_connection_new(shard->native, fd, &native_handler, peer, &peer->connection);
    if (error < 0) {
        native_dictionary_deinit(&peer->peer.dictionary);
        deinit_peer(shard, &peer->peer);
        free(peer);
        return error;
    }
    peer->next = shard->native_peers;
    if (peer->next != NULL) {
        peer->next->previous = peer;
    }
    shard->native_peers = peer;
    return 0;
}

static void on_sniffed(void *user, int fd, enum sniffed sniffed)
{
    struct shard *shard = user;
    enum listener_kind kind = tcp_carries(fd) ? LISTENER_OTLP : LISTENER_INGEST;
    int error = WERR_PROTOCOL;

    if (!is_welcome(shard, fd)) {
        turn_away(shard, fd, kind);
        return;
    }
    switch (sniffed) {
    case SNIFFED_NATIVE:
        error = add_native(shard, fd, kind);
        break;
    case SNIFFED_HTTP2:
        error = add_h2(shard, fd, kind);
        break;
    case SNIFFED_HTTP1:
        http_server_add(shard->http, fd, kind);
        return;
    case SNIFFED_INCOMPLETE:
    case SNIFFED_UNKNOWN:
    default:
        break;
    }
    if (error < 0) {
        (void)close(fd);
        connection_ended(shard, kind);
    }
}

/* ---- statsd, X-Ray, access log lines ---- */

int shard_take_statsd(struct shard *shard, const struct datagram_socket *socket)
{
    return shard_receivers_take_statsd(&shard->receivers, socket);
}

int shard_take_xray(struct shard *shard, const struct datagram_socket *socket)
{
    return shard_receivers_take_xray(&shard->receivers, socket);
}

int shard_take_log(struct shard *shard, uint32_t index, const struct datagram_socket *socket)
{
    return shard_receivers_take_log(&shard->receivers, index, socket);
}

static void on_stream_ended(void *user)
{
    connection_ended(user, LISTENER_LOG); /* or LISTENER_STATSD, which counts as the same */
}

static void add_stream(struct shard *shard, enum listener_kind kind, uint32_t index, int fd)
{
    if (!is_welcome(shard, fd)) {
        turn_away(shard, fd, kind);
        return;
    }
    if (shard_receivers_add(&shard->receivers, kind, index, fd, on_stream_ended, shard) < 0) {
        (void)close(fd);
        connection_ended(shard, kind);
    }
}

/* ---- records over TCP ---- */

static void on_tls_done(void *user, int fd)
{
    struct shard *shard = user;

    if (fd >= 0 && !shard->records_closed) {
        sniffer_add(&shard->sniffer, fd);
        return;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    connection_ended(shard, LISTENER_OTLP);
}

static int add_tls(struct shard *shard, int fd)
{
    struct tls_inlet_config config = {
        .loop = &shard->thread.loop,
        .context = shard->guard.tls,
        .handshake_ms_max = shard->limits.sniff_timeout_ms,
        .linger_ms_max = TLS_LINGER_MS,
        .cells = shard->cells,
        .done = on_tls_done,
        .user = shard,
    };
    int error = shard->tls == NULL ? tls_inlet_new(&config, &shard->tls) : 0;

    return error == 0 ? tls_inlet_add(shard->tls, fd) : error;
}

static void add_tcp(struct shard *shard, int fd)
{
    int yes = 1;

    if (!tcp_guard_allows(&shard->guard, fd)) {
        turn_away(shard, fd, LISTENER_OTLP);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (shard->guard.tls == NULL) {
        sniffer_add(&shard->sniffer, fd);
    } else if (add_tls(shard, fd) < 0) {
        (void)close(fd);
        connection_ended(shard, LISTENER_OTLP);
    }
}

/* ---- arrivals ---- */

void shard_on_arrival(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;
    struct arrival *arrival = (struct arrival *)mail;
    int fd = arrival->fd;
    enum listener_kind kind = arrival->kind;
    uint32_t index = arrival->receiver;

    free(arrival);
    metric_add(shard->cells, METRIC_CONNECTIONS_ACCEPTED, 1);
    if (!listener_takes_records(kind)) {
        http_inlets_add(&shard->inlets, fd, kind);
    } else if (shard->pipeline.draining) {
        (void)close(fd);
        connection_ended(shard, kind);
    } else if (kind == LISTENER_STATSD || kind == LISTENER_LOG) {
        add_stream(shard, kind, index, fd);
    } else if (kind == LISTENER_OTLP) {
        add_tcp(shard, fd);
    } else {
        sniffer_add(&shard->sniffer, fd);
    }
}

/* ---- the tick ---- */

/* CPU time, not time awake: on a crowded machine an idle shard waits for its turn as well. */
static uint64_t thread_cpu_ns(void)
{
    struct timespec used = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void on_tick(uv_timer_t *timer)
{
    struct shard *shard = timer->data;
    uint64_t now_ns = uv_hrtime();
    uint64_t cpu_ns = thread_cpu_ns();
    uint64_t elapsed_ns = now_ns - shard->tick_ns;

    atomic_store_explicit(&shard->inlet->load_quarters,
        elapsed_ns > 0 ? (uint32_t)((cpu_ns - shard->cpu_ns) * LOAD_QUARTERS / elapsed_ns) : 0,
        memory_order_relaxed);
    metric_set(shard->cells, METRIC_CONNECTIONS_OPEN,
        atomic_load_explicit(&shard->inlet->connection_count, memory_order_relaxed));
    metric_add(shard->cells, METRIC_LOOP_TICKS, 1);
    pipeline_expire_attempts(&shard->pipeline, false);
    pipeline_settle_held(&shard->pipeline, false);
    ring_tick(shard->pipeline.ring);
    describe_peers(shard);
    shard_receivers_end_idle(&shard->receivers,
        atomic_exchange_explicit(&shard->inlet->lines_refused_count, 0, memory_order_relaxed));
    shard->tick_ns = now_ns;
    shard->cpu_ns = cpu_ns;
}

/* ---- drain and stop ---- */

static void close_records(struct shard *shard)
{
    if (shard->records_closed) {
        return;
    }
    shard->records_closed = true;
    shard_receivers_close(&shard->receivers); /* what came before this is still taken */
    shard->pipeline.draining = true;
    scraper_close(shard->scraper);
    sniffer_close(&shard->sniffer);
    if (shard->h2_ready) {
        h2_endpoint_close(&shard->h2);
    }
    for (struct native_peer *peer = shard->native_peers; peer != NULL; peer = peer->next) {
        native_connection_close(peer->connection, "stopping");
    }
}

/*
 * The last values; once they are on their way to the aggregator, main may go on. With the delta before still
 * away it tries again: the letter is posted once only.
 */
static void on_drain_values(uv_timer_t *timer)
{
    struct shard *shard = timer->data;
    struct delta *delta = directory_flip(shard->pipeline.directory);

    if (delta == NULL) {
        (void)uv_timer_start(&shard->drain_timer, on_drain_values, DRAIN_AGAIN_MS, 0);
        return;
    }
    shard->drain_letter = (struct delta_letter){.shard_index = shard->index, .delta = delta};
    aggregator_thread_post_delta(shard->common->aggregator, &shard->drain_letter);
    (void)mailbox_post(shard->drained_to, shard->drained_mail);
}

static void on_drain_over(uv_timer_t *timer)
{
    struct shard *shard = timer->data;

    close_records(shard);
    pipeline_expire_attempts(&shard->pipeline, true);
    pipeline_settle_held(&shard->pipeline, true);
    pipeline_keep_flush(&shard->pipeline);
    pipeline_timing_flush(&shard->pipeline.timing);
    span_segment_flush(&shard->pipeline.segment);
    on_drain_values(timer);
}

static void on_drain(struct mail *mail, void *receiver)
{
    struct shard *shard = receiver;
    uint32_t retry_after_ms = (uint32_t)shard->limits.retry_after_ms;

    (void)mail; /* the shard's own */
    h2_endpoint_drain(&shard->h2);
    for (struct native_peer *peer = shard->native_peers; peer != NULL; peer = peer->next) {
        native_connection_drain(peer->connection, retry_after_ms);
    }
    (void)uv_timer_start(&shard->drain_timer, on_drain_over, DRAIN_GRACE_MS, 0);
}

void shard_drain(struct shard *shard, struct mailbox *reply_to, struct mail *done)
{
    shard->drained_to = reply_to;
    shard->drained_mail = done;
    shard->drain_mail = (struct mail){.deliver = on_drain};
    (void)mailbox_post(&shard->thread.mailbox, &shard->drain_mail);
}

static void close_all(struct shard *shard)
{
    close_records(shard);
    tap_shard_close(&shard->tap_shard);
    pipeline_close(&shard->pipeline);
    trace_shard_close(&shard->trace_shard);
    trace_cooling_close(&shard->trace_cooling);
    http_server_close(shard->http);
    tls_inlet_close(shard->tls);
    http_inlets_close(&shard->inlets);
    uv_close((uv_handle_t *)&shard->tick, NULL);
    uv_close((uv_handle_t *)&shard->drain_timer, NULL);
    loop_thread_finish(&shard->thread);
}

static void on_stop(struct mail *mail, void *receiver)
{
    (void)mail; /* belongs to shard_free's frame */
    close_all(receiver);
}

/* ---- start ---- */

static int init_pipeline(struct shard *shard)
{
    const struct shard_common *common = shard->common;
    bool exports = common->exporter != NULL && exporter_thread_takes(common->exporter, OTLP_SIGNAL_TRACES);
    bool ships = common->exporter != NULL && exporter_thread_takes(common->exporter, OTLP_SIGNAL_LOGS);
    struct pipeline_config config = {
        .shard = (uint32_t)shard->index,
        .limits = &shard->limits,
        .clock = common->clock,
        .bounds = common->bounds,
        .redaction = common->redaction,
        .series = common->series,
        .counts = common->counts,
        .meshes = common->meshes,
        .route_rules = common->config->routes,
        .dropped_labels = common->config->metrics.drop_labels,
        .pods = common->pods,
        .refuse_conflicts = common->config->identity.refuse_conflicts,
        .cells = shard->cells,
        .loop = &shard->thread.loop,
        .profiles = {.profiles = common->config->exporters.prometheus.profiles,
            .graph_side = (enum profile_graph_side)common->config->exporters.prometheus.service_graph},
        .counters_are_deltas = common->config->receivers.metrics_service.counters == CONFIG_COUNTERS_DELTA,
        .cluster = common->config->cluster,
        .ring_bytes = trace_join_ring_bytes(&shard->limits, common->shard_count),
        .ring_compresses = common->config->trace.compress,
        .exporter = exports ? common->exporter : NULL,
        .log_exporter = ships ? common->exporter : NULL,
        .keep = pipeline_keep_config_of(common->config, common->shard_count),
    };

    config.keep.is_first = shard->index == 0;
    const struct thinning *thinning = common->traces != NULL ? trace_thread_thinning(common->traces) : NULL;
    if (thinning != NULL) {
        config.timing =
            (struct pipeline_timing_config){.post = shard_post_timings, .user = shard, .thinning = thinning};
    }
    config.keep.tell = shard_tell_kept;
    config.keep.user = shard;
    return pipeline_init(&shard->pipeline, &config);
}

static void init_taps(struct shard *shard)
{
    shard->tap_shard = (struct tap_shard){
        .hub = shard->common->tap_hub,
        .mailbox = &shard->thread.mailbox,
        .pipeline = &shard->pipeline,
        .limits = &shard->common->config->limits,
        .clock = shard->common->clock,
        .cells = shard->cells,
    };
    tap_shard_init(&shard->tap_shard, &shard->thread.loop);
}

static int init_h2(struct shard *shard)
{
    const struct shard_common *common = shard->common;
    struct h2_endpoint_config config = {
        .loop = &shard->thread.loop,
        .clock = common->clock,
        .grpc =
            {
                .methods = pipeline_grpc_methods,
                .method_count = pipeline_grpc_method_count,
                .user = &shard->pipeline,
                .limits = &shard->limits,
                .assembly = common->assembly,
                .waiting = common->waiting,
                .cells = shard->cells,
            },
    };

    int error = h2_endpoint_init(&shard->h2, &config);
    shard->h2_ready = error == 0;
    return error;
}

static int init_native(struct shard *shard)
{
    const struct shard_common *common = shard->common;
    struct native_config config = {
        .limits = &shard->limits,
        .assembly = common->assembly,
        .instances = common->instances,
        .cells = shard->cells,
    };

    return native_shard_new(&config, &shard->thread.loop, &shard->native);
}

static void on_reader_ended(void *user, enum listener_kind kind)
{
    connection_ended(user, kind);
}

static int init_http(struct shard *shard)
{
    const struct shard_common *common = shard->common;
    struct http_server_config config = {
        .hosts = common->config->http.hosts.items,
        .host_count = common->config->http.hosts.count,
        .loop = &shard->thread.loop,
        .limits = &shard->limits,
        .assembly = common->assembly,
        .cells = shard->cells,
        .handler =
            {
                .request = on_http_request,
                .connection_opened = on_http_opened,
                .connection_closed = on_http_closed,
                .takes_body = on_http_body,
                .user = shard,
            },
    };

    shard->routes = (struct http_routes){
        .aggregator = common->aggregator,
        .mailbox = &shard->thread.mailbox,
        .health = common->health,
        .pipeline = &shard->pipeline,
        .assembly = common->assembly,
        .cells = shard->cells,
        .profiles = common->config->exporters.prometheus.profiles,
        .classic_histograms = common->config->metrics.classic,
        .traces = common->traces,
        .taps = &shard->tap_shard,
        .kept_hub = common->kept_hub,
        .notice_gate = common->notice_gate,
        .config_text = shared_bytes_ref(common->config_text),
        .gate = common->gate,
    };
    inflater_init(&shard->routes.inflater);
    shard->http = http_server_new(&config);
    shard->inlets = (struct http_inlets){
        .gate = common->gate,
        .server = shard->http,
        .config = {.loop = &shard->thread.loop,
            .handshake_ms_max = shard->limits.sniff_timeout_ms,
            .linger_ms_max = TLS_LINGER_MS,
            .cells = shard->cells},
        .ended = on_reader_ended,
        .user = shard,
    };
    return shard->http != NULL ? 0 : WERR_NOMEM;
}

static int init_scraper(struct shard *shard)
{
    const struct shard_common *common = shard->common;
    struct scraper_config config = {
        .targets = &common->config->receivers.scrape,
        .shard_index = shard->index,
        .shard_count = common->shard_count,
        .limits = &shard->limits,
        .loop = &shard->thread.loop,
        .pipeline = &shard->pipeline,
        .assembly = common->assembly,
        .registry = common->registry,
        .log = common->log,
    };

    return scraper_new(&config, &shard->scraper);
}

static void init_timers(struct shard *shard)
{
    (void)uv_timer_init(&shard->thread.loop, &shard->tick);
    (void)uv_timer_init(&shard->thread.loop, &shard->drain_timer);
    shard->tick.data = shard;
    shard->drain_timer.data = shard;
    shard->tick_ns = uv_hrtime();
    (void)uv_timer_start(&shard->tick, on_tick, SHARD_TICK_MS, SHARD_TICK_MS);
}

/* In the order of their making; each is fine with what was never made. */
static void free_parts(struct shard *shard)
{
    loop_thread_deinit(&shard->thread);
    http_server_free(shard->http);
    tls_inlet_free(shard->tls);
    http_inlets_free(&shard->inlets);
    inflater_deinit(&shard->routes.inflater);
    shared_bytes_unref(shard->routes.config_text);
    scraper_free(shard->scraper);
    native_shard_free(shard->native);
    if (shard->h2_ready) {
        h2_endpoint_deinit(&shard->h2);
    }
    shard_receivers_deinit(&shard->receivers);
    trace_shard_deinit(&shard->trace_shard);
    pipeline_deinit(&shard->pipeline);
    free(shard);
}

int shard_new(const struct shard_common *common, size_t index, struct metric_cells *cells,
    struct shard_inlet *inlet, struct shard **ret_shard)
{
    struct shard *shard = calloc(1, sizeof *shard);

    if (shard == NULL) {
        return WERR_NOMEM;
    }
    shard->common = common;
    shard->limits = common->config->limits;
    shard->guard = *common->guard;
    shard->senders = shard_sender_rules(common->config);
    shard->index = index;
    shard->cells = cells;
    shard->inlet = inlet;
    int error = loop_thread_init(&shard->thread, shard);
    if (error < 0) {
        free(shard);
        return error;
    }
    error = init_pipeline(shard);
    if (error < 0) {
        loop_thread_deinit(&shard->thread);
        free(shard);
        return error;
    }
    trace_shard_init(&shard->trace_shard, &shard->thread.loop, shard->pipeline.ring, common->clock);
    trace_cooling_init(
        &shard->trace_cooling, &shard->thread.loop, shard->pipeline.ring, common->config->trace.compress);
    init_taps(shard);
    shard_receivers_init(
        &shard->receivers, &shard->pipeline, &shard->thread.loop, common->config, common->log);
    sniffer_init(
        &shard->sniffer, &shard->thread.loop, shard->limits.sniff_timeout_ms, cells, on_sniffed, shard);
    init_timers(shard);
    error = init_h2(shard);
    if (error == 0) {
        error = init_native(shard);
    }
    if (error == 0) {
        error = init_http(shard);
    }
    if (error == 0) {
        error = init_scraper(shard);
    }
    if (error < 0) {
        shard_free(shard);
        return error;
    }
    *inlet = (struct shard_inlet){.mailbox = &shard->thread.mailbox};
    shard_letters_enter(shard);
    *ret_shard = shard;
    return 0;
}

int shard_start(struct shard *shard)
{
    return loop_thread_start(&shard->thread, "weft-shard");
}

struct loop_thread *shard_thread(struct shard *shard)
{
    return &shard->thread;
}

void shard_stop(struct shard *shard)
{
    struct mail stop = {.deliver = on_stop};

    if (shard == NULL || shard->stopped) {
        return;
    }
    if (shard->thread.started) {
        (void)mailbox_post(&shard->thread.mailbox, &stop);
        loop_thread_join(&shard->thread);
    } else {
        close_all(shard);
    }
    shard->stopped = true;
}

void shard_free(struct shard *shard)
{
    if (shard == NULL) {
        return;
    }
    shard_stop(shard);
    free_parts(shard);
}
