"""What a client of the graph sees, and what that costs upstream."""

# ruff: noqa: UP031  # GraphQL is full of braces: str.format would double each

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import (
    GraphQLField,
    GraphQLNamedType,
    build_client_schema,
    build_schema,
    extend_schema,
    get_introspection_query,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_non_null_type,
    is_object_type,
    is_specified_scalar_type,
    lexicographic_sort_schema,
    parse,
    print_schema,
)
from tests.gateway import NOW, Gateway, Upstreams, running

from syncgraph import sandboxes
from syncgraph.config import ProviderSettings
from syncgraph.graph.schema import schema

WITH_RUNS = ("den", "timbal", "airweave")
KINDS = sorted(sandboxes.SANDBOXES)
FIELD_OF = {"Connector": "connector", "Sync": "sync", "SyncRun": "syncRun"}

EVERYTHING = """
{
  connectors(first: 100) { nodes { __typename id externalId providerName } }
  syncs(first: 100) { nodes { __typename id externalId providerName } }
  syncRuns(first: 100) { nodes { __typename id externalId providerName } }
}
"""


async def one_of_each(gateway: Gateway) -> dict[tuple[str, str], dict[str, Any]]:
    """A connector, a sync and a run of every provider, by type and provider; the calls for it are forgotten."""
    data = await gateway.data(EVERYTHING)
    gateway.upstreams.sent.clear()
    rows = [row for page in data.values() for row in page["nodes"]]
    return {(row["__typename"], row["providerName"]): row for row in reversed(rows)}


# lookups


async def test_there_is_a_connector_a_sync_and_a_run_wherever_they_are_published(gateway: Gateway):
    found = await one_of_each(gateway)

    assert sorted(found) == sorted(
        [(kind, name) for kind in ("Connector", "Sync") for name in KINDS]
        + [("SyncRun", name) for name in WITH_RUNS]
    )


async def test_what_a_list_shows_is_found_again_by_its_global_id_and_by_the_providers_own(gateway: Gateway):
    for (kind, name), row in (await one_of_each(gateway)).items():
        fields = "__typename id externalId providerName"
        data = await gateway.data(
            """
            query ($id: ID!, $ids: [ID!]!, $p: String!, $e: String!) {
              node(id: $id) { __typename id ... on %(kind)s { externalId providerName } }
              nodes(ids: $ids) { __typename id ... on %(kind)s { externalId providerName } }
              found: %(field)s(provider: $p, externalId: $e) { %(fields)s }
            }
            """
            % {"kind": kind, "field": FIELD_OF[kind], "fields": fields},
            id=row["id"],
            ids=[row["id"], row["id"]],
            p=name,
            e=row["externalId"],
        )

        assert data == {"node": row, "nodes": [row, row], "found": row}


async def test_providers_are_found_by_name_and_by_global_id_without_any_call(gateway: Gateway):
    data = await gateway.data("{ providers { id name kind contract capabilities } }")
    for one in data["providers"]:
        fields = "... on Provider { id name kind contract capabilities }"
        found = await gateway.data(
            "query ($id: ID!, $name: String!) { node(id: $id) { %s } provider(name: $name) { %s } }"
            % (fields, fields),
            id=one["id"],
            name=one["name"],
        )
        assert found == {"node": one, "provider": one}
    assert [one["name"] for one in data["providers"]] == list(sandboxes.SANDBOXES)
    assert await gateway.data('{ provider(name: "mars") { id } }') == {"provider": None}
    assert gateway.upstreams.sent == []


async def test_an_id_of_one_type_never_answers_for_another(gateway: Gateway):
    """Airweave's syncs bear their connection's id: the type within the id decides."""
    found = await one_of_each(gateway)
    connector, sync = found["Connector", "airweave"], found["Sync", "airweave"]

    data = await gateway.data(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=[sync["id"], connector["id"]]
    )

    assert [one["__typename"] for one in data["nodes"]] == ["Sync", "Connector"]
    assert connector["id"] != sync["id"]


# what costs a call


FREE = [
    "connector { id provider { name } }",
    "connector { __typename externalId providerName provider { id kind contract } }",
    "c: connector { i: id e: externalId p: provider { n: name } }",
    "connector { ...Key }",
    "connector { ... on Node { id } ... on Connector { provider { ... on Provider { name } } } }",
    "connector { ... { id } } connector { externalId }",
    "connector @include(if: true) { id name @skip(if: true) }",
]
COSTLY = [
    "connector { id name }",
    "connector { id } connector { status }",
    "connector { ...Full }",
    "connector { ... on Connector { ... on Node { id } label: name } }",
    "a: connector { name } b: connector { status } c: connector { id }",
]
FRAGMENTS = """
fragment Key on Connector { id ...More }
fragment More on Connector { provider { name } }
fragment Full on Connector { id ...Name }
fragment Name on Connector { name }
"""


def with_fragments(query: str) -> str:
    """With the fragments that it uses, in turn: GraphQL refuses others."""
    text, left = query, FRAGMENTS.strip().splitlines()
    while used := [line for line in left if f"...{line.split()[1]} " in text]:
        text = "\n".join((text, *used))
        left = [line for line in left if line not in used]
    return text


@pytest.mark.parametrize("name", WITH_RUNS)
@pytest.mark.parametrize("fields", FREE)
async def test_what_the_id_alone_tells_of_a_runs_connector_costs_no_call(
    gateway: Gateway, name: str, fields: str
):
    run = (await one_of_each(gateway))["SyncRun", name]
    query = "query ($id: ID!) { node(id: $id) { ... on SyncRun { %s } } }"
    await gateway.data(query % "id", id=run["id"])
    alone = list(gateway.upstreams.sent)
    gateway.upstreams.sent.clear()

    data = await gateway.data(with_fragments(query % fields), id=run["id"])

    assert data["node"]
    assert gateway.upstreams.sent == alone


@pytest.mark.parametrize("name", WITH_RUNS)
@pytest.mark.parametrize("fields", COSTLY)
async def test_asking_for_a_runs_connectors_name_costs_one_call(gateway: Gateway, name: str, fields: str):
    run = (await one_of_each(gateway))["SyncRun", name]
    query = "query ($id: ID!) { node(id: $id) { ... on SyncRun { %s } } }"
    await gateway.data(query % "id", id=run["id"])
    alone = list(gateway.upstreams.sent)
    gateway.upstreams.sent.clear()

    await gateway.data(with_fragments(query % fields), id=run["id"])

    assert gateway.upstreams.sent[: len(alone)] == alone
    assert len(gateway.upstreams.sent) == len(alone) + 1


@pytest.mark.parametrize("kind", ["Connector", "Sync", "SyncRun"])
async def test_identical_keys_in_one_operation_cost_what_one_costs(gateway: Gateway, kind: str):
    found = await one_of_each(gateway)
    for name in KINDS:
        row = found.get((kind, name))
        if row is None:
            continue
        gateway.upstreams.sent.clear()
        await gateway.data("query ($id: ID!) { node(id: $id) { id } }", id=row["id"])
        alone = list(gateway.upstreams.sent)
        gateway.upstreams.sent.clear()

        await gateway.data(
            """
            query ($id: ID!, $p: String!, $e: String!) {
              a: node(id: $id) { id } b: node(id: $id) { id } nodes(ids: [$id, $id]) { id }
              c: %(field)s(provider: $p, externalId: $e) { id } d: %(field)s(provider: $p, externalId: $e) { id }
            }
            """
            % {"field": FIELD_OF[kind]},
            id=row["id"],
            p=name,
            e=row["externalId"],
        )

        assert gateway.upstreams.sent == alone, name


LISTED = "externalId name rawStatus createdAt provenance"


@pytest.mark.parametrize(
    ("plain", "linked"),
    [
        (
            "{ connectors(first: 100) { nodes { id syncs(first: 100) { nodes { id } } } } }",
            "{ connectors(first: 100) { nodes { id %s syncs(first: 100) { nodes { id connector { %s status } } } } } }"
            % (LISTED, LISTED),
        ),
        (
            "{ connectors(first: 100) { nodes { id runs(first: 5) { nodes { id } } } } }",
            "{ connectors(first: 100) { nodes { id runs(first: 5) { nodes { id connector { %s } } } } } }" % LISTED,
        ),
        (
            "{ syncs(first: 100) { nodes { id runs(first: 5) { nodes { id } } } } }",
            "{ syncs(first: 100) { nodes { id runs(first: 5) { nodes { id sync { %s state } } } } } }" % LISTED,
        ),
        (
            "{ syncs(first: 100) { nodes { id latestRun { id } } } }",
            "{ syncs(first: 100) { nodes { id latestRun { id rawStatus sync { %s state latestRun { id rawStatus } } } } } }"
            % LISTED,
        ),
    ],
    ids=["connector to syncs and back", "connector to runs and back", "sync to runs and back", "sync to its latest run and back"],
)  # fmt: skip
async def test_an_object_that_a_list_brought_is_not_fetched_again(gateway: Gateway, plain: str, linked: str):
    await gateway.ask(plain)
    least = sorted(gateway.upstreams.sent)
    gateway.upstreams.sent.clear()

    await gateway.ask(linked)

    assert sorted(gateway.upstreams.sent) == least


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("first", [3, 100])
async def test_a_list_of_connectors_with_their_syncs_reads_no_connector_twice(
    gateway: Gateway, name: str, first: int
):
    await gateway.data(
        "query ($p: String!, $n: Int!) { provider(name: $p) { connectors(first: $n) { nodes { id syncs { nodes { id } } } } } }",
        p=name,
        n=first,
    )

    paths = [call.split("?")[0] for call in gateway.upstreams.sent if not re.search(r"sync-status", call)]
    assert len(paths) == len(set(paths))


@dataclass
class Meeting(Upstreams):
    """Upstreams whose first calls wait for each other: they pass only when all were sent side by side."""

    parties: int = len(sandboxes.SANDBOXES)
    met: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: set[str] = field(default_factory=set)

    def connect(self, settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
        return _Met(self, settings.kind, super().connect(settings))


class _Met(httpx2.AsyncBaseTransport):
    def __init__(self, meeting: Meeting, kind: str, inner: httpx2.AsyncBaseTransport) -> None:
        self._meeting, self._kind, self._inner = meeting, kind, inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._meeting.waiting.add(self._kind)
        if len(self._meeting.waiting) == self._meeting.parties:
            self._meeting.met.set()
        await self._meeting.met.wait()
        return await self._inner.handle_async_request(request)


FOUR_FIELDS = " ".join(
    f'{name}: provider(name: "{name}") {{ connectors {{ nodes {{ id }} }} }}' for name in KINDS
)


@pytest.mark.parametrize(
    "query",
    [
        "{ connectors { nodes { id } } }",
        "{ syncs { nodes { id } } }",
        "{ %s }" % FOUR_FIELDS,
        "{ providers { connectors { nodes { id } } } }",
    ],
    ids=["connectors", "syncs", "four fields", "a list"],
)
async def test_independent_calls_go_out_side_by_side(query: str):
    async with running(upstreams=Meeting()) as gateway:
        await gateway.data(query)


# pages


@pytest.mark.parametrize("beside", ["", "beside: syncs(first: 100) { nodes { latestRun { id } } }"])
async def test_the_latest_run_of_a_sync_without_any_is_null_whatever_else_is_asked(
    gateway: Gateway, beside: str
):
    data = await gateway.data(
        "{ syncs(first: 100) { nodes { id providerName runs(first: 1) { nodes { id } } } } }"
    )
    idle = [one["id"] for one in data["syncs"]["nodes"] if one["runs"] and not one["runs"]["nodes"]]
    assert idle, "the sandboxes have one"
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Sync { latestRun { id } } } %s }" % beside

    body = await gateway.ask(query, ids=idle)

    assert [one["latestRun"] for one in body["data"]["nodes"]] == [None] * len(idle)
    assert body.get("errors") is None


async def read_all(
    read: Callable[[str | None], Any],
) -> list[dict[str, Any]]:
    """All rows of a list, page by page; checks what every page promises."""
    rows: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = await read(after)
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        assert [edge["node"] for edge in page["edges"]] == page["nodes"]
        if page["edges"]:
            assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        rows += page["nodes"]
        assert page["total"]["value"] >= len(rows)
        if not page["pageInfo"]["hasNextPage"]:
            if page["total"]["relation"] == "EQ":
                assert page["total"]["value"] == len(rows)
            return rows
        assert page["nodes"], "an empty page before the end"
        assert page["pageInfo"]["endCursor"] != after
        after = page["pageInfo"]["endCursor"]


PAGE = """
  edges { cursor node { ...Row } } nodes { ...Row }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor } total { value relation } sources { status }
"""
ROWS = {
    "connectors": "fragment Row on Connector { id externalId providerName }",
    "syncs": "fragment Row on Sync { id externalId providerName }",
    "syncRuns": "fragment Row on SyncRun { id externalId providerName orderedAt }",
}


async def listed(gateway: Gateway, name: str, first: int) -> list[dict[str, Any]]:
    query = "query ($after: String, $first: Int!) { %s(first: $first, after: $after) { %s } } %s" % (
        name,
        PAGE,
        ROWS[name],
    )

    async def read(after: str | None) -> Any:
        return (await gateway.data(query, after=after, first=first))[name]

    return await read_all(read)


CONTRACTS = {
    "today's": None,
    "the seeds'": {
        "den": "sync-events",
        "timbal": "sync-detail",
        "outlit": "integrations",
        "airweave": "sync-jobs",
    },
}


@pytest.mark.parametrize("contracts", CONTRACTS.values(), ids=CONTRACTS)
@pytest.mark.parametrize(("name", "sizes"), [("connectors", (3,)), ("syncs", (4,)), ("syncRuns", (64,))])
async def test_paging_forward_shows_every_row_once_in_one_order(
    contracts: dict[str, str] | None, name: str, sizes: tuple[int, ...]
):
    async with running(contracts) as gateway:
        everything = await listed(gateway, name, 100)
        ids = [row["id"] for row in everything]
        assert len(ids) == len(set(ids)) > 0
        for size in sizes:
            assert await listed(gateway, name, size) == everything, size


async def test_runs_come_newest_first_then_by_provider_then_by_id(gateway: Gateway):
    runs = await listed(gateway, "syncRuns", 100)

    ranks = [
        (-datetime.fromisoformat(run["orderedAt"]).timestamp(), run["providerName"], run["externalId"])
        for run in runs
    ]
    assert ranks == sorted(ranks)
    assert {run["providerName"] for run in runs} == set(WITH_RUNS)


async def test_every_run_that_the_sandboxes_hold_is_shown(gateway: Gateway):
    """Read provider by provider through the syncs' and connectors' own lists, then all in one."""
    data = await gateway.data(
        "{ connectors(first: 100) { nodes { providerName runs(first: 100) { nodes { id } pageInfo { hasNextPage } } } } }"
    )
    nested = {
        run["id"]
        for one in data["connectors"]["nodes"]
        # Timbal's list of all jobs is a window, in which a connector's own list may show more.
        if one["runs"] is not None and one["providerName"] != "timbal"
        for run in one["runs"]["nodes"]
    }
    everything = {run["id"] for run in await listed(gateway, "syncRuns", 100)}

    assert len(nested) > 100
    assert nested <= everything


@pytest.mark.parametrize("name", WITH_RUNS)
@pytest.mark.parametrize("parent", ["Connector", "Sync"])
async def test_a_nested_list_pages_by_its_own_cursor(gateway: Gateway, parent: str, name: str):
    row = (await one_of_each(gateway))[parent, name]
    query = """
    query ($id: ID!, $first: Int!, $after: String) {
      node(id: $id) { ... on %s { runs(first: $first, after: $after) { %s } } }
    }
    %s
    """ % (parent, PAGE, ROWS["syncRuns"])

    def of(size: int) -> Callable[[str | None], Any]:
        async def read(after: str | None) -> Any:
            return (await gateway.data(query, id=row["id"], first=size, after=after))["node"]["runs"]

        return read

    whole = await read_all(of(100))
    for size in (7, 50):
        assert await read_all(of(size)) == whole
    assert len({run["id"] for run in whole}) == len(whole)


@pytest.mark.parametrize("name", KINDS)
async def test_a_connectors_syncs_page_by_their_own_cursor(gateway: Gateway, name: str):
    data = await gateway.data(
        "query ($p: String!) { provider(name: $p) { connectors(first: 100) { nodes { id syncs(first: 100) { nodes { id } } } } } }",
        p=name,
    )
    connectors = data["provider"]["connectors"]["nodes"]
    widest = max(connectors, key=lambda one: len(one["syncs"]["nodes"]))
    query = """
    query ($id: ID!, $after: String) { node(id: $id) { ... on Connector { syncs(first: 1, after: $after) { %s } } } } %s
    """ % (PAGE, ROWS["syncs"])

    async def read(after: str | None) -> Any:
        return (await gateway.data(query, id=widest["id"], after=after))["node"]["syncs"]

    rows = await read_all(read)

    assert [row["id"] for row in rows] == [one["id"] for one in widest["syncs"]["nodes"]]


async def test_any_edges_cursor_goes_on_after_that_edge(gateway: Gateway):
    data = await gateway.data("{ syncRuns(first: 12) { edges { cursor node { id } } } }")
    edges = data["syncRuns"]["edges"]
    for edge, following in pairwise(edges):
        after = await gateway.data(
            "query ($c: String!) { syncRuns(first: 1, after: $c) { nodes { id } } }", c=edge["cursor"]
        )
        assert after["syncRuns"]["nodes"] == [following["node"]]


# null, and only where it is honest


async def test_outlit_says_that_it_publishes_no_runs_and_never_that_there_are_none(gateway: Gateway):
    data = await gateway.data(
        """
        {
          provider(name: "outlit") {
            capabilities
            connectors(first: 100) {
              total { value relation } sources { status coverage code }
              nodes {
                runs { nodes { id } }
                syncs(first: 20) {
                  total { value relation }
                  nodes {
                    runs { nodes { id } } stats { runsTotal } latestRun { id } latestSuccessfulRun { id } latestFailedRun { id }
                  }
                }
              }
            }
          }
          syncRuns(first: 1) { sources { provider { name } status coverage code error { code } upstreamCalls } total { relation } }
        }
        """
    )

    outlit = data["provider"]
    assert "LIST_RUNS" not in outlit["capabilities"]
    assert "SYNC_STATS" not in outlit["capabilities"]
    assert outlit["connectors"]["total"] == {"value": 12, "relation": "EQ"}
    connectors = outlit["connectors"]["nodes"]
    syncs = [sync for one in connectors for sync in one["syncs"]["nodes"]]
    assert all(one["syncs"]["total"]["relation"] == "EQ" for one in connectors)
    assert len(syncs) > 1
    assert all(one["runs"] is None for one in connectors)
    assert [set(sync.values()) for sync in syncs] == [{None}] * len(syncs)
    unsupported = [one for one in data["syncRuns"]["sources"] if one["status"] == "UNSUPPORTED"]
    assert unsupported == [
        {
            "provider": {"name": "outlit"},
            "status": "UNSUPPORTED",
            "coverage": "NONE",
            "code": None,
            "error": None,
            "upstreamCalls": 0,
        }
    ]
    assert data["syncRuns"]["total"]["relation"] == "GTE"


async def test_a_total_is_exact_only_when_everything_was_read(gateway: Gateway):
    data = await gateway.data(
        "{ some: syncs(first: 3) { total { value relation } } all: syncs(first: 100) { nodes { id } total { value relation } } }"
    )

    assert data["all"]["total"] == {"value": len(data["all"]["nodes"]), "relation": "EQ"}
    assert data["some"]["total"]["value"] >= 4
    if data["some"]["total"]["value"] != data["all"]["total"]["value"]:
        assert data["some"]["total"]["relation"] == "GTE"


# numbers


@dataclass
class Rewritten(Upstreams):
    """Upstreams with a word of one provider's answers replaced."""

    kind: str = "timbal"
    pattern: bytes = b""
    by: bytes = b""

    def connect(self, settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
        inner = super().connect(settings)
        return _Rewriter(inner, self.pattern, self.by) if settings.kind == self.kind else inner


class _Rewriter(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, pattern: bytes, by: bytes) -> None:
        self._inner, self._pattern, self._by = inner, pattern, by

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        body = re.sub(self._pattern, self._by, await answer.aread())
        headers = [(name, value) for name, value in answer.headers.items() if name != "content-length"]
        return httpx2.Response(answer.status_code, headers=headers, content=body)


STATS = '{ provider(name: "timbal") { connectors { nodes { syncs(first: 1) { nodes { id name stats { runsTotal recordsTotal } } } } } } }'


def _stats(data: Any) -> list[dict[str, Any]]:
    connectors = data["provider"]["connectors"]["nodes"]
    return [sync["stats"] for one in connectors for sync in one["syncs"]["nodes"]]


@pytest.mark.parametrize("count", [2**31, 2**53 - 1])
async def test_a_number_beyond_32_bits_is_told_exactly(count: int):
    upstreams = Rewritten(pattern=rb'"rows_total": ?\d+', by=b'"rows_total":%d' % count)
    async with running(upstreams=upstreams) as gateway:
        stats = _stats(await gateway.data(STATS))

    assert {one["recordsTotal"] for one in stats} == {count}


@pytest.mark.parametrize("count", [2**53, 2**63 - 1])
async def test_a_number_that_clients_would_round_is_null_and_says_so(count: int):
    upstreams = Rewritten(pattern=rb'"rows_total": ?\d+', by=b'"rows_total":%d' % count)
    async with running(upstreams=upstreams) as gateway:
        body = await gateway.ask(STATS)

    stats = _stats(body["data"])
    assert {one["recordsTotal"] for one in stats} == {None}
    assert all(isinstance(one["runsTotal"], int) for one in stats)
    assert len(body["errors"]) == len(stats)
    assert {error["extensions"]["code"] for error in body["errors"]} == {"INTEGER_OVERFLOW"}
    assert {error["path"][-1] for error in body["errors"]} == {"recordsTotal"}
    assert str(count) not in json.dumps(body)


# the schema itself


FOR_ROUTERS = '''
"An entity's `__typename` and the fields of one of its keys."
scalar _Any
"What other graphs can hold by a key."
union _Entity = Connector | Provider | Sync | SyncRun
"This graph as a subgraph."
type _Service { sdl: String! }
extend type Query {
  "For federated routers."
  _service: _Service!
  """
  For federated routers. A representation that is malformed, or names nothing, is null at its place, with one coded error; the others are there.
  """
  _entities(representations: [_Any!]!): [_Entity]!
}
'''


async def test_introspection_tells_the_whole_schema(gateway: Gateway):
    query = get_introspection_query(
        descriptions=True, specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )  # fmt: skip

    told = build_client_schema(await gateway.data(query))  # type: ignore[arg-type]  # a dict, checked by building it

    ours = extend_schema(build_schema(schema.as_str()), parse(FOR_ROUTERS))
    assert print_schema(lexicographic_sort_schema(told)) == print_schema(lexicographic_sort_schema(ours))
    assert gateway.upstreams.sent == []


def our_types() -> list[GraphQLNamedType]:
    types = build_schema(schema.as_str()).type_map.values()
    return [one for one in types if not is_introspection_type(one) and not is_specified_scalar_type(one)]


def fields_of(type_: GraphQLNamedType) -> dict[str, GraphQLField]:
    return dict(type_.fields) if is_object_type(type_) or is_interface_type(type_) else {}


def test_every_type_says_what_it_is():
    lacking = [one.name for one in our_types() if not one.description]

    assert lacking == []


def test_every_nullable_field_says_what_null_means():
    """In its own description, or in its type's where that says it of each field."""
    lacking = [
        f"{one.name}.{name}"
        for one in our_types()
        for name, its in fields_of(one).items()
        if not is_non_null_type(its.type)
        and not re.search(r"\bnull\b", its.description or "", re.IGNORECASE)
        and "each is null" not in (one.description or "").lower()
    ]

    assert lacking == []


def test_a_list_is_never_null_within_and_null_as_a_whole_only_with_a_meaning():
    """Items that may be null are those of ``nodes(ids)``, whose places must be kept."""
    maybe_null = [
        f"{one.name}.{name}"
        for one in our_types()
        for name, its in fields_of(one).items()
        if re.search(r"\[[^\]]*[^!]\]", str(its.type))
    ]

    assert maybe_null == ["Query.nodes"]


def test_types_fields_and_enum_values_are_named_as_graphql_names_them():
    for one in our_types():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", one.name)
        assert one.name.endswith(("Filter", "Range", "Order")) or not is_input_object_type(one)
        for name in fields_of(one):
            assert re.fullmatch(r"[a-z][A-Za-z0-9]*", name)
        for name in getattr(one, "values", {}):
            assert re.fullmatch(r"[A-Z][A-Z0-9_]*|[a-z]+", name)


def test_what_ends_in_connection_is_a_relay_connection():
    for one in our_types():
        if one.name.endswith("Connection"):
            assert {"edges", "nodes", "pageInfo", "total", "sources"} <= fields_of(one).keys()


def test_schema_graphql_is_the_schema_of_the_code():
    printed = Path(__file__).parents[1] / "schema.graphql"

    assert printed.read_text(encoding="utf-8") == schema.as_str() + "\n", "run `make schema`"


async def test_every_instant_is_utc_and_none_is_later_than_now_but_the_next(gateway: Gateway):
    data = await gateway.data(
        "{ syncRuns(first: 100) { nodes { orderedAt createdAt startedAt finishedAt } } syncs(first: 100) { nodes { lastRunAt createdAt freshness { lastSuccessAt evaluatedAt } } } }"
    )

    instants = re.findall(r'"[A-Za-z]+At": "([^"]+)"', json.dumps(data))
    assert len(instants) > 200
    for text in instants:
        assert text.endswith("Z")
        assert datetime.fromisoformat(text) <= NOW
