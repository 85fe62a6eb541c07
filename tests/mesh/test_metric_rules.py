"""What the configuration makes of metrics: families and labels left out, static labels, routes that it names; the
same in text, in OpenMetrics and in OTLP."""

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import otlp
from agent import Weftd, otlp_destination
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


def exported(sink):
    """name -> attributes of its points, of the last time that it was exported"""
    found = {}
    for method, _, message in list(sink.messages):
        assert "MetricsService" in method
        for resource in ExportMetricsServiceRequest.FromString(message).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = getattr(metric, metric.WhichOneof("data")).data_points
                    found[metric.name] = [
                        {pair.key: pair.value.string_value for pair in point.attributes} for point in points
                    ]
    return found


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
