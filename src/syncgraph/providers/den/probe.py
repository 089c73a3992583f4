"""What ``syncgraph doctor`` asks of Den. Never ``/v1/me``: with an API key it answers with that key in clear."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamRateLimitedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from syncgraph.ports import Diagnosis
from syncgraph.providers.den import wire
from syncgraph.providers.den.events import PATH as EVENTS
from syncgraph.providers.den.instances import INSTANCES
from syncgraph.providers.den.settings import Settings
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.quota import http_date

T = TypeVar("T")

SEES_ALL = frozenset({"owner", "admin", "super-admin"})
"""Roles that need no grant per connector."""
KEY_LIMITS = "600 requests per key, counted until it rests 60 s; beyond them Den answers 401"
REFUSED = 'The credential is refused. An API key (den_...) goes with auth = "api-key", a session token with auth = "bearer".'
THROTTLED = (
    "The credential worked a moment ago and is refused now: throttled or revoked. "
    "Let it rest for 65 s and try again."
)


@dataclass(frozen=True, slots=True)
class _Answers:
    events: wire.Listed[wire.Event] | UpstreamError
    instances: wire.Listed[wire.Instance] | UpstreamError
    organisations: wire.Organisations | UpstreamError
    health: wire.Health | UpstreamError

    @property
    def organisation(self) -> wire.Organisation | None:
        if isinstance(self.organisations, UpstreamError):
            return None
        active = self.organisations.active_org_id
        return next((its for its in self.organisations.orgs if its.id == active), None)

    @property
    def all(self) -> Sequence[object]:
        return (self.events, self.instances, self.organisations, self.health)


class DenProbe:
    def __init__(self, upstream: Upstream, settings: Settings, now: datetime) -> None:
        self._upstream = upstream
        self._settings = settings
        self._now = now

    async def diagnose(self) -> Diagnosis:
        answers = await self._ask()
        served = _served(answers)
        return Diagnosis(
            reachable=any(map(_is_an_answer, answers.all)),
            authorised=_authorised(answers),
            server=_server(answers),
            served=served,
            clock_skew=self._clock_skew(),
            limits=KEY_LIMITS if self._settings.auth == "api-key" else None,
            advice=tuple(self._advice(answers, served)),
            error=self._error(answers),
        )

    async def _ask(self) -> _Answers:
        newest = {"limit": "1"}
        asking_events = _tried(self._upstream.get(EVENTS, wire.EVENTS, newest))
        asking_instances = _tried(self._upstream.get(INSTANCES, wire.INSTANCES, newest))
        asking_organisations = _tried(self._upstream.get("/v1/me/orgs", wire.ORGANISATIONS))
        events, instances, organisations = await asyncio.gather(
            asking_events, asking_instances, asking_organisations
        )
        # Last, as it needs no key: its answer must not make a refused key look like one that worked a moment ago.
        health = await _tried(self._upstream.get("/health", wire.HEALTH))
        return _Answers(events, instances, organisations, health)

    def _clock_skew(self) -> timedelta | None:
        theirs = http_date(self._upstream.last_headers.get("date", ""))
        return None if theirs is None else theirs - self._now.replace(microsecond=0)

    def _error(self, answers: _Answers) -> UpstreamError | None:
        """What keeps the configured contract from being read."""
        if isinstance(answers.events, UpstreamError):
            return answers.events
        if self._settings.contract == "connector-instances" and isinstance(answers.instances, UpstreamError):
            return answers.instances
        return None

    def _advice(self, answers: _Answers, served: Sequence[str]) -> list[str]:
        role = answers.organisation.role if answers.organisation else None
        said = (
            (
                any(isinstance(answer, UpstreamAuthError) for answer in answers.all),
                REFUSED,
            ),
            (
                any(isinstance(answer, UpstreamRateLimitedError) for answer in answers.all),
                THROTTLED,
            ),
            (
                isinstance(answers.events, UpstreamForbiddenError),
                "The credential may not read the organisation; check `organisation`.",
            ),
            (
                isinstance(answers.events, UpstreamGoneError),
                "There is no Den API at base_url.",
            ),
            (
                served == ("sync-events",) and self._settings.contract != "sync-events",
                'This server has events only: configure contract = "sync-events".',
            ),
            (
                len(served) > 1 and self._settings.contract == "sync-events",
                'This server also has connectors: contract = "connector-instances" shows their names and status.',
            ),
            (
                role is not None and role not in SEES_ALL and _sees_nothing(answers),
                f"The key may see nothing: its member is {role} and has no grants on connectors.",
            ),
        )
        return [sentence for holds, sentence in said if holds]


async def _tried(asking: Coroutine[None, None, T]) -> T | UpstreamError:
    try:
        return await asking
    except UpstreamError as error:
        return error


def _is_an_answer(answer: object) -> bool:
    if isinstance(answer, UpstreamUnavailableError):
        return answer.http_status is not None
    return not isinstance(answer, UpstreamTimeoutError)


def _authorised(answers: _Answers) -> bool | None:
    keyed = (answers.events, answers.instances, answers.organisations)
    if any(isinstance(answer, UpstreamAuthError) for answer in keyed):
        return False
    good = any(
        isinstance(answer, UpstreamForbiddenError) or not isinstance(answer, UpstreamError)
        for answer in keyed
    )
    return True if good else None


def _served(answers: _Answers) -> tuple[str, ...]:
    """The contracts whose lists are there, whether or not this key may read them."""
    if not _is_there(answers.events):
        return ()
    return ("connector-instances", "sync-events") if _is_there(answers.instances) else ("sync-events",)


def _is_there(answer: object) -> bool:
    return not isinstance(answer, UpstreamError) or isinstance(answer, UpstreamForbiddenError)


def _sees_nothing(answers: _Answers) -> bool:
    lists = (answers.events, answers.instances)
    return all(isinstance(its, UpstreamError) or not its.items for its in lists)


def _server(answers: _Answers) -> str | None:
    parts = []
    if isinstance(answers.health, wire.Health):
        parts.append(" ".join(filter(None, (answers.health.service, answers.health.version))))
    if answers.organisation is not None:
        parts.append(f"organisation {answers.organisation.name or answers.organisation.id}")
    return ", ".join(parts) or None
