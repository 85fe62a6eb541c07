/* Attributes of samples' spans: whose are told, which keys, what broken spans do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decode/otlp_json.h"
#include "query/why_spans.h"

enum { REQUESTS = 400, SERVICE = 10, PART_BYTES_MAX = 1 << 20, SLOW_EVERY = 20 };

/* One in SLOW_EVERY requests is slow; each a trace of its own. */
struct world {
    struct observations *observations;
    struct why *why;
    struct why_trace traces[REQUESTS];
    struct shared_bytes *parts[REQUESTS];
    struct why_result result;
};

static bool is_slow(int i)
{
    return i % SLOW_EVERY == 0;
}

static void put_id(uint8_t trace_id[16], int i)
{
    memset(trace_id, 0, 16);
    trace_id[0] = 1;
    trace_id[1] = (uint8_t)(i >> 8);
    trace_id[2] = (uint8_t)i;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->observations = observations_new(&(struct observations_settings){.count_max = REQUESTS});
    w->why = why_new(REQUESTS);
    assert_non_null(w->observations);
    assert_non_null(w->why);
    for (int i = 0; i < REQUESTS; i++) {
        uint32_t ms = 10 + (is_slow(i) ? 90 : 0);
        struct observation o = {
            .end_unix_ns = 1000000000000ull + (uint64_t)i * 50000000,
            .duration_ns = ms * 1000000ull + (uint64_t)(i % 7) * 1000,
            .self_us = ms * 1000,
            .has_self = true,
            .service = SERVICE,
            .side = TIMING_SERVER,
        };
        put_id(o.trace_id, i);
        observations_add(w->observations, &o);
    }
    why_select(w->why, w->observations,
        &(struct why_question){.service = SERVICE, .any_namespace = true, .until_unix_ns = UINT64_MAX});
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < REQUESTS; i++) {
        shared_bytes_unref(w->parts[i]);
    }
    why_free(w->why);
    observations_free(w->observations);
    free(w);
    return 0;
}

/*
 * A trace of three spans: the gate's, above cart's, above db's. The texts are lists of attributes in JSON;
 * one resource attribute of cart.
 */
static struct shared_bytes *trace_of(
    int i, const char *gate, const char *cart, const char *db, const char *resource)
{
    static const char format[] =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
        "\"stringValue\":"
        "\"gate\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"01%02x%02x00000000000000000000000000\","
        "\"spanId\":"
        "\"0000000000000001\",\"name\":\"a\",\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"9\","
        "\"attributes\":[%s]}"
        "]}]},{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"cart\"}}%"
        "s]},"
        "\"scopeSpans\":[{\"spans\":[{\"traceId\":\"01%02x%02x00000000000000000000000000\",\"spanId\":"
        "\"0000000000000002\",\"parentSpanId\":\"0000000000000001\",\"name\":\"b\",\"startTimeUnixNano\":"
        "\"2\","
        "\"endTimeUnixNano\":\"8\",\"attributes\":[%s]}]}]},{\"resource\":{\"attributes\":[{\"key\":"
        "\"service.name\","
        "\"value\":{\"stringValue\":\"db\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":"
        "\"01%02x%02x00000000000000000000000000\",\"spanId\":\"0000000000000003\",\"parentSpanId\":"
        "\"0000000000000002\",\"name\":\"c\",\"startTimeUnixNano\":\"3\",\"endTimeUnixNano\":\"7\","
        "\"attributes\":[%s]}"
        "]}]}]}";
    char json[8192];
    struct decode_error where;
    struct buffer out;
    int high = i >> 8;
    int low = i & 255;

    (void)snprintf(json, sizeof json, format, high, low, gate, resource, high, low, cart, high, low, db);
    buffer_init(&out, PART_BYTES_MAX);
    assert_int_equal(otlp_json_to_protobuf(slice_of_string(json), OTLP_JSON_TRACES, 32, &out, &where), 0);
    struct shared_bytes *bytes = shared_bytes_take(&out);
    assert_non_null(bytes);
    return bytes;
}

static void set_part(struct world *w, int i, struct shared_bytes *bytes)
{
    w->parts[i] = bytes;
    put_id(w->traces[i].trace_id, i);
    w->traces[i].parts = &w->parts[i];
    w->traces[i].part_count = 1;
}

/* Tells the first `count` traces of `service` and ranks. */
static void rank(struct world *w, const char *service, uint32_t count)
{
    assert_int_equal(why_tell_spans(w->why, slice_of_string(service), w->traces, count), 0);
    why_rank(w->why, &w->result);
}

static const struct why_cause *find(const struct world *w, const char *key)
{
    for (uint32_t i = 0; i < w->result.cause_count; i++) {
        const struct why_cause *cause = &w->result.causes[i];
        if (cause->kind == WHY_ATTRIBUTE && slice_equal(cause->key, slice_of_string(key))) {
            return cause;
        }
    }
    return NULL;
}

#define TEXT(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"

static void own_spans_and_those_above(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < REQUESTS; i++) {
        set_part(w, i,
            is_slow(i)
                ? trace_of(i, TEXT("tenant", "acme"),
                      "{\"key\":\"batch\",\"value\":{\"boolValue\":true}},{\"key\":\"items\",\"value\":{"
                      "\"intValue\":"
                      "\"500\"}}",
                      TEXT("below", "yes"),
                      "," TEXT("host.name", "node-9") "," TEXT("k8s.pod.name", "cart-9"))
                : trace_of(i, TEXT("tenant", "others"), "{\"key\":\"items\",\"value\":{\"intValue\":\"3\"}}",
                      "", "," TEXT("host.name", "node-1")));
    }
    rank(w, "cart", REQUESTS);
    assert_int_equal(w->result.verdict, WHY_CAUSE_FOUND);
    assert_int_equal(w->result.sample_counts[true], REQUESTS / SLOW_EVERY);
    assert_int_equal(w->result.sample_counts[false], WHY_SAMPLE_COUNT);
    static const struct {
        const char *key;
        const char *text;
    } told[] = {{"tenant", "acme"}, {"batch", "true"}, {"items", "500"}, {"host.name", "node-9"}};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        const struct why_cause *cause = find(w, told[i].key);
        assert_non_null(cause);
        assert_true(slice_equal(cause->text, slice_of_string(told[i].text)));
        assert_true(cause->share_slow == 1 && cause->share_rest == 0);
        assert_int_equal(cause->slow_count, REQUESTS / SLOW_EVERY);
        assert_true(cause->excess_seconds > 1.5);
        uint8_t number = cause->example_trace_id[2];
        assert_true(is_slow(cause->example_trace_id[1] << 8 | number));
    }
    assert_null(find(w, "below"));
    assert_null(find(w, "k8s.pod.name"));
    uint32_t standing = 0; /* they all say the same: one stands, the others come with it */
    for (uint32_t i = 0; i < w->result.cause_count; i++) {
        standing += w->result.causes[i].kind == WHY_ATTRIBUTE && w->result.causes[i].companion_of < 0;
    }
    assert_int_equal(standing, 1);
}

static void where_none_is_its_own_all_are(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < REQUESTS; i++) {
        set_part(w, i, trace_of(i, "", "", is_slow(i) ? TEXT("below", "yes") : TEXT("below", "no"), ""));
    }
    rank(w, "somebody", REQUESTS);
    assert_non_null(find(w, "below"));
}

static void what_the_agent_reads_is_no_attribute(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < REQUESTS; i++) {
        char cart[2048];
        (void)snprintf(cart, sizeof cart,
            TEXT("http.route", "/%s") "," TEXT("guid:x-request-id", "%s") "," TEXT(
                "weft.kept", "%s") "," TEXT("otel.x", "%s") "," TEXT("",
                "%s") ","
                      "{\"key\":\"list\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"%s\"}]}}},"
                      "{\"key\":\"real\",\"value\":{\"doubleValue\":%d.5}},{\"key\":\"none\"}," TEXT(
                          "long", "%s%0300d"),
            is_slow(i) ? "s" : "f", is_slow(i) ? "s" : "f", is_slow(i) ? "s" : "f", is_slow(i) ? "s" : "f",
            is_slow(i) ? "s" : "f", is_slow(i) ? "s" : "f", is_slow(i), is_slow(i) ? "s" : "f", 7);
        set_part(w, i, trace_of(i, "", cart, "", ""));
    }
    rank(w, "cart", REQUESTS);
    for (uint32_t i = 0; i < w->result.cause_count; i++) {
        assert_int_not_equal(w->result.causes[i].kind, WHY_ATTRIBUTE);
    }
}

/* Traces that nobody has any more are no samples: to lack an attribute is not the same as not to be known. */
static void what_is_not_there_does_not_count(void **state)
{
    struct world *w = *state;
    uint32_t count = 0;

    for (int i = 0; i < REQUESTS; i++) {
        if (i % 3 == 0) {
            set_part(
                w, i, trace_of(i, "", is_slow(i) ? TEXT("tenant", "acme") : TEXT("tenant", "b"), "", ""));
            w->traces[count] = w->traces[i];
            count++;
        }
    }
    rank(w, "cart", count);
    const struct why_cause *cause = find(w, "tenant");
    assert_non_null(cause);
    assert_true(cause->share_slow == 1);
    assert_true(w->result.sample_counts[true] < REQUESTS / SLOW_EVERY);
    assert_int_equal(cause->slow_count, w->result.sample_counts[true]);
}

static void broken_parts_and_no_parts(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < REQUESTS; i++) {
        static const uint8_t nonsense[] = {0x0a, 0xff, 0xff, 0x03, 0x01};
        set_part(w, i, shared_bytes_copy(slice_of(nonsense, sizeof nonsense)));
    }
    rank(w, "cart", REQUESTS);
    assert_null(find(w, "tenant"));
    assert_int_equal(why_tell_spans(w->why, SLICE_LITERAL("cart"), NULL, 0), 0);
    why_rank(w->why, &w->result);
    assert_int_equal(w->result.sample_counts[true] + w->result.sample_counts[false], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(own_spans_and_those_above, setup, teardown),
        cmocka_unit_test_setup_teardown(where_none_is_its_own_all_are, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_agent_reads_is_no_attribute, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_parts_and_no_parts, setup, teardown),
    };
    return cmocka_run_group_tests_name("why_spans", tests, NULL, NULL);
}
