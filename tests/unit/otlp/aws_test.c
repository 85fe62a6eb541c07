/* A destination at AWS against a scripted back-end: signatures, sources of credentials with a scripted
 * metadata service, refusals, limits. That signatures are right, aws_sign_test and tests/mesh say. */
#include "bench_exporter.h"
#include "cleansed.h"

#include <signal.h>
#include <stdlib.h>

#define HTTP OTLP_PROTOCOL_HTTP_PROTOBUF

enum { METADATA_REQUESTS_MAX = 8, METADATA_BYTES_MAX = 4096 };

static const struct script_step success[] = {{0}};

/* ---- a metadata service: answers in the order of its script ---- */

struct metadata_answer {
    int status;
    const char *body;
};

struct metadata {
    uv_tcp_t listener;
    char url[64];
    const struct metadata_answer *script;
    size_t script_count;
    size_t request_count;
    char requests[METADATA_REQUESTS_MAX][METADATA_BYTES_MAX]; /* heads */
};

struct metadata_client {
    uv_tcp_t stream;
    uv_write_t write;
    struct metadata *metadata;
    char in[METADATA_BYTES_MAX];
    size_t in_bytes;
    char out[METADATA_BYTES_MAX];
};

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct metadata_client *client = handle->data;

    (void)suggested;
    *buffer =
        uv_buf_init(client->in + client->in_bytes, (unsigned)(sizeof client->in - client->in_bytes - 1));
}

static void answer(struct metadata_client *client)
{
    struct metadata *metadata = client->metadata;
    size_t at = metadata->request_count < metadata->script_count ? metadata->request_count
                                                                 : metadata->script_count - 1;
    const struct metadata_answer *step = &metadata->script[at];

    const char *body = step->body != NULL ? step->body : ""; /* past the script's end */

    if (metadata->request_count < METADATA_REQUESTS_MAX) {
        memcpy(metadata->requests[metadata->request_count], client->in, client->in_bytes + 1);
    }
    metadata->request_count++;
    int length = snprintf(client->out, sizeof client->out,
        "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n\r\n%s", step->status, strlen(body), body);
    uv_buf_t buffer = uv_buf_init(client->out, (unsigned)length);
    assert_int_equal(uv_write(&client->write, (uv_stream_t *)&client->stream, &buffer, 1, NULL), 0);
    client->in_bytes = 0;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct metadata_client *client = stream->data;

    (void)buffer;
    if (length < 0) {
        uv_close((uv_handle_t *)stream, on_client_closed);
        return;
    }
    client->in_bytes += (size_t)length;
    client->in[client->in_bytes] = '\0';
    if (strstr(client->in, "\r\n\r\n") != NULL) {
        answer(client);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct metadata_client *client = calloc(1, sizeof *client);

    assert_int_equal(status, 0);
    assert_non_null(client);
    client->metadata = listener->data;
    assert_int_equal(uv_tcp_init(listener->loop, &client->stream), 0);
    client->stream.data = client;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&client->stream), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&client->stream, on_alloc, on_read), 0);
}

static void metadata_start(
    struct metadata *metadata, uv_loop_t *loop, const struct metadata_answer *script, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof address;

    *metadata = (struct metadata){.script = script, .script_count = count};
    assert_int_equal(uv_tcp_init(loop, &metadata->listener), 0);
    metadata->listener.data = metadata;
    assert_int_equal(uv_tcp_bind(&metadata->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&metadata->listener, 8, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&metadata->listener, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(metadata->url, sizeof metadata->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
}

static void metadata_stop(struct metadata *metadata)
{
    uv_close((uv_handle_t *)&metadata->listener, NULL);
}

#define KEYS(id)                                                                                             \
    "{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"token-" id                       \
    "\",\"Expiration\":\"2999-01-01T00:00:00Z\"}"

/* ---- tests ---- */

static struct fixture *aws_fixture(const struct script_step *script, size_t count)
{
    struct fixture *fixture = fixture_new();

    fixture->destination.aws = (struct otlp_aws_config){.region = "eu-test-1",
        .service = {"xray", "monitoring", "logs"},
        .profile = "default",
        .log_group = "/group",
        .log_stream = "stream"};
    fixture_listen(fixture, HTTP, NULL, script, count);
    return fixture;
}

static void use_environment(struct fixture *fixture)
{
    fixture->destination.aws.access_key_id = "AKENV";
    fixture->destination.aws.secret_access_key = "s3cret";
    fixture->destination.aws.session_token = "token-env";
}

static void requests_are_signed(void **state)
{
    (void)state;
    static const struct otlp_header headers[] = {{"x-tenant", "t"}};
    struct fixture *fixture = aws_fixture(success, 1);

    use_environment(fixture);
    fixture->destination.compression = COMPRESSION_GZIP;
    fixture->destination.headers = headers;
    fixture->destination.header_count = 1;
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 3);
    const char *seen = fixture->server.headers;
    assert_non_null(strstr(seen, "x-amz-security-token: token-env\n"));
    assert_non_null(strstr(seen, "authorization: AWS4-HMAC-SHA256 Credential=AKENV/"));
    assert_non_null(
        strstr(seen, "/eu-test-1/xray/aws4_request, SignedHeaders="
                     "content-encoding;content-type;host;x-amz-date;x-amz-security-token;x-tenant, "));
    assert_null(strstr(seen, "x-aws-log-group"));
    assert_null(strstr(seen, "expect:"));
    fixture_end(fixture);
}

static void logs_have_their_group_and_stream(void **state)
{
    (void)state;
    struct fixture *fixture = aws_fixture(success, 1);
    struct shared_bytes *bytes = make_spans(2, 8); /* on the wire the same */

    use_environment(fixture);
    fixture->destination.url[OTLP_SIGNAL_LOGS] = fixture->url;
    fixture->destination.url[OTLP_SIGNAL_TRACES] = NULL;
    fixture_start(fixture);
    otlp_exporter_offer(fixture->exporter, OTLP_SIGNAL_LOGS, -1, bytes, 2);
    shared_bytes_unref(bytes);
    run_until(fixture, METRIC_EXPORT_LOGS_SENT, 2);
    assert_int_equal(cell(fixture, METRIC_EXPORT_LOGS_HANDED), 2);
    assert_non_null(strstr(fixture->server.headers, "x-aws-log-group: /group\n"));
    assert_non_null(strstr(fixture->server.headers, "x-aws-log-stream: stream\n"));
    assert_non_null(strstr(fixture->server.headers, "/eu-test-1/logs/aws4_request"));
    fixture_end(fixture);
}

static void a_refusal_is_tried_once_more(void **state)
{
    (void)state;
    static const struct script_step once[] = {{.http_status = 403}, {0}};
    static const struct script_step always[] = {
        {.http_status = 403, .message = SLICE_LITERAL("{\"message\":\"no\"}")}};
    static const struct script_step expired[] = {
        {.http_status = 400, .message = SLICE_LITERAL("{\"__type\":\"ExpiredTokenException\"}")}, {0}};
    static const struct script_step bad[] = {{.http_status = 400}};
    static const struct {
        const struct script_step *script;
        size_t count;
        uint64_t sent;
        size_t requests;
    } rows[] = {{once, 2, 4, 2}, {always, 1, 0, 2}, {expired, 2, 4, 2}, {bad, 1, 0, 1}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture *fixture = aws_fixture(rows[i].script, rows[i].count);
        use_environment(fixture);
        fixture_start(fixture);
        offer(fixture, 4);
        run_until_idle(fixture);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), rows[i].sent);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED), 4 - rows[i].sent);
        assert_int_equal(fixture->server.request_count, rows[i].requests);
        if (rows[i].script == always) {
            assert_string_equal(fixture->last_text, "{\"message\":\"no\"}");
            offer(fixture, 4); /* refused before: no second try any more */
            run_until_idle(fixture);
            assert_int_equal(fixture->server.request_count, 3);
        }
        fixture_end(fixture);
    }
}

/* What was refused twice is dropped; those behind it do not wait until the keys expire. */
static void keys_that_stay_refused_are_fetched_anew(void **state)
{
    (void)state;
    static const struct script_step refusals[] = {{.http_status = 403}};
    static const struct metadata_answer script[] = {{200, KEYS("AK1")}};
    struct fixture *fixture = aws_fixture(refusals, 1);
    struct metadata metadata;
    char url[128];

    metadata_start(&metadata, &fixture->loop, script, 1);
    (void)snprintf(url, sizeof url, "%s/creds", metadata.url);
    fixture->destination.aws.container_url = url;
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED, 3);
    assert_int_equal(metadata.request_count, 2); /* at first, and for the second try */
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED, 6);
    assert_int_equal(fixture->server.request_count, 3);
    for (int i = 0; i < 100 && metadata.request_count < 3; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(metadata.request_count, 3);
    metadata_stop(&metadata);
    fixture_end(fixture);
}

static void an_instance_gives_its_roles_keys(void **state)
{
    (void)state;
    static const struct metadata_answer script[] = {
        {200, "imds-token"}, {200, "the-role\n"}, {200, KEYS("AK1")}};
    struct fixture *fixture = aws_fixture(success, 1);
    struct metadata metadata;

    metadata_start(&metadata, &fixture->loop, script, 3);
    fixture->destination.aws.instance_url = metadata.url;
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 3);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 6);
    assert_int_equal(metadata.request_count, 3); /* kept */
    assert_non_null(strstr(metadata.requests[0], "PUT /latest/api/token HTTP/1.1\r\n"));
    assert_non_null(strstr(metadata.requests[0], "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
    assert_non_null(strstr(metadata.requests[1], "GET /latest/meta-data/iam/security-credentials/ HTTP"));
    assert_non_null(strstr(metadata.requests[1], "X-aws-ec2-metadata-token: imds-token\r\n"));
    assert_non_null(strstr(metadata.requests[2], "/security-credentials/the-role HTTP"));
    assert_non_null(strstr(fixture->server.headers, "Credential=AK1/"));
    assert_non_null(strstr(fixture->server.headers, "x-amz-security-token: token-AK1\n"));
    metadata_stop(&metadata);
    fixture_end(fixture);
}

static void what_metadata_says_wrong_is_told_and_tried_again(void **state)
{
    (void)state;
    static const struct {
        struct metadata_answer script[3];
        const char *text;
    } rows[] = {
        {{{404, ""}}, "HTTP status 404"},
        {{{200, ""}}, "not the expected answer"},
        {{{200, "token"}, {200, "a/b"}}, "not the expected answer"},
        {{{200, "token"}, {500, ""}}, "HTTP status 500"},
        {{{200, "token"}, {200, "role"}, {200, "<html>"}}, "not the expected JSON"},
    };
    char container[128];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture *fixture = aws_fixture(success, 1);
        struct metadata metadata;
        metadata_start(&metadata, &fixture->loop, rows[i].script, 3);
        fixture->destination.aws.instance_url = metadata.url;
        fixture_start(fixture);
        offer(fixture, 3);
        run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 1);
        assert_non_null(strstr(fixture->last_text, "instance metadata"));
        assert_non_null(strstr(fixture->last_text, rows[i].text));
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 3);
        assert_int_equal(fixture->server.request_count, 0);
        metadata_stop(&metadata);
        fixture_end(fixture);
    }
    struct fixture *fixture = aws_fixture(success, 1);
    (void)snprintf(container, sizeof container, "http://127.0.0.1:1/creds"); /* nothing listens */
    fixture->destination.aws.container_url = container;
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 2);
    assert_non_null(strstr(fixture->last_text, "container endpoint"));
    fixture_end(fixture);
}

static void a_container_is_shown_its_token(void **state)
{
    (void)state;
    static const struct metadata_answer script[] = {{200, KEYS("AK2")}};
    struct fixture *fixture = aws_fixture(success, 1);
    struct metadata metadata;
    char path[] = "/tmp/weft-aws-XXXXXX";
    char url[128];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    assert_int_equal(close(fd), 0);
    metadata_start(&metadata, &fixture->loop, script, 1);
    (void)snprintf(url, sizeof url, "%s/creds", metadata.url);
    cleansed_forget();
    fixture->destination.aws.container_url = url;
    fixture->destination.aws.container_token = "direct";
    fixture->destination.aws.container_token_file = path; /* goes before */
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 3);
    assert_non_null(strstr(metadata.requests[0], "GET /creds HTTP/1.1\r\n"));
    assert_non_null(strstr(metadata.requests[0], "Authorization: from-file\r\n"));
    assert_non_null(strstr(fixture->server.headers, "Credential=AK2/"));
    assert_true(cleansed_count("from-file") >= 3); /* the file, the line made of it, curl's copy */
    assert_true(cleansed_has("\"SecretAccessKey\":\"s3cret\",\"Token\"")); /* the answer */
    assert_true(cleansed_has("x-amz-security-token: token-AK2"));
    metadata_stop(&metadata);
    fixture_end(fixture);
    assert_int_equal(unlink(path), 0);
    fixture = aws_fixture(success, 1);
    fixture->destination.aws.container_url = url;
    fixture->destination.aws.container_token_file = path; /* gone */
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 1);
    assert_non_null(strstr(fixture->last_text, "token file"));
    fixture_end(fixture);
}

static void a_file_that_is_missing_is_waited_for(void **state)
{
    (void)state;
    struct fixture *fixture = aws_fixture(success, 1);
    char path[] = "/tmp/weft-aws-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    fixture->destination.aws.credentials_file = path;
    fixture_start(fixture);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 1);
    assert_non_null(strstr(fixture->last_text, "no source has any"));
    cleansed_forget();
    static const char text[] = "[default]\naws_access_key_id=AKFILE\naws_secret_access_key=s3cret\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 3);
    assert_non_null(strstr(fixture->server.headers, "Credential=AKFILE/"));
    assert_null(strstr(fixture->server.headers, "x-amz-security-token"));
    assert_true(cleansed_has(text));
    fixture_end(fixture);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

static void closing_ends_a_wait_for_credentials(void **state)
{
    (void)state;
    static const struct metadata_answer script[] = {{200, "token"}};
    struct fixture *fixture = aws_fixture(success, 1);
    struct metadata metadata;

    metadata_start(&metadata, &fixture->loop, script, 1);
    fixture->destination.aws.instance_url = metadata.url;
    fixture_start(fixture);
    offer(fixture, 3);
    while (metadata.request_count == 0 && !fixture->overdue) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    metadata_stop(&metadata);
    fixture_close(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_SHUTDOWN), 3);
    fixture_free(fixture);
}

static void what_is_too_large_is_split_or_dropped(void **state)
{
    (void)state;
    struct fixture *fixture = aws_fixture(success, 1);

    use_environment(fixture);
    fixture->destination.batch_bytes_max = 1 << 24;
    fixture->destination.batch_count_max = 1000000;
    fixture_start(fixture);
    offer_sized(fixture, 100, 100000); /* 10 MB */
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 100);
    assert_in_range(fixture->server.request_count, 2, 4);
    offer_sized(fixture, 3, 250000); /* each more than AWS takes */
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_OVERSIZED), 3);
    assert_int_equal(fixture->event_count[OTLP_EVENT_REJECTED], 1);
    struct shared_bytes *bytes = shared_bytes_copy(SLICE_LITERAL("\x0a\x7f no request at all"));
    otlp_exporter_offer(fixture->exporter, OTLP_SIGNAL_TRACES, -1, bytes, 20000);
    shared_bytes_unref(bytes);
    fixture->offered_count += 20000;
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_OVERSIZED), 20003);
    expect_ledger(fixture);
    fixture_end(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_signed),
        cmocka_unit_test(logs_have_their_group_and_stream),
        cmocka_unit_test(a_refusal_is_tried_once_more),
        cmocka_unit_test(keys_that_stay_refused_are_fetched_anew),
        cmocka_unit_test(an_instance_gives_its_roles_keys),
        cmocka_unit_test(what_metadata_says_wrong_is_told_and_tried_again),
        cmocka_unit_test(a_container_is_shown_its_token),
        cmocka_unit_test(a_file_that_is_missing_is_waited_for),
        cmocka_unit_test(closing_ends_a_wait_for_credentials),
        cmocka_unit_test(what_is_too_large_is_split_or_dropped),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    (void)unsetenv("http_proxy");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
