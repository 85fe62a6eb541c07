/* `weft config`: the configuration that the agent runs with, from /api/v1/config. One thread. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/options.h"

struct config_options {
    const char *api;
    bool effective;
};

/* Texts in it are quoted by the agent, which leaves no control characters in them. */
static bool print_line(void *user, const char *text, size_t length)
{
    (void)user;
    return fwrite(text, 1, length, stdout) == length && putchar('\n') != EOF;
}

static const struct option_row rows[] = {
    {.name = "effective",
        .help = "what it shows without this, too: every key with its value in force",
        .kind = OPTION_FLAG,
        .offset = offsetof(struct config_options, effective)},
    {.name = "api",
        .value = "PATH|URL",
        .help = "the agent's API (else WEFT_API, else the usual places)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct config_options, api)},
    {.name = NULL},
};

int cmd_config(int argc, char **argv)
{
    struct config_options options = {.api = NULL};
    const char *operands[OPERANDS_MAX];
    char reason[API_REASON_BYTES];
    const struct command_line line = {
        .name = "config",
        .operands = "",
        .about =
            "Shows the configuration that the agent runs with, as YAML that weftd reads: every key, whether "
            "it\n"
            "came from the file, the environment, an option or is a default, and whether a reload (SIGHUP)\n"
            "changes it (live) or a new start does (restart). Comments on top tell what became of the last\n"
            "reload, and which keys of the file wait for a restart. Secrets are masked.\n",
        .groups = {{rows, &options}},
        .notes = "weftd --config FILE --effective-config shows the same of a file that no agent runs with.\n",
        .examples = "  weft config\n"
                    "  weft config | grep -A 3 '^http:'\n"
                    "  weftd --config new.yaml --effective-config | diff <(weft config) -\n",
        .exit_codes = "Exit code 0; 1 when no agent answers; 2 for wrong usage.\n",
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    if (api_stream(options.api, "/api/v1/config", print_line, NULL, reason) < 0) {
        fprintf(stderr, "weft config: %s\n", reason);
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
