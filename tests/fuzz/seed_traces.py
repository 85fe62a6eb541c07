#!/usr/bin/env python3
"""Writes the seeds of the target that asks about traces: tests/fuzz/corpus/trace_query/seed-*; trace_query_fuzz.c has the form."""
import struct

from seed import NOW_NS, attribute, chunk, double, fixed64, number, span, text, write

TRACE = bytes(range(1, 17))
HEX = TRACE.hex()

QUERIES = [
    ("none", "/api/v1/nothing", []),
    ("search", "/api/v1/traces", [("service", "cart.shop"), ("route", "/a"), ("min_duration", "1.5ms"), ("max_duration", "1m"), ("error", "true"),
                                  ("flags", "UF,URX"), ("since", "90s"), ("limit", "7"), ("tag", "a:b:c"), ("peers", "no"), ("ids", "1," + HEX)]),
    ("search-unknown", "/api/v1/traces", [("srevice", "a")]), ("search-empty", "/api/v1/traces", [("service", "")]),
    ("search-twice", "/api/v1/traces", [("service", "a"), ("service", "b")]), ("search-error", "/api/v1/traces", [("error", "yes")]),
    ("search-flags", "/api/v1/traces", [("flags", "XX")]), ("search-crossed", "/api/v1/traces", [("min_duration", "2s"), ("max_duration", "1s")]),
    ("search-ids", "/api/v1/traces", [("ids", "1,,2")]), ("search-many-ids", "/api/v1/traces", [("ids", "1," * 101)]),
    ("search-long", "/api/v1/traces", [("service", "a" * 5000)]), ("search-long-tag", "/api/v1/traces", [("tag", "a:" + "b" * 5000)]),
    ("trace", "/api/v1/traces/" + HEX, [("peers", "yes")]), ("trace-bad", "/api/v1/traces/xyz", []), ("trace-zero", "/api/v1/traces/0", []),
    ("trace-long", "/api/v1/traces/" + "1" * 33, []), ("trace-upper", "/api/traces/ABCDEF", [("start", "1"), ("end", "2")]),
    ("services", "/api/services", []), ("names", "/api/services/a%2Fb/c/operations", []), ("names-long", "/api/services/" + "a" * 5000 + "/operations", []),
    ("operations", "/api/operations", [("service", "a"), ("spanKind", "server")]), ("operations-none", "/api/operations", []),
    ("jaeger", "/api/traces", [("service", "cart"), ("operation", "GET /"), ("tags", '{"error":"true","a\\u00e9":"x\\"y"}'), ("tag", "http.status_code:500"),
                               ("minDuration", "10ms"), ("maxDuration", "1h1m1.5s"), ("limit", "20"), ("start", "1699999990000000"),
                               ("end", "1699999999000001"), ("lookback", "custom"), ("traceID", HEX), ("service", "again")]),
    ("dependencies", "/api/dependencies", [("endTs", "1700000000000"), ("lookback", "3600000")]),
    ("dependencies-far", "/api/dependencies", [("endTs", "5"), ("lookback", "9223372036854")]),
    ("v3", "/api/v3/traces", [("query.service_name", "a"), ("query.start_time_min", "2023-11-14T22:13:00Z"), ("query.start_time_max", "2023-11-14T23:13:20.5+01:00"),
                              ("query.duration_min", "1s"), ("query.num_traces", "3")]),
    ("v3-new", "/api/v3/traces", [("query.serviceName", "a"), ("query.startTimeMin", "2000-02-29T00:00:00-00:30"), ("query.startTimeMax", "2023-11-14t22:13:20.1234567899Z")]),
    ("v3-none", "/api/v3/traces", [("query.service_name", "a")]), ("v3-bad", "/api/v3/traces", [("query.start_time_min", "yesterday")]),
    ("v3-trace", "/api/v3/traces/" + HEX, [("start_time", "1969-01-01T00:00:00Z")]), ("v3-services", "/api/v3/services", []),
    ("v3-operations", "/api/v3/operations", [("service", "a"), ("span_kind", "client")]),
]
VALUES = {
    "start": ["x", " 1", "-5", "9223372036854775807", "1700000000000001"], "limit": ["-1", "1501", "+5", "4294967296"],
    "minDuration": ["5", "5x", "s", "-1s", "0", "+0", "1us", "1\u00b5s", ".5s", "99999999999999999999s", "2562048h", "9223372036854775807ns1ns", "1." + "3" * 40 + "h"],
    "tags": ["[]", '{"a":1}', '{"a":"b"', '{"a":"b"}x', "", '{"%s":"b"}' % ("a" * 4090)], "tag": ["error"], "traceID": ["g"],
}
TIMES = ["2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01T00:00:00+24:00", "9999-01-01T00:00:00Z", "2023-01-01T00:00:00.Z", "0000-01-01T00:00:00Z"]


def query(path, arguments):
    return b"\0".join(part.encode() for part in [path] + [part for argument in arguments for part in argument])


def part(*resource_spans):
    content = b"".join(chunk(1, r) for r in resource_spans)
    return struct.pack("<H", len(content)) + content


def group(service, spans, resource=b"", scope=b"", behind=b""):
    return chunk(1, text(1, "service.name", service) + resource) + chunk(2, chunk(1, scope) + b"".join(chunk(2, s) for s in spans)) + behind


def one(span_id, parent=0, kind=1, start=0, end=5, extra=b"", name="x"):
    return (chunk(1, TRACE) + chunk(2, struct.pack(">Q", span_id)) + (chunk(4, struct.pack(">Q", parent)) if parent else b"") + chunk(5, name) + number(6, kind)
            + fixed64(7, NOW_NS + start) + fixed64(8, NOW_NS + end) + extra)


def nested(depth):
    return b"" if depth == 0 else chunk(5, chunk(1, nested(depth - 1)))


RICH = (text(9, "text", "caf\u00e9 \"\\\n\x01") + attribute(9, "true", number(2, 1)) + attribute(9, "int", number(3, -42)) + attribute(9, "large", number(3, 1 << 62))
        + attribute(9, "real", double(4, 0.1)) + attribute(9, "nan", double(4, float("nan"))) + attribute(9, "inf", double(4, float("-inf"))) + attribute(9, "+inf", double(4, float("inf")))
        + attribute(9, "bytes", chunk(7, b"\0\1\2\3")) + attribute(9, "two", chunk(7, b"\0\1")) + attribute(9, "list", chunk(5, chunk(1, chunk(1, "a")) + chunk(1, number(3, 1)) + chunk(1, b"")))
        + attribute(9, "map", chunk(6, text(1, "k", "v") + chunk(1, chunk(1, "n")))) + attribute(9, "", chunk(1, b"\xff\xc3\xed\xa0\x80\xf0\x9f\x98\x80\b\f\r\t\x7f"))
        + attribute(9, "both", chunk(1, "a") + number(3, 5)) + chunk(9, b"") + number(10, 3)
        + chunk(11, fixed64(1, NOW_NS) + chunk(2, "retry") + text(3, "attempt", "2") + number(4, 1)) + chunk(11, b"")
        + chunk(13, chunk(1, b"\xff" * 16) + chunk(2, b"\xaa" * 8) + chunk(3, "s") + text(4, "l", "v") + number(5, 1) + b"\x35\1\0\0\0") + chunk(13, chunk(1, b"x"))
        + chunk(15, chunk(2, "no luck") + number(3, 2)) + chunk(3, "ot=th:8") + b"\x85\x01\x01\x01\0\0" + number(12, 1) + number(14, 1) + number(99, 7))
SCOPE = chunk(1, "http") + chunk(2, "1.2") + text(3, "a", "b") + number(4, 1)
SHOP = text(1, "service.namespace", "shop") + attribute(1, "pid", number(3, 4711)) + number(2, 1)
ACCESS_LOG = text(9, "weft.signal", "access_log")
FIND = [("service", "cart.shop"), ("tag", "attempt:2"), ("tag", "int:-42"), ("tag", "list:[\"a\",1,null]"), ("operation", "cart")]

MODELS = {
    "rich": part(group("cart", [one(1, kind=2, extra=RICH, name="cart")], SHOP, SCOPE, chunk(3, "urn:1"))) + part(group("prices.shop", [one(2, 1, 3)], text(1, "k8s.namespace.name", "shop"))),
    "same": part(group("a", [one(1), one(1, extra=RICH)]), group("a", [one(1)])) + part(group("b", [one(1, extra=ACCESS_LOG), one(2, extra=ACCESS_LOG)])),
    "shared": part(group("front", [one(1, kind=3), one(2, 1, 3)])) + part(group("back", [one(2, 1, 2), one(3, 2, 1), one(2, 1, 5), one(2, 1, 4), one(2, 1, 0)])),
    "parents": part(group("a", [one(1, 3), one(2, 1, start=1), one(3, 2, start=2), one(4, 4), one(5, 3, start=-9), one(6, 99), one(7, 8), one(8, 7)])),
    "foreign": part(group("a", [span(trace_id=b"\2" * 16), span(trace_id=b"x"), span(span_id=bytes(8)), one(1, end=-7, kind=9), chunk(1, TRACE) + chunk(2, b"12345678") + chunk(4, b"1")])),
    "wire": part(group("a", [chunk(1, TRACE) + chunk(2, b"1234567%d" % i) + bytes([i << 3 | 5]) + bytes(4) for i in range(1, 10)])),
    "scopes": part(group("a", [one(1)], scope=b"\x0a\xff"), group("a", [one(2)], resource=b"\x0d\0\0\0\0"), group("", [one(3)]), chunk(2, chunk(2, one(4)))),
    "large-scope": part(group("a", [one(1)], scope=chunk(1, "x" * 40000))) + part(group("a", [one(2)], resource=text(1, "x", "y" * 20000))),
    "deep": part(group("a", [one(1, extra=attribute(9, "d", nested(100))), one(2, extra=attribute(9, "d", nested(200)))])),
    "broken": part(group("a", [one(1)])) + struct.pack("<H", 9) + b"\x0a\x07\x12\x05\x12\xff\x01\x02\x03",
    "broken-types": part(b"\x0d\0\0\0\0") + part(b"\x15\0\0\0\0") + struct.pack("<H", 5) + b"\x0d\0\0\0\0" + part(chunk(2, b"\x15\0\0\0\0")) + part(chunk(2, b"\x0d\0\0\0\0")) + part(chunk(2, b"\x1d\0\0\0\0")),
    "many-parts": struct.pack("<H", 2) * 0 + (struct.pack("<H", 2) + b"\x0a\0") * 70,
    "many-groups": part(*[group("s%d" % i, [one(i + 1)]) for i in range(40)]) + part(*[group("s%d" % i, [one(i + 50)], text(1, "k", "v")) for i in range(40)]),
    "many-spans": part(group("a", [one(i + 1, i) for i in range(200)])),
    "kinds": part(group("a", [one(i + 1, kind=i, extra=chunk(15, number(3, i))) for i in range(7)] + [one(20, kind=-1)])),
    "empty": b"",
}


PEERS = {
    "matches": '{"matches":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","startTimeUnixNano":"5","durationNano":"7","service":"c\\u0061rt",'
               '"route":"/","outcome":"server_error","responseCode":503,"responseFlags":["UF","URX",1,[]],"error":true,"later":{"a":[1]}},7,{"traceId":"0"},[]],'
               '"resourceSpans":[],"warnings":["late \\"x\\"",7,[],""]}',
    "matches-odd": '{"matches":[{"traceId":7,"spanId":{},"startTimeUnixNano":"x","service":["a"],"route":"' + "r" * 300 + '","outcome":"?","responseCode":70000,"error":"true","responseFlags":"UF"}]}',
    "names": '{"data":["a","\\u0062",7,null,[1],{"name":"op","spanKind":"server","x":{}},{"name":"op","spanKind":"?"},{"name":["a"]}],"total":3}',
    "scalar": "7", "empty": "", "cut": '{"matches":[{"a":', "cut-flags": '{"matches":[{"responseFlags":["UF"', "cut-skip": '{"matches":[[1,', "cut-member": '{"a":[1,',
    "cut-name": '{"data":[{"name":"a"', "cut-names": '{"data":[[1', "cut-names-member": '{"data":[{"x":[1', "matches-number": '{"matches":7,"data":7}',
}


def seeds():
    for name, path, arguments in QUERIES:
        yield name, b"\0" + query(path, arguments)
    for name, document in PEERS.items():
        yield "peer-" + name, b"\2" + document.encode()
    for name, values in VALUES.items():
        for i, value in enumerate(values):
            yield f"jaeger-{name}-{i}", b"\0" + query("/api/traces", [("service", "a"), (name, value)])
    for i, value in enumerate(TIMES):
        yield f"v3-time-{i}", b"\0" + query("/api/v3/traces", [("query.start_time_min", value), ("query.start_time_max", value)])
    yield "jaeger-many-tags", b"\0" + query("/api/traces", [("tags", "{" + ",".join('"a%d":"b"' % i for i in range(17)) + "}")])
    for name, content in MODELS.items():
        yield "model-" + name, b"\1" + content + b"\0\0" + query("/api/traces", FIND)
        yield "model-find-" + name, b"\1" + content + b"\0\0" + query("/api/v1/traces", [("service", "a"), ("tag", "real:0.1"), ("tag", "event:retry")])


if __name__ == "__main__":
    write("trace_query", seeds())
