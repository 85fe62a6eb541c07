/* Cluster, host and resource names. */
#include "testing.h"

#include <stdio.h>

#include "context/service_name.h"

static void test_clusters(void **state)
{
    static const struct {
        const char *cluster;
        enum cluster_side side;
        const char *service;
        const char *space;
        bool external;
    } rows[] = {
        {"outbound|80||reviews.shop.svc.cluster.local", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"outbound|80|v1|reviews.shop.svc.cluster.local", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"outbound|80||reviews.shop.svc.cluster.local;", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"outbound|80||reviews.shop.svc.corp.example", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"outbound|443||api.example.com", CLUSTER_SIDE_SOURCE, "api.example.com", "", false},
        {"outbound|443||*.example.com", CLUSTER_SIDE_SOURCE, "*.example.com", "", false},
        {"outbound|9000||10.1.2.3", CLUSTER_SIDE_SOURCE, "", "", false},
        {"outbound|9000||8.8.8.8", CLUSTER_SIDE_SOURCE, "", "", true},
        {"outbound_.80_._.reviews.shop.svc.cluster.local", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"outbound_.80_.v1_.reviews.shop.svc.cluster.local", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"inbound|8080||", CLUSTER_SIDE_DESTINATION, "", "", false},
        {"inbound|8080|http|reviews.shop.svc.cluster.local", CLUSTER_SIDE_DESTINATION, "reviews", "shop",
            false},
        {"inbound-vip|80|http|reviews.shop.svc.cluster.local", CLUSTER_SIDE_WAYPOINT, "reviews", "shop",
            false},
        {"InboundPassthroughCluster", CLUSTER_SIDE_DESTINATION, "", "", false},
        {"InboundPassthroughClusterIpv4", CLUSTER_SIDE_DESTINATION, "", "", false},
        {"InboundPassthroughClusterIpv6", CLUSTER_SIDE_DESTINATION, "", "", false},
        {"PassthroughCluster", CLUSTER_SIDE_SOURCE, "", "", true},
        {"BlackHoleCluster", CLUSTER_SIDE_SOURCE, "", "", true},
        {"original-destination", CLUSTER_SIDE_SOURCE, "", "", true},
        {"local_app", CLUSTER_SIDE_DESTINATION, "", "", false},
        {"reviews.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul", CLUSTER_SIDE_SOURCE,
            "reviews", "default", false},
        {"v1.reviews.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul", CLUSTER_SIDE_SOURCE,
            "reviews", "default", false},
        {"reviews.shop.part.dc1.internal-v1.1111.consul", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"v2.reviews.shop.part.dc1.internal-v1.1111.consul", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"reviews.default.east.external.1111.consul", CLUSTER_SIDE_SOURCE, "reviews", "default", false},
        {"1a47f6e1~reviews.default.dc1.internal.1111.consul", CLUSTER_SIDE_SOURCE, "reviews", "default",
            false},
        {"default-petstore-8080_gloo-system", CLUSTER_SIDE_SOURCE, "petstore", "default", false},
        {"kube-svc:default-pet-store-8080_gloo-system", CLUSTER_SIDE_SOURCE, "pet-store", "default", false},
        {"cds_egress_mesh_node_http_8080", CLUSTER_SIDE_SOURCE, "node", "", false},
        {"cds_egress_howto-mesh_green_howto-ns_http2_8080", CLUSTER_SIDE_SOURCE, "green", "howto-ns", false},
        {"cds_ingress_mesh_node_http_8080", CLUSTER_SIDE_DESTINATION, "node", "", false},
        {"httproute/shop/reviews/rule/0", CLUSTER_SIDE_SOURCE, "reviews", "shop", false},
        {"default/kuard/80/da39a3ee5e", CLUSTER_SIDE_SOURCE, "kuard", "default", false},
        {"reviews", CLUSTER_SIDE_UNTOLD, "reviews", "", false},
        {"service_backend", CLUSTER_SIDE_UNTOLD, "service_backend", "", false},
        {"reviews.shop.svc.cluster.local:80", CLUSTER_SIDE_UNTOLD, "reviews", "shop", false},
        /* none of the forms, though it looks like one */
        {"", CLUSTER_SIDE_UNTOLD, "", "", false},
        {";;", CLUSTER_SIDE_UNTOLD, "", "", false},
        {"|||", CLUSTER_SIDE_UNTOLD, "|||", "", false},
        {"outbound|80|", CLUSTER_SIDE_UNTOLD, "outbound|80|", "", false},
        {"outbound|80||", CLUSTER_SIDE_SOURCE, "", "", false},
        {"outbound_.80", CLUSTER_SIDE_UNTOLD, "outbound_.80", "", false},
        {"outbound_._", CLUSTER_SIDE_UNTOLD, "outbound_._", "", false},
        {"cds_egress_", CLUSTER_SIDE_UNTOLD, "cds_egress_", "", false},
        {"cds_egress_a_http_x", CLUSTER_SIDE_UNTOLD, "cds_egress_a_http_x", "", false},
        {".consul", CLUSTER_SIDE_UNTOLD, ".consul", "", false},
        {"internal.x.consul", CLUSTER_SIDE_UNTOLD, "internal.x.consul", "", false},
        {"a.b.c.d.e.f.g.internal.x.consul", CLUSTER_SIDE_UNTOLD, "a.b.c.d.e.f.g.internal.x.consul", "",
            false},
        {"-8080_x", CLUSTER_SIDE_UNTOLD, "-8080_x", "", false},
        {"a-8080_x", CLUSTER_SIDE_UNTOLD, "a-8080_x", "", false},
        {"////", CLUSTER_SIDE_UNTOLD, "////", "", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cluster_name got = cluster_name_of(slice_of_string(rows[i].cluster));

        if (got.side != rows[i].side || got.name.external != rows[i].external) {
            fail_msg("%s: side %d, external %d", rows[i].cluster, got.side, got.name.external);
        }
        assert_text(got.name.service, rows[i].service);
        assert_text(got.name.service_namespace, rows[i].space);
    }
}

static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        const char *service;
        const char *space;
        bool external;
    } rows[] = {
        {"reviews", "reviews", "", false},
        {"reviews:9080", "reviews", "", false},
        {"reviews.shop.svc", "reviews", "shop", false},
        {"reviews.shop.svc.cluster.local.", "reviews", "shop", false},
        {"pod-0.reviews.shop.svc.cluster.local:80", "reviews", "shop", false},
        {"10-1-2-3.shop.pod.cluster.local", "", "shop", false},
        {"api.example.com", "api.example.com", "", false},
        {"svc.example.com", "svc.example.com", "", false},
        {"a.svc", "a.svc", "", false},
        {"localhost", "", "", false},
        {"localhost:8080", "", "", false},
        {"127.0.0.1:80", "", "", false},
        {"10.0.0.1", "", "", false},
        {"172.16.0.1", "", "", false},
        {"172.32.0.1", "", "", true},
        {"192.168.1.1", "", "", false},
        {"169.254.169.254", "", "", false},
        {"100.64.0.1", "", "", false},
        {"0.0.0.0", "", "", false},
        {"1.1.1.1:443", "", "", true},
        {"[2606:4700::1]:443", "", "", true},
        {"2606:4700::1", "", "", true},
        {"[::1]:80", "", "", false},
        {"fd00::1", "", "", false},
        {"fe80::1", "", "", false},
        {"::ffff:10.0.0.1", "", "", false},
        {"::ffff:8.8.8.8", "", "", true},
        {"", "", "", false},
        {":", "", "", false},
        {"[", "", "", false},
        {"...", "", "", false},
        {"1.2.3", "1.2.3", "", false},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.svc.x", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.svc.x", "", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct service_name got = service_name_of_host(slice_of_string(rows[i].host));

        if (got.external != rows[i].external) {
            fail_msg("%s: external %d", rows[i].host, got.external);
        }
        assert_text(got.service, rows[i].service);
        assert_text(got.service_namespace, rows[i].space);
    }
}

static void test_resources(void **state)
{
    static const struct {
        const char *name;
        const char *beside;
        bool from_envoy;
        const char *service;
        const char *space;
    } rows[] = {
        {"productpage", "", false, "productpage", ""},
        {"productpage", "shop", false, "productpage", "shop"},
        {"productpage.shop", "", true, "productpage", "shop"},
        {"productpage.shop", "shop", false, "productpage", "shop"},
        {"productpage.shop", "other", true, "productpage", "other"},
        {"productpage.shop", "", false, "productpage.shop", ""},
        {"com.example.Shop", "", true, "com.example.Shop", ""},
        {"reviews.shop.svc.cluster.local", "", false, "reviews", "shop"},
        {"unknown_service", "", false, "", ""},
        {"unknown_service:java", "shop", false, "", "shop"},
        {"", "", true, "", ""},
        {".shop", "", true, ".shop", ""},
        {"shop.", "", true, "shop.", ""},
        {"a b.c d", "", true, "a b.c d", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct service_name got = service_name_of_resource(
            slice_of_string(rows[i].name), slice_of_string(rows[i].beside), rows[i].from_envoy);

        assert_text(got.service, rows[i].service);
        assert_text(got.service_namespace, rows[i].space);
        assert_false(got.external);
    }
}

static void test_node_ids_and_urls(void **state)
{
    (void)state;
    assert_text(
        namespace_of_node_id(SLICE_LITERAL("sidecar~127.0.0.1~reviews-v1-abc.shop~shop.svc.cluster.local")),
        "shop");
    assert_text(namespace_of_node_id(SLICE_LITERAL("router~10.0.0.1~gw.istio-system~istio-system.svc.x")),
        "istio-system");
    assert_text(namespace_of_node_id(SLICE_LITERAL("envoy-1")), "");
    assert_text(namespace_of_node_id(SLICE_LITERAL("a~b~c~d")), "");
    assert_text(namespace_of_node_id(SLICE_LITERAL("a~b~c~d.svc~e")), "");
    assert_text(namespace_of_node_id(SLICE_LITERAL("")), "");
    assert_text(host_of_url(SLICE_LITERAL("http://reviews:9080/a?b")), "reviews:9080");
    assert_text(host_of_url(SLICE_LITERAL("https://u:p@host?x")), "host");
    assert_text(host_of_url(SLICE_LITERAL("http://host#f")), "host");
    assert_text(host_of_url(SLICE_LITERAL("http://a/b@c")), "a");
    assert_text(host_of_url(SLICE_LITERAL("/path")), "");
    assert_text(host_of_url(SLICE_LITERAL("://x")), "");
    assert_text(host_of_url(SLICE_LITERAL("http://")), "");
    assert_text(host_of_url(SLICE_LITERAL("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clusters),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_node_ids_and_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
