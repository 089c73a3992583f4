"""Which of Outlit's reads a question cannot do without."""

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.ports import Asked
from syncgraph.providers.outlit.client import INTEGRATIONS, PROVIDER, SYNC, SYNC_STATUS


def of_rest(asked: Asked) -> str | None:
    """One list holds all integrations; an integration's status holds all of its syncs."""
    match asked:
        case ConnectorKey(id=its):
            return INTEGRATIONS if PROVIDER.fullmatch(its) else None
        case SyncKey(id=its):
            shape = SYNC.fullmatch(its)
            return f"{SYNC_STATUS}?provider={shape[1]}" if shape else None
        case RunKey() | "runs":
            return None
        case _:
            return INTEGRATIONS


def of_tool(asked: Asked) -> str | None:
    """Where no syncs are published, nobody is asked for one."""
    return None if isinstance(asked, SyncKey) or asked == "syncs" else of_rest(asked)
