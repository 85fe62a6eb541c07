/* `receivers`: off unless a key says where; what cannot be opened is said before anything starts. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

static void nothing_listens_by_default(void **state)
{
    struct config *config = load("", no_environment);

    (void)state;
    assert_null(config->receivers.statsd.path);
    assert_null(config->receivers.statsd.stream_path);
    assert_null(config->receivers.statsd.udp);
    assert_int_equal(config->receivers.statsd.mode, 0660);
    assert_int_equal(config->receivers.statsd.gid, (gid_t)-1);
    assert_true(config->receivers.statsd.buffer_bytes == 4194304);
    assert_null(config->receivers.xray.udp);
    assert_true(config->receivers.xray.buffer_bytes == 4194304);
    config_free(config);
}

static void all_keys(void **state)
{
    struct config *config = load("receivers:\n"
                                 "  statsd:\n"
                                 "    path: /run/weft/statsd.sock\n"
                                 "    stream_path: /run/weft/stream.sock\n"
                                 "    udp: '[::1]:8125'\n"
                                 "    mode: 0622\n"
                                 "    group: '1337'\n"
                                 "    buffer_bytes: 65536\n",
        no_environment);

    (void)state;
    assert_string_equal(config->receivers.statsd.path, "/run/weft/statsd.sock");
    assert_string_equal(config->receivers.statsd.stream_path, "/run/weft/stream.sock");
    assert_string_equal(config->receivers.statsd.udp, "[::1]:8125");
    assert_int_equal(config->receivers.statsd.mode, 0622);
    assert_int_equal(config->receivers.statsd.gid, 1337);
    assert_true(config->receivers.statsd.buffer_bytes == 65536);
    config_free(config);
}

static void bad_ones_name_their_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *key;
        const char *said;
    } rows[] = {
        {"socket:\n  path: /tmp/a.sock\nreceivers:\n  statsd:\n    path: /tmp/a.sock\n", 5,
            "receivers.statsd.path", "expected another path than socket.path"},
        {"receivers:\n  statsd:\n    path: /tmp/a.sock\n    stream_path: /tmp/a.sock\n", 4,
            "receivers.statsd.stream_path", "expected another path than receivers.statsd.path"},
        {"receivers:\n  statsd:\n    udp: 0.0.0.0:8125\n", 3, "receivers.statsd.udp", "loopback"},
        {"receivers:\n  statsd:\n    udp: 10.0.0.1:8125\n", 3, "receivers.statsd.udp", "loopback"},
        {"receivers:\n  statsd:\n    udp: 127.0.0.1\n", 3, "receivers.statsd.udp", "loopback"},
        {"receivers:\n  statsd:\n    udp: 127.0.0.1:65536\n", 3, "receivers.statsd.udp", "loopback"},
        {"receivers:\n  statsd:\n    group: no-such-group-here\n", 3, "receivers.statsd.group", "no group"},
        {"receivers:\n  statsd:\n    buffer_bytes: -1\n", 3, "receivers.statsd.buffer_bytes", "expected"},
        {"receivers:\n  statsd:\n    port: 8125\n", 3, "receivers.statsd.port", ""},
        {"receivers:\n  xray:\n    udp: 0.0.0.0:2000\n", 3, "receivers.xray.udp", "loopback"},
        {"receivers:\n  xray:\n    tcp: 127.0.0.1:2000\n", 3, "receivers.xray.tcp", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_error(rows[i].text, rows[i].line, rows[i].key, rows[i].said);
    }
}

static void keys_of_xray(void **state)
{
    struct config *config =
        load("receivers: {xray: {udp: 127.0.0.1:2000, buffer_bytes: 0}}\n", no_environment);

    (void)state;
    assert_string_equal(config->receivers.xray.udp, "127.0.0.1:2000");
    assert_true(config->receivers.xray.buffer_bytes == 0);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_listens_by_default),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(keys_of_xray),
        cmocka_unit_test(bad_ones_name_their_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
