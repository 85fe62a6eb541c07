/*
 * What the formats share: walking a snapshot in slices. A format says how a family begins, what a series
 * looks like and how all ends; the walk calls it. An encoding belongs to one thread at a time.
 *
 *   open ─► step: next series ─► family changed? format->family ─► format->series ─► … ─► format->end
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_EXPOSITION_H
#define WEFT_EXPORTERS_PROMETHEUS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/slice.h"
#include "weft/exporter.h"

struct exposition;

/* Functions return 0 or a WERR_ code. `exposition` is the first member of a struct of state_bytes. */
struct exposition_format {
    size_t state_bytes;
    int (*init)(struct exposition *exposition); /* of a zeroed state with exposition filled in; may be NULL */
    void (*deinit)(struct exposition *exposition);
    int (*family)(struct exposition *exposition, const struct snapshot_family *family);
    int (*series)(struct exposition *exposition, const struct snapshot_family *family,
        const struct snapshot *snapshot, const struct snapshot_series *series);
    int (*end)(struct exposition *exposition);
};

struct exposition {
    const struct exposition_format *format;
    const struct encoder_options *options;
    struct buffer *out; /* its owner may empty it between steps */
    struct snapshot_cursor cursor;
    const struct snapshot_family *family; /* to see it change; not read through */
    uint64_t point_count;
    bool ended;
};

/* As encoder_type.open. Closed by exposition_close. */
int exposition_open(const struct exposition_format *format, const struct encoder_options *options,
    struct buffer *out, void **ret_state);

/* These are encoder_type's step, point_count and close for every format. */
int exposition_step(void *state, struct snapshot *snapshot, size_t series_count);
uint64_t exposition_point_count(const void *state);
void exposition_close(void *state);

/* Initializes a struct encoder_type; `opens` calls exposition_open with the format. */
#define EXPOSITION_ENCODER(its_name, its_content_type, opens)                                                \
    {                                                                                                        \
        .name = (its_name), .content_type = (its_content_type), .open = (opens), .step = exposition_step,    \
        .point_count = exposition_point_count, .close = exposition_close,                                    \
    }

/* Whether `name` ends in "_" and the unit: only then may the unit be told. */
bool exposition_has_unit(const struct snapshot_family *family);

/*
 * How many finite `le` bounds a histogram shows. One that has counted nothing yet is there for its _count
 * alone (so that a rate sees the first of its outcome): five outcomes an edge with all their zeros would be
 * most of an exposition.
 */
static inline size_t classic_bound_count(const struct snapshot_histogram *histogram)
{
    return histogram->count > 0 ? histogram->bound_count : 0;
}

#endif
