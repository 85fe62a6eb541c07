/*
 * What queries read of the aggregator: services, edges and latencies of a rolling window. The aggregator's
 * thread; nothing is allocated, and slices are valid until the next merge or tick.
 */
#ifndef WEFT_AGGREGATE_VIEW_H
#define WEFT_AGGREGATE_VIEW_H

#include "aggregate/aggregator.h"
#include "aggregate/windows.h"
#include "context/request.h"
#include "histogram/flat.h"

struct service_view {
    struct slice name;
    struct slice name_space; /* may be empty */
    struct slice mesh;       /* empty: none */
};

/* The next service from *cursor (0 at first): 1, or 0 at the end. */
int aggregator_next_service(
    const struct aggregator *aggregator, uint32_t *cursor, struct service_view *ret_service);

struct edge_view {
    enum reporter reporter;
    struct slice source; /* "unknown" when the reporter cannot tell */
    struct slice source_namespace;
    struct slice destination;
    struct slice destination_namespace;
    struct slice mesh; /* empty: none */
    struct window_values values;
    bool is_scraped; /* from a proxy's own metrics: the same requests may be in an edge of records as well */
};

/*
 * The next edge (reporter, source, destination) with traffic in the window, those of records first, then
 * those of scraped metrics: 1 with `flat` holding its latencies (reset first; read it with
 * histogram/quantile.h), or 0 at the end.
 */
int aggregator_next_edge(const struct aggregator *aggregator, uint32_t *cursor, enum window_span span,
    struct histogram_flat *flat, struct edge_view *ret_edge);

/* A window of an edge whose values were not read yet. */
struct window_view {
    enum reporter reporter;
    struct slice source;
    struct slice source_namespace;
    struct slice destination;
    struct slice destination_namespace;
    const struct window *window;
};

/* The next window (reporter, source, destination) of records, with traffic or not: 1, or 0 at the end. For
 * one pass that fills many answers. */
int aggregator_next_window(
    const struct aggregator *aggregator, uint32_t *cursor, struct window_view *ret_window);

/* Adds what it holds to `flat` and *values, neither of which is reset first. */
void aggregator_add_window(const struct aggregator *aggregator, const struct window_view *view,
    enum window_span span, uint64_t monotonic_ns, struct histogram_flat *flat, struct window_values *values);

/* Which windows to add up. A slice whose ptr is NULL leaves that field open; an empty one with a ptr wants
 * "". */
struct latency_filter {
    enum reporter reporter;
    uint8_t time_of; /* enum time_of_request, in place of a reporter; 0: durations as the reporter saw them */
    struct slice source;
    struct slice source_namespace;
    struct slice destination;
    struct slice destination_namespace;
    struct slice route;
    struct slice mesh;
};

/*
 * Adds up the windows that fit into `flat` (reset first) and *ret_values: how many fitted, 0 when none did.
 * Windows are kept by source and destination, and by destination and route: WERR_UNSUPPORTED for a filter
 * with a source and a route.
 */
int aggregator_latency(const struct aggregator *aggregator, const struct latency_filter *filter,
    enum window_span span, struct histogram_flat *flat, struct window_values *ret_values);

/* The slots of a window, newest first, with the moment they are counted from: windows.h. */
uint32_t aggregator_slots(const struct aggregator *aggregator, enum window_span span,
    struct window_slot ret_slots[WINDOW_SLOT_COUNT_MAX], uint64_t *ret_now_ns);

/* As aggregator_latency, of one slot. */
int aggregator_latency_in_slot(const struct aggregator *aggregator, const struct latency_filter *filter,
    const struct window_slot *slot, struct histogram_flat *flat, struct window_values *ret_values);

#endif
