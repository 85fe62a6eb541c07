/*
 * Workloads behind services, for mesh_service_info: series like any other, so that they pay, expire and
 * return; their value means nothing. The shard's loop.
 */
#include "aggregate/directory_internal.h"

void directory_note_workload(struct directory *directory, const struct workload_note *note)
{
    struct series_key key = {.source = note->service,
        .source_namespace = note->service_namespace,
        .destination = note->workload,
        .destination_namespace = note->version,
        .family = FAMILY_WORKLOADS,
        .mesh = note->mesh};
    uint32_t id = directory_obtain_series(directory, &key, note->sender);
    struct requests_slot *slot =
        id != SLOT_NONE ? directory_value_slot(directory, id, &directory->active->requests) : NULL;

    if (slot != NULL) {
        slot->count = 1; /* it was told of: the series stays */
    }
}
