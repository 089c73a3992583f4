"""Outlit's words as ours; pure."""

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple

from syncgraph.domain.details import OutlitSyncDetails
from syncgraph.domain.failure import failure
from syncgraph.domain.instant import utc
from syncgraph.domain.model import (
    Connector,
    ConnectorKey,
    ConnectorStatus,
    RunStatus,
    Sync,
    SyncExtra,
    SyncKey,
    SyncState,
)
from syncgraph.providers.outlit import wire

CONNECTOR_STATUS = {
    "connected": ConnectorStatus.CONNECTED,
    "ready": ConnectorStatus.CONNECTED,
    "not_connected": ConnectorStatus.NOT_CONNECTED,
    "available": ConnectorStatus.NOT_CONNECTED,
    "awaiting_auth": ConnectorStatus.AWAITING_SETUP,
    "setup_required": ConnectorStatus.AWAITING_SETUP,
    "requires_intervention": ConnectorStatus.ERROR,  # it does not say that signing in again is what helps
}

UNLINKED = frozenset({ConnectorStatus.NOT_CONNECTED, ConnectorStatus.AWAITING_SETUP})
"""Integrations without a link: known to have no syncs. An unknown word is not known to be one of them."""


class Standing(NamedTuple):
    """What a sync does now, and how it ended last where its word tells."""

    state: SyncState
    outcome: RunStatus | None = None


STATUS = {
    "pending": Standing(SyncState.QUEUED),
    "syncing": Standing(SyncState.RUNNING),
    "running": Standing(SyncState.RUNNING),
    "success": Standing(SyncState.IDLE, RunStatus.SUCCEEDED),
    "complete": Standing(SyncState.IDLE, RunStatus.SUCCEEDED),
    "completed": Standing(SyncState.IDLE, RunStatus.SUCCEEDED),
    "failed": Standing(SyncState.IDLE, RunStatus.FAILED),
    "error": Standing(SyncState.IDLE, RunStatus.FAILED),
    # Nowhere does Outlit say that a stopped sync will not run again, so this claims no more than that it ended.
    "stopped": Standing(SyncState.IDLE, RunStatus.CANCELLED),
    "idle": Standing(SyncState.IDLE),
    "paused": Standing(SyncState.PAUSED),
    "not_connected": Standing(SyncState.DISABLED),
}
"""A free string upstream: SUCCESS, FAILED and PENDING are documented, syncing, complete and idle are in the CLI's
sources, the rest is the vocabulary of Nango, which the others resemble. ``active`` (CLI, list only) could mean running
or merely enabled, and stays UNKNOWN."""

UNKNOWN = Standing(SyncState.UNKNOWN)
NEVER_RUN = Standing(SyncState.NEVER_RUN)


def connector(provider: str, row: wire.Integration | wire.ReadyIntegration) -> Connector:
    return Connector(
        key=ConnectorKey(provider, row.id),
        ordered_at=None,
        status=CONNECTOR_STATUS.get(_word(row.status), ConnectorStatus.UNKNOWN),
        raw_status=row.status,
        name=row.name,
        source_type=row.id,
        category=row.category,
    )


def syncs(provider: str, answer: wire.SyncStatus) -> list[Sync]:
    """The models of one integration, in its order, without the blank ones, which Outlit's own CLI hides, too."""
    rows = [row for row in answer.syncs if row.model.strip()]
    names = distinct([row.model for row in rows])
    link = ConnectorKey(provider, answer.provider)
    return [_sync(link, name, row) for name, row in zip(names, rows, strict=True)]


def distinct(models: Sequence[str]) -> list[str]:
    """``models``, a repeated one with its index: Contact, Contact#2. Never equal to another that is there already."""
    literal = frozenset(models)
    used: dict[str, int] = {}
    names = []
    for model in models:
        if model not in used:
            used[model] = 1
            names.append(model)
            continue
        used[model] = next(n for n in count(used[model] + 1) if f"{model}#{n}" not in literal)
        names.append(f"{model}#{used[model]}")
    return names


def standing(row: wire.IntegrationSync) -> Standing:
    """A word that only says how the last run ended says nothing where no run is known to have been."""
    told = STATUS.get(_word(row.status), UNKNOWN)
    if row.last_synced_at is None and told.state is SyncState.IDLE and told.outcome is not RunStatus.FAILED:
        return NEVER_RUN
    return told


def _sync(link: ConnectorKey, name: str, row: wire.IntegrationSync) -> Sync:
    state, outcome = standing(row)
    synced_at = _instant(row.last_synced_at)
    # Passed on beside any status, and no status is inferred from it: nothing says that it goes with a success.
    error = failure(row.error_message) if row.error_message and row.error_message.strip() else None
    return Sync(
        key=SyncKey(link.provider, f"{link.id}/{name}"),
        connector=link,
        ordered_at=None,
        state=state,
        raw_status=row.status,
        name=row.model,
        stream=row.model,
        last_outcome=outcome,
        last_run_at=synced_at,
        # ``lastSyncedAt`` has no stated meaning; only beside a success can it be taken as that of one.
        last_success_at=synced_at if outcome is RunStatus.SUCCEEDED else None,
        last_error=error,
        extra=SyncExtra(details=OutlitSyncDetails(model=row.model)),
    )


def _word(status: str) -> str:
    return status.strip().lower()


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):  # the latter: a zone that leads out of the calendar
        return None
