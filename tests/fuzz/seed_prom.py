#!/usr/bin/env python3
"""Writes the seeds of prom_text: tests/fuzz/corpus/prom_text/seed-*. The first byte is the option, see prom_text_fuzz.c."""
from seed import CORPUS, write

TEXT, OPENMETRICS, FEW, SMALL = 0, 1, 2, 4
BODIES = {
    "escapes": (TEXT, '# HELP m a\\nb\\\\c\n# TYPE m counter\nm{a="q\\"q",b="\\\\n",c="x\\ny",d="\\x",e=""} 1 1700000000123\n'),
    "histogram": (
        TEXT,
        '# TYPE h histogram\nh_bucket{le="5",s="a"} 3\nh_bucket{le="0.5",s="a"} 1\nh_bucket{le="+Inf",s="a"} 4\n'
        'h_sum{s="a"} 12.5\nh_count{s="a"} 4\nh_created{s="a"} 1\nh_count{s="b"} 2\nh_bucket{le="1",s="c"} 2\n',
    ),
    "inconsistent": (
        TEXT,
        '# TYPE h histogram\nh_bucket{le="1",s="falls"} 3\nh_bucket{le="2",s="falls"} 2\nh_count{s="falls"} 3\n'
        'h_bucket{le="1",s="i"} 3\nh_bucket{le="+Inf",s="i"} 4\nh_count{s="i"} 5\nh_bucket{le="nan",s="n"} 3\n'
        'h_bucket{le="1",s="t"} 3\nh_bucket{le="1",s="t"} 3\nh_count{s="t"} 3\nh_bucket{le="1",s="m"} -3\n'
        "h 1\nh_bucket 1\nh_count 1\nh_count 1\n# TYPE c counter\nc -1\nc NaN\n",
    ),
    "summary": (
        TEXT,
        '# TYPE s summary\ns{quantile="0.5",x="1"} 0.25\ns{quantile="0.99",x="1"} NaN\ns_sum{x="1"} 10\ns_count{x="1"} 40\n'
        's{quantile="2"} 1\ns{x="none"} 1\ns_count{x="2"} -1\n',
    ),
    "openmetrics": (
        OPENMETRICS,
        '# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n# HELP foo_seconds Says \\"it\\".\n'
        'foo_seconds_total{a="b"} 17.0 1520879607.5 # {trace_id="#}"} 0.5 1520879607\nfoo_seconds_created{a="b"} 1\n'
        "# TYPE build info\nbuild_info{v=\"1\"} 1\n# TYPE g gaugehistogram\n# TYPE st stateset\nst{st=\"a\"} 1\n# EOF\nignored 1\n",
    ),
    "garbage": (
        TEXT,
        'before 1\n<html>\nno_value\nname{a=b} 1\nname{a="b" c="d"} 1\nname{a="b",a="c"} 1\nname{a="b} 1\nname{a="b"\nname{a\n'
        "name{=\"x\"} 1\nname-with 1\nhex 0x10\nword infinit\nsigned -nan\ninf -Inf\ntwo 1 2 3\ntime 1 soon\ntime 1 -5\n"
        "# TYPE before histogram\n# TYPE strange kind\n# TYPE 9name counter\n# HELP\n#\nbefore 2\n\t \nafter 2\r\ncut 12",
    ),
    "bytes": (TEXT, b'name{a="\xff"} 1\nname{a="\xc3\xa4"} 1\n\x00 1\n'),
    "few": (FEW, "a 1\nb 2\nc 3\nd 4\na 5\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n"),
    "labels": (TEXT, "m{" + ",".join(f'l{i:02}="v"' for i in range(40, 0, -1)) + "} 1\n" + "n" * 300 + " 1\nlong 1." + "0" * 70 + "\n"),
    "buckets": (TEXT, "# TYPE h histogram\n" + "".join(f'h_bucket{{le="{i}"}} {i}\n' for i in range(300)) + 'h_bucket{le="+Inf"} 300\n'),
    "quantiles": (TEXT, "# TYPE s summary\n" + "".join(f's{{quantile="{i / 40}"}} {i}\n' for i in range(40))),
    "value": (TEXT, 'm{a="' + "x" * 70000 + '"} 1\n'),
    "memory": (SMALL, "".join(f'm{{a="{i}\\n"}} {i}\n' for i in range(3000))),
    "empty": (OPENMETRICS, "# EOF"),
}


def seeds():
    for name, (option, body) in BODIES.items():
        yield name, bytes([option]) + (body if isinstance(body, bytes) else body.encode())
    for path in sorted(CORPUS.glob("scrape_*.prom")):
        yield path.stem, bytes([SMALL]) + path.read_bytes()


if __name__ == "__main__":
    write("prom_text", seeds())
