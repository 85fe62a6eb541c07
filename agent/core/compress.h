/*
 * Streaming compression into a buffer: gzip (RFC 1952) or zstd (RFC 8878). A compressor is made once and used
 * for one body after another, so that a steady state allocates nothing. Not for two threads at once.
 */
#ifndef WEFT_CORE_COMPRESS_H
#define WEFT_CORE_COMPRESS_H

#include "core/buffer.h"
#include "core/slice.h"

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

enum { COMPRESS_GZIP_LEVEL = 1, COMPRESS_ZSTD_LEVEL = 1 };

struct compressor;

/* NULL when out of memory. COMPRESSION_NONE copies. */
struct compressor *compressor_new(enum compression compression);
void compressor_free(struct compressor *compressor);

/* Begins a new body. */
void compressor_reset(struct compressor *compressor);

/* Appends what is ready. 0, or the buffer's error (WERR_NOMEM, WERR_OVERSIZED), or WERR_COMPRESSION. */
int compressor_write(struct compressor *compressor, struct slice input, struct buffer *out);

/* Appends the rest; after it only a reset makes sense. Errors as compressor_write. */
int compressor_finish(struct compressor *compressor, struct buffer *out);

/* The HTTP token: "gzip", "zstd", or "identity". */
const char *compression_name(enum compression compression);

#endif
