"""Envoy's two statsd sinks: their configuration, one proxy that has them, and receivers that keep the bytes.

    load ─► envoy ─► upstream        StatsdSink  ─stream─►  a pipe cluster
                                     DogStatsdSink ─datagrams─► a Unix socket

Counters leave as what they rose by since the flush before, gauges as they are, histograms value by value.
"""

import socket
import threading

from sidecar import REVIEWS, TYPE, Envoy, cluster, front_routes, listener
from harness import free_port

STREAM_CLUSTER = "agent_statsd"
FLUSH_SECONDS = 1
DATAGRAM_BYTES_MAX = 8192


def dogstatsd_sink(path, max_bytes=DATAGRAM_BYTES_MAX):
    """One datagram holds as many lines as fit into max_bytes."""
    return {
        "name": "envoy.stat_sinks.dog_statsd",
        "typed_config": {
            "@type": TYPE + "envoy.config.metrics.v3.DogStatsdSink",
            "address": {"pipe": {"path": str(path)}},
            "max_bytes_per_datagram": max_bytes,
        },
    }


def statsd_stream_sink():
    return {
        "name": "envoy.stat_sinks.statsd",
        "typed_config": {
            "@type": TYPE + "envoy.config.metrics.v3.StatsdSink",
            "tcp_cluster_name": STREAM_CLUSTER,
        },
    }


def proxy(directory, upstream_port, sinks, stream_path=None, name="productpage"):
    """An Envoy with the front sidecar's routes before one upstream; returns (envoy, port of its listener)."""
    port = free_port()
    clusters = [cluster(REVIEWS, upstream_port)]
    if stream_path is not None:
        clusters.append(cluster(STREAM_CLUSTER, stream_path))
    routes = [
        each
        for each in front_routes(decorated=False, grpc=False)
        if each.get("route", {}).get("cluster", REVIEWS) == REVIEWS
    ]
    envoy = Envoy(
        name,
        directory,
        [listener("outbound", port, "OUTBOUND", routes, None, True)],
        clusters,
        bootstrap={"stats_sinks": sinks, "stats_flush_interval": f"{FLUSH_SECONDS}s"},
    )
    return envoy, port


class DatagramSink:
    """Keeps every datagram that a Unix socket gets. Context manager."""

    def __init__(self, path):
        self.datagrams = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._ended.is_set():
            try:
                self.datagrams.append(self._socket.recv(1 << 16))
            except TimeoutError:
                continue

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(5)
        self._socket.close()


class StreamSink:
    """Keeps what the clients of a Unix stream socket wrote, client after client. Context manager."""

    def __init__(self, path):
        self.data = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(8)
        self._lock = threading.Lock()

    def _serve(self, client):
        with client:
            while piece := client.recv(1 << 16):
                with self._lock:
                    self.data += piece

    def _run(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.close()
