/* The meaning of access log lines; see access_dialect.h. Pure; any thread. */
#include "decode/access_dialect.h"

#include <string.h>

#include "core/error.h"
#include "decode/json.h"

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

enum { HTTP_CODE_MAX = 999, GRPC_STATUS_DIGITS_MAX = 4, TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

/* A line on its way. */
struct line {
    const struct slice *texts;
    struct access_log_entry *entry;
};

#define TEXT(name) (line->texts[ACCESS_FIELD_##name])

/* ---- numbers ---- */

bool access_decimal_ns(struct slice text, uint64_t unit_ns, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    size_t at = 0;
    bool negative = text.length > 0 && text.ptr[0] == '-';

    if (negative) {
        at = 1;
    }
    size_t first = at;
    for (; at < text.length && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        if (__builtin_mul_overflow(ns, 10u, &ns) ||
            __builtin_add_overflow(ns, (uint64_t)(text.ptr[at] - '0') * unit_ns, &ns)) {
            return false;
        }
    }
    if (at == first) {
        return false;
    }
    if (at < text.length && text.ptr[at] == '.') {
        uint64_t digit_ns = unit_ns / 10;
        for (at++; at < text.length && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
            if (__builtin_add_overflow(ns, (uint64_t)(text.ptr[at] - '0') * digit_ns, &ns)) {
                return false;
            }
            digit_ns /= 10;
        }
    }
    if (at < text.length) {
        return false;
    }
    *ret_ns = negative ? 0 : ns;
    return true;
}

static bool read_number(struct slice text, uint64_t *ret_number)
{
    return text.length > 0 && json_uint64(text, ret_number) == 0;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* An id of 2 × bytes hex digits that is not all zeroes. */
static bool read_id(struct slice text, uint8_t *out, size_t bytes)
{
    uint8_t any = 0;

    if (text.length != bytes * 2) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_digit(text.ptr[2 * i]);
        int low = hex_digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
        any |= out[i];
    }
    return any != 0;
}

/* ---- when ---- */

/* False with *ret_field when a time is no number, or no duration is told. */
static bool read_times(const struct line *line, uint64_t now_unix_ns, enum access_field *ret_field)
{
    static const struct {
        enum access_field field;
        uint64_t unit_ns;
    } durations[] = {{ACCESS_FIELD_duration_s, NS_PER_S}, {ACCESS_FIELD_duration_ms, NS_PER_MS},
        {ACCESS_FIELD_duration_us, NS_PER_US}};
    struct access_log_entry *entry = line->entry;
    uint64_t end_ns = now_unix_ns;
    size_t i = 0;

    while (i < 2 && line->texts[durations[i].field].length == 0) {
        i++;
    }
    *ret_field = line->texts[durations[i].field].length > 0 ? durations[i].field : ACCESS_FIELD_duration_s;
    if (!access_decimal_ns(line->texts[durations[i].field], durations[i].unit_ns, &entry->duration_ns)) {
        return false;
    }
    *ret_field = ACCESS_FIELD_start_s;
    if (TEXT(start_s).length > 0) {
        return access_decimal_ns(TEXT(start_s), NS_PER_S, &entry->start_unix_ns);
    }
    *ret_field = ACCESS_FIELD_end_s;
    if (TEXT(end_s).length > 0 && !access_decimal_ns(TEXT(end_s), NS_PER_S, &end_ns)) {
        return false;
    }
    entry->start_unix_ns = end_ns > entry->duration_ns ? end_ns - entry->duration_ns : 0;
    return true;
}

/* ---- nginx: lists of what was tried ---- */

/* nginx parts attempts by ", " and, where a request was passed on inside of it, groups of them by " : ". */
static bool next_item(struct slice *list, struct slice *ret_item)
{
    size_t end = 0;

    if (list->length == 0) {
        return false;
    }
    while (end < list->length && list->ptr[end] != ',' &&
           !(list->ptr[end] == ' ' && end + 1 < list->length && list->ptr[end + 1] == ':')) {
        end++;
    }
    *ret_item = slice_sub(*list, 0, end);
    while (end < list->length && (list->ptr[end] == ',' || list->ptr[end] == ' ' || list->ptr[end] == ':')) {
        end++;
    }
    *list = slice_sub(*list, end, list->length);
    return true;
}

static struct slice last_item(struct slice list)
{
    struct slice item = slice_of(NULL, 0);

    while (next_item(&list, &item)) {
    }
    return item;
}

static bool is_told(struct slice item)
{
    return item.length > 0 && !(item.length == 1 && item.ptr[0] == '-');
}

/* Without a server to try, nginx writes the name of the upstream in place of an address. */
static uint32_t count_tried(const struct line *line)
{
    struct slice list = TEXT(upstream_address);
    struct slice item;
    uint32_t count = 0;

    while (next_item(&list, &item)) {
        count += !slice_equal(item, TEXT(upstream));
    }
    return count;
}

/*
 * Why nginx itself ended the request: the status of the last attempt is its own where no header of an answer
 * came. It does not say which of two things happened in the middle of a connection: UC stands for both.
 */
static const char *nginx_flags(const struct line *line, uint32_t tried_count)
{
    struct slice last = last_item(TEXT(upstream_status));
    bool retried = tried_count > 1;

    if (TEXT(upstream_header).length == 0 || TEXT(upstream_connect).length == 0 ||
        is_told(last_item(TEXT(upstream_header)))) {
        return "";
    }
    if (slice_equal(last_item(TEXT(upstream_address)), TEXT(upstream))) {
        return "UH";
    }
    if (!is_told(last_item(TEXT(upstream_connect)))) {
        bool failed = slice_equal(last, SLICE_LITERAL("502")) || slice_equal(last, SLICE_LITERAL("504"));
        return !failed ? "" : retried ? "UF,URX" : "UF";
    }
    if (slice_equal(last, SLICE_LITERAL("504"))) {
        return retried ? "UT,URX" : "UT";
    }
    if (slice_equal(last, SLICE_LITERAL("502"))) {
        return retried ? "UC,URX" : "UC";
    }
    return "";
}

static void read_nginx(const struct line *line)
{
    struct access_log_entry *entry = line->entry;
    uint32_t tried_count = count_tried(line);

    entry->attempts = tried_count;
    entry->has_attempts = tried_count > 0;
    entry->upstream_address = last_item(TEXT(upstream_address));
    if (entry->response_code == 499) {
        entry->response_flags_text = SLICE_LITERAL("DC");
    } else {
        entry->response_flags_text = slice_of_string(nginx_flags(line, tried_count));
    }
}

/* ---- HAProxy: its termination state ---- */

/*
 * Two characters (HAProxy's configuration manual, 8.5): who ended it, and in which phase. '*' in the second
 * is any phase. The first row that fits counts.
 */
static const struct {
    char who;
    char phase;
    const char *flags;
} terminations[] = {
    {'C', '*', "DC"},
    {'c', '*', "SI"},
    {'S', 'C', "UF"},
    {'s', 'C', "UF"},
    {'S', '*', "UC"},
    {'s', 'H', "UT"},
    {'s', 'Q', "UO"},
    {'s', '*', "SI"},
    {'P', 'H', "UPE"},
    {'P', 'D', "UPE"},
    {'P', 'C', "OM"},
    {'R', '*', "OM"},
    {'D', '*', "UC"},
    {'U', '*', "LR"},
    {'K', '*', "LR"},
};

static const char *flags_of_termination(struct slice state)
{
    for (size_t i = 0; i < sizeof terminations / sizeof terminations[0]; i++) {
        if (state.ptr[0] == (uint8_t)terminations[i].who &&
            (terminations[i].phase == '*' || state.ptr[1] == (uint8_t)terminations[i].phase)) {
            return terminations[i].flags;
        }
    }
    return "";
}

/* What only the status tells: why the proxy refused. */
static const char *flags_of_refusal(const struct line *line)
{
    switch (line->entry->response_code) {
    case 400:
        return "DPE";
    case 429:
        return "RL";
    default:
        return "";
    }
}

static bool has_server(const struct line *line)
{
    return TEXT(server).length > 0 && TEXT(server).ptr[0] != '<'; /* <NOSRV>, <STATS>, … */
}

static bool is_own_backend(const struct line *line)
{
    return TEXT(frontend).length > 0 && slice_equal(TEXT(frontend), TEXT(upstream));
}

/* "2", or "+2" when it went to another server in the end. */
static void read_retries(const struct line *line, uint8_t phase)
{
    struct slice text = TEXT(retries);
    uint64_t retries;

    if (text.length > 0 && text.ptr[0] == '+') {
        text = slice_sub(text, 1, text.length);
    }
    if (!has_server(line) || phase == 'Q' || !read_number(text, &retries) || retries >= UINT32_MAX) {
        return;
    }
    line->entry->attempts = (uint32_t)retries + 1;
    line->entry->has_attempts = true;
}

static const char *haproxy_flags(const struct line *line, struct slice state)
{
    const char *flags = flags_of_termination(state);

    if (state.ptr[0] == 'P' && state.ptr[1] == 'R') {
        return flags_of_refusal(line);
    }
    if (state.ptr[0] == 'S' && state.ptr[1] == 'C' && !has_server(line)) {
        /* A frontend without a backend, or a `listen` without a living server: it does not say. */
        return is_own_backend(line) ? "" : "UH";
    }
    if (strcmp(flags, "UF") == 0 && line->entry->attempts > 1) {
        return "UF,URX";
    }
    return flags;
}

static void read_haproxy(const struct line *line)
{
    struct slice state = TEXT(termination);
    struct access_log_entry *entry = line->entry;

    if (state.length < 2) {
        return;
    }
    read_retries(line, state.ptr[1]);
    entry->response_flags_text = slice_of_string(haproxy_flags(line, state));
    /* Where there was no answer yet, the status is the one that HAProxy would have given to who left. */
    if (state.ptr[0] == 'C' && state.ptr[1] != 'D' && state.ptr[1] != 'L') {
        entry->response_code = 0;
    }
    /* A client that left, or said nothing, before its request was whole: nothing was asked. */
    bool client_ended = state.ptr[0] == 'C' || state.ptr[0] == 'c';
    if (client_ended && state.ptr[1] == 'R' && entry->method.length == 0) {
        entry->kind = ACCESS_LOG_INTERMEDIATE;
    }
    if (is_own_backend(line) && !has_server(line)) {
        entry->upstream_cluster = slice_of(NULL, 0);
    }
}

/* ---- the rest ---- */

static enum access_log_protocol protocol_of(struct slice text)
{
    if (slice_has_prefix(text, SLICE_LITERAL("HTTP/"))) {
        text = slice_sub(text, 5, text.length);
    }
    switch (text.length > 0 ? text.ptr[0] : 0) {
    case '1':
        return ACCESS_LOG_PROTOCOL_HTTP1;
    case '2':
        return ACCESS_LOG_PROTOCOL_HTTP2;
    case '3':
        return ACCESS_LOG_PROTOCOL_HTTP3;
    default:
        return ACCESS_LOG_PROTOCOL_UNTOLD;
    }
}

/* A status of three digits; HAProxy writes -1, and nginx 000, when none was sent. */
static bool read_status(const struct line *line)
{
    uint64_t code;

    if (slice_equal(TEXT(status), SLICE_LITERAL("-1"))) {
        return true;
    }
    /* json_uint64 takes what JSON takes: no zeroes in front. */
    if (slice_equal(TEXT(status), SLICE_LITERAL("000"))) {
        return true;
    }
    if (!read_number(TEXT(status), &code) || code > HTTP_CODE_MAX) {
        return false;
    }
    line->entry->response_code = (uint16_t)code;
    return true;
}

static void read_grpc(const struct line *line)
{
    uint64_t status;

    if (read_number(TEXT(grpc_status), &status) && status <= INT32_MAX) {
        line->entry->has_grpc_status = true;
        line->entry->grpc_status = (int32_t)status;
    }
}

/* "00-TRACE-SPAN-01" (W3C Trace Context), else the two ids; one of 64 bits gets zeroes in front. */
static void read_trace(const struct line *line)
{
    struct access_log_entry *entry = line->entry;
    struct slice parent = TEXT(traceparent);
    struct slice trace = TEXT(trace_id);
    struct slice span = TEXT(span_id);
    bool has_version =
        parent.length >= 55 && parent.ptr[2] == '-' && parent.ptr[35] == '-' && parent.ptr[52] == '-';

    if (has_version) {
        trace = slice_sub(parent, 3, 35);
        span = slice_sub(parent, 36, 52);
    }
    memset(entry->trace_id, 0, sizeof entry->trace_id);
    entry->has_trace = read_id(trace, entry->trace_id, TRACE_ID_BYTES) ||
                       read_id(trace, entry->trace_id + SPAN_ID_BYTES, SPAN_ID_BYTES);
    entry->has_span = entry->has_trace && read_id(span, entry->span_id, SPAN_ID_BYTES);
}

static void read_texts(const struct line *line)
{
    struct access_log_entry *entry = line->entry;

    entry->method = TEXT(method);
    entry->path = TEXT(path);
    entry->route = TEXT(route);
    entry->authority = TEXT(host);
    entry->user_agent = TEXT(user_agent);
    entry->request_id = TEXT(request_id);
    entry->downstream_address = TEXT(client);
    entry->upstream_cluster = TEXT(upstream);
    entry->upstream_is_host = true;
    entry->upstream_address = TEXT(upstream_address);
    entry->protocol = protocol_of(TEXT(protocol));
    entry->response_flags_text = TEXT(response_flags);
    entry->has_request_bytes = read_number(TEXT(request_bytes), &entry->request_bytes);
    entry->has_response_bytes = read_number(TEXT(response_bytes), &entry->response_bytes);
}

static void read_attempts(const struct line *line)
{
    uint64_t attempts;

    if (read_number(TEXT(attempts), &attempts) && attempts > 0 && attempts <= UINT32_MAX) {
        line->entry->attempts = (uint32_t)attempts;
        line->entry->has_attempts = true;
    }
}

bool access_dialect_read(const struct slice texts[static ACCESS_FIELD_COUNT], uint64_t now_unix_ns,
    struct access_log_entry *ret_entry, enum access_field *ret_field)
{
    struct line at_hand = {.texts = texts, .entry = ret_entry};
    const struct line *line = &at_hand;

    *ret_entry = (struct access_log_entry){.kind = ACCESS_LOG_REQUEST};
    *ret_field = ACCESS_FIELD_status;
    if (!read_status(line) || !read_times(line, now_unix_ns, ret_field)) {
        return false;
    }
    read_texts(line);
    read_grpc(line);
    read_trace(line);
    if (TEXT(termination).length > 0) {
        read_haproxy(line);
    } else if (TEXT(upstream_status).length > 0 || TEXT(limit_status).length > 0 ||
               ret_entry->response_code == 499) {
        read_nginx(line);
    }
    if (slice_equal(TEXT(limit_status), SLICE_LITERAL("REJECTED"))) {
        ret_entry->response_flags_text = SLICE_LITERAL("RL");
    }
    read_attempts(line);
    ret_entry->side = ret_entry->upstream_cluster.length > 0 || is_told(ret_entry->upstream_address)
                          ? ACCESS_LOG_SIDE_SOURCE
                          : ACCESS_LOG_SIDE_DESTINATION;
    return true;
}
