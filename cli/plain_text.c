/* See plain_text.h. */
#include "cli/plain_text.h"

#include <stdbool.h>
#include <string.h>

unsigned plain_text_write(FILE *to, const char *text, unsigned columns)
{
    size_t length = strlen(text != NULL ? text : (text = "-"));
    unsigned written = 0;

    for (size_t i = 0; i < length && written + 1 < columns; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool cut = written + 2 == columns && i + 1 < length;
        if ((byte & 0xc0) == 0x80) {
            continue; /* the rest of a character that was written as one '?' */
        }
        fputc(cut ? '~' : byte < 0x20 || byte > 0x7e ? '?' : byte, to);
        written++;
    }
    return written;
}

void plain_text_print(FILE *to, const char *text, unsigned columns)
{
    for (unsigned written = plain_text_write(to, text, columns); written < columns; written++) {
        fputc(' ', to);
    }
}
