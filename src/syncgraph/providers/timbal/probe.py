"""``syncgraph doctor`` at Timbal."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamNotFoundError,
    or_error,
)
from syncgraph.ports import Diagnosis
from syncgraph.providers.timbal import wire
from syncgraph.providers.timbal.api import Api
from syncgraph.providers.timbal.ids import SyncId, sync_id
from syncgraph.providers.timbal.listing import Listed
from syncgraph.providers.timbal.settings import Settings
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.quota import http_date

Orgs: TypeAlias = wire.OrgList | UpstreamError
Syncs: TypeAlias = Listed[wire.SyncView] | UpstreamError
Detail: TypeAlias = wire.SyncDetail | UpstreamError | None


class TimbalProbe:
    """Three calls: whose key it is, what can be listed, and one sync's detail."""

    def __init__(self, upstream: Upstream, settings: Settings, now: datetime) -> None:
        self._upstream = upstream
        self._settings = settings
        self._now = now
        self._api = Api(upstream, settings.organisation)

    async def diagnose(self) -> Diagnosis:
        orgs, syncs = await asyncio.gather(or_error(self._orgs()), or_error(self._api.syncs()))
        example = self._example(syncs)
        detail = None if example is None else await or_error(self._api.get_detail(example))
        error = _error_in(syncs if self._settings.contract == "connectors" else detail)
        answers = (orgs, syncs, detail)
        reachable = any(map(_answered, answers))
        headers = self._upstream.last_headers if reachable else {}
        return Diagnosis(
            reachable=reachable,
            authorised=_authorised(answers, error),
            server=headers.get("server"),
            served=_served(syncs, detail),
            clock_skew=self._skew(headers),
            limits=limits(headers),
            advice=tuple(_advice(self._settings, orgs, syncs, detail)),
            error=error,
        )

    async def _orgs(self) -> wire.OrgList:
        return await self._upstream.get("/me/orgs", wire.ORGS)

    def _example(self, syncs: Syncs) -> SyncId | None:
        if self._settings.syncs:
            return sync_id(self._settings.syncs[0])
        if isinstance(syncs, UpstreamError) or not syncs.rows:
            return None
        return SyncId(syncs.rows[0].connector_id, syncs.rows[0].id)

    def _skew(self, headers: Mapping[str, str]) -> timedelta | None:
        theirs = http_date(headers.get("date", ""))
        return None if theirs is None else theirs - self._now


def limits(headers: Mapping[str, str]) -> str | None:
    """Timbal's own rate limit in words; ``RateLimit-Reset`` counts seconds, it is not an instant."""
    limit, left, reset = (
        headers.get(f"ratelimit-{name}") or headers.get(f"x-ratelimit-{name}")
        for name in ("limit", "remaining", "reset")
    )
    if limit is None:
        return None
    said = f"{left or '?'} of {limit} calls left for this key's user"
    return f"{said}, all of them again in {reset} s" if reset else said


def _error_in(answer: object) -> UpstreamError | None:
    return answer if isinstance(answer, UpstreamError) else None


def _answered(answer: object) -> bool:
    if isinstance(answer, UpstreamError):
        return answer.http_status is not None
    return answer is not None


def _authorised(answers: Sequence[object], error: UpstreamError | None) -> bool | None:
    """A key that is good and may not read this organisation is as little use as a bad one."""
    if isinstance(error, UpstreamForbiddenError) or any(
        isinstance(its, UpstreamAuthError) for its in answers
    ):
        return False
    accepted = any(its is not None and not isinstance(its, UpstreamError) for its in answers)
    return True if accepted else None


def _served(syncs: Syncs, detail: Detail) -> tuple[str, ...]:
    listed = () if isinstance(syncs, UpstreamError) else ("connectors",)
    shown = ("sync-detail",) if isinstance(detail, wire.SyncDetail) else ()
    return listed + shown


def _advice(settings: Settings, orgs: Orgs, syncs: Syncs, detail: Detail) -> Sequence[str]:
    said = [str(_error_in(orgs))] if isinstance(orgs, UpstreamAuthError) else []
    if isinstance(orgs, wire.OrgList) and not _is_member(orgs, settings.organisation):
        names = ", ".join(f"{org.id} ({org.name})" for org in orgs.orgs) or "none"
        said.append(f"The key's user is not in organisation {settings.organisation}; it is in: {names}.")
    if settings.contract == "sync-detail":
        return said + _advice_when_configured(settings, syncs, detail)
    if isinstance(syncs, UpstreamGoneError):
        said.append(str(syncs))
    return said


def _advice_when_configured(settings: Settings, syncs: Syncs, detail: Detail) -> list[str]:
    said = []
    if isinstance(detail, UpstreamNotFoundError):
        said.append(f"Sync {settings.syncs[0]} is not there: correct syncs.")
    if not isinstance(syncs, UpstreamError):
        said.append('The server can list: contract = "connectors" shows everything without naming syncs.')
    return said


def _is_member(orgs: wire.OrgList, organisation: str) -> bool:
    """Not on the first page of many organisations says nothing."""
    return bool(orgs.next_page_token) or organisation in {str(org.id) for org in orgs.orgs}
