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

SCRAPE_WAIT_MS = 10_000  # the largest that the configuration takes
BUILD = Path(os.environ.get("WEFT_BUILD", REPOSITORY / "build/release")).resolve()
WEFTD, WEFT = BUILD / "weftd", BUILD / "weft"
COUNT_SECONDS_MAX = 120
# For senders of both spans and access logs, of which either may come late.
AS_SHIPPED = {"limits": {"count_decision_ms": 5000}}
LEDGER_TERMS = ("aggregated", "attempts", "not_a_request", "superseded", "dropped")


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

    def records(self, term, signal):
        """A term of the ledger of records: "received", or one of LEDGER_TERMS."""
        return self.total(f"weft_records_{term}_total", signal=signal)

    def in_flight(self, signal):
        """Records that were received and are in no other term yet: being looked at, held until an access log may have
        come, or on their way to their series."""
        return self.records("received", signal) - sum(self.records(term, signal) for term in LEDGER_TERMS)

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
        # A scrape that waits for every shard, however crowded the machine is, shows all that was received before it.
        limits = {"count_decision_ms": 2000, "scrape_wait_ms": SCRAPE_WAIT_MS}
        config["limits"] = {**limits, **config.get("limits", {})}
        # And count what a back-end gets of them: every span; test_kept.py looks at which are worth keeping.
        config["trace"] = {"export": "all", **config.get("trace", {})}
        if not host.startswith("127."):
            config["http"] = {"insecure": True, **config.get("http", {})}
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

    def wait_records(self, signal, count, seconds=COUNT_SECONDS_MAX):
        """Samples of the first scrape in which at least `count` records were received and none of them is in
        flight."""
        state = {}

        def arrived():
            samples = self.samples()
            state.update({term: samples.records(term, signal) for term in ("received", *LEDGER_TERMS)})
            state["held"] = samples.total("weft_records_held", signal=signal)
            return samples if state["received"] >= count and samples.in_flight(signal) == 0 else None

        try:
            return wait_for(arrived, f"{count} {signal}", seconds, pause=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}: {state}\n{self.log()[-2000:]}") from error

    def wait_spans(self, count, seconds=COUNT_SECONDS_MAX):
        """The same of spans, of which exactly `count` were received."""
        samples = self.wait_records("spans", count, seconds)
        received = samples.records("received", "spans")
        assert received == count, f"{received} spans received, {count} sent"
        return samples

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

        return wait_for(counted, f"{count} attempts", COUNT_SECONDS_MAX)

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
            [str(word) for word in command], input=lines, text=True, capture_output=True, timeout=COUNT_SECONDS_MAX
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
