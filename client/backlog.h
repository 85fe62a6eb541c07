/*
 * Batches in order of their sequence numbers, from the first that is not acknowledged to the last made, kept
 * so that they can be sent again:
 *
 *   [ under way … | not sent yet … ]      bounded by count and bytes; with it full, records stay in the
 * threads' rings first          first + sent_count
 */
#ifndef WEFT_CLIENT_BACKLOG_H
#define WEFT_CLIENT_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BACKLOG_BATCHES_COUNT_MAX = 2048 };

struct batch {
    uint8_t *frame; /* header and payload, as it goes over the wire; owned */
    size_t frame_bytes;
    uint64_t sequence;
    uint32_t span_count;
    uint32_t point_count;
    uint32_t log_count;
    bool was_sent; /* at least once */
    bool refused;  /* for good: not to be sent again */
};

struct backlog {
    struct batch *batches; /* BACKLOG_BATCHES_COUNT_MAX, circular */
    size_t first;
    size_t count;
    size_t sent_count;
    uint64_t bytes;
    uint64_t sent_bytes; /* under way: what counts against the credit */
    uint64_t bytes_max;
};

int backlog_init(struct backlog *backlog, uint64_t bytes_max); /* 0 or -1 */
void backlog_deinit(struct backlog *backlog);
void backlog_clear(struct backlog *backlog);

/* One batch may pass bytes_max; then there is room again once it is gone. */
bool backlog_has_room(const struct backlog *backlog);
void backlog_append(struct backlog *backlog, struct batch batch); /* only with room; takes over the frame */

struct batch *backlog_at(const struct backlog *backlog, size_t index); /* from the first; NULL past the end */
struct batch *backlog_find(const struct backlog *backlog, uint64_t sequence); /* NULL when it is not there */

/* The next batch to send, or NULL; backlog_sent says that it is under way. */
struct batch *backlog_next(const struct backlog *backlog);
void backlog_sent(struct backlog *backlog);

/* From this sequence on nothing is under way (any longer); 0: from the first. */
void backlog_unsend(struct backlog *backlog, uint64_t sequence);

/* Removes the first one. */
void backlog_pop(struct backlog *backlog);

#endif
