/*
 * What the record path keeps for metrics that proxies send, and the handlers of the gRPC methods that bring
 * them (grpc_method.message, .closed): `user` is the pipeline, connection_user a struct peer. Runs on the
 * shard's loop.
 */
#ifndef WEFT_AGENT_PIPELINE_METRICS_H
#define WEFT_AGENT_PIPELINE_METRICS_H

#include "context/sent_metric.h"
#include "core/slice.h"
#include "listen/grpc.h"

/* Room for one data point and what it becomes; one a pipeline. NULL: out of memory. */
struct pipeline_metrics *pipeline_metrics_new(void);
void pipeline_metrics_free(struct pipeline_metrics *metrics);

/* envoy.service.metrics.v3.MetricsService/StreamMetrics: a stream that never ends; its first message names
 * the node. */
int pipeline_metrics_service_message(
    void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer);
void pipeline_metrics_service_closed(void *user, struct grpc_call *call);

#endif
