/* Networks: what parses, and who is in them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/networks.h"

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&address, &v4, sizeof v4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        memcpy(&address, &v6, sizeof v6);
    }
    return address;
}

static bool is_in(const char *network_text, const char *address_text)
{
    struct sockaddr_storage address = address_of(address_text);
    struct network network;

    assert_int_equal(network_parse(network_text, &network), 0);
    return network_contains(&network, (struct sockaddr *)&address);
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {"", "shop", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
        "10.0.0.1/8", "10.0.0.0/ 8", "fd00::/129", "fd00::1/8", "[fd00::]/8", "10.0.0.0:80", "/8",
        "::ffff:10.0.0.1/104", "::ffff:0.0.0.0/95", "::ffff:0.0.0.0/129",
        "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27"};
    struct network network = {.length = 99};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(network_parse(bad[i], &network), WERR_INVALID);
        assert_int_equal(network.length, 99);
    }
}

static void addresses_are_in_their_networks(void **state)
{
    (void)state;
    assert_true(is_in("10.0.0.0/8", "10.255.0.1"));
    assert_false(is_in("10.0.0.0/8", "11.0.0.1"));
    assert_true(is_in("192.0.2.128/25", "192.0.2.200"));
    assert_false(is_in("192.0.2.128/25", "192.0.2.127"));
    assert_true(is_in("192.0.2.7", "192.0.2.7"));
    assert_false(is_in("192.0.2.7", "192.0.2.6"));
    assert_true(is_in("0.0.0.0/0", "203.0.113.9"));
    assert_false(is_in("0.0.0.0/0", "fd00::1"));
    assert_true(is_in("fd00::/8", "fdff::1"));
    assert_false(is_in("fd00::/8", "fe80::1"));
    assert_true(is_in("::/0", "fe80::1"));
    assert_true(is_in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(is_in("2001:db8::/33", "2001:db8:8000::1"));
}

/* What arrives on an IPv6 socket from an IPv4 peer. */
static void a_mapped_address_is_the_ipv4_one(void **state)
{
    struct sockaddr_storage mapped = address_of("::ffff:10.1.2.3");
    struct sockaddr_storage loopback = address_of("::ffff:127.0.0.1");
    char text[NETWORK_ADDRESS_BYTES_MAX];

    (void)state;
    assert_true(is_in("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_false(is_in("::/0", "::ffff:10.1.2.3"));
    assert_true(is_in("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"));
    assert_true(is_in("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_false(is_in("::ffff:10.0.0.0/104", "11.1.2.3"));
    assert_true(is_in("::ffff:10.1.2.3", "10.1.2.3"));
    assert_true(is_in("::ffff:0:0/96", "203.0.113.9"));
    assert_false(is_in("::ffff:0:0/96", "fd00::1"));
    address_format((struct sockaddr *)&mapped, text);
    assert_string_equal(text, "10.1.2.3");
    assert_true(address_is_loopback((struct sockaddr *)&loopback));
}

static void loopback_is_known(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.8.8.8", "::1"};
    static const char *const others[] = {"128.0.0.1", "0.0.0.0", "::", "::2", "10.0.0.1"};
    struct sockaddr_storage none = {.ss_family = AF_UNIX};
    char text[NETWORK_ADDRESS_BYTES_MAX] = "x";

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_storage address = address_of(own[i]);

        assert_true(address_is_loopback((struct sockaddr *)&address));
        address_format((struct sockaddr *)&address, text);
        assert_string_equal(text, own[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        struct sockaddr_storage address = address_of(others[i]);

        assert_false(address_is_loopback((struct sockaddr *)&address));
    }
    assert_false(address_is_loopback((struct sockaddr *)&none));
    address_format((struct sockaddr *)&none, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(addresses_are_in_their_networks),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_one),
        cmocka_unit_test(loopback_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
