/* /api/v1/heatmap: the latencies of one edge, destination or route, by time. Runs on the aggregator's thread.
 */
#include <stdlib.h>

#include "core/error.h"
#include "histogram/downscale.h"
#include "query/query_internal.h"

enum { HEATMAP_SCALE = 2, DOWN_BY = LATTICE_SCALE - HEATMAP_SCALE };

/* [[index, count], …], ascending. */
static json_t *buckets_of(const struct histogram_flat *flat)
{
    json_t *buckets = json_array();
    uint64_t cell_count;
    uint64_t sum = 0;
    int at = 0;

    for (int cell = LATTICE_CELL_ZERO; histogram_flat_next(flat, &cell, &cell_count);) {
        int index = downscale_index(lattice_index(cell), DOWN_BY);
        if (sum > 0 && index != at) {
            (void)json_array_append_new(buckets, json_pack("[i,I]", at, (json_int_t)sum));
            sum = 0;
        }
        at = index;
        sum += cell_count;
    }
    if (sum > 0) {
        (void)json_array_append_new(buckets, json_pack("[i,I]", at, (json_int_t)sum));
    }
    return buckets;
}

static json_t *column_of(const struct window_slot *slot, uint64_t now_ns, const struct query_scan *scan,
    const struct window_values *values)
{
    uint64_t total;
    json_t *outcomes = query_json_outcomes(values, &total);
    double age = now_ns > slot->start_monotonic_ns ? (double)(now_ns - slot->start_monotonic_ns) / 1e9 : 0;

    return json_pack("{s:f,s:f,s:I,s:o,s:I,s:o}", "seconds_ago", age, "seconds",
        (double)slot->length_ns / 1e9, "requests", (json_int_t)total, "outcomes", outcomes, "zero_count",
        (json_int_t)scan->flat.zero_count, "buckets", buckets_of(&scan->flat));
}

json_t *query_heatmap(const struct query_sources *sources, struct query_input *input)
{
    struct latency_filter filter = query_latency_filter(input);
    struct window_slot slots[WINDOW_SLOT_COUNT_MAX];
    struct window_values values = {.covered_ns = 0};
    uint64_t now_ns;
    struct query_scan *scan = query_scan_new(input);

    if (scan == NULL) {
        return NULL;
    }
    (void)query_latency_look_up(sources, input, &filter, scan, &values); /* who answers, for all columns */
    json_t *columns = json_array();
    uint32_t count = aggregator_slots(sources->aggregator, scan->span, slots, &now_ns);
    while (count-- > 0 && input->bad_argument == NULL) {
        if (aggregator_latency_in_slot(sources->aggregator, &filter, &slots[count], &scan->flat, &values) >=
            0) {
            (void)json_array_append_new(columns, column_of(&slots[count], now_ns, scan, &values));
        }
    }
    json_t *answer = json_pack("{s:s,s:s,s:i,s:o}", "window", query_window_name(scan->span), "reporter",
        query_latency_reporter(&filter), "scale", HEATMAP_SCALE, "columns", columns);

    free(scan);
    return answer;
}
