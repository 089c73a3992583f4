"""Subscriptions as clients from npm receive them, on each transport."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.clients.npm import Suite
from tests.gateway import NOW
from tests.live import PATIENCE_S, live

SUITE = Suite(Path(__file__).parent)
EVENTS = 5


async def told_by(program: str, *arguments: str) -> Any:
    """What a program says while runs begin and end at the sandboxes."""
    SUITE.install()
    async with live() as gateway, gateway.passing():
        url = f"http://{gateway.address}/graphql"
        said = await asyncio.to_thread(SUITE.run, program, url, *arguments, timeout_s=PATIENCE_S)
    return msgspec.json.decode(said)


@pytest.mark.parametrize(
    ("client", "transport"),
    [
        ("plain", "ws"),
        ("plain", "sse"),
        ("plain", "sse-single"),
        ("apollo", "ws"),
        ("apollo", "sse"),
        ("urql", "ws"),
        ("urql", "sse"),
        ("urql", "sse-single"),
    ],
)
async def test_a_client_receives_the_events_of_a_subscription(
    client: str, transport: str, numbers: dict[str, list[str]]
):
    events = await told_by("subscribe.mjs", client, transport, str(EVENTS))

    assert len(events) == EVENTS
    assert {event["kind"] for event in events} <= {"CREATED", "UPDATED", "FINISHED"}
    assert all(event["run"]["status"] for event in events)
    numbers.setdefault("live", []).append(f"{client} by {transport}: {EVENTS} events")


async def test_a_client_that_lost_its_socket_is_told_again_what_changed_since(numbers: dict[str, list[str]]):
    found = await told_by("resume.mjs", NOW.isoformat())

    assert len(found["connections"]) == 2
    numbers.setdefault("live", []).append(
        f"graphql-ws after a lost socket: all {found['connections'][1]} changes since the start again, and on"
    )
