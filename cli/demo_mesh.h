/*
 * The proxies of `weft demo`: a libweft client for each replica of demo_graph.h, which is who it says it is
 * (workload, namespace, and its pod's name), as real proxies are. One thread beside libweft's own.
 */
#ifndef WEFT_CLI_DEMO_MESH_H
#define WEFT_CLI_DEMO_MESH_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/demo_graph.h"
#include "weft/weft.h"

enum { DEMO_OPERATIONS_MAX = 32, DEMO_TEXT_BYTES = 160 };

/* A client and what its ids mean. */
struct demo_proxy {
    struct weft_client *client;
    uint32_t services[DEMO_SERVICE_COUNT + 1]; /* the last one: outside */
    uint32_t spaces[DEMO_SERVICE_COUNT + 1];
    uint32_t routes[DEMO_OPERATIONS_MAX];
    uint32_t methods[DEMO_OPERATIONS_MAX];
};

struct demo_mesh {
    struct demo_proxy proxies[WEFT_CLIENTS_COUNT_MAX];
    uint32_t proxy_count;
    uint64_t random; /* of ids: another run's traces are others */
    uint64_t sent_spans;
};

/* Sums over all clients; at rest sent = acknowledged + dropped. */
struct demo_tally {
    uint64_t sent_spans;
    uint64_t acknowledged_spans; /* rejected ones included */
    uint64_t rejected_spans;
    uint64_t dropped_spans;
    uint32_t connected_count;
    char last_error[DEMO_TEXT_BYTES]; /* of a client that has one; "" when none has */
};

/* socket_path: as in weft_options. 0, or what weft_open says. Freed by demo_mesh_close, also after an error.
 */
int demo_mesh_open(struct demo_mesh *mesh, const char *socket_path);

/* Each span by its reporter's client; the request ends at end_unix_ns. What finds no room is dropped and
 * counted. */
void demo_mesh_record(struct demo_mesh *mesh, const struct demo_request *request, uint64_t end_unix_ns);

void demo_mesh_tally(const struct demo_mesh *mesh, struct demo_tally *ret_tally);

/* Waits until all is acknowledged, at most so long altogether. */
void demo_mesh_flush(struct demo_mesh *mesh, uint32_t timeout_ms);

/* NULL and a zeroed one are fine. */
void demo_mesh_close(struct demo_mesh *mesh);

#endif
