/* Which rule of bounds is for whom, and which bounds are then in force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bounds_rules.h"
#include "core/error.h"
#include "core/profiles.h"

static uint64_t first_bounds[] = {30, 100};
static uint64_t second_bounds[] = {7, 30};

static struct bounds_rule items[] = {
    {.service = "cart.shop", .route = "/pay/*", .bounds_ns = {.items = first_bounds, .count = 2}},
    {.service = "cart*", .bounds_ns = {.items = second_bounds, .count = 2}, .slow_ms = 900},
    {.route = "/slow", .slow_ms = 300},
};
static const struct bounds_rules rules = {.items = items, .count = 3};

static uint8_t find(const char *service, const char *service_namespace, const char *route)
{
    return bounds_rules_find(
        &rules, slice_of_string(service), slice_of_string(service_namespace), slice_of_string(route));
}

static void the_first_that_fits(void **state)
{
    (void)state;
    assert_int_equal(find("cart", "shop", "/pay/a/b"), 0);
    assert_int_equal(find("cart", "shop", "/pay"), 1);
    assert_int_equal(find("cart", "other", "/pay/a"), 1);
    assert_int_equal(find("cart-v2", "", "/slow"), 1);
    assert_int_equal(find("api", "shop", "/slow"), 2);
    assert_int_equal(find("api", "shop", "/pay/a"), BOUNDS_RULE_NONE);
    assert_int_equal(find("", "", ""), BOUNDS_RULE_NONE);
}

static void names_that_are_too_long_fit_nothing(void **state)
{
    char name[2000];

    (void)state;
    memset(name, 'c', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "cart", 4);
    assert_int_equal(find(name, "", ""), BOUNDS_RULE_NONE);
    assert_int_equal(find("api", "", name), BOUNDS_RULE_NONE);
}

static void all_bounds_are_in_force_once(void **state)
{
    static const uint64_t own[] = {10, 30};
    static const uint64_t all[] = {7, 10, 30, 100};
    uint64_t out[5] = {0};

    (void)state;
    assert_int_equal(bounds_in_force(own, 2, 0, &rules, out, 4), 4);
    assert_memory_equal(out, all, sizeof all);
    assert_int_equal(bounds_in_force(own, 2, 0, &rules, out, 3), WERR_OVERSIZED);
    assert_int_equal(bounds_in_force(own, 2, 0, &rules, out, 1), WERR_OVERSIZED);
    assert_int_equal(bounds_in_force(own, 2, PROFILE_BIT(ISTIO), &rules, out, 5), WERR_OVERSIZED);
}

static void smallest_time_that_is_slow(void **state)
{
    const struct bounds_rules none = {.count = 0};
    const struct bounds_rules without = {.items = items, .count = 1};

    (void)state;
    assert_int_equal(bounds_rules_slow_ms_min(&rules), 300);
    assert_int_equal(bounds_rules_slow_ms_min(&without), 0);
    assert_int_equal(bounds_rules_slow_ms_min(&none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_fits),
        cmocka_unit_test(names_that_are_too_long_fit_nothing),
        cmocka_unit_test(all_bounds_are_in_force_once),
        cmocka_unit_test(smallest_time_that_is_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
