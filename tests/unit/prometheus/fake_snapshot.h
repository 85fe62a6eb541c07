/*
 * A snapshot for the encoders' tests: families and series in static tables, labels rendered by a writer of
 * its own. Not for two threads at once.
 */
#ifndef WEFT_TESTS_PROMETHEUS_FAKE_SNAPSHOT_H
#define WEFT_TESTS_PROMETHEUS_FAKE_SNAPSHOT_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "weft/snapshot.h"

enum { FAKE_LABELS_BYTES_MAX = 1024 };

struct fake_family {
    struct snapshot_family family;
    const struct snapshot_series *series;
    size_t series_count;
    size_t repeat_count; /* the one series so often, with another "n" label each time; 0: as listed */
};

struct fake_snapshot {
    struct snapshot base;
    const struct fake_family *families;
    size_t family_count;
    size_t fail_after; /* next fails after so many series; 0: never */
    size_t served_count;
    char labels_text[FAKE_LABELS_BYTES_MAX];
    char number[24];
    struct snapshot_label labels[16];
};

/* a="b",c="d", escaped */
static inline size_t fake_render_labels(char *to, const struct snapshot_label *labels, size_t count)
{
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(to + length, 64, "%s%s=\"", i > 0 ? "," : "", labels[i].name);
        for (const char *at = labels[i].value; *at != '\0'; at++) {
            if (*at == '\\' || *at == '"' || *at == '\n') {
                to[length++] = '\\';
            }
            to[length++] = *at == '\n' ? 'n' : *at;
        }
        to[length++] = '"';
    }
    to[length] = '\0';
    return length;
}

static inline void fake_fill(struct fake_snapshot *self, const struct fake_family *family, size_t index,
    struct snapshot_series *ret_series)
{
    *ret_series = family->series[family->repeat_count > 0 ? 0 : index];
    if (family->repeat_count > 0) {
        memcpy(self->labels, ret_series->labels, ret_series->label_count * sizeof self->labels[0]);
        (void)snprintf(self->number, sizeof self->number, "%zu", index);
        self->labels[ret_series->label_count] = (struct snapshot_label){.name = "n", .value = self->number};
        ret_series->labels = self->labels;
        ret_series->label_count++;
    }
    ret_series->labels_text_length =
        fake_render_labels(self->labels_text, ret_series->labels, ret_series->label_count);
    ret_series->labels_text = self->labels_text;
}

static inline int fake_next(struct snapshot *snapshot, struct snapshot_cursor *cursor,
    const struct snapshot_family **ret_family, struct snapshot_series *ret_series)
{
    struct fake_snapshot *self = (struct fake_snapshot *)snapshot;

    if (self->fail_after > 0 && self->served_count == self->fail_after) {
        return -1;
    }
    for (; cursor->family < self->family_count; cursor->family++, cursor->series = 0) {
        const struct fake_family *family = &self->families[cursor->family];
        size_t count = family->repeat_count > 0 ? family->repeat_count : family->series_count;
        if (cursor->series < count) {
            fake_fill(self, family, cursor->series++, ret_series);
            *ret_family = &family->family;
            self->served_count++;
            return 1;
        }
    }
    return 0;
}

static const struct snapshot_ops fake_ops = {.next = fake_next};

static inline void fake_init(
    struct fake_snapshot *self, const struct fake_family *families, size_t family_count)
{
    *self = (struct fake_snapshot){
        .base = {.ops = &fake_ops,
            .time_unix_ns = 1700000123000000000U,
            .start_unix_ns = 1700000000000000000U,
            .native_scale = 5,
            .native_buckets_max = 160},
        .families = families,
        .family_count = family_count,
    };
}

#define FAKE_LABELS(...)                                                                                     \
    .labels = (const struct snapshot_label[]){__VA_ARGS__},                                                  \
    .label_count = sizeof((const struct snapshot_label[]){__VA_ARGS__}) / sizeof(struct snapshot_label)
#define FAKE_ARRAY(type, ...)                                                                                \
    (const type[])                                                                                           \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define FAKE_SERIES(...)                                                                                     \
    .series = (const struct snapshot_series[]){__VA_ARGS__},                                                 \
    .series_count = sizeof((const struct snapshot_series[]){__VA_ARGS__}) / sizeof(struct snapshot_series)

static const struct snapshot_exemplar fake_exemplars[] = {
    {.trace_id = {0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        .span_id = {0xcd, 1, 2, 3, 4, 5, 6, 7},
        .value = 1.375,
        .time_unix_ns = 1700000100123000000U},
    {.trace_id = {0xff, 0xee}, .value = 1.9375, .time_unix_ns = 1700000101000000000U}, /* no span id */
    {.trace_id = {1}, .span_id = {2}, .value = 2.125, .time_unix_ns = 1700000102000000001U},
};

static const double fake_bounds[] = {0.0005, 1e-5 * 200, 1, 1.75, 2, 1e6};
static const double fake_bounds_other[] = {1e-5, 10};

/* Scale 3: bucket 3 is (2^(3/8), 2^(4/8)] = (1.297, 1.414]. */
static const struct snapshot_histogram fake_vector = {
    .count = 40,
    .zero_count = 3,
    .zero_threshold = 9.5367431640625e-07,
    .sum = 63.123456789,
    .scale = 3,
    .offset = 3,
    .bucket_count = 6,
    .buckets = FAKE_ARRAY(uint64_t, 10, 0, 0, 20, 5, 2),
    .bound_count = 6,
    .bounds = fake_bounds,
    .bound_counts = FAKE_ARRAY(uint64_t, 3, 3, 3, 13, 38, 40),
    .exemplar_count = 3,
    .exemplars = fake_exemplars,
};

static const struct snapshot_histogram fake_zero_only = {
    .count = 7,
    .zero_count = 7,
    .zero_threshold = 9.5367431640625e-07,
    .sum = 5e-7,
    .scale = 5,
    .bound_count = 2,
    .bounds = fake_bounds_other,
    .bound_counts = FAKE_ARRAY(uint64_t, 7, 7),
};

static const struct snapshot_histogram fake_empty = {
    .zero_threshold = 9.5367431640625e-07,
    .scale = 5,
    .bound_count = 2,
    .bounds = fake_bounds_other,
    .bound_counts = FAKE_ARRAY(uint64_t, 0, 0),
};

/* A proxy's own: no classic view, a negative offset, finer than what leaves. */
static const struct snapshot_histogram fake_unbounded = {
    .count = 15,
    .sum = 12.75,
    .scale = 7,
    .offset = -5,
    .bucket_count = 9,
    .buckets = FAKE_ARRAY(uint64_t, 1, 2, 0, 0, 3, 4, 0, 0, 5),
};

/* And one that is too coarse for any schema. */
static const struct snapshot_histogram fake_coarse = {
    .count = 4,
    .sum = 1e10,
    .scale = -5,
    .offset = 0,
    .bucket_count = 1,
    .buckets = FAKE_ARRAY(uint64_t, 4),
};

#define CREATED_NS 1700000000250000000U

/* One of everything. */
static const struct fake_family fake_families[] = {
    {.family = {.name = "weft_records_received", .type = SNAPSHOT_COUNTER, .unit = "", .help = "Records."},
        FAKE_SERIES({FAKE_LABELS({"signal", "spans"}, {"path", "C:\\DIR\n\"quoted\" \xc3\xa9\xe2\x9c\x93"}),
                        .integer = 9007199254740993U, .is_integer = 1, .created_unix_ns = CREATED_NS,
                        .exemplar = &fake_exemplars[0]},
            {FAKE_LABELS({"signal", "metrics"}), .integer = UINT64_MAX, .is_integer = 1},
            {FAKE_LABELS({"signal", "logs"}, {"path", ""}), .value = 0.1,
                .created_unix_ns = 1700000000000000000U})},
    {.family = {.name = "mesh_silent", .type = SNAPSHOT_COUNTER, .unit = "", .help = "Nothing to tell."}},
    {.family = {.name = "proxy_queue_bytes",
         .type = SNAPSHOT_GAUGE,
         .unit = "bytes",
         .help = "A \\ backslash, \"quotes\" and\na second line."},
        FAKE_SERIES({.value = 12345678},                                 /* no labels */
            {FAKE_LABELS({"kind", "nan"}), .value = NAN},                /* */
            {FAKE_LABELS({"kind", "inf"}), .value = INFINITY},           /* */
            {FAKE_LABELS({"kind", "negative_inf"}), .value = -INFINITY}, /* */
            {FAKE_LABELS({"kind", "negative_zero"}), .value = -0.0},     /* */
            {FAKE_LABELS({"kind", "tiny"}), .value = 5e-324},            /* */
            {FAKE_LABELS({"kind", "huge"}), .value = 1.7976931348623157e308})},
    {.family =
            {.name = "proxy_load", .type = SNAPSHOT_GAUGE, .unit = "ratio", .help = "Its unit is no suffix."},
        FAKE_SERIES({.value = 0.30000000000000004})},
    {.family = {.name = "mesh_service", .type = SNAPSHOT_INFO, .unit = "", .help = "Known services."},
        FAKE_SERIES({FAKE_LABELS({"mesh_service", "reviews"}, {"version", "v2"}), .value = 1})},
    {.family = {.name = "mesh_request_duration_seconds",
         .type = SNAPSHOT_HISTOGRAM,
         .unit = "seconds",
         .help = "Durations."},
        FAKE_SERIES({FAKE_LABELS({"destination", "vector"}), .created_unix_ns = CREATED_NS,
                        .histogram = &fake_vector},
            {FAKE_LABELS({"destination", "zeros"}), .created_unix_ns = CREATED_NS,
                .histogram = &fake_zero_only},
            {FAKE_LABELS({"destination", "empty"}), .created_unix_ns = CREATED_NS, .histogram = &fake_empty},
            {.histogram = &fake_unbounded},
            {FAKE_LABELS({"destination", "coarse"}), .histogram = &fake_coarse})},
};

enum { FAKE_FAMILY_COUNT = sizeof fake_families / sizeof fake_families[0] };

#endif
