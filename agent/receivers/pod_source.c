/* Where the table of pods comes from: pod_source.h. */
#include "receivers/pod_source.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/error.h"
#include "exporters/otlp/http_loop.h"

enum {
    KUBELET_BODY_BYTES_MAX = 67108864,
    KUBELET_TIMEOUT_MS = 10000,
    POD_FILE_BYTES_MAX = 65536, /* of a token, or of a file of the downward API */
    DIRECTORY_INTERVAL_MS = 10000,
    HTTP_OK = 200,
};

struct pod_source {
    const struct config_identity *config;
    uv_loop_t *loop;
    struct pods *pods;
    struct metric_cells *cells;
    struct log *log;
    uv_timer_t timer;
    struct http_loop http;
    CURL *easy; /* NULL: no kubelet */
    struct curl_slist *headers;
    struct buffer body;
    bool busy;
    bool has_failed;
    int open_count; /* handles that are not closed yet */
};

/* ---- files ---- */

/* The file's bytes; a longer one is cut. Negative when it cannot be read. */
static int read_file(int directory_fd, const char *name, struct buffer *out)
{
    uint8_t *at = buffer_reserve(out, POD_FILE_BYTES_MAX);
    int fd = at != NULL ? openat(directory_fd, name, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = 1;

    if (fd < 0) {
        return at != NULL ? WERR_NOT_FOUND : WERR_NOMEM;
    }
    while (got > 0 && out->length < POD_FILE_BYTES_MAX) {
        got = read(fd, out->data + out->length, POD_FILE_BYTES_MAX - out->length);
        out->length += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    return got < 0 ? WERR_IO : 0;
}

/* Without the white space that ends it. */
static struct slice text_of(const struct buffer *buffer)
{
    struct slice text = slice_of(buffer->data, buffer->length);

    while (text.length > 0 && text.ptr[text.length - 1] <= ' ') {
        text.length--;
    }
    return text;
}

int pod_source_read_directory(const char *directory, struct pod_table *table)
{
    static const char *const names[] = {"uid", "name", "namespace", "labels"};
    enum { FILE_COUNT = sizeof names / sizeof names[0] };
    struct buffer files[FILE_COUNT];
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < FILE_COUNT; i++) {
        buffer_init(&files[i], POD_FILE_BYTES_MAX);
        if (fd >= 0) {
            (void)read_file(fd, names[i], &files[i]); /* what is not mounted tells nothing */
        }
    }
    struct pod_facts facts = {
        .uid = text_of(&files[0]), .name = text_of(&files[1]), .pod_namespace = text_of(&files[2])};
    pod_labels_read(text_of(&files[3]), &facts);
    int error = facts.uid.length > 0 && facts.name.length > 0 ? pod_table_add(table, &facts) : WERR_NOT_FOUND;
    for (size_t i = 0; i < FILE_COUNT; i++) {
        buffer_deinit(&files[i]);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return error;
}

/* ---- the table ---- */

static void tell(struct pod_source *source, bool ok, const char *reason)
{
    metric_add(source->cells, ok ? METRIC_KUBELET_POLLS_OK : METRIC_KUBELET_POLLS_FAILED, 1);
    if (!ok) {
        log_event(source->log, LOG_LEVEL_WARN, "pods_failed", LOG_S("reason", reason));
    } else if (source->has_failed) {
        log_event(source->log, LOG_LEVEL_INFO, "pods_recovered");
    }
    source->has_failed = !ok;
}

static void replace(struct pod_source *source, struct pod_table *table)
{
    metric_set(source->cells, METRIC_PODS_KNOWN, table->count);
    metric_set(source->cells, METRIC_PODS_OVER, table->over_count);
    pods_replace(source->pods, table);
}

static void read_directory(struct pod_source *source)
{
    struct pod_table table;

    pod_table_init(&table);
    int error = pod_source_read_directory(source->config->downward_api, &table);
    if (error == 0) {
        replace(source, &table);
    }
    pod_table_deinit(&table);
    tell(source, error == 0, "identity.downward_api: no files uid and name");
}

/* ---- the kubelet ---- */

struct reading {
    struct pod_table table;
    int error;
};

static void on_pod(void *user, const struct pod_facts *facts)
{
    struct reading *reading = user;
    int error = pod_table_add(&reading->table, facts);

    reading->error = error == WERR_NOMEM ? error : reading->error;
}

static size_t on_body(char *bytes, size_t one, size_t length, void *user)
{
    struct pod_source *source = user;

    (void)one;
    return buffer_append(&source->body, bytes, length) == 0 ? length : 0;
}

static void read_pods(struct pod_source *source)
{
    struct reading reading = {.error = 0};
    struct pod_sink sink = {.on_pod = on_pod, .user = &reading};

    pod_table_init(&reading.table);
    int error = pod_list_read(slice_of(source->body.data, source->body.length), &sink);
    error = error < 0 ? error : reading.error;
    if (error == 0) {
        replace(source, &reading.table);
    }
    pod_table_deinit(&reading.table);
    tell(source, error == 0, "identity.kubelet: no list of pods");
}

static void on_ended(void *user, CURLcode code)
{
    struct pod_source *source = user;
    long status = 0;

    source->busy = false;
    (void)curl_easy_getinfo(source->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == HTTP_OK) {
        read_pods(source);
    } else {
        char reason[96];
        (void)snprintf(
            reason, sizeof reason, "identity.kubelet: %s, status %ld", curl_easy_strerror(code), status);
        tell(source, false, reason);
    }
    buffer_deinit(&source->body);
}

/* The token is read anew each time: it is changed while it is in use. */
static bool set_token(struct pod_source *source)
{
    struct buffer token;
    struct buffer line;
    bool set = true;

    curl_slist_free_all(source->headers);
    source->headers = NULL;
    if (source->config->kubelet.token_file == NULL) {
        return curl_easy_setopt(source->easy, CURLOPT_HTTPHEADER, NULL) == CURLE_OK;
    }
    buffer_init(&token, POD_FILE_BYTES_MAX);
    buffer_init(&line, POD_FILE_BYTES_MAX + 64);
    set = read_file(AT_FDCWD, source->config->kubelet.token_file, &token) == 0;
    struct slice text = text_of(&token);
    (void)buffer_append_text(&line, "Authorization: Bearer ");
    (void)buffer_append_slice(&line, text);
    (void)buffer_append_byte(&line, '\0');
    /* A line break would begin a header of its own. */
    set = set && line.error == 0 && text.length > 0 && slice_find(text, '\n') == text.length &&
          slice_find(text, '\r') == text.length;
    source->headers = set ? curl_slist_append(NULL, (const char *)line.data) : NULL;
    buffer_deinit(&token);
    buffer_deinit(&line);
    return source->headers != NULL &&
           curl_easy_setopt(source->easy, CURLOPT_HTTPHEADER, source->headers) == CURLE_OK;
}

static void on_timer(uv_timer_t *timer)
{
    struct pod_source *source = timer->data;

    if (source->easy == NULL) {
        read_directory(source);
        return;
    }
    if (source->busy) {
        return;
    }
    if (!set_token(source)) {
        tell(source, false, "identity.kubelet.token_file: no token");
        return;
    }
    buffer_init(&source->body, KUBELET_BODY_BYTES_MAX);
    source->busy = http_loop_start(&source->http, source->easy) == 0;
}

static bool set_options(struct pod_source *source)
{
    const struct config_kubelet *kubelet = &source->config->kubelet;
    CURL *easy = source->easy;
    long verify = kubelet->insecure_skip_verify ? 0 : 1;
    bool set = curl_easy_setopt(easy, CURLOPT_URL, kubelet->url) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_USERAGENT, "weft/" WEFT_VERSION) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)KUBELET_TIMEOUT_MS) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_WRITEDATA, source) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2) == CURLE_OK;

    if (kubelet->ca_file != NULL) {
        set = set && curl_easy_setopt(easy, CURLOPT_CAINFO, kubelet->ca_file) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    return set;
}

/* ---- making and ending ---- */

static void release(struct pod_source *source)
{
    if (--source->open_count > 0) {
        return;
    }
    if (source->easy != NULL) {
        curl_easy_cleanup(source->easy);
        curl_global_cleanup();
    }
    curl_slist_free_all(source->headers);
    buffer_deinit(&source->body);
    free(source);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_http_closed(void *user)
{
    release(user);
}

static int init_kubelet(struct pod_source *source)
{
    source->http = (struct http_loop){.ended = on_ended, .closed = on_http_closed, .user = source};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return WERR_NOMEM;
    }
    source->easy = curl_easy_init();
    if (source->easy == NULL || !set_options(source) || http_loop_init(&source->http, source->loop) < 0) {
        curl_easy_cleanup(source->easy);
        curl_global_cleanup();
        return WERR_NOMEM;
    }
    source->open_count++;
    return 0;
}

int pod_source_new(const struct config_identity *config, uv_loop_t *loop, struct pods *pods,
    struct metric_cells *cells, struct log *log, struct pod_source **ret_source)
{
    bool has_kubelet = config->kubelet.url != NULL;
    uint64_t interval_ms = has_kubelet ? config->kubelet.interval_s * 1000 : DIRECTORY_INTERVAL_MS;

    *ret_source = NULL;
    if (!has_kubelet && config->downward_api == NULL) {
        return 0;
    }
    struct pod_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return WERR_NOMEM;
    }
    *source = (struct pod_source){.config = config, .loop = loop, .pods = pods, .cells = cells, .log = log};
    if (has_kubelet && init_kubelet(source) < 0) {
        free(source);
        return WERR_NOMEM;
    }
    (void)uv_timer_init(loop, &source->timer);
    source->timer.data = source;
    source->open_count++;
    (void)uv_timer_start(&source->timer, on_timer, 0, interval_ms);
    *ret_source = source;
    return 0;
}

void pod_source_close(struct pod_source *source)
{
    if (source == NULL) {
        return;
    }
    if (source->easy != NULL) {
        http_loop_close(&source->http);
    }
    uv_close((uv_handle_t *)&source->timer, on_timer_closed);
}
