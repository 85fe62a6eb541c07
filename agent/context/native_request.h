/* A native batch's columns to requests. Runs in the shard that holds the connection, for each span; allocates
 * nothing. */
#ifndef WEFT_CONTEXT_NATIVE_REQUEST_H
#define WEFT_CONTEXT_NATIVE_REQUEST_H

#include "context/native_dictionary.h"
#include "context/request.h"
#include "decode/native.h"

/* What a record may say of its attempts; more is malformed. */
enum { NATIVE_ATTEMPTS_MAX = 1024 };

/*
 * Span i of a batch whose record native_span_check accepted, within context_batch_begin. Routes are taken as
 * the client gives them, up to limits.routes_per_destination_max for a destination. WERR_DICTIONARY: an id
 * that is not known; WERR_INVALID: a value out of range. request.stored is left false. `sender` is bound, or
 * NULL.
 */
int native_to_request(const struct native_dictionary *dictionary, const struct native_spans *spans, size_t i,
    const struct sender *sender, struct request *ret_request);

#endif
