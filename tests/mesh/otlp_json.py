"""OTLP requests as JSON, made by Google's own classes: ProtoJSON, with ids in hex as OTLP has them; and posted."""

import base64
import gzip
import http.client
import json
import socket

from google.protobuf import json_format

ANSWER_SECONDS_MAX = 60


def _with_hex_ids(value):
    if isinstance(value, list):
        return [_with_hex_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64decode(each).hex() if key in ids and isinstance(each, str) else _with_hex_ids(each)
        for key, each in value.items()
    }


def text_of(request, enum_names=False, compact=True):
    """The request as JSON text."""
    made = json_format.MessageToDict(request, use_integers_for_enums=not enum_names)
    return json.dumps(_with_hex_ids(made), indent=None if compact else 2).encode()


def post(path, signal, body, packed=False, headers=()):
    """(status, content type, answer) of POST /v1/SIGNAL on a Unix socket."""
    connection = http.client.HTTPConnection("weft", timeout=ANSWER_SECONDS_MAX)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(ANSWER_SECONDS_MAX)
    connection.sock.connect(str(path))
    fields = {"content-type": "application/json", **dict(headers)}
    if packed:
        body, fields["content-encoding"] = gzip.compress(body), "gzip"
    try:
        connection.request("POST", f"/v1/{signal}", body, fields)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, answer.getheader("content-type"), content
    finally:
        connection.close()
