"""A tiny HTTP/1.1 server that answers as each request asks it to, and remembers what it answered.

The header `x-plan` holds one word per attempt, chosen by `x-envoy-attempt-count` (when that is missing, by
how often the path was asked for): `200`, `404`, `503` … a status; `d150:200` the same after 150 ms; `reset`
closes the connection without an answer. Runs on a thread of its own; `seen` may be read from any thread once
the load has ended.
"""

import asyncio
import threading

BODY = b"ok\n"
HELD = "d600000:200"  # a plan without an answer: whoever sends it waits no longer than it wants to
BODILESS = (204, 304)
HEADER_BYTES_MAX = 65536


def step_of(plan, attempt):
    """(delay in seconds, status or None for a reset) of the attempt, which counts from 1."""
    words = plan.split(",")
    word = words[min(attempt, len(words)) - 1].strip()
    delay_s = 0.0
    if word.startswith("d"):
        milliseconds, word = word[1:].split(":")
        delay_s = int(milliseconds) / 1000
    return delay_s, None if word == "reset" else int(word)


class Upstream:
    def __init__(self):
        self.port = None
        self.seen = []  # (method, path, attempt, status or None), when it is answered
        self.begun = []  # the path, when it is asked for
        self._loop = asyncio.new_event_loop()
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        assert self._bound.wait(60), "the upstream did not bind"
        return self

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def has_begun(self, path, count=1):
        """Whether the path, whatever its query, was asked for so many times."""
        return sum(begun.partition("?")[0] == path for begun in self.begun) >= count

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEADER_BYTES_MAX)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._bound.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader, writer):
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    def _asked(self, path, plan):
        """Which attempt this is, when no header tells: of a plan for several, by how often its path was
        asked for."""
        return 1 + sum(seen[1] == path for seen in self.seen) if "," in plan else 1

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = dict(
            (line.split(":", 1)[0].lower(), line.split(":", 1)[1].strip()) for line in head[1:] if line
        )
        await reader.readexactly(int(headers.get("content-length", "0")))
        plan = headers.get("x-plan", "200")
        attempt = int(headers.get("x-envoy-attempt-count", "0")) or self._asked(path, plan)
        delay_s, status = step_of(plan, attempt)
        self.begun.append(path)
        if delay_s:
            await asyncio.sleep(delay_s)
        self.seen.append((method, path, attempt, status))
        if status is None:
            return False
        if status in BODILESS:
            writer.write(b"HTTP/1.1 %d X\r\n\r\n" % status)
        else:
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(BODY), BODY))
        await writer.drain()
        return True
