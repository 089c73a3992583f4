"""What ``syncgraph doctor`` finds out about an Outlit account: at most three calls."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias, TypeGuard, TypeVar

from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamContractError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamNotFoundError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from syncgraph.ports import Diagnosis
from syncgraph.providers.outlit import wire
from syncgraph.providers.outlit.client import by_rest, by_tool
from syncgraph.providers.outlit.settings import SEED, TODAY, Settings
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.quota import http_date

VALIDATE = "/api/validate-api-key"

T = TypeVar("T")
Told: TypeAlias = wire.KeyContext | UpstreamError
Reads: TypeAlias = Mapping[str, object]
"""Per contract, what its cheapest read gave: an answer or the :class:`UpstreamError` in its way."""


class OutlitProbe:
    """``Probe``: checks the key, then reads by each contract, since a withdrawn one is what an operator must know."""

    def __init__(self, upstream: Upstream, settings: Settings, now: datetime) -> None:
        self._upstream = upstream
        self._settings = settings
        self._now = now

    async def diagnose(self) -> Diagnosis:
        key = await _outcome(self._upstream.ask(VALIDATE, wire.KEY, {}))
        if _is_silence(key):
            return Diagnosis(reachable=False, error=key)
        reads = {} if _is_refused(key) else await self._reads()
        error = reads.get(self._settings.contract, key)
        return Diagnosis(
            reachable=True,
            authorised=_is_authorised(key, reads),
            server=_organisation(key),
            served=_served(reads),
            clock_skew=self._clock_skew(),
            limits=_limits(self._upstream.last_headers),
            advice=tuple(self._advice(key, reads)),
            error=error if isinstance(error, UpstreamError) else None,
        )

    async def _reads(self) -> Reads:
        rest, tool = await asyncio.gather(
            _outcome(by_rest(self._upstream)),
            _outcome(by_tool(self._upstream)),
        )
        return {SEED: rest, TODAY: tool}

    def _clock_skew(self) -> timedelta | None:
        theirs = http_date(self._upstream.last_headers.get("date", ""))
        return None if theirs is None else theirs - self._now

    def _advice(self, key: Told, reads: Reads) -> list[str]:
        return [*self._advice_on_key(key, reads), *self._advice_on_contract(reads)]

    def _advice_on_key(self, key: Told, reads: Reads) -> list[str]:
        if _is_authorised(key, reads) is False:
            return [_REFUSED if self._settings.credential.get_secret_value().startswith("ok_") else _FOREIGN]
        if isinstance(key, UpstreamUnavailableError):
            return [_UNCHECKED]
        return []

    def _advice_on_contract(self, reads: Reads) -> list[str]:
        contract, served = self._settings.contract, _served(reads)
        if isinstance(reads.get(contract), UpstreamForbiddenError):
            return [_FORBIDDEN]
        if contract == TODAY and SEED in served:
            return ['The REST integrations are served; contract = "integrations" tells syncs as well.']
        if isinstance(reads.get(SEED), UpstreamGoneError) and contract == SEED and TODAY in served:
            return ['Set contract = "tool-gateway": the REST integrations are not served (no syncs, then).']
        return [_NOTHING] if reads and all(isinstance(read, _ABSENT) for read in reads.values()) else []


_ABSENT = (UpstreamGoneError, UpstreamNotFoundError, UpstreamContractError)
_REFUSED = "Outlit refuses the key: create a new one in the workspace whose integrations are to be read."
_FOREIGN = "Outlit refuses the credential: its API keys begin with ok_, and this one does not."
_UNCHECKED = "Outlit could not check the key just now, which says nothing against it."
_FORBIDDEN = "The key is good and lacks the right to read integrations: give it that, or use another."
_NOTHING = "No contract answers there: check base_url."


async def _outcome(read: Awaitable[T]) -> T | UpstreamError:
    try:
        return await read
    except UpstreamError as error:
        return error


def _is_silence(key: Told) -> TypeGuard[UpstreamError]:
    """Whether nothing answered at all: a refusal or a 503 is an answer, an attempt without a status is none."""
    return isinstance(key, UpstreamTimeoutError | UpstreamUnavailableError) and key.http_status is None


def _is_refused(key: Told) -> bool:
    return isinstance(key, UpstreamAuthError) or (isinstance(key, wire.KeyContext) and not key.valid)


def _is_authorised(key: Told, reads: Reads) -> bool | None:
    if _is_refused(key) or any(isinstance(read, UpstreamAuthError) for read in reads.values()):
        return False
    return True if isinstance(key, wire.KeyContext) or _served(reads) else None


def _served(reads: Reads) -> tuple[str, ...]:
    return tuple(contract for contract, read in reads.items() if not isinstance(read, UpstreamError))


def _organisation(key: Told) -> str | None:
    if isinstance(key, UpstreamError) or key.organization_id is None:
        return None
    return f"Outlit, organisation {key.organization_id}"


def _limits(headers: Mapping[str, str]) -> str | None:
    """``X-RateLimit-*``, which Outlit documents for its ingest API only."""
    limit, left = headers.get("x-ratelimit-limit"), headers.get("x-ratelimit-remaining")
    return f"{left} of {limit} requests left" if limit and left else None
