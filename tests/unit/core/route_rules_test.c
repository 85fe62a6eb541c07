/* Routes that the configuration names: templates, what they fit, for which destinations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/route_rules.h"

static const struct {
    const char *path_template;
    const char *path;
    bool fits;
} cases[] = {
    {"/users/{id}", "/users/7", true},
    {"/users/{id}", "/users/alice?tab=1", true},
    {"/users/{id}", "/users/a/#x", true},
    {"/users/{id}", "//users//a//", true},
    {"/users/{id}", "http://host:80/users/a", true},
    {"/users/{id}", "/users", false},
    {"/users/{id}", "/users/", false},
    {"/users/{id}", "/users/7/orders", false},
    {"/users/{id}", "/Users/7", false},
    {"/users/{id}", "", false},
    {"/users/{id}", "users", false},
    {"/users/{id}", "http://host", false},
    {"/users/*/orders/{o}", "/users/7/orders/9", true},
    {"/users/*/orders/{o}", "/users/7/carts/9", false},
    {"/static/**", "/static", true},
    {"/static/**", "/static/a/b/c.css?v=1", true},
    {"/static/**", "/statics", false},
    {"/**", "/", true},
    {"/**", "anything", true},
    {"/", "/", true},
    {"/", "/?q", true},
    {"/", "/a", false},
    {"/{}", "/a", true},
};

static void test_what_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(route_rule_fault(cases[i].path_template));
        if (route_rule_fits(cases[i].path_template, slice_of_string(cases[i].path)) != cases[i].fits) {
            fail_msg("%s and %s", cases[i].path_template, cases[i].path);
        }
    }
}

static void test_bad_templates(void **state)
{
    static const char *const bad[] = {"", "users", "/a/**/b", "/a*", "/{id", "/a{id}", "/a?b", "/a#b", "/a b",
        "/\xc3\xa4", "/\"", "/\\", "/a\n", "/***"};
    char text[ROUTE_RULE_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (route_rule_fault(bad[i]) == NULL) {
            fail_msg("%s", bad[i]);
        }
    }
    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[ROUTE_RULE_BYTES_MAX] = '\0';
    assert_null(route_rule_fault(text));
    text[ROUTE_RULE_BYTES_MAX] = 'a';
    text[ROUTE_RULE_BYTES_MAX + 1] = '\0';
    assert_non_null(route_rule_fault(text));
}

static void expect(const struct route_rules *rules, const char *path, const char *service,
    const char *service_namespace, const char *expected)
{
    struct slice found = route_rules_find(
        rules, slice_of_string(path), slice_of_string(service), slice_of_string(service_namespace));

    if (!slice_equal(found, slice_of_string(expected))) {
        fail_msg("%s of %s.%s: %.*s", path, service, service_namespace, (int)found.length, found.ptr);
    }
    assert_true(found.length == 0 || route_rules_own(rules, found));
}

static void test_first_that_fits_the_destination(void **state)
{
    struct route_rule items[] = {
        {.service = "cart.shop", .path_template = "/items/{id}"},
        {.service = "cart*", .path_template = "/items/*"},
        {.service = NULL, .path_template = "/healthz"},
        {.service = "*.admin", .path_template = "/**"},
    };
    struct route_rules rules = {.items = items, .count = 4};
    char giant[4096];

    (void)state;
    expect(&rules, "/items/a", "cart", "shop", "/items/{id}");
    expect(&rules, "/items/a", "cart", "other", "/items/*");
    expect(&rules, "/items/a", "cart-v2", "", "/items/*");
    expect(&rules, "/items/a", "reviews", "shop", "");
    expect(&rules, "/healthz", "reviews", "shop", "/healthz");
    expect(&rules, "/x/y", "reviews", "admin", "/**");
    expect(&rules, "/x/y", "reviews", "", "");
    expect(&rules, "/x/y", "", "", "");
    memset(giant, 'c', sizeof giant);
    giant[sizeof giant - 1] = '\0';
    expect(&rules, "/items/a", giant, "", "");
    memcpy(giant, "/items/{id}", sizeof "/items/{id}");
    assert_false(route_rules_own(&rules, slice_of_string(giant)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_bad_templates),
        cmocka_unit_test(test_first_that_fits_the_destination),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
