/*
 * The whole agent in the test's process, on temporary sockets: a thread runs what main runs, the test is its
 * client. A back-end is a thread that answers OTLP over HTTP as it is told and counts what it accepted.
 */
#ifndef WEFT_TESTS_AGENT_DAEMON_RIG_H
#define WEFT_TESTS_AGENT_DAEMON_RIG_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/un.h>
#include <time.h>

#include <jansson.h>

#include "core/clock.h"
#include "daemon.h"
#include "otlp_message.h"

enum { DAEMON_TEXT_BYTES = 16384, DAEMON_WAIT_MS = 20000 };

struct daemon_rig {
    char directory[64];
    char socket_path[96];
    char api_path[96];
    char text[DAEMON_TEXT_BYTES];
    struct config *config;
    struct log log;
    int log_fd;
    uv_thread_t thread;
    uv_sem_t started;
    bool thread_runs;
    int error;
    int loop_error;
    char reason[DAEMON_REASON_BYTES];
};

static inline void daemon_run(void *argument)
{
    struct daemon_rig *rig = argument;
    struct daemon *daemon = NULL;
    uv_loop_t loop;

    rig->loop_error = uv_loop_init(&loop);
    rig->error = daemon_start(rig->config, NULL, &rig->log, &loop, &daemon, rig->reason);
    uv_sem_post(&rig->started);
    if (rig->error == 0) {
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    }
    daemon_free(daemon);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    rig->loop_error += uv_loop_close(&loop); /* busy when something was left open */
}

/* `more`: further YAML. Returns what daemon_start did. */
static inline int daemon_rig_start(struct daemon_rig *rig, const char *more)
{
    memset(rig, 0, sizeof *rig);
    (void)snprintf(rig->directory, sizeof rig->directory, "/tmp/weft-daemon-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    (void)snprintf(rig->socket_path, sizeof rig->socket_path, "%s/weft.sock", rig->directory);
    (void)snprintf(rig->api_path, sizeof rig->api_path, "%s/api.sock", rig->directory);
    (void)snprintf(rig->text, sizeof rig->text,
        "socket:\n  path: %s\napi_socket:\n  path: %s\nhttp:\n  address: 127.0.0.1:0\nshards: 2\n%s",
        rig->socket_path, rig->api_path, more);
    rig->config = rig_config(rig->text);
    rig->log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_init(&rig->log, rig->log_fd, LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT, clock_system());
    assert_int_equal(uv_sem_init(&rig->started, 0), 0);
    assert_int_equal(uv_thread_create(&rig->thread, daemon_run, rig), 0);
    uv_sem_wait(&rig->started);
    rig->thread_runs = true;
    return rig->error;
}

static inline void daemon_rig_wait(struct daemon_rig *rig)
{
    assert_int_equal(uv_thread_join(&rig->thread), 0);
    uv_sem_destroy(&rig->started);
    assert_int_equal(rig->loop_error, 0);
    log_deinit(&rig->log);
    (void)close(rig->log_fd);
    config_free(rig->config);
    assert_int_not_equal(access(rig->socket_path, F_OK), 0);
    (void)unlink(rig->socket_path);
    DIR *directory = opendir(rig->directory);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", rig->directory, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(directory);
    assert_int_equal(rmdir(rig->directory), 0);
}

static inline void daemon_rig_stop(struct daemon_rig *rig)
{
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    daemon_rig_wait(rig);
}

static inline size_t open_descriptors_count(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

static inline void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- clients ---- */

static inline int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void send_all(int fd, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the agent ended it: what it answered tells why */
        }
        at += sent;
        length -= (size_t)sent;
    }
}

/* Until the other side closes; NUL-terminated, freed by the caller. */
static inline char *receive_all(int fd, size_t *ret_length)
{
    struct buffer buffer;
    char piece[16384];
    ssize_t length;

    buffer_init(&buffer, MESSAGE_BYTES_MAX);
    while ((length = recv(fd, piece, sizeof piece, 0)) > 0) {
        assert_int_equal(buffer_append(&buffer, piece, (size_t)length), 0);
    }
    assert_int_equal(buffer_append_byte(&buffer, 0), 0);
    *ret_length = buffer.length - 1;
    return (char *)buffer.data;
}

struct http_answer {
    unsigned status;
    char *text; /* head and body */
    const char *body;
    size_t body_bytes;
};

static inline struct http_answer http_read_answer(int fd)
{
    struct http_answer answer = {0};
    size_t length;

    answer.text = receive_all(fd, &length);
    answer.body = strstr(answer.text, "\r\n\r\n");
    if (answer.body != NULL) {
        answer.status = (unsigned)strtoul(answer.text + strlen("HTTP/1.1 "), NULL, 10);
        answer.body += 4;
        answer.body_bytes = length - (size_t)(answer.body - answer.text);
    }
    (void)close(fd);
    return answer;
}

static inline int http_begin(const char *socket_path, const char *path)
{
    char head[512];
    int fd = connect_unix(socket_path);
    int length =
        snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n", path);

    send_all(fd, head, (size_t)length);
    return fd;
}

static inline struct http_answer http_get(const char *socket_path, const char *path)
{
    return http_read_answer(http_begin(socket_path, path));
}

/* headers: each with its line end, "" for none. */
static inline struct http_answer http_post(const char *socket_path, const char *headers, struct slice body)
{
    char head[512];
    int fd = connect_unix(socket_path);
    int length = snprintf(head, sizeof head,
        "POST /v1/traces HTTP/1.1\r\nHost: weft\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
        body.length, headers);

    send_all(fd, head, (size_t)length);
    send_all(fd, body.ptr, body.length);
    return http_read_answer(fd);
}

static inline json_t *get_ledger(const struct daemon_rig *rig)
{
    struct http_answer answer = http_get(rig->api_path, "/api/v1/ledger");
    json_error_t error;

    if (answer.status != 200) {
        print_error("%s\n", answer.text);
    }
    assert_int_equal(answer.status, 200);
    json_t *ledger = json_loadb(answer.body, answer.body_bytes, 0, &error);
    assert_non_null(ledger);
    free(answer.text);
    return ledger;
}

static inline int64_t member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return value != NULL ? json_integer_value(value) : 0;
}

/* The spans' records, and the first destination's spans. */
static inline const json_t *records_of(const json_t *ledger)
{
    return json_array_get(json_object_get(ledger, "records"), 0);
}

static inline const json_t *destination_of(const json_t *ledger)
{
    return json_array_get(json_object_get(ledger, "destinations"), 0);
}

static inline int64_t reason_of(const json_t *part, const char *reason)
{
    return member(json_object_get(part, "dropped_by_reason"), reason);
}

/* Both sides of every line are equal. Not yet so while threads are between two increments. */
static inline bool is_balanced(const json_t *ledger)
{
    static const char *const lists[] = {"records", "destinations"};

    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        const json_t *parts = json_object_get(ledger, lists[k]);
        for (size_t i = 0; i < json_array_size(parts); i++) {
            if (!json_is_true(json_object_get(json_array_get(parts, i), "balanced"))) {
                return false;
            }
        }
    }
    return true;
}

/* ---- a back-end ---- */

enum backend_mode {
    BACKEND_UP,
    BACKEND_SLOW,    /* answers after a while */
    BACKEND_REJECTS, /* 400 */
    BACKEND_PARTIAL, /* rejects one span of each request */
    BACKEND_RESETS,  /* the connection ends instead of an answer, every other time */
};

struct backend {
    enum backend_mode mode;
    int fd;
    uint16_t port;
    uv_thread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t accepted_count; /* spans */
    _Atomic uint64_t seen_count;     /* spans, each time they came */
    uint64_t requests_count;
};

/* One request of a connection: false when it has ended. */
static inline bool backend_read(int fd, struct buffer *bytes, struct slice *ret_body)
{
    char piece[16384];

    for (;;) {
        (void)buffer_append_byte(bytes, 0);
        bytes->length--;
        char *head_end = bytes->data != NULL ? strstr((char *)bytes->data, "\r\n\r\n") : NULL;
        char *length_at = head_end != NULL ? strcasestr((char *)bytes->data, "content-length:") : NULL;
        if (length_at != NULL) {
            size_t head_bytes = (size_t)(head_end + 4 - (char *)bytes->data);
            size_t body_bytes = strtoul(length_at + strlen("content-length:"), NULL, 10);
            if (bytes->length >= head_bytes + body_bytes) {
                *ret_body = slice_of(bytes->data + head_bytes, body_bytes);
                return true;
            }
        }
        ssize_t length = recv(fd, piece, sizeof piece, 0);
        if (length <= 0 || buffer_append(bytes, piece, (size_t)length) < 0) {
            return false;
        }
    }
}

static inline void backend_answer(struct backend *backend, int fd, uint64_t span_count)
{
    static const char partial[] = "\x0a\x02\x08\x01"; /* partial_success { rejected_spans: 1 } */
    bool rejects = backend->mode == BACKEND_REJECTS;
    size_t body_bytes = backend->mode == BACKEND_PARTIAL ? sizeof partial - 1 : 0;
    char head[256];

    if (backend->mode == BACKEND_SLOW) {
        pause_ms(100);
    }
    int length = snprintf(head, sizeof head,
        "HTTP/1.1 %s\r\nContent-Type: application/x-protobuf\r\nContent-Length: %zu\r\nConnection: "
        "close\r\n\r\n",
        rejects ? "400 Bad Request" : "200 OK", body_bytes);
    atomic_fetch_add(&backend->accepted_count, rejects ? 0 : span_count - (body_bytes > 0 ? 1 : 0));
    send_all(fd, head, (size_t)length);
    send_all(fd, partial, body_bytes);
}

static inline void backend_serve(struct backend *backend, int fd)
{
    struct buffer bytes;
    struct slice body;

    buffer_init(&bytes, MESSAGE_BYTES_MAX);
    if (backend_read(fd, &bytes, &body)) {
        uint64_t span_count = message_span_count(body);
        atomic_fetch_add(&backend->seen_count, span_count);
        backend->requests_count++;
        if (backend->mode != BACKEND_RESETS || backend->requests_count % 2 == 0) {
            backend_answer(backend, fd, span_count);
        }
    }
    buffer_deinit(&bytes);
    (void)close(fd);
}

static inline void backend_run(void *argument)
{
    struct backend *backend = argument;

    while (!atomic_load(&backend->stopping)) {
        struct pollfd poll_fd = {.fd = backend->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 20) > 0) {
            int fd = accept4(backend->fd, NULL, NULL, SOCK_CLOEXEC);
            struct timeval wait = {.tv_sec = 60};
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
            backend_serve(backend, fd);
        }
    }
}

static inline void backend_start(struct backend *backend, enum backend_mode mode)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    memset(backend, 0, sizeof *backend);
    backend->mode = mode;
    backend->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(backend->fd >= 0);
    assert_int_equal(bind(backend->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(backend->fd, 16), 0);
    assert_int_equal(getsockname(backend->fd, (struct sockaddr *)&address, &length), 0);
    backend->port = ntohs(address.sin_port);
    assert_int_equal(uv_thread_create(&backend->thread, backend_run, backend), 0);
}

static inline void backend_stop(struct backend *backend)
{
    atomic_store(&backend->stopping, true);
    assert_int_equal(uv_thread_join(&backend->thread), 0);
    (void)close(backend->fd);
}

#endif
