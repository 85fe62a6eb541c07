/* A snapshot out of arrays, for tests of encoders. */
#ifndef WEFT_TESTS_OTLP_FAKE_SNAPSHOT_H
#define WEFT_TESTS_OTLP_FAKE_SNAPSHOT_H

#include <stddef.h>

#include "weft/snapshot.h"

struct fake_family {
    struct snapshot_family family;
    const struct snapshot_series *series;
    size_t series_count;
};

struct fake_snapshot {
    struct snapshot snapshot; /* first member */
    const struct fake_family *families;
    size_t family_count;
};

static inline int fake_next(struct snapshot *snapshot, struct snapshot_cursor *cursor,
    const struct snapshot_family **ret_family, struct snapshot_series *ret_series)
{
    const struct fake_snapshot *self = (const struct fake_snapshot *)snapshot;

    while (cursor->family < self->family_count) {
        const struct fake_family *family = &self->families[cursor->family];
        if (cursor->series < family->series_count) {
            *ret_family = &family->family;
            *ret_series = family->series[cursor->series++];
            return 1;
        }
        cursor->family++;
        cursor->series = 0;
    }
    return 0;
}

static const struct snapshot_ops fake_ops = {.next = fake_next};

#endif
