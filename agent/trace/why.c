/*
 * Picks the requests of a service, makes the groups, and puts the causes of all groups together; what is
 * counted and judged within a group is in why_features.c and why_order.c. On its owner's thread.
 */
#include "trace/why.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "context/request.h"
#include "context/response_flags.h"
#include "trace/why_internal.h"

enum { STATUS_TOO_MANY_REQUESTS = 429 };

_Static_assert(RESPONSE_FLAG_COUNT <= 32, "response flags fit an observation");

const char *why_kind_name(enum why_kind kind)
{
    static const char *const names[WHY_KIND_COUNT] = {
        [WHY_FLAG] = "response_flag",
        [WHY_RETRIES] = "retries",
        [WHY_NETWORK_OUT] = "network_to",
        [WHY_NETWORK_IN] = "network_from",
        [WHY_CALLEE] = "callee",
        [WHY_SENDER] = "pod",
        [WHY_VERSION] = "version",
        [WHY_ROUTE] = "route",
        [WHY_CALLER] = "caller",
        [WHY_ATTRIBUTE] = "attribute",
        [WHY_CROWD] = "queueing",
        [WHY_SELF] = "self",
    };

    return names[kind];
}

/* ---- one observation ---- */

uint64_t why_total_ns(const struct observation *o)
{
    return o->side == TIMING_SERVER ? o->duration_ns + o->network_us * 1000ull : o->duration_ns;
}

uint32_t why_flags(const struct observation *o)
{
    uint32_t flags = o->flags | o->call_flags;

    return o->response_code == STATUS_TOO_MANY_REQUESTS ? flags | (uint32_t)RESPONSE_FLAG(RL) : flags;
}

bool why_is_failing(const struct observation *o)
{
    return o->outcome == OUTCOME_SERVER_ERROR || o->outcome == OUTCOME_NO_RESPONSE ||
           o->response_code == STATUS_TOO_MANY_REQUESTS || (o->flags & RESPONSE_FLAG(RL)) != 0;
}

static uint64_t start_ns(const struct observation *o)
{
    return o->end_unix_ns > o->duration_ns ? o->end_unix_ns - o->duration_ns : 0;
}

static int ascending(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x;
    uint64_t b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

/* How many of the sorted are at most `value`. */
static uint32_t count_up_to(const uint64_t *sorted, uint32_t count, uint64_t value)
{
    uint32_t low = 0;

    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (sorted[middle] <= value) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

uint32_t why_under_way(const struct why *why, const struct observation *o)
{
    uint32_t count = why->requests.count;
    uint64_t at_ns = start_ns(o);
    uint32_t begun = count_up_to(why->starts_ns, count, at_ns);
    uint32_t ended = count_up_to(why->ends_ns, count, at_ns);

    return begun > ended ? begun - ended : 0;
}

/* ---- picking ---- */

static bool is_asked_for(const struct why_question *question, const struct observation *o)
{
    return o->end_unix_ns >= question->from_unix_ns && o->end_unix_ns <= question->until_unix_ns;
}

static bool is_called(const struct why_question *question, const struct observation *o)
{
    return o->service == question->service &&
           (question->any_namespace || o->service_namespace == question->service_namespace);
}

static void pick(struct why *why, struct why_population *population, enum why_seen_by seen_by)
{
    uint32_t count = observations_count(why->observations);

    population->count = 0;
    population->seen_by = (uint8_t)seen_by;
    for (uint32_t i = 0; i < count && population->count < why->count_max; i++) {
        const struct observation *o = observations_at(why->observations, i);
        bool is_wanted = seen_by == WHY_SEEN_AS_CALLER
                             ? o->side == TIMING_CLIENT && o->caller == why->question.service
                             : is_called(&why->question, o) &&
                                   (o->side == TIMING_SERVER) == (seen_by == WHY_SEEN_BY_SERVICE);
        if (is_wanted && is_asked_for(&why->question, o)) {
            population->items[population->count++] = o;
        }
    }
}

/* What the service saw itself; else what its callers saw; else what it saw of those that it calls. */
static void pick_populations(struct why *why)
{
    pick(why, &why->requests, WHY_SEEN_BY_SERVICE);
    pick(why, &why->calls, WHY_SEEN_BY_CALLERS);
    if (why->requests.count < WHY_REQUEST_COUNT_MIN && why->calls.count > why->requests.count) {
        pick(why, &why->requests, WHY_SEEN_BY_CALLERS);
        why->calls.count = 0;
    }
    if (why->requests.count == 0) {
        pick(why, &why->requests, WHY_SEEN_AS_CALLER);
    }
}

static void sort_times(struct why *why)
{
    struct why_population *p = &why->requests;

    for (uint32_t i = 0; i < p->count; i++) {
        why->starts_ns[i] = start_ns(p->items[i]);
        why->ends_ns[i] = p->items[i]->end_unix_ns;
    }
    qsort(why->starts_ns, p->count, sizeof(uint64_t), ascending);
    qsort(why->ends_ns, p->count, sizeof(uint64_t), ascending);
}

/* Sorts the totals of requests that are marked MARK_REST; their number. */
static uint32_t sort_totals(struct why *why)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < why->requests.count; i++) {
        if (why->requests.marks[i] == MARK_REST) {
            why->totals_ns[count++] = why_total_ns(why->requests.items[i]);
        }
    }
    qsort(why->totals_ns, count, sizeof(uint64_t), ascending);
    return count;
}

/*
 * Failures that were quick say nothing about slowness, and many of them would make everything else look slow:
 * those below the median of the others are left out.
 */
static void leave_out_quick_failures(struct why *why)
{
    struct why_population *p = &why->requests;

    for (uint32_t i = 0; i < p->count; i++) {
        p->marks[i] = why_is_failing(p->items[i]) ? MARK_LEFT_OUT : MARK_REST;
    }
    uint32_t count = sort_totals(why);
    uint64_t median_ns = count > 0 ? why->totals_ns[count / 2] : 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (why_total_ns(p->items[i]) >= median_ns) {
            p->marks[i] = MARK_REST;
        }
    }
}

/*
 * The value that slow requests are longer than. All of the sorted totals above the share or the count that
 * why.h says; where that is more than the share, the widest gap within decides: a few slow ones must not be
 * lost among the longest of the others. Of times that are told in milliseconds many are the same: when that
 * leaves too few above, those at the bound are slow as well.
 */
static uint64_t threshold_of(const uint64_t *sorted_ns, uint32_t count)
{
    uint32_t share = (uint32_t)(WHY_SLOW_SHARE * count);
    uint32_t tenth = count / 10;
    uint32_t most = tenth < WHY_SLOW_COUNT ? tenth : WHY_SLOW_COUNT;
    most = share > most ? share : most;
    uint32_t least = share > WHY_SLOW_COUNT_MIN ? share : WHY_SLOW_COUNT_MIN;
    uint32_t at = count - 1 - most; /* the last that is not slow */
    double widest = WHY_GAP_MIN;

    for (uint32_t i = at; i + least < count; i++) {
        double gap = (double)sorted_ns[i + 1] / (double)(sorted_ns[i] + 1);
        if (gap > widest) {
            widest = gap;
            at = i;
        }
    }
    uint32_t lower = count_up_to(sorted_ns, count, sorted_ns[at] - (sorted_ns[at] > 0));
    if (count - count_up_to(sorted_ns, count, sorted_ns[at]) < least / 2 && lower > count / 4 * 3) {
        at = lower - 1;
    }
    return sorted_ns[at];
}

static void mark_slow(struct why *why)
{
    struct why_population *p = &why->requests;
    struct why_result *result = &why->result;
    double slow_sum_ns = 0, usual_sum_ns = 0;
    uint32_t usual_count = 0;

    leave_out_quick_failures(why);
    uint32_t count = sort_totals(why);
    if (count == 0) {
        return;
    }
    why->half_ns = why->totals_ns[(count - 1) / 2];
    why->threshold_ns =
        why->question.slow_ns > 0 ? why->question.slow_ns : threshold_of(why->totals_ns, count);
    for (uint32_t i = 0; i < p->count; i++) {
        uint64_t total_ns = why_total_ns(p->items[i]);
        if (p->marks[i] == MARK_LEFT_OUT) {
            continue;
        }
        if (total_ns <= why->half_ns) {
            usual_sum_ns += (double)total_ns;
            usual_count++;
        }
        if (total_ns > why->threshold_ns) {
            p->marks[i] = MARK_SLOW;
            slow_sum_ns += (double)total_ns;
            result->slow_count++;
        }
    }
    why->usual_ns = usual_sum_ns / usual_count;
    result->threshold_seconds = (double)why->threshold_ns / 1e9;
    result->usual_seconds = why->usual_ns / 1e9;
    result->slow_seconds = result->slow_count > 0 ? slow_sum_ns / result->slow_count / 1e9 : 0;
    result->is_even =
        result->slow_count == 0 || result->slow_seconds < WHY_SLOWER_MIN * result->usual_seconds;
}

/* Crowded: more than twice as many as at the median request's start, and one. */
static void measure_crowd(struct why *why)
{
    struct why_population *p = &why->requests;
    uint64_t *under_way = why->totals_ns; /* no longer needed */

    for (uint32_t i = 0; i < p->count; i++) {
        under_way[i] = why_under_way(why, p->items[i]);
    }
    qsort(under_way, p->count, sizeof(uint64_t), ascending);
    why->result.crowd_count = p->count > 0 ? (uint32_t)(2 * under_way[p->count / 2] + 1) : 0;
}

/* ---- samples ---- */

/* Spread evenly over those of the mark, so that no moment is all there is. */
static void pick_samples(struct why *why, bool is_slow)
{
    const struct why_population *p = &why->requests;
    uint8_t mark = is_slow ? MARK_SLOW : MARK_REST;
    uint32_t all = 0;
    uint32_t seen = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        all += p->marks[i] == mark;
    }
    for (uint32_t i = 0; i < p->count && count < WHY_SAMPLE_COUNT; i++) {
        if (p->marks[i] != mark) {
            continue;
        }
        if (all <= WHY_SAMPLE_COUNT || (uint64_t)seen * WHY_SAMPLE_COUNT / all == count) {
            why->samples[is_slow][count++] = p->items[i];
        }
        seen++;
    }
    why->sample_counts[is_slow] = count;
}

static int compare_ids(const void *x, const void *y)
{
    return memcmp(x, y, sizeof(uint8_t[16]));
}

void why_use_samples(struct why *why, const uint8_t (*trace_ids)[16], uint32_t count)
{
    const struct why_population *p = &why->requests;

    why_attributes_reset(why);
    for (uint32_t i = 0; i < p->count && count > 0; i++) {
        bool is_slow = p->marks[i] == MARK_SLOW;
        if (p->marks[i] != MARK_LEFT_OUT && why->sample_counts[is_slow] < WHY_SAMPLE_COUNT &&
            bsearch(p->items[i]->trace_id, trace_ids, count, sizeof trace_ids[0], compare_ids) != NULL) {
            why->samples[is_slow][why->sample_counts[is_slow]++] = p->items[i];
        }
    }
    memcpy(why->result.sample_counts, why->sample_counts, sizeof why->result.sample_counts);
}

uint32_t why_sample_count(const struct why *why, bool is_slow)
{
    return why->sample_counts[is_slow];
}

const uint8_t *why_sample_trace_id(const struct why *why, bool is_slow, uint32_t sample)
{
    return why->samples[is_slow][sample]->trace_id;
}

void why_select(struct why *why, const struct observations *observations, const struct why_question *question)
{
    why->observations = observations;
    why->question = *question;
    why->result = (struct why_result){.verdict = WHY_NO_REQUESTS};
    why->candidate_count = 0;
    why_attributes_reset(why);
    pick_populations(why);
    sort_times(why);
    mark_slow(why);
    measure_crowd(why);
    pick_samples(why, false);
    pick_samples(why, true);
}

/* ---- the answer ---- */

/* Mean seconds of each kind of part, of the slow or of the faster half. */
static struct why_parts mean_parts(const struct why *why, bool is_slow)
{
    const struct why_population *p = &why->requests;
    double sums_ns[WHY_KIND_COUNT] = {0};
    uint32_t count = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        struct why_part parts[WHY_PART_COUNT_MAX];
        bool fits = is_slow ? p->marks[i] == MARK_SLOW
                            : p->marks[i] != MARK_LEFT_OUT && why_total_ns(p->items[i]) <= why->half_ns;
        uint32_t part_count = fits ? why_parts_of(p->seen_by, p->items[i], parts) : 0;
        count += fits;
        for (uint32_t j = 0; j < part_count; j++) {
            sums_ns[parts[j].kind] += (double)parts[j].ns;
        }
    }
    double per_second = count > 0 ? 1e9 * count : 1;
    return (struct why_parts){
        .self_seconds = sums_ns[WHY_SELF] / per_second,
        .callees_seconds = sums_ns[WHY_CALLEE] / per_second,
        .network_seconds = (sums_ns[WHY_NETWORK_IN] + sums_ns[WHY_NETWORK_OUT]) / per_second,
        .retries_seconds = sums_ns[WHY_RETRIES] / per_second,
    };
}

static uint32_t mark_failing(struct why_population *population)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < population->count; i++) {
        bool is_failing = why_is_failing(population->items[i]);
        population->marks[i] = is_failing ? MARK_SLOW : MARK_REST;
        count += is_failing;
    }
    return count;
}

static void judge_group(struct why *why, struct why_population *population, enum why_group group)
{
    why_count_features(why, population, group);
    why_judge_features(why, population, group);
    why_order_group(why, population, group);
}

static double judge_failures(struct why *why, struct why_population *population, enum why_group group)
{
    uint32_t failing_count = mark_failing(population);
    double share = population->count > 0 ? (double)failing_count / population->count : 0;

    if (failing_count > why->result.failing_count) {
        why->result.failing_count = failing_count;
    }
    if (failing_count >= WHY_FAILING_COUNT_MIN && share >= WHY_FAILING_SHARE_MIN) {
        judge_group(why, population, group);
    }
    return share;
}

static bool is_there_already(const struct why_result *result, const struct why_cause *cause)
{
    for (uint32_t i = 0; i < result->cause_count; i++) {
        const struct why_cause *other = &result->causes[i];
        if (other->kind == cause->kind && other->value == cause->value && cause->kind != WHY_ATTRIBUTE &&
            other->group != cause->group) {
            return true;
        }
    }
    return false;
}

/* Appends the group's causes in their order; companions are renumbered to their place in the answer. */
static void take_group(struct why *why, enum why_group group, bool strong)
{
    struct why_result *result = &why->result;

    for (uint32_t i = 0; i < why->candidate_count; i++) {
        struct why_cause *cause = &why->candidates[i];
        if (cause->group == group && cause->is_strong == strong &&
            result->cause_count < WHY_CAUSE_COUNT_MAX && !is_there_already(result, cause)) {
            result->causes[result->cause_count++] = *cause;
        }
    }
}

/* companion_of names a candidate until now. */
static void renumber_companions(struct why *why)
{
    struct why_result *result = &why->result;

    for (uint32_t i = 0; i < result->cause_count; i++) {
        struct why_cause *cause = &result->causes[i];
        int8_t main_cause = cause->companion_of;
        cause->companion_of = -1;
        for (uint32_t j = 0; main_cause >= 0 && j < result->cause_count; j++) {
            const struct why_cause *of = &why->candidates[main_cause];
            const struct why_cause *other = &result->causes[j];
            if (other->kind == of->kind && other->value == of->value && other->group == of->group) {
                cause->companion_of = (int8_t)j;
            }
        }
    }
}

/* The group that more requests are in comes first; strong causes of all before weak ones of any. */
static void take_causes(struct why *why, const double shares[WHY_GROUP_COUNT])
{
    uint8_t order[WHY_GROUP_COUNT] = {WHY_GROUP_SLOW, WHY_GROUP_FAILING, WHY_GROUP_FAILING_CALLS};

    for (int i = 1; i < WHY_GROUP_COUNT; i++) {
        for (int j = i; j > 0 && shares[order[j]] > shares[order[j - 1]]; j--) {
            uint8_t moved = order[j];
            order[j] = order[j - 1];
            order[j - 1] = moved;
        }
    }
    for (int strong = 1; strong >= 0; strong--) {
        for (int i = 0; i < WHY_GROUP_COUNT; i++) {
            take_group(why, order[i], strong != 0);
        }
    }
    renumber_companions(why);
}

void why_rank(struct why *why, struct why_result *ret_result)
{
    struct why_result *result = &why->result;
    double shares[WHY_GROUP_COUNT] = {0};

    result->request_count = why->requests.count;
    result->seen_by = why->requests.seen_by;
    if (result->request_count > 0) {
        result->usual = mean_parts(why, false);
        result->slow = mean_parts(why, true);
    }
    if (result->request_count >= WHY_REQUEST_COUNT_MIN) {
        if (!result->is_even) {
            judge_group(why, &why->requests, WHY_GROUP_SLOW);
        }
        shares[WHY_GROUP_SLOW] = (double)result->slow_count / result->request_count;
        shares[WHY_GROUP_FAILING] = judge_failures(why, &why->requests, WHY_GROUP_FAILING);
        shares[WHY_GROUP_FAILING_CALLS] = judge_failures(why, &why->calls, WHY_GROUP_FAILING_CALLS);
        take_causes(why, shares);
        result->verdict =
            result->cause_count > 0 && result->causes[0].is_strong ? WHY_CAUSE_FOUND : WHY_NO_SINGLE_CAUSE;
    }
    *ret_result = *result;
}

/* ---- start and stop ---- */

static bool make_population(struct why_population *population, uint32_t count_max)
{
    population->items = calloc(count_max, sizeof(*population->items));
    population->marks = calloc(count_max, 1);
    return population->items != NULL && population->marks != NULL;
}

size_t why_bytes_of(uint32_t count_max)
{
    const size_t member_bytes = sizeof(struct observation *) + sizeof(uint8_t); /* of both populations */

    return sizeof(struct why) + count_max * (2 * member_bytes + 3 * sizeof(uint64_t));
}

struct why *why_new(uint32_t count_max)
{
    struct why *why = count_max > 0 ? calloc(1, sizeof *why) : NULL;

    if (why == NULL) {
        return NULL;
    }
    why->count_max = count_max;
    why->totals_ns = calloc(count_max, sizeof(uint64_t));
    why->starts_ns = calloc(count_max, sizeof(uint64_t));
    why->ends_ns = calloc(count_max, sizeof(uint64_t));
    if (!make_population(&why->requests, count_max) || !make_population(&why->calls, count_max) ||
        why->totals_ns == NULL || why->starts_ns == NULL || why->ends_ns == NULL) {
        why_free(why);
        return NULL;
    }
    return why;
}

void why_free(struct why *why)
{
    if (why != NULL) {
        free((void *)why->requests.items);
        free(why->requests.marks);
        free((void *)why->calls.items);
        free(why->calls.marks);
        free(why->totals_ns);
        free(why->starts_ns);
        free(why->ends_ns);
        free(why);
    }
}
