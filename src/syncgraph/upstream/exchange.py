"""One attempt: admitted, in its turn, in a slot, sent, read, named when it fails, and remembered."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import aiohttp
import httpx2
import structlog

from syncgraph.errors import (
    UpstreamAddressError,
    UpstreamCircuitOpenError,
    UpstreamContractError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamNotFoundError,
    UpstreamRateLimitedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from syncgraph.upstream.account import Account
from syncgraph.upstream.answer import Answer, error_of, failure_of
from syncgraph.upstream.breaker import Outcome
from syncgraph.upstream.quota import rate_limit
from syncgraph.upstream.transport import PrivateAddressError
from syncgraph.upstream.turns import Lane, NoTurn, Turn

T = TypeVar("T")
log = structlog.get_logger(__name__)

WORKED_RECENTLY_S = 600.0
"""A credential accepted within this time is taken as good: Den throttles it with the same 401 that refuses it."""

REST_S = 5.0
"""After a rate limit that does not say how long."""

_BREAKS = (UpstreamTimeoutError, UpstreamUnavailableError, UpstreamContractError)
"""What counts against a provider's health, unless it is a refusal (400 to 499)."""


class Asked(NamedTuple):
    """When a question was sent: on the event loop's clock, and for people."""

    at: float
    on: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Generic[T]):
    """One HTTP exchange with ``account``.

    ``read``: the value of a success, or raises :class:`UpstreamError`. ``lane``, ``patience_s``: how urgent it is and how
    long it can wait for its turn. When that has come, ``is_needed`` is asked, and ``called`` told that it is sent.
    """

    account: Account
    request: httpx2.Request
    read: Callable[[Answer, Asked], T]
    lane: Lane
    patience_s: float
    called: Callable[[], None]
    is_needed: Callable[[], bool] = lambda: True

    async def make(self) -> T | None:
        """None: it was not needed any more. Raises the :class:`UpstreamError` that says why there is no answer."""
        if self.account.breaker.is_shut(_now()):
            raise self._circuit_open()
        try:
            async with self._turn() as turn, self.account.slots:
                return await self._admitted(turn) if self.is_needed() else None
        except NoTurn as none:
            raise self._too_often(none.wait_s) from None

    def _turn(self) -> AbstractAsyncContextManager[Turn]:
        return self.account.turns.turn(self.lane, patience_s=self.patience_s)

    async def _admitted(self, turn: Turn) -> T:
        """The circuit is asked last: it may have opened meanwhile, and a probe must not stand in a queue."""
        breaker = self.account.breaker
        permit = breaker.admit(_now())
        if permit is None:
            raise self._circuit_open()
        outcome = Outcome.CANCELLED
        try:
            value = await self._remembered(turn)
            outcome = Outcome.WELL
        except UpstreamError as error:
            outcome = _outcome(error)
            raise
        finally:
            breaker.settle(permit, outcome, _now())
        return value

    async def _remembered(self, turn: Turn) -> T:
        account, began = self.account, _now()
        asked = Asked(began, account.clock())
        turn.began = began
        self.called()
        try:
            value = self.read(await self._answer(began), asked)
        except UpstreamError as error:
            turn.was_answered = error.http_status is not None and not isinstance(
                error, UpstreamRateLimitedError
            )
            account.seen.failed(error, at=_now(), took_s=_now() - began, now=account.clock())
            raise
        turn.was_answered = True
        account.seen.succeeded(at=_now(), took_s=_now() - began, now=account.clock())
        account.retries.succeeded()
        return value

    async def _answer(self, began: float) -> Answer:
        """A success; everything else is raised."""
        answer = await self._received()
        account, now = self.account, self.account.clock()
        account.last_headers = answer.headers
        self._note_quota(answer)
        kind = failure_of(answer, account.dialect, worked=self._worked(began))
        if kind in {None, UpstreamForbiddenError, UpstreamNotFoundError}:
            account.accepted_at, account.doubted_until = _now(), None
        if kind is None:
            return answer
        if kind is not UpstreamNotFoundError:
            log.warning("upstream_refused", provider=account.name, code=kind.code, http_status=answer.status)
        error = error_of(kind, answer, account.dialect, provider=account.name, now=now)
        if isinstance(error, UpstreamRateLimitedError):
            self._rest(error)
        raise error

    async def _received(self) -> Answer:
        account = self.account
        try:
            async with asyncio.timeout(account.patience.attempt_s):
                return await self._exchanged()
        except TimeoutError as error:
            raise self.account.failure(
                UpstreamTimeoutError, "The provider did not answer in time."
            ) from error
        except httpx2.DecodingError as error:
            raise self.account.failure(
                UpstreamContractError, "The provider's answer cannot be decompressed."
            ) from error
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def _exchanged(self) -> Answer:
        # The transport alone: a client above it would keep cookies, follow redirects and read proxy variables.
        response = await self.account.transport.handle_async_request(self.request)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self.account.patience.max_bytes:
                    raise self.account.failure(UpstreamContractError, "The provider's answer is too large.")
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))

    def _worked(self, began: float) -> bool:
        at, doubted_until = self.account.accepted_at, self.account.doubted_until
        is_doubted = doubted_until is not None and began >= doubted_until
        return at is not None and _now() - at < WORKED_RECENTLY_S and not is_doubted

    def _note_quota(self, answer: Answer) -> None:
        told = rate_limit(answer.headers, self.account.clock())
        self.account.told = told
        if told is not None:
            self.account.ledger.told(told.limit, told.remaining, _now())

    def _rest(self, error: UpstreamRateLimitedError) -> None:
        account = self.account
        rest_s = (
            REST_S if error.retry_after is None else (error.retry_after - account.clock()).total_seconds()
        )
        until = _now() + rest_s
        account.ledger.rest(until)
        if error.http_status == 401:  # noqa: PLR2004
            account.doubted_until = max(until, account.doubted_until or until)

    def _circuit_open(self) -> UpstreamCircuitOpenError:
        account = self.account
        wait_s = account.breaker.wait_s(_now())
        return UpstreamCircuitOpenError(
            "The provider was broken a moment ago and is left alone for a while.",
            provider=account.name,
            retry_after=account.clock() + timedelta(seconds=wait_s),
        )

    def _too_often(self, wait_s: float) -> UpstreamRateLimitedError:
        return UpstreamRateLimitedError(
            "The provider limits how often it may be asked.",
            provider=self.account.name,
            retry_after=self.account.clock() + timedelta(seconds=wait_s),
        )

    def _unreachable(self, error: Exception) -> UpstreamError:
        # Also httpx2's timeouts: our own clock runs above, and aiohttp's transport names a disconnect one. What is
        # not HTTP at all comes as aiohttp's own error, which the transport lets through.
        causes = _causes(error)
        if any(isinstance(one, PrivateAddressError) for one in causes):
            return self.account.failure(
                UpstreamAddressError, "The provider's host leads into a private network."
            )
        if any(isinstance(one, aiohttp.ServerTimeoutError) for one in causes):
            return self.account.failure(
                UpstreamTimeoutError, "The provider could not be connected to in time."
            )
        if _was_reset(causes):
            return self.account.failure(UpstreamUnavailableError, "The provider broke the connection off.")
        if any(isinstance(one, aiohttp.ClientPayloadError | aiohttp.ClientResponseError) for one in causes):
            return self.account.failure(
                UpstreamContractError, "The provider's answer is not whole, or not HTTP."
            )
        is_tls = any(isinstance(one, ssl.SSLError | aiohttp.ClientSSLError) for one in causes)
        what = "The proxy in front of the provider" if _is_of_proxy(causes) else "The provider"
        said = f"{what} cannot be trusted: its TLS failed." if is_tls else f"{what} cannot be reached."
        return self.account.failure(UpstreamUnavailableError, said, retryable=False if is_tls else None)


def _outcome(error: UpstreamError) -> Outcome:
    is_refusal = error.http_status is not None and 400 <= error.http_status < 500  # noqa: PLR2004
    if isinstance(error, _BREAKS) and not is_refusal:
        return Outcome.BADLY
    return Outcome.CANCELLED if isinstance(error, UpstreamAddressError) else Outcome.ANSWERED


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and what it came from: the transport names many of aiohttp's errors alike."""
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


def _was_reset(causes: list[BaseException]) -> bool:
    """In the middle of a body: aiohttp keeps the reset in the text of its own error only."""
    return any(
        isinstance(one, aiohttp.ClientPayloadError) and "ConnectionResetError" in str(one) for one in causes
    )


def _is_of_proxy(causes: list[BaseException]) -> bool:
    return any(
        isinstance(one, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError) for one in causes
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
