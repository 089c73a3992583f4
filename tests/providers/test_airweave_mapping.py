import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.contract.suite import NOW

from syncgraph.domain.model import (
    ConnectorStatus,
    Count,
    CountRelation,
    Coverage,
    ErrorCategory,
    Provenance,
    RunStatus,
    RunTrigger,
    ScheduleKind,
    SyncState,
)
from syncgraph.providers.airweave import mapping, wire

DOCUMENT = json.loads(Path("tests/fixtures/openapi/airweave.json").read_text(encoding="utf-8"))
SEED_STATUSES = {"created", "pending", "in_progress", "completed", "failed", "cancelled"}
MADE = datetime(2026, 11, 22, 5, 36, 1, tzinfo=UTC)


def words(schema: str) -> set[str]:
    return set(DOCUMENT["components"]["schemas"][schema]["enum"])


def item(status="active", **fields):
    return wire.ListItem(id="c1", created_at=MADE.replace(tzinfo=None), status=status, **fields)


def detail(status="active", sync_id="s1", **fields):
    return wire.SourceConnection(
        id="c1", created_at=MADE.replace(tzinfo=None), status=status, sync_id=sync_id, **fields
    )


def job(status="completed", **fields):
    return wire.Job(id="j1", source_connection_id="c1", status=status, **fields)


def sync_job(status="completed", **fields):
    return wire.SyncJob(id="j1", sync_id="s1", status=status, **fields)


def sync_(its):
    return mapping.sync("acme", its)


def kind_of(told):
    return getattr(mapping.schedule(told), "kind", None)


def run_of(its):
    return mapping.runs("acme", [its], NOW)[0]


def seed_run(its, *, with_sync=False):
    return mapping.sync_job("acme", its, with_sync=with_sync, now=NOW)


def test_every_documented_word_of_a_job_is_mapped():
    assert set(mapping.STATUS) == words("SyncJobStatus") | SEED_STATUSES


def test_every_documented_word_of_a_connection_is_mapped():
    assert set(mapping.CONNECTOR_STATUS) == words("SourceConnectionStatus")


def test_every_documented_category_of_an_error_is_mapped():
    assert set(mapping.CATEGORY) == words("SourceConnectionErrorCategory")
    assert set(mapping.CATEGORY.values()) == {ErrorCategory.AUTHENTICATION}


@pytest.mark.parametrize(("word", "status"), mapping.STATUS.items())
def test_a_jobs_word_is_its_status_by_either_contract(word, status):
    assert (run_of(job(word)).status, run_of(job(word)).raw_status) == (status, word)
    assert (seed_run(sync_job(word)).status, seed_run(sync_job(word)).raw_status) == (status, word)


@pytest.mark.parametrize("word", ["in_progress", "running"])
def test_the_seeds_and_todays_word_for_running_are_one_status(word):
    assert run_of(job(word)).status is RunStatus.RUNNING


def test_an_unknown_word_is_unknown_and_kept():
    assert (run_of(job("resting")).status, run_of(job("resting")).raw_status) == (
        RunStatus.UNKNOWN,
        "resting",
    )
    assert mapping.connector("acme", item("odd")).status is ConnectorStatus.UNKNOWN
    assert mapping.connector("acme", item("odd")).raw_status == "odd"
    assert sync_(item("odd")).state is SyncState.UNKNOWN


def test_a_connection_in_error_is_connected_and_the_failure_is_its_syncs():
    assert mapping.connector("acme", item("error")).status is ConnectorStatus.CONNECTED
    assert sync_(item("error")).last_outcome is RunStatus.FAILED


def test_an_active_connection_says_nothing_certain_of_its_sync():
    sync = sync_(item("active"))

    assert (sync.state, sync.last_outcome, sync.raw_status) == (SyncState.UNKNOWN, None, "active")


def test_a_syncing_connection_has_a_running_sync():
    assert sync_(item("syncing")).state is SyncState.RUNNING


@pytest.mark.parametrize(
    "left_out", [item("pending_auth"), item(federated_search=True), detail(sync_id=None)]
)
def test_a_connection_searched_in_place_or_not_yet_authorised_has_no_sync(left_out):
    assert sync_(left_out) is None


def test_a_list_leaves_out_what_only_a_detail_tells():
    assert sync_(item()).extra is None
    assert sync_(detail()).extra is not None


def test_a_sync_of_the_list_and_of_the_detail_differ_in_nothing_else():
    of_list, of_detail = sync_(item("error")), sync_(detail("error"))

    assert all(
        getattr(of_list, name) == getattr(of_detail, name) for name in of_list.__slots__ if name != "extra"
    )


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (wire.Schedule(cron="0 * * * *"), ScheduleKind.CRON),
        (wire.Schedule(cron="0 * * * *", continuous=True), ScheduleKind.CONTINUOUS),
        (wire.Schedule(), ScheduleKind.MANUAL),
    ],
)
def test_a_schedule_is_continuous_by_cron_or_by_hand(told, kind):
    assert kind_of(told) is kind


def test_no_schedule_told_is_not_a_schedule_by_hand():
    assert mapping.sync_extra(detail(schedule=None)).schedule is None


def test_what_airweave_calls_failed_entities_are_the_skipped_ones():
    records = run_of(
        job(entities_inserted=1, entities_updated=2, entities_deleted=3, entities_failed=4)
    ).records

    assert (records.skipped, records.failed, records.unchanged) == (4, None, None)
    assert records.processed == Count(value=10, relation=CountRelation.GTE)


def test_counts_that_are_not_told_are_none_and_not_zero():
    records = seed_run(sync_job(entities_inserted=None)).records

    assert (records.inserted, records.unchanged, records.processed, records.by_type) == (
        None,
        None,
        None,
        None,
    )


def test_all_five_counts_of_a_seed_job_are_the_whole():
    counts = {f"entities_{word}": 2 for word in ("inserted", "updated", "deleted", "kept", "skipped")}

    assert seed_run(sync_job(**counts)).records.processed == Count(value=10)


@pytest.mark.parametrize("told", [{"Page": {"seen": 3}}, {"Page": True}, {"Page": 1.5}, {"Page": None}])
def test_encountered_entities_that_are_no_counts_are_shown_as_they_are(told):
    run = seed_run(sync_job(entities_encountered=told))

    assert run.records.by_type is None
    assert run.details.entities_encountered == told


@pytest.mark.parametrize(
    ("scheduled", "trigger"),
    [(True, RunTrigger.SCHEDULE), (False, RunTrigger.MANUAL), (None, RunTrigger.UNKNOWN)],
)
def test_a_seed_job_tells_why_it_ran(scheduled, trigger):
    assert seed_run(sync_job(scheduled=scheduled)).trigger is trigger


def test_a_job_of_today_does_not_tell_why_it_ran():
    assert run_of(job()).trigger is RunTrigger.UNKNOWN


def test_a_seed_job_is_ordered_by_when_it_was_made_or_the_first_time_it_tells():
    began, ended = MADE + timedelta(minutes=1), MADE + timedelta(minutes=2)

    assert seed_run(sync_job(created_at=MADE, started_at=began)).ordered_at == MADE
    assert seed_run(sync_job(started_at=began, completed_at=ended)).ordered_at == began
    assert seed_run(sync_job("failed", failed_at=ended)).ordered_at == ended
    assert seed_run(sync_job("pending")).ordered_at == NOW


def test_a_failed_seed_job_ended_when_it_failed():
    assert seed_run(sync_job("failed", failed_at=MADE)).finished_at == MADE


def test_a_run_is_addressed_as_the_contract_needs_it():
    assert run_of(job()).key.id == "c1/j1"
    assert seed_run(sync_job()).key.id == "j1"
    assert seed_run(sync_job(), with_sync=True).key.id == "s1/j1"


def test_a_run_by_the_seed_has_a_sync_and_no_connector():
    run = seed_run(sync_job())

    assert (run.connector, run.sync.id) == (None, "s1")


def test_a_sync_by_the_seed_is_put_together_from_its_jobs():
    sync = mapping.sync_of(
        "acme", [sync_job(), sync_job("in_progress", sync_name="GitHub Repositories Sync")]
    )

    assert (sync.key.id, sync.connector, sync.provenance) == ("s1", None, Provenance.DERIVED)
    assert (sync.name, sync.state, sync.last_outcome) == ("GitHub Repositories Sync", SyncState.RUNNING, None)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", SyncState.QUEUED),
        ("cancelling", SyncState.RUNNING),
        ("completed", SyncState.UNKNOWN),
        ("odd", SyncState.UNKNOWN),
    ],
)
def test_only_an_active_seed_job_tells_what_its_sync_does_now(word, state):
    assert mapping.sync_of("acme", [sync_job(word)]).state is state


def test_a_category_without_a_text_is_an_error_still():
    error = run_of(job("failed", error_category="api_key_invalid")).error

    assert (error.message, error.category) == ("api_key_invalid", ErrorCategory.AUTHENTICATION)


def test_an_unknown_category_is_kept_as_the_code():
    error = run_of(job("failed", error="no", error_category="quota_gone")).error

    assert (error.category, error.code) == (ErrorCategory.UNKNOWN, "quota_gone")


def test_a_secret_in_a_jobs_error_is_taken_out():
    assert run_of(job("failed", error="GET https://u:hunter2@x/?api_key=k3y")).error.message.count("***") == 2


def test_a_run_that_did_not_fail_has_no_error():
    assert run_of(job(error=None)).error is None


@pytest.mark.parametrize("told", [-1.0, 1e300])
def test_a_duration_that_cannot_be_is_not_told(told):
    assert run_of(job(duration_seconds=told)).duration is None


def test_stats_count_what_was_listed():
    jobs = [
        job("running", started_at=MADE, entities_inserted=1, entities_updated=0, entities_deleted=0),
        job("failed", started_at=MADE, entities_inserted=0, entities_updated=0, entities_deleted=0),
        job("completed", started_at=MADE, entities_inserted=5, entities_updated=2, entities_deleted=1),
    ]
    stats = mapping.stats(mapping.runs("acme", jobs, NOW), Coverage.FULL)

    assert (stats.runs_total, stats.runs_succeeded, stats.runs_failed) == (3, 1, 1)
    assert (stats.records_total, stats.oldest_run_at, stats.success_rate) == (9, MADE, 0.5)


def test_a_total_with_an_unknown_part_is_unknown():
    runs = mapping.runs("acme", [job(entities_inserted=1, entities_updated=None, entities_deleted=1)], NOW)

    assert mapping.stats(runs, Coverage.FULL).records_total is None


def test_stats_over_no_runs_are_zeros():
    stats = mapping.stats([], Coverage.FULL)

    assert (stats.runs_total, stats.records_total, stats.oldest_run_at, stats.success_rate) == (
        0,
        0,
        None,
        None,
    )


def test_unknown_keys_and_missing_optional_ones_are_tolerated():
    body = b'[{"id": "c", "created_at": "2026-11-22T05:36:02", "status": "active", "colour": "red"}]'

    assert mapping.connector("acme", wire.LIST.decode(body)[0]).name is None
