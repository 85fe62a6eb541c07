/* Consistent probability sampling; see baseline.h. */
#include "trace/baseline.h"

#include <endian.h>
#include <string.h>

enum { RANDOM_OFFSET = 9, /* to the end of a trace id */ DIGIT_BITS = 4, PRECISION_DIGITS_MAX = 12 };

/*
 * The specification's probability_to_threshold_with_precision in integers: precision counts from the first
 * digit that is not f, and rounding is to the nearest.
 */
uint64_t baseline_threshold(uint64_t probability_parts)
{
    if (probability_parts >= BASELINE_PARTS_ONE) {
        return 0;
    }
    uint64_t kept = (uint64_t)((((unsigned __int128)probability_parts << SAMPLING_THRESHOLD_BITS) +
                                   BASELINE_PARTS_ONE / 2) /
                               BASELINE_PARTS_ONE);

    if (kept == 0) {
        return SAMPLING_THRESHOLD_END;
    }
    unsigned leading_zeros = (unsigned)__builtin_clzll(kept) - (64 - SAMPLING_THRESHOLD_BITS);
    unsigned digits = BASELINE_PRECISION_DIGITS + leading_zeros / DIGIT_BITS;
    unsigned shift = DIGIT_BITS * (SAMPLING_THRESHOLD_DIGITS -
                                      (digits < PRECISION_DIGITS_MAX ? digits : PRECISION_DIGITS_MAX));
    uint64_t threshold = SAMPLING_THRESHOLD_END - kept + (1ull << (shift - 1));

    return threshold >> shift << shift;
}

uint64_t baseline_random(const uint8_t trace_id[16], struct slice tracestate)
{
    uint64_t value = 0;

    if (tracestate.length > 0 && sampling_random_of(tracestate, &value)) {
        return value;
    }
    memcpy(&value, trace_id + RANDOM_OFFSET - 1, sizeof value);
    return be64toh(value) & (SAMPLING_THRESHOLD_END - 1);
}

/* Text that is put together in a fixed room. */
struct text {
    char *ptr;
    size_t length;
    size_t room;
    bool is_cut;
};

static void put(struct text *text, struct slice piece)
{
    if (piece.length > text->room - text->length) {
        text->is_cut = true;
        return;
    }
    if (piece.length > 0) {
        memcpy(text->ptr + text->length, piece.ptr, piece.length);
    }
    text->length += piece.length;
}

static void put_threshold(struct text *text, uint64_t threshold)
{
    static const char hex[] = "0123456789abcdef";
    char digits[SAMPLING_THRESHOLD_DIGITS];
    size_t length = 1; /* "0" */

    for (size_t i = 0; i < SAMPLING_THRESHOLD_DIGITS; i++) {
        digits[i] = hex[threshold >> (SAMPLING_THRESHOLD_BITS - DIGIT_BITS * (i + 1)) & 0xf];
        if (digits[i] != '0') {
            length = i + 1;
        }
    }
    put(text, SLICE_LITERAL("th:"));
    put(text, slice_of(digits, length));
}

/* The sub-keys of `ot` but th, after ours when there is one. */
static void put_ot(struct text *text, struct slice list, const uint64_t *threshold)
{
    bool is_first = threshold == NULL;

    if (threshold != NULL) {
        put_threshold(text, *threshold);
    }
    struct slice pair;

    while (tracestate_next(&list, ';', &pair)) {
        if (pair.length == 0 || slice_has_prefix(pair, SLICE_LITERAL("th:"))) {
            continue;
        }
        if (!is_first) {
            put(text, SLICE_LITERAL(";"));
        }
        is_first = false;
        put(text, pair);
    }
}

/* threshold: NULL for none. The length, or -1. */
static int rewrite(struct slice tracestate, const uint64_t *threshold, char *out)
{
    struct text text = {.ptr = out, .room = BASELINE_TRACESTATE_BYTES_MAX};
    struct slice list = slice_of(NULL, 0);

    (void)tracestate_member(tracestate, SLICE_LITERAL("ot"), &list);
    put(&text, SLICE_LITERAL("ot="));
    put_ot(&text, list, threshold);
    if (text.is_cut || text.length - 3 > BASELINE_MEMBER_BYTES_MAX) {
        return -1;
    }
    if (text.length == 3) {
        text.length = 0; /* nothing is left of it */
    }
    struct slice member;

    while (tracestate_next(&tracestate, ',', &member)) {
        if (member.length == 0 || slice_has_prefix(member, SLICE_LITERAL("ot="))) {
            continue;
        }
        if (text.length > 0) {
            put(&text, SLICE_LITERAL(","));
        }
        put(&text, member);
    }
    return text.is_cut ? -1 : (int)text.length;
}

uint64_t baseline_outgoing(uint64_t threshold, const uint8_t trace_id[16], uint64_t own)
{
    uint64_t random = baseline_random(trace_id, slice_of(NULL, 0));

    if (threshold >= SAMPLING_THRESHOLD_END || random < threshold) {
        return 0;
    }
    return own > threshold && own <= random ? own : threshold;
}

int baseline_tracestate(uint64_t threshold, const uint8_t trace_id[16], struct slice tracestate,
    char out[BASELINE_TRACESTATE_BYTES_MAX])
{
    uint64_t random = baseline_random(trace_id, tracestate);
    uint64_t own = 0;
    bool has_own = tracestate.length > 0 && sampling_threshold_of(tracestate, &own);
    bool is_kept = threshold < SAMPLING_THRESHOLD_END && random >= threshold;

    if (is_kept && (!has_own || own < threshold || own > random)) {
        return rewrite(tracestate, &threshold, out);
    }
    return !is_kept && has_own ? rewrite(tracestate, NULL, out) : -1;
}
