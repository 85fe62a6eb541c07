/* statsd lines to metric points; see statsd_points.h. One shard's thread. */
#include "context/statsd_points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "core/error.h"

enum {
    CELLS_PER_OCTAVE = 1 << STATSD_SCALE,
    TIMER_INDEX_MIN = -640, /* 2^-20 s: the lattice's first bucket; below it all is zero */
    TIMER_INDEX_MAX = 383,  /* 2^12 s: its last one */
    CONTAINER_ID_BYTES = 64,
    CONTAINER_SHOWN_BYTES = 12,
    NANOSECONDS = 1000000000,
};

#define CONTAINER_LABEL "claimed_container"
#define ROUNDING 1e-9 /* 1 / 0.1 is 10, whatever is in its last bit */

/* What all points of a name with its tags share. */
struct identity {
    uint32_t name;
    uint32_t unit;
    uint8_t type; /* enum metric_point_type */
    bool is_timer;
    uint8_t label_count;
    double divisor;   /* of values */
    double remainder; /* of weights that are no whole number, carried to the next value */
    struct metric_label labels[METRIC_LABEL_COUNT_MAX];
};

struct memo {
    uint64_t hash;
    uint32_t epoch; /* of the context; 0: empty */
    uint32_t sender;
    uint16_t name_bytes;
    uint16_t tags_bytes;
    uint16_t container_bytes;
    uint8_t type;                      /* enum statsd_type */
    uint8_t key[STATSD_KEY_BYTES_MAX]; /* name, tags, container */
    struct identity identity;
};

struct statsd_points {
    struct context *context;
    struct memo *memos; /* STATSD_MEMO_COUNT, by hash */
    struct identity unremembered;
    /* of the line that was begun */
    struct identity *identity;
    uint32_t sender;
    uint64_t time_unix_ns;
    double weight; /* of each value */
    uint64_t bucket;
};

struct statsd_points *statsd_points_new(struct context *context)
{
    struct statsd_points *points = calloc(1, sizeof *points);

    if (points == NULL) {
        return NULL;
    }
    points->context = context;
    points->memos = calloc(STATSD_MEMO_COUNT, sizeof *points->memos);
    if (points->memos == NULL) {
        free(points);
        return NULL;
    }
    return points;
}

void statsd_points_free(struct statsd_points *points)
{
    if (points != NULL) {
        free(points->memos);
        free(points);
    }
}

/* ---- names ---- */

/* What the end of a distribution's name says of its unit. */
static const struct {
    struct slice ending; /* behind a '_' or a '.' */
    double divisor;
    bool is_time;
    bool is_cut; /* from the name: another unit is shown */
} endings[] = {
    {{(const uint8_t *)"ms", 2}, 1e3, true, true},
    {{(const uint8_t *)"milliseconds", 12}, 1e3, true, true},
    {{(const uint8_t *)"us", 2}, 1e6, true, true},
    {{(const uint8_t *)"microseconds", 12}, 1e6, true, true},
    {{(const uint8_t *)"per_cx", 6}, 1, false, false},
    {{(const uint8_t *)"per_socket_event", 16}, 1, false, false},
    {{(const uint8_t *)"size", 4}, 1, false, false},
    {{(const uint8_t *)"bytes", 5}, 1, false, false},
    {{(const uint8_t *)"count", 5}, 1, false, false},
    {{(const uint8_t *)"percent", 7}, 1, false, false},
};

static bool ends_with_word(struct slice name, struct slice word)
{
    if (name.length < word.length + 2 || !slice_has_suffix(name, word)) {
        return false;
    }
    uint8_t before = name.ptr[name.length - word.length - 1];
    return before == '_' || before == '.';
}

/* The name under which a timer is shown, its unit and divisor. */
static struct slice name_timer(struct slice name, struct identity *identity)
{
    identity->is_timer = true;
    identity->divisor = 1e3;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (ends_with_word(name, endings[i].ending)) {
            identity->is_timer = endings[i].is_time;
            identity->divisor = endings[i].divisor;
            return endings[i].is_cut ? slice_sub(name, 0, name.length - endings[i].ending.length - 1) : name;
        }
    }
    return name;
}

static int intern(struct context *context, struct slice text, uint32_t *ret_id)
{
    *ret_id = context_intern(context, text);
    return *ret_id != INTERNED_OVERFLOW ? 0 : WERR_FULL;
}

static int fill_name(struct context *context, const struct statsd_line *line, struct identity *identity)
{
    struct slice name = line->name;

    identity->divisor = 1;
    switch (line->type) {
    case STATSD_COUNTER:
        identity->type = METRIC_POINT_COUNTER;
        break;
    case STATSD_GAUGE:
        identity->type = METRIC_POINT_GAUGE;
        break;
    case STATSD_TIMER:
        identity->type = METRIC_POINT_HISTOGRAM;
        name = name_timer(name, identity);
        break;
    case STATSD_DISTRIBUTION:
        identity->type = METRIC_POINT_HISTOGRAM;
        break;
    }
    if (identity->is_timer) {
        int error = intern(context, SLICE_LITERAL("s"), &identity->unit);
        if (error < 0) {
            return error;
        }
    }
    return intern(context, name, &identity->name);
}

/* ---- labels ---- */

static int compare_text(struct slice a, struct slice b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length > 0 ? memcmp(a.ptr, b.ptr, length) : 0;

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* In the order of the keys' texts; of two with one key the first stays. */
static int add_label(struct context *context, struct slice key, struct slice value, struct identity *identity)
{
    struct metric_label label;
    uint32_t at = identity->label_count;
    int error = intern(context, key, &label.key);

    if (error == 0) {
        error = intern(context, value.length > 0 ? value : SLICE_LITERAL("true"), &label.value);
    }
    if (error < 0) {
        return error;
    }
    struct slice text = interner_text(context->interner, label.key);
    while (at > 0) {
        int order = compare_text(interner_text(context->interner, identity->labels[at - 1].key), text);

        if (order == 0) {
            return 0;
        }
        if (order < 0) {
            break;
        }
        at--;
    }
    if (identity->label_count == METRIC_LABEL_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    memmove(&identity->labels[at + 1], &identity->labels[at],
        (identity->label_count - at) * sizeof identity->labels[0]);
    identity->labels[at] = label;
    identity->label_count++;
    return 0;
}

/* The container that the sender claims: `ci-ID`, `ID`; an inode (`in-…`) says nothing outside of its node. */
static int fill_container(
    struct context *context, struct slice claimed, const struct sender *sender, struct identity *identity)
{
    if (slice_has_prefix(claimed, SLICE_LITERAL("ci-"))) {
        claimed = slice_sub(claimed, 3, claimed.length);
    }
    if (claimed.length == 0 || slice_has_prefix(claimed, SLICE_LITERAL("in-"))) {
        return 0;
    }
    if (sender->kind == SENDER_UNKNOWN || sender->kind == SENDER_USER) {
        return add_label(
            context, SLICE_LITERAL(CONTAINER_LABEL), slice_sub(claimed, 0, CONTAINER_SHOWN_BYTES), identity);
    }
    if (claimed.length == CONTAINER_ID_BYTES && sender->container[0] != '\0' &&
        !slice_equal(claimed, slice_of_string(sender->container))) {
        metric_add(context->cells, METRIC_IDENTITY_CONFLICTS, 1);
    }
    return 0;
}

static int make_identity(struct context *context, const struct statsd_line *line, const struct sender *sender,
    struct identity *identity)
{
    struct slice rest = line->tags;
    struct slice key;
    struct slice value;

    *identity = (struct identity){.name = INTERNED_NONE};
    int error = fill_name(context, line, identity);

    while (error == 0 && statsd_next_tag(&rest, &key, &value)) {
        error = add_label(context, key, value, identity);
    }
    return error == 0 ? fill_container(context, line->container, sender, identity) : error;
}

/* ---- what was seen lately ---- */

static uint64_t hash_line(const struct statsd_line *line, uint32_t sender)
{
    uint64_t hash = XXH3_64bits_withSeed(line->name.ptr, line->name.length, sender * 4ull + line->type);

    if (line->tags.length > 0) {
        hash = XXH3_64bits_withSeed(line->tags.ptr, line->tags.length, hash);
    }
    return line->container.length > 0
               ? XXH3_64bits_withSeed(line->container.ptr, line->container.length, hash)
               : hash;
}

static bool same_text(const uint8_t *kept, struct slice text)
{
    return text.length == 0 || memcmp(kept, text.ptr, text.length) == 0;
}

static bool is_of(const struct memo *memo, const struct statsd_line *line)
{
    return memo->type == line->type && memo->name_bytes == line->name.length &&
           memo->tags_bytes == line->tags.length && memo->container_bytes == line->container.length &&
           same_text(memo->key, line->name) && same_text(memo->key + memo->name_bytes, line->tags) &&
           same_text(memo->key + memo->name_bytes + memo->tags_bytes, line->container);
}

static uint8_t *keep_text(uint8_t *at, struct slice text)
{
    if (text.length > 0) {
        memcpy(at, text.ptr, text.length);
    }
    return at + text.length;
}

static void keep_key(struct memo *memo, const struct statsd_line *line)
{
    memo->type = (uint8_t)line->type;
    memo->name_bytes = (uint16_t)line->name.length;
    memo->tags_bytes = (uint16_t)line->tags.length;
    memo->container_bytes = (uint16_t)line->container.length;
    (void)keep_text(keep_text(keep_text(memo->key, line->name), line->tags), line->container);
}

static int find_identity(struct statsd_points *points, const struct statsd_line *line,
    const struct sender *sender, struct identity **ret_identity)
{
    struct context *context = points->context;
    size_t key_bytes = line->name.length + line->tags.length + line->container.length;

    if (key_bytes > STATSD_KEY_BYTES_MAX) {
        *ret_identity = &points->unremembered;
        return make_identity(context, line, sender, &points->unremembered);
    }
    uint64_t hash = hash_line(line, sender->interned);
    struct memo *memo = &points->memos[hash % STATSD_MEMO_COUNT];
    bool is_same = memo->hash == hash && memo->sender == sender->interned && is_of(memo, line);

    *ret_identity = &memo->identity;
    if (is_same && memo->epoch == context->epoch) {
        return 0;
    }
    double remainder = is_same ? memo->identity.remainder : 0;
    memo->epoch = 0;
    int error = make_identity(context, line, sender, &memo->identity);
    if (error < 0) {
        return error;
    }
    memo->identity.remainder = remainder;
    memo->hash = hash;
    memo->sender = sender->interned;
    memo->epoch = context->epoch;
    keep_key(memo, line);
    return 0;
}

/* ---- points ---- */

static bool is_far(uint64_t time_unix_s, uint64_t now_unix_ns, uint64_t skew_s)
{
    uint64_t now_unix_s = now_unix_ns / NANOSECONDS;

    return time_unix_s > now_unix_s ? time_unix_s - now_unix_s > skew_s : now_unix_s - time_unix_s > skew_s;
}

int statsd_points_begin(struct statsd_points *points, const struct statsd_line *line,
    const struct sender *sender, uint64_t now_unix_ns)
{
    struct context *context = points->context;
    double weight_max = (double)context->limits->sampling_weight_max;

    if (line->time_unix_s > 0 && is_far(line->time_unix_s, now_unix_ns, context->limits->time_skew_s)) {
        return WERR_INVALID;
    }
    int error = find_identity(points, line, sender, &points->identity);
    if (error < 0) {
        return error;
    }
    points->sender = sender->interned;
    points->time_unix_ns = line->time_unix_s > 0 ? line->time_unix_s * NANOSECONDS : now_unix_ns;
    points->weight = 1 / line->rate;
    if (points->weight > weight_max) {
        points->weight = weight_max;
        metric_add(context->cells, METRIC_WEIGHT_CAPPED, line->value_count);
    }
    return 0;
}

/* Bucket i covers (2^(i/32), 2^((i+1)/32)]. Powers of two are the bounds that doubles hold: for them log2 is
 * exact. */
static int32_t bucket_of(double value)
{
    return (int32_t)ceil(log2(value) * CELLS_PER_OCTAVE) - 1;
}

/* How often the value is counted: weights of 1 / rate, rounded so that their sum stays right. */
static uint64_t count_of(struct statsd_points *points)
{
    double exact = points->weight + points->identity->remainder;
    double whole = floor(exact + ROUNDING);

    points->identity->remainder = exact - whole;
    return (uint64_t)whole;
}

static void fill_histogram(struct statsd_points *points, double value, struct metric_point *point)
{
    bool is_timer = points->identity->is_timer;
    uint64_t count = points->weight > 1 ? count_of(points) : 1;

    point->value = value * (double)count;
    point->scale = STATSD_SCALE;
    int32_t index = value > 0 ? bucket_of(value) : INT32_MIN;
    if (value <= 0 || (is_timer && index < TIMER_INDEX_MIN)) {
        point->zero_count = count;
        return;
    }
    if (is_timer && index > TIMER_INDEX_MAX) {
        index = TIMER_INDEX_MAX;
        metric_add(points->context->cells, METRIC_LATENCY_CLAMPED, count);
    }
    points->bucket = count;
    point->offset = index;
    point->buckets = &points->bucket;
    point->bucket_count = 1;
}

void statsd_points_next(
    struct statsd_points *points, struct statsd_value value, struct metric_point *ret_point)
{
    const struct identity *identity = points->identity;
    struct metric_point point = {
        .type = (enum metric_point_type)identity->type,
        .name = identity->name,
        .unit = identity->unit,
        .sender = points->sender,
        .labels = identity->labels,
        .label_count = identity->label_count,
        .time_unix_ns = points->time_unix_ns,
        .value = value.number,
    };

    switch (point.type) {
    case METRIC_POINT_COUNTER:
        point.is_delta = true;
        point.value = value.number * points->weight;
        break;
    case METRIC_POINT_GAUGE:
        point.is_delta = value.has_sign;
        break;
    default:
        fill_histogram(points, value.number / identity->divisor, &point);
        break;
    }
    *ret_point = point;
}
