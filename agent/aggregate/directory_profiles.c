/*
 * The record path of naming profiles: a request once more in each measure of the profiles that are enabled.
 * The shard's loop, within directory_record. A measure has no overflow: what finds no series or no memory is
 * counted as lost by the profile, and counted as ever in the families that are ours.
 */
#include "aggregate/directory_internal.h"

/* A byte as the nanoseconds of a millisecond; what no histogram could tell apart is cut. */
#define BYTE_NS 1000000ull
#define BYTES_MAX (UINT64_MAX / BYTE_NS)

void directory_init_measures(struct directory *directory)
{
    for (int measure = MEASURE_NONE + 1; measure < MEASURE_COUNT; measure++) {
        if ((directory->settings.profiles.profiles >> measure_rows[measure].profile & 1) != 0) {
            directory->measures[directory->measure_count++] = (uint8_t)measure;
        }
    }
}

static void count_lost(struct directory *directory)
{
    metric_add(directory->settings.cells, METRIC_PROFILE_RECORDS_LOST, 1);
}

static uint64_t bytes_as_ns(uint64_t bytes)
{
    return (bytes < BYTES_MAX ? bytes : BYTES_MAX) * BYTE_NS;
}

static void record_count(struct directory *directory, uint32_t id, uint64_t weight, uint64_t unit)
{
    struct requests_slot *slot = directory_value_slot(directory, id, &directory->active->requests);

    if (slot == NULL) {
        count_lost(directory);
        return;
    }
    slot->count += directory_whole_weight(&series_at(directory, id)->fraction, weight) * unit;
}

/* The slot that has it now; NULL when it is lost. */
static struct duration_slot *record_value(
    struct directory *directory, uint32_t id, uint64_t weight, uint64_t value_ns)
{
    struct duration_slot *slot = directory_value_slot(directory, id, &directory->active->durations);

    if (slot == NULL) {
        count_lost(directory);
        return NULL;
    }
    uint64_t count = directory_whole_weight(&series_at(directory, id)->fraction, weight);

    if (histogram_record(&slot->histogram, directory->slab, directory->settings.bounds, value_ns, count) <
        0) {
        directory->is_full = true;
        count_lost(directory);
        return NULL;
    }
    return slot;
}

/* Only durations have exemplars: theirs are durations. */
static void record_histogram(struct directory *directory, uint32_t id, const struct request *request,
    uint64_t weight, uint64_t value_ns)
{
    struct duration_slot *slot = record_value(directory, id, weight, value_ns);

    if (slot != NULL && request->stored && value_ns == request->duration_ns) {
        directory_note_exemplar(directory, slot, request);
    }
}

static void record_measure(struct directory *directory, enum profile_measure measure,
    const struct request *request, const struct series_key *key, uint64_t weight)
{
    uint32_t id = directory_obtain_series(directory, key, request->sender);

    switch ((enum measure_value)measure_rows[measure].value) {
    case MEASURES_REQUESTS:
        record_count(directory, id, weight, 1);
        break;
    case MEASURES_RECORD_BYTES:
        record_count(directory, id, weight, request->record_bytes);
        break;
    case MEASURES_DURATION:
        record_histogram(directory, id, request, weight, request->duration_ns);
        break;
    case MEASURES_FIRST_BYTE:
        record_histogram(directory, id, request, weight, request->first_byte_ns);
        break;
    case MEASURES_REQUEST_BYTES:
        record_histogram(directory, id, request, weight, bytes_as_ns(request->request_bytes));
        break;
    case MEASURES_RESPONSE_BYTES:
        record_histogram(directory, id, request, weight, bytes_as_ns(request->response_bytes));
        break;
    case MEASURES_CONNECTION:
    case MEASURES_CONNECTION_DURATION:
        break;
    }
}

void directory_record_measures(struct directory *directory, const struct request *request, uint64_t weight)
{
    for (uint32_t i = 0; i < directory->measure_count; i++) {
        enum profile_measure measure = (enum profile_measure)directory->measures[i];
        struct series_key key;

        if (measure_key(&directory->settings.profiles, measure, request, &key)) {
            record_measure(directory, measure, request, &key, weight);
        }
    }
}

static void record_connection(struct directory *directory, uint32_t id, const struct connection *connection)
{
    struct tcp_slot *slot = directory_value_slot(directory, id, &directory->active->tcp);

    if (slot == NULL) {
        count_lost(directory);
        return;
    }
    slot->connections++;
    slot->sent_bytes += connection->sent_bytes;
    slot->received_bytes += connection->received_bytes;
}

void directory_record_connection_measures(struct directory *directory, const struct connection *connection)
{
    for (uint32_t i = 0; i < directory->measure_count; i++) {
        enum profile_measure measure = (enum profile_measure)directory->measures[i];
        enum measure_value value = (enum measure_value)measure_rows[measure].value;
        struct series_key key;

        if ((value != MEASURES_CONNECTION && value != MEASURES_CONNECTION_DURATION) ||
            !measure_connection_key(measure, connection, &key)) {
            continue;
        }
        uint32_t id = directory_obtain_series(directory, &key, connection->sender);

        if (value == MEASURES_CONNECTION) {
            record_connection(directory, id, connection);
        } else {
            record_value(directory, id, WEIGHT_ONE, connection->duration_ns);
        }
    }
}
