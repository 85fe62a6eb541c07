"""Real Envoy sidecars with the Zipkin tracer, through the agent's Unix socket: what Zipkin tells of each
request is counted once, and each span reaches a back-end as OTLP with the ids that Envoy gave it."""

import gzip
import http.client
import json
import socket
import time
from collections import Counter

import pytest
import yaml

import corpus
import load
import ratings
from agent import Weftd, otlp_destination, settle
from backends import Rotel
from harness import REPOSITORY, free_port, wait_for
from http_sink import HttpSink
from logging_proxies import blocks, localized
from sidecar import REVIEWS as CLUSTER
from sidecar import Chain, Envoy, cluster, listener, route, tracing_zipkin
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
from upstream import HELD, Upstream

pytestmark = pytest.mark.agent_needed

SERVER, CLIENT = 2, 3
FIXTURE = REPOSITORY / "tests/corpus/zipkin_envoy_spawn_on.json"


def post(path, body, headers=()):
    """(status, headers, body) of POST /api/v2/spans on a Unix socket."""
    fields = {
        "host": "weft",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **dict(headers),
    }
    head = "POST /api/v2/spans HTTP/1.1\r\nconnection: close\r\n"
    head += "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(path))
        client.sendall(head.encode() + b"\r\n" + body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), rest


@pytest.mark.parametrize("spawn", [True, False], ids=["spawn_on", "spawn_off"])
def test_thousand_requests_of_a_known_mix(directory, spawn):
    sink_port = free_port()
    with Upstream() as upstream, Rotel(directory) as rotel, Sink(f"127.0.0.1:{sink_port}") as sink, Weftd(
        directory, [otlp_destination("rotel", rotel.grpc_port), otlp_destination("sink", sink_port)]
    ) as agent, Chain(directory, agent.socket, upstream.port, spawn, tracer=tracing_zipkin) as chain:
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
        assert_attempts(agent, samples, spawn, len(seen))
        assert_no_raw_paths(samples)
        assert_passed_on(agent, sent, rotel, sink, spawn)
        assert_ledger(agent.samples(), sent, REQUESTS + len(seen), 2 * len(seen) if spawn else 0)
        assert samples.total("weft_messages_accepted_total", protocol="zipkin") > 0
        assert samples.total("weft_messages_refused_total") == 0


def assert_attempts(agent, samples, spawn, attempts):
    if not spawn:
        assert (
            samples.matching("mesh_request_attempts_total") == []
        ), "they cannot be told, so they are absent"
        return

    samples = agent.wait_attempts(attempts, **REVIEWS)
    assert samples.total("mesh_request_attempts_total", route="unknown") < attempts / 2


def assert_passed_on(agent, sent, rotel, sink, spawn):
    """Both receivers got each span; what was sent to them holds no query string."""
    wait_for(lambda: rotel.spans() >= sent, f"{sent} spans in Rotel's log")
    assert rotel.spans() == sent
    wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) >= sent, f"{sent} spans in the sink")
    spans = [span for _, _, span in corpus.spans(sink.traces())]
    assert len(spans) == sent
    ids = Counter((span.trace_id, span.span_id, span.kind) for span in spans)
    if spawn:
        assert set(ids.values()) == {1}
    else:
        # Both ends of a hop have one id, and so has every attempt at it.
        clients = {key[:2]: count for key, count in ids.items() if key[2] == CLIENT}
        assert set(clients.values()) == {1} and len(clients) == REQUESTS
        assert {key[:2] for key in ids if key[2] == SERVER} == set(clients)
    assert not [message for message in sink.traces() if MARK.encode() in message]
    urls = [corpus.attributes(span).get("http.url", "") for span in spans]
    assert any(url.startswith("http://reviews.shop/reviews/") for url in urls)
    assert MARK not in agent.get("/metrics", {"accept": "application/openmetrics-text"})[2].decode()
    assert MARK not in agent.log()


def ids_of_zipkin(bodies):
    """(trace id, span id, parent id, kind) of each span of Zipkin bodies."""
    kinds = {"SERVER": SERVER, "CLIENT": CLIENT}
    return Counter(
        (span["traceId"].rjust(32, "0"), span["id"], span.get("parentId", ""), kinds[span["kind"]])
        for body in bodies
        for span in json.loads(body)
    )


def ids_of_otlp(messages):
    return Counter(
        (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.kind)
        for _, _, span in corpus.spans(messages)
    )


def test_spans_keep_what_envoy_said(directory):
    """The same bodies to a sink of our own and to the agent: ids, times, names and tags come out as they
    went in."""
    port = free_port()
    with Upstream() as upstream, HttpSink(directory / "zipkin.sock") as zipkin, Chain(
        directory, directory / "zipkin.sock", upstream.port, True, tracer=tracing_zipkin
    ) as chain:
        load.send(
            chain.port,
            [("/reviews/1", "200"), ("/reviews/2", "503,200"), ("/reviews/3", "404")],
            connections=1,
        )
        sent = settle(chain.spans_sent, quiet=3.0)
        bodies = zipkin.bodies("/api/v2/spans")
        assert sum(len(json.loads(body)) for body in bodies) == sent
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [otlp_destination("sink", port)]) as agent:
        for at, body in enumerate(bodies):
            plain = at % 2 == 0
            headers = () if plain else (("content-encoding", "gzip"),)
            assert post(agent.socket, body if plain else gzip.compress(body), headers)[0] == 202
        agent.wait_spans(sent)
        wait_for(lambda: sum(1 for _ in corpus.spans(sink.traces())) >= sent, f"{sent} spans in the sink")
        assert ids_of_otlp(sink.traces()) == ids_of_zipkin(bodies)
        by_id = {(span["id"], span["kind"]): span for body in bodies for span in json.loads(body)}
        for resource, _, span in corpus.spans(sink.traces()):
            was = by_id[(span.span_id.hex(), "SERVER" if span.kind == SERVER else "CLIENT")]
            assert span.name == was["name"]
            assert resource == {
                "service.name": was["localEndpoint"]["serviceName"],
                "telemetry.sdk.name": "envoy",
            }
            assert span.start_time_unix_nano == was["timestamp"] * 1000
            assert span.end_time_unix_nano == (was["timestamp"] + was["duration"]) * 1000
            attributes = corpus.attributes(span)
            assert attributes.items() >= was["tags"].items()
            assert attributes.get("zipkin.shared", False) == was.get("shared", False)
            assert attributes["network.local.address"] == was["localEndpoint"]["ipv4"]
            assert (span.status.code == 2) == ("error" in was["tags"])
            assert [(event.name, event.time_unix_nano) for event in span.events] == [
                (each["value"], each["timestamp"] * 1000) for each in was["annotations"]
            ]


def test_every_ending_is_counted_once_at_the_source(directory):
    """Without a span for each attempt Envoy's own end of a hop is CLIENT, so also a request without a route
    tells that it left the source."""
    with Upstream() as upstream, Weftd(directory) as agent, Chain(
        directory, agent.socket, upstream.port, False, tracer=tracing_zipkin
    ) as chain:
        load.send(chain.port, list(ENDINGS), connections=1)
        load.abandon(chain.port, "/reviews/9", HELD, lambda: upstream.has_begun("/reviews/9"))
        samples = agent.wait_spans(settle(chain.spans_sent, quiet=3.0))
        got = samples.by(
            ("destination", *CODE), "mesh_requests_total", reporter="source", source="productpage"
        )
        want = Counter(ENDINGS.values())
        left = [key for key in got if key not in want]
        assert got - Counter(left) == want
        assert len(left) == 1 and left[0][:2] == ("reviews", "cancelled") and left[0][2] in ("", "0")
        assert samples.matching("mesh_request_attempts_total") == []
        flags = samples.by(("flag",), "mesh_response_flags_total", reporter="source")
        assert flags == {("UT",): 1, ("URX",): 2, ("UF",): 1, ("UH",): 1, ("NR",): 1, ("DC",): 1}


def test_grpc_calls_keep_their_status(directory):
    codes = [0] * 30 + [5] * 10 + [14] * 7 + [3] * 2
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory) as agent, Chain(
        directory, agent.socket, upstream.port, True, grpc_port=rpc.port, tracer=tracing_zipkin
    ) as chain:
        assert ratings.call(chain.port, codes) == codes
        samples = agent.wait_spans(settle(chain.spans_sent, quiet=3.0))
        got = samples.by(
            ("protocol", "grpc_status", "method", "route"),
            "mesh_requests_total",
            reporter="source",
            destination="ratings",
        )
        want = Counter(("grpc", str(code), "POST", "/shop.Ratings/Get") for code in codes)
        assert got == want


def recent(count):
    """Spans of the fixture, moved to now."""
    spans = [span for body in json.loads(FIXTURE.read_text()) for span in body][:count]
    shift = int(time.time() * 1e6) - spans[0]["timestamp"]
    for span in spans:
        span["timestamp"] += shift
    return spans


def test_bad_documents_are_refused_whole_and_bad_spans_alone(directory):
    good = recent(3)
    bad = [{**good[0], "traceId": "xyz"}, {**good[0], "id": ""}, {**good[0], "tags": {"a": {}}}, 7]
    with Weftd(directory, limits={"message_bytes_max": 65536}) as agent:
        assert post(agent.socket, json.dumps(bad[:2] + good + bad[2:]).encode())[0] == 202
        documents = [
            b"",
            b"{}",
            b"[{]",
            json.dumps(good).encode()[:-5],
            b"[" * 200,
            json.dumps(good).encode() + b"x",
        ]
        for document in documents:
            status, headers, body = post(agent.socket, document)
            assert status == 400 and headers["content-type"] == "application/json"
            answer = json.loads(body)
            assert answer["code"] == 3 and "JSON" in answer["message"], answer
        assert "deeper" in json.loads(post(agent.socket, b"[" * 200)[2])["message"]
        assert post(agent.socket, b"[" + b" " * 65536 + b"]")[0] == 413
        assert post(agent.socket, b"x", [("content-type", "application/x-thrift")])[0] == 415
        assert post(agent.socket, b"x", [("content-encoding", "br")])[0] == 400
        assert post(agent.socket, b"x", [("content-encoding", "gzip")])[0] == 400
        assert post(agent.socket, b"[]")[0] == 202
        samples = agent.wait_spans(len(good) + len(bad))
        dropped = samples.by(("reason",), "weft_records_dropped_total", signal="spans")
        assert dropped == {("invalid_trace_id",): 1, ("invalid_span_id",): 1, ("malformed",): 2}
        kept = samples.total("weft_records_aggregated_total", signal="spans")
        kept += samples.total("weft_records_attempts_total", signal="spans")
        assert kept == len(good)
        refused = samples.by(("reason",), "weft_messages_refused_total")
        assert refused == {
            ("malformed",): len(documents) + 1,
            ("oversized",): 1,
            ("unknown_method",): 1,
            ("compression",): 2,
        }
        assert samples.total("weft_messages_accepted_total", protocol="zipkin") == 2


# ---- the pages of docs/meshes/ ----


def run_page(directory, tracing, agent_config, clusters=()):
    """(samples, requests) once an Envoy with the pasted text has told of them."""
    count, port = 20, free_port()
    with Upstream() as upstream, Weftd(directory, **agent_config) as agent:
        front = listener("public", port, "OUTBOUND", [route("/", CLUSTER, "all")], tracing, False)
        clusters = [cluster(CLUSTER, upstream.port), *clusters]
        with Envoy("page", directory, [front], clusters):
            load.send(port, [("/reviews/1", "200")] * count, connections=2)
            samples = agent.wait_spans(2 * count)
        return samples, count


def test_the_page_of_zipkin(directory):
    pipe, tracing, _ = (
        json.loads(localized(block, directory)) for block in blocks("envoy-zipkin.md", "json")
    )
    endpoint = pipe["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["pipe"]
    assert endpoint["path"] == f"{directory}/weft.sock"
    endpoint["path"] = f"{directory}/weftd.sock"
    samples, count = run_page(directory, tracing, {}, [pipe])
    assert (
        samples.total("mesh_requests_total", reporter="source", source="page", destination="reviews") == count
    )


def test_the_page_of_xray(directory):
    tracing = json.loads(blocks("envoy-zipkin.md", "json")[2])
    (text,) = blocks("envoy-zipkin.md", "yaml")
    config = yaml.safe_load(text)
    port = free_port()
    assert config["receivers"]["xray"]["udp"] == "127.0.0.1:2000"
    assert tracing["provider"]["typed_config"]["daemon_endpoint"]["port_value"] == 2000
    config["receivers"]["xray"]["udp"] = f"127.0.0.1:{port}"
    tracing["provider"]["typed_config"]["daemon_endpoint"]["port_value"] = port
    samples, count = run_page(directory, tracing, config)
    assert (
        samples.total("mesh_requests_total", reporter="source", source="productpage", destination="reviews")
        == count
    )
    assert samples.total("mesh_request_attempts_total", reporter="source") == count


def test_the_page_of_linkerd_1(directory):
    """Linkerd does not run here: its plug-in's form of a span is posted to the port that the page tells."""
    port = free_port()
    config = yaml.safe_load(blocks("linkerd1.md", "yaml")[0])
    telemeters = yaml.safe_load(blocks("linkerd1.md", "yaml")[1])["telemetry"]
    assert [each["host"] for each in telemeters if each["kind"] == "io.zipkin.http"] == [
        config["receivers"]["otlp"]["http"]
    ]
    config["receivers"]["otlp"]["http"] = f"127.0.0.1:{port}"
    config["receivers"]["scrape"][0]["url"] = f"http://127.0.0.1:{free_port()}/admin/metrics/prometheus"
    now = int(time.time() * 1e6)
    local = {"serviceName": "web", "ipv4": "192.0.2.1"}
    tags = {"http.method": "GET", "http.status_code": "503", "http.uri": "/a"}
    spans = [
        {"traceId": "00000000000000ab", "id": "01", "kind": "SERVER", "timestamp": now, "duration": 900},
        {
            "traceId": "00000000000000ab",
            "id": "02",
            "parentId": "01",
            "kind": "CLIENT",
            "timestamp": now,
            "duration": 500,
        },
    ]
    spans[1]["remoteEndpoint"] = {"serviceName": "books", "ipv4": "192.0.2.2", "port": 80}
    body = gzip.compress(
        json.dumps([{**span, "localEndpoint": local, "tags": tags} for span in spans]).encode()
    )
    with Weftd(directory, **config) as agent:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        fields = {"host": "weft", "content-type": "application/json", "content-encoding": "gzip"}
        connection.request("POST", "/api/v2/spans", body, fields)
        assert connection.getresponse().status == 202
        connection.close()
        labels = ("reporter", "source", "destination", "response_code", "outcome")
        assert agent.wait_spans(2).by(labels, "mesh_requests_total") == {
            ("destination", "unknown", "web", "503", "server_error"): 1,
            ("source", "web", "books", "503", "server_error"): 1,
        }
