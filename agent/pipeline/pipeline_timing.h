/*
 * Timings of a shard's spans on their way to the trace thread: gathered in a batch, which is posted when it
 * is full or a moment old. When that thread is behind, batches are dropped and counted. Runs on the shard's
 * loop; one allocation a batch, none a record.
 */
#ifndef WEFT_PIPELINE_PIPELINE_TIMING_H
#define WEFT_PIPELINE_PIPELINE_TIMING_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "context/context.h"
#include "context/request.h"
#include "core/metrics.h"
#include "decode/span.h"
#include "trace/thinning.h"
#include "trace/timing_batch.h"

enum {
    PIPELINE_TIMING_DELAY_MS = 100,
    PIPELINE_TIMING_BATCHES_MAX = 16, /* of a shard, that the trace thread has not read: about 2 MiB */
    PIPELINE_TIMING_TEXT_BYTES = 128, /* of a name that is remembered from one span to the next */
};

/* Where batches go; zeroes: nowhere, and nothing is gathered. */
struct pipeline_timing_config {
    /* Takes the batch, or returns false: the thread has ended. */
    bool (*post)(void *user, struct timing_batch *batch);
    void *user;
    const struct thinning *thinning; /* which traces are joined; NULL: all of them */
};

/* A name and its id, from one span to the next of the same sender. */
struct timing_memo {
    uint32_t id;
    uint32_t sweep; /* of the interner, when the id was asked for */
    size_t length;
    uint8_t text[PIPELINE_TIMING_TEXT_BYTES];
};

struct pipeline_timing {
    struct pipeline_timing_config config;
    struct context *context;
    struct metric_cells *cells;
    struct timing_writer writer;
    _Atomic uint32_t under_way; /* batches that were posted and not freed */
    uint32_t shard;
    struct timing_memo pod;
    struct timing_memo version;
    uv_timer_t timer;
    bool timer_armed;
    bool is_closing;
};

/* 0 or WERR_NOMEM. */
int pipeline_timing_init(struct pipeline_timing *timing, const struct pipeline_timing_config *config,
    struct context *context, uint32_t shard, uint32_t strings_count_max, struct metric_cells *cells);

/* Adds the timer to the loop; before the first span. */
void pipeline_timing_start(struct pipeline_timing *timing, uv_loop_t *loop);

/* Posts what there is and closes the timer. */
void pipeline_timing_close(struct pipeline_timing *timing);

/* After the trace thread and the loop have ended. A zeroed one is fine. */
void pipeline_timing_deinit(struct pipeline_timing *timing);

/*
 * A span by what it stands for. Within a batch of the context. The request's or attempt's ids are the
 * shard's; names of pod and version are the resource's, and the pod in Envoy's node id, else the sender.
 */
void pipeline_time_request(
    struct pipeline_timing *timing, const struct span *span, const struct request *request);
void pipeline_time_attempt(
    struct pipeline_timing *timing, const struct span *span, const struct attempt *attempt);
void pipeline_time_other(struct pipeline_timing *timing, const struct span *span);

/* A native span; parent_id: 8 bytes, or NULL; instance: what its client says it is, or INTERNED_NONE: the
 * sender is told. */
void pipeline_time_native(struct pipeline_timing *timing, const struct request *request,
    const uint8_t *parent_id, uint32_t instance);

/* Posts what waits. */
void pipeline_timing_flush(struct pipeline_timing *timing);

/* The pod in Envoy's node id where it is of the form type~address~pod.namespace~domain, else all of it. */
struct slice timing_pod_of_node(struct slice node_id);

#endif
