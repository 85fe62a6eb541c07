/*
 * A thread that runs one libuv loop, with a mailbox and a heartbeat: what shards, aggregator and exporter
 * have in common.
 */
#ifndef WEFT_CORE_LOOP_THREAD_H
#define WEFT_CORE_LOOP_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/mailbox.h"

enum { LOOP_TICK_MS = 1000 };

struct loop_thread {
    uv_loop_t loop;
    struct mailbox mailbox; /* letters are delivered on the thread, with `owner` as the receiver */
    uv_timer_t tick;
    uv_thread_t thread;
    _Atomic uint64_t tick_count; /* heartbeats; /healthz asks whether it moved */
    void *owner;
    bool started;
};

/* Makes loop and mailbox; no thread yet, so the owner may add handles to `loop`. 0 or WERR_IO; a failed init
 * needs no undo. */
int loop_thread_init(struct loop_thread *self, void *owner);

/* Runs the loop on a new thread of that name (at most 15 bytes). 0 or WERR_IO. */
int loop_thread_start(struct loop_thread *self, const char *name);

/*
 * On the loop's own thread (from a letter): stops heartbeat and mailbox. The loop ends when the owner has
 * closed its other handles.
 */
void loop_thread_finish(struct loop_thread *self);

/* From the thread that started it: waits until the loop has ended. */
void loop_thread_join(struct loop_thread *self);

/* After join, or after init without start: runs close callbacks and frees the loop. */
void loop_thread_deinit(struct loop_thread *self);

#endif
