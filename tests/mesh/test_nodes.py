"""Three nodes whose agents keep traces together: what fails or is slow on one node leaves all of them whole, and
little else does. What is expected is the generator's own list. The long forms are scripts/test-long's."""

import json
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

import corpus
import load
import nodes
from agent import BUILD, settle
from graph_load import SPANS, node_of, pair_of
from harness import FULL, REPOSITORY, wait_for
from sink import Sink
from upstream import Upstream

if not nodes.have_namespaces():
    pytest.skip("NOT TESTED: three nodes need root, for network namespaces", allow_module_level=True)

pytestmark = pytest.mark.agent_needed

SECONDS = 60 if FULL else 10
SPANS_PER_SECOND = 20_000 if FULL else 3_000
REQUESTS_PER_SECOND = 240 if FULL else 30  # of all Envoys' together
ENVOY_SPANS = 4  # of one request: two of the front, two of the back
SETTLE_SECONDS_MAX = 60


class Generator:
    """graph_load.py as a process; `run` is for a thread."""

    def __init__(self, directory, agents, seconds=SECONDS, spans_per_second=SPANS_PER_SECOND):
        self._seconds, self._list = seconds, directory / "marked"
        self._log = open(directory / "generator.log", "wb")
        seed = random.getrandbits(32)
        print(f"generator's seed: {seed}")
        options = {"rate": spans_per_second / SPANS, "seconds": seconds, "list": self._list, "seed": seed}
        self._child = subprocess.Popen(
            [sys.executable, REPOSITORY / "tests/mesh/graph_load.py", "--library", BUILD / "libweft.so"]
            + ["--socket", *(str(agent.socket) for agent in agents)]
            + [str(word) for name, value in options.items() for word in (f"--{name}", value)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
        )
        assert self._line(30) == "ready\n"

    def _line(self, seconds):
        ready, _, _ = select.select([self._child.stdout], [], [], seconds)
        assert ready, "the generator is held up"
        line = self._child.stdout.readline()
        assert line, f"the generator ended:\n{open(self._log.name).read()[-4000:]}"
        return line

    def start(self):
        self._child.stdin.write("\n")

    def result(self):
        """What it says at its end, and the traces that are worth keeping."""
        told = json.loads(self._line(self._seconds + 120))
        assert self._child.wait(30) == 0
        return told, [json.loads(line) for line in open(self._list, encoding="ascii")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._log):
            stream.close()


class Calls(threading.Thread):
    """Requests to the fronts of all nodes at a steady rate, each with a trace id of its own; one in fifty fails."""

    def __init__(self, network, seconds=SECONDS, per_second=REQUESTS_PER_SECOND):
        super().__init__(daemon=True)
        self._network, self._seconds, self._per_second = network, seconds, per_second / nodes.COUNT
        self.sent = [[] for _ in range(nodes.COUNT)]  # (trace id, status)
        self.errors = []

    def run(self):
        threads = [threading.Thread(target=self._call, args=(i,), daemon=True) for i in range(nodes.COUNT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def end(self):
        self.join(self._seconds + 60)
        assert not self.is_alive() and not self.errors, self.errors

    def _call(self, i):
        try:
            with self._network.inside(i):
                connections = 4
                count = int(self._seconds * self._per_second)
                requests = []
                for n in range(count):
                    trace, plan = random.randbytes(16).hex(), "500" if n % 50 == 7 else "200"
                    header = {"traceparent": f"00-{trace}-{random.randbytes(8).hex()}-01"}
                    requests.append((f"/reviews/{n}", plan, header))
                    self.sent[i].append((trace, int(plan)))
                answers = load.send(
                    nodes.OUTBOUND_PORT, requests, connections, pace_s=connections / self._per_second
                )
                assert Counter(a.status for a in answers) == Counter(status for _, status in self.sent[i])
        except BaseException as error:  # told by the test
            self.errors.append(error)


class Arrived:
    """What the back-end has, decoded as it comes: {trace id: {span id: reasons}}; a span that came twice fails."""

    def __init__(self, sink):
        self._sink, self._read = sink, 0
        self.traces, self.count, self.twice = {}, 0, Counter()
        self.since = {}  # the start of a span of each trace

    def update(self):
        messages = self._sink.traces()[self._read :]
        self._read += len(messages)
        for _, _, span in corpus.spans(messages):
            kept = [a.value.string_value for a in span.attributes if a.key == "weft.kept"]
            assert len(kept) == 1, span
            spans = self.traces.setdefault(span.trace_id.hex(), {})
            if span.span_id.hex() in spans:
                self.twice[span.trace_id.hex()] += 1
            spans[span.span_id.hex()] = kept[0]
            self.since[span.trace_id.hex()] = span.end_time_unix_nano / 1e9
            self.count += 1
        return self

    def whole(self, marked):
        return all(span in self.traces.get(marked["trace"], ()) for span in marked["spans"])


def missing_of(arrived, marked):
    arrived.update()
    return [each for each in marked if not arrived.whole(each)]


def wait_whole(arrived, marked, enough=1.0):
    """Waits until that share of the traces is there whole; those that are not."""
    most = int(len(marked) * (1 - enough))
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while len(lacking := missing_of(arrived, marked)) > most and time.monotonic() < end:
        time.sleep(0.2)
    return lacking


def explain(arrived, lacking):
    """Which nodes lack their part, for a message of failure."""
    parts = Counter()
    for each in lacking:
        have = arrived.traces.get(each["trace"], ())
        gone = {node_of(part, nodes.COUNT) for part in range(SPANS) if each["spans"][part] not in have}
        parts[each["fault"], node_of(each["where"], nodes.COUNT), tuple(sorted(gone))] += 1
    return f"{len(lacking)} traces lack spans: (fault, node of the fault, nodes that lack): {parts}"


def destination(sink_path):
    return {
        "name": "back",
        "protocol": "grpc",
        "endpoint": f"unix:{sink_path}",
        "signals": ["traces"],
        "compression": "none",
        "batch": {"delay_ms": 100},
    }


def native_spans_of(told, i):
    """How many spans of the generator node i has, of what libweft took."""
    return sum(count for part, count in enumerate(told["taken"]) if node_of(part, nodes.COUNT) == i)


def check_counts(agents, told, envoy_spans, calls):
    """Each node's metrics count all that arrived: every record, and every request where it was told."""
    for i, agent in enumerate(agents):
        samples = agent.wait_spans(native_spans_of(told, i) + envoy_spans[i], SETTLE_SECONDS_MAX)
        for part in range(SPANS):
            source, to, reporter = pair_of(part)
            want = told["taken"][part] if node_of(part, nodes.COUNT) == i else 0
            keys = {"source": source, "destination": to, "reporter": reporter}
            assert samples.total("mesh_requests_total", **keys) == want, (i, part)
        for reporter, node in (("source", i), ("destination", (i - 1) % nodes.COUNT)):
            found = samples.total("mesh_requests_total", destination="reviews", reporter=reporter)
            assert found == len(calls.sent[node]), (i, reporter)
        assert samples.total("weft_records_dropped_total") == 0
        ledger = agent.json("/api/v1/ledger")["traces"]
        assert ledger["balanced"], ledger


def figures(agents, arrived, told, marked, lacking):
    received = sum(agent.samples().total("weft_records_received_total", signal="spans") for agent in agents)
    reasons = Counter(reason for spans in arrived.traces.values() for reason in {max(spans.values(), key=len)})
    print(
        f"{told['traces']} traces, {len(marked)} worth keeping, {len(lacking)} of them not whole; "
        f"{received:.0f} spans arrived on the nodes, "
        f"{arrived.count} left ({100 * arrived.count / received:.2f} %) of {len(arrived.traces)} traces: {reasons}"
    )
    return received


class Mesh(nodes.contextlib.ExitStack):
    """Network, back-end, agents, upstreams and Envoys. peers(i): whom agent i tells."""

    def __init__(self, directory, network, peers=nodes.peer_urls, **config):
        super().__init__()
        self.network = network
        try:
            path = directory / "back.sock"
            self.arrived = Arrived(self.enter_context(Sink(path)))
            to = [destination(path)]
            self.agents = [
                self.enter_context(nodes.NodeAgent(network, i, directory, to, peers(i), **config))
                for i in range(nodes.COUNT)
            ]
            ports = []
            for i in range(nodes.COUNT):
                with network.inside(i):
                    ports.append(self.enter_context(Upstream()).port)
            self.envoys = self.enter_context(nodes.Envoys(network, directory, self.agents, ports))
        except BaseException:
            self.close()
            raise


def test_three_nodes_keep_traces_whole(directory):
    """What fails or is slow on one node leaves all three, whole; all that arrived is counted."""
    with nodes.Network() as network, Mesh(directory, network) as mesh, Generator(
        directory, mesh.agents
    ) as generator:
        calls, arrived = Calls(network), mesh.arrived
        generator.start()
        calls.start()
        told, marked = generator.result()
        calls.end()
        assert told["flushed"] == [0] * nodes.COUNT
        assert told["taken"] == [told["traces"]] * SPANS, "libweft had no room"
        assert {each["fault"] for each in marked} == {"error", "slow"}

        envoy_spans = settle(mesh.envoys.spans_sent, quiet=2.0)
        assert sum(envoy_spans) == ENVOY_SPANS * sum(map(len, calls.sent))
        lacking = wait_whole(arrived, marked, 0.999 if FULL else 1.0)
        assert len(lacking) <= (len(marked) * 0.001 if FULL else 0), explain(arrived, lacking)
        check_counts(mesh.agents, told, envoy_spans, calls)
        received = figures(mesh.agents, arrived.update(), told, marked, lacking)
        assert not arrived.twice
        failed = [trace for sent in calls.sent for trace, status in sent if status == 500]
        wait_for(
            lambda: all(len(arrived.update().traces.get(trace, ())) == ENVOY_SPANS for trace in failed),
            "failed requests of the Envoys, whole",
        )
        assert received == told["traces"] * SPANS + sum(envoy_spans)
        if FULL:
            assert arrived.count <= 0.04 * received


# The second form: when the agents of nodes PAUSED and KILLED are, and for how long a killed one's traces may lack.
PAUSED, KILLED = 1, 2
PAUSE_AT, PAUSE_SECONDS, KILL_AT, DOWN_SECONDS = 3, 5, 13, 0.5
TROUBLE_SECONDS = KILL_AT + (45 if FULL else 8)
BEFORE_SECONDS, AFTER_SECONDS = 3, 3


def disturb(mesh):
    """Pauses one agent and kills another, which is then started again; the times at which it was away."""
    start = time.monotonic()
    time.sleep(PAUSE_AT)
    with mesh.agents[PAUSED].paused():
        time.sleep(PAUSE_SECONDS)
    time.sleep(max(0, start + KILL_AT - time.monotonic()))
    gone = time.time()
    assert mesh.agents[KILLED].stop(signal.SIGKILL) == -signal.SIGKILL
    time.sleep(DOWN_SECONDS)
    mesh.agents[KILLED].begin()
    return gone, time.time()


def unexplained(arrived, lacking, relays, away):
    """Of the traces that are not whole, those for which there is no reason, and how many each reason explains."""
    left, reasons = [], Counter()
    for each in lacking:
        have = arrived.traces.get(each["trace"], ())
        origin = node_of(each["where"], nodes.COUNT)
        gone = {node_of(part, nodes.COUNT) for part in range(SPANS) if each["spans"][part] not in have}
        told = {j for j in gone if j != origin and each["trace"] in relays[origin, j].lost}
        died = away[0] - BEFORE_SECONDS <= each["time"] <= away[1] + AFTER_SECONDS
        if gone == told:
            reasons["notice lost"] += 1
        elif died and (origin == KILLED or gone - told == {KILLED}):
            reasons["agent killed"] += 1
        else:
            left.append(each)
    return left, reasons


def notices(agent):
    samples = agent.samples()
    own = sum(
        value
        for labels, value in samples.matching("weft_trace_kept_traces_total")
        if labels["reason"] not in ("peer", "operator")
    )
    names = ("sent", "lost", "received")
    return own, *(samples.total(f"weft_trace_peer_notices_{name}_total") for name in names)


def check_notices(mesh, relays):
    """Every trace that an agent keeps of its own accord it tells both peers, or counts that it could not; each peer
    counts what the relays passed on to it. The killed one has forgotten its part."""

    def told():
        own, sent, lost, _ = notices(agent)
        return sent + lost == own * (nodes.COUNT - 1)

    for i, agent in enumerate(mesh.agents):
        wait_for(told, f"notices of node {i}: {notices(agent)}")
        if i == KILLED:
            continue
        got = sum(relay.passed_on for (_, j), relay in relays.items() if j == i)
        wait_for(lambda: notices(agent)[3] == got, f"{got} notices to node {i}: {notices(agent)}")
    return [notices(agent) for agent in mesh.agents]


def test_what_is_missing_is_explained(directory):
    """One agent is paused, one killed and started again, and a tenth of the notices lost: only what these explain is
    missing, all of it counted, and nobody waits for anybody."""
    seed = random.getrandbits(32)
    print(f"relays' seed: {seed}")
    numbers = random.Random(seed)
    with nodes.Network() as network, nodes.contextlib.ExitStack() as stack:
        pairs = [(i, j) for i in range(nodes.COUNT) for j in range(nodes.COUNT) if i != j]
        relays = {(i, j): stack.enter_context(nodes.NoticeRelay(network, i, j, numbers)) for i, j in pairs}
        urls = [[relays[i, j].url for j in range(nodes.COUNT) if j != i] for i in range(nodes.COUNT)]
        mesh = stack.enter_context(Mesh(directory, network, lambda i: urls[i]))
        generator = stack.enter_context(Generator(directory, mesh.agents, TROUBLE_SECONDS))
        calls, arrived = Calls(network, TROUBLE_SECONDS), mesh.arrived
        generator.start()
        calls.start()
        away = disturb(mesh)
        told, marked = generator.result()
        calls.end()
        assert told["flushed"] == [0] * nodes.COUNT
        assert told["taken"] == [told["traces"]] * SPANS, "libweft had no room"

        said = check_notices(mesh, relays)
        settle(lambda: arrived.update().count, SETTLE_SECONDS_MAX, quiet=3.0)
        lacking = missing_of(arrived, marked)
        left, reasons = unexplained(arrived, lacking, relays, away)
        assert not left, explain(arrived, left)
        lost = {trace for relay in relays.values() for trace in relay.lost}
        assert lost
        print(
            f"{len(marked)} traces worth keeping, {len(lacking)} not whole: {dict(reasons)}; notices of {len(lost)} "
            f"traces lost, {sum(r.closed for r in relays.values())} cut; each node's own kept traces, and notices "
            f"sent, given up, received: {said}"
        )

        # Whatever came is counted; of the killed agent, whatever came to the one after it.
        for i, agent in enumerate(mesh.agents):
            samples, stats = agent.samples(), told["stats"][i]
            assert stats["recorded_spans"] == stats["acknowledged_spans"] == native_spans_of(told, i)
            assert samples.total("weft_trace_letters_lost_total") == 0
            assert agent.json("/api/v1/ledger")["traces"]["balanced"]
            if i == KILLED:
                continue
            for part in range(SPANS):
                source, to, reporter = pair_of(part)
                want = told["taken"][part] if node_of(part, nodes.COUNT) == i else 0
                keys = {"source": source, "destination": to, "reporter": reporter}
                assert samples.total("mesh_requests_total", **keys) == want, (i, part)
        # A batch that the killed agent had taken but not acknowledged may have left twice; nothing else.
        for trace in arrived.twice:
            assert arrived.since[trace] >= away[0] - BEFORE_SECONDS and arrived.since[trace] <= away[1] + AFTER_SECONDS
