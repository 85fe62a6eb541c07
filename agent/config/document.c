/*
 * YAML into cells by libcyaml, whose schema is made from ours. Every scalar is taken as text: a number may
 * still be
 * "${SHARDS:-2}". Main thread, at start.
 */
#include "config/loader.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

enum { SCHEMA_BYTES_MAX = 262144, SCHEMA_CHUNK_BYTES = 32768 };

/* A scalar that may be left out or left empty. */
static const cyaml_schema_value_t optional_text = {
    .type = CYAML_STRING,
    .flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL,
    .data_size = sizeof(char),
    .string = {.min = 0, .max = CONFIG_FILE_BYTES_MAX},
};

static const cyaml_schema_value_t item_text = {
    .type = CYAML_STRING,
    .flags = CYAML_FLAG_POINTER,
    .data_size = sizeof(char),
    .string = {.min = 0, .max = CONFIG_FILE_BYTES_MAX},
};

static int make_mapping(struct arena *arena, const struct config_group *group, enum cyaml_flag flags,
    cyaml_schema_value_t *ret_value);

static int make_list(struct arena *arena, const struct config_field *field, cyaml_schema_value_t *ret_value)
{
    const cyaml_schema_value_t *entry = &item_text;

    if (field->kind == CONFIG_KIND_GROUPS) {
        cyaml_schema_value_t *mapping = arena_zalloc(arena, sizeof *mapping);
        if (mapping == NULL || make_mapping(arena, field->group, CYAML_FLAG_DEFAULT, mapping) < 0) {
            return WERR_NOMEM;
        }
        entry = mapping;
    }
    *ret_value = (cyaml_schema_value_t){
        .type = CYAML_SEQUENCE,
        .flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL,
        .data_size = entry == &item_text ? (uint32_t)sizeof(char *) : entry->data_size,
        .sequence = {.entry = entry, .min = 0, .max = CONFIG_LIST_COUNT_MAX},
    };
    return 0;
}

static int make_value(struct arena *arena, const struct config_field *field, cyaml_schema_value_t *ret_value)
{
    switch (field->kind) {
    case CONFIG_KIND_GROUP:
        return make_mapping(
            arena, field->group, (enum cyaml_flag)(CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL), ret_value);
    case CONFIG_KIND_GROUPS:
    case CONFIG_KIND_CHOICES:
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_MS_LIST:
        return make_list(arena, field, ret_value);
    default:
        *ret_value = optional_text;
        return 0;
    }
}

/* Recurses as deep as the schema's tables nest. */
static int make_mapping(struct arena *arena, const struct config_group *group, enum cyaml_flag flags,
    cyaml_schema_value_t *ret_value)
{
    cyaml_schema_field_t *fields = arena_zalloc(arena, (group->field_count + 1) * sizeof *fields);

    if (fields == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < group->field_count; i++) {
        uint32_t offset = (uint32_t)(i * sizeof(struct document_cell));
        fields[i].key = group->fields[i].name;
        fields[i].data_offset = offset + (uint32_t)offsetof(struct document_cell, ptr);
        fields[i].count_offset = offset + (uint32_t)offsetof(struct document_cell, count);
        fields[i].count_size = sizeof(uint64_t);
        if (make_value(arena, &group->fields[i], &fields[i].value) < 0) {
            return WERR_NOMEM;
        }
    }
    *ret_value = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = flags,
        .data_size = (uint32_t)(group->field_count * sizeof(struct document_cell)),
        .mapping = {.fields = fields},
    };
    return 0;
}

/* Keeps the first complaint and the first line that libcyaml names. */
static void note_message(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct config_error *error = context;
    char message[256];

    if (level < CYAML_LOG_ERROR) {
        return;
    }
    (void)vsnprintf(message, sizeof message, format, arguments);
    const char *line = strstr(message, "(line: ");
    if (line != NULL) {
        unsigned number;
        if (error->line == 0 && sscanf(line, "(line: %u", &number) == 1) {
            error->line = number;
        }
    } else if (error->text[0] == '\0') {
        message[strcspn(message, "\n")] = '\0';
        const char *text = strncmp(message, "Load: ", 6) == 0 ? message + 6 : message;
        (void)snprintf(error->text, sizeof error->text, "%s", text);
    }
}

static void set_up(cyaml_config_t *cyaml, struct config_error *error)
{
    *cyaml = (cyaml_config_t){
        .log_fn = note_message,
        .log_ctx = error,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

int document_load(struct document *document, const char *text, size_t length, struct config_error *error)
{
    cyaml_config_t cyaml;
    cyaml_data_t *data = NULL;

    *document = (struct document){.cells = NULL};
    *error = (struct config_error){.line = 0};
    arena_init(&document->arena, SCHEMA_CHUNK_BYTES, SCHEMA_BYTES_MAX);
    cyaml_schema_value_t *schema = arena_zalloc(&document->arena, sizeof *schema);
    if (schema == NULL || make_mapping(&document->arena, &config_schema, CYAML_FLAG_POINTER, schema) < 0) {
        document_deinit(document);
        (void)snprintf(error->text, sizeof error->text, "out of memory");
        return WERR_NOMEM;
    }
    document->cyaml_schema = schema;
    set_up(&cyaml, error);
    cyaml_err_t result = cyaml_load_data((const uint8_t *)text, length, &cyaml, schema, &data, NULL);
    if (result != CYAML_OK) {
        document_deinit(document);
        if (error->text[0] == '\0') {
            (void)snprintf(error->text, sizeof error->text, "%s", cyaml_strerror(result));
        }
        return result == CYAML_ERR_OOM ? WERR_NOMEM : WERR_CONFIG;
    }
    document->cells = data;
    return 0;
}

void document_deinit(struct document *document)
{
    if (document == NULL) {
        return;
    }
    if (document->cells != NULL) {
        struct config_error ignored = {.line = 0};
        cyaml_config_t cyaml;
        set_up(&cyaml, &ignored);
        (void)cyaml_free(&cyaml, document->cyaml_schema, document->cells, 0);
        document->cells = NULL;
    }
    arena_deinit(&document->arena);
}
