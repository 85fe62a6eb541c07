/*
 * Naming profiles: sets of metric names that other people's dashboards and tools expect, each served on a
 * scrape path of its own when the configuration enables it. Here is what every stage has to know of them:
 * their names, the `le` bounds that they need, and the families that they own. Read-only tables; any thread.
 */
#ifndef WEFT_CORE_PROFILES_H
#define WEFT_CORE_PROFILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum profile {
    PROFILE_ISTIO,
    PROFILE_LINKERD,
    PROFILE_SPANMETRICS,
    PROFILE_TEMPO,
    PROFILE_SERVICEGRAPH,
    PROFILE_OTEL,
    PROFILE_COUNT
};

#define PROFILE_BIT(name) (1u << PROFILE_##name)

/* Of which side's records the service graph's edges are made: see docs/profiles/servicegraph.md. */
enum profile_graph_side { PROFILE_GRAPH_DESTINATION, PROFILE_GRAPH_SOURCE };

enum profile_family_type { PROFILE_COUNTER, PROFILE_GAUGE, PROFILE_HISTOGRAM };

struct profile_family {
    const char *name; /* without _total, as OpenMetrics has it */
    enum profile_family_type type;
};

struct profile_row {
    const char *name;          /* as in /metrics?profile=NAME and exporters.prometheus.profiles */
    const uint64_t *bounds_ns; /* ascending */
    size_t bound_count;
    bool is_milliseconds; /* its histograms count milliseconds, and have classic buckets only */
    const struct profile_family *families; /* that it owns: ended by one without a name */
};

extern const struct profile_row profile_rows[PROFILE_COUNT];

/* The profile of that name, or WERR_NOT_FOUND. */
int profile_of(const char *name, enum profile *ret_profile);

/*
 * Every bound that is needed: `own` (ascending or not) and those of the enabled profiles, each once,
 * ascending, into `out`. Returns how many, or WERR_OVERSIZED when there is no room for them.
 */
int profiles_bounds(
    uint32_t profiles, const uint64_t *own_ns, size_t own_count, uint64_t *out_ns, size_t room_count);

#endif
