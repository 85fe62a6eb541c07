/* See traffic.h. The path is that of /api/v1/top. */
#include "cli/traffic.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"

const char *const traffic_windows[] = {"10s", "1m", "5m", "15m", "1h", NULL};
const char *const traffic_sorts[] = {"rate", "failed", "p50", "p90", "p99", "p99.9", "name", NULL};
static const char *const reporters[] = {"source", "destination", "waypoint", NULL};

const struct option_row traffic_rows[] = {
    {.name = "window",
        .value = "W",
        .help = "10s, 1m (default), 5m, 15m or 1h",
        .offset = offsetof(struct traffic_filters, window),
        .kind = OPTION_TEXT,
        .words = traffic_windows},
    {.name = "service",
        .value = "NAME",
        .help = "only this one; of an edge, either end",
        .offset = offsetof(struct traffic_filters, service),
        .kind = OPTION_TEXT},
    {.name = "namespace",
        .value = "NAME",
        .help = "only services of this namespace",
        .offset = offsetof(struct traffic_filters, name_space),
        .kind = OPTION_TEXT},
    {.name = "route",
        .value = "ROUTE",
        .help = "only this route, written as it is shown",
        .offset = offsetof(struct traffic_filters, route),
        .kind = OPTION_TEXT},
    {.name = "match",
        .value = "TEXT",
        .help = "only rows with this in a name, in upper or lower case",
        .offset = offsetof(struct traffic_filters, match),
        .kind = OPTION_TEXT},
    {.name = "reporter",
        .value = "SIDE",
        .help = "who tells: source, destination or waypoint\n"
                "(default: a service's callers, itself where no caller reports)",
        .offset = offsetof(struct traffic_filters, reporter),
        .kind = OPTION_TEXT,
        .words = reporters},
    {.name = "sort",
        .value = "KEY",
        .help = "rate (default), failed, p50, p90, p99, p99.9 or name",
        .offset = offsetof(struct traffic_filters, sort),
        .kind = OPTION_TEXT,
        .words = traffic_sorts},
    {.name = "limit",
        .value = "N",
        .help = "at most so many rows (default 1000)",
        .offset = offsetof(struct traffic_filters, limit),
        .kind = OPTION_COUNT,
        .most = TRAFFIC_LIMIT_MAX},
    {.name = NULL},
};

const struct option_row traffic_edge_rows[] = {
    {.name = "source",
        .value = "NAME",
        .help = "only calls by this service",
        .offset = offsetof(struct traffic_filters, source),
        .kind = OPTION_TEXT},
    {.name = "destination",
        .value = "NAME",
        .help = "only calls of this service",
        .offset = offsetof(struct traffic_filters, destination),
        .kind = OPTION_TEXT},
    {.name = NULL},
};

bool traffic_path(char path[static TRAFFIC_PATH_BYTES], enum traffic_by by,
    const struct traffic_filters *filters, unsigned max_age_ms)
{
    static const char *const names[] = {
        [TRAFFIC_BY_DESTINATION] = "destination", [TRAFFIC_BY_ROUTE] = "route", [TRAFFIC_BY_EDGE] = "edge"};
    const char *const arguments[][2] = {
        {"window", filters->window},
        {"service", filters->service},
        {"namespace", filters->name_space},
        {"route", filters->route},
        {"match", filters->match},
        {"reporter", filters->reporter},
        {"sort", filters->sort},
        {"source", filters->source},
        {"destination", filters->destination},
        {"destination_namespace", filters->destination_namespace},
    };

    int length = snprintf(path, TRAFFIC_PATH_BYTES, "/api/v1/top?by=%s&q=0.5,0.9,0.99,0.999&limit=%lu",
        names[by], filters->limit > 0 ? filters->limit : (unsigned long)TRAFFIC_LIMIT);
    if (max_age_ms > 0) {
        (void)snprintf(path + length, TRAFFIC_PATH_BYTES - (size_t)length, "&max_age_ms=%u", max_age_ms);
    }
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        if (arguments[i][1] != NULL &&
            !api_add_argument(path, TRAFFIC_PATH_BYTES, arguments[i][0], arguments[i][1])) {
            return false;
        }
    }
    return true;
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

void traffic_outcomes(const json_t *object, double ret_outcomes[TRAFFIC_OUTCOME_COUNT])
{
    static const char *const names[] = {
        [TRAFFIC_OK] = "ok",
        [TRAFFIC_CLIENT_ERROR] = "client_error",
        [TRAFFIC_SERVER_ERROR] = "server_error",
        [TRAFFIC_NO_RESPONSE] = "no_response",
        [TRAFFIC_CANCELLED] = "cancelled",
    };
    const json_t *outcomes = json_object_get(object, "outcomes");

    for (size_t i = 0; i < TRAFFIC_OUTCOME_COUNT; i++) {
        ret_outcomes[i] = number_of(outcomes, names[i]);
    }
}

struct traffic_row traffic_row_of(const json_t *from)
{
    const json_t *quantiles = json_object_get(from, "quantiles");
    const json_t *caller = json_object_get(from, "busiest_caller");
    struct traffic_row row = {
        .reporter = text_of(from, "reporter"),
        .origin = text_of(from, "origin"),
        .source = text_of(from, "source"),
        .source_namespace = text_of(from, "source_namespace"),
        .destination = text_of(from, "destination"),
        .destination_namespace = text_of(from, "destination_namespace"),
        .route = text_of(from, "route"),
        .requests = number_of(from, "requests"),
        .covered_seconds = number_of(from, "covered_seconds"),
        .caller = text_of(caller, "source"),
        .caller_namespace = text_of(caller, "source_namespace"),
        .caller_requests = number_of(caller, "requests"),
    };

    traffic_outcomes(from, row.outcomes);
    for (size_t i = 0; i < TRAFFIC_QUANTILES; i++) {
        const json_t *entry = json_array_get(quantiles, i);
        row.quantile_seconds[i] = entry != NULL ? number_of(entry, "seconds") : -1;
    }
    return row;
}

double traffic_failed(const double outcomes[TRAFFIC_OUTCOME_COUNT])
{
    return outcomes[TRAFFIC_SERVER_ERROR] + outcomes[TRAFFIC_NO_RESPONSE];
}
