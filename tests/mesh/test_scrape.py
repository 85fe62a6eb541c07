"""Scraping: what /metrics of the agent shows of a target equals what the target shows itself.

The oracle is the target's own exposition, fetched before and after the agent's: a sample that says the same
in both has to be the agent's as well.
"""

import gzip
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import _parse_sample

import load
from agent import COUNT_SECONDS_MAX, WEFTD, Weftd
from harness import REPOSITORY, wait_for
from logging_proxies import blocks
from scraped import ScrapedEnvoy, ScrapedHaproxy
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

REQUESTS = 40
CORPUS = REPOSITORY / "tests/corpus"
SENDER_LABELS = {"sender_kind", "sender_workload", "sender_namespace"}


class Pages(ThreadingHTTPServer):
    """Serves fixed expositions; `pages` is {path: (content type, body)}. Answers gzip when asked to."""

    def __init__(self, pages, encoding=None):
        self.pages, self.encoding = pages, encoding
        super().__init__(("127.0.0.1", 0), PagesHandler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class PagesHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        kind, body = self.server.pages.get(self.path, (None, b""))
        self.send_response(200 if kind else 404)
        if "gzip" in self.headers.get("accept-encoding", "") and self.server.encoding == "gzip":
            body = gzip.compress(body)
            self.send_header("content-encoding", "gzip")
        self.send_header("content-type", kind or "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def target(name, url, **keys):
    return {"name": name, "url": url, "interval_s": 1, **keys}


def lines(text):
    """(name, labels, value) of each sample as it is written; what parses it otherwise renames counters."""
    return [_parse_sample(line)[:3] for line in text.splitlines() if line and not line.startswith("#")]


def key_of(name, labels, drop=frozenset()):
    """A sample's identity; bounds are compared as numbers."""
    return name, frozenset(
        (key, float(value) if key == "le" else value)
        for key, value in labels.items()
        if key not in drop and value  # an empty label is none
    )


def keyed(text):
    """{(name, labels): value} of an exposition."""
    return {key_of(name, labels): value for name, labels, value in lines(text)}


def exposition(agent):
    return agent.get("/metrics")[2].decode()


def of_target(agent, name):
    """What the agent shows of a target, without what it added."""
    return {
        key_of(sample, labels, SENDER_LABELS): value
        for sample, labels, value in lines(exposition(agent))
        if labels.get("sender_workload") == name
    }


def total(agent, name, **labels):
    """The sum of the samples of that very name."""
    return sum(
        value
        for sample, found, value in lines(exposition(agent))
        if sample == name and all(found.get(key) == want for key, want in labels.items())
    )


def scrapes(agent, name, result="ok"):
    return agent.samples().total("weft_scrape_attempts_total", target=name, result=result)


def wait_scrapes(agent, name, more=2, result="ok"):
    before = scrapes(agent, name, result)
    wait_for(
        lambda: scrapes(agent, name, result) >= before + more,
        f"{more} scrapes of {name}: {result}\n{agent.log()[-1500:]}",
        COUNT_SECONDS_MAX,
        pause=0.2,
    )


def check_ledger(agent, dropped=0):
    """received = aggregated + dropped, when nothing is in flight."""

    def balanced():
        samples = agent.samples()
        received = samples.total("weft_records_received_total", signal="metrics")
        aggregated = samples.total("weft_records_aggregated_total", signal="metrics")
        lost = samples.total("weft_records_dropped_total", signal="metrics")
        return received > 0 and received == aggregated + lost and (lost > 0) == (dropped > 0)

    wait_for(balanced, "a balanced ledger", COUNT_SECONDS_MAX, pause=0.3)
    rows = agent.json("/api/v1/ledger")["records"]
    assert [row["balanced"] for row in rows if row["signal"] == "metrics"] == [True]


def same(left, right):
    return left == right or (left != left and right != right)


# Of the process: what it is at the moment, which may go to and fro between two readings.
OF_THE_MOMENT = (
    "haproxy_process_current_",
    "haproxy_process_pool_",
    "haproxy_process_idle_time_percent",
    "haproxy_process_bytes_out_rate",
    "haproxy_process_jobs",
    "envoy_server_memory_",
    "envoy_server_total_connections",
)


def of_observer(name, labels):
    """What reading the target changes, as connections to Envoy's admin listener."""
    return (
        "admin" in name
        or {("envoy_http_conn_manager_prefix", "admin"), ("proxy", "stats")} & labels
        or name.startswith(OF_THE_MOMENT)
    )


def is_nan_counter(name, _labels, value):
    return value != value and name.endswith("_total")


def compare(read, agent, name):
    """How many samples of the target's were the same before and after; all of them are the agent's, too."""
    before = keyed(read())
    wait_scrapes(agent, name)
    shown = of_target(agent, name)
    after = keyed(read())
    steady = {
        key: value
        for key, value in before.items()
        if key in after and same(after[key], value) and not of_observer(*key) and not is_nan_counter(*key, value)
    }
    # The agent shows no buckets but +Inf's of a histogram that is empty.
    wrong = {
        key: (value, shown.get(key))
        for key, value in steady.items()
        if not same(shown.get(key, 0 if key[0].endswith("_bucket") else None), value)
    }
    assert not wrong, f"{len(wrong)} of {len(steady)}: {list(wrong.items())[:5]}"
    return steady


def test_envoy_over_its_admin_socket(directory):
    with Upstream() as upstream, ScrapedEnvoy(directory, upstream.port) as envoy:
        scraped = target("envoy-a", "http://localhost/stats/prometheus", socket=str(envoy.admin), namespace="shop")
        with Weftd(directory, receivers={"scrape": [scraped]}) as agent:
            wait_scrapes(agent, "envoy-a")
            load.send(envoy.port, [("/a", "200")] * REQUESTS + [("/b", "503")] * 3)
            wait_for(
                lambda: f"envoy_cluster_upstream_rq_time_count{{envoy_cluster_name=\"back\"}} {REQUESTS + 3}"
                in envoy.exposition(),
                "Envoy's histograms to be flushed",
            )
            steady = compare(envoy.exposition, agent, "envoy-a")
            requests = total(agent, "envoy_cluster_upstream_rq_total", envoy_cluster_name="back")
            refused = total(agent, "envoy_cluster_upstream_rq", envoy_response_code="503")
            samples = agent.samples()
            check_ledger(agent)
    names = {name for name, _ in steady}
    assert len(steady) > 300
    # Two counters whose names differ by _total alone, and a histogram with all its buckets.
    assert {"envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_total"} <= names
    assert sum(name == "envoy_cluster_upstream_rq_time_bucket" for name, _ in steady) > 10
    assert (requests, refused) == (REQUESTS + 3, 3)
    rows = samples.matching("envoy_cluster_upstream_rq_total", envoy_cluster_name="back")
    assert rows[0][0]["sender_kind"] == "target" and rows[0][0]["sender_namespace"] == "shop"
    assert samples.total("weft_scrape_up", target="envoy-a") == 1


def test_haproxy_exporter(directory):
    with Upstream() as upstream, ScrapedHaproxy(directory, upstream.port) as haproxy:
        scraped = target("edge", f"http://127.0.0.1:{haproxy.stats_port}/metrics")
        with Weftd(directory, receivers={"scrape": [scraped]}) as agent:
            wait_scrapes(agent, "edge")
            load.send(haproxy.port, [("/a", "200")] * REQUESTS + [("/b", "404")] * 2)
            steady = compare(haproxy.exposition, agent, "edge")
            samples = agent.samples()
            # HAProxy writes NaN for counters of checks that are not configured: no value of a counter.
            check_ledger(agent, dropped=1)
    assert len(steady) > 150  # of 262, of which reading changes 50
    assert samples.total("haproxy_backend_http_responses_total", proxy="back", code="2xx") == REQUESTS
    assert samples.total("haproxy_backend_http_responses_total", proxy="back", code="4xx") == 2


def test_a_target_that_vanishes_and_comes_back(directory):
    page = b"# TYPE temperature gauge\ntemperature 21\n# TYPE ticks counter\nticks 5\n"
    with Pages({"/metrics": ("text/plain", page)}) as pages:
        port = pages.server_port
        scraped = target("cellar", pages.url("/metrics"), timeout_ms=500)
        agent = Weftd(directory, receivers={"scrape": [scraped]}, name="weftd")
        wait_scrapes(agent, "cellar")
        assert agent.samples().total("temperature") == 21
    with agent:
        wait_scrapes(agent, "cellar", result="unreachable")
        assert agent.samples().total("weft_scrape_up", target="cellar") == 0
        # Three intervals of a second and ten seconds later nothing is shown of it.
        wait_for(lambda: not agent.samples().matching("temperature"), "the series to be hidden", COUNT_SECONDS_MAX, pause=0.5)
        assert not total(agent, "ticks")
        assert agent.samples().matching("weft_scrape_up", target="cellar")
        ThreadingHTTPServer.allow_reuse_address = True
        again = Pages.__new__(Pages)
        again.pages, again.encoding = {"/metrics": ("text/plain", page.replace(b"ticks 5", b"ticks 2"))}, None
        ThreadingHTTPServer.__init__(again, ("127.0.0.1", port), PagesHandler)
        again.thread = threading.Thread(target=again.serve_forever, args=(0.05,))
        again.thread.start()
        with again:
            wait_scrapes(agent, "cellar")
            # It began anew: 5 and then 2.
            wait_for(lambda: total(agent, "ticks") == 7, "the series to be shown again")
        check_ledger(agent)


def test_bad_targets_and_bad_lines(directory):
    mixed = b"# TYPE good counter\ngood 1\nthis is {no sample}\nh_bucket 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_count 2\n"
    big = b"# " + b"x" * 100000 + b"\n"
    pages = {
        "/mixed": ("text/plain; version=0.0.4", mixed),
        "/html": ("text/html", b"<html>no metrics</html>"),
        "/big": ("text/plain", b"before 1\n" + big),
    }
    targets = ["mixed", "html", "big", "none"]
    with Pages(pages) as server:
        scraped = [target(name, server.url("/" + name)) for name in targets]
        with Weftd(directory, receivers={"scrape": scraped}, limits={"scrape_body_bytes_max": 65536}) as agent:
            for name, result in zip(targets, ("ok", "content_type", "oversized", "status")):
                wait_scrapes(agent, name, result=result)
            samples = agent.samples()
            assert total(agent, "good") == 1
            assert not total(agent, "before") and not total(agent, "h_count")
            assert samples.total("weft_scrape_lines_dropped_total", target="mixed") >= 2
            assert samples.total("weft_records_dropped_total", signal="metrics", reason="malformed") >= 2
            check_ledger(agent, dropped=2)


def test_openmetrics_gzip_labels_and_summaries(directory):
    text = (
        "# TYPE work_seconds counter\n# UNIT work_seconds seconds\n# HELP work_seconds Done.\n"
        'work_seconds_total{part="a"} 2.5\nwork_seconds_created{part="a"} 1700000000\n'
        "# TYPE wait summary\n"
        'wait{quantile="0.5",zone="own"} 0.25\nwait_sum{zone="own"} 10\nwait_count{zone="own"} 40\n'
        "# EOF\n"
    )
    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    with Pages({"/m": (kind, text.encode())}, encoding="gzip") as server:
        scraped = target(
            "app", server.url("/m"), mesh="east", labels=[{"name": "zone", "value": "added"}], namespace="shop"
        )
        with Weftd(directory, receivers={"scrape": [scraped]}) as agent:
            wait_scrapes(agent, "app")
            shown = of_target(agent, "app")
            status, _, body = agent.get("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"})
            assert status == 200
            families = {family.name: family for family in openmetrics_families(body.decode())}
            check_ledger(agent)
    east, own = ("mesh", "east"), ("zone", "own")
    assert shown == {
        ("work_seconds_total", frozenset({("part", "a"), east, ("zone", "added")})): 2.5,
        ("wait", frozenset({("quantile", "0.5"), east, own})): 0.25,
        ("wait_sum", frozenset({east, own})): 10,
        ("wait_count", frozenset({east, own})): 40,
    }
    assert families["work_seconds_total"].type == "unknown"  # told exactly as it is
    assert families["wait"].type == "gauge"


def rise(text, factor):
    """The exposition with every sample's value multiplied: the next scrape of a busy proxy."""
    out = []
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        out.append(line if line.startswith("#") or not head else f"{head} {float(value) * factor:g}")
    return "\n".join(out) + "\n"


def edges_of(directory, name, **keys):
    """The scraped edges after a fixture was told once, and then with three times its values."""
    text = (CORPUS / name).read_text()
    with Pages({"/m": ("text/plain; version=0.0.4", text.encode())}) as server:
        with Weftd(directory, receivers={"scrape": [target("web", server.url("/m"), namespace="emojivoto", **keys)]}) as agent:
            wait_scrapes(agent, "web")
            assert agent.json("/api/v1/edges", window="1m", origin="scrape")["edges"] == []
            server.pages["/m"] = ("text/plain; version=0.0.4", rise(text, 3).encode())
            wait_scrapes(agent, "web")
            edges = agent.json("/api/v1/edges", window="1m")["edges"]
            samples = agent.samples()
            check_ledger(agent)
    assert all(edge["origin"] == "scrape" for edge in edges)
    assert not samples.total("mesh_requests_total")  # apart from what is counted by records
    return {(edge["reporter"], edge["source"], edge["destination"]): edge for edge in edges}


def median(edge):
    return next(each["seconds"] for each in edge["quantiles"] if each["q"] == 0.5)


def test_edges_of_linkerd2(directory):
    edges = edges_of(directory, "scrape_linkerd2.prom")
    assert set(edges) == {
        ("source", "web", "emoji-svc"),
        ("source", "web", "voting-svc"),
        ("destination", "unknown", "web"),
    }
    emoji = edges["source", "web", "emoji-svc"]
    assert (emoji["requests"], emoji["destination_namespace"], emoji["source_namespace"]) == (
        2 * 360,
        "emojivoto",
        "emojivoto",
    )
    assert edges["source", "web", "voting-svc"]["outcomes"] == {"ok": 2 * 150, "server_error": 2 * 30}
    assert 0.001 < median(emoji) < 0.002


def test_edges_of_istio(directory):
    edges = edges_of(directory, "scrape_istio.prom")
    edge = edges["source", "productpage-v1", "reviews"]
    assert edge["outcomes"] == {"ok": 2 * 95, "server_error": 2 * 5}
    assert 0.005 < median(edge) < 0.01


def test_edges_of_linkerd1(directory):
    edges = edges_of(directory, "scrape_linkerd1.prom")
    assert edges["source", "web", "books"]["outcomes"] == {"ok": 2 * 40, "server_error": 2 * 2}


@pytest.mark.parametrize("name", ["scrape_dapr.prom", "scrape_linkerd2.prom", "scrape_envoy.prom", "scrape_haproxy.prom"])
def test_recorded_expositions(directory, name):
    """Every sample of the file is shown under its own name, with its own labels and value."""
    text = (CORPUS / name).read_text()
    with Pages({"/m": ("text/plain; version=0.0.4", text.encode())}) as server:
        with Weftd(directory, receivers={"scrape": [target("app", server.url("/m"))]}) as agent:
            wait_scrapes(agent, "app")
            shown = of_target(agent, "app")
    wanted = {key: value for key, value in keyed(text).items() if not is_nan_counter(*key, value)}
    wrong = {
        key: (value, shown.get(key))
        for key, value in wanted.items()
        if not same(shown.get(key, 0 if key[0].endswith("_bucket") else None), value)
    }
    assert len(wanted) > 15 and not wrong, list(wrong.items())[:5]


@pytest.mark.parametrize("page", ["scraping.md", "linkerd2.md", "dapr.md", "kubernetes.md"])
def test_configurations_of_the_docs(directory, page):
    """What the pages say to paste is a configuration that weftd takes."""
    for number, block in enumerate(blocks(page, "yaml")):
        path = directory / f"{number}.yaml"
        path.write_text(block)
        done = subprocess.run(
            [WEFTD, "--config", path, "--check-config"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}\n{block}"
    assert len(blocks(page, "yaml")) > 0
