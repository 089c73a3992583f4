"""Filters: GraphQL inputs, and which rows, providers and upstream lists they leave."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import strawberry

from syncgraph.domain import model
from syncgraph.domain.failure import fingerprint
from syncgraph.domain.freshness import FreshnessStatus
from syncgraph.domain.health import HealthStatus
from syncgraph.domain.merge import Selection
from syncgraph.errors import InvalidIdError
from syncgraph.graph import enums as _enums  # noqa: F401  # registers what the inputs name
from syncgraph.graph import ids
from syncgraph.ports import Scope
from syncgraph.standing import Standings

K = TypeVar("K", model.ConnectorKey, model.SyncKey)


@strawberry.input(description="Both ends may be left out.")
class DateTimeRange:
    from_: datetime | None = strawberry.field(name="from", default=None, description="Inclusive.")
    to: datetime | None = strawberry.field(default=None, description="Exclusive.")


@strawberry.input(description="All that is given must hold. Null or left out: no condition.")
class ConnectorFilter:
    providers: list[strawberry.ID] | None = None
    source_types: list[str] | None = None
    statuses: list[model.ConnectorStatus] | None = None
    health: list[HealthStatus] | None = None
    search: str | None = strawberry.field(default=None, description="Part of the name, in any case.")


@strawberry.input(description="All that is given must hold. Null or left out: no condition.")
class SyncFilter:
    providers: list[strawberry.ID] | None = None
    connectors: list[strawberry.ID] | None = None
    health: list[HealthStatus] | None = None
    freshness: list[FreshnessStatus] | None = None
    states: list[model.SyncState] | None = None
    enabled: bool | None = None
    search: str | None = strawberry.field(
        default=None, description="Part of the name or stream, in any case."
    )


@strawberry.input(description="All that is given must hold. Null or left out: no condition.")
class SyncRunFilter:
    providers: list[strawberry.ID] | None = None
    connectors: list[strawberry.ID] | None = None
    syncs: list[strawberry.ID] | None = None
    statuses: list[model.RunStatus] | None = None
    triggers: list[model.RunTrigger] | None = None
    ordered_at: DateTimeRange | None = None
    error_fingerprint: str | None = None


Condition = Callable[[Any], bool]
AnyFilter = ConnectorFilter | SyncFilter | SyncRunFilter


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter leaves.

    ``text``: the same for equal filters; cursors are bound to it. ``prepare``: see ``lists.Request``. ``statuses``: of
    runs, for providers whose own lists can be narrowed to them.
    """

    selection: Selection[Any] = Selection()  # frozen
    providers: frozenset[str] | None = None
    scopes: Mapping[str, Sequence[Scope]] | None = None
    text: str = ""
    prepare: Callable[[Sequence[Any]], Awaitable[None]] | None = None
    statuses: frozenset[model.RunStatus] | None = None


class Judged:
    """How the rows that a filter has to decide on do, found out page by page."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings
        self.health: dict[model.Key, HealthStatus] = {}
        self.freshness: dict[model.Key, FreshnessStatus] = {}

    async def connectors(self, rows: Sequence[model.Connector]) -> None:
        found = await asyncio.gather(*map(self._standings.of_connector, rows))
        self.health |= {row.key: health.status for row, (health, _) in zip(rows, found, strict=True)}

    async def syncs(self, rows: Sequence[model.Sync]) -> None:
        for one in await asyncio.gather(*map(self._standings.of, rows)):
            self.health[one.sync.key] = one.health.status
            self.freshness[one.sync.key] = one.freshness.status


def filtered(given: AnyFilter | None, standings: Standings) -> Filtered:
    """Raises :class:`InvalidIdError` for an id of another type."""
    judged = Judged(standings)
    match given:
        case ConnectorFilter():
            left = _filtered(given, _connector_conditions(given, judged))
            return left if given.health is None else replace(left, prepare=judged.connectors)
        case SyncFilter():
            connectors = _keys(given.connectors, model.ConnectorKey)
            scopes = _scopes(connectors, lambda key: Scope(connector_id=key.id))
            of_judged = [
                *_among(given.health, lambda row: judged.health[row.key]),
                *_among(given.freshness, lambda row: judged.freshness[row.key]),
            ]
            left = _filtered(given, [*_sync_conditions(given, connectors), *of_judged], scopes)
            asks = given.health is not None or given.freshness is not None
            return replace(left, prepare=judged.syncs) if asks else left
        case SyncRunFilter():
            return _runs(given)
        case _:
            return Filtered()


def lets_through(given: SyncRunFilter | SyncFilter | None) -> Callable[[Any], bool]:
    """Whether one event's run, or one event's standing of a sync, fits: without a call."""
    match given:
        case SyncRunFilter():
            left = _runs(given)
            oldest = left.selection.oldest
            return lambda run: (oldest is None or run.ordered_at >= oldest) and left.selection.keep(run)
        case SyncFilter():
            conditions = _standing_conditions(given)
            return lambda standing: all(holds(standing) for holds in conditions)
        case _:
            return lambda _: True


def provider_names(given: SyncRunFilter | SyncFilter | None) -> frozenset[str] | None:
    """Whose events can fit; None: anyone's."""
    return None if given is None or given.providers is None else frozenset(map(_provider, given.providers))


def _standing_conditions(given: SyncFilter) -> list[Condition]:
    of_sync = _sync_conditions(given, _keys(given.connectors, model.ConnectorKey))
    return [
        *_among(given.health, lambda one: one.health.status),
        *_among(given.freshness, lambda one: one.freshness.status),
        lambda one: all(holds(one.sync) for holds in of_sync),
    ]


def _runs(given: SyncRunFilter) -> Filtered:
    connectors = _keys(given.connectors, model.ConnectorKey)
    syncs = _keys(given.syncs, model.SyncKey)
    scopes = _scopes(syncs, lambda key: Scope(sync_id=key.id)) or _scopes(
        connectors, lambda key: Scope(connector_id=key.id)
    )
    oldest = given.ordered_at.from_ if given.ordered_at else None
    left = _filtered(given, _run_conditions(given, connectors, syncs), scopes, oldest)
    return left if given.statuses is None else replace(left, statuses=frozenset(given.statuses))


def _filtered(
    given: AnyFilter,
    conditions: Sequence[Condition],
    scopes: Mapping[str, Sequence[Scope]] | None = None,
    oldest: datetime | None = None,
) -> Filtered:
    return Filtered(
        Selection(lambda row: all(holds(row) for holds in conditions), oldest),
        None if given.providers is None else frozenset(map(_provider, given.providers)),
        scopes,
        _text(given),
    )


def _text(given: AnyFilter) -> str:
    """Of the conditions but ``providers``, to which a cursor is bound by name."""
    held = {
        name: value
        for name, value in strawberry.asdict(given).items()
        if value is not None and name != "providers"
    }
    return msgspec.json.encode(held, order="deterministic").decode() if held else ""


def _connector_conditions(given: ConnectorFilter, judged: Judged) -> list[Condition]:
    return [
        *_among(given.health, lambda row: judged.health[row.key]),
        *_among(given.source_types, lambda row: row.source_type),
        *_among(given.statuses, lambda row: row.status),
        *_search(given.search, lambda row: (row.name,)),
    ]


def _sync_conditions(given: SyncFilter, connectors: Sequence[model.ConnectorKey] | None) -> list[Condition]:
    return [
        *_among(connectors, lambda row: row.connector),
        *_among(given.states, lambda row: row.state),
        *_among(None if given.enabled is None else [given.enabled], lambda row: row.enabled),
        *_search(given.search, lambda row: (row.name, row.stream)),
    ]


def _run_conditions(
    given: SyncRunFilter,
    connectors: Sequence[model.ConnectorKey] | None,
    syncs: Sequence[model.SyncKey] | None,
) -> list[Condition]:
    to, wanted = given.ordered_at.to if given.ordered_at else None, given.error_fingerprint
    return [
        *_among(connectors, lambda row: row.connector),
        *_among(syncs, lambda row: row.sync),
        *_among(given.statuses, lambda row: row.status),
        *_among(given.triggers, lambda row: row.trigger),
        *([] if to is None else [lambda row: row.ordered_at < to]),
        *_among(
            None if wanted is None else [wanted], lambda row: row.error and fingerprint(row.error.message)
        ),
    ]


def _among(allowed: Iterable[Any] | None, value: Callable[[Any], Any]) -> list[Condition]:
    if allowed is None:
        return []
    found = frozenset(allowed)
    return [lambda row: value(row) in found]


def _search(text: str | None, values: Callable[[Any], Iterable[str | None]]) -> list[Condition]:
    if text is None:
        return []
    part = text.casefold()
    return [lambda row: any(part in value.casefold() for value in values(row) if value is not None)]


def _scopes(keys: Sequence[K] | None, scope: Callable[[K], Scope]) -> Mapping[str, Sequence[Scope]] | None:
    if keys is None:
        return None
    by_provider: defaultdict[str, list[Scope]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        by_provider[key.provider].append(scope(key))
    return by_provider


def _keys(given: Sequence[strawberry.ID] | None, kind: type[K]) -> list[K] | None:
    return None if given is None else [_key(one, kind) for one in given]


def _key(id: strawberry.ID, kind: type[K]) -> K:
    key = ids.decode(id)
    if not isinstance(key, kind):
        raise InvalidIdError("filter: this is the id of something else.")
    return key


def _provider(id: strawberry.ID) -> str:
    name = ids.decode(id)
    if not isinstance(name, str):
        raise InvalidIdError("filter: this is not the id of a provider.")
    return name
