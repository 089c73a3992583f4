"""Airweave's words onto the domain; pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from syncgraph.domain.details import AirweaveRunDetails, AirweaveSyncDetails, Json
from syncgraph.domain.failure import failure
from syncgraph.domain.instant import utc, utc_or_none
from syncgraph.domain.model import (
    ACTIVE,
    Connector,
    ConnectorKey,
    ConnectorStatus,
    Coverage,
    ErrorCategory,
    Provenance,
    RecordCounts,
    RunKey,
    RunStatus,
    RunTrigger,
    Schedule,
    ScheduleKind,
    Sync,
    SyncError,
    SyncExtra,
    SyncKey,
    SyncRun,
    SyncState,
    SyncStats,
    TypedCount,
    processed,
)
from syncgraph.domain.stats import observed
from syncgraph.providers.airweave import order, wire

STATUS: Mapping[str, RunStatus] = {
    "created": RunStatus.QUEUED,
    "pending": RunStatus.QUEUED,
    "in_progress": RunStatus.RUNNING,
    "running": RunStatus.RUNNING,
    "cancelling": RunStatus.CANCELLING,
    "cancelled": RunStatus.CANCELLED,
    "completed": RunStatus.SUCCEEDED,
    "failed": RunStatus.FAILED,
}
"""Of a job. ``in_progress`` is the seed document's word for ``running``."""

CONNECTOR_STATUS: Mapping[str, ConnectorStatus] = {
    "active": ConnectorStatus.CONNECTED,
    "syncing": ConnectorStatus.CONNECTED,
    "error": ConnectorStatus.CONNECTED,
    "pending_sync": ConnectorStatus.CONNECTED,
    "needs_reauth": ConnectorStatus.NEEDS_REAUTH,
    "pending_auth": ConnectorStatus.AWAITING_SETUP,
    "inactive": ConnectorStatus.DISABLED,
}
"""Of a source connection. ``error`` only mirrors its newest job; ``inactive`` means disabled by hand."""

SYNC_STATE: Mapping[str, SyncState] = {"syncing": SyncState.RUNNING, "inactive": SyncState.DISABLED}
"""The rest says nothing certain: a connection whose job is pending stays ``active``."""

FAILED_LAST = frozenset({"error", "needs_reauth"})
WITHOUT_SYNC = "pending_auth"

CATEGORY: Mapping[str, ErrorCategory] = dict.fromkeys(
    (
        "oauth_credentials_expired",
        "api_key_invalid",
        "auth_provider_account_gone",
        "auth_provider_credentials_invalid",
    ),
    ErrorCategory.AUTHENTICATION,
)
LONGEST_S = timedelta(days=36_500).total_seconds()


def connector(provider: str, item: wire.ListItem) -> Connector:
    return Connector(
        key=ConnectorKey(provider, item.id),
        ordered_at=utc(item.created_at),
        status=CONNECTOR_STATUS.get(item.status, ConnectorStatus.UNKNOWN),
        raw_status=item.status,
        name=item.name,
        source_type=item.short_name,
        created_at=utc(item.created_at),
        updated_at=utc_or_none(item.modified_at),
    )


def has_sync(item: wire.ListItem) -> bool:
    """Only the detail says so outright; the list shows the two reasons why there is none."""
    if isinstance(item, wire.SourceConnection):
        return item.sync_id is not None
    return not item.federated_search and item.status != WITHOUT_SYNC


def sync(provider: str, item: wire.ListItem) -> Sync | None:
    """The one sync of a source connection; None where it has none (searched in place, or not yet authorised)."""
    if not has_sync(item):
        return None
    return Sync(
        key=SyncKey(provider, item.id),
        connector=ConnectorKey(provider, item.id),
        ordered_at=utc(item.created_at),
        state=SYNC_STATE.get(item.status, SyncState.UNKNOWN),
        raw_status=item.status,
        name=item.name,
        stream=item.readable_collection_id,
        last_outcome=RunStatus.FAILED if item.status in FAILED_LAST else None,
        created_at=utc(item.created_at),
        updated_at=utc_or_none(item.modified_at),
        extra=sync_extra(item) if isinstance(item, wire.SourceConnection) else None,
    )


def sync_extra(detail: wire.SourceConnection) -> SyncExtra:
    return SyncExtra(
        schedule=schedule(detail.schedule),
        details=AirweaveSyncDetails(collection=detail.readable_collection_id, sync_id=detail.sync_id),
    )


def schedule(told: wire.Schedule | None) -> Schedule | None:
    """None: the detail tells none, which also happens when the server failed to read it."""
    if told is None:
        return None
    by_cron = ScheduleKind.CRON if told.cron else ScheduleKind.MANUAL
    return Schedule(
        kind=ScheduleKind.CONTINUOUS if told.continuous else by_cron,
        cron=told.cron or None,
        next_run_at=utc_or_none(told.next_run),
    )


def is_over(word: str) -> bool:
    """Whether a job has ended; one whose word is not known may go on."""
    return word in STATUS and STATUS[word] not in ACTIVE


def runs(provider: str, jobs: Sequence[wire.Job], now: datetime) -> list[SyncRun]:
    """All rows of one answer, in its order; see ``order.instants`` for when they were."""
    instants = order.instants([own_time(job) for job in jobs], now)
    return [_run(provider, job, at) for job, at in zip(jobs, instants, strict=True)]


def own_time(job: wire.Job) -> datetime | None:
    """A job does not tell when it was made: when it began, else when it ended before it began."""
    return utc_or_none(job.started_at or job.completed_at)


def _run(provider: str, job: wire.Job, ordered_at: datetime) -> SyncRun:
    return SyncRun(
        key=RunKey(provider, f"{job.source_connection_id}/{job.id}"),
        connector=ConnectorKey(provider, job.source_connection_id),
        sync=SyncKey(provider, job.source_connection_id),
        status=STATUS.get(job.status, RunStatus.UNKNOWN),
        raw_status=job.status,
        ordered_at=ordered_at,
        started_at=utc_or_none(job.started_at),
        finished_at=utc_or_none(job.completed_at),
        duration=_seconds(job.duration_seconds),
        # entities_failed is filled with the entities skipped; those kept are not told.
        records=_records(job, unchanged=None, skipped=job.entities_failed),
        error=_error(job.error, job.error_category, None),
    )


def stats(found: Sequence[SyncRun], coverage: Coverage) -> SyncStats:
    """Counted over ``found``."""
    return observed(found, coverage, records_total=_sum(_written(run.records) for run in found))


def sync_job(provider: str, job: wire.SyncJob, *, with_sync: bool, now: datetime) -> SyncRun:
    """A run by the contract of single jobs; ``with_sync``: it is addressed as ``sync/job``."""
    return SyncRun(
        key=RunKey(provider, f"{job.sync_id}/{job.id}" if with_sync else job.id),
        connector=None,
        sync=SyncKey(provider, job.sync_id),
        status=STATUS.get(job.status, RunStatus.UNKNOWN),
        raw_status=job.status,
        ordered_at=utc(job.created_at or job.started_at or job.completed_at or job.failed_at or now),
        trigger=_trigger(scheduled=job.scheduled),
        created_at=utc_or_none(job.created_at),
        started_at=utc_or_none(job.started_at),
        finished_at=utc_or_none(job.completed_at or job.failed_at),
        records=_records(
            job,
            unchanged=job.entities_kept,
            skipped=job.entities_skipped,
            by_type=_by_type(job.entities_encountered),
        ),
        error=_error(job.error, job.error_category, job.failed_at),
        details=AirweaveRunDetails(scheduled=job.scheduled, entities_encountered=_encountered(job)),
    )


def sync_of(provider: str, jobs: Sequence[wire.SyncJob]) -> Sync:
    """What some jobs of one sync tell about it: only an active one tells what it does now."""
    statuses = {STATUS.get(job.status) for job in jobs}
    active = next((status for status in _ACTIVE if status in statuses), None)
    return Sync(
        key=SyncKey(provider, jobs[0].sync_id),
        connector=None,
        ordered_at=None,
        state=_ACTIVE[active] if active else SyncState.UNKNOWN,
        raw_status=None,
        name=next((job.sync_name for job in jobs if job.sync_name), None),
        provenance=Provenance.DERIVED,
        extra=SyncExtra(details=AirweaveSyncDetails(collection=None, sync_id=jobs[0].sync_id)),
    )


_ACTIVE = {
    RunStatus.RUNNING: SyncState.RUNNING,
    RunStatus.CANCELLING: SyncState.RUNNING,
    RunStatus.QUEUED: SyncState.QUEUED,
}


def _records(
    job: wire.Job | wire.SyncJob,
    *,
    unchanged: int | None,
    skipped: int | None,
    by_type: tuple[TypedCount, ...] | None = None,
) -> RecordCounts:
    counted = {
        "inserted": job.entities_inserted,
        "updated": job.entities_updated,
        "deleted": job.entities_deleted,
        "unchanged": unchanged,
        "skipped": skipped,
    }
    return RecordCounts(
        inserted=job.entities_inserted,
        updated=job.entities_updated,
        deleted=job.entities_deleted,
        unchanged=unchanged,
        skipped=skipped,
        processed=processed(counted),
        by_type=by_type,
    )


def _by_type(told: Mapping[str, object] | None) -> tuple[TypedCount, ...] | None:
    """None where ``told`` is more than one number per type; it is shown as it is in the details."""
    if told is None or not all(type(count) is int for count in told.values()):
        return None
    return tuple(TypedCount(type=type_, count=cast("int", count)) for type_, count in told.items())


def _encountered(job: wire.SyncJob) -> Json:
    # msgspec makes nothing but JSON out of JSON.
    return cast("Json", job.entities_encountered)


def _written(records: RecordCounts | None) -> int | None:
    return None if records is None else _sum((records.inserted, records.updated, records.deleted))


def _sum(counts: Iterable[int | None]) -> int | None:
    """None when one of them is not known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _seconds(told: float | None) -> timedelta | None:
    return None if told is None or not 0 <= told <= LONGEST_S else timedelta(seconds=told)


def _trigger(*, scheduled: bool | None) -> RunTrigger:
    if scheduled is None:
        return RunTrigger.UNKNOWN
    return RunTrigger.SCHEDULE if scheduled else RunTrigger.MANUAL


def _error(message: str | None, category: str | None, occurred_at: datetime | None) -> SyncError | None:
    if not message and not category:
        return None
    return failure(
        message or category or "",
        category=CATEGORY.get(category or "", ErrorCategory.UNKNOWN),
        code=category,
        occurred_at=utc_or_none(occurred_at),
    )
