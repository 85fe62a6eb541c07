"""OTLP metrics from real senders: Envoy's statistics sink and the OpenTelemetry Python SDK, over gRPC and HTTP.
What is expected of Envoy's is its own /stats; of the SDK's, what the application counted."""

import gzip
import http.client
import socket

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

import load
import metrics_sinks
from agent import Weftd
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

PLANS = ["200", "404", "503,200", "d20:200", "500", "201"]


def requests(count):
    return [(f"/reviews/{i}", PLANS[i % len(PLANS)]) for i in range(count)]


@pytest.mark.parametrize("over_http", [False, True], ids=["grpc", "http"])
@pytest.mark.parametrize("deltas", [False, True], ids=["cumulative", "delta"])
def test_envoys_statistics_are_shown_as_it_counts_them(directory, over_http, deltas):
    keys = metrics_sinks.OTLP_DELTAS if deltas else {}
    with Weftd(directory) as agent, Upstream() as upstream:
        sinks = [metrics_sinks.otlp_sink(http=over_http, **keys)]
        envoy, port = metrics_sinks.proxy(directory, agent.socket, upstream.port, sinks)
        with envoy:
            load.send(port, requests(60), connections=2)
            metrics_sinks.settled_rows(agent, envoy, timed=60)
            load.send(port, requests(30), connections=2)
            metrics_sinks.settled_rows(agent, envoy, timed=90)
        metrics_sinks.check_ledger(agent)
        dropped = agent.samples().total("weft_records_dropped_total", signal="metrics")
        assert dropped == 0


def test_an_agent_that_begins_anew_takes_the_whole_of_cumulative_counters(directory):
    with Upstream() as upstream:
        agent = Weftd(directory)
        sinks = [metrics_sinks.otlp_sink()]
        envoy, port = metrics_sinks.proxy(directory, agent.socket, upstream.port, sinks)
        with envoy:
            with agent:
                load.send(port, requests(24), connections=2)
                metrics_sinks.settled_rows(agent, envoy, timed=24)
            load.send(port, requests(12), connections=2)
            with Weftd(directory) as agent:
                metrics_sinks.settled_rows(agent, envoy, timed=36)
                metrics_sinks.check_ledger(agent)


# ---- the SDK ----


class UnixAdapter:
    """Made on demand: `requests` comes with the SDK's HTTP exporter."""

    def __new__(cls, path):
        from requests.adapters import HTTPAdapter
        from urllib3.connection import HTTPConnection
        from urllib3.connectionpool import HTTPConnectionPool

        class Connection(HTTPConnection):
            def connect(self):
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(str(path))

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class Adapter(HTTPAdapter):
            def get_connection_with_tls_context(self, *_, **__):
                return Pool("agent")

        return Adapter()


def exporter(agent, protocol, **keys):
    if protocol == "grpc":
        return GrpcExporter(endpoint=f"unix:{agent.socket}", insecure=True, **keys)
    import requests as http_requests
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    session = http_requests.Session()
    session.mount("http://agent", UnixAdapter(agent.socket))
    return OTLPMetricExporter(
        endpoint="http://agent/v1/metrics", session=session, compression=Compression.Gzip, **keys
    )


DELTA = {kind: AggregationTemporality.DELTA for kind in (Counter, Histogram, ObservableCounter, UpDownCounter)}


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_what_an_application_counts_with_the_sdk(directory, protocol, temporality):
    with Weftd(directory) as agent:
        keys = {"preferred_temporality": DELTA} if temporality == "delta" else {}
        reader = PeriodicExportingMetricReader(
            exporter(agent, protocol, **keys), export_interval_millis=3_600_000
        )
        provider = MeterProvider(
            metric_readers=[reader],
            resource=Resource.create({"service.name": "shop", "service.instance.id": "one"}),
            views=[
                View(
                    instrument_name="shop.exponential", aggregation=ExponentialBucketHistogramAggregation()
                )
            ],
        )
        meter = provider.get_meter("test", "1.2")
        orders = meter.create_counter("shop.orders", unit="{order}", description="Orders.")
        carts = meter.create_up_down_counter("shop.carts")
        sizes = meter.create_histogram("shop.size", unit="By")
        times = meter.create_histogram("shop.exponential", unit="s")
        meter.create_observable_gauge("shop.load", [lambda _: [_observation(0.25)]], unit="1")
        for turn in range(3):
            for i in range(5):
                orders.add(i, {"kind": "a", "big": i > 2})
                carts.add(1)
                sizes.record(10 * i)
                times.record(0.01 * (i + 1))
            carts.add(-3)
            assert provider.force_flush()
        provider.shutdown()
        samples = metrics_sinks.check_ledger(agent)
        own = {
            "service_name": "shop",
            "service_instance_id": "one",
            "otel_scope_name": "test",
            "otel_scope_version": "1.2",
        }
        assert samples.matching("shop_orders_total", kind="a", big="true", **own)[0][1] == 3 * (3 + 4)
        assert samples.total("shop_orders_total", kind="a", **own) == 30
        assert [value for _, value in samples.matching("shop_carts", **own)] == [6]
        assert samples.total("shop_size_bytes_count", **own) == 15
        assert samples.total("shop_size_bytes_sum", **own) == 300
        assert samples.total("shop_size_bytes_bucket", le="10", **own) == 6  # 0 and 10
        assert samples.total("shop_exponential_seconds_count", **own) == 15
        assert samples.total("shop_exponential_seconds_sum", **own) == pytest.approx(0.45)
        assert [value for _, value in samples.matching("shop_load_ratio", **own)] == [0.25]
        assert samples.total("weft_records_dropped_total", signal="metrics") == 0


def _observation(value):
    from opentelemetry.metrics import Observation

    return Observation(value)


# ---- answers ----


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("agent")
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def post(agent, body, **headers):
    connection = UnixConnection(agent.socket)
    connection.request("POST", "/v1/metrics", body, {"content-type": "application/x-protobuf", **headers})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def request_of(*points):
    """A request with a monotonic cumulative sum; points: (value, time)."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="made.count")
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    for value in points:
        metric.sum.data_points.add(as_double=value)
    return request.SerializeToString()


def test_a_bad_point_is_told_and_the_others_count(directory):
    with Weftd(directory) as agent:
        status, _, body = post(agent, request_of(5, -1, 7))
        assert status == 200
        partial = ExportMetricsServiceResponse.FromString(body).partial_success
        assert partial.rejected_data_points == 1
        assert "value" in partial.error_message
        status, _, body = post(agent, gzip.compress(request_of(8)), **{"content-encoding": "gzip"})
        assert (status, body) == (200, b"")
        samples = metrics_sinks.check_ledger(agent)
        assert samples.total("made_count_total") == 8
        assert samples.total("weft_records_dropped_total", signal="metrics", reason="malformed") == 1


def test_damage_is_400_with_a_status(directory):
    with Weftd(directory) as agent:
        status, headers, body = post(agent, request_of(5)[:-3])
        assert status == 400
        assert headers["content-type"] == "application/x-protobuf"
        assert body[:2] == b"\x08\x03"  # google.rpc.Status { code = INVALID_ARGUMENT }
        assert post(agent, request_of(5), **{"content-type": "text/plain"})[0] == 415
        assert post(agent, b"")[0] == 200
