/*
 * Which line of the YAML file each key stands on. libcyaml tells no line for a value once it has accepted it,
 * and errors about values are found later than that, after expansion.
 */
#ifndef WEFT_CONFIG_MARKS_H
#define WEFT_CONFIG_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

enum { MARKS_COUNT_MAX = 8192 };

enum mark_shape { MARK_SHAPE_SCALAR, MARK_SHAPE_LIST, MARK_SHAPE_MAPPING };

struct mark {
    const char *path; /* "exporters.otlp[0].name"; the document's root is "" */
    unsigned line;    /* from 1; of the key, or of the list's item */
    enum mark_shape shape;
    bool is_empty; /* a scalar with nothing in it: the key counts as not given */
};

struct marks {
    struct mark *items; /* in the order of the file, a parent before its children */
    size_t count;
    size_t capacity;
    struct arena *arena; /* owns all of it */
};

/*
 * Reads the structure of one YAML document. 0; or WERR_CONFIG (not YAML, an alias, a second document, a key
 * given twice, too deep or too large) or WERR_NOMEM, with error->line and error->text (without the file's
 * name) filled.
 */
int marks_load(
    struct marks *marks, struct arena *arena, const char *text, size_t length, struct config_error *error);

/* The mark of that path, NULL when the file does not have it. */
const struct mark *marks_find(const struct marks *marks, const char *path);

/* Compares with the schema: unknown keys and wrong shapes. As marks_load. */
int marks_check(const struct marks *marks, struct config_error *error);

#endif
