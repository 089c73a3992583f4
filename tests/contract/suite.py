"""What every provider must keep, whatever its platform; ``tests/providers`` subclass it once per contract."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import stamina
from starlette.applications import Starlette

from syncgraph import errors
from syncgraph.config import parse
from syncgraph.domain.model import Capability
from syncgraph.domain.page import Page
from syncgraph.ports import Feed, Provider, Scope
from syncgraph.upstream.account import Account, Patience
from syncgraph.upstream.adapter import Adapter
from syncgraph.upstream.breaker import Breaker
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.redaction import redactor
from syncgraph.upstream.slice import Slice

NOW = datetime(2026, 11, 22, 9, 41, 7, tzinfo=UTC)
KEY = "contract-suite-key-0123456789"
NAME = "acme"


class Calls(httpx2.AsyncBaseTransport):
    """Passes on, and remembers what was sent upstream, as ``METHOD /path?query``."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self.transport = transport
        self.sent: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(f"{request.method} {request.url.raw_path.decode()}")
        return await self.transport.handle_async_request(request)


@asynccontextmanager
async def bound(
    adapter: Adapter[Any],
    transport: httpx2.AsyncBaseTransport,
    table: dict[str, object],
    *,
    credential: str = KEY,
    now: datetime = NOW,
    deadline_s: float = 10.0,
) -> AsyncIterator[tuple[Provider, Calls]]:
    """A provider over ``transport``, configured by ``table`` (as in a config file, without its credential)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRACT_SUITE_KEY", credential)
        raw = {"providers": {NAME: {**table, "credential": "env:CONTRACT_SUITE_KEY"}}}
        its = parse(raw, {adapter.kind: adapter.settings}).providers[NAME]
    calls = Calls(transport)
    account = Account(
        name=NAME,
        base_url=its.base_url,
        transport=calls,
        dialect=adapter.dialect(its),
        patience=Patience(attempt_s=its.attempt_timeout_s, retry_timeouts=its.retry_timeouts),
        redact=redactor([credential]),
        clock=lambda: now,
        breaker=Breaker(in_a_row=10_000, least=10_000),
    )
    ends = asyncio.get_running_loop().time() + deadline_s
    upstream = Upstream(account, time=Slice(deadline_s, ends), now=now)
    try:
        yield adapter.bind(upstream, its, now), calls
    finally:
        await upstream.close()


def answering(answer: httpx2.Response | Exception) -> httpx2.MockTransport:
    """An upstream that says the same to everything."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx2.MockTransport(handle)


FAILURES = [
    pytest.param(httpx2.ConnectError("no"), errors.UpstreamUnavailableError, id="refused"),
    pytest.param(httpx2.ReadTimeout("slow"), errors.UpstreamUnavailableError, id="cut-off"),
    pytest.param(httpx2.Response(503), errors.UpstreamUnavailableError, id="503"),
    pytest.param(
        httpx2.Response(500, json={"detail": "SELECT secret FROM t"}),
        errors.UpstreamUnavailableError,
        id="500",
    ),
    pytest.param(
        httpx2.Response(429, headers={"retry-after": "3600"}), errors.UpstreamRateLimitedError, id="429"
    ),
    pytest.param(httpx2.Response(402, json={}), errors.UpstreamQuotaError, id="402"),
    pytest.param(httpx2.Response(401, json={"error": "unauthorized"}), errors.UpstreamAuthError, id="401"),
    pytest.param(httpx2.Response(403, json={"detail": "no"}), errors.UpstreamForbiddenError, id="403"),
    pytest.param(httpx2.Response(410), errors.UpstreamGoneError, id="410"),
    pytest.param(
        httpx2.Response(302, headers={"location": "http://169.254.169.254/"}),
        errors.UpstreamContractError,
        id="redirect",
    ),
    pytest.param(httpx2.Response(200, html="<p>hello"), errors.UpstreamContractError, id="html"),
    pytest.param(
        httpx2.Response(200, headers={"content-type": "application/json"}, content=b'{"items": [{"id": 3'),
        errors.UpstreamContractError,
        id="truncated",
    ),
    pytest.param(httpx2.Response(200, json={"what": "ever"}), errors.UpstreamContractError, id="shape"),
    pytest.param(
        httpx2.Response(200, headers={"content-type": "application/json"}, content=b"[" * 100_000),
        errors.UpstreamContractError,
        id="deep",
    ),
    pytest.param(
        httpx2.Response(200, json=["x" * 100] * 30_000), errors.UpstreamContractError, id="too-large"
    ),
]

FOREIGN_IDS = [
    "",
    "nope",
    "../../etc/passwd",
    "a/../b",
    "x" * 5000,
    "ünïcode",
    "a b",
    "a?b=c#d",
    "\x00",
    "/",
    "//",
]


@pytest.fixture(autouse=True)
def _no_waiting():
    with stamina.set_testing(True, attempts=2):
        yield


class ProviderContract:
    """Subclass per contract of a provider; the sandbox answers for the platform."""

    adapter: Adapter[Any]
    contract: str
    sandbox: Callable[..., Starlette]
    """``app`` of the provider's ``sandbox.py``; wrap in ``staticmethod``."""
    table: Callable[[str], dict[str, object]]
    """``settings`` of the provider's ``sandbox.py``; wrap in ``staticmethod``."""
    key: str
    answered_by_shape: frozenset[str] = frozenset()
    """FAILURES ids that mean something else at this provider, each with its own test there."""

    def over(self, transport: httpx2.AsyncBaseTransport, **kwargs: Any):
        table = {"base_url": "https://upstream.test", **self.table(self.contract), "contract": self.contract}
        return bound(self.adapter, transport, {"kind": str(self.adapter.kind), **table}, **kwargs)

    def sandboxed(self, **kwargs: Any):
        app = self.sandbox(clock=lambda: NOW, contract=self.contract)
        return self.over(httpx2.ASGITransport(app=app), **{"credential": self.key, **kwargs})

    async def test_declares_a_capability_exactly_for_what_it_answers(self):
        async with self.sandboxed() as (provider, _):
            offered = {
                Capability.LIST_CONNECTORS: provider.connector_feed,
                Capability.LIST_SYNCS: provider.sync_feed,
                Capability.LIST_RUNS: provider.run_feed,
                Capability.GET_CONNECTOR: provider.connector_lookup,
                Capability.GET_SYNC: provider.sync_lookup,
                Capability.GET_RUN: provider.run_lookup,
                Capability.SYNC_STATS: provider.stats_lookup,
            }

        assert {c for c in offered if c in provider.capabilities} == {
            c for c, port in offered.items() if port
        }

    async def test_lists_are_newest_first_and_in_utc(self):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                for scope in await feed.scopes():
                    rows = await _walk(feed, scope, first=1000)
                    times = [row.ordered_at for row in rows]

                    assert times == sorted(times, key=_oldest_last, reverse=True)
                    assert {t.utcoffset() for t in times if t} <= {timedelta()}
                    assert {row.key.provider for row in rows} <= {NAME}

    @pytest.mark.parametrize("first", [1, 2, 7])
    async def test_walking_small_pages_gives_what_one_big_page_gives(self, first):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                for scope in (await feed.scopes())[:3]:
                    whole = (await feed.page(scope, first=100, after=None)).items
                    walked = await _walk(feed, scope, first=first, at_least=min(len(whole), 40))

                    assert [row.key for row in walked] == [row.key for row in whole[: len(walked)]]
                    assert len(walked) >= min(len(whole), 40)

    async def test_no_row_is_in_two_lists_or_missing_from_its_page(self):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                keys = [
                    row.key for scope in await feed.scopes() for row in await _walk(feed, scope, first=100)
                ]

                assert len(keys) == len(set(keys))
                assert keys

    async def test_a_page_holds_at_least_as_many_rows_as_asked_for_unless_the_list_ends(self):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                for scope in await feed.scopes():
                    page = await feed.page(scope, first=9, after=None)

                    assert len(page.items) >= 9 or page.next is None

    async def test_many_heads_are_what_each_head_is(self):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                scopes = await self._many_scopes(provider, feed)
                heads = await feed.first_pages(scopes, first=3)

                assert len(heads) == len(scopes)
                for scope, head in zip(scopes, heads, strict=True):
                    assert isinstance(head, Page)
                    alone = await feed.page(scope, first=3, after=None)
                    shown = [row.key for row in head.items][:3]
                    assert shown == [row.key for row in alone.items][: len(shown)]
                    assert len(shown) == min(3, len(alone.items)) or head.next is not None

    async def test_a_scope_shows_only_what_belongs_to_it(self):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                for scope in (await self._many_scopes(provider, feed))[:6]:
                    for row in (await feed.page(scope, first=20, after=None)).items:
                        if scope.connector_id is not None and getattr(row, "connector", None):
                            assert row.connector.id == scope.connector_id
                        if scope.sync_id is not None and getattr(row, "sync", None):
                            assert row.sync.id == scope.sync_id

    async def test_a_scope_can_be_walked_from_its_grouped_head(self):
        async with self.sandboxed() as (provider, _):
            for feed in _feeds(provider):
                scopes = (await self._many_scopes(provider, feed))[:8]
                for scope, head in zip(scopes, await feed.first_pages(scopes, first=2), strict=True):
                    assert isinstance(head, Page)
                    keys = [row.key for row in head.items]
                    rest = head.next
                    while rest is not None and len(set(keys)) < 30:
                        page = await feed.page(scope, first=5, after=rest)
                        keys += [row.key for row in page.items]
                        rest = page.next
                    alone = [row.key for row in await _walk(feed, scope, first=50, at_least=30)]
                    got = list(dict.fromkeys(keys))
                    assert got[:25] == alone[: len(got)][:25]

    async def test_lookups_find_what_lists_show_in_the_order_asked(self):
        async with self.sandboxed() as (provider, _):
            for feed, find in _feeds_with_lookups(provider):
                rows = (await feed.page((await feed.scopes())[0], first=4, after=None)).items[:4]
                ids = [row.key.id for row in reversed(rows)]
                found = await find([*ids, ids[0]])

                assert [row.key.id for row in found] == [*ids, ids[0]]

    async def test_one_id_alone_is_found_as_among_many(self):
        async with self.sandboxed() as (provider, _):
            among = [
                (await find([row.key.id for row in rows]), rows)
                for rows, find in await _first_rows(provider, 3)
            ]
        for nth, (found, rows) in enumerate(among):
            for row, same in zip(rows, found, strict=True):
                async with self.sandboxed() as (fresh, _):
                    alone = await _lookups(fresh)[nth]([row.key.id])

                assert [one.key for one in alone] == [same.key]

    async def test_an_id_of_another_shape_is_none_without_a_call(self):
        async with self.sandboxed() as (provider, calls):
            for find in _lookups(provider):
                for foreign in FOREIGN_IDS:
                    assert list(await find([foreign])) == [None], foreign

        assert [call for call in calls.sent if "etc" in call or "%00" in call or ".." in call] == []

    @pytest.mark.parametrize(("answer", "expected"), FAILURES)
    async def test_a_failure_is_the_answer_for_its_id(self, answer, expected, request):
        if _failure_id(request) in self.answered_by_shape:
            return
        async with self.sandboxed() as (provider, _):
            known = [[row.key.id for row in rows] for rows, _ in await _first_rows(provider, 2)]
        async with self.over(answering(answer)) as (provider, _):
            for ids, (_, find) in zip(known, _feeds_with_lookups(provider), strict=True):
                assert [type(found) for found in await find(ids)] == [expected] * len(ids)

    @pytest.mark.parametrize(("answer", "expected"), FAILURES)
    async def test_a_failure_of_a_list_is_raised(self, answer, expected, request):
        if _failure_id(request) in self.answered_by_shape:
            return
        async with self.over(answering(answer)) as (provider, _):
            for feed in _feeds(provider):
                with pytest.raises(expected):
                    await _heads(feed)

    @pytest.mark.parametrize(("answer", "expected"), FAILURES)
    async def test_a_failure_of_one_of_many_heads_is_its_value(self, answer, expected, request):
        if _failure_id(request) in self.answered_by_shape:
            return
        async with self.sandboxed() as (provider, _):
            scopes = [await self._many_scopes(provider, feed) for feed in _feeds(provider)]
        async with self.over(answering(answer)) as (provider, _):
            for feed, its in zip(_feeds(provider), scopes, strict=True):
                assert [type(head) for head in await feed.first_pages(its[:2], first=3)] == [expected] * len(
                    its[:2]
                )

    async def test_a_refused_key_is_unauthorised_everywhere(self):
        async with self.sandboxed(credential="not-the-key-000000000") as (provider, _):
            for feed in _feeds(provider):
                with pytest.raises(errors.UpstreamAuthError):
                    await _heads(feed)

    async def test_stats_and_extras_answer_every_sync_in_order(self):
        async with self.sandboxed() as (provider, _):
            if provider.sync_feed is None:
                return
            ids = [
                row.key.id
                for scope in await provider.sync_feed.scopes()
                for row in await _walk(provider.sync_feed, scope, first=50)
            ]
            if provider.stats_lookup is not None:
                stats = await provider.stats_lookup.find_stats(ids)
                assert len(stats) == len(ids)
                assert not [one for one in stats if one is None or isinstance(one, Exception)]
            if provider.sync_extra_lookup is not None:
                extras = await provider.sync_extra_lookup.find_extras(ids)
                assert len(extras) == len(ids)
                assert not [one for one in extras if one is None or isinstance(one, Exception)]

    async def test_what_is_linked_can_be_found(self):
        async with self.sandboxed() as (provider, _):
            connectors, syncs = set(), set()
            for feed in (provider.sync_feed, provider.run_feed):
                if feed is not None:
                    for scope in (await feed.scopes())[:4]:
                        rows = (await feed.page(scope, first=20, after=None)).items
                        connectors |= {row.connector for row in rows if row.connector}
                        syncs |= {row.sync for row in rows if getattr(row, "sync", None)}
            for keys, lookup in (
                (connectors, provider.connector_lookup and provider.connector_lookup.find_connectors),
                (syncs, provider.sync_lookup and provider.sync_lookup.find_syncs),
            ):
                if lookup:
                    ids = sorted({key.id for key in keys})
                    assert [found.key.id for found in await lookup(ids)] == ids

    async def test_the_doctor_knows_the_sandbox(self):
        async with self.sandboxed() as (provider, calls):
            found = await provider.probe.diagnose()

        assert (found.reachable, found.authorised, found.error) == (True, True, None)
        assert self.contract in found.served
        assert len(calls.sent) <= 6

    @pytest.mark.parametrize(("answer", "expected"), FAILURES)
    async def test_the_doctor_never_raises(self, answer, expected):
        async with self.over(answering(answer)) as (provider, _):
            found = await provider.probe.diagnose()

        assert found.error is not None or found.advice

    async def _many_scopes(self, provider: Provider, feed: Feed[Any]) -> Sequence[Scope]:
        """Some scopes as nested connections ask for them: of connectors, or of syncs."""
        if feed is provider.connector_feed:
            return await feed.scopes()
        if feed is provider.sync_feed or provider.sync_feed is None:
            if provider.connector_feed is None:
                return await feed.scopes()
            rows = await _walk(provider.connector_feed, (await provider.connector_feed.scopes())[0], first=20)
            return [Scope(connector_id=row.key.id) for row in rows[:6]]
        syncs = [
            row
            for scope in await provider.sync_feed.scopes()
            for row in (await provider.sync_feed.page(scope, first=20, after=None)).items
        ]
        return [Scope(sync_id=row.key.id) for row in syncs[:12]]


def _failure_id(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.id)


def _feeds(provider: Provider) -> list[Feed[Any]]:
    return [
        feed for feed in (provider.connector_feed, provider.sync_feed, provider.run_feed) if feed is not None
    ]


def _feeds_with_lookups(provider: Provider) -> list[tuple[Feed[Any], Callable[..., Any]]]:
    pairs: list[tuple[Any, Any]] = [
        (provider.connector_feed, provider.connector_lookup and provider.connector_lookup.find_connectors),
        (provider.sync_feed, provider.sync_lookup and provider.sync_lookup.find_syncs),
        (provider.run_feed, provider.run_lookup and provider.run_lookup.find_runs),
    ]
    return [(feed, find) for feed, find in pairs if feed is not None and find is not None]


def _lookups(provider: Provider) -> list[Callable[..., Any]]:
    return [find for _, find in _feeds_with_lookups(provider)]


async def _first_rows(provider: Provider, count: int) -> list[tuple[Sequence[Any], Callable[..., Any]]]:
    """The newest rows of each kind, beside the lookup that finds them."""
    return [
        ((await feed.page((await feed.scopes())[0], first=count, after=None)).items[:count], find)
        for feed, find in _feeds_with_lookups(provider)
    ]


async def _heads(feed: Feed[Any]) -> list[Page[Any]]:
    return [await feed.page(scope, first=10, after=None) for scope in await feed.scopes()]


def _oldest_last(time: datetime | None) -> datetime:
    return time or datetime.min.replace(tzinfo=UTC)


async def _walk(feed: Feed[Any], scope: Scope, *, first: int, at_least: int | None = None) -> list[Any]:
    """Rows of one list, each once, up to ``at_least`` (None: all)."""
    rows: dict[Any, Any] = {}
    after = None
    for _ in range(3000):
        page = await feed.page(scope, first=first, after=after)
        for row in page.items:
            rows.setdefault(row.key, row)
        after = page.next
        if after is None or (at_least is not None and len(rows) >= at_least):
            return list(rows.values())
    raise AssertionError("the list does not end")
