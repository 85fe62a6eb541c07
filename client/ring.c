/* Making and freeing of ring.h's rings; any thread. */
#include "client/ring.h"

#include <stdlib.h>

struct ring *ring_new(uint32_t spans_count)
{
    uint64_t size = RING_SPANS_COUNT_MIN;

    while (size < spans_count && size < RING_SPANS_COUNT_MAX) {
        size *= 2;
    }
    struct ring *ring = aligned_alloc(_Alignof(struct ring), sizeof *ring);
    struct weft_span *spans = calloc(size, sizeof *spans);
    if (ring == NULL || spans == NULL) {
        free(ring);
        free(spans);
        return NULL;
    }
    *ring = (struct ring){.mask = size - 1, .spans = spans};
    atomic_init(&ring->references, 2);
    return ring;
}

void ring_unref(struct ring *ring)
{
    if (ring != NULL && atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) == 1) {
        free(ring->spans);
        free(ring);
    }
}
