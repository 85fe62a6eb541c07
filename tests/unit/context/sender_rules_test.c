/* Who may send: patterns over sender ids. */
#include "testing.h"

#include "context/sender_rules.h"

static void test_nobody_is_told_anything(void **state)
{
    struct sender_rules rules = {.allow = {.count = 0}};

    (void)state;
    assert_true(sender_rules_are_none(&rules));
    assert_true(sender_rules_allow(&rules, "pod/shop/cart-1"));
    assert_true(sender_rules_allow(&rules, ""));
}

static void test_allowed_alone(void **state)
{
    const char *allow[] = {"pod/shop/*", "unit/nginx.service"};
    struct sender_rules rules = {.allow = {.items = allow, .count = 2}};

    (void)state;
    assert_false(sender_rules_are_none(&rules));
    assert_true(sender_rules_allow(&rules, "pod/shop/cart-1"));
    assert_true(sender_rules_allow(&rules, "unit/nginx.service"));
    assert_false(sender_rules_allow(&rules, "pod/other/cart-1"));
    assert_false(sender_rules_allow(&rules, "unknown"));
    assert_false(sender_rules_allow(&rules, ""));
}

static void test_denied_though_allowed(void **state)
{
    const char *allow[] = {"pod/*"};
    const char *deny[] = {"pod/*/debug-*"};
    struct sender_rules rules = {.allow = {.items = allow, .count = 1}, .deny = {.items = deny, .count = 1}};

    (void)state;
    assert_true(sender_rules_allow(&rules, "pod/shop/cart-1"));
    assert_false(sender_rules_allow(&rules, "pod/shop/debug-7"));
    rules.allow.count = 0;
    assert_true(sender_rules_allow(&rules, "process/envoy:1337"));
    assert_false(sender_rules_allow(&rules, "pod/shop/debug-7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_told_anything),
        cmocka_unit_test(test_allowed_alone),
        cmocka_unit_test(test_denied_though_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
