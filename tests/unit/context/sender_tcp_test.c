/* Senders over TCP: what their certificates and addresses make of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "context/sender_tcp.h"

static void check_id(const struct sender *sender, const char *id, const char *kind, const char *workload,
    const char *workload_namespace)
{
    struct sender_labels labels = sender_labels_of(slice_of_string(sender->id));

    assert_string_equal(sender->id, id);
    assert_true(slice_equal(labels.kind, slice_of_string(kind)));
    assert_true(slice_equal(labels.workload, slice_of_string(workload)));
    assert_true(slice_equal(labels.workload_namespace, slice_of_string(workload_namespace)));
    assert_int_equal(sender->pid, 0);
    assert_int_equal(sender->uid, SENDER_UID_UNMAPPED);
}

static void certificates_name_senders(void **state)
{
    struct sender sender;

    (void)state;
    sender_of_name("spiffe://cluster.local/ns/shop/sa/orders", &sender);
    assert_int_equal(sender.kind, SENDER_SAN);
    check_id(&sender, "san/shop/cluster.local_ns_shop_sa_orders", "san", "cluster.local_ns_shop_sa_orders",
        "shop");
    sender_of_name("https://example.org/orders", &sender);
    check_id(&sender, "san/https:__example.org_orders", "san", "https:__example.org_orders", "");
    sender_of_name("orders.shop.svc", &sender);
    check_id(&sender, "san/orders.shop.svc", "san", "orders.shop.svc", "");
    sender_of_name("a\xff\"b\n\\", &sender); /* no exposition may break of what was signed */
    check_id(&sender, "san/a__b__", "san", "a__b__", "");
}

static void addresses_name_senders(void **state)
{
    struct sender sender;

    (void)state;
    sender_of_address("10.0.0.7", &sender);
    assert_int_equal(sender.kind, SENDER_ADDRESS);
    check_id(&sender, "address/10.0.0.7", "address", "10.0.0.7", "");
    sender_of_address("fd00::7", &sender);
    check_id(&sender, "address/fd00::7", "address", "fd00::7", "");
}

/* Two long names that begin alike are two senders. */
static void long_names_stay_apart(void **state)
{
    char name[240];
    struct sender first;
    struct sender second;

    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "spiffe://", 9);
    sender_of_name(name, &first);
    name[sizeof name - 2] = 'b';
    sender_of_name(name, &second);
    assert_int_equal(strlen(first.name), SENDER_NAME_BYTES - 1);
    assert_string_not_equal(first.id, second.id);
    assert_memory_equal(first.name, second.name, SENDER_NAME_BYTES - 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_name_senders),
        cmocka_unit_test(addresses_name_senders),
        cmocka_unit_test(long_names_stay_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
