/* Datagram sockets: what arrives, from whom, what was cut, and what a stop still reads. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/error.h"
#include "listen/datagram.h"

enum { PAYLOAD_BYTES_MAX = 64, SEEN_COUNT_MAX = 512 };

struct seen {
    size_t length;
    char text[PAYLOAD_BYTES_MAX + 1];
    bool truncated;
    bool known;
    struct ucred sender;
};

struct fixture {
    char directory[64];
    char path[96];
    uv_loop_t loop;
    struct metric_cells cells;
    struct datagram_socket socket;
    struct datagram_reader *reader;
    size_t batch_count;
    size_t seen_count;
    struct seen seen[SEEN_COUNT_MAX];
};

static void on_batch(void *user)
{
    struct fixture *fixture = user;

    fixture->batch_count++;
}

static void on_datagram(void *user, struct slice payload, bool truncated, const struct ucred *sender)
{
    struct fixture *fixture = user;

    assert_true(fixture->batch_count > 0);
    assert_true(fixture->seen_count < SEEN_COUNT_MAX);
    assert_true(payload.length <= PAYLOAD_BYTES_MAX);
    struct seen *seen = &fixture->seen[fixture->seen_count++];
    *seen = (struct seen){.length = payload.length, .truncated = truncated, .known = sender != NULL};
    if (payload.length > 0) {
        memcpy(seen->text, payload.ptr, payload.length);
    }
    if (sender != NULL) {
        seen->sender = *sender;
    }
}

static const struct datagram_handler handler = {.on_batch = on_batch, .on_datagram = on_datagram};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/weft-datagram-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/statsd.sock", fixture->directory);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char path[128];

    datagram_reader_close(fixture->reader);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    datagram_reader_free(fixture->reader);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    datagram_close(&fixture->socket);
    (void)snprintf(path, sizeof path, "%s.lock", fixture->path);
    (void)unlink(path);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

static struct listener_unix_options options_for(const struct fixture *fixture)
{
    return (struct listener_unix_options){.path = fixture->path, .mode = 0620, .directory_mode = 0750};
}

static void start(struct fixture *fixture)
{
    struct datagram_reader_config config = {
        .loop = &fixture->loop,
        .socket = &fixture->socket,
        .handler = &handler,
        .user = fixture,
        .cells = &fixture->cells,
        .payload_bytes_max = PAYLOAD_BYTES_MAX,
        .received = METRIC_DATAGRAMS_STATSD,
        .truncated = METRIC_DATAGRAMS_TRUNCATED_STATSD,
        .lost = METRIC_DATAGRAMS_LOST_STATSD,
        .buffer = METRIC_DATAGRAM_BUFFER_STATSD,
    };

    assert_int_equal(datagram_reader_new(&config, &fixture->reader), 0);
}

static void start_unix(struct fixture *fixture)
{
    struct listener_unix_options options = options_for(fixture);

    assert_int_equal(datagram_open_unix(&fixture->socket, &options, 65536), 0);
    start(fixture);
}

static int connect_unix(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fixture->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void turn(struct fixture *fixture)
{
    (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

static void expect_text(const struct fixture *fixture, size_t i, const char *text)
{
    assert_true(i < fixture->seen_count);
    assert_int_equal(fixture->seen[i].length, strlen(text));
    assert_memory_equal(fixture->seen[i].text, text, strlen(text));
}

static void datagrams_come_with_their_sender(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;

    start_unix(fixture);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0620);
    int fd = connect_unix(fixture);
    assert_int_equal(send(fd, "a:1|c", 5, 0), 5);
    assert_int_equal(send(fd, "", 0, 0), 0);
    assert_int_equal(send(fd, "b:2|c", 5, 0), 5);
    turn(fixture);
    assert_int_equal(fixture->seen_count, 3);
    assert_int_equal(fixture->batch_count, 1);
    expect_text(fixture, 0, "a:1|c");
    expect_text(fixture, 1, "");
    expect_text(fixture, 2, "b:2|c");
    for (size_t i = 0; i < 3; i++) {
        assert_true(fixture->seen[i].known);
        assert_int_equal(fixture->seen[i].sender.pid, getpid());
        assert_int_equal(fixture->seen[i].sender.uid, getuid());
        assert_false(fixture->seen[i].truncated);
    }
    assert_int_equal(metric_get(&fixture->cells, METRIC_DATAGRAMS_STATSD), 3);
    assert_int_equal(metric_get(&fixture->cells, METRIC_RECEIVED_BYTES), 10);
    assert_true(metric_get(&fixture->cells, METRIC_DATAGRAM_BUFFER_STATSD) > 0);
    assert_int_equal(metric_get(&fixture->cells, METRIC_DATAGRAMS_TRUNCATED_STATSD), 0);
    (void)close(fd);
}

static void long_datagrams_are_cut(void **state)
{
    struct fixture *fixture = *state;
    char text[PAYLOAD_BYTES_MAX + 1];

    memset(text, 'x', sizeof text);
    start_unix(fixture);
    int fd = connect_unix(fixture);
    assert_int_equal(send(fd, text, PAYLOAD_BYTES_MAX, 0), PAYLOAD_BYTES_MAX);
    assert_int_equal(send(fd, text, PAYLOAD_BYTES_MAX + 1, 0), PAYLOAD_BYTES_MAX + 1);
    turn(fixture);
    assert_int_equal(fixture->seen_count, 2);
    assert_false(fixture->seen[0].truncated);
    assert_true(fixture->seen[1].truncated);
    assert_int_equal(fixture->seen[1].length, PAYLOAD_BYTES_MAX);
    assert_int_equal(metric_get(&fixture->cells, METRIC_DATAGRAMS_TRUNCATED_STATSD), 1);
    (void)close(fd);
}

static size_t open_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 256; fd++) {
        struct stat status;
        count += fstat(fd, &status) == 0;
    }
    return count;
}

static void descriptors_that_come_along_are_closed(void **state)
{
    struct fixture *fixture = *state;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec vector = {.iov_base = "a:1|c", .iov_len = 5};
    struct msghdr message = {.msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    int passed[2] = {0, 1};

    start_unix(fixture);
    int fd = connect_unix(fixture);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(header), passed, sizeof passed);
    size_t before = open_descriptors();
    assert_int_equal(sendmsg(fd, &message, 0), 5);
    turn(fixture);
    assert_int_equal(fixture->seen_count, 1);
    assert_true(fixture->seen[0].known);
    assert_int_equal(open_descriptors(), before);
    (void)close(fd);
}

static void a_stop_reads_what_lies_there(void **state)
{
    struct fixture *fixture = *state;

    start_unix(fixture);
    int fd = connect_unix(fixture);
    assert_int_equal(send(fd, "a:1|c", 5, 0), 5);
    datagram_reader_drain(fixture->reader);
    assert_int_equal(fixture->seen_count, 1);
    assert_int_equal(send(fd, "b:1|c", 5, 0), 5);
    datagram_reader_drain(fixture->reader);
    turn(fixture);
    assert_int_equal(fixture->seen_count, 1);
    (void)close(fd);
}

static void a_second_instance_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct listener_unix_options options = options_for(fixture);
    struct datagram_socket second;

    start_unix(fixture);
    assert_int_equal(datagram_open_unix(&second, &options, 0), WERR_EXISTS);
    assert_int_equal(second.fd, -1);
    datagram_close(&second);
    assert_int_equal(access(fixture->path, F_OK), 0);
}

static void a_stale_file_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int stale = socket(AF_UNIX, SOCK_DGRAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fixture->path);
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(stale);
    start_unix(fixture);
    int fd = connect_unix(fixture);
    assert_int_equal(send(fd, "a:1|c", 5, 0), 5);
    turn(fixture);
    assert_int_equal(fixture->seen_count, 1);
    (void)close(fd);
}

static void another_ones_live_socket_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listener_unix_options options = options_for(fixture);
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fixture->path);
    for (size_t i = 0; i < 2; i++) {
        int live = socket(AF_UNIX, types[i], 0);

        assert_int_equal(bind(live, (struct sockaddr *)&address, sizeof address), 0);
        if (types[i] == SOCK_STREAM) {
            assert_int_equal(listen(live, 1), 0);
        }
        assert_int_equal(datagram_open_unix(&fixture->socket, &options, 0), WERR_EXISTS);
        (void)close(live);
        assert_int_equal(unlink(fixture->path), 0);
    }
}

static int connect_udp(const struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(fixture->socket.address, ':');
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_non_null(colon);
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void udp_has_no_sender(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(datagram_open_udp(&fixture->socket, "127.0.0.1:0", 65536), 0);
    start(fixture);
    int fd = connect_udp(fixture);
    assert_int_equal(send(fd, "a:1|c", 5, 0), 5);
    for (int i = 0; i < 1000 && fixture->seen_count == 0; i++) {
        turn(fixture);
    }
    assert_int_equal(fixture->seen_count, 1);
    expect_text(fixture, 0, "a:1|c");
    assert_false(fixture->seen[0].known);
    (void)close(fd);
}

/* The kernel tells how many it dropped with the next datagram that it takes. */
static void udp_losses_are_the_kernels_count(void **state)
{
    enum { SENT = 400 };
    struct fixture *fixture = *state;

    assert_int_equal(datagram_open_udp(&fixture->socket, "127.0.0.1:0", 4096), 0);
    start(fixture);
    int fd = connect_udp(fixture);
    for (int i = 0; i < SENT; i++) {
        assert_int_equal(send(fd, "a:1|c", 5, 0), 5);
    }
    turn(fixture);
    size_t seen = fixture->seen_count;
    assert_true(seen > 0);
    assert_true(seen < SENT);
    assert_int_equal(send(fd, "b:1|c", 5, 0), 5);
    for (int i = 0; i < 1000 && fixture->seen_count == seen; i++) {
        turn(fixture);
    }
    assert_int_equal(fixture->seen_count, seen + 1);
    assert_int_equal(metric_get(&fixture->cells, METRIC_DATAGRAMS_LOST_STATSD), SENT - seen);
    (void)close(fd);
}

static void udp_is_for_loopback_only(void **state)
{
    struct fixture *fixture = *state;
    static const char *const refused[] = {"0.0.0.0:0", "[::]:0", "192.0.2.1:8125", "127.0.0.1",
        "localhost:8125", "", "[::1:1", "127.0.0.1:70000"};

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(datagram_open_udp(&fixture->socket, refused[i], 0), WERR_INVALID);
        assert_int_equal(fixture->socket.fd, -1);
    }
    assert_int_equal(datagram_open_udp(&fixture->socket, "127.0.0.2:0", 0), 0);
    struct datagram_socket second;
    assert_int_equal(datagram_open_udp(&second, fixture->socket.address, 0), WERR_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datagrams_come_with_their_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(long_datagrams_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_that_come_along_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_reads_what_lies_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_instance_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_file_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(another_ones_live_socket_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_has_no_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_losses_are_the_kernels_count, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_is_for_loopback_only, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
