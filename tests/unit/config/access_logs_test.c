/* `receivers.access_logs`: every key arrives, and what cannot be meant is said with its line. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "loading.h"

static void nothing_by_default(void **state)
{
    struct config *config = load("", no_environment);

    (void)state;
    assert_int_equal(config->receivers.access_logs.count, 0);
    config_free(config);
}

static void all_keys(void **state)
{
    struct config *config = load("receivers:\n"
                                 "  access_logs:\n"
                                 "    - path: /run/weft/nginx.sock\n"
                                 "      preset: nginx\n"
                                 "    - path: /run/weft/a.sock\n"
                                 "      stream_path: /run/weft/b.sock\n"
                                 "      mode: 0622\n"
                                 "      group: '1337'\n"
                                 "      buffer_bytes: 65536\n"
                                 "      preset: haproxy\n"
                                 "      service: edge\n"
                                 "      service_namespace: shop\n"
                                 "      fields:\n"
                                 "        status: code\n"
                                 "        user_agent: '-'\n"
                                 "    - stream_path: /run/weft/c.sock\n",
        no_environment);

    (void)state;
    assert_int_equal(config->receivers.access_logs.count, 3);
    const struct config_access_log *first = &config->receivers.access_logs.items[0];
    assert_string_equal(first->path, "/run/weft/nginx.sock");
    assert_null(first->stream_path);
    assert_int_equal(first->mode, 0660);
    assert_int_equal(first->gid, (gid_t)-1);
    assert_true(first->buffer_bytes == 4194304);
    assert_int_equal(first->preset, ACCESS_PRESET_NGINX);
    assert_string_equal(first->service, "nginx");
    assert_null(first->service_namespace);
    assert_null(first->keys[ACCESS_FIELD_status]);
    const struct config_access_log *second = &config->receivers.access_logs.items[1];
    assert_string_equal(second->stream_path, "/run/weft/b.sock");
    assert_int_equal(second->mode, 0622);
    assert_int_equal(second->gid, 1337);
    assert_true(second->buffer_bytes == 65536);
    assert_int_equal(second->preset, ACCESS_PRESET_HAPROXY);
    assert_string_equal(second->service, "edge");
    assert_string_equal(second->service_namespace, "shop");
    assert_string_equal(second->keys[ACCESS_FIELD_status], "code");
    assert_string_equal(second->keys[ACCESS_FIELD_user_agent], "");
    assert_null(second->keys[ACCESS_FIELD_method]);
    const struct config_access_log *third = &config->receivers.access_logs.items[2];
    assert_null(third->path);
    assert_int_equal(third->preset, ACCESS_PRESET_JSON);
    assert_null(third->service);
    config_free(config);
}

#define LOGS "receivers:\n  access_logs:\n"

static void bad_ones_name_their_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *key;
        const char *said;
    } rows[] = {
        {LOGS "    - preset: nginx\n", 3, "receivers.access_logs[0]", "expected path, stream_path or both"},
        {LOGS "    - path: /a\n      preset: apache\n", 4, "receivers.access_logs[0].preset",
            "one of json, nginx, haproxy"},
        {LOGS "    - path: /a\n      stream_path: /a\n", 4, "receivers.access_logs[0].stream_path",
            "no other socket"},
        {LOGS "    - path: /a\n    - stream_path: /a\n", 4, "receivers.access_logs[1].stream_path",
            "no other socket"},
        {"socket:\n  path: /a\n" LOGS "    - path: /a\n", 5, "receivers.access_logs[0].path",
            "no other socket"},
        {LOGS "    - path: /a\n      fields:\n        status: x\n        method: x\n", 5,
            "receivers.access_logs[0].fields.status", "another key"},
        {LOGS "    - path: /a\n      fields:\n        state: x\n", 5, "receivers.access_logs[0].fields.state",
            ""},
        {LOGS "    - path: /a\n      group: no-such-group-here\n", 4, "receivers.access_logs[0].group",
            "no group"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_error(rows[i].text, rows[i].line, rows[i].key, rows[i].said);
    }
}

static void no_more_than_there_is_room_for(void **state)
{
    char text[2048] = LOGS;

    (void)state;
    for (int i = 0; i <= CONFIG_ACCESS_LOG_COUNT_MAX; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "    - path: /run/%d.sock\n", i);
    }
    expect_error(text, 2, "receivers.access_logs", "at most 16 entries, got 17");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_by_default),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(bad_ones_name_their_line),
        cmocka_unit_test(no_more_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
