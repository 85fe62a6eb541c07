/* Windows and recent callers for ranked tables: traffic_view.h. */
#include "aggregate/traffic_view.h"

#include "aggregate/aggregator_internal.h"

static bool has_requests(const struct window_values *values)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (values->outcomes[i] > 0) {
            return true;
        }
    }
    return false;
}

static int next_window(const struct aggregator *aggregator, uint32_t *cursor, bool wants_routes,
    enum window_span span, struct traffic *ret_traffic)
{
    uint64_t now_ns = clock_monotonic_ns(aggregator->settings.clock);
    const struct windows *windows;
    const struct window *window;

    while ((window = aggregator_request_window(aggregator, cursor, &windows)) != NULL) {
        struct window_values values = {.covered_ns = 0};

        if ((window->edge->key.route != INTERNED_NONE) != wants_routes) {
            continue;
        }
        windows_read(windows, window, span, now_ns, NULL, &values);
        if (has_requests(&values)) {
            *ret_traffic = (struct traffic){.key = window->edge->key,
                .values = values,
                .is_scraped = windows != &aggregator->windows,
                .window = window};
            return 1;
        }
    }
    return 0;
}

/* This period and the one before, or less when counting began in it. */
static uint64_t recent_ns(const struct aggregator *aggregator, uint64_t now_ns)
{
    uint64_t period_s = now_ns / 1000000000u / EDGE_RECENT_S;
    uint64_t first_ns = (period_s > 0 ? period_s - 1 : 0) * EDGE_RECENT_S * 1000000000ull;
    uint64_t start_ns = windows_start_ns(&aggregator->windows);

    if (start_ns > first_ns) {
        first_ns = start_ns;
    }
    return now_ns > first_ns ? now_ns - first_ns : 0;
}

static int next_recent(const struct aggregator *aggregator, uint32_t *cursor, struct traffic *ret_traffic)
{
    uint64_t now_ns = clock_monotonic_ns(aggregator->settings.clock);
    const struct table *edges = &aggregator->edges.edges;

    while (*cursor < edges->used) {
        const struct edge *edge = table_at(edges, (*cursor)++);
        struct window_values values = {.covered_ns = recent_ns(aggregator, now_ns)};

        if (edge != NULL && edge->key.route != INTERNED_NONE && edge->key.reporter < REPORTER_COUNT &&
            edge_recent_read(&edge->recent, (uint32_t)(now_ns / 1000000000u), values.outcomes)) {
            *ret_traffic = (struct traffic){.key = edge->key, .values = values};
            return 1;
        }
    }
    return 0;
}

int aggregator_next_traffic(const struct aggregator *aggregator, uint32_t *cursor, enum traffic_kind kind,
    enum window_span span, struct traffic *ret_traffic)
{
    return kind == TRAFFIC_RECENT
               ? next_recent(aggregator, cursor, ret_traffic)
               : next_window(aggregator, cursor, kind == TRAFFIC_OF_ROUTES, span, ret_traffic);
}

void aggregator_traffic_latencies(const struct aggregator *aggregator, const struct traffic *traffic,
    enum window_span span, struct histogram_flat *flat)
{
    struct window_values values = {.covered_ns = 0};

    if (traffic->window != NULL) {
        windows_read(traffic->is_scraped ? &aggregator->scraped->windows : &aggregator->windows,
            traffic->window, span, clock_monotonic_ns(aggregator->settings.clock), flat, &values);
    }
}

struct slice aggregator_text(const struct aggregator *aggregator, uint32_t id)
{
    return interner_text(aggregator->interner, id);
}

struct slice aggregator_mesh_text(const struct aggregator *aggregator, uint32_t mesh)
{
    return slice_of_string(mesh_name(&aggregator->settings.meshes, mesh));
}

uint64_t aggregator_start_unix_ns(const struct aggregator *aggregator)
{
    return aggregator->start_unix_ns;
}
