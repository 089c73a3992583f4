"""Relay, Apollo Client and urql read every list of the gateway to its end."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from starlette.types import Receive, Scope, Send
from tests.clients.npm import Suite
from tests.clients.paging.plain import LISTS, Rows, plain_walk
from tests.gateway import Upstreams, nothing_kept
from tests.replay import serving

from syncgraph import sandboxes
from syncgraph.app import create_app

SUITE = Suite(Path(__file__).parent)
CLIENTS = ("relay", "apollo", "urql")
WALK_S = 240
SIZES = (7, 50)
SMALL = {"Connector.syncs": (1, 50)}
"""Page sizes where no parent has more than seven rows."""
OF_RUNS = tuple(name for name in LISTS if name.endswith("uns"))

Requests = dict[tuple[str, str], list[str]]


@pytest.fixture(scope="session")
def plain(url: str) -> Mapping[str, Rows]:
    return {name: plain_walk(url, name) for name in LISTS}


@pytest.fixture(scope="session")
def requests(numbers: dict[str, list[str]], plain: Mapping[str, Rows]) -> Iterator[Requests]:
    """Of each client for each list, with each page size; shown as a table at the end."""
    made: Requests = {}
    yield made
    told = numbers.setdefault(SUITE.name, [])
    told.append(f"{'list':<20}{'lists':>6}{'null':>6}{'rows':>6}   requests (page size)")
    for name, rows in plain.items():
        known = [ids for ids in rows.values() if ids is not None]
        counts = f"{len(known):>6}{len(rows) - len(known):>6}{sum(map(len, known)):>6}"
        by_client = "   ".join(f"{client} {', '.join(made.get((client, name), []))}" for client in CLIENTS)
        told.append(f"{name:<20}{counts}   {by_client}")


def walked(client: str, url: str, name: str, size: int) -> dict[str, Any]:
    said = SUITE.run(f"{client}.mjs", url, name, str(size), timeout_s=WALK_S)
    found: dict[str, Any] = msgspec.json.decode(said)
    return found


def held(found: dict[str, Any]) -> Rows:
    return {parent: its and its["ids"] for parent, its in found["lists"].items()}


def test_relay_compiler_accepts_a_connection_and_a_refetchable_fragment_over_every_list(compiled: str):
    artifacts = SUITE.folder / "__generated__"
    expected = {
        f"lists_{name.replace('.', '_')}{suffix}.graphql.js"
        for name in LISTS
        for suffix in ("", "_FirstQuery", "_NextQuery")
    }
    assert {path.name for path in artifacts.iterdir()} == expected
    assert "[WARN]" not in compiled
    for name in LISTS:
        source = (artifacts / f"lists_{name.replace('.', '_')}.graphql.js").read_text(encoding="utf-8")
        assert '"connection": [' in source
        assert '"refetch": {' in source


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name in LISTS for size in SMALL.get(name, SIZES)]
)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_holds_every_row_once_and_in_order(
    client: str,
    name: str,
    size: int,
    url: str,
    plain: Mapping[str, Rows],
    compiled: str,
    requests: Requests,
):
    found = walked(client, url, name, size)
    rows = [ids for ids in plain[name].values() if ids]
    requests.setdefault((client, name), []).append(f"{found['requests']} ({size})")

    assert all(len(set(ids)) == len(ids) for ids in rows)
    assert held(found) == plain[name]
    assert found["received"] == sum(map(len, rows))
    assert max(map(len, rows)) <= size or found["requests"] > 1
    for its in found["lists"].values():
        if its is not None:
            assert its["pageInfo"]["hasNextPage"] is False
            assert its["pageInfo"]["hasPreviousPage"] is False, "what is held begins at the list's begin"


# While runs begin


@dataclass
class Moving(Upstreams):
    """Sandboxes whose clock moves on after every answer of the gateway: runs begin, and end, between two pages."""

    step: timedelta = timedelta()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        app = create_app(nothing_kept(sandboxes.settings()), connect=self.connect, clock=lambda: self.now)

        async def moved(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)
            self.now += self.step

        async with serving(moved) as base_url:
            yield f"{base_url}/graphql"

    async def read(self, url: str, name: str) -> Rows:
        """A list as it is now."""
        self.step = timedelta()
        return await anyio.to_thread.run_sync(plain_walk, url, name)


@pytest.mark.parametrize("name", OF_RUNS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_misses_no_run_and_holds_none_twice_while_runs_begin(
    client: str, name: str, compiled: str
):
    world = Moving()
    async with world.served() as url:
        before = await world.read(url, name)
        world.step = timedelta(seconds=30)
        kept = held(await anyio.to_thread.run_sync(walked, client, url, name, 7))
        after = await world.read(url, name)

    assert before.keys() == kept.keys() == after.keys()
    assert sum(len(set(after[its] or ()) - set(before[its] or ())) for its in after) >= 35
    for its, rows in before.items():
        ids, later = kept[its], after[its]
        if rows is None:
            assert ids is None
            continue
        assert ids is not None
        assert later is not None
        assert ids == [row for row in rows if row in set(ids)], "no row twice, and the order of the list"
        assert set(rows) & set(later) <= set(ids), "what the list told all the time"
