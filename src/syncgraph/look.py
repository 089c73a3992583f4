"""One look at one provider: what a shared poll reads, by the least calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncgraph.accounts import Opened
from syncgraph.domain.changes import ALWAYS, Look, Seen
from syncgraph.domain.model import RunKey, SyncRun, SyncState
from syncgraph.domain.overview import SyncStanding
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.lists import source_name
from syncgraph.loaders import Loaders
from syncgraph.ports import Feed, Provider, Scope
from syncgraph.standing import ROWS, Standings, read_on
from syncgraph.survey import MAX_LISTS, standings_at

MAX_LOOKED_UP = 20
"""Runs still going on that are asked for by id in one poll, since newer ones pushed them off their list."""

HEALTH_SINCE = timedelta(days=1)
"""How far back runs are read to judge syncs whose own list does not tell."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A look at the runs, and what stood in the way of a whole one."""

    look: Look
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How the syncs do of which that is known. ``is_active``: one of them runs or is about to."""

    standings: Sequence[SyncStanding]
    is_active: bool


async def look_at_runs(provider: Provider, seen: Seen) -> Runs:
    """The newest runs of every list, on to what was seen before; and those still going on that no list shows."""
    feed = provider.run_feed
    if feed is None:
        return Runs(Look(lists={}))
    scopes = await or_error(feed.scopes())
    if isinstance(scopes, UpstreamError):
        return Runs(Look(lists={}), scopes)
    lists, error = await _lists(provider.name, feed, scopes[:MAX_LISTS], seen)
    shown = {run.key for page in lists.values() if page is not None for run in page.items}
    missing = [run for run in seen.active() if run.key not in shown]
    looked_up = await _looked_up(provider, missing[:MAX_LOOKED_UP]) if error is None else {}
    return Runs(Look(lists=lists, looked_up=looked_up), error)


async def look_at_health(opened: Opened, now: datetime) -> Health:
    """Reads of the same lists in the same operation cost nothing more."""
    providers = {opened.provider.name: opened.provider}
    loaders = Loaders(providers)
    standings = Standings(providers, loaders, now)
    found = await standings_at(opened, loaders, standings, now - HEALTH_SINCE)
    known = [one for one in found if one.sync.key not in standings.troubles]
    return Health(known, any(one.sync.state in {SyncState.RUNNING, SyncState.QUEUED} for one in known))


async def look_at_anything(provider: Provider) -> UpstreamError | None:
    """One cheap call, for what it says of the provider itself; what went wrong."""
    feed = provider.connector_feed or provider.sync_feed or provider.run_feed
    if feed is None:
        return None
    scopes = await or_error(feed.scopes())
    if isinstance(scopes, UpstreamError) or not scopes:
        return scopes if isinstance(scopes, UpstreamError) else None
    page = await or_error(feed.page(scopes[0], first=1, after=None))
    return page if isinstance(page, UpstreamError) else None


async def _lists(
    provider: str, feed: Feed[SyncRun], scopes: Sequence[Scope], seen: Seen
) -> tuple[Mapping[str, Page[SyncRun] | None], UpstreamError | None]:
    heads = await or_error(feed.first_pages(scopes, first=ROWS))
    pages = [heads] * len(scopes) if isinstance(heads, UpstreamError) else heads
    lists: dict[str, Page[SyncRun] | None] = {}
    trouble: UpstreamError | None = None
    for scope, head in zip(scopes, pages, strict=True):
        name = source_name(provider, scope)
        page, error = (
            (None, head) if isinstance(head, UpstreamError) else await _joined(feed, scope, head, seen)
        )
        lists[name], trouble = page, trouble or error
    return lists, trouble


async def _joined(
    feed: Feed[SyncRun], scope: Scope, head: Page[SyncRun], seen: Seen
) -> tuple[Page[SyncRun] | None, UpstreamError | None]:
    """On from the head to the first run that was seen before; a list seen for the first time is not read on."""
    if head.next is None or not seen.runs or any(run.key in seen.runs for run in head.items):
        return head, None
    newest = max((known.run.ordered_at for known in seen.runs.values()), default=ALWAYS)
    return await read_on(feed, scope, head, since=newest)


async def _looked_up(provider: Provider, runs: Sequence[SyncRun]) -> Mapping[RunKey, SyncRun | None]:
    """None: there is no such run any more. One that could not be asked for is left out."""
    if provider.run_lookup is None or not runs:
        return {}
    found = await or_error(provider.run_lookup.find_runs([run.key.id for run in runs]))
    if isinstance(found, UpstreamError):
        return {}
    return {run.key: one for run, one in zip(runs, found, strict=True) if not isinstance(one, UpstreamError)}
