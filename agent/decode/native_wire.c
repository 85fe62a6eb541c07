/* The native payloads' shapes and the walk over them, see native_wire.h. Runs on the shard that owns the
 * connection. */
#include "decode/native_wire.h"

#include "decode/native.h"
#include "decode/native_logs.h"

/* Field numbers and types: proto/weft/v1/stream.proto. */
const struct native_shape native_hello_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "version"},
        [2] = {.kind = NATIVE_FIELD_BYTES, .name = "instance_id"},
        [3] = {.kind = NATIVE_FIELD_NUMBER, .name = "next_sequence"},
        [4] = {.kind = NATIVE_FIELD_BYTES, .name = "node"},
        [5] = {.kind = NATIVE_FIELD_BYTES, .name = "workload"},
        [6] = {.kind = NATIVE_FIELD_BYTES, .name = "workload_namespace"},
        [7] = {.kind = NATIVE_FIELD_NUMBER, .name = "start_time_unix_ns"},
    }};

const struct native_shape native_dictionary_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "first_id"},
        [2] = {.kind = NATIVE_FIELD_ENTRIES, .name = "entries"},
    }};

const struct native_shape native_stats_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "dropped_spans"},
        [2] = {.kind = NATIVE_FIELD_NUMBER, .name = "dropped_points"},
    }};

const struct native_shape native_spans_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "sequence"},
        [2] = {.kind = NATIVE_FIELD_NUMBER, .name = "span_count"},
        [3] = {.kind = NATIVE_FIELD_NUMBER, .name = "base_time_unix_ns"},
        [4] = {.kind = NATIVE_FIELD_BYTES, .name = "trace_ids"},
        [5] = {.kind = NATIVE_FIELD_BYTES, .name = "span_ids"},
        [6] = {.kind = NATIVE_FIELD_BYTES, .name = "parent_ids"},
        [7] = {.kind = NATIVE_FIELD_COLUMN, .name = "start_offset_ns"},
        [8] = {.kind = NATIVE_FIELD_COLUMN, .name = "duration_ns"},
        [9] = {.kind = NATIVE_FIELD_COLUMN, .name = "reporter"},
        [10] = {.kind = NATIVE_FIELD_COLUMN, .name = "source"},
        [11] = {.kind = NATIVE_FIELD_COLUMN, .name = "source_namespace"},
        [12] = {.kind = NATIVE_FIELD_COLUMN, .name = "destination"},
        [13] = {.kind = NATIVE_FIELD_COLUMN, .name = "destination_namespace"},
        [14] = {.kind = NATIVE_FIELD_COLUMN, .name = "route"},
        [15] = {.kind = NATIVE_FIELD_COLUMN, .name = "method"},
        [16] = {.kind = NATIVE_FIELD_COLUMN, .name = "protocol"},
        [17] = {.kind = NATIVE_FIELD_COLUMN, .name = "response_code"},
        [18] = {.kind = NATIVE_FIELD_COLUMN, .name = "grpc_status"},
        [19] = {.kind = NATIVE_FIELD_COLUMN, .name = "response_flags"},
        [20] = {.kind = NATIVE_FIELD_COLUMN, .name = "attempts"},
        [21] = {.kind = NATIVE_FIELD_COLUMN, .name = "request_bytes"},
        [22] = {.kind = NATIVE_FIELD_COLUMN, .name = "response_bytes"},
        [23] = {.kind = NATIVE_FIELD_COLUMN, .name = "sampling_threshold"},
    }};

static const struct native_shape series_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "series.id"},
        [2] = {.kind = NATIVE_FIELD_NUMBER, .name = "series.type"},
        [3] = {.kind = NATIVE_FIELD_NUMBER, .name = "series.name"},
        [4] = {.kind = NATIVE_FIELD_NUMBER, .name = "series.unit"},
        [5] = {.kind = NATIVE_FIELD_NUMBER, .name = "series.help"},
        [6] = {.kind = NATIVE_FIELD_COLUMN,
            .name = "series.label_keys",
            .count_max = NATIVE_LABELS_COUNT_MAX},
        [7] = {.kind = NATIVE_FIELD_COLUMN,
            .name = "series.label_values",
            .count_max = NATIVE_LABELS_COUNT_MAX},
    }};

static const struct native_shape histogram_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "histograms.series"},
        [2] = {.kind = NATIVE_FIELD_NUMBER, .name = "histograms.scale"},
        [3] = {.kind = NATIVE_FIELD_NUMBER, .name = "histograms.zero_count"},
        [4] = {.kind = NATIVE_FIELD_FIXED64, .name = "histograms.zero_threshold"},
        [5] = {.kind = NATIVE_FIELD_NUMBER, .name = "histograms.offset"},
        [6] = {.kind = NATIVE_FIELD_COLUMN,
            .name = "histograms.buckets",
            .count_max = NATIVE_BUCKETS_COUNT_MAX},
        [7] = {.kind = NATIVE_FIELD_FIXED64, .name = "histograms.sum"},
    }};

const struct native_shape native_metrics_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "sequence"},
        [2] = {.kind = NATIVE_FIELD_NUMBER, .name = "time_unix_ns"},
        [3] = {.kind = NATIVE_FIELD_MESSAGES,
            .name = "series",
            .count_max = NATIVE_SERIES_COUNT_MAX,
            .nested = &series_shape},
        [4] = {.kind = NATIVE_FIELD_COLUMN, .name = "counter_series"},
        [5] = {.kind = NATIVE_FIELD_DOUBLES, .name = "counter_values"},
        [6] = {.kind = NATIVE_FIELD_COLUMN, .name = "gauge_series"},
        [7] = {.kind = NATIVE_FIELD_DOUBLES, .name = "gauge_values"},
        [8] = {.kind = NATIVE_FIELD_MESSAGES,
            .name = "histograms",
            .count_max = NATIVE_HISTOGRAMS_COUNT_MAX,
            .nested = &histogram_shape},
    }};

const struct native_shape native_logs_shape = {
    .fields = {
        [1] = {.kind = NATIVE_FIELD_NUMBER, .name = "sequence"},
        [2] = {.kind = NATIVE_FIELD_NUMBER, .name = "log_count"},
        [3] = {.kind = NATIVE_FIELD_NUMBER, .name = "base_time_unix_ns"},
        [4] = {.kind = NATIVE_FIELD_BYTES, .name = "trace_ids"},
        [5] = {.kind = NATIVE_FIELD_BYTES, .name = "span_ids"},
        [6] = {.kind = NATIVE_FIELD_COLUMN, .name = "time_offset_ns"},
        [7] = {.kind = NATIVE_FIELD_COLUMN, .name = "severity"},
        [8] = {.kind = NATIVE_FIELD_ENTRIES, .name = "bodies", .count_max = NATIVE_LOGS_COUNT_MAX},
        [9] = {.kind = NATIVE_FIELD_COLUMN, .name = "attribute_count"},
        [10] = {.kind = NATIVE_FIELD_ENTRIES,
            .name = "attribute_keys",
            .count_max = NATIVE_LOG_ATTRIBUTES_COUNT_MAX},
        [11] = {.kind = NATIVE_FIELD_ENTRIES,
            .name = "attribute_values",
            .count_max = NATIVE_LOG_ATTRIBUTES_COUNT_MAX},
    }};

/* The wire type that an element of this kind has; a packed run of them is WIRE_BYTES. */
static enum wire_type element_type(enum native_field_kind kind)
{
    switch (kind) {
    case NATIVE_FIELD_NUMBER:
    case NATIVE_FIELD_COLUMN:
        return WIRE_VARINT;
    case NATIVE_FIELD_FIXED64:
    case NATIVE_FIELD_DOUBLES:
        return WIRE_FIXED64;
    default:
        return WIRE_BYTES;
    }
}

static bool type_is_allowed(enum native_field_kind kind, uint32_t tag)
{
    bool packable = kind == NATIVE_FIELD_COLUMN || kind == NATIVE_FIELD_DOUBLES;
    uint32_t type = wire_tag_type(tag);

    return type == element_type(kind) || (packable && type == WIRE_BYTES);
}

/* Adds one field to the tally and checks it against its row. */
static int tally_field(const struct wire_field *field, const struct native_field *row, uint32_t depth_left,
    struct native_tally *tally, struct decode_error *error)
{
    uint32_t number = wire_tag_number(field->tag);
    struct native_tally nested;

    if (!type_is_allowed(row->kind, field->tag)) {
        return WERR_WIRE_TYPE;
    }
    tally->number[number] = field->integer;
    if (row->kind == NATIVE_FIELD_BYTES) {
        tally->bytes[number] = field->bytes.length;
        return 0;
    }
    bool packed = wire_tag_type(field->tag) == WIRE_BYTES;
    size_t unpacked_bytes = row->kind == NATIVE_FIELD_DOUBLES ? 8 : 1;
    tally->bytes[number] += packed ? field->bytes.length : unpacked_bytes;
    tally->count[number]++;
    uint64_t elements = row->kind == NATIVE_FIELD_COLUMN ? tally->bytes[number] : tally->count[number];
    uint64_t elements_max =
        row->kind == NATIVE_FIELD_COLUMN ? (uint64_t)row->count_max * WIRE_VARINT_BYTES_MAX : row->count_max;
    if (row->count_max > 0 && elements > elements_max) {
        return WERR_OVERSIZED;
    }
    if (row->nested == NULL) {
        return 0;
    }
    int status = native_walk(field->bytes, row->nested, depth_left - 1, &nested, error);
    error->record = status < 0 ? tally->count[number] - 1 : error->record;
    return status;
}

int native_walk(struct slice payload, const struct native_shape *shape, uint32_t depth_left,
    struct native_tally *ret_tally, struct decode_error *ret_error)
{
    struct wire_reader reader;
    struct wire_field field;

    memset(ret_tally, 0, sizeof *ret_tally);
    int status = wire_open(payload, depth_left, &reader);
    if (status < 0) {
        *ret_error = decode_error_of(status, "payload");
        return status;
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        uint32_t number = wire_tag_number(field.tag);
        const struct native_field *row = number < NATIVE_FIELD_NUMBER_MAX ? &shape->fields[number] : NULL;
        if (row == NULL || row->kind == NATIVE_FIELD_UNKNOWN) {
            continue;
        }
        struct decode_error error = decode_error_of(0, row->name);
        status = tally_field(&field, row, depth_left, ret_tally, &error);
        if (status < 0) {
            error.code = status;
            *ret_error = error;
            return status;
        }
    }
    if (status < 0) {
        *ret_error = decode_error_of(status, "payload");
    }
    return status;
}
