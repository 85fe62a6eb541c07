/* See plain_text.h. */
#include "cli/plain_text.h"

#include <stdbool.h>
#include <string.h>

/* The next character as it is shown, at *at, which moves behind it; '\0' at the end. */
static char next_shown(const char *text, size_t *at)
{
    unsigned char byte = (unsigned char)text[*at];

    if (byte == '\0') {
        return '\0';
    }
    (*at)++;
    while (((unsigned char)text[*at] & 0xc0) == 0x80) {
        (*at)++; /* the rest of a character that is shown as one '?' */
    }
    return byte < 0x20 || byte > 0x7e ? '?' : (char)byte;
}

/* Hands over at most `columns` characters: the last is '~' when there are more. */
static unsigned show(
    const char *text, unsigned columns, void (*put)(void *to, unsigned at, char shown), void *to)
{
    size_t at = 0;
    unsigned written = 0;

    for (char shown; written < columns && (shown = next_shown(text, &at)) != '\0'; written++) {
        put(to, written, written + 1 == columns && text[at] != '\0' ? '~' : shown);
    }
    return written;
}

static void put_file(void *to, unsigned at, char shown)
{
    (void)at;
    fputc(shown, to);
}

static void put_memory(void *to, unsigned at, char shown)
{
    ((char *)to)[at] = shown;
}

/* A column of space is left behind every text. */
unsigned plain_text_write(FILE *to, const char *text, unsigned columns)
{
    return columns > 0 ? show(text != NULL ? text : "-", columns - 1, put_file, to) : 0;
}

void plain_text_print(FILE *to, const char *text, unsigned columns)
{
    for (unsigned written = plain_text_write(to, text, columns); written < columns; written++) {
        fputc(' ', to);
    }
}

unsigned plain_text_cut(char *text, const char *from, unsigned columns)
{
    unsigned written = show(from != NULL ? from : "-", columns, put_memory, text);

    text[written] = '\0';
    return written;
}

void plain_text_fill(char *text, const char *from, unsigned columns)
{
    unsigned written = plain_text_cut(text, from, columns);

    memset(text + written, ' ', columns - written);
    text[columns] = '\0';
}
