/* The table of self-metrics and the registry of their owners. */
#include "core/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct metric_row metric_rows[METRIC_COUNT] = {
#define WEFT_METRIC_ROW(                                                                                     \
    id, family_name, metric_type, metric_scope, label_text, unit_text, stability_text, help_text)            \
    [METRIC_##id] = {.family = (family_name),                                                                \
        .type = METRIC_TYPE_##metric_type,                                                                   \
        .scope = METRIC_SCOPE_##metric_scope,                                                                \
        .labels = (label_text),                                                                              \
        .unit = (unit_text),                                                                                 \
        .stability = (stability_text),                                                                       \
        .help = (help_text)},
    WEFT_METRICS(WEFT_METRIC_ROW)
#undef WEFT_METRIC_ROW
};

struct metric_cells *metric_registry_add(
    struct metric_registry *registry, enum metric_scope scope, const char *label_value)
{
    if (registry->owner_count == METRIC_OWNER_COUNT_MAX) {
        return NULL;
    }
    struct metric_cells *cells = aligned_alloc(_Alignof(struct metric_cells), sizeof *cells);
    if (cells == NULL) {
        return NULL;
    }
    memset(cells, 0, sizeof *cells);
    struct metric_owner *owner = &registry->owners[registry->owner_count++];
    *owner = (struct metric_owner){.cells = cells, .scope = scope};
    (void)snprintf(owner->label_value, sizeof owner->label_value, "%s", label_value);
    return cells;
}

void metric_registry_deinit(struct metric_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    for (size_t i = 0; i < registry->owner_count; i++) {
        free(registry->owners[i].cells);
    }
    registry->owner_count = 0;
}

uint64_t metric_registry_sum(const struct metric_registry *registry, enum metric_id id)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < registry->owner_count; i++) {
        sum += metric_get(registry->owners[i].cells, id);
    }
    return sum;
}
