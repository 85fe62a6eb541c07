#!/usr/bin/env python3
"""Writes the seeds of the HTTP/2 session's fuzz target: tests/fuzz/corpus/h2_session/seed-*.

Frames as RFC 9113 lays them out, header blocks as literals without indexing or Huffman code (RFC 7541 6.2.2). The two
first bytes hold the options of h2_session_fuzz.c.
"""
import gzip
import struct

from seed import write
from seed_frames import zstd

MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 1, 4, 8, 32, 1
ASSEMBLY, WAITING, WHOLE = 1, 2, 4
DRAINED = b"draining"  # the PING that follows our first GOAWAY
PLENTY = ASSEMBLY | WAITING | WHOLE
PIECES = ASSEMBLY | WAITING | 30 << 3
CLIENT, VERDICTS, DRAIN, SLOW, SMALL_OUTPUT, TAKEN, SMALL_LIMITS, PINGS = (1 << bit for bit in range(8))


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value):
    value = value.encode() if isinstance(value, str) else value
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, out = len(value) - 127, b"\x7f"
    while rest > 127:
        out += bytes([rest & 127 | 128])
        rest >>= 7
    return out + bytes([rest]) + value


def block(*fields):
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def headers(stream, *fields, end=False, flags=END_HEADERS):
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(*fields))


def call(stream, path="/t/Unary", method="POST", kind="application/grpc", extra=(), end=False):
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), ("content-type", kind), ("te", "trailers")]
    return headers(stream, *fields, *extra, end=end)


def encoded(name):
    return (("grpc-encoding", name),)


def message(content, packed=0):
    return struct.pack(">BI", packed, len(content)) + content


def data(stream, content, end=True, step=16384):
    pieces = [content[at:at + step] for at in range(0, len(content), step)] or [b""]
    return b"".join(frame(DATA, END_STREAM if end and i == len(pieces) - 1 else 0, stream, piece) for i, piece in enumerate(pieces))


def update(stream, more):
    return frame(WINDOW, 0, stream, struct.pack(">I", more))


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


START = MAGIC + settings((3, 100), (4, 65536)) + frame(SETTINGS, ACK, 0)


def servers():
    """What clients say to our server: (name, memory, options, bytes)."""
    hello = call(1) + data(1, message(b"hello"))
    yield "unary", PLENTY, 0, START + hello
    yield "unary-pieces", PIECES, 0, START + hello
    yield "unary-small-output", PIECES, SMALL_OUTPUT, START + hello + call(3) + data(3, message(b"x" * 100))
    yield "stream", PLENTY, 0, START + call(1, "/t/Stream") + data(1, message(b"a") + message(b"bb") + message(b""), step=4)
    yield "stream-empty", PLENTY, 0, START + call(1, "/t/Stream", end=True)
    yield "trailers", PLENTY, 0, START + call(1) + data(1, message(b"x"), end=False) + headers(1, ("a", "b"), end=True)
    yield "trailers-open", PLENTY, 0, START + call(1, "/t/Stream") + headers(1, ("a", "b"))
    yield "types", PLENTY, 0, START + b"".join(call(1 + 2 * i, kind=kind) for i, kind in enumerate(
        ("application/grpc+proto", "application/grpc;x=y", "application/grpc+json", "application/json", "application/grpc+proto;a")))
    yield "methods", PLENTY, 0, START + call(1, method="GET", end=True) + call(3, path="/nothing") + data(3, message(b"x"))
    plain = b"hello " * 500
    yield "gzip", PLENTY, 0, START + call(1, extra=encoded("gzip")) + data(1, message(gzip.compress(plain, mtime=0), 1))
    yield "zstd", PLENTY, 0, START + call(1, extra=encoded("zstd")) + data(1, message(zstd(plain), 1))
    yield "identity", PLENTY, 0, START + call(1, extra=encoded("identity")) + data(1, message(b"x"))
    yield "encoding-unknown", PLENTY, 0, START + call(1, extra=encoded("br")) + data(1, message(b"x", 1))
    yield "encoding-none", PLENTY, 0, START + call(1) + data(1, message(b"x", 1)) + call(3) + data(3, message(b"x", 2))
    yield "gzip-damaged", PLENTY, 0, START + call(1, extra=encoded("gzip")) + data(1, message(b"not", 1))
    yield "gzip-cut", PLENTY, 0, START + call(1, extra=encoded("gzip")) + data(1, message(gzip.compress(plain, mtime=0)[:-9], 1))
    bomb = message(zstd(*[(b"\0", 131072)] * 34), 1)
    yield "zstd-bomb", PLENTY, 0, START + call(1, extra=encoded("zstd")) + data(1, bomb)
    grows = message(zstd(*[(b"\0", 131072)] * 12), 1)
    yield "zstd-grows", PLENTY, 0, START + call(1, extra=encoded("zstd")) + data(1, grows)
    yield "zstd-grows-no-memory", WAITING | WHOLE, SLOW, START + call(1, extra=encoded("zstd")) + data(1, grows)
    yield "zstd-grows-later", PIECES, TAKEN, START + call(1, extra=encoded("zstd")) + data(1, grows) + 60 * settings()
    yield "message-too-large", PLENTY, 0, START + call(1) + data(1, struct.pack(">BI", 0, 1 << 24) + b"x")
    yield "message-too-large-small", PLENTY, SMALL_LIMITS, START + call(1) + data(1, message(b"x" * 5000))
    yield "message-cut", PLENTY, 0, START + call(1) + data(1, message(b"hello")[:-2]) + call(3) + data(3, b"")
    yield "message-left", PLENTY, 0, START + call(1) + data(1, message(b"hello")[:-2], end=False)
    yield "message-stalls", PIECES, SLOW, START + call(1) + data(1, message(b"hello" * 99)[:-2], end=False) + 120 * settings()
    yield "messages-two", PLENTY, 0, START + call(1) + data(1, message(b"a") + message(b"b"))
    large = message(b"x" * 4000)
    yield "assembly", PIECES, 0, START + call(1) + data(1, large, step=3000)
    yield "assembly-large", PLENTY, 0, START + call(1) + data(1, message(b"y" * 70000), step=3000) + call(3) + data(3, message(b"z" * 70000))
    yield "memory-none", WAITING | 31 << 3, 0, START + call(1) + data(1, large, step=3000)
    yield "memory-none-held-none", 31 << 3, 0, START + call(1) + data(1, large, step=3000)
    yield "memory-waits", WAITING | 31 << 3, SLOW, START + call(1) + data(1, large, step=3000) + call(3) + data(3, large)
    yield "memory-reset", WAITING | 31 << 3, 0, START + call(1) + data(1, large, end=False) + frame(RESET, 0, 1, struct.pack(">I", 8))
    yield "memory-later", PIECES, TAKEN, (START + call(1) + data(1, large, step=900) + call(3) + data(3, large) + call(5, "/t/Stream") +
                                          data(5, large + large) + 700 * settings() + hello.replace(b"\0\0\0\1", b"\0\0\0\7") + 300 * settings())
    yield "verdicts", PLENTY, VERDICTS, START + b"".join(call(1 + 2 * i) + data(1 + 2 * i, message(bytes([i]) + b"x")) for i in range(16))
    yield "verdicts-retry", PLENTY, VERDICTS, START + b"".join(call(1 + 2 * i) + data(1 + 2 * i, message(bytes([i << 4 | 10]))) for i in range(16))
    yield "verdicts-assembled", PIECES, VERDICTS, START + b"".join(call(1 + 2 * i) + data(1 + 2 * i, message(bytes([i]) * 40)) for i in range(16))
    yield "drain", PIECES, DRAIN, START + hello + frame(PING, ACK, 0, DRAINED) + call(3) + data(3, message(b"x"))
    drain = b"".join(call(1 + 2 * i) + data(1 + 2 * i, message(b"x")) for i in range(9))
    yield "drain-many", PIECES, DRAIN, START + drain
    yield "ping", PLENTY, PINGS, START + frame(PING, 0, 0, bytes(8)) + frame(PING, ACK, 0, bytes(8))
    yield "reset", PLENTY, 0, START + call(1) + frame(RESET, 0, 1, struct.pack(">I", 8)) + call(3)
    yield "resets", PLENTY, SMALL_LIMITS, START + b"".join(
        call(1 + 2 * i) + frame(RESET, 0, 1 + 2 * i, struct.pack(">I", 8)) for i in range(12))
    yield "streams-many", PLENTY, SMALL_LIMITS, START + b"".join(call(1 + 2 * i) for i in range(9))
    yield "headers-large", PLENTY, 0, START + call(1, extra=[("a", "b" * 9000), ("c", "d" * 9000)])
    fields = block((":method", "POST"), (":scheme", "http"), (":path", "/t/Unary"), (":authority", "x"), ("content-type", "application/grpc"))
    yield "continuation", PLENTY, 0, START + frame(HEADERS, 0, 1, fields[:30]) + frame(CONTINUATION, 0, 1, fields[30:40]) + \
        frame(CONTINUATION, END_HEADERS, 1, fields[40:]) + data(1, message(b"x"))
    yield "continuations", PLENTY, 0, START + frame(HEADERS, 0, 1, fields[:30]) + 12 * frame(CONTINUATION, 0, 1, b"")
    yield "padded", PLENTY, 0, START + call(1) + frame(DATA, PADDED | END_STREAM, 1, b"\x05" + message(b"x") + bytes(5)) + frame(
        HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, 3, b"\x02" + bytes(4) + b"\x10" + fields + bytes(2))
    yield "data-empty", PLENTY, 0, START + call(1, "/t/Stream") + 60 * frame(DATA, 0, 1)
    yield "settings-many", PLENTY, 0, MAGIC + settings(*[(4, 65535)] * 40)
    yield "settings-bad", PLENTY, 0, MAGIC + settings((4, 1 << 31))
    yield "window-none", PLENTY, 0, MAGIC + settings((4, 0)) + call(1) + data(1, message(b"hello")) + update(1, 4) + update(1, 90)
    yield "window-over", PLENTY, 0, START + call(1) + update(1, (1 << 31) - 1) + update(0, (1 << 31) - 1)
    yield "window-zero", PLENTY, 0, START + call(1) + update(1, 0) + update(0, 0)
    yield "goaway", PLENTY, 0, START + frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0) + b"bye") + call(1)
    yield "priority-push-unknown", PLENTY, 0, START + frame(PRIORITY, 0, 9, bytes(5)) + frame(77, 0, 0, b"x") + frame(PUSH, 4, 1, bytes(4))
    yield "magic-wrong", PLENTY, 0, b"GET / HTTP/1.1\r\n\r\n"
    yield "magic-cut", PLENTY, 0, MAGIC[:9]
    yield "length-over", PLENTY, 0, START + b"\xff\xff\xff\x00\x00" + bytes(64)
    yield "stream-even", PLENTY, 0, START + call(2)
    yield "data-idle", PLENTY, 0, START + data(1, b"x")
    yield "data-after-end", PLENTY, 0, START + hello + data(1, b"x")
    yield "header-upper", PLENTY, 0, START + call(1, extra=[("Upper", "x")]) + call(3, extra=[("connection", "x")])
    yield "hpack-bad", PLENTY, 0, START + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff")


def clients():
    """What servers say to our client, whose requests are streams 1, 3, 5 …"""
    start = settings((3, 100), (4, 65536)) + frame(SETTINGS, ACK, 0)
    ok = [(":status", "200"), ("content-type", "application/grpc")]
    done = [("grpc-status", "0")]

    def answer(stream, content=b"hello"):
        return headers(stream, *ok) + data(stream, message(content), end=False) + headers(stream, *done, end=True)

    yield "answer", PLENTY, 0, start + answer(1) + answer(3) + answer(5)
    yield "answer-pieces", PIECES, SMALL_OUTPUT, start + answer(1) + answer(3) + answer(5) + answer(7) + answer(9)
    yield "answer-short", PLENTY, 0, start + headers(1, *ok, *done, end=True) + update(0, 90000) + update(3, 90000) + update(5, 90000)
    yield "informational", PLENTY, 0, start + headers(1, (":status", "103"), ("link", "x")) + answer(1)
    yield "refused-header", PLENTY, VERDICTS, start + headers(1, *ok, ("refuse", "x")) + answer(3)
    yield "refused-data", PLENTY, VERDICTS, start + headers(1, *ok) + data(1, b"x" * 13) + answer(3)
    yield "reset", PLENTY, 0, start + frame(RESET, 0, 1, struct.pack(">I", 7)) + answer(3)
    yield "goaway", PIECES, 0, start + frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)) + answer(1) + answer(1)
    yield "goaway-error", PLENTY, 0, start + frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11) + b"calm")
    yield "streams-one", PIECES, 0, settings((3, 1)) + answer(1) + answer(3)
    waits = settings((3, 1)) + 20 * frame(PING, 0, 0, bytes(8)) + frame(GOAWAY, 0, 0, struct.pack(">II", 5, 0))
    yield "streams-wait", PIECES, 0, waits + answer(1) + answer(3) + answer(5) + 9 * settings()
    yield "streams-none", PIECES, 0, settings((3, 0)) + frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)) + 9 * settings()
    yield "streams-none-terminate", PLENTY, DRAIN, settings((3, 0)) + settings()
    yield "ping", PIECES, PINGS, start + frame(PING, ACK, 0, bytes(8)) * 3 + answer(1)
    yield "pings", PLENTY, 0, start + frame(PING, 0, 0, bytes(8)) * 1100
    yield "terminate", PLENTY, DRAIN, start + answer(1)
    yield "push", PLENTY, 0, start + frame(PUSH, 4, 1, struct.pack(">I", 2) + block((":method", "GET")))
    yield "not-http2", PLENTY, 0, b"HTTP/1.1 400 Bad Request\r\n\r\n"
    yield "headers-large", PLENTY, 0, start + headers(1, *ok, ("a", "b" * 9000), ("c", "d" * 7000))
    yield "trailers-refused", PLENTY, VERDICTS, start + answer(1) + answer(3)


def seeds():
    for name, memory, options, content in servers():
        yield "server-" + name, bytes([memory, options]) + content
    for name, memory, options, content in clients():
        yield "client-" + name, bytes([memory, options | CLIENT]) + content


if __name__ == "__main__":
    write("h2_session", seeds())
