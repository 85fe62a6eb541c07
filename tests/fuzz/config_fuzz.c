/*
 * Configuration texts: whatever is in the file, loading ends in a configuration or in one line that says why
 * not. Variables come from a fixed environment, so that a finding can be replayed.
 */
#include "fuzz.h"

#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const environment[] = {
        "NAME=value", "NUMBER=7", "EMPTY=", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", NULL};
    struct config_source source = {.path = "fuzz.yaml", .environment = environment, .is_root = true};
    struct config *config = NULL;
    struct config_error error = {.line = 0};
    int code = config_load_text(&source, (const char *)bytes, length, &config, &error);

    if (code < 0) {
        FUZZ_CHECK(config == NULL);
        FUZZ_CHECK(error.text[0] != '\0');
        FUZZ_CHECK(memchr(error.text, '\n', strlen(error.text)) == NULL);
    } else {
        FUZZ_CHECK(config != NULL && config->socket.path != NULL);
        FUZZ_CHECK(config->limits.message_bytes_max <= config->limits.assembly_bytes_max);
    }
    config_free(config);
    return 0;
}
