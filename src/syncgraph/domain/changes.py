"""What changed between two looks at one provider: events out of what was seen before and what is seen now; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from syncgraph.domain.health import HealthStatus
from syncgraph.domain.model import ACTIVE, Coverage, RunKey, RunStatus, SyncKey, SyncRun
from syncgraph.domain.overview import SyncStanding
from syncgraph.domain.page import Page

FINAL = frozenset(RunStatus) - ACTIVE - {RunStatus.UNKNOWN}
"""Statuses a run ends with. What is not known may be either."""

MAX_REMEMBERED = 1000
"""Runs of one provider that are kept in mind beyond those that its lists show now."""

ALWAYS = datetime.min.replace(tzinfo=UTC)


class RunEventKind(StrEnum):
    """What happened to a run."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    FINISHED = "FINISHED"


class EventSource(StrEnum):
    """How an event came to be known."""

    POLL = "POLL"
    STREAM = "STREAM"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """A run that is not as it was. ``previous_status``: None when it was not seen before."""

    kind: RunEventKind
    run: SyncRun
    previous_status: RunStatus | None
    observed_at: datetime
    source: EventSource = EventSource.POLL


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncHealthEvent:
    """A sync that does otherwise than before. ``standing``: how it does now."""

    standing: SyncStanding
    previous: HealthStatus
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """A run as it was seen last. ``event``: its last change, None when it has not changed since it was first seen."""

    run: SyncRun
    first_seen_at: datetime
    event: RunEvent | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one provider's runs looked like.

    ``horizons``: by list, the instant up to which runs that were not seen are merely old; None: it could not be read
    yet. ``is_first``: nothing has been looked at yet, so that nothing can have changed.
    """

    runs: Mapping[RunKey, Known] = field(default_factory=dict)
    horizons: Mapping[str, datetime | None] = field(default_factory=dict)
    is_first: bool = True

    def active(self) -> Sequence[SyncRun]:
        return [known.run for known in self.runs.values() if known.run.status in ACTIVE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a provider showed.

    ``lists``: by name, every list there is; None: it could not be read. ``looked_up``: runs that the lists show no
    longer; None: there is none of this key any more.
    """

    lists: Mapping[str, Page[SyncRun] | None]
    looked_up: Mapping[RunKey, SyncRun | None] = field(default_factory=dict)


def changes(seen: Seen, look: Look, now: datetime) -> tuple[Seen, Sequence[RunEvent]]:
    """What is known after ``look``, and what happened since, oldest run first.

    A list that could not be read says nothing. What a list shows the first time that it can be read has not changed,
    unless the list itself is new.
    """
    runs = {key: known for key, known in seen.runs.items() if look.looked_up.get(key, known.run) is not None}
    events: list[RunEvent] = []
    for run, horizon in _rows(seen, look):
        before = runs.get(run.key)
        event = _event(run, before, horizon, now)
        if event is not None:
            events.append(event)
        runs[run.key] = Known(
            run, before.first_seen_at if before else now, event or (before.event if before else None)
        )
    current = {run.key for run, _ in _rows(seen, look)}
    horizons = {**seen.horizons, **_horizons(seen, look)}
    events.sort(key=lambda event: event.run.ordered_at)
    return Seen(_trimmed(runs, current), horizons, is_first=False), events


def replay(seen: Seen, since: datetime) -> Sequence[RunEvent]:
    """The last change of every known run that changed after ``since``, or may have, oldest first.

    Of runs that have not changed under our eyes, their own times tell; previous statuses are not known then.
    """
    found = list(_changed_since(seen, since))
    return sorted(found, key=lambda event: (event.observed_at, event.run.ordered_at))


def health_changes(
    before: Mapping[SyncKey, HealthStatus], standings: Iterable[SyncStanding], now: datetime
) -> tuple[Mapping[SyncKey, HealthStatus], Sequence[SyncHealthEvent]]:
    """``standings``: of the syncs of which it is known how they do; of the others, what was known stays."""
    after = dict(before)
    events = []
    for one in standings:
        key, status = one.sync.key, one.health.status
        if before.get(key, status) is not status:
            events.append(SyncHealthEvent(standing=one, previous=before[key], observed_at=now))
        after[key] = status
    return after, events


def _rows(seen: Seen, look: Look) -> Iterator[tuple[SyncRun, datetime | None]]:
    """Each run with the instant up to which one that was not seen is merely old; None: it is in any case."""
    for name, page in look.lists.items():
        horizon = None if seen.is_first else seen.horizons.get(name, ALWAYS)
        yield from ((run, horizon) for run in (page.items if page is not None else ()))
    yield from ((run, None) for run in look.looked_up.values() if run is not None)


def _event(run: SyncRun, before: Known | None, horizon: datetime | None, now: datetime) -> RunEvent | None:
    if before is None:
        is_new = horizon is not None and run.ordered_at > horizon
        return _told(run, None, now) if is_new else None
    # Airweave's jobs that still wait have no time of their own: where they stand moves with every look.
    is_same = replace(before.run, ordered_at=run.ordered_at) == run
    return None if is_same else _told(run, before.run.status, now)


def _told(run: SyncRun, previous: RunStatus | None, now: datetime) -> RunEvent:
    if run.status in FINAL and previous not in FINAL:
        kind = RunEventKind.FINISHED
    else:
        kind = RunEventKind.CREATED if previous is None else RunEventKind.UPDATED
    return RunEvent(kind=kind, run=run, previous_status=previous, observed_at=now)


def _horizons(seen: Seen, look: Look) -> Mapping[str, datetime | None]:
    return {
        name: seen.horizons.get(name) if page is None else _horizon(page) for name, page in look.lists.items()
    }


def _horizon(page: Page[SyncRun]) -> datetime:
    is_whole = page.next is None and page.coverage is Coverage.FULL
    return ALWAYS if is_whole or not page.items else min(run.ordered_at for run in page.items)


def _trimmed(runs: Mapping[RunKey, Known], current: set[RunKey]) -> Mapping[RunKey, Known]:
    """Runs that still go on are kept, so that how they end is told."""
    rest = [known for key, known in runs.items() if key not in current and known.run.status not in ACTIVE]
    if len(rest) <= MAX_REMEMBERED:
        return runs
    rest.sort(key=lambda known: known.run.ordered_at)
    dropped = {known.run.key for known in rest[:-MAX_REMEMBERED]}
    return {key: known for key, known in runs.items() if key not in dropped}


def _changed_since(seen: Seen, since: datetime) -> Iterator[RunEvent]:
    begun: dict[SyncKey, datetime] = {}
    for known in sorted(seen.runs.values(), key=lambda known: known.run.ordered_at, reverse=True):
        run = known.run
        if known.event is not None:
            if known.event.observed_at > since:
                yield known.event
        elif _last_change(run, begun.get(run.sync) if run.sync else None, known.first_seen_at) > since:
            yield _told(run, None, known.first_seen_at)
        if run.sync is not None:
            begun[run.sync] = run.ordered_at


def _last_change(run: SyncRun, next_begun: datetime | None, first_seen_at: datetime) -> datetime:
    """The latest instant at which it can have changed. A run that does not tell its end ended before its sync's next."""
    if run.status in FINAL and run.finished_at is None:
        return next_begun or first_seen_at
    return max(at for at in (run.ordered_at, run.started_at, run.finished_at) if at is not None)
