/* Requests that wait for a verdict; see held_requests.h. Runs on the shard's loop. */
#include "context/held_requests.h"

#include <stdlib.h>

#include "core/error.h"

struct held_chunk {
    struct held_chunk *next;
    size_t count;
    struct request requests[HELD_REQUESTS_CHUNK_COUNT];
};

void held_requests_init(struct held_requests *held, struct interner *interner, size_t count_max)
{
    *held = (struct held_requests){.interner = interner, .count_max = count_max};
}

static void for_each_string(
    struct interner *interner, const struct request *request, void (*visit)(struct interner *, uint32_t))
{
    visit(interner, request->source);
    visit(interner, request->source_namespace);
    visit(interner, request->destination);
    visit(interner, request->destination_namespace);
    visit(interner, request->route);
    visit(interner, request->sender);
    visit(interner, request->parties.source_identity);
    visit(interner, request->parties.destination_identity);
    visit(interner, request->parties.own_place);
    visit(interner, request->parties.peer_workload);
    visit(interner, request->operation);
}

void held_requests_deinit(struct held_requests *held)
{
    while (held->first != NULL) {
        struct held_chunk *chunk = held->first;
        for (size_t i = 0; i < chunk->count; i++) {
            for_each_string(held->interner, &chunk->requests[i], interner_unref);
        }
        held->first = chunk->next;
        free(chunk);
    }
    held->last = NULL;
    held->count = 0;
}

int held_requests_add(struct held_requests *held, const struct request *request)
{
    if (held->count >= held->count_max) {
        return WERR_FULL;
    }
    if (held->last == NULL || held->last->count == HELD_REQUESTS_CHUNK_COUNT) {
        struct held_chunk *chunk = malloc(sizeof *chunk);
        if (chunk == NULL) {
            return WERR_NOMEM;
        }
        chunk->next = NULL;
        chunk->count = 0;
        if (held->last == NULL) {
            held->first = chunk;
        } else {
            held->last->next = chunk;
        }
        held->last = chunk;
    }
    held->last->requests[held->last->count++] = *request;
    held->count++;
    for_each_string(held->interner, request, interner_ref);
    return 0;
}

void held_requests_settle(
    struct held_requests *held, bool (*settled)(void *user, const struct request *request), void *user)
{
    struct held_chunk *to = held->first;
    size_t to_count = 0;

    /* What stays moves forward, into the room of what went. */
    for (struct held_chunk *from = held->first; from != NULL; from = from->next) {
        size_t from_count = from->count;
        for (size_t i = 0; i < from_count; i++) {
            struct request *request = &from->requests[i];
            if (settled(user, request)) {
                for_each_string(held->interner, request, interner_unref);
                held->count--;
                continue;
            }
            if (to_count == HELD_REQUESTS_CHUNK_COUNT) {
                to->count = to_count;
                to = to->next;
                to_count = 0;
            }
            to->requests[to_count++] = *request;
        }
    }
    if (to == NULL) {
        return;
    }
    to->count = to_count;
    struct held_chunk *rest = to_count > 0 ? to->next : to;
    if (to_count > 0) {
        to->next = NULL;
        held->last = to;
    } else {
        held->first = held->last = NULL; /* to_count is 0 in the first chunk only */
    }
    while (rest != NULL) {
        struct held_chunk *next = rest->next;
        free(rest);
        rest = next;
    }
}
