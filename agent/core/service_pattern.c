/* See service_pattern.h. */
#include "core/service_pattern.h"

#include <fnmatch.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 1024 };

/* Appends; false: no room for it and a NUL. */
static bool put(char *name, size_t *used, struct slice text)
{
    if (text.length >= TEXT_BYTES_MAX - *used) {
        return false;
    }
    memcpy(name + *used, text.ptr, text.length);
    *used += text.length;
    name[*used] = '\0';
    return true;
}

bool text_pattern_fits(const char *pattern, struct slice text)
{
    char copy[TEXT_BYTES_MAX];
    size_t used = 0;

    return pattern == NULL ||
           (text.length > 0 && put(copy, &used, text) && fnmatch(pattern, copy, FNM_NOESCAPE) == 0);
}

bool service_pattern_fits(const char *pattern, struct slice service, struct slice service_namespace)
{
    char name[TEXT_BYTES_MAX];
    size_t used = 0;

    if (pattern == NULL) {
        return true;
    }
    if (service.length == 0 || !put(name, &used, service)) {
        return false;
    }
    if (fnmatch(pattern, name, FNM_NOESCAPE) == 0) {
        return true;
    }
    return service_namespace.length > 0 && put(name, &used, SLICE_LITERAL(".")) &&
           put(name, &used, service_namespace) && fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}
