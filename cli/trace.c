/* `weft trace ID`: one trace as a tree with bars, from /api/v1/traces/{id}. One thread. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/plain_text.h"
#include "cli/spans.h"
#include "cli/terminal.h"

enum {
    PATH_BYTES = 512,
    ID_BYTES_MAX = 32,
    INDENT_MAX = 24, /* a deeper span is not indented further */
    DURATION_COLUMNS = 9,
    MARK_COLUMNS = 10,
    NAME_COLUMNS_MIN = 16,
    NAME_COLUMNS_MAX = 64,
    BAR_COLUMNS_MIN = 8,
};

/* How the tree is drawn. */
struct drawing {
    const struct shown_spans *spans;
    struct terminal terminal;
    unsigned name_columns;
    unsigned bar_columns;
    uint64_t start_unix_ns;
    uint64_t length_ns; /* at least 1 */
    int *first_child;   /* of each span, by start; -1: none */
    int *next_sibling;
};

/* ---- sums ---- */

/* The span's time without its children: they come by start, so one pass is enough. */
static uint64_t self_ns(const struct drawing *drawing, int index)
{
    const struct shown_span *span = &drawing->spans->items[index];
    uint64_t covered_until_ns = span->start_unix_ns;
    uint64_t covered_ns = 0;

    for (int i = drawing->first_child[index]; i >= 0; i = drawing->next_sibling[i]) {
        const struct shown_span *child = &drawing->spans->items[i];
        uint64_t from = child->start_unix_ns > covered_until_ns ? child->start_unix_ns : covered_until_ns;
        uint64_t to = child->end_unix_ns < span->end_unix_ns ? child->end_unix_ns : span->end_unix_ns;
        if (to > from) {
            covered_ns += to - from;
            covered_until_ns = to;
        }
    }
    return span->end_unix_ns - span->start_unix_ns - covered_ns;
}

/* Which attempt of its request the span is, from 1 on; 0 when it is none. */
static long attempt_number(const struct drawing *drawing, int index)
{
    const struct shown_span *span = &drawing->spans->items[index];
    long resent = span_attribute_number(span, "http.request.resend_count");
    long number = 1;

    if (resent >= 0) {
        return resent + 1;
    }
    if (!span->is_attempt || span->parent < 0) {
        return 0;
    }
    for (int i = drawing->first_child[span->parent]; i >= 0 && i != index; i = drawing->next_sibling[i]) {
        number += drawing->spans->items[i].is_attempt;
    }
    return number;
}

static bool was_tried_again(const struct drawing *drawing, int index)
{
    if (!drawing->spans->items[index].is_attempt) {
        return false;
    }
    for (int i = drawing->next_sibling[index]; i >= 0; i = drawing->next_sibling[i]) {
        if (drawing->spans->items[i].is_attempt) {
            return true;
        }
    }
    return false;
}

/* ---- one line ---- */

static unsigned column_of(const struct drawing *drawing, uint64_t unix_ns)
{
    double part = (double)(unix_ns - drawing->start_unix_ns) / (double)drawing->length_ns;

    return (unsigned)(part * drawing->bar_columns);
}

static bool has_child_at(const struct drawing *drawing, int index, unsigned column)
{
    for (int i = drawing->first_child[index]; i >= 0; i = drawing->next_sibling[i]) {
        const struct shown_span *child = &drawing->spans->items[i];
        if (column_of(drawing, child->start_unix_ns) <= column &&
            column < column_of(drawing, child->end_unix_ns)) {
            return true;
        }
    }
    return false;
}

static void print_bar(const struct drawing *drawing, int index)
{
    const struct shown_span *span = &drawing->spans->items[index];
    unsigned from = column_of(drawing, span->start_unix_ns);
    unsigned to = column_of(drawing, span->end_unix_ns);
    bool tried_again = was_tried_again(drawing, index);

    from = from < drawing->bar_columns ? from : drawing->bar_columns - 1;
    to = to > from ? to : from + 1;
    printf(" |");
    for (unsigned i = 0; i < drawing->bar_columns; i++) {
        char mark = i < from || i >= to               ? ' '
                    : tried_again                     ? '~'
                    : has_child_at(drawing, index, i) ? '-'
                                                      : '#';
        fputc(mark, stdout);
    }
    printf("|");
}

static void print_span(const struct drawing *drawing, int index, unsigned depth)
{
    const struct shown_span *span = &drawing->spans->items[index];
    unsigned indent = 2 * (depth < INDENT_MAX ? depth : INDENT_MAX);
    long attempt = attempt_number(drawing, index);
    unsigned used;

    if (indent > drawing->name_columns / 2) {
        indent = drawing->name_columns / 2;
    }
    terminal_style(&drawing->terminal, span->is_error ? STYLE_ERROR : STYLE_PLAIN);
    printf("%*s", (int)indent, "");
    used = indent;
    if (span->service[0] != '\0') {
        used += plain_text_write(stdout, span->service, (drawing->name_columns - used) * 2 / 3);
        fputc(' ', stdout);
        used++;
    }
    plain_text_print(stdout, span->name, used < drawing->name_columns ? drawing->name_columns - used : 1);
    terminal_duration((double)(span->end_unix_ns - span->start_unix_ns) / 1e9, DURATION_COLUMNS);
    terminal_duration((double)self_ns(drawing, index) / 1e9, DURATION_COLUMNS);
    print_bar(drawing, index);
    if (span->is_error) {
        printf(" error");
    }
    if (attempt > 1) {
        printf(" retry %ld", attempt - 1);
    }
    terminal_style(&drawing->terminal, STYLE_PLAIN);
    printf("\n");
}

static void print_tree(const struct drawing *drawing)
{
    const struct shown_spans *spans = drawing->spans;

    for (size_t root = 0; root < spans->count; root++) {
        int at = spans->items[root].parent < 0 ? (int)root : -1;
        unsigned depth = 0;
        while (at >= 0) {
            print_span(drawing, at, depth);
            if (drawing->first_child[at] >= 0) {
                at = drawing->first_child[at];
                depth++;
                continue;
            }
            while (at != (int)root && drawing->next_sibling[at] < 0) {
                at = spans->items[at].parent;
                depth--;
            }
            at = at == (int)root ? -1 : drawing->next_sibling[at];
        }
    }
}

/* ---- the whole ---- */

/* Children in order of their starts, as the spans are: so from the last to the first. */
static bool link_children(struct drawing *drawing)
{
    size_t count = drawing->spans->count;

    drawing->first_child = malloc((count + 1) * sizeof(int));
    drawing->next_sibling = malloc((count + 1) * sizeof(int));
    if (drawing->first_child == NULL || drawing->next_sibling == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        drawing->first_child[i] = -1;
    }
    for (size_t i = count; i-- > 0;) {
        int parent = drawing->spans->items[i].parent;
        drawing->next_sibling[i] = parent >= 0 ? drawing->first_child[parent] : -1;
        if (parent >= 0) {
            drawing->first_child[parent] = (int)i;
        }
    }
    return true;
}

static void measure(struct drawing *drawing)
{
    const struct shown_spans *spans = drawing->spans;
    unsigned columns = drawing->terminal.columns;
    unsigned fixed = 2 * DURATION_COLUMNS + MARK_COLUMNS + 3;
    uint64_t end_unix_ns = 0;

    for (size_t i = 0; i < spans->count; i++) {
        end_unix_ns = spans->items[i].end_unix_ns > end_unix_ns ? spans->items[i].end_unix_ns : end_unix_ns;
    }
    drawing->start_unix_ns = spans->items[0].start_unix_ns;
    drawing->length_ns = end_unix_ns > drawing->start_unix_ns ? end_unix_ns - drawing->start_unix_ns : 1;
    drawing->name_columns = columns * 2 / 5;
    if (drawing->name_columns > NAME_COLUMNS_MAX) {
        drawing->name_columns = NAME_COLUMNS_MAX;
    }
    if (drawing->name_columns < NAME_COLUMNS_MIN) {
        drawing->name_columns = NAME_COLUMNS_MIN;
    }
    unsigned taken = fixed + drawing->name_columns;
    drawing->bar_columns = columns > taken + BAR_COLUMNS_MIN ? columns - taken : BAR_COLUMNS_MIN;
}

static void print_head(const struct drawing *drawing)
{
    const struct shown_spans *spans = drawing->spans;
    time_t start_s = (time_t)(drawing->start_unix_ns / 1000000000);
    size_t errors = 0;
    struct tm utc;
    char when[32] = "";

    for (size_t i = 0; i < spans->count; i++) {
        errors += spans->items[i].is_error;
    }
    if (gmtime_r(&start_s, &utc) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &utc);
    }
    printf("trace ");
    plain_text_write(stdout, spans->items[0].trace_id, ID_BYTES_MAX + 2);
    printf("  %s UTC  %zu span%s", when, spans->count, spans->count == 1 ? "" : "s");
    terminal_duration((double)drawing->length_ns / 1e9, DURATION_COLUMNS);
    if (errors > 0) {
        printf("  %zu error%s", errors, errors == 1 ? "" : "s");
    }
    printf("\n\n");
    terminal_style(&drawing->terminal, STYLE_STRONG);
    plain_text_print(stdout, "SERVICE SPAN", drawing->name_columns);
    printf("%*s%*s", DURATION_COLUMNS, "TIME", DURATION_COLUMNS, "SELF");
    terminal_style(&drawing->terminal, STYLE_PLAIN);
    printf("\n");
}

static int show(const json_t *answer)
{
    struct shown_spans spans;
    struct drawing drawing = {.spans = &spans, .terminal = terminal_look()};

    if (!spans_read(answer, &spans)) {
        fprintf(stderr, "weft trace: out of memory\n");
        return EXIT_FAILURE;
    }
    if (spans.count == 0) {
        fprintf(stderr, "weft trace: the answer holds no spans\n");
        spans_free(&spans);
        return EXIT_FAILURE;
    }
    bool is_linked = link_children(&drawing);
    if (is_linked) {
        measure(&drawing);
        print_head(&drawing);
        print_tree(&drawing);
        if (spans.is_cut) {
            printf("warning: only the first %d spans are shown\n", SPANS_COUNT_MAX);
        }
        spans_print_warnings(answer);
    } else {
        fprintf(stderr, "weft trace: out of memory\n");
    }
    free(drawing.first_child);
    free(drawing.next_sibling);
    spans_free(&spans);
    return is_linked ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool is_trace_id(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= ID_BYTES_MAX && strspn(text, "0123456789abcdefABCDEF") == length;
}

static int show_answer(void *user, const json_t *answer)
{
    (void)user;
    return show(answer);
}

static const char about[] =
    "Shows a trace that the agent (and its peers) still hold, as a tree of spans with a bar for each:\n"
    "  #  the span's own time      -  time in which a span beneath it was under way\n"
    "  ~  an attempt after which there was another one\n"
    "SELF is the span's time without any span beneath it. Errors and retries are said behind the bar.\n";

int cmd_trace(int argc, char **argv)
{
    struct answer_options options = {.api = NULL};
    const char *operands[OPERANDS_MAX];
    char path[PATH_BYTES];
    const struct command_line line = {
        .name = "trace",
        .operands = "ID",
        .about = about,
        .groups = {{answer_rows, &options}},
        .notes = "NO_COLOR and COLUMNS are respected.\n",
        .examples = "  weft trace 4bf92f3577b34da6a3ce929d0e0e4736\n"
                    "  weft trace --json 4bf92f3577b34da6a3ce929d0e0e4736 > trace.json\n",
        .exit_codes = "Exit code 0; 1 when no agent answers or none holds the trace; 2 for wrong usage.\n",
        .operands_max = 1,
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    if (operands[0] == NULL || !is_trace_id(operands[0])) {
        fprintf(stderr, "weft trace: expected one trace id, up to 32 hex digits; --help tells more\n");
        return EXIT_USAGE;
    }
    (void)snprintf(path, sizeof path, "/api/v1/traces/%s", operands[0]);
    struct answers answers = {.command = line.name, .options = &options, .path = path, .show = show_answer};
    return answers_run(&answers);
}
