/* Frozen blocks: made in steps, opened, thawed frame by frame; see frozen.h. */
#include "trace/frozen.h"

#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/error.h"

enum { WORD_BITS = 64 };

/* A name that is found without thawing; sorted by place. */
struct frozen_name {
    uint16_t place;
    uint16_t length;
    uint32_t at; /* from the head */
};

/* Of how many bytes of the block a frame is made. */
static uint32_t frame_bytes(uint32_t front, uint32_t frame)
{
    uint32_t rest = front - frame * FROZEN_FRAME_BYTES;

    return rest < FROZEN_FRAME_BYTES ? rest : FROZEN_FRAME_BYTES;
}

static uint32_t frames_count(uint32_t front)
{
    return (front + FROZEN_FRAME_BYTES - 1) / FROZEN_FRAME_BYTES;
}

/* ---- reading ---- */

int thaw_init(struct thaw *thaw, uint8_t *room, uint32_t block_bytes, struct metric_cells *cells)
{
    *thaw = (struct thaw){.zstd = ZSTD_createDCtx(), .cells = cells};
    for (uint32_t i = 0; i < THAW_BUFFERS_COUNT; i++) {
        thaw->buffers[i].bytes = room + (size_t)i * block_bytes;
    }
    return thaw->zstd != NULL ? 0 : WERR_NOMEM;
}

void thaw_deinit(struct thaw *thaw)
{
    (void)ZSTD_freeDCtx(thaw->zstd);
    thaw->zstd = NULL;
}

static const struct frozen_name *names_of(const struct block_view *view)
{
    return (const struct frozen_name *)(const void *)view->entries_end;
}

bool frozen_open(const uint8_t *frozen, size_t length, uint32_t block_bytes, uint64_t sequence,
    struct thaw *thaw, struct block_view *ret_view)
{
    const struct frozen_head *head = (const struct frozen_head *)(const void *)frozen;

    if ((uintptr_t)frozen % BLOCK_PLACE_BYTES != 0 || length < sizeof *head || head->bytes > length ||
        head->header.front < sizeof head->header || head->header.front > block_bytes ||
        head->header.entry_count > BLOCK_ENTRIES_MAX || head->names_count > UINT16_MAX) {
        return false;
    }
    size_t entries_end = sizeof *head + head->header.entry_count * sizeof(struct block_entry);
    if (entries_end + head->names_count * sizeof(struct frozen_name) > head->frames_at ||
        head->frames_at > head->bytes) {
        return false;
    }
    *ret_view = (struct block_view){
        .bytes = block_bytes,
        .front = head->header.front,
        .entry_count = head->header.entry_count,
        .header = &head->header,
        .entries_end = (const struct block_entry *)(const void *)(frozen + entries_end),
        .frozen = head,
        .thaw = thaw,
        .sequence = sequence,
    };
    return true;
}

bool frozen_name(const struct block_view *view, uint16_t place, struct slice *ret_name)
{
    const struct frozen_head *head = view->frozen;
    const struct frozen_name *names = names_of(view);
    uint32_t low = 0;
    uint32_t high = head->names_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (names[middle].place < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == head->names_count || names[low].place != place || names[low].at > head->frames_at ||
        names[low].length > head->frames_at - names[low].at) {
        return false;
    }
    *ret_name = slice_of((const uint8_t *)head + names[low].at, names[low].length);
    return true;
}

static bool thaw_frame(const struct block_view *view, const struct thaw_buffer *buffer, uint32_t frame)
{
    const struct frozen_head *head = view->frozen;
    uint32_t begin = frame > 0 ? head->frame_ends[frame - 1] : head->frames_at;
    uint32_t end = head->frame_ends[frame];
    size_t bytes = frame_bytes(view->front, frame);

    if (begin < head->frames_at || end < begin || end > head->bytes) {
        return false;
    }
    return ZSTD_decompressDCtx(view->thaw->zstd, buffer->bytes + (size_t)frame * FROZEN_FRAME_BYTES, bytes,
               (const uint8_t *)head + begin, end - begin) == bytes;
}

/* The buffer that holds the block, or else the one that was not read last. */
static struct thaw_buffer *buffer_of(struct thaw *thaw, uint64_t sequence)
{
    if (thaw->buffers[thaw->latest].sequence != sequence) {
        thaw->latest = (thaw->latest + 1) % THAW_BUFFERS_COUNT;
    }
    struct thaw_buffer *buffer = &thaw->buffers[thaw->latest];

    if (buffer->sequence != sequence) {
        buffer->sequence = sequence;
        buffer->thawed = 0;
    }
    return buffer;
}

const uint8_t *thaw_bytes(const struct block_view *view, uint32_t at, uint32_t length)
{
    struct thaw_buffer *buffer = buffer_of(view->thaw, view->sequence);
    uint32_t last = (at + length - 1) / FROZEN_FRAME_BYTES;

    for (uint32_t frame = at / FROZEN_FRAME_BYTES; frame <= last; frame++) {
        if ((buffer->thawed >> frame & 1) != 0) {
            continue;
        }
        if (!thaw_frame(view, buffer, frame)) {
            metric_add(view->thaw->cells, METRIC_TRACE_BLOCKS_DAMAGED, 1);
            return NULL;
        }
        buffer->thawed |= 1u << frame;
    }
    return buffer->bytes + at;
}

/* ---- writing ---- */

int freezer_init(struct freezer *freezer, uint8_t *staging, uint32_t block_bytes)
{
    *freezer = (struct freezer){.zstd = ZSTD_createCCtx(), .staging = staging, .block_bytes = block_bytes};
    return freezer->zstd != NULL ? 0 : WERR_NOMEM;
}

void freezer_deinit(struct freezer *freezer)
{
    (void)ZSTD_freeCCtx(freezer->zstd);
    freezer->zstd = NULL;
}

static struct frozen_head *staged_head(const struct freezer *freezer)
{
    return (struct frozen_head *)(void *)freezer->staging;
}

/* Place 0 is nobody's. */
static void mark_name(struct freezer *freezer, uint16_t place)
{
    if (place == 0) {
        return;
    }
    freezer->names[place / WORD_BITS] |= 1ull << (place % WORD_BITS);
}

/* The next marked place from `from` on; UINT32_MAX when there is none. */
static uint32_t next_name(const struct freezer *freezer, uint32_t from)
{
    for (uint32_t place = from; place <= UINT16_MAX;) {
        uint64_t word = freezer->names[place / WORD_BITS] >> (place % WORD_BITS);
        if (word != 0) {
            return place + (uint32_t)__builtin_ctzll(word);
        }
        place = (place / WORD_BITS + 1) * WORD_BITS;
    }
    return UINT32_MAX;
}

/* Where the frames begin: head, entries and names are written before them when all else is known. */
void freezer_begin(struct freezer *freezer, const uint8_t *block)
{
    struct block_view view;

    freezer->block = block;
    freezer->frame = 0;
    memset(freezer->names, 0, sizeof freezer->names);
    if (!block_open(block, freezer->block_bytes, &view)) {
        freezer->length = freezer->block_bytes; /* not met: no gain */
        return;
    }
    for (uint32_t i = 0; i < view.entry_count; i++) {
        const struct block_entry *entry = block_view_entry(&view, i);
        mark_name(freezer, entry->service);
        mark_name(freezer, entry->route);
    }
    struct frozen_head head = {.header = *view.header};
    size_t length = sizeof head + view.entry_count * sizeof(struct block_entry);
    for (uint32_t place = next_name(freezer, 0); place != UINT32_MAX; place = next_name(freezer, place + 1)) {
        length += sizeof(struct frozen_name) + block_view_name(&view, (uint16_t)place).length;
        head.names_count++;
    }
    head.header.front = view.front > sizeof head.header ? view.front : sizeof head.header;
    head.header.entry_count = view.entry_count;
    head.frames_at = (uint32_t)(length < UINT32_MAX ? length : UINT32_MAX);
    *staged_head(freezer) = head;
    freezer->length = head.frames_at;
}

/* The block's own header and entries as they are now: some may have been marked meanwhile. */
static enum freezing finish(struct freezer *freezer)
{
    struct frozen_head *head = staged_head(freezer);
    struct block_view view;

    if (!block_open(freezer->block, freezer->block_bytes, &view)) {
        return FREEZING_NO_GAIN; /* not met: it was opened before */
    }
    uint32_t front = head->header.front;
    size_t entries_bytes = view.entry_count * sizeof(struct block_entry);
    head->header = *view.header;
    head->header.front = front;
    head->header.entry_count = view.entry_count;
    head->bytes = freezer->length;
    uint8_t *entries = freezer->staging + sizeof *head;
    memcpy(entries, freezer->block + freezer->block_bytes - entries_bytes, entries_bytes);
    struct frozen_name *name = (struct frozen_name *)(void *)(entries + entries_bytes);
    uint32_t at = (uint32_t)(sizeof *head + entries_bytes + head->names_count * sizeof *name);
    for (uint32_t place = next_name(freezer, 0); place != UINT32_MAX; place = next_name(freezer, place + 1)) {
        struct slice text = block_view_name(&view, (uint16_t)place);
        *name++ = (struct frozen_name){.place = (uint16_t)place, .length = (uint16_t)text.length, .at = at};
        if (text.length > 0) {
            memcpy(freezer->staging + at, text.ptr, text.length);
        }
        at += (uint32_t)text.length;
    }
    return FREEZING_DONE;
}

enum freezing freezer_step(struct freezer *freezer)
{
    struct frozen_head *head = staged_head(freezer);
    uint32_t frame = freezer->frame;
    uint32_t bytes_max = freezer->block_bytes - freezer->block_bytes / FROZEN_GAIN_FRACTION;

    if (freezer->length >= bytes_max) {
        return FREEZING_NO_GAIN;
    }
    if (frame == frames_count(head->header.front)) {
        return finish(freezer);
    }
    size_t bytes = ZSTD_compressCCtx(freezer->zstd, freezer->staging + freezer->length,
        bytes_max - freezer->length, freezer->block + (size_t)frame * FROZEN_FRAME_BYTES,
        frame_bytes(head->header.front, frame), FROZEN_LEVEL);
    if (ZSTD_isError(bytes)) {
        return ZSTD_getErrorCode(bytes) == ZSTD_error_dstSize_tooSmall ? FREEZING_NO_GAIN : FREEZING_FAILED;
    }
    freezer->length += (uint32_t)bytes;
    head->frame_ends[frame] = freezer->length;
    freezer->frame++;
    return FREEZING_GOES_ON;
}
