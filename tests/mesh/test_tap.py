"""`weft tap`: live requests of every sender and shard, as the filters have it; all of them with --json."""

import json
import subprocess
import time

import pytest

import otlp
from agent import WEFT, Weftd
from harness import wait_for

pytestmark = pytest.mark.agent_needed

SECONDS_MAX = 60
FLAG_UO = 1 << 7  # as the native stream has it
EDGE = ["--source", "web", "--destination", "cart"]


class Tap:
    """A running `weft tap`; ends with it."""

    def __init__(self, agent, *arguments):
        self.agent = agent
        self.before = self.open_count()
        self.process = subprocess.Popen(
            [WEFT, "tap", "--api", agent.api_socket, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        wait_for(lambda: self.open_count() == self.before + 1, "a tap", SECONDS_MAX)

    def open_count(self):
        return self.agent.samples().total("weft_taps")

    def lines(self):
        """All that it printed until it ended."""
        out, _ = self.process.communicate(timeout=SECONDS_MAX)
        return out.splitlines()

    def requests(self):
        return [json.loads(line) for line in self.lines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        wait_for(lambda: self.open_count() == self.before, "the end of a tap", SECONDS_MAX)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    # Room for all that these tests send, however long a crowded machine keeps its reader waiting.
    limits = {"tap_records_count_max": 65536, "tap_bytes_max": 64 << 20}
    with Weftd(tmp_path_factory.mktemp("tap"), shards=2, limits=limits) as weftd:
        yield weftd


def lines_total(agent, result):
    return agent.samples().total("weft_tap_lines_total", result=result)


def test_all_requests_of_every_sender_and_shard(agent):
    """Eight senders, of which both shards have some; OTLP and the native stream."""
    native, spans = 4 * 2500, 4 * 700
    with Tap(agent, "--json", "--count", native + spans) as tap:
        for number in range(4):
            agent.emit(*EDGE, "--route", f"/native/{number}", "--count", 2500)
        sent = [
            trace_id
            for number in range(4)
            for trace_id in otlp.send_durations(agent.socket, [3_000_000 + number] * 700, route=f"/otlp/{number}")
        ]
        requests = tap.requests()
    assert len(requests) == native + spans
    assert len({request["trace_id"] for request in requests}) == native + spans
    assert {request["trace_id"] for request in requests if request["route"].startswith("/otlp/")} == set(sent)
    one = next(request for request in requests if request["route"] == "/otlp/3")
    assert one["source"] == "productpage" and one["source_namespace"] == "shop"
    assert one["destination"] == "reviews" and one["destination_namespace"] == "shop"
    assert (one["reporter"], one["method"], one["response_code"], one["outcome"]) == ("source", "GET", 200, "ok")
    assert one["duration_seconds"] == 0.003000003
    assert abs(int(one["time_unix_ns"]) / 1e9 - time.time()) < SECONDS_MAX


@pytest.mark.parametrize(
    "filters, routes",
    [
        ((), {"/fast", "/slow", "/failed", "/flagged", "/other"}),
        (("--service", "cart"), {"/fast", "/slow", "/failed", "/flagged", "/other"}),
        (("--service", "web"), {"/fast", "/slow", "/failed", "/flagged"}),
        (("--destination", "db"), {"/other"}),
        (("--source", "cart"), {"/other"}),
        (("--route", "/slow"), {"/slow"}),
        (("--min-duration", "200ms"), {"/slow"}),
        (("--max-duration", "5ms", "--service", "cart", "--source", "web"), {"/fast"}),
        (("--error",), {"/failed", "/flagged"}),
        (("--flags", "UO,UT"), {"/flagged"}),
        (("--reporter", "source", "--destination", "cart", "--error"), {"/failed", "/flagged"}),
    ],
)
def test_filters_let_through_what_matches(agent, filters, routes):
    kinds = [
        (*EDGE, "--route", "/fast", "--duration", "1ms"),
        (*EDGE, "--route", "/slow", "--duration", "250ms"),
        (*EDGE, "--route", "/failed", "--code", 500),
        (*EDGE, "--route", "/flagged", "--code", 503, "--flags", FLAG_UO),
        ("--source", "cart", "--destination", "db", "--route", "/other"),
    ]
    with Tap(agent, "--json", *filters) as tap:
        before = lines_total(agent, "written")
        for kind in kinds:
            agent.emit(*kind, "--count", 3)
        wait_for(lambda: lines_total(agent, "written") >= before + 3 * len(routes), "lines", SECONDS_MAX)
        time.sleep(0.2)  # what must not come has had its time
        tap.process.terminate()
        requests = tap.requests()
    assert sorted(request["route"] for request in requests) == sorted(route for route in routes for _ in range(3))


def test_sampled_to_what_a_person_can_read(agent):
    with Tap(agent, "--rate", 5) as tap:
        agent.emit(*EDGE, "--route", "/many", "--count", 4000)
        time.sleep(2.5)  # counts are told once a second
        tap.process.terminate()
        lines = tap.lines()
    shown = [line for line in lines if "/many" in line]
    more = sum(int(line.split()[1]) for line in lines if line.endswith(" more"))
    assert 5 <= len(shown) < 100
    assert len(shown) + more == 4000


def test_one_who_goes_is_missed_and_one_too_many_is_told(directory):
    with Weftd(directory, limits={"taps_count_max": 2}) as agent:
        first, second = Tap(agent, "--json"), Tap(agent)
        third = subprocess.run(
            [WEFT, "tap", "--api", agent.api_socket], capture_output=True, text=True, timeout=SECONDS_MAX
        )
        assert third.returncode == 1 and "taps_count_max" in third.stderr
        assert agent.samples().total("weft_taps_refused_total") == 1
        first.process.kill()
        wait_for(lambda: agent.samples().total("weft_taps") == 1, "the end of a tap")
        agent.emit(*EDGE, "--count", 10)
        wait_for(lambda: lines_total(agent, "written") >= 10, "lines")
        assert agent.stop() == 0  # ends the other one
        assert second.process.wait(SECONDS_MAX) == 0
        for tap in (first, second):
            tap.process.communicate()
