#!/usr/bin/env python3
"""Writes the seeds of the configuration's fuzz target: tests/fuzz/corpus/config/seed-*.

Texts, each followed by the variables and options of config_fuzz.c behind 0x1e. The files they name are in /dev and /etc of
every machine, or nowhere.
"""
from seed import HERE, write

OTLP = "OTEL_EXPORTER_OTLP_"


def with_parts(content, *parts):
    return b"\x1e".join(part if isinstance(part, bytes) else part.encode() for part in (content, *parts))


def destination(*lines, name="a", endpoint="http://127.0.0.1:4317"):
    head = [f"name: {name}"] + ([f"endpoint: {endpoint}"] if endpoint else [])
    return "exporters:\n  otlp:\n    - " + "\n      ".join(head + list(lines)) + "\n"


GOOD = {
    "empty": "", "comment": "# nothing\n", "null": "socket:\nlog:\n", "start": "---\nshards: 2\n...\n",
    "socket": "socket:\n  path: /run/x/y.sock\n  mode: '0666'\n  directory_mode: 0o700\n  group: root\napi_socket:\n  group: 4\n",
    "api-off": "api_socket: {enabled: no}\n", "api-path": "api_socket:\n  enabled: on\n  path: /tmp/a.sock\n",
    "http": "http: {address: '[::1]:0'}\n", "http-localhost": "http:\n  address: localhost:9464\n",
    "log": "log:\n  level: debug\n  format: json\n", "cluster": "cluster: ''\nshards: 64\n",
    "metrics": "metrics:\n  bounds_ms: [0.5, 1, 2.25, .75e, 10]\n", "bounds": "metrics:\n  bounds_ms: [0.000001, 1, 86400000]\n  native_schema: -4\n  classic: off\n",
    "bounds-none": "metrics:\n  bounds_ms: []\n", "redact": "redact:\n  attributes: [a, \"b\", 'c']\n", "redact-none": "redact: {attributes: []}\n",
    "limits": "limits:\n  message_bytes_max: 1024\n  assembly_bytes_max: 65536\n  drain_ms: 0\n",
    "destination": destination("protocol: grpc", "signals: [traces]", "compression: zstd", "timeout_ms: 1"),
    "destination-http": destination("protocol: http/protobuf", "traces_endpoint: https://x/y", "signals: [traces, metrics]"),
    "destination-slash": destination("protocol: http/protobuf", endpoint="http://x/"),
    "headers": destination("headers:", "  - {name: X-Token, value: \"a\\tb\"}", "  - name: b", "    value_file: /dev/null", "  - {name: c, value_file: /etc/hostname}"),
    "tls": destination("tls:", "  ca_file: /dev/null", "  cert_file: /dev/null", "  key_file: /dev/null", "  server_name: x", "  insecure_skip_verify: true"),
    "queue": destination("queue: {bytes_max: 65536}", "batch: {count_max: 1, bytes_max: 4096, delay_ms: 1}"),
    "otlp-metrics": destination("metrics: {interval_s: 1, temporality: delta, histograms: explicit}"),
    "destinations": destination() + "    - name: b\n      endpoint: https://b\n",
    "expand": "cluster: \"${NAME}-${NUMBER:-3}-$$-$x-${EMPTY:-none}-${NOT:-}\"\nshards: ${NUMBER}\n",
    "multi-line": "cluster: >-\n  a\n  b\nlog: {level: 'info'}\n", "utf8": "cluster: caf\u00e9 \u20ac \U0001f600\n", "tagged": "cluster: !!str x\n",
}
BAD = {
    "unknown": "nothing: 1\n", "unknown-nested": "socket:\n  paths: x\n", "unknown-item": destination("nothing: 1"), "unknown-deep": "exporters: {otlp: [{tls: {x: 1}}]}\n",
    "twice": "shards: 1\nshards: 2\n", "list-for-mapping": "socket: [a]\n", "mapping-for-list": "metrics: {bounds_ms: {a: 1}}\n",
    "scalar-for-mapping": "socket: x\n", "list-for-scalar": "shards: [1]\n", "mapping-for-scalar": "shards: {a: 1}\n", "scalar-root": "x\n",
    "list-root": "- a\n", "nested-list": "redact: {attributes: [[a]]}\n", "list-of-scalars": "exporters: {otlp: [a]}\n", "item-empty": "redact: {attributes: ['', x]}\n",
    "alias": "a: &x 1\nb: *x\n", "anchor": "shards: &x 1\n", "document-second": "shards: 1\n---\nshards: 2\n", "key-list": "? [a]\n: b\n", "key-nul": "\"a\\0b\": 1\n",
    "value-nul": "cluster: \"a\\0b\"\n", "value-lines": "shards: \"1\\n2\"\n", "key-lines": "\"a\\nb\": 1\n", "yaml": "socket: {\n", "yaml-tab": "socket:\n\tpath: x\n", "yaml-quote": "cluster: \"x\n",
    "deep": "[" * 40, "deep-mappings": "".join(" " * i + "a:\n" for i in range(40)), "key-long": "a" * 400 + ": 1\n", "key-path-long": ("exporters: {otlp: [{" + "b" * 240 + ": 1}]}\n"),
    "keys-many": "redact:\n  attributes: [" + "a," * 300 + "]\n", "directive": "%YAML 9.9\n---\nshards: 1\n",
    "shards": "shards: 65\n", "shards-text": "shards: x\n", "shards-huge": "shards: 99999999999999999999999\n", "shards-empty": "shards: ''\n", "bool": "api_socket: {enabled: maybe}\n",
    "mode": "socket: {mode: '0888'}\n", "mode-large": "socket: {mode: '7777'}\n", "schema": "metrics: {native_schema: 6}\n", "schema-text": "metrics: {native_schema: -}\n",
    "bounds-order": "metrics: {bounds_ms: [2, 1]}\n", "bounds-zero": "metrics: {bounds_ms: [0]}\n", "bounds-text": "metrics: {bounds_ms: [1.2.3]}\n", "bounds-fine": "metrics: {bounds_ms: [0.0000001]}\n",
    "bounds-large": "metrics: {bounds_ms: [99999999999]}\n", "level": "log: {level: loud}\n", "path-long": "socket: {path: " + "/x" * 60 + "}\n", "path-same": "socket: {path: /a}\napi_socket: {path: /a}\n",
    "path-relative-long": "socket: {path: " + "x" * 104 + "/y}\n", "group": "socket: {group: nobody-has-this}\n", "group-api": "api_socket: {group: nobody-has-this}\n",
    "http": "http: {address: nowhere}\n", "http-port": "http: {address: '1.2.3.4:99999'}\n", "http-name": "http: {address: 'example.org:1'}\n", "http-v6": "http: {address: '[:::1]:1'}\n", "http-bracket": "http: {address: '[" + "1" * 70 + "]:1'}\n",
    "limits": "limits: {message_bytes_max: 1073741824}\n", "limits-assembly": "limits: {assembly_bytes_max: 65536}\n", "limit-small": "limits: {strings_count_max: 1}\n",
    "expand-unset": "cluster: ${NOT}\n", "expand-open": "cluster: ${NAME\n", "expand-name": "cluster: ${9}\n", "expand-form": "cluster: ${NAME:+x}\n", "expand-item": "redact: {attributes: ['${NOT}']}\n", "expand-empty": "cluster: ${}\n",
    "name": destination(name="'a b'"), "name-missing": "exporters: {otlp: [{endpoint: 'http://x'}]}\n", "name-twice": destination() + "    - name: a\n      endpoint: http://b\n",
    "endpoint": destination(endpoint="x:4317"), "endpoint-missing": destination(endpoint=None), "endpoint-space": destination(endpoint="'http://a b'"), "endpoint-host": destination(endpoint="http:///x"), "endpoint-long": destination("protocol: http/protobuf", endpoint="http://" + "x" * 4080),
    "endpoint-grpc": destination("traces_endpoint: http://x"), "endpoint-signal": destination("protocol: http/protobuf", "metrics_endpoint: ftp://x"), "signals": destination("signals: []"), "signals-twice": destination("signals: [traces, traces]"), "signals-name": destination("signals: [logs]"),
    "header-name": destination("headers: [{name: 'a b', value: x}]"), "header-reserved": destination("headers: [{name: Content-Type, value: x}]"), "header-grpc": destination("headers: [{name: grpc-x, value: x}]"), "header-value": destination("headers: [{name: a, value: \"x\\ny\"}]"),
    "header-missing": destination("headers: [{name: a}]"), "header-both": destination("headers: [{name: a, value: x, value_file: /dev/null}]"), "header-file": destination("headers: [{name: a, value_file: /nowhere/at/all}]"), "header-file-large": destination("headers: [{name: a, value_file: /dev/zero}]"),
    "header-directory": destination("headers: [{name: a, value_file: /etc}]"), "header-secret-large": destination("headers: [{name: a, value: " + "x" * 65537 + "}]"), "tls-half": destination("tls: {cert_file: /dev/null}"), "tls-missing": destination("tls: {ca_file: /nowhere/at/all}"), "batch": destination("queue: {bytes_max: 65536}", "batch: {bytes_max: 65537}"),
    "limits-destinations": "exporters:\n  otlp:\n" + "".join(f"    - name: d{i}\n      endpoint: http://x\n" for i in range(257)),
}
ENVIRONMENTS = {
    "endpoint": [OTLP + "ENDPOINT=http://x:4318"], "endpoint-grpc": [OTLP + "ENDPOINT=x:4317", OTLP + "PROTOCOL=grpc", OTLP + "INSECURE=true"],
    "endpoint-grpc-secure": [OTLP + "ENDPOINT=x:4317", OTLP + "PROTOCOL=grpc"], "endpoint-grpc-url": [OTLP + "ENDPOINT=https://x", OTLP + "PROTOCOL=grpc"], "endpoint-grpc-bad": [OTLP + "ENDPOINT=ftp://x", OTLP + "PROTOCOL=grpc"],
    "endpoint-bad": [OTLP + "ENDPOINT=x"], "endpoint-empty": [OTLP + "ENDPOINT="], "endpoint-long": [OTLP + "ENDPOINT=http://" + "x" * 5000, OTLP + "PROTOCOL=grpc"], "traces": [OTLP + "TRACES_ENDPOINT=http://x/t"], "metrics": [OTLP + "METRICS_ENDPOINT=http://x/m"],
    "both": [OTLP + "TRACES_ENDPOINT=http://x/t", OTLP + "METRICS_ENDPOINT=http://y/m"], "both-differ": [OTLP + "ENDPOINT=http://x", OTLP + "TRACES_PROTOCOL=grpc", OTLP + "METRICS_HEADERS=a=b"],
    "headers": [OTLP + "ENDPOINT=http://x", OTLP + "HEADERS=a=b, c = d%20e ,,x=%41%"], "headers-bad": [OTLP + "ENDPOINT=http://x", OTLP + "HEADERS=a,b%zz=1,c=%00,host=1,x=%0a"], "headers-many": [OTLP + "ENDPOINT=http://x", OTLP + "HEADERS=" + ",".join(f"h{i}=v" for i in range(70))],
    "headers-differ": [OTLP + "ENDPOINT=http://x", OTLP + "TRACES_HEADERS=a=1", OTLP + "METRICS_HEADERS=a=2"], "choices": [OTLP + "ENDPOINT=http://x", OTLP + "COMPRESSION=gzip", OTLP + "TIMEOUT=500", OTLP + "METRICS_TEMPORALITY_PREFERENCE=lowmemory", OTLP + "METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram"],
    "choices-bad": [OTLP + "ENDPOINT=http://x", OTLP + "PROTOCOL=http/json", OTLP + "COMPRESSION=br", OTLP + "TIMEOUT=0", OTLP + "METRICS_TEMPORALITY_PREFERENCE=x", OTLP + "METRICS_DEFAULT_HISTOGRAM_AGGREGATION=y\nz"],
    "tls": [OTLP + "ENDPOINT=https://x", OTLP + "CERTIFICATE=/dev/null", OTLP + "CLIENT_CERTIFICATE=/dev/null", OTLP + "CLIENT_KEY=/dev/null"], "tls-missing": [OTLP + "ENDPOINT=https://x", OTLP + "CERTIFICATE=/nowhere/at/all"], "tls-half": [OTLP + "ENDPOINT=https://x", OTLP + "CLIENT_KEY=/dev/null"],
    "options": ["--socket=/tmp/x.sock", "--http=127.0.0.1:0", "--shards=3"], "options-socket": ["--socket="], "options-socket-long": ["--socket=" + "/x" * 99], "options-http": ["--http=x"], "options-shards": ["--shards=99"], "user": ["--user"],
    "user-directory": ["--user", "XDG_RUNTIME_DIR=/run/user/1000"], "user-directory-long": ["--user", "XDG_RUNTIME_DIR=/" + "x" * 200], "nothing": ["=", "x", ""],
}


def seeds():
    yield "example", with_parts((HERE.parent.parent / "docs" / "weft.example.yaml").read_bytes())
    for name, content in GOOD.items():
        yield "good-" + name, with_parts(content, "NAME=value", "NUMBER=7", "EMPTY=")
    for name, content in BAD.items():
        yield "bad-" + name, with_parts(content, "NAME=value")
    for name, parts in ENVIRONMENTS.items():
        yield "environment-" + name, with_parts("", *parts)
        yield "environment-file-" + name, with_parts("shards: 1\n", *parts)


if __name__ == "__main__":
    write("config", seeds())
