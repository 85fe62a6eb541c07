/*
 * Streaming decompression with an absolute cap on the output: gzip (RFC 1952), zlib (RFC 1950, HTTP's
 * "deflate") and zstd (RFC 8878, windows of at most 8 MiB). One inflater serves one payload at a time and is
 * reused: in a steady state it allocates nothing.
 *
 *   inflater_start ─► inflater_step (input shrinks, output fills) … ─► inflater_finish
 *
 * Threads: an inflater belongs to one.
 */
#ifndef WEFT_CORE_INFLATE_H
#define WEFT_CORE_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>

#include "core/budget.h"
#include "core/buffer.h"
#include "core/slice.h"

enum { INFLATE_ZSTD_WINDOW_LOG_MAX = 23 };

enum inflate_format { INFLATE_GZIP, INFLATE_ZLIB, INFLATE_ZSTD };

struct inflater {
    z_stream zlib;
    ZSTD_DCtx *zstd;
    bool zlib_made;
    enum inflate_format format;
    bool at_end;           /* the input so far ends where a member or frame ends */
    uint64_t output_bytes; /* so far */
    uint64_t output_bytes_max;
};

/* Allocates nothing; contexts are made by the first start of their format. */
void inflater_init(struct inflater *inflater);

/* NULL and a zeroed inflater are fine. */
void inflater_deinit(struct inflater *inflater);

/* Begins a payload, whatever became of the one before. 0 or WERR_NOMEM. */
int inflater_start(struct inflater *inflater, enum inflate_format format, uint64_t output_bytes_max);

/*
 * Takes from the front of *input and writes at most `capacity` (above 0) bytes to `out`. Returns the bytes
 * written; fewer than `capacity` means that it needs more input. Or WERR_COMPRESSION: damaged, or a zstd
 * window over the limit; WERR_OVERSIZED: the output would pass output_bytes_max; WERR_NOMEM. After an error
 * only start and deinit are of use.
 */
long inflater_step(struct inflater *inflater, struct slice *input, uint8_t *out, size_t capacity);

/* After the last input: 0, or WERR_COMPRESSION when the payload is cut short or empty. */
int inflater_finish(const struct inflater *inflater);

/*
 * A whole payload, appended to `out`, whose cap is the output's. Every byte is reserved from `budget` before
 * it is written; what was appended stays there and stays reserved, also after an error, until the caller
 * frees it and gives it back. 0, or an error as above; WERR_NOMEM also when the budget has no room.
 */
int inflate_all(struct inflater *inflater, enum inflate_format format, struct slice input,
    struct budget *budget, struct buffer *out);

#endif
