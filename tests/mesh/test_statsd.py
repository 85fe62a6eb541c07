"""statsd and DogStatsD: Envoy's sinks over a Unix datagram socket and a Unix stream against Envoy's own
/stats, other senders' lines by hand, bad input, and the ledger of each."""

import json
import re
import socket
import subprocess
import time

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import load
import statsd
from agent import COUNT_SECONDS_MAX, WEFTD, Weftd
from harness import free_port, http_get, wait_for
from logging_proxies import blocks, localized
from sidecar import Envoy, cluster, listener, route, tracing
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

COUNT = 120
# A Unix socket holds some ten datagrams, and what Envoy finds no room for it drops. Each request is several datagrams
# of histograms; when counters leave, once a second, those are to be read already.
SLOWLY = {"connections": 1, "pace_s": 0.02}
MIX = [
    ("/reviews/1", "200"),
    ("/reviews/2", "404"),
    ("/reviews/3", "503,200"),
    ("/reviews/4", "d3:200"),
    ("/direct", "200"),
    ("/nothing", "200"),
]
GAUGE = "membership_total"  # whose name ends as a counter's
ADMIN = re.compile(r"(^|[._])admin([._]|$)")  # asking changes them


def receiver(directory, **keys):
    """The configuration's `receivers` with a datagram socket and a stream in the directory."""
    statsd_keys = {"path": str(directory / "dog.sock"), "stream_path": str(directory / "stream.sock")}
    return {"receivers": {"statsd": {**statsd_keys, **keys}}}


def ledger(samples):
    """(received, aggregated, dropped by reason) of metrics; nothing may be in flight."""
    received = samples.total("weft_records_received_total", signal="metrics")
    aggregated = samples.total("weft_records_aggregated_total", signal="metrics")
    dropped = samples.by(("reason",), "weft_records_dropped_total", signal="metrics")
    return received, aggregated, {reason: count for (reason,), count in dropped.items()}


def wait_ledger(agent, received, dropped=None):
    """Samples of the first scrape in which so many points came, all aggregated but for those dropped."""
    dropped = dropped or {}

    def balanced():
        samples = agent.samples()
        return samples if ledger(samples) == (received, received - sum(dropped.values()), dropped) else None

    try:
        return wait_for(balanced, f"{received} points, {dropped} dropped", COUNT_SECONDS_MAX, pause=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}; {ledger(agent.samples())}") from error


def send_load(port, **keys):
    return load.send(port, MIX * (COUNT // len(MIX)), **keys)


def own_exposition(envoy):
    """{(sample name, labels): value} of Envoy's own counters and of its histograms' counts."""
    url = f"http://127.0.0.1:{envoy.admin_port}/stats/prometheus"
    counters, counts = {}, {}
    for family in text_string_to_metric_families(http_get(url)[2].decode()):
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            if any(ADMIN.search(text) for text in (sample.name, *sample.labels.values())):
                continue
            if family.type == "counter":
                name = sample.name if sample.name.endswith("_total") else sample.name + "_total"
                counters[name, labels] = sample.value
            elif family.type == "histogram" and sample.name.endswith("_count"):
                counts[sample.name, labels] = sample.value
    return counters, counts


def without_sender(labels):
    return frozenset((key, value) for key, value in labels.items() if not key.startswith("sender_"))


def shown(samples, suffix):
    """{(sample name, labels without the sender's): value} of what the agent shows of Envoy."""
    return {
        (name, without_sender(labels)): value
        for name, labels, value in samples.rows
        if name.startswith("envoy_")
        and name.endswith(suffix)
        and not name.endswith(GAUGE)
        and not any(ADMIN.search(text) for text in (name, *labels.values()))
    }


def nonzero(values):
    return {key: value for key, value in values.items() if value != 0}


def seconds_name(name):
    """The name under which a histogram that Envoy calls `name` is shown when it holds times."""
    stem = re.sub(r"_(ms|us)$", "", name.removesuffix("_count"))
    return f"{stem}_seconds_count"


def wait_equal(agent, read_expected, read_shown, what):
    """Waits until both sides say the same: Envoy flushes once a second, and its idle counters move, too."""
    state = {}

    def equal():
        want = nonzero(read_expected())
        got = nonzero(read_shown(agent.samples()))
        state["differs"] = {key: (want.get(key), got.get(key)) for key in want.keys() | got.keys()}
        state["differs"] = {key: pair for key, pair in state["differs"].items() if pair[0] != pair[1]}
        return want if want and not state["differs"] else None

    try:
        return wait_for(equal, what, COUNT_SECONDS_MAX, pause=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: Envoy's and the agent's values: {state['differs']}") from error


def test_dogstatsd_datagrams_say_what_envoy_says(directory):
    """Every counter of Envoy under the name and the labels that Envoy's own exposition has, to the last one.
    Histograms' values leave alone, a datagram each: on a busy machine Envoy drops some, so there may be
    fewer."""
    sinks = [statsd.dogstatsd_sink(directory / "dog.sock")]
    with Upstream() as upstream, Weftd(directory, **receiver(directory)) as agent:
        envoy, port = statsd.proxy(directory, upstream.port, sinks)
        with envoy:
            send_load(port, **SLOWLY)
            counters = wait_equal(
                agent,
                lambda: own_exposition(envoy)[0],
                lambda samples: shown(samples, "_total"),
                "Envoy's counters",
            )
            answered = sum(
                value
                for (name, labels), value in counters.items()
                if name == "envoy_http_downstream_rq_completed_total"
            )
            assert answered == COUNT
            times = own_exposition(envoy)[1]
            counts = shown(agent.samples(), "_count")
            checked = 0
            for (name, labels), value in nonzero(times).items():
                plain = name.endswith(("_per_cx_count", "_per_socket_event_count"))
                shown_count = counts.get((name if plain else seconds_name(name), labels), 0)
                assert shown_count <= value, (name, labels)
                checked += 0 < shown_count and not plain
            assert checked >= 2
        samples = agent.wait_records("metrics", 1)
        received, aggregated, dropped = ledger(samples)
        assert received == aggregated > 0 and dropped == {}
        assert samples.total("weft_datagrams_received_total", receiver="statsd") > 0
        assert samples.total("weft_datagrams_truncated_total", receiver="statsd") == 0
        assert samples.total("weft_datagram_buffer_bytes", receiver="statsd") > 0
        kinds = samples.by(("sender_kind",), "envoy_http_downstream_rq_completed_total")
        assert set(kinds) <= {("process",), ("container",), ("pod",), ("unit",), ("user",)}, kinds


def test_times_are_seconds(directory):
    """25 requests that take 100 ms at least: the histogram's sum says so, in seconds. Over the stream, which
    loses nothing."""
    sinks = [statsd.statsd_stream_sink()]
    with Upstream() as upstream, Weftd(directory, **receiver(directory)) as agent:
        envoy, port = statsd.proxy(directory, upstream.port, sinks, directory / "stream.sock")
        with envoy:
            load.send(port, [("/reviews/1", "d100:200")] * 25, connections=5)
            name = "envoy_http_outbound_downstream_rq_time_seconds"
            samples = wait_for(
                lambda: (found := agent.samples()).total(f"{name}_count") == 25 and found, "25 request times"
            )
        assert samples.total(f"{name}_bucket", le="0.0625") == 0
        assert samples.total(f"{name}_bucket", le="64") == 25
        mean = samples.total(f"{name}_sum") / 25
        assert 0.09 < mean < 5


def test_a_statsd_stream_says_what_envoy_says(directory):
    """The plain sink through a pipe cluster: names hold what tags would, `|` included."""
    sinks = [statsd.statsd_stream_sink()]

    def shown_name(name):
        made = re.sub(r"[^A-Za-z0-9:]+", "_", f"envoy.{name}")
        return (made if made.endswith("_total") else f"{made}_total", frozenset())

    def own_counters(envoy):
        url = f"http://127.0.0.1:{envoy.admin_port}/stats?type=Counters"
        lines = http_get(url)[2].decode().splitlines()
        pairs = (line.rsplit(": ", 1) for line in lines if ": " in line)
        return {shown_name(name): float(value) for name, value in pairs if not ADMIN.search(name)}

    def settled(counters):
        """Without those of the connection that carries them: each flush moves it."""
        return {key: value for key, value in counters.items() if statsd.STREAM_CLUSTER not in key[0]}

    with Upstream() as upstream, Weftd(directory, **receiver(directory)) as agent:
        envoy, port = statsd.proxy(directory, upstream.port, sinks, directory / "stream.sock")
        with envoy:
            send_load(port, connections=4)
            counters = wait_equal(
                agent,
                lambda: settled(own_counters(envoy)),
                lambda samples: settled(shown(samples, "_total")),
                "Envoy's counters",
            )
            assert counters["envoy_http_outbound_downstream_rq_completed_total", frozenset()] == COUNT
            name = "envoy_http_outbound_downstream_rq_time_seconds_count"
            wait_for(lambda: agent.samples().total(name) == COUNT, "every request's time")
        samples = agent.wait_records("metrics", 1)
        received, aggregated, dropped = ledger(samples)
        assert received == aggregated > 0 and dropped == {}
        assert samples.total("weft_datagrams_received_total") == 0


def test_two_proxies_of_one_user_add_up(directory):
    sinks = [statsd.dogstatsd_sink(directory / "dog.sock")]
    with Upstream() as upstream, Weftd(directory, **receiver(directory)) as agent:
        first, first_port = statsd.proxy(directory, upstream.port, sinks, name="first")
        with first:
            second, second_port = statsd.proxy(directory, upstream.port, sinks, name="second")
            with second:
                load.send(first_port, [("/reviews/1", "200")] * 30, **SLOWLY)
                load.send(second_port, [("/reviews/1", "200")] * 12, **SLOWLY)
                name = "envoy_http_downstream_rq_completed_total"
                wait_for(
                    lambda: agent.samples().total(name, envoy_http_conn_manager_prefix="outbound") == 42,
                    "the requests of both",
                )


def client(path, kind=socket.SOCK_DGRAM):
    made = socket.socket(socket.AF_UNIX, kind)
    made.connect(str(path))
    return made


def test_consuls_and_dogstatsds_forms(directory):
    lines = [
        b"consul.raft.apply:1.000000|c",
        b"consul.runtime.num_goroutines:72.000000|g|#host:n1,local_cluster:web",
        b"consul.rpc.query:0.153000|ms|#local_cluster:web",
        b"page.views:1:2:3|d|#env:prod,canary|T%d" % time.time(),
        b"queue:5|g",
        b"queue:-2|g",
        b"hits:3|c|@0.1|#shard:a|c:ci-ffff",
    ]
    with Weftd(directory, **receiver(directory)) as agent:
        with client(directory / "dog.sock") as dog:
            dog.send(b"\n".join(lines) + b"\n")
        samples = wait_ledger(agent, len(lines) + 2)
        assert samples.total("consul_raft_apply_total") == 1
        assert samples.total("consul_runtime_num_goroutines", host="n1", local_cluster="web") == 72
        assert samples.total("consul_rpc_query_seconds_count", local_cluster="web") == 1
        assert samples.total("consul_rpc_query_seconds_sum") == pytest.approx(0.000153)
        assert samples.total("page_views_count", env="prod", canary="true") == 3
        assert samples.total("page_views_sum") == 6
        assert samples.total("queue") == 3
        assert samples.total("hits_total", shard="a") == 30


BAD_LINES = [  # a line → the reason under which it is dropped
    (b"no value", "malformed"),
    (b"name:|c", "malformed"),
    (b":1|c", "malformed"),
    (b"a:1", "malformed"),
    (b"a:one|c", "malformed"),
    (b"a:inf|g", "malformed"),
    (b"a:1|c|@0", "malformed"),
    (b"a:1|c|@2", "malformed"),
    (b"a:-1|c", "malformed"),
    (b"a:1:x|d", "malformed"),
    (b"a:1|C", "malformed"),
    (b"\xff\xfe\x00", "malformed"),
    (b"users:42|s", "unsupported_type"),
    (b"k:1|kv", "unsupported_type"),
    (b"_e{5,4}:title|text", "not_a_metric"),
    (b"_sc|agent|0", "not_a_metric"),
    (b"a:1|c|T1", "time_out_of_range"),
    (b"a:1|c|#" + b",".join(b"k%d:v" % i for i in range(40)), "oversized"),
    (b"a" * 5000 + b":1|c", "oversized"),
]


@pytest.mark.parametrize("way", ["datagram", "stream", "udp"])
def test_a_bad_line_is_dropped_with_its_reason_and_the_rest_kept(directory, way):
    """Before, between and after the bad ones lie good ones."""
    want = {}
    lines = [b"good:1|c"]
    for line, reason in BAD_LINES:
        want[reason] = want.get(reason, 0) + 1
        lines += [line, b"good:1|c"]
    port = free_port()
    with Weftd(directory, **receiver(directory, udp=f"127.0.0.1:{port}")) as agent:
        payload = b"\n".join(lines) + b"\n"
        if way == "datagram":
            with client(directory / "dog.sock") as dog:
                dog.send(payload)
        elif way == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.sendto(payload, ("127.0.0.1", port))
        else:
            with client(directory / "stream.sock", socket.SOCK_STREAM) as stream:
                for piece in (payload[:7], payload[7:4000], payload[4000:]):
                    stream.sendall(piece)
                    time.sleep(0.05)
        samples = wait_ledger(agent, len(lines), want)
        assert samples.total("good_total") == len(BAD_LINES) + 1
        told = agent.json("/api/v1/ledger")["datagrams"]["statsd"]
        counts = {"received": int(way != "stream"), "truncated": 0, "lost_udp": 0, "lost_unix": "unknown"}
        assert told == counts
        kinds = samples.by(("sender_kind",), "good_total")
        assert (("unknown",) in kinds) == (way == "udp"), kinds


def test_a_metric_whose_type_changes_is_a_conflict(directory):
    with Weftd(directory, **receiver(directory)) as agent:
        with client(directory / "dog.sock") as dog:
            dog.send(b"load:1|c")
            wait_ledger(agent, 1)
            dog.send(b"load:7|g\nload:2|c")
            samples = wait_ledger(agent, 3, {"type_conflict": 1})
        assert samples.total("load_total") == 3


def test_cut_datagrams_and_streams_are_counted(directory):
    with Weftd(directory, **receiver(directory)) as agent:
        with client(directory / "dog.sock") as dog:
            dog.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            dog.send(b"a:1|c\n" * 10 + b"b" * 70000 + b":1|c")
        with client(directory / "stream.sock", socket.SOCK_STREAM) as stream:
            stream.sendall(b"a:1|c\na:1|c\na:1")
        samples = wait_ledger(agent, 13, {"oversized": 1})
        assert samples.total("a_total") == 12
        assert samples.total("weft_datagrams_truncated_total", receiver="statsd") == 1
        wait_for(lambda: agent.samples().total("weft_messages_cut_total") == 1, "the cut stream")


def test_one_sender_cannot_take_all_series(directory):
    """Past its share of the series its further ones are dropped and counted; those it has go on."""
    with Weftd(directory, **receiver(directory), limits={"series_count_max": 200}) as agent:
        with client(directory / "dog.sock") as dog:
            for start in range(0, 300, 50):
                dog.send(b"\n".join(b"m%d:1|c" % i for i in range(start, start + 50)))
            samples = wait_for(
                lambda: ledger(found := agent.samples())[0] == 300
                and sum(ledger(found)[2].values()) + ledger(found)[1] == 300
                and found,
                "300 points",
            )
        dropped = ledger(samples)[2]
        assert set(dropped) == {"series_limit"} and dropped["series_limit"] >= 200
        assert samples.total("m0_total") == 1


def test_what_was_sent_before_a_stop_is_counted(directory):
    """A stop reads what lies in the sockets; the destination's last metrics hold it."""
    with Weftd(directory, **receiver(directory)) as agent:
        with client(directory / "dog.sock") as dog:
            for _ in range(5):
                dog.send(b"last:1|c\n" * 100)
        assert agent.stop() == 0
    assert not (directory / "dog.sock").exists()
    assert not (directory / "stream.sock").exists()


def failed_listeners(directory, name, **keys):
    """What an agent says that goes on without a socket which it cannot have."""
    with Weftd(directory, name=name, **receiver(directory, **keys)) as agent:
        assert agent.samples().total("weft_listeners_failed") >= 1
        return agent.log()


def refused_start(directory, name, **keys):
    """What an agent that must not start says."""
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(receiver(directory, **keys)))
    command = [WEFTD, "--config", path, "--socket", directory / f"{name}.sock", "--http", "127.0.0.1:0"]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    return done.stderr


def test_sockets_that_cannot_be_had_are_told_by_their_key(directory):
    """The other senders' records are not lost for their sake; an address that no agent may have ends the start."""
    port = free_port()
    other = str(directory / "other.sock")
    with Weftd(directory, **receiver(directory, udp=f"127.0.0.1:{port}")) as agent:
        assert "receivers.statsd.stream_path" in failed_listeners(directory, "second", path=other)
        assert "receivers.statsd.path" in failed_listeners(directory, "third", stream_path=other)
        taken = failed_listeners(
            directory, "fourth", path=other, stream_path=f"{other}2", udp=f"127.0.0.1:{port}"
        )
        assert "receivers.statsd.udp" in taken
        assert "receivers.statsd.udp" in refused_start(directory, "fifth", path=other, udp="10.1.2.3:8125")
        with client(directory / "dog.sock") as dog:  # the first one goes on
            dog.send(b"a:1|c")
        wait_ledger(agent, 1)


# ---- the pages of docs/meshes/ ----


def page_config(page, directory):
    """The keys of a page's weft.yaml, its sockets in the directory and its ports free ones."""
    (text,) = blocks(page, "yaml")
    config = yaml.safe_load(localized(text, directory))
    for keys in config["receivers"].values():
        if "udp" in keys:
            keys["udp"] = f"127.0.0.1:{free_port()}"
    return config


def run_page(directory, bootstrap, config, cluster_name, clusters=(), traced=None):
    """Samples once an Envoy with the pasted keys has told of 20 requests, all through the cluster of that
    name."""
    port, extra = free_port(), dict(bootstrap)
    pasted = extra.pop("static_resources", {}).get("clusters", [])
    extra["stats_flush_interval"] = "1s"
    front = listener("public", port, "OUTBOUND", [route("/", cluster_name, "all")], traced, False)

    with Upstream() as upstream, Weftd(directory, **config) as agent:
        made = [cluster(cluster_name, upstream.port), *pasted, *clusters]
        with Envoy("page", directory, [front], made, bootstrap=extra):
            load.send(port, [("/reviews/1", "200")] * 20, **SLOWLY)

            def told():
                samples = agent.samples()
                tagged = samples.total(
                    "envoy_http_downstream_rq_completed_total", envoy_http_conn_manager_prefix="public"
                )
                plain = samples.total("envoy_http_public_downstream_rq_completed_total")
                return samples if tagged + plain == 20 else None

            samples = wait_for(told, "20 requests", COUNT_SECONDS_MAX, pause=0.3)
            return samples if traced is None else agent.wait_spans(20)


@pytest.mark.parametrize("index", [0, 1], ids=["datagrams", "stream"])
def test_the_page_of_statsd(directory, index):
    bootstrap = json.loads(localized(blocks("statsd.md", "json")[index], directory))
    samples = run_page(directory, bootstrap, page_config("statsd.md", directory), "web")
    assert (samples.total("weft_datagrams_received_total", receiver="statsd") > 0) == (index == 0)


def test_the_page_of_app_mesh(directory):
    (sinks,) = blocks("appmesh.md", "json")
    name, config = "cds_egress_shop_reviews_http_8080", page_config("appmesh.md", directory)
    samples = run_page(directory, json.loads(localized(sinks, directory)), config, name)
    assert samples.total("envoy_cluster_upstream_rq_completed_total", envoy_cluster_name=name) == 20


def test_the_page_of_consul(directory):
    """The texts that Consul copies into a bootstrap; what metrics and spans say of a cluster of Consul's."""
    entry = blocks("consul.md", "hcl")[0].replace("/run/weft/weft.sock", f"{directory}/weftd.sock")
    entry = localized(entry, directory)
    texts = dict(re.findall(r"^  (\w+) = <<EOF\n(.*?)^EOF$", entry, re.MULTILINE | re.DOTALL))
    sink = json.loads(texts["envoy_extra_stats_sinks_json"])
    pipe = json.loads(texts["envoy_extra_static_clusters_json"])
    traced = {**tracing("web", False), "provider": json.loads(texts["envoy_tracing_json"])["http"]}
    name = "reviews.default.dc1.internal.e5b08d03-bfc3-c870-1833-baddb116e648.consul"
    config = page_config("consul.md", directory)
    samples = run_page(directory, {"stats_sinks": [sink]}, config, name, [pipe], traced)
    told = [row for row in samples.rows if row[0].endswith("upstream_rq_completed_total")]
    assert 20 in [value for _, labels, value in told if labels.get("envoy_cluster_name") == "reviews"], told
    assert samples.total("mesh_requests_total", reporter="source", source="web", destination="reviews") == 20
