/* What formats of metrics have in common; see sent_point.h. On the thread that owns the scratch. */
#include "decode/sent_point.h"

#include "core/error.h"
#include "decode/wire.h"

int sent_point_add_quantile(
    struct sent_point *point, struct sent_point_scratch *scratch, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct sent_quantile quantile = {.quantile = 0};
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_FIXED64)) {
            quantile.quantile = wire_double(field.integer);
        } else if (field.tag == WIRE_TAG(2, WIRE_FIXED64)) {
            quantile.value = wire_double(field.integer);
        }
    }
    if (status < 0) {
        return status;
    }
    if (!(quantile.quantile >= 0 && quantile.quantile <= 1)) {
        return WERR_INVALID;
    }
    if (point->quantile_count == SENT_QUANTILE_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    scratch->quantiles[point->quantile_count++] = quantile;
    return 0;
}
