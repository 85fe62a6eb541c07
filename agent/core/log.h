/*
 * The agent's log: one line an event on a descriptor (stderr), logfmt or JSON, RFC 3339 UTC. Only the top of
 * a call chain logs; nothing is logged per record. Each event has a `struct log_site_state` with its own
 * rate limit: a burst, then one line per interval, which says how many it stands for (suppressed=N).
 */
#ifndef WEFT_CORE_LOG_H
#define WEFT_CORE_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum { LOG_SITE_COUNT_MAX = 128, LOG_LINE_BYTES_MAX = 4096, LOG_BURST_COUNT = 10 };
#define LOG_INTERVAL_NS 10000000000ull /* after the burst, one line a site in this time */

struct log_site_state {
    const char *event; /* the literal's address: the site's identity */
    uint64_t window_start_ns;
    uint32_t written_count; /* in this window */
    uint64_t suppressed_count;
};

/* One per process, made by main and handed down. Its lock is taken only when a line is about to be written.
 */
struct log {
    int fd;
    _Atomic int level; /* enum log_level; read without the lock */
    enum log_format format;
    const struct clock *clock;
    pthread_mutex_t lock;
    struct log_site_state sites[LOG_SITE_COUNT_MAX];
};

void log_init(
    struct log *log, int fd, enum log_level level, enum log_format format, const struct clock *clock);
void log_deinit(struct log *log);

/* From any thread: how lines are written from now on. */
void log_reconfigure(struct log *log, enum log_level level, enum log_format format);

/* Whether a line of that level would be written. NULL: no. */
static inline bool log_takes(const struct log *log, enum log_level level)
{
    return log != NULL && (int)level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* One key and its value. Strings are escaped, and cut when the line would pass LOG_LINE_BYTES_MAX. */
struct log_field {
    const char *key;
    enum { LOG_STRING, LOG_INTEGER } type;
    const char *string; /* NUL-terminated; escaped and cut when long */
    int64_t integer;
};

#define LOG_S(field_key, value)                                                                              \
    ((struct log_field){.key = (field_key), .type = LOG_STRING, .string = (value)})
#define LOG_I(field_key, value)                                                                              \
    ((struct log_field){.key = (field_key), .type = LOG_INTEGER, .integer = (int64_t)(value)})

/* log_event(log, LOG_LEVEL_WARN, "export_failed", LOG_S("destination", name), LOG_I("status", 503)) */
#define log_event(log, level, event, ...)                                                                    \
    log_write((log), (level), (event), (const struct log_field[]){__VA_ARGS__},                              \
        sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/*
 * Writes one line. `event`: a string literal that names what happened; it is the rate limit's key. `fields`:
 * field_count of them. Thread-safe; a NULL log, or a level below the log's, writes nothing.
 */
void log_write(struct log *log, enum log_level level, const char *event, const struct log_field *fields,
    unsigned long field_count);

/* "2026-11-23T05:24:53.123Z" into out (at least 32 bytes). */
void log_format_time(uint64_t unix_ns, char *out);

#endif
