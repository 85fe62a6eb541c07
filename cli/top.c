/*
 * `weft top`: its terminal, by ncurses, and its loop. Keys, signals (by a descriptor, so that nothing runs in
 * a handler) and the agent's answers are waited for together; what they mean is in top_model.h. One thread.
 */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/stat.h"
#include "cli/top_model.h"

enum {
    ASK_SECONDS = 1,  /* at most once a second, however fast keys are pressed */
    KEY_ASK_MS = 150, /* but so soon after a key that changed the question */
    REDRAW_MS = 1000, /* the clock in the corner */
    ESCAPE_MS = 25,
    PAIR_ERROR = 1,
    SCREEN_ROWS = 24, /* until the terminal tells */
    SCREEN_COLUMNS = 80,
};

struct terminal_ui {
    struct top top;
    struct screen screen;
    struct api_client *client;
    SCREEN *curses;
    int signal_fd;
    double interval_s;
    double asked_s; /* monotonic */
    bool has_colours;
    bool needs_drawing;
};

static double monotonic_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double unix_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the terminal ---- */

static attr_t attribute_of(const struct terminal_ui *ui, const struct screen_cell *cell)
{
    attr_t attribute = cell->is_reversed ? A_REVERSE : A_NORMAL;

    switch ((enum terminal_style)cell->style) {
    case STYLE_ERROR:
        return attribute | (ui->has_colours ? (attr_t)COLOR_PAIR(PAIR_ERROR) : A_BOLD);
    case STYLE_FAINT:
        return attribute | A_DIM;
    case STYLE_STRONG:
        return attribute | A_BOLD;
    case STYLE_PLAIN:
        break;
    }
    return attribute;
}

static void show_screen(struct terminal_ui *ui)
{
    top_draw(&ui->top, unix_s(), &ui->screen);
    for (unsigned row = 0; row < ui->screen.rows; row++) {
        for (unsigned column = 0; column < ui->screen.columns; column++) {
            const struct screen_cell *cell = screen_at(&ui->screen, row, column);
            (void)mvaddch((int)row, (int)column, (chtype)(unsigned char)cell->shown | attribute_of(ui, cell));
        }
    }
    (void)refresh();
    ui->needs_drawing = false;
}

static bool fit_terminal(struct terminal_ui *ui)
{
    struct winsize size = {.ws_row = SCREEN_ROWS, .ws_col = SCREEN_COLUMNS};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
        size = (struct winsize){.ws_row = SCREEN_ROWS, .ws_col = SCREEN_COLUMNS};
    }
    (void)resizeterm(size.ws_row, size.ws_col);
    if (!screen_resize(&ui->screen, size.ws_row, size.ws_col)) {
        return false;
    }
    top_resize(&ui->top, ui->screen.rows, ui->screen.columns);
    (void)clearok(stdscr, TRUE);
    ui->needs_drawing = true;
    return true;
}

static bool open_terminal(struct terminal_ui *ui)
{
    ui->curses = newterm(NULL, stdout, stdin);
    if (ui->curses == NULL) {
        return false;
    }
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(ESCAPE_MS);
    (void)curs_set(0);
    ui->has_colours = terminal_look().has_colours && has_colors();
    if (ui->has_colours) {
        (void)start_color();
        (void)use_default_colors();
        (void)init_pair(PAIR_ERROR, COLOR_RED, -1);
    }
    return fit_terminal(ui);
}

static void close_terminal(struct terminal_ui *ui)
{
    if (ui->curses != NULL) {
        (void)endwin();
        delscreen(ui->curses);
        ui->curses = NULL;
    }
}

/* ---- keys and signals ---- */

static int key_of(int code)
{
    switch (code) {
    case KEY_UP:
        return TOP_KEY_UP;
    case KEY_DOWN:
        return TOP_KEY_DOWN;
    case KEY_LEFT:
        return TOP_KEY_LEFT;
    case KEY_RIGHT:
        return TOP_KEY_RIGHT;
    case KEY_PPAGE:
        return TOP_KEY_PAGE_UP;
    case KEY_NPAGE:
        return TOP_KEY_PAGE_DOWN;
    case KEY_HOME:
        return TOP_KEY_HOME;
    case KEY_END:
        return TOP_KEY_END;
    case KEY_ENTER:
        return TOP_KEY_ENTER;
    case KEY_BACKSPACE:
        return TOP_KEY_BACKSPACE;
    default:
        return code < 256 ? code : 0;
    }
}

static void read_keys(struct terminal_ui *ui)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int code;

    while ((code = getch()) != ERR && !ui->top.quits) {
        top_press(&ui->top, key_of(code));
        ui->needs_drawing = true;
    }
    if (poll(&input, 1, 0) > 0 && (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
        ui->top.quits = true; /* the terminal is gone */
    }
}

/* SIGINT, SIGTERM, SIGHUP: an end like q. */
static bool read_signals(struct terminal_ui *ui)
{
    struct signalfd_siginfo info;

    while (read(ui->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGWINCH) {
            ui->top.quits = true;
        } else if (!fit_terminal(ui)) {
            return false;
        }
    }
    return true;
}

static int open_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- the agent ---- */

static void ask_when_due(struct terminal_ui *ui)
{
    char path[TRAFFIC_PATH_BYTES];
    char reason[API_REASON_BYTES];
    double since_s = monotonic_s() - ui->asked_s;

    bool is_due =
        ui->top.wants_answer ? since_s >= KEY_ASK_MS / 1e3 : since_s >= ui->interval_s && !ui->top.is_paused;
    if (!is_due || api_client_is_asking(ui->client)) {
        return;
    }
    ui->asked_s = monotonic_s();
    if (!top_question(&ui->top, path)) {
        top_fail(&ui->top, "these names are too long to ask for", unix_s());
    } else if (!api_client_ask(ui->client, path, reason)) {
        top_fail(&ui->top, reason, unix_s());
    }
}

static void take_answer(struct terminal_ui *ui)
{
    char reason[API_REASON_BYTES];
    json_t *answer = NULL;

    if (!api_client_take(ui->client, &answer, reason)) {
        return;
    }
    if (answer != NULL) {
        top_take(&ui->top, answer, unix_s());
    } else {
        top_fail(&ui->top, reason, unix_s());
    }
    ui->needs_drawing = true;
}

/* Milliseconds until there is something to do without being asked. */
static int wait_ms(const struct terminal_ui *ui)
{
    double since_s = monotonic_s() - ui->asked_s;
    double left_s = ui->top.wants_answer ? KEY_ASK_MS / 1e3 - since_s : ui->interval_s - since_s;

    if (api_client_is_asking(ui->client) || left_s * 1e3 > REDRAW_MS || ui->top.is_paused) {
        return REDRAW_MS;
    }
    return left_s > 0 ? (int)(left_s * 1e3) + 1 : 1;
}

static bool loop(struct terminal_ui *ui)
{
    const int fds[] = {STDIN_FILENO, ui->signal_fd};
    double drawn_s = 0;

    while (!ui->top.quits) {
        ask_when_due(ui);
        if (ui->needs_drawing || monotonic_s() - drawn_s >= REDRAW_MS / 1e3) {
            show_screen(ui);
            drawn_s = monotonic_s();
        }
        api_client_wait(ui->client, fds, sizeof fds / sizeof fds[0], wait_ms(ui));
        if (!read_signals(ui)) {
            return false;
        }
        read_keys(ui);
        if (ui->top.wants_answer) {
            api_client_cancel(ui->client); /* the question is another one by now */
        }
        take_answer(ui);
    }
    return true;
}

/* ---- the command ---- */

struct top_options {
    struct traffic_filters filters;
    struct answer_options answer;
};

static void ui_deinit(struct terminal_ui *ui)
{
    close_terminal(ui);
    api_client_free(ui->client);
    top_deinit(&ui->top);
    screen_free(&ui->screen);
    if (ui->signal_fd >= 0) {
        close(ui->signal_fd);
    }
}

static int fail(struct terminal_ui *ui, const char *reason)
{
    ui_deinit(ui);
    fprintf(stderr, "weft top: %s\n", reason);
    return EXIT_FAILURE;
}

/* Asks once before the screen is taken: who has no agent is told so in full. */
static int run_live(const struct top_options *options)
{
    struct terminal_ui ui = {.signal_fd = -1, .interval_s = ASK_SECONDS};
    char path[TRAFFIC_PATH_BYTES];
    char reason[API_REASON_BYTES] = "these names are too long to ask for";

    if (options->answer.watch_seconds > ui.interval_s) {
        ui.interval_s = options->answer.watch_seconds;
    }
    if (!top_init(&ui.top, &options->filters)) {
        return fail(&ui, "out of memory");
    }
    top_resize(&ui.top, SCREEN_ROWS, SCREEN_COLUMNS);
    json_t *answer = top_question(&ui.top, path) ? api_get(options->answer.api, path, reason) : NULL;
    if (answer == NULL) {
        return fail(&ui, reason);
    }
    top_take(&ui.top, answer, unix_s());
    ui.client = api_client_new(options->answer.api, reason);
    if (ui.client == NULL) {
        return fail(&ui, reason);
    }
    ui.signal_fd = open_signals();
    if (ui.signal_fd < 0) {
        return fail(&ui, strerror(errno));
    }
    if (!open_terminal(&ui)) {
        return fail(&ui, "cannot use this terminal: is TERM right? `weft stat --watch` needs no terminal");
    }
    bool is_fine = loop(&ui);
    ui_deinit(&ui);
    return is_fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const char about[] = "Shows the mesh live, full screen: each service, its routes, their callers, with "
                            "rate, outcomes, latencies\n"
                            "and the busiest caller in a rolling window. Begins with the routes of SERVICE "
                            "where one is given. Where\n"
                            "standard output or input is no terminal, and with --json, it is `weft stat`.\n";

static const char notes[] =
    "Keys: Up Down select, Enter goes into a row (routes, then callers), c callers, Esc back, s S sort,\n"
    "w W window, / filter, o who tells, r all routes, Space pause, h help, q or Ctrl-C quit.\n"
    "It asks for the rows on the screen, once in --watch SECONDS, at least a second apart. When the agent "
    "goes\n"
    "away it says so, keeps what it knew and asks on. NO_COLOR is respected.\n";

int cmd_top(int argc, char **argv)
{
    struct top_options options = {.answer = {.watch_seconds = 0}};
    const char *operands[OPERANDS_MAX];
    const struct command_line line = {
        .name = "top",
        .operands = "[SERVICE]",
        .about = about,
        .groups = {{traffic_rows, &options.filters}, {answer_watch_rows, &options.answer},
            {answer_rows, &options.answer}},
        .notes = notes,
        .examples = "  weft top\n"
                    "  weft top cart --window 5m --sort p99\n"
                    "  weft top --namespace shop --match pay\n",
        .exit_codes = "Exit code 0 when quit by q, Ctrl-C or SIGTERM; 1 when no agent answers at first; 2 "
                      "for wrong usage.\n",
        .operands_max = 1,
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    if (operands[0] != NULL) {
        options.filters.service = operands[0];
    }
    if (options.answer.as_json || isatty(STDOUT_FILENO) != 1 || isatty(STDIN_FILENO) != 1) {
        return stat_run(line.name, TRAFFIC_BY_DESTINATION, &options.filters, &options.answer);
    }
    return run_live(&options);
}
