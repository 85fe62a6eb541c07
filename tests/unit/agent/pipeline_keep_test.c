/* Which traces leave a shard: whole ones that a trigger is for, once, with the reason on each span; what
 * waits for them, what others tell, what is limited. */
#include "otlp_message.h"

#include "../decode/als_message.h"
#include "native_client.h"

#define LINGER_NS (30 * RIG_SECOND_NS)
#define NODE_ID "sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local"

enum { RING_BYTES = 16 << 20, SPANS_MAX = 20000 };

/* What the rig's pipeline told others. */
struct told {
    uint32_t count;
    struct kept_notice last;
};

static void tell(void *user, const struct kept *kept)
{
    struct told *told = user;

    told->count += kept->batch_count;
    told->last = kept->batch[kept->batch_count - 1];
}

static void start(struct rig *rig, struct told *told, bool kept_only)
{
    rig_init(rig);
    *told = (struct told){.count = 0};
    rig->ring_bytes = RING_BYTES;
    rig->keep = (struct pipeline_keep_config){
        .is_on = true,
        .is_first = true,
        .kept_only = kept_only,
        .linger_ns = LINGER_NS,
        .triggers = {.slow_ns = RIG_SECOND_NS,
            .baseline_threshold = SAMPLING_THRESHOLD_END,
            .rate_per_s = 1000},
        .tell = tell,
        .user = told,
    };
    rig_start(rig, rig_exporting);
    assert_true(rig->pipeline.keep.is_on);
    assert_int_equal(rig->pipeline.keep.kept_only, kept_only);
}

/* ---- spans in ---- */

struct one {
    uint32_t trace;
    uint32_t span;
    bool is_error;
    uint8_t kind; /* 0: client */
    const char *tracestate;
    const char *key; /* an attribute more */
    const char *value;
    size_t padding_bytes;
};

static void put_one(struct buffer *out, const struct one *one)
{
    uint8_t trace_id[16] = {9};
    uint8_t span_id[8] = {9};
    struct wire_envelope span = wire_envelope_begin(out, 2, 200);

    memcpy(trace_id + 4, &one->trace, sizeof one->trace);
    memcpy(span_id + 4, &one->span, sizeof one->span);
    wire_write_bytes(out, 1, slice_of(trace_id, sizeof trace_id));
    wire_write_bytes(out, 2, slice_of(span_id, sizeof span_id));
    if (one->tracestate != NULL) {
        wire_write_bytes(out, 3, slice_of_string(one->tracestate));
    }
    wire_write_bytes(out, 5, SLICE_LITERAL("GET /cart"));
    wire_write_varint(out, 6, one->kind != 0 ? one->kind : SPAN_KIND_CLIENT);
    wire_write_fixed64(out, 7, RIG_NOW_UNIX_NS - 5000000);
    wire_write_fixed64(out, 8, RIG_NOW_UNIX_NS - 1000000);
    put_attribute(out, 9, "http.request.method", "GET");
    if (one->key == NULL || strcmp(one->key, "http.response.status_code") != 0) {
        put_attribute(out, 9, "http.response.status_code", "200"); /* without one nobody answered */
    }
    if (one->key != NULL) {
        put_attribute(out, 9, one->key, one->value);
    }
    if (one->padding_bytes > 0) {
        char *padding = calloc(1, one->padding_bytes + 1);

        memset(padding, 'p', one->padding_bytes);
        put_attribute(out, 9, "padding", padding);
        free(padding);
    }
    if (one->is_error) {
        struct wire_envelope status = wire_envelope_begin(out, 15, 2);
        wire_write_varint(out, 3, SPAN_STATUS_ERROR);
        wire_envelope_end(out, status);
    }
    wire_envelope_end(out, span);
}

static void send_spans(struct rig *rig, const struct one *spans, size_t count)
{
    struct message message;
    struct otlp_outcome outcome;

    message_begin(&message, "opentelemetry");
    for (size_t i = 0; i < count; i++) {
        put_one(&message.bytes, &spans[i]);
    }
    assert_int_equal(pipeline_otlp_traces(&rig->pipeline, &rig->sender, message_end(&message), &outcome), 0);
    assert_int_equal(outcome.spans_count, count);
    message_deinit(&message);
}

#define SEND(rig, ...)                                                                                       \
    send_spans(rig, (const struct one[]){__VA_ARGS__},                                                       \
        sizeof((const struct one[]){__VA_ARGS__}) / sizeof(struct one))

/* ---- spans out ---- */

struct left {
    uint32_t count;
    uint32_t traces[SPANS_MAX];
    char kept[128]; /* of the last */
    char tracestate[64];
    char first_tracestate[64];
    bool has_text; /* somewhere in what left stands what was looked for */
};

static const Otlp__KeyValue *attribute_of(const Otlp__Span *span, const char *key)
{
    for (size_t i = 0; i < span->n_attributes; i++) {
        if (strcmp(span->attributes[i]->key, key) == 0) {
            return span->attributes[i];
        }
    }
    return NULL;
}

static void read_span(const Otlp__Span *span, struct left *left)
{
    const Otlp__KeyValue *kept = attribute_of(span, "weft.kept");

    assert_true(left->count < SPANS_MAX);
    memcpy(&left->traces[left->count++], span->trace_id.data + 4, sizeof(uint32_t));
    left->kept[0] = '\0';
    if (kept != NULL) {
        assert_int_equal(kept->value->value_case, OTLP__ANY_VALUE__VALUE_STRING_VALUE);
        (void)snprintf(left->kept, sizeof left->kept, "%s", kept->value->string_value);
    }
    (void)snprintf(left->tracestate, sizeof left->tracestate, "%s", span->trace_state);
    if (left->count == 1) {
        memcpy(left->first_tracestate, left->tracestate, sizeof left->tracestate);
    }
}

/* What is in the segment now, which is emptied. */
static void take_left(struct rig *rig, struct left *left, const char *looked_for)
{
    struct buffer *bytes = &rig->pipeline.segment.bytes;

    *left = (struct left){.count = 0};
    do {
        pipeline_keep_flush(&rig->pipeline);
    } while (rig->pipeline.keep.kept.waiting_count > 0);
    if (bytes->length == 0) {
        assert_int_equal(rig->pipeline.segment.span_count, 0);
        return;
    }
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, bytes->length, bytes->data);
    assert_non_null(request);
    left->has_text =
        looked_for != NULL && memmem(bytes->data, bytes->length, looked_for, strlen(looked_for)) != NULL;
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        const Otlp__ResourceSpans *resource = request->resource_spans[i];

        for (size_t j = 0; j < resource->n_scope_spans; j++) {
            for (size_t k = 0; k < resource->scope_spans[j]->n_spans; k++) {
                read_span(resource->scope_spans[j]->spans[k], left);
            }
        }
    }
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    assert_int_equal(rig->pipeline.segment.span_count, left->count);
    span_segment_flush(&rig->pipeline.segment);
}

static uint32_t count_of(const struct left *left, uint32_t trace)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < left->count; i++) {
        count += left->traces[i] == trace;
    }
    return count;
}

static struct left left_storage;

static const struct left *leaves(struct rig *rig)
{
    take_left(rig, &left_storage, NULL);
    return &left_storage;
}

static void stop(struct rig *rig)
{
    rig_check_stored(rig);
    rig_stop(rig);
}

/* ---- tests ---- */

static void a_kept_trace_leaves_whole_and_once(void **state)
{
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    SEND(&rig, {.trace = 1, .span = 1}, {.trace = 1, .span = 2, .kind = SPAN_KIND_INTERNAL},
        {.trace = 2, .span = 3});
    assert_int_equal(leaves(&rig)->count, 0);
    SEND(&rig, {.trace = 2, .span = 4}, {.trace = 1, .span = 5, .is_error = true}, {.trace = 1, .span = 6});
    const struct left *left = leaves(&rig);
    assert_int_equal(left->count, 4);
    assert_int_equal(count_of(left, 1), 4);
    assert_string_equal(left->kept, "error");
    assert_int_equal(leaves(&rig)->count, 0);

    /* What still comes leaves, and nothing of it twice; another error changes nothing. */
    SEND(&rig, {.trace = 1, .span = 7}, {.trace = 2, .span = 8}, {.trace = 1, .span = 9, .is_error = true});
    left = leaves(&rig);
    assert_int_equal(left->count, 2);
    assert_string_equal(left->kept, "error");
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_ERROR), 1);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_KEPT_SPANS), 6);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), 6);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.last.reasons, TRIGGER_BIT(ERROR));

    /* After the linger time it does not. */
    clock_manual_advance(&rig.clock, LINGER_NS);
    SEND(&rig, {.trace = 1, .span = 10});
    assert_int_equal(leaves(&rig)->count, 0);
    /* A new error is a new reason, and what has left does not leave again. */
    SEND(&rig, {.trace = 1, .span = 11, .is_error = true});
    left = leaves(&rig);
    assert_int_equal(left->count, 2);
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_ERROR), 2);
    stop(&rig);
}

static void it_leaves_by_itself_after_a_moment(void **state)
{
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    SEND(&rig, {.trace = 1, .span = 1, .is_error = true});
    assert_int_equal(rig.pipeline.segment.span_count, 0);
    for (int i = 0; i < 1000 && rig.pipeline.segment.span_count == 0; i++) {
        (void)uv_run(&rig.loop, UV_RUN_ONCE); /* the timer's */
    }
    assert_int_equal(rig.pipeline.segment.span_count, 1);
    assert_int_equal(told.count, 1);
    stop(&rig);
}

static void what_waits_at_the_end_leaves(void **state)
{
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    SEND(&rig, {.trace = 1, .span = 1, .is_error = true});
    pipeline_keep_close(&rig.pipeline);
    assert_int_equal(rig.pipeline.segment.span_count, 1);
    assert_int_equal(told.count, 1);
    stop(&rig);
}

static void each_reason_is_told(void **state)
{
    static const struct {
        struct one span;
        const char *kept;
    } rows[] = {
        {{.trace = 1, .is_error = true}, "error"},
        {{.trace = 2, .key = "http.response.status_code", .value = "503"}, "error"},
        {{.trace = 3, .tracestate = "a=b,weft=keep"}, "mark"},
        {{.trace = 4, .key = "weft.keep", .value = "true"}, "mark"},
        {{.trace = 5, .key = "weft.keep", .value = "false"}, NULL},
        {{.trace = 6, .kind = SPAN_KIND_INTERNAL, .tracestate = "weft=keep", .is_error = true}, "error,mark"},
        {{.trace = 7, .tracestate = "\x01,,=;garbage"}, NULL},
        {{.trace = 8, .key = "http.response.status_code", .value = "404"}, NULL},
        {{.trace = 9, .key = "baggage", .value = "a=b, weft=keep;c"}, "mark"},
        {{.trace = 10, .key = "http.request.header.baggage", .value = "weft.keep=true"}, "mark"},
        {{.trace = 11, .key = "baggage", .value = "weft=drop,a=weft"}, NULL},
    };
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct one span = rows[i].span;

        span.span = (uint32_t)i + 1;
        send_spans(&rig, &span, 1);
        const struct left *left = leaves(&rig);
        assert_int_equal(left->count, rows[i].kept != NULL);
        assert_true(rows[i].kept == NULL || strcmp(left->kept, rows[i].kept) == 0);
    }
    stop(&rig);
}

/* Of the shard's own baseline: all of the traces that the tracestate puts into the share, none else. */
static void the_baseline_keeps_its_share(void **state)
{
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    rig.pipeline.keep.triggers.settings.baseline_threshold = baseline_threshold(1000000);
    SEND(&rig, {.trace = 1, .span = 1, .tracestate = "ot=rv:fffffffffffff0"},
        {.trace = 2, .span = 2, .tracestate = "ot=rv:00000000000000"}, {.trace = 1, .span = 3});
    const struct left *left = leaves(&rig);
    assert_int_equal(left->count, 2);
    assert_int_equal(count_of(left, 1), 2);
    assert_string_equal(left->kept, "baseline");
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_BASELINE), 1);
    stop(&rig);
}

/* What a back-end counts a span for: 1,000 where it is of the share, nothing known where it is not. */
static void weights_leave_with_the_spans(void **state)
{
    static const struct {
        const char *tracestate;
        bool is_error;
        const char *leaves;
    } rows[] = {
        {"ot=rv:fffffffffffff0", false, "ot=th:ffbe77;rv:fffffffffffff0"},
        {"a=b,ot=th:c;rv:fffffffffffff0", true, "ot=th:ffbe77;rv:fffffffffffff0,a=b"},
        {"ot=th:ffff;rv:fffffffffffff0", false, "ot=th:ffff;rv:fffffffffffff0"},
        {"ot=th:8;rv:90000000000000,a=b", true, "ot=rv:90000000000000,a=b"},
        {"ot=th:0", true, ""},
        {"a=b", true, "a=b"},
        {NULL, true, ""},
    };
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    rig.pipeline.keep.triggers.settings.baseline_threshold = baseline_threshold(1000000);
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        /* with something to redact, the spans take another way */
        SEND(&rig,
            {.trace = i + 1,
                .span = 2 * i + 1,
                .is_error = rows[i].is_error,
                .tracestate = rows[i].tracestate},
            {.trace = i + 1,
                .span = 2 * i + 2,
                .tracestate = rows[i].tracestate,
                .key = "url.full",
                .value = "http://a/?b"});
        const struct left *left = leaves(&rig);
        assert_int_equal(left->count, 2);
        assert_string_equal(left->tracestate, rows[i].leaves);
        assert_string_equal(left->first_tracestate, rows[i].leaves);
    }
    stop(&rig);
}

static void first_requests_of_a_series_are_rare(void **state)
{
    struct rig rig;
    struct told told;

    (void)state;
    rig_init(&rig);
    rig.ring_bytes = RING_BYTES;
    rig.keep = (struct pipeline_keep_config){.is_on = true,
        .kept_only = true,
        .rare_count = 2,
        .linger_ns = LINGER_NS,
        .triggers = {.baseline_threshold = SAMPLING_THRESHOLD_END, .rate_per_s = 10},
        .tell = tell,
        .user = &told};
    told = (struct told){.count = 0};
    rig_start(&rig, rig_exporting);
    for (uint32_t i = 1; i <= 5; i++) {
        SEND(&rig, {.trace = i, .span = i});
        const struct left *left = leaves(&rig);
        assert_int_equal(left->count, i <= 2);
        assert_true(i > 2 || strcmp(left->kept, "rare") == 0);
    }
    SEND(&rig, {.trace = 9, .span = 9, .key = "http.response.status_code", .value = "418"});
    assert_int_equal(leaves(&rig)->count, 1);
    stop(&rig);
}

static void nothing_leaves_that_is_to_be_kept_back(void **state)
{
    struct rig rig;
    struct told told;
    static struct left left;

    (void)state;
    start(&rig, &told, true);
    SEND(&rig,
        {.trace = 1, .span = 1, .is_error = true, .key = "url.full", .value = "http://a/b?token=secret"},
        {.trace = 1, .span = 2, .key = "http.request.header.authorization", .value = "secret"});
    take_left(&rig, &left, "secret");
    assert_int_equal(left.count, 2);
    assert_false(left.has_text);
    assert_string_equal(left.kept, "error");
    stop(&rig);
}

/* export: all. Spans leave as they come, without a reason on them, once; others are told all the same. */
static void all_leave_as_they_came(void **state)
{
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, false);
    SEND(&rig, {.trace = 1, .span = 1}, {.trace = 2, .span = 2, .is_error = true});
    const struct left *left = leaves(&rig);
    assert_int_equal(left->count, 2);
    assert_string_equal(left->kept, "");
    assert_int_equal(leaves(&rig)->count, 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_ERROR), 1);
    stop(&rig);
}

static struct kept_notice notice_of(uint32_t trace, uint32_t reasons)
{
    struct kept_notice notice = {.trace_id = {9}, .reasons = reasons};

    memcpy(notice.trace_id + 4, &trace, sizeof trace);
    return notice;
}

static void what_others_keep_is_kept_here(void **state)
{
    const struct kept_notice notices[] = {notice_of(1, TRIGGER_BIT(SLOW)), notice_of(7, TRIGGER_BIT(PEER)),
        notice_of(1, TRIGGER_BIT(SLOW)), {.reasons = TRIGGER_BIT(PEER)}, notice_of(2, 0),
        notice_of(2, 1u << 31)};
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    SEND(&rig, {.trace = 1, .span = 1}, {.trace = 2, .span = 2});
    pipeline_keep_notices(&rig.pipeline, notices, sizeof notices / sizeof notices[0]);
    const struct left *left = leaves(&rig);
    assert_int_equal(left->count, 1);
    assert_int_equal(left->traces[0], 1);
    assert_string_equal(left->kept, "slow");
    pipeline_keep_notices(&rig.pipeline, notices, 1);
    assert_int_equal(leaves(&rig)->count, 0); /* a notice that comes twice */
    SEND(&rig, {.trace = 7, .span = 3}, {.trace = 2, .span = 4}, {.trace = 1, .span = 5, .is_error = true});
    left = leaves(&rig);
    assert_int_equal(left->count, 2);
    assert_int_equal(count_of(left, 2), 0);
    assert_int_equal(told.count, 0); /* it is the one who decided that tells, and counts */
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_SLOW), 0);
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_PEER), 1);
    pipeline_keep_notices(
        &rig.pipeline, &(struct kept_notice){.trace_id = {1}, .reasons = TRIGGER_BIT(OPERATOR)}, 1);
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_OPERATOR), 1);
    rig.pipeline.keep.is_first = false;
    pipeline_keep_notices(
        &rig.pipeline, &(struct kept_notice){.trace_id = {2}, .reasons = TRIGGER_BIT(OPERATOR)}, 1);
    assert_int_equal(rig_get(&rig, METRIC_TRACES_KEPT_OPERATOR), 1);
    stop(&rig);
}

static void storms_are_limited_and_counted(void **state)
{
    enum { TRACES = 5000, PER_MESSAGE = 100 };
    struct rig rig;
    struct told told;
    struct one spans[PER_MESSAGE];
    uint32_t left_count = 0;

    (void)state;
    start(&rig, &told, true);
    for (uint32_t at = 0; at < TRACES; at += PER_MESSAGE) {
        for (uint32_t i = 0; i < PER_MESSAGE; i++) {
            spans[i] = (struct one){.trace = at + i + 1, .span = at + i + 1, .is_error = true};
        }
        send_spans(&rig, spans, PER_MESSAGE);
        left_count += leaves(&rig)->count;
    }
    uint64_t kept = rig_get(&rig, METRIC_TRACES_KEPT_ERROR);
    assert_in_range(kept, 1000, 2000); /* the burst: two seconds' worth, the service's half of it at least */
    assert_int_equal(left_count, kept);
    assert_int_equal(told.count, kept);
    assert_int_equal(rig_get(&rig, METRIC_TRACES_LIMITED_ERROR), TRACES - kept);
    stop(&rig);
}

/* More kept traces at once than may wait, and more than one letter holds. */
static void many_at_once(void **state)
{
    enum { TRACES = KEPT_WAITING_COUNT_MAX + 700 };
    struct rig rig;
    struct told told;
    struct one *spans = calloc(TRACES, sizeof *spans);

    (void)state;
    assert_non_null(spans);
    start(&rig, &told, true);
    triggers_init(&rig.pipeline.keep.triggers,
        &(struct trigger_settings){.baseline_threshold = SAMPLING_THRESHOLD_END, .rate_per_s = 10000},
        rig.shard_cells, clock_monotonic_ns(&rig.clock.clock));
    for (uint32_t i = 0; i < TRACES; i++) {
        spans[i] = (struct one){.trace = i + 1, .span = i + 1, .is_error = true};
    }
    send_spans(&rig, spans, TRACES);
    uint64_t before = rig.pipeline.segment.span_count + rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED);
    assert_true(before >= KEPT_WAITING_COUNT_MAX);
    const struct left *left = leaves(&rig);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), TRACES);
    assert_true(left->count > 0);
    assert_int_equal(told.count, TRACES);
    free(spans);
    stop(&rig);
}

/* A trace larger than one message may be leaves in several, and not all at once; at the end all at once. */
static void a_giant_trace(void **state)
{
    enum { SPANS = 60, PADDING = 200000 };
    struct rig rig;
    struct told told;

    (void)state;
    start(&rig, &told, true);
    for (uint32_t i = 0; i < SPANS; i++) {
        SEND(&rig, {.trace = 1, .span = i + 1, .padding_bytes = PADDING});
    }
    assert_int_equal(rig_get(&rig, METRIC_TRACE_RING_SPANS), SPANS);
    SEND(&rig, {.trace = 1, .span = SPANS + 1, .is_error = true});
    pipeline_keep_flush(&rig.pipeline);
    span_segment_flush(&rig.pipeline.segment);
    assert_in_range(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), 2, 2 * KEEP_FLUSH_BYTES_MAX / PADDING);
    /* The rest follows by itself, a little at a time, as long as the exporter comes to it. */
    for (int i = 0; i < 20; i++) {
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
    }
    assert_int_equal(rig.pipeline.keep.kept.waiting_count, 1);
    assert_in_range(exporter_thread_behind_bytes(&rig.exporter), KEEP_BEHIND_BYTES_MAX,
        KEEP_BEHIND_BYTES_MAX + KEEP_FLUSH_BYTES_MAX + 2 * PADDING);
    for (int i = 0; i < 1000 && rig.pipeline.keep.kept.waiting_count > 0; i++) {
        (void)uv_run(&rig.exporter.thread.loop, UV_RUN_NOWAIT);
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
    }
    span_segment_flush(&rig.pipeline.segment);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), SPANS + 1);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_RING_SPANS), 0);
    for (uint32_t i = 0; i < SPANS; i++) {
        SEND(&rig, {.trace = 1, .span = 2 * SPANS + i, .padding_bytes = PADDING});
    }
    pipeline_keep_close(&rig.pipeline);
    span_segment_flush(&rig.pipeline.segment);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), 2 * SPANS + 1);
    stop(&rig);
}

static void native_spans_too(void **state)
{
    struct native_rig n = {0};
    struct told told = {.count = 0};
    struct client client;
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;
    uint8_t trace_ids[48] = {1, [16] = 2}; /* the third has none */
    uint8_t span_ids[24] = {1, [8] = 2, [16] = 3};
    uint32_t codes[3] = {200, 503, 503};
    int64_t offsets[3] = {-5000000, -4000000, -3000000};
    uint64_t durations[3] = {1000, 2000, 3000};
    uint32_t reporters[3] = {WEFT__V1__REPORTER__REPORTER_SOURCE, WEFT__V1__REPORTER__REPORTER_SOURCE,
        WEFT__V1__REPORTER__REPORTER_SOURCE};

    (void)state;
    rig_init(&n.rig);
    n.rig.ring_bytes = RING_BYTES;
    n.rig.keep = (struct pipeline_keep_config){.is_on = true,
        .kept_only = true,
        .linger_ns = LINGER_NS,
        .triggers = {.baseline_threshold = SAMPLING_THRESHOLD_END, .rate_per_s = 10},
        .tell = tell,
        .user = &told};
    native_rig_start(&n, rig_exporting);
    client_open(&n, &client, 1, "process/a:1");
    batch.sequence = 1;
    batch.span_count = 3;
    batch.base_time_unix_ns = RIG_NOW_UNIX_NS;
    batch.trace_ids = (ProtobufCBinaryData){.len = sizeof trace_ids, .data = trace_ids};
    batch.span_ids = (ProtobufCBinaryData){.len = sizeof span_ids, .data = span_ids};
    batch.n_start_offset_ns = batch.n_duration_ns = batch.n_reporter = batch.n_response_code = 3;
    batch.start_offset_ns = offsets;
    batch.duration_ns = durations;
    batch.reporter = reporters;
    batch.response_code = codes;
    send_message(&client, NATIVE_TYPE_SPANS, &batch.base, true);
    const struct left *left = leaves(&n.rig);
    assert_int_equal(left->count, 1);
    assert_string_equal(left->kept, "error");
    assert_int_equal(rig_get(&n.rig, METRIC_TRACES_KEPT_ERROR), 1);
    assert_int_equal(told.last.trace_id[0], 2);
    client_close(&client);
    native_rig_stop(&n);
}

/* An entry of an access log makes its trace kept; it is no span, and does not leave as one. */
static void access_logs_trigger_but_do_not_leave(void **state)
{
    struct rig rig;
    struct told told;
    struct peer peer;
    struct grpc_call call = {.connection_user = &peer};
    struct grpc_answer answer = {.code = GRPC_OK};
    struct buffer message;

    (void)state;
    start(&rig, &told, true);
    peer = (struct peer){.pipeline = &rig.pipeline, .sender = rig.sender};
    SEND(&rig, {.trace = 1, .span = 1});
    buffer_init(&message, 1 << 20);
    als_put_identifier(&message, NODE_ID, "web.shop");
    als_put_logs(&message, ALS_HTTP,
        &(struct als_entry_options){.code = 503,
            .type = 6,
            .cluster = "outbound|80||reviews.shop.svc.cluster.local",
            .tag = "trace_id",
            .value = "09000000010000000000000000000000"},
        1);
    assert_int_equal(
        pipeline_als_message(&rig.pipeline, &call, slice_of(message.data, message.length), &answer), 0);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_STORED_LOGS), 1);
    const struct left *left = leaves(&rig);
    assert_int_equal(left->count, 1);
    assert_string_equal(left->kept, "error");
    pipeline_als_closed(&rig.pipeline, &call);
    buffer_deinit(&message);
    stop(&rig);
}

/* Without a ring nothing can be kept: everything leaves, whatever the configuration says. */
static void without_a_ring_everything_leaves(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig.keep = (struct pipeline_keep_config){
        .is_on = true, .kept_only = true, .linger_ns = LINGER_NS, .triggers = {.rate_per_s = 10}};
    rig_start(&rig, rig_exporting);
    assert_false(rig.pipeline.keep.is_on);
    SEND(&rig, {.trace = 1, .span = 1}, {.trace = 2, .span = 2, .is_error = true});
    assert_int_equal(rig.pipeline.segment.span_count, 2);
    pipeline_keep_notices(&rig.pipeline, &(struct kept_notice){.trace_id = {1}, .reasons = 1}, 1);
    stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_trace_leaves_whole_and_once),
        cmocka_unit_test(it_leaves_by_itself_after_a_moment),
        cmocka_unit_test(what_waits_at_the_end_leaves),
        cmocka_unit_test(each_reason_is_told),
        cmocka_unit_test(the_baseline_keeps_its_share),
        cmocka_unit_test(weights_leave_with_the_spans),
        cmocka_unit_test(first_requests_of_a_series_are_rare),
        cmocka_unit_test(nothing_leaves_that_is_to_be_kept_back),
        cmocka_unit_test(all_leave_as_they_came),
        cmocka_unit_test(what_others_keep_is_kept_here),
        cmocka_unit_test(storms_are_limited_and_counted),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(a_giant_trace),
        cmocka_unit_test(native_spans_too),
        cmocka_unit_test(access_logs_trigger_but_do_not_leave),
        cmocka_unit_test(without_a_ring_everything_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
