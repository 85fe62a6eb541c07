/* Pieces of JSON that several answers share. */
#include "context/request.h"
#include "histogram/quantile.h"
#include "query/query_internal.h"

json_t *query_json_text(struct slice text)
{
    return json_stringn(text.ptr != NULL ? (const char *)text.ptr : "", text.length);
}

json_t *query_json_outcomes(const struct window_values *values, uint64_t *ret_total)
{
    json_t *outcomes = json_object();
    uint64_t total = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        total += values->outcomes[i];
        if (values->outcomes[i] > 0) {
            (void)json_object_set_new(
                outcomes, outcome_name((enum outcome)i), json_integer((json_int_t)values->outcomes[i]));
        }
    }
    *ret_total = total;
    return outcomes;
}

json_t *query_json_quantiles(const struct query_scan *scan)
{
    json_t *list = json_array();
    double seconds;

    for (size_t i = 0; i < scan->quantile_count && scan->flat.count > 0; i++) {
        double q = scan->quantiles[i];
        if (quantile_seconds(&scan->flat, q, &seconds) == 0) {
            (void)json_array_append_new(list, json_pack("{s:f,s:f}", "q", q, "seconds", seconds));
        }
    }
    return list;
}
