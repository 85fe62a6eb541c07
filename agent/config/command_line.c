/* The options of command_line.h, from one table. */
#include "config/command_line.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"

struct option_row {
    const char *name;
    bool takes_value;
    size_t offset; /* of a const char * or a bool in struct command_line */
};

static const struct option_row option_rows[] = {
    {.name = "--config", .takes_value = true, .offset = offsetof(struct command_line, config_path)},
    {.name = "--socket", .takes_value = true, .offset = offsetof(struct command_line, socket_path)},
    {.name = "--http", .takes_value = true, .offset = offsetof(struct command_line, http_address)},
    {.name = "--shards", .takes_value = true, .offset = offsetof(struct command_line, shards)},
    {.name = "--check-config", .offset = offsetof(struct command_line, check_config)},
    {.name = "--effective-config", .offset = offsetof(struct command_line, effective_config)},
    {.name = "--version", .offset = offsetof(struct command_line, version)},
    {.name = "--help", .offset = offsetof(struct command_line, help)},
    {.name = "-h", .offset = offsetof(struct command_line, help)},
};

const char *command_line_usage(void)
{
    return "usage: weftd [options]\n"
           "  --config FILE      read this YAML file (docs/weft.example.yaml shows every key)\n"
           "  --socket PATH      Unix socket that takes records (key socket.path)\n"
           "  --http ADDR:PORT   where /metrics, health and queries are served (key http.address)\n"
           "  --shards N         threads that take records, 0 = from CPUs and cgroup quota (key shards)\n"
           "  --check-config     read and check the configuration, say what is wrong, and end\n"
           "  --effective-config print every key with its value in force, secrets masked, and end\n"
           "  --version          print the version and end\n"
           "  --help             print this and end\n";
}

static const struct option_row *find_option(const char *argument, size_t length)
{
    for (size_t i = 0; i < sizeof option_rows / sizeof option_rows[0]; i++) {
        const char *name = option_rows[i].name;
        if (strlen(name) == length && memcmp(name, argument, length) == 0) {
            return &option_rows[i];
        }
    }
    return NULL;
}

int command_line_parse(
    int argc, char *const *argv, struct command_line *ret_line, char *ret_error, size_t error_bytes)
{
    struct command_line line = {.config_path = NULL};

    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        size_t name_length = strcspn(argument, "=");
        const char *value = argument[name_length] == '=' ? argument + name_length + 1 : NULL;
        const struct option_row *row = find_option(argument, name_length);
        if (row == NULL) {
            (void)snprintf(ret_error, error_bytes, "unknown option \"%.100s\"; --help lists them", argument);
            return WERR_INVALID;
        }
        if (!row->takes_value && value != NULL) {
            (void)snprintf(ret_error, error_bytes, "%s takes no value", row->name);
            return WERR_INVALID;
        }
        if (row->takes_value && value == NULL && ++i < argc) {
            value = argv[i];
        }
        if (row->takes_value && value == NULL) {
            (void)snprintf(ret_error, error_bytes, "%s needs a value", row->name);
            return WERR_INVALID;
        }
        void *place = (char *)&line + row->offset;
        if (row->takes_value) {
            *(const char **)place = value;
        } else {
            *(bool *)place = true;
        }
    }
    *ret_line = line;
    return 0;
}
