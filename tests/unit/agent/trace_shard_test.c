/* A shard's side of questions about traces: how it shares its time between a large trace and everything else,
 * and what becomes of a trace that is larger than who asked can use. */
#include "unit/trace/ring_rig.h"

#include "tracing/trace_shard.h"

enum { SPANS = 10000, LOOK_US = 100, TURNS_MAX = 100000, SLICE_BYTES = 600000 };

/* Every look at it takes time. */
struct ticking_clock {
    struct clock clock; /* first member */
    _Atomic uint64_t looks_count;
};

static uint64_t look(const struct clock *clock)
{
    struct ticking_clock *ticking = (struct ticking_clock *)(uintptr_t)clock;

    return atomic_fetch_add(&ticking->looks_count, 1) * LOOK_US * 1000;
}

struct shard_rig {
    struct ring_rig ring;
    uv_loop_t loop;
    struct mailbox mailbox;
    struct ticking_clock clock;
    struct trace_shard shard;
    struct trace_task task;
    struct rig_id id;
    atomic_bool cancelled;
    size_t answers_count;
    size_t turns_count;
};

static void on_answered(struct mail *mail, void *receiver)
{
    struct shard_rig *rig = receiver;

    assert_ptr_equal(mail, &rig->task.mail);
    rig->answers_count++;
}

static void start(struct shard_rig *rig, size_t bytes_max, size_t trace_bytes_max)
{
    memset(rig, 0, sizeof *rig);
    ring_rig_init(&rig->ring, 1 << 25, SPANS);
    for (uint64_t i = 0; i < SPANS; i++) {
        assert_true(rig_add_plain(&rig->ring, 1, i));
    }
    rig->clock.clock = (struct clock){.monotonic_ns = look, .unix_ns = look};
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    assert_int_equal(mailbox_init(&rig->mailbox, &rig->loop, rig), 0);
    trace_shard_init(&rig->shard, &rig->loop, rig->ring.ring, &rig->clock.clock);
    rig->id = rig_trace_id(1);
    rig->task = (struct trace_task){
        .reply_to = &rig->mailbox,
        .answered = on_answered,
        .cancelled = &rig->cancelled,
        .kind = TRACE_TASK_FETCH,
        .ids = (const uint8_t(*)[TRACE_MODEL_ID_BYTES]) & rig->id,
        .id_count = 1,
        .bytes_max = bytes_max,
        .trace_bytes_max = trace_bytes_max,
    };
    trace_names_init(&rig->task.names);
    trace_shard_take(&rig->shard, &rig->task);
}

/* One turn of the shard's loop; in none of them is the clock looked at more often than fits a slice: once at
 * its begin, and after each piece of bounded work until the slice is over. */
static void turn(struct shard_rig *rig)
{
    uint64_t before = atomic_load(&rig->clock.looks_count);

    (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_in_range(atomic_load(&rig->clock.looks_count) - before, 0, TRACE_SLICE_US / LOOK_US + 1);
    rig->turns_count++;
    assert_true(rig->turns_count < TURNS_MAX);
}

static void turn_until_answered(struct shard_rig *rig)
{
    while (rig->answers_count == 0) {
        turn(rig);
    }
    assert_int_equal(rig->answers_count, 1);
    assert_null(rig->shard.tasks);
}

static void stop(struct shard_rig *rig)
{
    trace_task_deinit(&rig->task);
    if (uv_is_closing((uv_handle_t *)&rig->shard.idle) == 0) {
        trace_shard_close(&rig->shard);
    }
    mailbox_close(&rig->mailbox);
    (void)uv_run(&rig->loop, UV_RUN_DEFAULT);
    trace_shard_deinit(&rig->shard);
    mailbox_deinit(&rig->mailbox);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    ring_rig_deinit(&rig->ring);
}

static size_t spans_of(const struct shared_bytes *part)
{
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, part->length, part->data);

    assert_non_null(request);
    size_t count = rig_span_count(request);
    rig_free(request);
    return count;
}

static void a_large_trace_takes_many_turns(void **state)
{
    struct shard_rig rig;

    (void)state;
    start(&rig, SIZE_MAX / 2, 0);
    turn_until_answered(&rig);
    assert_in_range(rig.turns_count, 5, SPANS / 10);
    assert_false(rig.task.is_cut);
    assert_int_equal(rig.task.left_out_count, 0);
    assert_int_equal(spans_of(rig.task.parts[0]), SPANS);
    assert_int_equal(rig.task.part_bytes, rig.task.parts[0]->length);
    stop(&rig);
}

/* All of the rest is counted, though nothing more fits. */
static void what_finds_no_room_is_counted(void **state)
{
    struct shard_rig rig;

    (void)state;
    start(&rig, SLICE_BYTES, 0);
    turn_until_answered(&rig);
    assert_false(rig.task.is_cut); /* it was looked at */
    assert_in_range(rig.task.part_bytes, 1, SLICE_BYTES);
    assert_true(rig.task.left_out_count > 0);
    assert_int_equal(spans_of(rig.task.parts[0]) + rig.task.left_out_count, SPANS);
    stop(&rig);
}

/* Who has no use for more than so much learns that there is more, and not all of it. */
static void an_oversized_trace_is_given_up_soon(void **state)
{
    struct shard_rig rig;

    (void)state;
    start(&rig, (size_t)10 * SLICE_BYTES, 10000);
    turn_until_answered(&rig);
    assert_non_null(rig.task.parts[0]);
    assert_in_range(rig.task.parts[0]->length, 10001, 10000 + SLICE_BYTES);
    assert_true(spans_of(rig.task.parts[0]) < SPANS / 2);
    stop(&rig);
}

static void less_than_a_whole_trace_is_no_part_for_who_wants_it_whole(void **state)
{
    struct shard_rig rig;

    (void)state;
    start(&rig, 20000, (size_t)2 * SLICE_BYTES);
    turn_until_answered(&rig);
    assert_null(rig.task.parts[0]);
    assert_true(rig.task.is_cut);
    assert_int_equal(rig.task.part_bytes, 0);
    stop(&rig);
}

static void a_question_that_nobody_waits_for_ends_in_the_midst(void **state)
{
    struct shard_rig rig;

    (void)state;
    start(&rig, SIZE_MAX / 2, 0);
    turn(&rig);
    turn(&rig);
    assert_int_equal(rig.answers_count, 0);
    assert_true(rig.task.out.length > 0);
    atomic_store(&rig.cancelled, true);
    turn_until_answered(&rig);
    assert_true(rig.task.is_cut);
    assert_null(rig.task.parts[0]);
    stop(&rig);
}

static void a_stop_sends_back_what_was_begun(void **state)
{
    struct shard_rig rig;

    (void)state;
    start(&rig, SIZE_MAX / 2, 0);
    turn(&rig);
    trace_shard_close(&rig.shard);
    turn_until_answered(&rig);
    assert_true(rig.task.is_cut);
    assert_null(rig.task.parts[0]);
    stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_trace_takes_many_turns),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(an_oversized_trace_is_given_up_soon),
        cmocka_unit_test(less_than_a_whole_trace_is_no_part_for_who_wants_it_whole),
        cmocka_unit_test(a_question_that_nobody_waits_for_ends_in_the_midst),
        cmocka_unit_test(a_stop_sends_back_what_was_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
