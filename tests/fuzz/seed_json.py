#!/usr/bin/env python3
"""Writes the seeds of the targets that read JSON: tests/fuzz/corpus/{json,otlp_json,xray,zipkin}/seed-*.

The first byte of each is the target's option, see NAME_fuzz.c.
"""
import json
import struct

from seed import CORPUS, write

TEXTS = {
    "object": '{"a":[1,-2.5e3,true,false,null,"x"],"b":{},"c":[],"\\u00e4":"\\ud83d\\ude00\\n\\"\\\\\\/\\b\\f\\r\\t"}',
    "halves": '["\\ud83d","\\ude00x","\\ud83d\\u0041","\\u20ac","\\u0041"]',
    "integers": '[0,-0,1.0,1e3,18446744073709551615,18446744073709551616,-9223372036854775808,1e99,1e999,"12","-12","x",""]',
    "space": ' \t\r\n[ 1 , 2 ] \n',
    "deep": "[" * 60 + "]" * 60,
    "deep-objects": '{"a":' * 60 + "1" + "}" * 60,
    "scalar": "true", "number": "-1.5E+7", "string": '"a text of more than eight bytes"',
    "cut-string": '["abc', "cut-escape": '["\\u12', "cut-backslash": '["\\', "cut-object": '{"a":1,', "cut-key": '{"a"',
    "cut-literal": "tru", "cut-number": "[1.", "behind": "[] x", "control": '["a\x01"]', "escape": '["\\x"]', "escape-digit": '["\\u12g4"]',
    "comma": "[1,,2]", "comma-first": "[,1]", "comma-last": '{"a":1,}', "comma-none": "[1 2]", "colon": '{"a" 1}', "key": "{a:1}",
    "leading-zero": "[01]", "exponent": "[1e]", "fraction": "[1.]", "minus": "[-]", "brackets": "[1}", "empty": "", "not-utf8": b'["\xff\xc3"]',
}


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode()


def json_seeds():
    for name, text in TEXTS.items():
        yield name, b"\x14" + bytes_of(text)
    yield "depth-0", b"\x00[]"
    yield "depth-2", b"\x02[[[]]]"


IDS = '"traceId":"0102030405060708090a0b0c0d0e0f10","id":"15161718191a1b1c"'
SPANS = {
    "all": f"[{{{IDS},"
    '"parentId":"00000000000000ff","timestamp":1699999999995000,"duration":4000,"kind":"SERVER","name":"get \\u00fc",'
    '"shared":true,"debug":true,"later":{"a":[1,{}]},"localEndpoint":{"serviceName":"sh\\u006fp","ipv4":"10.0.0.1","port":80},'
    '"remoteEndpoint":{"serviceName":"client","ipv6":"::1","port":0,"x":[]},'
    '"tags":{"http.method":"GET","k\\u0065y":"v\\n","n":12,"f":true,"none":null,"error":"no luck","component":"proxy","peer.service":"p"},'
    '"annotations":[{"timestamp":1699999999996000,"value":"sr"},{"value":"s\\u0073","x":{}}]}]',
    "services": f'[{{{IDS},"localEndpoint":{{"serviceName":"a"}}}},{{{IDS}}},{{{IDS},"localEndpoint":null}}]',
    "kinds": "[" + ",".join(f'{{"traceId":"aBc","id":"1","kind":"{kind}","tags":{{"error":"{error}"}}}}' for kind, error in
                            (("CLIENT", "true"), ("PRODUCER", "false"), ("CONSUMER", ""), ("x", "y"))) + "]",
    "bad": f'[{{}},7,[1],null,{{"traceId":"x"}},{{"traceId":"1"}},{{"traceId":"1","id":"1","parentId":"g"}},'
    f'{{{IDS},"timestamp":-1}},{{{IDS},"duration":18446744073709551615}},{{{IDS},"timestamp":1,"duration":18446744073709551615}}]',
    "bad-types": "[" + ",".join(f"{{{IDS},{member}}}" for member in (
        '"name":{}', '"kind":3', '"tags":[]', '"tags":{"a":[1]}', '"annotations":{}', '"annotations":[1]',
        '"annotations":[{"timestamp":1}]', '"annotations":[{"value":"a","timestamp":"b"}]', '"localEndpoint":"x"',
        '"remoteEndpoint":{"serviceName":{}}', '"remoteEndpoint":{"port":"x"}')) + "]",
    "empty": "[]", "object": "{}", "cut": "[{", "cut-tags": '[{"tags":{"a":', "cut-array": '[{"annotations":[[}]', "cut-annotation": '[{"annotations":[{"a"}]}]',
    "cut-skip": '[{"annotations":[{"a":[}]}]', "cut-endpoint": '[{"localEndpoint":{"a":[}}]', "cut-tag": '[{"tags":{"a":[}}]', "behind": "[]x", "deep": '[{"x":' + "[" * 40,
}

HEADER = '{"format":"json","version":1}\n'
TRACE = '"trace_id":"1-01020304-05060708090a0b0c0d0e0f10","id":"15161718191a1b1c"'
TIMES = '"start_time":1699999999.995,"end_time":1699999999.999'
SEGMENTS = {
    "all": f'{{"name":"shop",{TRACE},{TIMES},"parent_id":"00000000000000ff","origin":"AWS::EC2::Instance","user":"u","error":true,'
    '"throttle":true,"fault":false,"x":[{}],"http":{"request":{"method":"GET","url":"http://a/b?c","user_agent":"d","client_ip":"e",'
    '"x_forwarded_for":true},"response":{"status":429,"content_length":-5},"other":null},"annotations":{"k":"v","n":1.5,"e":1e999,"yes":true,'
    '"none":null,"component":"proxy","direction":"egress"},"aws":{},"cause":{"exceptions":[{"message":"m"},1,[],null]},"sql":[]}',
    "nested": f'{{"name":"a",{TRACE},{TIMES},"subsegments":[{{"name":"b","id":"0000000000000001",{TIMES},"namespace":"remote",'
    f'"subsegments":[{{"name":"c","id":"0000000000000002",{TIMES},"namespace":"aws"}},7,{{}},{{"in_progress":true}}]}}]}}',
    "subsegment": f'{{"name":"a",{TRACE},{TIMES},"type":"subsegment"}}', "in-progress": '{"in_progress":true}',
    "hex": '{"trace_id":"0102030405060708090a0b0c0d0e0f10","id":"15161718191a1b1c","start_time":1.7e9,"end_time":2}',
    "no-trace": "{}", "bad-trace": '{"trace_id":"2-01020304-05060708090a0b0c0d0e0f10"}', "no-id": '{"trace_id":"1-01020304-05060708090a0b0c0d0e0f10"}',
    "bad-parent": f'{{{TRACE},"parent_id":"1"}}', "no-start": f"{{{TRACE}}}", "start": f'{{{TRACE},"start_time":1e60}}', "no-end": f'{{{TRACE},"start_time":1}}',
    "start-long": f'{{{TRACE},"start_time":12345678901}}',
    **{f"type-{at}": f"{{{TRACE},{TIMES},{member}}}" for at, member in enumerate((
        '"name":7', '"http":7', '"http":{"request":7}', '"http":{"request":{"url":[]}}', '"annotations":[]', '"subsegments":{}', '"fault":{}'))},
    **{f"cut-{at}": text for at, text in enumerate((
        '{"annotations":{"a":[}}', '{"annotations":{"a"}}', '{"http":{"request":{"a"}}}', '{"http":{"request":{"a":[}}}', '{"http":{"request"}}',
        '{"subsegments":[}', "[]", "", "{} {}", '{"metadata":' + "[" * 40, '{"metadata":{"a":{"b"}}}'))},
}
HEADERS = {
    "list": "[]\n{}", "version": '{"format":"json","version":2}\n{}', "format": '{"format":"xml","version":1}\n{}', "cut": '{"format":"json"',
    "deep": '{"format":{}}\n{}', "behind": '{"format":"json","version":1}x\n{}', "none": "",
}


def recorded_zipkin():
    """Of each kind of sidecar and tracing, the first two bodies."""
    for name in ("on", "off"):
        bodies = json.loads((CORPUS / f"zipkin_envoy_spawn_{name}.json").read_text())
        for at, body in enumerate(bodies[:4]):
            yield f"envoy-{name}-{at}", json.dumps(body[:3], separators=(",", ":"))


def recorded_xray():
    for name in ("on", "off"):
        data, at = (CORPUS / f"xray_envoy_spawn_{name}.datagrams").read_bytes(), 0
        for number in range(4):
            (length,) = struct.unpack_from("<I", data, at)
            yield f"envoy-{name}-{number}", data[at + 4 : at + 4 + length]
            at += 4 + length


def zipkin_seeds():
    for name, text in (*SPANS.items(), *recorded_zipkin()):
        yield name, b"\x10" + bytes_of(text)


def xray_seeds():
    texts = [(name, HEADER + text) for name, text in SEGMENTS.items()]
    texts += [(f"header-{name}", text) for name, text in HEADERS.items()]
    for name, text in (*texts, *recorded_xray()):
        yield name, b"\x10" + bytes_of(text)


TRACES, METRICS, LOGS = 0x3C, 0x3D, 0x3E


def of_span(members):
    return TRACES, f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}'


def of_value(member):
    return of_span(f'"attributes":[{{"key":"k","value":{{{member}}}}}]')


def of_metric(members):
    return METRICS, f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{members}}}]}}]}}]}}'


OTLP = {
    "id-short": of_span('"traceId":"01","spanId":"0x"'), "id-odd": of_span('"traceId":"012","spanId":""'), "id-type": of_span('"traceId":1'),
    "kind-name": of_span('"kind":"SPAN_KIND_CLIENT"'), "kind-unknown": of_span('"kind":"x"'), "kind-type": of_span('"kind":true'), "kind-large": of_span('"kind":3e9'),
    "flags": of_span('"flags":257,"droppedLinksCount":3'), "flags-large": of_span('"flags":4294967296'), "time-type": of_span('"startTimeUnixNano":true'),
    "time-bad": of_span('"startTimeUnixNano":"x"'), "name-type": of_span('"name":1'), "name-escaped": of_span('"name":"\\u00e4"'), "null": of_span('"name":null,"unknown":[{}]'),
    "scalars": of_value('"stringValue":"","boolValue":false,"intValue":"-5","doubleValue":0.5'), "bytes": of_value('"bytesValue":"-_+/Zm8="'),
    "bytes-bad": of_value('"bytesValue":"A!=="'), "bytes-short": of_value('"bytesValue":"A"'), "bytes-type": of_value('"bytesValue":1'),
    "doubles": of_metric('"histogram":{"dataPoints":[{"explicitBounds":["NaN","Infinity","-Infinity",1,"2"],"sum":"x"}]}'), "bool-type": of_value('"boolValue":1'),
    "double-type": of_value('"doubleValue":true'), "int-large": of_value('"intValue":"9223372036854775808"'), "text-type": of_value('"stringValue":1'),
    "lists": of_value('"arrayValue":{"values":[{},{"kvlistValue":{"values":[{"key":"x","value":{"intValue":0}}]}}]}'),
    "deep": of_value('"arrayValue":{"values":[{' * 40), "message-type": (TRACES, '{"resourceSpans":[{"resource":[]}]}'), "element-type": (TRACES, '{"resourceSpans":[1]}'),
    "array-type": (TRACES, '{"resourceSpans":{}}'), "root": (TRACES, "[]"), "empty": (TRACES, ""), "cut": (TRACES, '{"resourceSpans":[{'), "behind": (TRACES, "{}x"), "skip": (TRACES, '{"x":[}'),
    "exponential": of_metric('"exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":6,"sum":1.5,"scale":-2,"zeroCount":"1","zeroThreshold":0.25,'
                             '"positive":{"offset":-3,"bucketCounts":["2",300]},"negative":{"offset":4},"exemplars":[{"asInt":"-3","traceId":"ff"}]}]}'),
    "scale-large": of_metric('"exponentialHistogram":{"dataPoints":[{"scale":2147483648}]}'), "summary": of_metric('"summary":{"dataPoints":[{"quantileValues":[{"quantile":0.5}]}]}'),
    "packed-type": of_metric('"histogram":{"dataPoints":[{"bucketCounts":3}]}'), "packed-bad": of_metric('"histogram":{"dataPoints":[{"bucketCounts":[1,-3]}]}'),
    "log": (LOGS, '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"SEVERITY_NUMBER_ERROR","flags":1,"body":{"stringValue":"b"},"observedTimeUnixNano":6}]}]}]}'),
}


def otlp_json_seeds():
    for name, (kind, text) in OTLP.items():
        yield name, bytes([kind]) + bytes_of(text)
    for signal, kind in (("traces", TRACES), ("metrics", METRICS), ("logs", LOGS)):
        text = (CORPUS / f"javascript_{signal}.json").read_bytes()
        yield f"javascript-{signal}", bytes([kind]) + text[:6000]
        yield f"javascript-{signal}-whole", bytes([kind]) + text


if __name__ == "__main__":
    write("json", json_seeds())
    write("otlp_json", otlp_json_seeds())
    write("zipkin", zipkin_seeds())
    write("xray", xray_seeds())
