/* The log of log.h. Called from any thread; takes the log's lock for each line written. */
#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct line {
    char text[LOG_LINE_BYTES_MAX];
    size_t length; /* always leaves room for the closing bytes */
};

enum { LINE_RESERVE_BYTES = 8 };

void log_init(
    struct log *log, int fd, enum log_level level, enum log_format format, const struct clock *clock)
{
    *log = (struct log){.fd = fd, .level = (int)level, .format = format, .clock = clock};
    pthread_mutex_init(&log->lock, NULL);
}

void log_deinit(struct log *log)
{
    if (log != NULL) {
        pthread_mutex_destroy(&log->lock);
    }
}

void log_reconfigure(struct log *log, enum log_level level, enum log_format format)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
    pthread_mutex_lock(&log->lock);
    log->format = format;
    pthread_mutex_unlock(&log->lock);
}

void log_format_time(uint64_t unix_ns, char *out)
{
    time_t seconds = (time_t)(unix_ns / 1000000000u);
    unsigned milliseconds = (unsigned)(unix_ns / 1000000u % 1000u);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    size_t used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out + used, 32 - used, ".%03uZ", milliseconds);
}

static void add_bytes(struct line *line, const char *bytes, size_t length)
{
    if (length <= sizeof line->text - LINE_RESERVE_BYTES - line->length) {
        memcpy(line->text + line->length, bytes, length);
        line->length += length;
    }
}

static void add_text(struct line *line, const char *text)
{
    add_bytes(line, text, strlen(text));
}

/* Quoted as JSON does; control bytes as \u00XX, so that a hostile name cannot forge a second line. */
static void add_quoted(struct line *line, const char *text)
{
    add_text(line, "\"");
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char escaped[8];
        if (byte == '"' || byte == '\\') {
            add_bytes(line, (char[]){'\\', *text}, 2);
        } else if (byte < 0x20 || byte == 0x7f) {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)byte);
            add_text(line, escaped);
        } else {
            add_bytes(line, text, 1);
        }
    }
    add_text(line, "\"");
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0') {
        return true;
    }
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte <= 0x20 || byte == '"' || byte == '=' || byte == '\\' || byte >= 0x7f) {
            return true;
        }
    }
    return false;
}

static void add_field(struct line *line, enum log_format format, const struct log_field *field)
{
    char number[24];

    if (format == LOG_FORMAT_JSON) {
        add_text(line, line->length > 1 ? "," : "");
        add_quoted(line, field->key);
        add_text(line, ":");
    } else {
        add_text(line, line->length > 0 ? " " : "");
        add_text(line, field->key);
        add_text(line, "=");
    }
    if (field->type == LOG_INTEGER) {
        (void)snprintf(number, sizeof number, "%lld", (long long)field->integer);
        add_text(line, number);
        return;
    }
    const char *text = field->string != NULL ? field->string : "";
    if (format == LOG_FORMAT_JSON || needs_quotes(text)) {
        add_quoted(line, text);
    } else {
        add_text(line, text);
    }
}

/* The site's slot, or NULL when the table is full: such a site is not limited, the table is sized for all
 * there are. */
static struct log_site_state *find_site(struct log *log, const char *event)
{
    for (size_t i = 0; i < LOG_SITE_COUNT_MAX; i++) {
        struct log_site_state *site = &log->sites[i];
        if (site->event == NULL) {
            site->event = event;
            return site;
        }
        if (site->event == event || strcmp(site->event, event) == 0) {
            return site;
        }
    }
    return NULL;
}

/* Whether this line may be written now; *ret_suppressed_count is how many it also stands for. */
static bool admit(struct log *log, const char *event, uint64_t now_ns, uint64_t *ret_suppressed_count)
{
    struct log_site_state *site = find_site(log, event);

    *ret_suppressed_count = 0;
    if (site == NULL) {
        return true;
    }
    if (now_ns - site->window_start_ns >= LOG_INTERVAL_NS || site->written_count == 0) {
        site->window_start_ns = now_ns;
        site->written_count = 0;
    }
    if (site->written_count >= LOG_BURST_COUNT) {
        site->suppressed_count++;
        return false;
    }
    site->written_count++;
    *ret_suppressed_count = site->suppressed_count;
    site->suppressed_count = 0;
    return true;
}

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; /* nowhere left to complain to */
        }
        bytes += written;
        length -= (size_t)written;
    }
}

void log_write(struct log *log, enum log_level level, const char *event, const struct log_field *fields,
    unsigned long field_count)
{
    static const char *const level_names[] = {"debug", "info", "warn", "error"};
    struct line line = {.length = 0};
    char time_text[32];
    uint64_t suppressed_count;

    if (!log_takes(log, level)) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    if (!admit(log, event, clock_monotonic_ns(log->clock), &suppressed_count)) {
        pthread_mutex_unlock(&log->lock);
        return;
    }
    log_format_time(clock_unix_ns(log->clock), time_text);
    add_text(&line, log->format == LOG_FORMAT_JSON ? "{" : "");
    add_field(&line, log->format, &LOG_S("time", time_text));
    add_field(&line, log->format, &LOG_S("level", level_names[level]));
    add_field(&line, log->format, &LOG_S("event", event));
    for (unsigned long i = 0; i < field_count; i++) {
        add_field(&line, log->format, &fields[i]);
    }
    if (suppressed_count > 0) {
        add_field(&line, log->format, &LOG_I("suppressed", suppressed_count));
    }
    const char *end = log->format == LOG_FORMAT_JSON ? "}\n" : "\n";
    memcpy(line.text + line.length, end, strlen(end));
    write_all(log->fd, line.text, line.length + strlen(end));
    pthread_mutex_unlock(&log->lock);
}
