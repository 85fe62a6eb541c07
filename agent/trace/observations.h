/*
 * What was found out about the requests of the last minutes: a ring of fixed size, the oldest of which is
 * written over. `why` (why.h) reads it. One thread.
 *
 * Names are ids of the owner's table; it may hold a reference for each as long as an observation is in the
 * ring (observation_ids, observations_settings.dropped).
 */
#ifndef WEFT_TRACE_OBSERVATIONS_H
#define WEFT_TRACE_OBSERVATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/attribution.h"

/* A called service's part of a request, in microseconds; what is longer than 71 minutes is cut to that. */
struct observation_callee {
    uint32_t service; /* 0: none */
    uint32_t own_us;
    uint32_t network_us;
    uint32_t retry_us;
};

/*
 * One request, 128 bytes. Of a client-side one, callees[0] holds the parts of its duration, with the called
 * service's name.
 */
struct observation {
    uint8_t trace_id[16];
    uint64_t end_unix_ns;
    uint64_t duration_ns;
    uint32_t self_us;
    uint32_t network_us; /* between its caller and itself, beside its duration; 0 when not known */
    struct observation_callee callees[ATTRIBUTION_CALLEE_COUNT];
    uint32_t service; /* that was called */
    uint32_t service_namespace;
    uint32_t caller;
    uint32_t route;
    uint32_t sender;
    uint32_t version;
    uint32_t flags;      /* its response flags */
    uint32_t call_flags; /* and those of the calls it made */
    uint16_t response_code;
    uint8_t outcome;       /* enum outcome */
    uint8_t side;          /* TIMING_SERVER or TIMING_CLIENT */
    uint8_t attempts;      /* of itself; 0: not told */
    uint8_t call_attempts; /* the most of any of its calls */
    bool has_self;         /* else there are no callees either */
    bool has_network;
};

_Static_assert(sizeof(struct observation) == 128, "what a request costs");

void observation_of_request(const struct attributed_request *request, struct observation *ret_observation);
void observation_of_call(const struct attributed_call *call, struct observation *ret_observation);

enum { OBSERVATION_ID_COUNT = 6 + ATTRIBUTION_CALLEE_COUNT };

/* Every name id that it holds, zeroes included. */
void observation_ids(const struct observation *observation, uint32_t ret_ids[OBSERVATION_ID_COUNT]);

struct observations_settings {
    uint32_t count_max;
    void (*dropped)(
        void *user, const struct observation *observation); /* about to be written over; or NULL */
    void *user;
};

struct observations;

/* All memory is taken here. NULL when it is short, or count_max is 0. */
struct observations *observations_new(const struct observations_settings *settings);
void observations_free(struct observations *observations); /* tells `dropped` of each that is left */

void observations_add(struct observations *observations, const struct observation *observation);

uint32_t observations_count(const struct observations *observations);

/* Number `index` from the oldest; index below the count. Borrowed until the next add. */
const struct observation *observations_at(const struct observations *observations, uint32_t index);

#endif
