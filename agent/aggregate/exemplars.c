/* Exemplars, offered and shown; see exemplars.h. */
#include "aggregate/exemplars.h"

#include <string.h>

#include "aggregate/aggregator_internal.h"
#include "aggregate/memory.h"
#include "core/error.h"

enum { EXEMPLAR_STEP = 4, NS_PER_S = 1000000000 };

#define NO_NUMBER UINT32_MAX

enum place_state {
    PLACE_FREE,
    PLACE_OFFERED,
    PLACE_ASKED,
    PLACE_ABANDONED, /* as asked or offered, but its series has gone */
    PLACE_SHOWN,
    PLACE_WITHDRAWN,
};

struct exemplar_place {
    struct duration_value *value; /* of those offered, asked, shown */
    uint32_t bucket;
    uint32_t destination;
    uint32_t next; /* free ones; offered; withdrawn */
    uint8_t state; /* enum place_state */
    bool is_refresh;
    uint64_t duration_ns;
    uint64_t time_unix_ns;
    uint8_t trace_id[16];
    uint8_t span_id[8];
};

/* Numbers in the order in which they came. */
struct number_queue {
    uint32_t head;
    uint32_t *tail;
};

struct exemplar_table {
    struct exemplar_place *places;
    uint32_t count;
    uint32_t free_head;
    uint32_t asked_count; /* offered ones included */
    uint32_t shown_count;
    uint32_t refresh_s;
    struct number_queue offered;
    struct number_queue withdrawn;
};

uint32_t exemplars_count_max(uint64_t traces_max)
{
    return (uint32_t)(traces_max * EXEMPLARS_PER_TRACE);
}

static void queue_init(struct number_queue *queue)
{
    queue->head = NO_NUMBER;
    queue->tail = &queue->head;
}

static void queue_push(struct exemplar_table *table, struct number_queue *queue, uint32_t number)
{
    table->places[number].next = NO_NUMBER;
    *queue->tail = number;
    queue->tail = &table->places[number].next;
}

/* NO_NUMBER: empty. */
static uint32_t queue_pop(struct exemplar_table *table, struct number_queue *queue)
{
    uint32_t number = queue->head;

    if (number != NO_NUMBER) {
        queue->head = table->places[number].next;
        if (queue->head == NO_NUMBER) {
            queue->tail = &queue->head;
        }
    }
    return number;
}

int exemplars_init(struct aggregator *aggregator)
{
    uint32_t count = exemplars_count_max(aggregator->settings.limits->exemplar_traces_max);
    struct exemplar_table *table;

    if (!aggregator->settings.exemplars_are_pinned) {
        return 0;
    }
    table = calloc(1, sizeof(*table));
    aggregator->exemplars = table;
    if (table == NULL) {
        return WERR_NOMEM;
    }
    table->places = calloc((size_t)count + 1, sizeof(*table->places));
    if (table->places == NULL) {
        return WERR_NOMEM;
    }
    table->count = count;
    table->refresh_s = 1;
    table->free_head = NO_NUMBER;
    for (uint32_t i = count; i > 0; i--) {
        table->places[i - 1].next = table->free_head;
        table->free_head = i - 1;
    }
    queue_init(&table->offered);
    queue_init(&table->withdrawn);
    return 0;
}

void exemplars_deinit(struct aggregator *aggregator)
{
    if (aggregator->exemplars != NULL) {
        free(aggregator->exemplars->places);
        free(aggregator->exemplars);
    }
}

void aggregator_set_exemplar_retention(struct aggregator *aggregator, uint64_t retention_ns)
{
    uint64_t refresh_s = retention_ns / EXEMPLAR_REFRESH_PART / NS_PER_S;

    if (aggregator->exemplars != NULL) {
        aggregator->exemplars->refresh_s = refresh_s > 0 ? (uint32_t)refresh_s : 1;
    }
}

/* ---- a value's list, by bucket ---- */

static uint32_t place_in(const struct duration_value *value, uint32_t bucket)
{
    uint32_t at = 0;

    while (at < value->exemplar_count && value->exemplars[at].bucket < bucket) {
        at++;
    }
    return at;
}

/* The one that is there. */
static struct exemplar *get(struct duration_value *value, uint32_t bucket)
{
    return &value->exemplars[place_in(value, bucket)];
}

/* NULL: no memory for a new one. */
static struct exemplar *obtain(struct aggregator *aggregator, struct duration_value *value, uint32_t bucket)
{
    uint32_t at = place_in(value, bucket);

    if (at < value->exemplar_count && value->exemplars[at].bucket == bucket) {
        return &value->exemplars[at];
    }
    if (value->exemplar_count == value->exemplar_capacity) {
        uint32_t capacity = value->exemplar_capacity + EXEMPLAR_STEP;
        struct exemplar *exemplars = memory_grow(aggregator->settings.budget, value->exemplars,
            value->exemplar_capacity * sizeof(*exemplars), capacity * sizeof(*exemplars));

        if (exemplars == NULL) {
            return NULL;
        }
        value->exemplars = exemplars;
        value->exemplar_capacity = capacity;
    }
    memmove(&value->exemplars[at + 1], &value->exemplars[at],
        (value->exemplar_count - at) * sizeof(*value->exemplars));
    value->exemplar_count++;
    value->exemplars[at] =
        (struct exemplar){.bucket = bucket, .shown = EXEMPLAR_NONE, .wanted = EXEMPLAR_NONE};
    return &value->exemplars[at];
}

/* ---- candidates ---- */

static uint32_t destination_hash(const struct series_key *key)
{
    uint32_t ids[] = {key->destination, key->destination_namespace};

    return (uint32_t)XXH3_64bits(ids, sizeof(ids));
}

static void offer(struct aggregator *aggregator, const struct exemplar_candidate *candidate,
    const struct series *series, struct duration_value *value, struct exemplar *exemplar)
{
    struct exemplar_table *table = aggregator->exemplars;
    uint32_t number = table->free_head;

    if (number == NO_NUMBER || table->asked_count >= EXEMPLARS_ASKED_MAX) {
        metric_add(aggregator->settings.cells, METRIC_EXEMPLARS_REFUSED_BUSY, 1);
        return;
    }
    struct exemplar_place *place = &table->places[number];

    table->free_head = place->next;
    *place = (struct exemplar_place){
        .value = value,
        .bucket = exemplar->bucket,
        .destination = destination_hash(&series->key),
        .state = PLACE_OFFERED,
        .is_refresh = exemplar->shown != EXEMPLAR_NONE,
        .duration_ns = candidate->duration_ns,
        .time_unix_ns = candidate->time_unix_ns,
    };
    memcpy(place->trace_id, candidate->trace_id, sizeof(place->trace_id));
    memcpy(place->span_id, candidate->span_id, sizeof(place->span_id));
    table->asked_count++;
    queue_push(table, &table->offered, number);
    exemplar->wanted = number;
    exemplar->offered_s = aggregator->now_s;
}

static bool is_due(const struct aggregator *aggregator, const struct exemplar *exemplar)
{
    return exemplar->wanted == EXEMPLAR_NONE &&
           (exemplar->offered_s == 0 ||
               aggregator->now_s - exemplar->offered_s >= aggregator->exemplars->refresh_s);
}

void exemplars_merge(struct aggregator *aggregator, const struct delta *delta,
    const struct duration_slot *slot, const struct series *series, struct duration_value *value)
{
    const struct shown_bounds *shown = shown_bounds_of(aggregator, series);

    for (uint32_t next = slot->exemplar_head; next != 0;) {
        const struct exemplar_candidate *candidate = slot_array_at(&delta->exemplars, next - 1);
        struct exemplar *exemplar = obtain(aggregator, value, shown->buckets[candidate->bucket]);

        if (exemplar == NULL) {
            metric_add(aggregator->settings.cells, METRIC_EXEMPLARS_REFUSED_BUSY, 1);
        } else if (aggregator->exemplars != NULL) {
            if (is_due(aggregator, exemplar)) {
                offer(aggregator, candidate, series, value, exemplar);
            }
        } else if (candidate->time_unix_ns >= exemplar->time_unix_ns) {
            exemplar->is_visible = true;
            exemplar->duration_ns = candidate->duration_ns;
            exemplar->time_unix_ns = candidate->time_unix_ns;
            memcpy(exemplar->trace_id, candidate->trace_id, sizeof(exemplar->trace_id));
            memcpy(exemplar->span_id, candidate->span_id, sizeof(exemplar->span_id));
        }
        next = candidate->next;
    }
}

/* ---- what becomes of offers ---- */

static void free_place(struct exemplar_table *table, uint32_t number)
{
    table->places[number] = (struct exemplar_place){.next = table->free_head};
    table->free_head = number;
}

static void note_shown(const struct aggregator *aggregator)
{
    metric_set(aggregator->settings.cells, METRIC_EXEMPLARS_SHOWN, aggregator->exemplars->shown_count);
}

static void withdraw(struct aggregator *aggregator, uint32_t number)
{
    struct exemplar_table *table = aggregator->exemplars;

    table->places[number].state = PLACE_WITHDRAWN;
    table->places[number].value = NULL;
    table->shown_count--;
    queue_push(table, &table->withdrawn, number);
    note_shown(aggregator);
}

size_t aggregator_take_offers(struct aggregator *aggregator, struct exemplar_offer *offers, size_t offers_max)
{
    struct exemplar_table *table = aggregator->exemplars;
    size_t count = 0;
    uint32_t number;

    while (table != NULL && count < offers_max && (number = queue_pop(table, &table->offered)) != NO_NUMBER) {
        struct exemplar_place *place = &table->places[number];

        if (place->state == PLACE_ABANDONED) {
            table->asked_count--;
            free_place(table, number);
            continue;
        }
        place->state = PLACE_ASKED;
        struct exemplar_offer *to = &offers[count++];
        *to = (struct exemplar_offer){
            .number = number, .destination = place->destination, .is_refresh = place->is_refresh};
        memcpy(to->trace_id, place->trace_id, sizeof(to->trace_id));
        memcpy(to->span_id, place->span_id, sizeof(to->span_id));
    }
    return count;
}

size_t aggregator_take_withdrawn(struct aggregator *aggregator, uint32_t *numbers, size_t numbers_max)
{
    struct exemplar_table *table = aggregator->exemplars;
    size_t count = 0;
    uint32_t number;

    while (
        table != NULL && count < numbers_max && (number = queue_pop(table, &table->withdrawn)) != NO_NUMBER) {
        free_place(table, number);
        numbers[count++] = number;
    }
    return count;
}

/* The place of an answer to what was asked; NULL when nothing was. */
static struct exemplar_place *take_answer(struct aggregator *aggregator, uint32_t number)
{
    struct exemplar_table *table = aggregator->exemplars;
    struct exemplar_place *place = table != NULL && number < table->count ? &table->places[number] : NULL;

    if (place == NULL || (place->state != PLACE_ASKED && place->state != PLACE_ABANDONED)) {
        return NULL;
    }
    table->asked_count--;
    return place;
}

void aggregator_exemplar_granted(struct aggregator *aggregator, uint32_t number)
{
    struct exemplar_place *place = take_answer(aggregator, number);

    if (place == NULL) {
        return;
    }
    aggregator->exemplars->shown_count++;
    if (place->state == PLACE_ABANDONED) {
        withdraw(aggregator, number);
        return;
    }
    struct exemplar *exemplar = get(place->value, place->bucket);

    if (exemplar->shown != EXEMPLAR_NONE) {
        withdraw(aggregator, exemplar->shown);
    }
    place->state = PLACE_SHOWN;
    exemplar->shown = number;
    exemplar->wanted = EXEMPLAR_NONE;
    exemplar->is_visible = true;
    exemplar->duration_ns = place->duration_ns;
    exemplar->time_unix_ns = place->time_unix_ns;
    memcpy(exemplar->trace_id, place->trace_id, sizeof(exemplar->trace_id));
    memcpy(exemplar->span_id, place->span_id, sizeof(exemplar->span_id));
    note_shown(aggregator);
}

void aggregator_exemplar_refused(struct aggregator *aggregator, uint32_t number)
{
    struct exemplar_place *place = take_answer(aggregator, number);

    if (place == NULL) {
        return;
    }
    if (place->state == PLACE_ASKED) {
        get(place->value, place->bucket)->wanted = EXEMPLAR_NONE;
    }
    free_place(aggregator->exemplars, number);
}

void aggregator_withdraw_exemplar(struct aggregator *aggregator, uint32_t number)
{
    struct exemplar_table *table = aggregator->exemplars;

    if (table == NULL || number >= table->count || table->places[number].state != PLACE_SHOWN) {
        return;
    }
    struct exemplar *exemplar = get(table->places[number].value, table->places[number].bucket);

    exemplar->is_visible = false;
    exemplar->shown = EXEMPLAR_NONE;
    exemplar->offered_s = aggregator->now_s; /* others first */
    withdraw(aggregator, number);
}

void exemplars_release(struct aggregator *aggregator, struct duration_value *value)
{
    struct exemplar_table *table = aggregator->exemplars;

    for (uint32_t i = 0; table != NULL && i < value->exemplar_count; i++) {
        if (value->exemplars[i].wanted != EXEMPLAR_NONE) {
            /* one that was only offered is passed over when it is taken */
            table->places[value->exemplars[i].wanted].state = PLACE_ABANDONED;
        }
        if (value->exemplars[i].shown != EXEMPLAR_NONE) {
            withdraw(aggregator, value->exemplars[i].shown);
        }
    }
    memory_free(
        aggregator->settings.budget, value->exemplars, value->exemplar_capacity * sizeof(*value->exemplars));
}
