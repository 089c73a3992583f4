"""One read of one account: from what is at hand, from a read under way, or from the provider; else from an older copy."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx2
import msgspec
import stamina
import structlog

from syncgraph.errors import (
    BudgetExceededError,
    UpstreamAuthError,
    UpstreamCircuitOpenError,
    UpstreamContractError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamNotFoundError,
    UpstreamRateLimitedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
    or_error,
)
from syncgraph.upstream.account import Account, Refresh
from syncgraph.upstream.answer import Answer
from syncgraph.upstream.decoding import NotAsPromised, decoded
from syncgraph.upstream.exchange import Asked, Attempt
from syncgraph.upstream.flights import Flight
from syncgraph.upstream.shelf import Kept
from syncgraph.upstream.turns import Lane

T = TypeVar("T")
log = structlog.get_logger(__name__)

PATIENCE_S = 1.0
"""The longest that somebody waits for a turn or for a pause that a provider asks for; longer, and the error is the answer."""

LONGEST_PAUSE_S = 0.2
"""Before a retry: any time up to this."""

WANTED_S = 300.0
"""A refresh whose turn comes later than that since anybody wanted it is not made: what is asked for now goes before."""

LIST_S, RUNNING_S = 10.0, 5.0
"""How long a list counts as fresh, and what shows a run that goes on."""

Lives = float | Callable[[Any], float]
"""For how many seconds an answer counts as fresh; may depend on what it shows."""

_STALE_INSTEAD = (
    UpstreamTimeoutError,
    UpstreamUnavailableError,
    UpstreamRateLimitedError,
    UpstreamCircuitOpenError,
    UpstreamContractError,
)
"""What an older copy may stand in for. Never a refusal: what may not be seen any more is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[T]):
    """A read that a provider serves, however often it is asked. ``is_asked``: whether an answer is about what was asked."""

    request: httpx2.Request
    decoder: msgspec.json.Decoder[T]
    lives: Lives
    is_asked: Callable[[T], bool] | None

    def text(self) -> bytes:
        """What tells it from every other question; parameters may come in any order."""
        path, _, query = self.request.url.raw_path.partition(b"?")
        parameters = b"&".join(sorted(query.split(b"&")))
        parts = (self.request.method.encode(), path, parameters, self.request.content)
        return b"\0".join((*parts, repr(self.decoder.type).encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """On what terms one request reads. ``spend``: takes one of its calls. ``called``: told of each exchange."""

    deadline: float
    max_age_s: float | None
    is_background: bool
    spend: Callable[[], bool]
    called: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Got:
    """``is_stale``: it is older than wanted. ``error``: since this stood in the way of a newer one; None: that is under way."""

    kept: Kept
    is_stale: bool = False
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """One question to one account."""

    account: Account
    question: Question[T]

    async def get(self, want: Want) -> Got:
        """Raises the :class:`UpstreamError` that says why there is no answer, nor an older one that may stand in."""
        name = self.account.shelf.name(self.question.text())
        kept = await self.account.shelf.find(name, self.question.decoder)
        if kept is not None and _is_fresh(kept, want):
            return Got(kept)
        if kept is not None and self._may_be_refreshed_later(kept, want):
            self._refresh(name)
            return Got(kept, is_stale=True)
        if not want.spend():
            raise BudgetExceededError(
                "Asking on would cost more upstream calls than one operation may make.",
                provider=self.account.name,
            )
        try:
            return Got(await self._read(name, want, has_copy=kept is not None))
        except UpstreamError as error:
            if isinstance(error, UpstreamRateLimitedError):
                self._refresh(name)
            return await self._instead(name, error)

    async def _read(self, name: str, want: Want, *, has_copy: bool) -> Kept:
        lane = Lane.BACKGROUND if want.is_background else Lane.SOON if has_copy else Lane.NOW
        began = _now()

        async def fetch(flight: Flight) -> Kept:
            course = _Course(
                flight, lane, called=want.called, is_needed=lambda: not self._is_newer(name, began)
            )
            kept = await self._fetched(name, course) or self.account.shelf.at_hand(name)
            assert kept is not None  # not needed: another read was quicker, and nothing was awaited since
            return kept

        # Neither behind what may wait longer, nor for what was asked before it was to be forgotten.
        flight_of = (name, want.is_background, self.account.shelf.nothing_before(name))
        try:
            async with asyncio.timeout_at(want.deadline):
                return await self.account.flights.join(flight_of, fetch, want.deadline)
        except TimeoutError as error:
            raise self.account.failure(
                UpstreamTimeoutError,
                "The provider did not answer within the time that the operation has for it.",
            ) from error

    def _refresh(self, name: str) -> None:
        began = _now()

        async def refresh(its: Refresh) -> None:
            def is_needed() -> bool:
                return not self._is_newer(name, began) and _now() - its.wanted_at <= WANTED_S

            course = _Course(Flight(math.inf), Lane.SOON, called=lambda: None, is_needed=is_needed)
            await or_error(self._fetched(name, course))

        self.account.refresh(name, refresh)

    def _is_newer(self, name: str, than: float) -> bool:
        kept = self.account.shelf.at_hand(name)
        return kept is not None and kept.at >= than

    async def _instead(self, name: str, error: UpstreamError) -> Got:
        """An older copy, looked for only now: what was refused meanwhile has been taken off the shelf."""
        kept = await self.account.shelf.find(name, self.question.decoder)
        bound_s = self.account.patience.stale_if_error_s
        if kept is None or not isinstance(error, _STALE_INSTEAD) or _age_s(kept) > kept.lives_s + bound_s:
            raise error
        return Got(kept, is_stale=True, error=error)

    async def _fetched(self, name: str, course: "_Course") -> Kept | None:
        """From the provider, and onto the shelf; None: not needed any more."""
        shelf = self.account.shelf
        try:
            found = await self._attempted(course)
        except UpstreamAuthError:
            shelf.forget_all()
            raise
        except (UpstreamForbiddenError, UpstreamNotFoundError):
            shelf.forget(name)
            raise
        if found is None:
            return None
        kept, body = found
        shelf.put(name, kept, body)
        return kept

    async def _attempted(self, course: "_Course") -> tuple[Kept, bytes] | None:
        retrying = stamina.AsyncRetryingCaller(
            attempts=self.account.patience.attempts,
            timeout=None,
            wait_initial=0,
            wait_max=LONGEST_PAUSE_S,
            wait_jitter=LONGEST_PAUSE_S,
        )
        return await retrying(
            lambda error: self._backoff(error, course), lambda: self._attempt(course).make()
        )

    def _attempt(self, course: "_Course") -> Attempt[tuple[Kept, bytes]]:
        return Attempt(
            account=self.account,
            request=self.question.request,
            read=self._value,
            lane=course.lane,
            patience_s=course.patience_s(),
            called=course.called,
            is_needed=course.is_needed,
        )

    def _backoff(self, error: Exception, course: "_Course") -> bool | float:
        """Hook for stamina: retry what may pass and what the budget allows, no sooner than the provider asked."""
        if not isinstance(error, UpstreamError) or not error.retryable:
            return False
        if isinstance(error, UpstreamTimeoutError) and not self.account.patience.retry_timeouts:
            return False
        if isinstance(error, UpstreamCircuitOpenError):
            return False
        pause_s = self._asked_pause_s(error)
        if pause_s is None or pause_s > course.pause_s() or not self.account.retries.spend(_now()):
            return False
        return pause_s or True

    def _asked_pause_s(self, error: UpstreamError) -> float | None:
        """0: it did not ask for one. None: it asked for one that it did not measure."""
        if error.retry_after is not None:
            return (error.retry_after - self.account.clock()).total_seconds()
        return None if isinstance(error, UpstreamRateLimitedError) else 0.0

    def _value(self, answer: Answer, asked: Asked) -> tuple[Kept, bytes]:
        """What a success says, typed, and its bytes without any known secret; as old as the question."""
        if not _is_json(answer):
            raise self.account.failure(
                UpstreamContractError, "The provider's answer is not JSON.", answer=answer
            )
        body = self.account.redact(answer.body)
        try:
            value, left_out = decoded(body, self.question.decoder)
        except NotAsPromised as error:
            raise self.account.failure(
                UpstreamContractError,
                "The provider's answer is not what its contract promises.",
                answer=answer,
            ) from error
        if self.question.is_asked is not None and not self.question.is_asked(value):
            log.error("upstream_answered_with_another_object", provider=self.account.name)
            raise self.account.failure(
                UpstreamContractError,
                "The provider answered with something that was not asked for.",
                answer=answer,
            )
        lives = self.question.lives
        kept = Kept(
            value=value,
            size=len(body),
            at=asked.at,
            fetched_at=asked.on,
            lives_s=lives(value) if callable(lives) else lives,
            left_out=left_out,
        )
        return kept, body

    def _may_be_refreshed_later(self, kept: Kept, want: Want) -> bool:
        bound_s = self.account.patience.stale_while_revalidate_s
        return want.max_age_s is None and not want.is_background and _age_s(kept) <= kept.lives_s + bound_s


@dataclass(frozen=True, slots=True)
class _Course:
    """How one read is made: until when (which may move), how urgently, who is told of each exchange."""

    flight: Flight
    lane: Lane
    called: Callable[[], None]
    is_needed: Callable[[], bool] = lambda: True

    def patience_s(self) -> float:
        """For its turn. Only a read that nobody waits for, or that may wait, waits long."""
        left_s = self.flight.deadline - _now()
        return left_s if self.lane is Lane.BACKGROUND or left_s == math.inf else self.pause_s()

    def pause_s(self) -> float:
        return min(PATIENCE_S, (self.flight.deadline - _now()) / 2)


def _is_fresh(kept: Kept, want: Want) -> bool:
    return _age_s(kept) <= (kept.lives_s if want.max_age_s is None else min(kept.lives_s, want.max_age_s))


def _age_s(kept: Kept) -> float:
    return _now() - kept.at


def _is_json(answer: Answer) -> bool:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _now() -> float:
    return asyncio.get_running_loop().time()
