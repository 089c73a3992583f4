"""Which of Airweave's reads a question cannot do without."""

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.ports import Asked
from syncgraph.providers.airweave.client import CONNECTIONS
from syncgraph.providers.airweave.settings import is_job_id, is_uuid


def of_source_connections(asked: Asked) -> str | None:
    """Several connections, or their syncs, come out of the list that all begin with; jobs are one list a connection."""
    match asked:
        case RunKey(id=its):
            connection = its.partition("/")[0]
            return f"{CONNECTIONS}/{connection}/jobs" if is_job_id(its, with_sync=True) else None
        case ConnectorKey(id=its) | SyncKey(id=its):
            return CONNECTIONS if is_uuid(its) else None
        case _:
            return CONNECTIONS


def of_jobs(asked: Asked, *, with_sync: bool) -> str | None:
    """A job by its id; what lists hold is configured, and may be nothing."""
    match asked:
        case RunKey(id=its) if is_job_id(its, with_sync=with_sync):
            return its
        case _:
            return None
