/* Jaeger's dependencies: numbers that are known, each pair once, whoever is not known left out. */
#include "../aggregate/fixture.h"

#include "core/buffer.h"
#include "query/query.h"

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

static void record(struct fixture *f, enum reporter reporter, const char *source, const char *destination,
    const char *destination_namespace, unsigned count)
{
    struct request request = fixture_request(f, 0, "proxy", source, destination, "/");

    request.reporter = (uint8_t)reporter;
    request.destination_namespace = interner_intern(f->interners[0], slice_of_string(destination_namespace));
    for (unsigned i = 0; i < count; i++) {
        directory_record(f->directories[0], &request);
    }
}

/* The answer is exactly this text. */
static void check(
    struct fixture *f, const char *name, const char *value, unsigned status, const char *expected)
{
    struct query_sources sources = {
        .aggregator = f->aggregator, .registry = &f->registry, .clock = &f->clock.clock};
    const struct query_argument argument = {.name = name, .value = value};
    struct buffer out;

    buffer_init(&out, 1 << 20);
    assert_true(query_knows("/api/dependencies"));
    assert_int_equal(query_run(&sources, "/api/dependencies", &argument, name != NULL ? 1 : 0, &out), status);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_deinit(&out);
}

#define REST ",\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n"

static void pairs_are_counted_once(void **state)
{
    struct fixture *f = *state;

    check(f, NULL, NULL, 200, "{\"data\":[]" REST);
    record(f, REPORTER_SOURCE, "cart", "prices", "shop", 5);
    record(f, REPORTER_DESTINATION, "cart", "prices", "shop", 7);
    record(f, REPORTER_DESTINATION, "web", "cart", "unknown", 3);
    record(f, REPORTER_DESTINATION, "unknown", "cart", "shop", 11);
    clock_manual_advance(&f->clock, 1000000000);
    fixture_flip_all(f);
    check(f, NULL, NULL, 200,
        "{\"data\":[{\"parent\":\"cart.shop\",\"child\":\"prices.shop\",\"callCount\":5},"
        "{\"parent\":\"web.shop\",\"child\":\"cart\",\"callCount\":3}]" REST);
    check(f, "service", "web.shop", 200,
        "{\"data\":[{\"parent\":\"web.shop\",\"child\":\"cart\",\"callCount\":3}]" REST);
    check(f, "service", "nobody", 200, "{\"data\":[]" REST);
}

static void bad_times_are_refused_as_jaeger_does(void **state)
{
    check(*state, "lookback", "1h", 400,
        "{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[{\"code\":400,\"msg\":\"unable to "
        "parse param "
        "'lookback': strconv.ParseInt: parsing \\\"1h\\\": invalid syntax\"}]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs_are_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_times_are_refused_as_jaeger_does, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
