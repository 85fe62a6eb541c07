/*
 * Routes: what a path becomes before it may be a label. A raw path never is one: segments that look like the
 * name of one thing (ids, numbers, hashes, dates, addresses …) become `*`, query strings are gone, and a
 * destination has a limited number of templates, past which its route is ROUTE_REST, a slash and a star. One
 * table a shard; nothing is allocated after its init.
 *
 *   (destination, template) ─hash─► entries   there: known
 *                                            not there: room for the destination? add, else the rest
 *
 * At the end of an epoch, templates not seen in it are forgotten, so that a flood of paths spoils a
 * destination's routes for two epochs at most after it ended.
 */
#ifndef WEFT_CONTEXT_ROUTE_H
#define WEFT_CONTEXT_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/limits.h"
#include "core/slice.h"

enum {
    ROUTE_BYTES_MAX = 4096,            /* of a template; limits.string_bytes_max is at most that */
    ROUTE_SEGMENT_BYTES_MAX = 64,      /* a longer segment becomes `*` */
    ROUTE_TABLE_ENTRIES_COUNT = 65536, /* slots of 16 bytes, filled to three quarters */
    ROUTE_TABLE_DESTINATIONS_COUNT = 8192,
};
#define ROUTE_EPOCH_NS 300000000000ull

/* Where no template is to be had. */
#define ROUTE_REST SLICE_LITERAL("/*")

struct route_buffer {
    uint8_t bytes[ROUTE_BYTES_MAX];
};

/*
 * The template of a path, an absolute URL, "*", or what CONNECT names instead of a path (which becomes "*").
 * The result is in `buffer`; empty when `path` is. It holds only unreserved and a few harmless characters, at
 * most limits.route_segments_count_max segments (then ROUTE_REST), at most limits.string_bytes_max bytes.
 */
struct slice route_template(struct slice path, const struct limits *limits, struct route_buffer *buffer);

/* Whether one segment (without slashes) names a thing rather than a kind of thing; exported for the tests. */
bool route_segment_varies(struct slice segment);

struct route_table;

/* NULL when out of memory. templates_max: limits.routes_per_destination_max. `seed` should not be known to
 * senders. */
struct route_table *route_table_new(uint64_t templates_max, uint64_t seed);
void route_table_free(struct route_table *table);

/* Tells the table the time; forgets at the end of an epoch. Off the record path: once a batch. */
void route_table_tick(struct route_table *table, uint64_t now_monotonic_ns);

/* The hash by which a template is known; may be kept for as long as the table lives. */
uint64_t route_hash(const struct route_table *table, struct slice template_text);

/* What its user keeps with a template; zeroed when the template is new. */
struct route_known {
    uint32_t id;
    uint32_t epoch;
};

/*
 * Whether this template of this destination may be a label: it is known, or there is room, and now it is
 * known. NULL: use ROUTE_REST. `destination` is any number that stands for it (interner ids of service and
 * namespace). Good until the table is told the time.
 */
struct route_known *route_table_admit(struct route_table *table, uint64_t destination, uint64_t hash);

#endif
