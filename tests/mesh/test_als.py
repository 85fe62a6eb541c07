"""Envoy's access log service into the agent: every way in which a request can end, counted once and exactly,
with Envoy's own statistics as the judge of what the load cannot force."""

from collections import Counter

import pytest

import als
import mix as mixes
import ratings
from agent import Weftd
from harness import wait_for
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

SOURCE = {"reporter": "source", "source": "productpage", "source_namespace": "shop"}
DESTINATION = {"reporter": "destination", "destination": "reviews", "destination_namespace": "shop"}
OUTCOMES = ("destination", "response_code", "outcome")
DOWNSTREAM = r"^http\.(outbound|inbound)\.downstream_rq_(completed|total|[0-9]xx)$"
TERMS = ("aggregated", "attempts", "not_a_request", "dropped", "superseded")


def logs(samples, term, **labels):
    return samples.total(f"weft_records_{term}_total", signal="logs", **labels)


def wait_logs(agent, count):
    """Samples of the first scrape in which `count` entries were received and all of them merged."""

    def arrived():
        samples = agent.samples()
        merged = logs(samples, "recorded") == logs(samples, "aggregated")
        return samples if merged and logs(samples, "received") >= count else None

    try:
        return wait_for(arrived, f"{count} entries", 30, pause=0.3)
    except AssertionError as error:
        samples = agent.samples()
        got = {term: logs(samples, term) for term in ("received", "recorded", *TERMS)}
        raise AssertionError(f"{error}: {got}\n{agent.log()[-2000:]}") from error


def attempts_made(mix, expected):
    """Attempts that have a record of their own: the requests that went out, by the sidecars' own statistics,
    and those that found no connection or the circuit breaker open."""
    sent = {
        **mix.front.stats(r"^cluster\.outbound\|[89].*\.upstream_rq_total$"),
        **mix.back.stats(r"^cluster\.inbound.*\.upstream_rq_total$"),
    }
    unsent = sum(count for (_, flag), count in expected.flags.items() if flag in ("UF", "UO"))
    return sum(sent.values()) + unsent


def assert_mix(samples, expected):
    """Exactly the mix, from the front sidecar's entries."""
    plain = samples.by(OUTCOMES, "mesh_requests_total", protocol="http1", **SOURCE)
    assert plain == expected.requests
    grpc = samples.by(("grpc_status", "outcome"), "mesh_requests_total", protocol="grpc", **SOURCE)
    assert grpc == expected.grpc
    assert samples.total("mesh_requests_total", **SOURCE) == expected.total()
    assert samples.total("mesh_requests_total", reporter="source") == expected.total()
    assert samples.total("mesh_request_duration_seconds_count", **SOURCE) == expected.total()


def assert_flags_and_attempts(samples, expected):
    flags = samples.by(("destination", "flag"), "mesh_response_flags_total", **SOURCE)
    want = expected.flags + Counter(
        {
            (destination, flag): count
            for (destination, names), count in expected.connections.items()
            for flag in names
        }
    )
    assert flags == want
    attempts = samples.by(("destination",), "mesh_request_attempts_total", **SOURCE)
    want = Counter({(destination,): count for destination, count in expected.attempts.items()})
    want["ratings",] += sum(expected.grpc.values())
    assert attempts == +want


def assert_connections(samples, expected):
    by_destination = Counter()
    for (destination, _), count in expected.connections.items():
        by_destination[destination,] += count
    for name in ("opened", "closed"):
        family = f"mesh_tcp_connections_{name}_total"
        assert samples.by(("destination",), family, **SOURCE) == by_destination
    for name in ("sent", "received"):
        assert samples.total(f"mesh_tcp_{name}_bytes_total", **SOURCE) == expected.tcp_bytes


def assert_inbound(samples, mix, source):
    """The back sidecar's side: what Envoy itself says that it answered."""
    stats = mix.back.stats(DOWNSTREAM)
    total = stats["http.inbound.downstream_rq_total"]
    assert samples.total("mesh_requests_total", reporter="destination") == total
    assert samples.total("mesh_requests_total", source=source, **DESTINATION) == total
    for digit in "2345":
        got = sum(
            value
            for labels, value in samples.matching("mesh_requests_total", reporter="destination")
            if labels.get("response_code", "").startswith(digit)
        )
        assert got == stats[f"http.inbound.downstream_rq_{digit}xx"], digit
    return total


def assert_envoy_agrees(samples, mix, expected):
    stats = mix.front.stats(DOWNSTREAM)
    assert samples.total("mesh_requests_total", **SOURCE) == stats["http.outbound.downstream_rq_total"]
    retries = mix.front.stats(r"upstream_rq_retry$")
    attempts = samples.total("mesh_request_attempts_total", destination="reviews", **SOURCE)
    requests = sum(
        count for (destination, *_), count in expected.requests.items() if destination == "reviews"
    )
    assert attempts - requests == sum(retries.values())


def assert_ledger(samples, requests, connections, attempts):
    assert logs(samples, "received") == requests + connections + attempts
    assert logs(samples, "aggregated") == requests + connections
    assert logs(samples, "attempts") == attempts
    assert logs(samples, "received") == sum(logs(samples, term) for term in TERMS)
    for term in ("not_a_request", "dropped", "superseded"):
        assert logs(samples, term) == 0


@pytest.mark.parametrize("attempts", [True, False], ids=["upstream_log", "requests_only"])
@pytest.mark.parametrize("secure", [True, False], ids=["mtls", "plain"])
def test_the_whole_mix(directory, secure, attempts):
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory) as agent, mixes.Mix(
        directory,
        upstream.port,
        rpc.port,
        als.telemetry(agent.socket, attempts=attempts),
        secure=mixes.mutual_tls(directory) if secure else None,
    ) as mix:
        expected = mixes.play(mix)
        inbound = mix.back.stats(DOWNSTREAM)["http.inbound.downstream_rq_total"]
        connections = sum(expected.connections.values())
        tries = attempts_made(mix, expected) if attempts else 0
        samples = wait_logs(agent, expected.total() + inbound + connections + tries)
        assert_mix(samples, expected)
        assert_flags_and_attempts(samples, expected)
        assert_connections(samples, expected)
        assert assert_inbound(samples, mix, "productpage" if secure else "unknown") == inbound
        assert_envoy_agrees(samples, mix, expected)
        assert_ledger(samples, expected.total() + inbound, connections, tries)
        assert "hunter2" not in agent.get("/metrics")[2].decode()
        assert "hunter2" not in agent.log()
