"""Which of Den's reads a question cannot do without."""

import re

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.ports import Asked
from syncgraph.providers.den import typeid
from syncgraph.providers.den.events import PATH as EVENTS
from syncgraph.providers.den.instances import INSTANCES, TARGETS


def with_instances(asked: Asked) -> str | None:
    match asked:
        case ConnectorKey(id=its):
            return _detail(INSTANCES, typeid.INSTANCE, its)
        case SyncKey(id=its):
            return _detail(TARGETS, typeid.TARGET, its)
        case RunKey(id=its):
            return _detail(EVENTS, typeid.EVENT, its)
        case kind:
            return EVENTS if kind == "runs" else INSTANCES


def with_events_only(asked: Asked) -> str | None:
    """All but a run by its id comes out of the one list."""
    match asked:
        case RunKey(id=its):
            return _detail(EVENTS, typeid.EVENT, its)
        case ConnectorKey(id=its):
            return EVENTS if typeid.INSTANCE.fullmatch(its) else None
        case SyncKey(id=its):
            return EVENTS if typeid.TARGET.fullmatch(its) else None
        case _:
            return EVENTS


def _detail(path: str, shape: re.Pattern[str], id: str) -> str | None:
    return f"{path}/{id}" if shape.fullmatch(id) else None
