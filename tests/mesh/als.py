"""Envoy's gRPC access log service: configuration of the loggers as a telemetry for mix.Mix, and a sink that
keeps what comes.

Each logger has a stream of its own for each worker, which begins with the node (some 70 KB); entries with
`upstream_log` come one for each attempt.
"""

import json
import re
import struct

import yaml

from harness import REPOSITORY
from sidecar import TYPE, cluster, tracing
from stream_sink import StreamSink

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
TAGS = {
    "trace_id": "%TRACE_ID%",
    "span_id": "%SPAN_ID%",
    "grpc_status": "%GRPC_STATUS_NUMBER%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_peer_uri_san": "%UPSTREAM_PEER_URI_SAN%",
}


def common(log_name, tags=True, **keys):
    made = {
        "log_name": log_name,
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "agent_grpc"}},
        "buffer_flush_interval": "0.3s",
        **keys,
    }
    if tags:
        made["custom_tags"] = [{"tag": tag, "value": value} for tag, value in TAGS.items()]
    return made


def http_log(log_name, side=None, **keys):
    config = common(log_name, **keys)
    if side:
        config["custom_tags"].append({"tag": "weft.reporter", "value": side})
    return {
        "name": "envoy.access_loggers.http_grpc",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            "common_config": config,
        },
    }


def tcp_log(log_name, **keys):
    return {
        "name": "envoy.access_loggers.tcp_grpc",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
            "common_config": common(log_name, tags=False, **keys),
        },
    }


PEERS = {
    "upstream_peer": "type=deployment,workload=reviews-v2,name=reviews-v2-abc-1,cluster=east,"
    "namespace=shop,service=reviews,revision=v2,app=reviews,version=v2",
    "downstream_peer": "type=deployment,workload=productpage-v1,name=productpage-v1-abc-1,cluster=east,"
    "namespace=shop,service=productpage,revision=v1,app=productpage,version=v1",
}


def peer_filter(key):
    """Sets the filter state that Istio's metadata exchange sets, as text, which is one of its forms."""
    value = {"text_format_source": {"inline_string": PEERS[key]}}
    return {
        "name": "envoy.filters.http.set_filter_state",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [
                {"object_key": key, "factory_key": "envoy.string", "format_string": value}
            ],
        },
    }


def telemetry(agent_socket, attempts=True, traced=False, peers=False, tell_side=True):
    """For mix.Mix: everything by the access log service. attempts: a record for each attempt as well. traced:
    the tracer, too, so that entries have trace ids. peers: Istio's peer metadata. tell_side: a custom tag says
    on which side the sidecar stands."""

    def pieces(service, direction):
        side = ("source" if direction == "outbound" else "destination") if tell_side else None
        peer = "upstream_peer" if direction == "outbound" else "downstream_peer"
        more = {"filter_state_objects_to_log": [peer]} if peers else {}
        made = {
            "clusters": [cluster("agent_grpc", agent_socket, http2=True)],
            "manager": {"access_log": [http_log(f"http_{direction}", side, **more)]},
            "tcp": {"access_log": [tcp_log(f"tcp_{direction}")]},
        }
        if peers:
            made["filters"] = [peer_filter(peer)]
        if attempts:
            made["router"] = {"upstream_log": [http_log(f"attempts_{direction}", side)]}
        if traced:
            made["manager"]["tracing"] = tracing(service, False)
        return made

    return pieces


def page_telemetry(agent_socket, page="envoy.md"):
    """What docs/meshes/PAGE tells to paste, with the test's socket: cluster, HTTP and TCP logger."""
    text = (REPOSITORY / "docs/meshes" / page).read_text().replace("/run/weft/weft.sock", str(agent_socket))
    pieces = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)]
    agent, http, tcp = pieces

    def of(_service, direction):
        side = "source" if direction == "outbound" else "destination"
        logs = json.loads(json.dumps([http, tcp]).replace('"value": "source"', f'"value": "{side}"'))
        return {
            "clusters": [agent],
            "manager": {"access_log": logs[:1]},
            "tcp": {"access_log": logs[1:]},
        }

    return of


def gloo_telemetry(agent_socket):
    """What Gloo makes of the Helm values in docs/meshes/gloo.md: an HTTP logger without custom tags."""
    text = (REPOSITORY / "docs/meshes/gloo.md").read_text().replace("/run/weft/weft.sock", str(agent_socket))
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    gateway = yaml.safe_load(block)["gatewayProxies"]["gatewayProxy"]
    (log,) = gateway["gatewaySettings"]["accessLoggingService"]["accessLog"]
    service = log["grpcService"]
    made = http_log(service["logName"])
    common_config = made["typed_config"]["common_config"]
    del common_config["custom_tags"]
    common_config["grpc_service"]["envoy_grpc"]["cluster_name"] = service["staticClusterName"]
    made["typed_config"].update(
        additional_request_headers_to_log=service["additionalRequestHeadersToLog"],
        additional_response_headers_to_log=service["additionalResponseHeadersToLog"],
        additional_response_trailers_to_log=service["additionalResponseTrailersToLog"],
    )
    return lambda _service, _direction: {
        "clusters": gateway["envoyStaticClusters"],
        "manager": {"access_log": [made]},
    }


def sink(path):
    return StreamSink(path, METHOD)


def _fields(data):
    """(number, value) of each field of an encoded message; values are bytes or integers."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            yield tag >> 3, data[at : at + length]
            at += length
        elif tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            size = 8 if tag & 7 == 1 else 4
            yield tag >> 3, struct.unpack_from("<Q" if size == 8 else "<I", data, at)[0]
            at += size


def entries(messages):
    """("http" or "tcp", bytes) of every entry."""
    for message in messages:
        for number, value in _fields(message):
            if number in (2, 3):
                for _, entry in _fields(value):
                    yield "http" if number == 2 else "tcp", entry


def streams_of(messages):
    """The messages of a recording as lists, one a stream: an identifier begins each."""
    streams = []
    for message in messages:
        if any(number == 1 for number, _ in _fields(message)):
            streams.append([])
        streams[-1].append(message)
    return streams


def entry_type(entry):
    """(AccessLogType, numbers of the response flags' fields) of an encoded entry."""
    common = dict(_fields(dict(_fields(entry))[1]))
    return common.get(33, 0), tuple(number for number, _ in _fields(common.get(16, b"")))
