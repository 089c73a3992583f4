"""What ``syncgraph doctor`` and ``syncgraph status`` find out, and how they show it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from syncgraph.app import Clock, Connect, Gateway
from syncgraph.config import ProviderSettings, Settings
from syncgraph.graph.schema import Operation
from syncgraph.ports import Diagnosis

STATUS_QUERY = """
query Status($after: String) {
  syncs(first: 100, after: $after) {
    nodes {
      name externalId providerName state rawStatus lastOutcome
      connector { name }
      freshness { lastSuccessAt lagSeconds }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Found:
    """One provider's diagnosis beside its configuration."""

    name: str
    settings: ProviderSettings
    diagnosis: Diagnosis


async def diagnose(settings: Settings, *, connect: Connect, clock: Clock) -> Sequence[Found]:
    """Ask every provider once, side by side."""
    async with Gateway(settings, connect=connect, clock=clock) as gateway, gateway.open() as (opened, _):
        found = await asyncio.gather(*(one.provider.probe.diagnose() for one in opened.values()))
    return [Found(name, its, one) for (name, its), one in zip(settings.providers.items(), found, strict=True)]


def is_healthy(found: Sequence[Found]) -> bool:
    """Whether every provider can be used as it is configured."""
    return all(
        one.diagnosis.reachable and one.diagnosis.authorised and one.settings.contract in one.diagnosis.served
        for one in found
    )


def doctor_lines(found: Sequence[Found]) -> Iterator[str]:
    """A paragraph for each provider."""
    for one in found:
        diagnosis, skew = one.diagnosis, one.diagnosis.clock_skew
        facts = {
            "reachable": _yes(diagnosis.reachable),
            "authorised": _yes(diagnosis.authorised),
            "server": diagnosis.server,
            "serves": ", ".join(diagnosis.served),
            "configured": one.settings.contract,
            "clock skew": None if skew is None else f"{skew.total_seconds():+.0f} s",
            "limits": diagnosis.limits,
        }
        yield one.name
        yield from (f"  {name:<11} {value or '?'}" for name, value in facts.items())
        if diagnosis.error is not None:
            yield f"  {'error':<11} {diagnosis.error} ({diagnosis.error.code})"
        yield from (f"  {'advice':<11} {sentence}" for sentence in diagnosis.advice)


@dataclass(frozen=True, slots=True)
class Status:
    """Every sync as the graph shows it, and what could not be seen."""

    rows: Sequence[Mapping[str, Any]]
    troubles: Sequence[str]


async def status(settings: Settings, *, connect: Connect, clock: Clock) -> Status:
    """Read all syncs, page by page, through the graph itself."""
    rows: list[Mapping[str, Any]] = []
    troubles: dict[str, None] = {}
    after: str | None = None
    async with Gateway(settings, connect=connect, clock=clock) as gateway:
        while True:
            operation = Operation(query=STATUS_QUERY, variables={"after": after}, name=None)
            result = await gateway.execute(operation)
            troubles |= dict.fromkeys(_said(result.body()))
            page = (result.data or {}).get("syncs")
            rows += page["nodes"] if page else ()
            if page is None or not page["pageInfo"]["hasNextPage"]:
                return Status(rows, list(troubles))
            after = page["pageInfo"]["endCursor"]


def status_table(found: Status) -> Table:
    table = Table("provider", "connector", "sync", "state", "last outcome", "last success", "age")
    for row in found.rows:
        fresh = row["freshness"]
        table.add_row(
            row["providerName"],
            (row["connector"] or {}).get("name") or "?",
            row["name"] or row["externalId"],
            row["state"] if row["state"] != "UNKNOWN" else f"UNKNOWN ({row['rawStatus'] or 'not told'})",
            row["lastOutcome"] or "?",
            (fresh["lastSuccessAt"] or "?")[:19],
            _age(fresh["lagSeconds"]),
        )
    return table


def _said(body: Mapping[str, Any]) -> Iterator[str]:
    for error in body.get("errors", ()):
        provider = error["extensions"].get("provider", "syncgraph")
        yield f"{provider}: {error['message']} ({error['extensions']['code']})"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _yes(value: bool | None) -> str:  # noqa: FBT001  # a table cell has no name to give
    return "?" if value is None else "yes" if value else "no"
