"""Envoy's statistics sinks that speak gRPC or HTTP: OpenTelemetry's and the metrics service. Their
configuration, one proxy that has them, and a server that keeps what the metrics service streams.

    load ─► envoy ─► upstream        open_telemetry  ─unary Export─►  agent_grpc | agent_http
                                     metrics_service ─a stream that never ends─►  agent_grpc

What is expected of the agent is read from Envoy's own /stats.
"""

import json
import threading
import urllib.request
from concurrent import futures

import grpc

from harness import free_port
from sidecar import REVIEWS, TYPE, Envoy, cluster, front_routes, listener

METHOD = "/envoy.service.metrics.v3.MetricsService/StreamMetrics"
FLUSH_SECONDS = 1
# Of an Envoy's about 900 statistics those that the load moves: what it tells of itself moves all the time.
PREFIXES = (f"cluster.{REVIEWS}.", "http.outbound.", "cluster_manager.")


def otlp_sink(http=False, **keys):
    """keys: fields of SinkConfig, as report_counters_as_deltas."""
    service = (
        {
            "http_service": {
                "http_uri": {"uri": "http://agent/v1/metrics", "cluster": "agent_http", "timeout": "2s"}
            }
        }
        if http
        else {"grpc_service": {"envoy_grpc": {"cluster_name": "agent_grpc"}, "timeout": "2s"}}
    )
    return {
        "name": "envoy.stat_sinks.open_telemetry",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig",
            **service,
            **keys,
        },
    }


def metrics_service(deltas=False, **keys):
    return {
        "name": "envoy.stat_sinks.metrics_service",
        "typed_config": {
            "@type": TYPE + "envoy.config.metrics.v3.MetricsServiceConfig",
            "grpc_service": {"envoy_grpc": {"cluster_name": "agent_grpc"}},
            "transport_api_version": "V3",
            "report_counters_as_deltas": deltas,
            "emit_tags_as_labels": True,
            **keys,
        },
    }


def proxy(directory, agent_socket, upstream_port, sinks, name="productpage"):
    """An Envoy with the front sidecar's routes before one upstream; returns (envoy, port of its listener)."""
    port = free_port()
    clusters = [
        cluster(REVIEWS, upstream_port),
        cluster("agent_grpc", agent_socket, http2=True),
        cluster("agent_http", agent_socket),
    ]
    routes = [
        each
        for each in front_routes(decorated=False, grpc=False)
        if each.get("route", {}).get("cluster", REVIEWS) == REVIEWS
    ]
    matcher = {"inclusion_list": {"patterns": [{"prefix": prefix} for prefix in PREFIXES]}}
    envoy = Envoy(
        name,
        directory,
        [listener("outbound", port, "OUTBOUND", routes, None, True)],
        clusters,
        bootstrap={
            "stats_sinks": sinks,
            "stats_flush_interval": f"{FLUSH_SECONDS}s",
            "stats_config": {"stats_matcher": matcher},
        },
    )
    return envoy, port


def admin(envoy, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{envoy.admin_port}{path}", timeout=10) as answer:
        return answer.read().decode()


def counters(envoy):
    """{name: value} of Envoy's counters."""
    stats = json.loads(admin(envoy, "/stats?format=json&type=Counters"))["stats"]
    return {each["name"]: each["value"] for each in stats}


def gauges(envoy):
    stats = json.loads(admin(envoy, "/stats?format=json&type=Gauges"))["stats"]
    return {each["name"]: each["value"] for each in stats}


class StreamSink(grpc.GenericRpcHandler):
    """Context manager; `streams` is a list of lists of encoded messages."""

    def __init__(self, path):
        self.streams = []
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[self])
        self._server.add_insecure_port(f"unix:{path}")

    def service(self, call):
        if call.method != METHOD:
            return None
        return grpc.stream_unary_rpc_method_handler(self._take)

    def _take(self, messages, _context):
        kept = []
        with self._lock:
            self.streams.append(kept)
        for message in messages:
            kept.append(message)
        return b""

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(1).wait(5)
