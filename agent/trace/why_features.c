/*
 * What requests have: the parts of their time and their traits; counting them in two groups and judging which
 * are causes. On its owner's thread.
 */
#include <math.h>
#include <string.h>

#include "context/interner.h"
#include "context/response_flags.h"
#include "trace/why_internal.h"

/* ---- one observation ---- */

static void add_part(struct why_part *parts, uint32_t *count, enum why_kind kind, uint32_t value, uint32_t us)
{
    if (us > 0) {
        parts[(*count)++] = (struct why_part){.kind = (uint8_t)kind, .value = value, .ns = us * 1000ull};
    }
}

uint32_t why_parts_of(uint8_t seen_by, const struct observation *o, struct why_part *parts)
{
    bool is_caller = seen_by == WHY_SEEN_AS_CALLER;
    uint32_t count = 0;

    if (!o->has_self) {
        return 0;
    }
    if (seen_by == WHY_SEEN_BY_SERVICE) {
        add_part(parts, &count, WHY_SELF, 0, o->self_us);
        add_part(parts, &count, WHY_NETWORK_IN, o->caller, o->network_us);
    }
    for (int i = 0; i < ATTRIBUTION_CALLEE_COUNT && o->callees[i].service != 0; i++) {
        const struct observation_callee *callee = &o->callees[i];
        add_part(parts, &count, WHY_RETRIES, callee->service, callee->retry_us);
        if (seen_by == WHY_SEEN_BY_CALLERS) {
            add_part(parts, &count, WHY_SELF, 0, callee->own_us);
            add_part(parts, &count, WHY_NETWORK_IN, o->caller, callee->network_us);
        } else {
            add_part(parts, &count, WHY_CALLEE, callee->service, callee->own_us);
            add_part(parts, &count, WHY_NETWORK_OUT, callee->service, callee->network_us);
        }
        if (is_caller) {
            break;
        }
    }
    return count;
}

static void add_trait(struct why_trait *traits, uint32_t *count, enum why_kind kind, uint32_t value)
{
    traits[(*count)++] = (struct why_trait){.kind = (uint8_t)kind, .value = value};
}

static void add_named(struct why_trait *traits, uint32_t *count, enum why_kind kind, uint32_t name)
{
    if (name >= INTERNED_FIXED_COUNT) { /* that it is not known says nothing */
        add_trait(traits, count, kind, name);
    }
}

uint32_t why_traits_of(
    const struct why *why, uint8_t seen_by, const struct observation *o, struct why_trait *traits)
{
    uint32_t count = 0;

    if (seen_by != WHY_SEEN_BY_CALLERS) { /* there the sender is the caller's, not the service's */
        add_named(traits, &count, WHY_SENDER, o->sender);
        add_named(traits, &count, WHY_VERSION, o->version);
    }
    add_named(traits, &count, WHY_ROUTE, o->route);
    if (seen_by == WHY_SEEN_AS_CALLER) {
        add_named(traits, &count, WHY_CALLEE, o->service);
    } else {
        add_named(traits, &count, WHY_CALLER, o->caller);
    }
    for (uint32_t flags = why_flags(o); flags != 0; flags &= flags - 1) {
        add_trait(traits, &count, WHY_FLAG, (uint32_t)__builtin_ctz(flags));
    }
    if ((seen_by == WHY_SEEN_BY_SERVICE ? o->call_attempts : o->attempts) > 1) {
        add_trait(traits, &count, WHY_RETRIES, 0);
    }
    if (why_under_way(why, o) > why->result.crowd_count) {
        add_trait(traits, &count, WHY_CROWD, 0);
    }
    return count;
}

/* ---- the table ---- */

static uint32_t slot_of(bool is_part, uint8_t kind, uint32_t value)
{
    uint64_t key = (uint64_t)value << 8 | (uint64_t)(kind << 1 | is_part);

    return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 40) % WHY_FEATURE_SLOTS;
}

/* Its feature, or the empty slot where it would be. */
static struct why_feature *probe(
    struct why *why, bool is_part, uint8_t kind, uint32_t value, uint32_t **ret_slot)
{
    uint32_t at = slot_of(is_part, kind, value);

    for (; why->feature_slots[at] != 0; at = (at + 1) % WHY_FEATURE_SLOTS) {
        struct why_feature *feature = &why->features[why->feature_slots[at] - 1];
        if (feature->kind == kind && feature->value == value && feature->is_part == is_part) {
            return feature;
        }
    }
    *ret_slot = &why->feature_slots[at];
    return NULL;
}

struct why_feature *why_find_feature(struct why *why, bool is_part, uint8_t kind, uint32_t value)
{
    uint32_t *slot;

    return probe(why, is_part, kind, value, &slot);
}

/* NULL when there is no room for one more. */
static struct why_feature *obtain(struct why *why, bool is_part, uint8_t kind, uint32_t value)
{
    uint32_t *slot = NULL;
    struct why_feature *feature = probe(why, is_part, kind, value, &slot);

    if (feature == NULL && why->feature_count < WHY_FEATURE_COUNT_MAX) {
        feature = &why->features[why->feature_count++];
        *feature = (struct why_feature){.kind = kind, .value = value, .is_part = is_part};
        *slot = why->feature_count;
    }
    why->result.features_cut += feature == NULL;
    return feature;
}

/* ---- counting ---- */

/* One request that has it. */
static void note(
    const struct why *why, struct why_feature *feature, const struct observation *o, bool is_slow)
{
    const struct observation *example = feature->example;

    if (!is_slow) {
        feature->rest_with++;
        return;
    }
    feature->slow_with++;
    double excess_ns = (double)why_total_ns(o) - why->usual_ns;
    feature->excess_ns += excess_ns > 0 ? excess_ns : 0;
    if (example == NULL || why_total_ns(o) > why_total_ns(example)) {
        feature->example = o;
    }
}

bool why_is_long(const struct why *why, const struct why_feature *part, uint64_t ns)
{
    double enough_ns = ((double)why->threshold_ns - why->usual_ns) / 2;

    return (double)ns - part->usual_ns >= (enough_ns > 1 ? enough_ns : 1);
}

/* What is usual of each part: first, as all else is compared with it. */
static void measure_usual(struct why *why, const struct why_population *population)
{
    uint32_t usual_count = 0;

    for (uint32_t i = 0; i < population->count; i++) {
        struct why_part parts[WHY_PART_COUNT_MAX];
        const struct observation *o = population->items[i];
        if (population->marks[i] == MARK_LEFT_OUT) {
            continue;
        }
        bool is_usual = why_total_ns(o) <= why->half_ns;
        uint32_t count = why_parts_of(population->seen_by, o, parts);
        usual_count += is_usual;
        for (uint32_t j = 0; j < count; j++) {
            struct why_feature *part = obtain(why, true, parts[j].kind, parts[j].value);
            if (part != NULL && is_usual) {
                part->usual_ns += (double)parts[j].ns;
            }
        }
    }
    for (uint32_t i = 0; i < why->feature_count && usual_count > 0; i++) {
        why->features[i].usual_ns /= usual_count;
    }
}

static void count_parts(
    struct why *why, const struct why_population *population, const struct observation *o, bool is_slow)
{
    struct why_part parts[WHY_PART_COUNT_MAX];
    uint32_t count = why_parts_of(population->seen_by, o, parts);
    double too_long_ns = (double)why_total_ns(o) - why->usual_ns;

    for (uint32_t j = 0; j < count; j++) {
        struct why_feature *part = why_find_feature(why, true, parts[j].kind, parts[j].value);
        if (part == NULL) {
            continue;
        }
        if (is_slow && too_long_ns > 0) {
            double fraction = ((double)parts[j].ns - part->usual_ns) / too_long_ns;
            part->fraction_sum += fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
        }
        if (why_is_long(why, part, parts[j].ns)) {
            note(why, part, o, is_slow);
        }
    }
}

void why_count_features(struct why *why, const struct why_population *population, enum why_group group)
{
    why->feature_count = 0;
    memset(why->feature_slots, 0, sizeof why->feature_slots);
    if (group == WHY_GROUP_SLOW) {
        measure_usual(why, population);
    }
    for (uint32_t i = 0; i < population->count; i++) {
        struct why_trait traits[WHY_TRAIT_COUNT_MAX];
        const struct observation *o = population->items[i];
        bool is_slow = population->marks[i] == MARK_SLOW;
        if (population->marks[i] == MARK_LEFT_OUT) {
            continue;
        }
        if (group == WHY_GROUP_SLOW) {
            count_parts(why, population, o, is_slow);
        }
        uint32_t count = why_traits_of(why, population->seen_by, o, traits);
        for (uint32_t j = 0; j < count; j++) {
            struct why_feature *feature = obtain(why, false, traits[j].kind, traits[j].value);
            if (feature != NULL) {
                note(why, feature, o, is_slow);
            }
        }
    }
}

/* ---- judging ---- */

/* Enters a candidate, in place of the group's weakest when there is no room. */
static void propose(struct why *why, const struct why_cause *cause)
{
    struct why_cause *weakest = NULL;

    if (why->candidate_count < WHY_CANDIDATE_COUNT_MAX) {
        why->candidates[why->candidate_count++] = *cause;
        return;
    }
    for (uint32_t i = 0; i < why->candidate_count; i++) {
        struct why_cause *other = &why->candidates[i];
        if (other->group == cause->group && (weakest == NULL || other->score < weakest->score)) {
            weakest = other;
        }
    }
    if (weakest != NULL && weakest->score < cause->score) {
        *weakest = *cause;
    }
}

/* Shares, lift, score of a trait, chance. */
static void weigh(struct why_cause *cause, const struct two_by_two *table)
{
    double slow = (double)table->slow_with / (double)table->slow_count;
    double rest = (double)table->rest_with / (double)table->rest_count;
    double difference = slow - rest;

    cause->share_slow = slow;
    cause->share_rest = rest;
    cause->lift = rest > 0 ? slow / rest : slow > 0 ? HUGE_VAL : 1;
    cause->score = difference > 0 ? (difference + difference / (1 - rest)) / 2 : 0;
    cause->chance = difference > 0 ? fisher_chance(table) : 1;
    cause->slow_count = (uint32_t)table->slow_with;
    cause->companion_of = -1;
}

static void judge_feature(struct why *why, const struct why_feature *feature, enum why_group group,
    uint32_t slow_count, uint32_t rest_count, uint32_t tried_count)
{
    struct why_cause cause = {
        .kind = feature->kind,
        .group = (uint8_t)group,
        .is_part = feature->is_part,
        .value = feature->value,
        .excess_seconds = group == WHY_GROUP_SLOW ? feature->excess_ns / 1e9 : 0,
    };
    struct two_by_two table = {.slow_with = feature->slow_with,
        .slow_count = slow_count,
        .rest_with = feature->rest_with,
        .rest_count = rest_count};

    if (feature->slow_with == 0) {
        return;
    }
    weigh(&cause, &table);
    if (cause.is_part) {
        cause.score = feature->fraction_sum / slow_count;
    }
    if (cause.chance * tried_count > WHY_CHANCE || cause.score < WHY_SCORE_MIN) {
        return;
    }
    cause.is_strong = cause.score >= WHY_SCORE_STRONG && cause.kind != WHY_SELF;
    memcpy(cause.example_trace_id, feature->example->trace_id, sizeof cause.example_trace_id);
    cause.example_duration_ns = feature->example->duration_ns;
    propose(why, &cause);
}

/* What the slow samples that have it took beyond the usual. */
static double excess_of(const struct why *why, uint32_t number)
{
    double excess_ns = 0;

    for (uint32_t i = 0; i < why->sample_counts[true]; i++) {
        double too_long_ns = (double)why_total_ns(why->samples[true][i]) - why->usual_ns;
        excess_ns += why_sample_has(why, true, i, number) && too_long_ns > 0 ? too_long_ns : 0;
    }
    return excess_ns / 1e9;
}

static void judge_attribute(struct why *why, uint32_t number, uint32_t tried_count)
{
    const struct why_attribute *attribute = &why->attributes[number];
    struct why_cause cause = {
        .kind = WHY_ATTRIBUTE,
        .group = WHY_GROUP_SLOW,
        .value = number,
        .key = slice_of(why->pool + attribute->key_at, attribute->key_bytes),
        .text = slice_of(why->pool + attribute->key_at + attribute->key_bytes, attribute->text_bytes),
    };
    struct two_by_two table = {.slow_with = attribute->with[1],
        .slow_count = why->sample_counts[1],
        .rest_with = attribute->with[0],
        .rest_count = why->sample_counts[0]};

    if (attribute->with[1] == 0 || why->sample_counts[0] == 0) {
        return;
    }
    weigh(&cause, &table);
    if (cause.chance * tried_count > WHY_CHANCE || cause.score < WHY_SCORE_MIN) {
        return;
    }
    cause.is_strong = cause.score >= WHY_SCORE_STRONG;
    cause.excess_seconds = excess_of(why, number);
    const struct observation *example = why->samples[1][attribute->example];
    memcpy(cause.example_trace_id, example->trace_id, sizeof cause.example_trace_id);
    cause.example_duration_ns = example->duration_ns;
    propose(why, &cause);
}

void why_judge_features(struct why *why, const struct why_population *population, enum why_group group)
{
    uint32_t attribute_count = group == WHY_GROUP_SLOW ? why->attribute_count : 0;
    uint32_t tried_count = why->feature_count + attribute_count;
    uint32_t slow_count = 0;
    uint32_t rest_count = 0;

    for (uint32_t i = 0; i < population->count; i++) {
        slow_count += population->marks[i] == MARK_SLOW;
        rest_count += population->marks[i] == MARK_REST;
    }
    for (uint32_t i = 0; i < why->feature_count && slow_count > 0 && rest_count > 0; i++) {
        judge_feature(why, &why->features[i], group, slow_count, rest_count, tried_count);
    }
    for (uint32_t i = 0; i < attribute_count; i++) {
        judge_attribute(why, i, tried_count);
    }
}
