"""Each request once, whatever it came as: real Envoys that tell their requests by spans, by the access log
service, or by both."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

import als
import load
import otel_logs
from agent import AS_SHIPPED, COUNT_SECONDS_MAX, Weftd, settle
from harness import STOP_SECONDS_MAX, free_port, wait_for
from mix import Mix, http_listener
from sidecar import INBOUND, REVIEWS, Envoy, cluster, route, tracing
from upstream import Upstream

pytestmark = pytest.mark.agent_needed

REQUESTS = 200
SPAN_FLUSH_MS = 200
# For an access log that is to come long after the tracer.
LATE_LOG_FLUSH, WAITS_FOR_IT = "10s", {"limits": {"count_decision_ms": 40_000}}


def requests(count=REQUESTS):
    return [(f"/reviews/{i}", "200") for i in range(count)]


def telling(agent_socket, outbound, inbound, flush="0.3s"):
    """A telemetry for Mix: each side tells by any of the words "spans", "log" and "otlp"."""
    sides = {"outbound": outbound, "inbound": inbound}

    def pieces(service, direction):
        made = {"clusters": [cluster("agent_grpc", agent_socket, http2=True)], "manager": {}}
        side = "source" if direction == "outbound" else "destination"
        if "log" in sides[direction]:
            keys = {"buffer_flush_interval": flush, "buffer_size_bytes": 1 << 20}
            made["manager"]["access_log"] = [als.http_log(f"http_{direction}", side, **keys)]
        if "otlp" in sides[direction]:
            fields = otel_logs.HTTP | otel_logs.BOTH
            made["manager"].setdefault("access_log", []).append(otel_logs.log(service, fields, side))
        if "spans" in sides[direction]:
            made["manager"]["tracing"] = tracing(service, False)
        return made

    return pieces


def records(samples, family, signal_name):
    return samples.total(f"weft_records_{family}_total", signal=signal_name)


def settled(agent, **received):
    """Samples once so many spans and logs were received, nothing is in flight, and the ledger balances."""
    found = {}

    def arrived():
        samples = agent.samples()
        rows = agent.json("/api/v1/ledger")["records"]
        found.update(counts={name: records(samples, "received", name) for name in received}, rows=rows)
        done = all(row["balanced"] and row["in_flight"] == 0 for row in rows)
        return found["counts"] == received and done

    try:
        wait_for(arrived, f"{received}", COUNT_SECONDS_MAX, pause=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from error
    return agent.samples()


def counted(samples, reporter):
    return samples.total("mesh_requests_total", reporter=reporter, destination="reviews")


def changes(samples):
    return samples.total("weft_count_source_changes_total")


def mix(directory, upstream, telemetry):
    """The sidecars; nothing answers gRPC behind them."""
    return Mix(directory, upstream.port, free_port(), telemetry, flush_ms=SPAN_FLUSH_MS)


def test_access_log_and_tracer_both_on(directory):
    with Upstream() as upstream, Weftd(directory, **AS_SHIPPED) as agent, mix(
        directory, upstream, telling(agent.socket, "spans log", "spans log")
    ) as chain:
        load.send(chain.port, requests())
        samples = settled(agent, spans=2 * REQUESTS, logs=2 * REQUESTS)
        assert counted(samples, "source") == REQUESTS
        assert counted(samples, "destination") == REQUESTS
        assert samples.total("mesh_requests_total") == 2 * REQUESTS
        assert records(samples, "superseded", "spans") == 2 * REQUESTS
        assert changes(samples) == 0


def test_tracer_first_and_the_access_log_much_later(directory):
    """Loggers flush at an interval from their sidecar's start on: it is long against the start and the load."""
    with Upstream() as upstream, Weftd(directory, **WAITS_FOR_IT) as agent, mix(
        directory, upstream, telling(agent.socket, "spans log", "spans log", flush=LATE_LOG_FLUSH)
    ) as chain:
        load.send(chain.port, requests())
        early = wait_for(
            lambda: (s := agent.samples()).total("weft_records_held", signal="spans") == 2 * REQUESTS and s,
            "spans that wait",
            pause=0.1,
        )
        assert records(early, "received", "logs") == 0, "the log came before the spans"
        assert counted(early, "source") == 0
        samples = settled(agent, spans=2 * REQUESTS, logs=2 * REQUESTS)
        assert counted(samples, "source") == REQUESTS
        assert counted(samples, "destination") == REQUESTS
        assert records(samples, "superseded", "spans") == 2 * REQUESTS
        assert changes(samples) == 0


def test_both_kinds_of_access_log_and_the_tracer(directory):
    with Upstream() as upstream, Weftd(directory, **AS_SHIPPED) as agent, mix(
        directory, upstream, telling(agent.socket, "spans log otlp", "spans otlp")
    ) as chain:
        load.send(chain.port, requests())
        samples = settled(agent, spans=2 * REQUESTS, logs=3 * REQUESTS)
        assert counted(samples, "source") == REQUESTS
        assert counted(samples, "destination") == REQUESTS
        assert records(samples, "superseded", "spans") == 2 * REQUESTS
        assert records(samples, "superseded", "logs") == REQUESTS
        assert changes(samples) == 0


def test_access_log_on_inbound_only(directory):
    """One sidecar with both listeners: its outbound requests are told by spans alone."""
    out_port, in_port = free_port(), free_port()
    with Upstream() as upstream, Weftd(directory, **AS_SHIPPED) as agent:
        tell = telling(agent.socket, "spans", "spans log")
        outbound, inbound = tell("reviews.shop", "outbound"), tell("reviews.shop", "inbound")
        listeners = [
            http_listener("outbound", out_port, "OUTBOUND", [route("/", REVIEWS, "out")], outbound, True),
            http_listener("inbound", in_port, "INBOUND", [route("/", INBOUND, "in")], inbound, False),
        ]
        clusters = outbound["clusters"] + [cluster(REVIEWS, in_port), cluster(INBOUND, upstream.port)]
        with Envoy("reviews", directory, listeners, clusters, flush_ms=SPAN_FLUSH_MS):
            load.send(out_port, requests())
            samples = settled(agent, spans=2 * REQUESTS, logs=REQUESTS)
        assert counted(samples, "source") == REQUESTS
        assert counted(samples, "destination") == REQUESTS
        assert records(samples, "superseded", "spans") == REQUESTS
        assert records(samples, "aggregated", "spans") == REQUESTS
        assert records(samples, "aggregated", "logs") == REQUESTS


def test_agent_restarted_in_mid_load(directory):
    sent = {"count": 0}
    stop = threading.Event()

    def go_on(port):
        while not stop.is_set():
            sent["count"] += len(load.send(port, requests(20), connections=4, pace_s=0.02))

    with Upstream() as upstream, Weftd(directory, **AS_SHIPPED) as agent:
        chain = mix(directory, upstream, telling(agent.socket, "spans log", "spans log"))
        with chain:
            load.send(chain.port, requests())
            before = settled(agent, spans=2 * REQUESTS, logs=2 * REQUESTS)
            assert counted(before, "source") == REQUESTS
            loader = threading.Thread(target=go_on, args=(chain.port,))
            loader.start()
            before_stop = sent["count"]  # a proxy may still hold what it has to tell of the last second
            time.sleep(1)
            agent.stop()
            with Weftd(directory, **AS_SHIPPED) as again:
                time.sleep(8)  # longer than spans are held
                stop.set()
                loader.join(COUNT_SECONDS_MAX)
                assert not loader.is_alive()
                flushed = settle(lambda: records(again.samples(), "received", "logs"), quiet=3.0)
                between = settle(lambda: counted(again.samples(), "source"), quiet=6.0)
                assert flushed > 0
                # What was told while nobody listened is lost; nothing may be there twice.
                assert 0 < between <= sent["count"] - before_stop + 2 * 20
                assert counted(again.samples(), "destination") <= sent["count"] - before_stop + 2 * 20
                assert records(again.samples(), "superseded", "spans") > 0
                load.send(chain.port, requests())
                wait_for(
                    lambda: counted(again.samples(), "source") >= between + REQUESTS, "the load after the restart"
                )
                after = settle(lambda: counted(again.samples(), "source"), quiet=3.0)
                assert after == between + REQUESTS
                wait_for(
                    lambda: all(row["balanced"] for row in again.json("/api/v1/ledger")["records"]),
                    "a ledger that balances",
                )


def test_two_proxies_of_one_user(directory):
    """They call themselves alike, too; only one of them has an access log."""
    other = Path(directory) / "other"
    other.mkdir()
    with Upstream() as upstream, Weftd(directory, **AS_SHIPPED) as agent, mix(
        directory, upstream, telling(agent.socket, "spans log", "")
    ) as logs, mix(other, upstream, telling(agent.socket, "spans", "")) as traces:
        load.send(logs.port, requests())
        load.send(traces.port, requests(50))
        samples = settled(agent, spans=REQUESTS + 50, logs=REQUESTS)
        assert counted(samples, "source") == REQUESTS + 50
        assert records(samples, "superseded", "spans") == REQUESTS
        assert records(samples, "aggregated", "spans") == 50


class Hidden(Weftd):
    """An agent in a pid namespace of its own: the kernel tells it pid 0 of whoever connects."""

    def start(self, command, environment=None):
        super().start(["unshare", "--pid", "--fork", *command], environment)

    def stop(self, number=signal.SIGTERM):
        if self.running():
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), number)
            self._child.wait(STOP_SECONDS_MAX)
        return super().stop(number)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a pid namespace")
def test_proxies_of_another_pid_namespace(directory):
    """Neither process can be seen and both are of one user: the node tells them apart."""
    with Upstream() as upstream, Hidden(directory, **AS_SHIPPED) as agent, mix(
        directory, upstream, telling(agent.socket, "spans log", "spans")
    ) as chain:
        load.send(chain.port, requests())
        samples = settled(agent, spans=2 * REQUESTS, logs=REQUESTS)
        senders = {labels.get("sender_kind") for labels, _ in samples.matching("mesh_requests_total")}
        assert senders <= {None, "user"}
        assert counted(samples, "source") == REQUESTS
        assert counted(samples, "destination") == REQUESTS
        assert records(samples, "superseded", "spans") == REQUESTS
        assert records(samples, "aggregated", "spans") == REQUESTS


@pytest.mark.parametrize("source", ["spans", "access_log"])
def test_the_configuration_may_decide(directory, source):
    with Upstream() as upstream, Weftd(directory, count_from=source, **AS_SHIPPED) as agent, mix(
        directory, upstream, telling(agent.socket, "spans log", "spans log")
    ) as chain:
        load.send(chain.port, requests())
        samples = settled(agent, spans=2 * REQUESTS, logs=2 * REQUESTS)
        assert counted(samples, "source") == REQUESTS
        assert counted(samples, "destination") == REQUESTS
        loser = "logs" if source == "spans" else "spans"
        assert records(samples, "superseded", loser) == 2 * REQUESTS


def test_mirrored_requests_count_at_their_destination_only(directory):
    """The shadow of a request is its destination's request, and not one more of the source's."""
    out_port, live_port, shadow_port = free_port(), free_port(), free_port()
    shadow_cluster = "outbound|80||shadow.shop.svc.cluster.local"
    with Upstream() as upstream, Weftd(directory, **AS_SHIPPED) as agent:
        tell = telling(agent.socket, "spans log", "spans log")
        outbound, inbound = tell("productpage.shop", "outbound"), tell("reviews.shop", "inbound")
        shadow = tell("shadow.shop", "inbound")
        mirrored = route("/", REVIEWS, "out", request_mirror_policies=[{"cluster": shadow_cluster}])
        fronts = [http_listener("outbound", out_port, "OUTBOUND", [mirrored], outbound, True)]
        clusters = outbound["clusters"] + [
            cluster(REVIEWS, live_port),
            cluster(shadow_cluster, shadow_port),
        ]
        to_upstream = inbound["clusters"] + [cluster(INBOUND, upstream.port)]
        back_routes = [route("/", INBOUND, "in")]
        live = [http_listener("inbound", live_port, "INBOUND", back_routes, inbound, False)]
        dark = [http_listener("inbound", shadow_port, "INBOUND", back_routes, shadow, False)]
        with Envoy("productpage", directory, fronts, clusters, flush_ms=SPAN_FLUSH_MS), Envoy(
            "reviews", directory, live, to_upstream, flush_ms=SPAN_FLUSH_MS
        ), Envoy("shadow", directory, dark, to_upstream, flush_ms=SPAN_FLUSH_MS):
            load.send(out_port, requests())
            samples = settled(agent, logs=3 * REQUESTS)
        assert counted(samples, "source") == REQUESTS
        assert samples.total("mesh_requests_total", reporter="source") == REQUESTS
        by_service = samples.by(("destination",), "mesh_requests_total", reporter="destination")
        assert by_service == {("reviews",): REQUESTS, ("shadow",): REQUESTS}
