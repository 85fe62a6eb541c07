"""Log records of the native stream, out as OTLP to a receiver, each once and with its trace id."""

import os
import time

import pytest

import native
import otel_logs
from agent import Weftd
from harness import free_port, wait_for
from sink import Sink
from test_als import logs
from test_otlp_logs import as_otlp, export_ledger, logs_destination

pytestmark = pytest.mark.agent_needed


def batch(sequence, traces, **more):
    count = len(traces)
    fields = {
        "sequence": sequence,
        "log_count": count,
        "base_time_unix_ns": time.time_ns(),
        "trace_ids": b"".join(traces),
        "span_ids": bytes(range(1, 9)) * count,
        "time_offset_ns": [-1000 * i for i in range(count)],
        "severity": [9 + 4 * (i % 3) for i in range(count)],
        "bodies": [f"record {i}".encode() for i in range(count)],
        "attribute_count": [2] * count,
        "attribute_keys": [b"url.path", b"http.request.header.cookie"] * count,
        "attribute_values": [b"/a?token=hunter2", b"hunter2"] * count,
        **more,
    }
    return native.schema("LogBatch")(**fields)


def test_records_arrive_with_their_trace_ids(directory):
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [logs_destination(port)]) as agent:
        client = native.Client(agent.socket, "web", "shop")
        traces = [os.urandom(16) for _ in range(20)]
        first = batch(1, traces)
        assert client.send(native.LOGS, first).sequence == 1
        # Sent again, as after a connection that broke before the Ack: acknowledged, not shipped twice.
        client.close()
        again = native.Client(agent.socket, "web", "shop", instance=client.instance)
        assert again.send(native.LOGS, first).sequence == 1
        assert again.send(native.LOGS, batch(2, [bytes(16)] * 5)).sequence == 2
        again.close()
        wait_for(lambda: export_ledger(agent)[1] == 25, "25 records sent")
        assert export_ledger(agent) == (25, 25, 0)
        samples = agent.samples()
        assert logs(samples, "received") == 45 and logs(samples, "not_a_request") == 25
        assert samples.total("weft_records_dropped_total", signal="logs", reason="duplicate_batch") == 20
        got = list(otel_logs.records(otel_logs.messages(sink)))
    assert [record.trace_id for _, record in got] == traces + [b""] * 5
    assert b"hunter2" not in b"".join(otel_logs.messages(sink))
    for i, (resource, record) in enumerate(got[:20]):
        names = {pair.key: pair.value.string_value for pair in resource.attributes}
        assert names == {"service.name": "web", "service.namespace": "shop"}
        assert record.body.string_value == f"record {i}" and record.severity_number == 9 + 4 * (i % 3)
        assert record.time_unix_nano == first.base_time_unix_ns - 1000 * i
        assert as_otlp(record) == {"url.path": "/a", "http.request.header.cookie": "[redacted]"}


def test_what_is_wrong_is_refused_alone(directory):
    port = free_port()
    with Sink(f"127.0.0.1:{port}") as sink, Weftd(directory, [logs_destination(port)]) as agent:
        client = native.Client(agent.socket, "web", "shop")
        ack = client.send(
            native.LOGS,
            batch(
                1,
                [os.urandom(16)] * 4,
                severity=[9, 25, 9, 9],
                bodies=[b"a", b"b", b"\xff", b"d"],
                time_offset_ns=[0, 0, 0, -(10**18)],
            ),
        )
        assert (ack.sequence, ack.rejected_logs) == (1, 3)
        # Columns that contradict each other: the whole batch, and the sequence goes on.
        client.send_only(native.LOGS, batch(2, [os.urandom(16)] * 4, attribute_count=[1] * 4))
        assert client.send(native.LOGS, batch(3, [os.urandom(16)])).sequence == 3
        codes = [answer.code for kind, answer in client.answers if kind == native.ERROR]
        assert codes[:2] == [9, 4]  # RECORD, MALFORMED
        client.close()
        wait_for(lambda: export_ledger(agent)[1] == 2, "2 records sent")
        samples = agent.samples()
        assert logs(samples, "received") == 5 and logs(samples, "not_a_request") == 2
        assert samples.total("weft_records_dropped_total", signal="logs") == 3
        assert len(list(otel_logs.records(otel_logs.messages(sink)))) == 2
