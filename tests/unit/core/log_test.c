/* The log: what a line looks like in both formats, that no value can forge a second one, and the rate limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

enum { OUTPUT_BYTES_MAX = 262144 };

struct fixture {
    struct clock_manual clock;
    struct log log;
    FILE *file;
    char output[OUTPUT_BYTES_MAX];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->file = tmpfile();
    assert_non_null(fixture->file);
    clock_manual_init(&fixture->clock, 5000000000u, 1795411493123456789u);
    log_init(&fixture->log, fileno(fixture->file), LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, &fixture->clock.clock);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    log_deinit(&fixture->log);
    assert_int_equal(fclose(fixture->file), 0);
    free(fixture);
    return 0;
}

/* What was written since the last call. */
static const char *take_output(struct fixture *fixture)
{
    int fd = fileno(fixture->file);
    ssize_t length = pread(fd, fixture->output, sizeof fixture->output - 1, 0);

    assert_true(length >= 0);
    fixture->output[length] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fixture->output;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void test_logfmt(void **state)
{
    struct fixture *fixture = *state;

    log_event(
        &fixture->log, LOG_LEVEL_WARN, "export_failed", LOG_S("destination", "a"), LOG_I("status", -503));
    assert_string_equal(take_output(fixture),
        "time=2026-11-23T05:24:53.123Z level=warn event=export_failed destination=a status=-503\n");
    log_event(&fixture->log, LOG_LEVEL_INFO, "quoted", LOG_S("a", "two words"), LOG_S("b", ""),
        LOG_S("c", NULL), LOG_S("d", "x=y"), LOG_S("e", "say \"hi\\\""));
    assert_non_null(
        strstr(take_output(fixture), " a=\"two words\" b=\"\" c=\"\" d=\"x=y\" e=\"say \\\"hi\\\\\\\"\"\n"));
}

static void test_json(void **state)
{
    struct fixture *fixture = *state;

    fixture->log.format = LOG_FORMAT_JSON;
    log_event(&fixture->log, LOG_LEVEL_ERROR, "x", LOG_S("text", "a\"b\\c\n\t\x01"), LOG_I("n", INT64_MIN));
    assert_string_equal(take_output(fixture),
        "{\"time\":\"2026-11-23T05:24:53.123Z\",\"level\":\"error\",\"event\":\"x\","
        "\"text\":\"a\\\"b\\\\c\\u000a\\u0009\\u0001\",\"n\":-9223372036854775808}\n");
}

static void test_no_value_forges_a_line(void **state)
{
    struct fixture *fixture = *state;
    const char *hostile = "a\nlevel=error event=forged\r\x1b[31m\x7f";

    log_event(&fixture->log, LOG_LEVEL_INFO, "one", LOG_S("name", hostile));
    const char *output = take_output(fixture);
    assert_int_equal(count_lines(output), 1);
    assert_null(strchr(output, '\r'));
    assert_null(strchr(output, '\x1b'));
    assert_null(strchr(output, '\x7f'));
    assert_non_null(strstr(output, "\\u000a"));
}

static void test_levels_and_no_log(void **state)
{
    struct fixture *fixture = *state;

    log_event(&fixture->log, LOG_LEVEL_DEBUG, "quiet", LOG_I("n", 1));
    log_event((struct log *)NULL, LOG_LEVEL_ERROR, "nowhere", LOG_I("n", 1));
    assert_string_equal(take_output(fixture), "");
    fixture->log.level = LOG_LEVEL_ERROR;
    log_event(&fixture->log, LOG_LEVEL_WARN, "quiet", LOG_I("n", 1));
    assert_string_equal(take_output(fixture), "");
    log_event(&fixture->log, LOG_LEVEL_ERROR, "loud", LOG_I("n", 1));
    assert_non_null(strstr(take_output(fixture), "level=error event=loud n=1\n"));
}

static void test_long_values_are_cut(void **state)
{
    struct fixture *fixture = *state;
    char big[2 * LOG_LINE_BYTES_MAX];

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
        fixture->log.format = (enum log_format)format;
        log_event(
            &fixture->log, LOG_LEVEL_INFO, "big", LOG_S("value", big), LOG_S("after", big), LOG_I("n", 1));
        const char *output = take_output(fixture);
        assert_true(strlen(output) <= LOG_LINE_BYTES_MAX);
        assert_int_equal(count_lines(output), 1);
        assert_int_equal(output[strlen(output) - 1], '\n');
    }
}

static void test_rate_limit(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < LOG_BURST_COUNT + 7; i++) {
        log_event(&fixture->log, LOG_LEVEL_INFO, "burst", LOG_I("i", i));
    }
    const char *output = take_output(fixture);
    assert_int_equal(count_lines(output), LOG_BURST_COUNT);
    assert_null(strstr(output, "suppressed"));

    /* Another event has a limit of its own. */
    log_event(&fixture->log, LOG_LEVEL_INFO, "other", LOG_I("i", 0));
    assert_int_equal(count_lines(take_output(fixture)), 1);

    clock_manual_advance(&fixture->clock, LOG_INTERVAL_NS - 1);
    log_event(&fixture->log, LOG_LEVEL_INFO, "burst", LOG_I("i", 99));
    assert_string_equal(take_output(fixture), "");

    clock_manual_advance(&fixture->clock, 1);
    log_event(&fixture->log, LOG_LEVEL_INFO, "burst", LOG_I("i", 100));
    assert_non_null(strstr(take_output(fixture), "event=burst i=100 suppressed=8\n"));

    /* What was suppressed is told once. */
    log_event(&fixture->log, LOG_LEVEL_INFO, "burst", LOG_I("i", 101));
    assert_null(strstr(take_output(fixture), "suppressed"));
}

static void test_more_sites_than_the_table(void **state)
{
    struct fixture *fixture = *state;
    static char names[LOG_SITE_COUNT_MAX + 1][24];

    for (int i = 0; i <= LOG_SITE_COUNT_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "site_%d", i);
        log_write(&fixture->log, LOG_LEVEL_INFO, names[i], NULL, 0);
    }
    assert_int_equal(count_lines(take_output(fixture)), LOG_SITE_COUNT_MAX + 1);
}

static void test_time(void **state)
{
    char text[32];

    (void)state;
    log_format_time(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    log_format_time(951782399999999999u, text);
    assert_string_equal(text, "2000-02-28T23:59:59.999Z");
}

static void test_another_level_and_format(void **state)
{
    struct fixture *fixture = *state;

    assert_false(log_takes(&fixture->log, LOG_LEVEL_DEBUG));
    assert_true(log_takes(&fixture->log, LOG_LEVEL_INFO));
    assert_false(log_takes(NULL, LOG_LEVEL_ERROR));
    log_reconfigure(&fixture->log, LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    log_event(&fixture->log, LOG_LEVEL_DEBUG, "seen", LOG_I("a", 1));
    assert_non_null(strstr(take_output(fixture), "\"event\":\"seen\",\"a\":1}"));
    log_reconfigure(&fixture->log, LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    log_event(&fixture->log, LOG_LEVEL_WARN, "unseen", LOG_I("a", 1));
    assert_string_equal(take_output(fixture), "");
    log_event(&fixture->log, LOG_LEVEL_ERROR, "seen", LOG_I("a", 2));
    assert_non_null(strstr(take_output(fixture), "event=seen a=2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logfmt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_value_forges_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_levels_and_no_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_values_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_level_and_format, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rate_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_sites_than_the_table, set_up, tear_down),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
