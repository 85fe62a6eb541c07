"""A program in a pseudo-terminal, and what a person would see of it: pyte reads its output as a terminal does."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte

SECONDS_MAX = 30


class PseudoTerminal:
    """Runs argv with a terminal of its own. TERM is one whose whole language pyte speaks."""

    def __init__(self, argv, rows=24, columns=80, **variables):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.output = b""
        self.status = None
        self.master, slave = pty.openpty()
        self._set_size(rows, columns)
        # Line mode, echo and so on, as a shell has them: what the program is to leave behind.
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        environment = {**os.environ, "TERM": "screen", **variables}
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in (0, 1, 2):
                    os.dup2(slave, fd)
                os.closerange(3, 256)
                os.execve(argv[0], [str(word) for word in argv], environment)
            finally:
                os._exit(127)

    def _set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        self._set_size(rows, columns)  # the kernel sends SIGWINCH

    def read(self, seconds):
        """Feeds the screen with what comes within the time, or until the program's side is closed."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                chunk = b""
            self.output += chunk
            self.stream.feed(chunk)
            return bool(chunk)
        return True

    def press(self, keys):
        os.write(self.master, keys.encode())

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines())

    def wait_for(self, condition, what, seconds=SECONDS_MAX):
        """The first truthy value of condition(lines)."""
        end = time.monotonic() + seconds
        while True:
            value = condition(self.lines())
            if value:
                return value
            assert time.monotonic() < end, f"waited {seconds} s in vain for {what}:\n{self.text()}"
            self.read(0.1)

    def wait_text(self, text, seconds=SECONDS_MAX):
        return self.wait_for(lambda lines: text in "\n".join(lines), repr(text), seconds)

    def wait_end(self, seconds=SECONDS_MAX):
        """The exit status once the program has ended."""
        end = time.monotonic() + seconds
        while self.status is None:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, f"still runs after {seconds} s:\n{self.text()}"
        while select.select([self.master], [], [], 0)[0] and self.read(0):
            pass
        return self.status

    def is_restored(self):
        """Whether the terminal is as it was: its modes, and the last word about cursor and alternate screen."""
        modes_same = termios.tcgetattr(self.slave) == self.before
        cursor_shown = self.output.rfind(b"\x1b[?25h") > self.output.rfind(b"\x1b[?25l")
        return modes_same and cursor_shown

    def signal(self, number):
        os.kill(self.pid, number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
        os.close(self.slave)
