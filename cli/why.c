/* `weft why SERVICE`: why a service is slow, from /api/v1/why. One thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/plain_text.h"
#include "cli/terminal.h"

enum { PATH_BYTES = 1024, CAUSE_COLUMNS = 40, DURATION_COLUMNS = 9, SUMMARY_COLUMNS = 400, ID_COLUMNS = 34 };

struct why_options {
    struct answer_options answer;
    const char *window;
    const char *slow;
    const char *name_space;
};

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void print_parts(const char *title, const json_t *parts)
{
    static const char *const names[] = {
        "seconds", "self_seconds", "callees_seconds", "network_seconds", "retries_seconds"};

    printf("%-12s", title);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        terminal_duration(number_of(parts, names[i]), DURATION_COLUMNS + 1);
    }
    printf("\n");
}

static void print_times(const json_t *answer)
{
    if (number_of(answer, "requests") == 0) {
        return;
    }
    printf("%-12s%*s%*s%*s%*s%*s\n", "MEAN OF", DURATION_COLUMNS + 1, "TIME", DURATION_COLUMNS + 1, "ITS OWN",
        DURATION_COLUMNS + 1, "CALLEES", DURATION_COLUMNS + 1, "NETWORK", DURATION_COLUMNS + 1, "RETRIES");
    print_parts("usual", json_object_get(answer, "usual"));
    print_parts("slow", json_object_get(answer, "slow"));
    printf("\n");
}

static void print_cause(const struct terminal *terminal, const json_t *cause, size_t number)
{
    const json_t *companion = json_object_get(cause, "companion_of");
    const json_t *lift = json_object_get(cause, "lift");
    const json_t *example = json_object_get(cause, "example");
    bool is_strong = json_is_true(json_object_get(cause, "strong")) && !json_is_integer(companion);

    terminal_style(terminal, is_strong ? STYLE_STRONG : STYLE_PLAIN);
    if (json_is_integer(companion)) {
        printf("+%-2lld ", (long long)json_integer_value(companion) + 1);
    } else {
        printf("%2zu. ", number);
    }
    plain_text_print(stdout, text_of(cause, "text"), CAUSE_COLUMNS);
    plain_text_print(stdout, text_of(cause, "group"), 9);
    printf("%6.1f%% %6.1f%%", number_of(cause, "share") * 100, number_of(cause, "share_of_others") * 100);
    if (json_is_number(lift)) {
        printf(" %7.1f", json_number_value(lift));
    } else {
        printf(" %7s", "-");
    }
    terminal_duration(number_of(cause, "excess_seconds"), DURATION_COLUMNS);
    printf("  ");
    plain_text_write(stdout, text_of(example, "trace_id"), ID_COLUMNS);
    terminal_style(terminal, STYLE_PLAIN);
    printf("\n");
}

static void print_causes(const json_t *answer)
{
    const json_t *causes = json_object_get(answer, "causes");
    struct terminal terminal = terminal_look();

    printf("    ");
    plain_text_print(stdout, "CAUSE", CAUSE_COLUMNS);
    plain_text_print(stdout, "MAKES", 9);
    printf("%7s %7s %7s%*s  %s\n", "SHARE", "OTHERS", "LIFT", DURATION_COLUMNS, "EXCESS", "EXAMPLE");
    for (size_t i = 0; i < json_array_size(causes); i++) {
        print_cause(&terminal, json_array_get(causes, i), i + 1);
    }
}

static void print_answer(const json_t *answer)
{
    const char *seen_by = text_of(answer, "seen_by");

    plain_text_write(stdout, text_of(answer, "service"), CAUSE_COLUMNS);
    printf(": ");
    plain_text_write(stdout, text_of(answer, "summary"), SUMMARY_COLUMNS);
    printf("\n%.0f requests in %.0f s, %.0f slow (above", number_of(answer, "requests"),
        number_of(answer, "window_seconds"), number_of(answer, "slow_requests"));
    printf(" ");
    terminal_duration(number_of(answer, "slow_above_seconds"), 0);
    printf("), %.0f failing", number_of(answer, "failing_requests"));
    if (seen_by != NULL && strcmp(seen_by, "service") != 0) {
        printf("%s", strcmp(seen_by, "callers") == 0 ? "; as its callers saw them" : "; calls that it made");
    }
    printf("\n\n");
    print_times(answer);
    if (json_array_size(json_object_get(answer, "causes")) > 0) {
        print_causes(answer);
    }
}

static int show(void *user, const json_t *answer)
{
    (void)user;
    print_answer(answer);
    return EXIT_SUCCESS;
}

static const struct option_row rows[] = {
    {.name = "window",
        .value = "DURATION",
        .help = "how far back: 30s, 5m (default), at most 1h",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct why_options, window)},
    {.name = "slow",
        .value = "DURATION",
        .help = "slow is longer than this (default: above p99)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct why_options, slow)},
    {.name = "namespace",
        .value = "NAME",
        .help = "of the service (default: any)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct why_options, name_space)},
    {.name = NULL},
};

static const char about[] =
    "Compares the slow requests of a service with the others and ranks what is over-represented among them:\n"
    "pods, versions, routes, callers, called services, networks, retries, response flags, attributes.\n"
    "Failing requests are compared with the others likewise.\n";

static const char notes[] =
    "SHARE is how many of the slow requests have it, OTHERS how many of the rest, LIFT the one by the "
    "other.\n"
    "EXCESS is how much longer than usual the slow requests that have it took, together.\n"
    "A line that begins with + only comes along with the cause whose number follows.\n";

int cmd_why(int argc, char **argv)
{
    struct why_options options = {.window = NULL};
    const char *operands[OPERANDS_MAX];
    char path[PATH_BYTES] = "/api/v1/why";
    const struct command_line line = {
        .name = "why",
        .operands = "SERVICE",
        .about = about,
        .groups = {{rows, &options}, {answer_watch_rows, &options.answer}, {answer_rows, &options.answer}},
        .notes = notes,
        .examples = "  weft why cart\n"
                    "  weft why cart --window 15m --slow 250ms\n"
                    "  weft why cart --json | jq '.causes[0]'\n",
        .exit_codes =
            "Exit code 0, also when there is no single cause; 1 when no agent answers; 2 for wrong usage.\n",
        .operands_min = 1,
        .operands_max = 1,
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    if (!answers_add_argument(&line, path, sizeof path, "service", operands[0]) ||
        !answers_add_argument(&line, path, sizeof path, "window", options.window) ||
        !answers_add_argument(&line, path, sizeof path, "slow", options.slow) ||
        !answers_add_argument(&line, path, sizeof path, "namespace", options.name_space)) {
        return EXIT_USAGE;
    }
    struct answers answers = {.command = line.name, .options = &options.answer, .path = path, .show = show};
    return answers_run(&answers);
}
