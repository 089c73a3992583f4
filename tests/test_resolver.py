"""Which addresses a provider's name may lead to."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from pydantic import SecretStr

from syncgraph.config import ProviderSettings
from syncgraph.upstream.transport import LOOKUPS, PrivateAddressError, Resolver, connect

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.1"


def leads_to(*addresses: str) -> Resolver:
    return Resolver(_lookup(addresses), may_be_private=False)


def _lookup(addresses: Sequence[str]):
    def lookup(host: str, port: int, family: int):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return lookup


@pytest.mark.parametrize(
    "address",
    [PRIVATE, "127.0.0.1", "0.0.0.0", "169.254.169.254", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "::"],
)  # fmt: skip
async def test_a_name_that_leads_into_a_private_network_is_refused_though_other_addresses_are_public(address):
    with pytest.raises(PrivateAddressError):
        await leads_to(PUBLIC, address).resolve("acme.test", 443)


async def test_a_name_that_leads_to_the_world_is_resolved():
    found = await leads_to(PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c").resolve("acme.test", 443)

    assert [(one["host"], one["port"], one["hostname"]) for one in found] == [
        (PUBLIC, 443, "acme.test"),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443, "acme.test"),
    ]


async def test_this_machine_by_its_own_name_is_meant():
    assert [one["host"] for one in await leads_to("127.0.0.1").resolve("localhost", 80)] == ["127.0.0.1"]


async def test_names_are_looked_up_as_this_machine_does():
    transport = connect(provider())._resolver  # type: ignore[attr-defined]  # the transport's own
    found = await transport.resolve("localhost", 80)
    await transport.close()

    assert "127.0.0.1" in [one["host"] for one in found]


async def test_private_addresses_may_be_allowed():
    resolver = Resolver(_lookup([PRIVATE]), may_be_private=True)

    assert [one["host"] for one in await resolver.resolve("acme.test", 80)] == [PRIVATE]


async def test_names_that_hang_cost_threads_of_one_provider_only():
    hang = threading.Event()

    def lookup(host: str, port: int, family: int):
        hang.wait()
        return []

    hanging, other = Resolver(lookup, may_be_private=False), leads_to(PUBLIC)
    waiting = [asyncio.create_task(hanging.resolve("acme.test", 443)) for _ in range(LOOKUPS * 10)]
    try:
        await asyncio.sleep(0)
        assert len(await other.resolve("other.test", 443)) == 1
        await asyncio.to_thread(lambda: None)
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("lookup")]
        assert len(names) <= LOOKUPS + 1
    finally:
        hang.set()
        await asyncio.gather(*waiting)
        await hanging.close()
        await other.close()


def provider(**its: object) -> ProviderSettings:
    table = {"kind": "den", "contract": "x", "base_url": "http://acme.test", "allow_insecure": True}
    return ProviderSettings.model_validate({**table, "credential": SecretStr("unused"), **its})


async def ask(settings: ProviderSettings, address: str) -> list[str]:
    """Asks over the product's transport; which names were looked up."""
    asked: list[str] = []

    def lookup(host: str, port: int, family: int):
        asked.append(host)
        return _lookup([address])(host, port, family)

    transport = connect(settings, lookup=lookup)
    try:
        await transport.handle_async_request(httpx2.Request("GET", settings.base_url))
    finally:
        await transport.aclose()
    return asked


async def test_a_transport_does_not_connect_to_what_is_refused():
    with pytest.raises(httpx2.TransportError) as caught:
        await ask(provider(), "127.0.0.1")

    causes = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(type(error))
        error = error.__cause__
    assert PrivateAddressError in causes


async def test_a_proxy_may_stand_in_the_private_network_and_looks_names_up_itself():
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await ask(provider(proxy=f"http://proxy.test:{port}"), "127.0.0.1") == ["proxy.test"]
    finally:
        server.close()


async def test_a_transport_that_is_closed_leaves_no_thread_behind():
    before = threading.active_count()
    threads: ThreadPoolExecutor = leads_to(PUBLIC)._threads
    assert threads._max_workers == LOOKUPS
    with pytest.raises(httpx2.TransportError):
        await ask(provider(), PRIVATE)
    for _ in range(500):
        if threading.active_count() <= before:
            break
        await asyncio.sleep(0.02)

    assert threading.active_count() <= before
