"""A small gRPC service behind the sidecars, and its caller: `/shop.Ratings/Get`, untyped bytes.

The metadata `x-code` is the status number to answer with, `x-delay` the seconds to wait before it.
"""

import threading
import time
from concurrent import futures

import grpc

METHOD = "/shop.Ratings/Get"
CODES = {code.value[0]: code for code in grpc.StatusCode}


class Ratings(grpc.GenericRpcHandler):
    """Context manager; `port` on 127.0.0.1, `seen` the status numbers answered."""

    def __init__(self):
        self.seen = []
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[self])
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def service(self, call):
        if call.method != METHOD:
            return None
        metadata = dict(call.invocation_metadata)
        return grpc.unary_unary_rpc_method_handler(lambda _request, context: self._answer(metadata, context))

    def _answer(self, metadata, context):
        time.sleep(float(metadata.get("x-delay", "0")))
        code = int(metadata.get("x-code", "0"))
        with self._lock:
            self.seen.append(code)
        if code:
            context.abort(CODES[code], "as asked")
        return b"ok"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(1).wait(5)


def call(port, codes, delay_s=0.0, timeout_s=30.0):
    """Calls once per code through the proxy on port; the status numbers that came back."""
    got = []
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)]) as channel:
        method = channel.unary_unary(METHOD)
        for code in codes:
            try:
                method(b"x", metadata=(("x-code", str(code)), ("x-delay", str(delay_s))), timeout=timeout_s)
                got.append(0)
            except grpc.RpcError as error:
                got.append(error.code().value[0])
    return got
