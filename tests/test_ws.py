"""Subscriptions over WebSocket, on real sockets: the protocol to the letter, and what misuse comes to."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send
from tests.gateway import Upstreams
from tests.live import OFTEN, PATIENCE_S, RUNS, Client, Live, heard, listening, live
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from syncgraph.config import ServerSettings
from syncgraph.graph.schema import Operation, Result
from syncgraph.graph.streams import Stream
from syncgraph.http.documents import Documents
from syncgraph.http.seats import Seats
from syncgraph.http.ws import MAX_BYTES, Limits, Sockets
from syncgraph.watch import MAX_WAITING, News, Subscriber, Topic

INIT = {"type": "connection_init"}
ANYTHING = Documents(ServerSettings())


@pytest.fixture
async def gateway() -> AsyncIterator[Live]:
    async with live() as gateway:
        yield gateway


async def closed(socket) -> tuple[int | None, str]:
    """How the other side closed it, whatever it said before."""
    try:
        while True:
            await heard(socket)
    except ConnectionClosed:
        return socket.close_code, socket.close_reason


async def closed_after(gateway: Live, *messages: object) -> int | None:
    async with gateway.socket() as socket:
        for message in messages:
            await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        code, _ = await closed(socket)
    return code


async def changed_runs(gateway: Live, client: Client, number: int = 1, name: str = "1") -> list[dict]:
    """The first events as time passes."""
    async with gateway.passing():
        return [await changed_run(client, name) for _ in range(number)]


async def changed_run(client: Client, name: str = "1") -> dict:
    message = await client.next(name)
    assert message["type"] == "next", message
    event: dict = message["payload"]["data"]["syncRunChanged"]
    return event


async def test_a_run_is_told_of_when_it_begins_and_when_it_ends(gateway: Live):
    seen: dict[str, list[tuple[str, str | None, str]]] = {}
    async with gateway.client() as client, gateway.passing():
        await client.subscribe()
        while not any({"CREATED", "FINISHED"} <= {kind for kind, _, _ in its} for its in seen.values()):
            event = await changed_run(client)
            story = seen.setdefault(event["run"]["id"], [])
            story.append((event["kind"], event["previousStatus"], event["run"]["status"]))

    for story in seen.values():
        assert [previous for _, previous, _ in story[1:]] == [status for _, _, status in story[:-1]]
        assert story[0][0] != "CREATED" or story[0][1] is None


async def test_a_query_is_answered_too_and_completed(gateway: Live):
    async with gateway.client() as client:
        await client.subscribe("{ providers { name } }", id="q")

        answer = await client.next("q")
        assert answer["type"] == "next"
        assert len(answer["payload"]["data"]["providers"]) == 4
        assert await client.next("q") == {"type": "complete", "id": "q"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription { a: providerHealthChanged { id } b: providerHealthChanged { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ('subscription { syncRunChanged(since: "yesterday") { kind } }', "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription ($f: SyncRunFilter) { syncRunChanged(filter: $f, since: $g) { kind } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ('subscription { syncRunChanged(filter: {syncs: ["x"]}) { kind } }', "BAD_ID"),
        (
            "subscription { providerHealthChanged { connectors(first: 100) { nodes { syncs(first: 100) { nodes { runs(first: 100) { nodes { id } } } } } } } }",
            "BAD_USER_INPUT",
        ),
        ("mutation { a }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription A { providerHealthChanged { id } } subscription B { providerHealthChanged { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ],
)
async def test_an_operation_that_is_refused_ends_with_its_error_alone(gateway: Live, query: str, code: str):
    async with gateway.client() as client:
        await client.subscribe(query)
        refusal = await client.next()
        await client.subscribe("{ providers { name } }")
        answer = await client.next()

    assert refusal["type"] == "error"
    assert [error["extensions"]["code"] for error in refusal["payload"]] == [code]
    assert answer["type"] == "next", "the id is free again"


async def test_a_message_before_hello_closes_the_socket(gateway: Live):
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": RUNS}}

    assert await closed_after(gateway, subscribe) == 4401


async def test_who_says_nothing_is_sent_away():
    sockets = Sockets(NotImplemented, Seats(1), ANYTHING, Limits(max_subscriptions=1, init_s=0.05))
    async with listening(sockets) as address, Live(address, None).socket() as socket:  # type: ignore[arg-type]
        await socket.send('{"type": "ping"}')
        assert await heard(socket) == {"type": "pong"}

        assert await closed(socket) == (4408, "Connection initialisation timeout")


async def test_who_says_hello_twice_is_sent_away(gateway: Live):
    assert await closed_after(gateway, INIT, INIT) == 4429


async def test_an_id_in_use_closes_the_socket(gateway: Live):
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": RUNS}}

    assert await closed_after(gateway, INIT, subscribe, subscribe) == 4409


@pytest.mark.parametrize(
    "message",
    [
        "[1]",
        "1",
        "null",
        "not json",
        "",
        "{}",
        '{"type": 1}',
        '{"type": "start"}',
        '{"type": "connection_init", "payload": 1}',
        '{"type": "subscribe", "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "complete"}',
        "[" * 50_000,
        '{"a": ' * 9_000,
        '{"type": "ping", "payload": "\\ud800"}',
        b'{"type": "connection_init"}',
        b"\xff\x00",
    ],
    ids=lambda message: repr(message[:40]),
)
@pytest.mark.parametrize("is_known", [False, True])
async def test_what_is_no_message_closes_the_socket(gateway: Live, message, is_known):
    assert await closed_after(gateway, *([INIT] if is_known else []), message) == 4400


@pytest.mark.parametrize(
    "payload", [{}, {"query": 1}, {"query": RUNS, "variables": []}, {"query": RUNS, "operationName": 1}]
)
async def test_what_is_no_operation_closes_the_socket(gateway: Live, payload):
    subscribe = {"id": "1", "type": "subscribe", "payload": payload}

    assert await closed_after(gateway, INIT, subscribe) == 4400


async def test_a_message_that_is_too_long_closes_the_socket(gateway: Live):
    assert await closed_after(gateway, INIT, {"type": "ping", "payload": {"a": "x" * MAX_BYTES}}) == 1009


async def test_a_longest_message_is_heard(gateway: Live):
    async with gateway.client() as client:
        around = len(json.dumps({"type": "ping", "payload": {"a": ""}}))
        ping = {"type": "ping", "payload": {"a": "x" * (MAX_BYTES - around)}}
        await client.send(ping)

        assert await heard(client.socket) == {**ping, "type": "pong"}


async def test_another_protocol_is_not_spoken(gateway: Live):
    for spoken in (["graphql-ws"], None):
        subprotocols = [Subprotocol(one) for one in spoken] if spoken else None
        async with gateway.socket(subprotocols=subprotocols) as socket:
            code, _ = await closed(socket)

            assert code == 4406


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        (None, True),
        ("http://{address}", True),
        ("https://{address}", True),
        ("http://evil.example", False),
        ("http://127.0.0.1:1", False),
        ("http://{address}.evil.example", False),
        ("http://evil.example/?{address}", False),
        ("http://evil.example@{address}", False),
        ("null", False),
        ("", False),
    ],
)
async def test_a_page_of_another_host_is_not_let_in(gateway: Live, origin: str | None, is_let_in):
    given = None if origin is None else origin.format(address=gateway.address)
    socket = gateway.socket(additional_headers={} if given is None else {"Origin": given})
    if is_let_in:
        async with socket:
            return
    with pytest.raises(InvalidStatus) as caught:
        await socket

    assert caught.value.response.status_code == 403


async def test_only_the_endpoint_takes_sockets(gateway: Live):
    for path in ("/", "/graphql/assets/app.js", "/graphql/stream", "/nope"):
        with pytest.raises(InvalidStatus) as caught:
            await gateway.socket(path)

        assert caught.value.response.status_code == 403


async def test_one_address_has_a_limited_number_of_sockets():
    async with live(live=OFTEN.model_copy(update={"max_connections": 2})) as gateway:
        async with gateway.client(), gateway.client():
            with pytest.raises(InvalidStatus) as caught:
                await gateway.socket()
            assert caught.value.response.status_code == 429
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with gateway.client():
                        return
                except InvalidStatus:
                    await asyncio.sleep(0.01)


async def test_one_socket_has_a_limited_number_of_operations():
    async with (
        live(live=OFTEN.model_copy(update={"max_subscriptions": 2})) as gateway,
        gateway.client() as client,
    ):
        for name in "123":
            await client.subscribe(id=name)

        refusal = await client.next("3")
        assert refusal["type"] == "error"
        assert [one["extensions"]["code"] for one in refusal["payload"]] == ["TOO_MANY_SUBSCRIPTIONS"]
        await client.send({"id": "2", "type": "complete"})
        await client.subscribe(id="3")
        await changed_runs(gateway, client, name="3")


async def test_what_was_completed_is_heard_of_no_more(gateway: Live):
    async with gateway.client() as client:
        await client.subscribe(id="1")
        await client.subscribe(id="2")
        await changed_runs(gateway, client, name="1")
        await client.send({"id": "1", "type": "complete"})
        await client.send({"id": "nobody", "type": "complete"})
        await client.send({"type": "ping"})
        await client.wait_for(lambda message: message["type"] == "pong")
        client.kept.clear()

        await changed_runs(gateway, client, 3, name="2")
        assert {message["id"] for message in client.kept} <= {"2"}


def lagging() -> Stream:
    """A stream whose events nobody took."""
    subscriber = Subscriber(Topic.RUNS, None, lambda _: True, lambda _: None)
    for number in range(MAX_WAITING + 2):
        subscriber.tell([News(number)])
    return Stream(subscriber, Operation(query=RUNS, variables=None, name=None), NotImplemented)


async def test_a_subscription_that_lags_behind_is_ended_with_its_code_and_the_socket_lives():
    async def open_stream(_: Operation) -> Stream:  # noqa: RUF029  # stands for one that asks
        return lagging()

    sockets = Sockets(open_stream, Seats(1), ANYTHING, Limits(max_subscriptions=1))
    async with listening(sockets) as address, Live(address, Upstreams()).client() as client:
        for _ in range(2):
            await client.subscribe()
            refusal = await client.next()

            assert refusal["type"] == "error"
            assert [error["extensions"]["code"] for error in refusal["payload"]] == ["SUBSCRIBER_TOO_SLOW"]


async def test_a_client_that_takes_nothing_is_dropped_and_so_are_its_subscriptions():
    taken = asyncio.Event()

    async def open_stream(_: Operation) -> Result:  # noqa: RUF029  # stands for one that asks
        return Result({"text": "x" * 20_000_000}, (), was_executed=True)

    sockets = Sockets(open_stream, Seats(1), ANYTHING, Limits(max_subscriptions=9, send_s=0.2))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sockets(scope, receive, send)
        if scope["type"] == "websocket":
            taken.set()

    async with listening(app) as address, Live(address, Upstreams()).client() as client:
        client.socket.transport.pause_reading()
        for name in "123":
            await client.subscribe(id=name)
        async with asyncio.timeout(PATIENCE_S):
            await taken.wait()
        client.socket.transport.abort()
