/* A ring that compresses what has cooled: what is found in it is what a plain ring finds, byte for byte, and
 * for longer; the budget and the ledger hold; damage and what does not get smaller are counted. */
#include "ring_rig.h"

enum { SHARE_BYTES = 1 << 20, TRACE_SPANS_MAX = 1000, SPANS_PER_TRACE = 3, SPAN_COUNT_MAX = 30000 };

static const struct ring_filter everything;

/* As a shard does when it has time. */
static void freeze_all(struct ring_rig *rig)
{
    for (uint32_t i = 0; ring_freeze_is_due(rig->ring); i++) {
        assert_true(i < 100000);
        ring_freeze(rig->ring);
    }
}

/* Of a trace, three spans in three services, the last of them a native one; then some of the next trace. */
static void add_mixed(struct ring_rig *rig, uint64_t number)
{
    static const char *const services[] = {"shop", "cart"};
    uint64_t trace = number / SPANS_PER_TRACE;
    uint64_t duration_ns = (number % 100 + 1) * RIG_MS_NS;

    rig->note.is_error = trace % 50 == 0;
    rig->note.response_flags = trace % 40 == 0 ? 6 : 0;
    rig->note.service = number % 2 == 0 ? rig->shop : rig->cart;
    if (number % SPANS_PER_TRACE < 2) {
        assert_true(rig_add(rig, services[number % 2], trace, number, RIG_NOW_UNIX_NS - RIG_MS_NS * 100,
            duration_ns,
            trace % 10 == 0 ? SLICE_LITERAL("http://cart/?token=secret") : SLICE_LITERAL("http://cart/a/b")));
        return;
    }
    struct request request = rig_request(rig, trace, number);
    request.duration_ns = duration_ns;
    assert_true(ring_add_request(rig->ring, &request, NULL, 0, false));
    request.signal = REQUEST_FROM_LOG;
    assert_true(ring_add_request(rig->ring, &request, NULL, 0, false));
}

/* So many spans in a ring that compresses and in one, larger, that does not. */
static void fill_both(struct ring_rig *frozen, struct ring_rig *plain, uint64_t count)
{
    ring_rig_init_as(frozen, SHARE_BYTES, TRACE_SPANS_MAX, true);
    ring_rig_init(plain, (uint64_t)64 * SHARE_BYTES, TRACE_SPANS_MAX);
    plain->ring->hash_seed = frozen->ring->hash_seed;
    for (uint64_t i = 0; i < count; i++) {
        add_mixed(frozen, i);
        add_mixed(plain, i);
        freeze_all(frozen);
    }
}

static void deinit_both(struct ring_rig *frozen, struct ring_rig *plain)
{
    ring_rig_deinit(frozen);
    ring_rig_deinit(plain);
}

static struct buffer written_trace(struct ring_rig *rig, uint64_t trace, struct ring_written *written)
{
    struct ring_write how = {.only_not_kept = false};
    struct buffer out;

    buffer_init(&out, RIG_MESSAGE_BYTES_MAX);
    int code = ring_write_trace(rig->ring, rig_trace_id(trace).bytes, &how, &out, written);
    assert_true(code == 0 || code == WERR_NOT_FOUND);
    return out;
}

/* ---- what is read ---- */

static uint32_t compare_traces(struct ring_rig *frozen, struct ring_rig *plain, uint64_t count)
{
    uint32_t whole_count = 0;
    struct ring_written written;
    struct ring_written expected;

    for (uint64_t trace = 0; trace < count / SPANS_PER_TRACE; trace++) {
        struct ring_trace found;
        if (ring_find_trace(frozen->ring, rig_trace_id(trace).bytes, &found) < 0 || found.spans_count < 4) {
            continue; /* written over, wholly or in part */
        }
        struct buffer out = written_trace(frozen, trace, &written);
        struct buffer want = written_trace(plain, trace, &expected);
        assert_int_equal(written.spans_count, SPANS_PER_TRACE);
        assert_int_equal(written.spans_count, expected.spans_count);
        assert_int_equal(out.length, want.length);
        assert_memory_equal(out.data, want.data, want.length);
        assert_null(memmem(out.data, out.length, "secret", 6));
        assert_true(ring_has_span(frozen->ring, rig_trace_id(trace).bytes, rig_span_id(trace * 3 + 1).bytes));
        assert_false(
            ring_has_span(frozen->ring, rig_trace_id(trace).bytes, rig_span_id(trace * 3 + 3).bytes));
        buffer_deinit(&out);
        buffer_deinit(&want);
        whole_count++;
    }
    return whole_count;
}

static void reads_traces_as_they_came(void **state)
{
    struct ring_rig frozen;
    struct ring_rig plain;
    struct ring_rig small;

    (void)state;
    fill_both(&frozen, &plain, SPAN_COUNT_MAX);
    assert_true(ring_rig_get(&frozen, METRIC_TRACE_BLOCKS_COMPRESSED) > 20);
    assert_int_equal(ring_rig_get(&frozen, METRIC_TRACE_BLOCKS_NOT_COMPRESSED), 0);
    uint32_t reached = compare_traces(&frozen, &plain, SPAN_COUNT_MAX);
    assert_int_equal(ring_rig_get(&frozen, METRIC_TRACE_BLOCKS_DAMAGED), 0);
    ring_rig_check_ledger(&frozen);
    /* what the same bytes hold without */
    ring_rig_init(&small, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < SPAN_COUNT_MAX; i++) {
        add_mixed(&small, i);
    }
    uint32_t without = compare_traces(&small, &plain, SPAN_COUNT_MAX);
    assert_true(2 * reached > 3 * without);
    ring_rig_deinit(&small);
    deinit_both(&frozen, &plain);
}

static void check_same_entry(const struct ring_entry *a, const struct ring_entry *b)
{
    assert_memory_equal(a->trace_id, b->trace_id, TRACE_ID_BYTES);
    assert_memory_equal(a->span_id, b->span_id, SPAN_ID_BYTES);
    assert_int_equal(a->start_unix_ns, b->start_unix_ns);
    assert_int_equal(a->duration_ns, b->duration_ns);
    assert_int_equal(a->response_flags, b->response_flags);
    assert_int_equal(a->form, b->form);
    assert_int_equal(a->is_error, b->is_error);
    assert_true(slice_equal(a->service, b->service) && slice_equal(a->route, b->route));
    assert_true(slice_equal(a->resource_fields, b->resource_fields));
    assert_true(slice_equal(a->scope_fields, b->scope_fields));
    if (a->form == RING_FORM_OTLP) {
        assert_true(slice_equal(a->raw, b->raw)); /* compact ones name places of their block */
    } else {
        struct otlp_encode_span spans[2];
        assert_true(ring_entry_request(a, &spans[0]) && ring_entry_request(b, &spans[1]));
        assert_true(slice_equal(spans[0].source, spans[1].source));
        assert_true(slice_equal(spans[0].destination, spans[1].destination));
        assert_int_equal(spans[0].request_bytes, spans[1].request_bytes);
    }
}

/* How many matches the frozen ring has; each is what the plain one has at that place. */
static uint32_t compare_search(
    struct ring_rig *frozen, struct ring_rig *plain, const struct ring_filter *filter)
{
    struct ring_cursor cursors[] = {ring_cursor_newest(frozen->ring), ring_cursor_newest(plain->ring)};
    struct ring_entry entries[2];
    uint32_t count = 0;

    while (ring_search(frozen->ring, &cursors[0], filter, UINT64_MAX, &entries[0]) == RING_MATCH) {
        assert_int_equal(ring_search(plain->ring, &cursors[1], filter, UINT64_MAX, &entries[1]), RING_MATCH);
        check_same_entry(&entries[0], &entries[1]);
        count++;
    }
    return count;
}

static void searches_as_if_nothing_were_compressed(void **state)
{
    static const struct ring_filter filters[] = {
        {.only_errors = true},
        {.service = SLICE_LITERAL("cart"), .route = SLICE_LITERAL("/cart/"), .route_is_prefix = true},
        {.duration_min_ns = 90 * RIG_MS_NS, .duration_max_ns = 92 * RIG_MS_NS},
        {.response_flags = 2},
    };
    struct ring_rig frozen;
    struct ring_rig plain;
    struct ring_counts counts;

    (void)state;
    fill_both(&frozen, &plain, 20000);
    ring_count(frozen.ring, &counts);
    assert_int_equal(compare_search(&frozen, &plain, &everything), counts.spans_count);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        assert_true(compare_search(&frozen, &plain, &filters[i]) > 50);
    }
    assert_int_equal(ring_rig_get(&frozen, METRIC_TRACE_BLOCKS_DAMAGED), 0);
    deinit_both(&frozen, &plain);
}

/* What a search reads is there without thawing: nobody matches, so no block was thawed. */
static void thaws_nothing_that_does_not_match(void **state)
{
    static const struct ring_filter nobody = {.service = SLICE_LITERAL("nobody")};
    struct ring_rig frozen;
    struct ring_rig plain;
    struct ring_cursor cursor;
    struct ring_entry entry;

    (void)state;
    fill_both(&frozen, &plain, 20000);
    cursor = ring_cursor_newest(frozen.ring);
    for (uint32_t i = 0; i < THAW_BUFFERS_COUNT; i++) {
        frozen.ring->thaw.buffers[i] = (struct thaw_buffer){.bytes = frozen.ring->thaw.buffers[i].bytes};
    }
    assert_int_equal(ring_search(frozen.ring, &cursor, &nobody, UINT64_MAX, &entry), RING_END);
    for (uint32_t i = 0; i < THAW_BUFFERS_COUNT; i++) {
        assert_int_equal(frozen.ring->thaw.buffers[i].sequence, 0);
    }
    deinit_both(&frozen, &plain);
}

/* ---- what is kept ---- */

static void exports_kept_spans_from_frozen_blocks(void **state)
{
    struct ring_write how = {.only_not_kept = true, .marks_kept = true, .without_access_logs = true};
    struct ring_rig frozen;
    struct ring_rig plain;
    struct ring_written written;
    uint32_t kept_count = 0;

    (void)state;
    fill_both(&frozen, &plain, SPAN_COUNT_MAX);
    for (uint64_t trace = 0; trace < SPAN_COUNT_MAX / SPANS_PER_TRACE; trace += 7) {
        struct ring_trace found;
        if (ring_find_trace(frozen.ring, rig_trace_id(trace).bytes, &found) < 0) {
            continue;
        }
        rig_free(rig_read(&frozen, trace, &how, &written));
        assert_int_equal(written.spans_count, found.not_kept_count);
        kept_count += written.spans_count;
        rig_free(rig_read(&frozen, trace, &how, &written));
        assert_int_equal(written.spans_count, 0); /* nothing leaves twice */
        assert_int_equal(ring_find_trace(frozen.ring, rig_trace_id(trace).bytes, &found), 0);
        assert_int_equal(found.not_kept_count, 0);
    }
    assert_true(kept_count > 1000);
    assert_int_equal(ring_rig_get(&frozen, METRIC_TRACE_KEPT_SPANS), kept_count);
    ring_rig_check_ledger(&frozen);
    for (uint64_t i = SPAN_COUNT_MAX; i < (uint64_t)2 * SPAN_COUNT_MAX;
         i++) { /* they are written over, and were not expired */
        add_mixed(&frozen, i);
        freeze_all(&frozen);
    }
    ring_rig_check_ledger(&frozen);
    deinit_both(&frozen, &plain);
}

/* A mark that is made while the block is being compressed is not lost. */
static void keeps_marks_made_meanwhile(void **state)
{
    struct ring_write how = {.only_not_kept = true, .marks_kept = true};
    struct ring_rig rig;
    struct ring_written written;
    struct ring_trace found;
    uint64_t number = 0;

    (void)state;
    ring_rig_init_as(&rig, 4 << 20, TRACE_SPANS_MAX, true); /* several frames a block */
    while (!ring_freeze_is_due(rig.ring)) {
        add_mixed(&rig, number++);
    }
    ring_freeze(rig.ring);
    assert_true(rig.ring->is_freezing);
    rig_free(rig_read(&rig, 2, &how, &written));
    assert_int_equal(written.spans_count, SPANS_PER_TRACE);
    while (rig.ring->is_freezing) {
        ring_freeze(rig.ring);
    }
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_COMPRESSED), 1);
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(2).bytes, &found), 0);
    assert_int_equal(found.not_kept_count, 0);
    rig_free(rig_read(&rig, 2, &how, &written));
    assert_int_equal(written.spans_count, 0);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* ---- bounds ---- */

static void stays_within_its_share(void **state)
{
    struct ring_rig rig;
    struct ring_counts counts;
    uint64_t saved_bytes_max = 0; /* what is saved at the end depends on where the ring's turn then is */

    (void)state;
    ring_rig_init_as(&rig, SHARE_BYTES, TRACE_SPANS_MAX, true);
    assert_true(rig.ring->memory_bytes <= SHARE_BYTES);
    for (uint64_t i = 0; i < SPAN_COUNT_MAX; i++) {
        add_mixed(&rig, i);
        if (i % 3000 < 1500) { /* else it falls behind */
            freeze_all(&rig);
        }
        ring_count(rig.ring, &counts);
        saved_bytes_max = counts.saved_bytes > saved_bytes_max ? counts.saved_bytes : saved_bytes_max;
        assert_true(counts.bytes <= SHARE_BYTES);
        assert_true(rig.ring->sequence - rig.ring->oldest <= rig.ring->places_mask);
        assert_int_equal(counts.spans_count,
            ring_rig_get(&rig, METRIC_TRACE_RING_SPANS) + ring_rig_get(&rig, METRIC_TRACE_RING_LOGS));
    }
    assert_true(saved_bytes_max > SHARE_BYTES / 5);
    ring_tick(rig.ring);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_SAVED_BYTES), counts.saved_bytes);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* Spans of random bytes do not get smaller: they stay as they are, in their turn, and others after them. */
static void leaves_what_does_not_get_smaller(void **state)
{
    static uint8_t noise[8192];
    struct ring_rig rig;
    struct ring_trace found;
    uint64_t number = 0;

    (void)state;
    ring_rig_init_as(&rig, SHARE_BYTES, TRACE_SPANS_MAX, true);
    uint64_t word = 1;
    for (uint32_t turn = 0; turn < 10; turn++) {
        for (uint32_t i = 0; i < 40; i++, number++) {
            for (size_t k = 0; k < sizeof noise; k++) {
                word = word * 6364136223846793005u + 1442695040888963407u;
                noise[k] = (uint8_t)(word >> 56);
            }
            struct span span = {.trace_id = {1, (uint8_t)number, (uint8_t)(number >> 8)},
                .span_id = {1},
                .raw = slice_of(noise, sizeof noise)};
            assert_true(ring_add_span(rig.ring, &span, &rig.note));
            freeze_all(&rig);
        }
        for (uint32_t i = 0; i < 3000; i++) {
            add_mixed(&rig, number + i);
            freeze_all(&rig);
        }
        number = (number + 3000) / SPANS_PER_TRACE * SPANS_PER_TRACE;
    }
    assert_true(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_NOT_SMALLER) > 3);
    assert_true(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_COMPRESSED) > 3);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_DAMAGED), 0);
    assert_int_equal(
        ring_find_trace(rig.ring, rig_trace_id((number - 3) / SPANS_PER_TRACE - 5).bytes, &found), 0);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

/* Nobody calls ring_freeze: it is a plain ring. The block that is being compressed may be given up. */
static void goes_round_while_freezing(void **state)
{
    struct ring_rig rig;
    uint64_t number = 0;

    (void)state;
    ring_rig_init_as(&rig, 4 << 20, TRACE_SPANS_MAX, true);
    while (!ring_freeze_is_due(rig.ring)) {
        add_mixed(&rig, number++);
    }
    ring_freeze(rig.ring);
    uint64_t frozen = rig.ring->freeze_next;
    while (rig.ring->oldest <= frozen) {
        add_mixed(&rig, number++);
    }
    assert_false(rig.ring->is_freezing);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_COMPRESSED), 0);
    ring_rig_check_ledger(&rig);
    freeze_all(&rig);
    assert_true(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_COMPRESSED) > 0);
    ring_rig_check_ledger(&rig);
    ring_rig_deinit(&rig);
}

static void does_nothing_unless_asked_to(void **state)
{
    struct ring_rig rig;

    (void)state;
    assert_false(ring_freeze_is_due(NULL));
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 10000; i++) {
        add_mixed(&rig, i);
        assert_false(ring_freeze_is_due(rig.ring));
    }
    ring_freeze(rig.ring);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_COMPRESSED), 0);
    ring_rig_deinit(&rig);
}

/* ---- damage ---- */

static void counts_what_is_damaged(void **state)
{
    struct ring_rig rig;
    struct ring_rig plain;
    struct ring_counts counts;
    struct ring_cursor cursor;
    struct ring_entry entry;
    uint64_t found_count = 0;

    (void)state;
    fill_both(&rig, &plain, 20000);
    for (uint64_t sequence = rig.ring->oldest; sequence < rig.ring->oldest + 5; sequence++) {
        struct frozen_head *head = (struct frozen_head *)(void *)ring_block_of(rig.ring, sequence);
        assert_true(ring_place_of(rig.ring, sequence)->frozen_bytes > 0);
        if (sequence % 2 == 0) {
            memset((uint8_t *)head + head->frames_at, 0xa5, 64); /* no frame */
        } else {
            head->names_count = UINT32_MAX; /* no block */
        }
    }
    ring_count(rig.ring, &counts);
    cursor = ring_cursor_newest(rig.ring);
    while (ring_search(rig.ring, &cursor, &everything, UINT64_MAX, &entry) == RING_MATCH) {
        found_count++;
    }
    assert_true(ring_rig_get(&rig, METRIC_TRACE_BLOCKS_DAMAGED) > 0);
    assert_true(found_count > 0 && found_count < counts.spans_count);
    for (uint64_t i = 20000; i < 40000; i++) { /* and they are written over like others */
        add_mixed(&rig, i);
        freeze_all(&rig);
    }
    ring_rig_check_ledger(&rig);
    deinit_both(&rig, &plain);
}

static void refuses_what_is_no_frozen_block(void **state)
{
    enum { BLOCK_BYTES = BLOCK_BYTES_MIN };
    _Alignas(64) static uint8_t bytes[1024];
    struct frozen_head *head = (struct frozen_head *)(void *)bytes;
    struct block_view view;

    (void)state;
    *head = (struct frozen_head){.header = {.front = 64}, .bytes = sizeof bytes, .frames_at = sizeof *head};
    assert_true(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
    assert_false(frozen_open(bytes, sizeof *head - 1, BLOCK_BYTES, 1, NULL, &view));
    assert_false(frozen_open(bytes, sizeof bytes - 1, BLOCK_BYTES, 1, NULL, &view));
    assert_false(frozen_open(bytes + 8, sizeof bytes - 8, BLOCK_BYTES, 1, NULL, &view));
    head->header.front = BLOCK_BYTES + 1;
    assert_false(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
    head->header.front = 63;
    assert_false(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
    head->header.front = 64;
    head->header.entry_count = 1; /* no room before frames_at */
    assert_false(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
    head->frames_at = sizeof *head + sizeof(struct block_entry);
    assert_true(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
    head->names_count = 1;
    assert_false(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
    head->names_count = 0;
    head->frames_at = sizeof bytes + 1;
    assert_false(frozen_open(bytes, sizeof bytes, BLOCK_BYTES, 1, NULL, &view));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_traces_as_they_came),
        cmocka_unit_test(searches_as_if_nothing_were_compressed),
        cmocka_unit_test(thaws_nothing_that_does_not_match),
        cmocka_unit_test(exports_kept_spans_from_frozen_blocks),
        cmocka_unit_test(keeps_marks_made_meanwhile),
        cmocka_unit_test(stays_within_its_share),
        cmocka_unit_test(leaves_what_does_not_get_smaller),
        cmocka_unit_test(goes_round_while_freezing),
        cmocka_unit_test(does_nothing_unless_asked_to),
        cmocka_unit_test(counts_what_is_damaged),
        cmocka_unit_test(refuses_what_is_no_frozen_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
