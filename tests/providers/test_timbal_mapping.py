"""Timbal's words, nulls and numbers as the domain's."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from syncgraph.domain.details import TimbalRunDetails, TimbalSyncDetails
from syncgraph.domain.model import (
    ConnectorStatus,
    Count,
    Coverage,
    Provenance,
    RunStatus,
    RunTrigger,
    Schedule,
    ScheduleKind,
    StatsSource,
    SyncState,
    TypedCount,
)
from syncgraph.providers.timbal import mapping, wire
from syncgraph.providers.timbal.ids import SyncId

AT = "2026-11-22T09:00:00.125Z"
CREATED = datetime(2026, 11, 22, 9, 0, 0, 125000, tzinfo=UTC)
SYNC = {
    "id": "s1",
    "connector_id": "c1",
    "source_kind": "postgres",
    "connection_ref": "erp",
    "source_schema": "public",
    "source_table": "orders",
    "kb_uid": "kb1",
    "dest_table": "orders_copy",
    "interval_secs": 300,
    "enabled": True,
    "has_cursor": True,
    "created_at": AT,
    "updated_at": AT,
}
RUN = {"job_id": "j1", "state": "completed", "rows_emitted": 5, "created_at": AT}
JOB = {
    "id": "j1",
    "connector_id": "c1",
    "kb_uid": "kb1",
    "kind": "extract",
    "dest_table": "t",
    "mode": "upsert",
    "state": "completed",
    "rows_emitted": 5,
    "created_at": AT,
    "updated_at": AT,
}
CONNECTOR = {"id": "c1", "capabilities": [], "connected": True, "online": True, "enrolled_at": AT}


def sync(**fields):
    return mapping.sync("acme", msgspec.convert({**SYNC, **fields}, wire.SyncView))


def run(**fields):
    view = msgspec.convert({**RUN, **fields}, wire.SyncRunView)
    return mapping.recent_run("acme", SyncId("c1", "s1"), view)


def job(**fields):
    return mapping.job("acme", msgspec.convert({**JOB, **fields}, wire.JobView))


def connector(**fields):
    return mapping.connector("acme", msgspec.convert({**CONNECTOR, **fields}, wire.ConnectorView))


def test_the_words_of_a_state_are_these():
    assert mapping.STATUS == {
        "queued": RunStatus.QUEUED,
        "pending": RunStatus.QUEUED,
        "dispatched": RunStatus.QUEUED,
        "created": RunStatus.QUEUED,
        "running": RunStatus.RUNNING,
        "started": RunStatus.RUNNING,
        "in_progress": RunStatus.RUNNING,
        "stopping": RunStatus.CANCELLING,
        "completed": RunStatus.SUCCEEDED,
        "failed": RunStatus.FAILED,
        "stopped": RunStatus.CANCELLED,
        "cancelled": RunStatus.CANCELLED,
    }


@pytest.mark.parametrize("word", sorted(mapping.STATUS))
def test_a_known_word_has_its_status_in_any_case(word):
    assert run(state=word.upper()).status is mapping.STATUS[word]
    assert run(state=word.upper()).raw_status == word.upper()


@pytest.mark.parametrize("word", ["", "rate_limited", "fehlgeschlagen", "completed "])
def test_a_word_that_timbal_has_not_published_is_unknown_and_kept(word):
    assert (run(state=word).status, run(state=word).raw_status) == (RunStatus.UNKNOWN, word)
    assert job(state=word).status is RunStatus.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"enabled": False, "disabled_reason": "10 failures"}, SyncState.DISABLED),
        ({"enabled": False, "disabled_reason": None}, SyncState.PAUSED),
        ({"enabled": False}, SyncState.PAUSED),
        ({"enabled": False, "last_run_at": AT, "last_state": "running"}, SyncState.PAUSED),
        ({}, SyncState.NEVER_RUN),
        ({"last_run_at": None, "last_state": None}, SyncState.NEVER_RUN),
        ({"last_state": "queued"}, SyncState.QUEUED),
        ({"last_run_at": AT, "last_state": "Dispatched"}, SyncState.QUEUED),
        ({"last_run_at": AT, "last_state": "running"}, SyncState.RUNNING),
        ({"last_run_at": AT, "last_state": "stopping"}, SyncState.RUNNING),
        ({"last_run_at": AT, "last_state": "completed"}, SyncState.IDLE),
        ({"last_run_at": AT, "last_state": "failed"}, SyncState.IDLE),
        ({"last_run_at": AT, "last_state": "stopped"}, SyncState.IDLE),
        ({"last_run_at": AT, "last_state": None}, SyncState.IDLE),
        ({"last_run_at": AT, "last_state": "hibernating"}, SyncState.UNKNOWN),
    ],
)
def test_what_a_sync_does_now(fields, state):
    assert sync(**fields).state is state


def test_a_paused_sync_keeps_the_outcome_of_its_last_run():
    paused = sync(enabled=False, last_run_at=AT, last_state="failed")

    assert (paused.state, paused.last_outcome, paused.raw_status) == (
        SyncState.PAUSED,
        RunStatus.FAILED,
        "failed",
    )


@pytest.mark.parametrize(
    ("last_state", "outcome"),
    [
        (None, None),
        ("running", None),
        ("queued", None),
        ("stopping", None),
        ("hibernating", None),
        ("completed", RunStatus.SUCCEEDED),
        ("failed", RunStatus.FAILED),
        ("stopped", RunStatus.CANCELLED),
    ],
)
def test_only_a_word_for_an_end_is_an_outcome(last_state, outcome):
    assert sync(last_run_at=AT, last_state=last_state).last_outcome is outcome


def test_why_timbal_disabled_a_sync_is_its_error_without_secrets():
    its = sync(enabled=False, disabled_reason="10 failures: password=hunter22 refused")

    assert its.last_error.message == "10 failures: password=*** refused"
    assert its.extra.details.disabled_reason == "10 failures: password=*** refused"


def test_a_sync_of_2026_07_03_lacks_three_fields_and_they_are_unknown_not_empty():
    details = sync(cursor_column="updated_at").extra.details

    assert (details.key_columns, details.consecutive_failures, details.disabled_reason) == (None, None, None)


def test_a_keyless_full_refresh_has_no_cursor_and_no_keys():
    details = sync(cursor_column=None, key_columns=[]).extra.details

    assert (details.cursor_column, details.key_columns) == (None, ())


def test_a_sync_with_everything():
    its = sync(
        name="Orders",
        last_run_at=AT,
        last_success_at="2026-11-22T10:00:00+01:00",
        last_state="completed",
        cursor_column="updated_at",
        key_columns=["id"],
        consecutive_failures=2,
        seconds_since_success=4,
        a_field_of_tomorrow={"x": 1},
    )

    assert (its.key, its.connector) == (("acme", "c1/s1"), ("acme", "c1"))
    assert (its.name, its.stream, its.enabled) == ("Orders", "public.orders", True)
    assert (its.ordered_at, its.created_at, its.updated_at) == (CREATED, CREATED, CREATED)
    assert its.last_success_at == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert its.last_success_at.utcoffset() == timedelta()
    assert its.expected_interval == timedelta(minutes=5)
    assert its.provenance is Provenance.NATIVE
    assert its.extra.schedule == Schedule(kind=ScheduleKind.INTERVAL, interval=timedelta(minutes=5))
    assert its.extra.details == TimbalSyncDetails(
        source_schema="public",
        source_table="orders",
        cursor_column="updated_at",
        key_columns=("id",),
        destination_table="orders_copy",
        knowledge_base="kb1",
        has_cursor=True,
        disabled_reason=None,
        consecutive_failures=2,
    )


@pytest.mark.parametrize("name", [None, ""])
def test_a_sync_without_a_name_is_called_by_what_it_copies(name):
    assert sync(name=name).name == "public.orders -> orders_copy"
    assert sync(name=name, source_schema="").name == "orders -> orders_copy"


@pytest.mark.parametrize("interval", [0, -1, 10**17])
def test_an_interval_that_is_none_is_unknown(interval):
    its = sync(interval_secs=interval)

    assert (its.expected_interval, its.extra.schedule.interval) == (None, None)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "HQ", "hostname": "box"}, "HQ"),
        ({"name": "", "hostname": "box"}, "box"),
        ({"hostname": "box"}, "box"),
        ({"name": None, "hostname": None}, "c1"),
        ({}, "c1"),
    ],
)
def test_a_connector_is_called_by_its_label_or_its_host_or_its_id(fields, name):
    assert connector(**fields).name == name


@pytest.mark.parametrize("online", [True, False])
def test_a_connector_is_connected_whatever_one_server_says_of_its_socket(online):
    up, down = connector(online=online), connector(online=online, connected=False)

    assert (up.status, up.raw_status) == (ConnectorStatus.CONNECTED, "connected")
    assert (down.status, down.raw_status) == (ConnectorStatus.NOT_CONNECTED, "disconnected")
    assert (up.ordered_at, up.created_at, up.updated_at, up.source_type) == (CREATED, CREATED, None, None)


def test_a_derived_connector_has_a_source_type_only_where_its_syncs_agree():
    postgres = msgspec.convert({**SYNC, "source_kind": "Postgres"}, wire.SyncView)
    mysql = msgspec.convert({**SYNC, "source_kind": "mysql"}, wire.SyncView)
    alike = mapping.derived_connector("acme", "c1", [postgres, postgres])
    mixed = mapping.derived_connector("acme", "c1", [postgres, mysql])

    assert (alike.source_type, mixed.source_type) == ("postgres", None)
    assert (alike.status, alike.raw_status, alike.provenance, alike.ordered_at) == (
        ConnectorStatus.UNKNOWN,
        None,
        Provenance.DERIVED,
        None,
    )


def test_a_finished_run():
    its = run(
        started_at="2026-11-22T09:00:04Z",
        finished_at="2026-11-22T09:01:04Z",
        duration_ms=60_000,
        rows_per_sec=2.5,
        message="done",
    )

    assert (its.key.id, its.connector.id, its.sync.id) == ("c1/s1/j1", "c1", "c1/s1")
    assert (its.ordered_at, its.created_at) == (CREATED, CREATED)
    assert its.started_at == datetime(2026, 11, 22, 9, 0, 4, tzinfo=UTC)
    assert its.finished_at == datetime(2026, 11, 22, 9, 1, 4, tzinfo=UTC)
    assert its.duration == timedelta(minutes=1)
    assert its.records.emitted == 5
    assert its.records.processed == Count(value=5)
    assert its.records.per_second == 2.5
    assert its.trigger is RunTrigger.UNKNOWN
    assert its.details == TimbalRunDetails(message="done", rows_per_second=2.5)
    assert its.error is None


def test_the_duration_of_a_live_run_counts_to_the_answer_and_is_left_out():
    assert run(state="running", started_at=AT, finished_at=None, duration_ms=4000).duration is None


@pytest.mark.parametrize("milliseconds", [None, -5, 2**63 - 1])
def test_a_duration_that_is_none_is_unknown(milliseconds):
    assert run(finished_at=AT, duration_ms=milliseconds).duration is None


def test_a_run_that_took_no_time_took_no_time():
    assert run(finished_at=AT, duration_ms=0).duration == timedelta()


def test_a_message_is_an_error_only_of_a_failed_run():
    failed = run(state="failed", message="token: abcdef1234 refused", finished_at=AT)

    assert failed.error.message == "token: *** refused"
    assert failed.error.occurred_at == CREATED
    assert failed.details.message == "token: *** refused"
    assert run(state="running", message="batch 3").error is None
    assert run(state="stopped", message="by an operator").error is None
    assert run(state="failed", message=None).error is None


def test_the_files_of_a_copy_are_not_rows():
    its = job(kind="fs_copy", rows_emitted=12, rows_per_sec=3.0)

    assert its.records.emitted is None
    assert its.records.per_second is None
    assert its.records.by_type == (TypedCount(type="files", count=12),)
    assert its.records.processed == Count(value=12)


def test_a_job_without_a_sync_was_dispatched_by_hand():
    one_off, of_sync = job(sync_id=None), job(sync_id="s1")

    assert (one_off.key.id, one_off.sync, one_off.trigger) == ("c1/-/j1", None, RunTrigger.MANUAL)
    assert (of_sync.key.id, of_sync.sync.id, of_sync.trigger) == ("c1/s1/j1", "c1/s1", RunTrigger.UNKNOWN)


def test_a_run_is_the_same_out_of_either_list():
    assert job(sync_id="s1") == run()


def test_counters_are_whole_beyond_what_a_double_can_hold():
    stats = mapping.stats(
        wire.SyncStatsView(runs_total=5, runs_completed=3, runs_failed=1, rows_total=2**63 - 1)
    )

    assert stats.records_total == 2**63 - 1
    assert run(rows_emitted=2**53 + 1).records.emitted == 2**53 + 1


def test_a_count_that_is_not_told_is_unknown():
    assert run(rows_emitted=None).records is None


def test_completed_and_failed_are_not_the_total():
    stats = mapping.stats(wire.SyncStatsView(runs_total=10, runs_completed=6, runs_failed=2, rows_total=0))

    assert (stats.source, stats.coverage, stats.oldest_run_at) == (StatsSource.PROVIDER, Coverage.FULL, None)
    assert (stats.runs_total, stats.runs_succeeded, stats.runs_failed) == (10, 6, 2)
    assert stats.success_rate == 0.75
