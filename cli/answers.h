/*
 * From a question to the screen, for every command that asks the agent once or again and again: fetch, then
 * JSON or a table; --watch; errors. One thread.
 */
#ifndef WEFT_CLI_ANSWERS_H
#define WEFT_CLI_ANSWERS_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/api.h"
#include "cli/options.h"

enum { WATCH_SECONDS = 2, WATCH_SECONDS_MAX = 86400 };

struct answer_options {
    const char *api;
    bool as_json;
    double watch_seconds; /* 0: once */
};

/* --json and --api. */
extern const struct option_row answer_rows[];

/* --watch, for the same target. */
extern const struct option_row answer_watch_rows[];

struct answers {
    const char *command; /* for messages */
    const struct answer_options *options;
    const char *path;                              /* of the API; or */
    json_t *(*ask)(void *user, char *reason);      /* in its place; NULL: GETs the path */
    int (*show)(void *user, const json_t *answer); /* prints it to standard output; the exit code */
    void *user;
};

/* Adds an option's value to the path, nothing for NULL. False, said on standard error, when it is too long.
 */
bool answers_add_argument(
    const struct command_line *line, char *path, size_t path_bytes, const char *name, const char *value);

/*
 * Asks and shows, once, or until it is killed with --watch: on a terminal each table takes the place of the
 * one before, in a pipe they follow each other; with --json each answer is one line. The exit code. Once an
 * agent has answered, --watch survives that it goes away.
 */
int answers_run(const struct answers *answers);

#endif
