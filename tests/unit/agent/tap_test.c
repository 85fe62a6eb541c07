/* `/api/v1/tap` of the whole agent: two shards, who reads slowly, who goes, who is one too many, a stop. */
#include "daemon_rig.h"

enum { SPANS_PER_MESSAGE = 50, MESSAGES_COUNT = 40, READ_WAIT_MS = 20000 };

/* A reader of lines. */
struct reader {
    int fd;
    size_t length;
    size_t request_count;
    size_t empty_count;
    uint64_t dropped_count;
    uint64_t left_out_count;
    bool has_ended;
    char bytes[65536];
};

/* Each of one internal span, one faulty span, and the rest requests. */
static void send_messages(const struct daemon_rig *rig, int count)
{
    struct message message;

    for (int i = 0; i < count; i++) {
        message_begin(&message, "opentelemetry");
        for (int k = 0; k < SPANS_PER_MESSAGE; k++) {
            put_span(&message.bytes,
                k == 0   ? SPAN_INTERNAL
                : k == 1 ? SPAN_ENDS_EARLY
                         : SPAN_GOOD,
                clock_unix_ns(clock_system()));
        }
        struct http_answer answer =
            http_post(rig->socket_path, "Content-Type: application/x-protobuf\r\n", message_end(&message));
        assert_int_equal(answer.status, 200);
        free(answer.text);
        message_deinit(&message);
    }
}

static void take_line(struct reader *reader, const char *line)
{
    static const char begin[] = "{\"time_unix_ns\"";

    if (strncmp(line, begin, sizeof begin - 1) == 0) {
        json_t *request = json_loads(line, 0, NULL);
        assert_non_null(request);
        assert_string_equal(json_string_value(json_object_get(request, "method")), "GET");
        json_decref(request);
        reader->request_count++;
    } else if (strncmp(line, "{\"dropped\":", 11) == 0) {
        reader->dropped_count += strtoull(line + 11, NULL, 10);
    } else if (strncmp(line, "{\"left_out\":", 12) == 0) {
        reader->left_out_count += strtoull(line + 12, NULL, 10);
    } else {
        reader->empty_count += line[0] == '\0';
    }
}

/* One piece of what has come, within the time; false when none came. */
static bool read_piece(struct reader *reader, int wait_ms)
{
    struct pollfd poll_fd = {.fd = reader->fd, .events = POLLIN};

    if (reader->has_ended || poll(&poll_fd, 1, wait_ms) <= 0) {
        return false;
    }
    ssize_t length =
        recv(reader->fd, reader->bytes + reader->length, sizeof reader->bytes - 1 - reader->length, 0);
    if (length <= 0) {
        reader->has_ended = true;
        return false;
    }
    reader->length += (size_t)length;
    reader->bytes[reader->length] = '\0';
    char *at = reader->bytes;
    for (char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        if (end > at && end[-1] == '\r') {
            end[-1] = '\0';
        }
        take_line(reader, at);
    }
    reader->length -= (size_t)(at - reader->bytes);
    memmove(reader->bytes, at, reader->length + 1);
    return true;
}

static uint64_t told_count(const struct reader *reader)
{
    return reader->request_count + reader->dropped_count + reader->left_out_count;
}

static void read_until(struct reader *reader, uint64_t count)
{
    for (int waited_ms = 0; told_count(reader) < count && waited_ms < READ_WAIT_MS; waited_ms += 20) {
        while (read_piece(reader, 20) && told_count(reader) < count) {
        }
    }
    assert_int_equal(told_count(reader), count);
}

static double metric_of(const struct daemon_rig *rig, const char *name)
{
    struct http_answer answer = http_get(rig->api_path, "/metrics");
    char line[128];

    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(answer.text, line);
    assert_non_null(at);
    double value = strtod(at + strlen(line), NULL);
    free(answer.text);
    return value;
}

static void wait_for_taps(const struct daemon_rig *rig, double count)
{
    for (int waited_ms = 0; metric_of(rig, "weft_taps") != count; waited_ms += 20) {
        assert_true(waited_ms < READ_WAIT_MS);
        pause_ms(20);
    }
}

static struct reader *open_tap(const struct daemon_rig *rig, const char *path)
{
    struct reader *reader = calloc(1, sizeof *reader);

    char head[256];
    int length = snprintf(head, sizeof head, "GET %s HTTP/1.0\r\nHost: weft\r\n\r\n", path); /* no chunks */

    assert_non_null(reader);
    reader->fd = connect_unix(rig->api_path);
    send_all(reader->fd, head, (size_t)length);
    return reader;
}

static void close_tap(struct reader *reader)
{
    (void)close(reader->fd);
    free(reader);
}

/* Every request of both shards, of which each connection goes to the one with the least load. */
static void every_request_is_told(void **state)
{
    struct daemon_rig rig;
    enum { ALL = MESSAGES_COUNT * (SPANS_PER_MESSAGE - 2) };

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    struct reader *all = open_tap(&rig, "/api/v1/tap?rate=all");
    struct reader *none = open_tap(&rig, "/api/v1/tap?rate=all&min_duration=1h");
    struct reader *some = open_tap(&rig, "/api/v1/tap?rate=7");
    wait_for_taps(&rig, 3);
    send_messages(&rig, MESSAGES_COUNT);
    read_until(all, ALL);
    assert_int_equal(all->request_count, ALL);
    read_until(some, ALL);
    assert_in_range(some->request_count, 7, 7 * READ_WAIT_MS / 1000);
    assert_int_equal(some->dropped_count, 0);
    while (read_piece(none, 0)) {
    }
    assert_int_equal(told_count(none), 0);
    close_tap(all);
    close_tap(some);
    wait_for_taps(&rig, 1); /* who goes is missed */
    daemon_rig_stop(&rig);
    while (read_piece(none, 1000)) {
    }
    assert_true(none->has_ended); /* the stop ends it */
    close_tap(none);
}

/* Nobody reads: what there is no room for is dropped, and told once there is. */
static void who_reads_slowly_loses_what_is_counted(void **state)
{
    struct daemon_rig rig;
    enum { ALL = 60 * (SPANS_PER_MESSAGE - 2) };

    (void)state;
    assert_int_equal(
        daemon_rig_start(&rig, "limits:\n  tap_bytes_max: 65536\n  tap_records_count_max: 64\n"), 0);
    struct reader *reader = open_tap(&rig, "/api/v1/tap?rate=all");
    wait_for_taps(&rig, 1);
    send_messages(&rig, 60);
    read_until(reader, ALL);
    assert_true(reader->dropped_count > 0);
    assert_true(reader->request_count > 0);
    close_tap(reader);
    daemon_rig_stop(&rig);
}

static void no_more_than_the_limit_watch(void **state)
{
    struct daemon_rig rig;
    size_t before_count = open_descriptors_count();

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, "limits:\n  taps_count_max: 2\n"), 0);
    struct reader *first = open_tap(&rig, "/api/v1/tap");
    struct reader *second = open_tap(&rig, "/api/v1/tap");
    wait_for_taps(&rig, 2);
    struct http_answer answer = http_get(rig.api_path, "/api/v1/tap");
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.text, "limits.taps_count_max"));
    assert_non_null(strstr(answer.text, "Retry-After: 1\r\n"));
    free(answer.text);
    answer = http_get(rig.api_path, "/api/v1/tap?colour=red");
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.text, "\"argument\":\"colour\""));
    free(answer.text);
    close_tap(first);
    wait_for_taps(&rig, 1);
    for (int waited_ms = 0; waited_ms < READ_WAIT_MS;
         waited_ms += 20) { /* its memory is freed a little later */
        struct reader *third = open_tap(&rig, "/api/v1/tap");
        while (third->empty_count < 2 && read_piece(third, 5000)) {
        }
        bool is_on = !third->has_ended;
        close_tap(third);
        if (is_on) {
            break;
        }
        pause_ms(20);
    }
    assert_int_equal(metric_of(&rig, "weft_taps_refused_total") >= 1, 1);
    daemon_rig_stop(&rig);
    close_tap(second);
    assert_int_equal(open_descriptors_count(), before_count);
}

/* Taps that begin and go while records come, and a stop in their midst. */
static void taps_come_and_go(void **state)
{
    size_t before_count = open_descriptors_count();

    (void)state;
    for (int round = 0; round < 5; round++) {
        struct daemon_rig rig;
        struct reader *readers[6] = {NULL};
        assert_int_equal(daemon_rig_start(&rig, ""), 0);
        for (int i = 0; i < 30; i++) {
            if (readers[i % 6] != NULL) {
                close_tap(readers[i % 6]);
            }
            readers[i % 6] = open_tap(&rig, i % 2 == 0 ? "/api/v1/tap?rate=all" : "/api/v1/tap");
            send_messages(&rig, 1);
        }
        daemon_rig_stop(&rig);
        for (int i = 0; i < 6; i++) {
            close_tap(readers[i]);
        }
    }
    assert_int_equal(open_descriptors_count(), before_count);
}

/* What the first start opens for good is no leak. */
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
        cmocka_unit_test(every_request_is_told),
        cmocka_unit_test(who_reads_slowly_loses_what_is_counted),
        cmocka_unit_test(no_more_than_the_limit_watch),
        cmocka_unit_test(taps_come_and_go),
    };

    return cmocka_run_group_tests_name("tap", tests, warm_up, NULL);
}
