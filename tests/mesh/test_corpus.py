"""The recorded fixtures are whole and hold what tests/corpus/README.md says. Needs no agent and no proxy."""

import json
from collections import Counter

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import als
import corpus
import otel_logs
from harness import REPOSITORY

FOLDER = REPOSITORY / "tests/corpus"
SERVER, CLIENT = 2, 3
BYTES_MAX = 1_500_000
ENVOY_SPANS_MIN = 2000


def read(name):
    return list(corpus.spans(corpus.read(FOLDER / name)))


def is_request(attributes):
    return "guid:x-request-id" in attributes and "downstream_cluster" in attributes


def is_attempt(attributes):
    return "upstream_address" in attributes and not is_request(attributes)


def test_size_and_count():
    files = [path for path in FOLDER.iterdir() if path.suffix in (".otlp", ".h2")]
    assert sum(path.stat().st_size for path in files) < BYTES_MAX
    assert len(read("envoy_spawn_on.otlp")) + len(read("envoy_spawn_off.otlp")) >= ENVOY_SPANS_MIN


@pytest.mark.parametrize("name", ["envoy_spawn_on.otlp", "envoy_spawn_off.otlp"])
def test_envoy_messages_are_small_and_told_apart(name):
    for message in corpus.read(FOLDER / name):
        assert 1 <= len(list(corpus.spans([message]))) <= 5
    for resource, scope, span in read(name):
        assert resource["telemetry.sdk.name"] == "envoy" and scope.name == "envoy"
        attributes = corpus.attributes(span)
        assert is_request(attributes) != is_attempt(attributes)
        assert all(isinstance(value, str) for value in attributes.values())


def test_spawn_on_has_requests_as_servers_and_attempts_as_clients():
    kinds = Counter(
        (is_request(corpus.attributes(span)), span.kind) for _, _, span in read("envoy_spawn_on.otlp")
    )
    assert set(kinds) == {(True, SERVER), (False, CLIENT)}
    retried = [span for _, _, span in read("envoy_spawn_on.otlp") if "retry.count" in corpus.attributes(span)]
    assert retried


def test_spawn_off_has_one_span_a_request():
    sides = Counter()
    for _, _, span in read("envoy_spawn_off.otlp"):
        attributes = corpus.attributes(span)
        assert is_request(attributes)
        sides[attributes.get("upstream_cluster", "").split("|")[0], span.kind] += 1
    assert set(sides) == {("outbound", CLIENT), ("inbound", SERVER), ("", CLIENT)}


@pytest.mark.parametrize("name", ["envoy_spawn_on.otlp", "envoy_spawn_off.otlp"])
def test_envoy_runs_hold_every_ending(name):
    attributes = [corpus.attributes(span) for _, _, span in read(name)]
    codes = {each["http.status_code"] for each in attributes}
    flags = {flag for each in attributes for flag in each["response_flags"].split(",")}
    assert {"0", "200", "404", "500", "503", "504", "403"} <= codes
    assert {"-", "URX", "UF", "UH", "UT", "UC", "NR", "DC", "DR"} <= flags
    assert {"0", "5", "13", "14"} <= {each.get("grpc.status_code") for each in attributes}
    assert any("token=secret" in each.get("http.url", "") for each in attributes)


@pytest.mark.parametrize(
    "name, key",
    [
        ("sdk_http_old.otlp", "http.status_code"),
        ("sdk_http_new.otlp", "http.response.status_code"),
        ("sdk_http_both.otlp", "http.response.status_code"),
        ("sdk_grpc_old.otlp", "rpc.grpc.status_code"),
    ],
)
def test_sdk_runs_hold_both_sides(name, key):
    sides = Counter(
        (resource["service.name"], span.kind)
        for resource, _, span in read(name)
        if key in corpus.attributes(span)
    )
    assert set(sides) == {("productpage", CLIENT), ("reviews", SERVER)}
    assert sides["productpage", CLIENT] == sides["reviews", SERVER]


def test_sampled_spans_say_so():
    states = {span.trace_state for _, _, span in read("sdk_weighted_new.otlp")}
    assert states == {"ot=th:c"}


@pytest.mark.parametrize("name", ["envoy_grpc.metrics", "envoy_http.metrics", "envoy_delta.metrics"])
def test_metrics_hold_what_the_repair_is_for(name):
    kinds, starts, names = Counter(), set(), Counter()
    for message in corpus.read(FOLDER / name):
        request = ExportMetricsServiceRequest.FromString(message)
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            data = getattr(metric, metric.WhichOneof("data"))
            kinds[metric.WhichOneof("data")] += len(data.data_points)
            names[metric.name] += 1
            if metric.WhichOneof("data") != "gauge" and data.aggregation_temporality == 2:
                starts |= {point.start_time_unix_nano for point in data.data_points}
    assert min(kinds["gauge"], kinds["sum"], kinds["histogram"]) > 0
    assert max(names.values()) > len(corpus.read(FOLDER / name))  # names repeat within a message
    assert all(start < 10**17 for start in starts) and bool(starts) == (name != "envoy_delta.metrics")


@pytest.mark.parametrize("name", ["envoy.metrics_service", "envoy_delta.metrics_service"])
def test_a_metrics_stream_begins_with_its_node(name):
    first, *others = corpus.read(FOLDER / name)
    assert first[0] == others[0][0] - 8 == 0x0A and len(first) > len(others[0]) + 50_000


def test_access_log_streams_hold_every_ending():
    streams = als.streams_of(corpus.read(FOLDER / "als_envoy.als"))
    assert len(streams) == 5 and all(len(stream[0]) > 60_000 for stream in streams)
    types, flags = Counter(), set()
    for stream in streams:
        for _, entry in als.entries(stream):
            kind, told = als.entry_type(entry)
            types[kind] += 1
            flags |= set(told)
    assert set(types) == {3, 6, 9}, "connections, requests and attempts"
    # UT UF UO NR DI FI RL DC URX
    assert flags >= {3, 6, 8, 9, 10, 11, 12, 15, 16}


@pytest.mark.parametrize("name", ["otlp_logs_envoy.logs", "otlp_logs_envoy_body.logs"])
def test_log_records_hold_every_kind(name):
    kinds = Counter()
    for _, record in otel_logs.records(corpus.read(FOLDER / name)):
        assert bool(record.attributes) == ("body" not in name)
        fields = otel_logs.attributes(record)
        kinds[fields["access_log_type"], fields["weft.reporter"]] += 1
        assert (fields["access_log_type"] == "DownstreamEnd") <= (len(record.trace_id) == 16)
    assert {kind for kind, _ in kinds} >= {"DownstreamEnd", "UpstreamEnd"}
    assert "body" in name or ("TcpConnectionEnd", "source") in kinds


@pytest.mark.parametrize("spawn", ["on", "off"])
def test_zipkin_bodies_hold_every_ending(spawn):
    bodies = json.loads((FOLDER / f"zipkin_envoy_spawn_{spawn}.json").read_text())
    assert all(1 <= len(body) <= 5 for body in bodies)
    spans = [span for body in bodies for span in body]
    assert {span["kind"] for span in spans} == {"CLIENT", "SERVER"}
    assert all(len(span["traceId"]) == 32 and span["tags"]["component"] == "proxy" for span in spans)
    flags = {flag for span in spans for flag in span["tags"]["response_flags"].split(",")}
    assert flags >= {"UT", "UF", "UH", "NR", "URX", "DC"}
    attempts = [span for span in spans if is_attempt(span["tags"])]
    assert bool(attempts) == (spawn == "on") and all(span["kind"] == "CLIENT" for span in attempts)
    ids = Counter((span["id"], span["kind"]) for span in spans)
    assert (max(ids.values()) > 1) == (spawn == "off"), "attempts share an id where they have no span"
    assert any((id, "SERVER") in ids and (id, "CLIENT") in ids for id, _ in ids), "both ends of a hop do"


@pytest.mark.parametrize("spawn", ["on", "off"])
def test_xray_datagrams_are_a_header_and_a_segment(spawn):
    datagrams = corpus.read(FOLDER / f"xray_envoy_spawn_{spawn}.datagrams")
    pairs = [[json.loads(line) for line in datagram.split(b"\n")] for datagram in datagrams]
    assert all(header == {"format": "json", "version": 1} for header, _ in pairs)
    segments = [segment for _, segment in pairs]
    assert {segment["annotations"]["direction"] for segment in segments} == {"ingress", "egress"}
    attempts = [segment for segment in segments if segment.get("type") == "subsegment"]
    assert bool(attempts) == (spawn == "on")
    assert all(is_attempt(segment["annotations"]) for segment in attempts)
    flags = {flag for segment in segments for flag in segment["annotations"]["response_flags"].split(",")}
    assert flags >= {"UT", "UF", "UH", "NR", "DC"}


@pytest.mark.parametrize("signal", ["Spans", "Metrics", "Logs"])
def test_javascript_sends_json(signal):
    name = {"Spans": "traces"}.get(signal, signal.lower())
    request = json.loads((FOLDER / f"javascript_{name}.json").read_text())
    (resource,) = request[f"resource{signal}"]
    names = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    assert names["service.name"] == {"stringValue": "frontend"}
    assert [scope["scope"]["name"] for scope in resource[f"scope{signal}"]] == ["sender"]


@pytest.mark.parametrize("name", ["envoy_spawn_on.h2", "envoy_spawn_off.h2"])
def test_h2_stream_starts_with_the_preface(name):
    data = (FOLDER / name).read_bytes()
    assert data.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") and len(data) > 10_000


@pytest.mark.parametrize("data", [b"\x01", b"\x05\x00\x00\x00abc", b"\xff\xff\xff\xff"])
def test_a_cut_file_is_refused(tmp_path, data):
    (tmp_path / "cut.otlp").write_bytes(data)
    with pytest.raises(ValueError):
        corpus.read(tmp_path / "cut.otlp")
