/* Senders' meshes; see sender_mesh.h. Pure; any thread. */
#include "context/sender_mesh.h"

#include <fnmatch.h>

uint8_t sender_mesh_of(const struct sender_mesh_rules *rules, const char *sender_id)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (fnmatch(rules->items[i].pattern, sender_id, FNM_NOESCAPE) == 0) {
            return rules->items[i].mesh;
        }
    }
    return 0;
}
