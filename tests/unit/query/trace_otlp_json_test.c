/* OTLP JSON of traces: known text, and the same message again when the project's own reader reads it. */
#include "trace_rig.h"

#include "query/trace_answer.h"

static void write_answer(struct buffer *out, const struct trace_model *models, size_t count)
{
    struct trace_answer answer;
    struct trace_query query;

    assert_int_equal(trace_query_parse(&query, "/api/v1/traces", NULL, 0, 1), 0);
    trace_answer_begin(&answer, &query, out, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        trace_answer_add(&answer, &models[i]);
    }
    trace_answer_end(&answer, NULL, 0);
}

static void write_model(struct buffer *out, const char *json)
{
    struct trace_model model;

    trace_model_init(&model, trace_id);
    add_json(&model, json);
    assert_int_equal(trace_model_finish(&model), 0);
    write_answer(out, &model, 1);
    trace_model_deinit(&model);
}

static void the_text_is_this(void **state)
{
    struct buffer out;

    (void)state;
    buffer_init(&out, 1 << 20);
    write_model(&out, rich_trace);
    check_golden("otlp.json", &out);
    buffer_deinit(&out);
}

static void it_reads_back_as_the_same(void **state)
{
    struct buffer first;
    struct buffer second;

    (void)state;
    buffer_init(&first, 1 << 20);
    buffer_init(&second, 1 << 20);
    write_model(&first, rich_trace);
    assert_int_equal(buffer_append_byte(&first, '\0'), 0);
    write_model(&second, (const char *)first.data);
    assert_int_equal(second.length, first.length - 1);
    assert_memory_equal(first.data, second.data, second.length);
    struct shared_bytes *before = part_of_text(slice_of_string(rich_trace));
    struct shared_bytes *after = part_of_text(slice_of(second.data, second.length));
    assert_int_equal(after->length, before->length); /* nothing is lost: the order of fields may differ */
    shared_bytes_unref(before);
    shared_bytes_unref(after);
    buffer_deinit(&first);
    buffer_deinit(&second);
}

static void several_traces_and_their_warnings_are_one_document(void **state)
{
    const uint8_t other_id[TRACE_MODEL_ID_BYTES] = {0xff};
    struct trace_model models[2];
    struct buffer out;

    (void)state;
    trace_model_init(&models[0], trace_id);
    trace_model_init(&models[1], other_id);
    add_spans(&models[0], "a", SPAN("0000000000000001", "", "one", 2, 10, 90));
    add_spans(&models[1], "b",
        "{\"traceId\":\"ff000000000000000000000000000000\",\"spanId\":\"0000000000000002\"}");
    trace_model_warn(&models[1], "peer %s did not answer", "\"x\"");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(trace_model_finish(&models[i]), 0);
    }
    buffer_init(&out, 1 << 20);
    write_answer(&out, models, 2);
    check_golden("otlp_several.json", &out);
    buffer_deinit(&out);
    for (int i = 0; i < 2; i++) {
        trace_model_deinit(&models[i]);
    }
}

static void texts_that_are_no_utf8_are_repaired(void **state)
{
    static const struct {
        struct slice text;
        const char *expected;
    } rows[] = {
        {SLICE_LITERAL("plain"), "\"plain\""},
        {SLICE_LITERAL("a\"\\/\b\f\n\r\t\x01\x7f"), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\""},
        {SLICE_LITERAL("\xc3\xa9"), "\"\xc3\xa9\""},
        {SLICE_LITERAL("\xff\xc3"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {SLICE_LITERAL("\xed\xa0\x80x"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\""},
        {SLICE_LITERAL("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer out;
        buffer_init(&out, 1 << 10);
        json_put_text(&out, rows[i].text);
        assert_int_equal(out.length, strlen(rows[i].expected));
        assert_memory_equal(out.data, rows[i].expected, out.length);
        buffer_deinit(&out);
    }
}

static void numbers_read_back(void **state)
{
    static const double numbers[] = {
        0, -0.0, 0.1, 1.0 / 3, 1e300, 5e-324, -123456789.125, 9007199254740993.0};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct buffer out;
        buffer_init(&out, 1 << 10);
        json_put_real(&out, numbers[i]);
        assert_int_equal(buffer_append_byte(&out, '\0'), 0);
        double read = strtod((const char *)out.data, NULL);
        assert_memory_equal(&read, &numbers[i], sizeof read);
        buffer_deinit(&out);
    }
}

static void a_full_buffer_is_an_error(void **state)
{
    struct buffer out;

    (void)state;
    buffer_init(&out, 100);
    write_model(&out, rich_trace);
    assert_true(out.error < 0);
    assert_in_range(out.length, 0, 100);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_this),
        cmocka_unit_test(it_reads_back_as_the_same),
        cmocka_unit_test(several_traces_and_their_warnings_are_one_document),
        cmocka_unit_test(texts_that_are_no_utf8_are_repaired),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
