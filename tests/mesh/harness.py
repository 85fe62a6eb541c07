"""Processes, ports and temporary directories of the mesh tests.

Every process is started by path, ended by its own pid and bounded in time; everything it writes goes to a
log file in the test's temporary directory. Nothing here knows what the processes are for.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FULL = os.environ.get("WEFT_MESH_FULL") == "1"  # the long forms of tests, as scripts/test-long runs them
PAUSE_SECONDS = float(os.environ.get("WEFT_MESH_STOP_SECONDS", "60" if FULL else "10"))
# Bounds of waits, not expectations: on a crowded machine everything takes long, and nothing is to fail by that.
STOP_SECONDS_MAX = 60
START_SECONDS_MAX = 120
ANSWER_SECONDS_MAX = 60
PORT_MIN, PORT_END = 10240, 65536
PORT_TRIES_MAX = 1000
_ports_given = set()


def free_port():
    """A port on 127.0.0.1 at which nothing listens now, TCP or UDP; no other call of this process gives it. It lies
    below the ports that the kernel takes for connections, where it leaves any, so that none of those can have it when
    its owner starts, and a connection to a port that stays closed is refused."""
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    end = first_of_kernel if first_of_kernel > PORT_MIN + PORT_TRIES_MAX else PORT_END
    for _ in range(PORT_TRIES_MAX):
        port = random.randrange(PORT_MIN, end)
        if port not in _ports_given and _nothing_has(port):
            _ports_given.add(port)
            return port
    raise AssertionError("no free port")


def _nothing_has(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def wait_for(condition, what, seconds=START_SECONDS_MAX, pause=0.05):
    """The first truthy value of condition(), or AssertionError naming what was waited for."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(pause)


def http_get(url, headers=None, timeout=ANSWER_SECONDS_MAX):
    """(status, headers, body) of a GET; an HTTP error status is an answer, not an exception."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def answers_ok(url):
    """True when a GET gives 200; False for any other answer or none."""
    try:
        return http_get(url, timeout=10)[0] == 200
    except OSError:
        return False


class TemporaryDirectory:
    """A short path under /tmp (a Unix socket's path is at most 107 bytes); kept when WEFT_MESH_KEEP is
    set."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="weft-mesh-", dir="/tmp"))

    def close(self):
        if not os.environ.get("WEFT_MESH_KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        self.close()


class Process:
    """One child process: started by the constructor's subclass through start(), ended by stop()."""

    def __init__(self, name, directory):
        self.name = name
        self.log_path = Path(directory) / f"{name}.log"
        self._child = None

    def start(self, command, environment=None):
        # The log is appended to, so that a restart keeps what the first run said.
        with open(self.log_path, "ab") as log:
            self._child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child is not None and self._child.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_until(self, condition, what, seconds=START_SECONDS_MAX):
        """As wait_for, but gives up at once, with the log's end, when the process has died."""

        def alive_and_met():
            if not self.running():
                raise AssertionError(
                    f"{self.name} ended with {self._child.returncode}:\n{self.log()[-4000:]}"
                )
            return condition()

        return wait_for(alive_and_met, f"{self.name}: {what}", seconds)

    def send_signal(self, number):
        os.kill(self._child.pid, number)

    @contextlib.contextmanager
    def paused(self):
        """Stopped, as by a debugger, for the length of a `with`."""
        self.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    def stop(self, number=signal.SIGTERM):
        """Ends the process and returns its exit status; kills it when it does not obey in time. Safe to
        repeat."""
        if self._child is None:
            return None
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGCONT)
            self._child.send_signal(number)
            try:
                self._child.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        return self._child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
