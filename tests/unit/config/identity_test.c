/* `identity`: nothing by default; one source of pods at most. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

static void nothing_by_default(void **state)
{
    struct config *config = load("", no_environment);

    (void)state;
    assert_null(config->identity.downward_api);
    assert_null(config->identity.kubelet.url);
    assert_false(config->identity.refuse_conflicts);
    config_free(config);
}

static void all_keys_of_a_kubelet(void **state)
{
    struct config *config = load("identity:\n"
                                 "  refuse_conflicts: true\n"
                                 "  kubelet:\n"
                                 "    url: https://10.0.0.5:10250/pods\n"
                                 "    token_file: /dev/null\n"
                                 "    ca_file: /dev/null\n"
                                 "    insecure_skip_verify: true\n"
                                 "    interval_s: 30\n",
        no_environment);

    (void)state;
    assert_true(config->identity.refuse_conflicts);
    assert_string_equal(config->identity.kubelet.url, "https://10.0.0.5:10250/pods");
    assert_string_equal(config->identity.kubelet.token_file, "/dev/null");
    assert_string_equal(config->identity.kubelet.ca_file, "/dev/null");
    assert_true(config->identity.kubelet.insecure_skip_verify);
    assert_true(config->identity.kubelet.interval_s == 30);
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
        {"identity:\n  kubelet:\n    url: 10.0.0.5:10250\n", 3, "identity.kubelet.url", "https://HOST"},
        {"identity:\n  kubelet:\n    token_file: /dev/null\n", 3, "identity.kubelet.token_file", "url"},
        {"identity:\n  kubelet:\n    url: http://127.0.0.1.evil/pods\n    token_file: /dev/null\n", 3,
            "identity.kubelet.url", "https://HOST"},
        {"identity:\n  kubelet:\n    url: http://localhost:1@h/pods\n    token_file: /dev/null\n", 3,
            "identity.kubelet.url", "https://HOST"},
        {"identity:\n  kubelet:\n    url: https://h/pods\n    token_file: /nonexistent\n", 4,
            "identity.kubelet.token_file", "readable"},
        {"identity:\n  downward_api: podinfo\n", 2, "identity.downward_api", "absolute"},
        {"identity:\n  downward_api: /etc/podinfo\n  kubelet:\n    url: https://h/pods\n", 2,
            "identity.downward_api", "not both"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_error_with(rows[i].text, no_environment, rows[i].line, rows[i].key, rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_by_default),
        cmocka_unit_test(all_keys_of_a_kubelet),
        cmocka_unit_test(bad_ones_name_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
