"""OpenWork Den: connector instances, their targets, and the events that are their runs."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from syncgraph.domain.model import Capability, ProviderKind
from syncgraph.errors import (
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamRateLimitedError,
)
from syncgraph.ports import Provider
from syncgraph.providers.den.derived import DerivedConnectors, DerivedSyncs
from syncgraph.providers.den.events import DenEvents
from syncgraph.providers.den.instances import DenConnectors, DenSyncs
from syncgraph.providers.den.paging import Lists
from syncgraph.providers.den.probe import DenProbe
from syncgraph.providers.den.reads import with_events_only, with_instances
from syncgraph.providers.den.runs import DenRuns, DenStats, narrowed
from syncgraph.providers.den.settings import Settings
from syncgraph.upstream.adapter import Adapter
from syncgraph.upstream.answer import Answer, Dialect
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
        Capability.FILTER_STATUS,
    }
)
REST = timedelta(seconds=65)
"""A throttled key must rest for more than 60 s, and Den does not say so."""
_GONE_HINT: Mapping[str, str] = {
    "connector-instances": 'The server does not have this route: try contract = "sync-events", or check base_url.',
    "sync-events": "The server does not have this route: check base_url.",
}


def dialect(settings: Settings) -> Dialect:
    return Dialect(
        headers=_headers(settings),
        gone_hint=_GONE_HINT[settings.contract],
        refusal=_refusal(settings),
        request_id="x-request-id",
        rest=REST,
    )


def bind(upstream: Upstream, settings: Settings, now: datetime) -> Provider:
    lists = Lists(upstream)
    events = DenEvents(upstream, lists)
    runs = DenRuns(upstream.name, events)
    connectors: DenConnectors | DerivedConnectors
    syncs: DenSyncs | DerivedSyncs
    if settings.contract == "connector-instances":
        connectors, syncs = DenConnectors(upstream, lists), DenSyncs(upstream, lists)
    else:
        connectors, syncs = DerivedConnectors(upstream.name, events), DerivedSyncs(upstream.name, events)
    return Provider(
        name=upstream.name,
        kind=ProviderKind.DEN,
        contract=settings.contract,
        capabilities=CAPABILITIES,
        probe=DenProbe(upstream, settings, now),
        connector_lookup=connectors,
        sync_lookup=syncs,
        stats_lookup=DenStats(upstream.name, events),
        run_lookup=runs,
        connector_feed=connectors,
        sync_feed=syncs,
        run_feed=runs,
        run_narrowing=narrowed,
        sure_read=with_instances if settings.contract == "connector-instances" else with_events_only,
    )


def _headers(settings: Settings) -> Mapping[str, str]:
    secret = settings.credential.get_secret_value()
    if settings.auth == "api-key":
        return {"x-api-key": secret}
    organisation = {"x-openwork-org-id": settings.organisation} if settings.organisation else {}
    return {"authorization": f"Bearer {secret}", **organisation}


def _refusal(settings: Settings) -> Callable[[Answer, bool], type[UpstreamError] | None]:
    """Den throttles a key with the same 401 that refuses it, and says by words what kind of 404 one is."""

    def refusal(answer: Answer, worked: bool) -> type[UpstreamError] | None:  # noqa: FBT001  # Dialect's shape
        if answer.status == 401 and worked and settings.auth == "api-key":  # noqa: PLR2004
            return UpstreamRateLimitedError
        if answer.status == 404:  # noqa: PLR2004
            return _NOT_FOUND.get(answer.text_at("error"))
        return None

    return refusal


_NOT_FOUND: Mapping[str, type[UpstreamError]] = {
    "not_found": UpstreamGoneError,  # the route
    "organization_not_found": UpstreamForbiddenError,  # a session that is no member of the organisation asked for
}

adapter = Adapter(kind=ProviderKind.DEN, settings=Settings, dialect=dialect, bind=bind)
