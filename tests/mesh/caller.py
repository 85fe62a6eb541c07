"""A proxy under libweft, by ctypes: records spans at a steady rate and times every call.

    caller.py --library libweft.so --socket PATH --seconds N [--rate SPANS_PER_SECOND] [--backlog BYTES]

Records a few spans, flushes and says so; at a line of input records for N seconds and says what its calls
returned; at the next line flushes and says what became of the records. Each time it prints one JSON object. A
process of its own, so that the runtime of a sanitizer can be preloaded.
"""

import argparse
import ctypes
import json
import random
import sys
import time
from ctypes import c_char, c_char_p, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64

STEP_SECONDS = 0.01
FULL = -11  # WEFT_ERROR_FULL
TIMEOUT_MS = 60_000


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_bytes", c_size_t),
        ("socket_path", c_char_p),
        ("node", c_char_p),
        ("workload", c_char_p),
        ("workload_namespace", c_char_p),
        ("compression_level", c_int),
        ("thread_spans_count", c_uint32),
        ("backlog_bytes_max", c_uint64),
        ("batch_interval_ms", c_uint32),
        ("metrics_interval_ms", c_uint32),
        ("close_timeout_ms", c_uint32),
    ]


class Span(ctypes.Structure):
    """Ids are arrays of bytes in weft.h; any bytes will do."""

    _fields_ = [
        *((name, c_uint64) for name in ("trace_high", "trace_low", "span_id", "parent_id")),
        *((name, c_uint64) for name in ("start_time_unix_ns", "duration_ns")),
        *((name, c_uint32) for name in ("source", "source_namespace", "destination")),
        *((name, c_uint32) for name in ("destination_namespace", "route", "method")),
        *((name, c_uint64) for name in ("response_flags", "request_bytes", "response_bytes")),
        ("sampling_threshold", c_uint64),
        ("attempts", c_uint32),
        ("response_code", c_uint16),
        *((name, c_uint8) for name in ("reporter", "protocol", "grpc_status")),
        ("reserved", c_uint8 * 7),
    ]


class Stats(ctypes.Structure):
    _fields_ = [
        *((f"{name}_spans", c_uint64) for name in ("recorded", "dropped", "acknowledged", "rejected")),
        *((f"{name}_points", c_uint64) for name in ("sent", "dropped", "acknowledged", "rejected")),
        *((f"{name}_logs", c_uint64) for name in ("recorded", "dropped", "acknowledged", "rejected")),
        *((name, c_uint64) for name in ("batches", "batches_resent", "backlog_bytes", "connects", "errors")),
        ("connected", c_uint32),
        ("last_error", c_char * 100),
    ]


class Client:
    def __init__(self, library, socket, backlog_bytes, workload=b"frontend"):
        self._weft, self._client = ctypes.CDLL(library), ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), socket.encode(), None, workload, b"shop", 0, 8192)
        options.backlog_bytes_max, options.batch_interval_ms = backlog_bytes, 100
        options.metrics_interval_ms, options.close_timeout_ms = 1000, 1000
        error = self._weft.weft_open(ctypes.byref(options), ctypes.byref(self._client))
        assert error == 0, f"weft_open: {error}"

    def intern(self, text):
        return self._weft.weft_intern(self._client, text, c_size_t(len(text)))

    def flush(self):
        return self._weft.weft_flush(self._client, TIMEOUT_MS)

    def stats(self):
        stats = Stats()
        self._weft.weft_stats(self._client, ctypes.byref(stats))
        values = {name: getattr(stats, name) for name, _ in Stats._fields_}
        return {**values, "last_error": stats.last_error.decode()}

    def close(self):
        return self._weft.weft_close(self._client)

    def record_span(self, span):
        return self._weft.weft_record_span(self._client, ctypes.byref(span))

    def record(self, span, seconds, rate):
        """What the calls of that many seconds returned, and how long the longest took."""
        call, client, pointer = self._weft.weft_record_span, self._client, ctypes.byref(span)
        results, longest_ns, calls, start = {0: 0, FULL: 0}, 0, 0, time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            while calls < elapsed * rate:
                span.trace_low = span.span_id = random.getrandbits(64) | 1
                span.start_time_unix_ns = time.time_ns() - span.duration_ns
                began_ns = time.perf_counter_ns()
                result = call(client, pointer)
                longest_ns = max(longest_ns, time.perf_counter_ns() - began_ns)
                results[result] += 1
                calls += 1
            time.sleep(STEP_SECONDS)
        return {"calls": calls, "taken": results[0], "full": results[FULL], "longest_ns": longest_ns}


def say(value):
    print(json.dumps(value), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--backlog", type=int, default=8 << 20)
    options = parser.parse_args()
    client = Client(options.library, options.socket, options.backlog)
    span = Span(trace_high=random.getrandbits(64) | 1, duration_ns=5_000_000, reporter=1, response_code=200)
    span.source, span.destination = client.intern(b"frontend"), client.intern(b"cart")
    first = client.record(span, 0.1, 100)
    say({"flush": client.flush(), **first})
    sys.stdin.readline()
    say(client.record(span, options.seconds, options.rate))
    sys.stdin.readline()
    say({"flush": client.flush(), **client.stats()})
    return 0 if client.close() == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
