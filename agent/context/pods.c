/* Pods by uid: pods.h. */
#include "context/pods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { PODS_COUNT_FIRST = 64 };

void pod_table_init(struct pod_table *table)
{
    *table = (struct pod_table){.count = 0};
}

void pod_table_deinit(struct pod_table *table)
{
    if (table != NULL) {
        free(table->pods);
        pod_table_init(table);
    }
}

/* Printable ASCII without slashes and quotes: ids are shown, split and compared. */
static void copy(char *out, size_t out_bytes, struct slice text)
{
    size_t used = 0;

    for (; used < text.length && used + 1 < out_bytes; used++) {
        char c = (char)text.ptr[used];
        bool fit = c > ' ' && c < 0x7f && c != '/' && c != '"' && c != '\\';

        out[used] = fit ? c : '_';
    }
    out[used] = '\0';
}

int pod_table_add(struct pod_table *table, const struct pod_facts *facts)
{
    if (table->count == PODS_COUNT_MAX) {
        table->over_count++;
        return WERR_FULL;
    }
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity > 0 ? table->capacity * 2 : PODS_COUNT_FIRST;
        struct pod *pods = realloc(table->pods, capacity * sizeof *pods);

        if (pods == NULL) {
            return WERR_NOMEM;
        }
        table->pods = pods;
        table->capacity = capacity;
    }
    struct pod *pod = &table->pods[table->count++];

    copy(pod->uid, sizeof pod->uid, facts->uid);
    copy(pod->name, sizeof pod->name, facts->name);
    copy(pod->pod_namespace, sizeof pod->pod_namespace, facts->pod_namespace);
    copy(pod->workload, sizeof pod->workload, pod_workload(facts));
    copy(pod->app, sizeof pod->app, facts->app);
    copy(pod->version, sizeof pod->version, facts->version);
    return 0;
}

void pods_init(struct pods *pods)
{
    (void)pthread_mutex_init(&pods->lock, NULL);
    pod_table_init(&pods->table);
    atomic_init(&pods->generation, 0);
}

void pods_deinit(struct pods *pods)
{
    pod_table_deinit(&pods->table);
    (void)pthread_mutex_destroy(&pods->lock);
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct pod *)left)->uid, ((const struct pod *)right)->uid);
}

void pods_replace(struct pods *pods, struct pod_table *table)
{
    struct pod_table before;

    if (table->count > 0) {
        qsort(table->pods, table->count, sizeof *table->pods, compare);
    }
    (void)pthread_mutex_lock(&pods->lock);
    before = pods->table;
    pods->table = *table;
    (void)pthread_mutex_unlock(&pods->lock);
    (void)atomic_fetch_add_explicit(&pods->generation, 1, memory_order_release);
    pod_table_init(table);
    pod_table_deinit(&before);
}

bool pods_find(struct pods *pods, const char *uid, struct pod *ret_pod)
{
    struct pod key;
    const struct pod *found = NULL;

    (void)snprintf(key.uid, sizeof key.uid, "%s", uid);
    (void)pthread_mutex_lock(&pods->lock);
    if (pods->table.count > 0) {
        found = bsearch(&key, pods->table.pods, pods->table.count, sizeof key, compare);
    }
    if (found != NULL) {
        *ret_pod = *found;
    }
    (void)pthread_mutex_unlock(&pods->lock);
    return found != NULL;
}

bool pods_describe(struct pods *pods, struct sender *sender)
{
    struct pod pod;

    if (pods == NULL || sender->kind != SENDER_POD || !pods_find(pods, sender->name, &pod)) {
        return false;
    }
    memcpy(sender->namespace, pod.pod_namespace, sizeof sender->namespace);
    memcpy(sender->pod, pod.name, sizeof sender->pod);
    memcpy(sender->workload, pod.workload, sizeof sender->workload);
    memcpy(sender->version, pod.version, sizeof sender->version);
    sender_id_format(sender);
    return true;
}
