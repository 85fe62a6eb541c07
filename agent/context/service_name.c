/*
 * The forms of cluster and host names, tried in the order of the table at the end. Each reader is given the
 * whole name and says whether it is one of its own; none recurses or copies.
 */
#include "context/service_name.h"

#include <arpa/inet.h>
#include <string.h>

static bool all_digits(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return text.length > 0;
}

/* A DNS label, as Kubernetes has them: letters, digits, dashes. */
static bool is_label(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-')) {
            return false;
        }
    }
    return text.length > 0 && text.length <= 63;
}

/* Cuts `text` at `separator` into at most part_max pieces, the last one holding the rest. Returns how many.
 */
static size_t split(struct slice text, uint8_t separator, struct slice *parts, size_t part_max)
{
    size_t count = 0;

    while (count + 1 < part_max) {
        size_t at = slice_find(text, separator);

        parts[count++] = slice_sub(text, 0, at);
        if (at >= text.length) {
            return count;
        }
        text = slice_sub(text, at + 1, text.length);
    }
    parts[count++] = text;
    return count;
}

/* The part behind the last `separator`; *ret_before what stands before it. False when there is none. */
static bool cut_last(struct slice text, uint8_t separator, struct slice *ret_before, struct slice *ret_last)
{
    for (size_t i = text.length; i > 0; i--) {
        if (text.ptr[i - 1] == separator) {
            *ret_last = slice_sub(text, i, text.length);
            *ret_before = slice_sub(text, 0, i - 1);
            return true;
        }
    }
    return false;
}

static bool is_ipv4_global(const uint8_t a[4])
{
    bool local = a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 ||
                 (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168) ||
                 (a[0] == 169 && a[1] == 254) || (a[0] == 100 && (a[1] & 0xc0) == 64);

    return !local;
}

/* 1: a global address, 0: an address that says nothing of where it is, -1: not an address. */
static int address_kind(struct slice host)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t a[16];

    if (host.length == 0 || host.length >= sizeof text) {
        return -1;
    }
    memcpy(text, host.ptr, host.length);
    text[host.length] = '\0';
    if (inet_pton(AF_INET, text, a) == 1) {
        return is_ipv4_global(a);
    }
    if (inet_pton(AF_INET6, text, a) == 1) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

        if (memcmp(a, mapped, sizeof mapped) == 0) {
            return is_ipv4_global(a + 12);
        }
        return (a[0] & 0xe0) == 0x20; /* 2000::/3 */
    }
    return -1;
}

/* Without port, brackets and trailing dots. */
static struct slice bare_host(struct slice host)
{
    size_t colon = slice_find(host, ':');

    if (host.length > 0 && host.ptr[0] == '[') {
        return slice_sub(host, 1, slice_find(host, ']'));
    }
    if (colon < host.length &&
        slice_find(slice_sub(host, colon + 1, host.length), ':') == host.length - colon - 1) {
        host = slice_sub(host, 0, colon); /* one colon: a port; more: an IPv6 address */
    }
    while (host.length > 0 && host.ptr[host.length - 1] == '.') {
        host.length--;
    }
    return host;
}

struct service_name service_name_of_host(struct slice host)
{
    struct service_name name = {.service = slice_of(NULL, 0)};
    struct slice labels[SERVICE_NAME_LABELS_MAX];
    size_t count;
    int kind;

    host = bare_host(host);
    kind = address_kind(host);
    if (kind >= 0 || host.length == 0 || slice_equal(host, SLICE_LITERAL("localhost"))) {
        name.external = kind == 1;
        return name;
    }
    count = split(host, '.', labels, SERVICE_NAME_LABELS_MAX);
    for (size_t i = 1; i < count; i++) {
        /* POD.SERVICE.NAMESPACE.svc.DOMAIN: whatever stands before the service is one of its pods. */
        if (i >= 2 && slice_equal(labels[i], SLICE_LITERAL("svc"))) {
            name.service = labels[i - 2];
            name.service_namespace = labels[i - 1];
            return name;
        }
        /* 10-1-2-3.NAMESPACE.pod.DOMAIN names no service. */
        if (i == 2 && slice_equal(labels[i], SLICE_LITERAL("pod")) && count > 3) {
            name.service_namespace = labels[1];
            return name;
        }
    }
    name.service = host;
    return name;
}

struct service_name service_name_of_resource(struct slice service, struct slice beside, bool from_envoy)
{
    struct service_name name = {.service = service, .service_namespace = beside};
    size_t dot = slice_find(service, '.');
    struct slice rest = slice_sub(service, dot + 1, service.length);

    if (slice_has_prefix(service, SLICE_LITERAL("unknown_service"))) {
        name.service = slice_of(NULL, 0);
        return name;
    }
    if (dot == 0 || rest.length == 0) {
        return name;
    }
    if (beside.length > 0 && slice_equal(rest, beside)) {
        name.service = slice_sub(service, 0, dot);
        return name;
    }
    if (from_envoy && is_label(rest) && is_label(slice_sub(service, 0, dot))) {
        name.service = slice_sub(service, 0, dot);
        name.service_namespace = beside.length > 0 ? beside : rest;
        return name;
    }
    if (slice_find(rest, '.') < rest.length) {
        struct service_name host = service_name_of_host(service);

        if (host.service_namespace.length > 0 && host.service.length > 0) {
            name.service = host.service;
            name.service_namespace = beside.length > 0 ? beside : host.service_namespace;
        }
    }
    return name;
}

struct slice namespace_of_node_id(struct slice node_id)
{
    struct slice parts[5];
    struct slice domain[3];

    if (split(node_id, '~', parts, 5) != 4 || split(parts[3], '.', domain, 3) < 2 ||
        !slice_has_prefix(domain[1], SLICE_LITERAL("svc")) || !is_label(domain[0])) {
        return slice_of(NULL, 0);
    }
    return domain[0];
}

struct slice host_of_url(struct slice url)
{
    size_t colon = slice_find(url, ':');
    struct slice rest = slice_sub(url, colon, url.length);
    struct slice before;
    struct slice host;

    if (colon == 0 || !slice_has_prefix(rest, SLICE_LITERAL("://"))) {
        return slice_of(NULL, 0);
    }
    rest = slice_sub(rest, 3, rest.length);
    for (size_t i = 0; i < rest.length; i++) {
        if (rest.ptr[i] == '/' || rest.ptr[i] == '?' || rest.ptr[i] == '#') {
            rest.length = i;
        }
    }
    return cut_last(rest, '@', &before, &host) ? host : rest;
}

/* outbound|80|v1|reviews.shop.svc.cluster.local, inbound|8080||,
 * inbound-vip|80|http|reviews.shop.svc.cluster.local */
static bool read_istio(struct slice text, struct cluster_name *out)
{
    struct slice parts[4];

    if (split(text, '|', parts, 4) != 4) {
        return false;
    }
    if (slice_equal(parts[0], SLICE_LITERAL("outbound"))) {
        out->side = CLUSTER_SIDE_SOURCE;
    } else if (slice_equal(parts[0], SLICE_LITERAL("inbound"))) {
        out->side = CLUSTER_SIDE_DESTINATION;
    } else if (slice_equal(parts[0], SLICE_LITERAL("inbound-vip"))) {
        out->side = CLUSTER_SIDE_WAYPOINT;
    } else {
        return false;
    }
    out->name = service_name_of_host(parts[3]);
    return true;
}

/* outbound_.80_.v1_.reviews.shop.svc.cluster.local: the same in the form that is fit for SNI */
static bool read_istio_sni(struct slice text, struct cluster_name *out)
{
    bool inbound = slice_has_prefix(text, SLICE_LITERAL("inbound_."));
    size_t from = 0;

    if (!inbound && !slice_has_prefix(text, SLICE_LITERAL("outbound_."))) {
        return false;
    }
    for (unsigned part = 0; part < 3; part++) {
        size_t at = from;

        while (at + 1 < text.length && !(text.ptr[at] == '_' && text.ptr[at + 1] == '.')) {
            at++;
        }
        if (at + 1 >= text.length) {
            return false;
        }
        from = at + 2;
    }
    out->side = inbound ? CLUSTER_SIDE_DESTINATION : CLUSTER_SIDE_SOURCE;
    out->name = service_name_of_host(slice_sub(text, from, text.length));
    return true;
}

/* Istio's clusters for traffic that no service entry knows; Consul's for the workload beside the proxy. */
static bool read_fixed(struct slice text, struct cluster_name *out)
{
    static const struct {
        struct slice name;
        enum cluster_side side;
        bool external;
    } rows[] = {
        {{(const uint8_t *)"PassthroughCluster", 18}, CLUSTER_SIDE_SOURCE, true},
        {{(const uint8_t *)"BlackHoleCluster", 16}, CLUSTER_SIDE_SOURCE, true},
        {{(const uint8_t *)"InboundPassthroughCluster", 25}, CLUSTER_SIDE_DESTINATION, false},
        {{(const uint8_t *)"InboundPassthroughClusterIpv4", 29}, CLUSTER_SIDE_DESTINATION, false},
        {{(const uint8_t *)"InboundPassthroughClusterIpv6", 29}, CLUSTER_SIDE_DESTINATION, false},
        {{(const uint8_t *)"local_app", 9}, CLUSTER_SIDE_DESTINATION, false},
        {{(const uint8_t *)"original-destination", 20}, CLUSTER_SIDE_SOURCE, true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (slice_equal(text, rows[i].name)) {
            out->side = (uint8_t)rows[i].side;
            out->name.external = rows[i].external;
            return true;
        }
    }
    return false;
}

/*
 * Consul: [SUBSET.]SERVICE.NAMESPACE.DC.internal.TRUST.consul,
 * [SUBSET.]SERVICE.NAMESPACE.PARTITION.DC.internal-v1.TRUST.consul and, from a peered cluster,
 * SERVICE.NAMESPACE[.PARTITION].PEER.external.TRUST.consul; "HASH~" may stand before each.
 */
static bool read_consul(struct slice text, struct cluster_name *out)
{
    struct slice labels[SERVICE_NAME_LABELS_MAX];
    size_t tilde = slice_find(text, '~');
    size_t at = 0;
    size_t tail; /* labels from the service to the data centre */
    size_t count;

    if (!slice_has_suffix(text, SLICE_LITERAL(".consul"))) {
        return false;
    }
    if (tilde < text.length) {
        text = slice_sub(text, tilde + 1, text.length);
    }
    count = split(text, '.', labels, SERVICE_NAME_LABELS_MAX);
    while (at < count && !slice_has_prefix(labels[at], SLICE_LITERAL("internal")) &&
           !slice_equal(labels[at], SLICE_LITERAL("external"))) {
        at++;
    }
    if (at < 3 || at > 5 || at >= count) {
        return false;
    }
    tail = slice_equal(labels[at], SLICE_LITERAL("internal"))   ? 3
           : slice_equal(labels[at], SLICE_LITERAL("external")) ? at
                                                                : 4;
    if (at < tail || at > tail + 1) {
        return false;
    }
    out->side = CLUSTER_SIDE_SOURCE;
    out->name.service = labels[at - tail];
    out->name.service_namespace = labels[at - tail + 1];
    return true;
}

/*
 * Gloo: [kube-svc:]NAMESPACE-SERVICE-PORT_UPSTREAMNAMESPACE. Dashes in both halves cannot be told apart: the
 * namespace is taken to have none.
 */
static bool read_gloo(struct slice text, struct cluster_name *out)
{
    struct slice before;
    struct slice upstream_namespace;
    struct slice port;
    struct slice name;
    size_t dash;

    if (slice_has_prefix(text, SLICE_LITERAL("kube-svc:"))) {
        text = slice_sub(text, 9, text.length);
    }
    if (!cut_last(text, '_', &before, &upstream_namespace) || !is_label(upstream_namespace) ||
        !cut_last(before, '-', &name, &port) || !all_digits(port) || !is_label(name)) {
        return false;
    }
    dash = slice_find(name, '-');
    if (dash == 0 || dash + 1 >= name.length) {
        return false;
    }
    out->side = CLUSTER_SIDE_SOURCE;
    out->name.service_namespace = slice_sub(name, 0, dash);
    out->name.service = slice_sub(name, dash + 1, name.length);
    return true;
}

/* App Mesh: cds_egress_MESH_NODE_PROTOCOL_PORT; its Kubernetes controller names a node NAME_NAMESPACE. */
static bool read_app_mesh(struct slice text, struct cluster_name *out)
{
    bool ingress = slice_has_prefix(text, SLICE_LITERAL("cds_ingress_"));
    struct slice parts[4];
    struct slice protocol;
    struct slice port;
    size_t count;

    if (!ingress && !slice_has_prefix(text, SLICE_LITERAL("cds_egress_"))) {
        return false;
    }
    text = slice_sub(text, ingress ? 12 : 11, text.length);
    if (!cut_last(text, '_', &text, &port) || !all_digits(port) || !cut_last(text, '_', &text, &protocol)) {
        return false;
    }
    count = split(text, '_', parts, 4);
    if (count < 2 || count > 3) {
        return false;
    }
    out->side = ingress ? CLUSTER_SIDE_DESTINATION : CLUSTER_SIDE_SOURCE;
    out->name.service = parts[1];
    if (count == 3) {
        out->name.service_namespace = parts[2];
    }
    return true;
}

/* Envoy Gateway: httproute/NAMESPACE/ROUTE/rule/N. Contour: NAMESPACE/SERVICE/PORT/HASH. Both are gateways.
 */
static bool read_gateway(struct slice text, struct cluster_name *out)
{
    struct slice parts[6];
    size_t count = split(text, '/', parts, 6);

    if (count == 5 && slice_equal(parts[3], SLICE_LITERAL("rule")) && all_digits(parts[4])) {
        out->name.service_namespace = parts[1];
        out->name.service = parts[2];
    } else if (count == 4 && is_label(parts[0]) && is_label(parts[1]) && all_digits(parts[2])) {
        out->name.service_namespace = parts[0];
        out->name.service = parts[1];
    } else {
        return false;
    }
    out->side = CLUSTER_SIDE_SOURCE;
    return true;
}

struct cluster_name cluster_name_of(struct slice cluster)
{
    static bool (*const readers[])(struct slice, struct cluster_name *) = {
        read_istio, read_istio_sni, read_fixed, read_consul, read_app_mesh, read_gloo, read_gateway};
    struct cluster_name out = {.side = CLUSTER_SIDE_UNTOLD};

    while (cluster.length > 0 && cluster.ptr[cluster.length - 1] == ';') {
        cluster.length--; /* ends the names that Istio gives for statistics */
    }
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (readers[i](cluster, &out)) {
            return out;
        }
    }
    out.name = service_name_of_host(cluster);
    return out;
}
