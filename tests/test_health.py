"""Health: the worked cases of docs/health.md, and what holds for all of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from syncgraph.domain.freshness import freshness_policy, sync_freshness
from syncgraph.domain.health import (
    LONGEST_QUOTE,
    Health,
    HealthReason,
    HealthReasonCode,
    HealthStatus,
    connector_health,
    sync_health,
)
from syncgraph.domain.metrics import WEIGHT, Anomaly, SyncMetrics, sync_metrics
from syncgraph.domain.model import (
    Connector,
    ConnectorKey,
    ConnectorStatus,
    Count,
    Coverage,
    RecordCounts,
    RunKey,
    RunStatus,
    Sync,
    SyncError,
    SyncKey,
    SyncRun,
    SyncState,
)
from syncgraph.domain.provider_health import CircuitState, ProviderHealthStatus, provider_health_status

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DOCUMENT = Path(__file__).parent.parent / "docs" / "health.md"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
ACTIVE_OR_ENDLESS = {RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.CANCELLING}

quick = hypothesis_settings(max_examples=100, deadline=None, derandomize=True)

Row = Mapping[str, str | None]


def worked(subject: str) -> list[Row]:
    """The rows of the table under "Worked cases: subject"; a dash is None."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"### Worked cases: {subject}\n")[1]
    lines = [line for line in re.split(r"\n#", section)[0].splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [
        dict(zip(head, [None if cell == "\N{EN DASH}" else cell for cell in row], strict=True))
        for row in rows
    ]


def cases(subject: str) -> pytest.MarkDecorator:
    rows = worked(subject)
    assert rows
    return pytest.mark.parametrize("row", rows, ids=[row["case"] or "" for row in rows])


def span(text: str | None) -> timedelta | None:
    return None if text is None else timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def ago(text: str | None) -> datetime | None:
    since = span(text)
    return None if since is None else NOW - since


def a_run(number: int, status: RunStatus, took: timedelta | None = None, **more) -> SyncRun:
    """The ``number``th newest run, which ended so many hours ago and one more."""
    ended = NOW - (number + 1) * HOUR
    if status is RunStatus.RUNNING:
        ended = NOW
    began = ended - (timedelta(minutes=1) if took is None else took)
    run = SyncRun(
        key=RunKey("den", f"run-{number}"),
        connector=None,
        sync=SyncKey("den", "sync"),
        status=status,
        raw_status=status.lower(),
        ordered_at=began,
        started_at=began,
        finished_at=None if status in ACTIVE_OR_ENDLESS else ended,
    )
    return replace(run, **more)


def listed(text: str) -> list[SyncRun]:
    """Runs out of a cell: ``FAILED, SUCCEEDED 10m, QUEUED retry``."""
    return [] if text == "none" else [_listed(n, word) for n, word in enumerate(text.split(", "))]


def _listed(number: int, text: str) -> SyncRun:
    word, _, more = text.partition(" ")
    if more == "retry":
        return a_run(number, RunStatus(word), next_attempt_at=NOW + HOUR, attempt=2)
    return a_run(number, RunStatus(word), span(more or None))


def a_sync(**told) -> Sync:
    start = Sync(
        key=SyncKey("den", "sync"), connector=None, ordered_at=None, state=SyncState.IDLE, raw_status=None
    )
    return replace(start, **told)


def a_connector(status: ConnectorStatus) -> Connector:
    return Connector(key=ConnectorKey("den", "c"), ordered_at=None, status=status, raw_status=None)


def judge(
    sync: Sync,
    runs: Sequence[SyncRun] | None = None,
    *,
    link: ConnectorStatus | None = None,
    also: str = "",
    metrics: SyncMetrics | None = None,
) -> Health:
    coverage = Coverage.FULL if "all runs" in also else Coverage.WINDOW
    return sync_health(
        sync,
        freshness=sync_freshness(sync, runs=runs, coverage=coverage, configured=None, now=NOW),
        connector=None if link is None else a_connector(link),
        runs=runs,
        metrics=metrics,
        provider_reachable="unreachable" not in also,
        now=NOW,
    )


def unusual(also: str, runs: Sequence[SyncRun]) -> SyncMetrics:
    """Metrics with the anomaly that ``also`` names; the other one is as ever."""
    whole = sync_metrics(runs, window_days=7, coverage=Coverage.FULL, now=NOW)
    found = {
        what: Anomaly(
            status=HealthStatus.WARNING if what in also else HealthStatus.HEALTHY,
            observed=3,
            expected_low=75,
            expected_high=1250,
            run=runs[0],
        )
        for what in ("volume", "duration")
    }
    return replace(whole, volume_anomaly=found["volume"], duration_anomaly=found["duration"])


def codes(health: Health) -> str | None:
    return ", ".join(f"{reason.code} {reason.status}" for reason in health.reasons) or None


@cases("health")
def test_a_worked_case_of_a_sync(row: Row):
    also = row["also"] or ""
    created, row_of = re.search(r"age (\w+)", also), re.search(r"row of (\d+)", also)
    sync = a_sync(
        state=SyncState(row["state"] or ""),
        last_outcome=RunStatus(row["last outcome"]) if row["last outcome"] else None,
        last_success_at=ago(row["last success"]),
        consecutive_failures=int(row_of[1]) if row_of else None,
        expected_interval=span(row["interval"]),
        last_error=SyncError(message="ten failures in a row") if "error" in also else None,
        created_at=ago(created[1]) if created else None,
    )
    runs = None if row["runs"] is None else listed(row["runs"])
    link = ConnectorStatus(row["connector"]) if row["connector"] else None
    metrics = unusual(also, runs) if runs and re.search("volume|duration", also) else None

    health = judge(sync, runs, link=link, also=also, metrics=metrics)

    assert health.status == row["status"]
    assert codes(health) == row["reasons"]
    assert health.since == ago(row["since"])


def test_every_code_has_a_rule_and_a_worked_case():
    document = DOCUMENT.read_text(encoding="utf-8")
    shown = {word for row in worked("health") for word in re.findall("[A-Z_]+", row["reasons"] or "")}

    assert set(HealthReasonCode) <= shown
    assert set(HealthReasonCode) <= set(
        re.findall(r"[A-Z_]{4,}", document.split("### Worked cases: health")[0])
    )


SAMPLE = {
    "HEALTHY": (),
    "WARNING": (HealthReasonCode.LATE,),
    "DEGRADED": (HealthReasonCode.LAST_RUN_FAILED,),
    "UNKNOWN": (HealthReasonCode.NO_DATA,),
}


def a_health(status: str, since: datetime | None = None) -> Health:
    reasons = tuple(
        HealthReason(code=code, status=HealthStatus(status), message=f"It is {code}.")
        for code in SAMPLE[status]
    )
    return Health(status=HealthStatus(status), reasons=reasons, since=since)


@cases("connectors")
def test_a_worked_case_of_a_connector(row: Row):
    healths = [a_health(status) for status in (row["syncs"] or "").split(", ") if status]
    link = a_connector(ConnectorStatus(row["link"] or ""))

    health = connector_health(healths, link, provider_reachable=row["also"] is None)

    assert health.status == row["status"]
    assert codes(health) == row["reasons"]


@cases("providers")
def test_a_worked_case_of_a_provider(row: Row):
    status = provider_health_status(
        successes=int(row["successes"] or ""),
        failures=int(row["failures"] or ""),
        last_error_code=row["newest call"],
        is_rate_limited=row["asked to wait"] == "yes",
        circuit=CircuitState(row["circuit"] or ""),
    )

    assert status is ProviderHealthStatus(row["status"] or "")


def message(health: Health, code: HealthReasonCode) -> str:
    return next(reason.message for reason in health.reasons if reason.code is code)


def test_messages_are_sentences_with_their_numbers():
    failed = a_run(0, RunStatus.FAILED, error=SyncError(message="no\n  such   table"))
    long = a_run(0, RunStatus.FAILED, error=SyncError(message="x" * 500))
    late = a_sync(last_success_at=NOW - timedelta(minutes=90), expected_interval=HOUR)
    retry = judge(a_sync(), [a_run(0, RunStatus.QUEUED, next_attempt_at=NOW)])
    stuck = judge(a_sync(), [a_run(0, RunStatus.RUNNING, timedelta(days=1, hours=3, minutes=20))])
    odd = judge(a_sync(), listed("SUCCEEDED"), metrics=unusual("volume", listed("SUCCEEDED")))

    assert message(judge(a_sync(), [failed]), HealthReasonCode.LAST_RUN_FAILED).endswith("no such table")
    assert len(message(judge(a_sync(), [long]), HealthReasonCode.LAST_RUN_FAILED)) < LONGEST_QUOTE + 30
    assert message(judge(late), HealthReasonCode.LATE) == (
        "The last success is 1 h 30 min old; more than 1 h is too old."
    )
    assert message(retry, HealthReasonCode.RETRY_PENDING) == (
        "A failed run is tried again, at 2026-11-22 12:00 UTC."
    )
    assert "for 1 d 3 h; beyond 1 h it" in message(stuck, HealthReasonCode.STUCK_RUN)
    assert message(odd, HealthReasonCode.VOLUME_ANOMALY) == (
        "The last success has 3 records; 75 to 1,250 are usual."
    )


def test_a_limit_of_nothing_is_told_as_such():
    sync = a_sync(last_success_at=NOW - HOUR, expected_interval=timedelta(microseconds=1))

    assert "more than 0 s is" in message(judge(sync), HealthReasonCode.STALE)


def test_metrics_tell_of_failures_where_the_runs_are_not_at_hand():
    metrics = sync_metrics(listed("FAILED, FAILED"), window_days=1, coverage=Coverage.FULL, now=NOW)

    health = judge(a_sync(last_outcome=RunStatus.FAILED), metrics=metrics)

    assert codes(health) == "LAST_RUN_FAILED DEGRADED, CONSECUTIVE_FAILURES DEGRADED"
    assert health.since is None


def test_metrics_tell_what_is_usual_for_a_run():
    metrics = sync_metrics(listed("SUCCEEDED 50m"), window_days=1, coverage=Coverage.FULL, now=NOW)
    running = listed("RUNNING 2h")

    assert judge(a_sync(), running).status is HealthStatus.DEGRADED
    assert judge(a_sync(), running, metrics=metrics).status is HealthStatus.UNKNOWN


def test_a_run_whose_start_is_not_told_has_been_running_since_it_was_queued():
    crashed = a_run(0, RunStatus.RUNNING, timedelta(hours=2), started_at=None)

    assert judge(a_sync(), [crashed]).reasons[0].code is HealthReasonCode.STUCK_RUN


def test_what_holds_since_when():
    early, late = NOW - 3 * HOUR, NOW - HOUR
    link = a_connector(ConnectorStatus.CONNECTED)

    def since(*healths: Health, of: Connector = link) -> datetime | None:
        return connector_health(healths, of, provider_reachable=True).since

    assert since(a_health("DEGRADED", early), a_health("DEGRADED", late), a_health("HEALTHY")) == early
    assert since(a_health("WARNING", early), a_health("HEALTHY", late)) == late
    assert since(a_health("WARNING", early), a_health("HEALTHY")) is None
    assert since(a_health("DEGRADED")) is None
    assert since(a_health("HEALTHY", early), of=a_connector(ConnectorStatus.PAUSED)) is None
    assert since() is None


def test_equal_reasons_of_several_syncs_are_one():
    healths = [a_health("DEGRADED"), a_health("DEGRADED"), a_health("HEALTHY")]

    health = connector_health(healths, a_connector(ConnectorStatus.CONNECTED), provider_reachable=True)

    assert [reason.message for reason in health.reasons] == [
        "2 of 3 syncs, one of them: It is LAST_RUN_FAILED."
    ]


some_ages = st.timedeltas(timedelta(), timedelta(days=40))
some_instants = some_ages.map(lambda age: NOW - age)
some_errors = st.builds(
    SyncError,
    message=st.sampled_from(["no table 1", "no table 2", "refused"]),
    occurred_at=st.none() | some_instants,
)


@st.composite
def some_runs(draw: st.DrawFn) -> list[SyncRun]:
    """Newest first."""
    ages = sorted(draw(st.lists(some_ages, max_size=14)))
    return [
        a_run(
            number,
            draw(st.sampled_from(RunStatus)),
            ordered_at=NOW - age,
            started_at=draw(st.none() | st.just(NOW - age)),
            finished_at=draw(st.none() | st.just(NOW - age / 2)),
            next_attempt_at=draw(st.none() | some_instants),
            error=draw(st.none() | some_errors),
            sync=draw(st.sampled_from([None, SyncKey("den", "a"), SyncKey("timbal", "b")])),
            records=draw(st.none() | st.integers(0, 9).map(lambda n: RecordCounts(processed=Count(value=n)))),
        )
        for number, age in enumerate(ages)
    ]


some_syncs = st.builds(
    a_sync,
    state=st.sampled_from(SyncState),
    last_outcome=st.none() | st.sampled_from(RunStatus),
    last_success_at=st.none() | some_instants,
    expected_interval=st.none() | some_ages,
    last_error=st.none() | some_errors,
    created_at=st.none() | some_instants,
)
some_links = st.none() | st.sampled_from(ConnectorStatus)
some_healths = st.builds(
    judge,
    some_syncs,
    st.none() | some_runs(),
    link=some_links,
    also=st.sampled_from(["", "all runs", "unreachable"]),
)


@quick
@given(some_healths)
def test_the_status_is_the_worst_of_the_reasons(health):
    weights = [WEIGHT[reason.status] for reason in health.reasons]

    assert WEIGHT[health.status] == max(weights, default=0)
    assert weights == sorted(weights, reverse=True)
    assert all(re.fullmatch(r"[A-Z].*[.…\w]", reason.message) for reason in health.reasons)
    assert health.since is None or health.since <= NOW


@quick
@given(some_syncs, st.none() | some_runs(), some_links)
def test_a_provider_that_cannot_be_reached_is_never_degraded(sync, runs, link):
    health = judge(sync, runs, link=link, also="unreachable")
    of_link = a_connector(link or ConnectorStatus.ERROR)

    assert codes(health) == "PROVIDER_UNREACHABLE UNKNOWN"
    assert codes(connector_health([health], of_link, provider_reachable=False)) == codes(health)


@quick
@given(some_syncs, st.none() | some_runs(), some_links)
def test_a_pause_hides_no_reason_and_weighs_nothing(sync, runs, link):
    awake = judge(replace(sync, state=SyncState.IDLE), runs, link=link)
    paused = judge(replace(sync, state=SyncState.PAUSED), runs, link=link)

    def found(health: Health) -> set[HealthReasonCode]:
        return {reason.code for reason in health.reasons}

    assert paused.status is HealthStatus.HEALTHY
    assert found(paused) == found(awake) | {HealthReasonCode.PAUSED}
    outcome = {True: "failed", False: "its last run"}[HealthReasonCode.LAST_RUN_FAILED in found(awake)]
    assert outcome in message(paused, HealthReasonCode.PAUSED)


@quick
@given(some_syncs, some_runs(), st.sampled_from([RunStatus.SKIPPED, RunStatus.CANCELLED]))
def test_a_run_without_an_outcome_changes_nothing(sync, runs, status):
    more = [a_run(99, status, ordered_at=NOW), *runs]

    assert codes(judge(sync, more)) == codes(judge(sync, runs))


@quick
@given(st.lists(some_healths, min_size=1, max_size=5), st.sampled_from(ConnectorStatus))
def test_a_connector_is_the_worst_of_its_syncs_and_a_healthy_one_more_never_worsens_it(healths, status):
    link = a_connector(status)
    health = connector_health(healths, link, provider_reachable=True)
    better = connector_health([*healths, a_health("HEALTHY", NOW)], link, provider_reachable=True)

    assert WEIGHT[health.status] == max(
        WEIGHT[reason.status] for reason in health.reasons or [a_health("HEALTHY")]
    )
    assert WEIGHT[health.status] >= max(WEIGHT[one.status] for one in healths)
    assert better.status is health.status
    assert {(r.code, r.status) for r in better.reasons} == {(r.code, r.status) for r in health.reasons}


@quick
@given(st.timedeltas(timedelta(minutes=1), timedelta(days=3)), some_ages)
def test_more_age_never_makes_it_better(interval, age):
    def weight(lag: timedelta) -> int:
        sync = a_sync(last_success_at=NOW - lag, expected_interval=interval)
        return WEIGHT[judge(sync).status]

    assert freshness_policy(interval).warn_after == interval
    assert weight(age) <= weight(age + interval)
