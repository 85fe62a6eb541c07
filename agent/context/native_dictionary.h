/*
 * What one native connection has told the agent once: its strings, its own name, its metrics' identities.
 * Lives on the shard that holds the connection; all strings are references into that shard's interner.
 *
 *   strings[id - 1] ─► interner id, method, route hash        series[id - 1] ─► name, unit, help, sorted
 * labels
 *
 * A string that could not be interned when it was told stays INTERNED_OVERFLOW for the connection's life, and
 * a series with such a string is refused, as its points could not be told from another's.
 */
#ifndef WEFT_CONTEXT_NATIVE_DICTIONARY_H
#define WEFT_CONTEXT_NATIVE_DICTIONARY_H

#include <stddef.h>
#include <stdint.h>

#include "context/context.h"
#include "context/metric_point.h"
#include "core/budget.h"
#include "weft/v1/stream.pb-c.h"

struct native_string {
    uint64_t route_hash; /* of its text, for the route table */
    uint32_t id;         /* interner id, referenced */
    uint8_t method;      /* enum method, were it one */
};

struct native_series; /* private */

struct native_dictionary {
    struct context *context;
    struct budget *budget;
    struct native_string *strings;
    uint32_t string_count;
    uint32_t string_capacity;
    const struct native_series **series;
    uint32_t series_count;
    uint32_t series_capacity;
    bool is_conflict;        /* hello claims to be somebody else than the peer is */
    struct service_ids self; /* who the client says it is; referenced */
    uint32_t instance;       /* which one of its service, as its hello tells; referenced, or INTERNED_NONE */
    struct request_parties
        parties[2];            /* the client as source, and as destination, for naming profiles; likewise */
    uint64_t start_unix_ns;    /* since when its counters count; 0: not told */
    uint32_t overflowed_count; /* strings and series that found no room: once there is some again, the owner
                                  may ask the client to connect anew */
};

/* Allocates nothing yet. `budget`: for what it will allocate; borrowed. The context outlives the dictionary.
 */
void native_dictionary_init(
    struct native_dictionary *dictionary, struct context *context, struct budget *budget);

/* Gives back references and memory. NULL and a zeroed one are fine. */
void native_dictionary_deinit(struct native_dictionary *dictionary);

/*
 * From Hello: the names of the client's own service, compared with the peer's identity (`sender` may be
 * NULL), which of its instances it is (unless the peer's pod is known, which says more), and the start of its
 * counters. Within a batch (context_batch_begin).
 */
void native_dictionary_set_self(
    struct native_dictionary *dictionary, const Weft__V1__Hello *hello, const struct sender *sender);

/*
 * From a Dictionary frame, within a batch. Query strings of paths are cut. WERR_DICTIONARY: first_id is not
 * one more than the last; WERR_FULL: more than limits.dictionary_count_max; WERR_NOMEM. On error nothing is
 * added.
 */
int native_dictionary_add(struct native_dictionary *dictionary, const Weft__V1__Dictionary *frame);

/* The largest id that is known, 0 when none is. */
static inline uint32_t native_dictionary_count(const struct native_dictionary *dictionary)
{
    return dictionary->string_count;
}

/* Entry `id`, or NULL for 0 and unknown ids. */
static inline const struct native_string *native_dictionary_get(
    const struct native_dictionary *dictionary, uint32_t id)
{
    return id - 1 < dictionary->string_count ? &dictionary->strings[id - 1] : NULL;
}

/*
 * A metric's identity. WERR_DICTIONARY: its id is not one more than the last, or it names unknown strings;
 * WERR_INVALID: no type, no name, or a label key twice; WERR_OVERSIZED: more than METRIC_LABEL_COUNT_MAX
 * labels; WERR_FULL: no room for it or one of its strings; WERR_NOMEM. But for the first, the id is taken and
 * its points are refused.
 */
int native_series_add(struct native_dictionary *dictionary, const Weft__V1__Series *series);

/* How many points a batch has. */
size_t native_point_count(const Weft__V1__MetricBatch *batch);

/*
 * Point i of a batch (counters, then gauges, then histograms), checked before by decode/native.h. What it
 * borrows lives as long as the batch and the dictionary. WERR_DICTIONARY: unknown series; WERR_FULL: its
 * series was refused for want of room; WERR_INVALID: refused for another reason, or not of this type, or more
 * buckets than METRIC_BUCKET_COUNT_MAX.
 */
int native_to_point(const struct native_dictionary *dictionary, const Weft__V1__MetricBatch *batch, size_t i,
    const struct sender *sender, struct metric_point *ret_point);

#endif
