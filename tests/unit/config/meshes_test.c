/* `meshes` and all that names one: numbers in the order of the list, then of the receivers. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "core/mesh_names.h"
#include "loading.h"

static void none_by_default(void **state)
{
    struct config *config = load("", no_environment);

    (void)state;
    assert_int_equal(config->meshes.count, 0);
    assert_int_equal(config->mesh_names.count, 0);
    config_free(config);
}

static void names_are_numbered(void **state)
{
    struct config *config = load("meshes:\n"
                                 "  - name: a\n"
                                 "    senders: ['pod/*', process/envoy:1337]\n"
                                 "  - name: b\n"
                                 "receivers:\n"
                                 "  access_logs:\n"
                                 "    - path: /run/1.sock\n"
                                 "      mesh: b\n"
                                 "    - path: /run/2.sock\n"
                                 "      mesh: edge\n"
                                 "    - path: /run/3.sock\n"
                                 "  scrape:\n"
                                 "    - name: x\n"
                                 "      url: http://127.0.0.1:1/metrics\n"
                                 "      mesh: far\n"
                                 "    - name: y\n"
                                 "      url: http://127.0.0.1:2/metrics\n"
                                 "      mesh: edge\n",
        no_environment);
    static const char *const names[] = {"a", "b", "edge", "far"};

    (void)state;
    assert_int_equal(config->mesh_names.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(config->mesh_names.items[i], names[i]);
    }
    assert_int_equal(config->meshes.items[0].senders.count, 2);
    assert_string_equal(config->meshes.items[0].senders.items[1], "process/envoy:1337");
    assert_int_equal(config->receivers.access_logs.items[0].mesh_number, 2);
    assert_int_equal(config->receivers.access_logs.items[1].mesh_number, 3);
    assert_int_equal(config->receivers.access_logs.items[2].mesh_number, 0);
    struct mesh_names list = {.items = config->mesh_names.items, .count = config->mesh_names.count};
    assert_string_equal(mesh_name(&list, 3), "edge");
    assert_string_equal(mesh_name(&list, 0), "");
    assert_string_equal(mesh_name(&list, 5), "");
    assert_int_equal(mesh_number(&list, SLICE_LITERAL("far")), 4);
    assert_int_equal(mesh_number(&list, SLICE_LITERAL("none")), 0);
    config_free(config);
}

static void bad_ones_name_their_line(void **state)
{
    (void)state;
    expect_error("meshes:\n  - senders: ['*']\n", 2, "meshes[0]", "expected a name");
    expect_error("meshes:\n  - name: a\n  - name: a\n", 3, "meshes[1].name", "no other mesh has");
    expect_error("meshes:\n  - name: a\n    sender: x\n", 3, "meshes[0].sender", "");
}

static void no_more_than_there_is_room_for(void **state)
{
    char text[4096] = "meshes:\n";

    (void)state;
    for (int i = 0; i <= MESH_COUNT_MAX; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "  - name: m%d\n", i);
    }
    expect_error(text, 66, "meshes[64].name", "expected at most 64 meshes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_by_default),
        cmocka_unit_test(names_are_numbered),
        cmocka_unit_test(bad_ones_name_their_line),
        cmocka_unit_test(no_more_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
