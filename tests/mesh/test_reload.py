"""SIGHUP: live keys change what the agent does, others are named and wait, an error leaves everything as it was; a thousand
reloads under load lose no record and refuse no connection (a hundred in the short form)."""

import http.client
import http.server
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
import yaml

import otlp
from agent import BUILD, WEFT, WEFTD, Weftd, otlp_destination
from harness import ANSWER_SECONDS_MAX, FULL, free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

MS = 1_000_000
RELOADS = 1000 if FULL else 100
IDLE_RELOADS = RELOADS // 2
GROWTH_BYTES_MAX = 4 << 20
SPANS_PER_MESSAGE = 50
HEADING = re.compile(r"Reloads since the start: (\d+), failed: (\d+)")


class ApiConnection(http.client.HTTPConnection):
    """A connection to the API's Unix socket that stays open."""

    def __init__(self, path):
        super().__init__("weft", timeout=ANSWER_SECONDS_MAX)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reloader:
    """Gives a running agent other configurations. `base`: what each of them begins with."""

    def __init__(self, agent):
        self.agent = agent
        self.path = agent.log_path.with_suffix(".yaml")
        self.base = yaml.safe_load(self.path.read_text())
        self.api = ApiConnection(agent.api_socket)

    def text(self):
        """The configuration in force, as the agent tells it."""
        self.api.request("GET", "/api/v1/config")
        answer = self.api.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, body
        assert answer.headers["content-type"] == "application/yaml"
        return body

    def counts(self):
        """(reloads, failed ones), told once every thread has moved on."""
        return tuple(int(number) for number in HEADING.search(self.text()).groups())

    def reload(self, text):
        """Reads that text, and waits until it was; whether it was taken."""
        before = self.counts()
        self.path.write_text(text)
        os.kill(self.agent.pid, signal.SIGHUP)
        after = wait_for(lambda: (now := self.counts()) != before and now, "a reload", pause=0.002)
        assert sum(after) == sum(before) + 1, (before, after)
        return after[0] > before[0]

    def change(self, **groups):
        """Reads the base with other keys in its groups."""
        config = dict(self.base)
        for name, value in groups.items():
            config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
        return self.reload(yaml.safe_dump(config))


def body_of(text):
    """Without the comments on top, which tell of reloads."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def value_of(text, key):
    """Of the first key with that name."""
    return re.search(rf"^ *{key}: (.*) # (?:live|restart)$", text, re.M)[1]


def offline(agent, path):
    """What weftd makes of the file without running."""
    command = [WEFTD, "--config", path, "--socket", agent.socket, "--http", agent.address, "--shards", "1"]
    return subprocess.run([str(word) for word in command] + ["--effective-config"], check=True, timeout=60,
        capture_output=True, text=True, env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": ""}).stdout


def other_value(key, text):
    """Another good value of a scalar key, from the one in force."""
    words = {"info": "warn", "logfmt": "json", "auto": "spans", "true": "false", "false": "true", "kept": "all",
        "all": "kept", "none": "gzip", "cumulative": "delta"}
    if text in words:
        return words[text]
    if re.fullmatch(r"-?\d+", text) and not key.endswith("mode"):
        return str(int(text) + (-1 if int(text) > 1 else 1))
    if re.fullmatch(r"0\.\d+", text):
        return "0.25"
    return {"hosts": "[a.example]", "allow": "[10.0.0.0/8]", "attributes": "[a.secret]", "cluster": '"west"'}.get(key)


def changed_lines(text, mark):
    """The effective YAML with another value for every key with that mark that other_value knows, and their number."""
    lines, count = [], 0
    for line in text.splitlines():
        found = re.fullmatch(rf"(\s*(?:- )?)(\w+): (.*) # {mark}", line)
        value = other_value(found[2], found[3]) if found else None
        if value is not None:
            line = f"{found[1]}{found[2]}: {value}"
            count += 1
        lines.append(line)
    return "\n".join(lines) + "\n", count


def test_every_live_key_is_taken_over(directory):
    with Weftd(directory) as agent:
        reloader = Reloader(agent)
        text, count = changed_lines(reloader.text(), "live")
        assert count > 30
        assert reloader.reload(text), reloader.text()[:500]
        now = reloader.text()
        assert "waiting for a restart" not in now
        assert body_of(now) == body_of(offline(agent, reloader.path))
        samples = agent.samples()
        assert samples.total("weft_config_last_reload_successful") == 1
        assert samples.total("weft_config_keys_waiting_for_restart") == 0
        assert samples.total("weft_config_last_reload_success_timestamp_seconds") == pytest.approx(time.time(), abs=300)
        told = subprocess.run([WEFT, "config", "--api", agent.api_socket], capture_output=True, text=True, timeout=60)
        assert (told.returncode, told.stdout) == (0, now)


def test_other_keys_are_named_and_wait(directory):
    with Weftd(directory) as agent:
        reloader = Reloader(agent)
        before = reloader.text()
        text, count = changed_lines(before, "restart")
        assert count > 30
        assert reloader.reload(text)
        now = reloader.text()
        assert body_of(now) == body_of(before)
        assert agent.samples().total("weft_config_keys_waiting_for_restart") >= count
        for key in ("limits.connections_count_max", "limits.trace_ring_bytes", "receivers.metrics_service.counters"):
            assert key in now.split("waiting for a restart: ")[1].split("\n")[0], now
            assert key in agent.log()
        assert reloader.change()
        assert "waiting for a restart" not in reloader.text()


def test_an_error_changes_nothing(directory):
    faults = (
        ("cluster: b\nlog:\n  level: nonsense\n", ":3: log.level: expected one of debug, info, warn, error"),
        ("cluster: b\nnot_a_key: 1\n", ":2: not_a_key"),
        ("cluster: [b\n", ":"),
        ("cluster: ${NOT_SET_ANYWHERE}\n", ":1: cluster: the environment variable NOT_SET_ANYWHERE is not set"),
        ("limits:\n  message_bytes_max: 134217729\n", ":2: limits.message_bytes_max"),
    )
    with Weftd(directory, cluster="a") as agent:
        reloader = Reloader(agent)
        before = body_of(reloader.text())
        for text, said in faults:
            assert not reloader.reload(text)
            now = reloader.text()
            assert body_of(now) == before
            assert f"# The last reload failed: {reloader.path}{said}" in now, now
        assert agent.log().count("event=reload_failed") == len(faults)
        assert agent.samples().total("weft_config_last_reload_successful") == 0
        reloader.path.unlink()
        os.kill(agent.pid, signal.SIGHUP)
        wait_for(lambda: "cannot be read" in reloader.text(), "the missing file to be told")
        assert reloader.change(cluster="c")
        assert value_of(reloader.text(), "cluster") == '"c"'
        assert agent.samples().total("weft_config_last_reload_successful") == 1
        assert agent.samples().total("weft_config_reloads_total", result="failed") == len(faults) + 1


def test_secrets_are_not_told(directory):
    secret = Path(directory) / "secret"
    secret.write_text("from-a-file-7c1e\n")
    headers = [{"name": "a", "value": "inline-7c1e"}, {"name": "b", "value_file": str(secret)}]
    destination = {"name": "d", "endpoint": f"http://127.0.0.1:{free_port()}", "headers": headers}
    with Weftd(directory, destinations=[destination], limits={"drain_ms": 100}) as agent:
        text = Reloader(agent).text()
        assert "7c1e" not in text and '"********"' in text and str(secret) in text
        assert "7c1e" not in offline(agent, agent.log_path.with_suffix(".yaml"))


def own_address():
    """An address of this machine beyond loopback; None when it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_the_configuration_is_told_on_this_machine_only(directory):
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no address but loopback's")
    with Weftd(directory, host=address) as agent:
        status, _, body = agent.get("/api/v1/config")
        assert status == 403 and b"this machine" in body
        assert agent.get("/api/v1/services")[0] == 200
        assert "socket:" in Reloader(agent).text()


def test_live_keys_have_their_effect(directory):
    def host_status(name):
        return agent.get("/readyz", {"Host": name})[0]

    def kept():
        return agent.samples().total("weft_trace_kept_traces_total", reason="slow")

    def stored():
        _, ids = otlp.message([5 * MS])
        ids = otlp.send_durations(agent.socket, [5 * MS], destination="secret-host")
        return agent.get(f"/api/v1/traces/{ids[0]}")[2]

    with Weftd(directory, trace={"slow_ms": 1000, "baseline": 0, "rare_count": 0}) as agent:
        reloader = Reloader(agent)
        kept_before = kept()
        otlp.send_durations(agent.socket, [50 * MS] * 5)
        assert host_status("weft.example") == 421 and kept() == kept_before
        assert b"secret-host" in stored()
        assert reloader.change(
            trace={"slow_ms": 20, "baseline": 0, "rare_count": 0},
            http={"hosts": ["weft.example"]},
            redact={"attributes": ["server.address"]},
            log={"format": "json"},
            limits={**reloader.base["limits"], "message_bytes_max": 1024, "time_skew_s": 60},
        )
        assert host_status("weft.example") == 200 and host_status("other.example") == 421
        assert b"secret-host" not in stored()
        with pytest.raises(grpc.RpcError) as refused:
            otlp.send_durations(agent.socket, [50 * MS] * 100)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        otlp.send_durations(agent.socket, [50 * MS] * 5, per_message=1)
        agent.wait_records("spans", 12)
        assert kept() == kept_before + 5
        assert '"event":"reloaded"' in agent.log()
        otlp.send_durations(agent.socket, [50 * MS], end_ns=time.time_ns() - 3600 * 1000 * MS)
        samples = agent.wait_records("spans", 13)
        assert samples.total("weft_records_dropped_total", reason="time_out_of_range") == 1


class Collector(http.server.ThreadingHTTPServer):
    """OTLP over HTTP on a port of loopback; keeps each request's Authorization."""

    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.server.seen.append(self.headers["authorization"])
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.seen = []
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def test_a_token_is_changed_without_a_restart(directory):
    token = directory / "token"

    def headers():
        return [{"name": "authorization", "value_file": str(token)}]

    def sent():
        """The tokens that both have seen, once spans that are sent now have come to both."""
        before = (len(collector.seen), len(sink.messages))
        otlp.send_durations(agent.socket, [3 * MS] * 10)
        wait_for(lambda: len(collector.seen) > before[0] and len(sink.messages) > before[1], "both exports")
        return collector.seen[-1], sink.messages[-1][1]["authorization"]

    token.write_text("Bearer one\n")
    with Collector() as collector, Sink(directory / "sink.sock") as sink:
        destinations = [
            otlp_destination(
                "http", collector.server_port, protocol="http/protobuf", headers=headers()
            ),
            otlp_destination("grpc", 1, endpoint=f"unix:{directory}/sink.sock", headers=headers()),
        ]
        with Weftd(directory, destinations=destinations) as agent:
            reloader = Reloader(agent)
            assert sent() == ("Bearer one", "Bearer one")
            for number in range(20):
                token.write_text(f"Bearer {number}\n")
                assert reloader.change()
                assert "waiting for a restart" not in reloader.text()
                assert number % 5 != 0 or sent() == (f"Bearer {number}", f"Bearer {number}")
            other = [{**destinations[0], "name": "another"}, destinations[1]]
            token.write_text("Bearer other\n")
            assert reloader.change(exporters={"otlp": other})
            assert "exporters.otlp[0].name" in reloader.text()
            # The first is another one in the file: what it has waits with it.
            assert sent() == ("Bearer 19", "Bearer other")


class Load:
    """Threads that send records and ask, each over connections of its own; the first fault ends them."""

    def __init__(self, agent):
        self.agent = agent
        self.ends = threading.Event()
        self.faults = []
        self.sent = {}
        self.message, _ = otlp.message([3 * MS] * SPANS_PER_MESSAGE)
        works = (self.over_grpc, self.over_http, self.over_new_http, self.natively, self.asking, self.asking_the_api)
        self.threads = [threading.Thread(target=self.run, args=(work,)) for work in works]

    def run(self, work):
        try:
            work()
        except Exception as error:
            self.faults.append(f"{work.__name__}: {error!r}")
            self.ends.set()

    def count(self, who, records):
        self.sent[who] = self.sent.get(who, 0) + records

    def over_grpc(self):
        with grpc.insecure_channel(f"unix:{self.agent.socket}") as channel:
            export = channel.unary_unary(otlp.TRACES)
            while not self.ends.is_set():
                export(self.message, timeout=ANSWER_SECONDS_MAX)
                self.count("grpc", SPANS_PER_MESSAGE)

    def post(self, connection):
        connection.request("POST", "/v1/traces", self.message, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        self.count("http", SPANS_PER_MESSAGE)

    def over_http(self):
        connection = ApiConnection(self.agent.socket)
        while not self.ends.is_set():
            self.post(connection)
            time.sleep(0.002)
        connection.close()

    def over_new_http(self):
        while not self.ends.is_set():
            connection = ApiConnection(self.agent.socket)
            connection.request("POST", "/v1/traces", self.message, {"Content-Type": "application/x-protobuf"})
            assert connection.getresponse().status == 200
            connection.close()
            self.count("new http", SPANS_PER_MESSAGE)
            time.sleep(0.002)

    def natively(self):
        while not self.ends.is_set():
            self.agent.emit("--source", "a", "--destination", "b", "--count", 200)
            self.count("native", 200)

    def asking(self):
        while not self.ends.is_set():
            for path in ("/readyz", "/metrics", "/api/v1/ledger"):
                with urllib.request.urlopen(self.agent.url(path), timeout=ANSWER_SECONDS_MAX) as answer:
                    answer.read()

    def asking_the_api(self):
        while not self.ends.is_set():
            connection = ApiConnection(self.agent.api_socket)
            connection.request("GET", "/api/v1/services")
            assert connection.getresponse().status == 200
            connection.close()
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults


def variants(base):
    """Configurations that differ in live keys, and now and then in one that needs a restart; without end."""
    for number in itertools.count():
        yield yaml.safe_dump({
            **base,
            "cluster": f"c{number % 7}",
            "count_from": ("auto", "spans")[number % 2],
            "http": {"hosts": [f"h{number}.example" for _ in range(number % 5)]},
            "identity": {"refuse_conflicts": False},
            "log": {"level": ("info", "warn", "error")[number % 3], "format": ("logfmt", "json")[number % 2]},
            "metrics": {"native_schema": number % 6, "classic": number % 2 == 0},
            "redact": {"attributes": [f"attribute.{each}" for each in range(number % 20)]},
            "receivers": {"otlp": {"allow": ["10.0.0.0/8", "fd00::/8"][: number % 3]}},
            "trace": {
                **base["trace"],
                "slow_ms": number % 10,
                "rate_per_s": 1 + number % 100,
                "linger_ms": 100 + number % 5 * 1000,
                "baseline": number % 10 / 10,
                "rare_count": number % 255,
                "exemplar_retention_s": 1 + number % 900,
            },
            "limits": {
                **base["limits"],
                "series_idle_s": 3600 + number % 5,
                "retry_after_ms": 1 + number % 1000,
                "attribute_bytes_max": 1024 + number % 4096,
                "span_attributes_count_max": 64 + number % 64,
                "sender_series_percent": 50 + number % 50,
                "trace_answer_ms": 1000 + number % 1000,
                "h2_streams_count_max": 100 + number % 100,
                "trace_spans_count_max": 10000 + (number % 4 == 3),
            },
        })


def invalid(base, number):
    return (
        "log: {level: nonsense}\n",
        "not: [yaml\n",
        yaml.safe_dump({**base, "no_such_key": number}),
        yaml.safe_dump({**base, "limits": {"message_bytes_max": 1 << 30}}),
        "",
    )[:4][number // 10 % 4]


def test_reloads_under_load(directory):
    limits = {"trace_ring_bytes": 16 << 20, "trace_answer_ms": 2000, "drain_ms": 20000}
    with Weftd(directory, shards=2, limits=limits) as agent:
        reloader = Reloader(agent)
        texts = variants(reloader.base)
        with Load(agent) as load:
            for number in range(1, RELOADS + 1):
                text = invalid(reloader.base, number) if number % 10 == 0 else next(texts)
                assert reloader.reload(text) == (number % 10 != 0), reloader.text()[:2000]
                assert not load.faults, load.faults
            assert reloader.counts() == (RELOADS - RELOADS // 10, RELOADS // 10)
        assert set(load.sent) == {"grpc", "http", "new http", "native"}
        samples = agent.wait_records("spans", sum(load.sent.values()))
        assert samples.records("received", "spans") == sum(load.sent.values()), load.sent
        assert samples.records("dropped", "spans") == 0
        assert all(row["balanced"] for row in agent.json("/api/v1/ledger")["records"])
        assert samples.total("weft_connections_limited_total") == 0
        assert samples.total("weft_config_reloads_total", result="failed") == RELOADS // 10

        resident = agent.status_bytes("VmRSS")
        for text in itertools.islice(texts, IDLE_RELOADS):
            assert reloader.reload(text)
        grown = agent.status_bytes("VmRSS") - resident
        print(f"{RELOADS} reloads, {sum(load.sent.values())} spans {load.sent}, then {IDLE_RELOADS}: {grown} bytes more")
        if "asan" not in BUILD.name and "tsan" not in BUILD.name:
            assert grown < GROWTH_BYTES_MAX
