/* The table of what spans stand for; the README gives the reasons. Pure; any thread. */
#include "context/span_role.h"

#include "context/request.h"

#define HAS(id) (1ull << SPAN_ATTRIBUTE_##id)
#define DOWNSTREAM_ATTRIBUTES (HAS(ENVOY_REQUEST_ID) | HAS(ENVOY_DOWNSTREAM_CLUSTER))

enum { ANY = 0xff };

static const struct role_row {
    uint8_t emitter, form, kind, side;
    struct span_role role;
} rows[] = {
#define REQUEST(side)                                                                                        \
    {                                                                                                        \
        .meaning = SPAN_IS_REQUEST, .reporter = REPORTER_##side                                              \
    }
#define ATTEMPT(side)                                                                                        \
    {                                                                                                        \
        .meaning = SPAN_IS_ATTEMPT, .reporter = REPORTER_##side                                              \
    }
#define NEITHER                                                                                              \
    {                                                                                                        \
        .meaning = SPAN_IS_NEITHER                                                                           \
    }
    {SPAN_EMITTER_ENVOY, SPAN_FORM_DOWNSTREAM, ANY, CLUSTER_SIDE_SOURCE, REQUEST(SOURCE)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_DOWNSTREAM, ANY, CLUSTER_SIDE_DESTINATION, REQUEST(DESTINATION)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_DOWNSTREAM, ANY, CLUSTER_SIDE_WAYPOINT, REQUEST(WAYPOINT)},
    /* The cluster does not tell, and neither did the name ("egress …"). */
    {SPAN_EMITTER_ENVOY, SPAN_FORM_DOWNSTREAM, SPAN_KIND_CLIENT, CLUSTER_SIDE_UNTOLD, REQUEST(SOURCE)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_DOWNSTREAM, ANY, CLUSTER_SIDE_UNTOLD, REQUEST(DESTINATION)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_UPSTREAM, ANY, CLUSTER_SIDE_SOURCE, ATTEMPT(SOURCE)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_UPSTREAM, ANY, CLUSTER_SIDE_DESTINATION, ATTEMPT(DESTINATION)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_UPSTREAM, ANY, CLUSTER_SIDE_WAYPOINT, ATTEMPT(WAYPOINT)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_UPSTREAM, ANY, CLUSTER_SIDE_UNTOLD, ATTEMPT(SOURCE)},
    {SPAN_EMITTER_ENVOY, SPAN_FORM_PLAIN, ANY, ANY, NEITHER},
    {SPAN_EMITTER_SDK, ANY, SPAN_KIND_CLIENT, ANY, REQUEST(SOURCE)},
    {SPAN_EMITTER_SDK, ANY, SPAN_KIND_SERVER, ANY, REQUEST(DESTINATION)},
    {ANY, ANY, ANY, ANY, NEITHER},
#undef REQUEST
#undef ATTEMPT
#undef NEITHER
};

enum span_emitter span_emitter_of(const struct span *span, bool resource_is_envoy)
{
    bool is_envoy = resource_is_envoy || (span->attribute_set & DOWNSTREAM_ATTRIBUTES) != 0 ||
                    slice_equal(span->scope_name, SLICE_LITERAL("envoy"));

    return is_envoy ? SPAN_EMITTER_ENVOY : SPAN_EMITTER_SDK;
}

enum span_form span_form_of(const struct span *span, enum span_emitter emitter)
{
    if (emitter != SPAN_EMITTER_ENVOY) {
        return SPAN_FORM_PLAIN;
    }
    if ((span->attribute_set & DOWNSTREAM_ATTRIBUTES) != 0) {
        return SPAN_FORM_DOWNSTREAM;
    }
    if (slice_has_prefix(span->name, SLICE_LITERAL("async "))) {
        return SPAN_FORM_PLAIN;
    }
    if (slice_has_prefix(span->name, SLICE_LITERAL("router ")) ||
        (span->attribute_set & HAS(ENVOY_UPSTREAM_ADDRESS)) != 0) {
        return SPAN_FORM_UPSTREAM;
    }
    return SPAN_FORM_PLAIN;
}

/* An outbound listener's requests are called "egress HOST" where no route decorates them. */
static enum cluster_side side_of(const struct span *span, enum span_form form, enum cluster_side side)
{
    if (side == CLUSTER_SIDE_UNTOLD && form == SPAN_FORM_DOWNSTREAM &&
        slice_has_prefix(span->name, SLICE_LITERAL("egress "))) {
        return CLUSTER_SIDE_SOURCE;
    }
    return side;
}

struct span_role span_role_of(const struct span *span, enum span_emitter emitter, enum cluster_side side)
{
    enum span_form form = span_form_of(span, emitter);
    const struct role_row *row = rows;

    side = side_of(span, form, side);
    while (!((row->emitter == emitter || row->emitter == ANY) && (row->form == form || row->form == ANY) &&
             (row->kind == span->kind || row->kind == ANY) && (row->side == side || row->side == ANY))) {
        row++; /* the last row fits everything */
    }
    return row->role;
}
