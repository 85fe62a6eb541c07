/* weftd's options, good and bad. */
#include "cmocka_all.h"

#include <stdbool.h>
#include <string.h>

#include "config/command_line.h"
#include "core/error.h"

static int parse(char **argv, struct command_line *line, char *error)
{
    int argc = 0;

    while (argv[argc] != NULL) {
        argc++;
    }
    error[0] = '\0';
    return command_line_parse(argc, argv, line, error, 128);
}

static void test_all_options(void **state)
{
    char *argv[] = {"weftd", "--config", "f.yaml", "--socket=/tmp/s", "--http", "127.0.0.1:0", "--shards",
        "2", "--check-config", "--version", "--help", NULL};
    struct command_line line;
    char error[128];

    (void)state;
    assert_int_equal(parse(argv, &line, error), 0);
    assert_string_equal(line.config_path, "f.yaml");
    assert_string_equal(line.socket_path, "/tmp/s");
    assert_string_equal(line.http_address, "127.0.0.1:0");
    assert_string_equal(line.shards, "2");
    assert_true(line.check_config);
    assert_true(line.version);
    assert_true(line.help);
}

static void test_none(void **state)
{
    char *argv[] = {"weftd", NULL};
    struct command_line line;
    char error[128];

    (void)state;
    assert_int_equal(parse(argv, &line, error), 0);
    assert_null(line.config_path);
    assert_null(line.socket_path);
    assert_null(line.http_address);
    assert_null(line.shards);
    assert_false(line.check_config);
    assert_false(line.version);
    assert_false(line.help);
}

static void test_faults(void **state)
{
    char *cases[][4] = {
        {"weftd", "--nonsense", NULL},
        {"weftd", "--config", NULL},
        {"weftd", "--version=1", NULL},
        {"weftd", "stray", NULL},
        {"weftd", "--conf", "x", NULL},
        {"weftd", "", NULL},
    };
    const char *const named[] = {
        "--nonsense", "--config needs", "--version takes no", "stray", "--conf", "unknown"};
    struct command_line line = {.config_path = "untouched"};
    char error[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i], &line, error), WERR_INVALID);
        assert_non_null(strstr(error, named[i]));
        assert_string_equal(line.config_path, "untouched");
    }
}

static void test_usage_names_every_option(void **state)
{
    static const char *const options[] = {
        "--config", "--socket", "--http", "--shards", "--check-config", "--version", "--help"};

    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        assert_non_null(strstr(command_line_usage(), options[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_usage_names_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
