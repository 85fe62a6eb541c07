/* The answers of query_smi.h. Only services and their namespaces are known by name: what contains pods has no
 * window of its own. */
#include "query/query_smi.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "histogram/quantile.h"
#include "query/query_smi_items.h"

#define BASE_PATH "/apis/metrics.smi-spec.io/v1alpha1"

enum {
    STATUS_OK = 200,
    STATUS_NOT_FOUND = 404,
    STATUS_INTERNAL_ERROR = 500,
    SMI_PARTS_MAX = 5,        /* of the path behind the version */
    SMI_NAME_BYTES_MAX = 512, /* of one of them */
};

static const char *const kind_names[] = {[SMI_NAMESPACES] = "Namespace", [SMI_SERVICES] = "Service"};

/* An answer on its way. */
struct smi_scan {
    const struct query_sources *sources;
    const char *path;
    uint64_t now_ns; /* monotonic */
    char timestamp[40];
    struct smi_figures figures; /* of the one resource asked about; scratch of a list */
    struct smi_items items;
};

/* Where metrics were observed. */
struct smi_edge {
    const char *direction;               /* "to", "from" */
    const char *side;                    /* "client", "server" */
    const struct smi_resource *resource; /* NULL: all there are */
};

bool query_smi_knows(const char *path)
{
    size_t length = strlen(BASE_PATH);

    return strncmp(path, BASE_PATH, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* ---- JSON pieces ---- */

static json_t *text_json(struct slice text)
{
    return json_stringn(text.ptr != NULL ? (const char *)text.ptr : "", text.length);
}

static json_t *resource_json(const struct smi_resource *resource)
{
    json_t *made =
        json_pack("{s:s,s:o}", "kind", kind_names[resource->kind], "name", text_json(resource->name));

    if (resource->kind == SMI_SERVICES) {
        (void)json_object_set_new(made, "namespace", text_json(resource->name_space));
    }
    return made;
}

/* A Kubernetes quantity of seconds, in millionths: "3250u". */
static json_t *latency_json(const char *name, double q, const struct smi_figures *figures)
{
    double seconds = 0;
    char value[32];

    (void)quantile_seconds(&figures->flat, q, &seconds);
    (void)snprintf(value, sizeof value, "%.0fu", seconds * 1e6);
    return json_pack("{s:s,s:s,s:s}", "name", name, "unit", "seconds", "value", value);
}

static json_t *count_json(const char *name, uint64_t count)
{
    char value[32];

    (void)snprintf(value, sizeof value, "%llu", (unsigned long long)count);
    return json_pack("{s:s,s:s}", "name", name, "value", value);
}

/* A request that its client gave up is neither a success nor a failure of whom it asked. */
static json_t *metrics_json(const struct smi_figures *figures)
{
    const uint64_t *outcomes = figures->values.outcomes;

    return json_pack("[o,o,o,o,o]", latency_json("p99_response_latency", 0.99, figures),
        latency_json("p90_response_latency", 0.9, figures),
        latency_json("p50_response_latency", 0.5, figures),
        count_json("success_count", outcomes[OUTCOME_OK] + outcomes[OUTCOME_CLIENT_ERROR]),
        count_json("failure_count", outcomes[OUTCOME_SERVER_ERROR] + outcomes[OUTCOME_NO_RESPONSE]));
}

static json_t *traffic_json(const struct smi_scan *scan, const struct smi_resource *resource,
    const struct smi_edge *edge, const struct smi_figures *figures)
{
    json_t *metadata =
        json_pack("{s:o,s:s}", "name", text_json(resource->name), "creationTimestamp", scan->timestamp);
    char window[32];

    if (resource->kind == SMI_SERVICES) {
        (void)json_object_set_new(metadata, "namespace", text_json(resource->name_space));
    }
    (void)snprintf(window, sizeof window, "%.1fs", (double)figures->values.covered_ns / 1e9);
    return json_pack("{s:s,s:s,s:o,s:s,s:s,s:o,s:{s:s,s:s,s:o},s:o}", "kind", "TrafficMetrics", "apiVersion",
        "metrics.smi-spec.io/v1alpha1", "metadata", metadata, "timestamp", scan->timestamp, "window", window,
        "resource", resource_json(resource), "edge", "direction", edge->direction, "side", edge->side,
        "resource", edge->resource != NULL ? resource_json(edge->resource) : json_object(), "metrics",
        metrics_json(figures));
}

/* Takes resource and items. */
static json_t *list_json(const struct smi_scan *scan, json_t *resource, json_t *items)
{
    json_t *metadata = json_pack("{s:s}", "selfLink", scan->path);

    if (scan->items.left_out_count > 0) {
        (void)json_object_set_new(
            metadata, "remainingItemCount", json_integer((json_int_t)scan->items.left_out_count));
    }
    return json_pack("{s:s,s:s,s:o,s:o,s:o}", "kind", "TrafficMetricsList", "apiVersion",
        "metrics.smi-spec.io/v1alpha1", "metadata", metadata, "resource", resource, "items", items);
}

static json_t *not_found_json(const char *path)
{
    char message[SMI_NAME_BYTES_MAX];

    (void)snprintf(message, sizeof message, "nothing is known of %.300s", path);
    json_t *status = json_pack("{s:s,s:s,s:s,s:s%,s:s,s:i}", "kind", "Status", "apiVersion", "v1", "status",
        "Failure", "message", message, strlen(message), "reason", "NotFound", "code", STATUS_NOT_FOUND);

    return status != NULL ? status /* a path may be no UTF-8 at all */
                          : json_pack("{s:s,s:s,s:s,s:s,s:i}", "kind", "Status", "apiVersion", "v1", "status",
                                "Failure", "reason", "NotFound", "code", STATUS_NOT_FOUND);
}

static json_t *resources_json(void)
{
    return json_pack("{s:s,s:s,s:s,s:[{s:s,s:b,s:s,s:[s,s]},{s:s,s:b,s:s,s:[s,s]}]}", "kind",
        "APIResourceList", "apiVersion", "v1", "groupVersion", "metrics.smi-spec.io/v1alpha1", "resources",
        "name", "namespaces", "namespaced", 0, "kind", "TrafficMetrics", "verbs", "get", "list", "name",
        "services", "namespaced", 1, "kind", "TrafficMetrics", "verbs", "get", "list");
}

/* ---- what was observed ---- */

/* Windows of one reporter into scan->figures; false when there are none. */
static bool read_windows(struct smi_scan *scan, const struct latency_filter *filter)
{
    return aggregator_latency(
               scan->sources->aggregator, filter, WINDOW_1M, &scan->figures.flat, &scan->figures.values) > 0;
}

/* Seen by itself, or by its callers. */
static struct smi_edge received_edge(enum reporter reporter)
{
    return (struct smi_edge){
        .direction = "from", .side = reporter == REPORTER_DESTINATION ? "server" : "client"};
}

/* What the resource received, as it saw it; as its callers did where it reports nothing. */
static json_t *received_json(struct smi_scan *scan, const struct smi_resource *resource)
{
    struct latency_filter filter = {.reporter = REPORTER_DESTINATION,
        .destination = resource->kind == SMI_SERVICES ? resource->name : slice_of(NULL, 0),
        .destination_namespace = resource->kind == SMI_SERVICES ? resource->name_space : resource->name};

    if (!read_windows(scan, &filter)) {
        filter.reporter = REPORTER_SOURCE;
        (void)read_windows(scan, &filter);
    }
    struct smi_edge edge = received_edge(filter.reporter);

    return traffic_json(scan, resource, &edge, &scan->figures);
}

static bool is_service(const struct smi_resource *resource, struct slice name, struct slice name_space)
{
    return resource->kind == SMI_NAMESPACES
               ? slice_equal(resource->name, name_space)
               : slice_equal(resource->name, name) && slice_equal(resource->name_space, name_space);
}

/* The edge's far end as the resource's kind has it. */
static struct smi_resource far_end(enum smi_kind kind, struct slice name, struct slice name_space)
{
    return kind == SMI_NAMESPACES
               ? (struct smi_resource){.kind = kind, .name = name_space}
               : (struct smi_resource){.kind = kind, .name = name, .name_space = name_space};
}

static void add_window(const struct smi_scan *scan, const struct window_view *view, struct smi_figures *to)
{
    aggregator_add_window(scan->sources->aggregator, view, WINDOW_1M, scan->now_ns, &to->flat, &to->values);
}

static bool has_requests(struct smi_scan *scan, const struct window_view *view)
{
    uint64_t count = 0;

    histogram_flat_reset(&scan->figures.flat);
    scan->figures.values = (struct window_values){.covered_ns = 0};
    add_window(scan, view, &scan->figures);
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        count += scan->figures.values.outcomes[i];
    }
    return count > 0;
}

/*
 * What goes out is seen by the resource as client, what comes in as server. Edges of one pair (of a
 * namespace's services, of several meshes) are one.
 */
static void add_edge(
    struct smi_scan *scan, const struct smi_resource *resource, const struct window_view *view)
{
    bool is_to =
        view->reporter == REPORTER_SOURCE && is_service(resource, view->source, view->source_namespace);
    bool is_from = view->reporter == REPORTER_DESTINATION &&
                   is_service(resource, view->destination, view->destination_namespace);
    struct smi_resource far = is_to ? far_end(resource->kind, view->destination, view->destination_namespace)
                                    : far_end(resource->kind, view->source, view->source_namespace);

    if ((!is_to && !is_from) || !has_requests(scan, view)) {
        return;
    }
    struct smi_item *item = smi_items_obtain(&scan->items, &far, is_to);

    if (item != NULL) {
        item->reporter = view->reporter;
        add_window(scan, view, &item->figures);
    }
}

/* Takes the items' list. */
static json_t *edges_json(struct smi_scan *scan, const struct smi_resource *resource)
{
    json_t *list = json_array();
    struct window_view view;
    uint32_t cursor = 0;

    while (aggregator_next_window(scan->sources->aggregator, &cursor, &view) > 0) {
        add_edge(scan, resource, &view);
    }
    for (size_t i = 0; i < scan->items.count; i++) {
        const struct smi_item *item = scan->items.list[i];
        struct smi_edge edge = {.direction = item->is_to ? "to" : "from",
            .side = item->is_to ? "client" : "server",
            .resource = &item->resource};

        (void)json_array_append_new(list, traffic_json(scan, resource, &edge, &item->figures));
    }
    return list;
}

/* ---- what there is ---- */

static bool exists(const struct smi_scan *scan, const struct smi_resource *resource)
{
    struct service_view service;
    uint32_t cursor = 0;

    while (aggregator_next_service(scan->sources->aggregator, &cursor, &service) > 0) {
        if (is_service(resource, service.name, service.name_space)) {
            return true;
        }
    }
    return false;
}

/* Windows that one reporter has of the items; a resource that reports by itself is not asked of its callers.
 */
static void fill_received(struct smi_scan *scan, enum smi_kind kind, enum reporter reporter)
{
    struct window_view view;
    uint32_t cursor = 0;

    while (aggregator_next_window(scan->sources->aggregator, &cursor, &view) > 0) {
        struct smi_resource resource = far_end(kind, view.destination, view.destination_namespace);
        struct smi_item *item =
            view.reporter == reporter ? smi_items_find(&scan->items, &resource, false) : NULL;

        if (item != NULL && (reporter == REPORTER_DESTINATION || item->reporter == reporter)) {
            item->reporter = reporter;
            add_window(scan, &view, &item->figures);
        }
    }
}

/* All services of a namespace, or all namespaces: two passes over the windows, however many there are. */
static json_t *all_json(struct smi_scan *scan, enum smi_kind kind, struct slice name_space)
{
    json_t *list = json_array();
    struct service_view service;
    uint32_t cursor = 0;

    while (aggregator_next_service(scan->sources->aggregator, &cursor, &service) > 0) {
        struct smi_resource resource = far_end(kind, service.name, service.name_space);

        if (kind == SMI_NAMESPACES || slice_equal(service.name_space, name_space)) {
            (void)smi_items_obtain(&scan->items, &resource, false);
        }
    }
    fill_received(scan, kind, REPORTER_DESTINATION);
    fill_received(scan, kind, REPORTER_SOURCE);
    for (size_t i = 0; i < scan->items.count; i++) {
        const struct smi_item *item = scan->items.list[i];
        struct smi_edge edge = received_edge(item->reporter);

        (void)json_array_append_new(list, traffic_json(scan, &item->resource, &edge, &item->figures));
    }
    return list;
}

/* ---- paths ---- */

/* The parts behind the version; negative when there are too many. */
static int split(const char *path, struct slice parts[SMI_PARTS_MAX])
{
    int count = 0;

    for (path += strlen(BASE_PATH); *path != '\0';) {
        size_t length = strcspn(path, "/");

        if (length > 0) {
            if (count == SMI_PARTS_MAX) {
                return -1;
            }
            parts[count++] = slice_of(path, length);
        }
        path += length + (path[length] == '/');
    }
    return count;
}

static json_t *resource_answer(struct smi_scan *scan, const struct smi_resource *resource, bool edges)
{
    if (!exists(scan, resource)) {
        return NULL;
    }
    if (!edges) {
        return received_json(scan, resource);
    }
    json_t *items = edges_json(scan, resource);

    return list_json(scan, resource_json(resource), items);
}

static json_t *kind_answer(struct smi_scan *scan, enum smi_kind kind, struct slice name_space)
{
    json_t *items = all_json(scan, kind, name_space);
    json_t *resource = json_pack("{s:s}", "kind", kind_names[kind]);

    if (kind == SMI_SERVICES) {
        (void)json_object_set_new(resource, "namespace", text_json(name_space));
    }
    return list_json(scan, resource, items);
}

/* NULL when the path is not one of the API's. */
static json_t *answer(struct smi_scan *scan)
{
    struct slice parts[SMI_PARTS_MAX];
    int count = split(scan->path, parts);
    bool edges = count > 0 && slice_equal(parts[count - 1], SLICE_LITERAL("edges"));
    int names = edges ? count - 1 : count;

    if (count == 0) {
        return resources_json();
    }
    if (count < 0 || !slice_equal(parts[0], SLICE_LITERAL("namespaces"))) {
        return NULL;
    }
    if (names >= 3 && !slice_equal(parts[2], SLICE_LITERAL("services"))) {
        return NULL;
    }
    switch (names) {
    case 1:
        return edges ? NULL : kind_answer(scan, SMI_NAMESPACES, slice_of(NULL, 0));
    case 2:
        return resource_answer(scan, &(struct smi_resource){.kind = SMI_NAMESPACES, .name = parts[1]}, edges);
    case 3:
        return edges ? NULL : kind_answer(scan, SMI_SERVICES, parts[1]);
    case 4:
        return resource_answer(scan,
            &(struct smi_resource){.kind = SMI_SERVICES, .name = parts[3], .name_space = parts[1]}, edges);
    default:
        return NULL;
    }
}

static void format_time(uint64_t unix_ns, char *out, size_t out_bytes)
{
    time_t seconds = (time_t)(unix_ns / 1000000000u);
    struct tm parts;

    (void)gmtime_r(&seconds, &parts);
    if (strftime(out, out_bytes, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        out[0] = '\0';
    }
}

static int append(const char *bytes, size_t length, void *user)
{
    return buffer_append(user, bytes, length) < 0 ? -1 : 0;
}

unsigned query_smi_run(const struct query_sources *sources, const char *path, struct buffer *out)
{
    struct smi_scan *scan = calloc(1, sizeof *scan);
    unsigned status = STATUS_OK;

    if (scan == NULL) {
        return STATUS_INTERNAL_ERROR;
    }
    scan->sources = sources;
    scan->path = path;
    scan->now_ns = clock_monotonic_ns(sources->clock);
    format_time(clock_unix_ns(sources->clock), scan->timestamp, sizeof scan->timestamp);
    json_t *made = answer(scan);
    if (made == NULL) {
        status = STATUS_NOT_FOUND;
        made = not_found_json(path);
    }
    if (made == NULL || json_dump_callback(made, append, out, 0) != 0) {
        out->length = 0;
        out->error = 0;
        status = STATUS_INTERNAL_ERROR;
    }
    json_decref(made);
    smi_items_deinit(&scan->items);
    free(scan);
    return status;
}
