/*
 * From the names that meshes give to clusters and hosts to (service, namespace), and to the side of the
 * request that a proxy was on when it used such a cluster. One table of forms; the README lists them. Pure,
 * nothing is copied: results are parts of the text given. Any thread.
 */
#ifndef WEFT_CONTEXT_SERVICE_NAME_H
#define WEFT_CONTEXT_SERVICE_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

/* Which side of the request a cluster's name says the proxy was on. */
enum cluster_side {
    CLUSTER_SIDE_UNTOLD,
    CLUSTER_SIDE_SOURCE,
    CLUSTER_SIDE_DESTINATION,
    CLUSTER_SIDE_WAYPOINT
};

struct service_name {
    struct slice service;           /* empty: not told */
    struct slice service_namespace; /* empty: not told */
    bool external;                  /* known to be outside of the mesh; both slices are empty */
};

struct cluster_name {
    struct service_name name; /* of the cluster's service; not told by most inbound clusters */
    uint8_t side;             /* enum cluster_side */
};

enum { SERVICE_NAME_LABELS_MAX = 16 }; /* of a host name that are looked at */

/* An Envoy cluster, as any of the known control planes names it; any other text is a plain name. */
struct cluster_name cluster_name_of(struct slice cluster);

/*
 * A host, with or without port, brackets and trailing dot. Kubernetes names give service and namespace, other
 * DNS names are taken whole, and so is a single label. A global IP address is external, any other address and
 * localhost tell nothing.
 */
struct service_name service_name_of_host(struct slice host);

/*
 * What a resource says of itself: its service.name, and the namespace that stands beside it (may be empty).
 * With `from_envoy`, "productpage.shop" is split, as Istio writes it; "unknown_service…" tells nothing.
 */
struct service_name service_name_of_resource(struct slice service, struct slice beside, bool from_envoy);

/* The namespace in Istio's node id, "sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local"; empty when it is
 * not one. */
struct slice namespace_of_node_id(struct slice node_id);

/* The host of "scheme://user@host:port/path"; empty when there is none. */
struct slice host_of_url(struct slice url);

#endif
