/*
 * Arithmetic on exponential buckets (OpenTelemetry indexes: bucket i holds (2^(i/2^scale),
 * 2^((i+1)/2^scale)]): exact difference and downscale. Pure; memory comes from the caller's arena.
 */
#ifndef WEFT_EXPORTERS_OTLP_BUCKETS_H
#define WEFT_EXPORTERS_OTLP_BUCKETS_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"

struct buckets {
    int32_t scale;
    int32_t offset;
    size_t count;
    uint64_t *counts; /* the arena's */
};

/* A copy that may be changed. 0 or WERR_NOMEM. */
int buckets_copy(struct arena *arena, int32_t scale, int32_t offset, const uint64_t *counts, size_t count,
    struct buckets *ret_buckets);

/* Merges in place until scale <= scale_max and at most count_max buckets are left (0: any number): new index
 * = old >> k. */
void buckets_downscale(struct buckets *buckets, int32_t scale_max, size_t count_max);

/* Takes `less` off, bucket by bucket, at the coarser of both scales; below zero is cut at zero. Changes both.
 */
void buckets_subtract(struct buckets *buckets, struct buckets *less);

/* Leaves out empty buckets at both ends. */
void buckets_trim(struct buckets *buckets);

#endif
