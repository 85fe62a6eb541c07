/* Short ways to load a configuration in a test, and to expect a fault. Root's defaults unless a test says
 * otherwise. */
#ifndef WEFT_TESTS_CONFIG_LOADING_H
#define WEFT_TESTS_CONFIG_LOADING_H

#include <string.h>

#include "config/config.h"
#include "core/error.h"

static const char *const no_environment[] = {NULL};

/* Freed by config_free. */
static inline struct config *load(const char *text, const char *const *environment)
{
    struct config_source source = {.path = "w.yaml", .environment = environment, .is_root = true};
    struct config_error error;
    struct config *config = NULL;

    int status = config_load_text(&source, text, strlen(text), &config, &error);
    if (status < 0) {
        print_error("%s\n", error.text);
    }
    assert_int_equal(status, 0);
    return config;
}

/* `line` 0: the fault has none. Each of the error's text must be there. */
static inline void expect_error_with(
    const char *text, const char *const *environment, unsigned line, const char *key, const char *said)
{
    struct config_source source = {.path = "w.yaml", .environment = environment, .is_root = true};
    struct config_error error;
    struct config *config = NULL;
    char place[32];

    int status = config_load_text(&source, text, strlen(text), &config, &error);
    (void)snprintf(place, sizeof place, "w.yaml:%u: ", line);
    if (status != WERR_CONFIG || error.line != line ||
        (line > 0 && strncmp(error.text, place, strlen(place)) != 0) || strstr(error.text, key) == NULL ||
        strstr(error.text, said) == NULL) {
        print_error("status %d, line %u: %s\n", status, error.line, error.text);
        print_error("expected line %u, \"%s\", \"%s\"\n", line, key, said);
        fail();
    }
    assert_null(config);
    assert_null(strchr(error.text, '\n'));
}

static inline void expect_error(const char *text, unsigned line, const char *key, const char *said)
{
    expect_error_with(text, no_environment, line, key, said);
}

#endif
