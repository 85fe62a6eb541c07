"""HTTP/2 by hand (RFC 9113), for what a library would not do: half a message, a cut frame, a replayed
capture.

Header blocks are literals without indexing or Huffman coding (RFC 7541, 6.2.2), so no table is needed.
"""

import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4
FRAME_BYTES_MAX = 16384
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(text):
    data = text.encode()
    assert len(data) < 127
    return bytes([len(data)]) + data


def call_headers(stream, path=TRACES, **more):
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "weft",
        "content-type": "application/grpc",
        "te": "trailers",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    block = b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields.items())
    return frame(HEADERS, END_HEADERS, stream, block)


def grpc_prefix(length, compressed=0):
    return struct.pack(">BI", compressed, length)


def data_frames(stream, payload, end=True):
    """The payload in DATA frames of at most 16 KiB; the last one ends the stream when asked to."""
    made, count = b"", max(1, -(-len(payload) // FRAME_BYTES_MAX))
    for i in range(count):
        chunk = payload[i * FRAME_BYTES_MAX : (i + 1) * FRAME_BYTES_MAX]
        made += frame(DATA, END_STREAM if end and i == count - 1 else 0, stream, chunk)
    return made


def opening():
    return PREFACE + frame(SETTINGS, 0, 0)


def export_call(stream, message, compressed=0, **headers):
    body = grpc_prefix(len(message), compressed) + message
    return call_headers(stream, **headers) + data_frames(stream, body)


def frames(data, start=len(PREFACE)):
    """(kind, flags, stream, payload) of every whole frame in data."""
    at = start
    while at + 9 <= len(data):
        length = int.from_bytes(data[at : at + 3], "big")
        if at + 9 + length > len(data):
            return
        kind, flags = data[at + 3], data[at + 4]
        yield kind, flags, int.from_bytes(data[at + 5 : at + 9], "big"), data[at + 9 : at + 9 + length]
        at += 9 + length


def messages(stream_bytes):
    """(gRPC messages whose stream was ended, streams begun but not ended) in what a client wrote."""
    bodies, whole, begun = {}, [], set()
    for kind, flags, stream, payload in frames(stream_bytes):
        if kind == HEADERS:
            begun.add(stream)
        elif kind == DATA:
            bodies[stream] = bodies.get(stream, b"") + payload
            if flags & END_STREAM:
                length = struct.unpack_from(">I", bodies[stream], 1)[0]
                assert len(bodies[stream]) == 5 + length
                whole.append(bodies[stream][5:])
                begun.discard(stream)
    return whole, begun


class Connection:
    """A blocking client on a Unix socket; context manager."""

    def __init__(self, path, seconds=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self._got = b""

    def send(self, data):
        self.socket.sendall(data)

    def open(self):
        """Preface and SETTINGS, and waits for the other side's: only once they are acknowledged may more
        than 65,535 bytes be under way."""
        self.send(opening())
        self.read_until(lambda each: each[0] == SETTINGS and not each[1])
        self.send(frame(SETTINGS, 1, 0))

    def read_until(self, wanted, seconds=60):
        """Frames until wanted(frame) is true, that one last; raises TimeoutError, or EOFError when it is
        closed."""
        end, seen = time.monotonic() + seconds, []
        while True:
            for each in list(frames(self._got, 0)):
                self._got = self._got[9 + len(each[3]) :]
                seen.append(each)
                if wanted(each):
                    return seen
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError(f"closed after {seen}")
            self._got += chunk

    def closed_within(self, seconds):
        """True when the other side closes the connection in that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ends_stream(stream):
    """A condition for read_until: the answer to the stream is complete, or it was reset."""
    return lambda each: each[2] == stream and (each[0] == RST_STREAM or each[1] & END_STREAM)
