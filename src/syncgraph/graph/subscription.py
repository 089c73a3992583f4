"""The root of all subscriptions: which events each is about. ``docs/live.md`` says what is sent when."""

from collections.abc import AsyncIterator
from datetime import datetime

import strawberry

from syncgraph.graph.context import Info
from syncgraph.graph.filters import SyncFilter, SyncRunFilter, lets_through, provider_names
from syncgraph.graph.types.events import SyncHealthEvent, SyncRunEvent
from syncgraph.graph.types.provider import Provider
from syncgraph.watch import News, Topic, Watches


def _watches(info: Info) -> Watches:
    watches = info.context.watches
    assert watches is not None
    return watches


@strawberry.type(description="One poll per provider feeds all subscribers, and only while there are any.")
class Subscription:
    @strawberry.subscription(
        graphql_type=SyncRunEvent,
        description=(
            "Runs that appear, change or finish. `since`: first the last change of each run that changed after that "
            "instant, as far as this gateway remembers it or the provider still shows it: whoever comes back misses no "
            "run that finished meanwhile, and may be told again what it knows."
        ),
    )
    def sync_run_changed(
        self,
        info: Info,
        filter: SyncRunFilter | None = strawberry.UNSET,
        since: datetime | None = strawberry.UNSET,
    ) -> AsyncIterator[News]:
        fits = lets_through(filter or None)
        return _watches(info).subscribe(
            Topic.RUNS,
            providers=provider_names(filter or None),
            since=since or None,
            fits=lambda event: fits(event.run),
        )

    @strawberry.subscription(
        graphql_type=SyncHealthEvent,
        description=(
            "Syncs that do otherwise than before; judged when a run of their provider changed, and once a minute. A "
            "sync of which it is not known how it does, since its provider cannot be reached, tells nothing."
        ),
    )
    def sync_health_changed(
        self, info: Info, filter: SyncFilter | None = strawberry.UNSET
    ) -> AsyncIterator[News]:
        fits = lets_through(filter or None)
        return _watches(info).subscribe(
            Topic.HEALTH,
            providers=provider_names(filter or None),
            fits=lambda event: fits(event.standing),
        )

    @strawberry.subscription(
        graphql_type=Provider,
        description="Providers whose `health.status` is not what it was at the last poll.",
    )
    def provider_health_changed(self, info: Info) -> AsyncIterator[News]:
        return _watches(info).subscribe(Topic.PROVIDER)
