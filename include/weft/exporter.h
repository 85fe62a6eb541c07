/*
 * What an exporter is: a const struct of encoders that turn a snapshot into bytes, slice by slice, so that a
 * large exposition never holds the aggregator's thread for long. exporters/registry.c lists them.
 */
#ifndef WEFT_EXPORTER_H
#define WEFT_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/snapshot.h"

struct buffer; /* core/buffer.h: growable, capped */

/* What one encoding is asked for. An encoder ignores what does not concern it. */
struct encoder_options {
    bool classic_histograms; /* beside or instead of native ones */
    bool native_histograms;
    bool created; /* _created samples or start times */
    bool exemplars;
    bool delta;                             /* OTLP: delta instead of cumulative */
    bool exponential;                       /* OTLP: exponential instead of explicit bounds */
    void *memory;                           /* of memory_new, or NULL */
    const char *const *resource_attributes; /* OTLP: key, value, key, value, … NULL-terminated; may be NULL */
};

/* One encoder. Its state belongs to the caller between open and close. */
struct encoder_type {
    const char *name;         /* "openmetrics" */
    const char *content_type; /* of what it makes */

    /*
     * What this encoder remembers of one receiver between two encodings (delta temporality); NULL where it
     * needs nothing. Made and freed by whoever owns the receiver, given to each encoding in its options.
     */
    void *(*memory_new)(void);
    void (*memory_free)(void *memory);

    /* 0 with *ret_state, or WERR_NOMEM. `options` and `out` must live until close. */
    int (*open)(const struct encoder_options *options, struct buffer *out, void **ret_state);

    /* Encodes up to about series_count more series: 1 when there is more, 0 when all is in `out`, negative on
     * error. */
    int (*step)(void *state, struct snapshot *snapshot, size_t series_count);

    /* How many points were encoded so far. */
    uint64_t (*point_count)(const void *state);

    void (*close)(void *state); /* NULL is fine */
};

struct exporter_type {
    const char *name;                           /* "prometheus" */
    const struct encoder_type *const *encoders; /* NULL-terminated, best first */
};

/* All exporters, NULL-terminated. */
extern const struct exporter_type *const exporter_registry[];

#endif
