/* Sources of credentials and their refreshing; see aws_credentials.h. Runs on the exporter's loop. */
#include "exporters/otlp/aws_credentials.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/error.h"
#include "exporters/otlp/http_loop.h"
#include "exporters/otlp/secret.h"

enum {
    EXPIRY_MARGIN_S = 10, /* nearer to their end they are not used any more */
    URL_BYTES_MAX = 4096,
    METADATA_TOKEN_BYTES_MAX = 4096,
    ROLE_BYTES_MAX = 256,
    READ_BYTES = 4096,
};

#define NS_PER_S 1000000000u
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

/* Which answer a request under way is for. */
enum aws_step { STEP_NONE, STEP_CONTAINER, STEP_INSTANCE_TOKEN, STEP_INSTANCE_ROLE, STEP_INSTANCE_KEYS };

struct aws_provider {
    const struct otlp_aws_config *config;
    const struct clock *clock;
    struct http_loop http;
    CURL *easy;
    struct curl_slist *headers;
    enum aws_step step;
    struct aws_waiter *waiters;
    struct aws_credentials credentials;
    bool has_credentials;
    uint64_t refresh_unix_ns;             /* fetched anew from here on */
    uint64_t pause_until_unix_ns;         /* no background fetch before */
    char token[METADATA_TOKEN_BYTES_MAX]; /* of the instance's metadata */
    struct buffer answer;
    char reason[OTLP_TEXT_BYTES_MAX];
};

static uint64_t now_ns(const struct aws_provider *self)
{
    return clock_unix_ns(self->clock);
}

/* ---- sources at hand ---- */

/* false when it does not fit */
static bool copy_text(char *to, size_t capacity, const char *from)
{
    int length = snprintf(to, capacity, "%s", from != NULL ? from : "");

    return length >= 0 && (size_t)length < capacity;
}

static bool take_environment(struct aws_provider *self)
{
    const struct otlp_aws_config *config = self->config;
    struct aws_credentials *to = &self->credentials;

    if (config->access_key_id == NULL ||
        !copy_text(to->access_key_id, sizeof to->access_key_id, config->access_key_id) ||
        !copy_text(to->secret_access_key, sizeof to->secret_access_key, config->secret_access_key) ||
        !copy_text(to->session_token, sizeof to->session_token, config->session_token)) {
        return false;
    }
    to->expires_unix_ns = UINT64_MAX;
    self->refresh_unix_ns = UINT64_MAX;
    return true;
}

/* A small file into a buffer, which is the caller's to deinit, as a secret. */
static bool read_file(const char *path, size_t bytes_max, struct buffer *ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t got = -1;

    buffer_init(ret_text, bytes_max + READ_BYTES);
    (void)buffer_reserve(ret_text, bytes_max + READ_BYTES);
    if (fd < 0) {
        return false;
    }
    for (;;) {
        uint8_t *room = ret_text->length <= bytes_max ? buffer_reserve(ret_text, READ_BYTES) : NULL;
        got = room != NULL ? read(fd, room, READ_BYTES) : -1;
        if (got <= 0) {
            break;
        }
        ret_text->length += (size_t)got;
    }
    (void)close(fd);
    return got == 0;
}

static bool take_file(struct aws_provider *self)
{
    struct aws_credentials found;
    struct buffer text;
    bool taken = false;

    if (self->config->credentials_file == NULL) {
        return false;
    }
    if (read_file(self->config->credentials_file, AWS_FILE_BYTES_MAX, &text) &&
        aws_parse_file(slice_of(text.data, text.length), self->config->profile, &found) == 0) {
        self->credentials = found;
        self->credentials.expires_unix_ns = now_ns(self) + (uint64_t)AWS_FILE_LIFE_S * NS_PER_S;
        self->refresh_unix_ns = self->credentials.expires_unix_ns;
        taken = true;
    }
    OPENSSL_cleanse(&found, sizeof found);
    secret_buffer_deinit(&text);
    return taken;
}

/* ---- waiters ---- */

static void tell_waiters(struct aws_provider *self)
{
    struct aws_waiter *waiters = self->waiters;

    self->waiters = NULL;
    for (struct aws_waiter *next; waiters != NULL; waiters = next) {
        next = waiters->next;
        waiters->waiting = false;
        waiters->done(waiters->user, self->has_credentials ? &self->credentials : NULL, self->reason);
    }
}

void aws_provider_leave(struct aws_provider *provider, struct aws_waiter *waiter)
{
    for (struct aws_waiter **at = &provider->waiters; waiter->waiting && *at != NULL; at = &(*at)->next) {
        if (*at == waiter) {
            *at = waiter->next;
            waiter->waiting = false;
            return;
        }
    }
}

/* ---- requests to metadata services ---- */

static bool is_good(const struct aws_provider *self)
{
    return self->has_credentials &&
           (self->credentials.expires_unix_ns == UINT64_MAX ||
               now_ns(self) + (uint64_t)EXPIRY_MARGIN_S * NS_PER_S < self->credentials.expires_unix_ns);
}

static void end_fetch(struct aws_provider *self)
{
    self->step = STEP_NONE;
    OPENSSL_cleanse(self->token, sizeof self->token);
    secret_buffer_deinit(&self->answer);
}

/* The fetch is over without credentials; older ones serve until they expire. */
static void fail(struct aws_provider *self, const char *what, const char *why)
{
    (void)snprintf(self->reason, sizeof self->reason, "AWS credentials: %s: %.96s", what, why);
    end_fetch(self);
    self->has_credentials = is_good(self);
    self->pause_until_unix_ns = now_ns(self) + (uint64_t)AWS_FETCH_PAUSE_S * NS_PER_S;
    tell_waiters(self);
}

static bool add_header(struct aws_provider *self, const char *name, const char *value)
{
    struct buffer line;

    buffer_init(&line, METADATA_TOKEN_BYTES_MAX + 64);
    (void)buffer_reserve(&line, METADATA_TOKEN_BYTES_MAX + 64);
    (void)buffer_append_format(&line, "%s: %s", name, value);
    (void)buffer_append_byte(&line, '\0');
    struct curl_slist *headers =
        line.error == 0 ? curl_slist_append(self->headers, (const char *)line.data) : NULL;
    secret_buffer_deinit(&line);
    self->headers = headers != NULL ? headers : self->headers;
    return headers != NULL;
}

/* Begins a request whose own headers were added before. */
static bool request(struct aws_provider *self, enum aws_step step, const char *method, const char *url)
{
    secret_buffer_deinit(&self->answer);
    (void)buffer_reserve(&self->answer, AWS_ANSWER_BYTES_MAX); /* at once, see secret.h */
    self->step = step;
    return curl_easy_setopt(self->easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(self->easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK &&
           curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK &&
           http_loop_start(&self->http, self->easy) == 0;
}

static void drop_headers(struct aws_provider *self)
{
    (void)curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, NULL);
    secret_list_free(self->headers);
    self->headers = NULL;
}

/* The token's file is written anew by the kubelet: read for each request. Without its line end. */
static bool add_container_token(struct aws_provider *self)
{
    const struct otlp_aws_config *config = self->config;
    struct buffer text;
    bool added = true;

    if (config->container_token_file == NULL) {
        return config->container_token == NULL || add_header(self, "Authorization", config->container_token);
    }
    added = read_file(config->container_token_file, METADATA_TOKEN_BYTES_MAX, &text);
    while (added && text.length > 0 && text.data[text.length - 1] <= ' ') {
        text.length--;
    }
    added = added && text.length > 0 && memchr(text.data, '\n', text.length) == NULL &&
            buffer_append_byte(&text, '\0') == 0 &&
            add_header(self, "Authorization", (const char *)text.data);
    secret_buffer_deinit(&text);
    return added;
}

static bool request_instance(struct aws_provider *self, enum aws_step step, const char *path)
{
    char url[URL_BYTES_MAX];
    int length = snprintf(url, sizeof url, "%s%s", self->config->instance_url, path);
    bool is_token = step == STEP_INSTANCE_TOKEN;
    char ttl[16];

    (void)snprintf(ttl, sizeof ttl, "%d", AWS_INSTANCE_TOKEN_TTL_S);
    return length > 0 && (size_t)length < sizeof url &&
           (is_token ? add_header(self, "X-aws-ec2-metadata-token-ttl-seconds", ttl)
                     : add_header(self, "X-aws-ec2-metadata-token", self->token)) &&
           request(self, step, is_token ? "PUT" : "GET", url);
}

/* True when a request is under way. */
static bool begin_fetch(struct aws_provider *self)
{
    if (self->config->container_url != NULL) {
        if (!add_container_token(self)) {
            drop_headers(self);
            (void)snprintf(self->reason, sizeof self->reason,
                "AWS credentials: the container's token file cannot be read");
            return false;
        }
        return request(self, STEP_CONTAINER, "GET", self->config->container_url);
    }
    if (self->config->instance_url != NULL) {
        return request_instance(self, STEP_INSTANCE_TOKEN, "/latest/api/token");
    }
    (void)snprintf(self->reason, sizeof self->reason, "AWS credentials: no source has any");
    return false;
}

static void take_answer(struct aws_provider *self, const char *what)
{
    struct aws_credentials found;
    uint64_t now = now_ns(self);

    if (aws_parse_answer(slice_of(self->answer.data, self->answer.length), &found) < 0) {
        fail(self, what, "not the expected JSON");
        return;
    }
    uint64_t life_ns = found.expires_unix_ns > now ? found.expires_unix_ns - now : 0;
    uint64_t before_ns = (uint64_t)AWS_REFRESH_BEFORE_S * NS_PER_S;
    self->credentials = found;
    self->refresh_unix_ns = found.expires_unix_ns == UINT64_MAX
                                ? UINT64_MAX
                                : found.expires_unix_ns - (life_ns > 2 * before_ns ? before_ns : life_ns / 2);
    self->has_credentials = true;
    self->has_credentials = is_good(self);
    (void)snprintf(self->reason, sizeof self->reason, "AWS credentials: %s: %s", what, "they have expired");
    end_fetch(self);
    OPENSSL_cleanse(&found, sizeof found);
    tell_waiters(self);
}

/* The first line of an answer that is a word of printable ASCII. */
static bool take_word(const struct aws_provider *self, char *to, size_t capacity)
{
    size_t length = 0;

    while (
        length < self->answer.length && self->answer.data[length] > ' ' && self->answer.data[length] < 0x7f) {
        length++;
    }
    if (length == 0 || length >= capacity) {
        return false;
    }
    memcpy(to, self->answer.data, length);
    to[length] = '\0';
    return true;
}

/* The next of the instance's three requests. */
static void go_on_with_instance(struct aws_provider *self)
{
    char role[ROLE_BYTES_MAX];
    char path[ROLE_BYTES_MAX + sizeof ROLE_PATH];
    bool began = false;

    switch (self->step) {
    case STEP_INSTANCE_TOKEN:
        began = take_word(self, self->token, sizeof self->token) &&
                request_instance(self, STEP_INSTANCE_ROLE, ROLE_PATH);
        break;
    case STEP_INSTANCE_ROLE:
        if (take_word(self, role, sizeof role) && strchr(role, '/') == NULL) {
            (void)snprintf(path, sizeof path, "%s%s", ROLE_PATH, role);
            began = request_instance(self, STEP_INSTANCE_KEYS, path);
        }
        break;
    default:
        take_answer(self, "instance metadata");
        return;
    }
    if (!began) {
        drop_headers(self);
        fail(self, "instance metadata", "not the expected answer");
    }
}

static void on_ended(void *user, CURLcode result)
{
    struct aws_provider *self = user;
    const char *what = self->step == STEP_CONTAINER ? "container endpoint" : "instance metadata";
    long status = 0;
    char text[32];

    (void)curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    drop_headers(self);
    if (result != CURLE_OK) {
        fail(self, what, curl_easy_strerror(result));
    } else if (status != 200) {
        (void)snprintf(text, sizeof text, "HTTP status %ld", status);
        fail(self, what, text);
    } else if (self->step == STEP_CONTAINER) {
        take_answer(self, what);
    } else {
        go_on_with_instance(self);
    }
}

static size_t on_body(char *bytes, size_t one, size_t length, void *user)
{
    struct aws_provider *self = user;

    (void)one;
    return buffer_append(&self->answer, bytes, length) == 0 ? length : 0;
}

/* ---- the provider ---- */

static bool set_options(struct aws_provider *self)
{
    CURL *easy = self->easy;

    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* never: the node's own services */
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "weft/" WEFT_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)AWS_CONNECT_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)AWS_FETCH_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, self) == CURLE_OK;
}

static void free_parts(struct aws_provider *self)
{
    curl_easy_cleanup(self->easy);
    secret_list_free(self->headers);
    secret_buffer_deinit(&self->answer);
    OPENSSL_cleanse(self, sizeof *self);
    free(self);
    curl_global_cleanup();
}

static void on_closed(void *user)
{
    free_parts(user);
}

struct aws_provider *aws_provider_new(
    uv_loop_t *loop, const struct clock *clock, const struct otlp_aws_config *config)
{
    struct aws_provider *self = calloc(1, sizeof *self);

    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        return NULL;
    }
    self->config = config;
    self->clock = clock;
    self->http.ended = on_ended;
    self->http.closed = on_closed;
    self->http.user = self;
    buffer_init(&self->answer, AWS_ANSWER_BYTES_MAX);
    self->easy = curl_easy_init();
    if (self->easy == NULL || !set_options(self) || http_loop_init(&self->http, loop) < 0) {
        free_parts(self);
        return NULL;
    }
    return self;
}

int aws_provider_get(
    struct aws_provider *provider, struct aws_waiter *waiter, const struct aws_credentials **ret_credentials)
{
    uint64_t now = now_ns(provider);
    bool is_due = !is_good(provider) || now >= provider->refresh_unix_ns;

    if (is_due && (take_environment(provider) || take_file(provider))) {
        provider->has_credentials = true;
        is_due = false;
    }
    if (is_good(provider)) {
        *ret_credentials = &provider->credentials;
        if (is_due && provider->step == STEP_NONE && now >= provider->pause_until_unix_ns &&
            !begin_fetch(provider)) {
            drop_headers(provider);
            fail(provider, "refresh", "cannot be begun");
        }
        return 0;
    }
    provider->has_credentials = false;
    waiter->next = provider->waiters;
    waiter->waiting = true;
    provider->waiters = waiter;
    if (provider->step == STEP_NONE && !begin_fetch(provider)) {
        drop_headers(provider);
        provider->step = STEP_NONE;
        tell_waiters(provider); /* at once: there is nothing to wait for */
    }
    return WERR_AGAIN;
}

void aws_provider_forget(struct aws_provider *provider)
{
    OPENSSL_cleanse(&provider->credentials, sizeof provider->credentials);
    provider->has_credentials = false;
    provider->refresh_unix_ns = 0;
}

void aws_provider_doubt(struct aws_provider *provider)
{
    provider->refresh_unix_ns = 0;
}

void aws_provider_close(struct aws_provider *provider)
{
    if (provider != NULL) {
        provider->waiters = NULL;
        http_loop_close(&provider->http);
    }
}
