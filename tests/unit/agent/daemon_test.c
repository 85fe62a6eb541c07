/* The agent as main runs it: start, faults at each step of it, records, back-ends in every state, and ends at
 * the worst moments. Nothing is left open, and the ledger agrees with sender and receiver. */
#include "daemon_rig.h"
#include "proto/weft/v1/frame.h"

enum { SPANS_PER_MESSAGE = 5, MESSAGES_COUNT = 40 };

static const char protobuf_header[] = "Content-Type: application/x-protobuf\r\n";

static uint64_t now_unix_ns(void)
{
    return clock_unix_ns(clock_system());
}

/* Messages of one faulty span and the rest good; returns how many spans were sent. */
static uint64_t send_messages(const struct daemon_rig *rig, int count)
{
    struct message message;

    for (int i = 0; i < count; i++) {
        message_begin(&message, "opentelemetry");
        for (int k = 0; k < SPANS_PER_MESSAGE - 1; k++) {
            put_span(&message.bytes, k == 0 ? SPAN_INTERNAL : SPAN_GOOD, now_unix_ns());
        }
        put_span(&message.bytes, SPAN_ENDS_EARLY, now_unix_ns());
        struct http_answer answer = http_post(rig->socket_path, protobuf_header, message_end(&message));
        assert_int_equal(answer.status, 200);
        free(answer.text);
        message_deinit(&message);
    }
    return (uint64_t)count * SPANS_PER_MESSAGE;
}

static bool is_settled(const json_t *ledger, uint64_t offered_count, bool queued_ok)
{
    const json_t *destination = destination_of(ledger);

    if (member(ledger, "in_flight") != 0 || !is_balanced(ledger)) {
        return false;
    }
    return destination == NULL || ((uint64_t)member(destination, "handed_over") == offered_count &&
                                      (queued_ok || member(destination, "queued") == 0));
}

/* Asks until all lines are even, nothing is in flight and, of the destination, nothing is queued (or
 * `queued_ok`). */
static json_t *settled_ledger(const struct daemon_rig *rig, uint64_t offered_count, bool queued_ok)
{
    for (int waited_ms = 0; waited_ms < DAEMON_WAIT_MS; waited_ms += 20) {
        json_t *ledger = get_ledger(rig);
        if (is_settled(ledger, offered_count, queued_ok)) {
            return ledger;
        }
        json_decref(ledger);
        pause_ms(20);
    }
    fail_msg("the ledger does not settle");
    return NULL;
}

static void check_records(const json_t *ledger, uint64_t messages_count)
{
    const json_t *records = records_of(ledger);

    assert_int_equal(member(records, "received"), messages_count * SPANS_PER_MESSAGE);
    assert_int_equal(member(records, "aggregated"), messages_count * (SPANS_PER_MESSAGE - 2));
    assert_int_equal(member(records, "not_a_request"), messages_count);
    assert_int_equal(member(records, "dropped"), messages_count);
    assert_int_equal(reason_of(records, "end_before_start"), messages_count);
}

/* ---- life ---- */

static void starts_serves_and_ends(void **state)
{
    struct daemon_rig rig;
    size_t before_count = open_descriptors_count();

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    static const struct {
        const char *path;
        unsigned status;
    } pages[] = {{"/", 200}, {"/healthz", 200}, {"/readyz", 200}, {"/metrics", 200},
        {"/api/v1/services", 200}, {"/api/v1/edges?window=nonsense", 400}, {"/nothing", 404}};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct http_answer answer = http_get(rig.api_path, pages[i].path);
        assert_int_equal(answer.status, pages[i].status);
        free(answer.text);
    }
    send_messages(&rig, MESSAGES_COUNT);
    json_t *ledger = settled_ledger(&rig, 0, true);
    check_records(ledger, MESSAGES_COUNT);
    json_decref(ledger);
    daemon_rig_stop(&rig);
    assert_int_equal(open_descriptors_count(), before_count);
}

/* Connections in every unfinished state, and questions that nobody waits for. */
static void ends_with_everything_half_done(void **state)
{
    size_t before_count = open_descriptors_count();

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct daemon_rig rig;
        assert_int_equal(daemon_rig_start(&rig, ""), 0);
        send_messages(&rig, 2);
        static const char *const beginnings[] = {"", "P", "PRI * HTTP/2.0\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x89", "POST /v1/traces HTTP/1.1\r\n",
            "POST /v1/traces HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc"};
        int fds[16 + sizeof beginnings / sizeof beginnings[0]];
        size_t count = 0;
        for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
            fds[count] = connect_unix(rig.socket_path);
            send_all(fds[count++], beginnings[i], strlen(beginnings[i]));
        }
        fds[count] = connect_unix(rig.socket_path);
        send_all(fds[count++], NATIVE_MAGIC, round % 2 == 0 ? NATIVE_MAGIC_BYTES : NATIVE_MAGIC_BYTES - 1);
        for (int i = 0; i < 8; i++) {
            fds[count++] = http_begin(rig.api_path, i % 2 == 0 ? "/metrics" : "/api/v1/ledger");
        }
        if (round % 2 == 1) {
            pause_ms(50);
        }
        daemon_rig_stop(&rig);
        for (size_t i = 0; i < count; i++) {
            (void)close(fds[i]);
        }
    }
    assert_int_equal(open_descriptors_count(), before_count);
}

/* Answers to clients that left go nowhere, and cost nothing. */
static void survives_clients_that_do_not_wait(void **state)
{
    enum { CLIENTS_COUNT = 200 };
    static const char *const paths[] = {"/metrics", "/api/v1/ledger", "/api/v1/services", "/healthz"};
    struct daemon_rig rig;
    size_t before_count = open_descriptors_count();

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    for (size_t i = 0; i < CLIENTS_COUNT; i++) {
        (void)close(http_begin(rig.api_path, paths[i % 4]));
        if (i % 50 == 0) {
            send_messages(&rig, 1);
        }
    }
    json_t *ledger = settled_ledger(&rig, 0, true);
    check_records(ledger, CLIENTS_COUNT / 50);
    json_decref(ledger);
    daemon_rig_stop(&rig);
    assert_int_equal(open_descriptors_count(), before_count);
}

/* The second signal does not wait for the drain; further ones find the agent ending. */
static void a_second_signal_does_not_wait(void **state)
{
    size_t before_count = open_descriptors_count();

    (void)state;
    for (int round = 0; round < 3; round++) {
        struct daemon_rig rig;
        assert_int_equal(daemon_rig_start(&rig, "limits:\n  drain_ms: 60000\n"), 0);
        send_messages(&rig, 2);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(kill(getpid(), i % 2 == 0 ? SIGTERM : SIGINT), 0);
            pause_ms(round * 5);
        }
        daemon_rig_wait(&rig);
    }
    assert_int_equal(open_descriptors_count(), before_count);
}

struct asker {
    const struct daemon_rig *rig;
    _Atomic bool stopping;
    uv_thread_t thread;
};

static void ask_often(void *argument)
{
    struct asker *asker = argument;

    while (!atomic_load(&asker->stopping)) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        static const char request[] = "GET /metrics HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n";
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", asker->rig->api_path);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            size_t length;
            send_all(fd, request, sizeof request - 1);
            free(receive_all(fd, &length));
        }
        (void)close(fd);
    }
}

/* Rounds of flips go on while shards hand over their last values. */
static void drains_under_scrapes(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct daemon_rig rig;
        struct asker askers[3] = {0};
        struct backend backend;
        char more[512];

        backend_start(&backend, BACKEND_UP);
        (void)snprintf(more, sizeof more,
            "limits:\n  scrape_wait_ms: 1\nexporters:\n  otlp:\n    - name: backend\n"
            "      protocol: http/protobuf\n      endpoint: http://127.0.0.1:%u\n      compression: none\n"
            "      signals: [traces]\n      batch:\n        delay_ms: 60000\n",
            backend.port);
        assert_int_equal(daemon_rig_start(&rig, more), 0);
        for (size_t i = 0; i < 3; i++) {
            askers[i].rig = &rig;
            assert_int_equal(uv_thread_create(&askers[i].thread, ask_often, &askers[i]), 0);
        }
        uint64_t sent_count = send_messages(&rig, MESSAGES_COUNT);
        assert_int_equal(kill(getpid(), SIGTERM), 0);
        pause_ms(400);
        for (size_t i = 0; i < 3; i++) {
            atomic_store(&askers[i].stopping, true);
            assert_int_equal(uv_thread_join(&askers[i].thread), 0);
        }
        daemon_rig_wait(&rig);
        /* The batch was far from due: the drain sent it. */
        assert_int_equal(atomic_load(&backend.accepted_count), sent_count - MESSAGES_COUNT);
        backend_stop(&backend);
    }
}

/* ---- a start that fails ---- */

static void a_failed_start_leaves_nothing(void **state)
{
    static const struct {
        const char *more;
        const char *said;
    } cases[] = {
        {"receivers:\n  otlp:\n    grpc: 127.0.0.1:0\n    cert_file: /dev/null\n    key_file: /dev/null\n",
            "receivers.otlp"},
        {"exporters:\n  otlp:\n    - name: good\n      endpoint: http://127.0.0.1:1\n"
         "    - name: a\n      endpoint: https://127.0.0.1:1\n      tls:\n        ca_file: /dev/null\n",
            "ca_file"},
    };
    size_t before_count = open_descriptors_count();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct daemon_rig rig;
        assert_true(daemon_rig_start(&rig, cases[i].more) < 0);
        if (strstr(rig.reason, cases[i].said) == NULL) {
            print_error("%s\n", rig.reason);
            fail();
        }
        daemon_rig_wait(&rig);
        assert_int_equal(open_descriptors_count(), before_count);
    }
}

/* What another agent holds is refused, and stays the other's. */
static void a_second_instance_is_refused(void **state)
{
    struct daemon_rig first;
    char reason[DAEMON_REASON_BYTES];
    char text[1024];
    size_t before_count = open_descriptors_count();
    struct daemon *daemon = NULL;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(daemon_rig_start(&first, ""), 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(tcp_fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(tcp_fd, 1), 0);
    assert_int_equal(getsockname(tcp_fd, (struct sockaddr *)&address, &length), 0);
    size_t running_count = open_descriptors_count();
    const struct {
        const char *name; /* of weft.sock */
        const char *api_name;
        unsigned port;
        const char *key;
    } cases[] = {
        {"weft.sock", "other_api.sock", 0, "socket.path"},
        {"other.sock", "api.sock", 0, "api_socket.path"},
        {"other.sock", "other_api.sock", ntohs(address.sin_port), "http.address"},
        {"a_directory/that_is/not_there/other.sock", "other_api.sock", 0, "socket.path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(text, sizeof text,
            "socket:\n  path: %s/%s\napi_socket:\n  path: %s/%s\nhttp:\n  address: 127.0.0.1:%u\nshards: 2\n",
            first.directory, cases[i].name, first.directory, cases[i].api_name, cases[i].port);
        static const char *const environment[] = {NULL};
        struct config_source source = {.path = "test.yaml", .environment = environment, .is_root = true};
        struct config_error error;
        struct config *config = NULL;
        assert_int_equal(config_load_text(&source, text, strlen(text), &config, &error), 0);
        assert_int_equal(uv_loop_init(&loop), 0);
        assert_true(daemon_start(config, NULL, &first.log, &loop, &daemon, reason) < 0);
        assert_int_equal(strncmp(reason, cases[i].key, strlen(cases[i].key)), 0);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
        config_free(config);
        assert_int_equal(open_descriptors_count(), running_count);
    }
    (void)close(tcp_fd);
    struct http_answer answer = http_get(first.api_path, "/readyz");
    assert_int_equal(answer.status, 200);
    free(answer.text);
    daemon_rig_stop(&first);
    assert_int_equal(open_descriptors_count(), before_count);
}

/* A bound socket of loopback on a port that the kernel chose. */
static int take_port(int type, unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(type == SOCK_STREAM ? listen(fd, 1) : 0, 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Of a sample without labels on /metrics; -1 when it is not there. */
static double metric_of(const struct daemon_rig *rig, const char *name)
{
    struct http_answer answer = http_get(rig->api_path, "/metrics");
    char line[128];

    assert_int_equal(answer.status, 200);
    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *found = strstr(answer.body, line);
    double value = found != NULL ? strtod(found + strlen(line), NULL) : -1;
    free(answer.text);
    return value;
}

/* What receivers cannot have they do without; everything else is there, and the metric says how many. */
static void a_receiver_that_cannot_open_is_counted(void **state)
{
    struct daemon_rig rig;
    unsigned udp_port;
    unsigned tcp_port;
    char more[1024];
    size_t before_count = open_descriptors_count();
    int udp_fd = take_port(SOCK_DGRAM, &udp_port);
    int tcp_fd = take_port(SOCK_STREAM, &tcp_port);

    (void)state;
    (void)snprintf(more, sizeof more,
        "receivers:\n"
        "  statsd: {udp: \"127.0.0.1:%u\", stream_path: /proc/none/statsd.sock}\n"
        "  xray: {udp: \"127.0.0.1:%u\"}\n"
        "  otlp: {grpc: \"127.0.0.1:%u\", http: \"127.0.0.1:0\"}\n"
        "  access_logs: [{path: /proc/none/log.sock}, {path: /proc/none/l.sock, stream_path: "
        "/proc/none/s}]\n",
        udp_port, udp_port, tcp_port);
    assert_int_equal(daemon_rig_start(&rig, more), 0);
    struct http_answer answer = http_get(rig.api_path, "/readyz");
    assert_int_equal(answer.status, 200);
    free(answer.text);
    assert_true(metric_of(&rig, "weft_listeners_failed") == 7);
    daemon_rig_stop(&rig);
    assert_int_equal(daemon_rig_start(&rig, "receivers: {xray: {udp: \"127.0.0.1:0\"}}\n"), 0);
    assert_true(metric_of(&rig, "weft_listeners_failed") == 0);
    daemon_rig_stop(&rig);
    (void)close(udp_fd);
    (void)close(tcp_fd);
    assert_int_equal(open_descriptors_count(), before_count);
}

/* ---- back-ends ---- */

static void start_with_backend(struct daemon_rig *rig, uint16_t port, unsigned drain_ms)
{
    char more[512];

    (void)snprintf(more, sizeof more,
        "limits:\n  drain_ms: %u\nexporters:\n  otlp:\n    - name: backend\n      protocol: http/protobuf\n"
        "      endpoint: http://127.0.0.1:%u\n      compression: none\n      signals: [traces]\n"
        "      timeout_ms: 60000\n      batch:\n        delay_ms: 20\n",
        drain_ms, port);
    assert_int_equal(daemon_rig_start(rig, more), 0);
}

static void the_ledger_agrees_with_the_backend(void **state)
{
    static const enum backend_mode modes[] = {
        BACKEND_UP, BACKEND_SLOW, BACKEND_REJECTS, BACKEND_PARTIAL, BACKEND_RESETS};
    enum { EXPORTED = SPANS_PER_MESSAGE - 1 };

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct daemon_rig rig;
        struct backend backend;
        backend_start(&backend, modes[i]);
        start_with_backend(&rig, backend.port, 10000);
        send_messages(&rig, MESSAGES_COUNT);
        json_t *ledger = settled_ledger(&rig, MESSAGES_COUNT * EXPORTED, false);
        const json_t *destination = destination_of(ledger);
        check_records(ledger, MESSAGES_COUNT);
        assert_int_equal(member(destination, "sent"), atomic_load(&backend.accepted_count));
        assert_int_equal(
            member(destination, "sent") + reason_of(destination, "rejected"), MESSAGES_COUNT * EXPORTED);
        assert_true((modes[i] == BACKEND_REJECTS) == (member(destination, "sent") == 0));
        assert_true((modes[i] == BACKEND_REJECTS || modes[i] == BACKEND_PARTIAL) ==
                    (reason_of(destination, "rejected") > 0));
        json_decref(ledger);
        daemon_rig_stop(&rig);
        backend_stop(&backend);
    }
}

static void a_backend_that_is_down_keeps_the_queue(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct daemon_rig rig;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, so that nobody else listens there */

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    start_with_backend(&rig, ntohs(address.sin_port), 500);
    send_messages(&rig, MESSAGES_COUNT);
    json_t *ledger = settled_ledger(&rig, MESSAGES_COUNT * (SPANS_PER_MESSAGE - 1), true);
    check_records(ledger, MESSAGES_COUNT);
    assert_int_equal(member(destination_of(ledger), "queued"), MESSAGES_COUNT * (SPANS_PER_MESSAGE - 1));
    assert_int_equal(member(destination_of(ledger), "sent"), 0);
    json_decref(ledger);
    daemon_rig_stop(&rig); /* within its bound, though nothing can be sent */
    (void)close(fd);
}

static int64_t cut_count(const json_t *ledger)
{
    return member(json_object_get(ledger, "messages"), "cut");
}

/* What was admitted before the client went stays; what was cut is counted and not admitted. */
static void clients_killed_in_a_message_leave_the_ledger_even(void **state)
{
    enum { KILLED_COUNT = 8 };
    struct daemon_rig rig;
    struct message message;

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    send_messages(&rig, 3);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, now_unix_ns());
    struct slice bytes = message_end(&message);
    for (size_t i = 0; i < KILLED_COUNT; i++) {
        char head[256];
        int fd = connect_unix(rig.socket_path);
        int length = snprintf(head, sizeof head,
            "POST /v1/traces HTTP/1.1\r\nHost: weft\r\nContent-Type: application/x-protobuf\r\n"
            "Content-Length: %zu\r\n\r\n",
            bytes.length);
        send_all(fd, head, (size_t)length);
        send_all(fd, bytes.ptr, bytes.length * i / KILLED_COUNT);
        (void)close(fd);
    }
    message_deinit(&message);
    send_messages(&rig, 2);
    json_t *ledger = settled_ledger(&rig, 0, true);
    for (int waited_ms = 0; waited_ms < DAEMON_WAIT_MS && cut_count(ledger) < KILLED_COUNT; waited_ms += 20) {
        json_decref(ledger);
        pause_ms(20);
        ledger = settled_ledger(&rig, 0, true);
    }
    assert_int_equal(cut_count(ledger), KILLED_COUNT);
    check_records(ledger, 5);
    json_decref(ledger);
    daemon_rig_stop(&rig);
}

/* libuv keeps a pipe for signals from the first one on: made before descriptors are counted. */
static int warm_up(void **state)
{
    struct daemon_rig rig;

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    daemon_rig_stop(&rig);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_serves_and_ends),
        cmocka_unit_test(ends_with_everything_half_done),
        cmocka_unit_test(survives_clients_that_do_not_wait),
        cmocka_unit_test(a_second_signal_does_not_wait),
        cmocka_unit_test(drains_under_scrapes),
        cmocka_unit_test(a_failed_start_leaves_nothing),
        cmocka_unit_test(a_second_instance_is_refused),
        cmocka_unit_test(a_receiver_that_cannot_open_is_counted),
        cmocka_unit_test(the_ledger_agrees_with_the_backend),
        cmocka_unit_test(a_backend_that_is_down_keeps_the_queue),
        cmocka_unit_test(clients_killed_in_a_message_leave_the_ledger_even),
    };

    return cmocka_run_group_tests_name("daemon", tests, warm_up, NULL);
}
