/*
 * Classic `le` bounds of some routes' own: the first rule that fits a destination and a route says which
 * bounds their durations are shown with, and from when on a request of theirs is slow.
 *
 *   service "checkout*" or "checkout.shop"   a pattern over NAME and NAME.NAMESPACE; NULL: all
 *   route   "/pay/ *"                       a pattern over the label `route`; NULL: all
 *
 * (Without the blank.) Counts are exact only at bounds that were in force when they were counted: all of
 * bounds_in_force, from start to end. Read-only once made; any thread.
 */
#ifndef WEFT_CORE_BOUNDS_RULES_H
#define WEFT_CORE_BOUNDS_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum { BOUNDS_RULES_COUNT_MAX = 64, BOUNDS_RULE_NONE = 255, BOUNDS_SLOW_MS_MAX = 3600000 };

struct bounds_list {
    uint64_t *items; /* ns, rising */
    size_t count;
};

struct bounds_rule {
    const char *service;          /* as fnmatch(3) reads it, or NULL */
    const char *route;            /* likewise */
    struct bounds_list bounds_ns; /* none: those that all others have */
    uint64_t slow_ms;             /* a longer request is slow; 0: as all others; at most BOUNDS_SLOW_MS_MAX */
};

struct bounds_rules {
    struct bounds_rule *items; /* the configuration's, its texts too */
    size_t count;              /* at most BOUNDS_RULES_COUNT_MAX */
};

/* The number of the first rule that fits; BOUNDS_RULE_NONE: none does. Texts may be empty. */
uint8_t bounds_rules_find(const struct bounds_rules *rules, struct slice service,
    struct slice service_namespace, struct slice route);

/* The smallest slow_ms of a rule, 0: none has one. */
uint64_t bounds_rules_slow_ms_min(const struct bounds_rules *rules);

/* Adds the rules' bounds to a set of `count` (core/bound_set.h): its new count, or WERR_OVERSIZED without
 * room. */
int bounds_rules_add(const struct bounds_rules *rules, uint64_t *set_ns, size_t count, size_t room_count);

/*
 * Every bound that is needed: those of all, those of the enabled profiles, those of the rules; ascending,
 * each once, into `out`. Returns how many, or WERR_OVERSIZED when there is no room for them.
 */
int bounds_in_force(const uint64_t *own_ns, size_t own_count, uint32_t profiles,
    const struct bounds_rules *rules, uint64_t *out_ns, size_t room_count);

#endif
