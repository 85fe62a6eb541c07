/*
 * Which workload, at which version, stands behind a service: found out where names are read, which is rare,
 * and taken by the shard after each message for mesh_service_info. Types only.
 */
#ifndef WEFT_CONTEXT_WORKLOAD_NOTE_H
#define WEFT_CONTEXT_WORKLOAD_NOTE_H

#include <stdint.h>

enum {
    WORKLOAD_NOTES_COUNT_MAX = 32
}; /* between two times that they are taken; of more, the rest comes again */

struct workload_note {
    uint32_t service; /* interner ids */
    uint32_t service_namespace;
    uint32_t workload; /* INTERNED_NONE: not told */
    uint32_t version;  /* likewise */
    uint32_t sender;
    uint8_t mesh;
};

#endif
