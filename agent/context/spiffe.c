/* SPIFFE URIs read as path pairs; see spiffe.h. */
#include "context/spiffe.h"

enum { SPIFFE_PAIRS_MAX = 8 }; /* of KEY/VALUE that are looked at */

static struct slice cut_segment(struct slice *rest)
{
    size_t at = slice_find(*rest, '/');
    struct slice segment = slice_sub(*rest, 0, at);

    *rest = slice_sub(*rest, at + 1, rest->length);
    return segment;
}

struct service_name service_name_of_spiffe(struct slice uri)
{
    struct slice scheme = SLICE_LITERAL("spiffe://");
    struct service_name name = {.external = false};

    if (!slice_has_prefix(uri, scheme)) {
        return name;
    }
    struct slice rest = slice_sub(uri, scheme.length, uri.length);
    (void)cut_segment(&rest); /* the trust domain */
    for (int pair = 0; pair < SPIFFE_PAIRS_MAX && rest.length > 0; pair++) {
        struct slice key = cut_segment(&rest);
        struct slice value = cut_segment(&rest);

        if (slice_equal(key, SLICE_LITERAL("ns"))) {
            name.service_namespace = value;
        } else if (slice_equal(key, SLICE_LITERAL("svc")) ||
                   (slice_equal(key, SLICE_LITERAL("sa")) && !slice_equal(value, SLICE_LITERAL("default")))) {
            name.service = value;
        }
    }
    return name;
}
