"""What changed between two looks: the rules of docs/live.md, and what holds for any history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncgraph.domain.changes import (
    FINAL,
    MAX_REMEMBERED,
    Look,
    RunEvent,
    RunEventKind,
    Seen,
    changes,
    health_changes,
    replay,
)
from syncgraph.domain.freshness import sync_freshness
from syncgraph.domain.health import Health, HealthStatus
from syncgraph.domain.model import ACTIVE, Coverage, RunKey, RunStatus, Sync, SyncKey, SyncRun, SyncState
from syncgraph.domain.overview import SyncStanding
from syncgraph.domain.page import Page

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CREATED, UPDATED, FINISHED = RunEventKind.CREATED, RunEventKind.UPDATED, RunEventKind.FINISHED
QUEUED, RUNNING, SUCCEEDED, FAILED = (
    RunStatus.QUEUED,
    RunStatus.RUNNING,
    RunStatus.SUCCEEDED,
    RunStatus.FAILED,
)
UNKNOWN = RunStatus.UNKNOWN


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def a_run(n: int, status: RunStatus = SUCCEEDED, **its) -> SyncRun:
    """The n-th, begun in the n-th minute."""
    run = SyncRun(
        key=RunKey("den", f"run-{n}"),
        connector=None,
        sync=SyncKey("den", "sync"),
        status=status,
        raw_status=status.lower(),
        ordered_at=at(n),
    )
    return replace(run, **its)


def page(*runs: SyncRun, next: str | None = None, coverage: Coverage = Coverage.FULL) -> Page[SyncRun]:
    return Page(sorted(runs, key=lambda run: run.ordered_at, reverse=True), next, coverage)


def looked(*pages: Page[SyncRun] | None, seen: Seen | None = None, minute: int = 100):
    """One look at the lists named a, b, c ..."""
    return changes(seen or Seen(), Look(lists=dict(zip("abc", pages, strict=False))), at(minute))


def told(events: Sequence[RunEvent]) -> list[tuple[str, RunEventKind, RunStatus | None]]:
    return [(event.run.key.id, event.kind, event.previous_status) for event in events]


def test_what_is_there_at_the_first_look_has_not_changed():
    _, events = looked(page(a_run(1), a_run(2, RUNNING)))

    assert events == []


def test_equal_looks_tell_nothing():
    seen, _ = looked(page(a_run(1), a_run(2, RUNNING)))

    _, events = looked(page(a_run(1), a_run(2, RUNNING)), seen=seen)

    assert events == []


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, QUEUED, CREATED),
        (None, RUNNING, CREATED),
        (None, UNKNOWN, CREATED),
        (None, SUCCEEDED, FINISHED),
        (QUEUED, RUNNING, UPDATED),
        (RUNNING, UNKNOWN, UPDATED),
        (RUNNING, FAILED, FINISHED),
        (UNKNOWN, SUCCEEDED, FINISHED),
        (SUCCEEDED, QUEUED, UPDATED),
        (FAILED, SUCCEEDED, UPDATED),
    ],
)
def test_a_kind_follows_from_both_statuses(before, after, kind):
    known = [a_run(2, before)] if before else []
    seen, _ = looked(page(a_run(1), *known))

    _, events = looked(page(a_run(1), a_run(2, after)), seen=seen)

    assert told(events) == [("run-2", kind, before)]
    assert events[0].run.status is after
    assert events[0].observed_at == at(100)


def test_a_run_that_tells_more_than_before_is_updated():
    seen, _ = looked(page(a_run(1, RUNNING)))

    _, events = looked(page(a_run(1, RUNNING, attempt=2)), seen=seen)

    assert told(events) == [("run-1", UPDATED, RUNNING)]


def test_where_a_run_without_a_time_of_its_own_stands_is_no_change():
    seen, _ = looked(page(a_run(1, QUEUED)))

    _, events = looked(page(a_run(1, QUEUED, ordered_at=at(7))), seen=seen)

    assert events == []


def test_a_list_that_cannot_be_read_tells_nothing_and_forgets_nothing():
    seen, _ = looked(page(a_run(1, RUNNING)))

    seen, events = looked(None, seen=seen)
    assert events == []
    _, events = looked(page(a_run(1, FAILED)), seen=seen)

    assert told(events) == [("run-1", FINISHED, RUNNING)]


def test_the_runs_of_a_list_that_can_be_read_at_last_are_not_new():
    seen, _ = looked(page(a_run(1)), None)

    _, events = looked(page(a_run(1)), page(a_run(2)), seen=seen)

    assert events == []


def test_the_runs_of_a_new_list_are_new():
    seen, _ = looked(page(a_run(1)))

    _, events = looked(page(a_run(1)), page(a_run(2, RUNNING)), seen=seen)

    assert told(events) == [("run-2", CREATED, None)]


@pytest.mark.parametrize("window", [{"next": "more"}, {"coverage": Coverage.WINDOW}])
def test_what_comes_into_view_from_behind_the_window_is_merely_old(window):
    seen, _ = looked(page(a_run(5), a_run(6), **window))

    seen, events = looked(page(a_run(4), a_run(5), a_run(6), **window), seen=seen)
    assert events == []
    _, events = looked(page(a_run(4, FAILED), a_run(6), **window), seen=seen)

    assert told(events) == [("run-4", UPDATED, SUCCEEDED)]


def test_a_run_listed_late_in_a_whole_list_is_new():
    seen, _ = looked(page(a_run(5), a_run(6)))

    _, events = looked(page(a_run(4), a_run(5), a_run(6)), seen=seen)

    assert told(events) == [("run-4", FINISHED, None)]


def test_a_run_that_the_lists_show_no_longer_is_followed_until_it_ends_or_is_gone():
    seen, _ = looked(page(a_run(1, RUNNING), a_run(2, QUEUED)))
    look = Look(
        lists={"a": page(a_run(9), next="more")},
        looked_up={a_run(1).key: a_run(1), a_run(2).key: None},
    )

    seen, events = changes(seen, look, at(100))

    assert told(events) == [("run-1", FINISHED, RUNNING), ("run-9", FINISHED, None)]
    assert seen.active() == []
    assert a_run(2).key not in seen.runs


def test_what_is_remembered_is_bounded_and_what_goes_on_is_not_forgotten():
    seen, _ = looked(page(a_run(0, RUNNING), *(a_run(n) for n in range(1, 900))))

    for start in range(900, 5000, 900):
        seen, _ = looked(page(*(a_run(n) for n in range(start, start + 900)), next="more"), seen=seen)

    assert len(seen.runs) <= 900 + MAX_REMEMBERED + 1
    assert [run.key.id for run in seen.active()] == ["run-0"]


def test_a_replay_tells_the_last_change_of_each_run_after_an_instant():
    seen, _ = looked(page(a_run(1, QUEUED), a_run(2, RUNNING)), minute=10)
    seen, _ = looked(page(a_run(1, RUNNING), a_run(2, RUNNING)), seen=seen, minute=20)
    seen, _ = looked(page(a_run(1, FAILED), a_run(2, SUCCEEDED)), seen=seen, minute=30)

    assert told(replay(seen, at(29))) == [("run-1", FINISHED, RUNNING), ("run-2", FINISHED, RUNNING)]
    assert replay(seen, at(30)) == []


@pytest.mark.parametrize(
    ("run", "since", "expected"),
    [
        (a_run(5, finished_at=at(7)), 6, [("run-5", FINISHED, None)]),
        (a_run(5, finished_at=at(7)), 7, []),
        (a_run(5, RUNNING, started_at=at(6)), 5, [("run-5", CREATED, None)]),
        (a_run(5, RUNNING, started_at=at(6)), 6, []),
        (a_run(5, QUEUED), 4, [("run-5", CREATED, None)]),
    ],
)
def test_a_replay_of_runs_that_were_never_seen_to_change_goes_by_their_own_times(run, since, expected):
    seen, _ = looked(page(run))

    assert told(replay(seen, at(since))) == expected


def test_a_run_that_does_not_tell_its_end_ended_before_the_next_of_its_sync_began():
    seen, _ = looked(page(*(a_run(n, FAILED) for n in (10, 20, 30))))

    assert told(replay(seen, at(25))) == [("run-20", FINISHED, None), ("run-30", FINISHED, None)]


some_statuses = st.sampled_from(sorted(RunStatus))
some_states = st.dictionaries(st.integers(0, 9), some_statuses, max_size=10)
"""What one look at a list shows: the status of some of ten runs."""
some_histories = st.lists(st.none() | some_states, max_size=12)
"""None: the list could not be read."""


def shown(state: Mapping[int, RunStatus] | None) -> Page[SyncRun] | None:
    return None if state is None else page(*(a_run(n, status) for n, status in state.items()))


@settings(derandomize=True)
@given(some_histories)
def test_the_events_of_any_history_lead_from_what_was_seen_first_to_what_is_seen_now(history):
    seen = Seen()
    known: dict[str, RunStatus] = {}
    for minute, state in enumerate(history):
        is_first = seen.is_first or all(one is None for one in history[:minute])
        seen, events = looked(shown(state), seen=seen, minute=minute)
        for event in events:
            assert event.previous_status is known.get(event.run.key.id)
            assert event.previous_status is not event.run.status
            assert (event.kind is FINISHED) == (
                event.run.status in FINAL and event.previous_status not in FINAL
            )
            known[event.run.key.id] = event.run.status
        if is_first or state is None:
            assert events == []
        if is_first:
            known |= {f"run-{n}": status for n, status in (state or {}).items()}
        assert known == {key.id: one.run.status for key, one in seen.runs.items()}


@settings(derandomize=True)
@given(some_histories, st.integers(0, 12))
def test_whoever_comes_back_learns_of_every_run_that_ended_meanwhile(history, left):
    seen = Seen()
    ended: dict[str, RunStatus] = {}
    for minute, state in enumerate(history):
        seen, events = looked(shown(state), seen=seen, minute=minute)
        if minute > left:
            ended |= {event.run.key.id: event.run.status for event in events if event.run.status in FINAL}
    replayed = {event.run.key.id: event.run.status for event in replay(seen, at(left))}

    assert {run: replayed.get(run) for run in ended} == {
        key.id: one.run.status for key, one in seen.runs.items() if key.id in ended
    }


def standing(name: str, status: HealthStatus) -> SyncStanding:
    sync = Sync(
        key=SyncKey("den", name), connector=None, ordered_at=None, state=SyncState.IDLE, raw_status=None
    )
    fresh = sync_freshness(sync, runs=None, coverage=Coverage.NONE, configured=None, now=START)
    return SyncStanding(sync=sync, health=Health(status=status, reasons=(), since=None), freshness=fresh)


def test_health_is_told_when_it_is_not_as_it_was_and_never_of_a_sync_seen_first():
    before, events = health_changes(
        {}, [standing("a", HealthStatus.HEALTHY), standing("b", HealthStatus.WARNING)], START
    )
    assert events == []

    after, events = health_changes(
        before, [standing("a", HealthStatus.DEGRADED), standing("c", HealthStatus.DEGRADED)], at(1)
    )

    assert [(one.standing.sync.key.id, one.previous, one.observed_at) for one in events] == [
        ("a", HealthStatus.HEALTHY, at(1))
    ]
    assert after[SyncKey("den", "b")] is HealthStatus.WARNING, "of what was not judged, what was known stays"


def test_what_is_not_known_is_neither_final_nor_active():
    assert FINAL.isdisjoint(ACTIVE)
    assert set(RunStatus) - FINAL - ACTIVE == {UNKNOWN}
