/*
 * The last sequence number of each native sender (instance id), kept across connections and shards, so that a
 * batch sent again is recognised. One table for the process, behind a mutex that is taken once a batch, never
 * once a record.
 *
 *   hash slots ─► entries (array) ◄─ least recently used … most recently used (linked by index)
 *
 * Bounded: with the table full the instance that was quiet longest is forgotten, and that is counted in the
 * cells of the calling thread; a batch that it sends again is then new.
 */
#ifndef WEFT_LISTEN_INSTANCES_H
#define WEFT_LISTEN_INSTANCES_H

#include <stdint.h>

#include "core/metrics.h"

enum { INSTANCE_ID_BYTES = 16 };

enum instances_verdict {
    INSTANCES_NEW,       /* follows the last one; it is the last one now */
    INSTANCES_DUPLICATE, /* seen before */
    INSTANCES_GAP,       /* new, but numbers before it never came */
};

struct instances;

/* Memory for count_max entries is set aside, and used as they come. 0 or WERR_NOMEM; freed by instances_free.
 */
int instances_new(uint64_t count_max, struct instances **ret_instances);
void instances_free(struct instances *instances); /* NULL is fine */

/*
 * A connection of `id` begins and will carry next_sequence first. Returns the last sequence number known of
 * it; when nothing is known, next_sequence - 1, which is then taken as known.
 */
uint64_t instances_open(struct instances *instances, struct metric_cells *cells,
    const uint8_t id[static INSTANCE_ID_BYTES], uint64_t next_sequence);

/*
 * Takes sequence (> 0) for `id`, atomically. *ret_last: the last number after this call. An unknown id
 * (forgotten since it was opened) counts as new.
 */
enum instances_verdict instances_claim(struct instances *instances, struct metric_cells *cells,
    const uint8_t id[static INSTANCE_ID_BYTES], uint64_t sequence, uint64_t *ret_last);

/*
 * What `id` says that it dropped so far, cumulative for the instance: sets *ret_spans and *ret_points to what
 * is new since it said so last, on whichever connection; 0 for numbers below (they were overtaken by a newer
 * connection's).
 */
void instances_dropped(struct instances *instances, const uint8_t id[static INSTANCE_ID_BYTES],
    uint64_t dropped_spans, uint64_t dropped_points, uint64_t *ret_spans, uint64_t *ret_points);

/* How many are remembered now. */
uint64_t instances_count(struct instances *instances);

#endif
