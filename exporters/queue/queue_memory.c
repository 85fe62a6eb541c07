/*
 * The queue in memory: a list per signal, ages compared by a sequence number when the oldest has to go. Runs
 * on the exporter's thread. One allocation per push, that is per batch of a shard, never per record.
 */
#include "exporters/queue/queue.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/error.h"

struct node {
    struct node *next;
    struct queue_item item;
    uint64_t sequence;
};

struct line {
    struct node *first;
    struct node *last;
    struct node *last_held; /* NULL: none is held */
    struct queue_totals totals;
};

struct memory_queue {
    struct queue queue; /* first member */
    struct line lines[QUEUE_SIGNALS_COUNT_MAX];
    uint64_t bytes_max;
    uint64_t bytes;
    uint64_t entry_count;
    uint64_t next_sequence;
};

static struct memory_queue *memory_queue_of(struct queue *queue)
{
    return (struct memory_queue *)queue;
}

static const struct memory_queue *const_memory_queue_of(const struct queue *queue)
{
    return (const struct memory_queue *)queue;
}

static struct node *first_waiting(const struct line *line)
{
    return line->last_held != NULL ? line->last_held->next : line->first;
}

static void subtract(struct memory_queue *self, struct line *line, const struct queue_item *item)
{
    self->bytes -= item->bytes->length;
    self->entry_count--;
    line->totals.bytes -= item->bytes->length;
    line->totals.item_count -= item->item_count;
    line->totals.entry_count--;
}

static void free_node(struct node *node)
{
    shared_bytes_unref(node->item.bytes);
    free(node);
}

/* Takes the first waiting node out of the list; what is held before it stays. */
static struct node *take_first_waiting(struct memory_queue *self, struct line *line)
{
    struct node *node = first_waiting(line);

    if (line->last_held != NULL) {
        line->last_held->next = node->next;
    } else {
        line->first = node->next;
    }
    if (line->last == node) {
        line->last = line->last_held;
    }
    subtract(self, line, &node->item);
    return node;
}

static bool drop_oldest(struct memory_queue *self)
{
    struct line *oldest = NULL;

    for (size_t i = 0; i < QUEUE_SIGNALS_COUNT_MAX; i++) {
        struct node *node = first_waiting(&self->lines[i]);
        if (node != NULL && (oldest == NULL || node->sequence < first_waiting(oldest)->sequence)) {
            oldest = &self->lines[i];
        }
    }
    if (oldest == NULL) {
        return false;
    }
    struct node *node = take_first_waiting(self, oldest);
    self->queue.dropped(self->queue.user, &node->item);
    free_node(node);
    return true;
}

static bool fits(const struct memory_queue *self, uint64_t bytes)
{
    return self->entry_count < QUEUE_ITEMS_COUNT_MAX && self->bytes <= self->bytes_max &&
           bytes <= self->bytes_max - self->bytes;
}

/* Whether it would fit with everything gone that is not held. */
static bool can_fit(const struct memory_queue *self, uint64_t bytes)
{
    uint64_t held_bytes = 0;
    uint64_t held_count = 0;

    for (size_t i = 0; i < QUEUE_SIGNALS_COUNT_MAX; i++) {
        const struct node *end = first_waiting(&self->lines[i]);
        for (const struct node *node = self->lines[i].first; node != end; node = node->next) {
            held_bytes += node->item.bytes->length;
            held_count++;
        }
    }
    return held_count < QUEUE_ITEMS_COUNT_MAX && held_bytes <= self->bytes_max &&
           bytes <= self->bytes_max - held_bytes;
}

static int memory_push(struct queue *queue, const struct queue_item *item)
{
    struct memory_queue *self = memory_queue_of(queue);

    if (item->signal >= QUEUE_SIGNALS_COUNT_MAX) {
        return WERR_INVALID;
    }
    struct node *node = malloc(sizeof *node);
    if (node == NULL) {
        return WERR_NOMEM;
    }
    uint64_t bytes = item->bytes->length;
    if (!fits(self, bytes) && !can_fit(self, bytes)) {
        free(node);
        queue->dropped(queue->user, item);
        return 0;
    }
    while (!fits(self, bytes) && drop_oldest(self)) {
    }
    struct line *line = &self->lines[item->signal];
    *node = (struct node){.item = *item, .sequence = self->next_sequence++};
    (void)shared_bytes_ref(item->bytes);
    if (line->last != NULL) {
        line->last->next = node;
    } else {
        line->first = node;
    }
    line->last = node;
    self->bytes += bytes;
    self->entry_count++;
    line->totals.bytes += bytes;
    line->totals.item_count += item->item_count;
    line->totals.entry_count++;
    return 0;
}

static size_t memory_peek(
    const struct queue *queue, uint32_t signal, struct queue_item *ret_items, size_t items_max)
{
    size_t count = 0;

    if (signal >= QUEUE_SIGNALS_COUNT_MAX) {
        return 0;
    }
    const struct node *node = const_memory_queue_of(queue)->lines[signal].first;
    for (; node != NULL && count < items_max; node = node->next) {
        ret_items[count++] = node->item;
    }
    return count;
}

static void memory_hold(struct queue *queue, uint32_t signal, size_t count)
{
    if (signal >= QUEUE_SIGNALS_COUNT_MAX) {
        return;
    }
    struct line *line = &memory_queue_of(queue)->lines[signal];

    line->last_held = NULL;
    for (struct node *node = line->first; node != NULL && count > 0; node = node->next, count--) {
        line->last_held = node;
    }
}

static void memory_pop(struct queue *queue, uint32_t signal, size_t count)
{
    if (signal >= QUEUE_SIGNALS_COUNT_MAX) {
        return;
    }
    struct memory_queue *self = memory_queue_of(queue);
    struct line *line = &self->lines[signal];

    for (; line->first != NULL && count > 0; count--) {
        struct node *node = line->first;
        line->first = node->next;
        line->last = line->first != NULL ? line->last : NULL;
        line->last_held = line->last_held != node ? line->last_held : NULL;
        subtract(self, line, &node->item);
        free_node(node);
    }
}

static struct queue_totals memory_totals(const struct queue *queue, uint32_t signal)
{
    return signal < QUEUE_SIGNALS_COUNT_MAX ? const_memory_queue_of(queue)->lines[signal].totals
                                            : (struct queue_totals){0};
}

static void memory_free(struct queue *queue)
{
    for (uint32_t signal = 0; signal < QUEUE_SIGNALS_COUNT_MAX; signal++) {
        memory_pop(queue, signal, SIZE_MAX);
    }
    free(queue);
}

static const struct queue_type queue_memory = {
    .name = "memory",
    .push = memory_push,
    .peek = memory_peek,
    .hold = memory_hold,
    .pop = memory_pop,
    .totals = memory_totals,
    .free = memory_free,
};

struct queue *queue_memory_new(
    uint64_t bytes_max, void (*dropped)(void *user, const struct queue_item *item), void *user)
{
    struct memory_queue *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return NULL;
    }
    self->queue = (struct queue){.type = &queue_memory, .dropped = dropped, .user = user};
    self->bytes_max = bytes_max;
    return &self->queue;
}
