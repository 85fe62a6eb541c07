/* Headers of syslog messages; see syslog.h. Pure; any thread. */
#include "decode/syslog.h"

#include "core/error.h"

enum { PRIORITY_MAX = 191, TIMESTAMP_BYTES = 15, HEADER_FIELDS_COUNT = 5 };

static struct slice without_end(struct slice text)
{
    while (text.length > 0) {
        uint8_t last = text.ptr[text.length - 1];
        if (last != '\n' && last != '\r' && last != '\0' && last != ' ') {
            break;
        }
        text.length--;
    }
    return text;
}

static struct slice behind(struct slice text, size_t count)
{
    return slice_sub(text, count, text.length);
}

/* "<134>" */
static int read_priority(struct slice *text, struct syslog_message *message)
{
    unsigned priority = 0;
    size_t at = 1;

    if (text->length == 0 || text->ptr[0] != '<') {
        return WERR_INVALID;
    }
    while (at < text->length && text->ptr[at] >= '0' && text->ptr[at] <= '9') {
        priority = priority * 10 + (unsigned)(text->ptr[at++] - '0');
        if (priority > PRIORITY_MAX) {
            return WERR_INVALID;
        }
    }
    if (at == text->length) {
        return WERR_TRUNCATED;
    }
    if (at == 1 || text->ptr[at] != '>') {
        return WERR_INVALID;
    }
    message->facility = (uint8_t)(priority >> 3);
    message->severity = (uint8_t)(priority & 7);
    *text = behind(*text, at + 1);
    return 0;
}

/* One field of RFC 5424's header and the space behind it; "-" is nothing. */
static int read_field(struct slice *text, struct slice *ret_field)
{
    size_t space = slice_find(*text, ' ');

    if (space == text->length) {
        return WERR_TRUNCATED;
    }
    if (space == 0) {
        return WERR_INVALID;
    }
    *ret_field = slice_sub(*text, 0, space);
    if (space == 1 && text->ptr[0] == '-') {
        *ret_field = slice_of(NULL, 0);
    }
    *text = behind(*text, space + 1);
    return 0;
}

/* `[id name="value" …]`, one or several; in a value a backslash stands before `"`, `\` and `]`. */
static int skip_structured_data(struct slice *text)
{
    size_t at = 0;

    if (text->length > 0 && text->ptr[0] == '-') {
        *text = behind(*text, 1);
        return 0;
    }
    while (at < text->length && text->ptr[at] == '[') {
        bool quoted = false;
        for (at++; at < text->length && (quoted || text->ptr[at] != ']'); at++) {
            if (text->ptr[at] == '"') {
                quoted = !quoted;
            } else if (quoted && text->ptr[at] == '\\') {
                at++;
            }
        }
        if (at >= text->length) {
            return WERR_TRUNCATED;
        }
        at++;
    }
    if (at == 0) {
        return text->length > 0 ? WERR_INVALID : WERR_TRUNCATED;
    }
    *text = behind(*text, at);
    return 0;
}

/* RFC 5424 behind "1 ": TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG] */
static int read_5424(struct slice text, struct syslog_message *message)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* MSG may begin with UTF-8's byte order mark */
    struct slice fields[HEADER_FIELDS_COUNT];

    for (int i = 0; i < HEADER_FIELDS_COUNT; i++) {
        int error = read_field(&text, &fields[i]);
        if (error < 0) {
            return error;
        }
    }
    int error = skip_structured_data(&text);
    if (error < 0) {
        return error;
    }
    if (text.length > 0 && text.ptr[0] != ' ' && text.ptr[0] != '\n') {
        return WERR_INVALID;
    }
    text = behind(text, 1);
    message->host = fields[1];
    message->tag = fields[2];
    message->process_id = fields[3];
    message->body = slice_has_prefix(text, slice_of(mark, sizeof mark)) ? behind(text, sizeof mark) : text;
    return 0;
}

/* "Nov  3 04:05:06 " */
static bool begins_with_timestamp(struct slice text)
{
    static const char shape[] = "Aaa 00 00:00:00 ";

    if (text.length < sizeof shape - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        uint8_t byte = text.ptr[i];
        bool fits = byte == (uint8_t)shape[i];
        if (shape[i] == '0') {
            fits = (byte >= '0' && byte <= '9') || (i == 4 && byte == ' ');
        } else if (shape[i] == 'A' || shape[i] == 'a') {
            fits = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
        }
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* "nginx:", "haproxy[123]:". False when the text does not begin with such a word. */
static bool read_tag(struct slice *text, struct syslog_message *message)
{
    struct slice word = slice_sub(*text, 0, slice_find(*text, ' '));

    if (word.length < 2 || word.ptr[word.length - 1] != ':') {
        return false;
    }
    word.length--;
    size_t bracket = slice_find(word, '[');
    message->tag = slice_sub(word, 0, bracket);
    if (bracket < word.length && word.ptr[word.length - 1] == ']') {
        message->process_id = slice_sub(word, bracket + 1, word.length - 1);
    }
    *text = behind(*text, word.length + 2);
    return true;
}

/* RFC 3164 behind its priority: [TIMESTAMP] [HOSTNAME] [TAG[pid]:] body. */
static void read_3164(struct slice text, struct syslog_message *message)
{
    if (begins_with_timestamp(text)) {
        text = behind(text, TIMESTAMP_BYTES + 1);
        if (!read_tag(&text, message)) {
            size_t space = slice_find(text, ' ');
            struct slice rest = behind(text, space + 1);
            if (read_tag(&rest, message)) {
                message->host = slice_sub(text, 0, space);
                text = rest;
            }
        }
    }
    message->body = text;
}

int syslog_read(struct slice message, struct syslog_message *ret_message)
{
    struct syslog_message read = {.facility = 0};
    int error = read_priority(&message, &read);

    if (error < 0) {
        return error;
    }
    if (message.length > 0 && message.ptr[0] >= '0' && message.ptr[0] <= '9') {
        if (!slice_has_prefix(message, SLICE_LITERAL("1 "))) {
            return WERR_INVALID;
        }
        error = read_5424(behind(message, 2), &read);
        if (error < 0) {
            return error;
        }
    } else {
        read_3164(message, &read);
    }
    read.body = without_end(read.body);
    *ret_message = read;
    return 0;
}
