"""A synthetic call graph: services with a proxy on each side, over Unix sockets, whose delays are planted by relays.

    caller ─► [relay: network] ─► proxy ─► [relay: self] ─► application ─► proxy ─► [relay: network] ─► callee

A relay passes one line each way; before it passes a request on it waits as it was told, and logs how long that really
took. Proxies make the spans, so a relay before an application is its service's own time, and one between two proxies is
network. Everything runs on one asyncio loop, in real time, or in a time of its own that passes only while all wait:
then no other work of the machine shows in the spans, and each hop takes a small random time instead. `attribute` is the independent script: what self and network times the
spans tell, in whole nanoseconds.
"""

import asyncio
import json
import os
import random
import socket
import time
from collections import defaultdict

SPANS_PER_MESSAGE = 400
USUAL_SECONDS = 0.0005
FIRST_ATTEMPT_SECONDS = 0.3


def new_id(length):
    return os.urandom(length).hex()


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


class OwnTime(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when nothing can be read: bytes written to a Unix socket of the same
    process are there at once, so that then all wait."""

    def __init__(self):
        super().__init__()
        self.now_seconds = 0.0
        self.wait_really, self._selector.select = self._selector.select, self.wait

    def time(self):
        return self.now_seconds

    def wait(self, timeout=None):
        events = self.wait_really(0 if timeout is not None else None)
        if not events and timeout is not None:
            self.now_seconds += timeout
        return events


def loop_seconds():
    return asyncio.get_running_loop().time()


class Relay:
    """Waits delay(request) seconds before each request; log[trace id] is what it waited, in seconds."""

    def __init__(self, delay=lambda request: 0.0):
        self.delay = delay
        self.log = {}

    async def wait(self, request):
        wanted = self.delay(request)
        if wanted > 0:
            begin = loop_seconds()
            await asyncio.sleep(wanted)
            self.log[request["trace"]] = loop_seconds() - begin


class Hop:
    """A Unix socket that answers lines by a coroutine: a relay's or a proxy's end. Connections to it stay, so that a
    call costs a line each way and little else."""

    def __init__(self, path, answer, usual_seconds):
        self.path, self.answer, self.usual_seconds = str(path), answer, usual_seconds
        self.idle = []  # connections that nobody waits on

    async def start(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path)

    async def serve(self, reader, writer):
        while line := await reader.readline():
            await asyncio.sleep(self.usual_seconds())
            writer.write(json.dumps(await self.answer(json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def call(self, request):
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_unix_connection(self.path)
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline())
        self.idle.append((reader, writer))
        return answer

    async def stop(self):
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()
        self.server.close()
        await self.server.wait_closed()


class Service:
    """One service with its pods. `work` is its application: a coroutine of (service, request) that may call others by
    service.call, and returns a status."""

    def __init__(self, graph, name, pods=1, work=None, self_relay=None, network_relay=None, version=None):
        self.graph, self.name, self.pods, self.work = graph, name, pods, work
        self.self_relay = self_relay or Relay()
        self.network_relay = network_relay or Relay()
        self.version = version or (lambda pod: "v1")
        self.guard = None  # called with each request before it is passed on: (status, flags) ends it
        self.tags = lambda request: {}  # further attributes of its own span of each request
        base = graph.directory / name
        self.hops = [
            Hop(f"{base}-network.sock", self.pass_network, graph.usual_seconds),
            Hop(f"{base}-proxy.sock", self.inbound, graph.usual_seconds),
            Hop(f"{base}-self.sock", self.pass_self, graph.usual_seconds),
            Hop(f"{base}-application.sock", self.application, graph.usual_seconds),
        ]

    async def pass_network(self, request):
        await self.network_relay.wait(request)
        return await self.hops[1].call(request)

    async def pass_self(self, request):
        await self.self_relay.wait(request)
        return await self.hops[3].call(request)

    async def application(self, request):
        status = await self.work(self, request) if self.work else None
        return {"status": status or 200}

    def span(self, request, kind, parent, begin, pod, status, *attributes, emitter="opentelemetry"):
        self.graph.add_span(
            (self.name, pod, self.version(pod), emitter),
            {
                "traceId": request["trace"], "spanId": request["span"], "parentSpanId": parent, "kind": kind,
                "name": f"GET {request['route']}",
                "startTimeUnixNano": str(begin), "endTimeUnixNano": str(self.graph.now_ns()),
                "attributes": [
                    text("http.route", request["route"]), text("http.request.method", "GET"),
                    {"key": "http.response.status_code", "value": {"intValue": str(status)}}, *attributes,
                ],
            },
        )

    async def inbound(self, request):
        begin = self.graph.now_ns()
        pod = self.graph.random.randrange(self.pods)
        own = {**request, "span": new_id(8), "pod": pod}
        ended = self.guard(own) if self.guard else None
        answer = {"status": ended[0]} if ended else await self.hops[2].call(own)
        flags = [text("response_flags", ended[1])] if ended and ended[1] else []
        tags = [text(key, value) for key, value in self.tags(own).items()]
        self.span(own, 2, request["span"], begin, pod, answer["status"], *flags, *tags)
        return answer

    async def call(self, request, callee, route="/", **more):
        """A call of the application to another service, by its proxy."""
        begin = self.graph.now_ns()
        own = {"trace": request["trace"], "span": new_id(8), "route": route, "caller": self.name, **more}
        answer = await callee.hops[0].call(own)
        self.span(own, 3, request["span"], begin, request["pod"], answer["status"], text("peer.service", callee.name))
        return answer["status"]

    async def call_twice(self, request, callee, route="/"):
        """The same by an Envoy whose first attempt ends in nothing: a request with two attempts."""
        request_span, cluster = new_id(8), f"outbound|80||{callee.name}.default.svc.cluster.local"
        begin = self.graph.now_ns()
        common = [text("component", "proxy"), text("upstream_cluster", cluster)]
        envoy = {"emitter": "envoy"}
        for number in range(2):
            attempt = {"trace": request["trace"], "span": new_id(8), "route": route, "caller": self.name}
            attempt_begin = self.graph.now_ns()
            if number == 0:
                await asyncio.sleep(FIRST_ATTEMPT_SECONDS)
                status = 503
            else:
                status = (await callee.hops[0].call(attempt))["status"]
            self.span(attempt, 3, request_span, attempt_begin, request["pod"], status,
                      text("upstream_address", "10.0.0.7:80"), *common, **envoy)
        own = {"trace": request["trace"], "span": request_span, "route": route}
        self.span(own, 2, request["span"], begin, request["pod"], status,
                  text("guid:x-request-id", new_id(4)), *common, **envoy)
        return status


class Graph:
    def __init__(self, directory, seed, in_real_time=False):
        self.directory = directory
        self.in_real_time = in_real_time
        self.base_ns = 0  # when the loop's clock was at 0
        self.random = random.Random(seed)
        self.services = []
        self.spans = defaultdict(list)  # by (service, pod, version, emitter)

    def add_span(self, resource, span):
        self.spans[resource].append(span)

    def service(self, name, **keys):
        self.services.append(Service(self, name, **keys))
        return self.services[-1]

    def now_ns(self):
        return self.base_ns + int(loop_seconds() * 1e9)

    def usual_seconds(self):
        """What a hop takes, when it takes no real time."""
        return 0 if self.in_real_time else min(self.random.expovariate(1 / USUAL_SECONDS), 5 * USUAL_SECONDS)

    def play(self, entry, count, **keys):
        """Runs requests to the service `entry`; their trace ids."""
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop if self.in_real_time else OwnTime) as runner:
            return runner.run(self.run(entry, count, **keys))

    async def run(self, entry, count, concurrency=8, routes=("/",), pace=None):
        """`count` requests to the service `entry` from a caller that makes no spans; their trace ids."""
        for service in self.services:
            for hop in service.hops:
                await hop.start()
        limit = asyncio.Semaphore(concurrency)
        self.base_ns = time.time_ns() - int(loop_seconds() * 1e9)
        traces = []

        async def one(number):
            async with limit:
                traces.append(new_id(16))
                request = {"trace": traces[-1], "span": "", "route": self.random.choice(routes), "n": number}
                await entry.hops[0].call(request)

        tasks = []
        for number in range(count):
            tasks.append(asyncio.ensure_future(one(number)))
            if pace:
                await asyncio.sleep(pace(number))
        await asyncio.gather(*tasks)
        for service in self.services:
            for hop in service.hops:
                await hop.stop()
        return traces

    def server_count(self):
        """Spans of services that were called; an Envoy's own kind 2 towards its upstream is none."""
        return sum(
            span["kind"] == 2 and all(a["key"] != "guid:x-request-id" for a in span["attributes"])
            for _, span in self.all_spans()
        )

    def all_spans(self):
        return [(service, span) for (service, *_), spans in self.spans.items() for span in spans]

    def post(self, path):
        """Everything to the agent's socket, each pod's spans in messages of their own, in no order; how many."""
        messages = [
            {"resourceSpans": [{
                "resource": {"attributes": [text("service.name", service), text("k8s.pod.name", f"{service}-{pod}"),
                                            text("service.version", version), text("telemetry.sdk.name", emitter)]},
                "scopeSpans": [{"spans": spans[at:at + SPANS_PER_MESSAGE]}],
            }]}
            for (service, pod, version, emitter), spans in self.spans.items()
            for at in range(0, len(spans), SPANS_PER_MESSAGE)
        ]
        self.random.shuffle(messages)
        for message in messages:
            post_json(path, message)
        return sum(len(spans) for spans in self.spans.values())


def post_json(path, message):
    body = json.dumps(message).encode()
    head = f"POST /v1/traces HTTP/1.1\r\nHost: weft\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(head.encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]


def interval(span):
    return int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])


def covered_by(span, below):
    """How long one of the spans below was under way, within the span."""
    begin, end = interval(span)
    covered, until = 0, begin
    for a, b in sorted((max(a, begin), min(b, end)) for a, b in (interval(c) for _, c in below)):
        if b > max(a, until):
            covered += b - max(a, until)
            until = b
    return covered


def children_of(spans):
    children = defaultdict(list)
    for service, span in spans:
        children[span["traceId"], span["parentSpanId"]].append((service, span))
    return children


def child_times(graph):
    """{service: [ns in which its calls were under way]}."""
    spans = graph.all_spans()
    children = children_of(spans)
    times = defaultdict(list)
    for service, span in spans:
        if span["kind"] == 2:
            times[service].append(covered_by(span, children[span["traceId"], span["spanId"]]))
    return times


def attribute(graph):
    """({service: [self ns]}, {(caller, callee): [network ns]}) of spans of which a server's calls are its children."""
    spans = graph.all_spans()
    children = children_of(spans)
    own, network = defaultdict(list), defaultdict(list)
    for service, span in spans:
        begin, end = interval(span)
        below = children[span["traceId"], span["spanId"]]
        if span["kind"] == 2:
            own[service].append(end - begin - covered_by(span, below))
        else:
            for callee, server in below:
                a, b = interval(server)
                network[service, callee].append(max(0, (end - begin) - (b - a)))
    return own, network
