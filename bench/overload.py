"""How much the gateway does at most, and what becomes of ten times as much: goodput, and how fast a refusal comes.

Serves the embedded sandboxes in a process of its own, and loads it from this one over loopback. First in a closed loop,
with more and more clients, for the most it can do; then in an open loop: requests leave when they are due, whatever the
answers do, and what counts is the time since they were due. Prints a Markdown table for docs/operations.md.
"""

# ruff: noqa: T201, INP001, S603  # a script, which starts the gateway

import argparse
import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "src/syncgraph/http/graphiql/assets/examples.json"
TIMES = 10
"""How much more than it can do is asked."""
PATIENCE_S = 30


@dataclass
class Outcome:
    """Of one load."""

    seconds: float
    good: list[float] = field(default_factory=list)
    """Seconds that each whole answer took."""
    refused: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return len(self.good) / self.seconds


class Connections:
    """HTTP/1.1 over kept-alive sockets, as cheap as it gets: the load must not be what is measured."""

    def __init__(self, port: int, query: str) -> None:
        self._port = port
        body = json.dumps({"query": query}).encode()
        head = f"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncache-control: no-cache\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, into: Outcome, due: float) -> None:
        """The outcome of one request that was due at ``due``."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = self._idle.pop() if self._idle else await self._connect()
                writer.write(self._request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                body = await reader.readexactly(int(length[1]))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            into.others[type(error).__name__] += 1
            return
        self._idle.append((reader, writer))
        took = time.perf_counter() - due
        if head[9:12] == b"503" and b"OVERLOADED" in body and b"retry-after" in head:
            into.refused.append(took)
        elif head[9:12] == b"200" and b'"errors"' not in body:
            into.good.append(took)
        else:
            into.others[head[9:12].decode()] += 1

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)


async def closed(connections: Connections, clients: int, seconds: float) -> Outcome:
    """``clients`` that ask again as soon as they are answered."""
    outcome = Outcome(seconds)
    end = time.perf_counter() + seconds

    async def client() -> None:
        while (now := time.perf_counter()) < end:
            await connections.ask(outcome, now)

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcome


async def opened(connections: Connections, rate: float, seconds: float) -> Outcome:
    """``rate`` requests a second, evenly, whatever becomes of them."""
    outcome = Outcome(seconds)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        for number in itertools.takewhile(lambda number: number < rate * seconds, itertools.count()):
            due = begun + number / rate
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            requests.create_task(connections.ask(outcome, due))
    return outcome


def percentile(times: Sequence[float], part: float) -> str:
    return f"{sorted(times)[int(len(times) * part)] * 1000:.0f} ms" if times else "-"


def row(name: str, asked: str, outcome: Outcome) -> str:
    others = ", ".join(f"{count} {what}" for what, count in outcome.others.items()) or "0"
    return (
        f"| {name} | {asked} | {outcome.rate:.1f} | {percentile(outcome.good, 0.5)} | {percentile(outcome.good, 0.99)} "
        f"| {len(outcome.refused)} | {percentile(outcome.refused, 0.5)} | {percentile(outcome.refused, 0.99)} | {others} |"
    )


async def measure(port: int, query: str, seconds: float, clients: Sequence[int]) -> None:
    connections = Connections(port, query)
    await closed(connections, 2, seconds / 2)  # warm
    print("| load | asked /s | answered /s | p50 | p99 | refused | p50 | p99 | others |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    peak = 0.0
    for number in clients:
        outcome = await closed(connections, number, seconds)
        peak = max(peak, outcome.rate)
        print(row(f"{number} clients", "-", outcome), flush=True)
    outcome = await opened(connections, TIMES * peak, 3 * seconds)
    print(row(f"{TIMES} x the peak", f"{TIMES * peak:.0f}", outcome))
    print(f"\nPeak {peak:.1f}/s; goodput at {TIMES} x: {outcome.rate / peak:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each step")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    query = json.loads(EXAMPLES.read_text(encoding="utf-8"))[0]["query"]
    command = [sys.executable, "-m", "syncgraph", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        said = "".join(itertools.takewhile(lambda line: "curl" not in line, gateway.stdout))
        found = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert found is not None
        try:
            asyncio.run(measure(int(found[1]), query, options.seconds, options.clients))
        finally:
            os.kill(gateway.pid, signal.SIGINT)


if __name__ == "__main__":
    main()
