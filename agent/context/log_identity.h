/*
 * Who both sides of an access-log entry are, for naming profiles: from the writer's node, the mesh's peer
 * metadata, and the certificates that the connection's TLS proved. Runs in the shard that received the entry;
 * does nothing where no profile is enabled.
 */
#ifndef WEFT_CONTEXT_LOG_IDENTITY_H
#define WEFT_CONTEXT_LOG_IDENTITY_H

#include "context/context.h"
#include "context/identity.h"
#include "decode/access_log.h"

/* `own`: the service that the writer belongs to. Metadata that contradicts its own certificate is not
 * believed. Within a batch. */
struct request_parties log_identify(struct context *context, const struct access_log_entry *entry,
    const struct access_log_reporter *names, const struct sender *sender, enum reporter reporter,
    struct service_ids own);

#endif
