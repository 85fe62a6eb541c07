/* Prebuilt native frames: native_frames.h. */
#include "native_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"

enum {
    FRAMES_MAX = 4096,
    FRAMES_POOL_COUNT = 256, /* of a corpus: some 7 MiB */
    FRAMES_BYTES_MAX = 1 << 28,
    DICTIONARY_MAX = 65536,
    DICTIONARY_BYTES_MAX = 1 << 24,
    SPANS_PER_BATCH_MAX = 4096,
    ROUTES_PER_DESTINATION = 100,
    ENDING_COUNT = 5,
    FLAG_DC = 14,                          /* the downstream went away: its bit in proto/README.md's order */
    SEQUENCE_AT = NATIVE_HEADER_BYTES + 1, /* the batch's first field, behind its tag */
    SEQUENCE_BYTES = 5,
};

/* The columns of one batch, and the dictionary that they refer to. */
struct making {
    struct native_frames *frames;
    uint32_t spans_per_batch;
    uint32_t count; /* in the columns */
    uint64_t base_unix_ns;
    uint64_t made; /* spans so far: their ids */
    ProtobufCBinaryData strings[DICTIONARY_MAX];
    uint32_t string_count;
    uint8_t text[DICTIONARY_BYTES_MAX];
    size_t text_bytes;
    uint8_t trace_ids[SPANS_PER_BATCH_MAX * 16];
    uint8_t span_ids[SPANS_PER_BATCH_MAX * 8];
    int64_t start_offset_ns[SPANS_PER_BATCH_MAX];
    uint64_t duration_ns[SPANS_PER_BATCH_MAX];
    uint32_t reporter[SPANS_PER_BATCH_MAX];
    uint32_t source[SPANS_PER_BATCH_MAX];
    uint32_t source_namespace[SPANS_PER_BATCH_MAX];
    uint32_t destination[SPANS_PER_BATCH_MAX];
    uint32_t destination_namespace[SPANS_PER_BATCH_MAX];
    uint32_t route[SPANS_PER_BATCH_MAX];
    uint32_t method[SPANS_PER_BATCH_MAX];
    uint32_t protocol[SPANS_PER_BATCH_MAX];
    uint32_t response_code[SPANS_PER_BATCH_MAX];
    uint32_t grpc_status[SPANS_PER_BATCH_MAX];
    uint64_t response_flags[SPANS_PER_BATCH_MAX];
    uint32_t attempts[SPANS_PER_BATCH_MAX];
    uint64_t request_bytes[SPANS_PER_BATCH_MAX];
    uint64_t response_bytes[SPANS_PER_BATCH_MAX];
};

/* ---- the dictionary ---- */

/* The dictionary's id of a text; 0, "not told", for none and for those that the agent puts in itself. */
static uint32_t string_id(struct making *making, struct slice text)
{
    if (text.length == 0 || slice_equal(text, SLICE_LITERAL("unknown"))) {
        return 0;
    }
    for (uint32_t i = 0; i < making->string_count; i++) {
        if (slice_equal(slice_of(making->strings[i].data, making->strings[i].len), text)) {
            return i + 1;
        }
    }
    if (making->string_count == DICTIONARY_MAX || text.length > DICTIONARY_BYTES_MAX - making->text_bytes) {
        return 0;
    }
    uint8_t *copy = making->text + making->text_bytes;
    memcpy(copy, text.ptr, text.length);
    making->text_bytes += text.length;
    making->strings[making->string_count++] = (ProtobufCBinaryData){.len = text.length, .data = copy};
    return making->string_count;
}

static int append_frame(struct buffer *out, uint8_t type, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *room = buffer_reserve(out, NATIVE_HEADER_BYTES + length);

    if (room == NULL) {
        return out->error;
    }
    native_header_write(room, (struct native_header){.payload_bytes = (uint32_t)length, .type = type});
    (void)protobuf_c_message_pack(message, room + NATIVE_HEADER_BYTES);
    out->length += NATIVE_HEADER_BYTES + length;
    return 0;
}

static int make_greeting(struct making *making)
{
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    Weft__V1__Dictionary dictionary = WEFT__V1__DICTIONARY__INIT;
    struct buffer *out = &making->frames->greeting;
    uint8_t instance[NATIVE_INSTANCE_BYTES];
    uint64_t now[2] = {clock_unix_ns(clock_system()), (uint64_t)getpid()};
    char workload[] = "bench";

    _Static_assert(sizeof now == sizeof instance, "an instance id is time and process");
    memcpy(instance, now, sizeof instance);
    hello.version = NATIVE_VERSION;
    hello.instance_id = (ProtobufCBinaryData){.len = sizeof instance, .data = instance};
    hello.next_sequence = NATIVE_FIRST_SEQUENCE;
    hello.workload = workload;
    dictionary.first_id = 1;
    dictionary.n_entries = making->string_count;
    dictionary.entries = making->strings;
    int error = buffer_append(out, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    error = error != 0 ? error : append_frame(out, NATIVE_TYPE_HELLO, &hello.base);
    if (error == 0 && making->string_count > 0) {
        error = append_frame(out, NATIVE_TYPE_DICTIONARY, &dictionary.base);
    }
    return error;
}

/* ---- batches ---- */

static bool any32(const uint32_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] != 0) {
            return true;
        }
    }
    return false;
}

static bool any64(const uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] != 0) {
            return true;
        }
    }
    return false;
}

/* A column that is zero all over is left out, as the format wants it. */
#define SET_COLUMN32(batch, making, name)                                                                    \
    ((batch)->n_##name = any32((making)->name, (making)->count) ? (making)->count : 0,                       \
        (batch)->name = (making)->name)
#define SET_COLUMN64(batch, making, name)                                                                    \
    ((batch)->n_##name = any64((making)->name, (making)->count) ? (making)->count : 0,                       \
        (batch)->name = (making)->name)

static int close_batch(struct making *making)
{
    struct native_frames *frames = making->frames;
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;
    size_t from = frames->bytes.length;

    batch.sequence = NATIVE_FIRST_SEQUENCE;
    batch.span_count = making->count;
    batch.base_time_unix_ns = making->base_unix_ns;
    batch.trace_ids = (ProtobufCBinaryData){.len = 16 * (size_t)making->count, .data = making->trace_ids};
    batch.span_ids = (ProtobufCBinaryData){.len = 8 * (size_t)making->count, .data = making->span_ids};
    batch.n_start_offset_ns = making->count;
    batch.start_offset_ns = making->start_offset_ns;
    SET_COLUMN64(&batch, making, duration_ns);
    SET_COLUMN32(&batch, making, reporter);
    SET_COLUMN32(&batch, making, source);
    SET_COLUMN32(&batch, making, source_namespace);
    SET_COLUMN32(&batch, making, destination);
    SET_COLUMN32(&batch, making, destination_namespace);
    SET_COLUMN32(&batch, making, route);
    SET_COLUMN32(&batch, making, method);
    SET_COLUMN32(&batch, making, protocol);
    SET_COLUMN32(&batch, making, response_code);
    SET_COLUMN32(&batch, making, grpc_status);
    SET_COLUMN64(&batch, making, response_flags);
    SET_COLUMN32(&batch, making, attempts);
    SET_COLUMN64(&batch, making, request_bytes);
    SET_COLUMN64(&batch, making, response_bytes);
    int error = append_frame(&frames->bytes, NATIVE_TYPE_SPANS, &batch.base);
    if (error == 0) {
        frames->frames[frames->frame_count++] =
            (struct slice){.ptr = (const uint8_t *)from, .length = frames->bytes.length - from};
    }
    making->count = 0;
    return error;
}

static void put_ids(struct making *making, uint32_t i)
{
    uint64_t id[2] = {++making->made * 0x9e3779b97f4a7c15ull, making->made};

    memcpy(making->trace_ids + (size_t)i * sizeof id, id, sizeof id);
    memcpy(making->span_ids + (size_t)i * sizeof id[0], id, sizeof id[0]);
}

static int add_request(struct making *making, const struct corpus *corpus, const struct request *request)
{
    const struct interner *interner = corpus->interner;
    uint32_t i = making->count++;

    put_ids(making, i);
    making->start_offset_ns[i] = (int64_t)(request->start_unix_ns - corpus->last_unix_ns);
    making->duration_ns[i] = request->duration_ns;
    making->reporter[i] = request->reporter + 1u;
    making->source[i] = string_id(making, interner_text(interner, request->source));
    making->source_namespace[i] = string_id(making, interner_text(interner, request->source_namespace));
    making->destination[i] = string_id(making, interner_text(interner, request->destination));
    making->destination_namespace[i] =
        string_id(making, interner_text(interner, request->destination_namespace));
    making->route[i] = string_id(making, interner_text(interner, request->route));
    making->method[i] = string_id(making, slice_of_string(method_name((enum method)request->method)));
    making->protocol[i] = request->protocol;
    making->response_code[i] = request->response_code;
    making->grpc_status[i] = (uint32_t)(request->grpc_status + 1);
    making->response_flags[i] = request->response_flags;
    making->attempts[i] = request->attempts;
    making->request_bytes[i] = request->request_bytes;
    making->response_bytes[i] = request->response_bytes;
    return making->count == making->spans_per_batch ? close_batch(making) : 0;
}

/* A request of each outcome: they are label sets of their own, and the agent shows all of an edge's. */
static const struct {
    uint32_t response_code;
    uint64_t response_flags;
} endings[] = {
    {.response_code = 200}, {.response_code = 404}, {.response_code = 503},
    {.response_code = 0},                                  /* no response */
    {.response_code = 0, .response_flags = 1u << FLAG_DC}, /* cancelled */
};

_Static_assert(sizeof endings / sizeof endings[0] == ENDING_COUNT, "one ending an outcome");

static int add_label_set(struct making *making, uint32_t set, uint32_t octave)
{
    uint32_t ending = set % ENDING_COUNT;
    uint32_t route = set / ENDING_COUNT;
    char name[32];
    uint32_t i = making->count++;
    int length = snprintf(name, sizeof name, "service-%u", (unsigned)(route / ROUTES_PER_DESTINATION));

    put_ids(making, i);
    making->start_offset_ns[i] = 0;
    making->duration_ns[i] = UINT64_C(1000000) << octave;
    making->reporter[i] = WEFT__V1__REPORTER__REPORTER_SOURCE;
    making->source[i] = string_id(making, SLICE_LITERAL("bench"));
    making->destination[i] = string_id(making, slice_of(name, (size_t)length));
    length = snprintf(name, sizeof name, "/route-%u", (unsigned)(route % ROUTES_PER_DESTINATION));
    making->route[i] = string_id(making, slice_of(name, (size_t)length));
    making->method[i] = string_id(making, SLICE_LITERAL("GET"));
    making->protocol[i] = WEFT__V1__PROTOCOL__PROTOCOL_HTTP2;
    making->response_code[i] = endings[ending].response_code;
    making->response_flags[i] = endings[ending].response_flags;
    return making->count == making->spans_per_batch ? close_batch(making) : 0;
}

/* ---- the whole ---- */

static struct making *making_new(struct native_frames *frames, uint32_t spans_per_batch)
{
    struct making *making = calloc(1, sizeof *making);

    *frames = (struct native_frames){.frames = calloc(FRAMES_MAX, sizeof *frames->frames)};
    buffer_init(&frames->greeting, FRAMES_BYTES_MAX);
    buffer_init(&frames->bytes, FRAMES_BYTES_MAX);
    if (making == NULL || frames->frames == NULL || spans_per_batch == 0 ||
        spans_per_batch > SPANS_PER_BATCH_MAX) {
        free(making);
        return NULL;
    }
    making->frames = frames;
    making->spans_per_batch = spans_per_batch;
    making->base_unix_ns = clock_unix_ns(clock_system());
    return making;
}

static int finish(struct making *making, int error)
{
    struct native_frames *frames = making->frames;

    error = error == 0 ? make_greeting(making) : error;
    for (size_t i = 0; i < frames->frame_count; i++) {
        frames->frames[i].ptr = frames->bytes.data + (size_t)frames->frames[i].ptr;
    }
    free(making);
    if (error < 0) {
        native_frames_deinit(frames);
    }
    return error;
}

int native_frames_of_corpus(
    const struct corpus *corpus, uint32_t spans_per_batch, struct native_frames *ret_frames)
{
    struct making *making = making_new(ret_frames, spans_per_batch);
    int error = corpus->request_count == 0 ? WERR_INVALID : 0;

    if (making == NULL) {
        native_frames_deinit(ret_frames);
        return WERR_NOMEM;
    }
    while (error == 0 && ret_frames->frame_count < FRAMES_POOL_COUNT) {
        for (uint32_t i = 0; i < corpus->span_count && error == 0 && ret_frames->frame_count < FRAMES_MAX;
             i++) {
            if (corpus->spans[i].is_request) {
                error = add_request(making, corpus, &corpus->spans[i].request);
            }
        }
    }
    return finish(making, error);
}

int native_frames_of_label_sets(
    uint32_t label_sets, uint32_t octaves, uint32_t spans_per_batch, struct native_frames *ret_frames)
{
    struct making *making = making_new(ret_frames, spans_per_batch);
    int error = 0;

    if (making == NULL) {
        native_frames_deinit(ret_frames);
        return WERR_NOMEM;
    }
    for (uint32_t set = 0; set < label_sets && error == 0; set++) {
        for (uint32_t octave = 0; octave < octaves && error == 0 && ret_frames->frame_count < FRAMES_MAX;
             octave++) {
            error = add_label_set(making, set, octave);
        }
    }
    return finish(making, error);
}

void native_frames_stamp(struct native_frames *frames, size_t index, uint64_t sequence)
{
    uint8_t *to = frames->bytes.data + (frames->frames[index].ptr - frames->bytes.data) + SEQUENCE_AT;

    for (int i = 0; i < SEQUENCE_BYTES; i++) {
        to[i] = (uint8_t)((sequence & 0x7f) | (i + 1 < SEQUENCE_BYTES ? 0x80 : 0));
        sequence >>= 7;
    }
}

void native_frames_deinit(struct native_frames *frames)
{
    buffer_deinit(&frames->greeting);
    buffer_deinit(&frames->bytes);
    free(frames->frames);
    frames->frames = NULL;
}
