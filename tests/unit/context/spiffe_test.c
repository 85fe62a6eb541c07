/* SPIFFE URIs to (service, namespace). */
#include "testing.h"

#include "context/spiffe.h"

static void reads_the_known_forms(void **state)
{
    static const struct {
        const char *uri, *service, *service_namespace;
    } rows[] = {
        {"spiffe://cluster.local/ns/shop/sa/reviews", "reviews", "shop"},
        {"spiffe://cluster.local/ns/shop/sa/default", "", "shop"},
        {"spiffe://11111111-2222.consul/ns/default/dc/dc1/svc/web", "web", "default"},
        {"spiffe://11111111-2222.consul/ap/team/ns/default/dc/dc1/svc/web", "web", "default"},
        {"spiffe://cluster.local", "", ""},
        {"spiffe://cluster.local/", "", ""},
        {"spiffe://cluster.local/ns", "", ""},
        {"spiffe://cluster.local/ns/shop", "", "shop"},
        {"spiffe://cluster.local/workload/web", "", ""},
        {"https://cluster.local/ns/shop/sa/reviews", "", ""},
        {"spiffe://", "", ""},
        {"", "", ""},
        {"spiffe://a/1/1/2/2/3/3/4/4/5/5/6/6/7/7/8/8/ns/shop", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct service_name name = service_name_of_spiffe(slice_of_string(rows[i].uri));

        assert_text(name.service, rows[i].service);
        assert_text(name.service_namespace, rows[i].service_namespace);
        assert_false(name.external);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_the_known_forms)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
