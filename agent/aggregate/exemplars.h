/*
 * Which exemplars are shown. Where traces are pinned for them an exemplar is offered first, to whoever pins,
 * and shown once that was granted:
 *
 *   candidate ─► OFFERED ─take─► ASKED ─granted─► SHOWN ─withdraw, newer, series gone─► WITHDRAWN ─take─►
 * free │              └─refused─► free          └► when it is taken, its trace may go, R later └─series
 * gone─► free
 *
 * Each has a number, a place in one table that is made at start. A bucket has at most one that is shown and
 * one that is to take its place, and offers one only once in a while, so that what is pinned is shown for
 * some time. Where nothing is pinned every candidate is shown at once.
 *
 * Runs on the aggregator's thread.
 */
#ifndef WEFT_AGGREGATE_EXEMPLARS_H
#define WEFT_AGGREGATE_EXEMPLARS_H

#include <stddef.h>
#include <stdint.h>

#include "aggregate/aggregator.h"

enum {
    EXEMPLARS_PER_TRACE = 2,    /* that are shown or asked for, on average: what the table has room for */
    EXEMPLARS_ASKED_MAX = 256,  /* at once */
    EXEMPLAR_REFRESH_PART = 60, /* a bucket offers a new one after this part of the retention time */
};

struct exemplar_offer {
    uint32_t number;
    uint32_t destination; /* a hash */
    uint8_t trace_id[16];
    uint8_t span_id[8];
    bool is_refresh; /* its bucket shows one already */
};

/* How many numbers there are for that many traces: they are below. */
uint32_t exemplars_count_max(uint64_t traces_max);

/* The next offers: at most offers_max; their count. Each is then granted or refused. */
size_t aggregator_take_offers(
    struct aggregator *aggregator, struct exemplar_offer *offers, size_t offers_max);

/* Numbers of exemplars that are shown no more, before any of them is offered again: likewise. */
size_t aggregator_take_withdrawn(struct aggregator *aggregator, uint32_t *numbers, size_t numbers_max);

void aggregator_exemplar_granted(struct aggregator *aggregator, uint32_t number);
void aggregator_exemplar_refused(struct aggregator *aggregator, uint32_t number);

/* It is to be shown no more; passed over for one that is not shown. */
void aggregator_withdraw_exemplar(struct aggregator *aggregator, uint32_t number);

/* How long exemplars are good for; until it is told, a bucket offers a new one every second. */
void aggregator_set_exemplar_retention(struct aggregator *aggregator, uint64_t retention_ns);

#endif
