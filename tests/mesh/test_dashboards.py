"""Every query of the dashboards and rules answers when a live agent is scraped, by a Prometheus that keeps native
histograms and by one that keeps classic ones; what the trace panels ask is found; the files have their form."""

import collections
import json
import math
import re
import subprocess
import sys
import time

import pytest
import yaml

import boards
from agent import WEFT, Weftd, otlp_destination
from backends import Prometheus
from harness import REPOSITORY, Process, TemporaryDirectory, free_port, wait_for
from sink import Sink
from test_scrape import Pages, target

ANSWERS_SECONDS_MAX = 60
COLUMNS = 24
BOARDS = boards.dashboards()
ONLY_NATIVE, ONLY_CLASSIC = "native histogram", "classic buckets"  # how the titles of those panels end
CHOSEN = {"service": "cart", "source": "web", "destination": "cart", "reporter": "source"}
each_board = pytest.mark.parametrize("name", BOARDS)


# ---- a live agent before both kinds of Prometheus ----


class Live:
    def __init__(self, agent, native, classic, traffic):
        self.agent, self.native, self.classic, self.traffic = agent, native, classic, traffic

    def both(self):
        return {"native": self.native, "classic": self.classic}


@pytest.fixture(scope="module")
def live():
    port = free_port()
    exports = otlp_destination("sink", port, signals=["traces", "metrics"], metrics={"interval_s": 1})
    page = ("text/plain; version=0.0.4", b"# TYPE proxy_up gauge\nproxy_up 1\n")
    with TemporaryDirectory() as directory, Sink(f"127.0.0.1:{port}"), Pages({"/metrics": page}) as pages, Weftd(
        directory,
        [exports],
        shards=2,
        meshes=[{"name": "east", "senders": ["*"]}],
        receivers={"scrape": [target("proxy", pages.url("/metrics"))]},
        limits={"trace_join_wait_ms": 500},
    ) as agent:
        with boards.Traffic(agent) as traffic, Prometheus(
            directory, agent.address, native=True, name="native", rules=boards.RULE_FILES
        ) as native, Prometheus(
            directory, agent.address, native=False, name="classic", rules=boards.RULE_FILES
        ) as classic:
            yield Live(agent, native, classic, traffic)
            assert traffic.running()


def is_answer(rows):
    """Whether an instant vector holds a number, or a native histogram with something in it."""
    for _, value, histogram in rows:
        if value is not None and math.isfinite(float(value)):
            return True
        if histogram is not None and float(histogram["count"]) > 0:
            return True
    return False


def wait_answers(traffic, queries):
    """Asks each (name, prometheus, expression) until it answers; AssertionError names those that do not."""
    missing = list(queries)
    assert missing

    def answered():
        assert traffic.running()
        missing[:] = [each for each in missing if not is_answer(each[1].query(each[2]))]
        return not missing

    try:
        wait_for(answered, "answers", ANSWERS_SECONDS_MAX, pause=0.5)
    except AssertionError as error:
        left = "\n".join(f"{name} ({prometheus.name}): {expression}" for name, prometheus, expression in missing)
        raise AssertionError(f"{error}; empty:\n{left}") from error


def values_of(board):
    """What each variable stands for: one service, every namespace and mesh."""
    names = [each["name"] for kind in ("query", "custom") for each in boards.variables_of(board, kind)]
    return {name: CHOSEN.get(name, boards.ALL) for name in names}


@pytest.mark.agent_needed
@each_board
def test_every_variable_has_values(live, name):
    board = BOARDS[name]
    values = values_of(board)
    for variable in boards.variables_of(board, "query"):
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        assert variable["definition"] == variable["query"]["query"]
        for prometheus in live.both().values():

            def found():
                options = prometheus.label_values(label, boards.filled(metric, values))
                return options and (variable["includeAll"] or values[variable["name"]] in options)

            wait_for(found, f"values of {variable['name']} in {prometheus.name}", ANSWERS_SECONDS_MAX)


@pytest.mark.agent_needed
@each_board
def test_every_panel_shows_something(live, name):
    board = BOARDS[name]
    values, queries = values_of(board), []
    for panel in boards.panels_of(board):
        for query in panel["targets"]:
            for kind, prometheus in live.both().items():
                other = ONLY_CLASSIC if kind == "native" else ONLY_NATIVE
                if "expr" in query and not panel["title"].endswith(other):
                    queries.append((f"{panel['title']} {query['refId']}", prometheus, boards.filled(query["expr"], values)))
    wait_answers(live.traffic, queries)


@pytest.mark.agent_needed
@pytest.mark.parametrize("kind", ["native", "classic"])
def test_every_rule_has_something_to_look_at(live, kind):
    prometheus, queries = live.both()[kind], []
    for rule in boards.rules():
        if "record" in rule:
            queries.append((rule["record"], prometheus, rule["record"]))
        else:
            parts = boards.without_comparison(rule["expr"])
            queries += [(rule["alert"], prometheus, part) for part in [*parts, " and ".join(f"({each})" for each in parts)]]
    wait_answers(live.traffic, queries)
    loaded = prometheus.rules()
    assert len(loaded) == len(boards.rules())
    assert [rule for rule in loaded if rule["health"] != "ok"] == []


@pytest.mark.agent_needed
def test_rules_see_what_goes_wrong(live):
    """The traffic has an open breaker, lost hosts and failures; no record is dropped, refused or past a budget."""
    expected = {"MeshErrorBudgetBurn", "MeshBreakerOpen", "MeshNoHealthyHost"}
    unexpected = {"WeftDroppingRecords", "WeftRefusingMessages", "WeftSeriesOverflow", "WeftExportDropping"}
    for prometheus in live.both().values():

        def told():
            return {rule["name"] for rule in prometheus.rules() if rule.get("alerts")}

        wait_for(lambda: expected <= told(), f"alerts of {prometheus.name}", ANSWERS_SECONDS_MAX, pause=0.5)
        assert told() & unexpected == set()


@pytest.mark.agent_needed
@each_board
def test_exemplars_of_panels_lead_to_traces(live, name):
    board = BOARDS[name]
    values = values_of(board)
    queries = [query for panel in boards.panels_of(board) for query in panel["targets"] if query.get("exemplar")]
    assert bool(queries) == (name != "the-agent")
    for query in queries:
        expression = boards.filled(query["expr"], values)
        for kind, prometheus in live.both().items():
            is_classic = kind == "classic"
            if not is_classic and "le" in query["legendFormat"] or is_classic and "_bucket" not in expression:
                continue

            def exemplars():
                return prometheus.exemplars(expression, time.time() - 300, time.time() + 60)

            found = wait_for(exemplars, f"exemplars of {expression} in {kind}", ANSWERS_SECONDS_MAX, pause=0.5)
            trace_id = found[0]["exemplars"][-1]["labels"]["trace_id"]
            status, _, body = live.agent.get(f"/api/traces/{trace_id}")
            assert status == 200, (trace_id, body[:300])


@pytest.mark.agent_needed
@each_board
def test_trace_panels_find_traces(live, name):
    """What Grafana's Jaeger data source asks for them."""
    board = BOARDS[name]
    values, count = values_of(board), 0
    for panel in boards.panels_of(board):
        for query in panel["targets"]:
            if query["datasource"]["type"] != "jaeger":
                continue
            tags = dict(pair.split("=") for pair in query.get("tags", "").split())
            now_us = int(time.time() * 1e6)
            answer = live.agent.json(
                "/api/traces",
                service=boards.filled(query["service"], values),
                start=now_us - 3600 * 10**6,
                end=now_us + 60 * 10**6,
                limit=query["limit"],
                lookback="custom",
                **({"tags": json.dumps(tags)} if tags else {}),
            )
            assert answer["data"], panel["title"]
            count += 1
    assert bool(count) == (name in ("one-service", "one-edge"))


# What `weft demo` alone has nothing for: connections, an OTLP destination, a name of a mesh.
NOT_IN_DEMO = {
    "mesh-overview": {"TCP connections opened"},
    "one-service": set(),
    "one-edge": {"Connections", "Bytes of connections"},
    "the-agent": {"Sent", "Queued", "Queues", "Attempts to export", "Given up"},
}
DEMO = {"service": "recommendations", "source": "frontend", "destination": "recommendations", "reporter": "source"}


class Demo(Process):
    def __init__(self, directory, agent):
        super().__init__("demo", directory)
        self.start([WEFT, "demo", "--socket", agent.socket, "--rate", 100, "--quiet"])


@pytest.mark.agent_needed
def test_the_demo_fills_the_dashboards(directory):
    with Weftd(directory) as agent, Demo(directory, agent) as demo, Prometheus(
        directory, agent.address, native=True, rules=boards.RULE_FILES
    ) as prometheus:
        queries = []
        for name, board in BOARDS.items():
            values = {variable: DEMO.get(variable, boards.ALL) for variable in values_of(board)}
            assert NOT_IN_DEMO[name] <= {panel["title"] for panel in boards.panels_of(board)}
            for panel in boards.panels_of(board):
                if panel["title"] in NOT_IN_DEMO[name] or panel["title"].endswith(ONLY_CLASSIC):
                    continue
                queries += [
                    (f"{panel['title']} {query['refId']}", prometheus, boards.filled(query["expr"], values))
                    for query in panel["targets"]
                    if "expr" in query
                ]
        wait_answers(demo, queries)


# ---- the files ----


def test_the_files_are_what_their_source_says():
    done = subprocess.run(
        [sys.executable, "-B", boards.FOLDER / "generate.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_uids_and_titles_are_unique():
    assert len(BOARDS) == 4
    for key in ("uid", "title"):
        assert len({board[key] for board in BOARDS.values()}) == len(BOARDS)


@each_board
def test_panels_have_their_places(name):
    board = BOARDS[name]
    assert board["schemaVersion"] == 39 and board["description"] and "weft" in board["tags"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["w"] > 0 and place["h"] > 0 and place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies over {taken[x, y]}"
                taken[x, y] = panel["title"]


@each_board
def test_panels_say_what_they_show(name):
    for panel in boards.panels_of(BOARDS[name]):
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        kinds = {query["datasource"]["uid"] for query in panel["targets"]} | {panel["datasource"]["uid"]}
        assert kinds in ({"${datasource}"}, {"${jaeger}"}), panel["title"]
        references = [query["refId"] for query in panel["targets"]]
        assert len(set(references)) == len(references)
        if panel["type"] in ("stat", "timeseries"):
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"]
            assert all(query["legendFormat"] != "__auto" for query in panel["targets"]), panel["title"]


@each_board
def test_only_documented_metrics_are_asked_for(name):
    known = boards.documented_metrics()
    for panel in boards.panels_of(BOARDS[name]):
        for query in panel["targets"]:
            if "expr" in query:
                names = boards.metrics_in(query["expr"])
                assert names and names <= known, (panel["title"], names - known)


@each_board
def test_variables_are_declared_and_used(name):
    board = BOARDS[name]
    declared = {each["name"] for each in board["templating"]["list"]}
    asked = json.dumps([*boards.panels_of(board), *board["templating"]["list"]])
    used = {one or two for one, two in re.findall(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)", asked)}
    built_in = {"__rate_interval", "__range", "__all", "__url_time_range"}
    assert used - built_in == declared
    for variable in board["templating"]["list"]:
        if variable["type"] == "datasource":
            assert variable["query"] in ("prometheus", "jaeger")
        elif variable["type"] == "query":
            assert variable["datasource"]["uid"] == "${datasource}"
            assert boards.metrics_in(variable["query"]["query"].split("(", 1)[1].rsplit(",", 1)[0]) <= boards.documented_metrics()


@each_board
def test_links_lead_to_dashboards_and_their_variables(name):
    by_uid = {board["uid"]: board for board in BOARDS.values()}
    for url in re.findall(r'"url": "(/d/[^"]*)"', json.dumps(BOARDS[name])):
        uid, arguments = re.fullmatch(r"/d/([\w-]+)\?(.*)", url).groups()
        known = {each["name"] for each in by_uid[uid]["templating"]["list"]}
        given = re.findall(r"var-(\w+)=|\$\{(\w+):queryparam\}", arguments)
        assert given and {one or two for one, two in given} <= known, url


def promtool(*words):
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_the_rules_sound():
    assert boards.RULE_FILES
    promtool("check", "rules", *boards.RULE_FILES)


def test_promtool_sees_alerts_fire_and_not_fire():
    promtool("test", "rules", *boards.RULE_TESTS)
    seen = collections.defaultdict(set)
    for path in boards.RULE_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for each in test.get("alert_rule_test", []):
                seen[each["alertname"]].add(bool(each["exp_alerts"]))
    assert seen == {rule["alert"]: {True, False} for rule in boards.alerts()}


def test_rules_ask_for_documented_metrics():
    recorded = {rule["record"] for rule in boards.rules() if "record" in rule}
    for rule in boards.rules():
        assert boards.metrics_in(rule["expr"]) <= boards.documented_metrics(), rule
        assert set(re.findall(r"\w+:\w+:\w+", rule["expr"])) <= recorded, rule


def test_alerts_say_what_to_do():
    sections = re.findall(r"^### (\w+)$", (REPOSITORY / "docs/alerts.md").read_text(), re.M)
    names = {rule["alert"] for rule in boards.alerts()}
    assert sorted(sections) == sorted(names)
    uids = {board["uid"] for board in BOARDS.values()}
    for rule in boards.alerts():
        notes = rule["annotations"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert notes["summary"] and notes["description"].endswith(".")
        assert notes["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert re.match(r"/d/([\w-]+)\?", notes["dashboard"])[1] in uids


def test_grafana_is_told_where_exemplars_lead():
    sources = yaml.safe_load((boards.FOLDER / "provisioning/datasources.yml").read_text())["datasources"]
    by_uid = {source["uid"]: source for source in sources}
    (prometheus,) = [source for source in sources if source["type"] == "prometheus"]
    (leads,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert leads["name"] == "trace_id" and by_uid[leads["datasourceUid"]]["type"] == "jaeger"
    (provider,) = yaml.safe_load((boards.FOLDER / "provisioning/dashboards.yml").read_text())["providers"]
    assert provider["type"] == "file" and provider["options"]["path"]


@pytest.mark.parametrize(
    "expression, parts",
    [
        ("a > 1", ["a"]),
        ('rate(a{b=">"}[5m]) / (c > 2) >= 0.5', ['rate(a{b=">"}[5m]) / (c > 2)']),
        ("a == 0\n  and (b and c) < 3", ["a", "(b and c)"]),
    ],
)
def test_comparisons_are_taken_off(expression, parts):
    assert boards.without_comparison(expression) == parts
