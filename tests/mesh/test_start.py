"""What cannot be opened at start: a receiver's socket is named and done without, the agent's own ends it with the key."""

import os
import socket
import subprocess

import pytest

from agent import WEFTD, Weftd
from harness import free_port

pytestmark = pytest.mark.agent_needed


def taken_port(kind):
    """(bound socket, port) on loopback."""
    holder = socket.socket(socket.AF_INET, kind)
    port = free_port()
    holder.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM:
        holder.listen(1)
    return holder, port


def test_a_receiver_whose_address_is_in_use_is_named(directory):
    datagrams, udp_port = taken_port(socket.SOCK_DGRAM)
    streams, tcp_port = taken_port(socket.SOCK_STREAM)
    receivers = {
        "statsd": {"udp": f"127.0.0.1:{udp_port}", "path": str(directory / "statsd.sock")},
        "otlp": {"grpc": f"127.0.0.1:{tcp_port}"},
    }
    with datagrams, streams, Weftd(directory, receivers=receivers) as agent:  # waits for /readyz
        log = agent.log()
        for key, port in (("receivers.statsd.udp", udp_port), ("receivers.otlp.grpc", tcp_port)):
            assert f'event=listener_failed reason="{key}: 127.0.0.1:{port}: the address is in use"' in log, log
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(b"hits:1|c", str(directory / "statsd.sock"))
        agent.wait_records("metrics", 1)
        assert agent.samples().total("weft_listeners_failed") == 2


@pytest.mark.parametrize("key", ["http.address", "socket.path"])
def test_an_address_of_its_own_names_its_key(directory, key):
    with Weftd(directory) as agent:
        own = {"http.address": agent.address, "socket.path": agent.socket}
        other = {"http.address": f"127.0.0.1:{free_port()}", "socket.path": directory / "other.sock", key: own[key]}
        command = [WEFTD, "--socket", other["socket.path"], "--http", other["http.address"]]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "WEFT_API": "", "XDG_RUNTIME_DIR": str(directory)},
        )
        said = {"http.address": "the address is in use", "socket.path": "another instance is live there"}
        assert f"{key}: {own[key]}: {said[key]}" in done.stderr, done.stderr
        assert done.returncode == 1
        assert agent.get("/readyz")[0] == 200
