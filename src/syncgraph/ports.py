"""The questions that providers are asked, as Protocols; a provider answers some of them.

A *lookup* asks by ids and keeps their order; what went wrong for one id is the answer for that id, so that it does not
spoil its batch. A *feed* asks for pages, newest first, and raises. Every call may raise only :class:`UpstreamError`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, TypeVar

from syncgraph.domain.freshness import FreshnessPolicy
from syncgraph.domain.metrics import Percentiles
from syncgraph.domain.model import (
    Capability,
    Connector,
    Key,
    ProviderKind,
    RunStatus,
    Sync,
    SyncExtra,
    SyncRun,
    SyncStats,
)
from syncgraph.domain.page import Page
from syncgraph.domain.provider_health import CircuitState, ProviderHealthStatus
from syncgraph.errors import UpstreamError, or_error

T = TypeVar("T")
Found: TypeAlias = T | UpstreamError | None
"""What a lookup says of one id: the thing, what went wrong, or None: no such thing."""


class ConnectorLookup(Protocol):
    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        """One entry per id, in order. An id of another shape than the provider's is None, without a call."""
        ...


class SyncLookup(Protocol):
    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        """One entry per id, in order. An id of another shape than the provider's is None, without a call."""
        ...


class SyncExtraLookup(Protocol):
    async def find_extras(self, ids: Sequence[str]) -> Sequence[Found[SyncExtra]]:
        """One entry per sync id, in order; offered where lists leave ``Sync.extra`` out."""
        ...


class StatsLookup(Protocol):
    async def find_stats(self, ids: Sequence[str]) -> Sequence[Found[SyncStats]]:
        """One entry per sync id, in order."""
        ...


class RunLookup(Protocol):
    async def find_runs(self, ids: Sequence[str]) -> Sequence[Found[SyncRun]]:
        """One entry per id, in order. An id of another shape than the provider's is None, without a call."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of a provider one list shows: all of it, one connector's, or one sync's; at most one of these is set.

    ``status``: in the provider's own word, runs that stand so; only as the provider's ``run_narrowing`` gives it.
    """

    connector_id: str | None = None
    sync_id: str | None = None
    status: str | None = None


ALL = Scope()


class Feed(Protocol[T]):
    """Lists of one kind of thing at one provider."""

    async def scopes(self) -> Sequence[Scope]:
        """The upstream lists that together hold everything: ``[ALL]`` where one list does."""
        ...

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[T]:
        """The next rows of one list, newest first.

        At least ``first`` of them, unless the list ends or the provider's largest page is smaller. ``after``: the
        previous page's ``next``, None for the head.
        """
        ...

    async def first_pages(self, scopes: Sequence[Scope], *, first: int) -> Sequence[Page[T] | UpstreamError]:
        """The head of many lists, one entry per scope, in order, for the least upstream calls."""
        ...


async def heads(feed: Feed[T], scopes: Sequence[Scope], *, first: int) -> Sequence[Page[T] | UpstreamError]:
    """``Feed.first_pages`` where lists share no calls: each head by itself, side by side."""

    async def head(scope: Scope) -> Page[T] | UpstreamError:
        return await or_error(feed.page(scope, first=first, after=None))

    return await asyncio.gather(*map(head, scopes))


class Probe(Protocol):
    async def diagnose(self) -> "Diagnosis":
        """Ask the provider once what it is; never raises: what went wrong is in the diagnosis."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What ``syncgraph doctor`` found out about one provider.

    ``authorised``: None when it could not be told. ``served``: the contracts that the server answers to.
    ``clock_skew``: theirs minus ours, by the ``Date`` header. ``advice``: sentences for a person, worst first.
    """

    reachable: bool
    authorised: bool | None = None
    server: str | None = None
    served: tuple[str, ...] = ()
    clock_skew: timedelta | None = None
    limits: str | None = None
    advice: tuple[str, ...] = ()
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A provider's own limit, as its last answer told it. None: it did not."""

    limit: int | None = None
    remaining: int | None = None
    reset_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """A provider as this process saw it in its last calls.

    ``success_rate``, ``latency``: of the last five minutes, in seconds; None when there was no call, or none that
    succeeded. ``last_error``: a copy that holds nothing of the request it failed.
    """

    status: ProviderHealthStatus
    circuit: CircuitState = CircuitState.CLOSED
    last_success_at: datetime | None = None
    last_error: UpstreamError | None = None
    success_rate: float | None = None
    latency: Percentiles | None = None
    rate_limit: RateLimit | None = None


Asked: TypeAlias = Key | str
"""What may be asked of a provider: a thing by its key, or the head of its ``connectors``, ``syncs`` or ``runs``."""


def _nothing_surely(_: Asked) -> str | None:
    return None


def _not_seen() -> ProviderHealth:
    return ProviderHealth(status=ProviderHealthStatus.UNKNOWN)


def _nothing_configured(_: Sync) -> FreshnessPolicy | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One configured provider, bound to one request: what it is and what it can answer. None: it cannot.

    ``health``: as seen so far; costs no call. ``expectation``: what an operator configured for a sync's freshness.
    """

    name: str
    kind: ProviderKind
    contract: str
    capabilities: frozenset[Capability]
    probe: Probe
    connector_lookup: ConnectorLookup | None = None
    sync_lookup: SyncLookup | None = None
    sync_extra_lookup: SyncExtraLookup | None = None
    stats_lookup: StatsLookup | None = None
    run_lookup: RunLookup | None = None
    connector_feed: Feed[Connector] | None = None
    sync_feed: Feed[Sync] | None = None
    run_feed: Feed[SyncRun] | None = None
    run_narrowing: Callable[[Scope, frozenset[RunStatus]], Sequence[Scope]] | None = None
    """The lists that together show a scope's runs of some statuses, where the provider can leave the others out."""
    sure_read: Callable[[Asked], str | None] = _nothing_surely
    """Names an upstream read without which there is no answer, None: perhaps none. Two names never are one exchange."""
    health: Callable[[], ProviderHealth] = _not_seen
    expectation: Callable[[Sync], FreshnessPolicy | None] = _nothing_configured
