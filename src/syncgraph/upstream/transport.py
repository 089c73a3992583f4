"""The wire: httpx2's transport interface over aiohttp's connection pool (ADR 0002 says why)."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx2
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp.httpx2 import AiohttpTransport

from syncgraph.config import ProviderSettings

KEEP_ALIVE_S = 4.0
"""Below 5: Den's and Airweave's servers close an idle connection then, and we must not be just sending."""

LOOKUPS = 4
"""Names looked up at once for one provider: a name server that hangs costs this provider's threads only."""

Lookup = Callable[
    [str, int, int], list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]
]
"""``getaddrinfo`` for TCP: host, port and family to addresses; may block, raises OSError."""


class PrivateAddressError(OSError):
    """A name leads to an address that only this machine's network knows."""


def connect(settings: ProviderSettings, *, lookup: Lookup | None = None) -> httpx2.AsyncBaseTransport:
    """Connections to one provider: its own pool and name look-ups, no cookies, no proxy but the configured one."""
    tls = ssl.create_default_context(cafile=settings.ca_bundle)
    proxy = httpx2.Proxy(settings.proxy) if settings.proxy is not None else None
    # A proxy stands in the private network, and looks the provider's name up by itself.
    may_be_private = settings.allow_private_addresses or proxy is not None
    resolver = Resolver(lookup or _addresses, may_be_private=may_be_private)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=settings.concurrency,
            keepalive_timeout=KEEP_ALIVE_S,
            ssl=tls,
            ttl_dns_cache=30,
            resolver=resolver,
        )
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        # Its own retries would not be counted: not as calls, nor against the quota, nor for the circuit.
        session._retry_connection = False  # noqa: SLF001  # there is no other switch
        return session

    inner = AiohttpTransport(verify=tls, client=session, proxy=proxy)
    return _Transport(inner, resolver, settings.connect_timeout_s)


class _Transport(httpx2.AsyncBaseTransport):
    """Gives a connection, its TLS included, less time than an answer; aiohttp leaves a given resolver to its giver."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, resolver: "Resolver", connect_s: float) -> None:
        self._inner = inner
        self._resolver = resolver
        self._timeout = {"connect": connect_s}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions = {**request.extensions, "timeout": self._timeout}
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
        await self._resolver.close()


class Resolver(AbstractResolver):
    """Looks names up in threads of its own, and refuses those that lead into a private network."""

    def __init__(self, lookup: Lookup, *, may_be_private: bool) -> None:
        self._lookup = lookup
        self._may_be_private = may_be_private
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port, family)
        if not self._may_be_private and host != "localhost":
            _refuse_private(address[0] for *_, address in found)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=of,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for of, _type, _proto, _name, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(
    host: str, port: int, family: int
) -> list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
    return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)  # type: ignore[return-value]  # typed for every kind of socket


def _refuse_private(addresses: Iterable[str]) -> None:
    """If one of several is private, none is used: whoever answers for the name chooses which is tried first."""
    if any(not ipaddress.ip_address(address).is_global for address in addresses):
        raise PrivateAddressError("the name leads to a private address")
