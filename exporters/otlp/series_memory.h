/*
 * What was last sent of each series, for delta temporality: the next point is the difference. One per
 * receiver that wants deltas.
 *
 *   find (made when new) ─► compare, encode ─► store      sweep, after a whole encoding: those not found
 * since are forgotten
 *
 * Bounded by SERIES_MEMORY_COUNT_MAX and SERIES_MEMORY_BYTES_MAX; past either a new series is not remembered,
 * so that no point of it can be sent, which refused_count tells.
 *
 * Threads: the aggregator's, where encoders run.
 */
#ifndef WEFT_EXPORTERS_OTLP_SERIES_MEMORY_H
#define WEFT_EXPORTERS_OTLP_SERIES_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/snapshot.h"

enum { SERIES_MEMORY_COUNT_MAX = 262144, SERIES_MEMORY_BYTES_MAX = 268435456 };

struct series_last {
    uint64_t hash;
    uint32_t sweep; /* of the encoding that found it last */
    bool is_new;    /* nothing was stored yet */
    uint64_t created_unix_ns;
    uint64_t time_unix_ns; /* of the last point */
    double value;
    uint64_t integer;
    struct snapshot_histogram histogram; /* arrays in `numbers`; without bounds and exemplars */
    uint64_t *numbers;
    size_t number_count_max;
    size_t key_length;
    char key[]; /* family name, NUL, label text */
};

struct series_memory;

/* NULL when out of memory. */
struct series_memory *series_memory_new(void);
void series_memory_free(struct series_memory *memory);

/*
 * The entry of a series, made when there was none, with room for the histogram's numbers (NULL: it has none).
 * NULL past a limit or out of memory; then what is known of the series stays, and a later point tells the
 * whole difference. Borrowed until sweep.
 */
struct series_last *series_memory_find(struct series_memory *memory, const char *family_name,
    const char *labels_text, size_t labels_length, const struct snapshot_histogram *histogram);

/* Keeps the values of a point that is to be sent; its histogram is the one that find was given. */
void series_memory_store(
    struct series_last *last, const struct snapshot_series *series, uint64_t time_unix_ns);

/* The end of an encoding. */
void series_memory_sweep(struct series_memory *memory);

size_t series_memory_count(const struct series_memory *memory);
uint64_t series_memory_refused_count(const struct series_memory *memory);

#endif
