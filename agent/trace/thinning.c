/* See thinning.h. Runs on the joining thread. */
#include "trace/thinning.h"

#define SECOND_NS 1000000000ull

void thinning_init(struct thinning *thinning, uint64_t rate_max)
{
    *thinning = (struct thinning){.rate_max = rate_max > 0 ? rate_max : 1};
}

void thinning_count(struct thinning *thinning, uint64_t count)
{
    thinning->count += count;
}

/* How often to halve; too often is mended a second later. */
static uint32_t steps_down(uint64_t excess)
{
    return excess > 1 ? 63 - (uint32_t)__builtin_clzll(excess) : 1;
}

static void set_bits(struct thinning *thinning, uint32_t bits)
{
    bits = bits < THINNING_BITS_MAX ? bits : THINNING_BITS_MAX;
    thinning->bits = bits;
    atomic_store_explicit(&thinning->mask, (1u << bits) - 1, memory_order_relaxed);
}

static void begin_second(struct thinning *thinning, uint64_t now_ns)
{
    thinning->since_ns = now_ns;
    thinning->count = 0;
}

void thinning_tick(struct thinning *thinning, uint64_t now_ns)
{
    if (thinning->since_ns == 0) {
        thinning->since_ns = now_ns;
    }
    if (thinning->count > thinning->rate_max) {
        set_bits(thinning, thinning->bits + steps_down(thinning->count / thinning->rate_max));
        begin_second(thinning, now_ns);
    } else if (now_ns - thinning->since_ns >= SECOND_NS) {
        /* Twice as many shall still fit, with some room: else it would go back and forth. */
        if (thinning->bits > 0 && thinning->count * 5 < thinning->rate_max * 2) {
            set_bits(thinning, thinning->bits - 1);
        }
        begin_second(thinning, now_ns);
    }
}
