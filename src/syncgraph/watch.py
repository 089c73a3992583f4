"""The shared polls behind subscriptions: one per provider, however many subscribe, and only while somebody does."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Self

import structlog

from syncgraph.accounts import Opened
from syncgraph.domain.changes import Seen, changes, health_changes, replay
from syncgraph.domain.health import HealthStatus
from syncgraph.domain.model import SyncKey
from syncgraph.domain.provider_health import ProviderHealthStatus
from syncgraph.errors import GatewayError, SubscriberTooSlowError, UpstreamError
from syncgraph.look import look_at_anything, look_at_health, look_at_runs

log = structlog.get_logger(__name__)

MAX_WAITING = 256
"""Events that may wait for a subscriber when a poll brings more; one further behind is dropped."""

LONGEST_BACKOFF_S = 300.0
QUOTA_SHARE, QUOTA_WINDOW_S = 0.5, 60.0
"""Of a limit that a provider tells, what polls may use; every provider that tells one counts by the minute."""
JITTER = 0.2
"""Of a pause, up or down, so that many gateways do not ask at the same instants."""

Open = Callable[[str], AbstractAsyncContextManager[tuple[Opened, datetime]]]
"""One provider, by name, for one poll; and the instant of it."""
Fits = Callable[[Any], bool]
"""Whether a subscription is about an event."""


class Topic(Enum):
    """What can be subscribed to."""

    RUNS = auto()
    HEALTH = auto()
    PROVIDER = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two polls: while something runs, and else."""

    running_s: float
    idle_s: float

    def pause_s(
        self, *, is_active: bool, failures: int = 0, calls: int = 0, limit: int | None = None
    ) -> float:
        """``failures``: polls in a row that failed. ``calls``: of one poll; ``limit``: what the provider allows in a minute."""
        usual = self.running_s if is_active else self.idle_s
        if limit:
            usual = max(usual, calls * QUOTA_WINDOW_S / (limit * QUOTA_SHARE))
        if not failures:
            return usual
        return max(usual, min(self.running_s * 2.0 ** min(failures, 16), LONGEST_BACKOFF_S))


@dataclass(eq=False, slots=True)
class News:
    """One event, the same object for every subscriber.

    ``answers``: what it comes to, by operation, so that equal operations are executed once.
    """

    event: Any
    answers: dict[Hashable, asyncio.Task[bytes]] = field(default_factory=dict)


class Subscriber:
    """The events of one subscription. Iterating ends when the gateway stops, and raises what ended it before."""

    __slots__ = ("_error", "_fits", "_is_closed", "_leave", "_room", "_waiting", "_wake", "since", "topic")

    def __init__(
        self, topic: Topic, since: datetime | None, fits: Fits, leave: Callable[["Subscriber"], None]
    ) -> None:
        self.topic = topic
        self.since = since
        self._fits = fits
        self._leave = leave
        self._waiting: deque[News] = deque()
        self._room = MAX_WAITING
        self._wake: asyncio.Future[None] | None = None
        self._error: GatewayError | None = None
        self._is_closed = False

    def tell(self, news: Sequence[News]) -> None:
        """What one poll found: a burst fits as long as not too much of what came before it still waits."""
        if len(self._waiting) > self._room:
            self.close(SubscriberTooSlowError("The subscription did not take its events, and was ended."))
            return
        self._waiting.extend(one for one in news if self._fits(one.event))
        self._notify()

    def replay(self, events: Iterable[Any]) -> None:
        """Bounded by what is remembered, so it may wait for longer than what polls bring."""
        before = len(self._waiting)
        self._waiting.extend(News(event) for event in events if self._fits(event))
        self._room += len(self._waiting) - before
        self._notify()

    def close(self, error: GatewayError | None = None) -> None:
        """What waits is not delivered any more when there is an ``error``."""
        if error is not None:
            self._waiting.clear()
            self._error = error
        self._is_closed = True
        self._leave(self)
        self._notify()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return self._waiting.popleft()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Watches:
    """The polls of all providers."""

    def __init__(self, providers: Iterable[str], open_provider: Open, pace: Pace) -> None:
        self._watches = {name: Watch(name, open_provider, pace) for name in providers}
        self._subscribers: set[Subscriber] = set()
        self._is_closed = False

    def subscribe(
        self,
        topic: Topic,
        *,
        providers: Iterable[str] | None = None,
        since: datetime | None = None,
        fits: Fits = lambda _event: True,
    ) -> Subscriber:
        """``providers``: None for all. ``since``: first what changed after that instant, as far as it is known."""
        subscriber = Subscriber(topic, since, fits, self._leave)
        if self._is_closed:
            subscriber.close()
            return subscriber
        self._subscribers.add(subscriber)
        for name in self._watches if providers is None else self._watches.keys() & set(providers):
            self._watches[name].join(subscriber)
        return subscriber

    async def close(self) -> None:
        """Ends all subscriptions."""
        self._is_closed = True
        for subscriber in list(self._subscribers):
            subscriber.close()
        polls = [watch.polling for watch in self._watches.values() if watch.polling is not None]
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)

    def _leave(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        for watch in self._watches.values():
            watch.leave(subscriber)


class Watch:
    """The poll of one provider. What it saw is kept while nobody subscribes, so that who comes back misses nothing."""

    def __init__(self, name: str, open_provider: Open, pace: Pace) -> None:
        self._name = name
        self._open = open_provider
        self._pace = pace
        self._told: Mapping[Topic, set[Subscriber]] = {topic: set() for topic in Topic}
        self._joining: Mapping[Topic, set[Subscriber]] = {topic: set() for topic in Topic}
        self._wake = asyncio.Event()
        self._runs = Seen()
        self._health: Mapping[SyncKey, HealthStatus] = {}
        self._health_is_active = False
        self._health_due_at = 0.0
        self._status: ProviderHealthStatus | None = None
        self._failures = 0
        self.polling: asyncio.Task[None] | None = None

    def join(self, subscriber: Subscriber) -> None:
        """Told at once of what polls find from now on if they go on anyway, else from the next one on."""
        topic = subscriber.topic
        if self._told[topic]:
            self._admit(subscriber)
            return
        if not self._joining[topic]:
            self._wake.set()
        self._joining[topic].add(subscriber)
        if self.polling is None or self.polling.done():
            self.polling = asyncio.create_task(self._poll_on(), context=Context())
            self.polling.add_done_callback(self._ended)

    def leave(self, subscriber: Subscriber) -> None:
        for group in (self._told, self._joining):
            group[subscriber.topic].discard(subscriber)
        if not self._wanted():
            self._wake.set()

    def _wanted(self) -> frozenset[Topic]:
        return frozenset(topic for topic in Topic if self._told[topic] or self._joining[topic])

    def _ended(self, polling: asyncio.Task[None]) -> None:
        """Only a bug ends it while somebody listens, who must not wait for ever then."""
        if polling.cancelled() or polling.exception() is None:
            return
        log.error("poll_broken", provider=self._name, exc_info=polling.exception())
        for group in (self._told, self._joining):
            for subscriber in [one for its in group.values() for one in its]:
                subscriber.close(GatewayError("Internal error."))

    async def _poll_on(self) -> None:
        """Until nobody subscribes any more; what has been asked by then is read to its end."""
        while self._wanted():
            self._wake.clear()
            pause_s = await self._poll()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(1 - JITTER, 1 + JITTER)):  # noqa: S311  # no secret
                    await self._wake.wait()

    async def _poll(self) -> float:
        """One look at what is wanted, told to those who want it; the seconds until the next."""
        wanted = self._wanted()
        async with self._open(self._name) as (opened, now):
            error = await self._look(opened, wanted, now) or opened.meter.used.error
            self._compare_provider(opened)
        self._failures = self._failures + 1 if error else 0
        asked_s = (error.retry_after - now).total_seconds() if error and error.retry_after else 0.0
        return max(self._pause_s(opened), asked_s)

    def _pause_s(self, opened: Opened) -> float:
        told = opened.provider.health().rate_limit
        return self._pace.pause_s(
            is_active=bool(self._runs.active()) or self._health_is_active,
            failures=self._failures,
            calls=opened.meter.calls,
            limit=told.limit if told else None,
        )

    async def _look(self, opened: Opened, wanted: frozenset[Topic], now: datetime) -> UpstreamError | None:
        if wanted <= {Topic.PROVIDER}:
            return await look_at_anything(opened.provider)
        found = await look_at_runs(opened.provider, self._runs)
        has_news = False
        if found.error is None or any(page is not None for page in found.look.lists.values()):
            self._runs, events = changes(self._runs, found.look, now)
            has_news = bool(events)
            self._publish(Topic.RUNS, events)
        if Topic.HEALTH in wanted and (has_news or self._is_health_due()):
            await self._look_at_health(opened, now)
        return found.error

    def _is_health_due(self) -> bool:
        """It costs more calls than the runs, and changes by itself only slowly."""
        at = asyncio.get_running_loop().time()
        return bool(self._joining[Topic.HEALTH]) or at >= self._health_due_at

    async def _look_at_health(self, opened: Opened, now: datetime) -> None:
        self._health_due_at = asyncio.get_running_loop().time() + self._pace.idle_s
        found = await look_at_health(opened, now)
        self._health, events = health_changes(self._health, found.standings, now)
        self._health_is_active = found.is_active
        self._publish(Topic.HEALTH, events)

    def _compare_provider(self, opened: Opened) -> None:
        before, self._status = self._status, opened.provider.health().status
        self._publish(Topic.PROVIDER, [opened.provider] if before not in {None, self._status} else [])

    def _publish(self, topic: Topic, events: Sequence[Any]) -> None:
        """To those who have been told what was before; those who join know it now."""
        news = [News(event) for event in events]
        for subscriber in list(self._told[topic]) if news else ():
            subscriber.tell(news)
        for subscriber in list(self._joining[topic]):
            self._admit(subscriber)

    def _admit(self, subscriber: Subscriber) -> None:
        self._joining[subscriber.topic].discard(subscriber)
        self._told[subscriber.topic].add(subscriber)
        if subscriber.topic is Topic.RUNS and subscriber.since is not None:
            subscriber.replay(replay(self._runs, subscriber.since))
