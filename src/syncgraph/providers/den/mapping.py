"""Den's events, instances and targets as runs, connectors and syncs; pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import msgspec

from syncgraph.domain.details import DenRunDetails, Json
from syncgraph.domain.failure import failure
from syncgraph.domain.instant import utc, utc_or_none
from syncgraph.domain.model import (
    ACTIVE,
    Connector,
    ConnectorKey,
    ConnectorStatus,
    Count,
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
    processed,
)
from syncgraph.providers.den import typeid, wire

T = TypeVar("T")

STATUS: Mapping[str, RunStatus] = {
    "pending": RunStatus.QUEUED,
    "queued": RunStatus.QUEUED,
    "running": RunStatus.RUNNING,
    "completed": RunStatus.SUCCEEDED,
    "failed": RunStatus.FAILED,
    "partial": RunStatus.PARTIAL,
    "ignored": RunStatus.SKIPPED,
}
CONNECTOR_STATUS: Mapping[str, ConnectorStatus] = {
    "active": ConnectorStatus.CONNECTED,
    "disabled": ConnectorStatus.DISABLED,
    "archived": ConnectorStatus.DISABLED,
    "error": ConnectorStatus.ERROR,
}
TRIGGER: Mapping[str, RunTrigger] = {
    "manual": RunTrigger.MANUAL,
    "webhook": RunTrigger.EVENT,
    "reconcile": RunTrigger.SCHEDULE,
}
"""``summaryJson.trigger``; where it is not told, the event's type says it."""
EVENT_TYPE: Mapping[str, RunTrigger] = {
    "push": RunTrigger.EVENT,
    "repository": RunTrigger.EVENT,
    "installation": RunTrigger.EVENT,
    "installation_repositories": RunTrigger.EVENT,
    "manual_resync": RunTrigger.MANUAL,
}
GITHUB_STATUS: Mapping[str, ErrorCategory] = {
    "401": ErrorCategory.AUTHENTICATION,
    "403": ErrorCategory.PERMISSION,
    "404": ErrorCategory.CONFIGURATION,
    "429": ErrorCategory.RATE_LIMIT,
}

_EXTRA = SyncExtra(schedule=Schedule(kind=ScheduleKind.EVENT))
_GITHUB_FAILED = re.compile(r"GitHub request failed with status (\d{3})")
_TEXT = msgspec.json.Decoder(str)
_INSTANT = msgspec.json.Decoder(datetime)
_COUNT = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0)])
_MILLISECONDS = msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=0, le=1e13)])
_OBJECTS: msgspec.json.Decoder[list[dict[str, Json]]] = msgspec.json.Decoder(list[dict])  # type: ignore[type-arg]  # msgspec cannot resolve the recursive Json


def run(provider: str, event: wire.Event) -> SyncRun:
    """A connector sync event as a run; a status Den has not documented is ``UNKNOWN``."""
    summary = _read(event.summary_json, wire.SUMMARY) or wire.Summary()
    status = STATUS.get(event.status, RunStatus.UNKNOWN)
    done = summary if _is_of_this_attempt(summary, event, status) else wire.Summary()
    milliseconds = _read(done.duration_ms, _MILLISECONDS)
    return SyncRun(
        key=RunKey(provider, event.id),
        connector=ConnectorKey(provider, event.connector_instance_id),
        sync=SyncKey(provider, event.connector_target_id) if event.connector_target_id else None,
        status=status,
        raw_status=event.status,
        ordered_at=utc(event.started_at),  # the time of queueing; a retry resets it
        trigger=_trigger(summary, event.event_type),
        created_at=typeid.created_at(event.id),
        started_at=_instant(done.started_at),
        finished_at=utc_or_none(event.completed_at),
        duration=None if milliseconds is None else timedelta(milliseconds=milliseconds),
        records=_records(done),
        attempt=event.attempt_count,
        next_attempt_at=utc_or_none(event.next_attempt_at),
        error=_error(summary, event, status),
        details=_details(event, done),
    )


def connector(provider: str, instance: wire.Instance) -> Connector:
    return Connector(
        key=ConnectorKey(provider, instance.id),
        ordered_at=utc(instance.updated_at),
        status=CONNECTOR_STATUS.get(instance.status, ConnectorStatus.UNKNOWN),
        raw_status=instance.status,
        name=instance.name,
        source_type=instance.connector_type,
        created_at=utc_or_none(instance.created_at),
        updated_at=utc(instance.updated_at),
    )


def sync(provider: str, target: wire.Target, instance: wire.Instance | None) -> Sync:
    """A target as a sync. ``instance``: what it hangs on, where that is known; only a disabled one says what it does."""
    status = None if instance is None else instance.status
    disabled = CONNECTOR_STATUS.get(status or "") is ConnectorStatus.DISABLED
    return Sync(
        key=SyncKey(provider, target.id),
        connector=ConnectorKey(provider, target.connector_instance_id),
        ordered_at=utc(target.updated_at),
        state=SyncState.DISABLED if disabled else SyncState.UNKNOWN,
        raw_status=status,
        name=target.remote_id,
        stream=_branch(target),
        enabled=False if disabled else None,
        created_at=utc_or_none(target.created_at),
        updated_at=utc(target.updated_at),
        extra=_EXTRA,
    )


def derived_connector(provider: str, newest: wire.Event) -> Connector:
    """What a connector's newest event tells of it, where no route does."""
    return Connector(
        key=ConnectorKey(provider, newest.connector_instance_id),
        ordered_at=utc(newest.started_at),
        status=ConnectorStatus.UNKNOWN,
        raw_status=None,
        name=newest.remote_id,
        source_type=newest.connector_type,
        provenance=Provenance.DERIVED,
    )


def derived_sync(provider: str, id: str, newest: wire.Event) -> Sync:
    """What the newest event of the target ``id`` tells of it, where no route does."""
    return Sync(
        key=SyncKey(provider, id),
        connector=ConnectorKey(provider, newest.connector_instance_id),
        ordered_at=utc(newest.started_at),
        state=SyncState.UNKNOWN,
        raw_status=None,
        name=newest.remote_id,
        provenance=Provenance.DERIVED,
        extra=_EXTRA,
    )


def _is_of_this_attempt(summary: wire.Summary, event: wire.Event, status: RunStatus) -> bool:
    """Whether the outcome in ``summary`` is not left from before a retry, which keeps the old summary.

    A run that is still to end has no outcome, and work that began before the queueing was of an earlier attempt.
    """
    if status in ACTIVE:
        return False
    began = _instant(summary.started_at)
    return began is None or began >= utc(event.started_at)


def _trigger(summary: wire.Summary, event_type: str) -> RunTrigger:
    told = _read(summary.trigger, _TEXT)
    if told is not None:
        return TRIGGER.get(told, RunTrigger.UNKNOWN)
    return EVENT_TYPE.get(event_type, RunTrigger.UNKNOWN)


def _records(summary: wire.Summary) -> RecordCounts | None:
    told = {
        "inserted": _count(summary.created_count, summary.created_config_object_count),
        "updated": _count(summary.updated_count, summary.updated_config_object_count),
        "deleted": _count(summary.deleted_count, summary.deleted_config_object_count),
        "skipped": _count(summary.skipped_count),
        "failed": _count(summary.failed_count),
    }
    total = processed(told)
    if total is None:
        imported = _count(summary.materialized_config_object_count)
        return None if imported is None else RecordCounts(processed=Count(value=imported))
    return RecordCounts(
        inserted=told["inserted"],
        updated=told["updated"],
        deleted=told["deleted"],
        skipped=told["skipped"],
        failed=told["failed"],
        processed=total,
    )


def _error(summary: wire.Summary, event: wire.Event, status: RunStatus) -> SyncError | None:
    """Of a run that failed, or that waits to be tried again; else what the summary holds is of an earlier attempt."""
    error, last_error = _read(summary.error, _TEXT), _read(summary.last_error, _TEXT)
    if status is RunStatus.FAILED:
        message = error or last_error
    elif status is RunStatus.QUEUED and event.next_attempt_at is not None:
        message = last_error or error  # only `lastError` is written before another try
    else:
        return None
    if not message:
        return None
    return failure(message, category=_category(message), occurred_at=utc_or_none(event.completed_at))


def _category(message: str) -> ErrorCategory:
    found = _GITHUB_FAILED.search(message)
    if found is None:
        return ErrorCategory.UNKNOWN
    if found[1].startswith("5"):
        return ErrorCategory.SOURCE_UNAVAILABLE
    return GITHUB_STATUS.get(found[1], ErrorCategory.UNKNOWN)


def _details(event: wire.Event, summary: wire.Summary) -> DenRunDetails:
    failures = _read(summary.failures, _OBJECTS)
    return DenRunDetails(
        event_type=event.event_type,
        connector_target_id=event.connector_target_id,
        remote_id=event.remote_id,
        external_event_ref=event.external_event_ref,
        source_revision_ref=event.source_revision_ref,
        failures=None if failures is None else tuple(failures),
    )


def _branch(target: wire.Target) -> str | None:
    config = _read(target.target_config_json, wire.TARGET_CONFIG) or wire.TargetConfig()
    return _read(config.branch, _TEXT) or target.external_target_ref


def _count(*alternatives: msgspec.Raw) -> int | None:
    counts = (_read(raw, _COUNT) for raw in alternatives)
    return next((count for count in counts if count is not None), None)


def _instant(raw: msgspec.Raw) -> datetime | None:
    try:
        return utc_or_none(_read(raw, _INSTANT))
    except OverflowError:  # a year 1 or 9999 with an offset
        return None


def _read(raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T | None:
    """The value; None for null, for a value of another type, and where there is none."""
    if raw is wire.NOTHING:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
