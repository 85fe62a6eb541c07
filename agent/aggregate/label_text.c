/* Rendering one label: label_text.h. The escapes are those of Prometheus' text format 0.0.4. */
#include "aggregate/label_text.h"

static void append_escaped(struct buffer *text, struct slice value)
{
    size_t begin = 0;

    for (size_t i = 0; i < value.length; i++) {
        const char *escape = value.ptr[i] == '\\'   ? "\\\\"
                             : value.ptr[i] == '"'  ? "\\\""
                             : value.ptr[i] == '\n' ? "\\n"
                                                    : NULL;

        if (escape != NULL) {
            buffer_append(text, value.ptr + begin, i - begin);
            buffer_append(text, escape, 2);
            begin = i + 1;
        }
    }
    if (begin < value.length) {
        buffer_append(text, value.ptr + begin, value.length - begin);
    }
}

void label_text_append(struct buffer *text, const char *name, struct slice value)
{
    if (value.length == 0) {
        return;
    }
    if (text->length > 0) {
        buffer_append_byte(text, ',');
    }
    buffer_append_text(text, name);
    buffer_append(text, "=\"", 2);
    append_escaped(text, value);
    buffer_append_byte(text, '"');
}
