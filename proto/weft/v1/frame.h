/*
 * The native stream's framing, as proto/README.md specifies it: the magic, the six-byte header, the frame
 * types. Shared by the agent (agent/listen) and the client library; depends on nothing.
 */
#ifndef WEFT_V1_FRAME_H
#define WEFT_V1_FRAME_H

#include <stdint.h>

/* A byte above 0x7f first, CR LF last: neither HTTP/1 nor the HTTP/2 preface, and damaged by any text
 * conversion. */
#define NATIVE_MAGIC "\x89WEFT1\r\n"

enum {
    NATIVE_MAGIC_BYTES = 8,
    NATIVE_HEADER_BYTES = 6,
    NATIVE_VERSION = 1,
    NATIVE_INSTANCE_BYTES = 16,
    NATIVE_FLAG_ZSTD = 1,
    NATIVE_WINDOW_LOG_MAX = 23, /* of a zstd frame: 8 MiB */
};

enum native_type {
    NATIVE_TYPE_HELLO = 1,
    NATIVE_TYPE_DICTIONARY = 2,
    NATIVE_TYPE_SPANS = 3,
    NATIVE_TYPE_METRICS = 4,
    NATIVE_TYPE_LOGS = 5,
    NATIVE_TYPE_CLIENT_STATS = 6,
    NATIVE_TYPE_ACK = 128, /* from here on: agent to client */
    NATIVE_TYPE_ERROR = 129,
};

struct native_header {
    uint32_t payload_bytes; /* as on the wire, so after compression */
    uint8_t type;           /* enum native_type */
    uint8_t flags;
};

static inline void native_header_write(uint8_t *to, struct native_header header)
{
    to[0] = (uint8_t)(header.payload_bytes & 0xff);
    to[1] = (uint8_t)(header.payload_bytes >> 8 & 0xff);
    to[2] = (uint8_t)(header.payload_bytes >> 16 & 0xff);
    to[3] = (uint8_t)(header.payload_bytes >> 24);
    to[4] = header.type;
    to[5] = header.flags;
}

static inline struct native_header native_header_read(const uint8_t *from)
{
    return (struct native_header){
        .payload_bytes =
            (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24,
        .type = from[4],
        .flags = from[5],
    };
}

#endif
