/*
 * The series of one shard: key to id, and the values of the interval that is open. Runs on the shard's loop;
 * shares nothing.
 *
 *   struct request ──hash──► series ──slot──► active delta
 *                              └──► its duration and traffic series: one look-up a request
 *   directory_flip ──► delta ──► aggregator_merge ──► directory_give_back
 *
 * Recording never fails for lack of a series: past a budget the record is counted under overflow, which keeps
 * reporter, outcome and response_code. A series is refused when the shard holds limits.series_count_max, when
 * its sender has created its share (limits.sender_series_percent), when three quarters of the memory budget
 * are in use, or when the aggregator, which sees all shards, says so.
 */
#ifndef WEFT_AGGREGATE_DIRECTORY_H
#define WEFT_AGGREGATE_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/delta.h"
#include "aggregate/profile_measures.h"
#include "aggregate/record_note.h"
#include "context/interner.h"
#include "context/metric_point.h"
#include "context/request.h"
#include "context/workload_note.h"
#include "core/budget.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/metric_filter.h"
#include "core/metrics.h"
#include "histogram/bounds.h"

struct directory;

/* What a directory is made of. Everything is borrowed and outlives it. */
struct directory_settings {
    uint32_t shard; /* 0 … shard_count - 1 of the aggregator */
    struct interner *interner;
    const struct split_bounds
        *bounds; /* classic bounds in force, the same in all shards and the aggregator */
    const struct limits *limits;
    struct budget *budget; /* limits.series_bytes_max, shared by all shards and the aggregator */
    struct metric_cells *cells;
    const struct clock *clock;
    struct profile_settings profiles; /* zeroes: none */
    uint8_t rare_count;               /* so many first requests of a series are new */
    uint32_t dropped_labels;          /* bits 1 << enum droppable_label: of these series are not told apart */
};

/* 0 with *ret_directory, or WERR_NOMEM. About 600 KiB, outside the budget, are set aside for overflow. */
int directory_new(const struct directory_settings *settings, struct directory **ret_directory);

/* Deltas that are still with the aggregator are given back before. NULL is fine. */
void directory_free(struct directory *directory);

/* The owner of the limits has changed what a reload may change; rare_count: as in the settings. */
void directory_reconfigure(struct directory *directory, uint8_t rare_count);

/* Counts a request once, weighted. Ids are the interner's; INTERNED_FULL ones go to overflow. Counts
 * SPANS_RECORDED or, by its signal, LOGS_RECORDED. What is known of its series: zeroes for overflow. */
struct record_note directory_record(struct directory *directory, const struct request *request);

/* The p90 alone, of a request that is not counted, or not yet. */
struct record_note directory_note(const struct directory *directory, const struct request *request);

/* Counts a connection and its bytes once. Ids as in directory_record. Counts LOGS_RECORDED. */
void directory_record_connection(struct directory *directory, const struct connection *connection);

/* Adds one attempt, weighted, to its edge's traffic. Counts nothing in the ledger: SPANS_ATTEMPTS or
 * LOGS_ATTEMPTS is the caller's. */
void directory_record_attempt(struct directory *directory, const struct attempt *attempt);

/*
 * Adds a part of a request's time, duration_ns, to the series of its source and destination, or of the
 * destination alone; once, unweighted, outside of the ledger. With `stored` it may become an exemplar.
 * Without room TRACE_TIMES_LOST counts it: there is no overflow.
 */
void directory_record_time(
    struct directory *directory, enum time_of_request which, const struct request *request);

/* Keeps the workload in mesh_service_info; outside of the ledger. Without room: SERIES_REFUSED. */
void directory_note_workload(struct directory *directory, const struct workload_note *note);

/* Folds a point into its series. Counts POINTS_RECORDED, or POINTS_DROPPED_SERIES when there is no room for
 * it. */
void directory_record_point(struct directory *directory, const struct metric_point *point);

/*
 * Whether since the last flip values of a series that exists found no memory, and went to overflow. Until the
 * next flip, which brings memory back, a message is better refused, to come again, than counted there. Cheap.
 */
bool directory_is_full(const struct directory *directory);

/*
 * Whether new strings of this sender's records may be interned: false once a record of it could not get a new
 * series. The caller then uses interner_find alone, so that a flood of label sets does not fill the interner
 * either. Cheap.
 */
bool directory_may_intern(const struct directory *directory, uint32_t sender);

/*
 * Closes the interval: the full delta, now the aggregator's, or NULL, with FLIPS_SKIPPED counted, when the
 * other delta is still away or memory is short; recording then goes on in the same one. Sweeps the interner.
 */
struct delta *directory_flip(struct directory *directory);

/* Takes back what directory_flip handed out, and carries out the verdict that it brings. */
void directory_give_back(struct directory *directory, struct delta *delta);

/* Series of this shard now, refused ones included. */
uint32_t directory_series_count(const struct directory *directory);

#endif
