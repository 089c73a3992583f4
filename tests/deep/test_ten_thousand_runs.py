"""The whole gateway over sandboxes with more than 10,000 runs, 8,000 of them at Den, walked to the end."""

import random
from typing import Any

import httpx2
import msgspec
import pytest
from tests.gateway import NOW, nothing_kept

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import ProviderSettings

RUNS = {"den": 8000, "timbal": 600, "outlit": 0, "airweave": 300}
QUERY = """
query ($first: Int, $after: String) {
  syncRuns(first: $first, after: $after) {
    nodes { id providerName externalId orderedAt }
    pageInfo { hasNextPage endCursor }
    sources { status }
  }
}
"""


def connect(settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
    sandbox = sandboxes.SANDBOXES[settings.kind]
    app = sandbox.app(clock=lambda: NOW, contract=settings.contract, runs=RUNS[settings.kind])
    return httpx2.ASGITransport(app)


async def walk(http: httpx2.AsyncClient, sizes: random.Random | None) -> list[Any]:
    rows: list[Any] = []
    after, more = None, True
    while more:
        first = sizes.randrange(1, 101) if sizes is not None else 100
        answer = await http.post(
            "/graphql", json={"query": QUERY, "variables": {"first": first, "after": after}}
        )
        body = msgspec.json.decode(answer.content)
        assert "errors" not in body, body["errors"]
        page = body["data"]["syncRuns"]
        assert {source["status"] for source in page["sources"]} == {"OK", "UNSUPPORTED"}
        rows += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return rows


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_run_comes_once_and_in_order_whatever_the_page_sizes(seed):
    app = create_app(nothing_kept(sandboxes.settings()), connect=connect, clock=lambda: NOW)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as http,
    ):
        rows = await walk(http, random.Random(seed))
        whole = await walk(http, None)

    ids = [row["id"] for row in rows]
    order = [(row["orderedAt"].ljust(40, "0"), row["providerName"], row["externalId"]) for row in rows]
    by_provider = {name: sum(row["providerName"] == name for row in rows) for name in RUNS}
    assert len(rows) > 10_000, by_provider
    assert by_provider["den"] == 8000
    assert len(set(ids)) == len(ids)
    assert ids == [row["id"] for row in whole]
    assert [instant[:19] for instant, *_ in order] == sorted(
        (instant[:19] for instant, *_ in order), reverse=True
    )
