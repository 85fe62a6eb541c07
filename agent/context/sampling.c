/* Thresholds and weights; see sampling.h. */
#include "context/sampling.h"

static struct slice trimmed(struct slice text)
{
    while (text.length > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = slice_sub(text, 1, text.length);
    }
    while (text.length > 0 && (text.ptr[text.length - 1] == ' ' || text.ptr[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

bool tracestate_next(struct slice *rest, uint8_t separator, struct slice *ret_piece)
{
    size_t at = slice_find(*rest, separator);

    if (rest->length == 0) {
        return false;
    }
    *ret_piece = trimmed(slice_sub(*rest, 0, at));
    *rest = slice_sub(*rest, at + 1, rest->length);
    return true;
}

/* Hex digits of a number of 56 bits; those that are left out at the end are zeros. */
static bool read_digits(struct slice digits, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (digits.length == 0 || digits.length > SAMPLING_THRESHOLD_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < SAMPLING_THRESHOLD_DIGITS; i++) {
        uint8_t c = i < digits.length ? digits.ptr[i] : '0';

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_value = value;
    return true;
}

bool tracestate_member(struct slice tracestate, struct slice key, struct slice *ret_value)
{
    struct slice member;

    while (tracestate_next(&tracestate, ',', &member)) {
        if (member.length > key.length && member.ptr[key.length] == '=' && slice_has_prefix(member, key)) {
            *ret_value = slice_sub(member, key.length + 1, member.length);
            return true; /* a key may stand once only */
        }
    }
    return false;
}

/* What follows `name` ("th:") in the member that is OpenTelemetry's. */
static bool find_sub_key(struct slice tracestate, struct slice name, struct slice *ret_value)
{
    struct slice list;
    struct slice pair;

    if (tracestate.length == 0 || !tracestate_member(tracestate, SLICE_LITERAL("ot"), &list)) {
        return false;
    }
    while (tracestate_next(&list, ';', &pair)) {
        if (slice_has_prefix(pair, name)) {
            *ret_value = slice_sub(pair, name.length, pair.length);
            return true;
        }
    }
    return false;
}

bool sampling_threshold_of(struct slice tracestate, uint64_t *ret_threshold)
{
    struct slice digits;

    return find_sub_key(tracestate, SLICE_LITERAL("th:"), &digits) && read_digits(digits, ret_threshold);
}

bool sampling_random_of(struct slice tracestate, uint64_t *ret_random)
{
    struct slice digits;

    return find_sub_key(tracestate, SLICE_LITERAL("rv:"), &digits) &&
           digits.length == SAMPLING_THRESHOLD_DIGITS && read_digits(digits, ret_random);
}

uint64_t sampling_weight(uint64_t threshold, uint64_t weight_max, bool *ret_capped)
{
    unsigned __int128 weight;

    *ret_capped = false;
    if (threshold == 0 || threshold >= SAMPLING_THRESHOLD_END) {
        return WEIGHT_ONE;
    }
    weight = ((unsigned __int128)1 << (SAMPLING_THRESHOLD_BITS + WEIGHT_FRACTION_BITS)) /
             (SAMPLING_THRESHOLD_END - threshold);
    if (weight > (unsigned __int128)weight_max << WEIGHT_FRACTION_BITS) {
        *ret_capped = true;
        return weight_max << WEIGHT_FRACTION_BITS;
    }
    return (uint64_t)weight;
}
