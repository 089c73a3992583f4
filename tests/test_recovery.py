"""What a storm of failures costs, and how soon it is seen to be over; in virtual time."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx2
import msgspec
import pytest
import stamina
import structlog
from tests import virtual

from syncgraph.errors import UpstreamError
from syncgraph.upstream.account import Account, Patience
from syncgraph.upstream.answer import Dialect
from syncgraph.upstream.breaker import Breaker
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.slice import Slice

ANY = msgspec.json.Decoder(object)
EVERY_S = 0.25


@dataclass
class Weather(httpx2.AsyncBaseTransport):
    """Answers 503 while ``is_bad``."""

    is_bad: Callable[[float], bool]
    calls: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        at = asyncio.get_running_loop().time()
        self.calls.append(at)
        return httpx2.Response(503) if self.is_bad(at) else httpx2.Response(200, json=[])


async def asked(weather: Weather, *, until_s: float, chance: float = 0.5) -> list[tuple[float, bool]]:
    """Somebody asks four times a second: when, and whether it was answered."""
    account = Account(
        name="acme",
        base_url="http://acme.test",
        transport=weather,
        dialect=Dialect(headers={}, gone_hint="Gone."),
        patience=Patience(),
        redact=lambda body: body,
        clock=virtual.now,
        breaker=Breaker(chance=lambda: chance),
    )
    clock, asks = asyncio.get_running_loop().time, []
    while clock() < until_s:
        upstream = Upstream(account, time=Slice(5, clock() + 5), now=virtual.now())
        began, was_answered = clock(), False
        with suppress(UpstreamError):
            await upstream.get("/x", ANY)
            was_answered = True
        asks.append((clock(), was_answered))
        await upstream.close()
        await asyncio.sleep(max(0.0, began + EVERY_S - clock()))
    await account.aclose()
    return asks


@pytest.mark.parametrize("chance", [0.0, 1.0])
@pytest.mark.parametrize("outage_s", [0.1, 1, 2, 4.9, 5.2, 6, 8, 9.9, 11, 16, 30, 60, 119, 600])
def test_it_is_answered_again_within_6_seconds_of_a_short_outage_and_61_of_any(outage_s, chance):
    weather = Weather(lambda at: 20 <= at < 20 + outage_s)
    with stamina.set_testing(False), structlog.testing.capture_logs():
        asks = virtual.run(asked(weather, until_s=20 + outage_s + 70, chance=chance))

    first = min(at for at, was_answered in asks if was_answered and at >= 20 + outage_s)
    assert first - (20 + outage_s) <= (6 if outage_s < 10 else 61)
    assert all(was_answered for at, was_answered in asks if at > first)


def test_a_whole_outage_costs_five_failures_and_a_probe_now_and_then():
    weather = Weather(lambda at: at >= 20)
    with stamina.set_testing(False), structlog.testing.capture_logs():
        asks = virtual.run(asked(weather, until_s=620))

    during = [at for at in weather.calls if at >= 20]
    assert len(asks) > 2000
    assert len(during) <= 5 + 14, "after 5, 5, 10, 20, 40 seconds and then every minute"
    assert len(weather.calls) <= 1.1 * sum(was_answered for _, was_answered in asks) + 5 + 14


def test_a_storm_of_single_failures_is_retried_within_a_tenth():
    dice = random.Random(7)
    weather = Weather(lambda _: dice.random() < 0.3)
    with stamina.set_testing(False), structlog.testing.capture_logs():
        asks = virtual.run(asked(weather, until_s=1200))

    good = sum(was_answered for _, was_answered in asks)
    assert len(weather.calls) > len(asks) * 0.8
    assert len(weather.calls) - len(asks) <= 0.1 * good + 0.1 * 1200 + 10
    assert len(weather.calls) <= 1.1 * len(asks)
