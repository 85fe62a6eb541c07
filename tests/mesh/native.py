"""A client of the native stream that is not libweft: proto/README.md in a page of Python, messages by protoc-c's
description of the schema."""

import functools
import os
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import REPOSITORY

MAGIC = b"\x89WEFT1\r\n"
HELLO, LOGS, ACK, ERROR = 1, 5, 128, 129


@functools.cache
def schema(name):
    """The class of a message of proto/weft/v1/stream.proto."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "schema"
        command = [
            "protoc-c",
            f"--proto_path={REPOSITORY}/proto",
            f"--descriptor_set_out={out}",
            "weft/v1/stream.proto",
        ]
        subprocess.run(command, check=True, timeout=60)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"weft.v1.{name}"))


class Client:
    """Connected and greeted. `answers` are (type, message) of everything that the agent said."""

    def __init__(self, path, workload, namespace, instance=None):
        self.answers = []
        self.instance = instance or os.urandom(16)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        hello = schema("Hello")(
            version=1,
            instance_id=self.instance,
            next_sequence=1,
            workload=workload,
            workload_namespace=namespace,
            start_time_unix_ns=time.time_ns(),
        )
        self._socket.sendall(MAGIC)
        self.send(HELLO, hello)

    def send_only(self, kind, message):
        payload = message.SerializeToString()
        self._socket.sendall(struct.pack("<IBB", len(payload), kind, 0) + payload)

    def send(self, kind, message):
        """Sends a frame and returns the next Ack; Errors before it are in `answers`."""
        self.send_only(kind, message)
        while True:
            length, answer, _ = struct.unpack("<IBB", self._read(6))
            got = schema("Ack" if answer == ACK else "Error").FromString(self._read(length))
            self.answers.append((answer, got))
            if answer == ACK:
                return got

    def _read(self, count):
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, f"the agent has closed; it said {self.answers}"
            data += more
        return data

    def close(self):
        self._socket.close()
