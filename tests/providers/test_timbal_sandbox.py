"""The sandbox answers as Timbal documents, moves with its clock, and the doctor can tell what it is."""

import json
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from tests.contract.suite import NOW, _no_waiting, bound  # noqa: F401
from tests.providers.test_timbal_mapping import SYNC
from tests.providers.test_timbal_quirks import DETAIL, ROOT, acme, configured, saying

from syncgraph import errors
from syncgraph.domain.model import ACTIVE, RunStatus
from syncgraph.ports import ALL
from syncgraph.providers.timbal import adapter
from syncgraph.providers.timbal.sandbox import KEY, LIMIT, app, settings
from syncgraph.providers.timbal.sandbox_data import TABLES

DOCUMENT = json.loads((Path(__file__).parents[1] / "fixtures/openapi/timbal.json").read_text())
SEED_LACKS = {"SyncView": {"key_columns", "consecutive_failures"}}
"""Required on 2026-07-28 and not there on 2026-07-03 (seed document "Get Connector Sync"; T-2)."""
WRONG_IN_THE_DOCUMENT = {
    "/orgs/{org_id}/connectors": {
        "type": "object",
        "required": ["connectors"],
        "properties": {
            "connectors": {"type": "array", "items": {"$ref": "#/components/schemas/ConnectorView"}}
        },
    },
    "/orgs/{org_id}/connectors/{connector_id}": {
        "type": "object",
        "required": ["connector"],
        "properties": {"connector": {"$ref": "#/components/schemas/ConnectorView"}},
    },
}
"""T-1: both routes' ``ResBody`` is an enrollment token's, by a clash of names. ConnectorView is a component that no route
uses; its wrapper is put after that of the sibling lists (docs/api-reference/openapi.json, 2026-07-28)."""


def schema_of(path):
    said = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return WRONG_IN_THE_DOCUMENT.get(path, said)


def invalid(path, body, document=DOCUMENT):
    schema = {**schema_of(path), "components": document["components"]}
    checker = Draft202012Validator(schema, format_checker=FormatChecker())
    return [error.message for error in checker.iter_errors(body)]


def client(contract="connectors", *, clock=lambda: NOW, key=KEY, **options):
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app(clock=clock, contract=contract, **options)),
        base_url="https://sandbox.test",
        headers={"authorization": f"Bearer {key}"},
        trust_env=False,
    )


# ---------------------------------------------------------------- the document


async def test_every_answer_is_as_timbals_document_says():
    async with client() as http:
        sync = (await http.get(f"{ROOT}/syncs")).json()["syncs"][0]
        of = {"org_id": "184", "connector_id": sync["connector_id"], "sync_id": sync["id"]}
        for path in [
            "/me/orgs",
            "/orgs/{org_id}/connectors",
            "/orgs/{org_id}/connectors/{connector_id}",
            "/orgs/{org_id}/connectors/syncs",
            "/orgs/{org_id}/connectors/jobs",
            "/orgs/{org_id}/connectors/{connector_id}/syncs/{sync_id}",
        ]:
            answer = await http.get(path.format_map(of))

            assert answer.status_code == 200
            assert invalid(path, answer.json()) == [], path


async def test_every_syncs_detail_is_as_the_document_says_under_both_contracts():
    path = "/orgs/{org_id}/connectors/{connector_id}/syncs/{sync_id}"
    older = json.loads(json.dumps(DOCUMENT))
    for name, lacking in SEED_LACKS.items():
        schema = older["components"]["schemas"][name]
        schema["required"] = [field for field in schema["required"] if field not in lacking]
    syncs = [(table.box.id, table.id) for table in TABLES]
    for contract, document in (("connectors", DOCUMENT), ("sync-detail", older)):
        async with client(contract) as http:
            for connector, sync in syncs:
                body = (await http.get(f"{ROOT}/{connector}/syncs/{sync}")).json()

                assert invalid(path, body, document) == []
                assert ("key_columns" in body["sync"]) is (contract == "connectors")
                assert contract == "connectors" or isinstance(body["sync"]["cursor_column"], str)


async def test_a_refusal_is_timbals_error_message():
    schema = {"$ref": "#/components/schemas/ErrorMessage", "components": DOCUMENT["components"]}
    async with client() as http, client(key="t2_other") as stranger:
        answers = [
            await stranger.get(ROOT),
            await stranger.get("/me/orgs"),
            await http.get("/orgs/185/connectors"),
            await http.get(f"{ROOT}/nope"),
            await http.get(f"{ROOT}/nope/syncs/nope"),
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 403, 404, 404]
    for answer in answers:
        assert not list(Draft202012Validator(schema).iter_errors(answer.json()))


async def test_a_server_of_2026_07_03_has_no_lists():
    async with client("sync-detail") as http:
        answers = [await http.get(ROOT + path) for path in ("", "/syncs", "/jobs", "/c1")]

    assert [(answer.status_code, answer.content) for answer in answers] == [(404, b"")] * 4


async def test_an_unknown_connector_has_no_syncs_and_no_jobs():
    async with client() as http:
        assert (await http.get(f"{ROOT}/syncs", params={"connector_id": "x"})).json() == {"syncs": []}
        assert (await http.get(f"{ROOT}/jobs", params={"connector_id": "x"})).json() == {"jobs": []}


async def test_organisations_can_be_searched():
    async with client() as http:
        assert (await http.get("/me/orgs", params={"q": "ACME"})).json()["orgs"][0]["id"] == "184"
        assert (await http.get("/me/orgs", params={"q": "other"})).json()["orgs"] == []


def test_a_contract_that_never_was_is_refused():
    with pytest.raises(ValueError, match="sync-detail, connectors"):
        app(clock=lambda: NOW, contract="v3")


# ---------------------------------------------------------------- the clock


async def test_with_a_frozen_clock_every_answer_is_the_same_to_the_byte():
    async with client() as one, client() as other:
        for path in ("", "/syncs", "/jobs"):
            assert (await one.get(ROOT + path)).content == (await other.get(ROOT + path)).content


async def runs_at(now):
    async with acme(now=now) as (provider, _):
        page = await provider.run_feed.page(ALL, first=1, after=None)
    return {run.key.id: run for run in page.items}


async def test_with_an_advancing_clock_runs_queue_start_finish_and_keep_their_ids():
    met, before = set(), await runs_at(NOW)
    for step in range(1, 21):
        after = await runs_at(NOW + timedelta(seconds=15 * step))
        kept = before.keys() & after.keys()
        moves = {(before[its].status, after[its].status) for its in kept}

        assert moves <= {
            *((status, status) for status in RunStatus),
            (RunStatus.QUEUED, RunStatus.RUNNING),
            *(
                (RunStatus.RUNNING, end)
                for end in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
            ),
        }
        assert {before[its].ordered_at for its in kept} == {after[its].ordered_at for its in kept}
        met |= moves
        before = after

    assert (RunStatus.QUEUED, RunStatus.RUNNING) in met
    assert (RunStatus.RUNNING, RunStatus.SUCCEEDED) in met


async def test_a_run_has_an_end_exactly_when_it_is_not_under_way():
    for minute in range(30):
        now = NOW + timedelta(minutes=minute)
        for run in (await runs_at(now)).values():
            if run.status in ACTIVE:
                assert (run.finished_at, run.duration) == (None, None)
            else:
                assert run.created_at < run.started_at < run.finished_at <= now
                assert run.duration == timedelta(
                    milliseconds=(run.finished_at - run.started_at) // timedelta(milliseconds=1)
                )


async def test_stats_are_the_count_of_the_runs_there_have_been():
    async with acme() as (provider, _):
        syncs = (await provider.sync_feed.page(ALL, first=50, after=None)).items
        before = await provider.stats_lookup.find_stats([row.key.id for row in syncs])
    for name, ends in (("Orders", 12), ("Customers", 4), ("Lisbon tills", 0)):
        nth = next(n for n, row in enumerate(syncs) if row.name == name)
        async with acme(now=NOW + timedelta(hours=1)) as (provider, _):
            (after,) = await provider.stats_lookup.find_stats([syncs[nth].key.id])

        assert after.runs_total - before[nth].runs_total == ends
        assert after.runs_succeeded >= before[nth].runs_succeeded
        assert after.records_total >= before[nth].records_total


async def test_acme_looks_alike_in_every_season():
    for days in (-400, -100, 0, 27, 28, 365):
        async with acme(now=NOW + timedelta(days=days)) as (provider, _):
            states = [row.state for row in (await provider.sync_feed.page(ALL, first=50, after=None)).items]

        assert sorted(set(states) & {"PAUSED", "DISABLED", "NEVER_RUN"}) == [
            "DISABLED",
            "NEVER_RUN",
            "PAUSED",
        ]


# ---------------------------------------------------------------- the limit


async def test_the_limit_is_per_window_and_told_in_seconds():
    time = [NOW]
    async with client(clock=lambda: time[0], limits=True) as http:
        answers = [await http.get("/me/orgs") for _ in range(LIMIT + 1)]
        time[0] += timedelta(seconds=int(answers[-1].headers["retry-after"]))
        again = await http.get("/me/orgs")

    assert [answers[0].headers["ratelimit-remaining"], answers[-2].headers["x-ratelimit-remaining"]] == [
        "119",
        "0",
    ]
    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    assert answers[-1].headers["retry-after"] == answers[-1].headers["ratelimit-reset"] == "53"
    assert again.status_code == 200


async def test_without_limits_there_is_none():
    async with client() as http:
        assert not [name for name in (await http.get("/me/orgs")).headers if "ratelimit" in name]


# ---------------------------------------------------------------- the doctor

ORGS = {"orgs": [{"id": "184", "name": "Acme"}]}


async def test_the_doctor_of_today_sees_both_contracts_in_three_calls():
    async with acme() as (provider, calls):
        found = await provider.probe.diagnose()

    assert (found.served, found.advice) == (("connectors", "sync-detail"), ())
    assert len(calls.sent) == 3


async def test_the_doctor_sends_an_operator_of_an_older_server_to_the_older_contract():
    its = app(clock=lambda: NOW, contract="sync-detail")
    async with bound(adapter, httpx2.ASGITransport(app=its), configured(), credential=KEY) as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.reachable, found.authorised, found.served) == (True, True, ())
    assert isinstance(found.error, errors.UpstreamGoneError)
    assert 'contract = "sync-detail"' in found.advice[0]


async def test_the_doctor_offers_the_lists_where_they_are_served():
    its = app(clock=lambda: NOW, contract="connectors")
    table = configured("sync-detail", **settings("sync-detail"))
    async with bound(adapter, httpx2.ASGITransport(app=its), table, credential=KEY) as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.error, found.served) == (None, ("connectors", "sync-detail"))
    assert 'contract = "connectors"' in found.advice[0]


async def test_the_doctor_names_a_configured_sync_that_is_not_there():
    async with saying({"/me/orgs": ORGS}, "sync-detail", syncs=["c1/s1"]) as (provider, _):
        found = await provider.probe.diagnose()

    assert isinstance(found.error, errors.UpstreamNotFoundError)
    assert (found.authorised, found.advice) == (True, ("Sync c1/s1 is not there: correct syncs.",))


async def test_the_doctor_names_the_organisations_of_a_key_that_is_in_another():
    answers = {
        "/me/orgs": {"orgs": [{"id": 7, "name": "Initech"}]},
        f"{ROOT}/syncs": httpx2.Response(403),
    }
    async with saying(answers) as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.reachable, found.authorised) == (True, False)
    assert isinstance(found.error, errors.UpstreamForbiddenError)
    assert found.advice == ("The key's user is not in organisation 184; it is in: 7 (Initech).",)


async def test_the_doctor_makes_nothing_of_a_first_page_of_many_organisations():
    answers = {
        "/me/orgs": {"orgs": [{"id": "7", "name": "Initech"}], "next_page_token": "x"},
        f"{ROOT}/syncs": {"syncs": []},
    }
    async with saying(answers) as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.advice, found.served, found.error) == ((), ("connectors",), None)


async def test_the_doctor_reads_the_clock_and_the_limit():
    headers = {
        "date": "Sun, 22 Nov 2026 09:41:37 GMT",
        "server": "timbal",
        "x-ratelimit-limit": "600",
        "ratelimit-remaining": "598",
        "ratelimit-reset": "31",
    }
    answers = {
        "/me/orgs": httpx2.Response(200, json=ORGS, headers=headers),
        f"{ROOT}/syncs": httpx2.Response(200, json={"syncs": [SYNC]}, headers=headers),
        f"{ROOT}/c1/syncs/s1": httpx2.Response(200, json=DETAIL, headers=headers),
    }
    async with saying(answers) as (provider, _):
        found = await provider.probe.diagnose()

    assert found.clock_skew == timedelta(seconds=30)
    assert found.server == "timbal"
    assert found.limits == "598 of 600 calls left for this key's user, all of them again in 31 s"


async def test_the_doctor_of_a_server_that_cannot_be_reached_says_nothing_of_the_key():
    def refuse(_):
        raise httpx2.ConnectError("no")

    async with bound(adapter, httpx2.MockTransport(refuse), configured()) as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.reachable, found.authorised, found.served, found.limits) == (False, None, (), None)
    assert isinstance(found.error, errors.UpstreamUnavailableError)


async def test_the_doctor_of_a_refused_key():
    async with saying({path: httpx2.Response(401) for path in ("/me/orgs", f"{ROOT}/syncs")}) as (
        provider,
        _,
    ):
        found = await provider.probe.diagnose()

    assert (found.reachable, found.authorised) == (True, False)
    assert found.advice == ("The provider refuses the gateway's credential.",)
