"""Several meshes on one node: Envoy's access log service and an SDK's spans in one, nginx in a second, a scraped
Linkerd in a third. Each calls a service `reviews`; one agent keeps the three apart and shows them in one view."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import yaml

import als
import load
import mix as mixes
from agent import COUNT_SECONDS_MAX, WEFTD, Weftd
from harness import REPOSITORY, free_port, wait_for
from logging_proxies import GROUP_COUNT, Nginx, blocks, each, localized, taken_by
from test_scrape import Pages, rise, wait_scrapes
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

ENVOY_REQUESTS, NGINX_REQUESTS, SDK_REQUESTS = 20, 30, 9
LINKERD_REQUESTS = 2 * 360  # that the second scrape of the fixture adds to its edge


def config_of(directory, linkerd):
    """That of docs/meshes/two-meshes.md. Who sends differs from machine to machine: whoever comes over weft.sock
    is of the first mesh here."""
    config = yaml.safe_load(localized(blocks("two-meshes.md", "yaml")[0], directory))
    config["meshes"][0]["senders"] = ["*"]
    config["receivers"]["scrape"][0].update(url=linkerd, interval_s=1)
    return config


def run_sdk(agent):
    """Spans of an application under the OpenTelemetry SDK; how many of each kind, as it counted them."""
    done = subprocess.run(
        [
            *(sys.executable, REPOSITORY / "tests/mesh/sdk.py", "--target", f"unix:{agent.socket}"),
            *("--scenario", "http", "--convention", "new", "--count", str(SDK_REQUESTS)),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def each_taken(agent, port):
    """nginx' requests, few at once: what finds no room in the socket's queue nginx drops."""
    taken = taken_by(agent)
    for count in range(GROUP_COUNT, NGINX_REQUESTS + 1, GROUP_COUNT):
        each(port, "/reviews/2", GROUP_COUNT)
        taken(count)


def settled(agent, logs):
    """Samples once so many log records were received, and neither those nor spans are in flight."""

    def arrived():
        samples = agent.samples()
        flying = samples.in_flight("logs") or samples.in_flight("spans")
        return samples if samples.records("received", "logs") >= logs and not flying else None

    try:
        return wait_for(arrived, f"{logs} log records", COUNT_SECONDS_MAX, pause=0.3)
    except AssertionError as error:
        rows = agent.json("/api/v1/ledger")["records"]
        raise AssertionError(f"{error}: {rows}\n{agent.log()[-2000:]}") from error


def calls_of_reviews(samples):
    """Counter of requests by mesh, as their callers' proxies tell them."""
    return samples.by(("mesh",), "mesh_requests_total", reporter="source", destination="reviews")


def test_services_of_one_name_stay_apart_and_in_one_view(directory):
    text = (REPOSITORY / "tests/corpus/scrape_linkerd2.prom").read_text().replace("emoji-svc", "reviews")
    kind = "text/plain; version=0.0.4"
    with Pages({"/m": (kind, text.encode())}) as linkerd, Upstream() as upstream, Weftd(
        directory, shards=2, **config_of(directory, linkerd.url("/m"))
    ) as agent, Nginx(directory, upstream.port) as nginx, mixes.Mix(
        directory, upstream.port, free_port(), als.telemetry(agent.socket, attempts=False)
    ) as mix:
        wait_scrapes(agent, "web")
        linkerd.pages["/m"] = (kind, rise(text, 3).encode())
        load.send(mix.port, [("/reviews/1", "200")] * ENVOY_REQUESTS, connections=2)
        each_taken(agent, nginx.port)
        spans = run_sdk(agent)
        samples = settled(agent, 2 * ENVOY_REQUESTS + NGINX_REQUESTS)  # both sidecars log
        wait_scrapes(agent, "web")
        assert calls_of_reviews(samples) == {("istio",): ENVOY_REQUESTS, ("legacy",): NGINX_REQUESTS}
        assert samples.total("mesh_requests_total", mesh="legacy") == NGINX_REQUESTS
        of_envoy_and_sdk = 2 * ENVOY_REQUESTS + spans["CLIENT"] + spans["SERVER"]
        assert samples.total("mesh_requests_total", mesh="istio") == of_envoy_and_sdk
        assert samples.total("mesh_requests_total") == of_envoy_and_sdk + NGINX_REQUESTS
        services = samples.matching("mesh_service_info", mesh_service="reviews")
        assert {labels.get("mesh") for labels, _ in services} == {"istio", "legacy"}
        check_view(agent)


def requests_by_mesh(answer, **wanted):
    found = Counter()
    for edge in answer["edges"]:
        if all(edge[key] == value for key, value in wanted.items()):
            found[edge["mesh"]] += edge["requests"]
    return found


def check_view(agent):
    """One answer with all meshes; each alone by `mesh`."""
    reviews = {"reporter": "source", "destination": "reviews"}
    everything = requests_by_mesh(agent.json("/api/v1/edges", window="5m"), **reviews)
    assert everything == {
        "istio": ENVOY_REQUESTS,
        "legacy": NGINX_REQUESTS,
        "linkerd": LINKERD_REQUESTS,
    }
    for mesh, count in everything.items():
        alone = requests_by_mesh(agent.json("/api/v1/edges", window="5m", mesh=mesh), **reviews)
        assert alone == {mesh: count}
    for mesh in ("istio", "legacy"):
        latency = agent.json("/api/v1/latency", window="5m", mesh=mesh, **reviews)
        assert latency["requests"] == everything[mesh]
        services = agent.json("/api/v1/services", window="5m", mesh=mesh)["services"]
        assert {each["mesh"] for each in services} == {mesh}


def test_the_configuration_of_the_docs_loads(directory):
    path = directory / "docs.yaml"
    path.write_text(localized(blocks("two-meshes.md", "yaml")[0], directory))
    subprocess.run([WEFTD, "--config", path, "--check-config"], check=True, timeout=60)


def test_without_meshes_there_is_no_such_label(directory):
    with Upstream() as upstream, Weftd(
        directory,
        receivers={"access_logs": [{"path": f"{directory}/nginx.sock", "preset": "nginx"}]},
    ) as agent, Nginx(directory, upstream.port) as nginx:
        each(nginx.port, "/reviews/2", 3)
        samples = settled(agent, 3)
        assert samples.total("mesh_requests_total", destination="reviews") == 3
        assert not any("mesh" in labels for _, labels, _ in samples.rows)
