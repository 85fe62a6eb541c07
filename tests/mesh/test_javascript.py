"""The OpenTelemetry JavaScript SDK through the agent's Unix socket: JSON and protobuf over HTTP, and gRPC."""

from collections import Counter

import pytest

import corpus
import javascript
from agent import Weftd, otlp_destination
from harness import free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

REQUESTS = 200
SECRET = b"hunter2"
SERVER, CLIENT, INTERNAL = 2, 3, 1


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf", "grpc"])
def test_spans_of_the_sdk(directory, protocol):
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [otlp_destination("sink", port)]) as agent:
        ids = javascript.send(agent.socket, protocol, REQUESTS)
        assert len(ids) == len(set(ids)) == javascript.SPANS_OF_REQUEST * REQUESTS
        samples = agent.wait_spans(len(ids))
        labels = ("reporter", "source", "destination", "route", "method", "response_code", "outcome")
        at_server = ("destination", "unknown", "frontend", "/cart/{id}", "GET")
        assert samples.by(labels, "mesh_requests_total") == {
            (*at_server, "200", "ok"): REQUESTS * 8 // 10,
            (*at_server, "404", "client_error"): REQUESTS // 10,
            (*at_server, "503", "server_error"): REQUESTS // 10,
            ("source", "frontend", "prices.shop", "unknown", "GET", "200", "ok"): REQUESTS,
        }
        assert samples.total("weft_records_not_a_request_total", signal="spans") == REQUESTS
        assert samples.total("weft_records_dropped_total", signal="spans") == 0
        assert samples.total("weft_messages_refused_total") == 0
        wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) >= len(ids), "the spans in the sink")
        assert_spans(list(corpus.spans(sink.traces())), ids)
        assert not [message for message in sink.traces() if SECRET in message]


def assert_spans(rows, ids):
    """Each span once, with everything that the SDK gave it."""
    assert Counter((span.trace_id.hex(), span.span_id.hex()) for _, _, span in rows) == Counter(ids)
    kinds = Counter(span.kind for _, _, span in rows)
    assert kinds == {SERVER: REQUESTS, CLIENT: REQUESTS, INTERNAL: REQUESTS}
    spans = {span.span_id: span for _, _, span in rows}
    for resource, scope, span in rows:
        assert resource == {"service.name": "frontend", "service.namespace": "shop"}
        assert (scope.name, scope.version) == ("sender", "1.0")
        attributes = corpus.attributes(span)
        if span.kind == SERVER:
            assert span.parent_span_id == b"" and span.name == "GET /cart/{id}"
            assert [each.string_value for each in attributes["request.tags"].values] == ["a", "b"]
            assert attributes["request.ratio"] == 0.5 and attributes["request.cached"] in (True, False)
            assert attributes["http.request.header.authorization"] == "[redacted]"
            assert span.status.message == (
                "no stock" if attributes["http.response.status_code"] == 503 else ""
            )
        elif span.kind == CLIENT:
            assert spans[span.parent_span_id].kind == SERVER and attributes["server.port"] == 8080
            assert [spans[link.span_id].kind for link in span.links] == [INTERNAL]
        else:
            assert attributes == {"step": 'über € "quoted"'}
            assert [(event.name, corpus.attributes(event)["key"][:5]) for event in span.events] == [
                ("cache miss", "item-")
            ]


def test_metrics_and_logs_of_the_sdk(directory):
    with Weftd(directory) as agent:
        javascript.send(agent.socket, "http/json", REQUESTS)

        def arrived():
            samples = agent.samples()
            return samples if samples.total("orders_total") else None

        samples = wait_for(arrived, "the counter")
        assert samples.by(("kind",), "orders_total") == {("even",): REQUESTS, ("odd",): REQUESTS}
        sizes = [5 * (i + 1) for i in range(REQUESTS)]
        assert samples.total("order_size_bytes_sum") == sum(sizes)
        assert samples.total("order_size_bytes_count") == REQUESTS
        buckets = {
            float(labels["le"]): value for labels, value in samples.matching("order_size_bytes_bucket")
        }
        for bound in (10, 100, 1000):
            assert buckets[bound] == sum(size <= bound for size in sizes)
        assert samples.total("weft_records_received_total", signal="metrics") == 3
        assert samples.total("weft_records_received_total", signal="logs") == REQUESTS
        assert samples.total("weft_records_dropped_total") == 0
        assert samples.total("weft_messages_refused_total") == 0
