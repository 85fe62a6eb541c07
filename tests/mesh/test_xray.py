"""Real Envoy sidecars with the X-Ray tracer, to the agent's UDP port in place of the X-Ray daemon's; and
segments as an SDK sends them."""

import json
import socket
import time
from collections import Counter

import pytest

import corpus
import load
import ratings
from agent import Weftd, otlp_destination, settle
from backends import Rotel
from harness import REPOSITORY, free_port, wait_for
from sidecar import Chain, tracing_xray
from sink import Sink
from test_envoy import (
    BY_DESTINATION,
    BY_SOURCE,
    CODE,
    ENDINGS,
    MARK,
    REQUESTS,
    REVIEWS,
    assert_ledger,
    assert_no_raw_paths,
    by_code,
    known_mix,
)
from test_zipkin import CLIENT, SERVER
from upstream import HELD, Upstream

pytestmark = pytest.mark.agent_needed

INTERNAL = 1
HEADER = b'{"format":"json","version":1}\n'
SPAWN_ON = REPOSITORY / "tests/corpus/xray_envoy_spawn_on.datagrams"


def xray_agent(directory, port, *destinations, **config):
    """With room in its socket for all that a test sends, however late it comes to read it."""
    xray = {"udp": f"127.0.0.1:{port}", "buffer_bytes": 64 << 20}
    return Weftd(directory, destinations, receivers={"xray": xray}, **config)


def send(port, datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for datagram in datagrams:
            client.sendto(datagram, ("127.0.0.1", port))
            time.sleep(0.0005)  # for a socket that may not have so much room: UDP cannot wait


def wait_received(agent):
    """The samples once no more spans come; Envoy's X-Ray tracer does not count what it sent."""
    settle(lambda: agent.samples().total("weft_records_received_total", signal="spans"), quiet=2.0)
    return agent.wait_spans(agent.samples().total("weft_records_received_total", signal="spans"))


@pytest.mark.parametrize("spawn", [True, False], ids=["spawn_on", "spawn_off"])
def test_thousand_requests_of_a_known_mix(directory, spawn):
    sink_port, port = free_port(), free_port()
    with Upstream() as upstream, Rotel(directory) as rotel, Sink(
        f"127.0.0.1:{sink_port}"
    ) as sink, xray_agent(
        directory, port, otlp_destination("rotel", rotel.grpc_port), otlp_destination("sink", sink_port)
    ) as agent, Chain(
        directory, agent.socket, upstream.port, spawn, tracer=tracing_xray(port)
    ) as chain:
        answers = load.send(chain.port, known_mix(), connections=8)
        samples = wait_received(agent)
        seen = [status for _, _, _, status in upstream.seen]
        attempts = 2 * len(seen) if spawn else 0
        sent = REQUESTS + len(seen) + attempts
        assert samples.total("weft_datagrams_lost_total", receiver="xray") == 0
        assert samples.total("weft_datagrams_received_total", receiver="xray") == sent
        assert samples.total("weft_messages_accepted_total", protocol="xray") == sent

        assert samples.by(CODE, "mesh_requests_total", **BY_SOURCE) == by_code(
            answer.status for answer in answers
        )
        assert samples.by(CODE, "mesh_requests_total", **BY_DESTINATION) == by_code(seen)
        assert samples.total("mesh_requests_total") == REQUESTS + len(
            seen
        ), "a request counted under other labels"
        assert samples.by(("method", "protocol"), "mesh_requests_total") == {
            ("GET", "http1"): REQUESTS + len(seen)
        }
        if spawn:
            for reporter in ("source", "destination"):
                assert samples.total("mesh_request_attempts_total", reporter=reporter, **REVIEWS) == len(seen)
            assert samples.matching("mesh_request_attempts_total", route="unknown") == []
        else:
            assert (
                samples.matching("mesh_request_attempts_total") == []
            ), "they cannot be told, so they are absent"
        assert_no_raw_paths(samples)
        assert_passed_on(agent, sent, rotel, sink)
        assert_ledger(agent.samples(), sent, REQUESTS + len(seen), attempts)


def assert_passed_on(agent, sent, rotel, sink):
    wait_for(lambda: rotel.spans() >= sent, f"{sent} spans in Rotel's log")
    assert rotel.spans() == sent
    wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) >= sent, f"{sent} spans in the sink")
    spans = [span for _, _, span in corpus.spans(sink.traces())]
    assert len({(span.trace_id, span.span_id) for span in spans}) == len(spans) == sent
    assert not [message for message in sink.traces() if MARK.encode() in message]
    urls = [corpus.attributes(span).get("url.full", "") for span in spans]
    assert any(url.startswith("http://reviews.shop/reviews/") for url in urls)
    assert MARK not in agent.log()


def test_every_ending_is_counted_once_at_the_source(directory):
    port = free_port()
    with Upstream() as upstream, xray_agent(directory, port) as agent, Chain(
        directory, agent.socket, upstream.port, False, tracer=tracing_xray(port)
    ) as chain:
        load.send(chain.port, list(ENDINGS), connections=1)
        load.abandon(chain.port, "/reviews/9", HELD, lambda: upstream.has_begun("/reviews/9"))
        samples = wait_received(agent)
        got = samples.by(
            ("destination", *CODE), "mesh_requests_total", reporter="source", source="productpage"
        )
        want = Counter(ENDINGS.values())
        left = [key for key in got if key not in want]
        assert got - Counter(left) == want
        assert len(left) == 1 and left[0][:2] == ("reviews", "cancelled") and left[0][2] in ("", "0")
        flags = samples.by(("flag",), "mesh_response_flags_total", reporter="source")
        assert flags == {("UT",): 1, ("URX",): 2, ("UF",): 1, ("UH",): 1, ("NR",): 1, ("DC",): 1}


def recent(datagrams):
    """(datagrams, documents) of a fixture, moved to now."""
    documents = [json.loads(datagram.split(b"\n", 1)[1]) for datagram in datagrams]
    shift = time.time() - documents[0]["start_time"]
    for document in documents:
        for key in ("start_time", "end_time"):
            document[key] = round(document[key] + shift, 6)
    return [HEADER + json.dumps(document).encode() for document in documents], documents


def test_spans_keep_what_envoy_said(directory):
    port, sink_port = free_port(), free_port()
    datagrams, documents = recent(corpus.read(SPAWN_ON)[:100])
    with Sink(f"127.0.0.1:{sink_port}") as sink, xray_agent(
        directory, port, otlp_destination("sink", sink_port)
    ) as agent:
        send(port, datagrams)
        agent.wait_spans(len(documents))
        wait_for(
            lambda: sum(1 for _ in corpus.spans(sink.traces())) >= len(documents), "the spans in the sink"
        )
        by_id = {document["id"]: document for document in documents}
        for resource, _, span in corpus.spans(sink.traces()):
            was = by_id.pop(span.span_id.hex())
            attempt = was.get("type") == "subsegment"
            assert span.trace_id.hex() == was["trace_id"][2:].replace("-", "")
            assert span.parent_span_id.hex() == was.get("parent_id", "")
            assert span.name == was["name"]
            egress = was["annotations"]["direction"] == "egress"
            assert span.kind == (CLIENT if attempt or egress else SERVER)
            assert resource.get("service.name") == (None if attempt else was["name"])
            assert span.start_time_unix_nano == round(was["start_time"] * 1e6) * 1000
            assert (span.status.code == 2) == bool(was.get("fault") or was.get("error"))
            attributes = corpus.attributes(span)
            assert attributes.items() >= was["annotations"].items()
            assert attributes["http.response.status_code"] == was["http"]["response"]["status"]
            assert "aws.xray.aws" not in attributes, "empty"
        assert not by_id


def sdk_segment(at):
    """A segment with what it called, as AWS's SDKs write it, and secrets in places of their own."""
    return {
        "name": "cart.shop",
        "id": "70de5b6f19ff9a0a",
        "trace_id": f"1-{int(at):08x}-a006649127e371903a2de979",
        "start_time": at,
        "end_time": at + 0.25,
        "http": {
            "request": {
                "method": "POST",
                "url": f"https://cart.shop/buy/17?token={MARK}",
                "client_ip": "192.0.2.7",
            },
            "response": {"status": 200, "content_length": 12},
        },
        "annotations": {"tenant": "a", "gold": True, "size": 4, "ratio": 0.5},
        "metadata": {
            "default": {"headers": {"authorization": MARK, "accept": "*/*"}, "list": [1, "x", None]}
        },
        "aws": {"ec2": {"instance_id": "i-1"}},
        "subsegments": [
            {
                "name": "stock.shop",
                "id": "70de5b6f19ff9a0b",
                "namespace": "remote",
                "start_time": at + 0.01,
                "end_time": at + 0.02,
                "http": {
                    "request": {"method": "GET", "url": "http://stock.shop/items/1"},
                    "response": {"status": 500},
                },
                "fault": True,
            },
            {
                "name": "compute",
                "id": "70de5b6f19ff9a0c",
                "start_time": at + 0.03,
                "end_time": at + 0.04,
                "subsegments": [
                    {
                        "name": "DynamoDB",
                        "id": "70de5b6f19ff9a0d",
                        "namespace": "aws",
                        "start_time": at + 0.031,
                        "end_time": at + 0.039,
                        "aws": {"operation": "GetItem"},
                    },
                    {
                        "name": "later",
                        "id": "70de5b6f19ff9a0e",
                        "start_time": at + 0.035,
                        "in_progress": True,
                    },
                ],
            },
        ],
    }


def test_segments_of_an_sdk(directory):
    port, sink_port, at = free_port(), free_port(), round(time.time(), 3)
    with Sink(f"127.0.0.1:{sink_port}") as sink, xray_agent(
        directory, port, otlp_destination("sink", sink_port), redact={"attributes": ["authorization"]}
    ) as agent:
        unfinished = {
            key: value for key, value in sdk_segment(at).items() if key not in ("end_time", "subsegments")
        }
        documents = [json.dumps({**unfinished, "in_progress": True}), json.dumps(sdk_segment(at))]
        send(port, [HEADER + document.encode() for document in documents])
        samples = agent.wait_spans(4)
        assert samples.total("weft_segments_in_progress_total") == 2
        labels = ("reporter", "source", "destination", "outcome", "response_code", "route")
        assert samples.by(labels, "mesh_requests_total") == {
            ("destination", "unknown", "cart.shop", "ok", "200", "/buy/*"): 1,
            ("source", "cart.shop", "stock.shop", "server_error", "500", "/items/*"): 1,
            ("source", "cart.shop", "DynamoDB", "ok", "0", "unknown"): 1,
        }
        assert samples.total("weft_records_not_a_request_total", signal="spans") == 1
        wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) >= 4, "the spans in the sink")
        spans = {span.span_id.hex()[-1]: span for _, _, span in corpus.spans(sink.traces())}
        assert [spans[key].kind for key in "abcd"] == [SERVER, CLIENT, INTERNAL, CLIENT]
        assert [spans[key].parent_span_id.hex()[-1:] for key in "abcd"] == ["", "a", "a", "c"]
        assert len({span.trace_id for span in spans.values()}) == 1
        assert {resource["service.name"] for resource, _, _ in corpus.spans(sink.traces())} == {"cart.shop"}
        attributes = corpus.attributes(spans["a"])
        assert (attributes["tenant"], attributes["gold"], attributes["size"]) == ("a", True, 4)
        assert attributes["ratio"] == 0.5 and attributes["url.full"] == "https://cart.shop/buy/17"
        assert not [message for message in sink.traces() if MARK.encode() in message]
        assert any(b"[redacted]" in message for message in sink.traces())


def test_bad_datagrams_are_refused_whole_and_bad_segments_alone(directory):
    port, at = free_port(), round(time.time(), 3)
    good = json.dumps(sdk_segment(at)).encode()
    refused = [
        b"",
        b"x",
        good,
        b'{"format":"xml","version":1}\n' + good,
        b'{"format":"json","version":2}\n' + good,
        HEADER,
        HEADER + b"[]",
        HEADER + good[:-3],
        HEADER + good + good,
        HEADER + b'{"a":' * 200,
    ]
    bad = [
        {**sdk_segment(at), key: value}
        for key, value in (("trace_id", "1-2"), ("id", "7"), ("start_time", "x"))
    ]
    with xray_agent(directory, port) as agent:
        send(port, refused + [HEADER + json.dumps(each).encode() for each in bad] + [HEADER + good + b"\n"])
        samples = agent.wait_spans(4 + len(bad))
        assert samples.by(("reason",), "weft_messages_refused_total") == {("malformed",): len(refused)}
        assert samples.total("weft_messages_accepted_total", protocol="xray") == 1 + len(bad)
        assert samples.by(("reason",), "weft_records_dropped_total", signal="spans") == {
            ("invalid_trace_id",): 1,
            ("invalid_span_id",): 1,
            ("time_out_of_range",): 1,
        }
