"""The shared polls: who is told what, what they cost, and what a provider's trouble does to them."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from tests.gateway import NOW, Upstreams
from tests.live import PATIENCE_S, Client, Live, live

from syncgraph.config import LiveSettings
from syncgraph.errors import SubscriberTooSlowError
from syncgraph.watch import LONGEST_BACKOFF_S, MAX_WAITING, News, Pace, Subscriber, Topic

HEALTH = "subscription { syncHealthChanged { previous current observedAt sync { id providerName } } }"
PROVIDERS = "subscription { providerHealthChanged { name health { status lastError { code } } } }"


def down(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused")


def a_subscriber(**its) -> Subscriber:
    return Subscriber(its.pop("topic", Topic.RUNS), None, its.pop("fits", lambda _: True), lambda _: None)


async def all_of(subscriber: Subscriber) -> list[object]:
    return [news.event async for news in subscriber]


async def test_a_subscriber_gets_what_it_is_about_in_order_and_ends_when_closed():
    subscriber = a_subscriber(fits=lambda event: event > 1)
    subscriber.tell([News(1), News(2), News(3)])
    subscriber.tell([News(4)])
    subscriber.close()

    assert await all_of(subscriber) == [2, 3, 4]


async def test_a_subscriber_that_takes_nothing_is_dropped_with_what_waited_for_it():
    subscriber = a_subscriber()
    for number in range(MAX_WAITING + 2):
        subscriber.tell([News(number)])

    assert not subscriber._waiting
    with pytest.raises(SubscriberTooSlowError):
        await anext(subscriber)


async def test_one_burst_fits_however_large_and_so_does_a_replay():
    subscriber = a_subscriber()
    subscriber.replay(range(MAX_WAITING * 3))
    subscriber.tell([News(number) for number in range(MAX_WAITING * 2)])
    subscriber.close()

    assert len(await all_of(subscriber)) == MAX_WAITING * 5


@pytest.mark.parametrize(
    ("is_active", "failures", "expected_s"),
    [
        (True, 0, 5.0),
        (False, 0, 60.0),
        (True, 1, 10.0),
        (True, 3, 40.0),
        (False, 1, 60.0),
        (False, 4, 80.0),
        (True, 1000, LONGEST_BACKOFF_S),
    ],
)
def test_polls_are_frequent_while_something_runs_and_rare_after_failures(is_active, failures, expected_s):
    assert Pace(5.0, 60.0).pause_s(is_active=is_active, failures=failures) == expected_s


@pytest.mark.parametrize(
    ("calls", "limit", "expected_s"),
    [(7, 10, 84.0), (7, 100, 8.4), (1, 1000, 5.0), (7, None, 5.0), (7, 0, 5.0)],
)
def test_polls_use_half_of_a_told_limit_at_most(calls, limit, expected_s):
    assert Pace(5.0, 60.0).pause_s(is_active=True, calls=calls, limit=limit) == pytest.approx(expected_s)


def test_a_slow_pace_is_not_quickened_by_failures():
    assert Pace(5.0, 3600.0).pause_s(is_active=False, failures=9) == 3600.0


async def test_nobody_is_asked_while_nobody_subscribes():
    async with live() as gateway:
        async with gateway.client() as client:
            await client.subscribe("{ providers { name } }")
            await client.next()
        assert gateway.upstreams.sent == []
        async with gateway.client() as client:
            await client.subscribe()
            await asked(gateway, "den", 2)
            await client.send({"id": "1", "type": "complete"})

            await gateway.at_rest()


async def asked(gateway: Live, call: str, times: int) -> None:
    """Until calls that begin so were answered so often: only then may the clock move."""
    async with asyncio.timeout(PATIENCE_S):
        while times_of(gateway, call) < times:  # noqa: ASYNC110  # calls are counted, not announced
            await asyncio.sleep(0.01)


def times_of(gateway: Live, call: str) -> int:
    return sum(one.startswith(call) for one in gateway.upstreams.answered)


SELDOM = LiveSettings(poll_running_s=3600, poll_idle_s=3600, max_subscriptions=100)


async def poll_anew(client: Client, name: str = "prod") -> None:
    """Whoever subscribes to something else, as the first, has all providers asked at once."""
    await client.subscribe(PROVIDERS, id=name)


TIMBAL = (
    'subscription { syncRunChanged(filter: {providers: ["UHJvdmlkZXI6dGltYmFs"]}) '
    "{ kind run { id status sync { name } connector { name } } } }"
)
CHANGED_IN_20_MINUTES = 7
"""Runs of Timbal's sandbox, from ``NOW`` on."""


async def test_many_subscribers_cost_the_calls_of_one():
    """The polls, and what the answers ask for beyond them."""
    costs = {}
    for number in (1, 40):
        async with live(live=SELDOM) as gateway, gateway.client() as client, gateway.client() as other:
            clients = [(client, other)[n % 2] for n in range(number)]
            for n, one in enumerate(clients):
                await one.subscribe(TIMBAL, id=f"{n}")
            await client.joined()
            await other.joined()
            await asked(gateway, "timbal", 1)
            gateway.upstreams.now += timedelta(minutes=20)
            await poll_anew(client)
            answers = {
                json.dumps([(await one.next(f"{n}"))["payload"] for _ in range(CHANGED_IN_20_MINUTES)])
                for n, one in enumerate(clients)
            }
            costs[number] = sorted(call for call in gateway.upstreams.sent if call.startswith("timbal"))

        assert len(answers) == 1

    assert costs[40] == costs[1]
    assert len(costs[1]) > 2, "the answers ask for more than the polls"


FIRST_POLL = {
    "den GET /v1/connector-sync-events?": 1,
    "timbal GET /orgs/184/connectors/jobs": 1,
    "airweave GET /source-connections?": 1,
    "airweave GET /source-connections/": 6,
}
"""The calls of one poll of all runs, over the sandboxes; Outlit has none to ask for."""


async def polled_once(gateway: Live) -> None:
    for call, times in FIRST_POLL.items():
        await asked(gateway, call, times)


ONCE_A_POLL = (
    "den GET /v1/connector-sync-events?limit",
    "timbal GET /orgs/184/connectors/jobs",
    "airweave GET /source-connections?",
    "outlit GET /api/integrations/sync-status?provider=hubspot",
)


async def polled_anew(gateway: Live) -> None:
    """Until each provider has answered a poll that began after this: all polls before it have ended and been told."""
    for call, times in {call: times_of(gateway, call) for call in ONCE_A_POLL}.items():
        await asked(gateway, call, times + 2)


async def test_who_left_and_comes_back_is_told_of_what_ended_meanwhile():
    async with live(live=SELDOM) as gateway:
        async with gateway.client() as client:
            await client.subscribe()
            await polled_once(gateway)
        left = gateway.upstreams.now
        gateway.upstreams.now += timedelta(minutes=20)
        async with gateway.client() as client:
            await client.subscribe(
                "subscription ($since: DateTime) { syncRunChanged(since: $since) { kind previousStatus observedAt "
                "run { externalId finishedAt } } }",
                since=left.isoformat(),
            )
            event = await changed_run(client)
            while event["kind"] != "FINISHED":
                event = await changed_run(client)

    assert event["observedAt"] == "2026-11-22T10:01:07Z"
    assert "2026-11-22T09:41:07Z" < event["run"]["finishedAt"] < "2026-11-22T10:01:07Z"


async def changed_run(client: Client) -> dict[str, Any]:
    event: dict[str, Any] = (await client.next())["payload"]["data"]["syncRunChanged"]
    return event


async def test_another_gateway_tells_what_ended_meanwhile_by_the_runs_own_times():
    upstreams = Upstreams(now=NOW + timedelta(minutes=20))
    async with live(live=SELDOM, upstreams=upstreams) as gateway, gateway.client() as client:
        await client.subscribe(
            'subscription { syncRunChanged(since: "2026-11-22T09:41:07Z") { kind previousStatus run { finishedAt } } }'
        )
        event = (await client.next())["payload"]["data"]["syncRunChanged"]

    assert event["previousStatus"] is None
    assert event["run"]["finishedAt"] is None or event["run"]["finishedAt"] > "2026-11-22T09:41:07Z"


async def test_who_did_not_ask_for_the_past_is_not_told_of_it():
    async with live(live=SELDOM) as gateway:
        async with gateway.client() as client:
            await client.subscribe()
            await polled_once(gateway)
        gateway.upstreams.now += timedelta(minutes=20)
        async with gateway.client() as client:
            await client.subscribe()
            for call, times in FIRST_POLL.items():
                await asked(gateway, call, 2 * times)
            gateway.upstreams.now += timedelta(minutes=20)
            await poll_anew(client)
            event = (await client.next())["payload"]["data"]["syncRunChanged"]

    assert event["observedAt"] == "2026-11-22T10:21:07Z"


async def test_a_provider_in_trouble_tells_no_false_events_and_ends_no_subscription():
    async with live() as gateway, gateway.client() as client:
        await client.subscribe(id="runs")
        await client.subscribe(HEALTH, id="health")
        await client.subscribe(PROVIDERS, id="providers")
        await client.joined()
        await polled_anew(gateway)
        gateway.upstreams.broken = dict.fromkeys(("den", "timbal", "outlit", "airweave"), down)
        sick: set[str] = set()
        while len(sick) < 4:
            provider = (await client.next("providers"))["payload"]["data"]["providerHealthChanged"]
            sick |= {provider["name"]} if provider["health"]["status"] != "UP" else set()

        assert client.kept == []
        gateway.upstreams.broken.clear()
        async with gateway.passing():
            assert (await client.next("runs"))["type"] == "next"
            assert (await client.next("health"))["type"] == "next"


async def test_a_sync_is_told_of_when_it_does_otherwise():
    async with live() as gateway, gateway.client() as client, gateway.passing():
        await client.subscribe(HEALTH)
        told: dict[str, str] = {}
        for _ in range(6):
            event = (await client.next())["payload"]["data"]["syncHealthChanged"]
            assert event["previous"] != event["current"]
            assert event["previous"] == told.get(event["sync"]["id"], event["previous"])
            told[event["sync"]["id"]] = event["current"]


FILTERS = {
    "syncRunChanged(filter: {statuses: [RUNNING]}) { run { status } }": lambda run: (
        run["status"] == "RUNNING"
    ),
    'syncRunChanged(filter: {providers: ["UHJvdmlkZXI6dGltYmFs"]}) { run { providerName } }': (
        lambda run: run["providerName"] == "timbal"
    ),
    'syncRunChanged(filter: {orderedAt: {from: "2026-11-22T09:50:00Z"}}) { run { orderedAt } }': (
        lambda run: run["orderedAt"] >= "2026-11-22T09:50:00Z"
    ),
}


@pytest.mark.parametrize("field", FILTERS)
async def test_a_filter_lets_through_what_fits(field: str):
    async with live() as gateway, gateway.client() as client, gateway.passing():
        await client.subscribe(f"subscription {{ {field} }}")
        for _ in range(4):
            assert FILTERS[field]((await client.next())["payload"]["data"]["syncRunChanged"]["run"])


async def test_only_the_providers_of_a_filter_are_asked():
    async with live() as gateway, gateway.client() as client:
        await client.subscribe(
            'subscription { syncHealthChanged(filter: {providers: ["UHJvdmlkZXI6dGltYmFs"]}) { current } }'
        )
        await asked(gateway, "timbal", 6)

        assert {call.split()[0] for call in gateway.upstreams.sent} == {"timbal"}


async def test_how_a_sync_does_costs_an_event_no_call():
    """It is what the poll found, not judged anew."""
    costs = {}
    for extra in ("", "health { status reasons { code } } freshness { status }"):
        async with live(live=SELDOM) as gateway, gateway.client() as client:
            await client.subscribe(
                'subscription { syncHealthChanged(filter: {providers: ["UHJvdmlkZXI6dGltYmFs"]}) { current sync { id '
                f"{extra} }} }} }}"
            )
            await asked(gateway, "timbal", 3)
            gateway.upstreams.now += timedelta(minutes=9)
            await poll_anew(client)
            event = (await client.next())["payload"]["data"]["syncHealthChanged"]
            assert event["sync"].get("health", {"status": event["current"]})["status"] == event["current"]
            await gateway.at_rest()
            costs[extra] = sorted(gateway.upstreams.sent)

    assert len(set(map(tuple, costs.values()))) == 1


async def test_a_filter_on_health_and_names_is_about_syncs_as_they_are_now():
    async with live() as gateway, gateway.client() as client, gateway.passing():
        await client.subscribe(
            'subscription { syncHealthChanged(filter: {health: [UNKNOWN], search: "message", freshness: [UNKNOWN, '
            "PASSING, WARNING, FAILING]}) { current sync { name } } }"
        )
        event = (await client.next())["payload"]["data"]["syncHealthChanged"]

    assert event["current"] == "UNKNOWN"
    assert "message" in event["sync"]["name"].lower()
