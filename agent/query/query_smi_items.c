/* Items of a list by what they are about: query_smi_items.h. */
#include "query/query_smi_items.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t hash_text(struct slice text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text.length > 0 ? (const void *)text.ptr : "", text.length, seed);
}

static size_t head_of(const struct smi_resource *resource, bool is_to)
{
    return hash_text(resource->name, hash_text(resource->name_space, is_to)) % SMI_ITEM_HEADS_COUNT;
}

void smi_items_deinit(struct smi_items *items)
{
    for (size_t i = 0; items != NULL && i < items->count; i++) {
        free(items->list[i]);
    }
}

static bool is_about(const struct smi_item *item, const struct smi_resource *resource, bool is_to)
{
    return item->is_to == is_to && item->resource.kind == resource->kind &&
           slice_equal(item->resource.name, resource->name) &&
           slice_equal(item->resource.name_space, resource->name_space);
}

struct smi_item *smi_items_find(
    const struct smi_items *items, const struct smi_resource *resource, bool is_to)
{
    struct smi_item *item = items->heads[head_of(resource, is_to)];

    while (item != NULL && !is_about(item, resource, is_to)) {
        item = item->next;
    }
    return item;
}

struct smi_item *smi_items_obtain(struct smi_items *items, const struct smi_resource *resource, bool is_to)
{
    struct smi_item *item = smi_items_find(items, resource, is_to);

    if (item != NULL) {
        return item;
    }
    item = items->count < SMI_ITEMS_MAX ? calloc(1, sizeof *item) : NULL;
    if (item == NULL) {
        items->left_out_count++;
        return NULL;
    }
    struct smi_item **head = &items->heads[head_of(resource, is_to)];

    item->resource = *resource;
    item->is_to = is_to;
    item->reporter = REPORTER_SOURCE;
    item->next = *head;
    *head = item;
    items->list[items->count++] = item;
    return item;
}
