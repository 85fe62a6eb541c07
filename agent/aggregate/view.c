/* Queries over the rolling windows: view.h. */
#include "aggregate/view.h"

#include "aggregate/aggregator_internal.h"
#include "core/error.h"

int aggregator_next_service(
    const struct aggregator *aggregator, uint32_t *cursor, struct service_view *ret_service)
{
    const struct table *services = &aggregator->edges.services;

    while (*cursor < services->used) {
        const struct service *service = table_at(services, (*cursor)++);

        if (service != NULL) {
            *ret_service = (struct service_view){
                .name = interner_text(aggregator->interner, service->name),
                .name_space = interner_text(aggregator->interner, service->name_space),
                .mesh = slice_of_string(mesh_name(&aggregator->settings.meshes, service->mesh)),
            };
            return 1;
        }
    }
    return 0;
}

/* Windows of a route have no source; a source is never empty: it is "unknown" at least. */
static bool is_route_window(const struct window *window)
{
    return window->edge->key.route != INTERNED_NONE;
}

static uint64_t count_of(const struct window_values *values)
{
    uint64_t count = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        count += values->outcomes[i];
    }
    return count;
}

const struct window *aggregator_request_window(
    const struct aggregator *aggregator, uint32_t *cursor, const struct windows **ret_windows)
{
    uint32_t record_count = aggregator->windows.windows.used;

    while (*cursor < record_count + aggregator->scraped->windows.windows.used) {
        bool is_scraped = *cursor >= record_count;
        const struct windows *windows = is_scraped ? &aggregator->scraped->windows : &aggregator->windows;
        const struct window *window =
            table_at(&windows->windows, is_scraped ? *cursor - record_count : *cursor);

        (*cursor)++;
        if (window != NULL && window->edge->key.reporter < REPORTER_COUNT) {
            *ret_windows = windows;
            return window;
        }
    }
    return NULL;
}

int aggregator_next_edge(const struct aggregator *aggregator, uint32_t *cursor, enum window_span span,
    struct histogram_flat *flat, struct edge_view *ret_edge)
{
    const struct interner *interner = aggregator->interner;
    uint64_t now_ns = clock_monotonic_ns(aggregator->settings.clock);
    const struct windows *windows;
    const struct window *window;

    while ((window = aggregator_request_window(aggregator, cursor, &windows)) != NULL) {
        struct window_values values = {.covered_ns = 0};

        if (is_route_window(window)) {
            continue;
        }
        histogram_flat_reset(flat);
        windows_read(windows, window, span, now_ns, flat, &values);
        if (count_of(&values) == 0) {
            continue;
        }
        const struct edge_key *key = &window->edge->key;

        *ret_edge = (struct edge_view){
            .reporter = (enum reporter)key->reporter,
            .source = interner_text(interner, key->source),
            .source_namespace = interner_text(interner, key->source_namespace),
            .destination = interner_text(interner, key->destination),
            .destination_namespace = interner_text(interner, key->destination_namespace),
            .mesh = slice_of_string(mesh_name(&aggregator->settings.meshes, key->mesh)),
            .values = values,
            .is_scraped = windows != &aggregator->windows,
        };
        return 1;
    }
    return 0;
}

int aggregator_next_window(
    const struct aggregator *aggregator, uint32_t *cursor, struct window_view *ret_window)
{
    const struct interner *interner = aggregator->interner;
    const struct table *windows = &aggregator->windows.windows;

    while (*cursor < windows->used) {
        const struct window *window = table_at(windows, (*cursor)++);

        if (window == NULL || is_route_window(window)) {
            continue;
        }
        const struct edge_key *key = &window->edge->key;

        *ret_window = (struct window_view){
            .reporter = (enum reporter)key->reporter,
            .source = interner_text(interner, key->source),
            .source_namespace = interner_text(interner, key->source_namespace),
            .destination = interner_text(interner, key->destination),
            .destination_namespace = interner_text(interner, key->destination_namespace),
            .window = window,
        };
        return 1;
    }
    return 0;
}

void aggregator_add_window(const struct aggregator *aggregator, const struct window_view *view,
    enum window_span span, uint64_t monotonic_ns, struct histogram_flat *flat, struct window_values *values)
{
    windows_read(&aggregator->windows, view->window, span, monotonic_ns, flat, values);
}

static bool fits_text(const struct aggregator *aggregator, struct slice wanted, uint32_t id)
{
    return wanted.ptr == NULL || slice_equal(wanted, interner_text(aggregator->interner, id));
}

static bool fits_mesh(const struct aggregator *aggregator, struct slice wanted, uint32_t mesh)
{
    return wanted.ptr == NULL ||
           slice_equal(wanted, slice_of_string(mesh_name(&aggregator->settings.meshes, mesh)));
}

static bool fits(
    const struct aggregator *aggregator, const struct latency_filter *filter, const struct window *window)
{
    const struct edge_key *key = &window->edge->key;

    return key->reporter == (filter->time_of != 0 ? filter->time_of : (uint32_t)filter->reporter) &&
           is_route_window(window) == (filter->route.length > 0) &&
           fits_text(aggregator, filter->source, key->source) &&
           fits_text(aggregator, filter->source_namespace, key->source_namespace) &&
           fits_text(aggregator, filter->destination, key->destination) &&
           fits_text(aggregator, filter->destination_namespace, key->destination_namespace) &&
           fits_text(aggregator, filter->route, key->route) && fits_mesh(aggregator, filter->mesh, key->mesh);
}

static bool names_source_and_route(const struct latency_filter *filter)
{
    return filter->route.length > 0 && (filter->source.ptr != NULL || filter->source_namespace.ptr != NULL);
}

int aggregator_latency(const struct aggregator *aggregator, const struct latency_filter *filter,
    enum window_span span, struct histogram_flat *flat, struct window_values *ret_values)
{
    const struct windows *windows = &aggregator->windows;
    uint64_t now_ns = clock_monotonic_ns(aggregator->settings.clock);
    struct window_values values = {.covered_ns = 0};
    int count = 0;

    if (names_source_and_route(filter)) {
        return WERR_UNSUPPORTED;
    }
    histogram_flat_reset(flat);
    for (uint32_t i = 0; i < windows->windows.used; i++) {
        const struct window *window = table_at(&windows->windows, i);

        if (window != NULL && fits(aggregator, filter, window)) {
            windows_read(windows, window, span, now_ns, flat, &values);
            count++;
        }
    }
    *ret_values = values;
    return count;
}

uint32_t aggregator_slots(const struct aggregator *aggregator, enum window_span span,
    struct window_slot ret_slots[WINDOW_SLOT_COUNT_MAX], uint64_t *ret_now_ns)
{
    *ret_now_ns = clock_monotonic_ns(aggregator->settings.clock);
    return windows_slots(&aggregator->windows, span, *ret_now_ns, ret_slots);
}

int aggregator_latency_in_slot(const struct aggregator *aggregator, const struct latency_filter *filter,
    const struct window_slot *slot, struct histogram_flat *flat, struct window_values *ret_values)
{
    const struct windows *windows = &aggregator->windows;
    struct window_values values = {.covered_ns = slot->length_ns};
    int count = 0;

    if (names_source_and_route(filter)) {
        return WERR_UNSUPPORTED;
    }
    histogram_flat_reset(flat);
    for (uint32_t i = 0; i < windows->windows.used; i++) {
        const struct window *window = table_at(&windows->windows, i);

        if (window != NULL && fits(aggregator, filter, window)) {
            windows_read_slot(windows, window, slot, flat, &values);
            count++;
        }
    }
    *ret_values = values;
    return count;
}
