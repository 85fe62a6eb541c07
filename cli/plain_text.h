/* Names from the network on a terminal: inert and cut. */
#ifndef WEFT_CLI_PLAIN_TEXT_H
#define WEFT_CLI_PLAIN_TEXT_H

#include <stdio.h>

/*
 * Writes `text` (NULL: "-") and pads it to `columns`; a longer one is cut and ends in '~'. Control bytes,
 * escapes and everything outside printable ASCII become '?', so that a hostile service name cannot command
 * the terminal.
 */
void plain_text_print(FILE *to, const char *text, unsigned columns);

/* The same into `text`, which has room for `columns` and a NUL: exactly as many columns. */
void plain_text_fill(char *text, const char *from, unsigned columns);

/* Without padding, as much as fits; how many columns it took. */
unsigned plain_text_cut(char *text, const char *from, unsigned columns);

/* The same without padding; how many columns it took. */
unsigned plain_text_write(FILE *to, const char *text, unsigned columns);

#endif
