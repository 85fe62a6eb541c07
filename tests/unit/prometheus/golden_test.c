/*
 * Every format over a snapshot with one of everything, byte for byte. After a wanted change run this with
 * WEFT_GOLDEN_UPDATE=1 and read the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "encode.h"

#define GOLDEN_DIR WEFT_SOURCE_DIR "/tests/golden/prometheus/"

enum { GOLDEN_BYTES_MAX = 65536 };

static void write_golden(const char *path, const struct buffer *bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->length, file), bytes->length);
    assert_int_equal(fclose(file), 0);
}

static void check_golden(
    const struct encoder_type *encoder, const struct encoder_options *options, const char *path)
{
    static char expected[GOLDEN_BYTES_MAX];
    struct buffer out;

    encode_families(encoder, options, fake_families, FAKE_FAMILY_COUNT, &out);
    if (getenv("WEFT_GOLDEN_UPDATE") != NULL) {
        write_golden(path, &out);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(expected, 1, sizeof expected, file);
    assert_int_equal(fclose(file), 0);
    assert_true(length < sizeof expected);
    if (length != out.length || memcmp(expected, out.data, length) != 0) {
        fail_msg("%s differs from:\n%.*s", path, (int)out.length, (const char *)out.data);
    }
    buffer_deinit(&out);
}

static void test_text(void **state)
{
    (void)state;
    check_golden(&prometheus_text, &encode_everything, GOLDEN_DIR "text.txt");
}

static void test_openmetrics(void **state)
{
    (void)state;
    check_golden(&prometheus_openmetrics, &encode_everything, GOLDEN_DIR "openmetrics.txt");
}

static void test_openmetrics_old_version(void **state)
{
    (void)state;
    check_golden(&prometheus_openmetrics_0_0_1, &encode_everything, GOLDEN_DIR "openmetrics.txt");
}

static void test_openmetrics_plain(void **state)
{
    (void)state;
    check_golden(
        &prometheus_openmetrics, &(const struct encoder_options){0}, GOLDEN_DIR "openmetrics_plain.txt");
}

static void test_protobuf(void **state)
{
    (void)state;
    check_golden(&prometheus_protobuf, &encode_everything, GOLDEN_DIR "protobuf.bin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_openmetrics_old_version),
        cmocka_unit_test(test_openmetrics_plain),
        cmocka_unit_test(test_protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
