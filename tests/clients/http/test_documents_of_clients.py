"""Clients that send hashes and ids instead of texts, by their own implementations."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.clients.npm import Suite
from tests.test_cli import NOW, PATIENCE_S, started, url_in

SUITE = Suite(Path(__file__).parent)
GENERATED = SUITE.folder / "__generated__"
PROVIDERS = ["den", "timbal", "outlit", "airweave"]


def told_by(program: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(SUITE.run(program, *arguments, timeout_s=PATIENCE_S))
    return found


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_a_text_is_sent_once_and_its_hash_from_then_on(
    client: str, method: str, url: str, numbers: dict[str, list[str]]
):
    found = told_by("apq.mjs", url, client, method, f"{client}_{method}_{os.getpid()}")

    missed, registered, again = found["requests"]
    assert found["first"] == found["second"] == PROVIDERS
    assert (missed["document"], missed["codes"]) == (["extensions"], ["PERSISTED_QUERY_NOT_FOUND"])
    assert (registered["document"], registered["codes"]) == (["query", "extensions"], [])
    assert (again["document"], again["codes"]) == (["extensions"], [])
    assert [missed["method"], again["method"]] == [method, method]
    methods = [one["method"] for one in found["requests"]]
    numbers.setdefault("http", []).append(
        f"persisted query, {client} by {method}: hash {methods[0]}, with its text {methods[1]}, hash again {methods[2]}"
    )


@pytest.fixture(scope="module")
def manifests() -> dict[str, Path]:
    """As the clients' own tools write them."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    relay = GENERATED / "relay-manifest.json"
    relay.write_text("{}")
    SUITE.run(SUITE.modules / "relay-compiler/cli.js", "relay.config.json", timeout_s=PATIENCE_S)
    SUITE.run(SUITE.modules / "@apollo/generate-persisted-query-manifest/cli.js", timeout_s=PATIENCE_S)
    return {"relay": relay, "apollo": GENERATED / "apollo-manifest.json"}


@pytest.fixture(scope="module")
def strict_url(manifests: dict[str, Path]) -> Iterator[str]:
    """A gateway that executes nothing but what is in the two manifests."""
    paths = os.pathsep.join(map(str, manifests.values()))
    env = {"SYNCGRAPH_DOCUMENTS": paths, "SYNCGRAPH_DOCUMENTS_MODE": "require"}
    with started("serve", "--port", "0", "--now", NOW, env=env) as (_, said):
        yield url_in(said)


@pytest.mark.parametrize(("client", "by"), [("relay", "documentId"), ("apollo", "extensions")])
def test_a_client_s_own_manifest_is_all_that_runs(
    client: str, by: str, strict_url: str, manifests: dict[str, Path]
):
    found = told_by("manifest.mjs", strict_url, client, str(manifests[client]))

    trusted, stranger = found["requests"]
    assert (trusted["document"], trusted["status"], trusted["codes"]) == ([by], 200, [])
    assert found["syncs"] == 3
    assert found["codes"] == ["DOCUMENT_NOT_TRUSTED"]
    assert stranger["status"] == 403
