/*
 * Parts of requests' time, for mesh_service_self_seconds and mesh_edge_network_seconds. Series like any
 * other, so that they pay, expire and travel as all do. On the loop of the directory's owner.
 */
#include "aggregate/directory_internal.h"

static struct series_key time_key(enum time_of_request which, const struct request *request)
{
    struct series_key key = {
        .destination = request->destination,
        .destination_namespace = request->destination_namespace,
        .mesh = request->mesh,
        .family = FAMILY_TIMES,
        .reporter = (uint8_t)which,
    };

    if (which == TIME_OF_NETWORK) {
        key.source = request->source;
        key.source_namespace = request->source_namespace;
    }
    return key;
}

void directory_record_time(
    struct directory *directory, enum time_of_request which, const struct request *request)
{
    struct series_key key = time_key(which, request);
    uint32_t id = directory_obtain_series(directory, &key, request->sender);
    struct duration_slot *slot = directory_value_slot(directory, id, &directory->active->durations);

    if (slot == NULL || histogram_record(&slot->histogram, directory->slab, directory->settings.bounds,
                            request->duration_ns, 1) < 0) {
        directory->is_full = directory->is_full || slot != NULL;
        metric_add(directory->settings.cells, METRIC_TRACE_TIMES_LOST, 1);
        return;
    }
    if (lattice_is_above_top(request->duration_ns)) {
        metric_add(directory->settings.cells, METRIC_LATENCY_CLAMPED, 1);
    }
    if (request->stored) {
        directory_note_exemplar(directory, slot, request);
    }
}
