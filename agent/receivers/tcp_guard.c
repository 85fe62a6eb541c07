/* Records over TCP: tcp_guard.h. */
#include "receivers/tcp_guard.h"

#include "context/sender_tcp.h"
#include "core/error.h"
#include "listen/tls_server.h"

int tcp_guard_init(struct tcp_guard *guard, const struct config_otlp_listeners *config, const char **ret_what)
{
    struct tcp_guard made = {.allow_count = 0};

    *ret_what = "start of TLS";
    tcp_guard_set_allow(&made, &config->allow);
    if (made.allow_count != config->allow.count) {
        *ret_what = "allow";
        return WERR_CONFIG;
    }
    if (config->cert_file != NULL && (config->grpc != NULL || config->http != NULL)) {
        int error =
            tls_server_new(config->cert_file, config->key_file, config->client_ca_file, &made.tls, ret_what);
        if (error < 0) {
            return error;
        }
    }
    *guard = made;
    return 0;
}

/* A list that has no network in it would let everybody in; the configuration was checked, so it is none. */
void tcp_guard_set_allow(struct tcp_guard *guard, const struct config_strings *allow)
{
    size_t count = 0;

    for (size_t i = 0; i < allow->count && count < NETWORK_COUNT_MAX; i++) {
        count += network_parse(allow->items[i], &guard->allow[count]) == 0;
    }
    guard->allow_count = count;
}

void tcp_guard_deinit(struct tcp_guard *guard)
{
    SSL_CTX_free(guard->tls);
    guard->tls = NULL;
}

static bool peer_address(int fd, struct sockaddr_storage *ret_address)
{
    socklen_t length = sizeof *ret_address;

    *ret_address = (struct sockaddr_storage){0};
    return getpeername(fd, (struct sockaddr *)ret_address, &length) == 0 &&
           (ret_address->ss_family == AF_INET || ret_address->ss_family == AF_INET6);
}

bool tcp_guard_allows(const struct tcp_guard *guard, int fd)
{
    struct sockaddr_storage address;

    if (!peer_address(fd, &address)) {
        return false; /* it is gone already */
    }
    if (guard->allow_count == 0 || address_is_loopback((struct sockaddr *)&address)) {
        return true;
    }
    for (size_t i = 0; i < guard->allow_count; i++) {
        if (network_contains(&guard->allow[i], (struct sockaddr *)&address)) {
            return true;
        }
    }
    return false;
}

/* The end of a pair that an inlet handed on: what is accepted has the name of its listener. */
static bool is_of_pair(int fd)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof name;

    return getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.ss_family == AF_UNIX &&
           length <= sizeof name.ss_family;
}

bool tcp_carries(int fd)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof name;

    return is_of_pair(fd) || (getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
                                 (name.ss_family == AF_INET || name.ss_family == AF_INET6));
}

bool tcp_sender(const struct tls_inlet *inlet, int fd, struct sender *ret_sender)
{
    const struct tls_peer *peer = tls_inlet_peer(inlet, fd);
    struct sockaddr_storage address;
    char text[NETWORK_ADDRESS_BYTES_MAX] = "";

    if (peer != NULL && peer->name[0] != '\0') {
        sender_of_name(peer->name, ret_sender);
        return true;
    }
    if (peer != NULL) {
        address = peer->address;
    } else if (inlet != NULL && is_of_pair(fd)) {
        /* Its peer has gone already: the kernel would name the process at the pair's other end, ourselves. */
        *ret_sender =
            (struct sender){.kind = SENDER_UNKNOWN, .uid = SENDER_UID_UNMAPPED, .gid = SENDER_UID_UNMAPPED};
        sender_id_format(ret_sender);
        return true;
    } else if (!peer_address(fd, &address)) {
        return false;
    }
    address_format((struct sockaddr *)&address, text);
    sender_of_address(text, ret_sender);
    return true;
}
