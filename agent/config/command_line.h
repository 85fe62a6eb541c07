/* weftd's options. They go over the configuration file's keys. Main thread, before anything else. */
#ifndef WEFT_CONFIG_COMMAND_LINE_H
#define WEFT_CONFIG_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* What was asked for; strings are borrowed from argv, NULL when not given. */
struct command_line {
    const char *config_path;
    const char *socket_path;
    const char *http_address;
    const char *shards;
    bool check_config;
    bool effective_config;
    bool version;
    bool help;
};

/*
 * Reads argv[1..argc-1]: --name VALUE and --name=VALUE. 0; or WERR_INVALID with one line for the user in
 * `ret_error` (unknown option, missing or superfluous value, an argument that is no option).
 */
int command_line_parse(
    int argc, char *const *argv, struct command_line *ret_line, char *ret_error, size_t error_bytes);

/* The text of --help, lines ended by \n. Static. */
const char *command_line_usage(void);

#endif
