/* OTLP over HTTP: every answer that POST /v1/traces can have, and what the ledger says of each. */
#include "aggregate/directory_internal.h"
#include "otlp_message.h"
#include "web.h"

/* To /v1/traces. */
static unsigned post(
    struct web *web, const char *headers, struct slice body, char *answer, size_t answer_bytes)
{
    return web_post(web, "/v1/traces", headers, body, answer, answer_bytes);
}

static const char protobuf_header[] = "Content-Type: application/x-protobuf\r\n";
static const char gzip_headers[] = "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n";

static void accepted_messages_count(void **state)
{
    static const struct {
        enum compression compression;
        const char *headers;
    } cases[] = {{COMPRESSION_NONE, protobuf_header}, {COMPRESSION_GZIP, gzip_headers},
        {COMPRESSION_ZSTD, "Content-Type: application/x-protobuf; x=y\r\nContent-Encoding: zstd\r\n"}};
    struct web web;
    struct message message;
    char answer[4096];

    (void)state;
    web_start(&web);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_ENDS_EARLY, RIG_NOW_UNIX_NS);
    struct slice plain = message_end(&message);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer body;
        pack(cases[i].compression, plain, &body);
        assert_int_equal(
            post(&web, cases[i].headers, slice_of(body.data, body.length), answer, sizeof answer), 200);
        assert_non_null(strstr(answer, "application/x-protobuf"));
        buffer_deinit(&body);
    }
    message_deinit(&message);
    rig_expect(&web.rig, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP, 3);
    rig_expect(&web.rig, METRIC_SPANS_RECEIVED, 6);
    rig_expect(&web.rig, METRIC_SPANS_DROPPED_END, 3);
    rig_expect_spans(&web.rig, 3);
    /* An empty request is a success. */
    assert_int_equal(post(&web, protobuf_header, slice_of(NULL, 0), answer, sizeof answer), 200);
    rig_expect(&web.rig, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP, 1);
    rig_check(&web.rig);
    web_stop(&web);
}

static void refused_messages_count(void **state)
{
    struct web web;
    struct buffer bomb;
    char answer[4096];
    uint8_t *zeros = calloc(1, 1 << 20);

    (void)state;
    assert_non_null(zeros);
    web_start(&web);
    pack(COMPRESSION_GZIP, slice_of(zeros, 1 << 20), &bomb);
    const struct {
        const char *headers;
        struct slice body;
        unsigned status;
        enum metric_id row;
    } cases[] = {
        {"Content-Type: text/plain\r\n", SLICE_LITERAL("x"), 415, METRIC_MESSAGES_REFUSED_UNKNOWN},
        {"", SLICE_LITERAL("x"), 415, METRIC_MESSAGES_REFUSED_UNKNOWN},
        {"Content-Type: application/x-protobuf\r\nContent-Encoding: br\r\n", SLICE_LITERAL("x"), 400,
            METRIC_MESSAGES_REFUSED_COMPRESSION},
        {gzip_headers, SLICE_LITERAL("this is no gzip"), 400, METRIC_MESSAGES_REFUSED_COMPRESSION},
        {gzip_headers, slice_of(bomb.data, bomb.length / 2), 413, METRIC_MESSAGES_REFUSED_OVERSIZED},
        {protobuf_header, slice_of(zeros, 65537), 413, METRIC_MESSAGES_REFUSED_OVERSIZED},
        {protobuf_header, SLICE_LITERAL("\x0a\x7f"), 400, METRIC_MESSAGES_REFUSED_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(post(&web, cases[i].headers, cases[i].body, answer, sizeof answer), cases[i].status);
        rig_expect(&web.rig, cases[i].row, 1);
        rig_check(&web.rig);
    }
    buffer_deinit(&bomb);
    free(zeros);
    web_stop(&web);
}

/* What is inside a small body is admitted like any message: without room for it, the sender is to come again.
 */
static void compressed_bodies_are_admitted_by_what_they_hold(void **state)
{
    static const uint8_t zeros[60000];
    char answer[4096];
    struct buffer packed;
    struct web web;

    (void)state;
    web_start(&web);
    pack(COMPRESSION_GZIP, slice_of(zeros, sizeof zeros), &packed);
    web.assembly.cap_bytes = 4096;
    assert_int_equal(
        post(&web, gzip_headers, slice_of(packed.data, packed.length), answer, sizeof answer), 503);
    assert_non_null(strstr(answer, "Retry-After: "));
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&web.rig);
    assert_int_equal(web.assembly.used_bytes, 0);
    buffer_deinit(&packed);
    web_stop(&web);
}

static void while_memory_of_values_is_full_it_comes_again(void **state)
{
    struct message message;
    char answer[4096];
    struct web web;

    (void)state;
    web_start(&web);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    struct slice plain = message_end(&message);
    web.rig.pipeline.directory->is_full = true;
    assert_int_equal(post(&web, protobuf_header, plain, answer, sizeof answer), 503);
    assert_non_null(strstr(answer, "Retry-After: "));
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&web.rig);
    message_deinit(&message);
    web_stop(&web);
}

/* What came of a message whose sender went: cut, wherever that was; a message that was refused stays that. */
static void cut_messages_count(void **state)
{
    static const char head[] =
        "POST /v1/traces HTTP/1.1\r\nHost: weft\r\nContent-Type: application/x-protobuf\r\n"
        "Content-Length: 70000\r\n\r\n";
    static const uint8_t body[70000];
    const size_t lengths[] = {1, sizeof head - 3, sizeof head - 1, sizeof head, sizeof head + 1000};
    struct web web;

    (void)state;
    web_start(&web);
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        int fds[2];
        size_t length = lengths[i / 2];
        size_t head_bytes = length < sizeof head - 1 ? length : sizeof head - 1;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(send(fds[0], head, head_bytes, MSG_NOSIGNAL), head_bytes);
        assert_int_equal(send(fds[0], body, length - head_bytes, MSG_NOSIGNAL), length - head_bytes);
        if (i % 2 == 0) { /* gone before the first look, or after it */
            (void)close(fds[0]);
        }
        http_server_add(web.server, fds[1], LISTENER_INGEST);
        rig_turn(&web.rig);
        if (i % 2 == 1) {
            (void)close(fds[0]);
        }
        rig_turn(&web.rig);
        rig_turn(&web.rig);
        rig_expect(&web.rig, METRIC_MESSAGES_CUT, 1);
        rig_check(&web.rig);
    }
    web_stop(&web);
}

/* Memory for the body fails while it is read. */
static void a_body_without_memory_is_refused(void **state)
{
    struct web web;
    static const uint8_t body[30000];
    char answer[4096];

    (void)state;
    web_start(&web);
    web.without_body_memory = true;
    assert_int_equal(post(&web, protobuf_header, slice_of(body, sizeof body), answer, sizeof answer), 503);
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&web.rig);
    web_stop(&web);
}

static void without_memory_or_time_it_comes_again(void **state)
{
    struct web web;
    struct message message;
    struct buffer body;
    char answer[4096];

    (void)state;
    web_start(&web);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    struct slice plain = message_end(&message);
    pack(COMPRESSION_GZIP, plain, &body);

    web.without_memory = true;
    assert_int_equal(post(&web, gzip_headers, slice_of(body.data, body.length), answer, sizeof answer), 503);
    assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
    web.without_memory = false;
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&web.rig);

    web.without_peer = true;
    assert_int_equal(post(&web, protobuf_header, plain, answer, sizeof answer), 503);
    web.without_peer = false;
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&web.rig);

    web.rig.pipeline.draining = true;
    assert_int_equal(post(&web, protobuf_header, plain, answer, sizeof answer), 503);
    assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
    web.rig.pipeline.draining = false;
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_DRAINING, 1);
    rig_check(&web.rig);

    assert_int_equal(post(&web, protobuf_header, plain, answer, sizeof answer), 200);
    rig_expect(&web.rig, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP, 1);
    rig_expect(&web.rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect_spans(&web.rig, 1);
    buffer_deinit(&body);
    message_deinit(&message);
    web_stop(&web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_messages_count),
        cmocka_unit_test(refused_messages_count),
        cmocka_unit_test(compressed_bodies_are_admitted_by_what_they_hold),
        cmocka_unit_test(while_memory_of_values_is_full_it_comes_again),
        cmocka_unit_test(cut_messages_count),
        cmocka_unit_test(a_body_without_memory_is_refused),
        cmocka_unit_test(without_memory_or_time_it_comes_again),
    };

    return cmocka_run_group_tests_name("http_otlp", tests, NULL, NULL);
}
