/*
 * statsd lines, plain and DogStatsD's, in place: nothing is copied or allocated. Pure functions; any thread.
 * The formats are those of statsd's docs/metric_types.md, of DogStatsD's protocol 1.0 to 1.6, and of what
 * Envoy 1.40 and Consul send.
 *
 *   NAME:VALUE[:VALUE…]|TYPE[|@RATE][|#KEY:VALUE,…][|c:CONTAINER][|TSECONDS][|…]
 *
 * TYPE is c, g, ms, h or d. A name may hold any byte but ':', so '|', too, and so may the values of tags
 * (Envoy: `#envoy.cluster_name:outbound|80||reviews`): a '|' ends the tags only where a field begins that is
 * known. Names and tags are not checked for UTF-8: whoever keeps them cleans them.
 */
#ifndef WEFT_DECODE_STATSD_H
#define WEFT_DECODE_STATSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
    STATSD_VALUES_COUNT_MAX = 4096, /* of one line */
    STATSD_NUMBER_BYTES_MAX = 63,   /* of one value as text */
    STATSD_LINE_BYTES_MAX = 8192,   /* of one line of a stream; a datagram's may be as long as it */
    STATSD_NAME_BYTES_MAX = 4096,   /* of the name */
};

enum statsd_type { STATSD_COUNTER, STATSD_GAUGE, STATSD_TIMER, STATSD_DISTRIBUTION };

/* What a line is. */
enum statsd_form {
    STATSD_METRIC,
    STATSD_NOT_A_METRIC, /* an event (_e{…) or a service check (_sc|…) */
    STATSD_UNSUPPORTED,  /* well-formed, of a type that is not taken: sets (s), key-values (kv) … */
    STATSD_OVERSIZED,    /* past one of the limits above */
    STATSD_MALFORMED,
};

struct statsd_value {
    double number; /* finite */
    bool has_sign; /* a '+' or a '-' stands before it: for a gauge, what it changes by */
};

/* Slices of the line. */
struct statsd_line {
    enum statsd_type type;
    struct slice name;   /* not empty */
    struct slice values; /* one or more, all checked; see statsd_next_value */
    uint32_t value_count;
    struct statsd_value first;
    double rate;            /* 0 < rate <= 1: what share of the events was told of */
    struct slice tags;      /* see statsd_next_tag */
    struct slice container; /* of the sender as it says, or empty */
    uint64_t time_unix_s;   /* 0: not told */
};

/* Takes the next line off *rest, without its end (\n or \r\n). Empty ones are passed over. False at the end.
 */
bool statsd_next_line(struct slice *rest, struct slice *ret_line);

/* Of anything but STATSD_METRIC nothing in *ret_line is to be used. */
enum statsd_form statsd_parse_line(struct slice line, struct statsd_line *ret_line);

/* Takes the next value off *rest, which begins as line->values. False at the end. */
bool statsd_next_value(struct slice *rest, struct statsd_value *ret_value);

/* Takes the next tag off *rest, which begins as line->tags. One without ':' has an empty value. Tags without
 * a name are passed over. False at the end. */
bool statsd_next_tag(struct slice *rest, struct slice *ret_key, struct slice *ret_value);

#endif
