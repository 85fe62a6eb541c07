/*
 * The order of a group's causes, by the rules at the head of why.h, and which of them are only companions of
 * another. On why's owner's thread.
 */
#include <stdlib.h>

#include "context/response_flags.h"
#include "trace/why_internal.h"

enum tier {
    TIER_POLICY,
    TIER_RETRIES,
    TIER_WHERE,
    TIER_WHO,
    TIER_ATTRIBUTE,
    TIER_WHERE_YIELDING,
    TIER_SYMPTOM,
    TIER_CROWD
};

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
    return !cause->is_part &&
           (cause->kind == WHY_SENDER || cause->kind == WHY_VERSION || cause->kind == WHY_ROUTE ||
               cause->kind == WHY_CALLER || cause->kind == WHY_ATTRIBUTE);
}

/* ---- what causes are compared on ---- */

/* A request; `sample`: its number among the samples of its mark, where they are what is compared. */
struct row {
    const struct observation *o;
    uint8_t mark; /* enum why_mark */
    uint32_t sample;
};

struct rows {
    const struct why *why;
    const struct why_population *population;
    bool are_samples;
    uint32_t next;
};

/* All requests, or the samples alone where an attribute is among the causes. */
static struct rows rows_of(const struct why *why, const struct why_population *population,
    const struct why_cause *a, const struct why_cause *b)
{
    return (struct rows){.why = why,
        .population = population,
        .are_samples = a->kind == WHY_ATTRIBUTE || b->kind == WHY_ATTRIBUTE};
}

static bool next_sample(struct rows *rows, struct row *ret_row)
{
    const struct why *why = rows->why;
    uint32_t number = rows->next++;
    bool is_slow = number >= why->sample_counts[false];

    number -= is_slow ? why->sample_counts[false] : 0;
    if (number >= why->sample_counts[is_slow]) {
        return false;
    }
    *ret_row = (struct row){
        .o = why->samples[is_slow][number], .mark = is_slow ? MARK_SLOW : MARK_REST, .sample = number};
    return true;
}

/* False when there are no more. */
static bool next_row(struct rows *rows, struct row *ret_row)
{
    const struct why_population *population = rows->population;

    if (rows->are_samples) {
        return next_sample(rows, ret_row);
    }
    while (rows->next < population->count) {
        uint32_t i = rows->next++;
        if (population->marks[i] != MARK_LEFT_OUT) {
            *ret_row = (struct row){.o = population->items[i], .mark = population->marks[i]};
            return true;
        }
    }
    return false;
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

static bool has(const struct rows *rows, const struct row *row, const struct why_cause *cause)
{
    return cause->kind == WHY_ATTRIBUTE
               ? why_sample_has(rows->why, row->mark == MARK_SLOW, row->sample, cause->value)
               : has_trait(rows->why, rows->population->seen_by, row->o, cause);
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
    struct rows rows = rows_of(why, population, where, who);
    double with[2] = {0};
    double all[2] = {0};
    struct row row;

    while (part != NULL && next_row(&rows, &row)) {
        uint64_t ns = part_ns(population->seen_by, row.o, where);
        if (ns > 0) {
            bool is_long = why_is_long(why, part, ns);
            all[is_long]++;
            with[is_long] += has(&rows, &row, who);
        }
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
    case WHY_ATTRIBUTE:
        return TIER_ATTRIBUTE;
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
    struct rows rows = rows_of(why, population, cause, other);
    struct row row;

    while (next_row(&rows, &row)) {
        struct two_by_two *t = &strata[has(&rows, &row, other)];
        bool has_cause = has(&rows, &row, cause);
        if (row.mark == MARK_SLOW) {
            t->slow_count++;
            t->slow_with += has_cause;
        } else {
            t->rest_count++;
            t->rest_with += has_cause;
        }
    }
    return mantel_haenszel_chance(strata, 2) > companion_chance;
}

static bool is_compared(const struct why_cause *cause)
{
    return !cause->is_part;
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
