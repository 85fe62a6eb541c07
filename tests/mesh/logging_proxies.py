"""nginx and HAProxy with the configuration of docs/meshes/, their paths replaced; a mix of requests whose
fate each proxy must tell; and sinks that keep what it logs.

    load ─► nginx | haproxy ─► upstream        and ports at which nobody listens
                 └─ log lines ─► the agent, or a sink

Both proxies have the same places:

    /reviews…    the upstream, retried once when it answers 503
    /dead        one server, refused
    /none        no server: HAProxy only (nginx does not start without one)
    /slow        the upstream, 200 ms
    /reset       the upstream, not retried
    /own         answered by the proxy: 204 of nginx, 403 of HAProxy
    /limited     nginx: one request a minute
    /queue       HAProxy: one request at a time, 200 ms in the queue
"""

import re
import shutil
import socket
import subprocess
import threading
from collections import Counter

import load
from agent import COUNT_SECONDS_MAX, LEDGER_TERMS
from harness import ANSWER_SECONDS_MAX, REPOSITORY, Process, free_port, wait_for
from upstream import HELD

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
RETRIED = "503,200"
SLOW_MS = 200
SLOT_HELD_MS = 4000  # many times that, and less than HAProxy's timeout for the server
SINK_BYTES_MAX = 1 << 16
GROUP_COUNT = 6  # requests at once: fewer than the datagrams that a socket holds


def blocks(page, language):
    """The fenced blocks of docs/meshes/PAGE that are of the language."""
    text = (REPOSITORY / "docs/meshes" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def localized(block, directory):
    return block.replace("/run/weft/", f"{directory}/")


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def grpc_server(log, port, upstream_port):
    """HTTP/2 without TLS. As the page says, the service's name stands in place of $proxy_host."""
    named = log.replace("log_format weft ", "log_format weft_grpc ").replace("$proxy_host", "ratings")
    named_format, access_log = named.split("access_log ")
    return f"""{named_format}
    server {{
        listen 127.0.0.1:{port} http2;
        access_log {access_log.replace(" weft;", " weft_grpc;")}
        location / {{ grpc_pass grpc://127.0.0.1:{upstream_port}; }}
    }}"""


class Nginx(Process):
    """One worker; ready when the constructor returns."""

    def __init__(self, directory, upstream_port, check_only=False, grpc_port=None):
        super().__init__("nginx", directory)
        self.port, self.grpc_port, dead = free_port(), free_port(), free_port()
        temporary = "".join(
            f"    {kind}_temp_path {directory}/nginx-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        log = localized(blocks("nginx.md", "nginx")[0], directory)
        path = directory / "nginx.conf"
        path.write_text(
            f"""daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
{temporary}
{log}
    limit_req_zone $server_port zone=one:64k rate=1r/m;
    upstream reviews {{
        server 127.0.0.1:{upstream_port} max_fails=0;
        server 127.0.0.1:{upstream_port} max_fails=0;
        keepalive 4;
    }}
    upstream ratings {{ server 127.0.0.1:{dead}; }}
    upstream details {{ server 127.0.0.1:{dead} max_fails=0; server 127.0.0.1:{dead} max_fails=0; }}
    upstream empty {{ server 127.0.0.1:{dead} down; server 127.0.0.1:{dead} down; }}
    upstream once {{ server 127.0.0.1:{upstream_port}; }}
    server {{
        listen 127.0.0.1:{self.port};
        proxy_http_version 1.1;
        proxy_next_upstream error timeout http_503;
        location /reviews {{ proxy_pass http://reviews; }}
        location /dead {{ proxy_pass http://ratings; }}
        location /exhausted {{ proxy_pass http://details; }}
        location /none {{ proxy_pass http://empty; }}
        location /slow {{ proxy_pass http://once; proxy_read_timeout {SLOW_MS}ms; }}
        location /reset {{ proxy_pass http://once; }}
        location /limited {{ limit_req zone=one; proxy_pass http://once; }}
        location /own {{ return 204; }}
    }}
    {grpc_server(log, self.grpc_port, grpc_port) if grpc_port else ""}
}}
"""
        )
        if check_only:
            subprocess.run([NGINX, "-t", "-q", "-c", path], check=True, timeout=60)
            return
        self.start([NGINX, "-c", path])
        self.wait_until(lambda: accepts(self.port), "listening")


class Haproxy(Process):
    """With datagrams, or with the ring; ready when the constructor returns."""

    def __init__(self, directory, upstream_port, ring, check_only=False):
        super().__init__("haproxy", directory)
        self.port, dead = free_port(), free_port()
        datagrams, streams, defaults = blocks("haproxy.md", "haproxy")
        path = directory / "haproxy.cfg"
        path.write_text(
            f"""{localized(streams if ring else datagrams, directory)}
{localized(defaults, directory)}
    timeout client 30s
    option abortonclose

defaults plain
    mode http
    timeout connect 10s
    timeout server 30s
    timeout queue {SLOW_MS}ms
    retries 2
    option abortonclose

frontend edge from weft
    bind 127.0.0.1:{self.port}
    http-request deny if {{ path /own }}
    http-request deny deny_status 429 if {{ path /limited }}
    use_backend reviews if {{ path_beg /reviews }}
    use_backend ratings if {{ path_beg /dead }}
    use_backend empty if {{ path_beg /none }}
    use_backend slow if {{ path_beg /slow }}
    use_backend once if {{ path_beg /reset }}
    use_backend queue if {{ path_beg /queue }}

backend reviews from plain
    retry-on conn-failure 503
    server r1 127.0.0.1:{upstream_port}

backend ratings from plain
    timeout connect 100ms
    server d1 127.0.0.1:{dead}

backend empty from plain

backend slow from plain
    timeout server {SLOW_MS}ms
    server s1 127.0.0.1:{upstream_port}

backend once from plain
    retries 0
    server o1 127.0.0.1:{upstream_port}

backend queue from plain
    server q1 127.0.0.1:{upstream_port} maxconn 1
"""
        )
        if check_only:
            subprocess.run([HAPROXY, "-c", "-q", "-f", path], check=True, timeout=60)
            return
        self.start([HAPROXY, "-db", "-f", path])
        self.wait_until(lambda: accepts(self.port), "listening")


def wait_lines(agent, count):
    """Samples of the first scrape in which so many lines were received, no more, and the ledger of logs balances."""
    samples = agent.wait_records("logs", count)
    received = samples.records("received", "logs")
    terms = {term: samples.records(term, "logs") for term in LEDGER_TERMS}
    assert received == count, f"{received} lines received, {count} sent: {terms}"
    return samples


def check_same(got, wanted):
    assert dict(got) == dict(wanted), f"too many: {dict(got.items() - wanted.items())}, " + (
        f"missing: {dict(wanted.items() - got.items())}"
    )


def check_counts(agent, expected, not_requests=0):
    """That the agent shows exactly what is expected; the samples that it was found in."""
    samples = wait_lines(agent, expected.lines + not_requests)
    assert samples.total("weft_records_not_a_request_total", signal="logs") == not_requests
    assert samples.total("weft_records_dropped_total", signal="logs") == 0
    keys = ("reporter", "destination", "response_code", "outcome")
    check_same(samples.by(keys, "mesh_requests_total"), +expected.requests)
    durations = samples.by(keys[:2] + keys[3:], "mesh_request_duration_seconds_count")
    assert sum(durations.values()) == expected.lines
    check_same(samples.by(("destination", "flag"), "mesh_response_flags_total"), +expected.flags)
    check_same(
        samples.by(("destination",), "mesh_request_attempts_total"),
        {(destination,): count for destination, count in expected.attempts.items() if count},
    )
    assert samples.label_values("mesh_requests") & {"edge"}
    return samples


class Expected:
    """What the proxy must have told, as it was asked for. taken(lines) waits until so many lines were: a
    socket's queue holds ten datagrams, and what a proxy finds no room for it drops."""

    def __init__(self, taken):
        self._taken = taken
        self.requests = Counter()  # (reporter, destination, response_code, outcome)
        self.flags = Counter()  # (destination, flag)
        self.attempts = Counter()  # destination
        self.lines = 0

    def add(self, count, destination, code, outcome, attempts=1, flags=(), reporter="source"):
        self.requests[(reporter, destination, code, outcome)] += count
        self.attempts[destination] += count * attempts
        for flag in flags:
            self.flags[(destination, flag)] += count
        self.lines += count
        self._taken(self.lines)


# What goes well, or badly by the upstream's own answer: the same through both proxies.
ANSWERED = [
    ("200", 12, "200", "ok"),
    ("404", 3, "404", "client_error"),
    ("500", 2, "500", "server_error"),
    ("d3:201", 2, "201", "ok"),
]


def answered(port, expected, destination="reviews"):
    for plan, count, code, outcome in ANSWERED:
        requests = [(f"/reviews/{expected.lines + i}?token=secret-{i}", plan) for i in range(count)]
        for at in range(0, count, GROUP_COUNT):
            some = requests[at : at + GROUP_COUNT]
            load.send(port, some, connections=3)
            expected.add(len(some), destination, code, outcome)
    load.send(port, [(f"/reviews/{i}/again", RETRIED) for i in range(4)], connections=1)
    expected.add(4, destination, "200", "ok", attempts=2)
    load.send(port, [("/reviews/7/never", "503,503")], connections=1)


def each(port, path, count, plan="200"):
    answers = load.send(port, [(path, plan)] * count, connections=1)
    assert len(answers) == count


def leave_twice(port, path, upstream):
    """Two clients that go away while the upstream has their requests."""
    for count in (1, 2):
        load.abandon(port, path, HELD, lambda wanted=count: upstream.has_begun(path, wanted))


def taken_by(agent):
    """For Expected: waits for the agent."""

    def taken(lines):
        wait_for(
            lambda: agent.samples().total("weft_messages_accepted_total", protocol="syslog") >= lines,
            f"{lines} lines",
            COUNT_SECONDS_MAX,
        )

    return taken


def play_nginx(port, taken, upstream):
    expected = Expected(taken)
    answered(port, expected)
    expected.add(1, "reviews", "503", "server_error", attempts=2)
    each(port, "/dead", 3)
    expected.add(3, "ratings", "502", "server_error", flags=["UF"])
    each(port, "/exhausted", 2)
    expected.add(2, "details", "502", "server_error", attempts=2, flags=["UF", "URX"])
    each(port, "/none", 2)
    expected.add(2, "empty", "502", "server_error", attempts=0, flags=["UH"])
    each(port, "/slow/1", 2, HELD)
    expected.add(2, "once", "504", "server_error", flags=["UT"])
    each(port, "/reset", 2, "reset")
    expected.add(2, "once", "502", "server_error", flags=["UC"])
    each(port, "/limited", 3)
    expected.add(1, "once", "200", "ok")
    expected.add(2, "edge", "503", "server_error", 0, ["RL"], "destination")
    each(port, "/own", 3)
    expected.add(3, "edge", "204", "ok", 0, reporter="destination")
    leave_twice(port, "/reviews/9", upstream)
    expected.add(2, "reviews", "499", "cancelled", flags=["DC"])
    return expected


def play_haproxy(port, taken, upstream):
    expected = Expected(taken)
    answered(port, expected)
    expected.add(1, "reviews", "503", "server_error", attempts=3)
    each(port, "/dead", 2)
    expected.add(2, "ratings", "503", "server_error", attempts=3, flags=["UF", "URX"])
    each(port, "/none", 2)
    expected.add(2, "empty", "503", "server_error", attempts=0, flags=["UH"])
    each(port, "/slow/1", 2, HELD)
    expected.add(2, "slow", "504", "server_error", flags=["UT"])
    for _ in range(2):  # later requests of a connection would be closed without an answer
        each(port, "/reset", 1, "reset")
    expected.add(2, "once", "502", "server_error", flags=["UC"])
    each(port, "/own", 3)
    expected.add(3, "edge", "403", "client_error", 0, reporter="destination")
    each(port, "/limited", 2)
    expected.add(2, "edge", "429", "client_error", 0, ["RL"], "destination")
    leave_twice(port, "/reset/9", upstream)
    expected.add(2, "once", "0", "cancelled", flags=["DC"])
    first = threading.Thread(target=each, args=(port, "/queue/1", 1, f"d{SLOT_HELD_MS}:200"))
    first.start()
    wait_for(lambda: upstream.has_begun("/queue/1"), "the first to have the one slot")
    each(port, "/queue/2", 1)
    first.join()
    expected.add(1, "queue", "200", "ok")
    expected.add(1, "queue", "503", "server_error", attempts=0, flags=["UO"])
    return expected


def odd(port):
    """Escapes in a path and a header, ids, and a client that asks for nothing that could be read."""
    request = (
        'GET /reviews/a\\b"\u00e9 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n'
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        'x-request-id: ab"c\\d\r\n\r\n'
    )
    for text in (request, "NOT HTTP\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX) as client:
            client.sendall(text.encode())
            while client.recv(SINK_BYTES_MAX):
                pass


class Sink:
    """A Unix socket that keeps what arrives: `datagrams`, or the bytes of each connection in `streams`."""

    def __init__(self, path, stream):
        self.datagrams, self.streams = [], []
        self._stream = stream
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.1)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        if self._stream:
            self._socket.listen()
        while not self._done.is_set():
            try:
                if self._stream:
                    self._keep(self._socket.accept()[0])
                else:
                    self.datagrams.append(self._socket.recv(SINK_BYTES_MAX))
            except TimeoutError:
                pass

    def _keep(self, connection):
        connection.settimeout(0.1)
        self.streams.append(bytearray())
        with connection:
            while not self._done.is_set():
                try:
                    data = connection.recv(SINK_BYTES_MAX)
                except TimeoutError:
                    continue
                if not data:
                    return
                self.streams[-1] += data

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join(10)
        self._socket.close()
