/*
 * Random bytes, drawn from the characters that mean something, through every reader of text. Each text lies
 * in memory of exactly its length, so that AddressSanitizer sees any step outside; what a reader hands out
 * has to lie inside.
 */
#include "testing.h"

#include <stdlib.h>

#include "context/clean_text.h"
#include "context/outcome.h"
#include "context/request.h"
#include "context/response_flags.h"
#include "context/sampling.h"
#include "context/sender.h"
#include "context/service_name.h"

enum { ROUNDS = 60000, LENGTH_MAX = 90 };

static uint32_t next(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 16;
}

static void assert_inside(struct slice part, struct slice whole)
{
    if (part.length > 0) {
        assert_true(part.ptr >= whole.ptr && part.ptr + part.length <= whole.ptr + whole.length);
    }
}

static void read_names(struct slice text)
{
    struct cluster_name cluster = cluster_name_of(text);
    struct service_name host = service_name_of_host(text);
    struct service_name resource = service_name_of_resource(text, slice_of(NULL, 0), true);

    assert_inside(cluster.name.service, text);
    assert_inside(cluster.name.service_namespace, text);
    assert_inside(host.service, text);
    assert_inside(host.service_namespace, text);
    assert_inside(resource.service, text);
    assert_inside(resource.service_namespace, text);
    assert_inside(namespace_of_node_id(text), text);
    assert_inside(host_of_url(text), text);
    assert_inside(strip_query(text), text);
    assert_true(!host.external || host.service.length == 0);
}

static void read_numbers(struct slice text)
{
    uint64_t threshold = 0;

    assert_true(!sampling_threshold_of(text, &threshold) || threshold < SAMPLING_THRESHOLD_END);
    assert_int_equal(response_flags_parse(text) & ~RESPONSE_FLAGS_ALL, 0);
    assert_in_range(grpc_status_of(text) + 1, 0, GRPC_STATUS_MAX + 1);
    assert_in_range(method_of(text), METHOD_NONE, METHOD_OTHER);
}

static void read_sender(struct slice text)
{
    struct sender sender = {.kind = SENDER_UNKNOWN};
    struct sender_labels labels = sender_labels_of(text);

    if (sender_read_cgroup(text, &sender)) {
        assert_in_range(sender.kind, SENDER_POD, SENDER_UNIT);
        assert_true(sender.name[0] != '\0');
    }
    sender_id_format(&sender);
    assert_inside(labels.workload, text);
    assert_inside(labels.workload_namespace, text);
}

static void clean(struct slice text, size_t length_max)
{
    struct clean_text_buffer buffer;
    struct clean_text_buffer again;
    struct slice cleaned = clean_text(text, length_max, &buffer);

    assert_true(cleaned.length <= length_max);
    assert_ptr_equal(clean_text(cleaned, length_max, &again).ptr, cleaned.ptr); /* clean already */
}

static void feed(const char *alphabet, size_t alphabet_length)
{
    uint32_t random = 1;

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t length = next(&random) % LENGTH_MAX;
        uint8_t *bytes = malloc(length > 0 ? length : 1);

        assert_non_null(bytes);
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (uint8_t)alphabet[next(&random) % alphabet_length];
        }
        read_names(slice_of(bytes, length));
        read_numbers(slice_of(bytes, length));
        read_sender(slice_of(bytes, length));
        clean(slice_of(bytes, length), next(&random) % LENGTH_MAX);
        free(bytes);
    }
}

static void test_names(void **state)
{
    static const char alphabet[] = "|._-/~:;@[]0123456789abz";

    (void)state;
    feed(alphabet, sizeof alphabet - 1);
}

static void test_lists(void **state)
{
    static const char alphabet[] = ",; =ot:thcURXDF0-\t\n/pod.slice";

    (void)state;
    feed(alphabet, sizeof alphabet - 1);
}

static void test_bytes(void **state)
{
    static const char alphabet[] = "a\x00\x1f\x7f\x80\xbf\xc0\xc2\xc3\xa9\xe0\xed\xa0\xef\xf0\x90\xf4\xff";

    (void)state;
    feed(alphabet, sizeof alphabet - 1);
}

static void test_pieces(void **state)
{
    static const char *const pieces[] = {"outbound|", "inbound|", "80", "|", "||", "reviews", ".shop", ".svc",
        ".cluster.local", "outbound_.", "_.", "cds_egress_", "_http_", "8080", ".internal", ".internal-v1",
        ".external", ".consul", "~", "/rule/", "httproute/", "kube-svc:", "-8080_gloo", "[::1]", "http://",
        "?x", ";"};
    uint32_t random = 7;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t count = next(&random) % 8;
        size_t length = 0;
        uint8_t *bytes = malloc(160);
        uint8_t *exact;

        assert_non_null(bytes);
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[next(&random) % COUNT_OF(pieces)];

            memcpy(bytes + length, piece, strlen(piece));
            length += strlen(piece);
        }
        exact = realloc(bytes, length > 0 ? length : 1);
        assert_non_null(exact);
        read_names(slice_of(exact, length));
        free(exact);
    }
}

static void test_nothing_at_all(void **state)
{
    struct slice nothing = slice_of(NULL, 0);

    (void)state;
    read_names(nothing);
    read_numbers(nothing);
    read_sender(nothing);
    clean(nothing, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
