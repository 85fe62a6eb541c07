"""Envoy's access log service into the agent: every way in which a request can end, counted once and exactly,
with Envoy's own statistics as the judge of what the load cannot force."""

import socket
from collections import Counter

import grpc
import pytest

import als
import corpus
import load
import mix as mixes
import ratings
import rawh2
from agent import AS_SHIPPED, Weftd
from harness import ANSWER_SECONDS_MAX, REPOSITORY, wait_for
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

SOURCE = {"reporter": "source", "source": "productpage", "source_namespace": "shop"}
DESTINATION = {"reporter": "destination", "destination": "reviews", "destination_namespace": "shop"}
OUTCOMES = ("destination", "response_code", "outcome")
DOWNSTREAM = r"^http\.(outbound|inbound)\.downstream_rq_(completed|total|[0-9]xx)$"
# what of the mix reached no host: circuit breaker, fault, rate limit
UNTOLD = (("details", "503"), ("carts", "503"), ("carts", "429"))
TERMS = ("aggregated", "attempts", "not_a_request", "dropped", "superseded")


def logs(samples, term, **labels):
    return samples.total(f"weft_records_{term}_total", signal="logs", **labels)


def wait_logs(agent, count):
    """Samples of the first scrape in which `count` entries were received and all of them merged."""
    return agent.wait_records("logs", count)


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
    calls = samples.by(("grpc_status", "outcome"), "mesh_requests_total", protocol="grpc", **SOURCE)
    assert calls == expected.grpc
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


def test_metadata_names_callers_without_certificates(directory):
    """Istio's peer metadata (as text, set by a real Envoy) tells who called where no certificate does."""
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory, **AS_SHIPPED) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, als.telemetry(agent.socket, attempts=False, peers=True, traced=True)
    ) as mix:
        load.send(mix.port, [(f"/reviews/{i}", "200") for i in range(30)], connections=2)
        samples = wait_logs(agent, 60)
        assert samples.total("mesh_requests_total", source="productpage", **DESTINATION) == 30
        assert samples.total("mesh_requests_total", **SOURCE) == 30
        assert samples.total("mesh_requests_total") == 60, "the tracer tells the same requests"
        assert samples.total("weft_identity_conflicts_total") == 0


def test_the_page_as_it_stands(directory):
    """docs/meshes/envoy.md: what it tells to paste gives what it says, on two workers."""
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory, shards=2) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, als.page_telemetry(agent.socket), workers=2
    ) as mix:
        expected = mixes.play(mix)
        inbound = mix.back.stats(DOWNSTREAM)["http.inbound.downstream_rq_total"]
        connections = sum(expected.connections.values())
        samples = wait_logs(agent, expected.total() + inbound + connections)
        assert_mix(samples, expected)
        assert_flags_and_attempts(samples, expected)
        assert_connections(samples, expected)
        assert_inbound(samples, mix, "unknown")
        assert_ledger(samples, expected.total() + inbound, connections, 0)


def test_gloo_as_its_values_say(directory):
    """docs/meshes/gloo.md: without custom tags a request that reached no host names no cluster. That the
    sidecar is the source it shows here by the caller's address, which is that of its node."""
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, als.gloo_telemetry(agent.socket)
    ) as mix:
        expected = mixes.play(mix)
        inbound = mix.back.stats(DOWNSTREAM)["http.inbound.downstream_rq_total"]
        samples = wait_logs(agent, expected.total() + inbound)
        told = Counter()
        for (destination, code, outcome), count in expected.requests.items():
            is_lost = (destination, code) in UNTOLD
            told["unknown" if is_lost else destination, code, outcome] += count
        assert samples.by(OUTCOMES, "mesh_requests_total", protocol="http1", **SOURCE) == told
        calls = samples.by(("grpc_status", "outcome"), "mesh_requests_total", protocol="grpc", **SOURCE)
        assert calls == expected.grpc
        assert_ledger(samples, expected.total() + inbound, 0, 0)


def periodic(telemetry):
    """The same, with entries of requests and connections that go on."""

    def pieces(service, direction):
        made = telemetry(service, direction)
        options = {"access_log_flush_interval": "1s"}
        made["manager"]["access_log_options"] = {**options, "flush_access_log_on_new_request": True}
        made["tcp"]["access_log_options"] = {
            "access_log_flush_interval": "0.2s",
            "flush_access_log_on_connected": True,
        }
        return made

    return pieces


def test_what_goes_on_is_not_counted(directory):
    """Entries in between, of a slow request and an open connection, are no requests and no connections."""
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, periodic(als.telemetry(agent.socket, attempts=False))
    ) as mix:
        load.send(mix.port, [("/reviews/1", "d3500:200"), ("/reviews/2", "200")], connections=2)
        samples = wait_for(
            lambda: (found := agent.samples()).total("mesh_requests_total") >= 4 and found, "both ends of two requests"
        )
        assert samples.total("mesh_requests_total", **SOURCE) == 2
        assert samples.total("mesh_requests_total", reporter="destination") == 2
        before = logs(samples, "not_a_request")
        assert before >= 2 * (2 + 2), "two starts and two periods on each side"
        with socket.create_connection(("127.0.0.1", mix.tcp_port), timeout=ANSWER_SECONDS_MAX) as peer:
            peer.sendall(b"x" * 100)
            assert peer.recv(1000)
            samples = wait_for(
                lambda: logs(found := agent.samples(), "not_a_request") >= before + 1 + 4 and found,
                "one entry of a connection and four periods",
            )
            assert samples.total("mesh_tcp_connections_opened_total") == 0
        samples = wait_for(
            lambda: (found := agent.samples()).total("mesh_tcp_connections_closed_total") == 1 and found,
            "the connection's end",
        )
        assert samples.total("mesh_requests_total") == 4
        assert samples.total("mesh_tcp_received_bytes_total", **SOURCE) == 100
        assert logs(samples, "received") == sum(logs(samples, term) for term in TERMS)


def stream(agent, messages):
    """The status and details of an access log stream with these messages."""
    with grpc.insecure_channel(f"unix:{agent.socket}") as channel:
        try:
            channel.stream_unary(als.METHOD)(iter(messages), timeout=ANSWER_SECONDS_MAX)
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            return error.code(), error.details()


def recorded_streams():
    return als.streams_of(corpus.read(REPOSITORY / "tests/corpus/als_envoy.als"))


def test_streams_that_are_refused(directory):
    identified, *rest = max(recorded_streams(), key=len)
    with Weftd(directory) as agent:
        code, details = stream(agent, rest[:1])
        assert code == grpc.StatusCode.INVALID_ARGUMENT and "identifier" in details
        code, details = stream(agent, [identified, b"\x12\x02\x0a\x05"])
        assert code == grpc.StatusCode.INVALID_ARGUMENT and "http_logs" in details
        assert stream(agent, [identified, *rest])[0] == grpc.StatusCode.OK  # the recording is old: dropped, counted
        count = sum(1 for _ in als.entries([identified, identified, *rest]))
        samples = agent.samples()
        refused = samples.by(("reason",), "weft_messages_refused_total")
        assert refused == {("no_identifier",): 1, ("malformed",): 1}
        assert logs(samples, "received") == count
        assert logs(samples, "received") == sum(logs(samples, term) for term in TERMS)


def test_admission_when_memory_is_full(directory):
    """Another stream's message holds the memory for messages: a stream's next one is refused with UNAVAILABLE,
    nothing of it is applied; once there is memory again the same stream is taken."""
    limits = {"assembly_bytes_max": 1 << 17, "message_bytes_max": 1 << 17, "waiting_bytes_max": 1 << 16}
    messages = max(recorded_streams(), key=len)
    with Weftd(directory, limits=limits) as agent:
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect(str(agent.socket))
            part = rawh2.grpc_prefix(100_000) + bytes(50_000)
            holder.sendall(rawh2.opening() + rawh2.call_headers(1, path=als.METHOD))
            holder.sendall(rawh2.data_frames(1, part, end=False))
            wait_for(lambda: agent.samples().total("weft_assembly_bytes") == 100_000, "the holder")
            code, _ = stream(agent, messages)
            assert code == grpc.StatusCode.UNAVAILABLE
            samples = agent.samples()
            assert samples.by(("reason",), "weft_messages_refused_total") == {("memory",): 1}
            assert logs(samples, "received") == 0
        wait_for(lambda: agent.samples().total("weft_messages_cut_total") == 1, "the holder's end")
        assert stream(agent, messages)[0] == grpc.StatusCode.OK
        samples = agent.samples()
        assert logs(samples, "received") == sum(1 for _ in als.entries(messages))
        assert logs(samples, "received") == sum(logs(samples, term) for term in TERMS)
