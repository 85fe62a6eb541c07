/*
 * Strings to small ids, one interner a thread. An id is `generation << 24 | index`: an index is used again
 * only after it was freed, with another generation, so that a stale id is recognised instead of naming
 * another string.
 *
 *   hash ─► slots (open addressing, index+1) ─► entries[index] { text, hash, references, generation, touched
 * }
 *
 * References are counted: a series and a connection's dictionary hold their strings. A string without
 * references lives until the sweep after the next one that did not see it used, so that a hit needs no
 * reference. What was added and freed since the last flip is kept in order, for the aggregator's copy.
 */
#ifndef WEFT_CONTEXT_INTERNER_H
#define WEFT_CONTEXT_INTERNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/budget.h"
#include "core/slice.h"

/* Ids that every interner has from the start and never frees. */
enum {
    INTERNED_NONE = 0,     /* "" */
    INTERNED_UNKNOWN = 1,  /* "unknown": the record does not tell */
    INTERNED_EXTERNAL = 2, /* "external": known to be outside */
    INTERNED_OVERFLOW = 3, /* "_overflow" */
    INTERNED_FIXED_COUNT = 4,
    INTERNED_FULL = 0xffffffff, /* not an id: the table or its budget is full */
};

struct interner;

/* count_max strings at most, their memory drawn from `budget` (kept, not owned). NULL when out of memory. */
struct interner *interner_new(uint32_t count_max, struct budget *budget);
void interner_free(struct interner *interner);

/* The id of `text` (copied when new). INTERNED_FULL when it is new and there is no room. Record path: no
 * allocation on a hit. */
uint32_t interner_intern(struct interner *interner, struct slice text);

/* The id of `text`, or INTERNED_FULL when it is not there. Never adds. */
uint32_t interner_find(struct interner *interner, struct slice text);

/* The text of a live id, NUL-terminated behind its length; an empty slice for a stale one. Valid until the
 * string is freed. */
struct slice interner_text(const struct interner *interner, uint32_t id);

/* Stale ids and the fixed ones are left alone. */
void interner_ref(struct interner *interner, uint32_t id);
void interner_unref(struct interner *interner, uint32_t id);

uint32_t interner_count(const struct interner *interner);

/* Frees unreferenced strings not used since the sweep before. Called at each flip. Bounded work: at most a
 * slice a call. */
void interner_sweep(struct interner *interner);

/* How many sweeps there were. An id asked for since the last one outlives the next. */
uint32_t interner_sweep_count(const struct interner *interner);

struct interner_change {
    uint32_t id;
    bool added; /* false: freed */
};

/*
 * The changes since the last clear, oldest first. Borrowed until the next call that changes the interner.
 * A failed append of a change makes the intern itself fail (INTERNED_FULL), so that none is lost.
 */
const struct interner_change *interner_changes(const struct interner *interner, size_t *ret_count);
void interner_changes_clear(struct interner *interner);

#endif
