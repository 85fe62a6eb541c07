/* Stepping through all families, and the families of requests: snapshot.h. The aggregator's thread. */
#include "aggregate/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregate/label_text.h"
#include "aggregate/snapshot_internal.h"
#include "context/response_flags.h"
#include "core/error.h"

enum { LABELS_BYTES_MAX = 65536 };

/* Where a family's series come from: places 0 … end - 1, each a series or nothing. */
struct source {
    struct snapshot_family family;
    size_t (*end)(const struct view *view);
    bool (*fill)(struct view *view, size_t place, struct snapshot_series *series);
};

void view_begin_labels(struct view *view)
{
    view->text.length = 0;
    view->text.error = 0;
    view->label_count = 0;
}

void view_add_label(struct view *view, const char *name, const char *value)
{
    if (*value == '\0' || view->label_count == VIEW_LABEL_COUNT_MAX) {
        return;
    }
    label_text_append(&view->text, name, slice_of_string(value));
    view->labels[view->label_count++] = (struct snapshot_label){.name = name, .value = value};
}

void view_end_labels(struct view *view, struct snapshot_series *series)
{
    view_add_static_labels(view);
    buffer_append_byte(&view->text, 0);
    series->labels_text = view->text.error == 0 ? (const char *)view->text.data : "";
    series->labels_text_length = view->text.error == 0 ? view->text.length - 1 : 0;
    series->labels = view->labels;
    series->label_count = view->text.error == 0 ? view->label_count : 0;
}

static void add_edge_label(struct view *view, const char *name, const char *value)
{
    if (*value != '\0' && view->label_count < VIEW_LABEL_COUNT_MAX) {
        view->labels[view->label_count++] = (struct snapshot_label){.name = name, .value = value};
    }
}

/* The edge's labels, their text as it was made once. */
static void begin_edge_labels(struct view *view, const struct edge *edge)
{
    view_begin_labels(view);
    buffer_append(&view->text, edge->text, edge->text_length);
    add_edge_label(view, "reporter", reporter_name((enum reporter)edge->key.reporter));
    add_edge_label(view, "source", view_text(view, edge->key.source));
    add_edge_label(view, "source_namespace", view_text(view, edge->key.source_namespace));
    add_edge_label(view, "destination", view_text(view, edge->key.destination));
    add_edge_label(view, "destination_namespace", view_text(view, edge->key.destination_namespace));
    add_edge_label(view, "route", view_text(view, edge->key.route));
    add_edge_label(view, "mesh", mesh_name(&view->aggregator->settings.meshes, edge->key.mesh));
}

static void begin_overflow_labels(struct view *view, uint32_t reporter)
{
    view_begin_labels(view);
    view_add_label(view, "reporter", reporter_name((enum reporter)reporter));
    view_add_label(view, "destination", "_overflow");
}

static void end_overflow_labels(struct view *view, struct snapshot_series *series)
{
    view_add_label(view, "otel_metric_overflow", "true");
    view_end_labels(view, series);
}

void view_set_counter(struct snapshot_series *series, uint64_t value, uint64_t created_unix_ns)
{
    series->integer = value;
    series->value = (double)value;
    series->is_integer = 1;
    series->created_unix_ns = created_unix_ns;
}

static struct series *series_at(const struct view *view, enum series_family family, size_t place)
{
    const struct table *table = &view->aggregator->families[family].series;

    return place < table->used ? table_at(table, (uint32_t)place) : NULL;
}

/* requests */

enum { REQUESTS_OVERFLOW_PLACES = OVERFLOW_SET_COUNT * OVERFLOW_CODE_COUNT };

static size_t requests_end(const struct view *view)
{
    return REQUESTS_OVERFLOW_PLACES + view->aggregator->families[FAMILY_REQUESTS].series.used;
}

static bool shows_label(const struct view *view, enum droppable_label label)
{
    return !label_is_dropped(view->settings.dropped_labels, label);
}

static void add_number_label(struct view *view, const char *name, char text[VIEW_NUMBER_BYTES], int number)
{
    (void)snprintf(text, VIEW_NUMBER_BYTES, "%d", number);
    view_add_label(view, name, text);
}

static void add_protocol_label(struct view *view, uint8_t protocol)
{
    if (shows_label(view, DROPPABLE_PROTOCOL)) {
        view_add_label(view, "protocol", protocol_name((enum protocol)protocol));
    }
}

static bool fill_requests_overflow(struct view *view, size_t place, struct snapshot_series *series)
{
    const struct overflow_values *overflow = view->aggregator->overflow;
    uint32_t set = (uint32_t)(place / OVERFLOW_CODE_COUNT);
    uint32_t code = (uint32_t)(place % OVERFLOW_CODE_COUNT);

    if (overflow->requests[set][code] == 0) {
        return false;
    }
    begin_overflow_labels(view, set / OUTCOME_COUNT);
    /* Also where the label is dropped: overflow is counted by code. */
    add_number_label(view, "response_code", view->numbers[0], code == 0 ? 0 : (int)code + 99);
    view_add_label(view, "outcome", outcome_name((enum outcome)(set % OUTCOME_COUNT)));
    end_overflow_labels(view, series);
    view_set_counter(series, overflow->requests[set][code], view->aggregator->start_unix_ns);
    return true;
}

static bool fill_requests(struct view *view, size_t place, struct snapshot_series *series)
{
    if (place < REQUESTS_OVERFLOW_PLACES) {
        return fill_requests_overflow(view, place, series);
    }
    const struct series *from = series_at(view, FAMILY_REQUESTS, place - REQUESTS_OVERFLOW_PLACES);

    if (from == NULL) {
        return false;
    }
    begin_edge_labels(view, from->edge);
    if (shows_label(view, DROPPABLE_METHOD)) {
        view_add_label(view, "method", method_name((enum method)from->key.method));
    }
    add_protocol_label(view, from->key.protocol);
    if (shows_label(view, DROPPABLE_RESPONSE_CODE)) {
        add_number_label(view, "response_code", view->numbers[0], from->key.response_code);
    }
    if (from->key.grpc_status != GRPC_STATUS_NONE) {
        add_number_label(view, "grpc_status", view->numbers[1], from->key.grpc_status);
    }
    view_add_label(view, "outcome", outcome_name((enum outcome)from->key.outcome));
    view_end_labels(view, series);
    view_set_counter(series, from->count, from->base.created_unix_ns);
    return true;
}

/* duration */

static size_t durations_end(const struct view *view)
{
    return OVERFLOW_SET_COUNT +
           (size_t)view->aggregator->families[FAMILY_DURATION].series.used * OUTCOME_COUNT;
}

static bool fill_durations_overflow(struct view *view, uint32_t set, struct snapshot_series *series)
{
    const struct histogram *from = &view->aggregator->overflow->durations[set];

    if (from->count == 0) {
        return false;
    }
    begin_overflow_labels(view, set / OUTCOME_COUNT);
    view_add_label(view, "outcome", outcome_name((enum outcome)(set % OUTCOME_COUNT)));
    end_overflow_labels(view, series);
    series->created_unix_ns = view->aggregator->start_unix_ns;
    view_set_histogram(view, series, &view->aggregator->shown, from, view->aggregator->overflow_slab);
    return true;
}

/* Every outcome is shown as soon as one has been seen, so that rate() finds the zero before a first error. */
static bool fill_durations(struct view *view, size_t place, struct snapshot_series *series)
{
    if (place < OVERFLOW_SET_COUNT) {
        return fill_durations_overflow(view, (uint32_t)place, series);
    }
    place -= OVERFLOW_SET_COUNT;
    const struct series *from = series_at(view, FAMILY_DURATION, place / OUTCOME_COUNT);

    if (from == NULL) {
        return false;
    }
    begin_edge_labels(view, from->edge);
    add_protocol_label(view, from->key.protocol);
    view_add_label(view, "outcome", outcome_name((enum outcome)(place % OUTCOME_COUNT)));
    view_end_labels(view, series);
    view_set_duration(view, series, from, place % OUTCOME_COUNT);
    return true;
}

/* flags */

enum { FLAGS_OVERFLOW_PLACES = REPORTER_COUNT * FLAG_COUNT };

static size_t flags_end(const struct view *view)
{
    return FLAGS_OVERFLOW_PLACES + view->aggregator->families[FAMILY_FLAGS].series.used;
}

static const char *flag_name(unsigned flag)
{
    const char *name = response_flag_name(flag);

    return name != NULL ? name : "unknown";
}

static bool fill_flags(struct view *view, size_t place, struct snapshot_series *series)
{
    const struct aggregator *aggregator = view->aggregator;

    if (place < FLAGS_OVERFLOW_PLACES) {
        uint64_t count = aggregator->overflow->flags[place / FLAG_COUNT][place % FLAG_COUNT];

        if (count == 0) {
            return false;
        }
        begin_overflow_labels(view, (uint32_t)(place / FLAG_COUNT));
        view_add_label(view, "flag", flag_name((unsigned)(place % FLAG_COUNT)));
        end_overflow_labels(view, series);
        view_set_counter(series, count, aggregator->start_unix_ns);
        return true;
    }
    const struct series *from = series_at(view, FAMILY_FLAGS, place - FLAGS_OVERFLOW_PLACES);

    if (from == NULL) {
        return false;
    }
    begin_edge_labels(view, from->edge);
    view_add_label(view, "flag", flag_name(from->key.flag));
    view_end_labels(view, series);
    view_set_counter(series, from->count, from->base.created_unix_ns);
    return true;
}

/* attempts and bytes */

static size_t traffic_end(const struct view *view)
{
    return REPORTER_COUNT + (size_t)view->aggregator->families[FAMILY_TRAFFIC].series.used;
}

enum traffic_value { TRAFFIC_ATTEMPTS, TRAFFIC_REQUEST_BYTES, TRAFFIC_RESPONSE_BYTES };

static uint64_t pick(
    enum traffic_value which, uint64_t attempts, uint64_t request_bytes, uint64_t response_bytes)
{
    return which == TRAFFIC_ATTEMPTS        ? attempts
           : which == TRAFFIC_REQUEST_BYTES ? request_bytes
                                            : response_bytes;
}

/* Absent, not 0, where it was never told. */
static bool fill_traffic(
    struct view *view, size_t place, enum traffic_value which, struct snapshot_series *series)
{
    const struct aggregator *aggregator = view->aggregator;

    if (place < REPORTER_COUNT) {
        const struct traffic_slot *slot = &aggregator->overflow->traffic[place];

        if (!(which == TRAFFIC_ATTEMPTS ? slot->attempts_known : slot->bytes_known)) {
            return false;
        }
        begin_overflow_labels(view, (uint32_t)place);
        end_overflow_labels(view, series);
        view_set_counter(series, pick(which, slot->attempts, slot->request_bytes, slot->response_bytes),
            aggregator->start_unix_ns);
        return true;
    }
    const struct series *from = series_at(view, FAMILY_TRAFFIC, place - REPORTER_COUNT);

    if (from == NULL ||
        !(which == TRAFFIC_ATTEMPTS ? from->traffic.attempts_known : from->traffic.bytes_known)) {
        return false;
    }
    begin_edge_labels(view, from->edge);
    view_end_labels(view, series);
    view_set_counter(series,
        pick(which, from->traffic.attempts, from->traffic.request_bytes, from->traffic.response_bytes),
        from->base.created_unix_ns);
    return true;
}

static bool fill_attempts(struct view *view, size_t place, struct snapshot_series *series)
{
    return fill_traffic(view, place, TRAFFIC_ATTEMPTS, series);
}

static bool fill_request_bytes(struct view *view, size_t place, struct snapshot_series *series)
{
    return fill_traffic(view, place, TRAFFIC_REQUEST_BYTES, series);
}

static bool fill_response_bytes(struct view *view, size_t place, struct snapshot_series *series)
{
    return fill_traffic(view, place, TRAFFIC_RESPONSE_BYTES, series);
}

/* connections */

static size_t tcp_end(const struct view *view)
{
    return REPORTER_COUNT + (size_t)view->aggregator->families[FAMILY_TCP].series.used;
}

enum tcp_value { TCP_CONNECTIONS, TCP_SENT_BYTES, TCP_RECEIVED_BYTES };

static uint64_t pick_tcp(
    enum tcp_value which, uint64_t connections, uint64_t sent_bytes, uint64_t received_bytes)
{
    return which == TCP_CONNECTIONS ? connections : which == TCP_SENT_BYTES ? sent_bytes : received_bytes;
}

static bool fill_tcp(struct view *view, size_t place, enum tcp_value which, struct snapshot_series *series)
{
    const struct aggregator *aggregator = view->aggregator;

    if (place < REPORTER_COUNT) {
        const struct tcp_slot *slot = &aggregator->overflow->tcp[place];

        if ((aggregator->overflow->tcp_set >> place & 1) == 0) {
            return false;
        }
        begin_overflow_labels(view, (uint32_t)place);
        end_overflow_labels(view, series);
        view_set_counter(series, pick_tcp(which, slot->connections, slot->sent_bytes, slot->received_bytes),
            aggregator->start_unix_ns);
        return true;
    }
    const struct series *from = series_at(view, FAMILY_TCP, place - REPORTER_COUNT);

    if (from == NULL) {
        return false;
    }
    begin_edge_labels(view, from->edge);
    view_end_labels(view, series);
    view_set_counter(series,
        pick_tcp(which, from->tcp.connections, from->tcp.sent_bytes, from->tcp.received_bytes),
        from->base.created_unix_ns);
    return true;
}

static bool fill_tcp_connections(struct view *view, size_t place, struct snapshot_series *series)
{
    return fill_tcp(view, place, TCP_CONNECTIONS, series);
}

static bool fill_tcp_sent_bytes(struct view *view, size_t place, struct snapshot_series *series)
{
    return fill_tcp(view, place, TCP_SENT_BYTES, series);
}

static bool fill_tcp_received_bytes(struct view *view, size_t place, struct snapshot_series *series)
{
    return fill_tcp(view, place, TCP_RECEIVED_BYTES, series);
}

/* parts of requests' time */

static size_t times_end(const struct view *view)
{
    return view->aggregator->families[FAMILY_TIMES].series.used;
}

/* The series at a place with its histogram set; the caller has put its labels. */
static const struct series *begin_times(const struct view *view, size_t place, enum time_of_request which)
{
    const struct series *from = series_at(view, FAMILY_TIMES, place);

    return from != NULL && from->key.reporter == which && from->duration.values[0] != NULL ? from : NULL;
}

static void end_times(struct view *view, const struct series *from, struct snapshot_series *series)
{
    view_add_label(view, "mesh", mesh_name(&view->aggregator->settings.meshes, from->key.mesh));
    view_end_labels(view, series);
    view_set_duration(view, series, from, 0);
}

static bool fill_service_times(struct view *view, size_t place, struct snapshot_series *series)
{
    const struct series *from = begin_times(view, place, TIME_OF_SERVICE);

    if (from == NULL) {
        return false;
    }
    view_begin_labels(view);
    view_add_label(view, "mesh_service", view_text(view, from->key.destination));
    view_add_label(view, "mesh_service_namespace", view_text(view, from->key.destination_namespace));
    end_times(view, from, series);
    return true;
}

static bool fill_network_times(struct view *view, size_t place, struct snapshot_series *series)
{
    const struct series *from = begin_times(view, place, TIME_OF_NETWORK);

    if (from == NULL) {
        return false;
    }
    view_begin_labels(view);
    view_add_label(view, "source", view_text(view, from->key.source));
    view_add_label(view, "source_namespace", view_text(view, from->key.source_namespace));
    view_add_label(view, "destination", view_text(view, from->key.destination));
    view_add_label(view, "destination_namespace", view_text(view, from->key.destination_namespace));
    end_times(view, from, series);
    return true;
}

/* information */

static size_t services_end(const struct view *view)
{
    return view->aggregator->edges.services.used + view->aggregator->families[FAMILY_WORKLOADS].series.used;
}

static void add_service_labels(struct view *view, uint32_t name, uint32_t name_space, uint32_t mesh)
{
    const char *cluster = view->aggregator->settings.cluster;

    view_begin_labels(view);
    view_add_label(view, "mesh_service", view_text(view, name));
    view_add_label(view, "mesh_service_namespace", view_text(view, name_space));
    view_add_label(view, "cluster", cluster != NULL ? cluster : "");
    view_add_label(view, "mesh", mesh_name(&view->aggregator->settings.meshes, mesh));
}

/* Whether something stands behind the service that has a row of its own. */
static bool has_workload(const struct view *view, const struct service *service)
{
    const struct table *workloads = &view->aggregator->families[FAMILY_WORKLOADS].series;

    for (uint32_t i = 0; i < workloads->used; i++) {
        const struct series *series = table_at(workloads, i);

        if (series != NULL && series->key.source == service->name &&
            series->key.source_namespace == service->name_space && series->key.mesh == service->mesh) {
            return true;
        }
    }
    return false;
}

static bool fill_workload(struct view *view, size_t place, struct snapshot_series *series)
{
    const struct series *from = series_at(view, FAMILY_WORKLOADS, place);

    if (from == NULL) {
        return false;
    }
    add_service_labels(view, from->key.source, from->key.source_namespace, from->key.mesh);
    view_add_label(view, "workload", view_text(view, from->key.destination));
    view_add_label(view, "version", view_text(view, from->key.destination_namespace));
    view_end_labels(view, series);
    series->value = 1;
    return true;
}

static bool fill_services(struct view *view, size_t place, struct snapshot_series *series)
{
    size_t service_count = view->aggregator->edges.services.used;

    if (place >= service_count) {
        return fill_workload(view, place - service_count, series);
    }
    const struct service *service = table_at(&view->aggregator->edges.services, (uint32_t)place);

    if (service == NULL || has_workload(view, service)) {
        return false;
    }
    add_service_labels(view, service->name, service->name_space, service->mesh);
    view_end_labels(view, series);
    series->value = 1;
    return true;
}

static size_t build_end(const struct view *view)
{
    (void)view;
    return 1;
}

static bool fill_build(struct view *view, size_t place, struct snapshot_series *series)
{
    (void)place;
    view_begin_labels(view);
    view_add_label(view, "version", WEFT_VERSION);
    view_end_labels(view, series);
    series->value = 1;
    return true;
}

static const struct source sources[] = {
    {.family = {.name = "mesh_requests",
         .type = SNAPSHOT_COUNTER,
         .unit = "",
         .help = "Requests that ended, each counted once by each proxy that saw it; sum over one reporter."},
        .end = requests_end,
        .fill = fill_requests},
    {.family = {.name = "mesh_request_duration_seconds",
         .type = SNAPSHOT_HISTOGRAM,
         .unit = "seconds",
         .help = "How long requests took, as their reporter saw it. Every outcome of an edge starts at 0."},
        .end = durations_end,
        .fill = fill_durations},
    {.family = {.name = "mesh_service_self_seconds",
         .type = SNAPSHOT_HISTOGRAM,
         .unit = "seconds",
         .help = "Time of a service's requests without the calls that it made for them, where traces tell."},
        .end = times_end,
        .fill = fill_service_times},
    {.family = {.name = "mesh_edge_network_seconds",
         .type = SNAPSHOT_HISTOGRAM,
         .unit = "seconds",
         .help = "What requests took for their caller beyond what they took at the service that answered, "
                 "where both ends were seen."},
        .end = times_end,
        .fill = fill_network_times},
    {.family = {.name = "mesh_response_flags",
         .type = SNAPSHOT_COUNTER,
         .unit = "",
         .help = "Why a proxy, not the service, ended requests: one for each flag, so they may exceed "
                 "requests. TCP connections count as well."},
        .end = flags_end,
        .fill = fill_flags},
    {.family = {.name = "mesh_request_attempts",
         .type = SNAPSHOT_COUNTER,
         .unit = "",
         .help =
             "Attempts to reach the destination; less requests: retries. Absent where they cannot be told."},
        .end = traffic_end,
        .fill = fill_attempts},
    {.family = {.name = "mesh_request_bytes",
         .type = SNAPSHOT_COUNTER,
         .unit = "bytes",
         .help = "Bytes of request bodies that the reporter received, headers left out."},
        .end = traffic_end,
        .fill = fill_request_bytes},
    {.family = {.name = "mesh_response_bytes",
         .type = SNAPSHOT_COUNTER,
         .unit = "bytes",
         .help = "Bytes of response bodies that the reporter sent, headers left out."},
        .end = traffic_end,
        .fill = fill_response_bytes},
    {.family = {.name = "mesh_tcp_connections_opened",
         .type = SNAPSHOT_COUNTER,
         .unit = "",
         .help = "Connections passed on as bytes that were opened; counted when they end, where the proxy "
                 "tells of them only then."},
        .end = tcp_end,
        .fill = fill_tcp_connections},
    {.family = {.name = "mesh_tcp_connections_closed",
         .type = SNAPSHOT_COUNTER,
         .unit = "",
         .help = "Connections passed on as bytes that have ended."},
        .end = tcp_end,
        .fill = fill_tcp_connections},
    {.family = {.name = "mesh_tcp_sent_bytes",
         .type = SNAPSHOT_COUNTER,
         .unit = "bytes",
         .help = "Bytes of such connections that the reporter sent to the one who opened them."},
        .end = tcp_end,
        .fill = fill_tcp_sent_bytes},
    {.family = {.name = "mesh_tcp_received_bytes",
         .type = SNAPSHOT_COUNTER,
         .unit = "bytes",
         .help = "Bytes of such connections that the reporter received from the one who opened them."},
        .end = tcp_end,
        .fill = fill_tcp_received_bytes},
    {.family = {.name = "mesh_service",
         .type = SNAPSHOT_INFO,
         .unit = "",
         .help = "Services that called or were called, and what stands behind them where it is told."},
        .end = services_end,
        .fill = fill_services},
    {.family = {.name = "weft_build", .type = SNAPSHOT_INFO, .unit = "", .help = "The agent's version."},
        .end = build_end,
        .fill = fill_build},
};

enum { SOURCE_COUNT = sizeof(sources) / sizeof(sources[0]) };

/* The next place of the cursor's family that holds a series. */
static bool next_place(struct view *view, struct snapshot_cursor *cursor,
    const struct snapshot_family **ret_family, struct snapshot_series *series)
{
    size_t self_end = SOURCE_COUNT + view->self_count;

    for (;;) {
        size_t place = cursor->series++;
        bool more = false;
        bool filled = false;

        *series = (struct snapshot_series){.labels_text = ""};
        if (cursor->family < SOURCE_COUNT) {
            const struct source *source = &sources[cursor->family];

            *ret_family = &source->family;
            more = place < source->end(view);
            filled = more && source->fill(view, place, series);
        } else if (cursor->family < self_end) {
            more = view_self(view, cursor->family - SOURCE_COUNT, place, ret_family, series, &filled);
        } else {
            more = view_points(view, cursor->family - self_end, place, ret_family, series, &filled);
        }
        if (filled || !more) {
            return filled;
        }
    }
}

/* Whether a family is shown; of proxies' there may be none at a number any more. */
static bool is_shown(const struct view *view, size_t number)
{
    size_t self_end = SOURCE_COUNT + view->self_count;

    if (number < SOURCE_COUNT) {
        return view_shows(view, &sources[number].family);
    }
    if (number < self_end) {
        return view_shows(view, &view->self[number - SOURCE_COUNT].family);
    }
    const struct point_family *family =
        table_at(&view->aggregator->point_families, (uint32_t)(number - self_end));

    return family == NULL || view_shows(view, &family->shown);
}

static int view_next(struct snapshot *snapshot, struct snapshot_cursor *cursor,
    const struct snapshot_family **ret_family, struct snapshot_series *ret_series)
{
    struct view *view = (struct view *)snapshot;
    size_t end = SOURCE_COUNT + view->self_count + view->aggregator->point_families.used;

    while (cursor->family < end) {
        const struct snapshot_family *family = NULL;
        struct snapshot_series series;

        if ((cursor->series > 0 || is_shown(view, cursor->family)) &&
            next_place(view, cursor, &family, &series)) {
            *ret_family = family;
            *ret_series = series;
            return 1;
        }
        *cursor = (struct snapshot_cursor){.family = cursor->family + 1};
    }
    return 0;
}

static const struct snapshot_ops view_ops = {.next = view_next};

int view_init(struct view *view, struct aggregator *aggregator, const struct snapshot_settings *settings)
{
    view->snapshot = (struct snapshot){
        .ops = &view_ops,
        .time_unix_ns = clock_unix_ns(aggregator->settings.clock),
        .start_unix_ns = aggregator->start_unix_ns,
        .native_scale = settings->native_scale,
        .native_buckets_max = settings->native_buckets_max,
    };
    view->settings = *settings;
    view->aggregator = aggregator;
    buffer_init(&view->text, LABELS_BYTES_MAX);
    view->dense = calloc(1, sizeof(*view->dense));
    return view->dense != NULL && buffer_reserve(&view->text, 1024) != NULL ? 0 : WERR_NOMEM;
}

int aggregator_snapshot_new(struct aggregator *aggregator, const struct metric_registry *registry,
    const struct snapshot_settings *settings, struct snapshot **ret_snapshot)
{
    struct view *view = calloc(1, sizeof(*view));

    if (view == NULL) {
        return WERR_NOMEM;
    }
    if (view_init(view, aggregator, settings) < 0) {
        aggregator_snapshot_free(&view->snapshot);
        return WERR_NOMEM;
    }
    view->registry = registry;
    view_self_init(view);
    *ret_snapshot = &view->snapshot;
    return 0;
}

void aggregator_snapshot_set(struct snapshot *snapshot, const struct snapshot_settings *settings)
{
    struct view *view = (struct view *)snapshot;

    view->settings = *settings;
    snapshot->native_scale = settings->native_scale;
    snapshot->native_buckets_max = settings->native_buckets_max;
}

void aggregator_snapshot_free(struct snapshot *snapshot)
{
    struct view *view = (struct view *)snapshot;

    if (view != NULL) {
        buffer_deinit(&view->text);
        free(view->dense);
        free(view);
    }
}
