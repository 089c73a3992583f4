"""Three tenants at four providers: equal addresses, equal ids, other credentials. Nobody sees what another was told.

``make test-deep`` interleaves 10,000 operations, the ordinary run some hundred; in virtual time.
"""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import msgspec
import pytest
import structlog
from pydantic import SecretStr
from tests import virtual

from syncgraph import sandboxes
from syncgraph.app import Gateway
from syncgraph.config import CacheSettings, ProviderSettings, Settings
from syncgraph.graph.schema import Operation

OPERATIONS = 10_000 if int(os.environ.get("SYNCGRAPH_EXAMPLES", "0")) > 200 else 400
AT_ONCE, CANCELLED, BETWEEN_S = 40, 0.3, 0.2
ENOUGH = 60
"""Ids to ask for, of all tenants and kinds."""
TENANTS = "abc"
KINDS = list(sandboxes.SANDBOXES)

ROW = "fragment N on Node { ... on Connector { id name provider { name } } ... on Sync { id name provider { name } } }"
NODE = "query ($id: ID!) { node(id: $id) { ...N } } " + ROW
TWICE = (
    "query ($id: ID!, $other: ID!) { a: node(id: $id) { ...N } b: node(id: $other) { ...N }"
    " c: nodes(ids: [$other, $id]) { ...N } } " + ROW
)
LISTS = "{ connectors(first: 100) { nodes { ...N } } syncs(first: 50) { nodes { ...N } } } " + ROW
BAD = [401, 403, 404, 429, 500]


def key_of(kind: str, tenant: str) -> str:
    return f"credential-of-{kind}-{tenant}"


class Tenanted(httpx2.AsyncBaseTransport):
    """One provider for all its tenants: who asks is known by the credential alone, and stands in every name."""

    def __init__(self, kind: str, its: ProviderSettings, chance: random.Random) -> None:
        self._kind, self._chance = kind, chance
        self._sandbox = sandboxes.connect(virtual.now)(its)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(self._chance.choice([0.0, 0.01, 0.3, 1.0, 2.5]))
        tenant = self._tenant(request.headers)
        if self._chance.random() < 0.03:
            return httpx2.Response(self._chance.choice(BAD), json={"error": "no"})
        genuine = sandboxes.SANDBOXES[self._kind].KEY
        headers = {
            name: value.replace(key_of(self._kind, tenant), genuine)
            for name, value in request.headers.items()
        }
        asked = httpx2.Request(request.method, request.url, headers=headers, content=request.content)
        answer = await self._sandbox.handle_async_request(asked)
        body = msgspec.json.decode(await answer.aread())
        return httpx2.Response(answer.status_code, json=_named(body, tenant))

    def _tenant(self, headers: httpx2.Headers) -> str:
        given = " ".join(headers.values())
        (tenant,) = [tenant for tenant in TENANTS if key_of(self._kind, tenant) in given]
        return tenant


def _named(value: Any, tenant: str) -> Any:
    if isinstance(value, list):
        return [_named(one, tenant) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: f"{one} @{tenant}" if key in NAMES and isinstance(one, str) else _named(one, tenant)
        for key, one in value.items()
    }


NAMES = {"name", "displayName", "hostname", "dest_table", "remoteId"}


def settings() -> Settings:
    every = sandboxes.settings()
    return replace(
        every,
        server=every.server.model_copy(update={"max_upstream_calls": 2000}),
        cache=CacheSettings(max_bytes=200_000),
        providers={
            f"{kind}-{tenant}": its.model_copy(
                update={"credential": SecretStr(key_of(kind, tenant)), "base_url": f"https://{kind}.test"}
            )
            for tenant in TENANTS
            for kind, its in every.providers.items()
        },
    )


@dataclass
class Tally:
    """What came back."""

    names: Counter[str] = field(default_factory=Counter)
    crossings: list[Any] = field(default_factory=list)
    cancelled: int = 0
    ids: set[str] = field(default_factory=set)

    def check(self, value: Any) -> None:
        if isinstance(value, list):
            for one in value:
                self.check(one)
        elif isinstance(value, dict) and value.get("name") is not None:
            self._check_name(value)
        elif isinstance(value, dict):
            self.check(list(value.values()))

    def _check_name(self, row: dict[str, Any]) -> None:
        _, mark, told = row["name"].rpartition(" @")
        whose = row["provider"]["name"]
        self.ids.add(row["id"])
        if not mark:
            return  # named by an id, which is the same everywhere
        self.names[whose] += 1
        if told != whose.rpartition("-")[2]:
            self.crossings.append(row)


class Interleaving:
    def __init__(self, gateway: Gateway, chance: random.Random) -> None:
        self.gateway, self.chance, self.tally = gateway, chance, Tally()

    async def run(self) -> Tally:
        while len(self.tally.ids) < ENOUGH:
            await self._execute(LISTS, {})
        places = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for _ in range(OPERATIONS):
                await places.acquire()
                group.create_task(self._one(places))
                await asyncio.sleep(self.chance.choice([0.0, 0.0, BETWEEN_S]))
        return self.tally

    async def _one(self, places: asyncio.Semaphore) -> None:
        task = asyncio.create_task(self._operation())
        if self.chance.random() < CANCELLED:
            asyncio.get_running_loop().call_later(self.chance.choice([0.0, 0.005, 0.5, 2.0]), task.cancel)
        await asyncio.wait([task])
        self.tally.cancelled += task.cancelled()
        if not task.cancelled():
            task.result()
        places.release()

    async def _operation(self) -> None:
        ids = sorted(self.tally.ids)
        id, other = self.chance.choice(ids), self.chance.choice(ids)  # noqa: A001
        query = self.chance.choice([NODE] * 10 + [TWICE] * 10 + [LISTS])
        await self._execute(query, {"id": id, "other": other})

    async def _execute(self, query: str, variables: dict[str, Any]) -> None:
        wanted = {name: value for name, value in variables.items() if f"${name}:" in query}
        max_age_s = self.chance.choice([None, None, 0.0, 2.0])
        result = await self.gateway.execute(
            Operation(query=query, variables=wanted, name=None, max_age_s=max_age_s)
        )
        assert result.was_executed, result.errors
        self.tally.check(result.data)


async def interleaved(seed: int) -> tuple[Tally, int]:
    chance = random.Random(seed)
    transports = {kind: Tenanted(kind, its, chance) for kind, its in sandboxes.settings().providers.items()}
    gateway = Gateway(settings(), connect=lambda its: transports[its.kind], clock=virtual.now)
    before = len(asyncio.all_tasks())
    async with gateway:
        tally = await Interleaving(gateway, chance).run()
    return tally, len(asyncio.all_tasks()) - before


# graphql-core never begins some resolvers of an operation that is cancelled at once.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_sees_what_another_credential_was_told():
    with structlog.testing.capture_logs():
        tally, left = virtual.run(interleaved(seed=6))

    assert tally.crossings == []
    assert left == 0
    assert set(tally.names) == {f"{kind}-{tenant}" for kind in KINDS for tenant in TENANTS}
    assert min(tally.names.values()) > OPERATIONS / 20
    assert tally.cancelled > OPERATIONS / 20
