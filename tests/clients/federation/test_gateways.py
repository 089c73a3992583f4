"""Composers and federated gateways, as npm has them, over this gateway and two graphs of other people."""

# ruff: noqa: UP031  # GraphQL is full of braces: str.format would double each

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from graphql import build_schema, is_object_type
from tests.clients import npm
from tests.test_cli import PATIENCE_S, ROOT, url_in
from typer.testing import CliRunner

from syncgraph.cli import cli

SUITE = npm.Suite(Path(__file__).parent)
COMPOSERS = {"apollo": "@apollo/composition", "hive": "@theguild/federation-composition", "cosmo": "@wundergraph/composition"}  # fmt: skip
GATEWAYS = {"apollo": "@apollo/gateway", "hive": "@graphql-hive/gateway"}
GONE = "U3luY1J1bjpkZW46Y3NlXzAxamQwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"
"""An id of a run that Den does not have."""


@dataclass
class Door:
    """Stands before a subgraph, and remembers the operations that went through."""

    target: str
    passed: list[dict[str, Any]] = field(default_factory=list)

    def taken(self) -> list[dict[str, Any]]:
        taken, self.passed = self.passed, []
        return taken

    def forward(self, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        self.passed.append(msgspec.json.decode(body))
        return httpx2.post(self.target, content=body, headers=headers, timeout=PATIENCE_S)


@contextmanager
def opened(door: Door) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            told = {name: self.headers[name] for name in ("accept", "content-type") if name in self.headers}
            answer = door.forward(self.rfile.read(int(self.headers["content-length"])), told)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Nothing: the door remembers."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/graphql"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def started(program: str, argument: Path) -> Iterator[str]:
    """A program of the suite that serves, and the line that it printed; killed at the end."""
    command = [npm.node(), program, str(argument)]
    process = subprocess.Popen(
        command, cwd=SUITE.folder, env=npm.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + process.stdout.read()
        yield line
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Things:
    """What this gateway lists: 100 runs, and all syncs and connectors."""

    runs: list[dict[str, Any]]
    syncs: list[dict[str, Any]]
    connectors: list[dict[str, Any]]

    def tickets(self) -> list[dict[str, Any]]:
        """One on each run, with a sync and a connector, in turn."""
        return [
            {
                "id": f"ticket-{n}",
                "title": f"Look at {run['id']}",
                "run": {"id": run["id"]},
                "sync": {key: self.syncs[n % len(self.syncs)][key] for key in ("providerName", "externalId")},
                "connector": {"id": self.connectors[n % len(self.connectors)]["id"]},
            }
            for n, run in enumerate(self.runs)
        ]


@dataclass(frozen=True)
class Federated:
    """A federated gateway over all three graphs."""

    url: str
    ours: Door
    owners: Door

    def ask(self, query: str) -> Any:
        self.ours.taken()
        self.owners.taken()
        return httpx2.post(self.url, json={"query": query}, timeout=PATIENCE_S).json()

    def data(self, query: str) -> Any:
        body = self.ask(query)
        assert "errors" not in body, body
        return body["data"]


@pytest.fixture(scope="session")
def schema_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `syncgraph schema --subgraph` prints."""
    path = tmp_path_factory.mktemp("federation") / "syncgraph.graphql"
    path.write_text(CliRunner().invoke(cli, ["schema", "--subgraph"]).output, encoding="utf-8")
    return path


def composed(composer: str, *given: str) -> str:
    return SUITE.run("compose.mjs", composer, *given, timeout_s=PATIENCE_S)


@pytest.fixture(scope="session")
def things(url: str) -> Things:
    row = "id externalId providerName name"
    query = f"""{{
      syncRuns(first: 100) {{ nodes {{ id status }} }}
      syncs(first: 100) {{ nodes {{ {row} }} }}
      connectors(first: 100) {{ nodes {{ {row} }} }}
    }}"""
    data = httpx2.post(url, json={"query": query}, timeout=PATIENCE_S).json()["data"]
    return Things(data["syncRuns"]["nodes"], data["syncs"]["nodes"], data["connectors"]["nodes"])


@pytest.fixture(scope="session", params=sorted(GATEWAYS))
def federated(
    request: pytest.FixtureRequest, url: str, things: Things, schema_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Federated]:  # fmt: skip
    SUITE.install()
    folder = tmp_path_factory.mktemp(request.param)
    gone = {"id": "gone", "title": "Too late", "run": {"id": GONE}, "sync": None, "connector": None}
    (folder / "tickets.json").write_bytes(msgspec.json.encode([*things.tickets(), gone]))
    with ExitStack() as stack:
        others = stack.enter_context(started("subgraphs.mjs", folder / "tickets.json")).split()
        ours, owners = Door(url), Door(others[0])
        supergraph = composed(
            "apollo",
            *(str(schema_file), stack.enter_context(opened(ours))),
            *("owners.graphql", stack.enter_context(opened(owners))),
            *("teams.graphql", others[1]),
        )
        (folder / "supergraph.graphql").write_text(supergraph, encoding="utf-8")
        line = stack.enter_context(started(f"{request.param}.mjs", folder / "supergraph.graphql"))
        yield Federated(url_in(line), ours, owners)


# composing


OWNERS = ("owners.graphql", "http://127.0.0.1:4001/graphql")
TEAMS = ("teams.graphql", "http://127.0.0.1:4002/graphql")
HERE = "http://127.0.0.1:8000/graphql"


@pytest.mark.parametrize(
    "others", [(), OWNERS, TEAMS, (*OWNERS, *TEAMS)], ids=["alone", "owners", "teams", "both"]
)
@pytest.mark.parametrize("composer", sorted(COMPOSERS))
def test_a_composer_takes_the_subgraph_beside_others(
    composer: str, others: tuple[str, ...], schema_file: Path, numbers: dict[str, list[str]]
):
    supergraph = build_schema(composed(composer, str(schema_file), HERE, *others), assume_valid_sdl=True)

    for name, owner in (("Connector", OWNERS), ("Sync", OWNERS), ("SyncRun", OWNERS)):
        kind = supergraph.type_map[name]
        assert is_object_type(kind)
        assert ("owner" in kind.fields) is (owner[0] in others)
        assert {"id", "provider", "externalId"} <= kind.fields.keys()
    assert ("Team" in supergraph.type_map) is (TEAMS[0] in others)
    line = f"{COMPOSERS[composer]} composes it"
    if others and line not in numbers.setdefault("federation", []):
        numbers["federation"].append(line)


def test_the_document_shows_the_programs_and_the_command_that_composed():
    document = (ROOT / "docs" / "federation.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```js\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)

    assert programs == [(SUITE.folder / "compose.mjs").read_text(encoding="utf-8")]
    assert f"node compose.mjs apollo syncgraph.graphql {HERE} {' '.join(OWNERS)}" in document


# running: from this graph to the other


@pytest.mark.parametrize(
    ("field", "rows"), [("syncRuns", "runs"), ("syncs", "syncs"), ("connectors", "connectors")]
)
def test_what_the_other_graph_adds_to_a_list_of_ours_costs_one_request_to_each(
    federated: Federated, things: Things, field: str, rows: str
):
    data = federated.data("{ %s(first: 100) { nodes { id owner tickets { title } } } }" % field)

    listed = getattr(things, rows)
    assert [node["id"] for node in data[field]["nodes"]] == [one["id"] for one in listed]
    assert all(node["owner"].startswith("owner of ") for node in data[field]["nodes"])
    assert all(node["tickets"] for node in data[field]["nodes"])
    (asked,) = federated.owners.taken()
    assert len(representations(asked)) == len(listed)
    assert len(federated.ours.taken()) == 1


# and from the other graph to this one


def test_a_hundred_runs_of_the_other_graph_s_tickets_are_one_request_here(
    federated: Federated, things: Things, numbers: dict[str, list[str]], request: pytest.FixtureRequest
):
    body = federated.ask("{ tickets { id run { status } } }")

    found = [ticket["run"] and ticket["run"]["status"] for ticket in body["data"]["tickets"]]
    assert found == [*(run["status"] for run in things.runs), None]
    (asked,) = federated.ours.taken()
    assert len(representations(asked)) == len(things.runs) + 1 == 101
    assert len(federated.owners.taken()) == 1
    name = GATEWAYS[request.node.callspec.params["federated"]]
    numbers.setdefault("federation", []).append(
        f"{name}: 101 runs of another graph's tickets, 1 request here"
    )


def test_a_key_that_names_nothing_costs_only_its_own_ticket(federated: Federated):
    body = federated.ask("{ tickets { id run { status } } }")

    assert [one["id"] for one in body["data"]["tickets"] if one["run"] is None] == ["gone"]
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"


def test_all_keys_lead_here_side_by_side_and_back_again(federated: Federated, things: Things):
    data = federated.ask(
        "{ tickets { connector { name status } sync { name connector { id owner } } run { rawStatus owner sync { name } } } }"
    )["data"]

    names = {(one["providerName"], one["externalId"]): one["name"] for one in things.syncs}
    for ticket, given in zip(data["tickets"], things.tickets(), strict=False):
        assert ticket["sync"]["name"] == names[given["sync"]["providerName"], given["sync"]["externalId"]]
        assert ticket["run"]["owner"] == f"owner of {given['run']['id']}"
        link = ticket["sync"]["connector"]
        assert link is None or link["owner"] == f"owner of {link['id']}"
        assert ticket["connector"]["status"]
    assert sorted({kind for asked in federated.ours.taken() for kind in kinds(asked)}) == [
        "Connector",
        "Sync",
        "SyncRun",
    ]


def test_a_node_of_ours_and_connections_of_both_graphs_are_read_in_one_query(
    federated: Federated, things: Things
):
    sync = things.syncs[0]

    data = federated.data(
        """{
          node(id: "%s") { __typename id ... on Sync { name owner } }
          teams(first: 2) { nodes { __typename id name } pageInfo { hasNextPage endCursor } }
          syncs(first: 1) { nodes { id } pageInfo { hasNextPage startCursor endCursor } }
        }"""
        % sync["id"]
    )

    assert data["node"] == {
        "__typename": "Sync",
        "id": sync["id"],
        "name": sync["name"],
        "owner": f"owner of {sync['providerName']}/{sync['externalId']}",
    }
    assert data["teams"]["pageInfo"] == {"hasNextPage": True, "endCursor": "team-1"}
    assert data["syncs"]["pageInfo"]["startCursor"] == data["syncs"]["pageInfo"]["endCursor"]


def representations(asked: dict[str, Any]) -> list[dict[str, Any]]:
    assert asked["query"].count("_entities") == 1
    ((_, given),) = asked["variables"].items()
    return list(given)


def kinds(asked: dict[str, Any]) -> set[str]:
    return {one["__typename"] for given in asked["variables"].values() for one in given}
