/* The table of self-metrics against the rules of the expositions, and the registry of cells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/metrics.h"

static bool has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t suffix_length = strlen(suffix);

    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        assert_non_null(row->family);
        assert_int_equal(strncmp(row->family, "weft_", 5), 0);
        assert_int_equal(strspn(row->family, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(row->family));
        /* Suffixes that OpenMetrics gives to samples or keeps for other types. */
        assert_false(has_suffix(row->family, "_total"));
        assert_false(has_suffix(row->family, "_created"));
        assert_false(has_suffix(row->family, "_count"));
        assert_false(has_suffix(row->family, "_sum"));
        assert_false(has_suffix(row->family, "_bucket"));
        assert_false(has_suffix(row->family, "_info"));
        assert_true(strlen(row->help) > 10);
        assert_int_equal(row->help[strlen(row->help) - 1], '.');
        assert_null(strchr(row->help, '\n'));
        assert_true(strcmp(row->stability, "stable") == 0 || strcmp(row->stability, "experimental") == 0);
    }
}

/* OpenMetrics: the unit is the end of the name. */
static void test_units(void **state)
{
    static const char *const units[] = {"seconds", "bytes"};

    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        bool known = row->unit[0] == '\0';
        for (size_t j = 0; j < sizeof units / sizeof units[0]; j++) {
            char suffix[16];
            (void)snprintf(suffix, sizeof suffix, "_%s", units[j]);
            bool is_unit = strcmp(row->unit, units[j]) == 0;
            known = known || is_unit;
            if (has_suffix(row->family, suffix) != is_unit) {
                fail_msg("%s: unit \"%s\"", row->family, row->unit);
            }
        }
        assert_true(known);
    }
}

static bool is_label_text(const char *labels)
{
    while (*labels != '\0') {
        size_t name_length = strspn(labels, "abcdefghijklmnopqrstuvwxyz_");
        if (name_length == 0 || strncmp(labels + name_length, "=\"", 2) != 0) {
            return false;
        }
        labels += name_length + 2;
        labels += strspn(labels, "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (*labels++ != '"') {
            return false;
        }
        if (*labels == ',' && *++labels == '\0') {
            return false;
        }
    }
    return true;
}

static void test_labels(void **state)
{
    static const char *const clashing[] = {"job=", "instance=", "namespace=", "pod=", "container=", "node=",
        "service=", "endpoint=", "shard=", "destination="};

    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        assert_true(is_label_text(metric_rows[i].labels));
        for (size_t j = 0; j < sizeof clashing / sizeof clashing[0]; j++) {
            assert_null(strstr(metric_rows[i].labels, clashing[j]));
        }
    }
}

static void test_families(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        for (size_t j = 0; j < i; j++) {
            const struct metric_row *other = &metric_rows[j];
            if (strcmp(row->family, other->family) != 0) {
                continue;
            }
            if (strcmp(metric_rows[i - 1].family, row->family) != 0) {
                fail_msg("%s: its rows are not neighbours", row->family);
            }
            if (strcmp(row->labels, other->labels) == 0) {
                fail_msg("%s{%s}: twice", row->family, row->labels);
            }
            assert_int_equal(row->type, other->type);
            assert_int_equal(row->scope, other->scope);
            assert_string_equal(row->unit, other->unit);
            assert_string_equal(row->stability, other->stability);
            if (strcmp(row->help, other->help) != 0) {
                fail_msg("%s: two helps", row->family);
            }
        }
    }
}

static void test_registry(void **state)
{
    struct metric_registry registry = {.owner_count = 0};

    (void)state;
    struct metric_cells *a = metric_registry_add(&registry, METRIC_SCOPE_SHARD, "0");
    struct metric_cells *b = metric_registry_add(&registry, METRIC_SCOPE_SHARD, "1");
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_string_equal(registry.owners[1].label_value, "1");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        assert_int_equal(metric_registry_sum(&registry, (enum metric_id)i), 0);
    }
    metric_add(a, METRIC_FLIPS, 3);
    metric_add(b, METRIC_FLIPS, 4);
    LEDGER_ADD(b, METRIC_FLIPS, 1);
    assert_int_equal(metric_get(b, METRIC_FLIPS), 5);
    assert_int_equal(metric_registry_sum(&registry, METRIC_FLIPS), 8);
    metric_set(a, METRIC_FLIPS, 1);
    assert_int_equal(metric_registry_sum(&registry, METRIC_FLIPS), 6);
    metric_registry_deinit(&registry);
    metric_registry_deinit(NULL);
}

static void test_registry_is_bounded(void **state)
{
    struct metric_registry registry = {.owner_count = 0};
    const char *long_name = "0123456789012345678901234567890123456789012345678901234567890123456789";

    (void)state;
    for (size_t i = 0; i < METRIC_OWNER_COUNT_MAX; i++) {
        assert_non_null(metric_registry_add(&registry, METRIC_SCOPE_DESTINATION, long_name));
    }
    assert_int_equal(strlen(registry.owners[0].label_value), sizeof registry.owners[0].label_value - 1);
    assert_null(metric_registry_add(&registry, METRIC_SCOPE_DESTINATION, "one more"));
    assert_int_equal(registry.owner_count, METRIC_OWNER_COUNT_MAX);
    metric_registry_deinit(&registry);
    assert_int_equal(registry.owner_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_registry_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
