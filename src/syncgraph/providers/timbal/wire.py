"""Timbal's JSON, as two of its OpenAPI documents have it.

That of 2026-07-28 (docs/api-reference/openapi.json in github.com/timbal-ai/timbal) and that of 2026-07-03 (the page "Get
Connector Sync" of https://docs.timbal.ai), where some fields are not there yet. The version number does not change when
the contract does, so what one of the two lacks is optional.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec


class ConnectorView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    connected: bool
    enrolled_at: datetime
    name: str | None = None
    hostname: str | None = None


class SyncView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    connector_id: str
    source_kind: str
    source_schema: str
    source_table: str
    kb_uid: str
    dest_table: str
    interval_secs: int
    enabled: bool
    has_cursor: bool
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    cursor_column: str | None = None
    key_columns: tuple[str, ...] | None = None  # since 2026-07-28
    consecutive_failures: int | None = None  # since 2026-07-28
    disabled_reason: str | None = None  # since 2026-07-28
    last_run_at: datetime | None = None
    last_state: str | None = None
    last_success_at: datetime | None = None


class SyncStatsView(msgspec.Struct, frozen=True, kw_only=True):
    runs_total: int
    runs_completed: int
    runs_failed: int
    rows_total: int


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What Timbal's two views of a job have in common. ``state``: no enum is published."""

    state: str
    created_at: datetime
    rows_emitted: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_ms: int | None = None
    rows_per_sec: float | None = None
    message: str | None = None


class SyncRunView(Execution, frozen=True, kw_only=True):
    job_id: str


class JobView(Execution, frozen=True, kw_only=True):
    id: str
    connector_id: str
    sync_id: str | None = None
    kind: str | None = None  # since 2026-07-28


class SyncDetail(msgspec.Struct, frozen=True, kw_only=True):
    sync: SyncView
    stats: SyncStatsView
    recent_runs: tuple[SyncRunView, ...]


class SyncList(msgspec.Struct, frozen=True, kw_only=True):
    syncs: tuple[SyncView, ...]
    next_page_token: str | None = None

    @property
    def rows(self) -> Sequence[SyncView]:
        return self.syncs


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    jobs: tuple[JobView, ...]
    next_page_token: str | None = None

    @property
    def rows(self) -> Sequence[JobView]:
        return self.jobs


class ConnectorList(msgspec.Struct, frozen=True, kw_only=True):
    """The document shows an enrollment token in its place (a name clash there), so the key of the array is not known."""

    connectors: tuple[ConnectorView, ...] | None = None
    items: tuple[ConnectorView, ...] | None = None
    next_page_token: str | None = None

    def __post_init__(self) -> None:
        if self.connectors is None and self.items is None:
            raise ValueError("neither connectors nor items")  # msgspec makes its ValidationError of it

    @property
    def rows(self) -> Sequence[ConnectorView]:
        return self.connectors or self.items or ()


class ConnectorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One connector, wrapped or bare: the same clash hides which."""

    connector: ConnectorView | None = None
    id: str | None = None
    connected: bool | None = None
    enrolled_at: datetime | None = None
    name: str | None = None
    hostname: str | None = None

    def __post_init__(self) -> None:
        if self.connector is None and None in {self.id, self.connected, self.enrolled_at}:
            raise ValueError("no connector")  # as above

    @property
    def view(self) -> ConnectorView:
        if self.connector is not None:
            return self.connector
        assert self.id is not None
        assert self.connected is not None
        assert self.enrolled_at is not None
        return ConnectorView(
            id=self.id,
            connected=self.connected,
            enrolled_at=self.enrolled_at,
            name=self.name,
            hostname=self.hostname,
        )


class Org(msgspec.Struct, frozen=True, kw_only=True):
    """``id``: a string here, a number elsewhere in the same API."""

    id: str | int
    name: str


class OrgList(msgspec.Struct, frozen=True, kw_only=True):
    orgs: tuple[Org, ...]
    next_page_token: str | None = None


CONNECTORS = msgspec.json.Decoder(ConnectorList | tuple[ConnectorView, ...])
CONNECTOR = msgspec.json.Decoder(ConnectorDetail)
SYNCS = msgspec.json.Decoder(SyncList)
DETAIL = msgspec.json.Decoder(SyncDetail)
JOBS = msgspec.json.Decoder(JobList)
ORGS = msgspec.json.Decoder(OrgList)
