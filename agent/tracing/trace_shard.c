/* Tasks on a shard's ring; see trace_shard.h. */
#include "tracing/trace_shard.h"

#include <stdlib.h>

#include "context/clean_text.h"
#include "core/error.h"
#include "query/trace_jaeger.h"

enum { SCRATCH_BYTES_MAX = 1 << 20, NS_PER_US = 1000, MATCHES_COUNT_FIRST = 16 };

void trace_task_deinit(struct trace_task *task)
{
    for (size_t i = 0; task->parts != NULL && i < task->id_count; i++) {
        shared_bytes_unref(task->parts[i]);
    }
    free(task->parts);
    buffer_deinit(&task->out);
    free(task->matches);
    trace_names_deinit(&task->names);
    task->parts = NULL;
    task->matches = NULL;
}

void trace_task_return(struct trace_task *task)
{
    task->mail = (struct mail){.deliver = task->answered};
    (void)mailbox_post(task->reply_to, &task->mail);
}

/* ---- a trace by id ---- */

/* What was written of a trace becomes its part. Of a trace that is wanted whole, or not at all, less is no
 * part. */
static void end_part(struct trace_task *task)
{
    bool is_useless = task->is_part_cut && task->trace_bytes_max > 0;

    task->is_cut |= is_useless;
    if (task->out.length > 0 && !is_useless) {
        task->part_bytes += task->out.length;
        task->parts[task->at] = shared_bytes_take(&task->out);
        task->is_cut |= task->parts[task->at] == NULL;
    }
    buffer_deinit(&task->out);
    task->is_part_cut = false;
    task->walk = (struct ring_walk_cursor){.has_begun = false};
    task->at++;
}

/* A slice of one trace; true when the task is done. */
static bool fetch(struct trace_shard *self, struct trace_task *task)
{
    struct ring_write how = {.only_not_kept = false};
    struct ring_written written;

    if (task->parts == NULL) {
        task->parts = calloc(task->id_count, sizeof(struct shared_bytes *));
    }
    if (task->parts == NULL || task->part_bytes >= task->bytes_max) {
        task->is_cut = true;
        return true;
    }
    if (!task->walk.has_begun) {
        size_t bytes_max = task->bytes_max - task->part_bytes;
        buffer_init(&task->out,
            task->part_bytes_max > 0 && task->part_bytes_max < bytes_max ? task->part_bytes_max : bytes_max);
    }
    int error = ring_write_some(self->ring, task->ids[task->at], &how, &task->walk, &task->out, &written);
    if (error == 0) {
        task->left_out_count += written.left_out_count;
        task->is_cut |= written.is_cut;
        task->is_part_cut |= written.left_out_count > 0;
    }
    task->is_cut |= error == WERR_NOMEM;
    task->is_part_cut |= error == WERR_NOMEM;
    bool is_oversized = task->trace_bytes_max > 0 && task->out.length > task->trace_bytes_max;
    if (error < 0 || task->walk.is_over || is_oversized) {
        end_part(task);
    }
    return task->at == task->id_count;
}

/* ---- an entry as a span ---- */

struct entry_span {
    struct trace_group group;
    struct trace_span span;
};

/* What came otherwise than as OTLP is written as OTLP first, into the scratch. */
static bool read_compact(struct trace_shard *self, const struct ring_entry *entry, struct slice *ret_raw,
    struct trace_group *ret_group)
{
    struct otlp_encode_span request;
    struct otlp_encoder encoder;
    struct slice resource_spans;
    struct slice scope_spans;

    self->scratch.length = 0;
    self->scratch.error = 0;
    if (!ring_entry_request(entry, &request)) {
        return false;
    }
    otlp_encode_begin(&encoder, &self->scratch);
    if (otlp_encode_span(&encoder, &request) <= 0 || otlp_encode_end(&encoder) == 0) {
        return false;
    }
    struct wire_reader reader = wire_reader_of(slice_of(self->scratch.data, self->scratch.length));
    if (!trace_next_message(&reader, 1, &resource_spans)) {
        return false;
    }
    reader = wire_reader_of(resource_spans);
    if (!trace_next_message(&reader, 2, &scope_spans) ||
        !trace_read_group(resource_spans, scope_spans, ret_group)) {
        return false;
    }
    reader = wire_reader_of(scope_spans);
    return trace_next_message(&reader, 2, ret_raw);
}

static bool read_entry(struct trace_shard *self, const struct ring_entry *entry, struct entry_span *ret_span)
{
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];
    struct slice raw = entry->raw;
    bool is_read = entry->form == RING_FORM_OTLP
                       ? trace_read_group(entry->resource_fields, entry->scope_fields, &ret_span->group)
                       : read_compact(self, entry, &raw, &ret_span->group);

    return is_read && trace_read_span(raw, &ret_span->span, trace_id);
}

/* The names of the service that reported: what traces are shown with. Texts are the entry's. */
static bool read_service(const struct ring_entry *entry, struct slice *ret_name, struct slice *ret_namespace)
{
    struct otlp_encode_span request;
    struct trace_group group;

    if (entry->form == RING_FORM_OTLP) {
        bool is_read = trace_read_group(entry->resource_fields, slice_of(NULL, 0), &group);
        *ret_name = group.service_name;
        *ret_namespace = group.service_namespace;
        return is_read;
    }
    if (!ring_entry_request(entry, &request)) {
        return false;
    }
    bool is_source = request.reporter == OTLP_ENCODE_SOURCE;
    *ret_name = is_source ? request.source : request.destination;
    *ret_namespace = is_source ? request.source_namespace : request.destination_namespace;
    if (ret_name->length == 0) {
        *ret_name = SLICE_LITERAL("unknown_service"); /* as otlp_encode.c writes it */
    }
    return true;
}

/* ---- which services ---- */

/* The place of a service's verdict; `*ret_is_known` when it is this one's. */
static struct trace_memo *find_memo(struct trace_shard *self, const struct trace_task *task,
    const struct ring_entry *entry, bool *ret_is_known)
{
    const void *resource = entry->form == RING_FORM_OTLP ? (const void *)entry->resource_fields.ptr
                                                         : (const void *)entry->view.header;
    uintptr_t hash = ((uintptr_t)resource >> 3) * 31 + ((uintptr_t)entry->service.ptr >> 1);
    struct trace_memo *memo = &self->memo[hash % TRACE_MEMO_COUNT];

    *ret_is_known = memo->resource == resource && memo->service == entry->service.ptr &&
                    memo->block == task->cursor.block && entry->form == RING_FORM_OTLP;
    if (!*ret_is_known) {
        *memo = (struct trace_memo){
            .resource = resource, .service = entry->service.ptr, .block = task->cursor.block};
    }
    return memo;
}

/* Whether the query's service reported the entry: by the name that it is shown with, or the one that the
 * agent gave it. */
static bool is_wanted_service(
    struct trace_shard *self, const struct trace_task *task, const struct ring_entry *entry)
{
    struct slice wanted = task->query->service;
    struct trace_group group = {.hash = 0};
    bool is_known;

    if (wanted.length == 0 || slice_equal(entry->service, wanted)) {
        return true;
    }
    struct trace_memo *memo = find_memo(self, task, entry, &is_known);
    if (!is_known) {
        memo->is_wanted = read_service(entry, &group.service_name, &group.service_namespace) &&
                          trace_is_service(&group, wanted);
    }
    return memo->is_wanted;
}

/* ---- searches ---- */

static struct ring_filter filter_of(const struct trace_query *query)
{
    return (struct ring_filter){
        .duration_min_ns = query->duration_min_ns,
        .duration_max_ns = query->duration_max_ns,
        .start_min_unix_ns = query->start_min_unix_ns,
        .start_max_unix_ns = query->start_max_unix_ns,
        .response_flags = query->response_flags,
        .only_errors = query->only_errors,
    };
}

/* Remembers a trace's id: false when it was there. The table is twice as large as a search's limit. */
static bool remember_trace(struct trace_shard *self, const uint8_t trace_id[static TRACE_MODEL_ID_BYTES])
{
    _Static_assert(TRACE_SEEN_COUNT_MIN >= 2 * TRACE_QUERY_LIMIT_MAX, "there is always a free place");
    uint64_t halves[2];

    memcpy(halves, trace_id, sizeof halves);
    uint64_t word = (halves[0] ^ halves[1] * 0x9e3779b97f4a7c15u) | 1;
    size_t at = (size_t)(word >> 32) % TRACE_SEEN_COUNT_MIN;
    while (self->seen[at] != 0) {
        if (self->seen[at] == word) {
            return false;
        }
        at = (at + 1) % TRACE_SEEN_COUNT_MIN;
    }
    self->seen[at] = word;
    return true;
}

static bool is_trace_known(
    const struct trace_shard *self, const uint8_t trace_id[static TRACE_MODEL_ID_BYTES])
{
    uint64_t halves[2];

    memcpy(halves, trace_id, sizeof halves);
    uint64_t word = (halves[0] ^ halves[1] * 0x9e3779b97f4a7c15u) | 1;
    size_t at = (size_t)(word >> 32) % TRACE_SEEN_COUNT_MIN;
    for (; self->seen[at] != 0; at = (at + 1) % TRACE_SEEN_COUNT_MIN) {
        if (self->seen[at] == word) {
            return true;
        }
    }
    return false;
}

static bool contains(struct slice text, struct slice key)
{
    return key.length == 0 ||
           (text.length >= key.length && memmem(text.ptr, text.length, key.ptr, key.length) != NULL);
}

/* Tags that are made of something else than an attribute of that name (trace_tags.c). */
static bool is_derived(struct slice key)
{
    return slice_has_prefix(key, SLICE_LITERAL("otel.")) || slice_equal(key, SLICE_LITERAL("span.kind")) ||
           slice_equal(key, SLICE_LITERAL("error")) || slice_equal(key, SLICE_LITERAL("event")) ||
           slice_equal(key, SLICE_LITERAL("w3c.tracestate"));
}

/* A look at the bytes spares reading most spans that lack a tag. */
static bool may_have_tags(const struct trace_query *query, const struct ring_entry *entry)
{
    for (size_t i = 0; i < query->tag_count && entry->form == RING_FORM_OTLP; i++) {
        struct slice key = query->tags[i].key;
        if (!is_derived(key) && !contains(entry->raw, key) && !contains(entry->resource_fields, key)) {
            return false;
        }
    }
    return true;
}

static bool is_wanted(struct trace_shard *self, const struct trace_task *task, const struct ring_entry *entry)
{
    const struct trace_query *query = task->query;
    struct trace_query rest;
    struct entry_span span;

    if (is_trace_known(self, entry->trace_id) || !is_wanted_service(self, task, entry)) {
        return false;
    }
    if (query->tag_count == 0 &&
        (query->operation.length == 0 || slice_equal(query->operation, entry->route))) {
        return true;
    }
    if (!may_have_tags(query, entry) || !read_entry(self, entry, &span)) {
        return false;
    }
    /* what is left to look at; the service may be another one in the span's own words */
    rest.service = slice_of(NULL, 0);
    rest.operation = slice_equal(query->operation, entry->route) ? slice_of(NULL, 0) : query->operation;
    rest.tag_count = query->tag_count;
    memcpy(rest.tags, query->tags, sizeof rest.tags);
    return trace_span_matches(&rest, &span.group, &span.span);
}

/* False when the search is over: for want of memory, or with as many as were asked for. */
static bool add_match(struct trace_shard *self, struct trace_task *task, const struct ring_entry *entry)
{
    size_t count = task->match_count;

    if (count == 0 || (count >= MATCHES_COUNT_FIRST && (count & (count - 1)) == 0)) {
        size_t capacity = count == 0 ? MATCHES_COUNT_FIRST : 2 * count;
        struct trace_match *grown = realloc(task->matches, capacity * sizeof *grown);
        if (grown == NULL) {
            task->is_cut = true;
            return false;
        }
        task->matches = grown;
    }
    struct trace_match *match = &task->matches[task->match_count++];
    *match = (struct trace_match){
        .start_unix_ns = entry->start_unix_ns,
        .duration_ns = entry->duration_ns,
        .response_flags = entry->response_flags,
        .response_code = entry->response_code,
        .outcome = entry->outcome,
        .is_error = entry->is_error,
    };
    memcpy(match->trace_id, entry->trace_id, sizeof match->trace_id);
    memcpy(match->span_id, entry->span_id, sizeof match->span_id);
    match->service_length = trace_match_text(match->service, entry->service);
    match->route_length = trace_match_text(match->route, strip_query(entry->route));
    (void)remember_trace(self, entry->trace_id);
    return task->match_count < task->query->limit;
}

/* ---- names ---- */

static void put_service(struct trace_shard *self, struct trace_task *task, const struct ring_entry *entry)
{
    struct slice name;
    struct slice name_space;
    bool is_known;

    (void)find_memo(self, task, entry, &is_known);
    if (is_known || !read_service(entry, &name, &name_space)) {
        return;
    }
    self->scratch.length = 0;
    self->scratch.error = 0;
    trace_service_name_of(&self->scratch, name, name_space);
    trace_names_add(&task->names, slice_of(self->scratch.data, self->scratch.length), 0);
}

/* Of OTLP two fields are read; what came otherwise is written as OTLP for its name. */
static void put_operation(struct trace_shard *self, struct trace_task *task, const struct ring_entry *entry)
{
    struct trace_group group;
    struct slice raw = entry->raw;
    struct slice name = {0};
    struct wire_field field;

    if (!is_wanted_service(self, task, entry) ||
        (entry->form != RING_FORM_OTLP && !read_compact(self, entry, &raw, &group))) {
        return;
    }
    struct wire_reader reader = wire_reader_of(raw);
    while (name.length == 0 && wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(5, WIRE_BYTES)) {
            name = field.bytes;
        }
    }
    trace_names_add(&task->names, strip_query(name), entry->span_kind);
}

/* ---- turns ---- */

static void begin(struct trace_shard *self, struct trace_task *task)
{
    task->has_begun = true;
    memset(self->memo, 0, sizeof self->memo);
    memset(self->seen, 0, sizeof self->seen);
    if (self->ring != NULL) {
        task->cursor = ring_cursor_newest(self->ring);
    }
}

/* What becomes of an entry; false when no more are wanted. */
static bool take_entry(struct trace_shard *self, struct trace_task *task, const struct ring_entry *entry)
{
    switch (task->kind) {
    case TRACE_TASK_SEARCH:
        return !is_wanted(self, task, entry) || add_match(self, task, entry);
    case TRACE_TASK_SERVICES:
        put_service(self, task, entry);
        return true;
    case TRACE_TASK_OPERATIONS:
    case TRACE_TASK_FETCH:
    default:
        put_operation(self, task, entry);
        return true;
    }
}

/* One slice; true when the task is done. */
static bool walk(struct trace_shard *self, struct trace_task *task, uint64_t deadline_ns)
{
    struct ring_filter filter =
        task->kind == TRACE_TASK_SEARCH ? filter_of(task->query) : (struct ring_filter){0};
    struct ring_entry entry;

    for (;;) {
        enum ring_step step = ring_search(self->ring, &task->cursor, &filter, deadline_ns, &entry);
        if (step == RING_PAUSE) {
            return false;
        }
        if (step == RING_END || !take_entry(self, task, &entry)) {
            return true;
        }
        if (clock_monotonic_ns(self->clock) >= deadline_ns) {
            return false;
        }
    }
}

/* As much of a task as fits a slice; true when it is done. */
static bool work(struct trace_shard *self, struct trace_task *task)
{
    uint64_t deadline_ns = clock_monotonic_ns(self->clock) + (uint64_t)TRACE_SLICE_US * NS_PER_US;

    if (self->ring == NULL) {
        return true;
    }
    if (atomic_load_explicit(task->cancelled, memory_order_relaxed)) {
        task->is_cut = true;
        return true;
    }
    if (!task->has_begun) {
        begin(self, task);
    }
    if (task->kind != TRACE_TASK_FETCH) {
        return walk(self, task, deadline_ns);
    }
    while (!fetch(self, task)) {
        if (clock_monotonic_ns(self->clock) >= deadline_ns) {
            return false;
        }
    }
    return true;
}

static void on_idle(uv_idle_t *idle)
{
    struct trace_shard *self = idle->data;
    struct trace_task *task = self->tasks;

    if (task != NULL && work(self, task)) {
        self->tasks = task->next;
        trace_task_return(task);
    }
    if (self->tasks == NULL) {
        (void)uv_idle_stop(idle);
    }
}

void trace_shard_take(struct trace_shard *self, struct trace_task *task)
{
    struct trace_task **link = &self->tasks;

    task->next = NULL;
    if (self->ring == NULL || uv_is_closing((uv_handle_t *)&self->idle)) {
        task->is_cut = self->ring != NULL;
        trace_task_return(task);
        return;
    }
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = task;
    (void)uv_idle_start(&self->idle, on_idle);
}

void trace_shard_init(struct trace_shard *self, uv_loop_t *loop, struct ring *ring, const struct clock *clock)
{
    self->ring = ring;
    self->clock = clock;
    self->tasks = NULL;
    buffer_init(&self->scratch, SCRATCH_BYTES_MAX);
    (void)uv_idle_init(loop, &self->idle);
    self->idle.data = self;
}

void trace_shard_close(struct trace_shard *self)
{
    while (self->tasks != NULL) {
        struct trace_task *task = self->tasks;
        self->tasks = task->next;
        task->is_cut = true;
        trace_task_return(task);
    }
    uv_close((uv_handle_t *)&self->idle, NULL);
}

void trace_shard_deinit(struct trace_shard *self)
{
    buffer_deinit(&self->scratch);
}
