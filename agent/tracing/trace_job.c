/* Questions about traces; see trace_job.h. What a job tells peers, and reads from them: trace_job_peers.c. */
#include "tracing/trace_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "tracing/trace_job_internal.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_NOT_FOUND = 404,
    STATUS_INTERNAL_ERROR = 500,
    STATUS_UNAVAILABLE = 503
};

static const uint64_t NS_PER_MS = 1000000;

/* ---- answers ---- */

void trace_ask_answer(struct trace_ask *ask, unsigned status, struct shared_bytes *body)
{
    ask->status = status;
    ask->body = body;
    ask->mail = (struct mail){.deliver = ask->answered};
    if (!mailbox_post(ask->reply_to, &ask->mail)) {
        shared_bytes_unref(body); /* the shard is gone, and its connection with it */
        free(ask);
    }
}

static void answer_buffer(struct trace_ask *ask, unsigned status, struct buffer *out)
{
    struct shared_bytes *body = out->error == 0 ? shared_bytes_take(out) : NULL;

    trace_ask_answer(ask, body != NULL ? status : STATUS_INTERNAL_ERROR, body);
    buffer_deinit(out);
}

static void answer_error(struct trace_desk *desk, struct trace_ask *ask, const struct trace_query *query,
    unsigned status, const char *message)
{
    struct buffer out;

    buffer_init(&out, desk->limits->query_answer_bytes_max);
    trace_error(&out, query, status, message);
    answer_buffer(ask, status, &out);
}

void trace_job_warn(struct trace_job *job, const char *format, ...)
{
    va_list arguments;

    job->is_cut = true;
    if (job->warning_count == TRACE_WARNINGS_COUNT_MAX) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(job->warnings[job->warning_count++], TRACE_WARNING_BYTES, format, arguments);
    va_end(arguments);
}

/* ---- parts ---- */

void trace_job_add_part(struct trace_job *job, size_t id_index, struct shared_bytes *bytes)
{
    struct trace_desk *desk = job->desk;
    struct job_part *part =
        bytes->length <= TRACE_DESK_BYTES_MAX - desk->part_bytes ? malloc(sizeof *part) : NULL;

    if (part == NULL) {
        if (!job->is_short) {
            trace_job_warn(job, "parts of traces are left out: there is no room for more now");
        }
        job->is_short = true;
        shared_bytes_unref(bytes);
        return;
    }
    *part = (struct job_part){.next = job->parts[id_index], .bytes = bytes};
    job->parts[id_index] = part;
    desk->part_bytes += bytes->length;
}

static void free_parts(struct trace_job *job, size_t id_index)
{
    while (job->parts[id_index] != NULL) {
        struct job_part *part = job->parts[id_index];
        job->parts[id_index] = part->next;
        job->desk->part_bytes -= part->is_pinned ? 0 : part->bytes->length;
        shared_bytes_unref(part->bytes);
        free(part);
    }
}

/* What is pinned, rings may have forgotten. First in the list, so that nothing which is too much is instead.
 */
static void add_pinned(struct trace_job *job)
{
    for (size_t i = 0; job->desk->pins != NULL && i < job->id_count; i++) {
        struct shared_bytes *bytes = pins_find(job->desk->pins, job->ids[i]);
        struct job_part *part = bytes != NULL ? malloc(sizeof *part) : NULL;
        if (part == NULL) {
            shared_bytes_unref(bytes);
            continue;
        }
        *part = (struct job_part){.next = job->parts[i], .bytes = bytes, .is_pinned = true};
        job->parts[i] = part;
    }
}

/* ---- the end of a job ---- */

static void free_job(struct trace_job *job)
{
    LIST_REMOVE(job, link);
    while (job->tasks != NULL) {
        struct job_task *task = job->tasks;
        job->tasks = task->next;
        trace_task_deinit(&task->task);
        free(task);
    }
    for (size_t i = 0; job->parts != NULL && i < job->id_count; i++) {
        free_parts(job, i);
    }
    trace_answer_deinit(&job->answer);
    buffer_deinit(&job->out);
    trace_names_deinit(&job->names);
    free(job->parts);
    free(job->ids);
    free(job->matches);
    free(job);
}

static void free_if_over(struct trace_job *job)
{
    if (job->ask == NULL && job->tasks_out == 0) {
        free_job(job);
    }
}

/* Hands the answer over; the job itself ends when the last of its tasks has come back. */
static void end_job(struct trace_job *job, unsigned status, struct buffer *out)
{
    struct trace_desk *desk = job->desk;

    for (int step = 0; step < JOB_STEP_COUNT; step++) {
        atomic_store_explicit(&job->cancelled[step], true, memory_order_relaxed);
    }
    trace_peers_forget(desk->peers, job);
    metric_add(desk->cells, METRIC_TRACE_QUESTIONS, 1);
    if (job->is_cut) {
        metric_add(desk->cells, METRIC_TRACE_ANSWERS_CUT, 1);
    }
    answer_buffer(job->ask, status, out);
    job->ask = NULL;
    job->step = JOB_ANSWERED;
    desk->job_count--;
}

static void end_with_error(struct trace_job *job, unsigned status, const char *message)
{
    job->out.length = 0;
    job->out.error = 0;
    trace_error(&job->out, &job->query, status, message);
    end_job(job, status, &job->out);
}

/* ---- what is written ---- */

static int make_model(struct trace_job *job, size_t id_index, bool is_pinned_alone, struct trace_model *model)
{
    int error = 0;

    trace_model_init(model, job->ids[id_index]);
    model->is_part = job->query.without_peers;
    for (struct job_part *part = job->parts[id_index]; part != NULL && error != WERR_NOMEM;
         part = part->next) {
        if (part->is_pinned || !is_pinned_alone) {
            error = trace_model_add(model, part->bytes); /* the model's warnings say what is broken in it */
        }
    }
    for (size_t i = 0; i < job->warning_count; i++) {
        if (trace_endpoint_is_jaeger(job->query.endpoint)) {
            trace_model_warn(model, "%s", job->warnings[i]);
        }
    }
    return error == WERR_NOMEM ? WERR_NOMEM : trace_model_finish(model);
}

/* Tags are compared once more with what is left after secrets were taken out, lest a search tells of them. */
static bool is_shown(const struct trace_job *job, const struct trace_model *model)
{
    struct trace_query rest;

    if (model->span_count == 0) {
        return false;
    }
    if (job->query.tag_count == 0 || job->query.trace_id_count > 0) {
        return true;
    }
    rest.service = slice_of(NULL, 0);
    rest.operation = slice_of(NULL, 0);
    rest.tag_count = job->query.tag_count;
    memcpy(rest.tags, job->query.tags, sizeof rest.tags);
    return trace_model_matches(&rest, model);
}

static bool is_single(enum trace_endpoint endpoint)
{
    return endpoint == TRACE_ENDPOINT_TRACE || endpoint == TRACE_ENDPOINT_JAEGER_TRACE ||
           endpoint == TRACE_ENDPOINT_V3_TRACE;
}

static void begin_answer(struct trace_job *job)
{
    static const struct trace_match none;
    bool is_search = job->query.endpoint == TRACE_ENDPOINT_SEARCH && job->query.trace_id_count == 0;
    const struct trace_match *matches = job->matches != NULL ? job->matches : &none;

    trace_answer_begin(
        &job->answer, &job->query, &job->out, is_search ? matches : NULL, is_search ? job->match_count : 0);
}

/* A trace may have grown beyond any answer; what an exemplar leads to is found all the same. */
static void write_pinned_alone(struct trace_job *job)
{
    struct trace_model model;

    trace_answer_deinit(&job->answer);
    job->out.length = 0;
    job->out.error = 0;
    trace_job_warn(job, "the trace is larger than limits.query_answer_bytes_max: only a part of it is told");
    begin_answer(job);
    if (make_model(job, job->next_id, true, &model) < 0) {
        job->out.error = WERR_NOMEM;
    } else {
        trace_answer_add(&job->answer, &model);
    }
    trace_model_deinit(&model);
}

/* One trace; false when there is none left. */
static bool write_next(struct trace_job *job)
{
    struct trace_model model;

    if (job->next_id == job->id_count || job->out.error < 0) {
        return false;
    }
    if (make_model(job, job->next_id, false, &model) < 0) {
        job->out.error = WERR_NOMEM;
    } else if (is_shown(job, &model)) {
        trace_answer_add(&job->answer, &model);
        job->shown_count++;
    } else if (job->missing_count < TRACE_QUERY_IDS_COUNT_MAX && job->query.trace_id_count > 0) {
        memcpy(job->missing[job->missing_count++], job->ids[job->next_id], TRACE_MODEL_ID_BYTES);
    }
    trace_model_deinit(&model);
    const struct job_part *first = job->parts[job->next_id];
    if (job->out.error == WERR_OVERSIZED && is_single(job->query.endpoint) && first != NULL &&
        first->is_pinned) {
        write_pinned_alone(job);
    }
    free_parts(job, job->next_id);
    job->next_id++;
    return true;
}

static void end_writing(struct trace_job *job)
{
    char message[TRACE_WARNING_BYTES + 32];
    bool is_v3 = trace_endpoint_is_v3(job->query.endpoint);

    if (job->shown_count == 0 && (is_single(job->query.endpoint) || is_v3)) {
        const char *words = is_v3 && !is_single(job->query.endpoint) ? "No traces found" : "trace not found";
        bool says_more = job->warning_count > 0 && !trace_endpoint_is_jaeger(job->query.endpoint);
        (void)snprintf(message, sizeof message, says_more ? "%s: %s" : "%s", words, job->warnings[0]);
        end_with_error(job, STATUS_NOT_FOUND, message);
        return;
    }
    for (size_t i = 0; i < job->warning_count; i++) {
        trace_answer_warn(&job->answer, job->warnings[i]);
    }
    trace_answer_end(&job->answer, (const uint8_t(*)[TRACE_MODEL_ID_BYTES])job->missing, job->missing_count);
    if (job->out.error < 0) {
        end_with_error(job, STATUS_UNAVAILABLE,
            job->out.error == WERR_OVERSIZED
                ? "the answer is larger than limits.query_answer_bytes_max: ask for fewer traces"
                : "out of memory");
    } else {
        end_job(job, STATUS_OK, &job->out);
    }
}

static void on_idle(uv_idle_t *idle)
{
    struct trace_desk *desk = idle->data;
    struct trace_job *job;
    struct trace_job *writing = NULL;

    LIST_FOREACH(job, &desk->jobs, link)
    {
        writing = job->step == JOB_WRITING ? job : writing; /* the oldest: new ones come first */
    }
    if (writing == NULL) {
        (void)uv_idle_stop(idle);
    } else if (!write_next(writing)) {
        end_writing(writing);
        free_if_over(writing);
    }
}

static void start_writing(struct trace_job *job)
{
    job->step = JOB_WRITING;
    add_pinned(job);
    begin_answer(job);
    (void)uv_idle_start(&job->desk->idle, on_idle);
}

static void write_names(struct trace_job *job)
{
    struct trace_names wanted;
    struct slice kind = job->query.span_kind;

    if (job->names.left_out_count > 0) {
        job->is_cut = true;
    }
    trace_names_init(&wanted);
    for (size_t i = 0; i < job->names.count; i++) {
        const struct trace_name *name = &job->names.items[i];
        if (kind.length == 0 || slice_equal(trace_kind_name((enum span_kind)name->kind), kind)) {
            trace_names_add(&wanted, slice_of(name->text, name->length), name->kind);
        }
    }
    trace_jaeger_names(&job->out, job->query.endpoint, &wanted);
    trace_names_deinit(&wanted);
    end_job(job, STATUS_OK, &job->out);
}

/* ---- steps ---- */

static void on_task_returned(struct mail *mail, void *receiver);

static void ask_shards(struct trace_job *job, enum trace_task_kind kind)
{
    struct trace_desk *desk = job->desk;

    for (size_t i = 0; i < desk->shard_count; i++) {
        struct job_task *task = calloc(1, sizeof *task);
        if (task == NULL) {
            trace_job_warn(job, "shard %zu was not asked: out of memory", i);
            continue;
        }
        *task = (struct job_task){
            .next = job->tasks,
            .step = job->step,
            .task =
                {
                    .reply_to = desk->mailbox,
                    .answered = on_task_returned,
                    .job = job,
                    .shard_index = i,
                    .cancelled = &job->cancelled[job->step],
                    .kind = kind,
                    .query = &job->query,
                    .ids = (const uint8_t(*)[TRACE_MODEL_ID_BYTES])job->ids,
                    .id_count = kind == TRACE_TASK_FETCH ? job->id_count : 0,
                    .bytes_max = TRACE_TASK_BYTES_MAX,
                },
        };
        trace_names_init(&task->task.names);
        job->tasks = task;
        job->tasks_out++;
        job->tasks_awaited++;
        desk->shards[i].ops->task(desk->shards[i].shard, &task->task);
    }
}

static void begin_step(struct trace_job *job, enum job_step step)
{
    job->step = step;
    job->tasks_awaited = 0;
    job->peers_awaited = 0;
    job->deadline_ns = clock_monotonic_ns(job->desk->clock) + job->desk->limits->trace_answer_ms * NS_PER_MS;
}

static void fetch(struct trace_job *job)
{
    begin_step(job, JOB_FETCHING);
    job->parts = calloc(job->id_count + 1, sizeof(struct job_part *));
    if (job->parts == NULL) {
        end_with_error(job, STATUS_UNAVAILABLE, "out of memory");
        return;
    }
    bool was_starting = job->is_starting;
    job->is_starting = true;
    if (job->id_count > 0) {
        ask_shards(job, TRACE_TASK_FETCH);
        trace_job_ask_peers(job);
    }
    job->is_starting = was_starting;
}

static int compare_by_trace(const void *left, const void *right)
{
    const struct trace_match *a = left;
    const struct trace_match *b = right;
    int order = memcmp(a->trace_id, b->trace_id, sizeof a->trace_id);

    return order != 0                            ? order
           : a->start_unix_ns < b->start_unix_ns ? 1
           : a->start_unix_ns > b->start_unix_ns ? -1
                                                 : 0;
}

static int compare_newest(const void *left, const void *right)
{
    const struct trace_match *a = left;
    const struct trace_match *b = right;

    return a->start_unix_ns < b->start_unix_ns   ? 1
           : a->start_unix_ns > b->start_unix_ns ? -1
                                                 : memcmp(a->trace_id, b->trace_id, sizeof a->trace_id);
}

/* One match a trace, the newest traces first, as many as were wanted. */
static void choose_matches(struct trace_job *job)
{
    size_t kept = 0;

    if (job->match_count > 1) {
        qsort(job->matches, job->match_count, sizeof job->matches[0], compare_by_trace);
    }
    for (size_t i = 0; i < job->match_count; i++) {
        if (kept == 0 ||
            memcmp(job->matches[kept - 1].trace_id, job->matches[i].trace_id, TRACE_MODEL_ID_BYTES) != 0) {
            job->matches[kept++] = job->matches[i];
        }
    }
    if (kept > 1) {
        qsort(job->matches, kept, sizeof job->matches[0], compare_newest);
    }
    job->match_count = kept < job->query.limit ? kept : job->query.limit;
}

static bool keep_ids(struct trace_job *job)
{
    job->id_count = job->query.without_spans ? 0 : job->match_count;
    job->ids = calloc(job->id_count + 1, sizeof job->ids[0]);
    for (size_t i = 0; job->ids != NULL && i < job->id_count; i++) {
        memcpy(job->ids[i], job->matches[i].trace_id, sizeof job->ids[i]);
    }
    return job->ids != NULL;
}

/* On from a step that is over: all have answered, or the time is up. Ends when there is something to wait
 * for. */
static void go_on(struct trace_job *job)
{
    if (job->step == JOB_SEARCHING) {
        choose_matches(job);
        if (keep_ids(job)) {
            fetch(job);
        } else {
            end_with_error(job, STATUS_UNAVAILABLE, "out of memory");
        }
    } else if (job->step == JOB_NAMING) {
        write_names(job);
        return;
    }
    if (job->step == JOB_FETCHING && job->tasks_awaited == 0 && job->peers_awaited == 0) {
        start_writing(job);
    }
}

void trace_job_check(struct trace_job *job)
{
    bool waits = job->step == JOB_SEARCHING || job->step == JOB_FETCHING || job->step == JOB_NAMING;

    if (waits && !job->is_starting && job->tasks_awaited == 0 && job->peers_awaited == 0) {
        go_on(job);
    }
}

/* ---- tasks come back ---- */

static void take_matches(struct trace_job *job, const struct trace_task *task)
{
    for (size_t i = 0; i < task->match_count; i++) {
        trace_job_add_match(job, &task->matches[i]);
    }
}

void trace_job_add_match(struct trace_job *job, const struct trace_match *match)
{
    size_t count = job->match_count;

    if (count == TRACE_JOB_MATCHES_COUNT_MAX) {
        job->is_cut = true;
        return;
    }
    if (count == 0 || (count >= MATCHES_COUNT_FIRST && (count & (count - 1)) == 0)) {
        size_t capacity = count == 0 ? MATCHES_COUNT_FIRST : 2 * count;
        struct trace_match *grown = realloc(job->matches, capacity * sizeof *grown);
        if (grown == NULL) {
            trace_job_warn(job, "some traces are left out: out of memory");
            return;
        }
        job->matches = grown;
    }
    job->matches[job->match_count++] = *match;
}

static void take_task(struct trace_job *job, struct trace_task *task)
{
    if (task->is_cut) {
        trace_job_warn(job, "shard %zu did not look at all it has", task->shard_index);
    }
    if (task->left_out_count > 0) {
        trace_job_warn(job, "%u spans of shard %zu are left out: too large together", task->left_out_count,
            task->shard_index);
    }
    take_matches(job, task);
    trace_names_merge(&job->names, &task->names);
    for (size_t i = 0; task->parts != NULL && i < task->id_count; i++) {
        if (task->parts[i] != NULL) {
            trace_job_add_part(job, i, task->parts[i]);
            task->parts[i] = NULL;
        }
    }
}

static void on_task_returned(struct mail *mail, void *receiver)
{
    struct trace_task *task = (struct trace_task *)mail;
    struct trace_job *job = task->job;
    struct job_task **link = &job->tasks;
    struct job_task *own;

    (void)receiver;
    while (&(*link)->task != task) {
        link = &(*link)->next;
    }
    own = *link;
    *link = own->next;
    job->tasks_out--;
    if (own->step == job->step) {
        job->tasks_awaited--;
        take_task(job, task);
    }
    trace_task_deinit(task);
    free(own);
    trace_job_check(job);
    free_if_over(job);
}

/* ---- time ---- */

static void give_up_waiting(struct trace_job *job)
{
    unsigned long long limit_ms = (unsigned long long)job->desk->limits->trace_answer_ms;

    atomic_store_explicit(&job->cancelled[job->step], true, memory_order_relaxed);
    for (struct job_task *task = job->tasks; task != NULL; task = task->next) {
        if (task->step == job->step) {
            trace_job_warn(job, "shard %zu did not answer within %llu ms", task->task.shard_index, limit_ms);
        }
    }
    trace_job_give_up_peers(job, limit_ms);
    job->tasks_awaited = 0;
    job->peers_awaited = 0;
    go_on(job);
}

static void on_timer(uv_timer_t *timer)
{
    struct trace_desk *desk = timer->data;
    uint64_t now_ns = clock_monotonic_ns(desk->clock);
    struct trace_job *job = LIST_FIRST(&desk->jobs);

    while (job != NULL) {
        struct trace_job *next = LIST_NEXT(job, link);
        bool waits = job->tasks_awaited > 0 || job->peers_awaited > 0;
        if (waits && job->step < JOB_WRITING && now_ns >= job->deadline_ns) {
            give_up_waiting(job);
        }
        free_if_over(job); /* a peer's answer may have been the last of it */
        job = next;
    }
    if (LIST_EMPTY(&desk->jobs)) {
        (void)uv_timer_stop(timer);
    }
}

/* ---- begin ---- */

static bool are_ids_given(const struct trace_query *query)
{
    return query->trace_id_count > 0;
}

static void start_names(struct trace_job *job)
{
    bool are_services = job->query.endpoint == TRACE_ENDPOINT_JAEGER_SERVICES ||
                        job->query.endpoint == TRACE_ENDPOINT_V3_SERVICES;

    begin_step(job, JOB_NAMING);
    if (are_services) {
        trace_names_add(&job->names, SLICE_LITERAL("weft"), 0); /* an empty list fails Grafana's check */
    }
    ask_shards(job, are_services ? TRACE_TASK_SERVICES : TRACE_TASK_OPERATIONS);
    trace_job_ask_peers(job);
}

static void start_fetch(struct trace_job *job)
{
    job->id_count = job->query.trace_id_count;
    job->ids = calloc(job->id_count, sizeof job->ids[0]);
    if (job->ids == NULL) {
        end_with_error(job, STATUS_UNAVAILABLE, "out of memory");
        return;
    }
    memcpy(job->ids, job->query.trace_ids, job->id_count * sizeof job->ids[0]);
    fetch(job);
}

static void start(struct trace_job *job)
{
    switch (job->query.endpoint) {
    case TRACE_ENDPOINT_SEARCH:
    case TRACE_ENDPOINT_JAEGER_SEARCH:
    case TRACE_ENDPOINT_V3_SEARCH:
        if (!are_ids_given(&job->query)) {
            begin_step(job, JOB_SEARCHING);
            ask_shards(job, TRACE_TASK_SEARCH);
            trace_job_ask_peers(job);
            break;
        }
        start_fetch(job);
        break;
    case TRACE_ENDPOINT_TRACE:
    case TRACE_ENDPOINT_JAEGER_TRACE:
    case TRACE_ENDPOINT_V3_TRACE:
        start_fetch(job);
        break;
    default:
        start_names(job);
        break;
    }
}

void trace_desk_take(struct trace_desk *desk, struct trace_ask *ask)
{
    struct trace_job *job = calloc(1, sizeof *job);

    if (job == NULL || desk->job_count == TRACE_JOBS_COUNT_MAX) {
        metric_add(desk->cells, METRIC_TRACE_QUESTIONS_BUSY, 1);
        free(job);
        trace_ask_answer(ask, STATUS_UNAVAILABLE, NULL);
        return;
    }
    int error = trace_query_parse(
        &job->query, ask->path, ask->arguments, ask->argument_count, clock_unix_ns(desk->clock));
    if (error < 0) {
        metric_add(desk->cells, METRIC_QUERIES_BAD, 1);
        answer_error(desk, ask, &job->query, error == WERR_NOT_FOUND ? STATUS_NOT_FOUND : STATUS_BAD_REQUEST,
            job->query.message);
        free(job);
        return;
    }
    job->desk = desk;
    job->ask = ask;
    trace_names_init(&job->names);
    buffer_init(&job->out, desk->limits->query_answer_bytes_max);
    LIST_INSERT_HEAD(&desk->jobs, job, link);
    desk->job_count++;
    (void)uv_timer_start(&desk->timer, on_timer, TRACE_DESK_TICK_MS, TRACE_DESK_TICK_MS);
    job->is_starting = true; /* who answers at once does not end a step that others are still asked in */
    start(job);
    job->is_starting = false;
    trace_job_check(job);
    free_if_over(job);
}

/* ---- the desk ---- */

void trace_desk_init(struct trace_desk *desk)
{
    LIST_INIT(&desk->jobs);
    (void)uv_timer_init(desk->loop, &desk->timer);
    (void)uv_idle_init(desk->loop, &desk->idle);
    desk->timer.data = desk;
    desk->idle.data = desk;
}

void trace_desk_close(struct trace_desk *desk)
{
    struct trace_job *job;

    LIST_FOREACH(job, &desk->jobs, link)
    {
        if (job->ask != NULL) {
            end_with_error(job, STATUS_UNAVAILABLE, "the agent is stopping");
        }
    }
    uv_close((uv_handle_t *)&desk->timer, NULL);
    uv_close((uv_handle_t *)&desk->idle, NULL);
}

void trace_desk_deinit(struct trace_desk *desk)
{
    for (struct trace_job *job = LIST_FIRST(&desk->jobs), *next; job != NULL; job = next) {
        next = LIST_NEXT(job, link);
        free_job(job);
    }
}
