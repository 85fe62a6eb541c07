/* The options of every command: what they take, what they refuse, and their help. */
#include "canned_api.h"

#include "cli/commands.h"
#include "cli/options.h"

struct values {
    bool flag;
    const char *text;
    const char *word;
    unsigned long count;
    double seconds;
    double watch;
};

static const char *const words[] = {"one", "two", NULL};
static const struct option_row rows[] = {
    {.name = "flag", .help = "a flag", .kind = OPTION_FLAG, .offset = offsetof(struct values, flag)},
    {.name = "text",
        .value = "TEXT",
        .help = "first line\nsecond line",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct values, text)},
    {.name = "word",
        .value = "W",
        .help = "one or two",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct values, word),
        .words = words},
    {.name = "count",
        .value = "N",
        .help = "how many",
        .kind = OPTION_COUNT,
        .offset = offsetof(struct values, count),
        .most = 10},
    {.name = "seconds",
        .value = "S",
        .help = "how long",
        .kind = OPTION_SECONDS,
        .offset = offsetof(struct values, seconds),
        .most = 60},
    {.name = "watch",
        .value = "S",
        .help = "again",
        .kind = OPTION_WATCH,
        .offset = offsetof(struct values, watch),
        .most = 60,
        .unless = 2},
    {.name = NULL},
};

static int read_into(struct values *values, const char *operands[OPERANDS_MAX], const char *const *arguments)
{
    const struct command_line line = {.name = "try",
        .operands = "[A [B]]",
        .about = "Tries.\n",
        .groups = {{rows, values}},
        .examples = "  weft try\n",
        .exit_codes = "Exit code 0.\n",
        .operands_max = 2};
    char *argv[24] = {"try"};
    int argc = 1;

    for (; *arguments != NULL; arguments++) {
        argv[argc++] = (char *)(uintptr_t)*arguments;
    }
    *values = (struct values){.flag = false};
    return options_read(&line, argc, argv, operands);
}

#define READ(values, operands, ...) read_into((values), (operands), (const char *const[]){__VA_ARGS__, NULL})

static void values_of_every_kind(void **state)
{
    struct values values;
    const char *operands[OPERANDS_MAX];

    (void)state;
    assert_int_equal(READ(&values, operands, "--flag", "a", "--text=t", "--word", "two", "--count", "10", "b",
                         "--seconds", "0.5", "--watch"),
        OPTIONS_GO_ON);
    assert_true(values.flag);
    assert_string_equal(values.text, "t");
    assert_string_equal(values.word, "two");
    assert_int_equal(values.count, 10);
    assert_true(values.seconds == 0.5 && values.watch == 2);
    assert_string_equal(operands[0], "a");
    assert_string_equal(operands[1], "b");

    assert_int_equal(READ(&values, operands, "--watch", "5", "a"), OPTIONS_GO_ON);
    assert_true(values.watch == 5);
    assert_string_equal(operands[0], "a");
    assert_null(operands[1]);
    assert_int_equal(READ(&values, operands, "--watch=0.5", "7"), OPTIONS_GO_ON);
    assert_true(values.watch == 0.5);
    assert_string_equal(operands[0], "7");
    assert_int_equal(READ(&values, operands, "--watch", "cart"), OPTIONS_GO_ON);
    assert_true(values.watch == 2);
    assert_string_equal(operands[0], "cart");
    assert_int_equal(READ(&values, operands, "--", "--flag"), OPTIONS_GO_ON);
    assert_string_equal(operands[0], "--flag");
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const cases[][3] = {
        {"--bogus"},
        {"--flag=1"},
        {"--text"},
        {"--text="},
        {"--word", "three"},
        {"--count", "0"},
        {"--count", "11"},
        {"--count", "-1"},
        {"--count", "3x"},
        {"--count", ""},
        {"--seconds", "61"},
        {"--seconds", "nan"},
        {"--seconds", "soon"},
        {"--watch=0"},
        {"--watch=often"},
        {"--watch", "99999"},
    };
    struct values values;
    const char *operands[OPERANDS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(READ(&values, operands, cases[i][0], cases[i][1]), EXIT_USAGE);
    }
    assert_int_equal(READ(&values, operands, "a", "b", "c"), EXIT_USAGE);
}

/* Every command of the family tells the same of the same options, with examples and exit codes. */
static void help_of_every_command(void **state)
{
    static int (*const commands[])(int argc, char **argv) = {
        cmd_top, cmd_stat, cmd_edges, cmd_why, cmd_slow, cmd_trace, cmd_heatmap, cmd_tap, cmd_ledger};
    struct canned_api *api = *state;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *text = COMMAND(api, commands[i], "--help");
        assert_int_equal(api->code, 0);
        assert_int_equal(strncmp(text, "usage: weft ", 12), 0);
        assert_contains(text, "\nexamples:\n  weft ");
        assert_contains(text, "\nExit code 0");
        assert_contains(text, "  --json");
        assert_contains(
            text, "\n  --api PATH|URL          the agent's API (else WEFT_API, else the usual places)\n");
        if (i < 3) {
            assert_contains(
                text, "\n  --sort KEY              rate (default), failed, p50, p90, p99, p99.9 or name\n");
            assert_contains(text, "\n  --watch [SECONDS]       again and again");
        }
    }
    assert_int_equal(api->request_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test_setup_teardown(help_of_every_command, canned_setup, canned_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
