/* The tables of profiles.h. The names and bounds are those of the tools themselves; docs/profiles/ names the
 * source of each. */
#include "core/profiles.h"

#include <string.h>

#include "core/bound_set.h"
#include "core/error.h"

#define MS 1000000ull
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t istio_bounds[] = {MS / 2, 1 * MS, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
    500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS, 30000 * MS, 60000 * MS, 300000 * MS, 600000 * MS,
    1800000 * MS, 3600000 * MS};
static const struct profile_family istio_families[] = {
    {"istio_requests", PROFILE_COUNTER},
    {"istio_request_duration_milliseconds", PROFILE_HISTOGRAM},
    {"istio_request_bytes", PROFILE_HISTOGRAM},
    {"istio_response_bytes", PROFILE_HISTOGRAM},
    {"istio_tcp_connections_opened", PROFILE_COUNTER},
    {"istio_tcp_connections_closed", PROFILE_COUNTER},
    {"istio_tcp_sent_bytes", PROFILE_COUNTER},
    {"istio_tcp_received_bytes", PROFILE_COUNTER},
    {NULL, PROFILE_COUNTER},
};

static const uint64_t linkerd_bounds[] = {1 * MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS, 10 * MS, 20 * MS, 30 * MS,
    40 * MS, 50 * MS, 100 * MS, 200 * MS, 300 * MS, 400 * MS, 500 * MS, 1000 * MS, 2000 * MS, 3000 * MS,
    4000 * MS, 5000 * MS, 10000 * MS, 20000 * MS, 30000 * MS, 40000 * MS, 50000 * MS};
static const struct profile_family linkerd_families[] = {
    {"request", PROFILE_COUNTER},
    {"response", PROFILE_COUNTER},
    {"response_latency_ms", PROFILE_HISTOGRAM},
    {"route_request", PROFILE_COUNTER},
    {"route_response", PROFILE_COUNTER},
    {"route_response_latency_ms", PROFILE_HISTOGRAM},
    {"tcp_open", PROFILE_COUNTER},
    {"tcp_close", PROFILE_COUNTER},
    {"tcp_read_bytes", PROFILE_COUNTER},
    {"tcp_write_bytes", PROFILE_COUNTER},
    {"tcp_connection_duration_ms", PROFILE_HISTOGRAM},
    {"process_start_time_seconds", PROFILE_GAUGE},
    {NULL, PROFILE_COUNTER},
};

static const uint64_t spanmetrics_bounds[] = {2 * MS, 4 * MS, 6 * MS, 8 * MS, 10 * MS, 50 * MS, 100 * MS,
    200 * MS, 400 * MS, 800 * MS, 1000 * MS, 1400 * MS, 2000 * MS, 5000 * MS, 10000 * MS, 15000 * MS};
static const struct profile_family spanmetrics_families[] = {
    {"traces_span_metrics_calls", PROFILE_COUNTER},
    {"traces_span_metrics_duration_milliseconds", PROFILE_HISTOGRAM},
    {NULL, PROFILE_COUNTER},
};

static const uint64_t tempo_bounds[] = {2 * MS, 4 * MS, 8 * MS, 16 * MS, 32 * MS, 64 * MS, 128 * MS, 256 * MS,
    512 * MS, 1024 * MS, 2048 * MS, 4096 * MS, 8192 * MS, 16384 * MS};
static const struct profile_family tempo_families[] = {
    {"traces_spanmetrics_calls", PROFILE_COUNTER},
    {"traces_spanmetrics_latency", PROFILE_HISTOGRAM},
    {"traces_spanmetrics_size", PROFILE_COUNTER},
    {NULL, PROFILE_COUNTER},
};

static const uint64_t servicegraph_bounds[] = {
    100 * MS, 200 * MS, 400 * MS, 800 * MS, 1600 * MS, 3200 * MS, 6400 * MS, 12800 * MS};
static const struct profile_family servicegraph_families[] = {
    {"traces_service_graph_request", PROFILE_COUNTER},
    {"traces_service_graph_request_failed", PROFILE_COUNTER},
    {"traces_service_graph_request_server_seconds", PROFILE_HISTOGRAM},
    {"traces_service_graph_request_client_seconds", PROFILE_HISTOGRAM},
    {NULL, PROFILE_COUNTER},
};

static const uint64_t otel_bounds[] = {5 * MS, 10 * MS, 25 * MS, 50 * MS, 75 * MS, 100 * MS, 250 * MS,
    500 * MS, 750 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 7500 * MS, 10000 * MS};
static const struct profile_family otel_families[] = {
    {"http_server_request_duration_seconds", PROFILE_HISTOGRAM},
    {"http_client_request_duration_seconds", PROFILE_HISTOGRAM},
    {NULL, PROFILE_COUNTER},
};

#define ROW(id, its_name, prefix, in_milliseconds)                                                           \
    [PROFILE_##id] = {.name = (its_name),                                                                    \
        .bounds_ns = prefix##_bounds,                                                                        \
        .bound_count = COUNT_OF(prefix##_bounds),                                                            \
        .is_milliseconds = (in_milliseconds),                                                                \
        .families = prefix##_families}

const struct profile_row profile_rows[PROFILE_COUNT] = {
    ROW(ISTIO, "istio", istio, true),
    ROW(LINKERD, "linkerd", linkerd, true),
    ROW(SPANMETRICS, "spanmetrics", spanmetrics, true),
    ROW(TEMPO, "tempo", tempo, false),
    ROW(SERVICEGRAPH, "servicegraph", servicegraph, false),
    ROW(OTEL, "otel", otel, false),
};

int profile_of(const char *name, enum profile *ret_profile)
{
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (strcmp(profile_rows[i].name, name) == 0) {
            *ret_profile = (enum profile)i;
            return 0;
        }
    }
    return WERR_NOT_FOUND;
}

int profiles_bounds(
    uint32_t profiles, const uint64_t *own_ns, size_t own_count, uint64_t *out_ns, size_t room_count)
{
    int count = 0;

    for (size_t i = 0; i < own_count && count >= 0; i++) {
        count = bound_set_add(out_ns, (size_t)count, room_count, own_ns[i]);
    }
    for (int p = 0; p < PROFILE_COUNT; p++) {
        const struct profile_row *row = &profile_rows[p];
        for (size_t i = 0; (profiles >> p & 1) != 0 && i < row->bound_count && count >= 0; i++) {
            count = bound_set_add(out_ns, (size_t)count, room_count, row->bounds_ns[i]);
        }
    }
    return count;
}
