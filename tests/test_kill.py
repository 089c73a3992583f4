"""Accepted when: one of four sandbox processes is killed under load, and everyone else's answers stay byte-identical."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from tests.test_cli import NOW, PATIENCE_S, begin, said_by, started, url_in

from syncgraph import sandboxes

NOTHING_KEPT = "[cache]\nmax_bytes = 0\nstale_while_revalidate_s = 0\nstale_if_error_s = 0"
DOWN = {"UPSTREAM_UNAVAILABLE", "UPSTREAM_CIRCUIT_OPEN"}
KINDS = list(sandboxes.SANDBOXES)
CLIENTS, BEFORE, AFTER = 4, 3, 3
"""Requests under way at once; answers of each client before the kill and after it."""

FIELDS = """
{name}: provider(name: "{name}") {{
  connectors(first: 4) {{
    sources {{ ...S }}
    nodes {{
      id name status rawStatus createdAt
      syncs(first: 2) {{ nodes {{ id name state }} sources {{ ...S }} }}
      runs(first: 2) {{ nodes {{ id status orderedAt durationSeconds error {{ message }} }} sources {{ ...S }} }}
    }}
  }}
}}
"""
QUERY = (
    "{%s}" % "".join(FIELDS.format(name=name) for name in KINDS)  # noqa: UP031  # GraphQL is full of braces
    + "fragment S on SourceOutcome { provider { name } status coverage code }"
)


@dataclass
class Stage:
    """Four sandboxes and the gateway, each a process of its own, all with the clock frozen."""

    folder: Path
    sandboxes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def begin(self) -> None:
        for name in KINDS:
            self.sandboxes[name] = self._sandbox(name)
        told = {name: said_by(process) for name, process in self.sandboxes.items()}
        self.ports = {name: url_in(said).rpartition(":")[2].rstrip('"') for name, said in told.items()}
        # Generous deadlines: what is tested is a process that is gone, on a machine that may be busy.
        tables = [
            said[said.index("[providers.") :].strip() + "\nattempt_timeout_s = 60" for said in told.values()
        ]
        config = self.folder / "syncgraph.toml"
        config.write_text(
            "\n\n".join(["[server]\noperation_timeout_s = 120\nmax_wait_s = 60", NOTHING_KEPT, *tables])
        )

    def restart(self, name: str) -> None:
        """At the same address."""
        self.sandboxes[name].communicate()
        self.sandboxes[name] = self._sandbox(name)
        said_by(self.sandboxes[name])

    def _sandbox(self, name: str) -> subprocess.Popen[str]:
        return begin("sandbox", name, "--port", self.ports.get(name, "0"), "--now", NOW, "--runs", "40")

    def ask(self) -> bytes:
        return httpx2.post(self.url, json={"query": QUERY}, timeout=PATIENCE_S).content

    def ask_until_whole(self) -> bytes:
        """The gateway leaves a provider that was down alone for some seconds."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.ask()
            if "errors" not in msgspec.json.decode(answer) or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)

    def end(self) -> None:
        for process in self.sandboxes.values():
            process.kill()
            process.communicate()


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    its = Stage(tmp_path_factory.mktemp("stage"))
    keys = {f"{name.upper()}_KEY": sandboxes.SANDBOXES[name].KEY for name in KINDS}
    config = str(its.folder / "syncgraph.toml")
    try:
        its.begin()
        with started("serve", "--port", "0", "--config", config, "--now", NOW, env=keys) as (_, said):
            its.url = url_in(said)
            yield its
    finally:
        its.end()


def parts(answer: bytes) -> dict[str, bytes]:
    """Each provider's field as the bytes that came, without ``sources``; checks that the answer is whole."""
    data = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])["data"]
    return {
        name: _without_sources(raw)
        for name, raw in msgspec.json.decode(data, type=dict[str, msgspec.Raw]).items()
    }


def _without_sources(raw: msgspec.Raw) -> bytes:
    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cut(one) for key, one in value.items() if key != "sources"}
        return [cut(one) for one in value] if isinstance(value, list) else value

    return msgspec.json.encode(cut(msgspec.json.decode(raw)))


async def load(url: str, victim: subprocess.Popen[str]) -> tuple[list[bytes], list[bytes]]:
    """The answers begun before the kill, and those after it; the kill comes while requests are under way."""
    before: list[bytes] = []
    after: list[bytes] = []
    killed = asyncio.Event()
    warm = asyncio.Semaphore(0)

    async def client(http: httpx2.AsyncClient) -> None:
        done = 0
        while done < AFTER:
            was_killed = killed.is_set()
            answer = await http.post(url, json={"query": QUERY})
            assert answer.status_code == 200
            (after if was_killed else before).append(answer.content)
            done += was_killed
            warm.release()

    async with httpx2.AsyncClient(timeout=PATIENCE_S) as http, asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(client(http))
        for _ in range(CLIENTS * BEFORE):
            await warm.acquire()
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(victim.wait, PATIENCE_S)
        killed.set()
    return before, after


def test_whichever_provider_is_killed_under_load_the_others_fields_stay_byte_identical(stage: Stage):
    """One test, so that the five processes are started once whatever the workers."""
    for victim in KINDS:
        assert_harmless(stage, victim)


def assert_harmless(stage: Stage, victim: str) -> None:
    """Kill ``victim`` while requests are under way, compare all answers, and bring it back."""
    undisturbed = stage.ask()
    before, after = asyncio.run(load(stage.url, stage.sandboxes[victim]))
    stage.restart(victim)
    recovered = stage.ask_until_whole()

    expected = parts(undisturbed)
    assert "errors" not in msgspec.json.decode(undisturbed)
    assert all(b'"nodes":[{' in part for part in expected.values())
    assert len(before) >= CLIENTS * BEFORE
    assert len(after) == CLIENTS * AFTER
    for answer in before + after:
        for name, part in parts(answer).items():
            if name != victim:
                assert part == expected[name]
    for answer in after:
        body = msgspec.json.decode(answer)
        assert {one["extensions"]["provider"] for one in body["errors"]} == {victim}
        assert {one["extensions"]["code"] for one in body["errors"]} <= DOWN
        for name in KINDS:
            (source,) = body["data"][name]["connectors"]["sources"]
            assert source["status"] == ("FAILED" if name == victim else "OK")
    assert parts(recovered) == expected
