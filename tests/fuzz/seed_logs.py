"""Writes the seeds of the targets syslog, access_json and line_stream: recorded lines of nginx and HAProxy, one
of each ending, and what they never send.

    python3 tests/fuzz/seed_logs.py
"""

import json
import struct
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
RECORDED = FUZZ.parent / "corpus"
JSON, NGINX, HAPROXY = 0, 1, 2
DEPTH_4 = 3 * 3


def datagrams(name):
    data, at, found = (RECORDED / name).read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def body(message):
    return message[message.index(b"{") :].rstrip()


def one_of_each(messages):
    """The first line of each way to end."""
    kept = {}
    for message in messages:
        fields = json.loads(body(message))
        keys = ("status", "termination", "retries", "upstream_status", "upstream_connect_time", "limit_req_status")
        texts = (fields.get(key, "") for key in keys)
        kind = tuple("-" if text not in ("", "-") and ":" not in text and "." in text else text for text in map(str, texts))
        kept.setdefault(kind, message)
    return list(kept.values())


HEADERS = [
    b"<190>Nov 23 11:55:05 web-1 nginx: {}\n",
    b"<134>Nov  3 11:55:05 haproxy[20096]: {} ",
    b"<0>1 - host app 7 ID7 [a@1 b=\"c]\\\"d\\\\\" e=\"\"][f] body",
    b"<34>1 - - - - - - \xef\xbb\xbftext",
    b"<34>1 - - - - - -",
    b"<134>{}",
    b"<13>Nov 23 11:55:05 just words",
    b"<192>x",
    b"<12",
    b"<a>",
    b"plain",
    b"<34>2 - - - - - -",
    b"<34>1 -  -",
    b"<34>1 - - - - - x",
    b"<34>1 - - - - - [a b=\"\\",
    b"<34>1 - - - - - [a]x",
    b"<34>1 - -",
    b"",
]

LINES = [
    (JSON, b'{"status":200,"duration_us":1500,"start_s":1795434905.5,"traceparent":"00-0af7651916cd43dd8448eb211c80319c'
           b'-b7ad6b7169203331-01","request_id":"a\\"b\\u00e9","attempts":3,"response_flags":"UF,URX","grpc_status":14}'),
    (JSON, b'{"status":"200","duration_s":"0.1","end_s":"1795434905","trace_id":"B7AD6B7169203331","span_id":'
           b'"b7ad6b7169203331","protocol":"HTTP/2.0","x":[{"status":1}],"y":null}'),
    (JSON, b'{"status":200,"duration_ms":-1,"protocol":"HTTP/3","trace_id":"zz"}'),
    (JSON, b'{"status":200,"duration_ms":1,"end_s":"x"}'),
    (JSON, b'{"status":200,"duration_ms":99999999999999999999}'),
    (JSON, b'{"status":2000,"duration_ms":1}'),
    (JSON, b'{"duration_ms":1}'),
    (JSON, b'{"status":200}'),
    (JSON, b'{"status":200,"status":1,"":0,"duration_s":0}'),
    (JSON, b'{"a":[[[[[[1]]]]]]}'),
    (JSON, b'{"status":200,"path":"/cut'),
    (JSON, b'{"status":200,"duration_s":0} x'),
    (JSON, b"[1]"),
    (JSON, b""),
    (JSON, b'{"x":"' + b"y" * 4200 + b'"}'),
    (NGINX, b'{"status":"200","request_time":"0.1","proxy_host":"m","upstream_addr":"1.1.1.1:1, 1.1.1.2:1 : 1.1.1.3:1",'
            b'"upstream_status":"502, 504 : 504","upstream_connect_time":"-, 0.0 : 0.0","upstream_header_time":"-, - : -"}'),
    (NGINX, b'{"status":"000","request_time":"0.1","limit_req_status":"REJECTED"}'),
    (HAPROXY, b'{"status":-1,"duration_ms":5,"termination":"cD","server":"s","retries":"+2"}'),
    (HAPROXY, b'{"status":400,"duration_ms":5,"termination":"PR","server":"<NOSRV>"}'),
    (HAPROXY, b'{"status":200,"duration_ms":5,"termination":"C"}'),
    (HAPROXY, b'{"status":200,"duration_ms":5,"termination":"KD","server":"s","retries":"99999999999"}'),
]

STREAMS = [
    b"\x005 hello3 a\nb1 c",
    b"\x022 ab\n2 cd\n<34>legacy line\n",
    b"\x04100 " + b"x" * 100 + b"2 ok",
    b"\x06<1>" + b"y" * 200 + b"\n2 ok",
    b"\x08<1>" + b"y" * 68 + b"\n2 ok",
    b"\x002 abno length",
    b"\x0212345678 a",
    b"\x040 ",
    b"\x0040 cut",
    b"\x01a:1|c\nb:2|c\nc:3",
    b"\x03" + b"z" * 200 + b"\nd\n",
    b"\x00",
]


def write(target, inputs):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    for number, data in enumerate(inputs):
        (folder / f"seed-{number:02}").write_bytes(data)


def main():
    nginx, haproxy = one_of_each(datagrams("nginx.datagrams")), one_of_each(datagrams("haproxy.datagrams"))
    lines = [(NGINX, body(line)) for line in nginx] + [(HAPROXY, body(line)) for line in haproxy] + LINES
    write("syslog", nginx[:1] + haproxy[:1] + HEADERS)
    write("access_json", [bytes([preset + DEPTH_4]) + line for preset, line in lines])
    write("line_stream", [b"\x60" + (RECORDED / "haproxy_ring.stream").read_bytes()[:1500]] + STREAMS)


if __name__ == "__main__":
    main()
