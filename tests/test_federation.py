"""What a federated router asks of the graph, and what it gets for a bad question."""

# ruff: noqa: UP031  # GraphQL is full of braces: str.format would double each

import re
from typing import Any

import httpx2
import pytest
from graphql import GraphQLDeferDirective, build_schema, parse, print_ast, print_directive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway import NOW, Gateway, running
from tests.test_graph import KINDS, one_of_each
from typer.testing import CliRunner

from syncgraph import sandboxes
from syncgraph.cli import cli
from syncgraph.config import ServerSettings
from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.graph import ids
from syncgraph.graph.entities import KEYS
from syncgraph.graph.schema import schema
from syncgraph.graph.subgraph import WEIGHTS, subgraph_sdl
from syncgraph.providers.den.sandbox_data import type_id

ENTITIES = """
query ($representations: [_Any!]!) {
  _entities(representations: $representations) {
    __typename
    ... on Node { id }
    ... on Connector { externalId providerName }
    ... on Sync { externalId providerName }
    ... on SyncRun { externalId providerName }
  }
}
"""
GOOD = {"__typename": "Provider", "id": ids.encode_provider("outlit")}
FOUND = {"__typename": "Provider", "id": GOOD["id"]}
STRIPE = SyncKey("outlit", "stripe/StripeCharge")

# the schema of the subgraph


def sdl() -> str:
    return subgraph_sdl(schema.as_str())


async def test_a_router_gets_the_schema_that_the_command_prints(gateway: Gateway):
    data = await gateway.data("{ _service { sdl } }")

    assert data["_service"]["sdl"] == CliRunner().invoke(cli, ["schema", "--subgraph"]).output == sdl()


DEFER = print_ast(parse(print_directive(GraphQLDeferDirective)))
"""A router's own business."""


def test_the_subgraph_s_schema_is_the_public_one_but_for_its_directives():
    undirected = re.sub(r" @(key|shareable|cost|listSize)\b(\([^)]*\))?", "", sdl())
    own = undirected.partition("\n\n")[2]

    assert f"{DEFER}\n\n{print_ast(parse(own))}" == print_ast(parse(schema.as_str()))


def test_every_weight_stands_at_a_field():
    assert sdl().count("@cost(weight: ") == len(WEIGHTS)


def test_every_list_that_has_a_first_says_so():
    public = build_schema(schema.as_str())
    slices = [
        its
        for one in public.type_map.values()
        for its in getattr(one, "fields", {}).values()
        if "first" in getattr(its, "args", {})
    ]

    assert sdl().count('@listSize(slicingArguments: ["first"]') == len(slices) > 5


@pytest.mark.parametrize("name", sorted(KEYS))
def test_an_entity_has_its_keys_and_is_nobody_else_s_to_tell(name: str):
    directives = re.search(rf"^type {name} implements Node (.+) \{{$", sdl(), re.MULTILINE)

    assert directives is not None
    assert directives[1] == " ".join(f'@key(fields: "{" ".join(key)}")' for key in KEYS[name])


def test_what_is_shareable_is_a_plain_value_all_through():
    shareable = set(re.findall(r"^type (\w+) @shareable", sdl(), re.MULTILINE))

    assert {"PageInfo", "Count", "Health", "SyncError"} <= shareable
    assert not shareable & {"SourceOutcome", "SyncConnection", "SyncEdge", "Anomaly", "Overview", "Query"}


# entities


@pytest.mark.parametrize("keys", ["id", "providerName externalId", "id providerName externalId"])
async def test_an_entity_is_found_by_each_of_its_keys_and_by_both(gateway: Gateway, keys: str):
    rows = list((await one_of_each(gateway)).values())
    representations = [
        {"__typename": row["__typename"], **{key: row[key] for key in keys.split()}} for row in rows
    ]

    data = await gateway.data(ENTITIES, representations=representations)

    assert data["_entities"] == rows


async def test_entities_come_in_the_order_asked_also_of_mixed_types_and_twice(gateway: Gateway):
    rows = [*(await one_of_each(gateway)).values(), FOUND]
    asked = [*rows[::-1], rows[0]]

    data = await gateway.data(
        ENTITIES, representations=[{"__typename": one["__typename"], "id": one["id"]} for one in asked]
    )

    assert [one["id"] for one in data["_entities"]] == [one["id"] for one in asked]


async def test_representations_may_be_written_into_the_document(gateway: Gateway):
    data = await gateway.data(
        'query ($id: String) { _entities(representations: [{__typename: "Provider", id: $id}]) { ... on Provider { name } } }',
        id=GOOD["id"],
    )

    assert data == {"_entities": [{"name": "outlit"}]}


VALIDATION, BAD_ID, NOT_FOUND = "GRAPHQL_VALIDATION_FAILED", "BAD_ID", "NOT_FOUND"
A_SYNC = ids.encode(STRIPE)
BAD: list[tuple[object, str]] = [
    ({}, VALIDATION),
    ([], VALIDATION),
    ([GOOD], VALIDATION),
    ("Sync", VALIDATION),
    (5, VALIDATION),
    (True, VALIDATION),
    ({"id": A_SYNC}, VALIDATION),
    ({"__typename": None, "id": A_SYNC}, VALIDATION),
    ({"__typename": ["Sync"], "id": A_SYNC}, VALIDATION),
    ({"__typename": {"Sync": 1}, "id": A_SYNC}, VALIDATION),
    ({"__typename": "sync", "id": A_SYNC}, VALIDATION),
    ({"__typename": "Query"}, VALIDATION),
    ({"__typename": "Node", "id": A_SYNC}, VALIDATION),
    ({"__typename": "PageInfo", "hasNextPage": True}, VALIDATION),
    ({"__typename": "__class__", "id": A_SYNC}, VALIDATION),
    ({"__typename": "Sync"}, VALIDATION),
    ({"__typename": "Sync", "id": None}, VALIDATION),
    ({"__typename": "Sync", "id": 7}, VALIDATION),
    ({"__typename": "Sync", "id": [A_SYNC]}, VALIDATION),
    ({"__typename": "Sync", "id": {"id": A_SYNC}}, VALIDATION),
    ({"__typename": "Sync", "providerName": "outlit"}, VALIDATION),
    ({"__typename": "Sync", "externalId": "stripe/StripeCharge"}, VALIDATION),
    ({"__typename": "Sync", "id": A_SYNC, "providerName": "outlit"}, VALIDATION),
    ({"__typename": "Sync", "id": A_SYNC, "name": "x"}, VALIDATION),
    ({"__typename": "Sync", "id": A_SYNC, "self": "x"}, VALIDATION),
    ({"__typename": "Sync", "id": A_SYNC, "info": "x"}, VALIDATION),
    ({"__typename": "Provider", "providerName": "outlit", "externalId": "x"}, VALIDATION),
    ({"__typename": "Sync", "id": ""}, BAD_ID),
    ({"__typename": "Sync", "id": "nonsense"}, BAD_ID),
    ({"__typename": "Sync", "id": "A" * 5000}, BAD_ID),
    ({"__typename": "SyncRun", "id": A_SYNC}, BAD_ID),
    ({"__typename": "Provider", "id": A_SYNC}, BAD_ID),
    ({"__typename": "Sync", "id": GOOD["id"]}, BAD_ID),
    ({"__typename": "Sync", "id": A_SYNC, "providerName": "outlit", "externalId": "stripe/Other"}, BAD_ID),
    ({"__typename": "Sync", "id": ids.encode(SyncKey("outlit", "stripe/Nothing"))}, NOT_FOUND),
    ({"__typename": "Sync", "providerName": "outlit", "externalId": "stripe/Nothing"}, NOT_FOUND),
    ({"__typename": "Sync", "providerName": "mars", "externalId": "x"}, NOT_FOUND),
    ({"__typename": "Sync", "providerName": "", "externalId": ""}, NOT_FOUND),
    ({"__typename": "SyncRun", "providerName": "outlit", "externalId": "x"}, NOT_FOUND),
    ({"__typename": "Provider", "id": ids.encode_provider("mars")}, NOT_FOUND),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "code"), BAD, ids=lambda one: ascii(one)[:70])
async def test_a_bad_representation_costs_only_itself(gateway: Gateway, bad: object, code: str):
    body = await gateway.ask(ENTITIES, representations=[GOOD, bad, GOOD])

    (error,) = body["errors"]
    assert body["data"] == {"_entities": [FOUND, None, FOUND]}
    assert (error["path"], error["extensions"]) == (["_entities", 1], {"code": code})
    assert not re.search(
        r"[<>_]|Error|None|Traceback|argument|object at", error["message"].replace("__typename", "")
    )


ODD = ["", "..", "../..", "a/b/c/d", "?limit=1", "\x00", "é" * 300, "%2e%2e"]


@pytest.mark.parametrize("kind", ["Connector", "Sync", "SyncRun"])
async def test_whatever_an_external_id_holds_it_names_nothing_else(gateway: Gateway, kind: str):
    odd = [{"__typename": kind, "providerName": name, "externalId": its} for name in KINDS for its in ODD]

    body = await gateway.ask(ENTITIES, representations=[*odd, GOOD])

    assert body["data"] == {"_entities": [*[None] * len(odd), FOUND]}
    assert [error["extensions"]["code"] for error in body["errors"]] == [NOT_FOUND] * len(odd)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=8) | st.sampled_from([A_SYNC, "outlit", *KEYS]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["__typename", "id", "providerName", "externalId"]) | st.text(max_size=4), inner, max_size=4
    ),
    max_leaves=6,
).filter(lambda one: one is not None)  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(values, max_size=5))
async def test_no_representation_whatever_its_shape_is_a_bug_of_ours(
    gateway: Gateway, representations: list[Any]
):
    body = await gateway.ask(ENTITIES, representations=[*representations, GOOD])

    answers = body["data"]["_entities"]
    assert len(answers) == len(representations) + 1
    assert answers[-1] == FOUND
    assert {error["extensions"]["code"] for error in body.get("errors", [])} <= {
        VALIDATION,
        BAD_ID,
        NOT_FOUND,
    }
    assert len(body.get("errors", [])) == answers.count(None)


async def test_a_provider_that_is_down_costs_only_its_own_entities(gateway: Gateway):
    rows = await one_of_each(gateway)
    gateway.upstreams.broken["den"] = lambda _: httpx2.Response(503)

    body = await gateway.ask(
        ENTITIES,
        representations=[{"__typename": "Sync", "id": rows["Sync", name]["id"]} for name in KINDS],
    )

    found = body["data"]["_entities"]
    assert [one and one["providerName"] for one in found] == [
        None if name == "den" else name for name in KINDS
    ]
    (error,) = body["errors"]
    assert error["path"] == ["_entities", KINDS.index("den")]
    assert (error["extensions"]["code"], error["extensions"]["provider"]) == ("UPSTREAM_UNAVAILABLE", "den")


# what entities cost


async def test_more_representations_than_the_limit_are_refused_before_any_call(gateway: Gateway):
    one = {"__typename": "Sync", "id": A_SYNC}

    body = await gateway.ask(ENTITIES, representations=[one] * 201)

    assert body["data"] is None
    assert body["errors"][0]["message"] == "representations: at most 200."
    assert body["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert gateway.upstreams.sent == []
    assert len((await gateway.data(ENTITIES, representations=[one] * 200))["_entities"]) == 200


async def test_the_limit_of_representations_is_a_setting():
    server = ServerSettings(max_representations=2)
    async with running(settings=sandboxes.settings(server=server)) as gateway:
        assert (await gateway.data(ENTITIES, representations=[GOOD] * 2))["_entities"] == [FOUND] * 2
        body = await gateway.ask(ENTITIES, representations=[GOOD] * 3)

    assert body["errors"][0]["message"] == "representations: at most 2."


async def test_entities_that_surely_cost_more_calls_than_one_operation_may_make_are_refused_before_any():
    named = [
        {"__typename": "SyncRun", "id": ids.encode(RunKey("den", type_id("cse", NOW, n)))} for n in range(3)
    ]
    server = ServerSettings(max_upstream_calls=2)
    async with running(settings=sandboxes.settings(server=server)) as gateway:
        refused = await gateway.ask(ENTITIES, representations=[*named, {}])
        assert gateway.upstreams.sent == []
        asked = await gateway.ask(ENTITIES, representations=[*named[:2], {}, named[0], GOOD])

    assert "data" not in refused
    assert refused["errors"][0]["extensions"]["code"] == "BUDGET_EXCEEDED"
    assert asked["data"]["_entities"] == [None, None, None, None, FOUND]
    assert len(gateway.upstreams.sent) == 2


WIDE = "... on Connector { syncs(first: 100) { nodes { runs(first: %d) { nodes { id } } } } }"
A_CONNECTOR = {"__typename": "Connector", "id": ids.encode(ConnectorKey("outlit", "stripe"))}


WRITTEN = '{__typename: "Connector", id: "%s"}' % A_CONNECTOR["id"]


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query ($r: [_Any!]!) { _entities(representations: $r) { %s } }", {"r": [A_CONNECTOR] * 20}),
        ("{ _entities(representations: [%s]) { %%s } }" % ", ".join([WRITTEN] * 20), {}),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { %s } }", {"ids": [A_CONNECTOR["id"]] * 20}),
    ],
    ids=["a variable", "a literal", "nodes"],
)
async def test_lists_within_entities_count_for_each_of_them(
    gateway: Gateway, query: str, variables: dict[str, Any]
):
    """20 connectors of 100 syncs: 42,020 rows with 20 runs each, 52,020 with 25."""
    allowed = await gateway.ask(query % (WIDE % 20), **variables)
    refused = await gateway.ask(query % (WIDE % 25), **variables)

    assert "errors" not in allowed
    assert refused["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert "50000 rows" in refused["errors"][0]["message"]
    assert "data" not in refused


async def test_a_hundred_equal_entities_cost_what_one_costs(gateway: Gateway):
    one = {"__typename": "Sync", "id": A_SYNC}
    await gateway.data(ENTITIES, representations=[one])
    alone = list(gateway.upstreams.sent)
    gateway.upstreams.sent.clear()

    await gateway.data(ENTITIES, representations=[one] * 100)

    assert gateway.upstreams.sent == alone


async def test_a_key_of_an_unknown_run_is_asked_for_and_not_believed(gateway: Gateway):
    """Also when only what the key tells is selected: the other graph may hold what is long gone."""
    gone = ids.encode(RunKey("den", "cse_01jd0000000000000000000000"))

    body = await gateway.ask(
        "query ($r: [_Any!]!) { _entities(representations: $r) { ... on SyncRun { id } } }",
        r=[{"__typename": "SyncRun", "id": gone}],
    )

    assert body["data"] == {"_entities": [None]}
    assert body["errors"][0]["extensions"] == {"code": NOT_FOUND}
