/*
 * A block of the ring that was closed long enough ago, made smaller: what a search reads stays as it was, the
 * rest is compressed (zstd) in frames of its own, so that an entry is read by thawing little.
 *
 *   [ head | entry n-1 … entry 0 | names of services and routes | frame 0 | frame 1 … ]
 *
 *   frame i   FROZEN_FRAME_BYTES of the block from i times as many on, up to the front
 *   names     their texts, found by their places in the block without thawing
 *
 * A freezer makes it, a frame at a time, so that nobody is held for long; a thaw reads it, into buffers that
 * look like the block as it was. Nothing that lies in a frozen block is believed. Memory of both is given but
 * for zstd's own contexts, of a fixed size. Runs on the ring's thread.
 */
#ifndef WEFT_TRACE_FROZEN_H
#define WEFT_TRACE_FROZEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/metrics.h"
#include "core/slice.h"
#include "trace/block.h"

enum {
    FROZEN_FRAME_BYTES = 1 << 16,
    FROZEN_FRAMES_MAX = BLOCK_BYTES_MAX / FROZEN_FRAME_BYTES,
    FROZEN_ALIGN_BYTES = 64,
    FROZEN_LEVEL = -1,        /* zstd's: 1 takes a fifth longer and saves a fiftieth more */
    FROZEN_GAIN_FRACTION = 8, /* of a block: what saves less stays as it is */
    THAW_BUFFERS_COUNT = 2,
};

struct frozen_head {
    struct block_header header; /* the block's */
    uint32_t bytes;             /* of the whole, the head included */
    uint32_t names_count;
    uint32_t frames_at;
    uint32_t reserved;
    uint32_t frame_ends[FROZEN_FRAMES_MAX]; /* where each frame ends; frame 0 begins at frames_at */
};

_Static_assert(sizeof(struct frozen_head) % BLOCK_PLACE_BYTES == 0, "entries follow it");

/* ---- reading ---- */

struct thaw_buffer {
    uint8_t *bytes;
    uint64_t sequence; /* of the block that is in it; 0: none */
    uint32_t thawed;   /* bits: which frames are */
};

struct thaw {
    void *zstd;
    struct thaw_buffer buffers[THAW_BUFFERS_COUNT];
    uint32_t latest;            /* the buffer that was read last */
    struct metric_cells *cells; /* METRIC_TRACE_BLOCKS_DAMAGED */
};

/* `room` is borrowed: THAW_BUFFERS_COUNT times block_bytes, 16-byte aligned. 0 or WERR_NOMEM. */
int thaw_init(struct thaw *thaw, uint8_t *room, uint32_t block_bytes, struct metric_cells *cells);
void thaw_deinit(struct thaw *thaw);

/*
 * Any bytes at all, with the sequence that they are known by (1 or more); false when they are no frozen block
 * of one of block_bytes. The view borrows both.
 */
bool frozen_open(const uint8_t *frozen, size_t length, uint32_t block_bytes, uint64_t sequence,
    struct thaw *thaw, struct block_view *ret_view);

/* What lies there in the block as it was, NULL when it cannot be thawed, which is counted. at + length are at
 * most view->front. Good until two other frozen blocks were read. */
const uint8_t *thaw_bytes(const struct block_view *view, uint32_t at, uint32_t length);

/* A service's or a route's name; false for another place. */
bool frozen_name(const struct block_view *view, uint16_t place, struct slice *ret_name);

/* ---- writing ---- */

enum freezing {
    FREEZING_GOES_ON,
    FREEZING_DONE,    /* freezer->staging holds the frozen block, freezer->length bytes */
    FREEZING_NO_GAIN, /* it would save too little */
    FREEZING_FAILED,  /* zstd found no memory */
};

struct freezer {
    void *zstd;
    uint8_t *staging; /* block_bytes, borrowed */
    uint32_t block_bytes;
    uint32_t length; /* of what is in it */
    const uint8_t *block;
    uint32_t frame;                                           /* the next one */
    uint64_t names[BLOCK_BYTES_MAX / BLOCK_PLACE_BYTES / 64]; /* bits: places of services and routes */
};

/* `staging` is borrowed: block_bytes, 16-byte aligned. 0 or WERR_NOMEM. */
int freezer_init(struct freezer *freezer, uint8_t *staging, uint32_t block_bytes);
void freezer_deinit(struct freezer *freezer);

/* A closed block, which stays as it is, but for marks in its entries, until freezing is over. */
void freezer_begin(struct freezer *freezer, const uint8_t *block);

/* Compresses one frame, or writes what stands before the frames. */
enum freezing freezer_step(struct freezer *freezer);

#endif
