"""Objects by what names them: a global id, or a key as another graph holds it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.errors import DocumentError, GatewayError, InvalidIdError, NotFoundError
from syncgraph.graph import ids
from syncgraph.graph.context import Info

T = TypeVar("T")
Named: TypeAlias = ConnectorKey | SyncKey | RunKey | str
"""A key, or a provider's name."""

BY_ID = ("id",)
BY_EXTERNAL_ID = ("providerName", "externalId")
KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Connector": (BY_ID, BY_EXTERNAL_ID),
    "Provider": (BY_ID,),
    "Sync": (BY_ID, BY_EXTERNAL_ID),
    "SyncRun": (BY_ID, BY_EXTERNAL_ID),
}
"""The keys of each entity, by the names of their fields."""


async def find(info: Info, named: Named) -> Any:
    """None when nothing has this key, or no provider this name."""
    loaders = info.context.loaders
    match named:
        case ConnectorKey():
            return await loaders.connector.load(named)
        case SyncKey():
            return await loaders.sync.load(named)
        case RunKey():
            return await loaders.run.load(named)
        case name:
            opened = info.context.opened.get(name)
            return None if opened is None else opened.provider


async def find_or_say_why(info: Info, read: Callable[[T], Named], given: T) -> Any:
    """As ``find``; what stands in the way is the value, so that it costs only its own place in a list."""
    try:
        found = await find(info, read(given))
    except GatewayError as error:
        return error
    return NotFoundError("No object of this gateway has this id.") if found is None else found


def key_of(representation: object) -> Named:
    """What an entity's representation names: its type and one of its keys, or both when they agree.

    Raises :class:`DocumentError` for another shape, :class:`InvalidIdError` for an id that does not name such an entity.
    """
    kind, fields = _typed(representation)
    whole = [key for key in KEYS[kind] if fields.keys() >= set(key)]
    if not whole or fields.keys() != {name for key in whole for name in key}:
        raise DocumentError(f"representations: a {kind} is named by exactly the fields of one of its keys.")
    named = {_by_id(kind, fields["id"]) if key == BY_ID else _by_external_id(kind, fields) for key in whole}
    if len(named) > 1:
        raise InvalidIdError("The id and the external id of this representation name different objects.")
    return named.pop()


def _typed(representation: object) -> tuple[str, Mapping[str, str]]:
    match representation:
        case {"__typename": str(kind), **fields} if kind in KEYS:
            texts = {str(name): its for name, its in fields.items() if isinstance(its, str)}
            if len(texts) == len(fields):
                return kind, texts
    raise DocumentError("representations: each is an object of a known __typename and strings.")


def _by_id(kind: str, id: str) -> Named:
    named = ids.decode(id)
    if not isinstance(named, ids.KEYS.get(kind, str)):
        raise InvalidIdError(f"This is not an id of a {kind}.")
    return named


def _by_external_id(kind: str, fields: Mapping[str, str]) -> Named:
    return ids.KEYS[kind](fields["providerName"], fields["externalId"])
