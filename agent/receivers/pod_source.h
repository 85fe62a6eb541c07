/*
 * Keeps the table of this node's pods (context/pods.h) filled: from a kubelet's GET /pods, at an interval and
 * over TLS; or from the files of a downward-API volume, which tell of the agent's own pod, where it runs
 * beside its proxy. On main's loop, off the record path.
 *
 * A kubelet that does not answer leaves the table as it was, counted in weft_kubelet_polls_total.
 */
#ifndef WEFT_AGENT_POD_SOURCE_H
#define WEFT_AGENT_POD_SOURCE_H

#include <uv.h>

#include "config/config.h"
#include "context/pods.h"
#include "core/log.h"
#include "core/metrics.h"

struct pod_source;

/*
 * Begins at once. 0 with *ret_source, NULL when nothing is configured; WERR_NOMEM. Everything is borrowed and
 * outlives the source; `cells` are the loop's thread's.
 */
int pod_source_new(const struct config_identity *config, uv_loop_t *loop, struct pods *pods,
    struct metric_cells *cells, struct log *log, struct pod_source **ret_source);

/* On the loop; frees itself in its next turns. NULL is fine. */
void pod_source_close(struct pod_source *source);

/* Reads uid, name, namespace and labels from files of these names in `directory`. WERR_NOT_FOUND without uid
 * or name; WERR_NOMEM. */
int pod_source_read_directory(const char *directory, struct pod_table *table);

#endif
