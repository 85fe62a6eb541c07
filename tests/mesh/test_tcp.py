"""Records over TCP: receivers.otlp. The OpenTelemetry SDK over gRPC and HTTP, plain and through TLS; who the
senders are; who may not connect; which configurations are refused."""

import socket
import ssl
import subprocess

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

import metrics_sinks
from agent import WEFTD, Weftd
from certificates import SPIFFE_ID, Files
from harness import free_port, wait_for
from logging_proxies import blocks

pytestmark = pytest.mark.agent_needed

ORDERS = 7


@pytest.fixture(autouse=True)
def own_authorities(monkeypatch):
    """What these say goes before an exporter's own certificate_file."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ports():
    return {"grpc": free_port(), "http": free_port()}


def agent_of(directory, ports, host="127.0.0.1", **keys):
    otlp = {protocol: f"{host}:{port}" for protocol, port in ports.items()}
    return Weftd(directory, receivers={"otlp": {**otlp, **keys}})


# ---- what an application sends ----


def exporters(protocol, port, files=None, client=None, host="127.0.0.1"):
    """(span exporter, metric exporter) of the SDK."""
    if protocol == "grpc":
        import grpc

        keys = {"endpoint": f"{host}:{port}", "insecure": files is None}
        if files is not None:
            chain = [each.read_bytes() for each in client] if client else (None, None)
            keys["credentials"] = grpc.ssl_channel_credentials(files.server_ca[0].read_bytes(), chain[1], chain[0])
        return GrpcSpans(**keys), GrpcMetrics(**keys)
    scheme = "http" if files is None else "https"
    keys = {} if files is None else {"certificate_file": str(files.server_ca[0])}
    if client:
        keys.update(client_certificate_file=str(client[0]), client_key_file=str(client[1]))
    base = f"{scheme}://{host}:{port}"
    return HttpSpans(endpoint=f"{base}/v1/traces", **keys), HttpMetrics(endpoint=f"{base}/v1/metrics", **keys)


def send(protocol, port, files=None, client=None, host="127.0.0.1"):
    """One counter and some client spans; whether the counter was taken."""
    spans, metrics = exporters(protocol, port, files, client, host)
    resource = Resource.create({"service.name": "shop"})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
    meters = MeterProvider(metric_readers=[reader], resource=resource)
    meters.get_meter("test").create_counter("shop.orders").add(ORDERS)
    for _ in range(3):
        attributes = {"http.request.method": "GET", "server.address": "reviews", "http.response.status_code": 200}
        with tracing.get_tracer("test").start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes):
            pass
    flushed = meters.force_flush(60_000)
    meters.shutdown()
    tracing.shutdown()
    return flushed


def check(agent, protocol, **sender):
    """All that `send` sent is there, once, under that sender."""
    agent.wait_spans(3)
    samples = metrics_sinks.check_ledger(agent)
    assert [value for _, value in samples.matching("shop_orders_total", **sender)] == [ORDERS]
    assert samples.total("mesh_requests_total", reporter="source", source="shop", destination="reviews") == 3
    assert samples.total("weft_messages_accepted_total", protocol=f"otlp_{protocol}") >= 4


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_sdk_over_loopback(directory, ports, protocol):
    with agent_of(directory, ports) as agent:
        assert send(protocol, ports[protocol])
        check(agent, protocol, sender_kind="address", sender_workload="127.0.0.1")


def test_both_ports_take_both_protocols(directory, ports):
    with agent_of(directory, ports) as agent:
        assert send("grpc", ports["http"])
        check(agent, "grpc", sender_kind="address")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_sdk_through_tls_is_told_by_its_address(directory, ports, protocol):
    files = Files(directory)
    with agent_of(directory, ports, **files.keys(mutual=False)) as agent:
        assert send(protocol, ports[protocol], files)
        check(agent, protocol, sender_kind="address", sender_workload="127.0.0.1")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_sdk_with_a_certificate_is_told_by_it(directory, ports, protocol):
    files = Files(directory)
    with agent_of(directory, ports, **files.keys(mutual=True)) as agent:
        assert send(protocol, ports[protocol], files, files.client)
        workload = SPIFFE_ID.removeprefix("spiffe://").replace("/", "_")
        check(agent, protocol, sender_kind="san", sender_workload=workload, sender_namespace="shop")


def tls_context(files, client=None):
    context = ssl.create_default_context(cafile=str(files.server_ca[0]))
    if client:
        context.load_cert_chain(*map(str, client))
    return context


def is_refused(port, context, bytes_sent=b"GET / HTTP/1.1\r\n\r\n"):
    """Whether a TLS client gets nothing out of the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                secure.sendall(bytes_sent)
                return secure.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_who_has_no_certificate_of_the_mesh_is_refused(directory, ports):
    files = Files(directory)
    with agent_of(directory, ports, **files.keys(mutual=True)) as agent:
        assert is_refused(ports["http"], tls_context(files))
        assert is_refused(ports["http"], tls_context(files, files.stranger))
        assert not is_refused(ports["http"], tls_context(files, files.client))
        with socket.create_connection(("127.0.0.1", ports["grpc"]), timeout=60) as plain:
            plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            plain.settimeout(60)
            try:
                assert plain.recv(100)[:1] in (b"", b"\x15")  # closed, perhaps after an alert
            except ConnectionError:
                pass
        wait_for(
            lambda: agent.samples().total("weft_connections_closed_total", reason="tls_handshake") == 3,
            "three failed handshakes",
        )
        # The scrape's own may be open; a shard says at its ticks how many are.
        wait_for(lambda: agent.samples().total("weft_connections_open") <= 1, "the others to be let go")


def test_messages_larger_than_any_buffer_pass_through_tls(directory, ports):
    import grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc

    files = Files(directory)
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="made", description="x" * 8_000_000)
    metric.gauge.data_points.add(as_double=5)
    with agent_of(directory, ports, **files.keys(mutual=False)) as agent:
        credentials = grpc.ssl_channel_credentials(files.server_ca[0].read_bytes())
        options = [("grpc.max_send_message_length", 64 << 20)]
        with grpc.secure_channel(f"127.0.0.1:{ports['grpc']}", credentials, options) as channel:
            stub = metrics_service_pb2_grpc.MetricsServiceStub(channel)
            for _ in range(3):
                stub.Export(request, timeout=60)
        samples = metrics_sinks.check_ledger(agent)
        assert samples.total("made") == 5
        assert samples.total("weft_messages_accepted_total", protocol="otlp_grpc") == 3


def other_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_who_is_not_on_the_list_is_refused(directory, ports):
    own = other_address()
    if own is None:
        pytest.skip("this machine has no address besides loopback")
    with agent_of(directory, ports, host="0.0.0.0", allow=["203.0.113.0/24"]) as agent:
        with socket.create_connection((own, ports["http"]), timeout=60) as client:
            client.settimeout(60)
            try:
                assert client.recv(10) == b""
            except ConnectionError:
                pass
        wait_for(
            lambda: agent.samples().total("weft_connections_closed_total", reason="not_allowed") == 1,
            "a refused connection",
        )
        assert send("grpc", ports["grpc"])  # loopback may
        check(agent, "grpc", sender_kind="address", sender_workload="127.0.0.1")


def test_who_is_on_the_list_is_told_by_its_address(directory, ports):
    own = other_address()
    if own is None:
        pytest.skip("this machine has no address besides loopback")
    with agent_of(directory, ports, host="0.0.0.0", allow=[f"{own}/32"]) as agent:
        assert send("grpc", ports["grpc"], host=own)
        check(agent, "grpc", sender_kind="address", sender_workload=own)


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"grpc": "0.0.0.0:4317"}, "receivers.otlp.grpc"),
        ({"http": "[::]:4318"}, "receivers.otlp.http"),
        ({"grpc": "localhost:4317"}, "receivers.otlp.grpc"),
        ({"grpc": "127.0.0.1"}, "receivers.otlp.grpc"),
        ({"grpc": "127.0.0.1:1", "http": "127.0.0.1:1"}, "receivers.otlp.http"),
        ({"grpc": "0.0.0.0:1", "cert_file": "/x"}, "receivers.otlp.cert_file"),
        ({"grpc": "127.0.0.1:1", "client_ca_file": "/x"}, "receivers.otlp.client_ca_file"),
        ({"grpc": "0.0.0.0:1", "allow": ["10.0.0.1/8"]}, "receivers.otlp.allow"),
        ({"grpc": "0.0.0.0:1", "allow": ["shop"]}, "receivers.otlp.allow"),
    ],
)
def test_configurations_that_are_refused(directory, keys, said):
    path = directory / "weft.yaml"
    path.write_text(yaml.safe_dump({"receivers": {"otlp": keys}}))
    done = subprocess.run([WEFTD, "--config", path, "--check-config"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_a_certificate_that_is_none_ends_the_start(directory, ports):
    (directory / "bad.pem").write_text("nothing")
    keys = {"grpc": f"127.0.0.1:{ports['grpc']}", "cert_file": f"{directory}/bad.pem", "key_file": f"{directory}/bad.pem"}
    path = directory / "weft.yaml"
    path.write_text(yaml.safe_dump({"receivers": {"otlp": keys}, "http": {"address": f"127.0.0.1:{ports['http']}"}}))
    command = [WEFTD, "--config", path, "--socket", directory / "weft.sock"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "cert_file" in done.stdout + done.stderr


def test_the_documented_configurations_load(directory):
    """docs/meshes/otlp-tcp.md; certificate files are read at the start, not by the check."""
    documented = blocks("otlp-tcp.md", "yaml")
    assert len(documented) == 3
    for text in documented:
        path = directory / "weft.yaml"
        path.write_text(text)
        command = [WEFTD, "--config", path, "--check-config"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
