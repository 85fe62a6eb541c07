"""What the configuration makes of metrics: families and labels left out, static labels, routes that it names, bounds of
some routes' own; the same in text, in OpenMetrics and in OTLP."""

import bisect
import itertools
import math
import struct
import subprocess

import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

import otlp
from agent import WEFTD, Weftd, otlp_destination
from harness import free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

EDGE = ("--source", "frontend", "--destination", "cart", "--destination-namespace", "shop")
METRICS = {
    "keep": ["mesh_*", "weft_records_*"],
    "drop": ["mesh_request_bytes_total", "mesh_response_bytes_total"],
    "drop_labels": ["method", "response_code"],
    "labels": [{"name": "zone", "value": "east-1"}],
}


def points(sink):
    """name -> its points, of the last time that it was exported"""
    found = {}
    for method, _, message in list(sink.messages):
        assert "MetricsService" in method
        for resource in ExportMetricsServiceRequest.FromString(message).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = getattr(metric, metric.WhichOneof("data")).data_points
    return found


def attributes(point):
    return {pair.key: pair.value.string_value for pair in point.attributes}


def exported(sink):
    """name -> attributes of its points, likewise"""
    return {name: [attributes(point) for point in found] for name, found in points(sink).items()}


def test_families_and_labels(directory):
    with Weftd(directory, metrics=METRICS) as agent:
        agent.emit(*EDGE, "--method", "GET", "--count", 3)
        agent.emit(*EDGE, "--method", "POST", "--code", 201, "--count", 4)
        samples = agent.wait_spans(7)
        [(labels, value)] = samples.matching("mesh_requests_total", destination="cart")
        assert value == 7
        assert "method" not in labels and "response_code" not in labels
        names = {name for name, _, _ in samples.rows}
        assert not any(name.startswith(("mesh_request_bytes", "mesh_response_bytes", "weft_build")) for name in names)
        assert "weft_records_received_total" in names
        assert all(labels["zone"] == "east-1" for _, labels, _ in samples.rows)
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        status, _, body = agent.get("/metrics", headers=accept)
        lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
        assert status == 200 and lines and all('zone="east-1"' in line for line in lines)


def test_otlp_has_them_too(directory):
    port = free_port()
    back = otlp_destination("sink", port, signals=["metrics"], metrics={"interval_s": 1})
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [back], metrics=METRICS) as agent:
        agent.emit(*EDGE, "--count", 3)
        wait_for(lambda: exported(sink).get("mesh_requests"), "requests in the sink")
        found = exported(sink)
        assert [point["zone"] for point in found["mesh_requests"]] == ["east-1"]
        assert "method" not in found["mesh_requests"][0]
        assert not any(name.startswith(("mesh_request_bytes", "weft_build")) for name in found)


def test_routes_that_are_named(directory):
    """A path becomes the first template that fits its destination; a record's own route stays."""
    routes = [
        {"service": "reviews*", "template": "/people/{name}/**"},
        {"service": "nobody", "template": "/**"},
    ]
    with Weftd(directory, routes=routes) as agent:
        request = otlp.ExportTraceServiceRequest.FromString(otlp.message([1_000_000] * 4)[0])
        paths = ["/people/alice/album?page=2", "/people/bob", "/cats/tom", None]
        for span, path in zip(request.resource_spans[0].scope_spans[0].spans, paths):
            for pair in span.attributes:
                if pair.key == "http.route" and path:
                    pair.key, pair.value.string_value = "http.target", path
        otlp.send(agent.socket, [request.SerializeToString()])
        samples = agent.wait_spans(4)
        assert samples.by(("route",), "mesh_requests_total") == {
            ("/people/{name}/**",): 2,
            ("/cats/tom",): 1,
            ("/reviews/{id}",): 1,
        }


MS = 1_000_000
DURATION = "mesh_request_duration_seconds"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
BOUNDS_MS = {"/pay/{id}": [100, 250.5, 3000], "/slow": [40.000001], "/reviews/{id}": [1, 100, 7000]}
RULES = [
    {"service": "reviews.shop", "route": "/pay/*", "bounds_ms": BOUNDS_MS["/pay/{id}"]},
    {"service": "nobody", "bounds_ms": [17]},
    {"route": "/slow", "bounds_ms": BOUNDS_MS["/slow"]},
]
# Each bound of any of them, and the nanosecond above it: 16 of each route.
LATENCIES_NS = [
    round(bound * MS) + more for bound in sorted({17, *itertools.chain(*BOUNDS_MS.values())}) for more in (0, 1)
]


def upto(bound_ms):
    """How many of LATENCIES_NS are at most so long."""
    return bisect.bisect_right(LATENCIES_NS, bound_ms * MS)


def les(rows):
    """(labels, value) of buckets -> {route: [(le, value)]}, outcome ok"""
    found = {}
    for labels, value in rows:
        if labels["outcome"] == "ok":
            found.setdefault(labels["route"], []).append((float(labels["le"]), value))
    return {route: sorted(buckets) for route, buckets in found.items()}


def test_bounds_per_route(directory):
    """Each route shows bounds of its own, with exact counts, in every format."""
    port = free_port()
    back = otlp_destination("sink", port, signals=["metrics"], metrics={"interval_s": 1, "histograms": "explicit"})
    metrics = {"bounds_ms": BOUNDS_MS["/reviews/{id}"], "bounds_per_route": RULES, "keep": [DURATION, "weft_*"]}
    wanted = {
        route: [(bound / 1e3, upto(bound)) for bound in bounds] + [(math.inf, len(LATENCIES_NS))]
        for route, bounds in BOUNDS_MS.items()
    }
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [back], shards=2, metrics=metrics) as agent:
        for route in BOUNDS_MS:
            otlp.send_durations(agent.socket, LATENCIES_NS, route=route)
        samples = agent.wait_spans(len(BOUNDS_MS) * len(LATENCIES_NS))
        assert les(samples.matching(f"{DURATION}_bucket")) == wanted

        _, _, body = agent.get("/metrics", {"accept": "application/openmetrics-text; version=1.0.0"})
        [family] = [family for family in parse_openmetrics(body.decode()) if family.name == DURATION]
        buckets = [sample for sample in family.samples if sample.name == f"{DURATION}_bucket"]
        assert les((sample.labels, sample.value) for sample in buckets) == wanted
        assert any(sample.exemplar for sample in buckets)

        # In protobuf a bucket is its count, field 1, then its bound, field 2; these counts take one byte.
        _, _, body = agent.get("/metrics", {"accept": PROTOBUF})
        for route, bounds in wanted.items():
            for bound, count in bounds[:-1]:
                assert struct.pack("<bbbd", 8, count, 0x11, bound) in body, (route, bound)

        def complete():
            found = [point for point in points(sink).get(DURATION, []) if attributes(point)["outcome"] == "ok"]
            return found if [point.count for point in found] == [len(LATENCIES_NS)] * len(BOUNDS_MS) else None

        for point in wait_for(complete, "all requests in the sink"):
            counts = list(itertools.accumulate(point.bucket_counts))
            bounds = [*point.explicit_bounds, math.inf]
            assert list(zip(bounds, counts)) == wanted[attributes(point)["route"]]


def test_slow_per_route(directory):
    """A rule's slow_ms keeps traces that trace.slow_ms would not, once the shard has been told."""
    rules = [{"route": "/pay/*", "slow_ms": 20}]
    trace = {"slow_ms": 1000, "slow_factor": 0, "baseline": 0, "rare_count": 0}
    with Weftd(directory, trace=trace, metrics={"bounds_per_route": rules}) as agent:

        def kept(route):
            before = agent.samples().total("weft_trace_kept_traces_total", reason="slow")
            otlp.send_durations(agent.socket, [50 * MS] * 3, route=route)
            return agent.samples().total("weft_trace_kept_traces_total", reason="slow") - before

        otlp.send_durations(agent.socket, [50 * MS], route="/reviews/{id}")
        otlp.send_durations(agent.socket, [50 * MS], route="/pay/{id}")
        agent.wait_spans(2)
        wait_for(lambda: kept("/pay/{id}") == 3, "slow traces of the rule's route")
        assert kept("/reviews/{id}") == 0


@pytest.mark.parametrize(
    "rule, key",
    [
        ({"bounds_ms": [1]}, "metrics.bounds_per_route[0]"),
        ({"service": "a"}, "metrics.bounds_per_route[0]"),
        ({"service": "a", "bounds_ms": [2, 2]}, "metrics.bounds_per_route[0].bounds_ms[1]"),
        ({"route": "/a", "bounds_ms": list(range(1, 98))}, "metrics.bounds_per_route[0].bounds_ms"),
        ({"route": "/a", "slow_ms": 3_600_001}, "metrics.bounds_per_route[0].slow_ms"),
    ],
)
def test_refused_rules_name_their_key(directory, rule, key):
    path = directory / "w.yaml"
    path.write_text(yaml.safe_dump({"metrics": {"bounds_per_route": [rule]}}))
    done = subprocess.run(
        [WEFTD, "--config", path, "--check-config"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert f"{key}: expected" in done.stderr or f"{key} expected" in done.stderr, done.stderr
