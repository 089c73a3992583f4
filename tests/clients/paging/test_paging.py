"""Relay and Apollo Client read every list of a gateway on a socket."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from graphql import build_schema, get_named_type, is_object_type
from tests.clients.npm import Suite
from tests.test_cli import PATIENCE_S, ROOT

SUITE = Suite(Path(__file__).parent)
ARTIFACTS = SUITE.folder / "__generated__"
CLIENTS = ("relay", "apollo")
WALK_S = 240
SIZES = (7, 50)
SMALL = {"Connector.syncs": (1, 50)}
"""Page sizes where no parent has more than seven rows."""

Rows = dict[str, list[str] | None]
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


@pytest.fixture(scope="session")
def compiled() -> str:
    """What relay-compiler said about our fragments and the repository's schema."""
    shutil.rmtree(ARTIFACTS, ignore_errors=True)
    ARTIFACTS.mkdir()
    return SUITE.run(SUITE.modules / "relay-compiler/cli.js", "relay.config.json", timeout_s=PATIENCE_S)


@pytest.fixture(scope="session")
def plain(url: str) -> dict[str, Rows]:
    """Every list by plain requests, in pages as large as they can be."""
    with httpx2.Client(base_url=url.removesuffix("/graphql"), timeout=PATIENCE_S) as http:
        return {name: plain_walk(http, *name.split(".")) for name in LISTS}


def plain_walk(http: httpx2.Client, kind: str, name: str) -> Rows:
    return {parent: rows_of(http, kind, name, parent) for parent in parents(http, kind)}


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


@pytest.fixture(scope="session")
def requests(
    numbers: dict[str, list[str]], plain: dict[str, Rows]
) -> Iterator[dict[tuple[str, str], list[str]]]:
    """Of each client for each list, with each page size; shown as a table at the end."""
    made: dict[tuple[str, str], list[str]] = {}
    yield made
    told = numbers.setdefault(SUITE.name, [])
    told.append(f"{'list':<20}{'lists':>6}{'null':>6}{'rows':>6}   requests (page size)")
    for name, rows in plain.items():
        known = [ids for ids in rows.values() if ids is not None]
        counts = f"{len(known):>6}{len(rows) - len(known):>6}{sum(map(len, known)):>6}"
        by_client = "   ".join(f"{client} {', '.join(made.get((client, name), []))}" for client in CLIENTS)
        told.append(f"{name:<20}{counts}   {by_client}")


def test_relay_compiler_accepts_a_connection_and_a_refetchable_fragment_over_every_list(compiled: str):
    expected = {
        f"lists_{name.replace('.', '_')}{suffix}.graphql.js"
        for name in LISTS
        for suffix in ("", "_FirstQuery", "_NextQuery")
    }
    assert {path.name for path in ARTIFACTS.iterdir()} == expected
    assert "[WARN]" not in compiled
    for name in LISTS:
        source = (ARTIFACTS / f"lists_{name.replace('.', '_')}.graphql.js").read_text(encoding="utf-8")
        assert '"connection": [' in source
        assert '"refetch": {' in source


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name in LISTS for size in SMALL.get(name, SIZES)]
)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_holds_every_row_once_and_in_order(
    client: str, name: str, size: int, url: str, plain: dict[str, Rows], compiled: str, requests
):
    said = SUITE.run(f"{client}.mjs", url, name, str(size), timeout_s=WALK_S)
    found = msgspec.json.decode(said)
    held = {parent: its and its["ids"] for parent, its in found["lists"].items()}
    rows = [ids for ids in plain[name].values() if ids]
    requests.setdefault((client, name), []).append(f"{found['requests']} ({size})")

    assert all(len(set(ids)) == len(ids) for ids in rows)
    assert held == plain[name]
    assert found["received"] == sum(map(len, rows))
    assert max(map(len, rows)) <= size or found["requests"] > 1
    for its in found["lists"].values():
        if its is not None:
            assert its["pageInfo"]["hasNextPage"] is False
            assert its["pageInfo"]["hasPreviousPage"] is False, "what is held begins at the list's begin"
