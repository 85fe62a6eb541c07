#!/usr/bin/env python3
"""Writes the seeds of the fuzz target als: tests/fuzz/corpus/als/seed-*.

Real messages come from tests/corpus/als_envoy.als, their nodes cut to what is read of them; beside them stand small
ones made by hand for what a real Envoy without a mesh never sends. Deterministic: the same recording gives the same seeds.
"""
import struct

from seed import CORPUS, chunk, number, varint, write

MESSAGE, ANY, STRUCT = b"\x00", b"\x01", b"\x02"
TYPE = "type.googleapis.com/google.protobuf."
MESSAGES_MAX = 12
ENTRIES_BYTES_MAX = 6000


def recorded():
    data = (CORPUS / "als_envoy.als").read_bytes()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def fields(data):
    """(number, bytes or integer, the field as it came) of a message of varints and byte runs."""
    at = 0

    def read_varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        start, tag = at, read_varint()
        value = read_varint()
        if tag & 7 == 2:
            at += value
            value = data[at - value : at]
        yield tag >> 3, value, data[start:at]


def short(message):
    """The message with two extensions in its node, and its first entries alone."""
    out = b""
    for field, value, _ in fields(message):
        if field == 1:
            parts = list(fields(value))
            node = [raw for name, _, raw in fields(parts[0][1]) if name != 9]
            extensions = [raw for name, _, raw in fields(parts[0][1]) if name == 9][:2]
            value = chunk(1, b"".join(node + extensions)) + b"".join(raw for _, _, raw in parts[1:])
            out += chunk(1, value)
            continue
        kept = b""
        for _, _, raw in fields(value):
            if len(kept) < ENTRIES_BYTES_MAX:
                kept += raw
        out += chunk(field, kept)
    return out


def value_text(key, text):
    return chunk(1, chunk(1, key) + chunk(2, chunk(3, text)))


def metadata_struct():
    labels = value_text("app", "reviews") + value_text("service.istio.io/canonical-name", "reviews")
    labels += value_text("version", "v1")
    return (value_text("NAME", "reviews-v1-1") + value_text("NAMESPACE", "shop") + value_text("WORKLOAD_NAME", "reviews-v1") +
            value_text("CLUSTER_ID", "east") + chunk(1, chunk(1, "LABELS") + chunk(2, chunk(5, labels))) + number(9, 1))


class Flat:
    """A flatbuffer as small as the format allows."""

    def __init__(self):
        self.data = bytearray(4)

    def _align(self):
        self.data += bytes(-len(self.data) % 4)
        return len(self.data)

    def text(self, text):
        at = self._align()
        self.data += struct.pack("<I", len(text)) + text.encode() + b"\0"
        return at

    def table(self, count):
        layout = self._align()
        self.data += struct.pack(f"<{2 + count}H", 4 + 2 * count, 4 + 4 * count, *(4 + 4 * i for i in range(count)))
        at = self._align()
        self.data += struct.pack("<i", at - layout) + bytes(4 * count)
        return at

    def point(self, at, to):
        struct.pack_into("<I", self.data, at, to - at)


def flat_node():
    flat = Flat()
    root = flat.table(10)
    struct.pack_into("<I", flat.data, 0, root)
    for i, text in enumerate(("reviews-v1-1", "shop", None, "owner", "reviews-v1", "", "1.20", "mesh", "", "east")):
        if text is not None:
            flat.point(root + 4 + 4 * i, flat.text(text))
    labels = (("app", "reviews"), ("version", "v1"), ("service.istio.io/canonical-name", "reviews"))
    vector = flat._align()
    flat.data += struct.pack("<I", len(labels)) + bytes(4 * len(labels))
    flat.point(root + 4 + 4 * 2, vector)
    for i, (key, text) in enumerate(labels):
        table = flat.table(2)
        flat.point(vector + 4 + 4 * i, table)
        flat.point(table + 4, flat.text(key))
        flat.point(table + 8, flat.text(text))
    return bytes(flat.data)


def any_of(kind, value):
    return chunk(1, TYPE + kind) + chunk(2, value)


def time(seconds, nanos):
    return number(1, seconds) + number(2, nanos)


def entry(common=b"", request=b"", response=b"", **tags):
    custom = b"".join(chunk(22, chunk(1, key) + chunk(2, text)) for key, text in tags.items())
    common = chunk(5, time(1_700_000_000, 5)) + common + custom
    return chunk(1, common) + number(2, 3) + chunk(3, number(1, 2) + chunk(5, "/a/1") + request) + chunk(4, response)


def logs(kind, *entries):
    return chunk(kind, b"".join(chunk(1, each) for each in entries))


def seeds():
    chosen = {}
    for message in recorded():
        kinds = tuple(sorted(field for field, _, _ in fields(message)))
        key = kinds, len(message) // 4000
        if len(chosen) < MESSAGES_MAX:
            chosen.setdefault(key, message)
    for i, message in enumerate(chosen.values()):
        yield f"recorded-{i}", MESSAGE + short(message)
    any_struct, any_bytes = any_of("Struct", metadata_struct()), any_of("BytesValue", chunk(1, metadata_struct()))
    any_flat = any_of("BytesValue", chunk(1, flat_node()))
    any_text = any_of("StringValue", chunk(1, "workload=reviews-v1,namespace=shop,,=,service=reviews"))
    for name, each in (("struct", any_struct), ("bytes", any_bytes), ("flat", any_flat), ("text", any_text),
                       ("other", any_of("Int64Value", number(1, 5))), ("cut", any_of("StringValue", b"\x0a\x09"))):
        yield f"any-{name}", ANY + each
        yield f"any-{name}-short", ANY + each[:-9]
    for at in (0, 4, 8, 30, 60):
        damaged = bytearray(flat_node())
        damaged[at : at + 4] = b"\xff\xff\xff\x7f"
        yield f"flat-damaged-{at}", ANY + any_of("BytesValue", chunk(1, bytes(damaged)))
    yield "struct", STRUCT + metadata_struct()
    yield "struct-cut", STRUCT + metadata_struct()[:-3]
    state = b"".join(chunk(21, chunk(1, key) + chunk(2, each)) for key, each in
                     (("wasm.upstream_peer", any_flat), ("downstream_peer", any_struct), ("another", any_text)))
    san = chunk(1, chunk(1, "spiffe://cluster.local/ns/shop/sa/web"))
    tls = chunk(4, chunk(4, san) + chunk(5, chunk(1, chunk(2, "dns")) + san))
    flags = chunk(16, b"".join(number(i, 1) for i in range(1, 13)) + chunk(13, number(1, 1)) + number(40, 1))
    pipe = chunk(13, chunk(2, chunk(1, "/run/a.sock"))) + number(24, 3) + chunk(25, "because")
    request = chunk(10, "/original") + chunk(13, chunk(1, "content-type") + chunk(2, "application/grpc")) + chunk(6, "curl")
    response = chunk(1, number(1, 200)) + number(3, 9) + chunk(5, chunk(1, "grpc-status") + chunk(2, "5")) + chunk(6, "ok")
    tags = {"trace_id": "1-5759e988-bd862e3fe1be46a994272793", "span_id": "bd862e3fe1be46a9", "grpc_status": "x",
            "upstream_cluster": "outbound|80||a.b.svc", "weft.reporter": "waypoint", "weft.route": "/a/{id}",
            "upstream_peer_uri_san": "spiffe://a,spiffe://b"}
    whole = entry(state + tls + flags + pipe + chunk(23, time(1, 2)) + number(27, 1) + number(33, 4), request, response, **tags)
    yield "entry", MESSAGE + logs(2, whole, entry(number(33, 9)), entry(chunk(12, time(0, 7))))
    for side in ("source", "destination", "nobody", "-", ""):
        yield f"side-{side}", MESSAGE + logs(2, entry(**{"weft.reporter": side}))
    for i, trace in enumerate(("-", "zz" * 16, "AB" * 16, "ab" * 8, "0" * 32)):
        yield f"trace-{i}", MESSAGE + logs(2, entry(trace_id=trace, span_id=trace))
    tcp = chunk(1, number(33, 3) + chunk(15, "redis")) + chunk(2, number(1, 7) + number(2, 8))
    yield "tcp", MESSAGE + logs(3, tcp, chunk(1, number(33, 2)), chunk(2, b"\x08"), number(1, 1), number(2, 1))
    node = chunk(1, "sidecar~10.1.2.3~web.shop~shop.svc.cluster.local") + chunk(2, "web") + chunk(3, metadata_struct())
    yield "node", MESSAGE + chunk(1, chunk(1, node + chunk(9, b"x" * 300)) + chunk(2, "http"))
    yield "node-cut", MESSAGE + chunk(1, chunk(1, node[:-2]))
    for i, damage in enumerate((b"\x08\x01", b"\x12\x09", chunk(2, b"\x08\x01"), chunk(2, b"\x0a\x09"), b"\x0b")):
        yield f"broken-{i}", MESSAGE + damage
    damages = (chunk(5, b"\x18\x05"), chunk(5, b"\x08"), number(5, 1), chunk(16, b"\x09"), chunk(22, b"\x0a\x09"), chunk(4, b"\x22\x01\x0a"),
               chunk(13, b"\x0a\x01\x12"), chunk(21, b"\x0a\x09"), chunk(23, b"\x08" + b"\xff" * 9 + b"\x01"), varint(24 << 3))
    for i, damage in enumerate(damages):
        yield f"damaged-{i}", MESSAGE + logs(2, chunk(1, damage), entry())
    for i, damage in enumerate((chunk(3, chunk(1, b"")), chunk(3, b"\x2a\x09"), chunk(4, number(1, 1)), chunk(4, chunk(1, b"\x08")),
                                chunk(2, b""), chunk(4, b"\x0a\x02\x08"), b"\x10", chunk(3, b"\xff"), chunk(4, b"\xff"), b"\xff")):
        yield f"damaged-part-{i}", MESSAGE + logs(2, damage)


if __name__ == "__main__":
    write("als", seeds())
