"""Live traffic for a running agent: real Envoy sidecars before a tiny upstream, and a load loop.

    build/venv/bin/python tests/mesh/live.py --socket /run/weft/weft.sock [--rps 20] [--no-attempts]

Used by `scripts/up --envoy`. Ends, with everything that it started, on SIGINT or SIGTERM.
"""

import argparse
import random
import signal
import threading
from pathlib import Path

import load
from harness import TemporaryDirectory
from sidecar import Chain
from upstream import Upstream

RPS_MAX = 50
PLANS = (
    ["200"] * 70
    + ["d5:200"] * 10
    + ["d40:200"] * 4
    + ["404"] * 5
    + ["500"] * 3
    + ["503,200"] * 6
    + ["503"] * 2
)
PATHS = ["/reviews/{}", "/reviews/{}/comments", "/reviews/search?q={}", "/slow/{}", "/dead/{}"]
WEIGHTS = [60, 25, 10, 4, 1]


def batch(rng, count):
    return [
        (rng.choices(PATHS, WEIGHTS)[0].format(rng.randrange(10**5)), rng.choice(PLANS)) for _ in range(count)
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--socket", type=Path, required=True, help="the agent's socket")
    parser.add_argument("--rps", type=int, default=20, help=f"requests a second, at most {RPS_MAX}")
    parser.add_argument("--no-attempts", action="store_true", help="spawn_upstream_span off")
    arguments = parser.parse_args()
    rps = max(1, min(arguments.rps, RPS_MAX))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with TemporaryDirectory() as directory, Upstream() as upstream, Chain(
        directory, arguments.socket.resolve(), upstream.port, spawn=not arguments.no_attempts, decorated=True
    ) as chain:
        print(f"sidecars: http://127.0.0.1:{chain.port}/reviews/1, {rps} requests a second", flush=True)
        rng = random.Random()
        while not stopped.wait(1.0):
            load.send(chain.port, batch(rng, rps), connections=4)
            upstream.seen.clear()


if __name__ == "__main__":
    main()
