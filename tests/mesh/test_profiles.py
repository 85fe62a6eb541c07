"""The naming profiles before a real Prometheus 2.42: the queries of the dashboards and tools that they are
made for, over what two real Envoy sidecars log, also when the scrape's target labels clash with the
profile's own.

The queries are those of published boards and programs with their variables filled in; docs/profiles says
which, and which of theirs a profile cannot answer. Boards use irate over 30 s and more: a scrape each second
is within that.
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
from agent import COUNT_SECONDS_MAX, WEFTD, Samples, Weftd, settle
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

# The labels of boards and programs, with their variables filled in.
ISTIO_WORKLOAD = (
    'reporter=~"destination",destination_workload_namespace=~"shop",destination_workload=~"reviews-v2"'
)
ISTIO_FROM = 'source_workload=~"productpage-v1",source_workload_namespace=~"shop"'
ISTIO_CLIENT = f'reporter="source",{ISTIO_FROM},destination_service=~"reviews.shop.svc.cluster.local"'
ISTIO_SERVICE = 'destination_service="reviews.shop.svc.cluster.local"'
ISTIO_SERVED = f'reporter="destination",{ISTIO_SERVICE},destination_workload=~"reviews-v2"'
ISTIO_MESH = 'reporter=~"source|waypoint"'
ISTIO_TABLE = '"destination_workload_var",".","destination_workload","destination_workload_namespace"'
ISTIO_HISTOGRAMS = ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes")
ISTIO_TCP_BYTES = ("istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total")
ISTIO_REDIS = 'destination_service="redis.shop.svc.cluster.local"'
KIALI_EDGE = (
    "source_cluster,source_workload_namespace,source_workload,source_canonical_service,"
    "source_canonical_revision,destination_cluster,destination_service_namespace,destination_service,"
    "destination_service_name,destination_workload_namespace,destination_workload,"
    "destination_canonical_service,destination_canonical_revision"
)
KIALI_BY = f"{KIALI_EDGE},request_protocol,response_code,grpc_response_status,response_flags"
KIALI_PRINCIPALS = "source_principal,destination_principal,connection_security_policy"
KIALI_IN = '{reporter="destination",destination_workload_namespace="shop"}[60s]'
KIALI_IN_AMBIENT = '{reporter=~"waypoint|destination",destination_workload_namespace="shop"}[60s]'
KIALI_OUT = '{reporter="source",source_workload_namespace="shop"}[60s]'
KIALI_SERVICE = '{reporter=~"destination|waypoint",destination_service_namespace="shop"}[60s]'
KIALI_NO_ANSWER = r'response_code=~"^0$|^[4-5]\\d\\d$"'
KIALI_GRPC = rf'grpc_response_status=~"^[1-9]$|^1[0-6]$",{KIALI_NO_ANSWER.replace("=~", "!~")}'
KIALI_APP = (
    'reporter="destination",destination_workload_namespace="shop",destination_canonical_service="reviews"'
)
LINKERD = 'namespace="shop",deployment="reviews-v2",direction="inbound"'
LINKERD_OUT = 'namespace="shop",deployment="productpage-v1",direction="outbound"'
LINKERD_TO = 'dst_namespace="shop",dst_deployment="reviews-v2",direction="outbound"'
LINKERD_FROM = f'deployment!="",deployment="productpage-v1",{LINKERD_TO}'
LINKERD_ROUTE = 'namespace="shop",direction="inbound",rt_route="/reviews/*"'
LINKERD_ROUTE_OUT = 'namespace="shop",direction="outbound",rt_route="/reviews/*"'
LINKERD_SERVICE = 'namespace="shop",dst_service="reviews",direction="outbound"'
LINKERD_POD = 'direction="inbound",namespace="shop",pod="reviews-v2-6b746f74dc-9rlmh"'
LINKERD_TCP = 'direction="outbound",namespace="shop",peer="src",deployment="productpage-v1"'
JAEGER = 'service_name =~ "productpage|reviews", '
JAEGER_KIND = 'span_kind =~ "SPAN_KIND_SERVER"'
DEMO = 'service_name=~".*", span_name=~".*"'
GRAPH_EDGE = 'client="productpage",server="reviews"'
APM = 'deployment_environment_name=~".*", service_namespace=~"shop", service_name="reviews"'
APM_CLIENT = APM.replace("reviews", "productpage")
APM_BY = "deployment_environment_name, service_namespace, service_name"
APM_ROUTE = '"operation", " ", "http_request_method", "http_route"'
APM_CALL = '"outbound_service", " ", "server_address", "http_request_method", "url_template"'
ASPNET = 'job=~"weft-otel", instance=~".*"'


def share(of, everything, by=""):
    """A ratio of two rates, as most boards write a success rate."""
    return f"sum({of}){by} / sum({everything}){by}"


QUERIES = {
    "istio mesh": [
        f"round(sum(rate(istio_requests_total{{{ISTIO_MESH}}}[1m])), 0.001)",
        share(
            f'rate(istio_requests_total{{{ISTIO_MESH},response_code!~"5.."}}[1m])',
            f"rate(istio_requests_total{{{ISTIO_MESH}}}[1m])",
        ),
        f'round(sum(rate(istio_requests_total{{{ISTIO_MESH},response_code=~"5.."}}[1m])), 0.001)',
        f"label_join(sum by (destination_workload,destination_workload_namespace,destination_service) "
        f"(rate(istio_requests_total{{{ISTIO_MESH}}}[1m])), {ISTIO_TABLE})",
        f"label_join(histogram_quantile(0.9, sum by (le,destination_workload,destination_workload_namespace) "
        f"(rate(istio_request_duration_milliseconds_bucket{{{ISTIO_MESH}}}[1m]))), {ISTIO_TABLE})",
        f"label_join(sum by (destination_workload,destination_workload_namespace,destination_service) "
        f"(rate(istio_tcp_received_bytes_total{{{ISTIO_MESH}}}[1m])), {ISTIO_TABLE})",
    ],
    "istio workload": [
        f"round(sum(irate(istio_requests_total{{{ISTIO_WORKLOAD}}}[5m])), 0.001)",
        share(
            f'irate(istio_requests_total{{{ISTIO_WORKLOAD},response_code!~"5.*"}}[5m])',
            f"irate(istio_requests_total{{{ISTIO_WORKLOAD}}}[5m])",
        ),
        "(histogram_quantile(0.50, sum(irate(istio_request_duration_milliseconds_bucket"
        f"{{{ISTIO_WORKLOAD}}}[1m])) by (le)) / 1000) or histogram_quantile(0.50, "
        f"sum(irate(istio_request_duration_seconds_bucket{{{ISTIO_WORKLOAD}}}[1m])) by (le))",
        f'sum(irate(istio_tcp_sent_bytes_total{{reporter=~"source",{ISTIO_FROM}}}[1m])) + '
        f'sum(irate(istio_tcp_received_bytes_total{{reporter=~"source",{ISTIO_FROM}}}[1m]))',
        f'round(sum(irate(istio_requests_total{{connection_security_policy="mutual_tls",{ISTIO_WORKLOAD},'
        f"{ISTIO_FROM}}}[5m])) by (source_workload, source_workload_namespace, response_code), 0.001)",
        share(
            f'irate(istio_requests_total{{{ISTIO_WORKLOAD},connection_security_policy="mutual_tls",'
            f'response_code!~"5.*",{ISTIO_FROM}}}[5m])',
            f'irate(istio_requests_total{{{ISTIO_WORKLOAD},connection_security_policy="mutual_tls",'
            f"{ISTIO_FROM}}}[5m])",
            " by (source_workload, source_workload_namespace)",
        ),
        *(
            f"histogram_quantile(0.95, sum(irate({family}_bucket{{{ISTIO_WORKLOAD},"
            f'connection_security_policy="mutual_tls",{ISTIO_FROM}}}[1m])) '
            "by (source_workload, source_workload_namespace, le))"
            for family in ISTIO_HISTOGRAMS
        ),
        f'round(sum(irate(istio_requests_total{{destination_principal=~"spiffe.*",{ISTIO_CLIENT}}}[5m])) '
        "by (destination_service, response_code), 0.001)",
        share(
            f'irate(istio_requests_total{{connection_security_policy!="mutual_tls",response_code!~"5.*",'
            f"{ISTIO_CLIENT}}}[5m])",
            f'irate(istio_requests_total{{connection_security_policy!="mutual_tls",{ISTIO_CLIENT}}}[5m])',
            " by (destination_service)",
        ),
        *(
            f'histogram_quantile(0.99, sum(irate({family}_bucket{{connection_security_policy!="mutual_tls",'
            f"{ISTIO_CLIENT}}}[1m])) by (destination_service, le))"
            for family in ISTIO_HISTOGRAMS
        ),
        *(
            f'round(sum(irate({family}{{connection_security_policy!="mutual_tls",reporter="source",'
            f'{ISTIO_FROM},destination_service=~".*"}}[1m])) by (destination_service), 0.001)'
            for family in ISTIO_TCP_BYTES
        ),
        "sum(istio_requests_total) by (destination_workload_namespace) or "
        "sum(istio_tcp_sent_bytes_total) by (destination_workload_namespace)",
        '(sum(istio_requests_total{destination_workload_namespace=~"shop"}) by (destination_workload) or '
        'sum(istio_requests_total{source_workload_namespace=~"shop"}) by (source_workload)) or '
        '(sum(istio_tcp_sent_bytes_total{destination_workload_namespace=~"shop"}) by (destination_workload) '
        'or sum(istio_tcp_sent_bytes_total{source_workload_namespace=~"shop"}) by (source_workload))',
        f"sum(istio_requests_total{{{ISTIO_WORKLOAD}}}) by (source_workload_namespace) or "
        f"sum(istio_tcp_sent_bytes_total{{{ISTIO_WORKLOAD}}}) by (source_workload_namespace)",
        f'sum(istio_requests_total{{reporter="source",{ISTIO_FROM}}}) by (destination_service) or '
        f'sum(istio_tcp_sent_bytes_total{{reporter="source",{ISTIO_FROM}}}) by (destination_service)',
    ],
    "istio service": [
        f'round(sum(irate(istio_requests_total{{reporter=~"source|destination",{ISTIO_SERVICE}}}[1m])), '
        "0.001)",
        f'sum(irate(istio_requests_total{{reporter=~"source",{ISTIO_SERVICE},response_code!~"5.*"}}[1m])) / '
        f'(sum(irate(istio_requests_total{{reporter=~"source",{ISTIO_SERVICE}}}[1m])) or on () vector(1))',
        f'round(sum(irate(istio_requests_total{{reporter="destination",{ISTIO_SERVICE}}}[1m])), 0.001)',
        "(histogram_quantile(0.99, sum(irate(istio_request_duration_milliseconds_bucket"
        f'{{reporter="destination",{ISTIO_SERVICE}}}[1m])) by (le)) / 1000) or histogram_quantile(0.99, '
        "sum(irate(istio_request_duration_seconds_bucket"
        f'{{reporter="destination",{ISTIO_SERVICE}}}[1m])) by (le))',
        *(
            f'sum(irate({family}{{reporter=~"source",{ISTIO_REDIS}}}[1m]))'
            for family in ISTIO_TCP_BYTES
        ),
        f'round(sum(irate(istio_requests_total{{connection_security_policy="mutual_tls",{ISTIO_SERVICE},'
        f'reporter=~"destination",{ISTIO_FROM}}}[1m])) '
        "by (source_workload, source_workload_namespace, response_code), 0.001)",
        f'histogram_quantile(0.99, sum(irate(istio_response_bytes_bucket{{{ISTIO_SERVED},'
        f'connection_security_policy="mutual_tls",destination_workload_namespace=~"shop"}}[1m])) '
        "by (destination_workload, destination_workload_namespace, le))",
        "sum(istio_requests_total{}) by (destination_service) or "
        "sum(istio_tcp_sent_bytes_total{}) by (destination_service)",
        f'sum(istio_requests_total{{reporter=~"destination",{ISTIO_SERVICE}}}) by (source_cluster) or '
        f'sum(istio_tcp_sent_bytes_total{{reporter=~"destination",{ISTIO_SERVICE}}}) by (source_cluster)',
        f'sum(istio_requests_total{{reporter="destination",{ISTIO_SERVICE},destination_cluster=~"east",'
        'destination_workload_namespace=~"shop"}) by (destination_workload)',
    ],
    "kiali": [
        f"round(sum(rate(istio_requests_total{KIALI_OUT})) by ({KIALI_BY}) > 0,0.001)",
        f"round(sum(rate(istio_requests_total{KIALI_IN})) by ({KIALI_BY}) > 0,0.001)",
        f"round(sum(rate(istio_requests_total{KIALI_IN_AMBIENT})) by ({KIALI_BY}) > 0,0.001)",
        *(
            f'round(sum(rate({family}{{app!="ztunnel",reporter="source",source_workload_namespace="shop"}}'
            f"[60s])) by (app,{KIALI_EDGE},response_flags) > 0,0.001)"
            for family in ISTIO_TCP_BYTES
        ),
        f"histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{KIALI_SERVICE})) by "
        f"(le,{KIALI_EDGE},request_protocol)) > 0",
        f"sum(rate(istio_request_duration_milliseconds_sum{KIALI_SERVICE})) by "
        f"({KIALI_EDGE},request_protocol) / "
        f"sum(rate(istio_request_duration_milliseconds_count{KIALI_SERVICE})) by "
        f"({KIALI_EDGE},request_protocol) > 0",
        f"sum(rate(istio_response_bytes_sum{KIALI_IN})) by ({KIALI_EDGE}) > 0",
        '(sum(rate(istio_requests_total{reporter="destination",source_workload_namespace="shop"}[60s])) by '
        f"({KIALI_EDGE.replace('destination_service,', '')},{KIALI_PRINCIPALS}) > 0)",
        'rate(istio_requests_total{source_workload_namespace="shop",source_cluster="east"}[60s]) > 0',
        'rate(istio_requests_total{destination_service_namespace="shop",destination_cluster="east"}[60s]) '
        "> 0",
        'rate(istio_requests_total{destination_service_name="details",destination_service_namespace="shop",'
        'destination_cluster=~"east|unknown"}[60s]) > 0',
        'rate(istio_requests_total{destination_workload_namespace="shop",destination_workload="reviews-v2",'
        'destination_cluster="east"}[60s]) > 0',
        f"(sum(rate(istio_requests_total{{{KIALI_APP},{KIALI_NO_ANSWER}}}[60s])) OR "
        f"sum(rate(istio_requests_total{{{KIALI_APP},{KIALI_GRPC}}}[60s])))",
        'sum(rate(istio_requests_total{reporter="source",source_workload_namespace="shop",'
        f'destination_service_name="ratings",{KIALI_GRPC}}}[60s]))',
        f"sum(rate(istio_request_bytes_sum{{{KIALI_APP}}}[60s])) / "
        f"sum(rate(istio_request_bytes_count{{{KIALI_APP}}}[60s]))",
        "histogram_quantile(0.95, "
        f"sum(rate(istio_request_duration_milliseconds_bucket{{{KIALI_APP}}}[60s])) by (le))",
    ],
    "flagger istio": [
        'sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",'
        'destination_workload=~"reviews-v2",response_code!~"5.*"}[1m])) / '
        'sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",'
        'destination_workload=~"reviews-v2"}[1m])) * 100',
        "histogram_quantile(0.99, "
        'sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",'
        'destination_workload_namespace="shop",destination_workload=~"reviews-v2"}[1m])) by (le))',
    ],
    "linkerd deployment": [
        share(
            f'irate(response_total{{classification="success",{LINKERD}}}[30s])',
            f"irate(response_total{{{LINKERD}}}[30s])",
            " by (deployment)",
        ),
        f"sum(irate(request_total{{{LINKERD}}}[30s]))",
        f'sum(irate(request_total{{{LINKERD},tls="true"}}[30s])) by (deployment)',
        f"histogram_quantile(0.95, sum(irate(response_latency_ms_bucket{{{LINKERD}}}[30s])) by (le, "
        f"deployment))",
        f'count(count(request_total{{deployment!="",dst_deployment!="",{LINKERD_TO}}}) '
        "by (namespace, deployment))",
        f"count(count(request_total{{{LINKERD_OUT}}}) by (namespace, dst_deployment))",
        share(
            f'irate(response_total{{classification="success",{LINKERD_FROM}}}[30s])',
            f"irate(response_total{{{LINKERD_FROM}}}[30s])",
            " by (deployment, pod)",
        ),
        f'sum(irate(request_total{{{LINKERD_FROM},tls!="true"}}[30s])) by (deployment, pod)',
        f"histogram_quantile(0.5, sum(rate(response_latency_ms_bucket{{{LINKERD_FROM}}}[30s])) by (le, "
        f"deployment))",
        share(
            f'irate(response_total{{classification="success",{LINKERD_OUT}}}[30s])',
            f"irate(response_total{{{LINKERD_OUT}}}[30s])",
            " by (dst_deployment)",
        ),
        f'sum(irate(request_total{{{LINKERD_OUT},dst_deployment="reviews-v2",tls!="true"}}[30s])) '
        "by (dst_deployment)",
        f"histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{{{LINKERD_OUT}}}[30s])) by (le, "
        f"dst_deployment))",
        'tcp_connection_duration_ms_bucket{namespace="shop",deployment="productpage-v1",direction="outbound"}',
        'process_start_time_seconds{deployment!=""}',
        'process_start_time_seconds{namespace="shop"}',
        'request_total{dst_namespace="shop",dst_deployment="reviews-v2"}',
    ],
    "linkerd route": [
        share(
            f'irate(route_response_total{{classification="success",{LINKERD_ROUTE}}}[30s])',
            f"irate(route_response_total{{{LINKERD_ROUTE}}}[30s])",
            " by (rt_route)",
        ),
        f"sum(irate(route_request_total{{{LINKERD_ROUTE}}}[30s]))",
        f"histogram_quantile(0.95, sum(irate(route_response_latency_ms_bucket{{{LINKERD_ROUTE}}}[30s])) "
        f"by (le, rt_route))",
        f'sum(irate(route_request_total{{{LINKERD_ROUTE},tls!="true"}}[30s])) by (rt_route)',
        share(
            f'irate(route_response_total{{classification="success",{LINKERD_ROUTE_OUT}}}[30s])',
            f"irate(route_response_total{{{LINKERD_ROUTE_OUT}}}[30s])",
            " by (deployment, rt_route)",
        ),
        f'sum(irate(route_request_total{{{LINKERD_ROUTE_OUT},tls!="true"}}[30s])) by (pod, rt_route)',
        f"histogram_quantile(0.95, sum(rate(route_response_latency_ms_bucket{{{LINKERD_ROUTE_OUT}}}[30s])) "
        f"by (le, pod))",
        'route_request_total{namespace="shop"}',
    ],
    "linkerd service": [
        share(
            f'irate(response_total{{classification="success",{LINKERD_SERVICE}}}[30s])',
            f"irate(response_total{{{LINKERD_SERVICE}}}[30s])",
            " by (dst_service)",
        ),
        f"sum(irate(request_total{{{LINKERD_SERVICE}}}[30s]))",
        f'sum(irate(request_total{{{LINKERD_SERVICE},tls="true"}}[30s])) by (dst_service, deployment)',
        f"histogram_quantile(0.99, sum(irate(response_latency_ms_bucket{{{LINKERD_SERVICE}}}[30s])) by (le, "
        f"dst_service))",
        f"histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{{{LINKERD_SERVICE}}}[30s])) by (le, "
        f"dst_service, pod))",
        'request_total{dst_namespace="shop",dst_service="reviews"}',
    ],
    "linkerd viz": [
        f"sum(increase(response_total{{{LINKERD_POD}}}[1m])) by (namespace, pod, classification, tls)",
        f"histogram_quantile(0.99, sum(irate(response_latency_ms_bucket{{{LINKERD_POD}}}[1m])) by (le, "
        "namespace, pod))",
        *(
            f"sum(increase({family}{{{LINKERD_TCP}}}[1m])) by (namespace, deployment)"
            for family in ("tcp_read_bytes_total", "tcp_write_bytes_total")
        ),
        r'sum(increase(route_response_total{direction="inbound",'
        r'dst=~"(reviews.shop.svc.cluster.local)(:\\d+)?",namespace="shop"}[1m])) by '
        "(rt_route, dst, classification)",
        r'histogram_quantile(0.5, sum(irate(route_response_latency_ms_bucket{direction="inbound",'
        r'dst=~"(reviews.shop.svc.cluster.local)(:\\d+)?",namespace="shop"}[1m])) by (le, dst, rt_route))',
    ],
    "flagger linkerd": [
        'sum(rate(response_total{namespace="shop",deployment=~"reviews-v2",classification!="failure",'
        'direction="inbound"}[1m])) / sum(rate(response_total{namespace="shop",deployment=~"reviews-v2",'
        'direction="inbound"}[1m])) * 100',
        'histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{namespace="shop",'
        'deployment=~"reviews-v2",'
        'direction="inbound"}[1m])) by (le))',
    ],
    "spanmetrics jaeger": [
        "histogram_quantile(0.95, sum(rate(traces_span_metrics_duration_milliseconds_bucket"
        f"{{{JAEGER}{JAEGER_KIND}}}[1m])) by (service_name,span_name,le))",
        f"sum(rate(traces_span_metrics_calls_total{{{JAEGER}{JAEGER_KIND}}}[1m])) by "
        "(service_name,span_name)",
        f'sum(rate(traces_span_metrics_calls_total{{{JAEGER}status_code = "STATUS_CODE_ERROR", '
        f"{JAEGER_KIND}}}[1m])) by (service_name) / "
        f"sum(rate(traces_span_metrics_calls_total{{{JAEGER}{JAEGER_KIND}}}[1m])) by (service_name)",
        f"sum(rate(traces_span_metrics_calls_total{{{JAEGER}}}[1m])) by (service_name)",
    ],
    "spanmetrics demo": [
        "topk(7,histogram_quantile(0.95, sum(rate(traces_span_metrics_duration_milliseconds_bucket"
        f"{{{DEMO}}}[1m])) by (le,service_name)))",
        f"topk(7,sum by (service_name) (rate(traces_span_metrics_calls_total{{{DEMO}}}[1m])))",
        f'topk(7, sum(rate(traces_span_metrics_calls_total{{status_code="STATUS_CODE_ERROR",{DEMO}}}[1m])) '
        "by (span_name,service_name))",
        "topk(7, sum by (span_name,service_name)(increase(traces_span_metrics_duration_milliseconds_sum"
        f"{{{DEMO}}}[5m]) / increase(traces_span_metrics_duration_milliseconds_count{{{DEMO}}}[5m])))",
        "count by (service_name)(count_over_time(traces_span_metrics_calls_total[1m]))",
        'sum ({__name__=~".*traces_span_metrics_calls_total",service_name=~".*"}) by (span_name)',
    ],
    "tempo": [
        'topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m])) by (span_name))',
        'topk(5, sum(rate(traces_spanmetrics_calls_total{service="reviews",span_kind="SPAN_KIND_SERVER"}'
        "[1m])) by (span_name))",
        'topk(5, sum(rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR",'
        'span_name=~"/reviews/.*|unknown"}[1m])) by (span_name))',
        "histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket"
        '{service="reviews",span_name=~"/reviews/.*"}[1m])) by (le))',
        'sum(rate(traces_spanmetrics_calls_total{span_name="/reviews/*"}[1m]))',
    ],
    "servicegraph": [
        *(
            query
            for family in (
                "traces_service_graph_request_server_seconds_sum",
                "traces_service_graph_request_total",
                "traces_service_graph_request_failed_total",
                "traces_service_graph_request_server_seconds_bucket",
            )
            for query in (
                f"sum by (client, server) (rate({family}[1m]))",
                f"group by (client, connection_type, server) ({family})",
            )
        ),
        "sum by (client, server, client_service_namespace, server_service_namespace) "
        '(rate(traces_service_graph_request_total{server="reviews"}[1m]))',
        f"sum by (client, server)(rate(traces_service_graph_request_total{{{GRAPH_EDGE}}}[1m]))",
        "histogram_quantile(0.9, sum(rate(traces_service_graph_request_server_seconds_bucket"
        f"{{{GRAPH_EDGE}}}[1m])) by (le, client, server))",
        f"sum by (client, server)(rate(traces_service_graph_request_failed_total{{{GRAPH_EDGE}}}[1m]))",
        "histogram_quantile(.9, sum(rate(traces_service_graph_request_client_seconds_bucket[1m])) by (le,"
        " client, server))",
    ],
    "otel apm": [
        f"histogram_quantile(0.99, sum by(le, {APM_BY}) "
        f"(rate(http_server_request_duration_seconds_bucket{{{APM}}}[1m])))",
        f"avg by({APM_BY}) (rate(http_server_request_duration_seconds_sum{{{APM}}}[1m])) / "
        f"avg by({APM_BY}) (rate(http_server_request_duration_seconds_count{{{APM}}}[1m]))",
        f"(sum by({APM_BY}) (rate(http_server_request_duration_seconds_count{{{APM}, "
        f'http_response_status_code=~"5.."}}[1m])) * 100) / '
        f"sum by({APM_BY}) (rate(http_server_request_duration_seconds_count{{{APM}}}[1m]))",
        "sum by (operation) (label_join(rate(http_server_request_duration_seconds_count"
        f"{{{APM}}}[1m]), {APM_ROUTE}))",
        "histogram_quantile(0.99, sum by (le, operation) (label_join(rate("
        f"http_server_request_duration_seconds_bucket{{{APM}}}[5m]), {APM_ROUTE})))",
        "sum by (outbound_service) (label_join(rate(http_client_request_duration_seconds_count"
        f"{{{APM_CLIENT}}}[1m]), {APM_CALL}))",
        "sum by (outbound_service) (label_join(rate(http_client_request_duration_seconds_count"
        f'{{{APM_CLIENT}, http_response_status_code=~"5.."}}[1m]), {APM_CALL}))',
    ],
    "otel aspnetcore": [
        f"histogram_quantile(0.50, sum(rate(http_server_request_duration_seconds_bucket{{{ASPNET}}}[1m])) "
        "by (le))",
        "sum(rate(http_server_request_duration_seconds_bucket"
        f'{{{ASPNET}, http_response_status_code=~"4..|5.."}}[1m]) or vector(0)) / '
        f"sum(rate(http_server_request_duration_seconds_bucket{{{ASPNET}}}[1m]))",
        f'sum(increase(http_server_request_duration_seconds_count{{{ASPNET}, error_type!=""}}[1m])) > 0',
        f"sum by (url_scheme) (increase(http_server_request_duration_seconds_count{{{ASPNET}}}[1m])) > 0",
        "sum by (method_route) (label_replace(increase(http_server_request_duration_seconds_count"
        f'{{{ASPNET}}}[1m]), "method_route", "http/$1", "network_protocol_version", "(.*)")) > 0',
        "topk(10, sum by (http_route, http_request_method, method_route) (label_join(floor(increase("
        f'http_server_request_duration_seconds_count{{{ASPNET}, http_route!=""}}[1m])), "method_route", " ", '
        '"http_request_method", "http_route")))',
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
        ("/full/5", "200"),
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
        self.join(COUNT_SECONDS_MAX)


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


def answers(prometheus, query, seconds=COUNT_SECONDS_MAX):
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
        timeout=60,
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
