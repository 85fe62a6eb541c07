"""OTLP to AWS: every signature verified by botocore, credentials from each source, their refreshing, refusals
and the endpoints' limits. AWS itself is not reached: aws.py stands for it."""

import subprocess
import time

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import otlp
from agent import WEFTD, Weftd
from aws import REGION, Endpoints, Keys, Metadata
from harness import ANSWER_SECONDS_MAX, REPOSITORY, wait_for

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
VARIABLES = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_SHARED_CREDENTIALS_FILE "
    "AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_CREDENTIALS_RELATIVE_URI "
    "AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE "
    "AWS_EC2_METADATA_SERVICE_ENDPOINT"
).split()


@pytest.fixture
def environment(monkeypatch, directory):
    """Sets variables of the agent's environment; those of AWS are unset, no metadata service is there."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def keys():
    return Keys()


def destination(endpoints, signals=("traces",), **keys):
    return {
        "name": "aws",
        "protocol": "http/protobuf",
        "endpoint": endpoints.url,
        "signals": list(signals),
        "batch": {"delay_ms": 50},
        "aws": {"region": REGION, "log_group": "/weft/mesh", "log_stream": "node-1"},
        **keys,
    }


def ledger(agent, signal="spans"):
    """handed over, sent, queued, {reason: dropped} of the destination at a moment at which they balance: what is between
    two of them while a scrape reads one after the other is in none."""
    return wait_for(lambda: balanced_terms(agent, signal), "handed over = sent + queued + dropped")


def balanced_terms(agent, signal):
    samples = agent.samples()
    labels = {"signal": signal, "destination": "aws"}
    handed = samples.total("weft_export_handed_over_total", **labels)
    sent = samples.total("weft_export_sent_total", **labels)
    queued = samples.total("weft_export_queued", **labels)
    dropped = {k[0]: v for k, v in samples.by(["reason"], "weft_export_dropped_total", **labels).items()}
    return (handed, sent, queued, dropped) if handed == sent + queued + sum(dropped.values()) else None


def send_and_expect(agent, endpoints, count, total=None):
    otlp.send_durations(agent.socket, [MS] * count)
    total = total or count
    wait_for(lambda: ledger(agent)[1] == total, f"{total} spans at AWS")
    assert len(endpoints.items("/v1/traces")) == total


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("token", [False, True])
def test_keys_of_the_environment(directory, environment, keys, token, compression):
    key, secret, session, _ = keys.issue(token=token)
    environment.setenv("AWS_ACCESS_KEY_ID", key)
    environment.setenv("AWS_SECRET_ACCESS_KEY", secret)
    if token:
        environment.setenv("AWS_SESSION_TOKEN", session)
    headers = [{"name": "x-tenant", "value": " a   b "}, {"name": "x-tenant-b", "value": "b"}]
    with Endpoints(keys) as endpoints:
        back = destination(endpoints, compression=compression, headers=headers)
        with Weftd(directory, [back]) as agent:
            send_and_expect(agent, endpoints, 100)
        assert endpoints.refused == []
        _, sent, _ = endpoints.taken[0]
        assert sent.get("content-encoding") == (None if compression == "none" else "gzip")
        assert sent["content-type"] == "application/x-protobuf"
        assert secret not in agent.log() and str(session) not in agent.log()


def test_metrics_go_to_monitoring(directory, environment, keys):
    key, secret, session, _ = keys.issue()
    environment.setenv("AWS_ACCESS_KEY_ID", key)
    environment.setenv("AWS_SECRET_ACCESS_KEY", secret)
    environment.setenv("AWS_SESSION_TOKEN", session)
    with Endpoints(keys) as endpoints:
        back = destination(endpoints, ["traces", "metrics"], metrics={"interval_s": 1})
        with Weftd(directory, [back]) as agent:
            send_and_expect(agent, endpoints, 10)
            wait_for(lambda: ledger(agent, "metrics")[1] > 0, "points at AWS")
        assert endpoints.refused == [] and endpoints.items("/v1/metrics")


def test_a_profile_of_the_credentials_file(directory, environment, keys):
    key, secret, session, _ = keys.issue()
    path = directory / "credentials"
    path.write_text(
        f"[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n\n[mesh]\n"
        f"aws_access_key_id={key}\naws_secret_access_key = {secret}\naws_session_token = {session}\n"
    )
    environment.setenv("AWS_PROFILE", "mesh")
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    with Endpoints(keys) as endpoints, Weftd(directory, [destination(endpoints)]) as agent:
        send_and_expect(agent, endpoints, 100)
        # Another tool writes new keys; the old ones end: the refusal makes the agent read the file again.
        keys.revoke_all()
        key, secret, session, _ = keys.issue()
        path.write_text(
            f"[mesh]\naws_access_key_id={key}\naws_secret_access_key={secret}\naws_session_token={session}\n"
        )
        send_and_expect(agent, endpoints, 50, 150)
        assert endpoints.refused == [(403, "UnrecognizedClientException")]


def test_a_containers_endpoint_and_its_token_file(directory, environment, keys):
    token_file = directory / "token"
    token_file.write_text("first-token\n")
    with Endpoints(keys) as endpoints, Metadata(keys, container_token="first-token") as metadata:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{metadata.url}/creds")
        environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token_file))
        with Weftd(directory, [destination(endpoints)]) as agent:
            send_and_expect(agent, endpoints, 100)
            # The kubelet writes a new token: it is read for each request.
            keys.revoke_all()
            token_file.write_text("second-token\n")
            metadata.container_token = "second-token"
            send_and_expect(agent, endpoints, 100, 200)
        assert metadata.asked == ["/creds", "/creds"]


def test_an_instances_keys_are_fetched_anew_before_they_end(directory, environment, keys):
    environment.delenv("AWS_EC2_METADATA_DISABLED")
    with Endpoints(keys) as endpoints, Metadata(keys, seconds=24) as metadata:
        environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        with Weftd(directory, [destination(endpoints)]) as agent:
            end, count = time.monotonic() + 30, 0
            while time.monotonic() < end:
                otlp.send_durations(agent.socket, [MS] * 10)
                count += 10
                time.sleep(0.5)
            wait_for(lambda: ledger(agent)[1] == count, f"{count} spans at AWS")
            assert ledger(agent) == (count, count, 0, {})
        # Never refused, although the first keys ended on the way.
        assert endpoints.refused == [] and keys.issued >= 2
        assert metadata.asked[0] == "/latest/api/token"


def test_a_refresh_that_fails_leaves_the_old_keys_in_use(directory, environment, keys):
    environment.delenv("AWS_EC2_METADATA_DISABLED")
    with Endpoints(keys) as endpoints, Metadata(keys, seconds=40) as metadata:
        environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        with Weftd(directory, [destination(endpoints)]) as agent:
            send_and_expect(agent, endpoints, 10)
            metadata.fail = True
            asked = len(metadata.asked)
            time.sleep(21)  # past the half of their life, before the last ten seconds of it
            otlp.send_durations(agent.socket, [MS] * 10)
            wait_for(lambda: ledger(agent)[1] == 20, "20 spans at AWS")
            wait_for(lambda: len(metadata.asked) > asked, "the refresh")
        assert endpoints.refused == []


def test_without_credentials_spans_wait(directory, environment, keys):
    with Endpoints(keys) as endpoints, Metadata(keys, container_token=None) as metadata:
        metadata.fail = True
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{metadata.url}/creds")
        with Weftd(directory, [destination(endpoints)]) as agent:
            otlp.send_durations(agent.socket, [MS] * 100)
            wait_for(lambda: "HTTP status 500" in agent.log(), "the reason in the log")
            wait_for(lambda: ledger(agent) == (100, 0, 100, {}), "100 spans that wait")
            metadata.fail = False
            wait_for(lambda: ledger(agent)[1] == 100, "100 spans at AWS")


def test_withdrawn_keys_cost_nothing(directory, environment, keys):
    environment.delenv("AWS_EC2_METADATA_DISABLED")
    with Endpoints(keys) as endpoints, Metadata(keys) as metadata:
        environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        with Weftd(directory, [destination(endpoints)]) as agent:
            send_and_expect(agent, endpoints, 100)
            keys.revoke_all()
            send_and_expect(agent, endpoints, 100, 200)
            assert ledger(agent) == (200, 200, 0, {})
        assert len(endpoints.refused) == 1


def test_refused_for_good_is_dropped_after_a_second_try(directory, environment, keys):
    environment.setenv("AWS_ACCESS_KEY_ID", "AKIDNOBODY")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with Endpoints(keys) as endpoints, Weftd(directory, [destination(endpoints)]) as agent:
        otlp.send_durations(agent.socket, [MS] * 100)
        wait_for(lambda: ledger(agent)[3] == {"rejected": 100}, "the drop")
        assert ledger(agent) == (100, 0, 0, {"rejected": 100})
        assert [status for status, _ in endpoints.refused] == [403, 403]
        assert "UnrecognizedClientException" in agent.log()


def test_requests_keep_to_the_limits(directory, environment, keys):
    """One message of 24,000 spans and 12 MB, with one span of 300 KB: requests of at most 10,000 spans and 5
    MB, without that span."""
    key, secret, session, _ = keys.issue()
    environment.setenv("AWS_ACCESS_KEY_ID", key)
    environment.setenv("AWS_SECRET_ACCESS_KEY", secret)
    environment.setenv("AWS_SESSION_TOKEN", session)
    with Endpoints(keys) as endpoints:
        back = destination(endpoints, batch={"delay_ms": 50, "count_max": 1000000, "bytes_max": 60000000})
        with Weftd(directory, [back]) as agent:
            request = otlp.ExportTraceServiceRequest.FromString(otlp.message([MS] * 24000)[0])
            spans = request.resource_spans[0].scope_spans[0].spans
            for span in spans:
                span.attributes.add(key="padding").value.string_value = "x" * 400
            spans[7].attributes.add(key="huge").value.string_value = "y" * 300_000
            otlp.send(agent.socket, [request.SerializeToString()])
            wait_for(lambda: ledger(agent)[1] == 23999, "the spans")
            assert ledger(agent) == (24000, 23999, 0, {"oversized": 1})
        assert endpoints.refused == []
        assert len({span.span_id for span in endpoints.items("/v1/traces")}) == 23999
        resources = {r.resource.SerializeToString() for _, _, t in endpoints.taken for r in t.resource_spans}
        assert resources == {request.resource_spans[0].resource.SerializeToString()}


def test_logs_go_to_their_group_and_stream(directory, environment, keys):
    """12,000 log records of an application: requests of at most 10,000, all with group and stream."""
    key, secret, session, _ = keys.issue()
    environment.setenv("AWS_ACCESS_KEY_ID", key)
    environment.setenv("AWS_SECRET_ACCESS_KEY", secret)
    environment.setenv("AWS_SESSION_TOKEN", session)
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for i in range(12000):
        records.add(time_unix_nano=time.time_ns(), trace_id=i.to_bytes(16, "big")).body.string_value = (
            f"line {i}"
        )
    with Endpoints(keys) as endpoints, Weftd(directory, [destination(endpoints, ["logs"])]) as agent:
        with grpc.insecure_channel(f"unix:{agent.socket}") as channel:
            method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
            channel.unary_unary(method)(request.SerializeToString(), timeout=ANSWER_SECONDS_MAX)
        wait_for(lambda: ledger(agent, "logs")[1] == 12000, "the records")
        assert ledger(agent, "logs") == (12000, 12000, 0, {})
        assert endpoints.refused == []
        assert sorted(r.trace_id for r in endpoints.items("/v1/logs")) == [r.trace_id for r in records]
        for _, headers, _ in endpoints.taken:
            assert (headers["x-aws-log-group"], headers["x-aws-log-stream"]) == ("/weft/mesh", "node-1")


def test_the_pages_configuration_is_one(directory):
    text = (REPOSITORY / "docs/aws.md").read_text().split("```yaml\n")[1].split("```")[0]
    path = directory / "weft.yaml"
    path.write_text(text)
    done = subprocess.run(
        [WEFTD, "--config", path, "--check-config"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
