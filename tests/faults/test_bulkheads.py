"""Figure 3: one provider hung at full load, and what those notice who ask the others."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from tests.faults.report import Report
from tests.test_cli import NOW, PATIENCE_S, said_by, url_in

from syncgraph import sandboxes

KINDS = list(sandboxes.SANDBOXES)
VICTIM = "airweave"
PART = '{name}: provider(name: "{name}") {{ connectors(first: 6) {{ nodes {{ id name status }} }} }} '
OF_OTHERS = "{%s}" % "".join(PART.format(name=name) for name in KINDS if name != VICTIM)  # noqa: UP031  # braces
OF_VICTIM = "{%s}" % PART.format(name=VICTIM)  # noqa: UP031  # braces

PAIRS, RUN_S = 5, 5.0
PER_SECOND = 15.0
"""Of each query at each gateway, however long the answers take: one who waits before asking again would hide the wait."""
GATE, GATE_S = 5.0, 1.0
"""One of the two holds on the busiest machine, and neither does where all share what the hung provider's callers hold: that
costs its two seconds, a hundred times what an answer takes. The ratios themselves are printed."""


@contextmanager
def started(log: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """What a server, a process of its own, printed before it listened. It logs to a file: a pipe would fill."""
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            [sys.executable, "-m", "syncgraph", *arguments],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, **(env or {})},
        ) as process,
    ):
        try:
            yield said_by(process)
        finally:
            process.kill()


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """The address of a server that accepts, and never says a word."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def configured(tables: Mapping[str, str], file: Path) -> str:
    """A file for a gateway over these providers; nothing is kept, so that each query asks each provider."""
    server = "[server]\noperation_timeout_s = 5\n\n[cache]\nmax_bytes = 0\nstale_if_error_s = 0\n"
    file.write_text("\n\n".join([server, *tables.values()]), encoding="utf-8")
    return str(file)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Sequence[str]]:
    """The addresses of two gateways over the same sandboxes, but that for the second one the victim hangs."""
    keys = {f"{name.upper()}_KEY": sandboxes.SANDBOXES[name].KEY for name in KINDS}
    with ExitStack() as processes:
        tables = {}
        for name in KINDS:
            said = processes.enter_context(
                started(folder / name, "sandbox", name, "--port", "0", "--now", NOW)
            )
            tables[name] = said[said.index("[providers.") :].strip() + "\nattempt_timeout_s = 2"
        async with silent() as nowhere:
            hung = {**tables, VICTIM: tables[VICTIM].replace(url_in(tables[VICTIM]).rstrip('"'), nowhere)}
            urls = []
            for name, providers in (("well", tables), ("ill", hung)):
                file = configured(providers, folder / f"{name}.toml")
                said = processes.enter_context(
                    started(folder / name, "serve", "--port", "0", "--config", file, "--now", NOW, env=keys)
                )
                urls.append(url_in(said))
            yield urls


@dataclass
class Client:
    """Asks one gateway for the healthy providers and for the victim, side by side, and notes how long the former took."""

    http: httpx2.AsyncClient
    url: str
    took: list[float] = field(default_factory=list)

    async def ask(self) -> None:
        await asyncio.gather(self._of_others(), self.http.post(self.url, json={"query": OF_VICTIM}))

    async def _of_others(self) -> None:
        began = time.perf_counter()
        answer = await self.http.post(self.url, json={"query": OF_OTHERS})
        self.took.append(time.perf_counter() - began)
        body = answer.json()
        assert "errors" not in body
        assert all(part["connectors"]["nodes"] for part in body["data"].values())


async def load(urls: Sequence[str]) -> Sequence[list[float]]:
    """How long each query took at each of the gateways, which are asked in turn, so that both meet the same noise."""
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(timeout=PATIENCE_S, limits=limits) as http, asyncio.TaskGroup() as asking:
        clients = [Client(http, url) for url in urls]
        began = time.perf_counter()
        for number in range(int(RUN_S * PER_SECOND) * len(clients)):
            due = began + number / PER_SECOND / len(clients)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asking.create_task(clients[number % len(clients)].ask())
    return [client.took for client in clients]


def percentile(took: list[float], part: float) -> float:
    return sorted(took)[int(part * (len(took) - 1))]


async def test_whoever_asks_the_others_hardly_notices_that_one_provider_hangs(tmp_path: Path, report: Report):
    async with running(tmp_path) as urls:
        await load(urls)  # so that both have their connections, and the hung provider its history
        pairs = [await load(urls) for _ in range(PAIRS)]
    p50, p99 = (
        [(percentile(well, part), percentile(ill, part)) for well, ill in pairs] for part in (0.5, 0.99)
    )
    report.say(
        f"figure 3: queries to healthy providers beside a hung one, against beside a healthy one: "
        f"p50 {median_ratio(p50):.2f}x, p99 {median_ratio(p99):.2f}x (medians of {PAIRS} pairs; p50 in ms: "
        f"{', '.join(f'{ill * 1000:.0f}/{well * 1000:.0f}' for well, ill in p50)})"
    )
    assert median_ratio(p50) <= GATE or statistics.median(ill for _, ill in p50) <= GATE_S


def median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return statistics.median(ill / well for well, ill in pairs)
