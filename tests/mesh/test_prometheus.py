"""Real Prometheus 2.42 scraping the agent, with and without native histograms, on latencies that are known
exactly."""

import gzip
import json
import math
import random
import struct
import subprocess
import time

import grpc
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

import otlp
from agent import Weftd, otlp_destination
from backends import Prometheus
from harness import TemporaryDirectory, free_port, wait_for
from sink import Sink

pytestmark = pytest.mark.agent_needed

LATENCIES = 997
QUANTILES = (0.01, 0.25, 0.5, 0.9, 0.99, 0.999)
BUCKETS_PER_OCTAVE = 32
NATIVE_BUCKETS_MAX = 160
DURATION = "mesh_request_duration_seconds"
EDGE = {"source": "productpage", "destination": "reviews"}
DEFAULT_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_DELIMITED = PROTOBUF.replace(" ", "")
# Accept headers as the servers send them: 2.42 captured by this folder's harness, 3.x by its source's rule
# (weights count down from 0.7 in steps of 0.1), escaping on every type in 3.0.
ACCEPTS = [
    (
        "2.42",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        OPENMETRICS,
    ),
    (
        "2.42 native",
        f"{_DELIMITED},application/openmetrics-text;version=1.0.0;q=0.8,"
        "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        PROTOBUF,
    ),
    (
        "3.16",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,"
        "application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
        OPENMETRICS,
    ),
    (
        "3.16 native",
        f"{_DELIMITED};q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        PROTOBUF,
    ),
    (
        "3.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,"
        "*/*;escaping=allow-utf-8;q=0.1",
        OPENMETRICS,
    ),
    ("curl", "*/*", TEXT),
    ("browser", "text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
    ("none", None, TEXT),
    ("unknown", "application/x-nothing", TEXT),
    ("text wins", "text/plain;version=0.0.4,application/openmetrics-text;q=0.1", TEXT),
]


def latencies():
    """Log-normal around 11 ms, whole microseconds as SDKs have them, and exact bounds; all within five
    octaves, which are 160 buckets at schema 5."""
    rng = random.Random(42)
    made = [int(rng.lognormvariate(math.log(11e6), 0.6)) // 1000 * 1000 for _ in range(LATENCIES - 3)]
    made = [min(max(each, 2_000_000), 62_000_000) for each in made] + [3_906_250, 25_000_000, 62_500_000]
    rng.shuffle(made)
    return made


def wide_latencies():
    """From microseconds to over a minute, the classic bounds themselves among them."""
    rng = random.Random(43)
    made = [max(2_000, int(rng.lognormvariate(math.log(8e6), 2.5))) for _ in range(LATENCIES)]
    return made + [int(bound * 1e9) for bound in DEFAULT_BOUNDS] + [61_000_000_000]


def exact_quantile(durations_ns, q):
    return sorted(durations_ns)[math.ceil(q * len(durations_ns)) - 1]


def bucket_of(duration_ns):
    """(lower, upper] of the lattice bucket, in seconds, corrected against the bounds themselves."""
    seconds = duration_ns / 1e9
    index = math.floor(math.log2(seconds) * BUCKETS_PER_OCTAVE)
    while 2 ** (index / BUCKETS_PER_OCTAVE) >= seconds:
        index -= 1
    while 2 ** ((index + 1) / BUCKETS_PER_OCTAVE) < seconds:
        index += 1
    return 2 ** (index / BUCKETS_PER_OCTAVE), 2 ** ((index + 1) / BUCKETS_PER_OCTAVE)


def send_by_otlp(agent, durations_ns):
    otlp.send_durations(agent.socket, durations_ns)


def send_by_libweft(agent, durations_ns):
    lines = "".join(
        json.dumps(
            {
                "source": "productpage",
                "source_namespace": "shop",
                "destination": "reviews",
                "destination_namespace": "shop",
                "route": "/reviews/{id}",
                "method": "GET",
                "code": 200,
                "duration": f"{duration}ns",
            }
        )
        + "\n"
        for duration in durations_ns
    )
    agent.emit("--stdin", lines=lines)


SENDERS = {"otlp": send_by_otlp, "libweft": send_by_libweft}


@pytest.fixture(params=SENDERS)
def sent(request, directory):
    """(agent that has counted them, the latencies, wall-clock time before they were sent)."""
    sink_port = free_port()
    with Sink(f"127.0.0.1:{sink_port}"), Weftd(
        directory, [otlp_destination("sink", sink_port)], metrics={"native_schema": 5}
    ) as agent:
        began = time.time()
        durations = latencies()
        SENDERS[request.param](agent, durations)
        agent.wait_spans(len(durations))
        yield agent, durations, began


def assert_latency_answers(agent, durations):
    """The agent's own quantiles are within 1.1 % of the exact ones."""
    wanted = ",".join(str(q) for q in QUANTILES)
    answer = agent.json("/api/v1/latency", window="5m", q=wanted, **EDGE)
    found = {each["q"]: each["seconds"] for each in answer["quantiles"]}
    assert set(found) == set(QUANTILES)
    for q in QUANTILES:
        assert found[q] == pytest.approx(exact_quantile(durations, q) / 1e9, rel=0.011), q


def test_native_histograms(sent, directory):
    agent, durations, _ = sent
    assert_latency_answers(agent, durations)
    with Prometheus(directory, agent.address, native=True) as prometheus:
        prometheus.wait_scraped()
        selector = f'{DURATION}{{reporter="source",destination="reviews"}}'
        found = [native for _, _, native in prometheus.query(selector) if native and int(native["count"])]
        assert len(found) == 1, "one native histogram with samples"
        assert int(found[0]["count"]) == len(durations)
        assert float(found[0]["sum"]) == pytest.approx(sum(durations) / 1e9, rel=1e-9)
        for q in QUANTILES:
            lower, upper = bucket_of(exact_quantile(durations, q))
            value = prometheus.value(f"histogram_quantile({q}, sum({selector}))")
            assert lower * (1 - 1e-12) <= value <= upper * (1 + 1e-12), (q, lower, value, upper)
        total = prometheus.value('sum(mesh_requests_total{reporter="source",destination="reviews"})')
        assert total == len(durations)


def test_a_wide_native_histogram_is_downscaled_and_stays_exact(directory):
    """Past 160 buckets the default schema of 3 is lowered; every bucket still holds its exact count."""
    durations = wide_latencies()
    with Weftd(directory) as agent:
        otlp.send_durations(agent.socket, durations)
        agent.wait_spans(len(durations))
        assert_latency_answers(agent, durations)
        with Prometheus(directory, agent.address, native=True) as prometheus:
            prometheus.wait_scraped()
            selector = f'{DURATION}{{reporter="source",destination="reviews",outcome="ok"}}'
            ((_, _, native),) = prometheus.query(selector)
            assert int(native["count"]) == len(durations) == sum(int(row[3]) for row in native["buckets"])
            assert len(native["buckets"]) <= NATIVE_BUCKETS_MAX
            for _, lower, upper, count in native["buckets"]:
                inside = sum(1 for each in durations if float(lower) < each / 1e9 <= float(upper))
                assert inside == int(count), (lower, upper)


def test_classic_histograms_in_openmetrics_with_exemplars(sent, directory):
    agent, durations, began = sent
    with Prometheus(directory, agent.address, native=False) as prometheus:
        prometheus.wait_scraped()
        edge = 'reporter="source",destination="reviews",outcome="ok"'
        for labels, value, _ in prometheus.query(f"{DURATION}_bucket{{{edge}}}"):
            bound = float(labels["le"])
            assert int(value) == sum(1 for each in durations if each / 1e9 <= bound), f"le={bound}"
        found = prometheus.query(f"count by (le) ({DURATION}_bucket{{{edge}}})")
        assert sorted(float(labels["le"]) for labels, _, _ in found) == [*DEFAULT_BOUNDS, math.inf]
        assert prometheus.value(f"sum({DURATION}_count{{{edge}}})") == len(durations)
        total = prometheus.value(f"sum({DURATION}_sum{{{edge}}})")
        assert total == pytest.approx(sum(durations) / 1e9, rel=1e-9)
        assert_exemplars(prometheus, durations, began)
        wait_for(lambda: prometheus.target()["lastError"] == "", "a scrape without an error")


def assert_exemplars(prometheus, durations, began):
    seconds = {duration / 1e9 for duration in durations}
    groups = prometheus.exemplars(f'{DURATION}_bucket{{destination="reviews"}}', began - 60, time.time() + 60)
    found = [(group["seriesLabels"]["le"], each) for group in groups for each in group["exemplars"]]
    assert found, "no exemplar was scraped"
    below = dict(zip(map(str, DEFAULT_BOUNDS), (0, *DEFAULT_BOUNDS)))
    for bound, exemplar in found:
        value = float(exemplar["value"])
        assert value <= float(bound) and value > below.get(bound.removesuffix(".0"), 0)
        assert min(abs(value - each) for each in seconds) < 1e-9, "an exemplar is one of the latencies"
        assert len(exemplar["labels"]["trace_id"]) == 32 and len(exemplar["labels"]["span_id"]) == 16
        int(exemplar["labels"]["trace_id"], 16)


@pytest.fixture(scope="module")
def traffic():
    """An agent with every feature on: two edges, errors, long and odd label values, exemplars."""
    sink_port = free_port()
    with TemporaryDirectory() as directory, Sink(f"127.0.0.1:{sink_port}"), Weftd(
        directory, [otlp_destination("sink", sink_port)], metrics={"native_schema": 5}
    ) as agent:
        otlp.send_durations(agent.socket, wide_latencies())
        otlp.send_durations(agent.socket, [1_000_000], status=503, route='/odd/"quoted\\path"\nline')
        otlp.send_durations(agent.socket, [2_000_000], source="été-☃", route="/" + "x" * 400)
        agent.wait_spans(len(wide_latencies()) + 2)
        yield agent


@pytest.mark.parametrize(
    "accept, content_type", [row[1:] for row in ACCEPTS], ids=[row[0] for row in ACCEPTS]
)
def test_negotiation(traffic, accept, content_type):
    headers = {} if accept is None else {"accept": accept}
    status, answer, body = traffic.get("/metrics", {**headers, "accept-encoding": "gzip"})
    assert status == 200
    assert answer["content-encoding"] == "gzip"
    text = gzip.decompress(body)

    def words(value):
        return [part.strip() for part in value.lower().split(";")]

    got = words(answer["content-type"])
    assert got[0] == words(content_type)[0]
    assert set(words(content_type)) <= set(got)
    assert text.endswith(b"# EOF\n") == (content_type == OPENMETRICS)


def test_without_gzip_nothing_is_compressed(traffic):
    _, answer, body = traffic.get("/metrics", {"accept-encoding": "identity"})
    assert answer["content-encoding"] is None and body.startswith(b"# ")


def test_promtool_finds_nothing_in_our_families(traffic):
    _, _, body = traffic.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60)
    found = done.stdout.decode() + done.stderr.decode()
    assert done.returncode in (0, 3), found  # 3: lint findings
    ours = [
        line for line in found.splitlines() if line.startswith(("weft_", "mesh_")) or "error" in line.lower()
    ]
    assert ours == []


def test_openmetrics_parser_accepts_everything(traffic):
    _, answer, body = traffic.get("/metrics", {"accept": "application/openmetrics-text;version=1.0.0"})
    assert answer["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(body.decode())}
    duration = families[DURATION]
    assert duration.type == "histogram" and duration.unit == "seconds"
    assert families["mesh_requests"].type == "counter"
    names = {sample.name for sample in duration.samples}
    assert {f"{DURATION}_bucket", f"{DURATION}_count", f"{DURATION}_sum", f"{DURATION}_created"} <= names
    assert [sample for sample in duration.samples if sample.exemplar], "no exemplars"
    for family in families.values():
        assert family.documentation, f"{family.name} has no help"
        assert family.type != "unknown", f"{family.name} has no type"


@pytest.mark.parametrize("classic", [True, False])
def test_classic_buckets_leave_protobuf_when_not_wanted(directory, classic):
    """A classic bucket is told by its bound: field 2, eight bytes. Text has them all the same."""
    bound = b"\x11" + struct.pack("<d", 0.0025)
    with Weftd(directory, metrics={"classic": classic}) as agent:
        otlp.send_durations(agent.socket, [1_000_000])
        samples = agent.wait_spans(1)
        _, answer, body = agent.get("/metrics", {"accept": PROTOBUF})
        assert answer["content-type"].startswith("application/vnd.google.protobuf")
        assert DURATION.encode() in body and (bound in body) == classic
        assert samples.matching(f"{DURATION}_bucket", le="0.0025")


def test_classic_buckets_are_exact(traffic):
    """Every `le` count equals a brute-force count, also where a latency is the bound itself."""
    durations = wide_latencies()
    found = traffic.samples().matching(
        f"{DURATION}_bucket", reporter="source", route="/reviews/{id}", outcome="ok", **EDGE
    )
    assert sorted(float(labels["le"]) for labels, _ in found) == [*DEFAULT_BOUNDS, math.inf]
    for labels, value in found:
        assert value == sum(1 for each in durations if each / 1e9 <= float(labels["le"])), labels["le"]


def test_text_and_openmetrics_agree(traffic):
    """The same values for mesh_ families in both formats."""
    text = traffic.samples()
    _, _, body = traffic.get("/metrics", {"accept": "application/openmetrics-text"})
    other = {}
    for family in parse_openmetrics(body.decode()):
        for sample in family.samples:
            if sample.name.startswith("mesh_") and not sample.name.endswith("_created"):
                other[sample.name, tuple(sorted(canonical(sample.labels).items()))] = sample.value
    rows = {
        (name, tuple(sorted(canonical(labels).items()))): value
        for name, labels, value in text.rows
        if name.startswith("mesh_") and not name.endswith("_created")
    }
    assert rows == other


def canonical(labels):
    return {key: str(float(value)) if key == "le" else value for key, value in labels.items()}


def test_an_edge_begins_with_a_zero_count_for_every_outcome(traffic):
    counts = {
        labels["outcome"]: value
        for labels, value in traffic.samples().matching(
            f"{DURATION}_count", reporter="source", route="/reviews/{id}", **EDGE
        )
    }
    assert counts.pop("ok") == len(wide_latencies())
    assert counts == {"client_error": 0, "server_error": 0, "no_response": 0, "cancelled": 0}


def test_label_names_do_not_clash_with_target_labels(traffic):
    clashing = {"job", "instance", "namespace", "pod", "container", "node", "service", "endpoint"}
    for name, labels, _ in traffic.samples().rows:
        assert not clashing & set(labels), (name, labels)


def test_samples_carry_no_timestamps(traffic):
    _, _, body = traffic.get("/metrics")
    for line in body.decode().splitlines():
        if not line.startswith("#"):
            assert len(line.rsplit("} ", 1)[-1].split(" ")) <= (1 if "}" in line else 2), line


def test_a_bad_message_is_refused_and_the_rest_goes_on(directory):
    with Weftd(directory) as agent:
        otlp.send_durations(agent.socket, [1_000_000] * 10)
        with pytest.raises(grpc.RpcError) as refused:
            otlp.send(agent.socket, [b"\x0a\xff\xff\xff\xff\x7f not a message"])
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        otlp.send_durations(agent.socket, [1_000_000] * 10)
        samples = agent.wait_spans(20)
        assert samples.total("weft_messages_refused_total", reason="malformed") == 1
