/*
 * Compresses what has cooled in a shard's ring (trace.compress), one slice in each turn of the loop, after
 * what came was read: records and connections wait for 64 KiB of compressing at most. A quiet loop is not
 * woken by it. Runs on the shard's loop.
 */
#ifndef WEFT_AGENT_TRACE_COOLING_H
#define WEFT_AGENT_TRACE_COOLING_H

#include <stdbool.h>
#include <uv.h>

#include "trace/ring.h"

struct trace_cooling {
    struct ring *ring; /* borrowed */
    uv_check_t check;  /* looks, after each turn, whether there is something to do */
    uv_idle_t idle;    /* does it, while there is */
    bool is_open;
};

/* Adds handles to the loop; none when the ring, or NULL, does not compress. */
void trace_cooling_init(struct trace_cooling *self, uv_loop_t *loop, struct ring *ring, bool compresses);

/* Before the loop ends. Fine when it was not made. */
void trace_cooling_close(struct trace_cooling *self);

#endif
