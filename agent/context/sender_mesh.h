/*
 * Which mesh a sender belongs to: by patterns over its id, as the configuration has them. Asked once a
 * connection, off the record path. Any thread.
 */
#ifndef WEFT_CONTEXT_SENDER_MESH_H
#define WEFT_CONTEXT_SENDER_MESH_H

#include <stddef.h>
#include <stdint.h>

struct sender_mesh_rule {
    const char *pattern; /* with * ? and [], as fnmatch(3) reads them; a * matches slashes too */
    uint8_t mesh;        /* core/mesh_names.h */
};

struct sender_mesh_rules {
    const struct sender_mesh_rule *items; /* the first that fits counts */
    size_t count;
};

/* The mesh of a sender's id (context/sender.h); 0 when no rule fits. */
uint8_t sender_mesh_of(const struct sender_mesh_rules *rules, const char *sender_id);

#endif
