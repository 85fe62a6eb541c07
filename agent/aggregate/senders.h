/*
 * How many series each sender has created: who pays. One table a directory (ids of the shard's interner) and
 * one in the aggregator (ids of its own). Holds a reference on each sender's string while it has series.
 */
#ifndef WEFT_AGGREGATE_SENDERS_H
#define WEFT_AGGREGATE_SENDERS_H

#include "aggregate/hash_index.h"
#include "context/interner.h"

struct sender_count {
    uint32_t sender;
    uint32_t series_count;
};

struct senders {
    struct interner *interner; /* borrowed */
    struct budget *budget;     /* borrowed */
    struct hash_index index;
    struct sender_count *counts; /* dense; the last moves into a gap */
    uint32_t count;
    uint32_t capacity;
};

/* 0 or WERR_NOMEM. */
int senders_init(struct senders *senders, struct interner *interner, struct budget *budget);
void senders_deinit(struct senders *senders);

/* How many series the sender has created and still has. */
uint32_t senders_series_count(const struct senders *senders, uint32_t sender);

/* One more. WERR_NOMEM: not counted. */
int senders_add(struct senders *senders, uint32_t sender);

/* One less, of a sender that has some. */
void senders_remove(struct senders *senders, uint32_t sender);

#endif
