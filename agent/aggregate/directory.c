/*
 * The record path of the directory: a request's series, and its values in the active delta. The shard's loop.
 * No lock, and no allocation but for a series' first record of all and, by the 16 KiB, for its first in an
 * interval.
 */
#include "aggregate/directory.h"

#include "aggregate/directory_internal.h"
#include "context/response_flags.h"
#include "core/error.h"

bool directory_has_room(const struct directory *directory, uint32_t sender)
{
    return directory->series_count < directory->series_count_max &&
           !memory_is_tight(directory->settings.budget,
               directory_spare_bytes(directory) + directory->spare_elsewhere_bytes) &&
           senders_series_count(&directory->senders, sender) < directory->sender_series_max;
}

bool directory_may_intern(const struct directory *directory, uint32_t sender)
{
    return directory_has_room(directory, sender);
}

uint32_t directory_series_count(const struct directory *directory)
{
    return directory->series_count;
}

/* The number of an entry that is free; it stays free until the caller takes it. */
static uint32_t reserve_id(struct directory *directory)
{
    if (directory->free_head != 0) {
        return directory->free_head - 1;
    }
    if (directory->notes.count == directory->series.count &&
        slot_array_push(&directory->notes, &directory->pool) == SLOT_NONE) {
        return SLOT_NONE;
    }
    uint32_t id = slot_array_push(&directory->series, &directory->pool);

    if (id != SLOT_NONE) {
        series_at(directory, id)->slot = directory->free_head;
        directory->free_head = id + 1;
    }
    return id;
}

uint32_t directory_add_series(struct directory *directory, const struct shard_series *made)
{
    struct delta *delta = directory->active;
    uint32_t id = reserve_id(directory);

    if (id == SLOT_NONE || senders_add(&directory->senders, made->sender) < 0) {
        return SLOT_NONE;
    }
    if (hash_index_add(&directory->index, made->hash, id) < 0) {
        senders_remove(&directory->senders, made->sender);
        return SLOT_NONE;
    }
    uint32_t created = slot_array_push(&delta->created, &directory->pool);

    if (created == SLOT_NONE) {
        hash_index_remove(&directory->index, made->hash, id);
        senders_remove(&directory->senders, made->sender);
        return SLOT_NONE;
    }
    struct shard_series *series = series_at(directory, id);

    directory->free_head = series->slot;
    *series = *made;
    series->state = SHARD_SERIES_LIVE;
    *note_at(directory, id) = (struct series_note){.p90 = 0};
    *(struct created_slot *)slot_array_at(&delta->created, created) =
        (struct created_slot){.id = id, .series = series};
    directory->series_count++;
    return id;
}

static uint32_t find_series(const struct directory *directory, const struct series_key *key, uint32_t hash)
{
    uint32_t at = hash_index_first(&directory->index, hash);

    for (uint32_t id; hash_index_next(&directory->index, hash, &at, &id);) {
        if (series_key_equal(&series_at(directory, id)->key, key)) {
            return id;
        }
    }
    return SLOT_NONE;
}

static void ref_strings(struct directory *directory, const struct series_key *key)
{
    struct interner *interner = directory->settings.interner;

    interner_ref(interner, key->source);
    interner_ref(interner, key->source_namespace);
    interner_ref(interner, key->destination);
    interner_ref(interner, key->destination_namespace);
    interner_ref(interner, key->route);
}

static bool is_nameless(const struct series_key *key)
{
    return key->source == INTERNED_FULL || key->source_namespace == INTERNED_FULL ||
           key->destination == INTERNED_FULL || key->destination_namespace == INTERNED_FULL ||
           key->route == INTERNED_FULL || key->source == INTERNED_OVERFLOW ||
           key->source_namespace == INTERNED_OVERFLOW || key->destination == INTERNED_OVERFLOW ||
           key->destination_namespace == INTERNED_OVERFLOW || key->route == INTERNED_OVERFLOW;
}

uint32_t directory_obtain_series(struct directory *directory, const struct series_key *key, uint32_t sender)
{
    uint32_t hash = series_key_hash(key);
    uint32_t id = find_series(directory, key, hash);

    if (id != SLOT_NONE || is_nameless(key)) {
        return id;
    }
    if (directory_has_room(directory, sender)) {
        struct shard_series made = {.key = *key, .hash = hash, .sender = sender, .duration = 0, .traffic = 0};

        id = directory_add_series(directory, &made);
        if (id != SLOT_NONE) {
            ref_strings(directory, key);
            return id;
        }
    }
    metric_add(directory->settings.cells, METRIC_SERIES_REFUSED, 1);
    return SLOT_NONE;
}

/* What the configuration does not tell apart is as if it had not been told. */
static void drop_labels(struct series_key *key, uint32_t dropped)
{
    if (label_is_dropped(dropped, DROPPABLE_METHOD)) {
        key->method = 0;
    }
    if (label_is_dropped(dropped, DROPPABLE_PROTOCOL)) {
        key->protocol = 0;
    }
    if (label_is_dropped(dropped, DROPPABLE_RESPONSE_CODE)) {
        key->response_code = 0;
    }
    if (label_is_dropped(dropped, DROPPABLE_GRPC_STATUS)) {
        key->grpc_status = GRPC_STATUS_NONE;
    }
}

static struct series_key request_key(const struct directory *directory, const struct request *request)
{
    struct series_key key = {
        .source = request->source,
        .source_namespace = request->source_namespace,
        .destination = request->destination,
        .destination_namespace = request->destination_namespace,
        .route = request->route,
        .response_code = request->response_code,
        .grpc_status = request->grpc_status,
        .mesh = request->mesh,
        .family = FAMILY_REQUESTS,
        .reporter = request->reporter,
        .method = request->method,
        .protocol = request->protocol,
        .outcome = request->outcome,
    };

    if (directory->settings.dropped_labels != 0) {
        drop_labels(&key, directory->settings.dropped_labels);
    }
    return key;
}

static struct series_key duration_key(const struct series_key *requests)
{
    struct series_key key = *requests;

    key.family = FAMILY_DURATION;
    key.method = 0;
    key.response_code = 0;
    key.grpc_status = 0;
    return key;
}

static struct series_key traffic_key(const struct series_key *requests)
{
    struct series_key key = duration_key(requests);

    key.family = FAMILY_TRAFFIC;
    key.protocol = 0;
    key.outcome = 0;
    return key;
}

static struct series_key flags_key(const struct series_key *requests, unsigned flag)
{
    struct series_key key = traffic_key(requests);

    key.family = FAMILY_FLAGS;
    key.route = 0;
    key.flag = (uint8_t)flag;
    return key;
}

/* Whether the series takes values; a refused one notes that it was used. */
static bool takes_values(const struct directory *directory, uint32_t id)
{
    if (id == SLOT_NONE) {
        return false;
    }
    struct shard_series *series = series_at(directory, id);

    if (series->state == SHARD_SERIES_REFUSED) {
        series->fraction = directory->now_s;
        return false;
    }
    return true;
}

/* The series' slot in the active delta, taken when this is its first record in the interval; NULL without
 * memory. */
static void *touch(struct directory *directory, uint32_t id, struct slot_array *slots)
{
    struct shard_series *series = series_at(directory, id);

    if (series->epoch != directory->active->epoch) {
        uint32_t slot = slot_array_push(slots, &directory->pool);

        if (slot == SLOT_NONE) {
            return NULL;
        }
        series->epoch = directory->active->epoch;
        series->slot = slot;
        *(uint32_t *)slot_array_at(slots, slot) = id; /* every slot begins with its series' id */
    }
    return slot_array_at(slots, series->slot);
}

uint64_t directory_whole_weight(uint32_t *fraction, uint64_t weight)
{
    uint64_t sum = weight + *fraction;

    *fraction = (uint32_t)sum;
    return sum >> WEIGHT_FRACTION_BITS;
}

static uint64_t cap_weight(struct directory *directory, uint64_t weight)
{
    if (weight < WEIGHT_ONE) {
        return WEIGHT_ONE;
    }
    if (weight > directory->weight_max) {
        metric_add(directory->settings.cells, METRIC_WEIGHT_CAPPED, 1);
        return directory->weight_max;
    }
    return weight;
}

static void add_traffic(struct traffic_slot *slot, const struct request *request, uint64_t count)
{
    if (request->attempts > 0) {
        slot->attempts_known = true;
        slot->attempts += request->attempts * count;
    }
    if (request->has_bytes) {
        slot->bytes_known = true;
        slot->request_bytes += request->request_bytes * count;
        slot->response_bytes += request->response_bytes * count;
    }
}

void *directory_value_slot(struct directory *directory, uint32_t id, struct slot_array *values)
{
    if (!takes_values(directory, id)) {
        return NULL;
    }
    void *slot = touch(directory, id, values);
    directory->is_full = directory->is_full || slot == NULL;
    return slot;
}

static bool has_traffic(const struct request *request)
{
    return request->attempts > 0 || request->has_bytes;
}

/* slot: NULL for overflow. */
static void record_traffic(
    struct directory *directory, struct traffic_slot *slot, const struct request *request, uint64_t count)
{
    if (slot == NULL) {
        slot = &directory->active->overflow->traffic[request->reporter];
        directory->active->overflow->traffic_set |= 1u << request->reporter;
    }
    add_traffic(slot, request, count);
}

static void record_flags(struct directory *directory, const struct series_key *requests,
    const struct request *request, uint64_t count)
{
    for (uint64_t left = request->response_flags & RESPONSE_FLAGS_ALL; left != 0; left &= left - 1) {
        unsigned flag = (unsigned)__builtin_ctzll(left);
        struct series_key key = flags_key(requests, flag);
        uint32_t id = directory_obtain_series(directory, &key, request->sender);
        struct flags_slot *slot =
            takes_values(directory, id) ? touch(directory, id, &directory->active->flags) : NULL;

        if (slot != NULL) {
            slot->count += count;
        } else {
            directory->active->overflow->flags[request->reporter][flag] += count;
            directory->active->overflow->flag_set |= 1u << request->reporter;
        }
    }
}

static uint32_t classic_bucket(const struct split_bounds *bounds, uint64_t duration_ns)
{
    uint32_t low = 0;
    uint32_t high = bounds->bound_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (duration_ns <= bounds->bounds_ns[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void directory_note_exemplar(
    struct directory *directory, struct duration_slot *slot, const struct request *request)
{
    uint32_t bucket = classic_bucket(directory->settings.bounds, request->duration_ns);
    uint64_t bit = 1ull << (bucket % 64);

    if ((slot->exemplar_set[bucket / 64] & bit) != 0) {
        return;
    }
    struct delta *delta = directory->active;
    uint32_t number = slot_array_push(&delta->exemplars, &directory->pool);

    if (number == SLOT_NONE) {
        return;
    }
    struct exemplar_candidate *candidate = slot_array_at(&delta->exemplars, number);

    candidate->next = slot->exemplar_head;
    candidate->bucket = bucket;
    candidate->duration_ns = request->duration_ns;
    candidate->time_unix_ns = request->start_unix_ns + request->duration_ns;
    memcpy(candidate->trace_id, request->trace_id, sizeof(candidate->trace_id));
    memcpy(candidate->span_id, request->span_id, sizeof(candidate->span_id));
    slot->exemplar_head = number + 1;
    slot->exemplar_set[bucket / 64] |= bit;
}

/* The slab of overflow was filled at start: it has a page for every cell that there can be. */
static void record_overflow_duration(
    struct directory *directory, const struct request *request, uint64_t count)
{
    struct overflow_values *overflow = directory->active->overflow;
    uint32_t set = overflow_set(request->reporter, request->outcome);

    overflow->set |= 1u << set;
    (void)histogram_record(&overflow->durations[set], directory->overflow_slab, directory->settings.bounds,
        request->duration_ns, count);
}

/* slot: NULL for overflow. */
static void record_duration(
    struct directory *directory, struct duration_slot *slot, const struct request *request, uint64_t count)
{
    if (lattice_is_above_top(request->duration_ns)) {
        metric_add(directory->settings.cells, METRIC_LATENCY_CLAMPED, 1);
    }
    if (slot == NULL || histogram_record(&slot->histogram, directory->slab, directory->settings.bounds,
                            request->duration_ns, count) < 0) {
        directory->is_full = directory->is_full || slot != NULL;
        record_overflow_duration(directory, request, count);
        return;
    }
    if (request->stored) {
        directory_note_exemplar(directory, slot, request);
    }
}

/* A requests series with its companions. The companions' references keep them as long as it lives. */
static uint32_t obtain_requests(struct directory *directory, const struct series_key *key, uint32_t sender)
{
    uint32_t hash = series_key_hash(key);
    uint32_t id = find_series(directory, key, hash);

    if (id != SLOT_NONE) {
        return id;
    }
    id = directory_obtain_series(directory, key, sender);
    if (id == SLOT_NONE) {
        return SLOT_NONE;
    }
    struct series_key durations = duration_key(key);
    struct series_key traffic = traffic_key(key);
    uint32_t companions[2] = {directory_obtain_series(directory, &durations, sender),
        directory_obtain_series(directory, &traffic, sender)};

    for (size_t i = 0; i < 2; i++) {
        if (companions[i] != SLOT_NONE) {
            series_at(directory, companions[i])->reference_count++;
        }
    }
    series_at(directory, id)->duration = companions[0];
    series_at(directory, id)->traffic = companions[1];
    return id;
}

static bool is_countable(const struct request *request)
{
    return request->reporter < REPORTER_COUNT && request->outcome < OUTCOME_COUNT;
}

/* A request whose series cannot be had may still belong to a duration or traffic series that exists. */
static void record_refused(
    struct directory *directory, const struct series_key *key, const struct request *request, uint64_t weight)
{
    uint32_t set = overflow_set(request->reporter, request->outcome);
    uint64_t count = directory_whole_weight(&directory->overflow_fractions[set], weight);
    struct overflow_values *overflow = directory->active->overflow;
    struct series_key durations = duration_key(key);
    struct series_key traffic = traffic_key(key);

    overflow->set |= 1u << set;
    overflow->requests[set][overflow_code(request->response_code)] += count;
    uint32_t id = find_series(directory, &durations, series_key_hash(&durations));
    record_duration(
        directory, directory_value_slot(directory, id, &directory->active->durations), request, count);
    if (has_traffic(request)) {
        id = find_series(directory, &traffic, series_key_hash(&traffic));
        record_traffic(
            directory, directory_value_slot(directory, id, &directory->active->traffic), request, count);
    }
    record_flags(directory, key, request, count);
    metric_add(directory->settings.cells, METRIC_SERIES_OVERFLOW_RECORDS, 1);
}

bool directory_is_full(const struct directory *directory)
{
    return directory->is_full;
}

static uint32_t recent_number(const struct series_key *key)
{
    uint64_t words[4];

    memcpy(words, key, sizeof words);
    return (uint32_t)(((words[0] ^ words[1] * 0xff51afd7ed558ccdull ^ words[2] * 0xc4ceb9fe1a85ec53ull ^
                           words[3] * 0x9fb21c651e98df25ull) *
                          0x9e3779b97f4a7c15ull) >>
                      56) %
           RECENT_COUNT;
}

/* The requests series of a key with its values in the active delta; NULL when it is refused or memory is
 * full. */
static struct recent_series *find_recent(
    struct directory *directory, const struct series_key *key, uint32_t sender)
{
    struct recent_series *recent = &directory->recent[recent_number(key)];

    if (__builtin_expect(
            recent->generation == directory->generation && series_key_equal(&recent->key, key), 1)) {
        return recent;
    }
    uint32_t id = obtain_requests(directory, key, sender);
    struct requests_slot *requests = directory_value_slot(directory, id, &directory->active->requests);
    if (requests == NULL) {
        return NULL;
    }
    struct shard_series *series = series_at(directory, id);
    *recent = (struct recent_series){.key = *key,
        .generation = directory->generation,
        .series = series,
        .requests = requests,
        .durations = directory_value_slot(directory, series->duration, &directory->active->durations),
        .note = note_at(directory, id),
        .duration_note = series->duration != SLOT_NONE ? note_at(directory, series->duration) : NULL};
    return recent;
}

static void note_recorded(struct directory *directory, uint8_t signal)
{
    if (signal == REQUEST_FROM_SPAN) {
        directory->active->span_count++;
        LEDGER_ADD(directory->settings.cells, METRIC_SPANS_RECORDED, 1);
    } else {
        directory->active->log_count++;
        LEDGER_ADD(directory->settings.cells, METRIC_LOGS_RECORDED, 1);
    }
}

/* `note`: of the duration series, or NULL. */
static struct record_note read_note(const struct series_note *note, bool is_new)
{
    if (note == NULL) {
        return (struct record_note){.is_new = is_new};
    }
    return (struct record_note){
        .p90_ns = (uint64_t)note->p90 << SERIES_NOTE_SHIFT, .slow_ms = note->slow_ms, .is_new = is_new};
}

static struct record_note note_of(const struct directory *directory, const struct recent_series *recent)
{
    bool is_new = recent->note->early_count < directory->settings.rare_count;

    if (is_new) {
        recent->note->early_count = (recent->note->early_count + 1) & UINT8_MAX;
    }
    return read_note(recent->duration_note, is_new);
}

struct record_note directory_note(const struct directory *directory, const struct request *request)
{
    struct series_key requests = request_key(directory, request);
    struct series_key key = duration_key(&requests);
    uint32_t id = find_series(directory, &key, series_key_hash(&key));

    return read_note(id != SLOT_NONE ? note_at(directory, id) : NULL, false);
}

struct record_note directory_record(struct directory *directory, const struct request *request)
{
    struct series_key key = request_key(directory, request);

    if (!is_countable(request)) {
        return (struct record_note){.p90_ns = 0};
    }
    uint64_t weight = cap_weight(directory, request->weight);
    struct recent_series *recent = find_recent(directory, &key, request->sender);

    note_recorded(directory, request->signal);
    if (directory->measure_count > 0) {
        directory_record_measures(directory, request, weight);
    }
    if (recent == NULL) {
        record_refused(directory, &key, request, weight);
        return (struct record_note){.p90_ns = 0};
    }
    uint64_t count = directory_whole_weight(&recent->series->fraction, weight);

    recent->requests->count += count;
    record_duration(directory, recent->durations, request, count);
    if (has_traffic(request)) {
        if (recent->traffic == NULL) {
            recent->traffic =
                directory_value_slot(directory, recent->series->traffic, &directory->active->traffic);
        }
        record_traffic(directory, recent->traffic, request, count);
    }
    if (request->response_flags != 0) {
        record_flags(directory, &key, request, count);
    }
    return note_of(directory, recent);
}

void directory_record_attempt(struct directory *directory, const struct attempt *attempt)
{
    struct series_key key = {
        .source = attempt->source,
        .source_namespace = attempt->source_namespace,
        .destination = attempt->destination,
        .destination_namespace = attempt->destination_namespace,
        .route = attempt->route,
        .mesh = attempt->mesh,
        .family = FAMILY_TRAFFIC,
        .reporter = attempt->reporter,
    };

    if (attempt->reporter >= REPORTER_COUNT) {
        return;
    }
    uint64_t weight = cap_weight(directory, attempt->weight);
    uint32_t id = directory_obtain_series(directory, &key, attempt->sender);
    struct traffic_slot *slot = directory_value_slot(directory, id, &directory->active->traffic);

    if (slot != NULL) {
        slot->attempts += directory_whole_weight(&series_at(directory, id)->fraction, weight);
    } else {
        slot = &directory->active->overflow->traffic[attempt->reporter];
        directory->active->overflow->traffic_set |= 1u << attempt->reporter;
        slot->attempts +=
            directory_whole_weight(&directory->overflow_attempt_fractions[attempt->reporter], weight);
    }
    slot->attempts_known = true;
}

void directory_record_connection(struct directory *directory, const struct connection *connection)
{
    struct series_key key = {
        .source = connection->source,
        .source_namespace = connection->source_namespace,
        .destination = connection->destination,
        .destination_namespace = connection->destination_namespace,
        .mesh = connection->mesh,
        .family = FAMILY_TCP,
        .reporter = connection->reporter,
    };
    const struct request flagged = {.reporter = connection->reporter,
        .response_flags = connection->response_flags,
        .sender = connection->sender};

    if (connection->reporter >= REPORTER_COUNT) {
        return;
    }
    uint32_t id = directory_obtain_series(directory, &key, connection->sender);
    struct tcp_slot *slot = directory_value_slot(directory, id, &directory->active->tcp);

    note_recorded(directory, REQUEST_FROM_LOG);
    if (slot == NULL) {
        slot = &directory->active->overflow->tcp[connection->reporter];
        directory->active->overflow->tcp_set |= 1u << connection->reporter;
        metric_add(directory->settings.cells, METRIC_SERIES_OVERFLOW_RECORDS, 1);
    }
    if (directory->measure_count > 0) {
        directory_record_connection_measures(directory, connection);
    }
    slot->connections++;
    slot->sent_bytes += connection->sent_bytes;
    slot->received_bytes += connection->received_bytes;
    if (connection->response_flags != 0) {
        record_flags(directory, &key, &flagged, 1);
    }
}
