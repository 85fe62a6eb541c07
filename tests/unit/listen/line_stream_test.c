/* Streams of messages: framings, pieces of any size, what is too long, what is no length, and the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "listen/line_stream.h"

enum { LINE_BYTES_MAX = 24, SEEN_BYTES_MAX = 4096 };

struct fixture {
    uv_loop_t loop;
    struct metric_cells cells;
    struct line_stream *stream;
    int peer;
    char seen[SEEN_BYTES_MAX]; /* "message|message|" */
    size_t oversized_count;
    size_t oversized_bytes; /* of the last one's beginning */
    size_t batch_count;
    size_t closed_count;
    bool cut;
};

static void on_batch(void *user)
{
    ((struct fixture *)user)->batch_count++;
}

static void on_lines(void *user, struct slice lines)
{
    struct fixture *fixture = user;
    size_t used = strlen(fixture->seen);

    assert_true(fixture->batch_count > 0);
    assert_true(used + lines.length + 2 < SEEN_BYTES_MAX);
    memcpy(fixture->seen + used, lines.ptr, lines.length);
    memcpy(fixture->seen + used + lines.length, "|", 2);
}

static void on_oversized(void *user, struct slice start)
{
    struct fixture *fixture = user;

    fixture->oversized_count++;
    fixture->oversized_bytes = start.length;
}

static void on_closed(void *user, bool cut)
{
    struct fixture *fixture = user;

    fixture->closed_count++;
    fixture->cut = cut;
    fixture->stream = NULL;
}

static const struct line_stream_handler handler = {
    .on_batch = on_batch, .on_lines = on_lines, .on_oversized = on_oversized, .on_closed = on_closed};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->peer = -1;
    *state = fixture;
    return 0;
}

static void hang_up(struct fixture *fixture)
{
    if (fixture->peer >= 0) {
        (void)close(fixture->peer);
    }
    fixture->peer = -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->stream != NULL) {
        line_stream_close(fixture->stream);
    }
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    hang_up(fixture);
    free(fixture);
    return 0;
}

static void start(struct fixture *fixture, enum line_framing framing)
{
    int pair[2];
    struct line_stream_config config = {.loop = &fixture->loop,
        .framing = framing,
        .line_bytes_max = LINE_BYTES_MAX,
        .handler = &handler,
        .cells = &fixture->cells};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    fixture->peer = pair[1];
    assert_int_equal(line_stream_new(&config, pair[0], fixture, &fixture->stream), 0);
}

static void turn(struct fixture *fixture)
{
    for (int i = 0; i < 4; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
}

static void say(struct fixture *fixture, const char *text)
{
    assert_int_equal(send(fixture->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn(fixture);
}

static void test_counted_messages(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, LINE_FRAMING_OCTETS);
    say(fixture, "5 hello3 a\nb1 c");
    assert_string_equal(fixture->seen, "hello|a\nb|c|");
    assert_int_equal(metric_get(&fixture->cells, METRIC_RECEIVED_BYTES), 15);
    hang_up(fixture);
    turn(fixture);
    assert_int_equal(fixture->closed_count, 1);
    assert_false(fixture->cut);
}

/* Whatever the pieces, the messages are the same. */
static void test_pieces_of_any_size(void **state)
{
    static const char text[] = "5 hello24 exactly twenty-four byte<34>legacy line\n30 thirty bytes are far "
                               "too many!10 0123456789";
    struct fixture *fixture = *state;

    start(fixture, LINE_FRAMING_OCTETS);
    for (size_t piece = 1; piece < sizeof text; piece++) {
        fixture->seen[0] = '\0';
        fixture->oversized_count = 0;
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            ssize_t length = (ssize_t)(left < piece ? left : piece);
            assert_int_equal(send(fixture->peer, text + at, (size_t)length, MSG_NOSIGNAL), length);
            turn(fixture);
        }
        assert_string_equal(fixture->seen, "hello|exactly twenty-four byte|<34>legacy line|0123456789|");
        assert_int_equal(fixture->oversized_count, 1);
        assert_true(fixture->oversized_bytes <= 30);
    }
}

static void test_a_newline_between_counted_messages(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, LINE_FRAMING_OCTETS);
    say(fixture, "2 ab\n2 cd\n");
    assert_string_equal(fixture->seen, "ab|cd|");
}

static void test_a_legacy_line_too_long_is_skipped(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, LINE_FRAMING_OCTETS);
    say(fixture, "<1>this line is longer than it may be, by far, so that it fills the buffer more than once");
    say(fixture, " and goes on\n2 ok");
    assert_string_equal(fixture->seen, "ok|");
    assert_int_equal(fixture->oversized_count, 1);
    assert_int_equal(fixture->oversized_bytes, LINE_BYTES_MAX);
}

static void test_what_is_no_length_ends_the_connection(void **state)
{
    static const char *const bad[] = {"x", "0 ", "12x", "-1 a", " 1 a", "12345678 a", "99999999"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fixture *fixture = *state;
        start(fixture, LINE_FRAMING_OCTETS);
        say(fixture, "2 ab");
        say(fixture, bad[i]);
        turn(fixture);
        assert_int_equal(fixture->closed_count, i + 1);
        assert_null(fixture->stream);
        assert_int_equal(metric_get(&fixture->cells, METRIC_CONNECTIONS_PROTOCOL), i + 1);
        assert_string_equal(fixture->seen, "ab|");
        fixture->seen[0] = '\0';
        hang_up(fixture);
    }
}

static void test_an_end_inside_a_message_is_told(void **state)
{
    static const char *const cut[] = {"1", "12", "5 hell", "40 skipped", "<34>no newline"};

    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        struct fixture *fixture = *state;
        start(fixture, LINE_FRAMING_OCTETS);
        say(fixture, cut[i]);
        hang_up(fixture);
        turn(fixture);
        assert_int_equal(fixture->closed_count, i + 1);
        assert_true(fixture->cut);
        assert_string_equal(fixture->seen, "");
    }
}

static void test_runs_of_lines(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, LINE_FRAMING_NEWLINES);
    say(fixture, "a:1|c\nb:2|c\nc:3");
    assert_string_equal(fixture->seen, "a:1|c\nb:2|c\n|");
    fixture->seen[0] = '\0';
    say(fixture, "|c\n");
    assert_string_equal(fixture->seen, "c:3|c\n|");
    fixture->seen[0] = '\0';
    say(fixture, "this line is longer than a line may be and ends\nd\n");
    assert_int_equal(fixture->oversized_count, 1);
    assert_string_equal(fixture->seen, "d\n|");
    say(fixture, "rest");
    hang_up(fixture);
    turn(fixture);
    assert_true(fixture->cut);
}

/* A stop reads what was sent before it. */
static void test_a_close_reads_what_lies_there(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, LINE_FRAMING_OCTETS);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(send(fixture->peer, "5 01234", 7, MSG_NOSIGNAL), 7);
    }
    line_stream_close(fixture->stream);
    assert_int_equal(strlen(fixture->seen), 600);
    turn(fixture);
    assert_int_equal(fixture->closed_count, 1);
    assert_false(fixture->cut);
}

/* ---- room for others ---- */

enum { IDLE_COUNT = 3 };

struct idle_stream {
    struct line_stream *stream;
    int peer;
    size_t closed_count;
};

static void on_idle_lines(void *user, struct slice lines)
{
    (void)user;
    (void)lines;
}

static void on_idle_batch(void *user)
{
    (void)user;
}

static void on_idle_closed(void *user, bool cut)
{
    (void)cut;
    ((struct idle_stream *)user)->closed_count++;
}

static void pass_ms(uv_loop_t *loop, uint64_t ms)
{
    uint64_t from_ms = uv_now(loop);

    while (uv_now(loop) < from_ms + ms) {
        (void)usleep(1000);
        uv_update_time(loop);
        (void)uv_run(loop, UV_RUN_NOWAIT);
    }
}

/* A whole line makes a stream the last to go; half a one, or none, does not. */
static void those_quiet_longest_are_ended_first(void **state)
{
    static const struct line_stream_handler idle_handler = {.on_batch = on_idle_batch,
        .on_lines = on_idle_lines,
        .on_oversized = on_idle_lines,
        .on_closed = on_idle_closed};
    struct fixture *fixture = *state;
    struct line_streams streams = TAILQ_HEAD_INITIALIZER(streams);
    struct idle_stream all[IDLE_COUNT] = {{.peer = -1}};
    struct line_stream_config config = {.loop = &fixture->loop,
        .streams = &streams,
        .framing = LINE_FRAMING_NEWLINES,
        .line_bytes_max = LINE_BYTES_MAX,
        .handler = &idle_handler,
        .cells = &fixture->cells};

    for (size_t i = 0; i < IDLE_COUNT; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        all[i].peer = pair[1];
        assert_int_equal(line_stream_new(&config, pair[0], &all[i], &all[i].stream), 0);
    }
    pass_ms(&fixture->loop, 2);
    assert_int_equal(write(all[0].peer, "a line\n", 7), 7);
    assert_int_equal(write(all[1].peer, "half a", 6), 6);
    (void)uv_run(&fixture->loop, UV_RUN_NOWAIT); /* both are read, before the time in which all are quiet */
    pass_ms(&fixture->loop, 5);
    assert_int_equal(line_streams_end_idle(&streams, 0, 0), 0);
    assert_int_equal(line_streams_end_idle(&streams, IDLE_COUNT, 3600000), 0); /* none is idle for so long */
    assert_int_equal(line_streams_end_idle(&streams, 1, 1), 1);
    (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_int_equal(all[0].closed_count + all[2].closed_count, 0);
    assert_int_equal(all[1].closed_count, 1);
    assert_int_equal(line_streams_end_idle(&streams, 1, 1), 1);
    (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_int_equal(all[0].closed_count, 0);
    assert_int_equal(all[2].closed_count, 1);
    assert_int_equal(metric_get(&fixture->cells, METRIC_CONNECTIONS_IDLE), 2);
    assert_int_equal(line_streams_end_idle(&streams, IDLE_COUNT, 1), 1);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(TAILQ_EMPTY(&streams));
    for (size_t i = 0; i < IDLE_COUNT; i++) {
        assert_int_equal(all[i].closed_count, 1);
        (void)close(all[i].peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counted_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces_of_any_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_newline_between_counted_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_legacy_line_too_long_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_length_ends_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_inside_a_message_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_of_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_close_reads_what_lies_there, setup, teardown),
        cmocka_unit_test_setup_teardown(those_quiet_longest_are_ended_first, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
