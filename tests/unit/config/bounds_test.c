/* `metrics.bounds_per_route`: rules in their order; bad ones name their key, and so does a bound too many. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

#define MS 1000000ull

enum { TEXT_BYTES = 8192 };

static void rules_are_in_their_order(void **state)
{
    struct config *config = load("metrics:\n"
                                 "  bounds_per_route:\n"
                                 "    - service: checkout*\n"
                                 "      route: /pay/*\n"
                                 "      bounds_ms: [100, 500.5]\n"
                                 "    - route: /slow\n"
                                 "      slow_ms: 5000\n",
        no_environment);
    const struct bounds_rules *rules = &config->metrics.bounds_per_route;

    (void)state;
    assert_int_equal(rules->count, 2);
    assert_string_equal(rules->items[0].service, "checkout*");
    assert_string_equal(rules->items[0].route, "/pay/*");
    assert_int_equal(rules->items[0].bounds_ns.count, 2);
    assert_int_equal(rules->items[0].bounds_ns.items[0], 100 * MS);
    assert_int_equal(rules->items[0].bounds_ns.items[1], 500 * MS + MS / 2);
    assert_int_equal(rules->items[0].slow_ms, 0);
    assert_null(rules->items[1].service);
    assert_string_equal(rules->items[1].route, "/slow");
    assert_int_equal(rules->items[1].bounds_ns.count, 0);
    assert_int_equal(rules->items[1].slow_ms, 5000);
    config_free(config);
}

static void bad_ones_name_their_key(void **state)
{
    (void)state;
    expect_error("metrics:\n  bounds_per_route:\n    - bounds_ms: [1]\n", 3, "metrics.bounds_per_route[0]",
        "expected a service or a route");
    expect_error("metrics:\n  bounds_per_route:\n    - service: a\n", 3, "metrics.bounds_per_route[0]",
        "expected bounds_ms, slow_ms or both");
    expect_error("metrics:\n  bounds_per_route:\n    - service: a\n      bounds_ms: []\n", 3,
        "metrics.bounds_per_route[0]", "expected bounds_ms, slow_ms or both");
    expect_error("metrics:\n  bounds_per_route:\n    - service: a\n      bounds_ms: [2, 1]\n", 4,
        "metrics.bounds_per_route[0].bounds_ms[1]", "each above the one before");
    expect_error("metrics:\n  bounds_per_route:\n    - service: a\n      bounds_ms: [0]\n", 4,
        "metrics.bounds_per_route[0].bounds_ms[0]", "milliseconds above 0");
    expect_error("metrics:\n  bounds_per_route:\n    - service: a\n      slow_ms: -1\n", 4,
        "metrics.bounds_per_route[0].slow_ms", "an integer from 0 to 3600000");
    expect_error("metrics:\n  bounds_per_route:\n    - svc: a\n", 3, "metrics.bounds_per_route[0].svc", "");
}

/* `each` bounds for every rule, no two rules sharing one. */
static void make_rules(char text[TEXT_BYTES], unsigned rule_count, unsigned each, const char *more)
{
    size_t used = (size_t)snprintf(text, TEXT_BYTES, "metrics:\n  bounds_ms: [1]\n  bounds_per_route:\n");

    for (unsigned rule = 0; rule < rule_count; rule++) {
        used +=
            (size_t)snprintf(text + used, TEXT_BYTES - used, "    - route: /%u\n      bounds_ms: [1", rule);
        for (unsigned i = 0; i < each; i++) {
            used += (size_t)snprintf(text + used, TEXT_BYTES - used, ", %u", 2 + rule * each + i);
        }
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "]\n");
        assert_true(used < TEXT_BYTES);
    }
    (void)snprintf(text + used, TEXT_BYTES - used, "%s", more);
}

/* One bound is everybody's, so 1 + 5 * 19 is the most that there may be. */
static void all_bounds_count_together(void **state)
{
    char text[TEXT_BYTES];

    (void)state;
    make_rules(text, 5, 19, "");
    config_free(load(text, no_environment));
    make_rules(text, 6, 19, "");
    expect_error(text, 15, "metrics.bounds_per_route[5].bounds_ms", "at most 96 different bounds");
    make_rules(text, 5, 19, "exporters:\n  prometheus:\n    profiles: [istio]\n");
    expect_error(text, 13, "metrics.bounds_per_route[4].bounds_ms", "at most 96 different bounds");
    make_rules(text, 65, 0, "");
    expect_error(text, 3, "metrics.bounds_per_route", "expected at most 64, got 65");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_in_their_order),
        cmocka_unit_test(bad_ones_name_their_key),
        cmocka_unit_test(all_bounds_count_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
