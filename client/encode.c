/* See encode.h. */
#include "client/encode.h"

#include <stdlib.h>

void encode_message(struct buffer *out, enum native_type type, const ProtobufCMessage *message)
{
    size_t payload_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *to = buffer_reserve(out, NATIVE_HEADER_BYTES + payload_bytes);

    if (to == NULL) {
        return;
    }
    native_header_write(
        to, (struct native_header){.payload_bytes = (uint32_t)payload_bytes, .type = (uint8_t)type});
    protobuf_c_message_pack(message, to + NATIVE_HEADER_BYTES);
    out->length += NATIVE_HEADER_BYTES + payload_bytes;
}

uint32_t encode_dictionary(struct buffer *out, const struct strings *strings, uint32_t from)
{
    enum { ENTRIES_MAX = 1024 };
    ProtobufCBinaryData entries[ENTRIES_MAX];
    Weft__V1__Dictionary dictionary = WEFT__V1__DICTIONARY__INIT;
    size_t bytes = 0;
    size_t count = 0;

    while (from + count < strings->count && count < ENTRIES_MAX && bytes < ENCODE_DICTIONARY_BYTES) {
        struct slice text = strings->texts[from + count];
        entries[count++] = (ProtobufCBinaryData){.len = text.length, .data = (uint8_t *)(uintptr_t)text.ptr};
        bytes += text.length;
    }
    dictionary.first_id = from + 1;
    dictionary.n_entries = count;
    dictionary.entries = entries;
    encode_message(out, NATIVE_TYPE_DICTIONARY, &dictionary.base);
    return from + (uint32_t)count;
}

uint32_t encode_series(struct buffer *out, const struct metrics *metrics, uint32_t from)
{
    Weft__V1__Series series[ENCODE_SERIES_COUNT_MAX];
    Weft__V1__Series *pointers[ENCODE_SERIES_COUNT_MAX];
    Weft__V1__MetricBatch batch = WEFT__V1__METRIC_BATCH__INIT;
    uint32_t count = 0;

    while (from + count < metrics->count && count < ENCODE_SERIES_COUNT_MAX) {
        struct metric *metric = metrics->all[from + count];
        weft__v1__series__init(&series[count]);
        series[count].id = from + count + 1;
        series[count].type = metric->type;
        series[count].name = metric->name;
        series[count].unit = metric->unit;
        series[count].help = metric->help;
        series[count].n_label_keys = metric->label_count;
        series[count].label_keys = metric->label_keys;
        series[count].n_label_values = metric->label_count;
        series[count].label_values = metric->label_values;
        pointers[count] = &series[count];
        count++;
    }
    batch.n_series = count;
    batch.series = pointers;
    encode_message(out, NATIVE_TYPE_METRICS, &batch.base);
    return from + count;
}

/* The same frame compressed, or NULL when that makes it no smaller or fails; `frame` stays the caller's. */
static uint8_t *compress_frame(
    const uint8_t *frame, size_t payload_bytes, ZSTD_CCtx *zstd, int level, size_t *ret_bytes)
{
    uint8_t *packed = malloc(NATIVE_HEADER_BYTES + payload_bytes);

    if (packed == NULL) {
        return NULL;
    }
    size_t packed_bytes = ZSTD_compressCCtx(
        zstd, packed + NATIVE_HEADER_BYTES, payload_bytes, frame + NATIVE_HEADER_BYTES, payload_bytes, level);
    if (ZSTD_isError(packed_bytes) || packed_bytes >= payload_bytes) {
        free(packed);
        return NULL;
    }
    struct native_header header = native_header_read(frame);
    header.payload_bytes = (uint32_t)packed_bytes;
    header.flags |= NATIVE_FLAG_ZSTD;
    native_header_write(packed, header);
    *ret_bytes = NATIVE_HEADER_BYTES + packed_bytes;
    uint8_t *shrunk = realloc(packed, *ret_bytes);
    return shrunk != NULL ? shrunk : packed;
}

uint8_t *encode_frame(
    enum native_type type, const ProtobufCMessage *message, ZSTD_CCtx *zstd, int level, size_t *ret_bytes)
{
    size_t payload_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *frame = malloc(NATIVE_HEADER_BYTES + payload_bytes);

    if (frame == NULL) {
        return NULL;
    }
    native_header_write(
        frame, (struct native_header){.payload_bytes = (uint32_t)payload_bytes, .type = (uint8_t)type});
    protobuf_c_message_pack(message, frame + NATIVE_HEADER_BYTES);
    *ret_bytes = NATIVE_HEADER_BYTES + payload_bytes;
    if (zstd != NULL) {
        uint8_t *packed = compress_frame(frame, payload_bytes, zstd, level, ret_bytes);
        if (packed != NULL) {
            free(frame);
            return packed;
        }
    }
    return frame;
}
