/*
 * Why is this service slow? Compares the slow requests of a service with the rest of them and ranks what is
 * over-represented. Pure code over observations.h; memory is made at start. One thread.
 *
 * Groups. Slow: longer than the value below which all but WHY_SLOW_SHARE of the requests lie; of few
 * requests, where that would be a handful, up to WHY_SLOW_COUNT, at most a tenth, or those of them above the
 * widest gap, if there is one of at least WHY_GAP_MIN; or longer than a bound that the asker gives. A
 * request's time is what its service took plus the network before it, where both ends were seen. Failing:
 * ended by an error of the server or without a response, or turned away by a rate limit; those that callers
 * saw are looked at apart from those that the service saw, and never added.
 *
 * Evidence. A feature is something that a request has or has not: a pod, a version, a route, a caller, a
 * response flag, retries, an attribute, a crowd (many requests of the service under way when it began); and,
 * for each part of its time (own, each called service, each network, retries), whether that part alone is
 * longer than usual by half of what makes a request slow. Usual is its mean over the faster half.
 *
 *   share_slow, share_rest   of the requests that have it
 *   lift                     share_slow / share_rest
 *   score of a part          mean share of the slow requests' excess time that lies in it, 0 ... 1
 *   score of all else        mean of share_slow - share_rest and (share_slow - share_rest) / (1 -
 * share_rest): the second is the part of the slow requests that it can explain, and alone would not prefer a
 * pod to a route that all pods serve
 *
 * A feature is a cause only when Fisher's exact test, one-sided, says that chance is less likely than
 * WHY_CHANCE divided by the number of features that were tried (Bonferroni), and its score is at least
 * WHY_SCORE_MIN; so a handful of requests or a hundred routes rank no noise.
 *
 * Order of the causes with at least WHY_SCORE_STRONG: first what a proxy decided by policy (circuit breaker,
 * rate limit), then retries, the network and called services, then who and what (pod, version, route, caller;
 * attributes after them, as many say the same in other words), then flags that are symptoms, then the crowd,
 * which only counts when the service's own time is what grew. A network or called service yields to a who
 * when even among the requests that went there it is the who that tells slow from fast: then it is not there
 * that all are slow. A cause that loses its significance once requests are compared within those that have
 * another, and within those that have not (Mantel and Haenszel), is only that one's companion: it says so,
 * and stands behind it. Where an attribute takes part, the samples alone are compared: only of them it is
 * known.
 *
 * No single cause: when the slow requests are not WHY_SLOWER_MIN times as long as the usual one (an even
 * service has a slowest hundredth as well), or no cause is strong. The service's own time is no cause by
 * itself, whatever its share: it says where, not why.
 */
#ifndef WEFT_TRACE_WHY_H
#define WEFT_TRACE_WHY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"
#include "trace/observations.h"

#define WHY_SLOW_SHARE 0.01
#define WHY_CHANCE 0.001
#define WHY_SCORE_MIN 0.1
#define WHY_SCORE_STRONG 0.5
#define WHY_SLOWER_MIN 1.25
#define WHY_GAP_MIN 1.25
#define WHY_FAILING_SHARE_MIN 0.005 /* fewer failures are not looked into */

enum {
    WHY_SLOW_COUNT = 30,
    WHY_SLOW_COUNT_MIN = 8,
    WHY_REQUEST_COUNT_MIN = 40, /* fewer say nothing */
    WHY_FAILING_COUNT_MIN = 5,
    WHY_CAUSE_COUNT_MAX = 16,
    WHY_SAMPLE_COUNT = 200,              /* traces of each group whose attributes are compared */
    WHY_FEATURE_COUNT_MAX = 4096,        /* told apart; those past it are counted and not compared */
    WHY_ATTRIBUTE_BYTES_MAX = 512 * 1024 /* texts of attributes; likewise */
};

enum why_kind {
    WHY_FLAG,        /* value: index of a response flag */
    WHY_RETRIES,     /* value: the called service, 0 when no part of the time tells which */
    WHY_NETWORK_OUT, /* value: the called service */
    WHY_NETWORK_IN,  /* value: the caller */
    WHY_CALLEE,      /* value: the called service */
    WHY_SENDER,
    WHY_VERSION,
    WHY_ROUTE,
    WHY_CALLER,
    WHY_ATTRIBUTE, /* value: only why's own; key and text instead */
    WHY_CROWD,     /* value: none; how many they are is in crowd_count: it queues */
    WHY_SELF,      /* value: none */
    WHY_KIND_COUNT
};

/* What a cause makes requests be: slow, failing, or failing as callers saw it. */
enum why_group { WHY_GROUP_SLOW, WHY_GROUP_FAILING, WHY_GROUP_FAILING_CALLS, WHY_GROUP_COUNT };

struct why_cause {
    uint8_t kind;  /* enum why_kind */
    uint8_t group; /* enum why_group */
    bool is_part;  /* of the time */
    bool is_strong;
    uint32_t value;
    struct slice key; /* of an attribute, and its value; valid until the next why_select */
    struct slice text;
    double share_slow;
    double share_rest;
    double lift; /* HUGE_VAL when none of the rest has it */
    double score;
    double chance;                /* Fisher's, before the correction */
    double excess_seconds;        /* over all slow requests that have it: what they took beyond the usual */
    uint32_t slow_count;          /* that have it */
    uint8_t example_trace_id[16]; /* the slowest of those; of failures the last */
    uint64_t example_duration_ns;
    int8_t companion_of; /* index of the cause that this one comes with; -1: stands by itself */
};

/* How the time of the slow compares with the usual. */
struct why_parts {
    double self_seconds;
    double callees_seconds;
    double network_seconds; /* before it, and to the services it called */
    double retries_seconds;
};

enum why_verdict { WHY_NO_REQUESTS, WHY_NO_SINGLE_CAUSE, WHY_CAUSE_FOUND };

/* Whose spans told. */
enum why_seen_by { WHY_SEEN_BY_SERVICE, WHY_SEEN_BY_CALLERS, WHY_SEEN_AS_CALLER };

struct why_result {
    uint8_t verdict; /* enum why_verdict */
    uint8_t seen_by; /* enum why_seen_by */
    bool is_even;    /* the slow ones are hardly slower than the usual */
    uint32_t request_count;
    uint32_t slow_count;
    uint32_t failing_count;
    uint32_t sample_counts[2]; /* traces of which attributes were told: of the rest, of the slow */
    double threshold_seconds;  /* slow is longer than this */
    double usual_seconds;      /* mean of the faster half */
    double slow_seconds;       /* mean of the slow */
    struct why_parts usual;
    struct why_parts slow;
    uint32_t crowd_count;  /* a crowd is more requests under way than this */
    uint32_t features_cut; /* sightings of what was not compared, for want of room */
    struct why_cause causes[WHY_CAUSE_COUNT_MAX];
    uint32_t cause_count;
};

struct why_question {
    uint32_t service;
    uint32_t service_namespace; /* with any_namespace: not looked at */
    bool any_namespace;
    uint64_t from_unix_ns; /* requests that ended within [from, until] */
    uint64_t until_unix_ns;
    uint64_t slow_ns; /* slow is longer than this; 0: by quantile */
};

struct why;

/* For observations rings of at most count_max: 40 bytes each and about 1 MiB. NULL when memory is short. */
struct why *why_new(uint32_t count_max);
size_t why_bytes_of(uint32_t count_max); /* that it takes, resident when it was asked */
void why_free(struct why *why);

/* Picks the requests and makes the groups. The observations must stay as they are until why_rank. */
void why_select(
    struct why *why, const struct observations *observations, const struct why_question *question);

/*
 * Attributes are optional, between select and rank. Samples of both groups, at most WHY_SAMPLE_COUNT each:
 * whoever can read their spans tells each attribute of each sample, those of the slow ones first: what none
 * of them has is not looked at. Repetitions count once.
 */
uint32_t why_sample_count(const struct why *why, bool is_slow);
const uint8_t *why_sample_trace_id(const struct why *why, bool is_slow, uint32_t sample);
void why_add_attribute(struct why *why, bool is_slow, uint32_t sample, struct slice key, struct slice text);

/*
 * Where reading takes a while: the samples' traces are noted, what is known of them is fetched, the requests
 * are selected anew, and these are made the samples. Those of which nothing was found are to be left out, as
 * they would count as having no attribute. trace_ids: sorted by memcmp. Before the first why_add_attribute.
 */
void why_use_samples(struct why *why, const uint8_t (*trace_ids)[16], uint32_t count);

void why_rank(struct why *why, struct why_result *ret_result);

/* "pod", "callee" …: short and stable, for JSON. */
const char *why_kind_name(enum why_kind kind);

#endif
