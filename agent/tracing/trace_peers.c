/* Questions and notices to other agents; see trace_peers.h. */
#include "tracing/trace_peers.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/error.h"
#include "exporters/otlp/http_loop.h"

enum {
    HTTP_OK = 200,
    URL_BYTES = 2048,
    NOTICE_BYTES = 64 + TRACE_NOTICE_IDS_MAX * (TRACE_ID_TEXT_BYTES + 2)
};

struct question {
    struct question *next;
    trace_peer_answer *answer; /* NULL: nobody waits for it any more */
    void *user;
    char *url; /* owned */
};

/* One connection to a peer. */
struct line {
    struct peer *peer;
    struct http_loop http;
    CURL *easy;
    struct buffer body; /* of the answer */
    int refused;        /* why the answer was given up while it came; 0: it was not */
    bool busy;
    bool is_ready; /* http was made */
};

struct peer {
    struct trace_peers *peers;
    size_t index;
    const char *url;
    struct line questions;
    struct line notices;
    struct question *first; /* being asked, when questions.busy */
    size_t question_count;
    uint8_t (*ids)[TRACE_MODEL_ID_BYTES]; /* of notices: TRACE_NOTICES_COUNT_MAX places, the oldest first */
    size_t id_count;
    size_t sent_count; /* of them that are under way */
    unsigned tries;
    uint64_t retry_ms; /* not before that, on the loop's clock */
    char *text;        /* of the notice under way */
};

struct trace_peers {
    struct trace_peers_config config;
    struct curl_slist *question_headers;
    struct curl_slist *notice_headers;
    uv_timer_t timer;
    bool closed;
    size_t body_bytes; /* of answers that are being received */
    size_t count;
    struct peer items[];
};

/* ---- answers ---- */

static size_t on_body(char *bytes, size_t one, size_t length, void *user)
{
    struct line *line = user;
    struct trace_peers *peers = line->peer->peers;

    (void)one;
    if (length > TRACE_PEERS_BYTES_MAX - peers->body_bytes) {
        line->refused = WERR_NOMEM;
        return 0;
    }
    if (buffer_append(&line->body, bytes, length) < 0) {
        line->refused = line->body.error;
        return 0;
    }
    peers->body_bytes += length;
    return length;
}

static void drop_body(struct trace_peers *peers, struct buffer *body)
{
    peers->body_bytes -= body->length;
    buffer_deinit(body);
}

static int error_of(const struct line *line, CURLcode code)
{
    long status = 0;

    if (line->refused < 0) {
        return line->refused;
    }
    switch (code) {
    case CURLE_OK:
        (void)curl_easy_getinfo(line->easy, CURLINFO_RESPONSE_CODE, &status);
        return status == HTTP_OK ? 0 : WERR_PROTOCOL;
    case CURLE_OPERATION_TIMEDOUT:
        return WERR_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return WERR_NOMEM;
    default:
        return WERR_IO;
    }
}

static int start(struct line *line)
{
    line->refused = 0;
    buffer_init(&line->body, TRACE_PEER_BODY_BYTES);
    int error = http_loop_start(&line->http, line->easy);
    line->busy = error == 0;
    return error;
}

/* ---- questions ---- */

static void free_question(struct question *question)
{
    free(question->url);
    free(question);
}

/* Takes the first question from the list and answers it. */
static void end_question(struct peer *peer, int error, struct slice body)
{
    struct question *question = peer->first;

    peer->first = question->next;
    peer->question_count--;
    if (question->answer != NULL) {
        question->answer(question->user, peer->index, error, body);
    }
    free_question(question);
}

static void ask_next(struct peer *peer)
{
    while (peer->first != NULL && !peer->questions.busy && !peer->peers->closed) {
        int error = peer->first->answer == NULL ? WERR_CLOSED
                    : curl_easy_setopt(peer->questions.easy, CURLOPT_URL, peer->first->url) != CURLE_OK
                        ? WERR_NOMEM
                        : start(&peer->questions);
        if (error < 0) {
            end_question(peer, error, slice_of(NULL, 0));
        }
    }
}

static void on_question_ended(void *user, CURLcode code)
{
    struct line *line = user;
    int error = error_of(line, code);
    struct buffer body = line->body; /* the next question has a body of its own */

    line->busy = false;
    buffer_init(&line->body, TRACE_PEER_BODY_BYTES);
    if (error < 0) {
        metric_add(line->peer->peers->config.cells, METRIC_TRACE_PEER_QUESTIONS_FAILED, 1);
    }
    end_question(line->peer, error, error == 0 ? slice_of(body.data, body.length) : slice_of(NULL, 0));
    drop_body(line->peer->peers, &body);
    ask_next(line->peer);
}

static int add_question(struct peer *peer, const char *path, trace_peer_answer *answer, void *user)
{
    struct question **link = &peer->first;
    size_t bytes = strlen(peer->url) + strlen(path) + 1;

    if (peer->question_count == TRACE_PEER_QUESTIONS_MAX || peer->peers->closed) {
        return WERR_FULL;
    }
    struct question *question = calloc(1, sizeof *question);
    char *url = malloc(bytes);
    if (question == NULL || url == NULL) {
        free(question);
        free(url);
        return WERR_NOMEM;
    }
    (void)snprintf(url, bytes, "%s%s", peer->url, path);
    *question = (struct question){.answer = answer, .user = user, .url = url};
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = question;
    peer->question_count++;
    metric_add(peer->peers->config.cells, METRIC_TRACE_PEER_QUESTIONS, 1);
    return 0;
}

void trace_peers_ask(struct trace_peers *peers, const char *path, trace_peer_answer *answer, void *user)
{
    for (size_t i = 0; i < peers->count; i++) {
        int error = add_question(&peers->items[i], path, answer, user);
        if (error < 0) {
            answer(user, i, error, slice_of(NULL, 0));
        } else {
            ask_next(&peers->items[i]);
        }
    }
}

void trace_peers_forget(struct trace_peers *peers, const void *user)
{
    for (size_t i = 0; i < peers->count; i++) {
        for (struct question *question = peers->items[i].first; question != NULL; question = question->next) {
            if (question->user == user) {
                question->answer = NULL;
            }
        }
    }
}

/* ---- notices ---- */

static void drop_sent(struct peer *peer)
{
    memmove(
        peer->ids, peer->ids + peer->sent_count, (peer->id_count - peer->sent_count) * sizeof peer->ids[0]);
    peer->id_count -= peer->sent_count;
    peer->sent_count = 0;
    peer->tries = 0;
}

static void on_notice_ended(void *user, CURLcode code)
{
    struct line *line = user;
    struct peer *peer = line->peer;
    struct metric_cells *cells = peer->peers->config.cells;

    line->busy = false;
    if (error_of(line, code) == 0) {
        metric_add(cells, METRIC_TRACE_PEER_NOTICES_SENT, peer->sent_count);
        drop_sent(peer);
    } else if (++peer->tries == TRACE_NOTICE_TRIES) {
        metric_add(cells, METRIC_TRACE_PEER_NOTICES_LOST, peer->sent_count);
        drop_sent(peer);
    } else {
        peer->retry_ms = uv_now(peer->peers->config.loop) + TRACE_NOTICE_RETRY_MS;
    }
    drop_body(peer->peers, &line->body);
}

/* The same ids again when they were sent in vain, and those that came meanwhile with them. */
static void send_notices(struct peer *peer)
{
    char *at = peer->text;

    if (peer->id_count == 0 || peer->notices.busy || uv_now(peer->peers->config.loop) < peer->retry_ms) {
        return;
    }
    peer->sent_count = peer->id_count < TRACE_NOTICE_IDS_MAX ? peer->id_count : TRACE_NOTICE_IDS_MAX;
    at += snprintf(at, NOTICE_BYTES, "{\"from\":\"peer\",\"traceIds\":[");
    for (size_t i = 0; i < peer->sent_count; i++) {
        *at++ = i > 0 ? ',' : ' ';
        *at++ = '"';
        trace_id_text(peer->ids[i], TRACE_MODEL_ID_BYTES, at);
        at += (size_t)2 * TRACE_MODEL_ID_BYTES;
        *at++ = '"';
    }
    *at++ = ']';
    *at++ = '}';
    if (curl_easy_setopt(peer->notices.easy, CURLOPT_POSTFIELDS, peer->text) != CURLE_OK ||
        curl_easy_setopt(peer->notices.easy, CURLOPT_POSTFIELDSIZE, (long)(at - peer->text)) != CURLE_OK ||
        start(&peer->notices) < 0) {
        peer->retry_ms = uv_now(peer->peers->config.loop) + TRACE_NOTICE_RETRY_MS;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct trace_peers *peers = timer->data;

    for (size_t i = 0; i < peers->count; i++) {
        send_notices(&peers->items[i]);
    }
}

void trace_peers_notify(struct trace_peers *peers, const uint8_t trace_id[static TRACE_MODEL_ID_BYTES])
{
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        if (peer->id_count == TRACE_NOTICES_COUNT_MAX) {
            metric_add(peers->config.cells, METRIC_TRACE_PEER_NOTICES_LOST, 1);
            continue;
        }
        memcpy(peer->ids[peer->id_count++], trace_id, TRACE_MODEL_ID_BYTES);
    }
}

/* ---- making and ending ---- */

void trace_peers_set_timeout(struct trace_peers *peers, uint64_t timeout_ms)
{
    peers->config.timeout_ms = timeout_ms;
    for (size_t i = 0; i < peers->count; i++) {
        (void)curl_easy_setopt(peers->items[i].questions.easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
        (void)curl_easy_setopt(peers->items[i].notices.easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    }
}

size_t trace_peers_count(const struct trace_peers *peers)
{
    return peers->count;
}

const char *trace_peers_name(const struct trace_peers *peers, size_t index)
{
    return peers->items[index].url;
}

static bool set_tls(CURL *easy, const struct config_tls *tls)
{
    long verify = tls->insecure_skip_verify ? 0 : 1;
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

/* When its struct may go; nothing is left to do. */
static void on_http_closed(void *user)
{
    (void)user;
}

static int init_line(struct line *line, struct peer *peer, struct curl_slist *headers,
    void (*ended)(void *user, CURLcode result))
{
    const struct trace_peers_config *config = &peer->peers->config;

    line->peer = peer;
    line->http = (struct http_loop){.ended = ended, .closed = on_http_closed, .user = line};
    line->easy = curl_easy_init();
    if (line->easy == NULL || curl_easy_setopt(line->easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_PROXY, "") != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_USERAGENT, "weft/" WEFT_VERSION) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
        curl_easy_setopt(line->easy, CURLOPT_WRITEDATA, line) != CURLE_OK ||
        !set_tls(line->easy, &config->trace->peer_tls) || http_loop_init(&line->http, config->loop) < 0) {
        return WERR_NOMEM;
    }
    line->is_ready = true;
    return 0;
}

static int init_peer(struct trace_peers *peers, size_t index)
{
    struct peer *peer = &peers->items[index];
    char url[URL_BYTES];

    *peer = (struct peer){.peers = peers, .index = index, .url = peers->config.trace->peers.items[index]};
    peer->ids = malloc(TRACE_NOTICES_COUNT_MAX * sizeof peer->ids[0]);
    peer->text = malloc(NOTICE_BYTES);
    if (peer->ids == NULL || peer->text == NULL) {
        return WERR_NOMEM;
    }
    int length = snprintf(url, sizeof url, "%s/api/v1/keep", peer->url);
    if (length < 0 || (size_t)length >= sizeof url) {
        return WERR_CONFIG;
    }
    int error = init_line(&peer->questions, peer, peers->question_headers, on_question_ended);
    if (error == 0) {
        error = init_line(&peer->notices, peer, peers->notice_headers, on_notice_ended);
    }
    if (error == 0 && curl_easy_setopt(peer->notices.easy, CURLOPT_URL, url) != CURLE_OK) {
        error = WERR_NOMEM;
    }
    return error;
}

static bool add_header(struct curl_slist **headers, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*headers, text);

    *headers = longer != NULL ? longer : *headers;
    return longer != NULL;
}

/* The token goes with both: a peer may be guarded by something that wants it for reads, too. */
static bool make_headers(struct trace_peers *peers)
{
    const char *token = peers->config.trace->peer_token;
    bool made = add_header(&peers->question_headers, "Accept: application/json") &&
                add_header(&peers->notice_headers, "Content-Type: application/json") &&
                add_header(&peers->notice_headers, "Expect:");

    if (token != NULL && made) {
        size_t bytes = strlen(token) + sizeof "Authorization: Bearer ";
        char *text = malloc(bytes);
        made = text != NULL;
        if (made) {
            (void)snprintf(text, bytes, "Authorization: Bearer %s", token);
            made = add_header(&peers->question_headers, text) && add_header(&peers->notice_headers, text);
        }
        free(text);
    }
    return made;
}

int trace_peers_new(const struct trace_peers_config *config, struct trace_peers **ret_peers)
{
    size_t count = config->trace->peers.count;
    struct trace_peers *peers = calloc(1, sizeof *peers + count * sizeof peers->items[0]);

    if (peers == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(peers);
        return WERR_NOMEM;
    }
    peers->config = *config;
    (void)uv_timer_init(config->loop, &peers->timer);
    peers->timer.data = peers;
    int error = make_headers(peers) ? 0 : WERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++) {
        peers->count++;
        error = init_peer(peers, i);
    }
    if (error == 0 && count > 0) {
        (void)uv_timer_start(&peers->timer, on_timer, TRACE_NOTICE_PERIOD_MS, TRACE_NOTICE_PERIOD_MS);
    }
    *ret_peers = peers; /* what was made is ended by the caller, in any case */
    return error;
}

static void close_line(struct line *line)
{
    if (line->is_ready) {
        http_loop_close(&line->http);
    }
    if (line->peer != NULL) {
        drop_body(line->peer->peers, &line->body);
    }
}

void trace_peers_close(struct trace_peers *peers)
{
    if (peers == NULL || peers->closed) {
        return;
    }
    peers->closed = true;
    uv_close((uv_handle_t *)&peers->timer, NULL);
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        close_line(&peer->questions);
        close_line(&peer->notices);
        metric_add(peers->config.cells, METRIC_TRACE_PEER_NOTICES_LOST, peer->id_count);
        peer->id_count = 0;
        while (peer->first != NULL) {
            struct question *question = peer->first;
            peer->first = question->next;
            free_question(question);
        }
    }
}

void trace_peers_free(struct trace_peers *peers)
{
    if (peers == NULL) {
        return;
    }
    for (size_t i = 0; i < peers->count; i++) {
        curl_easy_cleanup(peers->items[i].questions.easy);
        curl_easy_cleanup(peers->items[i].notices.easy);
        free(peers->items[i].ids);
        free(peers->items[i].text);
    }
    curl_slist_free_all(peers->question_headers);
    curl_slist_free_all(peers->notice_headers);
    curl_global_cleanup();
    free(peers);
}
