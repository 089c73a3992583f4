"""``Upstream``: the only door to a provider. One request's view of an account: what it asks, on what terms, what it took."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from syncgraph.accounts import Used
from syncgraph.errors import UpstreamNotFoundError
from syncgraph.ports import ProviderHealth, RateLimit
from syncgraph.upstream.account import Account
from syncgraph.upstream.reading import LIST_S, Got, Lives, Question, Reading, Want
from syncgraph.upstream.slice import Slice

T = TypeVar("T")

USER_AGENT = f"syncgraph/{version('syncgraph')}"


class Upstream:
    """One provider's API as one request sees it.

    All it can do is read, so whatever it asks may be asked again. Equal reads of one request are one, whatever happens
    meanwhile, so that all its parts see the same. ``close`` leaves what it still waits for. ``max_age_s``: how old an answer may be, None: as old as its kind may get.
    """

    def __init__(
        self,
        account: Account,
        *,
        time: Slice,
        now: datetime,
        spend: Callable[[], bool] = lambda: True,
        max_age_s: float | None = None,
        is_background: bool = False,
    ) -> None:
        self._account = account
        self._now = now
        self._time = time
        self._want = Want(
            deadline=time.ends,
            max_age_s=max_age_s,
            is_background=is_background,
            spend=spend,
            called=self._called,
        )
        self._reads: dict[tuple[bytes, int], asyncio.Task[Any]] = {}
        self.calls = 0
        self.used = Used()

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
        account, ledger = self._account, self._account.ledger
        seen = account.seen.health(account.told, circuit=account.breaker.state(at), at=at, now=self._now)
        if seen.rate_limit is not None or ledger.configured is None:
            return seen
        return replace(seen, rate_limit=RateLimit(limit=ledger.configured, remaining=ledger.remaining(at)))

    async def get(
        self,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: Mapping[str, str] | None = None,
        *,
        lives: Lives = LIST_S,
        is_asked: Callable[[T], bool] | None = None,
    ) -> T:
        """The decoded answer; raises the :class:`UpstreamError` that says why there is none.

        ``lives``: for how many seconds it counts as fresh. ``is_asked``: whether an answer is about what was asked for;
        one that is not is a broken contract.
        """
        return await self._shared(self._question("GET", path, decoder, params, None, lives, is_asked))

    async def find(
        self,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: Mapping[str, str] | None = None,
        *,
        lives: Lives = LIST_S,
        is_asked: Callable[[T], bool] | None = None,
    ) -> T | None:
        """As ``get``, but that the thing is not there is an answer: None."""
        try:
            return await self.get(path, decoder, params, lives=lives, is_asked=is_asked)
        except UpstreamNotFoundError:
            return None

    async def ask(
        self, path: str, decoder: msgspec.json.Decoder[T], body: object, *, lives: Lives = LIST_S
    ) -> T:
        """As ``get``, for a read that the provider serves by POST."""
        return await self._shared(
            self._question("POST", path, decoder, None, msgspec.json.encode(body), lives, None)
        )

    async def close(self) -> None:
        for task in self._reads.values():
            task.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)

    async def _shared(self, question: Question[T]) -> T:
        key = (question.text(), id(question.decoder))
        task = self._reads.get(key)
        if task is None:
            task = asyncio.create_task(self._read(question))
            self._reads[key] = task
        # The read belongs to the request, not to the first who waits for it.
        return await asyncio.shield(task)

    async def _read(self, question: Question[T]) -> T:
        clock = asyncio.get_running_loop().time
        want = replace(self._want, deadline=self._time.begin(clock()))
        try:
            got = await Reading(self._account, question).get(want)
        finally:
            self._time.end(clock())
        self._take(got)
        value: T = got.kept.value
        return value

    def _take(self, got: Got) -> None:
        used, kept = self.used, got.kept
        age_s = asyncio.get_running_loop().time() - kept.at
        if used.fetched_at is None or kept.fetched_at < used.fetched_at:
            used.fetched_at = kept.fetched_at
        used.age_s = max(used.age_s, age_s)
        used.fresh_s = min(used.fresh_s, max(0.0, kept.lives_s - age_s))
        used.is_stale |= got.is_stale
        used.error = used.error or got.error
        used.left_out += kept.left_out

    def _called(self) -> None:
        self.calls += 1

    def _question(  # the parts of a request, each said once
        self,
        method: str,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: Mapping[str, str] | None,
        body: bytes | None,
        lives: Lives,
        is_asked: Callable[[T], bool] | None,
    ) -> Question[T]:
        headers = {
            **self._account.dialect.headers,
            "accept": "application/json",
            "user-agent": USER_AGENT,
            **({} if body is None else {"content-type": "application/json"}),
        }
        url = httpx2.URL(self._account.base_url.rstrip("/") + path, params=params)
        request = httpx2.Request(method, url, headers=headers, content=body)
        return Question(request=request, decoder=decoder, lives=lives, is_asked=is_asked)


def segment(value: str) -> str:
    """``value`` as one segment of a path: it cannot leave its place, whatever it holds.

    Raises ValueError for ``.`` and ``..``, which climb however they are written; adapters check ids by shape first.
    """
    if value in {".", ".."}:
        raise ValueError("an id cannot be a dot segment")
    return quote(value, safe="")
