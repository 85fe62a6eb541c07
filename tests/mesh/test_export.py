"""OTLP out of the agent: to a real receiver in each form, and metrics as another project's classes read them."""

import math

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
)

import corpus
import otlp
from agent import Weftd, otlp_destination
from backends import Rotel
from harness import free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
SERVER = 2
SPANS = 1500
DURATIONS = [MS * (1 + i % 400) for i in range(SPANS)]
TEMPORALITIES = {"cumulative": AGGREGATION_TEMPORALITY_CUMULATIVE, "delta": AGGREGATION_TEMPORALITY_DELTA}


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_spans_reach_rotel(directory, protocol, compression):
    with Rotel(directory) as rotel:
        port = rotel.grpc_port if protocol == "grpc" else rotel.http_port
        back = otlp_destination("rotel", port, protocol=protocol, compression=compression)
        with Weftd(directory, [back]) as agent:
            otlp.send_durations(agent.socket, DURATIONS)
            agent.wait_spans(SPANS)
            wait_for(lambda: rotel.spans() >= SPANS, f"{SPANS} spans in Rotel's log")
            assert rotel.spans() == SPANS
            sent = agent.samples().total("weft_export_sent_total", signal="spans", destination="rotel")
            assert sent == SPANS


def test_spans_leave_as_the_bytes_that_came(directory):
    """Nothing to redact: each span's encoding is found again, unchanged."""
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [otlp_destination("sink", port)]) as agent:
        request = otlp.ExportTraceServiceRequest.FromString(otlp.message([MS] * 50)[0])
        # A field that no version knows, and attributes in an unusual order, stay as they are.
        for span in request.resource_spans[0].scope_spans[0].spans:
            span.MergeFromString(b"\xfa\x3e\x03new")
        otlp.send(agent.socket, [request.SerializeToString()])
        wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) == 50, "the spans")
        got = sorted(span.SerializeToString() for _, _, span in corpus.spans(sink.traces()))
        want = sorted(span.SerializeToString() for _, _, span in corpus.spans([request.SerializeToString()]))
        assert got == want and all(b"\xfa\x3e\x03new" in each for each in got)


def metrics(sink):
    """(metric, number of its message) of everything that came, in order."""
    for at, (method, _, message) in enumerate(sink.messages):
        if ".MetricsService/" in method:
            for resource in ExportMetricsServiceRequest.FromString(message).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        yield metric, at


def durations_of(sink, form):
    """Data points of the duration histogram with samples: the metric whose unit is s and whose form it is."""
    points = []
    for metric, at in metrics(sink):
        if "duration" in metric.name and metric.WhichOneof("data") == form:
            data = getattr(metric, form)
            points += [(point, data.aggregation_temporality, at) for point in data.data_points if point.count]
    return points


@pytest.mark.parametrize("temporality", TEMPORALITIES)
@pytest.mark.parametrize("form", ["exponential", "explicit"])
def test_metrics_hold_what_was_sent(directory, form, temporality):
    port = free_port()
    data = "exponential_histogram" if form == "exponential" else "histogram"
    back = otlp_destination(
        "sink",
        port,
        signals=["metrics"],
        metrics={"interval_s": 1, "temporality": temporality, "histograms": form},
    )
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [back]) as agent:
        otlp.send_durations(agent.socket, DURATIONS)
        agent.wait_spans(SPANS)

        def total():
            points = durations_of(sink, data)
            if temporality == "cumulative":
                last = max((at for _, _, at in points), default=None)
                points = [row for row in points if row[2] == last]
            return points if sum(point.count for point, _, _ in points) == SPANS else None

        points = wait_for(total, f"{SPANS} in the {temporality} {form} histogram")
        assert {kind for _, kind, _ in points} == {TEMPORALITIES[temporality]}
        assert sum(point.sum for point, _, _ in points) == pytest.approx(sum(DURATIONS) / 1e9, rel=1e-9)
        if form == "exponential":
            assert_exponential([point for point, _, _ in points])
        else:
            assert_explicit([point for point, _, _ in points])


def test_the_last_times_are_exported(directory):
    """What still waits for the rest of its trace when the agent is stopped is told in the last export."""
    port = free_port()
    back = otlp_destination("sink", port, signals=["metrics"], metrics={"interval_s": 3600})
    limits = {"trace_join_wait_ms": 60_000}
    request = otlp.ExportTraceServiceRequest.FromString(otlp.message(DURATIONS)[0])
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.kind = SERVER
    with Sink(f"127.0.0.1:{port}") as sink:
        with Weftd(directory, [back], shards=2, limits=limits) as agent:
            otlp.send(agent.socket, [request.SerializeToString()])
            agent.wait_spans(SPANS)
            assert not list(metrics(sink))
            agent.stop()
        last = [metric for metric, _ in metrics(sink) if "service_self" in metric.name.replace(".", "_")]
        points = [point for metric in last for point in getattr(metric, metric.WhichOneof("data")).data_points]
        assert sum(point.count for point in points) == SPANS
        assert sum(point.sum for point in points) == pytest.approx(sum(DURATIONS) / 1e9, rel=1e-9)


def assert_exponential(points):
    """Recounts every latency into (base^i, base^(i+1)]; the sum of all points must be the same buckets."""
    scale = points[0].scale
    assert {point.scale for point in points} == {scale}
    got = {}
    for point in points:
        assert point.count == point.zero_count + sum(point.positive.bucket_counts)
        for i, count in enumerate(point.positive.bucket_counts):
            got[point.positive.offset + i] = got.get(point.positive.offset + i, 0) + count
    want = {}
    for duration in DURATIONS:
        index = math.ceil(math.log2(duration / 1e9) * 2**scale) - 1
        want[index] = want.get(index, 0) + 1
    assert {index: count for index, count in got.items() if count} == want


def assert_explicit(points):
    bounds = list(points[0].explicit_bounds)
    assert bounds == sorted(bounds) and len(bounds) == 16
    got = [sum(column) for column in zip(*(point.bucket_counts for point in points))]
    edges = [-math.inf, *bounds, math.inf]
    want = [sum(1 for each in DURATIONS if low < each / 1e9 <= high) for low, high in zip(edges, edges[1:])]
    assert got == want
