/*
 * Access log lines on arbitrary bytes: what is read lies in the line or in the reader's own memory, reading
 * again comes to the same whatever order of members the reader remembers, and limits hold.
 *
 * The first byte chooses preset and depth; the rest is the line.
 */
#include "fuzz.h"

#include <string.h>

#include "decode/access_json.h"

enum { LINE_BYTES_MAX = 4096, DEPTH_COUNT = 8 };
#define NOW_NS 1795434905500000000ull

static const struct access_json *at_hand;
static struct slice line;

static void check_place(struct slice text)
{
    if (text.length == 0) {
        return;
    }
    const uint8_t *end = text.ptr + text.length;
    bool in_line = text.ptr >= line.ptr && end <= line.ptr + line.length;
    bool in_scratch = text.ptr >= at_hand->scratch && end <= at_hand->scratch + at_hand->scratch_bytes;
    bool is_a_constant = text.length <= sizeof "UF,URX" && text.ptr[0] >= 'A' && text.ptr[0] <= 'Z';
    FUZZ_CHECK(in_line || in_scratch || is_a_constant);
}

static void check_entry(const struct access_log_entry *entry)
{
    const struct slice texts[] = {entry->method, entry->path, entry->route, entry->authority,
        entry->user_agent, entry->request_id, entry->downstream_address, entry->upstream_cluster,
        entry->upstream_address, entry->response_flags_text, entry->raw};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_place(texts[i]);
    }
    FUZZ_CHECK(entry->response_code <= 999);
    FUZZ_CHECK(!entry->has_attempts || entry->attempts > 0);
    FUZZ_CHECK(entry->has_trace || !entry->has_span);
    FUZZ_CHECK(entry->kind == ACCESS_LOG_REQUEST || entry->kind == ACCESS_LOG_INTERMEDIATE);
    FUZZ_CHECK(entry->side == ACCESS_LOG_SIDE_SOURCE || entry->side == ACCESS_LOG_SIDE_DESTINATION);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[ACCESS_FIELD_COUNT];
    struct access_json json;
    struct access_log_entry first;
    struct access_log_entry again;
    const char *field = NULL;

    if (size == 0) {
        return 0;
    }
    enum access_preset preset = (enum access_preset)(data[0] % ACCESS_PRESET_COUNT);
    uint32_t depth_max = 1 + data[0] / ACCESS_PRESET_COUNT % DEPTH_COUNT;
    FUZZ_CHECK(access_json_init(&json, preset, keys, LINE_BYTES_MAX, depth_max) == 0);
    at_hand = &json;
    line = slice_of(data + 1, size - 1);
    memset(&first, 0, sizeof first);
    enum access_json_result result = access_json_read(&json, line, NOW_NS, &first, &field);
    FUZZ_CHECK(field != NULL);
    FUZZ_CHECK((field[0] != '\0') == (result == ACCESS_JSON_MALFORMED));
    FUZZ_CHECK((result == ACCESS_JSON_OVERSIZED) == (line.length > LINE_BYTES_MAX));
    if (result == ACCESS_JSON_OK) {
        check_entry(&first);
    }
    FUZZ_CHECK(access_json_read(&json, line, NOW_NS, &again, &field) == result);
    if (result == ACCESS_JSON_OK) {
        FUZZ_CHECK(again.response_code == first.response_code && again.duration_ns == first.duration_ns);
        FUZZ_CHECK(again.attempts == first.attempts && again.side == first.side);
        FUZZ_CHECK(slice_equal(again.path, first.path) && slice_equal(again.method, first.method));
        FUZZ_CHECK(slice_equal(again.response_flags_text, first.response_flags_text));
    }
    access_json_deinit(&json);
    return 0;
}
