"""F01 to F13: a provider that cannot be reached, or only just."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from tests.faults.cells import cell
from tests.faults.faultd import Exchange, HangUp, head, nothing_wrong
from tests.faults.stage import ATTEMPT_S, KINDS, assert_others_unharmed, is_unharmed, staged, suffers
from tests.faults.tls import Tls

from syncgraph.config import ProviderSettings
from syncgraph.upstream import transport

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


@cell("F02")
async def test_a_connection_that_is_swallowed_is_a_timeout_after_a_second(kind: str):
    async with deaf() as port:
        await suffers(kind, TIMEOUT, within_s=CONNECT_S, base_url=f"http://127.0.0.1:{port}")


@cell("F03")
async def test_an_address_without_a_route_is_unavailable(kind: str):
    nowhere = "255.255.255.255"  # refused by this machine's own kernel: nothing is sent
    with socket.socket() as probe, pytest.raises(OSError) as refused:  # noqa: PT011  # looked at below
        probe.connect((nowhere, 9))
    if refused.value.errno not in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        pytest.skip("this machine has a route to everywhere")
    await suffers(kind, DOWN, within_s=0.3, calls=2, base_url=f"http://{nowhere}:9", allow_insecure=True)


@dataclass
class Names:
    """Says where the name of a test's provider leads; None: nothing, until ``release``."""

    leads_to: str | OSError | None
    asked: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    def look_up(self, _host: str, port: int, _family: int) -> list[Any]:
        self.asked += 1
        if self.leads_to is None:
            self.release.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if isinstance(self.leads_to, OSError):
            raise self.leads_to
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (self.leads_to, port))]

    def connect(self, its: ProviderSettings) -> httpx2.AsyncBaseTransport:
        return transport.connect(its, lookup=self.look_up)


NAMED = "http://provider.test:{port}{prefix}"


@cell("F04")
async def test_a_name_that_does_not_exist_is_unavailable(kind: str):
    names = Names(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    await suffers(
        kind, DOWN, within_s=0.3, calls=2, base_url=NAMED, allow_insecure=True, connect=names.connect
    )


@cell("F05")
async def test_a_name_server_that_hangs_is_a_timeout_for_its_provider_alone(kind: str):
    names = Names(None)
    try:
        await suffers(
            kind, TIMEOUT, within_s=ATTEMPT_S, base_url=NAMED, allow_insecure=True, connect=names.connect
        )
    finally:
        names.release.set()


@cell("F06")
async def test_a_name_that_leads_into_the_private_network_is_not_followed(kind: str):
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
        names = Names(address)
        async with staged(kind, base_url=NAMED, allow_insecure=True, connect=names.connect) as stage:
            asked = await stage.ask()
            await assert_others_unharmed(asked, kind)
            assert asked.source(kind)["code"] == "UPSTREAM_ADDRESS_REFUSED"
            assert stage.server.accepted == 0
            assert "UPSTREAM_ADDRESS_REFUSED" in stage.log.getvalue()


@cell("F07")
async def test_an_expired_certificate_is_unavailable_without_a_retry(kind: str, tls: Tls):
    await suffers(kind, DOWN, within_s=0.5, base_url=SECURE, ca_bundle=tls.bundle, tls=tls.expired)


@cell("F08")
async def test_a_certificate_of_another_host_is_unavailable_without_a_retry(kind: str, tls: Tls):
    await suffers(kind, DOWN, within_s=0.5, base_url=SECURE, ca_bundle=tls.bundle, tls=tls.of_another_host)


@cell("F09")
async def test_a_self_signed_certificate_is_unavailable_without_a_retry(kind: str, tls: Tls):
    await suffers(kind, DOWN, within_s=0.5, base_url=SECURE, ca_bundle=tls.bundle, tls=tls.self_signed)


@pytest.mark.parametrize("kind", KINDS)
async def test_over_tls_with_a_good_certificate_nothing_is_wrong(kind: str, tls: Tls):
    await is_unharmed(kind, base_url=SECURE, ca_bundle=tls.bundle, tls=tls.good)


@cell("F10")
async def test_plain_http_on_the_tls_port_is_unavailable(kind: str):
    async def speaks_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(head(400, content_length="0", connection="close"))
        await writer.drain()
        raise HangUp

    await suffers(kind, DOWN, within_s=0.5, base_url=SECURE, on_accept=speaks_plainly)


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    raise HangUp


@cell("F11")
async def test_a_handshake_that_hangs_is_a_timeout_after_a_second(kind: str):
    await suffers(kind, TIMEOUT, within_s=CONNECT_S, base_url=SECURE, on_accept=hangs)


async def hangs_up(*_: Any) -> None:  # noqa: RUF029  # the shape of OnAccept
    raise HangUp


@cell("F12")
async def test_a_connection_closed_when_accepted_is_unavailable_after_one_retry_on_a_fresh_one(kind: str):
    async with staged(kind, on_accept=hangs_up) as stage:
        asked = await stage.ask()
        assert asked.source(kind)["code"] == DOWN
        assert stage.server.accepted == 2
    await suffers(kind, DOWN, within_s=0.3, calls=2, on_accept=hangs_up)


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
