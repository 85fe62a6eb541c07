/*
 * Fuzz target: a datagram of statsd lines, from bytes to points. The first byte says who sends it, how scarce
 * room for strings is, and whether the texts may still be added; the rest is the datagram.
 *
 * Checked besides memory safety: every slice lies within its line; what is a metric keeps its promises; a
 * line says the same when it comes a second time (remembered) and when it is read anew; labels are sorted and
 * single; a histogram's point holds one bucket or a zero, and a timer's bucket lies in the lattice.
 */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "context/statsd_points.h"
#include "core/error.h"

enum fuzz_option {
    FUZZ_FEW_STRINGS = 1,
    FUZZ_NO_NEW_STRINGS = 2, /* from the second pass on */
    FUZZ_KINDS = 28,         /* three bits: enum sender_kind */
    FUZZ_CONTAINER = 32,     /* the kernel knows the sender's */
    FUZZ_SHORT_TEXTS = 64,
};

enum { FEW_STRINGS = 12, STRINGS_COUNT_MAX = 4096, PASSES_COUNT = 3, LATTICE_MIN = -640, LATTICE_MAX = 383 };

#define FUZZ_NOW_UNIX_NS 1656581400000000000ull

struct fuzz {
    struct limits limits;
    struct budget budget;
    struct metric_registry registry;
    struct interner *interner;
    struct context context;
    struct statsd_points *points;
    struct sender sender;
};

/* What is said of a line's first point; labels as text, as ids may change between passes. */
struct said {
    int error;
    struct metric_point point;
    uint64_t labels_hash;
};

static bool lies_within(struct slice part, struct slice whole)
{
    return part.length == 0 || (part.ptr >= whole.ptr && part.ptr + part.length <= whole.ptr + whole.length);
}

static void check_line(struct slice text, const struct statsd_line *line)
{
    struct slice values = line->values;
    struct slice tags = line->tags;
    struct statsd_value value;
    struct slice key;
    struct slice tag_value;
    uint32_t count = 0;

    FUZZ_CHECK(line->name.length > 0 && line->name.length <= STATSD_NAME_BYTES_MAX);
    FUZZ_CHECK(slice_find(line->name, ':') == line->name.length);
    FUZZ_CHECK(lies_within(line->name, text) && lies_within(line->values, text));
    FUZZ_CHECK(lies_within(line->tags, text) && lies_within(line->container, text));
    FUZZ_CHECK(line->rate > 0 && line->rate <= 1);
    while (statsd_next_value(&values, &value)) {
        FUZZ_CHECK(isfinite(value.number));
        FUZZ_CHECK(line->type == STATSD_GAUGE || value.number >= 0);
        FUZZ_CHECK(
            count > 0 || (value.number == line->first.number && value.has_sign == line->first.has_sign));
        count++;
    }
    FUZZ_CHECK(count > 0 && count == line->value_count && count <= STATSD_VALUES_COUNT_MAX);
    while (statsd_next_tag(&tags, &key, &tag_value)) {
        FUZZ_CHECK(key.length > 0 && lies_within(key, text) && lies_within(tag_value, text));
    }
}

static uint64_t check_labels(const struct fuzz *fuzz, const struct metric_point *point)
{
    uint64_t hash = 1469598103934665603u;
    struct slice before = slice_of(NULL, 0);

    FUZZ_CHECK(point->label_count <= METRIC_LABEL_COUNT_MAX);
    for (size_t i = 0; i < point->label_count; i++) {
        struct slice key = interner_text(fuzz->interner, point->labels[i].key);
        struct slice value = interner_text(fuzz->interner, point->labels[i].value);
        size_t common = key.length < before.length ? key.length : before.length;
        int order = common > 0 ? memcmp(before.ptr, key.ptr, common) : 0;

        FUZZ_CHECK(key.length > 0 && value.length > 0);
        FUZZ_CHECK(i == 0 || order < 0 || (order == 0 && before.length < key.length));
        before = key;
        hash = (hash ^ point->labels[i].key) * 1099511628211u;
        hash = (hash ^ point->labels[i].value) * 1099511628211u;
    }
    return hash;
}

static void check_point(const struct fuzz *fuzz, const struct metric_point *point)
{
    FUZZ_CHECK(interner_text(fuzz->interner, point->name).length > 0);
    FUZZ_CHECK(!isnan(point->value) && point->sender == fuzz->sender.interned);
    if (point->type != METRIC_POINT_HISTOGRAM) {
        FUZZ_CHECK(point->bucket_count == 0 && point->zero_count == 0);
        FUZZ_CHECK(point->type == METRIC_POINT_GAUGE || (point->is_delta && point->value >= 0));
        return;
    }
    FUZZ_CHECK((point->zero_count > 0) != (point->bucket_count == 1));
    if (point->bucket_count == 1) {
        FUZZ_CHECK(point->buckets[0] > 0 && point->scale == STATSD_SCALE);
        FUZZ_CHECK(
            point->unit == INTERNED_NONE || (point->offset >= LATTICE_MIN && point->offset <= LATTICE_MAX));
    }
}

static struct said say(struct fuzz *fuzz, const struct statsd_line *line)
{
    struct said said = {.error = statsd_points_begin(fuzz->points, line, &fuzz->sender, FUZZ_NOW_UNIX_NS)};
    struct slice values = line->values;
    struct statsd_value value;

    FUZZ_CHECK(said.error == 0 || said.error == WERR_OVERSIZED || said.error == WERR_FULL ||
               said.error == WERR_INVALID);
    while (said.error == 0 && statsd_next_value(&values, &value)) {
        struct metric_point point;

        statsd_points_next(fuzz->points, value, &point);
        check_point(fuzz, &point);
        if (values.length == 0) {
            said.labels_hash = check_labels(fuzz, &point);
            said.point = point;
        }
    }
    return said;
}

/* Weights that are no whole number carry a remainder from line to line: counts may differ by one. */
static void check_same(const struct statsd_line *line, const struct said *a, const struct said *b)
{
    FUZZ_CHECK(a->error == b->error);
    if (a->error != 0) {
        return;
    }
    FUZZ_CHECK(
        a->point.type == b->point.type && a->point.name == b->point.name && a->point.unit == b->point.unit);
    FUZZ_CHECK(a->labels_hash == b->labels_hash && a->point.label_count == b->point.label_count);
    FUZZ_CHECK(a->point.offset == b->point.offset && a->point.time_unix_ns == b->point.time_unix_ns);
    FUZZ_CHECK(line->rate < 1 || a->point.value == b->point.value);
}

static void feed_line(struct fuzz *fuzz, struct slice text, bool is_first_pass)
{
    struct statsd_line line;

    if (statsd_parse_line(text, &line) != STATSD_METRIC) {
        return;
    }
    check_line(text, &line);
    struct said first = say(fuzz, &line);
    struct said second = say(fuzz, &line);
    if (first.error != WERR_FULL) {
        check_same(&line, &first, &second);
    }
    if (!is_first_pass) {
        return;
    }
    context_batch_begin(&fuzz->context, false, 2); /* another epoch: read anew, all its texts are there */
    struct said anew = say(fuzz, &line);
    context_batch_begin(&fuzz->context, true, 1);
    if (second.error == 0) {
        check_same(&line, &second, &anew);
    }
}

static void start(struct fuzz *fuzz, uint8_t options)
{
    memset(fuzz, 0, sizeof *fuzz);
    limits_init(&fuzz->limits);
    fuzz->limits.string_bytes_max = (options & FUZZ_SHORT_TEXTS) != 0 ? 16 : 256;
    fuzz->budget.cap_bytes = 1u << 26;
    fuzz->interner =
        interner_new((options & FUZZ_FEW_STRINGS) != 0 ? FEW_STRINGS : STRINGS_COUNT_MAX, &fuzz->budget);
    struct metric_cells *cells = metric_registry_add(&fuzz->registry, METRIC_SCOPE_SHARD, "0");
    FUZZ_CHECK(fuzz->interner != NULL && cells != NULL);
    FUZZ_CHECK(context_init(&fuzz->context, fuzz->interner, &fuzz->limits, cells) == 0);
    fuzz->points = statsd_points_new(&fuzz->context);
    FUZZ_CHECK(fuzz->points != NULL);
    fuzz->sender.kind = (uint8_t)((options & FUZZ_KINDS) >> 2) % SENDER_KIND_COUNT;
    if ((options & FUZZ_CONTAINER) != 0) {
        memset(fuzz->sender.container, 'a', 64);
    }
    sender_id_format(&fuzz->sender);
    context_sender_bind(&fuzz->context, &fuzz->sender);
}

static void stop(struct fuzz *fuzz)
{
    context_sender_release(&fuzz->context, &fuzz->sender);
    statsd_points_free(fuzz->points);
    context_deinit(&fuzz->context);
    interner_free(fuzz->interner);
    metric_registry_deinit(&fuzz->registry);
    FUZZ_CHECK(fuzz->budget.used_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;

    if (size == 0) {
        return 0;
    }
    start(&fuzz, data[0]);
    for (int pass = 0; pass < PASSES_COUNT; pass++) {
        struct slice rest = slice_of(data + 1, size - 1);
        struct slice line;

        context_batch_begin(&fuzz.context, pass == 0 || (data[0] & FUZZ_NO_NEW_STRINGS) == 0, 1);
        while (statsd_next_line(&rest, &line)) {
            FUZZ_CHECK(line.length > 0 && memchr(line.ptr, '\n', line.length) == NULL);
            feed_line(&fuzz, line, pass == 0);
        }
        interner_sweep(fuzz.interner);
    }
    stop(&fuzz);
    return 0;
}
