/* See metric_filter.h. */
#include "core/metric_filter.h"

#include <fnmatch.h>
#include <stdio.h>

enum { NAME_BYTES_MAX = 512 };

static bool fits(const struct metric_patterns *patterns, const char *name)
{
    char total[NAME_BYTES_MAX];
    int length = patterns->count > 0 ? snprintf(total, sizeof total, "%s_total", name) : 0;
    bool has_total = length > 0 && (size_t)length < sizeof total;

    for (size_t i = 0; i < patterns->count; i++) {
        if (fnmatch(patterns->items[i], name, FNM_NOESCAPE) == 0 ||
            (has_total && fnmatch(patterns->items[i], total, FNM_NOESCAPE) == 0)) {
            return true;
        }
    }
    return false;
}

bool metric_filter_shows(const struct metric_filter *filter, const char *name)
{
    return (filter->keep.count == 0 || fits(&filter->keep, name)) && !fits(&filter->drop, name);
}
