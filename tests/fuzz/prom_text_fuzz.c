/*
 * The reader of expositions on arbitrary bytes. Besides not crashing: points come with what their comments
 * promise (sorted labels, rising bounds, counts that never fall), the result's counts agree with what the
 * sink was told, a small arena gives WERR_NOMEM and tells nothing, and nothing depends on how much memory
 * there is.
 *
 * The first byte: the format, and whether series and memory are scarce; the rest is the body.
 */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "decode/prom_text.h"

enum { ARENA_FIRST_BYTES = 1 << 16, ARENA_CAP_BYTES = 1 << 26, SMALL_ARENA_BYTES = 1 << 17, FEW_SERIES = 3 };

enum fuzz_option { FUZZ_OPENMETRICS = 1, FUZZ_FEW_SERIES = 2, FUZZ_SMALL_ARENA = 4 };

struct seen {
    uint64_t points;
    uint64_t bytes;
};

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.length < b.length ? a.length : b.length);

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static void check_labels(struct seen *seen, const struct prom_point *point)
{
    FUZZ_CHECK(point->label_count <= PROM_LABEL_COUNT_MAX);
    for (size_t i = 0; i < point->label_count; i++) {
        FUZZ_CHECK(point->labels[i].name.length > 0 && point->labels[i].value.length > 0);
        FUZZ_CHECK(i == 0 || compare(point->labels[i - 1].name, point->labels[i].name) < 0);
        for (size_t j = 0; j < point->labels[i].value.length; j++) {
            seen->bytes += point->labels[i].value.ptr[j];
        }
    }
}

static void check_buckets(const struct prom_point *point)
{
    FUZZ_CHECK(point->bound_count <= PROM_BUCKET_COUNT_MAX);
    for (size_t i = 0; i < point->bound_count; i++) {
        FUZZ_CHECK(isfinite(point->bounds[i]));
        FUZZ_CHECK(i == 0 || point->bounds[i - 1] < point->bounds[i]);
        FUZZ_CHECK(i == 0 || point->bound_counts[i - 1] <= point->bound_counts[i]);
        FUZZ_CHECK(point->bound_counts[i] <= point->count);
    }
}

static void on_point(void *user, const struct prom_point *point)
{
    struct seen *seen = user;

    seen->points++;
    FUZZ_CHECK(point->name.length > 0 && point->name.length <= PROM_NAME_BYTES_MAX);
    FUZZ_CHECK(prom_name_length(point->name) == point->name.length);
    for (size_t i = 0; i < point->help.length; i++) {
        seen->bytes += point->help.ptr[i];
    }
    check_labels(seen, point);
    check_buckets(point);
    FUZZ_CHECK(point->type != PROM_COUNTER || (isfinite(point->value) && point->value >= 0));
    FUZZ_CHECK(point->quantile_count <= PROM_QUANTILE_COUNT_MAX);
    for (size_t i = 0; i < point->quantile_count; i++) {
        FUZZ_CHECK(point->quantiles[i].quantile >= 0 && point->quantiles[i].quantile <= 1);
    }
}

static int read_body(struct slice body, uint8_t options, size_t cap_bytes, struct seen *seen)
{
    struct arena arena;
    struct prom_result result;
    struct prom_sink sink = {.on_point = on_point, .user = seen};
    enum prom_format format = (options & FUZZ_OPENMETRICS) != 0 ? PROM_FORMAT_OPENMETRICS : PROM_FORMAT_TEXT;
    uint64_t series_max = (options & FUZZ_FEW_SERIES) != 0 ? FEW_SERIES : UINT64_MAX;

    arena_init(&arena, cap_bytes < ARENA_FIRST_BYTES ? cap_bytes : ARENA_FIRST_BYTES, cap_bytes);
    int error = prom_text_read(body, format, series_max, &arena, &sink, &result);
    FUZZ_CHECK(error == 0 || error == WERR_NOMEM);
    FUZZ_CHECK(error == 0 ? seen->points == result.point_count : seen->points == 0);
    FUZZ_CHECK(result.sample_bad_count <= result.line_bad_count);
    FUZZ_CHECK(result.sample_bad_count <= result.sample_count);
    FUZZ_CHECK((result.first_bad_line > 0) == (result.line_bad_count > 0));
    FUZZ_CHECK(error < 0 || result.point_count + result.point_bad_count <= series_max);
    arena_deinit(&arena);
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.points = 0};
    struct seen small = {.points = 0};

    if (size == 0) {
        return 0;
    }
    struct slice body = slice_of(data + 1, size - 1);
    int error = read_body(body, data[0], ARENA_CAP_BYTES, &seen);
    if ((data[0] & FUZZ_SMALL_ARENA) != 0 && read_body(body, data[0], SMALL_ARENA_BYTES, &small) == 0) {
        FUZZ_CHECK(error == 0 && small.points == seen.points && small.bytes == seen.bytes);
    }
    return 0;
}
