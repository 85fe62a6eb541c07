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

/* The next piece before `separator`, taken off the front of *rest. False at the end. */
static bool next_piece(struct slice *rest, uint8_t separator, struct slice *ret_piece)
{
    size_t at = slice_find(*rest, separator);

    if (rest->length == 0) {
        return false;
    }
    *ret_piece = trimmed(slice_sub(*rest, 0, at));
    *rest = slice_sub(*rest, at + 1, rest->length);
    return true;
}

static bool read_threshold(struct slice digits, uint64_t *ret_threshold)
{
    uint64_t threshold = 0;

    if (digits.length == 0 || digits.length > SAMPLING_THRESHOLD_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < SAMPLING_THRESHOLD_DIGITS; i++) {
        uint8_t c = i < digits.length ? digits.ptr[i] : '0';

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        threshold = threshold << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_threshold = threshold;
    return true;
}

bool sampling_threshold_of(struct slice tracestate, uint64_t *ret_threshold)
{
    struct slice member;
    struct slice pair;

    while (next_piece(&tracestate, ',', &member)) {
        if (!slice_has_prefix(member, SLICE_LITERAL("ot="))) {
            continue;
        }
        member = slice_sub(member, 3, member.length);
        while (next_piece(&member, ';', &pair)) {
            if (slice_has_prefix(pair, SLICE_LITERAL("th:"))) {
                return read_threshold(slice_sub(pair, 3, pair.length), ret_threshold);
            }
        }
        return false; /* a key may stand once only */
    }
    return false;
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
