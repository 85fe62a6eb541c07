/*
 * Which messages an ExportTraceServiceRequest nests, as far as somebody must look inside them: everything
 * from the request down to each list of attributes. Field numbers from
 * opentelemetry/proto/trace/v1/trace.proto, resource/v1 and common/v1.
 */
#ifndef WEFT_DECODE_OTLP_SCHEMA_H
#define WEFT_DECODE_OTLP_SCHEMA_H

#include <stdbool.h>

#include "decode/wire.h"

enum otlp_kind {
    OTLP_OPAQUE, /* nothing of interest inside */
    OTLP_REQUEST,
    OTLP_RESOURCE_SPANS,
    OTLP_RESOURCE,
    OTLP_SCOPE_SPANS,
    OTLP_SCOPE,
    OTLP_SPAN,
    OTLP_EVENT,
    OTLP_LINK,
    OTLP_ATTRIBUTE,
};

/* What a field of a message of that kind holds. */
static inline enum otlp_kind otlp_child_kind(enum otlp_kind kind, uint32_t tag)
{
    switch (kind) {
    case OTLP_REQUEST:
        return tag == WIRE_TAG(1, WIRE_BYTES) ? OTLP_RESOURCE_SPANS : OTLP_OPAQUE;
    case OTLP_RESOURCE_SPANS:
        return tag == WIRE_TAG(1, WIRE_BYTES)   ? OTLP_RESOURCE
               : tag == WIRE_TAG(2, WIRE_BYTES) ? OTLP_SCOPE_SPANS
                                                : OTLP_OPAQUE;
    case OTLP_RESOURCE:
        return tag == WIRE_TAG(1, WIRE_BYTES) ? OTLP_ATTRIBUTE : OTLP_OPAQUE;
    case OTLP_SCOPE_SPANS:
        return tag == WIRE_TAG(1, WIRE_BYTES)   ? OTLP_SCOPE
               : tag == WIRE_TAG(2, WIRE_BYTES) ? OTLP_SPAN
                                                : OTLP_OPAQUE;
    case OTLP_SCOPE:
    case OTLP_EVENT:
        return tag == WIRE_TAG(3, WIRE_BYTES) ? OTLP_ATTRIBUTE : OTLP_OPAQUE;
    case OTLP_SPAN:
        return tag == WIRE_TAG(9, WIRE_BYTES)    ? OTLP_ATTRIBUTE
               : tag == WIRE_TAG(11, WIRE_BYTES) ? OTLP_EVENT
               : tag == WIRE_TAG(13, WIRE_BYTES) ? OTLP_LINK
                                                 : OTLP_OPAQUE;
    case OTLP_LINK:
        return tag == WIRE_TAG(4, WIRE_BYTES) ? OTLP_ATTRIBUTE : OTLP_OPAQUE;
    default:
        return OTLP_OPAQUE;
    }
}

/* Whether it is a string of its own, which a strict receiver wants to be UTF-8; those of a status aside. */
static inline bool otlp_is_text(enum otlp_kind kind, uint32_t tag)
{
    switch (kind) {
    case OTLP_RESOURCE_SPANS: /* schema_url */
    case OTLP_SCOPE_SPANS:
    case OTLP_LINK: /* trace_state */
        return tag == WIRE_TAG(3, WIRE_BYTES);
    case OTLP_SCOPE: /* name, version */
        return tag == WIRE_TAG(1, WIRE_BYTES) || tag == WIRE_TAG(2, WIRE_BYTES);
    case OTLP_SPAN: /* trace_state, name */
        return tag == WIRE_TAG(3, WIRE_BYTES) || tag == WIRE_TAG(5, WIRE_BYTES);
    case OTLP_EVENT: /* name */
        return tag == WIRE_TAG(2, WIRE_BYTES);
    default:
        return false;
    }
}

/* Whether a field that the walkers rely on has the wire type that it must have; true for all others. */
static inline bool otlp_field_is_sound(enum otlp_kind kind, uint32_t tag)
{
    uint32_t number = wire_tag_number(tag);
    bool relied_on = false;

    if (kind == OTLP_REQUEST || kind == OTLP_RESOURCE) {
        relied_on = number == 1;
    } else if (kind == OTLP_RESOURCE_SPANS || kind == OTLP_SCOPE_SPANS) {
        relied_on = number <= 2;
    } else if (kind == OTLP_SCOPE) {
        relied_on = number == 1 || number == 3;
    }
    return !relied_on || wire_tag_type(tag) == WIRE_BYTES;
}

#endif
