/*
 * Recording into histograms, merging and reading them. A *position* names a cell (0 ... 1023) or a split slot
 * (from 1024 on); position / 32 is its page. Which thread may call what is said in histogram.h.
 */
#include "histogram/histogram.h"

#include <stddef.h>
#include <string.h>

#include "core/error.h"

_Static_assert(
    sizeof(struct histogram) == 184, "as drawn in histogram.h; ten thousand of them are in the budget");

enum { SLOT_POSITION = LATTICE_CELL_COUNT };

/* The page of upper halves that belongs to pages[page], or NULL. */
static struct page *carry_page(const struct histogram *histogram, const struct page_slab *slab, unsigned page)
{
    uint32_t directory = histogram->carries[page / PAGE_CELL_COUNT];

    if (__builtin_expect(directory == PAGE_NONE, 1)) {
        return NULL;
    }
    uint32_t carry = page_slab_page(slab, directory)->cells[page % PAGE_CELL_COUNT];
    return carry != PAGE_NONE ? page_slab_page(slab, carry) : NULL;
}

static int ensure_page(uint32_t *handle, struct page_slab *slab)
{
    if (*handle == PAGE_NONE) {
        *handle = page_slab_alloc(slab);
    }
    return *handle != PAGE_NONE ? 0 : WERR_NOMEM;
}

static int ensure_carry_page(struct histogram *histogram, struct page_slab *slab, unsigned page)
{
    uint32_t *directory = &histogram->carries[page / PAGE_CELL_COUNT];

    if (ensure_page(directory, slab) != 0) {
        return WERR_NOMEM;
    }
    return ensure_page(&page_slab_page(slab, *directory)->cells[page % PAGE_CELL_COUNT], slab);
}

/* Makes room for adding `weight` to a position: afterwards add_at cannot fail. */
static inline int reserve_at(
    struct histogram *histogram, struct page_slab *slab, unsigned position, uint64_t weight)
{
    unsigned page = position / PAGE_CELL_COUNT;

    if (__builtin_expect(histogram->pages[page] == PAGE_NONE, 0) &&
        ensure_page(&histogram->pages[page], slab) != 0) {
        return WERR_NOMEM;
    }
    uint64_t low = page_slab_page(slab, histogram->pages[page])->cells[position % PAGE_CELL_COUNT];

    if (__builtin_expect(weight > UINT32_MAX - low, 0)) {
        return ensure_carry_page(histogram, slab, page);
    }
    return 0;
}

static inline void add_at(
    struct histogram *histogram, struct page_slab *slab, unsigned position, uint64_t weight)
{
    unsigned page = position / PAGE_CELL_COUNT;
    uint32_t *low = &page_slab_page(slab, histogram->pages[page])->cells[position % PAGE_CELL_COUNT];

    if (__builtin_expect(weight > UINT32_MAX - *low, 0)) {
        uint32_t *high = &carry_page(histogram, slab, page)->cells[position % PAGE_CELL_COUNT];
        uint64_t sum = ((uint64_t)*high << 32 | *low) + weight;

        *high = (uint32_t)(sum >> 32);
        *low = (uint32_t)sum;
        return;
    }
    *low += (uint32_t)weight;
}

int histogram_record(struct histogram *histogram, struct page_slab *slab, const struct split_bounds *bounds,
    uint64_t duration_ns, uint64_t weight)
{
    int cell = lattice_cell(duration_ns);
    int slot = split_bounds_slot(bounds, cell, duration_ns);
    unsigned slot_position = SLOT_POSITION + (unsigned)slot;

    if (__builtin_expect(weight == 0, 0)) {
        return 0;
    }
    if (cell >= 0 && reserve_at(histogram, slab, (unsigned)cell, weight) != 0) {
        return WERR_NOMEM;
    }
    if (slot >= 0) {
        if (reserve_at(histogram, slab, slot_position, weight) != 0) {
            return WERR_NOMEM;
        }
        add_at(histogram, slab, slot_position, weight);
    }
    if (cell >= 0) {
        add_at(histogram, slab, (unsigned)cell, weight);
    } else {
        histogram->zero_count += weight;
    }
    histogram->count += weight;
    sum_ns_add(&histogram->sum_ns_low, &histogram->sum_ns_high, duration_ns, weight);
    return 0;
}

/* Whether adding the page needs upper halves in `to`; both pages exist. */
static bool page_carries(const struct page *to, const struct page *from, const struct page *from_carry)
{
    if (from_carry != NULL) {
        return true;
    }
    for (unsigned i = 0; i < PAGE_CELL_COUNT; i++) {
        if (from->cells[i] > UINT32_MAX - to->cells[i]) {
            return true;
        }
    }
    return false;
}

/* Takes all pages that a merge needs. `page_count`: the pages that are merged, from the first on. */
static int reserve_merge(struct histogram *to, struct page_slab *to_slab, const struct histogram *from,
    const struct page_slab *from_slab, unsigned page_count)
{
    /* No cell exceeds the count, so below 2^32 no cell of the result can. */
    bool may_carry = to->count > UINT32_MAX || from->count > UINT32_MAX - to->count;

    for (unsigned page = 0; page < page_count; page++) {
        if (from->pages[page] == PAGE_NONE) {
            continue;
        }
        if (ensure_page(&to->pages[page], to_slab) != 0) {
            return WERR_NOMEM;
        }
        if (may_carry &&
            page_carries(page_slab_page(to_slab, to->pages[page]),
                page_slab_page(from_slab, from->pages[page]), carry_page(from, from_slab, page)) &&
            ensure_carry_page(to, to_slab, page) != 0) {
            return WERR_NOMEM;
        }
    }
    return 0;
}

static void merge_page(
    struct page *to, struct page *to_carry, const struct page *from, const struct page *from_carry)
{
    if (to_carry == NULL) {
        for (unsigned i = 0; i < PAGE_CELL_COUNT; i++) {
            to->cells[i] += from->cells[i];
        }
        return;
    }
    for (unsigned i = 0; i < PAGE_CELL_COUNT; i++) {
        uint64_t high = from_carry != NULL ? from_carry->cells[i] : 0;
        uint64_t sum = ((uint64_t)to_carry->cells[i] << 32 | to->cells[i]) + (high << 32 | from->cells[i]);

        to->cells[i] = (uint32_t)sum;
        to_carry->cells[i] = (uint32_t)(sum >> 32);
    }
}

static int merge_pages(struct histogram *to, struct page_slab *to_slab, const struct histogram *from,
    const struct page_slab *from_slab, unsigned page_count)
{
    if (reserve_merge(to, to_slab, from, from_slab, page_count) != 0) {
        return WERR_NOMEM;
    }
    for (unsigned page = 0; page < page_count; page++) {
        if (from->pages[page] != PAGE_NONE) {
            merge_page(page_slab_page(to_slab, to->pages[page]), carry_page(to, to_slab, page),
                page_slab_page(from_slab, from->pages[page]), carry_page(from, from_slab, page));
        }
    }
    to->count += from->count;
    to->zero_count += from->zero_count;
    sum_ns_add(&to->sum_ns_low, &to->sum_ns_high, from->sum_ns_low, 1);
    to->sum_ns_high += from->sum_ns_high;
    return 0;
}

int histogram_merge(struct histogram *to, struct page_slab *to_slab, const struct histogram *from,
    const struct page_slab *from_slab)
{
    return merge_pages(to, to_slab, from, from_slab, HISTOGRAM_PAGES);
}

int histogram_merge_lattice(struct histogram *to, struct page_slab *to_slab, const struct histogram *from,
    const struct page_slab *from_slab)
{
    return merge_pages(to, to_slab, from, from_slab, HISTOGRAM_OCTAVE_PAGES);
}

void histogram_drain(struct histogram *histogram, const struct page_slab *slab, struct page_chain *chain)
{
    for (unsigned page = 0; page < HISTOGRAM_PAGES; page++) {
        if (histogram->pages[page] != PAGE_NONE) {
            page_chain_add(chain, slab, histogram->pages[page]);
        }
    }
    for (unsigned i = 0; i < HISTOGRAM_CARRY_DIRECTORIES; i++) {
        if (histogram->carries[i] == PAGE_NONE) {
            continue;
        }
        const struct page *directory = page_slab_page(slab, histogram->carries[i]);

        for (unsigned j = 0; j < PAGE_CELL_COUNT; j++) {
            if (directory->cells[j] != PAGE_NONE) {
                page_chain_add(chain, slab, directory->cells[j]);
            }
        }
        page_chain_add(chain, slab, histogram->carries[i]);
    }
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_release(struct histogram *histogram, struct page_slab *slab)
{
    struct page_chain chain = {.head = PAGE_NONE};

    histogram_drain(histogram, slab, &chain);
    page_slab_take_back(slab, &chain);
}

static uint64_t position_count(
    const struct histogram *histogram, const struct page_slab *slab, unsigned position)
{
    unsigned page = position / PAGE_CELL_COUNT;

    if (histogram->pages[page] == PAGE_NONE) {
        return 0;
    }
    const struct page *carry = carry_page(histogram, slab, page);
    uint64_t high = carry != NULL ? carry->cells[position % PAGE_CELL_COUNT] : 0;

    return high << 32 | page_slab_page(slab, histogram->pages[page])->cells[position % PAGE_CELL_COUNT];
}

uint64_t histogram_cell_count(const struct histogram *histogram, const struct page_slab *slab, int cell)
{
    return cell < 0 ? histogram->zero_count : position_count(histogram, slab, (unsigned)cell);
}

bool histogram_next(
    const struct histogram *histogram, const struct page_slab *slab, int *cell, uint64_t *ret_count)
{
    unsigned start = (unsigned)(*cell + 1);

    for (unsigned page = start / PAGE_CELL_COUNT; page < HISTOGRAM_OCTAVE_PAGES; page++) {
        if (histogram->pages[page] == PAGE_NONE) {
            continue;
        }
        const struct page *low = page_slab_page(slab, histogram->pages[page]);
        const struct page *high = carry_page(histogram, slab, page);

        for (unsigned i = page == start / PAGE_CELL_COUNT ? start % PAGE_CELL_COUNT : 0; i < PAGE_CELL_COUNT;
             i++) {
            uint64_t count = (high != NULL ? (uint64_t)high->cells[i] << 32 : 0) | low->cells[i];

            if (count > 0) {
                *cell = (int)(page * PAGE_CELL_COUNT + i);
                *ret_count = count;
                return true;
            }
        }
    }
    return false;
}

void histogram_le_counts(const struct histogram *histogram, const struct page_slab *slab,
    const struct le_plan *plan, uint64_t *out)
{
    int cell = LATTICE_CELL_ZERO; /* the next one; a step beyond it counts the zero bucket too */
    uint64_t cell_count = histogram->zero_count;
    uint64_t below_count = 0; /* of all cells before `cell` */
    bool more = true;

    for (uint32_t i = 0; i < plan->count; i++) {
        const struct le_step *step = &plan->steps[i];

        while (more && cell < step->cell_end) {
            below_count += cell_count;
            more = histogram_next(histogram, slab, &cell, &cell_count);
        }
        out[i] = below_count;
        for (unsigned slot = step->slot_begin; slot < step->slot_end; slot++) {
            out[i] += position_count(histogram, slab, SLOT_POSITION + slot);
        }
    }
}

double sum_ns_seconds(uint64_t low, uint64_t high)
{
    unsigned __int128 sum_ns = (unsigned __int128)high << 64 | low;

    unsigned __int128 whole_s = sum_ns / 1000000000u;

    return (double)whole_s + (double)(uint64_t)(sum_ns % 1000000000u) / 1e9;
}

double histogram_sum_seconds(const struct histogram *histogram)
{
    return sum_ns_seconds(histogram->sum_ns_low, histogram->sum_ns_high);
}
