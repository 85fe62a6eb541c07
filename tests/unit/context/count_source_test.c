/* What a proxy is counted from: every way through the states, proxies that look alike, and a full table. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/count_source.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define START (5000 * SECOND)

static const struct slice no_node = {.ptr = NULL, .length = 0};

struct fixture {
    struct limits limits;
    struct metric_cells *cells;
    struct count_sources *sources;
    struct sender sender;
    struct count_voice voice;
};

static struct sender process(int pid, uint64_t start_ticks)
{
    struct sender sender = {.kind = SENDER_PROCESS, .pid = pid, .uid = 1337, .start_ticks = start_ticks};

    (void)snprintf(sender.name, sizeof sender.name, "envoy");
    sender_id_format(&sender);
    return sender;
}

static void start(struct fixture *fixture, enum count_from from)
{
    memset(fixture, 0, sizeof *fixture);
    limits_init(&fixture->limits);
    fixture->cells = aligned_alloc(64, sizeof *fixture->cells);
    assert_non_null(fixture->cells);
    memset(fixture->cells, 0, sizeof *fixture->cells);
    fixture->sources = count_sources_new(from, &fixture->limits);
    assert_non_null(fixture->sources);
    fixture->sender = process(77, 1000);
    fixture->voice = count_sources_find(
        fixture->sources, &fixture->sender, no_node, REPORTER_SOURCE, START, fixture->cells);
    assert_true(fixture->voice.key != 0);
}

static void stop(struct fixture *fixture)
{
    count_sources_free(fixture->sources);
    free(fixture->cells);
}

static enum count_verdict span_at(struct fixture *fixture, uint64_t after_ns)
{
    return count_source_verdict(
        fixture->sources, REQUEST_FROM_SPAN, fixture->voice, START + after_ns, fixture->cells);
}

static enum count_verdict log_at(struct fixture *fixture, uint64_t after_ns)
{
    return count_source_verdict(
        fixture->sources, REQUEST_FROM_LOG, fixture->voice, START + after_ns, fixture->cells);
}

static void expect_changes(struct fixture *fixture, uint64_t count)
{
    assert_int_equal(metric_get(fixture->cells, METRIC_COUNT_SOURCE_CHANGES), count);
}

static void spans_alone_count_after_the_wait(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(span_at(&f, 0), COUNT_HOLD);
    assert_int_equal(span_at(&f, 4999 * MS), COUNT_HOLD);
    assert_int_equal(span_at(&f, 5000 * MS), COUNT_NOW);
    assert_int_equal(span_at(&f, 3600 * SECOND), COUNT_NOW);
    expect_changes(&f, 0);
    stop(&f);
}

static void a_log_in_the_wait_supersedes(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(span_at(&f, 0), COUNT_HOLD);
    assert_int_equal(log_at(&f, 3 * SECOND), COUNT_NOW);
    assert_int_equal(span_at(&f, 3 * SECOND), COUNT_SUPERSEDED);
    assert_int_equal(span_at(&f, 20 * SECOND), COUNT_SUPERSEDED);
    expect_changes(&f, 0);
    stop(&f);
}

static void a_late_log_is_a_change(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    (void)span_at(&f, 0);
    assert_int_equal(span_at(&f, 6 * SECOND), COUNT_NOW);
    assert_int_equal(log_at(&f, 7 * SECOND), COUNT_NOW);
    assert_int_equal(log_at(&f, 8 * SECOND), COUNT_NOW);
    assert_int_equal(span_at(&f, 8 * SECOND), COUNT_SUPERSEDED);
    expect_changes(&f, 1);
    stop(&f);
}

static void spans_come_back_after_the_log_fell_silent(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(log_at(&f, 0), COUNT_NOW);
    for (uint64_t s = 0; s <= 100; s += 10) { /* a log that goes on is not silent */
        assert_int_equal(log_at(&f, s * SECOND), COUNT_NOW);
        assert_int_equal(span_at(&f, s * SECOND + 9 * SECOND), COUNT_SUPERSEDED);
    }
    assert_int_equal(span_at(&f, 130 * SECOND), COUNT_SUPERSEDED);
    assert_int_equal(span_at(&f, 130 * SECOND + MS), COUNT_HOLD);
    expect_changes(&f, 1);
    assert_int_equal(span_at(&f, 136 * SECOND), COUNT_NOW);
    stop(&f);
}

static enum count_verdict otlp_at(struct fixture *fixture, uint64_t after_ns)
{
    return count_source_verdict(
        fixture->sources, REQUEST_FROM_OTLP_LOG, fixture->voice, START + after_ns, fixture->cells);
}

static void otlp_logs_stand_between(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(span_at(&f, 0), COUNT_HOLD);
    assert_int_equal(otlp_at(&f, SECOND), COUNT_HOLD);
    assert_int_equal(span_at(&f, 2 * SECOND), COUNT_SUPERSEDED);
    assert_int_equal(otlp_at(&f, 5 * SECOND), COUNT_NOW);
    assert_int_equal(span_at(&f, 6 * SECOND), COUNT_SUPERSEDED);
    expect_changes(&f, 0);
    assert_int_equal(log_at(&f, 7 * SECOND), COUNT_NOW);
    expect_changes(&f, 1);
    assert_int_equal(otlp_at(&f, 8 * SECOND), COUNT_SUPERSEDED);
    assert_int_equal(otlp_at(&f, 40 * SECOND), COUNT_HOLD);
    expect_changes(&f, 2);
    stop(&f);
}

static void an_access_log_beats_held_otlp_logs(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(otlp_at(&f, 0), COUNT_HOLD);
    assert_int_equal(log_at(&f, SECOND), COUNT_NOW);
    assert_int_equal(otlp_at(&f, 2 * SECOND), COUNT_SUPERSEDED);
    expect_changes(&f, 0);
    stop(&f);
}

static void the_configuration_decides(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_SPANS);
    assert_int_equal(span_at(&f, 0), COUNT_NOW);
    assert_int_equal(log_at(&f, 0), COUNT_SUPERSEDED);
    stop(&f);
    start(&f, COUNT_FROM_ACCESS_LOG);
    assert_int_equal(span_at(&f, 0), COUNT_SUPERSEDED);
    assert_int_equal(log_at(&f, 0), COUNT_NOW);
    stop(&f);
}

static void voiceless_records_always_count(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_ACCESS_LOG);
    f.voice = (struct count_voice){.key = 0};
    assert_int_equal(span_at(&f, 0), COUNT_NOW);
    assert_int_equal(log_at(&f, 0), COUNT_NOW);
    assert_int_equal(count_source_verdict(NULL, REQUEST_FROM_SPAN, f.voice, 0, f.cells), COUNT_NOW);
    assert_int_equal(count_source_verdict(NULL, REQUEST_FROM_LOG, f.voice, 0, f.cells), COUNT_NOW);
    stop(&f);
}

static uint64_t key_of(struct fixture *f, const struct sender *sender, const char *node, enum reporter side)
{
    struct slice node_id = slice_of_string(node);

    return count_sources_find(f->sources, sender, node_id, side, START, f->cells).key;
}

static void proxies_and_sides_are_kept_apart(void **state)
{
    struct fixture f;
    struct sender other = process(78, 1000);
    struct sender reused = process(77, 2000);
    struct sender hidden = process(0, 0); /* of another pid namespace */

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(key_of(&f, &f.sender, "", REPORTER_SOURCE), f.voice.key);
    /* The process is known: what it calls its node does not matter. */
    assert_int_equal(key_of(&f, &f.sender, "node", REPORTER_SOURCE), f.voice.key);
    assert_int_not_equal(key_of(&f, &f.sender, "", REPORTER_DESTINATION), f.voice.key);
    assert_int_not_equal(key_of(&f, &other, "", REPORTER_SOURCE), f.voice.key);
    assert_int_not_equal(key_of(&f, &reused, "", REPORTER_SOURCE), f.voice.key);
    /* Two proxies of one user whose processes cannot be seen: the node tells them apart. */
    assert_int_not_equal(
        key_of(&f, &hidden, "a", REPORTER_SOURCE), key_of(&f, &hidden, "b", REPORTER_SOURCE));
    assert_int_equal(key_of(&f, &hidden, "a", REPORTER_SOURCE), key_of(&f, &hidden, "a", REPORTER_SOURCE));
    stop(&f);
}

static void a_full_table_counts_everything_and_makes_room_later(void **state)
{
    struct fixture f;
    uint64_t voiceless_count = 0;
    uint64_t hour_later = START + (COUNT_SOURCE_IDLE_S + 1) * SECOND;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    for (int pid = 1000; pid < 1000 + COUNT_SOURCES_COUNT * 2; pid++) {
        struct sender sender = process(pid, 1);
        struct count_voice voice =
            count_sources_find(f.sources, &sender, no_node, REPORTER_SOURCE, START, f.cells);
        voiceless_count += voice.key == 0;
    }
    assert_true(voiceless_count >= COUNT_SOURCES_COUNT);
    assert_int_equal(metric_get(f.cells, METRIC_COUNT_SOURCES_LIMITED), voiceless_count);
    struct sender late = process(999999, 1);
    struct count_voice voice =
        count_sources_find(f.sources, &late, no_node, REPORTER_SOURCE, hour_later, f.cells);
    assert_true(voice.key != 0);
    assert_int_equal(
        count_source_verdict(f.sources, REQUEST_FROM_SPAN, voice, hour_later, f.cells), COUNT_HOLD);
    stop(&f);
}

static void an_old_voice_of_a_place_that_was_given_away_counts(void **state)
{
    struct fixture f;
    uint64_t hour_later = START + (COUNT_SOURCE_IDLE_S + 1) * SECOND;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(log_at(&f, 0), COUNT_NOW);
    for (int pid = 1000; pid < 1000 + COUNT_SOURCES_COUNT * 4; pid++) {
        struct sender sender = process(pid, 1);
        (void)count_sources_find(f.sources, &sender, no_node, REPORTER_SOURCE, hour_later, f.cells);
    }
    assert_int_equal(
        count_source_verdict(f.sources, REQUEST_FROM_SPAN, f.voice, hour_later + SECOND, f.cells), COUNT_NOW);
    stop(&f);
}

static void ending_the_wait_counts_once(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    (void)span_at(&f, 0);
    count_source_end_wait(f.sources, f.voice, START, f.cells);
    count_source_end_wait(f.sources, f.voice, START, f.cells);
    assert_int_equal(metric_get(f.cells, METRIC_COUNT_SOURCES_EARLY), 1);
    assert_int_equal(span_at(&f, MS), COUNT_NOW);
    stop(&f);
}

enum { THREAD_COUNT = 4, ROUNDS = 20000 };

static void *speak(void *user)
{
    struct fixture *f = user;
    struct metric_cells *cells = aligned_alloc(64, sizeof *cells);

    if (cells == NULL) {
        return NULL;
    }
    memset(cells, 0, sizeof *cells);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct sender sender = process((int)(1 + i % 100), 1);
        struct count_voice voice =
            count_sources_find(f->sources, &sender, no_node, REPORTER_SOURCE, START, cells);
        (void)count_source_verdict(f->sources, REQUEST_FROM_SPAN, voice, START + i * MS, cells);
        if (i % 3 == 0) {
            (void)count_source_verdict(f->sources, REQUEST_FROM_LOG, voice, START + i * MS, cells);
        }
    }
    free(cells);
    return f;
}

static void threads_agree_on_a_place(void **state)
{
    struct fixture f;
    pthread_t threads[THREAD_COUNT];

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    for (int i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, speak, &f), 0);
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    for (int pid = 1; pid <= 100; pid++) {
        struct sender sender = process(pid, 1);
        struct count_voice first =
            count_sources_find(f.sources, &sender, no_node, REPORTER_SOURCE, START, f.cells);
        assert_int_equal(
            count_source_verdict(f.sources, REQUEST_FROM_SPAN, first, START + ROUNDS * MS, f.cells),
            COUNT_SUPERSEDED);
    }
    stop(&f);
}

/* ---- giving places away ---- */

enum { GIVEN_AWAY_COUNT = 6000, TAKERS_COUNT = 2, PROXIES_TO_FILL = 200000, SPINS_COUNT = 1000 };

struct taker {
    struct count_sources *sources;
    struct metric_cells *cells;
    _Atomic uint32_t *at_gate;
    struct count_voice voices[GIVEN_AWAY_COUNT];
};

static void *take_given_away(void *argument)
{
    struct taker *taker = argument;

    for (uint32_t i = 0; i < GIVEN_AWAY_COUNT; i++) {
        struct sender sender = process(500000 + (int)i, 7);
        (void)atomic_fetch_add(taker->at_gate, 1);
        for (int spins = 1; atomic_load(taker->at_gate) < (i + 1) * TAKERS_COUNT; spins++) {
            if (spins % SPINS_COUNT == 0) {
                (void)sched_yield(); /* one processor may be all there is */
            }
        }
        taker->voices[i] = count_sources_find(taker->sources, &sender, no_node, REPORTER_SOURCE,
            START + 2 * COUNT_SOURCE_IDLE_S * SECOND, taker->cells);
    }
    return NULL;
}

/* A proxy's connections may begin on two shards at once, when all places are of proxies long silent. */
static void a_place_given_away_twice_at_once_is_one(void **state)
{
    struct taker *takers = calloc(TAKERS_COUNT, sizeof *takers);
    pthread_t threads[TAKERS_COUNT];
    _Atomic uint32_t at_gate = 0;
    struct fixture f;

    (void)state;
    assert_non_null(takers);
    start(&f, COUNT_FROM_AUTO);
    for (int i = 0; i < PROXIES_TO_FILL; i++) {
        struct sender sender = process(1000 + i, 7);
        (void)count_sources_find(f.sources, &sender, no_node, REPORTER_SOURCE, START, f.cells);
    }
    for (size_t i = 0; i < TAKERS_COUNT; i++) {
        takers[i].sources = f.sources;
        takers[i].at_gate = &at_gate;
        takers[i].cells = aligned_alloc(64, sizeof *takers[i].cells);
        assert_non_null(takers[i].cells);
        memset(takers[i].cells, 0, sizeof *takers[i].cells);
        assert_int_equal(pthread_create(&threads[i], NULL, take_given_away, &takers[i]), 0);
    }
    for (size_t i = 0; i < TAKERS_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        free(takers[i].cells);
    }
    for (uint32_t i = 0; i < GIVEN_AWAY_COUNT; i++) {
        assert_int_equal(takers[0].voices[i].key, takers[1].voices[i].key);
        assert_int_equal(takers[0].voices[i].place, takers[1].voices[i].place);
    }
    assert_true(takers[0].voices[0].key != 0);
    free(takers);
    stop(&f);
}

/* A reload decides for what comes from then on. */
static void the_configuration_changes(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, COUNT_FROM_AUTO);
    assert_int_equal(span_at(&f, 0), COUNT_HOLD);
    count_sources_reconfigure(f.sources, COUNT_FROM_SPANS, &f.limits);
    assert_int_equal(span_at(&f, MS), COUNT_NOW);
    assert_int_equal(log_at(&f, MS), COUNT_SUPERSEDED);
    count_sources_reconfigure(f.sources, COUNT_FROM_ACCESS_LOG, &f.limits);
    assert_int_equal(span_at(&f, 2 * MS), COUNT_SUPERSEDED);
    f.limits.count_decision_ms = 10;
    count_sources_reconfigure(f.sources, COUNT_FROM_AUTO, &f.limits);
    assert_int_equal(span_at(&f, 9 * MS), COUNT_HOLD); /* it waits since 0 */
    assert_int_equal(span_at(&f, 10 * MS), COUNT_NOW);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_alone_count_after_the_wait),
        cmocka_unit_test(a_log_in_the_wait_supersedes),
        cmocka_unit_test(a_late_log_is_a_change),
        cmocka_unit_test(spans_come_back_after_the_log_fell_silent),
        cmocka_unit_test(otlp_logs_stand_between),
        cmocka_unit_test(an_access_log_beats_held_otlp_logs),
        cmocka_unit_test(the_configuration_decides),
        cmocka_unit_test(the_configuration_changes),
        cmocka_unit_test(voiceless_records_always_count),
        cmocka_unit_test(proxies_and_sides_are_kept_apart),
        cmocka_unit_test(a_full_table_counts_everything_and_makes_room_later),
        cmocka_unit_test(an_old_voice_of_a_place_that_was_given_away_counts),
        cmocka_unit_test(ending_the_wait_counts_once),
        cmocka_unit_test(threads_agree_on_a_place),
        cmocka_unit_test(a_place_given_away_twice_at_once_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
