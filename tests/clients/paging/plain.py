"""The same lists by plain requests: what a client should hold."""

from collections.abc import Mapping
from typing import Any

import httpx2
from graphql import build_schema, get_named_type, is_object_type
from tests.test_cli import PATIENCE_S, ROOT

Rows = Mapping[str, list[str] | None]
"""By the parent's id, empty for a list of the root: ids as listed; None: there is no such list."""


def connections() -> list[str]:
    """Each field of the schema that is a connection, as ``Type.field``."""
    schema = build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))
    return [
        f"{kind.name}.{name}"
        for kind in schema.type_map.values()
        if is_object_type(kind)
        for name, its in kind.fields.items()
        if get_named_type(its.type).name.endswith("Connection")
    ]


LISTS = connections()


def plain_walk(url: str, name: str) -> Rows:
    """A list, under every parent that it has, in pages as large as they can be."""
    kind, field = name.split(".")
    with httpx2.Client(base_url=url.removesuffix("/graphql"), timeout=PATIENCE_S) as http:
        return {parent: rows_of(http, kind, field, parent) for parent in parents(http, kind)}


def parents(http: httpx2.Client, kind: str) -> list[str]:
    if kind == "Query":
        return [""]
    if kind == "Provider":
        return [one["id"] for one in ask(http, "{ providers { id } }")["providers"]]
    return rows_of(http, "Query", {"Connector": "connectors", "Sync": "syncs"}[kind]) or []


def rows_of(http: httpx2.Client, kind: str, name: str, parent: str = "") -> list[str] | None:
    page = f"{name}(first: 100, after: $after) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }}"
    of_root = f"query($after: String) {{ {page} }}"
    of_node = f"query($after: String, $id: ID!) {{ node(id: $id) {{ ... on {kind} {{ {page} }} }} }}"
    ids: list[str] = []
    after = None
    while True:
        answer = (
            ask(http, of_node, after=after, id=parent)["node"] if parent else ask(http, of_root, after=after)
        )
        if answer[name] is None:
            return None
        ids += [node["id"] for node in answer[name]["nodes"]]
        if not answer[name]["pageInfo"]["hasNextPage"]:
            return ids
        after = answer[name]["pageInfo"]["endCursor"]


def ask(http: httpx2.Client, query: str, **variables: Any) -> dict[str, Any]:
    body = http.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in body, body
    found: dict[str, Any] = body["data"]
    return found
