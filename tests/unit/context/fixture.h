/* A context with an interner of its own, as a shard has it; and spans and corpus files to feed it. */
#ifndef WEFT_TESTS_CONTEXT_FIXTURE_H
#define WEFT_TESTS_CONTEXT_FIXTURE_H

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>

#include "context/context.h"
#include "context/interner.h"
#include "core/budget.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "decode/span.h"

struct fixture {
    struct limits limits;
    struct budget budget;
    struct metric_registry registry;
    struct metric_cells *cells;
    struct interner *interner;
    struct context context;
};

static inline void fixture_init(struct fixture *f, uint32_t strings_max)
{
    memset(f, 0, sizeof *f);
    limits_init(&f->limits);
    f->budget.cap_bytes = 64u << 20;
    f->cells = metric_registry_add(&f->registry, METRIC_SCOPE_SHARD, "0");
    f->interner = interner_new(strings_max, &f->budget);
    assert_non_null(f->cells);
    assert_non_null(f->interner);
    assert_int_equal(context_init(&f->context, f->interner, &f->limits, f->cells), 0);
    context_batch_begin(&f->context, true, 1);
}

static inline void fixture_deinit(struct fixture *f)
{
    context_deinit(&f->context);
    interner_free(f->interner);
    metric_registry_deinit(&f->registry);
}

static inline void assert_id(const struct fixture *f, uint32_t id, const char *expected)
{
    assert_text(interner_text(f->interner, id), expected);
}

/* A whole file; freed by the caller. */
static inline uint8_t *read_whole(const char *path, size_t *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long bytes;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    bytes = ftell(file);
    assert_true(bytes > 0);
    rewind(file);
    data = malloc((size_t)bytes);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)bytes, file), bytes);
    fclose(file);
    *ret_bytes = (size_t)bytes;
    return data;
}

#endif
