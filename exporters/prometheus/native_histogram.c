/* Native histograms; see native_histogram.h. */
#include "exporters/prometheus/native_histogram.h"

#include "exporters/prometheus/wire_out.h"

enum { /* of io.prometheus.client.Histogram and BucketSpan: proto/prometheus/metrics.proto */
    FIELD_SCHEMA = 5,
    FIELD_ZERO_THRESHOLD = 6,
    FIELD_ZERO_COUNT = 7,
    FIELD_POSITIVE_SPAN = 12,
    FIELD_POSITIVE_DELTA = 13,
    FIELD_SPAN_OFFSET = 1,
    FIELD_SPAN_LENGTH = 2
};

struct native_walk native_walk_of(const struct snapshot_histogram *histogram, int32_t shift)
{
    return (struct native_walk){.histogram = histogram, .shift = shift};
}

/*
 * Right shift of a negative number is arithmetic with every compiler that builds weft. Indexes are sums of an
 * int32 and a length: 64 bits hold them.
 */
static int64_t merged_index(const struct native_walk *walk, size_t position)
{
    return ((int64_t)walk->histogram->offset + (int64_t)position) >> walk->shift;
}

bool native_walk_next(struct native_walk *walk)
{
    const struct snapshot_histogram *histogram = walk->histogram;

    while (walk->position < histogram->bucket_count && histogram->buckets[walk->position] == 0) {
        walk->position++;
    }
    if (walk->position == histogram->bucket_count) {
        return false;
    }
    int64_t index = merged_index(walk, walk->position);
    walk->count = 0;
    do {
        walk->count += histogram->buckets[walk->position++];
    } while (walk->position < histogram->bucket_count && merged_index(walk, walk->position) == index);
    walk->index = (int32_t)(index + 1);
    return true;
}

static size_t bucket_count_at(const struct snapshot_histogram *histogram, int32_t shift)
{
    struct native_walk walk = native_walk_of(histogram, shift);
    size_t count = 0;

    while (native_walk_next(&walk)) {
        count++;
    }
    return count;
}

int32_t native_shift(const struct snapshot *snapshot, const struct snapshot_histogram *histogram)
{
    int32_t wanted = snapshot->native_scale < NATIVE_SCHEMA_MAX ? snapshot->native_scale : NATIVE_SCHEMA_MAX;

    if (wanted < NATIVE_SCHEMA_MIN) {
        wanted = NATIVE_SCHEMA_MIN;
    }
    if (histogram->is_classic || histogram->scale < NATIVE_SCHEMA_MIN ||
        histogram->scale > NATIVE_SCALE_MAX) {
        return -1;
    }
    int32_t shift = histogram->scale > wanted ? histogram->scale - wanted : 0;
    while (histogram->scale - shift > NATIVE_SCHEMA_MIN &&
           bucket_count_at(histogram, shift) > snapshot->native_buckets_max) {
        shift++;
    }
    return shift;
}

static void write_span(struct buffer *out, int64_t offset, uint32_t length)
{
    size_t span = wire_out_begin(out, FIELD_POSITIVE_SPAN);

    wire_out_u64(out, FIELD_SPAN_OFFSET, wire_out_zigzag(offset));
    wire_out_u64(out, FIELD_SPAN_LENGTH, length);
    wire_out_end(out, span);
}

/* Every gap begins a new span: buckets that hold nothing are never written. Without any, a span of nothing.
 */
static void write_spans(struct buffer *out, const struct snapshot_histogram *histogram, int32_t shift)
{
    struct native_walk walk = native_walk_of(histogram, shift);
    int64_t offset = 0; /* of the open span */
    int64_t end = 0;    /* one past the last bucket so far */
    uint32_t length = 0;

    while (native_walk_next(&walk)) {
        if (length > 0 && walk.index != end) {
            write_span(out, offset, length);
            length = 0;
        }
        if (length == 0) {
            offset = walk.index - end;
        }
        length++;
        end = (int64_t)walk.index + 1;
    }
    write_span(out, offset, length);
}

static void write_deltas(struct buffer *out, const struct snapshot_histogram *histogram, int32_t shift)
{
    struct native_walk walk = native_walk_of(histogram, shift);
    size_t deltas = wire_out_begin(out, FIELD_POSITIVE_DELTA);
    size_t empty_length = out->length;
    uint64_t before = 0;

    while (native_walk_next(&walk)) {
        wire_out_varint(out, wire_out_zigzag((int64_t)(walk.count - before)));
        before = walk.count;
    }
    if (out->length == empty_length && out->error == 0) {
        out->length -= 2; /* tag and length of nothing */
        return;
    }
    wire_out_end(out, deltas);
}

void native_histogram_write(struct buffer *out, const struct snapshot_histogram *histogram, int32_t shift)
{
    wire_out_u64(out, FIELD_SCHEMA, wire_out_zigzag(histogram->scale - shift));
    wire_out_double(out, FIELD_ZERO_THRESHOLD, histogram->zero_threshold);
    wire_out_u64(out, FIELD_ZERO_COUNT, histogram->zero_count);
    write_spans(out, histogram, shift);
    write_deltas(out, histogram, shift);
}
