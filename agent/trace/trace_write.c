/*
 * A trace out of the ring as one OTLP message, see ring_write_trace (ring.h): its entries are walked, those
 * that stay are sorted by what stands around them, and written in pieces of a bounded size. A piece in which
 * something must not leave is written aside first and copied without it. Runs on the shard's loop.
 */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "decode/otlp_encode.h"
#include "decode/otlp_rewrite.h"
#include "decode/wire_write.h"
#include "trace/baseline.h"
#include "trace/ring_internal.h"
#include "trace/stored_request.h"

enum {
    PIECE_BYTES = 262144, /* after that many bytes of spans the group is closed, and begun again */
    SPAN_OVERHEAD_BYTES = 16,
    ASIDE_BYTES_MAX = 2 * BLOCK_BYTES_MAX, /* a piece and, by then, one more span, with their envelope */
    FIELD_RESOURCE_SPANS = 1,
    FIELD_SCOPE_SPANS = 2,
    FIELD_SPAN = 2,
    FIELD_TRACE_STATE = 3,
    FIELD_ATTRIBUTE = 9,
};

/* Groups of refs: those of OTLP spans are a hash of their envelope in 31 bits, so all OTLP spans come first.
 */
#define GROUP_REQUESTS 0xfffffff0u
#define GROUP_WRITTEN 0xfffffffeu
#define GROUP_LEFT_OUT 0xffffffffu

struct writing {
    struct ring *ring;
    const struct ring_write *how;
    struct buffer *out;
    struct buffer aside;
    uint64_t *order; /* group << 32 | index in refs, rising */
    uint32_t order_count;
    bool is_full;
    struct ring_written written;
    /* the envelope that was hashed last */
    const struct block_header *last_block;
    uint16_t last_place;
    uint32_t last_group;
};

static bool read_ref(const struct writing *writing, uint32_t index, struct block_view *ret_view,
    const struct block_entry **ret_entry, struct ring_entry *ret_read)
{
    uint32_t at;

    if (!ring_entry_of_number(writing->ring, writing->ring->refs[index].number, ret_view, &at)) {
        return false;
    }
    const struct block_entry *entry = block_view_entry(ret_view, at);
    *ret_entry = entry;
    return ring_read_entry(ret_view, entry, block_view_record(ret_view, entry), ret_read);
}

/* ---- what is written ---- */

static uint32_t group_of(
    struct writing *writing, const struct block_view *view, const struct block_entry *entry)
{
    uint16_t place = block_view_record(view, entry)->envelope;
    struct slice resource;
    struct slice scope;

    if (writing->last_block == view->header && writing->last_place == place) {
        return writing->last_group;
    }
    block_view_envelope(view, place, &resource, &scope);
    uint64_t hash =
        resource.length + scope.length > 0 ? XXH3_64bits(resource.ptr, resource.length + scope.length) : 0;
    writing->last_block = view->header;
    writing->last_place = place;
    writing->last_group = (uint32_t)(hash >> 33);
    return writing->last_group;
}

static uint64_t id_word(const uint8_t span_id[SPAN_ID_BYTES])
{
    uint64_t word;

    memcpy(&word, span_id, sizeof word);
    return word;
}

static int compare_words(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static bool is_left_out(const struct ring_write *how, const struct ring_entry *entry)
{
    return (how->only_not_kept && entry->is_kept) ||
           (how->without_access_logs && entry->form == RING_FORM_ACCESS_LOG);
}

/* Gives each entry its group. Returns how many span ids, of entries that are no access-log ones, are in the
 * scratch. */
static uint32_t choose(struct writing *writing, uint32_t count, bool *ret_has_logs)
{
    struct ring *ring = writing->ring;
    struct block_view view;
    const struct block_entry *entry;
    struct ring_entry read;
    uint32_t ids_count = 0;

    *ret_has_logs = false;
    for (uint32_t i = 0; i < count; i++) {
        struct ring_ref *ref = &ring->refs[i];
        ref->group = GROUP_LEFT_OUT;
        if (!read_ref(writing, i, &view, &entry, &read)) {
            continue;
        }
        if (read.form != RING_FORM_ACCESS_LOG) {
            ring->span_ids[ids_count++] = id_word(read.span_id);
        }
        if (!is_left_out(writing->how, &read)) {
            ref->group = read.form == RING_FORM_OTLP ? group_of(writing, &view, entry) : GROUP_REQUESTS;
            *ret_has_logs |= read.form == RING_FORM_ACCESS_LOG;
        }
    }
    return ids_count;
}

/* An access-log entry tells nothing that a span of the same id does not. */
static void leave_out_told(struct writing *writing, uint32_t count, uint32_t ids_count)
{
    struct ring *ring = writing->ring;
    struct block_view view;
    const struct block_entry *entry;
    struct ring_entry read;

    qsort(ring->span_ids, ids_count, sizeof *ring->span_ids, compare_words);
    for (uint32_t i = 0; i < count; i++) {
        struct ring_ref *ref = &ring->refs[i];
        if (ref->group == GROUP_REQUESTS && read_ref(writing, i, &view, &entry, &read) &&
            read.form == RING_FORM_ACCESS_LOG) {
            uint64_t id = id_word(read.span_id);
            if (id != 0 &&
                bsearch(&id, ring->span_ids, ids_count, sizeof *ring->span_ids, compare_words) != NULL) {
                ref->group = GROUP_LEFT_OUT;
            }
        }
    }
}

/* Oldest arrival first within a group. The ids in the scratch are no longer needed. */
static void put_in_order(struct writing *writing, uint32_t count)
{
    const struct ring_ref *refs = writing->ring->refs;

    writing->order = writing->ring->span_ids;
    for (uint32_t i = count; i-- > 0;) {
        if (refs[i].group != GROUP_LEFT_OUT) {
            writing->order[writing->order_count++] = (uint64_t)refs[i].group << 32 | (count - 1 - i);
        }
    }
    qsort(writing->order, writing->order_count, sizeof *writing->order, compare_words);
    for (uint32_t i = 0; i < writing->order_count; i++) {
        uint64_t key = writing->order[i];
        writing->order[i] = (key >> 32 << 32) | (count - 1 - (uint32_t)key);
    }
}

static uint32_t ref_at(const struct writing *writing, uint32_t position)
{
    return (uint32_t)writing->order[position];
}

static uint32_t group_at(const struct writing *writing, uint32_t position)
{
    return (uint32_t)(writing->order[position] >> 32);
}

/* ---- pieces ---- */

/* After a piece was appended: what did not fit is taken back, the rest noted as written. Negative: no memory.
 */
static int settle(struct writing *writing, size_t length_before, uint32_t from, uint32_t to, bool is_whole)
{
    struct buffer *out = writing->out;

    if (out->error == WERR_NOMEM) {
        return WERR_NOMEM;
    }
    if (out->error < 0 || !is_whole) {
        writing->is_full |= out->error < 0;
        out->error = 0;
        out->length = length_before;
        writing->written.left_out_count += to - from;
        return 0;
    }
    for (uint32_t i = from; i < to; i++) {
        writing->ring->refs[ref_at(writing, i)].group = GROUP_WRITTEN;
    }
    writing->written.spans_count += to - from;
    return 0;
}

/* Neighbours in the order that share an envelope, up to PIECE_BYTES; of one block, if that is frozen: only as
 * much is thawed at a time. */
struct piece {
    uint32_t from;
    uint32_t to;
    size_t bytes;
    bool needs_rewrite;
    struct slice resource_fields;
    struct slice scope_fields;
};

static struct piece next_piece(const struct writing *writing, uint32_t from)
{
    struct piece piece = {.from = from, .to = from};
    const struct block_header *block = NULL;
    bool is_frozen = false;
    struct block_view view;
    const struct block_entry *entry;
    struct ring_entry read;

    for (; piece.to < writing->order_count && group_at(writing, piece.to) == group_at(writing, from) &&
           piece.bytes < PIECE_BYTES;
         piece.to++) {
        if (!read_ref(writing, ref_at(writing, piece.to), &view, &entry, &read)) {
            continue; /* not met: it was read a moment ago */
        }
        if (piece.to == from) {
            piece.resource_fields = read.resource_fields;
            piece.scope_fields = read.scope_fields;
            block = view.header;
            is_frozen = view.frozen != NULL;
        } else if ((block != view.header && (is_frozen || view.frozen != NULL)) ||
                   !slice_equal(piece.resource_fields, read.resource_fields) ||
                   !slice_equal(piece.scope_fields, read.scope_fields)) {
            break;
        }
        piece.bytes += read.raw.length + writing->how->attribute.length + SPAN_OVERHEAD_BYTES;
        piece.needs_rewrite |= (entry->flags & BLOCK_ENTRY_NEEDS_REWRITE) != 0;
    }
    return piece;
}

/* A span's tracestate, and where the field lies; at the end, and empty, when it has none. */
static struct wire_field tracestate_of(struct slice raw)
{
    struct wire_reader reader = wire_reader_of(raw);
    struct wire_field found = {.raw = slice_sub(raw, raw.length, raw.length)};
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(FIELD_TRACE_STATE, WIRE_BYTES)) {
            found = field;
        }
    }
    return found;
}

/* The span as it came, with the tracestate that it is to leave with. */
static void append_fields(struct buffer *to, const struct ring_write *how, const struct ring_entry *entry)
{
    char tracestate[BASELINE_TRACESTATE_BYTES_MAX];
    struct slice raw = entry->raw;
    struct wire_field own = how->tells_weight ? tracestate_of(raw) : (struct wire_field){.tag = 0};
    int length = how->tells_weight
                     ? baseline_tracestate(how->baseline_threshold, entry->trace_id, own.bytes, tracestate)
                     : -1;

    if (length < 0) {
        (void)buffer_append_slice(to, raw);
        return;
    }
    size_t at = (size_t)(own.raw.ptr - raw.ptr);
    (void)buffer_append_slice(to, slice_sub(raw, 0, at));
    (void)buffer_append_slice(to, slice_sub(raw, at + own.raw.length, raw.length));
    if (length > 0) {
        wire_write_bytes(to, FIELD_TRACE_STATE, slice_of(tracestate, (size_t)length));
    }
}

static void append_span(struct buffer *to, const struct ring_write *how, const struct ring_entry *entry)
{
    struct wire_envelope span =
        wire_envelope_begin(to, FIELD_SPAN, entry->raw.length + how->attribute.length + 4);

    append_fields(to, how, entry);
    if (how->attribute.length > 0) {
        wire_write_bytes(to, FIELD_ATTRIBUTE, how->attribute);
    }
    wire_envelope_end(to, span);
}

static void append_piece(const struct writing *writing, const struct piece *piece, struct buffer *to)
{
    size_t scope_bytes = piece->scope_fields.length + piece->bytes;
    struct wire_envelope resource_spans =
        wire_envelope_begin(to, FIELD_RESOURCE_SPANS, piece->resource_fields.length + scope_bytes);
    struct block_view view;
    const struct block_entry *entry;
    struct ring_entry read;

    (void)buffer_append_slice(to, piece->resource_fields);
    struct wire_envelope scope_spans = wire_envelope_begin(to, FIELD_SCOPE_SPANS, scope_bytes);
    (void)buffer_append_slice(to, piece->scope_fields);
    for (uint32_t i = piece->from; i < piece->to; i++) {
        if (read_ref(writing, ref_at(writing, i), &view, &entry, &read)) {
            append_span(to, writing->how, &read);
        }
    }
    wire_envelope_end(to, scope_spans);
    wire_envelope_end(to, resource_spans);
}

static int write_piece(struct writing *writing, const struct piece *piece)
{
    struct buffer *out = writing->out;
    size_t length = out->length;
    uint32_t spans_count = 0;

    if (!piece->needs_rewrite) {
        append_piece(writing, piece, out);
        return settle(writing, length, piece->from, piece->to, true);
    }
    writing->aside.length = 0;
    append_piece(writing, piece, &writing->aside);
    if (writing->aside.error == WERR_NOMEM) {
        return WERR_NOMEM;
    }
    if (writing->aside.error < 0) {
        writing->aside.error = 0;
        return settle(writing, length, piece->from, piece->to, false);
    }
    (void)otlp_rewrite_sound(writing->ring->settings.scanner,
        slice_of(writing->aside.data, writing->aside.length), out, &spans_count);
    return settle(writing, length, piece->from, piece->to, spans_count == piece->to - piece->from);
}

/* ---- what did not come as OTLP ---- */

/* For an entry that has no span id: the same each time it is asked for. */
static void make_span_id(const struct ring_entry *entry, uint8_t span_id[SPAN_ID_BYTES])
{
    struct {
        uint8_t trace_id[TRACE_ID_BYTES];
        uint64_t start_unix_ns;
        uint64_t duration_ns;
    } told = {.start_unix_ns = entry->start_unix_ns, .duration_ns = entry->duration_ns};

    memcpy(told.trace_id, entry->trace_id, sizeof told.trace_id);
    uint64_t id = XXH3_64bits(&told, sizeof told) | 1;
    memcpy(span_id, &id, SPAN_ID_BYTES);
}

static int write_requests(struct writing *writing, uint32_t from)
{
    struct otlp_encoder encoder;
    struct block_view view;
    const struct block_entry *entry;
    struct ring_entry read;
    struct otlp_encode_span span;
    uint8_t span_id[SPAN_ID_BYTES];

    otlp_encode_begin(&encoder, writing->out);
    for (uint32_t i = from; i < writing->order_count; i++) {
        int code = WERR_INVALID;
        if (read_ref(writing, ref_at(writing, i), &view, &entry, &read) && ring_entry_request(&read, &span)) {
            if (id_word(read.span_id) == 0) {
                make_span_id(&read, span_id);
                span.span_id = span_id;
            }
            span.is_access_log = read.form == RING_FORM_ACCESS_LOG;
            span.attribute = writing->how->attribute;
            if (writing->how->tells_weight) {
                span.sampling_threshold = baseline_outgoing(
                    writing->how->baseline_threshold, read.trace_id, span.sampling_threshold);
            }
            code = otlp_encode_span(&encoder, &span);
        }
        if (code == WERR_NOMEM) {
            return WERR_NOMEM;
        }
        if (code > 0) {
            writing->ring->refs[ref_at(writing, i)].group = GROUP_WRITTEN;
            writing->written.spans_count++;
        } else {
            writing->written.left_out_count++;
        }
    }
    (void)otlp_encode_end(&encoder);
    return 0;
}

static int write_all(struct writing *writing)
{
    uint32_t position = 0;
    int code = 0;

    while (code == 0 && !writing->is_full && position < writing->order_count) {
        if (group_at(writing, position) == GROUP_REQUESTS) {
            return write_requests(writing, position);
        }
        struct piece piece = next_piece(writing, position);
        code = write_piece(writing, &piece);
        position = piece.to;
    }
    writing->written.left_out_count += writing->order_count - position;
    return code;
}

/* The `count` entries in ring->refs. */
static int write_refs(struct writing *writing, uint32_t count)
{
    size_t length = writing->out->length;
    bool has_logs;
    uint32_t ids_count = choose(writing, count, &has_logs);

    if (has_logs) {
        leave_out_told(writing, count, ids_count);
    }
    put_in_order(writing, count);
    buffer_init(&writing->aside, ASIDE_BYTES_MAX + writing->how->attribute.length);
    int code = write_all(writing);
    buffer_deinit(&writing->aside);
    if (code < 0) {
        writing->out->length = length;
        writing->out->error = 0;
        return code;
    }
    for (uint32_t i = 0; writing->how->marks_kept && i < count; i++) {
        if (writing->ring->refs[i].group == GROUP_WRITTEN) {
            ring_mark_kept(writing->ring, writing->ring->refs[i].number);
        }
    }
    return 0;
}

static int write_on(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const struct ring_write *how,
    struct ring_walk_cursor *cursor, uint64_t work_max, struct buffer *out, struct ring_written *ret_written)
{
    struct writing writing = {.ring = ring, .how = how, .out = out};

    if (out->error < 0) {
        return out->error;
    }
    uint32_t count = ring_walk_on(ring, trace_id, cursor, work_max, &writing.written.is_cut);
    if (cursor->is_over && cursor->found_count == 0) {
        return WERR_NOT_FOUND;
    }
    int code = count > 0 ? write_refs(&writing, count) : 0;
    if (code == 0) {
        *ret_written = writing.written;
    }
    return code;
}

int ring_write_trace(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const struct ring_write *how,
    struct buffer *out, struct ring_written *ret_written)
{
    struct ring_walk_cursor cursor = {.has_begun = false};

    return write_on(ring, trace_id, how, &cursor, UINT64_MAX, out, ret_written);
}

int ring_write_some(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const struct ring_write *how,
    struct ring_walk_cursor *cursor, struct buffer *out, struct ring_written *ret_written)
{
    return write_on(ring, trace_id, how, cursor, RING_WORK_SLICE, out, ret_written);
}
