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

from bench.connections import Connections, post, status

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


async def ask(connections: Connections, request: bytes, into: Outcome, due: float) -> None:
    """The outcome of one request that was due at ``due``."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            head, body = await connections.ask(request)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        into.others[type(error).__name__] += 1
        return
    took = time.perf_counter() - due
    if status(head) == "503" and b"OVERLOADED" in body and b"retry-after" in head:
        into.refused.append(took)
    elif status(head) == "200" and b'"errors"' not in body:
        into.good.append(took)
    else:
        into.others[status(head)] += 1


async def closed(connections: Connections, request: bytes, clients: int, seconds: float) -> Outcome:
    """``clients`` that ask again as soon as they are answered."""
    outcome = Outcome(seconds)
    end = time.perf_counter() + seconds

    async def client() -> None:
        while (now := time.perf_counter()) < end:
            await ask(connections, request, outcome, now)

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcome


async def opened(connections: Connections, request: bytes, rate: float, seconds: float) -> Outcome:
    """``rate`` requests a second, evenly, whatever becomes of them."""
    outcome = Outcome(seconds)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        for number in itertools.takewhile(lambda number: number < rate * seconds, itertools.count()):
            due = begun + number / rate
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            requests.create_task(ask(connections, request, outcome, due))
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
    connections, request = Connections(port), post(query, is_fresh=True)
    await closed(connections, request, 2, seconds / 2)  # warm
    print("| load | asked /s | answered /s | p50 | p99 | refused | p50 | p99 | others |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    peak = 0.0
    for number in clients:
        outcome = await closed(connections, request, number, seconds)
        peak = max(peak, outcome.rate)
        print(row(f"{number} clients", "-", outcome), flush=True)
    outcome = await opened(connections, request, TIMES * peak, 3 * seconds)
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
