/*
 * What is remembered of senders changes nothing but speed: every message is scanned with a memory and
 * without, and both must tell the same. And it is of use: most spans of real senders fit a pattern.
 */
#include "testing.h"

#include "decode/otlp_memory.h"
#include "same_span.h"

enum { ROUNDS_COUNT = 3, MESSAGE_COUNT = 4000, SPANS_MAX = 9, ATTRIBUTES_MAX = 30, EVENTS_MAX = 4096 };

/* One call of a sink. */
struct event {
    bool refused;
    struct span span; /* its slices lie in the message */
    struct span_resource resource;
    struct decode_error where;
};

/* What one pattern's first span was, copied. */
struct first {
    uint64_t pattern;
    struct span span;
    struct span_resource resource;
    uint8_t bytes[OTLP_PATTERN_BYTES_MAX];
};

struct memory_case {
    struct limits limits;
    struct redaction redaction;
    struct otlp_trace_scanner scanner;
    struct otlp_memory *memory;
    uint64_t random;
    struct event events[EVENTS_MAX];
    size_t told_count;    /* without memory */
    size_t checked_count; /* with it */
    uint64_t read_count;
    uint64_t refused_count;
    uint64_t matched_count;
};

static struct memory_case *case_new(uint64_t span_attributes_count_max, uint64_t attribute_bytes_max)
{
    struct memory_case *c = calloc(1, sizeof *c);

    assert_non_null(c);
    c->random = 42;
    limits_init(&c->limits);
    c->limits.span_attributes_count_max = span_attributes_count_max;
    c->limits.attribute_bytes_max = attribute_bytes_max;
    redaction_init_default(&c->redaction);
    otlp_trace_scanner_init(&c->scanner, &c->limits, &c->redaction);
    c->memory = otlp_memory_new();
    assert_non_null(c->memory);
    return c;
}

static void case_free(struct memory_case *c)
{
    otlp_memory_free(c->memory);
    free(c);
}

static void tell_span(void *user, const struct span *span, uint32_t record)
{
    struct memory_case *c = user;

    assert_int_equal(record, c->told_count);
    assert_true(c->told_count < EVENTS_MAX);
    assert_int_equal(span->pattern, 0);
    c->events[c->told_count++] = (struct event){.span = *span, .resource = *span->resource};
}

static void tell_refused(void *user, const struct decode_error *where)
{
    struct memory_case *c = user;

    assert_true(c->told_count < EVENTS_MAX);
    c->events[c->told_count++] = (struct event){.refused = true, .where = *where};
}

static void check_span(void *user, const struct span *span, uint32_t record)
{
    struct memory_case *c = user;
    const struct event *event = &c->events[c->checked_count++];

    assert_int_equal(record, c->checked_count - 1);
    assert_true(c->checked_count <= c->told_count && !event->refused);
    assert_true(same_span(span, &event->span));
    assert_true(same_resource(span->resource, &event->resource));
    assert_true(slice_equal(span->scope_name, event->span.scope_name));
    assert_true(span->pattern_slot < SPAN_PATTERNS_COUNT || span->pattern == 0);
    c->matched_count += span->pattern != 0;
    c->read_count++;
}

static void check_refused(void *user, const struct decode_error *where)
{
    struct memory_case *c = user;
    const struct event *event = &c->events[c->checked_count++];

    assert_true(c->checked_count <= c->told_count && event->refused);
    assert_int_equal(where->code, event->where.code);
    assert_int_equal(where->reason, event->where.reason);
    assert_int_equal(where->record, event->where.record);
    assert_string_equal(where->field, event->where.field);
    c->refused_count++;
}

/* Scans a message both ways. */
static void check_message(struct memory_case *c, struct slice message, uint64_t now_unix_ns)
{
    const struct otlp_trace_sink tell = {.user = c, .on_span = tell_span, .on_refused = tell_refused};
    const struct otlp_trace_sink check = {.user = c, .on_span = check_span, .on_refused = check_refused};
    struct otlp_trace_result told;
    struct otlp_trace_result checked;
    struct decode_error error;

    c->told_count = c->checked_count = 0;
    int status = otlp_trace_scan(&c->scanner, NULL, message, now_unix_ns, &tell, &told, &error);
    assert_int_equal(
        otlp_trace_scan(&c->scanner, c->memory, message, now_unix_ns, &check, &checked, &error), status);
    assert_int_equal(c->checked_count, c->told_count);
    assert_int_equal(checked.spans_count, told.spans_count);
    assert_int_equal(checked.refused_count, told.refused_count);
    assert_int_equal(checked.attributes_skipped_count, told.attributes_skipped_count);
    assert_int_equal(checked.needs_rewrite, told.needs_rewrite);
}

/* ---- real senders ---- */

/* share_percent: of spans that are to fit a pattern. */
static void check_corpus(const char *file, uint64_t share_percent)
{
    struct memory_case *c = case_new(512, 8192);
    struct buffer corpus;
    struct slice message;

    c->scanner.time_skew_ns = UINT64_MAX; /* the corpus is old */
    buffer_init(&corpus, TEST_BYTES_MAX);
    test_read_corpus(file, &corpus);
    for (int round = 0; round < ROUNDS_COUNT; round++) {
        size_t at = 0;
        c->matched_count = c->read_count = 0;
        while (test_next_message(&corpus, &at, &message)) {
            check_message(c, message, TEST_NOW_UNIX_NS);
        }
    }
    assert_true(c->read_count > 0);
    assert_true(c->matched_count * 100 >= c->read_count * share_percent);
    buffer_deinit(&corpus);
    case_free(c);
}

static void recorded_spans_fit_patterns(void **state)
{
    (void)state;
    check_corpus("envoy_spawn_off.otlp", 95);
    check_corpus("envoy_spawn_on.otlp", 90);
    check_corpus("sdk_http_old.otlp", 0); /* failed requests have events, and those fit none */
    check_corpus("sdk_http_new.otlp", 0);
    check_corpus("sdk_rpc_new.otlp", 0);
    check_corpus("sdk_weighted_new.otlp", 50);
}

struct firsts {
    struct first list[OTLP_MEMORY_PATTERNS_COUNT];
    size_t count;
    size_t compared_count;
};

static void rebase(struct slice *text, const uint8_t *from, const uint8_t *to)
{
    if (text->length > 0) {
        text->ptr = to + (text->ptr - from);
    }
}

static void compare_with_first(void *user, const struct span *span, uint32_t record)
{
    struct firsts *firsts = user;

    (void)record;
    if (span->pattern == 0) {
        return;
    }
    for (size_t i = 0; i < firsts->count; i++) {
        const struct first *first = &firsts->list[i];
        if (first->pattern == span->pattern) {
            assert_true(same_attributes(span, &first->span, ~SPAN_ATTRIBUTES_OF_REQUEST));
            assert_true(slice_equal(span->name, first->span.name));
            assert_true(span->kind == first->span.kind && span->status == first->span.status);
            assert_true(slice_equal(span->resource->service_name, first->resource.service_name));
            firsts->compared_count++;
            return;
        }
    }
    if (firsts->count == OTLP_MEMORY_PATTERNS_COUNT) {
        return;
    }
    struct first *first = &firsts->list[firsts->count++];
    first->pattern = span->pattern;
    first->span = *span;
    first->resource =
        *span->resource; /* lies in the memory, as most texts do: those stay as long as it does */
    memcpy(first->bytes, span->raw.ptr, span->raw.length);
    for (uint64_t set = span->attribute_set; set != 0; set &= set - 1) {
        struct slice *text = &first->span.attribute[__builtin_ctzll(set)].text;
        if (text->ptr >= span->raw.ptr && text->ptr < span->raw.ptr + span->raw.length) {
            rebase(text, span->raw.ptr, first->bytes);
        }
    }
}

static void ignore_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
}

static void spans_of_a_pattern_agree(void **state)
{
    struct memory_case *c = case_new(512, 8192);
    struct firsts *firsts = calloc(1, sizeof *firsts);
    const struct otlp_trace_sink sink = {
        .user = firsts, .on_span = compare_with_first, .on_refused = ignore_refused};
    struct buffer corpus;
    struct slice message;
    size_t at = 0;

    (void)state;
    assert_non_null(firsts);
    c->scanner.time_skew_ns = UINT64_MAX;
    buffer_init(&corpus, TEST_BYTES_MAX);
    test_read_corpus("envoy_spawn_on.otlp", &corpus);
    while (test_next_message(&corpus, &at, &message)) {
        struct otlp_trace_result result;
        struct decode_error error;
        (void)otlp_trace_scan(&c->scanner, c->memory, message, TEST_NOW_UNIX_NS, &sink, &result, &error);
    }
    assert_true(firsts->compared_count > 500);
    buffer_deinit(&corpus);
    free(firsts);
    case_free(c);
}

/* ---- made up, and damaged ---- */

static uint32_t pick(struct memory_case *c, uint32_t below)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((c->random >> 33) % below);
}

static void write_attribute(struct memory_case *c, struct buffer *out)
{
    static const char long_url[] = "/012345678901234567890123456789012345678901234567890123456789"
                                   "0123456789012345678901234567890123456789012345678901234567890"
                                   "012345678901234567890123?9012345678901234567890123456789";
    /* keys that share an id, that have flags, that nobody reads, that are short, long and not plain */
    static const char *const keys[] = {"http.method", "http.request.method", "http.url", "url.full", "zone",
        "component", "upstream_cluster.name", "downstream_cluster", "http.status_code", "cookie", "url.query",
        "error", "k", "", "guid:x-request-id"};
    static const char *const values[] = {"GET", "POST", "", "/a?b=c", "/a",
        "outbound|80||reviews.shop.svc.cluster.local", "x\xc3\xa9y",
        "0123456789012345678901234567890123456789012345678901234567890123456789", long_url};
    struct wire_envelope attribute = wire_envelope_begin(out, 9, 40);

    wire_write_bytes(out, 1, slice_of_string(keys[pick(c, sizeof keys / sizeof keys[0])]));
    struct wire_envelope value = wire_envelope_begin(out, 2, 20);
    if (pick(c, 8) == 0) {
        wire_write_varint(out, 3, pick(c, 3));
    } else {
        wire_write_bytes(out, 1,
            pick(c, 300) == 0 ? SLICE_LITERAL("\xff")
                              : slice_of_string(values[pick(c, sizeof values / sizeof values[0])]));
    }
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

/* shape: seeds what a span has in common with others of it. */
static void write_span(struct memory_case *c, struct buffer *out, uint32_t shape)
{
    static const char *const names[] = {"ingress", "", "egress reviews.shop", "GET /cart", "\xff"};
    uint64_t seed = c->random;
    struct wire_envelope span = wire_envelope_begin(out, 2, 300);

    wire_write_bytes(out, 1, slice_of(test_trace_id, pick(c, 300) == 0 ? 15 : 16));
    wire_write_bytes(out, 2, slice_of(test_span_id, 8));
    if (shape % 3 == 0) {
        wire_write_bytes(out, 4, slice_of(test_trace_id, shape % 2 * 8));
    }
    wire_write_bytes(out, 5, slice_of_string(names[shape % 16 == 15 ? 4 : shape % 4]));
    wire_write_varint(out, 6, shape % 5);
    wire_write_fixed64(out, 7, TEST_NOW_UNIX_NS + seed % 1000);
    wire_write_fixed64(out, 8, TEST_NOW_UNIX_NS + 900 + seed % 500); /* now and then before the start */
    for (uint32_t i = 0; i < shape % ATTRIBUTES_MAX; i++) {
        /* mostly what stands there in every span of the shape */
        uint64_t random = c->random;
        if (pick(c, 12) != 0) {
            c->random = (shape * 31 + i) * 77 + 1;
            write_attribute(c, out);
            c->random = random * 3 + 1;
        } else {
            write_attribute(c, out);
        }
    }
    if (shape % 7 == 0) {
        wire_write_bytes(out, shape % 14 == 0 ? 15 : 11, slice_of(NULL, 0));
    }
    wire_envelope_end(out, span);
}

static void write_message(struct memory_case *c, struct buffer *out)
{
    static const char *const services[] = {"shop", "cart", "\xff", ""};
    uint32_t service = pick(c, 40);
    struct wire_envelope resource_spans = wire_envelope_begin(out, 1, 3000);

    for (uint32_t i = 0; i < 1 + (service == 7); i++) { /* now and then twice */
        struct wire_envelope resource = wire_envelope_begin(out, 1, 30);
        test_text_attribute(out, 1, "service.name", services[service < 4 ? service : service % 2]);
        wire_envelope_end(out, resource);
    }
    struct wire_envelope scope_spans = wire_envelope_begin(out, 2, 3000);
    if (pick(c, 2) == 0) {
        struct wire_envelope scope = wire_envelope_begin(out, 1, 10);
        wire_write_bytes(out, 1, pick(c, 2) == 0 ? SLICE_LITERAL("envoy") : SLICE_LITERAL("other"));
        wire_envelope_end(out, scope);
    }
    for (uint32_t left = 1 + pick(c, SPANS_MAX); left > 0; left--) {
        write_span(c, out, pick(c, 24));
    }
    wire_envelope_end(out, scope_spans);
    wire_envelope_end(out, resource_spans);
}

static void check_made_up(uint64_t span_attributes_count_max, uint64_t attribute_bytes_max)
{
    struct memory_case *c = case_new(span_attributes_count_max, attribute_bytes_max);
    struct buffer out;

    buffer_init(&out, TEST_BYTES_MAX);
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        out.length = 0;
        write_message(c, &out);
        assert_int_equal(out.error, 0);
        check_message(c, test_slice(&out), TEST_NOW_UNIX_NS);
        if (i % 4 == 0) { /* and with a byte that is another */
            out.data[pick(c, (uint32_t)out.length)] ^= (uint8_t)(1 + pick(c, 255));
            check_message(c, test_slice(&out), TEST_NOW_UNIX_NS);
        }
    }
    assert_true(c->read_count > c->refused_count && c->refused_count > 100);
    assert_true(c->matched_count > 100);
    buffer_deinit(&out);
    case_free(c);
}

static void made_up_spans_are_read_alike(void **state)
{
    (void)state;
    check_made_up(512, 8192);
}

static void limits_hold_for_patterns(void **state)
{
    (void)state;
    check_made_up(16, 64);
}

/* Forgets what it knew, and gives no id twice: others remember by them. */
static void test_clear(void **state)
{
    static const uint8_t first[] = {0x0a, 0x0b, 0x0a, 0x01, 'a', 0x12, 0x06, 0x0a, 0x04, 'o', 'n', 'e', '1'};
    struct memory_case *c = case_new(512, 8192);
    const struct otlp_resource *read;
    struct otlp_resource room;
    uint64_t before_id;
    uint64_t same_id;
    uint64_t after_id;

    (void)state;
    assert_int_equal(
        otlp_memory_resource(c->memory, &c->scanner, slice_of(first, sizeof first), &room, &read, &before_id),
        0);
    assert_int_equal(
        otlp_memory_resource(c->memory, &c->scanner, slice_of(first, sizeof first), &room, &read, &same_id),
        0);
    assert_true(before_id != 0 && same_id == before_id);
    otlp_memory_clear(c->memory);
    assert_int_equal(
        otlp_memory_resource(c->memory, &c->scanner, slice_of(first, sizeof first), &room, &read, &after_id),
        0);
    assert_true(after_id > before_id);
    case_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_spans_fit_patterns),
        cmocka_unit_test(spans_of_a_pattern_agree),
        cmocka_unit_test(made_up_spans_are_read_alike),
        cmocka_unit_test(limits_hold_for_patterns),
        cmocka_unit_test(test_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
