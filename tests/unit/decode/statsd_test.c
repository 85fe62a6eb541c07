/* statsd lines: each form, what is refused and why, and every line that a real Envoy sent. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decode/statsd.h"

enum { CORPUS_BYTES_MAX = 1 << 20 };

static struct statsd_line parse(const char *text)
{
    struct statsd_line line;
    enum statsd_form form = statsd_parse_line(slice_of_string(text), &line);

    if (form != STATSD_METRIC) {
        print_error("form %d: %s\n", form, text);
    }
    assert_int_equal(form, STATSD_METRIC);
    return line;
}

static void expect_slice(struct slice slice, const char *text)
{
    if (!slice_equal(slice, slice_of_string(text))) {
        print_error("\"%.*s\", expected \"%s\"\n", (int)slice.length, (const char *)slice.ptr, text);
        fail();
    }
}

static void expect_tags(struct slice tags, const char *expected)
{
    char told[512] = "";
    size_t used = 0;
    struct slice key;
    struct slice value;

    while (statsd_next_tag(&tags, &key, &value)) {
        used += (size_t)snprintf(told + used, sizeof told - used, "%.*s=%.*s;", (int)key.length,
            (const char *)key.ptr, (int)value.length, (const char *)value.ptr);
    }
    assert_string_equal(told, expected);
}

static void types_and_values(void **state)
{
    static const struct {
        const char *text;
        const char *name;
        enum statsd_type type;
        double value;
        bool has_sign;
    } rows[] = {
        {"hits:1|c", "hits", STATSD_COUNTER, 1, false},
        {"hits:+2|c", "hits", STATSD_COUNTER, 2, true},
        {"load:0.25|g", "load", STATSD_GAUGE, 0.25, false},
        {"load:+4|g", "load", STATSD_GAUGE, 4, true},
        {"load:-4.5|g", "load", STATSD_GAUGE, -4.5, true},
        {"t:320|ms", "t", STATSD_TIMER, 320, false},
        {"t:0|ms", "t", STATSD_TIMER, 0, false},
        {"s:12.75|h", "s", STATSD_DISTRIBUTION, 12.75, false},
        {"s:.5|d", "s", STATSD_DISTRIBUTION, 0.5, false},
        {"s:5.|d", "s", STATSD_DISTRIBUTION, 5, false},
        {"consul.runtime.heap_objects:130694.000000|g", "consul.runtime.heap_objects", STATSD_GAUGE, 130694,
            false},
        {"n:1e3|g", "n", STATSD_GAUGE, 1000, false},
        {"n:1.5E-3|g", "n", STATSD_GAUGE, 0.0015, false},
        {"n:123456789012345|g", "n", STATSD_GAUGE, 123456789012345.0, false},
        {"n:18446744073709551615|g", "n", STATSD_GAUGE, 18446744073709551615.0, false},
        {"n:0.000000000000000001|g", "n", STATSD_GAUGE, 1e-18, false},
        {"n:1|c|", "n", STATSD_COUNTER, 1, false},
        {"a|b||c:7|c", "a|b||c", STATSD_COUNTER, 7, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct statsd_line line = parse(rows[i].text);

        expect_slice(line.name, rows[i].name);
        assert_int_equal(line.type, rows[i].type);
        assert_int_equal(line.value_count, 1);
        assert_true(line.first.number == rows[i].value);
        assert_int_equal(line.first.has_sign, rows[i].has_sign);
        assert_true(line.rate == 1);
        assert_int_equal(line.tags.length, 0);
        assert_int_equal(line.container.length, 0);
        assert_int_equal(line.time_unix_s, 0);
    }
}

static void several_values(void **state)
{
    struct statsd_line line = parse("d:1:2.5:300|d|@0.5|#a:b");
    struct slice rest = line.values;
    struct statsd_value value;
    double sum = 0;

    (void)state;
    assert_int_equal(line.value_count, 3);
    assert_true(line.first.number == 1);
    for (int i = 0; i < 3; i++) {
        assert_true(statsd_next_value(&rest, &value));
        sum += value.number;
    }
    assert_false(statsd_next_value(&rest, &value));
    assert_true(sum == 303.5);
    assert_true(line.rate == 0.5);
    expect_tags(line.tags, "a=b;");
    line = parse("g:1:+2:-3|g");
    rest = line.values;
    assert_true(statsd_next_value(&rest, &value) && !value.has_sign && value.number == 1);
    assert_true(statsd_next_value(&rest, &value) && value.has_sign && value.number == 2);
    assert_true(statsd_next_value(&rest, &value) && value.has_sign && value.number == -3);
}

static void fields_in_any_order(void **state)
{
    static const char *const texts[] = {
        "a:1|c|@0.1|#k:v,flag,u:x:y|c:ci-12ab|T1656581400",
        "a:1|c|#k:v,flag,u:x:y|@0.1|c:ci-12ab|T1656581400",
        "a:1|c|c:ci-12ab|T1656581400|@0.1|#k:v,flag,u:x:y",
        "a:1|c|T1656581400|#k:v,flag,u:x:y|c:ci-12ab|@0.1",
        "a:1|c|T1656581400|#k:v,flag,u:x:y|e:it-false|card:low|c:ci-12ab|@0.1",
        "a:1|c|next:thing|@0.1||#k:v,,flag,:no,u:x:y|c:ci-12ab|T1656581400",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct statsd_line line = parse(texts[i]);

        assert_true(line.rate == 0.1);
        expect_tags(line.tags, "k=v;flag=;u=x:y;");
        expect_slice(line.container, "ci-12ab");
        assert_int_equal(line.time_unix_s, 1656581400);
    }
}

/* Envoy writes cluster names as they are: what stands behind a '|' is a field only when it is a known one. */
static void tags_may_hold_pipes(void **state)
{
    struct statsd_line line =
        parse("envoy.cluster.upstream_rq:3|c|#envoy.cluster_name:outbound|80||reviews.shop");

    (void)state;
    expect_tags(line.tags, "envoy.cluster_name=outbound|80||reviews.shop;");
    line = parse("x:3|c|#n:outbound|80|v1|reviews,code:200|c:abc|T12");
    expect_tags(line.tags, "n=outbound|80|v1|reviews;code=200;");
    expect_slice(line.container, "abc");
    assert_int_equal(line.time_unix_s, 12);
    line = parse("x:3|c|#n:a|Tx|cc:1|");
    expect_tags(line.tags, "n=a|Tx|cc:1|;");
    line = parse("x:3|c|#");
    expect_tags(line.tags, "");
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum statsd_form form;
    } rows[] = {
        {"", STATSD_MALFORMED},
        {"a", STATSD_MALFORMED},
        {"a:", STATSD_MALFORMED},
        {"a:1", STATSD_MALFORMED},
        {"a:1|", STATSD_MALFORMED},
        {":1|c", STATSD_MALFORMED},
        {"a:|c", STATSD_MALFORMED},
        {"a:1:|c", STATSD_MALFORMED},
        {"a::1|c", STATSD_MALFORMED},
        {"a:1|c|@", STATSD_MALFORMED},
        {"a:1|c|@0", STATSD_MALFORMED},
        {"a:1|c|@-1", STATSD_MALFORMED},
        {"a:1|c|@1.1", STATSD_MALFORMED},
        {"a:1|c|@x", STATSD_MALFORMED},
        {"a:1|c|garbage", STATSD_MALFORMED},
        {"a:1|c|T", STATSD_MALFORMED},
        {"a:1|c|T12x", STATSD_MALFORMED},
        {"a:1|c|T1234567890123456789", STATSD_MALFORMED},
        {"a:1|c|:x", STATSD_MALFORMED},
        {"a:1|c|7x:y", STATSD_MALFORMED},
        {"a:1|c|abcdefghijklmnopq:x", STATSD_MALFORMED},
        {"a:-1|c", STATSD_MALFORMED},
        {"a:-1|ms", STATSD_MALFORMED},
        {"a:-1|h", STATSD_MALFORMED},
        {"a:+|g", STATSD_MALFORMED},
        {"a:--1|g", STATSD_MALFORMED},
        {"a:+-1|g", STATSD_MALFORMED},
        {"a:.|g", STATSD_MALFORMED},
        {"a:1.2.3|g", STATSD_MALFORMED},
        {"a:nan|g", STATSD_MALFORMED},
        {"a:inf|g", STATSD_MALFORMED},
        {"a:0x10|g", STATSD_MALFORMED},
        {"a:1e999|g", STATSD_MALFORMED},
        {"a:e|g", STATSD_MALFORMED},
        {"a:1 |g", STATSD_MALFORMED},
        {"a:1|C", STATSD_MALFORMED},
        {"a:1|m1", STATSD_MALFORMED},
        {"a:1|abcdefghi", STATSD_MALFORMED},
        {"a:0000000000000000000000000000000000000000000000000000000000000001|g", STATSD_MALFORMED},
        {"users:anybody|s", STATSD_UNSUPPORTED},
        {"a:1|kv", STATSD_UNSUPPORTED},
        {"_e{5,4}:title|text|#a:b", STATSD_NOT_A_METRIC},
        {"_sc|redis.up|0|m:fine", STATSD_NOT_A_METRIC},
    };
    struct statsd_line untouched = {.value_count = 77};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct statsd_line line = untouched;
        enum statsd_form form = statsd_parse_line(slice_of_string(rows[i].text), &line);

        if (form != rows[i].form) {
            print_error("form %d: \"%s\"\n", form, rows[i].text);
        }
        assert_int_equal(form, rows[i].form);
        assert_int_equal(line.value_count, 77);
    }
}

static void limits(void **state)
{
    size_t bytes = 2 * STATSD_VALUES_COUNT_MAX + 64;
    char *text = calloc(1, bytes > STATSD_NAME_BYTES_MAX + 64 ? bytes : STATSD_NAME_BYTES_MAX + 64);
    struct statsd_line line;
    size_t used = 1;

    (void)state;
    assert_non_null(text);
    text[0] = 'a';
    for (int i = 0; i < STATSD_VALUES_COUNT_MAX; i++) {
        memcpy(text + used, ":1", 2);
        used += 2;
    }
    memcpy(text + used, "|d", 3);
    assert_int_equal(statsd_parse_line(slice_of_string(text), &line), STATSD_METRIC);
    assert_int_equal(line.value_count, STATSD_VALUES_COUNT_MAX);
    memcpy(text + used, ":1|d", 5);
    assert_int_equal(statsd_parse_line(slice_of_string(text), &line), STATSD_OVERSIZED);
    memset(text, 'n', STATSD_NAME_BYTES_MAX);
    memcpy(text + STATSD_NAME_BYTES_MAX, ":1|c", 5);
    assert_int_equal(statsd_parse_line(slice_of_string(text), &line), STATSD_METRIC);
    memcpy(text + STATSD_NAME_BYTES_MAX, "n:1|c", 6);
    assert_int_equal(statsd_parse_line(slice_of_string(text), &line), STATSD_OVERSIZED);
    free(text);
}

static void lines_of_a_datagram(void **state)
{
    struct slice rest = SLICE_LITERAL("\n\na:1|c\r\n\r\nb:2|c\n\n\nc:3|c");
    struct slice line;
    static const char *const expected[] = {"a:1|c", "b:2|c", "c:3|c"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(statsd_next_line(&rest, &line));
        expect_slice(line, expected[i]);
    }
    assert_false(statsd_next_line(&rest, &line));
    rest = slice_of(NULL, 0);
    assert_false(statsd_next_line(&rest, &line));
}

/* Every byte of a line cut or changed: never read outside of it (the sanitizers look), and what is taken
 * holds what was promised. */
static void damage(void **state)
{
    static const char whole[] = "a.b:1:+2.5|g|@0.5|#k:o|80||r,f|c:ci-1|T1656581400";

    (void)state;
    for (size_t length = 0; length < sizeof whole; length++) {
        for (int change = 0; change < 256; change += length == sizeof whole - 1 ? 1 : 256) {
            for (size_t at = 0; at < (change > 0 ? length : 1); at++) {
                uint8_t *copy = malloc(length > 0 ? length : 1);
                struct statsd_line line;

                assert_non_null(copy);
                memcpy(copy, whole, length);
                if (change > 0) {
                    copy[at] = (uint8_t)change;
                }
                if (statsd_parse_line(slice_of(copy, length), &line) == STATSD_METRIC) {
                    struct slice rest = line.values;
                    struct statsd_value value;
                    uint32_t count = 0;

                    while (statsd_next_value(&rest, &value)) {
                        assert_true(isfinite(value.number));
                        count++;
                    }
                    assert_int_equal(count, line.value_count);
                    assert_true(line.name.length > 0 && line.rate > 0 && line.rate <= 1);
                }
                free(copy);
            }
        }
    }
}

static struct slice read_corpus(const char *name)
{
    char path[512];
    uint8_t *bytes = malloc(CORPUS_BYTES_MAX);

    (void)snprintf(path, sizeof path, "%s/tests/corpus/%s", WEFT_SOURCE_DIR, name);
    FILE *file = fopen(path, "re");
    assert_non_null(bytes);
    assert_non_null(file);
    size_t length = fread(bytes, 1, CORPUS_BYTES_MAX, file);
    assert_int_equal(fclose(file), 0);
    assert_true(length > 0 && length < CORPUS_BYTES_MAX);
    return slice_of(bytes, length);
}

struct tally {
    size_t lines;
    size_t tags;
    size_t pipes; /* tag values that hold a '|' */
    size_t types[4];
};

static void tally_lines(struct slice text, struct tally *tally)
{
    struct slice line_text;
    struct statsd_line line;
    struct slice key;
    struct slice value;

    while (statsd_next_line(&text, &line_text)) {
        assert_int_equal(statsd_parse_line(line_text, &line), STATSD_METRIC);
        assert_true(slice_has_prefix(line.name, SLICE_LITERAL("envoy.")));
        tally->lines++;
        tally->types[line.type]++;
        for (struct slice rest = line.tags; statsd_next_tag(&rest, &key, &value);) {
            assert_true(slice_has_prefix(key, SLICE_LITERAL("envoy.")));
            assert_true(value.length > 0);
            tally->tags++;
            tally->pipes += slice_find(value, '|') < value.length;
        }
    }
}

static void all_that_envoy_sent(void **state)
{
    struct slice datagrams = read_corpus("statsd_envoy_dogstatsd.datagrams");
    struct slice stream = read_corpus("statsd_envoy_stream.txt");
    struct tally dogstatsd = {0};
    struct tally plain = {0};

    (void)state;
    for (size_t at = 0; at < datagrams.length;) {
        uint32_t length;

        assert_true(at + 4 <= datagrams.length);
        memcpy(&length, datagrams.ptr + at, 4);
        assert_true(length <= datagrams.length - at - 4);
        tally_lines(slice_of(datagrams.ptr + at + 4, length), &dogstatsd);
        at += 4 + length;
    }
    tally_lines(stream, &plain);
    assert_true(dogstatsd.lines > 200 && plain.lines > 200);
    assert_true(dogstatsd.pipes > 0 && dogstatsd.tags > dogstatsd.pipes);
    assert_int_equal(plain.tags, 0);
    for (size_t i = STATSD_COUNTER; i <= STATSD_TIMER; i++) {
        assert_true(dogstatsd.types[i] > 0 && plain.types[i] > 0);
    }
    free((void *)datagrams.ptr);
    free((void *)stream.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_values),
        cmocka_unit_test(several_values),
        cmocka_unit_test(fields_in_any_order),
        cmocka_unit_test(tags_may_hold_pipes),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(lines_of_a_datagram),
        cmocka_unit_test(damage),
        cmocka_unit_test(all_that_envoy_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
