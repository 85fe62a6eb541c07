/* The ring's record path, see ring.h: making it, adding to it. Runs on the shard's loop. */
#include "trace/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "decode/otlp_schema.h"
#include "trace/ring_internal.h"
#include "trace/stored_request.h"

enum {
    SHARE_BYTES_PER_HEAD = 2048, /* heads that stay in a processor's own cache are worth longer chains */
    BLOCKS_PER_SHARE = 16,       /* at least, so that one recycled is a small part */
    PAGE_BYTES = 4096,
    CACHE_LINE_BYTES = 64,
    PREFETCH_BYTES_MIN = 256, /* what is shorter, the processor sees coming by itself */
    PREFETCH_BYTES_MAX = 1024,
    TRIES = 2, /* in the newest block, then in an empty one, where everything that is let in has room */
};

/* In a ScopeSpans whose envelope has no room in any block; no block has such a sequence. */
#define NOTE_TOO_LARGE UINT64_MAX

/* ---- making ---- */

static uint64_t power_of_two_below(uint64_t value)
{
    return 1ull << (63 - (unsigned)__builtin_clzll(value));
}

/* How the share is divided. */
struct sizes {
    uint64_t heads_bytes;
    uint64_t tables_bytes; /* heads, places and free slots, in whole pages */
    uint64_t rooms_count;  /* of a block each, for thaw and freezer */
};

static struct sizes set_sizes(struct ring *ring)
{
    const struct ring_settings *settings = &ring->settings;
    uint64_t share_bytes = settings->share_bytes / PAGE_BYTES * PAGE_BYTES;
    uint64_t heads_bytes = power_of_two_below(share_bytes / SHARE_BYTES_PER_HEAD) * sizeof(uint32_t);
    uint64_t block_bytes = power_of_two_below(share_bytes / BLOCKS_PER_SHARE);

    heads_bytes = heads_bytes < PAGE_BYTES ? PAGE_BYTES : heads_bytes;
    block_bytes = block_bytes < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : block_bytes;
    block_bytes = block_bytes > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : block_bytes;
    uint64_t block_count = (share_bytes - heads_bytes) / block_bytes; /* at most */
    block_count = block_count < RING_BLOCKS_MAX ? block_count : RING_BLOCKS_MAX;
    uint64_t places_max = settings->compresses ? block_count * RING_PACK_FACTOR : block_count;
    uint64_t places_count = power_of_two_below(2 * places_max - 1);
    places_count = places_count < RING_BLOCKS_MAX ? places_count : RING_BLOCKS_MAX;
    struct sizes sizes = {.heads_bytes = heads_bytes,
        .tables_bytes =
            heads_bytes + places_count * sizeof(struct ring_place) + block_count * sizeof(uint32_t),
        .rooms_count = settings->compresses ? THAW_BUFFERS_COUNT + 1 : 0};
    sizes.tables_bytes = (sizes.tables_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uint64_t fitting_count = (share_bytes - sizes.tables_bytes) / block_bytes - sizes.rooms_count;
    ring->block_bytes = (uint32_t)block_bytes;
    ring->block_count = (uint32_t)(fitting_count < block_count ? fitting_count : block_count);
    ring->heads_mask = (uint32_t)(heads_bytes / sizeof(uint32_t) - 1);
    ring->places_mask = (uint32_t)(places_count - 1);
    ring->memory_bytes = sizes.tables_bytes + (ring->block_count + sizes.rooms_count) * block_bytes;
    /* both, and two names, have room in an empty block */
    ring->span_bytes_max =
        settings->span_bytes_max < block_bytes / 2 ? settings->span_bytes_max : block_bytes / 2;
    ring->envelope_bytes_max = block_bytes / 4;
    return sizes;
}

/* What lies in the memory, all of whose slots are free. */
static int divide(struct ring *ring, const struct sizes *sizes)
{
    uint64_t places_bytes = (ring->places_mask + (uint64_t)1) * sizeof(struct ring_place);
    uint8_t *places = ring->memory + sizes->heads_bytes;

    ring->heads = (uint32_t *)(void *)ring->memory;
    ring->places = (struct ring_place *)(void *)places;
    ring->free_slots = (uint32_t *)(void *)(places + places_bytes);
    ring->slots = ring->memory + sizes->tables_bytes;
    ring->oldest = 1;
    ring->freeze_next = 1;
    while (ring->free_count < ring->block_count) {
        ring->free_slots[ring->free_count] = ring->block_count - 1 - ring->free_count;
        ring->free_count++;
    }
    if (!ring->settings.compresses) {
        return 0;
    }
    uint8_t *rooms = ring->slots + (uint64_t)ring->block_count * ring->block_bytes;
    int error = thaw_init(&ring->thaw, rooms, ring->block_bytes, ring->settings.cells);
    return error < 0 ? error
                     : freezer_init(&ring->freezer, rooms + (size_t)THAW_BUFFERS_COUNT * ring->block_bytes,
                           ring->block_bytes);
}

int ring_new(const struct ring_settings *settings, struct ring **ret_ring)
{
    if (settings->share_bytes < RING_SHARE_BYTES_MIN || settings->spans_count_max == 0) {
        return WERR_INVALID;
    }
    struct ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        return WERR_NOMEM;
    }
    ring->settings = *settings;
    ring->coarse_clock = clock_coarse(settings->clock);
    struct sizes sizes = set_sizes(ring);
    void *memory = mmap(
        NULL, ring->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) {
        /* with small pages a search waits for the translation of nearly each address */
        (void)madvise(memory, ring->memory_bytes, MADV_HUGEPAGE);
    }
    ring->memory = memory != MAP_FAILED ? memory : NULL;
    ring->fields = malloc(ring->envelope_bytes_max);
    ring->refs = calloc(settings->spans_count_max, sizeof *ring->refs);
    ring->span_ids = calloc(settings->spans_count_max, sizeof *ring->span_ids);
    if (ring->memory == NULL || ring->fields == NULL || ring->refs == NULL || ring->span_ids == NULL ||
        divide(ring, &sizes) < 0) {
        ring_free(ring);
        return WERR_NOMEM;
    }
    if (getrandom(&ring->hash_seed, sizeof ring->hash_seed, GRND_NONBLOCK) < 0) {
        ring->hash_seed = (uint64_t)(uintptr_t)memory ^ clock_monotonic_ns(settings->clock);
    }
    *ret_ring = ring;
    return 0;
}

void ring_free(struct ring *ring)
{
    if (ring == NULL) {
        return;
    }
    thaw_deinit(&ring->thaw);
    freezer_deinit(&ring->freezer);
    if (ring->memory != NULL) {
        (void)munmap(ring->memory, ring->memory_bytes);
    }
    free(ring->fields);
    free(ring->refs);
    free(ring->span_ids);
    free(ring);
}

struct ring_hash ring_hash_of(const struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES])
{
    uint64_t hash = XXH3_64bits_withSeed(trace_id, TRACE_ID_BYTES, ring->hash_seed);

    return (struct ring_hash){
        .head = (uint32_t)(hash >> 32) & ring->heads_mask, .fingerprint = (uint32_t)hash};
}

void ring_expect(const struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES])
{
    if (ring != NULL) {
        __builtin_prefetch(&ring->heads[ring_hash_of(ring, trace_id).head], 1);
    }
}

/* ---- blocks ---- */

void ring_expire(struct ring *ring, const struct block_header *header)
{
    struct metric_cells *cells = ring->settings.cells;

    LEDGER_ADD(cells, METRIC_TRACE_EXPIRED_SPANS, header->spans_not_kept_count);
    LEDGER_ADD(cells, METRIC_TRACE_EXPIRED_LOGS, header->logs_count);
    metric_add(cells, METRIC_TRACE_RING_SPANS, -(uint64_t)header->spans_not_kept_count);
    metric_add(cells, METRIC_TRACE_RING_LOGS, -(uint64_t)header->logs_count);
}

static void open_block(struct ring *ring, uint64_t start_unix_ns)
{
    ring->block = ring_next_block(ring);
    block_begin(ring->block, ring->sequence, clock_unix_ns(ring->coarse_clock), start_unix_ns);
    memset(ring->names, 0, sizeof ring->names);
    ring->name_count = 0;
}

/* ---- names ---- */

static uint16_t put_name(
    struct ring *ring, struct ring_name_slot *slot, uint32_t key, bool is_text, struct slice text)
{
    if (ring->name_count >= RING_NAMES_MAX) {
        return 0;
    }
    uint16_t place = block_put_name(ring->block, ring->block_bytes, text);
    if (place != 0) {
        *slot = (struct ring_name_slot){.key = key, .place = place, .is_text = is_text};
        ring->name_count++;
    }
    return place;
}

/* The place of an interned text in the newest block; false when that is full. No place for no text. */
static inline bool name_of_id(struct ring *ring, uint32_t id, uint16_t *ret_place)
{
    uint32_t index = (id ^ id >> 12) % RING_NAME_SLOTS_COUNT;

    if (id == INTERNED_NONE) {
        *ret_place = 0;
        return true;
    }
    for (;; index = (index + 1) % RING_NAME_SLOTS_COUNT) {
        struct ring_name_slot *slot = &ring->names[index];
        if (__builtin_expect(slot->key == id && slot->place != 0 && !slot->is_text, 1)) {
            *ret_place = slot->place;
            return true;
        }
        if (slot->place == 0) {
            *ret_place = put_name(ring, slot, id, false, interner_text(ring->settings.interner, id));
            return *ret_place != 0;
        }
    }
}

static bool text_is_at(const struct ring *ring, uint16_t place, struct slice text)
{
    struct block_view view;

    return block_open(ring->block, ring->block_bytes, &view) &&
           slice_equal(block_view_name(&view, place), text);
}

static bool name_of_text(struct ring *ring, struct slice text, uint16_t *ret_place)
{
    struct slice cut = slice_sub(text, 0, BLOCK_NAME_BYTES_MAX);

    if (cut.length == 0) {
        *ret_place = 0;
        return true;
    }
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(cut.ptr, cut.length, ring->hash_seed);
    for (uint32_t index = hash % RING_NAME_SLOTS_COUNT;; index = (index + 1) % RING_NAME_SLOTS_COUNT) {
        struct ring_name_slot *slot = &ring->names[index];
        if (slot->place != 0 && slot->is_text && slot->key == hash && text_is_at(ring, slot->place, cut)) {
            *ret_place = slot->place;
            return true;
        }
        if (slot->place == 0) {
            *ret_place = put_name(ring, slot, hash, true, cut);
            return *ret_place != 0;
        }
    }
}

/* ---- envelopes ---- */

/* Appends to the scratch, from *used on, all fields of a ResourceSpans or ScopeSpans but scopes and spans.
 * False when there is no room. Damage ends it, as it ended the scan. */
static bool collect_fields(struct ring *ring, struct slice message, enum otlp_kind kind, size_t *used)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        enum otlp_kind child = otlp_child_kind(kind, field.tag);
        if (child == OTLP_SCOPE_SPANS || child == OTLP_SPAN) {
            continue;
        }
        if (!otlp_field_is_sound(kind, field.tag)) {
            break;
        }
        if (field.raw.length > ring->envelope_bytes_max - *used) {
            return false;
        }
        memcpy(ring->fields + *used, field.raw.ptr, field.raw.length);
        *used += field.raw.length;
    }
    return true;
}

static bool is_at(const struct ring *ring, uint16_t place, struct slice resource, struct slice scope)
{
    struct block_view view;
    struct slice stored_resource;
    struct slice stored_scope;

    if (!block_open(ring->block, ring->block_bytes, &view)) {
        return false;
    }
    block_view_envelope(&view, place, &stored_resource, &stored_scope);
    return slice_equal(stored_resource, resource) && slice_equal(stored_scope, scope);
}

enum placing { PLACED, BLOCK_FULL, TOO_LARGE };

static enum placing place_fields(
    struct ring *ring, struct slice resource, struct slice scope, uint16_t *ret_place)
{
    uint64_t hash =
        XXH3_64bits_withSeed(resource.ptr, resource.length + scope.length, ring->hash_seed ^ scope.length);
    struct ring_envelope_slot *slot = &ring->envelopes[hash % RING_ENVELOPE_SLOTS_COUNT];

    if (slot->hash != hash || slot->sequence != ring->sequence ||
        !is_at(ring, slot->place, resource, scope)) {
        uint16_t place = block_put_envelope(ring->block, ring->block_bytes, resource, scope);
        if (place == 0) {
            return BLOCK_FULL;
        }
        *slot = (struct ring_envelope_slot){.hash = hash, .sequence = ring->sequence, .place = place};
    }
    *ret_place = slot->place;
    return PLACED;
}

/* The fields of its ResourceSpans into the scratch, unless they are there. False when they are too many. */
static bool has_resource_fields(struct ring *ring, struct span_around *around)
{
    if (around->resource_note == 0 || around->resource_note != ring->resource_serial) {
        around->resource_note = ++ring->resource_serial;
        ring->resource_fields_bytes = 0;
        ring->resource_is_too_large =
            !collect_fields(ring, around->resource_spans, OTLP_RESOURCE_SPANS, &ring->resource_fields_bytes);
    }
    return !ring->resource_is_too_large;
}

/* What stands around a span, of which the newest block does not hold anything yet as far as is known. Each
 * message is looked through once, and once more for each block that it fills. */
static enum placing place_envelope(struct ring *ring, struct span_around *around, uint16_t *ret_place)
{
    size_t used = 0;
    bool fits = has_resource_fields(ring, around);

    if (fits) {
        used = ring->resource_fields_bytes;
        fits = collect_fields(ring, around->scope_spans, OTLP_SCOPE_SPANS, &used);
    }
    if (!fits) {
        around->scope_note = NOTE_TOO_LARGE;
        return TOO_LARGE;
    }
    struct slice resource = slice_of(ring->fields, ring->resource_fields_bytes);
    struct slice scope = slice_of(ring->fields + resource.length, used - resource.length);
    enum placing placing = place_fields(ring, resource, scope, ret_place);
    if (placing == PLACED) {
        around->scope_note = ring->sequence << 16 | *ret_place;
    }
    return placing;
}

static inline enum placing envelope_of(struct ring *ring, struct span_around *around, uint16_t *ret_place)
{
    if (around == NULL) {
        *ret_place = 0;
        return PLACED;
    }
    if (__builtin_expect(around->scope_note >> 16 == ring->sequence, 1)) {
        *ret_place = (uint16_t)around->scope_note;
        return PLACED;
    }
    return around->scope_note == NOTE_TOO_LARGE ? TOO_LARGE : place_envelope(ring, around, ret_place);
}

/* ---- entries ---- */

/* An entry that is being made. */
struct draft {
    struct block_entry entry;
    struct block_record record; /* but its ids */
    const uint8_t *trace_id;
    const uint8_t *span_id;
    uint64_t response_flags;
    struct slice payload;
    bool is_log;
};

static int32_t start_ms_of(const struct block_header *header, uint64_t start_unix_ns)
{
    int64_t ms = (int64_t)(start_unix_ns / 1000000u) - (int64_t)(header->base_unix_ns / 1000000u);

    return ms < INT32_MIN ? INT32_MIN : ms > INT32_MAX ? INT32_MAX : (int32_t)ms;
}

static void count_entry(struct ring *ring, struct block_header *header, const struct draft *draft)
{
    struct metric_cells *cells = ring->settings.cells;

    if (draft->is_log) {
        LEDGER_ADD(cells, METRIC_TRACE_STORED_LOGS, 1);
        metric_add(cells, METRIC_TRACE_RING_LOGS, 1);
        header->logs_count++;
        return;
    }
    LEDGER_ADD(cells, METRIC_TRACE_STORED_SPANS, 1);
    if ((draft->entry.flags & BLOCK_ENTRY_KEPT) != 0) {
        LEDGER_ADD(cells, METRIC_TRACE_KEPT_SPANS, 1);
        return;
    }
    metric_add(cells, METRIC_TRACE_RING_SPANS, 1);
    header->spans_not_kept_count++;
}

static void write_record(struct ring *ring, uint32_t at, const struct draft *draft)
{
    struct block_record *record = (struct block_record *)(void *)(ring->block + at);
    uint8_t *payload = ring->block + at + sizeof *record;

    *record = draft->record;
    memcpy(record->trace_id, draft->trace_id, sizeof record->trace_id);
    memcpy(record->span_id, draft->span_id, sizeof record->span_id);
    if ((draft->entry.flags & BLOCK_ENTRY_HAS_FLAGS) != 0) {
        memcpy(payload, &draft->response_flags, sizeof draft->response_flags);
        payload += sizeof draft->response_flags;
    }
    if (draft->payload.length > 0) {
        memcpy(payload, draft->payload.ptr, draft->payload.length);
    }
}

/* Where the next record will lie, about as long as this one: fetched while that span is still being read. */
static inline void prefetch_room(const struct ring *ring, uint32_t begin, uint32_t front)
{
    uint32_t bytes = front - begin < PREFETCH_BYTES_MAX ? front - begin : PREFETCH_BYTES_MAX;

    for (uint32_t i = 0; i < bytes; i += CACHE_LINE_BYTES) {
        __builtin_prefetch(ring->block + front + i, 1);
    }
}

/* Record, entry and chain; names and envelope have their places. False when the block is full. */
static bool put_entry(struct ring *ring, struct draft *draft)
{
    struct block_header *header = block_header(ring->block);
    uint64_t start_unix_ns = draft->record.start_unix_ns;
    size_t flags_bytes = (draft->entry.flags & BLOCK_ENTRY_HAS_FLAGS) != 0 ? sizeof(uint64_t) : 0;
    uint32_t at = block_reserve(
        ring->block, ring->block_bytes, sizeof draft->record + flags_bytes + draft->payload.length);

    if (at == 0) {
        return false;
    }
    struct ring_hash hash = ring_hash_of(ring, draft->trace_id);
    write_record(ring, at, draft);
    uint32_t index = header->entry_count++;
    struct block_entry *entry = block_entry_at(ring->block, ring->block_bytes, index);
    *entry = draft->entry;
    entry->fingerprint = hash.fingerprint;
    entry->start_ms = start_ms_of(header, start_unix_ns);
    entry->duration_code = block_duration_code(draft->record.duration_ns);
    entry->record_at = at;
    entry->previous = ring->heads[hash.head];
    ring->heads[hash.head] = (uint32_t)ring->sequence << BLOCK_ENTRY_BITS | (index + 1);
    header->start_min_unix_ns =
        start_unix_ns < header->start_min_unix_ns ? start_unix_ns : header->start_min_unix_ns;
    header->start_max_unix_ns =
        start_unix_ns > header->start_max_unix_ns ? start_unix_ns : header->start_max_unix_ns;
    count_entry(ring, header, draft);
    if (draft->payload.length > PREFETCH_BYTES_MIN) {
        prefetch_room(ring, at, header->front);
    }
    return true;
}

static bool is_bad(uint8_t outcome)
{
    return outcome == OUTCOME_SERVER_ERROR || outcome == OUTCOME_NO_RESPONSE;
}

static uint8_t flags_of(bool is_error, bool is_kept, uint64_t response_flags, unsigned role)
{
    return (uint8_t)((is_error ? BLOCK_ENTRY_ERROR : 0) | (is_kept ? BLOCK_ENTRY_KEPT : 0) |
                     (response_flags != 0 ? BLOCK_ENTRY_HAS_FLAGS : 0) | role << BLOCK_ENTRY_ROLE_SHIFT);
}

static bool refuse(struct ring *ring)
{
    LEDGER_ADD(ring->settings.cells, METRIC_TRACE_NOT_STORED_OVERSIZED, 1);
    return false;
}

/* ---- spans ---- */

static enum placing place_span(
    struct ring *ring, const struct span *span, const struct ring_note *note, struct draft *draft)
{
    enum placing placing = envelope_of(ring, span->around, &draft->record.envelope);

    if (placing != PLACED) {
        return placing;
    }
    bool has_service = note->service != INTERNED_NONE
                           ? name_of_id(ring, note->service, &draft->entry.service)
                           : name_of_text(ring, note->service_text, &draft->entry.service);
    bool has_route = note->route != INTERNED_NONE ? name_of_id(ring, note->route, &draft->entry.route)
                                                  : name_of_text(ring, note->route_text, &draft->entry.route);
    return has_service && has_route && put_entry(ring, draft) ? PLACED : BLOCK_FULL;
}

bool ring_add_span(struct ring *ring, const struct span *span, const struct ring_note *note)
{
    unsigned kind = span->kind <= SPAN_KIND_CONSUMER ? span->kind : SPAN_KIND_UNSPECIFIED;
    bool is_error = note->is_error || span->status == SPAN_STATUS_ERROR || is_bad(note->outcome);
    struct draft draft = {
        .entry = {.kinds = block_kinds(note->outcome, kind, RING_FORM_OTLP),
            .flags = (uint8_t)(flags_of(is_error, note->is_kept, note->response_flags, note->role) |
                               (span->needs_rewrite ? BLOCK_ENTRY_NEEDS_REWRITE : 0))},
        .record = {.start_unix_ns = span->start_unix_ns,
            .duration_ns =
                span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns - span->start_unix_ns : 0,
            .payload_bytes = (uint32_t)span->raw.length,
            .response_code = note->response_code},
        .trace_id = span->trace_id,
        .span_id = span->span_id,
        .response_flags = note->response_flags,
        .payload = span->raw,
    };

    if (span->raw.length > ring->span_bytes_max) {
        return refuse(ring);
    }
    for (int i = 0; i < TRIES; i++) {
        if (i > 0 || ring->block == NULL) {
            open_block(ring, span->start_unix_ns);
        }
        switch (place_span(ring, span, note, &draft)) {
        case PLACED:
            return true;
        case TOO_LARGE:
            return refuse(ring);
        case BLOCK_FULL:
        default:
            break;
        }
    }
    return refuse(ring);
}

/* ---- requests ---- */

static bool place_names(
    struct ring *ring, const struct request *request, struct stored_request *stored, struct draft *draft)
{
    if (!name_of_id(ring, request->source, &stored->source) ||
        !name_of_id(ring, request->source_namespace, &stored->source_namespace) ||
        !name_of_id(ring, request->destination, &stored->destination) ||
        !name_of_id(ring, request->destination_namespace, &stored->destination_namespace) ||
        !name_of_id(ring, request->route, &draft->entry.route)) {
        return false;
    }
    draft->entry.service = request->reporter == REPORTER_SOURCE ? stored->source : stored->destination;
    return true;
}

static bool is_zero(const uint8_t *id, size_t id_bytes)
{
    static const uint8_t zero[TRACE_ID_BYTES] = {0};

    return memcmp(id, zero, id_bytes) == 0;
}

bool ring_add_request(struct ring *ring, const struct request *request, const uint8_t *parent_id,
    uint64_t sampling_threshold, bool is_kept)
{
    bool is_log = request->signal != REQUEST_FROM_SPAN;
    unsigned kind = request->reporter == REPORTER_SOURCE ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER;
    struct stored_request stored;
    struct draft draft = {
        .entry = {.kinds =
                      block_kinds(request->outcome, kind, is_log ? RING_FORM_ACCESS_LOG : RING_FORM_NATIVE),
            .flags = flags_of(
                is_bad(request->outcome), is_kept && !is_log, request->response_flags, RING_REQUEST)},
        .record = {.start_unix_ns = request->start_unix_ns,
            .duration_ns = request->duration_ns,
            .payload_bytes = sizeof stored,
            .response_code = request->response_code},
        .trace_id = request->trace_id,
        .span_id = request->span_id,
        .response_flags = request->response_flags,
        .payload = slice_of(&stored, sizeof stored),
        .is_log = is_log,
    };

    if (is_zero(request->trace_id, TRACE_ID_BYTES) || (!is_log && is_zero(request->span_id, SPAN_ID_BYTES))) {
        if (!is_log) {
            LEDGER_ADD(ring->settings.cells, METRIC_TRACE_NOT_STORED_NO_TRACE, 1);
        }
        return false;
    }
    stored_request_fill(&stored, request, parent_id, sampling_threshold);
    for (int i = 0; i < TRIES; i++) {
        if (i > 0 || ring->block == NULL) {
            open_block(ring, request->start_unix_ns);
        }
        if (place_names(ring, request, &stored, &draft) && put_entry(ring, &draft)) {
            return true;
        }
    }
    return refuse(ring); /* not met: five names and a record have room in an empty block */
}
