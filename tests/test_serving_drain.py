"""How the process ends: not ready, then deaf, then done, with an answer to whatever was under way. Real processes."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from tests.replay import serving
from tests.test_cancel import PATIENCE_S, Slow, soon
from tests.test_cli import NOW, free_port, started, url_in

LONG_S = 200
"""A delay that ends no test."""

ENV = {"OUTLIT_KEY": "a-key-of-somebody"}
ACCOUNTS = 6
ACCOUNT = ['kind = "outlit"', 'credential = "env:OUTLIT_KEY"', "attempt_timeout_s = 60"]
QUERY = '{ provider(name: "NAME") { connectors { nodes { name } sources { status code } } } }'
"""Each request asks an account of its own, so that none shares another's call."""


@dataclass
class Stage:
    """A gateway in a process of its own, whose upstreams hold every answer back."""

    process: subprocess.Popen[str]
    slow: Slow
    http: httpx2.AsyncClient
    asked: list[asyncio.Task[httpx2.Response]] = field(default_factory=list)

    async def ask_held(self, number: int) -> None:
        """Requests that have got through to the upstream."""
        begun = len(self.asked)
        for account in range(begun, begun + number):
            query = QUERY.replace("NAME", f"a{account}")
            self.asked.append(asyncio.create_task(self.http.post("/graphql", json={"query": query})))
        await soon(lambda: self.slow.asked == len(self.asked), or_say=lambda: self.slow)

    async def sigterm(self) -> None:
        """Until the process says that it has got it."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            while (told := await self.http.get("/readyz")).status_code == 200:  # noqa: ASYNC110  # only asking tells
                await asyncio.sleep(0.01)
        assert told.json() == {"status": "not ready", "reasons": ["draining"]}
        assert (await self.http.get("/livez")).json() == {"status": "alive", "reasons": []}

    async def answers(self) -> list[tuple[int, str | None]]:
        """Status and code of each."""
        told = await asyncio.gather(*self.asked)
        return [(one.status_code, _code(one)) for one in told]

    async def ended(self) -> tuple[int, str]:
        """The exit code, and what it said to its operator."""
        _, said = await asyncio.to_thread(self.process.communicate, timeout=PATIENCE_S)
        return self.process.returncode, said


def _code(answer: httpx2.Response) -> str | None:
    errors = answer.json().get("errors")
    return errors[0]["extensions"]["code"] if errors else None


@asynccontextmanager
async def stage(folder: Path, **server: float) -> AsyncIterator[Stage]:
    slow = Slow()
    async with serving(slow.app()) as upstream:
        table = {"operation_timeout_s": 300, **server}
        lines = ["[server]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        for number in range(ACCOUNTS):
            lines += [f"[providers.a{number}]", f'base_url = "{upstream}"', *ACCOUNT]
        config = folder / "syncgraph.toml"
        config.write_text("\n".join(lines))
        with started("serve", "--port", "0", "--config", str(config), env=ENV) as (process, said):
            url = url_in(said).removesuffix("/graphql")
            async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
                yield Stage(process, slow, http)
                slow.release.set()


async def test_after_sigterm_all_that_is_under_way_and_all_that_still_comes_is_answered(tmp_path: Path):
    async with stage(tmp_path, drain_delay_s=5, shutdown_timeout_s=LONG_S) as its:
        await its.ask_held(5)
        await its.sigterm()
        await its.ask_held(1)
        its.slow.release.set()
        answers = await its.answers()
        ended = await its.ended()

    assert answers == [(200, None)] * 6
    assert {task.result().headers["connection"] for task in its.asked} == {"close"}
    assert ended == (0, "")


async def test_an_event_stream_does_not_keep_the_process_and_is_ended_cleanly(tmp_path: Path):
    query = QUERY.replace("NAME", "a0")
    async with stage(tmp_path, drain_delay_s=0, shutdown_timeout_s=LONG_S) as its:
        request = its.http.stream(
            "POST", "/graphql", json={"query": query}, headers={"accept": "text/event-stream"}
        )
        async with request as stream:
            await soon(lambda: its.slow.asked == 1, or_say=lambda: its.slow)
            its.process.send_signal(signal.SIGTERM)
            said = await stream.aread()
        ended = await its.ended()

    assert said.startswith(b":")
    assert ended == (0, "")


async def test_a_second_sigterm_ends_the_process_at_once_and_tells_those_who_wait(tmp_path: Path):
    async with stage(tmp_path, drain_delay_s=LONG_S, shutdown_timeout_s=LONG_S + 1) as its:
        await its.ask_held(3)
        await its.sigterm()
        its.process.send_signal(signal.SIGTERM)
        answers = await its.answers()
        ended = await its.ended()
        await soon(lambda: its.slow.left == 3, or_say=lambda: its.slow)

    assert answers == [(503, "SHUTTING_DOWN")] * 3
    assert ended == (0, "")


async def test_what_cannot_be_answered_in_time_is_told_so_and_the_process_ends(tmp_path: Path):
    async with stage(tmp_path, drain_delay_s=0, shutdown_timeout_s=0.5) as its:
        await its.ask_held(3)
        its.process.send_signal(signal.SIGTERM)
        answers = await its.answers()
        ended = await its.ended()

    assert answers == [(503, "SHUTTING_DOWN")] * 3
    assert ended == (0, "")


async def test_a_client_that_neither_sends_nor_reads_does_not_keep_the_process(tmp_path: Path):
    async with stage(tmp_path, drain_delay_s=0, shutdown_timeout_s=0.5) as its:
        assert (await its.http.get("/readyz")).status_code == 200
        _, writer = await asyncio.open_connection("127.0.0.1", its.http.base_url.port)
        writer.write(
            b"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
        )
        await writer.drain()
        its.process.send_signal(signal.SIGTERM)
        ended = await its.ended()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    assert ended == (0, "")


async def test_ctrl_c_does_not_wait_for_a_load_balancer(tmp_path: Path):
    async with stage(tmp_path, drain_delay_s=LONG_S, shutdown_timeout_s=LONG_S + 1) as its:
        assert (await its.http.get("/readyz")).status_code == 200
        its.process.send_signal(signal.SIGINT)

        assert await its.ended() == (0, "")


def test_with_a_port_of_their_own_the_probes_are_there_alone():
    port = free_port()
    with started("serve", "--port", "0", "--now", NOW, env={"SYNCGRAPH_OPS_PORT": str(port)}) as (_, said):
        ops, main = f"http://127.0.0.1:{port}", url_in(said).removesuffix("/graphql")
        found = {
            url: httpx2.get(url, timeout=PATIENCE_S).status_code
            for url in (f"{ops}/livez", f"{ops}/readyz", f"{ops}/graphql", f"{main}/livez", f"{main}/readyz")
        }
        query = httpx2.post(f"{main}/graphql", json={"query": "{ providers { name } }"}, timeout=PATIENCE_S)

    assert list(found.values()) == [200, 200, 404, 404, 404]
    assert query.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_are_never_stored(tmp_path: Path, method: str):
    async with stage(tmp_path) as its:
        for path in ("/livez", "/readyz"):
            told = await its.http.request(method, path)
            assert (told.status_code, told.headers["cache-control"]) == (200, "no-store")
        its.process.send_signal(signal.SIGINT)
        await its.ended()
