/* See trace_join.h. */
#include "tracing/trace_join.h"

#include <stdlib.h>
#include <string.h>

#include "aggregate/directory.h"
#include "aggregator_thread.h"
#include "context/interner.h"
#include "context/request.h"
#include "core/error.h"
#include "query/why_json.h"
#include "trace/attribution.h"
#include "trace/kept.h"
#include "trace/observations.h"
#include "trace/ring.h"
#include "trace/why.h"

enum {
    TICK_MS = 100,
    SETTLE_COUNT = 8192, /* spans settled in one turn of the loop */
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
};

struct trace_join {
    struct trace_join_config config;
    const struct clock *clock; /* the coarse one: it is read for each batch */
    struct interner *interner;
    struct directory *directory;
    struct timing_reader *readers; /* one a shard */
    struct attribution *attribution;
    struct attribution_counts counted; /* of attribution, what the cells have */
    struct observations *observations;
    struct why *why;
    struct thinning thinning;
    uv_timer_t timer;
    bool is_closed;
    /* Letters of the join's own: of each only one is ever under way. */
    struct own_letter {
        struct mail mail; /* first member */
        struct trace_join *join;
    } flip_mail, give_back_mail;
    struct delta_letter flip_letter;
    struct delta *returned_delta;
};

/* ---- what was found out ---- */

/* Observations hold their names: an id may be asked for as long as one is there. */
static void hold_names(struct trace_join *join, const struct observation *observation)
{
    uint32_t ids[OBSERVATION_ID_COUNT];

    observation_ids(observation, ids);
    for (size_t i = 0; i < OBSERVATION_ID_COUNT; i++) {
        interner_ref(join->interner, ids[i]);
    }
}

static void on_observation_dropped(void *user, const struct observation *observation)
{
    struct trace_join *join = user;
    uint32_t ids[OBSERVATION_ID_COUNT];

    observation_ids(observation, ids);
    for (size_t i = 0; i < OBSERVATION_ID_COUNT; i++) {
        interner_unref(join->interner, ids[i]);
    }
}

static void observe(struct trace_join *join, const struct observation *observation)
{
    hold_names(join, observation);
    observations_add(join->observations, observation);
}

/* A part of a request's time, that ended with it. */
static void record_time(struct trace_join *join, enum time_of_request which, const struct timing *timing,
    const struct timing *mesh_of, uint64_t time_ns)
{
    struct request request = {
        .source = timing->source,
        .source_namespace = timing->source_namespace,
        .destination = timing->destination,
        .destination_namespace = timing->destination_namespace,
        .mesh = mesh_of->mesh,
        .sender = mesh_of->sender != INTERNED_NONE ? mesh_of->sender : (uint32_t)INTERNED_UNKNOWN,
        .duration_ns = time_ns,
        .stored = join->config.shows_exemplars,
        .start_unix_ns = timing_end_unix_ns(timing) - (time_ns < timing->duration_ns ? time_ns : 0),
    };

    memcpy(request.trace_id, timing->trace_id, sizeof request.trace_id);
    memcpy(request.span_id, timing->span_id, sizeof request.span_id);
    directory_record_time(join->directory, which, &request);
}

static void on_request(void *user, const struct attributed_request *request)
{
    struct trace_join *join = user;
    struct observation observation;

    if (request->has_self) {
        record_time(join, TIME_OF_SERVICE, request->timing, request->timing, request->self_ns);
    }
    observation_of_request(request, &observation);
    observe(join, &observation);
}

static void on_call(void *user, const struct attributed_call *call)
{
    struct observation observation;

    observation_of_call(call, &observation);
    observe(user, &observation);
}

static void on_network(void *user, const struct attributed_network *network)
{
    record_time(user, TIME_OF_NETWORK, network->client, network->server, network->network_ns);
}

/* ---- batches ---- */

static void on_batch(struct mail *mail, void *receiver);

const struct thinning *trace_join_thinning(const struct trace_join *join)
{
    return &join->thinning;
}

bool trace_join_post(struct trace_join *join, struct timing_batch *batch)
{
    batch->mail = (struct mail){.deliver = on_batch};
    batch->reader = join;
    return mailbox_post(join->config.mailbox, &batch->mail);
}

static void on_batch(struct mail *mail, void *receiver)
{
    struct timing_batch *batch = (struct timing_batch *)mail;
    struct trace_join *join = batch->reader;
    struct timing_reader *reader = &join->readers[batch->shard];
    uint64_t now_ns = clock_monotonic_ns(join->clock);
    uint64_t now_unix_ns = clock_unix_ns(join->clock);

    (void)receiver;
    /* Under a load for which it matters most, letters leave the timer no turn. */
    thinning_count(&join->thinning, batch->timing_count);
    thinning_tick(&join->thinning, now_ns);
    timing_reader_learn(reader, batch);
    for (uint32_t i = 0; i < batch->timing_count; i++) {
        timing_reader_translate(reader, &batch->timings[i]);
        attribution_add(join->attribution, &batch->timings[i], now_ns, now_unix_ns);
    }
    atomic_fetch_sub_explicit(batch->under_way, 1, memory_order_relaxed);
    free(batch);
}

/* ---- the tick ---- */

static void count(struct trace_join *join)
{
    struct metric_cells *cells = join->config.cells;
    const struct attribution_counts *now = attribution_counts(join->attribution);
    const struct attribution_counts *before = &join->counted;

    metric_add(cells, METRIC_TRACE_TIMINGS_JOINED, now->joined - before->joined);
    metric_add(cells, METRIC_TRACE_TIMINGS_BAD_IDS, now->bad_ids - before->bad_ids);
    metric_add(cells, METRIC_TRACE_TIMINGS_REPEATED, now->repeated - before->repeated);
    metric_add(cells, METRIC_TRACE_TIMINGS_LATE, now->late - before->late);
    metric_add(cells, METRIC_TRACE_JOIN_SELF_PARENTS, now->self_parents - before->self_parents);
    metric_add(cells, METRIC_TRACE_JOIN_CYCLES, now->cycles - before->cycles);
    metric_add(cells, METRIC_TRACE_JOIN_OVERSIZED, now->oversized - before->oversized);
    metric_add(cells, METRIC_TRACE_JOIN_EARLY, now->early - before->early);
    metric_add(cells, METRIC_TRACE_JOIN_LATE_CALLS, now->late_calls - before->late_calls);
    metric_add(cells, METRIC_TRACE_JOIN_AMBIGUOUS, now->ambiguous - before->ambiguous);
    metric_add(cells, METRIC_TRACE_JOIN_CLOCKS, now->clock_disagreements - before->clock_disagreements);
    join->counted = *now;
}

static void on_timer(uv_timer_t *timer)
{
    struct trace_join *join = timer->data;
    uint64_t now_ns = clock_monotonic_ns(join->clock);
    bool is_behind = attribution_run(join->attribution, now_ns, SETTLE_COUNT);

    thinning_tick(&join->thinning, now_ns);
    count(join);
    (void)uv_timer_start(timer, on_timer, is_behind ? 0 : TICK_MS, 0);
}

/* ---- values for the aggregator ---- */

static void on_flip(struct mail *mail, void *receiver)
{
    struct trace_join *join = ((struct own_letter *)mail)->join;

    (void)receiver;
    join->flip_letter.shard_index = join->config.shard_count;
    join->flip_letter.answers = true;
    join->flip_letter.delta = directory_flip(join->directory);
    aggregator_thread_post_delta(join->config.aggregator, &join->flip_letter);
}

/* From the aggregator's thread, which does not ask again before it was answered. */
static void post_flip(void *user)
{
    struct trace_join *join = user;

    join->flip_mail = (struct own_letter){.mail = {.deliver = on_flip}, .join = join};
    (void)mailbox_post(join->config.mailbox, &join->flip_mail.mail);
}

static void on_give_back(struct mail *mail, void *receiver)
{
    struct trace_join *join = ((struct own_letter *)mail)->join;

    (void)receiver;
    directory_give_back(join->directory, join->returned_delta);
}

/* From the aggregator's thread; of two deltas only one is ever away. */
static void post_give_back(void *user, struct delta *delta)
{
    struct trace_join *join = user;

    join->returned_delta = delta;
    join->give_back_mail = (struct own_letter){.mail = {.deliver = on_give_back}, .join = join};
    (void)mailbox_post(join->config.mailbox, &join->give_back_mail.mail);
}

static const struct aggregator_shard_ops aggregator_ops = {.flip = post_flip, .give_back = post_give_back};

/* ---- questions ---- */

static struct slice text_of(const void *user, uint32_t id)
{
    const struct trace_join *join = user;

    return interner_text(join->interner, id);
}

bool trace_join_knows(const char *path)
{
    return strcmp(path, WHY_PATH) == 0;
}

/* False when nothing is known of the service, or nothing can be. */
static bool select_requests(struct trace_join *join, const struct why_query *query)
{
    uint64_t now_unix_ns = clock_unix_ns(join->config.clock);
    struct why_question question = {
        .service = interner_find(join->interner, query->service),
        .service_namespace = query->any_namespace ? (uint32_t)INTERNED_NONE
                                                  : interner_find(join->interner, query->service_namespace),
        .any_namespace = query->any_namespace,
        .from_unix_ns = now_unix_ns > query->window_ns ? now_unix_ns - query->window_ns : 0,
        .until_unix_ns = UINT64_MAX,
        .slow_ns = query->slow_ns,
    };

    if (question.service == INTERNED_FULL || question.service_namespace == INTERNED_FULL) {
        return false;
    }
    why_select(join->why, join->observations, &question);
    return true;
}

static void add_sample(
    struct trace_join *join, bool is_slow, uint32_t sample, struct trace_join_samples *samples)
{
    const uint8_t *trace_id = why_sample_trace_id(join->why, is_slow, sample);

    for (uint32_t i = 0; i < samples->count; i++) {
        if (memcmp(samples->ids[i], trace_id, sizeof samples->ids[i]) == 0) {
            return; /* a trace may call a service more than once */
        }
    }
    memcpy(samples->ids[samples->count++], trace_id, sizeof samples->ids[0]);
}

/* Slow and usual ones by turns: when there is no room for all of them, there are some of each. */
void trace_join_samples(struct trace_join *join, const struct query_argument *arguments,
    size_t argument_count, struct trace_join_samples *ret_samples)
{
    struct why_query query;

    ret_samples->count = 0;
    if (why_query_parse(&query, arguments, argument_count) < 0 || !select_requests(join, &query)) {
        return;
    }
    uint32_t slow_count = why_sample_count(join->why, true);
    uint32_t rest_count = why_sample_count(join->why, false);
    for (uint32_t i = 0; slow_count > 0 && (i < slow_count || i < rest_count); i++) {
        if (i < slow_count) {
            add_sample(join, true, i, ret_samples);
        }
        if (i < rest_count) {
            add_sample(join, false, i, ret_samples);
        }
    }
}

unsigned trace_join_ask(struct trace_join *join, const struct query_argument *arguments,
    size_t argument_count, const struct why_trace *traces, uint32_t trace_count, struct buffer *out)
{
    const struct why_names names = {.text = text_of, .user = join};
    struct why_query query;
    struct why_result result = {.verdict = WHY_NO_REQUESTS};

    if (why_query_parse(&query, arguments, argument_count) < 0) {
        why_query_error(out, &query);
        return STATUS_BAD_REQUEST;
    }
    if (select_requests(join, &query)) {
        if (trace_count > 0) {
            (void)why_tell_spans(join->why, query.service, traces, trace_count); /* else without them */
        }
        why_rank(join->why, &result);
    }
    why_json(out, &query, &result, &names);
    return STATUS_OK;
}

/* ---- start and stop ---- */

uint64_t trace_join_ring_bytes(const struct limits *limits, size_t shard_count)
{
    uint64_t ring_bytes = limits->trace_ring_bytes;
    uint64_t own_bytes = attribution_bytes_of((uint32_t)limits->trace_timings_count_max) +
                         limits->trace_observations_count_max * sizeof(struct observation) +
                         why_bytes_of((uint32_t)limits->trace_observations_count_max) +
                         shard_count * kept_bytes_of((uint32_t)limits->kept_traces_count_max);

    if (own_bytes > ring_bytes / TRACE_JOIN_SHARE) {
        own_bytes = ring_bytes / TRACE_JOIN_SHARE;
    }
    uint64_t share_bytes = (ring_bytes - own_bytes) / shard_count;
    return share_bytes >= RING_SHARE_BYTES_MIN ? share_bytes : ring_bytes / shard_count;
}

static int make_directory(struct trace_join *join)
{
    const struct trace_join_config *config = &join->config;
    struct directory_settings settings = {
        .shard = config->shard_count,
        .interner = join->interner,
        .bounds = config->bounds,
        .limits = config->limits,
        .budget = config->series,
        .cells = config->cells,
        .clock = config->clock,
    };

    return directory_new(&settings, &join->directory);
}

static int make_readers(struct trace_join *join, uint32_t strings_count_max)
{
    int error = 0;

    join->readers = calloc(join->config.shard_count, sizeof *join->readers);
    if (join->readers == NULL) {
        return WERR_NOMEM;
    }
    for (uint32_t i = 0; error == 0 && i < join->config.shard_count; i++) {
        error = timing_reader_init(&join->readers[i], join->interner, strings_count_max);
    }
    return error;
}

static int make_parts(struct trace_join *join)
{
    const struct limits *limits = &join->config.config->limits;
    struct attribution_settings attribution = {
        .span_count_max = (uint32_t)limits->trace_timings_count_max,
        .wait_ns = limits->trace_join_wait_ms * 1000000,
        .keep_ns = 10 * limits->trace_join_wait_ms * 1000000,
        .late_ns = 20 * limits->trace_join_wait_ms * 1000000,
        .seed = uv_hrtime() ^ (uint64_t)(uintptr_t)join,
        .sink = {.request = on_request, .call = on_call, .network = on_network, .user = join},
    };
    struct observations_settings observations = {
        .count_max = (uint32_t)limits->trace_observations_count_max,
        .dropped = on_observation_dropped,
        .user = join,
    };

    /* What has room while it waits. */
    thinning_init(&join->thinning, limits->trace_timings_count_max * 1000 / limits->trace_join_wait_ms);
    join->attribution = attribution_new(&attribution);
    join->observations = observations_new(&observations);
    join->why = why_new(observations.count_max);
    return join->attribution != NULL && join->observations != NULL && join->why != NULL ? 0 : WERR_NOMEM;
}

int trace_join_new(const struct trace_join_config *config, struct trace_join **ret_join)
{
    struct trace_join *join = calloc(1, sizeof *join);
    uint32_t strings_count_max = (uint32_t)config->config->limits.strings_count_max;

    if (join == NULL) {
        return WERR_NOMEM;
    }
    join->config = *config;
    join->clock = clock_coarse(config->clock);
    join->interner = interner_new(strings_count_max, config->series);
    int error = join->interner != NULL ? make_readers(join, strings_count_max) : WERR_NOMEM;
    if (error == 0) {
        error = make_parts(join);
    }
    if (error == 0) {
        error = make_directory(join);
    }
    if (error < 0) {
        trace_join_free(join);
        return error;
    }
    (void)uv_timer_init(config->loop, &join->timer);
    join->timer.data = join;
    (void)uv_timer_start(&join->timer, on_timer, TICK_MS, 0);
    *ret_join = join;
    return 0;
}

void trace_join_reconfigure(struct trace_join *join)
{
    directory_reconfigure(join->directory, 0);
}

void trace_join_enter(struct trace_join *join)
{
    aggregator_thread_add_shard(join->config.aggregator, join, &aggregator_ops);
}

void trace_join_finish(struct trace_join *join)
{
    if (join != NULL) {
        attribution_finish(join->attribution);
        count(join);
    }
}

void trace_join_close(struct trace_join *join)
{
    if (join != NULL && !join->is_closed) {
        join->is_closed = true;
        uv_close((uv_handle_t *)&join->timer, NULL);
    }
}

void trace_join_free(struct trace_join *join)
{
    if (join == NULL) {
        return;
    }
    why_free(join->why);
    observations_free(join->observations);
    attribution_free(join->attribution);
    directory_free(join->directory);
    for (uint32_t i = 0; join->readers != NULL && i < join->config.shard_count; i++) {
        timing_reader_deinit(&join->readers[i]);
    }
    free(join->readers);
    interner_free(join->interner);
    free(join);
}
