/*
 * What the gRPC server says: HEADERS + message + trailers for success, trailers only for errors, RetryInfo in
 * grpc-status-details-bin, plain HTTP statuses for what is not gRPC. Runs on the shard's thread.
 *
 * Format: "gRPC over HTTP2" (Responses, Status-Message, Custom-Metadata).
 */
#include "listen/grpc_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum {
    HEADER_COUNT_MAX = 6,
    ESCAPED_BYTES_MAX = GRPC_TEXT_BYTES_MAX * 3,
    DETAILS_TEXT_BYTES_MAX = RPC_STATUS_BYTES_MAX * 4 / 3 + 4,
};

static const struct h2_header ok_headers[] = {
    H2_LITERAL(":status", "200"),
    H2_LITERAL("content-type", "application/grpc"),
    H2_LITERAL("grpc-accept-encoding", "identity,gzip,zstd"),
};
static const struct h2_header ok_trailers[] = {H2_LITERAL("grpc-status", "0")};
static const uint8_t empty_message[GRPC_PREFIX_BYTES];

static void put_length(uint8_t *prefix, size_t bytes)
{
    prefix[0] = 0;
    prefix[1] = (uint8_t)(bytes >> 24);
    prefix[2] = (uint8_t)(bytes >> 16);
    prefix[3] = (uint8_t)(bytes >> 8);
    prefix[4] = (uint8_t)bytes;
}

void grpc_answer_ok(struct grpc_stream *stream, const struct grpc_answer *answer)
{
    struct slice body = slice_of(empty_message, sizeof empty_message);

    stream->state = GRPC_SKIPPING;
    if (answer->reply_bytes > 0 && answer->reply_bytes <= GRPC_REPLY_BYTES_MAX) {
        stream->reply = malloc(GRPC_PREFIX_BYTES + answer->reply_bytes);
        if (stream->reply == NULL) {
            h2_stream_reset(&stream->connection->h2, stream->h2, NGHTTP2_INTERNAL_ERROR);
            return;
        }
        put_length(stream->reply, answer->reply_bytes);
        memcpy(stream->reply + GRPC_PREFIX_BYTES, answer->reply, answer->reply_bytes);
        body = slice_of(stream->reply, GRPC_PREFIX_BYTES + answer->reply_bytes);
    }
    int error = h2_submit_response(&stream->connection->h2, stream->h2, ok_headers,
        sizeof ok_headers / sizeof *ok_headers, &body, 1, ok_trailers, 1);
    if (error < 0) {
        h2_stream_reset(&stream->connection->h2, stream->h2, NGHTTP2_INTERNAL_ERROR);
    }
}

/* grpc-message: bytes outside printable ASCII, and '%', as %XX. Returns the length. */
static size_t escape_text(const char *text, char out[ESCAPED_BYTES_MAX])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t filled = 0;

    for (const char *at = text; *at != '\0' && filled + 3 <= ESCAPED_BYTES_MAX; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
            out[filled++] = (char)byte;
            continue;
        }
        out[filled++] = '%';
        out[filled++] = digits[byte >> 4];
        out[filled++] = digits[byte & 15];
    }
    return filled;
}

/* Base64 without padding, as -bin metadata is sent. Returns the length. */
static size_t encode_base64(struct slice bytes, char out[DETAILS_TEXT_BYTES_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t filled = 0;

    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = bytes.length - i;
        uint32_t group = (uint32_t)bytes.ptr[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.ptr[i + 2] : 0;
        size_t digit_count = left > 2 ? 4 : left + 1;
        for (size_t digit = 0; digit < digit_count; digit++) {
            out[filled++] = digits[group >> (18 - 6 * digit) & 63];
        }
    }
    return filled;
}

void grpc_answer_error(
    struct grpc_stream *stream, enum grpc_code code, const char *text, uint32_t retry_after_ms)
{
    char number[12];
    char escaped[ESCAPED_BYTES_MAX];
    char details[DETAILS_TEXT_BYTES_MAX];
    struct h2_header headers[HEADER_COUNT_MAX];
    size_t count = sizeof ok_headers / sizeof *ok_headers;

    memcpy(headers, ok_headers, sizeof ok_headers);
    int digits = snprintf(number, sizeof number, "%d", (int)code);
    headers[count++] = (struct h2_header){
        .name = SLICE_LITERAL("grpc-status"), .value = slice_of(number, digits > 0 ? (size_t)digits : 0)};
    if (text[0] != '\0') {
        headers[count++] = (struct h2_header){
            .name = SLICE_LITERAL("grpc-message"), .value = slice_of(escaped, escape_text(text, escaped))};
    }
    if (retry_after_ms > 0) {
        uint8_t status[RPC_STATUS_BYTES_MAX];
        size_t length = rpc_status_write(status, code, text, retry_after_ms);
        headers[count++] = (struct h2_header){.name = SLICE_LITERAL("grpc-status-details-bin"),
            .value = slice_of(details, encode_base64(slice_of(status, length), details))};
    }
    grpc_answer_http(stream, headers, count);
}

void grpc_answer_http(struct grpc_stream *stream, const struct h2_header *headers, size_t header_count)
{
    struct h2_session *h2 = &stream->connection->h2;

    stream->state = GRPC_SKIPPING;
    if (h2_submit_response(h2, stream->h2, headers, header_count, NULL, 0, NULL, 0) < 0) {
        h2_stream_reset(h2, stream->h2, NGHTTP2_INTERNAL_ERROR);
    }
}
