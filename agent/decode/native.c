/* Decoding of native payloads, see native.h. Runs on the shard that owns the connection. */
#include "decode/native.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "decode/native_wire.h"
#include "decode/utf8.h"

enum { NATIVE_DEPTH_MAX = 2 /* a batch, and the series or histograms in it */ };

#define SAMPLING_THRESHOLD_MAX ((1ull << 56) - 1)
#define RESPONSE_CODE_MAX 999u
#define GRPC_STATUS_MAX 17u /* status + 1, and the largest status is 16 */
#define REPORTER_MAX 3u
#define PROTOCOL_MAX 5u

static int fail(int code, const char *field, struct decode_error *ret_error)
{
    *ret_error = decode_error_of(code, field);
    return code;
}

/* An arena as protobuf-c's allocator that remembers whether it was the arena that failed. */
struct unpacking {
    struct arena *arena;
    bool arena_is_full;
    ProtobufCAllocator allocator;
};

static void *unpacking_alloc(void *user, size_t bytes)
{
    struct unpacking *unpacking = user;
    void *pointer = arena_alloc(unpacking->arena, bytes);

    unpacking->arena_is_full |= pointer == NULL;
    return pointer;
}

static void unpacking_free(void *user, void *pointer)
{
    (void)user;
    (void)pointer;
}

int native_unpack(struct slice payload, const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
    void **ret_message, struct decode_error *ret_error)
{
    struct unpacking unpacking = {.arena = arena, .arena_is_full = false};

    unpacking.allocator =
        (ProtobufCAllocator){.alloc = unpacking_alloc, .free = unpacking_free, .allocator_data = &unpacking};
    void *message = protobuf_c_message_unpack(descriptor, &unpacking.allocator, payload.length, payload.ptr);
    if (message == NULL) {
        return fail(unpacking.arena_is_full ? WERR_NOMEM : WERR_INVALID, "payload", ret_error);
    }
    *ret_message = message;
    return 0;
}

/* Ids are one run of bytes: `each` bytes a span, or none at all where that is allowed. */
static int check_counts(const struct native_tally *tally, struct decode_error *ret_error)
{
    uint64_t count = tally->number[2];
    const struct native_field *fields = native_spans_shape.fields;

    if (tally->number[1] == 0) {
        return fail(WERR_INVALID, fields[1].name, ret_error);
    }
    if (count > UINT32_MAX || tally->bytes[4] != count * NATIVE_TRACE_ID_BYTES) {
        return fail(WERR_INVALID, fields[4].name, ret_error);
    }
    if (tally->bytes[5] != count * NATIVE_SPAN_ID_BYTES) {
        return fail(WERR_INVALID, fields[5].name, ret_error);
    }
    if (tally->bytes[6] != 0 && tally->bytes[6] != count * NATIVE_SPAN_ID_BYTES) {
        return fail(WERR_INVALID, fields[6].name, ret_error);
    }
    for (uint32_t number = 7; number < NATIVE_FIELD_NUMBER_MAX; number++) {
        uint64_t bytes = tally->bytes[number];
        if (bytes != 0 && (bytes < count || bytes > count * WIRE_VARINT_BYTES_MAX)) {
            return fail(WERR_INVALID, fields[number].name, ret_error);
        }
    }
    return 0;
}

static const uint32_t zero32[1] = {0};
static const uint64_t zero64[1] = {0};

/* False when the column is neither empty nor of the batch's length. */
static bool view32(struct native_column32 *column, const uint32_t *values, size_t count, uint32_t span_count)
{
    *column = count > 0 ? (struct native_column32){.values = values, .mask = SIZE_MAX}
                        : (struct native_column32){.values = zero32, .mask = 0};
    return count == 0 || count == span_count;
}

static bool view64(struct native_column64 *column, const uint64_t *values, size_t count, uint32_t span_count)
{
    *column = count > 0 ? (struct native_column64){.values = values, .mask = SIZE_MAX}
                        : (struct native_column64){.values = zero64, .mask = 0};
    return count == 0 || count == span_count;
}

static int view_columns(
    const Weft__V1__SpanBatch *b, struct native_spans *spans, struct decode_error *ret_error)
{
    uint32_t n = spans->span_count;
    /* the same bits: int64_t and uint64_t may alias */
    const uint64_t *start_offset_ns = (const uint64_t *)b->start_offset_ns;
    const bool fits[NATIVE_FIELD_NUMBER_MAX] = {
        [7] = view64(&spans->start_offset_ns, start_offset_ns, b->n_start_offset_ns, n),
        [8] = view64(&spans->duration_ns, b->duration_ns, b->n_duration_ns, n),
        [9] = view32(&spans->reporter, b->reporter, b->n_reporter, n),
        [10] = view32(&spans->source, b->source, b->n_source, n),
        [11] = view32(&spans->source_namespace, b->source_namespace, b->n_source_namespace, n),
        [12] = view32(&spans->destination, b->destination, b->n_destination, n),
        [13] = view32(&spans->destination_namespace, b->destination_namespace, b->n_destination_namespace, n),
        [14] = view32(&spans->route, b->route, b->n_route, n),
        [15] = view32(&spans->method, b->method, b->n_method, n),
        [16] = view32(&spans->protocol, b->protocol, b->n_protocol, n),
        [17] = view32(&spans->response_code, b->response_code, b->n_response_code, n),
        [18] = view32(&spans->grpc_status, b->grpc_status, b->n_grpc_status, n),
        [19] = view64(&spans->response_flags, b->response_flags, b->n_response_flags, n),
        [20] = view32(&spans->attempts, b->attempts, b->n_attempts, n),
        [21] = view64(&spans->request_bytes, b->request_bytes, b->n_request_bytes, n),
        [22] = view64(&spans->response_bytes, b->response_bytes, b->n_response_bytes, n),
        [23] = view64(&spans->sampling_threshold, b->sampling_threshold, b->n_sampling_threshold, n),
    };
    for (uint32_t number = 7; number < NATIVE_FIELD_NUMBER_MAX; number++) {
        if (!fits[number]) {
            return fail(WERR_INVALID, native_spans_shape.fields[number].name, ret_error);
        }
    }
    return 0;
}

static uint32_t column_max(struct native_column32 column, uint32_t span_count)
{
    uint32_t largest = 0;

    if (column.mask == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < span_count; i++) {
        largest = column.values[i] > largest ? column.values[i] : largest;
    }
    return largest;
}

static uint32_t dictionary_id_max(const struct native_spans *spans)
{
    const struct native_column32 columns[] = {spans->source, spans->source_namespace, spans->destination,
        spans->destination_namespace, spans->route, spans->method};
    uint32_t largest = 0;

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        uint32_t of_column = column_max(columns[i], spans->span_count);
        largest = of_column > largest ? of_column : largest;
    }
    return largest;
}

int native_decode_spans(
    struct slice payload, struct arena *arena, struct native_spans *ret_spans, struct decode_error *ret_error)
{
    struct native_tally tally;
    void *message = NULL;
    int error = native_walk(payload, &native_spans_shape, NATIVE_DEPTH_MAX, &tally, ret_error);

    if (error == 0) {
        error = check_counts(&tally, ret_error);
    }
    if (error == 0) {
        error = native_unpack(payload, &weft__v1__span_batch__descriptor, arena, &message, ret_error);
    }
    if (error < 0) {
        return error;
    }
    assert(message != NULL);
    const Weft__V1__SpanBatch *batch = message;
    struct native_spans spans = {.batch = batch,
        .sequence = batch->sequence,
        .span_count = batch->span_count,
        .base_time_unix_ns = batch->base_time_unix_ns,
        .trace_ids = batch->trace_ids.data,
        .span_ids = batch->span_ids.data,
        .parent_ids = batch->parent_ids.len > 0 ? batch->parent_ids.data : NULL};
    error = view_columns(batch, &spans, ret_error);
    if (error < 0) {
        return error;
    }
    spans.dictionary_id_max = dictionary_id_max(&spans);
    *ret_spans = spans;
    return 0;
}

static int check_series(const Weft__V1__Series *series, struct decode_error *ret_error)
{
    if (series->n_label_keys != series->n_label_values || series->n_label_keys > NATIVE_LABELS_COUNT_MAX) {
        return fail(WERR_INVALID, "series.label_values", ret_error);
    }
    return 0;
}

static int check_metrics(const Weft__V1__MetricBatch *batch, struct decode_error *ret_error)
{
    if (batch->n_counter_series != batch->n_counter_values) {
        return fail(WERR_INVALID, "counter_values", ret_error);
    }
    if (batch->n_gauge_series != batch->n_gauge_values) {
        return fail(WERR_INVALID, "gauge_values", ret_error);
    }
    for (size_t i = 0; i < batch->n_series; i++) {
        if (check_series(batch->series[i], ret_error) < 0) {
            ret_error->record = (uint32_t)i;
            return ret_error->code;
        }
    }
    for (size_t i = 0; i < batch->n_histograms; i++) {
        if (batch->histograms[i]->n_buckets > NATIVE_BUCKETS_COUNT_MAX) {
            *ret_error = decode_error_of(WERR_OVERSIZED, "histograms.buckets");
            ret_error->record = (uint32_t)i;
            return WERR_OVERSIZED;
        }
    }
    return 0;
}

int native_decode_metrics(struct slice payload, struct arena *arena, Weft__V1__MetricBatch **ret_batch,
    struct decode_error *ret_error)
{
    struct native_tally tally;
    void *message = NULL;
    int error = native_walk(payload, &native_metrics_shape, NATIVE_DEPTH_MAX, &tally, ret_error);

    if (error == 0) {
        error = native_unpack(payload, &weft__v1__metric_batch__descriptor, arena, &message, ret_error);
    }

    if (error == 0) {
        error = check_metrics(message, ret_error);
    }
    if (error == 0) {
        *ret_batch = message;
    }
    return error;
}

int native_decode_dictionary(struct slice payload, uint32_t entries_count_max, struct arena *arena,
    Weft__V1__Dictionary **ret_dictionary, struct decode_error *ret_error)
{
    struct native_tally tally;
    void *message = NULL;
    int error = native_walk(payload, &native_dictionary_shape, NATIVE_DEPTH_MAX, &tally, ret_error);

    if (error < 0) {
        return error;
    }
    if (tally.count[2] > entries_count_max) {
        return fail(WERR_FULL, "entries", ret_error);
    }
    error = native_unpack(payload, &weft__v1__dictionary__descriptor, arena, &message, ret_error);
    if (error < 0) {
        return error;
    }
    Weft__V1__Dictionary *dictionary = message;
    for (size_t i = 0; i < dictionary->n_entries; i++) {
        if (!utf8_is_valid(slice_of(dictionary->entries[i].data, dictionary->entries[i].len))) {
            *ret_error = decode_error_of(WERR_UTF8, "entries");
            ret_error->record = (uint32_t)i;
            return WERR_UTF8;
        }
    }
    *ret_dictionary = dictionary;
    return 0;
}

static int check_hello(const Weft__V1__Hello *hello, struct decode_error *ret_error)
{
    static const uint8_t zero[NATIVE_INSTANCE_ID_BYTES] = {0};
    const struct {
        const char *name;
        const char *text;
    } texts[] = {{"node", hello->node}, {"workload", hello->workload},
        {"workload_namespace", hello->workload_namespace}};

    if (hello->version != NATIVE_VERSION) {
        return fail(WERR_UNSUPPORTED, "version", ret_error);
    }
    if (hello->instance_id.len != NATIVE_INSTANCE_ID_BYTES ||
        memcmp(hello->instance_id.data, zero, sizeof zero) == 0) {
        return fail(WERR_INVALID, "instance_id", ret_error);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!utf8_is_valid(slice_of_string(texts[i].text))) {
            return fail(WERR_UTF8, texts[i].name, ret_error);
        }
    }
    return 0;
}

int native_decode_hello(
    struct slice payload, struct arena *arena, Weft__V1__Hello **ret_hello, struct decode_error *ret_error)
{
    struct native_tally tally;
    void *message = NULL;
    int error = native_walk(payload, &native_hello_shape, NATIVE_DEPTH_MAX, &tally, ret_error);

    for (uint32_t number = 4; error == 0 && number <= 6; number++) {
        if (tally.bytes[number] > NATIVE_HELLO_TEXT_BYTES_MAX) {
            error = fail(WERR_OVERSIZED, native_hello_shape.fields[number].name, ret_error);
        }
    }
    if (error == 0) {
        error = native_unpack(payload, &weft__v1__hello__descriptor, arena, &message, ret_error);
    }
    if (error == 0) {
        error = check_hello(message, ret_error);
    }
    if (error == 0) {
        *ret_hello = message;
    }
    return error;
}

int native_decode_stats(struct slice payload, struct arena *arena, Weft__V1__ClientStats **ret_stats,
    struct decode_error *ret_error)
{
    struct native_tally tally;
    void *message = NULL;
    int error = native_walk(payload, &native_stats_shape, NATIVE_DEPTH_MAX, &tally, ret_error);

    if (error == 0) {
        error = native_unpack(payload, &weft__v1__client_stats__descriptor, arena, &message, ret_error);
    }

    if (error == 0) {
        *ret_stats = message;
    }
    return error;
}

static bool has_trace(const uint8_t *trace_id)
{
    uint64_t words[2];

    memcpy(words, trace_id, sizeof words);
    return (words[0] | words[1]) != 0;
}

/* Start and end within skew of now, and no overflow on the way there. */
static bool time_is_sane(const struct native_spans *spans, size_t i, const struct native_check *check)
{
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    int64_t offset_ns = (int64_t)native_get64(spans->start_offset_ns, i);

    if (__builtin_add_overflow(spans->base_time_unix_ns, offset_ns, &start_unix_ns) ||
        __builtin_add_overflow(start_unix_ns, native_get64(spans->duration_ns, i), &end_unix_ns)) {
        return false;
    }
    /* one comparison a bound: a difference below 0 wraps to a large one */
    uint64_t earliest_unix_ns =
        check->now_unix_ns > check->time_skew_ns ? check->now_unix_ns - check->time_skew_ns : 0;
    uint64_t span_ns = check->now_unix_ns - earliest_unix_ns + check->time_skew_ns;
    return start_unix_ns - earliest_unix_ns <= span_ns && end_unix_ns - earliest_unix_ns <= span_ns;
}

/* Which small number of a record is outside its range. */
static const char *number_out_of_range(const struct native_spans *spans, size_t i)
{
    if (native_get32(spans->reporter, i) - 1 >= REPORTER_MAX) {
        return "reporter";
    }
    if (native_get32(spans->protocol, i) > PROTOCOL_MAX) {
        return "protocol";
    }
    if (native_get32(spans->response_code, i) > RESPONSE_CODE_MAX) {
        return "response_code";
    }
    if (native_get32(spans->grpc_status, i) > GRPC_STATUS_MAX) {
        return "grpc_status";
    }
    return native_get64(spans->sampling_threshold, i) > SAMPLING_THRESHOLD_MAX ? "sampling_threshold" : NULL;
}

/* The first dictionary id of a record that is not known, by its column's name. */
static const char *unknown_id(const struct native_spans *spans, size_t i, uint32_t dictionary_count)
{
    const struct {
        const char *name;
        struct native_column32 column;
    } columns[] = {{"source", spans->source}, {"source_namespace", spans->source_namespace},
        {"destination", spans->destination}, {"destination_namespace", spans->destination_namespace},
        {"route", spans->route}, {"method", spans->method}};

    for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
        uint32_t id = native_get32(columns[k].column, i);
        if (id != 0 && id >= dictionary_count) {
            return columns[k].name;
        }
    }
    return NULL;
}

enum record_error native_span_check(
    const struct native_spans *spans, size_t i, const struct native_check *check, const char **ret_field)
{
    uint64_t span_id;
    const char *field;

    memcpy(&span_id, spans->span_ids + i * NATIVE_SPAN_ID_BYTES, sizeof span_id);
    if (__builtin_expect(span_id == 0 && has_trace(spans->trace_ids + i * NATIVE_TRACE_ID_BYTES), 0)) {
        *ret_field = "span_ids";
        return RECORD_ERROR_SPAN_ID;
    }
    if (__builtin_expect(!time_is_sane(spans, i, check), 0)) {
        *ret_field = "start_offset_ns";
        return RECORD_ERROR_TIME;
    }
    field = number_out_of_range(spans, i);
    if (__builtin_expect(field != NULL, 0)) {
        *ret_field = field;
        return RECORD_ERROR_MALFORMED;
    }
    if (__builtin_expect(spans->dictionary_id_max >= check->dictionary_count, 0)) {
        field = unknown_id(spans, i, check->dictionary_count);
        if (field != NULL) {
            *ret_field = field;
            return RECORD_ERROR_DICTIONARY;
        }
    }
    return RECORD_ERROR_NONE;
}

enum record_error native_counter_check(double value, const char **ret_field)
{
    if (isfinite(value) && value >= 0) {
        return RECORD_ERROR_NONE;
    }
    *ret_field = "counter_values";
    return RECORD_ERROR_MALFORMED;
}

enum record_error native_histogram_check(const Weft__V1__HistogramPoint *point, const char **ret_field)
{
    uint64_t count = point->zero_count;

    *ret_field = "histograms.scale";
    if (point->scale < NATIVE_SCALE_MIN || point->scale > NATIVE_SCALE_MAX) {
        return RECORD_ERROR_MALFORMED;
    }
    *ret_field = "histograms.offset";
    if (point->offset > INT32_MAX - NATIVE_BUCKETS_COUNT_MAX) {
        return RECORD_ERROR_MALFORMED;
    }
    *ret_field = "histograms.zero_threshold";
    if (!isfinite(point->zero_threshold) || point->zero_threshold < 0) {
        return RECORD_ERROR_MALFORMED;
    }
    *ret_field = "histograms.sum";
    if (!isfinite(point->sum)) {
        return RECORD_ERROR_MALFORMED;
    }
    *ret_field = "histograms.buckets";
    for (size_t i = 0; i < point->n_buckets; i++) {
        if (__builtin_add_overflow(count, point->buckets[i], &count)) {
            return RECORD_ERROR_MALFORMED;
        }
    }
    return RECORD_ERROR_NONE;
}
