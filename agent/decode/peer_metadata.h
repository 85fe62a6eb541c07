/*
 * What a mesh's metadata says of a workload: the node of a proxy, and the peers that Istio's metadata
 * exchange leaves in Envoy's filter state. Read in place, nothing is copied. Any thread.
 *
 * Forms of a peer, all of them in a google.protobuf.Any:
 *   Struct       short keys ("workload", "namespace" …) since Istio 1.24, or those of the node
 * ("WORKLOAD_NAME", "LABELS" {…}) BytesValue   an encoded Struct, or, before 1.24, a flatbuffer: table
 * FlatNode {name, namespace, labels:
 *                [{key, value}], owner, workload_name, platform_metadata, istio_version, mesh_id,
 *                app_containers, cluster_id}
 *   StringValue  "workload=reviews-v1,namespace=shop,…", with the short keys
 * Sources: Istio's change note for 1.24; its metadata exchange's schema; the FlatBuffers internals page.
 */
#ifndef WEFT_DECODE_PEER_METADATA_H
#define WEFT_DECODE_PEER_METADATA_H

#include "core/slice.h"
#include "decode/access_log.h"

enum { PEER_METADATA_FIELDS_MAX = 256 }; /* of a Struct, or labels, that are looked at */

/* Adds what an encoded Any tells; what is there already stays. Negative on damage; a form that is not known
 * tells nothing. */
int peer_metadata_read(struct slice any, struct access_log_peer *peer);

/* The same for an encoded google.protobuf.Struct, as nodes have it. */
int peer_metadata_read_struct(struct slice encoded, struct access_log_peer *peer);

#endif
