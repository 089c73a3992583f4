"""Connectors and syncs put together from events: the contract ``sync-events`` has no routes for them."""

from collections.abc import Callable, Mapping, Sequence

from syncgraph.domain.model import Connector, Coverage, Sync
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError
from syncgraph.ports import ALL, Found, Scope, heads
from syncgraph.providers.den import mapping, typeid, wire
from syncgraph.providers.den.events import DenEvents


class DerivedConnectors:
    """``ConnectorLookup`` and ``Feed[Connector]``: whoever has an event among the newest ones."""

    def __init__(self, name: str, events: DenEvents) -> None:
        self._name = name
        self._events = events

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Connector]:  # noqa: ARG002  # one page
        newest, coverage = await _newest(self._events, lambda event: event.connector_instance_id)
        return Page(
            [mapping.derived_connector(self._name, event) for event in newest.values()], None, coverage
        )

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Connector] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        asked = [one for one in dict.fromkeys(ids) if typeid.INSTANCE.fullmatch(one)]
        newest = await self._events.newest([Scope(connector_id=one) for one in asked])
        found = dict(zip(asked, newest, strict=True))
        return [self._mapped(found.get(one)) for one in ids]

    def _mapped(self, event: Found[wire.Event]) -> Found[Connector]:
        return mapping.derived_connector(self._name, event) if isinstance(event, wire.Event) else event


class DerivedSyncs:
    """``SyncLookup`` and ``Feed[Sync]``: whatever has an event among the newest ones."""

    def __init__(self, name: str, events: DenEvents) -> None:
        self._name = name
        self._events = events

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Sync]:  # noqa: ARG002  # one page
        newest, coverage = await _newest(self._events, lambda event: event.connector_target_id)
        syncs = [
            mapping.derived_sync(self._name, target, event)
            for target, event in newest.items()
            if scope.connector_id in {None, event.connector_instance_id}
        ]
        return Page(syncs, None, coverage)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Sync] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        asked = [one for one in dict.fromkeys(ids) if typeid.TARGET.fullmatch(one)]
        newest = await self._events.newest([Scope(sync_id=one) for one in asked])
        found = dict(zip(asked, newest, strict=True))
        return [self._mapped(one, found.get(one)) for one in ids]

    def _mapped(self, id: str, event: Found[wire.Event]) -> Found[Sync]:
        return mapping.derived_sync(self._name, id, event) if isinstance(event, wire.Event) else event


async def _newest(
    events: DenEvents, id_of: Callable[[wire.Event], str | None]
) -> tuple[Mapping[str, wire.Event], Coverage]:
    """The newest event of each id, newest first."""
    walked = await events.walk()
    if walked.error is not None:
        raise walked.error
    newest: dict[str, wire.Event] = {}
    for event in walked.rows:
        its = id_of(event)
        if its is not None:
            newest.setdefault(its, event)
    return newest, Coverage.FULL if walked.ended else Coverage.WINDOW
