/* Start, drain and stop of the agent; runs on main's loop. */
#include "daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregator_thread.h"
#include "config/cpu.h"
#include "config/memory.h"
#include "context/count_source.h"
#include "core/error.h"
#include "core/mailbox.h"
#include "exporter_thread.h"
#include "health.h"
#include "listen/acceptor.h"
#include "listeners.h"
#include "receivers/pod_source.h"
#include "receivers/receivers.h"
#include "http/http_gate.h"
#include "receivers/tcp_guard.h"
#include "reload.h"
#include "tracing/kept_hub.h"
#include "tracing/notice_gate.h"
#include "service_manager.h"
#include "shard.h"
#include "tracing/tap_hub.h"
#include "tracing/trace_thread.h"

enum { HEALTH_CHECK_MS = 1000, STOP_MARGIN_MS = 10000 };

#define TAKING_RECORDS "taking records"

enum drain_step { DRAIN_NONE, DRAIN_SHARDS, DRAIN_TIMES, DRAIN_METRICS, DRAIN_QUEUES, DRAIN_DONE };

struct daemon {
    const struct config *config;
    struct log *log;
    uv_loop_t *loop;
    struct mailbox mailbox;
    uv_signal_t signals[2];
    uv_signal_t reload_signal;
    struct reload reload;
    const struct config_source *source;
    uv_timer_t health_timer;
    uv_timer_t drain_timer;
    struct metric_registry registry;
    struct metric_cells *cells; /* main's own */
    struct health health;
    struct service_manager manager;
    const char *told_stalled; /* the loop that the manager was told of last, NULL for none */
    struct budget assembly;
    struct budget waiting;
    struct budget series;
    struct count_sources *counts;
    struct instances *instances;
    struct sender_mesh_rule *mesh_rules;
    size_t mesh_rule_count;
    struct split_bounds bounds;
    struct redaction redaction;
    struct exporter_thread exporter;
    bool exporting;
    struct aggregator_thread *aggregator;
    struct trace_thread *traces;
    struct shard_common common;
    struct kept_hub kept_hub;
    struct tap_hub tap_hub;
    struct notice_gate notice_gate;
    bool has_gate;
    struct shard *shards[CONFIG_SHARD_COUNT_MAX];
    struct shard_inlet inlets[CONFIG_SHARD_COUNT_MAX];
    struct mail shard_drained[CONFIG_SHARD_COUNT_MAX];
    size_t shard_count;
    size_t draining_count; /* shards that have not handed over yet */
    struct mail step_done;
    struct listeners listeners;
    struct receivers receivers;
    struct tcp_guard guard;     /* of records over TCP */
    struct http_gate http_gate; /* of queries over TCP */
    struct acceptor records;    /* weft.sock: ends with the drain */
    struct acceptor http;       /* api.sock and TCP: goes on, so that /readyz can say 503 */
    bool accepting;
    struct pods pods;
    struct pod_source *pod_source; /* NULL: none is configured */
    enum drain_step step;
};

static int fail(char *reason, int error, const char *what)
{
    (void)snprintf(reason, DAEMON_REASON_BYTES, "%s: %s", what, werr_text(error));
    return error;
}

/* The end of the drain, in time or not: main's loop has nothing left to wait for. */
static void finish(struct daemon *daemon)
{
    if (daemon->step == DRAIN_DONE) {
        return;
    }
    daemon->step = DRAIN_DONE;
    acceptor_stop(&daemon->http);
    pod_source_close(daemon->pod_source);
    daemon->pod_source = NULL;
    uv_close((uv_handle_t *)&daemon->drain_timer, NULL);
    uv_close((uv_handle_t *)&daemon->health_timer, NULL);
    uv_close((uv_handle_t *)&daemon->signals[0], NULL);
    uv_close((uv_handle_t *)&daemon->signals[1], NULL);
    uv_close((uv_handle_t *)&daemon->reload_signal, NULL);
    /* A further signal shall not kill what is about to end by itself: closed handles leave the default. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    uv_stop(daemon->loop);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;

    log_event(daemon->log, LOG_LEVEL_WARN, "drain_timeout",
        LOG_I("limit_ms", daemon->reload.current->limits.drain_ms));
    finish(daemon);
}

static void on_step_done(struct mail *mail, void *receiver)
{
    struct daemon *daemon = receiver;

    (void)mail;
    if (daemon->step == DRAIN_METRICS && daemon->exporting) {
        daemon->step = DRAIN_QUEUES;
        daemon->step_done = (struct mail){.deliver = on_step_done};
        if (exporter_thread_drain(&daemon->exporter, daemon->reload.current->limits.drain_ms,
                &daemon->mailbox, &daemon->step_done)) {
            return;
        }
    }
    finish(daemon);
}

static void on_times_told(struct mail *mail, void *receiver)
{
    struct daemon *daemon = receiver;

    (void)mail;
    if (daemon->step != DRAIN_TIMES) {
        return;
    }
    daemon->step = DRAIN_METRICS;
    daemon->step_done = (struct mail){.deliver = on_step_done};
    if (!aggregator_thread_finish(daemon->aggregator, &daemon->mailbox, &daemon->step_done)) {
        finish(daemon);
    }
}

static void on_shard_drained(struct mail *mail, void *receiver)
{
    struct daemon *daemon = receiver;

    (void)mail;
    if (--daemon->draining_count > 0 || daemon->step != DRAIN_SHARDS) {
        return;
    }
    /* What the shards posted last is joined before the last values are asked for. */
    daemon->step = DRAIN_TIMES;
    daemon->step_done = (struct mail){.deliver = on_times_told};
    trace_thread_finish(daemon->traces, &daemon->mailbox, &daemon->step_done);
}

static void begin_drain(struct daemon *daemon)
{
    uint32_t at_most_ms = (uint32_t)daemon->reload.current->limits.drain_ms + STOP_MARGIN_MS;

    daemon->step = DRAIN_SHARDS;
    reload_close(&daemon->reload);
    atomic_store(&daemon->health.draining, true);
    (void)service_manager_stopping(&daemon->manager, "handing over what was received", at_most_ms);
    acceptor_stop(&daemon->records);
    daemon->draining_count = daemon->shard_count;
    (void)uv_timer_start(&daemon->drain_timer, on_drain_timeout, daemon->reload.current->limits.drain_ms, 0);
    for (size_t i = 0; i < daemon->shard_count; i++) {
        daemon->shard_drained[i] = (struct mail){.deliver = on_shard_drained};
        shard_drain(daemon->shards[i], &daemon->mailbox, &daemon->shard_drained[i]);
    }
}

/* The first signal drains, a second one does not wait. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;

    log_event(daemon->log, LOG_LEVEL_INFO, "stopping", LOG_I("signal", number));
    if (daemon->step == DRAIN_NONE) {
        begin_drain(daemon);
    } else {
        finish(daemon);
    }
}

/* The watchdog is fed only while every loop ticks; the one that does not is named. */
static void tell_health(struct daemon *daemon)
{
    const char *stalled = health_stalled(&daemon->health);
    char status[96] = TAKING_RECORDS;

    if (stalled == NULL) {
        (void)service_manager_alive(&daemon->manager);
    }
    if (stalled == daemon->told_stalled || daemon->step != DRAIN_NONE) {
        return;
    }
    daemon->told_stalled = stalled;
    if (stalled != NULL) {
        (void)snprintf(status, sizeof status, "the loop of %s has not ticked lately", stalled);
        log_event(daemon->log, LOG_LEVEL_ERROR, "stalled", LOG_S("loop", stalled));
    }
    (void)service_manager_status(&daemon->manager, status);
}

static void on_health_timer(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;

    health_check(&daemon->health, uv_hrtime());
    tell_health(daemon);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;

    (void)number;
    (void)service_manager_reloading(&daemon->manager, uv_hrtime());
    reload_run(&daemon->reload);
}

static void on_reload_ended(void *user)
{
    struct daemon *daemon = user;

    if (daemon->step == DRAIN_NONE) {
        (void)service_manager_reloaded(&daemon->manager, TAKING_RECORDS, daemon->reload.error.text);
    }
}

/* What main's own parts take over. */
static void apply_config(void *user, const struct config *config)
{
    struct daemon *daemon = user;

    log_reconfigure(daemon->log, config->log.level, config->log.format);
    count_sources_reconfigure(daemon->counts, (enum count_from)config->count_from, &config->limits);
    notice_gate_reconfigure(&daemon->notice_gate, config, clock_monotonic_ns(clock_system()));
    acceptor_reconfigure(&daemon->records, &config->limits);
    acceptor_reconfigure(&daemon->http, &config->limits);
}

static int init_reload(struct daemon *daemon, char *reason)
{
    struct reload_settings settings = {
        .source = daemon->source,
        .started_with = daemon->config,
        .clock = clock_system(),
        .log = daemon->log,
        .cells = daemon->cells,
        .mailbox = &daemon->mailbox,
        .apply = apply_config,
        .ended = on_reload_ended,
        .user = daemon,
    };
    int error = reload_init(&daemon->reload, &settings);

    return error < 0 ? fail(reason, error, "start") : 0;
}

static void post_to_shard(void *shard, struct config_letter *letter)
{
    shard_post_config(shard, letter);
}

static void post_to_aggregator(void *aggregator, struct config_letter *letter)
{
    aggregator_thread_post_config(aggregator, letter);
}

static void post_to_traces(void *traces, struct config_letter *letter)
{
    trace_thread_post_config(traces, letter);
}

static void post_to_exporter(void *exporter, struct config_letter *letter)
{
    exporter_thread_post_config(exporter, letter);
}

static void add_reload_parties(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->shard_count; i++) {
        reload_add(&daemon->reload, daemon->shards[i], post_to_shard);
    }
    reload_add(&daemon->reload, daemon->aggregator, post_to_aggregator);
    reload_add(&daemon->reload, daemon->traces, post_to_traces);
    if (daemon->exporting) {
        reload_add(&daemon->reload, &daemon->exporter, post_to_exporter);
    }
}

static void start_handles(struct daemon *daemon)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)uv_signal_init(daemon->loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        (void)uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
    }
    (void)uv_signal_init(daemon->loop, &daemon->reload_signal);
    daemon->reload_signal.data = daemon;
    (void)uv_signal_start(&daemon->reload_signal, on_reload_signal, SIGHUP);
    (void)uv_timer_init(daemon->loop, &daemon->drain_timer);
    daemon->drain_timer.data = daemon;
    (void)uv_timer_init(daemon->loop, &daemon->health_timer);
    daemon->health_timer.data = daemon;
    uint64_t interval_ms = service_manager_interval_ms(&daemon->manager, HEALTH_CHECK_MS);
    (void)uv_timer_start(&daemon->health_timer, on_health_timer, interval_ms, interval_ms);
}

static int init_manager(struct daemon *daemon, char *reason)
{
    struct service_environment environment = service_environment_system();
    int error = service_manager_init(&daemon->manager, &environment);

    return error < 0 ? fail(reason, error, "NOTIFY_SOCKET, WATCHDOG_USEC or LISTEN_FDS of the environment")
                     : 0;
}

/* The patterns of all meshes in one list. */
static int init_meshes(struct daemon *daemon)
{
    const struct config_meshes *meshes = &daemon->config->meshes;
    size_t count = 0;

    for (size_t i = 0; i < meshes->count; i++) {
        count += meshes->items[i].senders.count;
    }
    daemon->mesh_rules = calloc(count + 1, sizeof *daemon->mesh_rules);
    if (daemon->mesh_rules == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < meshes->count; i++) {
        for (size_t j = 0; j < meshes->items[i].senders.count; j++) {
            daemon->mesh_rules[daemon->mesh_rule_count++] = (struct sender_mesh_rule){
                .pattern = meshes->items[i].senders.items[j], .mesh = (uint8_t)(i + 1)};
        }
    }
    return 0;
}

/* What every thread refers to. */
static int init_shared(struct daemon *daemon, char *reason)
{
    const struct config *config = daemon->config;
    const struct limits *limits = &config->limits;

    pods_init(&daemon->pods);
    daemon->assembly.cap_bytes = limits->assembly_bytes_max;
    daemon->waiting.cap_bytes = limits->waiting_bytes_max;
    daemon->series.cap_bytes = limits->series_bytes_max;
    daemon->cells = metric_registry_add(&daemon->registry, METRIC_SCOPE_PROCESS, "");
    if (daemon->cells == NULL) {
        return fail(reason, WERR_NOMEM, "start");
    }
    int error = instances_new(limits->native_instances_count_max, &daemon->instances);
    if (error < 0) {
        return fail(reason, error, "limits.native_instances_count_max");
    }
    error = init_meshes(daemon);
    if (error < 0) {
        return fail(reason, error, "meshes");
    }
    daemon->counts = count_sources_new((enum count_from)config->count_from, limits);
    if (daemon->counts == NULL) {
        return fail(reason, WERR_NOMEM, "start");
    }
    uint64_t bounds_ns[BOUNDS_COUNT_MAX];
    int count = bounds_in_force(config->metrics.bounds_ns.items, config->metrics.bounds_ns.count,
        config->exporters.prometheus.profiles, &config->metrics.bounds_per_route, bounds_ns,
        BOUNDS_COUNT_MAX);
    error = count < 0 ? count : split_bounds_init(&daemon->bounds, bounds_ns, (size_t)count);
    if (error < 0) {
        return fail(reason, error, "metrics.bounds_ms");
    }
    redaction_init(&daemon->redaction);
    for (size_t i = 0; i < config->redact.attributes.count; i++) {
        error = redaction_add(&daemon->redaction, config->redact.attributes.items[i]);
        if (error < 0) {
            return fail(reason, error, "redact.attributes");
        }
    }
    return 0;
}

/* Before anything is allocated by these budgets. */
static int check_memory(struct daemon *daemon, char *reason)
{
    _Static_assert((int)MEMORY_TEXT_BYTES <= (int)DAEMON_REASON_BYTES, "a reason fits");

    struct cgroup_paths paths = cgroup_paths_system();
    uint64_t limit_bytes = memory_limit_bytes(&paths);
    char text[MEMORY_TEXT_BYTES];
    int error = memory_check(daemon->config, daemon->shard_count, limit_bytes, text);

    if (error < 0) {
        (void)snprintf(reason, DAEMON_REASON_BYTES, "%s", text);
        return error;
    }
    if (error > 0) {
        log_event(daemon->log, LOG_LEVEL_WARN, "memory_is_tight", LOG_S("reason", text));
    }
    metric_set(daemon->cells, METRIC_MEMORY_LIMIT, limit_bytes);
    metric_set(daemon->cells, METRIC_MEMORY_BUDGET, memory_budget_bytes(daemon->config, daemon->shard_count));
    return 0;
}

static int start_exporter(struct daemon *daemon, char *reason)
{
    const char *what = "exporters.otlp";

    if (daemon->config->exporters.otlp.count == 0) {
        return 0;
    }
    int error = exporter_thread_init(
        &daemon->exporter, daemon->config, &daemon->registry, clock_system(), daemon->log, &what);
    if (error < 0) {
        return fail(reason, error, what);
    }
    daemon->exporting = true;
    health_watch(&daemon->health, "exporter", &daemon->exporter.thread.tick_count);
    return 0;
}

/* Without a ring nothing can be pinned; exemplars lead to where spans are exported then. */
static bool has_ring(const struct daemon *daemon)
{
    return daemon->config->limits.trace_ring_bytes / daemon->shard_count >= RING_SHARE_BYTES_MIN;
}

static int start_aggregator(struct daemon *daemon, char *reason)
{
    struct aggregator_thread_config config = {
        .config = daemon->config,
        .clock = clock_system(),
        .log = daemon->log,
        .bounds = &daemon->bounds,
        .series = &daemon->series,
        .assembly = &daemon->assembly,
        .registry = &daemon->registry,
        .cells = metric_registry_add(&daemon->registry, METRIC_SCOPE_PROCESS, ""),
        .exporter = daemon->exporting ? &daemon->exporter : NULL,
        .shard_count = daemon->shard_count + 1,
        .exemplars_are_pinned = has_ring(daemon),
    };
    int error = config.cells != NULL ? aggregator_thread_new(&config, &daemon->aggregator) : WERR_NOMEM;

    if (error < 0) {
        return fail(reason, error, "start of the aggregator");
    }
    health_watch(&daemon->health, "aggregator", &aggregator_thread_loop(daemon->aggregator)->tick_count);
    return 0;
}

static int init_gate(struct daemon *daemon)
{
    int error = notice_gate_init(&daemon->notice_gate, daemon->config, clock_monotonic_ns(clock_system()));

    daemon->has_gate = error == 0;
    return error;
}

static int start_traces(struct daemon *daemon, char *reason)
{
    struct trace_thread_config config = {
        .config = daemon->config,
        .clock = clock_system(),
        .cells = metric_registry_add(&daemon->registry, METRIC_SCOPE_PROCESS, ""),
        .hub = &daemon->kept_hub,
        .aggregator = daemon->aggregator,
        .bounds = &daemon->bounds,
        .series = &daemon->series,
        .shard_count = daemon->shard_count,
        .pins_exemplars = has_ring(daemon),
    };
    int error = config.cells != NULL ? init_gate(daemon) : WERR_NOMEM;

    if (error == 0) {
        error = trace_thread_new(&config, &daemon->traces);
    }
    if (error < 0) {
        return fail(reason, error, "start of the trace thread (trace.peers)");
    }
    if (config.pins_exemplars) {
        aggregator_thread_set_traces(daemon->aggregator, daemon->traces);
    }
    health_watch(&daemon->health, "traces", &trace_thread_loop(daemon->traces)->tick_count);
    return 0;
}

static int make_shards(struct daemon *daemon, char *reason)
{
    daemon->tap_hub.taps_count_max = (uint32_t)daemon->config->limits.taps_count_max;
    daemon->common = (struct shard_common){
        .config = daemon->config,
        .clock = clock_system(),
        .log = daemon->log,
        .bounds = &daemon->bounds,
        .redaction = &daemon->redaction,
        .assembly = &daemon->assembly,
        .waiting = &daemon->waiting,
        .series = &daemon->series,
        .counts = daemon->counts,
        .instances = daemon->instances,
        .meshes = {.items = daemon->mesh_rules, .count = daemon->mesh_rule_count},
        .aggregator = daemon->aggregator,
        .exporter = daemon->exporting ? &daemon->exporter : NULL,
        .health = &daemon->health,
        .registry = &daemon->registry,
        .shard_count = daemon->shard_count,
        .gate = &daemon->http_gate,
        .guard = &daemon->guard,
        .config_text = daemon->reload.text,
        .pods = &daemon->pods,
        .kept_hub = &daemon->kept_hub,
        .tap_hub = &daemon->tap_hub,
        .notice_gate = &daemon->notice_gate,
        .traces = daemon->traces,
    };
    for (size_t i = 0; i < daemon->shard_count; i++) {
        char label[24];
        (void)snprintf(label, sizeof label, "%zu", i);
        struct metric_cells *cells = metric_registry_add(&daemon->registry, METRIC_SCOPE_SHARD, label);
        int error = cells != NULL
                        ? shard_new(&daemon->common, i, cells, &daemon->inlets[i], &daemon->shards[i])
                        : WERR_NOMEM;
        if (error < 0) {
            return fail(reason, error, "start of a shard");
        }
        health_watch(&daemon->health, "shard", &shard_thread(daemon->shards[i])->tick_count);
    }
    trace_thread_enter_aggregator(daemon->traces);
    add_reload_parties(daemon);
    return 0;
}

static int start_pods(struct daemon *daemon, char *reason)
{
    int error = pod_source_new(&daemon->config->identity, daemon->loop, &daemon->pods, daemon->cells,
        daemon->log, &daemon->pod_source);

    return error < 0 ? fail(reason, error, "identity") : 0;
}

static int start_threads(struct daemon *daemon, char *reason)
{
    int error = daemon->exporting ? exporter_thread_start(&daemon->exporter) : 0;

    if (error == 0) {
        error = aggregator_thread_start(daemon->aggregator);
    }
    if (error == 0) {
        error = trace_thread_start(daemon->traces);
    }
    for (size_t i = 0; error == 0 && i < daemon->shard_count; i++) {
        error = shard_start(daemon->shards[i]);
    }
    return error < 0 ? fail(reason, error, "start of a thread") : 0;
}

static int open_listeners(struct daemon *daemon, char *reason)
{
    _Static_assert((int)LISTENERS_REASON_BYTES <= (int)DAEMON_REASON_BYTES, "a reason fits");

    daemon->listeners = (struct listeners){
        .config = daemon->config, .manager = &daemon->manager, .log = daemon->log, .cells = daemon->cells};
    return listeners_open(&daemon->listeners, reason);
}

/* Connections to a socket that nobody accepts from would hang: what has no use is closed, and said. */
static int drop_passed(struct daemon *daemon, char *reason)
{
    const char *name;

    (void)reason;
    while ((name = service_manager_drop_next(&daemon->manager)) != NULL) {
        log_event(daemon->log, LOG_LEVEL_WARN, "passed_socket_unused", LOG_S("name", name));
    }
    return 0;
}

static int init_guard(struct daemon *daemon, char *reason)
{
    const char *what;
    int error = tcp_guard_init(&daemon->guard, &daemon->config->receivers.otlp, &what);

    if (error < 0) {
        (void)snprintf(reason, DAEMON_REASON_BYTES, "receivers.otlp: %s", what);
    }
    return error;
}

static int init_http_gate(struct daemon *daemon, char *reason)
{
    const char *group;
    const char *what = "start of TLS";
    int error = http_gate_init(&daemon->http_gate, daemon->config, &group, &what);

    if (error < 0) {
        (void)snprintf(reason, DAEMON_REASON_BYTES, "%s: %s", group, what);
    }
    return error;
}

static int open_receivers(struct daemon *daemon, char *reason)
{
    struct receivers *receivers = &daemon->receivers;
    const struct config_access_logs *logs = &daemon->config->receivers.access_logs;

    (void)reason; /* what cannot be opened is no reason not to start */
    receivers->failed = listeners_tell_failed;
    receivers->user = &daemon->listeners;
    receivers_open_statsd(receivers, daemon->config, daemon->shards[0]);
    /* Another shard than statsd's where there is one. */
    receivers_open_xray(receivers, daemon->config, daemon->shards[daemon->shard_count - 1]);
    for (uint32_t i = 0; i < logs->count; i++) {
        receivers_open_log(receivers, daemon->config, i, daemon->shards[i % daemon->shard_count]);
    }
    for (size_t i = 0; i < receivers->socket_count; i++) {
        const struct datagram_socket *socket = &receivers->sockets[i];
        log_event(daemon->log, LOG_LEVEL_INFO, "listening",
            LOG_S("at", socket->is_udp ? socket->address : socket->path),
            LOG_I("buffer_bytes", socket->buffer_bytes));
    }
    return 0;
}

static int start_accepting(struct daemon *daemon, char *reason)
{
    struct acceptor *acceptors[] = {&daemon->records, &daemon->http};

    for (size_t i = 0; i < 2; i++) {
        acceptor_init(acceptors[i], daemon->loop, daemon->inlets, daemon->shard_count, shard_on_arrival,
            &daemon->config->limits, daemon->cells);
    }
    daemon->accepting = true;
    for (size_t i = 0; i < daemon->listeners.count; i++) {
        struct listener *listener = &daemon->listeners.items[i];
        int error =
            acceptor_add(listener_takes_records(listener->kind) ? &daemon->records : &daemon->http, listener);
        if (error < 0) {
            return fail(reason, error, "accepting");
        }
        log_event(daemon->log, LOG_LEVEL_INFO, "listening",
            LOG_S("at", listener->path[0] != '\0' ? listener->path : listener->address));
    }
    atomic_store(&daemon->health.bound, true);
    return 0;
}

int daemon_start(const struct config *config, const struct config_source *source, struct log *log,
    uv_loop_t *loop, struct daemon **ret_daemon, char reason[static DAEMON_REASON_BYTES])
{
    static int (*const steps[])(struct daemon *, char *) = {init_manager, init_shared, check_memory,
        init_reload, start_exporter, start_aggregator, start_traces, init_guard, init_http_gate, make_shards,
        open_listeners, drop_passed, open_receivers, start_pods, start_threads, start_accepting};
    struct daemon *daemon = calloc(1, sizeof *daemon);

    if (daemon == NULL) {
        return fail(reason, WERR_NOMEM, "start");
    }
    struct cgroup_paths paths = cgroup_paths_system();
    daemon->config = config;
    daemon->source = source;
    daemon->log = log;
    daemon->loop = loop;
    daemon->shard_count =
        config->shards > 0 ? (size_t)config->shards : cpu_shard_count(&paths, cpu_affinity_count());
    int error = mailbox_init(&daemon->mailbox, loop, daemon);
    if (error < 0) {
        free(daemon);
        return fail(reason, error, "start");
    }
    for (size_t i = 0; error == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        error = steps[i](daemon, reason);
    }
    if (error < 0) {
        (void)service_manager_status(&daemon->manager, reason);
        daemon_free(daemon);
        return error;
    }
    start_handles(daemon);
    if (service_manager_ready(&daemon->manager, TAKING_RECORDS) < 0) {
        log_event(log, LOG_LEVEL_WARN, "notify_failed", LOG_S("reason", "NOTIFY_SOCKET takes no datagram"));
    }
    log_event(
        log, LOG_LEVEL_INFO, "started", LOG_S("version", WEFT_VERSION), LOG_I("shards", daemon->shard_count));
    *ret_daemon = daemon;
    return 0;
}

void daemon_free(struct daemon *daemon)
{
    if (daemon == NULL) {
        return;
    }
    reload_close(&daemon->reload);
    if (daemon->accepting) {
        acceptor_stop(&daemon->records);
        acceptor_stop(&daemon->http);
    }
    listeners_close(&daemon->listeners);
    aggregator_thread_stop(daemon->aggregator);
    trace_thread_stop(daemon->traces);
    for (size_t i = 0; i < daemon->shard_count; i++) {
        shard_stop(daemon->shards[i]);
    }
    for (size_t i = 0; i < daemon->shard_count; i++) {
        shard_free(daemon->shards[i]);
    }
    receivers_close(&daemon->receivers);
    tcp_guard_deinit(&daemon->guard);
    http_gate_deinit(&daemon->http_gate);
    aggregator_thread_free(daemon->aggregator);
    trace_thread_free(daemon->traces);
    if (daemon->has_gate) {
        notice_gate_deinit(&daemon->notice_gate);
    }
    if (daemon->exporting) {
        exporter_thread_stop(&daemon->exporter);
    }
    pod_source_close(daemon->pod_source);
    instances_free(daemon->instances);
    free(daemon->mesh_rules);
    count_sources_free(daemon->counts);
    metric_registry_deinit(&daemon->registry);
    mailbox_close(&daemon->mailbox);
    (void)uv_run(daemon->loop, UV_RUN_DEFAULT);
    mailbox_deinit(&daemon->mailbox);
    reload_deinit(&daemon->reload);
    pods_deinit(&daemon->pods);
    service_manager_deinit(&daemon->manager);
    free(daemon);
}
