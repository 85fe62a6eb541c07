/* Labels as the text formats write them: a="b",c="d", with \ " and line feed escaped. Appends to a buffer;
 * any thread. */
#ifndef WEFT_AGGREGATE_LABEL_TEXT_H
#define WEFT_AGGREGATE_LABEL_TEXT_H

#include <stdbool.h>

#include "core/buffer.h"

/* name="value", after a comma unless the buffer is empty. An empty value is left out: Prometheus takes both
 * alike. */
void label_text_append(struct buffer *text, const char *name, struct slice value);

#endif
