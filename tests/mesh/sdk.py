"""Sends spans as an application does that uses the OpenTelemetry Python SDK and its instrumentations.

    python sdk.py --target unix:/run/weft/weft.sock --scenario http|grpc|rpc|weighted
                  --convention old|new|both --count N

    http      urllib client and WSGI server, N requests of 200, 404 and 500 in turn
    grpc      grpcio client and server, N calls of OK, NOT_FOUND and UNAVAILABLE in turn
    rpc       N CLIENT spans by hand, with the current RPC conventions, unknown to the instrumentation yet
    weighted  N traces through the SDK's ratio sampler at 1/4, whose tracestate says `ot=th:c`

A process of its own, because the conventions are chosen by an environment variable when the instrumentation
loads. Prints one JSON object: how many spans were ended and sampled, by kind.
"""

import argparse
import json
import os
import sys
import threading
import urllib.error
import urllib.request
import wsgiref.simple_server
from collections import Counter
from concurrent import futures

OPT_IN = {"old": "", "new": "http", "both": "http/dup"}
STATUSES = (200, 404, 500)
GRPC_CODES = (0, 5, 14)
METHOD = "/shop.Ratings/Get"


def provider_of(service, target, counts, sampler=None):
    """A tracer provider that exports to target and counts sampled spans by kind."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Count(SpanProcessor):
        def on_end(self, span):
            counts[span.kind.name] += 1

    resource = Resource.create(
        {"service.name": service, "service.namespace": "shop", "service.version": "v1"}
    )
    provider = TracerProvider(resource=resource, sampler=sampler)
    provider.add_span_processor(Count())
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint=target, insecure=True), max_export_batch_size=64, max_queue_size=65536
        )
    )
    return provider


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def _application(environ, start_response):
    start_response(f"{environ['PATH_INFO'].rsplit('/', 1)[1]} X", [("content-type", "text/plain")])
    return [b"ok\n"]


def http(client, server, count):
    from opentelemetry.instrumentation.urllib import URLLibInstrumentor
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    application = OpenTelemetryMiddleware(_application, tracer_provider=server)
    with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=_Quiet) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        URLLibInstrumentor().instrument(tracer_provider=client)
        for i in range(count):
            url = f"http://localhost:{listener.server_port}/reviews/{1000 + i}/{STATUSES[i % 3]}?token=secret"
            try:
                urllib.request.urlopen(url, timeout=60).read()
            except urllib.error.HTTPError as error:
                error.close()
        listener.shutdown()


def grpc(client, server, count):
    import grpc as library
    from opentelemetry.instrumentation.grpc import client_interceptor, server_interceptor
    from opentelemetry.instrumentation.grpc.grpcext import intercept_channel

    class Ratings(library.GenericRpcHandler):
        def service(self, call):
            code = int(dict(call.invocation_metadata)["x-code"])

            def answer(_request, context):
                if code:
                    context.abort(
                        [each for each in library.StatusCode if each.value[0] == code][0], "as asked"
                    )
                return b"ok"

            return library.unary_unary_rpc_method_handler(answer)

    listener = library.server(
        futures.ThreadPoolExecutor(2),
        handlers=[Ratings()],
        interceptors=[server_interceptor(tracer_provider=server)],
    )
    port = listener.add_insecure_port("127.0.0.1:0")
    listener.start()
    channel = library.insecure_channel(f"localhost:{port}", options=[("grpc.enable_retries", 0)])
    call = intercept_channel(channel, client_interceptor(tracer_provider=client)).unary_unary(METHOD)
    for i in range(count):
        try:
            call(b"x", metadata=(("x-code", str(GRPC_CODES[i % 3])),), timeout=60)
        except library.RpcError:
            pass
    channel.close()
    listener.stop(1).wait()


def rpc(client, count):
    from opentelemetry.trace import SpanKind, Status, StatusCode

    tracer = client.get_tracer("by-hand")
    for i in range(count):
        name = ("OK", "NOT_FOUND", "UNAVAILABLE")[i % 3]
        attributes = {
            "rpc.system.name": "grpc",
            "rpc.method": "shop.Ratings/Get",
            "rpc.response.status_code": name,
            "server.address": "ratings.shop.svc.cluster.local",
            "server.port": 9090,
        }
        if name != "OK":
            attributes["error.type"] = name
        with tracer.start_as_current_span(
            "shop.Ratings/Get", kind=SpanKind.CLIENT, attributes=attributes
        ) as span:
            if name != "OK":
                span.set_status(Status(StatusCode.ERROR))


def quarter_sampler():
    from opentelemetry.sdk.trace import _sampling_experimental as sampling

    return sampling.composite_sampler(sampling.composable_traceid_ratio_based(0.25))


def weighted(client, count):
    from opentelemetry.trace import SpanKind

    tracer = client.get_tracer("by-hand")
    for _ in range(count):
        attributes = {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "url.path": "/reviews/7",
            "http.route": "/reviews/{id}",
            "server.address": "reviews.shop.svc.cluster.local",
        }
        span = tracer.start_span("GET", kind=SpanKind.CLIENT)
        span.set_attributes(attributes)  # the experimental sampler loses those given to start_span
        span.end()


def run(arguments):
    counts = Counter()
    sampler = quarter_sampler() if arguments.scenario == "weighted" else None
    client = provider_of("productpage", arguments.target, counts, sampler)
    server = provider_of("reviews", arguments.target, counts)
    if arguments.scenario == "http":
        http(client, server, arguments.count)
    elif arguments.scenario == "grpc":
        grpc(client, server, arguments.count)
    elif arguments.scenario == "rpc":
        rpc(client, arguments.count)
    else:
        weighted(client, arguments.count)
    client.shutdown()
    server.shutdown()
    return counts


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", required=True)
    parser.add_argument("--scenario", choices=("http", "grpc", "rpc", "weighted"), required=True)
    parser.add_argument("--convention", choices=OPT_IN, default="old")
    parser.add_argument("--count", type=int, default=30)
    arguments = parser.parse_args()
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = OPT_IN[arguments.convention]
    json.dump(run(arguments), sys.stdout)


if __name__ == "__main__":
    main()
