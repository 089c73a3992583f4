"""Each row of docs/http.md, executed; and what the headers of an answer promise."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.gateway import Gateway, Upstreams, running

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import ServerSettings
from syncgraph.http.accept import PLAIN_JSON, RESPONSE_JSON, best_json, media_types
from syncgraph.http.body import MAX_ADDRESS, MAX_BYTES

HTTP_MD = (Path(__file__).parent.parent / "docs" / "http.md").read_text(encoding="utf-8")


def rows(heading: str) -> Sequence[Sequence[str]]:
    """Of the table under a heading of docs/http.md: the cells of each row, without their ticks."""
    section = HTTP_MD.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def bare(cell: str) -> str:
    return cell.replace("`", "")


QUERY = "{ __typename }"
NAMED = "query ($id: ID!) { node(id: $id) { id } }"


def post(**body: object) -> dict[str, Any]:
    return {"method": "POST", "json": body}


def sent(content: bytes, content_type: str | None = PLAIN_JSON, **headers: str) -> dict[str, Any]:
    typed = {} if content_type is None else {"content-type": content_type}
    return {"method": "POST", "content": content, "headers": {**typed, **headers}}


def got(query: str) -> dict[str, Any]:
    return {"method": "GET", "query": query}


def persisted(sha256: str, version: int = 1) -> dict[str, object]:
    return {"persistedQuery": {"version": version, "sha256Hash": sha256}}


AS_JSON = json.dumps({"query": QUERY}).encode()

REQUESTS: dict[str, dict[str, Any]] = {
    "a query that is answered in full": post(query=QUERY),
    "a query that is answered in part": post(query=NAMED, variables={"id": "no id"}),
    "a syntax error": post(query="{"),
    "an unknown field": post(query="{ nope }"),
    "a variable that does not fit its type": post(query=NAMED, variables={"id": []}),
    "two operations and no operationName": post(query="query A { __typename } query B { __typename }"),
    "lists within lists that could be endless": post(
        query="{ connectors(first: 100) { nodes { syncs(first: 100) { nodes { runs(first: 100) { nodes { id } } } } } } }"
    ),
    "an unknown document id": post(documentId="nope"),
    "a text under another text's hash": post(query=QUERY, extensions=persisted("0" * 64)),
    "a hash of another version than 1": post(extensions=persisted("0" * 64, version=2)),
    "a text that is not trusted, where that is required": post(query=QUERY),
    "both query and documentId": post(query=QUERY, documentId="nope"),
    "a body that is not JSON": sent(b"{"),
    "a body that is not UTF-8": sent(b'{"query": "{ \xff }"}'),
    "a batch": sent(b"[" + AS_JSON + b"]"),
    "no query": post(),
    "variables that are no object": post(query=QUERY, variables=[]),
    "an address that is not UTF-8": got("query=%7B%20__typename%20%7D%ff"),
    "an address that says query twice": got("query=%7B__typename%7D&query=%7B__typename%7D"),
    "a mutation by GET": got("query=mutation%7B__typename%7D"),
    "a subscription by GET": got("query=subscription%7B__typename%7D"),
    "PUT": {"method": "PUT", "json": {"query": QUERY}},
    "a body over 256 KiB": sent(b" " * (MAX_BYTES + 1)),
    "an address over 32 KiB": got("query=" + "a" * MAX_ADDRESS),
    "no Content-Type": sent(AS_JSON, None),
    "a form": sent(b"query={__typename}", "application/x-www-form-urlencoded"),
    "JSON in another charset than UTF-8": sent(AS_JSON, "application/json; charset=latin1"),
    "a compressed body": sent(AS_JSON, **{"content-encoding": "gzip"}),
    "a bug of ours outside of the operation": post(query=QUERY),
}


async def answered(
    gateway: Gateway, request: dict[str, Any], accept: str | None = None, **more: str
) -> httpx2.Response:
    """``accept``: None sends no such header."""
    url = "/graphql" + (f"?{request['query']}" if "query" in request else "")
    headers = {**request.get("headers", {}), **more}
    asked = gateway.http.build_request(
        request["method"], url, json=request.get("json"), content=request.get("content"), headers=headers
    )
    asked.headers.pop("accept")
    if accept is not None:
        asked.headers["accept"] = accept
    return await gateway.http.send(asked)


@pytest.mark.parametrize(("accept", "expected"), rows("What is answered in"))
async def test_the_answer_is_in_what_the_client_likes_best(gateway: Gateway, accept: str, expected: str):
    named = bare(accept).removesuffix(" by POST")

    answer = await answered(gateway, post(query=QUERY), None if named == "(none)" else named)

    if bare(expected) == "406":
        assert answer.status_code == 406
        assert answer.headers["content-type"] == f"{PLAIN_JSON}; charset=utf-8"
        assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    else:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{bare(expected)}; charset=utf-8"
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("name", "media_type", "status", "code"),
    [
        pytest.param(bare(name), media_type, int(status), bare(code), id=f"{bare(name)}, {media_type}")
        for name, *statuses, code in rows("Statuses")
        for media_type, status in zip((RESPONSE_JSON, PLAIN_JSON), statuses, strict=True)
    ],
)
async def test_a_request_has_the_status_and_the_code_of_its_row(
    name: str, media_type: str, status: int, code: str
):
    async with GATEWAYS.get(name, running)() as gateway:
        answer = await answered(gateway, REQUESTS[name], media_type)

    codes = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
    assert (answer.status_code, codes) == (status, [code] if code else [])
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert len(answer.headers["x-request-id"]) >= 32


@asynccontextmanager
async def with_a_bug() -> AsyncIterator[Gateway]:
    """A gateway whose clock fails, before any operation is begun."""
    upstreams = Upstreams()
    app = create_app(sandboxes.settings(), connect=upstreams.connect, clock=broken_clock)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        yield Gateway(http, upstreams)


@asynccontextmanager
async def strict() -> AsyncIterator[Gateway]:
    """A gateway that executes nothing but an empty manifest."""
    with NamedTemporaryFile(suffix=".json") as manifest:
        manifest.write(b"{}")
        manifest.flush()
        server = ServerSettings(documents=(Path(manifest.name),), documents_mode="require")
        async with running(settings=sandboxes.settings(server=server)) as gateway:
            yield gateway


GATEWAYS = {
    "a bug of ours outside of the operation": with_a_bug,
    "a text that is not trusted, where that is required": strict,
}


def broken_clock() -> datetime:
    raise ZeroDivisionError


def test_every_request_is_of_the_table_and_every_row_is_sent():
    assert {bare(name) for name, *_ in rows("Statuses")} == set(REQUESTS)


@given(st.text(max_size=60) | st.text('aA*/;,=.q01 -+"\\', max_size=60))
def test_no_accept_header_is_too_odd(header: str):
    assert best_json(media_types(header)) in {PLAIN_JSON, RESPONSE_JSON, None}


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf8"']
)
async def test_json_may_say_that_it_is_utf8(gateway: Gateway, content_type: str):
    answer = await answered(gateway, sent(AS_JSON, content_type))

    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("PUT", "allow", "GET, HEAD, POST"),
        ("a mutation by GET", "allow", "POST"),
        ("a form", "accept", PLAIN_JSON),
        ("a compressed body", "accept-encoding", "identity"),
    ],
)
async def test_a_refusal_says_what_would_be_taken(gateway: Gateway, name: str, header: str, value: str):
    answer = await answered(gateway, REQUESTS[name])

    assert answer.headers[header] == value


# request ids


@pytest.mark.parametrize("given_id", ["7f3a", "Root=1-67891233-abcdef012345678912345678", "a" * 128])
async def test_a_sane_request_id_is_sent_back(gateway: Gateway, given_id: str):
    answer = await answered(gateway, post(query=QUERY), **{"x-request-id": given_id})

    assert answer.headers["x-request-id"] == given_id


@pytest.mark.parametrize("given_id", ["", "a" * 129, "a b", '{"a":1}', "a\tb", "<script>"])
async def test_another_request_id_is_replaced(gateway: Gateway, given_id: str):
    answers = [
        await answered(gateway, post(query=QUERY), **{"x-request-id": given_id}),
        await answered(gateway, post(query=QUERY)),
    ]

    made = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)
    assert len(set(made)) == 2


async def test_every_log_line_of_a_request_has_its_id(logged: LogCapture):
    upstreams = Upstreams()
    upstreams.broken["outlit"] = lambda _: httpx2.Response(500)
    async with running(upstreams=upstreams) as gateway:
        await answered(gateway, post(query="{ connectors { nodes { id } } }"), **{"x-request-id": "one"})
        await answered(gateway, post(query="{ connectors { nodes { id } } }"), **{"x-request-id": "two"})

    assert [line["request_id"] for line in logged.entries] == ["one"] * (len(logged.entries) // 2) + [
        "two"
    ] * (len(logged.entries) // 2)
    assert logged.entries


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    """What is logged, with what the request bound."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture
    structlog.configure(processors=before)


# what is held already

BY_GET = got("query=" + quote("{ providers { name kind } }"))


async def test_who_holds_the_answer_gets_304_without_a_body(gateway: Gateway):
    first = await answered(gateway, BY_GET)
    etag = first.headers["etag"]
    again = [
        await answered(gateway, BY_GET, **{"if-none-match": value})
        for value in (etag, f"W/{etag}", f'"x", {etag}', "*")
    ]

    assert re.fullmatch('"[0-9a-f]{32}"', etag)
    assert [(one.status_code, one.content, one.headers["etag"]) for one in again] == [(304, b"", etag)] * 4
    assert all("content-type" not in one.headers for one in again)


async def test_another_answer_is_sent_whole(gateway: Gateway):
    etag = (await answered(gateway, BY_GET)).headers["etag"]
    in_the_newer_type = await answered(gateway, BY_GET, RESPONSE_JSON, **{"if-none-match": '"x"'})
    other = await answered(gateway, got("query=%7B__typename%7D"), **{"if-none-match": etag})

    assert (in_the_newer_type.status_code, other.status_code) == (200, 200)
    assert other.headers["etag"] != etag


async def test_what_was_refused_and_what_was_posted_has_no_etag(gateway: Gateway):
    refused = await answered(gateway, got("query=%7B"), RESPONSE_JSON, **{"if-none-match": "*"})
    posted = await answered(gateway, post(query=QUERY), **{"if-none-match": "*"})

    assert (refused.status_code, posted.status_code) == (400, 200)
    assert "etag" not in {**refused.headers, **posted.headers}


async def test_head_says_what_get_would_send(gateway: Gateway):
    head, whole = await answered(gateway, {**BY_GET, "method": "HEAD"}), await answered(gateway, BY_GET)

    assert head.content == b""
    assert {**head.headers, "x-request-id": ""} == {**whole.headers, "x-request-id": ""}
