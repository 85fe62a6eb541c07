/* See options.h. */
#include "cli/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

enum { HELP_COLUMN = 26, OPTION_FIRST = 256 };

static const double watch_seconds_min = 0.1;

/* ---- help ---- */

/* The name with its value, then the help from HELP_COLUMN on, line by line. */
static void print_row(const struct option_row *row)
{
    bool is_optional = row->kind == OPTION_WATCH;
    int written = printf("  --%s%s%s%s%s", row->name, row->value != NULL ? " " : "", is_optional ? "[" : "",
        row->value != NULL ? row->value : "", is_optional ? "]" : "");
    const char *text = row->help;

    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        printf("%*s%.*s\n", written < HELP_COLUMN ? HELP_COLUMN - written : 1, "", (int)length, text);
        text += length + (text[length] == '\n');
        written = 0;
    }
}

void options_print_help(const struct command_line *line)
{
    printf("usage: weft %s [OPTION…]%s%s\n%s\n", line->name, line->operands[0] != '\0' ? " " : "",
        line->operands, line->about);
    for (const struct option_group *group = line->groups; group->rows != NULL; group++) {
        for (const struct option_row *row = group->rows; row->name != NULL; row++) {
            print_row(row);
        }
    }
    printf("\n%s%sexamples:\n%s\n%s", line->notes != NULL ? line->notes : "", line->notes != NULL ? "\n" : "",
        line->examples, line->exit_codes);
}

/* ---- values ---- */

static bool read_number(const char *text, double least, double most, double *ret_number)
{
    char *end;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= least && number <= most)) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool is_word(const struct option_row *row, const char *text)
{
    for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++) {
        if (strcmp(row->words[i], text) == 0) {
            return true;
        }
    }
    return row->words == NULL && text[0] != '\0';
}

static bool take_value(const struct option_row *row, void *target, const char *text)
{
    void *value = (char *)target + row->offset;
    double number = row->unless;

    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)value = true;
        return true;
    case OPTION_TEXT:
        *(const char **)value = text;
        return is_word(row, text);
    case OPTION_COUNT:
        if (strspn(text, "0123456789") != strlen(text) || !read_number(text, 1, (double)row->most, &number)) {
            return false;
        }
        *(unsigned long *)value = (unsigned long)number;
        return true;
    case OPTION_SECONDS:
        return read_number(text, 0, (double)row->most, value);
    case OPTION_WATCH:
        if (text != NULL && !read_number(text, watch_seconds_min, (double)row->most, &number)) {
            return false;
        }
        *(double *)value = number;
        return true;
    }
    return false;
}

static int refuse(const struct command_line *line, const struct option_row *row, const char *text)
{
    fprintf(stderr, "weft %s: --%s: ", line->name, row->name);
    if (row->words != NULL) {
        fputs("expected one of", stderr);
        for (size_t i = 0; row->words[i] != NULL; i++) {
            fprintf(stderr, " %s", row->words[i]);
        }
    } else if (row->kind == OPTION_TEXT) {
        fputs("expected a text that is not empty", stderr);
    } else if (row->kind == OPTION_COUNT) {
        fprintf(stderr, "expected a number from 1 to %lu", row->most);
    } else {
        fprintf(stderr, "expected seconds, at most %lu", row->most);
    }
    fprintf(stderr, ", not '%.60s'\n", text != NULL ? text : "");
    return EXIT_USAGE;
}

/* ---- the command line ---- */

struct option_table {
    struct option names[OPTION_ROWS_MAX + 2];
    const struct option_row *rows[OPTION_ROWS_MAX];
    void *targets[OPTION_ROWS_MAX];
    size_t count;
};

static int has_value(enum option_kind kind)
{
    return kind == OPTION_FLAG ? no_argument : kind == OPTION_WATCH ? optional_argument : required_argument;
}

static void make_table(const struct command_line *line, struct option_table *table)
{
    *table = (struct option_table){.count = 0};
    for (const struct option_group *group = line->groups; group->rows != NULL; group++) {
        for (const struct option_row *row = group->rows; row->name != NULL && table->count < OPTION_ROWS_MAX;
             row++) {
            size_t i = table->count++;
            table->rows[i] = row;
            table->targets[i] = group->target;
            table->names[i] = (struct option){row->name, has_value(row->kind), NULL, OPTION_FIRST + (int)i};
        }
    }
    table->names[table->count] = (struct option){"help", no_argument, NULL, 'h'};
}

/* getopt takes an optional value only behind '='; "--watch 5" is what people write. */
static const char *optional_value(int argc, char **argv)
{
    if (optarg == NULL && optind < argc && isdigit((unsigned char)argv[optind][0])) {
        return argv[optind++];
    }
    return optarg;
}

static int take_operands(
    const struct command_line *line, int argc, char **argv, const char *operands[OPERANDS_MAX])
{
    unsigned count = 0;

    for (; optind < argc; optind++) {
        if (count == line->operands_max) {
            fprintf(stderr, "weft %s: unexpected '%.60s'; --help tells more\n", line->name, argv[optind]);
            return EXIT_USAGE;
        }
        operands[count++] = argv[optind];
    }
    if (count < line->operands_min) {
        fprintf(stderr, "weft %s: expected %s; --help tells more\n", line->name, line->operands);
        return EXIT_USAGE;
    }
    return OPTIONS_GO_ON;
}

int options_read(const struct command_line *line, int argc, char **argv, const char *operands[OPERANDS_MAX])
{
    struct option_table table;
    char program[64];
    char *own_name = argv[0];
    int option;

    for (size_t i = 0; i < OPERANDS_MAX; i++) {
        operands[i] = NULL;
    }
    make_table(line, &table);
    (void)snprintf(program, sizeof program, "weft %s", line->name);
    argv[0] = program; /* getopt's messages begin with it */
    optind = 0;
    while ((option = getopt_long(argc, argv, "h", table.names, NULL)) != -1) {
        if (option == 'h') {
            argv[0] = own_name;
            options_print_help(line);
            return EXIT_SUCCESS;
        }
        if (option < OPTION_FIRST) {
            argv[0] = own_name;
            fprintf(stderr, "weft %s --help tells the options\n", line->name);
            return EXIT_USAGE;
        }
        const struct option_row *row = table.rows[option - OPTION_FIRST];
        const char *text = row->kind == OPTION_WATCH ? optional_value(argc, argv) : optarg;
        if (!take_value(row, table.targets[option - OPTION_FIRST], text)) {
            argv[0] = own_name;
            return refuse(line, row, text);
        }
    }
    argv[0] = own_name;
    return take_operands(line, argc, argv, operands);
}
