/* The table of limits as data. */
#include "core/limits.h"

const struct limit_row limit_rows[] = {
#define WEFT_LIMIT_ROW(limit_name, limit_value, limit_smallest, limit_largest, limit_apply, limit_help)      \
    {.name = #limit_name,                                                                                    \
        .value = (limit_value),                                                                              \
        .smallest = (limit_smallest),                                                                        \
        .largest = (limit_largest),                                                                          \
        .help = (limit_help),                                                                                \
        .offset = offsetof(struct limits, limit_name)},
    WEFT_LIMITS(WEFT_LIMIT_ROW)
#undef WEFT_LIMIT_ROW
};

const size_t limit_row_count = sizeof limit_rows / sizeof limit_rows[0];

void limits_init(struct limits *limits)
{
    for (size_t i = 0; i < limit_row_count; i++) {
        *(uint64_t *)((char *)limits + limit_rows[i].offset) = limit_rows[i].value;
    }
}
