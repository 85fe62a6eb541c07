/* Where the sockets are: for the agent, and for those who look for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/paths.h"

static void test_default(void **state)
{
    char path[PATHS_BYTES_MAX] = "untouched";

    (void)state;
    assert_true(paths_default(&(struct paths_source){.is_root = true}, PATHS_SOCKET_RECORDS, path));
    assert_string_equal(path, "/run/weft/weft.sock");
    assert_true(paths_default(&(struct paths_source){.runtime_dir = "/run/user/7"}, PATHS_SOCKET_API, path));
    assert_string_equal(path, "/run/user/7/weft/api.sock");
    assert_true(paths_default(&(struct paths_source){.is_root = true, .runtime_dir = "/x", .variable = "/y"},
        PATHS_SOCKET_API, path));
    assert_string_equal(path, "/run/weft/api.sock");
}

static void test_no_default(void **state)
{
    char path[PATHS_BYTES_MAX] = "untouched";
    char long_dir[200];

    (void)state;
    memset(long_dir, 'a', sizeof long_dir - 1);
    long_dir[sizeof long_dir - 1] = '\0';
    assert_false(paths_default(&(struct paths_source){.is_root = false}, PATHS_SOCKET_RECORDS, path));
    assert_false(paths_default(&(struct paths_source){.runtime_dir = ""}, PATHS_SOCKET_RECORDS, path));
    assert_false(paths_default(&(struct paths_source){.runtime_dir = long_dir}, PATHS_SOCKET_RECORDS, path));
    assert_false(paths_find(&(struct paths_source){.variable = long_dir}, PATHS_SOCKET_RECORDS, path));
    assert_string_equal(path, "untouched");
}

static void test_find(void **state)
{
    char runtime_dir[] = "/tmp/weft-paths-XXXXXX";
    char path[PATHS_BYTES_MAX];
    char expected[PATHS_BYTES_MAX];

    (void)state;
    assert_non_null(mkdtemp(runtime_dir));
    struct paths_source source = {.variable = "rel.sock", .runtime_dir = runtime_dir};
    assert_true(paths_find(&source, PATHS_SOCKET_RECORDS, path));
    assert_string_equal(path, "rel.sock");

    /* Its own user's agent goes before root's, when it is there. */
    source.variable = "";
    (void)snprintf(expected, sizeof expected, "%s/weft", runtime_dir);
    assert_int_equal(mkdir(expected, 0700), 0);
    (void)snprintf(expected, sizeof expected, "%s/weft/api.sock", runtime_dir);
    FILE *file = fopen(expected, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_true(paths_find(&source, PATHS_SOCKET_API, path));
    assert_string_equal(path, expected);

    source.runtime_dir = NULL;
    assert_true(paths_find(&source, PATHS_SOCKET_API, path));
    assert_string_equal(path, "/run/weft/api.sock");

    assert_int_equal(unlink(expected), 0);
    *strrchr(expected, '/') = '\0';
    assert_int_equal(rmdir(expected), 0);
    assert_int_equal(rmdir(runtime_dir), 0);
}

static void test_process(void **state)
{
    struct paths_source source;

    (void)state;
    assert_int_equal(setenv("WEFT_SOCKET", "/a", 1), 0);
    assert_int_equal(setenv("WEFT_API", "/b", 1), 0);
    paths_source_init(&source, PATHS_SOCKET_RECORDS);
    assert_string_equal(source.variable, "/a");
    paths_source_init(&source, PATHS_SOCKET_API);
    assert_string_equal(source.variable, "/b");
    assert_int_equal(source.is_root, geteuid() == 0);
    assert_int_equal(unsetenv("WEFT_API"), 0);
    paths_source_init(&source, PATHS_SOCKET_API);
    assert_null(source.variable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_no_default),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
