/* Setting up the classic bounds in force. At start and reload only, by the thread that owns the
 * configuration. */
#include "histogram/bounds.h"

#include <string.h>

#include "core/error.h"

#define MS_NS 1000000ull

const uint64_t bounds_default_ns[] = {MS_NS / 2, 1 * MS_NS, 5 * MS_NS / 2, 5 * MS_NS, 10 * MS_NS, 25 * MS_NS,
    50 * MS_NS, 100 * MS_NS, 250 * MS_NS, 500 * MS_NS, 1000 * MS_NS, 2500 * MS_NS, 5000 * MS_NS,
    10000 * MS_NS, 30000 * MS_NS, 60000 * MS_NS};
const size_t bounds_default_count = sizeof(bounds_default_ns) / sizeof(bounds_default_ns[0]);

/* Inserts le_ns into the ascending array unless it is there. False when there is no room. */
static bool insert_ascending(uint64_t *bounds_ns, uint32_t *count, uint64_t le_ns)
{
    uint32_t at = *count;

    while (at > 0 && bounds_ns[at - 1] >= le_ns) {
        at--;
    }
    if (at < *count && bounds_ns[at] == le_ns) {
        return true;
    }
    if (*count == BOUNDS_COUNT_MAX) {
        return false;
    }
    memmove(&bounds_ns[at + 1], &bounds_ns[at], (*count - at) * sizeof(*bounds_ns));
    bounds_ns[at] = le_ns;
    (*count)++;
    return true;
}

/* The last cell also holds what is above the top, so that its upper bound does not stand for its count. */
static bool is_lattice_bound(int cell, uint64_t le_ns)
{
    return cell != LATTICE_CELL_LAST && le_ns == lattice_upper_ns(cell);
}

int split_bounds_init(struct split_bounds *bounds, const uint64_t *le_ns, size_t count)
{
    struct split_bounds made = {.bound_count = 0};

    memset(made.first_slot, BOUNDS_NO_SLOT, sizeof(made.first_slot));
    for (size_t i = 0; i < count; i++) {
        if (!insert_ascending(made.bounds_ns, &made.bound_count, le_ns[i])) {
            return WERR_OVERSIZED;
        }
    }
    for (uint32_t i = 0; i < made.bound_count; i++) {
        int cell = lattice_cell(made.bounds_ns[i]);

        if (is_lattice_bound(cell, made.bounds_ns[i])) {
            continue;
        }
        if (made.first_slot[cell + 1] == BOUNDS_NO_SLOT) {
            made.first_slot[cell + 1] = (uint8_t)made.slot_count;
        }
        made.slot_cells[made.slot_count] = (int16_t)cell;
        made.slots_ns[made.slot_count] = made.bounds_ns[i];
        made.slot_count++;
    }
    *bounds = made;
    return 0;
}

bool split_bounds_equal(const struct split_bounds *a, const struct split_bounds *b)
{
    return a->bound_count == b->bound_count &&
           memcmp(a->bounds_ns, b->bounds_ns, a->bound_count * sizeof(a->bounds_ns[0])) == 0;
}

int le_plan_init(struct le_plan *plan, const struct split_bounds *bounds, const uint64_t *le_ns, size_t count)
{
    if (count > BOUNDS_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    plan->count = 0;
    for (size_t i = 0; i < count; i++) {
        int cell = lattice_cell(le_ns[i]);
        struct le_step step = {.cell_end = (int16_t)(cell + 1), .le_ns = le_ns[i]};

        if (i > 0 && le_ns[i] <= le_ns[i - 1]) {
            return WERR_INVALID;
        }
        if (!is_lattice_bound(cell, le_ns[i])) {
            int slot = split_bounds_slot(bounds, cell, le_ns[i]);

            if (slot < 0 || bounds->slots_ns[slot] != le_ns[i]) {
                return WERR_NOT_FOUND;
            }
            step.cell_end = (int16_t)cell;
            step.slot_begin = bounds->first_slot[cell + 1];
            step.slot_end = (uint8_t)(slot + 1);
        }
        plan->steps[plan->count++] = step;
    }
    return 0;
}
