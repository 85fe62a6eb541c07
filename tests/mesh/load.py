"""Sends a known mix of HTTP requests over a few keep-alive connections and returns what came back.

A request is (path, plan) or (path, plan, headers of its own): see upstream.py for plans. Blocking for the caller; at most `connections` requests
at once.
"""

import asyncio
import socket
import time

from harness import ANSWER_SECONDS_MAX, wait_for
from upstream import BODILESS


class Answer:
    __slots__ = ("path", "plan", "status", "seconds")

    def __init__(self, path, plan, status, seconds):
        self.path, self.plan, self.status, self.seconds = path, plan, status, seconds


async def _request(stream, host, path, plan, headers):
    reader, writer = stream
    lines = [f"GET {path} HTTP/1.1", f"host: {host}", f"x-plan: {plan}"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    status = int(head[0].split(" ")[1])
    fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    if status in BODILESS:
        pass
    elif fields.get("transfer-encoding") == "chunked":
        while True:
            size = int(await reader.readline(), 16)
            await reader.readexactly(size + 2)
            if size == 0:
                break
    else:
        await reader.readexactly(int(fields.get("content-length", "0")))
    return status, fields.get("connection") == "close"


async def _worker(port, host, queue, answers, headers, pace_s):
    stream = None
    while queue:
        path, plan, *own = queue.pop()
        if stream is None:
            stream = await asyncio.open_connection("127.0.0.1", port)
        start = time.monotonic()
        status, close = await asyncio.wait_for(
            _request(stream, host, path, plan, {**headers, **(own[0] if own else {})}), ANSWER_SECONDS_MAX
        )
        answers.append(Answer(path, plan, status, time.monotonic() - start))
        if close:
            stream[1].close()
            stream = None
        if pace_s:
            await asyncio.sleep(pace_s)
    if stream is not None:
        stream[1].close()


async def _send(port, requests, connections, host, headers, pace_s):
    queue, answers = list(reversed(requests)), []
    workers = [_worker(port, host, queue, answers, headers, pace_s) for _ in range(connections)]
    await asyncio.gather(*workers)
    return answers


def send(port, requests, connections=8, host="reviews.shop", headers=None, pace_s=0.0):
    """All answers, in the order in which they came."""
    return asyncio.run(_send(port, requests, connections, host, headers or {}, pace_s))


def abandon(port, path, plan, reached=None, after_s=0.05, host="reviews.shop"):
    """A request whose client goes away before the answer: once reached() is true, and without it after a time, which
    a busy proxy may need to see the request at all."""
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\nx-plan: {plan}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX) as client:
        client.sendall(request.encode())
        if reached is None:
            time.sleep(after_s)
        else:
            wait_for(reached, f"{path} to reach the upstream")
