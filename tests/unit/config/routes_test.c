/* `routes`: templates of paths, in their order; bad ones name their key. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

static void rules_are_in_their_order(void **state)
{
    struct config *config = load("routes:\n"
                                 "  - service: cart*\n"
                                 "    template: /carts/{id}\n"
                                 "  - template: /static/**\n",
        no_environment);

    (void)state;
    assert_int_equal(config->routes.count, 2);
    assert_string_equal(config->routes.items[0].service, "cart*");
    assert_string_equal(config->routes.items[0].path_template, "/carts/{id}");
    assert_null(config->routes.items[1].service);
    assert_string_equal(config->routes.items[1].path_template, "/static/**");
    config_free(config);
}

static void bad_ones_name_their_key(void **state)
{
    (void)state;
    expect_error("routes:\n  - service: a\n", 2, "routes[0]", "expected a template");
    expect_error(
        "routes:\n  - template: /a\n  - template: b\n", 3, "routes[1].template", "begins with a slash");
    expect_error("routes:\n  - template: /**/a\n", 2, "routes[0].template", "** only at its end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_in_their_order),
        cmocka_unit_test(bad_ones_name_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
