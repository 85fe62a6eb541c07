"""HAProxy with the configuration of docs/meshes/haproxy.md, by datagrams and through a ring: each request
counted once, with what became of it."""

import socket

import pytest
import yaml

import logging_proxies
from agent import Weftd
from harness import wait_for
from logging_proxies import Haproxy, blocks, check_counts, localized, play_haproxy, taken_by
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

PROBES = 1  # connections by which the harness sees that HAProxy listens: logged, and no requests


def receivers(directory):
    return yaml.safe_load(localized(blocks("haproxy.md", "yaml")[0], directory))


@pytest.mark.parametrize("ring", [False, True], ids=["datagrams", "ring"])
def test_the_configuration_of_the_docs_loads(directory, ring):
    Haproxy(directory, 1, ring, check_only=True)
    with Weftd(directory, **receivers(directory)):
        assert (directory / "haproxy.sock").is_socket()
        assert (directory / "haproxy-stream.sock").is_socket()


@pytest.mark.parametrize("ring", [False, True], ids=["datagrams", "ring"])
def test_each_request_counts_once_with_its_end(directory, ring):
    with Upstream() as upstream, Weftd(directory, **receivers(directory)) as agent, Haproxy(
        directory, upstream.port, ring
    ) as haproxy:
        expected = play_haproxy(haproxy.port, taken_by(agent), upstream)
        samples = check_counts(agent, expected, not_requests=PROBES)
        lines = expected.lines + PROBES
        assert samples.total("weft_datagrams_received_total", receiver="access_log") == (0 if ring else lines)
        assert samples.by(("method",), "mesh_requests_total") == {("GET",): expected.lines}
        routes = {labels["route"] for labels, _ in samples.matching("mesh_requests_total")}
        assert "/reviews/*" in routes and not any("secret" in route for route in routes)


def test_a_request_that_cannot_be_read_and_odd_texts(directory):
    with Upstream() as upstream, Weftd(directory, **receivers(directory)) as agent, Haproxy(
        directory, upstream.port, ring=True
    ) as haproxy:
        logging_proxies.odd(haproxy.port)
        samples = logging_proxies.wait_lines(agent, 2 + PROBES)
        by = samples.by(("reporter", "destination", "response_code"), "mesh_requests_total")
        assert by[("destination", "edge", "400")] >= 1
        assert by[("source", "reviews", "200")] + by[("destination", "edge", "400")] == 2


def test_a_ring_waits_for_a_stopped_agent(directory):
    """What fits into the ring is told later: nothing is lost, and no request waits."""
    with Upstream() as upstream, Weftd(directory, **receivers(directory)) as agent, Haproxy(
        directory, upstream.port, ring=True
    ) as haproxy:
        logging_proxies.each(haproxy.port, "/reviews/0", 1)
        logging_proxies.wait_lines(agent, 1 + PROBES)
        with agent.paused():
            logging_proxies.each(haproxy.port, "/reviews/1", 300)
        samples = logging_proxies.wait_lines(agent, 301 + PROBES)
        assert samples.total("mesh_requests_total", destination="reviews", response_code="200") == 301


def test_streams_that_break_are_counted(directory):
    line = b'<134>1 - - haproxy - - - {"status":200,"duration_ms":1,"backend":"reviews","server":"r1"}'
    framed = b"%d %s" % (len(line), line)
    with Weftd(directory, **receivers(directory)) as agent:
        for rest in (b"", b"12 cut", b"no length", b"99999 " + b"x" * 99999):
            with socket.socket(socket.AF_UNIX) as sender:
                sender.connect(str(directory / "haproxy-stream.sock"))
                sender.sendall(framed + rest)
        samples = logging_proxies.wait_lines(agent, 5)
        assert samples.total("mesh_requests_total", destination="reviews") == 4
        assert samples.by(("reason",), "weft_records_dropped_total", signal="logs") == {("oversized",): 1}
        wait_for(lambda: agent.samples().total("weft_messages_cut_total") == 1, "the message that was cut")
        assert agent.samples().total("weft_connections_closed_total", reason="protocol_error") == 1


def test_two_listeners_of_two_proxies(directory):
    """Each has its own preset, map and name."""
    config = {
        "receivers": {
            "access_logs": [
                {"path": f"{directory}/a.sock", "preset": "haproxy", "service": "front"},
                {
                    "path": f"{directory}/b.sock",
                    "preset": "nginx",
                    "service": "back",
                    "service_namespace": "shop",
                    "fields": {"status": "code"},
                },
            ]
        }
    }
    sent = {
        "a.sock": b'<134>{"status":200,"duration_ms":1,"backend":"x","server":"s"}',
        "b.sock": b'<134>{"code":"404","status":"200","request_time":"0.001"}',
    }
    with Weftd(directory, shards=2, **config) as agent:
        for name, datagram in sent.items():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(f"{directory}/{name}")
                sender.send(datagram)
        samples = logging_proxies.wait_lines(agent, 2)
        keys = ("reporter", "source", "destination", "destination_namespace", "response_code")
        assert samples.by(keys, "mesh_requests_total") == {
            ("source", "front", "x", "unknown", "200"): 1,
            ("destination", "unknown", "back", "shop", "404"): 1,
        }
