/*
 * What the spans of one sender have in common. A proxy's spans differ in their ids, times, and a handful of
 * texts; all else is the same, byte for byte. A pattern is one such span, kept, with the places where others
 * differ from it:
 *
 *   image   0a 10 ················ 12 08 ········ 2a 07 ingress … 4a 35 … 36-byte id … 4a 30 …
 *           run   trace_id         run   span_id  run ──────────────────► text          run ─►
 *
 * A span that agrees with all runs is read by its varying places alone: the rest was read, and checked, when
 * the pattern was made. otlp_span.c reads all others, and patterns are learnt from what it read. One thread
 * owns a pattern.
 */
#ifndef WEFT_DECODE_OTLP_PATTERN_H
#define WEFT_DECODE_OTLP_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "decode/attribute.h"
#include "decode/span.h"

enum { OTLP_PATTERN_BYTES_MAX = 1024, OTLP_PATTERN_PLACES_MAX = 48 };

/* What may be at a place, and how many bytes of it, but for a text. */
enum otlp_place_type {
    OTLP_PLACE_8,    /* span id, parent id, start, end */
    OTLP_PLACE_16,   /* trace id */
    OTLP_PLACE_TEXT, /* a string attribute: its length, its key, its value */
    OTLP_PLACE_LAST, /* nothing: the span ends */
};

/* A place where spans may differ. */
struct otlp_place {
    uint16_t at;       /* its first byte in the image, after the field's tag */
    uint16_t end;      /* behind its last byte */
    uint16_t value_at; /* of a text: its value in the image */
    uint16_t value_bytes;
    uint16_t key_at;   /* of a text: its encoded key and the value's tag, in the image */
    uint8_t key_bytes; /* how many bytes those are */
    uint8_t type;      /* enum otlp_place_type */
    uint16_t to;       /* where it goes in struct span, in bytes; of a text: its slice */
    uint8_t span_id;   /* of a text: enum span_attribute_id, or ATTRIBUTE_UNKNOWN: it has no effect */
    bool is_url;       /* of a text: a '?' begins what is not read of it */
    bool varies;       /* seen to differ; only such places are steps */
};

/* A run of bytes that all spans share, and the place that follows it. */
struct otlp_step {
    uint64_t run_begin; /* its first 8 bytes, zeroes behind a shorter one */
    uint64_t run_mask;  /* which of them there are */
    uint16_t run_at;    /* in the image */
    uint16_t run_bytes;
    uint16_t
        need_bytes; /* of the run and of what is known of the place's length, at least 8 but for the last */
    uint8_t type;
    uint8_t key_bytes; /* these five: as in the place */
    uint16_t key_at;
    uint16_t to;
    uint8_t span_id;
    bool is_url;
};

struct otlp_pattern {
    uint64_t id;       /* 0: empty; never the same again when something other was learnt */
    uint64_t envelope; /* which resource and scope, see otlp_memory.h */
    uint64_t skeleton; /* hash of all but the places */
    uint64_t used_at;  /* for giving up the one that was not used for longest */
    uint64_t tail;     /* the last 8 bytes, where they belong to the last run */
    uint64_t tail_mask;
    uint8_t place_count;
    uint8_t step_count;
    bool is_dirty; /* needs a rewrite whatever its varying texts hold */
    uint16_t image_bytes;
    struct otlp_place places[OTLP_PATTERN_PLACES_MAX];
    struct otlp_step steps[OTLP_PATTERN_PLACES_MAX + 1];
    struct span span; /* what was read of the image, its slices within it; the last span that matched */
    uint8_t image[OTLP_PATTERN_BYTES_MAX];
};

/*
 * Describes a span that otlp_trace_read_span has accepted, with all its attributes within the limits, as a
 * pattern in which only ids and times vary; `read` is what was read of it. False, with the pattern undefined,
 * for spans that are too long, have too many attributes, events or links, or fields twice. Sets neither id
 * nor envelope nor used_at.
 */
bool otlp_pattern_describe(struct otlp_pattern *pattern, const struct attribute_table *table,
    struct slice encoded, const struct span *read);

/* Takes over what `older`, of the same skeleton, knows to vary, and marks where the two differ. */
void otlp_pattern_merge(struct otlp_pattern *pattern, const struct otlp_pattern *older);

/* A described pattern, ready to be matched, to where it is to be kept. */
void otlp_pattern_keep(const struct otlp_pattern *pattern, struct otlp_pattern *to);

/*
 * Reads `encoded` into pattern->span, but for resource and scope_name. False when it does not fit the
 * pattern or one of its texts is not valid or too long: then nothing is known of it. Ids and times are not
 * judged.
 */
bool otlp_pattern_match(struct otlp_pattern *pattern, struct slice encoded, uint64_t attribute_bytes_max);

#endif
