/*
 * Fuzz target: a configuration's text, then, each behind a byte 0x1e, variables ("NAME=value") and options
 * ("--socket=…", "--http=…", "--shards=…", "--user" for one who is not root). Whatever they are, loading ends
 * in a configuration or in one line that says why not.
 *
 * Checked besides memory safety: what the rest of the agent takes for granted of a configuration.
 */
#include "fuzz.h"

#include <string.h>

#include "config/config.h"
#include "core/error.h"

enum { PARTS_COUNT_MAX = 32, SEPARATOR = 0x1e };

struct parts {
    char *copy; /* the whole input, NUL-terminated, separators made NULs */
    size_t text_length;
    const char *environment[PARTS_COUNT_MAX + 1];
    struct config_source source;
};

static const char *option_value(const char *part, const char *name)
{
    size_t length = strlen(name);

    return strncmp(part, name, length) == 0 ? part + length : NULL;
}

static void take_part(struct parts *parts, size_t *variable_count, const char *part)
{
    struct config_source *source = &parts->source;
    const char *value;

    if ((value = option_value(part, "--socket=")) != NULL) {
        source->socket_path = value;
    } else if ((value = option_value(part, "--http=")) != NULL) {
        source->http_address = value;
    } else if ((value = option_value(part, "--shards=")) != NULL) {
        source->shards = value;
    } else if (strcmp(part, "--user") == 0) {
        source->is_root = false;
    } else {
        parts->environment[(*variable_count)++] = part;
    }
}

static void parts_init(struct parts *parts, const uint8_t *bytes, size_t length)
{
    size_t variable_count = 0;

    memset(parts, 0, sizeof *parts);
    parts->copy = malloc(length + 1);
    FUZZ_CHECK(parts->copy != NULL);
    memcpy(parts->copy, bytes, length);
    parts->copy[length] = '\0';
    parts->text_length = length;
    parts->source =
        (struct config_source){.path = "fuzz.yaml", .environment = parts->environment, .is_root = true};
    size_t part_count = 0;
    for (size_t i = 0; i < length; i++) {
        if (parts->copy[i] != SEPARATOR || part_count == PARTS_COUNT_MAX) {
            continue;
        }
        parts->copy[i] = '\0';
        parts->text_length = part_count++ == 0 ? i : parts->text_length;
    }
    const char *end = parts->copy + length;
    for (const char *at = parts->copy + parts->text_length; part_count > 0 && at < end; part_count--) {
        at++;
        take_part(parts, &variable_count, at);
        at += strlen(at);
    }
}

static void check_destination(const struct config_otlp *otlp)
{
    FUZZ_CHECK(otlp->name != NULL && otlp->signals != 0 && otlp->batch.bytes_max <= otlp->queue.bytes_max);
    FUZZ_CHECK((otlp->tls.cert_file == NULL) == (otlp->tls.key_file == NULL));
    for (int signal = 0; signal < CONFIG_SIGNAL_COUNT; signal++) {
        FUZZ_CHECK(((otlp->signals & 1u << signal) != 0) == (otlp->url[signal] != NULL));
    }
    for (size_t i = 0; i < otlp->headers.count; i++) {
        const struct config_header *header = &otlp->headers.items[i];
        FUZZ_CHECK(header->name[0] != '\0' && strpbrk(header->name, " :\r\nABCXYZ") == NULL);
        FUZZ_CHECK(strpbrk(header->value, "\r\n") == NULL);
    }
}

static void check_limits(const struct limits *limits)
{
    for (size_t i = 0; i < limit_row_count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)limits + limit_rows[i].offset, sizeof value);
        FUZZ_CHECK(value >= limit_rows[i].smallest && value <= limit_rows[i].largest);
    }
    FUZZ_CHECK(limits->message_bytes_max <= limits->assembly_bytes_max);
}

static void check(const struct config *config)
{
    FUZZ_CHECK(config->socket.path != NULL && config->socket.mode <= 0777);
    FUZZ_CHECK(config->api_socket.enabled == (config->api_socket.path != NULL));
    FUZZ_CHECK(config->http.sockaddr_bytes > 0 && config->shards <= CONFIG_SHARD_COUNT_MAX);
    FUZZ_CHECK(
        config->cluster != NULL && config->metrics.native_schema >= -4 && config->metrics.native_schema <= 5);
    for (size_t i = 1; i < config->metrics.bounds_ns.count; i++) {
        FUZZ_CHECK(config->metrics.bounds_ns.items[i - 1] < config->metrics.bounds_ns.items[i]);
    }
    for (size_t i = 0; i < config->exporters.otlp.count; i++) {
        check_destination(&config->exporters.otlp.items[i]);
    }
    for (size_t i = 0; i < config->warnings.count; i++) {
        FUZZ_CHECK(strpbrk(config->warnings.items[i], "\r\n\x1b") == NULL);
    }
    check_limits(&config->limits);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct parts parts;
    struct config *config = NULL;
    struct config_error error = {.line = 0};

    parts_init(&parts, bytes, length);
    if (parts.text_length == 0) {
        parts.source.path = NULL; /* no file at all */
    }
    int code = parts.source.path != NULL
                   ? config_load_text(&parts.source, parts.copy, parts.text_length, &config, &error)
                   : config_load(&parts.source, &config, &error);
    if (code < 0) {
        FUZZ_CHECK(config == NULL && (code == WERR_CONFIG || code == WERR_IO || code == WERR_NOMEM));
        FUZZ_CHECK(error.text[0] != '\0' && strpbrk(error.text, "\r\n\x1b") == NULL);
    } else {
        FUZZ_CHECK(config != NULL);
        check(config);
    }
    config_free(config);
    free(parts.copy);
    return 0;
}
