/* Budgets against memory.max, on trees made here as the kernel lays them out. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/memory.h"
#include "loading.h"
#include "temporary.h"

#define MIB 1048576ull

struct tree {
    struct temporary temporary;
    char self[512];
    char root[512];
    struct cgroup_paths paths;
};

static int set_up(void **state)
{
    struct tree *tree = calloc(1, sizeof *tree);

    assert_non_null(tree);
    temporary_init(&tree->temporary);
    (void)snprintf(tree->root, sizeof tree->root, "%s/cgroup", tree->temporary.path);
    (void)snprintf(tree->self, sizeof tree->self, "%s/self", tree->temporary.path);
    tree->paths = (struct cgroup_paths){.root = tree->root, .self = tree->self};
    *state = tree;
    return 0;
}

static int tear_down(void **state)
{
    struct tree *tree = *state;

    temporary_deinit(&tree->temporary);
    free(tree);
    return 0;
}

static void write_file(struct tree *tree, const char *name, const char *text)
{
    temporary_write(&tree->temporary, name, text, NULL);
}

static void expect_limit(struct tree *tree, uint64_t bytes)
{
    assert_int_equal(memory_limit_bytes(&tree->paths), bytes);
}

static void test_v2_takes_the_smallest_of_all_above(void **state)
{
    struct tree *tree = *state;

    expect_limit(tree, 0);
    write_file(tree, "self", "0::/a.slice/b.service\n");
    expect_limit(tree, 0);
    write_file(tree, "cgroup/a.slice/b.service/memory.max", "max\n");
    expect_limit(tree, 0);
    write_file(tree, "cgroup/a.slice/memory.max", "536870912\n");
    expect_limit(tree, 512 * MIB);
    write_file(tree, "cgroup/a.slice/b.service/memory.max", "1073741824\n");
    expect_limit(tree, 512 * MIB);
    write_file(tree, "cgroup/a.slice/b.service/memory.max", "268435456\n");
    expect_limit(tree, 256 * MIB);
    write_file(tree, "cgroup/memory.max", "134217728\n"); /* what a container sees of its own */
    expect_limit(tree, 128 * MIB);
}

static void test_v1(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "7:cpu,cpuacct:/x\n4:memory:/x\n");
    write_file(tree, "cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file(tree, "cgroup/cpu,cpuacct/x/memory.limit_in_bytes", "1048576\n"); /* another controller's */
    expect_limit(tree, 0);
    write_file(tree, "cgroup/memory/x/memory.limit_in_bytes", "268435456\n");
    expect_limit(tree, 256 * MIB);
}

static void test_what_makes_no_sense_limits_nothing(void **state)
{
    static const char *const texts[] = {"", "-1\n", "12x\n", "0\n", "99999999999999999999999\n"};
    struct tree *tree = *state;

    write_file(tree, "self", "0::/a\n");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(tree, "cgroup/a/memory.max", texts[i]);
        expect_limit(tree, 0);
    }
    write_file(tree, "self", "no group\n");
    expect_limit(tree, 0);
}

static void test_the_ring_must_fit(void **state)
{
    struct config *config = load("", no_environment);
    char text[MEMORY_TEXT_BYTES];
    uint64_t least = config->limits.trace_ring_bytes + MEMORY_OWN_BYTES;

    (void)state;
    assert_int_equal(memory_check(config, 2, least - 1, text), WERR_CONFIG);
    assert_int_equal(strncmp(text, "limits.trace_ring_bytes: 268435456 bytes", 40), 0);
    assert_non_null(strstr(text, "memory.max of the control group, 301989887 bytes"));
    assert_int_equal(memory_check(config, 2, least, text), 1);
    config_free(config);
}

static void test_a_sum_that_does_not_fit_names_the_largest(void **state)
{
    static const char yaml[] = "limits:\n  trace_ring_bytes: 67108864\n  waiting_bytes_max: 1073741824\n"
                               "exporters:\n  otlp:\n    - {name: a, endpoint: \"http://h:1\"}\n"
                               "    - {name: b, endpoint: \"http://h:1\", queue: {bytes_max: 2147483648}}\n";
    struct config *config = load(yaml, no_environment);
    uint64_t one_shard = memory_budget_bytes(config, 1);
    char text[MEMORY_TEXT_BYTES];

    (void)state;
    assert_int_equal(memory_budget_bytes(config, 3), one_shard + 2 * config->limits.answers_bytes_max);
    assert_int_equal(memory_check(config, 1, 0, text), 0);
    assert_int_equal(memory_check(config, 1, one_shard, text), 0);
    assert_int_equal(memory_check(config, 1, 1024 * MIB, text), 1);
    const char *first = strstr(text, "exporters.otlp[1].queue.bytes_max 2048 MiB");
    const char *second = strstr(text, "limits.waiting_bytes_max 1024 MiB");
    assert_non_null(strstr(text, "memory.max of the control group is 1024 MiB"));
    assert_true(first != NULL && second > first);
    assert_int_equal(memory_check(config, 1, 128 * MIB, text), 1); /* a ring of 64 MiB fits in there */
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v2_takes_the_smallest_of_all_above, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_makes_no_sense_limits_nothing, set_up, tear_down),
        cmocka_unit_test(test_the_ring_must_fit),
        cmocka_unit_test(test_a_sum_that_does_not_fit_names_the_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
