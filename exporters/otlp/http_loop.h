/*
 * One libcurl multi handle on a uv loop: its sockets in uv_poll, its timeout in one uv_timer. One request at
 * a time. Who embeds it frees itself when `closed` is called.
 *
 * Threads: the exporter's loop.
 */
#ifndef WEFT_EXPORTERS_OTLP_HTTP_LOOP_H
#define WEFT_EXPORTERS_OTLP_HTTP_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct http_loop {
    CURLM *multi;
    CURL *easy; /* of the request under way; NULL: none */
    uv_loop_t *loop;
    uv_timer_t timer;
    bool is_closed;
    void (*ended)(void *user, CURLcode result); /* may begin another request, or close */
    void (*closed)(void *user);                 /* no callback comes after it */
    void *user;
};

/* `ended`, `closed` and `user` are set by the caller before. 0 or WERR_NOMEM, then nothing is left to undo.
 */
int http_loop_init(struct http_loop *self, uv_loop_t *loop);

/* Begins a request; `ended` comes once, from the loop. WERR_NOMEM: not begun. */
int http_loop_start(struct http_loop *self, CURL *easy);

/* Ends what is under way without `ended`; `closed` comes in the loop's next turns. The easy handle is the
 * caller's still, and may be freed after this. */
void http_loop_close(struct http_loop *self);

#endif
