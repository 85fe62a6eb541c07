/* See trace_why.h. */
#include "tracing/trace_why.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "query/why_spans.h"

enum { STATUS_UNAVAILABLE = 503 };

static const uint64_t NS_PER_MS = 1000000;

struct why_job {
    LIST_ENTRY(why_job) link;
    struct trace_why *owner;
    struct trace_ask *ask; /* NULL: it was answered */
    struct trace_join_samples samples;
    uint64_t deadline_ns;
    atomic_bool cancelled;
    size_t tasks_out;
    size_t task_count;
    bool is_back[CONFIG_SHARD_COUNT_MAX];
    struct trace_task tasks[CONFIG_SHARD_COUNT_MAX];
};

struct trace_why {
    struct trace_desk *desk;
    struct trace_join *join;
    LIST_HEAD(why_job_list, why_job) jobs;
    size_t job_count;
    uv_timer_t timer; /* while there are jobs */
    bool is_closed;
};

/* ---- answers ---- */

static void reply(
    struct trace_why *self, struct trace_ask *ask, const struct why_trace *traces, uint32_t count)
{
    struct buffer out;

    buffer_init(&out, self->desk->limits->query_answer_bytes_max);
    unsigned status = trace_join_ask(self->join, ask->arguments, ask->argument_count, traces, count, &out);
    struct shared_bytes *body = out.error == 0 ? shared_bytes_take(&out) : NULL;
    buffer_deinit(&out);
    metric_add(self->desk->cells, METRIC_TRACE_QUESTIONS, 1);
    trace_ask_answer(ask, body != NULL ? status : STATUS_UNAVAILABLE, body);
}

static void refuse(struct trace_why *self, struct trace_ask *ask)
{
    metric_add(self->desk->cells, METRIC_TRACE_QUESTIONS, 1);
    trace_ask_answer(ask, STATUS_UNAVAILABLE, NULL);
}

/* ---- what shards have ---- */

static int compare_traces(const void *x, const void *y)
{
    const struct why_trace *a = x;
    const struct why_trace *b = y;

    return memcmp(a->trace_id, b->trace_id, sizeof a->trace_id);
}

/* Takes what has come of each trace; how many traces that are. `parts`: room for all of all shards. */
static uint32_t gather(struct why_job *job, struct why_trace *traces, struct shared_bytes **parts)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < job->samples.count; i++) {
        struct why_trace *trace = &traces[count];
        *trace = (struct why_trace){.parts = parts + (size_t)i * job->task_count};
        memcpy(trace->trace_id, job->samples.ids[i], sizeof trace->trace_id);
        for (size_t shard = 0; shard < job->task_count; shard++) {
            const struct trace_task *task = &job->tasks[shard];
            if (job->is_back[shard] && task->parts != NULL && task->parts[i] != NULL) {
                trace->parts[trace->part_count++] = task->parts[i];
            }
        }
        count += trace->part_count > 0;
    }
    qsort(traces, count, sizeof traces[0], compare_traces);
    return count;
}

static void answer(struct why_job *job)
{
    struct trace_why *self = job->owner;
    struct why_trace *traces = calloc(job->samples.count, sizeof *traces);
    struct shared_bytes **parts = calloc((size_t)job->samples.count * job->task_count, sizeof(void *));
    uint32_t count = traces != NULL && parts != NULL ? gather(job, traces, parts) : 0;

    reply(self, job->ask, traces, count);
    job->ask = NULL;
    self->job_count--;
    free(traces);
    free(parts);
}

static void free_job(struct why_job *job)
{
    LIST_REMOVE(job, link);
    for (size_t i = 0; i < job->task_count; i++) {
        trace_task_deinit(&job->tasks[i]);
    }
    free(job);
}

static void on_task_returned(struct mail *mail, void *receiver)
{
    struct trace_task *task = (struct trace_task *)mail;
    struct why_job *job = task->job;

    (void)receiver;
    job->is_back[task->shard_index] = true;
    job->tasks_out--;
    if (job->tasks_out == 0) {
        if (job->ask != NULL) {
            answer(job);
        }
        free_job(job);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct trace_why *self = timer->data;
    uint64_t now_ns = clock_monotonic_ns(self->desk->clock);
    struct why_job *job;

    LIST_FOREACH(job, &self->jobs, link)
    {
        if (job->ask != NULL && now_ns >= job->deadline_ns) {
            atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
            metric_add(self->desk->cells, METRIC_TRACE_ANSWERS_CUT, 1);
            answer(job);
        }
    }
    if (LIST_EMPTY(&self->jobs)) {
        (void)uv_timer_stop(timer);
    }
}

static void fetch(struct why_job *job)
{
    struct trace_desk *desk = job->owner->desk;

    for (size_t i = 0; i < job->task_count; i++) {
        job->tasks[i] = (struct trace_task){
            .reply_to = desk->mailbox,
            .answered = on_task_returned,
            .job = job,
            .shard_index = i,
            .cancelled = &job->cancelled,
            .kind = TRACE_TASK_FETCH,
            .ids = (const uint8_t(*)[TRACE_MODEL_ID_BYTES])job->samples.ids,
            .id_count = job->samples.count,
            .bytes_max = WHY_TASK_BYTES_MAX,
            .part_bytes_max = WHY_TRACE_BYTES_MAX,
        };
        trace_names_init(&job->tasks[i].names);
    }
    for (size_t i = 0; i < desk->shard_count;
         i++) { /* some may come back at once, the last of them ends it */
        desk->shards[i].ops->task(desk->shards[i].shard, &job->tasks[i]);
    }
}

void trace_why_take(struct trace_why *self, struct trace_ask *ask)
{
    bool has_room = self->job_count < WHY_JOBS_COUNT_MAX && self->desk->shard_count > 0;
    struct why_job *job;

    if (self->join == NULL || self->is_closed) {
        refuse(self, ask);
        return;
    }
    job = has_room ? calloc(1, sizeof *job) : NULL;
    if (job != NULL) {
        trace_join_samples(self->join, ask->arguments, ask->argument_count, &job->samples);
    }
    if (job == NULL || job->samples.count == 0) {
        free(job);
        reply(self, ask, NULL, 0);
        return;
    }
    job->owner = self;
    job->ask = ask;
    job->task_count = self->desk->shard_count;
    job->tasks_out = job->task_count;
    job->deadline_ns =
        clock_monotonic_ns(self->desk->clock) + self->desk->limits->trace_answer_ms * NS_PER_MS;
    LIST_INSERT_HEAD(&self->jobs, job, link);
    self->job_count++;
    (void)uv_timer_start(&self->timer, on_timer, WHY_TICK_MS, WHY_TICK_MS);
    fetch(job);
}

/* ---- start and stop ---- */

int trace_why_new(struct trace_desk *desk, struct trace_join *join, struct trace_why **ret_self)
{
    struct trace_why *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->desk = desk;
    self->join = join;
    LIST_INIT(&self->jobs);
    (void)uv_timer_init(desk->loop, &self->timer);
    self->timer.data = self;
    *ret_self = self;
    return 0;
}

void trace_why_close(struct trace_why *self)
{
    struct why_job *job;

    if (self == NULL) {
        return;
    }
    self->is_closed = true;
    LIST_FOREACH(job, &self->jobs, link)
    {
        atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
        if (job->ask != NULL) {
            refuse(self, job->ask);
            job->ask = NULL;
        }
    }
    uv_close((uv_handle_t *)&self->timer, NULL);
}

void trace_why_free(struct trace_why *self)
{
    if (self == NULL) {
        return;
    }
    for (struct why_job *job = LIST_FIRST(&self->jobs), *next; job != NULL; job = next) {
        next = LIST_NEXT(job, link);
        free_job(job);
    }
    free(self);
}
