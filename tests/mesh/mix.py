"""Every way in which a request can end, made on purpose through two real Envoy sidecars, whatever telemetry
they send.

    load ─► front, outbound 127.0.0.1:port ──► back, inbound ──► upstream, ratings (gRPC)
                 │  outbound|80||reviews.shop.svc.cluster.local      inbound|8080||
                 ├─► details.shop: circuit breaker at 0          ├─► ratings.shop: nothing listens
                 └─► carts.shop: fault injection, rate limit (answered by the back as reviews is)
    bytes ─► front, 127.0.0.1:tcp_port ──► echo (outbound|6379||redis.shop.svc.cluster.local)
    bytes ─► front, 127.0.0.1:dead_tcp_port ──► nothing listens (outbound|6380||…)

`Mix` is the topology. It takes a telemetry: a function of (service, "outbound" or "inbound") that returns the
pieces of configuration by which one sidecar reports:

    {"clusters": [...], "filters": [...], "manager": {...}, "router": {...}, "tcp": {...}, "bootstrap": {...}}

`clusters` are added to the sidecar's and `filters` before its router, the next three are merged into the
connection manager, the router filter and the TCP proxy; all of them may be left out. `play(mix)` sends the load and returns what every source
of telemetry should then say: `Expected`.
"""

import socket
import subprocess
import threading
import time
from collections import Counter

import load
import ratings
from harness import ANSWER_SECONDS_MAX, free_port
from sidecar import INBOUND, INBOUND_GRPC, REVIEWS, TYPE, Envoy, cluster, route
from sidecar import _address as address
from upstream import HELD

DEAD = "outbound|80||ratings.shop.svc.cluster.local"
RATINGS_GRPC = "outbound|9090||ratings.shop.svc.cluster.local"
DETAILS = "outbound|80||details.shop.svc.cluster.local"
CARTS = "outbound|80||carts.shop.svc.cluster.local"
REDIS = "outbound|6379||redis.shop.svc.cluster.local"
REDIS_DEAD = "outbound|6380||redis-old.shop.svc.cluster.local"
FILTERS = TYPE + "envoy.extensions.filters.http."
PERCENT = {"numerator": 100, "denominator": "HUNDRED"}


def _fault(**what):
    return {"@type": FILTERS + "fault.v3.HTTPFault", **what}


def _limit():
    """One request an hour."""
    always = {"default_value": PERCENT}
    return {
        "@type": FILTERS + "local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "carts",
        "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"},
        "filter_enabled": {"runtime_key": "limit_enabled", **always},
        "filter_enforced": {"runtime_key": "limit_enforced", **always},
    }


def front_routes():
    retry = {
        "retry_on": "5xx,reset,connect-failure",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.005s"},
    }
    delayed = route("/carts/delayed", CARTS, "carts-delayed", timeout="30s")
    delayed["typed_per_filter_config"] = {
        "envoy.filters.http.fault": _fault(delay={"fixed_delay": "0.02s", "percentage": PERCENT})
    }
    aborted = route("/carts/aborted", CARTS, "carts-aborted", timeout="30s")
    aborted["typed_per_filter_config"] = {
        "envoy.filters.http.fault": _fault(abort={"http_status": 503, "percentage": PERCENT})
    }
    limited = route("/carts/limited", CARTS, "carts-limited", timeout="30s")
    limited["typed_per_filter_config"] = {"envoy.filters.http.local_ratelimit": _limit()}
    rpc = route("/", RATINGS_GRPC, "ratings-grpc", timeout="30s")
    rpc["match"]["grpc"] = {}
    return [
        rpc,
        route("/reviews", REVIEWS, "reviews", timeout="30s", retry_policy=retry),
        route("/slow", REVIEWS, "reviews-slow", timeout="0.1s"),
        route("/dead", DEAD, "ratings", timeout="30s"),
        route("/full", DETAILS, "details", timeout="30s"),
        delayed,
        aborted,
        limited,
    ]


def http_listener(name, port, direction, routes, telemetry, attempts):
    filters = [
        {"name": "envoy.filters.http.fault", "typed_config": _fault()},
        {
            "name": "envoy.filters.http.local_ratelimit",
            "typed_config": {
                "@type": FILTERS + "local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "none",
            },
        },
        *telemetry.get("filters", []),
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": FILTERS + "router.v3.Router", **telemetry.get("router", {})},
        },
    ]
    host = {"name": name, "domains": ["*"], "routes": routes, "include_request_attempt_count": attempts}
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "http_filters": filters if direction == "OUTBOUND" else filters[2:],
        "route_config": {"name": name, "virtual_hosts": [host]},
        **telemetry.get("manager", {}),
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "traffic_direction": direction, "address": address(port), "filter_chains": [chain]}


def tcp_listener(name, port, cluster_name, telemetry):
    proxy = {
        "@type": TYPE + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "cluster": cluster_name,
        "max_connect_attempts": 1,
        **telemetry.get("tcp", {}),
    }
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    return {"name": name, "traffic_direction": "OUTBOUND", "address": address(port), "filter_chains": [chain]}


def _full(made):
    """With its circuit breaker always open."""
    nothing = {"max_connections": 0, "max_pending_requests": 0, "max_requests": 0, "max_retries": 0}
    return {**made, "circuit_breakers": {"thresholds": [nothing]}}


def _certificate(directory, name, uri):
    """A self-signed certificate with a SPIFFE URI: (certificate, key) as paths."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}"]
        + ["-addext", f"subjectAltName=URI:{uri}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return certificate, key


def mutual_tls(directory, front="productpage", back="reviews"):
    """`secure` of Mix: both sidecars show certificates as Istio gives them to the service accounts."""
    made = {
        name: _certificate(directory, name, f"spiffe://cluster.local/ns/shop/sa/{name}")
        for name in (front, back)
    }

    def context(kind, own, other, **more):
        certificate, key = ({"filename": str(path)} for path in made[own])
        return {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": TYPE + f"envoy.extensions.transport_sockets.tls.v3.{kind}TlsContext",
                "common_tls_context": {
                    "tls_certificates": [{"certificate_chain": certificate, "private_key": key}],
                    "validation_context": {"trusted_ca": {"filename": str(made[other][0])}},
                },
                **more,
            },
        }

    return {
        "outbound": context("Upstream", front, back),
        "inbound": context("Downstream", back, front, require_client_certificate=True),
    }


class Echo:
    """Sends back what comes, until the other side has said all of it; one connection at a time a thread."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    @staticmethod
    def _serve(peer):
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data)

    def close(self):
        self._listener.close()


class Mix:
    """Context manager. `port`, `tcp_port`, `dead_tcp_port` take the load; `front` and `back` are the Envoys."""

    def __init__(
        self, directory, upstream_port, grpc_port, telemetry, flush_ms=1000, workers=1, secure=None
    ):
        """secure: {"outbound": transport socket of the cluster, "inbound": of the listener}, or None."""
        self.port, self.tcp_port, self.dead_tcp_port, back_port = (free_port() for _ in range(4))
        self.echo = Echo()
        outbound, inbound = telemetry("productpage.shop", "outbound"), telemetry("reviews.shop", "inbound")
        rpc = route("/", INBOUND_GRPC, "default", timeout="30s")
        rpc["match"]["grpc"] = {}
        back_listener = http_listener(
            "inbound",
            back_port,
            "INBOUND",
            [rpc, route("/", INBOUND, "default", timeout="30s")],
            inbound,
            False,
        )
        to_back = [
            cluster(REVIEWS, back_port),
            cluster(CARTS, back_port),
            cluster(RATINGS_GRPC, back_port, http2=True),
        ]
        if secure:
            back_listener["filter_chains"][0]["transport_socket"] = secure["inbound"]
            to_back = [{**each, "transport_socket": secure["outbound"]} for each in to_back]
        self.back = Envoy(
            "reviews",
            directory,
            [back_listener],
            inbound.get("clusters", [])
            + [cluster(INBOUND, upstream_port), cluster(INBOUND_GRPC, grpc_port, http2=True)],
            workers,
            flush_ms,
            inbound.get("bootstrap"),
        )
        try:
            self.front = Envoy(
                "productpage",
                directory,
                [
                    http_listener("outbound", self.port, "OUTBOUND", front_routes(), outbound, True),
                    tcp_listener("redis", self.tcp_port, REDIS, outbound),
                    tcp_listener("redis-old", self.dead_tcp_port, REDIS_DEAD, outbound),
                ],
                outbound.get("clusters", [])
                + to_back
                + [
                    cluster(DEAD, free_port()),
                    _full(cluster(DETAILS, back_port)),
                    cluster(REDIS, self.echo.port),
                    cluster(REDIS_DEAD, free_port()),
                ],
                workers,
                flush_ms,
                outbound.get("bootstrap"),
            )
        except BaseException:
            self.back.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.front.stop()
        self.back.stop()
        self.echo.close()


class Expected:
    """What the load was, as the front sidecar (reporter "source") saw it.

    requests: Counter of (destination, response code, outcome); flags: Counter of (destination, flag);
    attempts: Counter by destination, of those that were made; grpc: Counter of (status, outcome);
    connections: Counter of (destination, flags); tcp_bytes each way; inbound: Counter of (code, outcome)
    of what reached the back sidecar, gRPC left out.
    """

    def __init__(self):
        self.requests, self.flags, self.attempts = Counter(), Counter(), Counter()
        self.grpc, self.connections, self.inbound = Counter(), Counter(), Counter()
        self.tcp_bytes = 0

    def add(self, count, destination, code, outcome, flags=(), attempts=1):
        self.requests[destination, str(code), outcome] += count
        self.attempts[destination] += count * attempts
        for flag in flags:
            self.flags[destination, flag] += count

    def total(self):
        return sum(self.requests.values()) + sum(self.grpc.values())


# (requests, path, plan, destination, code, outcome, flags, attempts): see front_routes and upstream.py
LOAD = (
    (40, "/reviews/{}", "200", "reviews", 200, "ok", (), 1),
    (7, "/reviews/{}/comments", "404", "reviews", 404, "client_error", (), 1),
    (5, "/reviews/{}", "503,200", "reviews", 200, "ok", (), 2),
    (4, "/reviews/{}", "503,503,200", "reviews", 200, "ok", (), 3),
    (6, "/reviews/{}", "500,500,500", "reviews", 500, "server_error", ("URX",), 3),
    (3, "/slow/{}", HELD, "reviews", 504, "server_error", ("UT",), 1),
    (4, "/dead/{}", "200", "ratings", 503, "server_error", ("UF",), 1),
    (5, "/full/{}", "200", "details", 503, "server_error", ("UO",), 1),
    (6, "/nothing/{}", "200", "unknown", 404, "client_error", ("NR",), 0),
    (1, "/carts/limited/{}", "200", "carts", 200, "ok", (), 1),
    (4, "/carts/limited/{}", "200", "carts", 429, "client_error", ("RL",), 0),
    (3, "/carts/delayed/{}", "200", "carts", 200, "ok", ("DI",), 1),
    (5, "/carts/aborted/{}", "200", "carts", 503, "server_error", ("FI",), 0),
)
LEAVERS = 2
GRPC_CODES = (0, 0, 0, 5, 14)
GRPC_OUTCOMES = {0: "ok", 5: "client_error", 14: "server_error"}
TCP_CONNECTIONS, TCP_DEAD_CONNECTIONS, TCP_BYTES = 5, 3, 1000


def talk(port, count):
    """Sends `count` bytes, says that this was all, and takes what comes back; how many bytes that were."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX) as peer:
        peer.sendall(b"x" * count)
        peer.shutdown(socket.SHUT_WR)
        got = 0
        while data := peer.recv(65536):
            got += len(data)
        return got


def _touch(port):
    try:
        talk(port, 1)
    except OSError:
        pass  # nobody is behind it: a reset is an answer


def _reached_upstream(mix):
    """Requests that the back sidecar has sent on."""
    return sum(mix.back.stats(r"^cluster\.inbound\|8080\|\|\.upstream_rq_total$").values())


def _play_http(mix, expected):
    number = 0
    for count, path, plan, destination, code, outcome, flags, attempts in LOAD:
        requests = [(path.format(number + i) + "?token=hunter2", plan) for i in range(count)]
        number += count
        answers = load.send(mix.port, requests, connections=1)
        assert [answer.status for answer in answers] == [code] * count, (path, plan, code)
        expected.add(count, destination, code, outcome, flags, attempts)
    for _ in range(LEAVERS):
        before = _reached_upstream(mix)
        load.abandon(mix.port, "/reviews/9", HELD, lambda count=before: _reached_upstream(mix) > count)
        expected.add(1, "reviews", 0, "cancelled", ("DC",), 1)


def play(mix):
    """Sends the whole mix, some seconds of it; what is to be seen then."""
    expected = Expected()
    _play_http(mix, expected)
    got = ratings.call(mix.port, GRPC_CODES)
    assert got == list(GRPC_CODES)
    for code in GRPC_CODES:
        expected.grpc[str(code), GRPC_OUTCOMES[code]] += 1
    for _ in range(TCP_CONNECTIONS):
        assert talk(mix.tcp_port, TCP_BYTES) == TCP_BYTES
    expected.connections["redis", ()] = TCP_CONNECTIONS
    expected.tcp_bytes = TCP_CONNECTIONS * TCP_BYTES
    for _ in range(TCP_DEAD_CONNECTIONS):
        _touch(mix.dead_tcp_port)
    expected.connections["redis-old", ("UF", "URX")] = TCP_DEAD_CONNECTIONS
    time.sleep(0.5)  # the last connections are closed
    return expected
