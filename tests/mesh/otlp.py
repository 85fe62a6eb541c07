"""Hand-made OTLP spans with exact times, sent over gRPC to a Unix socket: the sender whose every number is
known."""

import os
import time

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness import ANSWER_SECONDS_MAX

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CLIENT = 3
SPANS_PER_MESSAGE = 500


def _attribute(holder, key, value):
    made = holder.attributes.add(key=key)
    if isinstance(value, int):
        made.value.int_value = value
    else:
        made.value.string_value = value


def message(
    durations_ns,
    source="productpage",
    destination="reviews.shop.svc.cluster.local",
    route="/reviews/{id}",
    status=200,
    end_ns=None,
):
    """(encoded ExportTraceServiceRequest of CLIENT spans, their trace ids in hex)."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    _attribute(resource_spans.resource, "service.name", source)
    _attribute(resource_spans.resource, "service.namespace", "shop")
    spans = resource_spans.scope_spans.add().spans
    end_ns = end_ns or time.time_ns()
    for duration_ns in durations_ns:
        span = spans.add(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            name=f"GET {route}",
            kind=CLIENT,
            start_time_unix_nano=end_ns - duration_ns,
            end_time_unix_nano=end_ns,
        )
        _attribute(span, "http.request.method", "GET")
        _attribute(span, "http.response.status_code", status)
        _attribute(span, "http.route", route)
        _attribute(span, "server.address", destination)
    return request.SerializeToString(), [span.trace_id.hex() for span in spans]


def send(socket, messages):
    """Sends encoded messages one after the other; raises grpc.RpcError when one is not accepted."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        export = channel.unary_unary(TRACES)
        for each in messages:
            export(each, timeout=ANSWER_SECONDS_MAX)


def send_durations(socket, durations_ns, per_message=SPANS_PER_MESSAGE, **keys):
    """All durations as spans; the trace ids in hex, in the same order."""
    encoded, ids = [], []
    for at in range(0, len(durations_ns), per_message):
        data, some = message(durations_ns[at : at + per_message], **keys)
        encoded.append(data)
        ids += some
    send(socket, encoded)
    return ids
