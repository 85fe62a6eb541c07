/* The rows of /api/v1/top: windows grouped by what a row names; see query_top.h. The aggregator's thread. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "query/query_top.h"

enum { TRAFFIC_COUNT_FIRST = 256 };

static bool is_text(const struct aggregator *aggregator, uint32_t id, const char *wanted)
{
    return wanted == NULL || slice_equal(aggregator_text(aggregator, id), slice_of_string(wanted));
}

static bool is_destination_wanted(
    const struct aggregator *aggregator, const struct top_question *question, const struct edge_key *key)
{
    bool is_end = question->by == TOP_BY_EDGE ||
                  (is_text(aggregator, key->destination, question->service) &&
                      is_text(aggregator, key->destination_namespace, question->name_space));

    return is_end && (!question->has_reporter || key->reporter == (uint16_t)question->reporter) &&
           is_text(aggregator, key->destination, question->destination) &&
           is_text(aggregator, key->destination_namespace, question->destination_namespace) &&
           (question->mesh == NULL ||
               slice_equal(aggregator_mesh_text(aggregator, key->mesh), slice_of_string(question->mesh)));
}

static bool contains(struct slice text, const char *part)
{
    size_t length = strlen(part);

    for (size_t i = 0; i + length <= text.length; i++) {
        size_t same = 0;
        while (same < length && tolower(text.ptr[i + same]) == tolower((unsigned char)part[same])) {
            same++;
        }
        if (same == length) {
            return true;
        }
    }
    return false;
}

static bool matches(
    const struct aggregator *aggregator, const struct top_question *question, const struct edge_key *key)
{
    const uint32_t ids[] = {key->destination, key->destination_namespace,
        question->by == TOP_BY_EDGE ? key->source : INTERNED_NONE,
        question->by == TOP_BY_EDGE ? key->source_namespace : INTERNED_NONE,
        question->by == TOP_BY_ROUTE ? key->route : INTERNED_NONE};

    for (size_t i = 0; question->match != NULL && i < sizeof ids / sizeof ids[0]; i++) {
        if (contains(aggregator_text(aggregator, ids[i]), question->match)) {
            return true;
        }
    }
    return question->match == NULL;
}

/* What is asked beyond the destination: looked at once it is clear who answers for that. */
static bool is_row_wanted(
    const struct aggregator *aggregator, const struct top_question *question, const struct edge_key *key)
{
    bool is_end = question->by != TOP_BY_EDGE ||
                  (is_text(aggregator, key->destination, question->service) &&
                      is_text(aggregator, key->destination_namespace, question->name_space)) ||
                  (is_text(aggregator, key->source, question->service) &&
                      is_text(aggregator, key->source_namespace, question->name_space));

    return is_end && is_text(aggregator, key->source, question->source) &&
           is_text(aggregator, key->source_namespace, question->source_namespace) &&
           is_text(aggregator, key->route, question->route) && matches(aggregator, question, key);
}

/* ---- order: by destination, who reports, then the rest of the key ---- */

static uint32_t rank_of(const struct traffic *traffic)
{
    return traffic->key.reporter + (traffic->is_scraped ? REPORTER_COUNT : 0u);
}

static int compare_ids(const uint32_t *a, const uint32_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

static int compare_destinations(const struct edge_key *x, const struct edge_key *y)
{
    const uint32_t a[] = {x->destination, x->destination_namespace, x->mesh};
    const uint32_t b[] = {y->destination, y->destination_namespace, y->mesh};

    return compare_ids(a, b, sizeof a / sizeof a[0]);
}

static int by_key(const void *x, const void *y)
{
    const struct traffic *a = x;
    const struct traffic *b = y;
    const uint32_t rest_a[] = {rank_of(a), a->key.route, a->key.source, a->key.source_namespace};
    const uint32_t rest_b[] = {rank_of(b), b->key.route, b->key.source, b->key.source_namespace};
    int order = compare_destinations(&a->key, &b->key);

    return order != 0 ? order : compare_ids(rest_a, rest_b, sizeof rest_a / sizeof rest_a[0]);
}

/* ---- rows ---- */

static bool add_traffic(struct top_rows *rows, size_t *count, size_t *capacity, const struct traffic *traffic)
{
    if (*count == *capacity) {
        size_t wanted = *capacity > 0 ? *capacity * 2 : TRAFFIC_COUNT_FIRST;
        struct traffic *grown = realloc(rows->traffic, wanted * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        rows->traffic = grown;
        *capacity = wanted;
    }
    rows->traffic[(*count)++] = *traffic;
    return true;
}

static enum traffic_kind kind_of(const struct top_question *question)
{
    if (question->by == TOP_BY_EDGE) {
        return question->route != NULL ? TRAFFIC_RECENT : TRAFFIC_OF_PAIRS;
    }
    return question->by == TOP_BY_ROUTE ? TRAFFIC_OF_ROUTES : TRAFFIC_OF_PAIRS;
}

/* As many as there are windows, so the aggregator's budget of series limits them. */
static bool read_traffic(const struct aggregator *aggregator, const struct top_question *question,
    enum window_span span, struct top_rows *rows, size_t *ret_count)
{
    struct traffic traffic;
    uint32_t cursor = 0;
    size_t capacity = 0;
    size_t count = 0;

    while (aggregator_next_traffic(aggregator, &cursor, kind_of(question), span, &traffic) > 0) {
        if (is_destination_wanted(aggregator, question, &traffic.key) &&
            !add_traffic(rows, &count, &capacity, &traffic)) {
            return false;
        }
    }
    if (count > 1) {
        qsort(rows->traffic, count, sizeof *rows->traffic, by_key);
    }
    *ret_count = count;
    return true;
}

static uint64_t requests_of(const struct window_values *values)
{
    uint64_t sum = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        sum += values->outcomes[i];
    }
    return sum;
}

/* `caller` called it so often: the busiest stays. */
static void note_caller(struct top_row *row, const struct edge_key *caller, uint64_t requests)
{
    row->caller_count++;
    if (requests > row->caller_requests) {
        row->caller = caller->source;
        row->caller_namespace = caller->source_namespace;
        row->caller_requests = requests;
    }
}

static struct edge_key row_key(const struct top_question *question, const struct edge_key *key)
{
    struct edge_key row = *key;

    if (question->by != TOP_BY_EDGE) {
        row.source = INTERNED_NONE;
        row.source_namespace = INTERNED_NONE;
    }
    if (question->by == TOP_BY_DESTINATION) {
        row.route = INTERNED_NONE;
    }
    return row;
}

/* Adds to the last row when it has the same key; else begins one. */
static void add_to_rows(
    const struct top_question *question, struct top_rows *rows, const struct traffic *from)
{
    struct edge_key key = row_key(question, &from->key);
    struct top_row *row = rows->count > 0 ? &rows->items[rows->count - 1] : NULL;

    if (row == NULL || memcmp(&row->key, &key, sizeof key) != 0 || row->is_scraped != from->is_scraped) {
        row = &rows->items[rows->count++];
        *row = (struct top_row){.key = key, .is_scraped = from->is_scraped, .first = from};
    }
    row->count = (size_t)(from - row->first) + 1;
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        row->values.outcomes[i] += from->values.outcomes[i];
    }
    row->values.covered_ns = from->values.covered_ns;
    if (question->by == TOP_BY_DESTINATION) {
        note_caller(row, &from->key, requests_of(&from->values));
    }
}

static int compare_route(const void *x, const void *y)
{
    const struct edge_key *key = x;
    const struct top_row *row = y;
    const uint32_t a[] = {key->reporter, key->route};
    const uint32_t b[] = {row->key.reporter, row->key.route};
    int order = compare_destinations(key, &row->key);

    return order != 0 ? order : compare_ids(a, b, sizeof a / sizeof a[0]);
}

/* Windows of a route do not tell its callers: what was counted lately does. Rows are still by key, one
 * reporter each. */
static void find_callers(const struct aggregator *aggregator, struct top_rows *rows)
{
    struct traffic recent;
    uint32_t cursor = 0;

    while (rows->count > 0 &&
           aggregator_next_traffic(aggregator, &cursor, TRAFFIC_RECENT, WINDOW_1M, &recent) > 0) {
        struct top_row *row =
            bsearch(&recent.key, rows->items, rows->count, sizeof *rows->items, compare_route);
        if (row != NULL && !row->is_scraped) {
            note_caller(row, &recent.key, requests_of(&recent.values));
        }
    }
}

bool top_rows_read(const struct aggregator *aggregator, const struct top_question *question,
    enum window_span span, struct top_rows *rows)
{
    size_t count = 0;

    *rows = (struct top_rows){.traffic = NULL};
    if (!read_traffic(aggregator, question, span, rows, &count)) {
        return false;
    }
    rows->items = calloc(count + 1, sizeof *rows->items);
    if (rows->items == NULL) {
        return false;
    }
    struct traffic first = {.is_scraped = false};
    size_t kept = 0; /* what rows add up moves together */
    for (size_t i = 0; i < count; i++) {
        struct traffic *traffic = &rows->traffic[i];
        if (i == 0 || compare_destinations(&traffic->key, &first.key) != 0) {
            first = *traffic; /* it has the best rank: it says who answers */
        }
        if (rank_of(traffic) == rank_of(&first) && is_row_wanted(aggregator, question, &traffic->key)) {
            rows->traffic[kept] = *traffic;
            add_to_rows(question, rows, &rows->traffic[kept++]);
        }
    }
    if (question->by == TOP_BY_ROUTE) {
        find_callers(aggregator, rows);
    }
    return true;
}

void top_rows_free(struct top_rows *rows)
{
    free(rows->traffic);
    free(rows->items);
    *rows = (struct top_rows){.traffic = NULL};
}
