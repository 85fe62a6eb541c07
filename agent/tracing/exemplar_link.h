/*
 * Exemplars on the aggregator's thread: sends what it would show to whoever pins traces (trace_pins.h), one
 * letter at a time, and does as the answer says. And R, how long an exemplar that was shown leads to its
 * trace: as configured, or the time of two scrapes if that is longer.
 */
#ifndef WEFT_AGENT_EXEMPLAR_LINK_H
#define WEFT_AGENT_EXEMPLAR_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/exemplars.h"
#include "config/config.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "tracing/trace_pins.h"

struct trace_thread;

enum {
    SCRAPE_GAPS_COUNT = 8,    /* the longest of so many is the time between two scrapes */
    SCRAPE_GAP_S_MAX = 21600, /* who comes less often than that is no scraper */
};

struct exemplar_link {
    struct aggregator *aggregator;
    struct trace_thread *traces; /* NULL: exemplars are not pinned */
    struct mailbox *mailbox;     /* of the aggregator's thread */
    struct metric_cells *cells;
    uint64_t retention_min_ns;
    uint64_t scrape_ns; /* the last one; 0: none */
    uint64_t gaps_ns[SCRAPE_GAPS_COUNT];
    size_t gap_count; /* of all times */
    bool is_out;      /* the letter */
    struct exemplar_letter letter;
};

/* Before start. Pointers are borrowed; the link must stay where it is. */
void exemplar_link_init(struct exemplar_link *link, const struct config *config,
    struct aggregator *aggregator, struct trace_thread *traces, struct mailbox *mailbox,
    struct metric_cells *cells);

/* Sends what there is, unless a letter is on its way. An empty one only with `always`: it tells R. */
void exemplar_link_send(struct exemplar_link *link, bool always);

/* Somebody scrapes. */
void exemplar_link_note_scrape(struct exemplar_link *link, uint64_t now_ns);

/* Takes over trace.exemplar_retention_s. Nothing where no exemplar is pinned. */
void exemplar_link_reconfigure(struct exemplar_link *link, const struct config *config);

uint64_t exemplar_link_retention_ns(const struct exemplar_link *link);

#endif
