"""What a provider's headers say of how often it may be asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from syncgraph.ports import RateLimit

_EPOCH_S = 1_000_000_000
"""A reset that is given as more than this is a time, not a wait."""
_LONGEST_WAIT = timedelta(days=1)
_MOST_DIGITS, _MOST_INT = 10, 2**31 - 1


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
