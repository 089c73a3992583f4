"""Outlit: integrations of a customer-intelligence platform; the status of their models, and no runs."""

from datetime import datetime

from syncgraph.domain.model import Capability, ProviderKind
from syncgraph.ports import Provider
from syncgraph.providers.outlit.client import OutlitConnectors, OutlitSyncs, by_rest, by_tool
from syncgraph.providers.outlit.probe import OutlitProbe
from syncgraph.providers.outlit.reads import of_rest, of_tool
from syncgraph.providers.outlit.refusal import dialect
from syncgraph.providers.outlit.settings import SEED, Settings
from syncgraph.upstream.adapter import Adapter
from syncgraph.upstream.client import Upstream

__all__ = ["Settings", "adapter", "bind", "dialect"]

_CONNECTORS = frozenset({Capability.LIST_CONNECTORS, Capability.GET_CONNECTOR})
_SYNCS = frozenset({Capability.LIST_SYNCS, Capability.GET_SYNC})


def bind(upstream: Upstream, settings: Settings, now: datetime) -> Provider:
    """No contract publishes runs or counts; only REST tells syncs."""
    rest = settings.contract == SEED
    connectors = OutlitConnectors(upstream, by_rest if rest else by_tool)
    syncs = OutlitSyncs(upstream) if rest else None
    return Provider(
        name=upstream.name,
        kind=ProviderKind.OUTLIT,
        contract=settings.contract,
        capabilities=_CONNECTORS | _SYNCS if rest else _CONNECTORS,
        probe=OutlitProbe(upstream, settings, now),
        connector_lookup=connectors,
        connector_feed=connectors,
        sync_lookup=syncs,
        sync_feed=syncs,
        sure_read=of_rest if rest else of_tool,
    )


adapter: Adapter[Settings] = Adapter(kind=ProviderKind.OUTLIT, settings=Settings, dialect=dialect, bind=bind)
