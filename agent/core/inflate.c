/* The decompression of inflate.h, on zlib and libzstd. Runs on the thread that owns the inflater. */
#include "core/inflate.h"

#include <limits.h>
#include <string.h>
#include <zstd_errors.h>

#include "core/error.h"

enum {
    WINDOW_BITS_ZLIB = 15,
    WINDOW_BITS_GZIP = 15 + 16, /* zlib's way to say: a gzip header, not a zlib one */
    STEP_BYTES_MAX = 65536,     /* of inflate_all, between two looks at the budget */
};

void inflater_init(struct inflater *inflater)
{
    *inflater = (struct inflater){.at_end = false};
}

void inflater_deinit(struct inflater *inflater)
{
    if (inflater == NULL) {
        return;
    }
    if (inflater->zlib_made) {
        (void)inflateEnd(&inflater->zlib);
        inflater->zlib_made = false;
    }
    (void)ZSTD_freeDCtx(inflater->zstd);
    inflater->zstd = NULL;
}

static int start_zlib(struct inflater *inflater, int window_bits)
{
    if (inflater->zlib_made) {
        return inflateReset2(&inflater->zlib, window_bits) == Z_OK ? 0 : WERR_NOMEM;
    }
    inflater->zlib = (z_stream){.zalloc = NULL};
    if (inflateInit2(&inflater->zlib, window_bits) != Z_OK) {
        return WERR_NOMEM;
    }
    inflater->zlib_made = true;
    return 0;
}

static int start_zstd(struct inflater *inflater)
{
    if (inflater->zstd != NULL) {
        return ZSTD_isError(ZSTD_DCtx_reset(inflater->zstd, ZSTD_reset_session_only)) ? WERR_NOMEM : 0;
    }
    inflater->zstd = ZSTD_createDCtx();
    if (inflater->zstd == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(
                                      inflater->zstd, ZSTD_d_windowLogMax, INFLATE_ZSTD_WINDOW_LOG_MAX))) {
        return WERR_NOMEM;
    }
    return 0;
}

int inflater_start(struct inflater *inflater, enum inflate_format format, uint64_t output_bytes_max)
{
    inflater->format = format;
    inflater->at_end = false;
    inflater->output_bytes = 0;
    inflater->output_bytes_max = output_bytes_max;
    if (format == INFLATE_ZSTD) {
        return start_zstd(inflater);
    }
    return start_zlib(inflater, format == INFLATE_GZIP ? WINDOW_BITS_GZIP : WINDOW_BITS_ZLIB);
}

static uInt clamp_to_uint(size_t bytes)
{
    return bytes > UINT_MAX ? UINT_MAX : (uInt)bytes;
}

/* zlib's input pointer lacks a const unless ZLIB_CONST is set before any header includes zlib.h. */
static Bytef *zlib_input(const uint8_t *ptr)
{
    union {
        const uint8_t *in;
        Bytef *out;
    } pointer = {.in = ptr};
    return pointer.out;
}

/* A gzip payload may be several members one after the other; a zlib one ends where it ends. */
static int begin_next_member(struct inflater *inflater)
{
    if (inflater->format != INFLATE_GZIP || inflateReset(&inflater->zlib) != Z_OK) {
        return WERR_COMPRESSION;
    }
    inflater->at_end = false;
    return 0;
}

static long step_zlib(struct inflater *inflater, struct slice *input, uint8_t *out, size_t capacity)
{
    size_t written = 0;

    while (input->length > 0 || !inflater->at_end) {
        if (inflater->at_end && begin_next_member(inflater) != 0) {
            return WERR_COMPRESSION;
        }
        z_stream *zlib = &inflater->zlib;
        uInt in_bytes = clamp_to_uint(input->length);
        uInt out_bytes = clamp_to_uint(capacity - written);
        zlib->next_in = zlib_input(input->ptr);
        zlib->avail_in = in_bytes;
        zlib->next_out = out + written;
        zlib->avail_out = out_bytes;
        int result = inflate(zlib, Z_NO_FLUSH);
        *input = slice_sub(*input, in_bytes - zlib->avail_in, input->length);
        written += out_bytes - zlib->avail_out;
        if (result == Z_STREAM_END) {
            inflater->at_end = true;
            continue;
        }
        if (result == Z_MEM_ERROR) {
            return WERR_NOMEM;
        }
        if (result == Z_BUF_ERROR || (result == Z_OK && (written == capacity || input->length == 0))) {
            break;
        }
        if (result != Z_OK) {
            return WERR_COMPRESSION;
        }
    }
    return (long)written;
}

static long step_zstd(struct inflater *inflater, struct slice *input, uint8_t *out, size_t capacity)
{
    ZSTD_inBuffer in = {.src = input->ptr, .size = input->length};
    ZSTD_outBuffer sink = {.dst = out, .size = capacity};

    for (;;) {
        size_t in_before = in.pos;
        size_t out_before = sink.pos;
        size_t hint = ZSTD_decompressStream(inflater->zstd, &sink, &in);
        if (ZSTD_isError(hint)) {
            return ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation ? WERR_NOMEM : WERR_COMPRESSION;
        }
        bool progress = in.pos != in_before || sink.pos != out_before;
        if (progress) {
            inflater->at_end = hint == 0;
        }
        if (!progress || sink.pos == sink.size || (in.pos == in.size && inflater->at_end)) {
            break;
        }
    }
    *input = slice_sub(*input, in.pos, input->length);
    return (long)sink.pos;
}

static long step_any(struct inflater *inflater, struct slice *input, uint8_t *out, size_t capacity)
{
    return inflater->format == INFLATE_ZSTD ? step_zstd(inflater, input, out, capacity)
                                            : step_zlib(inflater, input, out, capacity);
}

long inflater_step(struct inflater *inflater, struct slice *input, uint8_t *out, size_t capacity)
{
    uint64_t room = inflater->output_bytes_max - inflater->output_bytes;
    uint8_t probe;

    if (room == 0) {
        /* the cap is met exactly: whatever still comes out is too much, but the end of the payload is not */
        long extra = step_any(inflater, input, &probe, sizeof probe);
        return extra > 0 ? WERR_OVERSIZED : extra;
    }
    long written = step_any(inflater, input, out, room < capacity ? (size_t)room : capacity);
    if (written > 0) {
        inflater->output_bytes += (uint64_t)written;
    }
    if (written < 0 || (size_t)written == capacity || inflater->output_bytes < inflater->output_bytes_max) {
        return written;
    }
    long extra = step_any(inflater, input, &probe, sizeof probe);
    return extra > 0 ? WERR_OVERSIZED : extra < 0 ? extra : written;
}

int inflater_finish(const struct inflater *inflater)
{
    return inflater->at_end ? 0 : WERR_COMPRESSION;
}

/* One step, appended to `out`; the memory for it is reserved first. As inflater_step, or WERR_NOMEM. */
static long append_step(
    struct inflater *inflater, struct slice *input, struct budget *budget, struct buffer *out, size_t room)
{
    if (!budget_reserve(budget, room)) {
        return WERR_NOMEM;
    }
    uint8_t *to = buffer_reserve(out, room);
    long written = to != NULL ? inflater_step(inflater, input, to, room) : out->error;
    size_t appended = written > 0 ? (size_t)written : 0;
    out->length += appended;
    budget_release(budget, room - appended);
    return written;
}

int inflate_all(struct inflater *inflater, enum inflate_format format, struct slice input,
    struct budget *budget, struct buffer *out)
{
    int error = inflater_start(inflater, format, out->cap_bytes - out->length);

    while (error == 0) {
        size_t left = out->cap_bytes - out->length;
        size_t room = left < STEP_BYTES_MAX ? left : STEP_BYTES_MAX;
        uint8_t excess; /* takes what should not come any more */
        long written = room > 0 ? append_step(inflater, &input, budget, out, room)
                                : inflater_step(inflater, &input, &excess, sizeof excess);
        if (written < 0) {
            return (int)written;
        }
        if (room == 0 || (size_t)written < room) {
            return inflater_finish(inflater);
        }
    }
    return error;
}
