/*
 * Texts into the fields of struct config, as the schema says; every fault names its key and line. Main
 * thread, at start.
 */
#include "config/loader.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/value.h"
#include "core/error.h"

/* Every list of a configuration struct looks like this. */
struct any_list {
    void *items;
    size_t count;
};

_Static_assert(sizeof(struct any_list) == sizeof(struct config_strings), "lists share one layout");
_Static_assert(sizeof(struct any_list) == sizeof(struct config_otlp_list), "lists share one layout");

static void describe_choices(const struct config_field *field, char *out, size_t out_bytes)
{
    size_t used = 0;

    for (size_t i = 0; field->choices[i] != NULL && used < out_bytes; i++) {
        int length =
            snprintf(out + used, out_bytes - used, "%s%s", i == 0 ? "one of " : ", ", field->choices[i]);
        used += length > 0 ? (size_t)length : 0;
    }
}

static void describe(const struct config_field *field, char *out, size_t out_bytes)
{
    switch (field->kind) {
    case CONFIG_KIND_BOOL:
        (void)snprintf(out, out_bytes, "true or false");
        break;
    case CONFIG_KIND_INTEGER:
        (void)snprintf(
            out, out_bytes, "an integer from %" PRIu64 " to %" PRIu64, field->smallest, field->largest);
        break;
    case CONFIG_KIND_SIGNED:
        (void)snprintf(out, out_bytes, "an integer from %" PRId64 " to %" PRId64, (int64_t)field->smallest,
            (int64_t)field->largest);
        break;
    case CONFIG_KIND_FRACTION:
        (void)snprintf(out, out_bytes, "a number from 0 to 1 with up to nine decimals");
        break;
    case CONFIG_KIND_MODE:
        (void)snprintf(out, out_bytes, "an octal mode from 0 to 0777");
        break;
    case CONFIG_KIND_CHOICE:
    case CONFIG_KIND_CHOICES:
        describe_choices(field, out, out_bytes);
        break;
    case CONFIG_KIND_MS_LIST:
        (void)snprintf(out, out_bytes,
            "milliseconds above 0, at most one day, up to six decimals, each above the one before");
        break;
    case CONFIG_KIND_FILE:
        (void)snprintf(out, out_bytes, "the path of a readable file");
        break;
    default:
        (void)snprintf(out, out_bytes, "%" PRIu64 " to %" PRIu64 " bytes", field->smallest, field->largest);
    }
}

static int fail_value(
    struct loader *loader, const struct config_field *field, const char *path, const char *text)
{
    char expected[256];

    describe(field, expected, sizeof expected);
    if (field->kind == CONFIG_KIND_SECRET || field->kind == CONFIG_KIND_SECRET_FILE) {
        return loader_fail(loader, WERR_CONFIG, path, "expected %s", expected);
    }
    return loader_fail(loader, WERR_CONFIG, path, "expected %s, got \"%.100s\"", expected, text);
}

static int expand(struct loader *loader, const char *path, const char *text, const char **ret_text)
{
    struct slice fault = {.length = 0};
    int status = value_expand(text, loader->source->environment, &loader->config->arena, ret_text, &fault);

    if (status == WERR_NOT_FOUND) {
        return loader_fail(loader, WERR_CONFIG, path,
            "the environment variable %.*s is not set and has no default",
            (int)(fault.length < 100 ? fault.length : 100), (const char *)fault.ptr);
    }
    if (status == WERR_INVALID) {
        return loader_fail(loader, WERR_CONFIG, path,
            "expected ${NAME} or ${NAME:-default} ($$ stands for a $), got ${%.*s",
            (int)(fault.length < 100 ? fault.length : 100), (const char *)fault.ptr);
    }
    return status < 0 ? loader_fail_memory(loader) : 0;
}

static int read_secret(
    struct loader *loader, const struct config_field *field, const char *path, const char *file, void *out)
{
    const char *text;
    size_t length;

    if (*(const char **)out != NULL) {
        return loader_fail(loader, WERR_CONFIG, path, "excludes the key that gives the value directly");
    }
    int status = loader_read_file(loader, file, (size_t)field->largest, &text, &length);
    if (status == WERR_IO) {
        return loader_fail(loader, status, path, "cannot read %.200s: %s", file, strerror(errno));
    }
    if (status == WERR_NOMEM) {
        return loader_fail_memory(loader);
    }
    if (status < 0 || memchr(text, '\0', length) != NULL) {
        return loader_fail(loader, WERR_CONFIG, path,
            "expected a file of at most %" PRIu64 " bytes without a NUL byte: %.200s", field->largest, file);
    }
    if (length > 0 && text[length - 1] == '\n') {
        length -= length > 1 && text[length - 2] == '\r' ? 2 : 1;
    }
    text = loader_copy(loader, text, length);
    if (text == NULL) {
        return loader_fail_memory(loader);
    }
    *(const char **)out = text;
    *(const char **)((char *)out - field->offset + field->file_offset) = file;
    return 0;
}

int convert_scalar(
    struct loader *loader, const struct config_field *field, const char *path, const char *text, void *out)
{
    size_t length = strlen(text);
    int status = 0;

    switch (field->kind) {
    case CONFIG_KIND_BOOL:
        status = value_bool(text, out);
        break;
    case CONFIG_KIND_INTEGER:
        status = value_unsigned(text, field->smallest, field->largest, out);
        break;
    case CONFIG_KIND_SIGNED:
        status = value_signed(text, (int64_t)field->smallest, (int64_t)field->largest, out);
        break;
    case CONFIG_KIND_FRACTION:
        status = value_fraction(text, out);
        break;
    case CONFIG_KIND_MODE:
        status = value_mode(text, out);
        break;
    case CONFIG_KIND_CHOICE:
        status = value_choice(text, field->choices, out);
        break;
    case CONFIG_KIND_SECRET_FILE:
        return read_secret(loader, field, path, text, out);
    case CONFIG_KIND_FILE:
        status = access(text, R_OK) == 0 ? 0 : WERR_INVALID;
        *(const char **)out = text;
        break;
    default:
        status = length >= field->smallest && length <= field->largest ? 0 : WERR_INVALID;
        *(const char **)out = text;
    }
    return status < 0 ? fail_value(loader, field, path, text) : 0;
}

static int convert_choice_item(const struct config_field *field, const char *text, uint32_t *mask)
{
    int index;

    if (value_choice(text, field->choices, &index) < 0 || (*mask & (1u << index)) != 0) {
        return WERR_INVALID;
    }
    *mask |= 1u << index;
    return 0;
}

static int convert_item(
    const struct config_field *field, const char *text, struct any_list *list, uint32_t *mask)
{
    const char **strings = list->items;
    uint64_t *numbers = list->items;
    size_t length = strlen(text);
    uint64_t number;

    switch (field->kind) {
    case CONFIG_KIND_CHOICES:
        return convert_choice_item(field, text, mask);
    case CONFIG_KIND_MS_LIST:
        if (value_milliseconds(text, &number) < 0 ||
            (list->count > 0 && number <= numbers[list->count - 1])) {
            return WERR_INVALID;
        }
        numbers[list->count++] = number;
        return 0;
    default:
        if (length < field->smallest || length > field->largest) {
            return WERR_INVALID;
        }
        strings[list->count++] = text;
        return 0;
    }
}

static int convert_list(struct loader *loader, const struct config_field *field, const char *path,
    const char *const *texts, size_t count, void *out)
{
    /* A pointer and a uint64_t are of one size; the element type follows from the kind. */
    struct any_list list = {.items = arena_zalloc(&loader->config->arena, (count + 1) * sizeof(uint64_t))};
    uint32_t mask = 0;

    if (list.items == NULL) {
        return loader_fail_memory(loader);
    }
    assert(texts != NULL || count == 0);
    for (size_t i = 0; i < count; i++) {
        char item_path[CONFIG_PATH_BYTES_MAX];
        const char *text;
        (void)snprintf(item_path, sizeof item_path, "%.200s[%zu]", path, i);
        int status = expand(loader, item_path, texts[i], &text);
        if (status < 0) {
            return status;
        }
        if (convert_item(field, text, &list, &mask) < 0) {
            return fail_value(loader, field, item_path, text);
        }
    }
    if (field->kind == CONFIG_KIND_CHOICES) {
        *(uint32_t *)out = mask;
    } else {
        memcpy(out, &list, sizeof list);
    }
    return 0;
}

static int convert_groups(struct loader *loader, const struct config_field *field, const char *path,
    const struct document_cell *cell, void *out)
{
    const struct config_group *group = field->group;
    struct any_list list = {.count = cell->count};
    const struct document_cell *cells = cell->ptr;

    list.items = arena_zalloc(&loader->config->arena, (cell->count + 1) * group->size_bytes);
    if (list.items == NULL) {
        return loader_fail_memory(loader);
    }
    for (size_t i = 0; i < cell->count; i++) {
        char item_path[CONFIG_PATH_BYTES_MAX];
        void *item = (char *)list.items + i * group->size_bytes;
        (void)snprintf(item_path, sizeof item_path, "%.200s[%zu]", path, i);
        int status = convert_defaults(loader, group, item);
        if (status == 0) {
            status = convert_group(loader, group, cells + i * group->field_count, item_path, item);
        }
        if (status < 0) {
            return status;
        }
    }
    memcpy(out, &list, sizeof list);
    return 0;
}

static int convert_field(struct loader *loader, const struct config_field *field,
    const struct document_cell *cell, const char *path, void *out)
{
    const char *text;

    switch (field->kind) {
    case CONFIG_KIND_GROUP:
        return convert_group(loader, field->group, cell->ptr, path, out);
    case CONFIG_KIND_GROUPS:
        return convert_groups(loader, field, path, cell, out);
    case CONFIG_KIND_CHOICES:
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_MS_LIST:
        return convert_list(loader, field, path, cell->ptr, (size_t)cell->count, out);
    default:
        break;
    }
    int status = expand(loader, path, cell->ptr, &text);
    return status < 0 ? status : convert_scalar(loader, field, path, text, out);
}

int convert_group(struct loader *loader, const struct config_group *group, const struct document_cell *cells,
    const char *prefix, void *out)
{
    for (size_t i = 0; cells != NULL && i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        char path[CONFIG_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%.120s%s%.80s", prefix, prefix[0] != '\0' ? "." : "", field->name);
        /* An empty list has no array: that it was given, only the marks know. */
        const struct mark *mark = cells[i].ptr == NULL ? marks_find(&loader->marks, path) : NULL;
        if (cells[i].ptr == NULL && (mark == NULL || mark->shape != MARK_SHAPE_LIST)) {
            continue;
        }
        int status = convert_field(loader, field, &cells[i], path, (char *)out + field->offset);
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

/* The default of a list: its items stand in one string, parted by spaces. */
static int convert_default_list(struct loader *loader, const struct config_field *field, void *out)
{
    const char *texts[CONFIG_LIST_COUNT_MAX];
    size_t count = 0;

    for (const char *next = field->value; *next != '\0' && count < CONFIG_LIST_COUNT_MAX;) {
        size_t length = strcspn(next, " ");
        texts[count] = loader_copy(loader, next, length);
        if (texts[count++] == NULL) {
            return loader_fail_memory(loader);
        }
        next += length + strspn(next + length, " ");
    }
    return convert_list(loader, field, field->name, texts, count, out);
}

int convert_defaults(struct loader *loader, const struct config_group *group, void *out)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        void *place = (char *)out + field->offset;
        int status = 0;
        if (field->kind == CONFIG_KIND_GROUP) {
            status = convert_defaults(loader, field->group, place);
        } else if (field->value != NULL && field->kind >= CONFIG_KIND_CHOICES) {
            status = convert_default_list(loader, field, place);
        } else if (field->value != NULL) {
            status = convert_scalar(loader, field, field->name, field->value, place);
        }
        if (status < 0) {
            return status;
        }
    }
    return 0;
}
