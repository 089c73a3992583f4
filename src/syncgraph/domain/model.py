"""What providers have in common: connectors, syncs, runs and what is counted about them.

Everywhere ``None`` means "not known here", never zero and never "none"; instants are aware and in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from syncgraph.domain.details import RunDetails, SyncDetails


class ProviderKind(StrEnum):
    """The platforms that there is an adapter for."""

    DEN = "den"
    TIMBAL = "timbal"
    OUTLIT = "outlit"
    AIRWEAVE = "airweave"


class Capability(StrEnum):
    """A question that a provider's API answers, as its adapter declares it."""

    LIST_CONNECTORS = "LIST_CONNECTORS"
    LIST_SYNCS = "LIST_SYNCS"
    LIST_RUNS = "LIST_RUNS"
    GET_CONNECTOR = "GET_CONNECTOR"
    GET_SYNC = "GET_SYNC"
    GET_RUN = "GET_RUN"
    SYNC_STATS = "SYNC_STATS"
    ENTITY_COUNTS = "ENTITY_COUNTS"
    SCHEDULE = "SCHEDULE"
    PROGRESS = "PROGRESS"
    TRIGGER_SYNC = "TRIGGER_SYNC"
    RETRY_RUN = "RETRY_RUN"
    CANCEL_RUN = "CANCEL_RUN"
    PAUSE_SYNC = "PAUSE_SYNC"
    FULL_RESYNC = "FULL_RESYNC"
    FILTER_STATUS = "FILTER_STATUS"
    FILTER_TIME = "FILTER_TIME"
    EVENTS = "EVENTS"


class Coverage(StrEnum):
    """How much of what exists a list can show."""

    FULL = "FULL"
    WINDOW = "WINDOW"
    CONFIGURED = "CONFIGURED"
    NONE = "NONE"


class Provenance(StrEnum):
    """NATIVE: an endpoint returns it. DERIVED: put together from its runs or syncs."""

    NATIVE = "NATIVE"
    DERIVED = "DERIVED"


class ConnectorStatus(StrEnum):
    """The link itself, not how its syncs do."""

    CONNECTED = "CONNECTED"
    NOT_CONNECTED = "NOT_CONNECTED"
    AWAITING_SETUP = "AWAITING_SETUP"
    NEEDS_REAUTH = "NEEDS_REAUTH"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"


class SyncState(StrEnum):
    """What a sync does now."""

    NEVER_RUN = "NEVER_RUN"
    IDLE = "IDLE"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    UNKNOWN = "UNKNOWN"


class RunTrigger(StrEnum):
    """Why a run ran."""

    SCHEDULE = "SCHEDULE"
    MANUAL = "MANUAL"
    EVENT = "EVENT"
    API = "API"
    UNKNOWN = "UNKNOWN"


class RunAction(StrEnum):
    """What can be asked of a run."""

    RETRY = "RETRY"
    CANCEL = "CANCEL"


class ScheduleKind(StrEnum):
    """How a sync decides when to run."""

    MANUAL = "MANUAL"
    INTERVAL = "INTERVAL"
    CRON = "CRON"
    CONTINUOUS = "CONTINUOUS"
    EVENT = "EVENT"
    UNKNOWN = "UNKNOWN"


class ErrorCategory(StrEnum):
    """What kind of trouble a run's own error is."""

    AUTHENTICATION = "AUTHENTICATION"
    PERMISSION = "PERMISSION"
    RATE_LIMIT = "RATE_LIMIT"
    CONFIGURATION = "CONFIGURATION"
    SCHEMA_CHANGE = "SCHEMA_CHANGE"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    DESTINATION = "DESTINATION"
    DATA = "DATA"
    TIMEOUT = "TIMEOUT"
    INTERNAL = "INTERNAL"
    UNKNOWN = "UNKNOWN"


class CountRelation(StrEnum):
    """EQ: exactly that many. GTE: at least, since some source was not read to its end."""

    EQ = "EQ"
    GTE = "GTE"


class StatsSource(StrEnum):
    """PROVIDER: counted upstream over all time. OBSERVED: counted by the gateway over listed runs."""

    PROVIDER = "PROVIDER"
    OBSERVED = "OBSERVED"


class ConnectorKey(NamedTuple):
    """Names a connector: the provider's name in the configuration, and the provider's own id."""

    provider: str
    id: str


class SyncKey(NamedTuple):
    """Names a sync. ``id``: what the provider's own API needs to address it, joined by ``/``."""

    provider: str
    id: str


class RunKey(NamedTuple):
    """Names a run. ``id``: what the provider's own API needs to address it, joined by ``/``."""

    provider: str
    id: str


Key: TypeAlias = ConnectorKey | SyncKey | RunKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A count that says how exact it is."""

    value: int
    relation: CountRelation = CountRelation.EQ


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedCount:
    """Records of one type."""

    type: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCounts:
    """Records touched by one run. ``None``: the provider does not report it; 0: none."""

    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    unchanged: int | None = None
    skipped: int | None = None
    failed: int | None = None
    emitted: int | None = None
    processed: Count | None = None
    by_type: tuple[TypedCount, ...] | None = None
    per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncError:
    """A run's or a sync's own error: data, with known secrets removed."""

    message: str
    category: ErrorCategory = ErrorCategory.UNKNOWN
    code: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a sync runs by itself."""

    kind: ScheduleKind
    cron: str | None = None
    interval: timedelta | None = None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A source of data linked at a provider.

    ``ordered_at``: the instant its provider's own list is sorted by; None where that list has no time.
    """

    key: ConnectorKey
    ordered_at: datetime | None
    status: ConnectorStatus
    raw_status: str | None
    name: str | None = None
    source_type: str | None = None
    category: str | None = None
    provenance: Provenance = Provenance.NATIVE
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncExtra:
    """What some providers tell only in the detail of a sync, and others already in their list."""

    schedule: Schedule | None = None
    details: SyncDetails | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """A standing instruction to copy one thing.

    ``connector``: None where the provider ties none to it.
    ``last_success_at``, ``consecutive_failures``: as the provider itself says it.
    ``extra``: None where only the provider's detail tells it: ask ``SyncExtraLookup``.
    """

    key: SyncKey
    connector: ConnectorKey | None
    ordered_at: datetime | None
    state: SyncState
    raw_status: str | None
    name: str | None = None
    provenance: Provenance = Provenance.NATIVE
    stream: str | None = None
    enabled: bool | None = None
    last_outcome: RunStatus | None = None
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    consecutive_failures: int | None = None
    expected_interval: timedelta | None = None
    last_error: SyncError | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: SyncExtra | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStats:
    """Counts over a sync's runs.

    ``coverage``: FULL when every run was counted, else the counts are over a part of them only.
    ``oldest_run_at``: for OBSERVED, ``ordered_at`` of the oldest run counted; None when none was.
    """

    source: StatsSource
    coverage: Coverage
    oldest_run_at: datetime | None = None
    runs_total: int | None = None
    runs_succeeded: int | None = None
    runs_failed: int | None = None
    records_total: int | None = None

    @property
    def success_rate(self) -> float | None:
        """Succeeded over succeeded plus failed; None when neither has happened or is known."""
        if self.runs_succeeded is None or self.runs_failed is None:
            return None
        ended = self.runs_succeeded + self.runs_failed
        return self.runs_succeeded / ended if ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRun:
    """One execution of a sync.

    ``connector``, ``sync``: None where the provider ties none to the run.
    ``ordered_at``: the instant its provider's own list is sorted by.
    ``duration``: the provider's own figure; see :func:`duration` for the one that is shown.
    """

    key: RunKey
    connector: ConnectorKey | None
    sync: SyncKey | None
    status: RunStatus
    raw_status: str
    ordered_at: datetime
    trigger: RunTrigger = RunTrigger.UNKNOWN
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration: timedelta | None = None
    records: RecordCounts | None = None
    attempt: int | None = None
    next_attempt_at: datetime | None = None
    error: SyncError | None = None
    allowed_actions: tuple[RunAction, ...] = ()
    web_url: str | None = None
    details: RunDetails | None = None


ACTIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.CANCELLING})
"""Statuses that will still change by themselves."""


def duration(run: SyncRun, now: datetime) -> timedelta | None:
    """Start to finish, or to ``now`` while the run is running; None when either end is unknown, or they contradict."""
    if run.status is RunStatus.RUNNING and run.started_at is not None:
        return max(now - run.started_at, timedelta())
    if run.duration is not None:
        return run.duration
    if run.started_at is None or run.finished_at is None or run.finished_at < run.started_at:
        return None
    return run.finished_at - run.started_at


def queued_for(run: SyncRun) -> timedelta | None:
    """From creation to the start of the work; None when either is unknown or the provider's clock went back."""
    if run.created_at is None or run.started_at is None or run.started_at < run.created_at:
        return None
    return run.started_at - run.created_at


def processed(counts: Mapping[str, int | None]) -> Count | None:
    """Sum of the counts known; ``GTE`` when one is missing, None when all are."""
    known = [count for count in counts.values() if count is not None]
    if not known:
        return None
    relation = CountRelation.EQ if len(known) == len(counts) else CountRelation.GTE
    return Count(value=sum(known), relation=relation)
