/*
 * The pods of this node by uid, as a kubelet or a mounted downward-API volume tells of them. One source
 * replaces the table now and then, off the record path; shards look up a peer's pod when a connection begins
 * and when a new table has come. Under a lock: never for a record.
 */
#ifndef WEFT_CONTEXT_PODS_H
#define WEFT_CONTEXT_PODS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "context/sender.h"
#include "decode/pod_list.h"

enum { PODS_COUNT_MAX = 4096, POD_UID_BYTES = 40 }; /* of one node; Kubernetes' own limit is far below */

struct pod {
    char uid[POD_UID_BYTES];
    char name[SENDER_NAME_BYTES];
    char pod_namespace[SENDER_NAME_BYTES];
    char workload[SENDER_NAME_BYTES];
    char app[SENDER_NAME_BYTES];
    char version[SENDER_NAME_BYTES];
};

/* A table while it is made, and after: sorted by uid. */
struct pod_table {
    uint32_t count;
    uint32_t capacity;
    uint64_t over_count; /* pods past PODS_COUNT_MAX, left out */
    struct pod *pods;
};

void pod_table_init(struct pod_table *table);
void pod_table_deinit(struct pod_table *table);

/* Adds a pod; texts are cut, characters that names cannot have become '_'. WERR_NOMEM, WERR_FULL. */
int pod_table_add(struct pod_table *table, const struct pod_facts *facts);

struct pods {
    pthread_mutex_t lock;
    struct pod_table table;
    _Atomic uint32_t generation; /* of the table; 0: there is none yet */
};

void pods_init(struct pods *pods);
void pods_deinit(struct pods *pods);

/* Any thread: takes the table over, sorts it, and leaves an empty one. */
void pods_replace(struct pods *pods, struct pod_table *table);

/* Any thread: a copy of the pod with this uid. */
bool pods_find(struct pods *pods, const char *uid, struct pod *ret_pod);

/* Any thread. Cheap: whether there is news since `generation`. */
static inline uint32_t pods_generation(const struct pods *pods)
{
    return atomic_load_explicit(&pods->generation, memory_order_acquire);
}

/*
 * A sender that is a pod gets its namespace, name, workload and version, and its id anew; true when
 * anything was found. Before context_sender_bind, or after context_sender_release. pods may be NULL.
 */
bool pods_describe(struct pods *pods, struct sender *sender);

#endif
