"""Airweave's JSON.

Today: backend/airweave/schemas/source_connection.py at v0.9.66 (github.com/airweave-ai/airweave, 2026-04-23), as its
server prints it in /openapi.json. ``SyncJob``: the seed document "Get Sync Job", and what v0.9.17 really sends.
Both read 2026-11-22. Times have no zone (UTC) and 0 or 6 digits, except ``next_run``.
"""

from datetime import datetime

import msgspec


class ListItem(msgspec.Struct, frozen=True, kw_only=True):
    """A source connection as the list shows it."""

    id: str
    name: str | None = None
    short_name: str | None = None
    readable_collection_id: str | None = None
    created_at: datetime
    modified_at: datetime | None = None
    federated_search: bool = False
    status: str


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    cron: str | None = None
    next_run: datetime | None = None
    continuous: bool = False


class SourceConnection(ListItem, frozen=True, kw_only=True):
    """The detail. Its ``sync.total_runs`` is always 1, its ``config`` may hold the customer's settings: neither is read."""

    schedule: Schedule | None = None
    sync_id: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A sync job as a source connection's list shows it. ``entities_failed`` holds the entities skipped."""

    id: str
    source_connection_id: str
    status: str
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_seconds: float | None = None
    entities_inserted: int | None = None
    entities_updated: int | None = None
    entities_deleted: int | None = None
    entities_failed: int | None = None
    error: str | None = None
    error_category: str | None = None


class SyncJob(msgspec.Struct, frozen=True, kw_only=True):
    """A sync job as the seed document and v0.9.17 show it."""

    id: str
    sync_id: str
    sync_name: str | None = None
    status: str
    scheduled: bool | None = None
    entities_inserted: int | None = None
    entities_updated: int | None = None
    entities_deleted: int | None = None
    entities_kept: int | None = None
    entities_skipped: int | None = None
    entities_encountered: dict[str, object] | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    error: str | None = None
    error_category: str | None = None
    created_at: datetime | None = None


LIST = msgspec.json.Decoder(list[ListItem])
DETAIL = msgspec.json.Decoder(SourceConnection)
JOBS = msgspec.json.Decoder(list[Job])
SYNC_JOB = msgspec.json.Decoder(SyncJob)
