/*
 * The aggregator's thread. Work comes as letters; encodings run in an idle handle, at most ENCODE_SLICE_US a
 * turn, so that letters are read in between.
 *
 *   ask ─► waits for a round of flips ─► query: answered at once   scrape, export: an encode job ─► answered
 * when it ends
 *
 * A round asks every shard for its values and ends when all have answered or after limits.scrape_wait_ms.
 */
#include "aggregator_thread.h"

#include <stdlib.h>
#include <string.h>

#include "aggregate/aggregator.h"
#include "aggregate/delta.h"
#include "aggregate/snapshot.h"
#include "context/sender.h"
#include "core/error.h"
#include "core/process.h"
#include "encode_job.h"
#include "tracing/exemplar_link.h"
#include "exporter_thread.h"

enum {
    TICK_MS = 1000,
    NATIVE_BUCKETS_MAX = 160, /* at NATIVE_BUCKETS_SCALE; a finer scale may have more in proportion */
    NATIVE_BUCKETS_SCALE = 3,
    HTTP_OK = 200,
    HTTP_INTERNAL_ERROR = 500,
    HTTP_UNAVAILABLE = 503
};

struct shard_link {
    void *shard;
    const struct aggregator_shard_ops *ops;
    bool asked; /* a flip was asked for and not answered yet */
    bool late;  /* counted as late in this round */
};

/* One destination that takes metrics. */
struct metrics_export {
    struct aggregator_thread *self;
    uv_timer_t timer;
    int destination_index;
    struct encoder_options options;
    const char *resource[8];
    size_t piece_bytes;
    bool due;     /* waits for a round */
    bool running; /* a job is under way */
};

struct aggregator_thread {
    struct loop_thread thread;
    struct aggregator_thread_config config;
    struct limits limits; /* of the configuration in force */
    struct aggregator *aggregator;
    struct snapshot *snapshot;
    struct snapshot *profiles[PROFILE_COUNT]; /* of those that are enabled; else NULL */
    struct shard_link shards[AGGREGATOR_SHARD_COUNT_MAX];
    size_t shard_count;
    uv_timer_t tick_timer;  /* every TICK_MS: windows and idle series */
    uv_timer_t flip_timer;  /* every FLIP_PERIOD_MS */
    uv_timer_t round_timer; /* end of the round under way, or begin of the one that waits */
    uv_idle_t idle;         /* while there are jobs */
    bool round_running;
    bool round_wanted;

    uint64_t round_start_ns;
    struct ask *waiting; /* for the next round, newest first */
    struct ask *asked;   /* of the round under way */
    size_t ask_count;
    struct encode_job *jobs; /* the first is being worked on */
    struct metrics_export exports[EXPORTER_DESTINATION_COUNT_MAX];
    size_t export_count;
    struct exemplar_link exemplars;
    struct mailbox *finish_to;
    struct mail *finish_mail;
};

static void begin_round(struct aggregator_thread *self);
static void want_round(struct aggregator_thread *self);

/* ---- encodings ---- */

static void on_idle(uv_idle_t *idle)
{
    struct aggregator_thread *self = idle->data;
    uint64_t end_ns = uv_hrtime() + ENCODE_SLICE_US * 1000ull;

    while (self->jobs != NULL && uv_hrtime() < end_ns) {
        struct encode_job *job = self->jobs;
        if (encode_job_step(job, ENCODE_SERIES_COUNT)) {
            self->jobs = job->next;
            encode_job_free(job);
        }
    }
    if (self->jobs == NULL) {
        (void)uv_idle_stop(&self->idle);
    }
}

static void add_job(struct aggregator_thread *self, struct encode_job *job)
{
    struct encode_job **link = &self->jobs;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = job;
    (void)uv_idle_start(&self->idle, on_idle);
}

/* ---- asks ---- */

static void answer(struct ask *ask, unsigned status, struct shared_bytes *body)
{
    ask->status = status;
    ask->body = body;
    ask->mail = (struct mail){.deliver = ask->answered};
    if (!mailbox_post(ask->reply_to, &ask->mail)) {
        shared_bytes_unref(body); /* the shard is gone, and its connection with it */
        free(ask);
    }
}

static void on_scrape_end(void *user, int error, struct shared_bytes *bytes)
{
    answer(user, error < 0 ? HTTP_INTERNAL_ERROR : HTTP_OK, bytes);
}

static void start_scrape(struct aggregator_thread *self, struct ask *ask)
{
    struct encode_job_request request = {
        .encoder = ask->encoder,
        .options = ask->options,
        .compression = ask->compression,
        .bytes_max = self->limits.query_answer_bytes_max,
        .end = on_scrape_end,
        .user = ask,
        .snapshot = ask->profile == PROFILE_COUNT ? self->snapshot : self->profiles[ask->profile],
    };
    struct encode_job *job = request.snapshot != NULL ? encode_job_new(&request) : NULL;

    if (job == NULL) {
        answer(ask, HTTP_UNAVAILABLE, NULL);
        return;
    }
    metric_add(self->config.cells, METRIC_SCRAPES, 1);
    exemplar_link_note_scrape(&self->exemplars, clock_monotonic_ns(self->config.clock));
    add_job(self, job);
}

static void run_query(struct aggregator_thread *self, struct ask *ask)
{
    struct query_sources sources = {
        .aggregator = self->aggregator, .registry = self->config.registry, .clock = self->config.clock};
    struct buffer out;

    buffer_init(&out, self->limits.query_answer_bytes_max);
    unsigned status = query_run(&sources, ask->path, ask->arguments, ask->argument_count, &out);
    metric_add(self->config.cells, METRIC_QUERIES, 1);
    if (status >= 400 && status < 500) {
        metric_add(self->config.cells, METRIC_QUERIES_BAD, 1);
    }
    struct shared_bytes *body = shared_bytes_take(&out);
    buffer_deinit(&out);
    answer(ask, body != NULL ? status : HTTP_INTERNAL_ERROR, body);
}

/* Whether the last round is young enough for the question; one under way is waited for. */
static bool is_fresh_enough(const struct aggregator_thread *self, const struct ask *ask)
{
    uint64_t age_ms_max = query_age_ms_max(ask->path, ask->arguments, ask->argument_count);

    return age_ms_max > 0 && !self->round_running && self->round_start_ns > 0 &&
           clock_monotonic_ns(self->config.clock) - self->round_start_ns <= age_ms_max * 1000000;
}

static void on_ask(struct mail *mail, void *receiver)
{
    struct aggregator_thread *self = receiver;
    struct ask *ask = (struct ask *)mail;

    if (self->ask_count >= ASKS_COUNT_MAX) {
        answer(ask, HTTP_UNAVAILABLE, NULL);
        return;
    }
    if (ask->encoder == NULL && is_fresh_enough(self, ask)) {
        run_query(self, ask);
        return;
    }
    self->ask_count++;
    ask->next = self->waiting;
    self->waiting = ask;
    want_round(self);
}

bool aggregator_thread_ask(struct aggregator_thread *self, struct ask *ask)
{
    ask->mail = (struct mail){.deliver = on_ask};
    return mailbox_post(&self->thread.mailbox, &ask->mail);
}

/* ---- exports of metrics ---- */

static void on_export_piece(void *user, struct shared_bytes *bytes, uint64_t point_count)
{
    struct metrics_export *export = user;
    struct aggregator_thread *self = export->self;

    if (!exporter_thread_offer(
            self->config.exporter, OTLP_SIGNAL_METRICS, export->destination_index, bytes, point_count)) {
        LEDGER_ADD(self->config.cells, METRIC_POINTS_EXPORT_LOST, point_count);
        shared_bytes_unref(bytes);
    }
}

static bool exports_under_way(const struct aggregator_thread *self)
{
    for (size_t i = 0; i < self->export_count; i++) {
        if (self->exports[i].due || self->exports[i].running) {
            return true;
        }
    }
    return false;
}

static void tell_finished(struct aggregator_thread *self)
{
    if (self->finish_to != NULL && !exports_under_way(self)) {
        (void)mailbox_post(self->finish_to, self->finish_mail);
        self->finish_to = NULL;
    }
}

static void on_export_end(void *user, int error, struct shared_bytes *bytes)
{
    struct metrics_export *export = user;

    (void)bytes; /* an export has pieces, no answer */
    export->running = false;
    if (error < 0) {
        log_event(export->self->config.log, LOG_LEVEL_WARN, "metrics_encoding_failed",
            LOG_S("reason", werr_text(error)));
    }
    if (export->due) {
        want_round(export->self); /* asked for while it ran: the last one of a drain */
    }
    tell_finished(export->self);
}

static void start_export(struct aggregator_thread *self, struct metrics_export *export)
{
    struct encode_job_request request = {
        .encoder = exporter_otlp.encoders[0],
        .options = export->options,
        .compression = COMPRESSION_NONE,
        .bytes_max = self->limits.query_answer_bytes_max,
        .piece_bytes = export->piece_bytes,
        .piece = on_export_piece,
        .end = on_export_end,
        .user = export,
        .snapshot = self->snapshot,
    };
    struct encode_job *job = encode_job_new(&request);

    export->due = false;
    if (job == NULL) {
        on_export_end(export, WERR_NOMEM, NULL);
        return;
    }
    export->running = true;
    add_job(self, job);
}

static void on_export_timer(uv_timer_t *timer)
{
    struct metrics_export *export = timer->data;

    if (!export->running) {
        export->due = true;
        want_round(export->self);
    }
}

/* ---- rounds of flips ---- */

static void end_round(struct aggregator_thread *self)
{
    struct ask *ask = self->asked;

    self->round_running = false;
    self->asked = NULL;
    (void)uv_timer_stop(&self->round_timer);
    metric_set(self->config.cells, METRIC_ASSEMBLY_BYTES,
        atomic_load_explicit(&self->config.assembly->used_bytes, memory_order_relaxed));
    process_show(self->config.cells);
    while (ask != NULL) {
        struct ask *next = ask->next;
        self->ask_count--;
        if (ask->encoder != NULL) {
            start_scrape(self, ask);
        } else {
            run_query(self, ask);
        }
        ask = next;
    }
    for (size_t i = 0; i < self->export_count; i++) {
        if (self->exports[i].due && !self->exports[i].running) {
            start_export(self, &self->exports[i]);
        }
    }
    tell_finished(self);
    if (self->round_wanted) {
        self->round_wanted = false;
        want_round(self);
    }
}

static void on_round_late(uv_timer_t *timer)
{
    struct aggregator_thread *self = timer->data;

    for (size_t i = 0; i < self->shard_count; i++) {
        if (self->shards[i].asked && !self->shards[i].late) {
            self->shards[i].late = true;
            metric_add(self->config.cells, METRIC_FLIPS_LATE, 1);
        }
    }
    end_round(self);
}

static void on_round_due(uv_timer_t *timer)
{
    begin_round(timer->data);
}

static bool all_answered(const struct aggregator_thread *self)
{
    for (size_t i = 0; i < self->shard_count; i++) {
        if (self->shards[i].asked) {
            return false;
        }
    }
    return true;
}

static void begin_round(struct aggregator_thread *self)
{
    self->round_running = true;
    self->round_start_ns = clock_monotonic_ns(self->config.clock);
    self->asked = self->waiting;
    self->waiting = NULL;
    for (size_t i = 0; i < self->shard_count; i++) {
        struct shard_link *link = &self->shards[i];
        link->late = false;
        if (!link->asked) {
            link->asked = true;
            link->ops->flip(link->shard);
        }
    }
    (void)uv_timer_start(&self->round_timer, on_round_late, self->limits.scrape_wait_ms, 0);
}

/* A round soon: now, after the one under way, or when the last one is FLIP_DEMAND_MS old. */
static void want_round(struct aggregator_thread *self)
{
    uint64_t since_ms = (clock_monotonic_ns(self->config.clock) - self->round_start_ns) / 1000000;

    if (self->round_running) {
        self->round_wanted = true;
    } else if (since_ms >= FLIP_DEMAND_MS || self->round_start_ns == 0) {
        begin_round(self);
    } else {
        (void)uv_timer_start(&self->round_timer, on_round_due, FLIP_DEMAND_MS - since_ms, 0);
    }
}

static void on_tick_timer(uv_timer_t *timer)
{
    struct aggregator_thread *self = timer->data;

    aggregator_tick(self->aggregator);
    exemplar_link_send(&self->exemplars, true);
}

static void on_flip_timer(uv_timer_t *timer)
{
    want_round(timer->data);
}

static void on_delta(struct mail *mail, void *receiver)
{
    struct aggregator_thread *self = receiver;
    struct delta_letter *letter = (struct delta_letter *)mail;
    struct shard_link *link = &self->shards[letter->shard_index];
    struct delta *delta = letter->delta;

    if (letter->answers) {
        link->asked = false; /* only now: the shard has one letter for its answers */
    }
    if (delta != NULL) {
        aggregator_merge(self->aggregator, delta);
        link->ops->give_back(link->shard, delta); /* from here on the letter may be used again */
        exemplar_link_send(&self->exemplars, false);
    }
    if (self->round_running && all_answered(self)) {
        end_round(self);
    }
}

void aggregator_thread_post_delta(struct aggregator_thread *self, struct delta_letter *letter)
{
    letter->mail = (struct mail){.deliver = on_delta};
    (void)mailbox_post(&self->thread.mailbox, &letter->mail);
}

/* ---- start and stop ---- */

static void init_export(struct aggregator_thread *self, size_t index)
{
    const struct config_otlp *from = &self->config.config->exporters.otlp.items[index];
    struct metrics_export *export = &self->exports[self->export_count++];

    *export = (struct metrics_export){
        .self = self,
        .destination_index = (int)index,
        .piece_bytes = from->batch.bytes_max,
        .resource = {"service.name", "weft", "service.version", WEFT_VERSION, NULL},
        .options =
            {
                .created = true,
                .exemplars = true,
                .delta = from->metrics.temporality == CONFIG_TEMPORALITY_DELTA,
                .exponential = from->metrics.histograms == CONFIG_HISTOGRAMS_EXPONENTIAL,
            },
    };
    export->options.resource_attributes = export->resource;
    if (exporter_otlp.encoders[0]->memory_new != NULL && export->options.delta) {
        export->options.memory = exporter_otlp.encoders[0]->memory_new();
    }
    uint64_t interval_ms = from->metrics.interval_s * 1000;
    (void)uv_timer_init(&self->thread.loop, &export->timer);
    export->timer.data = export;
    (void)uv_timer_start(&export->timer, on_export_timer, interval_ms, interval_ms);
}

/* A finer scale is asked for in order to have it: the limit must not take it back. */
static uint32_t native_buckets_max(int scale)
{
    return scale > NATIVE_BUCKETS_SCALE ? (uint32_t)NATIVE_BUCKETS_MAX << (scale - NATIVE_BUCKETS_SCALE)
                                        : NATIVE_BUCKETS_MAX;
}

/* A sender's stable text as the sender_* labels of its metrics. */
static void describe_sender(struct slice sender, struct sender_description *ret_description)
{
    struct sender_labels labels = sender_labels_of(sender);

    *ret_description = (struct sender_description){
        .count = 2,
        .labels = {{.name = "sender_kind", .value = labels.kind},
            {.name = "sender_workload", .value = labels.workload}},
    };
    if (labels.pod.length > 0) {
        ret_description->labels[ret_description->count].name = "sender_pod";
        ret_description->labels[ret_description->count].value = labels.pod;
        ret_description->count++;
    }
    if (labels.workload_namespace.length > 0) {
        ret_description->labels[ret_description->count].name = "sender_namespace";
        ret_description->labels[ret_description->count].value = labels.workload_namespace;
        ret_description->count++;
    }
}

static struct snapshot_settings view_of(const struct config *config)
{
    const struct config_metrics *metrics = &config->metrics;
    struct snapshot_settings view = {
        .native_scale = (int32_t)metrics->native_schema,
        .native_buckets_max = native_buckets_max((int)metrics->native_schema),
        .filter = {.keep = {.items = metrics->keep.items, .count = metrics->keep.count},
            .drop = {.items = metrics->drop.items, .count = metrics->drop.count}},
        .dropped_labels = metrics->drop_labels,
    };

    for (size_t i = 0; i < metrics->labels.count && i < METRIC_LABELS_COUNT_MAX; i++) {
        view.labels[view.label_count++] = (struct snapshot_label){
            .name = metrics->labels.items[i].name, .value = metrics->labels.items[i].value};
    }
    return view;
}

/* Of our own families, and of each profile that is enabled. */
static int make_snapshots(struct aggregator_thread *self)
{
    const struct config *config = self->config.config;
    struct snapshot_settings view = view_of(config);
    int error = aggregator_snapshot_new(self->aggregator, self->config.registry, &view, &self->snapshot);

    for (int p = 0; error == 0 && p < PROFILE_COUNT; p++) {
        if ((config->exporters.prometheus.profiles >> p & 1) != 0) {
            error =
                aggregator_profile_snapshot_new(self->aggregator, (enum profile)p, &view, &self->profiles[p]);
        }
    }
    return error;
}

static void free_snapshots(struct aggregator_thread *self)
{
    aggregator_snapshot_free(self->snapshot);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        aggregator_snapshot_free(self->profiles[p]);
    }
}

int aggregator_thread_new(const struct aggregator_thread_config *config, struct aggregator_thread **ret_self)
{
    struct aggregator_thread *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->config = *config;
    self->limits = config->config->limits;
    struct aggregator_settings settings = {
        .shard_count = (uint32_t)config->shard_count,
        .bounds = config->bounds,
        .limits = &self->limits,
        .budget = config->series,
        .cells = config->cells,
        .clock = config->clock,
        .le_ns = config->config->metrics.bounds_ns.items,
        .le_count = config->config->metrics.bounds_ns.count,
        .bounds_rules = config->config->metrics.bounds_per_route,
        .profiles = config->config->exporters.prometheus.profiles,
        .cluster = config->config->cluster,
        .meshes = {.items = config->config->mesh_names.items, .count = config->config->mesh_names.count},
        .describe_sender = describe_sender,
        .exemplars_are_pinned = config->exemplars_are_pinned,
    };
    int error = aggregator_new(&settings, &self->aggregator);
    if (error < 0) {
        free(self);
        return error;
    }
    metric_set(config->cells, METRIC_PROCESS_START, clock_unix_ns(config->clock) / 1000000);
    error = make_snapshots(self);
    if (error == 0) {
        error = loop_thread_init(&self->thread, self);
    }
    if (error < 0) {
        free_snapshots(self);
        aggregator_free(self->aggregator);
        free(self);
        return error;
    }
    uv_timer_t *timers[] = {&self->tick_timer, &self->flip_timer, &self->round_timer};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        (void)uv_timer_init(&self->thread.loop, timers[i]);
        timers[i]->data = self;
    }
    (void)uv_timer_start(&self->tick_timer, on_tick_timer, TICK_MS, TICK_MS);
    (void)uv_timer_start(&self->flip_timer, on_flip_timer, FLIP_PERIOD_MS, FLIP_PERIOD_MS);
    (void)uv_idle_init(&self->thread.loop, &self->idle);
    self->idle.data = self;
    for (size_t i = 0; config->exporter != NULL && i < config->exporter->destination_count; i++) {
        if (config->exporter->destinations[i].url[OTLP_SIGNAL_METRICS] != NULL) {
            init_export(self, i);
        }
    }
    *ret_self = self;
    return 0;
}

static void on_config(struct mail *mail, void *receiver)
{
    struct aggregator_thread *self = receiver;
    struct config_letter *letter = (struct config_letter *)mail;
    struct snapshot_settings view = view_of(letter->config);

    self->limits = letter->config->limits;
    aggregator_reconfigure(self->aggregator, letter->config->cluster);
    aggregator_snapshot_set(self->snapshot, &view);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        if (self->profiles[p] != NULL) {
            aggregator_snapshot_set(self->profiles[p], &view);
        }
    }
    exemplar_link_reconfigure(&self->exemplars, letter->config);
    config_letter_acknowledge(letter);
}

void aggregator_thread_post_config(struct aggregator_thread *self, struct config_letter *letter)
{
    config_letter_post(letter, &self->thread.mailbox, on_config);
}

void aggregator_thread_add_shard(
    struct aggregator_thread *self, void *shard, const struct aggregator_shard_ops *ops)
{
    self->shards[self->shard_count++] = (struct shard_link){.shard = shard, .ops = ops};
}

void aggregator_thread_set_traces(struct aggregator_thread *self, struct trace_thread *traces)
{
    exemplar_link_init(&self->exemplars, self->config.config, self->aggregator, traces, &self->thread.mailbox,
        self->config.cells);
}

int aggregator_thread_start(struct aggregator_thread *self)
{
    return loop_thread_start(&self->thread, "weft-aggregate");
}

struct loop_thread *aggregator_thread_loop(struct aggregator_thread *self)
{
    return &self->thread;
}

struct finish_letter {
    struct mail mail;
    struct mailbox *reply_to;
    struct mail *done;
};

static void on_finish(struct mail *mail, void *receiver)
{
    struct aggregator_thread *self = receiver;
    struct finish_letter *letter = (struct finish_letter *)mail;

    self->finish_to = letter->reply_to;
    self->finish_mail = letter->done;
    free(letter);
    for (size_t i = 0; i < self->export_count; i++) {
        self->exports[i].due = true;
    }
    want_round(self);
}

bool aggregator_thread_finish(struct aggregator_thread *self, struct mailbox *reply_to, struct mail *done)
{
    struct finish_letter *letter = malloc(sizeof *letter);

    if (letter == NULL) {
        return false;
    }
    *letter = (struct finish_letter){.mail = {.deliver = on_finish}, .reply_to = reply_to, .done = done};
    if (!mailbox_post(&self->thread.mailbox, &letter->mail)) {
        free(letter);
        return false;
    }
    return true;
}

static void close_handles(struct aggregator_thread *self)
{
    loop_thread_finish(
        &self->thread); /* delivers what is there, so it comes before the handles that letters use */
    uv_close((uv_handle_t *)&self->tick_timer, NULL);
    uv_close((uv_handle_t *)&self->flip_timer, NULL);
    uv_close((uv_handle_t *)&self->round_timer, NULL);
    uv_close((uv_handle_t *)&self->idle, NULL);
    for (size_t i = 0; i < self->export_count; i++) {
        uv_close((uv_handle_t *)&self->exports[i].timer, NULL);
    }
}

static void on_stop(struct mail *mail, void *receiver)
{
    (void)mail; /* belongs to aggregator_thread_stop's frame */
    close_handles(receiver);
}

static void refuse_asks(struct ask *ask)
{
    while (ask != NULL) {
        struct ask *next = ask->next;
        answer(ask, HTTP_UNAVAILABLE, NULL);
        ask = next;
    }
}

void aggregator_thread_stop(struct aggregator_thread *self)
{
    struct mail stop = {.deliver = on_stop};

    if (self == NULL) {
        return;
    }
    if (self->thread.started) {
        (void)mailbox_post(&self->thread.mailbox, &stop);
        loop_thread_join(&self->thread);
    } else {
        close_handles(self);
    }
    refuse_asks(self->waiting);
    refuse_asks(self->asked);
    self->waiting = NULL;
    self->asked = NULL;
    while (self->jobs != NULL) {
        struct encode_job *job = self->jobs;
        self->jobs = job->next;
        job->end(job->user, WERR_CLOSED, NULL);
        encode_job_free(job);
    }
}

void aggregator_thread_free(struct aggregator_thread *self)
{
    if (self == NULL) {
        return;
    }
    loop_thread_deinit(&self->thread);
    for (size_t i = 0; i < self->export_count; i++) {
        if (self->exports[i].options.memory != NULL) {
            exporter_otlp.encoders[0]->memory_free(self->exports[i].options.memory);
        }
    }
    free_snapshots(self);
    aggregator_free(self->aggregator);
    free(self);
}
