"""docs/meshes/istio.md: its patches, merged into two sidecars as istiod merges them, give what the page says."""

import re

import pytest
import yaml

import als
import mix as mixes
import ratings
from agent import Weftd
from harness import REPOSITORY
from test_als import DOWNSTREAM, assert_flags_and_attempts, assert_inbound, assert_mix, wait_logs
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"


def page_blocks(agent_socket):
    text = (REPOSITORY / "docs/meshes/istio.md").read_text().replace("/run/weft/weft.sock", str(agent_socket))
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)]


def telemetry(agent_socket):
    """For Mix: the EnvoyFilter's cluster, and what it merges into each kind of network filter."""
    patches = page_blocks(agent_socket)[2]["spec"]["configPatches"]
    clusters = [each["patch"]["value"] for each in patches if each["applyTo"] == "CLUSTER"]
    merged = {}
    for each in patches:
        if each["applyTo"] == "NETWORK_FILTER":
            merged[each["match"]["listener"]["filterChain"]["filter"]["name"]] = each["patch"]["value"]["typed_config"]
    logs = {name: {"access_log": merged[name]["access_log"]} for name in (MANAGER, TCP_PROXY)}

    def pieces(_service, direction):
        # What metadata exchange would set; on the outbound side it does so only where a host was reached.
        peers = [als.peer_filter("downstream_peer")] if direction == "inbound" else []
        return {
            "clusters": clusters,
            "filters": peers,
            "manager": logs[MANAGER],
            "tcp": logs[TCP_PROXY],
        }

    return pieces


def test_the_patches_of_the_page(directory):
    page = page_blocks("/run/weft/weft.sock")[0]
    with Upstream() as upstream, ratings.Ratings() as rpc, Weftd(
        directory, exporters=page["exporters"]
    ) as agent, mixes.Mix(
        directory, upstream.port, rpc.port, telemetry(agent.socket), secure=mixes.mutual_tls(directory)
    ) as mix:
        expected = mixes.play(mix)
        inbound = mix.back.stats(DOWNSTREAM)["http.inbound.downstream_rq_total"]
        samples = wait_logs(agent, expected.total() + inbound + sum(expected.connections.values()))
        assert_mix(samples, expected)
        assert_flags_and_attempts(samples, expected)
        assert_inbound(samples, mix, "productpage")
        status, _, body = agent.get("/metrics?profile=istio")
        assert status == 200
        assert 'source_workload="productpage-v1"' in body.decode()
