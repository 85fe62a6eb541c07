/*
 * Parts of access log entries that are the same, byte for byte, in one entry after the other: what TLS proved
 * on a connection, what the mesh says of a peer. Reading one of them costs as much as a third of all the
 * rest, comparing it with the same bytes seen before a few steps. Kept is where in the part its texts lie, so
 * what is handed on borrows from the message either way.
 *
 *   part ─some of its bytes─► parts[i] ─the same bytes? ─► its texts' places ─► entry
 *                                       else ─► read; learnt now and then
 *
 * Looked up by content, so nothing has to be told when a proxy goes: what is no longer met is written over.
 * Hostile input can at most have parts read the slow way. One thread owns it; it allocates nothing after it
 * was made.
 */
#ifndef WEFT_DECODE_ALS_MEMORY_H
#define WEFT_DECODE_ALS_MEMORY_H

#include <stdint.h>

#include "core/slice.h"
#include "decode/access_log.h"

enum {
    ALS_MEMORY_PARTS_COUNT = 128,
    ALS_MEMORY_PART_BYTES_MAX = 512, /* longer ones are read each time */
    ALS_MEMORY_TEXTS_MAX = 10,       /* of a peer, and the writer's own identity */
    ALS_MEMORY_PATIENCE = 4,         /* of so many parts that are not known one is learnt */
};

/* Reads a part into an entry: texts that the entry has not got yet. 0, or a negative code. */
typedef int als_part_reader(struct slice encoded, struct access_log_entry *entry);

/* A text of a part: where it goes in struct access_log_entry, and where it lies in the part. */
struct als_text {
    uint16_t to;
    uint16_t at;
    uint16_t length_bytes;
};

struct als_part {
    als_part_reader *read; /* what it was read by; NULL: empty */
    uint32_t length_bytes;
    uint32_t text_count;
    struct als_text texts[ALS_MEMORY_TEXTS_MAX];
    uint8_t bytes[ALS_MEMORY_PART_BYTES_MAX];
};

struct als_memory {
    uint32_t unknown_count; /* of parts met */
    struct als_part parts[ALS_MEMORY_PARTS_COUNT];
};

/* About 75 KiB, of which only what is used becomes resident. NULL without memory. */
struct als_memory *als_memory_new(void);
void als_memory_free(struct als_memory *memory);

/*
 * What `read` would do, which is to be the same for the same bytes and to set texts of a peer or of the
 * writer's identity only, to parts of `encoded` and only where there is none. memory: NULL reads.
 */
int als_memory_read(
    struct als_memory *memory, struct slice encoded, als_part_reader *read, struct access_log_entry *entry);

#endif
