/*
 * The header of a syslog message, taken off: what RFC 5424 and RFC 3164 write, and what nginx and HAProxy
 * make of the latter (no host name, or nothing but the priority). Times and ids in the header are not
 * read: the log line behind it has its own. Pure; any thread.
 */
#ifndef WEFT_DECODE_SYSLOG_H
#define WEFT_DECODE_SYSLOG_H

#include <stdint.h>

#include "core/slice.h"

enum { SYSLOG_FACILITY_MAX = 23, SYSLOG_SEVERITY_DEBUG = 7 };

/* Slices of the message; empty when not told. */
struct syslog_message {
    uint8_t facility; /* 0…23 */
    uint8_t severity; /* 0 (emergency) … 7 (debug) */
    struct slice host;
    struct slice tag; /* the program: APP-NAME, or what stands before "[pid]:" */
    struct slice process_id;
    struct slice body; /* without the newline, NUL or spaces at its end */
};

/*
 * 0; WERR_INVALID when it does not begin with a priority from <0> to <191>, or has a version that is not 1 or
 * a header or structured data that RFC 5424 does not allow; WERR_TRUNCATED when it ends inside a header. What
 * follows a priority and is no header of either kind is the body.
 */
int syslog_read(struct slice message, struct syslog_message *ret_message);

#endif
