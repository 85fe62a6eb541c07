/*
 * Exemplars' traces between aggregator and shards, both played by the test: what is granted, what is fetched
 * once more for late spans, what a question by id finds when the shards have forgotten it; and how long R is.
 */
#include "daemon_rig.h"

#include "decode/otlp_json.h"
#include "tracing/exemplar_link.h"
#include "trace/span_ids.h"
#include "tracing/trace_pins.h"

#define S 1000000000ull
#define MS 1000000ull
#define R_NS (10 * S)

enum { SHARDS = 2, LINGER_S = 30 };

struct pins_rig {
    uv_loop_t loop;
    struct mailbox mailbox; /* of the trace thread, and of the aggregator's */
    struct limits limits;
    struct clock_manual clock;
    struct metric_registry registry;
    struct trace_desk desk;
    struct trace_pins *pins;
    struct exemplar_letter letter;
    size_t answers_count;
    bool is_silent; /* the second shard keeps its task */
    struct trace_task *held;
    uint8_t spans[SHARDS]; /* last bytes of ids: what each shard has of every trace; 0: nothing */
    size_t tasks_count;
};

struct fake_shard {
    struct pins_rig *rig;
    size_t index;
};

static struct shared_bytes *message_of(const uint8_t *trace_id, uint8_t span)
{
    struct decode_error where;
    struct buffer out;
    char json[512];
    char hex[2 * TRACE_MODEL_ID_BYTES + 1];

    trace_id_text(trace_id, TRACE_MODEL_ID_BYTES, hex);
    (void)snprintf(json, sizeof json,
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"%s\",\"spanId\":\"00000000000000%"
        "02x\","
        "\"name\":\"n\",\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"9\"}]}]}]}",
        hex, span);
    buffer_init(&out, SIZE_MAX);
    assert_int_equal(otlp_json_to_protobuf(slice_of_string(json), OTLP_JSON_TRACES, 16, &out, &where), 0);
    struct shared_bytes *bytes = shared_bytes_take(&out);
    assert_non_null(bytes);
    buffer_deinit(&out);
    return bytes;
}

static void work(struct pins_rig *rig, struct trace_task *task)
{
    uint8_t span = rig->spans[task->shard_index];

    assert_int_equal(task->kind, TRACE_TASK_FETCH);
    if (span != 0) {
        task->parts = calloc(task->id_count, sizeof(struct shared_bytes *));
        assert_non_null(task->parts);
        for (size_t i = 0; i < task->id_count; i++) {
            task->parts[i] = message_of(task->ids[i], span);
        }
    }
    trace_task_return(task);
}

static void on_task(void *user, struct trace_task *task)
{
    struct fake_shard *shard = user;

    shard->rig->tasks_count++;
    if (shard->rig->is_silent && shard->index == 1) {
        shard->rig->held = task;
    } else {
        work(shard->rig, task);
    }
}

static const struct trace_shard_ops ops = {.task = on_task};

static void turn(struct pins_rig *rig)
{
    for (int i = 0; i < 20; i++) {
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
}

/* Until the timer has come by. */
static void turn_until(struct pins_rig *rig, const size_t *count, size_t wanted)
{
    for (int ms = 0; *count < wanted; ms++) {
        assert_true(ms < DAEMON_WAIT_MS);
        turn(rig);
        pause_ms(1);
    }
    turn(rig);
}

static void start(struct pins_rig *rig, struct fake_shard *shards)
{
    static const struct config_trace trace = {.exemplar_retention_s = R_NS / S, .linger_ms = LINGER_S * 1000};

    memset(rig, 0, sizeof *rig);
    limits_init(&rig->limits);
    rig->limits.exemplar_traces_max = 8;
    clock_manual_init(&rig->clock, 100 * S, 100 * S);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    assert_int_equal(mailbox_init(&rig->mailbox, &rig->loop, rig), 0);
    rig->desk = (struct trace_desk){
        .loop = &rig->loop,
        .mailbox = &rig->mailbox,
        .limits = &rig->limits,
        .clock = &rig->clock.clock,
        .cells = metric_registry_add(&rig->registry, METRIC_SCOPE_PROCESS, ""),
    };
    for (size_t i = 0; i < SHARDS; i++) {
        shards[i] = (struct fake_shard){.rig = rig, .index = i};
        rig->desk.shards[rig->desk.shard_count++] =
            (struct trace_desk_shard){.shard = &shards[i], .ops = &ops};
    }
    assert_int_equal(trace_pins_new(&trace, &rig->desk, &rig->pins), 0);
    assert_non_null(rig->desk.pins);
}

static void stop(struct pins_rig *rig)
{
    trace_pins_close(rig->pins);
    mailbox_close(&rig->mailbox);
    (void)uv_run(&rig->loop, UV_RUN_DEFAULT);
    trace_pins_free(rig->pins);
    assert_null(rig->desk.pins);
    mailbox_deinit(&rig->mailbox);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    metric_registry_deinit(&rig->registry);
}

static void on_answered(struct mail *mail, void *receiver)
{
    struct pins_rig *rig = receiver;

    assert_ptr_equal(mail, &rig->letter.mail);
    rig->answers_count++;
}

static void offer(struct pins_rig *rig, uint32_t number, uint8_t trace, uint8_t span)
{
    struct exemplar_offer *to = &rig->letter.offers[rig->letter.offer_count++];

    *to = (struct exemplar_offer){
        .number = number, .destination = 1, .trace_id = {trace}, .span_id = {[7] = span}};
}

static void send_letter(struct pins_rig *rig)
{
    rig->letter.reply_to = &rig->mailbox;
    rig->letter.answered = on_answered;
    rig->letter.retention_ns = R_NS;
    trace_pins_take(rig->pins, &rig->letter);
    turn(rig);
}

static void begin_letter(struct pins_rig *rig)
{
    rig->letter.offer_count = 0;
    rig->letter.withdrawn_count = 0;
}

static bool is_pinned(struct pins_rig *rig, uint8_t trace, uint8_t span)
{
    const uint8_t trace_id[TRACE_MODEL_ID_BYTES] = {trace};
    const uint8_t span_id[TRACE_SPAN_ID_BYTES] = {[7] = span};
    struct shared_bytes *bytes = pins_find(rig->desk.pins, trace_id);
    bool has = bytes != NULL && span_ids_have(slice_of(bytes->data, bytes->length), span_id);

    shared_bytes_unref(bytes);
    return has;
}

static void granted_what_some_shard_has(void **state)
{
    struct fake_shard shards[SHARDS];
    struct pins_rig rig;

    (void)state;
    start(&rig, shards);
    rig.spans[0] = 1;
    rig.spans[1] = 2;
    offer(&rig, 0, 1, 1);
    offer(&rig, 1, 1, 2);
    offer(&rig, 2, 1, 3); /* nobody has it */
    offer(&rig, 3, 2, 2);
    send_letter(&rig);
    assert_int_equal(rig.answers_count, 1);
    assert_int_equal(rig.tasks_count, SHARDS); /* one fetch for all */
    assert_true(rig.letter.is_granted[0] && rig.letter.is_granted[1] && rig.letter.is_granted[3]);
    assert_false(rig.letter.is_granted[2]);
    assert_true(is_pinned(&rig, 1, 1) && is_pinned(&rig, 1, 2) && is_pinned(&rig, 2, 2));
    begin_letter(&rig); /* nothing: it tells R alone */
    send_letter(&rig);
    assert_int_equal(rig.answers_count, 2);
    assert_int_equal(rig.tasks_count, SHARDS);
    stop(&rig);
}

static void dropped_when_r_and_the_scrapes_own_time_are_over(void **state)
{
    struct fake_shard shards[SHARDS];
    struct pins_rig rig;
    size_t gone = 0;

    (void)state;
    start(&rig, shards);
    rig.spans[0] = 1;
    offer(&rig, 0, 1, 1);
    send_letter(&rig);
    rig.spans[0] = 0; /* the rings forget */
    begin_letter(&rig);
    rig.letter.withdrawn[rig.letter.withdrawn_count++] = 0;
    send_letter(&rig);
    size_t asked = rig.tasks_count;
    clock_manual_advance(&rig.clock, R_NS + EXEMPLAR_GRACE_MS * MS - 1);
    turn_until(&rig, &rig.tasks_count, asked + SHARDS); /* for late spans: the timer came by */
    assert_true(is_pinned(&rig, 1, 1));
    clock_manual_advance(&rig.clock, 1);
    for (int ms = 0; gone == 0; ms++) {
        assert_true(ms < DAEMON_WAIT_MS);
        turn(&rig);
        pause_ms(1);
        gone = !is_pinned(&rig, 1, 1);
    }
    assert_int_equal(metric_registry_sum(&rig.registry, METRIC_EXEMPLAR_TRACES), 0);
    stop(&rig);
}

static void late_spans_are_fetched_and_a_letter_waits_for_it(void **state)
{
    struct fake_shard shards[SHARDS];
    struct pins_rig rig;

    (void)state;
    start(&rig, shards);
    rig.spans[0] = 1;
    offer(&rig, 0, 1, 1);
    send_letter(&rig);
    assert_true(rig.letter.is_granted[0]);
    rig.spans[0] = 0;
    rig.spans[1] = 2;
    rig.is_silent = true;
    size_t asked = rig.tasks_count;
    clock_manual_advance(&rig.clock, TRACE_PINS_LATE_MS * MS);
    turn_until(&rig, &rig.tasks_count, asked + SHARDS);
    begin_letter(&rig);
    offer(&rig, 1, 1, 2);
    send_letter(&rig);
    assert_int_equal(rig.answers_count, 1); /* the second shard is not back yet */
    rig.is_silent = false;
    work(&rig, rig.held);
    turn(&rig);
    assert_int_equal(rig.answers_count, 2);
    assert_true(rig.letter.is_granted[0]); /* at once: the late spans had it */
    assert_int_equal(rig.tasks_count, asked + SHARDS);
    assert_true(is_pinned(&rig, 1, 1) && is_pinned(&rig, 1, 2));
    stop(&rig);
}

static void a_full_store_asks_for_room(void **state)
{
    struct fake_shard shards[SHARDS];
    struct pins_rig rig;

    (void)state;
    start(&rig, shards);
    rig.spans[0] = 1;
    for (uint8_t i = 0; i < 6; i++) {
        offer(&rig, i, (uint8_t)(i + 1), 1);
    }
    send_letter(&rig);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(rig.letter.is_granted[i], i < 4); /* half of 8 */
    }
    assert_int_equal(rig.letter.withdraw_count, 0); /* all are new */
    clock_manual_advance(&rig.clock, R_NS + EXEMPLAR_GRACE_MS * MS);
    begin_letter(&rig);
    offer(&rig, 4, 5, 1);
    send_letter(&rig);
    turn(&rig);
    if (rig.answers_count == 1) { /* a fetch of late spans was under way */
        turn_until(&rig, &rig.answers_count, 2);
    }
    assert_false(rig.letter.is_granted[0]);
    assert_int_equal(rig.letter.withdraw_count, 1);
    assert_true(rig.letter.withdraw[0] < 4);
    stop(&rig);
}

/* It stops with a fetch under way. */
static void a_stop_leaves_nothing_behind(void **state)
{
    struct fake_shard shards[SHARDS];
    struct pins_rig rig;

    (void)state;
    start(&rig, shards);
    rig.spans[0] = 1;
    rig.spans[1] = 2;
    rig.is_silent = true;
    offer(&rig, 0, 1, 1);
    send_letter(&rig);
    assert_int_equal(rig.answers_count, 0);
    trace_pins_close(rig.pins);
    assert_true(atomic_load(rig.held->cancelled));
    mailbox_close(&rig.mailbox);
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    work(&rig, rig.held); /* to a mailbox that is closed */
    trace_pins_free(rig.pins);
    assert_int_equal(rig.answers_count, 0);
    mailbox_deinit(&rig.mailbox);
    assert_int_equal(uv_loop_close(&rig.loop), 0);
    metric_registry_deinit(&rig.registry);
    trace_pins_close(NULL);
    trace_pins_free(NULL);
}

static void r_is_two_scrapes_when_that_is_longer(void **state)
{
    static struct exemplar_link link;
    struct config *config = rig_config("trace:\n  exemplar_retention_s: 60\n");
    struct metric_registry registry = {0};
    struct metric_cells *cells = metric_registry_add(&registry, METRIC_SCOPE_PROCESS, "");
    struct clock_manual clock;
    struct aggregator *aggregator;
    struct budget budget = {.cap_bytes = 1 << 30};
    struct split_bounds bounds;
    int somebody;

    (void)state;
    clock_manual_init(&clock, S, S);
    assert_int_equal(split_bounds_init(&bounds, bounds_default_ns, bounds_default_count), 0);
    const struct aggregator_settings settings = {.shard_count = 1,
        .bounds = &bounds,
        .limits = &config->limits,
        .budget = &budget,
        .cells = cells,
        .clock = &clock.clock,
        .exemplars_are_pinned = true};
    assert_int_equal(aggregator_new(&settings, &aggregator), 0);
    /* no letter is sent here, so that there is somebody is enough */
    exemplar_link_init(&link, config, aggregator, (struct trace_thread *)(void *)&somebody, NULL, cells);
    assert_int_equal(metric_get(cells, METRIC_EXEMPLAR_RETENTION), 60000);
    exemplar_link_note_scrape(&link, 1000 * S);
    exemplar_link_note_scrape(&link, 1030 * S);
    assert_int_equal(exemplar_link_retention_ns(&link), 60 * S);
    exemplar_link_note_scrape(&link, 1130 * S);
    assert_int_equal(exemplar_link_retention_ns(&link), 200 * S);
    assert_int_equal(metric_get(cells, METRIC_EXEMPLAR_RETENTION), 200000);
    exemplar_link_note_scrape(&link, (1131 + SCRAPE_GAP_S_MAX) * S); /* no scraper comes so seldom */
    assert_int_equal(exemplar_link_retention_ns(&link), 200 * S);
    for (uint64_t i = 0; i < SCRAPE_GAPS_COUNT; i++) {
        exemplar_link_note_scrape(&link, (1200 + SCRAPE_GAP_S_MAX + i) * S);
    }
    assert_int_equal(exemplar_link_retention_ns(&link), 138 * S); /* the gap before these, of 69 s */
    exemplar_link_note_scrape(&link, (1208 + SCRAPE_GAP_S_MAX) * S);
    assert_int_equal(exemplar_link_retention_ns(&link), 60 * S);
    aggregator_free(aggregator);
    metric_registry_deinit(&registry);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(granted_what_some_shard_has),
        cmocka_unit_test(dropped_when_r_and_the_scrapes_own_time_are_over),
        cmocka_unit_test(late_spans_are_fetched_and_a_letter_waits_for_it),
        cmocka_unit_test(a_full_store_asks_for_room),
        cmocka_unit_test(a_stop_leaves_nothing_behind),
        cmocka_unit_test(r_is_two_scrapes_when_that_is_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
