"""What this process saw of one provider in its last calls: bounded, and asked without a call."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from syncgraph.domain.metrics import percentiles
from syncgraph.domain.provider_health import CircuitState, provider_health_status
from syncgraph.errors import UpstreamError, UpstreamNotFoundError
from syncgraph.ports import ProviderHealth, RateLimit

WINDOW_S = 300.0
MOST = 1000
"""Calls remembered; of a provider that is asked more often, the newest."""


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

    def health(
        self, told: RateLimit | None, *, circuit: CircuitState, at: float, now: datetime
    ) -> ProviderHealth:
        """``told``: by the newest answer."""
        recent = [call for call in self._calls if call.at > at - WINDOW_S]
        took = [call.took_s for call in recent if call.code is None]
        wait_until = self._wait_until if self._wait_until and self._wait_until > now else None
        return ProviderHealth(
            status=provider_health_status(
                successes=len(took),
                failures=len(recent) - len(took),
                last_error_code=recent[-1].code if recent else None,
                is_rate_limited=wait_until is not None,
                circuit=circuit,
            ),
            circuit=circuit,
            last_success_at=self._last_success_at,
            last_error=self._last_error,
            success_rate=len(took) / len(recent) if recent else None,
            latency=percentiles(took),
            rate_limit=told if wait_until is None else replace(told or RateLimit(), reset_at=wait_until),
        )


def _bare(error: UpstreamError) -> UpstreamError:
    """A copy without traceback and cause, which hold on to the whole request."""
    return type(error)(
        str(error),
        provider=error.provider,
        http_status=error.http_status,
        retry_after=error.retry_after,
        request_id=error.request_id,
        retryable=error.retryable,
    )
