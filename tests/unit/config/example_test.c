/* docs/weft.example.yaml: it loads, says the defaults, and shows every key of the schema with its live or
 * restart mark. */
#include "cmocka_all.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/marks.h"
#include "config/schema.h"
#include "loading.h"
#include "temporary.h"

enum { EXAMPLE_BYTES_MAX = 65536 };

static char *read_example(void)
{
    char *text = calloc(1, EXAMPLE_BYTES_MAX);
    FILE *file = fopen(WEFT_SOURCE_DIR "/docs/weft.example.yaml", "re");

    assert_non_null(text);
    assert_non_null(file);
    size_t length = fread(text, 1, EXAMPLE_BYTES_MAX, file);
    assert_true(length > 0 && length < EXAMPLE_BYTES_MAX);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* Takes the "#: " off the keys that have no default. */
static char *read_uncommented(void)
{
    char *text = read_example();
    char *out = text;

    for (const char *line = text; *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        const char *from = strncmp(line, "#: ", 3) == 0 ? line + 3 : line;
        size_t length = (size_t)(end - from);
        memmove(out, from, length);
        out += length;
        *out++ = '\n';
        line = *end == '\n' ? end + 1 : end;
    }
    *out = '\0';
    return text;
}

static void expect_equal_group(const struct config_group *group, const char *a, const char *b);

/* Both lists hold what their kind says; the layouts are those of config.h. */
static void expect_equal_list(const struct config_field *field, const void *a, const void *b)
{
    const struct config_strings *strings_a = a;
    const struct config_strings *strings_b = b;
    const struct config_numbers *numbers_a = a;
    const struct config_numbers *numbers_b = b;

    assert_int_equal(strings_a->count, strings_b->count);
    for (size_t i = 0; i < strings_a->count; i++) {
        if (field->kind == CONFIG_KIND_STRINGS) {
            assert_string_equal(strings_a->items[i], strings_b->items[i]);
        } else {
            assert_true(numbers_a->items[i] == numbers_b->items[i]);
        }
    }
}

static void expect_equal_field(const struct config_field *field, const char *a, const char *b)
{
    const char *const *text_a = (const char *const *)a;
    const char *const *text_b = (const char *const *)b;

    switch (field->kind) {
    case CONFIG_KIND_GROUP:
        expect_equal_group(field->group, a, b);
        break;
    case CONFIG_KIND_GROUPS: /* none by default */
        assert_int_equal(((const struct config_otlp_list *)a)->count, 0);
        assert_int_equal(((const struct config_otlp_list *)b)->count, 0);
        break;
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_MS_LIST:
        expect_equal_list(field, a, b);
        break;
    case CONFIG_KIND_STRING:
    case CONFIG_KIND_SECRET_FILE:
    case CONFIG_KIND_FILE:
        assert_int_equal(*text_a == NULL, *text_b == NULL);
        if (*text_a != NULL) {
            assert_string_equal(*text_a, *text_b);
        }
        break;
    case CONFIG_KIND_BOOL:
        assert_int_equal(*(const bool *)a, *(const bool *)b);
        break;
    case CONFIG_KIND_INTEGER:
    case CONFIG_KIND_FRACTION:
    case CONFIG_KIND_SIGNED:
        assert_true(*(const uint64_t *)a == *(const uint64_t *)b);
        break;
    case CONFIG_KIND_MODE:
    case CONFIG_KIND_CHOICE:
    case CONFIG_KIND_CHOICES:
        assert_int_equal(*(const uint32_t *)a, *(const uint32_t *)b);
        break;
    default:
        fail_msg("%s: a kind that this test does not compare", field->name);
    }
}

static void expect_equal_group(const struct config_group *group, const char *a, const char *b)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        expect_equal_field(field, a + field->offset, b + field->offset);
    }
}

static void test_it_says_the_defaults(void **state)
{
    char *text = read_example();
    struct config *example = load(text, no_environment);
    struct config *defaults = load("", no_environment);

    (void)state;
    expect_equal_group(&config_schema, (const char *)example, (const char *)defaults);
    config_free(example);
    config_free(defaults);
    free(text);
}

struct search {
    const struct marks *marks;
    const char *text;
    unsigned missing_count;
};

/* Whether a path with numbers in its brackets is the schema's, whose brackets are empty. */
static bool same_key(const char *path, const char *schema_path)
{
    while (*path != '\0' && *schema_path != '\0') {
        if (*path == '[' && *schema_path == '[') {
            path += strcspn(path, "]");
            schema_path += strcspn(schema_path, "]");
        }
        if (*path++ != *schema_path++) {
            return false;
        }
    }
    return *path == *schema_path;
}

/* The comment above the key, or the one before, ends in the right mark. */
static bool has_apply_mark(const char *text, unsigned line, enum config_apply apply)
{
    const char *expected = apply == CONFIG_APPLY_LIVE ? "[live]\n" : "[restart]\n";

    for (unsigned i = 2; i < line; i++) {
        text += strcspn(text, "\n") + 1;
    }
    size_t length = strcspn(text, "\n") + 1;
    return length > strlen(expected) &&
           strncmp(text + length - strlen(expected), expected, strlen(expected)) == 0;
}

static void look_for(const char *path, const struct config_field *field, void *user)
{
    struct search *search = user;

    for (size_t i = 0; i < search->marks->count; i++) {
        const struct mark *mark = &search->marks->items[i];
        if (!same_key(mark->path, path)) {
            continue;
        }
        if (strcmp(path, "exporters.otlp[].headers[].name") != 0 &&
            !has_apply_mark(search->text, mark->line, field->apply)) {
            print_error("line %u: %s lacks its [live] or [restart]\n", mark->line, path);
            search->missing_count++;
        }
        return;
    }
    print_error("docs/weft.example.yaml does not show %s\n", path);
    search->missing_count++;
}

static void test_it_shows_every_key(void **state)
{
    char *text = read_uncommented();
    struct config_error error;
    struct marks marks;
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096, 4194304);
    assert_int_equal(marks_load(&marks, &arena, text, strlen(text), &error), 0);
    assert_int_equal(marks_check(&marks, &error), 0);
    struct search search = {.marks = &marks, .text = text};
    config_schema_visit(look_for, &search);
    assert_int_equal(search.missing_count, 0);
    arena_deinit(&arena);
    free(text);
}

/* Everywhere. */
static void replace(char *text, const char *what, const char *with)
{
    char *found = strstr(text, what);

    assert_non_null(found);
    assert_true(strlen(with) <= strlen(what));
    for (; found != NULL; found = strstr(found, what)) {
        memmove(found + strlen(with), found + strlen(what), strlen(found + strlen(what)) + 1);
        memcpy(found, with, strlen(with));
    }
}

/* With its files at hand the whole of it is a configuration. */
static void test_it_loads_with_everything_on(void **state)
{
    char *text = read_uncommented();
    struct temporary directory;
    char token[512];

    (void)state;
    temporary_init(&directory);
    temporary_write(&directory, "peers", "0123456789abcdef\n", token);
    replace(text, "/var/run/secrets/weft/peer-token", token);
    replace(text, "/var/run/secrets/weft/http-token", token);
    replace(text, "/run/secrets/otlp-token", "/dev/null");
    replace(text, "/etc/weft/ca.pem", "/dev/null");
    replace(text, "/var/run/secrets/kubernetes.io/serviceaccount/token", "/dev/null");
    replace(text, "/etc/weft/agent.pem", "/dev/null");
    replace(text, "/etc/weft/agent.key", "/dev/null");
    /* The two sources of pods exclude each other. */
    replace(text, "  downward_api: /etc/podinfo\n", "");
    struct config *config = load(text, no_environment);
    assert_int_equal(config->exporters.otlp.count, 2);
    const struct config_otlp *otlp = &config->exporters.otlp.items[0];
    assert_int_equal(otlp->headers.count, 2);
    assert_string_equal(otlp->headers.items[0].value, "default");
    assert_string_equal(otlp->headers.items[1].value, "");
    assert_string_equal(otlp->url[CONFIG_SIGNAL_TRACES], "https://traces.example:4318/v1/traces");
    assert_string_equal(config->exporters.otlp.items[1].url[CONFIG_SIGNAL_LOGS],
        "https://logs.eu-central-1.amazonaws.com/v1/logs");
    assert_string_equal(config->trace.peer_token, "0123456789abcdef");
    config_free(config);
    free(text);
    temporary_deinit(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_says_the_defaults),
        cmocka_unit_test(test_it_shows_every_key),
        cmocka_unit_test(test_it_loads_with_everything_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
