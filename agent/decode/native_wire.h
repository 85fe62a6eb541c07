/*
 * The walk over a native payload before protobuf-c sees it: protobuf-c has no limit on elements, so their
 * number is bounded here by a table of fields. Used by native.c and native_logs.c only.
 */
#ifndef WEFT_DECODE_NATIVE_WIRE_H
#define WEFT_DECODE_NATIVE_WIRE_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "core/arena.h"
#include "core/slice.h"
#include "decode/decode_error.h"
#include "decode/wire.h"

enum native_field_kind {
    NATIVE_FIELD_UNKNOWN,
    NATIVE_FIELD_NUMBER,   /* singular varint */
    NATIVE_FIELD_FIXED64,  /* singular */
    NATIVE_FIELD_BYTES,    /* singular; ends up in `bytes` */
    NATIVE_FIELD_COLUMN,   /* repeated varint, packed or not: payload bytes add up in `bytes` */
    NATIVE_FIELD_DOUBLES,  /* repeated double, packed or not: the same */
    NATIVE_FIELD_ENTRIES,  /* repeated bytes */
    NATIVE_FIELD_MESSAGES, /* repeated message, walked by the table `nested` */
};

enum { NATIVE_FIELD_NUMBER_MAX = 24 };

struct native_shape;

struct native_field {
    enum native_field_kind kind;
    const char *name;
    uint32_t count_max; /* of elements; 0: bounded by the payload's length alone */
    const struct native_shape *nested;
};

struct native_shape {
    struct native_field fields[NATIVE_FIELD_NUMBER_MAX]; /* by field number */
};

/* What the walk saw of each field. */
struct native_tally {
    uint64_t number[NATIVE_FIELD_NUMBER_MAX]; /* last value of a singular number */
    uint64_t
        bytes[NATIVE_FIELD_NUMBER_MAX]; /* of content: last for BYTES, all together for the repeated ones */
    uint32_t count[NATIVE_FIELD_NUMBER_MAX]; /* elements of ENTRIES and MESSAGES */
};

/* 0, or negative with *ret_error. Elements of a column: at most its bytes. */
int native_walk(struct slice payload, const struct native_shape *shape, uint32_t depth_left,
    struct native_tally *ret_tally, struct decode_error *ret_error);

extern const struct native_shape native_hello_shape;
extern const struct native_shape native_dictionary_shape;
extern const struct native_shape native_spans_shape;
extern const struct native_shape native_metrics_shape;
extern const struct native_shape native_logs_shape;
extern const struct native_shape native_stats_shape;

/* Unpacks what was walked before; the message lives in the arena. WERR_NOMEM: the arena is full. */
int native_unpack(struct slice payload, const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
    void **ret_message, struct decode_error *ret_error);

#endif
