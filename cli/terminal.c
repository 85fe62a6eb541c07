/* See terminal.h. */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/units.h"

static unsigned clamp_columns(long columns)
{
    if (columns < TERMINAL_COLUMNS_MIN) {
        return TERMINAL_COLUMNS_MIN;
    }
    return columns > TERMINAL_COLUMNS_MAX ? TERMINAL_COLUMNS_MAX : (unsigned)columns;
}

struct terminal terminal_look(void)
{
    struct terminal terminal = {.columns = TERMINAL_COLUMNS};
    const char *columns = getenv("COLUMNS");
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    struct winsize size = {.ws_row = 0};
    bool is_terminal = isatty(STDOUT_FILENO) == 1;
    bool has_size = is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

    if (columns != NULL && strtol(columns, NULL, 10) > 0) {
        terminal.columns = clamp_columns(strtol(columns, NULL, 10));
    } else if (has_size && size.ws_col > 0) {
        terminal.columns = clamp_columns(size.ws_col);
    }
    terminal.rows = has_size ? size.ws_row : 0;
    terminal.has_colours =
        is_terminal && (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;
    return terminal;
}

void terminal_style(const struct terminal *terminal, enum terminal_style style)
{
    static const char *const codes[] = {
        [STYLE_PLAIN] = "\x1b[0m",
        [STYLE_ERROR] = "\x1b[31m",
        [STYLE_FAINT] = "\x1b[2m",
        [STYLE_STRONG] = "\x1b[1m",
    };

    if (terminal->has_colours) {
        fputs(codes[style], stdout);
    }
}

void terminal_duration(double seconds, int columns)
{
    char text[UNITS_BYTES];

    units_duration(seconds, text);
    printf("%*s", columns, text);
}
