"""Which traces leave a node: whole ones that there is a reason for, from whichever shard their spans came to,
each span with the reason, against the sender's own list; and the ledger of the rest."""

import os
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import grpc
import otlp
from agent import Weftd, otlp_destination
from harness import free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
SERVER, CLIENT, INTERNAL = 2, 3, 1
KEPT = {"export": "kept", "rare_count": 0, "baseline": 0, "slow_ms": 500}


def request_of(spans, service="checkout"):
    """An encoded message; spans: (trace_id, span_id, kind, duration_ms, status code, extra attributes, tracestate)."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in (("service.name", service), ("service.namespace", "shop")):
        resource_spans.resource.attributes.add(key=key).value.string_value = value
    scope_spans = resource_spans.scope_spans.add()
    end_ns = time.time_ns()
    for trace_id, span_id, kind, duration_ms, status, attributes, tracestate in spans:
        span = scope_spans.spans.add(
            trace_id=trace_id,
            span_id=span_id,
            trace_state=tracestate,
            name="GET /pay",
            kind=kind,
            start_time_unix_nano=end_ns - duration_ms * MS,
            end_time_unix_nano=end_ns,
        )
        known = {"http.request.method": "GET", "http.response.status_code": status, "http.route": "/pay"}
        known.update({"server.address": "payments.shop.svc.cluster.local"} if kind == CLIENT else {})
        for key, value in {**known, **attributes}.items():
            made = span.attributes.add(key=key).value
            if isinstance(value, bool):
                made.bool_value = value
            elif isinstance(value, int):
                made.int_value = value
            else:
                made.string_value = value
    return request.SerializeToString()


def span(trace_id, kind=SERVER, duration_ms=5, status=200, attributes=None, tracestate=""):
    return (trace_id, os.urandom(8), kind, duration_ms, status, attributes or {}, tracestate)


def exported(sink):
    """{trace id: {span id: its weft.kept}} of what the back-end has; a span that came twice fails."""
    found = {}
    for message in sink.traces():
        request = ExportTraceServiceRequest.FromString(message)
        for resource_spans in request.resource_spans:
            assert {a.key: a.value.string_value for a in resource_spans.resource.attributes}["service.name"]
            for scope_spans in resource_spans.scope_spans:
                for one in scope_spans.spans:
                    kept = [a.value.string_value for a in one.attributes if a.key == "weft.kept"]
                    assert len(kept) == 1, one
                    assert one.span_id not in found.setdefault(one.trace_id, {}), "a span that left twice"
                    found[one.trace_id][one.span_id] = kept[0]
    return found


class Connections:
    """So many gRPC connections to the agent, which it spreads over its shards."""

    def __init__(self, agent, count):
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.insecure_channel(f"unix:{agent.socket}", options) for _ in range(count)]
        self._exports = [channel.unary_unary(otlp.TRACES) for channel in self._channels]

    def send(self, number, spans, **keys):
        self._exports[number % len(self._exports)](request_of(spans, **keys), timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for channel in self._channels:
            channel.close()


def wait_exported(sink, count, seconds=20):
    wait_for(lambda: sum(len(spans) for spans in exported(sink).values()) >= count, f"{count} spans", seconds)
    time.sleep(1)  # whatever else would come
    return exported(sink)


def check_ledger(agent, sent, kept):
    ledger = agent.json("/api/v1/ledger")["traces"]
    assert ledger["balanced"], ledger
    assert (ledger["received"], ledger["stored"], ledger["kept"]) == (sent, sent, kept), ledger
    assert ledger["in_ring"] + ledger["expired"] == sent - kept, ledger
    return ledger


@pytest.mark.parametrize("shards", [1, 3])
def test_kept_traces_leave_whole_from_every_shard(directory, shards):
    """Twelve spans a trace, one on each of twelve connections; one trace in twenty fails on one of them."""
    port, traces = free_port(), [os.urandom(16) for _ in range(200)]
    failing = set(traces[::20])
    sent = {trace: set() for trace in traces}
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], shards=shards, trace=KEPT
    ) as agent, Connections(agent, 12) as connections:
        for part in range(12):
            for at in range(0, len(traces), 50):
                spans = [
                    span(trace, (SERVER, CLIENT, INTERNAL)[part % 3], status=503 if part == 7 and trace in failing else 200)
                    for trace in traces[at : at + 50]
                ]
                for one in spans:
                    sent[one[0]].add(one[1])
                connections.send(part, spans, service=f"service-{part}")
        found = wait_exported(sink, 12 * len(failing))
        assert set(found) == failing
        for trace in failing:
            assert set(found[trace]) == sent[trace]
            assert set(found[trace].values()) == {"error"}
        samples = agent.wait_spans(12 * len(traces))
        assert samples.total("mesh_requests_total") > 0
        ledger = check_ledger(agent, 12 * len(traces), 12 * len(failing))
        assert ledger["kept_traces"] == {"error": len(failing)}
        assert samples.total("weft_export_handed_over_total", signal="spans") == 12 * len(failing)


def test_each_reason(directory):
    port = free_port()
    lucky, unlucky = "ot=rv:fffffffffffffe", "ot=rv:00000000000001"
    rows = [
        (dict(status=500), "error"),
        (dict(duration_ms=700), "slow"),
        (dict(attributes={"weft.keep": True}), "mark"),
        (dict(attributes={"baggage": "tenant=acme,weft.keep=true"}), "mark"),
        (dict(tracestate="vendor=x,weft=keep"), "mark"),
        (dict(tracestate=lucky), "baseline"),
        (dict(tracestate=unlucky), None),
        (dict(status=404), None),
        (dict(status=503, duration_ms=700, tracestate=lucky), "error,slow,baseline"),
        (dict(attributes={"response_flags": "UF,URX", "component": "proxy", "guid:x-request-id": "1",
                          "upstream_cluster": "outbound|80||payments.shop.svc.cluster.local"}, kind=CLIENT),
         "response_flags,retries_exhausted"),
    ]  # fmt: skip
    trace = {**KEPT, "baseline": 0.001}
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], trace=trace
    ) as agent, Connections(agent, 1) as connections:
        ids = [bytes([n]) + bytes(15) for n in range(1, len(rows) + 1)]  # none is of the share by its id
        for trace_id, (keys, _) in zip(ids, rows):
            connections.send(0, [span(trace_id, **keys)])
        want = {trace_id: {reason} for trace_id, (_, reason) in zip(ids, rows) if reason}
        found = wait_exported(sink, len(want))
        assert {trace_id: set(spans.values()) for trace_id, spans in found.items()} == want
        check_ledger(agent, len(rows), len(want))


def test_what_is_slow_for_its_route(directory):
    """300 requests of 2 ms say what is usual; after the next periodic flip 40 ms is slow, 7 ms is not."""
    port, slow, usual = free_port(), os.urandom(16), os.urandom(16)
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], trace=KEPT
    ) as agent, Connections(agent, 1) as connections:
        connections.send(0, [span(os.urandom(16), CLIENT, 2) for _ in range(300)])
        agent.wait_spans(300)
        # Their requests wait for an access log (count_decision_ms); then a scrape brings them to the windows.
        wait_for(lambda: agent.samples().total("mesh_requests_total") == 300, "300 requests")
        connections.send(0, [span(slow, CLIENT, 40), span(usual, CLIENT, 7)])
        found = wait_exported(sink, 1)
        assert {trace: set(spans.values()) for trace, spans in found.items()} == {slow: {"slow_for_series"}}


def test_later_spans_leave_while_it_lingers(directory):
    port, trace_id = free_port(), os.urandom(16)
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], shards=2, trace={**KEPT, "linger_ms": 3000}
    ) as agent, Connections(agent, 4) as connections:
        connections.send(0, [span(trace_id, status=500)])
        wait_exported(sink, 1)
        for number in range(4):
            connections.send(number, [span(trace_id)])
        assert len(wait_exported(sink, 5)[trace_id]) == 5
        time.sleep(3)
        for number in range(4):
            connections.send(number, [span(trace_id)])
        assert len(wait_exported(sink, 5)[trace_id]) == 5
        check_ledger(agent, 9, 5)


def test_a_storm_leaves_others_their_share(directory):
    """One service fails in each of 5,000 traces, another now and then in one: those are all kept."""
    port, quiet = free_port(), []
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], trace={**KEPT, "rate_per_s": 50}
    ) as agent, Connections(agent, 1) as connections:
        for _ in range(50):
            connections.send(0, [span(os.urandom(16), status=500) for _ in range(100)], service="loud")
            quiet.append(os.urandom(16))
            connections.send(0, [span(quiet[-1], status=500)], service="quiet")
            time.sleep(0.1)  # its share of the 50 is a third
        wait_for(lambda: set(quiet) <= set(exported(sink)), "the quiet service's traces")
        time.sleep(1)
        ledger = agent.json("/api/v1/ledger")["traces"]
        kept = ledger["kept_traces"]["error"]
        assert kept == len(exported(sink))
        assert kept + ledger["limited_traces"]["error"] == 5050
        assert kept < 1500, "the rate and its burst"


def test_all_is_everything_as_it_came(directory):
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], trace={"export": "all"}
    ) as agent:
        otlp.send_durations(agent.socket, [3 * MS] * 200)
        wait_for(
            lambda: sum(
                len(scope.spans)
                for message in sink.traces()
                for resource in ExportTraceServiceRequest.FromString(message).resource_spans
                for scope in resource.scope_spans
            )
            == 200,
            "200 spans",
        )
        assert b"weft.kept" not in b"".join(sink.traces())


def test_secrets_stay(directory):
    port, trace_id = free_port(), os.urandom(16)
    secrets = {"url.full": "http://a/b?token=hush", "http.request.header.authorization": "hush"}
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], trace=KEPT
    ) as agent, Connections(agent, 1) as connections:
        connections.send(0, [span(trace_id, status=500, attributes=secrets), span(trace_id, attributes=secrets)])
        assert len(wait_exported(sink, 2)[trace_id]) == 2
        assert b"hush" not in b"".join(sink.traces())
