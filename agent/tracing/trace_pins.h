/*
 * Exemplars' traces on the trace thread: takes what the aggregator offers as exemplars, fetches their traces
 * from the shards, pins them (trace/pins.h), and answers which may be shown. Fetches them again later, for
 * the spans that were not there yet.
 *
 *   aggregator ──letter: offers, what is withdrawn──► pins ──tasks──► shards
 *              ◄──the same letter: granted or not, and what should be withdrawn──
 *
 * One letter and one fetch are under way at a time: that is how fast traces are pinned. Runs on the trace
 * thread's loop; letters come from the aggregator's thread.
 */
#ifndef WEFT_AGENT_TRACE_PINS_H
#define WEFT_AGENT_TRACE_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "aggregate/exemplars.h"
#include "config/config.h"
#include "trace/pins.h"
#include "tracing/trace_job.h"

enum {
    EXEMPLAR_OFFERS_COUNT = 64, /* in one letter; their traces are one fetch */
    EXEMPLAR_WITHDRAWN_COUNT = 256,
    EXEMPLAR_GRACE_MS = 5000, /* how long the answer to a scrape may be on its way: added to R */
    TRACE_PINS_TICK_MS = 250,
    TRACE_PINS_TASK_BYTES =
        2 << 20,               /* parts of traces, of one shard for one fetch, beside one of the largest */
    TRACE_PINS_LATE_MS = 6000, /* proxies send their spans within 5 s */
};

/* The asker's; lent until it is answered. */
struct exemplar_letter {
    struct mail mail; /* first member */
    struct mailbox *reply_to;
    void (*answered)(struct mail *mail, void *receiver);
    void *user;
    uint64_t retention_ns; /* R */
    size_t withdrawn_count;
    uint32_t withdrawn[EXEMPLAR_WITHDRAWN_COUNT]; /* are not shown since the letter was sent; read first */
    size_t offer_count;
    struct exemplar_offer offers[EXEMPLAR_OFFERS_COUNT];
    /* the answer */
    bool is_granted[EXEMPLAR_OFFERS_COUNT];
    size_t withdraw_count;
    uint32_t withdraw[EXEMPLAR_OFFERS_COUNT]; /* exemplars to be shown no more */
};

struct trace_pins;

/* Adds a timer to the desk's loop; the desk finds pinned traces from now on. Its shards may be added later.
 * 0 or WERR_NOMEM. */
int trace_pins_new(const struct config_trace *trace, struct trace_desk *desk, struct trace_pins **ret_self);

/* A letter has arrived. One at a time. */
void trace_pins_take(struct trace_pins *self, struct exemplar_letter *letter);

/* Closes the timer; the letter is not answered any more, tasks may still be with the shards. NULL is fine. */
/* Takes over trace.linger_ms. (The retention time comes with each offer.) */
void trace_pins_reconfigure(struct trace_pins *self, const struct config_trace *trace);

void trace_pins_close(struct trace_pins *self);

/* After the loop and the shards have ended. NULL is fine. */
void trace_pins_free(struct trace_pins *self);

#endif
