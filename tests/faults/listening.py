"""A TCP server of which nothing is left once it ends."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port. ``serve``: all that is done with one connection; cancelled at the end."""
    serving: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        # The cancellation is ours, below: a connection's task that ends cancelled is logged as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await serve(reader, writer)
        serving.discard(task)

    server = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls, limit=2**20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
