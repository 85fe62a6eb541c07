/* Shards from affinity and quota, on trees made here as the kernel lays them out. */
#include "cmocka_all.h"

#include "config/cpu.h"
#include "temporary.h"

struct tree {
    struct temporary temporary;
    char proc[512];
    char root[512];
    struct cgroup_paths paths;
};

static int set_up(void **state)
{
    struct tree *tree = calloc(1, sizeof *tree);

    assert_non_null(tree);
    temporary_init(&tree->temporary);
    (void)snprintf(tree->root, sizeof tree->root, "%s/cgroup", tree->temporary.path);
    (void)snprintf(tree->proc, sizeof tree->proc, "%s/self", tree->temporary.path);
    tree->paths = (struct cgroup_paths){.root = tree->root, .self = tree->proc};
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

static void test_no_files(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(cpu_quota_count(&tree->paths), 0);
    assert_int_equal(cpu_shard_count(&tree->paths, 3), 3);
    assert_int_equal(cpu_shard_count(&tree->paths, 64), 4);
    assert_int_equal(cpu_shard_count(&tree->paths, 1), 1);
    assert_int_equal(cpu_shard_count(&tree->paths, 0), 1);
}

static void test_v2_rounds_up(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "0::/a.slice/b.service\n");
    write_file(tree, "cgroup/a.slice/b.service/cpu.max", "150000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 2);
    assert_int_equal(cpu_shard_count(&tree->paths, 8), 2);
    write_file(tree, "cgroup/a.slice/b.service/cpu.max", "200000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 2);
    write_file(tree, "cgroup/a.slice/b.service/cpu.max", "1000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 1);
    write_file(tree, "cgroup/a.slice/b.service/cpu.max", "1200000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 12);
    assert_int_equal(cpu_shard_count(&tree->paths, 64), 4);
}

static void test_v2_takes_the_smallest_above(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "0::/a/b/c\n");
    write_file(tree, "cgroup/a/b/c/cpu.max", "max 100000\n");
    write_file(tree, "cgroup/a/b/cpu.max", "400000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 4);
    write_file(tree, "cgroup/a/cpu.max", "50000 50000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 1);
    write_file(tree, "cgroup/a/cpu.max", "max 100000\n");
    write_file(tree, "cgroup/cpu.max", "300000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 3);
}

/* In a container with a cgroup namespace the path is "/", and the mount holds the container's own files. */
static void test_v2_container(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "0::/\n");
    write_file(tree, "cgroup/cpu.max", "250000 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 3);
    write_file(tree, "self", "0::/../../other\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 3);
    write_file(tree, "self", "0::/not/mounted/here\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 3);
}

static void test_v2_max_is_no_limit(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "0::/a\n");
    write_file(tree, "cgroup/a/cpu.max", "max 100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 0);
    assert_int_equal(cpu_shard_count(&tree->paths, 2), 2);
}

static void test_v1(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "7:cpuset:/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/x\n");
    write_file(tree, "cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
    write_file(tree, "cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 0);
    write_file(tree, "cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
    write_file(tree, "cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 3);
    write_file(tree, "cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "20000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 1);
}

/* Mounted as "cpu" alone, and seen from inside a container: only the mount's own files are there. */
static void test_v1_container(void **state)
{
    struct tree *tree = *state;

    write_file(tree, "self", "4:cpu,cpuacct:/docker/0123\n0::/\n");
    write_file(tree, "cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    write_file(tree, "cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpu_quota_count(&tree->paths), 2);
}

static void test_malformed(void **state)
{
    static const char *const quotas[] = {"", "\n", "100000\n", "abc 100000\n", "100000 abc\n", "100000 0\n",
        "-1 100000\n", "0 100000\n", "99999999999999999999999 1\n", "100000  100000\n", " 100000 100000\n"};
    static const char *const lines[] = {
        "", "\n", "0\n", "0:\n", "0::\n", "::::\n", "0:cpu\n", "0::relative\n"};
    struct tree *tree = *state;

    write_file(tree, "self", "0::/a\n");
    for (size_t i = 0; i < sizeof quotas / sizeof quotas[0]; i++) {
        write_file(tree, "cgroup/a/cpu.max", quotas[i]);
        assert_int_equal(cpu_quota_count(&tree->paths), 0);
    }
    write_file(tree, "cgroup/a/cpu.max", "100000 100000\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        write_file(tree, "self", lines[i]);
        assert_int_equal(cpu_quota_count(&tree->paths), 0);
    }
}

static void test_this_machine(void **state)
{
    struct cgroup_paths paths = cgroup_paths_system();

    (void)state;
    unsigned affinity_count = cpu_affinity_count();
    assert_true(affinity_count >= 1);
    unsigned shards = cpu_shard_count(&paths, affinity_count);
    assert_true(shards >= 1 && shards <= CPU_SHARDS_DEFAULT_MAX && shards <= affinity_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v2_rounds_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v2_takes_the_smallest_above, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v2_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v2_max_is_no_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v1_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
        cmocka_unit_test(test_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
