/* exporters.prometheus: naming profiles by name, and the bounds that they bring along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "core/profiles.h"
#include "loading.h"

static void each_name_is_the_profile_of_that_name(void **state)
{
    (void)state;
    for (int p = 0; p < PROFILE_COUNT; p++) {
        char text[128];
        enum profile profile;

        (void)snprintf(
            text, sizeof text, "exporters:\n  prometheus:\n    profiles: [%s]\n", profile_rows[p].name);
        struct config *config = load(text, no_environment);

        assert_int_equal(config->exporters.prometheus.profiles, 1u << p);
        assert_int_equal(profile_of(profile_rows[p].name, &profile), 0);
        assert_int_equal(profile, p);
        config_free(config);
    }
}

static void none_is_the_default(void **state)
{
    struct config *config = load("", no_environment);

    (void)state;
    assert_int_equal(config->exporters.prometheus.profiles, 0);
    assert_int_equal(config->exporters.prometheus.service_graph, CONFIG_GRAPH_DESTINATION);
    config_free(config);
}

static void the_graph_may_be_the_sources(void **state)
{
    struct config *config = load("exporters:\n  prometheus:\n    profiles: [servicegraph, tempo]\n"
                                 "    service_graph: source\n",
        no_environment);

    (void)state;
    assert_int_equal(config->exporters.prometheus.profiles, PROFILE_BIT(SERVICEGRAPH) | PROFILE_BIT(TEMPO));
    assert_int_equal((int)config->exporters.prometheus.service_graph, (int)PROFILE_GRAPH_SOURCE);
    config_free(config);
}

static void other_names_are_refused(void **state)
{
    (void)state;
    expect_error("exporters:\n  prometheus:\n    profiles: [istio, envoy]\n", 3,
        "exporters.prometheus.profiles", "istio, linkerd, spanmetrics");
    expect_error("exporters:\n  prometheus:\n    profiles: [istio, istio]\n", 3,
        "exporters.prometheus.profiles", "expected");
    expect_error("exporters:\n  prometheus:\n    service_graph: both\n", 3,
        "exporters.prometheus.service_graph", "destination, source");
}

/* All profiles fit beside the default bounds; not beside any others. */
static void bounds_are_counted_together(void **state)
{
    static const char all[] =
        "exporters:\n  prometheus:\n    profiles: [istio, linkerd, spanmetrics, tempo, servicegraph, otel]\n";
    uint64_t bounds_ns[CONFIG_BOUNDS_COUNT_MAX];
    char text[2048];
    size_t used = 0;
    struct config *config = load(all, no_environment);
    int count = profiles_bounds(config->exporters.prometheus.profiles, config->metrics.bounds_ns.items,
        config->metrics.bounds_ns.count, bounds_ns, CONFIG_BOUNDS_COUNT_MAX);

    (void)state;
    assert_in_range(count, 50, CONFIG_BOUNDS_COUNT_MAX);
    for (int i = 1; i < count; i++) {
        assert_true(bounds_ns[i] > bounds_ns[i - 1]);
    }
    config_free(config);

    used += (size_t)snprintf(text, sizeof text, "%smetrics:\n  bounds_ms: [", all);
    for (int i = 0; i < 60; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d.25", i > 0 ? ", " : "", i + 1);
    }
    (void)snprintf(text + used, sizeof text - used, "]\n");
    expect_error(text, 5, "metrics.bounds_ms", "together with");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_is_the_profile_of_that_name),
        cmocka_unit_test(none_is_the_default),
        cmocka_unit_test(the_graph_may_be_the_sources),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(bounds_are_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
