/* See bounds_rules.h. */
#include "core/bounds_rules.h"

#include "core/bound_set.h"
#include "core/profiles.h"
#include "core/service_pattern.h"

uint8_t bounds_rules_find(const struct bounds_rules *rules, struct slice service,
    struct slice service_namespace, struct slice route)
{
    for (size_t i = 0; i < rules->count && i < BOUNDS_RULES_COUNT_MAX; i++) {
        if (text_pattern_fits(rules->items[i].route, route) &&
            service_pattern_fits(rules->items[i].service, service, service_namespace)) {
            return (uint8_t)i;
        }
    }
    return BOUNDS_RULE_NONE;
}

uint64_t bounds_rules_slow_ms_min(const struct bounds_rules *rules)
{
    uint64_t smallest_ms = 0;

    for (size_t i = 0; i < rules->count; i++) {
        uint64_t slow_ms = rules->items[i].slow_ms;

        if (slow_ms > 0 && (smallest_ms == 0 || slow_ms < smallest_ms)) {
            smallest_ms = slow_ms;
        }
    }
    return smallest_ms;
}

int bounds_rules_add(const struct bounds_rules *rules, uint64_t *set_ns, size_t count, size_t room_count)
{
    int sum = (int)count;

    for (size_t r = 0; r < rules->count; r++) {
        const struct bounds_list *list = &rules->items[r].bounds_ns;

        for (size_t i = 0; i < list->count && sum >= 0; i++) {
            sum = bound_set_add(set_ns, (size_t)sum, room_count, list->items[i]);
        }
    }
    return sum;
}

int bounds_in_force(const uint64_t *own_ns, size_t own_count, uint32_t profiles,
    const struct bounds_rules *rules, uint64_t *out_ns, size_t room_count)
{
    int count = profiles_bounds(profiles, own_ns, own_count, out_ns, room_count);

    return count < 0 ? count : bounds_rules_add(rules, out_ns, (size_t)count, room_count);
}
