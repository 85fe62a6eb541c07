"""The agent under a service manager, which the test plays: sockets that are passed, what is told at which moment, and a
watchdog that is fed while every thread answers."""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from agent import WEFTD, Weftd
from harness import Process, answers_ok, free_port, wait_for

pytestmark = pytest.mark.agent_needed

FIRST_DESCRIPTOR = 3
DESCRIPTORS_FROM = 100  # of the test's own, so that none is among those that it passes
TOLD_SECONDS_MAX = 60
WATCHDOG_SECONDS = 1
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
# Becomes weftd with descriptors from 3 on, as a manager does between fork and exec.
LAUNCHER = """
import os, sys
descriptors = [int(word) for word in sys.argv[1].split(",") if word]
for number, descriptor in enumerate(descriptors, 3):
    os.dup2(descriptor, number)
    os.close(descriptor)
if descriptors:
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(descriptors))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """The datagram socket that $NOTIFY_SOCKET names, at a path or an abstract name."""

    def __init__(self, name):
        self.name = str(name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self.socket.settimeout(TOLD_SECONDS_MAX)

    def next(self):
        """One datagram as a dict."""
        return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))

    def next_with(self, key):
        end = time.monotonic() + TOLD_SECONDS_MAX
        while time.monotonic() < end:
            told = self.next()
            if key in told:
                return told
        raise AssertionError(f"{key} was not told")

    def fed_within(self, seconds):
        """Whether the watchdog is fed in so long, from now on."""
        end = time.monotonic() + seconds
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(65536)
        try:
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if "WATCHDOG" in self.next():
                    return True
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(TOLD_SECONDS_MAX)
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Managed(Weftd):
    """weftd with sockets passed by name; not waited for, and its exit status is the test's to ask for."""

    def __init__(self, directory, passed=(), environment=None, name="weftd", ends_with=0, **config):
        self.ends_with = ends_with
        Process.__init__(self, name, directory)
        self.socket = Path(directory) / "weft.sock"
        self.api_socket = Path(directory) / "api.sock"
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        path = Path(directory) / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"limits": {"count_decision_ms": 2000, "scrape_wait_ms": 10000}, **config}))
        descriptors = [fcntl.fcntl(made, fcntl.F_DUPFD, DESCRIPTORS_FROM) for _, made in passed]
        weftd = [WEFTD, "--config", path, "--socket", self.socket, "--http", self.address, "--shards", 2]
        command = [sys.executable, "-c", LAUNCHER, ",".join(map(str, descriptors)), *weftd]
        with open(self.log_path, "ab") as log:
            self._child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=descriptors,
                env={**os.environ, "LISTEN_FDNAMES": ":".join(n for n, _ in passed), **(environment or {})},
            )
        for descriptor in descriptors:
            os.close(descriptor)

    def wait_ready(self):
        self.wait_until(lambda: answers_ok(self.url("/readyz")), "ready")
        return self

    def ended(self):
        """The exit status of an agent that ends by itself."""
        return self._child.wait(TOLD_SECONDS_MAX)

    def __exit__(self, *_):
        status = self.stop()
        assert status == self.ends_with, f"weftd ended with {status}:\n{self.log()[-6000:]}"

    def open_files(self):
        folder = Path(f"/proc/{self.pid}/fd")
        return {int(entry.name): os.readlink(entry) for entry in folder.iterdir() if entry.is_symlink()}


def listening(path, kind=socket.SOCK_STREAM):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(str(path))
    if kind == socket.SOCK_STREAM:
        made.listen(64)
    return made


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_what_is_told_and_when(directory, abstract):
    name = f"@{directory}/notify" if abstract else f"{directory}/notify"
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)}
    with Manager(name) as manager, Managed(directory, environment=environment) as agent:
        assert manager.next() == {"READY": "1", "STATUS": "taking records"}
        # It is ready when that is told, not soon after.
        agent.emit("--source", "a", "--destination", "b", "--count", 7)
        assert answers_ok(agent.url("/readyz"))
        for _ in range(3):
            assert manager.next() == {"WATCHDOG": "1"}
        for more, status in (("", "taking records"), ("shards: many", "refused: ")):
            with open(f"{directory}/weftd.yaml", "a", encoding="utf-8") as file:
                file.write(f"{more}\n")
            agent.send_signal(signal.SIGHUP)
            assert int(manager.next_with("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            assert status in manager.next_with("READY")["STATUS"]
        agent.send_signal(signal.SIGTERM)
        told = manager.next_with("STOPPING")
        # limits.drain_ms and some more, so that a long drain is not cut short by the unit's time.
        assert int(told["EXTEND_TIMEOUT_USEC"]) >= 10_000_000
        assert agent.stop() == 0


def test_a_manager_that_went_does_not_matter(directory):
    environment = {"NOTIFY_SOCKET": f"{directory}/nobody", "WATCHDOG_USEC": "200000"}
    with Managed(directory, environment=environment).wait_ready() as agent:
        agent.emit("--source", "a", "--destination", "b", "--count", 3)
        agent.wait_spans(3)
        assert "notify_failed" in agent.log()


def test_a_passed_socket_outlives_the_agent(directory):
    """A proxy that connects while no agent runs is served by the next one; the socket's file is never removed."""
    path = Path(directory) / "weft.sock"
    with listening(path) as made:
        inode = path.stat().st_ino
        for run in range(2):
            # It waits in the backlog: nobody accepts yet.
            early = subprocess.Popen(
                [str(WEFTD.parent / "weft"), "emit", "--socket", str(path), "--count", "5", "--timeout", "60s"]
            )
            with Managed(directory, [("weft.sock", made)], name=f"run{run}").wait_ready() as agent:
                assert early.wait(TOLD_SECONDS_MAX) == 0
                agent.emit("--source", "a", "--destination", "b", "--count", 6)
                agent.wait_spans(11)
                assert agent.socket == path and path.stat().st_ino == inode
                # Nothing was bound beside it, so nothing had to be locked.
                assert not path.with_name("weft.sock.lock").exists()
            assert path.stat().st_ino == inode
    assert not (Path(directory) / "api.sock").exists()  # its own, which it does remove


def test_the_other_listeners_may_be_passed_too(directory):
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(listening(Path(directory) / "elsewhere.sock"))
        http = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stray = stack.enter_context(listening(Path(directory) / "stray.sock"))
        passed = [("http", http), ("stray", stray), ("api.sock", api)]
        agent = stack.enter_context(Managed(directory, passed))
        agent.address = f"127.0.0.1:{http.getsockname()[1]}"
        agent.wait_ready()
        agent.emit("--source", "a", "--destination", "b", "--count", 2)
        asked = subprocess.run(
            [str(WEFTD.parent / "weft"), "ledger", "--wait", "30", "--json"],
            env={**os.environ, "WEFT_API": f"{directory}/elsewhere.sock"},
            capture_output=True,
            timeout=TOLD_SECONDS_MAX,
        )
        assert asked.returncode == 0, asked
        # One that nobody knows is closed and said, so that its clients are refused and do not hang.
        assert "passed_socket_unused" in agent.log() and "stray" in agent.log()
        passed_inodes = {os.fstat(made.fileno()).st_ino: name for name, made in passed}
        held = {passed_inodes.get(int(at[8:-1])) for at in agent.open_files().values() if at.startswith("socket:[")}
        assert {"http", "api.sock"} <= held and "stray" not in held


def test_unfit_descriptors_stop_the_start(directory):
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        bound.bind(f"{directory}/silent.sock")
        abstract = stack.enter_context(listening(f"\0{directory}/abstract"))
        datagrams = stack.enter_context(listening(Path(directory) / "datagrams.sock", socket.SOCK_DGRAM))
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(listening(Path(directory) / "unix.sock"))
        rows = [
            ("weft.sock", bound, "socket.path"),
            ("weft.sock", abstract, "socket.path"),
            ("weft.sock", datagrams, "socket.path"),
            ("weft.sock", tcp, "socket.path"),
            ("api.sock", tcp, "api_socket.path"),
            ("http", unix, "http.address"),
        ]
        manager = stack.enter_context(Manager(f"{directory}/notify"))
        for number, (name, made, key) in enumerate(rows):
            environment = {"NOTIFY_SOCKET": manager.name}
            with Managed(directory, [(name, made)], environment, name=f"unfit{number}", ends_with=1) as agent:
                agent.ended()
                assert f"{key}: descriptor {FIRST_DESCRIPTOR}" in agent.log(), agent.log()
                told = manager.next()
                assert told["STATUS"].startswith(f"{key}: descriptor {FIRST_DESCRIPTOR}") and "READY" not in told


def test_bad_variables_stop_the_start(directory):
    for number, environment in enumerate(
        ({"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/" + "x" * 200}, {"WATCHDOG_USEC": "soon"})
    ):
        with Managed(directory, environment=environment, name=f"bad{number}", ends_with=1) as agent:
            agent.ended()
            assert next(iter(environment)) in agent.log()


@contextlib.contextmanager
def held_thread(pid, name):
    """One thread of a process stopped, as a debugger does it; the others run on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    tasks = Path(f"/proc/{pid}/task")
    tid = next(int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name)
    assert libc.ptrace(PTRACE_SEIZE, tid, None, None) == 0, os.strerror(ctypes.get_errno())
    try:
        assert libc.ptrace(PTRACE_INTERRUPT, tid, None, None) == 0
        os.waitpid(tid, 0x40000000)  # __WALL
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


@pytest.mark.parametrize("thread, loop", [("weft-shard", "shard"), ("weft-aggregate", "aggregator")])
def test_the_watchdog_starves_when_a_thread_hangs(directory, thread, loop):
    name = f"{directory}/notify"
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)}
    with Manager(name) as manager, Managed(directory, environment=environment) as agent:
        manager.next_with("READY")
        with held_thread(agent.pid, thread):
            told = manager.next_with("STATUS")
            assert loop in told["STATUS"]
            assert not manager.fed_within(3 * WATCHDOG_SECONDS)
        wait_for(lambda: manager.fed_within(2), "the watchdog to be fed again")
        assert "stalled" in agent.log()
