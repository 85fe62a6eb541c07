/* The HTTP server on a loop: answers at once and later, bodies within the budget, foreign hosts refused. */
#include <fcntl.h>
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

#include "listen/http_server.h"

enum { ANSWER_BYTES = 8192, RUN_COUNT_MAX = 20000, BODY_BYTES = 100000, LARGE_BYTES = 4194304 };

struct fixture {
    uv_loop_t loop;
    struct limits limits;
    struct budget assembly;
    struct metric_registry registry;
    struct metric_cells *cells;
    struct http_server *server;
    enum listener_kind kind;    /* of the connection */
    struct http_exchange *kept; /* not answered yet */
    size_t request_count;
    size_t body_bytes;
    size_t opened_count;
    size_t closed_count;
    bool closed_user_may_be_null;
    struct shared_bytes *large; /* the answer of /large */
    int fd;                     /* the client's */
    char answer[ANSWER_BYTES];
    size_t answer_length;
};

static void on_request(void *user, struct http_exchange *exchange)
{
    struct fixture *fixture = user;

    fixture->request_count++;
    fixture->body_bytes = http_exchange_body(exchange).length;
    if (strcmp(http_exchange_path(exchange), "/later") == 0) {
        fixture->kept = exchange;
    } else if (strcmp(http_exchange_path(exchange), "/large") == 0) {
        http_reply(exchange, 200, fixture->large, NULL, 0);
    } else {
        const char *name = http_exchange_argument(exchange, "name");
        http_reply_text(exchange, 200, name != NULL ? name : "none");
    }
}

static void *on_opened(void *user, int fd, enum listener_kind kind)
{
    struct fixture *fixture = user;

    assert_true(fd >= 0);
    assert_int_equal(kind, fixture->kind);
    fixture->opened_count++;
    return fixture;
}

static void on_closed(void *user, void *connection_user, enum listener_kind kind)
{
    struct fixture *fixture = user;

    assert_int_equal(kind, fixture->kind);
    assert_true(connection_user == fixture || (connection_user == NULL && fixture->closed_user_may_be_null));
    fixture->closed_count++;
}

static void start(struct fixture *fixture)
{
    int pair[2];

    limits_init(&fixture->limits);
    fixture->limits.message_bytes_max = BODY_BYTES + 10;
    fixture->assembly.cap_bytes = BODY_BYTES * 2;
    fixture->cells = metric_registry_add(&fixture->registry, METRIC_SCOPE_PROCESS, "");
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    struct http_server_config config = {
        .loop = &fixture->loop,
        .limits = &fixture->limits,
        .assembly = &fixture->assembly,
        .cells = fixture->cells,
        .handler = {.request = on_request,
            .connection_opened = on_opened,
            .connection_closed = on_closed,
            .user = fixture},
    };
    fixture->server = http_server_new(&config);
    assert_non_null(fixture->server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    http_server_add(fixture->server, pair[0], fixture->kind);
    fixture->fd = pair[1];
}

/* A listener that serves reads. */
static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->kind = LISTENER_HTTP;
    start(fixture);
    *state = fixture;
    return 0;
}

/* One that takes records. */
static int setup_records(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->kind = LISTENER_INGEST;
    start(fixture);
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
    assert_int_equal(fixture->opened_count, 1);
    assert_int_equal(fixture->closed_count, 1);
    assert_int_equal(fixture->assembly.used_bytes, 0);
    (void)close(fixture->fd);
    metric_registry_deinit(&fixture->registry);
    shared_bytes_unref(fixture->large);
    free(fixture);
    return 0;
}

/* Writes all of it, running the loop when the socket is full. */
static void send_all(struct fixture *fixture, const char *bytes, size_t length)
{
    for (int i = 0; length > 0 && i < RUN_COUNT_MAX; i++) {
        ssize_t written = write(fixture->fd, bytes, length);
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(length, 0);
}

static bool has_answer(const struct fixture *fixture)
{
    const char *end = strstr(fixture->answer, "\r\n\r\n");
    const char *length = strstr(fixture->answer, "Content-Length: ");

    if (end == NULL) {
        return false;
    }
    size_t body_bytes = length != NULL ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 0;
    return fixture->answer_length >= (size_t)(end + 4 - fixture->answer) + body_bytes;
}

static void receive(struct fixture *fixture)
{
    fixture->answer_length = 0;
    fixture->answer[0] = '\0';
    for (int i = 0; !has_answer(fixture) && i < RUN_COUNT_MAX; i++) {
        ssize_t length = read(fixture->fd, fixture->answer + fixture->answer_length,
            sizeof fixture->answer - fixture->answer_length - 1);
        if (length > 0) {
            fixture->answer_length += (size_t)length;
            fixture->answer[fixture->answer_length] = '\0';
        }
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_true(has_answer(fixture));
}

static void request(struct fixture *fixture, const char *text)
{
    send_all(fixture, text, strlen(text));
}

static void answers_at_once_and_keeps_the_connection(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 3; i++) {
        request(fixture, "GET /now?name=a%20b HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n\r\n");
        receive(fixture);
        assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
        assert_non_null(strstr(fixture->answer, "a b"));
    }
    assert_int_equal(fixture->request_count, 3);
}

static void answers_later(void **state)
{
    struct fixture *fixture = *state;

    request(fixture, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; fixture->kept == NULL && i < RUN_COUNT_MAX; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_non_null(fixture->kept);
    http_reply_text(fixture->kept, 202, "later");
    receive(fixture);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 202"));
    assert_non_null(strstr(fixture->answer, "later"));
}

static void unanswered_exchanges_end_with_the_server(void **state)
{
    struct fixture *fixture = *state;

    request(fixture, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; fixture->kept == NULL && i < RUN_COUNT_MAX; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_non_null(fixture->kept); /* the teardown closes the server and checks that nothing is left */
}

static void foreign_hosts_are_refused(void **state)
{
    struct fixture *fixture = *state;

    request(fixture, "GET /now HTTP/1.1\r\nHost: rebound.example.com\r\n\r\n");
    receive(fixture);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 421"));
    assert_int_equal(fixture->request_count, 0);
    assert_true(http_host_is_known("localhost:80", NULL, 0));
    assert_true(http_host_is_known("[::1]:9464", NULL, 0));
    assert_true(http_host_is_known("10.1.2.3", NULL, 0));
    assert_false(http_host_is_known("10.1.2.3.example.com", NULL, 0));
    static const char *const hosts[] = {"metrics.example.com", "node-7"};
    assert_true(http_host_is_known("Metrics.example.com:9464", hosts, 2));
    assert_true(http_host_is_known("node-7", hosts, 2));
    assert_false(http_host_is_known("node-70", hosts, 2));
    assert_false(http_host_is_known("", NULL, 0));
    assert_false(http_host_is_known(NULL, NULL, 0));
}

static void post(struct fixture *fixture, size_t body_bytes)
{
    char *body = malloc(body_bytes);
    char head[128];

    memset(body, 'x', body_bytes);
    (void)snprintf(head, sizeof head, "POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
        body_bytes);
    request(fixture, head);
    send_all(fixture, body, body_bytes);
    free(body);
    receive(fixture);
}

static void bodies_arrive_whole(void **state)
{
    struct fixture *fixture = *state;

    post(fixture, BODY_BYTES);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
    assert_int_equal(fixture->body_bytes, BODY_BYTES);
}

static void chunked_bodies_arrive_whole(void **state)
{
    struct fixture *fixture = *state;

    request(fixture, "POST /now HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        request(fixture, "5\r\nhello\r\n");
    }
    request(fixture, "0\r\n\r\n");
    receive(fixture);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
    assert_int_equal(fixture->body_bytes, 250);
}

static void too_large_a_body_is_refused_and_counted(void **state)
{
    struct fixture *fixture = *state;

    post(fixture, BODY_BYTES + 11);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 413"));
    assert_non_null(strstr(fixture->answer, "Content-Type: application/x-protobuf"));
    assert_non_null(strstr(fixture->answer, "\r\n\r\n\x08\x08\x12\x14message is too large"));
    assert_int_equal(metric_get(fixture->cells, METRIC_MESSAGES_REFUSED_OVERSIZED), 1);
    post(fixture, 10);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
}

static void without_memory_the_sender_is_told_when_to_come_again(void **state)
{
    struct fixture *fixture = *state;

    fixture->assembly.cap_bytes = 1000;
    post(fixture, 2000);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 503"));
    assert_non_null(strstr(fixture->answer, "Retry-After: 1"));
    assert_non_null(strstr(fixture->answer, "\r\n\r\n\x08\x0e\x12\x1dno memory for the message now"));
    assert_int_equal(metric_get(fixture->cells, METRIC_MESSAGES_REFUSED_MEMORY), 1);
    assert_int_equal(fixture->assembly.used_bytes, 0);
}

/* What is sent with a read is thrown away, as far as it goes, and takes nothing from records. */
static void bodies_of_reads_take_no_memory(void **state)
{
    struct fixture *fixture = *state;
    char head[128];
    char bytes[HTTP_READ_BODY_BYTES] = {0};

    post(fixture, HTTP_READ_BODY_BYTES);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
    assert_int_equal(fixture->body_bytes, 0);

    (void)snprintf(head, sizeof head, "POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
        HTTP_READ_BODY_BYTES * 2);
    request(fixture, head);
    for (int i = 0; fixture->closed_count == 0 && i < RUN_COUNT_MAX; i++) {
        (void)send(fixture->fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
        assert_int_equal(fixture->assembly.used_bytes, 0);
    }
    assert_int_equal(fixture->closed_count, 1);
    assert_int_equal(fixture->request_count, 1);
}

/* Asks for /large on a connection of its own and reads nothing. */
static int ask_for_large(struct fixture *fixture)
{
    static const char text[] = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t before_count = fixture->request_count;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    http_server_add(fixture->server, pair[0], LISTENER_HTTP);
    assert_int_equal(send(pair[1], text, sizeof text - 1, MSG_NOSIGNAL), sizeof text - 1);
    for (int i = 0; fixture->request_count == before_count && i < RUN_COUNT_MAX; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fixture->request_count, before_count + 1);
    return pair[1];
}

static void answers_that_nobody_reads_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct buffer bytes;

    buffer_init(&bytes, LARGE_BYTES);
    assert_non_null(buffer_reserve(&bytes, LARGE_BYTES));
    memset(bytes.data, 'x', LARGE_BYTES);
    bytes.length = LARGE_BYTES;
    fixture->large = shared_bytes_take(&bytes);
    assert_non_null(fixture->large);
    fixture->limits.answers_bytes_max = 2 * LARGE_BYTES;
    int first = ask_for_large(fixture);
    int second = ask_for_large(fixture);
    request(fixture, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    receive(fixture);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 503"));
    assert_non_null(strstr(fixture->answer, "Retry-After: 1"));
    assert_int_equal(metric_get(fixture->cells, METRIC_ANSWERS_REFUSED), 1);
    request(fixture, "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"); /* small: always */
    receive(fixture);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));

    /* one of them goes: there is room again */
    (void)close(first);
    for (int i = 0; fixture->closed_count == 0 && i < RUN_COUNT_MAX; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    int third = ask_for_large(fixture);
    assert_int_equal(metric_get(fixture->cells, METRIC_ANSWERS_REFUSED), 1);
    (void)close(second);
    (void)close(third);
    for (int i = 0; fixture->closed_count < 3 && i < RUN_COUNT_MAX; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fixture->closed_count, 3);
    fixture->opened_count -= 3; /* the teardown counts the fixture's own */
    fixture->closed_count -= 3;
}

/* epoll takes no files: libmicrohttpd tells of the connection, and of its end, before it says that it failed.
 */
static void a_descriptor_that_cannot_be_watched_ends_once(void **state)
{
    struct fixture *fixture = *state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    fixture->closed_user_may_be_null = true;
    http_server_add(fixture->server, fd, LISTENER_HTTP);
    (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_int_equal(fixture->closed_count, 1);
    fixture->opened_count = 1;
    fixture->closed_count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_at_once_and_keeps_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_later, setup, teardown),
        cmocka_unit_test_setup_teardown(unanswered_exchanges_end_with_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_hosts_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_arrive_whole, setup_records, teardown),
        cmocka_unit_test_setup_teardown(chunked_bodies_arrive_whole, setup_records, teardown),
        cmocka_unit_test_setup_teardown(too_large_a_body_is_refused_and_counted, setup_records, teardown),
        cmocka_unit_test_setup_teardown(
            without_memory_the_sender_is_told_when_to_come_again, setup_records, teardown),
        cmocka_unit_test_setup_teardown(bodies_of_reads_take_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_that_nobody_reads_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_that_cannot_be_watched_ends_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
