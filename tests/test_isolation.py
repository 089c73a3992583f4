"""One provider in trouble: everyone else is complete, and nothing of the trouble's own text gets out."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.gateway import Gateway, Upstreams, running

from syncgraph import sandboxes
from syncgraph.config import ProviderSettings, Settings

KINDS = list(sandboxes.SANDBOXES)
OPEN = "UPSTREAM_CIRCUIT_OPEN"
HOST = "canary-host.invalid"
CREDENTIAL = "canary-credential-Zx81qQ0pLm"
BODY = "CANARY-BODY"
HEADERS = {
    "x-canary": "CANARY-HEADER",
    "set-cookie": "session=CANARY-COOKIE",
    "www-authenticate": 'Bearer realm="CANARY-REALM"',
    "server": "CANARY-SERVER",
}

QUERY = """
{
  connectors(first: 100) { nodes { ...C } sources { ...S } total { value relation } }
  syncs(first: 100) { nodes { ...Y } sources { ...S } total { value relation } }
  syncRuns(first: 100) { nodes { ...R } sources { ...S } total { value relation } }
}
fragment C on Connector { id name sourceType status rawStatus createdAt provider { name } }
fragment Y on Sync { id name stream state enabled freshness { lastSuccessAt lagSeconds } connector { id name } provider { name } }
fragment R on SyncRun {
  id status rawStatus orderedAt startedAt finishedAt durationSeconds error { message category }
  records { inserted updated emitted } sync { id name } provider { name }
}
fragment S on SourceOutcome { provider { name } status coverage horizon fetchedAt code }
"""

Answer = Callable[[httpx2.Request], httpx2.Response]


@dataclass(frozen=True)
class Trouble:
    """What a provider does instead of answering, and the code that it gets."""

    name: str
    answer: Answer
    code: str


def says(status: int, body: str | bytes, media_type: str = "application/json", **headers: str) -> Answer:
    """An answer, with canaries in its headers."""
    content = body.encode() if isinstance(body, str) else body
    return lambda _: httpx2.Response(
        status, headers={**HEADERS, "content-type": media_type, **headers}, content=content
    )


def breaks(error: type[httpx2.TransportError]) -> Answer:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error(f"{BODY} {request.url} {dict(request.headers)}", request=request)

    return answer


TEXT = json.dumps({"error": BODY, "message": f"{BODY} {CREDENTIAL} https://{HOST}/x", "detail": BODY})
BAD, DOWN = "UPSTREAM_BAD_RESPONSE", "UPSTREAM_UNAVAILABLE"
TROUBLES = [
    Trouble("refused", breaks(httpx2.ConnectError), DOWN),
    Trouble("reset", breaks(httpx2.ReadError), DOWN),
    Trouble("cut off", breaks(httpx2.RemoteProtocolError), DOWN),
    Trouble("an outage", says(500, TEXT), DOWN),
    Trouble("a gateway's outage", says(502, f"<html>{BODY}</html>", "text/html"), DOWN),
    Trouble("a page", says(200, f"<html>{BODY} {CREDENTIAL}</html>", "text/html"), BAD),
    Trouble("nothing", says(200, ""), BAD),
    Trouble("junk", says(200, '{"CANARY-BODY": '), BAD),
    Trouble("bytes", says(200, b'{"items": "\xff\xfe CANARY-BODY"}'), BAD),
    Trouble("another shape", says(200, TEXT), BAD),
    Trouble("a list of text", says(200, json.dumps([BODY, CREDENTIAL])), BAD),
    Trouble("deep JSON", says(200, "[" * 100_000), BAD),
    Trouble("too much", says(200, json.dumps({"items": BODY * 300_000})), BAD),
    Trouble("a redirect", says(302, "", location=f"https://{HOST}/CANARY-BODY"), BAD),
    Trouble("an unauthorised answer", says(401, TEXT), "UPSTREAM_UNAUTHORIZED"),
    Trouble("a limit", says(429, TEXT, **{"retry-after": "3600"}), "UPSTREAM_RATE_LIMITED"),
]  # fmt: skip


def configured(broken: str | None = None, **changes: object) -> Settings:
    """The sandboxes' settings; the broken one's address and credential are canaries."""
    settings = sandboxes.settings()
    if broken is None:
        return settings
    update = {"base_url": f"https://{HOST}/canary-path", "credential": SecretStr(CREDENTIAL), **changes}
    its = settings.providers[broken].model_copy(update=update)
    return replace(settings, providers={**settings.providers, broken: its})


async def asked(gateway: Gateway, query: str = QUERY) -> tuple[str, dict[str, Any]]:
    answer = await gateway.http.post("/graphql", json={"query": query})
    assert answer.status_code == 200
    return f"{answer.headers}\n{answer.text}", answer.json()


def rows(data: Mapping[str, Any], *, without: str | None = None) -> dict[str, list[Any]]:
    return {
        name: [row for row in page["nodes"] if row["provider"]["name"] != without]
        for name, page in data.items()
    }


def sources(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: {one["provider"]["name"]: one for one in page["sources"]} for name, page in data.items()}


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """Everything, with twice as many runs: without one provider's, more of the others' fit on a page."""

    async def read() -> dict[str, Any]:
        async with running() as gateway:
            _, body = await asked(gateway)
            after = "query ($c: String) { syncRuns(first: 100, after: $c) { nodes { ...R } pageInfo { endCursor } } } "
            runs: list[Any] = []
            cursor = None
            for _ in range(11):
                page = (
                    await gateway.data(
                        after + QUERY[QUERY.index("fragment R") : QUERY.index("fragment S")], c=cursor
                    )
                )["syncRuns"]
                runs += page["nodes"]
                cursor = page["pageInfo"]["endCursor"]
        data: dict[str, Any] = body["data"]
        data["syncRuns"]["nodes"] = runs
        return data

    return asyncio.run(read())


def assert_others_complete(
    data: Mapping[str, Any], undisturbed: Mapping[str, Any], broken: str, code: str
) -> None:
    expected = rows(undisturbed, without=broken)
    assert rows(data) == {**expected, "syncRuns": expected["syncRuns"][:100]}
    before = sources(undisturbed)
    for name, by_provider in sources(data).items():
        assert list(by_provider) == KINDS
        for provider, outcome in by_provider.items():
            if provider == broken and before[name][provider]["status"] != "UNSUPPORTED":
                assert outcome["status"] == "FAILED"
                assert outcome["code"] in {code, OPEN}
                assert (outcome["coverage"], outcome["fetchedAt"]) == ("NONE", None)
            else:
                assert outcome == {**before[name][provider], "horizon": outcome["horizon"]}
    assert {page["total"]["relation"] for page in data.values()} == {"GTE"}


def assert_one_entry(body: Mapping[str, Any], broken: str, code: str) -> None:
    """Beside one that says that the provider was left alone for the rest of the operation."""
    entries = [(one["extensions"]["provider"], one["extensions"]["code"]) for one in body["errors"]]
    assert [one for one in entries if one != (broken, OPEN)] in ([(broken, code)], [])
    assert entries
    assert body["errors"][0]["path"][0] in {"connectors", "syncs", "syncRuns"}


def assert_nothing_leaks(*texts: str) -> None:
    secrets = [module.KEY for module in sandboxes.SANDBOXES.values()]
    for text in texts:
        for canary in ("canary", "Traceback", "sandbox.invalid", "https://", "Bearer", "httpx2", *secrets):
            assert canary.lower() not in text.lower(), canary


@pytest.mark.parametrize("broken", KINDS)
@pytest.mark.parametrize("trouble", [pytest.param(one, id=one.name) for one in TROUBLES])
async def test_a_provider_in_trouble_costs_nobody_else_anything_and_leaks_nothing(
    undisturbed: dict[str, Any],
    broken: str,
    trouble: Trouble,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    upstreams = Upstreams(broken={broken: trouble.answer})
    async with running(upstreams=upstreams, settings=configured(broken)) as gateway:
        with capture_logs() as logs:
            text, body = await asked(gateway)

    assert_others_complete(body["data"], undisturbed, broken, trouble.code)
    assert_one_entry(body, broken, trouble.code)
    said = [{**entry, "event": str(entry["event"])} for entry in logs]
    records = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx2")]
    assert_nothing_leaks(text, json.dumps(said, default=repr), *capsys.readouterr(), *records)
    assert {entry["provider"] for entry in said if "provider" in entry} == {broken}
    assert {entry["log_level"] for entry in said} == {"warning"}


@pytest.mark.parametrize("broken", KINDS)
async def test_what_is_logged_by_default_holds_no_secret_either(
    broken: str, capsys: pytest.CaptureFixture[str]
):
    for trouble in TROUBLES:
        upstreams = Upstreams(broken={broken: trouble.answer})
        async with running(upstreams=upstreams, settings=configured(broken)) as gateway:
            await asked(gateway, "{ connectors { nodes { id } } }")

    out, err = capsys.readouterr()
    assert "upstream_" in out + err
    assert_nothing_leaks(out, err)


@pytest.mark.parametrize("broken", KINDS)
@pytest.mark.parametrize(
    ("trouble", "facts"),
    [
        (says(500, TEXT), {"code": DOWN, "httpStatus": 500, "retryable": True, "retryAfter": None}),
        (breaks(httpx2.ConnectError), {"code": DOWN, "httpStatus": None, "retryable": True, "retryAfter": None}),
        (says(200, TEXT), {"code": BAD, "httpStatus": 200, "retryable": False, "retryAfter": None}),
        (
            says(429, TEXT, **{"retry-after": "60"}),
            {"code": "UPSTREAM_RATE_LIMITED", "httpStatus": 429, "retryable": True, "retryAfter": "2026-11-22T09:42:07Z"},
        ),
    ],
    ids=["an outage", "refused", "another shape", "a limit"],
)  # fmt: skip
async def test_a_source_says_what_failed_and_errors_says_it_once(
    broken: str, trouble: Answer, facts: dict[str, Any]
):
    query = "{ connectors(first: 1) { sources { provider { name } error { code message httpStatus retryable retryAfter } } } }"
    upstreams = Upstreams(broken={broken: trouble})
    async with running(upstreams=upstreams, settings=configured(broken)) as gateway:
        text, body = await asked(gateway, query)

    told = {one["provider"]["name"]: one["error"] for one in body["data"]["connectors"]["sources"]}
    assert {name for name, error in told.items() if error} == {broken}
    assert {name: value for name, value in told[broken].items() if name != "message"} == facts
    assert_one_entry(body, broken, facts["code"])
    assert told[broken]["message"] == body["errors"][0]["message"]
    assert_nothing_leaks(text)


class Silent(Upstreams):
    """One provider takes the request and never answers."""

    kind = ""

    def connect(self, settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
        return _Silence() if settings.kind == self.kind else super().connect(settings)


class _Silence(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets")


@pytest.mark.parametrize("broken", KINDS)
async def test_a_provider_that_never_answers_is_given_up(undisturbed: dict[str, Any], broken: str):
    upstreams = Silent()
    upstreams.kind = broken
    async with running(upstreams=upstreams, settings=configured(broken, attempt_timeout_s=0.05)) as gateway:
        text, body = await asked(gateway)

    assert_others_complete(body["data"], undisturbed, broken, "UPSTREAM_TIMEOUT")
    assert_one_entry(body, broken, "UPSTREAM_TIMEOUT")
    assert_nothing_leaks(text)


async def test_an_operation_ends_at_its_deadline_with_what_the_others_said(undisturbed: dict[str, Any]):
    upstreams = Silent()
    upstreams.kind = "outlit"
    settings = configured("outlit", attempt_timeout_s=60.0)
    server = settings.server.model_copy(update={"operation_timeout_s": 3.0})
    async with running(upstreams=upstreams, settings=replace(settings, server=server)) as gateway:
        _, body = await asked(gateway)

    assert_others_complete(body["data"], undisturbed, "outlit", "UPSTREAM_TIMEOUT")
    assert_one_entry(body, "outlit", "UPSTREAM_TIMEOUT")


@pytest.mark.parametrize("broken", KINDS)
async def test_a_lookup_at_a_provider_in_trouble_is_null_and_the_others_are_there(
    gateway: Gateway, broken: str
):
    ids: dict[str, str] = {}
    data = await gateway.data("{ connectors(first: 100) { nodes { id providerName } } }")
    for row in data["connectors"]["nodes"]:
        ids.setdefault(row["providerName"], row["id"])
    gateway.upstreams.broken[broken] = says(500, TEXT)

    body = await gateway.ask(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Connector { name } } }", ids=list(ids.values())
    )

    there = {one["id"] for one in body["data"]["nodes"] if one is not None}
    assert there == set(ids.values()) - {ids[broken]}
    assert [one["extensions"] for one in body["errors"]] == [
        {"code": DOWN, "provider": broken, "retryable": True, "httpStatus": 500}
    ]
    assert_nothing_leaks(json.dumps(body))


@pytest.mark.parametrize("broken", KINDS)
async def test_all_but_one_in_trouble_leave_that_one_complete(undisturbed: dict[str, Any], broken: str):
    others = [kind for kind in KINDS if kind != broken]
    async with running(upstreams=Upstreams(broken=dict.fromkeys(others, says(503, TEXT)))) as gateway:
        _, body = await asked(gateway)

    kept = rows(undisturbed)
    for name, page in rows(body["data"]).items():
        expected = [row for row in kept[name] if row["provider"]["name"] == broken]
        assert page == expected[: len(page)]
        assert len(page) == min(len(expected), 100)
    assert {one["extensions"]["provider"] for one in body["errors"]} == set(others)
    assert {one["extensions"]["code"] for one in body["errors"]} - {OPEN} == {DOWN}


async def test_a_provider_that_recovers_is_complete_again(undisturbed: dict[str, Any]):
    upstreams = Upstreams(broken={"den": says(503, TEXT)})
    async with running(upstreams=upstreams) as gateway:
        await asked(gateway)
        upstreams.broken.clear()
        _, body = await asked(gateway)

    assert body.get("errors") is None
    assert rows(body["data"])["syncs"] == rows(undisturbed)["syncs"]


async def test_a_runs_own_error_is_shown_without_the_credential_that_it_names():
    """The text is the provider's data; the one secret that the gateway knows of it is taken out."""
    key = sandboxes.SANDBOXES["timbal"].KEY
    upstreams = _Telling()
    upstreams.told = f"could not log in with {key} at 12:00 {'x' * 5000}"
    async with running(upstreams=upstreams) as gateway:
        text, body = await asked(gateway, "{ syncRuns(first: 100) { nodes { error { message } } } }")

    messages = [one["error"]["message"] for one in body["data"]["syncRuns"]["nodes"] if one["error"]]
    told = [one for one in messages if one.startswith("could not log in")]
    assert told
    assert all("with *** at 12:00" in one and len(one) == 2000 for one in told)
    assert key not in text


class _Telling(Upstreams):
    told = ""

    def connect(self, settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
        inner = super().connect(settings)
        return _Teller(inner, self.told) if settings.kind == "timbal" else inner


class _Teller(httpx2.AsyncBaseTransport):
    """Replaces the text of every failed job."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, told: str) -> None:
        self._inner, self._told = inner, told

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        body = json.loads(await answer.aread())
        for job in body.get("jobs", ()):
            for name in ("message", "error"):
                if job.get(name):
                    job[name] = self._told
        headers = {"content-type": "application/json"}
        return httpx2.Response(answer.status_code, headers=headers, content=json.dumps(body).encode())
