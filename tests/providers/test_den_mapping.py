"""What Den's words become, and that no event whatever makes the mapping fail."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.replay import RECORDINGS

from syncgraph.domain.model import (
    ConnectorStatus,
    Count,
    CountRelation,
    ErrorCategory,
    RecordCounts,
    RunStatus,
    RunTrigger,
    Schedule,
    ScheduleKind,
    SyncExtra,
    SyncState,
)
from syncgraph.providers.den import mapping, wire

DOCUMENT = json.loads((RECORDINGS.parent / "openapi" / "den.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
EVENT = {
    "id": "cse_01m7vzgc00e9mv59tdwh9edd1r",
    "attemptCount": 0,
    "connectorInstanceId": "cin_01m80vpk3bemm846bnpt84bpbk",
    "connectorTargetId": "ctg_01m80vpk4geq6bm5rsss737zzg",
    "connectorType": "github",
    "remoteId": "acme/skills",
    "eventType": "push",
    "externalEventRef": "delivery-0000",
    "sourceRevisionRef": "0" * 40,
    "nextAttemptAt": None,
    "status": "completed",
    "summaryJson": None,
    "startedAt": "2026-11-20T08:00:00.000Z",
    "completedAt": "2026-11-20T08:00:30.000Z",
}
WRITTEN = {
    "trigger": "webhook",
    "outcome": "completed",
    "error": None,
    "createdPluginCount": 1,
    "createdPlugins": [{"id": "plg_1", "name": "skills"}],
    "materializedConfigObjectCount": 7,
    "materializedConfigObjects": [{"id": "cob_1", "path": "a.md"}],
    "startedAt": "2026-11-20T08:00:04.500Z",
    "completedAt": "2026-11-20T08:00:30.000Z",
    "durationMs": 25_500,
}


def event(**changes):
    return msgspec.json.decode(json.dumps({**EVENT, **changes}), type=wire.Event)


def run(**changes):
    return mapping.run("den", event(**changes))


def documented(schema, field):
    return set(SCHEMAS[schema]["properties"][field]["enum"])


def test_every_documented_status_is_mapped():
    assert set(mapping.STATUS) == documented("PluginArchConnectorSyncEvent", "status")
    assert set(mapping.CONNECTOR_STATUS) == documented("PluginArchConnectorInstance", "status")
    assert set(mapping.EVENT_TYPE) == documented("PluginArchConnectorSyncEvent", "eventType")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", RunStatus.QUEUED),
        ("queued", RunStatus.QUEUED),
        ("running", RunStatus.RUNNING),
        ("completed", RunStatus.SUCCEEDED),
        ("partial", RunStatus.PARTIAL),
        ("ignored", RunStatus.SKIPPED),
        ("failed", RunStatus.FAILED),
        ("paused_by_policy", RunStatus.UNKNOWN),
        ("", RunStatus.UNKNOWN),
    ],
)
def test_a_status_and_its_raw_word(word, status):
    its = run(status=word)

    assert (its.status, its.raw_status) == (status, word)


def test_a_run_is_ordered_by_its_queueing_and_created_by_its_id():
    its = run(startedAt="2026-11-22T05:38:27.743Z")

    assert its.ordered_at == datetime(2026, 11, 22, 5, 38, 27, 743_000, UTC)
    assert its.created_at == datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def test_queueing_is_not_the_start_of_the_work():
    assert run().started_at is None
    assert run(summaryJson=WRITTEN).started_at == datetime(2026, 11, 20, 8, 0, 4, 500_000, UTC)
    assert run(summaryJson=WRITTEN).duration == timedelta(seconds=25.5)


def test_a_seed_server_tells_no_attempts():
    old = {key: value for key, value in EVENT.items() if key not in {"attemptCount", "nextAttemptAt"}}
    its = mapping.run("den", msgspec.json.decode(json.dumps(old), type=wire.Event))

    assert (its.attempt, its.next_attempt_at) == (None, None)
    assert run(attemptCount=4).attempt == 4


def test_an_event_without_a_target_has_no_sync():
    its = run(connectorTargetId=None)

    assert its.sync is None
    assert its.connector.id == EVENT["connectorInstanceId"]


@pytest.mark.parametrize(
    ("told", "event_type", "trigger"),
    [
        ("manual", "push", RunTrigger.MANUAL),
        ("webhook", "manual_resync", RunTrigger.EVENT),
        ("reconcile", "push", RunTrigger.SCHEDULE),
        ("horoscope", "push", RunTrigger.UNKNOWN),
        (7, "push", RunTrigger.EVENT),
        (None, "installation_repositories", RunTrigger.EVENT),
        (None, "manual_resync", RunTrigger.MANUAL),
        (None, "comet", RunTrigger.UNKNOWN),
    ],
)
def test_why_a_run_ran_is_told_by_the_summary_before_the_event_type(told, event_type, trigger):
    assert run(eventType=event_type, summaryJson={"trigger": told}).trigger is trigger


def test_the_documented_counters_are_all_there_is():
    counters = {"createdCount": 2, "updatedCount": 1, "deletedCount": 0, "skippedCount": 1, "failedCount": 1}
    failures = [{"path": "skills/a/SKILL.md", "message": "bad frontmatter"}]
    its = run(summaryJson={**counters, "failures": failures})

    assert its.records == RecordCounts(
        inserted=2, updated=1, deleted=0, skipped=1, failed=1, processed=Count(value=5)
    )
    assert its.details.failures == tuple(failures)


def test_config_object_counters_leave_open_what_was_skipped():
    its = run(summaryJson={"createdConfigObjectCount": 3, "updatedConfigObjectCount": 1})

    assert its.records == RecordCounts(
        inserted=3, updated=1, processed=Count(value=4, relation=CountRelation.GTE)
    )


def test_what_the_code_writes_counts_imported_objects():
    assert run(summaryJson=WRITTEN).records == RecordCounts(processed=Count(value=7))


def test_a_summary_without_counters_is_no_record_of_zero():
    assert run(summaryJson={"outcome": "new_head_without_import"}).records is None
    assert run(summaryJson={"createdCount": 0}).records.inserted == 0


def test_one_value_of_a_wrong_type_does_not_cost_the_others():
    its = run(
        summaryJson={
            **WRITTEN,
            "createdCount": "3",
            "updatedCount": -1,
            "deletedCount": 2,
            "startedAt": "soon",
            "durationMs": 1e300,
            "failures": "many",
            "trigger": ["webhook"],
        }
    )

    assert its.records == RecordCounts(deleted=2, processed=Count(value=2, relation=CountRelation.GTE))
    assert (its.started_at, its.duration, its.details.failures) == (None, None, None)


def test_large_import_lists_are_not_kept():
    objects = [{"id": f"cob_{n}", "path": "x" * 100} for n in range(5_000)]

    assert "cob_" not in repr(run(summaryJson={**WRITTEN, "materializedConfigObjects": objects}))


@pytest.mark.parametrize(
    ("error", "last_error", "message"),
    [("a", "b", "a"), (None, "b", "b"), ({"code": 1}, "b", "b"), ("", "", None), (None, None, None)],
)
def test_a_failed_run_says_why(error, last_error, message):
    its = run(status="failed", summaryJson={"error": error, "lastError": last_error})

    assert (its.error and its.error.message) == message


def test_a_run_that_waits_for_another_try_says_what_went_wrong_last():
    waiting = {"status": "queued", "nextAttemptAt": "2026-11-20T08:05:00.000Z", "completedAt": None}
    its = run(**waiting, summaryJson={"error": "from before a retry", "lastError": "status 503"})

    assert (its.status, its.error.message) == (RunStatus.QUEUED, "status 503")
    assert its.next_attempt_at == datetime(2026, 11, 20, 8, 5, tzinfo=UTC)


def test_a_retried_event_that_is_queued_again_does_not_look_failed():
    old = {"lastError": "status 500", "error": "status 500", "outcome": "failed", "createdCount": 4}
    its = run(status="queued", completedAt=None, summaryJson={**old, **WRITTEN, "error": "status 500"})

    assert (its.status, its.error) == (RunStatus.QUEUED, None)
    assert (its.started_at, its.duration, its.records, its.finished_at) == (None, None, None, None)


def test_a_run_that_failed_after_a_retry_does_not_show_the_success_before_it():
    its = run(
        status="failed",
        startedAt="2026-11-20T09:00:00.000Z",
        completedAt="2026-11-20T09:00:10.000Z",
        summaryJson={**WRITTEN, "error": "status 404", "lastError": "status 404"},
    )

    assert (its.records, its.duration, its.started_at) == (None, None, None)
    assert its.error.message == "status 404"


def test_a_success_shows_no_old_error():
    assert run(summaryJson={**WRITTEN, "lastError": "status 503"}).error is None


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.AUTHENTICATION),
        (403, ErrorCategory.PERMISSION),
        (404, ErrorCategory.CONFIGURATION),
        (418, ErrorCategory.UNKNOWN),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SOURCE_UNAVAILABLE),
    ],
)
def test_github_says_what_kind_of_trouble_it_is(status, category):
    text = f"GitHub request failed with status {status}."

    assert run(status="failed", summaryJson={"error": text}).error.category is category
    assert run(status="failed", summaryJson={"error": "else"}).error.category is ErrorCategory.UNKNOWN


def instance(**changes):
    row = {"id": EVENT["connectorInstanceId"], "status": "active", "updatedAt": "2026-11-22T05:29:41.739Z"}
    return msgspec.json.decode(json.dumps({**row, **changes}), type=wire.Instance)


def target(**changes):
    row = {
        "id": EVENT["connectorTargetId"],
        "connectorInstanceId": EVENT["connectorInstanceId"],
        "connectorType": "github",
        "createdAt": "2026-11-22T05:29:41.776Z",
        "externalTargetRef": "main",
        "remoteId": "acme/skills",
        "targetConfigJson": {"branch": "release"},
        "updatedAt": "2026-11-22T05:29:41.776Z",
    }
    return msgspec.json.decode(json.dumps({**row, **changes}), type=wire.Target)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("active", ConnectorStatus.CONNECTED),
        ("disabled", ConnectorStatus.DISABLED),
        ("archived", ConnectorStatus.DISABLED),
        ("error", ConnectorStatus.ERROR),
        ("frozen", ConnectorStatus.UNKNOWN),
    ],
)
def test_an_instance_status(word, status):
    its = mapping.connector("den", instance(status=word))

    assert (its.status, its.raw_status) == (status, word)


def test_last_sync_fields_of_an_instance_are_never_written_and_so_never_read():
    its = instance(lastSyncedAt="2026-11-22T05:29:41.739Z", lastSyncStatus=3, lastSyncCursor={})

    assert mapping.connector("den", its) == mapping.connector("den", instance())


@pytest.mark.parametrize(
    ("status", "state", "enabled"),
    [
        ("disabled", SyncState.DISABLED, False),
        ("archived", SyncState.DISABLED, False),
        ("active", SyncState.UNKNOWN, None),
        ("error", SyncState.UNKNOWN, None),
        (None, SyncState.UNKNOWN, None),
    ],
)
def test_a_target_is_disabled_with_its_instance(status, state, enabled):
    its = mapping.sync("den", target(), instance(status=status) if status else None)

    assert (its.state, its.enabled, its.raw_status, its.last_outcome) == (state, enabled, status, None)
    assert its.extra == SyncExtra(schedule=Schedule(kind=ScheduleKind.EVENT))


@pytest.mark.parametrize(
    ("config", "stream"),
    [({"branch": "release"}, "release"), ({"branch": 7}, "main"), ({}, "main"), (None, "main")],
)
def test_a_target_is_named_for_its_repository_and_branch(config, stream):
    its = mapping.sync("den", target(targetConfigJson=config), None)

    assert (its.name, its.stream) == ("acme/skills", stream)


KEYS = st.sampled_from([*WRITTEN, *wire.Summary.__struct_encode_fields__, "other"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
INSTANTS = st.sampled_from(["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "2026-11-20T08:00:00"])


@given(
    summary=JSON | st.dictionaries(KEYS, JSON | INSTANTS, max_size=8),
    status=st.text() | st.sampled_from(sorted(mapping.STATUS)),
    id=st.text(max_size=5) | st.just("cse_" + "7" + "z" * 25),
)
def test_no_event_makes_the_mapping_fail(summary, status, id):
    its = run(summaryJson=summary, status=status, id=id)

    assert its.raw_status == status
