"""F01 to F13: a provider that cannot be reached, or only just."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import httpx2
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp.httpx2 import AiohttpTransport
from tests.faults.cells import cell
from tests.faults.faultd import Exchange, HangUp, nothing_wrong
from tests.faults.stage import KINDS, Connect, is_unharmed, staged, suffers
from tests.faults.tls import Tls

from syncgraph.config import ProviderSettings

TIMEOUT, DOWN = "UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE"
CONNECT_S = 1.0
SECURE = "https://localhost:{port}{prefix}"


@contextmanager
def unheard() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@cell("F01")
async def test_a_refused_connection_is_unavailable_after_one_retry(kind: str):
    with unheard() as port:
        await suffers(kind, DOWN, within_s=0.3, calls=2, base_url=f"http://127.0.0.1:{port}")


@asynccontextmanager
async def deaf() -> AsyncIterator[int]:
    """A port whose backlog is full: further SYNs are dropped, as by a firewall."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(64):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            try:
                async with asyncio.timeout(0.3):
                    await asyncio.get_running_loop().sock_connect(filler, ("127.0.0.1", port))
            except TimeoutError:
                yield port
                return
        pytest.skip("this machine lets no listener's backlog be filled")


@cell("F03")
async def test_an_address_without_a_route_is_unavailable(kind: str):
    nowhere = "255.255.255.255"  # refused by this machine's own kernel: nothing is sent
    with socket.socket() as probe, pytest.raises(OSError) as refused:  # noqa: PT011  # looked at below
        probe.connect((nowhere, 9))
    if refused.value.errno not in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        pytest.skip("this machine has a route to everywhere")
    await suffers(kind, DOWN, within_s=0.3, calls=2, base_url=f"http://{nowhere}:9", allow_insecure=True)


class Resolver(AbstractResolver):
    """Says what a test wants a name to be."""

    def __init__(self, answer: str | OSError | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, OSError):
            raise self.answer
        assert self.answer is not None
        return [
            ResolveResult(hostname=host, host=self.answer, port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def resolving(resolver: Resolver) -> Connect:
    def connect(its: ProviderSettings) -> httpx2.AsyncBaseTransport:
        return AiohttpTransport(
            client=lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver))
        )

    return connect


NAMED = "http://provider.test:{port}{prefix}"


@cell("F04")
async def test_a_name_that_does_not_exist_is_unavailable(kind: str):
    resolver = Resolver(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    await suffers(
        kind, DOWN, within_s=0.3, calls=2, base_url=NAMED, allow_insecure=True, connect=resolving(resolver)
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_over_tls_with_a_good_certificate_nothing_is_wrong(kind: str, tls: Tls):
    await is_unharmed(kind, base_url=SECURE, ca_bundle=tls.bundle, tls=tls.good)


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    raise HangUp


async def hangs_up(*_: Any) -> None:  # noqa: RUF029  # the shape of OnAccept
    raise HangUp


@cell("F13")
async def test_a_kept_connection_that_closes_just_as_we_send_costs_nobody_anything(kind: str):
    async def closes_an_old_connection(exchange: Exchange) -> None:
        if exchange.number == 2:
            raise HangUp
        await nothing_wrong(exchange)

    async with staged(kind, fault=closes_an_old_connection) as stage:
        first, second = await stage.ask(), await stage.ask()
        assert stage.server.accepted == 2, "the connection was not kept, so nothing was tried"
        assert first.part(kind)["connectors"]["nodes"] == second.part(kind)["connectors"]["nodes"] != []
        assert not second.codes()
