/*
 * Every key of the schema, one after the other: a good value loads, a bad one is refused by name and line,
 * and a reload with another one changes it at once or names it as waiting for a restart, as the schema marks
 * it. What is loaded is also written as YAML and loaded again. Values follow from the kind of a key where
 * that tells enough; a key of another kind without a row in `value_rows` fails the test.
 */
#include "cmocka_all.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/changes.h"
#include "config/effective.h"
#include "config/schema.h"
#include "loading.h"
#include "temporary.h"

enum { VALUE_BYTES = 70000, YAML_BYTES = 80000, DIFFERENCE_COUNT_MAX = 8 };

/* @A and @B stand for two files with different content. */
struct value_row {
    const char *path;
    const char *good;
    const char *bad;
    const char *other;
};

static const struct value_row value_rows[] = {
    {"socket.group", "\"0\"", "no-such-group-here", "\"1\""},
    {"api_socket.group", "\"0\"", "no-such-group-here", "\"1\""},
    {"http.address", "127.0.0.1:0", "0.0.0.0:0", "127.0.0.1:1"},
    {"metrics_http.address", "0.0.0.0:1", "nowhere", "127.0.0.1:1"},
    {"receivers.statsd.udp", "127.0.0.1:8125", "10.0.0.1:8125", "127.0.0.1:8126"},
    {"receivers.statsd.group", "\"0\"", "no-such-group-here", "\"1\""},
    {"receivers.xray.udp", "127.0.0.1:2000", "10.0.0.1:2000", "127.0.0.1:2001"},
    {"receivers.access_logs[].group", "\"0\"", "no-such-group-here", "\"1\""},
    {"receivers.scrape[].url", "http://g/", "ftp://g/", "http://i/"},
    {"receivers.scrape[].socket", "/a", "a", "/b"},
    {"receivers.otlp.grpc", "127.0.0.1:4317", "10.0.0.1:4317", "\"[::1]:4317\""},
    {"receivers.otlp.http", "127.0.0.1:4318", "10.0.0.1:4318", "\"[::1]:4318\""},
    {"receivers.otlp.allow", "[10.0.0.0/8]", "[nowhere]", "[\"fd00::/8\"]"},
    {"identity.downward_api", "/a", "a", "/b"},
    {"identity.kubelet.url", "https://n:1/pods", "ftp://n:1/pods", "https://m:1/pods"},
    {"routes[].template", "\"/x/{id}\"", "x", "/y/*"},
    {"trace.peers", "[\"http://127.0.0.1:1\"]", "[\"ftp://127.0.0.1:1\"]", "[\"http://127.0.0.1:2\"]"},
    {"exporters.otlp[].endpoint", "http://g:1", "ftp://g:1", "http://i:1"},
    {"exporters.otlp[].traces_endpoint", "http://g/t", "ftp://g/t", "http://i/t"},
    {"exporters.otlp[].metrics_endpoint", "http://g/m", "ftp://g/m", "http://i/m"},
    {"exporters.otlp[].aws.credentials", "auto", "no-such-word", "instance"},
    {"exporters.otlp[].logs_endpoint", "http://g/l", "ftp://g/l", "http://i/l"},
};

/* What else has to stand in a group for one of its keys to be accepted. */
struct sibling_row {
    const char *group; /* its path */
    const char *key;   /* not when this is what is tested */
    const char *text;
    const char *only_for; /* the tested key's path begins so; NULL: any */
};

static const struct sibling_row sibling_rows[] = {
    {"receivers.access_logs[]", "path", "path: /tmp/a.sock", NULL},
    {"receivers.scrape[]", "name", "name: t", NULL},
    {"receivers.scrape[]", "url", "url: \"http://h/\"", NULL},
    {"receivers.scrape[].labels[]", "name", "name: zone", NULL},
    {"receivers.scrape[].labels[]", "value", "value: a", NULL},
    {"metrics.bounds_per_route[]", "service", "service: a", NULL},
    {"metrics.bounds_per_route[]", "", "slow_ms: 1", "metrics.bounds_per_route[].service"},
    {"metrics.bounds_per_route[]", "", "slow_ms: 1", "metrics.bounds_per_route[].route"},
    {"metrics.bounds_per_route[]", "bounds_ms", "bounds_ms: [3]", "metrics.bounds_per_route[].slow_ms"},
    {"metrics.labels[]", "name", "name: zone", NULL},
    {"metrics.labels[]", "value", "value: a", NULL},
    {"http", "", "cert_file: \"@A\", key_file: \"@A\"", "http.client_ca_file"},
    {"metrics_http", "", "cert_file: \"@A\", key_file: \"@A\"", "metrics_http.client_ca_file"},
    {"receivers.otlp", "", "cert_file: \"@A\", key_file: \"@A\"", "receivers.otlp.client_ca_file"},
    {"identity.kubelet", "url", "url: \"https://n:1/pods\"", NULL},
    {"meshes[]", "name", "name: m", NULL},
    {"routes[]", "template", "template: \"/x/{id}\"", NULL},
    {"exporters.otlp[]", "name", "name: d", NULL},
    {"exporters.otlp[]", "endpoint", "endpoint: \"http://h:1\"", NULL},
    {"exporters.otlp[]", "", "protocol: http/protobuf", "exporters.otlp[].traces_endpoint"},
    {"exporters.otlp[]", "", "protocol: http/protobuf", "exporters.otlp[].metrics_endpoint"},
    {"exporters.otlp[]", "", "protocol: http/protobuf, signals: [logs]", "exporters.otlp[].logs_endpoint"},
    {"exporters.otlp[]", "", "protocol: http/protobuf, signals: [logs]", "exporters.otlp[].aws"},
    {"exporters.otlp[].aws", "region", "region: eu-x", NULL},
    {"exporters.otlp[].aws", "log_group", "log_group: g", NULL},
    {"exporters.otlp[].aws", "log_stream", "log_stream: s", NULL},
    {"exporters.otlp[].headers[]", "name", "name: h", NULL},
    {"exporters.otlp[].headers[]", "value", "value: v", "exporters.otlp[].headers[].name"},
};

struct bench {
    struct temporary directory;
    char files[2][512];
    char good[VALUE_BYTES];
    char bad[VALUE_BYTES];
    char other[VALUE_BYTES];
    char yaml[YAML_BYTES];
    unsigned key_count;
    unsigned fault_count;
};

/* ---- making the YAML ---- */

static void append(char *out, size_t out_bytes, const char *text, size_t length)
{
    size_t used = strlen(out);

    assert_true(used + length < out_bytes);
    memcpy(out + used, text, length);
    out[used + length] = '\0';
}

/* Appends a text with its files named. */
static void append_named(const struct bench *bench, char *out, size_t out_bytes, const char *text)
{
    for (; *text != '\0'; text++) {
        bool is_file = text[0] == '@' && (text[1] == 'A' || text[1] == 'B');
        const char *part = is_file ? bench->files[text[1] - 'A'] : text;
        append(out, out_bytes, part, is_file ? strlen(part) : 1);
        text += is_file;
    }
}

/* A certificate and its key come together. */
static const char *partner_of(const char *key)
{
    if (strcmp(key, "cert_file") == 0) {
        return "key_file: \"@A\"";
    }
    return strcmp(key, "key_file") == 0 ? "cert_file: \"@A\"" : NULL;
}

static void append_siblings(
    const struct bench *bench, char *out, const char *path, size_t group_length, const char *key)
{
    size_t key_length = strcspn(key, ".[");

    for (size_t i = 0; i < sizeof sibling_rows / sizeof sibling_rows[0]; i++) {
        const struct sibling_row *row = &sibling_rows[i];
        bool is_here = strlen(row->group) == group_length && strncmp(row->group, path, group_length) == 0;
        bool is_key = strlen(row->key) == key_length && strncmp(row->key, key, key_length) == 0;
        if (is_here && !is_key &&
            (row->only_for == NULL || strncmp(path, row->only_for, strlen(row->only_for)) == 0)) {
            append_named(bench, out, YAML_BYTES, row->text);
            append(out, YAML_BYTES, ", ", 2);
        }
    }
    if (partner_of(key) != NULL) {
        append_named(bench, out, YAML_BYTES, partner_of(key));
        append(out, YAML_BYTES, ", ", 2);
    }
}

/* "a.b[].c" and a value as "{a: {b: [{c: value}]}}", on the second line. */
static const char *yaml_of(struct bench *bench, const char *path, const char *value)
{
    char closing[64] = "";
    const char *key = path;

    (void)snprintf(bench->yaml, sizeof bench->yaml, "#\n");
    for (;;) {
        size_t length = strcspn(key, ".[");
        size_t group_length = key > path ? (size_t)(key - path) - 1 : 0;
        append(bench->yaml, sizeof bench->yaml, "{", 1);
        append_siblings(bench, bench->yaml, path, group_length, key);
        append(bench->yaml, sizeof bench->yaml, key, length);
        append(bench->yaml, sizeof bench->yaml, ": ", 2);
        memmove(closing + 1, closing, strlen(closing) + 1);
        closing[0] = '}';
        if (key[length] == '[') {
            append(bench->yaml, sizeof bench->yaml, "[", 1);
            memmove(closing + 1, closing, strlen(closing) + 1);
            closing[0] = ']';
            length += 2;
        }
        if (key[length] == '\0') {
            break;
        }
        key += length + 1;
    }
    append_named(bench, bench->yaml, sizeof bench->yaml, value);
    append(bench->yaml, sizeof bench->yaml, closing, strlen(closing));
    append(bench->yaml, sizeof bench->yaml, "\n", 1);
    return bench->yaml;
}

/* ---- values ---- */

static void set_values(struct bench *bench, const char *good, const char *bad, const char *other)
{
    (void)snprintf(bench->good, sizeof bench->good, "%s", good);
    (void)snprintf(bench->bad, sizeof bench->bad, "%s", bad);
    (void)snprintf(bench->other, sizeof bench->other, "%s", other);
}

static void set_numbers(struct bench *bench, const struct config_field *field)
{
    if (field->kind == CONFIG_KIND_SIGNED) {
        int64_t number = (int64_t)strtoll(field->value, NULL, 10);
        int64_t largest = (int64_t)field->largest;
        (void)snprintf(bench->good, sizeof bench->good, "%" PRId64, number);
        (void)snprintf(bench->bad, sizeof bench->bad, "%" PRId64, largest + 1);
        (void)snprintf(bench->other, sizeof bench->other, "%" PRId64, number + (number < largest ? 1 : -1));
        return;
    }
    uint64_t number = strtoull(field->value, NULL, 10);
    (void)snprintf(bench->good, sizeof bench->good, "%" PRIu64, number);
    (void)snprintf(bench->bad, sizeof bench->bad, "%" PRIu64, field->largest + 1);
    (void)snprintf(
        bench->other, sizeof bench->other, "%" PRIu64, number < field->largest ? number + 1 : number - 1);
}

/* Too long is always bad. */
static void set_texts(struct bench *bench, const struct config_field *field)
{
    size_t length = (size_t)field->largest + 1;

    assert_true(length < sizeof bench->bad);
    set_values(bench, "aa", "", "bb");
    memset(bench->bad, 'x', length);
    bench->bad[length] = '\0';
}

static void set_choices(struct bench *bench, const struct config_field *field)
{
    bool is_list = field->kind == CONFIG_KIND_CHOICES;
    const char *format = is_list ? "[%s]" : "%s";

    assert_non_null(field->choices[1]);
    (void)snprintf(bench->good, sizeof bench->good, format, field->choices[0]);
    (void)snprintf(bench->bad, sizeof bench->bad, format, "no-such-word");
    (void)snprintf(bench->other, sizeof bench->other, format, field->choices[1]);
}

/* False for a kind that needs a row. */
static bool set_by_kind(struct bench *bench, const struct config_field *field)
{
    switch (field->kind) {
    case CONFIG_KIND_BOOL:
        set_values(bench, "true", "maybe", "false");
        return true;
    case CONFIG_KIND_INTEGER:
    case CONFIG_KIND_SIGNED:
        set_numbers(bench, field);
        return true;
    case CONFIG_KIND_FRACTION:
        set_values(bench, "0.5", "1.5", "0.25");
        return true;
    case CONFIG_KIND_MODE:
        set_values(bench, "0660", "0999", "0600");
        return true;
    case CONFIG_KIND_CHOICE:
    case CONFIG_KIND_CHOICES:
        set_choices(bench, field);
        return true;
    case CONFIG_KIND_STRING:
    case CONFIG_KIND_SECRET:
        set_texts(bench, field);
        return true;
    case CONFIG_KIND_SECRET_FILE:
    case CONFIG_KIND_FILE:
        set_values(bench, "\"@A\"", "/nonexistent/file", "\"@B\"");
        return true;
    case CONFIG_KIND_STRINGS:
        set_values(bench, "[aa]", "[\"\"]", "[bb]");
        return true;
    case CONFIG_KIND_MS_LIST:
        set_values(bench, "[1, 2]", "[2, 1]", "[1, 2.5]");
        return true;
    case CONFIG_KIND_GROUP:
    case CONFIG_KIND_GROUPS:
    default:
        return false;
    }
}

static bool find_values(struct bench *bench, const char *path, const struct config_field *field)
{
    for (size_t i = 0; i < sizeof value_rows / sizeof value_rows[0]; i++) {
        if (strcmp(value_rows[i].path, path) == 0) {
            set_values(bench, value_rows[i].good, value_rows[i].bad, value_rows[i].other);
            return true;
        }
    }
    return set_by_kind(bench, field);
}

/* ---- the checks on one key ---- */

static const struct config_source test_source = {
    .path = "w.yaml", .environment = no_environment, .is_root = true};

static bool fault(struct bench *bench, const char *path, const char *what, const char *more)
{
    print_error("%s: %s: %.300s\n", path, what, more);
    bench->fault_count++;
    return false;
}

static struct config *load_value(struct bench *bench, const char *path, const char *value)
{
    const char *text = yaml_of(bench, path, value);
    struct config_error error;
    struct config *config = NULL;

    if (config_load_text(&test_source, text, strlen(text), &config, &error) < 0) {
        (void)fault(bench, path, "a good value was refused", error.text);
    }
    return config;
}

struct differences {
    char paths[DIFFERENCE_COUNT_MAX][CONFIG_PATH_BYTES_MAX];
    size_t count;
    size_t secrets_count;
};

static void note_difference(void *user, const char *path, const struct config_field *field)
{
    struct differences *differences = user;

    if (field->kind == CONFIG_KIND_SECRET) {
        differences->secrets_count++;
    } else if (differences->count < DIFFERENCE_COUNT_MAX) {
        (void)snprintf(differences->paths[differences->count++], CONFIG_PATH_BYTES_MAX, "%s", path);
    }
}

/* The path as it stands in errors: of the first entry. */
static void number_path(const char *path, char out[CONFIG_PATH_BYTES_MAX])
{
    out[0] = '\0';
    for (; *path != '\0'; path++) {
        append(out, CONFIG_PATH_BYTES_MAX, path, 1);
        if (*path == '[') {
            append(out, CONFIG_PATH_BYTES_MAX, "0", 1);
        }
    }
}

static bool is_said(const struct config_error *error, const char *path)
{
    char numbered[CONFIG_PATH_BYTES_MAX];

    number_path(path, numbered);
    return error->line == 2 && strncmp(error->text, "w.yaml:2: ", 10) == 0 &&
           strstr(error->text, numbered) != NULL;
}

static void check_bad(
    struct bench *bench, const char *path, const struct config_field *field, const struct config *running)
{
    const char *text = yaml_of(bench, path, bench->bad);
    bool is_secret = field->kind == CONFIG_KIND_SECRET;
    struct config_error error;
    struct config_changes changes;
    struct config *config = NULL;

    if (config_load_text(&test_source, text, strlen(text), &config, &error) == 0) {
        (void)fault(bench, path, "a bad value was taken", bench->bad);
        config_free(config);
    } else if (!is_said(&error, path) || (is_secret && strstr(error.text, "xxxx") != NULL)) {
        (void)fault(bench, path, "a bad value is told otherwise than by line and key", error.text);
    }
    if (config_reload_text(&test_source, text, strlen(text), running, &config, &changes, &error) == 0) {
        (void)fault(bench, path, "a bad value was taken by a reload", bench->bad);
        config_free(config);
    }
}

static void check_reload(
    struct bench *bench, const char *path, const struct config_field *field, const struct config *running)
{
    const char *text = yaml_of(bench, path, bench->other);
    struct differences differences = {.count = 0};
    struct config_changes changes;
    struct config_error error;
    struct config *next = NULL;
    char numbered[CONFIG_PATH_BYTES_MAX];

    number_path(path, numbered);
    if (config_reload_text(&test_source, text, strlen(text), running, &next, &changes, &error) < 0) {
        (void)fault(bench, path, "another value was refused", error.text);
        return;
    }
    config_compare(running, next, note_difference, &differences);
    if (field->apply == CONFIG_APPLY_LIVE) {
        bool is_alone = differences.count + differences.secrets_count == 1 &&
                        (differences.count == 0 || strcmp(differences.paths[0], numbered) == 0);
        if (changes.live_count != 1 || changes.pending_count != 0 || !is_alone) {
            (void)fault(bench, path, "a live key was not taken over alone", changes.pending);
        }
    } else if (changes.live_count != 0 || strstr(changes.pending, numbered) == NULL ||
               differences.count + differences.secrets_count != 0) {
        (void)fault(bench, path, "a key that needs a restart is not named, or changed", changes.pending);
    }
    config_free(next);
}

/* Written as YAML it loads to the same, but for a masked secret, and is then written as before. */
static void check_written(struct bench *bench, const char *path, const struct config *config)
{
    struct differences differences = {.count = 0};
    struct config_error error;
    struct config *again = NULL;
    struct buffer first;
    struct buffer second;

    buffer_init(&first, CONFIG_EFFECTIVE_BYTES_MAX);
    buffer_init(&second, CONFIG_EFFECTIVE_BYTES_MAX);
    assert_int_equal(config_write(config, &first), 0);
    if (config_load_text(&test_source, (const char *)first.data, first.length, &again, &error) < 0) {
        (void)fault(bench, path, "what was written does not load", error.text);
    } else {
        config_compare(config, again, note_difference, &differences);
        assert_int_equal(config_write(again, &second), 0);
        if (differences.count > 0) {
            (void)fault(bench, path, "written and loaded it is another", differences.paths[0]);
        }
        if (first.length != second.length || memcmp(first.data, second.data, first.length) != 0) {
            (void)fault(bench, path, "written again it is another text", "");
        }
        config_free(again);
    }
    buffer_deinit(&first);
    buffer_deinit(&second);
}

static void check_key(const char *path, const struct config_field *field, void *user)
{
    struct bench *bench = user;

    bench->key_count++;
    if (!find_values(bench, path, field)) {
        (void)fault(bench, path, "no values to test it with: give it a row", "");
        return;
    }
    struct config *good = load_value(bench, path, bench->good);
    struct config *other = load_value(bench, path, bench->other);
    if (good != NULL && other != NULL) {
        struct differences differences = {.count = 0};
        config_compare(good, other, note_difference, &differences);
        if (differences.count + differences.secrets_count == 0) {
            (void)fault(bench, path, "both values load to the same", bench->other);
        }
        check_bad(bench, path, field, good);
        check_reload(bench, path, field, good);
        check_written(bench, path, other);
    }
    config_free(good);
    config_free(other);
}

static void test_every_key(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    (void)state;
    assert_non_null(bench);
    temporary_init(&bench->directory);
    temporary_write(&bench->directory, "a", "0123456789abcdef\n", bench->files[0]);
    temporary_write(&bench->directory, "b", "fedcba9876543210\n", bench->files[1]);
    config_schema_visit(check_key, bench);
    print_message("%u keys\n", bench->key_count);
    assert_int_equal(bench->fault_count, 0);
    assert_true(bench->key_count > 150);
    temporary_deinit(&bench->directory);
    free(bench);
}

/* ---- what binds keys to each other ---- */

static const char *value_of(const struct config *config, size_t destination, size_t header)
{
    return config->exporters.otlp.items[destination].headers.items[header].value;
}

/* Reloads `running` and frees it, but the first. */
static struct config *reload_on(
    struct config *running, const struct config *started, const char *text, struct config_changes *changes)
{
    struct config_error error;
    struct config *next = NULL;
    int status = config_reload_text(&test_source, text, strlen(text), running, &next, changes, &error);

    if (status < 0) {
        print_error("%s\n", error.text);
    }
    assert_int_equal(status, 0);
    if (running != started) {
        config_free(running);
    }
    return next;
}

/* A header's new value goes where the old one went, and nowhere else. */
static void test_live_keys_of_a_list(void **state)
{
#define DESTINATIONS(first, a, second, b)                                                                    \
    "exporters: {otlp: [{name: " first ", endpoint: \"http://h:1\", headers: [{name: t, value: " a "}]},"    \
    " {name: " second ", endpoint: \"http://h:2\", headers: [{name: t, value: " b "}]}]}\n"
    struct config *started = load(DESTINATIONS("x", "a1", "y", "b1"), no_environment);
    struct config_changes changes;
    struct config *now;

    (void)state;
    now = reload_on(started, started, DESTINATIONS("x", "a2", "y", "b1"), &changes);
    assert_int_equal(changes.live_count, 1);
    assert_int_equal(changes.pending_count, 0);
    assert_string_equal(value_of(now, 0, 0), "a2");
    assert_string_equal(value_of(now, 1, 0), "b1");
    /* The second is another one: its value waits with the rest of it. What came by the reload before stays.
     */
    now = reload_on(now, started, DESTINATIONS("x", "a2", "z", "b2"), &changes);
    assert_int_equal(changes.live_count, 0);
    assert_int_equal(changes.pending_count, 2);
    assert_string_equal(changes.pending, "exporters.otlp[1].name, exporters.otlp[1].headers[0].value");
    assert_string_equal(value_of(now, 0, 0), "a2");
    assert_string_equal(value_of(now, 1, 0), "b1");
    now = reload_on(now, started, "exporters: {otlp: []}\n", &changes);
    assert_string_equal(changes.pending, "exporters.otlp");
    assert_string_equal(value_of(now, 0, 0), "a2");
    assert_string_equal(now->exporters.otlp.items[1].name, "y");
    now = reload_on(now, started, DESTINATIONS("x", "a3", "z", "b3"), &changes);
    assert_int_equal(changes.live_count, 1);
    assert_string_equal(value_of(now, 0, 0), "a3");
    assert_string_equal(value_of(now, 1, 0), "b1");
    config_free(now);
    config_free(started);
#undef DESTINATIONS
}

/* An address that waits for a restart goes on being open: its list of networks must not go before. */
static void test_live_keys_must_go_with_the_others_as_they_are(void **state)
{
    static const char open_text[] = "receivers:\n  otlp:\n    grpc: 10.0.0.1:4317\n    allow: [10.0.0.0/8]\n";
    static const char closed_text[] = "receivers:\n  otlp:\n    grpc: 127.0.0.1:4317\n";
    static const char other_text[] =
        "receivers:\n  otlp:\n    grpc: 127.0.0.1:4317\n    allow: [10.1.0.0/16]\n";
    struct config *running = load(open_text, no_environment);
    struct config_changes changes;
    struct config_error error;
    struct config *next = NULL;

    (void)state;
    assert_int_equal(
        config_reload_text(&test_source, closed_text, strlen(closed_text), running, &next, &changes, &error),
        WERR_CONFIG);
    assert_non_null(strstr(error.text, "w.yaml:3: receivers.otlp.grpc"));
    assert_non_null(strstr(error.text, "as they are now"));
    assert_int_equal(
        config_reload_text(&test_source, other_text, strlen(other_text), running, &next, &changes, &error),
        0);
    assert_string_equal(next->receivers.otlp.grpc, "10.0.0.1:4317");
    assert_string_equal(next->receivers.otlp.allow.items[0], "10.1.0.0/16");
    assert_string_equal(changes.pending, "receivers.otlp.grpc");
    config_free(next);
    config_free(running);
}

/* Reloads lean on what the agent was started with, never on each other. */
static void test_reloads_in_a_row(void **state)
{
    struct config *started = load("log: {level: warn}\nshards: 2\n", no_environment);
    const struct config *current = started;
    struct config *owned = NULL;
    char text[128];

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct config_changes changes;
        struct config_error error;
        struct config *next = NULL;
        int length =
            snprintf(text, sizeof text, "cluster: c%d\nshards: %d\nhttp: {hosts: [h%d]}\n", i, 1 + i % 3, i);
        assert_int_equal(
            config_reload_text(&test_source, text, (size_t)length, current, &next, &changes, &error), 0);
        config_free(owned);
        owned = next;
        current = next;
        (void)snprintf(text, sizeof text, "c%d", i);
        assert_string_equal(current->cluster, text);
        assert_int_equal(current->shards, 2);
        assert_int_equal(current->log.level, LOG_LEVEL_INFO);
        assert_int_equal(changes.pending_count, i % 3 == 1 ? 0 : 1);
    }
    config_free(owned);
    config_free(started);
}

/* ---- secrets ---- */

static void test_secrets_are_masked(void **state)
{
    static const char text[] = "exporters:\n"
                               "  otlp:\n"
                               "    - name: a\n"
                               "      protocol: http/protobuf\n"
                               "      endpoint: https://user:hunter2@h:1/x?key=hunter3\n"
                               "      headers:\n"
                               "        - {name: authorization, value: hunter4}\n"
                               "        - {name: price, value: $$5}\n"
                               "receivers:\n"
                               "  scrape:\n"
                               "    - {name: t, url: \"http://me:hunter5@h/?token=hunter6\"}\n"
                               "cluster: \"a $$ \\\"b\\\" \\\\ \\x07\"\n";
    struct config *config = load(text, no_environment);
    struct config *again;
    struct buffer out;

    (void)state;
    buffer_init(&out, CONFIG_EFFECTIVE_BYTES_MAX);
    assert_int_equal(config_write(config, &out), 0);
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    const char *written = (const char *)out.data;
    assert_null(strstr(written, "hunter"));
    assert_non_null(strstr(written, "\"https://user:" CONFIG_MASK "@h:1/x?" CONFIG_MASK "\""));
    assert_non_null(strstr(written, "\"http://me:" CONFIG_MASK "@h/?" CONFIG_MASK "\""));
    assert_non_null(strstr(written, "value: \"" CONFIG_MASK "\""));
    again = load(written, no_environment);
    assert_string_equal(again->cluster, "a $ \"b\" \\ \x07");
    config_free(again);
    config_free(config);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_live_keys_of_a_list),
        cmocka_unit_test(test_live_keys_must_go_with_the_others_as_they_are),
        cmocka_unit_test(test_reloads_in_a_row),
        cmocka_unit_test(test_secrets_are_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
