/* The cost of the own process: the text of /proc/PID/statm, good and bad, and what the kernel tells of this
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/process.h"

enum { BLOCK_BYTES = 64 << 20, CPU_MS = 20 };

static void test_statm(void **state)
{
    (void)state;
    assert_int_equal(process_statm_bytes("9000 250 90 3 0 80 0\n", 4096), 250 * 4096);
    assert_int_equal(process_statm_bytes("9000 250", 65536), 250 * 65536);
    assert_int_equal(process_statm_bytes("9000 0 90", 4096), 0);
}

static void test_statm_bad(void **state)
{
    static const char *const bad[] = {"", " ", "9000", "9000 ", "9000 -4 1", "x 250", "9000\n250", "9000 x",
        "9000 99999999999999999999 1", "9000 18446744073709551615 1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(process_statm_bytes(bad[i], 4096), 0);
    }
}

static void test_resident_rises(void **state)
{
    uint64_t before = process_resident_bytes();
    char *block = malloc(BLOCK_BYTES);

    (void)state;
    assert_true(before > 0);
    assert_non_null(block);
    memset(block, 1, BLOCK_BYTES);
    assert_true(process_resident_bytes() >= before + BLOCK_BYTES / 2);
    free(block);
}

static void test_cpu_rises(void **state)
{
    struct metric_cells *cells = calloc(1, sizeof *cells);
    uint64_t before = process_cpu_ms();

    (void)state;
    assert_non_null(cells);
    while (process_cpu_ms() < before + CPU_MS) {
        process_show(cells);
    }
    assert_in_range(metric_get(cells, METRIC_PROCESS_CPU), before, before + CPU_MS);
    assert_true(metric_get(cells, METRIC_PROCESS_RESIDENT) > 0);
    free(cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statm),
        cmocka_unit_test(test_statm_bad),
        cmocka_unit_test(test_resident_rises),
        cmocka_unit_test(test_cpu_rises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
