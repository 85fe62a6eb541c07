/*
 * Attribute values for `why`: what the spans of its samples tell beyond what the agent makes of them anyhow.
 * Pure; on the thread of why's owner.
 *
 * Looked at are the service's own spans and those above them (of who called it, and who called that one);
 * in a trace where none is recognised as its own, all. Left out is what the agent reads itself (method,
 * route, status, peer, version, pod: causes of their own), what differs by its nature with each span (ids,
 * sizes, addresses), and values that are no category: lists, maps, bytes, fractions, long texts.
 */
#ifndef WEFT_QUERY_WHY_SPANS_H
#define WEFT_QUERY_WHY_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/slice.h"
#include "trace/why.h"

/* What shards hold of a trace, redacted; entries may be NULL. Borrowed. */
struct why_trace {
    uint8_t trace_id[16];
    struct shared_bytes **parts;
    size_t part_count;
};

/*
 * Makes the traces the samples (why_use_samples) and tells their attributes. traces: sorted by memcmp of
 * their ids; those without a part are to be left out. Between why_select and why_rank. 0, or WERR_NOMEM: then
 * there are no samples.
 */
int why_tell_spans(
    struct why *why, struct slice service, const struct why_trace *traces, uint32_t trace_count);

#endif
