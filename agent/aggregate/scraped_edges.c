/* Edges from scraped metrics: scraped_edges.h. */
#include "aggregate/scraped_edges.h"

#include <math.h>
#include <stdlib.h>

#include "aggregate/aggregator_internal.h"
#include "context/outcome.h"
#include "context/service_name.h"
#include "core/error.h"

enum { SPREAD_COUNT_MAX = 8 }; /* places within a bucket over which its durations are spread */

#define NS_PER_MS 1e6

/* Who takes part, as the labels tell. */
struct parties {
    enum reporter reporter;
    struct service_name source;
    struct service_name destination;
    enum outcome outcome;
};

int scraped_edges_init(struct scraped_edges *scraped, struct interner *interner, struct page_slab *slab,
    struct budget *budget, uint64_t monotonic_ns)
{
    int error = edges_init(&scraped->edges, interner, budget);

    if (error == 0) {
        error = windows_init(&scraped->windows, &scraped->edges, slab, budget, monotonic_ns);
    }
    return error < 0 ? error : split_bounds_init(&scraped->no_bounds, NULL, 0);
}

void scraped_edges_deinit(struct scraped_edges *scraped)
{
    windows_deinit(&scraped->windows);
    edges_deinit(&scraped->edges);
}

/* ---- labels ---- */

/* The label's value; "" when there is none. */
static struct slice label(const struct point_series *series, const char *name)
{
    for (uint32_t i = 0; i < series->label_count; i++) {
        if (strcmp(series->labels[i].name, name) == 0) {
            return slice_of_string(series->labels[i].value);
        }
    }
    return SLICE_LITERAL("");
}

/* The first of these labels that says something; "unknown" and "-" say nothing. */
static struct slice first_of(const struct point_series *series, const char *const *names)
{
    for (; *names != NULL; names++) {
        struct slice value = label(series, *names);

        if (value.length > 0 && !slice_equal(value, SLICE_LITERAL("unknown")) &&
            !slice_equal(value, SLICE_LITERAL("-"))) {
            return value;
        }
    }
    return SLICE_LITERAL("");
}

static struct service_name of_labels(
    const struct point_series *series, const char *const *names, const char *const *namespaces)
{
    return (struct service_name){
        .service = first_of(series, names), .service_namespace = first_of(series, namespaces)};
}

/* The target itself. */
static struct service_name of_target(const struct point_series *series)
{
    static const char *const names[] = {"sender_workload", NULL};
    static const char *const namespaces[] = {"sender_namespace", NULL};

    return of_labels(series, names, namespaces);
}

static enum outcome outcome_of_codes(struct slice code, struct slice grpc_status, bool failed)
{
    long number = code.length > 0 ? strtol((const char *)code.ptr, NULL, 10) : 0;
    struct outcome_facts facts = {
        .response_code = number >= HTTP_STATUS_MIN && number <= HTTP_STATUS_MAX ? (uint16_t)number : 0,
        .grpc_status = grpc_status_of(grpc_status),
        .protocol = grpc_status.length > 0 ? PROTOCOL_GRPC : PROTOCOL_HTTP1,
        .expects_code = true,
        .failed = failed,
    };

    return outcome_of(&facts);
}

/* ---- Linkerd 2: linkerd.io/2/reference/proxy-metrics ---- */

static bool read_linkerd2(const struct point_series *series, struct parties *parties)
{
    static const char *const names[] = {"dst_service", "dst_deployment", "dst_statefulset", "dst_daemonset",
        "dst_replicaset", "dst_job", NULL};
    static const char *const namespaces[] = {"dst_namespace", NULL};
    bool is_outbound = slice_equal(label(series, "direction"), SLICE_LITERAL("outbound"));

    if (!is_outbound && !slice_equal(label(series, "direction"), SLICE_LITERAL("inbound"))) {
        return false;
    }
    parties->reporter = is_outbound ? REPORTER_SOURCE : REPORTER_DESTINATION;
    if (is_outbound) {
        parties->source = of_target(series);
        parties->destination = of_labels(series, names, namespaces);
        if (parties->destination.service.length == 0) {
            parties->destination = service_name_of_host(label(series, "authority"));
        }
    } else {
        parties->destination = of_target(series);
    }
    parties->outcome = outcome_of_codes(label(series, "status_code"), label(series, "grpc_status"),
        slice_equal(label(series, "classification"), SLICE_LITERAL("failure")));
    return true;
}

/* ---- Istio: the standard metrics of its telemetry ---- */

static bool read_istio(const struct point_series *series, struct parties *parties)
{
    static const char *const sources[] = {"source_canonical_service", "source_workload", "source_app", NULL};
    static const char *const source_namespaces[] = {"source_workload_namespace", NULL};
    static const char *const destinations[] = {
        "destination_service_name", "destination_canonical_service", "destination_workload", NULL};
    static const char *const destination_namespaces[] = {
        "destination_service_namespace", "destination_workload_namespace", NULL};
    struct slice reporter = label(series, "reporter");

    parties->reporter = REPORTER_COUNT;
    for (int i = 0; i < REPORTER_COUNT; i++) {
        if (slice_equal(reporter, slice_of_string(reporter_name((enum reporter)i)))) {
            parties->reporter = (enum reporter)i;
        }
    }
    parties->source = of_labels(series, sources, source_namespaces);
    parties->destination = of_labels(series, destinations, destination_namespaces);
    parties->outcome =
        outcome_of_codes(label(series, "response_code"), label(series, "grpc_response_status"), false);
    return parties->reporter != REPORTER_COUNT;
}

/* ---- Linkerd 1: rt:client:* of its admin port, the client named by a path such as /#/io.l5d.fs/web ---- */

static bool read_linkerd1(const struct point_series *series, struct parties *parties, enum outcome outcome)
{
    struct slice client = label(series, "client");
    size_t slash = client.length;

    while (slash > 0 && client.ptr[slash - 1] != '/') {
        slash--;
    }
    parties->reporter = REPORTER_SOURCE;
    parties->source = of_target(series);
    parties->destination = service_name_of_host(slice_sub(client, slash, client.length));
    parties->outcome = outcome;
    return client.length > 0;
}

static bool read_linkerd1_success(const struct point_series *series, struct parties *parties)
{
    return read_linkerd1(series, parties, OUTCOME_OK);
}

static bool read_linkerd1_failures(const struct point_series *series, struct parties *parties)
{
    return read_linkerd1(series, parties, OUTCOME_SERVER_ERROR);
}

static const struct known_family {
    const char *name; /* as the samples have it */
    bool is_duration; /* a histogram of milliseconds, else a count */
    bool (*read)(const struct point_series *series, struct parties *parties);
} known_families[] = {
    {"response_total", false, read_linkerd2},
    {"response_latency_ms", true, read_linkerd2},
    {"istio_requests_total", false, read_istio},
    {"istio_request_duration_milliseconds", true, read_istio},
    {"rt:client:success", false, read_linkerd1_success},
    {"rt:client:failures", false, read_linkerd1_failures},
};

static const struct known_family *find_family(const struct point_family *family)
{
    bool is_histogram = family->shown.type == SNAPSHOT_HISTOGRAM;
    const char *suffix = family->shown.type == SNAPSHOT_COUNTER ? "_total" : "";
    size_t length = strlen(family->shown.name);

    for (size_t i = 0; i < sizeof known_families / sizeof known_families[0]; i++) {
        const struct known_family *known = &known_families[i];

        if (known->is_duration == is_histogram && strncmp(known->name, family->shown.name, length) == 0 &&
            strcmp(known->name + length, suffix) == 0) {
            return known;
        }
    }
    return NULL;
}

/* ---- windows ---- */

/* The target's place; forgets the one that was quiet longest when there is no room. */
static uint32_t obtain_target(struct scraped_edges *scraped, uint32_t sender, uint32_t now_s)
{
    uint32_t oldest = 0;

    for (uint32_t i = 0; i < SCRAPED_TARGET_COUNT_MAX; i++) {
        struct scraped_target *target = &scraped->targets[i];

        if (target->sender == sender) {
            if (now_s - target->last_s > SCRAPED_TARGET_GAP_S) {
                target->first_s = now_s;
            }
            target->last_s = now_s;
            return i;
        }
        if (target->sender == 0 ||
            (scraped->targets[oldest].sender != 0 && target->last_s < scraped->targets[oldest].last_s)) {
            oldest = target->sender == 0 && scraped->targets[oldest].sender == 0 ? oldest : i;
        }
    }
    scraped->targets[oldest] = (struct scraped_target){.sender = sender, .first_s = now_s, .last_s = now_s};
    return oldest;
}

static uint32_t intern(struct aggregator *aggregator, struct slice text)
{
    uint32_t id = text.length > 0 ? interner_intern(aggregator->interner, text) : (uint32_t)INTERNED_UNKNOWN;

    return id != INTERNED_FULL ? id : (uint32_t)INTERNED_OVERFLOW;
}

static struct window *obtain_window(
    struct aggregator *aggregator, const struct parties *parties, struct slice mesh)
{
    struct edge_key key = {
        .source = parties->source.external ? (uint32_t)INTERNED_EXTERNAL
                                           : intern(aggregator, parties->source.service),
        .source_namespace = intern(aggregator, parties->source.service_namespace),
        .destination = parties->destination.external ? (uint32_t)INTERNED_EXTERNAL
                                                     : intern(aggregator, parties->destination.service),
        .destination_namespace = intern(aggregator, parties->destination.service_namespace),
        .reporter = (uint16_t)parties->reporter,
        .mesh = (uint16_t)mesh_number(&aggregator->settings.meshes, mesh),
    };

    return windows_obtain(&aggregator->scraped->windows, &key);
}

void scraped_edges_attach(struct aggregator *aggregator, struct point_series *series)
{
    struct scraped_edges *scraped = aggregator->scraped;
    uint32_t target = obtain_target(scraped, series->base.creator, aggregator->now_s);
    const struct known_family *known = find_family(series->family);
    struct parties parties = {.outcome = OUTCOME_OK};

    if (known == NULL || !known->read(series, &parties)) {
        return;
    }
    series->scraped_target = (uint16_t)target;
    series->scraped_outcome = (uint8_t)parties.outcome;
    series->scraped_window = obtain_window(aggregator, &parties, label(series, "mesh"));
}

void scraped_edges_detach(struct aggregator *aggregator, struct point_series *series)
{
    windows_release(&aggregator->scraped->windows, series->scraped_window);
    series->scraped_window = NULL;
}

/* Whether a series that is told of for the first time began after its target's first scrape, at 0. */
static bool began_lately(const struct aggregator *aggregator, const struct point_series *series)
{
    const struct scraped_target *target = &aggregator->scraped->targets[series->scraped_target];

    return target->sender == series->base.creator && aggregator->now_s > target->first_s;
}

static void touch_target(struct aggregator *aggregator, const struct point_series *series)
{
    struct scraped_target *target = &aggregator->scraped->targets[series->scraped_target];

    if (target->sender == series->base.creator) {
        target->last_s = aggregator->now_s;
    }
}

void scraped_edges_merge_scalar(
    struct aggregator *aggregator, struct point_series *series, const struct scalar_slot *slot)
{
    bool was_seen = series->seen;
    double before = series->total;

    points_merge_scalar(aggregator, series, slot);
    if (series->scraped_window == NULL || !(was_seen || began_lately(aggregator, series))) {
        return;
    }
    touch_target(aggregator, series);
    double rise =
        series->total >= before ? series->total - before : series->total; /* an untyped one may fall */

    if (rise >= 1 && rise < 1e15) {
        series->scraped_window->open_outcomes[series->scraped_outcome] += (uint64_t)(rise + 0.5);
    }
}

/* Spreads a bucket's durations over (low, high] milliseconds. */
static void record_bucket(
    struct scraped_edges *scraped, struct window *window, double low_ms, double high_ms, uint64_t count)
{
    uint64_t places = count < SPREAD_COUNT_MAX ? count : SPREAD_COUNT_MAX;

    for (uint64_t i = 0; i < places; i++) {
        double at_ms = low_ms + (high_ms - low_ms) * ((double)i + 0.5) / (double)places;
        uint64_t weight = count / places + (i < count % places ? 1 : 0);
        double ns = at_ms * NS_PER_MS;

        (void)histogram_record(&window->open, scraped->windows.slab, &scraped->no_bounds,
            ns > 0 && ns < 1e18 ? (uint64_t)ns : 0, weight);
    }
}

static void record_rise(
    struct scraped_edges *scraped, struct window *window, const struct bucket_histogram *rise)
{
    double low_ms = 0;

    for (uint32_t i = 0; i <= rise->bound_count; i++) {
        double high_ms = i < rise->bound_count ? rise->bounds[i] : low_ms;

        record_bucket(scraped, window, low_ms < high_ms ? low_ms : high_ms, high_ms, rise->counts[i]);
        low_ms = high_ms;
    }
}

void scraped_edges_merge_distribution(
    struct aggregator *aggregator, struct point_series *series, const struct distribution_slot *slot)
{
    bool is_wanted = series->scraped_window != NULL && series->distribution->is_explicit;
    bool counts = is_wanted && (series->seen || began_lately(aggregator, series));
    struct bucket_histogram before;
    struct bucket_histogram rise;

    if (!counts) {
        points_merge_distribution(aggregator, series, slot);
        return;
    }
    before = series->distribution->explicit;
    points_merge_distribution(aggregator, series, slot);
    touch_target(aggregator, series);
    if (!before.has_bounds) {
        rise = series->distribution->explicit;
    } else if (!bucket_histogram_rise(&before, &series->distribution->explicit, &rise)) {
        return; /* cannot be: what is shown never falls */
    }
    record_rise(aggregator->scraped, series->scraped_window, &rise);
}
