"""OTLP as JSON against OTLP as protobuf: the same recorded requests, written by Google's own classes in both
forms, come to the same spans, series and requests. And the answers, which are JSON."""

import json
import time
from contextlib import ExitStack

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import corpus
import otlp
import otlp_json
from agent import Weftd, otlp_destination
from harness import REPOSITORY, free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

CORPUS = REPOSITORY / "tests/corpus"
MS = 1_000_000
PROTOBUF = (("content-type", "application/x-protobuf"),)
TIMES = ("time_unix_nano", "start_time_unix_nano", "end_time_unix_nano", "observed_time_unix_nano")


TIME_NS_MIN = 10**17  # what Envoy's statistics sink writes in microseconds lies below


def move_times(message, by_ns):
    """Adds by_ns to every time of a message that is told."""
    for field, value in message.ListFields():
        if field.name in TIMES:
            setattr(message, field.name, value + by_ns if value > TIME_NS_MIN else value + by_ns // 1000)
        elif field.type == field.TYPE_MESSAGE:
            for each in value if field.is_repeated else [value]:
                move_times(each, by_ns)


def recorded(name, kind, first_time):
    """Requests of a fixture, moved to a minute ago."""
    requests = [kind.FromString(message) for message in corpus.read(CORPUS / name)]
    shift = time.time_ns() - 60_000 * MS - first_time(requests[0])
    for request in requests:
        move_times(request, shift)
    return requests


def first_span_time(request):
    return request.resource_spans[0].scope_spans[0].spans[0].start_time_unix_nano


def two_agents(stack, directory, **config):
    """(agent, sink) for protobuf and for JSON."""
    pairs = []
    for name in ("protobuf", "json"):
        port = free_port()
        sink = stack.enter_context(Sink(f"127.0.0.1:{port}"))
        destinations = [otlp_destination("sink", port)]
        pairs.append((stack.enter_context(Weftd(directory, destinations, name=name, **config)), sink))
    return pairs


def mesh_rows(samples):
    """Everything that requests and senders' metrics came to."""
    return sorted(
        (name, sorted(labels.items()), value)
        for name, labels, value in samples.rows
        if not name.startswith("weft_") and not name.endswith("_created")
    )


@pytest.mark.parametrize(
    "fixture", ["envoy_spawn_on.otlp", "envoy_spawn_off.otlp", "sdk_http_both.otlp", "sdk_rpc_new.otlp"]
)
def test_spans_are_the_same_in_both_forms(directory, fixture):
    requests = recorded(fixture, ExportTraceServiceRequest, first_span_time)
    count = sum(
        len(scope.spans) for each in requests for rs in each.resource_spans for scope in rs.scope_spans
    )
    with ExitStack() as stack:
        (binary, binary_sink), (text, text_sink) = two_agents(stack, directory)
        for at, request in enumerate(requests):
            status, kind, answer = otlp_json.post(
                binary.socket, "traces", request.SerializeToString(), headers=PROTOBUF
            )
            assert (status, kind, answer) == (200, "application/x-protobuf", b"")
            body = otlp_json.text_of(request, enum_names=at % 2 == 0, compact=at % 3 != 0)
            assert otlp_json.post(text.socket, "traces", body, packed=at % 2 == 1) == (
                200,
                "application/json",
                b"{}",
            )

        def same():
            rows = [mesh_rows(agent.wait_spans(count)) for agent in (binary, text)]
            return rows[0] if rows[0] == rows[1] and rows[0] else None

        wait_for(same, "the same requests in both")
        spans = []
        for sink in (binary_sink, text_sink):
            wait_for(
                lambda: sum(1 for _ in corpus.spans(sink.traces())) >= count, f"{count} spans in the sink"
            )
            spans.append(
                sorted(
                    (
                        sorted(resource.items()),
                        scope.SerializeToString(),
                        span.SerializeToString(deterministic=True),
                    )
                    for resource, scope, span in corpus.spans(sink.traces())
                )
            )
        assert spans[0] == spans[1]


@pytest.mark.parametrize("fixture", ["envoy_grpc.metrics", "envoy_delta.metrics", "envoy_http.metrics"])
def test_metrics_are_the_same_in_both_forms(directory, fixture):
    def first_time(request):
        metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
        return getattr(metric, metric.WhichOneof("data")).data_points[0].time_unix_nano

    requests = recorded(fixture, ExportMetricsServiceRequest, first_time)
    with ExitStack() as stack:
        (binary, _), (text, _) = two_agents(stack, directory)
        for request in requests:
            otlp_json.post(binary.socket, "metrics", request.SerializeToString(), headers=PROTOBUF)
            body = otlp_json.text_of(request)
            assert otlp_json.post(text.socket, "metrics", body) == (200, "application/json", b"{}")

        def same():
            rows = [mesh_rows(agent.samples()) for agent in (binary, text)]
            return rows if rows[0] == rows[1] and len(rows[0]) > 100 else None

        wait_for(same, "the same series in both")
        received = [
            agent.samples().by((), "weft_records_received_total", signal="metrics")
            for agent in (binary, text)
        ]
        assert received[0] == received[1] and received[0]


def test_logs_are_the_same_in_both_forms(directory):
    """Envoy's OpenTelemetry access log: each record is a request."""
    requests = recorded(
        "otlp_logs_envoy.logs",
        ExportLogsServiceRequest,
        lambda request: request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano,
    )
    count = sum(
        len(scope.log_records) for each in requests for rl in each.resource_logs for scope in rl.scope_logs
    )
    with ExitStack() as stack:
        (binary, _), (text, _) = two_agents(stack, directory)
        for request in requests:
            otlp_json.post(binary.socket, "logs", request.SerializeToString(), headers=PROTOBUF)
            body = otlp_json.text_of(request)
            assert otlp_json.post(text.socket, "logs", body) == (200, "application/json", b"{}")

        def same():
            samples = [agent.samples() for agent in (binary, text)]
            got = [each.total("weft_records_received_total", signal="logs") for each in samples]
            rows = [mesh_rows(each) for each in samples]
            held = sum(each.total("weft_records_held", signal="logs") for each in samples)
            return rows if got == [count, count] and not held and rows[0] == rows[1] and rows[0] else None

        assert any(
            name == "mesh_requests_total" for name, _, _ in wait_for(same, "the same requests in both")[0]
        )


def test_answers_are_json(directory):
    message, _ = otlp.message([MS] * 3)
    good = json.loads(otlp_json.text_of(ExportTraceServiceRequest.FromString(message)))
    spans = good["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[0]["traceId"] = spans[0]["traceId"][:10]
    with Weftd(directory, limits={"message_bytes_max": 65536}) as agent:

        def refused(body, **options):
            status, kind, answer = otlp_json.post(agent.socket, "traces", body, **options)
            assert kind == "application/json", (status, kind, answer)
            return status, json.loads(answer)

        assert refused(json.dumps(good).encode()) == (
            200,
            {
                "partialSuccess": {
                    "rejectedSpans": "1",
                    "errorMessage": "resource 0, scope 0, record 0, trace_id: invalid_trace_id",
                }
            },
        )
        assert refused(b"") == (400, {"code": 3, "message": "JSON: input ends inside a field"})
        assert refused(b'{"resourceSpans":7}')[1]["message"].startswith("resourceSpans: ")
        assert refused(b"[" * 1000)[0] == 400
        assert refused(b"{" + b" " * 65536 + b"}")[0] == 413
        assert refused(b"{}", headers=[("content-encoding", "br")])[0] == 400
        assert refused(b"{}") == (200, {})
        point = {
            "name": "a",
            "histogram": {"dataPoints": [{"bucketCounts": [1], "explicitBounds": [1], "count": 9}]},
        }
        metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [point]}]}]}
        status, kind, answer = otlp_json.post(agent.socket, "metrics", json.dumps(metrics).encode())
        assert (status, kind) == (200, "application/json")
        assert json.loads(answer)["partialSuccess"]["rejectedDataPoints"] == "1"
        assert (
            otlp_json.post(agent.socket, "traces", b"{}", headers=[("content-type", "text/json")])[0] == 415
        )
        samples = agent.wait_spans(3)
        assert samples.total("weft_records_dropped_total", signal="spans", reason="invalid_trace_id") == 1
        assert samples.by(("reason",), "weft_messages_refused_total") == {
            ("malformed",): 3,
            ("oversized",): 1,
            ("compression",): 1,
            ("unknown_method",): 1,
        }
