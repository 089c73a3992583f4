"""One HTTP answer of a provider, and what it means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamContractError,
    UpstreamError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamNotFoundError,
    UpstreamQuotaError,
    UpstreamRateLimitedError,
    UpstreamUnavailableError,
)
from syncgraph.upstream.quota import http_date, rate_limit

_MANY_DIGITS = 9
MAX_RETRY_AFTER = timedelta(hours=1)
"""A longer ``Retry-After`` is read as this: a header must not talk us out of asking for a day."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. ``headers``: names in lower case. ``body``: decoded, within the size cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def text_at(self, *names: str) -> str:
        """The first of the body's top-level string fields ``names``; empty when there is none."""
        try:
            body = msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""
        if not isinstance(body, dict):
            return ""
        return next((body[name] for name in names if isinstance(body.get(name), str)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one contract of a provider is spoken.

    ``headers``: sent with every request; holds the credential.
    ``refusal``: what a non-2xx answer means where the status alone does not tell; None leaves it to the status.
    Its second argument: was the same credential accepted within the last ten minutes.
    ``gone_hint``: what an operator should configure when the contract's routes are not there.
    ``request_id``: the header that names the exchange in the provider's own logs.
    ``rest``: how long to leave a rate limit alone where the answer does not say.
    """

    headers: Mapping[str, str] = field(repr=False)
    gone_hint: str
    refusal: Callable[[Answer, bool], type[UpstreamError] | None] = lambda _answer, _worked: None
    request_id: str | None = None
    rest: timedelta | None = None


_BY_STATUS: Mapping[int, type[UpstreamError]] = {
    401: UpstreamAuthError,
    402: UpstreamQuotaError,
    403: UpstreamForbiddenError,
    404: UpstreamNotFoundError,
    405: UpstreamGoneError,
    410: UpstreamGoneError,
    429: UpstreamRateLimitedError,
}

_SAYS: Mapping[type[UpstreamError], str] = {
    UpstreamAuthError: "The provider refuses the gateway's credential.",
    UpstreamQuotaError: "The provider's plan allowance is used up.",
    UpstreamForbiddenError: "The gateway's credential lacks the right to read this.",
    UpstreamNotFoundError: "The provider does not have what this list belongs to.",
    UpstreamRateLimitedError: "The provider limits how often it may be asked.",
    UpstreamUnavailableError: "The provider is not available.",
    UpstreamContractError: "The provider's answer is not what its contract promises.",
}


def failure_of(answer: Answer, dialect: Dialect, *, worked: bool) -> type[UpstreamError] | None:
    """The error that ``answer`` is; None for a success."""
    if 200 <= answer.status < 300:  # noqa: PLR2004
        return None
    by_dialect = dialect.refusal(answer, worked)
    if by_dialect is not None:
        return by_dialect
    if answer.status >= 500:  # noqa: PLR2004
        return UpstreamUnavailableError
    return _BY_STATUS.get(answer.status, UpstreamContractError)


def error_of(
    kind: type[UpstreamError], answer: Answer, dialect: Dialect, *, provider: str, now: datetime
) -> UpstreamError:
    """The error to raise: a fixed sentence and facts, never the provider's own text."""
    message = dialect.gone_hint if kind is UpstreamGoneError else _SAYS[kind]
    after = retry_after(answer.headers, now)
    if after is None and kind is UpstreamRateLimitedError:
        after = _next_window(answer.headers, now)
    if after is None and dialect.rest is not None and kind is UpstreamRateLimitedError:
        after = now + dialect.rest
    return kind(
        message,
        provider=provider,
        http_status=answer.status,
        retry_after=after,
        request_id=answer.headers.get(dialect.request_id) if dialect.request_id else None,
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """``Retry-After`` (RFC 9110: seconds or an HTTP date) as an instant on our clock, at most an hour ahead.

    A date is measured against the answer's own ``Date``, so that a clock that differs from ours does not matter.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        wait = timedelta(seconds=int(value)) if len(value) < _MANY_DIGITS else MAX_RETRY_AFTER
    else:
        until, sent = http_date(value), http_date(headers.get("date", ""))
        if until is None:
            return None
        wait = until - (sent or now)
    return now + min(max(wait, timedelta()), MAX_RETRY_AFTER)


def _next_window(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the provider's own count of calls begins anew, as a refusal tells it; None: it does not, or it has begun."""
    told = rate_limit(headers, now)
    at = None if told is None else told.reset_at
    return None if at is None or at <= now else min(at, now + MAX_RETRY_AFTER)
