/* The reader of marks.h, on libyaml's events. Main thread, at start. No recursion: a stack of
 * CONFIG_DEPTH_MAX frames. */
#include "config/marks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "config/schema.h"
#include "core/error.h"

struct frame {
    bool is_mapping;
    bool wants_key;
    size_t next_index;
    size_t path_length; /* of the container itself */
};

struct reader {
    struct marks *marks;
    struct config_error *error;
    struct frame frames[CONFIG_DEPTH_MAX];
    size_t depth;
    char path[CONFIG_PATH_BYTES_MAX];
    size_t path_length;
    unsigned key_line;
};

__attribute__((format(printf, 3, 4))) static int fail(
    struct config_error *error, unsigned line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    error->line = line;
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return WERR_CONFIG;
}

static int fail_memory(struct config_error *error)
{
    (void)fail(error, 0, "out of memory");
    return WERR_NOMEM;
}

const struct mark *marks_find(const struct marks *marks, const char *path)
{
    for (size_t i = 0; i < marks->count; i++) {
        if (strcmp(marks->items[i].path, path) == 0) {
            return &marks->items[i];
        }
    }
    return NULL;
}

static int grow(struct marks *marks)
{
    size_t capacity = marks->capacity > 0 ? marks->capacity * 2 : 64;
    struct mark *items = arena_alloc(marks->arena, capacity * sizeof *items);

    if (items == NULL) {
        return WERR_NOMEM;
    }
    if (marks->count > 0) {
        memcpy(items, marks->items, marks->count * sizeof *items);
    }
    marks->items = items;
    marks->capacity = capacity;
    return 0;
}

static int add_mark(struct reader *reader, unsigned line, enum mark_shape shape, bool is_empty)
{
    struct marks *marks = reader->marks;

    if (marks_find(marks, reader->path) != NULL) {
        return fail(reader->error, line, "%s: given twice", reader->path);
    }
    if (marks->count == MARKS_COUNT_MAX) {
        return fail(reader->error, line, "more than %d keys", MARKS_COUNT_MAX);
    }
    if (marks->count == marks->capacity && grow(marks) < 0) {
        return fail_memory(reader->error);
    }
    char *path = arena_alloc(marks->arena, reader->path_length + 1);
    if (path == NULL) {
        return fail_memory(reader->error);
    }
    memcpy(path, reader->path, reader->path_length + 1);
    marks->items[marks->count++] =
        (struct mark){.path = path, .line = line, .shape = shape, .is_empty = is_empty};
    return 0;
}

static int append_path(struct reader *reader, unsigned line, const char *text, size_t length)
{
    if (length >= sizeof reader->path - reader->path_length) {
        return fail(reader->error, line, "key longer than any key here");
    }
    memcpy(reader->path + reader->path_length, text, length);
    reader->path_length += length;
    reader->path[reader->path_length] = '\0';
    return 0;
}

static void truncate_path(struct reader *reader, size_t length)
{
    reader->path_length = length;
    reader->path[length] = '\0';
}

static struct frame *top_frame(struct reader *reader)
{
    return reader->depth > 0 ? &reader->frames[reader->depth - 1] : NULL;
}

static int take_key(struct reader *reader, const yaml_event_t *event, unsigned line)
{
    int status = 0;

    if (event->type != YAML_SCALAR_EVENT) {
        return fail(reader->error, line, "expected a key, got a list or a mapping");
    }
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL) {
        return fail(reader->error, line, "a NUL byte in a key");
    }
    if (reader->path_length > 0) {
        status = append_path(reader, line, ".", 1);
    }
    if (status == 0) {
        status = append_path(reader, line, (const char *)event->data.scalar.value, event->data.scalar.length);
    }
    reader->key_line = line;
    top_frame(reader)->wants_key = false;
    return status;
}

static void after_value(struct reader *reader)
{
    struct frame *frame = top_frame(reader);

    truncate_path(reader, frame != NULL ? frame->path_length : 0);
    if (frame != NULL && frame->is_mapping) {
        frame->wants_key = true;
    }
}

static int open_container(struct reader *reader, bool is_mapping, unsigned line)
{
    if (reader->depth == CONFIG_DEPTH_MAX) {
        return fail(reader->error, line, "nested deeper than %d levels", CONFIG_DEPTH_MAX);
    }
    reader->frames[reader->depth++] = (struct frame){
        .is_mapping = is_mapping,
        .wants_key = is_mapping,
        .path_length = reader->path_length,
    };
    return 0;
}

static int take_value(struct reader *reader, const yaml_event_t *event, unsigned line)
{
    struct frame *frame = top_frame(reader);
    int status = 0;

    if (frame != NULL && !frame->is_mapping) {
        char index[32];
        int length = snprintf(index, sizeof index, "[%zu]", frame->next_index++);
        status = append_path(reader, line, index, (size_t)length);
    } else if (frame != NULL) {
        line = reader->key_line;
    }
    if (status < 0) {
        return status;
    }
    if (event->type == YAML_SCALAR_EVENT) {
        const yaml_char_t *value = event->data.scalar.value;
        if (memchr(value, '\0', event->data.scalar.length) != NULL) {
            return fail(reader->error, line, "%s: a NUL byte in the value", reader->path);
        }
        status = add_mark(reader, line, MARK_SHAPE_SCALAR, event->data.scalar.length == 0);
        after_value(reader);
        return status;
    }
    bool is_mapping = event->type == YAML_MAPPING_START_EVENT;
    status = add_mark(reader, line, is_mapping ? MARK_SHAPE_MAPPING : MARK_SHAPE_LIST, false);
    return status < 0 ? status : open_container(reader, is_mapping, line);
}

static int take_event(struct reader *reader, const yaml_event_t *event)
{
    unsigned line = (unsigned)event->start_mark.line + 1;
    struct frame *frame = top_frame(reader);

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail(reader->error, line, "aliases are not supported");
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return frame != NULL && frame->wants_key ? take_key(reader, event, line)
                                                 : take_value(reader, event, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        after_value(reader);
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        return reader->marks->count > 0 ? fail(reader->error, line, "a second document in the file") : 0;
    default:
        return 0;
    }
}

static int fail_parser(
    struct config_error *error, const yaml_parser_t *parser, const char *text, size_t length)
{
    unsigned line = (unsigned)parser->problem_mark.line + 1;

    if (parser->error == YAML_MEMORY_ERROR) {
        return fail_memory(error);
    }
    if (parser->error == YAML_READER_ERROR) { /* has an offset, no mark */
        line = 1;
        for (size_t i = 0; i < length && i < parser->problem_offset; i++) {
            line += text[i] == '\n';
        }
    }
    return fail(error, line, "not valid YAML: %s", parser->problem != NULL ? parser->problem : "unknown");
}

int marks_load(
    struct marks *marks, struct arena *arena, const char *text, size_t length, struct config_error *error)
{
    yaml_parser_t parser;
    struct reader reader = {.marks = marks, .error = error};
    int status = 0;
    bool done = false;

    *marks = (struct marks){.arena = arena};
    if (yaml_parser_initialize(&parser) == 0) {
        return fail_memory(error);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    while (status == 0 && !done) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) {
            status = fail_parser(error, &parser, text, length);
            break;
        }
        status = take_event(&reader, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* Where a path leads in the schema. */
struct place {
    const struct config_group *group; /* a mapping with these keys is expected; else NULL */
    const struct config_field *field; /* NULL: the root, or an item of a list of groups */
    bool is_item;                     /* of a list */
};

/* Follows `path` as far as it is known. False at a key that the group *ret_place does not have. */
static bool find_place(const char *path, struct place *ret_place)
{
    struct place place = {.group = &config_schema};

    while (*path != '\0') {
        if (*path == '[') {
            place.is_item = true;
            place.group = place.field != NULL ? place.field->group : NULL;
            path += strcspn(path, "]") + 1;
            continue;
        }
        path += *path == '.';
        size_t length = strcspn(path, ".[");
        const struct config_field *field =
            place.group != NULL ? config_group_find(place.group, path, length) : NULL;
        if (field == NULL) {
            *ret_place = place;
            return false;
        }
        place.field = field;
        place.is_item = false;
        place.group = field->kind == CONFIG_KIND_GROUP ? field->group : NULL;
        path += length;
    }
    *ret_place = place;
    return true;
}

static enum mark_shape expected_shape(const struct place *place)
{
    if (place->group != NULL) {
        return MARK_SHAPE_MAPPING;
    }
    if (place->is_item) {
        return MARK_SHAPE_SCALAR;
    }
    switch (place->field->kind) {
    case CONFIG_KIND_GROUPS:
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_CHOICES:
    case CONFIG_KIND_MS_LIST:
        return MARK_SHAPE_LIST;
    default:
        return MARK_SHAPE_SCALAR;
    }
}

static int fail_unknown(const struct mark *mark, const struct config_group *group, struct config_error *error)
{
    int status = fail(error, mark->line, "%s: unknown key; expected one of", mark->path);
    size_t used = strlen(error->text);

    for (size_t i = 0; group != NULL && i < group->field_count && used < sizeof error->text; i++) {
        int length = snprintf(
            error->text + used, sizeof error->text - used, "%s %s", i > 0 ? "," : "", group->fields[i].name);
        used += length > 0 ? (size_t)length : 0;
    }
    return status;
}

int marks_check(const struct marks *marks, struct config_error *error)
{
    static const char *const shape_names[] = {"a single value", "a list", "a mapping"};

    for (size_t i = 0; i < marks->count; i++) {
        const struct mark *mark = &marks->items[i];
        struct place place;
        if (!find_place(mark->path, &place)) {
            return fail_unknown(mark, place.group, error);
        }
        enum mark_shape expected = expected_shape(&place);
        if (mark->shape != expected && !(mark->is_empty && !place.is_item)) {
            return fail(error, mark->line, "%s%sexpected %s, got %s", mark->path,
                mark->path[0] != '\0' ? ": " : "", shape_names[expected], shape_names[mark->shape]);
        }
    }
    return 0;
}
