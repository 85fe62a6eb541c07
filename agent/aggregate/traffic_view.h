/*
 * What a ranked table of traffic reads: windows with their outcomes, whose latencies are read later and only
 * where they are shown, and who called a route lately. Keys are ids, so that a table groups and sorts without
 * comparing texts. The aggregator's thread; nothing is allocated, everything is valid until the next merge or
 * tick.
 */
#ifndef WEFT_AGGREGATE_TRAFFIC_VIEW_H
#define WEFT_AGGREGATE_TRAFFIC_VIEW_H

#include "aggregate/view.h"

enum traffic_kind {
    TRAFFIC_OF_PAIRS,  /* windows of (reporter, source, destination), those of records, then scraped ones */
    TRAFFIC_OF_ROUTES, /* windows of (reporter, destination, route), likewise */
    TRAFFIC_RECENT, /* requests of (reporter, source, destination, route), of the last half to whole minute */
    TRAFFIC_KIND_COUNT
};

struct traffic {
    struct edge_key key;
    struct window_values values;
    bool is_scraped;             /* as in struct edge_view */
    const struct window *window; /* NULL: there are no latencies */
};

/* The next with requests in the window, from *cursor (0 at first): 1, or 0 at the end. TRAFFIC_RECENT knows
 * no other span than its own. */
int aggregator_next_traffic(const struct aggregator *aggregator, uint32_t *cursor, enum traffic_kind kind,
    enum window_span span, struct traffic *ret_traffic);

/* Adds its latencies to `flat`, which is not reset first. */
void aggregator_traffic_latencies(const struct aggregator *aggregator, const struct traffic *traffic,
    enum window_span span, struct histogram_flat *flat);

/* The texts of a key's ids. */
struct slice aggregator_text(const struct aggregator *aggregator, uint32_t id);
struct slice aggregator_mesh_text(const struct aggregator *aggregator, uint32_t mesh);

/* Since when this process counts. */
uint64_t aggregator_start_unix_ns(const struct aggregator *aggregator);

#endif
