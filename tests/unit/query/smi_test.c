/* The Service Mesh Interface's traffic metrics: numbers that are known, pairs that are one, and paths of all
 * kinds. */
#include "../aggregate/fixture.h"

#include <jansson.h>

#include "core/buffer.h"
#include "query/query.h"
#include "query/query_smi.h"

#define BASE "/apis/metrics.smi-spec.io/v1alpha1"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    fixture_start(f, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

/* The answer, to be released; its status is expected. */
static json_t *ask(struct fixture *f, const char *path, unsigned expected)
{
    struct query_sources sources = {
        .aggregator = f->aggregator, .registry = &f->registry, .clock = &f->clock.clock};
    struct buffer out;
    json_error_t error;

    buffer_init(&out, 1 << 24);
    assert_true(query_knows(path));
    assert_int_equal(query_run(&sources, path, NULL, 0, &out), expected);
    json_t *answer = json_loadb((const char *)out.data, out.length, 0, &error);

    assert_non_null(answer);
    buffer_deinit(&out);
    return answer;
}

static void record(struct fixture *f, enum reporter reporter, const char *source, const char *destination,
    const char *destination_namespace, enum outcome outcome, unsigned count)
{
    struct request request = fixture_request(f, 0, "proxy", source, destination, "/");

    request.reporter = (uint8_t)reporter;
    request.destination_namespace = interner_intern(f->interners[0], slice_of_string(destination_namespace));
    request.outcome = (uint8_t)outcome;
    request.duration_ns = 4 * MS_NS;
    for (unsigned i = 0; i < count; i++) {
        directory_record(f->directories[0], &request);
    }
}

static const char *text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* The value of a metric, a Kubernetes quantity. */
static const char *metric(json_t *traffic, const char *name)
{
    json_t *metrics = json_object_get(traffic, "metrics");

    for (size_t i = 0; i < json_array_size(metrics); i++) {
        if (strcmp(text_at(json_array_get(metrics, i), "name"), name) == 0) {
            return text_at(json_array_get(metrics, i), "value");
        }
    }
    fail_msg("no %s", name);
    return "";
}

static void check_counts(json_t *traffic, const char *success, const char *failure)
{
    assert_string_equal(metric(traffic, "success_count"), success);
    assert_string_equal(metric(traffic, "failure_count"), failure);
}

/* The item whose edge goes this way; NULL when there is none. */
static json_t *edge_item(json_t *list, const char *direction, const char *name)
{
    json_t *items = json_object_get(list, "items");

    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *edge = json_object_get(json_array_get(items, i), "edge");

        if (strcmp(text_at(edge, "direction"), direction) == 0 &&
            strcmp(text_at(json_object_get(edge, "resource"), "name"), name) == 0) {
            return json_array_get(items, i);
        }
    }
    return NULL;
}

static void a_service_is_what_it_received(void **state)
{
    struct fixture *f = *state;

    record(f, REPORTER_DESTINATION, "web", "reviews", "shop", OUTCOME_OK, 7);
    record(f, REPORTER_DESTINATION, "web", "reviews", "shop", OUTCOME_CLIENT_ERROR, 2);
    record(f, REPORTER_DESTINATION, "web", "reviews", "shop", OUTCOME_SERVER_ERROR, 3);
    record(f, REPORTER_DESTINATION, "web", "reviews", "shop", OUTCOME_CANCELLED, 5);
    record(f, REPORTER_SOURCE, "web", "reviews", "shop", OUTCOME_OK, 100);
    record(f, REPORTER_SOURCE, "web", "carts", "shop", OUTCOME_NO_RESPONSE, 4);
    fixture_advance(f, SECOND_NS);

    json_t *reviews = ask(f, BASE "/namespaces/shop/services/reviews", 200);
    json_t *edge = json_object_get(reviews, "edge");

    check_counts(reviews, "9", "3");
    assert_string_equal(text_at(edge, "side"), "server");
    assert_int_equal(json_object_size(json_object_get(edge, "resource")), 0);
    assert_string_equal(text_at(reviews, "timestamp"), "2023-11-14T22:13:21Z");
    double p50_us = strtod(metric(reviews, "p50_response_latency"), NULL);

    assert_true(p50_us > 3900 && p50_us < 4100);
    json_decref(reviews);

    json_t *carts = ask(f, BASE "/namespaces/shop/services/carts/", 200); /* reports nothing by itself */
    check_counts(carts, "0", "4");
    assert_string_equal(text_at(json_object_get(carts, "edge"), "side"), "client");
    json_decref(carts);
}

static void edges_go_both_ways_and_pairs_are_one(void **state)
{
    struct fixture *f = *state;

    record(f, REPORTER_SOURCE, "web", "reviews", "shop", OUTCOME_OK, 2);
    record(f, REPORTER_SOURCE, "web", "carts", "shop", OUTCOME_OK, 3);
    record(f, REPORTER_SOURCE, "web", "ledger", "bank", OUTCOME_OK, 4);
    record(f, REPORTER_DESTINATION, "web", "reviews", "shop", OUTCOME_OK, 5);
    fixture_advance(f, SECOND_NS);

    json_t *web = ask(f, BASE "/namespaces/shop/services/web/edges", 200);
    assert_int_equal(json_array_size(json_object_get(web, "items")), 3);
    check_counts(edge_item(web, "to", "ledger"), "4", "0");
    assert_null(edge_item(web, "from", "web"));
    json_decref(web);

    json_t *reviews = ask(f, BASE "/namespaces/shop/services/reviews/edges", 200);
    assert_int_equal(json_array_size(json_object_get(reviews, "items")), 1);
    check_counts(edge_item(reviews, "from", "web"), "5", "0");
    json_decref(reviews);

    json_t *shop = ask(f, BASE "/namespaces/shop/edges", 200);
    assert_int_equal(json_array_size(json_object_get(shop, "items")), 3);
    check_counts(edge_item(shop, "to", "shop"), "5", "0");
    check_counts(edge_item(shop, "to", "bank"), "4", "0");
    check_counts(edge_item(shop, "from", "shop"), "5", "0");
    json_decref(shop);
}

static void lists_have_each_once_and_say_what_they_leave_out(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 1100; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "service-%d", i);
        record(f, REPORTER_SOURCE, "web", name, "shop", OUTCOME_OK, 1);
    }
    fixture_advance(f, SECOND_NS);
    json_t *services = ask(f, BASE "/namespaces/shop/services", 200);
    json_t *namespaces = ask(f, BASE "/namespaces", 200);

    assert_int_equal(json_array_size(json_object_get(services, "items")), 1000);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(services, "metadata"), "remainingItemCount")),
        101);
    assert_int_equal(json_array_size(json_object_get(namespaces, "items")), 1);
    json_decref(services);
    json_decref(namespaces);
}

/* The item of a list that is about it; NULL when there is none. */
static json_t *resource_item(json_t *list, const char *name)
{
    json_t *items = json_object_get(list, "items");

    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);

        if (strcmp(text_at(json_object_get(item, "resource"), "name"), name) == 0) {
            return item;
        }
    }
    return NULL;
}

static uint64_t clock_reads_count;

/* A walk over the windows reads the clock, so this counts walks. */
static uint64_t counted_monotonic_ns(const struct clock *clock)
{
    clock_reads_count++;
    return ((const struct clock_manual *)clock)->now_monotonic_ns;
}

/* Every item has its own figures, though they are read together: the aggregator takes records meanwhile. */
static void lists_are_made_in_one_go(void **state)
{
    enum { SERVICES_COUNT = 300 };
    struct fixture *f = *state;
    enum { WALKS_MAX = 10 };
    char name[32];
    char count[32];

    for (int i = 0; i < SERVICES_COUNT; i++) {
        (void)snprintf(name, sizeof name, "service-%d", i);
        record(
            f, REPORTER_SOURCE, "web", name, i % 3 == 0 ? "bank" : "shop", OUTCOME_OK, 1 + (unsigned)i % 7);
        if (i % 2 == 0) {
            record(f, REPORTER_DESTINATION, "web", name, i % 3 == 0 ? "bank" : "shop", OUTCOME_OK, 9);
        }
    }
    fixture_advance(f, SECOND_NS);
    f->clock.clock.monotonic_ns = counted_monotonic_ns;
    clock_reads_count = 0;
    json_t *edges = ask(f, BASE "/namespaces/shop/services/web/edges", 200);
    json_t *services = ask(f, BASE "/namespaces/shop/services", 200);

    assert_true(clock_reads_count <= WALKS_MAX);

    assert_int_equal(json_array_size(json_object_get(edges, "items")), SERVICES_COUNT);
    assert_int_equal(json_array_size(json_object_get(services, "items")), SERVICES_COUNT / 3 * 2 + 1);
    for (int i = 0; i < SERVICES_COUNT; i++) {
        (void)snprintf(name, sizeof name, "service-%d", i);
        (void)snprintf(count, sizeof count, "%d", 1 + i % 7);
        check_counts(edge_item(edges, "to", name), count, "0");
        json_t *received = resource_item(services, name);
        assert_int_equal(received != NULL, i % 3 != 0); /* others are in another namespace */
        if (received != NULL) {
            check_counts(received, i % 2 == 0 ? "9" : count, "0");
            assert_string_equal(
                text_at(json_object_get(received, "edge"), "side"), i % 2 == 0 ? "server" : "client");
        }
    }
    json_decref(services);
    json_decref(edges);
}

static void what_is_not_there_is_a_status(void **state)
{
    static const char *const paths[] = {BASE "/pods", BASE "/namespaces/shop/deployments/web",
        BASE "/namespaces/nobody", BASE "/namespaces/shop/services/nobody", BASE "/namespaces/edges",
        BASE "/namespaces/shop/services/edges", BASE "/namespaces/shop/services/web/edges/x",
        BASE "/a/b/c/d/e/f/g", BASE "/namespaces/\xff\xfe/services", BASE "/namespaces/shop/services/\xc3"};
    struct fixture *f = *state;
    char longest[4096];

    record(f, REPORTER_SOURCE, "web", "reviews", "shop", OUTCOME_OK, 1);
    fixture_advance(f, SECOND_NS);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        json_t *answer = ask(f, paths[i], 404);

        json_decref(answer);
    }
    (void)snprintf(longest, sizeof longest, "%s/namespaces/%03900d", BASE, 7);
    json_t *answer = ask(f, longest, 404);
    assert_string_equal(text_at(answer, "kind"), "Status");
    json_decref(answer);

    assert_false(query_smi_knows("/apis/metrics.smi-spec.io/v1alpha"));
    assert_false(query_smi_knows(BASE "x"));
}

static void it_says_what_it_serves(void **state)
{
    static const char *const paths[] = {BASE, BASE "/", BASE "//"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        json_t *list = ask(f, paths[i], 200);

        assert_string_equal(text_at(list, "kind"), "APIResourceList");
        assert_int_equal(json_array_size(json_object_get(list, "resources")), 2);
        json_decref(list);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_service_is_what_it_received),
        TEST(edges_go_both_ways_and_pairs_are_one),
        TEST(lists_have_each_once_and_say_what_they_leave_out),
        TEST(lists_are_made_in_one_go),
        TEST(what_is_not_there_is_a_status),
        TEST(it_says_what_it_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
