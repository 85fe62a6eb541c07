/* Each reason to keep a trace, by itself and together; their rates; the attribute that tells them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/response_flags.h"
#include "trace/trigger.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define MS 1000000ull
#define S 1000000000ull

static const uint8_t none[16];
static const uint8_t trace_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0, 0, 0, 0, 0, 0, 1};

static struct trigger_settings settings_of(void)
{
    return (struct trigger_settings){
        .slow_ns = 1000 * MS,
        .slow_factor = 4,
        .slow_for_series_min_ns = 10 * MS,
        .baseline_threshold = baseline_threshold(1000000),
        .rate_per_s = 100,
    };
}

static struct request fine(void)
{
    return (struct request){.outcome = OUTCOME_OK,
        .response_code = 200,
        .grpc_status = GRPC_STATUS_NONE,
        .attempts = 1,
        .duration_ns = 5 * MS};
}

static uint32_t fired(const struct request *request, struct record_note note)
{
    const struct trigger_settings settings = settings_of();

    return trigger_fired(
        &settings, &(struct trigger_facts){.trace_id = trace_id, .request = request, .note = note});
}

static void test_each_of_a_request(void **state)
{
    const struct record_note unknown = {.p90_ns = 0};
    const struct record_note p90_5ms = {.p90_ns = 5 * MS};
    struct request r = fine();

    (void)state;
    assert_int_equal(fired(&r, unknown), 0);

    r.outcome = OUTCOME_SERVER_ERROR;
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(ERROR));
    r.outcome = OUTCOME_NO_RESPONSE;
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(ERROR));
    r.outcome = OUTCOME_CLIENT_ERROR;
    r.response_code = 404;
    assert_int_equal(fired(&r, unknown), 0);

    r = fine();
    r.outcome = OUTCOME_SERVER_ERROR;
    r.grpc_status = 14;
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(ERROR) | TRIGGER_BIT(GRPC_ERROR));
    r.outcome = OUTCOME_CLIENT_ERROR;
    r.grpc_status = 5;
    assert_int_equal(fired(&r, unknown), 0);
    r.outcome = OUTCOME_OK;
    r.grpc_status = 0;
    assert_int_equal(fired(&r, unknown), 0);

    r = fine();
    r.response_flags = RESPONSE_FLAG(UF);
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(RESPONSE_FLAGS));
    r.response_flags = RESPONSE_FLAG(URX);
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(RETRIES_EXHAUSTED));
    r.response_flags = RESPONSE_FLAG(UF) | RESPONSE_FLAG(URX);
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(RESPONSE_FLAGS) | TRIGGER_BIT(RETRIES_EXHAUSTED));
    r.response_flags = RESPONSE_FLAGS_HARMLESS;
    assert_int_equal(fired(&r, unknown), 0);
    r.response_flags = 1ull << 63; /* no flag of ours */
    assert_int_equal(fired(&r, unknown), 0);

    r = fine();
    r.duration_ns = 1000 * MS;
    assert_int_equal(fired(&r, unknown), 0);
    r.duration_ns++;
    assert_int_equal(fired(&r, unknown), TRIGGER_BIT(SLOW));

    r.duration_ns = 20 * MS;
    assert_int_equal(fired(&r, p90_5ms), 0);
    r.duration_ns++;
    assert_int_equal(fired(&r, p90_5ms), TRIGGER_BIT(SLOW_FOR_SERIES));
    assert_int_equal(fired(&r, unknown), 0);
    r.duration_ns = 10 * MS; /* a hundred times its p90, but too short to matter */
    assert_int_equal(fired(&r, (struct record_note){.p90_ns = MS / 10}), 0);
    r.duration_ns = UINT64_MAX;
    assert_int_equal(fired(&r, (struct record_note){.p90_ns = UINT64_MAX / 2}), TRIGGER_BIT(SLOW));

    r = fine();
    assert_int_equal(fired(&r, (struct record_note){.is_new = true}), TRIGGER_BIT(RARE));
}

static uint32_t fired_with(const char *tracestate, const uint8_t *id, bool is_error, bool is_marked)
{
    const struct trigger_settings settings = settings_of();

    return trigger_fired(&settings, &(struct trigger_facts){.trace_id = id,
                                        .tracestate = slice_of_string(tracestate),
                                        .is_error = is_error,
                                        .is_marked = is_marked});
}

static void test_baggage(void **state)
{
    static const struct {
        const char *baggage;
        bool marks;
    } rows[] = {
        {"", false},
        {"weft=keep", true},
        {"weft.keep=true", true},
        {"weft.keep=1;ttl=3", true},
        {"tenant=acme, weft.keep = true ; x=y ,b=c", true},
        {"tenant=acme,weft=keep", true},
        {"weft.keep=false", false},
        {"weft.keep=", false},
        {"weft.keep", false},
        {"weft=true", false},
        {"weft.keep;=true", false},
        {"xweft=keep", false},
        {"tenant=weft=keep", false},
        {"tenant=weft.keep=true", false},
        {",,;,=,\x01\xff==;", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(trigger_baggage_marks(slice_of_string(rows[i].baggage)), rows[i].marks);
    }
}

static void test_each_without_a_request(void **state)
{
    static const struct {
        const char *tracestate;
        uint32_t reasons;
    } rows[] = {
        {"", 0},
        {"weft=keep", TRIGGER_BIT(MARK)},
        {"a=b, weft=keep ,ot=th:c", TRIGGER_BIT(MARK)},
        {"weft=drop", 0},
        {"weft=KEEP", 0},
        {"weft=", 0},
        {"weft", 0},
        {"xweft=keep", 0},
        {"weft@tenant=keep", 0},
        {"ot=rv:ffffffffffffff", TRIGGER_BIT(BASELINE)},
        {"ot=rv:ffffffffffffff,weft=keep", TRIGGER_BIT(BASELINE) | TRIGGER_BIT(MARK)},
        {"ot=rv:ffffffffffff", 0}, /* too short to be one */
        {",,,=,;;\x01\xff,weft=keep", TRIGGER_BIT(MARK)},
        {"\xc3\x28;;;==,,ot=th:;rv", 0},
    };
    uint8_t lucky[16] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(fired_with(rows[i].tracestate, trace_id, false, false), rows[i].reasons);
    }
    assert_int_equal(fired_with("", trace_id, true, false), TRIGGER_BIT(ERROR));
    assert_int_equal(fired_with("", trace_id, false, true), TRIGGER_BIT(MARK));
    memset(lucky + 9, 0xff, 7);
    assert_int_equal(fired_with("", lucky, false, false), TRIGGER_BIT(BASELINE));
}

/* Without a trace id there is nothing to keep, whatever is wrong. */
static void test_no_trace_id(void **state)
{
    struct trigger_settings settings = settings_of();
    struct request r = fine();

    (void)state;
    r.outcome = OUTCOME_SERVER_ERROR;
    settings.baseline_threshold = 0;
    assert_int_equal(
        trigger_fired(&settings,
            &(struct trigger_facts){
                .trace_id = none, .request = &r, .tracestate = SLICE_LITERAL("weft=keep"), .is_error = true}),
        0);
}

static void test_switched_off(void **state)
{
    struct trigger_settings settings = {.baseline_threshold = SAMPLING_THRESHOLD_END};
    struct request r = fine();
    uint8_t lucky[16];

    (void)state;
    memset(lucky, 0xff, sizeof lucky);
    r.duration_ns = UINT64_MAX;
    assert_int_equal(trigger_fired(&settings,
                         &(struct trigger_facts){.trace_id = lucky, .request = &r, .note = {.p90_ns = 1}}),
        0);
}

static struct triggers *triggers_new(struct metric_cells **ret_cells)
{
    const struct trigger_settings settings = settings_of();
    struct triggers *triggers = malloc(sizeof *triggers);

    assert_non_null(triggers);
    assert_int_equal(posix_memalign((void **)ret_cells, 64, sizeof **ret_cells), 0);
    memset(*ret_cells, 0, sizeof **ret_cells);
    triggers_init(triggers, &settings, *ret_cells, 0);
    return triggers;
}

/* The first reason pays until its rate is used up, then the next; what could not is counted by reason. */
static void test_rates_by_reason(void **state)
{
    const uint32_t reasons = TRIGGER_BIT(ERROR) | TRIGGER_BIT(SLOW);
    struct metric_cells *cells;
    struct triggers *triggers = triggers_new(&cells);
    uint32_t paid[TRIGGER_COUNT] = {0};
    uint32_t refused = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        enum trace_trigger first = TRIGGER_COUNT;

        if (trigger_allow(triggers, reasons, 7, 0, &first)) {
            paid[first]++;
        } else {
            assert_int_equal(first, TRIGGER_COUNT);
            refused++;
        }
    }
    assert_in_range(paid[TRIGGER_ERROR], 100, 200);
    assert_in_range(paid[TRIGGER_SLOW], 100, 200);
    assert_int_equal(paid[TRIGGER_ERROR] + paid[TRIGGER_SLOW] + refused, 5000);
    assert_int_equal(metric_get(cells, METRIC_TRACES_LIMITED_ERROR), 5000 - paid[TRIGGER_ERROR]);
    assert_int_equal(metric_get(cells, METRIC_TRACES_LIMITED_SLOW), refused);
    assert_int_equal(metric_get(cells, METRIC_TRACES_LIMITED_BASELINE), 0);
    enum trace_trigger first;
    assert_true(trigger_allow(triggers, TRIGGER_BIT(RARE), 7, 0, &first)); /* has a rate of its own */
    assert_int_equal(first, TRIGGER_RARE);
    assert_false(trigger_allow(triggers, 0, 7, 0, &first));
    assert_false(trigger_allow(triggers, ~TRIGGER_BITS_ALL, 7, 0, &first));
    free(triggers);
    free(cells);
}

/* An error storm in one service does not crowd out the errors of another. */
static void test_storm_leaves_others_their_share(void **state)
{
    struct metric_cells *cells;
    struct triggers *triggers = triggers_new(&cells);
    enum trace_trigger first;

    (void)state;
    for (uint64_t now_ns = 0; now_ns < 20 * S; now_ns += 50 * MS) {
        for (int i = 0; i < 1000; i++) {
            (void)trigger_allow(triggers, TRIGGER_BIT(ERROR), 7, now_ns, &first);
        }
        assert_true(trigger_allow(triggers, TRIGGER_BIT(ERROR), 8, now_ns, &first));
    }
    free(triggers);
    free(cells);
}

static void expect_attribute(uint32_t reasons, const char *expected)
{
    uint8_t out[TRIGGER_ATTRIBUTE_BYTES_MAX];
    size_t length = trigger_attribute(reasons, out);
    size_t text_length = strlen(expected);

    assert_int_equal(length, 2 + 9 + 4 + text_length);
    assert_int_equal(out[0], 0x0a); /* key */
    assert_int_equal(out[1], 9);
    assert_memory_equal(out + 2, "weft.kept", 9);
    assert_int_equal(out[11], 0x12); /* value: AnyValue */
    assert_int_equal(out[12], text_length + 2);
    assert_int_equal(out[13], 0x0a); /* string_value */
    assert_int_equal(out[14], text_length);
    assert_memory_equal(out + 15, expected, text_length);
}

static void test_attribute(void **state)
{
    uint8_t out[TRIGGER_ATTRIBUTE_BYTES_MAX];

    (void)state;
    expect_attribute(TRIGGER_BIT(ERROR), "error");
    expect_attribute(TRIGGER_BIT(PEER) | TRIGGER_BIT(SLOW_FOR_SERIES), "slow_for_series,peer");
    expect_attribute(UINT32_MAX,
        "error,grpc_error,response_flags,retries_exhausted,slow,slow_for_series,rare,"
        "mark,baseline,operator,peer");
    assert_int_equal(trigger_attribute(0, out), 0);
    assert_int_equal(trigger_attribute(~TRIGGER_BITS_ALL, out), 0);
}

/* The metrics' rows are those of the triggers, name by name. */
static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < TRIGGER_COUNT; i++) {
        char label[64];

        assert_non_null(trigger_name((enum trace_trigger)i));
        (void)snprintf(label, sizeof label, "reason=\"%s\"", trigger_name((enum trace_trigger)i));
        assert_string_equal(metric_rows[METRIC_TRACES_KEPT_ERROR + i].labels, label);
        assert_string_equal(metric_rows[METRIC_TRACES_LIMITED_ERROR + i].labels, label);
    }
    assert_null(trigger_name(TRIGGER_COUNT));
}

static uint32_t allowed_of(struct triggers *triggers, uint32_t count)
{
    uint32_t allowed = 0;

    for (uint32_t i = 0; i < count; i++) {
        enum trace_trigger first;
        allowed += trigger_allow(triggers, TRIGGER_BIT(SLOW), 7, 0, &first);
    }
    return allowed;
}

/* A reload: other thresholds at once; the rates begin anew only where theirs is another. */
static void test_other_settings(void **state)
{
    struct metric_cells *cells;
    struct triggers *triggers = triggers_new(&cells);
    struct trigger_settings settings = settings_of();

    (void)state;
    assert_in_range(allowed_of(triggers, 1000), 100, 200);
    settings.slow_ns = 7 * MS;
    triggers_reconfigure(triggers, &settings, 0);
    assert_int_equal(triggers->settings.slow_ns, 7 * MS);
    assert_int_equal(allowed_of(triggers, 1000), 0);
    settings.rate_per_s = 10;
    triggers_reconfigure(triggers, &settings, 0);
    assert_in_range(allowed_of(triggers, 1000), 10, 20);
    settings.rate_per_s = 0;
    triggers_reconfigure(triggers, &settings, 0);
    assert_int_equal(allowed_of(triggers, 1000), 0);
    free(triggers);
    free(cells);
}

/* What the note says goes before the setting, whichever is longer. */
static void test_slow_by_note(void **state)
{
    struct trigger_settings settings = settings_of();
    struct request r = fine();
    struct trigger_facts facts = {.trace_id = trace_id, .request = &r, .note = {.slow_ms = 20}};

    (void)state;
    r.duration_ns = 20 * MS;
    assert_int_equal(trigger_fired(&settings, &facts), 0);
    r.duration_ns = 20 * MS + 1;
    assert_int_equal(trigger_fired(&settings, &facts), TRIGGER_BIT(SLOW));
    settings.slow_ns = 0;
    assert_int_equal(trigger_fired(&settings, &facts), TRIGGER_BIT(SLOW));
    settings.slow_ns = 1000 * MS;
    facts.note.slow_ms = 3600000;
    r.duration_ns = 3600 * S;
    assert_int_equal(trigger_fired(&settings, &facts), 0);
    r.duration_ns++;
    assert_int_equal(trigger_fired(&settings, &facts), TRIGGER_BIT(SLOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_of_a_request),
        cmocka_unit_test(test_slow_by_note),
        cmocka_unit_test(test_baggage),
        cmocka_unit_test(test_each_without_a_request),
        cmocka_unit_test(test_no_trace_id),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_rates_by_reason),
        cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_storm_leaves_others_their_share),
        cmocka_unit_test(test_attribute),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
