"""An OTLP/gRPC receiver on a Unix socket that keeps the bytes of each message as they came, and a relay that
keeps a connection's bytes.

The receiver uses grpcio with generic handlers: nothing is decoded, so what is stored is what the sender
encoded.
"""

import socket
import threading
from concurrent import futures

import grpc

MESSAGE_BYTES_MAX = 64 << 20


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, store, gate):
        self._store, self._gate = store, gate

    def service(self, call):
        if not call.method.startswith("/opentelemetry.proto.collector."):
            return None
        method, metadata = call.method, dict(call.invocation_metadata)

        def export(message, context):
            answer = self._gate(message, context)
            self._store(method, metadata, message)
            return answer or b""

        return grpc.unary_unary_rpc_method_handler(export)


class Sink:
    """`messages` is a list of (method, metadata, bytes), in order of arrival."""

    def __init__(self, target, gate=lambda message, context: None):
        """target: a Unix socket's path, or HOST:PORT. gate is called before a message is kept: it may wait,
        abort the call (the message is then not kept), or return the encoded answer."""
        self.messages = []
        self._lock = threading.Lock()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4),
            handlers=[_Handlers(self._keep, gate)],
            options=[("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0)],
        )
        self._server.add_insecure_port(target if ":" in str(target) else f"unix:{target}")

    def _keep(self, method, metadata, message):
        with self._lock:
            self.messages.append((method, metadata, message))

    def traces(self):
        """The bytes of every ExportTraceServiceRequest so far."""
        with self._lock:
            return [message for method, _, message in self.messages if ".TraceService/" in method]

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(1).wait(5)


class Relay:
    """Listens on one Unix socket and passes each connection to another; `streams` holds what each client
    sent."""

    def __init__(self, listen_path, target_path):
        self.streams = []  # a bytearray per connection
        self._target_path = str(target_path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(listen_path))
        self._listener.listen(16)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target_path)
            kept = bytearray()
            self.streams.append(kept)
            threading.Thread(target=self._pump, args=(client, server, kept), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, None), daemon=True).start()

    @staticmethod
    def _pump(source, destination, kept):
        try:
            while chunk := source.recv(65536):
                if kept is not None:
                    kept += chunk
                destination.sendall(chunk)
        except OSError:
            pass
        for end in (source, destination):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
