"""Runs js/sender.js: the OpenTelemetry JavaScript SDK on a Unix socket. scripts/install-deps mesh puts its
packages into build/js."""

import json
import os
import subprocess
from pathlib import Path

from harness import REPOSITORY

MODULES = REPOSITORY / "build/js/node_modules"
SENDER = Path(__file__).parent / "js/sender.js"
SENDER_SECONDS_MAX = 300
SPANS_OF_REQUEST = 3


def send(path, protocol, count):
    """The ids (trace, span) of the spans that were sent, in hex; every export was answered with success."""
    assert MODULES.exists(), f"{MODULES} is missing: scripts/install-deps mesh"
    done = subprocess.run(
        ["node", str(SENDER), str(path), protocol, str(count)],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=SENDER_SECONDS_MAX,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return [tuple(pair) for pair in json.loads(done.stdout)["ids"]]
