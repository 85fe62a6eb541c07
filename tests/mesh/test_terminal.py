"""The terminal family in a pseudo-terminal and in pipes, against a live agent: `weft top`, `stat`, `edges`, `ledger`."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from agent import WEFT, Weftd
from harness import REPOSITORY, free_port
from pseudo_terminal import PseudoTerminal

pytestmark = pytest.mark.agent_needed

HOSTILE = ("\x1b[31mred\x1b]0;owned\x07", "\u202egnp.exe", "x" * 4000)
DOWN, ENTER, ESCAPE = "\x1bOB", "\r", "\x1b"
TABLES = (["stat"], ["edges"], ["stat", "--routes"], ["ledger"], ["top"])
BASE = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR", "WEFT_API")}


def weft(*arguments, **variables):
    command = [str(word) for word in (WEFT, *arguments)]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, env={**BASE, **variables})


def top(agent, *arguments, rows=24, columns=80, **variables):
    return PseudoTerminal([str(WEFT), "top", "--api", str(agent.api_socket), *arguments], rows, columns, **variables)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """Three services: cart is called most, stock is slowest, login fails most."""
    with Weftd(tmp_path_factory.mktemp("terminal")) as weftd:
        shop = ("--source-namespace", "shop", "--destination-namespace", "shop")
        weftd.emit("--source", "web", "--destination", "cart", *shop, "--route", "/add", "--count", 300)
        weftd.emit("--source", "batch", "--destination", "cart", *shop, "--route", "/list", "--count", 100)
        weftd.emit("--source", "cart", "--destination", "stock", *shop, "--route", "/get", "--duration", "2s",
                   "--count", 50)
        weftd.emit("--source", "web", "--destination", "login", *shop, "--route", "/in", "--code", 503, "--count", 20)
        for name in HOSTILE:
            weftd.emit("--source", name, "--destination", name, "--route", name, "--count", 1)
        weftd.wait_spans(473)
        yield weftd


def row_of(terminal, name):
    """The list's line that begins with the name."""
    return terminal.wait_for(lambda lines: next((line for line in lines[3:-1] if line.startswith(name)), None), name)


def order(lines):
    names = [line.split()[0] for line in lines[3:-1] if line.strip()]
    return [name for name in names if name in ("cart.shop", "stock.shop", "login.shop")]


def test_top_shows_what_was_sent(agent):
    with top(agent) as terminal:
        assert "web.shop" in row_of(terminal, "cart.shop")
        assert "2.00s" in row_of(terminal, "stock.shop") or "1.9" in row_of(terminal, "stock.shop")
        assert " 100 " in row_of(terminal, "login.shop")  # percent failed
        assert terminal.lines()[0].startswith("weft top  last 1m  by rate")
        assert "q quit" in terminal.lines()[-1]
        terminal.press("h")
        terminal.wait_text("the routes of all services")
        terminal.press("x")
        row_of(terminal, "cart.shop")
        terminal.press("q")
        assert terminal.wait_end() == 0
        assert terminal.is_restored()


def test_top_sorts_filters_and_goes_down(agent):
    with top(agent) as terminal:
        terminal.wait_for(lambda lines: order(lines) == ["cart.shop", "stock.shop", "login.shop"], "all three")
        terminal.press("s")
        terminal.wait_text("by failed")
        terminal.wait_for(lambda lines: order(lines)[0] == "login.shop", "the one that fails most first")
        terminal.press("s")
        terminal.wait_for(lambda lines: order(lines)[0] == "stock.shop", "the slowest first")
        terminal.press("SS/car")
        terminal.wait_text("filter: car_")
        terminal.press(ENTER)
        terminal.wait_for(lambda lines: order(lines) == ["cart.shop"], "only what fits the filter")
        terminal.press(ESCAPE)
        row_of(terminal, "stock.shop")
        terminal.press(ENTER)
        terminal.wait_text("cart.shop > routes")
        assert "web.shop" in row_of(terminal, "/add")
        terminal.press(DOWN + ENTER)
        terminal.wait_text("cart.shop > /list > callers")
        row_of(terminal, "batch.shop")
        terminal.press(ESCAPE)
        terminal.wait_text("cart.shop > routes")
        terminal.press(ESCAPE)
        row_of(terminal, "stock.shop")
        terminal.press("c")
        terminal.wait_text("cart.shop > callers")
        row_of(terminal, "batch.shop")
        terminal.press("wwww")
        terminal.wait_text("last 10s")
        terminal.press("q")
        assert terminal.wait_end() == 0


def test_top_follows_the_size_of_its_terminal(agent):
    with top(agent, "--window", "5m") as terminal:
        row_of(terminal, "cart.shop")
        assert "NONE%" not in terminal.text()
        terminal.resize(40, 150)
        terminal.wait_for(lambda lines: "NONE%" in lines[2] and "q quit" in lines[39], "more columns and rows")
        terminal.resize(10, 80)
        terminal.wait_for(lambda lines: "NONE%" not in lines[2] and "q quit" in lines[9], "fewer again")
        row_of(terminal, "cart.shop")
        terminal.resize(6, 30)
        terminal.wait_text("too small")
        terminal.resize(24, 80)
        row_of(terminal, "cart.shop")
        terminal.press("q")
        assert terminal.wait_end() == 0 and terminal.is_restored()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_top_ends_by_a_signal_and_leaves_the_terminal_as_it_was(agent, number):
    with top(agent) as terminal:
        row_of(terminal, "cart.shop")
        if number == signal.SIGINT:
            terminal.press("\x03")  # as Ctrl-C does it
        else:
            terminal.signal(number)
        assert terminal.wait_end() == 0
        assert terminal.is_restored()


def test_top_without_colours(agent):
    with top(agent) as coloured:
        row_of(coloured, "login.shop")
        assert re.search(rb"\x1b\[[0-9;]*31[m;]", coloured.output)  # red, of what failed
    with top(agent, NO_COLOR="1") as plain:
        row_of(plain, "login.shop")
        assert not re.search(rb"\x1b\[(?:[0-9;]*;)?[34][0-8](?:;[0-9;]*)?m", plain.output)


def test_top_says_that_the_agent_went_away_and_came_back(tmp_path):
    port = free_port()
    with Weftd(tmp_path, port=port, name="going") as going:
        going.emit("--source", "web", "--destination", "cart", "--count", 10)
        terminal = top(going, "--watch", "1")
    with terminal:
        row_of(terminal, "cart")
        terminal.wait_text(", asking again: no agent answers")
        row_of(terminal, "cart")  # what was known stays
        with Weftd(tmp_path, port=port, name="going") as back:
            terminal.wait_text("started anew")
            back.emit("--source", "web", "--destination", "stock", "--count", 10)
            row_of(terminal, "stock")
            terminal.press("q")
            assert terminal.wait_end() == 0


def test_hostile_names_are_inert_and_cut(agent):
    for command in (["stat"], ["edges"], ["stat", "--routes"]):
        done = weft(*command, "--api", agent.api_socket)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"[ -~\n]*", done.stdout)
        assert max(map(len, done.stdout.splitlines())) <= 100
        assert "?[31mred?]0;owned" in done.stdout and "?gnp.exe" in done.stdout
    with top(agent) as terminal:
        row_of(terminal, "?[31mred?]0;owned")
        row_of(terminal, "?gnp.exe")
        assert b"owned\x07" not in terminal.output and "\u202e".encode() not in terminal.output
        assert terminal.screen.title == ""
        terminal.press("/owned" + ENTER)
        terminal.wait_for(lambda lines: lines[3].startswith("?[31m") and lines[4] == "", "the filter")
        terminal.press(ENTER)
        terminal.wait_text("?[31mred?]0;owned? > routes")
        row_of(terminal, "?[31mred")
        assert terminal.screen.title == ""


def test_no_escapes_in_a_pipe(agent):
    for command in TABLES:
        done = weft(*command, "--api", agent.api_socket, TERM="xterm")
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout and done.stdout


def test_colours_of_a_table_in_a_terminal(agent):
    argv = [str(WEFT), "stat", "login", "--api", str(agent.api_socket)]
    with PseudoTerminal(argv) as coloured, PseudoTerminal(argv, NO_COLOR="1") as plain:
        assert coloured.wait_end() == 0 and plain.wait_end() == 0
        assert b"\x1b[31m" in coloured.output
        assert b"\x1b" not in plain.output


def test_json_is_the_same_everywhere(agent):
    for command, member in ((["stat"], "rows"), (["edges"], "rows"), (["top"], "rows"), (["ledger"], "records")):
        done = weft(*command, "--json", "--api", agent.api_socket)
        assert done.returncode == 0 and json.loads(done.stdout)[member], done.stderr
    rows = json.loads(weft("edges", "cart", "--json", "--api", agent.api_socket).stdout)["rows"]
    assert {(row["source"], row["destination"]): row["requests"] for row in rows} == {
        ("web", "cart"): 300, ("batch", "cart"): 100, ("cart", "stock"): 50,
    }
    rows = json.loads(weft("stat", "--namespace", "shop", "--sort", "p50", "--limit", "1", "--json", "--window", "5m",
                           "--api", agent.api_socket).stdout)["rows"]
    assert [row["destination"] for row in rows] == ["stock"]
    assert rows[0]["quantiles"][3]["seconds"] == pytest.approx(2, rel=0.011)


def test_a_table_that_cannot_be_written_is_a_failure(agent):
    with open("/dev/full", "w") as full:
        command = [str(WEFT), "stat", "--api", str(agent.api_socket)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=BASE)
    assert done.returncode == 1 and "cannot write" in done.stderr


def test_watch_prints_table_after_table_in_a_pipe(agent):
    command = [str(word) for word in (WEFT, "stat", "cart", "--api", agent.api_socket, "--watch", "0.2")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=BASE) as process:
        lines = [process.stdout.readline() for _ in range(8)]
        process.stdout.close()
        assert process.wait(30) != 0  # nobody reads any more
    assert [line.startswith("DESTINATION") for line in lines] == [False, True, False, False] * 2
    assert all("\x1b" not in line for line in lines) and lines[3] == "\n"
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True, env=BASE) as process:
        for _ in range(3):
            assert json.loads(process.stdout.readline())["rows"][0]["destination"] == "cart"
        process.terminate()


def test_watch_redraws_a_terminal(agent):
    argv = [str(WEFT), "edges", "--api", str(agent.api_socket), "--watch", "0.2"]
    with PseudoTerminal(argv, rows=8) as terminal:
        terminal.wait_for(lambda _: terminal.output.count(b"\x1b[H\x1b[2J") >= 3, "three pictures")
        terminal.wait_for(lambda lines: "weft edges" in lines[0] and lines[2].startswith("SOURCE")
                          and lines[6] == "... and 4 more", "one that fits the screen")
        terminal.press("\x03")
        assert terminal.wait_end() == -signal.SIGINT


@pytest.mark.parametrize("command", ["top", "stat", "edges", "ledger", "why cart", "slow", "heatmap cart", "tap"])
def test_no_agent(tmp_path, command):
    nobody = tmp_path / "nobody.sock"
    done = weft(*command.split(), "--api", nobody)
    assert done.returncode == 1 and done.stdout == ""
    assert f"tried {nobody}: there is no such socket" in done.stderr and "WEFT_API=" in done.stderr
    if command == "top":
        with PseudoTerminal([str(WEFT), "top", "--api", str(nobody)]) as terminal:
            assert terminal.wait_end() == 1
            assert "no agent answers" in terminal.text() and "nobody.sock" in terminal.text().replace("\n", "")


@pytest.mark.parametrize("arguments", ["stat --sort colour", "edges --window 2m", "top --limit 0", "stat a b", "nothing"])
def test_wrong_usage(arguments):
    done = weft(*arguments.split())
    assert done.returncode == 2 and done.stderr.startswith("weft") and done.stdout == ""


# ---- manual pages and completion ----


def complete(*words):
    script = f"""
    source {REPOSITORY}/cli/completion/weft.bash
    COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _weft && printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, timeout=60,
                          env={**BASE, "PATH": f"{WEFT.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def commands():
    return set(re.findall(r"^  ([a-z]+) ", weft("--help").stdout, re.M))


def test_completion_knows_commands_options_and_values():
    assert complete("weft", "") == commands() | {"--help", "--version"}
    assert complete("weft", "st") == {"stat"}
    for command in commands() - {"version"}:
        listed = set(re.findall(r"^  (--[a-z-]+)", weft(command, "--help").stdout, re.M)) | {"--help"}
        assert listed <= complete("weft", command, "--"), command
    for option, argument in (("--window", "2m"), ("--sort", "colour"), ("--reporter", "me")):
        refused = weft("stat", option, argument)
        assert complete("weft", "stat", option, "") == set(
            refused.stderr.split("expected one of ")[1].split(", not")[0].split()
        )


def test_manual_pages_tell_all_that_the_help_tells():
    page = (WEFT.parent / "docs" / "man" / "weft.1").read_text().replace("\\-", "-")
    for command in commands() - {"version"}:
        assert f".SS weft {command}" in page
        section = page.split(f".SS weft {command}\n")[1].split("\n.SS ")[0]
        for option in re.findall(r"^  (--[a-z-]+)", weft(command, "--help").stdout, re.M):
            assert option in section, (command, option)
    daemon = subprocess.run([WEFT.parent / "weftd", "--help"], capture_output=True, text=True, timeout=60).stdout
    page = (WEFT.parent / "docs" / "man" / "weftd.8").read_text().replace("\\-", "-")
    options = re.findall(r"^  (--[a-z-]+)", daemon, re.M)
    assert options and all(f".B {option}" in page for option in options)


def test_one_answer_a_second(agent):
    """weft top asks at most once a second while nobody presses a key."""
    asked = agent.samples().total("weft_queries_total")
    begin = time.monotonic()
    with top(agent) as terminal:
        row_of(terminal, "cart.shop")
        while time.monotonic() - begin < 3:
            terminal.read(0.1)
        terminal.press("q")
        assert terminal.wait_end() == 0
    passed = time.monotonic() - begin
    asked = agent.samples().total("weft_queries_total") - asked
    assert 3 <= asked <= passed + 3  # one before the screen is taken, and one of its size


def test_whoever_asks_often_spares_the_shards(tmp_path):
    """`max_age_ms`: what a round of flips brought lately will do. Without it an answer has all that was acknowledged."""
    with Weftd(tmp_path) as agent:
        def requests(**arguments):
            return agent.json("/api/v1/top", **arguments)["totals"]["requests"]

        agent.emit("--source", "web", "--destination", "cart", "--count", 5)
        assert requests() == 5
        flips = agent.samples().total("weft_flips_total")
        for _ in range(20):
            assert requests(max_age_ms=60000) == 5
        assert agent.samples().total("weft_flips_total") <= flips + 3  # the scrapes' own, and one of every 10 s
        agent.emit("--source", "web", "--destination", "cart", "--count", 2)
        assert requests() == 7
        assert requests(max_age_ms=1) == 7
