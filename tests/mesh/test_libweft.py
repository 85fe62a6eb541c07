"""A proxy under libweft whose agent is stopped: its calls go on, and afterwards all counts agree."""

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from agent import BUILD, Weftd
from harness import FULL, PAUSE_SECONDS, REPOSITORY

pytestmark = pytest.mark.agent_needed

RATE = 20_000
# In full libweft's default; less in a short stop, so that it overflows there too.
BACKLOG_BYTES = (8 if FULL else 1) << 20
ANSWER_SECONDS_MAX = 180


class Caller:
    """caller.py as a process; talked to line by line."""

    def __init__(self, directory, socket):
        library = BUILD / "libweft.so"
        linked = subprocess.run(["ldd", library], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        runtimes = re.findall(r"=> (/\S*lib[at]san\S*)", linked.stdout)  # they must come first in a process
        options = {"socket": socket, "seconds": PAUSE_SECONDS, "rate": RATE, "backlog": BACKLOG_BYTES}
        self._log = open(directory / "caller.log", "wb")
        self._child = subprocess.Popen(
            [sys.executable, REPOSITORY / "tests/mesh/caller.py", "--library", library]
            + [str(word) for name, value in options.items() for word in (f"--{name}", value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
            env={**os.environ, "LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"},
        )

    def go_on(self):
        self._child.stdin.write("\n")

    def answer(self, seconds=ANSWER_SECONDS_MAX):
        ready, _, _ = select.select([self._child.stdout], [], [], seconds)
        assert ready, "the caller is held up"
        line = self._child.stdout.readline()
        assert line, f"the caller ended:\n{Path(self._log.name).read_text()[-4000:]}"
        return json.loads(line)

    def end(self):
        return self._child.wait(ANSWER_SECONDS_MAX)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._log):
            stream.close()


def test_a_caller_is_not_held_up_by_a_stopped_agent(directory):
    with Weftd(directory) as agent, Caller(directory, agent.socket) as caller:
        first = caller.answer()
        assert first["flush"] == 0 and first["taken"] == first["calls"] > 0
        with agent.paused():
            caller.go_on()
            calls = caller.answer(PAUSE_SECONDS + ANSWER_SECONDS_MAX)
        caller.go_on()
        stats = caller.answer()
        assert caller.end() == 0
        print(
            f"{calls['calls']} calls in {PAUSE_SECONDS:.0f} s without the agent, {calls['full']} dropped, "
            f"the longest took {calls['longest_ns'] / 1e6:.3f} ms; then {stats}"
        )
        # Held up by the agent, it would have made the few calls that fit into the backlog, and then none.
        assert calls["calls"] >= RATE * PAUSE_SECONDS / 10 and calls["full"] > 0
        # What the calls returned, what libweft counted, and what the agent has.
        taken = first["taken"] + calls["taken"]
        assert stats["flush"] == 0 and stats["rejected_spans"] == 0
        assert stats["recorded_spans"] == stats["acknowledged_spans"] == taken
        assert stats["dropped_spans"] == calls["full"]
        samples = agent.wait_spans(taken)
        assert samples.total("mesh_requests_total", source="frontend", destination="cart") == taken
        assert samples.total("weft_records_dropped_total") == 0
        # A flush is done only when the drops, too, have been told.
        assert samples.total("weft_client_dropped_records_total", signal="spans") == calls["full"]
