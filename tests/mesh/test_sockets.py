"""The agent's socket under awkward clients: many, silent, large, greedy, broken."""

import gzip
import time

import grpc
import pytest

import otlp
import rawh2
from agent import Weftd
from harness import FULL, wait_for

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
MIB = 1 << 20
WAKEUPS_PER_SECOND_MAX = 110
RETRY_INFO, DETAILS = b"google.rpc.RetryInfo", "grpc-status-details-bin"
AT_ONCE = 200
CALL_SECONDS_MAX = 300
STREAM_WINDOW_BYTES = MIB
OWN_BYTES_MAX = 64 * MIB


def held_by_shard(agent):
    return agent.samples().by(("shard",), "weft_connections_open")


def test_sixteen_connections_on_four_shards(directory):
    with Weftd(directory, shards=4) as agent:
        open_ones = []
        try:
            for _ in range(16):
                connection = rawh2.Connection(agent.socket)
                connection.open()
                open_ones.append(connection)
            # A shard says at its ticks how many it holds; a scrape's own connection is dealt out too.
            # Those of scrapes before this one are gone by then, too.
            held = wait_for(lambda: (found := held_by_shard(agent)).total() in (16, 17) and found, "all to be held")
            assert len(held) == 4 and min(held.values()) >= 4, held
        finally:
            for connection in open_ones:
                connection.close()
        wait_for(lambda: agent.samples().total("weft_connections_open") <= 1, "the connections to be let go")


def test_a_half_sent_prefix_wakes_the_loop_rarely_and_is_given_up(directory):
    def wakeups(agent):
        return agent.samples().total("weft_sniff_wakeups_total")

    with Weftd(directory) as agent, rawh2.Connection(agent.socket) as connection:
        connection.send(rawh2.PREFACE[:5])
        began, before = time.monotonic(), wakeups(agent)
        time.sleep(2)
        after, ended = wakeups(agent), time.monotonic()
        assert 0 < after - before <= WAKEUPS_PER_SECOND_MAX * (ended - began)
        assert connection.closed_within(60)
        at_end = wakeups(agent)
        time.sleep(1)
        assert wakeups(agent) == at_end
        assert agent.samples().total("weft_connections_closed_total", reason="sniff_timeout") == 1


def test_an_unknown_protocol_is_closed_and_counted(directory):
    with Weftd(directory) as agent, rawh2.Connection(agent.socket) as connection:
        connection.send(b"\x00\x01\x02\x03\x04\x05\x06\x07\x08")
        assert connection.closed_within(60)
        assert agent.samples().total("weft_connections_closed_total", reason="unknown_protocol") == 1


def test_a_message_of_twenty_mebibytes(directory):
    """Concatenated requests are one request; larger than any window."""
    one = otlp.message([MS] * 500)[0]
    count = -(-20 * MIB // len(one))
    with Weftd(directory) as agent:
        with grpc.insecure_channel(
            f"unix:{agent.socket}", options=[("grpc.max_send_message_length", 64 * MIB)]
        ) as channel:
            channel.unary_unary(otlp.TRACES)(one * count, timeout=60)
        samples = agent.wait_spans(500 * count)
        assert samples.total("mesh_requests_total") == 500 * count


def begin_calls(agent, channels, message, count):
    """Calls that the agent meets all at once, since it is stopped until each has begun."""
    with agent.paused():
        return [
            channels[i % len(channels)].unary_unary(otlp.TRACES).future(message, timeout=CALL_SECONDS_MAX)
            for i in range(count)
        ]


def send_at_once(agent, message, count):
    """Sends a message `count` times, a refused one again after the time that RetryInfo tells, until all were
    accepted; how many were refused on the way."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_send_message_length", 64 * MIB),
        ("grpc.enable_retries", 0),
    ]
    end, missing, refused_count = time.monotonic() + CALL_SECONDS_MAX, count, 0
    channels = [grpc.insecure_channel(f"unix:{agent.socket}", options=options) for _ in range(4)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(60)
    while missing:
        calls = begin_calls(agent, channels, message, missing)
        refused = [call for call in calls if call.code() != grpc.StatusCode.OK]
        assert {call.code() for call in refused} <= {grpc.StatusCode.UNAVAILABLE}
        assert all(RETRY_INFO in dict(call.trailing_metadata())[DETAILS] for call in refused)
        missing, refused_count = len(refused), refused_count + len(refused)
        assert time.monotonic() < end, f"{missing} of {count} not accepted"
        time.sleep(1 if refused else 0)  # limits.retry_after_ms
    for channel in channels:
        channel.close()
    return refused_count


@pytest.mark.parametrize("wait_ms", [5000, 60_000], ids=["default_wait", "long_wait"])
def test_two_hundred_messages_at_once_complete(directory, wait_ms):
    """In full each has 97,000 spans, together more than one shard counts within the default wait."""
    one = otlp.message([MS] * 500)[0]
    message = one * -(-(20 * MIB if FULL else 600_000) // len(one))
    spans = AT_ONCE * 500 * (len(message) // len(one))
    limits = {} if FULL else {"assembly_bytes_max": 32 * MIB, "message_bytes_max": 16 * MIB}
    with Weftd(directory, limits={**limits, "admission_wait_ms": wait_ms}) as agent:
        began = time.monotonic()
        refused_count = send_at_once(agent, message, AT_ONCE)
        seconds, peak_bytes = time.monotonic() - began, agent.peak_bytes()
        samples = agent.wait_spans(spans)
        print(
            f"{AT_ONCE} messages of {len(message) / MIB:.1f} MiB, {spans} spans, wait {wait_ms} ms: "
            f"{seconds:.1f} s, {refused_count} refused on the way, peak {peak_bytes / MIB:.0f} MiB"
        )
        assert samples.total("mesh_requests_total") == spans
        assert samples.total("weft_messages_accepted_total", protocol="otlp_grpc") == AT_ONCE
        assert samples.total("weft_messages_refused_total") == refused_count
        assert refused_count == 0 or wait_ms == 5000
        if FULL:
            # The budget, what each that waits has under way, and what the agent needs by itself.
            assert peak_bytes < 128 * MIB + AT_ONCE * STREAM_WINDOW_BYTES + OWN_BYTES_MAX


def test_with_the_budget_full_a_message_is_refused_with_retry_info(directory):
    """A message larger than a stream's window needs assembly memory; another client holds it, half sent."""
    limits = {"assembly_bytes_max": 4 * MIB, "message_bytes_max": 4 * MIB, "admission_wait_ms": 200}
    one = otlp.message([MS] * 500)[0]
    message = one * (3 * MIB // len(one))
    spans = 500 * (len(message) // len(one))
    start = rawh2.grpc_prefix(len(message)) + message[:100_000]
    with Weftd(directory, limits=limits) as agent:
        with rawh2.Connection(agent.socket) as holder:
            holder.open()
            holder.send(rawh2.call_headers(1) + rawh2.data_frames(1, start, end=False))
            wait_for(lambda: agent.samples().total("weft_assembly_bytes") > 0, "the reservation")
            with grpc.insecure_channel(
                f"unix:{agent.socket}", options=[("grpc.enable_retries", 0)]
            ) as channel:
                with pytest.raises(grpc.RpcError) as refused:
                    channel.unary_unary(otlp.TRACES)(message, timeout=60)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            assert RETRY_INFO in dict(refused.value.trailing_metadata())[DETAILS]
            assert agent.samples().total("weft_messages_refused_total", reason="memory") == 1
        # The holder is gone: its memory is free again.
        wait_for(
            lambda: agent.samples().total("weft_messages_cut_total") == 1, "the holder's message to be cut"
        )
        assert call(agent, message) == grpc.StatusCode.OK
        assert agent.wait_spans(spans).total("mesh_requests_total") == spans


def call(agent, message, path=otlp.TRACES, **options):
    with grpc.insecure_channel(f"unix:{agent.socket}", options=[("grpc.enable_retries", 0)]) as channel:
        try:
            channel.unary_unary(path)(message, timeout=60, **options)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()


def test_answers_to_odd_calls(directory):
    message = otlp.message([MS] * 10)[0]
    with Weftd(directory, limits={"message_bytes_max": MIB}) as agent:
        assert call(agent, message, "/opentelemetry.proto.collector.trace.v1.TraceService/Nope") == (
            grpc.StatusCode.UNIMPLEMENTED
        )
        assert call(agent, message, "/not.a.Service/Method") == grpc.StatusCode.UNIMPLEMENTED
        assert call(agent, b"\x0a\x05abc") == grpc.StatusCode.INVALID_ARGUMENT
        assert call(agent, bytes(MIB + 1)) == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(agent, b"") == grpc.StatusCode.OK
        assert call(agent, message) == grpc.StatusCode.OK
        assert call(agent, message, compression=grpc.Compression.Gzip) == grpc.StatusCode.OK
        samples = agent.wait_spans(20)
        refused = samples.by(("reason",), "weft_messages_refused_total")
        assert refused == {("unknown_method",): 2, ("malformed",): 1, ("oversized",): 1}


def test_a_gzip_bomb_is_refused(directory):
    bomb = gzip.compress(bytes(64 * MIB))
    with Weftd(directory, limits={"message_bytes_max": 4 * MIB}) as agent:
        with rawh2.Connection(agent.socket) as connection:
            connection.send(rawh2.opening() + rawh2.export_call(1, bomb, compressed=1, grpc_encoding="gzip"))
            connection.read_until(rawh2.ends_stream(1))
            connection.send(rawh2.export_call(3, otlp.message([MS] * 10)[0]))
            connection.read_until(rawh2.ends_stream(3))
        samples = agent.wait_spans(10)
        assert samples.by(("reason",), "weft_messages_refused_total") == {("oversized",): 1}


def test_ten_thousand_answered_streams_may_be_reset(directory):
    with Weftd(directory) as agent, rawh2.Connection(agent.socket) as connection:
        connection.send(rawh2.opening())
        stream = 1
        for _ in range(100):
            numbers = list(range(stream, stream + 200, 2))
            connection.send(b"".join(rawh2.export_call(number, b"") for number in numbers))
            open_streams = set(numbers)

            def ended(each):
                if rawh2.ends_stream(each[2])(each):
                    open_streams.discard(each[2])
                return not open_streams

            connection.read_until(ended)
            connection.send(
                b"".join(rawh2.frame(rawh2.RST_STREAM, 0, number, b"\0\0\0\x08") for number in numbers)
            )
            stream += 200
        connection.send(rawh2.export_call(stream, otlp.message([MS] * 5)[0]))
        connection.read_until(rawh2.ends_stream(stream))
        assert agent.wait_spans(5).total("weft_connections_closed_total", reason="flood") == 0


def test_rapid_resets_end_the_connection(directory):
    with Weftd(directory) as agent, rawh2.Connection(agent.socket) as connection:
        connection.send(rawh2.opening())
        try:
            for number in range(1, 2 * 2500, 2):
                reset = rawh2.frame(rawh2.RST_STREAM, 0, number, b"\0\0\0\x08")
                connection.send(rawh2.call_headers(number) + reset)
        except OSError:
            pass  # closed already
        assert connection.closed_within(60)
        samples = agent.samples()
        assert samples.total("weft_connections_closed_total", reason="flood") == 1
        otlp.send_durations(agent.socket, [MS] * 10)
        agent.wait_spans(10)
