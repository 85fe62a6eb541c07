/* `weft why SERVICE`: why a service is slow, from /api/v1/why. One thread. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/plain_text.h"
#include "cli/terminal.h"

enum { PATH_BYTES = 1024, CAUSE_COLUMNS = 40, DURATION_COLUMNS = 9, SUMMARY_COLUMNS = 400, ID_COLUMNS = 34 };

static const char help[] =
    "usage: weft why [OPTION…] SERVICE\n"
    "Compares the slow requests of a service with the others and ranks what is over-represented among them:\n"
    "pods, versions, routes, callers, called services, networks, retries, response flags, attributes.\n"
    "Failing requests are compared with the others likewise.\n\n"
    "  --window DURATION       how far back: 30s, 5m (default), at most 1h\n"
    "  --slow DURATION         slow is longer than this (default: above p99)\n"
    "  --namespace NAME        of the service (default: any)\n"
    "  --json                  the API's answer as it is\n"
    "  --api PATH|URL          the agent's API (else WEFT_API, else the usual places)\n\n"
    "SHARE is how many of the slow requests have it, OTHERS how many of the rest, LIFT the one by the "
    "other.\n"
    "EXCESS is how much longer than usual the slow requests that have it took, together.\n"
    "A line that begins with + only comes along with the cause whose number follows.\n\n"
    "examples:\n"
    "  weft why cart\n"
    "  weft why cart --window 15m --slow 250ms\n"
    "  weft why cart --json | jq '.causes[0]'\n"
    "Exit code 0, also when there is no single cause; 1 when no agent answers; 2 for wrong usage.\n";

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

int cmd_why(int argc, char **argv)
{
    static const struct option options[] = {
        {"window", required_argument, NULL, 'w'},
        {"slow", required_argument, NULL, 's'},
        {"namespace", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"api", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char path[PATH_BYTES] = "/api/v1/why";
    char reason[API_REASON_BYTES];
    const char *api = NULL;
    bool as_json = false;
    int index = 0;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (option == 'j') {
            as_json = true;
        } else if (option == 'a') {
            api = optarg;
        } else if (option == '?' || !api_add_argument(path, sizeof path, options[index].name, optarg)) {
            return EXIT_USAGE;
        }
    }
    if (optind + 1 != argc || !api_add_argument(path, sizeof path, "service", argv[optind])) {
        fprintf(stderr, "weft why: expected one service; --help tells more\n");
        return EXIT_USAGE;
    }
    json_t *answer = api_get(api, path, reason);
    if (answer == NULL) {
        fprintf(stderr, "weft why: %s\n", reason);
        return EXIT_FAILURE;
    }
    if (as_json) {
        (void)json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_answer(answer);
    }
    json_decref(answer);
    return EXIT_SUCCESS;
}
