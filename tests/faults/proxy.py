"""A proxy that makes what comes back slow, or something else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Spoil = Callable[[bytes], Awaitable[bytes]]
"""What becomes of bytes on their way back."""


async def untouched(data: bytes) -> bytes:  # noqa: RUF029  # the shape of Spoil
    return data


@dataclass
class Proxy:
    """To a port of this machine. ``spoil`` may change at any time."""

    to: int
    spoil: Spoil = untouched
    port: int = 0
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        # The cancellation is ours, above: a connection's task that ends cancelled is logged as an error.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._joined(reader, writer)
        await _closed(writer)
        self._serving.discard(task)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", self.to)
        ways = [
            asyncio.ensure_future(_pump(reader, there, untouched)),
            asyncio.ensure_future(_pump(back, writer, self._spoiled)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await _closed(there)

    async def _spoiled(self, data: bytes) -> bytes:
        return await self.spoil(data)  # as it is set by then


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoil: Spoil) -> None:
    while data := await reader.read(65536):
        writer.write(await spoil(data))
        await writer.drain()
