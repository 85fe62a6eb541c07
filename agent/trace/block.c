/* A block's bytes, see block.h: what the ring writes, and reading back with every offset checked. */
#include "trace/block.h"

#include <string.h>

#include "core/slice.h"
#include "trace/frozen.h"

struct envelope_head {
    uint32_t resource_bytes;
    uint32_t scope_bytes;
};

void block_begin(uint8_t *block, uint64_t sequence, uint64_t now_unix_ns, uint64_t base_unix_ns)
{
    *block_header(block) = (struct block_header){.sequence = sequence,
        .opened_unix_ns = now_unix_ns,
        .base_unix_ns = base_unix_ns,
        .start_min_unix_ns = UINT64_MAX,
        .front = sizeof(struct block_header)};
}

uint32_t block_reserve(uint8_t *block, uint32_t bytes, size_t length)
{
    struct block_header *header = block_header(block);
    size_t taken = (length + BLOCK_PLACE_BYTES - 1) & ~(size_t)(BLOCK_PLACE_BYTES - 1);
    size_t entries = (size_t)(header->entry_count + 1) * sizeof(struct block_entry);
    size_t limit = (bytes - entries) & ~(size_t)(BLOCK_PLACE_BYTES - 1);

    if (__builtin_expect(header->entry_count >= BLOCK_ENTRIES_MAX || header->front > limit ||
                             taken > limit - header->front,
            0)) {
        return 0;
    }
    uint32_t at = header->front;
    header->front = at + (uint32_t)taken;
    return at;
}

uint16_t block_put_name(uint8_t *block, uint32_t bytes, struct slice text)
{
    uint16_t length = (uint16_t)(text.length < BLOCK_NAME_BYTES_MAX ? text.length : BLOCK_NAME_BYTES_MAX);
    uint32_t at = block_reserve(block, bytes, sizeof length + length);

    if (at == 0) {
        return 0;
    }
    memcpy(block + at, &length, sizeof length);
    if (length > 0) {
        memcpy(block + at + sizeof length, text.ptr, length);
    }
    return (uint16_t)(at / BLOCK_PLACE_BYTES);
}

uint16_t block_put_envelope(
    uint8_t *block, uint32_t bytes, struct slice resource_fields, struct slice scope_fields)
{
    struct envelope_head head = {
        .resource_bytes = (uint32_t)resource_fields.length, .scope_bytes = (uint32_t)scope_fields.length};
    uint32_t at = block_reserve(block, bytes, sizeof head + resource_fields.length + scope_fields.length);

    if (at == 0) {
        return 0;
    }
    memcpy(block + at, &head, sizeof head);
    if (resource_fields.length > 0) {
        memcpy(block + at + sizeof head, resource_fields.ptr, resource_fields.length);
    }
    if (scope_fields.length > 0) {
        memcpy(block + at + sizeof head + resource_fields.length, scope_fields.ptr, scope_fields.length);
    }
    return (uint16_t)(at / BLOCK_PLACE_BYTES);
}

/* ---- reading ---- */

bool block_open(const uint8_t *block, size_t bytes, struct block_view *ret_view)
{
    if (bytes < BLOCK_BYTES_MIN || bytes > BLOCK_BYTES_MAX || bytes % BLOCK_PLACE_BYTES != 0 ||
        (uintptr_t)block % BLOCK_PLACE_BYTES != 0) {
        return false;
    }
    const struct block_header *header = (const struct block_header *)(const void *)block;
    size_t entries_max = (bytes - sizeof *header) / sizeof(struct block_entry);
    size_t entry_count = header->entry_count < entries_max ? header->entry_count : entries_max;
    size_t limit = bytes - entry_count * sizeof(struct block_entry);

    if (entry_count > BLOCK_ENTRIES_MAX) {
        return false;
    }
    *ret_view = (struct block_view){
        .data = block,
        .bytes = (uint32_t)bytes,
        .front = header->front < limit ? header->front : (uint32_t)limit,
        .entry_count = (uint32_t)entry_count,
        .header = header,
        .entries_end = (const struct block_entry *)(const void *)(block + bytes),
    };
    return true;
}

/* How many bytes lie from `at` to the front; 0 when that is not within. */
static size_t room_at(const struct block_view *view, uint32_t at)
{
    return at >= sizeof(struct block_header) && at < view->front ? view->front - at : 0;
}

/* What lies there, thawed; NULL when that fails. All of it lies before the front. */
static inline const uint8_t *bytes_at(const struct block_view *view, uint32_t at, size_t length)
{
    return view->frozen == NULL ? view->data + at : thaw_bytes(view, at, (uint32_t)length);
}

static size_t flags_bytes(const struct block_entry *entry)
{
    return (entry->flags & BLOCK_ENTRY_HAS_FLAGS) != 0 ? sizeof(uint64_t) : 0;
}

const struct block_record *block_view_record(const struct block_view *view, const struct block_entry *entry)
{
    uint32_t at = entry->record_at;
    size_t room = room_at(view, at);
    size_t head_bytes = sizeof(struct block_record) + flags_bytes(entry);

    if (at % BLOCK_PLACE_BYTES != 0 || room < head_bytes) {
        return NULL;
    }
    const struct block_record *record =
        (const struct block_record *)(const void *)bytes_at(view, at, head_bytes);
    if (record == NULL || record->payload_bytes > room - head_bytes) {
        return NULL;
    }
    return view->frozen == NULL || bytes_at(view, at, head_bytes + record->payload_bytes) != NULL ? record
                                                                                                  : NULL;
}

struct slice block_view_payload(
    const struct block_entry *entry, const struct block_record *record, uint64_t *ret_response_flags)
{
    const uint8_t *payload = (const uint8_t *)(record + 1);

    *ret_response_flags = 0;
    if (flags_bytes(entry) > 0) {
        memcpy(ret_response_flags, payload, sizeof *ret_response_flags);
        payload += sizeof *ret_response_flags;
    }
    return slice_of(payload, record->payload_bytes);
}

struct slice block_view_name(const struct block_view *view, uint16_t place)
{
    uint32_t at = (uint32_t)place * BLOCK_PLACE_BYTES;
    size_t room = room_at(view, at);
    struct slice name;
    uint16_t length;

    if (view->frozen != NULL && frozen_name(view, place, &name)) {
        return name;
    }
    const uint8_t *bytes = room >= sizeof length ? bytes_at(view, at, sizeof length) : NULL;
    if (bytes == NULL) {
        return slice_of(NULL, 0);
    }
    memcpy(&length, bytes, sizeof length);
    if (length > room - sizeof length || bytes_at(view, at, sizeof length + length) == NULL) {
        return slice_of(NULL, 0);
    }
    return slice_of(bytes + sizeof length, length);
}

void block_view_envelope(const struct block_view *view, uint16_t place, struct slice *ret_resource_fields,
    struct slice *ret_scope_fields)
{
    uint32_t at = (uint32_t)place * BLOCK_PLACE_BYTES;
    size_t room = room_at(view, at);
    struct envelope_head head;

    *ret_resource_fields = *ret_scope_fields = slice_of(NULL, 0);
    const uint8_t *bytes = room >= sizeof head ? bytes_at(view, at, sizeof head) : NULL;
    if (bytes == NULL) {
        return;
    }
    memcpy(&head, bytes, sizeof head);
    room -= sizeof head;
    if (head.resource_bytes > room || head.scope_bytes > room - head.resource_bytes ||
        bytes_at(view, at, sizeof head + head.resource_bytes + head.scope_bytes) == NULL) {
        return;
    }
    bytes += sizeof head;
    *ret_resource_fields = slice_of(bytes, head.resource_bytes);
    *ret_scope_fields = slice_of(bytes + head.resource_bytes, head.scope_bytes);
}
