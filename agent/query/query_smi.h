/*
 * The Service Mesh Interface's traffic metrics: GET /apis/metrics.smi-spec.io/v1alpha1/… from the 1-minute
 * window of this node (SMI specification, apis/traffic-metrics/v1alpha1). Runs on the aggregator's thread.
 *
 *   …/v1alpha1                                        APIResourceList
 *   …/v1alpha1/namespaces                             TrafficMetricsList
 *   …/v1alpha1/namespaces/NAME[/edges]                TrafficMetrics, or the list of its edges
 *   …/v1alpha1/namespaces/NAME/services[/NAME[/edges]]
 */
#ifndef WEFT_QUERY_QUERY_SMI_H
#define WEFT_QUERY_QUERY_SMI_H

#include "query/query.h"

/* Whether the path belongs to this API, known or not. */
bool query_smi_knows(const char *path);

/* As query_run. What is not there is 404 with a Kubernetes Status. Arguments (selectors) are not looked at.
 */
unsigned query_smi_run(const struct query_sources *sources, const char *path, struct buffer *out);

#endif
