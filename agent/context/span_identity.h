/*
 * What spans tell beyond a request's normal form, for naming profiles: who both sides are in their words, the
 * span's own name and kind. Runs in the shard that received the span; does nothing where no profile is
 * enabled.
 */
#ifndef WEFT_CONTEXT_SPAN_IDENTITY_H
#define WEFT_CONTEXT_SPAN_IDENTITY_H

#include "context/context.h"
#include "context/identity.h"
#include "decode/span.h"

/* What all spans of a pattern agree in. `own`: the service that the sender belongs to. Within a batch. */
void span_identify(struct context *context, const struct span *span, const struct sender *sender,
    struct service_ids own, struct request *request);

/* "http" or "https", as an attribute or the URL tells. */
enum url_scheme span_scheme(const struct span *span);

/* What each span has for itself: its size, and the scheme, as URLs may differ within a pattern. */
static inline void span_note_record(
    const struct context *context, const struct span *span, struct request *request)
{
    if (__builtin_expect(context->profiles != 0, 0)) {
        request->record_bytes = (uint32_t)(span->raw.length < UINT32_MAX ? span->raw.length : UINT32_MAX);
        request->scheme = (uint8_t)span_scheme(span);
    }
}

#endif
