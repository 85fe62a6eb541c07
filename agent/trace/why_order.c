/*
 * The order of a group's causes, by the rules at the head of why.h, and which of them are only companions of
 * another. On why's owner's thread.
 */
#include <stdlib.h>

#include "context/response_flags.h"
#include "trace/why_internal.h"

enum tier { TIER_POLICY, TIER_RETRIES, TIER_WHERE, TIER_WHO, TIER_WHERE_YIELDING, TIER_SYMPTOM, TIER_CROWD };

enum { COMPARED_COUNT_MAX = 12 }; /* causes of a group that are compared with each other */

static const double companion_chance =
    0.01;                          /* what is likelier than this is chance, once the other is known */
static const double telling = 0.5; /* see yields */

/* Flags by which a proxy says that it did as it was told. */
static const uint64_t policy_flags = RESPONSE_FLAG(UO) | RESPONSE_FLAG(RL) | RESPONSE_FLAG(RLSE) |
                                     RESPONSE_FLAG(UAEX) | RESPONSE_FLAG(UH) | RESPONSE_FLAG(NR) |
                                     RESPONSE_FLAG(NC) | RESPONSE_FLAG(DI) | RESPONSE_FLAG(FI) |
                                     RESPONSE_FLAG(OM) | RESPONSE_FLAG(DO) | RESPONSE_FLAG(UDO);

static bool is_who(const struct why_cause *cause)
{
    return !cause->is_part && (cause->kind == WHY_SENDER || cause->kind == WHY_VERSION ||
                                  cause->kind == WHY_ROUTE || cause->kind == WHY_CALLER);
}

static bool has_trait(
    const struct why *why, uint8_t seen_by, const struct observation *o, const struct why_cause *cause)
{
    struct why_trait traits[WHY_TRAIT_COUNT_MAX];
    uint32_t count = why_traits_of(why, seen_by, o, traits);

    for (uint32_t i = 0; i < count; i++) {
        if (traits[i].kind == cause->kind && traits[i].value == cause->value) {
            return true;
        }
    }
    return false;
}

/* How long the part of a request is that the cause names; 0: it has none. */
static uint64_t part_ns(uint8_t seen_by, const struct observation *o, const struct why_cause *cause)
{
    struct why_part parts[WHY_PART_COUNT_MAX];
    uint32_t count = why_parts_of(seen_by, o, parts);

    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].kind == cause->kind && parts[i].value == cause->value) {
            return parts[i].ns;
        }
    }
    return 0;
}

/*
 * Of the requests that went to `where`, those that were long there and those that were not: whether `who`
 * tells one from the other.
 */
static bool yields(struct why *why, const struct why_population *population, const struct why_cause *where,
    const struct why_cause *who)
{
    const struct why_feature *part = why_find_feature(why, true, where->kind, where->value);
    double with[2] = {0};
    double all[2] = {0};

    for (uint32_t i = 0; i < population->count && part != NULL; i++) {
        const struct observation *o = population->items[i];
        uint64_t ns = part_ns(population->seen_by, o, where);
        if (population->marks[i] == MARK_LEFT_OUT || ns == 0) {
            continue;
        }
        bool is_long = why_is_long(why, part, ns);
        all[is_long]++;
        with[is_long] += has_trait(why, population->seen_by, o, who);
    }
    return all[0] > 0 && all[1] > 0 && with[1] / all[1] - with[0] / all[0] >= telling;
}

static bool yields_to_any(struct why *why, const struct why_population *population,
    const struct why_cause *where, const struct why_cause *causes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (causes[i].is_strong && is_who(&causes[i]) && yields(why, population, where, &causes[i])) {
            return true;
        }
    }
    return false;
}

static enum tier tier_of(struct why *why, const struct why_population *population,
    const struct why_cause *cause, const struct why_cause *causes, uint32_t count)
{
    switch ((enum why_kind)cause->kind) {
    case WHY_FLAG:
        return (policy_flags >> cause->value & 1) != 0 ? TIER_POLICY : TIER_SYMPTOM;
    case WHY_RETRIES:
        return TIER_RETRIES;
    case WHY_NETWORK_OUT:
    case WHY_NETWORK_IN:
    case WHY_CALLEE:
        if (!cause->is_part) {
            return TIER_WHO; /* a called service as a trait: of a service that is only seen to call */
        }
        return yields_to_any(why, population, cause, causes, count) ? TIER_WHERE_YIELDING : TIER_WHERE;
    case WHY_CROWD:
        return TIER_CROWD;
    case WHY_SELF:
        return TIER_CROWD;
    default:
        return TIER_WHO;
    }
}

struct ranked {
    struct why_cause cause;
    enum tier tier;
};

static int by_rank(const void *x, const void *y)
{
    const struct ranked *a = x;
    const struct ranked *b = y;

    if (a->cause.is_strong != b->cause.is_strong) {
        return a->cause.is_strong ? -1 : 1;
    }
    if (a->cause.is_strong && a->tier != b->tier) {
        return a->tier < b->tier ? -1 : 1;
    }
    if (a->cause.score != b->cause.score) {
        return a->cause.score > b->cause.score ? -1 : 1;
    }
    if (a->cause.kind != b->cause.kind) {
        return a->cause.kind < b->cause.kind ? -1 : 1;
    }
    return (a->cause.value > b->cause.value) - (a->cause.value < b->cause.value);
}

/* A crowd says something when it is the service's own time that grew; retries as a trait when no part of the
 * time tells of them. */
static bool is_superfluous(const struct why_cause *cause, const struct why_cause *causes, uint32_t count)
{
    bool self_grew = false;
    bool retries_told = false;

    for (uint32_t i = 0; i < count; i++) {
        self_grew |= causes[i].kind == WHY_SELF && causes[i].score >= WHY_SCORE_STRONG;
        retries_told |= causes[i].kind == WHY_RETRIES && causes[i].is_part;
    }
    return (cause->kind == WHY_CROWD && !self_grew) ||
           (cause->kind == WHY_RETRIES && !cause->is_part && retries_told);
}

/* Whether `cause` is chance among requests that agree about `other`. */
static bool is_explained(struct why *why, const struct why_population *population,
    const struct why_cause *cause, const struct why_cause *other)
{
    struct two_by_two strata[2] = {{.slow_with = 0}};

    for (uint32_t i = 0; i < population->count; i++) {
        const struct observation *o = population->items[i];
        if (population->marks[i] == MARK_LEFT_OUT) {
            continue;
        }
        struct two_by_two *t = &strata[has_trait(why, population->seen_by, o, other)];
        bool has = has_trait(why, population->seen_by, o, cause);
        if (population->marks[i] == MARK_SLOW) {
            t->slow_count++;
            t->slow_with += has;
        } else {
            t->rest_count++;
            t->rest_with += has;
        }
    }
    return mantel_haenszel_chance(strata, 2) > companion_chance;
}

static bool is_compared(const struct why_cause *cause)
{
    return !cause->is_part && cause->kind != WHY_ATTRIBUTE;
}

/* Companions go behind what explains them; where each explains the other, the first one stands. */
static void find_companions(struct why *why, const struct why_population *population,
    struct why_cause *causes, uint32_t count, uint32_t first)
{
    count = count < COMPARED_COUNT_MAX ? count : COMPARED_COUNT_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_compared(&causes[i]) || causes[i].companion_of >= 0) {
            continue;
        }
        for (uint32_t j = i + 1; j < count; j++) {
            if (!is_compared(&causes[j]) || causes[j].companion_of >= 0) {
                continue;
            }
            if (is_explained(why, population, &causes[j], &causes[i])) {
                causes[j].companion_of = (int8_t)(first + i);
            } else if (causes[j].is_strong && is_explained(why, population, &causes[i], &causes[j])) {
                struct why_cause companion = causes[i];
                causes[i] = causes[j];
                causes[j] = companion;
                causes[j].companion_of = (int8_t)(first + i);
            }
        }
    }
}

void why_order_group(struct why *why, const struct why_population *population, enum why_group group)
{
    struct ranked ranked[WHY_CANDIDATE_COUNT_MAX];
    uint32_t first = 0;
    uint32_t count = 0;

    while (first < why->candidate_count && why->candidates[first].group != group) {
        first++;
    }
    struct why_cause *causes = &why->candidates[first];
    uint32_t all = why->candidate_count - first;
    for (uint32_t i = 0; i < all; i++) {
        if (!is_superfluous(&causes[i], causes, all)) {
            ranked[count++] = (struct ranked){
                .cause = causes[i], .tier = tier_of(why, population, &causes[i], causes, all)};
        }
    }
    qsort(ranked, count, sizeof ranked[0], by_rank);
    for (uint32_t i = 0; i < count; i++) {
        causes[i] = ranked[i].cause;
    }
    why->candidate_count = first + count;
    find_companions(why, population, causes, count, first);
}
