"""What ``syncgraph status`` and ``syncgraph watch`` show: what needs attention first, then every sync."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from syncgraph.app import Clock, Connect, Gateway
from syncgraph.config import Settings
from syncgraph.graph.schema import Operation

QUERY = """
query Status($after: String, $overview: Boolean!, $syncs: Boolean!) {
  overview @include(if: $overview) {
    evaluatedAt
    health { status count { value relation } }
    runs { status count { value relation } }
    needsAttention(first: 20) {
      name externalId providerName
      health { status since reasons { code status message } }
      freshness { lagSeconds }
    }
    running(first: 10) { providerName externalId status durationSeconds sync { name externalId } }
    errorGroups(first: 5) { count lastSeenAt sample { message } syncs { providerName externalId } }
    sources { provider { name } status coverage fetchedAt upstreamCalls code }
  }
  syncs(first: 100, after: $after) @include(if: $syncs) {
    nodes {
      name externalId providerName state rawStatus lastOutcome
      connector { name }
      freshness { lastSuccessAt lagSeconds }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""

_COLOURS = {"DEGRADED": "bold red", "WARNING": "yellow", "UNKNOWN": "dim", "HEALTHY": "green"}
_SEEN = {"OK", "STALE", "UNSUPPORTED", "SKIPPED"}
_RUN_COLOURS = {"FAILED": "red", "PARTIAL": "yellow", "SUCCEEDED": "green"}


@dataclass(frozen=True, slots=True)
class Status:
    """The overview and every sync as the graph shows them, and what could not be seen."""

    overview: Mapping[str, Any] | None
    rows: Sequence[Mapping[str, Any]]
    troubles: Sequence[str]


async def status(settings: Settings, *, connect: Connect, clock: Clock) -> Status:
    """The overview with the first page of syncs, then the other pages, through the graph itself."""
    rows: list[Mapping[str, Any]] = []
    overview: Mapping[str, Any] | None = None
    troubles: dict[str, None] = {}
    after: str | None = None
    async with Gateway(settings, connect=connect, clock=clock) as gateway:
        while True:
            data, said = await _ask(gateway, after=after, overview=after is None, syncs=True)
            troubles |= dict.fromkeys(said)
            overview = overview or data.get("overview")
            page = data.get("syncs")
            rows += page["nodes"] if page else ()
            if page is None or not page["pageInfo"]["hasNextPage"]:
                return Status(overview, rows, list(troubles))
            after = page["pageInfo"]["endCursor"]


async def watch(
    settings: Settings, *, connect: Connect, clock: Clock, every_s: float, show: Callable[[Status], None]
) -> None:
    """Show the overview again and again, until cancelled; over one gateway, so that connections are kept."""
    async with Gateway(settings, connect=connect, clock=clock) as gateway:
        while True:
            data, said = await _ask(gateway, max_age_s=0.0, after=None, overview=True, syncs=False)
            show(Status(data.get("overview"), (), list(dict.fromkeys(said))))
            await asyncio.sleep(every_s)


def overview_of(found: Status) -> RenderableType:
    """What is wrong comes first."""
    its = found.overview
    if its is None:
        return Text("No overview; see the errors.", style="red")
    return Group(
        _counts(its),
        *_attention(its["needsAttention"], sees_all=all(one["status"] in _SEEN for one in its["sources"])),
        *_running(its["running"]),
        *_errors(its["errorGroups"]),
        *_unseen(its["sources"]),
    )


def troubles_of(found: Status) -> RenderableType:
    return Text("\n".join(found.troubles), style="red")


def table_of(found: Status) -> Table:
    """Every sync."""
    table = Table("provider", "connector", "sync", "state", "last outcome", "last success", "age")
    for row in found.rows:
        fresh = row["freshness"]
        table.add_row(
            row["providerName"],
            Text(_plain((row["connector"] or {}).get("name") or "?")),
            Text(_name(row)),
            Text(
                _plain(
                    row["state"]
                    if row["state"] != "UNKNOWN"
                    else f"UNKNOWN ({row['rawStatus'] or 'not told'})"
                )
            ),
            row["lastOutcome"] or "?",
            (fresh["lastSuccessAt"] or "?")[:19],
            _age(fresh["lagSeconds"]),
        )
    return table


def _counts(its: Mapping[str, Any]) -> Text:
    line = Text(f"{its['evaluatedAt'][:19]}Z  syncs:")
    for one in its["health"]:
        if one["count"]["value"]:
            line.append(f" {_count(one)} {one['status']}", style=_COLOURS[one["status"]])
    line.append("  runs:")
    for one in its["runs"]:
        if one["count"]["value"]:
            line.append(f" {_count(one)} {one['status']}", style=_RUN_COLOURS.get(one["status"], ""))
    return line


def _count(one: Mapping[str, Any]) -> str:
    return f"{one['count']['value']}{'+' if one['count']['relation'] == 'GTE' else ''}"


def _attention(syncs: Sequence[Mapping[str, Any]], *, sees_all: bool) -> Iterator[RenderableType]:
    if not syncs:
        well = Text("Nothing needs attention.", style="green")
        yield well if sees_all else Text("Nothing that could be seen needs attention.", style="yellow")
        return
    yield Text("Needs attention", style="bold")
    for one in syncs:
        its, since = one["health"], (one["health"]["since"] or "?")[:16].replace("T", " ")
        line = Text(f"  {its['status']:<9}", style=_COLOURS[its["status"]])
        yield line.append(f"{one['providerName']}  {_name(one)}  (since {since})", style="default")
        for reason in its["reasons"]:
            yield Padding(Text(f"{reason['code']}: {_plain(reason['message'])}", style="dim"), (0, 0, 0, 6))


def _running(runs: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    for one in runs:
        its = _name(one["sync"]) if one["sync"] else one["externalId"]
        yield Text(
            f"{one['status'].lower()}: {one['providerName']} {its}, for {_age(one['durationSeconds'])}"
        )


def _errors(groups: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    for one in groups:
        message = _plain(" ".join(one["sample"]["message"].split()))[:160]
        yield Text(f"{one['count']} x {message} ({len(one['syncs'])} syncs)", style="red")


def _unseen(sources: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """What failed stands among the troubles."""
    for one in sources:
        if one["status"] == "SCAN_LIMIT":
            yield Text(f"{one['provider']['name']}: has more than one overview reads", style="yellow")
        if one["status"] == "STALE":
            since = one["fetchedAt"].partition(".")[0].replace("T", " ")
            yield Text(f"{one['provider']['name']}: as it was at {since}, {one['code']}", style="yellow")


def _name(sync: Mapping[str, Any]) -> str:
    return _plain(sync["name"] or sync["externalId"])


def _plain(text: str) -> str:
    """Without what a terminal would obey: names and messages are a provider's."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


async def _ask(
    gateway: Gateway, *, max_age_s: float | None = None, **variables: object
) -> tuple[Mapping[str, Any], Sequence[str]]:
    result = await gateway.execute(
        Operation(query=QUERY, variables=variables, name=None, max_age_s=max_age_s)
    )
    return result.data or {}, list(_said(result.body()))


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
