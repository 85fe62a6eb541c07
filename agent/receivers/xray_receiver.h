/*
 * X-Ray segments of one shard: UDP datagrams, as SDKs and Envoy send them to the X-Ray daemon, to OTLP, to
 * requests. The shard's thread. Nobody is answered, and UDP tells no sender: what is lost before it is read
 * is counted by the kernel, and a datagram that finds memory of values full is counted as refused.
 */
#ifndef WEFT_AGENT_XRAY_RECEIVER_H
#define WEFT_AGENT_XRAY_RECEIVER_H

#include "listen/datagram.h"
#include "pipeline/pipeline.h"

struct xray_receiver;

/* Reads a socket, which outlives the receiver; pipeline and loop are borrowed. 0, WERR_NOMEM or WERR_IO. */
int xray_receiver_new(struct pipeline *pipeline, uv_loop_t *loop, const struct datagram_socket *socket,
    struct xray_receiver **ret_receiver);

/* Before a stop, while the pipeline still takes records: takes what lies in the socket, then closes. The
 * handle ends by a later turn of the loop. NULL is fine. */
void xray_receiver_close(struct xray_receiver *receiver);

/* After the handle has ended, before the pipeline. NULL is fine. */
void xray_receiver_free(struct xray_receiver *receiver);

#endif
