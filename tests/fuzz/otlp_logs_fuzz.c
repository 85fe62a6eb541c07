/*
 * OTLP log messages on arbitrary bytes: the scanner, the copier and the encoder, which must agree. The scan
 * hands over what it counts; the copy scans clean with as many records as it says, and needs no other copy;
 * each entry, written as OTLP, is read back as an entry of the same kind.
 *
 * The first byte chooses limits; the rest is the message.
 */
#include "fuzz.h"

#include "decode/otlp_log_encode.h"
#include "decode/otlp_logs.h"

enum { FUZZ_OUTPUT_BYTES_MAX = 1 << 22 };

#define FUZZ_NOW_UNIX_NS 1700000000000000000ull

enum fuzz_option { FUZZ_SMALL_LIMITS = 1, FUZZ_SMALL_OUTPUT = 2, FUZZ_NO_REDACTION = 4 };

struct seen {
    struct slice message;
    struct access_log_reporter reporter;
    uint32_t entries_count;
    uint32_t others_count;
    uint32_t refused_count;
    uint32_t kinds[ACCESS_LOG_KIND_COUNT];
    uint64_t checksum;
    struct buffer *encoded; /* NULL: entries are not encoded */
    const struct attribute_table *table;
};

/* Texts are parts of the message. */
static void look_at(struct seen *seen, struct slice text)
{
    FUZZ_CHECK(text.length == 0 || (text.ptr >= seen->message.ptr &&
                                       text.ptr + text.length <= seen->message.ptr + seen->message.length));
    for (size_t i = 0; i < text.length; i++) {
        seen->checksum += text.ptr[i];
    }
}

static void on_resource(void *user, const struct access_log_reporter *reporter)
{
    struct seen *seen = user;

    look_at(seen, reporter->node_id);
    look_at(seen, reporter->log_name);
    look_at(seen, reporter->service);
    look_at(seen, reporter->service_namespace);
    look_at(seen, reporter->address);
    look_at(seen, reporter->self.pod);
    seen->reporter = *reporter;
}

static void on_entry(void *user, const struct access_log_entry *entry)
{
    static const struct otlp_log_meaning meaning = {
        .severity = OTLP_LOG_INFO, .reporter = SLICE_LITERAL("source"), .outcome = SLICE_LITERAL("ok")};
    struct seen *seen = user;

    FUZZ_CHECK(entry->kind < ACCESS_LOG_KIND_COUNT);
    seen->entries_count++;
    seen->kinds[entry->kind]++;
    look_at(seen, entry->raw);
    look_at(seen, entry->method);
    look_at(seen, entry->path);
    look_at(seen, entry->authority);
    look_at(seen, entry->upstream_cluster);
    look_at(seen, entry->response_flags_text);
    look_at(seen, entry->details);
    look_at(seen, entry->request_id);
    look_at(seen, entry->upstream.identity);
    if (seen->encoded != NULL) {
        otlp_log_encode(seen->table, entry, &seen->reporter, &meaning, FUZZ_NOW_UNIX_NS, seen->encoded);
    }
}

static void on_other(void *user)
{
    ((struct seen *)user)->others_count++;
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;
    char text[DECODE_ERROR_TEXT_BYTES];

    FUZZ_CHECK(where->reason != RECORD_ERROR_NONE && where->code < 0);
    FUZZ_CHECK(where->record == seen->entries_count + seen->others_count + seen->refused_count);
    FUZZ_CHECK(decode_error_format(where, text, sizeof text) > 0);
    seen->refused_count++;
}

static int scan(const struct otlp_logs_scanner *scanner, struct slice message, struct seen *seen,
    struct otlp_logs_result *result)
{
    struct otlp_logs_sink sink = {.user = seen,
        .on_resource = on_resource,
        .on_entry = on_entry,
        .on_other = on_other,
        .on_refused = on_refused};
    struct decode_error error;

    seen->message = message;
    int status = otlp_logs_scan(scanner, message, FUZZ_NOW_UNIX_NS, &sink, result, &error);
    FUZZ_CHECK(result->records_count == seen->entries_count + seen->others_count);
    FUZZ_CHECK(result->refused_count == seen->refused_count);
    FUZZ_CHECK(status == 0 || error.code == status);
    return status;
}

static void check_copy(const struct otlp_logs_scanner *scanner, struct slice message, int status,
    uint32_t records_count, size_t cap_bytes)
{
    struct otlp_logs_result result;
    struct seen again = {.entries_count = 0};
    struct buffer out;
    uint32_t copied_count = 0;

    buffer_init(&out, cap_bytes);
    if (otlp_logs_rewrite(scanner, message, &out, &copied_count) == 0) {
        FUZZ_CHECK(status < 0 || copied_count == records_count);
        FUZZ_CHECK(scan(scanner, slice_of(out.data, out.length), &again, &result) == 0);
        FUZZ_CHECK(result.records_count == copied_count && result.refused_count == 0);
        FUZZ_CHECK(!result.needs_rewrite);
    } else {
        FUZZ_CHECK(out.length == 0);
    }
    buffer_deinit(&out);
}

static void check_encoded(const struct otlp_logs_scanner *scanner, const struct seen *seen)
{
    struct otlp_logs_result result;
    struct seen again = {.entries_count = 0};
    const struct buffer *out = seen->encoded;

    if (out->error == 0) {
        FUZZ_CHECK(scan(scanner, slice_of(out->data, out->length), &again, &result) == 0);
        FUZZ_CHECK(again.entries_count == seen->entries_count);
        for (size_t i = 0; i < ACCESS_LOG_KIND_COUNT; i++) {
            FUZZ_CHECK(again.kinds[i] == seen->kinds[i]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct otlp_trace_scanner base;
    struct otlp_logs_scanner scanner;
    struct otlp_logs_result result;
    struct buffer encoded;
    struct limits limits;
    struct redaction redaction;
    uint8_t options = size > 0 ? data[0] : 0;
    struct slice message = slice_of(data + (size > 0), size > 0 ? size - 1 : 0);

    limits_init(&limits);
    redaction_init_default(&redaction);
    if ((options & FUZZ_NO_REDACTION) != 0) {
        redaction_init(&redaction);
    }
    if ((options & FUZZ_SMALL_LIMITS) != 0) {
        limits.attribute_bytes_max = 16;
        limits.span_attributes_count_max = 64;
        limits.nesting_depth_max = 2;
    }
    otlp_trace_scanner_init(&base, &limits, &redaction);
    otlp_logs_scanner_init(&scanner, &base);
    buffer_init(&encoded, FUZZ_OUTPUT_BYTES_MAX);
    struct seen seen = {.encoded = &encoded, .table = &base.attributes};
    int status = scan(&scanner, message, &seen, &result);
    if ((options & FUZZ_SMALL_LIMITS) == 0) { /* they skip what the encoder writes */
        check_encoded(&scanner, &seen);
    }
    buffer_deinit(&encoded);
    check_copy(&scanner, message, status, result.records_count,
        (options & FUZZ_SMALL_OUTPUT) != 0 ? 64 : FUZZ_OUTPUT_BYTES_MAX);
    return 0;
}
