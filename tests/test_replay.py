"""The main job on real input: recorded answers of really running servers, over sockets, through the whole gateway."""

from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
from tests.replay import DEN_UNRECORDED, RECORDINGS, recording, replay, serving

from syncgraph import config
from syncgraph.app import create_app, utc_now
from syncgraph.providers import PROVIDERS
from syncgraph.report import diagnose, doctor_lines
from syncgraph.upstream import transport

DEN, TODAY, OLD = (RECORDINGS / name for name in ("den", "airweave", "airweave-0.9.17"))
CONNECTIONS = [row["id"] for row in recording(TODAY, "sc_list").body]
RECORDED_JOBS = {
    row["source_connection_id"]: row
    for name in ("jobs_list_limit3", "jobs_running", "jobs_after_run")
    for row in recording(TODAY, name).body
}
NO_JOBS: dict[str, object] = {
    f"/source-connections/{one}/jobs": [] for one in CONNECTIONS if one not in RECORDED_JOBS
}
"""Connections whose jobs nobody recorded."""
OLD_JOBS = ("sync_job_failed", "sync_job_running", "sync_job_pending", "sync_job_cancelled")
NOBODY = "/sync/00000000-0000-4000-8000-000000000000/job/00000000-0000-4000-8000-000000000000"
NO_ROUTE = recording(TODAY, "seed_sync_job_404")
NO_OLD_ROUTES = dict.fromkeys((NOBODY, *(recording(OLD, name).path for name in OLD_JOBS)), NO_ROUTE)
"""Paths of v0.9.17, which today's server answers as any that it does not know."""


@asynccontextmanager
async def replaying(monkeypatch: pytest.MonkeyPatch):
    """Settings for a gateway over the recorded Den, Airweave and Airweave 0.9.17, each on a socket of its own."""
    monkeypatch.setenv("REPLAY_KEY", "a-key-that-was-redacted")
    async with AsyncExitStack() as stack:
        den = await stack.enter_async_context(serving(replay(DEN, unrecorded=DEN_UNRECORDED)))
        airweave = await stack.enter_async_context(
            serving(replay(TODAY, default_limit=100, unrecorded={**NO_JOBS, **NO_OLD_ROUTES}))
        )
        old = await stack.enter_async_context(serving(replay(OLD, default_limit=100)))
        jobs = [
            f"{recording(OLD, name).body['sync_id']}/{recording(OLD, name).body['id']}" for name in OLD_JOBS
        ]
        tables: dict[str, dict[str, Any]] = {
            "den": {"kind": "den", "base_url": den},
            "airweave": {"kind": "airweave", "base_url": airweave},
            "old-airweave": {
                "kind": "airweave",
                "base_url": old,
                "contract": "sync-jobs",
                "job_path": "airweave-0.9.17",
                "jobs": jobs,
            },
        }
        providers = {name: {**table, "credential": "env:REPLAY_KEY"} for name, table in tables.items()}
        yield config.parse({"providers": providers}, {kind: one.settings for kind, one in PROVIDERS.items()})


@asynccontextmanager
async def asking(settings: config.Settings):
    """A gateway over real connections; asks it for data that must come without an error."""
    app = create_app(settings)

    async def ask(query: str, **variables: Any) -> Any:
        answer = await http.post("/graphql", json={"query": query, "variables": variables})
        body = msgspec.json.decode(answer.content)
        assert "errors" not in body, body["errors"]
        return body["data"]

    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as http,
    ):
        yield ask


RUNS = """
query ($first: Int, $after: String) {
  syncRuns(first: $first, after: $after) {
    nodes {
      providerName externalId status rawStatus orderedAt createdAt startedAt finishedAt durationSeconds attempt
      records { inserted updated deleted skipped failed processed { value relation } byType { type count } }
      error { message category fingerprint } trigger connector { externalId name } sync { externalId name }
      details { __typename }
    }
    pageInfo { hasNextPage endCursor }
    sources { provider { name } status coverage }
  }
}
"""


@pytest.mark.parametrize("first", [7, 100])
async def test_every_recorded_run_is_in_the_merged_list_once_and_in_order(monkeypatch, first):
    async with replaying(monkeypatch) as settings, asking(settings) as ask:
        runs: list[Any] = []
        after, more = None, True
        while more:
            page = (await ask(RUNS, first=first, after=after))["syncRuns"]
            runs += page["nodes"]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    by_provider = {name: [run for run in runs if run["providerName"] == name] for name in settings.providers}
    assert len(by_provider["den"]) == len(recording(DEN, "events_limit100").body["items"])
    assert {run["externalId"].partition("/")[0] for run in by_provider["airweave"]} == set(RECORDED_JOBS)
    assert len(by_provider["old-airweave"]) == 4
    assert len({(run["providerName"], run["externalId"]) for run in runs}) == len(runs)
    assert [run["orderedAt"] for run in runs] == sorted((run["orderedAt"] for run in runs), reverse=True)
    assert {run["status"] for run in runs} >= {
        "SUCCEEDED",
        "FAILED",
        "RUNNING",
        "QUEUED",
        "PARTIAL",
        "SKIPPED",
        "CANCELLED",
    }
    assert {source["status"] for source in page["sources"]} == {"OK"}


async def test_connectors_syncs_and_stats_of_really_running_servers(monkeypatch):
    async with replaying(monkeypatch) as settings, asking(settings) as ask:
        data = await ask(
            """{ connectors(first: 100) {
                   nodes { providerName externalId name status rawStatus sourceType
                     syncs { nodes { externalId name state stats { source coverage runsTotal } } } }
                   sources { provider { name } status coverage } } }"""
        )

    shown = {(one["providerName"], one["externalId"]): one for one in data["connectors"]["nodes"]}
    instances = {row["id"] for row in recording(DEN, "instances").body["items"]}
    assert {one for name, one in shown if name == "den"} == instances
    assert {one for name, one in shown if name == "airweave"} == set(CONNECTIONS)
    statuses = {row["id"]: row["status"] for row in recording(TODAY, "sc_list").body}
    assert {shown["airweave", one]["rawStatus"] for one in CONNECTIONS} == set(statuses.values())
    assert [one["status"] for one in data["connectors"]["sources"]] == ["OK", "OK", "UNSUPPORTED"]


async def test_the_doctor_tells_the_recorded_servers_apart(monkeypatch):
    async with replaying(monkeypatch) as settings:
        found = await diagnose(settings, connect=transport.connect, clock=utc_now)

    by_name = {one.name: one.diagnosis for one in found}
    assert all(one.reachable and one.authorised for one in by_name.values())
    assert "connector-instances" in by_name["den"].served
    assert by_name["airweave"].served == ("source-connections",)
    assert "0.9.17" in (by_name["old-airweave"].server or "")
    assert "sync-jobs" in by_name["old-airweave"].served
    assert "den" in "\n".join(doctor_lines(found))


async def test_the_doctor_says_which_contract_to_configure_where_another_is_served(monkeypatch):
    async with replaying(monkeypatch) as settings:
        swapped = {
            "airweave": {
                **_table(settings, "old-airweave"),
                "base_url": settings.providers["airweave"].base_url,
            }
        }
        providers = {name: {**table, "credential": "env:REPLAY_KEY"} for name, table in swapped.items()}
        wrong = config.parse(
            {"providers": providers}, {kind: one.settings for kind, one in PROVIDERS.items()}
        )
        [found] = await diagnose(wrong, connect=transport.connect, clock=utc_now)

    assert found.diagnosis.served == ("source-connections",)
    assert any('"source-connections"' in sentence for sentence in found.diagnosis.advice)


def _table(settings: config.Settings, name: str) -> dict[str, Any]:
    return settings.providers[name].model_dump(
        mode="json", exclude={"credential"}, exclude_unset=True, exclude_none=True
    )
