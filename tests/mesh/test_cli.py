"""`weft` against a running agent: spans and counters from a shell, the ledger, exit codes."""

import json
import os
import subprocess

import pytest

from agent import WEFT, Weftd

pytestmark = pytest.mark.agent_needed

EDGE = ["--source", "frontend", "--source-namespace", "shop", "--destination", "cart"]
CODE = ("outcome", "response_code")


def weft(*arguments, lines=None, **variables):
    command = [str(word) for word in (WEFT, *arguments)]
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    return subprocess.run(command, input=lines, text=True, capture_output=True, timeout=120, env=environment)


def test_options_become_labels(directory):
    with Weftd(directory) as agent:
        agent.emit(*EDGE, "--destination-namespace", "shop", "--route", "/cart/{id}", "--count", 30)
        agent.emit(*EDGE, "--code", 503, "--method", "POST", "--attempts", 3, "--count", 5)
        samples = agent.wait_spans(35)
        edge = {"reporter": "source", "source": "frontend", "destination": "cart"}
        assert samples.by(CODE, "mesh_requests_total", **edge) == {
            ("ok", "200"): 30,
            ("server_error", "503"): 5,
        }
        assert samples.total("mesh_requests_total", route="/cart/{id}", destination_namespace="shop") == 30
        assert samples.total("mesh_requests_total", method="POST") == 5
        assert samples.total("mesh_request_attempts_total", **edge) >= 15


def test_csv_and_json_lines(directory):
    csv = 'destination,code,duration,route\ncart,200,5ms,/a\n"cart",404,3us,"/b"\n'
    lines = json.dumps({"destination": "cart", "code": 500, "duration": "1.5s"}) + "\n"
    with Weftd(directory) as agent:
        agent.emit("--source", "frontend", "--stdin", lines=csv)
        agent.emit("--source", "frontend", "--stdin", lines=lines)
        samples = agent.wait_spans(3)
        assert samples.by(CODE, "mesh_requests_total", destination="cart") == {
            ("ok", "200"): 1,
            ("client_error", "404"): 1,
            ("server_error", "500"): 1,
        }
        total = samples.total("mesh_request_duration_seconds_sum", destination="cart")
        assert total == pytest.approx(1.505003, rel=1e-9)


def test_a_counter_keeps_its_name(directory):
    with Weftd(directory) as agent:
        agent.emit("--count", 0, "--counter", "cart_items=42", "--workload", "frontend")
        found = agent.samples().matching("cart_items_total")
        assert [value for _, value in found] == [42]
        assert all(key.startswith("sender_") for key in found[0][0])


@pytest.mark.parametrize(
    "arguments, lines",
    [
        (["--duration", "soon"], None),
        (["--code", "70000"], None),
        (["--no-such-option"], None),
        (["--stdin"], "destination,colour\ncart,red\n"),
        (["--stdin"], '{"destination": "cart"\n'),
    ],
)
def test_wrong_usage_is_said_and_sends_nothing(directory, arguments, lines):
    with Weftd(directory) as agent:
        done = weft("emit", "--socket", agent.socket, *arguments, lines=lines)
        assert done.returncode in (1, 2) and done.stderr.strip()
        assert agent.samples().total("weft_records_received_total", signal="spans") == 0


def test_without_an_agent_emit_gives_up(directory):
    done = weft("emit", "--socket", directory / "nobody.sock", "--count", 3, "--timeout", "1s")
    assert done.returncode == 1 and done.stderr.strip()


def test_ledger_waits_until_nothing_is_in_flight(directory):
    with Weftd(directory) as agent:
        agent.emit(*EDGE, "--count", 500)
        done = weft("ledger", "--wait", "100", WEFT_API=agent.api_socket)
        assert done.returncode == 0, done.stderr
        assert "500" in done.stdout
        done = weft("stat", WEFT_API=agent.api_socket)
        assert done.returncode == 0, done.stderr
        assert "frontend" in done.stdout and "cart" in done.stdout


def test_ledger_without_an_agent_fails(directory):
    done = weft("ledger", "--wait", "2", WEFT_API=directory / "nobody.sock")
    assert done.returncode == 1 and done.stderr.strip()
