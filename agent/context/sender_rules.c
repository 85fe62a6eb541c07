/* See sender_rules.h. Pure; any thread. */
#include "context/sender_rules.h"

#include <fnmatch.h>

static bool fits(const struct sender_patterns *patterns, const char *sender_id)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (fnmatch(patterns->items[i], sender_id, FNM_NOESCAPE) == 0) {
            return true;
        }
    }
    return false;
}

bool sender_rules_are_none(const struct sender_rules *rules)
{
    return rules->allow.count == 0 && rules->deny.count == 0;
}

bool sender_rules_allow(const struct sender_rules *rules, const char *sender_id)
{
    return !fits(&rules->deny, sender_id) && (rules->allow.count == 0 || fits(&rules->allow, sender_id));
}
