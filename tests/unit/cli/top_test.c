/* `weft top` without a terminal: keys, questions and answers, and its picture of 80×24. */
#include "canned_api.h"

#include "cli/top_model.h"

enum { NOW = 1700000000 };

struct rig {
    struct top top;
    struct screen screen;
    char path[TRAFFIC_PATH_BYTES];
    char line[TERMINAL_COLUMNS_MAX + 1];
};

static void start(struct rig *rig, const struct traffic_filters *filters)
{
    assert_true(top_init(&rig->top, filters));
    assert_true(screen_resize(&rig->screen, 24, 80));
    top_resize(&rig->top, 24, 80);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    start(rig, &(struct traffic_filters){.limit = 0});
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    top_deinit(&rig->top);
    screen_free(&rig->screen);
    free(rig);
    return 0;
}

static void restart(struct rig *rig, const struct traffic_filters *filters)
{
    top_deinit(&rig->top);
    start(rig, filters);
}

static const char *question(struct rig *rig)
{
    assert_true(top_question(&rig->top, rig->path));
    assert_false(rig->top.wants_answer);
    return rig->path;
}

static const char *line(struct rig *rig, unsigned row)
{
    for (unsigned i = 0; i < rig->screen.columns; i++) {
        rig->line[i] = screen_at(&rig->screen, row, i)->shown;
    }
    rig->line[rig->screen.columns] = '\0';
    return rig->line;
}

static void draw(struct rig *rig)
{
    top_draw(&rig->top, NOW, &rig->screen);
}

/* An answer with rows of these names, in the order of the names. */
static json_t *answer_of(double start_unix_s, const char *key, const char *const *names, int total)
{
    json_t *rows = json_array();

    for (; *names != NULL; names++) {
        json_t *row = json_pack("{s:s,s:s,s:s,s:i,s:{s:i,s:i},s:f,s:[{s:f,s:f}]}", "reporter", "source",
            "destination", "cart", "destination_namespace", "shop", "requests", 100, "outcomes", "ok", 75,
            "server_error", 25, "covered_seconds", 50.0, "quantiles", "q", 0.5, "seconds", 0.012);
        assert_int_equal(json_object_set_new(row, key, json_string_nocheck(*names)), 0);
        assert_int_equal(json_array_append_new(rows, row), 0);
    }
    return json_pack("{s:f,s:{s:i,s:i,s:{s:i,s:i},s:f},s:o}", "agent_start_unix_seconds", start_unix_s,
        "totals", "rows", total, "requests", 200, "outcomes", "ok", 150, "server_error", 50,
        "covered_seconds", 50.0, "rows", rows);
}

static void take(struct rig *rig, const char *key, const char *const *names)
{
    int count = 0;

    while (names[count] != NULL) {
        count++;
    }
    top_take(&rig->top, answer_of(NOW - 60, key, names, count), NOW);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void press(struct rig *rig, const char *keys)
{
    for (; *keys != '\0'; keys++) {
        top_press(&rig->top, (unsigned char)*keys);
    }
}

static void the_picture(void **state)
{
    struct rig *rig = *state;

    draw(rig);
    assert_contains(line(rig, 3), "asking the agent");
    take(rig, "destination", NAMES("cart", "stock"));
    draw(rig);
    assert_contains(line(rig, 0), "weft top  last 1m  by rate  2 services  4/s  25.0% failed");
    assert_contains(line(rig, 1), "all services");
    assert_string_equal(
        line(rig, 2), "DESTINATION         RATE/s FAIL%  4XX%    P50    P90    P99  P99.9 BUSIEST CALL~");
    assert_string_equal(
        line(rig, 3), "cart.shop                2  25.0     0 12.0ms      -      -      - -            ");
    assert_contains(line(rig, 23), "h help  q quit");
    assert_true(screen_at(&rig->screen, 3, 0)->is_reversed); /* the selected row */
    assert_false(screen_at(&rig->screen, 4, 0)->is_reversed);
    assert_int_equal(screen_at(&rig->screen, 3, 28)->style, STYLE_ERROR); /* FAIL% */
    assert_true(screen_at(&rig->screen, 2, 0)->is_reversed);
    assert_false(screen_at(&rig->screen, 2, 24)->is_reversed); /* RATE/s: what it is sorted by */
    press(rig, "h");
    draw(rig);
    assert_contains(line(rig, 2), "select a row");
    for (unsigned row = 0; row < 24; row++) {
        assert_int_not_equal(screen_at(&rig->screen, row, 79)->shown, '~'); /* no line of it is cut */
    }
    press(rig, "x");
    assert_false(rig->top.shows_help || rig->top.quits);
    press(rig, "q");
    assert_true(rig->top.quits);
}

static void hostile_names(void **state)
{
    struct rig *rig = *state;
    char *million = malloc(1 << 20);

    assert_non_null(million);
    memset(million, 'A', (1 << 20) - 1);
    million[(1 << 20) - 1] = '\0';
    take(rig, "destination",
        NAMES("\x1b[2J\x1b]0;owned\x07",
            "\xe2\x80\xae"
            "evil",
            million, "%s%n", ""));
    draw(rig);
    for (unsigned row = 0; row < 24; row++) {
        for (unsigned column = 0; column < 80; column++) {
            char shown = screen_at(&rig->screen, row, column)->shown;
            assert_true(shown >= ' ' && shown <= '~');
        }
    }
    assert_contains(line(rig, 3), "?[2J?]0;owned?.shop ");
    assert_contains(line(rig, 4), "?evil.shop ");
    assert_contains(line(rig, 5), "AAAAAAAAAAAAAAAAAA~ ");
    assert_contains(line(rig, 6), "%s%n.shop");
    top_press(&rig->top, TOP_KEY_ENTER); /* into the first: its name is in the head, and in the question */
    assert_contains(question(rig), "destination=%1B%5B2J");
    draw(rig);
    assert_contains(line(rig, 1), "?[2J?]0;owned?.shop > routes");
    top_press(&rig->top, TOP_KEY_ESCAPE);
    take(rig, "destination", NAMES(million));
    top_press(&rig->top, TOP_KEY_ENTER);
    assert_false(top_question(&rig->top, rig->path)); /* too long to ask for: said, no more */
    free(million);
}

static void from_services_to_routes_to_callers(void **state)
{
    struct rig *rig = *state;

    assert_contains(question(rig), "by=destination&");
    assert_contains(rig->path, "&limit=20&"); /* as many as there are rows on the screen */
    assert_contains(rig->path, "&max_age_ms=5000");
    assert_contains(question(rig), "&max_age_ms=900");
    take(rig, "destination", NAMES("cart", "stock"));
    top_press(&rig->top, TOP_KEY_DOWN);
    top_press(&rig->top, TOP_KEY_ENTER);
    assert_true(rig->top.wants_answer);
    assert_contains(question(rig), "by=route&");
    assert_contains(rig->path, "&destination=stock&destination_namespace=shop");
    take(rig, "route", NAMES("/a", "/b"));
    top_press(&rig->top, TOP_KEY_RIGHT);
    assert_contains(question(rig), "by=edge&");
    assert_contains(rig->path, "&route=%2Fa");
    take(rig, "source", NAMES("web"));
    draw(rig);
    assert_contains(line(rig, 1), "cart.shop > /a > callers in the last 30 to 60 s");
    top_press(&rig->top, TOP_KEY_ENTER); /* there is nothing further down */
    assert_false(rig->top.wants_answer);
    top_press(&rig->top, TOP_KEY_ESCAPE);
    assert_contains(question(rig), "by=route&");
    top_press(&rig->top, TOP_KEY_LEFT);
    assert_contains(question(rig), "by=destination&");
    take(rig, "destination", NAMES("cart", "stock"));
    assert_int_equal(top_place(&rig->top)->selected, 1); /* where one was */
    top_press(&rig->top, 'c');
    assert_contains(question(rig), "by=edge&");
    assert_null(strstr(rig->path, "route="));
    top_press(&rig->top, TOP_KEY_BACKSPACE);
    top_press(&rig->top, 'r');
    assert_contains(question(rig), "by=route&");
    assert_null(strstr(rig->path, "destination="));
    draw(rig);
    assert_contains(line(rig, 2), "DESTINATION   ROUTE ");
}

static void sort_window_reporter_and_pause(void **state)
{
    struct rig *rig = *state;

    assert_contains(question(rig), "&window=1m&sort=rate");
    press(rig, "s");
    assert_contains(question(rig), "&sort=failed");
    press(rig, "sS>>");
    assert_contains(question(rig), "&sort=p90");
    take(rig, "destination", NAMES("cart"));
    draw(rig);
    assert_false(screen_at(&rig->screen, 2, 46)->is_reversed); /* P90 */
    assert_true(screen_at(&rig->screen, 2, 24)->is_reversed);
    press(rig, "<<<<"); /* around the beginning */
    assert_contains(question(rig), "&sort=name");
    press(rig, "w");
    assert_contains(question(rig), "&window=5m");
    press(rig, "WWW");
    assert_contains(question(rig), "&window=1h");
    press(rig, "oo");
    assert_contains(question(rig), "&reporter=destination");
    press(rig, " ");
    assert_true(rig->top.is_paused);
    draw(rig);
    assert_contains(line(rig, 0), "PAUSED");
    press(rig, " ");
    assert_true(!rig->top.is_paused && rig->top.wants_answer);
}

static void a_filter_is_typed(void **state)
{
    struct rig *rig = *state;

    (void)question(rig);
    press(rig, "/qcax\x7f");
    assert_false(rig->top.quits || rig->top.wants_answer);
    draw(rig);
    assert_contains(line(rig, 23), "filter: qca_");
    press(rig, "\x1b");
    assert_null(strstr(question(rig), "match"));
    press(rig, "/a b\n");
    assert_contains(question(rig), "&match=a%20b");
    take(rig, "destination", NAMES(NULL));
    draw(rig);
    assert_contains(line(rig, 1), "filter: a b");
    assert_contains(line(rig, 3), "nothing in this window that fits the filter");
    press(rig, "/");
    for (int i = 0; i < 1000; i++) { /* as long as it may be, and no longer */
        press(rig, "x");
    }
    press(rig, "\n");
    assert_int_equal(strlen(rig->top.filter), TOP_FILTER_BYTES - 1);
    press(rig, "/\x15y\n");
    assert_contains(question(rig), "&match=y");
    press(rig, "\x1b"); /* at the top, back is: without a filter */
    assert_null(strstr(question(rig), "match"));
}

static void the_selection_stays_with_its_row(void **state)
{
    struct rig *rig = *state;

    take(rig, "destination", NAMES("a", "b", "c"));
    take(rig, "destination", NAMES("b", "a", "c")); /* not moved: it is whoever is first */
    assert_int_equal(top_place(&rig->top)->selected, 0);
    press(rig, "j");
    take(rig, "destination", NAMES("c", "b", "a"));
    assert_int_equal(top_place(&rig->top)->selected, 2);
    take(rig, "destination", NAMES("c", "b")); /* gone */
    assert_int_equal(top_place(&rig->top)->selected, 1);
    take(rig, "destination", NAMES(NULL));
    assert_int_equal(top_place(&rig->top)->selected, 0);
    press(rig, "jjG\n");
    assert_int_equal(rig->top.depth, 0); /* there is no row to go into */
}

static void a_list_longer_than_the_screen(void **state)
{
    struct rig *rig = *state;
    char names[50][16];
    const char *pointers[51] = {NULL};

    for (int i = 0; i < 50; i++) {
        (void)snprintf(names[i], sizeof names[i], "s-%d", i);
        pointers[i] = names[i];
    }
    pointers[20] = NULL;
    top_take(&rig->top, answer_of(NOW - 60, "destination", pointers, 50), NOW);
    (void)question(rig);
    top_press(&rig->top, TOP_KEY_PAGE_DOWN);
    assert_true(rig->top.wants_answer);
    assert_contains(question(rig), "&limit=21&"); /* up to the row that is selected */
    top_press(&rig->top, TOP_KEY_END);
    assert_contains(question(rig), "&limit=50&");
    pointers[20] = names[20];
    top_take(&rig->top, answer_of(NOW - 60, "destination", pointers, 50), NOW);
    draw(rig);
    assert_contains(line(rig, 22), "s-49.shop");
    assert_contains(line(rig, 3), "s-30.shop");
    assert_true(screen_at(&rig->screen, 22, 0)->is_reversed);
    top_press(&rig->top, TOP_KEY_HOME);
    draw(rig);
    assert_contains(line(rig, 3), "s-0.shop");
}

static void the_agent_goes_and_comes_back(void **state)
{
    struct rig *rig = *state;

    take(rig, "destination", NAMES("cart"));
    top_fail(&rig->top, "no agent answers\n  tried /x", NOW);
    top_fail(&rig->top, "no agent answers\n  tried /x", NOW + 5);
    draw(rig);
    assert_contains(line(rig, 23), ", asking again: no agent answers");
    assert_contains(line(rig, 3), "cart.shop"); /* what was known stays, faint */
    assert_int_equal(screen_at(&rig->screen, 3, 28)->style, STYLE_FAINT);
    take(rig, "destination", NAMES("cart"));
    draw(rig);
    assert_contains(line(rig, 23), "the agent answers again");
    assert_int_equal(screen_at(&rig->screen, 3, 28)->style, STYLE_ERROR);
    top_fail(&rig->top, "no agent answers", NOW);
    top_take(&rig->top, answer_of(NOW - 1, "destination", NAMES("cart"), 1), NOW);
    draw(rig);
    assert_contains(line(rig, 23), "the agent was started anew");
    top_draw(&rig->top, NOW + TOP_NOTICE_SECONDS + 1, &rig->screen);
    assert_contains(line(rig, 23), "q quit");
}

static void every_size(void **state)
{
    struct rig *rig = *state;

    take(rig, "destination", NAMES("cart", "a-service-with-quite-a-long-name-that-is-cut"));
    for (unsigned rows = 1; rows < 60; rows += 3) {
        for (unsigned columns = 1; columns < 260; columns += 7) {
            assert_true(screen_resize(&rig->screen, rows, columns));
            top_resize(&rig->top, rows, columns);
            draw(rig);
            bool fits = rows >= TOP_ROWS_MIN && columns >= TOP_COLUMNS_MIN;
            assert_true(fits == (strncmp(line(rig, 0), "weft top ", 9) == 0));
        }
    }
    assert_true(screen_resize(&rig->screen, 100000, 100000)); /* as large as it may be */
    assert_int_equal(rig->screen.rows, SCREEN_ROWS_MAX);
    assert_int_equal(rig->screen.columns, TERMINAL_COLUMNS_MAX);
}

static void begins_where_the_options_say(void **state)
{
    struct rig *rig = *state;

    restart(rig, &(struct traffic_filters){.service = "cart",
                     .window = "15m",
                     .sort = "p99.9",
                     .reporter = "waypoint",
                     .match = "add",
                     .limit = 5});
    assert_contains(question(rig), "by=route&");
    assert_contains(rig->path, "&limit=5&");
    assert_contains(rig->path, "&window=15m&match=add&reporter=waypoint&sort=p99.9&destination=cart");
    assert_null(strstr(rig->path, "namespace"));
    restart(rig, &(struct traffic_filters){.name_space = "shop"});
    assert_contains(question(rig), "by=destination&");
    assert_contains(rig->path, "&namespace=shop");
    restart(rig, &(struct traffic_filters){.service = "cart", .name_space = "shop", .route = "/a"});
    assert_contains(question(rig), "&route=%2Fa");
    assert_contains(rig->path, "&destination=cart&destination_namespace=shop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_names, setup, teardown),
        cmocka_unit_test_setup_teardown(from_services_to_routes_to_callers, setup, teardown),
        cmocka_unit_test_setup_teardown(sort_window_reporter_and_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(a_filter_is_typed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_selection_stays_with_its_row, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_longer_than_the_screen, setup, teardown),
        cmocka_unit_test_setup_teardown(the_agent_goes_and_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(every_size, setup, teardown),
        cmocka_unit_test_setup_teardown(begins_where_the_options_say, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
