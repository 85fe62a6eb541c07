"""Each exemplar that a scrape shows leads to its trace: the agent answers with it at once, and still does when the
retention time has gone by, though its ring has forgotten it long before."""

import collections
import http.client
import json
import random
import re
import subprocess
import sys
import threading
import time

import pytest

import load
from agent import BUILD, Weftd
from harness import REPOSITORY, wait_for
from sidecar import Chain
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

SCRAPES = 50
RETENTION_SECONDS = 5
PAUSE_SECONDS = 0.2
RING_BYTES = 1 << 20
SHARDS = 2
NATIVE_TRACES_PER_SECOND = 100
LOAD_SECONDS = 150  # it is ended with the test
EXEMPLAR = re.compile(r' # \{trace_id="([0-9a-f]{32})",span_id="([0-9a-f]{16})"\} ')
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PATHS = ["/reviews/{}", "/reviews/{}/comments", "/reviews/search?q={}", "/slow/{}", "/dead/{}", "/direct", "/nowhere"]
PLANS = ["200"] * 6 + ["d5:200", "d40:200", "404", "500", "503,200"]


class Requests:
    """Requests through the sidecars, over several routes, from a thread until the end."""

    def __init__(self, port):
        self._port, self._ended, self.failure = port, threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        numbers = random.Random(5)
        try:
            while not self._ended.is_set():
                paths = [numbers.choice(PATHS).format(numbers.randrange(10**5)) for _ in range(10)]
                load.send(self._port, [(path, numbers.choice(PLANS)) for path in paths], connections=4)
        except Exception as error:  # told by the test's own thread
            self.failure = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(60)


class Native:
    """Traces under libweft, as graph_load.py makes them, until the end."""

    def __init__(self, directory, socket):
        command = [sys.executable, REPOSITORY / "tests/mesh/graph_load.py", "--library", BUILD / "libweft.so"]
        command += ["--socket", socket, "--rate", NATIVE_TRACES_PER_SECOND, "--seconds", LOAD_SECONDS]
        command += ["--list", directory / "native.list", "--seed", 5]
        self._log = open(directory / "native.log", "wb")
        self._child = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=self._log, stderr=self._log
        )
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()

    def running(self):
        return self._child.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.wait(15)
        self._child.stdin.close()
        self._log.close()


class Reader:
    """Asks the agent over one connection; notes what was not found."""

    def __init__(self, agent):
        self._connection = http.client.HTTPConnection(agent.address, timeout=30)
        self.fetched, self.missing = collections.Counter(), []

    def get(self, path, headers=None):
        self._connection.request("GET", path, headers=headers or {})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def exemplars(self):
        """{(trace id, span id)} of a scrape."""
        status, body = self.get("/metrics", {"accept": OPENMETRICS})
        assert status == 200
        found = EXEMPLAR.findall(body.decode())
        assert body.decode().count(" # {") == len(found)
        return set(found)

    def fetch(self, exemplar, when):
        trace_id, span_id = exemplar
        status, body = self.get(f"/api/v1/traces/{trace_id}")
        self.fetched[when] += 1
        if status != 200 or span_id not in otlp_ids(body):
            self.missing.append((when, exemplar, status, body[:200]))

    def fetch_jaeger(self, exemplar):
        trace_id, span_id = exemplar
        status, body = self.get(f"/api/traces/{trace_id}")
        assert status == 200, (exemplar, status, body[:200])
        (trace,) = json.loads(body)["data"]
        assert span_id in {span["spanID"] for span in trace["spans"]}


def otlp_ids(body):
    return {
        span["spanId"]
        for resource in json.loads(body)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }


class Promises:
    """What is to be found once more, R after a scrape."""

    def __init__(self, reader):
        self._reader, self._due = reader, collections.deque()

    def add(self, exemplar, scraped_at, when):
        self._due.append((scraped_at + RETENTION_SECONDS, exemplar, when))

    def fetch_due(self):
        while self._due and self._due[0][0] <= time.monotonic():
            at, exemplar, when = self._due.popleft()
            # the agent promises R, and somewhat more for the scrape itself: who asks much later has no claim
            assert time.monotonic() - at < 3, "this machine is too slow for this test"
            self._reader.fetch(exemplar, when)

    def fetch_all(self):
        while self._due:
            self.fetch_due()
            time.sleep(0.02)


def follow(reader):
    """Scrapes; fetches all that each shows, and again R after it was first and last shown. All that was shown."""
    promises, seen, shown = Promises(reader), set(), {}
    for _ in range(SCRAPES):
        scraped_at = time.monotonic()
        now = reader.exemplars()
        for exemplar in shown.keys() - now:
            promises.add(exemplar, shown[exemplar], "R after the last scrape")
        for exemplar in now - seen:
            promises.add(exemplar, scraped_at, "R after the first scrape")
        for exemplar in now:
            reader.fetch(exemplar, "at once")
            promises.fetch_due()
        seen, shown = seen | now, dict.fromkeys(now, scraped_at)
        time.sleep(PAUSE_SECONDS)
    for exemplar in shown:
        promises.add(exemplar, shown[exemplar], "R after the last scrape")
    promises.fetch_all()
    return seen


def reach_seconds(agent):
    return max(value for _, value in agent.samples().matching("weft_trace_reach_seconds"))


@pytest.mark.parametrize("traces_max", [2000, 40], ids=["room", "pressure"])
def test_every_exemplar_leads_to_its_trace(directory, traces_max):
    limits = {"trace_ring_bytes": RING_BYTES, "exemplar_traces_max": traces_max}
    trace = {"exemplar_retention_s": RETENTION_SECONDS, "export": "kept"}
    with Upstream() as upstream, Weftd(directory, shards=SHARDS, limits=limits, trace=trace) as agent, Chain(
        directory, agent.socket, upstream.port, True
    ) as chain, Requests(chain.port) as requests, Native(directory, agent.socket) as native:
        reader = Reader(agent)
        wait_for(lambda: len(reader.exemplars()) >= 5, "the first exemplars")
        assert agent.samples().total("weft_exemplar_retention_seconds") == RETENTION_SECONDS
        seen = follow(reader)
        for exemplar in list(reader.exemplars())[:10]:
            reader.fetch_jaeger(exemplar)
        samples = agent.samples()
        assert requests.failure is None and native.running()
        assert reader.missing == [], (len(reader.missing), reader.fetched, reader.missing[:5])
        print(traces_max, len(seen), dict(reader.fetched), reach_seconds(agent), [
            (labels, value) for name, labels, value in samples.rows if name.startswith("weft_exemplar")
        ])
        # the rings alone would have forgotten them
        assert reach_seconds(agent) < RETENTION_SECONDS
        assert len(seen) >= 20
        assert samples.total("weft_exemplar_traces") <= traces_max
        # longer by now, since nobody scraped while the last ones were followed
        assert RETENTION_SECONDS < samples.total("weft_exemplar_retention_seconds") < 5 * RETENTION_SECONDS
        assert samples.total("weft_exemplars_granted_total") >= len(seen)
        if traces_max == 40:
            assert samples.total("weft_exemplars_refused_total", reason="full") > 0
            assert samples.total("weft_exemplars_withdrawn_total") > 0
