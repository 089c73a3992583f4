"""Relay and Apollo Client, as npm has them, read every list of a gateway on a socket: ``make test-clients``."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from graphql import build_schema, get_named_type, is_object_type
from tests.test_cli import NOW, PATIENCE_S, ROOT, started, url_in

HERE = Path(__file__).parent
ARTIFACTS = HERE / "__generated__"
CLIENTS = ("relay", "apollo")
PACKAGES = ("relay-compiler", "relay-runtime", "@apollo/client", "graphql")
INSTALL_S, WALK_S = 300, 240
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


def run(*command: str, timeout_s: float) -> str:
    """What it printed; it must have ended well and must not have complained."""
    env = {**os.environ, "NO_COLOR": "1", "FORCE_NO_WATCHMAN": "1", "NODE_ENV": "development"}
    done = subprocess.run(
        command, cwd=HERE, env=env, timeout=timeout_s, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return found


@pytest.fixture(scope="session")
def modules() -> Path:
    """The packages of the lock file, exactly."""
    run("npm", "ci", "--prefer-offline", "--loglevel=error", timeout_s=INSTALL_S)
    return HERE / "node_modules"


@pytest.fixture(scope="session")
def compiled(modules: Path) -> str:
    """What relay-compiler said about our fragments and the repository's schema."""
    shutil.rmtree(ARTIFACTS, ignore_errors=True)
    ARTIFACTS.mkdir()
    return run("node", str(modules / "relay-compiler/cli.js"), "relay.config.json", timeout_s=PATIENCE_S)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with started("serve", "--port", "0", "--now", NOW) as (_, said):
        yield url_in(said)


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
    told: list[str], modules: Path, plain: dict[str, Rows]
) -> Iterator[dict[tuple[str, str], list[str]]]:
    """Of each client for each list, with each page size; shown as a table at the end."""
    made: dict[tuple[str, str], list[str]] = {}
    yield made
    node = run("node", "--version", timeout_s=PATIENCE_S).strip()
    told.append(f"node {node[1:]}, " + ", ".join(f"{name} {version(modules, name)}" for name in PACKAGES))
    told.append(f"{'list':<20}{'lists':>6}{'null':>6}{'rows':>6}   requests (page size)")
    for name, rows in plain.items():
        known = [ids for ids in rows.values() if ids is not None]
        numbers = f"{len(known):>6}{len(rows) - len(known):>6}{sum(map(len, known)):>6}"
        by_client = "   ".join(f"{client} {', '.join(made.get((client, name), []))}" for client in CLIENTS)
        told.append(f"{name:<20}{numbers}   {by_client}")


def version(modules: Path, name: str) -> str:
    return str(loaded(modules / name / "package.json")["version"])


def test_the_packages_are_pinned_and_the_lock_file_names_no_registry(modules: Path):
    wanted = loaded(HERE / "package.json")["dependencies"]
    lock = (HERE / "package-lock.json").read_text(encoding="utf-8")
    packages = loaded(HERE / "package-lock.json")["packages"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", its) for its in wanted.values())
    assert {name: version(modules, name) for name in wanted} == wanted
    assert "registry" not in lock
    assert "resolved" not in lock
    assert all("integrity" in its for name, its in packages.items() if name)


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
    said = run("node", f"{client}.mjs", url, name, str(size), timeout_s=WALK_S)
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
