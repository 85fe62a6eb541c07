/* The conditions of `metrics.bounds_ms` and `metrics.bounds_per_route`. Main thread, at start and at each
 * reload. */
#include <stdio.h>

#include "config/loader.h"
#include "core/error.h"
#include "core/profiles.h"

_Static_assert(sizeof(struct bounds_list) == sizeof(struct config_numbers), "lists share one layout");
_Static_assert(sizeof(struct bounds_rules) == sizeof(struct config_numbers), "lists share one layout");

static int check_rule(struct loader *loader, size_t number)
{
    const struct bounds_rule *rule = &loader->config->metrics.bounds_per_route.items[number];
    char key[64];

    (void)snprintf(key, sizeof key, "metrics.bounds_per_route[%zu]", number);
    if (rule->service == NULL && rule->route == NULL) {
        return loader_fail(
            loader, WERR_CONFIG, key, "expected a service or a route: metrics.bounds_ms is for all");
    }
    if (rule->bounds_ns.count == 0 && rule->slow_ms == 0) {
        return loader_fail(loader, WERR_CONFIG, key, "expected bounds_ms, slow_ms or both");
    }
    return 0;
}

static int check_rules(struct loader *loader)
{
    const struct bounds_rules *rules = &loader->config->metrics.bounds_per_route;
    int status = 0;

    if (rules->count > BOUNDS_RULES_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "metrics.bounds_per_route", "expected at most %d, got %zu",
            BOUNDS_RULES_COUNT_MAX, rules->count);
    }
    for (size_t i = 0; status == 0 && i < rules->count; i++) {
        status = check_rule(loader, i);
    }
    return status;
}

int check_bounds(struct loader *loader)
{
    const struct config *config = loader->config;
    const struct config_numbers *own = &config->metrics.bounds_ns;
    const struct bounds_rules *rules = &config->metrics.bounds_per_route;
    uint64_t bounds_ns[CONFIG_BOUNDS_COUNT_MAX];
    int status = check_rules(loader);

    if (status < 0) {
        return status;
    }
    if (own->count > CONFIG_BOUNDS_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "metrics.bounds_ms", "expected at most %d bounds, got %zu",
            CONFIG_BOUNDS_COUNT_MAX, own->count);
    }
    int count = profiles_bounds(
        config->exporters.prometheus.profiles, own->items, own->count, bounds_ns, CONFIG_BOUNDS_COUNT_MAX);
    if (count < 0) {
        return loader_fail(loader, WERR_CONFIG, "metrics.bounds_ms",
            "expected at most %d bounds together with those of exporters.prometheus.profiles",
            CONFIG_BOUNDS_COUNT_MAX);
    }
    for (size_t i = 0; i < rules->count; i++) {
        const struct bounds_rules rule = {.items = &rules->items[i], .count = 1};
        char key[64];

        count = bounds_rules_add(&rule, bounds_ns, (size_t)count, CONFIG_BOUNDS_COUNT_MAX);
        if (count < 0) {
            (void)snprintf(key, sizeof key, "metrics.bounds_per_route[%zu].bounds_ms", i);
            return loader_fail(loader, WERR_CONFIG, key,
                "expected at most %d different bounds together with those of metrics.bounds_ms, of the rules "
                "before it and of exporters.prometheus.profiles",
                CONFIG_BOUNDS_COUNT_MAX);
        }
    }
    return 0;
}
