/* curl's sockets and timer on the exporter's loop; see http_loop.h. */
#include "exporters/otlp/http_loop.h"

#include <stdlib.h>

#include "core/error.h"

/* A socket of curl's; its poll handle outlives it by a turn of the loop. */
struct http_socket {
    uv_poll_t poll;
    curl_socket_t fd;
    struct http_loop *owner;
};

/* curl's news; the request's end. */
static void look_for_end(struct http_loop *self)
{
    int left = 0;

    if (self->is_closed) {
        return;
    }
    for (CURLMsg *message; (message = curl_multi_info_read(self->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE || self->easy == NULL) {
            continue;
        }
        CURLcode result = message->data.result;
        (void)curl_multi_remove_handle(self->multi, self->easy);
        self->easy = NULL;
        self->ended(self->user, result);
        return; /* there is one request; `ended` may have begun another or closed */
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct http_loop *self = timer->data;
    int running;

    (void)curl_multi_socket_action(self->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_for_end(self);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct http_loop *self = user;

    (void)multi;
    if (self->is_closed || timeout_ms < 0) {
        (void)uv_timer_stop(&self->timer);
    } else {
        (void)uv_timer_start(&self->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_socket *socket = poll->data;
    struct http_loop *self = socket->owner;
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

static struct http_socket *add_socket(struct http_loop *self, curl_socket_t fd)
{
    struct http_socket *socket = calloc(1, sizeof *socket);

    if (socket == NULL || uv_poll_init_socket(self->loop, &socket->poll, fd) < 0) {
        free(socket);
        return NULL;
    }
    socket->fd = fd;
    socket->owner = self;
    socket->poll.data = socket;
    (void)curl_multi_assign(self->multi, fd, socket);
    return socket;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct http_loop *self = user;
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

int http_loop_init(struct http_loop *self, uv_loop_t *loop)
{
    self->loop = loop;
    self->easy = NULL;
    self->is_closed = false;
    self->multi = curl_multi_init();
    if (self->multi == NULL) {
        return WERR_NOMEM;
    }
    if (curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
        curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self) != CURLM_OK ||
        curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) != CURLM_OK ||
        curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self) != CURLM_OK) {
        (void)curl_multi_cleanup(self->multi);
        return WERR_NOMEM;
    }
    (void)uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    return 0;
}

int http_loop_start(struct http_loop *self, CURL *easy)
{
    /* Else a request that ends while its name is being resolved, by its timeout or a stop, waits on this loop
     * for the resolver's thread: as long as name servers do not answer. */
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (curl_multi_add_handle(self->multi, easy) != CURLM_OK) {
        return WERR_NOMEM;
    }
    self->easy = easy;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_loop *self = handle->data;

    self->closed(self->user);
}

void http_loop_close(struct http_loop *self)
{
    self->is_closed = true;
    if (self->easy != NULL) {
        (void)curl_multi_remove_handle(self->multi, self->easy);
        self->easy = NULL;
    }
    (void)curl_multi_cleanup(self->multi);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}
