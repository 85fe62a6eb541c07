/*
 * Patterns of the configuration, as fnmatch(3) reads them, over names that records tell: `*` stands for any
 * text, slashes too; a backslash for itself. Pure; any thread.
 */
#ifndef WEFT_CORE_SERVICE_PATTERN_H
#define WEFT_CORE_SERVICE_PATTERN_H

#include <stdbool.h>

#include "core/slice.h"

/* Whether the text, of less than 1 KiB, fits; longer ones and empty ones fit no pattern but NULL. */
bool text_pattern_fits(const char *pattern, struct slice text);

/*
 * Whether NAME or NAME.NAMESPACE fits; NULL is a pattern for all. The namespace may be empty. What has no
 * name, or one that is too long for a service, fits NULL alone.
 */
bool service_pattern_fits(const char *pattern, struct slice service, struct slice service_namespace);

#endif
