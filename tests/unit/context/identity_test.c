/* Identities: composed into one text, taken apart again; what other names tell of a workload. */
#include <stdlib.h>

#include "testing.h"

#include "context/context.h"
#include "context/identity.h"
#include "core/profiles.h"

struct rig {
    struct budget budget;
    struct limits limits;
    struct metric_registry registry;
    struct interner *interner;
    struct context *context;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    limits_init(&rig->limits);
    rig->budget.cap_bytes = 1 << 24;
    rig->interner = interner_new(1000, &rig->budget);
    rig->context = calloc(1, sizeof(*rig->context));
    assert_non_null(rig->interner);
    assert_non_null(rig->context);
    assert_int_equal(context_init(rig->context, rig->interner, &rig->limits,
                         metric_registry_add(&rig->registry, METRIC_SCOPE_PROCESS, "")),
        0);
    rig->context->profiles = PROFILE_BIT(ISTIO) | PROFILE_BIT(LINKERD);
    rig->context->cluster = SLICE_LITERAL("east");
    context_batch_begin(rig->context, true, 1);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    context_deinit(rig->context);
    interner_free(rig->interner);
    metric_registry_deinit(&rig->registry);
    free(rig->context);
    free(rig);
    return 0;
}

static void check_field(const struct rig *rig, uint32_t id, unsigned number, const char *expected)
{
    struct slice field = identity_field(interner_text(rig->interner, id), number);

    if (!slice_equal(field, slice_of_string(expected))) {
        fail_msg(
            "field %u is \"%.*s\", not \"%s\"", number, (int)field.length, (const char *)field.ptr, expected);
    }
}

static struct identity web(void)
{
    return (struct identity){.workload = SLICE_LITERAL("web-v1"),
        .workload_namespace = SLICE_LITERAL("shop"),
        .principal = SLICE_LITERAL("spiffe://cluster.local/ns/shop/sa/web"),
        .app = SLICE_LITERAL("web"),
        .version = SLICE_LITERAL("v1"),
        .canonical_service = SLICE_LITERAL("web"),
        .canonical_revision = SLICE_LITERAL("v1"),
        .pod = SLICE_LITERAL("web-v1-6b746f74dc-9rlmh")};
}

static void fields_come_apart_again(void **state)
{
    struct rig *rig = *state;
    const struct identity source = web();
    const struct identity unknown = {.workload = {.length = 0}};
    struct request_parties parties =
        context_identify(rig->context, REPORTER_SOURCE, &source, &unknown, SECURITY_MUTUAL_TLS);
    static const char *const expected[IDENTITY_FIELDS_COUNT] = {
        "web-v1", "shop", "spiffe://cluster.local/ns/shop/sa/web", "web", "v1", "web", "v1", "east"};

    for (unsigned i = 0; i < IDENTITY_FIELDS_COUNT; i++) {
        check_field(rig, parties.source_identity, i, expected[i]);
    }
    check_field(rig, parties.source_identity, IDENTITY_FIELDS_COUNT, "");
    assert_int_equal(parties.destination_identity, INTERNED_NONE);
    assert_int_equal(parties.security, SECURITY_MUTUAL_TLS);
    check_field(rig, parties.own_place, PLACE_WORKLOAD, "web-v1");
    check_field(rig, parties.own_place, PLACE_NAMESPACE, "shop");
    check_field(rig, parties.own_place, PLACE_POD, "web-v1-6b746f74dc-9rlmh");
    assert_int_equal(parties.peer_workload, INTERNED_NONE);
}

static void nothing_known_is_no_identity(void **state)
{
    struct rig *rig = *state;
    const struct identity name_alone = {.canonical_service = SLICE_LITERAL("web")};
    const struct identity said_unknown = {
        .workload = SLICE_LITERAL("unknown"), .app = SLICE_LITERAL("unknown")};
    const struct identity named = {.version = SLICE_LITERAL("v1"),
        .canonical_service = SLICE_LITERAL("web"),
        .cluster = SLICE_LITERAL("north")};
    uint32_t strings_before = interner_count(rig->interner);
    struct request_parties parties =
        context_identify(rig->context, REPORTER_DESTINATION, &name_alone, &said_unknown, SECURITY_UNKNOWN);

    assert_int_equal(parties.source_identity, INTERNED_NONE);
    assert_int_equal(parties.destination_identity, INTERNED_NONE);
    assert_int_equal(parties.own_place, INTERNED_NONE);
    assert_int_equal(interner_count(rig->interner), strings_before);
    parties = context_identify(rig->context, REPORTER_DESTINATION, &name_alone, &named, SECURITY_NONE);
    check_field(rig, parties.destination_identity, IDENTITY_CANONICAL_SERVICE, "web");
    check_field(rig, parties.destination_identity, IDENTITY_CLUSTER, "north");
}

/* Texts of senders end neither fields nor bounds. */
static void hostile_texts_stay_in_their_fields(void **state)
{
    static uint8_t longest[5000];
    struct rig *rig = *state;
    struct identity source = web();
    const struct identity unknown = {.workload = {.length = 0}};

    memset(longest, 'x', sizeof longest);
    source.workload = SLICE_LITERAL("a\x1f"
                                    "b\xff\n");
    source.version = slice_of(longest, sizeof longest);
    source.principal = source.app = source.canonical_service = source.version;
    source.canonical_revision = source.cluster = source.workload_namespace = source.version;
    struct request_parties parties =
        context_identify(rig->context, REPORTER_SOURCE, &source, &unknown, SECURITY_UNKNOWN);
    struct slice text = interner_text(rig->interner, parties.source_identity);

    assert_in_range(text.length, 100, IDENTITY_BYTES_MAX);
    check_field(rig, parties.source_identity, IDENTITY_WORKLOAD,
        "a\xef\xbf\xbd"
        "b\xef\xbf\xbd\xef\xbf\xbd");
    assert_in_range(identity_field(text, IDENTITY_CLUSTER).length, 100, 200);
    assert_int_equal(identity_field(text, IDENTITY_FIELDS_COUNT).length, 0);
}

static void without_room_it_is_overflow(void **state)
{
    struct rig *rig = *state;
    const struct identity source = web();

    context_batch_begin(rig->context, false, 2);
    struct request_parties parties =
        context_identify(rig->context, REPORTER_SOURCE, &source, &source, SECURITY_UNKNOWN);

    assert_int_equal(parties.source_identity, INTERNED_OVERFLOW);
    assert_int_equal(parties.own_place, INTERNED_OVERFLOW);
    assert_int_equal(parties.peer_workload, INTERNED_OVERFLOW);
}

static void without_profiles_nothing_is_made(void **state)
{
    struct rig *rig = *state;
    const struct identity source = web();
    uint32_t strings_before = interner_count(rig->interner);

    rig->context->profiles = 0;
    struct request_parties parties =
        context_identify(rig->context, REPORTER_SOURCE, &source, &source, SECURITY_MUTUAL_TLS);

    assert_int_equal(parties.source_identity, INTERNED_NONE);
    assert_int_equal(parties.security, SECURITY_UNKNOWN);
    assert_int_equal(interner_count(rig->interner), strings_before);
}

static void a_pod_tells_its_workload(void **state)
{
    static const struct {
        const char *pod;
        const char *workload;
    } cases[] = {
        {"reviews-v1-7d5b9c4b6d-x2x4z", "reviews-v1"}, /* Deployment: hash of the template, then of the pod */
        {"db-0", "db"},                                /* StatefulSet */
        {"db-12", "db"},
        {"node-agent-x2x4z", "node-agent"}, /* DaemonSet */
        {"reviews-v1", "reviews-v1"},       /* nothing that Kubernetes made up */
        {"web-backend", "web-backend"},
        {"a", "a"},
        {"", ""},
        {"-", "-"},
        {"-0", "-0"},
        {"x2x4z", "x2x4z"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice workload = workload_of_pod(slice_of_string(cases[i].pod));

        if (!slice_equal(workload, slice_of_string(cases[i].workload))) {
            fail_msg("%s gives %.*s", cases[i].pod, (int)workload.length, (const char *)workload.ptr);
        }
    }
}

static void other_names_complete_an_identity(void **state)
{
    const struct sender unit = {.kind = SENDER_UNIT, .name = "reviews.service"};
    const struct sender pod = {.kind = SENDER_POD, .name = "0f1e2d3c"};
    struct identity identity = {.version = SLICE_LITERAL("v1")};

    (void)state;
    identity_complete(&identity, &unit, false,
        SLICE_LITERAL("sidecar~10.1.2.3~reviews-v1-7d5b9c4b6d-x2x4z.shop~shop.svc.cluster.local"));
    assert_true(slice_equal(identity.workload, SLICE_LITERAL("reviews-v1")));
    assert_true(slice_equal(identity.workload_namespace, SLICE_LITERAL("shop")));
    assert_true(slice_equal(identity.pod, SLICE_LITERAL("reviews-v1-7d5b9c4b6d-x2x4z")));

    identity = (struct identity){.workload = SLICE_LITERAL("told")};
    identity_complete(&identity, &unit, false, SLICE_LITERAL("sidecar~10.1.2.3~pod"));
    assert_true(slice_equal(identity.workload, SLICE_LITERAL("told")));
    assert_int_equal(identity.pod.length, 0);

    identity = (struct identity){.pod = {.length = 0}};
    identity_complete(&identity, &unit, false, SLICE_LITERAL(""));
    assert_true(slice_equal(identity.workload, SLICE_LITERAL("reviews")));
    identity = (struct identity){.pod = {.length = 0}};
    identity_complete(&identity, &pod, true, SLICE_LITERAL(""));
    assert_int_equal(identity.workload.length, 0); /* a number is no workload */
    identity_complete(&identity, NULL, true, SLICE_LITERAL(""));
    assert_int_equal(identity.workload.length, 0);
}

/* What the kubelet says of the peer's pod holds for the proxy in it as well; what the record says comes
 * first. */
static void the_pods_own_facts_complete_an_identity(void **state)
{
    const struct sender pod = {.kind = SENDER_POD,
        .name = "0f1e2d3c",
        .namespace = "shop",
        .pod = "reviews-v2-7d5b9c4b6d-x2x4z",
        .workload = "reviews-v2",
        .version = "v2"};
    struct identity identity = {.version = SLICE_LITERAL("told")};

    (void)state;
    identity_complete(&identity, &pod, true, slice_of(NULL, 0));
    assert_text(identity.workload, "reviews-v2");
    assert_text(identity.workload_namespace, "shop");
    assert_text(identity.pod, "reviews-v2-7d5b9c4b6d-x2x4z");
    assert_text(identity.version, "told");
    assert_text(identity.canonical_revision, "v2");
}

/* The unit that runs a proxy is not the workload beside it. */
static void a_proxys_unit_is_no_workload(void **state)
{
    const struct sender unit = {.kind = SENDER_UNIT, .name = "envoy.service"};
    struct identity identity = {.pod = {.length = 0}};

    (void)state;
    identity_complete(&identity, &unit, true, slice_of(NULL, 0));
    assert_int_equal(identity.workload.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_come_apart_again, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_known_is_no_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_texts_stay_in_their_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(without_room_it_is_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(without_profiles_nothing_is_made, setup, teardown),
        cmocka_unit_test(a_pod_tells_its_workload),
        cmocka_unit_test(other_names_complete_an_identity),
        cmocka_unit_test(the_pods_own_facts_complete_an_identity),
        cmocka_unit_test(a_proxys_unit_is_no_workload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
