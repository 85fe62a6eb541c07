"""The requests that Grafana's Jaeger data source and Kiali send, answered for real Envoys: decoded, strictly, by the
types that Jaeger and OpenTelemetry publish for Go (tests/mesh/jaeger). Run by scripts/test-peers."""

import json
import os
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest

import load
from agent import Weftd, settle
from harness import REPOSITORY, http_get
from sidecar import Chain
from upstream import Upstream

pytestmark = [pytest.mark.agent_needed, pytest.mark.peers]

PROGRAM = Path(__file__).parent / "jaeger"
FRONT, BACK = "productpage.shop", "reviews.shop"
UNKNOWN = "00000000000000000000000000000abc"


@pytest.fixture(scope="module")
def decode(tmp_path_factory):
    """decode(kind, text): what the Go types understood of a document."""
    binary = tmp_path_factory.mktemp("jaeger") / "jaeger"
    cache = REPOSITORY / "build/go"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    environment |= {"GOPATH": str(cache), "GOCACHE": str(cache / "cache")}
    subprocess.run(["go", "build", "-o", binary, "."], cwd=PROGRAM, env=environment, check=True, timeout=600)

    def run(kind, text):
        done = subprocess.run([binary, kind], input=text, capture_output=True, timeout=60)
        assert done.returncode == 0, f"{kind}: {done.stderr.decode()} in {text[:500]}"
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """An agent that has seen some traffic."""
    directory = tmp_path_factory.mktemp("agent")
    with Upstream() as upstream, Weftd(directory, shards=2) as agent, Chain(
        directory, agent.socket, upstream.port, True
    ) as chain:
        load.send(chain.port, [("/reviews/1", "200")] * 20 + [("/reviews/2", "503,200")] * 5 + [("/reviews/3", "500")] * 5)
        agent.wait_spans(settle(chain.spans_sent, quiet=3.0))
        yield agent


def ask(agent, path, status=200):
    got, headers, body = http_get(f"http://{agent.address}{path}", None)
    assert got == status, f"{path}: {got} {body[:500]}"
    assert headers["content-type"].startswith("application/json")
    return body


def now_us():
    return int(time.time() * 1e6)


def test_grafana_tests_and_fills_its_lists(agent, decode):
    services = decode("services", ask(agent, "/api/services"))
    assert services["data"] == [FRONT, BACK, "weft"] and services["errors"] is None
    for service in (FRONT, BACK):
        quoted = urllib.parse.quote(service, safe="")
        names = decode("names", ask(agent, f"/api/services/{quoted}/operations"))["data"]
        operations = decode("operations", ask(agent, f"/api/operations?service={quoted}"))["data"]
        assert names and {each["name"] for each in operations} == set(names)
        assert {each["spanKind"] for each in operations} <= {"client", "server"}
    assert decode("error", ask(agent, "/api/operations", 400))["errors"][0]["code"] == 400


def test_grafana_searches_and_opens_a_trace(agent, decode):
    end = now_us()
    arguments = {
        "end": end, "limit": 20, "lookback": "custom", "maxDuration": "10s", "minDuration": "1us", "operation": "",
        "service": FRONT, "start": end - 3600 * 10**6, "tags": json.dumps({"http.status_code": "500"}),
    }
    found = decode("traces", ask(agent, "/api/traces?" + urllib.parse.urlencode(arguments)))
    assert len(found["data"]) == 5 and found["errors"] is None
    for trace in found["data"]:
        one = decode("traces", ask(agent, f"/api/traces/{trace['traceID']}?start={arguments['start']}&end={end}"))
        assert [each["traceID"] for each in one["data"]] == [trace["traceID"]]
        assert len(one["data"][0]["spans"]) == len(trace["spans"]) == 4
        spans = {span["spanID"]: span for span in trace["spans"]}
        for span in spans.values():
            assert span["startTime"] > 0 and span["duration"] >= 0
            assert span["processID"] in trace["processes"]
        roots = [s for s in spans.values() if not [r for r in s["references"] if r["spanID"] in spans]]
        assert len(roots) == 1
    everything = decode("traces", ask(agent, f"/api/traces?service={FRONT}&limit=1500"))
    assert len(everything["data"]) == 30


def test_an_unknown_trace_is_told_as_such(agent, decode):
    answer = decode("error", ask(agent, f"/api/traces/{UNKNOWN}", 404))
    assert answer["data"] is None and answer["errors"] == [{"code": 404, "msg": "trace not found"}]
    several = decode("traces", ask(agent, f"/api/traces?traceID={UNKNOWN}"))
    assert several["data"] == [] and several["errors"] == [{"msg": "trace not found", "traceID": "0000000000000abc"}]
    for path in ("/api/traces/nonsense", "/api/traces", "/api/traces?service=a&start=x", "/api/traces?service=a&limit=99999",
                 "/api/traces?service=a&end=9223372036854775807", "/api/traces?service=a&minDuration=1y", "/api/traces?service=a&tags=x"):
        assert decode("error", ask(agent, path, 400))["errors"][0]["code"] == 400


def test_kiali_asks_for_errors_of_an_app(agent, decode):
    end = now_us()
    arguments = {"end": end, "limit": 100, "service": BACK, "start": end - 600 * 10**6, "tags": json.dumps({"error": "true"})}
    found = decode("traces", ask(agent, "/api/traces?" + urllib.parse.urlencode(arguments)))["data"]
    assert len(found) == 10
    for trace in found:
        failed = [span for span in trace["spans"] if {"key": "error", "type": "bool", "value": True} in span["tags"]]
        assert any(trace["processes"][span["processID"]]["serviceName"] == BACK for span in failed)


def test_dependencies(agent, decode):
    answer = decode("dependencies", ask(agent, f"/api/dependencies?endTs={now_us() // 1000}&lookback=3600000"))
    assert {"parent": FRONT, "child": BACK, "callCount": 30} in answer["data"]


def test_the_third_api(agent, decode):
    services = json.loads(ask(agent, "/api/v3/services"))
    assert services == {"services": [FRONT, BACK, "weft"]}
    assert {each["name"] for each in json.loads(ask(agent, f"/api/v3/operations?service={BACK}"))["operations"]}

    def stamp(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + seconds))

    arguments = {"query.service_name": FRONT, "query.start_time_min": stamp(-3600), "query.start_time_max": stamp(1),
                 "query.duration_min": "1us", "query.num_traces": 100}
    counts = decode("v3", ask(agent, "/api/v3/traces?" + urllib.parse.urlencode(arguments)))
    assert len(counts) == 30
    for trace_id, count in counts.items():
        assert decode("v3", ask(agent, f"/api/v3/traces/{trace_id}")) == {trace_id: count}
        assert decode("otlp", ask(agent, f"/api/v1/traces/{trace_id}")) == {trace_id: count}
    assert json.loads(ask(agent, f"/api/v3/traces/{UNKNOWN}", 404))["error"]["httpCode"] == 404
    assert json.loads(ask(agent, "/api/v3/traces?query.service_name=a", 400))["error"]["httpCode"] == 400
