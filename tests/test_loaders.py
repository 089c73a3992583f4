import asyncio
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.gateway import NOW

from syncgraph.domain.model import (
    Connector,
    ConnectorKey,
    ConnectorStatus,
    ProviderKind,
    RunKey,
    RunStatus,
    Sync,
    SyncKey,
    SyncRun,
    SyncState,
)
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamTimeoutError, UpstreamUnavailableError
from syncgraph.loaders import HeadKey, Loader, Loaders, feed_of
from syncgraph.ports import ALL, Diagnosis, Provider, Scope


def run(provider: str, row_id: str) -> SyncRun:
    return SyncRun(
        key=RunKey(provider, row_id),
        connector=None,
        sync=None,
        status=RunStatus.SUCCEEDED,
        raw_status="done",
        ordered_at=NOW,
    )


def sync(provider: str, row_id: str) -> Sync:
    return Sync(
        key=SyncKey(provider, row_id), connector=None, ordered_at=NOW, state=SyncState.IDLE, raw_status=None
    )


def connector(provider: str, row_id: str) -> Connector:
    return Connector(
        key=ConnectorKey(provider, row_id), ordered_at=NOW, status=ConnectorStatus.CONNECTED, raw_status=None
    )


class Quiet:
    async def diagnose(self) -> Diagnosis:
        return Diagnosis(reachable=True)


@dataclass
class Lookup:
    """Finds what it is asked for; remembers each batch, says when it was ``asked``, waits for ``gate``, answers ids as ``says``."""

    name: str
    batches: list[tuple[str, list[str]]] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    raises: Exception | None = None
    gate: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def find_connectors(self, ids: Sequence[str]):
        return await self._find("connectors", ids, connector)

    async def find_syncs(self, ids: Sequence[str]):
        return await self._find("syncs", ids, sync)

    async def find_runs(self, ids: Sequence[str]):
        return await self._find("runs", ids, run)

    async def find_extras(self, ids: Sequence[str]):
        return await self._find("extras", ids, lambda _, row_id: f"extra of {row_id}")

    async def find_stats(self, ids: Sequence[str]):
        return await self._find("stats", ids, lambda _, row_id: f"stats of {row_id}")

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Any]:
        raise AssertionError("a head is never asked for alone")

    async def first_pages(self, scopes: Sequence[Scope], *, first: int) -> Sequence[Any]:
        asked = [f"{scope.sync_id}:{first}" for scope in scopes]
        return await self._find("heads", asked, lambda _, head: Page([], head))

    async def _find(self, what: str, ids: Sequence[str], make: Callable[[str, str], Any]) -> list[Any]:
        self.batches.append((what, list(ids)))
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.raises is not None:
            raise self.raises
        return [self.says.get(row_id, make(self.name, row_id)) for row_id in ids]

    def provider(self) -> Provider:
        return Provider(
            name=self.name,
            kind=ProviderKind.DEN,
            contract="test",
            capabilities=frozenset(),
            probe=Quiet(),
            connector_lookup=self,
            sync_lookup=self,
            sync_extra_lookup=self,
            stats_lookup=self,
            run_lookup=self,
            run_feed=self,
        )


@pytest.fixture
def den() -> Lookup:
    return Lookup("den")


@pytest.fixture
def acme() -> Lookup:
    return Lookup("acme")


@pytest.fixture
async def loaders(den, acme) -> Loaders:  # noqa: RUF029  # a loader belongs to a running loop
    mute = Provider(
        name="mute", kind=ProviderKind.OUTLIT, contract="test", capabilities=frozenset(), probe=Quiet()
    )
    return Loaders({"den": den.provider(), "acme": acme.provider(), "mute": mute})


async def test_keys_of_one_tick_are_one_batch_in_the_order_asked(loaders, den):
    found = await asyncio.gather(*(loaders.run.load(RunKey("den", row_id)) for row_id in "cab"))

    assert [one.key.id for one in found] == ["c", "a", "b"]
    assert den.batches == [("runs", ["c", "a", "b"])]


async def test_keys_of_a_later_tick_are_another_batch(loaders, den):
    await loaders.run.load(RunKey("den", "a"))
    await loaders.run.load(RunKey("den", "b"))

    assert den.batches == [("runs", ["a"]), ("runs", ["b"])]


async def test_each_provider_is_asked_for_its_own_and_answers_stay_in_order(loaders, den, acme):
    keys = [RunKey(*key) for key in (("acme", "1"), ("den", "1"), ("den", "2"), ("acme", "2"))]

    assert [one.key for one in await asyncio.gather(*map(loaders.run.load, keys))] == keys
    assert (den.batches, acme.batches) == ([("runs", ["1", "2"])], [("runs", ["1", "2"])])


async def test_providers_are_asked_side_by_side(loaders, den, acme):
    den.gate, acme.gate = asyncio.Event(), asyncio.Event()
    both = asyncio.gather(*(loaders.run.load(RunKey(name, "1")) for name in ("den", "acme")))
    await den.asked.wait()
    await acme.asked.wait()
    den.gate.set()
    acme.gate.set()

    assert [one.key.provider for one in await both] == ["den", "acme"]


async def test_what_waits_for_one_provider_does_not_wait_for_another(loaders, den):
    den.gate = asyncio.Event()
    waiting = asyncio.ensure_future(loaders.run.load(RunKey("den", "1")))

    assert (await loaders.run.load(RunKey("acme", "1"))).key == RunKey("acme", "1")
    assert not waiting.done()
    den.gate.set()
    await waiting


async def test_a_key_asked_for_twice_costs_one(loaders, den):
    twice = await asyncio.gather(*(loaders.run.load(RunKey("den", "a")) for _ in range(2)))
    again = await loaders.run.load(RunKey("den", "a"))

    assert twice == [again, again]
    assert den.batches == [("runs", ["a"])]


async def test_what_is_not_there_is_asked_for_once(loaders, den):
    den.says["gone"] = None

    assert [await loaders.run.load(RunKey("den", "gone")) for _ in range(2)] == [None, None]
    assert den.batches == [("runs", ["gone"])]


async def test_a_failure_is_the_answer_for_its_key_alone(loaders, den):
    failed = UpstreamTimeoutError("no", provider="den")
    den.says["b"] = failed
    found = await asyncio.gather(
        *(loaders.run.load(RunKey("den", row_id)) for row_id in "abc"), return_exceptions=True
    )

    assert found == [run("den", "a"), failed, run("den", "c")]


async def test_a_provider_that_raises_fails_its_own_keys_only(loaders, den, acme):
    den.raises = UpstreamUnavailableError("no", provider="den")
    keys = [RunKey("den", "1"), RunKey("acme", "1"), RunKey("den", "2")]
    found = await asyncio.gather(*map(loaders.run.load, keys), return_exceptions=True)

    assert [type(one) for one in found] == [UpstreamUnavailableError, SyncRun, UpstreamUnavailableError]


async def test_heads_of_a_provider_that_raises_fail_alone(loaders, den, acme):
    den.raises = UpstreamUnavailableError("no", provider="den")
    keys: list[HeadKey[Any]] = [HeadKey(name, "runs", Scope(sync_id="s"), 3) for name in ("den", "acme")]
    found = await asyncio.gather(*map(loaders.head.load, keys), return_exceptions=True)

    assert [type(one) for one in found] == [UpstreamUnavailableError, Page]


async def test_a_provider_that_is_unknown_or_has_no_answer_costs_nothing(loaders, den):
    assert await loaders.run.load(RunKey("mute", "1")) is None
    assert await loaders.run.load(RunKey("stranger", "1")) is None
    assert await loaders.connector.load(ConnectorKey("mute", "1")) is None
    assert await loaders.sync.load(SyncKey("mute", "1")) is None
    assert await loaders.sync_extra.load(SyncKey("mute", "1")) is None
    assert await loaders.stats.load(SyncKey("mute", "1")) is None
    assert den.batches == []


async def test_every_question_has_its_own_batch(loaders, den):
    key = SyncKey("den", "1")
    found = await asyncio.gather(
        loaders.connector.load(ConnectorKey("den", "1")),
        loaders.sync.load(key),
        loaders.run.load(RunKey("den", "1")),
        loaders.sync_extra.load(key),
        loaders.stats.load(key),
    )

    assert list(found) == [
        connector("den", "1"),
        sync("den", "1"),
        run("den", "1"),
        "extra of 1",
        "stats of 1",
    ]
    assert sorted(what for what, _ in den.batches) == ["connectors", "extras", "runs", "stats", "syncs"]


async def test_what_a_list_brought_is_not_fetched(loaders, den):
    its_connector, its_sync, its_run = connector("den", "1"), sync("den", "1"), run("den", "1")
    loaders.prime([its_connector, its_sync, its_run])

    assert await loaders.connector.load(its_connector.key) is its_connector
    assert await loaders.sync.load(its_sync.key) is its_sync
    assert await loaders.run.load(its_run.key) is its_run
    assert den.batches == []


async def test_what_a_list_brought_does_not_answer_for_what_only_a_detail_tells(loaders, den):
    loaders.prime([sync("den", "1")])

    assert await loaders.sync_extra.load(SyncKey("den", "1")) == "extra of 1"
    assert await loaders.stats.load(SyncKey("den", "1")) == "stats of 1"


async def test_what_was_loaded_is_not_replaced_by_a_list(loaders):
    loaded = await loaders.run.load(RunKey("den", "1"))
    loaders.prime([run("den", "1")])

    assert await loaders.run.load(RunKey("den", "1")) is loaded


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_cancelling_one_waiter_harms_no_other_of_the_key(loaders, den, cancelled):
    den.gate = asyncio.Event()
    waiters = [asyncio.create_task(loaders.run.load(RunKey("den", "a"))) for _ in range(3)]
    await den.asked.wait()
    waiters[cancelled].cancel()
    await asyncio.wait([waiters[cancelled]])
    den.gate.set()
    left = [waiter for waiter in waiters if waiter is not waiters[cancelled]]

    assert [one.key.id for one in await asyncio.gather(*left)] == ["a", "a"]
    assert waiters[cancelled].cancelled()
    assert (await loaders.run.load(RunKey("den", "a"))).key.id == "a"
    assert den.batches == [("runs", ["a"])]


async def test_cancelling_a_waiter_before_its_batch_is_sent_harms_no_other(loaders, den):
    first, second = (asyncio.create_task(loaders.run.load(RunKey("den", "a"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).key.id == "a"


async def test_cancelling_all_waiters_of_a_failing_key_leaves_nothing_unheard(loaders, den):
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    den.gate, den.says["a"] = asyncio.Event(), UpstreamTimeoutError("no", provider="den")
    waiter = asyncio.create_task(loaders.run.load(RunKey("den", "a")))
    await den.asked.wait()
    waiter.cancel()
    await asyncio.wait([waiter])
    den.gate.set()
    with pytest.raises(UpstreamTimeoutError):
        await loaders.run.load(RunKey("den", "a"))
    gc.collect()

    assert [one["message"] for one in heard if "exception" not in one.get("message", "")] == []


async def test_heads_of_one_kind_at_one_provider_are_asked_for_together(loaders, den, acme):
    keys: list[HeadKey[Any]] = [HeadKey("den", "runs", Scope(sync_id=sync_id), 3) for sync_id in "ab"]
    keys.append(HeadKey("acme", "runs", Scope(sync_id="a"), 3))

    assert [page.next for page in await asyncio.gather(*map(loaders.head.load, keys))] == [
        "a:3",
        "b:3",
        "a:3",
    ]
    assert (den.batches, acme.batches) == ([("heads", ["a:3", "b:3"])], [("heads", ["a:3"])])


async def test_heads_of_different_lengths_are_one_question_of_the_longest(loaders, den):
    keys: list[HeadKey[Any]] = [
        HeadKey("den", "runs", Scope(sync_id=sync_id), first)
        for sync_id, first in (("a", 3), ("b", 5), ("a", 4))
    ]

    assert [page.next for page in await asyncio.gather(*map(loaders.head.load, keys))] == [
        "a:5",
        "b:5",
        "a:5",
    ]
    assert den.batches == [("heads", ["a:5", "b:5"])]


async def test_a_head_that_failed_is_raised_for_its_list_alone(loaders, den):
    den.says["b:3"] = UpstreamTimeoutError("no", provider="den")
    keys: list[HeadKey[Any]] = [HeadKey("den", "runs", Scope(sync_id=sync_id), 3) for sync_id in "ab"]
    a, b = await asyncio.gather(*map(loaders.head.load, keys), return_exceptions=True)

    assert (type(a), type(b)) == (Page, UpstreamTimeoutError)


async def test_one_loader_never_answers_from_another_requests_memory(den):
    providers = {"den": den.provider()}
    for _ in range(2):
        await Loaders(providers).run.load(RunKey("den", "a"))

    assert den.batches == [("runs", ["a"])] * 2


async def test_a_bug_in_a_batch_is_raised_to_each_of_its_waiters():
    async def broken(keys: Sequence[RunKey]) -> Sequence[str]:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    loader: Loader[RunKey, str] = Loader(broken)
    keys = [RunKey("den", "a"), RunKey("den", "b")]
    found = await asyncio.gather(*map(loader.load, keys), return_exceptions=True)

    assert [type(one) for one in found] == [ZeroDivisionError] * 2


def test_a_provider_has_the_feeds_that_it_has(den):
    provider = den.provider()

    assert [feed_of(provider, kind) for kind in ("connectors", "syncs", "runs")] == [None, None, den]
