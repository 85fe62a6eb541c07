/*
 * Adding a shard's interval to the process's values, in the order that delta.h names: strings, new series,
 * values, dropped series, verdict. The aggregator's thread.
 */
#include "aggregate/aggregator.h"

#include "aggregate/aggregator_internal.h"
#include "aggregate/profile_measures.h"

enum { STRING_INDEX_MASK = (1 << 24) - 1 };

uint32_t aggregator_string(const struct aggregator *aggregator, uint32_t shard, uint32_t id)
{
    uint32_t index = id & STRING_INDEX_MASK;

    if (id < INTERNED_FIXED_COUNT) {
        return id;
    }
    if (index >= aggregator->strings_count_max || aggregator->shards[shard].strings[index].id != id) {
        return INTERNED_FULL;
    }
    return aggregator->shards[shard].strings[index].global;
}

static void apply_string(
    struct aggregator *aggregator, struct shard_state *shard, const struct string_change *change)
{
    uint32_t index = change->id & STRING_INDEX_MASK;

    if (index >= aggregator->strings_count_max || change->id < INTERNED_FIXED_COUNT) {
        return;
    }
    struct string_mapping *mapping = &shard->strings[index];

    if (!change->added) {
        if (mapping->id == change->id) {
            interner_unref(aggregator->interner, mapping->global);
            *mapping = (struct string_mapping){.id = 0};
        }
        return;
    }
    if (change->text.length == 0) {
        return; /* freed again since */
    }
    uint32_t global = interner_intern(aggregator->interner, change->text);

    interner_ref(aggregator->interner, global);
    *mapping = (struct string_mapping){.id = change->id, .global = global};
}

static bool map_key(const struct aggregator *aggregator, uint32_t shard, struct series_key *key)
{
    key->source = aggregator_string(aggregator, shard, key->source);
    key->source_namespace = aggregator_string(aggregator, shard, key->source_namespace);
    key->destination = aggregator_string(aggregator, shard, key->destination);
    key->destination_namespace = aggregator_string(aggregator, shard, key->destination_namespace);
    key->route = aggregator_string(aggregator, shard, key->route);
    return key->source != INTERNED_FULL && key->source_namespace != INTERNED_FULL &&
           key->destination != INTERNED_FULL && key->destination_namespace != INTERNED_FULL &&
           key->route != INTERNED_FULL;
}

static struct series *find_series(
    const struct family_table *family, const struct series_key *key, uint32_t hash)
{
    uint32_t at = hash_index_first(&family->index, hash);

    for (uint32_t number; hash_index_next(&family->index, hash, &at, &number);) {
        struct series *series = table_at(&family->series, number);

        if (series_key_equal(&series->key, key)) {
            return series;
        }
    }
    return NULL;
}

static struct edge_key edge_key_of(const struct series_key *key)
{
    return (struct edge_key){
        .source = key->source,
        .source_namespace = key->source_namespace,
        .destination = key->destination,
        .destination_namespace = key->destination_namespace,
        .route = key->route,
        .reporter = key->reporter,
        .mesh = key->mesh,
    };
}

/* Windows are a convenience of queries: a series lives without them when memory is short. */
static void obtain_windows(struct aggregator *aggregator, struct series *series)
{
    struct edge_key pair = series->edge->key;
    struct edge_key route = series->edge->key;

    pair.route = INTERNED_NONE;
    route.source = INTERNED_NONE;
    route.source_namespace = INTERNED_NONE;
    series->duration.windows[0] = windows_obtain(&aggregator->windows, &pair);
    if (route.route != INTERNED_NONE) {
        series->duration.windows[1] = windows_obtain(&aggregator->windows, &route);
    }
}

/* The ids of a profile's key are no edge: they are held one by one. */
static void ref_strings(struct aggregator *aggregator, const struct series_key *key)
{
    interner_ref(aggregator->interner, key->source);
    interner_ref(aggregator->interner, key->source_namespace);
    interner_ref(aggregator->interner, key->destination);
    interner_ref(aggregator->interner, key->destination_namespace);
    interner_ref(aggregator->interner, key->route);
}

static struct series *add_series(
    struct aggregator *aggregator, const struct delta *delta, const struct series_key *key, uint32_t hash)
{
    struct budget *budget = aggregator->settings.budget;
    struct family_table *family = &aggregator->families[key->family];
    struct edge_key edge_key = edge_key_of(key);
    bool has_edge = !is_profile_family(key->family);
    struct series *series = memory_calloc(budget, sizeof(*series));
    struct edge *edge = series != NULL && has_edge ? edges_obtain(&aggregator->edges, &edge_key) : NULL;

    if (series == NULL || (edge == NULL && has_edge)) {
        memory_free(budget, series, sizeof(*series));
        return NULL;
    }
    uint32_t number = table_add(&family->series, series);

    if (number != SLOT_NONE && hash_index_add(&family->index, hash, number) < 0) {
        table_remove(&family->series, number);
        number = SLOT_NONE;
    }
    if (number == SLOT_NONE) {
        edges_release(&aggregator->edges, edge);
        memory_free(budget, series, sizeof(*series));
        return NULL;
    }
    series->base = (struct series_base){
        .created_unix_ns = aggregator_created(aggregator, delta),
        .hash = hash,
        .number = number,
        .touched_s = aggregator->now_s,
        .family = key->family,
        .bounds_rule = key->family == FAMILY_DURATION ? shown_bounds_rule(aggregator, key) : BOUNDS_RULE_NONE,
    };
    series->key = *key;
    series->edge = edge;
    if (!has_edge) {
        ref_strings(aggregator, key);
    }
    if (key->family == FAMILY_DURATION || key->family == FAMILY_TIMES) {
        obtain_windows(aggregator, series);
    }
    return series;
}

/* A duration series is paid for outcome by outcome, as each is touched; the zeros of the others cost nothing.
 */
static bool add_outcome(
    struct aggregator *aggregator, struct series *series, uint8_t outcome, uint32_t creator)
{
    if (series->duration.values[outcome] != NULL) {
        return true;
    }
    struct duration_value *value = memory_calloc(aggregator->settings.budget, sizeof(*value));

    if (value == NULL) {
        return false;
    }
    if (!aggregator_pay(aggregator, creator)) {
        memory_free(aggregator->settings.budget, value, sizeof(*value));
        return false;
    }
    value->creator = creator;
    series->duration.values[outcome] = value;
    return true;
}

static void discard_empty(struct aggregator *aggregator, struct series *series)
{
    if (series->base.mapping_count > 0) {
        return;
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (series->duration.values[i] != NULL) {
            return;
        }
    }
    aggregator_free_series(aggregator, &series->base);
}

static struct series *obtain_duration(struct aggregator *aggregator, const struct delta *delta,
    struct series_key *key, uint8_t outcome, uint32_t creator)
{
    uint32_t hash = series_key_hash(key);
    struct series *series = find_series(&aggregator->families[key->family], key, hash);

    if (series == NULL) {
        series = add_series(aggregator, delta, key, hash);
    }
    if (series != NULL && !add_outcome(aggregator, series, outcome, creator)) {
        discard_empty(aggregator, series);
        return NULL;
    }
    return series;
}

static struct series *obtain_series(
    struct aggregator *aggregator, const struct delta *delta, struct series_key *key, uint32_t creator)
{
    uint32_t hash = series_key_hash(key);
    struct series *series = find_series(&aggregator->families[key->family], key, hash);

    if (series != NULL || !aggregator_pay(aggregator, creator)) {
        return series;
    }
    series = add_series(aggregator, delta, key, hash);
    if (series == NULL) {
        aggregator_refund(aggregator, creator);
        metric_add(aggregator->settings.cells, METRIC_SERIES_REFUSED, 1);
        return NULL;
    }
    series->base.creator = creator;
    return series;
}

static struct series_base *obtain_keyed(struct aggregator *aggregator, const struct delta *delta,
    const struct shard_series *from, uint32_t creator)
{
    struct series_key key = from->key;
    struct series *series = NULL;

    if (!map_key(aggregator, delta->shard, &key)) {
        metric_add(aggregator->settings.cells, METRIC_SERIES_REFUSED, 1);
        return NULL;
    }
    if (key.family == FAMILY_DURATION) {
        key.outcome = 0;
        series = obtain_duration(aggregator, delta, &key, from->key.outcome, creator);
    } else if (key.family == FAMILY_PROFILE_HISTOGRAMS || key.family == FAMILY_TIMES) {
        series = obtain_duration(aggregator, delta, &key, 0, creator);
    } else {
        series = obtain_series(aggregator, delta, &key, creator);
    }
    return series != NULL ? &series->base : NULL;
}

static void apply_created(
    struct aggregator *aggregator, struct delta *delta, const struct created_slot *created)
{
    struct shard_state *shard = &aggregator->shards[delta->shard];
    const struct shard_series *from = created->series;
    struct mapping *mapping = &shard->mappings[created->id];
    struct series_base *series = NULL;
    bool conflict = false;

    if (created->id >= shard->mapping_end) {
        shard->mapping_end = created->id + 1;
    }
    *mapping = (struct mapping){.state = MAPPING_REFUSED, .family = from->point.family};
    if (from->point.family == FAMILY_POINTS) {
        struct point_series *point = points_obtain(aggregator, delta, from, &conflict);

        series = point != NULL ? &point->base : NULL;
        mapping->code = conflict;
    } else {
        uint32_t creator = aggregator_string(aggregator, delta->shard, from->sender);

        mapping->code = (uint16_t)overflow_code(from->key.response_code);
        mapping->reporter = from->key.reporter;
        mapping->outcome = is_profile_family(from->key.family) ? 0 : from->key.outcome;
        mapping->flag = is_profile_family(from->key.family) ? from->key.measure : from->key.flag;
        series = obtain_keyed(
            aggregator, delta, from, creator == INTERNED_FULL ? (uint32_t)INTERNED_UNKNOWN : creator);
    }
    if (series != NULL) {
        mapping->series = series;
        mapping->state = MAPPING_LIVE;
        series->mapping_count++;
        series->touched_s = aggregator->now_s;
    } else {
        mapping->told = id_list_push(&shard->refused, aggregator->settings.budget, created->id);
    }
}

/* The mapping of a slot's series, its series touched. */
static const struct mapping *touch(struct aggregator *aggregator, const struct delta *delta, uint32_t id)
{
    const struct mapping *mapping = &aggregator->shards[delta->shard].mappings[id];

    if (mapping->state != MAPPING_REFUSED) {
        mapping->series->touched_s = aggregator->now_s;
    }
    return mapping;
}

/* Where bytes are counted the record is lost to a measure that counts records as well. */
static void count_lost(
    struct aggregator *aggregator, const struct mapping *mapping, const struct requests_slot *slot)
{
    if (mapping->family != FAMILY_WORKLOADS && measure_rows[mapping->flag].value != MEASURES_RECORD_BYTES) {
        metric_add(aggregator->settings.cells, METRIC_PROFILE_RECORDS_LOST, slot->count);
    }
}

/* Series of profiles have no edge. */
static void count_requests(const struct aggregator *aggregator, struct series *series, uint64_t count)
{
    series->count += count;
    if (series->edge != NULL && series->key.family == FAMILY_REQUESTS) {
        edge_recent_add(&series->edge->recent, (enum outcome)series->key.outcome, count, aggregator->now_s);
    }
}

static void merge_requests(struct aggregator *aggregator, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->requests.count; i++) {
        const struct requests_slot *slot = slot_array_at(&delta->requests, i);
        const struct mapping *mapping = touch(aggregator, delta, slot->id);

        if (mapping->state == MAPPING_REFUSED && is_profile_family(mapping->family)) {
            count_lost(aggregator, mapping, slot);
        } else if (mapping->state == MAPPING_REFUSED) {
            uint32_t set = overflow_set(mapping->reporter, mapping->outcome);

            aggregator->overflow->set |= 1u << set;
            aggregator->overflow->requests[set][mapping->code] += slot->count;
        } else {
            count_requests(aggregator, (struct series *)mapping->series, slot->count);
        }
    }
}

/* The slab of overflow has a page for every cell that there can be, so this cannot fail. */
static void merge_overflow_duration(
    struct aggregator *aggregator, uint32_t set, const struct histogram *from, const struct page_slab *slab)
{
    aggregator->overflow->set |= 1u << set;
    (void)histogram_merge(&aggregator->overflow->durations[set], aggregator->overflow_slab, from, slab);
}

/* A profile has no overflow; what is lost to it is counted, record by record. */
static void merge_profile_histogram(struct aggregator *aggregator, const struct delta *delta,
    const struct mapping *mapping, const struct duration_slot *slot)
{
    struct series *series = mapping->state == MAPPING_REFUSED ? NULL : (struct series *)mapping->series;
    struct duration_value *value = series != NULL ? series->duration.values[0] : NULL;

    if (value == NULL ||
        histogram_merge(&value->histogram, aggregator->slab, &slot->histogram, delta->slab) < 0) {
        metric_add(aggregator->settings.cells, METRIC_PROFILE_RECORDS_LOST, slot->histogram.count);
        return;
    }
    exemplars_merge(aggregator, delta, slot, series, value);
}

/* Like a profile's, and in a window as well. */
static void merge_time(struct aggregator *aggregator, const struct delta *delta,
    const struct mapping *mapping, const struct duration_slot *slot)
{
    struct series *series = mapping->state == MAPPING_REFUSED ? NULL : (struct series *)mapping->series;
    struct duration_value *value = series != NULL ? series->duration.values[0] : NULL;

    if (value == NULL ||
        histogram_merge(&value->histogram, aggregator->slab, &slot->histogram, delta->slab) < 0) {
        metric_add(aggregator->settings.cells, METRIC_TRACE_TIMES_LOST, slot->histogram.count);
        return;
    }
    exemplars_merge(aggregator, delta, slot, series, value);
    if (series->duration.windows[0] != NULL) {
        windows_add(
            &aggregator->windows, series->duration.windows[0], OUTCOME_OK, &slot->histogram, delta->slab);
    }
}

static void merge_duration(struct aggregator *aggregator, struct delta *delta, struct duration_slot *slot)
{
    const struct mapping *mapping = touch(aggregator, delta, slot->id);
    uint32_t set = overflow_set(mapping->reporter, mapping->outcome);

    if (is_profile_family(mapping->family)) {
        merge_profile_histogram(aggregator, delta, mapping, slot);
        return;
    }
    if (mapping->family == FAMILY_TIMES) {
        merge_time(aggregator, delta, mapping, slot);
        return;
    }
    if (mapping->state == MAPPING_REFUSED) {
        merge_overflow_duration(aggregator, set, &slot->histogram, delta->slab);
        return;
    }
    struct series *series = (struct series *)mapping->series;
    struct duration_value *value = series->duration.values[mapping->outcome];

    if (histogram_merge(&value->histogram, aggregator->slab, &slot->histogram, delta->slab) < 0) {
        merge_overflow_duration(aggregator, set, &slot->histogram, delta->slab);
    }
    exemplars_merge(aggregator, delta, slot, series, value);
    for (int i = 0; i < 2; i++) {
        if (series->duration.windows[i] != NULL) {
            windows_add(&aggregator->windows, series->duration.windows[i], (enum outcome)mapping->outcome,
                &slot->histogram, delta->slab);
        }
    }
}

static void merge_durations(struct aggregator *aggregator, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->durations.count; i++) {
        struct duration_slot *slot = slot_array_at(&delta->durations, i);

        merge_duration(aggregator, delta, slot);
        histogram_drain(&slot->histogram, delta->slab, &delta->pages);
    }
}

static void add_traffic_overflow(struct traffic_slot *to, const struct traffic_slot *from)
{
    to->attempts_known |= from->attempts_known;
    to->bytes_known |= from->bytes_known;
    to->attempts += from->attempts;
    to->request_bytes += from->request_bytes;
    to->response_bytes += from->response_bytes;
}

static void merge_traffic(struct aggregator *aggregator, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->traffic.count; i++) {
        const struct traffic_slot *slot = slot_array_at(&delta->traffic, i);
        const struct mapping *mapping = touch(aggregator, delta, slot->id);

        if (mapping->state == MAPPING_REFUSED) {
            aggregator->overflow->traffic_set |= 1u << mapping->reporter;
            add_traffic_overflow(&aggregator->overflow->traffic[mapping->reporter], slot);
            continue;
        }
        struct series *series = (struct series *)mapping->series;

        series->traffic.attempts_known |= slot->attempts_known;
        series->traffic.bytes_known |= slot->bytes_known;
        series->traffic.attempts += slot->attempts;
        series->traffic.request_bytes += slot->request_bytes;
        series->traffic.response_bytes += slot->response_bytes;
    }
}

static void merge_flags(struct aggregator *aggregator, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->flags.count; i++) {
        const struct flags_slot *slot = slot_array_at(&delta->flags, i);
        const struct mapping *mapping = touch(aggregator, delta, slot->id);

        if (mapping->state == MAPPING_REFUSED) {
            aggregator->overflow->flag_set |= 1u << mapping->reporter;
            aggregator->overflow->flags[mapping->reporter][mapping->flag] += slot->count;
        } else {
            ((struct series *)mapping->series)->count += slot->count;
        }
    }
}

static void add_tcp_overflow(struct tcp_slot *to, const struct tcp_slot *from)
{
    to->connections += from->connections;
    to->sent_bytes += from->sent_bytes;
    to->received_bytes += from->received_bytes;
}

static void merge_tcp(struct aggregator *aggregator, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->tcp.count; i++) {
        const struct tcp_slot *slot = slot_array_at(&delta->tcp, i);
        const struct mapping *mapping = touch(aggregator, delta, slot->id);

        if (mapping->state == MAPPING_REFUSED && is_profile_family(mapping->family)) {
            metric_add(aggregator->settings.cells, METRIC_PROFILE_RECORDS_LOST, slot->connections);
            continue;
        }
        if (mapping->state == MAPPING_REFUSED) {
            aggregator->overflow->tcp_set |= 1u << mapping->reporter;
            add_tcp_overflow(&aggregator->overflow->tcp[mapping->reporter], slot);
            continue;
        }
        struct series *series = (struct series *)mapping->series;

        series->tcp.connections += slot->connections;
        series->tcp.sent_bytes += slot->sent_bytes;
        series->tcp.received_bytes += slot->received_bytes;
    }
}

/* Points that arrived before their refusal did are dropped here; WITHDRAWN keeps "recorded less aggregated"
 * true. */
static void withdraw(
    struct aggregator *aggregator, struct delta *delta, const struct mapping *mapping, uint32_t count)
{
    struct metric_cells *cells = aggregator->settings.cells;

    delta->point_count -= count;
    LEDGER_ADD(cells, METRIC_POINTS_WITHDRAWN, count);
    if (mapping->code != 0) {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_CONFLICT, count);
    } else {
        LEDGER_ADD(cells, METRIC_POINTS_DROPPED_SERIES, count);
    }
}

static void merge_points(struct aggregator *aggregator, struct delta *delta)
{
    for (uint32_t i = 0; i < delta->scalars.count; i++) {
        const struct scalar_slot *slot = slot_array_at(&delta->scalars, i);
        const struct mapping *mapping = touch(aggregator, delta, slot->id);

        if (mapping->state == MAPPING_REFUSED) {
            withdraw(aggregator, delta, mapping, slot->point_count);
        } else {
            scraped_edges_merge_scalar(aggregator, (struct point_series *)mapping->series, slot);
        }
    }
    for (uint32_t i = 0; i < delta->distributions.count; i++) {
        const struct distribution_slot *slot = slot_array_at(&delta->distributions, i);
        const struct mapping *mapping = touch(aggregator, delta, slot->id);

        if (mapping->state == MAPPING_REFUSED) {
            withdraw(aggregator, delta, mapping, slot->point_count);
        } else {
            scraped_edges_merge_distribution(aggregator, (struct point_series *)mapping->series, slot);
        }
    }
}

static void merge_overflow(struct aggregator *aggregator, struct delta *delta)
{
    struct overflow_values *to = aggregator->overflow;
    struct overflow_values *from = delta->overflow;

    for (uint32_t set = 0; set < OVERFLOW_SET_COUNT; set++) {
        if ((from->set >> set & 1) == 0) {
            continue;
        }
        for (uint32_t code = 0; code < OVERFLOW_CODE_COUNT; code++) {
            to->requests[set][code] += from->requests[set][code];
        }
        merge_overflow_duration(aggregator, set, &from->durations[set], delta->overflow_slab);
        histogram_drain(&from->durations[set], delta->overflow_slab, &delta->overflow_pages);
    }
    for (uint32_t reporter = 0; reporter < REPORTER_COUNT; reporter++) {
        add_traffic_overflow(&to->traffic[reporter], &from->traffic[reporter]);
        add_tcp_overflow(&to->tcp[reporter], &from->tcp[reporter]);
        for (uint32_t flag = 0; (from->flag_set >> reporter & 1) != 0 && flag < FLAG_COUNT; flag++) {
            to->flags[reporter][flag] += from->flags[reporter][flag];
        }
    }
    to->traffic_set |= from->traffic_set;
    to->flag_set |= from->flag_set;
    to->tcp_set |= from->tcp_set;
}

static void apply_dropped(struct aggregator *aggregator, const struct delta *delta)
{
    struct shard_state *shard = &aggregator->shards[delta->shard];

    for (uint32_t i = 0; i < delta->dropped.count; i++) {
        struct mapping *mapping = &shard->mappings[delta->dropped.ids[i]];
        struct series_base *series = mapping->series;

        if (mapping->state != MAPPING_REFUSED && --series->mapping_count == 0) {
            aggregator_free_series(aggregator, series);
            metric_add(aggregator->settings.cells, METRIC_SERIES_EXPIRED, 1);
        }
        *mapping = (struct mapping){.state = MAPPING_NONE};
    }
    for (uint32_t i = 0; i < delta->kept.count; i++) {
        struct mapping *mapping = &shard->mappings[delta->kept.ids[i]];

        mapping->state = MAPPING_LIVE;
        mapping->series->touched_s = aggregator->now_s;
    }
}

static void swap_lists(struct id_list *a, struct id_list *b)
{
    struct id_list held = *a;

    *a = *b;
    *b = held;
}

void aggregator_merge(struct aggregator *aggregator, struct delta *delta)
{
    struct shard_state *shard = &aggregator->shards[delta->shard];
    struct metric_cells *cells = aggregator->settings.cells;

    aggregator->now_s = (uint32_t)(clock_monotonic_ns(aggregator->settings.clock) / 1000000000u);
    shard->spare_bytes = delta->spare_bytes;
    for (size_t i = 0; i < delta->string_count; i++) {
        apply_string(aggregator, shard, &delta->strings[i]);
    }
    for (uint32_t i = 0; i < delta->created.count; i++) {
        apply_created(aggregator, delta, slot_array_at(&delta->created, i));
    }
    merge_requests(aggregator, delta);
    merge_durations(aggregator, delta);
    thresholds_tell(aggregator, delta);
    merge_traffic(aggregator, delta);
    merge_flags(aggregator, delta);
    merge_tcp(aggregator, delta);
    merge_points(aggregator, delta);
    merge_overflow(aggregator, delta);
    apply_dropped(aggregator, delta);
    delta->spare_elsewhere_bytes = aggregator_spare_bytes(aggregator) - shard->spare_bytes;
    swap_lists(&delta->refused, &shard->refused);
    swap_lists(&delta->retired, &shard->retired);
    interner_changes_clear(aggregator->interner);
    interner_sweep(aggregator->interner);
    LEDGER_ADD(cells, METRIC_SPANS_AGGREGATED, delta->span_count);
    LEDGER_ADD(cells, METRIC_LOGS_AGGREGATED, delta->log_count);
    LEDGER_ADD(cells, METRIC_POINTS_AGGREGATED, delta->point_count);
    metric_set(cells, METRIC_SERIES_LIVE, aggregator->series_count);
    metric_set(cells, METRIC_STRINGS_LIVE, interner_count(aggregator->interner));
    delta->merged = true;
}
