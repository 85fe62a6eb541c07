/* Which of a proxy's records count; see count_source.h. Any thread. */
#include "context/count_source.h"

#include <stdatomic.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum state { STATE_NEW, STATE_UNDECIDED, STATE_SPANS, STATE_ACCESS_LOG };

enum { STATE_BITS = 2, TOUCH_MS = 1000, NS_PER_MS = 1000000 };

/* A state with its time in ms: when it was last used; of an undecided one, when its wait began. */
static inline uint64_t word_of(enum state state, uint64_t ms)
{
    return ms << STATE_BITS | state;
}

static inline enum state state_of(uint64_t word)
{
    return (enum state)(word & ((1u << STATE_BITS) - 1));
}

static inline uint64_t ms_of(uint64_t word)
{
    return word >> STATE_BITS;
}

struct place {
    _Atomic uint64_t key; /* 0: free */
    _Atomic uint64_t word;
};

struct count_sources {
    enum count_from from;
    uint64_t wait_ms;
    uint64_t silence_ms;
    struct place places[COUNT_SOURCES_COUNT];
};

struct count_sources *count_sources_new(enum count_from from, const struct limits *limits)
{
    struct count_sources *sources = calloc(1, sizeof *sources);

    if (sources != NULL) {
        sources->from = from;
        sources->wait_ms = limits->count_decision_ms;
        sources->silence_ms = limits->access_log_silence_ms;
    }
    return sources;
}

void count_sources_free(struct count_sources *sources)
{
    free(sources);
}

static uint64_t key_of(const struct sender *sender, struct slice node_id, enum reporter reporter)
{
    uint64_t process[2] = {(uint64_t)sender->pid, sender->start_ticks};
    uint64_t key;

    if (sender->pid > 0 && sender->start_ticks != 0) {
        key = XXH3_64bits_withSeed(process, sizeof process, reporter);
    } else {
        key = XXH3_64bits_withSeed(sender->id, sizeof sender->id, reporter);
        key = XXH3_64bits_withSeed(node_id.ptr, node_id.length, key);
    }
    return key != 0 ? key : 1;
}

/* Whether the place is the key's now: it was, or was free, or its proxy has been silent for long. */
static bool take_place(struct place *place, uint64_t key, uint64_t now_ms, bool may_evict)
{
    uint64_t found = atomic_load_explicit(&place->key, memory_order_acquire);

    if (found == key) {
        return true;
    }
    if (found != 0) {
        uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
        if (!may_evict || ms_of(word) + COUNT_SOURCE_IDLE_S * 1000ull > now_ms ||
            !atomic_compare_exchange_strong(&place->word, &word, word_of(STATE_NEW, now_ms))) {
            return false;
        }
    }
    if (atomic_compare_exchange_strong(&place->key, &found, key)) {
        atomic_store_explicit(&place->word, word_of(STATE_NEW, now_ms), memory_order_relaxed);
        return true;
    }
    return found == key;
}

struct count_voice count_sources_find(struct count_sources *sources, const struct sender *sender,
    struct slice node_id, enum reporter reporter, uint64_t now_monotonic_ns, struct metric_cells *cells)
{
    uint64_t key = key_of(sender, node_id, reporter);
    uint64_t now_ms = now_monotonic_ns / NS_PER_MS;

    for (int evict = 0; evict < 2; evict++) {
        for (uint32_t probe = 0; probe < COUNT_SOURCES_PROBES; probe++) {
            uint32_t index = (uint32_t)(key + probe) & (COUNT_SOURCES_COUNT - 1);
            if (take_place(&sources->places[index], key, now_ms, evict != 0)) {
                return (struct count_voice){.key = key, .place = index};
            }
        }
    }
    metric_add(cells, METRIC_COUNT_SOURCES_LIMITED, 1);
    return (struct count_voice){.key = 0};
}

/* The next word for a span in a place that is not new to spans, and the verdict on it. */
static uint64_t after_span(
    const struct count_sources *sources, uint64_t word, uint64_t now_ms, enum count_verdict *ret_verdict)
{
    *ret_verdict = COUNT_HOLD;
    switch (state_of(word)) {
    case STATE_UNDECIDED:
        if (now_ms < ms_of(word) + sources->wait_ms) {
            return word;
        }
        *ret_verdict = COUNT_NOW;
        return word_of(STATE_SPANS, now_ms);
    case STATE_SPANS:
        *ret_verdict = COUNT_NOW;
        return now_ms > ms_of(word) + TOUCH_MS ? word_of(STATE_SPANS, now_ms) : word;
    case STATE_ACCESS_LOG:
        if (now_ms <= ms_of(word) + sources->silence_ms) {
            *ret_verdict = COUNT_SUPERSEDED;
            return word;
        }
        return word_of(STATE_UNDECIDED, now_ms);
    case STATE_NEW:
    default:
        return word_of(STATE_UNDECIDED, now_ms);
    }
}

enum count_verdict count_source_of_span(struct count_sources *sources, struct count_voice voice,
    uint64_t now_monotonic_ns, struct metric_cells *cells)
{
    enum count_verdict verdict;

    if (voice.key == 0 || sources->from == COUNT_FROM_SPANS) {
        return COUNT_NOW;
    }
    if (sources->from == COUNT_FROM_ACCESS_LOG) {
        return COUNT_SUPERSEDED;
    }
    struct place *place = &sources->places[voice.place];
    if (atomic_load_explicit(&place->key, memory_order_relaxed) != voice.key) {
        return COUNT_NOW;
    }
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
    for (;;) {
        uint64_t next = after_span(sources, word, now_monotonic_ns / NS_PER_MS, &verdict);
        if (next == word) {
            return verdict;
        }
        if (atomic_compare_exchange_weak(&place->word, &word, next)) {
            if (state_of(word) == STATE_ACCESS_LOG) {
                metric_add(cells, METRIC_COUNT_SOURCE_CHANGES, 1);
            }
            return verdict;
        }
    }
}

enum count_verdict count_source_of_log(struct count_sources *sources, struct count_voice voice,
    uint64_t now_monotonic_ns, struct metric_cells *cells)
{
    uint64_t now_ms = now_monotonic_ns / NS_PER_MS;

    if (voice.key == 0) {
        return COUNT_NOW;
    }
    if (sources->from == COUNT_FROM_SPANS) {
        return COUNT_SUPERSEDED;
    }
    struct place *place = &sources->places[voice.place];
    if (atomic_load_explicit(&place->key, memory_order_relaxed) != voice.key) {
        return COUNT_NOW;
    }
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
    while (state_of(word) != STATE_ACCESS_LOG || now_ms > ms_of(word) + TOUCH_MS) {
        if (atomic_compare_exchange_weak(&place->word, &word, word_of(STATE_ACCESS_LOG, now_ms))) {
            if (state_of(word) == STATE_SPANS) {
                metric_add(cells, METRIC_COUNT_SOURCE_CHANGES, 1);
            }
            break;
        }
    }
    return COUNT_NOW;
}

void count_source_end_wait(struct count_sources *sources, struct count_voice voice, uint64_t now_monotonic_ns,
    struct metric_cells *cells)
{
    struct place *place = &sources->places[voice.place];
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);

    while (state_of(word) == STATE_UNDECIDED) {
        if (atomic_compare_exchange_weak(
                &place->word, &word, word_of(STATE_SPANS, now_monotonic_ns / NS_PER_MS))) {
            metric_add(cells, METRIC_COUNT_SOURCES_EARLY, 1);
            return;
        }
    }
}
