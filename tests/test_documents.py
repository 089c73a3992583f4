"""Documents by id: what is trusted, what is registered, and what a manifest may hold."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.gateway import Gateway, running
from tests.live import live
from tests.test_cli import PATIENCE_S, begin
from tests.test_negotiation import bare, persisted, rows

from syncgraph import sandboxes
from syncgraph.config import ConfigError, DocumentsMode, ServerSettings
from syncgraph.graph.schema import RECENT_LENGTH
from syncgraph.http import documents as kept
from syncgraph.http import manifest

TRUSTED = "query Names { providers { name } }"
ID = "9a1c"
"""Of the trusted one, as Relay's MD5s are: no hash that anybody could work out."""
OTHER = "{ __typename }"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def written(path: Path, body: object) -> Path:
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def apollo(*operations: Mapping[str, object], **changes: object) -> dict[str, object]:
    return {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations, **changes}


@pytest.fixture
def relay_file(tmp_path: Path) -> Path:
    return written(tmp_path / "relay.json", {ID: TRUSTED})


def over(mode: DocumentsMode, *paths: Path, **changes: Any) -> Any:
    """A gateway with these manifests in this mode."""
    server = ServerSettings(documents=paths, documents_mode=mode, **changes)
    return running(settings=sandboxes.settings(server=server))


async def post(gateway: Gateway, **body: object) -> dict[str, Any]:
    answer: dict[str, Any] = (await gateway.http.post("/graphql", json=body)).json()
    return answer


def code_of(body: Mapping[str, Any]) -> str | None:
    """None: it was executed, and went well."""
    return body["errors"][0]["extensions"]["code"] if "errors" in body else None


async def register(gateway: Gateway, text: str) -> str | None:
    return code_of(await post(gateway, query=text, extensions=persisted(sha256(text))))


async def is_registered(gateway: Gateway, text: str) -> bool:
    return code_of(await post(gateway, extensions=persisted(sha256(text)))) is None


WAYS: Mapping[str, Mapping[str, object]] = {
    "a trusted one by its id": {"documentId": ID},
    "a trusted one by its text": {"query": TRUSTED},
    "another text": {"query": OTHER},
    "a registered one by its hash": {"extensions": persisted(sha256(OTHER))},
    "an unknown id": {"documentId": "nope"},
}


@pytest.mark.parametrize(
    ("mode", "way", "expected"),
    [
        (bare(mode), way, bare(expected))
        for mode, *cells in rows("Documents by id")
        for way, expected in zip(WAYS, cells, strict=True)
    ],
)
async def test_a_mode_executes_what_its_row_says(
    mode: DocumentsMode, way: str, expected: str, relay_file: Path
):
    async with over(mode, relay_file) as gateway:
        await register(gateway, OTHER)
        with capture_logs() as lines:
            body = await post(gateway, **WAYS[way])

    logged = [line for line in lines if line["event"] == "document_not_trusted"]
    assert code_of(body) == (None if expected.startswith("yes") else expected)
    assert bool(logged) == expected.endswith("logged")
    assert [line["sha256"] for line in logged] == [sha256(OTHER)] * len(logged)


@pytest.mark.parametrize(
    "asked",
    [
        {"documentId": ID},
        {"documentId": f"sha256:{sha256(TRUSTED)}"},
        {"documentId": sha256(TRUSTED)},
        {"extensions": persisted(ID)},
        {"extensions": persisted(sha256(TRUSTED))},
        {"query": TRUSTED},
        {"query": TRUSTED, "extensions": persisted(sha256(TRUSTED))},
    ],
    ids=str,
)
async def test_a_trusted_document_is_found_by_each_of_its_names(asked: dict[str, object], relay_file: Path):
    async with over("require", relay_file) as gateway:
        posted = await post(gateway, **asked)
        params = {name: one if isinstance(one, str) else json.dumps(one) for name, one in asked.items()}
        got = await gateway.http.get("/graphql", params=params)

    assert posted["data"]["providers"][0] == {"name": "den"}
    assert got.json() == posted


async def test_variables_and_an_operation_s_name_go_with_an_id(tmp_path: Path):
    text = "query A($n: Int) { syncs(first: $n) { nodes { id } } } query B { __typename }"
    async with over("require", written(tmp_path / "a.json", apollo({"id": "x", "body": text}))) as gateway:
        chosen = await post(gateway, documentId="x", operationName="A", variables={"n": 2})
        unclear = await post(gateway, documentId="x")

    assert len(chosen["data"]["syncs"]["nodes"]) == 2
    assert code_of(unclear) == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_miss_is_said_as_clients_know_it(gateway: Gateway, accept: str):
    answer = await gateway.http.post(
        "/graphql", json={"extensions": persisted(sha256(OTHER))}, headers={"accept": accept}
    )

    (error,) = answer.json()["errors"]
    assert error["message"] == "PersistedQueryNotFound"
    assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert answer.headers["cache-control"] == "no-store"


async def test_what_was_registered_by_get_is_found_by_post(gateway: Gateway):
    params = {"query": OTHER, "extensions": json.dumps(persisted(sha256(OTHER)))}
    await gateway.http.get("/graphql", params=params)

    assert await is_registered(gateway, OTHER)
    assert code_of(await post(gateway, documentId=f"sha256:{sha256(OTHER)}")) is None


async def test_nothing_is_registered_that_would_not_run_or_has_another_hash(gateway: Gateway):
    assert await register(gateway, "{ nope }") == "GRAPHQL_VALIDATION_FAILED"
    assert (
        code_of(await post(gateway, query=OTHER, extensions=persisted(sha256(TRUSTED)))) == "BAD_USER_INPUT"
    )

    assert not await is_registered(gateway, "{ nope }")
    assert not await is_registered(gateway, TRUSTED)
    assert not await is_registered(gateway, OTHER)


async def test_without_apq_texts_run_and_hashes_are_not_supported(relay_file: Path):
    async with over("prefer", relay_file, apq=False) as gateway:
        with_text = await register(gateway, OTHER)
        alone = await post(gateway, extensions=persisted(sha256(OTHER)))
        trusted = await post(gateway, extensions=persisted(sha256(TRUSTED)))

    assert (with_text, code_of(trusted)) == (None, None)
    assert code_of(alone) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert alone["errors"][0]["message"] == "PersistedQueryNotSupported"


@pytest.mark.parametrize(
    "extensions",
    [
        {"persistedQuery": "x"},
        {"persistedQuery": {"version": 1}},
        {"persistedQuery": {"version": 1, "sha256Hash": 7}},
        {"persistedQuery": [1]},
    ],
    ids=str,
)
async def test_a_hash_in_another_shape_is_400(gateway: Gateway, extensions: object):
    answer = await gateway.http.post("/graphql", json={"query": OTHER, "extensions": extensions})

    assert (answer.status_code, code_of(answer.json())) == (400, "GRAPHQL_VALIDATION_FAILED")


async def test_texts_without_end_take_bounded_memory_and_evict_no_trusted_document(relay_file: Path):
    size = RECENT_LENGTH - 100
    texts = [
        f"{{ a{n}: __typename }} #" + "x" * size for n in range(kept.REGISTERED_BYTES // (4 * size) + 20)
    ]
    async with over("prefer", relay_file) as gateway:
        for text in texts:
            assert await register(gateway, text) is None
        found = [await is_registered(gateway, text) for text in texts]
        trusted = await post(gateway, documentId=ID)

    assert not any(found[:20])
    assert all(found[-5:])
    assert code_of(trusted) is None


EVENTS = "text/event-stream"


@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
@pytest.mark.parametrize(("asked", "is_known"), [({"query": OTHER}, False), ({"documentId": ID}, True)])
async def test_an_event_stream_executes_no_other_documents(
    path: str, asked: dict[str, object], relay_file: Path, *, is_known: bool
):
    async with over("require", relay_file) as gateway:
        answer = await gateway.http.post(path, json=asked, headers={"accept": EVENTS})

    assert answer.headers["content-type"].startswith(EVENTS)
    assert ('"DOCUMENT_NOT_TRUSTED"' in answer.text) == (not is_known)
    assert ('"name":"den"' in answer.text) == is_known


async def test_a_socket_executes_no_other_documents(relay_file: Path):
    server = ServerSettings(documents=(relay_file,), documents_mode="require")
    async with live(sandboxes.settings(server=server)) as gateway, gateway.client() as client:
        await client.subscribe(OTHER, id="other")
        await client.send({"id": "known", "type": "subscribe", "payload": {"documentId": ID}})
        refusal, answer = await client.next("other"), await client.next("known")

    assert refusal["type"] == "error"
    assert refusal["payload"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
    assert answer["payload"]["data"]["providers"][0] == {"name": "den"}


# manifests


def mistakes_in(*paths: Path) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        manifest.load(paths)
    return [(one.key, one.hint) for one in caught.value.mistakes]


def test_both_formats_are_read_together(tmp_path: Path, relay_file: Path):
    its = written(tmp_path / "apollo.json", apollo({"id": "b", "name": "B", "type": "query", "body": OTHER}))

    assert {key: one.text for key, one in manifest.load([relay_file, its]).items()} == {
        ID: TRUSTED,
        "b": OTHER,
    }


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"a": 1},
        {"a": {"text": OTHER}},
        apollo({"id": "a"}),
        apollo({"id": "a", "body": OTHER}, version=2),
        apollo({"id": "a", "body": OTHER}, format="another"),
    ],
    ids=str,
)
def test_a_file_of_another_shape_is_one_mistake(tmp_path: Path, body: object):
    path = written(tmp_path / "m.json", body)

    assert [key for key, _ in mistakes_in(path)] == [str(path)]


def test_what_cannot_run_is_told_all_at_once_with_its_id(tmp_path: Path):
    lists = "{ connectors(first: 100) { nodes { syncs(first: 100) { nodes { runs(first: 100) { nodes { id } } } } } } }"
    loop = "{ ...F } fragment F on Query { ...F ...G }"
    first = written(tmp_path / "1.json", {"a": "{", "b": "{ nope }", "c": lists, "d": OTHER, "e": loop})
    second = written(tmp_path / "2.json", {"d": TRUSTED})

    found = dict(mistakes_in(first, second))

    assert list(found) == [f"{first}: {one}" for one in "abce"] + [f"{second}: d"]
    assert "50000 rows" in found[f"{first}: c"]
    assert "another text" in found[f"{second}: d"]


def test_check_and_serve_tell_the_mistakes_of_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEY", "a-key-of-somebody")
    path = written(tmp_path / "m.json", {"a": "{ nope }"})
    config = tmp_path / "c.toml"
    config.write_text(
        f'[server]\ndocuments = ["{path}"]\ndocuments_mode = "require"\n'
        '[providers.outlit]\nkind = "outlit"\ncredential = "env:KEY"\n'
    )

    for arguments in (["check", str(config)], ["serve", "--config", str(config), "--port", "0"]):
        process = begin(*arguments)
        _, told = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert told.startswith(f"{path}: a: Cannot query field 'nope'")


def test_a_mode_without_a_manifest_and_a_manifest_that_is_not_there_are_mistakes(tmp_path: Path):
    with pytest.raises(ValueError, match="name a manifest"):
        ServerSettings(documents_mode="log")
    with pytest.raises(ValueError, match="no such file"):
        ServerSettings(documents=(tmp_path / "none.json",))


async def test_an_answer_to_an_id_is_the_answer_to_its_text(relay_file: Path):
    async with over("prefer", relay_file) as gateway:
        by_id = await gateway.http.get("/graphql", params={"documentId": ID})
        by_text: httpx2.Response = await gateway.http.get("/graphql", params={"query": TRUSTED})

    assert (by_id.content, by_id.headers["etag"]) == (by_text.content, by_text.headers["etag"])
