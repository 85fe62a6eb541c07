"""Envoy's metrics service against the agent: what Envoy's own /stats say is what the agent shows, with counters
as totals and as deltas; labels from tags; streams without a name; several streams of one proxy."""

import json
import math
import struct

import grpc
import pytest
import yaml

import load
import metrics_sinks
from agent import Weftd
from harness import wait_for
from logging_proxies import blocks
from test_otlp_metrics import requests
from upstream import Upstream

pytestmark = pytest.mark.agent_needed


def agent_of(directory, deltas=False, **keys):
    counters = "delta" if deltas else "cumulative"
    return Weftd(directory, receivers={"metrics_service": {"counters": counters}}, **keys)


@pytest.mark.parametrize("deltas", [False, True], ids=["cumulative", "delta"])
@pytest.mark.parametrize("emit", ["HISTOGRAM", "SUMMARY_AND_HISTOGRAM"])
def test_envoys_statistics_are_shown_as_it_counts_them(directory, deltas, emit):
    with agent_of(directory, deltas) as agent, Upstream() as upstream:
        sinks = [metrics_sinks.metrics_service(deltas, histogram_emit_mode=emit)]
        envoy, port = metrics_sinks.proxy(directory, agent.socket, upstream.port, sinks)
        with envoy:
            load.send(port, requests(60), connections=2)
            metrics_sinks.settled_rows(agent, envoy, timed=60)
            load.send(port, requests(30), connections=2)
            metrics_sinks.settled_rows(agent, envoy, timed=90)
            if emit == "SUMMARY_AND_HISTOGRAM":
                wait_for(lambda: is_quiet(agent), "quantiles of an interval in which nothing happened")
        samples = metrics_sinks.check_ledger(agent)
        assert samples.total("weft_records_dropped_total", signal="metrics") == 0
        assert samples.total("weft_messages_accepted_total", protocol="metrics_service") > 1
        if emit == "SUMMARY_AND_HISTOGRAM":
            assert samples.total("http_downstream_rq_time_interval_count_total") == 90
        else:
            assert not samples.matching("http_downstream_rq_time_interval")


def is_quiet(agent):
    quantiles = agent.samples().matching("http_downstream_rq_time_interval", quantile="0.5")
    return quantiles and all(math.isnan(value) for _, value in quantiles)


def requests_shown(agent):
    """The reader of expositions appends _total to every counter: upstream_rq, by code, and upstream_rq_total."""
    rows = agent.samples().matching("cluster_shop_svc_cluster_local_upstream_rq_total")
    return sum(value for labels, value in rows if "envoy_response_code" not in labels)


def test_a_proxy_that_begins_anew_goes_on_counting(directory):
    with agent_of(directory) as agent, Upstream() as upstream:
        total = 0
        for round in range(2):
            sinks = [metrics_sinks.metrics_service()]
            envoy, port = metrics_sinks.proxy(
                directory, agent.socket, upstream.port, sinks, name=f"productpage-{round}"
            )
            with envoy:
                load.send(port, [("/reviews/1", "200")] * 20, connections=2)
                total += 20
                wait_for(lambda wanted=total: requests_shown(agent) == wanted, f"{total} requests")
        metrics_sinks.check_ledger(agent)


def test_two_proxies_of_one_user_add_up(directory):
    with agent_of(directory) as agent, Upstream() as upstream:
        sinks = [metrics_sinks.metrics_service()]
        first, first_port = metrics_sinks.proxy(directory, agent.socket, upstream.port, sinks, name="one")
        second, second_port = metrics_sinks.proxy(directory, agent.socket, upstream.port, sinks, name="two")
        with first, second:
            load.send(first_port, [("/reviews/1", "200")] * 15, connections=2)
            load.send(second_port, [("/reviews/1", "200")] * 10, connections=2)
            wait_for(lambda: requests_shown(agent) == 25, "25 requests")
            load.send(second_port, [("/reviews/1", "200")] * 5, connections=2)
            wait_for(lambda: requests_shown(agent) == 30, "30 requests")
        metrics_sinks.check_ledger(agent)


# ---- messages made by hand ----


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def chunk(number, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


IDENTIFIER = chunk(1, chunk(1, chunk(1, "node-1") + chunk(2, "cluster")))


def counter(name, value):
    return chunk(2, chunk(1, name) + chunk(4, chunk(3, double(1, value))))


def stream(agent, messages):
    """The status code that ends a stream of these messages."""
    with grpc.insecure_channel(f"unix:{agent.socket}") as channel:
        call = channel.stream_unary(metrics_sinks.METHOD)
        try:
            call(iter(messages), timeout=60)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def test_a_stream_has_to_say_who_speaks(directory):
    with agent_of(directory) as agent:
        assert stream(agent, [counter("made", 5)]) == grpc.StatusCode.INVALID_ARGUMENT
        samples = agent.samples()
        assert samples.total("weft_messages_refused_total", reason="no_identifier") == 1
        assert samples.total("weft_records_received_total", signal="metrics") == 0
        assert stream(agent, [IDENTIFIER + counter("made", 5), counter("made", 7)]) == grpc.StatusCode.OK
        samples = metrics_sinks.check_ledger(agent)
        assert samples.total("made_total") == 7


def test_damage_ends_the_stream_and_what_came_before_counts(directory):
    with agent_of(directory) as agent:
        messages = [IDENTIFIER + counter("made", 5), counter("made", 6)[:-3]]
        assert stream(agent, messages) == grpc.StatusCode.INVALID_ARGUMENT
        samples = metrics_sinks.check_ledger(agent)
        assert samples.total("made_total") == 5
        assert samples.total("weft_messages_refused_total", reason="malformed") == 1


def test_the_documented_sinks_are_those_of_these_tests():
    """docs/meshes/envoy-metrics.md: what it tells to paste is what Envoy loads here."""
    otlp, http, service = [json.loads(each) for each in blocks("envoy-metrics.md", "json")]
    assert otlp["stats_sinks"] == [metrics_sinks.otlp_sink()]
    assert http.items() <= metrics_sinks.otlp_sink(http=True)["typed_config"].items()
    assert service["stats_sinks"] == [metrics_sinks.metrics_service()]


def test_the_documented_configuration_of_the_agent_loads(directory):
    (text,) = blocks("envoy-metrics.md", "yaml")
    with Weftd(directory, **yaml.safe_load(text)) as agent:
        messages = [IDENTIFIER + counter("made", 5), counter("made", 6)]
        assert stream(agent, messages) == grpc.StatusCode.OK
        assert metrics_sinks.check_ledger(agent).total("made_total") == 11
