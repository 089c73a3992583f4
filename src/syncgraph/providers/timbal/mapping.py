"""Timbal's JSON as the domain: pure, and never an exception, whatever the words and the numbers."""

from collections.abc import Iterable
from datetime import timedelta

from syncgraph.domain.details import TimbalRunDetails, TimbalSyncDetails
from syncgraph.domain.failure import MAX_MESSAGE, failure, scrub
from syncgraph.domain.instant import utc, utc_or_none
from syncgraph.domain.model import (
    Connector,
    ConnectorKey,
    ConnectorStatus,
    Coverage,
    Provenance,
    RecordCounts,
    RunKey,
    RunStatus,
    RunTrigger,
    Schedule,
    ScheduleKind,
    StatsSource,
    Sync,
    SyncExtra,
    SyncKey,
    SyncRun,
    SyncState,
    SyncStats,
    TypedCount,
    processed,
)
from syncgraph.providers.timbal import wire
from syncgraph.providers.timbal.ids import RunId, SyncId

STATUS = {
    "queued": RunStatus.QUEUED,
    "pending": RunStatus.QUEUED,
    "dispatched": RunStatus.QUEUED,
    "created": RunStatus.QUEUED,
    "running": RunStatus.RUNNING,
    "started": RunStatus.RUNNING,
    "in_progress": RunStatus.RUNNING,
    "stopping": RunStatus.CANCELLING,
    "completed": RunStatus.SUCCEEDED,
    "failed": RunStatus.FAILED,
    "stopped": RunStatus.CANCELLED,
    "cancelled": RunStatus.CANCELLED,
}
"""Timbal publishes no enum: ``completed``, ``stopped`` and ``failed`` stand in its text, the others are expected."""

_WORKING = {
    RunStatus.QUEUED: SyncState.QUEUED,
    RunStatus.RUNNING: SyncState.RUNNING,
    RunStatus.CANCELLING: SyncState.RUNNING,
}
_ENDED = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})
FILES = "fs_copy"
"""The kind of job whose ``rows_emitted`` are files."""


def status(word: str) -> RunStatus:
    return STATUS.get(word.casefold(), RunStatus.UNKNOWN)


def connector(provider: str, view: wire.ConnectorView) -> Connector:
    """``online`` is left unread: it is about one server behind the load balancer, and flaps."""
    enrolled_at = utc(view.enrolled_at)
    return Connector(
        key=ConnectorKey(provider, view.id),
        ordered_at=enrolled_at,
        status=ConnectorStatus.CONNECTED if view.connected else ConnectorStatus.NOT_CONNECTED,
        raw_status="connected" if view.connected else "disconnected",
        name=view.name or view.hostname or view.id,
        created_at=enrolled_at,
    )


def derived_connector(provider: str, id: str, syncs: Iterable[wire.SyncView]) -> Connector:
    """A connector as far as its syncs tell of it."""
    kinds = {view.source_kind for view in syncs}
    return Connector(
        key=ConnectorKey(provider, id),
        ordered_at=None,
        status=ConnectorStatus.UNKNOWN,
        raw_status=None,
        source_type=kinds.pop().lower() if len(kinds) == 1 else None,
        provenance=Provenance.DERIVED,
    )


def sync(provider: str, view: wire.SyncView) -> Sync:
    interval = _span(seconds=view.interval_secs)
    reason = view.disabled_reason
    return Sync(
        key=SyncKey(provider, str(SyncId(view.connector_id, view.id))),
        connector=ConnectorKey(provider, view.connector_id),
        ordered_at=utc(view.created_at),
        state=_state(view),
        raw_status=view.last_state,
        name=view.name or f"{_stream(view)} -> {view.dest_table}",
        stream=_stream(view),
        enabled=view.enabled,
        last_outcome=_outcome(view.last_state),
        last_run_at=utc_or_none(view.last_run_at),
        last_success_at=utc_or_none(view.last_success_at),
        consecutive_failures=view.consecutive_failures,
        expected_interval=interval,
        last_error=failure(reason) if reason else None,
        created_at=utc(view.created_at),
        updated_at=utc(view.updated_at),
        extra=SyncExtra(
            schedule=Schedule(kind=ScheduleKind.INTERVAL, interval=interval), details=_sync_details(view)
        ),
    )


def _state(view: wire.SyncView) -> SyncState:
    """``enabled`` first: a paused sync keeps the state of its last run.

    Servers of 2026-07-03 send no ``disabled_reason``: a sync that they disabled looks paused, and nothing tells otherwise.
    """
    if not view.enabled:
        return SyncState.DISABLED if view.disabled_reason else SyncState.PAUSED
    last = None if view.last_state is None else status(view.last_state)
    if last in _WORKING:
        return _WORKING[last]
    if view.last_run_at is None:
        return SyncState.NEVER_RUN
    return SyncState.UNKNOWN if last is RunStatus.UNKNOWN else SyncState.IDLE


def _outcome(last_state: str | None) -> RunStatus | None:
    """How the last run ended; None while it has not, or when the word does not tell."""
    ended = None if last_state is None else status(last_state)
    return ended if ended in _ENDED else None


def _stream(view: wire.SyncView) -> str:
    return ".".join(filter(None, (view.source_schema, view.source_table)))


def _sync_details(view: wire.SyncView) -> TimbalSyncDetails:
    return TimbalSyncDetails(
        source_schema=view.source_schema,
        source_table=view.source_table,
        cursor_column=view.cursor_column,
        key_columns=view.key_columns,
        destination_table=view.dest_table,
        knowledge_base=view.kb_uid,
        has_cursor=view.has_cursor,
        disabled_reason=_safe(view.disabled_reason),
        consecutive_failures=view.consecutive_failures,
    )


def stats(view: wire.SyncStatsView) -> SyncStats:
    """Completed and failed are not all: runs that were stopped or still run are in the total only."""
    return SyncStats(
        source=StatsSource.PROVIDER,
        coverage=Coverage.FULL,
        runs_total=view.runs_total,
        runs_succeeded=view.runs_completed,
        runs_failed=view.runs_failed,
        records_total=view.rows_total,
    )


def job(provider: str, view: wire.JobView) -> SyncRun:
    """A run out of the list of jobs; one without a sync was dispatched by hand."""
    trigger = RunTrigger.MANUAL if view.sync_id is None else RunTrigger.UNKNOWN
    its = RunId(view.connector_id, view.sync_id, view.id)
    return _run(provider, its, view, trigger, _records(view, files=view.kind == FILES))


def recent_run(provider: str, of: SyncId, view: wire.SyncRunView) -> SyncRun:
    """A run out of its sync's detail, which names neither the sync nor what set the run off."""
    its = RunId(of.connector, of.sync, view.job_id)
    return _run(provider, its, view, RunTrigger.UNKNOWN, _records(view, files=False))


def _run(
    provider: str, id: RunId, view: wire.Execution, trigger: RunTrigger, records: RecordCounts | None
) -> SyncRun:
    where = status(view.state)
    finished_at = utc_or_none(view.finished_at)
    failed = where is RunStatus.FAILED and bool(view.message)
    return SyncRun(
        key=RunKey(provider, str(id)),
        connector=ConnectorKey(provider, id.connector),
        sync=SyncKey(provider, str(SyncId(id.connector, id.sync))) if id.sync else None,
        status=where,
        raw_status=view.state,
        ordered_at=utc(view.created_at),
        trigger=trigger,
        created_at=utc(view.created_at),
        started_at=utc_or_none(view.started_at),
        finished_at=finished_at,
        # Until it is finished, Timbal counts up to the moment of its answer.
        duration=None if finished_at is None else _span(milliseconds=view.duration_ms),
        records=records,
        # The message of a run that did not fail is its progress.
        error=failure(view.message or "", occurred_at=finished_at) if failed else None,
        details=TimbalRunDetails(message=_safe(view.message), rows_per_second=view.rows_per_sec),
    )


def _records(view: wire.Execution, *, files: bool) -> RecordCounts | None:
    emitted = view.rows_emitted
    if emitted is None:
        return None
    whole = processed({"emitted": emitted})
    if files:
        return RecordCounts(processed=whole, by_type=(TypedCount(type="files", count=emitted),))
    return RecordCounts(emitted=emitted, processed=whole, per_second=view.rows_per_sec)


def _safe(text: str | None) -> str | None:
    return None if text is None else scrub(text)[:MAX_MESSAGE]


def _span(*, seconds: int | None = None, milliseconds: int | None = None) -> timedelta | None:
    """None for what is no length of time: zero seconds between runs, less than nothing, or millions of years."""
    try:
        span = timedelta(seconds=seconds or 0, milliseconds=milliseconds or 0)
    except OverflowError:
        return None
    if span < timedelta() or (not span and milliseconds is None):
        return None
    return span
