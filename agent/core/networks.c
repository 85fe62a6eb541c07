/* Networks that may connect: networks.h. */
#include "core/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { MAPPED_BITS = 96 };

/* Before an IPv4 address within IPv6 (RFC 4291, 2.5.5.2). */
static const uint8_t mapped_prefix[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

/* The address as 4 or 16 bytes; 0 for another family. */
static uint8_t bytes_of(const struct sockaddr *address, uint8_t out[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof v4);
        memcpy(out, &v4.sin_addr, 4);
        return 4;
    }
    if (address->sa_family != AF_INET6) {
        return 0;
    }
    struct sockaddr_in6 v6;

    memcpy(&v6, address, sizeof v6);
    memcpy(out, &v6.sin6_addr, 16);
    if (memcmp(out, mapped_prefix, sizeof mapped_prefix) == 0) {
        memmove(out, out + 12, 4);
        return 4;
    }
    return 16;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, size_t bits)
{
    uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

    return memcmp(a, b, bits / 8) == 0 && (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

/* "::ffff:10.0.0.0/104" is "10.0.0.0/8", as addresses that arrive so are taken for IPv4. One shorter than the
 * mapping's 96 bits would hold other addresses, too: false. */
static bool unmap(struct network *network)
{
    if (network->length != 16 || memcmp(network->bytes, mapped_prefix, sizeof mapped_prefix) != 0) {
        return true;
    }
    if (network->prefix < MAPPED_BITS) {
        return false;
    }
    memmove(network->bytes, network->bytes + sizeof mapped_prefix, 4);
    network->length = 4;
    network->prefix = (uint8_t)(network->prefix - MAPPED_BITS);
    return true;
}

int network_parse(const char *text, struct network *ret_network)
{
    char host[NETWORK_ADDRESS_BYTES_MAX];
    const char *slash = strchr(text, '/');
    size_t host_length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct network network = {.length = 0};
    static const uint8_t zeros[16];

    if (host_length >= sizeof host) {
        return WERR_INVALID;
    }
    memcpy(host, text, host_length);
    host[host_length] = '\0';
    network.length = inet_pton(AF_INET, host, network.bytes) == 1    ? 4
                     : inet_pton(AF_INET6, host, network.bytes) == 1 ? 16
                                                                     : 0;
    unsigned long prefix = network.length * 8ul;
    if (slash != NULL) {
        char *end;

        prefix = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0') {
            return WERR_INVALID;
        }
    }
    if (network.length == 0 || prefix > network.length * 8ul) {
        return WERR_INVALID;
    }
    network.prefix = (uint8_t)prefix;
    uint8_t rest[16];
    memcpy(rest, network.bytes, sizeof rest);
    for (size_t i = 0; i < prefix; i++) {
        rest[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    }
    if (memcmp(rest, zeros, network.length) != 0) {
        return WERR_INVALID; /* "10.0.0.7/8" may mean either */
    }
    if (!unmap(&network)) {
        return WERR_INVALID;
    }
    *ret_network = network;
    return 0;
}

bool network_contains(const struct network *network, const struct sockaddr *address)
{
    uint8_t bytes[16];

    return bytes_of(address, bytes) == network->length && same_bits(bytes, network->bytes, network->prefix);
}

bool address_is_loopback(const struct sockaddr *address)
{
    static const uint8_t one[16] = {[15] = 1};
    uint8_t bytes[16];
    uint8_t length = bytes_of(address, bytes);

    return length == 4 ? bytes[0] == 127 : length == 16 && memcmp(bytes, one, sizeof one) == 0;
}

void address_format(const struct sockaddr *address, char out[static NETWORK_ADDRESS_BYTES_MAX])
{
    uint8_t bytes[16];
    uint8_t length = bytes_of(address, bytes);

    if (length == 0 ||
        inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, out, NETWORK_ADDRESS_BYTES_MAX) == NULL) {
        out[0] = '\0';
    }
}
