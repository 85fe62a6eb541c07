/* Batches of timings: names told once, again when an id has another text or its batch was lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "trace/timing_batch.h"

enum { STRINGS = 1000 };

struct rig {
    struct budget budgets[2];
    struct interner *shard;
    struct interner *own;
    struct timing_writer writer;
    struct timing_reader reader;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    rig->budgets[0].cap_bytes = rig->budgets[1].cap_bytes = 1 << 24;
    rig->shard = interner_new(STRINGS, &rig->budgets[0]);
    rig->own = interner_new(STRINGS, &rig->budgets[1]);
    assert_int_equal(timing_writer_init(&rig->writer, rig->shard, STRINGS), 0);
    assert_int_equal(timing_reader_init(&rig->reader, rig->own, STRINGS), 0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    timing_writer_deinit(&rig->writer);
    timing_reader_deinit(&rig->reader);
    interner_free(rig->shard);
    interner_free(rig->own);
    free(rig);
    return 0;
}

static uint32_t name(struct rig *rig, const char *text)
{
    return interner_intern(rig->shard, slice_of_string(text));
}

static void assert_text(struct rig *rig, uint32_t id, const char *expected)
{
    struct slice text = interner_text(rig->own, id);

    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.length);
}

/* Reads a batch: the translated timing `index` of it. */
static struct timing read_batch(struct rig *rig, struct timing_batch *batch, uint32_t index)
{
    assert_non_null(batch);
    assert_true(index < batch->timing_count);
    timing_reader_learn(&rig->reader, batch);
    struct timing timing = batch->timings[index];
    timing_reader_translate(&rig->reader, &timing);
    free(batch);
    return timing;
}

static struct timing some_timing(struct rig *rig, const char *destination)
{
    return (struct timing){
        .trace_id = {9},
        .duration_ns = 77,
        .source = name(rig, "web"),
        .source_namespace = INTERNED_NONE,
        .destination = name(rig, destination),
        .destination_namespace = name(rig, "shop"),
        .route = INTERNED_UNKNOWN,
        .sender = name(rig, "pod-1"),
        .version = INTERNED_FULL,
    };
}

static void names_are_told_once(void **state)
{
    struct rig *rig = *state;
    struct timing timing = some_timing(rig, "api");

    (void)interner_intern(rig->own, SLICE_LITERAL("so that ids differ"));
    assert_null(timing_writer_take(&rig->writer));
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    timing = some_timing(rig, "db");
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    struct timing_batch *batch = timing_writer_take(&rig->writer);
    assert_int_equal(batch->name_count, 5); /* web, api, shop, pod-1, db */
    struct timing got = read_batch(rig, batch, 1);
    assert_text(rig, got.source, "web");
    assert_text(rig, got.destination, "db");
    assert_text(rig, got.sender, "pod-1");
    assert_int_equal(got.source_namespace, INTERNED_NONE);
    assert_int_equal(got.route, INTERNED_UNKNOWN);
    assert_int_equal(got.version, INTERNED_UNKNOWN);
    assert_int_equal(got.duration_ns, 77);
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    batch = timing_writer_take(&rig->writer);
    assert_int_equal(batch->name_count, 0);
    got = read_batch(rig, batch, 0);
    assert_text(rig, got.destination, "db");
}

static void an_id_with_another_text(void **state)
{
    struct rig *rig = *state;
    struct timing timing = some_timing(rig, "short-lived");
    uint32_t first = timing.destination;

    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    (void)read_batch(rig, timing_writer_take(&rig->writer), 0);
    for (int i = 0; i < 3; i++) {
        interner_sweep(rig->shard);
    }
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0); /* stale, but the reader knows it */
    assert_text(rig, read_batch(rig, timing_writer_take(&rig->writer), 0).destination, "short-lived");
    for (int i = 0; i < 10; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "other-%d", i);
        timing.destination = name(rig, text);
        assert_int_not_equal(timing.destination, first);
        assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
        assert_text(rig, read_batch(rig, timing_writer_take(&rig->writer), 0).destination, text);
    }
    timing.destination = first; /* its place is another's now */
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    assert_int_equal(read_batch(rig, timing_writer_take(&rig->writer), 0).destination, INTERNED_UNKNOWN);
}

static void a_lost_batch_tells_its_names_again(void **state)
{
    struct rig *rig = *state;
    struct timing timing = some_timing(rig, "api");

    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    timing_writer_lost(&rig->writer, timing_writer_take(&rig->writer));
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    struct timing got = read_batch(rig, timing_writer_take(&rig->writer), 0);
    assert_text(rig, got.destination, "api");
    assert_text(rig, got.source, "web");
}

static void full_batches(void **state)
{
    struct rig *rig = *state;
    struct timing timing = some_timing(rig, "api");
    static char text[TIMING_NAME_BYTES_MAX + 100];
    uint32_t count = 0;

    while (timing_writer_add(&rig->writer, &timing) == 0) {
        count++;
    }
    assert_int_equal(count, TIMING_BATCH_COUNT_MAX);
    assert_int_equal(timing_writer_add(&rig->writer, &timing), WERR_FULL);
    (void)read_batch(rig, timing_writer_take(&rig->writer), count - 1);
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    for (int i = 0; i < 40; i++) { /* long names fill the text first, and are cut */
        memset(text, 'a' + i % 26, sizeof text);
        (void)snprintf(text, sizeof text, "%d", i);
        text[strlen(text)] = '-';
        text[sizeof text - 1] = '\0';
        timing.destination = name(rig, text);
        if (timing_writer_add(&rig->writer, &timing) == WERR_FULL) {
            struct timing_batch *batch = timing_writer_take(&rig->writer);
            assert_true(batch->text_bytes <= TIMING_BATCH_TEXT_BYTES);
            timing_reader_learn(&rig->reader, batch);
            free(batch);
            assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
        }
    }
    struct timing got = read_batch(rig, timing_writer_take(&rig->writer), 0);
    assert_int_equal(interner_text(rig->own, got.destination).length, TIMING_NAME_BYTES_MAX);
}

static void a_full_reader(void **state)
{
    struct rig *rig = *state;
    struct interner *small = interner_new(6, &rig->budgets[1]);
    struct timing_reader reader;
    struct timing timing = some_timing(rig, "api");

    assert_int_equal(timing_reader_init(&reader, small, STRINGS), 0);
    assert_int_equal(timing_writer_add(&rig->writer, &timing), 0);
    struct timing_batch *batch = timing_writer_take(&rig->writer);
    timing_reader_learn(&reader, batch);
    timing = batch->timings[0];
    timing_reader_translate(&reader, &timing);
    assert_int_equal(timing.sender, INTERNED_OVERFLOW);
    free(batch);
    timing_reader_deinit(&reader);
    interner_free(small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(names_are_told_once),
        TEST(an_id_with_another_text),
        TEST(a_lost_batch_tells_its_names_again),
        TEST(full_batches),
        TEST(a_full_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
