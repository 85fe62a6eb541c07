/* The table of limits: sound ranges, defaults within them, one row a member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/limits.h"

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < limit_row_count; i++) {
        const struct limit_row *row = &limit_rows[i];
        if (row->smallest >= row->largest || row->value < row->smallest || row->value > row->largest) {
            fail_msg("%s: default %ju, range %ju to %ju", row->name, (uintmax_t)row->value,
                (uintmax_t)row->smallest, (uintmax_t)row->largest);
        }
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(row->name));
        assert_true(strlen(row->help) > 5);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(row->name, limit_rows[j].name);
        }
    }
}

static void test_every_member_has_a_row(void **state)
{
    struct limits limits;

    (void)state;
    assert_int_equal(limit_row_count * sizeof(uint64_t), sizeof limits);
    memset(&limits, 0xff, sizeof limits);
    limits_init(&limits);
    for (size_t i = 0; i < limit_row_count; i++) {
        uint64_t value;
        assert_int_equal(limit_rows[i].offset, i * sizeof value);
        memcpy(&value, (const char *)&limits + limit_rows[i].offset, sizeof value);
        assert_true(value == limit_rows[i].value);
    }
    assert_int_equal(limits.nesting_depth_max, 16);
}

/* The configuration refuses a message limit that no message could use. */
static void test_defaults_fit_each_other(void **state)
{
    struct limits limits;

    (void)state;
    limits_init(&limits);
    assert_true(limits.message_bytes_max <= limits.assembly_bytes_max);
    assert_true(limits.native_frame_bytes_max <= limits.message_bytes_max);
    assert_true(limits.native_credit_bytes <= limits.native_frame_bytes_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_member_has_a_row),
        cmocka_unit_test(test_defaults_fit_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
