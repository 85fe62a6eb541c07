"""weftd as the tests run it, and what its expositions and answers say.

The binary is $WEFT_BUILD/weftd (default build/release/weftd); `weft` lies beside it. Under a sanitizer build
the same tests run unchanged: a report of the sanitizer makes weftd's exit status other than 0, which stop()
asserts.
"""

import json
import os
import re
import subprocess
import time
import urllib.parse
from collections import Counter
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from harness import REPOSITORY, Process, answers_ok, free_port, http_get, wait_for

BUILD = Path(os.environ.get("WEFT_BUILD", REPOSITORY / "build/release")).resolve()
WEFTD, WEFT = BUILD / "weftd", BUILD / "weft"
COUNT_SECONDS_MAX = 30


def otlp_destination(name, port, **keys):
    """An entry of `exporters.otlp` that sends traces to a gRPC port on loopback, soon and without
    compression."""
    return {
        "name": name,
        "protocol": "grpc",
        "endpoint": f"http://127.0.0.1:{port}",
        "signals": ["traces"],
        "compression": "none",
        "batch": {"delay_ms": 100},
        **keys,
    }


class Samples:
    """One exposition: a list of (name, labels, value)."""

    def __init__(self, text):
        self.rows = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def matching(self, name, **labels):
        return [
            (row_labels, value)
            for row_name, row_labels, value in self.rows
            if row_name == name and all(row_labels.get(key) == want for key, want in labels.items())
        ]

    def total(self, name, **labels):
        return sum(value for _, value in self.matching(name, **labels))

    def by(self, keys, name, **labels):
        """Counter of the values, by the tuple of the labels in keys."""
        counts = Counter()
        for row_labels, value in self.matching(name, **labels):
            counts[tuple(row_labels.get(key, "") for key in keys)] += value
        return +counts  # without the zeros of pre-created series

    def label_values(self, prefix):
        """Every label value of the families whose name starts with prefix."""
        return {
            value for name, labels, _ in self.rows if name.startswith(prefix) for value in labels.values()
        }


class Weftd(Process):
    """The agent on a Unix socket in the directory and a loopback port; ready when the constructor returns."""

    def __init__(self, directory, destinations=(), shards=1, name="weftd", port=None, host="127.0.0.1", **config):
        super().__init__(name, directory)
        self.socket = Path(directory) / f"{name}.sock"
        self.api_socket = Path(directory) / f"{name}-api.sock"
        self.port = port or free_port()
        self.address = f"{host}:{self.port}"
        path = Path(directory) / f"{name}.yaml"
        config.setdefault("api_socket", {"path": str(self.api_socket)})
        # Most tests send spans alone, and need not wait long for an access log; test_counted_once.py does.
        config["limits"] = {"count_decision_ms": 2000, **config.get("limits", {})}
        # And count what a back-end gets of them: every span; test_kept.py looks at which are worth keeping.
        config["trace"] = {"export": "all", **config.get("trace", {})}
        if destinations:
            config["exporters"] = {"otlp": list(destinations)}
        path.write_text(yaml.safe_dump(config))
        self.start(
            [WEFTD, "--config", path, "--socket", self.socket, "--http", self.address, "--shards", shards],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        )
        self.wait_until(lambda: answers_ok(self.url("/readyz")), "ready")

    def url(self, path, **arguments):
        query = f"?{urllib.parse.urlencode(arguments)}" if arguments else ""
        return f"http://{self.address}{path}{query}"

    def get(self, path, headers=None, **arguments):
        """(status, headers, body)."""
        return http_get(self.url(path, **arguments), headers)

    def json(self, path, **arguments):
        status, headers, body = self.get(path, **arguments)
        assert status == 200, f"{path} {arguments}: {status} {body[:500]}"
        assert headers["content-type"].startswith("application/json")
        return json.loads(body)

    def samples(self):
        status, _, body = self.get("/metrics")
        assert status == 200, body[:500]
        return Samples(body.decode())

    def wait_spans(self, count, seconds=COUNT_SECONDS_MAX):
        """Samples of the first scrape in which `count` spans were received and none of them is in flight:
        neither waiting for an access log nor for its series."""
        state = {}

        def arrived():
            samples = self.samples()
            received = samples.total("weft_records_received_total", signal="spans")
            recorded = samples.total("weft_records_recorded_total", signal="spans")
            aggregated = samples.total("weft_records_aggregated_total", signal="spans")
            held = samples.total("weft_records_held", signal="spans")
            state.update(received=received, recorded=recorded, aggregated=aggregated, held=held)
            return samples if received >= count and recorded == aggregated and not held else None

        try:
            found = wait_for(arrived, f"{count} spans", seconds, pause=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}: {state}\n{self.log()[-2000:]}") from error
        received = found.total("weft_records_received_total", signal="spans")
        assert received == count, f"{received} spans received, {count} sent"
        return found

    def wait_attempts(self, count, **labels):
        """Samples of the first scrape in which both reporters have `count` attempts of these labels. Over HTTP/1
        Envoy posts over several connections, so a few attempts come after their request, which knew the route:
        those are counted without one, 5 s later."""

        def counted():
            samples = self.samples()
            totals = [
                samples.total("mesh_request_attempts_total", reporter=reporter, **labels)
                for reporter in ("source", "destination")
            ]
            assert max(totals) <= count, totals
            return samples if totals == [count, count] else None

        return wait_for(counted, f"{count} attempts")

    def status_bytes(self, key):
        """VmRSS: what is resident now; VmHWM: the most that ever was."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) * 1024

    def peak_bytes(self):
        """The largest resident memory that the agent has had."""
        return self.status_bytes("VmHWM")

    def emit(self, *arguments, lines=None):
        """Runs `weft emit`, with `lines` on its standard input when given."""
        command = [WEFT, "emit", "--socket", self.socket, *arguments]
        done = subprocess.run(
            [str(word) for word in command], input=lines, text=True, capture_output=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def __exit__(self, *_):
        status = self.stop()
        assert status == 0, f"weftd ended with {status}:\n{self.log()[-6000:]}"


def settle(read, seconds=COUNT_SECONDS_MAX, quiet=1.0):
    """The value of read() once it has not changed for `quiet` seconds."""
    end, value, since = time.monotonic() + seconds, read(), time.monotonic()
    while time.monotonic() - since < quiet:
        assert time.monotonic() < end, f"did not settle: {value}"
        time.sleep(0.1)
        now = read()
        if now != value:
            value, since = now, time.monotonic()
    return value
