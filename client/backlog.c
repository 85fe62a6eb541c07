/* The queue of backlog.h, behind the client's lock. */
#include "client/backlog.h"

#include <stdlib.h>

int backlog_init(struct backlog *backlog, uint64_t bytes_max)
{
    *backlog = (struct backlog){.bytes_max = bytes_max};
    backlog->batches = calloc(BACKLOG_BATCHES_COUNT_MAX, sizeof *backlog->batches);
    return backlog->batches != NULL ? 0 : -1;
}

void backlog_clear(struct backlog *backlog)
{
    while (backlog->count > 0) {
        backlog_pop(backlog);
    }
}

void backlog_deinit(struct backlog *backlog)
{
    backlog_clear(backlog);
    free(backlog->batches);
    *backlog = (struct backlog){0};
}

bool backlog_has_room(const struct backlog *backlog)
{
    return backlog->count < BACKLOG_BATCHES_COUNT_MAX && backlog->bytes < backlog->bytes_max;
}

struct batch *backlog_at(const struct backlog *backlog, size_t index)
{
    return index < backlog->count ? &backlog->batches[(backlog->first + index) % BACKLOG_BATCHES_COUNT_MAX]
                                  : NULL;
}

void backlog_append(struct backlog *backlog, struct batch batch)
{
    backlog->batches[(backlog->first + backlog->count) % BACKLOG_BATCHES_COUNT_MAX] = batch;
    backlog->count++;
    backlog->bytes += batch.frame_bytes;
}

struct batch *backlog_find(const struct backlog *backlog, uint64_t sequence)
{
    const struct batch *first = backlog_at(backlog, 0);

    /* numbers are consecutive */
    return first == NULL || sequence < first->sequence ? NULL
                                                       : backlog_at(backlog, sequence - first->sequence);
}

struct batch *backlog_next(const struct backlog *backlog)
{
    return backlog_at(backlog, backlog->sent_count);
}

void backlog_sent(struct backlog *backlog)
{
    struct batch *batch = backlog_next(backlog);

    batch->was_sent = true;
    backlog->sent_bytes += batch->frame_bytes;
    backlog->sent_count++;
}

void backlog_unsend(struct backlog *backlog, uint64_t sequence)
{
    while (backlog->sent_count > 0 && backlog_at(backlog, backlog->sent_count - 1)->sequence >= sequence) {
        backlog->sent_count--;
        backlog->sent_bytes -= backlog_next(backlog)->frame_bytes;
    }
}

void backlog_pop(struct backlog *backlog)
{
    struct batch *batch = backlog_at(backlog, 0);

    if (backlog->sent_count > 0) {
        backlog->sent_count--;
        backlog->sent_bytes -= batch->frame_bytes;
    }
    backlog->bytes -= batch->frame_bytes;
    free(batch->frame);
    *batch = (struct batch){0};
    backlog->first = (backlog->first + 1) % BACKLOG_BATCHES_COUNT_MAX;
    backlog->count--;
}
