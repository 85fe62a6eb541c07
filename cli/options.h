/*
 * Options of a command, said once: the same rows are parsed, are its help, and so are its manual page and its
 * completion. Groups of rows are shared between commands. One thread.
 */
#ifndef WEFT_CLI_OPTIONS_H
#define WEFT_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { OPTIONS_GO_ON = -1, OPTION_ROWS_MAX = 32, OPTION_GROUPS_MAX = 4, OPERANDS_MAX = 2 };

enum option_kind {
    OPTION_FLAG,    /* bool */
    OPTION_TEXT,    /* const char *, borrowed from argv; empty texts are refused */
    OPTION_COUNT,   /* unsigned long, 1 to `most` */
    OPTION_SECONDS, /* double, 0 to `most` */
    OPTION_WATCH,   /* double, 0.1 to `most`; its value may be left out, then it is `unless` */
};

struct option_row {
    const char *name;  /* without "--" */
    const char *value; /* what the help calls its value; NULL for a flag */
    const char *help;  /* one line or more */
    enum option_kind kind;
    size_t offset;            /* of the value in the group's target */
    unsigned long most;       /* of numbers */
    double unless;            /* of OPTION_WATCH */
    const char *const *words; /* of a text: the only values, NULL-terminated; NULL: any */
};

struct option_group {
    const struct option_row *rows; /* up to one without a name */
    void *target;
};

struct command_line {
    const char *name;                                  /* of the command */
    const char *operands;                              /* as the usage line shows them; "" for none */
    const char *about;                                 /* what it does, whole lines */
    struct option_group groups[OPTION_GROUPS_MAX + 1]; /* up to one without rows */
    const char *notes;                                 /* whole lines after the options, or NULL */
    const char *examples;                              /* whole lines, each begins with two spaces */
    const char *exit_codes;                            /* a whole line, or several */
    unsigned operands_min;
    unsigned operands_max; /* at most OPERANDS_MAX */
};

/*
 * Parses into the groups' targets and `operands` (NULL where not given). OPTIONS_GO_ON, or the exit code with
 * which to end: --help was printed, or standard error says what is wrong.
 */
int options_read(const struct command_line *line, int argc, char **argv, const char *operands[OPERANDS_MAX]);

/* `weft COMMAND --help` */
void options_print_help(const struct command_line *line);

#endif
