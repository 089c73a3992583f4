"""The sandbox answers as Den's own OpenAPI documents promise, and refuses as the recorded server did."""

import json
from datetime import timedelta

import httpx2
import jsonschema
import pytest
from tests.contract.suite import NOW
from tests.replay import RECORDINGS, recording

from syncgraph.providers.den import sandbox
from syncgraph.providers.den.sandbox_data import (
    BILLING,
    INSTANCES,
    ORGANISATION,
    TARGETS,
    event_at,
    stamp,
    type_id,
)
from syncgraph.providers.den.typeid import created_at

OPENAPI = RECORDINGS.parent / "openapi"
TODAY = json.loads((OPENAPI / "den.json").read_text(encoding="utf-8"))
BEFORE_ATTEMPTS = json.loads((OPENAPI / "den-docs-2026-07-23.json").read_text(encoding="utf-8"))
UNDECLARED = {
    ("/v1/connector-sync-events/{connectorSyncEventId}", 403),
    ("/v1/connector-instances/{connectorInstanceId}", 403),
    ("/v1/me/orgs", 401),
}
"""Answers that a running server gave and its document leaves out: recordings member_get_403, member_instance_403,
me_orgs_401."""
EVENT, EVENTS = event_at(NOW).id, "/v1/connector-sync-events"
INSTANCE, TARGET = BILLING.id, next(its for its in TARGETS if its.instance is BILLING).id
STRANGE = "01m80vkm8pe7db5r2hzdtn8h4p"


def valid(document, route, answer, method="get"):
    said = document["paths"][route][method]["responses"][str(answer.status_code)]
    schema = {**said["content"]["application/json"]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def client(*, contract="connector-instances", clock=lambda: NOW, **headers):
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=sandbox.app(clock=clock, contract=contract)),
        base_url="https://den.test",
        headers=headers or {"x-api-key": sandbox.KEY},
    )


async def get(path, *, contract="connector-instances", **headers):
    async with client(contract=contract, **headers) as den:
        return await den.get(path)


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        (f"{EVENTS}?limit=100", EVENTS, 200),
        (f"{EVENTS}?status=queued&eventType=push", EVENTS, 200),
        (f"{EVENTS}?limit=500&status=zzz", EVENTS, 400),
        (f"{EVENTS}?limit=many", EVENTS, 400),
        (f"{EVENTS}/{EVENT}", f"{EVENTS}/{{connectorSyncEventId}}", 200),
        (f"{EVENTS}/cse_{STRANGE}", f"{EVENTS}/{{connectorSyncEventId}}", 404),
        (f"{EVENTS}/cse_zzz", f"{EVENTS}/{{connectorSyncEventId}}", 400),
        ("/v1/connector-instances", "/v1/connector-instances", 200),
        (f"/v1/connector-instances/{INSTANCE}", "/v1/connector-instances/{connectorInstanceId}", 200),
        (f"/v1/connector-instances/cin_{STRANGE}", "/v1/connector-instances/{connectorInstanceId}", 404),
        (
            f"/v1/connector-instances/{INSTANCE}/targets",
            "/v1/connector-instances/{connectorInstanceId}/targets",
            200,
        ),
        (f"/v1/connector-targets/{TARGET}", "/v1/connector-targets/{connectorTargetId}", 200),
        (f"/v1/connector-targets/ctg_{STRANGE}", "/v1/connector-targets/{connectorTargetId}", 404),
        ("/v1/me/orgs", "/v1/me/orgs", 200),
        ("/health", "/health", 200),
    ],
)
async def test_answers_are_valid_by_the_document_of_a_running_server(path, route, status):
    answer = await get(path)

    assert answer.status_code == status
    valid(TODAY, route, answer)


@pytest.mark.parametrize("path", [f"{EVENTS}?limit=100", f"{EVENTS}/{EVENT}", f"{EVENTS}?limit=0"])
async def test_the_seed_contract_is_valid_by_the_document_of_its_time(path):
    answer = await get(path, contract="sync-events")
    route = f"{EVENTS}/{{connectorSyncEventId}}" if EVENT in path else EVENTS

    valid(BEFORE_ATTEMPTS, route, answer)
    assert b"attemptCount" not in answer.content


async def test_what_the_document_leaves_out_is_answered_as_recorded():
    member = {"x-api-key": sandbox.MEMBER_KEY}
    answers = {
        "member_get_403": await get(f"{EVENTS}/{EVENT}", **member),
        "member_instance_403": await get(f"/v1/connector-instances/{INSTANCE}", **member),
        "member_list_no_grants": await get(EVENTS, **member),
        "me_orgs_401": await get("/v1/me/orgs", **{"x-api-key": "den_none"}),
    }

    for name, answer in answers.items():
        its = recording(RECORDINGS / "den", name)
        assert (answer.status_code, answer.json()) == (its.status, its.body), name
    for route, status in UNDECLARED:
        assert str(status) not in TODAY["paths"][route]["get"]["responses"]


@pytest.mark.parametrize(
    "name",
    [
        *("events_bad_400", "events_bad_instance_400", "events_upper_id_400", "events_limit0_400"),
        *("events_multi_status", "events_cursor_empty_400", "events_cursor_too_long_400"),
        *("event_bad_id_400", "event_overflow_id", "event_404", "targets_404", "trailing_slash"),
        *("events_instance_unknown", "no_auth_401", "auth_before_validation", "bad_key_401"),
    ],
)
async def test_refuses_in_the_words_of_the_recorded_server(name):
    its = recording(RECORDINGS / "den", name)
    key = {"x-api-key": sandbox.KEY} if its.identity and name != "bad_key_401" else {"x-api-key": "den_bad"}
    query = f"?{httpx2.QueryParams(list(its.query))}" if its.query else ""
    answer = await get(its.path + query, **key)

    assert (answer.status_code, answer.json()) == (its.status, its.body)


async def test_an_unknown_route_is_not_found_and_so_is_all_but_events_under_the_seed_contract():
    for path, contract in (
        ("/v1/nowhere", "connector-instances"),
        ("/v1/connector-instances", "sync-events"),
        (f"/v1/connector-targets/{TARGET}", "sync-events"),
        ("/v1/me/orgs", "sync-events"),
    ):
        answer = await get(path, contract=contract)

        assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})


@pytest.mark.parametrize(
    ("organisation", "status"),
    [(ORGANISATION, 200), ("garbage", 200), (f"org_{STRANGE}", 404)],
)
async def test_a_session_may_name_an_organisation_and_a_malformed_name_is_ignored(organisation, status):
    answer = await get(
        f"{EVENTS}?limit=1", authorization=f"Bearer {sandbox.SESSION}", **{"x-openwork-org-id": organisation}
    )

    assert answer.status_code == status


async def test_an_unknown_cursor_is_the_head():
    head = (await get(f"{EVENTS}?limit=3")).json()

    assert (await get(f"{EVENTS}?limit=3&cursor=does-not-exist")).json() == head
    gone = head["items"][0]["id"]
    other = "failed" if head["items"][0]["status"] != "failed" else "completed"
    assert (await get(f"{EVENTS}?limit=3&status={other}&cursor={gone}")).json() == (
        await get(f"{EVENTS}?limit=3&status={other}")
    ).json()


@pytest.mark.parametrize(
    ("id", "key", "status"),
    [
        (EVENT, sandbox.KEY, 202),
        (EVENT, sandbox.MEMBER_KEY, 403),
        (EVENT, "den_none", 401),
        (f"cse_{STRANGE}", sandbox.KEY, 404),
        ("cse_zzz", sandbox.KEY, 400),
    ],
)
@pytest.mark.parametrize(
    ("contract", "document"), [("connector-instances", TODAY), ("sync-events", BEFORE_ATTEMPTS)]
)
async def test_a_retry_is_answered_by_the_document(id, key, status, contract, document):
    async with client(contract=contract, **{"x-api-key": key}) as den:
        answer = await den.post(f"{EVENTS}/{id}/retry")

    assert answer.status_code == status
    if (status, document) != (403, BEFORE_ATTEMPTS):  # its document leaves that out
        valid(document, f"{EVENTS}/{{connectorSyncEventId}}/retry", answer, "post")


async def test_a_retry_is_accepted_or_refused_in_the_words_of_the_recorded_server():
    accepted, refused = (
        recording(RECORDINGS / "den", "retry_failed_202"),
        recording(RECORDINGS / "den", "member_retry_403"),
    )
    async with client() as den:
        said = await den.post(f"{EVENTS}/{EVENT}/retry")
        forbidden = await den.post(f"{EVENTS}/{EVENT}/retry", headers={"x-api-key": sandbox.MEMBER_KEY})

    assert (said.status_code, said.json()) == (accepted.status, {**accepted.body, "job": {"id": EVENT}})
    assert (forbidden.status_code, forbidden.json()) == (refused.status, refused.body)


@pytest.mark.parametrize("word", ["failed", "completed"])
async def test_a_retry_puts_the_same_event_to_the_head_and_takes_back_nothing_that_it_said(word):
    now = NOW
    async with client(clock=lambda: now) as den:
        before = (await den.get(f"{EVENTS}?limit=100")).json()["items"]
        its = next(row for row in before[5:] if row["status"] == word)
        await den.post(f"{EVENTS}/{its['id']}/retry")
        after = (await den.get(f"{EVENTS}?limit=100")).json()["items"]
        now += timedelta(hours=4)
        later = (await den.get(f"{EVENTS}/{its['id']}")).json()["item"]

    again = {"status": "queued", "startedAt": stamp(NOW), "attemptCount": 0, "completedAt": None}
    assert after == [{**its, **again}, *(row for row in before if row != its)]
    assert (later["status"], later["startedAt"]) == (word, stamp(NOW))
    assert later["completedAt"] > stamp(NOW)
    assert later["summaryJson"].keys() == its["summaryJson"].keys()


async def test_search_looks_into_references_without_regard_to_case():
    row = next(
        row
        for row in (await get(f"{EVENTS}?limit=100")).json()["items"]
        if row["externalEventRef"] is not None
    )
    found = (await get(f"{EVENTS}?q={row['externalEventRef'][:13].upper()}")).json()["items"]

    assert row["id"] in [its["id"] for its in found]


def test_ids_are_typeids_that_hold_their_time():
    its = event_at(NOW)

    assert created_at(its.id) == its.at.replace(microsecond=its.at.microsecond // 1000 * 1000)
    assert created_at(type_id("ctg", NOW, "x")) is None
    assert created_at("cse_" + "7" + "z" * 25) is None
    assert {its.status for its in INSTANCES} == {"active", "disabled", "error"}
