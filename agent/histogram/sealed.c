/* Writing and reading sealed window slots; see sealed.h for the format. */
#include "histogram/sealed.h"

#include "core/error.h"

enum { SEALED_FORMAT = 1, VARINT_BYTES_MAX = 10 };

struct writer {
    uint8_t *out;
    size_t room_bytes;
    size_t used_bytes; /* goes on past the room, so that one check at the end is enough */
};

static void write_byte(struct writer *writer, uint8_t byte)
{
    if (writer->used_bytes < writer->room_bytes) {
        writer->out[writer->used_bytes] = byte;
    }
    writer->used_bytes++;
}

static void write_varint(struct writer *writer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        write_byte(writer, (uint8_t)(value | 0x80));
    }
    write_byte(writer, (uint8_t)value);
}

static void write_head(struct writer *writer, uint64_t zero_count, uint64_t sum_ns_low, uint64_t sum_ns_high)
{
    write_byte(writer, SEALED_FORMAT);
    write_varint(writer, zero_count);
    write_varint(writer, sum_ns_low);
    write_varint(writer, sum_ns_high);
}

static void write_bucket(struct writer *writer, int previous_cell, int cell, uint64_t count)
{
    write_varint(writer, (uint64_t)(cell - previous_cell - 1));
    write_varint(writer, count);
}

static int finish(const struct writer *writer)
{
    return writer->used_bytes <= writer->room_bytes ? (int)writer->used_bytes : WERR_OVERSIZED;
}

int sealed_write(const struct histogram_flat *flat, uint8_t *out, size_t out_bytes)
{
    struct writer writer = {.out = out, .room_bytes = out_bytes};
    int cell = LATTICE_CELL_ZERO;
    int previous = LATTICE_CELL_ZERO;
    uint64_t count;
    uint64_t bucket_count = 0;

    while (histogram_flat_next(flat, &cell, &count)) {
        bucket_count++;
    }
    write_head(&writer, flat->zero_count, flat->sum_ns_low, flat->sum_ns_high);
    write_varint(&writer, bucket_count);
    for (cell = LATTICE_CELL_ZERO; histogram_flat_next(flat, &cell, &count); previous = cell) {
        write_bucket(&writer, previous, cell, count);
    }
    return finish(&writer);
}

int sealed_write_histogram(
    const struct histogram *histogram, const struct page_slab *slab, uint8_t *out, size_t out_bytes)
{
    struct writer writer = {.out = out, .room_bytes = out_bytes};
    int cell = LATTICE_CELL_ZERO;
    int previous = LATTICE_CELL_ZERO;
    uint64_t count;
    uint64_t bucket_count = 0;

    while (histogram_next(histogram, slab, &cell, &count)) {
        bucket_count++;
    }
    write_head(&writer, histogram->zero_count, histogram->sum_ns_low, histogram->sum_ns_high);
    write_varint(&writer, bucket_count);
    for (cell = LATTICE_CELL_ZERO; histogram_next(histogram, slab, &cell, &count); previous = cell) {
        write_bucket(&writer, previous, cell, count);
    }
    return finish(&writer);
}

static int read_varint(struct slice *rest, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < VARINT_BYTES_MAX; i++) {
        if (i == rest->length) {
            return WERR_TRUNCATED;
        }
        uint64_t bits = rest->ptr[i] & 0x7f;

        if (i == VARINT_BYTES_MAX - 1 && bits > 1) {
            return WERR_VARINT;
        }
        value |= bits << (7 * i);
        if ((rest->ptr[i] & 0x80) == 0) {
            *rest = slice_sub(*rest, i + 1, rest->length);
            *ret_value = value;
            return 0;
        }
    }
    return WERR_VARINT;
}

struct head {
    uint64_t zero_count;
    uint64_t sum_ns_low;
    uint64_t sum_ns_high;
    uint64_t bucket_count;
};

static int read_head(struct slice *rest, struct head *head)
{
    uint64_t *const fields[] = {
        &head->zero_count, &head->sum_ns_low, &head->sum_ns_high, &head->bucket_count};

    if (rest->length == 0) {
        return WERR_TRUNCATED;
    }
    if (rest->ptr[0] != SEALED_FORMAT) {
        return WERR_UNSUPPORTED;
    }
    *rest = slice_sub(*rest, 1, rest->length);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int rc = read_varint(rest, fields[i]);

        if (rc != 0) {
            return rc;
        }
    }
    return head->bucket_count <= LATTICE_CELL_COUNT ? 0 : WERR_INVALID;
}

/* *cell: the bucket before, or LATTICE_CELL_ZERO; then this one. */
static int read_bucket(struct slice *rest, int *cell, uint64_t *ret_count)
{
    uint64_t gap;
    uint64_t count;
    int rc = read_varint(rest, &gap);

    if (rc == 0) {
        rc = read_varint(rest, &count);
    }
    if (rc != 0) {
        return rc;
    }
    if (count == 0 || gap >= (uint64_t)(LATTICE_CELL_LAST - *cell)) {
        return WERR_INVALID;
    }
    *cell += (int)gap + 1;
    *ret_count = count;
    return 0;
}

/* Reads it all without keeping anything. The total is checked against `flat`: no cell can overflow when it
 * does not. */
static int validate(const struct histogram_flat *flat, struct slice rest)
{
    struct head head;
    int cell = LATTICE_CELL_ZERO;
    uint64_t total;
    int rc = read_head(&rest, &head);

    if (rc != 0) {
        return rc;
    }
    if (__builtin_add_overflow(flat->count, head.zero_count, &total)) {
        return WERR_INVALID;
    }
    for (uint64_t i = 0; i < head.bucket_count; i++) {
        uint64_t count;

        rc = read_bucket(&rest, &cell, &count);
        if (rc != 0) {
            return rc;
        }
        if (__builtin_add_overflow(total, count, &total)) {
            return WERR_INVALID;
        }
    }
    return rest.length == 0 ? 0 : WERR_INVALID;
}

int sealed_merge(struct histogram_flat *flat, struct slice sealed)
{
    struct slice rest = sealed;
    struct head head;
    int cell = LATTICE_CELL_ZERO;
    uint64_t count;
    int rc = validate(flat, sealed);

    if (rc == 0) {
        rc = read_head(&rest, &head);
    }
    if (rc != 0) {
        return rc;
    }
    histogram_flat_add(flat, LATTICE_CELL_ZERO, head.zero_count);
    for (uint64_t i = 0; i < head.bucket_count && read_bucket(&rest, &cell, &count) == 0; i++) {
        histogram_flat_add(flat, cell, count);
    }
    sum_ns_add(&flat->sum_ns_low, &flat->sum_ns_high, head.sum_ns_low, 1);
    flat->sum_ns_high += head.sum_ns_high;
    return 0;
}
