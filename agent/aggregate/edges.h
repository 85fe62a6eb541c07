/*
 * Who calls whom: the label sets that series share, with their label text made once, and the services they
 * name. The aggregator's thread. Reference-counted; an edge holds its strings and its services.
 *
 *   reporter, source, destination, route      traffic series, and the first labels of requests and duration
 * series reporter, source, destination, -          flags, and the windows of an edge reporter, -,
 * destination, route           the windows of a route
 */
#ifndef WEFT_AGGREGATE_EDGES_H
#define WEFT_AGGREGATE_EDGES_H

#include "aggregate/hash_index.h"
#include "aggregate/series_key.h"
#include "aggregate/table.h"
#include "context/interner.h"
#include "core/buffer.h"
#include "core/mesh_names.h"

struct window;

struct edge_key {
    uint32_t source; /* ids of the aggregator's interner */
    uint32_t source_namespace;
    uint32_t destination;
    uint32_t destination_namespace;
    uint32_t route;
    uint16_t reporter;
    uint16_t mesh; /* core/mesh_names.h */
};

/*
 * Who called lately, by route as well, which windows do not tell: requests of this period and of the one
 * before, by the clock, so of the last EDGE_RECENT_S to twice that. Counts stop at their largest value.
 */
enum { EDGE_RECENT_S = 30 };

struct edge_recent {
    uint32_t period; /* number of this period; 0: nothing was counted yet */
    uint32_t counts[2][OUTCOME_COUNT];
};

struct service {
    uint32_t name;
    uint32_t name_space;
    uint32_t mesh;
    uint32_t hash;
    uint32_t number;
    uint32_t reference_count;
};

struct edge {
    struct edge_key key;
    uint32_t hash;
    uint32_t number;
    uint32_t reference_count;
    uint32_t text_length;
    struct edge_recent recent;   /* of requests series */
    char *text;                  /* labels: reporter="source",source="a",… */
    struct window *window;       /* or NULL */
    struct service *services[2]; /* source, destination; NULL when not known */
};

struct edges {
    struct budget *budget;     /* borrowed */
    struct interner *interner; /* borrowed */
    struct mesh_names meshes;  /* borrowed; set by the owner, none at first */
    struct table edges;
    struct hash_index edge_index;
    struct table services;
    struct hash_index service_index;
    struct buffer scratch;
};

/* 0 or WERR_NOMEM. */
int edges_init(struct edges *edges, struct interner *interner, struct budget *budget);
void edges_deinit(struct edges *edges);

/* The edge of `key`, with a reference for the caller; NULL without memory. */
struct edge *edges_obtain(struct edges *edges, const struct edge_key *key);
void edges_release(struct edges *edges, struct edge *edge); /* NULL is fine */

/* Counts requests as recent; now_s is the monotonic clock's. */
void edge_recent_add(struct edge_recent *recent, enum outcome outcome, uint64_t count, uint32_t now_s);

/* Writes what is still recent at now_s; false when nothing is. */
bool edge_recent_read(
    const struct edge_recent *recent, uint32_t now_s, uint64_t ret_outcomes[static OUTCOME_COUNT]);

#endif
