/*
 * OTLP over HTTP/1.1 with protobuf bodies: one libcurl easy handle on the loop (http_loop.h). The connection
 * is kept between requests. Redirects are not followed: a body with a node's traffic goes where the
 * configuration says or nowhere. Runs on the exporter's loop.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "exporters/otlp/aws_credentials.h"
#include "exporters/otlp/http_loop.h"
#include "exporters/otlp/secret.h"
#include "exporters/otlp/tls.h"
#include "exporters/otlp/transport.h"

struct http_transport {
    struct transport transport; /* first member */
    struct transport_config config;
    struct http_loop loop;
    CURL *easy;
    struct curl_slist *headers;        /* the same in each request, but when the configuration changes */
    uint64_t headers_version;          /* of what is in them */
    struct curl_slist *signed_headers; /* those and the signature, of one request */
    struct aws_waiter waiter;
    struct slice unsigned_body; /* of a request that waits for credentials */
    bool is_refused;            /* the credentials were, since the last success */
    char authority[URL_AUTHORITY_BYTES_MAX];
    struct slice path;
    struct curl_slist *connect_to;
    char *url; /* when a server name stands in for the host */
    bool has_retry_after;
    uint64_t retry_after_ms;
    char error_text[CURL_ERROR_SIZE];
    size_t body_bytes;
    uint8_t body[OTLP_ANSWER_BYTES_MAX];
};

static struct http_transport *http_of(struct transport *transport)
{
    return (struct http_transport *)transport;
}

/* ---- the answer ---- */

static size_t on_body(char *bytes, size_t one, size_t length, void *user)
{
    struct http_transport *self = user;
    size_t room = sizeof self->body - self->body_bytes;
    size_t taken = length < room ? length : room;

    (void)one;
    memcpy(self->body + self->body_bytes, bytes, taken);
    self->body_bytes += taken;
    return length;
}

static struct slice trim(struct slice text)
{
    while (text.length > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = slice_sub(text, 1, text.length);
    }
    while (text.length > 0 && text.ptr[text.length - 1] <= ' ') {
        text.length--;
    }
    return text;
}

static size_t on_header_line(char *bytes, size_t one, size_t length, void *user)
{
    static const char name[] = "retry-after:";
    struct http_transport *self = user;

    (void)one;
    if (length > sizeof name - 1 && strncasecmp(bytes, name, sizeof name - 1) == 0) {
        struct slice value = trim(slice_of(bytes + sizeof name - 1, length - (sizeof name - 1)));
        self->has_retry_after =
            answer_parse_retry_after(value, clock_unix_ns(self->config.clock), &self->retry_after_ms);
    }
    return length;
}

static void judge(const struct http_transport *self, CURLcode result, struct otlp_answer *answer)
{
    long status = 0;
    struct slice body = slice_of(self->body, self->body_bytes);

    (void)curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK && status < 300) {
        answer->verdict = OTLP_VERDICT_RETRY;
        answer_set_text(answer->text,
            slice_of_string(self->error_text[0] != '\0' ? self->error_text : curl_easy_strerror(result)));
        return;
    }
    answer->status = (int)status;
    answer->verdict = answer_verdict_http((int)status);
    answer->retry_after_ms = self->has_retry_after ? self->retry_after_ms : 0;
    if (answer->verdict == OTLP_VERDICT_SENT) {
        answer_parse_partial_success(body, answer);
    } else {
        answer_parse_status_text(body, answer->text);
    }
}

/* What AWS says in JSON instead of a google.rpc.Status; the start of it is reason enough. */
static void tell_body(const struct http_transport *self, struct otlp_answer *answer)
{
    if (answer->text[0] == '\0' && self->body_bytes > 0 && (self->body[0] == '{' || self->body[0] == '<')) {
        answer_set_text(answer->text, slice_of(self->body, self->body_bytes));
    }
}

/*
 * A refusal of the credentials: they may have been withdrawn, or have expired by another clock, so the same
 * batch is tried once more with fresh ones. A second refusal is for good; the batches behind it do not wait,
 * but let fresh ones be fetched meanwhile: they may be there long before these expire.
 */
static void judge_credentials(struct http_transport *self, struct otlp_answer *answer)
{
    static const char expired[] = "ExpiredToken";
    bool refused =
        answer->status == 401 || answer->status == 403 ||
        (answer->status == 400 && memmem(self->body, self->body_bytes, expired, sizeof expired - 1) != NULL);

    tell_body(self, answer);
    if (answer->verdict == OTLP_VERDICT_SENT) {
        self->is_refused = false;
    } else if (refused && !self->is_refused) {
        self->is_refused = true;
        answer->verdict = OTLP_VERDICT_RETRY;
        aws_provider_forget(self->config.aws);
    } else if (refused) {
        aws_provider_doubt(self->config.aws);
    }
}

static void on_ended(void *user, CURLcode result)
{
    struct http_transport *self = user;
    struct otlp_answer answer = {0};

    judge(self, result, &answer);
    if (self->config.aws != NULL) {
        judge_credentials(self, &answer);
    }
    self->config.done(self->config.user, &answer); /* may begin another, or close the transport */
}

/* ---- headers ---- */

static bool add_line(struct curl_slist **list, const char *name, const char *value)
{
    struct buffer line;

    buffer_init(&line, SIZE_MAX);
    (void)buffer_reserve(&line, strlen(name) + strlen(value) + 4); /* at once, see secret.h */
    /* curl: "name:" alone takes a header away, "name;" sends it empty. */
    (void)buffer_append_format(&line, value[0] != '\0' ? "%s: %s" : "%s;%s", name, value);
    (void)buffer_append_byte(&line, '\0');
    struct curl_slist *headers = line.error == 0 ? curl_slist_append(*list, (const char *)line.data) : NULL;
    secret_buffer_deinit(&line);
    if (headers != NULL) {
        *list = headers;
    }
    return headers != NULL;
}

static bool add_header(struct http_transport *self, const char *name, const char *value)
{
    return add_line(&self->headers, name, value);
}

/* The headers of a request that are signed. */
struct signing {
    struct http_transport *transport;
    struct aws_header headers[AWS_HEADERS_COUNT_MAX];
    size_t count;
    int error;
};

static void add_signed(struct signing *signing, const char *name, const char *value)
{
    if (signing->count == AWS_HEADERS_COUNT_MAX) {
        signing->error = WERR_FULL;
        return;
    }
    signing->headers[signing->count++] = (struct aws_header){.name = name, .value = value};
    if (!add_line(&signing->transport->signed_headers, name, value)) {
        signing->error = WERR_NOMEM;
    }
}

/* All that every request has: what we set, what the configuration adds. */
static void collect_headers(struct signing *signing)
{
    struct http_transport *self = signing->transport;
    const struct otlp_destination_config *destination = self->config.destination;

    self->signed_headers = curl_slist_append(NULL, "Expect:");
    if (self->signed_headers == NULL) {
        signing->error = WERR_NOMEM;
        return;
    }
    add_signed(signing, "host", self->authority);
    add_signed(signing, "content-type", "application/x-protobuf");
    if (destination->compression != COMPRESSION_NONE) {
        add_signed(signing, "content-encoding", compression_name(destination->compression));
    }
    if (self->config.signal == OTLP_SIGNAL_LOGS && destination->aws.log_group != NULL) {
        add_signed(signing, "x-aws-log-group", destination->aws.log_group);
        add_signed(signing, "x-aws-log-stream", destination->aws.log_stream);
    }
    for (size_t i = 0; i < destination->header_count; i++) {
        add_signed(signing, destination->headers[i].name, destination->headers[i].value);
    }
}

static bool fill_headers(struct http_transport *self)
{
    const struct otlp_destination_config *destination = self->config.destination;

    self->headers_version = destination->headers_version != NULL ? *destination->headers_version : 0;
    self->headers = curl_slist_append(NULL, "Expect:"); /* no 100-continue */
    bool filled = self->headers != NULL && add_header(self, "Content-Type", "application/x-protobuf");
    if (destination->compression != COMPRESSION_NONE) {
        filled = filled && add_header(self, "Content-Encoding", compression_name(destination->compression));
    }
    if (destination->server_name != NULL) {
        filled = filled && add_header(self, "Host", self->authority);
    }
    for (size_t i = 0; i < destination->header_count; i++) {
        filled = filled && add_header(self, destination->headers[i].name, destination->headers[i].value);
    }
    return filled;
}

/* After a reload: the same headers with other values. 0, or WERR_NOMEM with the old ones in place. */
static int renew_headers(struct http_transport *self)
{
    const uint64_t *version = self->config.destination->headers_version;
    struct curl_slist *before = self->headers;
    uint64_t version_before = self->headers_version;

    if (version == NULL || *version == version_before) {
        return 0;
    }
    if (!fill_headers(self) || curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers) != CURLE_OK) {
        secret_list_free(self->headers);
        self->headers = before;
        self->headers_version = version_before;
        return WERR_NOMEM;
    }
    secret_list_free(before);
    return 0;
}

/* ---- the transport ---- */

static int start(struct http_transport *self, struct slice body)
{
    self->body_bytes = 0;
    self->has_retry_after = false;
    self->error_text[0] = '\0';
    (void)curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, body.length > 0 ? (const char *)body.ptr : "");
    (void)curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.length);
    return http_loop_start(&self->loop, self->easy);
}

/* The headers of one signed request: the lasting ones, the time, the token, the signature. */
static int sign(struct http_transport *self, const struct aws_credentials *credentials, struct slice body)
{
    struct signing signing = {.transport = self};
    char authorization[AWS_AUTHORIZATION_BYTES_MAX];
    char date[AWS_DATE_BYTES];

    aws_format_date(clock_unix_ns(self->config.clock), date);
    secret_list_free(self->signed_headers);
    self->signed_headers = NULL;
    collect_headers(&signing);
    add_signed(&signing, "x-amz-date", date);
    if (credentials->session_token[0] != '\0') {
        add_signed(&signing, "x-amz-security-token", credentials->session_token);
    }
    const struct aws_request request = {
        .region = self->config.destination->aws.region,
        .service = self->config.destination->aws.service[self->config.signal],
        .path = self->path,
        .headers = signing.headers,
        .header_count = signing.count,
        .body = body,
        .date = date,
    };
    int error = signing.error != 0 ? signing.error : aws_sign(&request, credentials, authorization);
    if (error == 0 && !add_line(&self->signed_headers, "Authorization", authorization)) {
        error = WERR_NOMEM;
    }
    if (error == 0 && curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->signed_headers) != CURLE_OK) {
        error = WERR_NOMEM;
    }
    return error;
}

static int sign_and_start(
    struct http_transport *self, const struct aws_credentials *credentials, struct slice body)
{
    int error = sign(self, credentials, body);

    return error < 0 ? error : start(self, body);
}

static void on_credentials(void *user, const struct aws_credentials *credentials, const char *reason)
{
    struct http_transport *self = user;
    struct otlp_answer answer = {.verdict = OTLP_VERDICT_RETRY};
    int error = credentials != NULL ? sign_and_start(self, credentials, self->unsigned_body) : WERR_AGAIN;

    if (error < 0) {
        answer_set_text(answer.text, slice_of_string(credentials == NULL ? reason : werr_text(error)));
        self->config.done(self->config.user, &answer);
    }
}

static int http_send(struct transport *transport, struct slice body)
{
    struct http_transport *self = http_of(transport);
    const struct aws_credentials *credentials;

    if (self->config.aws == NULL) {
        int renewed = renew_headers(self);
        return renewed < 0 ? renewed : start(self, body);
    }
    self->unsigned_body = body;
    int error = aws_provider_get(self->config.aws, &self->waiter, &credentials);
    if (error == WERR_AGAIN) {
        return 0;
    }
    return error < 0 ? error : sign_and_start(self, credentials, body);
}

static void free_parts(struct http_transport *self)
{
    curl_easy_cleanup(self->easy);
    secret_list_free(self->headers);
    secret_list_free(self->signed_headers);
    curl_slist_free_all(self->connect_to);
    free(self->url);
    free(self);
    curl_global_cleanup();
}

static void on_closed(void *user)
{
    free_parts(user);
}

static void http_close(struct transport *transport)
{
    struct http_transport *self = http_of(transport);

    if (self->config.aws != NULL) {
        aws_provider_leave(self->config.aws, &self->waiter);
    }
    http_loop_close(&self->loop);
}

/* The certificate is checked against the URL's host: with another server name that one goes there, and the
 * connection to where the host was. */
static bool set_url(struct http_transport *self, const struct url *url)
{
    const struct otlp_destination_config *destination = self->config.destination;
    const char *name = destination->server_name;
    const char *text = destination->url[self->config.signal];

    if (name == NULL) {
        return curl_easy_setopt(self->easy, CURLOPT_URL, text) == CURLE_OK;
    }
    const char *open = strchr(url->host, ':') != NULL ? "[" : "";
    const char *close = *open != '\0' ? "]" : "";
    char rule[URL_HOST_BYTES_MAX + 32];
    int length = snprintf(rule, sizeof rule, "::%s%s%s:%s", open, url->host, close, url->port);
    if (length < 0 || (size_t)length >= sizeof rule ||
        asprintf(&self->url, "%s://%s:%s%.*s", url->is_tls ? "https" : "http", name, url->port,
            (int)url->path.length, (const char *)url->path.ptr) < 0) {
        self->url = NULL;
        return false;
    }
    self->connect_to = curl_slist_append(NULL, rule);
    return self->connect_to != NULL && curl_easy_setopt(self->easy, CURLOPT_URL, self->url) == CURLE_OK &&
           curl_easy_setopt(self->easy, CURLOPT_CONNECT_TO, self->connect_to) == CURLE_OK;
}

static bool set_tls(struct http_transport *self)
{
    const struct otlp_destination_config *destination = self->config.destination;
    CURL *easy = self->easy;
    long verify = destination->insecure_skip_verify ? 0 : 1;
    bool set = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2) == CURLE_OK;

    if (destination->ca_file != NULL) {
        set = set && curl_easy_setopt(easy, CURLOPT_CAINFO, destination->ca_file) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    if (destination->cert_file != NULL) {
        set = set && curl_easy_setopt(easy, CURLOPT_SSLCERT, destination->cert_file) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_SSLKEY, destination->key_file) == CURLE_OK;
    }
    return set;
}

static bool set_options(struct http_transport *self)
{
    CURL *easy = self->easy;

    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, OTLP_USER_AGENT) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error_text) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)self->config.destination->timeout_ms) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)self->config.connect_timeout_ms) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, self) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header_line) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, self) == CURLE_OK && set_tls(self);
}

/* URL and TLS files are looked at here, so that a mistake shows at the start and not as failing requests. */
static int check_config(const struct transport_config *config, struct url *ret_url, const char **ret_what)
{
    SSL_CTX *context = NULL;

    if (url_parse(config->destination->url[config->signal], ret_url) < 0 || ret_url->is_unix) {
        *ret_what = "endpoint: expected http://HOST[:PORT][/PATH] or https://…";
        return WERR_CONFIG;
    }
    int error = ret_url->is_tls ? tls_context_new(config->destination, &context, ret_what) : 0;
    SSL_CTX_free(context);
    return error;
}

static int http_make(
    const struct transport_config *config, struct transport **ret_transport, const char **ret_what)
{
    struct url url;
    int error = check_config(config, &url, ret_what);

    if (error < 0) {
        return error;
    }
    struct http_transport *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        return WERR_NOMEM;
    }
    self->transport.type = &transport_http;
    self->config = *config;
    self->waiter = (struct aws_waiter){.done = on_credentials, .user = self};
    memcpy(self->authority, url.authority, sizeof self->authority);
    self->path = url.path;
    self->loop.ended = on_ended;
    self->loop.closed = on_closed;
    self->loop.user = self;
    self->easy = curl_easy_init();
    if (self->easy == NULL || !fill_headers(self) || !set_url(self, &url) || !set_options(self) ||
        http_loop_init(&self->loop, config->loop) < 0) {
        free_parts(self);
        return WERR_NOMEM;
    }
    *ret_transport = &self->transport;
    return 0;
}

const struct transport_type transport_http = {
    .make = http_make,
    .send = http_send,
    .close = http_close,
};
