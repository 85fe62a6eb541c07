/* First bytes tell the protocol; an idle half-sent prefix costs a bounded number of wake-ups and then the
 * connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/metrics.h"
#include "listen/native_connection.h"
#include "listen/sniff.h"

enum { TIMEOUT_MS = 1000, RUN_MS_MAX = 60000 };

struct fixture {
    uv_loop_t loop;
    struct sniffer sniffer;
    struct metric_registry registry;
    struct metric_cells *cells;
    int pair[2];
    enum sniffed sniffed;
    size_t done_count;
};

static void on_done(void *user, int fd, enum sniffed sniffed)
{
    struct fixture *fixture = user;

    fixture->sniffed = sniffed;
    fixture->done_count++;
    if (sniffed == SNIFFED_UNKNOWN) {
        (void)close(fd);
    }
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->cells = metric_registry_add(&fixture->registry, METRIC_SCOPE_PROCESS, "");
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fixture->pair), 0);
    sniffer_init(&fixture->sniffer, &fixture->loop, TIMEOUT_MS, fixture->cells, on_done, fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    sniffer_close(&fixture->sniffer);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    if (fixture->sniffed != SNIFFED_UNKNOWN) {
        (void)close(fixture->pair[0]);
    }
    (void)close(fixture->pair[1]);
    metric_registry_deinit(&fixture->registry);
    free(fixture);
    return 0;
}

static void run_until_done(struct fixture *fixture)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + RUN_MS_MAX;

    while (fixture->done_count == 0 && uv_hrtime() / 1000000 < end_ms) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->done_count, 1);
}

static void prefixes(void **state)
{
    static const struct {
        const char *text;
        enum sniffed sniffed;
    } rows[] = {
        {"", SNIFFED_INCOMPLETE},
        {"P", SNIFFED_INCOMPLETE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", SNIFFED_INCOMPLETE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SNIFFED_HTTP2},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x01", SNIFFED_HTTP2},
        {"PRI * HTTP/2.1", SNIFFED_HTTP1},
        {"PO", SNIFFED_HTTP1},
        {"POST /v1/traces", SNIFFED_HTTP1},
        {"G", SNIFFED_HTTP1},
        {"get /", SNIFFED_UNKNOWN},
        {"\x16\x03\x01", SNIFFED_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sniff_bytes(slice_of_string(rows[i].text)), rows[i].sniffed);
    }
    for (size_t length = 1; length < NATIVE_MAGIC_BYTES; length++) {
        assert_int_equal(sniff_bytes(slice_of(NATIVE_MAGIC, length)), SNIFFED_INCOMPLETE);
    }
    assert_int_equal(sniff_bytes(slice_of(NATIVE_MAGIC, NATIVE_MAGIC_BYTES)), SNIFFED_NATIVE);
}

static void bytes_are_left_on_the_socket(void **state)
{
    struct fixture *fixture = *state;
    char bytes[8];

    assert_int_equal(write(fixture->pair[1], "GET / H", 7), 7);
    sniffer_add(&fixture->sniffer, fixture->pair[0]);
    run_until_done(fixture);
    assert_int_equal(fixture->sniffed, SNIFFED_HTTP1);
    assert_int_equal(read(fixture->pair[0], bytes, sizeof bytes), 7);
    assert_memory_equal(bytes, "GET / H", 7);
}

static void prefix_in_two_pieces(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(write(fixture->pair[1], "PRI * HTTP/2", 12), 12);
    sniffer_add(&fixture->sniffer, fixture->pair[0]);
    for (int i = 0; i < 3; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->done_count, 0);
    assert_int_equal(write(fixture->pair[1], ".0\r\n\r\nSM\r\n\r\n", 12), 12);
    run_until_done(fixture);
    assert_int_equal(fixture->sniffed, SNIFFED_HTTP2);
}

static void idle_prefix_wakes_seldom_and_ends(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(write(fixture->pair[1], "PRI", 3), 3);
    sniffer_add(&fixture->sniffer, fixture->pair[0]);
    run_until_done(fixture);
    assert_int_equal(fixture->sniffed, SNIFFED_UNKNOWN);
    assert_int_equal(metric_get(fixture->cells, METRIC_CONNECTIONS_SNIFF), 1);
    /* 10 ms apart for TIMEOUT_MS, and a tenth more at most. */
    uint64_t wakeup_count = metric_get(fixture->cells, METRIC_SNIFF_WAKEUPS);
    assert_in_range(wakeup_count, 1, TIMEOUT_MS / SNIFF_AGAIN_MS * 11 / 10);
    assert_false(uv_is_active((const uv_handle_t *)&fixture->sniffer.timer));
}

static void silent_connection_ends(void **state)
{
    struct fixture *fixture = *state;

    sniffer_add(&fixture->sniffer, fixture->pair[0]);
    run_until_done(fixture);
    assert_int_equal(fixture->sniffed, SNIFFED_UNKNOWN);
    assert_in_range(metric_get(fixture->cells, METRIC_SNIFF_WAKEUPS), 1, TIMEOUT_MS / SNIFF_QUIET_MS + 1);
}

static void peer_that_leaves_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(write(fixture->pair[1], "PR", 2), 2);
    sniffer_add(&fixture->sniffer, fixture->pair[0]);
    assert_int_equal(shutdown(fixture->pair[1], SHUT_RDWR), 0);
    run_until_done(fixture);
    assert_int_equal(fixture->sniffed, SNIFFED_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes),
        cmocka_unit_test_setup_teardown(bytes_are_left_on_the_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(prefix_in_two_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_prefix_wakes_seldom_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_connection_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_that_leaves_is_noticed, setup, teardown),
    };
    return cmocka_run_group_tests_name("sniff", tests, NULL, NULL);
}
