"""``Upstream``: the only door to a provider. Here one waits, retries, bounds, and names what failed."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import httpx2
import msgspec
import stamina
import structlog

from syncgraph.errors import (
    BudgetExceededError,
    UpstreamContractError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamNotFoundError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from syncgraph.ports import ProviderHealth
from syncgraph.upstream.answer import Answer, Dialect, error_of, failure_of
from syncgraph.upstream.seen import Seen

T = TypeVar("T")
log = structlog.get_logger(__name__)

USER_AGENT = f"syncgraph/{version('syncgraph')}"

WORKED_RECENTLY_S = 600.0
"""A credential accepted within this time is taken as good: Den throttles it with the same 401 that refuses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often one provider is asked. Seconds, bytes, calls."""

    attempt_s: float = 2.0
    attempts: int = 2
    retry_timeouts: bool = True
    concurrency: int = 32
    max_bytes: int = 2 * 1024 * 1024


@dataclass(slots=True)
class Account:
    """What lives as long as the process for one provider: its connections, its bulkhead, what it last said."""

    name: str
    base_url: str
    transport: httpx2.AsyncBaseTransport
    dialect: Dialect
    patience: Patience
    redact: Callable[[bytes], bytes]
    slots: asyncio.Semaphore = field(init=False)
    accepted_at: float | None = None
    last_headers: Mapping[str, str] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.patience.concurrency)


class Upstream:
    """One provider's API as one request sees it.

    Reads are retried once where waiting may help; equal reads of one request share one exchange. ``close`` stops
    what nobody waits for any more. ``deadline`` is an instant of the event loop's clock.
    """

    def __init__(
        self, account: Account, *, deadline: float, now: datetime, spend: Callable[[], bool] = lambda: True
    ) -> None:
        self._account = account
        self._deadline = deadline
        self._now = now
        self._spend = spend
        self._exchanges: dict[tuple[object, ...], asyncio.Task[Any]] = {}
        self.calls = 0

    @property
    def name(self) -> str:
        return self._account.name

    @property
    def last_headers(self) -> Mapping[str, str]:
        """Of the newest answer to anyone; names in lower case."""
        return self._account.last_headers

    def health(self) -> ProviderHealth:
        """As seen in all requests; costs no call."""
        at = asyncio.get_running_loop().time()
        return self._account.seen.health(self._account.last_headers, at=at, now=self._now)

    async def get(
        self, path: str, decoder: msgspec.json.Decoder[T], params: Mapping[str, str] | None = None
    ) -> T:
        """The decoded answer; raises the :class:`UpstreamError` that says why there is none."""
        return await self._shared("GET", path, decoder, params, None)

    async def find(
        self, path: str, decoder: msgspec.json.Decoder[T], params: Mapping[str, str] | None = None
    ) -> T | None:
        """As ``get``, but that the thing is not there is an answer: None."""
        try:
            return await self.get(path, decoder, params)
        except UpstreamNotFoundError:
            return None

    async def ask(self, path: str, decoder: msgspec.json.Decoder[T], body: object) -> T:
        """As ``get``, for a read that the provider serves by POST."""
        return await self._shared("POST", path, decoder, None, msgspec.json.encode(body))

    async def close(self) -> None:
        for task in self._exchanges.values():
            task.cancel()
        await asyncio.gather(*self._exchanges.values(), return_exceptions=True)

    async def _shared(
        self,
        method: str,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: Mapping[str, str] | None,
        body: bytes | None,
    ) -> T:
        key = (method, path, tuple(sorted((params or {}).items())), body, id(decoder))
        task = self._exchanges.get(key)
        if task is None:
            if not self._spend():
                raise BudgetExceededError(
                    "Asking on would cost more upstream calls than one operation may make.",
                    provider=self.name,
                )
            task = asyncio.create_task(self._decoded(self._request(method, path, params, body), decoder))
            self._exchanges[key] = task
        # The exchange belongs to the request, not to the first who waits for it.
        return await asyncio.shield(task)

    def _request(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None
    ) -> httpx2.Request:
        headers = {
            **self._account.dialect.headers,
            "accept": "application/json",
            "user-agent": USER_AGENT,
            **({} if body is None else {"content-type": "application/json"}),
        }
        url = httpx2.URL(self._account.base_url.rstrip("/") + path, params=params)
        return httpx2.Request(method, url, headers=headers, content=body)

    async def _decoded(self, request: httpx2.Request, decoder: msgspec.json.Decoder[T]) -> T:
        answer = await self._within_deadline(self._retrying(request))
        if not _is_json(answer):
            raise self._error(UpstreamContractError, "The provider's answer is not JSON.", answer)
        try:
            return decoder.decode(self._account.redact(answer.body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._error(
                UpstreamContractError, "The provider's answer is not what its contract promises.", answer
            ) from error

    async def _within_deadline(self, answer: Coroutine[None, None, Answer]) -> Answer:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await answer
        except TimeoutError as error:
            raise self._error(
                UpstreamTimeoutError, "The provider did not answer before the operation's deadline."
            ) from error

    async def _retrying(self, request: httpx2.Request) -> Answer:
        attempts = stamina.retry_context(
            on=self._backoff,
            attempts=self._account.patience.attempts,
            timeout=None,
            wait_initial=0.05,
            wait_max=0.2,
            wait_jitter=0.1,
        )
        async for attempt in attempts:
            with attempt:
                return await self._attempt(request)
        raise AssertionError("stamina ends with an answer or an error")

    def _backoff(self, error: Exception) -> bool | float:
        """Hook for stamina: retry what may pass, no sooner than the provider asked, within the deadline."""
        if not isinstance(error, UpstreamError) or not error.retryable:
            return False
        if isinstance(error, UpstreamTimeoutError) and not self._account.patience.retry_timeouts:
            return False
        if error.retry_after is None:
            return True
        wait_s = (error.retry_after - self._now).total_seconds()
        return wait_s < self._deadline - asyncio.get_running_loop().time() and wait_s

    async def _attempt(self, request: httpx2.Request) -> Answer:
        """One exchange, remembered for what it says of the provider."""
        seen, clock = self._account.seen, asyncio.get_running_loop().time
        async with self._account.slots:
            began = clock()
            try:
                answer = await self._answer(request)
            except UpstreamError as error:
                seen.failed(error, at=clock(), took_s=clock() - began, now=self._now)
                raise
            seen.succeeded(at=clock(), took_s=clock() - began, now=self._now)
            return answer

    async def _answer(self, request: httpx2.Request) -> Answer:
        account = self._account
        try:
            async with asyncio.timeout(account.patience.attempt_s):
                self.calls += 1
                answer = await self._exchange(request)
        except TimeoutError as error:
            raise self._error(UpstreamTimeoutError, "The provider did not answer in time.") from error
        except httpx2.DecodingError as error:
            raise self._error(
                UpstreamContractError, "The provider's answer cannot be decompressed."
            ) from error
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            # Also httpx2's timeouts: our own clock runs above, and aiohttp's transport names a disconnect one. What is
            # not HTTP at all comes as aiohttp's own error, which the transport lets through.
            what = "The proxy in front of the provider" if _is_of_proxy(error) else "The provider"
            raise self._error(UpstreamUnavailableError, f"{what} cannot be reached.") from error
        account.last_headers = answer.headers
        kind = failure_of(answer, account.dialect, worked=self._worked_recently())
        if kind in {None, UpstreamForbiddenError, UpstreamNotFoundError}:
            account.accepted_at = asyncio.get_running_loop().time()
        if kind is not None:
            if kind is not UpstreamNotFoundError:
                log.warning(
                    "upstream_refused", provider=account.name, code=kind.code, http_status=answer.status
                )
            raise error_of(kind, answer, account.dialect, provider=account.name, now=self._now)
        return answer

    async def _exchange(self, request: httpx2.Request) -> Answer:
        # The transport alone: a client above it would keep cookies, follow redirects and read proxy variables.
        response = await self._account.transport.handle_async_request(request)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._account.patience.max_bytes:
                    raise self._error(UpstreamContractError, "The provider's answer is too large.")
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))

    def _worked_recently(self) -> bool:
        at = self._account.accepted_at
        return at is not None and asyncio.get_running_loop().time() - at < WORKED_RECENTLY_S

    def _error(self, kind: type[UpstreamError], message: str, answer: Answer | None = None) -> UpstreamError:
        log.warning("upstream_failed", provider=self.name, code=kind.code)
        return kind(message, provider=self.name, http_status=answer.status if answer else None)


def _is_of_proxy(error: Exception) -> bool:
    """The transport names most connection errors alike; its cause is aiohttp's own."""
    proxy_errors = (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)
    return isinstance(error.__cause__, proxy_errors) or isinstance(error, proxy_errors)


def _is_json(answer: Answer) -> bool:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def segment(value: str) -> str:
    """``value`` as one segment of a path: it cannot leave its place, whatever it holds.

    Raises ValueError for ``.`` and ``..``, which climb however they are written; adapters check ids by shape first.
    """
    if value in {".", ".."}:
        raise ValueError("an id cannot be a dot segment")
    return quote(value, safe="")
