"""Memory of the agent as it comes, with the ring of traces full, under what is meant to make it grow: giant spans, one
giant trace, ids that never come again, much of it worth keeping. Ten minutes in scripts/test-long."""

import itertools
import os
import threading
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import grpc
import otlp
from agent import Weftd, otlp_destination
from harness import FULL, free_port
from sink import Sink

pytestmark = pytest.mark.agent_needed

MIB = 1 << 20
RING_BYTES = 256 * MIB  # limits.trace_ring_bytes by default
ROOM_BYTES = 16 * MIB
SPANS_PER_MESSAGE = 500
ROUNDS_PER_TEMPLATE = 100
GIANT_TRACE = bytes(15) + b"\x01"


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


class Template:
    """An encoded span, that ended just now, whose ids can be chosen. padding: the bytes of one attribute; keep: it asks
    to be kept."""

    def __init__(self, padding=0, keep=False, status=200, milliseconds=5):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        for key, value in (("service.name", "checkout"), ("service.namespace", "shop")):
            resource.resource.attributes.add(key=key).value.string_value = value
        self._resource = resource.resource.SerializeToString()
        now_ns = time.time_ns()
        span = resource.scope_spans.add().spans.add(
            name="GET /pay", kind=2, start_time_unix_nano=now_ns - milliseconds * 1_000_000, end_time_unix_nano=now_ns
        )
        for key, value in (("http.request.method", "GET"), ("http.route", "/pay")):
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = status
        if padding:
            span.attributes.add(key="padding").value.string_value = "p" * padding
        if keep:
            span.attributes.add(key="weft.keep").value.bool_value = True
        self._rest = span.SerializeToString()

    def message(self, ids):
        """A request with a span for each (trace id, span id, parent id)."""
        spans = b"".join(
            field(2, field(1, trace) + field(2, span) + field(4, parent) + self._rest) for trace, span, parent in ids
        )
        return field(1, field(1, self._resource) + field(2, spans))


def random_ids(count):
    return [(os.urandom(16), os.urandom(8), os.urandom(8)) for _ in range(count)]


def cycle(count):
    """One trace in which everybody is the child of the one before, and the first of the last."""
    trace, ids = os.urandom(16), [os.urandom(8) for _ in range(count)]
    return [(trace, ids[i], ids[i - 1]) for i in range(count)]


def adversarial():
    for number in itertools.count():
        if number % ROUNDS_PER_TEMPLATE == 0:
            usual, failing, marked = Template(), Template(status=503), Template(keep=True)
            large, too_large, huge = Template(100_000), Template(300_000), Template(240_000, keep=True)
            exemplars = [Template(200_000, milliseconds=2**i) for i in range(12)]  # one in every bucket
            yield huge.message([(GIANT_TRACE, *ids[1:]) for ids in random_ids(4)])
        yield usual.message(random_ids(SPANS_PER_MESSAGE))
        yield failing.message(random_ids(SPANS_PER_MESSAGE))
        yield usual.message([(GIANT_TRACE, *ids[1:]) for ids in random_ids(SPANS_PER_MESSAGE)])
        yield marked.message([(GIANT_TRACE, *ids[1:]) for ids in random_ids(1)])
        yield large.message(random_ids(10))
        yield huge.message(random_ids(2))
        yield too_large.message(random_ids(2))
        yield exemplars[number % len(exemplars)].message(random_ids(1))
        yield usual.message(cycle(SPANS_PER_MESSAGE))
        yield usual.message([(b"", *ids[1:]) for ids in random_ids(10)])  # without a trace id


class Senders:
    """Connections that send what the generator makes until they are stopped."""

    def __init__(self, agent, make, count=2):
        self._stop, self.errors = threading.Event(), []
        self._threads = [
            threading.Thread(target=self._run, args=(agent.socket, make), daemon=True) for _ in range(count)
        ]

    def _run(self, path, make):
        options = [("grpc.use_local_subchannel_pool", 1)]
        try:
            with grpc.insecure_channel(f"unix:{path}", options) as channel:
                call = channel.unary_unary(otlp.TRACES)
                for message in make():
                    if self._stop.is_set():
                        return
                    call(message, timeout=30)
        except BaseException as error:  # told by the test
            self.errors.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not self.errors, self.errors


class Forgetful(Sink):
    """Counts what it is sent."""

    bytes = 0

    def _keep(self, method, metadata, message):
        self.bytes += len(message)


def small_destination(port):
    """Whose queue takes little: it has a budget of its own, which is not what is looked at here."""
    return otlp_destination(
        "back", port, queue={"bytes_max": 2 * MIB}, batch={"bytes_max": MIB, "delay_ms": 100}
    )


@pytest.mark.parametrize("shards, seconds", [(1, 60 if FULL else 6), (2, 600 if FULL else 6)])
def test_memory_stays_within_the_budget(directory, shards, seconds):
    """Above what it takes when nothing has come yet: the ring, 16 MiB, and pinned traces, whose budget is their own."""
    port = free_port()
    with Forgetful(f"127.0.0.1:{port}") as sink, Weftd(
        directory, [small_destination(port)], shards=shards, trace={"export": "kept"}
    ) as agent:
        time.sleep(1)
        idle = agent.status_bytes("VmRSS")
        pinned = most = 0
        with Senders(agent, adversarial):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(0.5)
                samples = agent.samples()
                pinned = max(pinned, samples.total("weft_exemplar_trace_bytes"))
                most = max(most, samples.total("weft_trace_ring_bytes"))
        peak = agent.status_bytes("VmHWM")
        samples = agent.samples()
        received = samples.total("weft_records_received_total", signal="spans")
        print(
            f"{shards} shards, {seconds} s: resident: idle {idle / MIB:.1f}, at most {peak / MIB:.1f} MiB, of that "
            f"{most / MIB:.1f} in the ring, {pinned / MIB:.1f} pinned, {(peak - idle - pinned - RING_BYTES) / MIB:.1f} "
            f"beyond the budget; {received:.0f} spans in, {sink.bytes / MIB:.0f} MiB out"
        )
        assert samples.total("weft_trace_spans_not_stored_total", reason="oversized") > 0
        assert samples.total("weft_trace_spans_expired_total", signal="spans") > 0
        assert 0.8 * RING_BYTES <= most <= RING_BYTES
        assert pinned > 0
        assert agent.json("/api/v1/ledger")["traces"]["balanced"]
        assert peak <= idle + RING_BYTES + ROOM_BYTES + pinned
