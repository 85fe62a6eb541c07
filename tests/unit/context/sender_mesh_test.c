/* Senders' meshes: the first pattern that fits counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "context/sender_mesh.h"

static void test_patterns(void **state)
{
    static const struct sender_mesh_rule items[] = {
        {"pod/shop/*", 1},
        {"pod/*", 2},
        {"unit/nginx.service", 3},
        {"process/envoy:13[0-9]?", 1},
        {"process/*:0", 2},
    };
    static const struct {
        const char *id;
        uint8_t mesh;
    } rows[] = {
        {"pod/shop/1234", 1},
        {"pod/shop/reviews/1234", 1},
        {"pod/bank/1234", 2},
        {"pod/1234", 2},
        {"unit/nginx.service", 3},
        {"unit/nginx.service2", 0},
        {"process/envoy:1337", 1},
        {"process/envoy:0", 2},
        {"process/envoy:33", 0},
        {"unknown", 0},
        {"", 0},
    };
    struct sender_mesh_rules rules = {.items = items, .count = sizeof items / sizeof items[0]};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sender_mesh_of(&rules, rows[i].id), rows[i].mesh);
    }
}

static void test_no_rules(void **state)
{
    struct sender_mesh_rules none = {.count = 0};

    (void)state;
    assert_int_equal(sender_mesh_of(&none, "pod/shop/1234"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_no_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
