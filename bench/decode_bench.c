/*
 * What decoding costs a span, on spans recorded from a real Envoy: as they came, and the same spans batched
 * to 512 a message.
 *
 *     decode_bench FILE.otlp        prints `name value unit` lines
 *
 * FILE is a sequence of [u32 little-endian length][ExportTraceServiceRequest]: see tests/corpus/README.md.
 * Beside the scanner stands protobuf-c's unpacking of the same bytes into an arena. One thread, best of
 * several runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "decode/native.h"
#include "decode/otlp_encode.h"
#include "decode/otlp_rewrite.h"
#include "decode/otlp_trace.h"
#include "opentelemetry/collector.pb-c.h"

enum {
    RUN_COUNT = 15,
    MESSAGES_MAX = 65536,
    BATCH_SPANS = 512,
    FILE_BYTES_MAX = 1 << 28,
    ARENA_CHUNK_BYTES = 1 << 20,
    ARENA_BYTES_MAX = 1 << 28,
};

struct batches {
    struct slice messages[MESSAGES_MAX];
    size_t message_count;
    uint64_t span_count;
};

struct bench {
    struct otlp_trace_scanner scanner;
    struct batches recorded;
    struct batches batched;
    struct batches native;
    struct buffer batched_bytes;
    struct buffer native_bytes;
    struct buffer out;
    struct arena arena;
    uint64_t now_unix_ns;
    /* while re-batching */
    uint32_t in_batch_count;
    struct wire_envelope resource_spans;
    struct wire_envelope scope_spans;
    size_t batch_at[MESSAGES_MAX];
    struct otlp_encode_span span;
    uint8_t id[16];
    uint64_t sum; /* of what was decoded, so that nothing is optimised away */
};

static int read_file(const char *path, struct buffer *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    uint8_t block[65536];
    size_t length;

    if (file == NULL) {
        return WERR_IO;
    }
    while ((length = fread(block, 1, sizeof block, file)) > 0) {
        (void)buffer_append(ret_bytes, block, length);
    }
    (void)fclose(file);
    return ret_bytes->error;
}

static void split(const struct buffer *bytes, struct batches *batches)
{
    size_t at = 0;
    uint32_t length;
    struct decode_error error;

    while (at + 4 <= bytes->length && batches->message_count < MESSAGES_MAX) {
        memcpy(&length, bytes->data + at, 4);
        at += 4;
        if (length > bytes->length - at) {
            break;
        }
        uint32_t spans = 0;
        struct slice message = slice_of(bytes->data + at, length);
        (void)otlp_trace_count_spans(message, &spans, &error);
        batches->messages[batches->message_count++] = message;
        batches->span_count += spans;
        at += length;
    }
}

static void on_refused(void *user, const struct decode_error *where)
{
    (void)user;
    char text[DECODE_ERROR_TEXT_BYTES];
    (void)decode_error_format(where, text, sizeof text);
    (void)fprintf(stderr, "refused: %s\n", text);
}

static void sum_span(void *user, const struct span *span, uint32_t record)
{
    struct bench *bench = user;

    bench->sum += span->end_unix_ns - span->start_unix_ns +
                  (uint64_t)__builtin_popcountll(span->attribute_set) + record;
}

static void close_batch(struct bench *bench)
{
    if (bench->in_batch_count > 0) {
        wire_envelope_end(&bench->batched_bytes, bench->scope_spans);
        wire_envelope_end(&bench->batched_bytes, bench->resource_spans);
        bench->in_batch_count = 0;
    }
}

static void rebatch_span(void *user, const struct span *span, uint32_t record)
{
    struct bench *bench = user;
    struct buffer *out = &bench->batched_bytes;

    (void)record;
    if (bench->in_batch_count == BATCH_SPANS) {
        close_batch(bench);
    }
    if (bench->in_batch_count == 0) {
        bench->batch_at[bench->batched.message_count++] = out->length;
        bench->resource_spans = wire_envelope_begin(out, 1, 300000);
        static const uint8_t resource[] = "\x0a\x19\x0a\x0cservice.name\x12\x09\x0a\x07reviews";
        wire_write_bytes(out, 1, slice_of(resource, sizeof resource - 1));
        bench->scope_spans = wire_envelope_begin(out, 2, 300000);
        wire_write_bytes(out, 1,
            SLICE_LITERAL("\x0a\x05"
                          "envoy"));
    }
    wire_write_bytes(out, 2, span->raw);
    bench->in_batch_count++;
    bench->batched.span_count++;
}

static void for_each_span(struct bench *bench, const struct batches *batches,
    void (*on_span)(void *, const struct span *, uint32_t))
{
    struct otlp_trace_sink sink = {.user = bench, .on_span = on_span, .on_refused = on_refused};
    struct otlp_trace_result result;
    struct decode_error error;

    for (size_t i = 0; i < batches->message_count; i++) {
        (void)otlp_trace_scan(
            &bench->scanner, NULL, batches->messages[i], bench->now_unix_ns, &sink, &result, &error);
    }
}

static void rebatch(struct bench *bench)
{
    for_each_span(bench, &bench->recorded, rebatch_span);
    close_batch(bench);
    for (size_t i = 0; i < bench->batched.message_count; i++) {
        size_t from = bench->batch_at[i];
        size_t to =
            i + 1 < bench->batched.message_count ? bench->batch_at[i + 1] : bench->batched_bytes.length;
        bench->batched.messages[i] = slice_of(bench->batched_bytes.data + from, to - from);
    }
}

/* A native batch of the size and content that a busy proxy sends; its values do not matter, its shape does.
 */
static void make_native(struct bench *bench)
{
    static uint8_t ids[BATCH_SPANS * NATIVE_TRACE_ID_BYTES];
    static int64_t offsets[BATCH_SPANS];
    static uint64_t durations[BATCH_SPANS], sizes[BATCH_SPANS];
    static uint32_t ones[BATCH_SPANS], names[BATCH_SPANS], codes[BATCH_SPANS];
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;

    for (uint32_t i = 0; i < BATCH_SPANS; i++) {
        offsets[i] = (int64_t)i * 20000;
        durations[i] = 1000000 + i * 7919;
        sizes[i] = i % 900;
        ones[i] = 1;
        names[i] = 1 + i % 200;
        codes[i] = 200;
        memset(ids + i * NATIVE_TRACE_ID_BYTES, (int)(i % 255 + 1), NATIVE_TRACE_ID_BYTES);
    }
    batch.sequence = 1;
    batch.span_count = BATCH_SPANS;
    batch.base_time_unix_ns = bench->now_unix_ns;
    batch.trace_ids = (ProtobufCBinaryData){.len = sizeof ids, .data = ids};
    batch.span_ids = (ProtobufCBinaryData){.len = sizeof ids / 2, .data = ids};
    batch.n_start_offset_ns = batch.n_duration_ns = batch.n_reporter = batch.n_source = BATCH_SPANS;
    batch.n_destination = batch.n_route = batch.n_method = batch.n_protocol = BATCH_SPANS;
    batch.n_response_code = batch.n_request_bytes = batch.n_response_bytes = BATCH_SPANS;
    batch.start_offset_ns = offsets;
    batch.duration_ns = durations;
    batch.reporter = batch.method = batch.protocol = ones;
    batch.source = batch.destination = batch.route = names;
    batch.response_code = codes;
    batch.request_bytes = batch.response_bytes = sizes;
    size_t length = weft__v1__span_batch__get_packed_size(&batch);
    uint8_t *room = buffer_reserve(&bench->native_bytes, length);
    if (room != NULL) {
        bench->native_bytes.length = weft__v1__span_batch__pack(&batch, room);
        bench->native.messages[0] = slice_of(room, length);
        bench->native.message_count = 1;
        bench->native.span_count = BATCH_SPANS;
    }
}

static void run_scan(struct bench *bench, const struct batches *batches)
{
    for_each_span(bench, batches, sum_span);
}

static void run_count(struct bench *bench, const struct batches *batches)
{
    struct decode_error error;
    uint32_t count = 0;

    for (size_t i = 0; i < batches->message_count; i++) {
        (void)otlp_trace_count_spans(batches->messages[i], &count, &error);
        bench->sum += count;
    }
}

static void run_rewrite(struct bench *bench, const struct batches *batches)
{
    uint32_t count = 0;

    for (size_t i = 0; i < batches->message_count; i++) {
        bench->out.length = 0;
        (void)otlp_rewrite(&bench->scanner, batches->messages[i], bench->now_unix_ns, &bench->out, &count);
        bench->sum += bench->out.length;
    }
}

static void run_rewrite_sound(struct bench *bench, const struct batches *batches)
{
    uint32_t count = 0;

    for (size_t i = 0; i < batches->message_count; i++) {
        bench->out.length = 0;
        (void)otlp_rewrite_sound(&bench->scanner, batches->messages[i], &bench->out, &count);
        bench->sum += bench->out.length;
    }
}

static void run_native(struct bench *bench, const struct batches *batches)
{
    struct native_check check = {.now_unix_ns = bench->now_unix_ns,
        .time_skew_ns = bench->scanner.time_skew_ns,
        .dictionary_count = 1000};
    struct native_spans spans;
    struct decode_error error;
    const char *field;

    arena_reset(&bench->arena);
    if (native_decode_spans(batches->messages[0], &bench->arena, &spans, &error) < 0) {
        (void)fprintf(stderr, "native: %s\n", error.field);
        return;
    }
    for (uint32_t i = 0; i < spans.span_count; i++) {
        bench->sum += native_span_check(&spans, i, &check, &field);
    }
}

static void run_native_unpack(struct bench *bench, const struct batches *batches)
{
    arena_reset(&bench->arena);
    bench->sum += weft__v1__span_batch__unpack(
                      &bench->arena.allocator, batches->messages[0].length, batches->messages[0].ptr) != NULL;
}

/* Writes into bench, so that no compiler knows what is encoded. */
static void make_span(struct bench *bench)
{
    static const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

    memcpy(bench->id, id, sizeof id);
    bench->span = (struct otlp_encode_span){.source = slice_of_string("productpage"),
        .source_namespace = slice_of_string("shop"),
        .destination = slice_of_string("reviews"),
        .destination_namespace = slice_of_string("shop"),
        .route = slice_of_string("/reviews/{id}"),
        .method = slice_of_string("GET"),
        .protocol = slice_of_string("http2"),
        .response_code = 200,
        .grpc_status = -1,
        .request_bytes = 12,
        .response_bytes = 3456,
        .start_unix_ns = bench->now_unix_ns,
        .duration_ns = 1234567,
        .trace_id = bench->id,
        .span_id = bench->id,
        .parent_id = bench->id};
}

static void run_encode(struct bench *bench, const struct batches *batches)
{
    struct otlp_encoder encoder;

    bench->out.length = 0;
    otlp_encode_begin(&encoder, &bench->out);
    for (uint64_t i = 0; i < batches->span_count; i++) {
        bench->span.duration_ns += i;
        (void)otlp_encode_span(&encoder, &bench->span);
    }
    bench->sum += otlp_encode_end(&encoder);
}

/* Prints the best run in nanoseconds a span. A run repeats the batches until it has seen a million spans. */
static void measure(struct bench *bench, const char *name, const struct batches *batches,
    void (*run)(struct bench *, const struct batches *))
{
    const struct clock *clock = clock_system();
    double best_ns = 0;

    if (batches->span_count == 0) {
        return;
    }
    uint64_t repeats = 200000 / batches->span_count + 1;
    for (int i = 0; i < RUN_COUNT; i++) {
        uint64_t start_ns = clock_monotonic_ns(clock);
        for (uint64_t k = 0; k < repeats; k++) {
            run(bench, batches);
        }
        double ns = (double)(clock_monotonic_ns(clock) - start_ns) / (double)(repeats * batches->span_count);
        best_ns = i == 0 || ns < best_ns ? ns : best_ns;
    }
    (void)printf("%s %.1f ns/span\n", name, best_ns);
}

static void measure_all(struct bench *bench)
{
    measure(bench, "otlp_scan_as_recorded", &bench->recorded, run_scan);
    measure(bench, "otlp_scan_512", &bench->batched, run_scan);
    measure(bench, "otlp_count_512", &bench->batched, run_count);
    measure(bench, "otlp_rewrite_512", &bench->batched, run_rewrite);
    measure(bench, "otlp_rewrite_sound_512", &bench->batched, run_rewrite_sound);
    measure(bench, "otlp_encode_512", &bench->native, run_encode);
    measure(bench, "native_decode_and_check_512", &bench->native, run_native);
    measure(bench, "native_unpack_512", &bench->native, run_native_unpack);
}

static void first_time(void *user, const struct span *span, uint32_t record)
{
    struct bench *bench = user;

    (void)record;
    bench->now_unix_ns = span->end_unix_ns;
}

int main(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct buffer file;
    struct limits limits;
    struct redaction redaction;

    if (argc != 2 || bench == NULL) {
        (void)fprintf(stderr, "usage: decode_bench FILE.otlp\n");
        free(bench);
        return 2;
    }
    buffer_init(&file, FILE_BYTES_MAX);
    buffer_init(&bench->batched_bytes, FILE_BYTES_MAX);
    buffer_init(&bench->native_bytes, FILE_BYTES_MAX);
    buffer_init(&bench->out, FILE_BYTES_MAX);
    arena_init(&bench->arena, ARENA_CHUNK_BYTES, ARENA_BYTES_MAX);
    limits_init(&limits);
    limits.time_skew_s = UINT32_MAX; /* until the recording's own time is known */
    redaction_init_default(&redaction);
    otlp_trace_scanner_init(&bench->scanner, &limits, &redaction);
    int error = read_file(argv[1], &file);
    if (error == 0) {
        split(&file, &bench->recorded);
        for_each_span(bench, &bench->recorded, first_time);
        rebatch(bench);
        make_native(bench);
        make_span(bench);
        (void)printf("spans %" PRIu64 " spans\n", bench->recorded.span_count);
        (void)printf("span_bytes %.0f bytes/span\n",
            (double)bench->batched_bytes.length /
                (double)(bench->batched.span_count + (bench->batched.span_count == 0)));
        measure_all(bench);
        (void)fprintf(stderr, "checksum %" PRIu64 "\n", bench->sum);
    } else {
        (void)fprintf(stderr, "decode_bench: %s: %s\n", argv[1], werr_text(error));
    }
    arena_deinit(&bench->arena);
    buffer_deinit(&bench->out);
    buffer_deinit(&bench->native_bytes);
    buffer_deinit(&bench->batched_bytes);
    buffer_deinit(&file);
    free(bench);
    return error == 0 ? 0 : 1;
}
