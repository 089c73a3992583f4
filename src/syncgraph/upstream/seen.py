"""What this process saw of one provider in its last calls: bounded, and asked without a call."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from syncgraph.domain.health import CircuitState, provider_health_status
from syncgraph.domain.metrics import percentiles
from syncgraph.errors import UpstreamError, UpstreamNotFoundError
from syncgraph.ports import ProviderHealth, RateLimit

WINDOW_S = 300.0
MOST = 1000
"""Calls remembered; of a provider that is asked more often, the newest."""

_EPOCH_S = 1_000_000_000
"""A reset that is given as more than this is a time, not a wait."""
_LONGEST_WAIT = timedelta(days=1)
_MOST_DIGITS, _MOST_INT = 10, 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Call:
    """``at``: on the event loop's clock. ``code``: of the failure."""

    at: float
    took_s: float
    code: str | None


@dataclass(slots=True)
class Seen:
    """Of all requests to one provider. ``at`` is on the event loop's clock, ``now`` the request's."""

    _calls: deque[_Call] = field(default_factory=lambda: deque(maxlen=MOST))
    _last_success_at: datetime | None = None
    _last_error: UpstreamError | None = None
    _wait_until: datetime | None = None

    def succeeded(self, *, at: float, took_s: float, now: datetime) -> None:
        self._calls.append(_Call(at, took_s, None))
        self._last_success_at, self._wait_until = now, None

    def failed(self, error: UpstreamError, *, at: float, took_s: float, now: datetime) -> None:
        """That a thing is not there is an answer."""
        if isinstance(error, UpstreamNotFoundError):
            self.succeeded(at=at, took_s=took_s, now=now)
            return
        self._calls.append(_Call(at, took_s, error.code))
        self._last_error, self._wait_until = _bare(error), error.retry_after

    def health(self, headers: Mapping[str, str], *, at: float, now: datetime) -> ProviderHealth:
        """``headers``: of the newest answer."""
        recent = [call for call in self._calls if call.at > at - WINDOW_S]
        took = [call.took_s for call in recent if call.code is None]
        wait_until = self._wait_until if self._wait_until and self._wait_until > now else None
        return ProviderHealth(
            status=provider_health_status(
                successes=len(took),
                failures=len(recent) - len(took),
                last_error_code=recent[-1].code if recent else None,
                is_rate_limited=wait_until is not None,
                circuit=CircuitState.CLOSED,  # nothing is held back yet
            ),
            last_success_at=self._last_success_at,
            last_error=self._last_error,
            success_rate=len(took) / len(recent) if recent else None,
            latency=percentiles(took),
            rate_limit=rate_limit(headers, wait_until, now),
        )


def rate_limit(headers: Mapping[str, str], wait_until: datetime | None, now: datetime) -> RateLimit | None:
    """From ``RateLimit-*`` or ``X-RateLimit-*``, and until when the provider asked to wait; None: it told neither.

    A limit of 0 is how Airweave says that there is none.
    """
    limit, remaining, reset = (_number(headers, name) for name in ("limit", "remaining", "reset"))
    told = RateLimit(limit=limit, remaining=remaining, reset_at=wait_until or _reset(reset, now))
    has_limit = limit != 0 and any(value is not None for value in (limit, remaining, reset))
    return told if has_limit or wait_until is not None else None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(f"ratelimit-{name}") or headers.get(f"x-ratelimit-{name}") or ""
    is_number = value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return int(value) if is_number and int(value) <= _MOST_INT else None


def _reset(value: int | None, now: datetime) -> datetime | None:
    """Seconds from now, or since 1970: providers disagree; None beyond a day, which no limit lasts."""
    if value is None:
        return None
    at = (
        datetime.fromtimestamp(value, UTC)
        if value > _EPOCH_S
        else now + timedelta(seconds=min(value, _LONGEST_WAIT.total_seconds()))
    )
    return at if at <= now + _LONGEST_WAIT else None


def _bare(error: UpstreamError) -> UpstreamError:
    """A copy without traceback and cause, which hold on to the whole request."""
    return type(error)(
        str(error),
        provider=error.provider,
        http_status=error.http_status,
        retry_after=error.retry_after,
        request_id=error.request_id,
    )
