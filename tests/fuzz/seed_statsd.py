#!/usr/bin/env python3
"""Writes the seeds of the statsd target: tests/fuzz/corpus/statsd/seed-*.

Datagrams and lines of a real Envoy from tests/corpus, beside them lines by hand for what it never sends. Deterministic.
Inputs that a fuzzer found are kept under other names and not touched.
"""
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE.parent / "corpus"
OUT = HERE / "corpus" / "statsd"
PLAIN, FEW_STRINGS, NO_NEW, CONTAINER, SHORT = 0, 1, 2, 32, 64
POD, USER = 1 << 2, 5 << 2
SEED_BYTES_MAX = 2000

BY_HAND = {
    "types": (PLAIN, b"a:1|c\na:2.5|g\na:+1|g\na:-1|g\nt:12|ms\nh:3|h\nd:4|d\nu:x|s\nk:1|kv\n"),
    "values": (PLAIN, b"d:1:2:3.5|d|@0.5|#a:b\ng:1:+2:-3|g\nn:1e3|g\nn:1.5E-3|g\nn:123456789012345678|g\nz:0:.5:5.|h"),
    "fields": (PLAIN, b"a:1|c|@0.1|#k:v,flag,u:x:y,,:no|c:ci-12ab|T1656581400\na:1|c|e:it-x|card:low|#k:v|T1656581400\n"
               b"a:1|c|next:thing||#k:v\n"),
    "pipes": (PLAIN, b"a|b||c:1|c|#n:outbound|80||reviews,code:200|c:abc|T1656581400|@0.5\na:1|c|#n:a|Tx|cc:1|"),
    "timers": (PLAIN, b"rq_ms:5|ms\nloop_us:7|ms\nrq_milliseconds:5|ms\nx_microseconds:1|ms\nrq_per_cx:3|ms\n"
               b"n_per_socket_event:1|ms\nb_size:9|ms\nb_bytes:9|ms\nb_count:9|ms\np_percent:9|ms\nt:0|ms\nt:0.0001|ms\n"
               b"t:99999999|ms|@0.3\n_ms:1|ms\n"),
    "bad": (PLAIN, b"garbage\na:|c\n:1|c\na:1\na:x|c\na:1|c|@0\na:1|c|@7\na:1|c|T\na:1|c|T9x\na:-1|c\na:nan|g\na:0x1|g\n"
            b"a:1|c|garbage\na:1|1\n_e{1,1}:a|b\n_sc|a|0\na:1|c|T1\na:--1|g\na:1.2.3|g\na:1:|d\na:1e999|g\n"),
    "tags": (PLAIN, b"a:1|c|#" + b",".join(b"k%d:v" % i for i in range(33)) + b"\na:1|c|#z:1,b:2,b:3,a:4\n"),
    "claims": (POD | CONTAINER, b"a:1|c|c:ci-" + b"a" * 64 + b"\nb:1|c|c:" + b"b" * 64 + b"\nc:1|c|c:in-123\n"),
    "claims_unknown": (USER, b"a:1|c|c:ci-" + b"a" * 64 + b"\nb:1|c|#k:v|c:" + b"b" * 64 + b"\nc:1|c|c:in-123\n"),
    "few_strings": (FEW_STRINGS, b"".join(b"m%d:1|c|#k%d:v%d\n" % (i, i, i) for i in range(12))),
    "no_new": (NO_NEW, b"a:1|c|#k:v\nb:1|ms\n"),
    "weights": (PLAIN, b"t:100|ms|@0.3\nt:100|ms|@0.000001\nc:1|c|@0.000001\nt:0|ms|@0.1\n"),
    "long": (SHORT, b"n" * 300 + b":1|c|#key:" + b"v" * 300 + b"\r\n\xff\xfe:1|c|#\x01:\x02\n" + b"m" * 4097 + b":1|c\n"),
    "many_values": (PLAIN, b"d" + b":1" * 4097 + b"|d\n"),
    "long_number": (PLAIN, b"a:" + b"1" * 64 + b"|g\nb:" + b"1" * 63 + b"|g\n"),
}


def recorded_datagrams():
    data = (RECORDED / "statsd_envoy_dogstatsd.datagrams").read_bytes()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("seed-*"):
        old.unlink()
    for name, (options, text) in BY_HAND.items():
        (OUT / f"seed-{name}").write_bytes(bytes([options]) + text)
    packed = max(recorded_datagrams(), key=len)
    cut = packed[:SEED_BYTES_MAX]
    (OUT / "seed-envoy-dogstatsd").write_bytes(bytes([PLAIN]) + cut[: cut.rindex(b"\n")])
    lines = b"\n".join(each for each in recorded_datagrams() if b"|ms" in each)[:SEED_BYTES_MAX]
    (OUT / "seed-envoy-timers").write_bytes(bytes([PLAIN]) + lines)
    stream = (RECORDED / "statsd_envoy_stream.txt").read_bytes()[-SEED_BYTES_MAX:]
    (OUT / "seed-envoy-stream").write_bytes(bytes([FEW_STRINGS]) + stream)


if __name__ == "__main__":
    main()
