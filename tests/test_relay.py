"""Relay's two specifications, as properties of the whole gateway: any window of any list, any id of any object."""

# ruff: noqa: UP031  # GraphQL is full of braces: str.format would double each

import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_interface_type,
    is_list_type,
    is_object_type,
    is_required_argument,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway import Gateway

from syncgraph.graph.schema import schema

LISTS = {
    "Query": ("connectors", "syncs", "syncRuns"),
    "Provider": ("connectors",),
    "Connector": ("syncs", "runs"),
    "Sync": ("runs",),
}
PARENTS = {
    "Query": "{ providers { id } }",
    "Provider": "{ providers { id } }",
    "Connector": "{ connectors(first: 100) { nodes { id } } }",
    "Sync": "{ syncs(first: 100) { nodes { id } } }",
}
PAGE = "edges { cursor node { id __typename } } nodes { id __typename } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"

over_the_gateway = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # fmt: skip


@dataclass
class Lists:
    """Every list of the gateway; each is read once from end to end, in pages as large as they can be."""

    gateway: Gateway
    _whole: dict[tuple[str, str, str], list[dict[str, Any]] | None] = field(default_factory=dict)
    _parents: dict[str, list[str]] = field(default_factory=dict)

    async def parents(self, kind: str) -> list[str]:
        if kind not in self._parents:
            ((_, found),) = (await self.gateway.data(PARENTS[kind])).items()
            rows = found["nodes"] if isinstance(found, dict) else found
            self._parents[kind] = [""] if kind == "Query" else [row["id"] for row in rows]
        return self._parents[kind]

    async def page(self, kind: str, name: str, parent: str, first: int, after: str | None) -> Any:
        arguments = {"first": first, "after": after}
        window = f"{name}(first: $first, after: $after) {{ {PAGE} }}"
        if kind == "Query":
            return (
                await self.gateway.data("query ($first: Int, $after: String) { %s }" % window, **arguments)
            )[name]
        query = "query ($first: Int, $after: String, $id: ID!) { node(id: $id) { ... on %s { %s } } }" % (
            kind,
            window,
        )
        return (await self.gateway.data(query, id=parent, **arguments))["node"][name]

    async def whole(self, kind: str, name: str, parent: str) -> list[dict[str, Any]] | None:
        """Its edges; None where there is no such list."""
        its = (kind, name, parent)
        if its not in self._whole:
            page = await self.page(*its, 100, None)
            edges = page and page["edges"]
            while page and page["pageInfo"]["hasNextPage"]:
                page = await self.page(*its, 100, page["pageInfo"]["endCursor"])
                edges += page["edges"]
            self._whole[its] = edges
        return self._whole[its]


@pytest.fixture
def lists(gateway: Gateway) -> Lists:
    return Lists(gateway)


a_list = st.sampled_from([(kind, name) for kind, names in LISTS.items() for name in names])


# Cursor Connections


@over_the_gateway
@given(
    its=a_list,
    nth=st.integers(0, 1000),
    start=st.none() | st.integers(0, 2000),
    sizes=st.lists(st.integers(1, 100) | st.integers(1, 7), min_size=1, max_size=4),
)
async def test_windows_of_any_size_from_any_edge_on_are_the_list_s_own_rows(
    lists: Lists, its: tuple[str, str], nth: int, start: int | None, sizes: list[int]
):
    kind, name = its
    parents = await lists.parents(kind)
    parent = parents[nth % len(parents)]
    whole = await lists.whole(kind, name, parent)
    at = 0 if start is None or not whole else start % len(whole) + 1
    after = whole[at - 1]["cursor"] if whole and at else None
    for size in sizes:
        page = await lists.page(kind, name, parent, size, after)
        assert (page is None) is (whole is None)
        if page is None or whole is None:
            return
        shown = [edge["node"] for edge in page["edges"]]
        assert shown == page["nodes"] == [edge["node"] for edge in whole[at : at + len(shown)]]
        told(page, size, after)
        at += len(shown)
        assert page["pageInfo"]["hasNextPage"] is (at < len(whole))
        after = page["pageInfo"]["endCursor"]
        if at == len(whole):
            return


def told(page: dict[str, Any], size: int, after: str | None) -> None:
    """What `pageInfo` and the edges promise of every window."""
    info, cursors = page["pageInfo"], [edge["cursor"] for edge in page["edges"]]
    assert len(cursors) == len(set(cursors)) <= size
    assert info["startCursor"] == (cursors[0] if cursors else None)
    assert info["hasPreviousPage"] is (after is not None)
    assert cursors or not info["hasNextPage"], "an empty page before the end"
    assert info["endCursor"] or not info["hasNextPage"]


@over_the_gateway
@given(its=a_list, nth=st.integers(0, 1000), size=st.integers(1, 100))
async def test_the_end_cursor_goes_on_where_the_last_edge_s_cursor_does(
    lists: Lists, its: tuple[str, str], nth: int, size: int
):
    kind, name = its
    parents = await lists.parents(kind)
    parent = parents[nth % len(parents)]
    page = await lists.page(kind, name, parent, size, None)
    if page is None or not page["edges"]:
        return

    by_edge = await lists.page(kind, name, parent, 5, page["edges"][-1]["cursor"])
    by_page = await lists.page(kind, name, parent, 5, page["pageInfo"]["endCursor"])

    assert by_edge["nodes"] == by_page["nodes"]
    assert not {row["id"] for row in by_page["nodes"]} & {row["id"] for row in page["nodes"]}


# Global Object Identification


async def every_object(lists: Lists) -> list[dict[str, Any]]:
    """Each object with an id that any list of the gateway shows."""
    providers = (await lists.gateway.data("{ providers { id __typename } }"))["providers"]
    found = {row["id"]: row for row in providers}
    for kind, names in LISTS.items():
        for name in names:
            for parent in await lists.parents(kind):
                for edge in await lists.whole(kind, name, parent) or ():
                    found.setdefault(edge["node"]["id"], edge["node"])
    return list(found.values())


async def test_every_object_that_a_list_shows_is_found_by_its_id_as_what_it_was(lists: Lists):
    rows = await every_object(lists)
    assert {row["__typename"] for row in rows} == {"Provider", "Connector", "Sync", "SyncRun"}
    random.Random(5).shuffle(rows)  # an order, not a secret
    for at in range(0, len(rows), 100):
        data = await lists.gateway.data(
            "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
            ids=[row["id"] for row in rows[at : at + 100]],
        )

        assert data["nodes"] == rows[at : at + 100]


bad_ids = (
    st.text(max_size=30)
    | st.binary(max_size=30).map(lambda raw: raw.hex())
    | st.sampled_from(["U3luYzptYXJzOng", "UHJvdmlkZXI6bWFycw", "U3luYzo", "Tm9kZTp4"])
)


@over_the_gateway
@given(st.lists(st.integers(0, 5000) | bad_ids.filter(lambda its: its.isascii()), min_size=1, max_size=12))
async def test_a_bad_id_costs_only_its_own_place_in_nodes(lists: Lists, wanted: list[int | str]):
    rows = (await lists.whole("Query", "syncs", "")) or []
    good = {one: rows[one % len(rows)]["node"] for one in wanted if isinstance(one, int)}
    ids = [good[one]["id"] if isinstance(one, int) else one for one in wanted]

    body = await lists.gateway.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)

    assert body["data"]["nodes"] == [good[one] if isinstance(one, int) else None for one in wanted]
    errors = {error["path"][1]: error["extensions"]["code"] for error in body.get("errors", [])}
    assert errors.keys() == {at for at, one in enumerate(wanted) if isinstance(one, str)}
    assert set(errors.values()) <= {"BAD_ID", "NOT_FOUND"}


# the schema, as both specifications have it


def public() -> GraphQLSchema:
    return build_schema(schema.as_str())


def connections() -> list[tuple[str, GraphQLField]]:
    """Every field that gives one, by its coordinate."""
    return [
        (f"{one.name}.{name}", its)
        for one in public().type_map.values()
        if is_object_type(one)
        for name, its in one.fields.items()
        if get_named_type(its.type).name.endswith("Connection")
    ]


def test_the_properties_are_about_every_list_of_the_schema():
    assert sorted(coordinate for coordinate, _ in connections()) == sorted(
        f"{kind}.{name}" for kind, names in LISTS.items() for name in names
    )


@pytest.mark.parametrize(
    ("coordinate", "its"), connections(), ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_connection_is_shaped_as_the_specification_says(coordinate: str, its: GraphQLField):
    connection = get_named_type(its.type)
    assert is_object_type(connection)
    edges = connection.fields["edges"].type
    edge = get_named_type(edges)

    assert {name: str(its.args[name].type) for name in ("first", "after")} == {
        "first": "Int",
        "after": "String",
    }
    assert not any(map(is_required_argument, its.args.values()))
    assert re.fullmatch(r"\w+Connection", connection.name)
    assert str(edges) == f"[{edge.name}!]!"
    assert is_object_type(edge)
    assert str(edge.fields["cursor"].type) == "String!"
    assert not is_list_type(edge.fields["node"].type)
    assert str(connection.fields["pageInfo"].type) == "PageInfo!"


def test_page_info_is_the_specification_s():
    page_info = public().type_map["PageInfo"]

    assert is_object_type(page_info)
    assert {name: str(its.type) for name, its in page_info.fields.items()} == {
        "hasPreviousPage": "Boolean!",
        "hasNextPage": "Boolean!",
        "startCursor": "String",
        "endCursor": "String",
    }


def test_whatever_has_an_id_is_a_node_and_the_root_finds_nodes():
    types = public().type_map
    query, node = types["Query"], types["Node"]

    assert is_interface_type(node)
    assert {name: str(its.type) for name, its in node.fields.items()} == {"id": "ID!"}
    assert is_object_type(query)
    assert (str(query.fields["node"].type), str(query.fields["node"].args["id"].type)) == ("Node", "ID!")
    assert (str(query.fields["nodes"].type), str(query.fields["nodes"].args["ids"].type)) == (
        "[Node]!",
        "[ID!]!",
    )
    having = {one.name for one in types.values() if is_object_type(one) and "id" in one.fields}
    assert having == {one.name for one in public().get_implementations(node).objects}
