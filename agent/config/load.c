/* From a source to a configuration: the order of the steps, errors, files. Main thread, at start. */
#include "config/changes.h"
#include "config/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

enum { CONFIG_CHUNK_BYTES = 65536 };

int loader_fail(struct loader *loader, int status, const char *path, const char *format, ...)
{
    struct config_error *error = loader->error;
    const struct mark *mark = path != NULL ? marks_find(&loader->marks, path) : NULL;
    char message[CONFIG_ERROR_BYTES_MAX / 2];
    char place[CONFIG_ERROR_BYTES_MAX / 4] = "";
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error->line = mark != NULL ? mark->line : 0;
    if (mark != NULL) {
        (void)snprintf(place, sizeof place, "%.200s:%u: ", loader->source->path, mark->line);
    }
    (void)snprintf(error->text, sizeof error->text, "%s%s%s%s", place, path != NULL ? path : "",
        path != NULL ? ": " : "", message);
    return status;
}

int loader_fail_memory(struct loader *loader)
{
    return loader_fail(loader, WERR_NOMEM, NULL, "out of memory, or a configuration of more than %d bytes",
        CONFIG_MEMORY_BYTES_MAX);
}

const char *loader_copy(struct loader *loader, const char *text, size_t length)
{
    char *copy = arena_alloc(&loader->config->arena, length + 1);

    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

/* Up to `size` bytes; the number read, or WERR_IO. */
static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t got = read(fd, out + used, size - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return WERR_IO;
        }
        if (got == 0) {
            break;
        }
        used += (size_t)got;
    }
    return (ssize_t)used;
}

int loader_read_file(
    struct loader *loader, const char *path, size_t bytes_max, const char **ret_text, size_t *ret_length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        return WERR_IO;
    }
    char *buffer = malloc(bytes_max + 1);
    ssize_t length = buffer != NULL ? read_all(fd, buffer, bytes_max + 1) : WERR_NOMEM;
    int read_errno = errno;
    close(fd);
    int status = length < 0 ? (int)length : 0;
    if (status == 0 && (size_t)length > bytes_max) {
        status = WERR_OVERSIZED;
    }
    if (status == 0) {
        *ret_text = loader_copy(loader, buffer, (size_t)length);
        *ret_length = (size_t)length;
        status = *ret_text != NULL ? 0 : WERR_NOMEM;
    }
    free(buffer);
    errno = read_errno;
    return status;
}

/* Puts the file's name and the line before what a step of reading said. */
static int fail_in_file(struct loader *loader, int status)
{
    struct config_error *error = loader->error;
    char message[CONFIG_ERROR_BYTES_MAX / 2];

    (void)snprintf(message, sizeof message, "%.*s", (int)sizeof message - 1, error->text);
    if (error->line > 0) {
        (void)snprintf(
            error->text, sizeof error->text, "%.200s:%u: %s", loader->source->path, error->line, message);
    } else {
        (void)snprintf(error->text, sizeof error->text, "%.200s: %s", loader->source->path, message);
    }
    return status;
}

static int convert_document(struct loader *loader, const char *text, size_t length)
{
    struct document document = {.cells = NULL};
    int status = marks_load(&loader->marks, &loader->config->arena, text, length, loader->error);

    if (status == 0) {
        status = marks_check(&loader->marks, loader->error);
    }
    if (status == 0) {
        status = document_load(&document, text, length, loader->error);
    }
    if (status < 0) {
        return fail_in_file(loader, status);
    }
    status = convert_group(loader, &config_schema, document.cells, "", loader->config);
    document_deinit(&document);
    return status;
}

/* `text` is NULL when there is no file. */
static int load_steps(struct loader *loader, const char *text, size_t length)
{
    int status = text != NULL ? convert_document(loader, text, length) : 0;

    if (status == 0) {
        status = otlp_environment_load(loader);
    }
    if (status == 0) {
        status = check_options(loader);
    }
    return status < 0 ? status : check_config(loader);
}

/* A loader with a configuration of defaults; loader_finish ends it. */
static int loader_init(struct loader *loader, const struct config_source *source, struct config_error *error)
{
    *error = (struct config_error){.line = 0};
    *loader = (struct loader){.source = source, .error = error};
    loader->config = calloc(1, sizeof *loader->config);
    if (loader->config == NULL) {
        return loader_fail_memory(loader);
    }
    arena_init(&loader->config->arena, CONFIG_CHUNK_BYTES, CONFIG_MEMORY_BYTES_MAX);
    return convert_defaults(loader, &config_schema, loader->config);
}

void loader_make_line(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

static int loader_finish(struct loader *loader, int status, struct config **ret_config)
{
    if (status < 0) {
        config_free(loader->config);
        loader_make_line(loader->error->text);
        return status;
    }
    *ret_config = loader->config;
    return 0;
}

/* The whole way of a text; `running` NULL: nothing is in force yet. */
static int load_text(const struct config_source *source, const char *text, size_t length,
    const struct config *running, struct config **ret_config, struct config_changes *ret_changes,
    struct config_error *error)
{
    struct config_source named = *source;
    struct loader loader;

    if (named.path == NULL) {
        named.path = "configuration";
    }
    int status = loader_init(&loader, &named, error);
    if (status == 0 && length > CONFIG_FILE_BYTES_MAX) {
        status = loader_fail(
            &loader, WERR_CONFIG, NULL, "%.200s: larger than %d bytes", named.path, CONFIG_FILE_BYTES_MAX);
    }
    if (status == 0) {
        status = load_steps(&loader, text, length);
    }
    if (status == 0 && running != NULL) {
        status = config_mix(&loader, running, ret_changes);
    }
    return loader_finish(&loader, status, ret_config);
}

static int load_file(const struct config_source *source, const struct config *running,
    struct config **ret_config, struct config_changes *ret_changes, struct config_error *error)
{
    struct loader loader;
    const char *text = NULL;
    size_t length = 0;
    int status = loader_init(&loader, source, error);

    if (status == 0 && source->path != NULL) {
        status = loader_read_file(&loader, source->path, CONFIG_FILE_BYTES_MAX, &text, &length);
        if (status < 0) {
            status = loader_fail(&loader, status, NULL, "%.200s: cannot be read: %s", source->path,
                status == WERR_IO ? strerror(errno) : werr_text(status));
        }
    }
    if (status == 0) {
        status = load_steps(&loader, text, length);
    }
    if (status == 0 && running != NULL) {
        status = config_mix(&loader, running, ret_changes);
    }
    return loader_finish(&loader, status, ret_config);
}

int config_load_text(const struct config_source *source, const char *text, size_t length,
    struct config **ret_config, struct config_error *error)
{
    return load_text(source, text, length, NULL, ret_config, NULL, error);
}

int config_load(const struct config_source *source, struct config **ret_config, struct config_error *error)
{
    return load_file(source, NULL, ret_config, NULL, error);
}

int config_reload_text(const struct config_source *source, const char *text, size_t length,
    const struct config *running, struct config **ret_config, struct config_changes *ret_changes,
    struct config_error *error)
{
    return load_text(source, text, length, running, ret_config, ret_changes, error);
}

int config_reload(const struct config_source *source, const struct config *running,
    struct config **ret_config, struct config_changes *ret_changes, struct config_error *error)
{
    return load_file(source, running, ret_config, ret_changes, error);
}

void config_free(struct config *config)
{
    if (config != NULL) {
        arena_deinit(&config->arena);
        free(config);
    }
}
