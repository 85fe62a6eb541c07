/*
 * Which addresses may connect: networks in CIDR form, as "10.0.0.0/8", "fd00::/8", "192.0.2.7". An IPv4
 * address that arrives mapped into IPv6 is the IPv4 one, and so is a network written that way. Pure; any
 * thread.
 */
#ifndef WEFT_CORE_NETWORKS_H
#define WEFT_CORE_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NETWORK_COUNT_MAX = 64, NETWORK_ADDRESS_BYTES_MAX = 64 };

struct network {
    uint8_t bytes[16];
    uint8_t length; /* 4 or 16 */
    uint8_t prefix; /* bits of it that count */
};

/* WERR_INVALID when it does not parse, or bits behind the prefix are set. */
int network_parse(const char *text, struct network *ret_network);

bool network_contains(const struct network *network, const struct sockaddr *address);

/* 127.0.0.0/8 and ::1. */
bool address_is_loopback(const struct sockaddr *address);

/* "10.0.0.7" or "fd00::7", without a port; "" for another family. */
void address_format(const struct sockaddr *address, char out[static NETWORK_ADDRESS_BYTES_MAX]);

#endif
