/* The bytes of rpc_status.h. No state, any thread. */
#include "listen/rpc_status.h"

#include <stdio.h>
#include <string.h>

struct writer {
    uint8_t data[RPC_STATUS_BYTES_MAX];
    size_t filled;
};

static void put_varint(struct writer *writer, uint64_t value)
{
    do {
        uint8_t more = value > 127 ? 0x80 : 0;
        writer->data[writer->filled++] = (uint8_t)((value & 127) | more);
        value >>= 7;
    } while (value > 0);
}

static void put_bytes(struct writer *writer, unsigned field, const void *bytes, size_t length)
{
    put_varint(writer, (uint64_t)field << 3 | 2);
    put_varint(writer, length);
    memcpy(writer->data + writer->filled, bytes, length);
    writer->filled += length;
}

static void put_number(struct writer *writer, unsigned field, uint64_t value)
{
    put_varint(writer, (uint64_t)field << 3);
    put_varint(writer, value);
}

/* Any {type_url = 1, value = 2: RetryInfo {retry_delay = 1: Duration {seconds = 1, nanos = 2}}} */
static void write_retry_info(struct writer *any, uint32_t retry_after_ms)
{
    static const char type_url[] = "type.googleapis.com/google.rpc.RetryInfo";
    struct writer duration = {.filled = 0};
    struct writer info = {.filled = 0};

    put_number(&duration, 1, retry_after_ms / 1000);
    put_number(&duration, 2, (uint64_t)(retry_after_ms % 1000) * 1000000u);
    put_bytes(&info, 1, duration.data, duration.filled);
    put_bytes(any, 1, type_url, sizeof type_url - 1);
    put_bytes(any, 2, info.data, info.filled);
}

size_t rpc_status_write(
    uint8_t out[static RPC_STATUS_BYTES_MAX], enum grpc_code code, const char *text, uint32_t retry_after_ms)
{
    struct writer status = {.filled = 0};
    struct writer any = {.filled = 0};

    put_number(&status, 1, (uint64_t)code);
    put_bytes(&status, 2, text, strnlen(text, RPC_STATUS_TEXT_BYTES_MAX));
    if (retry_after_ms > 0) {
        write_retry_info(&any, retry_after_ms);
        put_bytes(&status, 3, any.data, any.filled);
    }
    memcpy(out, status.data, status.filled);
    return status.filled;
}

size_t rpc_status_write_json(uint8_t out[static RPC_STATUS_BYTES_MAX], enum grpc_code code, const char *text)
{
    struct writer status = {.filled = 0};
    size_t length = strnlen(text, RPC_STATUS_TEXT_BYTES_MAX);

    status.filled =
        (size_t)snprintf((char *)status.data, sizeof status.data, "{\"code\":%d,\"message\":\"", (int)code);
    for (size_t i = 0; i < length; i++) {
        char byte = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
        if (byte == '"' || byte == '\\') {
            status.data[status.filled++] = '\\';
        }
        status.data[status.filled++] = (uint8_t)byte;
    }
    memcpy(status.data + status.filled, "\"}", 2);
    status.filled += 2;
    memcpy(out, status.data, status.filled);
    return status.filled;
}
