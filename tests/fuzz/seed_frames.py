#!/usr/bin/env python3
"""Writes the seeds of the native stream's fuzz target: tests/fuzz/corpus/native_frames/seed-*.

Conversations of a client with the agent: the payloads of seed.py in frames, plain and as zstd, and what breaks the
framing, the order or the dictionary. The first byte holds the options of native_frames_fuzz.c.
"""
import struct

from seed import NOW_NS, batch, chunk, double, hand_made_native, number, packed, varint, write, zigzag

MAGIC = b"\x89WEFT1\r\n"
HELLO, DICTIONARY, SPANS, METRICS, STATS = 1, 2, 3, 4, 6
TYPES = (HELLO, DICTIONARY, SPANS, METRICS, STATS)  # by hand_made_native's kinds
SMALL_ASSEMBLY, SMALL_LIMITS, READS_NOT, SMALL_PIECES, DRAIN, AGAIN, SMALL_SERIES, LATER = (1 << bit for bit in range(8))


def frame(kind, payload, flags=0):
    return struct.pack("<IBB", len(payload), kind, flags) + payload


def zstd(*blocks, window=0x50):
    """A frame of (bytes) raw or (byte, count) run-length blocks, without content size and checksum."""
    out = b"\x28\xb5\x2f\xfd\x00" + bytes([window])
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        run = isinstance(block, tuple)
        size = block[1] if run else len(block)
        out += struct.pack("<I", size << 3 | run << 1 | last)[:3] + (block[0] if run else block)
    return out


def hello(sequence=1, identity=bytes(range(16)), version=1):
    return frame(HELLO, number(1, version) + chunk(2, identity) + number(3, sequence) + chunk(4, "node") + chunk(5, "web") +
                 chunk(6, "shop") + number(7, NOW_NS))


def dictionary(first, *entries):
    return frame(DICTIONARY, number(1, first) + b"".join(chunk(2, entry) for entry in entries))


def spans(sequence, count=3, extra=b"", **columns):
    return frame(SPANS, batch(count, number(1, sequence) + extra, **columns))


def series(ident, name, kind, keys=(2,), values=(3,)):
    return chunk(3, number(1, ident) + number(2, kind) + number(3, name) + packed(6, keys) + packed(7, values))


def metrics(sequence, *parts, time=NOW_NS):
    return frame(METRICS, number(1, sequence) + number(2, time) + b"".join(parts))


def histogram(ident, **more):
    point = {2: number(2, zigzag(5)), 3: number(3, 2), 4: double(4, 1e-9), 5: number(5, zigzag(-70)), 6: packed(6, [1, 0, 3]),
             7: double(7, 2.5)}
    point.update({int(key[1:]): value for key, value in more.items()})
    return chunk(8, number(1, ident) + b"".join(point.values()))


def counters(ids, values):
    return packed(4, ids) + chunk(5, b"".join(struct.pack("<d", value) for value in values))


def gauges(ids, values):
    return packed(6, ids) + b"".join(double(7, value) for value in values)


STRINGS = dictionary(1, "web", "key", "value", "/cart/{id}?q=1", "GET", "caf\u00e9", "reviews", "shop", "a" * 300)
SESSION = MAGIC + hello() + STRINGS
SERIES = series(1, 1, 1) + series(2, 4, 2) + series(3, 5, 3)
POINTS = counters([1, 1], [1, 2]) + gauges([2, 2], [-1, 5]) + histogram(3) + histogram(3, k6=packed(6, [1] * 3))


def conversations():
    """(name, options, bytes)"""
    for name, kind, payload in hand_made_native():
        if kind == 0:
            yield "payload-" + name, 0, MAGIC + frame(HELLO, payload) + STRINGS
        elif kind < 5:
            yield "payload-" + name, 0, SESSION + frame(TYPES[kind], payload) + spans(2)
    yield "spans", 0, SESSION + spans(1) + spans(2) + spans(3, 200)
    yield "spans-again", AGAIN, SESSION + spans(1) + metrics(2, SERIES, POINTS)
    yield "spans-again-later", AGAIN | LATER, SESSION + spans(1) + metrics(2, SERIES, POINTS)
    yield "spans-gap", 0, SESSION + spans(1) + spans(7) + spans(7) + spans(2)
    yield "spans-zero", 0, SESSION + spans(0)
    yield "spans-resumed", 0, MAGIC + hello(sequence=9) + STRINGS + spans(9)
    yield "spans-large", SMALL_PIECES, SESSION + spans(1, 500)
    yield "spans-unknown-strings", 0, SESSION + spans(1, c10=[99, 10, 1], c15=[1, 2, 77])
    full = dict(c11=[8] * 3, c12=[7, 8, 1], c13=[1] * 3, c14=[4] * 3, c15=[5] * 3, c16=[1, 4, 5], c17=[200, 503, 0], c18=[0, 14, 1], c19=[0, 3, 1 << 50],
                c20=[0, 3, 1024], c22=[1, 2, 3], extra=chunk(6, bytes(range(24))))
    yield "spans-full", AGAIN, SESSION + spans(1, **full) + spans(2, **dict(full, c16=[9] * 3)) + spans(3, **dict(full, c20=[2000] * 3))
    yield "metrics", 0, SESSION + metrics(1, SERIES, POINTS) + metrics(2, POINTS) + metrics(3, counters([1], [0]))
    yield "metrics-declare", 0, SESSION + metrics(0, SERIES) + metrics(1, POINTS)
    yield "metrics-zero", 0, SESSION + metrics(0, SERIES, POINTS)
    yield "metrics-old", 0, SESSION + metrics(1, SERIES, POINTS, time=1)
    yield "metrics-unknown-series", 0, SESSION + metrics(1, POINTS)
    yield "metrics-wrong-kind", 0, SESSION + metrics(1, SERIES, counters([2, 3], [1, 1]), gauges([1, 3], [1, 1]), histogram(1))
    yield "metrics-conflict", 0, SESSION + metrics(1, series(1, 1, 1), series(2, 1, 2), counters([1], [1]), gauges([2], [1]))
    yield "metrics-bad-points", 0, SESSION + metrics(1, SERIES, counters([1], [float("nan")]), histogram(3, k2=number(2, zigzag(99))),
                                                     histogram(3, k7=double(7, float("inf"))))
    yield "metrics-series-order", 0, SESSION + metrics(1, series(2, 1, 1), series(1, 1, 9), series(2, 99, 1), series(3, 1, 1, (2, 2), (3, 3)))
    yield "metrics-series-many", SMALL_LIMITS, SESSION + b"".join(
        metrics(n, series(n, 1 + n % 9, 1 + n % 3, (1 + n % 9,), (1 + n % 7,)), counters([n], [n])) for n in range(1, 120))
    yield "stats", 0, SESSION + frame(STATS, number(1, 5) + number(2, 7)) + frame(STATS, number(1, 6)) + frame(STATS, number(1, 1))
    yield "dictionary-order", 0, SESSION + dictionary(5, "x") + dictionary(10, "y") + spans(1)
    yield "dictionary-full", SMALL_LIMITS, SESSION + b"".join(dictionary(10 + i, f"name-{i}") for i in range(70)) + spans(1)
    yield "dictionary-large", SMALL_SERIES, SESSION + dictionary(10, *(f"name-{i}" * 30 for i in range(300))) + spans(1)
    # framing
    yield "magic-only", 0, MAGIC
    yield "magic-wrong", 0, b"\x89WEFT2\r\n" + hello()
    yield "magic-cut", 0, MAGIC[:5]
    yield "nothing", 0, b""
    yield "header-cut", 0, SESSION + b"\x03\x00"
    yield "payload-cut", 0, SESSION + spans(1)[:-9]
    yield "pieces", SMALL_PIECES, SESSION + spans(1) + metrics(2, SERIES, POINTS)
    yield "first-not-hello", 0, MAGIC + STRINGS
    yield "second-hello", 0, SESSION + hello()
    yield "hello-version", 0, MAGIC + hello(version=2)
    yield "hello-identity", 0, MAGIC + hello(identity=b"x") + STRINGS
    yield "hello-sequence", 0, MAGIC + hello(sequence=0) + STRINGS
    yield "unknown-type", 0, SESSION + frame(5, b"logs") + frame(77, b"") + spans(1)
    yield "unknown-type-pieces", SMALL_PIECES, SESSION + frame(5, bytes(2000)) + spans(1)
    yield "unknown-type-cut", 0, SESSION + frame(5, bytes(2000))[:900]
    yield "unknown-flags", 0, SESSION + frame(SPANS, batch(), 2) + spans(1)
    yield "oversized", 0, SESSION + struct.pack("<IBB", 1 << 30, SPANS, 0) + bytes(64)
    yield "oversized-small", SMALL_LIMITS, SESSION + spans(1, 500)
    yield "empty-payloads", 0, SESSION + b"".join(frame(kind, b"") for kind in TYPES[1:])
    yield "assembly-full", SMALL_ASSEMBLY | SMALL_PIECES, SESSION + spans(1)
    yield "assembly-full-whole", SMALL_ASSEMBLY, SESSION + spans(1)
    yield "reads-not", READS_NOT, SESSION + b"".join(spans(2 * n, 1) for n in range(1, 200))
    yield "drain", DRAIN, SESSION + spans(1)
    yield "drain-early", DRAIN | AGAIN, MAGIC
    # zstd
    body = batch()
    yield "zstd", 0, SESSION + frame(SPANS, zstd(body), 1)
    yield "zstd-pieces", SMALL_PIECES, SESSION + frame(SPANS, zstd(body[:50], body[50:]), 1)
    yield "zstd-two-frames", 0, SESSION + frame(SPANS, zstd(body[:50]) + zstd(body[50:]), 1)
    yield "zstd-cut", 0, SESSION + frame(SPANS, zstd(body)[:-4], 1) + spans(1)
    yield "zstd-empty", 0, SESSION + frame(SPANS, b"", 1) + spans(1)
    yield "zstd-not", 0, SESSION + frame(SPANS, body, 1)
    yield "zstd-window", 0, SESSION + frame(SPANS, zstd(body, window=0x78), 1)
    yield "zstd-window-over", 0, SESSION + frame(SPANS, zstd(body, window=0x80), 1)
    yield "zstd-bomb", SMALL_LIMITS, SESSION + frame(SPANS, zstd((b"\0", 131000), (b"\0", 131000)), 1)
    yield "zstd-bomb-17-mib", 0, SESSION + frame(SPANS, zstd(*[(b"\0", 131072)] * 140), 1)
    padded = batch() + varint(99 << 3 | 2) + varint(3 * 131072)
    yield "zstd-grows", 0, SESSION + frame(SPANS, zstd(padded, *[(b"\0", 131072)] * 3), 1)
    padded = batch() + varint(99 << 3 | 2) + varint(20 * 131072)
    yield "zstd-grows-scratch", 0, SESSION + frame(SPANS, zstd(padded, *[(b"\0", 131072)] * 20), 1)
    yield "zstd-grows-no-memory", SMALL_ASSEMBLY, SESSION + frame(SPANS, zstd(padded, *[(b"\0", 131072)] * 20), 1)
    yield "zstd-at-limit", SMALL_LIMITS, SESSION + frame(SPANS, zstd((b"\0", 4096)), 1)


if __name__ == "__main__":
    write("native_frames", ((name, bytes([options]) + data) for name, options, data in conversations()))
