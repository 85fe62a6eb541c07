"""The HTTP side: health, the query API on known traffic, and what bad arguments get."""

import json
import signal

import grpc
import pytest

import otlp
from agent import Weftd
from harness import TemporaryDirectory, wait_for

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
BAD = [
    ("/api/v1/latency", {"destination": "reviews", "q": "2"}),
    ("/api/v1/latency", {"destination": "reviews", "q": "abc"}),
    ("/api/v1/latency", {"destination": "reviews", "window": "7q"}),
    ("/api/v1/latency", {"destination": "reviews", "window": "-1m"}),
    ("/api/v1/latency", {"destination": "reviews", "colour": "red"}),
    ("/api/v1/edges", {"window": "soon"}),
]


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with TemporaryDirectory() as directory, Weftd(directory) as running:
        otlp.send_durations(running.socket, [10 * MS] * 90 + [200 * MS] * 10)
        otlp.send_durations(running.socket, [5 * MS] * 20, status=503)
        otlp.send_durations(
            running.socket,
            [7 * MS] * 15,
            source="frontend",
            route="/other",
            destination="ratings.shop.svc.cluster.local",
        )
        running.wait_spans(135)
        yield running


def test_health_and_readiness(agent):
    assert agent.get("/healthz")[0] == 200
    assert agent.get("/readyz")[0] == 200
    assert agent.get("/nothing-here")[0] == 404


def test_services_name_both_ends(agent):
    text = json.dumps(agent.json("/api/v1/services"))
    for name in ("productpage", "frontend", "reviews", "ratings"):
        assert f'"{name}"' in text


def edge_of(answer, source, destination):
    found = [
        edge for edge in answer["edges"] if edge["source"] == source and edge["destination"] == destination
    ]
    assert len(found) == 1, answer
    return found[0]


def test_edges_count_requests_and_errors(agent):
    answer = agent.json("/api/v1/edges", window="5m")
    assert edge_of(answer, "productpage", "reviews")["requests"] == 120
    assert edge_of(answer, "frontend", "ratings")["requests"] == 15


def test_ledger_balances(agent):
    text = json.dumps(agent.json("/api/v1/ledger"))
    assert "135" in text


def quantiles(agent, **arguments):
    answer = agent.json("/api/v1/latency", **arguments)
    return {each["q"]: each["seconds"] for each in answer["quantiles"]}


def test_latency_by_edge_and_route(agent):
    found = quantiles(agent, source="frontend", destination="ratings", window="5m", q="0.5,0.99")
    assert set(found) == {0.5, 0.99}
    assert found[0.5] == pytest.approx(0.007, rel=0.011) and found[0.99] == pytest.approx(0.007, rel=0.011)
    found = quantiles(agent, destination="reviews", route="/reviews/{id}", window="5m", q="0.99")
    assert found[0.99] == pytest.approx(0.2, rel=0.011)


@pytest.mark.parametrize("path, arguments", BAD, ids=lambda value: str(value).replace("/", "_"))
def test_bad_arguments_are_refused_with_the_reason(agent, path, arguments):
    status, headers, body = agent.get(path, **arguments)
    assert status == 400
    assert headers["content-type"].startswith("application/json")
    assert json.loads(body)["error"]["message"]


def test_bad_arguments_are_counted(agent):
    def rejected():
        return agent.samples().total("weft_queries_rejected_total")

    before = rejected()
    agent.get("/api/v1/latency", destination="reviews", q="2")
    assert rejected() == before + 1


def test_foreign_host_header_is_refused(agent):
    """A page of another origin that a browser was tricked into resolving to loopback."""
    status, _, _ = agent.get("/api/v1/services", {"host": "evil.example"})
    assert status in (400, 403, 421)


def test_records_are_not_accepted_on_the_http_port(agent):
    with grpc.insecure_channel(agent.address) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary(otlp.TRACES)(otlp.message([MS])[0], timeout=5)
    assert agent.samples().total("weft_records_received_total", signal="spans") == 135


def test_sigterm_drains_and_ends_well(directory):
    agent = Weftd(directory)
    otlp.send_durations(agent.socket, [MS] * 10)
    agent.send_signal(signal.SIGTERM)
    wait_for(lambda: not agent.running(), "the end")
    assert agent.stop() == 0
    assert not agent.socket.exists()


def test_a_second_agent_on_a_live_socket_refuses_to_start(directory):
    with Weftd(directory) as first:
        with pytest.raises(AssertionError, match="ended with"):
            second = Weftd(directory)
            second.stop()
        assert first.running() and first.get("/readyz")[0] == 200
