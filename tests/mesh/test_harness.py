"""The harness itself, without the agent: what the sidecars send is what the load and the upstream saw. When
this fails, the fault is in the tests or in a new Envoy, not in weftd."""

import random
import signal
import sys
from collections import Counter

import grpc
import pytest

import corpus
import load
import ratings
import rawh2
from backends import Prometheus, Rotel
from harness import REPOSITORY, Process, TemporaryDirectory, answers_ok, free_port, wait_for
from sidecar import Chain
from sink import Sink
from upstream import Upstream, step_of

PLANS = ["200"] * 60 + ["404"] * 10 + ["500"] * 9 + ["503,200"] * 10 + ["503"] * 6 + ["502,503,200"] * 5


def requests_of(spans, cluster_prefix):
    """Statuses of the request spans of one side."""
    found = [corpus.attributes(span) for _, _, span in spans]
    return Counter(
        int(each["http.status_code"])
        for each in found
        if "guid:x-request-id" in each and each["upstream_cluster"].startswith(cluster_prefix)
    )


@pytest.mark.parametrize("spawn", [True, False], ids=["spawn_on", "spawn_off"])
def test_sidecars_report_what_load_and_upstream_saw(directory, spawn):
    plans = random.Random(1).sample(PLANS, len(PLANS))
    with Upstream() as upstream, Sink(directory / "s.sock") as sink, Chain(
        directory, directory / "s.sock", upstream.port, spawn
    ) as chain:
        answers = load.send(chain.port, [(f"/reviews/{i}", plan) for i, plan in enumerate(plans)])

        def all_came():
            spans = list(corpus.spans(sink.traces()))
            sides = [sum(requests_of(spans, side).values()) for side in ("outbound", "inbound")]
            return (
                spans
                if chain.spans_sent() == len(spans) and sides == [len(plans), len(upstream.seen)]
                else None
            )

        spans = wait_for(all_came, "all spans")
        assert requests_of(spans, "outbound") == Counter(answer.status for answer in answers)
        assert requests_of(spans, "inbound") == Counter(status for _, _, _, status in upstream.seen)
        attempts = [span for _, _, span in spans if "upstream_address" in corpus.attributes(span)]
        assert len(attempts) == (2 * len(upstream.seen) if spawn else 0)


def test_load_returns_each_answer_and_abandons():
    with Upstream() as upstream:
        answers = load.send(upstream.port, [("/a", "200"), ("/b", "404"), ("/c", "204"), ("/d", "d20:503")])
        assert {(answer.path, answer.status) for answer in answers} == {
            ("/a", 200),
            ("/b", 404),
            ("/c", 204),
            ("/d", 503),
        }
        load.abandon(upstream.port, "/e", "d50:200", lambda: upstream.has_begun("/e"))
        wait_for(lambda: len(upstream.seen) == 5, "the abandoned request")


@pytest.mark.parametrize(
    "plan, attempt, step",
    [
        ("200", 1, (0.0, 200)),
        ("200", 9, (0.0, 200)),
        ("503,200", 1, (0.0, 503)),
        ("503,200", 2, (0.0, 200)),
        ("d150:404", 1, (0.15, 404)),
        ("reset", 1, (0.0, None)),
    ],
)
def test_plans(plan, attempt, step):
    assert step_of(plan, attempt) == step


def test_ratings_answers_with_the_code_asked_for():
    with ratings.Ratings() as rpc:
        assert ratings.call(rpc.port, [0, 5, 14]) == [0, 5, 14]
        assert rpc.seen == [0, 5, 14]


def test_rotel_counts_spans(directory):
    messages = corpus.read(REPOSITORY / "tests/corpus/envoy_spawn_on.otlp")[:20]
    with Rotel(directory) as rotel:
        with grpc.insecure_channel(f"127.0.0.1:{rotel.grpc_port}") as channel:
            for message in messages:
                channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(message)
        count = sum(1 for _ in corpus.spans(messages))
        wait_for(lambda: rotel.spans() == count, f"{count} spans in the log, {rotel.spans()} there")


def test_prometheus_scrapes_itself(directory):
    with Prometheus(directory, f"127.0.0.1:{free_port()}") as prometheus:
        wait_for(prometheus.target, "the target")
        wait_for(lambda: prometheus.target()["lastError"], "the error of a target that is not there")
        assert prometheus.value("no_such_series") is None


def test_live_traffic_starts_and_stops(directory):
    live = Process("live", directory)
    with Sink(directory / "s.sock") as sink:
        live.start(
            [sys.executable, REPOSITORY / "tests/mesh/live.py", "--socket", directory / "s.sock", "--rps", 30]
        )
        try:
            live.wait_until(lambda: sum(1 for _ in corpus.spans(sink.traces())) > 50, "live spans")
        finally:
            status = live.stop(signal.SIGINT)
        assert status == 0, live.log()


def test_a_process_that_dies_is_reported_with_its_log(directory):
    process = Process("dies", directory)
    process.start(["sh", "-c", "echo broken pipe dream; exit 3"])
    with pytest.raises(AssertionError, match="(?s)ended with 3.*broken pipe dream"):
        process.wait_until(lambda: False, "nothing", 5)
    assert process.stop() == 3


def test_nothing_listens_on_a_free_port():
    assert not answers_ok(f"http://127.0.0.1:{free_port()}/")


def test_temporary_directory_is_short_and_removed():
    with TemporaryDirectory() as path:
        assert len(str(path / "weftd.sock")) < 80
    assert not path.exists()


@pytest.mark.parametrize("name", ["envoy_spawn_on.h2", "envoy_spawn_off.h2"])
def test_a_captured_connection_can_be_replayed(directory, name):
    data = (REPOSITORY / "tests/corpus" / name).read_bytes()
    whole, begun = rawh2.messages(data)
    assert len(whole) >= 10 and len(begun) <= 1
    with Sink(directory / "s.sock") as sink, rawh2.Connection(directory / "s.sock") as connection:
        connection.send(data)
        wait_for(lambda: len(sink.traces()) == len(whole), "the messages of the capture")
        assert sorted(sink.traces()) == sorted(whole)


def test_a_call_made_by_hand_is_a_call(directory):
    message = corpus.read(REPOSITORY / "tests/corpus/envoy_spawn_on.otlp")[0]
    with Sink(directory / "s.sock") as sink, rawh2.Connection(directory / "s.sock") as connection:
        connection.send(rawh2.opening() + rawh2.export_call(1, message))
        connection.read_until(rawh2.ends_stream(1))
        assert sink.traces() == [message]
