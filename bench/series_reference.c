/*
 * What the label sets of scripts/bench's step `series` would take in a program that thinks of nothing: a
 * record and a text for each label from malloc, a counter for each bucket of the octaves that were touched,
 * and an exposition that is printed by snprintf and deflated in one go, at the agent's level. The floor for
 * nobody: what to hold the agent's figures against. One thread; prints "name value unit".
 *
 *   series_reference LABEL_SETS
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "core/compress.h"
#include "histogram/bounds.h"

enum {
    OCTAVE_COUNT = 8,
    CELL_COUNT = 32, /* of an octave */
    LABEL_COUNT = 6,
    LABEL_BYTES = 64,
    ROUTE_COUNT = 500, /* a destination's label sets */
    LINE_BYTES = 512,
    LABEL_SETS_MAX = 1000000,
    ROUND_COUNT = 7,
    GZIP_WINDOW_BITS = 15 + 16
};

static const char *const names[LABEL_COUNT] = {
    "reporter", "source", "destination", "route", "protocol", "outcome"};

struct record {
    char *labels[LABEL_COUNT];
    uint64_t *cells[OCTAVE_COUNT];
    uint64_t *bounds;
    double sum;
    uint64_t count;
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "series_reference: out of memory\n");
        exit(1);
    }
    return memory;
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void make_record(struct record *record, unsigned number)
{
    static const char *const outcomes[] = {"ok", "client_error", "server_error", "no_response", "cancelled"};
    char text[LABEL_COUNT][LABEL_BYTES];

    (void)snprintf(text[0], LABEL_BYTES, "source");
    (void)snprintf(text[1], LABEL_BYTES, "bench");
    (void)snprintf(text[2], LABEL_BYTES, "service-%u", number / ROUTE_COUNT);
    (void)snprintf(text[3], LABEL_BYTES, "/route-%u", number % ROUTE_COUNT / 5);
    (void)snprintf(text[4], LABEL_BYTES, "http2");
    (void)snprintf(text[5], LABEL_BYTES, "%s", outcomes[number % 5]);
    for (int i = 0; i < LABEL_COUNT; i++) {
        record->labels[i] = need(strdup(text[i]));
    }
    record->bounds = need(calloc(bounds_default_count + 1, sizeof *record->bounds));
    for (int i = 0; i < OCTAVE_COUNT; i++) {
        record->cells[i] = need(calloc(CELL_COUNT, sizeof *record->cells[i]));
        record->cells[i][0] = 1;
        record->count++;
        record->sum += 0.001 * (1 << i);
    }
}

static size_t print_labels(char *out, size_t out_bytes, const struct record *record)
{
    size_t used = 0;

    for (int i = 0; i < LABEL_COUNT; i++) {
        used += (size_t)snprintf(
            out + used, out_bytes - used, "%s%s=\"%s\"", i > 0 ? "," : "", names[i], record->labels[i]);
    }
    return used;
}

/* Returns the bytes; `out` has LINE_BYTES for each line. */
static size_t print_record(char *out, const struct record *record)
{
    char labels[LINE_BYTES / 2];
    size_t used = 0;

    (void)print_labels(labels, sizeof labels, record);
    for (size_t i = 0; i < bounds_default_count; i++) {
        used += (size_t)snprintf(out + used, LINE_BYTES,
            "mesh_request_duration_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n", labels,
            (double)bounds_default_ns[i] * 1e-9, record->bounds[i]);
    }
    used += (size_t)snprintf(out + used, LINE_BYTES,
        "mesh_request_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", labels, record->count);
    used += (size_t)snprintf(
        out + used, LINE_BYTES, "mesh_request_duration_seconds_sum{%s} %.17g\n", labels, record->sum);
    used += (size_t)snprintf(out + used, LINE_BYTES, "mesh_request_duration_seconds_count{%s} %" PRIu64 "\n",
        labels, record->count);
    return used;
}

static size_t deflate_all(char *text, size_t length, uint8_t *out, size_t out_bytes)
{
    z_stream stream = {
        .next_in = (Bytef *)text, .avail_in = (uInt)length, .next_out = out, .avail_out = (uInt)out_bytes};

    if (deflateInit2(&stream, COMPRESS_GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK ||
        deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        (void)need(NULL);
    }
    size_t bytes = stream.total_out;
    (void)deflateEnd(&stream);
    return bytes;
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    size_t before = mallinfo2().uordblks;
    double best_ms = 0;

    if (count == 0 || count > LABEL_SETS_MAX) {
        fprintf(stderr, "usage: series_reference LABEL_SETS\n");
        return 2;
    }
    struct record *records = need(calloc(count, sizeof *records));
    for (size_t i = 0; i < count; i++) {
        make_record(&records[i], (unsigned)i);
    }
    size_t memory = mallinfo2().uordblks - before;
    size_t text_bytes = count * (bounds_default_count + 3) * LINE_BYTES;
    char *text = need(malloc(text_bytes));
    uint8_t *packed = need(malloc(text_bytes));
    for (int round = 0; round < ROUND_COUNT; round++) {
        double start_ms = now_ms();
        size_t used = 0;

        for (size_t i = 0; i < count; i++) {
            used += print_record(text + used, &records[i]);
        }
        (void)deflate_all(text, used, packed, text_bytes);
        double ms = now_ms() - start_ms;
        best_ms = round == 0 || ms < best_ms ? ms : best_ms;
    }
    printf("series_memory %.1f MiB\nseries_scrape %.3f ms\n", (double)memory / 1048576, best_ms);
    return 0;
}
