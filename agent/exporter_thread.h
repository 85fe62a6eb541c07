/*
 * The exporter thread: one loop that owns every OTLP destination. Others post bytes to it and never wait for
 * it.
 */
#ifndef WEFT_AGENT_EXPORTER_THREAD_H
#define WEFT_AGENT_EXPORTER_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "config_letter.h"
#include "core/buffer.h"
#include "core/budget.h"
#include "core/loop_thread.h"
#include "core/metrics.h"
#include "exporters/otlp/otlp_exporter.h"

enum { EXPORTER_DESTINATION_COUNT_MAX = 16 };

struct exporter_thread {
    struct loop_thread thread;
    struct otlp_exporter *otlp;
    struct otlp_destination_config destinations[EXPORTER_DESTINATION_COUNT_MAX];
    size_t destination_count;
    uint64_t headers_version; /* of all destinations: a reload changes values */
    struct budget handover;   /* bytes posted and not yet taken over: bounds the mailbox */
    struct log *log;
};

/*
 * Makes the destinations of a configuration (which must outlive the thread) and their self-metrics. 0;
 * WERR_CONFIG with *ret_what naming what is wrong, WERR_FULL, WERR_NOMEM, WERR_IO. A failed init leaves
 * nothing to undo.
 */
int exporter_thread_init(struct exporter_thread *self, const struct config *config,
    struct metric_registry *registry, const struct clock *clock, struct log *log, const char **ret_what);
int exporter_thread_start(struct exporter_thread *self);

/* Whether some destination takes records of the signal: then spans are worth keeping, and may become
 * exemplars. */
bool exporter_thread_takes(const struct exporter_thread *self, enum otlp_signal signal);

/* From any thread: bytes that were handed over and the thread has not come to yet. */
static inline uint64_t exporter_thread_behind_bytes(const struct exporter_thread *self)
{
    return atomic_load_explicit(&self->handover.used_bytes, memory_order_relaxed);
}

/*
 * From any thread: hands bytes over; the reference goes with them. False, and nothing taken over, when too
 * much is under way already. destination_index: -1 for all that take the signal.
 */
bool exporter_thread_offer(struct exporter_thread *self, enum otlp_signal signal, int destination_index,
    struct shared_bytes *bytes, uint64_t item_count);

/* From main: the thread takes over the headers' values and acknowledges. */
void exporter_thread_post_config(struct exporter_thread *self, struct config_letter *letter);

/* From any thread: sends what is queued, at most until deadline_ms from now, then posts `done` to `reply_to`.
 */
bool exporter_thread_drain(
    struct exporter_thread *self, uint64_t deadline_ms, struct mailbox *reply_to, struct mail *done);

/* From the thread that started it: ends loop and thread, frees all. A zeroed one is fine. */
void exporter_thread_stop(struct exporter_thread *self);

#endif
