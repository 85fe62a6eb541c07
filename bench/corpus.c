/* Loading and re-batching of recorded spans: corpus.h. */
#include "corpus.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "context/context.h"
#include "context/span_request.h"
#include "core/clock.h"
#include "core/error.h"
#include "decode/otlp_trace.h"
#include "decode/wire_write.h"
#include "listen/grpc.h"

enum { READ_BYTES = 65536, STRINGS_MAX = 65536, STRING_BYTES_MAX = 1 << 26, SPAN_BYTES_GUESS = 600 };

/* Fields of Span and LogRecord (opentelemetry/proto/{trace,logs}/v1): all ids and times. */
enum {
    SPAN_TRACE_ID = 1,
    SPAN_ID = 2,
    SPAN_PARENT_ID = 4,
    SPAN_START = 7,
    SPAN_END = 8,
    LOG_TIME = 1,
    LOG_TRACE_ID = 9,
    LOG_SPAN_ID = 10,
    LOG_OBSERVED = 11,
};

enum { REPLAYED_MAX = 1024 }; /* messages of a file */

/* ---- loading ---- */

struct loading {
    struct corpus *corpus;
    struct context context;
    struct sender sender;
    struct otlp_trace_scanner scanner;
};

static int read_file(const char *path, struct buffer *bytes)
{
    FILE *file = fopen(path, "rb");
    static uint8_t block[READ_BYTES];
    size_t length;

    if (file == NULL) {
        return WERR_IO;
    }
    while ((length = fread(block, 1, sizeof block, file)) > 0) {
        (void)buffer_append(bytes, block, length);
    }
    (void)fclose(file);
    return bytes->error;
}

/* The number of that pair, which is entered when new; CORPUS_ENVELOPES_MAX when there are too many. */
static uint32_t envelope_of(struct corpus *corpus, struct slice resource, struct slice scope)
{
    uint32_t i = 0;

    while (i < corpus->envelope_count && !(slice_equal(corpus->envelopes[i].resource, resource) &&
                                             slice_equal(corpus->envelopes[i].scope, scope))) {
        i++;
    }
    if (i == corpus->envelope_count && i < CORPUS_ENVELOPES_MAX) {
        corpus->envelopes[corpus->envelope_count++] =
            (struct corpus_envelope){.resource = resource, .scope = scope};
    }
    return i;
}

static int add_span(
    struct loading *loading, struct slice raw, uint32_t envelope, const struct otlp_resource *resource)
{
    struct corpus *corpus = loading->corpus;
    static struct span span;
    struct attempt attempt;
    struct decode_error where;
    uint64_t skipped = 0;

    if (corpus->span_count == CORPUS_SPANS_MAX || envelope == CORPUS_ENVELOPES_MAX) {
        return WERR_FULL;
    }
    if (otlp_trace_read_span(&loading->scanner, raw, clock_unix_ns(clock_system()), &span, &skipped,
            &where) != RECORD_ERROR_NONE) {
        return WERR_INVALID;
    }
    struct corpus_span *added = &corpus->spans[corpus->span_count++];
    *added = (struct corpus_span){.raw = raw, .envelope = envelope};
    span.resource = &resource->names;
    span.scope_name = slice_of(NULL, 0);
    added->is_request = span_to_request(&loading->context, &span, &loading->sender, &added->request,
                            &attempt) == SPAN_IS_REQUEST;
    corpus->request_count += added->is_request;
    if (span.end_unix_ns > corpus->last_unix_ns) {
        corpus->last_unix_ns = span.end_unix_ns;
    }
    return 0;
}

static int add_log(struct loading *loading, struct slice raw, uint32_t envelope)
{
    struct corpus *corpus = loading->corpus;
    struct wire_reader reader = wire_reader_of(raw);
    struct wire_field field;

    if (corpus->span_count == CORPUS_SPANS_MAX || envelope == CORPUS_ENVELOPES_MAX) {
        return WERR_FULL;
    }
    corpus->spans[corpus->span_count++] = (struct corpus_span){.raw = raw, .envelope = envelope};
    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(LOG_TIME, WIRE_FIXED64) && field.integer > corpus->last_unix_ns) {
            corpus->last_unix_ns = field.integer;
        }
    }
    return 0;
}

static int add_scope_spans(struct loading *loading, struct slice scope_spans, struct slice resource_bytes,
    const struct otlp_resource *resource)
{
    struct wire_reader reader = wire_reader_of(scope_spans);
    struct wire_field field;
    struct slice scope = slice_of(NULL, 0);
    int more;

    while ((more = wire_next(&reader, &field)) > 0) {
        int error = 0;
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            scope = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            uint32_t envelope = envelope_of(loading->corpus, resource_bytes, scope);
            error = loading->corpus->is_logs ? add_log(loading, field.bytes, envelope)
                                             : add_span(loading, field.bytes, envelope, resource);
        }
        if (error < 0) {
            return error;
        }
    }
    return more;
}

static int add_resource_spans(struct loading *loading, struct slice resource_spans)
{
    struct wire_reader reader = wire_reader_of(resource_spans);
    struct wire_field field;
    struct slice resource_bytes = slice_of(NULL, 0);
    struct otlp_resource resource;
    int more = otlp_trace_read_resource(&loading->scanner, resource_spans, &resource);

    while (more >= 0 && (more = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            resource_bytes = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            more = add_scope_spans(loading, field.bytes, resource_bytes, &resource);
        }
    }
    return more;
}

static int add_message(struct loading *loading, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int more;

    context_batch_begin(&loading->context, true, 0);
    while ((more = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            int error = add_resource_spans(loading, field.bytes);
            if (error < 0) {
                return error;
            }
        }
    }
    return more;
}

/* 1 and the message at *at, which goes behind it; 0 at the end; WERR_TRUNCATED. */
static int next_message(const struct buffer *file, size_t *at, struct slice *ret_message)
{
    uint32_t length;

    if (*at + sizeof length > file->length) {
        return 0;
    }
    memcpy(&length, file->data + *at, sizeof length);
    *at += sizeof length;
    if (length > file->length - *at) {
        return WERR_TRUNCATED;
    }
    *ret_message = slice_of(file->data + *at, length);
    *at += length;
    return 1;
}

static int add_messages(struct loading *loading)
{
    struct slice message;
    size_t at = 0;
    int more;

    while ((more = next_message(&loading->corpus->file, &at, &message)) > 0) {
        int error = add_message(loading, message);
        if (error < 0) {
            return error;
        }
    }
    return more;
}

static int interpret(struct corpus *corpus)
{
    struct loading *loading = calloc(1, sizeof *loading);
    struct limits limits;
    struct redaction redaction;
    struct metric_cells *cells = aligned_alloc(_Alignof(struct metric_cells), sizeof *cells);

    corpus->strings.cap_bytes = STRING_BYTES_MAX;
    limits_init(&limits);
    limits.time_skew_s = UINT32_MAX; /* recordings are old */
    redaction_init_default(&redaction);
    corpus->interner = interner_new(STRINGS_MAX, &corpus->strings);
    int error = loading == NULL || cells == NULL || corpus->interner == NULL ? WERR_NOMEM : 0;
    if (error == 0) {
        memset(cells, 0, sizeof *cells);
        loading->corpus = corpus;
        otlp_trace_scanner_init(&loading->scanner, &limits, &redaction);
        error = context_init(&loading->context, corpus->interner, &limits, cells);
    }
    if (error == 0) {
        error = add_messages(loading);
        context_deinit(&loading->context);
    }
    free(cells);
    free(loading);
    return error;
}

int corpus_load(const char *path, struct corpus *ret_corpus)
{
    *ret_corpus = (struct corpus){.is_logs = slice_has_suffix(slice_of_string(path), SLICE_LITERAL(".logs"))};
    buffer_init(&ret_corpus->file, CORPUS_FILE_BYTES_MAX);
    ret_corpus->spans = calloc(CORPUS_SPANS_MAX, sizeof *ret_corpus->spans);
    int error = ret_corpus->spans == NULL ? WERR_NOMEM : read_file(path, &ret_corpus->file);
    if (error == 0) {
        error = interpret(ret_corpus);
    }
    if (error == 0 && ret_corpus->span_count == 0) {
        error = WERR_INVALID;
    }
    if (error < 0) {
        (void)fprintf(stderr, "%s: %s\n", path, werr_text(error));
        corpus_deinit(ret_corpus);
    }
    return error;
}

void corpus_deinit(struct corpus *corpus)
{
    interner_free(corpus->interner);
    corpus->interner = NULL;
    free(corpus->spans);
    corpus->spans = NULL;
    buffer_deinit(&corpus->file);
}

/* ---- batching ---- */

struct batching {
    const struct corpus *corpus;
    const struct corpus_shape *shape;
    struct corpus_batches *batches;
    size_t message_capacity;
    uint64_t round;   /* how often the corpus went through */
    int64_t shift_ns; /* from the recording's time to now */
    struct {
        uint32_t count;
        uint32_t *spans; /* that wait for their message, spans_per_message at most */
    } waiting[CORPUS_ENVELOPES_MAX];
};

static void patch_id(const uint8_t *id, size_t length, uint64_t round)
{
    uint64_t word;
    uint8_t *to = (uint8_t *)(uintptr_t)id; /* in our own copy */

    if (length >= sizeof word) {
        memcpy(&word, to, sizeof word);
        word ^= round * 0x9e3779b97f4a7c15ull;
        memcpy(to, &word, sizeof word);
    }
}

static void patch_time(const uint8_t *end_of_field, int64_t shift_ns)
{
    uint64_t time_ns;
    uint8_t *to = (uint8_t *)(uintptr_t)(end_of_field - sizeof time_ns);

    memcpy(&time_ns, to, sizeof time_ns);
    time_ns += (uint64_t)shift_ns;
    memcpy(to, &time_ns, sizeof time_ns);
}

static bool is_one_of(uint32_t tag, const uint32_t tags[static 3])
{
    return tag == tags[0] || tag == tags[1] || tag == tags[2];
}

/* Ids of this round and times near now, in place: no length changes. */
static void patch_record(struct slice copy, bool is_log, uint64_t round, int64_t shift_ns)
{
    static const uint32_t ids[2][3] = {
        {WIRE_TAG(SPAN_TRACE_ID, WIRE_BYTES), WIRE_TAG(SPAN_ID, WIRE_BYTES),
            WIRE_TAG(SPAN_PARENT_ID, WIRE_BYTES)},
        {WIRE_TAG(LOG_TRACE_ID, WIRE_BYTES), WIRE_TAG(LOG_SPAN_ID, WIRE_BYTES)},
    };
    static const uint32_t times[2][3] = {
        {WIRE_TAG(SPAN_START, WIRE_FIXED64), WIRE_TAG(SPAN_END, WIRE_FIXED64)},
        {WIRE_TAG(LOG_TIME, WIRE_FIXED64), WIRE_TAG(LOG_OBSERVED, WIRE_FIXED64)},
    };
    struct wire_reader reader = wire_reader_of(copy);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (is_one_of(field.tag, ids[is_log])) {
            patch_id(field.bytes.ptr, field.bytes.length, round);
        } else if (is_one_of(field.tag, times[is_log])) {
            patch_time(field.raw.ptr + field.raw.length, shift_ns);
        }
    }
}

/* Slices hold offsets until all bytes are there. */
static int note_message(struct batching *batching, size_t from)
{
    struct corpus_batches *batches = batching->batches;

    if (batches->message_count == batching->message_capacity) {
        size_t capacity = batching->message_capacity * 2 + 1024;
        struct slice *messages = realloc(batches->messages, capacity * sizeof *messages);
        if (messages == NULL) {
            return WERR_NOMEM;
        }
        batches->messages = messages;
        batching->message_capacity = capacity;
    }
    batches->messages[batches->message_count++] =
        (struct slice){.ptr = (const uint8_t *)from, .length = batches->bytes.length - from};
    batches->span_count += batching->shape->spans_per_message;
    return batches->bytes.error;
}

static const uint8_t no_prefix[GRPC_PREFIX_BYTES];

static void write_prefix(uint8_t *at, size_t message_bytes)
{
    uint32_t length = __builtin_bswap32((uint32_t)message_bytes);

    at[0] = 0;
    memcpy(at + 1, &length, sizeof length);
}

static int write_message(struct batching *batching, uint32_t envelope)
{
    const struct corpus *corpus = batching->corpus;
    struct buffer *out = &batching->batches->bytes;
    size_t from = out->length;
    size_t guess_bytes = (size_t)batching->shape->spans_per_message * SPAN_BYTES_GUESS;

    if (batching->shape->prefixed) {
        (void)buffer_append(out, no_prefix, sizeof no_prefix);
    }
    struct wire_envelope resource_spans = wire_envelope_begin(out, 1, guess_bytes);
    wire_write_bytes(out, 1, corpus->envelopes[envelope].resource);
    struct wire_envelope scope_spans = wire_envelope_begin(out, 2, guess_bytes);
    wire_write_bytes(out, 1, corpus->envelopes[envelope].scope);
    for (uint32_t i = 0; i < batching->waiting[envelope].count; i++) {
        struct slice raw = corpus->spans[batching->waiting[envelope].spans[i]].raw;
        wire_write_bytes(out, 2, raw);
        if (out->error == 0) {
            patch_record(slice_of(out->data + out->length - raw.length, raw.length), corpus->is_logs,
                batching->round, batching->shift_ns);
        }
    }
    wire_envelope_end(out, scope_spans);
    wire_envelope_end(out, resource_spans);
    batching->waiting[envelope].count = 0;
    if (batching->shape->prefixed && out->error == 0) {
        write_prefix(out->data + from, out->length - from - GRPC_PREFIX_BYTES);
    }
    return out->error != 0 ? out->error : note_message(batching, from);
}

static int one_round(struct batching *batching)
{
    const struct corpus *corpus = batching->corpus;
    int error = 0;

    for (uint32_t i = 0; i < corpus->span_count && error == 0; i++) {
        uint32_t envelope = corpus->spans[i].envelope;
        if (batching->shape->requests_only && !corpus->spans[i].is_request) {
            continue;
        }
        batching->waiting[envelope].spans[batching->waiting[envelope].count++] = i;
        if (batching->waiting[envelope].count == batching->shape->spans_per_message) {
            error = write_message(batching, envelope);
        }
    }
    batching->round++;
    return error;
}

int corpus_batch(
    const struct corpus *corpus, const struct corpus_shape *shape, struct corpus_batches *ret_batches)
{
    struct batching batching = {.corpus = corpus, .shape = shape, .batches = ret_batches, .round = 1};
    int error = shape->spans_per_message == 0 || (shape->requests_only && corpus->request_count == 0)
                    ? WERR_INVALID
                    : 0;

    *ret_batches = (struct corpus_batches){.message_count = 0};
    buffer_init(&ret_batches->bytes, CORPUS_BATCH_BYTES_MAX);
    batching.shift_ns = (int64_t)(clock_unix_ns(clock_system()) - corpus->last_unix_ns);
    for (uint32_t i = 0; i < corpus->envelope_count; i++) {
        batching.waiting[i].spans = calloc(shape->spans_per_message + 1, sizeof *batching.waiting[i].spans);
        error = batching.waiting[i].spans == NULL ? WERR_NOMEM : error;
    }
    while (error == 0 && (ret_batches->bytes.length < shape->bytes_min || ret_batches->message_count == 0)) {
        error = one_round(&batching);
    }
    for (uint32_t i = 0; i < corpus->envelope_count; i++) {
        free(batching.waiting[i].spans);
    }
    for (size_t i = 0; i < ret_batches->message_count; i++) {
        ret_batches->messages[i].ptr = ret_batches->bytes.data + (size_t)ret_batches->messages[i].ptr;
    }
    if (error < 0) {
        corpus_batches_deinit(ret_batches);
    }
    return error;
}

/* ---- replaying ---- */

static int replay(const struct buffer *file, uint32_t per_call, struct corpus_batches *batches)
{
    struct slice messages[REPLAYED_MAX];
    struct buffer *out = &batches->bytes;
    size_t count = 0;
    size_t at = 0;
    int more = 0;

    while (count < REPLAYED_MAX && (more = next_message(file, &at, &messages[count])) > 0) {
        count++;
    }
    if (more < 0 || count < 2) {
        return more < 0 ? more : WERR_INVALID;
    }
    batches->message_count = per_call > 1 ? 1 : count;
    batches->messages = calloc(batches->message_count, sizeof *batches->messages);
    buffer_init(out, CORPUS_BATCH_BYTES_MAX);
    for (size_t i = 0; batches->messages != NULL && i < batches->message_count * per_call; i++) {
        struct slice message = messages[i < count ? i : 1 + (i - 1) % (count - 1)];
        size_t from = out->length;
        (void)buffer_append(out, no_prefix, sizeof no_prefix);
        (void)buffer_append_slice(out, message);
        if (out->error == 0) {
            write_prefix(out->data + from, message.length);
        }
        batches->messages[i / per_call].length += sizeof no_prefix + message.length;
    }
    at = 0;
    for (size_t i = 0; batches->messages != NULL && i < batches->message_count; i++) {
        batches->messages[i].ptr = out->data + at;
        at += batches->messages[i].length;
    }
    return batches->messages == NULL ? WERR_NOMEM : out->error;
}

int corpus_replay(const char *path, uint32_t per_call, struct corpus_batches *ret_batches)
{
    struct buffer file;

    *ret_batches = (struct corpus_batches){.message_count = 0};
    buffer_init(&file, CORPUS_FILE_BYTES_MAX);
    int error = read_file(path, &file);
    if (error == 0) {
        error = replay(&file, per_call, ret_batches);
    }
    buffer_deinit(&file);
    if (error < 0) {
        (void)fprintf(stderr, "%s: %s\n", path, werr_text(error));
        corpus_batches_deinit(ret_batches);
    }
    return error;
}

void corpus_batches_deinit(struct corpus_batches *batches)
{
    buffer_deinit(&batches->bytes);
    free(batches->messages);
    batches->messages = NULL;
}
