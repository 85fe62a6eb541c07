/* A configuration as YAML, walked by the tables of schema.c; see effective.h. Pure; any thread. */
#include "config/effective.h"

#include <inttypes.h>
#include <string.h>

#include "config/schema.h"

enum { INDENT_COLUMNS = 2, DECIMALS_OF_FRACTION = 9, DECIMALS_OF_MS = 6 };

struct writer {
    struct buffer *out;
    bool begins_item; /* the next key is the first of a list's entry */
};

/* Every list of a configuration struct looks like this; convert.c asserts it. */
struct any_list {
    const void *items;
    size_t count;
};

static void write_indent(struct writer *writer, unsigned depth)
{
    for (unsigned i = 0; i + (writer->begins_item ? 1 : 0) < depth; i++) {
        (void)buffer_append_text(writer->out, "  ");
    }
    if (writer->begins_item) {
        (void)buffer_append_text(writer->out, "- ");
        writer->begins_item = false;
    }
}

/* In double quotes, so that nothing in it is YAML; a $ is doubled, as it would begin a variable. */
static void write_quoted(struct buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\') {
            (void)buffer_append_format(out, "\\%c", byte);
        } else if (byte < ' ' || byte == 0x7f) {
            (void)buffer_append_format(out, "\\x%02X", byte);
        } else {
            (void)buffer_append(out, &text[i], 1);
            (void)buffer_append(out, "$", byte == '$' ? 1 : 0);
        }
    }
}

/* A URL without what it holds of secrets: the password before its host, and what comes after a `?`. */
static void write_text(struct buffer *out, const char *text)
{
    const char *host = strstr(text, "://");
    size_t length = strlen(text);
    size_t shown = 0;

    (void)buffer_append_text(out, "\"");
    if (host != NULL) {
        host += strlen("://");
        size_t authority = strcspn(host, "/?#");
        const char *at = memrchr(host, '@', authority);
        const char *colon = at != NULL ? memchr(host, ':', (size_t)(at - host)) : NULL;
        const char *query = strchr(host, '?');

        if (colon != NULL) {
            write_quoted(out, text, (size_t)(colon + 1 - text));
            (void)buffer_append_text(out, CONFIG_MASK);
            shown = (size_t)(at - text);
        }
        length = query != NULL ? (size_t)(query + 1 - text) : length;
    }
    write_quoted(out, text + shown, length - shown);
    (void)buffer_append_text(out, text[length] != '\0' ? CONFIG_MASK "\"" : "\"");
}

/* `value` in units of 10^-decimals, without zeros at the end. */
static void write_decimal(struct buffer *out, uint64_t value, unsigned decimals)
{
    uint64_t one = 1;

    for (unsigned i = 0; i < decimals; i++) {
        one *= 10;
    }
    (void)buffer_append_format(out, "%" PRIu64, value / one);
    value %= one;
    (void)buffer_append_text(out, value > 0 ? "." : "");
    while (value > 0) {
        one /= 10;
        (void)buffer_append_format(out, "%" PRIu64, value / one);
        value %= one;
    }
}

static void write_list(struct buffer *out, const struct config_field *field, const void *place)
{
    const struct any_list *list = place;
    const char *const *texts = list->items;
    const uint64_t *numbers = list->items;

    (void)buffer_append_text(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        (void)buffer_append_text(out, i > 0 ? ", " : "");
        if (field->kind == CONFIG_KIND_MS_LIST) {
            write_decimal(out, numbers[i], DECIMALS_OF_MS);
        } else {
            write_text(out, texts[i]);
        }
    }
    (void)buffer_append_text(out, "]");
}

static void write_choices(struct buffer *out, const struct config_field *field, uint32_t mask)
{
    const char *before = "";

    (void)buffer_append_text(out, "[");
    for (unsigned i = 0; field->choices[i] != NULL; i++) {
        if ((mask >> i & 1) != 0) {
            (void)buffer_append_format(out, "%s%s", before, field->choices[i]);
            before = ", ";
        }
    }
    (void)buffer_append_text(out, "]");
}

static void write_value(struct buffer *out, const struct config_field *field, const void *place)
{
    switch (field->kind) {
    case CONFIG_KIND_BOOL:
        (void)buffer_append_text(out, *(const bool *)place ? "true" : "false");
        break;
    case CONFIG_KIND_INTEGER:
        (void)buffer_append_format(out, "%" PRIu64, *(const uint64_t *)place);
        break;
    case CONFIG_KIND_SIGNED:
        (void)buffer_append_format(out, "%" PRId64, *(const int64_t *)place);
        break;
    case CONFIG_KIND_FRACTION:
        write_decimal(out, *(const uint64_t *)place, DECIMALS_OF_FRACTION);
        break;
    case CONFIG_KIND_MODE:
        (void)buffer_append_format(out, "%04o", *(const uint32_t *)place);
        break;
    case CONFIG_KIND_CHOICE:
        (void)buffer_append_text(out, field->choices[*(const int *)place]);
        break;
    case CONFIG_KIND_CHOICES:
        write_choices(out, field, *(const uint32_t *)place);
        break;
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_MS_LIST:
        write_list(out, field, place);
        break;
    case CONFIG_KIND_SECRET:
        (void)buffer_append_text(out, "\"" CONFIG_MASK "\"");
        break;
    default:
        write_text(out, *(const char *const *)place);
    }
}

/* Whether the key would be refused, or say nothing, if it stood in a file. */
static bool is_left_out(const struct config_group *group, const struct config_field *field, const char *base)
{
    const char *place = base + field->offset;
    const struct config_otlp *otlp = (const struct config_otlp *)base;

    switch (field->kind) {
    case CONFIG_KIND_SECRET:
        return *(const char *const *)place == NULL || config_secret_file(group, field, base) != NULL;
    case CONFIG_KIND_SECRET_FILE:
        return config_secret_file(group, field, base) == NULL;
    case CONFIG_KIND_STRING:
    case CONFIG_KIND_FILE:
        if (group == &config_schema_otlp && otlp->protocol == CONFIG_PROTOCOL_GRPC &&
            field->offset >= offsetof(struct config_otlp, url[0]) &&
            field->offset < offsetof(struct config_otlp, signals)) {
            return true; /* derived from endpoint, which alone may be given */
        }
        return *(const char *const *)place == NULL;
    default:
        return false;
    }
}

static void write_scalar(struct writer *writer, const struct config_group *group,
    const struct config_field *field, const char *base, unsigned depth)
{
    const char *place = base + field->offset;

    if (is_left_out(group, field, base)) {
        return;
    }
    write_indent(writer, depth);
    (void)buffer_append_format(writer->out, "%s: ", field->name);
    if (field->kind == CONFIG_KIND_SECRET_FILE) {
        write_text(writer->out, config_secret_file(group, field, base));
    } else if (field->kind == CONFIG_KIND_STRING && **(const char *const *)place == '\0' &&
               field->smallest > 0) {
        (void)buffer_append_text(
            writer->out, "\"-\""); /* of a log line's keys: none, see check_access_logs.c */
    } else {
        write_value(writer->out, field, place);
    }
    (void)buffer_append_text(writer->out, field->apply == CONFIG_APPLY_LIVE ? " # live\n" : " # restart\n");
}

static void write_group(
    struct writer *writer, const struct config_group *group, const char *base, unsigned depth);

static void write_groups(
    struct writer *writer, const struct config_field *field, const char *place, unsigned depth)
{
    const struct any_list *list = (const struct any_list *)place;

    if (list->count == 0) {
        return;
    }
    write_indent(writer, depth);
    (void)buffer_append_format(writer->out, "%s:\n", field->name);
    for (size_t i = 0; i < list->count; i++) {
        writer->begins_item = true;
        write_group(
            writer, field->group, (const char *)list->items + i * field->group->size_bytes, depth + 2);
    }
}

/* A group of which nothing is given is left out: a key without a value is an error. */
static void write_nested(
    struct writer *writer, const struct config_field *field, const char *place, unsigned depth)
{
    size_t before = writer->out->length;
    bool begins_item = writer->begins_item;

    write_indent(writer, depth);
    (void)buffer_append_format(writer->out, "%s:\n", field->name);
    size_t empty = writer->out->length;
    write_group(writer, field->group, place, depth + 1);
    if (writer->out->length == empty) {
        writer->out->length = before;
        writer->begins_item = begins_item;
    }
}

/* As deep as the tables nest. */
static void write_group(
    struct writer *writer, const struct config_group *group, const char *base, unsigned depth)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];

        if (field->kind == CONFIG_KIND_GROUP) {
            write_nested(writer, field, base + field->offset, depth);
        } else if (field->kind == CONFIG_KIND_GROUPS) {
            write_groups(writer, field, base + field->offset, depth);
        } else {
            write_scalar(writer, group, field, base, depth);
        }
    }
}

int config_write(const struct config *config, struct buffer *out)
{
    struct writer writer = {.out = out};

    write_group(&writer, &config_schema, (const char *)config, 0);
    return out->error;
}
