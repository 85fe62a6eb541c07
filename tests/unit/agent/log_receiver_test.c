/* The receiver of access log lines with its shard's record path: what each line adds to the ledger, over
 * datagrams and streams, with memory full, too long, cut, and at a stop. */
#include "rig.h"

#include <sys/un.h>

#include "aggregate/directory_internal.h"
#include "receivers/log_receiver.h"

enum { LINE_BYTES_MAX = 1024 };

struct log_rig {
    struct rig rig;
    char directory[64];
    char path[96];
    struct config_access_log entries[2];
    struct config_access_logs logs;
    struct datagram_socket socket;
    struct log_receiver *receiver;
    int sender_fd;
    int stream_fd; /* the sender's end */
    size_t ended_count;
};

static void on_ended(void *user)
{
    ((struct log_rig *)user)->ended_count++;
}

static void start_receiver(struct log_rig *s)
{
    struct log_receiver_config config = {.pipeline = &s->rig.pipeline,
        .loop = &s->rig.loop,
        .proc_root = "/proc",
        .logs = &s->logs,
        .log = &s->rig.log};

    s->entries[0] = (struct config_access_log){
        .path = s->path, .preset = ACCESS_PRESET_NGINX, .service = "edge", .service_namespace = "shop"};
    s->entries[1] = (struct config_access_log){.stream_path = "stream", .preset = ACCESS_PRESET_HAPROXY};
    s->logs = (struct config_access_logs){.items = s->entries, .count = 2};
    assert_int_equal(log_receiver_new(&config, &s->receiver), 0);
    assert_int_equal(log_receiver_add_socket(s->receiver, 0, &s->socket), 0);
    assert_int_equal(log_receiver_add_socket(s->receiver, 0, &s->socket), WERR_EXISTS);
}

static void open_stream(struct log_rig *s)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(log_receiver_add_stream(s->receiver, 1, pair[0], on_ended, s), 0);
    s->stream_fd = pair[1];
}

static struct log_rig *start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct log_rig *s = calloc(1, sizeof *s);

    assert_non_null(s);
    rig_init(&s->rig);
    s->rig.limits.log_line_bytes_max = LINE_BYTES_MAX;
    rig_start(&s->rig, NULL);
    (void)snprintf(s->directory, sizeof s->directory, "/tmp/weft-log-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    (void)snprintf(s->path, sizeof s->path, "%s/log.sock", s->directory);
    struct listener_unix_options options = {.path = s->path, .mode = 0600, .directory_mode = 0700};
    assert_int_equal(datagram_open_unix(&s->socket, &options, 0), 0);
    start_receiver(s);
    s->sender_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path);
    assert_int_equal(connect(s->sender_fd, (struct sockaddr *)&address, sizeof address), 0);
    s->stream_fd = -1;
    return s;
}

static void stop(struct log_rig *s)
{
    char lock[112];

    log_receiver_close(s->receiver);
    rig_turn(&s->rig);
    log_receiver_free(s->receiver);
    rig_stop(&s->rig);
    datagram_close(&s->socket);
    (void)close(s->sender_fd);
    if (s->stream_fd >= 0) {
        (void)close(s->stream_fd);
    }
    (void)snprintf(lock, sizeof lock, "%s.lock", s->path);
    (void)unlink(lock);
    assert_int_equal(rmdir(s->directory), 0);
    free(s);
}

static void say(struct log_rig *s, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    rig_turn(&s->rig);
}

static void expect_requests(struct log_rig *s, uint64_t count)
{
    rig_expect(&s->rig, METRIC_MESSAGES_ACCEPTED_SYSLOG, count);
    rig_expect(&s->rig, METRIC_LOGS_RECEIVED, count);
    rig_expect_merged(&s->rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, count);
}

static void expect_in_term(struct log_rig *s, enum metric_id term)
{
    rig_expect(&s->rig, METRIC_MESSAGES_ACCEPTED_SYSLOG, 1);
    rig_expect(&s->rig, METRIC_LOGS_RECEIVED, 1);
    rig_expect(&s->rig, term, 1);
    rig_check(&s->rig);
}

#define GOOD_NGINX                                                                                           \
    "<190>Nov 14 22:13:20 nginx: {\"status\":\"200\",\"request_time\":\"0.010\",\"proxy_host\":\"r\"}"
#define GOOD_HAPROXY                                                                                         \
    "<134>1 - - haproxy - - - {\"status\":200,\"duration_ms\":5,\"backend\":\"r\",\"server\":\"s\","         \
    "\"termination\":\"--\"}"

#define NO_REQUEST "<134>{\"status\":400,\"duration_ms\":0,\"termination\":\"CR\",\"method\":\"-\"}"

static void each_line_is_a_request(void **state)
{
    struct log_rig *s = start();

    (void)state;
    say(s, s->sender_fd, GOOD_NGINX);
    expect_requests(s, 1);
    say(s, s->sender_fd, GOOD_NGINX "\n");
    expect_requests(s, 1);
    assert_int_equal(rig_get(&s->rig, METRIC_DATAGRAMS_ACCESS_LOG), 2);
    stop(s);
}

static void each_reason_drops_a_line(void **state)
{
    static const struct {
        const char *text;
        enum metric_id reason;
    } rows[] = {
        {"{}", METRIC_LOGS_DROPPED_HEADER},
        {"<190>Nov 14 22:13:20 nginx: GET / 200", METRIC_LOGS_DROPPED_NOT_JSON},
        {"<190>Nov 14 22:13:20 nginx: {\"status\":\"2", METRIC_LOGS_DROPPED_TRUNCATED},
        {"<190>{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", METRIC_LOGS_DROPPED_NESTED},
        {"<190>{\"status\":\"200\"}", METRIC_LOGS_DROPPED_MALFORMED},
        {"<190>{\"status\":\"200\",\"request_time\":\"0\",\"msec\":\"1.0\"}", METRIC_LOGS_DROPPED_TIME},
    };
    struct log_rig *s = start();

    (void)state;
    s->rig.log.level = LOG_LEVEL_DEBUG; /* the sample is made */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        say(s, s->sender_fd, rows[i].text);
        expect_in_term(s, rows[i].reason);
        say(s, s->sender_fd, GOOD_NGINX);
        expect_requests(s, 1);
    }
    stop(s);
}

static void one_too_long_is_dropped(void **state)
{
    char text[LINE_BYTES_MAX * 2];
    struct log_rig *s = start();

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "<190>{\"a\":\"", 11);
    say(s, s->sender_fd, text);
    expect_in_term(s, METRIC_LOGS_DROPPED_OVERSIZED);
    assert_int_equal(rig_get(&s->rig, METRIC_DATAGRAMS_TRUNCATED_ACCESS_LOG), 1);
    open_stream(s);
    say(s, s->stream_fd, "2047 ");
    say(s, s->stream_fd, text);
    expect_in_term(s, METRIC_LOGS_DROPPED_OVERSIZED);
    stop(s);
}

static void a_stream_of_messages(void **state)
{
    char framed[512];
    struct log_rig *s = start();
    int length = snprintf(framed, sizeof framed, "%zu %s", strlen(GOOD_HAPROXY), GOOD_HAPROXY);

    (void)state;
    assert_true(length > 0);
    open_stream(s);
    say(s, s->stream_fd, framed);
    expect_requests(s, 1);
    (void)snprintf(framed, sizeof framed, "%zu %s", strlen(NO_REQUEST), NO_REQUEST);
    say(s, s->stream_fd, framed);
    expect_in_term(s, METRIC_LOGS_NOT_A_REQUEST);
    say(s, s->stream_fd, "40 cut");
    (void)close(s->stream_fd);
    s->stream_fd = -1;
    rig_turn(&s->rig);
    rig_expect(&s->rig, METRIC_MESSAGES_CUT, 1);
    rig_check(&s->rig);
    assert_int_equal(s->ended_count, 1);
    stop(s);
}

/* Nothing is taken, and that is counted; after the flip all goes on. */
static void lines_are_refused_while_memory_is_full(void **state)
{
    struct log_rig *s = start();

    (void)state;
    say(s, s->sender_fd, GOOD_NGINX);
    expect_requests(s, 1);
    s->rig.pipeline.directory->is_full = true;
    say(s, s->sender_fd, GOOD_NGINX);
    rig_expect(&s->rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&s->rig);
    rig_flip(&s->rig);
    say(s, s->sender_fd, GOOD_NGINX);
    expect_requests(s, 1);
    stop(s);
}

static void a_stop_reads_what_was_sent_before(void **state)
{
    char framed[512];
    struct log_rig *s = start();

    (void)state;
    (void)snprintf(framed, sizeof framed, "%zu %s", strlen(GOOD_HAPROXY), GOOD_HAPROXY);
    open_stream(s);
    assert_true(send(s->stream_fd, framed, strlen(framed), 0) > 0);
    assert_true(send(s->sender_fd, GOOD_NGINX, strlen(GOOD_NGINX), 0) > 0);
    log_receiver_close(s->receiver);
    rig_turn(&s->rig);
    expect_requests(s, 2);
    assert_int_equal(s->ended_count, 1);
    stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_a_request),
        cmocka_unit_test(each_reason_drops_a_line),
        cmocka_unit_test(one_too_long_is_dropped),
        cmocka_unit_test(a_stream_of_messages),
        cmocka_unit_test(lines_are_refused_while_memory_is_full),
        cmocka_unit_test(a_stop_reads_what_was_sent_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
