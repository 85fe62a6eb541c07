/* A byte budget that several threads draw on: reserve before allocating, give back after freeing. */
#ifndef WEFT_CORE_BUDGET_H
#define WEFT_CORE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
    _Atomic uint64_t used_bytes;
    uint64_t cap_bytes;
};

/* False, and nothing taken, when the cap would be passed. */
static inline bool budget_reserve(struct budget *budget, uint64_t bytes)
{
    uint64_t used_bytes = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);

    do {
        if (bytes > budget->cap_bytes || used_bytes > budget->cap_bytes - bytes) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &budget->used_bytes, &used_bytes, used_bytes + bytes, memory_order_relaxed, memory_order_relaxed));
    return true;
}

static inline void budget_release(struct budget *budget, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

#endif
