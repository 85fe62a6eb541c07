/* Streaming gzip and zstd; runs on the thread that owns the compressor. */
#include "core/compress.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "core/error.h"

enum { ROOM_BYTES = 16384, GZIP_WINDOW_BITS = 15 + 16, GZIP_MEMORY_LEVEL = 8 };

struct compressor {
    enum compression compression;
    z_stream gzip;
    ZSTD_CCtx *zstd;
};

struct compressor *compressor_new(enum compression compression)
{
    struct compressor *compressor = calloc(1, sizeof *compressor);

    if (compressor == NULL) {
        return NULL;
    }
    compressor->compression = compression;
    if (compression == COMPRESSION_GZIP) {
        if (deflateInit2(&compressor->gzip, COMPRESS_GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS,
                GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
            free(compressor);
            return NULL;
        }
    } else if (compression == COMPRESSION_ZSTD) {
        compressor->zstd = ZSTD_createCCtx();
        if (compressor->zstd == NULL) {
            free(compressor);
            return NULL;
        }
        (void)ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_compressionLevel, COMPRESS_ZSTD_LEVEL);
    }
    return compressor;
}

void compressor_free(struct compressor *compressor)
{
    if (compressor == NULL) {
        return;
    }
    if (compressor->compression == COMPRESSION_GZIP) {
        (void)deflateEnd(&compressor->gzip);
    }
    ZSTD_freeCCtx(compressor->zstd);
    free(compressor);
}

void compressor_reset(struct compressor *compressor)
{
    if (compressor->compression == COMPRESSION_GZIP) {
        (void)deflateReset(&compressor->gzip);
    } else if (compressor->compression == COMPRESSION_ZSTD) {
        (void)ZSTD_CCtx_reset(compressor->zstd, ZSTD_reset_session_only);
    }
}

/* zlib counts input in 32 bits; a larger run goes in pieces. */
static int write_gzip(struct compressor *compressor, struct slice input, struct buffer *out, int flush)
{
    z_stream *stream = &compressor->gzip;
    int result;

    do {
        uInt piece = input.length > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)input.length;
        bool last = piece == input.length;
        stream->next_in = (Bytef *)(uintptr_t)input.ptr;
        stream->avail_in = piece;
        do {
            uint8_t *room = buffer_reserve(out, ROOM_BYTES);
            if (room == NULL) {
                return out->error;
            }
            stream->next_out = room;
            stream->avail_out = ROOM_BYTES;
            result = deflate(stream, last ? flush : Z_NO_FLUSH);
            if (result == Z_STREAM_ERROR) {
                return WERR_COMPRESSION;
            }
            out->length += ROOM_BYTES - stream->avail_out;
        } while (stream->avail_out == 0);
        input = slice_sub(input, piece, input.length);
    } while (input.length > 0);
    return 0;
}

static int write_zstd(
    struct compressor *compressor, struct slice input, struct buffer *out, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {.src = input.ptr, .size = input.length};
    size_t left;

    do {
        uint8_t *room = buffer_reserve(out, ROOM_BYTES);
        if (room == NULL) {
            return out->error;
        }
        ZSTD_outBuffer to = {.dst = room, .size = ROOM_BYTES};
        left = ZSTD_compressStream2(compressor->zstd, &to, &in, end);
        if (ZSTD_isError(left)) {
            return WERR_COMPRESSION;
        }
        out->length += to.pos;
    } while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return 0;
}

int compressor_write(struct compressor *compressor, struct slice input, struct buffer *out)
{
    if (input.length == 0) {
        return out->error;
    }
    switch (compressor->compression) {
    case COMPRESSION_GZIP:
        return write_gzip(compressor, input, out, Z_NO_FLUSH);
    case COMPRESSION_ZSTD:
        return write_zstd(compressor, input, out, ZSTD_e_continue);
    case COMPRESSION_NONE:
    default:
        return buffer_append_slice(out, input);
    }
}

int compressor_finish(struct compressor *compressor, struct buffer *out)
{
    switch (compressor->compression) {
    case COMPRESSION_GZIP:
        return write_gzip(compressor, slice_of(NULL, 0), out, Z_FINISH);
    case COMPRESSION_ZSTD:
        return write_zstd(compressor, slice_of(NULL, 0), out, ZSTD_e_end);
    case COMPRESSION_NONE:
    default:
        return out->error;
    }
}

const char *compression_name(enum compression compression)
{
    static const char *const names[] = {
        [COMPRESSION_NONE] = "identity", [COMPRESSION_GZIP] = "gzip", [COMPRESSION_ZSTD] = "zstd"};

    return names[compression];
}
