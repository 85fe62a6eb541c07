/*
 * Timings on their way from a shard to whoever joins them: a batch holds records with the shard's name ids,
 * and the text of each id that was not told before. Pure code; the writer belongs to the shard's thread, the
 * reader to the joining one, a batch to whoever has it.
 *
 *   shard: timing_writer_add ─► batch ─── mail ───► timing_reader_learn, timing_reader_translate, free
 *
 * Names are told once for an id, and ids carry a generation (context/interner.h), so that one that was freed
 * and given to another text is told again. A batch that does not reach the reader is handed to
 * timing_writer_lost, which makes its names new ones.
 */
#ifndef WEFT_TRACE_TIMING_BATCH_H
#define WEFT_TRACE_TIMING_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context/interner.h"
#include "core/mailbox.h"
#include "trace/timing.h"

enum {
    TIMING_BATCH_COUNT_MAX = 640, /* records; about 56 KiB */
    TIMING_BATCH_NAMES_MAX = 512,
    TIMING_BATCH_TEXT_BYTES = 49152,
    TIMING_NAME_BYTES_MAX = 4096, /* of a name; the rest is cut */
    TIMING_NAME_COUNT = 7,        /* names of one timing */
};

struct timing_name {
    uint32_t id;
    uint32_t at; /* in the batch's text */
    uint32_t length;
};

struct timing_batch {
    struct mail mail; /* first member; for whoever sends it */
    void *reader;     /* whoever it is posted to */
    uint32_t shard;
    _Atomic uint32_t *under_way; /* counts it until it is freed: of the sender, which lives longer */
    uint32_t timing_count;
    uint32_t name_count;
    uint32_t text_bytes;
    struct timing timings[TIMING_BATCH_COUNT_MAX];
    struct timing_name names[TIMING_BATCH_NAMES_MAX];
    char text[TIMING_BATCH_TEXT_BYTES];
};

struct timing_writer {
    const struct interner *interner;
    uint32_t *told;             /* by index of an id: the id that was told; 0: none */
    uint32_t count_max;         /* of the indices */
    struct timing_batch *batch; /* being filled; NULL: none */
};

/* interner: the shard's, of at most strings_count_max texts. 0 or WERR_NOMEM. */
int timing_writer_init(
    struct timing_writer *writer, const struct interner *interner, uint32_t strings_count_max);
void timing_writer_deinit(struct timing_writer *writer); /* a zeroed one is fine */

/*
 * Adds a timing whose ids are the shard's; unknown and stale ones become INTERNED_UNKNOWN. WERR_FULL: take
 * the batch, then it fits. WERR_NOMEM: there is no batch to be had. No allocation but one for a batch.
 */
int timing_writer_add(struct timing_writer *writer, const struct timing *timing);

/* The batch, the caller's to send or to free by free(); NULL when there is nothing in it. */
struct timing_batch *timing_writer_take(struct timing_writer *writer);

/* Frees a batch that nobody has read. */
void timing_writer_lost(struct timing_writer *writer, struct timing_batch *batch);

/* What the reader knows of one shard's ids. */
struct timing_reader {
    struct interner *interner; /* its own */
    struct timing_reader_name {
        uint32_t id; /* the shard's; 0: none */
        uint32_t own;
    } * names; /* by index; each holds a reference */
    uint32_t count_max;
};

/* 0 or WERR_NOMEM; memory is touched as ids are. */
int timing_reader_init(struct timing_reader *reader, struct interner *interner, uint32_t strings_count_max);
void timing_reader_deinit(struct timing_reader *reader);

/* Takes the names of a batch. What finds no room in the interner is INTERNED_OVERFLOW. */
void timing_reader_learn(struct timing_reader *reader, const struct timing_batch *batch);

/* Puts the reader's ids in place of the shard's. */
void timing_reader_translate(const struct timing_reader *reader, struct timing *timing);

#endif
