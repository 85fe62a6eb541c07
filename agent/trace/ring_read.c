/*
 * Reading the ring, see ring.h: a trace by its chain, a search through the summaries, counts. Runs on the
 * shard's loop. Nothing of a block is believed: a chain only ever leads to older entries, and a trace is
 * recognised by its whole id.
 */
#include <string.h>

#include "core/error.h"
#include "trace/ring_internal.h"
#include "trace/stored_request.h"

enum {
    ENTRIES_PER_CLOCK = 256, /* looked at between two looks at the clock */
    NAME_VERDICTS_COUNT = 64,
    NS_PER_MS = 1000000,
};

/* ---- entries ---- */

/* How many blocks before the newest one an entry number's block is. */
static uint64_t age_of(const struct ring *ring, uint32_t number)
{
    return (ring->sequence - (number >> BLOCK_ENTRY_BITS)) & ((1u << RING_SEQUENCE_BITS) - 1);
}

bool ring_entry_of_number(
    struct ring *ring, uint32_t number, struct block_view *ret_view, uint32_t *ret_index)
{
    uint64_t age = age_of(ring, number);
    uint32_t index = (number & BLOCK_ENTRIES_MAX) - 1; /* of 0: no block has as many */
    struct block_view view;

    if (ring->sequence == 0 || age >= ring->sequence || !ring_open_block(ring, ring->sequence - age, &view) ||
        index >= view.entry_count) {
        return false;
    }
    *ret_view = view;
    *ret_index = index;
    return true;
}

static bool is_older(const struct ring *ring, uint32_t number, uint32_t than)
{
    uint64_t age = age_of(ring, number);
    uint64_t than_age = age_of(ring, than);

    return age > than_age || (age == than_age && number < than);
}

/* What an entry costs whoever reads its record, and writes it when it is one of the trace. *frame: what was
 * thawed last, 0 at first. */
static uint64_t work_of(const struct block_view *view, const struct block_entry *entry,
    const struct block_record *record, bool is_found, uint64_t *frame)
{
    uint64_t own_frame =
        view->frozen != NULL ? view->sequence << 32 | (entry->record_at / FROZEN_FRAME_BYTES + 1) : 0;
    uint64_t work = own_frame != 0 && own_frame != *frame ? RING_WORK_THAW : 0;

    *frame = own_frame;
    return is_found ? work + RING_WORK_ENTRY + record->payload_bytes / RING_WORK_UNIT_BYTES : work;
}

uint32_t ring_walk_on(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES],
    struct ring_walk_cursor *cursor, uint64_t work_max, bool *ret_is_cut)
{
    struct ring_hash hash = ring_hash_of(ring, trace_id);
    uint32_t count_max = ring->settings.spans_count_max;
    uint32_t count = 0;
    uint64_t work = 0;
    uint64_t frame = 0;
    struct block_view view;
    uint32_t index;

    *ret_is_cut = false;
    if (!cursor->has_begun) {
        *cursor = (struct ring_walk_cursor){.has_begun = true, .next = ring->heads[hash.head]};
    }
    while (!cursor->is_over && work < work_max) {
        uint32_t number = cursor->next;
        if (!ring_entry_of_number(ring, number, &view, &index)) {
            cursor->is_over = true;
            break;
        }
        const struct block_entry *entry = block_view_entry(&view, index);
        const struct block_record *record =
            entry->fingerprint == hash.fingerprint ? block_view_record(&view, entry) : NULL;
        bool is_found = record != NULL && memcmp(record->trace_id, trace_id, TRACE_ID_BYTES) == 0;
        if ((is_found && cursor->found_count == count_max) ||
            cursor->passed_count > (uint64_t)count_max * RING_WALK_FACTOR) {
            cursor->is_over = true;
            *ret_is_cut = true;
            metric_add(ring->settings.cells, METRIC_TRACE_WALKS_CUT, 1);
            break;
        }
        if (is_found) {
            ring->refs[count++] = (struct ring_ref){.number = number};
            cursor->found_count++;
        }
        work += 1 + (record != NULL ? work_of(&view, entry, record, is_found, &frame) : 0);
        cursor->passed_count++;
        cursor->next = entry->previous;
        cursor->is_over = cursor->next == 0 || !is_older(ring, cursor->next, number);
    }
    return count;
}

uint32_t ring_walk(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], bool *ret_is_cut)
{
    struct ring_walk_cursor cursor = {.has_begun = false};

    return ring_walk_on(ring, trace_id, &cursor, UINT64_MAX, ret_is_cut);
}

bool ring_read_entry(const struct block_view *view, const struct block_entry *entry,
    const struct block_record *record, struct ring_entry *ret_entry)
{
    unsigned outcome = block_kinds_outcome(entry->kinds);
    unsigned span_kind = block_kinds_span_kind(entry->kinds);
    unsigned role = entry->flags >> BLOCK_ENTRY_ROLE_SHIFT & BLOCK_ENTRY_ROLE_MASK;
    unsigned form = block_kinds_form(entry->kinds);

    if (record == NULL || form > RING_FORM_ACCESS_LOG) {
        return false;
    }
    struct ring_entry read = {
        .trace_id = record->trace_id,
        .span_id = record->span_id,
        .start_unix_ns = record->start_unix_ns,
        .duration_ns = record->duration_ns,
        .service = block_view_name(view, entry->service),
        .route = block_view_name(view, entry->route),
        .response_code = record->response_code,
        .outcome = (uint8_t)(outcome < OUTCOME_COUNT ? outcome : OUTCOME_COUNT),
        .role = (uint8_t)(role <= RING_NEITHER ? role : RING_NEITHER),
        .span_kind = (uint8_t)(span_kind <= SPAN_KIND_CONSUMER ? span_kind : SPAN_KIND_UNSPECIFIED),
        .form = (uint8_t)form,
        .is_error = (entry->flags & BLOCK_ENTRY_ERROR) != 0,
        .is_kept = (entry->flags & BLOCK_ENTRY_KEPT) != 0,
        .view = *view,
        .entry = entry,
    };
    read.raw = block_view_payload(entry, record, &read.response_flags);
    if (form == RING_FORM_OTLP) {
        block_view_envelope(view, record->envelope, &read.resource_fields, &read.scope_fields);
    }
    *ret_entry = read;
    return true;
}

bool ring_entry_request(const struct ring_entry *entry, struct otlp_encode_span *ret_span)
{
    const struct block_record *record =
        entry->form != RING_FORM_OTLP ? block_view_record(&entry->view, entry->entry) : NULL;

    return record != NULL && stored_request_read(&entry->view, entry->entry, record, ret_span);
}

void ring_mark_kept(struct ring *ring, uint32_t number)
{
    struct block_view view;
    uint32_t index;

    if (!ring_entry_of_number(ring, number, &view, &index)) {
        return;
    }
    /* the ring's own memory, which views only read */
    struct block_header *header = (struct block_header *)(uintptr_t)view.header;
    struct block_entry *entry = (struct block_entry *)(uintptr_t)block_view_entry(&view, index);
    if ((entry->flags & BLOCK_ENTRY_KEPT) != 0 || block_kinds_form(entry->kinds) == RING_FORM_ACCESS_LOG ||
        header->spans_not_kept_count == 0) {
        return;
    }
    entry->flags |= BLOCK_ENTRY_KEPT;
    header->spans_not_kept_count--;
    LEDGER_ADD(ring->settings.cells, METRIC_TRACE_KEPT_SPANS, 1);
    metric_add(ring->settings.cells, METRIC_TRACE_RING_SPANS, -(uint64_t)1);
}

/* ---- a trace ---- */

int ring_find_trace(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], struct ring_trace *ret_trace)
{
    struct ring_trace trace = {.start_unix_ns = UINT64_MAX};
    uint32_t count = ring_walk(ring, trace_id, &trace.is_cut);
    struct block_view view;
    uint32_t index;

    for (uint32_t i = 0; i < count; i++) {
        struct ring_entry entry;
        if (!ring_entry_of_number(ring, ring->refs[i].number, &view, &index)) {
            continue;
        }
        const struct block_entry *stored = block_view_entry(&view, index);
        if (!ring_read_entry(&view, stored, block_view_record(&view, stored), &entry)) {
            continue;
        }
        uint64_t end_unix_ns = entry.start_unix_ns + entry.duration_ns;
        trace.spans_count++;
        trace.not_kept_count += !entry.is_kept && entry.form != RING_FORM_ACCESS_LOG;
        trace.start_unix_ns =
            entry.start_unix_ns < trace.start_unix_ns ? entry.start_unix_ns : trace.start_unix_ns;
        trace.end_unix_ns = end_unix_ns > trace.end_unix_ns ? end_unix_ns : trace.end_unix_ns;
    }
    if (trace.spans_count == 0) {
        return WERR_NOT_FOUND;
    }
    if (ret_trace != NULL) {
        *ret_trace = trace;
    }
    return 0;
}

bool ring_has_span(
    struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const uint8_t span_id[SPAN_ID_BYTES])
{
    bool is_cut;
    uint32_t count = ring_walk(ring, trace_id, &is_cut);
    struct block_view view;
    uint32_t index;

    for (uint32_t i = 0; i < count; i++) {
        if (ring_entry_of_number(ring, ring->refs[i].number, &view, &index)) {
            const struct block_record *record = block_view_record(&view, block_view_entry(&view, index));
            if (record != NULL && memcmp(record->span_id, span_id, SPAN_ID_BYTES) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* ---- search ---- */

/* What is known of a block's names: whether they are what a filter asks for. Forgotten with the block. */
struct name_verdict {
    uint16_t place;
    uint8_t verdict; /* 0: not known, 1: no, 2: yes */
};

struct search {
    const struct ring_filter *filter;
    uint32_t code_min; /* of durations */
    uint32_t code_max;
    int64_t start_ms_min; /* of entries of the block at hand */
    int64_t start_ms_max;
    struct name_verdict services[NAME_VERDICTS_COUNT];
    struct name_verdict routes[NAME_VERDICTS_COUNT];
};

static void search_begin(struct search *search, const struct ring_filter *filter)
{
    search->filter = filter;
    search->code_min = block_duration_code(filter->duration_min_ns);
    search->code_max =
        filter->duration_max_ns != 0 ? block_duration_code(filter->duration_max_ns) : UINT32_MAX;
}

static int64_t ms_of(uint64_t unix_ns)
{
    return (int64_t)(unix_ns / NS_PER_MS);
}

/* False when no entry of the block can lie within the filter's times. */
static bool search_enter(struct search *search, const struct block_view *view)
{
    const struct ring_filter *filter = search->filter;
    const struct block_header *header = view->header;
    int64_t base_ms = ms_of(header->base_unix_ns);

    memset(search->services, 0, sizeof search->services);
    memset(search->routes, 0, sizeof search->routes);
    search->start_ms_min =
        filter->start_min_unix_ns != 0 ? ms_of(filter->start_min_unix_ns) - base_ms - 1 : INT64_MIN;
    search->start_ms_max =
        filter->start_max_unix_ns != 0 ? ms_of(filter->start_max_unix_ns) - base_ms + 1 : INT64_MAX;
    return header->start_max_unix_ns >= filter->start_min_unix_ns &&
           (filter->start_max_unix_ns == 0 || header->start_min_unix_ns <= filter->start_max_unix_ns);
}

static bool name_matches(struct name_verdict verdicts[static NAME_VERDICTS_COUNT],
    const struct block_view *view, uint16_t place, struct slice wanted, bool is_prefix)
{
    struct name_verdict *known = &verdicts[place % NAME_VERDICTS_COUNT];

    if (known->verdict == 0 || known->place != place) {
        struct slice name = block_view_name(view, place);
        bool matches = is_prefix ? slice_has_prefix(name, wanted) : slice_equal(name, wanted);
        *known = (struct name_verdict){.place = place, .verdict = matches ? 2 : 1};
    }
    return known->verdict == 2;
}

/* By its summary alone; where that is not exact, it lets through. */
static bool summary_matches(
    struct search *search, const struct block_view *view, const struct block_entry *entry)
{
    const struct ring_filter *filter = search->filter;
    unsigned role = entry->flags >> BLOCK_ENTRY_ROLE_SHIFT & BLOCK_ENTRY_ROLE_MASK;

    if (entry->duration_code < search->code_min || entry->duration_code > search->code_max ||
        (filter->only_errors && (entry->flags & BLOCK_ENTRY_ERROR) == 0) ||
        (filter->response_flags != 0 && (entry->flags & BLOCK_ENTRY_HAS_FLAGS) == 0) ||
        (filter->outcomes != 0 && (filter->outcomes >> block_kinds_outcome(entry->kinds) & 1) == 0) ||
        (filter->roles != 0 && (filter->roles >> role & 1) == 0)) {
        return false;
    }
    /* clamped ones are let through */
    if ((entry->start_ms < search->start_ms_min && entry->start_ms != INT32_MAX) ||
        (entry->start_ms > search->start_ms_max && entry->start_ms != INT32_MIN)) {
        return false;
    }
    return (filter->service.length == 0 ||
               name_matches(search->services, view, entry->service, filter->service, false)) &&
           (filter->route.length == 0 ||
               name_matches(search->routes, view, entry->route, filter->route, filter->route_is_prefix));
}

static bool entry_matches(const struct ring_filter *filter, const struct ring_entry *entry)
{
    return entry->duration_ns >= filter->duration_min_ns &&
           (filter->duration_max_ns == 0 || entry->duration_ns <= filter->duration_max_ns) &&
           entry->start_unix_ns >= filter->start_min_unix_ns &&
           (filter->start_max_unix_ns == 0 || entry->start_unix_ns <= filter->start_max_unix_ns) &&
           (filter->response_flags == 0 || (entry->response_flags & filter->response_flags) != 0);
}

struct ring_cursor ring_cursor_newest(const struct ring *ring)
{
    return (struct ring_cursor){
        .block = ring->sequence != 0 ? ring->sequence : RING_CURSOR_END, .entry = UINT32_MAX};
}

static enum ring_step search_block(struct ring *ring, struct search *search, const struct block_view *view,
    struct ring_cursor *cursor, uint64_t deadline_monotonic_ns, struct ring_entry *ret_entry)
{
    while (cursor->entry > 0) {
        uint32_t index = --cursor->entry;
        const struct block_entry *entry = block_view_entry(view, index);
        bool is_thawed = false;
        if (summary_matches(search, view, entry)) {
            if (ring_read_entry(view, entry, block_view_record(view, entry), ret_entry) &&
                entry_matches(search->filter, ret_entry)) {
                return RING_MATCH;
            }
            is_thawed = view->frozen != NULL;
        }
        if ((index % ENTRIES_PER_CLOCK == 0 || is_thawed) &&
            clock_monotonic_ns(ring->settings.clock) >= deadline_monotonic_ns) {
            return RING_PAUSE;
        }
    }
    return RING_END;
}

enum ring_step ring_search(struct ring *ring, struct ring_cursor *cursor, const struct ring_filter *filter,
    uint64_t deadline_monotonic_ns, struct ring_entry *ret_entry)
{
    struct search search;
    struct block_view view;

    if (clock_monotonic_ns(ring->settings.clock) >= deadline_monotonic_ns) {
        return RING_PAUSE;
    }
    search_begin(&search, filter);
    while (cursor->block != RING_CURSOR_END && cursor->block >= ring->oldest) {
        bool is_open = ring_open_block(ring, cursor->block, &view);
        cursor->entry = is_open && cursor->entry > view.entry_count ? view.entry_count : cursor->entry;
        if (is_open && search_enter(&search, &view)) {
            enum ring_step step =
                search_block(ring, &search, &view, cursor, deadline_monotonic_ns, ret_entry);
            if (step != RING_END) {
                return step;
            }
        }
        cursor->block--;
        cursor->entry = UINT32_MAX;
    }
    cursor->block = RING_CURSOR_END;
    return RING_END;
}

/* ---- counts ---- */

void ring_count(const struct ring *ring, struct ring_counts *ret_counts)
{
    uint64_t now_unix_ns = clock_unix_ns(ring->coarse_clock);
    struct ring_counts counts = {.budget_bytes = ring->settings.share_bytes};

    for (uint64_t sequence = ring->oldest; sequence <= ring->sequence; sequence++) {
        const struct block_header *header = block_header(ring_block_of(ring, sequence));
        uint64_t bytes = header->front + (uint64_t)header->entry_count * sizeof(struct block_entry);
        uint32_t frozen_bytes = ring_place_of(ring, sequence)->frozen_bytes;
        counts.spans_count += header->entry_count;
        counts.bytes += frozen_bytes != 0 ? frozen_bytes : bytes;
        counts.saved_bytes += frozen_bytes != 0 && bytes > frozen_bytes ? bytes - frozen_bytes : 0;
    }
    if (ring->sequence != 0) {
        counts.bytes += ring->memory_bytes - (uint64_t)ring->block_count * ring->block_bytes;
        counts.oldest_unix_ns = block_header(ring_block_of(ring, ring->oldest))->opened_unix_ns;
        counts.reach_ns = now_unix_ns > counts.oldest_unix_ns ? now_unix_ns - counts.oldest_unix_ns : 0;
    }
    *ret_counts = counts;
}

void ring_tick(struct ring *ring)
{
    struct ring_counts counts;

    if (ring == NULL) {
        return;
    }
    ring_count(ring, &counts);
    metric_set(ring->settings.cells, METRIC_TRACE_RING_BYTES, counts.bytes);
    metric_set(ring->settings.cells, METRIC_TRACE_SAVED_BYTES, counts.saved_bytes);
    metric_set(ring->settings.cells, METRIC_TRACE_REACH, counts.reach_ns / NS_PER_MS);
}
