/*
 * Frames of the native stream, made before the clock starts: magic, Hello and Dictionary as one greeting,
 * then span batches that are sent again and again under new sequence numbers. proto/README.md has the format.
 * One thread.
 */
#ifndef WEFT_BENCH_NATIVE_FRAMES_H
#define WEFT_BENCH_NATIVE_FRAMES_H

#include <stdint.h>

#include "corpus.h"
#include "proto/weft/v1/frame.h"
#include "weft/v1/stream.pb-c.h"

/* The sequence numbers of one run all take five bytes as a varint, so that a frame keeps its length. */
#define NATIVE_FIRST_SEQUENCE (UINT64_C(1) << 28)

struct native_frames {
    struct buffer greeting;
    struct buffer bytes;
    struct slice *frames; /* into bytes */
    size_t frame_count;
};

/* Batches of the corpus' requests, spans_per_batch each. WERR_NOMEM, WERR_INVALID. */
int native_frames_of_corpus(
    const struct corpus *corpus, uint32_t spans_per_batch, struct native_frames *ret_frames);

/*
 * label_sets different sets (destination, route, outcome), 100 routes a destination and five outcomes a
 * route, a request in each of `octaves` octaves of latency. Their product is a multiple of spans_per_batch,
 * or the rest is left out.
 */
int native_frames_of_label_sets(
    uint32_t label_sets, uint32_t octaves, uint32_t spans_per_batch, struct native_frames *ret_frames);

/* Writes the sequence number into a frame. */
void native_frames_stamp(struct native_frames *frames, size_t index, uint64_t sequence);

void native_frames_deinit(struct native_frames *frames);

#endif
