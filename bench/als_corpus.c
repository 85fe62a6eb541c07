/* Recorded access log entries as streams to send; see als_corpus.h. */
#include "als_corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/error.h"
#include "decode/als.h"
#include "decode/wire.h"
#include "decode/wire_write.h"

enum {
    ENTRIES_MAX = 4096,
    ENTRY_BYTES_MAX = 4096,
    PREFIX_BYTES = 5,
    COMMON = 1,
    START_TIME = 5,
    FILTER_STATE = 21
};

struct entries {
    struct buffer bytes; /* made anew; offsets, because it grows */
    size_t offsets[ENTRIES_MAX + 1];
    uint32_t count;
};

/* common_properties with the time of now and without filter_state_objects. */
static void write_common(struct buffer *out, struct slice encoded, uint64_t now_s)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct wire_envelope common = wire_envelope_begin(out, COMMON, encoded.length);

    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(START_TIME, WIRE_BYTES)) {
            struct wire_envelope start = wire_envelope_begin(out, START_TIME, 12);
            wire_write_varint(out, 1, now_s);
            wire_write_varint(out, 2, 123456789);
            wire_envelope_end(out, start);
        } else if (field.tag != WIRE_TAG(FILTER_STATE, WIRE_BYTES)) {
            (void)buffer_append_slice(out, field.raw);
        }
    }
    wire_envelope_end(out, common);
}

static void on_entry(void *user, const struct access_log_entry *entry, uint32_t record)
{
    struct entries *entries = user;
    struct wire_reader reader = wire_reader_of(entry->raw);
    struct wire_field field;

    (void)record;
    if (entry->kind != ACCESS_LOG_REQUEST || entries->count == ENTRIES_MAX) {
        return;
    }
    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(COMMON, WIRE_BYTES)) {
            write_common(&entries->bytes, field.bytes, (uint64_t)time(NULL));
        } else {
            (void)buffer_append_slice(&entries->bytes, field.raw);
        }
    }
    entries->offsets[++entries->count] = entries->bytes.length;
}

static void on_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
}

/* A file of [u32 little-endian length][StreamAccessLogsMessage]. */
static int read_entries(const char *path, struct entries *entries)
{
    struct als_sink sink = {.user = entries, .on_entry = on_entry, .on_refused = on_refused};
    FILE *file = fopen(path, "rb");
    uint8_t head[4];
    int error = file != NULL ? 0 : WERR_IO;

    while (error == 0 && fread(head, 1, sizeof head, file) == sizeof head) {
        size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        uint8_t *message = length <= CORPUS_FILE_BYTES_MAX ? malloc(length) : NULL;
        if (message == NULL || fread(message, 1, length, file) != length) {
            error = WERR_TRUNCATED;
        } else {
            als_scan(slice_of(message, length), &sink);
        }
        free(message);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return error == 0 && entries->count == 0 ? WERR_INVALID : error;
}

/* gRPC's five bytes, filled in by end_message. */
static size_t begin_message(struct buffer *out)
{
    size_t at = out->length;

    (void)buffer_append(out, "\0\0\0\0", PREFIX_BYTES);
    return at;
}

static void end_message(struct buffer *out, size_t at)
{
    uint32_t length = (uint32_t)(out->length - at - PREFIX_BYTES);

    if (out->error == 0) {
        for (size_t i = 0; i < 4; i++) {
            out->data[at + 1 + i] = (uint8_t)(length >> (24 - 8 * i));
        }
    }
}

static void write_identifier(struct buffer *out)
{
    size_t at = begin_message(out);
    struct wire_envelope identifier = wire_envelope_begin(out, 1, 90);
    struct wire_envelope node = wire_envelope_begin(out, 1, 80);

    wire_write_bytes(
        out, 1, SLICE_LITERAL("sidecar~127.0.0.1~productpage-v1-abc.shop~shop.svc.cluster.local"));
    wire_write_bytes(out, 2, SLICE_LITERAL("productpage.shop"));
    wire_envelope_end(out, node);
    wire_envelope_end(out, identifier);
    end_message(out, at);
}

static void write_logs(struct buffer *out, const struct entries *entries, uint32_t count, uint32_t *next)
{
    size_t at = begin_message(out);
    struct wire_envelope logs = wire_envelope_begin(out, 2, (size_t)count * 720);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t which = (*next)++ % entries->count;
        wire_write_bytes(out, 1,
            slice_of(entries->bytes.data + entries->offsets[which],
                entries->offsets[which + 1] - entries->offsets[which]));
    }
    wire_envelope_end(out, logs);
    end_message(out, at);
}

int als_corpus_batch(const char *path, uint32_t entries_per_message, uint32_t entries_per_stream,
    size_t bytes_min, struct corpus_batches *ret_batches)
{
    struct entries *entries = calloc(1, sizeof *entries);
    struct corpus_batches batches = {.message_count = 0};
    size_t *ends = calloc(bytes_min / ENTRY_BYTES_MAX + 2, sizeof *ends);
    uint32_t next = 0;
    int error = entries != NULL && ends != NULL ? 0 : WERR_NOMEM;

    buffer_init(&batches.bytes, CORPUS_BATCH_BYTES_MAX);
    if (error == 0) {
        buffer_init(&entries->bytes, CORPUS_FILE_BYTES_MAX);
        error = read_entries(path, entries);
    }
    while (error == 0 && batches.bytes.length < bytes_min) {
        write_identifier(&batches.bytes);
        for (uint32_t done = 0; done < entries_per_stream; done += entries_per_message) {
            write_logs(&batches.bytes, entries, entries_per_message, &next);
        }
        ends[++batches.message_count] = batches.bytes.length;
        batches.span_count += entries_per_stream;
        error = batches.bytes.error;
    }
    batches.messages = error == 0 ? calloc(batches.message_count, sizeof *batches.messages) : NULL;
    for (size_t i = 0; batches.messages != NULL && i < batches.message_count; i++) {
        batches.messages[i] = slice_of(batches.bytes.data + ends[i], ends[i + 1] - ends[i]);
    }
    error = error == 0 && batches.messages == NULL ? WERR_NOMEM : error;
    if (entries != NULL) {
        buffer_deinit(&entries->bytes);
    }
    free(entries);
    free(ends);
    if (error < 0) {
        (void)fprintf(stderr, "%s: %s\n", path, werr_text(error));
        buffer_deinit(&batches.bytes);
        return error;
    }
    *ret_batches = batches;
    return 0;
}
