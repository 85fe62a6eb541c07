/* See tap.h. */
#include "trace/tap.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const uint64_t NS_PER_S = 1000000000;

/* ---- filter ---- */

bool tap_name_set(struct tap_name *name, struct slice text)
{
    if (text.length > sizeof name->text) {
        return false;
    }
    if (text.length > 0) {
        memcpy(name->text, text.ptr, text.length);
    }
    name->length = (uint16_t)text.length;
    return true;
}

static struct slice text_of(const struct tap_name *name)
{
    return slice_of(name->text, name->length);
}

/* NAME, or NAME.NAMESPACE: names may hold dots, so the namespace is tried from the end. */
static bool is_service(
    struct slice wanted, const struct interner *interner, uint32_t service, uint32_t service_namespace)
{
    struct slice name = interner_text(interner, service);
    struct slice name_space = interner_text(interner, service_namespace);

    if (slice_equal(name, wanted)) {
        return true;
    }
    return name_space.length > 0 && wanted.length == name.length + 1 + name_space.length &&
           slice_has_prefix(wanted, name) && wanted.ptr[name.length] == '.' &&
           slice_equal(slice_sub(wanted, name.length + 1, wanted.length), name_space);
}

static bool passes_names(
    const struct tap_filter *filter, const struct request *request, const struct interner *interner)
{
    uint32_t source = request->source;
    uint32_t destination = request->destination;

    if (filter->service.length > 0 &&
        !is_service(text_of(&filter->service), interner, source, request->source_namespace) &&
        !is_service(text_of(&filter->service), interner, destination, request->destination_namespace)) {
        return false;
    }
    if (filter->source.length > 0 &&
        !is_service(text_of(&filter->source), interner, source, request->source_namespace)) {
        return false;
    }
    if (filter->destination.length > 0 &&
        !is_service(text_of(&filter->destination), interner, destination, request->destination_namespace)) {
        return false;
    }
    return filter->route.length == 0 ||
           slice_equal(interner_text(interner, request->route), text_of(&filter->route));
}

/* Numbers first: they cost least. */
bool tap_filter_passes(
    const struct tap_filter *filter, const struct request *request, const struct interner *interner)
{
    if (request->duration_ns < filter->duration_min_ns ||
        (filter->duration_max_ns > 0 && request->duration_ns > filter->duration_max_ns)) {
        return false;
    }
    if (filter->reporters != 0 && (filter->reporters >> request->reporter & 1) == 0) {
        return false;
    }
    if (filter->only_errors && request->outcome != OUTCOME_SERVER_ERROR &&
        request->outcome != OUTCOME_NO_RESPONSE) {
        return false;
    }
    if (filter->response_flags != 0 && (filter->response_flags & request->response_flags) == 0) {
        return false;
    }
    return passes_names(filter, request, interner);
}

/* ---- rate ---- */

void tap_gate_init(struct tap_gate *gate, uint32_t rate_per_s, uint64_t now_monotonic_ns)
{
    *gate = (struct tap_gate){.rate_per_s = rate_per_s, .credit_ns = NS_PER_S, .last_ns = now_monotonic_ns};
}

bool tap_gate_pass(struct tap_gate *gate, uint64_t now_monotonic_ns)
{
    if (gate->rate_per_s == 0) {
        return true;
    }
    uint64_t cost_ns = NS_PER_S / gate->rate_per_s;

    if (now_monotonic_ns > gate->last_ns) {
        uint64_t earned_ns = now_monotonic_ns - gate->last_ns;
        gate->credit_ns = earned_ns < NS_PER_S - gate->credit_ns ? gate->credit_ns + earned_ns : NS_PER_S;
        gate->last_ns = now_monotonic_ns;
    }
    if (gate->credit_ns < cost_ns) {
        return false;
    }
    gate->credit_ns -= cost_ns;
    return true;
}

/* ---- feed ---- */

int tap_feed_init(struct tap_feed *feed, const struct tap_filter *filter, uint32_t rate_per_s,
    uint32_t count_max, uint64_t now_monotonic_ns)
{
    *feed = (struct tap_feed){.filter = *filter, .count_max = count_max};
    if (count_max == 0) {
        return WERR_INVALID;
    }
    tap_gate_init(&feed->gate, rate_per_s, now_monotonic_ns);
    feed->records = malloc(count_max * sizeof *feed->records); /* touched when it is used */
    return feed->records != NULL ? 0 : WERR_NOMEM;
}

void tap_feed_deinit(struct tap_feed *feed)
{
    free(feed->records);
    feed->records = NULL;
    feed->count = 0;
}

static struct tap_record record_of(const struct request *request)
{
    struct tap_record record = {
        .start_unix_ns = request->start_unix_ns,
        .duration_ns = request->duration_ns,
        .response_flags = request->response_flags,
        .source = request->source,
        .source_namespace = request->source_namespace,
        .destination = request->destination,
        .destination_namespace = request->destination_namespace,
        .route = request->route,
        .attempts = request->attempts,
        .response_code = request->response_code,
        .grpc_status = request->grpc_status,
        .reporter = request->reporter,
        .method = request->method,
        .protocol = request->protocol,
        .outcome = request->outcome,
    };

    memcpy(record.trace_id, request->trace_id, sizeof record.trace_id);
    return record;
}

static void offer(struct tap_feed *feed, const struct request *request, const struct interner *interner,
    uint64_t now_monotonic_ns)
{
    if (!tap_filter_passes(&feed->filter, request, interner)) {
        return;
    }
    if (!tap_gate_pass(&feed->gate, now_monotonic_ns)) {
        feed->left_out_count++;
    } else if (feed->count == feed->count_max) {
        feed->dropped_count++;
    } else {
        feed->records[(feed->first + feed->count) % feed->count_max] = record_of(request);
        feed->count++;
    }
}

void tap_feeds_offer(struct tap_feed *feeds, const struct request *request, const struct interner *interner,
    uint64_t now_monotonic_ns)
{
    for (struct tap_feed *feed = feeds; feed != NULL; feed = feed->next) {
        offer(feed, request, interner, now_monotonic_ns);
    }
}

const struct tap_record *tap_feed_first(const struct tap_feed *feed)
{
    return feed->count > 0 ? &feed->records[feed->first] : NULL;
}

void tap_feed_pop(struct tap_feed *feed)
{
    feed->first = (feed->first + 1) % feed->count_max;
    feed->count--;
}
