/* See http_gate.h. */
#include "http/http_gate.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/tls_server.h"

static const char bearer[] = "Bearer ";

/* ---- the process's ---- */

static int make_tls(
    struct http_gate *gate, int place, const struct config_server_tls *tls, const char **ret_what)
{
    return tls->cert_file != NULL ? tls_server_new(tls->cert_file, tls->key_file, tls->client_ca_file,
                                        &gate->tls[place], ret_what)
                                  : 0;
}

int http_gate_init(
    struct http_gate *gate, const struct config *config, const char **ret_group, const char **ret_what)
{
    *gate = (struct http_gate){
        .token = config->http.token,
        .peer_token = config->trace.peer_token,
        .verifies_clients = config->http.tls.client_ca_file != NULL,
    };
    *ret_group = "http";
    int error = make_tls(gate, HTTP_GATE_ALL, &config->http.tls, ret_what);

    if (error == 0 && config->metrics_http.address != NULL) {
        *ret_group = "metrics_http";
        error = make_tls(gate, HTTP_GATE_METRICS, &config->metrics_http.tls, ret_what);
    }
    if (error < 0) {
        http_gate_deinit(gate);
    }
    return error;
}

void http_gate_deinit(struct http_gate *gate)
{
    for (int i = 0; i < HTTP_GATE_COUNT; i++) {
        SSL_CTX_free(gate->tls[i]);
        gate->tls[i] = NULL;
    }
}

/* In a time that does not tell how much of it was right. */
static bool is_token(const char *given, const char *wanted)
{
    size_t length = strlen(wanted);
    unsigned char difference = strlen(given) != length;

    for (size_t i = 0; i < length && given[i] != '\0'; i++) {
        difference |= (unsigned char)(given[i] ^ wanted[i]);
    }
    return difference == 0;
}

bool http_bears_token(const char *header, const char *token)
{
    return header != NULL && token != NULL && strncasecmp(header, bearer, sizeof bearer - 1) == 0 &&
           is_token(header + sizeof bearer - 1, token);
}

/* A kubelet's probe has no token. */
static bool is_health(const char *path)
{
    return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0;
}

bool http_gate_allows(const struct http_gate *gate, struct http_exchange *exchange)
{
    const char *header = http_exchange_header(exchange, "Authorization");

    if (gate->token == NULL || http_exchange_kind(exchange) != LISTENER_HTTP ||
        is_health(http_exchange_path(exchange))) {
        return true;
    }
    return http_bears_token(header, gate->token) || http_bears_token(header, gate->peer_token);
}

/* ---- a shard's ---- */

static int place_of(enum listener_kind kind)
{
    return kind == LISTENER_METRICS ? HTTP_GATE_METRICS : HTTP_GATE_ALL;
}

static void on_done(void *user, int fd)
{
    struct http_inlet *inlet = user;

    if (fd >= 0) {
        http_server_add(inlet->all->server, fd, inlet->kind);
    } else {
        inlet->all->ended(inlet->all->user, inlet->kind);
    }
}

static int add_tls(struct http_inlets *inlets, struct http_inlet *inlet, int fd)
{
    int error = 0;

    if (inlet->tls == NULL) {
        struct tls_inlet_config config = inlets->config;

        config.context = inlets->gate->tls[inlet - inlets->items];
        config.done = on_done;
        config.user = inlet;
        error = tls_inlet_new(&config, &inlet->tls);
    }
    return error == 0 ? tls_inlet_add(inlet->tls, fd) : error;
}

void http_inlets_add(struct http_inlets *inlets, int fd, enum listener_kind kind)
{
    struct http_inlet *inlet = &inlets->items[place_of(kind)];

    if (kind == LISTENER_API || inlets->gate->tls[place_of(kind)] == NULL) {
        http_server_add(inlets->server, fd, kind);
        return;
    }
    inlet->all = inlets;
    inlet->kind = kind;
    if (add_tls(inlets, inlet, fd) < 0) {
        (void)close(fd);
        inlets->ended(inlets->user, kind);
    }
}

const struct tls_peer *http_inlets_peer(const struct http_inlets *inlets, int fd)
{
    for (int i = 0; i < HTTP_GATE_COUNT; i++) {
        const struct tls_peer *peer = tls_inlet_peer(inlets->items[i].tls, fd);

        if (peer != NULL) {
            return peer;
        }
    }
    return NULL;
}

void http_inlets_close(struct http_inlets *inlets)
{
    for (int i = 0; i < HTTP_GATE_COUNT; i++) {
        tls_inlet_close(inlets->items[i].tls);
    }
}

void http_inlets_free(struct http_inlets *inlets)
{
    for (int i = 0; i < HTTP_GATE_COUNT; i++) {
        tls_inlet_free(inlets->items[i].tls);
    }
}
