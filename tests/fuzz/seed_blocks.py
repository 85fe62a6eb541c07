#!/usr/bin/env python3
"""Writes the seeds of the trace_block target: tests/fuzz/corpus/trace_block/seed-*.

Blocks of the ring (agent/trace/block.h) written by hand: sound ones with every form of entry, and the same with one thing
wrong; then compressed ones (agent/trace/frozen.h). Deterministic. Inputs that a fuzzer found are kept under other names and not touched.
"""
import pathlib
import struct

OUT = pathlib.Path(__file__).resolve().parent / "corpus" / "trace_block"
BLOCK_BYTES = 16384
PLACE_BYTES = 16
NOW = 1700000000000000000
FROZEN_HEAD_BYTES = 144
OTLP, NATIVE, LOG = 0, 1, 2
ERROR, KEPT, REWRITE, HAS_FLAGS = 1, 2, 4, 8


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def text_attribute(number, key, text):
    return field(number, field(1, key.encode()) + field(2, field(1, text.encode())))


def duration_code(ns):
    if ns < 1024:
        return ns
    exponent = ns.bit_length() - 1
    return exponent - 9 << 10 | ns >> exponent - 10 & 1023


def trace_id(number):
    return struct.pack("<QQ", 0x1122334455667788, number)


def span_id(number):
    return struct.pack("<Q", number)


def otlp_span(trace, span, start, duration, url=None, tracestate=b""):
    out = field(1, trace_id(trace)) + field(2, span_id(span)) + field(3, tracestate) + field(5, b"GET /cart") + b"\x30\x02"
    out += b"\x39" + struct.pack("<Q", start) + b"\x41" + struct.pack("<Q", start + duration)
    return out + (text_attribute(9, "http.url", url) if url else b"")


class Block:
    def __init__(self):
        self.front = bytearray(64)
        self.entries = []

    def put(self, data):
        at = len(self.front)
        self.front += data + bytes(-len(data) % PLACE_BYTES)
        return at

    def name(self, text):
        return self.put(struct.pack("<H", len(text)) + text.encode()) // PLACE_BYTES

    def envelope(self, resource, scope):
        return self.put(struct.pack("<II", len(resource), len(scope)) + resource + scope) // PLACE_BYTES

    def entry(self, payload, *, form=OTLP, trace=1, span=1, start=NOW, duration=5000, service=0, route=0, outcome=0, kind=2,
              role=0, flags=0, envelope=0, code=200, response_flags=0, previous=0):
        record = trace_id(trace) + span_id(span) + struct.pack("<QQIHH", start, duration, len(payload), envelope, code)
        if response_flags:
            flags |= HAS_FLAGS
            record += struct.pack("<Q", response_flags)
        at = self.put(record + payload)
        kinds = outcome | kind << 3 | form << 6
        self.entries.append(struct.pack("<IiHHHBBII", 0, (start - NOW) // 1000000, service, route, duration_code(duration),
                                        kinds, flags | role << 4, at, previous))

    def request(self, source, destination, **others):
        stored = struct.pack("<8sQQQIHHHHhBBB7x", span_id(7), 11, 22, others.pop("threshold", 0), 2, source, 0, destination, 0,
                             others.pop("grpc", -1), others.pop("reporter", 0), others.pop("protocol", 2),
                             others.pop("method", 3))
        self.entry(stored, **others)

    def bytes(self, options=0, **header):
        told = {"sequence": 2, "opened": NOW, "base": NOW, "start_min": NOW - 10**9, "start_max": NOW + 10**9,
                "front": len(self.front), "entry_count": len(self.entries), "not_kept": len(self.entries), "logs": 1}
        told.update(header)
        self.front[:64] = struct.pack("<QQQQQIIII8x", *told.values())
        tail = b"".join(reversed(self.entries))
        return bytes([options]) + struct.pack("<H", len(self.front)) + bytes(self.front) + tail


def zstd_frame(data):
    """Of one raw block: any decoder takes it."""
    return b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", len(data) - 256) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def frozen(block, options=0, *, names=True, frame=None, front=None, changes=()):
    """The same block compressed, with u32 of its head (offset, value) changed afterwards."""
    block.bytes()
    data = bytes(block.front)
    entries = b"".join(reversed(block.entries))
    places = sorted({place for entry in block.entries for place in struct.unpack_from("<HH", entry, 8)} - {0}) if names else []
    index, texts = b"", b""
    at = FROZEN_HEAD_BYTES + len(entries) + 8 * len(places)
    for place in places:
        length, = struct.unpack_from("<H", data, place * PLACE_BYTES)
        index += struct.pack("<HHI", place, length, at + len(texts))
        texts += data[place * PLACE_BYTES + 2:][:length]
    frames_at = at + len(texts)
    packed = zstd_frame(data) if frame is None else frame
    head = bytearray(data[:64] + struct.pack("<IIII16I", frames_at + len(packed), len(places), frames_at, 0,
                                             frames_at + len(packed), *[0] * 15))
    struct.pack_into("<I", head, 40, len(data) if front is None else front)
    for offset, value in changes:
        struct.pack_into("<I", head, offset, value)
    return bytes([options]) + b"\xff\xff" + bytes(head) + entries + index + texts + packed


def filled():
    block = Block()
    shop, cart, route = block.name("shop"), block.name("unknown"), block.name("/cart/{id}")
    resource = field(1, text_attribute(1, "service.name", "shop")) + field(3, b"https://schema")
    secret = field(1, text_attribute(1, "http.request.header.authorization", "hunter2"))
    scope = field(1, field(1, b"envoy"))
    plain, dirty = block.envelope(resource, scope), block.envelope(resource + secret, b"")
    for i in range(4):
        block.entry(otlp_span(1, i, NOW + i, 5000), span=i, start=NOW + i, envelope=plain, service=shop, route=route)
        block.entry(otlp_span(1, 10 + i, NOW, 5000, "http://cart/?password=x"), span=10 + i, envelope=dirty, flags=REWRITE,
                    service=shop, route=route, role=1, duration=1 << 20)
        block.entry(otlp_span(2, 20 + i, NOW, 5000), trace=2, span=20 + i, service=cart, outcome=2, flags=ERROR,
                    response_flags=6, role=2, duration=300)
        block.request(shop, cart, form=NATIVE, trace=1, span=30 + i, service=shop, route=route, kind=3, response_flags=2)
        block.request(cart, shop, form=LOG, trace=1, span=30 + i, reporter=1, service=shop, route=route, grpc=14, protocol=4)
        block.request(cart, shop, form=LOG, trace=1, span=0, reporter=2, service=shop, method=0, protocol=0, threshold=1 << 55)
        block.request(shop, cart, form=LOG, trace=1, span=40 + i, service=shop, flags=KEPT)
    return block


def with_entry(**changes):
    block = filled()
    block.entry(otlp_span(1, 99, NOW, 1), **changes)
    return block


def patched(block, entry, layout, at, value):
    data = bytearray(block.entries[entry])
    struct.pack_into(layout, data, at, value)
    block.entries[entry] = bytes(data)
    return block


def seeds():
    sound = filled()
    yield "empty", Block().bytes()
    for options in (0, 1, 3, 4, 8, 15, 16, 24, 32, 40, 0x40, 0x80, 0xC0, 0x43):
        yield f"sound-{options}", sound.bytes(options)
    yield "front-past-the-end", sound.bytes(8, front=0xFFFFFFFF)
    yield "front-zero", sound.bytes(front=0)
    yield "front-short", sound.bytes(front=200)
    yield "entries-all", sound.bytes(entry_count=0xFFFFFFFF)
    yield "entries-few", sound.bytes(entry_count=3)
    yield "no-times", sound.bytes(0x80, start_min=2**64 - 1, start_max=0)
    yield "no-kept-count", sound.bytes(3, not_kept=0)
    yield "record-outside", patched(filled(), 0, "<I", 16, 0xFFFFFFF0).bytes()
    yield "record-crooked", patched(filled(), 0, "<I", 16, 1000).bytes()
    yield "record-in-header", patched(filled(), 0, "<I", 16, 16).bytes()
    yield "names-outside", patched(filled(), 0, "<H", 8, 0xFFFF).bytes(0x40)
    yield "kinds-all", patched(filled(), 0, "<B", 14, 0xFF).bytes()
    yield "kinds-otlp-as-native", patched(filled(), 0, "<B", 14, 0x40).bytes()
    yield "kinds-native-as-otlp", patched(filled(), 3, "<B", 14, 0).bytes(8)
    yield "flags-all", patched(filled(), 0, "<B", 15, 0xFF).bytes()
    yield "start-clamped", patched(filled(), 0, "<i", 4, -(2**31)).bytes(0x80)
    loops = filled()
    for i in range(len(loops.entries)):
        loops = patched(loops, i, "<I", 20, 2 << 14 | (len(loops.entries) - i))
    yield "chain-loops", loops.bytes()
    chain = filled()
    for i in range(1, len(chain.entries)):
        chain = patched(chain, i, "<I", 20, 2 << 14 | i)
    yield "chain-sound", chain.bytes()
    yield "chain-to-nowhere", patched(filled(), 1, "<I", 20, 0xFFFFFFFF).bytes()
    yield "payload-too-long", with_entry(envelope=4).bytes()
    yield "envelope-outside", with_entry(envelope=0xFFFF).bytes()
    yield "envelope-is-a-record", with_entry(envelope=30).bytes(8)
    damaged = filled()
    envelope = damaged.envelope(b"\x0a\x7f\x01", b"\x0a\x7f")
    damaged.entry(b"\x12\x7f\x00", span=98, flags=REWRITE, envelope=envelope)
    damaged.entry(b"\x12\x7f\x00", span=97, envelope=envelope)
    yield "damaged-otlp", damaged.bytes()
    yield "damaged-otlp-with", damaged.bytes(8)
    states = Block()
    for i, text in enumerate((b"ot=th:8", b"ot=th:8;rv:00000000000001,weft=keep", b"a=b", b"", b"ot=th:zz")):
        states.entry(otlp_span(1, i, NOW, i, tracestate=text), span=i)
        states.request(0, 0, form=NATIVE, trace=1, span=50 + i, threshold=1 << 50 + i)
    states.entry(field(1, trace_id(1)) + b"\x1a\x7f", span=90)
    for options in (4, 12):
        yield f"tracestates-{options}", states.bytes(options)
    many = Block()
    shop = many.name("shop")
    for i in range(100):
        many.entry(otlp_span(1, i, NOW, i), span=i, service=shop)
    yield "many", many.bytes()
    kinds = Block()
    for i in range(120):
        kinds.request(0, 0, form=LOG if i % 2 else NATIVE, trace=1, span=i // 2, reporter=i % 5, protocol=i % 9, method=i % 14)
    yield "requests", kinds.bytes()
    short = Block()
    short.entry(b"short", form=NATIVE)
    yield "short-request", short.bytes()
    yield from frozen_seeds()


def frozen_seeds():
    for options in (0, 3, 8, 0x40, 0x80, 0xC0):
        yield f"frozen-sound-{options}", frozen(filled(), options)
    yield "frozen-no-names", frozen(filled(), 0x40, names=False)
    yield "frozen-no-frame", frozen(filled(), frame=b"")
    yield "frozen-damaged", frozen(filled(), frame=b"\x28\xb5\x2f\xfd" + bytes(100))
    yield "frozen-short-frame", frozen(filled(), frame=zstd_frame(bytes(300)))
    yield "frozen-front-past-the-end", frozen(filled(), front=BLOCK_BYTES + 1)
    yield "frozen-front-longer", frozen(filled(), front=BLOCK_BYTES)
    yield "frozen-front-in-header", frozen(filled(), front=63)
    for offset, name in ((44, "entries"), (64, "bytes"), (68, "names"), (72, "frames-at"), (80, "frame-end")):
        yield f"frozen-{name}-many", frozen(filled(), changes=[(offset, 0xFFFFFFFF)])
        yield f"frozen-{name}-few", frozen(filled(), 0x40, changes=[(offset, 1)])
    yield "frozen-frame-end-before", frozen(filled(), changes=[(80, 200)])
    outside = frozen(filled(), 0x40)
    at = 3 + FROZEN_HEAD_BYTES + 24 * len(filled().entries)
    yield "frozen-name-outside", outside[:at + 4] + struct.pack("<I", 0xFFFFFFF0) + outside[at + 8:]
    yield "frozen-name-too-long", outside[:at + 2] + b"\xff\xff" + outside[at + 4:]
    noise = Block()
    word = 1
    for i in range(20):
        payload = bytearray()
        for _ in range(80):
            word = (word * 6364136223846793005 + 1442695040888963407) % 2**64
            payload += struct.pack("<Q", word ^ word >> 29)
        noise.entry(bytes(payload), span=i)
    yield "not-smaller", noise.bytes()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("seed-*"):
        old.unlink()
    for name, data in seeds():
        (OUT / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    main()
