"""Does the gateway hold on to anything? Minutes at most of its capacity, with a fault at some provider every second.

The gateway runs in a process of its own over four providers that are served, and break, in this one. First the most it can
do is measured, then it is asked for 70 % of that, evenly, whatever becomes of it. Prints a Markdown table for
docs/reliability.md, and fails when its memory grows by more than 1 MiB per 100,000 requests, or when tasks or descriptors
are left over. Run as ``python -m bench.soak``.
"""

# ruff: noqa: T201, INP001, S603, S311  # a script, which starts the gateway and chooses faults at random

import argparse
import asyncio
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send
from tests.faults.faultd import Exchange, Fault, Faultd, head, nothing_wrong

from syncgraph import config, sandboxes, serving
from syncgraph.app import create_app
from syncgraph.providers import PROVIDERS
from syncgraph.telemetry import logs

KINDS = tuple(sandboxes.SANDBOXES)
QUERIES = (
    *["{ connectors(first: 20) { nodes { name status } sources { status code } } }"] * 6,
    *["{ syncs(first: 20) { nodes { name state } sources { status code } } }"] * 2,
    "{ syncRuns(first: 20) { nodes { status orderedAt sync { name } } sources { status code } } }",
)
FRESH = 0.2
"""Of the requests, those that take no copy."""
SHARE, CLIENTS = 0.7, 8
EVERY_S, LASTS_S = 1.0, 0.3
"""Between two faults, and of one."""
WARM = 0.2
"""Of the time, at its beginning, that is not judged: caches fill, pools grow."""
PATIENCE_S, QUIET_S = 60.0, 10.0
MOST_MIB, PER = 1.0, 100_000


# the gateway's process


def serve(configuration: Path, port: int) -> None:
    logs.configure()  # to standard error: nobody reads what comes after the first line of the other
    kinds = {kind: adapter.settings for kind, adapter in PROVIDERS.items()}
    settings = config.load(configuration, kinds)
    server = settings.server.model_copy(update={"port": port})
    serving.serve(_with_count(create_app(settings)), server, lambda url: print(url, flush=True))


def _with_count(app: ASGIApp) -> ASGIApp:
    """``/tasks`` tells how many there are, but for the one that tells."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/tasks":
            await app(scope, receive, send)
            return
        body = str(len(asyncio.all_tasks()) - 1).encode()
        length = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})

    return counted


# faults


async def resets(exchange: Exchange) -> None:  # noqa: RUF029  # as a Fault is
    exchange.reset()


async def is_down(exchange: Exchange) -> None:
    await exchange.reply(b'{"detail": "down"}', 503)


async def hangs(exchange: Exchange) -> None:
    await exchange.until_left()


async def sends_a_page(exchange: Exchange) -> None:
    await exchange.reply(b"<html>", media="text/html")


async def breaks_off(exchange: Exchange) -> None:
    await exchange.send(head(content_length="1000") + b'{"items": [')
    exchange.reset()


async def limits(exchange: Exchange) -> None:
    await exchange.reply(b'{"detail": "slow down"}', 429, retry_after="1")


FAULTS: tuple[Fault, ...] = (resets, is_down, hangs, sends_a_page, breaks_off, limits)


async def breaking(providers: list[Faultd], counts: Counter[str]) -> None:
    while True:
        await asyncio.sleep(EVERY_S - LASTS_S)
        provider, fault = random.choice(providers), random.choice(FAULTS)
        provider.fault = fault
        counts[fault.__name__] += 1
        await asyncio.sleep(LASTS_S)
        provider.fault = nothing_wrong


# load


@dataclass
class Load:
    """Requests over kept-alive sockets. ``answers``: by status, or by what went wrong instead."""

    port: int
    answers: Counter[str] = field(default_factory=Counter)
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def get(self, request: bytes) -> bytes:
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self.port)
        )
        writer.write(request)
        said = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", said)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        self._idle.append((reader, writer))
        self.answers[said[9:12].decode()] += 1
        return body

    async def ask(self) -> None:
        body = json.dumps({"query": random.choice(QUERIES)}).encode()
        fresh = "cache-control: no-cache\r\n" if random.random() < FRESH else ""
        lines = f"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n{fresh}content-length: {len(body)}\r\n\r\n"
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self.get(lines.encode() + body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.answers[type(error).__name__] += 1
            return
        if b'"data"' not in answer:
            self.answers["without data"] += 1

    async def tasks(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return int(await self.get(b"GET /tasks HTTP/1.1\r\nhost: gateway\r\n\r\n"))

    def leave(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def capacity(load: Load, seconds: float) -> float:
    """Requests a second that ``CLIENTS`` get answered, each asking again at once."""
    end = time.perf_counter() + seconds
    before = load.answers.total()

    async def client() -> None:
        while time.perf_counter() < end:
            await load.ask()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return (load.answers.total() - before) / seconds


@dataclass
class Samples:
    """Resident memory of the gateway's process beside the requests answered so far."""

    pid: int
    points: list[tuple[int, float]] = field(default_factory=list)

    def memory_mib(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def slope_mib(self) -> float:
        """Per ``PER`` requests: the straight line that fits best."""
        points = self.points[int(len(self.points) * WARM) :]
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        over = sum((x - mean_x) * (y - mean_y) for x, y in points)
        return PER * over / sum((x - mean_x) ** 2 for x, _ in points)


async def steadily(load: Load, samples: Samples, rate: float, seconds: float) -> None:
    begun = time.perf_counter()
    sampled = begun
    async with asyncio.TaskGroup() as requests:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            now = time.perf_counter()
            await asyncio.sleep(max(0.0, due - now))
            requests.create_task(load.ask())
            if now - sampled >= 1:
                sampled = now
                samples.points.append((load.answers.total(), samples.memory_mib()))


@contextmanager
def gateway(configuration: Path, port: int) -> Iterator[int]:
    """The id of its process."""
    keys = {f"{kind.upper()}_KEY": sandboxes.SANDBOXES[kind].KEY for kind in KINDS}
    command = [sys.executable, "-m", "bench.soak", "--serve", str(configuration), "--port", str(port)]
    with (
        (configuration.parent / "gateway.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **keys}) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.terminate()


def configuration_in(folder: Path, providers: dict[str, Faultd]) -> Path:
    tables = [
        serving.sandbox_welcome(
            kind, f"http://127.0.0.1:{one.port}", "", sandboxes.settings().providers[kind]
        ).partition("\n\n")[2]
        for kind, one in providers.items()
    ]
    path = folder / "soak.toml"
    path.write_text("[server]\ndrain_delay_s = 0\n\n" + "\n\n".join(tables), encoding="utf-8")
    return path


async def soak(minutes: float) -> bool:
    faults: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        providers: dict[str, Faultd] = {}
        for kind, its in sandboxes.SANDBOXES.items():
            app = its.app(clock=lambda: datetime.now(UTC), contract=sandboxes.default_contract(kind))
            providers[kind] = await stack.enter_async_context(
                Faultd(app, secrets={its.KEY: its.KEY}).listening()
            )
        port = free_port()
        pid = await asyncio.to_thread(stack.enter_context, gateway(configuration_in(folder, providers), port))
        load, samples = Load(port), Samples(pid)
        most = await capacity(load, 20)
        print(f"At most {most:.0f} requests a second.", file=sys.stderr, flush=True)
        await settled(load)
        before = (await load.tasks(), samples.descriptors())
        load.answers.clear()
        trouble = asyncio.create_task(breaking(list(providers.values()), faults))
        await steadily(load, samples, SHARE * most, minutes * 60)
        print("All are answered.", file=sys.stderr, flush=True)
        trouble.cancel()
        for one in providers.values():
            one.fault = nothing_wrong
        await settled(load)
        after = (await load.tasks(), samples.descriptors())
        load.leave()
    return told(minutes, most, load, faults, samples, before, after)


async def settled(load: Load) -> None:
    """Kept connections are closed after seconds of quiet; one stays, to ask about the rest."""
    load.leave()
    await asyncio.sleep(QUIET_S)


def told(
    minutes: float,
    most: float,
    load: Load,
    faults: Counter[str],
    samples: Samples,
    before: tuple[int, int],
    after: tuple[int, int],
) -> bool:
    slope = samples.slope_mib()
    good = load.answers["200"] + load.answers["294"]
    print("| soak | |\n|---|---|")
    print(f"| minutes, requests a second (70 % of {most:.0f}) | {minutes:g}, {SHARE * most:.0f} |")
    print(f"| requests, of them answered with data | {load.answers.total()}, {good} |")
    print(f"| answers | {', '.join(f'{count} {what}' for what, count in sorted(load.answers.items()))} |")
    print(f"| faults | {', '.join(f'{count} {what}' for what, count in sorted(faults.items()))} |")
    print(f"| memory, first and last | {samples.points[0][1]:.1f} MiB, {samples.points[-1][1]:.1f} MiB |")
    print(f"| slope after the first {WARM:.0%} | {slope:.2f} MiB per {PER:,} requests |")
    print(f"| tasks before and after | {before[0]}, {after[0]} |")
    print(f"| descriptors before and after | {before[1]}, {after[1]} |")
    return slope < MOST_MIB and after[0] <= before[0] and after[1] <= before[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.port)
    elif not asyncio.run(soak(options.minutes)):
        sys.exit("The gateway held on to something.")


if __name__ == "__main__":
    main()
