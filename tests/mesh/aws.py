"""AWS as the agent meets it: OTLP endpoints that verify each signature with botocore, keep to the published
limits, and the services that give credentials (an instance's metadata, a container's endpoint). All on
loopback, over plain HTTP.
"""

import calendar
import gzip
import http.server
import json
import threading
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REGION = "eu-test-1"
CLOCK_SKEW_SECONDS_MAX = 300
INSTANCE_TOKEN = "imds-session-token"
ROLE = "node-role"
# path: service, request, bytes, items (the user guide's "OTLP endpoints")
ENDPOINTS = {
    "/v1/traces": ("xray", ExportTraceServiceRequest, 5_000_000, 10_000),
    "/v1/metrics": ("monitoring", ExportMetricsServiceRequest, 1_000_000, 1_000),
    "/v1/logs": ("logs", ExportLogsServiceRequest, 1_000_000, 10_000),
}


def items_of(request):
    """Spans, log records or data points of a decoded request."""
    if isinstance(request, ExportTraceServiceRequest):
        return [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
    if isinstance(request, ExportLogsServiceRequest):
        return [record for r in request.resource_logs for s in r.scope_logs for record in s.log_records]
    metrics = [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]
    return [point for m in metrics for point in getattr(m, m.WhichOneof("data")).data_points]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", content_type="application/x-protobuf"):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.owner.get(self)

    def do_PUT(self):
        self.server.owner.put(self)

    def do_POST(self):
        self.server.owner.post(self)

    def log_message(self, *_):
        pass


class _Server:
    def __init__(self):
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def get(self, handler):
        handler.answer(404)

    put = post = get


class Keys:
    """Which keys are valid: access key id → (secret, token, when they end)."""

    def __init__(self):
        self._lock = threading.Lock()
        self.valid = {}
        self.issued = 0

    def issue(self, seconds=3600, token=True):
        with self._lock:
            self.issued += 1
            key = f"AKID{self.issued:012d}"
            secret = f"secret/{self.issued}+x="
            session = f"token/{self.issued}+/==" if token else None
            self.valid[key] = (secret, session, time.time() + seconds)
            return key, secret, session, self.valid[key][2]

    def revoke_all(self):
        with self._lock:
            self.valid.clear()


class Refused(Exception):
    pass


class Endpoints(_Server):
    """The OTLP endpoints. `taken`: (path, headers, decoded request) of each request that was accepted;
    `refused`: (status, why) of the others."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys
        self.taken = []
        self.refused = []

    def items(self, path):
        with self._lock:
            return [item for at, _, request in self.taken if at == path for item in items_of(request)]

    def _verify(self, handler, body):
        """botocore's signature of what came must be the one that came."""
        kind, _, rest = handler.headers.get("authorization", "").partition(" ")
        if kind != "AWS4-HMAC-SHA256":
            raise Refused("MissingAuthenticationToken")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        key, day, region, service, end = parts["Credential"].split("/")
        names = parts["SignedHeaders"].split(";")
        date = handler.headers["x-amz-date"]
        secret, token, ends = self.keys.valid.get(key, (None, None, 0))
        if secret is None:
            raise Refused("UnrecognizedClientException")
        if time.time() > ends:
            raise Refused("ExpiredTokenException")
        if handler.headers.get("x-amz-security-token") != token:
            raise Refused("InvalidClientTokenId")
        skew = abs(calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ")) - time.time())
        if skew > CLOCK_SKEW_SECONDS_MAX or not date.startswith(day):
            raise Refused("SignatureDoesNotMatch: time")
        if (region, service, end) != (REGION, ENDPOINTS[handler.path][0], "aws4_request"):
            raise Refused(f"SignatureDoesNotMatch: scope {region} {service}")
        must = {"host", "x-amz-date", "content-type"} | ({"x-amz-security-token"} if token else set())
        if not must <= set(names) or names != sorted(names):
            raise Refused(f"SignatureDoesNotMatch: signed headers {names}")
        request = AWSRequest("POST", f"http://{handler.headers['host']}{handler.path}", data=body)
        for name in names:
            request.headers[name] = ",".join(handler.headers.get_all(name, []))
        request.context["timestamp"] = date
        signer = SigV4Auth(Credentials(key, secret), service, region)
        canonical = signer.canonical_request(request)
        if signer.signature(signer.string_to_sign(request, canonical), request) != parts["Signature"]:
            raise Refused("SignatureDoesNotMatch")

    def post(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        try:
            self._verify(handler, body)
        except Refused as why:
            self._refuse(handler, 403, str(why))
            return
        if handler.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        elif handler.headers.get("content-encoding"):
            self._refuse(handler, 415, "encoding")
            return
        _, kind, bytes_max, count_max = ENDPOINTS[handler.path]
        request = kind.FromString(body)
        items = items_of(request)
        if len(body) > bytes_max or len(items) > count_max:
            self._refuse(handler, 413, f"{len(body)} bytes, {len(items)} items")
            return
        if handler.path == "/v1/traces" and any(span.ByteSize() > 200_000 for span in items):
            self._refuse(handler, 400, "a span of more than 200 KB")
            return
        if handler.path == "/v1/logs" and not handler.headers.get("x-aws-log-group"):
            self._refuse(handler, 400, "no log group")
            return
        with self._lock:
            self.taken.append((handler.path, handler.headers, request))
        handler.answer(200)

    def _refuse(self, handler, status, why):
        with self._lock:
            self.refused.append((status, why))
        handler.answer(status, json.dumps({"__type": why, "message": "no"}).encode(), "application/json")


class Metadata(_Server):
    """An instance's metadata (IMDSv2 only) and a container's endpoint at /creds, both giving new keys for
    `seconds` each time. `asked` holds the paths; `fail` makes every answer a 500."""

    def __init__(self, keys, seconds=3600, container_token=None):
        super().__init__()
        self.keys = keys
        self.seconds = seconds
        self.container_token = container_token
        self.asked = []
        self.fail = False

    def _credentials(self):
        key, secret, token, ends = self.keys.issue(self.seconds)
        return json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": key,
                "SecretAccessKey": secret,
                "Token": token,
                "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends)),
            }
        ).encode()

    def _begin(self, handler):
        with self._lock:
            self.asked.append(handler.path)
        if self.fail:
            handler.answer(500)
        return not self.fail

    def put(self, handler):
        if not self._begin(handler):
            return
        ttl = int(handler.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "0"))
        good = handler.path == "/latest/api/token" and 1 <= ttl <= 21600
        handler.answer(200 if good else 400, INSTANCE_TOKEN.encode() if good else b"")

    def get(self, handler):
        if not self._begin(handler):
            return
        roles = "/latest/meta-data/iam/security-credentials/"
        if handler.path == "/creds":
            allowed = handler.headers.get("authorization") == self.container_token
        else:
            allowed = handler.headers.get("x-aws-ec2-metadata-token") == INSTANCE_TOKEN
        if not allowed:
            handler.answer(401)
        elif handler.path == roles:
            handler.answer(200, ROLE.encode() + b"\n", "text/plain")
        elif handler.path in (f"{roles}{ROLE}", "/creds"):
            handler.answer(200, self._credentials(), "application/json")
        else:
            handler.answer(404)
