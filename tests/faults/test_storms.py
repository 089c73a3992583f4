"""Figure 7: a provider that answers 5xx, in virtual time: what it is asked meanwhile, and how soon it is used again."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import httpx2
import pytest
from tests import virtual
from tests.faults.report import Report
from tests.faults.stage import KINDS, NOTHING_KEPT
from tests.gateway import NOW, Gateway

from syncgraph import sandboxes
from syncgraph.app import create_app

PER_SECOND = 4
QUIET_S = 30.0
"""Before the trouble, so that it meets a provider that is known to be well."""
SHORT_S, AFTER_SHORT_S, AFTER_ANY_S = 10.0, 6.0, 61.0

QUERY = (
    "query ($of: String!) { provider(name: $of) { connectors(first: 1) { nodes { id } sources { code } } } }"
)


@dataclass
class Provider(httpx2.AsyncBaseTransport):
    """The sandbox, and once it was asked its answers from memory, since its threads know no virtual time.

    ``is_ill``: whether a call at this second fails. ``calls``: when each came.
    """

    sandbox: httpx2.AsyncBaseTransport
    is_ill: Callable[[float], bool] = lambda _: False
    answers: dict[bytes, httpx2.Response] = field(default_factory=dict)
    calls: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        at = asyncio.get_running_loop().time()
        self.calls.append(at)
        if self.is_ill(at):
            return httpx2.Response(503, json={"error": "out of order"})
        if (path := request.url.raw_path) not in self.answers:
            response = await self.sandbox.handle_async_request(request)
            await response.aread()
            self.answers[path] = response
        known = self.answers[path]
        return httpx2.Response(known.status_code, headers=known.headers, content=known.content)


@asynccontextmanager
async def gateway(kind: str, provider: Provider, clock: Callable[[], datetime]) -> AsyncIterator[Gateway]:
    configured = sandboxes.settings()
    settings = replace(configured, providers={kind: configured.providers[kind]}, cache=NOTHING_KEPT)
    app = create_app(settings, connect=lambda _: provider, clock=clock)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway") as http,
    ):
        yield Gateway(http, None)  # type: ignore[arg-type]  # of its parts only ``ask`` is used


async def succeeds(gateway: Gateway, kind: str) -> bool:
    answer = (await gateway.ask(QUERY, of=kind))["data"]["provider"]["connectors"]
    assert bool(answer["nodes"]) == (answer["sources"][0]["code"] is None)
    return bool(answer["nodes"])


def known(kind: str) -> Provider:
    """The provider, once asked."""

    async def ask() -> Provider:
        provider = Provider(sandboxes.connect(lambda: NOW)(sandboxes.settings().providers[kind]))
        async with gateway(kind, provider, lambda: NOW) as asked:
            assert await succeeds(asked, kind)
        return replace(provider, calls=[])

    return asyncio.run(ask())


def asked_for(seconds: float, kind: str, provider: Provider) -> list[tuple[float, bool]]:
    """A query every quarter of a virtual second: when, and whether it was answered."""

    async def ask() -> list[tuple[float, bool]]:
        outcomes: list[tuple[float, bool]] = []
        async with gateway(kind, provider, virtual.now) as asked:
            for number in range(int(seconds * PER_SECOND)):
                due = number / PER_SECOND
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                outcomes.append((due, await succeeds(asked, kind)))
        return outcomes

    return virtual.run(ask())


OUTAGES_S = (0.5, 3.0, 9.9, 30.0, 300.0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_costs_no_calls_and_ends_for_us_soon_after_it_ends(kind: str, report: Report):
    said = []
    for outage_s in OUTAGES_S:
        ended = QUIET_S + outage_s
        provider = replace(known(kind), is_ill=lambda at, ended=ended: QUIET_S <= at < ended)  # type: ignore[misc]
        outcomes = asked_for(ended + 90, kind, provider)
        during = [at for at in provider.calls if QUIET_S <= at < ended]
        back_s = next(at for at, went_well in outcomes if at >= ended and went_well) - ended

        assert len(provider.calls) <= 1.1 * len(outcomes) + 10
        assert back_s <= (AFTER_SHORT_S if outage_s < SHORT_S else AFTER_ANY_S)
        said.append(f"{outage_s:g} s: {len(during)} calls, used again after {back_s:.1f} s")
    report.say(f"figure 7: outage of {kind}, {PER_SECOND} queries a second: {'; '.join(said)}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_third_of_answers_failing_costs_at_most_a_tenth_more_calls(kind: str, report: Report):
    chance = random.Random(20261125)
    provider = replace(known(kind), is_ill=lambda _: chance.random() < 0.3)
    outcomes = asked_for(600, kind, provider)

    share = len(provider.calls) / len(outcomes)
    assert share <= 1.1
    report.say(
        f"figure 7: {kind} fails 3 of 10 calls for 10 minutes: {share:.2f} calls for a query, "
        f"{sum(went_well for _, went_well in outcomes) / len(outcomes):.0%} answered"
    )
