/*
 * What is done with a trace's spans when all of them are there: the same ones become one, then they are put
 * in order, and each finds its parent.
 *
 * Two spans of one id are the same span when they are of one kind; else both sides of a call share the id
 * (Zipkin's model: the server goes on with the client's span), and the server's is the client's child.
 */
#include <stdlib.h>

#include "core/error.h"
#include "query/trace_internal.h"

enum { NEW_ID_TRIES_MAX = 16 };

static int compare_ids(const struct trace_span *a, const struct trace_span *b)
{
    return memcmp(a->span_id, b->span_id, sizeof a->span_id);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* A client comes before its server, which may be its child. */
static unsigned rank_of_kind(enum span_kind kind)
{
    static const uint8_t ranks[] = {
        [SPAN_KIND_CLIENT] = 0,
        [SPAN_KIND_PRODUCER] = 1,
        [SPAN_KIND_INTERNAL] = 2,
        [SPAN_KIND_UNSPECIFIED] = 3,
        [SPAN_KIND_SERVER] = 4,
        [SPAN_KIND_CONSUMER] = 5,
    };

    return ranks[kind];
}

/* By id; of one id spans before access-log entries; of one kind the one that says most. */
static int compare_identity(const void *left, const void *right)
{
    const struct trace_span *a = left;
    const struct trace_span *b = right;
    int order = compare_ids(a, b);

    if (order == 0) {
        order = (int)a->is_access_log - (int)b->is_access_log;
    }
    if (order == 0) {
        order = compare_numbers(rank_of_kind(a->kind), rank_of_kind(b->kind));
    }
    if (order == 0) {
        order = compare_numbers(b->raw.length, a->raw.length);
    }
    return order != 0 || a->raw.length == 0 ? order : memcmp(a->raw.ptr, b->raw.ptr, a->raw.length);
}

/* By start; of one start a parent's longer span comes before its child's. */
static int compare_start(const void *left, const void *right)
{
    const struct trace_span *a = left;
    const struct trace_span *b = right;
    int order = compare_numbers(a->start_unix_ns, b->start_unix_ns);

    if (order == 0) {
        order = compare_numbers(b->end_unix_ns, a->end_unix_ns);
    }
    if (order == 0) {
        order = compare_ids(a, b);
    }
    return order != 0 ? order : compare_numbers(rank_of_kind(a->kind), rank_of_kind(b->kind));
}

static void sort(struct trace_model *model, int (*compare)(const void *left, const void *right))
{
    if (model->span_count > 1) {
        qsort(model->spans, model->span_count, sizeof model->spans[0], compare);
    }
}

static void unite(struct trace_model *model)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->span_count; i++) {
        const struct trace_span *span = &model->spans[i];
        const struct trace_span *before = kept > 0 ? &model->spans[kept - 1] : NULL;

        if (before != NULL && compare_ids(before, span) == 0 &&
            (before->kind == span->kind || (span->is_access_log && !before->is_access_log))) {
            model->duplicate_count++;
        } else {
            model->spans[kept++] = *span;
        }
    }
    model->span_count = kept;
}

/* ---- ids ---- */

struct id_row {
    uint8_t span_id[TRACE_SPAN_ID_BYTES];
    uint32_t index;
};

static int compare_rows(const void *left, const void *right)
{
    const struct id_row *a = left;
    const struct id_row *b = right;
    int order = memcmp(a->span_id, b->span_id, sizeof a->span_id);

    return order != 0 ? order : compare_numbers(a->index, b->index);
}

static int index_ids(struct trace_model *model)
{
    struct id_row *rows = malloc((model->span_count + 1) * sizeof *rows);
    model->by_id = malloc((model->span_count + 1) * sizeof *model->by_id);

    if (rows == NULL || model->by_id == NULL) {
        free(rows);
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < model->span_count; i++) {
        memcpy(rows[i].span_id, model->spans[i].span_id, sizeof rows[i].span_id);
        rows[i].index = (uint32_t)i;
    }
    if (model->span_count > 1) {
        qsort(rows, model->span_count, sizeof *rows, compare_rows);
    }
    for (size_t i = 0; i < model->span_count; i++) {
        model->by_id[i] = rows[i].index;
    }
    free(rows);
    return 0;
}

static const struct trace_span *span_at(const struct trace_model *model, size_t position)
{
    return &model->spans[model->by_id[position]];
}

/* The first position in by_id whose span has the id; span_count when none has. */
static size_t find_id(const struct trace_model *model, const uint8_t id[static TRACE_SPAN_ID_BYTES])
{
    size_t low = 0;
    size_t high = model->span_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(span_at(model, middle)->span_id, id, TRACE_SPAN_ID_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_found =
        low < model->span_count && memcmp(span_at(model, low)->span_id, id, TRACE_SPAN_ID_BYTES) == 0;
    return is_found ? low : model->span_count;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu; /* Murmur3's finaliser */
    x ^= x >> 33;
    return x;
}

/* An id that no span has, the same for the same span on every agent. */
static void make_id(const struct trace_model *model, struct trace_span *span)
{
    uint64_t id;

    memcpy(&id, span->span_id, sizeof id);
    for (int i = 0; i < NEW_ID_TRIES_MAX; i++) {
        id = mix(id + (uint64_t)span->kind + 1);
        memcpy(span->shown_id, &id, sizeof id);
        if (id != 0 && find_id(model, span->shown_id) == model->span_count) {
            return;
        }
    }
}

static bool is_entry(enum span_kind kind)
{
    return kind == SPAN_KIND_SERVER || kind == SPAN_KIND_CONSUMER;
}

/* Of the spans that have an id, which one is first: the one that keeps the id as its own. */
static size_t owner_of(const struct trace_model *model, size_t position)
{
    size_t owner = position;

    for (size_t i = position + 1; i < model->span_count; i++) {
        const struct trace_span *span = span_at(model, i);
        if (compare_ids(span, span_at(model, position)) != 0) {
            break;
        }
        if (rank_of_kind(span->kind) < rank_of_kind(span_at(model, owner)->kind)) {
            owner = i;
        }
    }
    return owner;
}

static void show_ids(struct trace_model *model)
{
    for (size_t i = 0; i < model->span_count;) {
        size_t owner = owner_of(model, i);
        const struct trace_span *first = span_at(model, i);
        size_t j = i;

        for (; j < model->span_count && compare_ids(span_at(model, j), first) == 0; j++) {
            struct trace_span *span = &model->spans[model->by_id[j]];
            if (j == owner) {
                memcpy(span->shown_id, span->span_id, sizeof span->shown_id);
            } else {
                make_id(model, span);
            }
        }
        i = j;
    }
}

/* ---- parents ---- */

static bool has_parent_id(const struct trace_span *span)
{
    static const uint8_t none[TRACE_SPAN_ID_BYTES];

    return memcmp(span->parent_id, none, sizeof none) != 0;
}

/* Among the spans at `position` and behind it that share an id, the parent of `child`: a server's is a
 * client, all others' a server, if there is one. */
static int32_t choose_parent(const struct trace_model *model, size_t position, size_t child)
{
    const struct trace_span *first = span_at(model, position);
    bool wants_entry = !is_entry(model->spans[child].kind);
    int32_t chosen = -1;

    for (; position < model->span_count; position++) {
        uint32_t index = model->by_id[position];
        if (compare_ids(&model->spans[index], first) != 0) {
            break;
        }
        if (index == child) {
            continue;
        }
        if (is_entry(model->spans[index].kind) == wants_entry) {
            return (int32_t)index;
        }
        chosen = chosen < 0 ? (int32_t)index : chosen;
    }
    return chosen;
}

/* The client of the same id, for a server that shares it. */
static int32_t find_other_side(const struct trace_model *model, size_t child)
{
    size_t position = find_id(model, model->spans[child].span_id);

    for (; position < model->span_count; position++) {
        uint32_t index = model->by_id[position];
        if (compare_ids(&model->spans[index], &model->spans[child]) != 0) {
            break;
        }
        if (index != child && !is_entry(model->spans[index].kind)) {
            return (int32_t)index;
        }
    }
    return -1;
}

static void find_parent(struct trace_model *model, size_t i)
{
    struct trace_span *span = &model->spans[i];

    if (is_entry(span->kind)) {
        span->parent = find_other_side(model, i);
    }
    if (span->parent >= 0 || !has_parent_id(span)) {
        return;
    }
    if (memcmp(span->parent_id, span->span_id, sizeof span->span_id) == 0) {
        span->is_cut_loose = true;
        model->loose_count++;
        return;
    }
    size_t position = find_id(model, span->parent_id);
    if (position < model->span_count) {
        span->parent = choose_parent(model, position, i);
    } else {
        span->parent_is_missing = true;
        model->missing_parent_count++;
    }
}

/*
 * From each span up to a root, or to a span that was seen before. One that was seen on the same way closes a
 * circle, which is cut where the way came into it. `seen`: 0, or the number of the way.
 */
static void cut_circles(struct trace_model *model, uint32_t *seen)
{
    for (size_t i = 0; i < model->span_count; i++) {
        uint32_t way = (uint32_t)i + 1;
        size_t at = i;

        while (seen[at] == 0) {
            seen[at] = way;
            int32_t parent = model->spans[at].parent;
            if (parent < 0) {
                break;
            }
            if (seen[parent] == way) {
                model->spans[parent].parent = -1;
                model->spans[parent].is_cut_loose = true;
                model->loose_count++;
                break;
            }
            at = (size_t)parent;
        }
    }
}

int trace_resolve(struct trace_model *model)
{
    sort(model, compare_identity);
    unite(model);
    sort(model, compare_start);
    if (model->span_count > TRACE_SPANS_COUNT_MAX) {
        model->left_out_count += model->span_count - TRACE_SPANS_COUNT_MAX;
        model->span_count = TRACE_SPANS_COUNT_MAX;
    }
    int error = index_ids(model);
    uint32_t *seen = error == 0 ? calloc(model->span_count + 1, sizeof *seen) : NULL;

    if (seen == NULL) {
        return WERR_NOMEM;
    }
    show_ids(model);
    for (size_t i = 0; i < model->span_count; i++) {
        find_parent(model, i);
    }
    cut_circles(model, seen);
    free(seen);
    return 0;
}
