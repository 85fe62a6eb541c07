/*
 * OTLP over HTTP/1.1 with protobuf bodies: one libcurl easy handle in a multi handle of its own, driven by
 * uv_poll and one uv_timer. The connection is kept between requests. Redirects are not followed: a body with
 * a node's traffic goes where the configuration says or nowhere. Runs on the exporter's loop.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "exporters/otlp/tls.h"
#include "exporters/otlp/transport.h"

struct http_transport {
    struct transport transport; /* first member */
    struct transport_config config;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *url; /* when a server name stands in for the host */
    uv_timer_t timer;
    bool busy;
    bool closed;
    bool has_retry_after;
    uint64_t retry_after_ms;
    char error_text[CURL_ERROR_SIZE];
    size_t body_bytes;
    uint8_t body[OTLP_ANSWER_BYTES_MAX];
};

/* A socket of curl's; its poll handle outlives it by a turn of the loop. */
struct http_socket {
    uv_poll_t poll;
    curl_socket_t fd;
    struct http_transport *transport;
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

/* curl's news; the request's end. */
static void look_for_end(struct http_transport *self)
{
    int left = 0;

    if (self->closed) {
        return;
    }
    for (CURLMsg *message; (message = curl_multi_info_read(self->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE || !self->busy) {
            continue;
        }
        struct otlp_answer answer = {0};
        judge(self, message->data.result, &answer);
        (void)curl_multi_remove_handle(self->multi, self->easy);
        self->busy = false;
        self->config.done(self->config.user, &answer);
        return; /* there is one request; `done` may have begun another or closed the transport */
    }
}

/* ---- curl's sockets and timer on the loop ---- */

static void on_timer(uv_timer_t *timer)
{
    struct http_transport *self = timer->data;
    int running;

    (void)curl_multi_socket_action(self->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_for_end(self);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct http_transport *self = user;

    (void)multi;
    if (self->closed || timeout_ms < 0) {
        (void)uv_timer_stop(&self->timer);
    } else {
        (void)uv_timer_start(&self->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_socket *socket = poll->data;
    struct http_transport *self = socket->transport;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;

    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    (void)curl_multi_socket_action(self->multi, socket->fd, flags, &running);
    look_for_end(self);
}

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct http_socket *add_socket(struct http_transport *self, curl_socket_t fd)
{
    struct http_socket *socket = calloc(1, sizeof *socket);

    if (socket == NULL || uv_poll_init_socket(self->config.loop, &socket->poll, fd) < 0) {
        free(socket);
        return NULL;
    }
    socket->fd = fd;
    socket->transport = self;
    socket->poll.data = socket;
    (void)curl_multi_assign(self->multi, fd, socket);
    return socket;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct http_transport *self = user;
    struct http_socket *socket = socket_user;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL) {
            (void)curl_multi_assign(self->multi, fd, NULL);
            uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
        }
        return 0;
    }
    if (socket == NULL) {
        socket = add_socket(self, fd);
        if (socket == NULL) {
            return 0; /* an error would end the whole multi handle; so the attempt ends by its timeout */
        }
    }
    int events = (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
    events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
    (void)uv_poll_start(&socket->poll, events, on_poll);
    return 0;
}

/* ---- the transport ---- */

static int http_send(struct transport *transport, struct slice body)
{
    struct http_transport *self = http_of(transport);

    self->body_bytes = 0;
    self->has_retry_after = false;
    self->error_text[0] = '\0';
    (void)curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, body.length > 0 ? (const char *)body.ptr : "");
    (void)curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.length);
    if (curl_multi_add_handle(self->multi, self->easy) != CURLM_OK) {
        return WERR_NOMEM;
    }
    self->busy = true;
    return 0;
}

static void free_parts(struct http_transport *self)
{
    if (self->busy) {
        (void)curl_multi_remove_handle(self->multi, self->easy);
    }
    curl_easy_cleanup(self->easy);
    (void)curl_multi_cleanup(self->multi);
    curl_slist_free_all(self->headers);
    curl_slist_free_all(self->connect_to);
    free(self->url);
    curl_global_cleanup();
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void http_close(struct transport *transport)
{
    struct http_transport *self = http_of(transport);

    self->closed = true;
    free_parts(self);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

static bool add_header(struct http_transport *self, const char *name, const char *value)
{
    struct buffer line;

    buffer_init(&line, SIZE_MAX);
    /* curl: "name:" alone takes a header away, "name;" sends it empty. */
    (void)buffer_append_format(&line, value[0] != '\0' ? "%s: %s" : "%s;%s", name, value);
    (void)buffer_append_byte(&line, '\0');
    struct curl_slist *headers =
        line.error == 0 ? curl_slist_append(self->headers, (const char *)line.data) : NULL;
    buffer_deinit(&line);
    if (headers != NULL) {
        self->headers = headers;
    }
    return headers != NULL;
}

static bool fill_headers(struct http_transport *self, const struct url *url)
{
    const struct otlp_destination_config *destination = self->config.destination;
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"); /* no 100-continue */

    self->headers = headers;
    bool filled = headers != NULL && add_header(self, "Content-Type", "application/x-protobuf");
    if (destination->compression != COMPRESSION_NONE) {
        filled = filled && add_header(self, "Content-Encoding", compression_name(destination->compression));
    }
    if (destination->server_name != NULL) {
        filled = filled && add_header(self, "Host", url->authority);
    }
    for (size_t i = 0; i < destination->header_count; i++) {
        filled = filled && add_header(self, destination->headers[i].name, destination->headers[i].value);
    }
    return filled;
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
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, self) == CURLE_OK &&
           curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
           curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self) == CURLM_OK &&
           curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
           curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self) == CURLM_OK && set_tls(self);
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
    self->multi = curl_multi_init();
    self->easy = curl_easy_init();
    if (self->multi == NULL || self->easy == NULL || !fill_headers(self, &url) || !set_url(self, &url) ||
        !set_options(self)) {
        free_parts(self);
        free(self);
        return WERR_NOMEM;
    }
    (void)uv_timer_init(config->loop, &self->timer);
    self->timer.data = self;
    *ret_transport = &self->transport;
    return 0;
}

const struct transport_type transport_http = {
    .make = http_make,
    .send = http_send,
    .close = http_close,
};
