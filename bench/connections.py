"""Load on a gateway over kept-alive sockets."""

# ruff: noqa: INP001  # beside the scripts that use it

import asyncio
import json
import re
import time
from collections import deque

KEEP_S = 5.0
"""What has not been used so long is closed, long before the gateway does it."""


class Connections:
    """HTTP/1.1 as cheap as it gets: the load must not be what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        """Since when."""

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer. Raises OSError, IncompleteReadError."""
        if self._idle:
            _, reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        self._idle.append((time.monotonic(), reader, writer))
        while self._idle[0][0] < time.monotonic() - KEEP_S:
            self._idle.popleft()[2].close()
        return head, body

    def leave(self) -> None:
        for _, _, writer in self._idle:
            writer.close()
        self._idle.clear()


def status(head: bytes) -> str:
    return head[9:12].decode()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n".encode()


def post(query: str, *, is_fresh: bool) -> bytes:
    """``is_fresh``: takes no copy."""
    body = json.dumps({"query": query}).encode()
    fresh = "cache-control: no-cache\r\n" if is_fresh else ""
    head = f"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n{fresh}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body
