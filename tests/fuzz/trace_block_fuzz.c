/*
 * Any bytes as blocks of the ring: read, searched, walked along their chains, written as OTLP.
 *
 *   byte 0     bits 0–2: only what is not kept, mark it, no access logs; 3: one more attribute; 4, 5: little
 *              room; 6, 7: which filter
 *   bytes 1–2  how many of the rest (little endian) lie at the block's begin; the others lie at its end
 *
 * The newest two blocks hold the same bytes, so that a chain may lead from one to the other. Every slice that
 * is handed out must lie within its block, and what is written must be a sequence of ResourceSpans. The older
 * block is then compressed, and must read the same; after that the same bytes are taken for a compressed one.
 * Then they go in, as spans and what stands around them, and must be found again.
 */
#include "fuzz.h"

#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "decode/wire.h"
#include "trace/ring.h"
#include "trace/ring_internal.h"

enum { HEAD_BYTES = 3, OUT_BYTES_MAX = 1 << 22, SPANS_COUNT_MAX = 256, WALKS_COUNT_MAX = 32 };

struct target {
    struct clock_manual clock;
    struct limits limits;
    struct redaction redaction;
    struct otlp_trace_scanner scanner;
    struct budget budget;
    struct interner *interner;
    struct metric_cells *cells;
    struct ring *ring;
};

static uint64_t ticking(const struct clock *clock)
{
    struct clock_manual *manual = (struct clock_manual *)(uintptr_t)clock;

    return ++manual->now_monotonic_ns;
}

static void target_init(struct target *target)
{
    memset(target, 0, sizeof *target);
    clock_manual_init(&target->clock, 1, 1700000000000000000ull);
    target->clock.clock.monotonic_ns = ticking;
    limits_init(&target->limits);
    redaction_init_default(&target->redaction);
    otlp_trace_scanner_init(&target->scanner, &target->limits, &target->redaction);
    target->budget.cap_bytes = 1 << 20;
    target->interner = interner_new(100, &target->budget);
    target->cells = aligned_alloc(64, sizeof *target->cells);
    FUZZ_CHECK(target->interner != NULL && target->cells != NULL);
    memset(target->cells, 0, sizeof *target->cells);
    struct ring_settings settings = {
        .share_bytes = RING_SHARE_BYTES_MIN,
        .span_bytes_max = target->limits.trace_span_bytes_max,
        .spans_count_max = SPANS_COUNT_MAX,
        .interner = target->interner,
        .cells = target->cells,
        .clock = &target->clock.clock,
        .scanner = &target->scanner,
        .compresses = true,
    };
    FUZZ_CHECK(ring_new(&settings, &target->ring) == 0);
    target->ring->hash_seed = 0; /* the same each time */
}

static void target_deinit(struct target *target)
{
    ring_free(target->ring);
    interner_free(target->interner);
    free(target->cells);
}

/* ---- the blocks ---- */

/* Most entries are made to be found by their trace id: no input could know the hash. */
static void link_entries(struct ring *ring, uint64_t sequence)
{
    struct block_view view;

    FUZZ_CHECK(ring_open_block(ring, sequence, &view));
    for (uint32_t i = 0; i < view.entry_count; i++) {
        struct block_entry *entry = (struct block_entry *)(uintptr_t)block_view_entry(&view, i);
        const struct block_record *record = block_view_record(&view, entry);
        if (record != NULL && i % 8 != 7) {
            struct ring_hash hash = ring_hash_of(ring, record->trace_id);
            entry->fingerprint = hash.fingerprint;
            if (i % 8 != 3) {
                entry->previous = ring->heads[hash.head];
            }
            ring->heads[hash.head] = (uint32_t)sequence << BLOCK_ENTRY_BITS | (i + 1);
        }
    }
}

static void fill_blocks(struct ring *ring, const uint8_t *data, size_t size)
{
    size_t front_bytes = (size_t)data[1] | (size_t)data[2] << 8;
    const uint8_t *rest = data + HEAD_BYTES;
    size_t rest_bytes = size - HEAD_BYTES;

    front_bytes = front_bytes < rest_bytes ? front_bytes : rest_bytes;
    front_bytes = front_bytes < ring->block_bytes ? front_bytes : ring->block_bytes;
    size_t tail_bytes = rest_bytes - front_bytes;
    tail_bytes = tail_bytes < ring->block_bytes ? tail_bytes : ring->block_bytes;
    for (uint64_t sequence = 1; sequence <= 2; sequence++) {
        uint8_t *block = ring_next_block(ring);
        memcpy(block + ring->block_bytes - tail_bytes, rest + front_bytes, tail_bytes);
        memcpy(block, rest, front_bytes);
        ring->block = block;
        link_entries(ring, sequence);
    }
}

/* ---- what must hold ---- */

static bool lies_in(const uint8_t *bytes, size_t length, struct slice slice)
{
    return slice.ptr >= bytes && slice.length <= length && slice.ptr <= bytes + length - slice.length;
}

static void check_slice(const struct ring_entry *entry, struct slice slice)
{
    const struct block_view *view = &entry->view;

    if (slice.length == 0) {
        return;
    }
    if (view->frozen == NULL) {
        FUZZ_CHECK(lies_in(view->data, view->bytes, slice));
        return;
    }
    bool is_sound = lies_in((const uint8_t *)view->frozen, view->frozen->bytes, slice);
    for (uint32_t i = 0; i < THAW_BUFFERS_COUNT; i++) {
        is_sound |= lies_in(view->thaw->buffers[i].bytes, view->front, slice);
    }
    FUZZ_CHECK(is_sound);
}

static void check_entry(const struct ring_entry *entry)
{
    struct otlp_encode_span span;

    check_slice(entry, slice_of(entry->trace_id, TRACE_ID_BYTES));
    check_slice(entry, slice_of(entry->span_id, SPAN_ID_BYTES));
    check_slice(entry, entry->service);
    check_slice(entry, entry->route);
    check_slice(entry, entry->raw);
    check_slice(entry, entry->resource_fields);
    check_slice(entry, entry->scope_fields);
    FUZZ_CHECK(entry->outcome <= OUTCOME_COUNT && entry->role <= RING_NEITHER &&
               entry->form <= RING_FORM_ACCESS_LOG && entry->span_kind <= SPAN_KIND_CONSUMER);
    if (ring_entry_request(entry, &span)) {
        FUZZ_CHECK(entry->form != RING_FORM_OTLP);
        check_slice(entry, span.source);
        check_slice(entry, span.source_namespace);
        check_slice(entry, span.destination);
        check_slice(entry, span.destination_namespace);
        check_slice(entry, slice_of(span.parent_id, SPAN_ID_BYTES));
    }
}

/* Returns how many match; searched at once, then in the shortest slices. */
static uint32_t search(struct ring *ring, const struct ring_filter *filter, uint64_t slice_ns)
{
    struct ring_cursor cursor = ring_cursor_newest(ring);
    struct ring_entry entry;
    enum ring_step step;
    uint32_t count = 0;

    do {
        uint64_t deadline = slice_ns != 0 ? clock_monotonic_ns(ring->settings.clock) + slice_ns : UINT64_MAX;
        step = ring_search(ring, &cursor, filter, deadline, &entry);
        if (step == RING_MATCH) {
            check_entry(&entry);
            count++;
        }
    } while (step != RING_END);
    return count;
}

static void check_message(struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        FUZZ_CHECK(field.tag == WIRE_TAG(1, WIRE_BYTES) && field.bytes.length > 0);
    }
    FUZZ_CHECK(status == 0);
}

static void write_trace(struct ring *ring, const uint8_t *trace_id, uint8_t options)
{
    /* weft.kept = "x" */
    static const uint8_t attribute[] = "\x0a\x09weft.kept\x12\x03\x0a\x01x";
    struct ring_write how = {
        .attribute = (options & 8) != 0 ? slice_of(attribute, sizeof attribute - 1) : slice_of(NULL, 0),
        .only_not_kept = (options & 1) != 0,
        .marks_kept = (options & 2) != 0,
        .without_access_logs = (options & 4) != 0,
        .tells_weight = (options & 4) != 0,
        .baseline_threshold = 1ull << 55,
    };
    struct ring_trace trace = {.spans_count = 0};
    struct ring_written written;
    struct buffer out;

    buffer_init(&out, (options & 16) != 0 ? 300 : (options & 32) != 0 ? 3000 : OUT_BYTES_MAX);
    int found = ring_find_trace(ring, trace_id, &trace);
    int code = ring_write_trace(ring, trace_id, &how, &out, &written);
    FUZZ_CHECK(code == 0 || code == WERR_NOT_FOUND);
    FUZZ_CHECK(code == 0 || found == WERR_NOT_FOUND);
    FUZZ_CHECK(out.length <= out.cap_bytes && out.error == 0);
    if (code == 0) {
        FUZZ_CHECK(written.spans_count + written.left_out_count <= SPANS_COUNT_MAX);
        FUZZ_CHECK((written.spans_count == 0) == (out.length == 0));
        check_message(slice_of(out.data, out.length));
        (void)ring_has_span(ring, trace_id, trace_id);
    }
    buffer_deinit(&out);
}

static void walk_traces(struct ring *ring, uint64_t sequence, uint8_t options)
{
    struct block_view view;

    FUZZ_CHECK(ring_open_block(ring, sequence, &view));
    for (uint32_t i = 0; i < view.entry_count && i < WALKS_COUNT_MAX; i++) {
        const struct block_record *record = block_view_record(&view, block_view_entry(&view, i));
        if (record != NULL) {
            uint8_t trace_id[TRACE_ID_BYTES];
            memcpy(trace_id, record->trace_id, sizeof trace_id);
            write_trace(ring, trace_id, options);
        }
    }
}

/* ---- compressed ---- */

/* The older block is compressed: nothing that can be found changes. */
static void freeze_first(struct ring *ring, const struct ring_filter *filter, uint8_t options)
{
    uint32_t count = search(ring, filter, 0);
    uint32_t free_count = ring->free_count;

    ring->free_count = 0; /* as if it were nearly full */
    ring->sequence += 2;
    FUZZ_CHECK(ring_freeze_is_due(ring));
    while (ring->freeze_next == 1) {
        ring_freeze(ring);
    }
    ring->sequence -= 2;
    ring->free_count = free_count;
    FUZZ_CHECK(count == search(ring, filter, 0));
    if (ring_place_of(ring, 1)->frozen_bytes != 0) {
        walk_traces(ring, 1, options);
    }
    FUZZ_CHECK(metric_get(ring->settings.cells, METRIC_TRACE_BLOCKS_DAMAGED) == 0);
}

/* The input is a compressed block: the older one. */
static void take_frozen(struct ring *ring, const uint8_t *data, size_t size, const struct ring_filter *filter)
{
    size_t bytes = size - HEAD_BYTES < ring->block_bytes ? size - HEAD_BYTES : ring->block_bytes;
    struct block_view view;

    for (uint32_t i = 0; i < THAW_BUFFERS_COUNT; i++) {
        ring->thaw.buffers[i].sequence = 0;
    }
    memcpy(ring_block_of(ring, 1), data + HEAD_BYTES, bytes);
    ring_place_of(ring, 1)->frozen_bytes = (uint32_t)bytes;
    if (bytes > 0 && ring_open_block(ring, 1, &view)) {
        link_entries(ring, 1);
        (void)search(ring, filter, 2);
        walk_traces(ring, 1, data[0]);
    }
}

/* ---- the input as what stands in and around spans ---- */

static void add_spans(struct target *target, const uint8_t *data, size_t size)
{
    static const struct span_resource nobody;
    struct ring *ring = target->ring;
    struct slice input = slice_of(data, size);
    struct ring_note note = {.service_text = slice_sub(input, 0, size % 30),
        .route_text = slice_sub(input, 3, 3 + size % 1500),
        .response_flags = data[1],
        .outcome = data[2] % (OUTCOME_COUNT + 1),
        .role = data[0] % 3};
    struct request request = {.signal = data[1] % 3,
        .source = data[2],
        .destination = data[1] % 4,
        .route = INTERNED_UNKNOWN,
        .trace_id = {9}};

    ring->sequence = 0; /* a new one */
    ring->oldest = 1;
    ring->block = NULL;
    memset(ring->heads, 0, (ring->heads_mask + (size_t)1) * sizeof *ring->heads);
    for (uint8_t i = 0; i < 60; i++) {
        struct span_around around = {
            .resource_spans = slice_sub(input, i, size), .scope_spans = slice_sub(input, HEAD_BYTES, size)};
        struct span span = {.resource = &nobody,
            .trace_id = {8, i % 3},
            .span_id = {i},
            .kind = (enum span_kind)(data[2] % 9),
            .start_unix_ns = 1700000000000000000ull + data[0],
            .end_unix_ns = 1700000000000000000ull + data[1],
            .raw = slice_sub(input, 0, (size_t)i * 200),
            .around = i % 4 == 3 ? NULL : &around,
            .needs_rewrite = i % 2 == 0};
        request.span_id[0] = i;
        bool stored = ring_add_span(ring, &span, &note);
        FUZZ_CHECK(stored == ring_has_span(ring, span.trace_id, span.span_id));
        if (stored && around.scope_note != 0) {
            FUZZ_CHECK(ring_add_span(ring, &span, &note)); /* by what was noted */
        }
        stored = ring_add_request(ring, &request, i % 2 == 0 ? data : NULL, i, false);
        FUZZ_CHECK(stored == ring_has_span(ring, request.trace_id, request.span_id));
        if (stored && i % 16 == 15) {
            write_trace(ring, i % 32 == 31 ? span.trace_id : request.trace_id, data[0]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ring_filter filters[] = {
        {.only_errors = false},
        {.service = SLICE_LITERAL("shop"),
            .route = SLICE_LITERAL("/ca"),
            .route_is_prefix = true,
            .duration_min_ns = 2000},
        {.start_min_unix_ns = 1700000000000000000ull,
            .start_max_unix_ns = 1700000000500000000ull,
            .response_flags = 6},
        {.only_errors = true, .outcomes = 12, .roles = 3, .duration_max_ns = 1000000},
    };
    struct target target;

    if (size < HEAD_BYTES) {
        return 0;
    }
    target_init(&target);
    struct ring *ring = target.ring;
    fill_blocks(ring, data, size);
    const struct ring_filter *filter = &filters[data[0] >> 6];
    uint32_t count = search(ring, filter, 0);
    FUZZ_CHECK(count <= search(ring, &filters[0], 0));
    FUZZ_CHECK(count == search(ring, filter, 2));
    walk_traces(ring, 2, data[0]);
    freeze_first(ring, filter, data[0]);
    take_frozen(ring, data, size, filter);
    struct ring_counts counts;
    ring_count(ring, &counts);
    if (size >= 2 * SPAN_ID_BYTES) {
        add_spans(&target, data, size);
    }
    target_deinit(&target);
    return 0;
}
