/* A downward-API volume as a fixture tree, and what happens while it is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "core/error.h"
#include "receivers/pod_source.h"

enum { ROUNDS_MAX = 60000 };

static char directory[64];

static void write_file(const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/weft-pods-XXXXXX");
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"uid", "name", "namespace", "labels"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    return rmdir(directory);
}

static void write_pod(void)
{
    write_file("uid", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n");
    write_file("name", "web-5c9f7d8b4-k7k2p");
    write_file("namespace", "shop");
    write_file("labels", "app=\"web\"\npod-template-hash=\"5c9f7d8b4\"\nversion=\"v2\"");
}

static void a_volume_is_read(void **state)
{
    struct pod_table table;

    (void)state;
    pod_table_init(&table);
    assert_int_equal(pod_source_read_directory("/nonexistent/volume", &table), WERR_NOT_FOUND);
    assert_int_equal(pod_source_read_directory(directory, &table), WERR_NOT_FOUND);
    write_pod();
    assert_int_equal(pod_source_read_directory(directory, &table), 0);
    assert_int_equal(table.count, 1);
    assert_string_equal(table.pods[0].uid, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    assert_string_equal(table.pods[0].name, "web-5c9f7d8b4-k7k2p");
    assert_string_equal(table.pods[0].pod_namespace, "shop");
    assert_string_equal(table.pods[0].workload, "web");
    assert_string_equal(table.pods[0].version, "v2");
    pod_table_deinit(&table);
}

static void a_source_fills_the_table(void **state)
{
    struct config_identity config = {.downward_api = directory};
    struct metric_registry registry = {.owner_count = 0};
    struct metric_cells *cells = metric_registry_add(&registry, METRIC_SCOPE_PROCESS, "");
    struct pod_source *source = NULL;
    struct pods pods;
    uv_loop_t loop;

    (void)state;
    pods_init(&pods);
    assert_int_equal(uv_loop_init(&loop), 0);
    write_pod();
    assert_int_equal(pod_source_new(&config, &loop, &pods, cells, NULL, &source), 0);
    for (int i = 0; i < ROUNDS_MAX && pods_generation(&pods) == 0; i++) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
    assert_int_equal(pods_generation(&pods), 1);
    assert_int_equal(metric_get(cells, METRIC_PODS_KNOWN), 1);
    assert_int_equal(metric_get(cells, METRIC_KUBELET_POLLS_OK), 1);
    pod_source_close(source);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    pods_deinit(&pods);
    metric_registry_deinit(&registry);
}

static void nothing_configured_is_no_source(void **state)
{
    struct config_identity config = {.downward_api = NULL};
    struct pod_source *source = NULL;

    (void)state;
    assert_int_equal(pod_source_new(&config, NULL, NULL, NULL, NULL, &source), 0);
    assert_null(source);
    pod_source_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_volume_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_fills_the_table, setup, teardown),
        cmocka_unit_test(nothing_configured_is_no_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
