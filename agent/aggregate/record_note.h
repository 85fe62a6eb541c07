/* What the directory knows of a request's series at the moment it counts the request. Types only. */
#ifndef WEFT_AGGREGATE_RECORD_NOTE_H
#define WEFT_AGGREGATE_RECORD_NOTE_H

#include <stdbool.h>
#include <stdint.h>

struct record_note {
    uint64_t
        p90_ns; /* of the last five minutes of (reporter, destination, route); 0: too few, or not known */
    uint32_t slow_ms; /* a longer request of its route is slow; 0: none is said for it, or not known */
    bool is_new;      /* among the first directory_settings.rare_count requests of its series in this shard */
};

#endif
