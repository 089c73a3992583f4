"""A proxy that makes what comes back slow, or something else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.faults.listening import listening

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

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        async with listening(self._serve) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                await self._joined(reader, writer)
        finally:
            await _closed(writer)

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
