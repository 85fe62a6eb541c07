"""Envoy's OpenTelemetry access logger as a telemetry for mix.Mix: the configuration that
docs/meshes/envoy-otel-logs.md recommends, and what its records hold."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from sidecar import TYPE, cluster, tracing

HTTP = {
    "http.request.method": "%REQ(:METHOD)%",
    "url.path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "protocol": "%PROTOCOL%",
    "http.response.status_code": "%RESPONSE_CODE%",
    "rpc.grpc.status_code": "%GRPC_STATUS_NUMBER%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "user_agent.original": "%REQ(USER-AGENT)%",
    "attempt_count": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
}
BOTH = {
    "access_log_type": "%ACCESS_LOG_TYPE%",
    "duration": "%DURATION%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "route_name": "%ROUTE_NAME%",
    "upstream_peer_uri_san": "%UPSTREAM_PEER_URI_SAN%",
    "downstream_peer_uri_san": "%DOWNSTREAM_PEER_URI_SAN%",
    "downstream_local_uri_san": "%DOWNSTREAM_LOCAL_URI_SAN%",
}


def _list(values):
    return {"values": [{"key": key, "value": {"string_value": text}} for key, text in values.items()]}


def log(service, fields, side=None, in_body=False, http=None):
    """An access logger. in_body: the fields as a map in the body instead of attributes. http: a path prefix
    under which it posts, instead of gRPC."""
    name, _, namespace = service.partition(".")
    if side:
        fields = {**fields, "weft.reporter": side}
    where = {"body": {"kvlist_value": _list(fields)}} if in_body else {"attributes": _list(fields)}
    if http:
        uri = {"uri": f"http://agent{http}/v1/logs", "cluster": "agent_http", "timeout": "30s"}
        target = {"http_service": {"http_uri": uri}}
    else:
        target = {"grpc_service": {"envoy_grpc": {"cluster_name": "agent_grpc"}, "timeout": "30s"}}
    return {
        "name": "envoy.access_loggers.open_telemetry",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
            **target,
            "log_name": service,
            "buffer_flush_interval": "0.3s",
            "resource_attributes": _list({"service.name": name, "service.namespace": namespace}),
            **where,
        },
    }


def telemetry(agent_socket, attempts=True, traced=False, in_body=False, http=False):
    """For mix.Mix. attempts: a record for each attempt as well. traced: the tracer, too, so that records have
    trace ids. http: over HTTP/1.1 instead of gRPC."""

    def pieces(service, direction):
        side = "source" if direction == "outbound" else "destination"
        where = {"in_body": in_body, "http": "" if not http else http}
        made = {
            "clusters": [
                cluster("agent_grpc", agent_socket, http2=True),
                cluster("agent_http", agent_socket),
            ],
            "manager": {"access_log": [log(service, {**HTTP, **BOTH}, side, **where)]},
            "tcp": {"access_log": [log(service, BOTH, side, **where)]},
        }
        if attempts:
            made["router"] = {"upstream_log": [log(service, {**HTTP, **BOTH}, side, **where)]}
        if traced:
            made["manager"]["tracing"] = tracing(service, False)
        return made

    return pieces


def messages(sink):
    """The bytes of every ExportLogsServiceRequest that a sink.Sink has taken."""
    return [message for method, _, message in list(sink.messages) if ".LogsService/" in method]


def records(encoded):
    """(resource, record) of every log record."""
    for message in encoded:
        for resource in ExportLogsServiceRequest.FromString(message).resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    yield resource.resource, record


def attributes(record):
    """{key: text} of a record's attributes, or of its body when that is a map."""
    pairs = record.attributes or record.body.kvlist_value.values
    return {pair.key: pair.value.string_value for pair in pairs}
