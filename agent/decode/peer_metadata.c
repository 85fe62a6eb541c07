/* Workload metadata in its several forms; see peer_metadata.h. Any thread. */
#include "decode/peer_metadata.h"

#include <stddef.h>

#include "decode/wire.h"

/* Which part of a peer a key names. The order of rows with the same part is their rank: earlier ones win. */
static const struct key_row {
    struct slice key;
    size_t offset;
    bool is_label;
} rows[] = {
#define ROW(text, part, label)                                                                               \
    {                                                                                                        \
        .key = {.ptr = (const uint8_t *)(text), .length = sizeof(text) - 1},                                 \
        .offset = offsetof(struct access_log_peer, part), .is_label = (label)                                \
    }
    ROW("workload", workload, false),
    ROW("namespace", workload_namespace, false),
    ROW("service", service, false),
    ROW("app", app, false),
    ROW("version", version, false),
    ROW("cluster", cluster, false),
    ROW("revision", revision, false),
    ROW("name", pod, false),
    ROW("WORKLOAD_NAME", workload, false),
    ROW("NAMESPACE", workload_namespace, false),
    ROW("CLUSTER_ID", cluster, false),
    ROW("NAME", pod, false),
    ROW("service.istio.io/canonical-name", service, true),
    ROW("service.istio.io/canonical-revision", revision, true),
    ROW("app", app, true),
    ROW("app.kubernetes.io/name", app, true),
    ROW("version", version, true),
    ROW("app.kubernetes.io/version", version, true),
#undef ROW
};

static void keep(struct access_log_peer *peer, struct slice key, struct slice value, bool is_label)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].is_label == is_label && slice_equal(rows[i].key, key)) {
            struct slice *part = (struct slice *)(void *)((char *)peer + rows[i].offset);
            if (part->length == 0) {
                *part = value;
            }
            return;
        }
    }
}

/* google.protobuf.Value: string_value = 3, struct_value = 5; others tell nothing here. */
static int read_value(struct slice encoded, struct slice *ret_text, struct slice *ret_struct)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(3, WIRE_BYTES)) {
            *ret_text = field.bytes;
        } else if (field.tag == WIRE_TAG(5, WIRE_BYTES)) {
            *ret_struct = field.bytes;
        }
    }
    return status;
}

/* An entry of Struct.fields: key = 1, value = 2. */
static int read_pair(
    struct slice encoded, struct slice *ret_key, struct slice *ret_text, struct slice *ret_struct)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            *ret_key = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            status = read_value(field.bytes, ret_text, ret_struct);
            if (status < 0) {
                return status;
            }
        }
    }
    return status;
}

/* One level of a Struct; *ret_labels: the encoded Struct under LABELS or labels. */
static int read_level(
    struct slice encoded, bool is_label, struct access_log_peer *peer, struct slice *ret_labels)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    for (int i = 0; (status = wire_next(&reader, &field)) > 0 && i < PEER_METADATA_FIELDS_MAX; i++) {
        struct slice key = {.length = 0};
        struct slice text = {.length = 0};
        struct slice nested = {.length = 0};

        if (field.tag != WIRE_TAG(1, WIRE_BYTES)) {
            continue;
        }
        status = read_pair(field.bytes, &key, &text, &nested);
        if (status < 0) {
            return status;
        }
        keep(peer, key, text, is_label);
        if (slice_equal(key, SLICE_LITERAL("LABELS")) || slice_equal(key, SLICE_LITERAL("labels"))) {
            *ret_labels = nested;
        }
    }
    return status < 0 ? status : 0;
}

int peer_metadata_read_struct(struct slice encoded, struct access_log_peer *peer)
{
    struct slice labels = {.length = 0};
    struct slice none;
    int status = read_level(encoded, false, peer, &labels);

    return status < 0 || labels.length == 0 ? status : read_level(labels, true, peer, &none);
}

/* "key=value,key=value" */
static void read_text(struct slice text, struct access_log_peer *peer)
{
    for (int i = 0; text.length > 0 && i < PEER_METADATA_FIELDS_MAX; i++) {
        size_t end = slice_find(text, ',');
        struct slice pair = slice_sub(text, 0, end);
        size_t equals = slice_find(pair, '=');

        keep(peer, slice_sub(pair, 0, equals), slice_sub(pair, equals + 1, pair.length), false);
        text = slice_sub(text, end + 1, text.length);
    }
}

/* flatbuffers: everything is checked against the end of the buffer before it is read */

enum { FLAT_NAME, FLAT_NAMESPACE, FLAT_LABELS, FLAT_OWNER, FLAT_WORKLOAD_NAME, FLAT_CLUSTER_ID = 9 };

static bool read_u32(struct slice buffer, size_t at, uint32_t *ret_value)
{
    if (at > buffer.length || buffer.length - at < 4) {
        return false;
    }
    memcpy(ret_value, buffer.ptr + at, 4);
    return true;
}

/* Where field `number` of the table lies; false when it is not there. */
static bool find_field(struct slice buffer, size_t table, unsigned number, size_t *ret_at)
{
    uint32_t back;
    uint16_t table_bytes;
    uint16_t offset;

    if (!read_u32(buffer, table, &back)) {
        return false;
    }
    int64_t layout = (int64_t)table - (int32_t)back;
    if (layout < 0 || (uint64_t)layout + 6 + (uint64_t)number * 2 > buffer.length) {
        return false;
    }
    memcpy(&table_bytes, buffer.ptr + layout, 2);
    if (4 + number * 2u + 2 > table_bytes) {
        return false;
    }
    memcpy(&offset, buffer.ptr + layout + 4 + (size_t)number * 2, 2);
    *ret_at = table + offset;
    return offset != 0;
}

/* A field that refers to something further on; *ret_at: where that begins. */
static bool follow(struct slice buffer, size_t table, unsigned number, size_t *ret_at)
{
    size_t at;
    uint32_t forward;

    if (!find_field(buffer, table, number, &at) || !read_u32(buffer, at, &forward)) {
        return false;
    }
    *ret_at = at + forward;
    return true;
}

static struct slice flat_text(struct slice buffer, size_t table, unsigned number)
{
    size_t at;
    uint32_t length;

    if (!follow(buffer, table, number, &at) || !read_u32(buffer, at, &length) ||
        length > buffer.length - at - 4) {
        return slice_of(NULL, 0);
    }
    return slice_of(buffer.ptr + at + 4, length);
}

static void read_flat_labels(struct slice buffer, size_t table, struct access_log_peer *peer)
{
    size_t at;
    uint32_t count;

    if (!follow(buffer, table, FLAT_LABELS, &at) || !read_u32(buffer, at, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count && i < PEER_METADATA_FIELDS_MAX; i++) {
        uint32_t forward;

        at += 4;
        if (!read_u32(buffer, at, &forward)) {
            return;
        }
        keep(peer, flat_text(buffer, at + forward, 0), flat_text(buffer, at + forward, 1), true);
    }
}

static void read_flat(struct slice buffer, struct access_log_peer *peer)
{
    uint32_t root;

    if (!read_u32(buffer, 0, &root)) {
        return;
    }
    keep(peer, SLICE_LITERAL("NAME"), flat_text(buffer, root, FLAT_NAME), false);
    keep(peer, SLICE_LITERAL("NAMESPACE"), flat_text(buffer, root, FLAT_NAMESPACE), false);
    keep(peer, SLICE_LITERAL("WORKLOAD_NAME"), flat_text(buffer, root, FLAT_WORKLOAD_NAME), false);
    keep(peer, SLICE_LITERAL("CLUSTER_ID"), flat_text(buffer, root, FLAT_CLUSTER_ID), false);
    read_flat_labels(buffer, root, peer);
}

/* The one field of a BytesValue or StringValue. */
static int read_wrapped(struct slice encoded, struct slice *ret_value)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    *ret_value = slice_of(NULL, 0);
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            *ret_value = field.bytes;
        }
    }
    return status;
}

/* An encoded Struct begins with the tag of its first field; the first word of a flatbuffer is an offset that
 * is a multiple of 4. */
static int read_bytes(struct slice bytes, struct access_log_peer *peer)
{
    if (bytes.length > 0 && bytes.ptr[0] == WIRE_TAG(1, WIRE_BYTES)) {
        return peer_metadata_read_struct(bytes, peer);
    }
    read_flat(bytes, peer);
    return 0;
}

int peer_metadata_read(struct slice any, struct access_log_peer *peer)
{
    struct wire_reader reader = wire_reader_of(any);
    struct wire_field field;
    struct slice type = {.length = 0};
    struct slice value = {.length = 0};
    struct slice inner;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            type = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            value = field.bytes;
        }
    }
    if (status < 0) {
        return status;
    }
    if (slice_has_suffix(type, SLICE_LITERAL("google.protobuf.Struct"))) {
        return peer_metadata_read_struct(value, peer);
    }
    bool is_bytes = slice_has_suffix(type, SLICE_LITERAL("google.protobuf.BytesValue"));
    if (!is_bytes && !slice_has_suffix(type, SLICE_LITERAL("google.protobuf.StringValue"))) {
        return 0;
    }
    status = read_wrapped(value, &inner);
    if (status < 0) {
        return status;
    }
    if (is_bytes) {
        return read_bytes(inner, peer);
    }
    read_text(inner, peer);
    return 0;
}
