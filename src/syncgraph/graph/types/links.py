"""Fields that lead from one entity to another, and what every entity says of where it is from.

The types are named lazily, since they refer to each other in circles.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from strawberry.types.nodes import FragmentSpread, InlineFragment, SelectedField, Selection

from syncgraph import ports
from syncgraph.domain import model
from syncgraph.graph import ids
from syncgraph.graph.context import Info

if TYPE_CHECKING:
    from syncgraph.graph.types.connector import Connector
    from syncgraph.graph.types.provider import Provider
    from syncgraph.graph.types.sync import Sync

PROVIDER: Any = Annotated["Provider", strawberry.lazy("syncgraph.graph.types.provider")]
CONNECTOR: Any = Annotated["Connector", strawberry.lazy("syncgraph.graph.types.connector")]
SYNC: Any = Annotated["Sync", strawberry.lazy("syncgraph.graph.types.sync")]

FROM_KEY = frozenset({"__typename", "id", "externalId", "providerName", "provider"})
"""Fields that a key alone answers."""


@dataclass(frozen=True, slots=True)
class ConnectorReference:
    """A connector of which only what its key tells was asked for: it costs no call."""

    key: model.ConnectorKey


@dataclass(frozen=True, slots=True)
class SyncReference:
    """A sync of which only what its key tells was asked for: it costs no call."""

    key: model.SyncKey


Entity: TypeAlias = model.Connector | model.Sync | model.SyncRun | ConnectorReference | SyncReference


def global_id(entity: strawberry.Parent[Entity]) -> strawberry.ID:
    return strawberry.ID(ids.encode(entity.key))


def external_id(entity: strawberry.Parent[Entity]) -> str:
    return entity.key.id


def provider_name(entity: strawberry.Parent[Entity]) -> str:
    return entity.key.provider


def provider(entity: strawberry.Parent[Entity], info: Info) -> ports.Provider:
    return info.context.opened[entity.key.provider].provider


def linked_connector(
    entity: strawberry.Parent[model.Sync | model.SyncRun], info: Info
) -> Awaitable[model.Connector | None] | ConnectorReference | None:
    if entity.connector is None:
        return None
    if asks_only_for_keys(info):
        return ConnectorReference(entity.connector)
    return info.context.loaders.connector.load(entity.connector)


def linked_sync(
    run: strawberry.Parent[model.SyncRun], info: Info
) -> Awaitable[model.Sync | None] | SyncReference | None:
    if run.sync is None:
        return None
    if asks_only_for_keys(info):
        return SyncReference(run.sync)
    return info.context.loaders.sync.load(run.sync)


def asks_only_for_keys(info: Info) -> bool:
    return all(_is_from_key(selection) for field in info.selected_fields for selection in field.selections)


def _is_from_key(selection: Selection) -> bool:
    if _is_left_out(selection):
        return True
    match selection:
        case SelectedField():
            return selection.name in FROM_KEY
        case FragmentSpread() | InlineFragment():
            return all(_is_from_key(one) for one in selection.selections)


def _is_left_out(selection: Selection) -> bool:
    directives = selection.directives
    skipped = directives.get("skip", {}).get("if", False)
    included = directives.get("include", {}).get("if", True)
    return skipped is True or included is False
