/* Istio's peer metadata in each of its forms, and none of them believed past its end. */
#include "testing.h"

#include "als_message.h"
#include "decode/peer_metadata.h"

#define TYPE "type.googleapis.com/google.protobuf."

static void put_any(struct buffer *out, const char *type, struct slice value)
{
    wire_write_bytes(out, 1, slice_of_string(type));
    wire_write_bytes(out, 2, value);
}

/* A BytesValue or StringValue of the text. */
static void put_wrapped(struct buffer *out, const char *type, struct slice text)
{
    struct buffer wrapped;

    buffer_init(&wrapped, TEST_BYTES_MAX);
    wire_write_bytes(&wrapped, 1, text);
    put_any(out, type, als_bytes(&wrapped));
    buffer_deinit(&wrapped);
}

static void assert_slice(struct slice got, const char *expected)
{
    assert_int_equal(got.length, strlen(expected));
    assert_memory_equal(got.ptr, expected, got.length);
}

static void assert_reviews(const struct access_log_peer *peer)
{
    assert_slice(peer->workload, "reviews-v2");
    assert_slice(peer->workload_namespace, "shop");
    assert_slice(peer->service, "reviews");
    assert_slice(peer->app, "reviews-app");
    assert_slice(peer->version, "v2");
    assert_slice(peer->revision, "r2");
    assert_slice(peer->cluster, "east");
    assert_slice(peer->pod, "reviews-v2-1");
}

static void put_short_struct(struct buffer *out)
{
    als_put_field(out, "type", "deployment");
    als_put_field(out, "workload", "reviews-v2");
    als_put_field(out, "name", "reviews-v2-1");
    als_put_field(out, "cluster", "east");
    als_put_field(out, "namespace", "shop");
    als_put_field(out, "service", "reviews");
    als_put_field(out, "revision", "r2");
    als_put_field(out, "app", "reviews-app");
    als_put_field(out, "version", "v2");
}

static void put_node_struct(struct buffer *out)
{
    als_put_field(out, "NAME", "reviews-v2-1");
    als_put_field(out, "NAMESPACE", "shop");
    als_put_field(out, "CLUSTER_ID", "east");
    als_put_field(out, "WORKLOAD_NAME", "reviews-v2");
    als_put_field(out, "OWNER", "kubernetes://apis/apps/v1/namespaces/shop/deployments/reviews-v2");
    struct wire_envelope pair = wire_envelope_begin(out, 1, 300);
    wire_write_bytes(out, 1, SLICE_LITERAL("LABELS"));
    struct wire_envelope value = wire_envelope_begin(out, 2, 300);
    struct wire_envelope labels = wire_envelope_begin(out, 5, 300);
    als_put_field(out, "app", "reviews-app");
    als_put_field(out, "version", "v2");
    als_put_field(out, "namespace", "not-a-namespace");
    als_put_field(out, "service.istio.io/canonical-name", "reviews");
    als_put_field(out, "service.istio.io/canonical-revision", "r2");
    wire_envelope_end(out, labels);
    wire_envelope_end(out, value);
    wire_envelope_end(out, pair);
}

static void reads_structs(void **state)
{
    void (*const writers[])(struct buffer *) = {put_short_struct, put_node_struct};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct buffer inner;
        struct buffer out;
        struct access_log_peer peer = {.identity = SLICE_LITERAL("spiffe://a")};

        buffer_init(&inner, TEST_BYTES_MAX);
        writers[i](&inner);
        buffer_init(&out, TEST_BYTES_MAX);
        put_any(&out, TYPE "Struct", als_bytes(&inner));
        assert_int_equal(peer_metadata_read(als_bytes(&out), &peer), 0);
        assert_reviews(&peer);
        assert_slice(peer.identity, "spiffe://a"); /* stays */
        buffer_deinit(&out);

        buffer_init(&out, TEST_BYTES_MAX);
        memset(&peer, 0, sizeof peer);
        put_wrapped(&out, TYPE "BytesValue", als_bytes(&inner));
        assert_int_equal(peer_metadata_read(als_bytes(&out), &peer), 0);
        assert_reviews(&peer);
        buffer_deinit(&out);
        buffer_deinit(&inner);
    }
}

static void reads_text(void **state)
{
    struct buffer out;
    struct access_log_peer peer = {.service = slice_of(NULL, 0)};

    (void)state;
    buffer_init(&out, TEST_BYTES_MAX);
    put_wrapped(&out, TYPE "StringValue",
        SLICE_LITERAL("type=deployment,workload=reviews-v2,name=reviews-v2-1,cluster=east,namespace=shop,"
                      "service=reviews,revision=r2,app=reviews-app,version=v2,labels[]role=backend,,=,x"));
    assert_int_equal(peer_metadata_read(als_bytes(&out), &peer), 0);
    assert_reviews(&peer);
    buffer_deinit(&out);
}

/* A flatbuffer writer as small as the format allows: a table's layout lies right before it. */
struct flat {
    uint8_t bytes[1024];
    uint32_t length;
};

static void put_u32(struct flat *flat, uint32_t at, uint32_t value)
{
    memcpy(flat->bytes + at, &value, 4);
}

static uint32_t flat_text(struct flat *flat, const char *text)
{
    uint32_t at = flat->length = (flat->length + 3) & ~3u;
    size_t length = strlen(text);

    put_u32(flat, at, (uint32_t)length);
    memcpy(flat->bytes + at + 4, text, length + 1);
    flat->length = at + 4 + (uint32_t)length + 1;
    return at;
}

/* A table of `count` references, to be pointed by flat_point; returns where it is. */
static uint32_t flat_table(struct flat *flat, uint16_t count)
{
    uint32_t layout = flat->length = (flat->length + 3) & ~3u;
    uint32_t table = layout + ((4 + 2u * count + 3) & ~3u);
    uint16_t words[2] = {(uint16_t)(4 + 2 * count), (uint16_t)(4 + 4 * count)};

    memcpy(flat->bytes + layout, words, 4);
    for (uint16_t i = 0; i < count; i++) {
        uint16_t offset = (uint16_t)(4 + 4 * i);
        memcpy(flat->bytes + layout + 4 + 2u * i, &offset, 2);
    }
    put_u32(flat, table, table - layout);
    flat->length = table + 4 + 4u * count;
    return table;
}

static void flat_point(struct flat *flat, uint32_t table, uint32_t number, uint32_t to)
{
    uint32_t at = table + 4 + 4 * number;

    put_u32(flat, at, to - at);
}

static void flat_label(
    struct flat *flat, uint32_t vector, uint32_t number, const char *key, const char *value)
{
    uint32_t at = vector + 4 + 4 * number;
    uint32_t table = flat_table(flat, 2);

    flat_point(flat, table, 0, flat_text(flat, key));
    flat_point(flat, table, 1, flat_text(flat, value));
    put_u32(flat, at, table - at);
}

static void build_flat(struct flat *flat)
{
    static const char *const texts[10] = {
        "reviews-v2-1", "shop", NULL, "owner", "reviews-v2", "", "1.20", "mesh", "", "east"};
    uint32_t root;
    uint32_t vector;

    memset(flat, 0, sizeof *flat);
    flat->length = 4;
    root = flat_table(flat, 10);
    put_u32(flat, 0, root);
    for (uint32_t i = 0; i < 10; i++) {
        if (texts[i] != NULL) {
            flat_point(flat, root, i, flat_text(flat, texts[i]));
        }
    }
    vector = flat->length = (flat->length + 3) & ~3u;
    put_u32(flat, vector, 4);
    flat->length += 4 + 4 * 4;
    flat_point(flat, root, 2, vector);
    flat_label(flat, vector, 0, "app", "reviews-app");
    flat_label(flat, vector, 1, "service.istio.io/canonical-name", "reviews");
    flat_label(flat, vector, 2, "service.istio.io/canonical-revision", "r2");
    flat_label(flat, vector, 3, "version", "v2");
}

static int read_flat(const uint8_t *bytes, size_t length, struct access_log_peer *peer)
{
    struct buffer out;

    memset(peer, 0, sizeof *peer);
    buffer_init(&out, TEST_BYTES_MAX);
    put_wrapped(&out, TYPE "BytesValue", slice_of(bytes, length));
    int status = peer_metadata_read(als_bytes(&out), peer);
    for (size_t i = 0; i < sizeof *peer / sizeof(struct slice); i++) {
        const struct slice *part = (const struct slice *)peer + i;
        assert_true(part->length == 0 ||
                    (part->ptr >= out.data && part->ptr + part->length <= out.data + out.length));
    }
    buffer_deinit(&out);
    return status;
}

static void reads_a_flatbuffer(void **state)
{
    struct flat flat;
    struct buffer out;
    struct access_log_peer peer = {.service = slice_of(NULL, 0)};

    (void)state;
    build_flat(&flat);
    buffer_init(&out, TEST_BYTES_MAX);
    put_wrapped(&out, TYPE "BytesValue", slice_of(flat.bytes, flat.length));
    assert_int_equal(peer_metadata_read(als_bytes(&out), &peer), 0);
    assert_reviews(&peer);
    buffer_deinit(&out);
}

/* Every byte set to several values, and every cut: whatever is found lies inside. */
static void a_damaged_flatbuffer_tells_nothing_from_outside(void **state)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    struct flat good;
    struct access_log_peer peer;

    (void)state;
    build_flat(&good);
    for (uint32_t at = 0; at < good.length; at++) {
        (void)read_flat(good.bytes, at, &peer);
        for (size_t i = 0; i < sizeof values; i++) {
            struct flat damaged = good;
            damaged.bytes[at] = values[i];
            (void)read_flat(damaged.bytes, damaged.length, &peer);
        }
    }
}

static void other_forms_tell_nothing(void **state)
{
    static const char *const types[] = {"", TYPE "Int64Value", "type.googleapis.com/another"};
    struct access_log_peer peer = {.service = slice_of(NULL, 0)};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buffer out;

        buffer_init(&out, TEST_BYTES_MAX);
        put_any(&out, types[i], SLICE_LITERAL("\x08\x01"));
        assert_int_equal(peer_metadata_read(als_bytes(&out), &peer), 0);
        assert_int_equal(peer.service.length, 0);
        buffer_deinit(&out);
    }
    assert_int_equal(peer_metadata_read(slice_of(NULL, 0), &peer), 0);
}

static void damage_is_told(void **state)
{
    static const struct slice rows[] = {{(const uint8_t *)"\x0a", 1}, {(const uint8_t *)"\x0a\x05\x0a", 3},
        {(const uint8_t *)"\x0a\x03\x12\x05\x1a", 5}, {(const uint8_t *)"\x0b", 1},
        {(const uint8_t *)"\x0a\x0e\x0a\x06LABELS\x12\x04\x2a\x02\x0a\x09", 16}};
    struct access_log_peer peer = {.service = slice_of(NULL, 0)};
    struct buffer out;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(peer_metadata_read_struct(rows[i], &peer) < 0);
    }
    assert_true(peer_metadata_read(SLICE_LITERAL("\x0a\x09"), &peer) < 0);
    buffer_init(&out, TEST_BYTES_MAX);
    put_any(&out, TYPE "StringValue", SLICE_LITERAL("\x0a\x09"));
    assert_true(peer_metadata_read(als_bytes(&out), &peer) < 0);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_structs),
        cmocka_unit_test(reads_text),
        cmocka_unit_test(reads_a_flatbuffer),
        cmocka_unit_test(a_damaged_flatbuffer_tells_nothing_from_outside),
        cmocka_unit_test(other_forms_tell_nothing),
        cmocka_unit_test(damage_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
