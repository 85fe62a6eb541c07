/* What is pinned, and who fetches it; see trace_pins.h. */
#include "tracing/trace_pins.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const uint64_t NS_PER_MS = 1000000;

struct trace_pins {
    struct trace_desk *desk;
    struct pins *pins;
    uv_timer_t timer;
    struct exemplar_letter *letter; /* being worked on; NULL: none */
    bool is_waiting;                /* the letter, for a fetch of late spans to end */
    /* the fetch */
    struct trace_task tasks[CONFIG_SHARD_COUNT_MAX];
    size_t tasks_out;
    size_t asked_count; /* tasks that were sent */
    uint8_t ids[EXEMPLAR_OFFERS_COUNT][TRACE_MODEL_ID_BYTES];
    size_t id_count;
    bool is_fetched[EXEMPLAR_OFFERS_COUNT]; /* the letter's offers that this fetch is for */
    uint64_t deadline_ns;
    atomic_bool cancelled;
};

static uint64_t now_of(const struct trace_pins *self)
{
    return clock_monotonic_ns(self->desk->clock);
}

static uint64_t retention_of(uint64_t retention_ns)
{
    return retention_ns + EXEMPLAR_GRACE_MS * NS_PER_MS;
}

/* ---- the answer ---- */

static void answer(struct trace_pins *self)
{
    struct exemplar_letter *letter = self->letter;

    self->letter = NULL;
    letter->mail = (struct mail){.deliver = letter->answered};
    (void)mailbox_post(letter->reply_to, &letter->mail); /* the aggregator has ended: nobody waits */
}

/* Somebody found no room: who has most is asked for some, once a letter. */
static void make_room(struct trace_pins *self, uint32_t destination)
{
    struct exemplar_letter *letter = self->letter;

    _Static_assert((int)PINS_CHOICE_COUNT_MAX <= (int)EXEMPLAR_OFFERS_COUNT, "a choice fits a letter");
    if (letter->withdraw_count == 0) {
        letter->withdraw_count = pins_choose(self->pins, destination, now_of(self), letter->withdraw);
    }
}

static void note(struct trace_pins *self, size_t index, enum pins_verdict verdict)
{
    self->letter->is_granted[index] = verdict == PINS_GRANTED;
    if (verdict == PINS_REFUSED_FULL) {
        make_room(self, self->letter->offers[index].destination);
    }
}

/* ---- fetches ---- */

static void on_task_returned(struct mail *mail, void *receiver);

static void fetch(struct trace_pins *self)
{
    struct trace_desk *desk = self->desk;
    size_t trace_bytes_max = desk->limits->exemplar_bytes_max / PINS_TRACE_SHARE;

    atomic_store_explicit(&self->cancelled, false, memory_order_relaxed);
    self->deadline_ns = now_of(self) + desk->limits->trace_answer_ms * NS_PER_MS;
    self->asked_count = desk->shard_count;
    self->tasks_out = desk->shard_count;
    for (size_t i = 0; i < desk->shard_count; i++) {
        self->tasks[i] = (struct trace_task){
            .reply_to = desk->mailbox,
            .answered = on_task_returned,
            .job = self,
            .shard_index = i,
            .cancelled = &self->cancelled,
            .kind = TRACE_TASK_FETCH,
            .ids = (const uint8_t(*)[TRACE_MODEL_ID_BYTES])self->ids,
            .id_count = self->id_count,
            .bytes_max = trace_bytes_max + TRACE_PINS_TASK_BYTES,
            .trace_bytes_max = trace_bytes_max,
        };
        trace_names_init(&self->tasks[i].names);
    }
    for (size_t i = 0; i < self->asked_count; i++) { /* some may come back at once */
        desk->shards[i].ops->task(desk->shards[i].shard, &self->tasks[i]);
    }
}

static void hold_all(struct trace_pins *self)
{
    struct slice parts[CONFIG_SHARD_COUNT_MAX];

    for (size_t i = 0; i < self->id_count; i++) {
        size_t count = 0;
        for (size_t shard = 0; shard < self->asked_count; shard++) {
            struct trace_task *task = &self->tasks[shard];
            if (task->parts != NULL && task->parts[i] != NULL) {
                parts[count++] = slice_of(task->parts[i]->data, task->parts[i]->length);
            }
        }
        pins_hold(self->pins, self->ids[i], parts, count, now_of(self));
    }
    for (size_t shard = 0; shard < self->asked_count; shard++) {
        trace_task_deinit(&self->tasks[shard]);
    }
    self->asked_count = 0;
}

static void settle_all(struct trace_pins *self)
{
    for (size_t i = 0; i < self->letter->offer_count; i++) {
        if (self->is_fetched[i]) {
            note(self, i, pins_settle(self->pins, self->letter->offers[i].number, now_of(self)));
        }
    }
}

static void begin_letter(struct trace_pins *self);

static void end_fetch(struct trace_pins *self)
{
    hold_all(self);
    if (self->letter != NULL && self->is_waiting) {
        begin_letter(self);
    } else if (self->letter != NULL) {
        settle_all(self);
        answer(self);
    }
}

static void on_task_returned(struct mail *mail, void *receiver)
{
    struct trace_pins *self = ((struct trace_task *)mail)->job;

    (void)receiver;
    self->tasks_out--;
    if (self->tasks_out == 0) {
        end_fetch(self);
    }
}

/* ---- letters ---- */

static void add_id(struct trace_pins *self, const uint8_t *trace_id)
{
    for (size_t i = 0; i < self->id_count; i++) {
        if (memcmp(self->ids[i], trace_id, sizeof self->ids[i]) == 0) {
            return;
        }
    }
    memcpy(self->ids[self->id_count++], trace_id, sizeof self->ids[0]);
}

static void begin_letter(struct trace_pins *self)
{
    struct exemplar_letter *letter = self->letter;
    uint64_t now_ns = now_of(self);

    self->is_waiting = false;
    self->id_count = 0;
    for (size_t i = 0; i < letter->offer_count; i++) {
        const struct exemplar_offer *offer = &letter->offers[i];
        const struct pins_exemplar exemplar = {
            .number = offer->number,
            .destination = offer->destination,
            .trace_id = offer->trace_id,
            .span_id = offer->span_id,
            .is_refresh = offer->is_refresh,
        };
        enum pins_verdict verdict = pins_want(self->pins, &exemplar, now_ns);
        self->is_fetched[i] = verdict == PINS_FETCH;
        if (verdict == PINS_FETCH) {
            add_id(self, offer->trace_id);
        } else {
            note(self, i, verdict);
        }
    }
    if (self->id_count > 0 && self->desk->shard_count > 0) {
        fetch(self);
    } else {
        settle_all(self);
        answer(self);
    }
}

void trace_pins_take(struct trace_pins *self, struct exemplar_letter *letter)
{
    uint64_t now_ns = now_of(self);

    self->letter = letter;
    letter->withdraw_count = 0;
    memset(letter->is_granted, 0, sizeof letter->is_granted);
    pins_set_retention(self->pins, retention_of(letter->retention_ns));
    for (size_t i = 0; i < letter->withdrawn_count; i++) {
        pins_withdrawn(self->pins, letter->withdrawn[i], now_ns);
    }
    if (self->tasks_out > 0) {
        self->is_waiting = true;
    } else {
        begin_letter(self);
    }
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct trace_pins *self = timer->data;
    uint64_t now_ns = now_of(self);

    pins_tick(self->pins, now_ns);
    if (self->tasks_out > 0) {
        if (now_ns >= self->deadline_ns) {
            atomic_store_explicit(&self->cancelled, true, memory_order_relaxed);
        }
        return;
    }
    self->id_count = pins_late(self->pins, now_ns, self->ids, EXEMPLAR_OFFERS_COUNT);
    if (self->id_count > 0 && self->desk->shard_count > 0) {
        fetch(self);
    }
}

static void late_of(const struct config_trace *trace, uint64_t ret_ns[PINS_FETCHES_COUNT])
{
    _Static_assert(PINS_FETCHES_COUNT == 2, "soon, and when all has come");

    uint64_t linger_ms = trace->linger_ms;

    ret_ns[0] = (linger_ms < TRACE_PINS_LATE_MS ? linger_ms : TRACE_PINS_LATE_MS) * NS_PER_MS;
    ret_ns[1] = linger_ms * NS_PER_MS;
}

void trace_pins_reconfigure(struct trace_pins *self, const struct config_trace *trace)
{
    uint64_t late_ns[PINS_FETCHES_COUNT];

    late_of(trace, late_ns);
    pins_set_late(self->pins, late_ns);
}

int trace_pins_new(const struct config_trace *trace, struct trace_desk *desk, struct trace_pins **ret_self)
{
    struct trace_pins *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    struct pins_settings settings = {
        .traces_count_max = (uint32_t)desk->limits->exemplar_traces_max,
        .exemplars_count_max = exemplars_count_max(desk->limits->exemplar_traces_max),
        .bytes_max = desk->limits->exemplar_bytes_max,
        .retention_ns = retention_of(trace->exemplar_retention_s * 1000 * NS_PER_MS),
        .cells = desk->cells,
    };
    late_of(trace, settings.late_ns);
    int error = pins_new(&settings, &self->pins);
    if (error < 0) {
        free(self);
        return error;
    }
    self->desk = desk;
    desk->pins = self->pins;
    (void)uv_timer_init(desk->loop, &self->timer);
    self->timer.data = self;
    (void)uv_timer_start(&self->timer, on_timer, TRACE_PINS_TICK_MS, TRACE_PINS_TICK_MS);
    *ret_self = self;
    return 0;
}

void trace_pins_close(struct trace_pins *self)
{
    if (self != NULL) {
        atomic_store_explicit(&self->cancelled, true, memory_order_relaxed);
        uv_close((uv_handle_t *)&self->timer, NULL);
    }
}

void trace_pins_free(struct trace_pins *self)
{
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->asked_count; i++) {
        trace_task_deinit(&self->tasks[i]);
    }
    self->desk->pins = NULL;
    pins_free(self->pins);
    free(self);
}
