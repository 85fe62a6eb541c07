/* Traces put together from parts: the same span twice, parents, circles, limits, and what is no trace. */
#include "trace_rig.h"

#include "core/error.h"
#include "decode/wire_write.h"

static int setup(void **state)
{
    struct trace_model *model = malloc(sizeof *model);

    assert_non_null(model);
    trace_model_init(model, trace_id);
    *state = model;
    return 0;
}

static int teardown(void **state)
{
    trace_model_deinit(*state);
    free(*state);
    return 0;
}

static bool warns(const struct trace_model *model, const char *text)
{
    for (size_t i = 0; i < model->warning_count; i++) {
        if (strstr(model->warnings[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static void spans_of_several_parts_are_one_trace(void **state)
{
    struct trace_model *model = *state;

    add_spans(model, "back", SPAN("0000000000000003", "0000000000000002", "inner", 2, 30, 40));
    add_spans(model, "front",
        SPAN("0000000000000001", "", "root", 2, 10, 90) "," SPAN(
            "0000000000000002", "0000000000000001", "call", 3, 20, 50));
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 3);
    assert_int_equal(model->process_count, 2);
    assert_string_equal(parent_name(model, "root"), "");
    assert_string_equal(parent_name(model, "call"), "root");
    assert_string_equal(parent_name(model, "inner"), "call");
    assert_true(slice_equal(model->spans[0].name, SLICE_LITERAL("root"))); /* in order of their start */
    assert_true(slice_equal(model->spans[2].name, SLICE_LITERAL("inner")));
    const struct trace_group *group = &model->groups[span_named(model, "call")->group];
    assert_true(slice_equal(group->service_name, SLICE_LITERAL("front")));
    assert_true(slice_equal(group->scope_name, SLICE_LITERAL("test")));
    assert_int_equal(model->warning_count, 0);
}

static void the_same_span_twice_is_one(void **state)
{
    struct trace_model *model = *state;
    const char *more =
        "{\"traceId\":\"" TRACE "\",\"spanId\":\"0000000000000001\",\"name\":\"root\",\"kind\":2,"
        "\"startTimeUnixNano\":\"10\",\"endTimeUnixNano\":\"90\",\"attributes\":[{\"key\":\"k\","
        "\"value\":{\"boolValue\":true}}]}";
    struct trace_attribute attribute;

    add_spans(model, "front", SPAN("0000000000000001", "", "root", 2, 10, 90));
    add_spans(model, "front", SPAN("0000000000000001", "", "root", 2, 10, 90));
    add_spans(model, "front", more);
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 1);
    assert_int_equal(model->duplicate_count, 2);
    struct wire_reader reader = wire_reader_of(model->spans[0].raw);
    assert_true(
        trace_next_attribute(&reader, TRACE_FIELD_SPAN_ATTRIBUTES, &attribute)); /* the one that says most */
    assert_true(slice_equal(attribute.key, SLICE_LITERAL("k")));
}

#define ACCESS_LOG(id, name, kind)                                                                           \
    "{\"traceId\":\"" TRACE "\",\"spanId\":\"" id "\",\"name\":\"" name "\",\"kind\":" #kind                 \
    ",\"startTimeUnixNano\":\"10\",\"endTimeUnixNano\":\"20\",\"attributes\":[{\"key\":\"" TRACE_RECORD_KEY  \
    "\",\"value\":{\"stringValue\":\"" TRACE_RECORD_ACCESS_LOG "\"}}]}"

static void an_access_log_entry_gives_way_to_its_span(void **state)
{
    struct trace_model *model = *state;

    add_spans(model, "proxy",
        ACCESS_LOG("0000000000000001", "log", 2) "," ACCESS_LOG("0000000000000002", "alone", 3));
    add_spans(model, "proxy", SPAN("0000000000000001", "", "span", 3, 10, 20)); /* even of another kind */
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 2);
    assert_false(span_named(model, "span")->is_access_log);
    assert_true(span_named(model, "alone")->is_access_log);
}

/* Zipkin's model: the server goes on with the client's id. */
static void both_sides_of_a_shared_id_are_kept(void **state)
{
    struct trace_model *model = *state;

    add_spans(model, "back",
        SPAN("0000000000000002", "0000000000000001", "server", 2, 30, 40) "," SPAN(
            "0000000000000003", "0000000000000002", "inner", 3, 35, 38));
    add_spans(model, "front",
        SPAN("0000000000000001", "", "root", 2, 10, 90) "," SPAN(
            "0000000000000002", "0000000000000001", "client", 3, 20, 50));
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 4);
    assert_string_equal(parent_name(model, "client"), "root");
    assert_string_equal(parent_name(model, "server"), "client");
    assert_string_equal(parent_name(model, "inner"), "server");
    const struct trace_span *client = span_named(model, "client");
    const struct trace_span *server = span_named(model, "server");
    assert_memory_equal(client->shown_id, client->span_id, TRACE_SPAN_ID_BYTES);
    assert_memory_not_equal(server->shown_id, client->shown_id, TRACE_SPAN_ID_BYTES);
}

/* Whoever asked has the other parts. */
static void a_part_says_nothing_of_missing_parents(void **state)
{
    struct trace_model *model = *state;

    model->is_part = true;
    add_spans(model, "front", SPAN("0000000000000002", "0000000000000001", "orphan", 2, 10, 90));
    assert_int_equal(trace_model_finish(model), 0);
    assert_true(span_named(model, "orphan")->parent_is_missing);
    assert_int_equal(model->warning_count, 0);
}

static void missing_parents_are_told(void **state)
{
    struct trace_model *model = *state;

    add_spans(model, "front", SPAN("0000000000000002", "0000000000000001", "orphan", 2, 10, 90));
    assert_int_equal(trace_model_finish(model), 0);
    assert_true(span_named(model, "orphan")->parent_is_missing);
    assert_int_equal(span_named(model, "orphan")->parent, -1);
    assert_true(warns(model, "1 spans name a parent that is not here"));
}

/* From each span up to a root, in no more steps than there are spans. */
static void check_parents_end(const struct trace_model *model)
{
    for (size_t i = 0; i < model->span_count; i++) {
        size_t steps = 0;
        for (int32_t at = (int32_t)i; at >= 0; at = model->spans[at].parent) {
            assert_true(steps++ < model->span_count);
        }
    }
}

static void circles_are_cut(void **state)
{
    struct trace_model *model = *state;

    add_spans(model, "a",
        SPAN("0000000000000001", "0000000000000003", "one", 1, 10, 90) "," SPAN(
            "0000000000000002", "0000000000000001", "two", 1, 20, 80) "," SPAN("0000000000000003",
            "0000000000000002", "three", 1, 30, 70) "," SPAN("0000000000000004", "0000000000000004", "self",
            1, 40, 60) "," SPAN("0000000000000005", "0000000000000003", "tail", 1, 5, 6));
    assert_int_equal(trace_model_finish(model), 0);
    check_parents_end(model);
    assert_int_equal(model->loose_count, 2);
    assert_true(span_named(model, "self")->is_cut_loose);
    assert_string_equal(parent_name(model, "tail"), "three");
    assert_true(warns(model, "2 spans were their own ancestors"));
}

static void foreign_and_broken_spans_are_left_out(void **state)
{
    struct trace_model *model = *state;

    add_spans(model, "a",
        "{\"traceId\":\"ff02030405060708090a0b0c0d0e0f10\",\"spanId\":\"0000000000000001\"},"
        "{\"traceId\":\"" TRACE "\",\"spanId\":\"0000000000000000\"},"
        "{\"traceId\":\"" TRACE "\",\"spanId\":\"00000001\"},"
        "{\"traceId\":\"" TRACE "\",\"spanId\":\"0000000000000007\",\"parentSpanId\":\"01\"},{}," //
        SPAN("0000000000000008", "", "good", 9, 20, 10));
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 1);
    assert_int_equal(model->foreign_count, 1);
    assert_int_equal(model->refused_count, 4);
    assert_int_equal(model->spans[0].kind, SPAN_KIND_UNSPECIFIED);
    assert_int_equal(model->spans[0].end_unix_ns, 20); /* an end before the start is no duration below 0 */
    assert_true(warns(model, "belong to other traces"));
    assert_true(warns(model, "cannot be read"));
}

/* A part: one ResourceSpans of one ScopeSpans of one message in the field of spans. */
static struct shared_bytes *part_of_span(const struct buffer *span)
{
    struct buffer out;

    buffer_init(&out, 1 << 20);
    struct wire_envelope outer = wire_envelope_begin(&out, 1, 100);
    struct wire_envelope inner = wire_envelope_begin(&out, 2, 100);
    wire_write_bytes(&out, 2, slice_of(span->data, span->length));
    wire_envelope_end(&out, inner);
    wire_envelope_end(&out, outer);
    assert_int_equal(out.error, 0);
    struct shared_bytes *part = shared_bytes_take(&out);
    assert_non_null(part);
    buffer_deinit(&out);
    return part;
}

/* An attribute whose value is a list of a list of a list … */
static void write_deep(struct buffer *out, unsigned depth)
{
    if (depth == 0) {
        return;
    }
    struct wire_envelope array = wire_envelope_begin(out, 5, 2 * depth);
    struct wire_envelope value = wire_envelope_begin(out, 1, 2 * depth);
    write_deep(out, depth - 1);
    wire_envelope_end(out, value);
    wire_envelope_end(out, array);
}

static void add_deep(struct trace_model *model, uint8_t id, unsigned depth)
{
    struct buffer span;
    const uint8_t span_id[TRACE_SPAN_ID_BYTES] = {id};

    buffer_init(&span, 1 << 20);
    wire_write_bytes(&span, 1, slice_of(trace_id, sizeof trace_id));
    wire_write_bytes(&span, 2, slice_of(span_id, sizeof span_id));
    struct wire_envelope attribute = wire_envelope_begin(&span, 9, 100);
    struct wire_envelope value = wire_envelope_begin(&span, 2, 100);
    write_deep(&span, depth);
    wire_envelope_end(&span, value);
    wire_envelope_end(&span, attribute);
    struct shared_bytes *part = part_of_span(&span);
    assert_int_equal(trace_model_add(model, part), 0);
    shared_bytes_unref(part);
    buffer_deinit(&span);
}

static void depth_is_limited(void **state)
{
    struct trace_model *model = *state;

    add_deep(model, 1, 100);
    add_deep(model, 2, 200);
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 1);
    assert_int_equal(model->refused_count, 1);
}

static void wrong_wire_types_are_refused(void **state)
{
    struct trace_model *model = *state;

    for (uint32_t number = 1; number <= 16; number++) {
        struct buffer span;
        buffer_init(&span, 1 << 16);
        wire_write_bytes(&span, 1, slice_of(trace_id, sizeof trace_id));
        wire_write_bytes(&span, 2, slice_of("12345678", TRACE_SPAN_ID_BYTES));
        uint8_t tag[2] = {0};
        (void)wire_put_varint(tag, WIRE_TAG(number, WIRE_FIXED32));
        (void)buffer_append(&span, tag, number == 16 ? 2 : 1);
        (void)buffer_append(&span, "\0\0\0\0", 4);
        struct shared_bytes *part = part_of_span(&span);
        assert_int_equal(trace_model_add(model, part), 0);
        shared_bytes_unref(part);
        buffer_deinit(&span);
    }
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->refused_count, 15); /* field 16, flags, is of that type */
    assert_int_equal(model->span_count, 1);
}

static void a_broken_part_keeps_what_came_before(void **state)
{
    struct trace_model *model = *state;
    struct shared_bytes *whole = part_of_text(SLICE_LITERAL(
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[" SPAN("0000000000000001", "", "a", 1, 1, 2) //
        "]}]},{\"scopeSpans\":[{\"spans\":[" SPAN("0000000000000002", "", "b", 1, 1, 2) "]}]}]}"));
    struct shared_bytes *cut = shared_bytes_copy(slice_of(whole->data, whole->length - 3));

    assert_non_null(cut);
    assert_int_equal(trace_model_add(model, cut), WERR_TRUNCATED);
    shared_bytes_unref(whole);
    shared_bytes_unref(cut);
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 1);
    assert_true(warns(model, "left out from where it is broken"));
}

/* `count` spans with ids from `first` on; each under a resource of its own where `own_resources` is set. */
static struct shared_bytes *many_spans(uint64_t first, size_t count, bool own_resources)
{
    struct buffer out;

    buffer_init(&out, 1 << 26);
    for (size_t i = 0; i < count; i++) {
        uint64_t id = first + i;
        struct wire_envelope resource_spans = wire_envelope_begin(&out, 1, 100);
        if (own_resources) {
            struct wire_envelope resource = wire_envelope_begin(&out, 1, 10);
            wire_write_varint(&out, 2, id);
            wire_envelope_end(&out, resource);
        }
        struct wire_envelope scope_spans = wire_envelope_begin(&out, 2, 100);
        struct wire_envelope span = wire_envelope_begin(&out, 2, 100);
        wire_write_bytes(&out, 1, slice_of(trace_id, sizeof trace_id));
        wire_write_bytes(&out, 2, slice_of(&id, sizeof id));
        wire_write_fixed64(&out, 7, id);
        wire_envelope_end(&out, span);
        wire_envelope_end(&out, scope_spans);
        wire_envelope_end(&out, resource_spans);
    }
    assert_int_equal(out.error, 0);
    struct shared_bytes *part = shared_bytes_take(&out);
    assert_non_null(part);
    buffer_deinit(&out);
    return part;
}

static void spans_are_limited(void **state)
{
    struct trace_model *model = *state;
    struct shared_bytes *part = many_spans(1, TRACE_READ_SPANS_COUNT_MAX + 5, false);

    assert_int_equal(trace_model_add(model, part), 0);
    shared_bytes_unref(part);
    assert_int_equal(model->span_count, TRACE_READ_SPANS_COUNT_MAX);
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, TRACE_SPANS_COUNT_MAX);
    assert_int_equal(model->left_out_count, TRACE_READ_SPANS_COUNT_MAX + 5 - TRACE_SPANS_COUNT_MAX);
    assert_true(warns(model, "a trace shows at most 10000"));
}

static void resources_are_limited(void **state)
{
    struct trace_model *model = *state;
    struct shared_bytes *part = many_spans(1, TRACE_GROUPS_COUNT_MAX + 7, true);

    assert_int_equal(trace_model_add(model, part), 0);
    shared_bytes_unref(part);
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, TRACE_GROUPS_COUNT_MAX);
    assert_int_equal(model->process_count, TRACE_GROUPS_COUNT_MAX);
    assert_int_equal(model->left_out_count, 7);
}

static void parts_are_limited(void **state)
{
    struct trace_model *model = *state;
    struct shared_bytes *part = shared_bytes_copy(slice_of("", 0));

    assert_non_null(part);
    for (int i = 0; i < TRACE_PARTS_COUNT_MAX; i++) {
        assert_int_equal(trace_model_add(model, part), 0);
    }
    assert_int_equal(trace_model_add(model, part), WERR_FULL);
    shared_bytes_unref(part);
    assert_int_equal(trace_model_finish(model), 0);
    assert_int_equal(model->span_count, 0);
    assert_true(warns(model, "too many or too large"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_of_several_parts_are_one_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_span_twice_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(an_access_log_entry_gives_way_to_its_span, setup, teardown),
        cmocka_unit_test_setup_teardown(both_sides_of_a_shared_id_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_parents_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_says_nothing_of_missing_parents, setup, teardown),
        cmocka_unit_test_setup_teardown(circles_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_and_broken_spans_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_wire_types_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_part_keeps_what_came_before, setup, teardown),
        cmocka_unit_test_setup_teardown(spans_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(resources_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_are_limited, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
