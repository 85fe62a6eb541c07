/*
 * What a series is called, in ids: one 32-byte key for the five families that come from requests. Fields that
 * a family has no use for are 0, so that keys compare and hash as bytes. Ids are the shard's in a directory,
 * the process's in the aggregator.
 *
 *   family      reporter source source_ns destination destination_ns route   and
 *   requests    x        x      x         x           x              x       method protocol response_code
 * grpc_status outcome duration    x        x      x         x           x              x       protocol
 * outcome traffic     x        x      x         x           x              x flags       x        x      x x
 * x                      flag
 */
#ifndef WEFT_AGGREGATE_SERIES_KEY_H
#define WEFT_AGGREGATE_SERIES_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "context/request.h"

enum series_family {
    FAMILY_REQUESTS,
    FAMILY_DURATION,
    FAMILY_TRAFFIC,
    FAMILY_FLAGS,
    FAMILY_TCP,            /* key as flags, without one */
    FAMILY_TIMES,          /* parts of requests' time: key.reporter is one of enum time_of_request */
    FAMILY_PROFILE_COUNTS, /* what a key of the three holds: profile_measures.h, by key.measure */
    FAMILY_PROFILE_HISTOGRAMS,
    FAMILY_PROFILE_TCP,
    FAMILY_WORKLOADS, /* source: a service, destination: its workload, destination_namespace: the version */
    FAMILY_POINTS,
    FAMILY_COUNT
};

enum { FLAG_COUNT = 64 };

/*
 * What is known only once both ends of a request were seen, or what it called. They stand where others have
 * their reporter, in keys, edges and windows: no other series, and no query that names a reporter, meets
 * them.
 */
enum time_of_request {
    TIME_OF_SERVICE = REPORTER_COUNT, /* a request less its calls; the key has a destination alone */
    TIME_OF_NETWORK,                  /* between a source and a destination */
    TIME_OF_REQUEST_END
};

struct series_key {
    uint32_t source;
    uint32_t source_namespace;
    uint32_t destination;
    uint32_t destination_namespace;
    uint32_t route;
    uint16_t response_code;
    int16_t grpc_status;
    uint8_t family; /* enum series_family */
    uint8_t reporter;
    uint8_t method;
    uint8_t protocol;
    uint8_t outcome;
    uint8_t flag; /* bit number, 0 ... 63; of a profile: two flags, each bit number + 1, 0 for none */
    union {
        uint8_t flag2; /* profiles */
        uint8_t mesh;  /* all others: of the reporter, core/mesh_names.h */
    };
    uint8_t measure; /* enum profile_measure; 0 in the families that belong to no profile */
};

_Static_assert(sizeof(struct series_key) == 32, "keys are hashed as bytes: no padding");

/* Those that naming profiles show, and nobody else, and workloads: no edge, no windows, no overflow. */
static inline bool is_profile_family(uint8_t family)
{
    return family >= FAMILY_PROFILE_COUNTS && family <= FAMILY_WORKLOADS;
}

static inline uint32_t series_key_hash(const struct series_key *key)
{
    return (uint32_t)XXH3_64bits(key, sizeof(*key));
}

static inline bool series_key_equal(const struct series_key *a, const struct series_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

#endif
