/* Targets that are scraped: scraper.h. */
#include "receivers/scraper.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "core/buffer.h"
#include "core/error.h"
#include "exporters/otlp/http_loop.h"
#include "pipeline/pipeline_scrape.h"

enum {
    FIRST_SCRAPE_MS_MAX = 1000, /* targets begin at different moments within it */
    STALE_INTERVALS = 3,
    STALE_EXTRA_S = 10, /* between a scrape and the flip that tells of it */
    STALE_S_MAX = 65535,
    ARENA_FIRST_BYTES = 65536,
    ARENA_FACTOR = 8, /* what lines become is larger than they are */
    HTTP_OK = 200,
};

static const char accept_header[] =
    "Accept: text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1";

struct scrape_target {
    struct scraper *scraper;
    const struct config_scrape *config;
    struct metric_cells *cells;
    struct scrape_source source;
    struct prom_label *labels; /* owned; of source */
    struct http_loop http;
    CURL *easy;
    struct curl_slist *headers;
    uv_timer_t timer;
    struct buffer body;
    uint64_t reserved_bytes; /* of the assembly budget, for the body */
    enum metric_id refused;  /* why the body was given up while it came; METRIC_COUNT: it was not */
    uint64_t started_ms;
    bool busy;
    bool was_up;
    bool http_ready;
};

struct scraper {
    struct scraper_config config;
    struct arena arena; /* of the exposition being read */
    bool closed;
    size_t count;
    struct scrape_target targets[];
};

/* ---- the answer ---- */

static void drop_body(struct scrape_target *target)
{
    buffer_deinit(&target->body);
    budget_release(target->scraper->config.assembly, target->reserved_bytes);
    target->reserved_bytes = 0;
}

static size_t on_body(char *bytes, size_t one, size_t length, void *user)
{
    struct scrape_target *target = user;
    uint64_t bytes_max = target->scraper->config.limits->scrape_body_bytes_max;

    (void)one;
    if (length > bytes_max || target->body.length > bytes_max - length) {
        target->refused = METRIC_SCRAPE_OVERSIZED;
        return 0;
    }
    if (!budget_reserve(target->scraper->config.assembly, length)) {
        target->refused = METRIC_SCRAPE_MEMORY;
        return 0;
    }
    target->reserved_bytes += length;
    if (buffer_append(&target->body, bytes, length) < 0) {
        target->refused = METRIC_SCRAPE_MEMORY;
        return 0;
    }
    return length;
}

static enum metric_id result_of(const struct scrape_target *target, CURLcode code)
{
    long status = 0;

    if (target->refused != METRIC_COUNT) {
        return target->refused;
    }
    switch (code) {
    case CURLE_OK:
        (void)curl_easy_getinfo(target->easy, CURLINFO_RESPONSE_CODE, &status);
        return status == HTTP_OK ? METRIC_SCRAPE_OK : METRIC_SCRAPE_STATUS;
    case CURLE_OPERATION_TIMEDOUT:
        return METRIC_SCRAPE_TIMEOUT;
    case CURLE_BAD_CONTENT_ENCODING:
        return METRIC_SCRAPE_COMPRESSION;
    case CURLE_OUT_OF_MEMORY:
        return METRIC_SCRAPE_MEMORY;
    default:
        return METRIC_SCRAPE_UNREACHABLE;
    }
}

/* False for what is no exposition at all, such as a page of HTML that says so. */
static bool read_format(const struct scrape_target *target, enum prom_format *ret_format)
{
    const char *type = NULL;

    (void)curl_easy_getinfo(target->easy, CURLINFO_CONTENT_TYPE, &type);
    if (type != NULL && strncasecmp(type, "application/openmetrics-text", 28) == 0) {
        *ret_format = PROM_FORMAT_OPENMETRICS;
        return true;
    }
    *ret_format = PROM_FORMAT_TEXT;
    return type == NULL || *type == '\0' || strncasecmp(type, "text/plain", 10) == 0;
}

static enum metric_id read_body(struct scrape_target *target)
{
    struct scraper *scraper = target->scraper;
    struct prom_result result;
    enum prom_format format;

    if (!read_format(target, &format)) {
        return METRIC_SCRAPE_CONTENT_TYPE;
    }
    int error = pipeline_scrape(scraper->config.pipeline, &target->source,
        slice_of(target->body.data, target->body.length), format, &scraper->arena, &result);
    arena_reset(&scraper->arena);
    if (error < 0) {
        return METRIC_SCRAPE_MEMORY;
    }
    metric_add(target->cells, METRIC_SCRAPE_BYTES, target->body.length);
    metric_set(target->cells, METRIC_SCRAPE_SAMPLES, result.sample_count);
    metric_add(target->cells, METRIC_SCRAPE_LINES_DROPPED, result.line_bad_count);
    if (result.line_bad_count > 0) {
        log_event(scraper->config.log, LOG_LEVEL_DEBUG, "scrape_lines_dropped",
            LOG_S("target", target->config->name), LOG_I("lines", result.line_bad_count),
            LOG_I("first", result.first_bad_line));
    }
    return METRIC_SCRAPE_OK;
}

static void tell(struct scrape_target *target, enum metric_id result)
{
    bool is_up = result == METRIC_SCRAPE_OK;
    struct log *log = target->scraper->config.log;

    metric_add(target->cells, result, 1);
    metric_set(target->cells, METRIC_SCRAPE_UP, is_up);
    metric_set(
        target->cells, METRIC_SCRAPE_DURATION, uv_now(target->scraper->config.loop) - target->started_ms);
    if (!is_up) {
        metric_set(target->cells, METRIC_SCRAPE_SAMPLES, 0);
    }
    if (is_up && !target->was_up) {
        log_event(log, LOG_LEVEL_INFO, "scrape_up", LOG_S("target", target->config->name));
    } else if (!is_up) {
        log_event(log, LOG_LEVEL_WARN, "scrape_failed", LOG_S("target", target->config->name),
            LOG_S("result", metric_rows[result].labels));
    }
    target->was_up = is_up;
}

static void on_ended(void *user, CURLcode code)
{
    struct scrape_target *target = user;
    enum metric_id result = result_of(target, code);

    if (result == METRIC_SCRAPE_OK) {
        result = read_body(target);
    }
    uv_update_time(target->scraper->config.loop);
    tell(target, result);
    drop_body(target);
    target->busy = false;
}

/* ---- the request ---- */

static void on_timer(uv_timer_t *timer)
{
    struct scrape_target *target = timer->data;

    if (target->busy) {
        return; /* the timeout is at most the interval: it is about to end */
    }
    target->refused = METRIC_COUNT;
    target->started_ms = uv_now(target->scraper->config.loop);
    buffer_init(&target->body, target->scraper->config.limits->scrape_body_bytes_max);
    if (http_loop_start(&target->http, target->easy) < 0) {
        tell(target, METRIC_SCRAPE_MEMORY);
        return;
    }
    target->busy = true;
}

static bool set_tls(const struct scrape_target *target)
{
    const struct config_tls *tls = &target->config->tls;
    long verify = tls->insecure_skip_verify ? 0 : 1;
    CURL *easy = target->easy;
    bool set = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2) == CURLE_OK;

    if (tls->ca_file != NULL) {
        set = set && curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    if (tls->cert_file != NULL) {
        set = set && curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert_file) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key_file) == CURLE_OK;
    }
    return set;
}

static bool set_options(struct scrape_target *target)
{
    const struct config_scrape *config = target->config;
    CURL *easy = target->easy;
    bool set = curl_easy_setopt(easy, CURLOPT_URL, config->url) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_USERAGENT, "weft/" WEFT_VERSION) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HTTPHEADER, target->headers) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_WRITEDATA, target) == CURLE_OK;

    if (config->socket != NULL) {
        set = set && curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, config->socket) == CURLE_OK;
    }
    return set && set_tls(target);
}

/* ---- making and ending ---- */

static int compare_labels(const void *left, const void *right)
{
    const struct slice *a = &((const struct prom_label *)left)->name;
    const struct slice *b = &((const struct prom_label *)right)->name;
    int order = memcmp(a->ptr, b->ptr, a->length < b->length ? a->length : b->length);

    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* The configured labels and the mesh, which is one of them. */
static bool fill_labels(struct scrape_target *target)
{
    const struct config_scrape *config = target->config;
    size_t count = 0;

    target->labels = calloc(config->labels.count + 1, sizeof *target->labels);
    if (target->labels == NULL) {
        return false;
    }
    for (size_t i = 0; i < config->labels.count; i++) {
        target->labels[count++] = (struct prom_label){.name = slice_of_string(config->labels.items[i].name),
            .value = slice_of_string(config->labels.items[i].value)};
    }
    if (config->mesh != NULL) {
        target->labels[count++] =
            (struct prom_label){.name = SLICE_LITERAL("mesh"), .value = slice_of_string(config->mesh)};
    }
    qsort(target->labels, count, sizeof *target->labels, compare_labels);
    target->source.labels = target->labels;
    target->source.label_count = count;
    return true;
}

static void fill_source(struct scrape_target *target)
{
    const struct config_scrape *config = target->config;
    uint64_t stale_s = STALE_INTERVALS * config->interval_s + STALE_EXTRA_S;

    sender_of_target(config->name, config->namespace, &target->source.sender);
    context_sender_bind(&target->scraper->config.pipeline->context, &target->source.sender);
    target->source.stale_after_s = (uint16_t)(stale_s < STALE_S_MAX ? stale_s : STALE_S_MAX);
}

/* When its struct may go; nothing is left to do. */
static void on_http_closed(void *user)
{
    (void)user;
}

static int init_target(
    struct scraper *scraper, struct scrape_target *target, const struct config_scrape *config)
{
    uint64_t interval_ms = config->interval_s * 1000;
    uint64_t spread_ms = interval_ms < FIRST_SCRAPE_MS_MAX ? interval_ms : FIRST_SCRAPE_MS_MAX;

    *target = (struct scrape_target){.scraper = scraper,
        .config = config,
        .was_up = true,
        .http = {.ended = on_ended, .closed = on_http_closed, .user = target}};
    target->cells = metric_registry_add(scraper->config.registry, METRIC_SCOPE_TARGET, config->name);
    target->easy = curl_easy_init();
    target->headers = curl_slist_append(NULL, accept_header);
    fill_source(target);
    if (target->cells == NULL || target->easy == NULL || target->headers == NULL || !fill_labels(target) ||
        !set_options(target) || http_loop_init(&target->http, scraper->config.loop) < 0) {
        return WERR_NOMEM;
    }
    target->http_ready = true;
    (void)uv_timer_init(scraper->config.loop, &target->timer);
    target->timer.data = target;
    (void)uv_timer_start(
        &target->timer, on_timer, XXH3_64bits(config->name, strlen(config->name)) % spread_ms, interval_ms);
    return 0;
}

int scraper_new(const struct scraper_config *config, struct scraper **ret_scraper)
{
    size_t all = config->targets->count;
    size_t count = config->shard_index < all ? (all - config->shard_index - 1) / config->shard_count + 1 : 0;

    *ret_scraper = NULL;
    if (count == 0) {
        return 0;
    }
    struct scraper *scraper = calloc(1, sizeof *scraper + count * sizeof scraper->targets[0]);
    if (scraper == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(scraper);
        return WERR_NOMEM;
    }
    scraper->config = *config;
    arena_init(
        &scraper->arena, ARENA_FIRST_BYTES, (size_t)config->limits->scrape_body_bytes_max * ARENA_FACTOR);
    *ret_scraper = scraper;
    for (size_t i = 0; i < count; i++) {
        scraper->count++;
        int error = init_target(scraper, &scraper->targets[i],
            &config->targets->items[config->shard_index + i * config->shard_count]);
        if (error < 0) {
            return error; /* what was made is ended by the caller */
        }
    }
    return 0;
}

void scraper_close(struct scraper *scraper)
{
    if (scraper == NULL || scraper->closed) {
        return;
    }
    scraper->closed = true;
    for (size_t i = 0; i < scraper->count; i++) {
        struct scrape_target *target = &scraper->targets[i];

        if (target->http_ready) {
            http_loop_close(&target->http);
            uv_close((uv_handle_t *)&target->timer, NULL);
        }
        drop_body(target);
    }
}

void scraper_free(struct scraper *scraper)
{
    if (scraper == NULL) {
        return;
    }
    for (size_t i = 0; i < scraper->count; i++) {
        struct scrape_target *target = &scraper->targets[i];

        context_sender_release(&scraper->config.pipeline->context, &target->source.sender);
        curl_easy_cleanup(target->easy);
        curl_slist_free_all(target->headers);
        free(target->labels);
    }
    arena_deinit(&scraper->arena);
    curl_global_cleanup();
    free(scraper);
}
