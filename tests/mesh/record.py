"""Records the fixtures of tests/corpus/ from real senders: Envoy's tracer and the OpenTelemetry Python SDK.

    build/venv/bin/python tests/mesh/record.py [--out DIRECTORY]

Takes about a minute; talks to loopback and Unix sockets only; overwrites the files that it names. See
tests/corpus/README.md for what is in each.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import als
import corpus
import javascript
import load
import metrics_sinks
import logging_proxies
import mix as mixes
import otel_logs
import ratings
import statsd
from harness import REPOSITORY, TemporaryDirectory, wait_for
from http_sink import HttpSink
from scraped import ScrapedEnvoy, ScrapedHaproxy
from sidecar import Chain, tracing_xray, tracing_zipkin
from sink import Relay, Sink
from udp_sink import UdpSink
from upstream import Upstream

SEED = 20240607
STREAM_BYTES_MAX = 50_000
SDK_RUNS = (
    ("http", "old"),
    ("http", "new"),
    ("http", "both"),
    ("grpc", "old"),
    ("rpc", "new"),
    ("weighted", "new"),
)
SDK_COUNTS = {"weighted": 200}
SDK_COUNT = 9


def mix(count, spawn):
    """A mix of requests as a mesh sees them: mostly fine, some slow, some retried, some failing in each
    way."""
    rare = [
        ("/reviews/5", "reset"),
        ("/slow/6", "d200:200"),
        ("/dead/1", "200"),
        ("/empty/1", "200"),
        ("/direct", "200"),
        ("/nothing/3fa85f64-5717-4562-b3fc-2c963f66afa6", "200"),
        ("/reviews/2", "503"),
        ("/reviews/2?page=1", "502,503,200"),
        ("/reviews/8/comments", "reset,200"),
    ]
    usual = ["200"] * 12 + ["d3:200", "d20:200", "404", "500", "503,200", "503,503,200", "201", "304"]
    rng = random.Random(SEED + spawn)
    made = [
        (f"/reviews/{rng.randrange(10**6)}?token=secret-{rng.randrange(10**9)}&user=7", rng.choice(usual))
        for _ in range(count)
    ]
    made += rare
    rng.shuffle(made)
    return made


def record_envoy(out, spawn, decorated, count):
    """Every message of both sidecars for one run of the mix, gRPC calls and a client that leaves."""
    with TemporaryDirectory() as directory, Upstream() as upstream, ratings.Ratings() as rpc, Sink(
        directory / "sink.sock"
    ) as sink, Relay(directory / "weft.sock", directory / "sink.sock") as relay, Chain(
        directory, directory / "weft.sock", upstream.port, spawn, decorated, rpc.port, flush_ms=5000
    ) as chain:
        load.send(chain.port, mix(count, spawn), connections=4)
        ratings.call(chain.port, [0, 0, 5, 0, 14, 13, 4])
        ratings.call(chain.port, [0], delay_s=0.5, timeout_s=0.1)
        load.abandon(chain.port, "/reviews/9", "d300:200")
        time.sleep(6)  # the tracer's timer sends what is left
        messages = sink.traces()
        sent = chain.spans_sent()
        got = sum(1 for _ in corpus.spans(messages))
        assert got == sent, f"Envoy says it sent {sent} spans, {got} came"
        name = f"envoy_spawn_{'on' if spawn else 'off'}"
        corpus.write(out / f"{name}.otlp", messages)
        # The front sidecar's connection: client preface, SETTINGS, HEADERS with the dynamic table, DATA.
        stream = max(relay.streams, key=len)
        (out / f"{name}.h2").write_bytes(bytes(stream[:STREAM_BYTES_MAX]))
        print(f"{name}: {len(messages)} messages, {got} spans")


def record_zipkin(out, spawn, count):
    """The same by the Zipkin tracer: every body that both sidecars posted, as one JSON array of arrays."""
    with TemporaryDirectory() as directory, Upstream() as upstream, ratings.Ratings() as rpc, HttpSink(
        directory / "weft.sock"
    ) as sink, Chain(
        directory,
        directory / "weft.sock",
        upstream.port,
        spawn,
        grpc_port=rpc.port,
        flush_ms=5000,
        tracer=tracing_zipkin,
    ) as chain:
        load.send(chain.port, mix(count, spawn), connections=4)
        ratings.call(chain.port, [0, 0, 5, 0, 14, 13, 4])
        ratings.call(chain.port, [0], delay_s=0.5, timeout_s=0.1)
        load.abandon(chain.port, "/reviews/9", "d300:200")
        time.sleep(6)  # the tracer's timer sends what is left
        bodies = sink.bodies("/api/v2/spans")
        sent, got = chain.spans_sent(), sum(len(json.loads(body)) for body in bodies)
        assert got == sent, f"Envoy says it sent {sent} spans, {got} came"
        name = f"zipkin_envoy_spawn_{'on' if spawn else 'off'}.json"
        (out / name).write_bytes(b"[\n" + b",\n".join(bodies) + b"\n]\n")
        print(f"{name}: {len(bodies)} bodies, {got} spans")


def record_xray(out, spawn, count):
    """The same by the X-Ray tracer: every datagram that both sidecars sent."""
    with TemporaryDirectory() as directory, Upstream() as upstream, ratings.Ratings() as rpc, UdpSink() as sink, Chain(
        directory,
        directory / "weft.sock",
        upstream.port,
        spawn,
        grpc_port=rpc.port,
        tracer=tracing_xray(sink.port),
    ) as chain:
        load.send(chain.port, mix(count, spawn), connections=4)
        ratings.call(chain.port, [0, 0, 5, 0, 14, 13, 4])
        ratings.call(chain.port, [0], delay_s=0.5, timeout_s=0.1)
        load.abandon(chain.port, "/reviews/9", "d300:200")
        time.sleep(2)  # each segment is sent when it has ended
        name = f"xray_envoy_spawn_{'on' if spawn else 'off'}.datagrams"
        corpus.write(out / name, sink.datagrams)
        print(f"{name}: {len(sink.datagrams)} datagrams")


def record_javascript(out, count):
    """The first request of each signal that the JavaScript SDK posts as JSON."""
    with TemporaryDirectory() as directory, HttpSink(directory / "weft.sock") as sink:
        javascript.send(directory / "weft.sock", "http/json", count)
        for signal in ("traces", "metrics", "logs"):
            (body, *_) = sink.bodies(f"/v1/{signal}")
            (out / f"javascript_{signal}.json").write_bytes(body)
            print(f"javascript_{signal}.json: {len(body)} bytes")


def record_statsd(out, count):
    """What Envoy's statsd sinks send: datagrams of DogStatsD, and the beginning of a plain stream."""
    with TemporaryDirectory() as directory, Upstream() as upstream, statsd.DatagramSink(
        directory / "dogstatsd.sock"
    ) as datagrams, statsd.StreamSink(directory / "statsd.sock") as stream:
        sinks = [statsd.dogstatsd_sink(directory / "dogstatsd.sock"), statsd.statsd_stream_sink()]
        envoy, port = statsd.proxy(directory, upstream.port, sinks, directory / "statsd.sock")
        with envoy:
            load.send(port, mix(count, spawn=True), connections=4)
            time.sleep(3 * statsd.FLUSH_SECONDS)
        corpus.write(out / "statsd_envoy_dogstatsd.datagrams", datagrams.datagrams)
        whole = bytes(stream.data[:STREAM_BYTES_MAX])
        (out / "statsd_envoy_stream.txt").write_bytes(whole[: whole.rindex(b"\n") + 1])
        print(f"statsd: {len(datagrams.datagrams)} datagrams, {len(stream.data)} bytes of stream")


def record_nginx(out):
    """Every line of nginx for its mix, and two requests that are hard to write down."""
    with TemporaryDirectory() as directory, Upstream() as upstream, logging_proxies.Sink(
        directory / "nginx.sock", stream=False
    ) as sink, logging_proxies.Nginx(directory, upstream.port) as nginx:
        expected = logging_proxies.play_nginx(
            nginx.port, lambda lines: wait_for(lambda: len(sink.datagrams) >= lines, "lines"), upstream
        )
        logging_proxies.odd(nginx.port)
        wait_for(lambda: len(sink.datagrams) >= expected.lines + 2, "nginx' lines")
        corpus.write(out / "nginx.datagrams", sink.datagrams)
        print(f"nginx.datagrams: {len(sink.datagrams)} lines")


def record_haproxy(out, ring):
    """The same of HAProxy, by datagrams or through a ring."""
    name = "haproxy-stream.sock" if ring else "haproxy.sock"
    with TemporaryDirectory() as directory, Upstream() as upstream, logging_proxies.Sink(
        directory / name, stream=ring
    ) as sink, logging_proxies.Haproxy(directory, upstream.port, ring) as haproxy:
        logging_proxies.play_haproxy(haproxy.port, lambda lines: None, upstream)
        logging_proxies.odd(haproxy.port)
        time.sleep(1)
        if ring:
            (out / "haproxy_ring.stream").write_bytes(bytes(sink.streams[0]))
            print(f"haproxy_ring.stream: {len(sink.streams[0])} bytes")
        else:
            corpus.write(out / "haproxy.datagrams", sink.datagrams)
            print(f"haproxy.datagrams: {len(sink.datagrams)} lines")


def record_scraped(out, proxy, count):
    """What a proxy's own exposition says after some requests."""
    name = "scrape_envoy.prom" if proxy is ScrapedEnvoy else "scrape_haproxy.prom"
    with TemporaryDirectory() as directory, Upstream() as upstream, proxy(directory, upstream.port) as scraped:
        load.send(scraped.port, [("/a", "200")] * count + [("/b", "503")])
        time.sleep(2)  # Envoy adds up its histograms once a second
        text = scraped.exposition()
    (out / name).write_text(text)
    print(f"{name}: {len(text)} bytes")


def record_als(out):
    """What both sidecars' access loggers streamed of the whole mix: stream after stream, each begins with its
    node."""
    with TemporaryDirectory() as directory, Upstream() as upstream, ratings.Ratings() as rpc, als.sink(
        directory / "weft.sock"
    ) as sink, mixes.Mix(
        directory,
        upstream.port,
        rpc.port,
        als.telemetry(directory / "weft.sock", traced=True, peers=True),
        secure=mixes.mutual_tls(directory),
    ) as mix:
        mixes.play(mix)
        time.sleep(2)  # the loggers' timers send what is left
        streams = [list(stream) for stream in sink.streams]
        corpus.write(out / "als_envoy.als", [message for stream in streams for message in stream])
        counts = Counter(kind for stream in streams for kind, _ in als.entries(stream))
        print(f"als_envoy.als: {len(streams)} streams, {dict(counts)} entries")


def record_otlp_logs(out):
    """What both sidecars' OpenTelemetry access loggers sent of the whole mix, fields as attributes; and the
    first messages of the same with the fields as a map in the body."""
    for in_body, name in ((False, "otlp_logs_envoy.logs"), (True, "otlp_logs_envoy_body.logs")):
        with TemporaryDirectory() as directory, Upstream() as upstream, ratings.Ratings() as rpc, Sink(
            directory / "weft.sock"
        ) as sink, mixes.Mix(
            directory,
            upstream.port,
            rpc.port,
            otel_logs.telemetry(directory / "weft.sock", traced=True, in_body=in_body),
            secure=mixes.mutual_tls(directory),
        ) as mix:
            mixes.play(mix)
            time.sleep(2)  # the loggers' timers send what is left
            messages = otel_logs.messages(sink)
        kept = messages[:10] if in_body else messages
        corpus.write(out / name, kept)
        print(f"{name}: {len(kept)} messages, {sum(1 for _ in otel_logs.records(kept))} records")


def record_metrics(out):
    """What Envoy's OpenTelemetry statistics sink sends over gRPC and HTTP, and its metrics service with counters
    as totals and as deltas: the flushes of one short run each."""
    runs = (
        ("envoy_grpc.metrics", Sink, metrics_sinks.otlp_sink()),
        ("envoy_http.metrics", HttpSink, metrics_sinks.otlp_sink(http=True)),
        ("envoy_delta.metrics", Sink, metrics_sinks.otlp_sink(**metrics_sinks.OTLP_DELTAS)),
        ("envoy.metrics_service", metrics_sinks.stream_sink, metrics_sinks.metrics_service()),
        ("envoy_delta.metrics_service", metrics_sinks.stream_sink, metrics_sinks.metrics_service(deltas=True)),
    )
    for name, kind, config in runs:
        with TemporaryDirectory() as directory, Upstream() as upstream, kind(directory / "weft.sock") as sink:
            envoy, port = metrics_sinks.proxy(directory, directory / "weft.sock", upstream.port, [config])
            with envoy:
                load.send(port, mix(24, spawn=True), connections=2)
                time.sleep(2.5 * metrics_sinks.FLUSH_SECONDS)
        messages = metrics_sinks.kept(sink)
        corpus.write(out / name, messages)
        print(f"{name}: {len(messages)} messages, {[len(message) for message in messages]} bytes")


def record_sdk(out, scenario, convention):
    name = f"sdk_{scenario}_{convention}"
    count = SDK_COUNTS.get(scenario, SDK_COUNT)
    with TemporaryDirectory() as directory, Sink(directory / "weft.sock") as sink:
        subprocess.run(
            [
                sys.executable,
                REPOSITORY / "tests/mesh/sdk.py",
                "--target",
                f"unix:{directory}/weft.sock",
                "--scenario",
                scenario,
                "--convention",
                convention,
                "--count",
                str(count),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
        )
        wait_for(sink.traces, "the SDK's first message")
        corpus.write(out / f"{name}.otlp", sink.traces())
        print(f"{name}: {len(sink.traces())} messages, {sum(1 for _ in corpus.spans(sink.traces()))} spans")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "tests/corpus")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    record_envoy(out, spawn=True, decorated=False, count=325)
    record_envoy(out, spawn=False, decorated=True, count=225)
    record_zipkin(out, spawn=True, count=60)
    record_zipkin(out, spawn=False, count=60)
    record_javascript(out, count=6)
    record_xray(out, spawn=True, count=40)
    record_xray(out, spawn=False, count=40)
    record_statsd(out, count=60)
    record_scraped(out, ScrapedEnvoy, count=20)
    record_scraped(out, ScrapedHaproxy, count=20)
    record_als(out)
    record_otlp_logs(out)
    record_nginx(out)
    record_haproxy(out, ring=False)
    record_haproxy(out, ring=True)
    record_metrics(out)
    for scenario, convention in SDK_RUNS:
        record_sdk(out, scenario, convention)


if __name__ == "__main__":
    main()
