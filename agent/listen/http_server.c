/* The HTTP/1.1 server of a shard; runs on the shard's loop. */
#include "listen/http_server.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/http_exchange.h"

enum { HTTP_MEMORY_PER_CONNECTION_BYTES = 32768 };

static void run_soon(struct http_server *server);

static void run(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    if (server->daemon == NULL) {
        return;
    }
    (void)MHD_run(server->daemon);
    if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES) {
        (void)uv_timer_start(&server->timer, server->on_timer, timeout_ms, 0);
    } else {
        (void)uv_timer_stop(&server->timer);
    }
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void run_soon(struct http_server *server)
{
    (void)uv_timer_start(&server->timer, on_timer, 0, 0);
}

void http_server_run_soon(struct http_server *server)
{
    run_soon(server);
}

static void begin_connection(struct http_server *server, struct MHD_Connection *connection, void **context)
{
    const struct http_handler *handler = &server->config.handler;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *own = server->arriving;

    server->connection_count++;
    server->arriving = NULL;
    own->user = info != NULL ? handler->connection_opened(handler->user, info->connect_fd, own->kind) : NULL;
    *context = own;
}

/*
 * Whether a connection that ends leaves a message unfinished: in a request, before its head was read, or with
 * bytes that nobody read, as libmicrohttpd reads no more once the peer has closed.
 */
static bool is_cut(struct MHD_Connection *connection, const struct http_connection *own)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int unread_bytes = 0;

    if (!listener_takes_records(own->kind) || own->refused) {
        return false;
    }
    return own->cut || !own->begun ||
           (info != NULL && ioctl(info->connect_fd, FIONREAD, &unread_bytes) == 0 && unread_bytes > 0);
}

static void on_connection(
    void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    struct http_connection *own = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin_connection(server, connection, context);
        return;
    }
    server->connection_count--;
    server->ended_count++;
    if (is_cut(connection, own)) {
        LEDGER_ADD(server->config.cells, METRIC_MESSAGES_CUT, 1);
    }
    server->config.handler.connection_closed(server->config.handler.user, own->user, own->kind);
    free(own);
    *context = NULL;
}

static int start_daemon(struct http_server *server)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    unsigned connections_max = (unsigned)server->config.limits->connections_count_max;

    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_exchange_on_request, server,
        MHD_OPTION_CONNECTION_LIMIT, connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)server->config.limits->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_MEMORY_PER_CONNECTION_BYTES, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    return server->daemon != NULL ? 0 : WERR_IO;
}

void http_server_set_hosts(struct http_server *server, const char *const *hosts, size_t host_count)
{
    server->config.hosts = hosts;
    server->config.host_count = host_count;
}

struct http_server *http_server_new(const struct http_server_config *config)
{
    struct http_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        return NULL;
    }
    server->config = *config;
    server->on_timer = on_timer;
    if (start_daemon(server) < 0) {
        free(server);
        return NULL;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || uv_poll_init(config->loop, &server->poll, info->epoll_fd) != 0) {
        MHD_stop_daemon(server->daemon);
        free(server);
        return NULL;
    }
    server->poll.data = server;
    (void)uv_timer_init(config->loop, &server->timer);
    server->timer.data = server;
    (void)uv_poll_start(&server->poll, UV_READABLE, on_epoll);
    return server;
}

void http_server_add(struct http_server *server, int fd, enum listener_kind kind)
{
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof peer;
    struct http_connection *own = server->daemon != NULL ? calloc(1, sizeof *own) : NULL;

    if (own == NULL) {
        (void)close(fd);
        server->config.handler.connection_closed(server->config.handler.user, NULL, kind);
        return;
    }
    (void)getpeername(fd, (struct sockaddr *)&peer, &length);
    own->kind = kind;
    server->arriving = own;
    /* On failure libmicrohttpd closes the descriptor itself; it may have told of the connection, and its end.
     */
    (void)MHD_add_connection(server->daemon, fd, (struct sockaddr *)&peer, length);
    if (server->arriving != NULL) {
        server->arriving = NULL;
        free(own);
        server->config.handler.connection_closed(server->config.handler.user, NULL, kind);
        return;
    }
    run_soon(server);
}

void http_server_close(struct http_server *server)
{
    if (server == NULL || server->daemon == NULL) {
        return;
    }
    while (!LIST_EMPTY(&server->suspended)) {
        http_reply_text(
            LIST_FIRST(&server->suspended), MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping\n");
    }
    http_streams_end(server);
    (void)MHD_run(server->daemon);
    /* Before the descriptor that it polls is closed: its number may be another thread's at once. */
    uv_close((uv_handle_t *)&server->poll, NULL);
    MHD_stop_daemon(server->daemon);
    server->daemon = NULL;
    uv_close((uv_handle_t *)&server->timer, NULL);
}

void http_server_free(struct http_server *server)
{
    free(server);
}
