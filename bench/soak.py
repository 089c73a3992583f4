"""Does the gateway hold on to anything? Minutes at most of its capacity, with a fault at some provider every second.

The gateway runs in a process of its own over four providers that are served, and break, in this one. First the most it can
do is measured, then it is asked for 70 % of that, evenly, whatever becomes of it. Prints a Markdown table for
docs/reliability.md, and fails when the memory it holds grows by more than 1 MiB per 100,000 requests, or when tasks or
descriptors are left over. Run as ``python -m bench.soak``.

Two things are meant by memory, and both are judged. Resident is what the system has given; an allocator keeps the pages of the
deepest pile-up so far, so one comes before the time that counts. Held is what is in use of it, by the C library's own count
(needs glibc; Python takes all from it here). Of each ten seconds the least counts: what is left when little is under way.
"""

# ruff: noqa: T201, INP001, S603, S311  # a script, which starts the gateway and chooses faults at random

import argparse
import asyncio
import ctypes
import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from bench.connections import Connections, get, post, status
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
ATTEMPT_S, OPERATION_S = 2, 5
"""As in the fault matrix."""
PILE, WARM_S = 300, 120.0
"""Before the time that is judged: so many wait for each provider, which takes the pages; and caches fill, pools grow."""
LOOKS_EVERY_S, LOOKS = 2.0, 5
"""How often the memory is looked at, and of how many looks the least counts."""
DATA = "with data"
PATIENCE_S, QUIET_S = 60.0, 10.0
MOST_MIB, PER = 1.0, 100_000
MIB = 2**20

_MALLINFO = [
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "uordblks",
    "fordblks",
    "keepcost",
]


class Held(msgspec.Struct, frozen=True):
    """By the gateway. Memory in MiB. ``tasks``: but for the one that tells."""

    resident: float
    held: float
    tasks: int
    descriptors: int


# the gateway's process


def serve(configuration: Path) -> None:
    _grow_interned_names()
    logs.configure()  # to standard error: nobody reads what comes after the first line of the other
    kinds = {kind: adapter.settings for kind, adapter in PROVIDERS.items()}
    settings = config.load(configuration, kinds)
    server = settings.server.model_copy(update={"port": 0})
    serving.serve(_with_count(create_app(settings)), server, lambda url: print(url, flush=True))


def _grow_interned_names() -> None:
    """To the size that the interpreter's table has in the end: it grows by a MiB and two, once enough names came and went."""
    for number in range(200_000):
        sys.intern(f"name {number}")


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_: ClassVar = [(name, ctypes.c_size_t) for name in _MALLINFO]


def _held() -> Held:
    gc.collect()
    count = ctypes.CDLL(None).mallinfo2
    count.restype = _Mallinfo
    told = count()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Held(
        resident=pages * os.sysconf("SC_PAGE_SIZE") / MIB,
        held=(told.uordblks + told.hblkhd) / MIB,
        tasks=len(asyncio.all_tasks()) - 1,
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
    )


def _with_count(app: ASGIApp) -> ASGIApp:
    """``/held`` tells what is held."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/held":
            await app(scope, receive, send)
            return
        body = msgspec.json.encode(_held())
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
    """``answers``: with data, or what came instead."""

    connections: Connections
    answers: Counter[str] = field(default_factory=Counter)

    async def ask(self) -> None:
        request = post(random.choice(QUERIES), is_fresh=random.random() < FRESH)
        try:
            async with asyncio.timeout(PATIENCE_S):
                head, body = await self.connections.ask(request)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.answers[type(error).__name__] += 1
        else:
            self.answers[DATA if b'"data"' in body else f"{status(head)} without data"] += 1

    async def held(self) -> Held:
        async with asyncio.timeout(PATIENCE_S):
            _, told = await self.connections.ask(get("/held"))
        return msgspec.json.decode(told, type=Held)


async def capacity(load: Load, seconds: float) -> float:
    """Requests a second that ``CLIENTS`` get answered, each asking again at once."""
    end = time.perf_counter() + seconds
    before = load.answers.total()

    async def client() -> None:
        while time.perf_counter() < end:
            await load.ask()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return (load.answers.total() - before) / seconds


def slope(requests: list[int], mib: list[float]) -> float:
    """MiB per ``PER`` requests: the straight line that fits best, through the least of every ``LOOKS`` looks."""
    spans = [range(at, min(at + LOOKS, len(mib))) for at in range(0, len(mib), LOOKS)]
    least = [min(span, key=mib.__getitem__) for span in spans]
    return PER * statistics.linear_regression([requests[at] for at in least], [mib[at] for at in least]).slope


async def steadily(load: Load, rate: float, seconds: float) -> None:
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            requests.create_task(load.ask())


async def looking(load: Load, into: list[tuple[int, Held]]) -> None:
    while True:
        await asyncio.sleep(LOOKS_EVERY_S)
        into.append((load.answers.total(), await load.held()))


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Raises what ``work`` raised before it was stopped."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


@contextmanager
def gateway(configuration: Path) -> Iterator[int]:
    """Its port."""
    keys = {f"{kind.upper()}_KEY": sandboxes.SANDBOXES[kind].KEY for kind in KINDS}
    command = [sys.executable, "-m", "bench.soak", "--serve", str(configuration)]
    environment = {**os.environ, **keys, "PYTHONMALLOC": "malloc"}
    with (
        (configuration.parent / "gateway.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().decode()
        try:
            yield int(url.rpartition(":")[2])
        finally:
            process.terminate()


def configuration_in(folder: Path, providers: dict[str, Faultd]) -> Path:
    tables = [
        serving.sandbox_welcome(
            kind, f"http://127.0.0.1:{one.port}", "", sandboxes.settings().providers[kind]
        ).partition("\n\n")[2]
        + f"attempt_timeout_s = {ATTEMPT_S}"
        for kind, one in providers.items()
    ]
    path = folder / "soak.toml"
    server = f"[server]\ndrain_delay_s = 0\noperation_timeout_s = {OPERATION_S}"
    path.write_text("\n\n".join([server, *tables]), encoding="utf-8")
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
        port = await asyncio.to_thread(stack.enter_context, gateway(configuration_in(folder, providers)))
        load, looks = Load(Connections(port)), list[tuple[int, Held]]()
        most = await capacity(load, 20)
        print(f"At most {most:.0f} requests a second.", file=sys.stderr, flush=True)
        before = await settled(load)
        for one in providers.values():
            one.fault = hangs
            await asyncio.gather(*(load.ask() for _ in range(PILE)))
            one.fault = nothing_wrong
        async with meanwhile(breaking(list(providers.values()), faults)):
            await steadily(load, SHARE * most, WARM_S)
            load.answers.clear()
            faults.clear()
            async with meanwhile(looking(load, looks)):
                await steadily(load, SHARE * most, minutes * 60)
        print("All are answered.", file=sys.stderr, flush=True)
        for one in providers.values():
            one.fault = nothing_wrong
        after = await settled(load)
        load.connections.leave()
    return told(minutes, most, load, faults, looks, before, after)


async def settled(load: Load) -> Held:
    """What is held once nothing is under way. Kept connections are closed after seconds of quiet."""
    load.connections.leave()
    await asyncio.sleep(QUIET_S)
    return await load.held()


def told(
    minutes: float,
    most: float,
    load: Load,
    faults: Counter[str],
    looks: list[tuple[int, Held]],
    before: Held,
    after: Held,
) -> bool:
    requests = [number for number, _ in looks]
    resident, held = [look.resident for _, look in looks], [look.held for _, look in looks]
    slopes = slope(requests, resident), slope(requests, held)
    print("| soak | |\n|---|---|")
    print(f"| minutes, requests a second (70 % of {most:.0f}) | {minutes:g}, {SHARE * most:.0f} |")
    print(f"| requests | {load.answers.total()}: {_listed(load.answers)} |")
    print(f"| faults | {faults.total()}: {_listed(faults)} |")
    for name, mib, its_slope in (("resident", resident, slopes[0]), ("held", held, slopes[1])):
        print(
            f"| {name}, first and last, least and most | {mib[0]:.1f}, {mib[-1]:.1f}, {min(mib):.1f}, {max(mib):.1f} MiB |"
        )
        print(f"| its slope | {its_slope:.2f} MiB per {PER:,} requests |")
    print(f"| tasks before and after | {before.tasks}, {after.tasks} |")
    print(f"| descriptors before and after | {before.descriptors}, {after.descriptors} |")
    return max(slopes) < MOST_MIB and after.tasks <= before.tasks and after.descriptors <= before.descriptors


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
    elif not asyncio.run(soak(options.minutes)):
        sys.exit("The gateway held on to something.")


if __name__ == "__main__":
    main()
