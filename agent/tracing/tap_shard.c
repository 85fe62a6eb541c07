/* Taps; see tap_shard.h. */
#include "tracing/tap_shard.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { NS_PER_MS = 1000000, COUNT_LINE_BYTES = 64 };

/* One who watches. */
struct tap {
    atomic_uint reference_count; /* its home's, one for each feed and each letter */
    atomic_bool is_over;         /* nobody reads */
    atomic_uint letters_under_way;
    struct tap_hub *hub;
    struct mailbox *home; /* of the shard that has the stream */
    /* the home's */
    LIST_ENTRY(tap) link;
    struct tap_shard *shard;
    struct http_stream *stream; /* NULL: it has ended */
    size_t awaited_count;       /* shards that do not know yet */
    bool is_on;                 /* all know */
    struct tap_gate gate;
    uint64_t left_out_count; /* not told yet */
    uint64_t dropped_count;  /* likewise */
    uint64_t written_ns;     /* monotonic: when something was */
    uint64_t told_ns;        /* likewise: when counts were */
};

/* A shard's feed of a tap; first its way there, then the shard's. */
struct tap_subscription {
    struct mail mail; /* first member */
    struct tap_subscription *next;
    struct tap *tap;
    bool is_told; /* the home, that it is there */
    struct tap_feed feed;
};

/* Lines on their way home. */
struct tap_letter {
    struct mail mail; /* first member */
    struct tap *tap;
    struct buffer lines;
    uint64_t left_out_count;
    uint64_t dropped_count;
    bool is_first; /* a shard knows */
};

static void tap_unref(struct tap *tap)
{
    if (atomic_fetch_sub_explicit(&tap->reference_count, 1, memory_order_acq_rel) == 1) {
        tap_hub_leave(tap->hub);
        free(tap);
    }
}

static void tap_ref(struct tap *tap)
{
    atomic_fetch_add_explicit(&tap->reference_count, 1, memory_order_relaxed);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct tap_shard *self, uint64_t delay_ms)
{
    if (!self->is_closed) {
        (void)uv_timer_start(&self->timer, on_timer, delay_ms, 0);
    }
}

/* ---- the home: a stream ---- */

/* Tells a count, once there is room for it. */
static void tell_count(
    struct tap *tap, void (*line)(struct buffer *out, uint64_t count), uint64_t *count, uint64_t now_ns)
{
    struct buffer out;

    if (*count == 0) {
        return;
    }
    buffer_init(&out, COUNT_LINE_BYTES);
    line(&out, *count);
    if (out.error == 0 && http_stream_write(tap->stream, slice_of(out.data, out.length))) {
        *count = 0;
        tap->written_ns = now_ns;
    }
    buffer_deinit(&out);
}

static void drop(struct tap *tap)
{
    tap->dropped_count++;
    metric_add(tap->shard->cells, METRIC_TAP_LINES_DROPPED, 1);
}

static void write_line(struct tap *tap, struct slice line, uint64_t now_ns)
{
    if (!tap_gate_pass(&tap->gate, now_ns)) {
        tap->left_out_count++;
        return;
    }
    tell_count(tap, tap_line_dropped, &tap->dropped_count, now_ns); /* where it is missing */
    if (tap->dropped_count > 0 || !http_stream_write(tap->stream, line)) {
        drop(tap);
        return;
    }
    tap->written_ns = now_ns;
    metric_add(tap->shard->cells, METRIC_TAP_LINES_WRITTEN, 1);
}

static void free_letter(struct tap_letter *letter)
{
    atomic_fetch_sub_explicit(&letter->tap->letters_under_way, 1, memory_order_relaxed);
    tap_unref(letter->tap);
    buffer_deinit(&letter->lines);
    free(letter);
}

/* All shards know: who watches is told so. */
static void begin_watch(struct tap *tap)
{
    tap->is_on = true;
    metric_add(tap->shard->cells, METRIC_TAPS_OPEN, 1);
    (void)http_stream_write(tap->stream, SLICE_LITERAL("\n"));
}

static void on_letter(struct mail *mail, void *receiver)
{
    struct tap_letter *letter = (struct tap_letter *)mail;
    struct tap *tap = letter->tap;
    struct slice rest = slice_of(letter->lines.data, letter->lines.length);

    (void)receiver;
    if (tap->stream != NULL) {
        uint64_t now_ns = clock_monotonic_ns(tap->shard->clock);

        tap->awaited_count -= letter->is_first;
        if (tap->awaited_count == 0 && !tap->is_on) {
            begin_watch(tap);
        }
        tap->left_out_count += letter->left_out_count;
        tap->dropped_count += letter->dropped_count;
        while (rest.length > 0) {
            size_t end = slice_find(rest, '\n') + 1;
            write_line(tap, slice_sub(rest, 0, end), now_ns);
            rest = slice_sub(rest, end, rest.length);
        }
    }
    free_letter(letter);
}

/* Once a second or so: what is missing is told, and a reader that has gone is noticed. */
static void look_after(struct tap *tap, uint64_t now_ns)
{
    if (now_ns - tap->told_ns >= (uint64_t)TAP_ALIVE_MS * NS_PER_MS) {
        tap->told_ns = now_ns;
        tell_count(tap, tap_line_dropped, &tap->dropped_count, now_ns);
        tell_count(tap, tap_line_left_out, &tap->left_out_count, now_ns);
    }
    if (now_ns - tap->written_ns >= (uint64_t)TAP_ALIVE_MS * NS_PER_MS) {
        tap->written_ns = now_ns;
        (void)http_stream_write(tap->stream, SLICE_LITERAL("\n"));
    }
}

static void on_ended(void *user)
{
    struct tap *tap = user;

    tap->stream = NULL;
    LIST_REMOVE(tap, link);
    metric_add(tap->shard->cells, METRIC_TAPS_OPEN, tap->is_on ? (uint64_t)-1 : 0);
    atomic_store_explicit(&tap->is_over, true, memory_order_relaxed);
    tap_unref(tap);
}

/* ---- a shard: feeds ---- */

static void free_subscription(struct tap_subscription *subscription)
{
    tap_feed_deinit(&subscription->feed);
    tap_unref(subscription->tap);
    free(subscription);
}

/* The record path's list is this one. */
static void show_feeds(struct tap_shard *self)
{
    struct tap_feed **link = &self->pipeline->taps;

    for (struct tap_subscription *at = self->subscriptions; at != NULL; at = at->next) {
        *link = &at->feed;
        link = &at->feed.next;
    }
    *link = NULL;
}

/* False when the shard could not be told. */
static bool subscribe(
    struct tap_shard *self, struct tap *tap, const struct tap_query *query, const struct tap_member *member)
{
    struct tap_subscription *subscription = calloc(1, sizeof *subscription);

    if (subscription == NULL) {
        return false;
    }
    subscription->tap = tap;
    subscription->mail.deliver = member->deliver;
    if (tap_feed_init(&subscription->feed, &query->filter, query->rate_per_s,
            (uint32_t)self->limits->tap_records_count_max, clock_monotonic_ns(self->clock)) < 0) {
        free(subscription);
        return false;
    }
    tap_ref(tap);
    if (mailbox_post(member->mailbox, &subscription->mail)) {
        tap->awaited_count++;
    } else {
        free_subscription(subscription); /* that shard has ended */
    }
    return true;
}

/* As many as fit. */
static void write_lines(struct tap_shard *self, struct tap_feed *feed, struct tap_letter *letter)
{
    const struct tap_record *record;

    for (int i = 0; i < TAP_LETTER_LINES_MAX && (record = tap_feed_first(feed)) != NULL; i++) {
        size_t length = letter->lines.length;

        tap_line(&letter->lines, record, self->pipeline->interner);
        if (letter->lines.error < 0) {
            letter->lines.length = length;
            letter->lines.error = 0;
            if (length > 0) {
                break; /* there will be more room in the next one */
            }
            feed->dropped_count++;
        }
        tap_feed_pop(feed);
    }
}

/* NULL when there may be no more of them now. */
static struct tap_letter *letter_new(struct tap *tap)
{
    bool is_allowed =
        atomic_load_explicit(&tap->letters_under_way, memory_order_relaxed) < TAP_LETTERS_COUNT_MAX;
    struct tap_letter *letter = is_allowed ? calloc(1, sizeof *letter) : NULL;

    if (letter != NULL) {
        tap_ref(tap);
        atomic_fetch_add_explicit(&tap->letters_under_way, 1, memory_order_relaxed);
        letter->mail.deliver = on_letter;
        letter->tap = tap;
        buffer_init(&letter->lines, TAP_LETTER_BYTES_MAX);
    }
    return letter;
}

static void post_letter(struct tap_letter *letter)
{
    if (!mailbox_post(letter->tap->home, &letter->mail)) {
        free_letter(letter);
    }
}

/* Of a feed that is new: with the first letter that there is memory for. */
static void tell_home(struct tap_subscription *subscription)
{
    struct tap_letter *letter = subscription->is_told ? NULL : letter_new(subscription->tap);

    if (letter != NULL) {
        subscription->is_told = true;
        letter->is_first = true;
        post_letter(letter);
    }
}

/* True when there is more at once. */
static bool send_lines(struct tap_shard *self, struct tap_subscription *subscription)
{
    struct tap_feed *feed = &subscription->feed;

    if (feed->count == 0 && feed->left_out_count == 0 && feed->dropped_count == 0) {
        return false;
    }
    struct tap_letter *letter = letter_new(subscription->tap);
    if (letter == NULL) {
        return false; /* records wait */
    }
    write_lines(self, feed, letter);
    letter->left_out_count = feed->left_out_count;
    letter->dropped_count = feed->dropped_count;
    metric_add(self->cells, METRIC_TAP_LINES_DROPPED, feed->dropped_count);
    feed->left_out_count = 0;
    feed->dropped_count = 0;
    post_letter(letter);
    return feed->count > 0;
}

static void drop_ended(struct tap_shard *self, bool all)
{
    struct tap_subscription **link = &self->subscriptions;

    while (*link != NULL) {
        struct tap_subscription *subscription = *link;

        if (all || atomic_load_explicit(&subscription->tap->is_over, memory_order_relaxed)) {
            *link = subscription->next;
            free_subscription(subscription);
        } else {
            link = &subscription->next;
        }
    }
    show_feeds(self);
}

void tap_shard_take(struct tap_shard *self, struct mail *mail)
{
    struct tap_subscription *subscription = (struct tap_subscription *)mail;

    if (self->is_closed) {
        free_subscription(subscription);
        return;
    }
    subscription->next = self->subscriptions;
    self->subscriptions = subscription;
    show_feeds(self);
    tell_home(subscription);
    arm(self, TAP_TICK_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct tap_shard *self = timer->data;
    uint64_t now_ns = clock_monotonic_ns(self->clock);
    bool has_more = false;
    struct tap *tap;

    drop_ended(self, false);
    for (struct tap_subscription *at = self->subscriptions; at != NULL; at = at->next) {
        tell_home(at);
        has_more |= send_lines(self, at);
    }
    LIST_FOREACH(tap, &self->taps, link)
    {
        look_after(tap, now_ns);
    }
    if (self->subscriptions != NULL || !LIST_EMPTY(&self->taps)) {
        arm(self, has_more ? 1 : TAP_TICK_MS);
    }
}

/* ---- begin and end ---- */

int tap_shard_begin(struct tap_shard *self, struct http_exchange *exchange, const struct tap_query *query)
{
    if (self->is_closed) {
        return WERR_CLOSED;
    }
    if (!tap_hub_admit(self->hub)) {
        metric_add(self->cells, METRIC_TAPS_REFUSED, 1);
        return WERR_FULL;
    }
    struct tap *tap = calloc(1, sizeof *tap);
    if (tap == NULL) {
        tap_hub_leave(self->hub);
        return WERR_NOMEM;
    }
    tap->hub = self->hub;
    tap->home = self->mailbox;
    tap->shard = self;
    tap->written_ns = clock_monotonic_ns(self->clock);
    tap->told_ns = tap->written_ns;
    atomic_store_explicit(&tap->reference_count, 1, memory_order_relaxed);
    tap_gate_init(&tap->gate, query->rate_per_s, tap->written_ns);
    bool is_told = true;
    for (size_t i = 0; i < self->hub->count && is_told; i++) {
        is_told = subscribe(self, tap, query, &self->hub->members[i]);
    }
    int error = is_told ? http_stream_begin(exchange, "application/x-ndjson",
                              (size_t)self->limits->tap_bytes_max, on_ended, tap, &tap->stream)
                        : WERR_NOMEM;
    if (error < 0) {
        atomic_store_explicit(&tap->is_over, true, memory_order_relaxed);
        tap_unref(tap);
        return error;
    }
    LIST_INSERT_HEAD(&self->taps, tap, link);
    arm(self, TAP_TICK_MS);
    return 0;
}

void tap_shard_init(struct tap_shard *self, uv_loop_t *loop)
{
    self->subscriptions = NULL;
    self->is_closed = false;
    LIST_INIT(&self->taps);
    (void)uv_timer_init(loop, &self->timer);
    self->timer.data = self;
}

void tap_shard_close(struct tap_shard *self)
{
    self->is_closed = true;
    drop_ended(self, true);
    uv_close((uv_handle_t *)&self->timer, NULL);
}
