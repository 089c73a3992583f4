"""Figure 10: Redis killed, slowed, filled and lying while it is used: nobody is failed, and nobody is lied to."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.faults.proxy import Proxy
from tests.faults.report import Report
from tests.faults.stage import KINDS, PATIENCE_S, Stage, healthy, staged

from syncgraph.config import CacheSettings

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
pytestmark = pytest.mark.skipif(
    SERVER is None, reason="Redis is not installed (Debian: apt-get install redis-server)"
)

CLIENTS, EACH = 8, 10
"""Clients side by side, and how often each asks, before the trouble and again during it."""


@dataclass
class Store:
    """A Redis of its own, and the proxy through which the gateway reaches it."""

    process: subprocess.Popen[bytes]
    client: "Redis"
    proxy: Proxy


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Redis and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    assert SERVER is not None
    command = [SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        yield process, port
        process.kill()


@pytest.fixture
async def store(process: tuple[subprocess.Popen[bytes], int]) -> AsyncIterator[Store]:
    its, port = process
    client = Redis(port=port)
    await until_up(client)
    async with Proxy(port).listening() as proxy:
        yield Store(its, client, proxy)
    await client.aclose()


async def until_up(client: "Redis") -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await client.ping()
            except RedisError:
                await asyncio.sleep(0.01)
            else:
                return


@asynccontextmanager
async def using(store: Store) -> AsyncIterator[Stage]:
    """The gateway that keeps nothing in its own memory, so that every read asks the store."""
    cache = CacheSettings(max_bytes=0, redis=SecretStr(f"redis://127.0.0.1:{store.proxy.port}/0"))
    async with staged(KINDS[0], cache=cache) as stage:
        yield stage


async def until_used(stage: Stage) -> None:
    """Until a query is answered out of the store alone; else its trouble would prove nothing."""
    # A store that was late on a busy machine is left alone for a while.
    async with asyncio.timeout(PATIENCE_S * 4):
        while sum((await stage.ask()).calls.values()):  # noqa: ASYNC110  # whether it is used is seen by using it
            await asyncio.sleep(0.1)


async def load(stage: Stage, meanwhile: Callable[[], Awaitable[None]]) -> int:
    """Many queries, all of which must be answered as if nothing were wrong; how many upstream calls they cost.

    ``meanwhile``: done when a quarter of them are.
    """
    undisturbed = await healthy()
    begun = asyncio.Semaphore(0)

    async def client() -> int:
        calls = 0
        for _ in range(EACH):
            asked = await stage.ask()
            assert not asked.codes()
            for kind in KINDS:
                assert (
                    asked.part(kind)["connectors"]["nodes"] == undisturbed.part(kind)["connectors"]["nodes"]
                )
            begun.release()
            calls += sum(asked.source(kind)["upstreamCalls"] for kind in KINDS)
        return calls

    async with asyncio.TaskGroup() as clients:
        asking = [clients.create_task(client()) for _ in range(CLIENTS)]
        for _ in range(CLIENTS * EACH // 4):
            await begun.acquire()
        await meanwhile()
    return sum(task.result() for task in asking)


async def is_killed(store: Store) -> None:
    store.process.kill()
    await asyncio.to_thread(store.process.wait, PATIENCE_S)


async def is_slow(store: Store) -> None:  # noqa: RUF029  # one of several
    async def late(data: bytes) -> bytes:
        await asyncio.sleep(0.5)
        return data

    store.proxy.spoil = late


async def is_full(store: Store) -> None:
    await store.client.config_set("maxmemory", "1")
    await store.client.flushall()


async def says_junk(store: Store) -> None:  # noqa: RUF029  # one of several
    async def junk(data: bytes) -> bytes:  # noqa: RUF029  # the shape of Spoil
        return bytes(255 - byte for byte in data)

    store.proxy.spoil = junk


async def held(store: Store, key: bytes | str) -> bytes:
    value = await store.client.get(key)
    assert isinstance(value, bytes)
    return value


async def flips_bits(store: Store) -> None:
    """In the values, so that its protocol stays whole."""
    for key in await store.client.keys():
        value = bytearray(await held(store, key))
        value[len(value) // 2] ^= 1
        await store.client.set(key, bytes(value), keepttl=True)


async def mixes_up_its_values(store: Store) -> None:
    """Every key has what another should have."""
    keys = sorted(await store.client.keys())
    values = [await held(store, key) for key in keys]
    assert len(keys) > 1
    for key, value in zip(keys, values[1:] + values[:1], strict=True):
        await store.client.set(key, value, keepttl=True)


TROUBLES = [is_killed, is_slow, is_full, says_junk, flips_bits, mixes_up_its_values]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
async def test_whatever_the_store_does_every_query_is_answered_and_right(
    trouble: Callable[[Store], Awaitable[None]], store: Store, report: Report
):
    async with using(store) as stage:
        await until_used(stage)
        calls = await load(stage, lambda: trouble(store))
    asked = CLIENTS * EACH
    name = trouble.__name__.replace("_", " ")
    report.say(f"figure 10: Redis {name}: {asked} of {asked} queries answered and right, for {calls} calls")
