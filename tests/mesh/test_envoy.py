"""Real Envoy sidecars and the OpenTelemetry SDK through the agent's Unix socket: every request counted once,
every span passed on, and nobody held up when the agent is stopped."""

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

import corpus
import load
import ratings
from agent import COUNT_SECONDS_MAX, Weftd, otlp_destination, settle
from backends import Rotel
from harness import PAUSE_SECONDS, REPOSITORY, free_port, wait_for
from sidecar import Chain, tracing_http
from sink import Sink
from upstream import HELD, Upstream

pytestmark = pytest.mark.agent_needed

REQUESTS = 1000
MARK = "hunter2"  # in every query string; must not be found in anything that leaves the agent
CODE = ("outcome", "response_code")
REVIEWS = {"destination": "reviews", "destination_namespace": "shop"}
BY_SOURCE = {"reporter": "source", "source": "productpage", "source_namespace": "shop", **REVIEWS}
BY_DESTINATION = {"reporter": "destination", "source": "unknown", **REVIEWS}
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def outcome(code):
    """The outcome label of an HTTP status."""
    return "server_error" if code >= 500 else "client_error" if code >= 400 else "ok"


def by_code(codes):
    return Counter((outcome(code), str(code)) for code in codes)


def known_mix():
    """REQUESTS requests, the same each time: (path, plan). Paths hold numbers, ids and a query string."""
    plans = (
        ["200"] * 600
        + ["404"] * 100
        + ["500"] * 90
        + ["503,200"] * 80
        + ["502,503,200"] * 40
        + ["503"] * 50
        + ["d15:200"] * 40
    )
    assert len(plans) == REQUESTS
    rng = random.Random(7)
    rng.shuffle(plans)
    tails = [
        lambda: str(rng.randrange(10**6)),
        lambda: f"{UUID}/stars",
        lambda: f"{rng.randrange(16**12):012x}",
    ]
    return [(f"/reviews/{rng.choice(tails)()}?token={MARK}&page={i}", plan) for i, plan in enumerate(plans)]


def assert_no_raw_paths(samples):
    """No label of ours holds a query string, a number of a path, a UUID or a hash."""
    routes = {labels["route"] for labels, _ in samples.matching("mesh_requests_total")}
    assert routes, "no routes"
    for route in routes:
        assert (
            "?" not in route and UUID not in route and not re.search(r"/\d+(/|$)|[0-9a-f]{12}", route)
        ), route
    assert len(routes) < 20
    assert not [value for value in samples.label_values("mesh_") if MARK in value or "token" in value]


@pytest.mark.parametrize("spawn", [True, False], ids=["spawn_on", "spawn_off"])
def test_thousand_requests_of_a_known_mix(directory, spawn):
    sink_port = free_port()
    with Upstream() as upstream, Rotel(directory) as rotel, Sink(f"127.0.0.1:{sink_port}") as sink, Weftd(
        directory, [otlp_destination("rotel", rotel.grpc_port), otlp_destination("sink", sink_port)]
    ) as agent, Chain(directory, agent.socket, upstream.port, spawn) as chain:
        answers = load.send(chain.port, known_mix(), connections=8)
        assert len(answers) == REQUESTS
        sent = settle(chain.spans_sent, quiet=3.0)  # the tracer's timer is 1 s
        samples = agent.wait_spans(sent)

        assert samples.by(CODE, "mesh_requests_total", **BY_SOURCE) == by_code(
            answer.status for answer in answers
        )
        seen = [status for _, _, _, status in upstream.seen]
        assert samples.by(CODE, "mesh_requests_total", **BY_DESTINATION) == by_code(seen)
        assert samples.total("mesh_requests_total") == REQUESTS + len(
            seen
        ), "a request counted under other labels"
        assert samples.by(("method", "protocol"), "mesh_requests_total") == {
            ("GET", "http1"): REQUESTS + len(seen)
        }
        assert samples.total("mesh_request_duration_seconds_count", **BY_SOURCE) == REQUESTS
        assert_attempts(samples, spawn, len(seen))
        assert_no_raw_paths(samples)
        assert_passed_on(agent, sent, rotel, sink)
        assert_ledger(agent.samples(), sent, REQUESTS + len(seen), 2 * len(seen) if spawn else 0)


def test_spans_over_http(directory):
    """The same tracer posts to /v1/traces."""
    with Upstream() as upstream, Weftd(directory) as agent, Chain(
        directory, agent.socket, upstream.port, True, tracer=tracing_http
    ) as chain:
        answers = load.send(chain.port, [("/reviews/1", "200")] * 90 + [("/reviews/2", "503,200")] * 10)
        samples = agent.wait_spans(settle(chain.spans_sent, quiet=3.0))
        assert samples.by(CODE, "mesh_requests_total", **BY_SOURCE) == by_code(each.status for each in answers)
        seen = [status for _, _, _, status in upstream.seen]
        assert samples.by(CODE, "mesh_requests_total", **BY_DESTINATION) == by_code(seen)
        agent.wait_attempts(len(seen), **REVIEWS)
        assert samples.total("weft_messages_accepted_total", protocol="otlp_http") > 0
        assert samples.total("weft_messages_accepted_total", protocol="otlp_grpc") == 0


def assert_attempts(samples, spawn, attempts):
    if spawn:
        assert samples.total("mesh_request_attempts_total", reporter="source", **REVIEWS) == attempts
        assert samples.total("mesh_request_attempts_total", reporter="destination", **REVIEWS) == attempts
        assert samples.matching("mesh_request_attempts_total", route="unknown") == [], "each has its request's route"
        assert attempts > REQUESTS, "the mix has retries"
    else:
        assert (
            samples.matching("mesh_request_attempts_total") == []
        ), "attempts cannot be told, so they are absent"


def assert_passed_on(agent, sent, rotel, sink):
    """Both receivers got each span; what was sent to them holds no query string."""
    wait_for(lambda: rotel.spans() >= sent, f"{sent} spans in Rotel's log")
    assert rotel.spans() == sent
    wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) >= sent, f"{sent} spans in the sink")
    spans = [span for _, _, span in corpus.spans(sink.traces())]
    assert len({(span.trace_id, span.span_id) for span in spans}) == len(spans) == sent
    assert not [message for message in sink.traces() if MARK.encode() in message]
    urls = [corpus.attributes(span).get("http.url", "") for span in spans]
    assert any(url.startswith("http://reviews.shop/reviews/") for url in urls)
    assert MARK not in agent.get("/metrics", {"accept": "application/openmetrics-text"})[2].decode()
    assert MARK not in agent.log()


def assert_ledger(samples, sent, requests, attempts):
    """received = aggregated + attempts + neither + dropped; per destination handed over = sent."""

    def spans(name, **labels):
        return samples.total(name, signal="spans", **labels)

    assert spans("weft_records_received_total") == sent
    assert spans("weft_records_aggregated_total") == requests
    assert spans("weft_records_attempts_total") == attempts
    assert spans("weft_records_not_a_request_total") == 0
    assert spans("weft_records_dropped_total") == 0
    assert sent == requests + attempts
    for destination in ("rotel", "sink"):
        assert spans("weft_export_handed_over_total", destination=destination) == sent
        assert spans("weft_export_sent_total", destination=destination) == sent
        assert spans("weft_export_queued", destination=destination) == 0
        assert spans("weft_export_dropped_total", destination=destination) == 0


ENDINGS = {  # path and plan → what the front sidecar says: (destination, outcome, response_code)
    ("/slow/6", HELD): ("reviews", "server_error", "504"),
    ("/reviews/5", "reset"): ("reviews", "server_error", "503"),
    ("/dead/1", "200"): ("ratings", "server_error", "503"),
    ("/empty/1", "200"): ("details", "server_error", "503"),
    ("/direct", "200"): ("unknown", "client_error", "403"),
    ("/nothing/1", "200"): ("unknown", "client_error", "404"),
}


@pytest.mark.parametrize("spawn", [True, False], ids=["spawn_on", "spawn_off"])
@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_every_ending_is_counted_once_at_the_source(directory, spawn, decorated):
    with Upstream() as upstream, Weftd(directory) as agent, Chain(
        directory, agent.socket, upstream.port, spawn, decorated
    ) as chain:
        load.send(chain.port, list(ENDINGS), connections=1)
        load.abandon(chain.port, "/reviews/9", HELD, lambda: upstream.has_begun("/reviews/9"))
        sent = settle(chain.spans_sent, quiet=3.0)
        samples = agent.wait_spans(sent)
        got = samples.by(
            ("destination", *CODE), "mesh_requests_total", reporter="source", source="productpage"
        )
        want = Counter(ENDINGS.values())
        left = [key for key in got if key not in want]
        assert got - Counter(left) == want
        # A client that left has no status.
        assert len(left) == 1 and left[0][:2] == ("reviews", "cancelled") and left[0][2] in ("", "0")
        if not spawn:
            assert samples.matching("mesh_request_attempts_total") == []
        flags = samples.by(("flag",), "mesh_response_flags_total", reporter="source")
        assert flags == {("UT",): 1, ("URX",): 2, ("UF",): 1, ("UH",): 1, ("NR",): 1, ("DC",): 1}


def test_grpc_calls_keep_their_status(directory):
    codes = [0] * 30 + [5] * 10 + [14] * 7 + [3] * 2
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory) as agent, Chain(
        directory, agent.socket, upstream.port, True, grpc_port=rpc.port
    ) as chain:
        assert ratings.call(chain.port, codes) == codes
        samples = agent.wait_spans(settle(chain.spans_sent, quiet=3.0))
        labels = ("outcome", "protocol", "grpc_status", "method", "route")
        got = samples.by(
            labels,
            "mesh_requests_total",
            reporter="source",
            destination="ratings",
            destination_namespace="shop",
        )
        assert {key[:4]: count for key, count in got.items()} == {
            ("ok", "grpc", "0", "POST"): 30,
            ("client_error", "grpc", "5", "POST"): 10,
            ("server_error", "grpc", "14", "POST"): 7,
            ("client_error", "grpc", "3", "POST"): 2,
        }
        assert {key[4] for key in got} == {ratings.METHOD}


def run_sdk(socket, scenario, convention, count):
    """What sdk.py says it ended, by kind."""
    done = subprocess.run(
        [
            sys.executable,
            REPOSITORY / "tests/mesh/sdk.py",
            "--target",
            f"unix:{socket}",
            "--scenario",
            scenario,
            "--convention",
            convention,
            "--count",
            str(count),
        ],
        check=True,
        stdout=subprocess.PIPE,
        timeout=300,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("convention", ["old", "new", "both"])
def test_sdk_http_spans(directory, convention):
    with Weftd(directory) as agent:
        counts = run_sdk(agent.socket, "http", convention, 60)
        assert counts == {"CLIENT": 60, "SERVER": 60}
        samples = agent.wait_spans(120)
        want = by_code([200, 404, 500] * 20)
        assert (
            samples.by(
                CODE, "mesh_requests_total", reporter="source", source="productpage", source_namespace="shop"
            )
            == want
        )
        assert samples.by(CODE, "mesh_requests_total", reporter="destination", **REVIEWS) == want
        assert samples.by(("method",), "mesh_requests_total") == {("GET",): 120}
        assert_no_raw_paths(samples)


@pytest.mark.parametrize("scenario, convention", [("grpc", "old"), ("rpc", "new")])
def test_sdk_grpc_spans(directory, scenario, convention):
    with Weftd(directory) as agent:
        counts = run_sdk(agent.socket, scenario, convention, 30)
        samples = agent.wait_spans(sum(counts.values()))
        labels = ("outcome", "protocol", "grpc_status", "route")
        want = {
            ("ok", "grpc", "0", ratings.METHOD): 10,
            ("client_error", "grpc", "5", ratings.METHOD): 10,
            ("server_error", "grpc", "14", ratings.METHOD): 10,
        }
        assert samples.by(labels, "mesh_requests_total", reporter="source", source="productpage") == want
        if scenario == "grpc":
            assert (
                samples.by(labels, "mesh_requests_total", reporter="destination", destination="reviews")
                == want
            )


def test_sampled_spans_count_with_their_weight(directory):
    with Weftd(directory) as agent:
        sampled = run_sdk(agent.socket, "weighted", "new", 400)["CLIENT"]
        assert 0 < sampled < 400
        samples = agent.wait_spans(sampled)
        assert samples.total("mesh_requests_total", **BY_SOURCE) == 4 * sampled
        assert samples.total("mesh_request_duration_seconds_count", **BY_SOURCE) == 4 * sampled
        assert samples.by(("route",), "mesh_requests_total") == {("/reviews/{id}",): 4 * sampled}


def test_requests_are_not_held_up_by_a_stopped_agent(directory):
    with Upstream() as upstream, Weftd(directory) as agent, Chain(
        directory, agent.socket, upstream.port, True
    ) as chain:
        load.send(chain.port, [("/reviews/1", "200")] * 50)
        before = agent.wait_spans(settle(chain.spans_sent, quiet=3.0))
        assert before.total("mesh_requests_total", **BY_SOURCE) == 50
        answers = load_while_stopped(agent, chain)
        longest = max(answer.seconds for answer in answers)
        print(f"{len(answers)} answers in {PAUSE_SECONDS:.0f} s without the agent, the longest in {longest:.3f} s")
        assert len(answers) >= 4 * PAUSE_SECONDS and {answer.status for answer in answers} == {200}
        # A caller that waited for the agent would have waited for the rest of the stop.
        assert longest < PAUSE_SECONDS / 2
        wait_for(lambda: agent.get("/readyz")[0] == 200, "the agent to answer again")
        settle(chain.spans_sent, quiet=3.0)
        known = settle(lambda: agent.samples().total("mesh_requests_total", **BY_SOURCE), quiet=3.0)
        load.send(chain.port, [("/reviews/2", "404")] * 50)
        wait_for(
            lambda: agent.samples().total("mesh_requests_total", response_code="404", **BY_SOURCE) == 50,
            "the requests after the stop",
        )
        assert agent.samples().total("mesh_requests_total", **BY_SOURCE) >= known + 50


def load_while_stopped(agent, chain):
    """The answers to paced requests that were all sent and answered while the agent was stopped."""
    answers = []
    with agent.paused():
        end = time.monotonic() + PAUSE_SECONDS
        worker = threading.Thread(target=paced, args=(chain.port, end, answers))
        worker.start()
        worker.join(PAUSE_SECONDS + COUNT_SECONDS_MAX)
        assert not worker.is_alive(), "the load is still waiting for the agent"
    return answers


def paced(port, end, answers):
    while time.monotonic() < end:
        answers.extend(load.send(port, [("/reviews/3", "200")] * 40, connections=4, pace_s=0.05))


def test_agent_restart_loses_only_what_was_unsent(directory):
    """Envoy reconnects by itself to a new agent on the same socket path, and its spans are counted there."""
    with Upstream() as upstream:
        first = Weftd(directory)
        with Chain(directory, first.socket, upstream.port, False) as chain:
            load.send(chain.port, [("/reviews/1", "200")] * 100)
            first.wait_spans(settle(chain.spans_sent, quiet=3.0))
            assert first.stop() == 0
            assert {answer.status for answer in load.send(chain.port, [("/reviews/1", "200")] * 20)} == {200}
            settle(chain.spans_sent, quiet=3.0)
            with Weftd(directory) as second:

                def counted_again():
                    load.send(chain.port, [("/reviews/1", "200")] * 10)
                    return second.samples().total("mesh_requests_total", **BY_SOURCE) > 0

                wait_for(counted_again, "spans at the new agent", pause=0.5)
