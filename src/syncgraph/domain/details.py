"""What only one provider tells, typed. A provider adds its own class here and to the union."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A provider's own JSON, shown as it is after redaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimbalSyncDetails:
    source_schema: str
    source_table: str
    cursor_column: str | None
    key_columns: tuple[str, ...] | None
    destination_table: str
    knowledge_base: str
    has_cursor: bool
    disabled_reason: str | None
    consecutive_failures: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlitSyncDetails:
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AirweaveSyncDetails:
    collection: str | None
    sync_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DenRunDetails:
    event_type: str
    connector_target_id: str | None
    remote_id: str | None
    external_event_ref: str | None
    source_revision_ref: str | None
    failures: tuple[Json, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimbalRunDetails:
    message: str | None
    rows_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AirweaveRunDetails:
    scheduled: bool | None
    entities_encountered: Json


SyncDetails: TypeAlias = TimbalSyncDetails | OutlitSyncDetails | AirweaveSyncDetails
RunDetails: TypeAlias = DenRunDetails | TimbalRunDetails | AirweaveRunDetails
