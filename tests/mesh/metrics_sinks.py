"""Envoy's statistics sinks that speak gRPC or HTTP: OpenTelemetry's and the metrics service. Their
configuration, one proxy that has them, and a sink that keeps what the metrics service streams.

    load ─► envoy ─► upstream        open_telemetry  ─unary Export─►  agent_grpc | agent_http
                                     metrics_service ─a stream that never ends─►  agent_grpc

What is expected of the agent is read from Envoy's own /stats.
"""

import json
import time
import urllib.request

from agent import Samples
from harness import free_port, wait_for
from http_sink import HttpSink
from sidecar import REVIEWS, TYPE, Envoy, cluster, front_routes, listener
from stream_sink import StreamSink

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


OTLP_DELTAS = {"report_counters_as_deltas": True, "report_histograms_as_deltas": True}


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
    with urllib.request.urlopen(f"http://127.0.0.1:{envoy.admin_port}{path}", timeout=60) as answer:
        return answer.read().decode()


def counters(envoy):
    """{name: value} of Envoy's counters."""
    stats = json.loads(admin(envoy, "/stats?format=json&type=Counters"))["stats"]
    return {each["name"]: each["value"] for each in stats}


def gauges(envoy):
    stats = json.loads(admin(envoy, "/stats?format=json&type=Gauges"))["stats"]
    return {each["name"]: each["value"] for each in stats}


def stream_sink(path):
    return StreamSink(path, METHOD)


def _labels(sample_labels):
    """Without what the agent adds; bounds as numbers."""
    return tuple(
        sorted(
            (name, float(value) if name == "le" else value)
            for name, value in sample_labels.items()
            if not name.startswith("sender_")
        )
    )


def told_by_envoy(envoy):
    """{(name, labels): value} of Envoy's own Prometheus exposition, names without its prefix. Left out are sums,
    which Envoy estimates anew for each exposition, and zeros: a sink is not told of what was never used."""
    rows = {}
    for name, labels, value in Samples(admin(envoy, "/stats/prometheus")).rows:
        name = name.removeprefix("envoy_")
        if value != 0 and not name.endswith("_sum"):
            rows[name, _labels(labels)] = value
    return rows


def shown_by_agent(samples, names):
    """The same of the agent's exposition, for samples of those names."""
    rows = {}
    for name, labels, value in samples.rows:
        if name in names and value != 0:
            key = name, _labels(labels)
            assert key not in rows, f"{key} is told twice"
            rows[key] = value
    return rows


TIMED = "cluster_shop_svc_cluster_local_upstream_rq_time_count", (("envoy_cluster_name", "outbound|80||reviews"),)


def settled_rows(agent, envoy, timed, seconds=120):
    """Both, once they are equal and `timed` requests are in Envoy's histogram, which it updates at a flush;
    AssertionError with what differs when they do not become so."""
    end = time.monotonic() + seconds
    while True:
        expected = told_by_envoy(envoy)
        shown = shown_by_agent(agent.samples(), {name for name, _ in expected})
        if shown == expected and expected.get(TIMED) == timed:
            return expected
        if time.monotonic() > end:
            keys = sorted(key for key in expected.keys() | shown.keys() if expected.get(key) != shown.get(key))
            differing = [(key, expected.get(key), shown.get(key)) for key in keys]
            raise AssertionError(
                f"{len(keys)} of {len(expected)} rows differ (Envoy's, the agent's): {differing[:10]}"
            )
        time.sleep(0.3)


def check_ledger(agent):
    """Every point that arrived is in a series or dropped for a reason; returns the samples."""

    def balanced():
        samples = agent.samples()
        received = samples.total("weft_records_received_total", signal="metrics")
        aggregated = samples.total("weft_records_aggregated_total", signal="metrics")
        dropped = samples.total("weft_records_dropped_total", signal="metrics")
        return samples if received > 0 and received == aggregated + dropped else None

    return wait_for(balanced, "received = aggregated + dropped")


def kept(sink):
    """The messages that a Sink, an HttpSink or a StreamSink has kept of metrics."""
    if isinstance(sink, StreamSink):
        return [message for stream in sink.streams for message in stream]
    if isinstance(sink, HttpSink):
        return sink.bodies("/v1/metrics")
    return [message for method, _, message in sink.messages if ".MetricsService/" in method]
