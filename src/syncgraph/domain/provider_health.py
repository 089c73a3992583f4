"""How a provider does, by the calls that were made to it; ``docs/health.md`` states each rule."""

from enum import StrEnum

from syncgraph import errors

DEGRADED_SHARE = 0.1
"""Of a provider's calls: more failures than that are no accident."""

_THROTTLED = frozenset({errors.UpstreamRateLimitedError.code, errors.UpstreamQuotaError.code})


class CircuitState(StrEnum):
    """Whether calls to a provider are let through: all, none, or one to try."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class ProviderHealthStatus(StrEnum):
    """A provider as seen from this gateway."""

    UP = "UP"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    RATE_LIMITED = "RATE_LIMITED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNKNOWN = "UNKNOWN"


def provider_health_status(
    *,
    successes: int,
    failures: int,
    last_error_code: str | None,
    is_rate_limited: bool,
    circuit: CircuitState,
) -> ProviderHealthStatus:
    """A provider's standing by its last calls.

    ``last_error_code``: of the newest call, None when it succeeded. ``is_rate_limited``: it asked to wait, until later
    than now. ``successes``, ``failures``: in the time looked at.
    """
    if _is_refused(last_error_code, successes):
        return ProviderHealthStatus.UNAUTHENTICATED
    if is_rate_limited or last_error_code in _THROTTLED:
        return ProviderHealthStatus.RATE_LIMITED
    if circuit is CircuitState.OPEN or (failures and not successes):
        return ProviderHealthStatus.DOWN
    if circuit is CircuitState.HALF_OPEN:
        return ProviderHealthStatus.DEGRADED
    if not successes:
        return ProviderHealthStatus.UNKNOWN
    too_many = failures > DEGRADED_SHARE * (successes + failures)
    return ProviderHealthStatus.DEGRADED if too_many else ProviderHealthStatus.UP


def _is_refused(code: str | None, successes: int) -> bool:
    """A key that lacks one right is good all the same, as long as something else succeeds."""
    unauthorized, forbidden = errors.UpstreamAuthError.code, errors.UpstreamForbiddenError.code
    return code == unauthorized or (code == forbidden and not successes)
