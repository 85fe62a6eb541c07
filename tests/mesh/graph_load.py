"""Traces of a call graph over several nodes, recorded under libweft, one client a node, at a steady rate.

    graph_load.py --library libweft.so --socket PATH... --rate TRACES_PER_SECOND --seconds N --list FILE

A trace is a chain of six calls, svc-0 → svc-1 → … → svc-6, each told by the caller on its node and by the callee
on the next one, so that of three nodes each has four of the twelve spans. One trace in a hundred fails and one is
slow, in one span of one node. Starts at a line of input; at the end flushes, writes those traces with their spans to
FILE, one JSON object a line, and prints what became of all. A process of its own, like caller.py.
"""

import argparse
import json
import random
import struct
import sys
import time

from caller import Client, Span

CALLS = 6
SPANS = 2 * CALLS
STEP_SECONDS = 0.005
MS = 1_000_000
SLOW_NS = 1500 * MS
SOURCE, DESTINATION = 1, 2  # enum weft_reporter


def node_of(part, nodes):
    """Which node records the part-th span: the caller's, then the callee's."""
    return (part + 1) // 2 % nodes


def pair_of(part):
    """(source, destination, reporter) of the part-th span."""
    return f"svc-{part // 2}", f"svc-{part // 2 + 1}", ("source", "destination")[part % 2]


def templates(clients):
    made = []
    for part in range(SPANS):
        client = clients[node_of(part, len(clients))]
        source, destination, _ = pair_of(part)
        span = Span(duration_ns=(SPANS + 1 - part) * MS, reporter=part % 2 + 1, response_code=200, protocol=1)
        span.source, span.destination = client.intern(source.encode()), client.intern(destination.encode())
        span.route, span.method = client.intern(b"/step/{n}"), client.intern(b"GET")
        span.attempts = 1
        made.append((client, span))
    return made


def record_trace(parts, numbers, taken):
    """One trace; its description when it is one of those that are worth keeping."""
    chance = numbers.random()
    fault = "error" if chance < 0.01 else "slow" if chance < 0.02 else None
    where = numbers.randrange(SPANS) if fault else -1
    high, low, base = numbers.getrandbits(64) | 1, numbers.getrandbits(64), numbers.getrandbits(60) << 4
    now_ns, parent, lost = time.time_ns(), 0, []
    for part, (client, span) in enumerate(parts):
        usual_ns = span.duration_ns
        span.trace_high, span.trace_low = high, low
        span.span_id, span.parent_id, parent = base | (part + 1), parent, base | (part + 1)
        if part == where:
            span.response_code = 503 if fault == "error" else 200
            span.duration_ns = SLOW_NS if fault == "slow" else usual_ns
        span.start_time_unix_ns = now_ns - span.duration_ns
        if client.record_span(span) == 0:
            taken[part] += 1
        else:
            lost.append(part)
        span.response_code, span.duration_ns = 200, usual_ns
    if fault is None:
        return None
    return {
        "trace": struct.pack("=QQ", high, low).hex(),
        "spans": [struct.pack("=Q", base | (part + 1)).hex() for part in range(SPANS)],
        "fault": fault,
        "where": where,
        "lost": lost,  # libweft had no room
        "time": now_ns / 1e9,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True)
    parser.add_argument("--socket", nargs="+", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--list", required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    clients = [Client(options.library, socket, 32 << 20, b"graph") for socket in options.socket]
    parts, numbers = templates(clients), random.Random(options.seed)
    marked, taken, count = [], [0] * SPANS, 0
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < options.seconds:
        while count < elapsed * options.rate:
            made = record_trace(parts, numbers, taken)
            count += 1
            if made is not None:
                marked.append(made)
        time.sleep(STEP_SECONDS)
    flushed = [client.flush() for client in clients]
    with open(options.list, "w", encoding="ascii") as out:
        for made in marked:
            out.write(json.dumps(made) + "\n")
    stats = [client.stats() for client in clients]
    print(json.dumps({"traces": count, "taken": taken, "flushed": flushed, "stats": stats}), flush=True)
    return 0 if all(client.close() == 0 for client in clients) else 1


if __name__ == "__main__":
    sys.exit(main())
