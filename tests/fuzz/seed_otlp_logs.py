#!/usr/bin/env python3
"""Writes the seeds of the fuzz target otlp_logs: tests/fuzz/corpus/otlp_logs/seed-*, from what a real Envoy sent
(tests/corpus/otlp_logs_envoy*.logs), the same cut and flipped, and by hand."""

import struct

from seed import CORPUS, NOW_NS, attribute, chunk, double, fixed64, number, text, varint, write


def recorded(name, count):
    data, at, got = (CORPUS / name).read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        got.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return sorted(got, key=len)[:count]


REQUEST = {
    "access_log_type": "DownstreamEnd", "http.request.method": "GET", "url.path": "/a?b=c", "http.route": "/a",
    "authority": "a", "user_agent.original": "u", "protocol": "HTTP/1.1", "http.response.status_code": "200",
    "rpc.grpc.status_code": "0", "response_flags": "UF,URX", "response_code_details": "d", "duration_us": "12.5",
    "duration": "3", "bytes_received": "1", "bytes_sent": "2", "attempt_count": "2", "route_name": "r",
    "upstream_cluster": "outbound|80||a.b.svc.cluster.local", "upstream_host": "10.0.0.1:80",
    "downstream_remote_address": "10.0.0.2:80", "request_id": "e6ab9615-6d20-953a-b698-ff3abd441c1d",
    "upstream_peer_uri_san": "spiffe://c/ns/a/sa/b", "downstream_peer_uri_san": "-", "weft.reporter": "source",
}


def fields(number_, pairs):
    return b"".join(text(number_, key, value) for key, value in pairs.items())


def record(extra=b"", pairs=REQUEST):
    return fixed64(1, NOW_NS) + fields(6, pairs) + chunk(9, bytes(range(16))) + chunk(10, bytes(range(8))) + extra


def in_body(pairs=REQUEST):
    return fixed64(11, NOW_NS) + chunk(5, chunk(6, fields(1, pairs)))


ENVOY = {"log_name": "l", "node_name": "sidecar~10.1.2.3~p.n~n.svc", "cluster_name": "c.n", "service.namespace": "n",
         "k8s.namespace.name": "n", "k8s.pod.name": "p", "k8s.deployment.name": "d", "service.version": "v"}


def message(*records, resource=None, scope=chunk(1, "s")):
    held = fields(1, ENVOY) if resource is None else resource
    return chunk(1, chunk(1, held) + chunk(2, chunk(1, scope) + b"".join(chunk(2, each) for each in records)))


def hand_made():
    yield "record", message(record())
    yield "body", message(in_body(), record())
    yield "late-resource", chunk(1, chunk(2, chunk(2, record())) + chunk(1, fields(1, ENVOY)))
    yield "no-envoy", message(record(pairs={"method": "GET", "duration": "3"}), resource=b"")
    yield "service", message(record(), resource=text(1, "service.name", "a") + text(1, "authorization", "s"))
    for kind in ("UpstreamEnd", "TcpConnectionEnd", "TcpPeriodic", "NotSet", "new"):
        yield f"type-{kind}", message(record(pairs={**REQUEST, "access_log_type": kind}), resource=b"")
    yield "tcp", message(record(pairs={"duration": "3", "bytes_sent": "4", "protocol": "-"}))
    for version in ("HTTP/2", "HTTP/3", "HTTP/1.0", "HTTP/", "x"):
        yield f"protocol-{version.replace('/', '-')}", message(record(pairs={"protocol": version, "duration": "1"}))
    yield "version", message(record(pairs={"network.protocol.version": "3", "duration": "1"}))
    for side in ("destination", "waypoint", "both"):
        yield f"side-{side}", message(record(pairs={"weft.reporter": side, "method": "GET", "duration": "1"}), resource=b"")
    integers = b"".join(attribute(6, key, number(3, value)) for key, value in (
        ("response_code", 404), ("duration", 5), ("bytes_sent", -1), ("attempt_count", 3), ("method", 1), ("grpc_status", 2**40)))
    yield "integers", message(text(6, "access_log_type", "DownstreamEnd") + integers)
    yield "numbers", message(record(pairs={**REQUEST, "http.response.status_code": "9999", "duration_us": "x", "duration": "9" * 30,
                                           "bytes_sent": "18446744073709551616", "attempt_count": "4294967296"}))
    yield "values", message(record(attribute(6, "d", double(4, 1.5)) + attribute(6, "b", number(2, 1)) + attribute(6, "y", chunk(7, b"\xff")) +
                                   attribute(6, "m", chunk(6, text(1, "authorization", "s"))) + attribute(6, "l", chunk(5, chunk(1, chunk(1, "x"))))))
    yield "body-text", message(record(chunk(5, chunk(1, "hello"))))
    yield "body-list", message(record(chunk(5, chunk(5, chunk(1, chunk(6, text(1, "cookie", "s")))))))
    yield "body-twice", message(record(chunk(5, chunk(1, "hello") + chunk(1, "again"))))
    yield "body-secret", message(chunk(5, chunk(6, text(1, "authorization", "s") + text(1, "path", "/a?b"))))
    yield "ids-zero", message(record(chunk(9, bytes(16)) + chunk(10, bytes(8))))
    for name, bad in {
        "trace-id": chunk(9, b"abc"), "span-id": chunk(10, b"abc"), "time-type": number(1, 1), "body-type": number(5, 1),
        "attributes-type": number(6, 1), "attribute-cut": chunk(6, b"\x0a\x7f"), "body-cut": chunk(5, b"\x32\x7f"), "group": b"\x9b\x06",
        "body-entry-cut": chunk(5, chunk(6, b"\x0a\x02\x0a\x7f")), "unknown": number(99, 1) + chunk(12, "event"),
    }.items():
        yield f"record-{name}", message(record(), record(bad), record())
    good = message(record())
    for name, bad in {
        "request-cut": b"\x0a\x7f", "request-type": number(1, 1), "resource-cut": chunk(1, chunk(1, b"\x0a\x7f")),
        "resource-type": chunk(1, number(1, 1)), "resource-attribute-type": chunk(1, chunk(1, number(1, 1))),
        "scope-logs-type": chunk(1, number(2, 1)), "scope-logs-cut": chunk(1, chunk(2, b"\x12\x7f")),
        "record-type": chunk(1, chunk(2, number(2, 1))), "scope-type": chunk(1, chunk(2, number(1, 1))),
        "scope-attribute-cut": chunk(1, chunk(2, chunk(1, b"\x1a\x7f"))), "scope-attribute-type": chunk(1, chunk(2, chunk(1, number(3, 1)))),
        "scope-attribute-secret": message(record(), scope=text(3, "cookie", "s")), "unknown": number(7, 1) + chunk(1, number(9, 1)),
        "empty": b"", "tag": varint(1 << 40),
    }.items():
        yield f"structure-{name}", good + bad + good


def seeds():
    for name in ("otlp_logs_envoy", "otlp_logs_envoy_body"):
        for i, data in enumerate(recorded(name + ".logs", 2)):
            yield f"{name}-{i}", b"\x00" + data
            yield f"{name}-{i}-cut", b"\x00" + data[: len(data) * 2 // 3]
            flipped = bytearray(data)
            for at in range(7, len(flipped), 97):
                flipped[at] ^= 1 << at % 8
            yield f"{name}-{i}-flipped", b"\x00" + bytes(flipped)
    for options in (0, 1, 2, 4):
        for name, data in hand_made():
            if options == 0 or name in ("record", "body", "values", "body-secret"):
                yield f"{name}-options-{options}", bytes([options]) + data


if __name__ == "__main__":
    write("otlp_logs", seeds())
