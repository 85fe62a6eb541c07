"""Traces of real Envoys asked of the agent, by id and by search, as OTLP JSON and in Jaeger's API, from one node and
from two that ask each other. What is expected is what left for a back-end: the same spans, whole."""

import json
import time
import urllib.request
from collections import defaultdict

import pytest

import corpus
import load
from agent import Weftd, otlp_destination, settle
from harness import free_port, wait_for
from sidecar import Chain
from sink import Sink
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

MARK = "hunter2"  # in every query string; must not be found in any answer
MIX = [("/reviews/1", "200")] * 30 + [("/reviews/2", "503,200")] * 10 + [("/reviews/3", "500")] * 5
FRONT, BACK = "productpage.shop", "reviews.shop"
KINDS = {0: None, 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


def mix():
    return [(f"{path}?token={MARK}&n={i}", plan) for i, (path, plan) in enumerate(MIX)]


def traces_of(sinks):
    """{trace id in hex: {span id in hex: (service, span)}} of what left for the back-ends."""
    found = defaultdict(dict)
    for sink in sinks:
        for resource, _, span in corpus.spans(sink.traces()):
            found[span.trace_id.hex()][span.span_id.hex()] = (resource["service.name"], span)
    return dict(found)


def otlp_spans(answer):
    """{trace id: {span id: span}} of an OTLP JSON document."""
    found = defaultdict(dict)
    for resource_spans in answer["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                assert span["spanId"] not in found[span["traceId"]], "a span twice"
                found[span["traceId"]][span["spanId"]] = span
    return found


def value_of(value):
    ((kind, held),) = value.items()
    return int(held) if kind == "intValue" else held


def check_otlp(span, sent):
    """An OTLP JSON span against the one that left."""
    assert span["name"] == sent.name and span.get("kind", 0) == sent.kind
    assert int(span["startTimeUnixNano"]) == sent.start_time_unix_nano
    assert int(span["endTimeUnixNano"]) == sent.end_time_unix_nano
    assert span.get("parentSpanId", "") == sent.parent_span_id.hex()
    assert span.get("status", {}).get("code", 0) == sent.status.code
    assert {a["key"]: value_of(a["value"]) for a in span["attributes"]} == corpus.attributes(sent)


def check_jaeger(trace, sent):
    """A trace in Jaeger's model against the spans that left."""
    assert {span["spanID"] for span in trace["spans"]} == set(sent)
    for span in trace["spans"]:
        service, own = sent[span["spanID"]]
        tags = defaultdict(list)  # Envoy's own `error` stands beside the one of the status, as in Jaeger
        for tag in span["tags"]:
            tags[tag["key"]].append(tag["value"])
        assert span["operationName"] == own.name
        assert span["startTime"] == own.start_time_unix_nano // 1000
        assert span["duration"] == (own.end_time_unix_nano - own.start_time_unix_nano) // 1000
        assert trace["processes"][span["processID"]]["serviceName"] == service
        parents = [ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"]
        assert parents == ([own.parent_span_id.hex()] if own.parent_span_id else [])
        assert tags["span.kind"] == [KINDS[own.kind]]
        assert (True in tags["error"]) == (own.status.code == 2)
        for key, value in corpus.attributes(own).items():
            assert value in tags[key]


def data(agent, path, **arguments):
    answer = agent.json(path, **arguments)
    assert answer["errors"] is None
    return answer["data"]


def send(chain, sinks):
    """The mix; the spans that left in the end."""
    answers = load.send(chain.port, mix(), connections=4)
    assert len(answers) == len(MIX)
    sent = settle(chain.spans_sent, quiet=3.0)
    wait_for(lambda: sum(map(len, traces_of(sinks).values())) >= sent, f"{sent} spans in the back-ends")
    traces = traces_of(sinks)
    assert len(traces) == len(MIX)
    return traces


@pytest.mark.parametrize("shards", [1, 3])
def test_each_trace_is_found_by_id_and_by_search(directory, shards):
    port = free_port()
    with Upstream() as upstream, Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("sink", port)], shards=shards
    ) as agent, Chain(directory, agent.socket, upstream.port, True) as chain:
        traces = send(chain, [sink])
        for trace_id, spans in traces.items():
            answer = agent.json(f"/api/v1/traces/{trace_id}")
            assert "warnings" not in answer
            assert set(otlp_spans(answer)[trace_id]) == set(spans)
            for span_id, span in otlp_spans(answer)[trace_id].items():
                check_otlp(span, spans[span_id][1])
            (trace,) = data(agent, f"/api/traces/{trace_id}")
            assert trace["traceID"] == trace_id and trace["warnings"] is None
            check_jaeger(trace, spans)
            result = agent.json(f"/api/v3/traces/{trace_id}")["result"]
            assert set(otlp_spans(result)[trace_id]) == set(spans)

        assert data(agent, "/api/services") == [FRONT, BACK, "weft"]
        check_search(agent, traces)
        check_jaegers_search(agent, traces)
        for path in ("/api/v1/traces?limit=1500", "/api/traces?service=" + FRONT, "/api/services"):
            assert MARK.encode() not in agent.get(path)[2]


def check_search(agent, traces):
    everything = agent.json("/api/v1/traces", limit=1500)
    assert {m["traceId"] for m in everything["matches"]} == set(traces)
    assert {i: set(spans) for i, spans in otlp_spans(everything).items()} == {i: set(s) for i, s in traces.items()}
    starts = [int(m["startTimeUnixNano"]) for m in everything["matches"]]
    assert starts == sorted(starts, reverse=True)
    failed = {i for i, spans in traces.items() if any(s.status.code == 2 for _, s in spans.values())}
    found = agent.json("/api/v1/traces", error="true", limit=1500, spans="no")
    assert failed and {m["traceId"] for m in found["matches"]} >= failed
    assert found["resourceSpans"] == []
    reviews = {m["traceId"] for m in agent.json("/api/v1/traces", service="reviews", limit=1500)["matches"]}
    few = {m["traceId"] for m in agent.json("/api/v1/traces", service="reviews", limit=3)["matches"]}
    assert len(few) == 3 and few < reviews
    assert agent.json("/api/v1/traces", service="nobody")["matches"] == []
    assert agent.get("/api/v1/traces?servise=x")[0] == 400


def check_jaegers_search(agent, traces):
    now_us = int(time.time() * 1e6)

    def search(**arguments):
        found = data(agent, "/api/traces", limit=1500, **arguments)
        for trace in found:
            check_jaeger(trace, traces[trace["traceID"]])
        return {trace["traceID"] for trace in found}

    for service in (FRONT, BACK):
        having = {i for i, spans in traces.items() if any(s == service for s, _ in spans.values())}
        assert search(service=service) == having
        names = {span.name for spans in traces.values() for own, span in spans.values() if own == service}
        assert set(data(agent, f"/api/services/{service}/operations")) == names
        for operation in names:
            of = {i for i, spans in traces.items() if any(s == service and o.name == operation for s, o in spans.values())}
            assert search(service=service, operation=operation) >= of
    assert search(service=FRONT, start=now_us - 3600 * 10**6, end=now_us, lookback="custom") == set(traces)
    assert search(service=FRONT, start=1, end=2) == set()
    code = {i for i, spans in traces.items() if any(
        s == FRONT and corpus.attributes(o).get("http.status_code") == "500" for s, o in spans.values())}
    assert code and search(service=FRONT, tags=json.dumps({"http.status_code": "500"})) == code
    durations = {i: max(o.end_time_unix_nano - o.start_time_unix_nano for s, o in spans.values() if s == FRONT) for i, spans in traces.items()}
    middle_us = sorted(durations.values())[len(durations) // 2] // 1000
    assert search(service=FRONT, minDuration=f"{middle_us}us") == {i for i, d in durations.items() if d >= middle_us * 1000}


def post_keep(agent, document, headers=None):
    request = urllib.request.Request(agent.url("/api/v1/keep"), json.dumps(document).encode(), headers or {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_two_nodes_ask_each_other(directory):
    """The front sidecar's node and the back's: either answers with the whole trace, and what one keeps the other
    keeps, too."""
    ports, sink_ports = (free_port(), free_port()), (free_port(), free_port())
    token = directory / "token"
    token.write_text("a-secret-of-sixteen-and-more\n")
    token.chmod(0o600)

    def node(name, i):
        # no reason to keep anything but that somebody asks for it
        trace = {"export": "kept", "baseline": 0, "rare_count": 0, "slow_ms": 0, "slow_factor": 0}
        trace |= {"peers": [f"http://127.0.0.1:{ports[1 - i]}"], "peer_token_file": str(token)}
        destinations = [otlp_destination("sink", sink_ports[i])]
        return Weftd(directory, destinations, shards=2, name=name, port=ports[i], trace=trace)

    with Upstream() as upstream, Sink(f"127.0.0.1:{sink_ports[0]}") as front_sink, Sink(
        f"127.0.0.1:{sink_ports[1]}"
    ) as back_sink, node("front", 0) as front, node("back", 1) as back:
        with Chain(directory, front.socket, upstream.port, True, back_agent_socket=back.socket) as chain:
            ids = set()
            load.send(chain.port, [("/reviews/1", "200")] * 20, connections=2)
            sent = settle(chain.spans_sent, quiet=3.0)
            for agent in (front, back):
                own = agent.json("/api/v1/traces", limit=1500, peers="no")
                both = agent.json("/api/v1/traces", limit=1500)
                assert "warnings" not in both, both["warnings"]
                spans = otlp_spans(both)
                assert sum(map(len, spans.values())) == sent
                assert 0 < sum(map(len, otlp_spans(own).values())) < sent
                assert len(spans) == 20
                ids = set(spans)
                assert data(agent, "/api/services") == [FRONT, BACK, "weft"]
                for trace_id in ids:
                    (trace,) = data(agent, f"/api/traces/{trace_id}")
                    assert len(trace["spans"]) == len(spans[trace_id])
                    services = {trace["processes"][s["processID"]]["serviceName"] for s in trace["spans"]}
                    assert services == {FRONT, BACK}
                    known = {s["spanID"] for s in trace["spans"]}
                    parents = {r["spanID"] for s in trace["spans"] for r in s["references"]}
                    assert len(parents - known) <= 1  # the load's own, at most

            kept = sorted(ids)[:5]
            assert post_keep(front, {"traceIds": kept}) == {"accepted": 5}
            want = {i: set(otlp_spans(front.json(f"/api/v1/traces/{i}"))[i]) for i in kept}
            wait_for(lambda: {i: set(s) for i, s in traces_of([front_sink, back_sink]).items()} == want, "kept traces")
            assert traces_of([front_sink]) and traces_of([back_sink])
            assert back.samples().total("weft_trace_kept_traces_total", reason="peer") == 5
            assert back.samples().total("weft_trace_peer_notices_received_total") == 5
            assert front.samples().total("weft_trace_peer_notices_received_total") == 0, "passed on"

            back.stop()
            answer = front.json(f"/api/v1/traces/{kept[0]}")
            assert set(otlp_spans(answer)[kept[0]]) < want[kept[0]]
            assert any(back.address in warning for warning in answer["warnings"])
            (trace,) = data(front, f"/api/traces/{kept[0]}")
            assert any(back.address in warning for warning in trace["warnings"])
