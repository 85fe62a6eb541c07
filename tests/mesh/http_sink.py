"""A collector over HTTP/1.1 on a Unix socket that keeps each request as it came, and answers 202."""

import gzip
import http.server
import socketserver
import threading

BODY_BYTES_MAX = 64 << 20


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _chunks(self):
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline(64)
        while self.rfile.readline(1024).strip():
            pass  # trailers

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(min(int(self.headers.get("content-length", "0")), BODY_BYTES_MAX))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.keep(self.path, dict(self.headers), body)
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def address_string(self):
        return "unix"  # a Unix socket's peer has no address

    def log_message(self, *_):
        pass


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class HttpSink:
    """`requests` is a list of (path, headers, body), in order of arrival; bodies are inflated."""

    def __init__(self, path):
        self.requests = []
        self._lock = threading.Lock()
        self._server = _Server(str(path), _Handler)
        self._server.keep = self._keep
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def _keep(self, path, headers, body):
        with self._lock:
            self.requests.append((path, headers, body))

    def bodies(self, path):
        with self._lock:
            return [body for at, _, body in self.requests if at == path]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
