"""Airweave: source connections whose content is made searchable, one sync each; jobs newest first, up to a thousand."""

from datetime import datetime
from functools import partial

from syncgraph.domain.model import Capability, ProviderKind
from syncgraph.ports import Provider
from syncgraph.providers.airweave.client import (
    AirweaveConnectors,
    AirweaveRuns,
    AirweaveSyncs,
    SourceConnections,
)
from syncgraph.providers.airweave.dialect import dialect
from syncgraph.providers.airweave.probe import AirweaveProbe
from syncgraph.providers.airweave.reads import of_jobs, of_source_connections
from syncgraph.providers.airweave.settings import SEED, Settings
from syncgraph.providers.airweave.sync_jobs import SyncJobRuns, SyncJobs, SyncJobSyncs
from syncgraph.upstream.adapter import Adapter
from syncgraph.upstream.client import Upstream

__all__ = ["Settings", "adapter", "bind", "dialect"]

_SYNC_JOBS = frozenset(
    {
        Capability.LIST_SYNCS,
        Capability.GET_SYNC,
        Capability.LIST_RUNS,
        Capability.GET_RUN,
        Capability.SYNC_STATS,
    }
)
_SOURCE_CONNECTIONS = _SYNC_JOBS | {
    Capability.LIST_CONNECTORS,
    Capability.GET_CONNECTOR,
    Capability.SCHEDULE,
}


def bind(upstream: Upstream, settings: Settings, now: datetime) -> Provider:
    return (
        _sync_jobs(upstream, settings, now) if settings.contract == SEED else _today(upstream, settings, now)
    )


def _today(upstream: Upstream, settings: Settings, now: datetime) -> Provider:
    source = SourceConnections(upstream)
    connectors = AirweaveConnectors(source, upstream.name)
    syncs = AirweaveSyncs(source, upstream.name)
    runs = AirweaveRuns(upstream, source, now)
    return Provider(
        name=upstream.name,
        kind=ProviderKind.AIRWEAVE,
        contract=settings.contract,
        capabilities=_SOURCE_CONNECTIONS,
        probe=AirweaveProbe(upstream, settings, now),
        connector_lookup=connectors,
        connector_feed=connectors,
        sync_lookup=syncs,
        sync_extra_lookup=syncs,
        sync_feed=syncs,
        stats_lookup=runs,
        run_lookup=runs,
        run_feed=runs,
        sure_read=of_source_connections,
    )


def _sync_jobs(upstream: Upstream, settings: Settings, now: datetime) -> Provider:
    """No connectors: a job does not tell its source connection."""
    jobs = SyncJobs(upstream, settings)
    syncs = SyncJobSyncs(jobs)
    runs = SyncJobRuns(jobs, now)
    return Provider(
        name=upstream.name,
        kind=ProviderKind.AIRWEAVE,
        contract=settings.contract,
        capabilities=_SYNC_JOBS,
        probe=AirweaveProbe(upstream, settings, now),
        sync_lookup=syncs,
        sync_feed=syncs,
        stats_lookup=runs,
        run_lookup=runs,
        run_feed=runs,
        sure_read=partial(of_jobs, with_sync=settings.needs_sync_id),
    )


adapter: Adapter[Settings] = Adapter(
    kind=ProviderKind.AIRWEAVE, settings=Settings, dialect=dialect, bind=bind
)
