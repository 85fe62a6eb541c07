"""A UDP receiver on loopback that keeps each datagram as it came."""

import socket
import threading

DATAGRAM_BYTES_MAX = 65536


class UdpSink:
    """`datagrams` is a list of bytes, in order of arrival; `port` is where to send them. Context manager."""

    def __init__(self):
        self.datagrams = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self):
        while not self._stopping.is_set():
            try:
                self.datagrams.append(self._socket.recv(DATAGRAM_BYTES_MAX))
            except TimeoutError:
                continue

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        self._socket.close()
