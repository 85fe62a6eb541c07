#!/usr/bin/env python3
"""Writes the seeds of the targets otlp_metrics and metrics_service: real messages of tests/corpus, some of them
damaged, and small ones made by hand for what Envoy never sends. As seed.py otherwise."""
import struct

from seed import NOW_NS, attribute, chunk, double, fixed64, lists, number, packed, recorded, text, write, zigzag

DELTA, CUMULATIVE = 1, 2


def fixed(field, values):
    return chunk(field, b"".join(struct.pack("<Q", v) for v in values))


def doubles(field, values):
    return chunk(field, b"".join(struct.pack("<d", v) for v in values))


def times(start=NOW_NS - 1000, end=NOW_NS):
    return fixed64(2, start) + fixed64(3, end)


def request(data, *points, temporality=CUMULATIVE, monotonic=True, name="made", late=False, extra=b""):
    content = b"".join(chunk(1, point) for point in points)
    if temporality:
        content += number(2, temporality)
    if monotonic:
        content += number(3, 1)
    metric = chunk(1, name) + chunk(2, "Help.") + chunk(3, "By") + chunk(data, content) + extra
    resource = chunk(1, text(1, "service.name", "shop") + text(1, "service.instance.id", "1") +
                     text(1, "telemetry.sdk.name", "envoy"))
    scope = chunk(1, chunk(1, "lib") + chunk(2, "1") + number(4, 1))
    inner = chunk(2, metric) + scope if late else scope + chunk(2, metric)
    return chunk(1, chunk(2, inner) + resource if late else resource + chunk(2, inner)) + number(9, 1)


def buckets(offset, counts, pack=True):
    content = packed(2, counts) if pack else b"".join(number(2, each) for each in counts)
    return number(1, zigzag(offset)) + content


def exponential(count, scale, zeros, positive, negative=b""):
    return (times() + fixed64(4, count) + double(5, 1.5) + number(6, zigzag(scale)) + fixed64(7, zeros) +
            chunk(8, positive) + chunk(9, negative) + text(1, "k", "v") + number(10, 0) + number(99, 1))


def histogram(count, counts, bounds, pack=True):
    told = (fixed(6, counts) + doubles(7, bounds) if pack else
            b"".join(fixed64(6, c) for c in counts) + b"".join(double(7, b) for b in bounds))
    return times() + fixed64(4, count) + double(5, 2.5) + told + text(9, "k", "v") + number(10, 0)


def otlp_made():
    point = times() + double(4, 5.0)
    values = (attribute(7, "i", number(3, 17)) + attribute(7, "b", number(2, 1)) + attribute(7, "b", number(2, 0)) +
              attribute(7, "d", double(4, 0.1)) + attribute(7, "d", double(4, float("nan"))) +
              attribute(7, "d", double(4, float("-inf"))) + attribute(7, "y", chunk(7, b"\xff\x00z")) +
              attribute(7, "n", b"") + text(7, "http.target", "/a?b") + text(7, "authorization", "x") +
              attribute(7, "l", chunk(5, chunk(1, chunk(1, 'a"\n')) + chunk(1, number(3, 3)) + chunk(1, b"") +
                                      chunk(1, chunk(7, b"y")))) +
              attribute(7, "m", chunk(6, chunk(1, chunk(1, "k") + chunk(2, chunk(1, "v"))) + chunk(1, chunk(1, "j")))))
    yield "sum", request(7, point + text(7, "k", "v"), times() + fixed64(6, 7))
    yield "sum-delta", request(7, point, temporality=DELTA)
    yield "sum-plain", request(7, point, monotonic=False) + request(7, times() + double(4, float("nan")), temporality=DELTA, monotonic=False)
    yield "sum-bad", request(7, times() + double(4, -1.0), times() + double(4, float("inf")), times())
    yield "no-temporality", request(7, point, temporality=0)
    yield "no-name", request(7, point, name="")
    yield "no-value", request(7, times() + number(8, 1))
    yield "no-data", request(4, point)
    yield "late", request(5, point, late=True)
    yield "microseconds", request(7, times(NOW_NS // 1000 - 1) + double(4, 1.0), times(NOW_NS + 1) + double(4, 1.0))
    yield "values", request(5, point + values)
    yield "labels", request(5, point + text(7, "k", "v") * 40)
    yield "list-deep", request(5, point + attribute(7, "k", lists(6)), point + attribute(7, "k", lists(3)))
    yield "list-cut", request(5, point + attribute(7, "k", chunk(5, b"\x0a\x7f")), point + attribute(7, "k", chunk(6, b"\x0a\x7f")))
    yield "bytes-long", request(5, point + attribute(7, "k", chunk(7, bytes(4000))) * 2)
    yield "gauge", request(5, times() + double(4, float("nan")))
    yield "histogram", request(9, histogram(3, [1, 0, 2], [0.5, 1.0]), histogram(3, [1, 2], [0.5], pack=False),
                               histogram(7, [], []))
    yield "histogram-bad", request(9, histogram(4, [1, 0, 2], [0.5, 1.0]), histogram(3, [1, 2], [0.5, 1.0]),
                                   histogram(3, [1, 0, 2], [1.0, 0.5]), histogram(3, [1, 0, 2], [1.0, float("inf")]),
                                   histogram(1, [2**64 - 1, 2], [1.0]), histogram(0, [0] * 66, range(65)),
                                   times() + fixed64(4, 1) + double(5, float("nan")), times() + chunk(6, b"abc"),
                                   times() + chunk(7, b"abc"), histogram(0, [0] * 66, range(65), pack=False))
    yield "exponential", request(10, exponential(4, -2, 1, buckets(-5, [2, 0, 1])),
                                 exponential(4, 3, 1, buckets(7, [2, 0, 1], pack=False)))
    yield "exponential-bad", request(10, exponential(5, -2, 1, buckets(-5, [2, 0, 1])), exponential(4, 21, 1, buckets(-5, [2, 0, 1])),
                                     exponential(4, 0, 1, buckets(0, [3]), buckets(0, [1])),
                                     exponential(4, 0, 1, buckets(0, [3]), buckets(0, [1], pack=False)),
                                     exponential(0, 0, 0, buckets(0, [0] * 1025)), exponential(0, 0, 0, buckets(0, [0] * 1025, pack=False)),
                                     exponential(0, 0, 0, chunk(2, b"\xff")), exponential(0, 0, 0, b"", chunk(2, b"\xff")),
                                     exponential(1, 0, 1, buckets(0, [2**64 - 1, 2])))
    quantile = chunk(6, double(1, 0.5) + double(2, float("nan")))
    yield "summary", request(11, times() + fixed64(4, 9) + double(5, 1.5) + quantile + text(7, "k", "v") + number(8, 0))
    yield "summary-bad", request(11, times() + chunk(6, double(1, 2.0)), times() + double(5, -1.0), quantile * 40,
                                 chunk(6, b"\x09"))
    yield "cut-point", request(7, times() + b"\x21", point)
    yield "wrong-types", request(7, number(2, 1), number(3, 1), point)
    for i, bad in enumerate((number(1, 1), chunk(1, number(1, 1)), chunk(1, number(2, 1)), chunk(1, chunk(2, number(1, 1))),
                             chunk(1, chunk(2, number(2, 1))), chunk(1, chunk(2, chunk(1, number(1, 1)))),
                             chunk(1, chunk(2, chunk(2, number(1, 1)))), chunk(1, chunk(2, chunk(2, number(7, 1)))),
                             chunk(1, chunk(2, chunk(2, chunk(7, chunk(2, b"x"))))), chunk(1, chunk(2, chunk(2, chunk(7, number(1, 1))))),
                             chunk(1, chunk(1, number(1, 1))), chunk(1, chunk(1, chunk(1, b"\x0a\x7f"))), b"\x0a\x7f")):
        yield f"damage-{i}", bad


def otlp_seeds():
    for name in ("envoy_grpc.metrics", "envoy_delta.metrics"):
        for i, message in enumerate(recorded(name, 1)):
            yield f"{name}-{i}", b"\x00" + message
    for name, message in otlp_made():
        yield name, b"\x00" + message
        yield f"{name}-cut", b"\x01" + message[:-2]


def family(name, kind, *metrics, unit=False):
    return chunk(2, chunk(1, name) + chunk(2, "Help.") + number(3, kind) + b"".join(chunk(4, m) for m in metrics) +
                 (chunk(5, "ms") if unit else b""))


def label(name="k", value="v"):
    return chunk(1, chunk(1, name) + chunk(2, value))


def service_made():
    node = chunk(1, chunk(1, chunk(1, "sidecar~1") + chunk(2, "shop") + chunk(8, bytes(300)) + number(99, 1)))
    stamp = number(6, NOW_NS // 1_000_000)
    count = label() + chunk(3, double(1, 5.0)) + stamp

    def told(total, *pairs):
        return chunk(7, number(1, total) + double(2, 1.5) + b"".join(chunk(3, number(1, c) + double(2, b)) for c, b in pairs))

    def summary(*pairs, total=1.5):
        return chunk(4, number(1, 9) + double(2, total) + b"".join(chunk(3, double(1, q) + double(2, v)) for q, v in pairs))

    yield "counter", node + family("a", 0, count, chunk(3, b""))
    yield "counter-bad", family("a", 0, chunk(3, double(1, -1.0)), chunk(3, double(1, float("nan"))), chunk(2, double(1, 1.0)), b"")
    yield "gauge", family("a", 1, chunk(2, double(1, float("nan"))), unit=True) + family("b", 3, chunk(5, double(1, 1.0)))
    yield "histogram", family("a", 4, told(9, (1, 0.5), (4, 1.0), (9, float("inf"))), told(0))
    yield "histogram-bad", family("a", 4, told(1, (2, 0.5)), told(9, (4, 0.5), (1, 1.0)), told(9, (1, 1.0), (2, 0.5)),
                                  told(9, (1, float("nan"))), told(0, *((0, float(i)) for i in range(65))),
                                  chunk(7, double(2, float("nan"))))
    yield "summary", family("a", 2, summary((0.5, 1.0), (0.9, float("nan"))), summary(total=-1.0))
    yield "summary-bad", family("a", 2, summary((2.0, 1.0)), summary(*((0.5, 1.0),) * 33), chunk(4, chunk(3, b"\x09")))
    yield "summary-name", family("a" * 5000, 2, summary())
    yield "types", family("a", 9, count) + family("", 0, count)
    yield "labels", family("a", 0, label() * 33 + chunk(3, b""), label("", "") + chunk(3, b""))
    yield "time", family("a", 0, chunk(3, b"") + number(6, 2**62))
    yield "other-fields", chunk(9, "x") + family("a", 0, chunk(9, "x") + count)
    for i, bad in enumerate((number(1, 1), chunk(1, number(1, 1)), chunk(1, chunk(1, number(1, 1))), number(2, 1),
                             chunk(2, number(1, 1)), chunk(2, chunk(3, "x")), chunk(2, b"\x0a\x7f"), b"\x0a\x7f",
                             chunk(1, b"\x0a\x7f"), chunk(1, chunk(1, b"\x0a\x7f")))):
        yield f"damage-{i}", bad
    for i, bad in enumerate((chunk(1, number(1, 1)), chunk(1, b"\x0a\x7f"), chunk(3, number(1, 1)), chunk(3, b"\x0a\x7f"))):
        yield f"metric-{i}", family("a", 0, bad, count)
    for i, bad in enumerate((chunk(1, "x"), chunk(3, number(1, 1) + chunk(2, "x")), chunk(3, b"\x0a\x7f"), b"\x0a\x7f")):
        yield f"inner-{i}", family("a", 4, chunk(7, bad)) + family("b", 2, chunk(4, bad))


def service_seeds():
    for name in ("envoy.metrics_service", "envoy_delta.metrics_service"):
        for i, message in enumerate(recorded(name, 2)):
            # of the node's 60 KB of extensions the beginning: they are passed over
            yield f"{name}-{i}", message if len(message) < 40_000 else message[-14_000:]
    for name, message in service_made():
        yield name, message
        yield f"{name}-cut", message[:-2]


if __name__ == "__main__":
    write("otlp_metrics", otlp_seeds())
    write("metrics_service", service_seeds())
