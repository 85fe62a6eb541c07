/* Which of a proxy's records count; see count_source.h. Any thread. */
#include "context/count_source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Which of a proxy's sources it is counted from, or seems to be. */
enum stage { STAGE_NEW, STAGE_UNDECIDED, STAGE_DECIDED };

enum { STAGE_BITS = 2, SOURCE_BITS = 2, TOUCH_MS = 1000, NS_PER_MS = 1000000 };

struct state {
    enum stage stage;
    enum request_signal source; /* the best one that was seen */
    uint64_t ms;                /* when it was last used; of an undecided one, when its wait began */
};

static inline uint64_t word_of(struct state state)
{
    return state.ms << (STAGE_BITS + SOURCE_BITS) | (uint64_t)state.source << STAGE_BITS | state.stage;
}

static inline struct state state_of(uint64_t word)
{
    return (struct state){.stage = (enum stage)(word & ((1u << STAGE_BITS) - 1)),
        .source = (enum request_signal)(word >> STAGE_BITS & ((1u << SOURCE_BITS) - 1)),
        .ms = word >> (STAGE_BITS + SOURCE_BITS)};
}

struct place {
    _Atomic uint64_t key; /* 0: free */
    _Atomic uint64_t word;
};

struct count_sources {
    pthread_mutex_t giving_away; /* held while a place is given to another proxy */
    /* A reload changes them under the shards; each is read for itself. */
    _Atomic uint32_t from; /* enum count_from */
    _Atomic uint64_t wait_ms;
    _Atomic uint64_t silence_ms;
    struct place places[COUNT_SOURCES_COUNT];
};

struct count_sources *count_sources_new(enum count_from from, const struct limits *limits)
{
    struct count_sources *sources = calloc(1, sizeof *sources);

    if (sources != NULL) {
        (void)pthread_mutex_init(&sources->giving_away, NULL); /* which cannot fail on Linux */
        count_sources_reconfigure(sources, from, limits);
    }
    return sources;
}

void count_sources_reconfigure(
    struct count_sources *sources, enum count_from from, const struct limits *limits)
{
    atomic_store_explicit(&sources->from, (uint32_t)from, memory_order_relaxed);
    atomic_store_explicit(&sources->wait_ms, limits->count_decision_ms, memory_order_relaxed);
    atomic_store_explicit(&sources->silence_ms, limits->access_log_silence_ms, memory_order_relaxed);
}

void count_sources_free(struct count_sources *sources)
{
    if (sources != NULL) {
        (void)pthread_mutex_destroy(&sources->giving_away);
    }
    free(sources);
}

static uint64_t key_of(const struct sender *sender, struct slice node_id, enum reporter reporter)
{
    uint64_t process[2] = {(uint64_t)sender->pid, sender->start_ticks};
    uint64_t key;

    if (sender->pid > 0 && sender->start_ticks != 0) {
        key = XXH3_64bits_withSeed(process, sizeof process, reporter);
    } else {
        key = XXH3_64bits_withSeed(sender->id, strnlen(sender->id, sizeof sender->id), reporter);
        key = XXH3_64bits_withSeed(node_id.ptr, node_id.length, key);
    }
    return key != 0 ? key : 1;
}

static bool is_silent(struct state state, uint64_t now_ms)
{
    return state.ms + COUNT_SOURCE_IDLE_S * 1000ull <= now_ms;
}

/* Whether the place is the key's now: it was, or was free, or its proxy has been silent for long. */
static bool take_place(struct place *place, uint64_t key, uint64_t now_ms, bool may_evict)
{
    uint64_t found = atomic_load_explicit(&place->key, memory_order_acquire);

    if (found == key) {
        return true;
    }
    if (found != 0 && !(may_evict && is_silent(state_of(atomic_load(&place->word)), now_ms))) {
        return false;
    }
    /* the key first: whoever sees that the place is no longer silent finds whose it is */
    if (atomic_compare_exchange_strong(&place->key, &found, key)) {
        atomic_store(&place->word, word_of((struct state){.stage = STAGE_NEW, .ms = now_ms}));
        return true;
    }
    return found == key;
}

/* Looks at a key's places in their order; true with the index of the one that is the key's. */
static bool find_place(
    struct count_sources *sources, uint64_t key, uint64_t now_ms, bool may_evict, uint32_t *ret_index)
{
    for (uint32_t probe = 0; probe < COUNT_SOURCES_PROBES; probe++) {
        uint32_t index = (uint32_t)(key + probe) & (COUNT_SOURCES_COUNT - 1);
        if (take_place(&sources->places[index], key, now_ms, may_evict)) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

static bool has_silent_place(struct count_sources *sources, uint64_t key, uint64_t now_ms)
{
    for (uint32_t probe = 0; probe < COUNT_SOURCES_PROBES; probe++) {
        struct place *place = &sources->places[(key + probe) & (COUNT_SOURCES_COUNT - 1)];
        if (is_silent(state_of(atomic_load(&place->word)), now_ms)) {
            return true;
        }
    }
    return false;
}

/*
 * One thread at a time: two that each gave a place away for the same proxy would take two. Looks once more
 * before it does, as another may just have. Places are never free again, so whoever takes a free one without
 * the lock meets the others there. Where nobody is silent nothing is locked: that may be asked for each
 * record.
 */
static bool give_away_place(struct count_sources *sources, uint64_t key, uint64_t now_ms, uint32_t *ret_index)
{
    if (!has_silent_place(sources, key, now_ms)) {
        return find_place(sources, key, now_ms, false, ret_index); /* another may just have taken it for us */
    }
    (void)pthread_mutex_lock(&sources->giving_away);
    bool found = find_place(sources, key, now_ms, false, ret_index) ||
                 find_place(sources, key, now_ms, true, ret_index);
    (void)pthread_mutex_unlock(&sources->giving_away);
    return found;
}

struct count_voice count_sources_find(struct count_sources *sources, const struct sender *sender,
    struct slice node_id, enum reporter reporter, uint64_t now_monotonic_ns, struct metric_cells *cells)
{
    uint64_t key = key_of(sender, node_id, reporter);
    uint64_t now_ms = now_monotonic_ns / NS_PER_MS;

    uint32_t index = 0;

    if (find_place(sources, key, now_ms, false, &index) || give_away_place(sources, key, now_ms, &index)) {
        return (struct count_voice){.key = key, .place = index};
    }
    metric_add(cells, METRIC_COUNT_SOURCES_LIMITED, 1);
    return (struct count_voice){.key = 0};
}

static enum count_verdict decide(struct state *state, enum request_signal source, uint64_t now_ms)
{
    bool touch = state->stage != STAGE_DECIDED || state->source != source || now_ms > state->ms + TOUCH_MS;

    if (touch) {
        *state = (struct state){.stage = STAGE_DECIDED, .source = source, .ms = now_ms};
    }
    return COUNT_NOW;
}

/* What a record of `source` makes of its proxy's state, and the verdict on it. */
static enum count_verdict take_record(
    const struct count_sources *sources, struct state *state, enum request_signal source, uint64_t now_ms)
{
    uint64_t wait_ms = atomic_load_explicit(&sources->wait_ms, memory_order_relaxed);
    uint64_t silence_ms = atomic_load_explicit(&sources->silence_ms, memory_order_relaxed);

    if (state->stage == STAGE_UNDECIDED && now_ms >= state->ms + wait_ms) {
        *state = (struct state){.stage = STAGE_DECIDED, .source = state->source, .ms = now_ms};
    }
    if (state->stage == STAGE_DECIDED && source < state->source && now_ms > state->ms + silence_ms) {
        state->stage = STAGE_NEW; /* what told better has fallen silent */
    }
    if (state->stage == STAGE_NEW && source != REQUEST_FROM_LOG && wait_ms > 0) {
        *state = (struct state){.stage = STAGE_UNDECIDED, .source = source, .ms = now_ms};
        return COUNT_HOLD;
    }
    if (state->stage != STAGE_NEW && source < state->source) {
        return COUNT_SUPERSEDED;
    }
    if (state->stage != STAGE_UNDECIDED || source == REQUEST_FROM_LOG) {
        return decide(state, source, now_ms);
    }
    state->source = source;
    return COUNT_HOLD;
}

enum count_verdict count_source_verdict(struct count_sources *sources, enum request_signal source,
    struct count_voice voice, uint64_t now_monotonic_ns, struct metric_cells *cells)
{
    bool is_log = source != REQUEST_FROM_SPAN;

    if (voice.key == 0) {
        return COUNT_NOW;
    }
    uint32_t from = atomic_load_explicit(&sources->from, memory_order_relaxed);
    if (from == COUNT_FROM_SPANS) {
        return is_log ? COUNT_SUPERSEDED : COUNT_NOW;
    }
    if (from == COUNT_FROM_ACCESS_LOG && !is_log) {
        return COUNT_SUPERSEDED;
    }
    struct place *place = &sources->places[voice.place];
    if (atomic_load_explicit(&place->key, memory_order_relaxed) != voice.key) {
        return COUNT_NOW;
    }
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
    for (;;) {
        struct state before = state_of(word);
        struct state state = before;
        enum count_verdict verdict = take_record(sources, &state, source, now_monotonic_ns / NS_PER_MS);
        uint64_t next = word_of(state);
        if (next == word) {
            return verdict;
        }
        if (atomic_compare_exchange_weak(&place->word, &word, next)) {
            if (before.stage == STAGE_DECIDED && before.source != state.source) {
                metric_add(cells, METRIC_COUNT_SOURCE_CHANGES, 1);
            }
            return verdict;
        }
    }
}

void count_source_end_wait(struct count_sources *sources, struct count_voice voice, uint64_t now_monotonic_ns,
    struct metric_cells *cells)
{
    struct place *place = &sources->places[voice.place];
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);

    while (state_of(word).stage == STAGE_UNDECIDED) {
        struct state state = {
            .stage = STAGE_DECIDED, .source = state_of(word).source, .ms = now_monotonic_ns / NS_PER_MS};
        if (atomic_compare_exchange_weak(&place->word, &word, word_of(state))) {
            metric_add(cells, METRIC_COUNT_SOURCES_EARLY, 1);
            return;
        }
    }
}
