"""docs/quick-start.md, done as it says: its Envoy, its Prometheus and queries, its destination. Only ports, paths and the
time between scrapes are the test's."""

import re
import shlex
import subprocess

import pytest
import yaml

from agent import WEFT, Weftd
from backends import Prometheus
from harness import REPOSITORY, answers_ok, free_port, http_get, wait_for
from sidecar import Envoy
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

PAGE = (REPOSITORY / "docs/quick-start.md").read_text()
REQUEST_COUNT = 5


def example(name, **replaced):
    """The page's YAML that begins with "# NAME", with some of its texts replaced, each of which must be there."""
    text = re.search(rf"```yaml\n# {re.escape(name)}\n(.*?)```", PAGE, re.S)[1]
    for old, new in replaced.values():
        assert old in text, f"{name}: {old}"
        text = text.replace(old, str(new))
    return yaml.safe_load(text)


def lines_of(begins):
    """The lines of the code block in which a line begins so."""
    blocks = [text.splitlines() for _, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.S | re.M)]
    return next(lines for lines in blocks if any(line.startswith(begins) for line in lines))


def emit_as_the_page_says(agent):
    line = next(line for line in lines_of("build/release/weft emit") if "weft emit" in line)
    words = shlex.split(line)
    assert words[:2] == ["build/release/weft", "emit"]
    agent.emit(*words[2:])
    return int(words[words.index("--count") + 1])


def test_first_envoy(directory):
    port = free_port()
    with Weftd(directory) as agent, Upstream() as upstream:
        page = example(
            "envoy.yaml",
            listener=("10000", port),
            service=("8080", upstream.port),
            agent=("/run/weft/weft.sock", agent.socket),
        )
        resources = page["static_resources"]
        with Envoy(
            "web", directory, resources["listeners"], resources["clusters"], bootstrap={"node": page["node"]}
        ) as envoy:
            envoy.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/"), "listening")
            for _ in range(REQUEST_COUNT - 1):
                assert http_get(f"http://127.0.0.1:{port}/")[0] == 200
            count = len(upstream.seen)
            samples = agent.wait_records("logs", count)
        assert count >= REQUEST_COUNT
        web = {"reporter": "destination", "destination": "web", "response_code": "200", "outcome": "ok"}
        assert samples.total("mesh_requests_total", **web) == count
        assert samples.total("mesh_requests_total") == count


def test_first_queries(directory):
    with Weftd(directory) as agent:
        count = emit_as_the_page_says(agent)
        jobs = example("prometheus.yml", target=("127.0.0.1:9464", agent.address), interval=("15s", "1s"))
        queries = lines_of("sum by (destination, outcome)")
        assert len(queries) == 2
        with Prometheus(directory, agent.address, jobs=jobs["scrape_configs"]) as prometheus:
            prometheus.wait_scraped()
            emit_as_the_page_says(agent)
            for query in queries:
                found = wait_for(lambda query=query: prometheus.query(query), query)
                assert "cart" in {labels["destination"] for labels, _, _ in found}
        assert agent.samples().total("mesh_requests_total", destination="cart", response_code="503") == 2 * count


def test_first_destination(directory):
    port = free_port()
    page = example("weft.yaml", endpoint=("4317", port))
    with Weftd(directory, name="back", receivers={"otlp": {"grpc": f"127.0.0.1:{port}"}}) as back:
        with Weftd(directory, trace={"export": "kept"}, exporters=page["exporters"]) as agent:
            emit_as_the_page_says(agent)
            back.wait_records("spans", 1)
            shown = subprocess.run(
                [WEFT, "ledger", "--api", agent.api_socket], capture_output=True, text=True, check=True, timeout=60
            )
        assert "collector" in shown.stdout and "HANDED OVER" in shown.stdout
