"""Which of Timbal's reads a question cannot do without."""

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.ports import Asked
from syncgraph.providers.timbal.ids import SyncId, is_id, run_id, sync_id


def of_lists(asked: Asked) -> str | None:
    """Several things come out of one list, and a sync's detail holds its runs: one read may answer them all."""
    match asked:
        case ConnectorKey(id=its):
            return "connectors" if is_id(its) else None
        case SyncKey(id=its):
            return "syncs" if sync_id(its) else None
        case RunKey(id=its):
            return "syncs" if run_id(its) else None
        case kind:
            return "connectors" if kind == "connectors" else "syncs"


def of_details(asked: Asked) -> str | None:
    """A sync's detail holds its runs; what lists hold is configured, and may be nothing."""
    match asked:
        case SyncKey(id=its):
            sync = sync_id(its)
            return None if sync is None else str(sync)
        case RunKey(id=its):
            run = run_id(its)
            return None if run is None or run.sync is None else str(SyncId(run.connector, run.sync))
        case _:
            return None
