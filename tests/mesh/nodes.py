"""Three nodes on one machine: network namespaces joined by a bridge, in each an agent and two Envoys, the agents each
other's peers; and a relay between two of them that loses notices.

    namespace 0: 10.77.0.1   agent, front ─┐ svc calls      (front of node i calls back of node i + 1)
    namespace 1: 10.77.0.2   agent, back ◄─┘
    namespace 2: 10.77.0.3   …
    namespace of the bridge alone: no route to them from outside, nothing of the machine's own network is touched

The namespaces have no name: they live as long as this process holds them open, so that nothing is left of them
however it ends. A thread enters one with `inside`; processes that it starts there stay there. Unix sockets are
reached from everywhere. Needs root.
"""

import contextlib
import ctypes
import json
import os
import re
import socket
import subprocess
import threading

import sidecar
from agent import Weftd
from harness import http_get

COUNT = 3
CLONE_NEWNET = 0x40000000
API_PORT, INBOUND_PORT, OUTBOUND_PORT = 9411, 15006, 15001
TOKEN = "a-secret-of-sixteen-and-more"
LIBC = ctypes.CDLL(None, use_errno=True)


def have_namespaces():
    return os.geteuid() == 0 and _call(lambda: LIBC.unshare(CLONE_NEWNET) == 0)


def _call(function):
    """The function's result, from a thread of its own: what it does to its namespace stays its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0] if results else None


def _new_namespace():
    def make():
        assert LIBC.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    made = _call(make)
    assert made is not None
    return made


@contextlib.contextmanager
def entered(namespace):
    """This thread, what it connects and what it starts are in the namespace for the length of a `with`."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert LIBC.setns(namespace, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert LIBC.setns(before, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(before)


def _ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, timeout=10)


class Network:
    """The bridge and its nodes; a context manager."""

    def __init__(self):
        self._bridge, self.nodes = _new_namespace(), [_new_namespace() for _ in range(COUNT)]

    def __enter__(self):
        try:
            with entered(self._bridge):
                _ip("link", "add", "bridge0", "type", "bridge")
                _ip("link", "set", "bridge0", "up")
                for i, node in enumerate(self.nodes):
                    at = f"/proc/{os.getpid()}/fd/{node}"
                    _ip("link", "add", f"node{i}", "type", "veth", "peer", "name", "eth0", "netns", at)
                    _ip("link", "set", f"node{i}", "master", "bridge0", "up")
            for i in range(COUNT):
                with self.inside(i):
                    _ip("link", "set", "lo", "up")
                    _ip("addr", "add", f"{self.address(i)}/24", "dev", "eth0")
                    _ip("link", "set", "eth0", "up")
        except BaseException:
            self.close()
            raise
        return self

    def inside(self, i):
        return entered(self.nodes[i])

    @staticmethod
    def address(i):
        return f"10.77.0.{i + 1}"

    def close(self):
        for each in (self._bridge, *self.nodes):
            os.close(each)

    def __exit__(self, *_):
        self.close()


class NodeAgent(Weftd):
    """The agent of a node; asked from inside it."""

    def __init__(self, network, i, directory, destinations, peers, **config):
        self._network, self._i = network, i
        trace = {"export": "kept", "peers": peers, "peer_token_file": str(directory / "token")}
        config["trace"] = {**trace, **config.get("trace", {})}
        (directory / "token").write_text(TOKEN + "\n")
        (directory / "token").chmod(0o600)
        self._made = (directory, destinations, config)
        self.begin()

    def begin(self):
        """Starts it; once more when it was killed."""
        directory, destinations, config = self._made
        with self._network.inside(self._i):
            super().__init__(
                directory,
                destinations,
                shards=2,
                name=f"node{self._i}",
                port=API_PORT,
                host=self._network.address(self._i),
                **{key: dict(value) for key, value in config.items()},
            )

    def get(self, path, headers=None, **arguments):
        with self._network.inside(self._i):
            return http_get(self.url(path, **arguments), headers)


def peer_urls(i):
    return [f"http://{Network.address(j)}:{API_PORT}" for j in range(COUNT) if j != i]


class Envoys(contextlib.ExitStack):
    """Two on each node: `front`, whose calls go to `back` of the next node, which calls the upstream beside it. Each
    tells the agent of its own node, by OTLP over gRPC."""

    def __init__(self, network, directory, agents, upstream_ports):
        super().__init__()
        self.fronts, self.backs = [], []
        self._network = network
        try:
            for i, agent in enumerate(agents):
                self.backs.append(self._back(i, directory, agent, upstream_ports[i]))
            for i, agent in enumerate(agents):
                self.fronts.append(self._front(i, directory, agent))
        except BaseException:
            self.close()
            raise

    def _start(self, i, directory, *arguments):
        directory = directory / f"envoys{i}"
        directory.mkdir(exist_ok=True)
        with self._network.inside(i):
            return self.enter_context(sidecar.Envoy(arguments[0], directory, *arguments[1:], flush_ms=500))

    def _back(self, i, directory, agent, upstream_port):
        routes = [sidecar.route("/", sidecar.INBOUND, "default", timeout="10s")]
        traced = sidecar.tracing("reviews.shop", True)
        listens = sidecar.listener("inbound", INBOUND_PORT, "INBOUND", routes, traced, False, host="0.0.0.0")
        clusters = [
            sidecar.cluster("agent_grpc", agent.socket, http2=True),
            sidecar.cluster(sidecar.INBOUND, upstream_port),
        ]
        return self._start(i, directory, "reviews", [listens], clusters)

    def _front(self, i, directory, agent):
        routes = [sidecar.route("/", sidecar.REVIEWS, "reviews-http", timeout="10s")]
        traced = sidecar.tracing("productpage.shop", True)
        listens = sidecar.listener("outbound", OUTBOUND_PORT, "OUTBOUND", routes, traced, True)
        clusters = [
            sidecar.cluster("agent_grpc", agent.socket, http2=True),
            sidecar.cluster(sidecar.REVIEWS, (INBOUND_PORT, Network.address((i + 1) % COUNT))),
        ]
        return self._start(i, directory, "productpage", [listens], clusters)

    def spans_sent(self):
        """Of each node: what both of its Envoys say they have sent."""
        counts = []
        for i, pair in enumerate(zip(self.fronts, self.backs)):
            with self._network.inside(i):
                counts.append(sum(envoy.spans_sent() for envoy in pair))
        return counts


class NoticeRelay:
    """Between an agent and one of its peers, on loopback of the agent's node. Passes requests on, one by one, but of
    the notices (POST /api/v1/keep) loses some: a tenth it answers itself and forgets, so that nobody but `lost` knows;
    of a twentieth each it loses the request or the answer, and closes the connection, so that they are sent again."""

    def __init__(self, network, i, j, numbers):
        self.lost, self.passed_on, self.closed = set(), 0, 0  # ids; how many ids; connections
        self._network, self._i, self._target, self._numbers = network, i, (Network.address(j), API_PORT), numbers
        with network.inside(i):
            self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        peer = None
        try:
            with self._network.inside(self._i):
                peer = socket.create_connection(self._target, timeout=10)
            while (message := _http_message(client)) is not None and self._handle(client, peer, message):
                pass
        except OSError:
            pass
        finally:
            for each in (client, peer):
                if each is not None:
                    each.close()

    def _handle(self, client, peer, message):
        """False: the connection is over."""
        head, body = message
        ids = json.loads(body)["traceIds"] if head.startswith(b"POST /api/v1/keep ") else None
        fate = self._numbers.random() if ids is not None else 1
        if fate < 0.10:
            self.lost.update(ids)
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}\n")
            return True
        if fate < 0.15:
            self.closed += 1
            return False
        peer.sendall(head + body)
        self.passed_on += len(ids or ())
        answer = _http_message(peer)
        if answer is None or fate < 0.20:
            self.closed += 1
            return False
        client.sendall(answer[0] + answer[1])
        return True


def _http_message(stream):
    """(head, body) of a request or an answer with a length; None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return None
        data += more
    at = data.index(b"\r\n\r\n") + 4
    found = re.search(rb"\r\ncontent-length: *(\d+)", data[:at], re.IGNORECASE)
    length = int(found[1]) if found else 0
    while len(data) - at < length:
        more = stream.recv(65536)
        if not more:
            return None
        data += more
    return data[:at], data[at:]
