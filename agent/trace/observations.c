/* See observations.h. On its owner's thread. */
#include "trace/observations.h"

#include <stdlib.h>
#include <string.h>

#include "context/interner.h"

struct observations {
    struct observations_settings settings;
    uint32_t count;
    uint32_t next; /* place to write */
    struct observation items[];
};

static uint32_t us_of(uint64_t ns)
{
    uint64_t us = ns / 1000 + (ns % 1000 >= 500);

    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* What both sides have. */
static struct observation observation_of(const struct timing *timing)
{
    struct observation observation = {
        .end_unix_ns = timing_end_unix_ns(timing),
        .duration_ns = timing->duration_ns,
        .service = timing->destination,
        .service_namespace = timing->destination_namespace,
        .caller = timing->source,
        .route = timing->route,
        .sender = timing->sender,
        .version = timing->version,
        .flags = timing->response_flags,
        .response_code = timing->response_code,
        .outcome = timing->outcome,
        .side = timing->side,
        .attempts = timing->attempts,
    };

    memcpy(observation.trace_id, timing->trace_id, sizeof observation.trace_id);
    return observation;
}

void observation_of_request(const struct attributed_request *request, struct observation *ret_observation)
{
    struct observation observation = observation_of(request->timing);

    if (observation.caller < INTERNED_FIXED_COUNT && request->caller != NULL) {
        observation.caller = request->caller->source; /* a server's span seldom names who called */
    }
    observation.has_self = request->has_self;
    observation.self_us = us_of(request->self_ns);
    observation.has_network = request->has_network;
    observation.network_us = us_of(request->network_ns);
    observation.call_flags = request->call_flags;
    observation.call_attempts = request->call_attempts;
    for (uint32_t i = 0; i < request->callee_count; i++) {
        const struct attributed_callee *from = &request->callees[i];
        observation.callees[i] = (struct observation_callee){
            .service = from->service,
            .own_us = us_of(from->own_ns),
            .network_us = us_of(from->network_ns),
            .retry_us = us_of(from->retry_ns),
        };
    }
    *ret_observation = observation;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

void observation_of_call(const struct attributed_call *call, struct observation *ret_observation)
{
    struct observation observation = observation_of(call->timing);
    uint64_t duration_ns = call->timing->duration_ns;
    uint64_t retry_ns = at_most(call->retry_ns, duration_ns);
    uint64_t network_ns = at_most(call->network_ns, duration_ns - retry_ns);

    observation.has_self = true;
    observation.has_network = call->has_network;
    if (call->attempt_count > observation.attempts) {
        observation.attempts = (uint8_t)at_most(call->attempt_count, UINT8_MAX);
    }
    observation.callees[0] = (struct observation_callee){
        .service = call->timing->destination,
        .own_us = us_of(duration_ns - retry_ns - network_ns),
        .network_us = us_of(network_ns),
        .retry_us = us_of(retry_ns),
    };
    *ret_observation = observation;
}

void observation_ids(const struct observation *observation, uint32_t ret_ids[OBSERVATION_ID_COUNT])
{
    const uint32_t own[] = {observation->service, observation->service_namespace, observation->caller,
        observation->route, observation->sender, observation->version};
    size_t count = sizeof own / sizeof own[0];

    memcpy(ret_ids, own, sizeof own);
    for (size_t i = 0; i < ATTRIBUTION_CALLEE_COUNT; i++) {
        ret_ids[count + i] = observation->callees[i].service;
    }
}

struct observations *observations_new(const struct observations_settings *settings)
{
    struct observations *observations = NULL;

    if (settings->count_max > 0) {
        observations = calloc(1, sizeof *observations + settings->count_max * sizeof(struct observation));
    }
    if (observations != NULL) {
        observations->settings = *settings;
    }
    return observations;
}

void observations_free(struct observations *observations)
{
    if (observations == NULL) {
        return;
    }
    for (uint32_t i = 0; observations->settings.dropped != NULL && i < observations->count; i++) {
        observations->settings.dropped(observations->settings.user, observations_at(observations, i));
    }
    free(observations);
}

void observations_add(struct observations *observations, const struct observation *observation)
{
    struct observation *place = &observations->items[observations->next];

    if (observations->count < observations->settings.count_max) {
        observations->count++;
    } else if (observations->settings.dropped != NULL) {
        observations->settings.dropped(observations->settings.user, place);
    }
    *place = *observation;
    observations->next = (observations->next + 1) % observations->settings.count_max;
}

uint32_t observations_count(const struct observations *observations)
{
    return observations->count;
}

const struct observation *observations_at(const struct observations *observations, uint32_t index)
{
    uint32_t oldest = observations->count < observations->settings.count_max ? 0 : observations->next;

    return &observations->items[(oldest + index) % observations->settings.count_max];
}
