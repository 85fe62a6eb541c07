/* The traces that a shard keeps; see kept.h. */
#include "trace/kept.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"

enum {
    WORD_BITS = 64,
    INDEX_COUNT_MIN = 64,
    CAPACITY_FIRST = 1024,
    INDEX_FACTOR = 2,  /* slots a trace: at most half are in use */
    FILTER_FACTOR = 4, /* bits a trace of a full table */
    FILTER_BITS_MAX = 1 << 20,
};

static uint32_t power_of_two_from(uint64_t least)
{
    uint32_t power = INDEX_COUNT_MIN;

    while (power < least) {
        power *= 2;
    }
    return power;
}

static uint32_t filter_bits_of(uint32_t count_max)
{
    uint64_t bits = (uint64_t)count_max * FILTER_FACTOR;

    return power_of_two_from(bits < FILTER_BITS_MAX ? bits : FILTER_BITS_MAX);
}

uint64_t kept_bytes_of(uint32_t count_max)
{
    return count_max * sizeof(struct kept_entry) +
           power_of_two_from((uint64_t)count_max * INDEX_FACTOR) * sizeof(uint32_t) +
           2 * filter_bits_of(count_max) / 8;
}

int kept_init(struct kept *kept, const struct kept_settings *settings)
{
    if (settings->count_max == 0 || settings->count_max > UINT32_MAX / 4) {
        return WERR_INVALID;
    }
    uint32_t filter_bits = filter_bits_of(settings->count_max);
    uint32_t capacity = settings->count_max < CAPACITY_FIRST ? settings->count_max : CAPACITY_FIRST;

    *kept = (struct kept){
        .settings = *settings,
        .entries = calloc(settings->count_max, sizeof(*kept->entries)),
        .capacity = capacity,
        .index =
            calloc(power_of_two_from((uint64_t)settings->count_max * INDEX_FACTOR), sizeof(*kept->index)),
        .index_mask = power_of_two_from((uint64_t)capacity * INDEX_FACTOR) - 1,
        .filter_mask = filter_bits - 1,
        .filter = calloc(filter_bits / WORD_BITS, sizeof(*kept->filter)),
    };
    if (kept->entries == NULL || kept->index == NULL || kept->filter == NULL) {
        kept_deinit(kept);
        return WERR_NOMEM;
    }
    return 0;
}

void kept_deinit(struct kept *kept)
{
    if (kept == NULL) {
        return;
    }
    free(kept->entries);
    free(kept->index);
    free(kept->filter);
    *kept = (struct kept){.count = 0};
}

static uint32_t hash_of(const struct kept *kept, const uint8_t *trace_id)
{
    return (uint32_t)XXH3_64bits_withSeed(trace_id, KEPT_TRACE_ID_BYTES, kept->settings.seed);
}

/* ---- the filter ---- */

/* Cheaper than the hash: who sends ids that share a bit pays with a look-up more, no others do. */
static uint32_t filter_bit(const struct kept *kept, const uint8_t *trace_id)
{
    uint64_t halves[2];

    memcpy(halves, trace_id, sizeof halves);
    uint64_t mixed =
        (halves[0] ^ kept->settings.seed) * 0x9fb21c651e98df25ull + halves[1] * 0xd6e8feb86659fd93ull;
    return (uint32_t)(mixed >> 32) & kept->filter_mask;
}

static bool filter_has(const struct kept *kept, const uint8_t *trace_id)
{
    uint32_t bit = filter_bit(kept, trace_id);
    const struct kept_filter_word *word = &kept->filter[bit / WORD_BITS];

    return ((word->turns[0] | word->turns[1]) >> (bit % WORD_BITS) & 1) != 0;
}

static void filter_add(struct kept *kept, const uint8_t *trace_id)
{
    uint32_t bit = filter_bit(kept, trace_id);

    kept->filter[bit / WORD_BITS].turns[kept->filter_turn] |= 1ull << (bit % WORD_BITS);
}

/* What was kept before the last turn but one is over by now: turns are at least a linger time apart. */
static void filter_turn(struct kept *kept, uint64_t now_ns)
{
    if (now_ns < kept->filter_end_ns) {
        return;
    }
    kept->filter_turn ^= 1;
    for (uint32_t i = 0; i <= kept->filter_mask / WORD_BITS; i++) {
        kept->filter[i].turns[kept->filter_turn] = 0;
    }
    kept->filter_end_ns = now_ns + kept->settings.linger_ns;
}

/* ---- the index ---- */

static struct kept_entry *find(const struct kept *kept, const uint8_t *trace_id, uint32_t hash)
{
    for (uint32_t at = hash & kept->index_mask; kept->index[at] != 0; at = (at + 1) & kept->index_mask) {
        struct kept_entry *entry = &kept->entries[kept->index[at] - 1];

        if (entry->hash == hash && memcmp(entry->trace_id, trace_id, KEPT_TRACE_ID_BYTES) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void index_add(struct kept *kept, uint32_t number, uint32_t hash)
{
    uint32_t at = hash & kept->index_mask;

    while (kept->index[at] != 0) {
        at = (at + 1) & kept->index_mask;
    }
    kept->index[at] = number + 1;
}

/* Closes the gap: whatever stands behind and would no longer be found moves into it. */
static void index_remove(struct kept *kept, uint32_t number, uint32_t hash)
{
    uint32_t gap = hash & kept->index_mask;

    while (kept->index[gap] != number + 1) {
        gap = (gap + 1) & kept->index_mask;
    }
    for (uint32_t at = (gap + 1) & kept->index_mask; kept->index[at] != 0; at = (at + 1) & kept->index_mask) {
        uint32_t home = kept->entries[kept->index[at] - 1].hash & kept->index_mask;

        if (((at - home) & kept->index_mask) >= ((at - gap) & kept->index_mask)) {
            kept->index[gap] = kept->index[at];
            gap = at;
        }
    }
    kept->index[gap] = 0;
}

static void drop_oldest(struct kept *kept)
{
    index_remove(kept, kept->first, kept->entries[kept->first].hash);
    kept->first = kept->first + 1 < kept->capacity ? kept->first + 1 : 0;
    kept->count--;
}

static uint32_t number_at(const struct kept *kept, uint32_t position)
{
    return (uint32_t)(((uint64_t)kept->first + position) % kept->capacity);
}

/* More of the memory that was taken at start is used: what stood before the oldest goes behind the newest. */
static void grow(struct kept *kept)
{
    uint32_t before = kept->capacity;
    uint32_t capacity = kept->settings.count_max / 2 < before ? kept->settings.count_max : before * 2;

    for (uint32_t i = 0; i < kept->first; i++) {
        kept->entries[(before + i) % capacity] = kept->entries[i];
    }
    kept->capacity = capacity;
    memset(kept->index, 0, ((size_t)kept->index_mask + 1) * sizeof(*kept->index));
    kept->index_mask = power_of_two_from((uint64_t)capacity * INDEX_FACTOR) - 1;
    for (uint32_t i = 0; i < kept->count; i++) {
        uint32_t number = number_at(kept, i);
        index_add(kept, number, kept->entries[number].hash);
    }
}

void kept_expire(struct kept *kept, uint64_t now_ns)
{
    while (kept->count > 0 && kept->entries[kept->first].until_ns <= now_ns) {
        drop_oldest(kept);
    }
}

void kept_set_linger(struct kept *kept, uint64_t linger_ns, uint64_t now_ns)
{
    uint64_t end_ns = now_ns + linger_ns;

    kept->settings.linger_ns = linger_ns;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct kept_entry *entry = &kept->entries[((uint64_t)kept->first + i) % kept->settings.count_max];
        entry->until_ns = entry->until_ns < end_ns ? entry->until_ns : end_ns;
    }
}

struct kept_entry *kept_find(
    const struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint64_t now_ns)
{
    if (kept->count == 0) {
        return NULL;
    }
    if (!filter_has(kept, trace_id)) {
        return NULL;
    }
    struct kept_entry *entry = find(kept, trace_id, hash_of(kept, trace_id));

    return entry != NULL && entry->until_ns > now_ns ? entry : NULL;
}

static bool is_zero(const uint8_t *trace_id)
{
    static const uint8_t none[KEPT_TRACE_ID_BYTES];

    return memcmp(trace_id, none, sizeof none) == 0;
}

enum kept_verdict kept_add(
    struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint32_t reasons, uint64_t now_ns)
{
    if (is_zero(trace_id) || (uint16_t)reasons == 0) {
        return KEPT_REFUSED;
    }
    kept_expire(kept, now_ns);
    uint32_t hash = hash_of(kept, trace_id);
    struct kept_entry *entry = find(kept, trace_id, hash);

    if (entry != NULL) {
        entry->reasons = (uint16_t)(entry->reasons | reasons);
        return KEPT_KNOWN;
    }
    if (kept->count == kept->settings.count_max) {
        drop_oldest(kept);
        metric_add(kept->settings.cells, METRIC_TRACE_KEPT_EVICTED, 1);
    } else if (kept->count == kept->capacity) {
        grow(kept);
    }
    uint32_t number = number_at(kept, kept->count);

    entry = &kept->entries[number];
    *entry = (struct kept_entry){
        .until_ns = now_ns + kept->settings.linger_ns, .hash = hash, .reasons = (uint16_t)reasons};
    memcpy(entry->trace_id, trace_id, sizeof(entry->trace_id));
    index_add(kept, number, entry->hash);
    filter_turn(kept, now_ns);
    filter_add(kept, trace_id);
    kept->count++;
    return KEPT_NEW;
}

bool kept_announce(struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint32_t reasons)
{
    if (kept->batch_count == KEPT_LETTER_COUNT_MAX) {
        return false;
    }
    struct kept_notice *notice = &kept->batch[kept->batch_count++];

    notice->reasons = reasons;
    memcpy(notice->trace_id, trace_id, sizeof(notice->trace_id));
    return true;
}

bool kept_wait(struct kept *kept, struct kept_entry *entry)
{
    if (entry->waits) {
        return true;
    }
    if (kept->waiting_count == KEPT_WAITING_COUNT_MAX) {
        return false;
    }
    struct kept_notice *notice = &kept->waiting[kept->waiting_count++];

    notice->reasons = entry->reasons;
    memcpy(notice->trace_id, entry->trace_id, sizeof(notice->trace_id));
    entry->waits = true;
    return true;
}

void kept_left(struct kept *kept, uint32_t count, uint64_t now_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        struct kept_entry *entry = kept_find(kept, kept->waiting[i].trace_id, now_ns);

        if (entry != NULL) {
            entry->waits = false;
        }
    }
    kept->waiting_count -= count;
    memmove(kept->waiting, kept->waiting + count, kept->waiting_count * sizeof(kept->waiting[0]));
}

struct kept_letter *kept_letter_new(const struct kept *kept)
{
    struct kept_letter *letter = kept->batch_count > 0 ? malloc(sizeof *letter) : NULL;

    if (letter == NULL) {
        return NULL;
    }
    letter->mail = (struct mail){.next = NULL};
    letter->count = kept->batch_count;
    memcpy(letter->notices, kept->batch, kept->batch_count * sizeof(kept->batch[0]));
    return letter;
}
