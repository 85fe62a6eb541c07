/* The ring: what goes in is found again, by trace and by search, until it is written over; the ledger of what
 * is in it; bounds. */
#include "ring_rig.h"

enum { SHARE_BYTES = 1 << 20, TRACE_SPANS_MAX = 1000 };

static const struct ring_filter everything;

static uint64_t far_deadline(const struct ring_rig *rig)
{
    return rig->clock.now_monotonic_ns + 1000000000;
}

/* How many entries a search finds. */
static uint32_t count_matches(struct ring_rig *rig, const struct ring_filter *filter)
{
    struct ring_cursor cursor = ring_cursor_newest(rig->ring);
    struct ring_entry entry;
    uint32_t count = 0;
    enum ring_step step;

    while ((step = ring_search(rig->ring, &cursor, filter, far_deadline(rig), &entry)) == RING_MATCH) {
        count++;
    }
    assert_int_equal(step, RING_END);
    return count;
}

static void refuses_a_share_without_room(void **state)
{
    struct ring_settings settings = {.share_bytes = RING_SHARE_BYTES_MIN - 1, .spans_count_max = 10};
    struct ring *ring = NULL;

    (void)state;
    assert_int_equal(ring_new(&settings, &ring), WERR_INVALID);
    settings = (struct ring_settings){.share_bytes = RING_SHARE_BYTES_MIN};
    assert_int_equal(ring_new(&settings, &ring), WERR_INVALID);
    assert_null(ring);
    ring_free(NULL);
    ring_tick(NULL);
}

static void is_empty_at_first(void **state)
{
    struct ring_rig rig;
    struct ring_counts counts;
    struct ring_written written;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(1).bytes, NULL), WERR_NOT_FOUND);
    assert_null(rig_read(&rig, 1, NULL, &written));
    assert_int_equal(count_matches(&rig, &everything), 0);
    ring_count(rig.ring, &counts);
    assert_int_equal(counts.spans_count, 0);
    assert_int_equal(counts.bytes, 0);
    assert_int_equal(counts.reach_ns, 0);
    ring_tick(rig.ring);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_REACH), 0);
    ring_rig_deinit(&rig);
}

static void finds_a_trace(void **state)
{
    struct ring_rig rig;
    struct ring_trace trace;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 300; i++) {
        assert_true(rig_add(&rig, "shop", i % 100, i, RIG_NOW_UNIX_NS - 100 * RIG_MS_NS + i * RIG_MS_NS,
            i * 1000, slice_of(NULL, 0)));
    }
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(i).bytes, &trace), 0);
        assert_int_equal(trace.spans_count, 3);
        assert_int_equal(trace.not_kept_count, 3);
        assert_false(trace.is_cut);
        assert_int_equal(trace.start_unix_ns, RIG_NOW_UNIX_NS - 100 * RIG_MS_NS + i * RIG_MS_NS);
        assert_int_equal(
            trace.end_unix_ns, RIG_NOW_UNIX_NS - 100 * RIG_MS_NS + (i + 200) * RIG_MS_NS + (i + 200) * 1000);
        assert_true(ring_has_span(rig.ring, rig_trace_id(i).bytes, rig_span_id(i + 100).bytes));
        assert_false(ring_has_span(rig.ring, rig_trace_id(i).bytes, rig_span_id(i + 1).bytes));
    }
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(100).bytes, &trace), WERR_NOT_FOUND);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_STORED_SPANS), 300);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_RING_SPANS), 300);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* The ring's hash is told nothing but these ids: with so few heads, chains are shared. */
static void tells_traces_of_one_chain_apart(void **state)
{
    struct ring_rig rig;
    uint32_t shared_count = 0;

    (void)state;
    ring_rig_init(&rig, RING_SHARE_BYTES_MIN, TRACE_SPANS_MAX);
    uint32_t heads_count = rig.ring->heads_mask + 1;
    struct ring_hash first = ring_hash_of(rig.ring, rig_trace_id(0).bytes);
    assert_true(rig_add_plain(&rig, 0, 0));
    for (uint64_t i = 1; i < heads_count * 3; i++) {
        if (ring_hash_of(rig.ring, rig_trace_id(i).bytes).head == first.head) {
            assert_true(rig_add_plain(&rig, i, i));
            shared_count++;
        }
    }
    /* the same fingerprint and chain, another id: as if the hash of both were one */
    struct block_view view;
    uint32_t index;
    assert_true(ring_entry_of_number(rig.ring, rig.ring->heads[first.head], &view, &index));
    if (shared_count > 0) {
        block_entry_at(rig.ring->block, rig.ring->block_bytes, index)->fingerprint = first.fingerprint;
    }
    struct ring_trace trace;
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(0).bytes, &trace), 0);
    assert_int_equal(trace.spans_count, 1);
    ring_rig_deinit(&rig);
}

static void writes_over_the_oldest(void **state)
{
    struct ring_rig rig;
    struct ring_counts counts;
    uint64_t i;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (i = 0; i < 20000; i++) {
        assert_true(rig_add_plain(&rig, i, i));
        clock_manual_advance(&rig.clock, RIG_MS_NS);
        assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(i).bytes, NULL), 0);
        ring_rig_check_ledger(&rig);
    }
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(0).bytes, NULL), WERR_NOT_FOUND);
    ring_count(rig.ring, &counts);
    assert_true(counts.spans_count < 20000 && counts.spans_count > 2000);
    assert_true(counts.bytes <= SHARE_BYTES);
    assert_true(counts.bytes > SHARE_BYTES / 2);
    /* exactly the newest are there */
    for (i = 0; i < 20000; i++) {
        bool is_there = ring_find_trace(rig.ring, rig_trace_id(i).bytes, NULL) == 0;
        assert_int_equal(is_there, i >= 20000 - counts.spans_count);
    }
    assert_int_equal(count_matches(&rig, &everything), counts.spans_count);
    assert_int_equal(counts.reach_ns, counts.spans_count * RIG_MS_NS);
    assert_int_equal(counts.oldest_unix_ns, rig.clock.now_unix_ns - counts.reach_ns);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_RING_SPANS), counts.spans_count);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_EXPIRED_SPANS), 20000 - counts.spans_count);
    ring_tick(rig.ring);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_REACH), counts.spans_count);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_RING_BYTES), counts.bytes);
    ring_rig_deinit(&rig);
}

/* The sequence's low bits come round long before anything else does; what is found stays right. */
static void goes_round_in_sequence_numbers(void **state)
{
    struct ring_rig rig;
    struct ring_trace trace;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    /* as if that many blocks had been filled */
    rig.ring->sequence = (1u << RING_SEQUENCE_BITS) - 3;
    rig.ring->oldest = rig.ring->sequence + 1;
    for (uint64_t i = 0; i < 20000; i++) {
        assert_true(rig_add_plain(&rig, i / 10, i));
        assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(i / 10).bytes, &trace), 0);
        assert_int_equal(trace.spans_count, i % 10 + 1);
    }
    assert_true(rig.ring->sequence > 1u << RING_SEQUENCE_BITS);
    ring_rig_deinit(&rig);
}

/* ---- bounds ---- */

static void does_not_store_a_giant(void **state)
{
    struct ring_rig rig;
    size_t length = 600000;
    char *text = malloc(length);
    struct ring_trace trace;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', length);
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    assert_true(rig_add_plain(&rig, 1, 1));
    uint64_t sequence = rig.ring->sequence;
    for (uint64_t i = 0; i < 100; i++) {
        assert_false(
            rig_add(&rig, "shop", 1, 2 + i, RIG_NOW_UNIX_NS, 0, slice_of(text, i % 2 == 0 ? length : 40000)));
    }
    assert_int_equal(rig.ring->sequence, sequence); /* not one block was given up for them */
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_NOT_STORED_OVERSIZED), 100);
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(1).bytes, &trace), 0);
    assert_int_equal(trace.spans_count, 1);
    /* the largest that is let in always has room */
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(
            rig_add(&rig, "shop", 3, i, RIG_NOW_UNIX_NS, 0, slice_of(text, rig.ring->span_bytes_max - 200)));
    }
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
    free(text);
}

static void does_not_store_a_giant_envelope(void **state)
{
    struct ring_rig rig;
    struct buffer spans;
    struct buffer message;
    size_t length = 100000;
    char *text = calloc(1, length + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', length);
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        buffer_init(&spans, RIG_MESSAGE_BYTES_MAX);
        buffer_init(&message, RIG_MESSAGE_BYTES_MAX);
        for (uint64_t i = 0; i < 10; i++) {
            rig_put_span(&spans, 1, i, RIG_NOW_UNIX_NS, 5, slice_of(NULL, 0));
        }
        rig_wrap(
            &message, in_scope ? "shop" : text, in_scope ? text : "test", slice_of(spans.data, spans.length));
        /* behind the giant comes one of usual size */
        rig_wrap(&message, "shop", "test", slice_of(spans.data, spans.length));
        rig_take(&rig, slice_of(message.data, message.length));
        assert_int_equal(rig.seen_count, 20);
        assert_int_equal(rig.stored_count, 10);
        buffer_deinit(&spans);
        buffer_deinit(&message);
    }
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_NOT_STORED_OVERSIZED), 20);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
    free(text);
}

static void bounds_the_walk_of_a_giant_trace(void **state)
{
    struct ring_rig rig;
    struct ring_trace trace;
    struct ring_written written;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, 100);
    for (uint64_t i = 0; i < 250; i++) {
        assert_true(rig_add_plain(&rig, 1, i));
    }
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(1).bytes, &trace), 0);
    assert_int_equal(trace.spans_count, 100);
    assert_true(trace.is_cut);
    Otlp__ExportTraceServiceRequest *request = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(rig_span_count(request), 100);
    assert_true(written.is_cut);
    rig_free(request);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_WALKS_CUT), 2);
    ring_rig_deinit(&rig);
}

/* Texts that no span has had before, each in a block of its own at worst. */
static void bounds_names(void **state)
{
    struct ring_rig rig;
    struct ring_counts counts;
    char service[32];
    char route[2000];

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    memset(route, 'r', sizeof route);
    rig.note.service = rig.note.route = INTERNED_NONE;
    for (uint64_t i = 0; i < 20000; i++) {
        (void)snprintf(service, sizeof service, "service %llu", (unsigned long long)i);
        (void)snprintf(route, 20, "%llu", (unsigned long long)i);
        rig.note.service_text = slice_of_string(service);
        rig.note.route_text = slice_of(route, i % 2 == 0 ? sizeof route : 10);
        assert_true(rig_add_plain(&rig, i, i));
    }
    struct ring_filter filter = {.service = SLICE_LITERAL("service 19999")};
    assert_int_equal(count_matches(&rig, &filter), 1);
    ring_count(rig.ring, &counts);
    assert_true(counts.bytes <= SHARE_BYTES);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* Everything at once, of everything too much: what is mapped at the start is all there ever is. */
static void stays_within_its_share(void **state)
{
    struct ring_rig rig;
    struct ring_counts counts;
    char *text = malloc(20000);
    uint64_t random = 88172645463325252ull;

    (void)state;
    assert_non_null(text);
    memset(text, 'y', 20000);
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    assert_true(rig.ring->memory_bytes <= SHARE_BYTES);
    for (uint64_t i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t trace = random % 4 == 0 ? 7 : random;
        if (random % 3 == 0) {
            struct request request = rig_request(&rig, trace, random);
            request.signal = random % 2 == 0 ? REQUEST_FROM_LOG : REQUEST_FROM_SPAN;
            request.response_flags = random & 8;
            assert_true(ring_add_request(rig.ring, &request, NULL, 0, false));
        } else {
            (void)rig_add(&rig, random % 5 == 0 ? "cart" : "shop", trace, i, RIG_NOW_UNIX_NS, random >> 40,
                slice_of(text, random % 20000));
        }
        if (i % 500 == 0) {
            struct ring_written written;
            rig_free(rig_read(&rig, trace, &(struct ring_write){.marks_kept = true}, &written));
            ring_count(rig.ring, &counts);
            assert_true(counts.bytes <= SHARE_BYTES);
            assert_int_equal(count_matches(&rig, &everything), counts.spans_count);
        }
        ring_rig_check_ledger(&rig);
    }
    assert_true(ring_rig_get(&rig, METRIC_TRACE_EXPIRED_LOGS) > 0);
    ring_rig_deinit(&rig);
    free(text);
}

/* ---- requests ---- */

static void refuses_requests_of_no_trace(void **state)
{
    struct ring_rig rig;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    struct request request = rig_request(&rig, 1, 1);
    memset(request.span_id, 0, sizeof request.span_id);
    assert_false(ring_add_request(rig.ring, &request, NULL, 0, false));
    request.signal = REQUEST_FROM_LOG;
    assert_true(ring_add_request(rig.ring, &request, NULL, 0, false));
    memset(request.trace_id, 0, sizeof request.trace_id);
    assert_false(ring_add_request(rig.ring, &request, NULL, 0, false));
    request.signal = REQUEST_FROM_SPAN;
    assert_false(ring_add_request(rig.ring, &request, NULL, 0, false));
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_NOT_STORED_NO_TRACE), 2);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_STORED_LOGS), 1);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_STORED_SPANS), 0);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* An id whose string is gone, or that never was one, is no name. */
static void stands_stale_names(void **state)
{
    struct ring_rig rig;
    struct ring_entry entry;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    struct request request = rig_request(&rig, 1, 1);
    request.source = INTERNED_FULL;
    request.route = 0x55000123;
    assert_true(ring_add_request(rig.ring, &request, NULL, 0, false));
    struct ring_cursor cursor = ring_cursor_newest(rig.ring);
    assert_int_equal(ring_search(rig.ring, &cursor, &everything, far_deadline(&rig), &entry), RING_MATCH);
    assert_int_equal(entry.service.length, 0);
    assert_int_equal(entry.route.length, 0);
    ring_rig_deinit(&rig);
}

static void keeps_all_of_a_request(void **state)
{
    static const uint8_t parent_id[8] = {9, 8, 7, 6, 5, 4, 3, 2};
    struct ring_rig rig;
    struct ring_entry entry;
    struct otlp_encode_span span;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    struct request request = rig_request(&rig, 1, 1);
    request.outcome = OUTCOME_SERVER_ERROR;
    request.response_code = 503;
    request.response_flags = 0x42;
    request.reporter = REPORTER_DESTINATION;
    request.destination_namespace = interner_intern(rig.interner, SLICE_LITERAL("prod"));
    assert_true(ring_add_request(rig.ring, &request, parent_id, 1ull << 55, true));
    struct ring_cursor cursor = ring_cursor_newest(rig.ring);
    assert_int_equal(ring_search(rig.ring, &cursor, &everything, far_deadline(&rig), &entry), RING_MATCH);
    assert_memory_equal(entry.trace_id, request.trace_id, 16);
    assert_memory_equal(entry.span_id, request.span_id, 8);
    assert_int_equal(entry.start_unix_ns, request.start_unix_ns);
    assert_int_equal(entry.duration_ns, request.duration_ns);
    assert_int_equal(entry.response_flags, 0x42);
    assert_int_equal(entry.response_code, 503);
    assert_int_equal(entry.outcome, OUTCOME_SERVER_ERROR);
    assert_int_equal(entry.role, RING_REQUEST);
    assert_int_equal(entry.form, RING_FORM_NATIVE);
    assert_int_equal(entry.span_kind, SPAN_KIND_SERVER);
    assert_true(entry.is_error && entry.is_kept);
    assert_true(slice_equal(entry.service, SLICE_LITERAL("cart")));
    assert_true(slice_equal(entry.route, SLICE_LITERAL("/cart/{id}")));
    assert_true(ring_entry_request(&entry, &span));
    assert_int_equal(span.reporter, OTLP_ENCODE_DESTINATION);
    assert_true(slice_equal(span.source, SLICE_LITERAL("shop")));
    assert_int_equal(span.source_namespace.length, 0); /* unknown */
    assert_true(slice_equal(span.destination, SLICE_LITERAL("cart")));
    assert_true(slice_equal(span.destination_namespace, SLICE_LITERAL("prod")));
    assert_true(slice_equal(span.method, SLICE_LITERAL("GET")));
    assert_true(slice_equal(span.protocol, SLICE_LITERAL("http2")));
    assert_int_equal(span.attempts, 2);
    assert_int_equal(span.request_bytes, 11);
    assert_int_equal(span.response_bytes, 4567);
    assert_int_equal(span.grpc_status, GRPC_STATUS_NONE);
    assert_int_equal(span.sampling_threshold, 1ull << 55);
    assert_memory_equal(span.parent_id, parent_id, 8);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_KEPT_SPANS), 1);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* ---- search ---- */

static void put_variety(struct ring_rig *rig)
{
    for (uint64_t i = 0; i < 400; i++) {
        rig->note = (struct ring_note){
            .service = i % 2 == 0 ? rig->shop : rig->cart,
            .route = rig->route,
            .outcome = (uint8_t)(i % 10 == 0 ? OUTCOME_SERVER_ERROR : OUTCOME_OK),
            .role = (uint8_t)(i % 4 == 3 ? RING_ATTEMPT : RING_REQUEST),
            .response_flags = i % 20 == 5   ? 4
                              : i % 20 == 6 ? 8
                                            : 0,
        };
        if (i % 5 == 0) {
            rig->note.route = INTERNED_NONE;
            rig->note.route_text = SLICE_LITERAL("/list");
        }
        assert_true(rig_add(rig, "shop", i, i, RIG_NOW_UNIX_NS - 400 * RIG_MS_NS + i * RIG_MS_NS,
            i * RIG_MS_NS, slice_of(NULL, 0)));
    }
}

static void searches_by_each_filter(void **state)
{
    struct ring_rig rig;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    put_variety(&rig);
    const struct {
        struct ring_filter filter;
        uint32_t count;
    } cases[] = {
        {{.only_errors = false}, 400},
        {{.service = SLICE_LITERAL("shop")}, 200},
        {{.service = SLICE_LITERAL("sho")}, 0},
        {{.route = SLICE_LITERAL("/list")}, 80},
        {{.route = SLICE_LITERAL("/cart/"), .route_is_prefix = true}, 320},
        {{.route = SLICE_LITERAL("/cart/")}, 0},
        {{.service = SLICE_LITERAL("cart"), .route = SLICE_LITERAL("/list")}, 40},
        {{.duration_min_ns = 100 * RIG_MS_NS}, 300},
        {{.duration_min_ns = 100 * RIG_MS_NS + 1}, 299},
        {{.duration_max_ns = 100 * RIG_MS_NS}, 101},
        {{.duration_max_ns = 100 * RIG_MS_NS - 1}, 100},
        {{.duration_min_ns = 7 * RIG_MS_NS, .duration_max_ns = 9 * RIG_MS_NS}, 3},
        {{.start_min_unix_ns = RIG_NOW_UNIX_NS - 100 * RIG_MS_NS}, 100},
        {{.start_min_unix_ns = RIG_NOW_UNIX_NS - 100 * RIG_MS_NS + 1}, 99},
        {{.start_max_unix_ns = RIG_NOW_UNIX_NS - 100 * RIG_MS_NS}, 301},
        {{.start_min_unix_ns = RIG_NOW_UNIX_NS + 1}, 0},
        {{.start_max_unix_ns = 1}, 0},
        {{.only_errors = true}, 40},
        {{.response_flags = 4}, 20},
        {{.response_flags = 12}, 40},
        {{.response_flags = 16}, 0},
        {{.outcomes = 1u << OUTCOME_SERVER_ERROR}, 40},
        {{.outcomes = 1u << OUTCOME_CLIENT_ERROR}, 0},
        {{.roles = 1u << RING_ATTEMPT}, 100},
        {{.roles = 1u << RING_NEITHER}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t count = count_matches(&rig, &cases[i].filter);
        if (count != cases[i].count) {
            print_error("case %zu finds %u\n", i, count);
        }
        assert_int_equal(count, cases[i].count);
    }
    ring_rig_deinit(&rig);
}

static void finds_the_newest_first(void **state)
{
    struct ring_rig rig;
    struct ring_entry entry;
    uint64_t expected = 400;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    put_variety(&rig);
    struct ring_cursor cursor = ring_cursor_newest(rig.ring);
    while (ring_search(rig.ring, &cursor, &everything, far_deadline(&rig), &entry) == RING_MATCH) {
        expected--;
        assert_memory_equal(entry.trace_id, rig_trace_id(expected).bytes, 16);
        assert_memory_equal(entry.span_id, rig_span_id(expected).bytes, 8);
        assert_int_equal(entry.duration_ns, expected * RIG_MS_NS);
        assert_int_equal(entry.form, RING_FORM_OTLP);
        assert_int_equal(entry.span_kind, SPAN_KIND_SERVER);
        assert_true(entry.raw.length > 50 && entry.resource_fields.length > 0);
        struct otlp_encode_span span;
        assert_false(ring_entry_request(&entry, &span));
    }
    assert_int_equal(expected, 0);
    assert_int_equal(cursor.block, RING_CURSOR_END);
    assert_int_equal(ring_search(rig.ring, &cursor, &everything, far_deadline(&rig), &entry), RING_END);
    ring_rig_deinit(&rig);
}

/* A clock that moves by a millisecond each time it is asked. */
static uint64_t ticking(const struct clock *clock)
{
    struct clock_manual *manual = (struct clock_manual *)(uintptr_t)clock;

    manual->now_monotonic_ns += RIG_MS_NS;
    return manual->now_monotonic_ns;
}

static void searches_in_slices(void **state)
{
    struct ring_rig rig;
    struct ring_entry entry;
    uint32_t pauses_count = 0;
    uint32_t matches_count = 0;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 3000; i++) {
        rig.note.service = i % 100 == 50 ? rig.cart : rig.shop;
        assert_true(rig_add_plain(&rig, i, i));
    }
    rig.clock.clock.monotonic_ns = ticking;
    struct ring_filter filter = {.service = SLICE_LITERAL("cart")};
    struct ring_cursor cursor = ring_cursor_newest(rig.ring);
    for (;;) {
        /* room for two looks at the clock: at the begin, and somewhere on the way */
        enum ring_step step =
            ring_search(rig.ring, &cursor, &filter, rig.clock.now_monotonic_ns + 2 * RIG_MS_NS, &entry);
        if (step == RING_END) {
            break;
        }
        pauses_count += step == RING_PAUSE;
        matches_count += step == RING_MATCH;
    }
    assert_int_equal(matches_count, 30);
    assert_true(pauses_count > 5);
    /* with no time at all it does nothing, and says so */
    cursor = ring_cursor_newest(rig.ring);
    assert_int_equal(ring_search(rig.ring, &cursor, &filter, 0, &entry), RING_PAUSE);
    ring_rig_deinit(&rig);
}

/* What a waiting search has still to look at may be written over. */
static void a_cursor_outlives_its_block(void **state)
{
    struct ring_rig rig;
    struct ring_entry entry;
    uint64_t seen_count = 0;
    uint64_t last = 2000;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 2000; i++) {
        assert_true(rig_add_plain(&rig, i, i));
    }
    struct ring_cursor cursor = ring_cursor_newest(rig.ring);
    for (uint64_t added = 2000;; added += 10) {
        enum ring_step step = ring_search(rig.ring, &cursor, &everything, far_deadline(&rig), &entry);
        if (step == RING_END) {
            break;
        }
        uint64_t number;
        memcpy(&number, entry.trace_id + 4, sizeof number);
        assert_int_equal(number, last - 1); /* each once, in order, none that came later */
        last = number;
        seen_count++;
        for (uint64_t i = 0; i < 10; i++) {
            assert_true(rig_add_plain(&rig, added + i, added + i));
        }
    }
    assert_true(seen_count > 0 && seen_count < 2000);
    /* one that waits for ever: all its blocks are others now */
    cursor = ring_cursor_newest(rig.ring);
    for (uint64_t i = 0; i < 20000; i++) {
        assert_true(rig_add_plain(&rig, i, i));
    }
    assert_int_equal(ring_search(rig.ring, &cursor, &everything, far_deadline(&rig), &entry), RING_END);
    ring_rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_a_share_without_room),
        cmocka_unit_test(is_empty_at_first),
        cmocka_unit_test(finds_a_trace),
        cmocka_unit_test(tells_traces_of_one_chain_apart),
        cmocka_unit_test(writes_over_the_oldest),
        cmocka_unit_test(goes_round_in_sequence_numbers),
        cmocka_unit_test(does_not_store_a_giant),
        cmocka_unit_test(does_not_store_a_giant_envelope),
        cmocka_unit_test(bounds_the_walk_of_a_giant_trace),
        cmocka_unit_test(bounds_names),
        cmocka_unit_test(stays_within_its_share),
        cmocka_unit_test(refuses_requests_of_no_trace),
        cmocka_unit_test(stands_stale_names),
        cmocka_unit_test(keeps_all_of_a_request),
        cmocka_unit_test(searches_by_each_filter),
        cmocka_unit_test(finds_the_newest_first),
        cmocka_unit_test(searches_in_slices),
        cmocka_unit_test(a_cursor_outlives_its_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
