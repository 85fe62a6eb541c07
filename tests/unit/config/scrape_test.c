/* `receivers.scrape`: targets with their defaults, and what is refused before anything starts. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

#define TARGET "receivers:\n  scrape:\n    - name: a\n      url: http://127.0.0.1/m\n"

static void a_target_and_its_defaults(void **state)
{
    struct config *config = load(TARGET, no_environment);
    const struct config_scrape *target = &config->receivers.scrape.items[0];

    (void)state;
    assert_int_equal(config->receivers.scrape.count, 1);
    assert_string_equal(target->name, "a");
    assert_string_equal(target->url, "http://127.0.0.1/m");
    assert_null(target->namespace);
    assert_null(target->socket);
    assert_null(target->mesh);
    assert_true(target->interval_s == 15 && target->timeout_ms == 1000);
    assert_int_equal(target->labels.count, 0);
    assert_false(target->tls.insecure_skip_verify);
    config_free(config);
}

static void all_keys(void **state)
{
    struct config *config = load(TARGET "      namespace: shop\n"
                                        "      socket: /run/envoy/admin.sock\n"
                                        "      interval_s: 5\n"
                                        "      timeout_ms: 5000\n"
                                        "      mesh: east\n"
                                        "      labels:\n"
                                        "        - name: zone\n"
                                        "          value: b\n"
                                        "    - name: b\n"
                                        "      url: https://h/m\n"
                                        "      tls:\n"
                                        "        insecure_skip_verify: true\n",
        no_environment);
    const struct config_scrape *target = &config->receivers.scrape.items[0];

    (void)state;
    assert_string_equal(target->namespace, "shop");
    assert_string_equal(target->socket, "/run/envoy/admin.sock");
    assert_true(target->interval_s == 5 && target->timeout_ms == 5000);
    assert_string_equal(target->mesh, "east");
    assert_string_equal(target->labels.items[0].name, "zone");
    assert_string_equal(target->labels.items[0].value, "b");
    assert_true(config->receivers.scrape.items[1].tls.insecure_skip_verify);
    config_free(config);
}

static void bad_ones_name_their_key(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *key;
        const char *said;
    } rows[] = {
        {"receivers:\n  scrape:\n    - name: a b\n      url: http://h/m\n", 3, "scrape[0].name", "letters"},
        {TARGET "      namespace: a/b\n", 5, "scrape[0].namespace", "letters"},
        {TARGET "    - name: a\n      url: http://h/m\n", 5, "scrape[1].name", "no other target"},
        {"receivers:\n  scrape:\n    - name: a\n      url: h/m\n", 4, "scrape[0].url", "http://HOST"},
        {TARGET "      socket: admin.sock\n", 5, "scrape[0].socket", "absolute"},
        {TARGET "      interval_s: 1\n      timeout_ms: 1001\n", 6, "scrape[0].timeout_ms",
            "at most interval_s"},
        {TARGET "      interval_s: 0\n", 5, "scrape[0].interval_s", "1"},
        {TARGET "      labels:\n        - name: sender_x\n          value: b\n", 6, "labels[0]", "sender_"},
        {TARGET "      labels:\n        - name: 1x\n          value: b\n", 6, "labels[0]", "letters"},
        {TARGET "      mesh: m\n      labels:\n        - name: mesh\n          value: b\n", 7, "labels[0]",
            "not there yet"},
        {TARGET "      tls:\n        server_name: x\n", 6, "server_name", "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_error_with(rows[i].text, no_environment, rows[i].line, rows[i].key, rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_and_its_defaults),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(bad_ones_name_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
