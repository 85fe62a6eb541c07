"""`weft demo` into a running agent: all of it arrives, its edges have both sides, and `weft why` finds the replica
that is slow while the demo begins; the agent goes away and comes back."""

import json
import re
import signal
import subprocess

import pytest

from agent import WEFT, Weftd
from harness import Process, wait_for

pytestmark = pytest.mark.agent_needed

RATE = 120
SLOW = ("cart", "cart-2")  # for the first 20 s of each minute
SERVICES = {
    ("shop", name)
    for name in (
        "gateway", "frontend", "catalog", "search", "reviews", "ratings", "recommendations", "cart", "checkout",
    )
} | {("bank", name) for name in ("payments", "fraud", "accounts")}
EDGE = ("source_namespace", "source", "destination_namespace", "destination")
SUMS = re.compile(r"(\d+) requests, (\d+) spans sent: (\d+) acknowledged, (\d+) of them rejected, (\d+) dropped")


class Demo(Process):
    def __init__(self, directory, agent_socket, *arguments):
        super().__init__("demo", directory)
        self.start([WEFT, "demo", "--socket", agent_socket, *arguments])

    def sums(self):
        """(requests, spans sent, acknowledged, rejected, dropped), as it says at its end."""
        found = SUMS.search(self.log())
        assert found, self.log()
        return tuple(map(int, found.groups()))


def weft(agent, *arguments):
    command = [str(word) for word in (WEFT, *arguments, "--api", agent.api_socket)]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def first_cause(agent, service):
    answer = json.loads(weft(agent, "why", service, "--json"))
    if answer["verdict"] != "cause":
        return None
    cause = answer["causes"][0]
    return cause["kind"], cause["value"]


def is_seen(agent, **labels):
    return agent.samples().total("mesh_requests_total", **labels) > 0


def test_the_demo_shows_what_it_says(directory):
    with Weftd(directory, shards=2) as agent, Demo(directory, agent.socket, "--rate", RATE) as demo:
        demo.wait_until(lambda: first_cause(agent, "cart") == ("pod", SLOW[1]), "the slow replica found", 60)
        demo.wait_until(lambda: first_cause(agent, "checkout") == ("callee", SLOW[0]), "its caller blames it", 60)
        demo.wait_until(lambda: is_seen(agent, destination="recommendations", outcome="no_response"), "breaker", 60)
        for arguments, expected in (
            (["stat"], "recommendations"),
            (["slow", "cart", "--count", "3"], "cart"),
            (["why", "cart"], "pod cart-2"),
            (["heatmap", "cart"], "cart: "),
        ):
            assert expected in weft(agent, *arguments)
        assert demo.stop(signal.SIGINT) == 0, demo.log()
        requests, sent, acknowledged, rejected, dropped = demo.sums()
        assert (acknowledged, rejected, dropped) == (sent, 0, 0)
        samples = agent.wait_spans(sent)
        assert samples.records("aggregated", "spans") == sent
        assert samples.total("mesh_requests_total", reporter="destination", source="external") == requests
        sides = {
            side: set(samples.by(EDGE, "mesh_requests_total", reporter=side)) for side in ("source", "destination")
        }
        external = {edge for edge in sides["destination"] if edge[1] == "external"}
        assert sides["source"] == sides["destination"] - external
        assert {edge[2:] for edge in sides["destination"]} == SERVICES
        assert samples.total("mesh_response_flags_total", destination="recommendations", flag="UO") > 0
        retried = samples.total("mesh_request_attempts_total", reporter="source", destination="payments")
        assert retried > samples.total("mesh_requests_total", reporter="source", destination="payments")
        assert all(row["balanced"] for row in json.loads(weft(agent, "ledger", "--json"))["records"])


def test_the_agent_goes_and_comes_back(directory):
    agent = Weftd(directory)
    with Demo(directory, agent.socket, "--rate", "50", "--quiet") as demo:
        demo.wait_until(lambda: is_seen(agent, destination="cart"), "traffic")
        agent.stop()
        demo.wait_until(lambda: "has gone away" in demo.log(), "it says so")
        with Weftd(directory, port=agent.port):
            demo.wait_until(lambda: "is back" in demo.log(), "it says that too")
            assert demo.stop() == 0, demo.log()
    assert "requests" not in demo.log()  # --quiet, and nothing is lost


def test_without_an_agent(directory):
    with Demo(directory, directory / "nobody.sock") as demo:
        wait_for(lambda: not demo.running(), "its end", 30)
        assert demo.stop() == 1
    assert f"no agent answers at {directory / 'nobody.sock'}" in demo.log()


def test_what_is_lost_when_the_agent_stays_away(directory):
    agent = Weftd(directory)
    with Demo(directory, agent.socket, "--rate", "50") as demo:
        demo.wait_until(lambda: is_seen(agent, destination="cart"), "traffic")
        agent.stop()
        demo.wait_until(lambda: "has gone away" in demo.log(), "it says so")
        assert demo.stop() == 1
        _, sent, acknowledged, rejected, _ = demo.sums()
        assert acknowledged < sent and rejected == 0
