/* /api/v1/top: rows by destination, route and edge, who answers for them, who calls most, order and limits.
 */
#include "../aggregate/fixture.h"

#include <jansson.h>
#include <math.h>

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

/* `text`: arguments as "name=value" with spaces in between. */
static json_t *ask(struct fixture *f, const char *text, unsigned expected)
{
    struct query_sources sources = {
        .aggregator = f->aggregator, .registry = &f->registry, .clock = &f->clock.clock};
    struct query_argument arguments[QUERY_ARGUMENT_COUNT_MAX];
    size_t count = 0;
    struct buffer out;
    char copy[512];
    char *rest = copy;

    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (word[0] != '\0') {
            char *equals = strchr(word, '=');
            assert_non_null(equals);
            *equals = '\0';
            arguments[count++] = (struct query_argument){.name = word, .value = equals + 1};
        }
    }
    buffer_init(&out, 1 << 24);
    assert_true(query_knows("/api/v1/top"));
    assert_int_equal(query_run(&sources, "/api/v1/top", arguments, count, &out), expected);
    json_t *answer = json_loadb((const char *)out.data, out.length, 0, NULL);
    assert_non_null(answer);
    buffer_deinit(&out);
    return answer;
}

static void record(struct fixture *f, const char *source, const char *destination, const char *route,
    enum outcome outcome, uint64_t ms, int count)
{
    struct request request = fixture_request(f, 0, "web", source, destination, route);

    request.outcome = (uint8_t)outcome;
    request.duration_ns = ms * MS_NS;
    for (int i = 0; i < count; i++) {
        directory_record(f->directories[0], &request);
    }
}

static const json_t *row_at(const json_t *answer, size_t index)
{
    const json_t *row = json_array_get(json_object_get(answer, "rows"), index);

    assert_non_null(row);
    return row;
}

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_non_null(text);
    return text;
}

static json_int_t number_at(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

static void assert_names(const json_t *answer, const char *key, const char *const *names)
{
    size_t count = json_array_size(json_object_get(answer, "rows"));
    size_t i = 0;

    for (; names[i] != NULL; i++) {
        assert_string_equal(text_at(row_at(answer, i), key), names[i]);
    }
    assert_int_equal(count, i);
}

static void assert_quantile(const json_t *row, size_t index, double seconds)
{
    const json_t *entry = json_array_get(json_object_get(row, "quantiles"), index);
    double value = json_number_value(json_object_get(entry, "seconds"));

    assert_true(fabs(value - seconds) <= seconds * 0.011);
}

static void traffic(struct fixture *f)
{
    record(f, "web", "cart", "/add", OUTCOME_OK, 10, 60);
    record(f, "web", "cart", "/add", OUTCOME_SERVER_ERROR, 20, 20);
    record(f, "batch", "cart", "/add", OUTCOME_OK, 10, 10);
    record(f, "batch", "cart", "/list", OUTCOME_OK, 400, 30);
    record(f, "cart", "stock", "/get", OUTCOME_OK, 1000, 40);
    record(f, "web", "login", "/", OUTCOME_CLIENT_ERROR, 5, 5);
    fixture_flip_all(f);
}

static void destinations_add_up_their_callers(void **state)
{
    struct fixture *f = *state;

    traffic(f);
    json_t *answer = ask(f, "", 200);
    assert_names(answer, "destination", (const char *[]){"cart", "stock", "login", NULL});
    const json_t *cart = row_at(answer, 0);
    const json_t *outcomes = json_object_get(cart, "outcomes");
    assert_int_equal(number_at(cart, "requests"), 120);
    assert_int_equal(number_at(outcomes, "ok"), 100);
    assert_int_equal(number_at(outcomes, "server_error"), 20);
    assert_int_equal(number_at(cart, "callers"), 2);
    assert_string_equal(text_at(json_object_get(cart, "busiest_caller"), "source"), "web");
    assert_int_equal(number_at(json_object_get(cart, "busiest_caller"), "requests"), 80);
    assert_quantile(cart, 0, 0.01); /* p50 of 70 at 10 ms, 20 at 20 ms, 30 at 400 ms */
    assert_quantile(cart, 1, 0.4);
    assert_quantile(cart, 3, 0.4);
    const json_t *totals = json_object_get(answer, "totals");
    assert_int_equal(number_at(totals, "rows"), 3);
    assert_int_equal(number_at(totals, "requests"), 165);
    assert_true(json_number_value(json_object_get(answer, "agent_start_unix_seconds")) ==
                (double)START_UNIX_NS / 1e9);
    json_decref(answer);
}

static void routes_tell_who_called_them_lately(void **state)
{
    struct fixture *f = *state;

    traffic(f);
    json_t *answer = ask(f, "by=route service=cart namespace=shop", 200);
    assert_names(answer, "route", (const char *[]){"/add", "/list", NULL});
    assert_string_equal(text_at(json_object_get(row_at(answer, 0), "busiest_caller"), "source"), "web");
    assert_string_equal(text_at(json_object_get(row_at(answer, 1), "busiest_caller"), "source"), "batch");
    assert_int_equal(number_at(json_object_get(row_at(answer, 1), "busiest_caller"), "requests"), 30);
    assert_quantile(row_at(answer, 1), 0, 0.4);
    json_decref(answer);

    answer = ask(f, "by=edge destination=cart route=/add", 200);
    assert_names(answer, "source", (const char *[]){"web", "batch", NULL});
    assert_int_equal(number_at(row_at(answer, 0), "requests"), 80);
    assert_int_equal(number_at(json_object_get(row_at(answer, 0), "outcomes"), "server_error"), 20);
    assert_int_equal(json_array_size(json_object_get(row_at(answer, 0), "quantiles")), 0);
    json_decref(answer);

    /* Half a minute to a minute later they are forgotten; the window of the route is not. */
    fixture_advance(f, 61 * SECOND_NS);
    answer = ask(f, "by=edge destination=cart route=/add", 200);
    assert_names(answer, "source", (const char *[]){NULL});
    json_decref(answer);
    answer = ask(f, "by=route window=5m service=cart route=/add", 200);
    assert_names(answer, "route", (const char *[]){"/add", NULL});
    assert_null(json_object_get(row_at(answer, 0), "busiest_caller"));
    json_decref(answer);
}

static void edges_are_found_by_either_end(void **state)
{
    struct fixture *f = *state;

    traffic(f);
    json_t *answer = ask(f, "by=edge service=cart sort=p99", 200);
    assert_names(answer, "destination", (const char *[]){"stock", "cart", "cart", NULL});
    assert_string_equal(text_at(row_at(answer, 1), "source"), "batch");
    json_decref(answer);
    answer = ask(f, "by=edge source=web", 200);
    assert_names(answer, "destination", (const char *[]){"cart", "login", NULL});
    json_decref(answer);
    answer =
        ask(f, "source=batch", 200); /* what batch asks of each destination, without the others' requests */
    assert_names(answer, "destination", (const char *[]){"cart", NULL});
    assert_int_equal(number_at(row_at(answer, 0), "requests"), 40);
    assert_quantile(row_at(answer, 0), 0, 0.4);
    json_decref(answer);
}

static void order_match_and_limit(void **state)
{
    struct fixture *f = *state;

    traffic(f);
    static const struct {
        const char *arguments;
        const char *names[4];
    } cases[] = {
        {"sort=rate", {"cart", "stock", "login"}},
        {"sort=failed", {"cart", "login", "stock"}}, /* the rest by name */
        {"sort=p50", {"stock", "cart", "login"}},
        {"sort=p99.9", {"stock", "cart", "login"}},
        {"sort=name", {"cart", "login", "stock"}},
        {"sort=name limit=2", {"cart", "login"}},
        {"limit=0", {NULL}},
        {"match=CAR", {"cart"}},
        {"match=sho sort=name", {"cart", "login", "stock"}}, /* their namespace */
        {"match=nobody", {NULL}},
        {"namespace=elsewhere", {NULL}},
        {"reporter=destination", {NULL}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *answer = ask(f, cases[i].arguments, 200);
        assert_names(answer, "destination", cases[i].names);
        json_decref(answer);
    }
}

static void one_reporter_answers_for_a_destination(void **state)
{
    struct fixture *f = *state;
    struct request request = fixture_request(f, 0, "cart", "unknown", "cart", "/add");

    request.reporter = REPORTER_DESTINATION;
    for (int i = 0; i < 7; i++) {
        directory_record(f->directories[0], &request);
    }
    fixture_flip_all(f);
    json_t *answer = ask(f, "", 200);
    assert_string_equal(text_at(row_at(answer, 0), "reporter"), "destination");
    assert_int_equal(number_at(row_at(answer, 0), "requests"), 7);
    json_decref(answer);

    record(f, "web", "cart", "/add", OUTCOME_OK, 10, 5);
    fixture_flip_all(f);
    static const char *const views[] = {"by=destination", "by=route", "by=edge"};
    for (size_t i = 0; i < 3; i++) {
        answer = ask(f, views[i], 200);
        assert_int_equal(json_array_size(json_object_get(answer, "rows")), 1);
        assert_string_equal(text_at(row_at(answer, 0), "reporter"), "source");
        assert_int_equal(number_at(row_at(answer, 0), "requests"), 5);
        json_decref(answer);
    }
    answer = ask(f, "reporter=destination", 200);
    assert_int_equal(number_at(row_at(answer, 0), "requests"), 7);
    json_decref(answer);
}

/* 300 callers and more windows than fit at first: nothing is lost. */
static void many_rows(void **state)
{
    struct fixture *f = *state;
    char name[32];

    for (int i = 0; i < 700; i++) {
        (void)snprintf(name, sizeof name, "caller-%03d", i);
        record(f, name, i % 2 == 0 ? "even" : "odd", "/", OUTCOME_OK, 1 + (uint64_t)i, 1 + i % 3);
    }
    fixture_flip_all(f);
    json_t *answer = ask(f, "by=edge limit=10000", 200);
    assert_int_equal(json_array_size(json_object_get(answer, "rows")), 700);
    json_decref(answer);
    answer = ask(f, "sort=name", 200);
    assert_names(answer, "destination", (const char *[]){"even", "odd", NULL});
    assert_int_equal(number_at(row_at(answer, 0), "callers"), 350);
    json_decref(answer);
}

static void wrong_questions_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"by=colour", "by"},
        {"sort=p98", "sort"},
        {"limit=-1", "limit"},
        {"limit=", "limit"},
        {"limit=99999999999999999999999", "limit"},
        {"max_age_ms=1s", "max_age_ms"},
        {"window=2m", "window"},
        {"reporter=me", "reporter"},
        {"route=/", "route"},
        {"by=route source=web", "source"},
        {"servise=cart", "servise"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *answer = ask(*state, cases[i][0], 400);
        assert_string_equal(text_at(json_object_get(answer, "error"), "argument"), cases[i][1]);
        json_decref(answer);
    }
}

static void an_age_is_for_those_who_take_it(void **state)
{
    static const struct query_argument half = {.name = "max_age_ms", .value = "500"};
    static const struct query_argument wrong = {.name = "max_age_ms", .value = "soon"};

    (void)state;
    assert_int_equal(query_age_ms_max("/api/v1/top", &half, 1), 500);
    assert_int_equal(query_age_ms_max("/api/v1/top", &wrong, 1), 0);
    assert_int_equal(query_age_ms_max("/api/v1/top", NULL, 0), 0);
    assert_int_equal(query_age_ms_max("/api/v1/edges", &half, 1), 0);
    assert_int_equal(query_age_ms_max("/nowhere", &half, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(destinations_add_up_their_callers, setup, teardown),
        cmocka_unit_test_setup_teardown(routes_tell_who_called_them_lately, setup, teardown),
        cmocka_unit_test_setup_teardown(edges_are_found_by_either_end, setup, teardown),
        cmocka_unit_test_setup_teardown(order_match_and_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(one_reporter_answers_for_a_destination, setup, teardown),
        cmocka_unit_test_setup_teardown(many_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_questions_are_refused, setup, teardown),
        cmocka_unit_test(an_age_is_for_those_who_take_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
