"""What every resolver of one operation shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from graphql.pyutils import Path
from strawberry.types import Info as StrawberryInfo

from syncgraph.accounts import Opened
from syncgraph.domain.changes import RunEvent, SyncHealthEvent
from syncgraph.errors import UpstreamError
from syncgraph.graph.cursors import Cursors
from syncgraph.loaders import Loaders
from syncgraph.standing import Standings
from syncgraph.watch import Watches


@dataclass(slots=True)
class Context:
    """One operation: the providers opened for it, what it looked up so far, and its ``now``.

    ``max_calls``: upstream calls that the operation may make. ``max_representations``: entities that a router may ask for at once.
    ``watches``: where a subscription gets its events from.
    ``troubles``: what providers did without costing the field its value; each becomes one entry in ``errors``.
    """

    opened: Mapping[str, Opened]
    cursors: Cursors
    now: datetime
    max_calls: int
    max_representations: int
    watches: Watches | None = None
    loaders: Loaders = field(init=False)
    standings: Standings = field(init=False)
    troubles: dict[tuple[str, str], tuple[UpstreamError, Path]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        providers = {name: opened.provider for name, opened in self.opened.items()}
        self.loaders = Loaders(providers)
        self.standings = Standings(providers, self.loaders, self.now)

    def remember(self, event: object) -> None:
        """What an event tells is not looked up again."""
        match event:
            case RunEvent(run=run):
                self.loaders.prime([run])
            case SyncHealthEvent(standing=standing):
                self.loaders.prime([standing.sync])
                self.standings.told[standing.sync.key] = standing

    def report(self, error: UpstreamError, path: Path) -> None:
        """Say once per provider and code what went wrong; the first place it was seen at stands for all."""
        self.troubles.setdefault((error.provider, error.code), (error, path))

    def stale(self) -> Sequence[Mapping[str, Any]]:
        """What each provider gave from a copy older than it should be: no `sources` stand beside some values."""
        used = {name: opened.meter.used for name, opened in self.opened.items()}
        return [
            {
                "provider": name,
                "fetchedAt": its.fetched_at.isoformat().replace("+00:00", "Z"),
                "code": None if its.error is None else its.error.code,
            }
            for name, its in used.items()
            if its.is_stale and its.fetched_at is not None
        ]


Info: TypeAlias = StrawberryInfo[Context, None]
