"""A ring that compresses what has cooled (trace.compress): old traces are found by id and by search as they came, leave
when somebody has them kept, and the memory reaches further back than without."""

import json
import time
import urllib.request

import pytest

import otlp
from agent import Weftd, otlp_destination
from harness import free_port, wait_for
from sink import Sink
from test_kept import exported

pytestmark = pytest.mark.agent_needed

RING_BYTES = 4 << 20
SPANS = 40_000
MS = 1_000_000
QUIET = {"export": "kept", "slow_ms": 0, "slow_factor": 0, "rare_count": 0, "baseline": 0}


def fill(agent):
    """The spans' trace ids, oldest first; each took as many microseconds more as there were before it."""
    ids = []
    for at in range(0, SPANS, 2000):  # with time between, as a shard needs to compress
        ids += otlp.send_durations(agent.socket, [5 * MS + 1000 * i for i in range(at, at + 2000)])
        time.sleep(0.05)
    return ids


def in_ring(agent):
    return agent.samples().total("weft_trace_ring_spans", signal="spans")


def span_of(agent, trace_id):
    (resource_spans,) = agent.json(f"/api/v1/traces/{trace_id}")["resourceSpans"]
    (scope_spans,) = resource_spans["scopeSpans"]
    (span,) = scope_spans["spans"]
    return span


def check_read(agent, ids, reach):
    """What the ring holds: every 200th by its id, and one that a search has to tell from all others."""
    for place in range(SPANS - reach, SPANS, 200):
        span = span_of(agent, ids[place])
        assert span["traceId"] == ids[place]
        assert int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) == 5 * MS + 1000 * place
        assert {"key": "http.route", "value": {"stringValue": "/reviews/{id}"}} in span["attributes"]
    place = SPANS - reach + 100
    micros = 5000 + place
    found = agent.json("/api/v1/traces", min_duration=f"{micros - 0.5}us", max_duration=f"{micros + 0.5}us")
    assert [match["traceId"] for match in found["matches"]] == [ids[place]]


def test_compressed_traces_are_found_and_leave(directory):
    port = free_port()
    limits = {"trace_ring_bytes": RING_BYTES}
    with Weftd(directory, name="plain", trace=QUIET, limits=limits) as plain:
        fill(plain)
        without = in_ring(plain)
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [otlp_destination("back", port)], trace={**QUIET, "compress": True}, limits=limits
    ) as agent:
        ids = fill(agent)
        reach = int(in_ring(agent))
        assert without < SPANS / 2 and reach > 1.5 * without, (without, reach)
        check_read(agent, ids, reach)
        samples = agent.samples()
        assert samples.total("weft_trace_blocks_cooled_total", result="compressed") > 10
        assert samples.total("weft_trace_blocks_damaged_total") == 0
        assert samples.total("weft_trace_ring_bytes") <= RING_BYTES
        wait_for(lambda: agent.samples().total("weft_trace_saved_bytes") > RING_BYTES / 4, "the gauge of what is saved")
        oldest = ids[SPANS - reach + 10 :: 500][:10]
        document = json.dumps({"traceIds": oldest}).encode()
        urllib.request.urlopen(urllib.request.Request(agent.url("/api/v1/keep"), document), timeout=10).close()
        wait_for(lambda: len(exported(sink)) == len(oldest), "what is kept")
        assert {trace.hex(): set(spans.values()) for trace, spans in exported(sink).items()} == {
            trace: {"operator"} for trace in oldest
        }
        ledger = agent.json("/api/v1/ledger")["traces"]
        assert ledger["balanced"] and (ledger["stored"], ledger["kept"]) == (SPANS, len(oldest)), ledger
