"""Subscriptions by server-sent events, on real sockets: one connection per operation, and one for many."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from tests.live import OFTEN, PATIENCE_S, RUNS, Live, listening, live, until

from syncgraph.config import ServerSettings
from syncgraph.http.documents import Documents
from syncgraph.http.reserved import TOKEN, ReservedStreams
from syncgraph.http.seats import Seats
from syncgraph.http.sse import EventStreams

EVENTS = "text/event-stream"
QUERY = "{ providers { name } }"
URQL = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
"""What urql accepts for a query, and for a subscription."""
URQL_LIVE = "text/event-stream, multipart/mixed"


@pytest.fixture
async def gateway() -> AsyncIterator[Live]:
    async with live() as gateway:
        yield gateway


@pytest.fixture
async def http(gateway: Live) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(gateway) as client:
        yield client


def browser(gateway: Live) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://{gateway.address}", timeout=PATIENCE_S)


@asynccontextmanager
async def stream(http: httpx2.AsyncClient, path: str = "/graphql/stream", **its: Any) -> AsyncIterator[Any]:
    """The events of a response, as they come: their name and data."""
    method = its.pop("method", "POST")
    headers = {"accept": EVENTS, **its.pop("headers", {})}
    async with http.stream(method, path, headers=headers, **its) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == f"{EVENTS}; charset=utf-8"
        yield parsed(response.aiter_bytes())


async def parsed(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Any]]:
    text = b""
    async for chunk in chunks:
        text += chunk
        assert b"\r" not in text
        *blocks, text = text.split(b"\n\n")
        for block in blocks:
            if block != b":":
                name, data = block.split(b"\n")
                told = data.removeprefix(b"data: ")
                yield name.removeprefix(b"event: ").decode(), json.loads(told) if told else None


async def all_of(events) -> list[tuple[str, Any]]:
    return [one async for one in events]


@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
@pytest.mark.parametrize("accept", [EVENTS, URQL_LIVE])
async def test_a_subscription_is_a_stream_of_events(gateway: Live, http, path: str, accept: str):
    async with (
        gateway.passing(),
        stream(http, path, json={"query": RUNS}, headers={"accept": accept}) as events,
    ):
        for _ in range(2):
            name, data = await anext(events)
            assert (name, data.keys()) == ("next", {"data"})
            assert data["data"]["syncRunChanged"]["kind"] in {"CREATED", "UPDATED", "FINISHED"}


async def test_a_subscription_may_come_in_an_address_as_browsers_send_it(gateway: Live, http):
    async with gateway.passing(), stream(http, method="GET", params={"query": RUNS}) as events:
        assert (await anext(events))[0] == "next"


async def test_a_query_is_answered_and_completed(http):
    async with stream(http, json={"query": QUERY}) as events:
        (name, data), last = await all_of(events)

    assert name == "next"
    assert len(data["data"]["providers"]) == 4
    assert last == ("complete", None)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"query": "subscription { nope }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": 'subscription { syncRunChanged(filter: {syncs: ["x"]}) { kind } }'}, "BAD_ID"),
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
async def test_what_is_refused_is_said_in_the_stream(http, path: str, asked, code: str):
    async with stream(http, path, json=asked) as events:
        (name, data), last = await all_of(events)

    assert (name, data.keys(), last) == ("next", {"errors"}, ("complete", None))
    assert [error["extensions"]["code"] for error in data["errors"]] == [code]


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/json",
        "application/json, text/event-stream",
        "text/event-stream;q=0.5, application/json",
        "text/event-stream;q=0, application/json",
        "text/html, */*",
        URQL,
    ],
)
async def test_a_query_is_not_streamed_to_who_likes_json_as_well(http, accept: str | None):
    headers = {} if accept is None else {"accept": accept}
    answer = await http.post("/graphql", json={"query": QUERY}, headers=headers)

    assert answer.status_code == 200
    assert "json" in answer.headers["content-type"]
    assert len(answer.json()["data"]["providers"]) == 4


@pytest.mark.parametrize("accept", ["application/json, text/event-stream", URQL])
async def test_a_subscription_is_streamed_to_who_takes_events_at_all(gateway: Live, http, accept: str):
    async with (
        gateway.passing(),
        stream(http, "/graphql", json={"query": RUNS}, headers={"accept": accept}) as events,
    ):
        assert (await anext(events))[0] == "next"


async def test_a_subscription_by_plain_http_is_told_where_to_go(http):
    for accept in ("application/json", "*/*", "text/event-stream;q=0, application/json"):
        answer = await http.post("/graphql", json={"query": RUNS}, headers={"accept": accept})
        (error,) = answer.json()["errors"]

        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert "text/event-stream" in error["message"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"content": b"[1]"}, 400),
        ({"content": b"not json"}, 400),
        ({"content": b"\xff"}, 400),
        ({"json": {}}, 400),
        ({"json": {"query": RUNS, "variables": []}}, 400),
        ({"content": b'{"query": "%s"}' % (b"x" * 300_000)}, 413),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"method": "PATCH"}, 405),
        ({"method": "GET"}, 400),
        ({"method": "DELETE", "params": {"operationId": "1"}}, 404),
        ({"method": "GET", "params": {"token": "nobody's"}}, 404),
        ({"json": {"query": RUNS}, "headers": {TOKEN: "nobody's"}}, 404),
    ],
)
async def test_what_asks_for_nothing_is_refused_by_its_status(http, asked, status: int):
    method = asked.get("method", "POST")
    headers = {"accept": EVENTS, "content-type": "application/json", **asked.get("headers", {})}
    rest = {key: value for key, value in asked.items() if key not in {"method", "headers"}}
    answer = await http.request(method, "/graphql/stream", headers=headers, **rest)

    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_client_that_hangs_up_frees_its_place():
    async with (
        live(live=OFTEN.model_copy(update={"max_connections": 1})) as gateway,
        browser(gateway) as http,
    ):
        async with gateway.passing(), stream(http, json={"query": RUNS}) as events:
            await anext(events)
            refusal = await http.post("/graphql/stream", json={"query": RUNS}, headers={"accept": EVENTS})
        assert refusal.status_code == 429
        assert refusal.json()["errors"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        await until(lambda: can_reserve(http))


async def reserve(http: httpx2.AsyncClient) -> dict[str, str]:
    answer = await http.put("/graphql/stream")
    assert answer.status_code == 201
    return {TOKEN: answer.text}


async def begin(http: httpx2.AsyncClient, token: dict[str, str], name: object, query: str = RUNS) -> int:
    asked = {"query": query, "extensions": {"operationId": name}}
    return (await http.post("/graphql/stream", json=asked, headers=token)).status_code


async def test_one_connection_tells_of_many_operations(gateway: Live, http):
    token = await reserve(http)
    assert await begin(http, token, "before") == 202
    async with stream(http, method="GET", headers=token) as events:
        assert await begin(http, token, "query", QUERY) == 202
        name, data = await anext(events)
        assert (name, data["id"], data["payload"].keys()) == ("next", "query", {"data"})
        assert await anext(events) == ("complete", {"id": "query"})
        assert await begin(http, token, "after") == 202
        async with gateway.passing():
            found = {(await anext(events))[1]["id"] for _ in range(4)}
            while found != {"before", "after"}:
                found.add((await anext(events))[1]["id"])
        answer = await http.delete("/graphql/stream", params={"operationId": "before"}, headers=token)
        assert answer.status_code == 200
        assert await begin(http, token, "before", QUERY) == 202, "its name is free again"


async def test_a_token_in_the_address_will_do(gateway: Live, http):
    token = (await reserve(http))[TOKEN]
    async with gateway.passing(), stream(http, method="GET", params={"token": token}) as events:
        asked = {"query": RUNS, "extensions": {"operationId": "1"}}
        assert (await http.post("/graphql/stream", params={"token": token}, json=asked)).status_code == 202
        assert (await anext(events))[1]["id"] == "1"


async def test_misuse_of_a_reservation_is_refused_by_its_status(http):
    token = await reserve(http)
    async with stream(http, method="GET", headers=token):
        assert (await http.get("/graphql/stream", headers=token)).status_code == 409
        assert await begin(http, token, None) == 400
        assert await begin(http, token, "") == 400
        assert await begin(http, token, 1) == 400
        assert await begin(http, token, "1", "{ nope }") in {200, 400}
        assert await begin(http, token, "1") == 202
        assert await begin(http, token, "1") == 409


async def test_one_reserved_stream_has_a_limited_number_of_operations():
    async with (
        live(live=OFTEN.model_copy(update={"max_subscriptions": 2})) as gateway,
        browser(gateway) as http,
    ):
        token = await reserve(http)
        assert [await begin(http, token, name) for name in "123"] == [202, 202, 429]


async def can_reserve(http: httpx2.AsyncClient) -> bool:
    return (await http.put("/graphql/stream")).status_code == 201


async def test_a_reservation_ends_with_its_connection():
    async with (
        live(live=OFTEN.model_copy(update={"max_connections": 1})) as gateway,
        browser(gateway) as http,
    ):
        token = await reserve(http)
        async with stream(http, method="GET", headers=token):
            assert not await can_reserve(http)
        await until(lambda: can_reserve(http))

        assert await begin(http, token, "1") == 404


async def test_a_reservation_ends_by_itself_when_nobody_connects():
    events = EventStreams(NotImplemented, Seats(1), Documents(ServerSettings()))
    streams = ReservedStreams(events, max_subscriptions=1, reserved_s=0.05)
    async with listening(streams) as address, browser(Live(address, NotImplemented)) as http:
        token = await reserve(http)
        await until(lambda: can_reserve(http))

        assert (await http.get("/", headers=token)).status_code == 404
