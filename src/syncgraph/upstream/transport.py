"""The wire: httpx2's transport interface over aiohttp's connection pool (ADR 0002 says why)."""

import ssl

import aiohttp
import httpx2
from httpx_aiohttp.httpx2 import AiohttpTransport

from syncgraph.config import ProviderSettings

KEEP_ALIVE_S = 4.0
"""Below 5: Den's and Airweave's servers close an idle connection then, and we must not be just sending."""


def connect(settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
    """Connections to one provider: its own pool, no cookies, no proxy but the configured one."""
    tls = ssl.create_default_context(cafile=settings.ca_bundle)
    proxy = httpx2.Proxy(settings.proxy) if settings.proxy is not None else None

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=settings.concurrency, keepalive_timeout=KEEP_ALIVE_S, ssl=tls, ttl_dns_cache=30
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    return AiohttpTransport(verify=tls, client=session, proxy=proxy)
