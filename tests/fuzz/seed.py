#!/usr/bin/env python3
"""Writes the seeds of the payloads' fuzz targets: tests/fuzz/corpus/{otlp_trace,native}/seed-*.

Real messages come from tests/corpus; beside them stand the same ones damaged on purpose and small ones made by hand for
what real senders never do. Deterministic: the same recordings give the same seeds. Inputs that a fuzzer found are kept
under other names and not touched.
"""
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parent / "corpus"
NOW_NS = 1_700_000_000_000_000_000


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def double(field, value):
    return varint(field << 3 | 1) + struct.pack("<d", value)


def chunk(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def zigzag(value):
    return value * 2 if value >= 0 else -value * 2 - 1


def packed(field, values):
    return chunk(field, b"".join(varint(v) for v in values))


def attribute(field, key, value):
    return chunk(field, chunk(1, key) + chunk(2, value))


def text(field, key, value):
    return attribute(field, key, chunk(1, value))


def span(extra=b"", trace_id=bytes(range(1, 17)), span_id=bytes(range(1, 9))):
    return (chunk(1, trace_id) + chunk(2, span_id) + chunk(5, "GET /cart") + number(6, 3) +
            fixed64(7, NOW_NS - 2000) + fixed64(8, NOW_NS - 1000) + extra)


def message(*spans, resource=None, scope=None, late=False):
    resource = chunk(1, text(1, "service.name", "shop") if resource is None else resource)
    scope = chunk(1, chunk(1, "test") if scope is None else scope)
    encoded = b"".join(chunk(2, s) for s in spans)
    scope_spans = chunk(2, encoded + scope if late else scope + encoded)
    return chunk(1, scope_spans + resource if late else resource + scope_spans)


def nested(levels):
    value = chunk(1, "deep")
    for level in range(levels):
        value = chunk(5, chunk(1, value)) if level % 2 else chunk(6, chunk(1, chunk(1, "k") + chunk(2, value)))
    return attribute(9, "nest", value)


def lists(levels):
    value = chunk(1, "deep")
    for _ in range(levels):
        value = chunk(5, chunk(1, value))
    return value


def recorded(name, count):
    data = (CORPUS / name).read_bytes()
    at = 0
    messages = []
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        messages.append(data[at + 4:at + 4 + length])
        at += 4 + length
    step = max(1, len(messages) // count)
    return messages[::step][:count]


def hand_made_otlp():
    secret_map = chunk(6, chunk(1, chunk(1, "cookie") + chunk(2, chunk(1, "s"))) + chunk(1, chunk(1, "b") + chunk(2, number(3, 7))))
    everything = span(
        text(9, "http.url", "http://a/b?q") + text(9, "url.query", "q=1") + text(9, "authorization", "x") +
        attribute(9, "http.status_code", number(3, 200)) + attribute(9, "error", number(2, 1)) +
        attribute(9, "d", double(4, 1.5)) + attribute(9, "b", chunk(7, b"\xff\x00")) + attribute(9, "ctx", secret_map) +
        attribute(9, "list", chunk(5, chunk(1, chunk(1, "x")) + chunk(1, secret_map) + chunk(1, double(4, 2)))) +
        attribute(9, "http.request.header.referer", chunk(5, chunk(1, chunk(1, "/?a")))) +
        text(9, "http.route", "/" + "r" * 200) + text(9, "http.target", "/t?x") + attribute(9, "none", b"") +
        chunk(9, chunk(1, "twice") + chunk(2, chunk(1, "a")) + chunk(2, chunk(7, b"b"))) +
        chunk(9, chunk(1, "mixed") + chunk(2, chunk(1, "a") + double(4, 1))) +
        chunk(11, fixed64(1, NOW_NS) + chunk(2, "event") + text(3, "set-cookie", "c")) +
        chunk(13, chunk(1, bytes(16)) + text(4, "x-api-key", "k")) +
        chunk(3, "ot=th:c") + chunk(4, bytes(8)) + chunk(15, chunk(2, "m") + number(3, 2)) +
        varint(16 << 3 | 5) + struct.pack("<I", 257) + number(99, 1))
    resource = (text(1, "service.name", "a") + text(1, "service.namespace", "b") + text(1, "k8s.namespace.name", "c") +
                text(1, "k8s.deployment.name", "d") + text(1, "telemetry.sdk.name", "e") + text(1, "host.name", "f") +
                text(1, "authorization", "s") + attribute(1, "n", number(3, 1)) + number(2, 3))
    scope = chunk(1, "lib") + chunk(2, "1") + text(3, "cookie", "c") + number(4, 1)
    yield "everything", message(everything, span(), resource=resource, scope=scope)
    yield "late", message(everything, span(), resource=resource, scope=scope, late=True)
    often = text(9, "http.method", "GET") + text(9, "http.url", "http://a/b") + text(9, "unknown.key", "value") + text(9, "http.route", "/caf\u00e9")
    yield "repeats", message(span(often), span(often), span(often + often), span(text(9, "http.route", "/x") + often), span(number(6, 2) + often), span(often))
    yield "repeats-differ", message(span(often), span(often.replace(b"GET", b"PUT")), span(often.replace(b"http.url", b"http.urk")), span(
        often.replace(b"/b", b"?b")), span(often), span(often.replace(b"\xc3", b"\xff")), span(often))
    yield "repeats-many", message(*[span(often * 10)] * 3)
    yield "empty", b""
    for name, extra in {
        "short-trace-id": chunk(1, b"x"), "zero-trace-id": chunk(1, bytes(16)), "short-span-id": chunk(2, b"x"),
        "short-parent": chunk(4, b"x"), "zero-span-id": chunk(2, bytes(8)), "end-first": fixed64(8, 1), "long-ago": fixed64(7, 1),
        "far-future": fixed64(8, 2**64 - 1), "name-utf8": chunk(5, b"\xc3\x28"),
        "attribute-utf8": text(9, "http.method", b"\xed\xa0\x80".decode("latin-1")) + chunk(9, chunk(1, "http.route") + chunk(2, chunk(1, b"\xff"))),
        "utf8": text(9, "http.route", "/caf\u00e9/\u20ac/\U0001f600"), "deep-16": nested(16), "deep-17": nested(17), "deep-200": nested(200),
        "wrong-type-id": number(1, 1), "wrong-type-time": number(7, 1), "wrong-type-attributes": number(9, 1),
        "wrong-type-key": chunk(9, number(1, 1)), "wrong-type-value": chunk(9, chunk(2, number(1, 1))),
        "wrong-type-status": chunk(15, chunk(3, b"")), "group": b"\x9b\x06", "field-zero": b"\x00",
        "overlong-varint": number(6, 0)[:1] + b"\x80" * 10 + b"\x01", "overflowing-varint": b"\x30" + b"\xff" * 9 + b"\x7f",
        "irregular-deep": attribute(9, "nest", chunk(6, b"") + lists(20)),
        "irregular-map-deep": attribute(9, "nest", chunk(5, b"") + chunk(6, chunk(1, chunk(1, "k") + chunk(2, lists(16))))),
        "irregular-cut": attribute(9, "nest", chunk(6, b"") + chunk(5, b"\x0a\x7f")),
        "event-utf8": chunk(11, chunk(2, b"\xff")), "event-attribute-utf8": chunk(11, attribute(3, "k", chunk(1, b"\xff"))),
        "link-state-utf8": chunk(13, chunk(3, b"\xff")), "status-utf8": chunk(15, chunk(2, b"\xff")), "state-utf8": chunk(3, b"\xff"),
        "list-utf8": attribute(9, "l", chunk(5, chunk(1, chunk(1, b"\xff")))), "key-utf8": attribute(9, b"\xff", chunk(1, "v")),
        "map-utf8": number(10, 200) + attribute(9, "m", chunk(6, chunk(1, chunk(1, b"\xff") + chunk(2, chunk(1, "v"))))),
        "kind-out-of-range": number(6, 77), "attributes-many": text(9, "zone", "") * 20, "status-cut": chunk(15, b"\x18"),
        "event-cut": chunk(11, b"\x1a\x7f"), "link-cut": chunk(13, b"\x22\x7f"), "list-cut": attribute(9, "l", chunk(5, b"\x0a\x7f")),
    }.items():
        yield "span-" + name, message(span(), span(extra), span())
    good = message(span())
    for name, bad in {
        "request-cut": b"\x0a\x7f", "request-type": number(1, 1), "resource-cut": chunk(1, chunk(1, b"\x0a\x7f")),
        "resource-type": chunk(1, number(1, 1)), "resource-attribute-type": chunk(1, chunk(1, number(1, 1))),
        "scope-spans-cut": chunk(1, chunk(2, b"\x12\x7f")), "scope-spans-type": chunk(1, chunk(2, number(2, 1))),
        "scope-type": chunk(1, chunk(2, chunk(1, number(1, 1)))), "scope-attributes-cut": chunk(1, chunk(2, chunk(1, b"\x1a\x7f"))),
        "scope-late-and-cut": chunk(1, chunk(2, chunk(2, span()) + chunk(1, b"\x1a\x7f"))),
        "resource-late-and-cut": chunk(1, chunk(2, chunk(2, span())) + chunk(1, b"\x0a\x7f")),
        "resource-entity-utf8": message(span(), resource=text(1, "service.name", "a") + chunk(3, chunk(2, b"\xff"))),
        "resource-entity": message(span(), resource=text(1, "service.name", "a") + chunk(3, chunk(2, "service") + chunk(9, b"\xff"))),
        "scope-utf8": message(span(), scope=chunk(1, b"\xff") + chunk(2, b"\xff") + attribute(3, "k", chunk(1, b"\xff"))),
        "schema-utf8": chunk(1, chunk(2, chunk(2, span()) + chunk(3, b"\xff")) + chunk(3, b"\xff")),
        "resource-utf8": message(span(), resource=chunk(1, chunk(1, "service.name") + chunk(2, chunk(1, b"\xff")))),
        "unknown-fields": number(7, 1) + chunk(1, number(9, 1) + chunk(2, number(9, 1) + chunk(2, span()))),
    }.items():
        yield "structure-" + name, good + bad + good


def otlp_seeds():
    for name in ("envoy_spawn_on", "envoy_spawn_off", "sdk_http_old", "sdk_http_new", "sdk_grpc_old", "sdk_rpc_new"):
        for i, data in enumerate(recorded(name + ".otlp", 2)):
            yield f"{name}-{i}", b"\x00" + data
            yield f"{name}-{i}-cut", b"\x00" + data[:len(data) * 2 // 3]
            flipped = bytearray(data)
            for at in range(7, len(flipped), 97):
                flipped[at] ^= 1 << at % 8
            yield f"{name}-{i}-flipped", b"\x00" + bytes(flipped)
    for name, data in hand_made_otlp():
        yield name, b"\x01" + data
    long_query = chunk(9, chunk(1, "http.url") + chunk(2, chunk(1, b"http://\xff?" + b"q" * 20)))
    yield "limit-with-query", b"\x03" + message(span(), span(long_query), span(long_query + attribute(9, "http.target", chunk(1, "") + chunk(1, b"\xff?" + b"q" * 20))))
    for options in (2, 4, 8):
        for name, data in list(hand_made_otlp())[:2]:
            yield f"{name}-options-{options}", bytes([options]) + data


def batch(count=3, extra=b"", **columns):
    ids = b"".join(bytes([i % 255 + 1]) * 16 for i in range(count))
    fields = {7: [zigzag(-i * 1000) for i in range(count)], 8: [1000 + i for i in range(count)], 9: [1 + i % 3 for i in range(count)],
              10: list(range(count)), 14: [7] * count, 17: [200] * count, 18: [i % 3 for i in range(count)], 21: [10**6] * count,
              23: [1 << 55] * count}
    fields.update({int(k[1:]): v for k, v in columns.items()})
    return (number(1, 5) + number(2, count) + number(3, NOW_NS) + chunk(4, ids) + chunk(5, ids[:count * 8]) +
            b"".join(packed(f, v) for f, v in fields.items()) + extra)


def hand_made_native():
    hello_id = chunk(2, bytes(range(16)))
    hello = number(1, 1) + hello_id + number(3, 1) + chunk(4, "node") + chunk(5, "web") + chunk(6, "shop") + number(7, NOW_NS)
    yield "hello", 0, hello
    yield "hello-version", 0, number(1, 2) + hello_id
    yield "hello-id-short", 0, number(1, 1) + chunk(2, b"x")
    yield "hello-id-zero", 0, number(1, 1) + chunk(2, bytes(16))
    yield "hello-utf8", 0, number(1, 1) + hello_id + chunk(4, b"\xff")
    yield "hello-long", 0, number(1, 1) + hello_id + chunk(5, "x" * 1025)
    yield "hello-group", 0, b"\x0b"
    yield "dictionary", 1, number(1, 1) + chunk(2, "web") + chunk(2, "") + chunk(2, "caf\u00e9")
    yield "dictionary-utf8", 1, number(1, 1) + chunk(2, b"\xc0\x80")
    yield "dictionary-many", 1, chunk(2, "x") * 65
    yield "dictionary-type", 1, number(2, 1)
    yield "spans", 2, batch()
    yield "spans-parents", 2, batch(extra=chunk(6, bytes(24)) + number(77, 1))
    yield "spans-full", 2, batch(8, c9=[1, 2, 3, 1, 2, 3, 1, 1], c11=range(8), c12=[2] * 4 + [3] * 4, c13=[1, 1, 2, 2, 3, 3, 4, 0], c14=range(8), c15=[1] * 8,
                                 c16=[0, 1, 2, 3, 4, 5, 1, 1], c17=[0, 200, 404, 503, 0, 0, 101, 0], c18=[0, 0, 0, 0, 15, 1, 0, 0], c19=[1 << i * 5 for i in range(8)],
                                 c20=range(8), c22=[7] * 8, extra=chunk(6, bytes(range(64))))
    yield "spans-none", 2, number(1, 1)
    yield "spans-no-sequence", 2, number(2, 0)
    yield "spans-unpacked", 2, batch() + b"".join(number(16, v) for v in (1, 2, 3))
    yield "spans-count", 2, batch() + number(2, 4)
    yield "spans-count-huge", 2, batch() + number(2, 1 << 40)
    yield "spans-span-ids", 2, batch() + chunk(5, b"x")
    yield "spans-parent-ids", 2, batch() + chunk(6, b"x")
    yield "spans-column-short", 2, batch(c17=[200, 200])
    yield "spans-column-few", 2, batch(c17=[200])
    yield "spans-zero-id", 2, batch(extra=chunk(5, bytes(24)))
    yield "spans-no-trace", 2, batch(extra=chunk(4, bytes(48)))
    yield "spans-far", 2, batch(c7=[zigzag(2**62), zigzag(-2**62), 0], c8=[2**64 - 1] * 3)
    yield "spans-dictionary", 2, batch(c10=[99, 100, 2**32 - 1], c15=[100] * 3)
    for name, column, value in (("reporter", 9, 9), ("protocol", 16, 9), ("code", 17, 1000), ("grpc", 18, 18), ("threshold", 23, 1 << 56)):
        yield "spans-range-" + name, 2, batch(**{f"c{column}": [value] * 3})
    yield "spans-type", 2, chunk(1, b"")
    yield "spans-overlong", 2, b"\x08" + b"\x80" * 10 + b"\x01"
    yield "spans-large", 2, batch(200)
    yield "spans-cut", 2, batch()[:-5]
    series = number(1, 1) + number(2, 3) + number(3, 4) + packed(6, [1, 2]) + packed(7, [3, 4])
    point = number(1, 1) + number(2, zigzag(5)) + number(3, 2) + double(4, 1e-9) + number(5, zigzag(-70)) + packed(6, [1, 0, 3]) + double(7, 2.5)
    doubles = struct.pack("<2d", 1.0, float("nan"))
    yield "metrics", 3, (number(1, 2) + number(2, NOW_NS) + chunk(3, series) + packed(4, [1, 2]) + chunk(5, doubles) +
                         packed(6, [1]) + double(7, -1) + chunk(8, point) + chunk(8, b""))
    yield "metrics-counters", 3, packed(4, [1]) + chunk(5, doubles)
    yield "metrics-gauges", 3, packed(6, [1])
    yield "metrics-doubles-cut", 3, packed(4, [1]) + chunk(5, doubles[:7])
    yield "metrics-labels", 3, chunk(3, packed(6, [1]))
    yield "metrics-labels-many", 3, chunk(3, packed(6, [1] * 33) + packed(7, [1] * 33))
    yield "metrics-labels-bytes", 3, chunk(3, packed(6, [1] * 400))
    yield "metrics-buckets-many", 3, chunk(8, packed(6, [1] * 1025))
    yield "metrics-series-type", 3, chunk(3, chunk(1, b""))
    yield "metrics-series-cut", 3, chunk(3, b"\x08")
    for name, bad in (("scale", number(2, zigzag(21))), ("offset", number(5, zigzag(2**31 - 1))), ("threshold", double(4, -1.0)),
                      ("sum", double(7, float("inf"))), ("sum-of-buckets", packed(6, [2**64 - 1, 1]))):
        yield "metrics-histogram-" + name, 3, chunk(8, bad)
    yield "stats", 4, number(1, 5) + number(2, 7)
    logs = (number(1, 1) + number(2, 2) + number(3, NOW_NS) + chunk(4, bytes(range(32))) + chunk(5, bytes(range(16))) +
            packed(6, [zigzag(0), zigzag(-5)]) + packed(7, [9, 17]) + chunk(8, "hello") + chunk(8, "caf\u00e9"))
    pairs = packed(9, [1, 2]) + chunk(10, "url.path") + chunk(10, "http.request.header.cookie") + chunk(10, "url.query") + b"".join(chunk(11, v) for v in ("/a?b", "s", "q"))
    yield "logs", 5, logs + pairs
    yield "logs-bare", 5, number(1, 1) + number(2, 1) + number(3, NOW_NS) + chunk(8, "x")
    yield "logs-none", 5, number(1, 1)
    yield "logs-no-sequence", 5, logs.replace(number(1, 1), number(1, 0), 1)
    yield "logs-zero-ids", 5, number(1, 1) + number(2, 1) + number(3, NOW_NS) + chunk(4, bytes(16)) + chunk(5, bytes(8)) + chunk(8, "")
    for name, bad in (("count", number(2, 3)), ("count-huge", number(2, 1 << 40)), ("trace-ids", chunk(4, b"x")), ("span-ids", chunk(5, b"x")), ("keys", chunk(10, "k")),
                      ("counts", packed(9, [1, 3])), ("counts-few", packed(9, [1])), ("offsets", packed(6, [1, 2, 3])), ("severities", packed(7, [300])), ("type", chunk(1, b"")),
                      ("far", number(3, 1)), ("severity", packed(7, [25, 26])), ("offsets-short", packed(6, [300])), ("severities-long", packed(7, [1, 2])),
                      ("counts-long", packed(9, [0, 0]))):
        yield f"logs-{name}", 5, logs + pairs + bad
    yield "logs-severity-large", 5, logs.replace(packed(7, [9, 17]), packed(7, [9, 25]))
    yield "logs-utf8", 5, logs.replace(b"hello", b"hel\xfeo") + pairs
    yield "logs-utf8-key", 5, logs + pairs.replace(b"url.query", b"url.quer\xff")
    yield "logs-utf8-value", 5, logs + pairs.replace(b"/a?b", b"/a?\xff")
    yield "logs-key-empty", 5, logs + packed(9, [1, 0]) + chunk(10, "") + chunk(11, "v")
    yield "logs-time", 5, logs.replace(number(3, NOW_NS), number(3, NOW_NS - 10**15))
    yield "logs-time-wraps", 5, logs.replace(packed(6, [zigzag(0), zigzag(-5)]), packed(6, [zigzag(2**63 - 1), zigzag(-2**63)]))
    yield "small-arena-logs", 21, logs + pairs * 50
    yield "stats-type", 4, chunk(1, b"")
    yield "small-arena-spans", 18, batch()
    yield "small-arena-spans-few", 18, batch(2, c10=[1, 2])
    yield "small-arena-spans-ten", 18, batch(10)
    yield "small-arena-spans-large", 18, batch(200)
    yield "small-arena-metrics", 19, chunk(3, series) * 100


def write(target, seeds):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    for name, data in seeds:
        (folder / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    write("otlp_trace", otlp_seeds())
    write("native", ((name, bytes([kind]) + payload) for name, kind, payload in hand_made_native()))
