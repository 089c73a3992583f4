"""Timbal: connectors in a customer's network that pull tables into its knowledge bases."""

from datetime import datetime
from typing import TypeAlias

from syncgraph.domain.model import Capability, ProviderKind
from syncgraph.ports import Provider
from syncgraph.providers.timbal.api import DETAIL_GONE, LISTS_GONE, Api
from syncgraph.providers.timbal.client import TimbalConnectors, TimbalRuns, TimbalStats, TimbalSyncs
from syncgraph.providers.timbal.configured import ConfiguredConnectors, ConfiguredRuns, ConfiguredSyncs
from syncgraph.providers.timbal.ids import sync_id
from syncgraph.providers.timbal.probe import TimbalProbe
from syncgraph.providers.timbal.reads import of_details, of_lists
from syncgraph.providers.timbal.settings import Settings
from syncgraph.upstream.adapter import Adapter
from syncgraph.upstream.answer import Dialect
from syncgraph.upstream.client import Upstream

CAPABILITIES = frozenset(
    {
        Capability.LIST_CONNECTORS,
        Capability.LIST_SYNCS,
        Capability.LIST_RUNS,
        Capability.GET_CONNECTOR,
        Capability.GET_SYNC,
        Capability.GET_RUN,
        Capability.SYNC_STATS,
        Capability.SCHEDULE,
    }
)


def dialect(settings: Settings) -> Dialect:
    """Timbal's statuses mean what they say, and its connector routes document no body that would say more."""
    return Dialect(
        headers={"authorization": f"Bearer {settings.credential.get_secret_value()}"},
        gone_hint=LISTS_GONE if settings.contract == "connectors" else DETAIL_GONE,
    )


def bind(upstream: Upstream, settings: Settings, now: datetime) -> Provider:
    api = Api(upstream, settings.organisation)
    connectors, syncs, runs = _ports(api, settings)
    return Provider(
        name=upstream.name,
        kind=ProviderKind.TIMBAL,
        contract=settings.contract,
        capabilities=CAPABILITIES,
        probe=TimbalProbe(upstream, settings, now),
        connector_lookup=connectors,
        sync_lookup=syncs,
        stats_lookup=TimbalStats(api),
        run_lookup=runs,
        connector_feed=connectors,
        sync_feed=syncs,
        run_feed=runs,
        sure_read=of_lists if settings.contract == "connectors" else of_details,
    )


Ports: TypeAlias = (
    tuple[TimbalConnectors, TimbalSyncs, TimbalRuns]
    | tuple[ConfiguredConnectors, ConfiguredSyncs, ConfiguredRuns]
)


def _ports(api: Api, settings: Settings) -> Ports:
    if settings.contract == "connectors":
        return TimbalConnectors(api), TimbalSyncs(api), TimbalRuns(api)
    named = [its for its in map(sync_id, settings.syncs) if its is not None]
    return ConfiguredConnectors(api, named), ConfiguredSyncs(api, named), ConfiguredRuns(api, named)


adapter = Adapter(kind=ProviderKind.TIMBAL, settings=Settings, dialect=dialect, bind=bind)
