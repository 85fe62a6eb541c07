/* Templates of paths, and how many of them a destination may have. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>

#include "context/route.h"

static const struct {
    const char *path;
    const char *route;
} templates[] = {
    {"", ""},
    {"/", "/"},
    {"/reviews", "/reviews"},
    {"/reviews/", "/reviews"},
    {"//reviews///list//", "/reviews/list"},
    {"/reviews/275517?token=secret&user=7", "/reviews/*"},
    {"/reviews#top", "/reviews"},
    {"?a=b", "*"},
    {"http://reviews.shop/reviews/275517?token=secret", "/reviews/*"},
    {"https://host:8443", "/"},
    {"https://host?x=y", "/"},
    {"http://host//a", "/a"},
    {"*", "*"},
    {"example.com:443", "*"},
    {"://x/y", "*"},
    {"/users/42", "/users/*"},
    {"/users/7/orders/9", "/users/*/orders/*"},
    {"/api/v1/users", "/api/v1/users"},
    {"/api/v2beta1/users", "/api/v2beta1/users"},
    {"/v12/x", "/v12/x"},
    {"/v1234567/x", "/*/x"},
    {"/oauth2/token", "/oauth2/token"},
    {"/sha256/x", "/*/x"}, /* half digits: could as well be an id */
    {"/s3/bucket", "/s3/bucket"},
    {"/k8s/utf8", "/k8s/utf8"},
    {"/file.v1.2", "/file.v1.2"},
    {"/u/0f8fad5b-d9cb-469f-a165-70867728950e", "/u/*"},
    {"/u/0F8FAD5B-D9CB-469F-A165-70867728950E", "/u/*"},
    {"/u/0f8fad5bd9cb469fa16570867728950e", "/u/*"},
    {"/u/deadbee5", "/u/*"},
    {"/commit/a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "/commit/*"},
    {"/d/2024-05-01/x", "/d/*/x"},
    {"/d/20240501", "/d/*"},
    {"/d/2024-05-01T10:00:00Z", "/d/*"},
    {"/mail/a@example.com", "/mail/*"},
    {"/mail/a%40example.com", "/mail/*"},
    {"/order-12345", "/*"},
    {"/user_42/x", "/*/x"},
    {"/items/123:cancel", "/items/*"},
    {"/items:batchGet", "/items:batchGet"},
    {"/getUserAccountDetails", "/getUserAccountDetails"},
    {"/t/eyJhbGciOiJIUzI1NiJ9", "/t/*"},
    {"/t/aBcDeFgHiJkLmNoPqRs", "/t/*"},
    {"/app.4f3a2b1c.js", "/*"},
    {"/index.html", "/index.html"},
    {"/a;jsessionid=1234567/b", "/a/b"},
    {"/;x/b", "/*/b"},
    {"/%75sers", "/users"},
    {"/%34%32", "/*"},
    {"/a%20b", "/*"},
    {"/a%2Fb", "/*"},
    {"/a%2", "/*"},
    {"/a%", "/*"},
    {"/%zz", "/*"},
    {"/%00", "/*"},
    {"/caf\xc3\xa9", "/*"},
    {"/caf%C3%A9", "/*"},
    {"/\xff\xfe", "/*"},
    {"/a\nb", "/*"},
    {"/a/./b", "/a/b"},
    {"/a/../b", "/a/*/b"},
    {"/a/%2e%2E/b", "/a/*/b"},
    {"foo?x=http://y/z", "*"},
    {"http://host?x=/y/z", "/"},
    {"http://host/a?x=/y/z", "/a"},
    {"ht tp://host/a", "*"},
    {"/a?b#c", "/a"},
    {"/{id}", "/*"},
    {"/shop.Ratings/Get", "/shop.Ratings/Get"},
    {"/google.cloud.bigquery.storage.v1beta2.BigQueryRead/ReadRows",
        "/google.cloud.bigquery.storage.v1beta2.BigQueryRead/ReadRows"},
    {"/x/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "/x/*"},
    {"/1/2/3/4/5/6/7/8/9/10/11/12", "/*/*/*/*/*/*/*/*/*/*/*/*"},
    {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14", "/*/*/*/*/*/*/*/*/*/*/*/*/*"},
    {"/a/b/c/d/e/f/g/h/i/j/k/l/m", "/a/b/c/d/e/f/g/h/i/j/k/l/*"},
};

static void test_templates(void **state)
{
    struct limits limits;
    struct route_buffer buffer;

    (void)state;
    limits_init(&limits);
    for (size_t i = 0; i < COUNT_OF(templates); i++) {
        struct slice got = route_template(slice_of_string(templates[i].path), &limits, &buffer);

        if (!slice_equal(got, slice_of_string(templates[i].route))) {
            fail_msg(
                "%s: got %.*s, expected %s", templates[i].path, (int)got.length, got.ptr, templates[i].route);
        }
    }
}

/* Whatever comes in, what goes out fits the limits and holds nothing but harmless characters. */
static void test_any_bytes(void **state)
{
    static const char alphabet[] = "/%2Ff.;?#:@*-_~aZ09\xff\xc3\xa9 \n\\\"";
    struct limits limits;
    struct route_buffer buffer;
    uint32_t random = 1;

    (void)state;
    limits_init(&limits);
    limits.string_bytes_max = 16;
    limits.route_segments_count_max = 3;
    for (size_t round = 0; round < 200000; round++) {
        uint8_t path[40];
        size_t length = round % sizeof path;
        struct slice got;

        for (size_t i = 0; i < length; i++) {
            random = random * 1664525u + 1013904223u;
            path[i] = (uint8_t)alphabet[(random >> 16) % (sizeof alphabet - 1)];
        }
        if (length > 1 && round % 3 > 0) {
            path[0] = '/';
        }
        got = route_template(slice_of(path, length), &limits, &buffer);
        assert_true(got.length <= limits.string_bytes_max);
        assert_true(length == 0 || got.length > 0);
        for (size_t i = 0; i < got.length; i++) {
            assert_true(got.ptr[i] > ' ' && got.ptr[i] < 0x7f);
            assert_null(memchr("?#%@;\"\\", got.ptr[i], 7));
        }
    }
}

static uint64_t hash_of(const struct route_table *table, unsigned number)
{
    char text[32];

    snprintf(text, sizeof text, "/t%u", number);
    return route_hash(table, slice_of_string(text));
}

static void test_a_destination_has_a_limited_number_of_templates(void **state)
{
    struct route_table *table = route_table_new(200, 7);

    (void)state;
    assert_non_null(table);
    route_table_tick(table, 1);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(route_table_admit(table, 1, hash_of(table, i)) != NULL, i < 200);
    }
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(route_table_admit(table, 1, hash_of(table, i)) != NULL, i < 200);
    }
    assert_non_null(
        route_table_admit(table, 2, hash_of(table, 999))); /* another destination is not touched */
    route_table_free(table);
    route_table_free(NULL);
}

static void test_a_flood_is_forgotten(void **state)
{
    struct route_table *table = route_table_new(10, 7);
    uint64_t now_ns = 1000;

    (void)state;
    assert_non_null(table);
    route_table_tick(table, now_ns);
    assert_non_null(
        route_table_admit(table, 1, hash_of(table, 5000))); /* an honest one, in use all the time */
    for (unsigned i = 0; i < 100; i++) {
        route_table_admit(table, 1, hash_of(table, i));
    }
    assert_null(route_table_admit(table, 1, hash_of(table, 6000)));
    now_ns += ROUTE_EPOCH_NS;
    route_table_tick(table, now_ns);
    assert_non_null(route_table_admit(table, 1, hash_of(table, 5000)));
    assert_null(route_table_admit(table, 1, hash_of(table, 6000)));
    now_ns += ROUTE_EPOCH_NS;
    route_table_tick(table, now_ns);
    assert_non_null(route_table_admit(table, 1, hash_of(table, 5000)));
    assert_non_null(route_table_admit(table, 1, hash_of(table, 6000)));
    /* A long silence forgets everything. */
    now_ns += 10 * ROUTE_EPOCH_NS;
    route_table_tick(table, now_ns);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(route_table_admit(table, 1, hash_of(table, 7000 + i)) != NULL, i < 10);
    }
    route_table_free(table);
}

static void test_full_tables_refuse_and_go_on(void **state)
{
    struct route_table *table = route_table_new(UINT64_MAX, 7);
    uint64_t admitted = 0;

    (void)state;
    assert_non_null(table);
    for (unsigned i = 0; i < 2 * ROUTE_TABLE_ENTRIES_COUNT; i++) {
        admitted += route_table_admit(table, i % 100, hash_of(table, i)) != NULL;
    }
    assert_int_equal(admitted, ROUTE_TABLE_ENTRIES_COUNT * 3 / 4);
    assert_non_null(route_table_admit(table, 1, hash_of(table, 1)));
    route_table_free(table);

    table = route_table_new(200, 7);
    assert_non_null(table);
    admitted = 0;
    for (unsigned i = 0; i < 2 * ROUTE_TABLE_DESTINATIONS_COUNT; i++) {
        admitted += route_table_admit(table, i, hash_of(table, 1)) != NULL;
    }
    assert_int_equal(admitted, ROUTE_TABLE_DESTINATIONS_COUNT * 3 / 4);
    route_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_a_destination_has_a_limited_number_of_templates),
        cmocka_unit_test(test_a_flood_is_forgotten),
        cmocka_unit_test(test_full_tables_refuse_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
