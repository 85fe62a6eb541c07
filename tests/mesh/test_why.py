"""Self and network times equal an independent script's on the same spans and fit what relays delayed; `weft why` finds
what was planted, and nothing where nothing was."""

import asyncio
import json
import subprocess
from statistics import median

import pytest

from agent import WEFT, Weftd
from harness import wait_for
from planted import Graph, Relay, attribute, child_times

JOIN_WAIT_MS = 1000
REQUESTS = 240
SLOW_SECONDS = 0.2
ROUTES = tuple(f"/r{number}" for number in range(6))


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    weftd = Weftd(tmp_path_factory.mktemp("why"), shards=2, limits={"trace_join_wait_ms": JOIN_WAIT_MS})
    yield weftd
    weftd.stop()


def joined(agent):
    return agent.samples().total("weft_trace_timings_total", result="joined")


def deliver(agent, graph):
    """Posts the graph's spans and waits until the agent has told all their times."""
    before = joined(agent)
    count = graph.post(agent.socket)
    wait_for(lambda: joined(agent) >= before + count, f"{count} spans joined", 30)
    servers = graph.server_count()
    names = {service.name for service in graph.services}

    def told():
        samples = agent.samples()
        return sum(samples.total("mesh_service_self_seconds_count", mesh_service=name) for name in names) >= servers

    wait_for(told, "self times", 30)


def why(agent, service):
    done = subprocess.run([WEFT, "why", service, "--json", "--api", str(agent.api_socket)], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def first_cause(agent, service):
    answer = why(agent, service)
    assert answer["verdict"] == "cause", json.dumps(answer, indent=1)
    cause = answer["causes"][0]
    status, _, _ = agent.get(f"/api/v1/traces/{cause['example']['trace_id']}")
    assert status == 200
    return cause["kind"], cause["value"]


def nanoseconds(samples, name, **labels):
    return round(samples.total(f"{name}_sum", **labels) * 1e9)


def buckets(samples, name, **labels):
    """{upper bound in seconds: requests up to it}."""
    counts = samples.by(("le",), f"{name}_bucket", **labels)
    assert counts["+Inf",] == REQUESTS
    return {float(bound): count for (bound,), count in counts.items()}


def expected_buckets(samples, times_ns):
    """The same of the script's times, for the bounds of any of these histograms."""
    bounds = {float(labels["le"]) for labels, _ in samples.matching("mesh_service_self_seconds_bucket")}
    counts = {bound: sum(time <= bound * 1e9 for time in times_ns) for bound in bounds}
    return {bound: count for bound, count in counts.items() if count > 0}


def run(graph, entry, count=REQUESTS, **keys):
    graph.play(entry, count, **{"concurrency": 5, "routes": ROUTES, **keys})


def test_times_equal_an_independent_script(agent, tmp_path):
    graph = Graph(tmp_path, seed=1, in_real_time=True)
    own_delay, network_delay, db_delay = Relay(lambda _: 0.06), Relay(lambda _: 0.08), Relay(lambda _: 0.1)
    db = graph.service("db", self_relay=db_delay, network_relay=network_delay)

    async def cart_work(service, request):
        return await service.call(request, db)

    async def web_work(service, request):
        return await service.call(request, cart)

    cart = graph.service("cart", pods=3, work=cart_work, self_relay=own_delay)
    web = graph.service("web", work=web_work)
    run(graph, web, concurrency=6)
    deliver(agent, graph)
    own, network = attribute(graph)
    samples = agent.samples()
    children = child_times(graph)
    for service, times in own.items():
        labels = {"mesh_service": service}
        assert samples.total("mesh_service_self_seconds_count", **labels) == len(times) == REQUESTS
        assert nanoseconds(samples, "mesh_service_self_seconds", **labels) == sum(times)
        assert buckets(samples, "mesh_service_self_seconds", **labels) == expected_buckets(samples, times)
        whole = nanoseconds(samples, "mesh_request_duration_seconds", reporter="destination", destination=service)
        assert whole - sum(times) == sum(children[service])
    assert set(network) == {("web", "cart"), ("cart", "db")}
    for (source, destination), times in network.items():
        labels = {"source": source, "destination": destination}
        assert nanoseconds(samples, "mesh_edge_network_seconds", **labels) == sum(times)
        assert buckets(samples, "mesh_edge_network_seconds", **labels) == expected_buckets(samples, times)
    for relay, arguments in (
        (own_delay, {"of": "self", "destination": "cart"}),
        (db_delay, {"of": "self", "destination": "db"}),
        (network_delay, {"of": "network", "source": "cart", "destination": "db"}),
    ):
        told = agent.json("/api/v1/latency", q="0.5", window="5m", **arguments)["quantiles"][0]["seconds"]
        planted = median(relay.log.values())
        assert len(relay.log) == REQUESTS
        assert abs(told - planted) <= max(0.002, 0.05 * planted), (arguments, told, planted)


def chain(directory, scenario, cart=None, db=None, db_work=None, cart_work=None, pods=4):
    """web ─► cart ─► db, named by the scenario."""
    graph = Graph(directory, seed=len(scenario))
    database = graph.service(f"db-{scenario}", work=db_work, **(db or {}))

    async def call_database(service, request):
        return await service.call(request, database)

    middle = graph.service(f"cart-{scenario}", pods=pods, work=cart_work or call_database, **(cart or {}))
    return graph, middle, database


def some(graph, share):
    """Whether this request is one of the share, the same for all who ask."""
    return lambda request: int(request["trace"][:8], 16) < share * 2**32


def test_slow_pod(agent, tmp_path):
    relay = Relay(lambda request: SLOW_SECONDS if request["pod"] == 2 else 0)
    graph, cart, _ = chain(tmp_path, "pod", cart={"self_relay": relay})
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("pod", "cart-pod-2")


def test_slow_route(agent, tmp_path):
    relay = Relay(lambda request: SLOW_SECONDS if request["route"] == "/r3" else 0)
    graph, cart, _ = chain(tmp_path, "route", cart={"self_relay": relay})
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("route", "/r3")


def test_slow_callee(agent, tmp_path):
    graph, cart, db = chain(tmp_path, "callee", db={"self_relay": Relay()})
    db.self_relay.delay = lambda request: SLOW_SECONDS if some(graph, 0.1)(request) else 0
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("callee", db.name)


def test_retries(agent, tmp_path):
    async def work(service, request):
        retried = some(graph, 0.1)(request)
        return await (service.call_twice if retried else service.call)(request, db)

    graph, cart, db = chain(tmp_path, "retries", cart_work=work)
    run(graph, cart)
    deliver(agent, graph)
    kind, value = first_cause(agent, cart.name)
    assert kind == "retries" and value.startswith(db.name), json.dumps(why(agent, cart.name), indent=1)


def test_one_caller(agent, tmp_path):
    relay = Relay(lambda request: SLOW_SECONDS if request["caller"] == "batch" else 0)
    graph = Graph(tmp_path, seed=5)
    cart = graph.service("cart-caller", pods=4, self_relay=relay)

    async def work(service, request):
        return await service.call(request, cart, route=request["route"])

    callers = [graph.service(name, work=work) for name in ("batch", "shop", "mobile", "admin")]

    async def fan_out(service, request):
        return await service.call(request, callers[request["n"] % 4], route=request["route"])

    gate = graph.service("gate", work=fan_out)
    run(graph, gate)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("caller", "batch")


def test_one_version(agent, tmp_path):
    relay = Relay(lambda request: SLOW_SECONDS if request["pod"] % 2 == 1 else 0)
    graph, cart, _ = chain(
        tmp_path, "version", pods=8, cart={"self_relay": relay, "version": lambda pod: f"v{pod % 2 + 1}"}
    )
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("version", "v2")


def test_network_delay(agent, tmp_path):
    graph, cart, db = chain(tmp_path, "network", db={"network_relay": Relay()})
    db.network_relay.delay = lambda request: SLOW_SECONDS if some(graph, 0.1)(request) else 0
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("network_to", db.name)


def test_queueing(agent, tmp_path):
    """One worker of 4 ms a request: most come one by one, some all at once."""
    lock = asyncio.Lock()

    async def work(service, request):
        async with lock:
            await asyncio.sleep(0.004)

    graph = Graph(tmp_path, seed=8)
    cart = graph.service("cart-queue", pods=4, work=work)
    run(graph, cart, count=400, concurrency=400, pace=lambda number: 0.0 if number % 100 < 20 else 0.012)
    deliver(agent, graph)
    assert first_cause(agent, cart.name)[0] == "queueing"


def tenant_of(request):
    return f"tenant-{int(request['trace'][:2], 16) % 10}"


def test_attribute(agent, tmp_path):
    """One tenant's requests are slow, whatever route and pod; other attributes tell nothing, or the same again."""
    relay = Relay(lambda request: SLOW_SECONDS if tenant_of(request) == "tenant-3" else 0)
    graph, cart, _ = chain(tmp_path, "tenant", cart={"self_relay": relay})
    cart.tags = lambda request: {
        "tenant": tenant_of(request), "request.number": str(request["n"]), "feature": f"f{request['n'] % 3}",
    }
    run(graph, cart)
    deliver(agent, graph)
    answer = why(agent, cart.name)
    assert first_cause(agent, cart.name) == ("attribute", "tenant-3"), json.dumps(answer, indent=1)
    cause, *others = answer["causes"]
    assert cause["key"] == "tenant" and cause["strong"]
    assert cause["share"] > 0.7 and cause["share_of_others"] < 0.2  # a crowded machine makes others slow as well
    assert cause["lift"] is None or cause["lift"] == pytest.approx(cause["share"] / cause["share_of_others"])
    assert tenant_of({"trace": cause["example"]["trace_id"]}) == "tenant-3"
    assert cause["example"]["seconds"] >= SLOW_SECONDS
    assert answer["attributes_of"]["slow"] == answer["slow_requests"] and answer["attributes_of"]["others"] >= 100
    assert all(other["kind"] != "attribute" for other in others), json.dumps(others, indent=1)


def test_attribute_of_who_called(agent, tmp_path):
    """It is told by the caller's span alone, and it is a called service that takes the time."""
    graph, cart, db = chain(tmp_path, "above", db={"self_relay": Relay()})
    db.self_relay.delay = lambda request: SLOW_SECONDS if tenant_of(request) == "tenant-7" else 0

    async def work(service, request):
        return await service.call(request, cart, route=request["route"])

    gate = graph.service("gate-above", work=work)
    gate.tags = lambda request: {"tenant": tenant_of(request)}
    run(graph, gate)
    deliver(agent, graph)
    answer = why(agent, cart.name)
    causes = [(cause["kind"], cause["value"]) for cause in answer["causes"] if cause["strong"]]
    assert causes[0] == ("attribute", "tenant-7") and ("callee", db.name) in causes, json.dumps(answer, indent=1)


def test_circuit_breaker(agent, tmp_path):
    graph, cart, _ = chain(tmp_path, "breaker")
    cart.guard = lambda request: (503, "UO") if request["n"] % 10 == 0 else None
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("response_flag", "UO")


def test_rate_limit(agent, tmp_path):
    graph, cart, _ = chain(tmp_path, "limit")
    cart.guard = lambda request: (429, "RL") if request["n"] % 8 == 0 else None
    run(graph, cart)
    deliver(agent, graph)
    assert first_cause(agent, cart.name) == ("response_flag", "RL")


def test_evenly_slow(agent, tmp_path):
    graph, cart, _ = chain(tmp_path, "even", cart={"self_relay": Relay(lambda _: SLOW_SECONDS)})
    run(graph, cart)
    deliver(agent, graph)
    answer = why(agent, cart.name)
    assert answer["verdict"] == "no_single_cause", json.dumps(answer, indent=1)
    assert answer["requests"] == REQUESTS


def test_in_the_terminal(agent):
    """After the others: their traces are there."""
    answer = why(agent, "cart-pod")
    trace_id = answer["causes"][0]["example"]["trace_id"]
    for arguments, expected in (
        (["why", "cart-pod"], "pod cart-pod-2"),
        (["trace", trace_id], "cart-pod GET"),
        (["slow", "cart-pod", "--min", "50ms", "--count", "3"], "cart-pod"),
        (["heatmap", "cart-pod"], "cart-pod: "),
    ):
        done = subprocess.run([WEFT, *arguments, "--api", str(agent.api_socket)], capture_output=True, timeout=30, text=True)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout, done.stdout
        assert "\x1b" not in done.stdout
