/* Pinned traces; see pins.h. Tables are made at start; only the traces' bytes come and go. */
#include "trace/pins.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "trace/span_ids.h"

enum { ID_BYTES = 16, PARTS = 1000000 };

#define NO_PIN UINT32_MAX

struct pin {
    uint8_t trace_id[ID_BYTES];
    uint32_t next; /* of the same hash, or of the free ones */
    uint32_t destination;
    uint32_t shown_count; /* exemplars that are shown */
    uint32_t wanting_count;
    uint32_t chosen_count;  /* that are shown, but about to go */
    uint32_t fetches_count; /* further ones that have been asked for */
    bool is_used;
    bool was_shown;
    uint8_t refusal;            /* enum pins_verdict: what settle says when the span is not there */
    struct shared_bytes *bytes; /* NULL: nothing yet */
    uint64_t held_ns;           /* when something first was */
    uint64_t shown_ns;          /* since when an exemplar leads here */
    uint64_t retired_ns;        /* since when none does */
};

enum exemplar_state { EXEMPLAR_NONE, EXEMPLAR_WANTS, EXEMPLAR_SHOWN, EXEMPLAR_CHOSEN };

struct pin_exemplar {
    uint32_t pin;
    uint8_t state;
    uint8_t span_id[SPAN_ID_LENGTH];
};

/* What one destination has. */
struct share {
    uint32_t destination;
    bool is_shown; /* some of it */
    uint64_t traces;
    uint64_t bytes;
};

struct pins {
    struct pins_settings settings;
    struct pin *pins;
    struct pin_exemplar *exemplars;
    uint32_t *heads;
    struct share *scratch;
    uint32_t head_mask;
    uint32_t free_head;
    uint32_t used_count;
    uint32_t chosen_count;
    uint64_t bytes;
};

int pins_new(const struct pins_settings *settings, struct pins **ret_pins)
{
    struct pins *pins = calloc(1, sizeof *pins);
    uint32_t count = settings->traces_count_max;
    uint32_t head_count = 16;

    if (pins == NULL) {
        return WERR_NOMEM;
    }
    while (head_count < count) {
        head_count *= 2;
    }
    pins->settings = *settings;
    pins->pins = calloc((size_t)count + 1, sizeof *pins->pins);
    pins->exemplars = calloc((size_t)settings->exemplars_count_max + 1, sizeof *pins->exemplars);
    pins->heads = malloc(head_count * sizeof *pins->heads);
    pins->scratch = calloc((size_t)count + 1, sizeof *pins->scratch);
    if (pins->pins == NULL || pins->exemplars == NULL || pins->heads == NULL || pins->scratch == NULL) {
        pins_free(pins);
        return WERR_NOMEM;
    }
    pins->head_mask = head_count - 1;
    for (uint32_t i = 0; i < head_count; i++) {
        pins->heads[i] = NO_PIN;
    }
    pins->free_head = NO_PIN;
    for (uint32_t i = count; i > 0; i--) {
        pins->pins[i - 1].next = pins->free_head;
        pins->free_head = i - 1;
    }
    *ret_pins = pins;
    return 0;
}

void pins_free(struct pins *pins)
{
    if (pins == NULL) {
        return;
    }
    for (uint32_t i = 0; pins->pins != NULL && i < pins->settings.traces_count_max; i++) {
        shared_bytes_unref(pins->pins[i].bytes);
    }
    free(pins->pins);
    free(pins->exemplars);
    free(pins->heads);
    free(pins->scratch);
    free(pins);
}

void pins_set_late(struct pins *pins, const uint64_t late_ns[PINS_FETCHES_COUNT])
{
    memcpy(pins->settings.late_ns, late_ns, sizeof pins->settings.late_ns);
}

void pins_set_retention(struct pins *pins, uint64_t retention_ns)
{
    pins->settings.retention_ns = retention_ns;
}

size_t pins_traces_count(const struct pins *pins)
{
    return pins->used_count;
}

uint64_t pins_bytes(const struct pins *pins)
{
    return pins->bytes;
}

/* ---- the table ---- */

static uint32_t *head_of(const struct pins *pins, const uint8_t *trace_id)
{
    return &pins->heads[XXH3_64bits(trace_id, ID_BYTES) & pins->head_mask];
}

static struct pin *find(const struct pins *pins, const uint8_t *trace_id)
{
    for (uint32_t at = *head_of(pins, trace_id); at != NO_PIN; at = pins->pins[at].next) {
        if (memcmp(pins->pins[at].trace_id, trace_id, ID_BYTES) == 0) {
            return &pins->pins[at];
        }
    }
    return NULL;
}

static struct pin *add(struct pins *pins, const struct pins_exemplar *exemplar)
{
    uint32_t number = pins->free_head;
    struct pin *pin = &pins->pins[number];
    uint32_t *head = head_of(pins, exemplar->trace_id);

    pins->free_head = pin->next;
    *pin = (struct pin){.is_used = true, .next = *head, .destination = exemplar->destination};
    memcpy(pin->trace_id, exemplar->trace_id, ID_BYTES);
    *head = number;
    pins->used_count++;
    return pin;
}

static void set_bytes(struct pins *pins, struct pin *pin, struct shared_bytes *bytes)
{
    pins->bytes += bytes != NULL ? bytes->length : 0;
    pins->bytes -= pin->bytes != NULL ? pin->bytes->length : 0;
    shared_bytes_unref(pin->bytes);
    pin->bytes = bytes;
}

static void drop(struct pins *pins, struct pin *pin)
{
    uint32_t *link = head_of(pins, pin->trace_id);
    uint32_t number = (uint32_t)(pin - pins->pins);

    while (*link != number) {
        link = &pins->pins[*link].next;
    }
    *link = pin->next;
    set_bytes(pins, pin, NULL);
    *pin = (struct pin){.next = pins->free_head};
    pins->free_head = number;
    pins->used_count--;
}

/* ---- shares ---- */

static void add_pin(struct share *share, const struct pin *pin)
{
    share->traces++;
    share->bytes += pin->bytes != NULL ? pin->bytes->length : 0;
    share->is_shown = share->is_shown || pin->shown_count > 0;
}

static struct share share_of(const struct pins *pins, uint32_t destination)
{
    struct share share = {.destination = destination};

    for (uint32_t i = 0; i < pins->settings.traces_count_max; i++) {
        if (pins->pins[i].is_used && pins->pins[i].destination == destination) {
            add_pin(&share, &pins->pins[i]);
        }
    }
    return share;
}

static bool has_place(const struct pins *pins, uint32_t destination, bool is_refresh)
{
    uint64_t free_count = pins->settings.traces_count_max - pins->used_count;
    uint64_t traces = share_of(pins, destination).traces;

    return is_refresh ? traces < free_count / 2 : traces < free_count;
}

/* Whether `length` bytes may take the place of what the pin has. */
static bool has_room(const struct pins *pins, const struct pin *pin, uint64_t length)
{
    uint64_t before = pin->bytes != NULL ? pin->bytes->length : 0;
    uint64_t used = pins->bytes - before + length;
    uint64_t own = share_of(pins, pin->destination).bytes - before;

    return used <= pins->settings.bytes_max && own <= pins->settings.bytes_max - used;
}

/* ---- exemplars ---- */

static bool has_span(const struct pin *pin, const uint8_t *span_id)
{
    return pin->bytes != NULL && span_ids_have(slice_of(pin->bytes->data, pin->bytes->length), span_id);
}

static void show(struct pins *pins, struct pin_exemplar *exemplar, uint64_t now_ns)
{
    struct pin *pin = &pins->pins[exemplar->pin];

    if (pin->shown_count == 0) {
        pin->shown_ns = now_ns;
    }
    pin->shown_count++;
    pin->was_shown = true;
    exemplar->state = EXEMPLAR_SHOWN;
    metric_add(pins->settings.cells, METRIC_EXEMPLARS_GRANTED, 1);
}

static enum pins_verdict refuse(struct pins *pins, enum pins_verdict verdict)
{
    metric_add(pins->settings.cells,
        verdict == PINS_REFUSED_FULL        ? METRIC_EXEMPLARS_REFUSED_FULL
        : verdict == PINS_REFUSED_OVERSIZED ? METRIC_EXEMPLARS_REFUSED_OVERSIZED
                                            : METRIC_EXEMPLARS_REFUSED_GONE,
        1);
    return verdict;
}

enum pins_verdict pins_want(struct pins *pins, const struct pins_exemplar *wanted, uint64_t now_ns)
{
    struct pin *pin = find(pins, wanted->trace_id);

    if (wanted->number >= pins->settings.exemplars_count_max ||
        pins->exemplars[wanted->number].state != EXEMPLAR_NONE) {
        return refuse(pins, PINS_REFUSED_FULL);
    }
    if (pin == NULL) {
        if (!has_place(pins, wanted->destination, wanted->is_refresh)) {
            return refuse(pins, PINS_REFUSED_FULL);
        }
        pin = add(pins, wanted);
    }
    struct pin_exemplar *exemplar = &pins->exemplars[wanted->number];
    *exemplar = (struct pin_exemplar){.pin = (uint32_t)(pin - pins->pins), .state = EXEMPLAR_WANTS};
    memcpy(exemplar->span_id, wanted->span_id, sizeof exemplar->span_id);
    if (has_span(pin, wanted->span_id)) {
        show(pins, exemplar, now_ns);
        return PINS_GRANTED;
    }
    pin->wanting_count++;
    pin->refusal = PINS_REFUSED_GONE;
    return PINS_FETCH;
}

/* Copies what was there, if it is to stay, and the parts. NULL: no memory. */
static struct shared_bytes *join(const struct shared_bytes *before, const struct slice *parts, size_t count)
{
    struct buffer out;

    buffer_init(&out, SIZE_MAX);
    if (before != NULL) {
        (void)buffer_append(&out, before->data, before->length);
    }
    for (size_t i = 0; i < count; i++) {
        (void)buffer_append_slice(&out, parts[i]);
    }
    struct shared_bytes *bytes = out.error == 0 ? shared_bytes_copy(slice_of(out.data, out.length)) : NULL;
    buffer_deinit(&out); /* which may have more room than is used: a pin stays for long */
    return bytes;
}

void pins_hold(
    struct pins *pins, const uint8_t *trace_id, const struct slice *parts, size_t part_count, uint64_t now_ns)
{
    struct pin *pin = find(pins, trace_id);
    uint64_t length = 0;

    for (size_t i = 0; i < part_count; i++) {
        length += parts[i].length;
    }
    if (pin == NULL || length == 0) {
        return;
    }
    if (length > pins->settings.bytes_max / PINS_TRACE_SHARE) {
        pin->refusal = PINS_REFUSED_OVERSIZED;
        return;
    }
    struct shared_bytes *bytes = has_room(pins, pin, length) ? join(NULL, parts, part_count) : NULL;
    if (bytes == NULL) {
        pin->refusal = PINS_REFUSED_FULL;
        return;
    }
    struct shared_bytes *before = pin->bytes;
    if (before != NULL &&
        !span_ids_include(slice_of(bytes->data, bytes->length), slice_of(before->data, before->length))) {
        struct shared_bytes *whole = NULL;
        length += before->length;
        bool is_small = length <= pins->settings.bytes_max / PINS_TRACE_SHARE;
        if (is_small && has_room(pins, pin, length)) {
            whole = join(before, parts, part_count);
        }
        shared_bytes_unref(bytes);
        pin->refusal = is_small ? PINS_REFUSED_FULL : PINS_REFUSED_OVERSIZED;
        bytes = whole;
    }
    if (bytes != NULL) {
        pin->refusal = PINS_REFUSED_GONE;
        pin->held_ns = before == NULL ? now_ns : pin->held_ns;
        set_bytes(pins, pin, bytes);
    }
}

enum pins_verdict pins_settle(struct pins *pins, uint32_t number, uint64_t now_ns)
{
    struct pin_exemplar *exemplar =
        number < pins->settings.exemplars_count_max ? &pins->exemplars[number] : NULL;

    if (exemplar == NULL || exemplar->state != EXEMPLAR_WANTS) {
        return refuse(pins, PINS_REFUSED_GONE);
    }
    struct pin *pin = &pins->pins[exemplar->pin];
    pin->wanting_count--;
    if (has_span(pin, exemplar->span_id)) {
        show(pins, exemplar, now_ns);
        return PINS_GRANTED;
    }
    enum pins_verdict verdict = (enum pins_verdict)pin->refusal;
    exemplar->state = EXEMPLAR_NONE;
    if (!pin->was_shown && pin->wanting_count == 0) {
        drop(pins, pin);
    }
    return refuse(pins, verdict);
}

void pins_withdrawn(struct pins *pins, uint32_t number, uint64_t now_ns)
{
    struct pin_exemplar *exemplar =
        number < pins->settings.exemplars_count_max ? &pins->exemplars[number] : NULL;

    if (exemplar == NULL || (exemplar->state != EXEMPLAR_SHOWN && exemplar->state != EXEMPLAR_CHOSEN)) {
        return;
    }
    struct pin *pin = &pins->pins[exemplar->pin];
    pin->chosen_count -= exemplar->state == EXEMPLAR_CHOSEN;
    pins->chosen_count -= exemplar->state == EXEMPLAR_CHOSEN;
    exemplar->state = EXEMPLAR_NONE;
    pin->shown_count--;
    pin->retired_ns = now_ns;
}

/* ---- room ---- */

/* Whether enough is on its way out already. */
static bool is_retiring(const struct pins *pins)
{
    uint64_t retired = pins->chosen_count;
    uint64_t most = pins->settings.traces_count_max / PINS_RETIRED_SHARE;

    for (uint32_t i = 0; i < pins->settings.traces_count_max; i++) {
        retired += pins->pins[i].is_used && pins->pins[i].was_shown && pins->pins[i].shown_count == 0;
    }
    return retired >= (most > 0 ? most : 1);
}

/* A share of traces or of bytes, whichever is larger, in parts of a million. */
static uint64_t weight_of(const struct pins *pins, const struct share *share)
{
    uint64_t traces = share->traces * PARTS / pins->settings.traces_count_max;
    uint64_t bytes = share->bytes * PARTS / pins->settings.bytes_max;

    return traces > bytes ? traces : bytes;
}

static int compare_destinations(const void *left, const void *right)
{
    uint32_t a = ((const struct share *)left)->destination;
    uint32_t b = ((const struct share *)right)->destination;

    return (a > b) - (a < b);
}

/* The largest share of those who show something; false: nobody does. */
static bool largest(struct pins *pins, struct share *ret_share)
{
    size_t count = 0;
    bool is_found = false;

    for (uint32_t i = 0; i < pins->settings.traces_count_max; i++) {
        if (pins->pins[i].is_used) {
            pins->scratch[count] = (struct share){.destination = pins->pins[i].destination};
            add_pin(&pins->scratch[count++], &pins->pins[i]);
        }
    }
    qsort(pins->scratch, count, sizeof pins->scratch[0], compare_destinations);
    for (size_t i = 0; i < count;) {
        struct share sum = pins->scratch[i++];
        for (; i < count && pins->scratch[i].destination == sum.destination; i++) {
            sum.traces += pins->scratch[i].traces;
            sum.bytes += pins->scratch[i].bytes;
            sum.is_shown = sum.is_shown || pins->scratch[i].is_shown;
        }
        if (sum.is_shown && (!is_found || weight_of(pins, &sum) > weight_of(pins, ret_share))) {
            is_found = true;
            *ret_share = sum;
        }
    }
    return is_found;
}

/* The destination's trace that has been shown longest and is not about to go; NULL: none. */
static struct pin *oldest(const struct pins *pins, uint32_t destination)
{
    struct pin *found = NULL;

    for (uint32_t i = 0; i < pins->settings.traces_count_max; i++) {
        struct pin *pin = &pins->pins[i];
        if (pin->is_used && pin->destination == destination && pin->shown_count > pin->chosen_count &&
            (found == NULL || pin->shown_ns < found->shown_ns)) {
            found = pin;
        }
    }
    return found;
}

size_t pins_choose(
    struct pins *pins, uint32_t destination, uint64_t now_ns, uint32_t numbers[static PINS_CHOICE_COUNT_MAX])
{
    struct share own = share_of(pins, destination);
    struct share most;
    size_t count = 0;

    if (pins->settings.traces_count_max == 0 || is_retiring(pins) || !largest(pins, &most)) {
        return 0;
    }
    struct pin *pin = oldest(pins, most.destination);
    /* one trace more than the other has is no reason: they would take it from each other for ever */
    uint64_t two = 2 * PARTS / pins->settings.traces_count_max;
    bool has_more = weight_of(pins, &most) >= weight_of(pins, &own) + two;
    if (pin == NULL || (!has_more && now_ns - pin->shown_ns < pins->settings.retention_ns)) {
        return 0;
    }
    for (uint32_t i = 0; i < pins->settings.exemplars_count_max && count < PINS_CHOICE_COUNT_MAX; i++) {
        struct pin_exemplar *exemplar = &pins->exemplars[i];
        if (exemplar->state == EXEMPLAR_SHOWN && &pins->pins[exemplar->pin] == pin) {
            exemplar->state = EXEMPLAR_CHOSEN;
            pin->chosen_count++;
            pins->chosen_count++;
            numbers[count++] = i;
        }
    }
    metric_add(pins->settings.cells, METRIC_EXEMPLARS_WITHDRAWN, count);
    return count;
}

void pins_tick(struct pins *pins, uint64_t now_ns)
{
    for (uint32_t i = 0; i < pins->settings.traces_count_max; i++) {
        struct pin *pin = &pins->pins[i];
        if (pin->is_used && pin->was_shown && pin->shown_count == 0 && pin->wanting_count == 0 &&
            now_ns - pin->retired_ns >= pins->settings.retention_ns) {
            drop(pins, pin);
        }
    }
    metric_set(pins->settings.cells, METRIC_EXEMPLAR_TRACES, pins->used_count);
    metric_set(pins->settings.cells, METRIC_EXEMPLAR_TRACE_BYTES, pins->bytes);
}

size_t pins_late(struct pins *pins, uint64_t now_ns, uint8_t (*ids)[16], size_t ids_max)
{
    size_t count = 0;

    for (uint32_t i = 0; i < pins->settings.traces_count_max && count < ids_max; i++) {
        struct pin *pin = &pins->pins[i];
        if (pin->bytes != NULL && pin->fetches_count < PINS_FETCHES_COUNT &&
            now_ns - pin->held_ns >= pins->settings.late_ns[pin->fetches_count]) {
            pin->fetches_count++;
            memcpy(ids[count++], pin->trace_id, ID_BYTES);
        }
    }
    return count;
}

struct shared_bytes *pins_find(const struct pins *pins, const uint8_t *trace_id)
{
    const struct pin *pin = find(pins, trace_id);

    return pin != NULL && pin->bytes != NULL ? shared_bytes_ref(pin->bytes) : NULL;
}
