/* Names to ids: the interner rule, what a batch remembers, routes per destination, senders. */
#include "fixture.h"

static void test_texts_are_cleaned_and_interned(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, 1000);
    assert_int_equal(context_intern(&f.context, SLICE_LITERAL("")), INTERNED_UNKNOWN);
    assert_id(&f, context_intern(&f.context, SLICE_LITERAL("reviews")), "reviews");
    assert_id(&f, context_intern(&f.context, SLICE_LITERAL("a\nb")),
        "a\xef\xbf\xbd"
        "b");
    f.limits.string_bytes_max = 16;
    assert_id(&f, context_intern(&f.context, SLICE_LITERAL("0123456789abcdefgh")), "0123456789abcdef");
    fixture_deinit(&f);
}

static void test_new_names_overflow_when_they_may_not_be_added(void **state)
{
    struct fixture f;
    uint32_t known;
    uint8_t side;

    (void)state;
    fixture_init(&f, 1000);
    known = context_intern(&f.context, SLICE_LITERAL("reviews"));
    context_batch_begin(&f.context, false, 2);
    assert_int_equal(context_intern(&f.context, SLICE_LITERAL("reviews")), known);
    assert_int_equal(context_intern(&f.context, SLICE_LITERAL("ratings")), INTERNED_OVERFLOW);
    assert_int_equal(
        context_name_of(&f.context, SLICE_LITERAL("outbound|80||ratings.shop.svc.x"), false, &side).service,
        INTERNED_OVERFLOW);
    /* the next batch may, and what was remembered of this one does not stand in its way */
    context_batch_begin(&f.context, true, 3);
    assert_id(&f,
        context_name_of(&f.context, SLICE_LITERAL("outbound|80||ratings.shop.svc.x"), false, &side).service,
        "ratings");
    fixture_deinit(&f);
}

static void test_a_full_interner_overflows(void **state)
{
    struct fixture f;
    bool overflowed = false;

    (void)state;
    fixture_init(&f, 256);
    for (int i = 0; i < 1000; i++) {
        char text[16];
        uint32_t id;

        snprintf(text, sizeof text, "s%d", i);
        id = context_intern(&f.context, slice_of_string(text));
        assert_int_not_equal(id, INTERNED_FULL);
        overflowed = overflowed || id == INTERNED_OVERFLOW;
    }
    assert_true(overflowed);
    assert_id(&f, context_intern(&f.context, SLICE_LITERAL("s1")), "s1");
    fixture_deinit(&f);
}

static void test_names_are_remembered_apart(void **state)
{
    struct fixture f;
    uint8_t side = 99;
    struct service_ids ids;

    (void)state;
    fixture_init(&f, 1000);
    for (int round = 0; round < 3; round++) {
        ids = context_name_of(&f.context, SLICE_LITERAL("PassthroughCluster"), false, &side);
        assert_int_equal(ids.service, INTERNED_EXTERNAL);
        assert_int_equal(ids.service_namespace, INTERNED_EXTERNAL);
        assert_int_equal(side, CLUSTER_SIDE_SOURCE);
        ids = context_name_of(
            &f.context, SLICE_LITERAL("PassthroughCluster"), true, &side); /* the same as a host */
        assert_id(&f, ids.service, "PassthroughCluster");
        assert_int_equal(side, CLUSTER_SIDE_UNTOLD);
        for (int i = 0; i < 100; i++) { /* more than are remembered */
            char text[64];
            char service[16];

            snprintf(service, sizeof service, "s%d", i);
            snprintf(text, sizeof text, "outbound|80||%s.shop.svc.cluster.local", service);
            ids = context_name_of(&f.context, slice_of_string(text), false, &side);
            assert_id(&f, ids.service, service);
            assert_id(&f, ids.service_namespace, "shop");
        }
    }
    fixture_deinit(&f);
}

static void test_resources_are_compared_by_content(void **state)
{
    struct fixture f;
    char name[600] = "a";
    struct span_resource resource = {.service_name = slice_of(name, 1), .sdk_name = SLICE_LITERAL("envoy")};

    (void)state;
    fixture_init(&f, 10000);
    assert_id(&f, context_resource_of(&f.context, &resource, NULL)->ids.service, "a");
    name[0] = 'b'; /* the decoder used its memory again */
    assert_id(&f, context_resource_of(&f.context, &resource, NULL)->ids.service, "b");
    assert_true(context_resource_of(&f.context, &resource, NULL)->is_envoy);
    memset(name, 'x', sizeof name);
    resource.service_name.length = sizeof name; /* longer than what is remembered */
    for (int i = 0; i < 3; i++) {
        name[1] = (char)('a' + i);
        assert_int_equal(
            interner_text(f.interner, context_resource_of(&f.context, &resource, NULL)->ids.service).ptr[1],
            'a' + i);
    }
    fixture_deinit(&f);
}

static void test_a_contradicted_claim_gets_the_peers_name(void **state)
{
    struct fixture f;
    struct sender sender = {.kind = SENDER_POD, .name = "u-1", .namespace = "bank"};
    const struct span_resource honest = {
        .service_name = SLICE_LITERAL("teller"), .k8s_namespace = SLICE_LITERAL("bank")};
    const struct span_resource liar = {
        .service_name = SLICE_LITERAL("productpage"), .k8s_namespace = SLICE_LITERAL("shop")};
    struct service_ids ids;

    (void)state;
    fixture_init(&f, 1000);
    sender_id_format(&sender);
    assert_id(&f, context_resource_of(&f.context, &honest, &sender)->ids.service, "teller");
    assert_int_equal(metric_get(f.cells, METRIC_IDENTITY_CONFLICTS), 0);
    ids = context_resource_of(&f.context, &liar, &sender)->ids;
    assert_id(&f, ids.service, "pod/bank/u-1");
    assert_id(&f, ids.service_namespace, "bank");
    assert_int_equal(metric_get(f.cells, METRIC_IDENTITY_CONFLICTS), 1);
    fixture_deinit(&f);
}

static void test_routes_have_a_limit_per_destination(void **state)
{
    struct fixture f;
    const struct service_ids a = {.service = 10, .service_namespace = 1};
    const struct service_ids b = {.service = 11, .service_namespace = 1};

    (void)state;
    fixture_init(&f, 1000);
    context_deinit(&f.context);
    f.limits.routes_per_destination_max = 2;
    assert_int_equal(context_init(&f.context, f.interner, &f.limits, f.cells), 0);
    context_batch_begin(&f.context, true, 1);
    assert_int_equal(context_route(&f.context, a, SLICE_LITERAL("")), INTERNED_UNKNOWN);
    assert_id(&f, context_route(&f.context, a, SLICE_LITERAL("/1")), "/1");
    assert_id(&f, context_route(&f.context, a, SLICE_LITERAL("/2")), "/2");
    assert_id(&f, context_route(&f.context, a, SLICE_LITERAL("/3")), "/*");
    assert_id(&f, context_route(&f.context, a, SLICE_LITERAL("/1")), "/1");
    assert_id(&f, context_route(&f.context, b, SLICE_LITERAL("/3")), "/3");
    assert_int_equal(metric_get(f.cells, METRIC_ROUTES_LIMITED), 1);
    context_batch_begin(&f.context, false, 2); /* the rest needs no room */
    assert_id(&f, context_route(&f.context, a, SLICE_LITERAL("/4")), "/*");
    assert_int_equal(context_route_known(&f.context, a, 5, INTERNED_OVERFLOW), INTERNED_OVERFLOW);
    fixture_deinit(&f);
}

static void test_a_sender_holds_its_id(void **state)
{
    struct fixture f;
    struct sender sender = {.kind = SENDER_UNIT, .name = "envoy.service"};

    (void)state;
    fixture_init(&f, 1000);
    sender_id_format(&sender);
    context_sender_bind(&f.context, &sender);
    for (int i = 0; i < 10; i++) {
        interner_sweep(f.interner);
    }
    assert_id(&f, sender.interned, "unit/envoy.service");
    context_sender_release(&f.context, &sender);
    for (int i = 0; i < 10; i++) {
        interner_sweep(f.interner);
    }
    assert_int_equal(interner_find(f.interner, SLICE_LITERAL("unit/envoy.service")), INTERNED_FULL);
    assert_int_equal(sender.interned, INTERNED_NONE);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_cleaned_and_interned),
        cmocka_unit_test(test_new_names_overflow_when_they_may_not_be_added),
        cmocka_unit_test(test_a_full_interner_overflows),
        cmocka_unit_test(test_names_are_remembered_apart),
        cmocka_unit_test(test_resources_are_compared_by_content),
        cmocka_unit_test(test_a_contradicted_claim_gets_the_peers_name),
        cmocka_unit_test(test_routes_have_a_limit_per_destination),
        cmocka_unit_test(test_a_sender_holds_its_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
