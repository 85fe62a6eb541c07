/*
 * Who calls whom as scraped proxies tell it: families of requests and of response times that Linkerd 1 and 2
 * and Istio are known by, made into rolling windows of their own, beside those of records and never added to
 * them. The aggregator's thread.
 *
 *   response_total, response_latency_ms (Linkerd 2)       rt:client:success, rt:client:failures (Linkerd 1)
 *   istio_requests_total, istio_request_duration_milliseconds (Istio)
 *
 * A window gets what a series rose by since the scrape before, in the interval of the scrape that told it.
 * What a series counted before its target's first scrape is in no window. Durations are spread evenly over
 * their bucket, so quantiles are as good as the proxy's buckets are.
 */
#ifndef WEFT_AGGREGATE_SCRAPED_EDGES_H
#define WEFT_AGGREGATE_SCRAPED_EDGES_H

#include "aggregate/bucket_histogram.h"
#include "aggregate/windows.h"

enum {
    SCRAPED_TARGET_COUNT_MAX =
        256, /* targets whose first scrape is remembered; of more the oldest is forgotten */
    SCRAPED_TARGET_GAP_S = 300, /* quiet for so long, a target's next scrape is its first again */
};

struct aggregator;
struct delta;
struct point_series;
struct scalar_slot;
struct distribution_slot;

struct scraped_target {
    uint32_t sender; /* id; 0: none */
    uint32_t first_s;
    uint32_t last_s;
};

struct scraped_edges {
    struct edges edges;
    struct windows windows;
    struct split_bounds no_bounds; /* windows answer with no classic bounds */
    struct scraped_target targets[SCRAPED_TARGET_COUNT_MAX];
};

/* 0 or WERR_NOMEM; a half-made one is fine for deinit. Interner, slab and budget are the aggregator's. */
int scraped_edges_init(struct scraped_edges *scraped, struct interner *interner, struct page_slab *slab,
    struct budget *budget, uint64_t monotonic_ns);
void scraped_edges_deinit(struct scraped_edges *scraped);

/* A new series of a scraped target: finds its window, if it is of a known family. */
void scraped_edges_attach(struct aggregator *aggregator, struct point_series *series);
void scraped_edges_detach(struct aggregator *aggregator, struct point_series *series);

/* As points_merge_scalar and points_merge_distribution, and into the series' window what it rose by. */
void scraped_edges_merge_scalar(
    struct aggregator *aggregator, struct point_series *series, const struct scalar_slot *slot);
void scraped_edges_merge_distribution(
    struct aggregator *aggregator, struct point_series *series, const struct distribution_slot *slot);

#endif
