/*
 * Which slot of a ring a block lies in: slots are taken for new blocks, blocks that cooled are compressed and
 * packed into what one of them took, the oldest are given up. See ring.h and frozen.h. Runs on the shard's
 * loop.
 *
 *   slots   [ 7 | 1‥5 frozen | 6 frozen … | free | 8 | 9 ]     sequences of blocks; 9 is the newest
 *
 * A slot holds blocks whose sequences follow on each other, so what is given up is always the oldest of all,
 * and there is never a gap between the oldest and the newest.
 */
#include <string.h>

#include "trace/ring_internal.h"

/* ---- slots ---- */

static uint32_t slot_of(const struct ring *ring, uint64_t sequence)
{
    return (uint32_t)((uint64_t)ring_place_of(ring, sequence)->at * FROZEN_ALIGN_BYTES / ring->block_bytes);
}

static void place(struct ring *ring, uint64_t sequence, uint32_t slot, uint32_t offset, uint32_t frozen_bytes)
{
    uint64_t at = (uint64_t)slot * ring->block_bytes + offset;

    *ring_place_of(ring, sequence) =
        (struct ring_place){.at = (uint32_t)(at / FROZEN_ALIGN_BYTES), .frozen_bytes = frozen_bytes};
}

/* The slot of the oldest blocks becomes free. */
static void give_up_oldest(struct ring *ring)
{
    uint32_t slot = slot_of(ring, ring->oldest);

    while (ring->oldest <= ring->sequence && slot_of(ring, ring->oldest) == slot) {
        ring_expire(ring, block_header(ring_block_of(ring, ring->oldest)));
        ring->oldest++;
    }
    ring->free_slots[ring->free_count++] = slot;
    if (ring->freeze_next < ring->oldest) {
        ring->freeze_next = ring->oldest;
        ring->is_freezing = false;
    }
    if (ring->freeze_next == ring->oldest) {
        ring->pack_bytes = 0;
    }
}

uint8_t *ring_next_block(struct ring *ring)
{
    if (ring->free_count == 0 || ring->sequence + 1 - ring->oldest > ring->places_mask) {
        give_up_oldest(ring);
    }
    ring->sequence++;
    place(ring, ring->sequence, ring->free_slots[--ring->free_count], 0, 0);
    return ring_block_of(ring, ring->sequence);
}

/* ---- freezing ---- */

static uint32_t hot_count(const struct ring *ring)
{
    uint32_t count = ring->block_count / RING_HOT_FRACTION;

    return count < RING_HOT_COUNT_MIN ? RING_HOT_COUNT_MIN : count;
}

bool ring_freeze_is_due(const struct ring *ring)
{
    return ring != NULL && ring->settings.compresses && ring->free_count < hot_count(ring) &&
           ring->freeze_next + hot_count(ring) <= ring->sequence;
}

/* Behind the block before it, whose slot has room, or at the begin of its own. */
static void put_frozen(struct ring *ring)
{
    const struct freezer *freezer = &ring->freezer;
    uint64_t sequence = ring->freeze_next;
    uint32_t own_slot = slot_of(ring, sequence);
    bool joins = ring->pack_bytes != 0 && freezer->length <= ring->block_bytes - ring->pack_bytes;
    uint32_t slot = joins ? slot_of(ring, sequence - 1) : own_slot;
    uint32_t offset = joins ? ring->pack_bytes : 0;

    place(ring, sequence, slot, offset, freezer->length);
    memcpy(ring_block_of(ring, sequence), freezer->staging, freezer->length);
    if (joins) {
        ring->free_slots[ring->free_count++] = own_slot;
    }
    ring->pack_bytes =
        (offset + freezer->length + FROZEN_ALIGN_BYTES - 1) / FROZEN_ALIGN_BYTES * FROZEN_ALIGN_BYTES;
}

static void begin_next(struct ring *ring)
{
    freezer_begin(&ring->freezer, ring_block_of(ring, ring->freeze_next));
    ring->is_freezing = true;
}

/* The block is what it is from now on; the next one's turn. */
static void settle(struct ring *ring, enum metric_id counted)
{
    if (counted != METRIC_TRACE_BLOCKS_COMPRESSED) {
        ring->pack_bytes = 0; /* what comes after it may not lie before it */
    }
    metric_add(ring->settings.cells, counted, 1);
    ring->is_freezing = false;
    ring->freeze_next++;
}

void ring_freeze(struct ring *ring)
{
    if (!ring_freeze_is_due(ring)) {
        return;
    }
    if (!ring->is_freezing) {
        begin_next(ring);
    }
    switch (freezer_step(&ring->freezer)) {
    case FREEZING_DONE:
        put_frozen(ring);
        settle(ring, METRIC_TRACE_BLOCKS_COMPRESSED);
        break;
    case FREEZING_NO_GAIN:
        settle(ring, METRIC_TRACE_BLOCKS_NOT_SMALLER);
        break;
    case FREEZING_FAILED:
        settle(ring, METRIC_TRACE_BLOCKS_NOT_COMPRESSED);
        break;
    case FREEZING_GOES_ON:
    default:
        break;
    }
}
