/*
 * /api/v1/ledger: what became of every record, from the agent's own counters.
 *
 *   records:      received = aggregated + attempts + not_a_request + superseded + dropped + in_flight
 *   destinations: handed_over = sent + queued + dropped
 *   traces:       received = stored + not_stored + dropped; stored = in_ring + kept + expired
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/query_internal.h"

enum { NAME_BYTES = 48 };

/* The value of a label in a row's fixed labels, "" when it has none of that name. */
static void label_of(const struct metric_row *row, const char *name, char out[static NAME_BYTES])
{
    char key[NAME_BYTES];
    const char *at;

    out[0] = '\0';
    (void)snprintf(key, sizeof key, "%s=\"", name);
    at = strstr(row->labels, key);
    if (at != NULL) {
        at += strlen(key);
        (void)snprintf(out, NAME_BYTES, "%.*s", (int)strcspn(at, "\""), at);
    }
}

static bool row_is(const struct metric_row *row, const char *family, const char *signal)
{
    char value[NAME_BYTES];

    label_of(row, "signal", value);
    return strcmp(row->family, family) == 0 && strcmp(value, signal) == 0;
}

/* Sum of a family's rows of one signal, over one owner's cells or, with cells NULL, over all. */
static uint64_t sum_of(const struct metric_registry *registry, const struct metric_cells *cells,
    const char *family, const char *signal)
{
    uint64_t sum = 0;

    for (int id = 0; id < METRIC_COUNT; id++) {
        if (row_is(&metric_rows[id], family, signal)) {
            sum += cells != NULL ? metric_get(cells, (enum metric_id)id)
                                 : metric_registry_sum(registry, (enum metric_id)id);
        }
    }
    return sum;
}

/* The same family by reason, zeros left out. */
static json_t *reasons_of(const struct metric_registry *registry, const struct metric_cells *cells,
    const char *family, const char *signal)
{
    json_t *reasons = json_object();
    char reason[NAME_BYTES];

    for (int id = 0; id < METRIC_COUNT; id++) {
        const struct metric_row *row = &metric_rows[id];
        if (!row_is(row, family, signal)) {
            continue;
        }
        uint64_t value = cells != NULL ? metric_get(cells, (enum metric_id)id)
                                       : metric_registry_sum(registry, (enum metric_id)id);
        label_of(row, "reason", reason);
        if (value > 0) {
            (void)json_object_set_new(reasons, reason, json_integer((json_int_t)value));
        }
    }
    return reasons;
}

static json_t *records_json(const struct metric_registry *registry, const char *signal, uint64_t *in_flight)
{
    uint64_t aggregated = sum_of(registry, NULL, "weft_records_aggregated", signal);
    uint64_t recorded = sum_of(registry, NULL, "weft_records_recorded", signal);
    uint64_t received = sum_of(registry, NULL, "weft_records_received", signal);
    uint64_t attempts = sum_of(registry, NULL, "weft_records_attempts", signal);
    uint64_t not_a_request = sum_of(registry, NULL, "weft_records_not_a_request", signal);
    uint64_t superseded = sum_of(registry, NULL, "weft_records_superseded", signal);
    uint64_t dropped = sum_of(registry, NULL, "weft_records_dropped", signal);
    /* Withdrawn ones were recorded, then dropped when the aggregator had no room for their series. */
    uint64_t flying = recorded - aggregated - sum_of(registry, NULL, "weft_records_withdrawn", signal) +
                      sum_of(registry, NULL, "weft_records_held", signal);

    *in_flight += flying;
    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:b}", "signal", signal, "received",
        (json_int_t)received, "aggregated", (json_int_t)aggregated, "attempts", (json_int_t)attempts,
        "not_a_request", (json_int_t)not_a_request, "superseded", (json_int_t)superseded, "dropped",
        (json_int_t)dropped, "dropped_by_reason", reasons_of(registry, NULL, "weft_records_dropped", signal),
        "in_flight", (json_int_t)flying, "balanced",
        received == aggregated + attempts + not_a_request + superseded + dropped + flying);
}

static json_t *destination_json(
    const struct metric_registry *registry, const struct metric_owner *owner, const char *signal)
{
    uint64_t handed_over = sum_of(registry, owner->cells, "weft_export_handed_over", signal);
    uint64_t sent = sum_of(registry, owner->cells, "weft_export_sent", signal);
    uint64_t queued = sum_of(registry, owner->cells, "weft_export_queued", signal);
    uint64_t dropped = sum_of(registry, owner->cells, "weft_export_dropped", signal);

    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:b}", "destination", owner->label_value, "signal", signal,
        "handed_over", (json_int_t)handed_over, "sent", (json_int_t)sent, "queued", (json_int_t)queued,
        "dropped", (json_int_t)dropped, "dropped_by_reason",
        reasons_of(registry, owner->cells, "weft_export_dropped", signal), "balanced",
        handed_over == sent + queued + dropped);
}

/* What became of the spans as parts of traces; and which traces were kept, why, and which were not for want
 * of a share. */
static json_t *traces_json(const struct metric_registry *registry)
{
    uint64_t received = sum_of(registry, NULL, "weft_records_received", "spans");
    uint64_t dropped = sum_of(registry, NULL, "weft_records_dropped", "spans");
    uint64_t stored = metric_registry_sum(registry, METRIC_TRACE_STORED_SPANS);
    uint64_t not_stored = sum_of(registry, NULL, "weft_trace_spans_not_stored", "");
    uint64_t in_ring = metric_registry_sum(registry, METRIC_TRACE_RING_SPANS);
    uint64_t kept = metric_registry_sum(registry, METRIC_TRACE_KEPT_SPANS);
    uint64_t expired = metric_registry_sum(registry, METRIC_TRACE_EXPIRED_SPANS);

    return json_pack("{s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:b,s:o,s:o,s:I,s:I}", "received", (json_int_t)received,
        "stored", (json_int_t)stored, "not_stored", (json_int_t)not_stored, "not_stored_by_reason",
        reasons_of(registry, NULL, "weft_trace_spans_not_stored", ""), "in_ring", (json_int_t)in_ring, "kept",
        (json_int_t)kept, "expired", (json_int_t)expired, "balanced",
        received == stored + not_stored + dropped && stored == in_ring + kept + expired, "kept_traces",
        reasons_of(registry, NULL, "weft_trace_kept_traces", ""), "limited_traces",
        reasons_of(registry, NULL, "weft_trace_limited_traces", ""), "evicted_traces",
        (json_int_t)metric_registry_sum(registry, METRIC_TRACE_KEPT_EVICTED), "lost_letters",
        (json_int_t)metric_registry_sum(registry, METRIC_TRACE_LETTERS_LOST));
}

/* Every row of the messages' families, under its label's value. */
static json_t *messages_json(const struct metric_registry *registry, const char *family, const char *label)
{
    json_t *object = json_object();
    char name[NAME_BYTES];

    for (int id = 0; id < METRIC_COUNT; id++) {
        if (strcmp(metric_rows[id].family, family) == 0) {
            label_of(&metric_rows[id], label, name);
            (void)json_object_set_new(
                object, name, json_integer((json_int_t)metric_registry_sum(registry, (enum metric_id)id)));
        }
    }
    return object;
}

/* The count of a family's row of one receiver, under `key`; nothing when it has no such row. */
static void set_datagrams(const struct metric_registry *registry, json_t *object, const char *family,
    const char *receiver, const char *key)
{
    char name[NAME_BYTES];

    for (int id = 0; id < METRIC_COUNT; id++) {
        label_of(&metric_rows[id], "receiver", name);
        if (strcmp(metric_rows[id].family, family) == 0 && strcmp(name, receiver) == 0) {
            (void)json_object_set_new(
                object, key, json_integer((json_int_t)metric_registry_sum(registry, (enum metric_id)id)));
        }
    }
}

/* By receiver; and what was lost before it arrived: the kernel counts that for UDP, and nobody for a Unix
 * socket, whose senders drop by themselves. */
static json_t *datagrams_json(const struct metric_registry *registry)
{
    static const struct {
        const char *receiver;
        bool has_unix_socket;
    } receivers[] = {{"statsd", true}, {"access_log", true}, {"xray", false}};
    json_t *all = json_object();

    for (size_t i = 0; i < sizeof receivers / sizeof receivers[0]; i++) {
        const char *receiver = receivers[i].receiver;
        json_t *object = json_object();

        set_datagrams(registry, object, "weft_datagrams_received", receiver, "received");
        set_datagrams(registry, object, "weft_datagrams_truncated", receiver, "truncated");
        set_datagrams(registry, object, "weft_datagrams_lost", receiver, "lost_udp");
        if (receivers[i].has_unix_socket) {
            (void)json_object_set_new(object, "lost_unix", json_string("unknown"));
        }
        (void)json_object_set_new(all, receiver, object);
    }
    return all;
}

json_t *query_ledger(const struct query_sources *sources, struct query_input *input)
{
    static const char *const signals[] = {"spans", "metrics", "logs"};
    const struct metric_registry *registry = sources->registry;
    json_t *records = json_array();
    json_t *destinations = json_array();
    uint64_t in_flight = 0;

    (void)input;
    for (size_t s = 0; s < sizeof signals / sizeof signals[0]; s++) {
        (void)json_array_append_new(records, records_json(registry, signals[s], &in_flight));
        for (size_t i = 0; i < registry->owner_count; i++) {
            if (registry->owners[i].scope == METRIC_SCOPE_DESTINATION) {
                (void)json_array_append_new(
                    destinations, destination_json(registry, &registry->owners[i], signals[s]));
            }
        }
    }
    return json_pack("{s:I,s:o,s:o,s:o,s:o,s:{s:o,s:o,s:I},s:{s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I}}", "in_flight",
        (json_int_t)in_flight, "records", records, "destinations", destinations, "traces",
        traces_json(registry), "datagrams", datagrams_json(registry), "messages", "accepted",
        messages_json(registry, "weft_messages_accepted", "protocol"), "refused",
        messages_json(registry, "weft_messages_refused", "reason"), "cut",
        (json_int_t)metric_registry_sum(registry, METRIC_MESSAGES_CUT), "export", "offered_spans",
        (json_int_t)metric_registry_sum(registry, METRIC_SPANS_EXPORT_OFFERED), "lost_spans",
        (json_int_t)metric_registry_sum(registry, METRIC_SPANS_EXPORT_LOST), "lost_points",
        (json_int_t)metric_registry_sum(registry, METRIC_POINTS_EXPORT_LOST), "offered_logs",
        (json_int_t)metric_registry_sum(registry, METRIC_LOGS_EXPORT_OFFERED), "lost_logs",
        (json_int_t)metric_registry_sum(registry, METRIC_LOGS_EXPORT_LOST), "clients", "dropped_spans",
        (json_int_t)metric_registry_sum(registry, METRIC_CLIENT_DROPPED_SPANS), "dropped_points",
        (json_int_t)metric_registry_sum(registry, METRIC_CLIENT_DROPPED_POINTS));
}
