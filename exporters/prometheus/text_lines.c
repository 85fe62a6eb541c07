/* Lines of the text formats; see text_lines.h. */
#include "exporters/prometheus/text_lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "exporters/prometheus/exemplar_walk.h"

void text_deinit(struct exposition *exposition)
{
    struct text_exposition *text = (struct text_exposition *)exposition;

    for (size_t i = 0; i < BOUND_SETS_COUNT; i++) {
        free(text->bound_sets[i].bounds);
        free(text->bound_sets[i].texts);
    }
    buffer_deinit(&text->head);
}

int text_metadata(struct buffer *out, const char *what, const char *name, const char *suffix)
{
    buffer_append_text(out, "# ");
    buffer_append_text(out, what);
    buffer_append_byte(out, ' ');
    buffer_append_text(out, name);
    buffer_append_text(out, suffix);
    return buffer_append_byte(out, ' ');
}

int text_help(struct buffer *out, const char *help, bool quotes)
{
    const char *special = quotes ? "\\\n\"" : "\\\n";

    while (*help != '\0') {
        size_t plain = strcspn(help, special);
        buffer_append(out, help, plain);
        help += plain;
        if (*help != '\0') {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, *help == '\n' ? 'n' : (uint8_t)*help);
            help++;
        }
    }
    return buffer_append_byte(out, '\n');
}

int text_sample(
    struct buffer *out, const char *name, const char *suffix, const struct snapshot_series *series)
{
    buffer_append_text(out, name);
    buffer_append_text(out, suffix);
    if (series->labels_text_length > 0) {
        buffer_append_byte(out, '{');
        buffer_append(out, series->labels_text, series->labels_text_length);
        buffer_append_byte(out, '}');
    }
    return buffer_append_byte(out, ' ');
}

static int put_u64(struct buffer *out, uint64_t value)
{
    char text[NUMBER_BYTES_MAX];

    return buffer_append(out, text, number_u64(text, value));
}

static int put_double(struct buffer *out, double value)
{
    char text[NUMBER_BYTES_MAX];

    return buffer_append(out, text, number_double(text, value));
}

static int put_seconds(struct buffer *out, uint64_t time_ns)
{
    char text[NUMBER_BYTES_MAX];

    return buffer_append(out, text, number_seconds(text, time_ns));
}

int text_value_u64(struct buffer *out, uint64_t value)
{
    put_u64(out, value);
    return buffer_append_byte(out, '\n');
}

int text_value_double(struct buffer *out, double value)
{
    put_double(out, value);
    return buffer_append_byte(out, '\n');
}

int text_counter_value(struct buffer *out, const struct snapshot_series *series)
{
    return series->is_integer ? put_u64(out, series->integer) : put_double(out, series->value);
}

int text_exemplar(struct buffer *out, const struct snapshot_exemplar *exemplar)
{
    char hex[EXEMPLAR_TRACE_HEX_BYTES];

    buffer_append_text(out, " # {trace_id=\"");
    buffer_append(out, hex, exemplar_hex(hex, exemplar->trace_id, sizeof exemplar->trace_id));
    if (exemplar_has_span(exemplar)) {
        buffer_append_text(out, "\",span_id=\"");
        buffer_append(out, hex, exemplar_hex(hex, exemplar->span_id, sizeof exemplar->span_id));
    }
    buffer_append_text(out, "\"} ");
    put_double(out, exemplar->value);
    buffer_append_byte(out, ' ');
    return put_seconds(out, exemplar->time_unix_ns);
}

int text_created(struct text_exposition *text, const char *name, const struct snapshot_series *series)
{
    struct buffer *out = text->base.out;

    if (!text->created || series->created_unix_ns == 0) {
        return out->error;
    }
    text_sample(out, name, "_created", series);
    put_seconds(out, series->created_unix_ns);
    return buffer_append_byte(out, '\n');
}

static int bound_texts_grow(struct bound_texts *texts, size_t count)
{
    double *bounds = realloc(texts->bounds, count * sizeof *bounds);

    if (bounds == NULL) {
        return WERR_NOMEM;
    }
    texts->bounds = bounds;
    struct bound_text *entries = realloc(texts->texts, count * sizeof *entries);
    if (entries == NULL) {
        return WERR_NOMEM;
    }
    texts->texts = entries;
    texts->capacity_count = count;
    return 0;
}

static int bound_texts_set(
    const struct text_exposition *text, struct bound_texts *texts, const double *bounds, size_t count)
{
    texts->count = 0;
    if (count > texts->capacity_count && bound_texts_grow(texts, count) < 0) {
        return WERR_NOMEM;
    }
    memcpy(texts->bounds, bounds, count * sizeof *bounds);
    for (size_t i = 0; i < count; i++) {
        struct bound_text *entry = &texts->texts[i];
        memcpy(entry->bytes, "le=\"", 4);
        entry->length = 4 + text->bound_number(entry->bytes + 4, bounds[i]);
        memcpy(entry->bytes + entry->length, "\"} ", 3);
        entry->length += 3;
    }
    texts->count = count;
    return 0;
}

/* The texts of these bounds, made when they are not among the last ones. 0, or WERR_NOMEM. */
static int find_bound_texts(
    struct text_exposition *text, const double *bounds, size_t count, const struct bound_text **ret_texts)
{
    if (count == 0) {
        *ret_texts = NULL;
        return 0;
    }
    for (size_t i = 0; i < BOUND_SETS_COUNT; i++) {
        const struct bound_texts *texts = &text->bound_sets[i];

        if (texts->count == count && memcmp(bounds, texts->bounds, count * sizeof *bounds) == 0) {
            *ret_texts = texts->texts;
            return 0;
        }
    }
    struct bound_texts *texts = &text->bound_sets[text->bound_sets_next];
    int error = bound_texts_set(text, texts, bounds, count);
    if (error < 0) {
        return error;
    }
    text->bound_sets_next = (text->bound_sets_next + 1) % BOUND_SETS_COUNT;
    *ret_texts = texts->texts;
    return 0;
}

static int make_bucket_head(
    struct text_exposition *text, const char *name, const struct snapshot_series *series)
{
    struct buffer *head = &text->head;

    head->cap_bytes = text->base.out->cap_bytes;
    head->length = 0;
    buffer_append_text(head, name);
    buffer_append_text(head, "_bucket{");
    if (series->labels_text_length > 0) {
        buffer_append(head, series->labels_text, series->labels_text_length);
        buffer_append_byte(head, ',');
    }
    return head->error;
}

static int bucket_line(struct text_exposition *text, struct slice bound_text, uint64_t count,
    const struct snapshot_exemplar *exemplar)
{
    struct buffer *out = text->base.out;
    uint8_t *at = buffer_reserve(out, text->head.length + bound_text.length + NUMBER_BYTES_MAX);

    if (at == NULL) {
        return out->error;
    }
    memcpy(at, text->head.data, text->head.length);
    at += text->head.length;
    memcpy(at, bound_text.ptr, bound_text.length);
    at += bound_text.length;
    out->length += text->head.length + bound_text.length + number_u64((char *)at, count);
    if (exemplar != NULL && text->exemplars) {
        text_exemplar(out, exemplar);
    }
    return buffer_append_byte(out, '\n');
}

int text_histogram(struct text_exposition *text, const char *name, const struct snapshot_series *series)
{
    const struct snapshot_histogram *histogram = series->histogram;
    struct buffer *out = text->base.out;

    if (histogram == NULL) {
        return WERR_INVALID;
    }
    const struct bound_text *texts = NULL;
    int error = find_bound_texts(text, histogram->bounds, histogram->bound_count, &texts);
    if (error == 0) {
        error = make_bucket_head(text, name, series);
    }
    struct exemplar_walk walk = exemplar_walk_of(histogram);
    for (size_t i = 0; error == 0 && i < classic_bound_count(histogram); i++) {
        struct slice bound = slice_of(texts[i].bytes, texts[i].length);
        error = bucket_line(
            text, bound, histogram->bound_counts[i], exemplar_walk_next(&walk, histogram->bounds[i]));
    }
    if (error < 0) {
        return error;
    }
    bucket_line(text, SLICE_LITERAL("le=\"+Inf\"} "), histogram->count, exemplar_walk_next(&walk, INFINITY));
    text_sample(out, name, "_sum", series);
    text_value_double(out, histogram->sum);
    text_sample(out, name, "_count", series);
    text_value_u64(out, histogram->count);
    return text_created(text, name, series);
}
