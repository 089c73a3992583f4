"""Den keeps what every provider must, under both contracts; its configuration; its sandbox."""

from datetime import timedelta

import httpx2
import pytest
from tests.contract.suite import (
    NOW,
    ProviderContract,
    _no_waiting,  # noqa: F401 - autouse
)

from syncgraph.config import ConfigError, parse
from syncgraph.providers.den import adapter
from syncgraph.providers.den import sandbox as den
from syncgraph.providers.den.settings import Settings

CONTRACTS = ("sync-events", "connector-instances")


class Den(ProviderContract):
    adapter = adapter
    sandbox = staticmethod(den.app)
    table = staticmethod(den.settings)
    key = den.KEY


class TestSyncEvents(Den):
    contract = "sync-events"


class TestConnectorInstances(Den):
    contract = "connector-instances"


def configured(monkeypatch, **table):
    monkeypatch.setenv("DEN_KEY", den.KEY)
    raw = {"providers": {"den": {"kind": "den", "credential": "env:DEN_KEY", **table}}}
    return parse(raw, {"den": Settings}).providers["den"]


def test_needs_only_a_key(monkeypatch):
    its = configured(monkeypatch)

    assert (its.contract, its.base_url) == ("connector-instances", "https://api.openworklabs.com")
    assert (its.attempt_timeout_s, its.retry_timeouts) == (10.0, False)


def test_an_api_key_goes_in_its_own_header_as_den_refuses_one_sent_as_bearer(monkeypatch):
    assert adapter.dialect(configured(monkeypatch)).headers == {"x-api-key": den.KEY}


def test_a_session_token_goes_as_bearer_with_the_organisation_asked_for(monkeypatch):
    organisation = "org_01m80vpjfxee5rrmbyechntd5p"
    its = configured(monkeypatch, auth="bearer", organisation=organisation)

    assert adapter.dialect(its).headers == {
        "authorization": f"Bearer {den.KEY}",
        "x-openwork-org-id": organisation,
    }


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"organisation": "org_01m80vpjfxee5rrmbyechntd5p"}, "Den binds an API key to one organisation"),
        ({"auth": "bearer", "organisation": "acme"}, "pattern"),  # Den ignores a malformed one silently
        ({"contract": "v2"}, "sync-events"),
        ({"auth": "basic"}, "bearer"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(monkeypatch, table, hint):
    with pytest.raises(ConfigError, match=hint):
        configured(monkeypatch, **table)


async def answers(paths, *, at=NOW, contract="connector-instances", key=den.KEY, **kwargs):
    app = den.app(clock=lambda: at, contract=contract, **kwargs)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://den.test") as client:
        return [await client.get(path, headers={"x-api-key": key}) for path in paths]


async def test_the_sandbox_is_a_pure_function_of_the_clock():
    paths = ["/v1/connector-sync-events?limit=100", "/v1/connector-instances", "/v1/me/orgs"]
    first, again = await answers(paths), await answers(paths)

    assert [one.content for one in first] == [one.content for one in again]


async def test_the_sandbox_moves_with_the_clock_and_what_has_ended_stays():
    path = "/v1/connector-sync-events?limit=100"
    [before] = await answers([path])
    [after] = await answers([path], at=NOW + timedelta(hours=3))
    old = {row["id"]: row for row in before.json()["items"]}
    new = {row["id"]: row for row in after.json()["items"]}
    running = [its for its, row in old.items() if row["status"] == "running"]
    ended = [its for its, row in old.items() if row["completedAt"] and its in new]

    assert running
    assert all(new[its]["completedAt"] for its in running)
    assert ended
    assert [new[its] for its in ended] == [old[its] for its in ended]
    assert new.keys() - old.keys()


@pytest.mark.parametrize("hours", range(0, 48, 5))
async def test_the_sandbox_always_has_a_run_that_runs_and_one_that_waits_for_another_try(hours):
    path = "/v1/connector-sync-events?limit=100&status="
    at = NOW + timedelta(hours=hours, minutes=7 * hours)
    running, queued = await answers([path + "running", path + "queued"], at=at)

    assert running.json()["items"]
    assert [row for row in queued.json()["items"] if row["nextAttemptAt"]]


async def test_many_runs_cost_the_sandbox_nothing_until_they_are_asked_for():
    [page] = await answers(["/v1/connector-sync-events?limit=100"], runs=8_000)
    cursor, seen = page.json()["nextCursor"], 100
    [deep] = await answers([f"/v1/connector-sync-events?limit=100&cursor={cursor}"], runs=8_000)

    assert seen == len(page.json()["items"]) == len(deep.json()["items"])


async def test_the_sandbox_limits_a_key_until_it_has_rested():
    clock = [NOW]
    app = den.app(clock=lambda: clock[0], contract="connector-instances", limits=True)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="https://den.test"
    ) as client:

        async def status():
            return (await client.get("/v1/me/orgs", headers={"x-api-key": den.KEY})).status_code

        assert {await status() for _ in range(600)} == {200}
        assert await status() == 401
        clock[0] += timedelta(seconds=20)
        assert await status() == 401
        clock[0] += timedelta(seconds=42)
        assert await status() == 200
