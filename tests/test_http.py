"""Whatever a client sends: a GraphQL answer with a code and a plain sentence, and the right status."""

# ruff: noqa: UP031  # GraphQL is full of braces: str.format would double each

import asyncio
import base64
import gzip
import json
import re
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.gateway import Gateway, Upstreams, running
from tests.replay import serving

from syncgraph import errors, sandboxes
from syncgraph.app import create_app
from syncgraph.http.body import MAX_BYTES

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"
MEDIA_TYPES = (RESPONSE_JSON, PLAIN_JSON)

DOCUMENT, USER = "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"

PYTHON = re.compile(
    r"Traceback|object has no attribute|<class|Error\(| at 0x|\bNone\b|\bTrue\b|\bFalse\b|\{'[^']*': |\bline \d+, in\b"
    r"|int_max_str_digits|\b(?:syncgraph|graphql|strawberry|starlette|msgspec|asyncio|pydantic|httpx2?)\.[a-z_]"
    r"|\.py\b"
)
"""What only the inside of a Python program says. ``GraphQL`` and its own words are a client's language."""


def _codes(error: type[errors.GatewayError]) -> Iterator[str]:
    yield error.code
    for narrower in error.__subclasses__():
        yield from _codes(narrower)


CALLERS = frozenset(_codes(errors.InvalidRequestError))
"""The documented codes of what a caller did; INTERNAL would be a bug of ours."""


def assert_plain(answer: httpx2.Response) -> dict[str, Any]:
    """The body, whose every error has a documented code and a plain sentence."""
    assert answer.status_code < 500
    assert answer.headers["content-type"].partition(";")[0] in MEDIA_TYPES
    body: dict[str, Any] = json.loads(answer.content)
    assert body.keys() <= {"data", "errors"}
    assert body.keys(), "neither data nor errors"
    for error in body.get("errors", ()):
        assert error["extensions"]["code"] in CALLERS
        message = error["message"]
        assert message.strip() == message != ""
        assert "\n" not in message
        assert len(message) < 500
        assert not PYTHON.search(message), message
    return body


@dataclass(frozen=True)
class Bad:
    """One bad request. ``status``: where both media types have the same; else 400 and 200, or 294 and 200 once executed."""

    name: str
    body: Any = None
    code: str = DOCUMENT
    status: int | None = None
    executed: bool = False
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": PLAIN_JSON})

    def expected(self, media_type: str) -> int:
        if self.status is not None:
            return self.status
        if media_type == PLAIN_JSON:
            return 200
        return 294 if self.executed else 400

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def asks(query: str, variables: object = None, **more: object) -> dict[str, object]:
    return {"query": query, **({} if variables is None else {"variables": variables}), **more}


def global_id(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def executed(name: str, code: str, query: str, variables: object = None) -> Bad:
    return Bad(name, asks(query, variables), code, executed=True)


SIZED = "query ($f: Int) { syncs(first: $f) { nodes { id } } }"
NAMED = "query ($id: ID!) { node(id: $id) { id } }"
TWO = "query A { __typename } query B { __typename }"

BAD = [
    # not a request
    Bad("malformed JSON", b'{"query": ', status=400),
    Bad("no body", b"", status=400),
    Bad("null", b"null", status=400),
    Bad("a number", b"42", status=400),
    Bad("a string", b'"{ __typename }"', status=400),
    Bad("an array", b"[]", status=400),
    Bad("a batch", json.dumps([asks("{ __typename }")]).encode(), status=400),
    Bad("no query", {}, status=400),
    Bad("an empty query", asks(""), status=400),
    Bad("a blank query", asks(" \n"), status=400),
    Bad("a query of null", {"query": None}, status=400),
    Bad("a query that is a number", {"query": 1}, status=400),
    Bad("a query that is an object", {"query": {"a": "b"}}, status=400),
    Bad("variables as an array", asks("{ __typename }", [1]), status=400),
    Bad("variables as text", asks("{ __typename }", "{}"), status=400),
    Bad("an operation name that is a number", asks("{ __typename }", operationName=7), status=400),
    Bad("extensions as text", asks("{ __typename }", extensions="x"), status=400),
    Bad("deep JSON", b"[" * 100_000, status=400),
    Bad("invalid UTF-8", b'{"query": "{ \xff }"}', status=400),
    Bad("UTF-16", '{"query": "{ __typename }"}'.encode("utf-16"), status=400),
    Bad("a lone surrogate", rb'{"query": "{ a(b: \"\ud800\") }"}', status=400),
    Bad("NaN", b'{"query": "{ __typename }", "variables": {"a": NaN}}', status=400),
    Bad("Infinity", b'{"query": "{ __typename }", "variables": {"a": -Infinity}}', status=400),
    Bad("a number beyond every double", b'{"query": "{ __typename }", "variables": {"a": 1e999}}', status=400),
    Bad("another content type", b"{ __typename }", headers={"content-type": "application/graphql"}, status=415),
    Bad("a form", b"query={__typename}", headers={"content-type": "multipart/form-data; boundary=x"}, status=415),
    Bad("no content type", asks("{ __typename }"), headers={}, status=415),
    Bad(
        "gzip",
        gzip.compress(json.dumps(asks("{ __typename }")).encode()),
        headers={"content-type": PLAIN_JSON, "content-encoding": "gzip"},
        status=415,
    ),
    Bad("a body over the limit", b" " * (MAX_BYTES + 1), status=413),
    # not a document, or one that does not fit
    Bad("a syntax error", asks("{ ")),
    Bad("a comment alone", asks("# hello")),
    Bad("a fragment alone", asks("fragment F on Query { __typename }")),
    Bad("a type definition", asks("type T { a: Int }")),
    Bad("an unknown field", asks("{ nope }")),
    Bad("an unknown argument", asks("{ syncs(last: 5) { nodes { id } } }")),
    Bad("an unknown type", asks("query ($a: Nope!) { node(id: $a) { id } }")),
    Bad("an unknown directive", asks("{ ... @stream { __typename } }")),
    Bad("a fragment in itself", asks("{ node(id: 1) { ...F } } fragment F on Node { ...F }")),
    Bad("no selection", asks("{ syncs }")),
    Bad("an unknown operation name", asks("query A { __typename }", operationName="B")),
    Bad("two operations and another name", asks(TWO, operationName="C")),
    Bad("two operations without a name", asks(TWO)),
    Bad("two operations with an empty name", asks(TWO, operationName="")),
    Bad("a mutation", asks("mutation { retryRun }")),
    Bad("a subscription", asks("subscription { runs }")),
    Bad("a variable that is not declared", asks("{ node(id: $id) { id } }")),
    Bad("a variable that is missing", asks(NAMED)),
    Bad("a variable that is null", asks(NAMED, {"id": None})),
    Bad("an id that is true", asks(NAMED, {"id": True})),
    Bad("an id that is a list", asks(NAMED, {"id": [1]})),
    Bad("a number that is text", asks(SIZED, {"f": "x"})),
    Bad("a number that is true", asks(SIZED, {"f": True})),
    Bad("a number that is an object", asks(SIZED, {"f": {"a": [None, True]}})),
    Bad("a number that is a fraction", asks(SIZED, {"f": 1.5})),
    Bad("a number that is deep", b'{"query": "%s", "variables": {"f": %s}}' % (SIZED.encode(), b"[" * 900 + b"]" * 900)),
    Bad("a number beyond 32 bits", asks("{ syncs(first: 2147483648) { nodes { id } } }")),
    Bad("a number beyond 64 bits", asks(SIZED, {"f": 2**64})),
    Bad("a number of 400 digits", asks(SIZED, {"f": 10**400})),
    Bad("a number of 5,000 digits in the document", asks("{ syncs(first: %s) { nodes { id } } }" % ("9" * 5000))),
    Bad("a surrogate in the document", asks(r'{ node(id: "\ud800") { id } }')),
    Bad("a document over the token limit", asks("{%s}" % (" __typename" * 2001))),
    Bad("a deep document", asks("{ a" * 500 + "}" * 500)),
    Bad("deep inline fragments", asks("{ ..." * 490 + "{ __typename }" + "}" * 490)),
    Bad("a deep list", asks("{ nodes(ids: %s) { id } }" % ("[" * 900 + "]" * 900))),
    Bad("a deep type", asks("query ($a: %sInt%s) { __typename }" % ("[" * 900, "]" * 900))),
    Bad("a wide document of unknown fields", asks("{%s}" % " ".join(f"a{n}" for n in range(1900)))),
    # a document that fits, and values that do not
    executed("an id that is no id", "BAD_ID", NAMED, {"id": "zzz"}),
    executed("an empty id", "BAD_ID", NAMED, {"id": ""}),
    executed("an id in other letters", "BAD_ID", NAMED, {"id": "é☃\u0000"}),
    executed("an id of another type", "BAD_ID", NAMED, {"id": global_id("Nope:den:1")}),
    executed("an id without a provider", "BAD_ID", NAMED, {"id": global_id("Sync:1")}),
    executed("an id of 5,000 characters", "BAD_ID", NAMED, {"id": "a" * 5000}),
    executed("an id of 30 digits", "BAD_ID", NAMED, {"id": 10**30}),
    executed("an id that is padded", "BAD_ID", NAMED, {"id": global_id("Sync:den:x") + "=="}),
    executed("101 ids", USER, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["x"] * 101}),
    executed("a provider that is not configured", USER, '{ sync(provider: "mars", externalId: "1") { id } }'),
    executed("first: 0", USER, SIZED, {"f": 0}),
    executed("first: -1", USER, SIZED, {"f": -1}),
    executed("first: 101", USER, SIZED, {"f": 101}),
    *(
        executed(f"the cursor {cursor!r}", "BAD_CURSOR", "query ($c: String) { syncs(after: $c) { nodes { id } } }", {"c": cursor})
        for cursor in ("", "a", "zzzz", "é☃", "\u0000", "x" * 5000, global_id("\x00" * 40))
    ),
]  # fmt: skip


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@pytest.mark.parametrize("bad", [pytest.param(one, id=one.name) for one in BAD])
async def test_bad_input_is_answered_with_a_code_and_a_plain_sentence(
    gateway: Gateway, bad: Bad, media_type: str
):
    headers = {**bad.headers, "accept": media_type}

    answer = await gateway.http.post("/graphql", content=bad.content(), headers=headers)

    body = assert_plain(answer)
    assert {error["extensions"]["code"] for error in body["errors"]} == {bad.code}
    assert answer.status_code == bad.expected(media_type)
    assert answer.headers["content-type"].startswith(media_type)
    assert ("data" in body) == bad.executed
    assert gateway.upstreams.sent == []


async def test_first_null_and_after_null_mean_the_defaults(gateway: Gateway):
    data = await gateway.data("{ syncs(first: null, after: null) { nodes { id } } }")

    assert len(data["syncs"]["nodes"]) == 20


@pytest.mark.parametrize("kind", ["Connector", "Sync", "SyncRun"])
@pytest.mark.parametrize("provider", ["den", "timbal", "outlit", "airweave", "mars"])
async def test_a_well_formed_id_that_names_nothing_is_null(gateway: Gateway, kind: str, provider: str):
    assert await gateway.data(NAMED, id=global_id(f"{kind}:{provider}:nothing-of-this-name")) == {
        "node": None
    }


async def test_in_nodes_each_bad_id_is_null_at_its_place_with_its_own_error(gateway: Gateway):
    ids = ["zzz", global_id("Provider:den"), global_id("Provider:mars"), global_id("Sync:den:nothing")]

    body = await gateway.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)

    assert body["data"]["nodes"] == [None, {"id": ids[1]}, None, None]
    assert [(one["path"][1], one["extensions"]["code"]) for one in body["errors"]] == [
        (0, "BAD_ID"),
        (2, "NOT_FOUND"),
        (3, "NOT_FOUND"),
    ]


EVIL = [
    "..",
    ".",
    "../..",
    "a/../../b",
    "%2e%2e",
    "?limit=1",
    "#x",
    "a b",
    "\u0000",
    "\r\nx-evil: 1",
    "é☃",
    "",
    "x" * 5000,
    "\\..\\",
]


@pytest.mark.parametrize("field", ["connector", "sync", "syncRun"])
@pytest.mark.parametrize("provider", sandboxes.SANDBOXES)
async def test_an_external_id_cannot_leave_its_place_in_a_path(gateway: Gateway, provider: str, field: str):
    query = "query ($p: String!, $id: String!) { found: %s(provider: $p, externalId: $id) { id } }" % field
    known = {
        "connectors",
        "connector-instances",
        "integrations",
        "source-connections",
        "connector-sync-events",
        "connector-targets",
    }
    for evil in [*EVIL, *(f"a/{one}" for one in EVIL), *(f"a/b/{one}" for one in EVIL)]:
        assert await gateway.data(query, p=provider, id=evil) == {"found": None}, evil
    for call in gateway.upstreams.sent:
        path = call.split(" ")[2].partition("?")[0]
        assert not {".", "..", "%2E", "%2E%2E"} & set(path.split("/")), call
        assert known & set(path.split("/")), call


@pytest.mark.parametrize("alter", ["another list", "another scope", "another gateway", "one letter", "cut"])
async def test_a_cursor_is_good_for_its_own_list_alone(gateway: Gateway, alter: str):
    page = "syncs(first: 1) { pageInfo { endCursor } } "
    connectors = "connectors(first: 50) { nodes { providerName externalId } }"
    data = await gateway.data("{ %s %s }" % (page, connectors))
    cursor = data["syncs"]["pageInfo"]["endCursor"]
    den = next(one for one in data["connectors"]["nodes"] if one["providerName"] == "den")
    again = "query ($c: String) { list: syncs(after: $c) { nodes { id } } }"
    expected = "BAD_CURSOR"
    match alter:
        case "another list":
            again, expected = again.replace("syncs", "syncRuns"), "CURSOR_MISMATCH"
        case "another scope":
            again = (
                'query ($c: String) { connector(provider: "den", externalId: "%s") { syncs(after: $c) { nodes { id } } } }'
                % den["externalId"]
            )
            expected = "CURSOR_MISMATCH"
        case "another gateway":
            cursor = await _cursor_of_a_stranger()
        case "one letter":
            cursor = cursor[:30] + ("A" if cursor[30] != "A" else "B") + cursor[31:]
        case "cut":
            cursor = cursor[:-4]

    answer = await gateway.http.post("/graphql", json=asks(again, {"c": cursor}))

    body = assert_plain(answer)
    assert [error["extensions"]["code"] for error in body["errors"]] == [expected]


async def _cursor_of_a_stranger() -> str:
    configured = sandboxes.settings()
    timbal = configured.providers["timbal"].model_copy(update={"base_url": "https://elsewhere.invalid"})
    stranger = type(configured)(configured.server, {**configured.providers, "timbal": timbal})
    async with running(settings=stranger) as other:
        data = await other.data("{ syncs(first: 1) { pageInfo { endCursor } } }")
    cursor: str = data["syncs"]["pageInfo"]["endCursor"]
    return cursor


async def test_a_cursor_is_good_on_every_worker_of_one_configuration(gateway: Gateway):
    page = "query ($c: String) { syncs(first: 1, after: $c) { nodes { id } pageInfo { endCursor } } }"
    first = await gateway.data(page)
    async with running() as other:
        there = await other.data(page, c=first["syncs"]["pageInfo"]["endCursor"])

    assert there == await gateway.data(page, c=first["syncs"]["pageInfo"]["endCursor"])


async def test_a_query_may_come_by_get(gateway: Gateway):
    params = {"query": NAMED, "variables": json.dumps({"id": global_id("Provider:den")}), "operationName": ""}

    answer = await gateway.http.get("/graphql", params=params, headers={"accept": RESPONSE_JSON})

    assert assert_plain(answer) == {"data": {"node": {"id": global_id("Provider:den")}}}
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"query": ""},
        {"variables": "{}"},
        {"query": "{ __typename }", "variables": "{"},
        {"query": "{ __typename }", "variables": "1"},
        {"query": "{ __typename }", "variables": ""},
        {"query": "{ __typename }", "extensions": "[]"},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_a_bad_get_is_400(gateway: Gateway, params: dict[str, str], media_type: str):
    answer = await gateway.http.get("/graphql", params=params, headers={"accept": media_type})

    body = assert_plain(answer)
    assert (answer.status_code, body["errors"][0]["extensions"]["code"]) == (400, DOCUMENT)


async def test_a_get_with_bytes_that_are_no_text_is_answered(gateway: Gateway):
    for raw in ("%ff%fe", "%00", "{__typename}%ed%a0%80", "+", "&&&=", "{__typename}&query={nope}"):
        assert_plain(await gateway.http.get(f"/graphql?query={raw}"))


@pytest.mark.parametrize("query", ["mutation { x }", "subscription { x }"])
async def test_a_get_executes_nothing_but_queries(gateway: Gateway, query: str):
    answer = await gateway.http.get("/graphql", params={"query": query}, headers={"accept": RESPONSE_JSON})

    assert "data" not in assert_plain(answer)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_405_and_says_which_are_allowed(gateway: Gateway, method: str):
    answer = await gateway.http.request(method, "/graphql", json=asks("{ __typename }"))

    assert_plain(answer)
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


async def test_head_is_get_without_the_body(gateway: Gateway):
    params = {"query": "{ __typename }"}

    head = await gateway.http.head("/graphql", params=params)
    got = await gateway.http.get("/graphql", params=params)

    assert (head.status_code, head.headers["content-type"]) == (got.status_code, got.headers["content-type"])


async def test_a_browser_gets_the_page_and_a_program_does_not(gateway: Gateway):
    accept = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await gateway.http.get("/graphql", headers=accept)
    asked = await gateway.http.get("/graphql?query={__typename}", headers=accept)
    posted = await gateway.http.post("/graphql", json=asks("{ __typename }"), headers=accept)

    assert page.headers["content-type"].startswith("text/html")
    assert assert_plain(asked) == assert_plain(posted) == {"data": {"__typename": "Query"}}


async def test_answers_are_neither_cached_nor_guessed_at(gateway: Gateway):
    answer = await gateway.http.post("/graphql", json=asks("{ __typename }"))

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_body_of_exactly_the_limit_is_read(gateway: Gateway):
    body = json.dumps(asks("{ __typename }")).encode().ljust(MAX_BYTES)

    answer = await gateway.http.post("/graphql", content=body, headers={"content-type": PLAIN_JSON})

    assert assert_plain(answer) == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "query",
    [
        "{%s}" % " ".join(["a: __typename"] * 650),
        "{%s}" % " ".join(f"a{n}: __typename" for n in range(650)),
        "{%s} %s" % (
            " ".join(f"...F{n}" for n in range(150)),
            " ".join(f"fragment F{n} on Query {{ a: __typename }}" for n in range(150)),
        ),
        "{%s}" % " ".join(f'a{n}: provider(name: "den") {{ id name }}' for n in range(150)),
        "{ ...A0 } %s fragment A40 on Query { __typename }"
        % " ".join(f"fragment A{n} on Query {{ ...A{n + 1} ...A{n + 1} }}" for n in range(40)),
        '{ connector(provider: "den", externalId: "x") ' + "{ provider { ... on Provider " * 45 + "{ id }" + "}} " * 45 + "}",
    ],
    ids=["one field, 650 times", "650 fields", "150 fragments", "150 objects", "fragments that double", "deep"],
)  # fmt: skip
async def test_a_wide_or_deep_document_within_the_limit_is_answered(gateway: Gateway, query: str):
    answer = await gateway.http.post("/graphql", json=asks(query))

    assert_plain(answer)


async def test_a_document_as_deep_as_the_parser_takes_is_executed(gateway: Gateway):
    run = await gateway.data("{ syncRuns(first: 1) { nodes { id } } }")
    hops = 95
    deep = "query ($id: ID!) { node(id: $id) { ... on SyncRun { %s id %s } } }" % (
        "sync { latestRun { " * hops,
        "} }" * hops,
    )

    data = await gateway.data(deep, id=run["syncRuns"]["nodes"][0]["id"])

    found = data["node"]
    for _ in range(hops):
        found = found["sync"]["latestRun"]
    assert found["id"]


def _headers(content_type: str, *more: str) -> bytes:
    lines = ["POST /graphql HTTP/1.1", "host: gateway", f"content-type: {content_type}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _exchange(base_url: str, raw: bytes) -> bytes:
    """What comes back for ``raw``, until the server closes or falls silent after a whole answer."""
    host, port = base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(raw)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        return head + (await asyncio.wait_for(reader.readexactly(int(found[1])), 20) if found else b"")
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (_headers(PLAIN_JSON, "transfer-encoding: chunked") + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 5, 413),
        (_headers(PLAIN_JSON, "content-length: 400000") + b" " * 300_000, 413),
        (_headers(PLAIN_JSON, "content-encoding: gzip", "content-length: 4") + b"\x1f\x8b\x08\x00", 415),
        (_headers("text/plain", "content-length: 2") + b"{}", 415),
        (_headers(PLAIN_JSON, "content-length: 2") + b"{}", 400),
        (_headers(PLAIN_JSON, "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n", 400),
    ],
    ids=["chunks without end", "length over the limit", "gzip", "text", "no query", "no query in chunks"],
)  # fmt: skip
async def test_over_a_socket_a_bad_body_is_refused_before_it_is_all_sent(raw: bytes, status: int):
    async with serving(create_app(sandboxes.settings(), connect=Upstreams().connect)) as base_url:
        answer = await _exchange(base_url, raw)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert json.loads(body)["errors"][0]["extensions"]["code"] == DOCUMENT


async def test_over_a_socket_a_client_that_leaves_amid_its_body_costs_nothing():
    async with serving(create_app(sandboxes.settings(), connect=Upstreams().connect)) as base_url:
        host, port = base_url.removeprefix("http://").split(":")
        for _ in range(20):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(_headers(PLAIN_JSON, "content-length: 1000") + b'{"query":')
        async with httpx2.AsyncClient(base_url=base_url) as http:
            answer = await http.post("/graphql", json=asks("{ __typename }"))

    assert assert_plain(answer) == {"data": {"__typename": "Query"}}


@pytest.fixture(scope="module")
def ask_anything() -> Iterator[Any]:
    """One gateway for all examples: ``ask(content, **headers)``."""
    with asyncio.Runner() as runner:
        context: AbstractAsyncContextManager[Gateway] = running()
        gateway = runner.run(_enter(context))

        def ask(method: str, url: str, content: bytes, content_type: str, accept: str) -> httpx2.Response:
            headers = {"content-type": content_type, "accept": accept}
            return runner.run(_send(gateway, method, url, content, headers))

        yield ask
        runner.run(_leave(context))


async def _enter(context: AbstractAsyncContextManager[Gateway]) -> Gateway:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[Gateway]) -> None:
    await context.__aexit__(None, None, None)


async def _send(
    gateway: Gateway, method: str, url: str, content: bytes, headers: dict[str, str]
) -> httpx2.Response:
    return await gateway.http.request(method, url, content=content, headers=headers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WORDS = (
    '{ } ( ) [ ] : $ ! @ | & ... = " """ # , \\ query mutation fragment on node nodes id ids syncs syncRuns first '
    "after null true 0 -1 1.5 99999999999999999999 edges pageInfo __typename __schema __type $id $f: Int ID! skip if "
    "\u0000 \ud7ff"
)
TOKENS = st.lists(st.sampled_from(WORDS.split(" ")), max_size=30).map(" ".join)
DOCUMENTS = TOKENS | st.text(max_size=60) | st.sampled_from([NAMED, SIZED, TWO])
REQUESTS = st.fixed_dictionaries(
    {"query": DOCUMENTS | JSON},
    optional={
        "variables": st.dictionaries(st.sampled_from(["id", "f", "c"]), JSON, max_size=3) | JSON,
        "operationName": st.sampled_from(["A", "B", ""]) | JSON,
        "extensions": JSON,
    },
)
TYPES = st.sampled_from(
    [PLAIN_JSON, "application/json; charset=utf-8", "text/plain", "", "APPLICATION/JSON", "a/b/c;;;"]
)
ACCEPTS = st.sampled_from(
    [*MEDIA_TYPES, "*/*", "", "text/html", "image/png", f"{PLAIN_JSON}, {RESPONSE_JSON};q=0.1"]
)
METHODS = st.sampled_from(["POST", "POST", "POST", "GET", "PUT"])

# The same examples every time: a verdict must not depend on luck.
examples = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@examples
@given(method=METHODS, content=st.binary(max_size=200), content_type=TYPES, accept=ACCEPTS)
def test_random_bytes_are_answered_plainly(
    ask_anything: Any, method: str, content: bytes, content_type: str, accept: str
):
    answer = ask_anything(method, "/graphql", content, content_type, accept)

    _assert_an_answer(answer)


@examples
@given(body=REQUESTS | JSON, accept=ACCEPTS)
def test_random_json_is_answered_plainly(ask_anything: Any, body: object, accept: str):
    _assert_an_answer(ask_anything("POST", "/graphql", json.dumps(body).encode(), PLAIN_JSON, accept))


@examples
@given(params=st.dictionaries(st.sampled_from(["query", "variables", "operationName", "x"]), DOCUMENTS))
def test_a_random_get_is_answered_plainly(ask_anything: Any, params: dict[str, str]):
    _assert_an_answer(ask_anything("GET", f"/graphql?{urlencode(params)}", b"", "", PLAIN_JSON))


def _assert_an_answer(answer: httpx2.Response) -> None:
    if answer.headers["content-type"].startswith("text/html"):
        assert answer.status_code == 200
    else:
        assert_plain(answer)
