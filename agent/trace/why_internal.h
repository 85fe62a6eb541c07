/* What the why files share; for them alone. */
#ifndef WEFT_TRACE_WHY_INTERNAL_H
#define WEFT_TRACE_WHY_INTERNAL_H

#include "trace/why.h"
#include "trace/why_statistics.h"

enum {
    WHY_FEATURE_SLOTS = 2 * WHY_FEATURE_COUNT_MAX,
    WHY_CANDIDATE_COUNT_MAX = 64,
    WHY_SAMPLE_WORDS = (WHY_SAMPLE_COUNT + 63) / 64
};

/* What a request is to the question asked. */
enum why_mark { MARK_LEFT_OUT, MARK_REST, MARK_SLOW /* or failing */ };

/* Requests, and who tells of them. */
struct why_population {
    const struct observation **items;
    uint8_t *marks; /* enum why_mark; set anew for each group */
    uint32_t count;
    uint8_t seen_by; /* enum why_seen_by */
};

struct why_feature {
    uint8_t kind;
    bool is_part;
    uint32_t value;
    uint32_t slow_with, rest_with;
    double usual_ns;     /* of a part: its mean over the faster half */
    double fraction_sum; /* of a part: over slow requests, its share of what they took too long */
    double excess_ns;    /* over slow requests that have it */
    const struct observation *example;
};

struct why_attribute {
    uint32_t key_at, key_bytes, text_bytes; /* in the pool, the text behind the key */
    uint32_t with[2];                       /* samples of the rest, of the slow */
    uint64_t has[2][WHY_SAMPLE_WORDS];      /* which; a bit each */
    uint32_t example;                       /* the slowest slow sample */
    uint32_t hash;
};

struct why {
    uint32_t count_max;
    struct why_population requests;
    struct why_population calls; /* the same service as its callers saw it, for failures alone */
    const struct observations *observations;
    struct why_question question;
    uint64_t *totals_ns; /* sorted; later starts, then scratch */
    uint64_t *starts_ns; /* sorted: of all requests, for how many are under way */
    uint64_t *ends_ns;
    struct why_result result; /* in the making */
    double usual_ns;          /* mean total of the faster half */
    uint64_t half_ns;         /* the faster half: totals of at most this */
    uint64_t threshold_ns;
    /* of one group */
    struct why_feature features[WHY_FEATURE_COUNT_MAX];
    uint32_t feature_slots[WHY_FEATURE_SLOTS]; /* feature number + 1 */
    uint32_t feature_count;
    /* of the samples */
    const struct observation *samples[2][WHY_SAMPLE_COUNT];
    uint32_t sample_counts[2];
    struct why_attribute attributes[WHY_FEATURE_COUNT_MAX];
    uint32_t attribute_slots[WHY_FEATURE_SLOTS];
    uint32_t attribute_count;
    uint32_t pool_bytes;
    uint8_t pool[WHY_ATTRIBUTE_BYTES_MAX];
    struct why_cause candidates[WHY_CANDIDATE_COUNT_MAX];
    uint32_t candidate_count;
};

/* A request's time, the network before it included where it is known. */
uint64_t why_total_ns(const struct observation *o);
bool why_is_failing(const struct observation *o);

/* Response flags of the request and of its calls; a 429 counts as RL. */
uint32_t why_flags(const struct observation *o);

/* How many requests of the population were under way when `o` began, itself included. */
uint32_t why_under_way(const struct why *why, const struct observation *o);

struct why_part {
    uint8_t kind;
    uint32_t value;
    uint64_t ns;
};

enum { WHY_PART_COUNT_MAX = 2 + 3 * ATTRIBUTION_CALLEE_COUNT, WHY_TRAIT_COUNT_MAX = 40 };

/* Where a request's time went; parts of 0 are left out. */
uint32_t why_parts_of(uint8_t seen_by, const struct observation *o, struct why_part *parts);

/* What a request has: kinds and values. */
struct why_trait {
    uint8_t kind;
    uint32_t value;
};
uint32_t why_traits_of(
    const struct why *why, uint8_t seen_by, const struct observation *o, struct why_trait *traits);

/* Whether a part of a request is long enough to make it slow by half. */
bool why_is_long(const struct why *why, const struct why_feature *part, uint64_t ns);

struct why_feature *why_find_feature(struct why *why, bool is_part, uint8_t kind, uint32_t value);

/* Counts the features of the marked population; `group` is what its marks mean. */
void why_count_features(struct why *why, const struct why_population *population, enum why_group group);

/* Enters what is a cause of what was counted, attributes included for the slow. */
void why_judge_features(struct why *why, const struct why_population *population, enum why_group group);

/* Puts the group's causes in order and finds companions; the features must still be those of the group. */
void why_order_group(struct why *why, const struct why_population *population, enum why_group group);

void why_attributes_reset(struct why *why);

/* Whether a sample has the attribute of that number. */
bool why_sample_has(const struct why *why, bool is_slow, uint32_t sample, uint32_t attribute);

#endif
