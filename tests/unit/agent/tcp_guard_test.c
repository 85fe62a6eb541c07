/* Who a connection is from: by its address; of what came out of TLS and whose peer has gone, nobody. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "receivers/tcp_guard.h"

static void a_peer_that_has_gone_is_not_the_agent_itself(void **state)
{
    struct tls_inlet_config config = {.handshake_ms_max = 1};
    struct tls_inlet *inlet = NULL;
    struct sender sender = {.kind = SENDER_PROCESS};
    uv_loop_t loop;
    int pair[2];

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    config.loop = &loop;
    assert_int_equal(tls_inlet_new(&config, &inlet), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(tcp_sender(inlet, pair[0], &sender));
    assert_int_equal(sender.kind, SENDER_UNKNOWN);
    assert_string_equal(sender.id, "unknown");
    assert_int_equal(sender.pid, 0);
    assert_false(tcp_sender(NULL, pair[0], &sender)); /* without TLS there are no such pairs */
    (void)close(pair[0]);
    (void)close(pair[1]);
    tls_inlet_close(inlet);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    tls_inlet_free(inlet);
}

static void a_tcp_peer_is_its_address(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sender sender;

    (void)state;
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    int accepted = accept(listening, NULL, NULL);
    assert_true(tcp_sender(NULL, accepted, &sender));
    assert_int_equal(sender.kind, SENDER_ADDRESS);
    assert_string_equal(sender.name, "127.0.0.1");
    (void)close(accepted);
    (void)close(client);
    (void)close(listening);
}

/* A reload: the list of a copy becomes another, its TLS stays. */
static void another_list_of_networks(void **state)
{
    const char *first[] = {"10.0.0.0/8", "fd00::/8"};
    const char *second[] = {"192.168.1.0/24"};
    struct config_otlp_listeners config = {.allow = {.items = first, .count = 2}};
    const struct config_strings none = {.count = 0};
    struct network same;
    struct tcp_guard guard;
    const char *what;

    (void)state;
    assert_int_equal(tcp_guard_init(&guard, &config, &what), 0);
    assert_int_equal(guard.allow_count, 2);
    config.allow = (struct config_strings){.items = second, .count = 1};
    tcp_guard_set_allow(&guard, &config.allow);
    assert_int_equal(guard.allow_count, 1);
    assert_int_equal(network_parse(second[0], &same), 0);
    assert_int_equal(guard.allow[0].length, same.length);
    assert_memory_equal(guard.allow[0].bytes, same.bytes, same.length);
    tcp_guard_set_allow(&guard, &none);
    assert_int_equal(guard.allow_count, 0);
    tcp_guard_deinit(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_has_gone_is_not_the_agent_itself),
        cmocka_unit_test(a_tcp_peer_is_its_address),
        cmocka_unit_test(another_list_of_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
