"""What ``syncgraph doctor`` finds out about an Airweave server: two calls, both reads.

The list of connections is today's contract. The old releases still have ``/sync/{id}/job/{id}``; later ones know no such
route, which they say before they look at the key. Asked for a job that cannot be, an answer other than "no such route"
therefore tells v0.9.17 from today (there it is a 500: see ``dialect``).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

import msgspec

from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamNotFoundError,
    UpstreamRateLimitedError,
    or_error,
)
from syncgraph.ports import Diagnosis
from syncgraph.providers.airweave import wire
from syncgraph.providers.airweave.client import CONNECTIONS
from syncgraph.providers.airweave.settings import OLD_JOB_PATH, SEED, TODAY, Settings
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.quota import http_date

T = TypeVar("T")
Read: TypeAlias = object
"""What a read gave: anything, or the :class:`UpstreamError` in its way."""

_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder()
_NOBODY = "00000000-0000-4000-8000-000000000000"
_OLD_JOB = OLD_JOB_PATH.format(sync_id=_NOBODY, job_id=_NOBODY)
_SMALL_PLAN = 10
"""Requests a minute of the developer and trial plans."""


class AirweaveProbe:
    """``Probe``: reads by the configured contract first; what that cannot tell, by the other one."""

    def __init__(self, upstream: Upstream, settings: Settings, now: datetime) -> None:
        self._upstream = upstream
        self._settings = settings
        self._now = now

    async def diagnose(self) -> Diagnosis:
        configured = await (self._read_job() if self._settings.contract == SEED else self._read_list())
        headers = dict(self._upstream.last_headers)
        if isinstance(configured, UpstreamError) and configured.http_status is None:
            return Diagnosis(reachable=False, error=configured)
        reads = {self._settings.contract: configured, **await self._read_other(configured)}
        served = tuple(contract for contract, read in reads.items() if _serves(read))
        return Diagnosis(
            reachable=True,
            authorised=_is_authorised(reads),
            server=self._release(reads),
            served=served,
            clock_skew=_clock_skew(headers, self._now),
            limits=_limits(headers),
            advice=(*self._advice_on_contract(reads, served), *_advice_on_limit(headers)),
            error=_failure(configured),
        )

    async def _read_other(self, configured: Read) -> Mapping[str, Read]:
        """Nothing more of a server that is ill, or that counts what we ask."""
        if isinstance(configured, UpstreamError) and not isinstance(configured, _TELLING):
            return {}
        if self._settings.contract == SEED:
            return {TODAY: await self._read_list()}
        if isinstance(configured, UpstreamAuthError | UpstreamForbiddenError):
            return {}
        return {SEED: await or_error(self._upstream.get(_OLD_JOB, _ANY))}

    async def _read_list(self) -> Read:
        return await or_error(self._upstream.get(CONNECTIONS, wire.LIST, {"limit": "1"}))

    async def _read_job(self) -> Read:
        sync_id, _, job_id = self._settings.jobs[0].rpartition("/")
        path = self._settings.job_path.format(sync_id=sync_id, job_id=job_id)
        return await or_error(self._upstream.get(path, wire.SYNC_JOB))

    def _release(self, reads: Mapping[str, Read]) -> str | None:
        """Told by the old route only: the seed document's own path was never served by any release."""
        old, today = reads.get(SEED), reads.get(TODAY)
        asked_for_old = self._settings.contract == TODAY or self._settings.job_path == OLD_JOB_PATH
        if old is None or today is None or not asked_for_old or not _serves(today):
            return None
        if isinstance(old, UpstreamGoneError):
            return "Airweave, v0.9.18 or later"
        return "Airweave, v0.9.17 or earlier" if _serves(old) else None

    def _advice_on_contract(self, reads: Mapping[str, Read], served: tuple[str, ...]) -> list[str]:
        configured = reads[self._settings.contract]
        if isinstance(configured, UpstreamAuthError):
            return [_REFUSED[self._settings.key_header]]
        if isinstance(configured, UpstreamForbiddenError):
            return [_FORBIDDEN]
        if self._settings.contract == SEED:
            return self._advice_on_seed(configured, served)
        if isinstance(configured, UpstreamGoneError):
            return [_USE_OLD if SEED in served else _NOTHING]
        return [_OLD_RELEASE] if SEED in served else []

    def _advice_on_seed(self, configured: Read, served: tuple[str, ...]) -> list[str]:
        job_gone = [_JOB_GONE] if isinstance(configured, UpstreamNotFoundError) else []
        if TODAY in served:
            return [*job_gone, _USE_TODAY]
        return [_NOTHING] if isinstance(configured, UpstreamGoneError) else job_gone


_TELLING = (UpstreamAuthError, UpstreamForbiddenError, UpstreamGoneError, UpstreamNotFoundError)
_REFUSED = {
    "x-api-key": "Airweave refuses the key: it is unknown, deleted, or past its 90 days; create a new one.",
    "bearer": "Airweave refuses the key as a bearer token; API keys belong in X-API-Key: "
    'set auth = "x-api-key" (or contract = "source-connections").',
}
_FORBIDDEN = "The key is good, and not for this organisation or without the right to read it."
_NOTHING = "Neither contract answers there: base_url is the API's root, without /v1."
_USE_OLD = 'Only single sync jobs are served: set contract = "sync-jobs", job_path = "airweave-0.9.17" and name the jobs.'
_USE_TODAY = (
    'Source connections are served; contract = "source-connections" lists everything and needs no jobs.'
)
_OLD_RELEASE = "This is v0.9.17 or older: its lists of jobs are not newest first, so runs may look older than they are; upgrade it."
_JOB_GONE = "The first of the configured jobs does not exist there: check jobs."


def _serves(read: Read) -> bool:
    """Whether the route is there: a missing one is the only answer that says it is not (and a limit says nothing)."""
    if not isinstance(read, UpstreamError):
        return True
    return read.http_status is not None and not isinstance(read, UpstreamGoneError | UpstreamRateLimitedError)


def _is_authorised(reads: Mapping[str, Read]) -> bool | None:
    if any(
        not isinstance(read, UpstreamError) or isinstance(read, UpstreamNotFoundError)
        for read in reads.values()
    ):
        return True
    return False if any(isinstance(read, UpstreamAuthError) for read in reads.values()) else None


def _failure(configured: Read) -> UpstreamError | None:
    """A job that is not there is the configuration's mistake, not the server's failure: it is in the advice."""
    is_failure = isinstance(configured, UpstreamError) and not isinstance(configured, UpstreamNotFoundError)
    return configured if is_failure and isinstance(configured, UpstreamError) else None


def _clock_skew(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    theirs = http_date(headers.get("date", ""))
    return None if theirs is None else theirs - now


def _limits(headers: Mapping[str, str]) -> str | None:
    """0 is what the server says when its own limiter fails, 9999 when there is no limit."""
    limit, left = headers.get("ratelimit-limit"), headers.get("ratelimit-remaining")
    if limit is None or limit == "0":
        return None
    if limit == "9999":
        return "unlimited"
    return f"{limit} requests a minute for the whole organisation, {left} left"


def _advice_on_limit(headers: Mapping[str, str]) -> list[str]:
    limit = headers.get("ratelimit-limit", "")
    if not limit.isdecimal() or not 0 < int(limit) <= _SMALL_PLAN:
        return []
    return [
        f"The plan allows {limit} requests a minute for everyone together: a list of runs takes one per connection."
    ]
