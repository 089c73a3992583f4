"""Answers in parts: the same data and errors as the whole answer, in time, bounded, and over when the client leaves."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from graphql import build_schema
from structlog.testing import capture_logs
from tests.gateway import Gateway, Upstreams, running
from tests.test_cancel import PATIENCE_S, gateway_over_slow, soon
from tests.test_negotiation import bare, rows

from syncgraph import sandboxes
from syncgraph.graph.schema import schema

CURRENT = "multipart/mixed;incrementalSpec=v0.2, application/json"
OLDER = "multipart/mixed;deferSpec=20220824, application/json"
EACH_PROVIDER = "{ providers { name ... @defer { connectors(first: 3) { nodes { id name } } } } }"

Payload = Mapping[str, Any]


async def answered(
    gateway: Gateway, query: str, accept: str = CURRENT, variables: Mapping[str, object] | None = None
) -> httpx2.Response:
    body = {"query": query, "variables": variables}
    return await gateway.http.post("/graphql", json=body, headers={"accept": accept})


def payloads_of(answer: httpx2.Response) -> Sequence[Payload]:
    """The parts of a multipart body, and nothing around them."""
    preamble, *parts, end = answer.content.split(b"\r\n---")
    assert (preamble, end) == (b"", b"--\r\n")
    heads, bodies = zip(*(part.split(b"\r\n\r\n", 1) for part in parts), strict=True)
    assert set(heads) == {b"\r\ncontent-type: application/json; charset=utf-8"}
    return [json.loads(body) for body in bodies]


def merged(payloads: Sequence[Payload]) -> tuple[Any, list[Any]]:
    """Data and errors as a client has them at the end, from either format."""
    first, *rest = payloads
    data, errors = first["data"], [*first.get("errors", [])]
    places: dict[str, list[Any]] = {one["id"]: one["path"] for one in first.get("pending", [])}
    for payload in rest:
        places |= {one["id"]: one["path"] for one in payload.get("pending", [])}
        for part in payload.get("incremental", []):
            path = part["path"] if "path" in part else places[part["id"]] + part.get("subPath", [])
            place = data
            for key in path:
                place = place[key]
            errors += part.get("errors", [])
            grow(place, part["data"])
        for done in payload.get("completed", []):
            errors += done.get("errors", [])
    assert [payload["hasNext"] for payload in payloads] == [True] * (len(payloads) - 1) + [False]
    return data, errors


def grow(place: Any, more: Any) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(place.get(key), dict):
            grow(place[key], value)
        else:
            place[key] = value


DOCUMENTS = [
    EACH_PROVIDER,
    "{ providers { name ...Linked @defer } } fragment Linked on Provider { connectors(first: 2) { nodes { name } } }",
    '{ providers { name ... @defer(label: "a") { kind ... @defer(label: "b") { connectors(first: 2) { nodes { name } } } } } }',
    "{ ... @defer { syncs(first: 4) { nodes { name ... @defer { stats { coverage } } } } } providers { name } }",
    "{ syncs(first: 4) { nodes { id ...A @defer ...B @defer } } } %s"  # noqa: UP031  # GraphQL's braces
    % "fragment A on Sync { name connector { name } } fragment B on Sync { connector { name status } }",
    "query ($if: Boolean = true) { providers { name ... @defer(if: $if) { health { status } } } }",
    "{ a: syncRuns(first: 3) { nodes { id } } ... @defer { b: syncRuns(first: 3) { nodes { sync { name } } } } }",
    '{ providers { name ... @defer { connectors(first: 0) { nodes { id } } } } ... @defer { node(id: "no id") { id } } }',
]


@pytest.mark.parametrize("accept", [CURRENT, OLDER])
@pytest.mark.parametrize("document", DOCUMENTS)
async def test_the_parts_together_are_the_whole_answer(gateway: Gateway, document: str, accept: str):
    answer = await answered(gateway, document, accept)
    whole = (await answered(gateway, document, "application/json")).json()

    data, errors = merged(payloads_of(answer))
    assert data == whole["data"]
    assert sorted(map(str, errors)) == sorted(map(str, whole.get("errors", [])))


@pytest.mark.parametrize(("accept", "expected"), rows("Parts: `@defer`"))
async def test_parts_are_for_those_who_ask_for_them(gateway: Gateway, accept: str, expected: str):
    answer = await answered(gateway, EACH_PROVIDER, bare(accept))
    plain = await answered(gateway, EACH_PROVIDER.replace("@defer", ""), bare(accept))

    if bare(expected) == "406":
        assert answer.status_code == 406
        return
    assert answer.status_code == 200
    assert answer.headers["content-type"].removesuffix("; charset=utf-8") == bare(expected)
    assert answer.headers["vary"] == "accept"
    assert plain.headers["content-type"].startswith("application/")
    if "json" in bare(expected):
        assert answer.content == plain.content
    else:
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("query ($if: Boolean!) { providers { ... @defer(if: $if) { name } } }", {"if": False}),
        ("{ providers { ... @defer(if: false) { name } } }", {}),
        ("{ providers { name ... @skip(if: true) { ... @defer { kind } } } }", {}),
    ],
)
async def test_where_nothing_is_deferred_the_answer_is_whole(
    gateway: Gateway, document: str, variables: Mapping[str, object]
):
    answer = await answered(gateway, document, variables=variables)

    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json()["data"]["providers"]


async def test_a_refusal_is_one_answer_with_its_status(gateway: Gateway):
    accept = f"{CURRENT}, application/graphql-response+json"
    refused = await answered(gateway, "{ providers { ... @defer { nope } } }", accept)
    misfit = await answered(
        gateway, "query ($n: Int!) { syncs(first: $n) { ... @defer { nodes { id } } } }", accept
    )

    assert (refused.status_code, misfit.status_code) == (400, 400)
    assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert misfit.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_by_get_the_parts_are_the_same_and_head_has_none(gateway: Gateway):
    params, headers = {"query": EACH_PROVIDER}, {"accept": CURRENT}
    got = await gateway.http.get("/graphql", params=params, headers=headers)
    head = await gateway.http.head("/graphql", params=params, headers=headers)

    whole = await answered(gateway, EACH_PROVIDER, "*/*")

    assert merged(payloads_of(got))[0] == whole.json()["data"]
    assert "etag" not in got.headers
    assert (head.headers["content-type"], head.content) == ("application/json; charset=utf-8", b"")


# errors


@pytest.fixture
def upstreams() -> Upstreams:
    return Upstreams()


@pytest.mark.parametrize("accept", [CURRENT, OLDER])
async def test_a_provider_s_trouble_stands_in_its_own_part(upstreams: Upstreams, accept: str):
    upstreams.broken["outlit"] = lambda _: httpx2.Response(500)
    async with running(upstreams=upstreams) as gateway:
        first, *rest = payloads_of(await answered(gateway, EACH_PROVIDER, accept))

    parts = [part for payload in rest for part in payload.get("incremental", [])]
    (troubled,) = (part for part in parts if "errors" in part)
    (error,) = troubled["errors"]
    assert "errors" not in first
    assert error["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
    assert error["extensions"]["provider"] == "outlit"
    assert error["path"] == ["providers", 2, "connectors"]
    assert len(parts) == 4
    assert troubled["data"]["connectors"]["nodes"] == []


@pytest.mark.parametrize("accept", [CURRENT, OLDER])
async def test_a_bug_in_a_part_is_hidden_and_logged(upstreams: Upstreams, accept: str):
    def bug(_: httpx2.Request) -> httpx2.Response:
        raise ZeroDivisionError("a secret")

    upstreams.broken["outlit"] = bug
    async with running(upstreams=upstreams) as gateway:
        with capture_logs() as lines:
            answer = await answered(gateway, EACH_PROVIDER, accept)

    data, errors = merged(payloads_of(answer))
    assert [error["message"] for error in errors] == ["Internal error."]
    assert [error["extensions"] for error in errors] == [{"code": "INTERNAL"}]
    assert b"secret" not in answer.content
    assert data["providers"][2]["connectors"] is None
    assert [line["event"] for line in lines] == ["unexpected_error"]


@pytest.mark.parametrize("accept", [CURRENT, OLDER])
async def test_a_part_says_what_in_it_is_older_than_it_should_be(upstreams: Upstreams, accept: str):
    async with running(upstreams=upstreams, settings=sandboxes.settings()) as gateway:
        await gateway.data(EACH_PROVIDER)
        upstreams.broken["outlit"] = lambda _: httpx2.Response(500)
        headers = {"accept": accept, "cache-control": "no-cache"}
        answer = await gateway.http.post("/graphql", json={"query": EACH_PROVIDER}, headers=headers)

    told = [
        part["extensions"]["stale"]
        for payload in payloads_of(answer)
        for part in (payload, *payload.get("incremental", []))
        if "extensions" in part
    ]
    assert [one["provider"] for one in told[-1]] == ["outlit"]
    assert [one["code"] for one in told[-1]] == ["UPSTREAM_UNAVAILABLE"]


# in time


async def parts_of(answer: httpx2.Response) -> AsyncIterator[Payload]:
    """Each as it comes in."""
    held = b""
    async for chunk in answer.aiter_bytes():
        *whole, held = (held + chunk).split(b"\r\n---")
        for part in filter(None, whole):
            yield json.loads(part.split(b"\r\n\r\n", 1)[1])


@asynccontextmanager
async def asked_in_parts(at: tuple[str, int]) -> AsyncIterator[AsyncIterator[Payload]]:
    host, port = at
    request: dict[str, Any] = {"json": {"query": EACH_PROVIDER}, "headers": {"accept": CURRENT}}
    async with (
        httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=PATIENCE_S) as http,
        http.stream("POST", "/graphql", **request) as answer,
    ):
        yield parts_of(answer)


async def test_the_first_answer_is_there_while_a_provider_hangs():
    async with gateway_over_slow() as (slow, at), asked_in_parts(at) as parts:
        first = await anext(parts)
        await soon(lambda: slow.asked == 1, or_say=lambda: slow)
        answered_before = slow.answered
        slow.release.set()
        rest = [part async for part in parts]

    assert first["data"] == {"providers": [{"name": "outlit"}]}
    assert answered_before == 0
    assert merged([first, *rest])[0]["providers"][0]["connectors"] == {"nodes": []}


async def test_a_client_that_leaves_between_two_parts_ends_the_call_that_was_made_for_it():
    async with gateway_over_slow() as (slow, at):
        async with asked_in_parts(at) as parts:
            await anext(parts)
            await soon(lambda: slow.asked == 1, or_say=lambda: slow)

        await soon(lambda: slow.left == 1, or_say=lambda: slow)
        assert (slow.asked, slow.answered) == (1, 0)


# bounds


LISTS = "connectors(first: 100) { nodes { syncs(first: 100) { nodes { ... @defer { runs(first: 100) { nodes { id } } } } } } }"


@pytest.mark.parametrize(
    ("document", "variables", "is_taken"),
    [
        ("{ syncs(first: 100) { nodes { ... @defer { name } } } }", {}, True),
        ("{ syncs(first: 100) { nodes { ... @defer { name ... @defer { id } } } } }", {}, False),
        ("query ($n: Int) { syncs(first: $n) { nodes { ...F } } } fragment F on Sync { ... @defer { name } ... @defer { id } }", {"n": 50}, True),
        ("query ($n: Int) { syncs(first: $n) { nodes { ...F } } } fragment F on Sync { ... @defer { name } ... @defer { id } }", {"n": 51}, False),
        ("{ providers { %s } }" % " ".join(["... @defer { name }"] * 10), {}, True),  # noqa: UP031  # GraphQL's braces
        ("{ providers { %s } }" % " ".join(["... @defer { name }"] * 11), {}, False),  # noqa: UP031  # GraphQL's braces
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { ... @defer { id } ... @defer { __typename } } }", {"ids": ["x"] * 50}, True),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { ... @defer { id } ... @defer { __typename } } }", {"ids": ["x"] * 51}, False),
        (f"{{ {LISTS} }}", {}, False),
    ],
)  # fmt: skip
async def test_more_than_a_hundred_parts_are_refused_whatever_the_client_takes(
    gateway: Gateway, document: str, variables: Mapping[str, object], *, is_taken: bool
):
    for accept in (CURRENT, "application/json"):
        answer = await answered(gateway, document, accept, variables)

        assert ('"BAD_USER_INPUT"' in answer.text) == (not is_taken)
        assert ('"data"' in answer.text) == is_taken


async def test_the_ceiling_of_calls_holds_for_all_parts_together(upstreams: Upstreams):
    configured = sandboxes.settings()
    few = replace(configured, server=configured.server.model_copy(update={"max_upstream_calls": 3}))
    async with running(upstreams=upstreams, settings=few) as gateway:
        _, errors = merged(payloads_of(await answered(gateway, EACH_PROVIDER)))

    assert len(upstreams.sent) <= 3
    assert {error["extensions"]["code"] for error in errors} == {"BUDGET_EXCEEDED"}


def test_the_schema_offers_defer_and_not_stream():
    directives = {one.name for one in build_schema(schema.as_str()).directives}

    assert "defer" in directives
    assert "stream" not in directives
