"""The ledger against the sender's and the receiver's own counts, with the back-end in every state."""

import socket
import struct
import threading
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

import corpus
import grpc
import otlp
import rawh2
from agent import COUNT_SECONDS_MAX, Weftd, otlp_destination
from harness import free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
SPANS = 2000
REFUSALS = 3
SMALL_QUEUE = {"queue": {"bytes_max": 1 << 20}, "batch": {"bytes_max": 1 << 18, "delay_ms": 100}}
MANY_SPANS = 20_000  # several times that queue


def terms(agent, destination="back"):
    """(handed over, sent, queued, dropped) of one destination, spans."""
    samples = agent.samples()
    names = (
        "weft_export_handed_over_total",
        "weft_export_sent_total",
        "weft_export_queued",
        "weft_export_dropped_total",
    )
    return tuple(samples.total(name, signal="spans", destination=destination) for name in names)


def dropped(agent, reason):
    return agent.samples().total(
        "weft_export_dropped_total", signal="spans", destination="back", reason=reason
    )


def wait_balanced(agent, condition, what, destination="back"):
    """The terms of a moment at which handed over = sent + queued + dropped and the condition is met."""

    def balanced():
        handed, sent, queued, lost = terms(agent, destination)
        return (
            (handed, sent, queued, lost)
            if handed == sent + queued + lost and condition(handed, sent, queued, lost)
            else None
        )

    try:
        return wait_for(balanced, what, COUNT_SECONDS_MAX, pause=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}; handed over, sent, queued, dropped: {terms(agent, destination)}") from error


def feed(agent, count=SPANS, per_message=500):
    """Sends spans, waits until they are counted, and checks the records' side of the ledger."""
    otlp.send_durations(agent.socket, [3 * MS] * count, per_message)
    samples = agent.wait_spans(count)
    assert samples.total("weft_records_aggregated_total", signal="spans") == count
    assert samples.total("weft_records_dropped_total", signal="spans") == 0
    assert samples.total("mesh_requests_total") == count


def received(sink):
    return sum(1 for _ in corpus.spans(sink.traces()))


def everything_sent(handed, sent, queued, _lost):
    return handed == sent == SPANS and queued == 0


def test_back_end_up(directory):
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [otlp_destination("back", port)]) as agent:
        feed(agent)
        wait_balanced(agent, everything_sent, "all spans sent")
        assert received(sink) == SPANS


def test_back_end_down_and_then_up(directory):
    port = free_port()
    with Weftd(directory, [otlp_destination("back", port)]) as agent:
        feed(agent)
        wait_balanced(agent, lambda handed, sent, queued, lost: queued == SPANS, "all spans queued")
        with Sink(f"127.0.0.1:{port}") as sink:
            wait_balanced(agent, everything_sent, "all spans sent")
            assert received(sink) == SPANS


def test_back_end_slow(directory):
    port = free_port()

    def wait(_message, _context):
        time.sleep(0.2)

    batch = {"batch": {"delay_ms": 50, "count_max": 100}}
    with Sink(f"127.0.0.1:{port}", wait) as sink, Weftd(
        directory, [otlp_destination("back", port, **batch)]
    ) as agent:
        feed(agent)
        wait_balanced(agent, everything_sent, "all spans sent")
        assert received(sink) == SPANS


def test_back_end_refuses_for_a_while(directory):
    """UNAVAILABLE is retried: nothing is lost, and what was refused is not counted as sent."""
    port, calls, lock = free_port(), [], threading.Lock()

    def refuse(message, context):
        with lock:
            calls.append(message)
            if len(calls) > REFUSALS:
                return
        context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    with Sink(f"127.0.0.1:{port}", refuse) as sink, Weftd(
        directory, [otlp_destination("back", port)]
    ) as agent:
        feed(agent)
        wait_balanced(agent, everything_sent, "all spans sent")
        assert received(sink) == SPANS
        attempts = agent.samples().total("weft_export_attempts_total", destination="back", result="retry")
        assert attempts >= REFUSALS


def test_back_end_rejects(directory):
    """INVALID_ARGUMENT is not retried: every span is dropped with its reason."""
    port = free_port()

    def reject(_message, context):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "never")

    with Sink(f"127.0.0.1:{port}", reject) as sink, Weftd(
        directory, [otlp_destination("back", port)]
    ) as agent:
        feed(agent)
        wait_balanced(agent, lambda handed, sent, queued, lost: lost == SPANS and sent == 0, "all rejected")
        assert dropped(agent, "rejected") == SPANS
        assert received(sink) == 0


def test_back_end_takes_a_part(directory):
    """A partial success: what it rejected is dropped, the rest sent, nothing repeated."""
    port, first = free_port(), threading.Event()

    def take_part(_message, _context):
        if first.is_set():
            return b""
        first.set()
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 7
        answer.partial_success.error_message = "seven were odd"
        return answer.SerializeToString()

    with Sink(f"127.0.0.1:{port}", take_part) as sink, Weftd(
        directory, [otlp_destination("back", port)]
    ) as agent:
        feed(agent)
        wait_balanced(agent, lambda handed, sent, queued, lost: sent == SPANS - 7 and lost == 7, "all but 7")
        assert dropped(agent, "rejected") == 7
        assert received(sink) == SPANS


class Resetting:
    """A TCP listener that resets each connection as soon as it says something; `count` says how many."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.count = self._listener.getsockname()[1], 0

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(1)
                except OSError:
                    pass
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.count += 1

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()


def test_back_end_resets_connections(directory):
    with Resetting() as back, Weftd(directory, [otlp_destination("back", back.port)]) as agent:
        feed(agent)
        wait_for(lambda: back.count >= 2, "a second connection after a reset")
        wait_balanced(agent, lambda handed, sent, queued, lost: handed == queued == SPANS, "all still queued")


def test_a_full_queue_drops_and_counts(directory):
    """Nothing waits for the back-end: the queue overflows, each lost span is counted, the rest arrives
    later."""
    port = free_port()
    with Weftd(directory, [otlp_destination("back", port, **SMALL_QUEUE)]) as agent:
        feed(agent, MANY_SPANS, per_message=100)
        wait_balanced(
            agent, lambda handed, sent, queued, lost: handed == MANY_SPANS and lost > 0, "an overflow"
        )
        with Sink(f"127.0.0.1:{port}") as sink:
            _, sent, _, lost = wait_balanced(
                agent, lambda handed, sent, queued, lost: queued == 0 and sent > 0, "the rest"
            )
            assert dropped(agent, "queue_full") == lost
            assert received(sink) == sent == MANY_SPANS - lost


def test_one_dead_destination_does_not_hold_up_another(directory):
    live, dead = free_port(), free_port()
    with Sink(f"127.0.0.1:{live}") as sink, Weftd(
        directory, [otlp_destination("dead", dead), otlp_destination("back", live)]
    ) as agent:
        feed(agent)
        wait_balanced(agent, everything_sent, "all spans at the living one")
        assert received(sink) == SPANS
        handed, sent, _, _ = wait_balanced(agent, lambda handed, *_: handed == SPANS, "the other's", "dead")
        assert (handed, sent) == (SPANS, 0)


def test_a_stop_sends_what_is_queued(directory):
    port = free_port()
    slow_batches = {"batch": {"delay_ms": 5000}}
    with Sink(f"127.0.0.1:{port}") as sink:
        with Weftd(directory, [otlp_destination("back", port, **slow_batches)]) as agent:
            otlp.send_durations(agent.socket, [MS] * SPANS)
        assert received(sink) == SPANS


@pytest.mark.parametrize("cut", [1, 5, 9, 100, 5000, 20000, -1])
def test_a_client_killed_in_the_middle_of_a_message(directory, cut):
    """Whole messages count, the cut one does not, and it is in the ledger as cut, not as received."""
    with Weftd(directory) as agent:
        message = otlp.message([MS] * 200)[0]
        second = rawh2.export_call(3, message)
        headers = len(rawh2.call_headers(3))
        with rawh2.Connection(agent.socket) as connection:
            connection.open()
            connection.send(rawh2.export_call(1, message))
            connection.read_until(rawh2.ends_stream(1))
            connection.send(second[: headers + 9 + 5 + cut] if cut > 0 else second[:cut])
            time.sleep(0.2)
        samples = agent.wait_spans(200)
        wait_for(lambda: agent.samples().total("weft_messages_cut_total") == 1, "the cut message")
        otlp.send_durations(agent.socket, [MS] * 100)
        samples = agent.wait_spans(300)
        assert samples.total("mesh_requests_total") == 300
        assert samples.total("weft_messages_accepted_total", protocol="otlp_grpc") == 2


BAD_SPANS = [  # what is done to a good span → the reason under which it is dropped
    ("invalid_trace_id", lambda span: setattr(span, "trace_id", bytes(16))),
    ("invalid_trace_id", lambda span: setattr(span, "trace_id", b"short")),
    ("invalid_span_id", lambda span: setattr(span, "span_id", bytes(8))),
    ("end_before_start", lambda span: setattr(span, "end_time_unix_nano", span.start_time_unix_nano - 1)),
    ("time_out_of_range", lambda span: spoil_times(span, 1)),
    ("time_out_of_range", lambda span: spoil_times(span, 2**63)),
]


def spoil_times(span, start_ns):
    span.start_time_unix_nano, span.end_time_unix_nano = start_ns, start_ns + 1


@pytest.mark.parametrize("reason, spoil", BAD_SPANS, ids=[f"{i}_{row[0]}" for i, row in enumerate(BAD_SPANS)])
def test_a_bad_span_is_dropped_with_its_reason_and_the_rest_kept(directory, reason, spoil):
    request = otlp.ExportTraceServiceRequest.FromString(otlp.message([MS] * 10)[0])
    spoil(request.resource_spans[0].scope_spans[0].spans[4])
    with Weftd(directory) as agent:
        otlp.send(agent.socket, [request.SerializeToString()])
        samples = agent.wait_spans(10)
        assert samples.by(("reason",), "weft_records_dropped_total", signal="spans") == {(reason,): 1}
        assert samples.total("mesh_requests_total") == 9
        assert samples.total("weft_records_aggregated_total", signal="spans") == 9
