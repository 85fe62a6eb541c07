/* The clocks: the machine's goes forward, the manual one only when told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"

static void test_system(void **state)
{
    const struct clock *clock = clock_system();

    (void)state;
    uint64_t before_ns = clock_monotonic_ns(clock);
    for (int i = 0; i < 1000; i++) {
        uint64_t now_ns = clock_monotonic_ns(clock);
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
    assert_true(clock_unix_ns(clock) > 1600000000000000000u);
}

static void test_manual(void **state)
{
    struct clock_manual manual;

    (void)state;
    clock_manual_init(&manual, 100, 2000);
    assert_int_equal(clock_monotonic_ns(&manual.clock), 100);
    assert_int_equal(clock_unix_ns(&manual.clock), 2000);
    assert_int_equal(clock_monotonic_ns(&manual.clock), 100);
    clock_manual_advance(&manual, 86400000000000u);
    assert_true(clock_monotonic_ns(&manual.clock) == 86400000000100u);
    assert_true(clock_unix_ns(&manual.clock) == 86400000002000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
