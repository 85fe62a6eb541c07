"""Keeps what proxies stream over gRPC: Envoy's access loggers and its metrics service send no other way."""
import threading
from concurrent import futures

import grpc


class StreamSink(grpc.GenericRpcHandler):
    """Context manager for the calls of one method; `streams` is a list of lists of encoded messages."""

    def __init__(self, path, method):
        self.streams = []
        self._method = method
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[self])
        self._server.add_insecure_port(f"unix:{path}")

    def service(self, call):
        if call.method != self._method:
            return None
        return grpc.stream_unary_rpc_method_handler(self._take)

    def _take(self, messages, _context):
        kept = []
        with self._lock:
            self.streams.append(kept)
        for message in messages:
            kept.append(message)
        return b""

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(1).wait(5)
