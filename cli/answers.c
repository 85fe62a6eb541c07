/* See answers.h. */
#include "cli/answers.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 65536 };

const struct option_row answer_rows[] = {
    {.name = "json",
        .help = "the API's answer as it is",
        .kind = OPTION_FLAG,
        .offset = offsetof(struct answer_options, as_json)},
    {.name = "api",
        .value = "PATH|URL",
        .help = "the agent's API (else WEFT_API, else the usual places)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct answer_options, api)},
    {.name = NULL},
};

const struct option_row answer_watch_rows[] = {
    {.name = "watch",
        .value = "SECONDS",
        .help = "again and again (default: every 2 s)",
        .kind = OPTION_WATCH,
        .offset = offsetof(struct answer_options, watch_seconds),
        .most = WATCH_SECONDS_MAX,
        .unless = WATCH_SECONDS},
    {.name = NULL},
};

bool answers_add_argument(
    const struct command_line *line, char *path, size_t path_bytes, const char *name, const char *value)
{
    if (value == NULL || api_add_argument(path, path_bytes, name, value)) {
        return true;
    }
    fprintf(stderr, "weft %s: the value of %s is too long\n", line->name, name);
    return false;
}

static bool redraws(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

static json_t *ask(const struct answers *answers, char *reason)
{
    return answers->ask != NULL ? answers->ask(answers->user, reason)
                                : api_get(answers->options->api, answers->path, reason);
}

static int show(const struct answers *answers, const json_t *answer)
{
    bool is_watch = answers->options->watch_seconds > 0;

    if (!answers->options->as_json) {
        return answers->show(answers->user, answer);
    }
    (void)json_dumpf(answer, stdout, is_watch ? JSON_COMPACT : JSON_INDENT(2));
    printf("\n");
    return EXIT_SUCCESS;
}

/* Each round's head: the screen is begun anew, or the tables are told apart by a line. */
static void begin_round(const struct answers *answers, bool is_first)
{
    char text[32];
    time_t now = time(NULL);
    struct tm parts;

    if (answers->options->as_json || localtime_r(&now, &parts) == NULL ||
        strftime(text, sizeof text, "%F %T", &parts) == 0) {
        return;
    }
    if (redraws()) {
        printf("\x1b[H\x1b[2Jweft %s  %s  every %g s; Ctrl-C ends it\n\n", answers->command, text,
            answers->options->watch_seconds);
    } else {
        printf("%s%s\n", is_first ? "" : "\n", text);
    }
}

static void wait_seconds(double seconds)
{
    struct timespec span = {
        .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    (void)nanosleep(&span, NULL);
}

static int watch(const struct answers *answers)
{
    char reason[API_REASON_BYTES];
    bool was_answered = false;

    if (redraws()) {
        (void)setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES); /* a screen at once */
    }
    for (;;) {
        json_t *answer = ask(answers, reason);
        if (answer == NULL && !was_answered) {
            fprintf(stderr, "weft %s: %s\n", answers->command, reason);
            return EXIT_FAILURE;
        }
        begin_round(answers, !was_answered);
        if (answer == NULL) {
            (void)fflush(stdout);
            fprintf(stderr, "weft %s: %s\n", answers->command, reason);
        } else {
            was_answered = true;
            (void)show(answers, answer);
            json_decref(answer);
        }
        if (fflush(stdout) != 0) {
            return EXIT_FAILURE; /* nobody reads any more */
        }
        wait_seconds(answers->options->watch_seconds);
    }
}

int answers_run(const struct answers *answers)
{
    char reason[API_REASON_BYTES];

    if (answers->options->watch_seconds > 0) {
        return watch(answers);
    }
    json_t *answer = ask(answers, reason);
    if (answer == NULL) {
        fprintf(stderr, "weft %s: %s\n", answers->command, reason);
        return EXIT_FAILURE;
    }
    int code = show(answers, answer);
    json_decref(answer);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "weft %s: cannot write: %s\n", answers->command, strerror(errno));
        return EXIT_FAILURE;
    }
    return code;
}
