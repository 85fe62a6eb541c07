"""The dashboards and rules of dashboards/ as data: their queries, variables and names; and traffic of every kind that
they show."""

import json
import os
import re
import threading
import time

import grpc
import yaml

from harness import REPOSITORY

FOLDER = REPOSITORY / "dashboards"
RULE_FILES = sorted((FOLDER / "rules").glob("*.yml"))
RULE_TESTS = sorted((FOLDER / "rules/tests").glob("*.yml"))
HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")
ALL = ".*"


def dashboards():
    """{file name: dashboard}"""
    return {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana").glob("*.json"))}


def panels_of(board):
    """The panels that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables_of(board, kind):
    return [each for each in board["templating"]["list"] if each["type"] == kind]


def rules():
    return [rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


# ---- names ----


def documented_metrics():
    """Names of samples in docs/metrics.md, each histogram's parts and the histogram itself."""
    names = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", (REPOSITORY / "docs/metrics.md").read_text(), re.M):
        names.add(name)
        if kind == "histogram":
            names |= {name + part for part in HISTOGRAM_PARTS}
    return names


def metrics_in(expression):
    """Names of metrics; label names and what rules record are left out."""
    bare = re.sub(r"\{[^}]*\}", "{}", expression)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"(?<![\w:])((?:mesh|weft)_\w+)(?![\w:])", bare))


# ---- queries ----


def filled(text, values):
    """As Grafana fills variables in, with an interval that fits scrapes of a second."""
    values = {"__rate_interval": "10s", "__interval": "10s", "__range": "1m", **values}
    made = re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda match: values[match[1] or match[2]], text)
    assert "$" not in made, made
    return made


def pieces(expression, words):
    """The expression cut at each of the words that stands outside of brackets and strings; [(piece, word before)]."""
    made, depth, start, at, word = [], 0, 0, 0, None
    token = re.compile(r'"(?:\\.|[^"\\])*"|[(\[{]|[)\]}]|' + "|".join(words))
    while found := token.search(expression, at):
        text, at = found.group(), found.end()
        if text in "([{":
            depth += 1
        elif text in ")]}":
            depth -= 1
        elif depth == 0 and not text.startswith('"'):
            made.append((expression[start : found.start()].strip(), word))
            start, word = found.end(), text
    return [*made, (expression[start:].strip(), word)]


def without_comparison(expression):
    """The parts of an alert's expression, joined by `and`, each without its final comparison."""
    parts = []
    for part, _ in pieces(expression, [r"\band\b"]):
        compared = pieces(part, [">=", "<=", "==", "!=", ">", "<"])
        assert len(compared) == 2, f"not one comparison: {part}"
        parts.append(compared[0][0])
    return parts


# ---- traffic ----

UO, UF, UH, DC = 1 << 7, 1 << 5, 1 << 1, 1 << 14
TRACES_PER_TICK, TICK_SECONDS = 20, 0.5
CALLS = (  # caller, callee, route, protocol, milliseconds
    (("gate", "edge"), ("web", "shop"), "/", "http2", 60),
    (("web", "shop"), ("cart", "shop"), "/cart/{id}", "http1", 40),
    (("cart", "shop"), ("db", "data"), "db.Store/Get", "grpc", 10),
)


def ending(number):
    """How a trace's innermost call but one ends: code, flags, attempts."""
    endings = {1: (404, 0, 1), 2: (503, 0, 2), 3: (0, UF, 2), 4: (503, UO, 1), 5: (503, UH, 1), 6: (0, DC, 1)}
    return endings.get(number % TRACES_PER_TICK, (200, 0, 1))


def trace_lines(number):
    """A trace of three calls, each told by both ends, for `weft emit --stdin`."""
    trace_id, parent, slowness = os.urandom(16).hex(), None, 1 + number % 7
    if number % 50 == 49:
        slowness = 40  # more than a second
    for (source, source_namespace), (destination, namespace), route, protocol, usual_ms in CALLS:
        code, flags, attempts = ending(number) if destination == "cart" else (200, 0, 1)
        for reporter, shorter_ms in (("source", 0), ("destination", 3)):
            span_id = os.urandom(8).hex()
            yield {
                "reporter": reporter, "source": source, "source_namespace": source_namespace,
                "destination": destination, "destination_namespace": namespace, "route": route,
                "method": "POST" if protocol == "grpc" else "GET", "protocol": protocol, "code": code,
                **({"grpc_status": 0} if protocol == "grpc" else {}), "flags": flags, "attempts": attempts,
                "request_bytes": 200, "response_bytes": 5000, "trace_id": trace_id, "span_id": span_id,
                **({"parent_id": parent} if parent else {}),
                "duration": f"{usual_ms * slowness - shorter_ms}ms",
            }
            parent = span_id


def number_field(number, value):
    """A varint field of a protobuf message."""
    made = bytearray([number << 3])
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def field(number, content):
    """A length-delimited field of a protobuf message."""
    assert len(content) < 128 and number < 16
    return bytes([number << 3 | 2, len(content)]) + content


def tcp_message(with_node):
    """StreamAccessLogsMessage with one TCPAccessLogEntry, web → cart: 100 bytes received, 50 sent. Without a type it is
    an old Envoy's, which tells of connections when they end."""
    began = field(5, number_field(1, int(time.time()) - 1))
    cluster = field(15, b"outbound|6379||cart.shop.svc.cluster.local")
    entry = field(1, began + cluster) + field(2, number_field(1, 100) + number_field(2, 50))
    node = field(1, field(1, field(1, b"web-1") + field(2, b"web.shop")) + field(2, b"tcp"))
    return (node if with_node else b"") + field(3, field(1, entry))


class Traffic:
    """Requests and connections from a thread until the end; `failure` is what ended it early."""

    def __init__(self, agent):
        self._agent, self._ended, self.failure = agent, threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def running(self):
        assert self.failure is None, self.failure
        return self._thread.is_alive()

    def _connections(self):
        """A stream of the access log service that sends an entry each tick."""
        yield tcp_message(with_node=True)
        while not self._ended.wait(TICK_SECONDS):
            yield tcp_message(with_node=False)

    def _run(self):
        number = 0
        try:
            with grpc.insecure_channel(f"unix:{self._agent.socket}") as channel:
                stream = channel.stream_unary("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs")
                answer = stream.future(self._connections())
                while not self._ended.wait(TICK_SECONDS):
                    spans = [each for at in range(TRACES_PER_TICK) for each in trace_lines(number + at)]
                    self._agent.emit("--stdin", "--timeout", "60s", lines="".join(json.dumps(each) + "\n" for each in spans))
                    number += TRACES_PER_TICK
                answer.cancel()
        except Exception as error:  # told by the test's own thread
            self.failure = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(60)
