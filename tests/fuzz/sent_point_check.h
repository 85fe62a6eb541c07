/* What must hold for every data point that a decoder of metrics hands over; reads all of it. */
#ifndef WEFT_TESTS_FUZZ_SENT_POINT_CHECK_H
#define WEFT_TESTS_FUZZ_SENT_POINT_CHECK_H

#include <math.h>

#include "decode/sent_point.h"
#include "fuzz.h"

/* A sum over every byte, for the sanitizers to see it read. */
static inline uint64_t sent_text_sum(struct slice text)
{
    uint64_t sum = text.length;

    for (size_t i = 0; i < text.length; i++) {
        sum += text.ptr[i];
    }
    return sum;
}

static inline uint64_t sent_point_check(const struct sent_point *point)
{
    uint64_t sum = sent_text_sum(point->name) + sent_text_sum(point->unit) + sent_text_sum(point->help);

    FUZZ_CHECK(point->name.length > 0);
    FUZZ_CHECK(point->label_count <= SENT_LABEL_COUNT_MAX);
    for (size_t i = 0; i < point->label_count; i++) {
        sum += sent_text_sum(point->labels[i].name) + sent_text_sum(point->labels[i].value);
    }
    switch (point->type) {
    case SENT_COUNTER:
        FUZZ_CHECK(isfinite(point->value) && point->value >= 0);
        break;
    case SENT_EXPLICIT:
        FUZZ_CHECK(isfinite(point->value) && point->bound_count <= SENT_BOUND_COUNT_MAX);
        FUZZ_CHECK(point->bucket_count == point->bound_count + 1);
        for (size_t i = 0; i < point->bound_count; i++) {
            FUZZ_CHECK(isfinite(point->bounds[i]));
            FUZZ_CHECK(i == 0 || point->bounds[i] > point->bounds[i - 1]);
        }
        break;
    case SENT_EXPONENTIAL:
        FUZZ_CHECK(isfinite(point->value) && point->bucket_count <= SENT_BUCKET_COUNT_MAX);
        FUZZ_CHECK(point->scale >= -10 && point->scale <= 20);
        break;
    case SENT_SUMMARY:
        FUZZ_CHECK(isfinite(point->value) && point->quantile_count <= SENT_QUANTILE_COUNT_MAX);
        for (size_t i = 0; i < point->quantile_count; i++) {
            FUZZ_CHECK(point->quantiles[i].quantile >= 0 && point->quantiles[i].quantile <= 1);
        }
        break;
    case SENT_GAUGE:
        FUZZ_CHECK(!point->is_delta || isfinite(point->value));
        break;
    }
    if (point->type == SENT_EXPLICIT || point->type == SENT_EXPONENTIAL) {
        for (size_t i = 0; i < point->bucket_count; i++) {
            sum += point->buckets[i];
        }
    }
    return sum;
}

#endif
