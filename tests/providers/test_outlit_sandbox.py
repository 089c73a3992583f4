"""Outlit's sandbox against Outlit's own OpenAPI documents."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from jsonschema import Draft202012Validator
from tests.contract.suite import NOW

from syncgraph.providers.outlit import sandbox, sandbox_data

REST, GATEWAY = "integrations", "tool-gateway"
FIXTURES = Path(__file__).parent.parent / "fixtures" / "openapi"
DOCUMENTS = {
    contract: json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    for contract, name in ((REST, "outlit.json"), (GATEWAY, "outlit-gateway-head.json"))
}
TOOL = "outlit_get_integration_status"
CALL = {"tool": TOOL, "input": {}}


class At:
    """A clock that stands until it is moved."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


def client(contract, clock=None, *, key=sandbox.KEY, **kwargs):
    transport = httpx2.ASGITransport(app=sandbox.app(clock=clock or At(), contract=contract, **kwargs))
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx2.AsyncClient(transport=transport, base_url="https://upstream.test", headers=headers)


def problems(contract, method, path, answer):
    """What the document of ``contract`` has against ``answer``."""
    document = DOCUMENTS[contract]
    said = document["paths"][path][method]["responses"][str(answer.status_code)]
    while "$ref" in said:
        said = document["components"]["responses"][said["$ref"].rpartition("/")[2]]
    schema = said["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    return [error.message for error in validator.iter_errors(answer.json())]


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("get", "/api/integrations", 200),
        ("get", "/api/integrations?connectedOnly=true", 200),
        ("get", "/api/integrations/sync-status", 400),
        ("get", "/api/integrations/sync-status?provider=sheets", 400),
        ("post", "/api/validate-api-key", 200),
        ("post", "/api/tools/call", 400),
    ],
)
async def test_a_rest_answer_is_as_documented(method, url, status):
    async with client(REST) as http:
        answer = await http.request(method, url)

    assert answer.status_code == status
    assert problems(REST, method, url.partition("?")[0], answer) == []


@pytest.mark.parametrize("provider", [its.id for its in sandbox_data.INTEGRATIONS])
async def test_the_sync_status_of_every_integration_is_as_documented(provider):
    async with client(REST) as http:
        answer = await http.get("/api/integrations/sync-status", params={"provider": provider})

    assert problems(REST, "get", "/api/integrations/sync-status", answer) == []
    assert answer.json()["provider"] == provider


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (CALL, 200, None),
        ({"tool": TOOL}, 200, None),
        ({"tool": TOOL, "input": {"provider": "stripe"}}, 200, None),
        ({"tool": TOOL, "input": {"provider": "sheets"}}, 400, "INVALID_TOOL_INPUT"),
        ({"tool": TOOL, "input": {"limit": 3}}, 400, "INVALID_TOOL_INPUT"),
        ({"tool": TOOL, "input": []}, 400, "INVALID_TOOL_INPUT"),
        ({"tool": "outlit_list_integrations"}, 400, "INVALID_TOOL_CALL"),
        ([], 400, "INVALID_TOOL_CALL"),
        (b"{", 400, "INVALID_JSON"),
    ],
)
async def test_a_tool_s_answer_is_as_documented(content, status, code):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    async with client(GATEWAY) as http:
        answer = await http.post("/api/tools/call", content=body)

    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert problems(GATEWAY, "post", "/api/tools/call", answer) == []


@pytest.mark.parametrize(
    ("contract", "method", "path"),
    [
        (REST, "get", "/api/integrations"),
        (REST, "get", "/api/integrations/sync-status"),
        (REST, "post", "/api/tools/call"),
        (REST, "post", "/api/validate-api-key"),
        (GATEWAY, "post", "/api/tools/call"),
        (GATEWAY, "post", "/api/validate-api-key"),
    ],
)
@pytest.mark.parametrize("key", [None, "ok_another"])
async def test_a_wrong_or_missing_key_is_refused_as_documented(contract, method, path, key):
    async with client(contract, key=key) as http:
        answer = await http.request(method, path)

    assert answer.status_code == 401
    assert problems(contract, method, path, answer) == []


async def test_a_key_that_is_not_valid_is_said_so_in_both_eras():
    for contract in (REST, GATEWAY):
        async with client(contract, key=None) as http:
            answer = await http.post("/api/validate-api-key")

        assert answer.json() == {"valid": False, "error": "Invalid credentials"}


async def test_the_gateway_s_key_context_is_as_documented():
    async with client(GATEWAY) as http:
        answer = await http.post("/api/validate-api-key")

    assert problems(GATEWAY, "post", "/api/validate-api-key", answer) == []


@pytest.mark.parametrize(("contract", "path"), [(REST, "/api/tools/call"), (GATEWAY, "/api/tools/call")])
async def test_a_used_up_allowance_is_answered_as_documented(contract, path):
    async with client(contract, limits=True) as http:
        for _ in range(sandbox.ALLOWANCE):
            await http.post(path, json=CALL)
        answer = await http.post(path, json=CALL)

    assert answer.status_code == 429
    assert answer.json()["resetAt"] == (NOW.replace(second=0) + timedelta(minutes=1)).timestamp() * 1000
    assert problems(contract, "post", path, answer) == []


async def test_the_rest_routes_are_not_there_under_the_gateway():
    async with client(GATEWAY) as http:
        for path in ("/api/integrations", "/api/integrations/sync-status?provider=stripe"):
            assert (await http.get(path)).status_code == 404


async def test_all_twelve_integrations_are_listed_and_seven_are_connected():
    async with client(REST) as http:
        rows = (await http.get("/api/integrations")).json()["items"]
        linked = (await http.get("/api/integrations?connectedOnly=true")).json()["items"]

    assert [row["id"] for row in rows if row["status"] == "connected"] == [row["id"] for row in linked]
    assert {row["id"] for row in rows} == set(DOCUMENTS[REST]["components"]["schemas"]["ProviderId"]["enum"])
    assert (len(rows), len(linked)) == (12, 7)


async def test_every_integration_of_the_tool_s_own_list_is_told():
    async with client(GATEWAY) as http:
        rows = (await http.post("/api/tools/call", json=CALL)).json()["integrations"]

    known = DOCUMENTS[GATEWAY]["components"]["schemas"][f"ToolInput_{TOOL}"]["properties"]["provider"]["enum"]
    assert {row["provider"] for row in rows} == set(known)


async def models(http):
    """All rows of all connected integrations."""
    listed = (await http.get("/api/integrations?connectedOnly=true")).json()["items"]
    return [
        (its["id"], row)
        for its in listed
        for row in (await http.get(f"/api/integrations/sync-status?provider={its['id']}")).json()["syncs"]
    ]


@pytest.mark.parametrize("minutes", range(0, 60, 7))
async def test_every_case_worth_seeing_is_there_at_every_time(minutes):
    now = NOW + timedelta(minutes=minutes)
    async with client(REST, At(now)) as http:
        rows = await models(http)
    words = [row["status"] for _, row in rows]
    names = [(its, row["model"]) for its, row in rows]

    assert {words.count(word) for word in ("FAILED", "PENDING", "syncing")} == {1}
    assert [bool(row["errorMessage"]) for _, row in rows] == [word == "FAILED" for word in words]
    assert len([model for _, model in names if not model]) == 1
    assert len(names) - len(set(names)) == 1
    times = [datetime.fromisoformat(row["lastSyncedAt"]) for _, row in rows if row["lastSyncedAt"]]
    assert max(times) <= now
    assert [now - time > timedelta(days=2) for time in times].count(True) == 1
    assert [row["status"] for _, row in rows if row["lastSyncedAt"] is None] == ["PENDING"]


async def test_what_is_syncing_becomes_a_success_as_time_passes():
    clock = At(datetime(2026, 11, 22, 9, 43, tzinfo=UTC))
    seen = []
    async with client(REST, clock) as http:
        for _ in range(3):
            rows = (await http.get("/api/integrations/sync-status?provider=posthog")).json()["syncs"]
            seen += [(row["status"], row["lastSyncedAt"]) for row in rows if row["model"] == "PosthogEvent"]
            clock.now += timedelta(minutes=4)

    assert seen == [
        ("syncing", "2026-11-22T09:35:00.000Z"),
        ("SUCCESS", "2026-11-22T09:45:00.000Z"),
        ("syncing", "2026-11-22T09:45:00.000Z"),
    ]


async def test_a_standing_clock_gives_the_same_bytes():
    async with client(REST) as one, client(REST) as other:
        for url in ("/api/integrations", "/api/integrations/sync-status?provider=slack"):
            assert (await one.get(url)).content == (await other.get(url)).content


async def test_the_server_resolves_an_alias_to_the_id():
    async with client(REST) as http:
        answer = await http.get("/api/integrations/sync-status?provider=gmail")

    assert answer.json()["provider"] == "google-mail"
