"""nginx with the configuration of docs/meshes/nginx.md: each request counted once, with what became of it."""

import socket

import pytest
import yaml

import corpus
import load
import logging_proxies
import otel_logs
import ratings
from agent import Weftd, otlp_destination
from harness import free_port, wait_for
from logging_proxies import Nginx, blocks, check_counts, localized, play_nginx, taken_by
from sink import Sink
from upstream import Upstream

pytestmark = pytest.mark.agent_needed


def receivers(directory):
    return yaml.safe_load(localized(blocks("nginx.md", "yaml")[0], directory))


def test_the_configuration_of_the_docs_loads(directory):
    Nginx(directory, 1, check_only=True)
    with Weftd(directory, **receivers(directory)) as agent:
        assert (directory / "nginx.sock").is_socket()
        assert agent.samples().total("weft_datagrams_received_total", receiver="access_log") == 0


def test_each_request_counts_once_with_its_end(directory):
    with Upstream() as upstream, Weftd(directory, **receivers(directory)) as agent, Nginx(
        directory, upstream.port
    ) as nginx:
        expected = play_nginx(nginx.port, taken_by(agent), upstream)
        samples = check_counts(agent, expected)
        assert samples.total("weft_datagrams_received_total", receiver="access_log") == expected.lines
        assert samples.total("mesh_response_bytes_total", destination="reviews") == 3 * sum(
            count for key, count in expected.requests.items() if key[1] == "reviews" and key[2] != "499"
        )
        assert samples.by(("method",), "mesh_requests_total") == {("GET",): expected.lines}
        assert samples.by(("protocol",), "mesh_requests_total") == {("http1",): expected.lines}
        routes = {labels["route"] for labels, _ in samples.matching("mesh_requests_total")}
        assert "/reviews/*" in routes and not any("secret" in route for route in routes)


def test_a_request_that_cannot_be_read_and_odd_texts(directory):
    with Upstream() as upstream, Weftd(directory, **receivers(directory)) as agent, Nginx(
        directory, upstream.port
    ) as nginx:
        logging_proxies.odd(nginx.port)
        samples = logging_proxies.wait_lines(agent, 2)
        assert samples.by(("reporter", "destination", "response_code"), "mesh_requests_total") == {
            ("source", "reviews", "200"): 1,
            ("destination", "edge", "400"): 1,
        }


def test_grpc_statuses(directory):
    """In trailers, or in headers where there is nothing else."""
    with ratings.Ratings() as rpc, Weftd(directory, **receivers(directory)) as agent, Nginx(
        directory, free_port(), grpc_port=rpc.port
    ) as nginx:
        codes = [0, 0, 5, 14, 13, 4]
        assert ratings.call(nginx.grpc_port, codes) == codes
        samples = logging_proxies.wait_lines(agent, len(codes))
        keys = ("destination", "protocol", "route", "grpc_status", "outcome")
        got = samples.by(keys, "mesh_requests_total", reporter="source")
        assert got == {
            ("ratings", "grpc", ratings.METHOD, "0", "ok"): 2,
            ("ratings", "grpc", ratings.METHOD, "5", "client_error"): 1,
            ("ratings", "grpc", ratings.METHOD, "14", "server_error"): 1,
            ("ratings", "grpc", ratings.METHOD, "13", "server_error"): 1,
            ("ratings", "grpc", ratings.METHOD, "4", "server_error"): 1,
        }


def test_lines_leave_as_otlp_logs_with_their_trace_ids(directory):
    port = free_port()
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    destination = otlp_destination("logs", port, signals=["logs"])
    with Sink(f"127.0.0.1:{port}") as sink, Upstream() as upstream, Weftd(
        directory, [destination], **receivers(directory)
    ) as agent, Nginx(directory, upstream.port) as nginx:
        requests = [("/reviews/1?token=secret", "200"), ("/reviews/2?token=secret", "500")]
        load.send(nginx.port, requests, connections=1, headers={"traceparent": traceparent})
        logging_proxies.wait_lines(agent, 2)
        wait_for(lambda: len(list(otel_logs.records(otel_logs.messages(sink)))) == 2, "both records")
        got = [record for _, record in otel_logs.records(otel_logs.messages(sink))]
        assert b"secret" not in b"".join(otel_logs.messages(sink))
    fields = [corpus.attributes(record) for record in got]
    assert [each["url.path"] for each in fields] == ["/reviews/1", "/reviews/2"]
    assert [each["http.response.status_code"] for each in fields] == [200, 500]
    assert {record.trace_id.hex() for record in got} == {traceparent[3:35]}
    assert got[0].severity_number < got[1].severity_number


BAD = [  # a datagram, and the reason under which it is dropped
    (b"no header at all", "syslog_header"),
    (b"<200>Nov 23 11:55:05 nginx: {}", "syslog_header"),
    (b"<190>Nov 23 11:55:05 nginx: 127.0.0.1 - - GET / 200", "not_json"),
    (b'<190>Nov 23 11:55:05 nginx: {"status":"200","request_time":', "truncated"),
    (b'<190>Nov 23 11:55:05 nginx: {"status":"200"}', "malformed"),
    (b'<190>Nov 23 11:55:05 nginx: {"a":' + b"[" * 100 + b"]" * 100 + b"}", "nested_too_deep"),
    (b'<190>Nov 23 11:55:05 nginx: {"a":"' + b"x" * 20000 + b'"}', "oversized"),
    (b'<190>Nov 23 11:55:05 nginx: {"status":"200","request_time":"0","msec":"1.0"}', "time_out_of_range"),
]


def test_bad_lines_are_counted_with_a_reason_and_a_sample(directory):
    good = b'<190>Nov 23 11:55:05 nginx: {"status":"200","request_time":"0.001","proxy_host":"reviews"}'
    config = receivers(directory)
    with Weftd(directory, log={"level": "debug"}, **config) as agent:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(directory / "nginx.sock"))
            for datagram, _ in BAD:
                sender.send(datagram)
                sender.send(good)
            sender.send(b'<190>Nov 23 11:55:05 nginx: {"request_uri":"/a?token=secret"')
        samples = logging_proxies.wait_lines(agent, 2 * len(BAD) + 1)
        wanted = {}
        for _, reason in BAD + [(b"", "truncated")]:
            wanted[(reason,)] = wanted.get((reason,), 0) + 1
        assert samples.by(("reason",), "weft_records_dropped_total", signal="logs") == wanted
        assert samples.total("mesh_requests_total", destination="reviews") == len(BAD)
        assert samples.total("weft_messages_accepted_total", protocol="syslog") == 2 * len(BAD) + 1
        wait_for(lambda: agent.log().count("log_line_dropped") >= len(BAD), "samples in the debug log")
        assert "secret" not in agent.log() and "request_uri" in agent.log()


def test_a_stopped_agent_holds_up_no_request(directory):
    """Its queue fills and nginx drops lines; requests go on, and what was queued is counted."""
    with Upstream() as upstream, Weftd(directory, **receivers(directory)) as agent, Nginx(
        directory, upstream.port
    ) as nginx:
        with agent.paused():
            logging_proxies.each(nginx.port, "/reviews/1", 200)
        logging_proxies.each(nginx.port, "/reviews/2", 1)
        samples = wait_for(lambda: some_lines(agent), "lines")
        assert samples.total("mesh_requests_total", destination="reviews") >= 1
        assert samples.total("weft_records_dropped_total", signal="logs") == 0


def some_lines(agent):
    samples = agent.samples()
    received = samples.total("weft_records_received_total", signal="logs")
    done = samples.total("weft_records_aggregated_total", signal="logs")
    return samples if received and received == done else None
