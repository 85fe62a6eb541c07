/* Answers without an end: they come as they are written, bounded, and end with either side. */
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

#include "listen/http_stream.h"

enum { RUN_COUNT_MAX = 20000, STREAM_BYTES_MAX = 65536, ANSWER_BYTES = 1 << 20 };

struct fixture {
    uv_loop_t loop;
    struct limits limits;
    struct budget assembly;
    struct metric_registry registry;
    struct http_server *server;
    struct http_exchange *kept;
    struct http_stream *stream;
    int ended_count;
    int fd; /* the client's */
    char answer[ANSWER_BYTES];
    size_t answer_length;
};

static void on_ended(void *user)
{
    struct fixture *fixture = user;

    fixture->ended_count++;
    fixture->stream = NULL;
}

static void begin(struct fixture *fixture, struct http_exchange *exchange)
{
    assert_int_equal(http_stream_begin(exchange, "application/x-ndjson", STREAM_BYTES_MAX, on_ended, fixture,
                         &fixture->stream),
        0);
}

static void on_request(void *user, struct http_exchange *exchange)
{
    struct fixture *fixture = user;

    if (strcmp(http_exchange_path(exchange), "/later") == 0) {
        fixture->kept = exchange;
    } else if (strcmp(http_exchange_path(exchange), "/now") == 0) {
        http_reply_text(exchange, 200, "short\n");
    } else {
        begin(fixture, exchange);
    }
}

static void *on_opened(void *user, int fd, enum listener_kind kind)
{
    (void)fd;
    (void)kind;
    return user;
}

static void on_closed(void *user, void *connection_user, enum listener_kind kind)
{
    (void)user;
    (void)connection_user;
    (void)kind;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int pair[2];

    limits_init(&fixture->limits);
    fixture->assembly.cap_bytes = 1 << 20;
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    struct http_server_config config = {
        .loop = &fixture->loop,
        .limits = &fixture->limits,
        .assembly = &fixture->assembly,
        .cells = metric_registry_add(&fixture->registry, METRIC_SCOPE_PROCESS, ""),
        .handler = {.request = on_request,
            .connection_opened = on_opened,
            .connection_closed = on_closed,
            .user = fixture},
    };
    fixture->server = http_server_new(&config);
    assert_non_null(fixture->server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    http_server_add(fixture->server, pair[0], LISTENER_HTTP);
    fixture->fd = pair[1];
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    http_server_close(fixture->server);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    http_server_free(fixture->server);
    assert_int_equal(fixture->ended_count, 1);
    assert_null(fixture->stream);
    (void)close(fixture->fd);
    metric_registry_deinit(&fixture->registry);
    free(fixture);
    return 0;
}

static void turn(struct fixture *fixture)
{
    ssize_t length = read(fixture->fd, fixture->answer + fixture->answer_length,
        sizeof fixture->answer - fixture->answer_length - 1);

    if (length > 0) {
        fixture->answer_length += (size_t)length;
        fixture->answer[fixture->answer_length] = '\0';
    }
    (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

/* Runs until the answer holds the text; what was read before it is forgotten. */
static void expect(struct fixture *fixture, const char *text)
{
    for (int i = 0; strstr(fixture->answer, text) == NULL && i < RUN_COUNT_MAX; i++) {
        turn(fixture);
    }
    assert_non_null(strstr(fixture->answer, text));
    fixture->answer_length = 0;
    fixture->answer[0] = '\0';
}

static void ask(struct fixture *fixture, const char *path, const char *version)
{
    char text[256];
    int length = snprintf(text, sizeof text, "GET %s HTTP/%s\r\nHost: localhost\r\n\r\n", path, version);

    assert_int_equal(send(fixture->fd, text, (size_t)length, MSG_NOSIGNAL), length);
    for (int i = 0; fixture->stream == NULL && fixture->kept == NULL && i < RUN_COUNT_MAX; i++) {
        turn(fixture);
    }
}

static bool put(struct fixture *fixture, const char *text)
{
    return http_stream_write(fixture->stream, slice_of_string(text));
}

static void what_is_written_comes_at_once(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "/tap", "1.1");
    expect(fixture, "Transfer-Encoding: chunked\r\n");
    for (int i = 0; i < 10; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "line %d\n", i);
        for (int j = 0; j < 20; j++) {
            turn(fixture); /* nothing to do: it waits */
        }
        assert_true(put(fixture, line));
        expect(fixture, line);
    }
}

/* It ends when it is told to, with what was written, and the connection is good for more. */
static void an_end_leaves_the_connection(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "/tap", "1.1");
    expect(fixture, "HTTP/1.1 200");
    assert_true(put(fixture, "last\n"));
    http_stream_end(fixture->stream);
    assert_false(put(fixture, "too late\n"));
    expect(fixture, "last\n\r\n0\r\n\r\n");
    assert_int_equal(fixture->ended_count, 1);
    fixture->kept = NULL;
    assert_int_equal(send(fixture->fd, "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n", 39, MSG_NOSIGNAL), 39);
    expect(fixture, "short\n");
}

static void an_exchange_that_was_kept_becomes_a_stream(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "/later", "1.1");
    assert_non_null(fixture->kept);
    begin(fixture, fixture->kept);
    assert_true(put(fixture, "later\n"));
    expect(fixture, "later\n");
}

static void without_chunks_the_connection_is_the_end(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "/tap", "1.0");
    assert_true(put(fixture, "old\n"));
    expect(fixture, "\r\n\r\nold\n");
    http_stream_end(fixture->stream);
    for (int i = 0; fixture->stream != NULL && i < RUN_COUNT_MAX; i++) {
        turn(fixture);
    }
    assert_int_equal(fixture->ended_count, 1);
}

/* What nobody reads is bounded; once it is read there is room again, and nothing was lost in between. */
static void what_is_not_read_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    static char line[1024];
    size_t written_count = 0;
    size_t found_count = 0;

    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    ask(fixture, "/tap", "1.1");
    expect(fixture, "HTTP/1.1 200");
    for (int i = 0; i < 4096 && put(fixture, line); i++) {
        written_count++;
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT); /* as much as the socket takes */
    }
    assert_in_range(written_count, STREAM_BYTES_MAX / sizeof line, 4095);
    for (int i = 0; !put(fixture, "room\n") && i < RUN_COUNT_MAX; i++) {
        turn(fixture);
    }
    for (int i = 0; strstr(fixture->answer, "room\n") == NULL && i < RUN_COUNT_MAX; i++) {
        turn(fixture);
    }
    for (const char *at = fixture->answer; (at = strstr(at, "x\n")) != NULL; at++) {
        found_count++;
    }
    assert_int_equal(found_count, written_count);
}

/* That it has gone is seen when something is written. */
static void a_reader_that_goes_ends_it(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "/tap", "1.1");
    expect(fixture, "HTTP/1.1 200");
    (void)shutdown(fixture->fd, SHUT_RDWR);
    for (int i = 0; fixture->stream != NULL && i < RUN_COUNT_MAX; i++) {
        (void)put(fixture, "\n");
        turn(fixture);
    }
    assert_int_equal(fixture->ended_count, 1);
}

/* The teardown closes the server: with bytes waiting and without. */
static void the_server_ends_it(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "/tap", "1.1");
    expect(fixture, "HTTP/1.1 200");
}

static void the_server_ends_it_in_the_midst(void **state)
{
    struct fixture *fixture = *state;
    static char text[STREAM_BYTES_MAX];

    memset(text, 'x', sizeof text - 1);
    ask(fixture, "/tap", "1.1");
    for (int i = 0; i < 100; i++) {
        (void)put(fixture, text);
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_comes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_leaves_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exchange_that_was_kept_becomes_a_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(without_chunks_the_connection_is_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_read_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_goes_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_server_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_server_ends_it_in_the_midst, setup, teardown),
    };
    return cmocka_run_group_tests_name("http_stream", tests, NULL, NULL);
}
