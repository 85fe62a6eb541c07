/*
 * A protobuf message built from its inside: nested messages are opened and closed in turn, so that a test
 * writes the one field that it is about between begin and end.
 */
#ifndef WEFT_TESTS_UNIT_WIRE_PARTS_H
#define WEFT_TESTS_UNIT_WIRE_PARTS_H

#include <string.h>

#include "decode/wire_write.h"

enum { PARTS_BYTES_MAX = 1 << 24, PARTS_DEPTH_MAX = 16 };

struct parts {
    struct buffer out; /* buffer_deinit(&parts.out) frees it */
    struct wire_envelope open[PARTS_DEPTH_MAX];
    int depth;
};

static inline void parts_begin(struct parts *parts)
{
    *parts = (struct parts){.depth = 0};
    buffer_init(&parts->out, PARTS_BYTES_MAX);
}

static inline void begin(struct parts *parts, uint32_t number)
{
    assert_true(parts->depth < PARTS_DEPTH_MAX);
    parts->open[parts->depth++] = wire_envelope_begin(&parts->out, number, 100);
}

static inline void end(struct parts *parts)
{
    wire_envelope_end(&parts->out, parts->open[--parts->depth]);
}

/* Closes what is open. */
static inline struct slice parts_end(struct parts *parts)
{
    while (parts->depth > 0) {
        end(parts);
    }
    assert_int_equal(parts->out.error, 0);
    return slice_of(parts->out.data, parts->out.length);
}

static inline void put_double(struct parts *parts, uint32_t number, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    wire_write_fixed64(&parts->out, number, bits);
}

#endif
