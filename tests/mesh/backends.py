"""The peers at the far end: Debian's Prometheus and Rotel, an OTLP receiver whose debug log counts spans."""

import json
import urllib.parse
from pathlib import Path

import rotel
import yaml

from harness import Process, answers_ok, free_port, http_get, wait_for

SCRAPE_INTERVAL_SECONDS = 1


class Rotel(Process):
    """Receives OTLP over gRPC and HTTP on loopback and forgets it; says in its debug log how much came."""

    def __init__(self, directory, name="rotel", debug=("traces", "metrics")):
        """debug: the signals of which the log tells."""
        super().__init__(name, directory)
        self.grpc_port, self.http_port = free_port(), free_port()
        self.start(
            [
                Path(rotel.__file__).parent / "rotel-agent",
                "start",
                "--log-format",
                "json",
                "--exporter",
                "blackhole",
                *(word for signal in debug for word in ("--debug-log", signal)),
                "--otlp-grpc-max-recv-msg-size-mib",
                "64",
                "--pid-file",
                directory / f"{name}.pid",
                "--log-file",
                directory / f"{name}.out",
                "--otlp-grpc-endpoint",
                f"127.0.0.1:{self.grpc_port}",
                "--otlp-http-endpoint",
                f"127.0.0.1:{self.http_port}",
            ]
        )
        self.wait_until(self._listening, "listening")

    def _listening(self):
        try:
            return http_get(f"http://127.0.0.1:{self.http_port}/", timeout=10)[0] > 0
        except OSError:
            return False

    def spans(self):
        """Spans received so far, by the debug log."""
        return sum(self._counts("Received traces.", "spans"))

    def log_records(self):
        """Log records received so far, likewise."""
        return sum(self._counts("Received logs.", "logs"))

    def _counts(self, message, key):
        for line in self.log().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if entry.get("msg") == message:
                    yield int(entry[key])


class Prometheus(Process):
    """Debian's Prometheus 2.42 scraping one target each second, or what `jobs`, scrape_configs, say; `rules` are the
    files that it evaluates each second."""

    def __init__(
        self, directory, target, native=False, name="prometheus", metrics_path="/metrics", jobs=None, rules=()
    ):
        super().__init__(name, directory)
        self.port = free_port()
        config = directory / f"{name}.yml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {
                        "scrape_interval": f"{SCRAPE_INTERVAL_SECONDS}s",
                        "scrape_timeout": "1s",
                        "evaluation_interval": f"{SCRAPE_INTERVAL_SECONDS}s",
                    },
                    "rule_files": [str(path) for path in rules],
                    "scrape_configs": jobs
                    or [
                        {
                            "job_name": "weft",
                            "metrics_path": metrics_path,
                            "static_configs": [{"targets": [target]}],
                        }
                    ],
                }
            )
        )
        features = "exemplar-storage" + (",native-histograms" if native else "")
        self.start(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / name}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                f"--enable-feature={features}",
            ]
        )
        self.wait_until(lambda: answers_ok(f"http://127.0.0.1:{self.port}/-/ready"), "ready")

    def _api(self, path, **arguments):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        status, _, body = http_get(url)
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", f"{url}: {answer}"
        return answer["data"]

    def query(self, expression):
        """The instant vector: a list of (labels, value as text or None, native histogram or None)."""
        data = self._api("query", query=expression)
        return [
            (
                each["metric"],
                each["value"][1] if "value" in each else None,
                each["histogram"][1] if "histogram" in each else None,
            )
            for each in data["result"]
        ]

    def value(self, expression):
        """The only sample of the instant vector as a float, or None when it is empty."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression}: {found}"
        return float(found[0][1]) if found else None

    def exemplars(self, selector, start, end):
        return self._api("query_exemplars", query=selector, start=start, end=end)

    def label_values(self, label, selector):
        return self._api(f"label/{label}/values", **{"match[]": selector})

    def rules(self):
        """Every rule that it evaluates, alerts among them."""
        return [rule for group in self._api("rules")["groups"] for rule in group["rules"]]

    def target(self):
        """The scrape target's entry: health, lastError, …"""
        found = self._api("targets")["activeTargets"]
        return found[0] if found else None

    def wait_scraped(self):
        """Until a scrape that began after this call has ended well."""
        before = (self.target() or {}).get("lastScrape", "")

        def scraped():
            target = self.target()
            return target and target["lastScrape"] > before and target["health"] == "up"

        try:
            wait_for(scraped, "a good scrape")
            before = self.target()["lastScrape"]  # that one may have been under way: one more
            wait_for(scraped, "a second good scrape")
        except AssertionError as error:
            raise AssertionError(f"{error}; target: {self.target()}") from error
