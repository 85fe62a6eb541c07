/* Batches, attempts, the ledger of one destination; see destination.h. Runs on the exporter's loop. */
#include "exporters/otlp/destination.h"

#include <stdlib.h>

#include "core/error.h"
#include "exporters/otlp/aws_credentials.h"

enum { BODY_BYTES_MAX = 1 << 30 };

/* The rows of a signal. */
struct ledger_rows {
    enum metric_id handed;
    enum metric_id sent;
    enum metric_id dropped_queue;
    enum metric_id dropped_rejected;
    enum metric_id dropped_shutdown;
    enum metric_id dropped_memory;
    enum metric_id dropped_oversized;
    enum metric_id queued;
};

static const struct ledger_rows rows[OTLP_SIGNAL_COUNT] = {
    [OTLP_SIGNAL_TRACES] =
        {
            .handed = METRIC_EXPORT_SPANS_HANDED,
            .sent = METRIC_EXPORT_SPANS_SENT,
            .dropped_queue = METRIC_EXPORT_SPANS_DROPPED_QUEUE,
            .dropped_rejected = METRIC_EXPORT_SPANS_DROPPED_REJECTED,
            .dropped_shutdown = METRIC_EXPORT_SPANS_DROPPED_SHUTDOWN,
            .dropped_memory = METRIC_EXPORT_SPANS_DROPPED_MEMORY,
            .dropped_oversized = METRIC_EXPORT_SPANS_DROPPED_OVERSIZED,
            .queued = METRIC_EXPORT_SPANS_QUEUED,
        },
    [OTLP_SIGNAL_METRICS] =
        {
            .handed = METRIC_EXPORT_POINTS_HANDED,
            .sent = METRIC_EXPORT_POINTS_SENT,
            .dropped_queue = METRIC_EXPORT_POINTS_DROPPED_QUEUE,
            .dropped_rejected = METRIC_EXPORT_POINTS_DROPPED_REJECTED,
            .dropped_shutdown = METRIC_EXPORT_POINTS_DROPPED_SHUTDOWN,
            .dropped_memory = METRIC_EXPORT_POINTS_DROPPED_MEMORY,
            .dropped_oversized = METRIC_EXPORT_POINTS_DROPPED_OVERSIZED,
            .queued = METRIC_EXPORT_POINTS_QUEUED,
        },
    [OTLP_SIGNAL_LOGS] =
        {
            .handed = METRIC_EXPORT_LOGS_HANDED,
            .sent = METRIC_EXPORT_LOGS_SENT,
            .dropped_queue = METRIC_EXPORT_LOGS_DROPPED_QUEUE,
            .dropped_rejected = METRIC_EXPORT_LOGS_DROPPED_REJECTED,
            .dropped_shutdown = METRIC_EXPORT_LOGS_DROPPED_SHUTDOWN,
            .dropped_memory = METRIC_EXPORT_LOGS_DROPPED_MEMORY,
            .dropped_oversized = METRIC_EXPORT_LOGS_DROPPED_OVERSIZED,
            .queued = METRIC_EXPORT_LOGS_QUEUED,
        },
};

/*
 * What AWS takes in one request: the tables of "OTLP endpoints" in the CloudWatch user guide, which say MB
 * and KB; the smaller reading is taken.
 */
static const struct split_limits aws_limits[OTLP_SIGNAL_COUNT] = {
    [OTLP_SIGNAL_TRACES] = {.bytes_max = 5000000, .count_max = 10000, .item_bytes_max = 200000},
    [OTLP_SIGNAL_METRICS] = {.bytes_max = 1000000, .count_max = 1000},
    [OTLP_SIGNAL_LOGS] = {.bytes_max = 1000000, .count_max = 10000},
};

static void lane_look(struct lane *lane);

static void emit(
    struct destination *self, enum otlp_event_type type, int status, uint64_t item_count, const char *text)
{
    struct otlp_event event = {
        .destination = self->config->name,
        .status = status,
        .item_count = item_count,
        .text = text,
    };

    event.type = type;
    if (self->exporter->event != NULL) {
        self->exporter->event(self->exporter->user, &event);
    }
}

static void show_queue(struct destination *self)
{
    uint64_t bytes = 0;

    for (uint32_t signal = 0; signal < OTLP_SIGNAL_COUNT; signal++) {
        struct queue_totals totals = queue_totals(self->queue, signal);
        metric_set(self->config->cells, rows[signal].queued, totals.item_count);
        bytes += totals.bytes;
    }
    metric_set(self->config->cells, METRIC_EXPORT_QUEUE_BYTES, bytes);
}

static void on_dropped(void *user, const struct queue_item *item)
{
    struct destination *self = user;

    LEDGER_ADD(self->config->cells, rows[item->signal].dropped_queue, item->item_count);
    if (!self->queue_is_full) {
        self->queue_is_full = true;
        emit(self, OTLP_EVENT_QUEUE_FULL, 0, item->item_count, "the oldest are dropped from now on");
    }
}

/* ---- a request ---- */

/* Takes the oldest entries that fit a batch, at least one, into the body. */
static int make_body(struct lane *lane)
{
    struct queue_item items[OTLP_BATCH_ITEMS_MAX];
    size_t count = queue_peek(lane->destination->queue, lane->signal, items, OTLP_BATCH_ITEMS_MAX);
    uint64_t bytes = 0;
    int error = 0;

    lane->batch_entry_count = 0;
    lane->batch_item_count = 0;
    lane->body.length = 0;
    lane->body.error = 0;
    compressor_reset(lane->compressor);
    for (size_t i = 0; i < count && error == 0; i++) {
        bytes += items[i].bytes->length;
        if (i > 0 && (lane->batch_item_count + items[i].item_count > lane->batch_count_max ||
                         bytes > lane->batch_bytes_max)) {
            break;
        }
        error = compressor_write(
            lane->compressor, slice_of(items[i].bytes->data, items[i].bytes->length), &lane->body);
        lane->batch_entry_count++;
        lane->batch_item_count += items[i].item_count;
    }
    return error == 0 ? compressor_finish(lane->compressor, &lane->body) : error;
}

static void lane_wait(struct lane *lane, const struct otlp_answer *answer);

static void lane_send(struct lane *lane)
{
    struct destination *self = lane->destination;
    int error = make_body(lane);

    if (error == 0) {
        lane->state = LANE_SENDING;
        queue_hold(self->queue, lane->signal, lane->batch_entry_count);
        error = lane->transport->type->send(lane->transport, slice_of(lane->body.data, lane->body.length));
    }
    if (error < 0) {
        struct otlp_answer answer = {.verdict = OTLP_VERDICT_RETRY};
        answer_set_text(answer.text, slice_of_string(werr_text(error)));
        lane_wait(lane, &answer);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct lane *lane = timer->data;

    lane->state = LANE_IDLE;
    if (queue_totals(lane->destination->queue, lane->signal).entry_count > 0) {
        lane_send(lane);
    }
}

/* Nothing is under way until the backoff is over; a full queue may drop what was. */
static void lane_wait(struct lane *lane, const struct otlp_answer *answer)
{
    struct destination *self = lane->destination;

    queue_hold(self->queue, lane->signal, 0);
    buffer_deinit(&lane->body);
    buffer_init(&lane->body, BODY_BYTES_MAX);
    metric_add(self->config->cells, METRIC_EXPORT_ATTEMPTS_RETRY, 1);
    lane->failing = true;
    lane->state = LANE_WAITING;
    (void)uv_timer_start(&lane->timer, on_timer, backoff_next_ms(&lane->backoff, answer->retry_after_ms), 0);
    emit(self, OTLP_EVENT_FAILED, answer->status, lane->batch_item_count, answer->text);
}

static void count_sent(struct lane *lane, const struct otlp_answer *answer)
{
    struct destination *self = lane->destination;
    uint64_t rejected_count =
        answer->rejected_count < lane->batch_item_count ? answer->rejected_count : lane->batch_item_count;

    metric_add(self->config->cells, METRIC_EXPORT_ATTEMPTS_OK, 1);
    LEDGER_ADD(self->config->cells, rows[lane->signal].sent, lane->batch_item_count - rejected_count);
    if (rejected_count > 0) {
        LEDGER_ADD(self->config->cells, rows[lane->signal].dropped_rejected, rejected_count);
    }
}

static void tell_sent(struct lane *lane, const struct otlp_answer *answer)
{
    struct destination *self = lane->destination;

    if (answer->rejected_count > 0 || answer->text[0] != '\0') {
        emit(self, OTLP_EVENT_REJECTED, answer->status, answer->rejected_count, answer->text);
    }
    if (lane->failing) {
        emit(self, OTLP_EVENT_RECOVERED, answer->status, lane->batch_item_count, "");
    }
    lane->failing = false;
    self->queue_is_full = false;
}

/* The destination has said its last word on the batch. */
static void settle_batch(struct lane *lane, const struct otlp_answer *answer)
{
    struct destination *self = lane->destination;

    if (answer->verdict == OTLP_VERDICT_SENT) {
        count_sent(lane, answer);
    } else {
        metric_add(self->config->cells, METRIC_EXPORT_ATTEMPTS_FAILED, 1);
        LEDGER_ADD(self->config->cells, rows[lane->signal].dropped_rejected, lane->batch_item_count);
    }
    queue_pop(self->queue, lane->signal, lane->batch_entry_count);
    show_queue(self);
    backoff_reset(&lane->backoff);
    buffer_deinit(&lane->body);
    buffer_init(&lane->body, BODY_BYTES_MAX);
    lane->state = LANE_IDLE;
    if (answer->verdict == OTLP_VERDICT_SENT) {
        tell_sent(lane, answer);
    } else {
        emit(self, OTLP_EVENT_REJECTED, answer->status, lane->batch_item_count, answer->text);
    }
}

static void on_done(void *user, const struct otlp_answer *answer)
{
    struct lane *lane = user;
    struct destination *self = lane->destination;

    if (answer->verdict == OTLP_VERDICT_RETRY) {
        lane_wait(lane, answer);
        return;
    }
    settle_batch(lane, answer);
    lane_look(lane);
    if (destination_is_empty(self) && self->emptied != NULL) {
        self->emptied(self->user);
    }
}

/* Whether it is time to send; if not yet, when. */
static void lane_look(struct lane *lane)
{
    struct destination *self = lane->destination;
    struct queue_totals totals = queue_totals(self->queue, lane->signal);

    if (lane->transport == NULL || lane->state != LANE_IDLE || totals.entry_count == 0) {
        return;
    }
    if (self->draining || totals.item_count >= lane->batch_count_max ||
        totals.bytes >= lane->batch_bytes_max || totals.entry_count >= OTLP_BATCH_ITEMS_MAX) {
        (void)uv_timer_stop(&lane->timer);
        lane_send(lane);
    } else if (!uv_is_active((uv_handle_t *)&lane->timer)) {
        (void)uv_timer_start(&lane->timer, on_timer, self->config->batch_delay_ms, 0);
    }
}

static void push(
    struct destination *self, enum otlp_signal signal, struct shared_bytes *bytes, uint64_t item_count)
{
    struct queue_item item = {.bytes = bytes, .item_count = item_count, .signal = signal};

    if (bytes == NULL || queue_push(self->queue, &item) < 0) {
        LEDGER_ADD(self->config->cells, rows[signal].dropped_memory, item_count);
    }
}

struct splitting {
    struct destination *destination;
    enum otlp_signal signal;
    uint64_t item_count; /* handed over and not accounted for yet */
};

static void on_piece(void *user, struct buffer *piece, uint64_t item_count)
{
    struct splitting *splitting = user;
    struct shared_bytes *bytes = shared_bytes_take(piece);
    uint64_t count = item_count < splitting->item_count ? item_count : splitting->item_count;

    splitting->item_count -= count;
    push(splitting->destination, splitting->signal, bytes, count);
    shared_bytes_unref(bytes);
}

/* In as many pieces as the destination's rules need. What is in none of them, it would refuse. */
static void push_split(
    struct destination *self, enum otlp_signal signal, const struct shared_bytes *bytes, uint64_t item_count)
{
    struct splitting splitting = {.destination = self, .signal = signal, .item_count = item_count};
    uint64_t oversized_count;

    (void)split_request(signal, slice_of(bytes->data, bytes->length), &self->lanes[signal].limits, on_piece,
        &splitting, &oversized_count);
    if (splitting.item_count > 0) {
        LEDGER_ADD(self->config->cells, rows[signal].dropped_oversized, splitting.item_count);
        emit(self, OTLP_EVENT_REJECTED, 0, splitting.item_count, "larger than what the destination takes");
    }
}

void destination_offer(
    struct destination *self, enum otlp_signal signal, struct shared_bytes *bytes, uint64_t item_count)
{
    struct metric_cells *cells = self->config->cells;

    LEDGER_ADD(cells, rows[signal].handed, item_count);
    if (self->closed) {
        LEDGER_ADD(cells, rows[signal].dropped_shutdown, item_count);
        return;
    }
    if (split_is_needed(&self->lanes[signal].limits, bytes->length, item_count)) {
        push_split(self, signal, bytes, item_count);
    } else {
        push(self, signal, bytes, item_count);
    }
    show_queue(self);
    lane_look(&self->lanes[signal]);
}

void destination_drain(struct destination *self)
{
    self->draining = true;
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        struct lane *lane = &self->lanes[i];
        if (lane->state == LANE_WAITING) {
            (void)uv_timer_stop(&lane->timer);
            lane->state = LANE_IDLE;
        }
        lane_look(lane);
    }
}

bool destination_is_empty(const struct destination *self)
{
    for (uint32_t signal = 0; signal < OTLP_SIGNAL_COUNT; signal++) {
        if (queue_totals(self->queue, signal).entry_count > 0) {
            return false;
        }
    }
    return true;
}

/* ---- life ---- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_limits(struct lane *lane, const struct otlp_destination_config *config)
{
    lane->batch_count_max = config->batch_count_max;
    lane->batch_bytes_max = config->batch_bytes_max;
    if (config->aws.region != NULL) {
        lane->limits = aws_limits[lane->signal];
        lane->batch_count_max = smaller(lane->batch_count_max, lane->limits.count_max);
        lane->batch_bytes_max = smaller(lane->batch_bytes_max, lane->limits.bytes_max);
    }
}

static int lane_init(
    struct lane *lane, struct destination *self, enum otlp_signal signal, const char **ret_what)
{
    const struct otlp_pacing *pacing = &self->exporter->pacing;
    const struct transport_type *type =
        self->config->protocol == OTLP_PROTOCOL_GRPC ? &transport_grpc : &transport_http;
    struct transport_config config = {
        .loop = self->exporter->loop,
        .clock = self->exporter->clock,
        .destination = self->config,
        .signal = signal,
        .aws = self->aws,
        .connect_timeout_ms = pacing->connect_timeout_ms,
        .done = on_done,
        .user = lane,
    };

    lane->destination = self;
    lane->signal = signal;
    set_limits(lane, self->config);
    buffer_init(&lane->body, BODY_BYTES_MAX);
    if (self->config->url[signal] == NULL) {
        return 0;
    }
    lane->backoff = (struct backoff){
        .initial_ms = pacing->backoff_initial_ms,
        .max_ms = pacing->backoff_max_ms,
        .retry_after_max_ms = pacing->retry_after_max_ms,
        .random = self->exporter->random_seed +
                  (uint64_t)(self->config - self->exporter->destinations) * OTLP_SIGNAL_COUNT + signal,
    };
    lane->compressor = compressor_new(self->config->compression);
    if (lane->compressor == NULL) {
        return WERR_NOMEM;
    }
    return type->make(&config, &lane->transport, ret_what);
}

int destination_init(struct destination *self, const struct otlp_destination_config *config,
    const struct otlp_exporter_config *exporter, const char **ret_what)
{
    *self = (struct destination){.config = config, .exporter = exporter};
    self->queue = queue_memory_new(config->queue_bytes_max, on_dropped, self);
    if (self->queue == NULL) {
        return WERR_NOMEM;
    }
    if (config->aws.region != NULL) {
        self->aws = aws_provider_new(exporter->loop, exporter->clock, &config->aws);
        if (self->aws == NULL) {
            return WERR_NOMEM;
        }
    }
    for (int signal = 0; signal < OTLP_SIGNAL_COUNT; signal++) {
        int error = lane_init(&self->lanes[signal], self, (enum otlp_signal)signal, ret_what);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

void destination_start(struct destination *self)
{
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        struct lane *lane = &self->lanes[i];
        (void)uv_timer_init(self->exporter->loop, &lane->timer);
        lane->timer.data = lane;
        lane->timer_open = true;
    }
}

static void close_lane(struct lane *lane)
{
    struct destination *self = lane->destination;
    struct queue_totals totals = queue_totals(self->queue, lane->signal);

    if (totals.entry_count > 0) {
        LEDGER_ADD(self->config->cells, rows[lane->signal].dropped_shutdown, totals.item_count);
        queue_pop(self->queue, lane->signal, SIZE_MAX);
    }
    if (lane->transport != NULL) {
        lane->transport->type->close(lane->transport);
        lane->transport = NULL;
    }
    if (lane->timer_open) {
        lane->timer_open = false;
        uv_close((uv_handle_t *)&lane->timer, NULL);
    }
}

void destination_close(struct destination *self)
{
    self->closed = true;
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        if (self->queue != NULL && self->lanes[i].destination != NULL) {
            close_lane(&self->lanes[i]);
        }
    }
    aws_provider_close(self->aws); /* after the transports, which may wait for it */
    self->aws = NULL;
    if (self->queue != NULL) {
        show_queue(self);
    }
}

void destination_deinit(struct destination *self)
{
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        compressor_free(self->lanes[i].compressor);
        buffer_deinit(&self->lanes[i].body);
    }
    queue_free(self->queue);
    self->queue = NULL;
}
