/* The table of pods, and what it tells of a sender that is known by its cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/pods.h"
#include "core/error.h"

#define UID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

static struct pod_facts facts_of(const char *uid, const char *name)
{
    return (struct pod_facts){.uid = slice_of_string(uid),
        .name = slice_of_string(name),
        .pod_namespace = SLICE_LITERAL("shop"),
        .owner_kind = SLICE_LITERAL("ReplicaSet"),
        .owner_name = SLICE_LITERAL("reviews-v1-7d5b9c4b6d"),
        .template_hash = SLICE_LITERAL("7d5b9c4b6d"),
        .version = SLICE_LITERAL("v1")};
}

static void add(struct pod_table *table, const char *uid, const char *name)
{
    struct pod_facts facts = facts_of(uid, name);

    assert_int_equal(pod_table_add(table, &facts), 0);
}

/* A process in a pod's cgroup, as the systemd driver of containerd names it. */
static struct sender sender_in_pod(void)
{
    static const char cgroup[] =
        "0::/kubepods.slice/kubepods-burstable.slice/"
        "kubepods-burstable-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0"
        ".slice/cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope\n";
    struct sender sender = {.kind = SENDER_USER};

    assert_true(sender_read_cgroup(slice_of_string(cgroup), &sender));
    sender_id_format(&sender);
    return sender;
}

static void a_sender_gets_its_pods_names(void **state)
{
    struct pods pods;
    struct pod_table table;
    struct sender sender = sender_in_pod();

    (void)state;
    pods_init(&pods);
    assert_string_equal(sender.id, "pod/" UID);
    assert_false(pods_describe(NULL, &sender));
    assert_false(pods_describe(&pods, &sender));
    assert_int_equal(pods_generation(&pods), 0);
    pod_table_init(&table);
    add(&table, "zzz", "other");
    add(&table, UID, "reviews-v1-7d5b9c4b6d-x2x4z");
    add(&table, "aaa", "other");
    pods_replace(&pods, &table);
    assert_int_equal(pods_generation(&pods), 1);
    assert_true(pods_describe(&pods, &sender));
    assert_string_equal(sender.id, "pod/shop/reviews-v1/reviews-v1-7d5b9c4b6d-x2x4z");
    assert_string_equal(sender.version, "v1");

    struct sender_labels labels = sender_labels_of(slice_of_string(sender.id));
    assert_true(slice_equal(labels.kind, SLICE_LITERAL("pod")));
    assert_true(slice_equal(labels.workload_namespace, SLICE_LITERAL("shop")));
    assert_true(slice_equal(labels.workload, SLICE_LITERAL("reviews-v1")));
    assert_true(slice_equal(labels.pod, SLICE_LITERAL("reviews-v1-7d5b9c4b6d-x2x4z")));

    /* With the namespace known, a claim of another one contradicts; so does another pod's uid. */
    struct sender_claim claim = {.service_namespace = SLICE_LITERAL("bank")};
    assert_true(sender_contradicts(&sender, &claim));
    claim = (struct sender_claim){.pod_uid = SLICE_LITERAL("zzz")};
    assert_true(sender_contradicts(&sender, &claim));
    claim = (struct sender_claim){.pod_uid = SLICE_LITERAL(UID), .service_namespace = SLICE_LITERAL("shop")};
    assert_false(sender_contradicts(&sender, &claim));
    pods_deinit(&pods);
}

static void a_new_table_replaces_the_old(void **state)
{
    struct pods pods;
    struct pod_table table;
    struct pod pod;

    (void)state;
    pods_init(&pods);
    pod_table_init(&table);
    add(&table, "a", "one");
    pods_replace(&pods, &table);
    assert_int_equal(table.count, 0);
    assert_true(pods_find(&pods, "a", &pod));
    add(&table, "b", "t/w\"o\n");
    pods_replace(&pods, &table);
    assert_false(pods_find(&pods, "a", &pod));
    assert_true(pods_find(&pods, "b", &pod));
    assert_string_equal(pod.name, "t_w_o_");
    pods_deinit(&pods);
}

static void a_table_has_a_limit(void **state)
{
    struct pod_table table;

    (void)state;
    pod_table_init(&table);
    for (int i = 0; i < PODS_COUNT_MAX; i++) {
        char uid[16];
        (void)snprintf(uid, sizeof uid, "%d", i);
        add(&table, uid, "pod");
    }
    struct pod_facts facts = facts_of("x", "pod");
    assert_int_equal(pod_table_add(&table, &facts), WERR_FULL);
    assert_int_equal(table.over_count, 1);
    pod_table_deinit(&table);
    pod_table_deinit(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_gets_its_pods_names),
        cmocka_unit_test(a_new_table_replaces_the_old),
        cmocka_unit_test(a_table_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
