"""What surely costs more upstream calls than one operation may make is refused before any, and nothing else is."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway import Gateway, running

from syncgraph import sandboxes
from syncgraph.config import ServerSettings
from syncgraph.graph import ids

CONTRACTS: Mapping[str, Mapping[str, str]] = {
    "today": {},
    "other": {
        "den": "sync-events",
        "timbal": "sync-detail",
        "airweave": "sync-jobs",
        "outlit": "tool-gateway",
    },
}
EVERY_ID = """
{
  connectors(first: 100) { nodes { id providerName } }
  syncs(first: 100) { nodes { id providerName } }
  syncRuns(first: 100) { nodes { id providerName connector { id } sync { id } } }
}
"""
EXAMPLES = 25
FIELDS = {"Connector": "connector", "Sync": "sync", "SyncRun": "syncRun"}
STRANGERS = [
    ids._pack(f"{kind}:{provider}:{its}")
    for kind in FIELDS
    for provider, its in (
        ("den", "cse_01m80vpjfxee5rrmbyechntd5p"),
        ("den", "cin_01m80vpjfxee5rrmbyechntd5p"),
        ("den", "ctg_01m80vpjfxee5rrmbyechntd5p"),
        ("den", "what"),
        ("timbal", "a/b/c"),
        ("timbal", "a/-/c"),
        ("timbal", "a/b"),
        ("timbal", "a"),
        ("outlit", "hubspot"),
        ("outlit", "hubspot/contacts"),
        ("outlit", "No"),
        ("airweave", "00000000-0000-4000-8000-000000000000"),
        ("airweave", "00000000-0000-4000-8000-000000000000/00000000-0000-4000-8000-000000000001"),
        ("nobody", "a"),
    )
]
"""Well formed ids of nothing, some of the shape that a provider gives to its own and some of none."""
LISTS = [
    *("connectors { nodes { id } }", "syncs { nodes { id } }", "syncRuns { nodes { id } }"),
    "overview { evaluatedAt }",
    "overview(windowDays: 31) { evaluatedAt }",
    "syncs(first: 0) { nodes { id } }",
    'syncRuns(after: "no cursor") { nodes { id } }',
    'connectors(filter: {providers: ["UHJvdmlkZXI6ZGVu"]}) { nodes { id } }',
    "syncs(filter: {connectors: []}) { nodes { id } }",
    "syncs(orderBy: {field: NAME}) { nodes { id } }",
    "providers { name health { status } }",
]


async def read_ids(contracts: Mapping[str, str]) -> list[dict[str, Any]]:
    async with running(contracts) as gateway:
        data = await gateway.data(EVERY_ID)
    return [row for page in data.values() for row in page["nodes"]]


_ROWS = {generation: asyncio.run(read_ids(contracts)) for generation, contracts in CONTRACTS.items()}


def rows_of(provider: str, kind: str, generation: str = "today") -> list[dict[str, Any]]:
    return [
        row
        for row in _ROWS[generation]
        if row["providerName"] == provider and ids._unpack(row["id"]).startswith(f"{kind}:")
    ]


def capped(most: int) -> AbstractAsyncContextManager[Gateway]:
    server = ServerSettings(max_upstream_calls=most)
    return running(settings=sandboxes.settings(server=server))


async def costs(query: str, most: int, provider: str, generation: str) -> tuple[int, bool]:
    """Upstream calls over one provider alone, and whether the operation was refused as too costly before any."""
    every = sandboxes.settings(CONTRACTS[generation], server=ServerSettings(max_upstream_calls=most))
    async with running(settings=replace(every, providers={provider: every.providers[provider]})) as gateway:
        body = await gateway.ask(query)
        return len(gateway.upstreams.sent), "data" not in body


async def assert_answered(query: str, provider: str, generation: str) -> None:
    """With as many calls as it makes, and no more."""
    calls, _ = await costs(query, 10_000, provider, generation)
    _, is_refused = await costs(query, max(1, calls), provider, generation)

    assert not is_refused, f"{calls} calls are enough: {query}"


def by_external_id(id: str) -> str:
    kind, provider, its = ids._unpack(id).split(":", 2)
    return f"{FIELDS[kind]}(provider: {json.dumps(provider)}, externalId: {json.dumps(its)}) {{ externalId }}"


def by_keys(some: Sequence[str]) -> str:
    kinds = [ids._unpack(one).partition(":")[0] for one in some]
    named = [f'{{__typename: "{kind}", id: "{one}"}}' for kind, one in zip(kinds, some, strict=True)]
    return f"_entities(representations: [{', '.join([*named, '{}'])}]) {{ __typename }}"


def operations(provider: str, generation: str) -> st.SearchStrategy[str]:
    """Short ones, of things and lists alike: what is counted twice shows where little else is read."""
    strangers = [one for one in STRANGERS if ids._unpack(one).split(":")[1] in {provider, "nobody"}]
    known = [[row["id"] for row in rows_of(provider, kind, generation)[:8]] for kind in FIELDS]
    some_id = st.one_of([st.sampled_from(pool) for pool in (*known, strangers) if pool])
    field = st.one_of(
        st.lists(some_id, max_size=5).map(
            lambda some: f"nodes(ids: {json.dumps([*some, 'no id'])}) {{ id }}"
        ),
        some_id.map(lambda one: f"node(id: {json.dumps(one)}) {{ id }}"),
        st.lists(some_id, max_size=5).map(by_keys),
        some_id.map(by_external_id),
        st.sampled_from(LISTS),
    )
    selected = st.tuples(st.sampled_from([*[""] * 5, "... @skip(if: true)"]), field)
    return st.lists(selected, min_size=1, max_size=3).map(_operation)


def sharing(provider: str, generation: str) -> Sequence[str]:
    """Where one read may answer several: things of a kind, what belongs together, and any of it beside a list."""
    known = [[row["id"] for row in rows_of(provider, kind, generation)] for kind in FIELDS]
    runs = [row for row in rows_of(provider, "SyncRun", generation) if row["sync"] and row["connector"]]
    of_one = [row for row in runs if row["sync"] == runs[0]["sync"]]
    families = [[row["id"], row["sync"]["id"], row["connector"]["id"]] for row in of_one[:1]]
    groups = [
        *(some[:most] for some in known for most in (1, 3)),
        *(family[:2] for family in families),
        *(family[1:] for family in families),
        *families,
        [row["id"] for row in of_one[:3]],
    ]
    things = [f"nodes(ids: {json.dumps(some)}) {{ id }}" for some in groups if some]
    lists = LISTS[:3]
    pairs = [*product(things, lists), *combinations(lists, 2), *((one,) for one in things)]
    return [_operation([("", field) for field in fields]) for fields in pairs]


def _operation(fields: Sequence[tuple[str, str]]) -> str:
    aliased = [(skip, f"a{n}: {text}") for n, (skip, text) in enumerate(fields)]
    return "{ " + " ".join(f"{skip} {{ {text} }}" if skip else text for skip, text in aliased) + " }"


@pytest.mark.parametrize("generation", CONTRACTS)
@pytest.mark.parametrize("provider", sorted(sandboxes.SANDBOXES))
def test_what_can_be_answered_within_the_ceiling_is_never_refused(provider: str, generation: str):
    """Over one provider alone, so that no other's calls make up for what is counted too high."""

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(operations(provider, generation))
    def holds(query: str) -> None:
        asyncio.run(assert_answered(query, provider, generation))

    holds()


@pytest.mark.parametrize("generation", CONTRACTS)
@pytest.mark.parametrize("provider", sorted(sandboxes.SANDBOXES))
async def test_questions_that_share_a_read_are_never_refused_as_if_they_did_not(
    provider: str, generation: str
):
    for query in sharing(provider, generation):
        await assert_answered(query, provider, generation)


async def test_more_things_by_id_than_calls_are_refused_by_their_field_before_anything_is_asked():
    runs = [row["id"] for row in rows_of("den", "SyncRun")[:11]]
    async with capped(10) as gateway:
        body = await gateway.ask(
            "query ($ids: [ID!]!) { providers { name } nodes(ids: $ids) { id } }", ids=runs
        )

    assert gateway.upstreams.sent == []
    assert body == {
        "errors": [
            {
                "message": (
                    "nodes: with it, the operation needs more than the 10 upstream calls that one may make."
                ),
                "extensions": {"code": "BUDGET_EXCEEDED", "provider": "den", "retryable": False},
            }
        ]
    }


async def test_as_many_things_by_id_as_calls_are_answered():
    runs = [row["id"] for row in rows_of("den", "SyncRun")[:10]]
    async with capped(10) as gateway:
        data = await gateway.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=runs)

    assert [one["id"] for one in data["nodes"]] == runs
    assert len(gateway.upstreams.sent) == 10


async def test_the_field_that_is_one_too_many_is_named_wherever_it_stands():
    three = [by_external_id(row["id"]) for row in rows_of("den", "SyncRun")[:3]]
    query = f"{{ ...Some c: {three[2]} }} fragment Some on Query {{ a: {three[0]} ... {{ b: {three[1]} }} }}"
    async with capped(2) as gateway:
        body = await gateway.ask(query)

    assert body["errors"][0]["message"].startswith("syncRun: ")
    assert gateway.upstreams.sent == []


async def test_what_one_read_answers_counts_once():
    of_one_list = [row["id"] for row in rows_of("timbal", "SyncRun")[:20]]
    again = rows_of("den", "SyncRun")[0]["id"]
    query = "query ($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { id } a: node(id: $id) { id } b: node(id: $id) { id } }"
    async with capped(2) as gateway:
        data = await gateway.data(query, ids=of_one_list, id=again)

    assert [one["id"] for one in data["nodes"]] == of_one_list
    assert len(gateway.upstreams.sent) == 2


async def test_what_is_skipped_is_not_counted():
    runs = [row["id"] for row in rows_of("den", "SyncRun")[:3]]
    query = "query ($ids: [ID!]!, $not: Boolean!) { nodes(ids: $ids) @include(if: $not) { id } syncs @skip(if: true) { nodes { id } } providers { name } }"
    async with capped(1) as gateway:
        data = await gateway.data(query, **{"ids": runs, "not": False})

    assert list(data) == ["providers"]


@pytest.mark.parametrize("field", ["connectors", "syncs", "syncRuns"])
async def test_a_list_over_more_providers_than_calls_is_refused_unless_it_is_narrowed(field: str):
    async with capped(2) as gateway:
        refused = await gateway.ask(f"{{ {field} {{ nodes {{ id }} }} }}")
        assert gateway.upstreams.sent == []
        narrowed = await gateway.ask(
            f"query ($p: [ID!]) {{ {field}(filter: {{providers: $p}}) {{ nodes {{ id }} }} }}",
            p=[ids.encode_provider("timbal")],
        )

    assert [error["extensions"]["code"] for error in refused["errors"]] == ["BUDGET_EXCEEDED"]
    assert refused["errors"][0]["message"].startswith(f"{field}: ")
    assert narrowed["data"][field]["nodes"]


async def test_variables_that_do_not_fit_are_refused_as_such():
    async with capped(1) as gateway:
        body = await gateway.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=None)

    assert [error["extensions"]["code"] for error in body["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]


async def test_an_operation_that_is_refused_is_a_request_error(gateway: Gateway):
    many = [ids._pack(f"SyncRun:den:cse_{n:026d}") for n in range(300)]
    query = "query ($a: [ID!]!, $b: [ID!]!, $c: [ID!]!) { a: nodes(ids: $a) { id } b: nodes(ids: $b) { id } c: nodes(ids: $c) { id } }"
    answer = await gateway.http.post(
        "/graphql",
        json={"query": query, "variables": {"a": many[:100], "b": many[100:200], "c": many[200:]}},
        headers={"accept": "application/graphql-response+json"},
    )

    assert answer.status_code == 400
    assert gateway.upstreams.sent == []
