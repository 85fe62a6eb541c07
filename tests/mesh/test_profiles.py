"""The naming profiles before a real Prometheus 2.42: the queries of the dashboards and tools that they are
made for, over what two real Envoy sidecars log, also when the scrape's target labels clash with the
profile's own.

The queries are those of the published boards with their variables filled in: Istio's workload and service
boards (istio/istio manifests/addons/dashboards), Linkerd's deployment and route boards (linkerd2
grafana/dashboards), Grafana's span metrics and service graph, Kiali's graph (kiali graph/telemetry/istio)
and Flagger's canary checks (flagger pkg/metrics/observers); see docs/profiles. Boards use irate over 30 s
and more: a scrape each second is within that.
"""

import json
import math
import subprocess
import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

import als
import load
import mix as mixes
import otlp
import ratings
from agent import WEFTD, Samples, Weftd, settle
from backends import Prometheus
from harness import TemporaryDirectory, wait_for
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

PROFILES = ("istio", "linkerd", "spanmetrics", "tempo", "servicegraph", "otel")
# Labels that a Kubernetes scrape gives its targets, all of which some profile has, too.
TARGET_LABELS = {
    "namespace": "monitoring",
    "pod": "weft-x2x4z",
    "container": "weft",
    "service": "weft",
    "node": "node-1",
    "endpoint": "metrics",
    "deployment": "weft",
}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

ISTIO_WORKLOAD = (
    'reporter=~"destination",destination_workload_namespace=~"shop",destination_workload=~"reviews-v2"'
)
ISTIO_CLIENT = 'reporter="source",source_workload_namespace="shop",source_workload="productpage-v1"'
ISTIO_SERVICE = 'destination_service=~"reviews.shop.svc.cluster.local"'
KIALI_BY = (
    "source_cluster,source_workload_namespace,source_workload,source_canonical_service,"
    "source_canonical_revision,"
    "destination_cluster,destination_service_namespace,destination_service,destination_service_name,"
    "destination_workload_namespace,destination_workload,destination_canonical_service,"
    "destination_canonical_revision,request_protocol,response_code,grpc_response_status,response_flags"
)
LINKERD = 'namespace="shop",deployment="reviews-v2",direction="inbound"'
LINKERD_ROUTE = 'namespace="shop",direction="inbound",rt_route="/reviews/*"'

QUERIES = {
    "istio workload": [
        f"round(sum(irate(istio_requests_total{{{ISTIO_WORKLOAD}}}[5m])), 0.001)",
        f'sum(irate(istio_requests_total{{{ISTIO_WORKLOAD},response_code!~"5.*"}}[5m])) / '
        f"sum(irate(istio_requests_total{{{ISTIO_WORKLOAD}}}[5m]))",
        "(histogram_quantile(0.50, sum(irate(istio_request_duration_milliseconds_bucket"
        f"{{{ISTIO_WORKLOAD}}}[1m])) by (le)) / 1000)",
        "histogram_quantile(0.95, sum(irate(istio_request_bytes_bucket"
        f'{{{ISTIO_WORKLOAD},connection_security_policy="mutual_tls"}}[1m])) '
        "by (source_workload, source_workload_namespace, le))",
        f"histogram_quantile(0.99, sum(irate(istio_response_bytes_bucket{{{ISTIO_WORKLOAD}}}[1m])) by (le))",
        f'round(sum(irate(istio_requests_total{{connection_security_policy="mutual_tls",{ISTIO_WORKLOAD},'
        'source_workload=~"productpage-v1",source_workload_namespace=~"shop"}[5m])) '
        "by (source_workload, source_workload_namespace, response_code), 0.001)",
        f'round(sum(irate(istio_requests_total{{{ISTIO_CLIENT},destination_service=~"reviews.*"}}[5m])) '
        "by (destination_service, response_code), 0.001)",
        'sum(istio_requests_total{reporter="destination"}) by (destination_workload_namespace)',
        "sum(istio_requests_total) by (destination_workload, destination_workload_namespace, "
        "destination_service)",
    ],
    "istio service": [
        f'round(sum(irate(istio_requests_total{{reporter="source",{ISTIO_SERVICE}}}[5m])), 0.001)',
        f'sum(irate(istio_requests_total{{reporter="destination",{ISTIO_SERVICE},'
        f'response_code!~"5.*"}}[5m])) / '
        f'sum(irate(istio_requests_total{{reporter="destination",{ISTIO_SERVICE}}}[5m]))',
        "(histogram_quantile(0.99, sum(irate(istio_request_duration_milliseconds_bucket"
        f'{{reporter="source",{ISTIO_SERVICE}}}[1m])) by (destination_workload, '
        f'destination_workload_namespace, le)) '
        "/ 1000)",
        'sum(istio_requests_total{reporter="source"}) by (destination_service)',
        'round(sum(irate(istio_tcp_received_bytes_total{reporter="source",'
        'destination_service=~"redis.shop.svc.cluster.local"}[5m])), 0.001)',
        "sum(istio_tcp_sent_bytes_total) by (destination_service)",
    ],
    "kiali": [
        f'sum(rate(istio_requests_total{{reporter="source",source_workload_namespace="shop"}}[60s])) by '
        f'({KIALI_BY}) > 0',
        'sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop"}[60s])) '
        f"by ({KIALI_BY}) > 0",
        'sum(rate(istio_requests_total{response_code=~"^0$|^[4-5]\\\\d\\\\d$"}[60s])) by '
        '(destination_service) > 0',
        'sum(rate(istio_requests_total{grpc_response_status=~"^[1-9]$|^1[0-6]$"}[60s])) by '
        '(destination_service)',
        'sum(istio_tcp_sent_bytes_total{reporter="source"}) by (destination_service_name)',
        'histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",'
        'destination_canonical_service="reviews"}[60s])) by (le))',
    ],
    "flagger istio": [
        'sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",'
        'destination_workload=~"reviews-v2",response_code!~"5.*"}[1m])) / '
        'sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",'
        'destination_workload=~"reviews-v2"}[1m])) * 100',
        "histogram_quantile(0.99, "
        "sum(rate(istio_request_duration_milliseconds_bucket{reporter=\"destination\","
        'destination_workload_namespace="shop",destination_workload=~"reviews-v2"}[1m])) by (le))',
    ],
    "linkerd deployment": [
        f'sum(irate(response_total{{classification="success",{LINKERD}}}[30s])) / '
        f"sum(irate(response_total{{{LINKERD}}}[30s]))",
        f"sum(irate(request_total{{{LINKERD}}}[30s]))",
        f'sum(irate(request_total{{{LINKERD},tls="true"}}[30s])) by (deployment)',
        f"histogram_quantile(0.95, sum(irate(response_latency_ms_bucket{{{LINKERD}}}[30s])) by (le, "
        f"deployment))",
        'count(count(request_total{dst_namespace="shop",dst_deployment="reviews-v2",direction="outbound"}) '
        "by (namespace, deployment))",
        'sum(irate(response_total{classification="success",deployment!="",deployment!="reviews-v2",'
        'dst_namespace="shop",dst_deployment="reviews-v2",direction="outbound"}[30s])) by (deployment, pod)',
        'process_start_time_seconds{deployment!=""}',
        'process_start_time_seconds{namespace="shop"}',
        'sum(tcp_close_total{namespace="shop"}) by (peer)',
        'sum(tcp_read_bytes_total{namespace="shop"}) by (peer) + '
        'sum(tcp_write_bytes_total{namespace="shop"}) by (peer)',
    ],
    "linkerd route": [
        f'sum(irate(route_response_total{{classification="success",{LINKERD_ROUTE}}}[30s])) by (rt_route) / '
        f"sum(irate(route_response_total{{{LINKERD_ROUTE}}}[30s])) by (rt_route)",
        f"sum(irate(route_request_total{{{LINKERD_ROUTE}}}[30s]))",
        f"histogram_quantile(0.95, sum(irate(route_response_latency_ms_bucket{{{LINKERD_ROUTE}}}[30s])) "
        f"by (le, rt_route))",
        f'sum(irate(route_request_total{{{LINKERD_ROUTE},tls!="true"}}[30s])) by (rt_route)',
    ],
    "linkerd service": [
        'sum(irate(response_total{classification="success",dst_namespace="shop",dst_service="reviews",'
        'direction="outbound"}[30s])) by (dst_service) / sum(irate(response_total{dst_namespace="shop",'
        'dst_service="reviews",direction="outbound"}[30s])) by (dst_service)',
        'histogram_quantile(0.99, sum(irate(response_latency_ms_bucket{dst_service="reviews",'
        'dst_namespace="shop",'
        'direction="outbound"}[30s])) by (le, dst_service))',
    ],
    "flagger linkerd": [
        'sum(rate(response_total{namespace="shop",deployment=~"reviews-v2",classification!="failure",'
        'direction="inbound"}[1m])) / sum(rate(response_total{namespace="shop",deployment=~"reviews-v2",'
        'direction="inbound"}[1m])) * 100',
        'histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{namespace="shop",'
        'deployment=~"reviews-v2",'
        'direction="inbound"}[1m])) by (le))',
    ],
    "spanmetrics": [
        'sum(rate(traces_span_metrics_calls_total{service_name="reviews",'
        'span_kind="SPAN_KIND_SERVER"}[1m])) by (span_name)',
        'sum(rate(traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}[1m])) by (service_name)',
        "topk(5, histogram_quantile(0.95, sum(rate(traces_span_metrics_duration_milliseconds_bucket"
        '{service_name=~"productpage|reviews"}[1m])) by (le, service_name)))',
        "sum(rate(traces_span_metrics_duration_milliseconds_sum[1m])) by (service_name, span_name) / "
        "sum(rate(traces_span_metrics_duration_milliseconds_count[1m])) by (service_name, span_name)",
    ],
    "tempo": [
        'topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m])) by (span_name))',
        "histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket"
        '{service=~"reviews",span_name=~".*"}[1m])) by (le))',
        'topk(5, sum(rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[1m])) by '
        '(span_name))',
    ],
    "servicegraph": [
        "sum by (client, server) (rate(traces_service_graph_request_server_seconds_sum[1m]))",
        "group by (client, connection_type, server) (traces_service_graph_request_server_seconds_sum)",
        "sum by (client, server) (rate(traces_service_graph_request_total[1m]))",
        "sum by (client, server) (rate(traces_service_graph_request_failed_total[1m]))",
        "histogram_quantile(.9, sum(rate(traces_service_graph_request_client_seconds_bucket[1m])) by (le,"
        " client, server))",
        'sum by (client, server) '
        '(rate(traces_service_graph_request_server_seconds_sum{client="productpage"}[1m])) '
        '/ sum by (client, server) (rate(traces_service_graph_request_total{client="productpage"}[1m]))',
    ],
    "otel": [
        "histogram_quantile(0.99, sum(rate(http_server_request_duration_seconds_bucket[1m])) by (le, "
        "http_route))",
        'sum(rate(http_server_request_duration_seconds_count{error_type="500"}[1m])) by (service_name)',
        'sum(rate(http_client_request_duration_seconds_count{server_address="reviews.shop"}[1m])) '
        "by (http_response_status_code, http_request_method)",
    ],
}


def jobs(agent, honor_labels):
    """One for each profile, as docs/prometheus has them."""
    return [
        {
            "job_name": f"weft-{profile}",
            "metrics_path": "/metrics",
            "params": {"profile": [profile]},
            "honor_labels": honor_labels,
            "static_configs": [{"targets": [agent.address], "labels": TARGET_LABELS}],
        }
        for profile in PROFILES
    ]


WORKLOADS = {"outbound": ("productpage", "v1"), "inbound": ("reviews", "v2")}


def telemetry(agent_socket):
    """Access logs with the metadata that Istio gives its proxies: of the peer by its metadata exchange, of
    its own workload in the node."""
    logs = als.telemetry(agent_socket, attempts=False, peers=True)

    def pieces(service, direction):
        app, version = WORKLOADS[direction]
        pod = f"{app}-{version}-6b746f74dc-9rlmh"
        labels = {
            "app": app,
            "version": version,
            "service.istio.io/canonical-name": app,
            "service.istio.io/canonical-revision": version,
        }
        node = {
            "id": f"sidecar~10.0.0.7~{pod}.shop~shop.svc.cluster.local",
            "cluster": f"{app}.shop",
            "metadata": {
                "NAME": pod,
                "NAMESPACE": "shop",
                "WORKLOAD_NAME": f"{app}-{version}",
                "CLUSTER_ID": "east",
                "LABELS": labels,
            },
        }
        return {**logs(service, direction), "bootstrap": {"node": node}}

    return pieces


class Trickle(threading.Thread):
    """Requests of every kind that a query asks for, until it is stopped."""

    LOAD = [
        ("/reviews/1", "200"),
        ("/reviews/2", "d20:200"),
        ("/reviews/3", "500,500,500"),
        ("/reviews/4", "404"),
    ]

    def __init__(self, mix):
        super().__init__(daemon=True)
        self._mix, self._ended, self._turn = mix, threading.Event(), threading.Lock()

    def run(self):
        while not self._ended.wait(0.1):
            with self._turn:
                self._send()

    def _send(self):
        load.send(self._mix.port, self.LOAD, connections=1)
        mixes.talk(self._mix.tcp_port, 100)
        ratings.call(self._mix.port, (0, 14))

    def paused(self):
        """A context in which nothing is sent."""
        return self._turn

    def stop(self):
        self._ended.set()
        self.join(30)


@pytest.fixture(scope="module")
def mesh():
    """(agent, {honor_labels: Prometheus}, load): all profiles, over mTLS with Istio's peer metadata."""
    with TemporaryDirectory() as directory:
        config = {"exporters": {"prometheus": {"profiles": list(PROFILES)}}, "cluster": "east"}
        with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(directory, **config) as agent, mixes.Mix(
            directory,
            upstream.port,
            rpc.port,
            telemetry(agent.socket),
            secure=mixes.mutual_tls(directory),
        ) as mix:
            trickle = Trickle(mix)
            trickle.start()
            try:
                with Prometheus(directory, None, name="honest", jobs=jobs(agent, True)) as honest, Prometheus(
                    directory, None, name="renaming", jobs=jobs(agent, False)
                ) as renaming:
                    yield agent, {True: honest, False: renaming}, trickle
            finally:
                trickle.stop()


def exposition(agent, profile, headers=None):
    status, answered, body = agent.get("/metrics", headers, profile=profile)
    assert status == 200, body[:300]
    return answered, body.decode()


def values(prometheus, query):
    return [float(value) for _, value, _ in prometheus.query(query)]


def answers(prometheus, query, seconds=40):
    """The values of a query once there are some that are numbers."""

    def ask():
        found = [value for value in values(prometheus, query) if math.isfinite(value)]
        return found or None

    return wait_for(ask, query, seconds, pause=0.5)


CLASHING = ("linkerd", "flagger linkerd", "tempo")
BOARD_QUERIES = [(board, query) for board, queries in QUERIES.items() for query in queries]


@pytest.mark.parametrize(("board", "query"), BOARD_QUERIES)
def test_the_boards_find_what_they_ask_for(mesh, board, query):
    _, prometheus, _ = mesh
    assert answers(prometheus[True], query)


@pytest.mark.parametrize(
    ("board", "query"), [each for each in BOARD_QUERIES if not each[0].startswith(CLASHING)]
)
def test_boards_without_clashing_labels_need_no_honor_labels(mesh, board, query):
    _, prometheus, _ = mesh
    assert answers(prometheus[False], query)


def test_without_honor_labels_prometheus_renames_what_clashes(mesh):
    """As the pages of the linkerd and tempo profiles say."""
    _, prometheus, _ = mesh
    assert not values(prometheus[False], 'request_total{namespace="shop"}')
    renamed = 'request_total{exported_namespace="shop",exported_deployment="reviews-v2"}'
    assert answers(prometheus[False], renamed)
    assert answers(prometheus[False], 'traces_spanmetrics_calls_total{exported_service="reviews"}')
    assert answers(prometheus[True], 'traces_spanmetrics_calls_total{service="reviews"}')


def test_a_profile_says_what_the_agent_says(mesh):
    """Every request of /metrics is in the profile, under either reporter, and no other."""
    agent, _, trickle = mesh

    def counts():
        ours, profile = agent.samples(), Samples(exposition(agent, "istio")[1])
        return [
            (
                ours.total("mesh_requests_total", reporter=side),
                profile.total("istio_requests_total", reporter=side),
            )
            for side in ("source", "destination")
        ]

    with trickle.paused():
        for ours, profile in settle(counts, quiet=2):
            assert ours == profile > 10
    assert agent.samples().total("weft_profile_records_lost_total") == 0


def test_kiali_finds_every_label_that_it_requires(mesh):
    agent, _, _ = mesh
    required = [label for label in KIALI_BY.split(",") if label not in ("grpc_response_status",)]
    rows = Samples(exposition(agent, "istio")[1]).matching("istio_requests_total")
    assert rows
    for labels, _ in rows:
        missing = [label for label in required if not labels.get(label) and not label.endswith("_cluster")]
        assert not missing, (missing, labels)


def test_both_sides_are_named_by_istios_metadata(mesh):
    agent, _, _ = mesh
    samples = Samples(exposition(agent, "istio")[1])
    seen_by_source = samples.matching(
        "istio_requests_total", reporter="source", destination_service_name="reviews", response_code="200"
    )
    assert seen_by_source
    for labels, _ in seen_by_source:
        assert labels["destination_workload"] == "reviews-v2" and labels["destination_version"] == "v2"
        assert labels["destination_app"] == "reviews" and labels["destination_canonical_revision"] == "v2"
        assert labels["connection_security_policy"] == "unknown"
    seen_by_destination = samples.matching(
        "istio_requests_total", reporter="destination", response_code="200"
    )
    assert seen_by_destination
    for labels, _ in seen_by_destination:
        assert labels["source_workload"] == "productpage-v1" and labels["source_version"] == "v1"
        assert labels["source_principal"] == "spiffe://cluster.local/ns/shop/sa/productpage"
        assert labels["destination_principal"] == "spiffe://cluster.local/ns/shop/sa/reviews"
        assert labels["connection_security_policy"] == "mutual_tls"


@pytest.mark.parametrize("profile", PROFILES)
def test_each_exposition_is_openmetrics_without_doubles(mesh, profile):
    agent, _, _ = mesh
    headers, text = exposition(agent, profile, {"Accept": OPENMETRICS})
    assert headers["content-type"].startswith("application/openmetrics-text")
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in parse_openmetrics(text)
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples)) > 5
    assert "mesh_requests" not in text and "weft_" not in text.replace("weft_http", "")


@pytest.mark.parametrize("profile", PROFILES)
def test_prometheus_takes_every_scrape_whole(mesh, profile):
    _, prometheus, _ = mesh
    job = f'job="weft-{profile}"'
    assert answers(prometheus[True], f"min_over_time(up{{{job}}}[5s]) == 1")
    scraped = answers(prometheus[True], f"scrape_samples_scraped{{{job}}}")
    assert scraped[0] > 5
    log = prometheus[True].log()
    assert "duplicate" not in log and "out-of-order" not in log and "out of order" not in log


def test_seconds_are_native_and_milliseconds_classic(mesh, directory):
    """To a Prometheus that asks for protobuf."""
    agent, _, _ = mesh
    wanted = [job for job in jobs(agent, True) if job["params"]["profile"][0] in ("istio", "tempo", "otel")]
    with Prometheus(directory, None, native=True, jobs=wanted) as prometheus:
        for family in ("traces_spanmetrics_latency", "http_server_request_duration_seconds"):
            assert answers(prometheus, f"histogram_quantile(0.9, sum(rate({family}[10s])))")
        assert answers(prometheus, 'istio_request_duration_milliseconds_bucket{le="+Inf"}')
        assert not prometheus.query("istio_request_duration_milliseconds")


def test_other_names_are_refused(mesh):
    agent, _, _ = mesh
    assert agent.get("/metrics", profile="envoy")[0] == 404
    assert agent.get("/metrics", profile="")[0] == 404
    with TemporaryDirectory() as directory, Weftd(directory) as plain:
        assert plain.get("/metrics", profile="istio")[0] == 404


def far_ends(items):
    edges = [each["edge"] for each in items]
    return {(edge["direction"], edge["side"], edge["resource"]["name"]) for edge in edges}


def test_smi_serves_the_last_minute(mesh):
    """A service, its edges and its namespace, in the Service Mesh Interface's words."""
    agent, _, _ = mesh
    base = "/apis/metrics.smi-spec.io/v1alpha1"
    kinds = {each["name"]: each["namespaced"] for each in agent.json(base)["resources"]}
    assert kinds == {"namespaces": False, "services": True}
    reviews = agent.json(f"{base}/namespaces/shop/services/reviews")
    assert reviews["kind"] == "TrafficMetrics"
    assert reviews["resource"] == {"kind": "Service", "name": "reviews", "namespace": "shop"}
    assert reviews["edge"] == {"direction": "from", "side": "server", "resource": {}}
    metrics = {each["name"]: each for each in reviews["metrics"]}
    assert int(metrics["success_count"]["value"]) > 0 and int(metrics["failure_count"]["value"]) > 0
    for quantile in ("p50", "p90", "p99"):
        latency = metrics[f"{quantile}_response_latency"]
        assert latency["unit"] == "seconds" and 0 < int(latency["value"].removesuffix("u")) < 60e6
    edges = agent.json(f"{base}/namespaces/shop/services/productpage/edges")
    assert edges["kind"] == "TrafficMetricsList"
    assert edges["resource"] == {"kind": "Service", "name": "productpage", "namespace": "shop"}
    assert ("to", "client", "reviews") in far_ends(edges["items"])
    inbound = agent.json(f"{base}/namespaces/shop/services/reviews/edges")["items"]
    assert ("from", "server", "productpage") in far_ends(inbound)
    services = agent.json(f"{base}/namespaces/shop/services")["items"]
    assert {"reviews", "productpage"} <= {each["metadata"]["name"] for each in services}
    namespaces = agent.json(f"{base}/namespaces")["items"]
    assert "shop" in {each["resource"]["name"] for each in namespaces}
    shop = agent.json(f"{base}/namespaces/shop")
    assert int(shop["metrics"][3]["value"]) >= int(metrics["success_count"]["value"])
    own = agent.json(f"{base}/namespaces/shop/edges")["items"]
    assert {(each["edge"]["direction"], each["edge"]["resource"]["name"]) for each in own} >= {("to", "shop")}


@pytest.mark.parametrize(
    "path",
    [
        "/namespaces/shop/deployments/reviews",
        "/namespaces/shop/services/nobody",
        "/namespaces/nobody",
        "/pods",
        "/namespaces/shop/services/reviews/edges/more",
        "/namespaces/edges",
    ],
)
def test_smi_knows_nothing_else(mesh, path):
    agent, _, _ = mesh
    status, _, body = agent.get(f"/apis/metrics.smi-spec.io/v1alpha1{path}")
    assert status == 404
    answer = json.loads(body)
    assert answer["kind"] == "Status" and answer["code"] == 404


def test_check_config_names_the_families_that_a_profile_owns(directory):
    path = directory / "weft.yaml"
    path.write_text("exporters:\n  prometheus:\n    profiles: [istio, otel]\n")
    done = subprocess.run(
        [WEFTD, "--config", path, "--socket", directory / "weft.sock", "--check-config"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    owned = {line.split()[1]: set(line.split()) for line in done.stdout.splitlines() if " owns " in line}
    assert set(owned) == {"istio", "otel"}
    assert {"istio_requests_total", "istio_request_bytes"} <= owned["istio"]
    assert "http_server_request_duration_seconds" in owned["otel"]


def test_a_family_has_one_owner(directory):
    """What a proxy sends under a profile's name is dropped and counted; other names pass."""
    with Weftd(directory, exporters={"prometheus": {"profiles": ["istio"]}}) as agent:
        agent.emit("--count", 0, "--counter", "istio_requests_total=5", "--counter", "istio_build=1")
        samples = agent.wait_spans(0)
        dropped = samples.total("weft_records_dropped_total", signal="metrics", reason="family_of_a_profile")
        assert dropped == 1
        assert not samples.matching("istio_requests_total")
        assert samples.total("istio_build_total") == 1
        assert "istio_requests" not in exposition(agent, "istio")[1]
        (records,) = [each for each in agent.json("/api/v1/ledger")["records"] if each["signal"] == "metrics"]
        assert records["balanced"], records


def test_spans_alone(directory):
    """CLIENT spans of an SDK: span metrics to the millisecond, and a service graph by its sources."""
    durations = [1_000_000, 2_000_000, 7_000_000, 100_000_000, 100_000_001]
    profiles = {"profiles": ["spanmetrics", "tempo", "servicegraph", "otel"], "service_graph": "source"}
    with Weftd(directory, exporters={"prometheus": profiles}) as agent:
        otlp.send_durations(agent.socket, durations)
        otlp.send_durations(agent.socket, [5_000_000], status=503)
        agent.wait_spans(len(durations) + 1)
        spans = Samples(exposition(agent, "spanmetrics")[1])
        labels = {
            "service_name": "productpage",
            "span_name": "GET /reviews/{id}",
            "span_kind": "SPAN_KIND_CLIENT",
        }
        assert spans.total("traces_span_metrics_calls_total", **labels) == 6
        family = "traces_span_metrics_duration_milliseconds"
        for le, count in (("2.0", 2), ("6.0", 3), ("8.0", 4), ("100.0", 5), ("200.0", 6), ("+Inf", 6)):
            found = sum(
                value
                for row, value in spans.matching(f"{family}_bucket", **labels)
                if float(row["le"]) == float(le)
            )
            assert found == count, le
        assert spans.total(f"{family}_sum", **labels) == pytest.approx((sum(durations) + 5_000_000) / 1e6)
        graph = Samples(exposition(agent, "servicegraph")[1])
        edge = {"client": "productpage", "server": "reviews"}
        assert graph.total("traces_service_graph_request_total", **edge) == 6
        assert graph.total("traces_service_graph_request_failed_total", **edge) == 1
        assert graph.total("traces_service_graph_request_server_seconds_count", **edge) == 6
        tempo = Samples(exposition(agent, "tempo")[1])
        assert tempo.total("traces_spanmetrics_calls_total", service="productpage") == 6
        assert tempo.total("traces_spanmetrics_size_total", service="productpage") > 6 * 100
        http = Samples(exposition(agent, "otel")[1])
        client = {
            "service_name": "productpage",
            "service_namespace": "shop",
            "server_address": "reviews.shop",
        }
        assert http.total("http_client_request_duration_seconds_count", **client) == 6
        assert http.total("http_client_request_duration_seconds_count", error_type="503", **client) == 1
