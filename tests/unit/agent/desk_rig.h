/* The trace thread with shards that the test plays, and a shard that asks: the test's thread. */
#ifndef WEFT_TESTS_AGENT_DESK_RIG_H
#define WEFT_TESTS_AGENT_DESK_RIG_H

#include "daemon_rig.h"

#include "decode/otlp_json.h"
#include "query/trace_answer.h"
#include "tracing/trace_thread.h"

#define TRACE "0102030405060708090a0b0c0d0e0f10"
#define OTHER "ff02030405060708090a0b0c0d0e0f10"

enum { SHARDS = 2, ANSWER_MS = 200, HELD_COUNT_MAX = 128 };

/* ---- shards ---- */

struct fake_shard {
    struct desk_rig *rig;
    size_t index;
    bool is_silent;    /* keeps its tasks until they are let go */
    const char *spans; /* OTLP JSON of what it has of the traces; NULL: nothing */
    const struct trace_match *matches;
    size_t match_count;
    _Atomic size_t held_count;
    struct trace_task *held[HELD_COUNT_MAX];
};

struct desk_rig {
    struct config *config;
    struct metric_registry registry;
    struct metric_cells *cells;
    struct kept_hub hub;
    struct trace_thread *thread;
    struct fake_shard shards[SHARDS];
    uv_loop_t loop; /* of the shard that asks: the test's thread */
    struct mailbox mailbox;
    size_t answers_count;
    unsigned status; /* of the last answer */
    char *text;
    size_t text_bytes;
    char yaml[2048];
};

static inline struct shared_bytes *message_of(const char *json)
{
    struct decode_error where;
    struct buffer out;

    buffer_init(&out, MESSAGE_BYTES_MAX);
    assert_int_equal(otlp_json_to_protobuf(slice_of_string(json), OTLP_JSON_TRACES, 16, &out, &where), 0);
    struct shared_bytes *bytes = shared_bytes_take(&out);
    assert_non_null(bytes);
    buffer_deinit(&out);
    return bytes;
}

/* Answers at once, on the trace thread: where its letters come from does not matter to it. */
static inline void fake_work(struct fake_shard *shard, struct trace_task *task)
{
    if (task->kind == TRACE_TASK_FETCH && shard->spans != NULL) {
        task->parts = calloc(task->id_count, sizeof(struct shared_bytes *));
        for (size_t i = 0; i < task->id_count; i++) {
            task->parts[i] = task->ids[i][0] == 1 ? message_of(shard->spans) : NULL;
        }
    } else if (task->kind == TRACE_TASK_SEARCH && shard->match_count > 0) {
        task->matches = calloc(shard->match_count, sizeof *task->matches);
        memcpy(task->matches, shard->matches, shard->match_count * sizeof *task->matches);
        task->match_count = shard->match_count;
    } else if (task->kind == TRACE_TASK_SERVICES || task->kind == TRACE_TASK_OPERATIONS) {
        trace_names_add(&task->names, SLICE_LITERAL("common"), SPAN_KIND_SERVER);
        trace_names_add(
            &task->names, shard->index == 0 ? SLICE_LITERAL("a") : SLICE_LITERAL("b"), SPAN_KIND_CLIENT);
    }
    trace_task_return(task);
}

static inline void fake_task(void *user, struct trace_task *task)
{
    struct fake_shard *shard = user;

    if (!shard->is_silent) {
        fake_work(shard, task);
        return;
    }
    size_t count = atomic_load(&shard->held_count);
    assert_true(count < HELD_COUNT_MAX);
    shard->held[count] = task;
    atomic_store(&shard->held_count, count + 1);
}

static inline void let_go(struct fake_shard *shard)
{
    for (size_t i = 0; i < atomic_load(&shard->held_count); i++) {
        fake_work(shard, shard->held[i]);
    }
    atomic_store(&shard->held_count, 0);
}

static const struct trace_shard_ops fake_ops = {.task = fake_task};

/* ---- the asker ---- */

static inline void on_answered(struct mail *mail, void *receiver)
{
    struct trace_ask *ask = (struct trace_ask *)mail;
    struct desk_rig *rig = receiver;

    rig->answers_count++;
    rig->status = ask->status;
    free(rig->text);
    rig->text = NULL;
    rig->text_bytes = 0;
    if (ask->body != NULL) {
        rig->text = strndup((const char *)ask->body->data, ask->body->length);
        rig->text_bytes = ask->body->length;
    }
    shared_bytes_unref(ask->body);
    free(ask);
}

/* limits: further ones; peers: a list for trace.peers, "" for none. */
static inline void start_with(struct desk_rig *rig, const char *limits, const char *peers)
{
    memset(rig, 0, sizeof *rig);
    (void)snprintf(rig->yaml, sizeof rig->yaml, "limits:\n  trace_answer_ms: %d\n%s%s%s%s", ANSWER_MS, limits,
        peers[0] != '\0' ? "trace:\n  peers: [" : "", peers, peers[0] != '\0' ? "]\n" : "");
    rig->config = rig_config(rig->yaml);
    rig->cells = metric_registry_add(&rig->registry, METRIC_SCOPE_PROCESS, "");
    assert_non_null(rig->cells);
    struct trace_thread_config config = {
        .config = rig->config,
        .clock = clock_system(),
        .cells = rig->cells,
        .hub = &rig->hub,
        .pins_exemplars = true,
    };
    assert_int_equal(trace_thread_new(&config, &rig->thread), 0);
    for (size_t i = 0; i < SHARDS; i++) {
        rig->shards[i].rig = rig;
        rig->shards[i].index = i;
        trace_thread_add_shard(rig->thread, &rig->shards[i], &fake_ops);
    }
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    assert_int_equal(mailbox_init(&rig->mailbox, &rig->loop, rig), 0);
    assert_int_equal(trace_thread_start(rig->thread), 0);
}

static inline void start(struct desk_rig *rig, const char *peers)
{
    start_with(rig, "", peers);
}

static inline void stop(struct desk_rig *rig)
{
    trace_thread_stop(rig->thread);
    mailbox_drain(&rig->mailbox);
    trace_thread_free(rig->thread);
    mailbox_close(&rig->mailbox);
    (void)uv_run(&rig->loop, UV_RUN_DEFAULT);
    mailbox_deinit(&rig->mailbox);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    metric_registry_deinit(&rig->registry);
    config_free(rig->config);
    free(rig->text);
}

static inline void ask(struct desk_rig *rig, const char *path, const char *name, const char *value)
{
    struct trace_ask *question = calloc(1, sizeof *question);

    assert_non_null(question);
    question->reply_to = &rig->mailbox;
    question->answered = on_answered;
    question->path = path;
    if (name != NULL) {
        question->arguments[question->argument_count++] = (struct query_argument){name, value};
    }
    assert_true(trace_thread_ask(rig->thread, question));
}

static inline void wait_for_answers(struct desk_rig *rig, size_t count)
{
    for (int ms = 0; rig->answers_count < count; ms++) {
        assert_true(ms < DAEMON_WAIT_MS);
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        pause_ms(1);
    }
}

/* The answer, to be released. */
static inline json_t *get(
    struct desk_rig *rig, const char *path, const char *name, const char *value, unsigned status)
{
    json_error_t error;
    size_t count = rig->answers_count;

    ask(rig, path, name, value);
    wait_for_answers(rig, count + 1);
    if (rig->status != status) {
        fail_msg("%u: %s", rig->status, rig->text);
    }
    json_t *answer = json_loadb(rig->text, rig->text_bytes, 0, &error);
    assert_non_null(answer);
    return answer;
}

static inline size_t span_count(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "resourceSpans");
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *scopes = json_object_get(json_array_get(list, i), "scopeSpans");
        for (size_t j = 0; j < json_array_size(scopes); j++) {
            count += json_array_size(json_object_get(json_array_get(scopes, j), "spans"));
        }
    }
    return count;
}

static inline bool warns(const json_t *answer, const char *text)
{
    const json_t *warnings = json_object_get(answer, "warnings");

    for (size_t i = 0; i < json_array_size(warnings); i++) {
        if (strstr(json_string_value(json_array_get(warnings, i)), text) != NULL) {
            return true;
        }
    }
    return false;
}

#define SPANS_OF(trace, id, parent, name)                                                                    \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"               \
    "\"stringValue\":"                                                                                       \
    "\"s\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"" trace "\",\"spanId\":\"" id                      \
    "\",\"parentSpanId\":\"" parent "\",\"name\":\"" name                                                    \
    "\",\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"9\"}]}]}]}"
#define ONE SPANS_OF(TRACE, "0000000000000001", "", "one")
#define TWO SPANS_OF(TRACE, "0000000000000002", "0000000000000001", "two")

#endif
