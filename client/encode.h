/* Frames of the native stream (proto/README.md) from the client's tables; no I/O. The sender's thread. */
#ifndef WEFT_CLIENT_ENCODE_H
#define WEFT_CLIENT_ENCODE_H

#include <stddef.h>
#include <stdint.h>
#include <zstd.h>

#include "client/metrics.h"
#include "client/strings.h"
#include "core/buffer.h"
#include "proto/weft/v1/frame.h"
#include "weft/v1/stream.pb-c.h"

enum { ENCODE_DICTIONARY_BYTES = 65536, ENCODE_SERIES_COUNT_MAX = 64 };

/* Appends the frame of any message, uncompressed. The buffer's sticky error tells of failure. */
void encode_message(struct buffer *out, enum native_type type, const ProtobufCMessage *message);

/* Dictionary frame(s') next part: strings after `from`, up to about ENCODE_DICTIONARY_BYTES. Returns the last
 * id in it. */
uint32_t encode_dictionary(struct buffer *out, const struct strings *strings, uint32_t from);

/* A MetricBatch of sequence 0 that declares the series after `from`, at most ENCODE_SERIES_COUNT_MAX. Returns
 * the last id. */
uint32_t encode_series(struct buffer *out, const struct metrics *metrics, uint32_t from);

/*
 * A frame of its own memory, compressed when zstd is not NULL and it helps. NULL when out of memory. The
 * caller frees it.
 */
uint8_t *encode_frame(
    enum native_type type, const ProtobufCMessage *message, ZSTD_CCtx *zstd, int level, size_t *ret_bytes);

#endif
